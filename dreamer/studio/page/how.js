// How far: the numbers of a dream, and the one large button with what it will take.

import { follow, form, known, moving, set } from "./form.js"
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
	["smooth", "Smoothing", 0, 5, .1, "Blur of each step's change, in pixels: softer, larger shapes."],
	["strength", "Strength", 1, 100, 1, "Percent of the dream. The rest is the photo."],
]
const QUICK = 1280, LONG = 60   // pixels, seconds: a dream that takes longer is offered smaller

const hint = (text, id = "") => make("p.hint", text, { id })
const called = (text, { id }) => make("label", text, { htmlFor: id })
const number = text => text === "" || !Number.isFinite(Number(text)) ? null : Number(text)

// A slider and a number field for one value. If nobody has chosen, they show the program's default, `usual()`.
export function slider([name, label, min, max, step, help], usual) {
	const range = make("input", { type: "range", min, max, step, ariaLabel: label, oninput: () => set({ [name]: number(range.value) }) })
	const exact = make("input", { type: "number", id: `field-${name}`, step: "any", inputMode: "decimal", oninput: () => set({ [name]: number(exact.value) }),
		"aria-describedby": `help-${name}` })
	const reset = button("Reset", () => set({ [name]: null }), { className: "reset", ariaLabel: `Reset ${label}` })
	follow(() => {
		range.value = form[name] ?? usual() ?? min
		if (document.activeElement !== exact) exact.value = form[name] ?? ""
		exact.placeholder = usual() ?? "auto"
		reset.hidden = !(name in form)
	})
	return make("div.slider", called(label, exact), reset, exact, range, hint(help, `help-${name}`))
}

export function check(name, label, help = "") {
	const input = make("input", { type: "checkbox", onchange: () => set({ [name]: input.checked }) })
	follow(() => input.checked = Boolean(form[name]))
	return make("label.check", input, make("span", label, make("small", help)))
}

export function field(name, label, help = "", properties = {}) {
	const input = make("input", { id: `field-${name}`, type: "number", min: 0, step: 1, autocomplete: "off", ...properties,
		oninput: () => set({ [name]: input.type === "number" ? number(input.value) : input.value }) })
	follow(() => { if (document.activeElement !== input) input.value = form[name] ?? "" })
	return make("div.field", called(label, input), input, hint(help))
}

export function choice(name, label, options) {
	const select = make("select", { id: `field-${name}`, onchange: () => set({ [name]: select.value }) },
		...options.map(([value, textContent]) => new Option(textContent, value)))
	follow(() => select.value = form[name] ?? options[0]?.[0])
	return make("div.field", called(label, select), select)
}

export function how(panel, { defaults, formats }, what) {
	const usual = name => () => {
		const look = what.current?.looks.find(one => one.name === what.name)
		return name === "octaves" ? known.plan?.octaves ?? look?.octaves ?? 4 : (name === "iterations" && look?.iterations) || defaults[name]
	}
	const seed = field("seed", "Seed", "The same seed gives the same dream.", { placeholder: "random" })
	seed.classList.add("with-button")
	seed.querySelector("input").after(button("⚄", () => set({ seed: crypto.getRandomValues(new Uint32Array(1))[0] }),
		{ className: "die", title: "Throw a die", ariaLabel: "Throw a die for the seed" }))
	panel.append(...SLIDERS.map(one => slider(one, usual(one[0]))), make("details", make("summary", "More"),
		...FINE.map(one => slider(one, usual(one[0]))), seed,
		field("max_size", "Longest side", "In pixels. A smaller dream is quicker.", { placeholder: "as it is" }),
		choice("format", "Format", [["", "As the photo"], ...formats.map(one => [one, one.toUpperCase()])]),
		check("keep_colours", "Keep the photo's colours", "Only light and dark are dreamed."),
		check("pyramid", "Let detail of all sizes grow alike", "More shapes, less fine grain."),
		check("no_clip", "Let values leave their range between steps", "Stronger colours, and more noise."),
		check("keep_location", "Keep the place where the photo was taken", "Everything else that it says is kept anyway.")))
}

// The button at the foot: what it says, and why it cannot be pressed.
export function Go(foot, press) {
	const why = make("p.why", { id: "why" }), quick = button(`Quicker: dream at ${QUICK} pixels`, () => set({ max_size: QUICK }))
	const title = make("b"), takes = make("span"), go = make("button", { id: "dream", type: "submit", "aria-describedby": "why" }, title, takes)
	const blocks = new Map()   // reasons of others: sending, no connection, the disk
	foot.append(why, quick, go)
	foot.closest("form").onsubmit = event => {
		event.preventDefault()   // Enter in a field comes here too
		if (!go.disabled) press()
	}

	function show() {
		const { photos, photos: [first] } = form, { plan } = known, lines = plan?.errors ?? []
		const typed = document.getElementById("layer-text").value && lines[0]?.startsWith("layer")   // what.js shows that line
		const reason = [...blocks.values()].find(Boolean) ?? (!first ? "First choose a photo, or take a sample."
			: typed ? "The layer has an error: see Channels and sums." : lines[0])
		const text = reason ?? (plan?.warnings ?? []).join(" ")
		write(why, text)
		why.hidden = !text
		why.classList.toggle("wrong", !!(reason && first))
		go.disabled = !!reason
		write(title, photos.length > 1 ? `Dream ${photos.length} photos` : moving() ? "Dream a film" : "Dream")
		write(takes, reason || !plan?.seconds ? "" : ` · about ${time(plan.seconds)}${photos.length > 1 ? " each" : ` · ${size(plan.memory)}`}`)
		quick.hidden = !!reason || !(plan?.seconds > LONG) || form.max_size <= QUICK || Math.max(first?.width, first?.height) <= QUICK
	}

	function block(name, reason) {
		if (blocks.get(name) === reason) return
		blocks.set(name, reason)
		show()
	}

	follow(show)
	return { block }
}
