"""Any file and any name, given to the real command: one line and exit code 2, or a dream; never a traceback."""

import io
import os
import pty
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from PIL import Image

import mutants
from dreamer.machine import files
from dreamer.nets.model import Model
from helpers import ROOT, Word

Run: TypeAlias = Callable[..., subprocess.CompletedProcess[bytes]]  # called with words and options

# root may read and write anything; without these capabilities it has the rights of an ordinary user
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner") if os.geteuid() == 0 else ()


@pytest.fixture
def run(tiny: Model, tmp_path: Path) -> Run:
    """Function that runs dreamify.py in tmp_path with the tiny model and one octave; its outputs are bytes."""
    def call(*words: Word | bytes, prefix: Sequence[str] = (), options: Sequence[str] = (),
             **keywords: Any) -> subprocess.CompletedProcess[bytes]:
        rest = () if "--" in words else ("conv1", "1", "1")
        command: list[Word | bytes] = [*prefix, ROOT / "dreamify.py", "--model", tiny.folder, "--seed", "1", *options,
                                       *words, *rest]
        more: dict[str, Any] = {"capture_output": True, "stdin": subprocess.DEVNULL} | keywords
        return subprocess.run(command, cwd=tmp_path, check=False, timeout=60, **more)
    return call


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small photo: in.png in tmp_path."""
    mutants.pixels("RGB", 40, 60).save(tmp_path / "in.png")
    return tmp_path / "in.png"


def refused(done: subprocess.CompletedProcess[bytes], *patterns: str) -> None:
    """Check that the command printed one line that contains the patterns, and returned exit code 2."""
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 2, lines
    assert done.stdout == b""
    assert len(lines) == 1, lines
    assert lines[0].startswith("dreamify: ")
    for pattern in patterns:
        assert re.search(pattern, lines[0]), lines[0]


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.RandomState(0).randint(0, 256, (60, 60, 3)).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(("content", "why"), [
    (b"", "empty"), (b"no picture\n", "not a picture"), (np.random.RandomState(0).bytes(1000), "not a picture"),
    (b"%PDF-1.4\n%\n", "not a picture"), (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    (b"\0" * 1000, "not a picture"), (png()[:200], "cut short"), (png()[:-400], "cut short"), (png()[:8], "picture")])
def test_what_is_no_picture(run: Run, tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "in.jpg").write_bytes(content)
    refused(run("in.jpg", "out.png"), "input: in.jpg", why)
    assert os.listdir(tmp_path) == ["in.jpg"]


@pytest.mark.parametrize(("make", "why"), [
    (lambda path: None, "no such file"), (os.mkfifo, "pipe"),
    (lambda path: os.symlink("/dev/zero", path), "device"), (lambda path: os.symlink("/dev/null", path), "device"),
    (lambda path: os.symlink("nowhere", path), "no such file"), (lambda path: os.symlink(path, path), "symbolic"),
], ids=["nothing", "fifo", "zero", "null", "dangling", "circle"])
def test_what_is_no_file(run: Run, tmp_path: Path, make: Callable[[Path], object], why: str) -> None:
    make(tmp_path / "in.png")
    refused(run("in.png", "out.png"), "input: ", why)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("word", ["", "in.png/more.png", "n" * 300 + ".png", "no/in.png"])
def test_paths_that_cannot_be(run: Run, tmp_path: Path, photo: Path, word: str) -> None:
    refused(run(word, "out.png"), "input: ")
    refused(run("in.png", word), "output: ")


def test_no_permission(run: Run, tmp_path: Path, photo: Path) -> None:
    photo.chmod(0)
    refused(run("in.png", "out.png", prefix=UNPRIVILEGED), "input: in.png.*Permission denied")
    photo.chmod(0o644)
    (tmp_path / "locked").mkdir(0o555)
    refused(run("in.png", "locked/out.png", prefix=UNPRIVILEGED), "output: .*locked: Permission denied")
    (tmp_path / "locked").chmod(0)
    refused(run("in.png", "locked/out.png", prefix=UNPRIVILEGED), "output: .*locked.*Permission denied")
    refused(run("locked/in.png", "out.png", prefix=UNPRIVILEGED), "input: .*locked.*Permission denied")
    (tmp_path / "out.png").write_bytes(b"mine")
    (tmp_path / "out.png").chmod(0o444)
    refused(run("in.png", "out.png", prefix=UNPRIVILEGED), "output: out.png .*protected")
    assert (tmp_path / "out.png").read_bytes() == b"mine"


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that claims to have side × side pixels."""
    data = bytearray(png())
    data[16:24] = side.to_bytes(4, "big") * 2
    mutants._mend(data)
    return bytes(data)


@pytest.mark.parametrize("side", [9460, 20_000, 2 ** 31 - 1])
def test_a_decompression_bomb(run: Run, tmp_path: Path, side: int) -> None:
    """Pillow's own limit is 9459 × 9459; for the first, it would only give a warning."""
    (tmp_path / "in.png").write_bytes(bomb(side))
    refused(run("in.png", "out.png"), "more than 89478485 pixels", "--max-pixels")


def test_max_pixels_can_be_lowered_and_raised(run: Run, tmp_path: Path, photo: Path) -> None:
    refused(run("in.png", "out.png", options=("--max-pixels", "2399")), "more than 2399 pixels")
    assert run("in.png", "out.png", options=("--max-pixels", "2400")).returncode == 0
    (tmp_path / "bomb.png").write_bytes(bomb(9460))
# now the limit allows it, so it is decoded
    refused(run("bomb.png", "out.png", options=("--max-pixels", "89491600")), "cut short")


@pytest.mark.parametrize("name", [
    "a b.png", "a\nb.png", "ünïcödé ☃.png", "-a.png", "--force.png", "a\x1b[31mb.png", "'\"$(a).png", "keys.png",
    b"\xff\xfe.png", "…" * 80 + ".png"], ids=ascii)
def test_any_name_is_taken_and_told_on_one_line(run: Run, tmp_path: Path, photo: Path, name: str | bytes) -> None:
    name = os.fsencode(name)
    folder = os.fsencode(tmp_path)
    shutil.copy(os.fsencode(photo), os.path.join(folder, b"named"))
    done = run("--", name, b"out-" + name)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1  # the file does not exist yet
    assert b"\x1b" not in done.stderr
    os.rename(os.path.join(folder, b"named"), os.path.join(folder, name))
    done = run(b"./" + name, b"./out-" + name)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert len(done.stdout.splitlines()) >= 3
    assert done.stdout.splitlines()[-1].endswith(b": done")
    with open(os.path.join(folder, b"out-" + name), "rb") as file, Image.open(file) as out:
        assert out.size == (60, 40)
    with open(os.path.join(folder, name), "wb") as changed:
        changed.write(b"no picture")
    refused(run(b"./" + name, b"out.png"), "not a picture")


def test_a_leading_dash_is_explained(run: Run, tmp_path: Path, photo: Path) -> None:
    photo.rename(tmp_path / "-in.png")
    refused(run("-in.png", "out.png"), r"-in\.png", r"\./-in\.png")
    assert run("out.png", options=("./-in.png",)).returncode == 0


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8", "xx_XX.ISO-8859-1"])
def test_names_in_any_locale(run: Run, tmp_path: Path, photo: Path, locale: str) -> None:
    env = os.environ | {"LC_ALL": locale, "PYTHONIOENCODING": "ascii"} if locale[0] == "x" else \
        os.environ | {"LC_ALL": locale}
    done = run("in.png", "☃.png", env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    refused(run("☃☃.png", "out.png", env=env), "no such file")


@pytest.mark.parametrize(("name", "why"), [
    ("a.xyz", r"must end in one of \.jpeg \.jpg \.png \.tif \.tiff \.webp"), ("a", "must end in one of"),
    ("no/a.png", "does not exist"), ("pipe.png", "device or a pipe"),
    ("in.png/a.png", "Not a directory|not a folder"), ("/proc/a.png", "cannot write into /proc")])
def test_a_bad_output_is_told_before_the_work(run: Run, tmp_path: Path, photo: Path, name: str | bytes,
                                              why: str) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    refused(run("in.png", name), "output: ", why)


def test_a_folder_takes_the_dream_of_a_picture_that_has_a_name(run: Run, tmp_path: Path, photo: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    assert run("in.png", "folder.png").returncode == 0
    assert os.listdir(tmp_path / "folder.png") == ["in-dream.png"]
    assert run("in.png", ".").returncode == 0
    assert sorted(os.listdir(tmp_path)) == ["folder.png", "in-dream.png", "in.png"]
    refused(run("-", "folder.png", stdin=None, input=photo.read_bytes()), "output: folder.png is a folder")


@pytest.mark.parametrize("link", [None, os.symlink, os.link], ids=["itself", "symlink", "hard link"])
def test_the_input_is_not_overwritten_without_force(run: Run, tmp_path: Path, photo: Path,
                                                    link: Callable[[Path, Path], None] | None) -> None:
    output = tmp_path / "out.png" if link else photo
    before = photo.read_bytes()
    if link:
        link(photo, output)
    refused(run("in.png", output), "output: .* is the input itself", "--force")
    refused(run("./in.png", output.name), "the input itself")
    with open(photo, "rb") as file:
        refused(run("-", output.name, stdin=file), "the input itself")
    assert photo.read_bytes() == before
    done = run("in.png", output, options=("--force",))
    assert (done.returncode, done.stderr) == (0, b"")
    assert output.read_bytes() != before
    assert output.is_symlink() == (link == os.symlink)
    assert sorted(os.listdir(tmp_path)) == sorted({"in.png", output.name})


def test_another_output_is_overwritten_if_it_is_a_dream_or_with_force(run: Run, tmp_path: Path, photo: Path) -> None:
    (tmp_path / "out.png").write_bytes(b"old")
    refused(run("in.png", "out.png"), "output: out.png exists and is not a dream", "--force")
    assert (tmp_path / "out.png").read_bytes() == b"old"
    for options in ((), ("--force",)):  # first an empty file, then a text
        (tmp_path / "out.png").write_bytes(b"old" if options else b"")
        assert run("in.png", "out.png", options=options).returncode == 0
        assert Image.open(tmp_path / "out.png").size == (60, 40)
    dream = (tmp_path / "out.png").read_bytes()
    assert run("in.png", "out.png", options=("--step-size", "9")).returncode == 0
    assert (tmp_path / "out.png").read_bytes() != dream


@pytest.fixture
def small_disk(tmp_path: Path) -> list[str]:
    """A command prefix that mounts a 64 KB disk at ./disk, with a copy of in.png and an old file out.png."""
    trial = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    if os.geteuid() != 0 or subprocess.run(trial, check=False, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("needs root that may mount")
    Image.new("RGB", (9, 9)).save(tmp_path / "in.png")
    (tmp_path / "disk").mkdir()
    return ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=64k none disk && cp in.png disk && '
            'echo old >disk/out.png && "$@"; code=$?; ls -A disk; cat disk/out.png; exit $code', "sh"]


@pytest.fixture
def noisy(tmp_path: Path) -> Callable[[int, int], None]:
    """Function that creates noisy.png in a given size; noise does not compress."""
    def make(width: int, height: int) -> None:
        noise = np.random.RandomState(0).randint(0, 256, (height, width, 3)).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / "noisy.png")
    return make


def test_a_full_disk_leaves_the_old_file_and_says_so(run: Run, noisy: Callable[[int, int], None],
                                                     small_disk: list[str]) -> None:
    noisy(300, 300)
    done = run("noisy.png", "disk/out.png", prefix=small_disk, options=("--quiet", "--force"))
    assert done.returncode == 1
    assert re.fullmatch(rb"dreamify: disk/out.png could not be written: No space left on device\n", done.stderr)
    assert done.stdout == b"in.png\nout.png\nold\n"


def test_a_limit_on_file_size_leaves_the_old_file_and_says_so(run: Run, noisy: Callable[[int, int], None],
                                                              tmp_path: Path) -> None:
    noisy(300, 300)
    (tmp_path / "out.png").write_bytes(b"old\n")
    done = run("noisy.png", "out.png", prefix=("sh", "-c", 'ulimit -f 40; exec "$@"', "sh"), options=("--force",))
    assert done.returncode == 1
    assert re.fullmatch(rb"dreamify: out.png could not be written: File too large\n", done.stderr)
    assert (tmp_path / "out.png").read_bytes() == b"old\n"
    assert sorted(os.listdir(tmp_path)) == ["noisy.png", "out.png"]


def test_a_disk_that_is_too_full_to_keep_a_dream_on_its_way_ends_no_dream(run: Run, noisy: Callable[[int, int], None],
                                                                          small_disk: list[str]) -> None:
    """The finished dream fits on the disk; its checkpoint, which is larger, does not."""
    noisy(90, 80)
    done = run("noisy.png", "disk/out.png", "--", "mix/output", "2", "4", "1.02", prefix=small_disk,
               options=("--quiet", "--force"))
    assert done.returncode == 0
    # the warning comes only once
    assert done.stderr == b"dreamify: warning: the dream so far cannot be saved: No space left on device\n"
    assert done.stdout.startswith(b"in.png\nout.png\n\x89PNG")


def test_standard_input_and_output(run: Run, photo: Path, tmp_path: Path) -> None:
    expected = run("in.png", "out.png")
    assert expected.returncode == 0
    done = run("-", "-", stdin=None, input=photo.read_bytes())
    assert done.returncode == 0
    with Image.open(io.BytesIO(done.stdout)) as out, Image.open(tmp_path / "out.png") as wanted:
        assert (np.asarray(out) == np.asarray(wanted)).all()  # not the files: their recipes name their sources
    assert done.stdout[-12:] == (tmp_path / "out.png").read_bytes()[-12:]  # nothing but the picture
    assert done.stderr.decode().splitlines()[-1] == "-: done"
    quiet = run("-", "-", options=("--quiet",), stdin=None, input=photo.read_bytes())
    same = quiet.stdout == done.stdout
    assert same
    assert quiet.stderr == b""


@pytest.mark.parametrize(("content", "why"), [(b"", "empty"), (b"no picture", "not a picture"), (b"\x0a", "not a pict"),
                                              (png()[:300], "cut short")])
def test_bad_standard_input(run: Run, content: bytes, why: str) -> None:
    refused(run("-", "out.png", stdin=None, input=content), "standard input", why)


def test_an_endless_standard_input_ends(run: Run) -> None:
    with open("/dev/zero", "rb") as zero:
        refused(run("-", "out.png", stdin=zero), "standard input is not a picture")


def test_closed_standard_streams(run: Run, photo: Path) -> None:
    refused(run("-", "out.png", prefix=("sh", "-c", '"$@" <&-', "sh")), "standard input is closed")
    refused(run("in.png", "-", prefix=("sh", "-c", '"$@" >&-', "sh")), "standard output is closed")
    assert run("in.png", "out.png", prefix=("sh", "-c", '"$@" <&- >&- 2>&-', "sh")).returncode == 0


def test_a_terminal_is_not_sent_a_picture(run: Run, photo: Path) -> None:
    ours, theirs = pty.openpty()
    done = run("in.png", "-", capture_output=False, stdout=theirs, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert b"terminal" in done.stderr
    refused(run("-", "out.png", stdin=theirs), "terminal")
    os.close(theirs)
    os.close(ours)


def test_standard_output_that_breaks_is_one_line_and_exit_1(run: Run, photo: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = run("in.png", "-", options=("--quiet",), capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == b"dreamify: standard output could not be written: No space left on device\n"
    read, write = os.pipe()
    os.close(read)
    done = run("in.png", "-", options=("--quiet",), capture_output=False, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == b"dreamify: standard output could not be written: Broken pipe\n"


def test_alpha_exif_and_size_go_through_the_whole_command(run: Run, tmp_path: Path) -> None:
    mutants.pixels("RGBA", 40, 60).save(tmp_path / "in.png", exif=mutants.exif())
    assert run("in.png", "out.tif", options=("--max-size", "30")).returncode == 0
    with Image.open(tmp_path / "out.tif") as out:
        exif = out.getexif()  # before the pixels: Pillow 9.0 closes a TIFF file when it has read them
        assert (out.mode, out.size) == ("RGBA", (20, 30))  # it is upright
        oracle = mutants.pixels("RGBA", 40, 60).resize((30, 20), Image.LANCZOS).transpose(Image.ROTATE_270)
        assert (np.asarray(out)[..., 3] == np.asarray(oracle)[..., 3]).all()
        assert np.abs(np.float32(out) - np.asarray(oracle))[..., :3].mean() > 0.1  # it was dreamed
        assert exif[0x010F] == "Camera"
        assert 0x8825 not in exif
    assert run("in.png", "out.jpg", options=("--keep-location",)).stderr.count(b"cannot be transparent") == 1
    assert Image.open(tmp_path / "out.jpg").getexif().get_ifd(0x8825)[1] == "N"


@pytest.mark.parametrize(("options", "why"), [
    (("--max-size", "0"), "max-size: '0'"), (("--max-size", "x"), "max-size: 'x'"),
    (("--max-pixels", "-1"), "max-pixels: '-1'"), (("--max-size", "1"), "the picture has 1×1")])
def test_sizes_that_make_no_sense(run: Run, photo: Path, options: tuple[str, ...], why: str) -> None:
    layer = () if "1×1" not in why else ("--", "in.png", "out.png", "mix/output", "1", "1")
    refused(run(*(layer or ("in.png", "out.png")), options=options), why)


def test_a_picture_larger_than_the_format_is_told_before_the_work(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (16384, 20)).save(tmp_path / "in.png")
    refused(run("in.png", "out.webp"), "output: a WEBP has at most 16383 pixels per side", "--max-size")


def test_what_killed_writers_left_is_swept_away(run: Run, photo: Path, tmp_path: Path) -> None:
    """Files that are being written, and files of other programs, stay."""
    (tmp_path / ".dreamer-dead.part").write_bytes(b"half")
    (tmp_path / ".dreamer-x").write_bytes(b"not ours")
    (tmp_path / "linked.png").write_bytes(b"not ours")
    (tmp_path / ".dreamer-link.part").symlink_to("linked.png")
    with files.replacing(tmp_path / "other.png") as file:
        file.write(b"other")
        assert run("in.png", "out.png").returncode == 0
        assert os.path.basename(file.name) in os.listdir(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".dreamer-link.part", ".dreamer-x", "in.png", "linked.png", "other.png",
                                            "out.png"]
    assert (tmp_path / "other.png").read_bytes() == b"other"


@pytest.mark.parametrize("option", ["--mask", "--guide", "--like"])
def test_a_preview_does_not_take_the_place_of_what_the_dream_is_made_of(run: Run, photo: Path, tmp_path: Path,
                                                                        option: str) -> None:
    assert run("in.png", "beside.png").returncode == 0
    before = (tmp_path / "beside.png").read_bytes()
    refused(run("in.png", "out.png", options=(option, "beside.png", "--preview", "./beside.png")),
            f"preview: beside.png is also the file of {option}")
    assert (tmp_path / "beside.png").read_bytes() == before


def test_a_preview_is_a_file(run: Run, photo: Path) -> None:
    refused(run("in.png", "out.png", options=("--preview", "-")), "preview: only OUTPUT can be standard output")


@pytest.mark.parametrize("limit", ["-v 50000", "-v 200000", "-v 230000", "-v 300000", "-d 20000", "-d 150000"])
def test_too_little_address_space_is_told(run: Run, photo: Path, limit: str) -> None:
    """OpenBLAS alone would try forever to get more."""
    done = run("in.png", "out.png", options=("--quiet",), prefix=("sh", "-c", f'ulimit {limit}; exec "$@"', "sh"))
    assert done.returncode == 1
    assert re.fullmatch(rb"dreamify: ulimit -v \(or -d\) is too low to start: .*\n", done.stderr)


def test_one_thread_needs_less_address_space(run: Run, photo: Path) -> None:
    """Each further thread of OpenBLAS takes 136 MB; it has one, unless the environment asks for more. The need of the
    first depends on Python and its packages."""
    if len(os.sched_getaffinity(0)) == 1:
        pytest.skip("a single core has one thread anyway")

    def starts(threads: int, limit: int) -> bool:
        limited = ("env", f"OPENBLAS_NUM_THREADS={threads}", "sh", "-c", f'ulimit -v {limit}; exec "$@"', "sh")
        return run("in.png", "out.png", options=("--quiet",), prefix=limited).returncode == 0

    one, two = (next(limit for limit in range(250_000, 1_000_000, 50_000) if starts(threads, limit))
                for threads in (1, 2))
    assert one <= 500_000
    assert two - one >= 100_000
