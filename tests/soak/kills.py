#!/usr/bin/python3
"""Kills dreams at random moments, restarts each until it finishes, and checks the results.

    $ tests/soak/kills.py [COUNT [SEED [MODEL]]]    # default: 200, 0, daydream

The signal is mostly SIGKILL, sometimes SIGTERM or SIGINT; it goes to the command, to its child, or to both. Some are
sent when something in the folder changes, that is, while a file is being written. The finished picture must have the
same bytes as an undisturbed run. At any moment, the output and the preview, if they exist, must be whole pictures.
Each violation is printed as a line, and the exit code is then 1."""

import collections
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from dreamer.errors import Mistake  # noqa: E402
from dreamer.pictures import reading  # noqa: E402
from dreamer.pictures.recipe import read_recipe  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
FORMATS = (".png", ".jpg", ".webp", ".tif")
DREAM = ("inception_4c/output", "12", "6", "1.25", "--seed", "1", "--max-size", "300")
LATEST = 10  # seconds within which a dream must stop after SIGTERM or SIGINT
HANG = 60  # seconds


class Clock:
    """Counts seconds, without those in which the whole machine or this program was paused."""

    def __init__(self) -> None:
        self._seen, self._counted = time.monotonic(), 0.0

    def time(self) -> float:
        """Seconds since the beginning. Must be called often."""
        before, self._seen = self._seen, time.monotonic()
        self._counted += min(self._seen - before, 1)
        return self._counted


class Trial:
    """One dream, in its own folder, killed until it finishes.

    expected  the bytes of the finished picture; length: the seconds of an undisturbed run
    model     name or folder of the model
    found     a Counter of what happened; counts are added to it"""

    def __init__(self, folder: Path, extension: str, expected: bytes, length: float, model: str, random: random.Random,
                 found: collections.Counter[str]) -> None:
        self.folder, self.expected, self.length, self.random, self.found = folder, expected, length, random, found
        self.output, self.preview = folder / f"dream{extension}", folder / f"so far{extension}"
        self.command = command(self.output, model, "--preview", str(self.preview))
        self._looked_at: dict[Path, tuple[int, int]] = {}  # (inode, time of the last change)

    def run(self, kills: int) -> int:
        """Run it until it finishes, and kill it at most this many times; returns the number of kills."""
        done = 0
        while not self._attempt(done < kills):
            done += 1
        if self.output.read_bytes() != self.expected:
            self._wrong("pictures that differ", self.output.name)
        left = {path.name for path in self.folder.iterdir()} - {self.output.name, self.preview.name, "tmp"}
        for name in [*left, *os.listdir(self.folder / "tmp")]:
            self._wrong("leftovers", name)
        return done

    def _attempt(self, kill: bool) -> bool:
        """Run the command once; returns whether it finished."""
        number, whom = self._choose() if kill else (signal.SIGKILL, "nobody")
        after, aimed = self.random.random() * self.length, self.random.random() < 0.4
        process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                   start_new_session=True, env=os.environ | {"TMPDIR": str(self.folder / "tmp")})
        while not listens(process.pid):  # while Python starts, a signal gives a traceback
            time.sleep(0.001)
        clock = Clock()
        sent: float | None = None
        before: list[tuple[str, int]] | None = None
        while process.poll() is None and clock.time() < (sent or self.length) + HANG:
            self._look()
            if kill and not sent and clock.time() >= after:
                now = sorted((entry.name, entry.inode()) for entry in os.scandir(self.folder))
                if not aimed or before not in (None, now):
                    whom = self._send(process, number, whom)
                    sent = clock.time()
                before = now
            time.sleep(0.0005 if aimed else 0.01)
        if process.poll() is None:
            self._wrong("hangs", f"{number} to {whom}")
        took = clock.time() - (sent or 0)
        clock = Clock()
        while (left := [pid for pid in alive(process.pid) if pid != process.pid]) and clock.time() < LATEST:
            time.sleep(0.01)  # the kernel needs time to free its memory
        for pid in left:
            self._wrong("orphans", str(pid))
        if left or process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        errors = process.communicate()[1]
        self._look()
        if "Traceback" in errors or not all(line.startswith("dreamify: ") for line in errors.splitlines()):
            self._wrong("tracebacks", errors)
        asked = sent and number != signal.SIGKILL
        if asked and took > LATEST:
            self._wrong("late ends", f"{took:.1f} s")
        good = {0, -signal.SIGKILL if whom != "child" else 1} if sent else {0}
        if process.returncode not in (good if not asked else {0, 128 + number}):
            self._wrong("exit codes", f"{process.returncode} after {number} to {whom}: {errors}")
        if sent:
            self.found[f"{signal.Signals(number).name} to the {whom}"] += 1
            self.found["saved" if asked and "dream so far" in errors else "kept" if "continue" in errors else ""] += 1
        return process.returncode == 0

    def _choose(self) -> tuple[signal.Signals, str]:
        """(signal, receivers)."""
        number = self.random.choices((signal.SIGKILL, signal.SIGTERM, signal.SIGINT), (4, 1, 1))[0]
        return number, self.random.choice(("command", "child", "group"))

    def _send(self, process: subprocess.Popen[str], number: signal.Signals, whom: str) -> str:
        """Send the signal; returns the real receivers, because there may be no child yet."""
        children = [pid for pid in alive(process.pid) if pid != process.pid]
        whom = whom if children or whom != "child" else "command"
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            if whom == "group":
                os.killpg(process.pid, number)
            else:
                os.kill(children[0] if whom == "child" else process.pid, number)
        return whom

    def _look(self) -> None:
        """Open the pictures that are new or have changed."""
        for path in (self.output, self.preview):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            seen = status.st_ino, status.st_mtime_ns
            if self._looked_at.get(path) == seen:
                continue
            self._looked_at[path] = seen
            try:
                data = path.read_bytes()
                (self.folder / "tmp" / path.name).write_bytes(data)
                reading.read(self.folder / "tmp" / path.name)
                unfinished = "unfinished" in read_recipe(self.folder / "tmp" / path.name)
            except Mistake as error:
                self._wrong("half-written files", error)
            else:
                if not unfinished and data != self.expected:
                    self._wrong("pictures that differ", f"{path.name} on the way")
                self.found["looked at"] += 1
            os.unlink(self.folder / "tmp" / path.name)

    def _wrong(self, what: str, words: object) -> None:
        self.found[what] += 1
        print(f"{what}: {words}", file=sys.stderr, flush=True)


WRONG = ("tracebacks", "hangs", "half-written files", "pictures that differ", "leftovers", "orphans", "late ends",
         "exit codes")


def command(output: Path, model: str, *more: str) -> list[str]:
    """The command line of the dream."""
    return [str(ROOT / "dreamify.py"), str(ROOT / "tests/pictures/sky.jpg"), str(output), *DREAM, "--model", model,
            *more]


def listens(pid: int) -> bool:
    """Whether the process handles SIGTERM, which Python alone does not do, or has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True
    caught = re.search(r"^SigCgt:\s*(\w+)", status, re.M)
    return not caught or bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def alive(group: int) -> list[int]:
    """The numbers of the processes in a process group that are not zombies."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            state, _, its_group = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            found.append(int(name))
    return found


def main(count: str = "200", seed: str = "0", model: str = "daydream") -> int:
    """Returns the exit code."""
    chance = random.Random(seed)
    found: collections.Counter[str] = collections.Counter()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        expected, lengths = {}, {}
        kills = dreams = 0
        while kills < int(count):
            extension = FORMATS[dreams % len(FORMATS)]
            if extension not in expected:
                output = Path(folder, f"whole{extension}")
                start = time.monotonic()
                subprocess.run(command(output, model, "--quiet"), check=True)
                expected[extension], lengths[extension] = output.read_bytes(), time.monotonic() - start
            place = Path(folder, str(dreams))
            (place / "tmp").mkdir(parents=True)
            trial = Trial(place, extension, expected[extension], lengths[extension], model, chance, found)
            kills += trial.run(int(count) - kills)
            dreams += 1
    print(f"{kills} kills of {dreams} dreams of {min(lengths.values()):.1f} s in {time.monotonic() - began:.0f} s "
          f"(seed {seed}): " + ", ".join(f"{name} {found[name]}" for name in WRONG))
    print("; ".join(f"{name} {found[name]}" for name in sorted(found) if name and name not in WRONG))
    return 1 if any(found[name] for name in WRONG) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
