"""The lease of an output: one owner at a time, and nobody writes who has lost it, however slow he was."""

import contextlib
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dreamer.farm.leases import Held, Lease, Live, Lost, Owner, living, mark, proof, sweep
from helpers import PYTHON, ROOT, names

FARM = "tls://10.0.0.1:8786"


def owner(name: str, unit: str = "run-1", farm: str = FARM) -> Owner:
    return Owner(farm, mark(farm, name), unit, name)


def alive(*names: str) -> Callable[[], Live]:
    """The function that says that these owners live."""
    return lambda: Live(FARM, frozenset(mark(FARM, name) for name in names))


def test_an_owner_writes_and_leaves_nothing_else(tmp_path: Path) -> None:
    lease = Lease(tmp_path / "a.png", owner("one"))
    assert lease.take(alive("one")) is False
    assert len(names(tmp_path)) == 2
    lease.write(b"dream")
    lease.release()
    assert names(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"dream"
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o644


def test_the_longest_name_has_a_lease(tmp_path: Path) -> None:
    lease = Lease(tmp_path / ("ü" * 125 + ".png"), owner("one"))
    assert lease.take(alive("one")) is False
    lease.write(b"dream")
    lease.release()
    assert len(names(tmp_path)) == 1


def test_a_lease_of_a_live_owner_is_left_to_him(tmp_path: Path) -> None:
    first, second = (Lease(tmp_path / "a.png", owner(name, name)) for name in ("one", "two"))
    first.take(alive("one"))
    with pytest.raises(Held, match=r"a.png is being dreamed for another command, by one"):
        second.take(alive("one", "two"))
    first.write(b"first")
    first.release()
    assert names(tmp_path) == ["a.png"]


def test_who_was_only_slow_cannot_write_any_more(tmp_path: Path) -> None:
    first, second = (Lease(tmp_path / "a.png", owner(name)) for name in ("one", "two"))
    first.take(alive("one"))
    assert second.take(alive("two")) is False
    with pytest.raises(Lost):
        first.write(b"first")
    first.release()
    assert not (tmp_path / "a.png").exists()
    second.write(b"second")
    second.release()
    assert names(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"second"


def test_what_an_owner_wrote_before_he_died_is_not_written_again(tmp_path: Path) -> None:
    first = Lease(tmp_path / "a.png", owner("one"))
    first.take(alive("one"))
    first.write(b"first")  # and dies before release()
    assert Lease(tmp_path / "a.png", owner("two")).take(alive("two")) is True
    assert names(tmp_path) == ["a.png"]
    first.take(alive("one"))
    first.write(b"first")
    other = Lease(tmp_path / "a.png", owner("two", "another run"))  # whose dream may be another
    assert other.take(alive("two")) is False
    other.release()
    assert names(tmp_path) == ["a.png"]


def test_the_same_attempt_again_in_the_same_worker(tmp_path: Path) -> None:
    first, again = (Lease(tmp_path / "a.png", owner("one")) for _ in range(2))
    first.take(alive("one"))
    assert again.take(alive("one")) is False
    with pytest.raises(Lost):
        first.write(b"first")
    again.release()
    assert names(tmp_path) == []


def test_an_attempt_that_is_cancelled_is_waited_for(tmp_path: Path) -> None:
    """A little: the scheduler may hear of it later."""
    first, second = (Lease(tmp_path / "a.png", owner(name)) for name in ("one", "two"))
    first.take(alive("one"))
    told = iter([alive("one", "two")(), alive("one", "two")(), alive("two")()])
    assert second.take(lambda: next(told)) is False
    second.release()


def test_a_claim_without_content(tmp_path: Path) -> None:
    """Its owner has died between two system calls; or has yet to fill it, if an owner with a part lives."""
    first = Lease(tmp_path / "a.png", owner("one"))
    first.take(alive("one"))
    claim = next(tmp_path.glob("*.lease"))
    claim.write_bytes(b"")
    with pytest.raises(Held, match="another worker begins"):
        Lease(tmp_path / "a.png", owner("two")).take(alive("one", "two"))
    second = Lease(tmp_path / "a.png", owner("two", "another run"))
    assert second.take(alive("two")) is False
    second.release()
    assert names(tmp_path) == []


def test_another_farm_is_never_robbed(tmp_path: Path) -> None:
    theirs = Lease(tmp_path / "a.png", owner("one", farm="tls://10.0.0.2:8786"))
    theirs.take(alive())
    before = names(tmp_path)
    with pytest.raises(Held, match=r"a run of another farm, at tls://10.0.0.2:8786; if that farm is gone, remove /"):
        Lease(tmp_path / "a.png", owner("two", "another run")).take(alive("two"))
    sweep(tmp_path, owner("two").mark, alive("two"))
    assert names(tmp_path) == before
    theirs.write(b"theirs")


def test_what_the_dead_left_is_swept_and_what_lives_stays(tmp_path: Path) -> None:
    for name in ("dead", "live"):
        Lease(tmp_path / f"{name}.png", owner(name)).take(alive(name))
        proof(tmp_path, FARM, owner(name).mark).write_text("x")
    mine = {path.name for path in tmp_path.iterdir() if owner("live").mark in path.name or (
        path.suffix == ".lease" and b"live.png" in path.read_bytes())}
    assert len(mine) == 3
    for name in ("photo.png", ".hidden", ".dreamer-x.part"):
        (tmp_path / name).write_text("not ours")
    dead = Lease(tmp_path / "loose.png", owner("dead"))
    dead.take(alive("dead"))
    next(path for path in tmp_path.glob("*.lease") if b"loose" in path.read_bytes()).unlink()
    sweep(tmp_path, owner("live").mark, alive("live"))
    assert set(names(tmp_path)) == mine | {"photo.png", ".hidden", ".dreamer-x.part"}
    with pytest.raises(Lost):
        dead.write(b"late")


def test_what_the_scheduler_says() -> None:
    known = living({"farm": FARM, "attempts": [["tls://10.0.0.3:9", "dream-1"]], "commands": ["Client-1"]})
    assert known.owners == {mark(FARM, "tls://10.0.0.3:9", "dream-1"), mark(FARM, "Client-1")}


# again and again writes an output as an owner who holds all others for gone; prints how often that worked
CONTEND = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from dreamer.farm.leases import Lease, Live, Lost, Owner, mark
folder, number, farm, written = Path(sys.argv[2]), *sys.argv[3:], 0
for each in range(10):
    mine = Owner(farm, mark(number, str(each)), f"unit-{number}-{each}", number)
    lease = Lease(folder / "a.png", mine)
    try:
        lease.take(lambda: Live(farm, frozenset([mine.mark])))
        lease.write(number.encode() * 1000)
        written += 1
    except Lost:
        pass
    finally:
        lease.release()
print(written)
"""


def test_many_processes_rob_each_other(tmp_path: Path) -> None:
    """The output is always whole, and nothing is left."""
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(subprocess.Popen(
            [PYTHON, "-c", CONTEND, ROOT, tmp_path, str(number), FARM], stdout=subprocess.PIPE)) for number in range(3)]
        while any(process.poll() is None for process in processes):
            if (tmp_path / "a.png").exists():
                data = (tmp_path / "a.png").read_bytes()
                assert data in {b"%d" % number * 1000 for number in range(3)}
            time.sleep(0.001)
        written = [int(process.communicate()[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * 3
    assert sum(written) > 0
    sweep(tmp_path, mark("last"), alive())
    assert names(tmp_path) == ["a.png"]
