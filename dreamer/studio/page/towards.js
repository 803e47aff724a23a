// Towards: a second picture that leads the dream, a file of the folder like all others.

import { follow, form, set } from "./form.js"
import { field } from "./how.js"
import { button, make, row } from "./stage.js"

// take(files, use) sends files and calls use(photo);  pick(use) lets one choose from the gallery;  thumb(name) is an address
export function towards(panel, { take, pick, thumb, accept }) {
	const use = photo => set({ guide: photo.name })
	const file = make("input.hidden-file", { type: "file", accept, onchange: () => {
		take([...file.files], use)
		file.value = ""
	} })
	const image = make("img"), name = make("span.name")
	const chosen = make("div.guide", image, name, button("Remove", () => set({ guide: null, guide_size: null })))
	const empty = make("div.slot", make("p", "Drop a picture here: the dream will grow towards what it shows."),
		row(make("label.button", "Choose", file), button("From the gallery", () => pick(use))))
	const size = field("guide_size", "Longest side of the guide", "In pixels. Smaller: its shapes count as larger ones.", { placeholder: "512" })
	panel.append(empty, chosen, size)
	panel.ondragover = () => panel.classList.add("over")
	panel.ondragleave = () => panel.classList.remove("over")
	panel.ondrop = event => {
		event.preventDefault()
		event.stopPropagation()   // else it becomes the photo
		panel.classList.remove("over")
		delete document.body.dataset.drag
		take([...event.dataTransfer.files].slice(0, 1), use)
	}
	follow(() => {
		empty.hidden = !!form.guide
		chosen.hidden = size.hidden = !form.guide
		if (!form.guide || name.textContent === form.guide) return
		name.textContent = form.guide
		image.alt = `The guide ${form.guide}`
		image.src = thumb(form.guide)
	})
}
