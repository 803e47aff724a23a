// Where to dream: a mask that is painted over the photo by mouse, pen, finger or keys.
//
// The canvas has at most 1024 pixels on its longest side, whatever the photo has: a brush needs no more, and a photo of 48
// megapixels stays quick. Its alpha is the mask. The tint lies over what will be dreamed, not over the rest: paint that
// appears below the finger needs no explanation, and a photo that dreams as a whole stays as it is. It has stripes of two
// colours, because there is always a photo in which one colour cannot be seen.

import { button, clamp, make } from "./stage.js"

const LONGEST = 1024
const STEPS = 60, BYTES = 40e6   // of undo; a step takes at most 1 MB, so there are always at least 38
const STRIPES = ["#ff5fd7", "#3b0764"]   // light and dark

function paper(width, height) {
  const canvas = make("canvas", { width, height })
  return [canvas, canvas.getContext("2d", { willReadFrequently: true })]
}

// Box blurs of bytes (height, width), three in each direction: nearly a Gaussian. Beyond the edge the edge goes on; the
// blur that a canvas has would let the mask fade out there.
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
    ;[this.old, this.oldPen] = paper(1, 1)   // as it was before the stroke
    this.canvas.className = "mask"
    this.canvas.hidden = true
    this.ring = make("div", { className: "brush", hidden: true })
    this.frame = make("div", { className: "rectangle", hidden: true, tabIndex: 0, role: "application", ariaLabel:
      "Rectangle. Arrow keys move it, Shift and arrow keys change its size, Enter paints it, Escape takes it away.",
      onkeydown: event => this.keys(event) })
    stage.picture.append(this.canvas, this.frame)
    stage.view.append(this.ring)
    stage.view.addEventListener("pointerleave", () => this.ring.hidden = true)
    this.box = [.3, .3, .4, .4]   // of the rectangle: left, top, width, height as fractions of the picture
    this.brush = 40               // CSS pixels on the screen: who zooms in paints finer
    this.rubs = false
    this.soft = 0                 // radius of the soft edge in thousandths of the longest side
    this.steps = []
    this.none = true
  }

  get active() { return this.stage.tool === this }
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
  get undoable() { return this.steps.length > 0 }

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

  // For a photo of another key: an empty canvas in its proportions. Undo brings back what was painted.
  fit(width, height, key) {
    if (key === this.key) return
    this.key = key
    if (!this.empty) this.keep(() => this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height))
    const factor = Math.min(1, LONGEST / Math.max(width, height))
    for (const canvas of [this.canvas, this.old]) {
      canvas.width = Math.max(Math.round(width * factor), 1)
      canvas.height = Math.max(Math.round(height * factor), 1)
    }
    this.paint = this.stripes()
    this.none = true
    this.tell()
  }

  stripes() {
    const side = Math.max(Math.round(Math.max(this.canvas.width, this.canvas.height) / 64), 4)
    const [tile, pen] = paper(side, side)
    pen.fillStyle = STRIPES[0]
    pen.fillRect(0, 0, side, side)
    pen.strokeStyle = STRIPES[1]
    pen.lineWidth = side / 3
    for (const shift of [-side, 0, side]) {
      pen.beginPath()
      pen.moveTo(shift - side, 2 * side)
      pen.lineTo(shift + 2 * side, -side)
      pen.stroke()
    }
    return this.pen.createPattern(tile, "repeat")
  }

  // ---- undo ----

  // Remembers the part that `change` changes: one byte a pixel of [left, top, right, bottom] (default: all).
  keep(change, box = [0, 0, this.canvas.width, this.canvas.height]) {
    this.remember(this.pen, box)
    change()
    this.changed()
  }

  remember(pen, [left, top, right, bottom]) {
    const { width, height } = this.canvas
    left = Math.max(Math.floor(left), 0)
    top = Math.max(Math.floor(top), 0)
    const across = Math.min(Math.ceil(right), width) - left, down = Math.min(Math.ceil(bottom), height) - top
    if (across <= 0 || down <= 0) return   // a stroke beside the picture
    const alpha = pen.getImageData(left, top, across, down).data.filter((_, i) => i % 4 === 3)
    this.steps.push({ left, top, alpha, across, down, width, height })
    while (this.steps.length > STEPS || this.steps.reduce((sum, step) => sum + step.alpha.length, 0) > BYTES) this.steps.shift()
  }

  undo() {
    const step = this.steps.pop()
    if (!step) return
    const [patch, pen] = paper(step.across, step.down)
    const image = pen.createImageData(step.across, step.down)
    for (let i = 0; i < step.alpha.length; i++) image.data[4 * i + 3] = step.alpha[i]
    pen.putImageData(image, 0, 0)
    // The photo may have been another one, of another size.
    const x = this.canvas.width / step.width, y = this.canvas.height / step.height
    const place = [step.left * x, step.top * y, step.across * x, step.down * y]
    this.pen.clearRect(...place)
    this.pen.drawImage(patch, ...place)
    this.tint()
    this.changed()
  }

  changed() {
    this.none = undefined
    this.tell()
  }

  get empty() {
    if (this.none === undefined) {
      const { data } = this.pen.getImageData(0, 0, this.canvas.width, this.canvas.height)
      this.none = true
      for (let i = 3; i < data.length && this.none; i += 4) this.none = data[i] < 16   // the eraser's soft edge leaves traces
    }
    return this.none
  }

  // ---- the whole ----

  mix(how, draw) {
    this.pen.save()
    this.pen.globalCompositeOperation = how
    this.pen.fillStyle = this.pen.strokeStyle = this.paint
    draw()
    this.pen.restore()
  }
  fill(how, left = 0, top = 0, width = this.canvas.width, height = this.canvas.height) {
    this.mix(how, () => this.pen.fillRect(left, top, width, height))
  }
  tint() { this.fill("source-in") }   // colours for what has only an alpha

  clear() {
    if (!this.empty) this.keep(() => this.fill("destination-out"))
  }
  invert() {
    if (this.paint) this.keep(() => this.fill("xor"))
  }

  // A picture becomes the mask: white is dreamed. Raises an Error with a line for people.
  async load(source) {
    if (!this.paint) return
    const url = source instanceof Blob ? URL.createObjectURL(source) : source
    const image = make("img", { src: url })
    try {
      await image.decode()
    } catch {
      throw new Error("This file is not a picture that the browser can read.")
    } finally {
      if (source instanceof Blob) URL.revokeObjectURL(url)
    }
    const { width, height } = this.canvas, [, pen] = paper(width, height)
    pen.drawImage(image, 0, 0, width, height)
    const pixels = pen.getImageData(0, 0, width, height), { data } = pixels
    for (let i = 0; i < data.length; i += 4) {
      data[i + 3] = (.299 * data[i] + .587 * data[i + 1] + .114 * data[i + 2]) * data[i + 3] / 255
    }
    this.keep(() => {
      this.pen.putImageData(pixels, 0, 0)
      this.tint()
    })
  }

  // The mask as a grey PNG of the canvas's size.
  async png() {
    const { width, height } = this.canvas
    const canvas = make("canvas", { width, height }), pen = canvas.getContext("2d", { alpha: false })
    const pixels = this.pen.getImageData(0, 0, width, height), { data } = pixels
    const bytes = data.filter((_, i) => i % 4 === 3)
    const radius = Math.round(this.soft * Math.max(width, height) / 1000 / 2)
    if (radius) soften(bytes, width, height, radius)
    for (let i = 0; i < data.length; i++) data[i] = i % 4 === 3 ? 255 : bytes[i >> 2]
    pen.putImageData(pixels, 0, 0)
    return new Promise(done => canvas.toBlob(done, "image/png"))
  }

  // ---- strokes: the stage hands over the pointer ----

  // Where a pointer is on the canvas, from where the picture is on the screen now: right at every zoom and pixel ratio.
  at(event) {
    const shown = this.canvas.getBoundingClientRect()
    const per = this.canvas.width / shown.width
    const force = event.pointerType === "pen" && event.pressure ? .3 + .9 * event.pressure : 1
    return { x: (event.clientX - shown.left) * per, y: (event.clientY - shown.top) * this.canvas.height / shown.height,
      width: this.brush * per * force }
  }

  down(event) {
    this.copy(this.canvas, this.oldPen)
    this.last = this.middle = this.at(event)
    this.bounds = [Infinity, Infinity, -Infinity, -Infinity]
    this.line(this.last)   // a tap makes a dot
    this.hover(event)
  }

  move(event) {
    const events = event.getCoalescedEvents?.() ?? []   // all that the screen could not show, for round curves
    for (const one of events.length ? events : [event]) this.line(this.at(one))
    this.hover(event)
  }

  // From the middle of the last piece to the middle of this one, bent towards the corner between them.
  line(next) {
    const { last, middle: from } = this
    const to = { x: (last.x + next.x) / 2, y: (last.y + next.y) / 2 }
    this.mix(this.rubs ? "destination-out" : "source-over", () => {
      this.pen.lineCap = this.pen.lineJoin = "round"
      this.pen.lineWidth = Math.max(next.width, 1)
      this.pen.beginPath()
      this.pen.moveTo(from.x, from.y)
      this.pen.quadraticCurveTo(last.x, last.y, to.x, to.y)
      // A canvas draws no line without a length: a tap needs its dot.
      if (from.x === to.x && from.y === to.y) this.pen.arc(to.x, to.y, .01, 0, 7)
      this.pen.stroke()
    })
    const far = next.width / 2 + 2
    for (const { x, y } of [from, last, to]) {
      const [left, top, right, bottom] = this.bounds
      this.bounds = [Math.min(left, x - far), Math.min(top, y - far), Math.max(right, x + far), Math.max(bottom, y + far)]
    }
    this.last = next
    this.middle = to
  }

  up(event) {
    this.line(this.at(event))
    this.line(this.last)   // to the very end
    this.remember(this.oldPen, this.bounds)
    if (event.pointerType === "touch") this.ring.hidden = true
    this.changed()
  }

  // A second finger: it was to become a zoom, not a stroke.
  cancel() {
    this.copy(this.old, this.pen)
    this.ring.hidden = true
  }

  copy(from, pen) {
    pen.clearRect(0, 0, from.width, from.height)
    pen.drawImage(from, 0, 0)
  }

  hover(event) {
    const view = this.stage.view.getBoundingClientRect()
    this.ring.hidden = false
    Object.assign(this.ring.style, { width: `${this.brush}px`, height: `${this.brush}px`,
      left: `${event.clientX - view.left - this.brush / 2}px`, top: `${event.clientY - view.top - this.brush / 2}px` })
  }

  // The stage has zoomed or moved.
  moved() {
    const [left, top, width, height] = this.box.map(share => `${share * 100}%`)
    Object.assign(this.frame.style, { left, top, width, height })
  }

  // ---- a rectangle by keys ----

  rectangle() {
    this.begin()
    this.frame.hidden = false
    this.moved()
    this.frame.focus()
  }

  keys(event) {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key]
    const box = this.box, step = event.altKey ? .005 : .02
    if (move) {
      for (const axis of [0, 1]) {
        const part = event.shiftKey ? axis + 2 : axis
        const low = event.shiftKey ? .02 : 0, high = 1 - (event.shiftKey ? box[axis] : box[axis + 2])
        box[part] = clamp(box[part] + move[axis] * step, low, high)
      }
      this.moved()
      const [left, top, width, height] = box.map(share => Math.round(share * 100))
      this.stage.tell("say", `Rectangle: ${left} % from the left, ${top} % from the top, ${width} % wide, ${height} % high`)
    } else if (event.key === "Enter") {
      const { width, height } = this.canvas
      this.keep(() => this.fill(this.rubs ? "destination-out" : "source-over",
        box[0] * width, box[1] * height, box[2] * width, box[3] * height))
      this.stage.tell("say", this.rubs ? "Rectangle erased" : "Rectangle painted")
    } else if (event.key === "Escape") {
      this.frame.hidden = true
      this.stage.view.focus()
    } else return
    event.preventDefault()
    event.stopPropagation()
  }
}

// The tools of the panel Where.
export function where(panel, stage) {
  const mask = stage.mask
  const use = erase => {
    const again = mask.active && mask.erase === erase
    mask.erase = erase
    again ? mask.end() : mask.begin()
  }
  const paint = button("Paint", () => use(false)), erase = button("Erase", () => use(true))
  const undo = button("Undo", () => mask.undo()), invert = button("Invert", () => mask.invert())
  const clear = button("Clear", () => mask.clear())
  const rectangle = button("Rectangle by keys", () => mask.rectangle())
  const size = make("input", { type: "range", min: 4, max: 240, oninput: () => mask.size = Number(size.value) })
  const soft = make("input", { type: "range", min: 0, max: 100, value: 0, oninput: () => {
    mask.soft = Number(soft.value)
    mask.tell()
  } })
  const file = make("input", { type: "file", accept: "image/png,image/jpeg,image/webp", className: "hidden-file",
    onchange: async () => {
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
    paint.ariaPressed = mask.active && !mask.erase
    erase.ariaPressed = mask.active && mask.erase
    hint.textContent = !photo ? "First choose a photo." : !mask.empty ? "Only what is painted will dream."
      : mask.active ? "Paint over what shall dream. Two fingers, or the wheel, zoom." : "Nothing is painted: the whole photo will dream."
  }
  stage.element.addEventListener("stage", show)
  stage.element.addEventListener("mask", show)
  document.addEventListener("keydown", event => {
    if (!mask.active || event.target.matches?.("textarea, [type=text], [type=search], [type=number]")) return
    if (event.key === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey) mask.undo()
    else if (event.key === "[") mask.size -= 8
    else if (event.key === "]") mask.size += 8
    else if (event.key === "Escape" && !document.fullscreenElement) mask.end()
    else return
    event.preventDefault()
  })
  show()
}
