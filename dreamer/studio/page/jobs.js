// The queue: the bar below the picture for what is shown, and the list of all jobs.

import { post } from "./api.js"
import { download } from "./gallery.js"
import { button, make, row } from "./stage.js"
import { fail, say, time, write } from "./words.js"

export const active = job => ["dreaming", "stopping"].includes(job.state)

const percent = job => `${Math.round(job.done * 100)} %`
export const heading = job => `${percent(job)} · ${job.photo}`

// What it does, or how it ended, in a line: "octave 3 of 4 · 12 s to go"
function line(job) {
  const { state, kind, counting, left } = job
  if (state === "waiting") return "waiting for its turn"
  if (state === "stopping") return "stopping; what is done is saved"
  if (state === "stopped") return `Stopped at ${percent(job)}. What is done is saved.`
  if (state === "failed") return `This dream failed: ${job.error || "it ended without a word"}`
  if (state === "done" && kind === "try") return `All layers on ${job.photo}: see the tiles`
  if (state === "done") return `${job.output} · dreamed in ${time(job.took)}`
  if (state === "item") return job.words
  if (counting !== null) return `counting the frames · ${Math.round(counting * 100)} %`
  const where = kind === "try" ? `all layers on ${job.photo} · ${job.tried} tiles` : kind === "film" && job.frames > 1 ? `frame ${job.frame || 1} of ${job.frames}`
    : job.octaves ? `octave ${job.octave || 1} of ${job.octaves}` : "beginning"
  return left === null ? where : `${where} · ${time(left)} to go`
}

export const act = (job, verb, value) => post(`/jobs/${job.id}/${verb}`, value).catch(fail)

// The bar below the stage, for a job or {state: "item", kind, output, words} for a picture of the gallery.
export class Now {
  constructor(box, page) {
    const does = name => () => act(this.job, name)
    this.verbs = { stop: button("Stop", does("stop")), cancel: button("Cancel", does("remove")), go: button("Go on", does("go")),
      again: button("Again, another seed", () => page.repeat(this.job)), dream: button("Dream the dream", () => page.use(this.job, page.choose)),
      download: button("Download", () => download({ name: this.job.output })), remove: button("Remove", does("remove")),
      more: button("More", () => page.use(this.job, item => page.menu(item, this.verbs.more)), { ariaHasPopup: "menu" }) }
    this.verbs.stop.className = this.verbs.go.className = "main"
    this.bar = make("progress", { ariaLabel: "This dream" })
    this.line = make("p.line")
    this.notes = make("p.hint.notes")
    this.box = box
    box.append(this.bar, make("div.now-row", this.line, row(...Object.values(this.verbs))), this.notes)
  }

  show(job) {
    this.box.hidden = !job
    this.job = job
    if (!job) return
    const { state, kind, done, lines } = job, still = !["film", "video", "sheet"].includes(kind)
    this.bar.hidden = !active(job) && state !== "stopped"
    if (active(job) && !done) this.bar.removeAttribute("value")   // it only moves: nobody knows yet
    else this.bar.value = done ?? 0
    write(this.line, line(job))
    this.line.classList.toggle("wrong", state === "failed")
    const shows = { dreaming: ["stop"], stopping: ["stop"], waiting: ["cancel"], stopped: ["go", "again", "remove"], failed: ["go", "remove"],
      done: ["again", "dream", "download", "more"], item: ["dream", "download", "more"] }[state]
    for (const [name, one] of Object.entries(this.verbs)) one.hidden = !shows.includes(name) || (name === "dream" && !still) || (kind === "try" && state === "done")
      || (kind === "try" && name === "again")
    write(this.verbs.go, state === "failed" ? "Try again" : "Go on")
    write(this.verbs.dream, kind === "photo" ? "Use as the photo" : "Dream the dream")
    this.verbs.stop.disabled = state === "stopping"
    write(this.notes, (lines ?? []).join(" "))
    this.notes.hidden = !lines?.length
    // To those who do not see the bar: a change at once, progress now and then.
    const told = `${job.id} ${state} ${active(job) && Math.floor(done * 4)}`
    if (told !== this.told && state !== "item") say(active(job) ? `${heading(job)}: ${line(job)}` : line(job))
    this.told = told
  }
}

// The list: what runs, what waits in its order, what can go on, and what ended, newest first.
export class List {
  constructor(box, page) {
    Object.assign(this, { box, page, rows: new Map(), list: make("ol.jobs") })
    box.append(make("div", this.list))
    box.onkeydown = event => {
      if (event.key !== "Escape") return
      box.open = false
      box.firstElementChild.focus()
    }
    document.addEventListener("pointerdown", event => { if (!box.contains(event.target)) box.open = false })
  }

  show(jobs) {
    const running = jobs.filter(active), waiting = jobs.filter(job => job.state === "waiting"), stopped = jobs.filter(job => job.state === "stopped")
    const ended = jobs.filter(job => ["failed", "done"].includes(job.state)).reverse().slice(0, 20), count = running.length + waiting.length
    this.box.hidden = !jobs.length
    write(this.box.firstElementChild, count ? `Queue · ${count}` : "Queue")
    const rows = new Map()
    for (const job of [...running, ...waiting, ...stopped, ...ended]) {
      const place = waiting.indexOf(job), key = `${job.id} ${job.state} ${place} ${waiting.length}`
      const row = this.rows.get(key) ?? this.row(job, place, waiting.length)
      rows.set(key, row)
      write(row.line, line(job))
      row.bar.value = job.done
    }
    if ([...rows.keys()].join() !== [...this.rows.keys()].join()) this.list.replaceChildren(...[...rows.values()].map(row => row.element))
    this.rows = rows
  }

  row(job, place, count) {
    const { id, state, kind } = job
    const does = (verb, value) => () => act(job, verb, value), waits = state === "waiting"
    const verbs = [[place > 0, "↑", "Move up", does("move", { to: place - 1 })], [waits && place < count - 1, "↓", "Move down", does("move", { to: place + 1 })],
      [state === "dreaming", "Stop", "Stop", does("stop")], [state === "stopped", "Go on", "Go on", does("go")],
      [state === "failed", "Try again", "Try again", does("go")],
      [["stopped", "done"].includes(state) && kind !== "try", "Again", "Again, with another seed", () => this.page.repeat(job)],
      [waits || !active(job), waits ? "Cancel" : "Remove", waits ? "Cancel" : "Remove", does("remove")]]
    const what = { line: make("span.line"), bar: make("progress", { ariaLabel: "Progress", hidden: !active(job) }) }
    const name = button(`${job.photo} · ${kind === "try" ? "all layers" : job.layer || "its own layer"}`, () => this.page.follow(job), { className: "name" })
    what.element = make("li", name, what.line, what.bar, make("span.row", ...verbs.filter(([on]) => on)
      .map(([, text, label, go]) => button(text, go, { ariaLabel: `${label}: ${job.photo}` }))))
    Object.assign(what.element.dataset, { id, state })
    return what
  }
}
