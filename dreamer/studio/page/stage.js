// The stage: the photo, the dream over it as it grows, before and after under one handle, zoom, full screen, films.
// Events, all bubble: "stage": something else is shown (dataset.state: empty, photo, live, compare, film); "mask": the mask or
// its tools have changed; "say": detail is a line for the status region; "broken": the address that could not be loaded.

import { Mask } from "./mask.js"

const MOST = 8        // device pixels per pixel of the picture, at the largest zoom
const PIXELATED = 2   // from here on one wants to see the pixels, not a blur
const FADE = 300      // ms
const EDGE = 16       // CSS pixels around the picture while one paints: a stroke can begin outside it
const HANDLE = 44     // CSS pixels, as in stage.css
const { max, min, round } = Math

// make("p.hint.chosen", { id }, "text", child): an element with classes, properties (or attributes) and children, in any order.
export function make(kind, ...parts) {
	const [tag, ...classes] = kind.split("."), element = document.createElement(tag)
	element.classList.add(...classes)
	if (tag === "button") element.type = "button"
	for (const part of parts) {
		if (typeof part === "string" || part instanceof Node) element.append(part)
		else for (const name in part) name in element ? element[name] = part[name] : element.setAttribute(name, part[name])
	}
	return element
}
export const button = (text, onclick, more) => make("button", text, { onclick }, more)
export const row = (...parts) => make("div.row", ...parts)
export const slide = (text, control) => make("label.slide", text, control)   // a control with its name beside it
export const clamp = (value, low, high) => min(max(value, low), high)
// Not toBlob: Chromium begins it when the page is idle, or after a second.
export function encoded(canvas, type, quality) {
	const text = atob(canvas.toDataURL(type, quality).split(",")[1])
	return new Blob([Uint8Array.from(text, letter => letter.charCodeAt(0))], { type })
}
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches

async function loaded(url, alt = "") {
	const image = make("img", { alt, draggable: false, src: url })
	await image.decode()   // so that it is painted in the frame in which it appears: no flicker
	return image
}

export function Stage(element) {
	let key = null           // the address of the picture that is shown
	let size = [1, 1]        // its width and height in pixels
	let zoom = null          // CSS pixels per pixel of the picture; null: all of it fits
	let centre = [.5, .5]    // the place of the picture, as fractions, that is in the middle of the view
	let tool = null          // takes the pointer: the mask while one paints
	let compares = false, fits = 1, turn = 0, span, shown, showing, waits, later, full, film, sharpening, gesture, pressed
	const pointers = new Map()

	// A place for one picture. A new one takes its place when it has loaded. On a slow line the one on its way is finished, then
	// only the newest is fetched, so that requests do not pile up.
	function slot(name) {
		const box = make(`div.${name}`)
		let turn = 0, next, wanted, busy
		return {
			box,
			get image() { return box.lastElementChild },
			clear() {
				turn++
				next = wanted = busy = null
				box.replaceChildren()
			},
			async want(url, alt, fade) {
				if (url === wanted) return
				wanted = url
				next = [url, alt, fade]
				if (busy) return
				const mine = turn
				busy = true
				while (next) {
					const [url, alt, fade] = next
					next = null
					const image = await loaded(url, alt).catch(() => null)
					if (mine !== turn) return
					if (image) this.put(image, fade)
					else if (!next) tell("broken", url)
				}
				busy = false
			},
			put(image, fade) {
				const older = [...box.children], drop = () => older.forEach(one => one.remove())
				older.splice(0, older.length - 1).forEach(one => one.remove())
				box.append(image)
				// The old picture stays below at full strength while the new one fades in: it never gets darker.
				if (fade && !calm()) image.animate([{ opacity: 0 }, { opacity: 1 }], FADE).finished.then(drop, drop)
				else drop()
				layout()
			},
		}
	}

	const before = slot("before"), after = slot("after")
	const picture = make("div.picture", before.box, after.box)
	const handle = make("input.handle", { type: "range", min: 0, max: 100, step: .5, value: 50, ariaLabel: "Before and after", oninput: cut })
	const view = make("div.view", { role: "group",
		ariaLabel: "Picture. Plus and minus zoom, 0 shows all of it, 1 shows its pixels, arrow keys move it." }, picture, handle)
	const percent = make("span.percent"), fitting = button("Fit", () => to(null))
	const exact = button("Pixels", () => to(1 / devicePixelRatio), { title: "One pixel of the picture on one of the screen" })
	const zooms = make("span.zooms", { role: "group", ariaLabel: "Zoom" }, button("−", () => by(1 / 1.5), { ariaLabel: "Zoom out" }), percent,
		button("+", () => by(1.5), { ariaLabel: "Zoom in" }), fitting, exact)
	const wider = button("Full screen", fullScreen, { className: "wider", hidden: !document.fullscreenEnabled })   // iPhones have none
	const tools = make("div.tools", zooms, wider)   // below: nothing may cover the picture

	function tell(name, detail) { element.dispatchEvent(new CustomEvent(name, { bubbles: true, detail })) }

	// -- what is shown

	// {before, after, full: {before, after}, alt, width, height}; nothing happens if just this is shown. A promise of true when
	// it is on the screen, of false if it could not be loaded or something newer came.
	function show(spec) {
		const text = JSON.stringify(spec)
		if (text !== shown) {
			shown = text
			showing = present(spec)
		}
		return showing
	}

	async function present({ before: photo, after: dream, full: large, alt, width, height }) {
		const mine = ++turn, first = photo ?? dream
		if (first !== key) {
			wait(true)   // what is there stays until the next picture has come: an empty stage would flash
			const image = await loaded(first).catch(() => null)
			if (mine !== turn) return false
			wait(false)
			if (!image) {
				shown = null
				tell("broken", first)
				return false
			}
			key = first
			after.clear()
			before.clear()
			size = width && height ? [width, height] : [image.naturalWidth, image.naturalHeight]
			zoom = null
			before.put(image)
			mask.fit(...size, first)
		}
		unplay()
		compares = !!(photo && dream)
		full = photo ? large ?? {} : { before: large?.after }
		before.image.alt = compares ? "The photo before the dream" : alt ?? ""
		if (compares) after.want(dream, alt, true)
		else after.clear()
		state(compares ? "compare" : "photo")
		if (later) live(...later)
		return true
	}

	// The picture of a running dream, over the photo; live(null) takes it away.
	function live(url, alt = "") {
		later = waits && url ? [url, alt] : null
		if (later) return
		if (!url) {
			if (element.dataset.state !== "live") return
			after.clear()
			state("photo")
		} else if (key) {
			unplay()
			compares = false
			after.want(url, alt, true)
			state("live")
		} else show({ before: url, alt })   // a video has no photo: its frames are all there is
	}

	function play(url, type, alt = "") {
		if (film?.url === url) return
		forget()
		film = type.startsWith("video/")
			? make("video.film", { controls: true, loop: true, muted: true, playsInline: true, autoplay: !calm(), ariaLabel: alt })
			: make("img.film", { alt })
		Object.assign(film, { url, src: url, onerror: () => tell("broken", url) })
		view.append(film)
		state("film")
	}

	function unplay() {
		if (!film) return
		film.onerror = null
		film.removeAttribute("src")   // else the browser goes on loading it
		film.load?.()
		film.remove()
		film = null
	}

	function forget() {
		turn++
		unplay()
		mask.end()
		before.clear()
		after.clear()
		shown = key = later = null
		compares = false
		wait(false)
	}

	function wait(on) { element.ariaBusy = waits = on }

	function clear() {
		forget()
		state("empty")
	}

	function state(name) {
		const { dataset } = element, changed = dataset.state !== name
		dataset.state = name
		view.hidden = tools.hidden = name === "empty"
		picture.hidden = zooms.hidden = name === "film"
		view.tabIndex = name === "film" ? -1 : 0
		layout()
		if (changed || name !== "live") tell("stage")
	}

	// -- where it is

	const scale = () => zoom ?? fits
	const bound = zoom => zoom && clamp(zoom, min(fits, 1 / devicePixelRatio), max(fits, MOST / devicePixelRatio))
	const zoomed = () => view.classList.contains("zoomed")

	function layout() {
		const box = view.getBoundingClientRect(), ratio = devicePixelRatio, pad = tool ? EDGE : 0
		handle.hidden = !compares || !!tool
		if (!box.width || !key) return
		const seen = [box.width, box.height], origin = [box.left, box.top]
		fits = max(min(...size.map((pixels, axis) => (seen[axis] - 2 * pad) / pixels)), 1e-3)
		zoom = bound(zoom)
		const whole = size.map(pixels => pixels * scale())
		const [left, top] = whole.map((size, axis) => {   // no further than the picture's edge, and centred where all of it is seen
			const half = (seen[axis] / 2 - pad) / size
			centre[axis] = half >= .5 ? .5 : clamp(centre[axis], half, 1 - half)
			// On whole device pixels: half a pixel would blur it.
			return round((seen[axis] / 2 - centre[axis] * size + origin[axis]) * ratio) / ratio - origin[axis]
		})
		put(picture, left, top, ...whole)
		const share = scale() * ratio * 100
		picture.classList.toggle("pixels", zoom !== null && share > PIXELATED * 100)
		view.classList.toggle("zoomed", whole.some((size, axis) => size > seen[axis] + 1))
		percent.textContent = `${round(share)} %`
		fitting.ariaPressed = zoom === null
		exact.ariaPressed = zoom !== null && Math.abs(share - 100) < .5
		clearTimeout(sharpening)
		if (zoom !== null) sharpening = setTimeout(sharpen, 150)

		// The handle stays over the visible part, within reach.
		const start = max(left, 0), wide = min(left + whole[0], seen[0]) - start
		const upper = max(top, 0), tall = min(top + whole[1], seen[1]) - upper
		span = { left, start, wide }
		put(handle, start - HANDLE / 2, upper, wide + HANDLE, tall)
		handle.style.setProperty("--tall", `${tall}px`)
		cut()
	}

	function put({ style }, ...place) { ["left", "top", "width", "height"].forEach((name, i) => style[name] = `${place[i]}px`) }

	function cut() {
		const { left, start, wide } = span, share = Number(handle.value)
		after.box.style.clipPath = compares ? `inset(0 0 0 ${start + wide * share / 100 - left}px)` : "none"
		handle.setAttribute("aria-valuetext", `${round(share)} % photo, ${round(100 - share)} % dream`)
	}

	// Fetches the pictures in their own size, when one looks closer than the views reach.
	function sharpen() {
		for (const name of compares ? ["before", "after"] : ["before"]) {
			const place = { before, after }[name], url = full?.[name], has = place.image?.naturalWidth
			if (url && has && has < size[0] && has < size[0] * scale() * devicePixelRatio) place.want(url, place.image.alt)
		}
	}

	// Zooms to `next` (as `zoom`); the place below x, y of the window stays where it is.
	function to(next, x, y) {
		if (!key) return
		const { left, top, width, height } = view.getBoundingClientRect(), old = scale()
		const away = [(x ?? left + width / 2) - left - width / 2, (y ?? top + height / 2) - top - height / 2]
		zoom = bound(next)
		centre = centre.map((centre, axis) => centre + away[axis] * (1 / old - 1 / scale()) / size[axis])
		layout()
	}

	function by(factor, x, y) {
		const next = scale() * factor
		to((next - fits) * (scale() - fits) < 0 ? null : next, x, y)   // not past the size that fits
	}

	function pan(...by) {
		centre = centre.map((centre, axis) => centre - by[axis] / (size[axis] * scale()))
		layout()
	}

	function fullScreen() {
		if (document.fullscreenElement) document.exitFullscreen()
		else element.requestFullscreen().catch(() => tell("say", "The browser did not allow full screen."))
	}

	// -- keys, wheel, pointers

	function keys(event) {
		if (!key || event.ctrlKey || event.metaKey || event.altKey) return
		const move = { ArrowLeft: [48, 0], ArrowRight: [-48, 0], ArrowUp: [0, 48], ArrowDown: [0, -48] }[event.key]
		const factor = { "+": 1.25, "=": 1.25, "-": 1 / 1.25 }[event.key]
		if (move && event.target === view && zoomed()) pan(...move)
		else if (factor) by(factor)
		else if (event.key === "0") to(null)
		else if (event.key === "1") to(1 / devicePixelRatio)
		else return
		event.preventDefault()
	}

	function wheel(event) {
		// All of it is seen already: let the page scroll.
		if (!key || (!event.ctrlKey && event.deltaY > 0 && scale() <= fits * 1.001)) return
		event.preventDefault()
		const pixels = clamp(event.deltaY * [1, 16, 400][event.deltaMode], -300, 300)   // of pixels, lines, pages
		by(Math.exp(-pixels * (event.ctrlKey ? .01 : .002)), event.clientX, event.clientY)   // ctrl: a pinch on a touchpad
	}

	// One pointer paints, pans a zoomed picture, or moves the handle when all of the picture is seen; two zoom and pan.
	function down(event) {
		if (!key || event.target === handle || event.button === 2 || pointers.size === 2) return
		pointers.set(event.pointerId, event)
		view.setPointerCapture(event.pointerId)
		pressed = event.clientX
		if (pointers.size === 2) {
			if (gesture === "tool") tool.cancel()
			gesture = "pinch"
		} else if (tool && event.button === 0 && !event.shiftKey) {
			gesture = "tool"
			tool.down(event)
		} else gesture = zoomed() ? "pan" : compares && !tool ? "press" : null
		view.classList.toggle("held", gesture === "pan")
	}

	function move(event) {
		const last = pointers.get(event.pointerId), old = [...pointers.values()]
		if (!last) return tool?.hover(event)
		pointers.set(event.pointerId, event)
		// The line does not follow a mere press: a double click zooms.
		if (gesture === "press" && Math.abs(event.clientX - pressed) > 4) gesture = "slide"
		if (gesture === "tool") tool.move(event)
		else if (gesture === "pan") pan(event.clientX - last.clientX, event.clientY - last.clientY)
		else if (gesture === "pinch" && pointers.size === 2) pinch(old, [...pointers.values()])
		else if (gesture === "slide") {
			handle.value = (event.clientX - view.getBoundingClientRect().left - span.start) / span.wide * 100
			cut()
		}
	}

	function up(event) {
		if (!pointers.delete(event.pointerId)) return
		if (gesture === "tool") event.type === "pointerup" ? tool.up(event) : tool.cancel()
		if (gesture === "tool" || !pointers.size) gesture = null   // the finger left after a pinch does nothing
		view.classList.remove("held")
	}

	function pinch(old, now) {
		const middle = ([a, b]) => [(a.clientX + b.clientX) / 2, (a.clientY + b.clientY) / 2]
		const apart = ([a, b]) => max(Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY), 20)
		const from = middle(old), there = middle(now)
		pan(...there.map((at, axis) => at - from[axis]))
		to(scale() * apart(now) / apart(old), ...there)
	}

	// The mask takes the pointer (null: gives it back).
	function take(next) {
		tool = next
		gesture = null
		pointers.clear()
		view.classList.toggle("painting", !!tool)
		layout()
	}

	element.classList.add("stage")
	element.append(view, tools)
	const stage = { element, view, picture, show, live, play, clear, take, tell, put, get key() { return key }, get tool() { return tool } }
	const mask = stage.mask = Mask(stage)
	new ResizeObserver(layout).observe(view)
	const ratio = () => {   // the browser's zoom, or a window on another screen
		matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", ratio, { once: true })
		layout()
	}
	ratio()
	element.onfullscreenchange = () => wider.textContent = document.fullscreenElement ? "Leave full screen" : "Full screen"
	element.onkeydown = keys
	view.onwheel = wheel
	view.ondblclick = ({ target, clientX, clientY }) => {
		if (target === handle || tool || film) return
		to(zoom === null ? max(1 / devicePixelRatio, scale() * 2) : null, clientX, clientY)
	}
	Object.assign(view, { onpointerdown: down, onpointermove: move, onpointerup: up, onpointercancel: up })
	view.ondragstart = () => false   // else the browser drags the picture away
	clear()
	return stage
}
