// The queue: the bar below the picture for the dream that is shown, and the list of all.

import { post } from "./api.js"
import { button, make } from "./stage.js"
import { fail, say, time, write } from "./words.js"

export const active = job => ["dreaming", "stopping"].includes(job.state)
export const open = job => active(job) || job.state === "waiting" || job.state === "stopped"

// "octave 3 of 4 · 12 s to go"
export function progress(job) {
  if (job.state === "waiting") return "waiting for its turn"
  if (job.state === "stopping") return "stopping; what is done is saved"
  if (job.counting !== null && job.counting !== undefined) return `counting the frames · ${Math.round(job.counting * 100)} %`
  const parts = []
  if (job.kind === "film" && job.frames > 1) parts.push(`frame ${job.frame || 1} of ${job.frames}`)
  else if (job.kind === "try") parts.push(`${job.tried ?? 0} tiles`)
  else if (job.octaves) parts.push(`octave ${job.octave || 1} of ${job.octaves}`)
  else parts.push("beginning")
  if (job.left !== null && job.left !== undefined) parts.push(`${time(job.left)} to go`)
  return parts.join(" · ")
}

// The state of a job that does not dream, in a line; what to do is in the buttons beside it.
export function ending(job) {
  if (job.state === "failed") return `This dream failed: ${job.error || "it ended without a word"}`
  if (job.state === "stopped") return `Stopped at ${Math.round(job.done * 100)} %. What is done is saved.`
  if (job.state === "done") return `${job.output ?? job.photo} · dreamed${job.took ? ` in ${time(job.took)}` : ""}${job.resumed ? ", in more than one go" : ""}`
  return job.words ?? ""
}

export const act = (job, verb, value) => post(`/jobs/${job.id}/${verb}`, value).catch(fail)

// The bar below the stage, for a job or {state: "item", kind, output, words} for a picture of the gallery.
export class Now {
  constructor(box, page) {
    this.page = page
    this.bar = make("progress", { max: 1, aria: { "aria-label": "This dream" } })
    this.line = make("p", { className: "line" })
    const verb = (text, go, className = "") => Object.assign(button(text, go), { className })
    const does = name => () => act(this.job, name)
    this.verbs = {
      stop: verb("Stop", does("stop"), "main"), cancel: verb("Cancel", does("remove")), go: verb("Go on", does("go"), "main"),
      again: verb("Again, another seed", () => page.repeat(this.job)), dream: verb("Dream the dream", () => page.chain(this.job)),
      download: verb("Download", () => page.download(this.job)), more: verb("More", () => page.more(this.job, this.verbs.more)),
      remove: verb("Remove", does("remove")),
    }
    this.verbs.more.setAttribute("aria-haspopup", "menu")
    this.notes = make("p", { className: "hint notes" })
    box.append(this.bar, make("div", { className: "now-row" }, this.line, make("div", { className: "row" }, ...Object.values(this.verbs))), this.notes)
    this.box = box
  }

  show(job) {
    this.box.hidden = !job
    this.job = job
    if (!job) return
    const { state } = job
    this.box.dataset.state = state
    this.bar.hidden = !(active(job) || state === "stopped")
    const waits = active(job) && !job.done
    if (waits) this.bar.removeAttribute("value")   // it only moves: nobody knows yet
    else this.bar.value = job.done ?? 0
    const working = active(job) || state === "waiting"
    write(this.line, working ? `${job.kind === "try" ? `All layers on ${job.photo} · ` : ""}${progress(job)}` : ending(job))
    this.line.classList.toggle("wrong", state === "failed")
    write(this.verbs.dream, job.kind === "photo" ? "Use as the photo" : "Dream the dream")
    const moves = ["film", "video", "sheet"].includes(job.kind)
    const shows = { dreaming: ["stop"], stopping: ["stop"], waiting: ["cancel"], stopped: ["go", "again", "remove"], failed: ["go", "remove"],
      done: job.kind === "try" ? [] : ["again", ...(moves ? [] : ["dream"]), "download", "more"],
      item: [...(moves ? [] : ["dream"]), "download", "more"] }[state]
    for (const [name, one] of Object.entries(this.verbs)) one.hidden = !shows.includes(name)
    write(this.verbs.go, state === "failed" ? "Try again" : "Go on")
    this.verbs.stop.disabled = state === "stopping"
    write(this.notes, (job.lines ?? []).join(" "))
    this.notes.hidden = !job.lines?.length
    this.tell(job)
  }

  // To those who do not see the bar: a change at once, progress now and then.
  tell(job) {
    if (job.state === "item") return
    const key = `${job.id} ${job.state} ${active(job) ? Math.floor(job.done * 4) : ""}`
    if (key === this.told) return
    this.told = key
    say(active(job) ? `${job.photo}: ${Math.round(job.done * 100)} %, ${progress(job)}` : ending(job) || `${job.photo}: ${progress(job)}`)
  }
}

// The list of all dreams that wait, run or were stopped, and of those that ended.
export class List {
  constructor(box, summary, page) {
    Object.assign(this, { summary, page, rows: new Map() })
    this.list = make("ol", { className: "jobs" })
    this.empty = make("p", { className: "hint", textContent: "Nothing waits." })
    box.append(make("div", {}, this.list, this.empty))
    box.addEventListener("keydown", event => {
      if (event.key !== "Escape") return
      box.open = false
      summary.focus()
    })
    document.addEventListener("pointerdown", event => { if (!box.contains(event.target)) box.open = false })
  }

  show(jobs) {
    const waiting = jobs.filter(job => job.state === "waiting")
    const running = jobs.filter(active)
    write(this.summary, running.length + waiting.length ? `Queue · ${running.length + waiting.length}` : "Queue")
    // What runs, what waits in its order, what can go on, and then what ended, newest first.
    const ended = jobs.filter(job => ["failed", "done"].includes(job.state)).reverse().slice(0, 20)
    const order = [...running, ...waiting, ...jobs.filter(job => job.state === "stopped"), ...ended]
    const rows = new Map()
    for (const job of order) rows.set(job.id, this.rows.get(job.id) ?? this.row(job.id))
    for (const [id, row] of this.rows) if (!rows.has(id)) row.element.remove()
    let before = this.list.firstElementChild
    for (const job of order) {
      const row = rows.get(job.id)
      if (row.element === before) before = before.nextElementSibling
      else this.list.insertBefore(row.element, before)
      this.fill(row, job, waiting.indexOf(job), waiting.length)
    }
    this.rows = rows
    this.empty.hidden = order.length > 0
  }

  row(id) {
    const row = { job: null }
    const verb = (name, label, go) => {
      const one = button(name, go)
      row.labels.push([one, label])
      return one
    }
    row.labels = []
    const to = step => () => act(row.job, "move", { to: row.place + step })
    row.name = button("", () => this.page.follow(row.job))
    row.name.className = "name"
    row.line = make("span", { className: "line" })
    row.bar = make("progress", { max: 1, aria: { "aria-label": "Progress" } })
    row.up = verb("↑", "Move up", to(-1))
    row.down = verb("↓", "Move down", to(1))
    row.stop = verb("Stop", "Stop", () => act(row.job, "stop"))
    row.go = verb("Go on", "", () => act(row.job, "go"))
    row.again = verb("Again", "Again, with another seed,", () => this.page.repeat(row.job))
    row.remove = verb("Remove", "Remove", () => act(row.job, "remove"))
    row.element = make("li", {}, row.name, row.line, row.bar,
      make("span", { className: "row" }, row.up, row.down, row.stop, row.go, row.again, row.remove))
    row.element.dataset.id = id
    return row
  }

  fill(row, job, place, count) {
    row.job = job
    row.place = place
    const { state } = job
    row.element.dataset.state = state
    write(row.name, `${job.photo} · ${job.kind === "try" ? "all layers" : job.layer ?? ""}`)
    write(row.line, state === "waiting" || active(job) ? progress(job) : ending(job))
    row.bar.hidden = !active(job)
    row.bar.value = job.done ?? 0
    row.up.hidden = !(place > 0)
    row.down.hidden = place < 0 || place === count - 1
    row.stop.hidden = state !== "dreaming"
    row.go.hidden = !["stopped", "failed"].includes(state)
    write(row.go, state === "failed" ? "Try again" : "Go on")
    row.again.hidden = !["stopped", "done"].includes(state) || job.kind === "try"
    row.remove.hidden = active(job)
    write(row.remove, state === "waiting" ? "Cancel" : "Remove")
    for (const [one, label] of row.labels) one.setAttribute("aria-label", `${label || one.textContent} ${job.photo}`)
  }
}
