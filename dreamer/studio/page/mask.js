// Where to dream: a mask, painted over the photo by mouse, pen, finger or keys.
// The canvas has at most 1024 pixels a side, so that large photos are as quick as small ones. Its alpha is the mask.
// The tint lies over what will dream. It has light and dark stripes, because no single colour is seen on every photo.

import { button, clamp, encoded, make, row, slide } from "./stage.js"

const { max, round } = Math
const LONGEST = 1024, STEPS = 40   // of undo, at most 1 MB each
const STRIPES = ["#ff5fd7", "#3b0764"]

function paper(width, height, alpha = true) {
	const canvas = make("canvas", { width, height })
	return [canvas, canvas.getContext("2d", { willReadFrequently: true, alpha })]
}

export function Mask(stage) {
	const [canvas, pen] = paper(1, 1), ring = make("div.brush")
	const frame = make("div.rectangle", { tabIndex: 0, onkeydown: keys, role: "application",
		ariaLabel: "Rectangle. Arrow keys move it, Shift and arrow keys change its size, Enter paints it, Escape takes it away." })
	const box = [.3, .3, .4, .4]   // the rectangle: left, top, width, height as fractions of the picture
	let brush = 40                 // pixels on the screen: who zooms in paints finer
	let rubs = false, none = true, photo, paint, last, middle, steps = []
	const how = () => rubs ? "destination-out" : "source-over"

	const mask = {
		get active() { return stage.tool === mask },
		get undoable() { return steps.length > 0 },
		get size() { return brush },
		set size(pixels) {
			brush = clamp(pixels, 4, 240)
			tell()
		},
		get erase() { return rubs },
		set erase(on) {
			rubs = !!on
			tell()
		},
		// Below 16: traces of the brush's edge, which the eraser's edge leaves.
		get empty() { return none ??= alpha().every(value => value < 16) },
		begin() {
			if (!stage.key || mask.active) return
			canvas.hidden = false
			stage.take(mask)
			tell()
		},
		end() {
			if (!mask.active) return
			hide()
			stage.take(null)
			tell()
		},
		fit, undo, load, png, rectangle, down, move, up, hover, cancel,
		clear: () => all("destination-out"),
		invert: () => all("xor"),
	}

	function tell() { stage.tell("mask") }
	function hide() { canvas.hidden = ring.hidden = frame.hidden = true }

	// For another photo: an empty canvas in its proportions. Undo brings back what was painted on the last one.
	function fit(width, height, key) {
		if (key === photo) return
		photo = key
		if (!mask.empty) keep()
		const factor = Math.min(1, LONGEST / max(width, height))
		Object.assign(canvas, { width: round(width * factor) || 1, height: round(height * factor) || 1 })
		const side = max(round(max(width, height) * factor / 64), 4), [tile, liner] = paper(side, side)
		Object.assign(liner, { fillStyle: STRIPES[0], strokeStyle: STRIPES[1], lineWidth: side / 3 })
		liner.fillRect(0, 0, side, side)
		for (const shift of [-side, 0, side]) {
			liner.moveTo(shift - side, 2 * side)
			liner.lineTo(shift + 2 * side, -side)
		}
		liner.stroke()
		paint = pen.createPattern(tile, "repeat")
		changed()
	}

	// -- undo

	function alpha() {
		const { data } = pen.getImageData(0, 0, canvas.width, canvas.height), alpha = new Uint8Array(data.length / 4)
		for (let i = 0; i < alpha.length; i++) alpha[i] = data[4 * i + 3]
		return alpha
	}

	function keep() {
		const { width, height } = canvas
		steps = [...steps.slice(1 - STEPS), { bytes: alpha(), width, height }]
	}

	function undo() {
		const step = steps.pop()
		if (!step) return
		const [patch, pen] = paper(step.width, step.height), image = pen.createImageData(step.width, step.height)
		step.bytes.forEach((value, i) => image.data[4 * i + 3] = value)
		pen.putImageData(image, 0, 0)
		put(patch)
	}

	// -- the whole

	// A canvas's alpha becomes the mask; it may have been another photo's, of another size.
	function put(patch) {
		pen.clearRect(0, 0, canvas.width, canvas.height)
		pen.drawImage(patch, 0, 0, canvas.width, canvas.height)
		fill("source-in")
	}

	function changed() {
		none = undefined
		tell()
	}

	function mix(how, draw) {
		pen.globalCompositeOperation = how
		pen.fillStyle = pen.strokeStyle = paint
		draw()
		pen.globalCompositeOperation = "source-over"
	}

	function fill(how, left = 0, top = 0, width = 1, height = 1) {
		const { width: across, height: down } = canvas
		mix(how, () => pen.fillRect(left * across, top * down, width * across, height * down))
		changed()
	}

	function all(how, ...box) {
		keep()
		fill(how, ...box)
	}

	// A picture (address or Blob) becomes the mask: white dreams. Raises an Error with a line for people.
	async function load(source) {
		const blob = source instanceof Blob, image = make("img", { src: blob ? URL.createObjectURL(source) : source })
		await image.decode().catch(() => { throw new Error("This file is not a picture that the browser can read.") })
			.finally(() => blob && URL.revokeObjectURL(image.src))
		const { width, height } = canvas, [patch, pen] = paper(width, height)
		pen.drawImage(image, 0, 0, width, height)
		const pixels = pen.getImageData(0, 0, width, height), { data } = pixels
		for (let i = 0; i < data.length; i += 4) data[i + 3] *= (.299 * data[i] + .587 * data[i + 1] + .114 * data[i + 2]) / 255
		pen.putImageData(pixels, 0, 0)
		keep()
		put(patch)
	}

	// A grey PNG of the canvas's size.
	function png() {
		const { width, height } = canvas, [grey, pen] = paper(width, height, false)
		const bytes = alpha(), image = pen.createImageData(width, height)
		for (let i = 0; i < image.data.length; i++) image.data[i] = i % 4 === 3 ? 255 : bytes[i >> 2]
		pen.putImageData(image, 0, 0)
		return encoded(grey, "image/png")
	}

	// -- strokes: the stage hands over the pointer

	// Its place on the canvas, by where the picture is on the screen now: right at every zoom and pixel ratio.
	function at(event) {
		const { left, top, width, height } = canvas.getBoundingClientRect(), per = canvas.width / width
		const force = event.pointerType === "pen" && event.pressure ? .3 + .9 * event.pressure : 1
		return { x: (event.clientX - left) * per, y: (event.clientY - top) * canvas.height / height, width: max(brush * per * force, 1) }
	}

	function down(event) {
		keep()
		last = middle = at(event)
		line(last)
		hover(event)
	}

	function move(event) {
		const events = event.getCoalescedEvents?.() ?? []   // also what came between two frames: round curves
		for (const one of events.length ? events : [event]) line(at(one))
		hover(event)
	}

	// From the middle of the last piece to that of this one, bent towards the corner.
	function line(next) {
		const from = middle, to = { x: (last.x + next.x) / 2, y: (last.y + next.y) / 2 }
		mix(how(), () => {
			pen.lineCap = pen.lineJoin = "round"
			pen.lineWidth = next.width
			pen.beginPath()
			pen.moveTo(from.x, from.y)
			pen.quadraticCurveTo(last.x, last.y, to.x, to.y)
			// A canvas draws no line without a length.
			if (from.x === to.x && from.y === to.y) pen.arc(to.x, to.y, .01, 0, 7)
			pen.stroke()
		})
		last = next
		middle = to
	}

	function up(event) {
		line(at(event))
		line(last)   // to the very end
		if (event.pointerType === "touch") ring.hidden = true
		changed()
	}

	// A second finger came: it is a zoom, not a stroke.
	function cancel() {
		undo()
		ring.hidden = true
	}

	function hover(event) {
		const { left, top } = stage.view.getBoundingClientRect()
		ring.hidden = false
		stage.put(ring, event.clientX - left - brush / 2, event.clientY - top - brush / 2, brush, brush)
	}

	// -- a rectangle by keys

	function rectangle() {
		mask.begin()
		frame.hidden = false
		place()
		frame.focus()
	}

	function place() {
		const [left, top, width, height] = box.map(share => `${share * 100}%`)
		Object.assign(frame.style, { left, top, width, height })
	}

	function keys(event) {
		const axis = { ArrowLeft: 0, ArrowRight: 0, ArrowUp: 1, ArrowDown: 1 }[event.key]
		if (axis !== undefined) {
			const part = event.shiftKey ? axis + 2 : axis, step = /Left|Up/.test(event.key) ? -.02 : .02
			box[part] = clamp(box[part] + step, event.shiftKey ? .02 : 0, 1 - box[event.shiftKey ? axis : axis + 2])
			place()
			const [left, top, width, height] = box.map(share => round(share * 100))
			stage.tell("say", `Rectangle: ${left} % from the left, ${top} % from the top, ${width} % wide, ${height} % high`)
		} else if (event.key === "Enter") {
			all(how(), ...box)
			stage.tell("say", rubs ? "Rectangle erased" : "Rectangle painted")
		} else if (event.key === "Escape") {
			frame.hidden = true
			stage.view.focus()
		} else return
		event.preventDefault()
		event.stopPropagation()
	}

	canvas.className = "mask"
	hide()
	stage.picture.append(canvas, frame)
	stage.view.append(ring)
	stage.view.onpointerleave = () => ring.hidden = true
	return mask
}

// The panel Where.
export function where(panel, stage) {
	const { mask } = stage
	const use = erase => {
		const again = mask.active && mask.erase === erase
		mask.erase = erase
		again ? mask.end() : mask.begin()
	}
	const does = (text, name) => button(text, () => mask[name]())
	const paint = button("Paint", () => use(false)), erase = button("Erase", () => use(true)), rectangle = does("Rectangle by keys", "rectangle")
	const undo = does("Undo", "undo"), invert = does("Invert", "invert"), clear = does("Clear", "clear")
	const range = (min, max, name) => make("input", { type: "range", min, max, value: mask[name], oninput: event => mask[name] = Number(event.target.value) })
	const size = range(4, 240, "size")
	const file = make("input.hidden-file", { type: "file", accept: "image/png,image/jpeg,image/webp", onchange: async () => {
		if (!file.files[0]) return
		mask.begin()
		await mask.load(file.files[0]).catch(error => stage.tell("say", error.message))
		file.value = ""
	} })
	const upload = make("label.button", "Use a picture as mask", file)
	const hint = make("p.hint")
	panel.className = "where"
	panel.append(hint, row(paint, erase), slide("Brush", size), row(undo, invert, clear), row(rectangle, upload))

	const show = () => {
		const photo = !!stage.key
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
	for (const name of ["stage", "mask"]) stage.element.addEventListener(name, show)
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
