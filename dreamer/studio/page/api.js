// The server: questions, uploads with their progress, and the socket that brings the state.

export const link = new EventTarget()   // "state": link.state is on, lost or locked;  "news": the server's state, in detail
link.state = "on"

function become(state) {
	if (link.state === state) return
	link.state = state
	link.dispatchEvent(new Event("state"))
}

// A cookie belongs to one run of the server; the next run prints an address with a new token.
const locked = status => status === 401 || status === 403

class Refused extends Error {
	constructor(status, answer) {
		super(answer?.error || (status === 413 ? "this file is too large" : status ? `The studio answered ${status}.`
			: "The studio does not answer. Is it still running?"))
		this.status = status
		this.lines = answer?.lines?.length ? answer.lines : [this.message]
		if (locked(status)) become("locked")
	}
}

// Asks the server; a body goes as JSON, a Blob as it is. Raises Refused, with status 0 if there is no answer.
export async function ask(path, { method = "GET", body, signal } = {}) {
	const raw = body instanceof Blob, headers = method === "GET" ? {} : { "X-Studio": "1" }
	if (body && !raw) headers["Content-Type"] = "application/json"
	const answer = await fetch(path, { method, headers, signal, body: raw ? body : JSON.stringify(body) }).catch(error => {
		throw error.name === "AbortError" ? error : new Refused(0)
	})
	const data = await answer.json().catch(() => null)
	if (!answer.ok) throw new Refused(answer.status, data)
	return data
}

export const post = (path, body = {}) => ask(path, { method: "POST", body })
export const part = encodeURIComponent

// fetch() does not tell how much has been sent, so this is an XMLHttpRequest.
export function upload(file, name, progress) {
	return new Promise((resolve, reject) => {
		const request = new XMLHttpRequest()
		request.open("PUT", `/photos/${part(name)}`)
		request.setRequestHeader("X-Studio", "1")
		request.responseType = "json"
		request.upload.onprogress = event => progress(event.loaded / Math.max(event.total, 1))
		request.onload = () => request.status < 300 ? resolve(request.response) : reject(new Refused(request.status, request.response))
		request.onerror = () => reject(new Refused(0, { error: "the connection broke while it was sent" }))
		request.send(file)
	})
}

// Keeps a socket open while the page lives. A socket cannot say why it was refused, so a question finds out.
export function listen(wait = 500) {
	const socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/socket`)
	socket.onmessage = event => {
		wait = 500
		become("on")
		link.dispatchEvent(new CustomEvent("news", { detail: JSON.parse(event.data) }))
	}
	socket.onclose = async () => {
		const answer = await fetch("/models", { cache: "no-store" }).catch(() => null)
		become(locked(answer?.status) ? "locked" : "lost")
		setTimeout(() => listen(Math.min(wait * 1.6, 8000)), wait)
	}
}
