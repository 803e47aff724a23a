// The folder: a strip below the stage, all pictures in a dialog, and what one can do with each.

import { ask, part, post } from "./api.js"
import { segments } from "./films.js"
import { button, clamp, make } from "./stage.js"
import { fail, plural, say, size, toast, write } from "./words.js"

const PAGE = 60
const AHEAD = 800   // pixels: the next page is fetched before one sees the end
const MOVES = ["film", "video"]

// A list of pictures that grows when one scrolls near its end. Only what is near is fetched and laid out (loading=lazy,
// content-visibility): 20,000 files are not slower than 60.
function Shelf(list, across, { open, menu, remove, show }) {
	let items = [], total = 0, kind = "all", search = "", turn = 0, last, busy = false, tiles = new Map()
	const fetch = (start, count) => ask(`/gallery?start=${start}&count=${count}&kind=${kind}&search=${part(search)}`).catch(() => null)

	// The first pages again, because the folder changed; what was fetched beyond them, or is on its way, stays, unless `fresh`:
	// then others are wanted.
	async function refresh(fresh = false) {
		if (fresh) turn++
		const mine = turn, own = last = {}, page = await fetch(0, !fresh && items.length > PAGE ? 2 * PAGE : PAGE)
		if (!page || mine !== turn || own !== last) return
		take(page, page.items, fresh ? [] : items.slice(page.items.length))
		if (fresh) list.scrollTo(0, 0)
	}

	async function more() {
		const { scrollLeft, scrollTop, scrollWidth, scrollHeight, clientWidth, clientHeight } = list
		const left = across ? scrollWidth - clientWidth - scrollLeft : scrollHeight - clientHeight - scrollTop
		if (busy || items.length >= total || left > AHEAD || !clientWidth) return
		busy = true
		const mine = turn, page = await fetch(items.length, PAGE)
		busy = false
		if (page && mine === turn) take(page, items, page.items, !page.items.length)
	}

	// `first` and those of `then` that it does not have: files may come and go between two pages.
	function take(page, first, then, ends = false) {
		const names = new Set(first.map(item => item.name))
		items = [...first, ...then.filter(item => !names.has(item.name))].slice(0, page.total)
		total = ends ? items.length : page.total
		draw()
		more()
	}

	function draw() {
		const now = new Map(items.map(item => [`${item.name}\n${item.version}\n${item.kind}`, item]))
		for (const [key, item] of now) now.set(key, tiles.get(key) ?? tile(item))
		for (const [key, old] of tiles) if (!now.has(key)) old.remove()
		tiles = now
		let before = list.firstElementChild
		for (const one of tiles.values()) {   // moves only what is new, so that the focus stays
			if (one === before) before = before.nextElementSibling
			else list.insertBefore(one, before)
		}
		if (!list.querySelector("[tabindex='0']")) rove(list.firstElementChild)
		show(items, total)
	}

	function tile(item) {
		const { name, version, kind, words } = item, broken = make("span.broken", "cannot be read"), tabIndex = -1
		const image = make("img", { loading: "lazy", decoding: "async", alt: words || name, width: 96, height: 96, src: `/thumb/${part(name)}?v=${part(version)}`,
			onerror: () => image.replaceWith(broken) })
		const more = button("⋯", () => menu(item, more), { className: "more", tabIndex, ariaLabel: `More about ${name}`, ariaHasPopup: "menu" })
		return make("li.thumb", { "data-name": name, oncontextmenu: event => {
			event.preventDefault()
			menu(item, more)
		} }, make("button.open", { title: name, tabIndex, onclick: () => open(item) }, kind === "unreadable" ? broken : image), more,
		make("span.label", name, { ariaHidden: "true" }), MOVES.includes(kind) ? make("span.badge", "▶", { ariaHidden: "true" }) : "")
	}

	// One stop for the Tab key, however many pictures there are; arrow keys go on.
	function rove(tile) {
		for (const one of list.querySelectorAll("[tabindex='0']")) one.tabIndex = -1
		for (const one of tile?.querySelectorAll("button") ?? []) one.tabIndex = 0
	}

	list.addEventListener("scroll", more, { passive: true })
	list.addEventListener("focusin", event => rove(event.target.closest("li")))
	list.onkeydown = event => {
		const tile = event.target.closest("li"), all = [...list.children]
		const row = across ? 1 : Math.max(Math.round(list.clientWidth / tile.offsetWidth), 1)
		const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row }[event.key]
		if (step) all[all.indexOf(tile) + step]?.querySelector("button").focus()
		else if (event.key === "Delete") remove({ name: tile.dataset.name })
		else return
		event.preventDefault()
	}
	return {
		refresh,
		seek(values) {
			({ kind, search } = { kind, search, ...values })
			refresh(true)
		},
	}
}

export const download = ({ name }) => make("a", { href: `/file/${part(name)}?download=1`, download: name }).click()

// page: {show(item), choose(item), fill(details), again(details), gone(name, to), drawn(items, total)}
export function Gallery(strip, dialog, page) {
	let version, pick, soon, seeking
	const acts = { open, menu, remove }, count = make("p.hint"), title = make("h2", { id: "gallery-title" }), list = make("ul.grid")
	const shelf = Shelf(strip, true, { ...acts, show: page.drawn })
	const grid = Shelf(list, false, { ...acts, show: (items, total) => write(count, total ? plural(total, "picture") : "Nothing here yet.") })
	const seek = values => {
		clearTimeout(seeking)
		seeking = setTimeout(() => grid.seek(values), 200)
	}
	const kinds = segments("kind", "Show", [["all", "All"], ["dreams", "Dreams"], ["photos", "Photos"], ["films", "Films"]], kind => seek({ kind }))
	kinds.querySelector("input").checked = true
	dialog.append(make("header", title, kinds, make("input", { type: "search", placeholder: "Search", ariaLabel: "Search names and words",
		oninput: event => seek({ search: event.target.value.trim() }) }), button("Close", () => dialog.close())), list, count)

	// `now`: the server's count of changes.
	function news(now) {
		if (now === version) return
		version = now
		clearTimeout(soon)
		soon = setTimeout(() => {
			shelf.refresh()
			if (dialog.open) grid.refresh()
		}, 300)
	}

	// All pictures; with `use`, one is to be chosen.
	function browse(use) {
		pick = use
		write(title, pick ? "Choose a guide" : "Gallery")
		dialog.showModal()
		grid.refresh(true)
	}

	function open(item) {
		const use = dialog.open && pick || page.show
		dialog.close()
		use(item)
	}

	function menu(item, near) {
		document.getElementById("menu")?.remove()
		const { name, kind, recipe } = item, box = make("div", { id: "menu", popover: "auto", role: "menu", ariaLabel: name })
		const entry = (text, act, away) => box.append(button(text, async () => {
			box.hidePopover()
			if (away) dialog.close()
			await Promise.resolve(act()).catch(fail)
		}, { tabIndex: -1, role: "menuitem" }))
		const told = (text, act, away) => entry(text, async () => act({ ...await ask(`/details/${part(name)}`), name }), away)
		if (kind !== "unreadable") {
			entry("Show", () => page.show(item), true)
			if (!["film", "sheet"].includes(kind)) entry(recipe ? "Dream the dream" : "Use as the photo", () => page.choose(item), true)
		}
		if (recipe) {
			told("Dream like this", page.fill, true)
			told("Again, with another seed", page.again, true)
			told("Copy the command", details => copy(details.command))
		}
		entry("Download", () => download(item))
		told("Details", details => tell(item, details))
		entry("Rename …", () => rename(item))
		entry("Delete", () => remove(item))
		box.addEventListener("toggle", event => {
			if (event.newState === "open") return
			if (box.contains(document.activeElement)) near.focus()
			box.remove()
		})
		box.onkeydown = event => {
			const all = [...box.children], at = all.indexOf(document.activeElement)
			if (event.key === "Tab") box.hidePopover()
			const to = { ArrowDown: all[(at + 1) % all.length], ArrowUp: all.at(at - 1), Home: all[0], End: all.at(-1) }[event.key]
			if (!to) return
			event.preventDefault()
			to.focus()
		}
		;(near.closest("dialog") ?? document.body).append(box)
		box.showPopover()
		const { left, bottom } = near.getBoundingClientRect()
		box.style.left = `${clamp(left, 8, innerWidth - box.offsetWidth - 8)}px`
		box.style.top = `${clamp(bottom + 4, 8, innerHeight - box.offsetHeight - 8)}px`
		box.firstElementChild.focus()
	}

	async function remove({ name }) {
		const answer = await post(`/files/${part(name)}/delete`).catch(fail)
		if (!answer) return
		page.gone(name)
		toast(`Deleted ${name}`, "Undo", () => post(`/trash/${part(answer.undo)}/restore`).then(back => say(`${back.name} is back`), fail))
	}

	function rename({ name }) {
		const input = make("input", { type: "text", value: name, maxLength: 150, id: "new-name", autocomplete: "off" })
		const wrong = make("p.wrong", { role: "alert" })
		const box = card(`Rename ${name}`, make("form", { onsubmit: async event => {
			event.preventDefault()
			try {
				if (input.value !== name) page.gone(name, (await post(`/files/${part(name)}/rename`, { to: input.value })).name)
				box.close()
			} catch (error) {
				wrong.textContent = error.message
			}
		} }, make("label", "New name", { htmlFor: "new-name" }), input, wrong,
		make("div.row.end", button("Cancel", () => box.close()), make("button.main", "Rename", { type: "submit" }))))
		input.focus()
		input.setSelectionRange(0, name.lastIndexOf("."))
	}

	// navigator.clipboard is there only over https and on localhost; elsewhere the text is shown, selected.
	async function copy(command) {
		if (!command) throw new Error("This picture does not say how it was made.")
		try {
			await navigator.clipboard.writeText(command)
			toast("Copied. Paste it into a terminal.")
		} catch {
			const text = make("textarea", { readOnly: true, value: command, rows: 5, ariaLabel: "The command" })
			card("The command that makes the same dream", make("p.hint", "Copy it with Ctrl+C (⌘C)."), text)
			text.select()
		}
	}

	function tell({ name, bytes, time }, { kind, width, height, words, error, form, command }) {
		const rows = { Kind: kind, Size: width && `${width} × ${height} pixels`, "On the disk": bytes && size(bytes),
			Changed: time && new Date(time * 1000).toLocaleString(), "What it shows": words, "Cannot be read": error, ...form }
		card(name, make("dl", ...Object.entries(rows).filter(([, value]) => value).flatMap(([name, value]) =>
			[make("dt", name.replaceAll("_", " ")), make("dd", String(value))])),
		...command ? [make("pre", command, { tabIndex: 0 }), button("Copy the command", () => copy(command))] : [])
	}

	function card(title, ...content) {
		const box = make("dialog.card", { onclose: () => box.remove(), ariaLabel: title },
			make("header", make("h2", title), button("Close", () => box.close())), ...content)
		document.body.append(box)
		box.showModal()
		return box
	}

	return { news, browse, menu }
}
