"""Folders that are shared with a host or over a network, where some operations fail (tests/quirks.py): the real
command, on a real file system that refuses them."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import quirks
from dreamer.machine import sharing
from dreamer.nets.model import Model
from helpers import ROOT, Watcher, names, start_slow, wait_for

VBOXSF = ("busy", "owner", "links", "case", "inode")  # on a Windows host

KINDS = [(), *((quirk,) for quirk in quirks.QUIRKS), VBOXSF, tuple(quirks.QUIRKS)]

each_kind = pytest.mark.parametrize("share", KINDS, ids=lambda kind: " ".join(kind) or "none", indirect=True)

all_at_once = pytest.mark.parametrize("share", [VBOXSF, KINDS[-1]], ids=["vboxsf", "all"], indirect=True)


@pytest.fixture
def share(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Path of a folder with some quirks; it contains photo.png."""
    if quirks.fuse is None or os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        pytest.skip("needs root, /dev/fuse and python3-fusepy")
    real, mountpoint = tmp_path / "real", tmp_path / "share"
    real.mkdir()
    mountpoint.mkdir()
    with subprocess.Popen(["/usr/bin/python3", ROOT / "tests/quirks.py", real, mountpoint, *request.param],
                          stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr
        began = time.monotonic()
        while not os.path.ismount(mountpoint):
            assert server.poll() is None, server.stderr.read()
            assert time.monotonic() - began < 60
            time.sleep(0.05)
        try:
            gradient = np.mgrid[:60, :80].sum(0)[..., None] * [1, 2, 3]
            Image.fromarray((gradient % 256).astype(np.uint8)).save(mountpoint / "photo.png")
            yield mountpoint
        finally:
            subprocess.run(["umount", "--lazy", mountpoint], check=True)
            server.wait(timeout=30)


@pytest.fixture
def words(share: Path, tiny: Model) -> list[str]:
    """The command line of a short dream of photo.png."""
    return [str(ROOT / "dreamify.py"), "photo.png", "dream.png", "mix/output", "2", "2", "--seed", "5", "--model",
            str(tiny.folder)]


def here(words: list[str], folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*words, *more], cwd=folder, capture_output=True, text=True, check=False, timeout=300)


@each_kind
def test_a_dream_replaces_the_last_one_whole(share: Path, words: list[str], tmp_path: Path) -> None:
    """Nothing else is left in the folder."""
    assert sharing.shared(share)
    (tmp_path / "local").mkdir()
    shutil.copyfile(share / "photo.png", tmp_path / "local/photo.png")
    for seed in ("6", "5"):
        for folder in (share, tmp_path / "local"):
            done = here([*words, "--seed", seed], folder)
            assert (done.returncode, done.stderr) == (0, "")
        assert (share / "dream.png").read_bytes() == (tmp_path / "local/dream.png").read_bytes()
    assert names(share) == ["dream.png", "photo.png"]


@each_kind
def test_a_stopped_dream_goes_on(share: Path, words: list[str], tmp_path: Path) -> None:
    words[words.index("2"):words.index("--seed")] = ["150", "3"]
    with start_slow(words, 170, cwd=share) as process:
        wait_for(process, "octave 2/3  iteration 20/")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(errors.splitlines()) == 1
    assert "run the same command to continue" in errors
    Image.open(share / "dream.png").load()
    done = here(words, share)
    assert (done.returncode, done.stderr) == (0, "")
    assert "continues from octave 2, iteration" in done.stdout
    assert names(share) == ["dream.png", "photo.png"]


@all_at_once
def test_a_film_and_a_folder(share: Path, words: list[str]) -> None:
    done = here([*words[:2], "dream.gif", *words[3:]], share)
    assert (done.returncode, done.stderr) == (0, "")
    with Image.open(share / "dream.gif") as film:
        assert film.n_frames == 4
    done = here([words[0], ".", ".", *words[3:]], share)
    assert (done.returncode, done.stderr) == (0, "")
    assert names(share) == ["dream.gif", "photo-dream.png", "photo.png"]


@all_at_once
def test_what_comes_into_a_watched_folder_is_dreamed(share: Path, tiny: Model) -> None:
    watcher = Watcher(share, tiny.folder)
    try:
        watcher.until("photo-dream.png: done")
        shutil.copyfile(share / "photo.png", share / "new.png")
        watcher.until("new-dream.png: done")
        assert watcher.end() == (143, "", "dreamify: stopped by SIGTERM\n")
    finally:
        watcher.process.kill()
    assert names(share) == ["new-dream.png", "new.png", "photo-dream.png", "photo.png"]


@pytest.mark.parametrize("share", [("case",)], indirect=True, ids=["case"])
def test_another_case_is_the_input_all_the_same(share: Path, words: list[str]) -> None:
    before = (share / "photo.png").read_bytes()
    done = here([*words[:2], "PHOTO.png", *words[3:]], share)
    assert done.returncode == 2
    assert "is the input itself" in done.stderr
    shutil.copyfile(share / "photo.png", share / "mask.png")
    for option in ("--mask", "--guide"):
        done = here([*words[:2], "Mask.PNG", *words[3:], option, "mask.png"], share)
        assert done.returncode == 2
        assert f"is the {option[2:]} itself" in done.stderr
    assert (share / "photo.png").read_bytes() == (share / "mask.png").read_bytes() == before


@all_at_once
def test_a_finished_caffe_is_kept_there(share: Path, tmp_path: Path) -> None:
    """provision.sh's cache, if the project's folder is shared."""
    for name in ("lib", "python/caffe", "models/bvlc_googlenet"):
        (tmp_path / "prefix" / name).mkdir(parents=True)
    for name in ("models/bvlc_googlenet/deploy.prototxt", "packages"):
        (tmp_path / "prefix" / name).write_text("")
    done = subprocess.run(["bash", "-c", f"""source {ROOT}/provision.sh; distribution; cache=true; log={tmp_path}/log
                           here={share}; into_cache key; cd {share}/.cache; sha256sum --check *.sha256"""],
                          env=os.environ | {"DREAMER_PREFIX": str(tmp_path / "prefix")}, capture_output=True,
                          text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(names(share / ".cache")) == 2
