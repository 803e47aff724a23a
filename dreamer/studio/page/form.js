// What is chosen for the next dream, and what it will take. The choices live in this tab; all else is the server's.
// A field that nobody has touched is not sent: then the program's own default holds.

import { ask } from "./api.js"
import { keep, kept } from "./words.js"

export const form = { photos: [], make: "picture", ...kept("form") }

// What the page knows and does not keep: the plan for these choices, and the films that this server can write.
export const known = { plan: null, films: [] }

const shows = []
// Calls `show` now, and again when a choice or the plan changes.
export function follow(show) {
	shows.push(show)
	show()
}
const tell = () => shows.forEach(show => show())

export function set(values) {
	for (const [name, value] of Object.entries(values)) {
		if ([undefined, null, "", false].includes(value)) delete form[name]
		else form[name] = value
	}
	keep("form", form)
	tell()
	plan()
}

const [HOW, GUIDE, ZOOM, VIDEO] = [
	"layer model iterations octaves scale step_size jitter smooth pyramid no_clip strength keep_colours seed max_size keep_location",
	"guide guide_size", "zoom zoom_step rotate pan fps", "fps start end flow blend no_sound no_deinterlace"].map(names => names.split(" "))
export const FIELDS = [...HOW, ...GUIDE, ...ZOOM, ...VIDEO, "film", "format"]

export const video = () => form.photos[0]?.kind === "video"
export const moving = () => video() || form.make !== "picture"

// The fields for the server, without the photo.
export function fields() {
	const zooms = !video() && form.make === "zoom"
	const names = [...HOW, ...(form.guide ? GUIDE : []), ...(!moving() ? ["format"] : video() ? VIDEO : zooms ? ZOOM : ["fps"])]
	const chosen = Object.fromEntries(names.filter(name => name in form).map(name => [name, form[name]]))
	if (moving()) chosen.film = form.film ?? known.films[0] ?? "gif"
	if (zooms) chosen.zoom ??= 100
	else if (moving() && !video()) chosen.steps = true
	return chosen
}

// Asks what it will take; not while a slider still moves, and an answer to an older question is dropped.
let timer, asked
export function plan() {
	clearTimeout(timer)
	asked?.abort()
	const become = found => {
		known.plan = found
		tell()
	}
	if (!form.photos.length) return become(null)
	timer = setTimeout(async () => {
		const { signal } = asked = new AbortController()
		const found = await ask("/plan", { method: "POST", body: { ...fields(), photo: form.photos[0].name }, signal })
			.catch(error => error.status >= 400 && error.status < 500 ? { errors: error.lines } : null)
		if (!signal.aborted) become(found)
	}, 250)
}
