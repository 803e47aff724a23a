// The folder: a strip of pictures below the stage, all of them in a dialog, and what one can do with each.

import { ask, part, post } from "./api.js"
import { segments } from "./films.js"
import { button, clamp, make } from "./stage.js"
import { fail, plural, say, size, toast, write } from "./words.js"

const PAGE = 60
const AHEAD = 800   // pixels: the next page is fetched before one sees the end
const MOVES = ["film", "video"]

// A list of pictures that grows by a page when one scrolls near its end. A thumbnail is fetched, and a tile laid out, only when
// it comes near (loading=lazy, content-visibility): 20,000 files are not slower than 60.
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

  // The first pages again, because something in the folder changed; what was fetched beyond them stays.
  async refresh(fresh = false) {
    const turn = ++this.turn, page = await this.ask(0, !fresh && this.items.length > PAGE ? 2 * PAGE : PAGE)
    if (!page || turn !== this.turn) return
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
    const { name, version, kind, words } = item, menu = () => this.acts.menu(item, more)
    const broken = make("span.broken", "cannot be read")
    const image = make("img", { loading: "lazy", decoding: "async", alt: words || name, width: 96, height: 96, src: `/thumb/${part(name)}?v=${part(version)}`,
      onerror: () => image.replaceWith(broken) })
    const open = make("button.open", { title: name, tabIndex: -1, onclick: () => this.acts.open(item) }, kind === "unreadable" ? broken : image)
    const more = make("button.more", "⋯", { tabIndex: -1, ariaLabel: `More about ${name}`, ariaHasPopup: "menu", onclick: menu })
    const tile = make("li.thumb", { "data-name": name, oncontextmenu: event => {
      event.preventDefault()
      menu()
    } }, open, more, make("span.label", name, { ariaHidden: "true" }))
    if (MOVES.includes(kind)) tile.append(make("span.badge", "▶", { ariaHidden: "true" }))
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
  // page: {show(item), choose(item), fill(details), again(details), gone(name, to), drawn(items, total)}
  constructor(strip, dialog, page) {
    Object.assign(this, { dialog, page, version: null, pick: null })
    const acts = { open: item => this.open(item), menu: (item, near) => this.menu(item, near), remove: item => this.remove(item) }
    const count = make("p.hint")
    this.title = make("h2", { id: "gallery-title" })
    this.strip = new Shelf(strip, { ...acts, drawn: ({ items, total }) => page.drawn(items, total) }, true)
    this.grid = new Shelf(make("ul.grid"), { ...acts, drawn: ({ total }) => write(count, total ? plural(total, "picture") : "Nothing here yet.") }, false)
    let timer
    const seek = values => {
      clearTimeout(timer)
      Object.assign(this.grid, values)
      timer = setTimeout(() => this.grid.refresh(true), 200)
    }
    const kinds = segments("kind", "Show", [["all", "All"], ["dreams", "Dreams"], ["photos", "Photos"], ["films", "Films"]], kind => seek({ kind }))
    kinds.querySelector("input").checked = true
    dialog.append(make("header", this.title, kinds, make("input", { type: "search", placeholder: "Search", ariaLabel: "Search names and words",
      oninput: event => seek({ search: event.target.value.trim() }) }), button("Close", () => dialog.close())), this.grid.list, count)
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
    const entry = (text, act, away) => box.append(button(text, async () => {
      box.hidePopover()
      if (away) this.dialog.close()
      await Promise.resolve(act()).catch(fail)
    }, { tabIndex: -1, role: "menuitem" }))
    const told = (text, act, away) => entry(text, async () => act(await this.details(item)), away), { kind, recipe } = item
    if (kind !== "unreadable") {
      entry("Show", () => this.page.show(item), true)
      if (!["film", "sheet"].includes(kind)) entry(recipe ? "Dream the dream" : "Use as the photo", () => this.page.choose(item), true)
    }
    if (recipe) {
      told("Dream like this", details => this.page.fill(details), true)
      told("Again, with another seed", details => this.page.again(details), true)
      told("Copy the command", details => this.copy(details.command))
    }
    entry("Download", () => download(item))
    told("Details", details => this.tell(item, details))
    entry("Rename …", () => this.rename(item))
    entry("Delete", () => this.remove(item))
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

  async remove({ name }) {
    const answer = await post(`/files/${part(name)}/delete`).catch(fail)
    if (!answer) return
    this.page.gone(name)
    toast(`Deleted ${name}`, "Undo", () => post(`/trash/${part(answer.undo)}/restore`).then(back => say(`${back.name} is back`), fail))
  }

  rename({ name }) {
    const input = make("input", { type: "text", value: name, maxLength: 150, id: "new-name", autocomplete: "off" })
    const wrong = make("p.wrong", { role: "alert" })
    const card = this.card(`Rename ${name}`, make("form", { onsubmit: async event => {
      event.preventDefault()
      try {
        if (input.value !== name) this.page.gone(name, (await post(`/files/${part(name)}/rename`, { to: input.value })).name)
        card.close()
      } catch (error) {
        wrong.textContent = error.message
      }
    } }, make("label", "New name", { htmlFor: "new-name" }), input, wrong,
    make("div.row.end", button("Cancel", () => card.close()), make("button.main", "Rename", { type: "submit" }))))
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
      this.card("The command that makes the same dream", make("p.hint", "Copy it with Ctrl+C (⌘C)."), text)
      text.select()
    }
  }

  tell(item, seen) {
    const rows = { Kind: seen.kind, Size: seen.width && `${seen.width} × ${seen.height} pixels`, "On the disk": item.bytes && size(item.bytes),
      Changed: item.time && new Date(item.time * 1000).toLocaleString(), "What it shows": seen.words, "Cannot be read": seen.error, ...seen.form }
    const list = make("dl", ...Object.entries(rows).filter(([, value]) => value).flatMap(([name, value]) =>
      [make("dt", name.replaceAll("_", " ")), make("dd", String(value))]))
    const command = seen.command ? [make("pre", seen.command, { tabIndex: 0 }), button("Copy the command", () => this.copy(seen.command))] : []
    this.card(item.name, list, ...command)
  }

  card(title, ...content) {
    const card = make("dialog.card", { onclose: () => card.remove(), ariaLabel: title },
      make("header", make("h2", title), button("Close", () => card.close())), ...content)
    document.body.append(card)
    card.showModal()
    return card
  }
}

export function download({ name }) {
  make("a", { href: `/file/${part(name)}?download=1`, download: name }).click()
}
