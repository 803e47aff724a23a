// How times and sizes are written, where the page says something, and what a tab keeps over a reload.

import { button, make } from "./stage.js"

export const plural = (number, one) => `${number} ${one}${number === 1 ? "" : "s"}`
export const stem = name => name.replace(/\.[^.]*$/, "")

// 9.4 -> "9 s", 75 -> "1 min 15 s", 5000 -> "1 h 23 min"
export function time(seconds) {
	const whole = Math.max(Math.round(seconds), 1), minutes = Math.round(whole / 60)
	if (whole < 60) return `${whole} s`
	if (whole < 600) return `${Math.floor(whole / 60)} min${whole % 60 ? ` ${whole % 60} s` : ""}`
	return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`
}

// 7.7e8 -> "770 MB"
export function size(bytes) {
	const unit = bytes < 999.5e3 ? 0 : bytes < 999.5e6 ? 1 : 2, amount = bytes / 1000 ** (unit + 1)
	return `${amount < 9.95 && unit ? Math.round(amount * 10) / 10 : Math.round(amount)} ${["kB", "MB", "GB"][unit]}`
}

// Writes only what is new: a screen reader would read it again.
export function write(element, text) {
	if (element.textContent !== text) element.textContent = text
}

// The one polite region: the newest line, at most every 5 s.
let next = 0, waiting
export function say(text) {
	clearTimeout(waiting)
	waiting = setTimeout(() => {
		next = performance.now() + 5000
		document.getElementById("status").textContent = text
	}, next - performance.now())
}

// A line that goes away by itself, unless one is on it; with a button such as Undo if `act` is given.
let leaving
export function toast(text, name, act) {
	const box = document.getElementById("toast"), leave = () => {
		clearTimeout(leaving)
		leaving = setTimeout(() => box.hidden = true, act ? 12000 : 6000)
	}
	box.replaceChildren(make("span", text), act ? button(name, () => {
		box.hidden = true
		act()
	}) : "")
	box.onpointerenter = box.onfocusin = () => clearTimeout(leaving)
	box.onpointerleave = box.onfocusout = leave
	// Outside of a modal dialog nothing can be pressed.
	;(document.querySelector("dialog[open]") ?? document.body).append(box)
	box.hidden = false
	say(text)
	leave()
}

export const fail = error => toast(error.lines?.join(" ") ?? error.message)

// Without storage a reload forgets.
export function keep(name, value) {
	try {
		sessionStorage.setItem(name, JSON.stringify(value))
	} catch { /* see above */ }
}
export function kept(name) {
	try {
		return JSON.parse(sessionStorage.getItem(name))
	} catch {
		return null
	}
}
