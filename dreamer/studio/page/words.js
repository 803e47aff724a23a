// Words: how times and sizes are written, and where the page says something.

export const plural = (number, one) => `${number} ${one}${number === 1 ? "" : "s"}`

// 9.4 -> "9 s", 75 -> "1 min 15 s", 5000 -> "1 h 23 min"
export function time(seconds) {
  const whole = Math.max(Math.round(seconds), 1)
  if (whole < 60) return `${whole} s`
  if (whole < 600) return `${Math.floor(whole / 60)} min${whole % 60 ? ` ${whole % 60} s` : ""}`
  const minutes = Math.round(whole / 60)
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`
}

// 7.7e8 -> "770 MB"
export function size(bytes) {
  const units = ["kB", "MB", "GB"]
  let unit = 0, amount = bytes / 1000
  while (amount >= 999.5 && unit < 2) {
    amount /= 1000
    unit++
  }
  return `${amount < 9.95 && unit ? Math.round(amount * 10) / 10 : Math.round(amount)} ${units[unit]}`
}

export const stem = name => name.replace(/\.[^.]*$/, "")

// Writes only what is new: a screen reader reads a region again when its text is set again.
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text
}

// The one polite region: the newest line, at most every 5 s.
const PAUSE = 5000
let last = -PAUSE, waiting = null
export function say(text) {
  const region = document.getElementById("status")
  clearTimeout(waiting)
  const put = () => {
    last = performance.now()
    region.textContent = text
  }
  const rest = PAUSE - (performance.now() - last)
  if (rest > 0) waiting = setTimeout(put, rest)
  else put()
}

// A line that goes away by itself, with a button such as Undo if `act` is given. It waits while one is on it.
let leaving = null
export function toast(text, name, act) {
  const box = document.getElementById("toast")
  const close = () => box.hidden = true
  const leave = () => {
    clearTimeout(leaving)
    leaving = setTimeout(close, act ? 12000 : 6000)
  }
  const words = document.createElement("span")
  words.textContent = text
  box.replaceChildren(words)
  if (act) {
    const undo = document.createElement("button")
    undo.type = "button"
    undo.textContent = name
    undo.onclick = () => {
      close()
      act()
    }
    box.append(undo)
  }
  box.onpointerenter = box.onfocusin = () => clearTimeout(leaving)
  box.onpointerleave = box.onfocusout = leave
  // In a modal dialog everything outside of it is dead, so the line goes where the person is.
  ;(document.querySelector("dialog[open]") ?? document.body).append(box)
  box.hidden = false
  say(text)
  leave()
}

export const fail = error => toast(error.lines?.join(" ") ?? error.message)
