// The stage: the photo, the dream over it as it grows, before and after under one handle, zoom, full screen, films.
//
// Events of the section, for the rest of the page (all bubble):
//   stage   something else is shown; section.dataset.state is empty, photo, live, compare or film
//   mask    the mask has changed (see mask.js)
//   say     detail: a line for the page's status region
//   broken  detail: the address of a picture or film that the browser could not load

import { Mask } from "./mask.js"

const MOST = 8           // device pixels per pixel of the picture, at the largest zoom
const PIXELATED = 2      // from here on one wants to see the pixels, not a blur
const FADE = 300         // ms
const EDGE = 16          // CSS pixels around the picture while one paints, so that a stroke can begin outside it
const HANDLE = 44        // CSS pixels: width of the handle; stage.css has it too

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties)
  for (const [name, value] of Object.entries(properties.aria ?? {})) element.setAttribute(name, value)
  element.append(...children)
  return element
}
export const button = (text, onclick, aria) => make("button", { type: "button", textContent: text, onclick, aria })
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high)
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches

async function loaded(url, alt = "") {
  const image = make("img", { alt, draggable: false, decoding: "async" })
  image.src = url
  await image.decode()   // so that it is painted in the frame in which it appears: no flicker
  return image
}

// A place for one picture. A new picture takes the old one's place when it has loaded. On a slow line the one that is on
// its way is finished and then only the newest is fetched: requests do not pile up, and aborted ones would never show any.
class Slot {
  constructor(name, changed, broken) {
    Object.assign(this, { box: make("div", { className: name }), changed, broken })
    this.clear()
  }
  get image() { return this.box.lastElementChild }
  clear() {
    this.turn = (this.turn ?? 0) + 1
    this.next = this.url = null
    this.busy = false
    this.box.replaceChildren()
  }
  want(url, alt, fade = false) {
    if (url === this.url) return
    this.url = url
    this.next = { url, alt, fade }
    if (!this.busy) this.load()
  }
  async load() {
    const turn = this.turn
    this.busy = true
    while (this.next) {
      const { url, alt, fade } = this.next
      this.next = null
      const image = await loaded(url, alt).catch(() => null)
      if (turn !== this.turn) return
      if (image) this.put(image, fade)
      else this.broken(url)
    }
    this.busy = false
  }
  put(image, fade = false) {
    this.url ??= image.getAttribute("src")
    const older = [...this.box.children]
    older.slice(0, -1).forEach(one => one.remove())
    this.box.append(image)
    const drop = () => older.forEach(one => one.remove())
    // The old picture stays below at full strength while the new one fades in: the sum never gets darker.
    if (fade && !calm()) image.animate([{ opacity: 0 }, { opacity: 1 }], FADE).finished.then(drop, drop)
    else drop()
    this.changed()
  }
}

export class Stage {
  constructor(element) {
    this.element = element
    element.classList.add("stage")
    this.spec = this.key = this.film = null
    this.turn = 0
    this.size = [1, 1]
    this.zoom = null          // CSS pixels per pixel of the picture; null: all of it fits
    this.centre = [.5, .5]    // the place of the picture, as fractions, that is in the middle of the view
    this.tool = null          // paints instead of panning: { down, move, up, cancel }
    const broken = url => this.tell("broken", url)
    this.before = new Slot("before", () => this.layout(), broken)
    this.after = new Slot("after", () => this.layout(), broken)
    this.picture = make("div", { className: "picture" }, this.before.box, this.after.box)
    this.handle = make("input", { type: "range", className: "handle", min: 0, max: 100, step: .5, value: 50,
      ariaLabel: "Before and after" })
    this.view = make("div", { className: "view", tabIndex: 0, role: "group",
      ariaLabel: "Picture. Plus and minus zoom, 0 shows all of it, 1 shows its pixels, arrow keys move it." },
      this.picture, this.handle)
    this.build()
    this.mask = new Mask(this)
    this.watch()
    this.clear()
  }

  build() {
    this.percent = make("span", { className: "percent" })
    this.fitting = button("Fit", () => this.to(null))
    this.exact = button("Pixels", () => this.to(1 / devicePixelRatio), { title: "One pixel of the picture on one of the screen" })
    this.wider = button("Full screen", () => this.fullScreen(), { class: "wider" })
    this.zooms = make("span", { className: "zooms", role: "group", ariaLabel: "Zoom" },
      button("−", () => this.by(1 / 1.5), { "aria-label": "Zoom out" }), this.percent,
      button("+", () => this.by(1.5), { "aria-label": "Zoom in" }), this.fitting, this.exact)
    // Below the picture, not over it: people hate what covers their picture.
    this.tools = make("div", { className: "tools" }, this.zooms, this.wider)
    this.wider.hidden = !document.fullscreenEnabled   // iPhones have none
    this.element.append(this.view, this.tools)
  }

  watch() {
    const { view, handle, element } = this
    new ResizeObserver(() => this.layout()).observe(view)
    const ratio = () => {   // browser zoom, or a window dragged to another screen
      matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", ratio, { once: true })
      this.layout()
    }
    ratio()
    handle.addEventListener("input", () => this.cut())
    element.addEventListener("keydown", event => this.keys(event))
    document.addEventListener("fullscreenchange", () => {
      this.wider.textContent = document.fullscreenElement === element ? "Leave full screen" : "Full screen"
    })
    view.addEventListener("wheel", event => this.wheel(event), { passive: false })
    view.addEventListener("dblclick", event => {
      if (event.target === handle || this.tool || this.film) return
      this.to(this.zoom === null ? Math.max(1 / devicePixelRatio, this.scale * 2) : null, event.clientX, event.clientY)
    })
    this.pointers = new Map()
    view.onpointerdown = event => this.down(event)
    view.onpointermove = event => this.move(event)
    view.onpointerup = view.onpointercancel = event => this.up(event)
    view.ondragstart = () => false   // else the browser drags the picture away
  }

  // For the page's own layout: a narrow page gives the stage the height that the picture needs.
  ratio(width, height) {
    this.element.style.setProperty("--ratio", width / height)
  }

  tell(name, detail) {
    this.element.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }))
  }

  // ---- what is shown ----

  // {before, after, full: {before, after}, alt, width, height, name}. Does nothing if just this is shown already.
  // A promise of true when it is on the screen, of false if it could not be loaded or something newer came.
  show(spec) {
    const text = JSON.stringify(spec)
    if (text === this.spec) return this.showing
    this.spec = text
    return this.showing = this.present(spec)
  }

  async present(spec) {
    const turn = ++this.turn
    const first = spec.before ?? spec.after
    if (first !== this.key) {
      // The picture before stays until the next one has come: an empty stage would flash.
      this.element.setAttribute("aria-busy", "true")
      const image = await loaded(first).catch(() => null)
      if (turn !== this.turn) return false
      this.element.removeAttribute("aria-busy")
      if (!image) {
        this.spec = null
        this.tell("broken", first)
        return false
      }
      this.open(spec, first, image)
    }
    this.full = spec.full ?? {}
    this.alt = spec.alt ?? ""
    this.unplay()
    if (spec.before && spec.after) this.after.want(spec.after, this.alt, true)
    else this.after.clear()
    this.compares = Boolean(spec.before && spec.after)
    if (this.before.image) this.before.image.alt = this.compares ? "The photo before the dream" : this.alt
    this.state(this.compares ? "compare" : this.later ? "live" : "photo")
    this.later?.()
    this.later = null
    return true
  }

  open(spec, first, image) {
    this.key = first
    this.before.clear()
    this.after.clear()
    this.before.put(image)
    this.size = spec.width && spec.height ? [spec.width, spec.height] : [image.naturalWidth, image.naturalHeight]
    this.zoom = null
    this.centre = [.5, .5]
    this.ratio(...this.size)
    this.mask.fit(...this.size, first)
  }

  // The picture of a running dream, over the photo; live(null) takes it away.
  live(url, alt = "") {
    if (this.element.hasAttribute("aria-busy")) {
      this.later = url && (() => this.live(url, alt))
      return
    }
    if (!url) {
      if (this.element.dataset.state === "live") {
        this.after.clear()
        this.state("photo")
      }
      return
    }
    if (!this.key) {   // a film from a video has no photo: its frames are all there is
      this.show({ before: url, alt })
      return
    }
    this.unplay()
    this.compares = false
    this.after.want(url, alt, true)
    this.state("live")
  }

  play(url, type, alt = "") {
    if (this.film?.url === url) return
    this.turn++
    this.forget()
    const element = type.startsWith("video/")
      ? make("video", { controls: true, loop: true, muted: true, playsInline: true, autoplay: !calm(), ariaLabel: alt })
      : make("img", { alt })
    element.onerror = () => this.tell("broken", url)
    element.onload = () => this.ratio(element.naturalWidth, element.naturalHeight)
    element.onloadedmetadata = () => this.ratio(element.videoWidth, element.videoHeight)
    this.view.append(Object.assign(element, { className: "film", src: url }))
    this.film = { url, element }
    this.state("film")
  }

  unplay() {
    if (!this.film) return
    this.film.element.removeAttribute("src")   // else the browser goes on loading it
    this.film.element.load?.()
    this.film.element.remove()
    this.film = null
  }

  forget() {
    this.unplay()
    this.mask?.end()
    this.before.clear()
    this.after.clear()
    this.spec = this.key = this.later = this.showing = null
    this.compares = false
    this.full = {}
    this.element.removeAttribute("aria-busy")
  }

  clear() {
    this.turn++
    this.forget()
    this.state("empty")
  }

  state(name) {
    const changed = this.element.dataset.state !== name
    this.element.dataset.state = name
    this.picture.hidden = name === "empty" || name === "film"
    this.view.hidden = this.tools.hidden = name === "empty"
    this.zooms.hidden = name === "film"
    this.view.tabIndex = name === "film" ? -1 : 0
    this.layout()
    if (changed || name === "photo" || name === "compare") this.tell("stage", name)
  }

  // ---- where it is ----

  get scale() { return this.zoom ?? this.fit }
  bound(zoom) {
    return zoom && clamp(zoom, Math.min(this.fit, 1 / devicePixelRatio), Math.max(this.fit, MOST / devicePixelRatio))
  }

  layout() {
    const [across, down] = this.size
    const view = this.view.getBoundingClientRect(), ratio = devicePixelRatio
    if (!view.width || !this.key) {
      this.handle.hidden = true
      return
    }
    const pad = this.tool ? EDGE : 0
    this.fit = Math.max(Math.min((view.width - 2 * pad) / across, (view.height - 2 * pad) / down), 1e-3)
    this.zoom = this.bound(this.zoom)
    const width = across * this.scale, height = down * this.scale
    const place = (axis, whole, seen) => {   // no further than the picture's edge, and centred where all of it is seen
      const half = (seen / 2 - pad) / whole
      this.centre[axis] = half >= .5 ? .5 : clamp(this.centre[axis], half, 1 - half)
      return seen / 2 - this.centre[axis] * whole
    }
    // On whole device pixels, because a shift by half a pixel blurs a picture that is shown pixel for pixel.
    const snap = (start, origin) => Math.round((start + origin) * ratio) / ratio - origin
    const left = snap(place(0, width, view.width), view.left), top = snap(place(1, height, view.height), view.top)
    Object.assign(this.picture.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` })
    this.picture.classList.toggle("pixels", this.zoom !== null && this.scale * ratio > PIXELATED)
    this.view.classList.toggle("zoomed", width > view.width + 1 || height > view.height + 1)
    this.percent.textContent = `${Math.round(this.scale * ratio * 100)} %`
    this.fitting.ariaPressed = this.zoom === null
    this.exact.ariaPressed = this.zoom !== null && Math.abs(this.scale * ratio - 1) < .005
    this.span = { left, start: Math.max(left, 0), end: Math.min(left + width, view.width) }
    this.over({ top: Math.max(top, 0), bottom: Math.min(top + height, view.height) })
    clearTimeout(this.sharpening)
    if (this.zoom !== null) this.sharpening = setTimeout(() => this.sharpen(), 150)
  }

  // The handle lies over the visible part of the picture. It stays where it is on the screen when the picture is zoomed
  // and moved below it: so it can always be reached, and one moves what one compares, like below a glass.
  over({ top, bottom }) {
    const { start, end } = this.span
    this.handle.hidden = !this.compares || Boolean(this.tool)
    Object.assign(this.handle.style, { left: `${start - HANDLE / 2}px`, width: `${end - start + HANDLE}px`,
      top: `${top}px`, height: `${bottom - top}px` })
    this.handle.style.setProperty("--tall", `${bottom - top}px`)
    this.cut()
  }

  cut() {
    const { left, start, end } = this.span, share = Number(this.handle.value)
    const line = start + (end - start) * share / 100 - left
    this.after.box.style.clipPath = this.compares ? `inset(0 0 0 ${line}px)` : "none"
    this.handle.ariaValueText = `${Math.round(share)} % photo, ${Math.round(100 - share)} % dream`
  }

  // Fetches the pictures in their own size, when one looks closer than the views on the screen reach.
  sharpen() {
    for (const [slot, url] of [[this.before, this.full.before ?? (this.compares ? null : this.full.after)],
                               [this.after, this.compares ? this.full.after : null]]) {
      const has = slot.image?.naturalWidth
      if (url && has && has < this.size[0] && has < this.size[0] * this.scale * devicePixelRatio) slot.want(url, slot.image.alt)
    }
  }

  // Zooms to CSS pixels per pixel of the picture (null: fit); the place below clientX, clientY stays where it is.
  to(zoom, clientX, clientY) {
    if (!this.key) return
    const view = this.view.getBoundingClientRect(), old = this.scale
    const away = [(clientX ?? view.left + view.width / 2) - view.left - view.width / 2,
                  (clientY ?? view.top + view.height / 2) - view.top - view.height / 2]
    this.zoom = this.bound(zoom)
    this.centre = this.centre.map((centre, axis) => centre + away[axis] * (1 / old - 1 / this.scale) / this.size[axis])
    this.layout()
  }

  by(factor, clientX, clientY) {
    const next = this.scale * factor
    // Steps stop at the size that fits, because one looks for it when one zooms out.
    this.to((next - this.fit) * (this.scale - this.fit) < 0 ? null : next, clientX, clientY)
  }

  pan(across, down) {
    this.centre[0] -= across / (this.size[0] * this.scale)
    this.centre[1] -= down / (this.size[1] * this.scale)
    this.layout()
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen()
    else this.element.requestFullscreen().catch(() => this.tell("say", "The browser did not allow full screen."))
  }

  // ---- keys, wheel, pointers ----

  keys(event) {
    if (!this.key || event.ctrlKey || event.metaKey || event.altKey) return
    const step = 48
    const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }
    const zooms = { "+": () => this.by(1.25), "=": () => this.by(1.25), "-": () => this.by(1 / 1.25),
      "0": () => this.to(null), "1": () => this.to(1 / devicePixelRatio) }
    if (event.target === this.view && moves[event.key] && this.view.classList.contains("zoomed")) this.pan(...moves[event.key])
    else if (zooms[event.key]) zooms[event.key]()
    else return
    event.preventDefault()
  }

  wheel(event) {
    if (!this.key) return
    // All of it is seen already: let the page scroll.
    if (!event.ctrlKey && event.deltaY > 0 && this.scale <= this.fit * 1.001) return
    event.preventDefault()
    const unit = [1, 16, 400][event.deltaMode]   // pixels, lines, pages
    this.by(Math.exp(clamp(-event.deltaY * unit, -300, 300) * (event.ctrlKey ? .01 : .002)), event.clientX, event.clientY)
  }

  // One pointer paints, pans a zoomed picture, or moves the handle when all of the picture is seen; two zoom and pan.
  down(event) {
    if (!this.key || event.target === this.handle || event.button === 2 || this.pointers.size === 2) return
    this.pointers.set(event.pointerId, event)
    this.view.setPointerCapture(event.pointerId)
    if (this.pointers.size === 2) {
      if (this.gesture === "tool") this.tool.cancel()
      this.gesture = "pinch"
    } else if (this.tool && event.button === 0 && !event.shiftKey) {
      this.gesture = "tool"
      this.tool.down(event)
    } else {
      this.gesture = this.view.classList.contains("zoomed") ? "pan" : this.compares && !this.tool ? "slide?" : null
      this.view.classList.toggle("held", this.gesture === "pan")
    }
  }

  move(event) {
    const last = this.pointers.get(event.pointerId)
    if (!last) {
      if (this.tool) this.tool.hover(event)
      return
    }
    const before = [...this.pointers.values()]
    this.pointers.set(event.pointerId, event)
    if (this.gesture === "tool") this.tool.move(event)
    else if (this.gesture === "pan") this.pan(event.clientX - last.clientX, event.clientY - last.clientY)
    else if (this.gesture === "pinch" && this.pointers.size === 2) this.pinch(before, [...this.pointers.values()])
    else if (this.gesture === "slide?") {
      // Not by a mere press, so that a double click zooms without moving the line.
      this.from ??= last.clientX
      if (Math.abs(event.clientX - this.from) > 4) this.gesture = "slide"
    }
    if (this.gesture === "slide") this.slide(event.clientX)
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId)) return
    if (this.gesture === "tool") event.type === "pointerup" ? this.tool.up(event) : this.tool.cancel()
    if (this.gesture === "tool" || !this.pointers.size) this.gesture = null   // the finger left after a pinch does nothing
    this.from = undefined
    this.view.classList.remove("held")
  }

  pinch(before, now) {
    const middle = ([a, b]) => [(a.clientX + b.clientX) / 2, (a.clientY + b.clientY) / 2]
    const apart = ([a, b]) => Math.max(Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY), 20)
    const from = middle(before), to = middle(now)
    this.pan(to[0] - from[0], to[1] - from[1])
    this.to(this.scale * apart(now) / apart(before), ...to)
  }

  slide(clientX) {
    const { start, end } = this.span
    this.handle.value = (clientX - this.view.getBoundingClientRect().left - start) / (end - start) * 100
    this.cut()
  }

  // The mask's brush takes the pointer (null: gives it back).
  take(tool) {
    this.tool = tool
    this.pointers.clear()
    this.gesture = null
    this.view.classList.toggle("painting", Boolean(tool))
    this.layout()
  }
}
