// The studio's page. The server owns the state and sends it over a socket; a page's own is only what it looks at and what
// is chosen for the next dream.

import { ask, link, listen, part, post, upload } from "./api.js"
import { films } from "./films.js"
import { FIELDS, fields, follow, form, plan, set, video } from "./form.js"
import { Gallery, download } from "./gallery.js"
import { Go, how } from "./how.js"
import { List, Now, act, active, heading } from "./jobs.js"
import { where } from "./mask.js"
import { mirror } from "./mirror.js"
import { Stage, button, make } from "./stage.js"
import { towards } from "./towards.js"
import { What } from "./what.js"
import { fail, keep, kept, plural, say, size, stem, toast, write } from "./words.js"

const $ = id => document.getElementById(id)
// Not image/*: given a list without HEIC, an iPhone converts its photos to JPEG by itself.
const PICTURES = "image/jpeg,image/png,image/webp,image/gif,image/tiff,image/bmp,image/avif"
const VIDEOS = "video/mp4,video/quicktime,video/webm,video/x-matroska,.mkv"
const VIDEO = /\.(mp4|m4v|mov|mkv|webm|avi|mpe?g|m?ts|wmv|flv|ogv)$/i
const LOST = "The connection is lost. The studio goes on dreaming; this page tries again by itself."
const LOCKED = "The studio was started again. Open the address it printed."
const NAME = document.title

const stage = Stage($("stage"))
let models, state = { jobs: [] }, what, go, now, list, gallery
// On the stage: {photo: true}, {job: id, ids: [those that were asked for together]}, {item: of the gallery}, or null
let shown = kept("shown")

// -- addresses

// A file keeps its address while the page lives: by it the stage knows what is painted on which photo.
const versions = new Map()
const know = ({ name, version }) => versions.has(name) || versions.set(name, version)
const file = (kind, name, more = "") => `/${kind}/${part(name)}?v=${part(versions.get(name) ?? "")}${more}`
const find = async name => name && ((await ask(`/gallery?search=${part(name)}`)).items.find(item => item.name === name) ?? ask(`/blank/${part(name)}`))
// The photo or video that a file was made of, if it is still in the folder.
const source = async ({ name, photo }) => find(photo ?? (await ask(`/details/${part(name)}`)).photo)

// -- what is on the stage

function look(at) {
	shown = at
	render()
}

function play(name, alt) {
	const end = name.split(".").pop().toLowerCase()
	stage.play(file("file", name), ["gif", "webp"].includes(end) ? `image/${end}` : "video/mp4", alt)
}

// A picture; `of`: the photo that it is compared with.
function still({ name, words = `The photo ${name}`, width, height, of }) {
	const view = name => file("view", name), full = name => file("view", name, "&full=1"), before = of ?? name, after = of && name
	return stage.show({ before: view(before), after: after && view(after), full: { before: full(before), after: after && full(after) }, alt: words, width, height })
}

function drawItem(item) {
	if (["film", "video"].includes(item.kind)) play(item.name, item.words)
	else still(item)
	if (item.kind !== "dream" || item.of !== undefined) return
	item.of = null   // asked once: a dream is shown beside its photo, if that has the same proportions
	source(item).then(photo => {
		if (!photo || shown?.item !== item || Math.abs(photo.width / photo.height - item.width / item.height) > .02) return
		know(photo)
		item.of = photo.name
		render()
	}, () => null)
}

function drawJob({ id, photo, output, kind, state, layer, preview, size }) {
	const alt = `${photo}, ${state === "done" ? "dreamed" : "dreaming"}: ${layer || "animals"}`
	const { width, height } = form.photos.find(one => one.name === photo) ?? { width: size?.[1], height: size?.[0] }
	if (state === "done" && kind === "film") play(output, alt)
	else if (state === "done" && kind === "dream") still({ name: output, of: photo, words: alt, width, height })
	else {
		if (!VIDEO.test(photo)) still({ name: photo, width, height })
		stage.live(preview ? `/preview/${id}?v=${preview}` : null, alt)
	}
}

function drawPhoto(photo) {
	if (video()) return play(photo.name, photo.name)
	still(photo)
	stage.live(null)
}

// Which job is looked at, after what has changed.
function current() {
	const { jobs } = state, again = jobs.find(job => job.id > shown?.after)   // false while nothing is awaited
	if (again) shown = { job: again.id }
	let job = jobs.find(one => one.id === shown?.job)
	if (job) shown.seen = true   // before that, the server has not told of it yet
	if (job && !["done", "failed"].includes(job.state)) return job
	// Of several asked for together, the one that dreams is shown.
	const next = shown?.ids && jobs.find(one => active(one) && shown.ids.includes(one.id))
	if (next) job = next
	if (job) shown = { ...shown, job: job.id, output: job.state === "done" ? job.output : null, kind: job.kind }
	else if (shown?.seen && state.server) shown = shown.output ? { item: { name: shown.output, kind: shown.kind } } : { photo: true }   // it has left the list
	return job
}

function render() {
	const job = current(), { jobs } = state, running = jobs.find(active)
	if (shown?.photo && !form.photos.length) shown = null
	if (!shown) stage.clear()
	else if (job) drawJob(job)
	else if (shown.item) drawItem(shown.item)
	else if (form.photos.length) drawPhoto(form.photos[0])
	keep("shown", shown)
	$("start").hidden = !!shown
	$("stage").hidden = $("open-new").hidden = !shown
	if (!models) return
	const item = shown?.item
	now.show(job ?? (item ? { state: "item", kind: item.kind, output: item.name, words: item.words || item.name } : running))
	list.show(jobs)
	what.jobs(jobs)
	notices()
	const main = job && active(job) ? job : running
	document.title = main ? heading(main) : NAME
}

function notices() {
	const { disk, queue_full, warnings = [] } = state, why = { lost: LOST, locked: LOCKED }[link.state]
	const lines = [why, ...warnings, disk?.full && `The disk is nearly full: ${size(disk.free)} are free. Delete something, then the queue goes on.`].filter(Boolean)
	if ($("notices").textContent !== lines.join("")) $("notices").replaceChildren(...lines.map(line => make("p", line)))
	go.block("link", why && "There is no connection to the studio.")
	go.block("disk", disk?.full && "The disk is nearly full.")
	go.block("queue", queue_full && "The queue is full. Wait, or cancel something in it.")
}

// -- photos in

function choose(photos) {
	photos.forEach(know)
	stage.mask.end()
	set({ photos: photos.map(({ name, width, height, version, kind }) => ({ name, width, height, version, kind })) })
	look({ photo: true })
}

// Why a file need not be sent at all.
function refused({ name, type, size: bytes }) {
	const moves = type.startsWith("video/") || VIDEO.test(name), most = models.limits[moves ? "video" : "picture"]
	if (bytes > most) return `it has ${size(bytes)}, and at most ${size(most)} are allowed`
	return moves && !models.films.mp4 ? "videos need ffmpeg (./provision.sh film installs it)" : ""
}

// Sends files one after the other, each with a line of its own; uses those that arrived.
let sending = 0
async function take(files, use) {
	const arrived = [], rows = files.map(one => {
		const bar = make("progress", { value: 0, ariaLabel: `Sending ${one.name}` }), line = make("span", one.name)
		const row = make("li", line, bar, button("×", () => row.remove(), { ariaLabel: `Dismiss ${one.name}` }))
		$("uploads").append(row)
		return { one, row, bar, line }
	})
	const count = step => {
		sending += step
		go.block("sending", sending && `Sending ${plural(sending, "file")} …`)
	}
	count(rows.length)
	for (const { one, row, bar, line } of rows) {
		try {
			const why = refused(one)
			if (why) throw new Error(why)
			// A pasted picture is called image.png.
			arrived.push(await upload(one, one.name.replace(/^image\.(png|jpe?g)$/, "photo.$1"), share => bar.value = share))
			row.remove()
		} catch (error) {
			row.className = "wrong"
			bar.remove()
			line.textContent = error.message.includes(one.name) ? error.message : `${one.name}: ${error.message}`
			say(line.textContent)
		}
		count(-1)
	}
	if (arrived.length) use ? use(arrived[0]) : choose(arrived)
}

function doors() {
	const { films: can, limits, samples } = models, holds = event => [...event.dataTransfer?.types ?? []].includes("Files")
	$("file").accept = can.mp4 ? `${PICTURES},${VIDEOS}` : PICTURES
	for (const input of [$("file"), $("camera")]) input.onchange = () => {
		take([...input.files])
		input.value = ""   // so that the same file can be chosen again
	}
	const drag = on => document.body.toggleAttribute("data-drag", on)
	addEventListener("dragleave", event => event.relatedTarget || drag(false))
	for (const name of ["dragover", "drop"]) addEventListener(name, event => {
		if (!holds(event)) return
		event.preventDefault()
		drag(name === "dragover")
		if (name === "drop") take([...event.dataTransfer.files])
	})
	addEventListener("paste", ({ clipboardData: data }) => data?.files.length && take([...data.files]))
	$("limits").textContent += ` At most ${size(limits.picture)} a picture${can.mp4 ? `, ${size(limits.video)} a video` : ""}.`
	$("samples").append(...samples.map(name => {
		const src = `/samples/${part(name)}`, image = make("img", { src, alt: "", width: 160, height: 104, onerror: () => image.remove() })
		return make("li", make("button", image, make("span", stem(name)), { onclick: () => find(name).then(there => there ?? post(src)).then(photo => {
			choose([photo])
			$("dream").focus()
		}, fail) }))
	}))
}

// -- dreaming

async function dream() {
	const names = form.photos.map(photo => photo.name), body = fields()
	go.block("asking", "One moment …")
	try {
		if (names.length === 1 && !stage.mask.empty && stage.key === file("view", names[0]))
			Object.assign(body, await ask("/masks", { method: "PUT", body: await stage.mask.png() }))
		stage.mask.end()
		const { ids } = await post("/dreams", { ...body, ...(names.length > 1 ? { photos: names } : { photo: names[0] }) })
		$("panel").dataset.sheet = "closed"   // on a phone: now the picture is what counts
		look({ job: ids[0], ids })
	} catch (error) {
		fail(error)
	}
	go.block("asking", "")
}

// The form of a dream. A film's kind is not in a recipe, but in the name and in whether it zooms.
const recipeOf = ({ form: recipe = {}, kind, name }) => kind === "film"
	? { ...recipe, film: name.split(".").pop().toLowerCase(), steps: !recipe.zoom } : recipe

const page = {
	choose: item => choose([item]),
	follow: job => look({ job: job.id }),
	show(item) {
		know(item)
		stage.mask.end()
		look({ item: { ...item, words: item.words || item.name } })
	},
	// The new job has the next number: the state will show it.
	async repeat(job) {
		const after = Math.max(...state.jobs.map(one => one.id))
		if (await act(job, "again")) look({ ...shown, after })
	},
	// Does something with the picture that came out of a job.
	async use({ output, size }, act) {
		const [height, width] = size ?? []
		act(await find(output).catch(() => null) ?? { name: output, kind: "dream", width, height })
	},
	menu: (item, near) => gallery.menu(item, near),
	// A recipe fills the form; its photo only if none is chosen, its mask only if that photo is.
	async fill(details) {
		const recipe = recipeOf(details), [chosen] = form.photos, photo = chosen ?? await source(details).catch(() => null)
		set({ ...Object.fromEntries(FIELDS.map(name => [name, recipe[name]])), make: recipe.zoom ? "zoom" : recipe.steps ? "steps" : "picture" })
		if (photo && !chosen) choose([photo])
		else look({ photo: true })
		toast(`The choices are those of ${details.name}.${photo ? "" : " Now choose a photo."}`)
		if (recipe.mask && photo?.name === recipe.photo && !video() && await still(photo)) await stage.mask.load(`/masks/${recipe.mask}`).catch(fail)
	},
	async again(details) {
		const { seed, ...recipe } = recipeOf(details), photo = await source(details)
		if (!photo) throw new Error("The photo of this dream is not in the folder. Choose one, then use “Dream like this”.")
		if (photo.kind === "video") delete recipe.steps
		const { ids } = await post("/dreams", { ...recipe, photo: photo.name })
		look({ job: ids[0] })
	},
	// Deleted, or called otherwise now.
	gone(name, to) {
		const { photos, guide } = form, now = item => item.name === name ? to && { ...item, name: to } : item
		set({ photos: photos.map(now).filter(Boolean), guide: guide === name ? to : guide })
		if (shown?.item?.name === name || shown?.output === name) shown = to ? { item: { ...shown.item, name: to, kind: shown.item?.kind ?? shown.kind } } : { photo: true }
		render()
	},
	drawn(items, total) {
		for (const item of items) {   // a dream that grew, or another one of its name, has another address
			if (form.photos.some(photo => photo.name === item.name)) know(item)
			else versions.set(item.name, item.version)
		}
		$("shelf").hidden = !total
		render()
	},
}

// -- the panel

function tabs() {
	const panel = $("panel"), all = [...$("tabs").children], choices = $("choices"), wide = matchMedia("(min-width: 760px)")
	const mark = name => {
		panel.dataset.tab = name
		for (const one of all) one.ariaCurrent = one.dataset.tab === name
	}
	for (const one of all) one.onclick = () => {
		const name = one.dataset.tab, again = panel.dataset.tab === name
		mark(name)
		if (wide.matches) {
			$(name).scrollIntoView()
			$(`${name}-title`).focus({ preventScroll: true })
		} else {   // a sheet: its tab closes it, too
			panel.dataset.sheet = again && choices.offsetHeight ? "closed" : "open"
			choices.scrollTop = 0
		}
	}
	choices.addEventListener("scroll", () => {
		const top = choices.scrollTop + 80
		if (wide.matches) mark(all.findLast(one => $(one.dataset.tab).offsetTop - choices.offsetTop <= top)?.dataset.tab ?? "what")
	}, { passive: true })
	mark("what")
}

// Which photo the button dreams: on the stage may be another picture.
function subject() {
	const image = make("img", { alt: "", width: 36, height: 36 }), name = button("", () => look({ photo: true }), { className: "name" })
	const box = make("div", { id: "subject" }, image, name, button("×", () => {
		set({ photos: [] })
		render()
	}, { ariaLabel: "Take another photo" }))
	$("foot").append(box)
	follow(() => {
		const { photos, photos: [first] } = form
		box.hidden = !first
		if (!first) return
		write(name, photos.length > 1 ? `${photos.length} photos: ${photos.map(photo => photo.name).join(", ")}` : `${first.name} · ${first.width} × ${first.height}`)
		if (image.getAttribute("src") !== file("thumb", first.name)) image.src = file("thumb", first.name)
	})
}

function build() {
	what = What($("what"), models)
	where($("where"), stage)
	towards($("towards"), { take, pick: use => gallery.browse(use), thumb: name => file("thumb", name), accept: PICTURES })
	how($("how"), models, what)
	films($("how"), models)
	subject()
	go = Go($("foot"), dream)
	now = Now($("now"), page)
	list = List($("queue"), page)
	gallery = Gallery($("strip"), $("gallery"), page)
	$("open-gallery").onclick = $("shelf-all").onclick = () => gallery.browse()
	$("open-mirror").onclick = () => mirror($("mirror"), models)
	$("open-new").onclick = () => {
		look(null)
		$("file").focus()
	}
	doors()
	tabs()
}

function news({ detail: fresh }) {
	const running = fresh.jobs.find(active)
	if (!state.server && running) shown ??= { job: running.id }   // a new page looks at what dreams, as all others do
	state = fresh
	write($("folder"), fresh.folder)
	gallery.news(fresh.gallery)
	render()
}

// A film that this browser cannot play becomes its first picture; a dream whose photo is gone, itself.
function broken({ detail: url }) {
	const item = shown?.item ?? (shown?.output ? { name: shown.output } : form.photos[0])
	if (!item || url === file("view", item.name)) return
	still(item)
	if (url.startsWith("/file/")) toast(`This browser cannot play ${item.name}.`, "Download", () => download(item))
}

async function start() {
	form.photos.forEach(know)
	while (!models) {
		models = await ask("/models").catch(error => write($("notices"), link.state === "locked" ? LOCKED : error.message))
		if (!models) await new Promise(wait => setTimeout(wait, 2000))
	}
	build()
	document.body.dataset.ready = ""
	link.addEventListener("news", news)
	link.addEventListener("state", render)
	$("stage").addEventListener("say", event => say(event.detail))
	$("stage").addEventListener("broken", broken)
	render()
	plan()
	listen()
}

start()
