// The studio's page. The server owns the state and sends it over a socket; the page draws it. What a page has of its own is
// which picture it looks at, and the choices for the next dream.

import { ask, link, listen, part, post, upload } from "./api.js"
import { films } from "./films.js"
import { FIELDS, events, fields, form, replan, set, video } from "./form.js"
import { Gallery, download, thumb } from "./gallery.js"
import { Go, how } from "./how.js"
import { List, Now, act, active, open } from "./jobs.js"
import { mirror } from "./mirror.js"
import { Stage, button, make } from "./stage.js"
import { towards } from "./towards.js"
import { What } from "./what.js"
import { fail, plural, say, size, stem, toast, write } from "./words.js"
import { where } from "./mask.js"

const $ = id => document.getElementById(id)
// Not image/*: given a list without HEIC, an iPhone converts its photos to JPEG by itself.
const PICTURES = "image/jpeg,image/png,image/webp,image/gif,image/tiff,image/bmp,image/avif"
const VIDEOS = "video/mp4,video/quicktime,video/webm,video/x-matroska,.mkv"
const MOVES = { gif: "image/gif", webp: "image/webp", mp4: "video/mp4", webm: "video/webm", mov: "video/quicktime", mkv: "video/x-matroska" }
const wide = matchMedia("(min-width: 760px)")

let models, state = { jobs: [] }, what, go, now, list, gallery
// What is on the stage: {photo: true}, {job: id, ids: [those that were asked for together]}, {item: of the gallery}, or null
let shown = null
const stage = new Stage($("stage"))

// ---- addresses ----

// The same file has the same address for as long as the page lives: the stage keeps what is painted on a photo by its address.
const versions = new Map()
function file(kind, name, more = "") {
  const version = versions.get(name)
  return `/${kind}/${part(name)}?${version ? `v=${part(version)}` : ""}${more}`
}
const view = name => file("view", name), full = name => file("view", name, "&full=1")
const know = item => item.version && versions.set(item.name, item.version)

async function find(name) {
  const { items } = await ask(`/gallery?start=0&count=60&kind=all&search=${part(name)}`)
  return items.find(item => item.name === name)
}

// The photo (or video) of a dream, if it is still in the folder: the dream has its name.
async function source({ name }) {
  const base = name.match(/^(.+)-dream(-\d+)?\.[^.]+$/)?.[1]
  if (!base) return undefined
  const { items } = await ask(`/gallery?start=0&count=60&kind=all&search=${part(base)}`)
  return items.find(one => stem(one.name) === base)
}

// ---- what is on the stage ----

function look(at) {
  shown = at
  render()
}

function show(item) {
  know(item)
  stage.mask.end()
  look({ item })
}

const follow = job => look({ job: job.id })

function drawItem(item) {
  const alt = item.words || item.name, type = item.type ?? MOVES[item.name.split(".").pop().toLowerCase()]
  if (item.kind === "film" || item.kind === "video") stage.play(file("file", item.name), type, alt)
  else if (item.kind === "dream") drawDream(item, alt)
  else drawStill(item, alt)
}

function drawStill(item, alt = item.words || `The photo ${item.name}`) {
  return stage.show({ before: view(item.name), after: null, full: { before: full(item.name) }, alt, width: item.width, height: item.height, name: item.name })
}

// A dream beside its photo, if there is one in its proportions.
async function drawDream(item, alt) {
  if (item.source === undefined) {
    item.source = null   // asked once
    const photo = await source(item).catch(() => null)
    if (photo && photo.name !== item.name && Math.abs(photo.width / photo.height - item.width / item.height) < .02) {
      know(photo)
      item.source = photo.name
    }
  }
  if (shown?.item?.name !== item.name) return   // something else is looked at by now
  if (!item.source) drawStill(item, alt)
  else compare(item.source, item.name, alt, item)
}

function compare(before, after, alt, { width, height } = {}) {
  return stage.show({ before: view(before), after: view(after), full: { before: full(before), after: full(after) }, alt, width, height, name: after })
}

function drawJob(job) {
  const alt = `${job.photo}, dreaming of ${job.layer ?? "all layers"}`, ended = job.state === "done" && job.output
  const extension = (job.output ?? "").split(".").pop().toLowerCase()
  if (ended && job.kind === "film" && MOVES[extension]) return stage.play(file("file", job.output), MOVES[extension], alt)
  const size = form.photos.find(photo => photo.name === job.photo)
    ?? (job.size ? { width: job.size[1], height: job.size[0] } : {})
  const still = job.form?.film === undefined || !/\.(mp4|mov|mkv|webm|avi|m4v|mpg|mpeg|ts|mts|wmv|flv|ogv)$/i.test(job.photo)
  if (ended && job.kind === "dream") return compare(job.photo, job.output, `${job.photo}, dreamed: ${job.layer}`, size)
  if (still) drawStill({ name: job.photo, ...size })
  if (job.preview && job.state !== "done") stage.live(`/preview/${job.id}?v=${job.preview}`, alt)
  else stage.live(null)
}

// ---- the one picture of the state ----

function render() {
  const { jobs } = state, running = jobs.find(active)
  const asked = shown?.after !== undefined && jobs.find(one => one.id > shown.after)
  if (asked) shown = { job: asked.id, ids: [asked.id] }
  let job = shown?.job === undefined ? null : jobs.find(one => one.id === shown.job)
  // Of several that were asked for together, the one that dreams is shown.
  const next = shown?.ids && !(job && open(job)) && jobs.find(one => active(one) && shown.ids.includes(one.id))
  if (next) {
    job = next
    shown.job = next.id
  }
  if (job) shown.last = { photo: job.photo, output: job.state === "done" ? job.output : null, kind: job.kind }
  else if (shown?.job !== undefined && state.server) {   // it has left the list
    shown = shown.last?.output ? { item: { name: shown.last.output, kind: shown.last.kind } } : form.photos.length ? { photo: true } : null
  }
  if (shown?.photo && !form.photos.length) shown = null
  if (!shown) stage.clear()
  else if (job) drawJob(job)
  else if (shown.item) drawItem(shown.item)
  else if (video()) stage.play(file("file", form.photos[0].name), form.photos[0].type ?? "video/mp4", form.photos[0].name)
  else {
    drawStill(form.photos[0])
    stage.live(null)
  }
  try {
    sessionStorage.setItem("shown", JSON.stringify(shown))
  } catch { /* then a reload shows the start */ }
  $("start").hidden = Boolean(shown)
  $("stage").hidden = !shown
  $("open-new").hidden = !shown
  if (!models) return
  const item = shown?.item
  now.show(job ?? (item ? { state: "item", kind: item.kind, output: item.name, words: item.words || item.name } : running) ?? null)
  list.show(jobs)
  $("queue").hidden = !jobs.length
  what.jobs(jobs)
  notices()
  const main = job && active(job) ? job : running
  document.title = main ? `${Math.round(main.done * 100)} % · ${main.photo}` : "image-dreamer studio"
}

const LOST = "The connection is lost. The studio goes on dreaming; this page tries again by itself."
const LOCKED = "The studio was started again. Open the address it printed."
function notices() {
  const { disk } = state
  const lines = [link.state === "lost" && LOST, link.state === "locked" && LOCKED,
    disk?.full && `The disk is nearly full: ${size(disk.free)} are free. Delete something, then the queue goes on.`].filter(Boolean)
  if (lines.join() !== notices.last) {
    notices.last = lines.join()
    $("notices").replaceChildren(...lines.map(text => make("p", { textContent: text })))
  }
  go.block("link", link.state === "lost" ? "There is no connection to the studio." : link.state === "locked" ? LOCKED : "")
  go.block("disk", disk?.full ? "The disk is nearly full." : "")
  go.block("queue", state.queue_full ? "The queue is full. Wait, or cancel something in it." : "")
}

// ---- photos in ----

function choose(photos) {
  photos.forEach(know)
  stage.mask.end()
  set({ photos: photos.map(({ name, width, height, version, kind, type }) => ({ name, width, height, version, kind, type })) })
  look({ photo: true })
}

const isVideo = one => one.type.startsWith("video/") || /\.(mp4|mov|mkv|webm|avi|m4v)$/i.test(one.name)

// Sends files one after the other, each with a line of its own; then uses those that arrived.
let sending = 0
async function take(files, use) {
  const arrived = []
  const rows = files.map(one => {
    const bar = make("progress", { max: 1, value: 0, aria: { "aria-label": `Sending ${one.name}` } }), line = make("span", { textContent: one.name })
    const row = make("li", {}, line, bar, button("×", () => row.remove(), { "aria-label": `Dismiss ${one.name}` }))
    $("uploads").append(row)
    return { one, row, bar, line }
  })
  sending += rows.length
  for (const { one, row, bar, line } of rows) {
    go.block("sending", `Sending ${plural(sending, "file")} …`)
    try {
      const most = models.limits?.[isVideo(one) ? "video" : "picture"]
      if (most && one.size > most) throw new Error(`it has ${size(one.size)}, and at most ${size(most)} are allowed`)
      if (isVideo(one) && !models.films?.mp4) throw new Error("videos need ffmpeg, which this server does not have (./provision.sh film)")
      const name = /^image\.(png|jpe?g)$/.test(one.name) ? one.name.replace("image", "photo") : one.name
      arrived.push(await upload(one, name, share => bar.value = share))
      row.remove()
    } catch (error) {
      row.className = "wrong"
      bar.remove()
      line.textContent = error.message.includes(one.name) ? error.message : `${one.name}: ${error.message}`
      say(line.textContent)
    }
    sending--
  }
  go.block("sending", sending ? `Sending ${plural(sending, "file")} …` : "")
  if (!arrived.length) return
  if (use) use(arrived[0])
  else choose(arrived)
}

function doors() {
  $("file").accept = models.films?.mp4 ? `${PICTURES},${VIDEOS}` : PICTURES
  for (const input of [$("file"), $("camera")]) input.onchange = () => {
    take([...input.files])
    input.value = ""   // so that the same file can be chosen again
  }
  const holds = event => [...event.dataTransfer?.types ?? []].includes("Files")
  addEventListener("dragover", event => {
    if (!holds(event)) return
    event.preventDefault()
    document.body.dataset.drag = ""
  })
  addEventListener("dragleave", event => { if (!event.relatedTarget) delete document.body.dataset.drag })
  addEventListener("drop", event => {
    if (!holds(event)) return
    event.preventDefault()
    delete document.body.dataset.drag
    take([...event.dataTransfer.files])
  })
  addEventListener("paste", event => {
    const files = [...event.clipboardData?.files ?? []]
    if (files.length) take(files)
  })
  const most = models.limits
  if (most) $("limits").textContent += ` At most ${size(most.picture)} a picture${models.films?.mp4 ? `, ${size(most.video)} a video` : ""}.`
  $("samples").append(...(models.samples ?? []).map(name => {
    const image = make("img", { src: `/samples/${part(name)}`, alt: "", width: 160, height: 104 })
    image.onerror = () => image.remove()
    const one = button("", async () => {
      one.disabled = true
      await post(`/samples/${part(name)}`).then(photo => choose([photo]), fail)
      one.disabled = false
      $("dream").focus()
    })
    one.append(image, make("span", { textContent: stem(name) }))
    return make("li", {}, one)
  }))
}

// ---- dreaming ----

async function dream() {
  const names = form.photos.map(photo => photo.name), body = fields()
  go.block("asking", "One moment …")
  try {
    const painted = names.length === 1 && !stage.mask.empty && stage.key === view(names[0])
    if (painted) body.mask = (await ask("/masks", { method: "PUT", body: await stage.mask.png() })).mask
    stage.mask.end()
    Object.assign(body, names.length > 1 ? { photos: names } : { photo: names[0] })
    const { ids } = await post("/dreams", body)
    look({ job: ids[0], ids })
  } catch (error) {
    fail(error)
  }
  go.block("asking", "")
}

// The form of a dream. A recipe does not say what kind of film it was: that is in the name, and in whether it zooms.
function recipeOf({ form: recipe = {}, kind, name }) {
  return kind === "film" ? { ...recipe, film: name.split(".").pop().toLowerCase(), steps: !recipe.zoom } : recipe
}

const page = {
  show, follow,
  choose: item => choose([item]),
  download: job => download({ name: job.output }),
  // The new job has the next number: the state will show it.
  async repeat(job) {
    const newest = Math.max(...state.jobs.map(one => one.id))
    if (await act(job, "again")) shown = { ...shown, after: newest }
  },
  async chain(job) {
    const item = await find(job.output).catch(() => null)
    if (item) choose([item])
    else toast("The gallery has not seen this dream yet. Try again in a moment.")
  },
  async more(job, near) {
    const item = await find(job.output).catch(() => null)
    if (item) gallery.menu(item, near)
  },
  // A recipe fills the form; its photo too, if it is still there. Guide and mask are files that a recipe only describes.
  async fill(details) {
    const recipe = recipeOf(details)
    const chosen = Object.fromEntries(FIELDS.map(name => [name, recipe[name] ?? null]))
    set({ ...chosen, make: recipe.steps ? "steps" : recipe.zoom ? "zoom" : "picture" })
    const photo = await source(details).catch(() => null)
    if (photo) choose([photo])
    else if (form.photos.length) look({ photo: true })
    toast(`The choices are those of ${details.name}.${form.photos.length ? "" : " Now choose a photo."}`)
  },
  async again(details) {
    const { seed, ...recipe } = recipeOf(details), photo = await source(details)
    if (!photo) throw new Error("The photo of this dream is not in the folder. Choose one, then use “Dream like this”.")
    if (photo.kind === "video") delete recipe.steps
    const { ids } = await post("/dreams", { ...recipe, photo: photo.name })
    look({ job: ids[0], ids })
  },
  gone(name) {
    if (form.photos.some(photo => photo.name === name)) set({ photos: form.photos.filter(photo => photo.name !== name) })
    if (form.guide === name) set({ guide: null })
    if (shown?.item?.name === name || shown?.last?.output === name) look(form.photos.length ? { photo: true } : null)
  },
  renamed(from, to) {
    if (form.photos.some(photo => photo.name === from)) set({ photos: form.photos.map(photo => photo.name === from ? { ...photo, name: to } : photo) })
    if (form.guide === from) set({ guide: to })
    if (shown?.item?.name === from) look({ item: { ...shown.item, name: to } })
  },
  drawn(items, total) {
    items.forEach(item => versions.has(item.name) || know(item))
    $("shelf").hidden = !total
  },
}

// ---- the panel ----

function tabs() {
  const panel = $("panel"), all = [...$("tabs").children]
  const mark = name => {
    panel.dataset.tab = name
    for (const one of all) one.setAttribute("aria-current", one.dataset.tab === name)
  }
  for (const one of all) one.onclick = () => {
    const name = one.dataset.tab
    if (!wide.matches) {   // a sheet: the same tab again closes it
      const closes = panel.dataset.tab === name && panel.dataset.sheet !== "closed"
      panel.dataset.sheet = closes ? "closed" : "open"
      mark(name)
      $("choices").scrollTop = 0
      return
    }
    mark(name)
    $(name).scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" })
    $(`${name}-title`).focus({ preventScroll: true })
  }
  $("choices").addEventListener("scroll", () => {
    if (!wide.matches) return
    const top = $("choices").getBoundingClientRect().top + 80
    mark(all.filter(one => $(one.dataset.tab).getBoundingClientRect().top <= top).at(-1)?.dataset.tab ?? "what")
  }, { passive: true })
  mark("what")
}

// Which photo the button dreams: what is on the stage may be another picture.
function subject(foot) {
  const image = make("img", { alt: "", width: 36, height: 36 }), name = button("", () => look({ photo: true }))
  name.className = "name"
  const box = make("div", { id: "subject", hidden: true }, image, name,
    button("×", () => {
      set({ photos: [] })
      if (shown?.photo) look(null)
    }, { "aria-label": "Take another photo" }))
  foot.append(box)
  const show = () => {
    const { photos } = form
    box.hidden = !photos.length
    if (!photos.length) return
    write(name, photos.length > 1 ? `${photos.length} photos: ${photos.map(photo => photo.name).join(", ")}`
      : `${photos[0].name}${photos[0].width ? ` · ${photos[0].width} × ${photos[0].height}` : ""}`)
    if (image.getAttribute("src") !== thumb(photos[0])) image.src = thumb(photos[0])
  }
  events.addEventListener("form", show)
  show()
}

function build() {
  what = new What($("what"), models)
  where($("where"), stage)
  towards($("towards"), { take, pick: use => gallery.browse(use), thumb: name => file("thumb", name), accept: PICTURES })
  how($("how"), models, what)
  films($("how"), models)
  subject($("foot"))
  go = new Go($("foot"), dream)
  now = new Now($("now"), page)
  list = new List($("queue"), $("queue").querySelector("summary"), page)
  gallery = new Gallery($("strip"), $("gallery"), page)
  $("open-gallery").onclick = $("shelf-all").onclick = () => gallery.browse()
  $("open-mirror").onclick = () => mirror($("mirror"), models)
  $("open-new").onclick = () => {
    look(null)
    $("file").focus()
  }
  doors()
  tabs()
}

function news(fresh) {
  const first = !state.server
  state = fresh
  write($("folder"), fresh.folder ?? "")
  if (first && !shown) {   // a page that was just opened looks at what dreams, as every other page does
    const running = fresh.jobs.find(active)
    if (running) shown = { job: running.id }
  }
  gallery.news(fresh.gallery)
  render()
}

async function start() {
  try {
    shown = JSON.parse(sessionStorage.getItem("shown")) ?? (form.photos.length ? { photo: true } : null)
  } catch { /* as if nothing had been looked at */ }
  form.photos.forEach(know)
  render()
  for (;;) {
    try {
      models = await ask("/models")
      break
    } catch (error) {
      $("notices").replaceChildren(make("p", { textContent: link.state === "locked" ? LOCKED : error.message }))
      await new Promise(wait => setTimeout(wait, 2000))
    }
  }
  notices.last = null
  build()
  document.body.dataset.ready = ""
  link.addEventListener("news", event => news(event.detail))
  link.addEventListener("state", render)
  $("stage").addEventListener("say", event => say(event.detail))
  $("stage").addEventListener("broken", event => broken(event.detail))
  render()
  replan()
  listen()
}

// A film that this browser cannot play is shown as its first picture; a photo that is gone leaves only the dream.
function broken(url) {
  const item = shown?.item ?? (shown?.photo ? form.photos[0] : null)
  if (item && url.startsWith("/file/")) {
    drawStill(item)
    toast(`This browser cannot play ${item.name}.`, "Download", () => download(item))
  } else if (item) toast(`${item.name} cannot be shown.`)
  else if (shown?.last?.output) drawStill({ name: shown.last.output })
}

start()
