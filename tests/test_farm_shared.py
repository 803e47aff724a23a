"""A farm whose machines share the folder with the pictures: nothing travels, each output has a lease, none is left."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dreamer.farm.leases import mark, proof
from dreamer.nets.model import Model
from farms import MANY, SCRIPT, Farm, child_of, end, until
from helpers import ROOT, dreams, ends, made, mounted, names

pytestmark = pytest.mark.slow

HOW = ("mix/output", "20", "2", "--seed", "1")
ENDLESS = ("mix/output", "1000000", "1", "--seed", "1")


@pytest.fixture
def words(tiny: Model) -> list[str]:
    return ["--model", str(tiny.folder)]


@contextlib.contextmanager
def bound(source: Path, folder: Path, *options: str) -> Iterator[Path]:
    """The folder `source` a second time, at the new path `folder`, as another machine would mount it."""
    folder.mkdir()
    if subprocess.run(["mount", "--bind", source, folder], capture_output=True, check=False).returncode:
        pytest.skip("needs root that may mount")
    try:
        if options:
            subprocess.run(["mount", "-o", ",".join(["remount", "bind", *options]), folder], check=True)
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


class Shared:
    """A Farm, and the folder `root`, in which `photos` and `dreams` are."""

    def __init__(self, farm: Farm, root: Path) -> None:
        self.farm, self.photos, self.dreams = farm, root / "photos", root / "dreams"
        farm.environment = farm.environment | {"DREAMER_FARM_FOLDER": str(root)}

    def worker(self, folder: Path, *words: object, **more: str) -> "subprocess.Popen[str]":
        return self.farm.worker("--folder", folder, *words, network=None, **more)

    def alone(self, *words: object) -> dict[str, bytes]:
        """{name: bytes} of the dreams that this machine alone makes."""
        target = self.dreams.parents[1] / "alone"
        made([SCRIPT, self.photos, target, *map(str, words), "--quiet"])
        return dreams(target)

    def leases(self) -> list[dict[str, Any]]:
        """What the leases say that are there now."""
        found = []
        for path in self.dreams.glob(".*.lease"):
            with contextlib.suppress(FileNotFoundError, ValueError):  # it is made or given back now
                found.append(json.loads(path.read_bytes()))
        return found

    def held_by(self, worker: "subprocess.Popen[str]") -> dict[str, Any]:
        """The lease that a worker has, as soon as it has one."""
        found: dict[str, Any] = until(lambda: next((lease for lease in self.leases()
                                                    if f"-{worker.pid}-" in lease["worker"]), None))
        return found

    def is_clean(self) -> bool:
        """Whether only dreams are in the folder for dreams, and nothing of ours is among the photos."""
        return all(not name.startswith(".dreamer-") for folder in (self.photos, self.dreams) for name in names(folder))


@pytest.fixture
def shared(farm: Farm, photos: Path, tmp_path: Path) -> Shared:
    root = tmp_path / "share"
    root.mkdir()
    photos.rename(root / "photos")
    (root / "dreams").mkdir()
    return Shared(farm, root)


def test_machines_that_see_the_folder_at_other_paths(shared: Shared, words: list[str], tmp_path: Path) -> None:
    """With clocks that are twenty minutes apart. Two workers have the leases while they dream; the bytes are the
    same as alone, and the same command finds everything done."""
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
    if library is None:
        pytest.skip("no libfaketime: apt-get install libfaketime")
    (tmp_path / "link").symlink_to(tmp_path / "share")
    alone = shared.alone(*HOW, *words)
    seen = dict[str, str]()
    with bound(tmp_path / "share", tmp_path / "bound") as other:
        early = shared.worker(tmp_path / "link", LD_PRELOAD=str(library), FAKETIME="-10m")
        late = shared.worker(other, LD_PRELOAD=str(library), FAKETIME="+10m")
        dreaming = shared.farm.command(shared.photos, shared.dreams, *HOW, *words)
        while dreaming.poll() is None:
            seen |= {lease["output"]: lease["worker"] for lease in shared.leases()}
            time.sleep(0.02)
        out, errors = dreaming.communicate(timeout=MANY)
        again = shared.farm.run(shared.photos, shared.dreams, *HOW, *words)
        end(late)
    assert dreaming.returncode == 0, errors
    assert "travel" not in out + errors
    assert dreams(shared.dreams) == alone
    assert len(alone) == 3
    assert {*seen} == {*alone}
    assert {worker.split("-")[-2] for worker in seen.values()} == {str(early.pid), str(late.pid)}
    assert shared.is_clean()
    assert "3 dreams are up to date" in again.stdout


def test_an_atlas_and_one_picture(shared: Shared, words: list[str], tmp_path: Path) -> None:
    shared.worker(tmp_path / "share")
    picture = shared.photos / "a2.PNG"
    for word, output in ((["atlas"], "tiles/"), ([], "one-dream.png")):
        what = [*word, picture, f"{shared.dreams}/{output}", *([] if word else HOW), *words]
        what += ["*", "3", "1"] if word else ["--max-size", "90"]
        done = shared.farm.run(*what)
        assert done.returncode == 0, done.stderr
        made([SCRIPT, *map(str, [*word, picture, f"{tmp_path}/{output}", *what[len(word) + 2:]]), "--quiet"])
    assert dreams(shared.dreams) == {"one-dream.png": (tmp_path / "one-dream.png").read_bytes()}
    tiles = {path.name: path.read_bytes() for path in (shared.dreams / "tiles").iterdir()}
    assert tiles == {path.name: path.read_bytes() for path in (tmp_path / "tiles").iterdir()}
    assert shared.is_clean()


def test_a_worker_is_killed_between_lease_and_dream(shared: Shared, words: list[str], tmp_path: Path) -> None:
    """Another takes its lease over. Then the command is killed: the next one sweeps up what is left, also what one left
    that died when all dreams were there."""
    victim = shared.worker(tmp_path / "share")
    dreaming = shared.farm.command(shared.photos, shared.dreams, *ENDLESS, *words)
    lease, child = shared.held_by(victim), child_of(victim)
    other = shared.worker(tmp_path / "share")
    victim.kill()
    assert ends(child)
    until(lambda: {each["output"]: f"-{other.pid}-" in each["worker"] for each in shared.leases()}.get(lease["output"]))
    assert len(shared.leases()) == 1
    other.kill()
    dreaming.kill()
    dreaming.wait(MANY)
    assert not shared.is_clean()
    shared.worker(tmp_path / "share")
    for _ in range(2):
        assert shared.farm.run(shared.photos, shared.dreams, *HOW, *words).returncode == 0
        assert dreams(shared.dreams) == shared.alone(*HOW, *words)
        assert shared.is_clean()
        proof(shared.dreams, shared.farm.address, mark("one that died")).write_text("x")


def test_who_hangs_loses_the_lease_and_writes_nothing_later(shared: Shared, words: list[str], tmp_path: Path) -> None:
    words = ["conv2/3x3", "2", "2", "--seed", "1", "--model", "daydream"]
    alone = shared.alone(*words)
    stuck = shared.worker(tmp_path / "share")
    dreaming = shared.farm.command(shared.photos, shared.dreams, *words)
    lease = shared.held_by(stuck)
    stuck.send_signal(signal.SIGSTOP)
    shared.worker(tmp_path / "share")
    out, errors = dreaming.communicate(timeout=300)
    assert dreaming.returncode == 0, errors
    assert lease["output"] in alone
    written = {path.name: path.stat().st_ino for path in shared.dreams.iterdir()}
    stuck.send_signal(signal.SIGCONT)
    until(lambda: "  waits for work" in shared.farm.status()[2:])
    assert {path.name: path.stat().st_ino for path in shared.dreams.iterdir()} == written
    assert dreams(shared.dreams) == alone
    assert out.count("a2-dream.PNG: done") == 1


def test_another_folder_a_read_only_one_and_none(shared: Shared, words: list[str], tmp_path: Path) -> None:
    """To such workers pictures travel, and a line says so once for each."""
    alone = shared.alone(*HOW, *words)
    (tmp_path / "other/photos").mkdir(parents=True)
    (tmp_path / "other/dreams").mkdir()
    with bound(tmp_path / "share", tmp_path / "bound", "ro") as fixed:
        for folder, why in ((tmp_path / "other", f"{tmp_path}/other is not the folder that the others share\n"),
                            (fixed, "Read-only file system\n")):
            worker = shared.worker(folder)
            done = shared.farm.run(shared.photos, shared.dreams, *HOW, *words)
            end(worker)
            assert done.returncode == 0, done.stderr
            assert done.stderr.count("cannot use the shared folder, so its files travel: ") == 1
            assert done.stderr.endswith(why)
            assert dreams(shared.dreams) == alone
            assert shared.is_clean()
            for path in shared.dreams.iterdir():
                path.unlink()
    shared.farm.worker(DREAMER_FARM_FOLDER="")
    done = shared.farm.run(shared.photos, shared.dreams, *HOW, *words)
    assert "no worker has a --folder, so files travel" in done.stderr
    assert dreams(shared.dreams) == alone


def test_a_full_share_is_told(shared: Shared, words: list[str], tmp_path: Path) -> None:
    """Neither the worker nor the command can write there; when there is room, the same command goes on."""
    with mounted(tmp_path / "disk", "1m") as disk:
        (disk / "dreams").mkdir()
        shared.farm.environment |= {"DREAMER_FARM_FOLDER": str(disk)}
        worker = shared.worker(disk)
        (disk / "fill").write_bytes(b"\0" * ((1 << 20) - 20_000))
        for name in ("a10.jpg", "b.bmp"):
            (shared.photos / name).unlink()
        done = shared.farm.run(shared.photos, disk / "dreams", *HOW, *words)
        assert done.returncode == 1, done.stdout
        assert "No space left on device" in done.stderr
        assert names(disk / "dreams") == []
        (disk / "fill").unlink()
        assert shared.farm.run(shared.photos, disk / "dreams", *HOW, *words).returncode == 0
        assert names(disk / "dreams") == ["a2-dream.PNG"]
        end(worker)


def test_two_commands_want_the_same_dream(shared: Shared, words: list[str], tmp_path: Path) -> None:
    """The second leaves it to the first, and says so. Ctrl-C leaves no lease."""
    for name in ("a10.jpg", "b.bmp"):
        (shared.photos / name).unlink()
    first, _ = shared.worker(tmp_path / "share"), shared.worker(tmp_path / "share")
    dreaming = shared.farm.command(shared.photos, shared.dreams, *ENDLESS, *words)
    lease = until(lambda: next(iter(shared.leases()), None))
    second = shared.farm.run(shared.photos, shared.dreams, *HOW, *words)
    assert second.returncode == 1, second.stdout
    assert "is being dreamed for another command, by " + lease["worker"] in second.stderr
    assert [each["unit"] for each in shared.leases()] == [lease["unit"]]
    dreaming.send_signal(signal.SIGINT)
    assert dreaming.wait(MANY) == 130
    until(shared.is_clean)
    assert first.poll() is None
    assert shared.farm.run(shared.photos, shared.dreams, *HOW, *words).returncode == 0
    assert dreams(shared.dreams) == shared.alone(*HOW, *words)


def test_a_watched_folder_and_a_link_that_leads_out(shared: Shared, words: list[str], tmp_path: Path) -> None:
    """What is not in the folder itself travels."""
    outside = shared.photos / "a2.PNG"
    outside.rename(tmp_path / outside.name)
    (shared.photos / outside.name).symlink_to(tmp_path / outside.name)
    alone = shared.alone(*HOW, *words)
    shared.worker(tmp_path / "share")
    watching = shared.farm.command(shared.photos, shared.dreams, *HOW, *words, "--watch")
    until(lambda: dreams(shared.dreams) == alone)
    watching.send_signal(signal.SIGTERM)
    assert watching.wait(MANY) == 143
    until(shared.is_clean)


@pytest.mark.parametrize("word", ["folder", "DREAMER_FARM_FOLDER"])
def test_no_folder(farm: Farm, sky: Path, tmp_path: Path, word: str) -> None:
    """It is said before any work."""
    if word == "folder":
        command = ["farm", "worker", farm.address, "--folder", str(tmp_path / "none")]
    else:
        command = [str(sky), str(tmp_path / "d.png"), "--farm", farm.address]
    done = subprocess.run([SCRIPT, *command], env=farm.environment | {"DREAMER_FARM_FOLDER": str(tmp_path / "none")},
                          capture_output=True, text=True, check=False, timeout=MANY, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.endswith(f"dreamify: {word}: {tmp_path}/none is not a folder; name the one that all machines "
                                "share, as this machine sees it\n")
    assert os.listdir(tmp_path) == ["farm"]
