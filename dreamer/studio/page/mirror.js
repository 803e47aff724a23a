// The mirror: what the camera sees, dreamed as it comes. A frame goes out when the last one has come back, or after
// LATEST ms: so nothing queues up on a slow line or in a slow net, and the picture stays near the present.

import { button, make } from "./stage.js"

const WIDE = 320, HIGH = 240
const LATEST = 400       // ms
const REST = 20000       // ms that the page may be hidden before the camera is given back
const FAVOURITE = "inception_4c/output"   // looks like a dream, and is quick
const PLAIN = {
  NotAllowedError: "The camera is not allowed. Allow it in the browser's address bar (or in the system's settings), then try again.",
  NotFoundError: "No camera was found. Connect one, then try again.",
  NotReadableError: "Another program uses the camera. Close it, then try again.",
}

function layers(models) {
  const select = make("select"), usable = models.models.filter(model => model.weights)
  const value = (model, layer) => JSON.stringify([model.name, layer])
  for (const model of usable) {
    const of = usable.length > 1 ? ` of ${model.name}` : ""
    const group = (label, rows) => rows.length && select.append(make("optgroup", { label: label + of }, ...rows))
    group("Layers", model.layers.map(({ name, words }) => new Option(words ? `${words} (${name})` : name, value(model, name))))
    group("Looks", (model.looks ?? []).map(({ name, layer }) => new Option(name, value(model, layer))))
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
    this.hidden = () => {
      clearTimeout(this.resting)
      if (document.hidden) this.resting = setTimeout(() => this.stop("The mirror rests: the page was hidden."), REST)
    }
    document.addEventListener("visibilitychange", this.hidden)
    dialog.addEventListener("close", () => {
      document.removeEventListener("visibilitychange", this.hidden)
      clearTimeout(this.resting)
      this.stop("")
    }, { once: true })
  }

  build(models) {
    const slide = (text, min, max, step, value) => {
      const input = make("input", { type: "range", min, max, step, value, oninput: () => this.settings() })
      return [input, make("label", { className: "slide" }, text, input)]
    }
    this.layer = layers(models)
    this.layer.onchange = () => this.settings()
    const [strength, strong] = slide("Strength", .5, 8, .5, 3)
    const [steps, many] = slide("Steps", 1, 4, 1, 2)
    const [past, memory] = slide("Memory of the past", 0, .95, .05, .8)
    this.flow = make("input", { type: "checkbox", checked: true, onchange: () => this.settings() })
    this.flows = make("label", { className: "check", hidden: true }, this.flow, "The dream follows what moves")
    Object.assign(this, { strength, steps, past })
    this.canvas = make("canvas", { width: WIDE, height: HIGH, role: "img", ariaLabel: "What the camera sees, dreamed" })
    this.figures = make("p", { className: "figures", textContent: "\u00a0" })
    this.line = make("p", { className: "line", hidden: true, role: "alert" })
    this.again = button("Try again", () => this.start())
    this.other = button("Other camera", () => this.change())
    this.keeps = [["Keep the picture", "still"], ["Keep the last ten seconds", "film"]]
      .map(([text, keep]) => button(text, () => this.send({ keep })))
    this.kept = make("p", { className: "kept", role: "status" })
    const title = make("h2", { id: "mirror-title", textContent: "Mirror" })
    this.dialog.classList.add("mirror")
    this.dialog.setAttribute("aria-labelledby", title.id)
    this.dialog.replaceChildren(
      make("div", { className: "row top" }, title, button("Close", () => this.dialog.close())),
      this.line, this.again, this.both = make("div", { className: "both" },
        make("div", { className: "seen" }, this.canvas, this.figures, make("div", { className: "row" }, ...this.keeps, this.other)),
        make("div", {}, make("label", { className: "slide" }, "Layer", this.layer), strong, many, memory, this.flows)), this.kept)
    this.video = make("video", { muted: true, playsInline: true })
    this.frame = make("canvas", { width: WIDE, height: HIGH })
    this.live(false)
  }

  live(on) {
    this.both.hidden = !on
    this.again.hidden = on
    this.other.hidden = true
    for (const control of this.keeps) control.disabled = true   // until there is something to keep
  }

  // Why there is no picture, and no camera or socket from here on.
  stop(why) {
    this.running = null
    this.socket?.close()
    for (const track of this.stream?.getTracks() ?? []) track.stop()
    this.socket = this.stream = this.video.srcObject = null
    this.say(why)
    this.live(false)
  }

  say(line) {
    this.line.textContent = line
    this.line.hidden = !line
  }

  async start(device) {
    this.stop("")
    const run = this.running = {}   // what comes late belongs to another run, and is dropped
    const address = location.host
    if (!navigator.mediaDevices?.getUserMedia) {
      this.stop(isSecureContext ? "This browser has no camera for pages."
        : `Browsers give a page the camera only on this computer itself (http://127.0.0.1) or over https. This page came from ${address}.`)
      this.again.hidden = true
      return
    }
    this.live(true)
    try {
      const video = { width: WIDE, height: HIGH, ...(device ? { deviceId: { exact: device } } : { facingMode: { ideal: this.facing } }) }
      const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false })
      if (run !== this.running || !this.dialog.open) {
        stream.getTracks().forEach(track => track.stop())
        return
      }
      this.stream = this.video.srcObject = stream
      await this.video.play()
    } catch (error) {
      if (run === this.running) this.stop(PLAIN[error.name] ?? `The camera gives no picture: ${error.message}`)
      return
    }
    if (run !== this.running) return
    const track = this.stream.getVideoTracks()[0], { facingMode, deviceId } = track.getSettings()
    track.onended = () => run === this.running && this.stop("The camera is gone.")
    this.seen = { facingMode, deviceId }
    this.flips = facingMode !== "environment"
    this.connect(run)
    const all = await navigator.mediaDevices.enumerateDevices()
    this.cameras = all.filter(one => one.kind === "videoinput").map(one => one.deviceId)
    if (run === this.running) this.other.hidden = this.cameras.length < 2
  }

  // A phone turns from the front to the back; a computer goes through its cameras.
  change() {
    if (this.seen.facingMode) {
      this.facing = this.seen.facingMode === "user" ? "environment" : "user"
      return this.start()
    }
    return this.start(this.cameras[(this.cameras.indexOf(this.seen.deviceId) + 1) % this.cameras.length])
  }

  connect(run) {
    const socket = this.socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/mirror`)
    socket.binaryType = "arraybuffer"
    Object.assign(this, { number: 0, drawn: 0, sent: new Map(), shown: [], delay: 0, wrong: null })
    socket.onopen = () => {
      this.settings()
      this.loop(run)
    }
    socket.onmessage = ({ data }) => {
      if (run !== this.running) return
      if (typeof data === "string") this.told(JSON.parse(data))
      else this.answer(run, data)
    }
    socket.onclose = () => run === this.running && this.stop(this.wrong
      ?? "The studio does not answer, or another page has the mirror: only one can have it.")
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message))
  }

  settings() {
    if (!this.layer.value) return
    const [model, layer] = JSON.parse(this.layer.value)
    this.send({ model, layer, strength: Number(this.strength.value), steps: Number(this.steps.value),
      memory_of_past: Number(this.past.value), flow: !this.flows.hidden && this.flow.checked })
  }

  told(message) {
    if (message.ready) {
      this.flows.hidden = !message.flow
      this.settings()
    }
    if (message.error) this.say(this.wrong = message.error)
    if (message.kept) this.kept.textContent = `Kept as ${message.kept}`
  }

  async loop(run) {
    while (run === this.running) {
      // Not a timer alone: a hidden page gets no animation frames, so it sends nothing.
      await new Promise(requestAnimationFrame)
      const waits = this.sent.has(this.number) && performance.now() - this.sent.get(this.number) < LATEST
      if (waits || this.video.readyState < 2 || this.socket.bufferedAmount) continue
      await this.post(run).catch(() => null)   // a camera that is just going away
    }
  }

  async post(run) {
    const pen = this.frame.getContext("2d"), { videoWidth, videoHeight } = this.video
    const scale = Math.max(WIDE / videoWidth, HIGH / videoHeight)
    const wide = videoWidth * scale, high = videoHeight * scale
    // Turned over here, not on the screen: so what is kept is what was seen.
    pen.setTransform(this.flips ? -1 : 1, 0, 0, 1, this.flips ? WIDE : 0, 0)
    pen.drawImage(this.video, (WIDE - wide) / 2, (HIGH - high) / 2, wide, high)
    const taken = performance.now()
    const jpeg = await new Promise(done => this.frame.toBlob(done, "image/jpeg", .7))
    if (run !== this.running || !jpeg) return
    const number = new DataView(new ArrayBuffer(8))
    number.setBigUint64(0, BigInt(++this.number), true)
    this.sent.set(this.number, taken)
    for (const old of this.sent.keys()) if (old < this.number - 20) this.sent.delete(old)
    this.socket.send(new Blob([number, jpeg]))
  }

  async answer(run, data) {
    const number = Number(new DataView(data).getBigUint64(0, true)), taken = this.sent.get(number)
    this.sent.delete(number)
    const picture = await createImageBitmap(new Blob([new Uint8Array(data, 8)], { type: "image/jpeg" })).catch(() => null)
    if (!picture || run !== this.running || number <= this.drawn) return   // an older one that came late
    this.drawn = number
    if (this.canvas.width !== picture.width || this.canvas.height !== picture.height) {
      Object.assign(this.canvas, { width: picture.width, height: picture.height })
    }
    this.canvas.getContext("2d").drawImage(picture, 0, 0)
    picture.close()
    for (const control of this.keeps) control.disabled = false
    this.measure(taken)
  }

  measure(taken) {
    const now = performance.now()
    this.shown = [...this.shown.filter(time => now - time < 2000), now]
    this.delay += ((taken ? now - taken : this.delay) - this.delay) * (this.delay ? .2 : 1)
    if (now - (this.measured ?? 0) < 500 || this.shown.length < 2) return
    this.measured = now
    const rate = (this.shown.length - 1) / (now - this.shown[0]) * 1000
    this.figures.textContent = `${rate.toFixed(rate < 10 ? 1 : 0)} frames a second, ${(this.delay / 1000).toFixed(2)} s behind`
  }
}

// Opens the mirror in a <dialog>; models is what GET /models answers. Closing the dialog ends it.
export function mirror(dialog, models) {
  if (dialog.open) return
  const one = new Mirror(dialog, models)
  dialog.showModal()
  if (one.layer.options.length) one.start()
  else one.stop("The mirror needs the weights of a model, and none are installed.")
}
