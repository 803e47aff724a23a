"""Folders of pictures, and folders that are watched. By the real command."""

import os
import shutil
import signal
import subprocess
import threading
import time

import numpy as np
import pytest
from PIL import Image
from test_cli import run

from conftest import ROOT
from dreamer import many, recipe, sharing, watch
from dreamer.errors import Failure, Mistake


@pytest.fixture
def folder(sky, tmp_path):
    """A folder with three pictures in three formats, a text, and something hidden."""
    made = tmp_path / "in"
    made.mkdir()
    with Image.open(sky) as picture:
        for name, size in (("a10.jpg", (90, 60)), ("a2.PNG", (60, 80)), ("b.bmp", (64, 64))):
            picture.resize(size).save(made / name)
    (made / "notes.txt").write_text("no picture")
    (made / ".hidden.jpg").write_bytes(b"")
    return made


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def dreams(folder):
    """What the dreams in it are: their bytes."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if "-dream" in path.name}


def test_all_pictures_are_dreamed_and_none_twice(folder, tiny, tmp_path):
    words = (folder, tmp_path / "out", "mix/output", 1, 2, "--model", tiny.folder)
    done = run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if "/3 " in line and "." in line[:12]] == [
        "1/3 a2.PNG", "2/3 a10.jpg", "3/3 b.bmp"]
    assert names(tmp_path / "out") == ["a10-dream.jpg", "a2-dream.PNG", "b-dream.bmp.png"]
    assert Image.open(tmp_path / "out/a10-dream.jpg").size == (90, 60)
    first = dreams(tmp_path / "out")

    again = run(*words)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert dreams(tmp_path / "out") == first

    Image.open(folder / "a2.PNG").rotate(180).save(folder / "a2.PNG")
    (tmp_path / "out/b-dream.bmp.png").unlink()
    assert run(*words).returncode == 0
    second = dreams(tmp_path / "out")
    assert second.keys() == first.keys()
    assert second["a10-dream.jpg"] == first["a10-dream.jpg"]
    assert second["a2-dream.PNG"] != first["a2-dream.PNG"]


def test_another_recipe_dreams_anew(folder, tiny):
    for name in ("a2.PNG", "b.bmp"):
        (folder / name).unlink()
    seen = []
    for words in (["mix/output", 1, 2], ["mix/3x3", 1, 2], ["mix/3x3", 1, 2, "--seed", 5], ["mix/3x3", 1, 2],
                  ["mix/3x3", 1, 40], ["mix/3x3", 1, 41, "--max-size", 90], ["mix/3x3", 1, 41, "--max-size", 80]):
        assert run(folder, folder, *words, "--model", tiny.folder).returncode == 0
        seen.append(dreams(folder)["a10-dream.jpg"])
    new = [True, *(before != after for before, after in zip(seen, seen[1:], strict=False))]
    #                    layer  seed  any   octaves  the same picture  a smaller one
    assert new == [True, True, True, False, True, False, True]


def test_dreams_are_never_dreamed_and_what_is_none_is_never_overwritten(folder, tiny):
    words = (folder, folder, "mix/output", 1, 1, "--model", tiny.folder)
    assert run(*words).returncode == 0
    (folder / "a10-dream.jpg").rename(folder / "under another name.jpg")
    Image.new("RGB", (50, 50)).save(folder / "b-dream.bmp.png")  # its recipe is lost
    lost = dreams(folder)["b-dream.bmp.png"]
    done = run(*words)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 2
    assert "b-dream.bmp.png is there and is no dream" in done.stderr
    assert [name for name in names(folder) if "dream" in name] == ["a10-dream.jpg", "a2-dream.PNG", "b-dream.bmp.png"]
    assert dreams(folder)["b-dream.bmp.png"] == lost
    assert run(*words, "--force").returncode == 0
    assert dreams(folder)["b-dream.bmp.png"] != lost


def test_failures_are_told_at_the_end_and_stop_nothing(folder, tiny, tmp_path):
    (folder / "a1.jpg").write_bytes((folder / "a10.jpg").read_bytes()[:-500])
    Image.new("RGB", (1, 300)).save(folder / "a0.png")
    done = run(folder, tmp_path / "out", "mix/output", 1, 1, "--model", tiny.folder)
    assert done.returncode == 1
    told = done.stderr.splitlines()
    assert told[0] == "dreamify: 2 of 5 pictures could not be dreamed:"
    assert told[1].startswith("dreamify: a0.png: input: 1×300 pixels are too few")
    assert told[2].startswith("dreamify: a1.jpg: input: ")
    assert "cut short" in told[2]
    assert names(tmp_path / "out") == ["a10-dream.jpg", "a2-dream.PNG", "b-dream.bmp.png"]


def test_wrong_use_is_told_before_anything_is_made(folder, tiny, tmp_path):
    for words in ([folder, tmp_path / "out.png"], [folder, folder / "a10.jpg"], [folder, "-"],
                  [folder, tmp_path / "no/out"], [folder / "a10.jpg", tmp_path / "out", "--watch"],
                  [folder, tmp_path / "out", "nolayer"]):
        before = sorted(tmp_path.rglob("*"))
        done = run(*words, "--model", tiny.folder)
        assert done.returncode == 2, words
        assert "Traceback" not in done.stderr
        assert sorted(tmp_path.rglob("*")) == before


def test_names_of_dreams():
    assert [many.dream_name(name) for name in ("a.jpg", "a.b.JPEG", "a.gif", "a")] == [
        "a-dream.jpg", "a.b-dream.JPEG", "a-dream.gif.png", "a-dream.png"]
    all_kinds = ["a.png", "a.jpg", "a.bmp", "a.bmp.png", "a-dream.bmp", "a-dream.bmp.png", "a-dream.png", "a.gif"]
    assert len({many.dream_name(name) for name in all_kinds} | set(all_kinds[:4])) == len(all_kinds) + 4


# ------------------------------------------------------------------------------------------------- watching

class Watcher:
    """The command that watches the folder; a line of its words at a time."""

    def __init__(self, folder, tiny, *words, shared=False):
        code = ("import sys; sys.path.insert(0, sys.argv.pop(1)); from dreamer import sharing; sharing.LOCAL = set()\n"
                "import dreamify; sys.exit(dreamify.main())")  # as on a folder that a host shares
        command = ["/usr/bin/python3", "-c", code, ROOT] if shared else [ROOT / "dreamify.py"]
        self.process = subprocess.Popen([*map(str, [*command, *words, "--watch", "--model", tiny.folder])],
                                        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def until(self, words):
        """Read its lines up to one with `words`; returns them."""
        lines = []
        too_late = threading.Timer(120, self.process.kill)
        too_late.start()
        for line in self.process.stdout:
            lines.append(line)
            if words in line:
                too_late.cancel()
                return "".join(lines)
        pytest.fail(f"{words!r} never came: {self.process.stderr.read()}")

    def end(self, number=signal.SIGTERM):
        """(exit code, rest of its words, errors, seconds) after a signal."""
        began = time.monotonic()
        self.process.send_signal(number)
        rest, errors = self.process.communicate(timeout=30)
        return self.process.returncode, rest, errors, time.monotonic() - began


@pytest.fixture
def watched(folder, tiny):
    """Function that starts a Watcher of the folder; whatever still runs in the end is killed."""
    started = []

    def start(*words, shared=False):
        started.append(Watcher(folder, tiny, *words, shared=shared))
        return started[-1]
    yield start
    for watcher in started:
        if watcher.process.poll() is None:
            watcher.process.kill()
            watcher.process.communicate()


@pytest.mark.parametrize("shared", [False, True], ids=["local", "shared"])
def test_what_comes_is_dreamed_when_it_is_whole(folder, watched, sky, shared):
    watcher = watched(shared=shared)  # no INPUT: the folder it is in
    watcher.until("b-dream.bmp.png: done")
    data = sky.read_bytes()
    with open(folder / "new.jpg", "wb") as file:
        for start in range(0, len(data), len(data) // 3 + 1):
            file.write(data[start:start + len(data) // 3 + 1])
            file.flush()
            time.sleep(0.7)
    began = time.monotonic()
    said = watcher.until("new-dream.jpg: done")
    assert time.monotonic() - began < 15
    assert said.count("new.jpg\n") == 1
    code, rest, errors, seconds = watcher.end(signal.SIGINT)
    assert (code, rest, errors) == (130, "", "dreamify: stopped by SIGINT\n")
    assert seconds < 2
    assert Image.open(folder / "new-dream.jpg").size == (720, 480)
    assert [name for name in names(folder) if "dream" in name] == ["a10-dream.jpg", "a2-dream.PNG", "b-dream.bmp.png",
                                                                   "new-dream.jpg"]

    first = dreams(folder)
    again = watched(shared=shared)
    again.until("is watched")
    time.sleep(2.5)
    assert again.end()[:3] == (143, "", "dreamify: stopped by SIGTERM\n")
    assert dreams(folder) == first


def test_a_watch_that_is_stopped_or_killed_in_a_dream_goes_on_with_it(folder, watched, sky, tmp_path):
    for name in ("a10.jpg", "a2.PNG", "b.bmp"):
        (folder / name).unlink()
    shutil.copy(sky, folder / "sky.jpg")
    words = (".", ".", "mix/output", "150", "2")
    for how, when in ((signal.SIGTERM, 20), (signal.SIGKILL, 50)):
        watcher = watched(*words)
        watcher.until(f"octave 2/2  iteration {when}/150")
        assert watcher.end(how)[0] == (143 if how == signal.SIGTERM else -9)
    watcher = watched(*words)
    assert "octave 1/2" not in watcher.until("sky-dream.jpg: done")
    watcher.end()
    seed = recipe.read(folder / "sky-dream.jpg")["seed"]
    assert "unfinished" not in recipe.read(folder / "sky-dream.jpg")
    done = run(sky, tmp_path / "whole.jpg", *words[2:], "--seed", seed, "--model", watcher.process.args[-1])
    assert done.returncode == 0
    whole, resumed = (np.asarray(Image.open(path)) for path in (tmp_path / "whole.jpg", folder / "sky-dream.jpg"))
    assert np.array_equal(whole, resumed)


def test_a_damaged_picture_is_told_once_and_looked_at_again_when_it_changes(folder, monkeypatch):
    monkeypatch.setattr(many, "SETTLED", 0)
    monkeypatch.setattr(many, "PATIENCE", 0.2)
    told, dreamed = [], []

    def read(path, output):
        if path.read_bytes() == b"damaged":
            raise Mistake("input: it is damaged")
        return lambda: dreamed.append(path.name)
    (folder / "bad.jpg").write_bytes(b"damaged")
    tried = many.Many(folder, folder, read, lambda path, found: True, False, lambda line: None)
    assert tried._look(told.append)  # there is something to wait for
    assert told == []
    time.sleep(0.3)
    for _ in range(3):
        tried._look(told.append)
    assert told == ["bad.jpg: input: it is damaged"]
    assert dreamed == ["a2.PNG", "a10.jpg", "b.bmp"]
    (folder / "bad.jpg").write_bytes(b"mended")
    tried._look(told.append)
    assert dreamed[3:] == ["bad.jpg"]


def test_a_folder_that_is_gone_is_told(folder):
    with pytest.raises(Failure, match="cannot be read"):
        many.names(folder / "gone")


def test_the_kernel_tells_of_local_folders_only(tmp_path, monkeypatch):
    kind = subprocess.run(["findmnt", "-nro", "FSTYPE", "-T", tmp_path], capture_output=True, text=True,
                          check=True).stdout.strip()
    assert sharing.filesystem(tmp_path) == kind
    assert sharing.filesystem("/proc/self") == "proc"
    monkeypatch.setattr(sharing, "LOCAL", {kind})
    changes = watch.Changes(tmp_path)
    assert changes.told
    (tmp_path / "a").write_bytes(b"")
    began = time.monotonic()
    changes.wait(10)
    assert time.monotonic() - began < 2
    began = time.monotonic()
    changes.wait(0.5)
    assert time.monotonic() - began > 0.4
    monkeypatch.setattr(sharing, "filesystem", lambda folder: "virtiofs")
    assert not watch.Changes(tmp_path).told
    assert not watch.Changes(os.fspath(tmp_path)).told
