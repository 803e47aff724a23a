// Films: what comes out of a photo or a video, and what this server can write.

import { follow, form, known, set, video } from "./form.js"
import { check, choice, field, slider } from "./how.js"
import { make } from "./stage.js"

const NAMES = { mp4: "MP4", webm: "WebM", mov: "MOV", mkv: "MKV", gif: "GIF", webp: "WebP" }

// Radio buttons that look like one control.
export function segments(name, label, options, pick) {
	return make("div.segments", { role: "radiogroup", ariaLabel: label }, ...options.map(([value, textContent]) =>
		make("label", make("input", { type: "radio", name, value, onchange: () => pick(value) }), make("span", textContent))))
}

export function films(panel, { films, flow }) {
	const can = known.films = Object.keys(NAMES).filter(one => films[one]), text = placeholder => ({ type: "text", placeholder })
	const kinds = segments("make", "What comes out", [["picture", "Picture"], ["zoom", "Zoom film"], ["steps", "Film of the steps"]], value => set({ make: value }))
	const format = choice("film", "Film format", can.map(one => [one, NAMES[one]]))
	const fps = field("fps", "Frames per second", "", { step: "any" })
	const zoom = make("div", {},
		slider(["zoom", "Frames", 2, 300, 1, "Each frame is the dream of a closer look at the one before."], () => 100),
		slider(["zoom_step", "Zoom per frame", -.2, .2, .01, "0.05 leaves out 5 % of the width and height. A negative number zooms out."], () => .05),
		slider(["rotate", "Turn per frame", -10, 10, .5, "In degrees, clockwise."], () => 0),
		field("pan", "Shift per frame", "Right and down, as fractions of the width and height: 0.01,0", text("0,0")))
	const clip = make("div", field("start", "From", "Seconds, or 1:02:03.", text("the beginning")), field("end", "To", "", text("the end")),
		flow ? check("flow", "The dream follows what moves", "Without this it flickers.") : make("p.note",
			"A dream that follows what moves needs OpenCV: ./provision.sh film installs it."),
		slider(["blend", "Carried over", 0, 1, .05, "Share of the last frame's dream with which the next frame begins."], () => form.flow ? .75 : 0),
		check("no_sound", "Without sound"), check("no_deinterlace", "Keep the fields of interlaced video"))
	const options = make("div", format, zoom, clip, fps,
		make("p.note", "MP4 and WebM need ffmpeg: ./provision.sh film installs it.", { hidden: films.mp4 }))
	panel.append(make("h3", "What comes out"), kinds, options)
	follow(() => {
		const moves = video()
		kinds.hidden = moves   // of a video comes a video
		for (const input of kinds.querySelectorAll("input")) input.checked = input.value === form.make
		options.hidden = !moves && form.make === "picture"
		zoom.hidden = moves || form.make !== "zoom"
		clip.hidden = !moves
		fps.querySelector("input").placeholder = moves ? "as the video" : "25"
		// A film of the steps cannot be a WebP.
		for (const option of format.querySelectorAll("option")) option.disabled = option.value === "webp" && !moves && form.make === "steps"
	})
}
