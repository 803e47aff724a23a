"""The mirror: frames in, dreams out, the newest first, whatever the page sends."""

import asyncio
import io
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import dreamify
from dreamer.errors import Failure, Mistake
from dreamer.films import flow
from dreamer.machine import limits
from dreamer.pictures import reading
from dreamer.pictures.recipe import read_recipe
from dreamer.studio import mirror
from dreamer.studio.mirror import Mirror
from dreamer.studio.pace import SLOW, USUAL, Pace
from dreamer.studio.reflection import Frame, Reflection, Settings, decoded
from helpers import ROOT, ends, is_running

PLAIN = {"model": "daydream", "steps": 1, "flow": False}


def picture(width: int = 96, height: int = 72, shift: int = 0) -> NDArray[np.uint8]:
    """A part of a photo, (height, width, 3)."""
    photo = Image.open(ROOT / "tests/pictures/coffee.jpg").convert("RGB").resize((width + 40, height + 40))
    return np.array(photo.crop((shift, shift, shift + width, shift + height)))


def jpeg(pixels: NDArray[np.uint8] | None = None, quality: int = 90) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture() if pixels is None else pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


def numbered(number: int, data: bytes) -> bytes:
    return number.to_bytes(8, "little") + data


class Page:
    """What the page got."""

    def __init__(self, folder: Path, step: Callable[..., float] = dreamify.make_step) -> None:
        self.texts: list[dict[str, Any]] = []
        self.frames: list[tuple[int, bytes]] = []
        self.mirror = Mirror(folder, step, dreamify.objectives_of, self.take)

    def take(self, message: bytes | str) -> None:
        if isinstance(message, str):
            self.texts.append(json.loads(message))
        else:
            self.frames.append((int.from_bytes(message[:8], "little"), message[8:]))

    async def until(self, true: Callable[[], object], seconds: float = 60) -> None:
        """Wait until this is true."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, (self.texts, len(self.frames))
            await asyncio.sleep(0.01)

    async def dreamed(self, number: int, data: bytes) -> Image.Image:
        """The dream of a frame, which is sent again if no answer comes, as the page does."""
        self.mirror.put(numbered(number, data))
        sent = time.monotonic()

        def answered() -> bool:
            nonlocal sent
            if self.frames and self.frames[-1][0] == number:
                return True
            if time.monotonic() > sent + 0.4 and self.mirror._working is None:
                self.mirror.put(numbered(number, data))
                sent = time.monotonic()
            return False
        await self.until(answered)
        return Image.open(io.BytesIO(self.frames[-1][1]))

    def errors(self) -> list[str]:
        return [text["error"] for text in self.texts if "error" in text]


def play(folder: Path, act: Callable[[Page], Coroutine[Any, Any, None]],
         step: Callable[..., float] = dreamify.make_step) -> Page:
    """Let a page act."""
    async def all_of_it() -> Page:
        page = Page(folder, step)
        try:
            await act(page)
        finally:
            page.mirror.close()
        return page
    return asyncio.run(all_of_it())


def test_frames_become_dreams_with_their_numbers(tmp_path: Path) -> None:
    async def act(page: Page) -> None:
        page.mirror.set(json.dumps(PLAIN))
        await page.until(lambda: page.texts)
        for number in (7, 8, 2 ** 63):
            image = await page.dreamed(number, jpeg())
            assert (image.format, image.size) == ("JPEG", (96, 72))
            change = np.abs(np.asarray(image, float) - picture()).mean()
            assert 1 < change < 60
    page = play(tmp_path, act)
    assert [number for number, _ in page.frames] == [7, 8, 2 ** 63]
    ready = page.texts[0]
    assert (ready["ready"], ready["model"]) == (True, "daydream")
    assert ready["layer"]
    assert page.errors() == []
    assert not list(tmp_path.rglob("*"))


def test_the_newest_frame_wins_and_nothing_queues(tmp_path: Path) -> None:
    async def act(page: Page) -> None:
        page.mirror.set(json.dumps(PLAIN))
        await page.until(lambda: page.texts)
        await page.dreamed(0, jpeg())
        for number in range(1, 100):
            page.mirror.put(numbered(number, jpeg()))
        await page.until(lambda: page.frames[-1][0] == 99)
    page = play(tmp_path, act)
    assert [number for number, _ in page.frames] == [0, 99]


def test_a_layer_changes_while_it_runs(tmp_path: Path) -> None:
    async def act(page: Page) -> None:
        layers = dreamify.keys(model="daydream")
        page.mirror.set(json.dumps(PLAIN | {"layer": layers[0]}))
        await page.until(lambda: page.texts)
        await page.dreamed(1, jpeg())
        page.mirror.set(json.dumps(PLAIN | {"layer": layers[0], "strength": 5}))  # the same net
        await page.dreamed(2, jpeg())
        page.mirror.set(json.dumps({"layer": layers[-1]}))
        await page.until(lambda: [text for text in page.texts if "ready" in text][1:])
        await page.dreamed(3, jpeg())
        page.mirror.set(json.dumps({"layer": f"{layers[-1]}:1+{layers[0]}*0.5"}))
        await page.until(lambda: [text for text in page.texts if "ready" in text][2:])
        await page.dreamed(4, jpeg())
    page = play(tmp_path, act)
    assert page.errors() == []


@pytest.mark.parametrize(("asked", "told"), [
    ({"layer": "nonsense"}, "daydream has no layer 'nonsense'"),
    ({"layer": ""}, "layer"), ({"layer": 3}, "layer"), ({"model": "../../etc"}, "no model"),
    ({"strength": -1}, "strength"), ({"strength": True}, "strength"), ({"strength": "1"}, "strength"),
    ({"strength": float("nan")}, "strength"), ({"steps": 9}, "steps"), ({"steps": 1.5}, "steps"),
    ({"memory_of_past": 1.1}, "memory_of_past"), ({"flow": 1}, "flow"), ({"weights": "/etc/passwd"}, "not a setting"),
    ([], "JSON object"), ("{", "JSON object"), ("[" * 3000, "JSON object"), ("{}" + " " * 5000, "JSON object"),
    ({"keep": "all"}, "keeps"), ({"keep": ["still"]}, "keeps"), ({"keep": "still"}, "no picture yet"),
])
def test_wrong_settings_are_told_in_a_line_and_change_nothing(tmp_path: Path, asked: object, told: str) -> None:
    async def act(page: Page) -> None:
        page.mirror.set(json.dumps(PLAIN))
        page.mirror.set(asked if isinstance(asked, str) else json.dumps(asked))
        await page.until(page.errors)
    [error] = play(tmp_path, act).errors()
    assert told in error
    assert "\n" not in error


@pytest.mark.parametrize(("data", "told"), [
    (b"", "a frame is a JPEG"), (b"\0" * 300_000, "a frame is a JPEG"), (b"nonsense", "not a picture"),
    (jpeg()[:300], "damaged or cut short"), (jpeg(np.zeros((3000, 3000, 3), np.uint8)), "3000×3000"),
    ((ROOT / "tests/pictures/coffee-mask.png").read_bytes()[:100_000], "not a picture"),
], ids=["empty", "long", "text", "cut", "large", "png"])
def test_wrong_frames_are_told_and_the_mirror_goes_on(tmp_path: Path, data: bytes, told: str) -> None:
    async def act(page: Page) -> None:
        page.mirror.set(json.dumps(PLAIN))
        await page.until(lambda: page.texts)
        page.mirror.put(numbered(1, data))
        await page.until(page.errors)
        await page.dreamed(2, jpeg())
    page = play(tmp_path, act)
    assert told in page.errors()[0]


def test_the_dream_grows_from_frame_to_frame(tmp_path: Path) -> None:
    """And is forgotten without memory."""
    async def act(page: Page) -> None:
        changes = {}
        for memory in (0.9, 0):
            page.mirror.set(json.dumps(PLAIN | {"memory_of_past": memory}))
            await page.until(lambda: page.texts)
            for number in range(6):
                image = await page.dreamed(page.frames[-1][0] + 1 if page.frames else 0, jpeg())
                changes[memory, number] = np.abs(np.asarray(image, float) - picture()).mean()
        assert changes[0.9, 5] > 1.15 * changes[0.9, 0]
        assert changes[0, 5] < 1.1 * changes[0.9, 0]
    play(tmp_path, act)


def test_the_dream_follows_what_moves() -> None:
    """The changes of the last frame, moved: compared with numpy's shift, where the whole picture moves."""
    pytest.importorskip("cv2", reason="no OpenCV: ./provision.sh film")
    found = []
    for follows in (True, False):
        reflection = Reflection(no_step, dreamify.objectives_of)
        settings = Settings("daydream", None, 3.0, 1, 1.0, follows)
        before, after = picture(shift=0), picture(shift=6)
        reflection(Frame(jpeg(before, 95), settings, USUAL))
        reflection._detail = (np.random.RandomState(0).rand(9, 12, 3) * 60).repeat(8, 0).repeat(8, 1).astype(np.float32)
        detail = reflection._detail.copy()
        carried = reflection._carried(decoded(jpeg(after, 95), USUAL, 1)[0], follows)
        right = np.roll(detail, (-6, -6), (0, 1)).transpose(2, 0, 1)
        found.append(np.abs(carried - right)[:, 12:-12, 12:-12].mean())
    assert found[0] < 0.5 * found[1]


def no_step(net: Any, picture: Any, *rest: Any) -> float:
    return 0.0


def test_large_frames_are_shrunk_and_small_ones_are_not_enlarged() -> None:
    assert decoded(jpeg(picture(640, 480)), USUAL, 30)[0].shape == (240, 320, 3)
    assert decoded(jpeg(picture(480, 640)), USUAL, 30)[0].shape == (320, 240, 3)
    assert decoded(jpeg(picture(64, 48)), USUAL, 30)[0].shape == (48, 64, 3)
    assert decoded(jpeg(picture(640, 480)), 100, 64)[0].shape == (64, 85, 3)  # no smaller than the net can take
    small, whole = decoded(jpeg(picture(640, 480), 95), USUAL, 30)
    assert whole == 640 * 480
    expected = np.asarray(Image.fromarray(picture(640, 480)).resize((320, 240), Image.Resampling.BOX), float)
    assert np.abs(small - expected).mean() < 3


def test_a_slow_machine_gets_fewer_steps_and_then_fewer_pixels() -> None:
    def settled(speed: float, steps: int, pixels: int, pace: Pace) -> tuple[int, int]:
        for _ in range(20):
            plan = pace.choose(steps, pixels)
            pace.note(speed * plan[0] * (plan[1] + 30_000), *plan)
        return pace.choose(steps, pixels)
    pace, usual = Pace(), 1 / (2 * (USUAL + 30_000))
    assert settled(0.07 * usual, 2, USUAL, pace) == (2, USUAL)
    assert settled(0.15 * usual, 2, USUAL, pace) == (1, USUAL)
    steps, pixels = settled(0.4 * usual, 2, USUAL, pace)
    assert steps == 1
    assert 160 * 120 <= pixels < USUAL
    assert 0.4 * usual * (pixels + 30_000) <= SLOW
    assert settled(10 * usual, 2, USUAL, pace) == (1, 160 * 120)  # hopeless, but it goes on
    assert settled(0.07 * usual, 2, USUAL, pace) == (2, USUAL)  # the other dream has ended
    assert settled(0.07 * usual, 2, 640 * 480, pace)[0] == 2  # pixels first
    assert settled(0.07 * usual, 2, 640 * 480, pace)[1] < 640 * 480


def test_less_is_told(tmp_path: Path) -> None:
    async def act(page: Page) -> None:
        page.mirror.set(json.dumps(PLAIN | {"steps": 2}))
        for number in range(20):
            await page.dreamed(number, jpeg())
    told = [text["pace"] for text in play(tmp_path, act, slow_step).texts if "pace" in text]
    assert told[0] == {"steps": 2, "size": [72, 96], "less": False}
    assert told[-1]["steps"] == 1
    assert told[-1]["less"]


def slow_step(*arguments: Any) -> float:
    time.sleep(0.08)
    return 0.0


def crashing_step(*arguments: Any) -> float:
    os.abort()


def test_a_crash_is_told_and_the_next_frame_gets_a_new_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "REST", 0.1)

    async def act(page: Page) -> None:
        page.mirror.set(json.dumps(PLAIN))
        await page.until(lambda: page.mirror._working is None)
        for number in range(2):
            page.mirror.put(numbered(number, jpeg()))
            await page.until(lambda: page.mirror._working is None)
    errors = play(tmp_path, act, crashing_step).errors()
    assert len(errors) == 2
    assert all("the mirror ended unexpectedly (signal SIGABRT)" in error for error in errors)


def test_a_net_that_cannot_be_loaded_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "REST", 0.1)
    monkeypatch.setenv("BVLC_GOOGLENET", "")
    monkeypatch.setenv("DREAMER_WEIGHTS_DAYDREAM", str(tmp_path / "none"))

    async def act(page: Page) -> None:
        page.mirror.set(json.dumps(PLAIN))
        await page.until(page.errors)
        page.mirror.put(numbered(1, jpeg()))
        await asyncio.sleep(0.5)
        assert page.frames == []
    assert "no such file" in play(tmp_path, act).errors()[0]


def test_nothing_is_sent_after_the_end_and_no_child_is_left(tmp_path: Path) -> None:
    async def act(page: Page) -> None:
        page.mirror.set(json.dumps(PLAIN))
        await page.until(lambda: page.texts)
        await page.dreamed(1, jpeg())
        child = next(int(name) for name in os.listdir("/proc") if name.isdecimal() and _parent(name) == os.getpid())
        page.mirror.put(numbered(2, jpeg()))
        await asyncio.sleep(0)
        page.mirror.close()
        count = len(page.texts), len(page.frames)
        await asyncio.sleep(1)
        page.mirror.put(numbered(3, jpeg()))
        page.mirror.set(json.dumps({"keep": "still"}))
        await asyncio.sleep(0.2)
        assert (len(page.texts), len(page.frames)) == count
        assert ends(child) or not is_running(child)
    play(tmp_path, act)


def _parent(number: str) -> int:
    try:
        return int(Path("/proc", number, "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@pytest.fixture(params=["mp4", "webp"])
def film(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The extension of the film, with and without ffmpeg."""
    if request.param == "mp4" and not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg: ./provision.sh film")
    if request.param == "webp":
        monkeypatch.setenv("PATH", "/nonexistent")
    return str(request.param)


def test_what_is_kept_is_a_picture_and_a_film_with_recipes(tmp_path: Path, film: str,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "FILM", 600.0)  # or a busy machine forgets the first of the frames
    (tmp_path / "mirror.jpg").write_bytes(b"not ours")
    (tmp_path / f"mirror.{film}").write_bytes(b"not ours")
    names = []

    async def act(page: Page) -> None:
        page.mirror.set(json.dumps(PLAIN | {"strength": 2.5}))
        await page.until(lambda: page.texts)
        for number in range(30):
            await page.dreamed(number, jpeg(picture(shift=number)))
            await asyncio.sleep(0.03)
        for what in ("still", "film"):
            page.texts.clear()
            page.mirror.set(json.dumps({"keep": what}))
            await page.until(lambda: page.texts, 60)
            names.append(page.texts[0].get("kept"))
    page = play(tmp_path, act)
    assert page.errors() == []
    assert names == ["mirror-2.jpg", f"mirror-2.{film}"]
    assert (tmp_path / "mirror.jpg").read_bytes() == (tmp_path / f"mirror.{film}").read_bytes() == b"not ours"
    still = tmp_path / "mirror-2.jpg"
    dream = np.asarray(Image.open(io.BytesIO(page.frames[-1][1])))
    assert np.array_equal(np.asarray(Image.open(still)), dream)
    assert np.array_equal(reading.read(str(still), None, 10 ** 6, False, print).pixels, dream)
    made = read_recipe(still)
    assert (made["model"], made["step_size"], made["iterations"]) == ("daydream", 2.5, 1)
    assert made["layer"]
    if film == "webp":
        moving: Any = Image.open(tmp_path / "mirror-2.webp")
        assert (moving.n_frames, moving.size) == (30, (96, 72))
    else:
        said = json.loads(subprocess.run(
            ["ffprobe", "-v", "error", "-count_packets", "-show_streams", "-of", "json", tmp_path / "mirror-2.mp4"],
            capture_output=True, check=True).stdout)["streams"][0]
        assert (said["nb_read_packets"], said["width"], said["codec_name"]) == ("30", 96, "h264")
        assert read_recipe(tmp_path / "mirror-2.mp4")["fps"] > 0
    assert list((tmp_path / ".studio/parts").iterdir()) == []


def test_only_ten_seconds_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "FILM", 0.4)

    async def act(page: Page) -> None:
        page.mirror.set(json.dumps(PLAIN))
        for number in range(12):
            await page.dreamed(number, jpeg())
            await asyncio.sleep(0.05)
        times = [moment for moment, _ in page.mirror._latest]
        assert 1 <= len(times) < 12
        assert times[-1] - times[0] <= 0.4
    play(tmp_path, act)


def test_without_opencv_the_dream_is_carried_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise Mistake("flow: OpenCV is not installed")
    monkeypatch.setattr(flow, "opencv", missing)
    reflection = Reflection(dreamify.make_step, dreamify.objectives_of)
    settings = Settings("daydream")
    assert not reflection(Frame(None, settings)).flow
    for _ in range(2):
        assert reflection(Frame(jpeg(), settings, USUAL)).size == (72, 96)


def test_too_little_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "memory", lambda: 1 << 20)
    with pytest.raises(Failure, match="memory"):
        Reflection(dreamify.make_step, dreamify.objectives_of)(Frame(None, Settings("daydream")))
