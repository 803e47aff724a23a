// How far: the numbers of a dream, and the one large button with what it will take.

import { events, form, known, moving, set } from "./form.js"
import { button, make } from "./stage.js"
import { size, time, write } from "./words.js"

// name, label, lowest, highest and step of the slider (the field beside it takes more), help
const SLIDERS = [
  ["iterations", "Iterations", 1, 60, 1, "Steps in each octave: more steps, a stronger dream."],
  ["octaves", "Octaves", 1, 8, 1, "Sizes at which to dream: more octaves, larger shapes."],
  ["scale", "Scale", 1.1, 2, .05, "How much larger each octave is than the one before."],
]
const FINE = [
  ["step_size", "Step size", .1, 6, .1, "Mean change of a pixel in each step, of 255."],
  ["jitter", "Jitter", 0, 64, 1, "Largest random shift in each step, in pixels. Without it, seams grow."],
]
const QUICK = 1280, LONG = 60   // pixels, seconds: a dream that takes longer is offered smaller

// A slider and a number field for one value. Empty: the program's own default, shown as if it were set.
export function slider([name, label, low, high, step, help], standard) {
  const range = make("input", { type: "range", min: low, max: high, step, aria: { "aria-label": label } })
  const number = make("input", { type: "number", id: `field-${name}`, step: "any", inputMode: "decimal",
    aria: { "aria-describedby": `help-${name}` } })
  const put = value => set({ [name]: value === "" || !Number.isFinite(Number(value)) ? null : Number(value) })
  range.oninput = () => put(range.value)
  number.oninput = () => put(number.value)
  const reset = button("Reset", () => set({ [name]: null }), { "aria-label": `${label}: back to the default` })
  reset.className = "reset"
  const box = make("div", { className: "slider" }, make("label", { htmlFor: number.id, textContent: label }), reset, range, number,
    make("p", { className: "hint", id: `help-${name}`, textContent: help }))
  const show = () => {
    const usual = standard()
    const value = form[name] ?? usual
    if (value !== undefined && value !== null) range.value = value
    if (document.activeElement !== number) number.value = form[name] ?? ""
    number.placeholder = usual ?? "auto"
    reset.hidden = form[name] === undefined
  }
  events.addEventListener("form", show)
  events.addEventListener("plan", show)
  show()
  return box
}

export function check(name, label, help) {
  const input = make("input", { type: "checkbox", onchange: () => set({ [name]: input.checked }) })
  events.addEventListener("form", () => input.checked = Boolean(form[name]))
  input.checked = Boolean(form[name])
  return make("label", { className: "check" }, input, make("span", {}, label, ...(help ? [make("small", { textContent: help })] : [])))
}

export function field(name, label, properties, help) {
  const number = properties.type === "number"
  const input = make("input", { id: `field-${name}`, autocomplete: "off", ...properties,
    oninput: () => set({ [name]: input.value === "" ? null : number ? Number(input.value) : input.value }) })
  const show = () => { if (document.activeElement !== input) input.value = form[name] ?? "" }
  events.addEventListener("form", show)
  show()
  return make("div", { className: "field" }, make("label", { htmlFor: input.id, textContent: label }), input,
    ...(help ? [make("p", { className: "hint", textContent: help })] : []))
}

export function choice(name, label, options) {
  const select = make("select", { id: `field-${name}`, onchange: () => set({ [name]: select.value }) },
    ...options.map(([value, text]) => make("option", { value, textContent: text })))
  const show = () => select.value = form[name] ?? ""
  events.addEventListener("form", show)
  show()
  return make("div", { className: "field" }, make("label", { htmlFor: select.id, textContent: label }), select)
}

export function how(panel, models, what) {
  const defaults = { iterations: 10, scale: 1.4, step_size: 1.5, jitter: 32, ...models.defaults }
  const look = () => what.current?.looks.find(one => one.name === (form.layer ?? what.start(what.current)))
  const usual = name => () => name === "octaves" ? known.plan?.octaves ?? look()?.octaves ?? defaults.octaves ?? 4
    : name === "iterations" ? look()?.iterations ?? defaults.iterations : defaults[name]
  const seed = field("seed", "Seed", { type: "number", min: 0, max: 4294967295, step: 1, placeholder: "random", inputMode: "numeric" },
    "The same seed gives the same dream.")
  const die = button("", () => set({ seed: crypto.getRandomValues(new Uint32Array(1))[0] }), { "aria-label": "Throw a die for the seed", title: "Another seed" })
  die.className = "die"
  seed.querySelector("input").after(die)
  seed.classList.add("with-button")
  panel.append(...SLIDERS.map(one => slider(one, usual(one[0]))),
    make("details", {}, make("summary", { textContent: "More" }), ...FINE.map(one => slider(one, usual(one[0]))), seed,
      field("max_size", "Longest side", { type: "number", min: 1, step: 1, placeholder: "as it is", inputMode: "numeric" },
        "In pixels. A smaller dream is quicker."),
      choice("format", "Format", [["", "As the photo"], ...(models.formats ?? ["jpg", "png", "webp", "tif"]).map(one => [one, one.toUpperCase()])]),
      check("no_clip", "Let values leave their range between steps", "Stronger colours, and more noise."),
      check("keep_location", "Keep the place where the photo was taken", "Everything else that the photo says is kept anyway.")))
}

// The button at the foot: what it says, and why it cannot be pressed.
export class Go {
  constructor(foot, press) {
    this.why = make("p", { className: "why", id: "why" })
    this.quick = button("", () => set({ max_size: QUICK }))
    this.quick.className = "quiet"
    this.title = make("b", { textContent: "Dream" })
    this.takes = make("span", {})
    this.button = make("button", { type: "submit", id: "dream", aria: { "aria-describedby": "why" } }, this.title, this.takes)
    foot.append(this.why, this.quick, this.button)
    foot.closest("form").addEventListener("submit", event => {
      event.preventDefault()   // Enter in a field comes here too
      if (!this.button.disabled) press()
    })
    this.blocks = new Map()   // reasons of others: sending, no connection, the disk
    events.addEventListener("form", () => this.show())
    events.addEventListener("plan", () => this.show())
    this.show()
  }

  block(name, why) {
    if (this.blocks.get(name) === why) return
    if (why) this.blocks.set(name, why)
    else this.blocks.delete(name)
    this.show()
  }

  show() {
    const { photos } = form, plan = known.plan
    const typed = document.getElementById("layer-text")?.value
    const lines = plan?.errors ?? []
    const shownThere = typed ? lines.filter(line => line.startsWith("layer")) : []
    const reason = [...this.blocks.values()][0] ?? (photos.length ? lines.filter(line => !shownThere.includes(line))[0]
      ?? (shownThere.length ? "The layer has an error: see Channels and sums." : "") : "First choose a photo, or take a sample.")
    const notes = reason ? "" : (plan?.warnings ?? []).join(" ")
    this.button.disabled = Boolean(reason)
    write(this.why, reason || notes)
    this.why.hidden = !reason && !notes
    this.why.classList.toggle("wrong", Boolean(reason && photos.length))
    write(this.title, photos.length > 1 ? `Dream ${photos.length} photos` : moving() ? "Dream a film" : "Dream")
    const more = photos.length > 1 ? " each" : ` · ${size(plan?.memory ?? 0)}`
    write(this.takes, !reason && plan?.seconds ? ` · about ${time(plan.seconds)}${more}` : "")
    const longest = Math.max(photos[0]?.width ?? 0, photos[0]?.height ?? 0)
    this.quick.hidden = Boolean(reason) || !(plan?.seconds > LONG) || form.max_size <= QUICK || longest <= QUICK
    write(this.quick, `Quicker: dream at ${QUICK} pixels`)
  }
}
