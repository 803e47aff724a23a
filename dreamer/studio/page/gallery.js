// The folder: a strip of pictures below the stage, all of them in a dialog, and what one can do with each.

import { ask, part, post } from "./api.js"
import { segments } from "./films.js"
import { button, make } from "./stage.js"
import { fail, plural, say, size, toast, write } from "./words.js"

const PAGE = 60
const AHEAD = 800   // pixels: the next page is fetched before one sees the end
const MOVES = ["film", "video"]

// A list of pictures that grows by a page when one scrolls near its end. The browser fetches a thumbnail, and lays a tile out,
// only when it comes near (loading=lazy, content-visibility): a folder of 20,000 files is not slower than one of 60.
class Shelf {
  constructor(list, acts, across) {
    Object.assign(this, { list, acts, across, items: [], total: 0, kind: "all", search: "", turn: 0, tiles: new Map() })
    list.addEventListener("scroll", () => this.more(), { passive: true })
    list.addEventListener("keydown", event => this.keys(event))
    list.addEventListener("focusin", event => this.rove(event.target.closest("li")))
  }

  ask(start, count) {
    return ask(`/gallery?start=${start}&count=${count}&kind=${this.kind}&search=${part(this.search)}`).catch(() => null)
  }

  // The first pages again, because something in the folder changed; what was fetched beyond them stays, and what is on its
  // way is not dropped: while the studio looks into a large folder, something changes all the time. `fresh`: others are asked for.
  async refresh(fresh = false) {
    if (fresh) this.turn++
    const { turn } = this, last = this.last = {}, page = await this.ask(0, !fresh && this.items.length > PAGE ? 2 * PAGE : PAGE)
    if (!page || turn !== this.turn || last !== this.last) return
    this.take(page, page.items, fresh ? [] : this.items.slice(page.items.length))
    if (fresh) this.list.scrollTo(0, 0)
  }

  async more() {
    const { scrollLeft, scrollTop, scrollWidth, scrollHeight, clientWidth, clientHeight } = this.list
    const left = this.across ? scrollWidth - clientWidth - scrollLeft : scrollHeight - clientHeight - scrollTop
    if (this.busy || this.items.length >= this.total || left > AHEAD || !clientWidth) return
    this.busy = true
    const turn = this.turn, page = await this.ask(this.items.length, PAGE)
    this.busy = false
    if (page && turn === this.turn) this.take(page, this.items, page.items, !page.items.length)
  }

  // `first` and those of `then` that it does not have: files may come and go between two pages.
  take({ total }, first, then, ends = false) {
    const names = new Set(first.map(item => item.name))
    this.items = [...first, ...then.filter(item => !names.has(item.name))].slice(0, total)
    this.total = ends ? this.items.length : total
    this.draw()
    this.more()
  }

  draw() {
    const tiles = new Map(this.items.map(item => [`${item.name}\n${item.version}\n${item.kind}`, item]))
    for (const [key, item] of tiles) tiles.set(key, this.tiles.get(key) ?? this.tile(item))
    for (const [key, tile] of this.tiles) if (!tiles.has(key)) tile.remove()
    this.tiles = tiles
    let before = this.list.firstElementChild
    for (const tile of tiles.values()) {   // moves only what is new, so that the focus stays
      if (tile === before) before = before.nextElementSibling
      else this.list.insertBefore(tile, before)
    }
    if (!this.list.querySelector("[tabindex='0']")) this.rove(this.list.firstElementChild)
    this.acts.drawn(this)
  }

  tile(item) {
    const broken = make("span", { className: "broken", textContent: "cannot be read" })
    const image = make("img", { loading: "lazy", decoding: "async", alt: item.words || item.name, width: 96, height: 96, src: `/thumb/${part(item.name)}?v=${part(item.version)}`,
      onerror: () => image.replaceWith(broken) })
    const open = make("button", { type: "button", className: "open", title: item.name, tabIndex: -1, onclick: () => this.acts.open(item) },
      item.kind === "unreadable" ? broken : image)
    const more = make("button", { type: "button", className: "more", textContent: "⋯", tabIndex: -1, ariaLabel: `More about ${item.name}`, ariaHasPopup: "menu",
      onclick: () => this.acts.menu(item, more) })
    const tile = make("li", { className: "thumb", oncontextmenu: event => {
      event.preventDefault()
      this.acts.menu(item, more)
    } }, open, more, make("span", { className: "label", textContent: item.name, ariaHidden: "true" }))
    if (MOVES.includes(item.kind)) tile.append(make("span", { className: "badge", textContent: "▶", ariaHidden: "true" }))
    tile.item = item
    return tile
  }

  // One stop for the Tab key, however many pictures there are; arrow keys go on.
  rove(tile) {
    for (const one of this.list.querySelectorAll("[tabindex='0']")) one.tabIndex = -1
    for (const one of tile?.querySelectorAll("button") ?? []) one.tabIndex = 0
  }

  keys(event) {
    const tile = event.target.closest("li"), all = [...this.list.children]
    const row = this.across ? 1 : Math.max(Math.round(this.list.clientWidth / tile.offsetWidth), 1)
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row }[event.key]
    if (step) all[all.indexOf(tile) + step]?.querySelector("button").focus()
    else if (event.key === "Delete") this.acts.remove(tile.item)
    else return
    event.preventDefault()
  }
}

export class Gallery {
  // page: {show(item), choose(item), fill(details), again(details), gone(name), renamed(name, to), drawn(items, total)}
  constructor(strip, dialog, page) {
    Object.assign(this, { dialog, page, version: null, pick: null })
    const acts = { open: item => this.open(item), menu: (item, near) => this.menu(item, near), remove: item => this.remove(item) }
    this.strip = new Shelf(strip, { ...acts, drawn: ({ items, total }) => page.drawn(items, total) }, true)
    this.count = make("p", { className: "hint" })
    this.title = make("h2", { id: "gallery-title" })
    this.grid = new Shelf(make("ul", { className: "grid" }), { ...acts, drawn: ({ total }) => write(this.count, total ? plural(total, "picture") : "Nothing here yet.") }, false)
    let timer
    const seek = values => {
      clearTimeout(timer)
      Object.assign(this.grid, values)
      timer = setTimeout(() => this.grid.refresh(true), 200)
    }
    const kinds = segments("kind", "Show", [["all", "All"], ["dreams", "Dreams"], ["photos", "Photos"], ["films", "Films"]], kind => seek({ kind }))
    kinds.querySelector("input").checked = true
    dialog.append(make("header", {}, this.title, kinds, make("input", { type: "search", placeholder: "Search", ariaLabel: "Search names and words",
      oninput: event => seek({ search: event.target.value.trim() }) }), button("Close", () => dialog.close())), this.grid.list, this.count)
  }

  // The server's count of changes: fetch again when it has grown.
  news(version) {
    if (version === this.version) return
    this.version = version
    clearTimeout(this.timer)
    this.timer = setTimeout(() => {
      this.strip.refresh()
      if (this.dialog.open) this.grid.refresh()
    }, 300)
  }

  // All pictures; with `pick`, one is to be chosen.
  browse(pick) {
    this.pick = pick
    write(this.title, pick ? "Choose a guide" : "Gallery")
    this.dialog.showModal()
    this.grid.refresh(true)
  }

  open(item) {
    const use = this.dialog.open && this.pick || this.page.show
    this.dialog.close()
    use(item)
  }

  async details(item) { return { ...await ask(`/details/${part(item.name)}`), name: item.name } }

  // ---- the menu of a picture ----

  menu(item, near) {
    document.getElementById("menu")?.remove()
    const box = make("div", { id: "menu", popover: "auto", role: "menu", ariaLabel: item.name })
    const entry = (text, act, away = true) => box.append(make("button", { type: "button", textContent: text, tabIndex: -1, role: "menuitem", onclick: async () => {
      box.hidePopover()
      if (away) this.dialog.close()
      await Promise.resolve(act()).catch(fail)
    } }))
    if (item.kind !== "unreadable") {
      entry("Show", () => this.page.show(item))
      if (!["film", "sheet"].includes(item.kind)) entry(item.recipe ? "Dream the dream" : "Use as the photo", () => this.page.choose(item))
    }
    if (item.recipe) {
      entry("Dream like this", async () => this.page.fill(await this.details(item)))
      entry("Again, with another seed", async () => this.page.again(await this.details(item)))
      entry("Copy the command", async () => this.copy((await this.details(item)).command), false)
    }
    entry("Download", () => download(item), false)
    entry("Details", async () => this.tell(item, await this.details(item)), false)
    entry("Rename …", () => this.rename(item), false)
    entry("Delete", () => this.remove(item), false)
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
    box.style.left = `${Math.max(Math.min(left, innerWidth - box.offsetWidth - 8), 8)}px`
    box.style.top = `${Math.max(Math.min(bottom + 4, innerHeight - box.offsetHeight - 8), 8)}px`
    box.firstElementChild.focus()
  }

  async remove({ name }) {
    const answer = await post(`/files/${part(name)}/delete`).catch(fail)
    if (!answer) return
    this.page.gone(name)
    toast(`Deleted ${name}`, "Undo", () => post(`/trash/${part(answer.undo)}/restore`).then(back => say(`${back.name} is back`), fail))
  }

  rename({ name }) {
    const input = make("input", { type: "text", value: name, maxLength: 150, id: "new-name", autocomplete: "off" }), wrong = make("p", { className: "wrong", role: "alert" })
    const card = this.card(`Rename ${name}`, make("form", { onsubmit: async event => {
      event.preventDefault()
      try {
        if (input.value !== name) this.page.renamed(name, (await post(`/files/${part(name)}/rename`, { to: input.value })).name)
        card.close()
      } catch (error) {
        wrong.textContent = error.message
      }
    } }, make("label", { htmlFor: "new-name", textContent: "New name" }), input, wrong,
    make("div", { className: "row end" }, button("Cancel", () => card.close()), make("button", { className: "main", textContent: "Rename" }))))
    input.focus()
    input.setSelectionRange(0, name.lastIndexOf("."))
  }

  // navigator.clipboard is there only over https and on localhost; elsewhere the text is shown, selected.
  async copy(command) {
    if (!command) throw new Error("This picture does not say how it was made.")
    try {
      await navigator.clipboard.writeText(command)
      toast("Copied. Paste it into a terminal.")
    } catch {
      const text = make("textarea", { readOnly: true, value: command, rows: 5, ariaLabel: "The command" })
      this.card("The command that makes the same dream", make("p", { className: "hint", textContent: "Copy it with Ctrl+C (⌘C)." }), text)
      text.select()
    }
  }

  tell(item, seen) {
    const rows = { Kind: seen.kind, Size: seen.width && `${seen.width} × ${seen.height} pixels`, "On the disk": item.bytes && size(item.bytes),
      Changed: item.time && new Date(item.time * 1000).toLocaleString(), "What it shows": seen.words, "Cannot be read": seen.error, ...seen.form }
    const list = make("dl", {}, ...Object.entries(rows).filter(([, value]) => value).flatMap(([name, value]) =>
      [make("dt", { textContent: name.replaceAll("_", " ") }), make("dd", { textContent: String(value) })]))
    const command = seen.command ? [make("pre", { textContent: seen.command, tabIndex: 0 }), button("Copy the command", () => this.copy(seen.command))] : []
    this.card(item.name, list, ...command)
  }

  card(title, ...content) {
    const card = make("dialog", { className: "card", onclose: () => card.remove(), ariaLabel: title },
      make("header", {}, make("h2", { textContent: title }), button("Close", () => card.close())), ...content)
    document.body.append(card)
    card.showModal()
    return card
  }
}

export function download({ name }) {
  make("a", { href: `/file/${part(name)}?download=1`, download: name }).click()
}
