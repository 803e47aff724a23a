"""Watched folders, with the real command."""

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dreamer.errors import Mistake
from dreamer.jobs import events, watch
from dreamer.jobs.folder import Folder
from dreamer.machine.signals import Stop
from dreamer.nets.model import Model
from dreamer.pictures.recipe import read_recipe
from helpers import Watcher, dreams, pixels, run, visible


@pytest.fixture
def watched(photos: Path, tiny: Model) -> Iterator[Callable[..., Watcher]]:
    """Function that starts a Watcher of the folder. Those that still run after the test are killed."""
    started = []

    def start(*words: object, after: int | None = None) -> Watcher:
        started.append(Watcher(photos, tiny.folder, *words, after=after))
        return started[-1]
    yield start
    for watcher in started:
        if watcher.process.poll() is None:
            watcher.process.kill()
            watcher.process.communicate()


def complaint(watcher: Watcher) -> str:
    """The next line of the Watcher's errors."""
    assert watcher.process.stderr
    too_late = threading.Timer(240, watcher.process.kill)
    too_late.start()
    try:
        return watcher.process.stderr.readline()
    finally:
        too_late.cancel()


def test_what_comes_is_dreamed_when_it_is_whole(photos: Path, watched: Callable[..., Watcher], sky: Path) -> None:
    watcher = watched()  # no INPUT: it watches the current folder
    watcher.until("b-dream.bmp.png: done")
    data = sky.read_bytes()
    with open(photos / "new.jpg", "wb") as file:
        for start in range(0, len(data), len(data) // 3 + 1):
            file.write(data[start:start + len(data) // 3 + 1])
            file.flush()
            time.sleep(0.7)
    said = watcher.until("new-dream.jpg: done")
    assert said.count("new.jpg\n") == 1
    assert watcher.end(signal.SIGINT) == (130, "", "dreamify: stopped by SIGINT\n")
    assert Image.open(photos / "new-dream.jpg").size == (720, 480)
    assert [name for name in visible(photos) if "dream" in name] == ["a10-dream.jpg", "a2-dream.PNG", "b-dream.bmp.png",
                                                                   "new-dream.jpg"]

    first = dreams(photos)
    again = watched()
    assert again.until("up to date").endswith("press Ctrl-C to stop\n1 file is not a picture that can be read: "
                                              "notes.txt\n4 dreams are up to date\n")
    time.sleep(1.5)  # for one more look
    assert again.end() == (143, "", "dreamify: stopped by SIGTERM\n")
    assert dreams(photos) == first


def test_a_watch_that_is_stopped_or_killed_in_a_dream_goes_on_with_it(photos: Path, watched: Callable[..., Watcher],
                                                                      tiny: Model, sky: Path, tmp_path: Path) -> None:
    for name in ("a10.jpg", "a2.PNG", "b.bmp"):
        (photos / name).unlink()
    shutil.copy(sky, photos / "sky.jpg")
    words = (".", ".", "mix/output", "150", "2")
    for how, when, steps in ((signal.SIGTERM, 20, 170), (signal.SIGKILL, 50, 20)):
        watcher = watched(*words, after=steps)
        watcher.until(f"octave 2/2  iteration {when}/150")
        assert watcher.end(how)[0] == (143 if how == signal.SIGTERM else -9)
    watcher = watched(*words)
    assert "octave 1/2" not in watcher.until("sky-dream.jpg: done")
    watcher.end()
    seed = read_recipe(photos / "sky-dream.jpg")["seed"]
    assert "unfinished" not in read_recipe(photos / "sky-dream.jpg")
    done = run(sky, tmp_path / "whole.jpg", *words[2:], "--seed", seed, "--model", tiny.folder)
    assert done.returncode == 0
    assert np.array_equal(pixels(tmp_path / "whole.jpg"), pixels(photos / "sky-dream.jpg"))


def test_a_damaged_picture_is_told_once_and_looked_at_again_when_it_changes(photos: Path,
                                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SETTLED", 0)
    monkeypatch.setattr(watch, "PATIENCE", 0.2)
    told, dreamed = [], []

    def read(path: Path, output: Path) -> Callable[[], None]:
        if path.read_bytes() == b"damaged":
            raise Mistake("input: it is damaged")
        return lambda: dreamed.append(path.name)

    def listen(event: events.Event) -> None:
        if isinstance(event, events.Warned):
            told.append(event.line)
    (photos / "bad.jpg").write_bytes(b"damaged")
    tried = watch.Watch(Folder(photos, photos, read, lambda path, found: True, False, listen, Stop()), listen)
    assert tried._look()  # True: there is something to wait for
    assert told == []
    time.sleep(0.3)
    for _ in range(3):
        tried._look()
    assert told == ["bad.jpg: input: it is damaged"]
    assert dreamed == ["a2.PNG", "a10.jpg", "b.bmp"]
    (photos / "bad.jpg").write_bytes(b"mended")
    tried._look()
    assert dreamed[3:] == ["bad.jpg"]


def test_complaints_of_a_watch_are_warnings(photos: Path, watched: Callable[..., Watcher]) -> None:
    """Errors that waiting cannot mend are reported at once, and the other pictures are dreamed."""
    (photos / "b-dream.bmp.png").write_bytes(b"no dream")
    watcher = watched("--seed", "1")
    watcher.until("a10-dream.jpg: done")
    assert complaint(watcher) == (
        "dreamify: warning: b.bmp: b-dream.bmp.png exists and is not a dream; use --force to overwrite it\n")
    assert watcher.end()[0] == 143
    assert (photos / "b-dream.bmp.png").read_bytes() == b"no dream"


def test_an_empty_folder_is_waited_for_and_what_is_no_picture_is_told_once(photos: Path,
                                                                           watched: Callable[..., Watcher]) -> None:
    (photos / "new").mkdir()
    watcher = watched("new", "new")
    watcher.until("watching ")
    time.sleep(1.5)
    watcher.process.send_signal(signal.SIGSTOP)  # or a look could come between two of the files
    for name in ("a.XCF", "b.xcf", "c.mov"):
        (photos / "new" / name).write_text("no picture")
    watcher.process.send_signal(signal.SIGCONT)
    assert watcher.until("files ").splitlines()[-1] == (
        "3 files are not pictures that can be read: 2 .XCF, 1 .mov (videos are dreamed one by one)")
    shutil.copy(photos / "a10.jpg", photos / "new")
    said = watcher.until("a10-dream.jpg: done")
    assert "files" not in said
    (photos / "new/notes.txt").write_text("no picture")
    assert watcher.until("file ").endswith("1 file is not a picture that can be read: notes.txt\n")
    assert watcher.end() == (143, "", "dreamify: stopped by SIGTERM\n")


def test_subfolders_are_watched(photos: Path, watched: Callable[..., Watcher], tmp_path: Path) -> None:
    """Also those that are created later, but not an output folder inside."""
    watcher = watched(photos, photos / "out", "--recursive")
    watcher.until("b-dream.bmp.png: done")
    (photos / "new/deep").mkdir(parents=True)
    (photos / "b.bmp").rename(photos / "new/deep/c.bmp")
    said = watcher.until("c-dream.bmp.png: done")
    assert "new/deep/c.bmp\n" in said
    code, rest, errors = watcher.end()
    assert (code, errors) == (143, "dreamify: stopped by SIGTERM\n")
    assert "c.bmp" not in rest
    assert (photos / "out/new/deep/c-dream.bmp.png").exists()


def test_a_subfolder_that_cannot_be_read_is_told_once(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SETTLED", 0)
    folder = Folder(photos, photos, lambda *_: (lambda: None), lambda *_: True, False, lambda _: None, Stop())
    found = folder.contents()
    monkeypatch.setattr(folder, "contents", lambda: found)
    told = list[events.Event]()
    tried = watch.Watch(folder, told.append)
    found.unread["new"] = "Permission denied"
    tried._look()
    tried._look()
    assert told == [events.Warned("new cannot be read: Permission denied")]


def test_a_folder_that_goes_and_comes_back_is_watched_on(photos: Path, watched: Callable[..., Watcher],
                                                         tmp_path: Path) -> None:
    """A shared folder may do this."""
    watcher = watched(photos, photos)
    watcher.until("b-dream.bmp.png: done")
    photos.rename(tmp_path / "gone")
    assert complaint(watcher) in (f"dreamify: warning: {photos} cannot be read: No such file or directory\n",
                                  f"dreamify: warning: the folder {photos} is gone\n")  # if it goes in a look
    shutil.copy(tmp_path / "gone/a10.jpg", tmp_path / "gone/new.jpg")
    (tmp_path / "gone").rename(photos)
    watcher.until("new-dream.jpg: done")
    assert watcher.end() == (143, "", "dreamify: stopped by SIGTERM\n")


def test_a_target_that_goes_is_told_and_waited_for(photos: Path, watched: Callable[..., Watcher],
                                                   tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    watcher = watched(photos, tmp_path / "out")
    watcher.until("b-dream.bmp.png: done")
    shutil.rmtree(tmp_path / "out")
    assert complaint(watcher) == f"dreamify: warning: the folder {tmp_path}/out is gone\n"
    shutil.copy(photos / "a10.jpg", photos / "new.jpg")
    (tmp_path / "out").mkdir()
    watcher.until("new-dream.jpg: done")
    assert watcher.end() == (143, "", "dreamify: stopped by SIGTERM\n")
