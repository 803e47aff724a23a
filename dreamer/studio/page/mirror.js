// The mirror: what the camera sees, dreamed as it comes. A frame goes out when the last one has come back, or after
// LATEST ms: nothing queues up on a slow line or in a slow net, and the picture stays near the present.

import { button, encoded, make } from "./stage.js"

const WIDE = 320, HIGH = 240
const LATEST = 400       // ms
const REST = 20000       // ms that the page may be hidden before the camera is given back
const FAVOURITE = "inception_4c/output"   // quick, and looks like a dream
const PLAIN = {
  NotAllowedError: "The camera is not allowed. Allow it in the browser's address bar or in the system's settings, then try again.",
  NotFoundError: "No camera was found. Connect one, then try again.",
  NotReadableError: "Another program uses the camera. Close it, then try again.",
}

function layers(models) {
  const select = make("select"), usable = models.models.filter(model => model.weights)
  const value = (model, layer) => JSON.stringify([model.name, layer])
  for (const model of usable) {
    const group = (label, rows, words) => rows?.length && select.append(make("optgroup", { label: `${label} of ${model.name}` },
      ...rows.map(row => new Option(words(row), value(model, row.layer ?? row.name)))))
    group("Layers", model.layers, ({ name, words }) => words ? `${words} (${name})` : name)
    group("Looks", model.looks, ({ name }) => name)
  }
  const first = usable[0]
  if (first) select.value = value(first, first.layers.some(({ name }) => name === FAVOURITE) ? FAVOURITE : first.layer)
  return select
}

class Mirror {
  constructor(dialog, models) {
    this.dialog = dialog
    this.facing = "user"
    this.build(models)
    const hidden = () => {
      clearTimeout(this.resting)
      if (document.hidden) this.resting = setTimeout(() => this.stop("The mirror rests, because the page was hidden."), REST)
    }
    document.addEventListener("visibilitychange", hidden)
    dialog.addEventListener("close", () => {
      document.removeEventListener("visibilitychange", hidden)
      clearTimeout(this.resting)
      this.stop("")
    }, { once: true })
  }

  build(models) {
    const row = (...parts) => make("div", { className: "row" }, ...parts)
    const label = (text, control) => make("label", { className: "slide" }, text, control)
    const range = (min, max, step, value) => make("input", { type: "range", min, max, step, value, oninput: () => this.settings() })
    this.layer = layers(models)
    this.layer.onchange = () => this.settings()
    this.strength = range(.5, 8, .5, 3)
    this.steps = range(1, 4, 1, 2)
    this.past = range(0, .95, .05, .8)
    this.flow = make("input", { type: "checkbox", checked: true, onchange: () => this.settings() })
    this.flows = make("label", { className: "check", hidden: true }, this.flow, "The dream follows what moves")
    this.canvas = make("canvas", { width: WIDE, height: HIGH, aria: { role: "img", "aria-label": "What the camera sees, dreamed" } })
    this.figures = make("p", { className: "figures" })
    this.line = make("p", { aria: { role: "alert" } })
    this.again = button("Try again", () => this.start())
    this.other = button("Other camera", () => this.change())
    this.keeps = [button("Keep the picture", () => this.send({ keep: "still" })), button("Keep the last ten seconds", () => this.send({ keep: "film" }))]
    this.kept = make("p", { aria: { role: "status" } })
    this.both = make("div", { className: "both" },
      make("div", { className: "seen" }, this.canvas, this.figures, row(...this.keeps, this.other)),
      make("div", {}, label("Layer", this.layer), label("Strength", this.strength), label("Steps", this.steps),
        label("Memory of the past", this.past), this.flows))
    const title = make("h2", { id: "mirror-title", textContent: "Mirror" }), top = row(title, button("Close", () => this.dialog.close()))
    top.classList.add("top")
    this.dialog.classList.add("mirror")
    this.dialog.setAttribute("aria-labelledby", title.id)
    this.dialog.replaceChildren(top, this.line, this.again, this.both, this.kept)
    this.video = make("video", { muted: true, playsInline: true })
    this.frame = make("canvas", { width: WIDE, height: HIGH })
  }

  live(on) {
    this.both.hidden = !on
    this.again.hidden = on
    this.other.hidden = true
    for (const control of this.keeps) control.disabled = true   // until there is something to keep
  }

  // No camera and no socket from here on; `why` is for people.
  stop(why) {
    this.running = null
    this.socket?.close()
    for (const track of this.stream?.getTracks() ?? []) track.stop()
    this.socket = this.stream = this.video.srcObject = null
    this.line.textContent = why
    this.live(false)
  }

  async start(device) {
    this.stop("")
    if (!navigator.mediaDevices?.getUserMedia) {
      this.stop(isSecureContext ? "This browser has no camera for pages."
        : `Browsers give a page the camera only on this computer itself (http://127.0.0.1) or over https. This page came from ${location.host}.`)
      this.again.hidden = true
      return
    }
    const run = this.running = {}   // what comes late belongs to another run, and is dropped
    this.live(true)
    try {
      const which = device ? { deviceId: { exact: device } } : { facingMode: { ideal: this.facing } }
      const stream = await navigator.mediaDevices.getUserMedia({ video: { width: WIDE, height: HIGH, ...which } })
      if (run !== this.running) return stream.getTracks().forEach(track => track.stop())
      this.stream = this.video.srcObject = stream
      await this.video.play()
    } catch (error) {
      if (run === this.running) this.stop(PLAIN[error.name] ?? `The camera gives no picture: ${error.message}`)
      return
    }
    if (run !== this.running) return
    const track = this.stream.getVideoTracks()[0]
    track.onended = () => run === this.running && this.stop("The camera is gone.")
    this.seen = track.getSettings()
    this.connect(run)
    const all = await navigator.mediaDevices.enumerateDevices()
    this.cameras = all.filter(one => one.kind === "videoinput").map(one => one.deviceId)
    if (run === this.running) this.other.hidden = this.cameras.length < 2
  }

  // A phone turns from front to back; a computer goes through its cameras.
  change() {
    const { facingMode, deviceId } = this.seen
    this.facing = facingMode === "user" ? "environment" : "user"
    this.start(facingMode ? undefined : this.cameras[(this.cameras.indexOf(deviceId) + 1) % this.cameras.length])
  }

  connect(run) {
    const socket = this.socket = new WebSocket(`${location.origin.replace("http", "ws")}/mirror`)
    let wrong = "The studio does not answer, or another page has the mirror: only one can have it."
    Object.assign(this, { number: 0, drawn: 0, sent: new Map(), shown: [], delay: 0 })
    socket.binaryType = "arraybuffer"
    socket.onopen = () => {
      this.settings()
      this.loop(run)
    }
    socket.onclose = () => run === this.running && this.stop(wrong)
    socket.onmessage = ({ data }) => {
      if (run !== this.running) return
      if (typeof data !== "string") return this.answer(run, data)
      const { ready, flow, error, kept, pace } = JSON.parse(data)
      if (ready || kept) this.line.textContent = ""   // an error of before
      if (pace) this.less = pace.less
      if (ready) {
        this.flows.hidden = !flow
        this.settings()
      }
      if (error) this.line.textContent = wrong = error
      if (kept) this.kept.textContent = `Kept as ${kept}`
    }
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message))
  }

  settings() {
    const [model, layer] = JSON.parse(this.layer.value)
    this.send({ model, layer, strength: Number(this.strength.value), steps: Number(this.steps.value),
      memory_of_past: Number(this.past.value), flow: !this.flows.hidden && this.flow.checked })
  }

  async loop(run) {
    while (run === this.running) {
      await new Promise(go => requestAnimationFrame(this.go = go))   // at the next picture of the screen, or an answer
      const waits = performance.now() - (this.sent.get(this.number) ?? -Infinity) < LATEST
      if (waits || document.hidden || this.video.readyState < 2 || this.socket?.bufferedAmount) continue
      this.post()
    }
  }

  post() {
    const pen = this.frame.getContext("2d"), { videoWidth, videoHeight } = this.video
    const scale = Math.max(WIDE / videoWidth, HIGH / videoHeight), wide = videoWidth * scale, high = videoHeight * scale
    // Like in a mirror, except with the camera at the back. Turned over here, so that what is kept is what was seen.
    const flip = this.seen.facingMode === "environment" ? 1 : -1
    pen.setTransform(flip, 0, 0, 1, WIDE / 2, HIGH / 2)
    pen.drawImage(this.video, -wide / 2, -high / 2, wide, high)
    const number = new DataView(new ArrayBuffer(8))
    number.setBigUint64(0, BigInt(++this.number), true)
    this.sent.set(this.number, performance.now())
    this.sent.delete(this.number - 20)   // was never answered
    this.socket.send(new Blob([number, encoded(this.frame, "image/jpeg", .7)]))
  }

  async answer(run, data) {
    const number = Number(new DataView(data).getBigUint64(0, true)), taken = this.sent.get(number)
    this.sent.delete(number)
    this.go?.()
    const picture = await createImageBitmap(new Blob([new Uint8Array(data, 8)], { type: "image/jpeg" })).catch(() => null)
    if (!picture || run !== this.running || number <= this.drawn) return   // an older one that came late
    this.drawn = number
    Object.assign(this.canvas, { width: picture.width, height: picture.height })
    this.canvas.getContext("2d").drawImage(picture, 0, 0)
    for (const control of this.keeps) control.disabled = false
    if (taken) this.measure(taken)
  }

  measure(taken) {
    const now = performance.now()
    this.shown = [...this.shown.filter(time => now - time < 2000), now]
    this.delay += (now - taken - this.delay) * (this.delay ? .2 : 1)
    if (now - (this.measured ?? 0) < 500 || this.shown.length < 2) return
    this.measured = now
    const rate = (this.shown.length - 1) / (now - this.shown[0]) * 1000
    this.figures.textContent = `${rate.toFixed(rate < 10 ? 1 : 0)} frames a second, ${(this.delay / 1000).toFixed(2)} s behind${this.less ? "; simpler than asked, to keep up" : ""}`
  }
}

// Opens the mirror in a <dialog>; models is what GET /models answers. Closing the dialog ends it.
export function mirror(dialog, models) {
  if (dialog.open) return
  const one = new Mirror(dialog, models)
  dialog.showModal()
  if (one.layer.value) return one.start()
  one.stop("The mirror needs the weights of a model, and none are installed.")
  one.again.hidden = true
}
