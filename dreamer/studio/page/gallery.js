// The folder: a strip of pictures below the stage, all of them in a dialog, and what one can do with each.

import { ask, part, post } from "./api.js"
import { button, make } from "./stage.js"
import { fail, plural, say, size, toast, write } from "./words.js"

const PAGE = 60
const AHEAD = 800   // pixels: the next page is fetched before one sees the end

export const thumb = item => `/thumb/${part(item.name)}${item.version ? `?v=${part(item.version)}` : ""}`

// A list of pictures that grows by a page when one scrolls near its end. The browser fetches a thumbnail, and lays a tile out,
// only when it comes near (loading=lazy, content-visibility): a folder of 20,000 files is not slower than one of 60.
class Shelf {
  constructor(list, acts, across) {
    Object.assign(this, { list, acts, across, items: [], total: 0, kind: "all", search: "", turn: 0, tiles: new Map() })
    const scroller = this.scroller = list
    scroller.addEventListener("scroll", () => this.more(), { passive: true })
    list.addEventListener("keydown", event => this.keys(event))
    list.addEventListener("focusin", event => this.rove(event.target.closest("li")))
  }

  // The first page again, because something in the folder changed; what was fetched beyond it stays.
  async refresh(fresh = false) {
    const turn = ++this.turn
    const page = await this.ask(0, this.items.length > PAGE && !fresh ? 2 * PAGE : PAGE).catch(() => null)
    if (!page || turn !== this.turn) return
    const names = new Set(page.items.map(item => item.name))
    const beyond = fresh ? [] : this.items.slice(page.items.length).filter(item => !names.has(item.name))
    this.items = [...page.items, ...beyond].slice(0, page.total)
    this.total = page.total
    this.draw()
    if (fresh) this.scroller.scrollTo(0, 0)
    this.more()
  }

  ask(start, count) { return ask(`/gallery?start=${start}&count=${count}&kind=${this.kind}&search=${part(this.search)}`) }

  async more() {
    const { scrollLeft, scrollTop, scrollWidth, scrollHeight, clientWidth, clientHeight } = this.scroller
    const left = this.across ? scrollWidth - clientWidth - scrollLeft : scrollHeight - clientHeight - scrollTop
    if (this.busy || this.items.length >= this.total || left > AHEAD || !clientWidth) return
    this.busy = true
    const turn = this.turn
    const page = await this.ask(this.items.length, PAGE).catch(() => null)
    this.busy = false
    if (!page || turn !== this.turn) return
    const names = new Set(this.items.map(item => item.name))   // files may have come or gone between two pages
    this.items.push(...page.items.filter(item => !names.has(item.name)))
    this.total = page.items.length ? page.total : this.items.length
    this.draw()
    this.more()
  }

  draw() {
    const tiles = new Map()
    for (const item of this.items) {
      const key = `${item.name}\n${item.version}\n${item.kind}`
      tiles.set(key, this.tiles.get(key) ?? this.tile(item))
    }
    for (const [key, tile] of this.tiles) if (!tiles.has(key)) tile.remove()
    this.tiles = tiles
    let before = this.list.firstElementChild
    for (const tile of tiles.values()) {   // moves only what is new: what one has the focus on stays
      if (tile === before) before = before.nextElementSibling
      else this.list.insertBefore(tile, before)
    }
    if (!this.list.querySelector("[tabindex='0']")) this.rove(this.list.firstElementChild)
    this.acts.drawn?.(this)
  }

  tile(item) {
    const words = item.words || item.name
    const image = make("img", { loading: "lazy", decoding: "async", alt: words, src: thumb(item), width: 96, height: 96 })
    image.onerror = () => image.replaceWith(make("span", { className: "broken", textContent: "cannot be read" }))
    const open = make("button", { type: "button", className: "open", title: item.name, tabIndex: -1, onclick: () => this.acts.open(item) },
      item.kind === "unreadable" ? make("span", { className: "broken", textContent: "cannot be read" }) : image)
    const menu = button("⋯", () => this.acts.menu(item, menu), { "aria-label": `More about ${item.name}`, "aria-haspopup": "menu" })
    menu.className = "more"
    menu.tabIndex = -1
    const tile = make("li", { className: `thumb ${item.kind}` }, open, menu,
      ...(["film", "video"].includes(item.kind) ? [make("span", { className: "badge", textContent: "▶", aria: { "aria-hidden": "true" } })] : []),
      make("span", { className: "label", textContent: item.name, aria: { "aria-hidden": "true" } }))
    tile.dataset.name = item.name
    tile.addEventListener("contextmenu", event => {
      event.preventDefault()
      this.acts.menu(item, menu)
    })
    return tile
  }

  // One stop for the Tab key, however many pictures there are; arrow keys go on.
  rove(tile) {
    if (!tile) return
    for (const one of this.list.querySelectorAll("[tabindex='0']")) one.tabIndex = -1
    for (const one of tile.querySelectorAll("button")) one.tabIndex = 0
  }

  keys(event) {
    const tile = event.target.closest("li")
    const columns = this.across ? 1 : Math.max(Math.round(this.list.clientWidth / tile.offsetWidth), 1), all = [...this.list.children]
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key]
    if (event.key === "Delete") this.acts.remove(this.items.find(item => item.name === tile.dataset.name))
    else if (step) all[all.indexOf(tile) + step]?.querySelector("button").focus()
    else return
    event.preventDefault()
  }
}

export class Gallery {
  // page: {show(item), choose(item), fill(details), again(details)} of studio.js
  constructor(strip, dialog, page) {
    Object.assign(this, { dialog, page, version: null, picking: null })
    const acts = { open: item => this.open(item), menu: (item, near) => this.menu(item, near), remove: item => this.remove(item) }
    this.strip = new Shelf(strip, { ...acts, drawn: shelf => this.page.drawn(shelf.items, shelf.total) }, true)
    this.count = make("p", { className: "hint" })
    this.title = make("h2", { id: "gallery-title", textContent: "Gallery" })
    this.grid = new Shelf(make("ul", { className: "grid" }), { ...acts, drawn: shelf => write(this.count, shelf.total
      ? plural(shelf.total, "picture") : "Nothing here yet.") }, false)
    const search = make("input", { type: "search", placeholder: "Search", aria: { "aria-label": "Search names and words" } })
    let timer
    search.oninput = () => {
      clearTimeout(timer)
      timer = setTimeout(() => {
        this.grid.search = search.value.trim()
        this.grid.refresh(true)
      }, 250)
    }
    const kinds = make("div", { className: "segments", aria: { role: "radiogroup", "aria-label": "Show" } },
      ...[["all", "All"], ["dreams", "Dreams"], ["photos", "Photos"], ["films", "Films"]].map(([kind, text]) => make("label", {},
        make("input", { type: "radio", name: "kind", value: kind, checked: kind === "all", onchange: () => {
          this.grid.kind = kind
          this.grid.refresh(true)
        } }), make("span", { textContent: text }))))
    dialog.setAttribute("aria-labelledby", "gallery-title")
    dialog.append(make("header", {}, this.title, kinds, search, button("Close", () => dialog.close())), this.grid.list, this.count)
    dialog.addEventListener("close", () => this.picking = null)
  }

  // The server's number of changes: fetch again when it has grown.
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
  browse(pick = null) {
    this.picking = pick
    write(this.title, pick ? "Choose a guide" : "Gallery")
    this.dialog.showModal()
    this.grid.refresh(true)
  }

  open(item) {
    const pick = this.picking
    if (this.dialog.open) this.dialog.close()
    if (pick) pick(item)
    else this.page.show(item)
  }

  async details(item) { return { ...await ask(`/details/${part(item.name)}`), name: item.name } }

  // ---- the menu of a picture ----

  menu(item, near) {
    document.getElementById("menu")?.remove()
    const box = make("div", { id: "menu", popover: "auto", aria: { role: "menu", "aria-label": item.name } })
    const entry = (text, act) => make("button", { type: "button", textContent: text, tabIndex: -1, aria: { role: "menuitem" }, onclick: async () => {
      box.hidePopover()
      await Promise.resolve(act()).catch(fail)
    } })
    const picture = item.kind !== "unreadable", dreamed = item.recipe || item.kind === "dream"
    const away = act => () => {
      if (this.dialog.open) this.dialog.close()
      return act()
    }
    if (picture) box.append(entry("Show", away(() => this.page.show(item))))
    if (picture && item.kind !== "film" && item.kind !== "sheet") {
      box.append(entry(dreamed ? "Dream the dream" : "Use as the photo", away(() => this.page.choose(item))))
    }
    if (item.recipe) {
      box.append(entry("Dream like this", away(async () => this.page.fill(await this.details(item)))),
        entry("Again, with another seed", away(async () => this.page.again(await this.details(item)))),
        entry("Copy the command", async () => this.copy((await this.details(item)).command)))
    }
    box.append(entry("Download", () => download(item)), entry("Details", async () => this.tell(item, await this.details(item))),
      entry("Rename …", () => this.rename(item)), entry("Delete", () => this.remove(item)))
    box.addEventListener("toggle", event => {
      if (event.newState === "closed") {
        if (box.contains(document.activeElement) || document.activeElement === document.body) near.focus()
        box.remove()
      }
    })
    box.addEventListener("keydown", event => {
      const all = [...box.children], at = all.indexOf(document.activeElement)
      const to = { ArrowDown: all[(at + 1) % all.length], ArrowUp: all.at(at - 1), Home: all[0], End: all.at(-1) }[event.key]
      if (event.key === "Tab") box.hidePopover()
      if (!to) return
      event.preventDefault()
      to.focus()
    })
    ;(near.closest("dialog") ?? document.body).append(box)
    box.showPopover()
    const at = near.getBoundingClientRect()
    box.style.left = `${Math.max(Math.min(at.left, innerWidth - box.offsetWidth - 8), 8)}px`
    box.style.top = `${Math.max(Math.min(at.bottom + 4, innerHeight - box.offsetHeight - 8), 8)}px`
    box.firstElementChild.focus()
  }

  async remove(item) {
    try {
      const { undo } = await post(`/files/${part(item.name)}/delete`)
      this.page.gone(item.name)
      toast(`Deleted ${item.name}`, "Undo", () => post(`/trash/${part(undo)}/restore`).then(({ name }) => say(`${name} is back`), fail))
    } catch (error) {
      fail(error)
    }
  }

  rename(item) {
    const input = make("input", { type: "text", value: item.name, maxLength: 150, id: "new-name", autocomplete: "off" })
    const wrong = make("p", { className: "wrong", hidden: true, aria: { role: "alert" } })
    const form = make("form", { method: "dialog", onsubmit: async event => {
      event.preventDefault()
      try {
        if (input.value !== item.name) await post(`/files/${part(item.name)}/rename`, { to: input.value })
        this.page.renamed(item.name, input.value)
        card.close()
      } catch (error) {
        wrong.hidden = false
        wrong.textContent = error.message
        input.focus()
      }
    } }, make("label", { htmlFor: "new-name", textContent: "New name" }), input, wrong,
    make("div", { className: "row end" }, button("Cancel", () => card.close()), make("button", { className: "main", textContent: "Rename" })))
    const card = this.card(`Rename ${item.name}`, form)
    input.focus()
    input.setSelectionRange(0, item.name.lastIndexOf(".") > 0 ? item.name.lastIndexOf(".") : item.name.length)
  }

  // navigator.clipboard is there only over https and on localhost; elsewhere the text is shown, selected.
  async copy(command) {
    if (!command) throw new Error("This picture does not say how it was made.")
    try {
      await navigator.clipboard.writeText(command)
      toast("Copied. Paste it into a terminal.")
    } catch {
      const text = make("textarea", { readOnly: true, value: command, rows: 5, aria: { "aria-label": "The command" } })
      this.card("The command that makes the same dream", make("p", { className: "hint", textContent: "Copy it with Ctrl+C (⌘C)." }), text)
      text.focus()
      text.select()
    }
  }

  tell(item, seen) {
    const rows = [["Name", item.name], ["Kind", seen.kind], ["Size", seen.width ? `${seen.width} × ${seen.height} pixels` : ""],
      ["On the disk", item.bytes === undefined ? "" : size(item.bytes)], ["Changed", item.time ? new Date(item.time * 1000).toLocaleString() : ""],
      ["What it shows", seen.words], ["Cannot be read", seen.error],
      ...Object.entries(seen.form ?? {}).map(([name, value]) => [name.replaceAll("_", " "), String(value)])]
    const list = make("dl", {}, ...rows.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", { textContent: value })]))
    const parts = [list]
    if (seen.command) parts.push(make("pre", { textContent: seen.command, tabIndex: 0 }), make("div", { className: "row" }, button("Copy the command", () => this.copy(seen.command).catch(fail))))
    this.card(item.name, ...parts)
  }

  card(title, ...content) {
    const card = make("dialog", { className: "card", aria: { "aria-labelledby": "card-title" } },
      make("header", {}, make("h2", { id: "card-title", textContent: title }), button("Close", () => card.close())), ...content)
    card.addEventListener("close", () => card.remove())
    document.body.append(card)
    card.showModal()
    return card
  }
}

export function download(item) {
  make("a", { href: `/file/${part(item.name)}?download=1`, download: item.name }).click()
}
