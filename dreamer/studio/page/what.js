// What to dream: a tile with a real dream for each look and each layer (or of this photo: "Try all on my photo"), a search
// that also finds things, and a line for channels and sums.

import { part, post } from "./api.js"
import { follow, form, known, set } from "./form.js"
import { button, make, row } from "./stage.js"
import { fail, say, write } from "./words.js"

const COLUMNS = 9   // of the sprite, in the order of the model's layers

export function What(panel, { models }) {
	let drawn, tried, last
	const usable = models.filter(model => model.weights), first = usable[0]?.name
	const search = make("input", { type: "search", placeholder: "Search: eyes, fur, flamingo …", ariaLabel: "Search what to dream", oninput: filter })
	const choice = make("select", { ariaLabel: "Model", hidden: usable.length < 2, onchange: () => set({ model: choice.value, layer: null }) },
		...usable.map(({ name }) => new Option(name)))
	const words = make("p.hint.chosen"), tiles = make("div.tiles", { role: "radiogroup", ariaLabel: "What to dream", onkeydown: keys })
	const things = row(), none = make("p.hint", "Nothing has such a name or such words."), tries = button("Try all on my photo", tryAll)
	// Channels and sums, as on the command line.
	const text = make("input", { type: "text", id: "layer-text", placeholder: "inception_4c/output:56", spellcheck: false, autocapitalize: "off",
		autocomplete: "off", oninput: () => set({ layer: text.value.trim() }), "aria-describedby": "layer-wrong" })
	const error = make("p.wrong", { id: "layer-wrong" })
	const more = make("details", make("summary", "Channels and sums"), make("label", "Layer, as text", { htmlFor: text.id }), text, error,
		make("p.hint", "NAME:56 is one channel, NAME:3,7-9 some of them. NAME*0.3+NAME is a sum, and NAME*-1 leads away. * and ? stand for any letters."))
	const missing = models.filter(model => !model.weights).map(({ name, missing }) =>
		make("p.note", `${first ? `${first} dreams, because ` : ""}${missing || `${name} has no weights`}`))

	const what = {
		get current() { return usable.find(model => model.name === form.model) ?? usable[0] },
		get name() { return form.layer ?? start() },
		// From the server's jobs: the newest try of this photo with this model.
		jobs(jobs) {
			const photo = form.photos[0]?.name, name = what.current?.name
			const job = jobs.filter(job => job.kind === "try" && job.photo === photo && (job.model ?? first) === name).at(-1)
			write(tries, ["waiting", "dreaming"].includes(job?.state) ? `Trying: ${job.tried} of ${what.current.layers.length}` : "Try all on my photo")
			const now = job ? `${job.key} ${job.tried}` : ""
			if (now === last) return
			last = now
			tried = job
			fill()
		},
	}
	const all = () => [...tiles.querySelectorAll("[role=radio]")]
	// What is chosen when nobody has chosen: the model's own layer, by its look's name if it has one.
	const start = ({ looks, layer } = what.current ?? { looks: [] }) => looks.find(look => look.layer === layer)?.name ?? layer

	function show() {
		const model = what.current, [photo] = form.photos
		tries.disabled = !model || !photo || photo.kind === "video"
		if (!model) return
		if (model !== drawn) draw(model)
		choice.value = model.name
		const tiles = all(), found = tiles.find(tile => tile.dataset.layer === what.name)
		for (const tile of tiles) {
			tile.ariaChecked = tile === found
			tile.tabIndex = tile === (found ?? tiles[0]) ? 0 : -1
		}
		if (document.activeElement !== text) text.value = found ? "" : what.name
		if (!found) more.open = true
		write(words, found?.dataset.words ?? what.name.replace(/^class:/, "A thing: "))
		const wrong = text.value ? (known.plan?.errors ?? []).filter(line => line.startsWith("layer")) : []
		text.ariaInvalid = wrong.length > 0
		error.hidden = !wrong.length
		write(error, wrong.join("\n"))
	}

	function draw(model) {
		drawn = model
		const layers = new Map(model.layers.map(({ name, words }, at) => [name, { at, words: words || name }])), rows = Math.ceil(layers.size / COLUMNS)
		const tile = (name, layer, caption) => {
			const picture = make("span.picture-of"), { at = 0, words = name } = layers.get(layer) ?? {}, label = `${name}: ${words}`
			if (model.tiles) Object.assign(picture.style, { backgroundImage: `url("/tiles/${part(model.name)}.webp")`, backgroundSize: `${COLUMNS * 100}% ${rows * 100}%`,
				backgroundPosition: `${at % COLUMNS / (COLUMNS - 1) * 100}% ${Math.floor(at / COLUMNS) / Math.max(rows - 1, 1) * 100}%` })
			return make(model.tiles ? "button.tile" : "button.tile.plain", { title: label, role: "radio", ariaLabel: label,
				onclick: () => set({ layer: name === start() ? null : name }), "data-layer": name, "data-of": layer,
				"data-words": name === layer ? `${words} · ${name}` : words, "data-find": `${name} ${layer} ${words}`.toLowerCase() }, picture, make("span.caption", caption))
		}
		tiles.replaceChildren(make("h3.of-tiles", "Looks"), ...model.looks.map(({ name, layer }) => tile(name, layer, name)),
			make("h3.of-tiles", `All ${layers.size} layers, from lines to whole animals`), ...model.layers.map(({ name, words }) => tile(name, name, words || name)))
		fill()
		filter()
	}

	function filter() {
		const sought = search.value.toLowerCase().split(/\s+/).filter(Boolean)
		let count = 0
		for (const tile of all()) {
			tile.hidden = !sought.every(word => tile.dataset.find.includes(word))
			count += !tile.hidden
		}
		for (const heading of tiles.querySelectorAll("h3")) heading.hidden = sought.length > 0
		const named = sought.length && drawn ? drawn.classes.filter(all => sought.every(word => all.toLowerCase().includes(word))) : []
		things.replaceChildren(...named.slice(0, 20).map(all => button(all, () => set({ layer: `class:${all.split(", ")[0]}` }))))
		count += named.length
		none.hidden = count > 0 || !what.current
		if (sought.length) say(`${count} found`)
	}

	// Left and right go along, up and down to the next row; as in every group of radio buttons, this chooses.
	function keys(event) {
		const tiles = all().filter(tile => !tile.hidden), at = tiles.indexOf(document.activeElement), box = tile => tile.getBoundingClientRect()
		if (at < 0) return
		const { top, left, height } = box(tiles[at])
		const away = tile => Math.abs(box(tile).top - top) * 100 + Math.abs(box(tile).left - left)
		const near = step => tiles.filter(tile => step * (box(tile).top - top) > height / 2).sort((a, b) => away(a) - away(b))[0]
		const to = { ArrowRight: () => tiles[at + 1], ArrowLeft: () => tiles[at - 1], ArrowDown: () => near(1), ArrowUp: () => near(-1),
			Home: () => tiles[0], End: () => tiles.at(-1) }[event.key]
		if (!to) return
		event.preventDefault()
		const tile = to()
		tile?.focus()
		tile?.click()
	}

	function tryAll() {
		post("/dreams", { kind: "try", photo: form.photos[0].name, model: what.current.name })
			.then(() => say("All layers dream on your photo. The tiles change as they come."), fail)
	}

	function fill() {
		const ready = new Set(tried && drawn?.layers.slice(0, tried.tried).map(layer => layer.name))
		for (const { firstElementChild: picture, dataset: { of } } of all()) {
			const url = ready.has(of) ? `/tried/${part(tried.key)}/${part(of)}` : ""
			if ((picture.firstElementChild?.getAttribute("src") ?? "") !== url) picture.replaceChildren(
				url && make("img", { src: url, alt: "", loading: "lazy", onerror: event => event.target.remove() }))
		}
	}

	panel.append(...missing, row(search, choice), words, tiles, things, none, row(tries), more)
	follow(show)
	return what
}
