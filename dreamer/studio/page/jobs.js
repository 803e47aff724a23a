// The queue: the bar below the picture for what is shown, and the list of all jobs.

import { post } from "./api.js"
import { download } from "./gallery.js"
import { button, make, row } from "./stage.js"
import { fail, say, time, write } from "./words.js"

export const active = job => ["dreaming", "stopping"].includes(job.state)

const percent = job => `${Math.round(job.done * 100)} %`
export const heading = job => `${percent(job)} · ${job.photo}`

// What it does, or how it ended, in a line: "octave 3 of 4 · 12 s to go"
function line(job) {
	const { state, kind, counting, left } = job
	if (state === "waiting") return "waiting for its turn"
	if (state === "stopping") return "stopping; what is done is saved"
	if (state === "stopped") return `Stopped at ${percent(job)}. What is done is saved.`
	if (state === "failed") return `This dream failed: ${job.error || "it ended without a word"}`
	if (state === "done" && kind === "try") return `All layers on ${job.photo}: see the tiles`
	if (state === "done") return `${job.output} · dreamed in ${time(job.took)}`
	if (state === "item") return job.words
	if (counting !== null) return `counting the frames · ${Math.round(counting * 100)} %`
	const where = kind === "try" ? `all layers on ${job.photo} · ${job.tried} tiles` : kind === "film" && job.frames > 1 ? `frame ${job.frame || 1} of ${job.frames}`
		: job.octaves ? `octave ${job.octave || 1} of ${job.octaves}` : "beginning"
	return left === null ? where : `${where} · ${time(left)} to go`
}

export const act = (job, verb, value) => post(`/jobs/${job.id}/${verb}`, value).catch(fail)

// The bar below the stage, for a job or {state: "item", kind, output, words} for a picture of the gallery.
export function Now(box, page) {
	let job, told
	const does = verb => () => act(job, verb)
	const verbs = { stop: button("Stop", does("stop")), cancel: button("Cancel", does("remove")), go: button("Go on", does("go")),
		again: button("Again, another seed", () => page.repeat(job)), dream: button("Dream the dream", () => page.use(job, page.choose)),
		download: button("Download", () => download({ name: job.output })), remove: button("Remove", does("remove")),
		more: button("More", () => page.use(job, item => page.menu(item, verbs.more)), { ariaHasPopup: "menu" }) }
	verbs.stop.className = verbs.go.className = "main"
	const bar = make("progress", { ariaLabel: "This dream" }), text = make("p.line"), notes = make("p.hint.notes")
	box.append(bar, make("div.now-row", text, row(...Object.values(verbs))), notes)

	function show(next) {
		job = next
		box.hidden = !job
		if (!job) return
		const { id, state, kind, done, lines = [] } = job, runs = active(job), tries = kind === "try"
		bar.hidden = !runs && state !== "stopped"
		if (runs && !done) bar.removeAttribute("value")   // it only moves: nobody knows yet
		else bar.value = done ?? 0
		write(text, line(job))
		text.classList.toggle("wrong", state === "failed")
		const shows = { dreaming: ["stop"], stopping: ["stop"], waiting: ["cancel"], stopped: ["go", "again", "remove"], failed: ["go", "remove"],
			done: ["again", "dream", "download", "more"], item: ["dream", "download", "more"] }[state]
		for (const [name, one] of Object.entries(verbs)) one.hidden = !shows.includes(name)
			|| (name === "dream" && ["film", "video", "sheet"].includes(kind)) || (tries && (state === "done" || name === "again"))
		write(verbs.go, state === "failed" ? "Try again" : "Go on")
		write(verbs.dream, kind === "photo" ? "Use as the photo" : "Dream the dream")
		verbs.stop.disabled = state === "stopping"
		write(notes, lines.join(" "))
		notes.hidden = !lines.length
		// To those who do not see the bar: a change at once, progress now and then.
		const tells = `${id} ${state} ${runs && Math.floor(done * 4)}`
		if (tells !== told && state !== "item") say(runs ? `${heading(job)}: ${line(job)}` : line(job))
		told = tells
	}
	return { show }
}

// The list: what runs, what waits in its order, what can go on, and what ended, newest first.
export function List(box, page) {
	let rows = new Map()
	const list = make("ol.jobs"), [summary] = box.children
	box.append(make("div", list))
	box.onkeydown = event => {
		if (event.key !== "Escape") return
		box.open = false
		summary.focus()
	}
	document.addEventListener("pointerdown", event => { if (!box.contains(event.target)) box.open = false })

	function draw(job, place, count) {
		const { id, state, kind, photo, layer } = job, does = (verb, value) => () => act(job, verb, value), waits = state === "waiting"
		const verbs = [[place > 0, "↑", "Move up", does("move", { to: place - 1 })], [waits && place < count - 1, "↓", "Move down", does("move", { to: place + 1 })],
			[state === "dreaming", "Stop", "Stop", does("stop")], [state === "stopped", "Go on", "Go on", does("go")],
			[state === "failed", "Try again", "Try again", does("go")],
			[["stopped", "done"].includes(state) && kind !== "try", "Again", "Again, with another seed", () => page.repeat(job)],
			[waits, "Cancel", "Cancel", does("remove")], [!waits && !active(job), "Remove", "Remove", does("remove")]]
		const text = make("span.line"), bar = make("progress", { ariaLabel: "Progress", hidden: !active(job) })
		const name = button(`${photo} · ${kind === "try" ? "all layers" : layer || "usual layer"}`, () => page.follow(job), { className: "name" })
		return { text, bar, element: make("li", { "data-id": id, "data-state": state }, name, text, bar, make("span.row", ...verbs.filter(([on]) => on)
			.map(([, text, label, go]) => button(text, go, { ariaLabel: `${label}: ${photo}` })))) }
	}

	function show(jobs) {
		const are = (...states) => jobs.filter(job => states.includes(job.state)), waiting = are("waiting"), running = jobs.filter(active)
		const count = running.length + waiting.length, now = new Map()
		box.hidden = !jobs.length
		write(summary, count ? `Queue · ${count}` : "Queue")
		for (const job of [...running, ...waiting, ...are("stopped"), ...are("failed", "done").reverse().slice(0, 20)]) {
			const place = waiting.indexOf(job), key = `${job.id} ${job.state} ${place} ${waiting.length}`, one = rows.get(key) ?? draw(job, place, waiting.length)
			now.set(key, one)
			write(one.text, line(job))
			one.bar.value = job.done
		}
		if ([...now.keys()].join() !== [...rows.keys()].join()) list.replaceChildren(...[...now.values()].map(one => one.element))
		rows = now
	}
	return { show }
}
