// The mirror: what the camera sees, dreamed. A frame goes out when the last one has come back, or after LATEST
// ms, so that nothing queues up and the picture stays near the present.

import { button, encoded, make, row, slide } from "./stage.js"

const WIDE = 320, HIGH = 240
const LATEST = 400, REST = 20000          // ms; the second: that the page may be hidden before the camera is given back
const FAVOURITE = "inception_4c/output"   // quick, and looks like a dream
const PLAIN = {
	NotAllowedError: "The camera is not allowed. Allow it in the browser's address bar or in the system's settings, then try again.",
	NotFoundError: "No camera was found. Connect one, then try again.",
	NotReadableError: "Another program uses the camera. Close it, then try again.",
}

function layers(models) {
	const select = make("select"), usable = models.filter(model => model.weights), value = (model, layer) => JSON.stringify([model.name, layer])
	for (const model of usable) {
		const group = (label, rows, words) => rows.length && select.append(make("optgroup", { label: `${label} of ${model.name}` },
			...rows.map(one => new Option(words(one), value(model, one.layer ?? one.name)))))
		group("Layers", model.layers, ({ name, words }) => words ? `${words} (${name})` : name)
		group("Looks", model.looks, ({ name }) => name)
	}
	const [first] = usable
	if (first) select.value = value(first, first.layers.some(({ name }) => name === FAVOURITE) ? FAVOURITE : first.layer)
	return select
}

// Opens the mirror in a <dialog>; models is what GET /models answers. Closing the dialog ends it.
export function mirror(dialog, { models }) {
	if (dialog.open) return
	let run, socket, stream, track, seen, cameras, next, resting, facing = "user"
	let number, drawn, sent, shown, delay, measured, less   // frames: by number, when each was taken; when the last ones were shown

	const range = (min, max, step, value) => make("input", { type: "range", min, max, step, value, oninput: settings })
	const layer = layers(models), strength = range(.5, 8, .5, 3), steps = range(1, 4, 1, 2), past = range(0, .95, .05, .8)
	layer.onchange = settings
	const flow = make("input", { type: "checkbox", checked: true, onchange: settings })
	const flows = make("label.check", { hidden: true }, flow, "The dream follows what moves")
	const canvas = make("canvas", { width: WIDE, height: HIGH, role: "img", ariaLabel: "What the camera sees, dreamed" })
	const figures = make("p.figures"), line = make("p", { role: "alert" }), kept = make("p", { role: "status" })
	const again = button("Try again", () => start()), other = button("Other camera", change)
	const keeps = [button("Keep the picture", () => send({ keep: "still" })), button("Keep the last ten seconds", () => send({ keep: "film" }))]
	const both = make("div.both", make("div.seen", canvas, figures, row(...keeps, other)), make("div", slide("Layer", layer),
		slide("Strength", strength), slide("Steps", steps), slide("Memory of the past", past), flows))
	const video = make("video", { muted: true, playsInline: true }), frame = make("canvas", { width: WIDE, height: HIGH })
	dialog.className = "mirror"
	dialog.setAttribute("aria-labelledby", "mirror-title")
	dialog.replaceChildren(make("header", make("h2", "Mirror", { id: "mirror-title" }), button("Close", () => dialog.close())), line, again, both, kept)

	function live(on) {
		both.hidden = !on
		again.hidden = on
		other.hidden = true
		for (const control of keeps) control.disabled = true   // until there is something to keep
	}

	// No camera and no socket from here on; `why` is for people.
	function stop(why, last = false) {
		run = null
		socket?.close()
		for (const one of stream?.getTracks() ?? []) one.stop()
		socket = stream = video.srcObject = null
		line.textContent = why
		live(false)
		if (last) again.hidden = true
	}

	async function start(device) {
		stop("")
		if (!navigator.mediaDevices?.getUserMedia) return stop(isSecureContext ? "This browser has no camera for pages."
			: `Browsers give a page the camera only on this computer itself (http://127.0.0.1) or over https. This page came from ${location.host}.`, true)
		const mine = run = {}   // what comes late belongs to another run, and is dropped
		live(true)
		try {
			const which = device ? { deviceId: { exact: device } } : { facingMode: { ideal: facing } }
			const found = await navigator.mediaDevices.getUserMedia({ video: { width: WIDE, height: HIGH, ...which } })
			if (mine !== run) return found.getTracks().forEach(one => one.stop())
			stream = video.srcObject = found
			await video.play()
		} catch (error) {
			if (mine === run) stop(PLAIN[error.name] ?? `The camera gives no picture: ${error.message}`)
			return
		}
		if (mine !== run) return
		;[track] = stream.getVideoTracks()
		track.onended = () => mine === run && stop("The camera is gone.")
		seen = track.getSettings()
		connect(mine)
		const all = await navigator.mediaDevices.enumerateDevices()
		cameras = all.filter(one => one.kind === "videoinput").map(one => one.deviceId)
		if (mine === run) other.hidden = cameras.length < 2
	}

	// A phone turns from front to back; a computer goes through its cameras.
	function change() {
		const { facingMode, deviceId } = seen
		facing = facingMode === "user" ? "environment" : "user"
		start(facingMode ? undefined : cameras[(cameras.indexOf(deviceId) + 1) % cameras.length])
	}

	function connect(mine) {
		let wrong = "The studio does not answer, or another page has the mirror: only one can have it."
		number = drawn = delay = measured = 0
		sent = new Map()
		shown = []
		socket = new WebSocket(`${location.origin.replace("http", "ws")}/mirror`)
		socket.binaryType = "arraybuffer"
		socket.onopen = () => {
			settings()
			loop(mine)
		}
		socket.onclose = () => mine === run && stop(wrong)
		socket.onmessage = ({ data }) => {
			if (mine !== run) return
			if (typeof data !== "string") return answer(mine, data)
			const { ready, flow, error, kept: name, pace } = JSON.parse(data)
			if (ready || name) line.textContent = ""   // an error of before
			if (pace) less = pace.less
			if (ready) {
				flows.hidden = !flow
				settings()
			}
			if (error) line.textContent = wrong = error
			if (name) kept.textContent = `Kept as ${name}`
		}
	}

	function send(message) {
		if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message))
	}

	function settings() {
		const [model, name] = JSON.parse(layer.value)
		send({ model, layer: name, strength: Number(strength.value), steps: Number(steps.value), memory_of_past: Number(past.value),
			flow: !flows.hidden && flow.checked })
	}

	async function loop(mine) {
		while (mine === run) {
			await new Promise(go => requestAnimationFrame(next = go))   // at the next picture of the screen, or an answer
			const waits = performance.now() - (sent.get(number) ?? -Infinity) < LATEST
			if (waits || document.hidden || video.readyState < 2 || socket?.bufferedAmount) continue
			post()
		}
	}

	function post() {
		const pen = frame.getContext("2d"), { videoWidth, videoHeight } = video
		const scale = Math.max(WIDE / videoWidth, HIGH / videoHeight), wide = videoWidth * scale, high = videoHeight * scale
		// Like in a mirror, except with the camera at the back. Turned over here, so that what is kept is what was seen.
		pen.setTransform(seen.facingMode === "environment" ? 1 : -1, 0, 0, 1, WIDE / 2, HIGH / 2)
		pen.drawImage(video, -wide / 2, -high / 2, wide, high)
		const head = new DataView(new ArrayBuffer(8))
		head.setBigUint64(0, BigInt(++number), true)
		sent.set(number, performance.now())
		sent.delete(number - 20)   // was never answered
		socket.send(new Blob([head, encoded(frame, "image/jpeg", .7)]))
	}

	async function answer(mine, data) {
		const which = Number(new DataView(data).getBigUint64(0, true)), taken = sent.get(which)
		sent.delete(which)
		next?.()
		const picture = await createImageBitmap(new Blob([new Uint8Array(data, 8)], { type: "image/jpeg" })).catch(() => null)
		if (!picture || mine !== run || which <= drawn) return   // an older one that came late
		drawn = which
		Object.assign(canvas, { width: picture.width, height: picture.height })
		canvas.getContext("2d").drawImage(picture, 0, 0)
		for (const control of keeps) control.disabled = false
		if (taken) measure(taken)
	}

	function measure(taken) {
		const now = performance.now()
		shown = [...shown.filter(time => now - time < 2000), now]
		delay += (now - taken - delay) * (delay ? .2 : 1)
		if (now - measured < 500 || shown.length < 2) return
		measured = now
		const rate = (shown.length - 1) / (now - shown[0]) * 1000
		figures.textContent = `${rate.toFixed(rate < 10 ? 1 : 0)} frames a second, ${(delay / 1000).toFixed(2)} s behind${less ? "; simpler than asked, to keep up" : ""}`
	}

	const hidden = () => {
		clearTimeout(resting)
		if (document.hidden) resting = setTimeout(() => stop("The mirror rests, because the page was hidden."), REST)
	}
	document.addEventListener("visibilitychange", hidden)
	dialog.addEventListener("close", () => {
		document.removeEventListener("visibilitychange", hidden)
		clearTimeout(resting)
		stop("")
	}, { once: true })
	dialog.showModal()
	if (layer.value) start()
	else stop("The mirror needs the weights of a model, and none are installed.", true)
}
