"""The studio as a person uses it: Debian's Chromium on a running studio, with real dreams."""

import base64
import contextlib
import io
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from browser import LOST, Line, Page, Served
from client import Client
from containers import checkout
from dreamer.nets.model import Model
from dreamer.pictures.recipe import read_recipe
from helpers import PYTHON, ROOT, SLOWLY, children, ends, is_running, made, mounted, visible

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

SAMPLE = ROOT / "tests/pictures/dandelions.jpg"
QUICK: dict[str, Any] = {"model": "daydream", "max_size": 160, "iterations": 3}  # a second
LONG: dict[str, Any] = {"model": "daydream", "max_size": 448, "iterations": 60, "seed": 7}
ENDLESS: dict[str, Any] = LONG | {"iterations": 100_000}

# Notes each live picture: when it came, and a few of its pixels.
WATCH = """
    const box = document.querySelector("#stage .after"), canvas = document.createElement("canvas")
    const pen = canvas.getContext("2d", { willReadFrequently: true })
    window.seen = []
    new MutationObserver(() => {
      const image = box.lastElementChild
      if (!image || image.src === window.seen.at(-1)?.src) return
      pen.drawImage(image, 0, 0, 32, 32)
      const pixels = [...pen.getImageData(0, 0, 32, 32).data].join()
      window.seen.push({ src: image.src, at: performance.now(), pixels })
    }).observe(box, { childList: true })
"""


def plainly(job: dict[str, Any], folder: Path) -> bytes:
    """The dream of a job as the command line makes it, with the command that the page shows."""
    words = shlex.split(job["command"])
    output = folder.parent / f"plain{Path(job['output']).suffix}"
    words[words.index(str(folder / job["output"]))] = str(output)
    made([PYTHON, ROOT / "dreamify.py", *words[1:]])
    return output.read_bytes()


@pytest.fixture
def slow(page: Page) -> Page:
    """The page of a studio in which LONG takes twelve seconds or more, on any machine."""
    page.studio.stop()
    page.studio = Served(page.studio.folder, program=SLOWLY, SLOW_SECONDS="0.05")
    return page


# the first dream -------------------------------------------------------------------------------------------

def test_a_strangers_first_dream_takes_two_clicks(chromium: Any, page: Page, tell: Callable[[str], None],
                                                  googlenet: Model) -> None:
    """From the empty folder: a sample photo, and the large button. The picture is seen to grow."""
    folder = page.studio.folder
    page.studio.stop()
    began = time.monotonic()
    page.studio.start()
    page.open()
    page.sample()
    page.do(WATCH)
    page.dream()
    page.shows("done", 200)
    page.until("document.querySelector('#stage').dataset.state === 'compare' && "
               "document.querySelector('#stage .after img')?.complete")
    tell(f"studio: from the command to the first dream, 1024×576: {time.monotonic() - began:.1f} s")
    page.shot("done-wide")
    assert visible(folder) == ["dandelions-dream.jpg", "dandelions.jpg"]
    assert Image.open(folder / "dandelions-dream.jpg").size == (1024, 576)
    seen = [one for one in page.do("return window.seen") if "/preview/" in one["src"]]
    assert len({one["pixels"] for one in seen}) >= 3
    rate = (len(seen) - 1) / (seen[-1]["at"] - seen[0]["at"]) * 1000
    tell(f"studio: live pictures at 1024×576: {rate:.1f} a second, {len(seen)} of them, all different")


def test_a_thing_is_found_by_its_name_and_dreamed(page: Page, googlenet: Model) -> None:
    """The search finds classes beside layers; the button with the name chooses it; its dream has that class."""
    page.open(iterations=2, octaves=1)
    page.sample()
    search = page.find("#what input[type=search]")
    search.send_keys("bear polar")
    page.press("ice bear, polar bear, Ursus Maritimus, Thalarctos maritimus", "#what")
    page.until("document.querySelector('#what .chosen').textContent === 'A thing: ice bear'")
    page.shot("thing")
    page.dream()
    page.shows("done", 100)
    assert read_recipe(page.studio.folder / page.studio.job("done")["output"])["layer"] == "class:ice bear"


def test_a_dream_is_stopped_and_goes_on_to_the_same_bytes(slow: Page, tell: Callable[[str], None]) -> None:
    """In the middle of it the page is loaded again; later it is closed. The command that is shown makes the same."""
    page = slow
    page.open(**LONG)
    page.sample()
    page.dream()
    page.until("document.querySelector('#now progress').value > .1")
    began = time.monotonic()
    page.press("Stop", "#now")
    page.shows("stopped")
    tell(f"studio: a dream is stopped after {time.monotonic() - began:.2f} s")
    page.shot("stopped-wide")
    page.press("Go on", "#now")
    page.shows("dreaming")
    page.driver.refresh()
    page.shows("dreaming")
    page.driver.get("about:blank")
    job = page.studio.job("done")
    assert job["resumed"]
    page.open()
    page.until("document.querySelector(\"#strip [title='dandelions-dream.jpg']\")")
    assert (page.studio.folder / job["output"]).read_bytes() == plainly(job, page.studio.folder)


def test_two_tabs_and_a_phone_show_the_same(page: Page) -> None:
    """A second tab and a narrow page with touch follow the dream of the first; a finger stops it for all."""
    page.open(**ENDLESS)
    first = page.driver.current_window_handle
    page.sample()
    page.dream()
    second = page.tab()
    page.shows("dreaming")
    page.driver.switch_to.new_window("tab")
    page.phone()
    page.open(f"{page.studio.base}/")
    page.shows("dreaming")
    page.until("document.querySelector('#stage').dataset.state === 'live'")
    page.shot("live-narrow")
    page.tap("#now .main:not([hidden])")
    page.shows("stopped")
    for handle in first, second:
        page.driver.switch_to.window(handle)
        page.shows("stopped")
    assert len(page.studio.jobs()) == 1


def test_nine_tabs_at_once(page: Page) -> None:
    """Each has its own connection for the state; a browser opens only six for questions."""
    page.open(**ENDLESS)
    page.sample()
    for _ in range(8):
        page.tab()
    Client(page.studio.url).json("POST", "/dreams", ENDLESS | {"photo": "dandelions.jpg"})
    for handle in page.driver.window_handles:
        page.driver.switch_to.window(handle)
        page.until("/^[0-9]+ %/.test(document.title)")


# where, towards, several, films ------------------------------------------------------------------------------

def wanted(points: list[tuple[float, float]], shown: dict[str, float], brush: float, width: int) -> NDArray[np.bool_]:
    """The stroke through these points of the window, as a mask of that width.

    shown  where the picture is in the window: left, top, width, height"""
    scale = width / shown["width"]
    mask = Image.new("1", (width, round(shown["height"] * scale)))
    places = [((x - shown["left"]) * scale, (y - shown["top"]) * scale) for x, y in points]
    pen, radius = ImageDraw.Draw(mask), brush * scale / 2
    pen.line(places, 1, round(2 * radius))
    for x, y in places:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), 1)
    return np.asarray(mask)


@pytest.mark.parametrize(("ratio", "zoom"), [(1, 0), (3, 0), (3, 3)])
def test_a_mask_lands_where_the_finger_was(page: Page, ratio: int, zoom: int) -> None:
    """Also on a screen with many pixels, and when zoomed in. The dream is there, and nowhere else."""
    page.phone(ratio)
    page.open(**QUICK | {"max_size": 320, "format": "png", "seed": 7})
    page.sample()
    for _ in range(zoom):
        page.press("+", "#stage")
    page.tap("#tabs [data-tab=where]")
    page.press("Paint", "#where")
    shown = page.rectangle("#stage .before img")
    view = page.rectangle("#stage .view")
    middle, level = view["left"] + view["width"] / 2, view["top"] + view["height"] / 2
    points = [(middle - 60 + step, level - 30 + step / 2) for step in range(0, 121, 6)]
    page.touch(points)
    page.shot(f"mask-{ratio}-{zoom}")
    page.dream()
    job = page.studio.job("done")
    folder = page.studio.folder
    mask = np.asarray(Image.open(folder / ".studio/masks" / job["form"]["mask"]).convert("L"))
    stroke = wanted(points, shown, float(page.do("return document.querySelector('#where input').value")), mask.shape[1])
    painted = mask > 127
    assert (painted & stroke).sum() / (painted | stroke).sum() > 0.93
    small = Image.fromarray(mask).resize((320, 180), Image.BOX)
    near = np.asarray(small.filter(ImageFilter.MaxFilter(9))) > 0
    with Image.open(SAMPLE) as photo:
        before = np.asarray(photo.resize((320, 180), Image.LANCZOS), float)
    change = np.abs(np.asarray(Image.open(folder / job["output"]).convert("RGB"), float) - before).mean(2)
    assert change[np.asarray(small) > 250].mean() > 4 * max(change[~near].mean(), 1)


def test_a_guide_leads_the_dream(page: Page) -> None:
    """A second picture, chosen beside the first."""
    page.open(**QUICK)
    page.sample()
    page.give(ROOT / "tests/pictures/sky.jpg", to="#towards input[type=file]")
    page.until("document.querySelector('#towards .guide img')?.naturalWidth")
    page.shot("guide-wide")
    page.dream()
    page.shows("done")
    job = page.studio.job("done")
    assert job["form"]["guide"] == "sky.jpg"
    assert visible(page.studio.folder) == ["dandelions-dream.jpg", "dandelions.jpg", "sky.jpg"]


def test_how_a_step_changes_the_picture_and_what_stays_is_chosen(page: Page) -> None:
    page.open(**QUICK)
    page.sample()
    page.do("document.querySelector('#how details').open = true")
    for name, value in (("smooth", 1.5), ("strength", 60)):
        page.do("""const field = document.querySelector(`#field-${arguments[0]}`)
            field.value = arguments[1]
            field.dispatchEvent(new Event('input', { bubbles: true }))""", name, value)
    for text in ("Keep the photo's colours", "Let detail of all sizes grow alike"):
        page.do("""[...document.querySelectorAll('#how .check')].find(
            one => one.textContent.startsWith(arguments[0])).click()""", text)
    page.shot("how-wide")
    page.dream()
    page.shows("done")
    job = page.studio.job("done")
    wanted = {"smooth": 1.5, "pyramid": True, "keep_colours": True, "strength": 60}
    assert {name: job["form"].get(name) for name in wanted} == wanted
    recipe = read_recipe(page.studio.folder / job["output"])
    assert {name: recipe.get(name) for name in wanted} == wanted


def test_five_files_are_a_batch(page: Page, tmp_path: Path) -> None:
    """They are dreamed one after the other; each gets a name like its own."""
    names = [f"photo {number}.png" for number in range(5)]
    for number, name in enumerate(names):
        Image.open(SAMPLE).crop((number * 50, 0, number * 50 + 200, 150)).save(tmp_path / name)
    page.open(**QUICK)
    page.give(*(tmp_path / name for name in names))
    page.until("/5 photos/.test(document.querySelector('#dream').textContent)")
    page.dream()
    page.shot("batch-wide")
    page.studio.job("done", 5)
    page.shows("done")
    assert visible(page.studio.folder) == sorted([*names, *(name.replace(".png", "-dream.png") for name in names)])


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_a_film_is_made_and_played(page: Page, kind: str, request: pytest.FixtureRequest) -> None:
    """An endless zoom; the browser fetches a video in parts."""
    if kind == "mp4":
        request.getfixturevalue("ffmpeg")
    page.open(**QUICK | {"make": "zoom", "film": kind, "zoom": 5, "fps": 2})
    page.sample()
    page.until("/film/.test(document.querySelector('#dream').textContent)")
    page.dream()
    page.shows("done")
    if kind == "gif":
        page.until("document.querySelector('#stage img.film')?.naturalWidth === 160")
    else:
        page.until("document.querySelector('#stage video.film')?.currentTime > .3")
        page.do("document.querySelector('#stage video.film').currentTime = 1.6")
        page.until("(video => !video.seeking && video.currentTime >= 1.6)(document.querySelector('#stage video.film'))")
    page.shot(f"film-{kind}")
    status, headers, body = Client(page.studio.url).ask("GET", f"/file/dandelions-dream.{kind}", Range="bytes=10-19")
    whole = (page.studio.folder / f"dandelions-dream.{kind}").read_bytes()
    assert (status, body) == (206, whole[10:20])
    assert headers["Content-Range"] == f"bytes 10-19/{len(whole)}"


# when things go wrong ----------------------------------------------------------------------------------------

def descendants(pid: int) -> list[int]:
    """Numbers of all processes that a process has started, and that these have started."""
    return [each for child in children(pid) for each in (child, *descendants(child))]


def dreaming(pid: int) -> list[int]:
    """Numbers of the processes of dreams among them. (Its other ones end when they have nothing to do for a while.)"""
    found = list[int]()
    for each in descendants(pid):
        with contextlib.suppress(OSError):
            found += [each] * (b"--request" in Path(f"/proc/{each}/cmdline").read_bytes())
    return found


def test_a_killed_studio_goes_on_when_it_starts_again(slow: Page) -> None:
    """It leaves no process behind. The open page says what to do; the dream goes on by itself, to the same bytes."""
    page = slow
    page.allowed += [*LOST, "403", "401"]
    page.open(**LONG)
    page.sample()
    page.dream()
    page.until("document.querySelector('#now progress').value > .2")
    port, left = page.studio.port, descendants(page.studio.process.pid)
    assert left
    page.studio.stop(signal.SIGKILL)
    assert all(ends(pid) for pid in left)
    page.studio.start(port)
    page.until("/started again/.test(document.querySelector('#notices').textContent)")
    page.shot("restarted-wide")
    page.open()
    page.shows("dreaming")
    job = page.studio.job("done")
    assert job["resumed"]
    assert (page.studio.folder / job["output"]).read_bytes() == plainly(job, page.studio.folder)


def test_a_lost_connection_comes_back_by_itself(page: Page) -> None:
    """The dream goes on meanwhile, and the page shows the newest state."""
    page.allowed += LOST
    with contextlib.closing(Line(page.studio.port)) as line:
        page.open(page.studio.url.replace(f":{page.studio.port}/", f":{line.port}/"), **LONG)
        page.sample()
        page.dream()
        page.shows("dreaming")
        line.cut()
        page.until("/connection is lost/.test(document.querySelector('#notices').textContent)")
        assert page.do("return document.querySelector('#dream').disabled")
        page.shot("lost-wide")
        page.studio.job("done")
        line.mend()
        page.shows("done")
        page.until("!document.querySelector('#notices').textContent")


@pytest.fixture
def crowded(page: Page) -> Page:
    """The page of a studio with a long dream and 100 that wait."""
    page.open(**ENDLESS)
    page.sample()
    client = Client(page.studio.url)
    client.json("POST", "/dreams", ENDLESS | {"photo": "dandelions.jpg"})
    client.json("POST", "/dreams", QUICK | {"photos": ["dandelions.jpg"] * 99})
    page.studio.job("dreaming")
    client.json("POST", "/dreams", QUICK | {"photo": "dandelions.jpg"})
    return page


def test_a_full_queue_says_so(crowded: Page) -> None:
    crowded.until("/queue is full/.test(document.querySelector('#why').textContent)")
    assert crowded.do("return document.querySelector('#dream').disabled")
    crowded.click("#queue summary")
    crowded.shot("queue-full-wide")


def test_a_failed_dream_says_why_in_a_line(page: Page) -> None:
    """Here its photo is gone."""
    page.open(**ENDLESS)
    page.sample()
    page.dream()
    page.shows("dreaming")
    (page.studio.folder / "raccoon.jpg").write_bytes((ROOT / "tests/pictures/raccoon.jpg").read_bytes())
    Client(page.studio.url).json("POST", "/dreams", QUICK | {"photo": "raccoon.jpg"})
    (page.studio.folder / "raccoon.jpg").unlink()
    page.press("Stop", "#now")
    page.studio.job("failed")
    page.click("#queue summary")
    page.until("/This dream failed: .*raccoon/.test(document.querySelector('#queue').innerText)")
    page.shot("failed-wide")


def test_without_weights_daydream_dreams(page: Page, tmp_path: Path) -> None:
    """And the page says so. The program is a copy of this one without weights."""
    page.studio.stop()
    page.studio = Served(page.studio.folder, program=checkout(tmp_path / "copy") / "dreamify.py", BVLC_GOOGLENET="")
    page.open(max_size=160, iterations=3)
    page.until("/daydream/.test(document.querySelector('#what .note')?.textContent)")
    page.sample()
    page.shot("no-weights-wide")
    page.dream()
    page.shows("done")
    assert page.studio.job("done")["model"] == "daydream"


@pytest.fixture
def low(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, with 225 MB."""
    with mounted(tmp_path / "low", "225m") as folder:
        yield folder


def test_a_full_disk_says_so(page: Page, low: Path) -> None:
    """And when something is deleted, the page is as before."""
    page.studio.stop()
    page.studio = Served(low)
    page.open(**QUICK)
    page.sample()
    (low / "much").write_bytes(bytes(30 << 20))
    page.until("/disk is nearly full/.test(document.querySelector('#notices').textContent)")
    assert page.do("return document.querySelector('#dream').disabled")
    page.shot("disk-full-wide")
    (low / "much").unlink()
    page.until("document.querySelector('#notices').textContent === ''")
    page.dream()
    page.shows("done")


DROP = """
    const [event, place, ...files] = arguments, data = new DataTransfer()
    for (const [name, type, bytes] of files) {
      data.items.add(new File([Uint8Array.from(atob(bytes), one => one.charCodeAt())], name, { type }))
    }
    const options = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data }
    const made = event === "paste" ? new ClipboardEvent(event, options) : new DragEvent(event, options)
    document.querySelector(place).dispatchEvent(made)
"""


def test_files_are_dropped_and_pasted(page: Page) -> None:
    """What is no picture gets a line each; a good one among them is taken."""
    page.allowed += ["415"]
    page.open(**QUICK)
    good = io.BytesIO()
    Image.open(SAMPLE).resize((200, 112)).save(good, "png")
    damaged = SAMPLE.read_bytes()[:3000] + bytes(3000)
    files = [[name, "image/jpeg", base64.b64encode(content).decode()] for name, content in (
        ("damaged.jpg", damaged), ("words.jpg", b"only words\n" * 20), ("good.png", good.getvalue()))]
    page.do(DROP, "drop", "#start", *files)
    page.until("document.querySelector('#stage').dataset.state === 'photo'")
    page.until("document.querySelectorAll('#uploads .wrong').length === 2")
    lines = page.do("return [...document.querySelectorAll('#uploads .wrong span')].map(one => one.textContent)")
    assert [line.split()[0].strip(":") for line in lines] == ["damaged.jpg", "words.jpg"]
    assert not any("\n" in line or "Traceback" in line for line in lines)
    page.shot("damaged-wide")
    page.do(DROP, "paste", "body", ["image.png", "image/png", files[2][2]])
    page.until("/photo.png/.test(document.querySelector('#subject').textContent)")
    assert visible(page.studio.folder) == ["good.png", "photo.png"]


# the gallery and the queue -----------------------------------------------------------------------------------

def menu(page: Page, name: str, entry: str) -> None:
    """Choose the entry in the menu of a picture in the strip."""
    page.until(f"document.querySelector(\"#strip [title='{name}'] img\")?.naturalWidth")  # before its name changes
    page.do(f"document.querySelector(\"#strip [title='{name}']\").closest('li').querySelector('.more').click()")
    page.press(entry, "#menu")


def test_what_one_can_do_with_a_picture(page: Page) -> None:
    """Rename, delete, undo, dream like this, again with another seed, dream the dream, copy the command."""
    page.driver.execute_cdp_cmd("Browser.grantPermissions", {
        "origin": page.studio.base, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]})
    page.open(**QUICK | {"seed": 5})
    page.sample()
    page.dream()
    page.shows("done")
    page.press("Again, another seed", "#now")
    page.studio.job("done", 2)
    page.until("document.querySelector('#stage .after img')?.src.includes('dandelions-dream-2.jpg')")
    menu(page, "dandelions-dream-2.jpg", "Rename …")
    page.do("document.querySelector('#new-name').value = 'other.jpg'")
    page.press("Rename", "dialog.card")
    page.until("document.querySelector(\"#strip [title='other.jpg']\")")
    menu(page, "other.jpg", "Delete")
    page.until("!document.querySelector(\"#strip [title='other.jpg']\")")
    assert visible(page.studio.folder) == ["dandelions-dream.jpg", "dandelions.jpg"]
    page.shot("undo-wide")
    page.press("Undo", "#toast")
    page.until("document.querySelector(\"#strip [title='other.jpg']\")")
    menu(page, "dandelions-dream.jpg", "Copy the command")
    page.until("/Copied/.test(document.querySelector('#toast').textContent)")
    copied = page.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert "--seed 5" in copied
    page.do("sessionStorage.clear()")
    page.open()
    menu(page, "dandelions-dream.jpg", "Dream like this")
    page.until("document.querySelector('#field-seed').value === '5'")
    page.until("/dandelions.jpg/.test(document.querySelector('#subject').textContent)")
    page.dream()
    page.studio.job("done", 3)
    page.shows("done")
    first, third = (page.studio.folder / f"dandelions-dream{more}.jpg" for more in ("", "-2"))
    assert first.read_bytes() == third.read_bytes()
    page.press("Dream the dream", "#now")
    page.until("/dandelions-dream-2.jpg/.test(document.querySelector('#subject').textContent)")


def test_the_queue_is_ordered_and_cancelled(page: Page) -> None:
    """What waits is moved and cancelled; what dreams is not touched."""
    page.open(**ENDLESS)
    page.sample()
    page.dream()
    page.shows("dreaming")
    client = Client(page.studio.url)
    for seed in 1, 2, 3:
        client.json("POST", "/dreams", QUICK | {"photo": "dandelions.jpg", "seed": seed})
    running = dreaming(page.studio.process.pid)
    assert running
    page.click("#queue summary")
    page.until("document.querySelectorAll('#queue li').length === 4")
    page.shot("queue-wide")
    page.do("document.querySelectorAll('#queue li')[3].querySelector('[aria-label^=\"Move up\"]').click()")
    page.until("document.querySelectorAll('#queue li')[2].dataset.id === '4'")
    page.do("[...document.querySelectorAll('#queue li')[1].querySelectorAll('button')].find("
            "one => one.textContent === 'Cancel').click()")
    page.until("document.querySelectorAll('#queue li').length === 3")
    assert all(map(is_running, running))
    assert [job["state"] for job in page.studio.jobs()] == ["dreaming", "waiting", "waiting"]
    page.press("Stop", "#now")
    page.studio.job("done", 2)
    done = sorted((job for job in page.studio.jobs() if job["state"] == "done"), key=lambda job: float(job["began"]))
    assert [job["seed"] for job in done] == [3, 2]


def test_all_layers_on_my_photo(page: Page) -> None:
    """The tiles become dreams of the photo, one after the other."""
    page.open(model="daydream")
    page.sample()
    page.press("Try all on my photo", "#what")
    page.until("[...document.querySelectorAll('#what .tile img')].filter(one => one.naturalWidth).length > 5")
    page.shot("try-all-wide")
    assert page.do("return [...document.querySelectorAll('#what .tile img')].every(one => /tried/.test(one.src))")


def test_twenty_thousand_files(page: Page, tell: Callable[[str], None]) -> None:
    """They are there at once: the strip, the grid, its end, a search."""
    folder = page.studio.folder
    page.studio.stop()
    Image.open(SAMPLE).resize((96, 54)).save(folder / "first.jpg")
    for number in range(20_000):
        os.link(folder / "first.jpg", folder / f"photo {number:05}.jpg")
    page.studio.start()
    began = time.monotonic()

    def took(what: str) -> None:
        nonlocal began
        tell(f"studio: 20,000 files: {what}: {time.monotonic() - began:.2f} s")
        began = time.monotonic()
    page.open()
    page.until("document.querySelector('#strip img')?.naturalWidth")
    took("the page with its strip, cold")
    page.open()
    page.until("document.querySelector('#strip img')?.naturalWidth")
    took("the same, warm")
    page.click("#open-gallery")
    page.until("document.querySelector('#gallery .grid img')?.naturalWidth")
    took("the grid")
    page.shot("gallery-20000-wide")
    for _ in range(20):
        count = page.do("return document.querySelectorAll('#gallery .grid li').length")
        page.do("const grid = document.querySelector('#gallery .grid'); grid.scrollTo(0, grid.scrollHeight)")
        page.until(f"document.querySelectorAll('#gallery .grid li').length > {count}")
    took("20 pages further by scrolling")
    page.until("document.elementFromPoint(innerWidth / 2, innerHeight / 2).matches('#gallery img') && "
               "document.elementFromPoint(innerWidth / 2, innerHeight / 2).naturalWidth")
    took("pictures at that place")
    page.find("#gallery input[type=search]").send_keys("19876")
    page.until("document.querySelectorAll('#gallery .grid li').length === 1")
    took("a search")


# the mirror --------------------------------------------------------------------------------------------------

def test_the_mirror_dreams_what_the_camera_sees(page: Page, tell: Callable[[str], None], googlenet: Model) -> None:
    """Chromium's own camera. The picture and the last seconds are kept as files."""
    page.open()
    page.click("#open-mirror")
    page.until("/behind/.test(document.querySelector('#mirror .figures')?.textContent)")
    time.sleep(8)  # so that there is something to keep, and the figures are steady
    figures = page.do("return document.querySelector('#mirror .figures').textContent")
    tell(f"studio: the mirror, 320×240: {figures}")
    page.shot("mirror-wide")
    page.press("Keep the picture", "#mirror")
    page.until("/Kept as/.test(document.querySelector('#mirror').innerText)")
    page.press("Keep the last ten seconds", "#mirror")
    page.until("/Kept as .*[.](mp4|webp|gif)/.test(document.querySelector('#mirror').innerText)")
    still, film = sorted(visible(page.studio.folder), key=lambda name: name.endswith((".mp4", ".webp", ".gif")))
    width, height = Image.open(page.studio.folder / still).size
    assert 160 <= width <= 320  # fewer on a slow machine
    assert width / height == pytest.approx(4 / 3, rel=0.01)
    assert (page.studio.folder / film).stat().st_size > 10_000
    page.press("Close", "#mirror")
    assert page.do("return document.querySelector('#mirror').open") is False


def test_another_address_has_no_camera(page: Page) -> None:
    """Browsers give a page the camera only on this computer; the page says so."""
    page.allowed.append("Cross-Origin-Opener-Policy")  # Chromium tells that it has no use without encryption
    addresses = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    address = next((each for each in addresses if "." in each), None)
    if not address:
        pytest.skip("this machine has no other address")
    page.studio.stop()
    page.studio = Served(page.studio.folder, "--bind", address)
    page.studio.url, page.studio.base = (
        each.replace("127.0.0.1", address) for each in (page.studio.url, page.studio.base))
    page.open()
    page.click("#open-mirror")
    page.until(f"/Browsers give a page the camera only.*{address}/.test(document.querySelector('#mirror').innerText)")
    page.shot("no-camera-wide")


def test_noise_is_dreamed_like_a_photo(page: Page) -> None:
    """From the sample to its dream, which is compared with noise, and again from the gallery."""
    page.open(**QUICK)
    page.until("[...document.querySelectorAll('#samples img')].every(one => one.naturalWidth)")
    assert page.do("return document.querySelectorAll('#samples img').length") == 4
    page.shot("noise-empty-wide")
    page.driver.find_element("xpath", "//ul[@id='samples']//button[contains(., 'noise')]").click()
    page.until("document.querySelector('#stage').dataset.state === 'photo'")
    page.until("document.querySelector('#foot img')?.naturalWidth")
    page.shot("noise-wide")
    page.dream()
    page.shows("done")
    page.until("document.querySelector('#stage').dataset.state === 'compare'")
    page.shot("noise-done-wide")
    first = read_recipe(page.studio.folder / "noise-dream.png")
    assert first["source"].startswith("noise:")
    page.open()
    page.until("document.querySelector('#stage').dataset.state === 'compare'")  # after a reload, too
    page.until("document.querySelector('#strip img')?.alt.startsWith('Dream of noise')")  # its recipe is read by now
    menu(page, "noise-dream.png", "Again, with another seed")
    page.shows("done")
    page.until("document.querySelector('#now .line').textContent.startsWith('noise-dream-2.png')")
    second = read_recipe(page.studio.folder / "noise-dream-2.png")
    assert {name for name in first if first[name] != second[name]} == {"seed"}


# for everybody -----------------------------------------------------------------------------------------------

def faults(page: Page, axe: str) -> list[str]:
    """What axe-core finds serious or critical on the page as it is now."""
    page.do(axe)
    found = page.driver.execute_async_script("axe.run(document, { resultTypes: ['violations'] }).then(arguments[0])")
    return [f"{one['id']}: {node['html'][:200]} {node['failureSummary']}" for one in found["violations"]
            if one["impact"] in ("serious", "critical") for node in one["nodes"]]


def still(page: Page) -> None:
    """Wait until nothing fades or moves any more, except what does so for ever."""
    page.until("document.getAnimations().every(one => one.playState !== 'running' || "
               "one.effect.getComputedTiming().endTime === Infinity)")


@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page: Page, axe: str, narrow: bool, scheme: str) -> None:
    """In each state: empty, a photo, a dream, the queue, the gallery, a card."""
    if narrow:
        page.phone(2)
    page.look(scheme)
    page.open(**QUICK)
    found = dict[str, list[str]]()

    def check(state: str) -> None:
        page.shot(f"{state}-{'narrow' if narrow else 'wide'}-{scheme}")
        if now := faults(page, axe):
            found[state] = now
    page.until("[...document.querySelectorAll('#samples img')].every(one => one.naturalWidth)")
    check("empty")
    page.sample()
    check("photo")
    for tab in "where", "towards", "how":
        page.click(f"#tabs [data-tab={tab}]")
        time.sleep(0.5)  # it may scroll softly
        still(page)
        check(tab)
    page.dream()
    page.shows("done")
    time.sleep(0.5)  # the dream fades in
    still(page)
    check("done")
    page.click("#queue summary")
    check("queue")
    page.click("#queue summary")
    page.click("#open-gallery")
    page.until("document.querySelector('#gallery .grid img')?.naturalWidth")
    check("gallery")
    page.press("Close", "#gallery")
    page.press("More", "#now")
    check("menu")
    page.press("Details", "#menu")
    page.until("document.querySelector('dialog.card')")
    check("details")
    assert found == {}


def test_keys_are_enough(page: Page) -> None:
    """From the empty page to a dream, and to the handle that compares."""
    from selenium.webdriver import ActionChains, Keys
    page.open(**QUICK)

    def press(key: str) -> None:
        ActionChains(page.driver).send_keys(key).perform()

    def tab_to(selector: str) -> None:
        for _ in range(60):
            if page.do("return document.activeElement.matches(arguments[0])", selector):
                assert page.do("return document.activeElement.matches(':focus-visible')")
                return
            press(Keys.TAB)
        pytest.fail(f"the Tab key never comes to {selector}")
    page.until("document.querySelector('#samples button')")
    tab_to("#samples button")
    page.shot("focus-wide")
    press(Keys.ENTER)
    page.until("document.querySelector('#stage').dataset.state === 'photo'")
    page.until("!document.querySelector('#dream').disabled")
    tab_to("#dream")
    press(Keys.ENTER)
    page.shows("done")
    page.until("document.querySelector('#stage').dataset.state === 'compare'")
    page.do("document.activeElement.blur()")
    tab_to("#stage .handle")
    before = page.do("return document.querySelector('#stage .after').style.clipPath")
    for _ in range(5):
        press(Keys.ARROW_LEFT)
    assert page.do("return document.querySelector('#stage .after').style.clipPath") != before
    assert float(page.do("return document.querySelector('#stage .handle').value")) < 50


def test_the_page_comes_quickly(page: Page, tell: Callable[[str], None]) -> None:
    """Here, and over a line like a phone's."""
    page.open()
    first = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    tell(f"studio: the first paint after {page.until(first):.0f} ms")
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
    slow = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
    page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", slow)
    try:
        began = time.monotonic()
        page.open(f"{page.studio.base}/")
        tell(f"studio: with 400 kbit/s: the first paint after {page.until(first):.0f} ms")
        page.sample()
        page.until("!document.querySelector('#dream').disabled")
        tell(f"studio: with 400 kbit/s: a sample is taken and can be dreamed after {time.monotonic() - began:.1f} s")
    finally:
        page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", slow | {
            "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1})
        page.driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": False})
