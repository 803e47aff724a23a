// The server: questions, uploads with their progress, and the socket that brings the state.

export const link = new EventTarget()   // "state": on, lost or locked, in link.state;  "news": the server's state, in detail
link.state = "on"

function become(state) {
  if (link.state === state) return
  link.state = state
  link.dispatchEvent(new Event("state"))
}

export class Refused extends Error {
  constructor(status, answer) {
    super(answer?.error || (status === 413 ? "This file is too large." : `The studio answered ${status}.`))
    this.status = status
    this.lines = answer?.lines?.length ? answer.lines : [this.message]
  }
}

// The cookie belongs to one run of the server: a new run has a new token, and only the address that it printed has that.
function heard(status) {
  if (status === 401 || status === 403) become("locked")
}

// Asks the server; `body` (if any) goes as JSON, or as it is if it is a Blob. Raises Refused, or Refused(0) without a server.
export async function ask(path, { method = "GET", body, signal } = {}) {
  const raw = body instanceof Blob
  const headers = method === "GET" ? {} : { "X-Studio": "1", ...(raw || body === undefined ? {} : { "Content-Type": "application/json" }) }
  let answer
  try {
    answer = await fetch(path, { method, headers, signal, body: raw || body === undefined ? body : JSON.stringify(body) })
  } catch (error) {
    if (error.name === "AbortError") throw error
    throw new Refused(0, { error: "The studio does not answer. Is it still running?" })
  }
  const data = await answer.json().catch(() => null)
  if (!answer.ok) {
    heard(answer.status)
    throw new Refused(answer.status, data)
  }
  return data
}

export const post = (path, body = {}) => ask(path, { method: "POST", body })
export const part = encodeURIComponent

// fetch() does not tell how much of a body is sent, so this is an XMLHttpRequest.
export function upload(file, name, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open("PUT", `/photos/${part(name)}`)
    request.setRequestHeader("X-Studio", "1")
    request.responseType = "json"
    request.upload.onprogress = event => progress(event.loaded / Math.max(event.total, 1))
    request.onload = () => {
      heard(request.status)
      if (request.status < 300 && request.response) resolve(request.response)
      else reject(new Refused(request.status, request.response))
    }
    request.onerror = () => reject(new Refused(0, { error: "The connection broke while it was sent." }))
    request.send(file)
  })
}

// Keeps a socket open for as long as the page lives. A socket cannot say why it was refused, so a question asks.
export function listen() {
  let wait = 500, socket
  const open = () => {
    socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/socket`)
    socket.onmessage = event => {
      wait = 500
      become("on")
      link.dispatchEvent(new CustomEvent("news", { detail: JSON.parse(event.data) }))
    }
    socket.onclose = async () => {
      const answer = await fetch("/models", { cache: "no-store" }).catch(() => null)
      if (answer && (answer.status === 401 || answer.status === 403)) become("locked")
      else become("lost")
      setTimeout(open, wait)
      wait = Math.min(wait * 1.6, 8000)
    }
  }
  open()
  // A phone that wakes up should not wait for the timer.
  addEventListener("online", () => { if (socket.readyState > 1) wait = 500 })
}
