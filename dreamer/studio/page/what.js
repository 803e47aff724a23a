// What to dream: a tile with a real dream for each look and each layer, a search over names and words, and a line of text
// for channels and sums. The tiles can also show this photo ("Try all on my photo").

import { part, post } from "./api.js"
import { follow, form, known, set } from "./form.js"
import { button, make } from "./stage.js"
import { fail, say, write } from "./words.js"

const COLUMNS = 9   // of the sprite, in the order of the model's layers

export class What {
  constructor(panel, { models }) {
    this.usable = models.filter(model => model.weights)
    this.search = make("input", { type: "search", placeholder: "Search: eyes, fur, 4c …", ariaLabel: "Search what to dream", oninput: () => this.filter() })
    this.model = make("select", { ariaLabel: "Model", hidden: this.usable.length < 2, onchange: () => set({ model: this.model.value, layer: null }) },
      ...this.usable.map(model => make("option", { value: model.name, textContent: model.name })))
    this.tiles = make("div.tiles", { role: "radiogroup", ariaLabel: "What to dream", onkeydown: event => this.keys(event) })
    this.none = make("p.hint", "Nothing has such a name or such words.")
    this.try = button("Try all on my photo", () => this.tryAll())
    this.words = make("p.hint.chosen")
    // Channels and sums, as on the command line.
    this.text = make("input", { type: "text", id: "layer-text", placeholder: "inception_4c/output:56", spellcheck: false, autocapitalize: "off", autocomplete: "off",
      oninput: () => set({ layer: this.text.value.trim() }), aria: { "aria-describedby": "layer-wrong" } })
    this.error = make("p.wrong", { id: "layer-wrong" })
    this.more = make("details", make("summary", "Channels and sums"),
      make("label", { htmlFor: "layer-text", textContent: "Layer, as text" }), this.text, this.error, make("p.hint", { textContent:
        "NAME:56 is one channel, NAME:3,7-9 some of them. NAME*0.3+NAME is a sum, and NAME*-1 leads away. * and ? stand for any letters." }))
    const first = this.usable[0]?.name
    panel.append(...models.filter(model => !model.weights).map(model => make("p.note", { textContent:
      `${first ? `${first} dreams, because ` : ""}${model.missing || `${model.name} has no weights`}` })),
      make("div.row", this.search, this.model), this.words, this.tiles, this.none, make("div.row", this.try), this.more)
    follow(() => this.show(), "form", "plan")
  }

  get current() { return this.usable.find(model => model.name === form.model) ?? this.usable[0] }
  get all() { return [...this.tiles.querySelectorAll("[role=radio]")] }

  // What is chosen when nobody has chosen: the model's own layer, by its look's name if it has one.
  get start() { return this.current?.looks.find(look => look.layer === this.current.layer)?.name ?? this.current?.layer }
  get name() { return form.layer ?? this.start }

  show() {
    const model = this.current
    this.try.disabled = !model || !form.photos.length || form.photos[0].kind === "video"
    if (!model) return
    if (model !== this.drawn) this.draw(model)
    this.model.value = model.name
    const tiles = this.all, found = tiles.find(tile => tile.dataset.layer === this.name)
    for (const tile of tiles) {
      tile.ariaChecked = tile === found
      tile.tabIndex = tile === (found ?? tiles[0]) ? 0 : -1
    }
    if (document.activeElement !== this.text) this.text.value = found ? "" : this.name
    if (!found) this.more.open = true
    write(this.words, found?.dataset.words ?? `Channels or a sum: ${this.name}`)
    const wrong = this.text.value ? (known.plan?.errors ?? []).filter(line => line.startsWith("layer")) : []
    this.text.ariaInvalid = wrong.length > 0
    this.error.hidden = !wrong.length
    write(this.error, wrong.join("\n"))
  }

  draw(model) {
    this.drawn = model
    const layers = new Map(model.layers.map((layer, at) => [layer.name, { at, words: layer.words || layer.name }])), rows = Math.ceil(layers.size / COLUMNS)
    const tile = (name, layer, caption) => {
      const picture = make("span.picture-of"), { at = 0, words = name } = layers.get(layer) ?? {}
      if (model.tiles) Object.assign(picture.style, { backgroundImage: `url("/tiles/${part(model.name)}.webp")`, backgroundSize: `${COLUMNS * 100}% ${rows * 100}%`,
        backgroundPosition: `${at % COLUMNS / (COLUMNS - 1) * 100}% ${Math.floor(at / COLUMNS) / Math.max(rows - 1, 1) * 100}%` })
      const one = make("button", { className: model.tiles ? "tile" : "tile plain", title: `${name}: ${words}`, role: "radio", ariaLabel: `${name}: ${words}`,
        onclick: () => set({ layer: name === this.start ? null : name }) }, picture, make("span.caption", caption))
      Object.assign(one.dataset, { layer: name, of: layer, words: name === layer ? `${words} · ${name}` : words, find: `${name} ${layer} ${words}`.toLowerCase() })
      return one
    }
    const heading = text => make("h3", { textContent: text, className: "of-tiles" })
    this.tiles.replaceChildren(heading("Looks"), ...model.looks.map(look => tile(look.name, look.layer, look.name)),
      heading(`All ${layers.size} layers, from lines to whole animals`), ...model.layers.map(layer => tile(layer.name, layer.name, layer.words || layer.name)))
    this.fill()
    this.filter()
  }

  filter() {
    const sought = this.search.value.toLowerCase().split(/\s+/).filter(Boolean)
    for (const tile of this.all) tile.hidden = !sought.every(word => tile.dataset.find.includes(word))
    for (const heading of this.tiles.querySelectorAll("h3")) heading.hidden = sought.length > 0
    const count = this.all.filter(tile => !tile.hidden).length
    this.none.hidden = count > 0 || !this.current
    if (sought.length) say(`${count} tiles`)
  }

  // Left and right go along, up and down to the nearest tile of the next row; as in every group of radio buttons, this chooses.
  keys(event) {
    const tiles = this.all.filter(tile => !tile.hidden), at = tiles.indexOf(document.activeElement), box = tile => tile.getBoundingClientRect()
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

  // ---- all layers on this photo ----

  tryAll() {
    post("/dreams", { kind: "try", photo: form.photos[0].name, model: this.current.name })
      .then(() => say("All layers dream on your photo. The tiles change as they come."), fail)
  }

  // From the server's jobs: the newest try of this photo with this model.
  jobs(jobs) {
    const job = jobs.filter(job => job.kind === "try" && job.photo === form.photos[0]?.name && (job.model ?? this.usable[0]?.name) === this.current?.name).at(-1)
    const busy = ["waiting", "dreaming"].includes(job?.state)
    write(this.try, busy ? `Trying: ${job.tried} of ${this.current.layers.length}` : "Try all on my photo")
    const tried = job ? `${job.key} ${job.tried}` : ""
    if (tried === this.last) return
    this.last = tried
    this.tried = job
    this.fill()
  }

  fill() {
    const ready = new Set(this.tried && this.drawn?.layers.slice(0, this.tried.tried).map(layer => layer.name))
    for (const { firstElementChild: picture, dataset: { of } } of this.all) {
      const url = ready.has(of) ? `/tried/${part(this.tried.key)}/${part(of)}` : ""
      if ((picture.firstElementChild?.getAttribute("src") ?? "") === url) continue
      picture.replaceChildren(...(url ? [make("img", { src: url, alt: "", loading: "lazy", onerror: event => event.target.remove() })] : []))
    }
  }
}
