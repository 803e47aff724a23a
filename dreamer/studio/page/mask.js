// Where to dream: a mask, painted over the photo by mouse, pen, finger or keys.
//
// The canvas has at most 1024 pixels on its longest side, so that a photo of 48 megapixels is as quick as a small one. Its
// alpha is the mask. The tint lies over what will dream: paint that appears below the finger needs no explanation. It has
// light and dark stripes, because for each single colour there is a photo on which it cannot be seen.

import { button, clamp, make } from "./stage.js"

const LONGEST = 1024, STEPS = 40   // of undo, at most 1 MB each
const STRIPES = ["#ff5fd7", "#3b0764"]

function paper(width, height, alpha = true) {
  const canvas = make("canvas", { width, height })
  return [canvas, canvas.getContext("2d", { willReadFrequently: true, alpha })]
}

// Box blurs of bytes (height, width), three in each direction: nearly a Gaussian. Beyond the edge the edge goes on; with a
// canvas's own blur the mask would fade out there.
function soften(bytes, width, height, radius) {
  const line = new Uint8Array(Math.max(width, height)), size = 2 * radius + 1
  const pass = (count, step, start) => {
    for (let i = 0; i < count; i++) line[i] = bytes[start + i * step]
    const at = i => line[clamp(i, 0, count - 1)]
    let sum = 0
    for (let i = -radius; i <= radius; i++) sum += at(i)
    for (let i = 0; i < count; i++, sum += at(i + radius) - at(i - radius - 1)) bytes[start + i * step] = sum / size + .5
  }
  for (let round = 0; round < 3; round++) {
    for (let y = 0; y < height; y++) pass(width, 1, y * width)
    for (let x = 0; x < width; x++) pass(height, width, x)
  }
}

export class Mask {
  constructor(stage) {
    this.stage = stage
    ;[this.canvas, this.pen] = paper(1, 1)
    this.ring = make("div", { className: "brush" })
    this.frame = make("div", { className: "rectangle", tabIndex: 0, onkeydown: event => this.keys(event), aria: { role: "application",
      "aria-label": "Rectangle. Arrow keys move it, Shift and arrow keys change its size, Enter paints it, Escape takes it away." } })
    this.canvas.className = "mask"
    this.canvas.hidden = this.ring.hidden = this.frame.hidden = true
    stage.picture.append(this.canvas, this.frame)
    stage.view.append(this.ring)
    stage.view.onpointerleave = () => this.ring.hidden = true
    this.box = [.3, .3, .4, .4]   // the rectangle: left, top, width, height as fractions of the picture
    this.brush = 40               // pixels on the screen: who zooms in paints finer
    this.rubs = false
    this.soft = 0                 // width of the soft edge in thousandths of the longest side
    this.steps = []
    this.none = true
  }

  get active() { return this.stage.tool === this }
  get undoable() { return this.steps.length > 0 }
  get size() { return this.brush }
  set size(pixels) {
    this.brush = clamp(pixels, 4, 240)
    this.tell()
  }
  get erase() { return this.rubs }
  set erase(on) {
    this.rubs = Boolean(on)
    this.tell()
  }
  get empty() {
    // Below 16: traces of the brush's edge, which the eraser's edge leaves.
    return this.none ??= this.alpha().every(value => value < 16)
  }

  begin() {
    if (!this.stage.key || this.active) return
    this.canvas.hidden = false
    this.stage.take(this)
    this.tell()
  }
  end() {
    if (!this.active) return
    this.canvas.hidden = this.ring.hidden = this.frame.hidden = true
    this.stage.take(null)
    this.tell()
  }
  tell() { this.stage.tell("mask") }

  // For another photo: an empty canvas in its proportions. Undo brings back what was painted on the last one.
  fit(width, height, key) {
    if (key === this.key) return
    this.key = key
    if (!this.empty) this.keep()
    const factor = Math.min(1, LONGEST / Math.max(width, height))
    Object.assign(this.canvas, { width: Math.round(width * factor) || 1, height: Math.round(height * factor) || 1 })
    const side = Math.max(Math.round(Math.max(this.canvas.width, this.canvas.height) / 64), 4), [tile, pen] = paper(side, side)
    pen.fillStyle = STRIPES[0]
    pen.fillRect(0, 0, side, side)
    pen.strokeStyle = STRIPES[1]
    pen.lineWidth = side / 3
    for (const shift of [-side, 0, side]) {
      pen.moveTo(shift - side, 2 * side)
      pen.lineTo(shift + 2 * side, -side)
    }
    pen.stroke()
    this.paint = this.pen.createPattern(tile, "repeat")
    this.changed()
  }

  // ---- undo ----

  alpha() {
    const { data } = this.pen.getImageData(0, 0, this.canvas.width, this.canvas.height), alpha = new Uint8Array(data.length / 4)
    for (let i = 0; i < alpha.length; i++) alpha[i] = data[4 * i + 3]
    return alpha
  }

  keep() {
    const { width, height } = this.canvas
    this.steps = [...this.steps.slice(1 - STEPS), { alpha: this.alpha(), width, height }]
  }

  undo() {
    const step = this.steps.pop()
    if (!step) return
    const [patch, pen] = paper(step.width, step.height), image = pen.createImageData(step.width, step.height)
    step.alpha.forEach((value, i) => image.data[4 * i + 3] = value)
    pen.putImageData(image, 0, 0)
    this.put(patch)
  }

  // A canvas's alpha becomes the mask; it may have been another photo's, of another size.
  put(canvas) {
    const { width, height } = this.canvas
    this.pen.clearRect(0, 0, width, height)
    this.pen.drawImage(canvas, 0, 0, width, height)
    this.fill("source-in")
  }

  changed() {
    this.none = undefined
    this.tell()
  }

  // ---- the whole ----

  mix(how, draw) {
    this.pen.globalCompositeOperation = how
    this.pen.fillStyle = this.pen.strokeStyle = this.paint
    draw(this.pen)
    this.pen.globalCompositeOperation = "source-over"
  }
  fill(how, left = 0, top = 0, width = 1, height = 1) {
    const { width: across, height: down } = this.canvas
    this.mix(how, pen => pen.fillRect(left * across, top * down, width * across, height * down))
    this.changed()
  }
  clear() {
    if (this.empty) return
    this.keep()
    this.fill("destination-out")
  }
  invert() {
    this.keep()
    this.fill("xor")
  }

  // A picture (address or Blob) becomes the mask: white dreams. Raises an Error with a line for people.
  async load(source) {
    const blob = source instanceof Blob, image = make("img", { src: blob ? URL.createObjectURL(source) : source })
    await image.decode().catch(() => { throw new Error("This file is not a picture that the browser can read.") })
      .finally(() => blob && URL.revokeObjectURL(image.src))
    const { width, height } = this.canvas, [canvas, pen] = paper(width, height)
    pen.drawImage(image, 0, 0, width, height)
    const pixels = pen.getImageData(0, 0, width, height), { data } = pixels
    for (let i = 0; i < data.length; i += 4) data[i + 3] *= (.299 * data[i] + .587 * data[i + 1] + .114 * data[i + 2]) / 255
    pen.putImageData(pixels, 0, 0)
    this.keep()
    this.put(canvas)
  }

  // The mask as a grey PNG of the canvas's size.
  async png() {
    const { width, height } = this.canvas, [canvas, pen] = paper(width, height, false)
    const bytes = this.alpha(), image = pen.createImageData(width, height), radius = Math.round(this.soft * Math.max(width, height) / 2000)
    if (radius) soften(bytes, width, height, radius)
    for (let i = 0; i < image.data.length; i++) image.data[i] = i % 4 === 3 ? 255 : bytes[i >> 2]
    pen.putImageData(image, 0, 0)
    return new Promise(done => canvas.toBlob(done, "image/png"))
  }

  // ---- strokes: the stage hands over the pointer ----

  // The pointer's place on the canvas, by where the picture is on the screen now: right at every zoom and pixel ratio.
  at(event) {
    const shown = this.canvas.getBoundingClientRect(), per = this.canvas.width / shown.width
    const force = event.pointerType === "pen" && event.pressure ? .3 + .9 * event.pressure : 1
    return { x: (event.clientX - shown.left) * per, y: (event.clientY - shown.top) * this.canvas.height / shown.height,
      width: Math.max(this.brush * per * force, 1) }
  }

  down(event) {
    this.keep()
    this.last = this.middle = this.at(event)
    this.line(this.last)
    this.hover(event)
  }

  move(event) {
    const events = event.getCoalescedEvents?.() ?? []   // also what came between two frames: round curves
    for (const one of events.length ? events : [event]) this.line(this.at(one))
    this.hover(event)
  }

  // From the middle of the last piece to the middle of this one, bent towards the corner between them.
  line(next) {
    const { last, middle: from } = this, to = { x: (last.x + next.x) / 2, y: (last.y + next.y) / 2 }
    this.mix(this.rubs ? "destination-out" : "source-over", pen => {
      pen.lineCap = pen.lineJoin = "round"
      pen.lineWidth = next.width
      pen.beginPath()
      pen.moveTo(from.x, from.y)
      pen.quadraticCurveTo(last.x, last.y, to.x, to.y)
      // A canvas draws no line without a length: a tap needs its dot.
      if (from.x === to.x && from.y === to.y) pen.arc(to.x, to.y, .01, 0, 7)
      pen.stroke()
    })
    this.last = next
    this.middle = to
  }

  up(event) {
    this.line(this.at(event))
    this.line(this.last)   // to the very end
    if (event.pointerType === "touch") this.ring.hidden = true
    this.changed()
  }

  // A second finger came: it is a zoom, not a stroke.
  cancel() {
    this.undo()
    this.ring.hidden = true
  }

  hover(event) {
    const view = this.stage.view.getBoundingClientRect(), size = `${this.brush}px`
    this.ring.hidden = false
    Object.assign(this.ring.style, { width: size, height: size,
      left: `${event.clientX - view.left - this.brush / 2}px`, top: `${event.clientY - view.top - this.brush / 2}px` })
  }

  // ---- a rectangle by keys ----

  rectangle() {
    this.begin()
    this.frame.hidden = false
    this.place()
    this.frame.focus()
  }

  place() {
    const [left, top, width, height] = this.box.map(share => `${share * 100}%`)
    Object.assign(this.frame.style, { left, top, width, height })
  }

  keys(event) {
    const axis = { ArrowLeft: 0, ArrowRight: 0, ArrowUp: 1, ArrowDown: 1 }[event.key], { box, stage } = this
    if (axis !== undefined) {
      const part = event.shiftKey ? axis + 2 : axis, step = /Left|Up/.test(event.key) ? -.02 : .02
      box[part] = clamp(box[part] + step, event.shiftKey ? .02 : 0, 1 - box[event.shiftKey ? axis : axis + 2])
      this.place()
      const [left, top, width, height] = box.map(share => Math.round(share * 100))
      stage.tell("say", `Rectangle: ${left} % from the left, ${top} % from the top, ${width} % wide, ${height} % high`)
    } else if (event.key === "Enter") {
      this.keep()
      this.fill(this.rubs ? "destination-out" : "source-over", ...box)
      stage.tell("say", this.rubs ? "Rectangle erased" : "Rectangle painted")
    } else if (event.key === "Escape") {
      this.frame.hidden = true
      stage.view.focus()
    } else return
    event.preventDefault()
    event.stopPropagation()
  }
}

// The tools of the panel Where.
export function where(panel, stage) {
  const { mask } = stage
  const use = erase => {
    const again = mask.active && mask.erase === erase
    mask.erase = erase
    again ? mask.end() : mask.begin()
  }
  const paint = button("Paint", () => use(false)), erase = button("Erase", () => use(true))
  const undo = button("Undo", () => mask.undo()), invert = button("Invert", () => mask.invert()), clear = button("Clear", () => mask.clear())
  const rectangle = button("Rectangle by keys", () => mask.rectangle())
  const range = (low, high, name) => make("input", { type: "range", min: low, max: high, value: mask[name], oninput: event => mask[name] = Number(event.target.value) })
  const size = range(4, 240, "size"), soft = range(0, 100, "soft")
  const file = make("input", { type: "file", accept: "image/png,image/jpeg,image/webp", className: "hidden-file", onchange: async () => {
    if (!file.files[0]) return
    mask.begin()
    await mask.load(file.files[0]).catch(error => stage.tell("say", error.message))
    file.value = ""
  } })
  const upload = make("label", { className: "button" }, "Use a picture as mask", file)
  const hint = make("p", { className: "hint" })
  const row = (...parts) => make("div", { className: "row" }, ...parts)
  panel.classList.add("where")
  panel.append(hint, row(paint, erase), make("label", { className: "slide" }, "Brush", size),
    row(undo, invert, clear), make("label", { className: "slide" }, "Soft edge", soft), row(rectangle, upload))

  const show = () => {
    const photo = Boolean(stage.key)
    for (const control of [paint, erase, invert, rectangle, file]) control.disabled = !photo
    upload.classList.toggle("off", !photo)
    undo.disabled = !photo || !mask.undoable
    clear.disabled = mask.empty
    size.value = mask.size
    paint.setAttribute("aria-pressed", mask.active && !mask.erase)
    erase.setAttribute("aria-pressed", mask.active && mask.erase)
    hint.textContent = !photo ? "First choose a photo." : !mask.empty ? "Only what is painted will dream."
      : mask.active ? "Paint over what shall dream. Two fingers, or the wheel, zoom." : "Nothing is painted: the whole photo will dream."
  }
  stage.element.addEventListener("stage", show)
  stage.element.addEventListener("mask", show)
  document.addEventListener("keydown", event => {
    // Not in a text field or a dialog.
    if (!mask.active || ![stage.element, panel].some(part => part.contains(event.target)) && event.target !== document.body) return
    if (event.key === "z" && (event.ctrlKey || event.metaKey)) mask.undo()
    else if (event.key === "[") mask.size -= 8
    else if (event.key === "]") mask.size += 8
    else if (event.key === "Escape" && !document.fullscreenElement) mask.end()
    else return
    event.preventDefault()
  })
  show()
}
