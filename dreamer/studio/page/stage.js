// The stage: the photo, the dream over it as it grows, before and after under one handle, zoom, full screen, films.
//
// Events of the section, all bubble:
//   stage   something else is shown; section.dataset.state is empty, photo, live, compare or film
//   mask    the mask or its tools have changed (see mask.js)
//   say     detail: a line for the page's status region
//   broken  detail: the address of a picture or film that the browser could not load

import { Mask } from "./mask.js"

const MOST = 8           // device pixels per pixel of the picture, at the largest zoom
const PIXELATED = 2      // from here on one wants to see the pixels, not a blur
const FADE = 300         // ms
const EDGE = 16          // CSS pixels around the picture while one paints, so that a stroke can begin outside it
const HANDLE = 44        // CSS pixels, as in stage.css

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
  const image = make("img", { alt, draggable: false, src: url })
  await image.decode()   // so that it is painted in the frame in which it appears: no flicker
  return image
}

// A place for one picture. A new picture takes the old one's place when it has loaded. On a slow line the one that is on
// its way is finished and then only the newest is fetched: requests do not pile up, and aborted ones would never show any.
class Slot {
  constructor(name, stage) {
    this.box = make("div", { className: name })
    this.stage = stage
    this.turn = 0
  }
  get image() { return this.box.lastElementChild }
  clear() {
    this.turn++
    this.next = this.url = null
    this.busy = false
    this.box.replaceChildren()
  }
  async want(url, alt, fade) {
    if (url === this.url) return
    this.url = url
    this.next = [url, alt, fade]
    if (this.busy) return
    const turn = this.turn
    this.busy = true
    while (this.next) {
      const [url, alt, fade] = this.next
      this.next = null
      const image = await loaded(url, alt).catch(() => null)
      if (turn !== this.turn) return
      if (image) this.put(image, fade)
      else if (!this.next) this.stage.tell("broken", url)
    }
    this.busy = false
  }
  put(image, fade) {
    const older = [...this.box.children], drop = () => older.forEach(one => one.remove())
    older.splice(0, older.length - 1).forEach(one => one.remove())
    this.box.append(image)
    // The old picture stays below at full strength while the new one fades in: the sum never gets darker.
    if (fade && !calm()) image.animate([{ opacity: 0 }, { opacity: 1 }], FADE).finished.then(drop, drop)
    else drop()
    this.stage.layout()
  }
}

export class Stage {
  constructor(element) {
    this.element = element
    element.classList.add("stage")
    this.turn = 0
    this.size = [1, 1]
    this.zoom = null          // CSS pixels per pixel of the picture; null: all of it fits
    this.centre = [.5, .5]    // the place of the picture, as fractions, that is in the middle of the view
    this.tool = null          // takes the pointer: the mask while one paints
    this.pointers = new Map()
    this.before = new Slot("before", this)
    this.after = new Slot("after", this)
    this.picture = make("div", { className: "picture" }, this.before.box, this.after.box)
    this.handle = make("input", { type: "range", className: "handle", min: 0, max: 100, step: .5, value: 50,
      oninput: () => this.cut(), aria: { "aria-label": "Before and after" } })
    this.view = make("div", { className: "view", aria: { role: "group",
      "aria-label": "Picture. Plus and minus zoom, 0 shows all of it, 1 shows its pixels, arrow keys move it." } }, this.picture, this.handle)
    this.percent = make("span", { className: "percent" })
    this.fitting = button("Fit", () => this.to(null))
    this.exact = button("Pixels", () => this.to(1 / devicePixelRatio), { title: "One pixel of the picture on one of the screen" })
    this.zooms = make("span", { className: "zooms", aria: { role: "group", "aria-label": "Zoom" } },
      button("−", () => this.by(1 / 1.5), { "aria-label": "Zoom out" }), this.percent,
      button("+", () => this.by(1.5), { "aria-label": "Zoom in" }), this.fitting, this.exact)
    this.wider = button("Full screen", () => this.fullScreen(), { class: "wider" })
    this.wider.hidden = !document.fullscreenEnabled   // iPhones have none
    this.tools = make("div", { className: "tools" }, this.zooms, this.wider)   // below: nothing may cover the picture
    element.append(this.view, this.tools)
    this.mask = new Mask(this)
    this.watch()
    this.clear()
  }

  watch() {
    const { view, element } = this
    new ResizeObserver(() => this.layout()).observe(view)
    const ratio = () => {   // the browser's zoom, or a window on another screen
      matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", ratio, { once: true })
      this.layout()
    }
    ratio()
    document.addEventListener("fullscreenchange", () => {
      this.wider.textContent = document.fullscreenElement === element ? "Leave full screen" : "Full screen"
    })
    element.onkeydown = event => this.keys(event)
    view.addEventListener("wheel", event => this.wheel(event), { passive: false })
    view.ondblclick = ({ target, clientX, clientY }) => {
      if (target === this.handle || this.tool || this.film) return
      this.to(this.zoom === null ? Math.max(1 / devicePixelRatio, this.scale * 2) : null, clientX, clientY)
    }
    view.onpointerdown = event => this.down(event)
    view.onpointermove = event => this.move(event)
    view.onpointerup = view.onpointercancel = event => this.up(event)
    view.ondragstart = () => false   // else the browser drags the picture away
  }

  tell(name, detail) {
    this.element.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }))
  }

  // ---- what is shown ----

  // {before, after, full: {before, after}, alt, width, height, name}. Does nothing if just this is shown already.
  // A promise of true when it is on the screen, of false if it could not be loaded or something newer came.
  show(spec) {
    const text = JSON.stringify(spec)
    if (text !== this.spec) {
      this.spec = text
      this.showing = this.present(spec)
    }
    return this.showing
  }

  async present({ before, after, full, alt, width, height }) {
    const turn = ++this.turn, first = before ?? after
    if (first !== this.key) {
      // What is there stays until the next picture has come: an empty stage would flash.
      this.element.setAttribute("aria-busy", "true")
      const image = await loaded(first).catch(() => null)
      if (turn !== this.turn) return false
      this.element.removeAttribute("aria-busy")
      if (!image) {
        this.spec = null
        this.tell("broken", first)
        return false
      }
      this.key = first
      this.after.clear()
      this.before.clear()
      this.size = width && height ? [width, height] : [image.naturalWidth, image.naturalHeight]
      this.zoom = null
      this.before.put(image)
      this.ratio(...this.size)
      this.mask.fit(...this.size, first)
    }
    this.unplay()
    this.compares = Boolean(before && after)
    this.full = this.compares || before ? full ?? {} : { before: full?.after }
    this.before.image.alt = this.compares ? "The photo before the dream" : alt ?? ""
    if (this.compares) this.after.want(after, alt, true)
    else this.after.clear()
    this.state(this.compares ? "compare" : "photo")
    if (this.later) this.live(...this.later)
    return true
  }

  // The picture of a running dream, over the photo; live(null) takes it away.
  live(url, alt = "") {
    this.later = this.element.hasAttribute("aria-busy") && url ? [url, alt] : null
    if (this.later) return
    if (!url) {
      if (this.element.dataset.state !== "live") return
      this.after.clear()
      this.state("photo")
    } else if (this.key) {
      this.unplay()
      this.compares = false
      this.after.want(url, alt, true)
      this.state("live")
    } else this.show({ before: url, alt })   // a video has no photo: its frames are all there is
  }

  play(url, type, alt = "") {
    if (this.film?.url === url) return
    this.forget()
    const element = type.startsWith("video/")
      ? make("video", { controls: true, loop: true, muted: true, playsInline: true, autoplay: !calm(), aria: { "aria-label": alt } })
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
    const { element } = this.film
    this.film = element.onerror = null
    element.removeAttribute("src")   // else the browser goes on loading it
    element.load?.()
    element.remove()
  }

  forget() {
    this.turn++
    this.unplay()
    this.mask.end()
    this.before.clear()
    this.after.clear()
    this.spec = this.key = this.later = null
    this.compares = false
    this.element.removeAttribute("aria-busy")
  }

  clear() {
    this.forget()
    this.state("empty")
  }

  state(name) {
    const data = this.element.dataset, changed = data.state !== name
    data.state = name
    this.view.hidden = this.tools.hidden = name === "empty"
    this.picture.hidden = this.zooms.hidden = name === "film"
    this.view.tabIndex = name === "film" ? -1 : 0
    this.layout()
    if (changed || name !== "live") this.tell("stage")
  }

  // For the page's own layout: a narrow page can give the stage the height that the picture needs.
  ratio(width, height) {
    this.element.style.setProperty("--ratio", width / height)
  }

  // ---- where it is ----

  get scale() { return this.zoom ?? this.fit }
  bound(zoom) {
    return zoom && clamp(zoom, Math.min(this.fit, 1 / devicePixelRatio), Math.max(this.fit, MOST / devicePixelRatio))
  }

  layout() {
    const view = this.view.getBoundingClientRect(), ratio = devicePixelRatio, pad = this.tool ? EDGE : 0
    this.handle.hidden = !this.compares || Boolean(this.tool)
    if (!view.width || !this.key) return
    const [across, down] = this.size, seen = [view.width, view.height], origin = [view.left, view.top]
    this.fit = Math.max(Math.min((seen[0] - 2 * pad) / across, (seen[1] - 2 * pad) / down), 1e-3)
    this.zoom = this.bound(this.zoom)
    const whole = [across * this.scale, down * this.scale]
    const [left, top] = whole.map((size, axis) => {   // no further than the picture's edge, and centred where all of it is seen
      const half = (seen[axis] / 2 - pad) / size
      this.centre[axis] = half >= .5 ? .5 : clamp(this.centre[axis], half, 1 - half)
      // On whole device pixels, because a shift by half a pixel blurs a picture that is shown pixel for pixel.
      return Math.round((seen[axis] / 2 - this.centre[axis] * size + origin[axis]) * ratio) / ratio - origin[axis]
    })
    this.put(this.picture, left, top, ...whole)
    const percent = this.scale * ratio * 100
    this.picture.classList.toggle("pixels", this.zoom !== null && percent > PIXELATED * 100)
    this.view.classList.toggle("zoomed", whole.some((size, axis) => size > seen[axis] + 1))
    this.percent.textContent = `${Math.round(percent)} %`
    this.fitting.setAttribute("aria-pressed", this.zoom === null)
    this.exact.setAttribute("aria-pressed", this.zoom !== null && Math.abs(percent - 100) < .5)
    clearTimeout(this.sharpening)
    if (this.zoom !== null) this.sharpening = setTimeout(() => this.sharpen(), 150)

    // The handle lies over the visible part. It stays where it is on the screen when the picture is zoomed and moved below
    // it: so it can always be reached, and one moves what one compares, like below a glass.
    const start = Math.max(left, 0), end = Math.min(left + whole[0], seen[0])
    const upper = Math.max(top, 0), tall = Math.min(top + whole[1], seen[1]) - upper
    this.span = { left, start, wide: end - start }
    this.put(this.handle, start - HANDLE / 2, upper, end - start + HANDLE, tall)
    this.handle.style.setProperty("--tall", `${tall}px`)
    this.cut()
  }

  put({ style }, ...place) {
    ["left", "top", "width", "height"].forEach((name, i) => style[name] = `${place[i]}px`)
  }

  cut() {
    const { left, start, wide } = this.span, share = Number(this.handle.value)
    this.after.box.style.clipPath = this.compares ? `inset(0 0 0 ${start + wide * share / 100 - left}px)` : "none"
    this.handle.setAttribute("aria-valuetext", `${Math.round(share)} % photo, ${Math.round(100 - share)} % dream`)
  }

  // Fetches the pictures in their own size, when one looks closer than the views for the screen reach.
  sharpen() {
    for (const name of this.compares ? ["before", "after"] : ["before"]) {
      const { image } = this[name], url = this.full?.[name], has = image?.naturalWidth
      if (url && has && has < this.size[0] && has < this.size[0] * this.scale * devicePixelRatio) this[name].want(url, image.alt)
    }
  }

  // Zooms to CSS pixels per pixel of the picture (null: fit); the place below clientX, clientY stays where it is.
  to(zoom, clientX, clientY) {
    if (!this.key) return
    const { left, top, width, height } = this.view.getBoundingClientRect(), old = this.scale
    const away = [(clientX ?? left + width / 2) - left - width / 2, (clientY ?? top + height / 2) - top - height / 2]
    this.zoom = this.bound(zoom)
    this.centre = this.centre.map((centre, axis) => centre + away[axis] * (1 / old - 1 / this.scale) / this.size[axis])
    this.layout()
  }

  by(factor, clientX, clientY) {
    const next = this.scale * factor
    // A step does not jump over the size that fits.
    this.to((next - this.fit) * (this.scale - this.fit) < 0 ? null : next, clientX, clientY)
  }

  pan(...by) {
    this.centre = this.centre.map((centre, axis) => centre - by[axis] / (this.size[axis] * this.scale))
    this.layout()
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen()
    else this.element.requestFullscreen().catch(() => this.tell("say", "The browser did not allow full screen."))
  }

  // ---- keys, wheel, pointers ----

  keys(event) {
    if (!this.key || event.ctrlKey || event.metaKey || event.altKey) return
    const move = { ArrowLeft: [48, 0], ArrowRight: [-48, 0], ArrowUp: [0, 48], ArrowDown: [0, -48] }[event.key]
    const factor = { "+": 1.25, "=": 1.25, "-": 1 / 1.25 }[event.key]
    if (move && event.target === this.view && this.view.classList.contains("zoomed")) this.pan(...move)
    else if (factor) this.by(factor)
    else if (event.key === "0") this.to(null)
    else if (event.key === "1") this.to(1 / devicePixelRatio)
    else return
    event.preventDefault()
  }

  wheel(event) {
    // All of it is seen already: let the page scroll.
    if (!this.key || (!event.ctrlKey && event.deltaY > 0 && this.scale <= this.fit * 1.001)) return
    event.preventDefault()
    const pixels = clamp(event.deltaY * [1, 16, 400][event.deltaMode], -300, 300)   // of pixels, lines, pages
    this.by(Math.exp(-pixels * (event.ctrlKey ? .01 : .002)), event.clientX, event.clientY)   // ctrl: a pinch on a touchpad
  }

  // One pointer paints, pans a zoomed picture, or moves the handle when all of the picture is seen; two zoom and pan.
  down(event) {
    if (!this.key || event.target === this.handle || event.button === 2 || this.pointers.size === 2) return
    this.pointers.set(event.pointerId, event)
    this.view.setPointerCapture(event.pointerId)
    this.pressed = event.clientX
    if (this.pointers.size === 2) {
      if (this.gesture === "tool") this.tool.cancel()
      this.gesture = "pinch"
    } else if (this.tool && event.button === 0 && !event.shiftKey) {
      this.gesture = "tool"
      this.tool.down(event)
    } else this.gesture = this.view.classList.contains("zoomed") ? "pan" : this.compares && !this.tool ? "press" : null
    this.view.classList.toggle("held", this.gesture === "pan")
  }

  move(event) {
    const last = this.pointers.get(event.pointerId), before = [...this.pointers.values()]
    if (!last) return this.tool?.hover(event)
    this.pointers.set(event.pointerId, event)
    // The line does not follow a mere press, so that a double click zooms without moving it.
    if (this.gesture === "press" && Math.abs(event.clientX - this.pressed) > 4) this.gesture = "slide"
    if (this.gesture === "tool") this.tool.move(event)
    if (this.gesture === "pan") this.pan(event.clientX - last.clientX, event.clientY - last.clientY)
    if (this.gesture === "pinch" && this.pointers.size === 2) this.pinch(before, [...this.pointers.values()])
    if (this.gesture === "slide") {
      this.handle.value = (event.clientX - this.view.getBoundingClientRect().left - this.span.start) / this.span.wide * 100
      this.cut()
    }
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId)) return
    if (this.gesture === "tool") event.type === "pointerup" ? this.tool.up(event) : this.tool.cancel()
    if (this.gesture === "tool" || !this.pointers.size) this.gesture = null   // the finger left after a pinch does nothing
    this.view.classList.remove("held")
  }

  pinch(before, now) {
    const middle = ([a, b]) => [(a.clientX + b.clientX) / 2, (a.clientY + b.clientY) / 2]
    const apart = ([a, b]) => Math.max(Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY), 20)
    const from = middle(before), to = middle(now)
    this.pan(to[0] - from[0], to[1] - from[1])
    this.to(this.scale * apart(now) / apart(before), ...to)
  }

  // The mask takes the pointer (null: gives it back).
  take(tool) {
    this.tool = tool
    this.gesture = null
    this.pointers.clear()
    this.view.classList.toggle("painting", Boolean(tool))
    this.layout()
  }
}
