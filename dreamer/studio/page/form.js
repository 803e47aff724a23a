// What is chosen for the next dream, and what it will take. The choices live in this tab (sessionStorage); all else is the
// server's. A field that nobody has touched is not sent: then the program's own default holds, which may depend on the photo.

import { ask } from "./api.js"

const STORE = "dream"
export const form = (() => {
  try {
    return { photos: [], make: "picture", ...JSON.parse(sessionStorage.getItem(STORE)) }
  } catch {
    return { photos: [], make: "picture" }   // no storage, or something else's
  }
})()

// What the page knows and does not keep: the plan for these choices, and the films that this server can write.
export const known = { plan: null, films: [] }

export const events = new EventTarget()   // "form": a choice changed;  "plan": known.plan is new

export function set(values) {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || value === null || value === "" || value === false) delete form[name]
    else form[name] = value
  }
  form.photos ??= []
  form.make ??= "picture"
  try {
    sessionStorage.setItem(STORE, JSON.stringify(form))
  } catch { /* a full or forbidden storage only means that a reload forgets */ }
  events.dispatchEvent(new Event("form"))
  think()
}

const HOW = ["layer", "model", "iterations", "octaves", "scale", "step_size", "jitter", "no_clip", "seed", "max_size",
  "keep_location", "format"]
const GUIDE = ["guide", "guide_size"]
export const ZOOM = ["zoom", "zoom_step", "rotate", "pan", "fps"]
export const VIDEO = ["fps", "start", "end", "flow", "blend", "no_sound", "no_deinterlace"]
export const FIELDS = [...HOW, ...GUIDE, ...ZOOM, ...VIDEO, "film", "steps"]

export const video = () => form.photos[0]?.kind === "video"
export const moving = () => video() || form.make !== "picture"

// The fields for the server, without the photo's.
export function fields() {
  const names = [...HOW, ...(form.guide ? GUIDE : [])]
  if (moving()) names.push("film", ...(video() ? VIDEO : form.make === "zoom" ? ZOOM : ["fps"]))
  const chosen = Object.fromEntries(names.filter(name => form[name] !== undefined).map(name => [name, form[name]]))
  if (moving()) {
    delete chosen.format
    chosen.film ??= known.films?.[0] ?? "gif"
    if (!video() && form.make === "zoom") chosen.zoom ??= 100
    if (!video() && form.make === "steps") chosen.steps = true
  }
  return chosen
}

// ---- the estimate ----

const PAUSE = 250   // ms: while a slider moves, nobody needs an answer
let timer, asked = null
function think() {
  clearTimeout(timer)
  asked?.abort()   // an answer to an older question would be wrong now
  if (!form.photos.length) {
    known.plan = null
    events.dispatchEvent(new Event("plan"))
    return
  }
  timer = setTimeout(async () => {
    const mine = asked = new AbortController()
    try {
      known.plan = await ask("/plan", { method: "POST", body: { ...fields(), photo: form.photos[0].name }, signal: mine.signal })
    } catch (error) {
      if (error.name === "AbortError" || mine !== asked) return
      known.plan = error.status >= 400 && error.status < 500 ? { errors: error.lines } : null
    }
    if (mine === asked) events.dispatchEvent(new Event("plan"))
  }, PAUSE)
}
export const replan = think
