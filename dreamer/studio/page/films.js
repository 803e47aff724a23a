// Films: what comes out of a photo (a picture, a zoom, the steps) or of a video, and what this server can write.

import { events, form, known, set, video } from "./form.js"
import { check, choice, field, slider } from "./how.js"
import { make } from "./stage.js"

const NAMES = { mp4: "MP4", webm: "WebM", mov: "MOV", mkv: "MKV", gif: "GIF", webp: "WebP" }
const MAKES = [["picture", "Picture"], ["zoom", "Zoom film"], ["steps", "Film of the steps"]]

export function films(panel, models) {
  const can = Object.keys(NAMES).filter(one => models.films?.[one])
  known.films = can
  const kinds = make("div", { className: "segments", aria: { role: "radiogroup", "aria-label": "What comes out" } }, ...MAKES.map(([value, text]) => {
    const input = make("input", { type: "radio", name: "make", value, onchange: () => set({ make: value }) })
    return make("label", {}, input, make("span", { textContent: text }))
  }))
  const format = choice("film", "Film format", can.map(one => [one, NAMES[one]]))
  const fps = field("fps", "Frames per second", { type: "number", min: .001, step: "any", inputMode: "decimal", placeholder: "25" })
  const zoom = make("div", {},
    slider(["zoom", "Frames", 2, 300, 1, "Each frame is the dream of a closer look at the one before."], () => 100),
    slider(["zoom_step", "Zoom per frame", -.2, .2, .01, "0.05 leaves out 5 % of the width and height. A negative number zooms out."], () => .05),
    slider(["rotate", "Turn per frame", -10, 10, .5, "In degrees, clockwise."], () => 0),
    field("pan", "Shift per frame", { type: "text", placeholder: "0,0", inputMode: "text" }, "Right and down, as fractions of the width and height: 0.01,0"))
  const clip = make("div", {},
    field("start", "From", { type: "text", placeholder: "the beginning" }, "Seconds, or 1:02:03."),
    field("end", "To", { type: "text", placeholder: "the end" }),
    models.flow ? check("flow", "The dream follows what moves", "Without this it flickers.") : make("p", { className: "note",
      textContent: "This server has no OpenCV, so a dream cannot follow what moves. ./provision.sh film installs it." }),
    slider(["blend", "Carried over", 0, 1, .05, "Share of the last frame's dream that the next frame begins with."], () => form.flow ? .75 : 0),
    check("no_sound", "Without sound"), check("no_deinterlace", "Keep the fields of interlaced video"))
  const poor = make("p", { className: "note", textContent: "MP4 and WebM need ffmpeg. ./provision.sh film installs it." })
  const options = make("div", { className: "film-options" }, format, zoom, clip, fps, poor)
  panel.append(make("h3", { textContent: "What comes out" }), kinds, options)

  const show = () => {
    const moves = video(), film = moves || form.make !== "picture"
    kinds.hidden = moves   // of a video comes a video
    for (const input of kinds.querySelectorAll("input")) input.checked = input.value === form.make
    options.hidden = !film
    zoom.hidden = moves || form.make !== "zoom"
    clip.hidden = !moves
    poor.hidden = can.includes("mp4")
    format.querySelector("select").value = form.film ?? can[0]
    fps.querySelector("input").placeholder = moves ? "as the video" : "25"
  }
  events.addEventListener("form", show)
  show()
}
