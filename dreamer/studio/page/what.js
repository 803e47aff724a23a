// What to dream: a tile with a real dream for each look and each layer, a search over names and words, and a line of text
// for channels and sums. The tiles can also show this photo ("Try all on my photo").

import { part, post } from "./api.js"
import { events, form, known, set } from "./form.js"
import { button, make } from "./stage.js"
import { fail, say, write } from "./words.js"

const COLUMNS = 9   // of the sprite, in the order of the model's layers

export class What {
  constructor(panel, models) {
    this.panel = panel
    this.models = models.models
    this.usable = this.models.filter(model => model.weights)
    this.tried = null   // {key, count}: tiles of this photo
    this.search = make("input", { type: "search", placeholder: "Search: eyes, fur, 4c …", aria: { "aria-label": "Search what to dream" },
      oninput: () => this.filter() })
    this.model = make("select", { onchange: () => set({ model: this.model.value, layer: null }), aria: { "aria-label": "Model" } },
      ...this.usable.map(model => make("option", { value: model.name, textContent: model.name })))
    this.model.hidden = this.usable.length < 2
    this.tiles = make("div", { className: "tiles", aria: { role: "radiogroup", "aria-label": "What to dream" } })
    this.tiles.addEventListener("keydown", event => this.keys(event))
    this.none = make("p", { className: "hint", textContent: "Nothing has such a name or such words.", hidden: true })
    this.try = button("Try all on my photo", () => this.tryAll())
    this.chosen = make("p", { className: "hint chosen" })
    panel.append(...this.missing(), make("div", { className: "row" }, this.search, this.model), this.chosen, this.tiles, this.none,
      make("div", { className: "row" }, this.try), this.typing())
    events.addEventListener("form", () => this.show())
    events.addEventListener("plan", () => this.wrong())
    this.show()
  }

  missing() {
    if (!this.usable.length) {
      return [make("p", { className: "note", textContent: this.models[0]?.missing
        ?? "No model has its weights, so nothing can dream. Run ./provision.sh in the project's folder, and start the studio again." })]
    }
    return this.models.filter(model => !model.weights).map(model => make("p", { className: "note", textContent:
      `${this.usable[0].name} dreams, because ${model.missing ?? `${model.name} has no weights.`}` }))
  }

  // Channels and sums, as on the command line.
  typing() {
    this.text = make("input", { type: "text", id: "layer-text", placeholder: "inception_4c/output:56", spellcheck: false, autocapitalize: "off",
      autocomplete: "off", oninput: () => set({ layer: this.text.value.trim() }), aria: { "aria-describedby": "layer-wrong" } })
    this.error = make("p", { className: "wrong", id: "layer-wrong", hidden: true })
    this.more = make("details", {}, make("summary", { textContent: "Channels and sums" }),
      make("label", { htmlFor: "layer-text", textContent: "Layer, as text" }), this.text, this.error,
      make("p", { className: "hint", textContent:
        "NAME:56 is one channel, NAME:3,7-9 some of them. NAME*0.3+NAME is a sum, and NAME*-1 leads away. * and ? stand for any letters." }))
    return this.more
  }

  get current() { return this.usable.find(model => model.name === form.model) ?? this.usable[0] }

  // ---- the tiles ----

  show() {
    const model = this.current
    if (!model) {
      this.try.disabled = true
      return
    }
    if (model !== this.drawn) this.draw(model)
    this.model.value = model.name
    const name = form.layer ?? this.start(model)
    let found = null
    for (const tile of this.all()) {
      const on = tile.dataset.layer === name
      tile.setAttribute("aria-checked", on)
      tile.tabIndex = on ? 0 : -1
      if (on) found = tile
    }
    if (!found && this.tiles.firstElementChild) (this.all().find(tile => !tile.hidden) ?? this.all()[0]).tabIndex = 0
    if (document.activeElement !== this.text) this.text.value = found ? "" : form.layer ?? ""
    if (!found && form.layer) this.more.open = true
    write(this.chosen, found ? found.dataset.words : `Channels or a sum: ${name}`)
    this.try.disabled = !form.photos.length || form.photos[0].kind === "video"
  }

  // What is chosen when nobody has chosen: the model's own layer, by its look's name if it has one.
  start(model) { return model.looks.find(look => look.layer === model.layer)?.name ?? model.layer }

  all() { return [...this.tiles.querySelectorAll("[role=radio]")] }

  draw(model) {
    this.drawn = model
    const rows = Math.ceil(model.layers.length / COLUMNS), places = new Map(model.layers.map((layer, at) => [layer.name, at]))
    const words = new Map(model.layers.map(layer => [layer.name, layer.words ?? ""]))
    const tile = (name, layer, caption) => {
      const picture = make("span", { className: "picture-of" }), at = places.get(layer)
      if (model.tiles && at !== undefined) {
        picture.style.backgroundImage = `url("/tiles/${part(model.name)}.webp")`
        picture.style.backgroundSize = `${COLUMNS * 100}% ${rows * 100}%`
        picture.style.backgroundPosition = `${at % COLUMNS / (COLUMNS - 1) * 100}% ${Math.floor(at / COLUMNS) / Math.max(rows - 1, 1) * 100}%`
      }
      const text = words.get(layer) || layer
      const one = make("button", { type: "button", className: model.tiles ? "tile" : "tile plain", title: `${name}: ${text}`, tabIndex: -1,
        aria: { role: "radio", "aria-checked": "false", "aria-label": `${name}: ${text}` },
        onclick: () => set({ layer: name === this.start(model) ? null : name }) },
        picture, make("span", { className: "caption", textContent: caption }))
      Object.assign(one.dataset, { layer: name, of: layer, words: name === layer ? `${text} · ${name}` : text,
        find: `${name} ${layer} ${text}`.toLowerCase() })
      return one
    }
    const looks = model.looks.map(look => tile(look.name, look.layer, look.name))
    const layers = model.layers.map(layer => tile(layer.name, layer.name, layer.words || layer.name))
    const heading = text => make("h3", { textContent: text, className: "of-tiles" })
    this.tiles.replaceChildren(...(looks.length ? [heading("Looks"), ...looks] : []),
      heading(`All ${layers.length} layers, from lines to whole animals`), ...layers)
    this.fill()
    this.filter()
  }

  filter() {
    const sought = this.search.value.toLowerCase().split(/\s+/).filter(Boolean)
    let shown = 0
    for (const tile of this.all()) {
      tile.hidden = !sought.every(word => tile.dataset.find.includes(word))
      shown += !tile.hidden
    }
    for (const heading of this.tiles.querySelectorAll("h3")) heading.hidden = sought.length > 0
    this.none.hidden = shown > 0 || !this.current
    if (sought.length) say(`${shown} tiles`)
  }

  // Left and right go along, up and down to the tile above or below; as in every group of radio buttons, this chooses.
  keys(event) {
    const tiles = this.all().filter(tile => !tile.hidden), at = tiles.indexOf(document.activeElement)
    if (at < 0) return
    const near = step => {
      const here = tiles[at].getBoundingClientRect()
      const rows = tiles.filter(tile => step * (tile.getBoundingClientRect().top - here.top) > here.height / 2)
      const away = tile => Math.abs(tile.getBoundingClientRect().top - here.top) * 100 + Math.abs(tile.getBoundingClientRect().left - here.left)
      return rows.sort((a, b) => away(a) - away(b))[0]
    }
    const to = { ArrowRight: () => tiles[at + 1], ArrowLeft: () => tiles[at - 1], ArrowDown: () => near(1), ArrowUp: () => near(-1),
      Home: () => tiles[0], End: () => tiles.at(-1) }[event.key]
    if (!to) return
    event.preventDefault()
    const tile = to()
    tile?.focus()
    tile?.click()
  }

  wrong() {
    const typed = Boolean(this.text.value)
    const lines = typed ? (known.plan?.errors ?? []).filter(line => line.startsWith("layer")) : []
    this.error.hidden = !lines.length
    write(this.error, lines.join("\n"))
    this.text.setAttribute("aria-invalid", lines.length > 0)
  }

  // ---- all layers on this photo ----

  async tryAll() {
    try {
      await post("/dreams", { kind: "try", photo: form.photos[0].name, model: this.current.name })
      say("All layers dream on your photo. The tiles change as they come.")
    } catch (error) {
      fail(error)
    }
  }

  // From the server's jobs: the newest try of this photo with this model.
  jobs(jobs) {
    const job = jobs.filter(job => job.kind === "try" && job.key && job.photo === form.photos[0]?.name
      && (job.model ?? this.usable[0]?.name) === this.current?.name).at(-1)
    const tried = job ? { key: job.key, count: job.tried ?? 0 } : null
    const busy = job && ["waiting", "dreaming"].includes(job.state)
    write(this.try, busy ? `Trying: ${job.tried ?? 0} of ${this.current.layers.length}` : "Try all on my photo")
    if (tried?.key === this.tried?.key && tried?.count === this.tried?.count) return
    this.tried = tried
    this.fill()
  }

  fill() {
    const ready = new Set(this.tried ? this.drawn?.layers.slice(0, this.tried.count).map(layer => layer.name) : [])
    for (const tile of this.all()) {
      const picture = tile.firstElementChild, url = ready.has(tile.dataset.of) ? `/tried/${part(this.tried.key)}/${part(tile.dataset.of)}` : ""
      const image = picture.firstElementChild
      if ((image?.getAttribute("src") ?? "") === url) continue
      if (!url) image.remove()
      else picture.replaceChildren(make("img", { src: url, alt: "", loading: "lazy", onerror: event => event.target.remove() }))
    }
  }
}
