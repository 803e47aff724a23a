// Towards: a second picture that leads the dream. It is a file of the folder like all others.

import { form, events, set } from "./form.js"
import { button, make } from "./stage.js"
import { field } from "./how.js"

// take(files, use) sends files and calls use(photo);  pick(use) lets one choose from the gallery;  thumb(name) is a URL
export function towards(panel, { take, pick, thumb, accept }) {
  const use = photo => set({ guide: photo.name })
  const file = make("input", { type: "file", accept, className: "hidden-file", onchange: () => {
    take([...file.files].slice(0, 1), use)
    file.value = ""
  } })
  const image = make("img", { alt: "" }), name = make("span", { className: "name" })
  const chosen = make("div", { className: "guide" }, image, name, button("Remove", () => set({ guide: null, guide_size: null })))
  const empty = make("div", { className: "slot" }, make("p", { textContent: "Drop a picture here: the dream will grow towards what it shows." }),
    make("div", { className: "row" }, make("label", { className: "button" }, "Choose", file),
      button("From the gallery", () => pick(use))))
  const size = field("guide_size", "Longest side of the guide", { type: "number", min: 1, step: 1, placeholder: "512", inputMode: "numeric" },
    "In pixels. Smaller: its shapes count as larger ones.")
  panel.append(empty, chosen, size)
  panel.addEventListener("dragover", event => {
    event.preventDefault()
    panel.classList.add("over")
  })
  panel.addEventListener("dragleave", () => panel.classList.remove("over"))
  panel.addEventListener("drop", event => {
    event.preventDefault()
    event.stopPropagation()   // else it becomes the photo
    panel.classList.remove("over")
    delete document.body.dataset.drag
    take([...event.dataTransfer.files].slice(0, 1), use)
  })
  const show = () => {
    empty.hidden = Boolean(form.guide)
    chosen.hidden = size.hidden = !form.guide
    if (!form.guide) return
    name.textContent = form.guide
    image.alt = `The guide ${form.guide}`
    if (image.getAttribute("src") !== thumb(form.guide)) image.src = thumb(form.guide)
  }
  events.addEventListener("form", show)
  show()
}
