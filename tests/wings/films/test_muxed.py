"""Films in containers: any name, the same bytes each time, and nothing lost if the end fails."""

import errno
import json
import os
import resource
import shutil
import string
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from dreamer.errors import Failure, Mistake
from dreamer.films.containers import CONTAINERS
from dreamer.films.names import FILMS, always_film, may_be_film
from dreamer.jobs import checkpoint
from dreamer.jobs.reel import Reel
from dreamer.nets.model import Model
from dreamer.pictures import colour
from dreamer.pictures.ours import is_ours
from dreamer.pictures.picture import Picture
from helpers import ROOT, Word, decoded, made, mounted, names, noise, probed, psnr, run, saved, shown, start_slow

pytestmark = pytest.mark.usefixtures("ffmpeg")

SPECIAL = "".join(c for c in string.printable if c.isprintable() and not c.isalnum() and c not in "/\\")
OUTPUTS = [*FILMS, "%d.png"]


@pytest.fixture
def command(tiny: Model, tmp_path: Path) -> Callable[..., list[str]]:
    """Function of the output and more words that returns the command line of a dream of a small picture."""
    photo = saved(tmp_path / "photo.png", np.asarray(Image.open(ROOT / "tests/pictures/sky.jpg").resize((40, 32))))

    def words(output: Word, *more: object) -> list[str]:
        return [str(ROOT / "dreamify.py"), str(photo), str(tmp_path / output), "mix/output", "2", "2", "--seed", "5",
                "--model", str(tiny.folder), *map(str, more)]
    return words


def test_names_of_films() -> None:
    assert set(FILMS) == {".gif", ".webp", *CONTAINERS}
    for name in ("a.mkv", "a.MOV", "a.mp4", "a.webm", "a.gif", "a%d.png"):
        assert always_film(name)
        assert may_be_film(name)
    assert may_be_film("a.webp")
    assert not always_film("a.webp")
    assert not may_be_film("a.avi")


@pytest.mark.parametrize(("folder", "name"), [(SPECIAL, SPECIAL), ("%03d", "%s*[0-9]?"), ("concat:a|b", "-i"),
                                              ("f" * 250, ""), ("\u5e55" * 80, "\u00e9" * 100)],
                         ids=["special", "pattern", "protocol", "long", "letters"])
@pytest.mark.parametrize("extension", OUTPUTS)
def test_any_name_will_do(tiny: Model, tmp_path: Path, folder: str, name: str, extension: str) -> None:
    inside = tmp_path / folder
    inside.mkdir()
    output = inside / ((name or "n" * (250 - len(extension))) + extension)
    saved(tmp_path / "photo.png", noise(32, 40))
    words = (tmp_path / "photo.png", output, "conv1", 1, 1, "--zoom", 2, "--model", tiny.folder)
    done = run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    there = names(inside)
    assert len(there) == (2 if extension == "%d.png" else 1)
    assert not any(name.startswith(".") for name in there)
    assert all(is_ours(inside / name) for name in there)
    assert run(*words).returncode == 0


@pytest.mark.parametrize(("folder", "name"), [(SPECIAL, SPECIAL), ("%03d", "%d*[0-9]?"), ("v" * 250, "v" * 246)],
                         ids=["special", "pattern", "long"])
def test_a_video_may_have_any_name_too(tiny: Model, tmp_path: Path, folder: str, name: str) -> None:
    inside = tmp_path / folder
    inside.mkdir()
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=64x48:d=0.2:r=25", "-f", "lavfi", "-i",
                    "sine=d=0.2", "-shortest", tmp_path / "in.mp4"], check=True)
    source = (tmp_path / "in.mp4").rename(inside / f"{name}.mp4")
    for extension in (".mkv", ".gif"):
        done = run(source, tmp_path / f"out{extension}", "conv1", 1, 1, "--model", tiny.folder, "--quiet")
        assert done.returncode == 0, done.stderr
    assert probed(tmp_path / "out.mkv")[1]["nb_streams"] == 2


def test_long_names_that_differ_at_the_end_are_kept_apart(tmp_path: Path) -> None:
    first, second = (checkpoint.beside(tmp_path / ("n" * 245 + end), "film") for end in ("a.gif", "b.gif"))
    assert first != second
    assert len(os.fsencode(first.name)) < 250
    assert checkpoint.beside(tmp_path / "a.gif", "film").name == ".a.gif.film"


@pytest.mark.parametrize("extension", CONTAINERS)
def test_the_same_dream_has_the_same_bytes(command: Callable[..., list[str]], tmp_path: Path, extension: str) -> None:
    """Also another time, and with another name."""
    made(command(f"a{extension}", "--zoom", 30, "--fps", 12.5))
    time.sleep(1.1)
    made(command(f"b c{extension}", "--zoom", 30, "--fps", 12.5))
    assert (tmp_path / f"a{extension}").read_bytes() == (tmp_path / f"b c{extension}").read_bytes()
    stream, whole = probed(tmp_path / f"a{extension}")
    assert (stream["nb_read_frames"], stream["avg_frame_rate"], stream["pix_fmt"]) == ("30", "25/2", "yuv420p")
    assert abs(float(whole["duration"]) - 2.4) < 0.01
    made(command("f%d.png", "--zoom", 30))
    for number, frame in enumerate(decoded(tmp_path / f"a{extension}")):
        truth = np.asarray(Image.open(tmp_path / f"f{number + 1}.png"))
        assert psnr(frame, truth) > 24, number  # its colours have half the resolution


@pytest.mark.parametrize("extension", CONTAINERS)
def test_only_our_films_are_ours(command: Callable[..., list[str]], tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a{extension}"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=64x48:d=0.2", "-metadata",
                    "comment=a day at the sea", path], check=True)
    theirs = path.read_bytes()
    assert not is_ours(path)
    done = run(*command(path.name, "--zoom", 2)[1:])
    assert done.returncode == 2
    assert "exists and is not a dream" in done.stderr
    assert path.read_bytes() == theirs
    made(command(path.name, "--zoom", 2, "--force"))
    assert is_ours(path)
    assert json.loads(run("recipe", path).stdout)["zoom"] == 2
    photos = tmp_path / "photos"
    photos.mkdir()
    path.rename(photos / path.name)
    saved(photos / "a.png", noise(20, 30))
    done = run(photos, *command("x")[3:])
    assert "left alone" not in done.stdout + done.stderr


def test_a_film_in_webp_has_the_profile_of_srgb(command: Callable[..., list[str]], tmp_path: Path) -> None:
    made(command("a.webp", "--zoom", 3))
    with Image.open(tmp_path / "a.webp") as film:
        assert film.info["icc_profile"] == colour.SRGB
        assert film.n_frames == 3
    assert len(shown(tmp_path / "a.webp")) == 3


@pytest.fixture
def failing(tmp_path: Path) -> dict[str, str]:
    """An environment whose ffmpeg fails, while there is a file FAIL, when it joins real pieces of a film."""
    fake = tmp_path / "bin/ffmpeg"
    fake.parent.mkdir()
    fake.write_text(f"""#!/bin/sh
case "$*" in *concat*)
    if [ -e {tmp_path}/FAIL ] && grep -q -e rest list; then
        [ -s {tmp_path}/FAIL ] || kill -9 $$
        cat {tmp_path}/FAIL >&2
        exit 3
    fi
esac
exec {shutil.which("ffmpeg")} "$@"
""")
    fake.chmod(0o755)
    return os.environ | {"PATH": f"{fake.parent}:{os.environ['PATH']}"}


def ends_the_same(command: list[str], folder: Path, name: str, why: str,
                  failed: subprocess.CompletedProcess[str]) -> None:
    """Check what a run said whose last step `failed`, and that the same command then only has to finish."""
    assert failed.returncode == 1
    kept = folder / f".{name}.film"
    assert failed.stderr.splitlines()[-1] == (
        f"dreamify: {folder / name} could not be written: {why}; what is dreamed is kept in {kept}; run the same "
        "command to continue")
    assert kept.is_dir()
    assert not (folder / name).exists()
    said = made(command).stdout
    assert "all frames were dreamed before" in said or "continues from octave 2, iteration 2" in said
    assert "frame 1/" not in said
    assert "iteration 1/" not in said
    assert not kept.exists()
    ours = (folder / name).read_bytes()
    made([*command, "--no-resume"])
    assert (folder / name).read_bytes() == ours


@pytest.mark.parametrize("extension", CONTAINERS)
@pytest.mark.parametrize("more", [("--zoom", "3"), ()], ids=["zoom", "steps"])
def test_an_encoder_that_fails_at_the_end_loses_nothing(command: Callable[..., list[str]], failing: dict[str, str],
                                                        tmp_path: Path, extension: str, more: tuple[str, ...]) -> None:
    words = command(f"z{extension}", *more)
    (tmp_path / "FAIL").write_text("some words\nno luck today\n")
    first = subprocess.run(words, env=failing, capture_output=True, text=True, check=False)
    assert len(first.stderr.splitlines()) == 1
    assert "could not be written: ffmpeg: no luck today; " in first.stderr
    (tmp_path / "FAIL").write_text("")
    again = subprocess.run(words, env=failing, capture_output=True, text=True, check=False)
    ends_the_same(words, tmp_path, f"z{extension}", "ffmpeg: killed by SIGKILL", again)


@pytest.mark.parametrize("name", ["z.gif", "z.mp4"])
def test_a_limit_on_files_loses_nothing(command: Callable[..., list[str]], tmp_path: Path, name: str) -> None:
    """The frames fit, and the film does not."""
    words = command(name, "--zoom", 60, "--zoom-step=-0.4", "--pan", "0.3,0.3", "--step-size", 20)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    failed = subprocess.run(words, preexec_fn=limited, capture_output=True, text=True, check=False)
    ends_the_same(words, tmp_path, name, os.strerror(errno.EFBIG), failed)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    with mounted(tmp_path / "disk", "2m") as folder:
        yield folder


@pytest.mark.parametrize("name", ["z.gif", "z.webp", "z.mkv", "z.webm"])
def test_a_full_disk_loses_nothing(command: Callable[..., list[str]], disk: Path, name: str) -> None:
    words = command(disk / name, "--zoom", 60)
    with start_slow(words, 160) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("frame 40/"):
                there = os.statvfs(disk)
                (disk / "full").write_bytes(bytes(there.f_bavail * there.f_frsize))
        assert process.stderr
        said = process.stderr.read()
    assert process.returncode == 1
    assert said.splitlines()[-1] == (f"dreamify: {disk / name} could not be written: No space left on device; what is "
                                     f"dreamed is kept in {disk}/.{name}.film; run the same command to continue")
    (disk / "full").unlink()
    said = made(words).stdout
    assert "frame 30/60" not in said
    assert "frame 60/60" in said
    assert len(shown(disk / name) if name in ("z.gif", "z.webp") else decoded(disk / name)) == 60


@pytest.mark.parametrize("broken", ["libx264", "concat"])
def test_what_the_end_needs_is_tried_before_the_work(command: Callable[..., list[str]], tmp_path: Path,
                                                     broken: str) -> None:
    fake = tmp_path / "bin/ffmpeg"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\ncase "$*" in *{broken}*) echo "it is missing" >&2; exit 1;; esac\n'
                    f'exec {shutil.which("ffmpeg")} "$@"\n')
    fake.chmod(0o755)
    done = subprocess.run(command("z.mov", "--zoom", 9), capture_output=True, text=True, check=False,
                          env=os.environ | {"PATH": f"{fake.parent}:{os.environ['PATH']}"})
    assert done.returncode == 1
    assert done.stderr == f"dreamify: {tmp_path / 'z.mov'} could not be written: ffmpeg: it is missing\n"
    assert done.stdout == ""
    assert names(tmp_path) == ["bin", "photo.png"]


def test_too_little_room_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame of 100×100 pixels in .gif takes about 9 kB, and the film has it once more."""
    def reel(free: int) -> tuple[Reel, list[str]]:
        monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_blocks=9, f_bavail=free >> 10, f_frsize=1 << 10))
        return Reel(str(tmp_path / "a.gif"), {}, np.zeros((100, 100, 3), np.uint8), count=1000), []

    for free, told in ((25 << 20, 0), (15 << 20, 1)):
        film, said = reel(free)
        film.begin(1, True, said.append)
        assert len(said) == told
    assert said == [f"the film needs about 19 MB in {tmp_path}, and 15 MB are free"]
    film, said = reel(4 << 20)
    with pytest.raises(Mistake, match="output: the film needs about 19 MB in .*, and 4 MB are free; make room"):
        film.begin(1, True, said.append)
    assert said == []
    assert names(tmp_path) == []


def test_a_name_that_the_disk_refuses_is_told_before_the_work(command: Callable[..., list[str]], tiny: Model,
                                                              tmp_path: Path) -> None:
    """The first frame's name has 255 bytes, the tenth's 256."""
    name = "n" * 250 + "%d.png"
    done = subprocess.run(command(name, "--zoom", 10), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "File name too long" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert names(tmp_path) == ["photo.png"]
    made(command(name, "--zoom", 2))


def test_what_ffmpeg_leaves_out_is_an_error(tmp_path: Path) -> None:
    """It goes on if it cannot read a piece of the film, and says that all is well."""
    pictures = [noise(32, 40, number) for number in range(50)]
    film = Reel(str(tmp_path / "a.mkv"), {}, pictures[0], count=50)
    film.begin(1)
    for number, pixels in enumerate(pictures):
        film.keep(number, Picture(pixels.astype(np.float32)))
    (film.folder / "000024.mp4").write_bytes(b"")
    with pytest.raises(Failure, match="could not be written"):
        film.finish(50, {"height": 32, "width": 40})
    assert not (tmp_path / "a.mkv").exists()
