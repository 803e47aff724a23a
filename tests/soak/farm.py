#!/usr/bin/python3
"""Breaks a farm at random moments while it dreams a folder, repeats the command until it ends, and checks the dreams.

    $ tests/soak/farm.py [COUNT [SEED [MODEL [WHAT]]]]    # default: 200, 0, daydream, folder

Each run breaks one thing: a worker, the command or the scheduler is killed (the command sometimes gets SIGINT), or each
connection through the scheduler's link is cut. What was killed is started again. In the end each dream must be there,
with the bytes of a dream on one machine, nothing else may lie beside the dreams, none may be written twice, and no
process of a killed worker may live on. In every second run the machines share the folder, so that each output has a
lease. Each violation is printed as a line, and the exit code is then 1.

If WHAT is giant, the command dreams one picture, and the workers compute its tiles: in every second run they hold the
picture between its steps, in the others its windows come from the command. (Picture and tiles are small.)"""

import collections
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = str(ROOT / "dreamify.py")
DREAM = ("inception_4c/output", "6", "3", "--seed", "1", "--max-size", "200")
GIANT = ("inception_3b/output", "6", "2", "--seed", "1", "--reproducible")
GIANTS = """
import sys
sys.path[:0] = [sys.argv[1]]
import dreamify
from dreamer import dispatch
from dreamer.nets import net
dispatch.GIANT, net.TILE = 100_000, 80_000
if sys.argv[2]:
    from dreamer.farm import engine
    engine.load()
    from dreamer.farm import stepping
    stepping.ENOUGH, stepping.SLOWER = {"held": (2.0, 1e9), "sent": (0.0, 0.0)}[sys.argv[2]]
sys.exit(dreamify.main(sys.argv[3:]))
"""  # dreamify, for which small pictures are giant ones
MARK = "FARM_SOAK"  # a variable of the environment of all processes of a farm
PICTURES, WORKERS = 5, 2
HANG, SOON = 240, 30  # seconds after which a command hangs; within which an orphan must end
WRONG = ("lost", "different", "written twice", "leftovers", "orphans", "hangs", "tracebacks", "exit codes")


class Relay:
    """The scheduler's link: passes on connections, and can cut them all.

    there  the port at which the scheduler listens"""

    def __init__(self, there: int) -> None:
        self._there, self._open = there, set[socket.socket]()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            near, _ = self._server.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self._there), 5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._open |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
        for each in (one, other):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            self._open.discard(each)
            each.close()

    def cut(self) -> None:
        """End all connections."""
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class Farm:
    """A scheduler behind a Relay, and workers. `folder`: for its keys and what it prints; all machines share it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._said = folder, os.open(folder / "said", os.O_WRONLY | os.O_CREAT)
        self.environment = os.environ | {"DREAMER_FARM_KEYS": str(folder / "keys"), MARK: str(folder)}
        subprocess.run([SCRIPT, "farm", "keys", str(folder / "keys")], check=True, stdout=subprocess.DEVNULL)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._relay = Relay(self._port)
        self.address = f"tls://127.0.0.1:{self._relay.port}"
        self.scheduler = self._scheduler()
        self._wait_for_scheduler()  # else the first command, which measures, may find none and end
        self.workers = [self._worker() for _ in range(WORKERS)]

    def _wait_for_scheduler(self) -> None:
        last = time.monotonic() + HANG
        while time.monotonic() < last:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 5):
                return
            time.sleep(0.1)
        raise TimeoutError(f"the scheduler does not listen: {(self._folder / 'said').read_text()}")

    def _start(self, *words: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([SCRIPT, "farm", *words], env=self.environment, stdout=self._said, stderr=self._said)

    def _scheduler(self) -> "subprocess.Popen[bytes]":
        return self._start("scheduler", "--port", str(self._port))

    def _worker(self) -> "subprocess.Popen[bytes]":
        return self._start("worker", self.address, "--threads", "1", "--folder", str(self._folder))

    def break_one(self, chance: random.Random, command: "subprocess.Popen[str]") -> str:
        """Break something; returns what."""
        what = chance.choice(("worker", "command", "scheduler", "link"))
        if what == "worker":
            number = chance.randrange(WORKERS)
            kill(self.workers[number])
            self.workers[number] = self._worker()
        elif what == "scheduler":
            kill(self.scheduler)
            self.scheduler = self._scheduler()
        elif what == "link":
            self._relay.cut()
        else:
            command.send_signal(chance.choice((signal.SIGKILL, signal.SIGINT)))
        return what

    def mend(self) -> None:
        """Start what has ended: a worker ends if a scheduler says that it knows it already, for example."""
        if self.scheduler.poll() is not None:
            self.scheduler = self._scheduler()
        self.workers = [worker if worker.poll() is None else self._worker() for worker in self.workers]

    def orphans(self) -> set[int]:
        """Processes of the farm whose worker or command is gone."""
        found = set()
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                ours = f"{MARK}={self._folder}".encode() in Path(f"/proc/{name}/environ").read_bytes().split(b"\0")
                if ours and Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1] == "1":
                    found.add(int(name))
        return found

    def end(self) -> None:
        """Kill everything."""
        for process in (*self.workers, self.scheduler):
            kill(process)
        os.close(self._said)


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process, and wait for its end."""
    process.kill()
    process.wait()


class Trial:
    """A folder of pictures that is dreamed by a farm that breaks once.

    expected  {name of a dream: its bytes}; length: seconds of an undisturbed run
    shared    the folder that all machines share in this run, or None"""

    def __init__(self, farm: Farm, words: list[str], target: Path, expected: dict[str, bytes], length: float,
                 chance: random.Random, found: collections.Counter[str], shared: Path | None) -> None:
        self._farm, self._target, self._expected = farm, target, expected
        self._environment = farm.environment | {"DREAMER_FARM_FOLDER": str(shared or "")}
        self._words, self._length, self._chance, self._found = words, length, chance, found

    def run(self) -> None:
        """Dream until all is done."""
        broke = False
        while True:
            before, code = self._there(), self._attempt(not broke)
            broke = True
            now = self._there()
            for name in (name for name in before if now.get(name) != before[name]):
                self._wrong("written twice", name)
            if code == 0:
                break
            self._farm.mend()
        last = time.monotonic() + SOON
        while any(self._target.glob(".*")) and time.monotonic() < last:  # a worker that was stopped ends soon
            time.sleep(0.2)
        made = {path.name: path.read_bytes() for path in self._target.iterdir()}
        for name, data in self._expected.items():
            if made.get(name) != data:
                self._wrong("different" if name in made else "lost", name)
        for name in made.keys() - self._expected.keys():
            self._wrong("leftovers", name)
        last = time.monotonic() + SOON
        while (left := self._farm.orphans()) and time.monotonic() < last:
            time.sleep(0.2)
        for pid in left:
            self._wrong("orphans", str(pid))
            os.kill(pid, signal.SIGKILL)

    def _there(self) -> dict[str, int]:
        """{dream: its inode}"""
        return {path.name: path.stat().st_ino for path in self._target.glob("*") if path.name in self._expected}

    def _attempt(self, breaks: bool) -> int:
        """Run the command once; returns its exit code."""
        command = subprocess.Popen([*self._words, "--farm", self._farm.address], env=self._environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        what = ""
        if breaks:
            with contextlib.suppress(subprocess.TimeoutExpired):
                command.wait(self._chance.random() * self._length)
            what = self._farm.break_one(self._chance, command)
            self._found[f"{what} broken"] += 1
        try:
            errors = command.communicate(timeout=HANG)[1]
        except subprocess.TimeoutExpired:
            command.kill()
            errors = command.communicate()[1]
            self._wrong("hangs", f"after {what or 'nothing'}: {errors}")
        if "Traceback" in errors:
            self._wrong("tracebacks", errors)
        said = "run the same command" in errors or "no scheduler of a farm answers" in errors  # it starts
        if command.returncode and not what and not said:
            self._wrong("exit codes", f"{command.returncode}: {errors}")
        return command.returncode

    def _wrong(self, what: str, words: object) -> None:
        self._found[what] += 1
        print(f"{what}: {words}", file=sys.stderr, flush=True)


class Giant(Trial):
    """A Trial of one picture. A stopped command writes it as it is then, and a later one writes it again."""

    def _there(self) -> dict[str, int]:
        return {}


class Work:
    """What is dreamed in a folder.

    expected  {name of a dream: its bytes}, from this machine alone"""

    def __init__(self, folder: Path, model: str, giant: bool) -> None:
        self._folder, self._model, self._giant = folder, model, giant
        (folder / "photos").mkdir()
        with Image.open(ROOT / "tests/pictures/sky.jpg") as sky:
            for number in range(PICTURES):
                sky.crop((10 * number, 0, 200 + 10 * number, 150)).save(folder / f"photos/{number}.png")
        subprocess.run([*self.words("alone", 0, ""), "--quiet"], check=True)
        self.expected = {path.name: path.read_bytes() for path in (folder / "alone").iterdir()}

    def words(self, target: str, number: int, way: str | None = None) -> list[str]:
        """The command of that run, into a new folder. `way`: see GIANTS."""
        if not self._giant:
            return [SCRIPT, str(self._folder / "photos"), str(self._folder / target), *DREAM, "--model", self._model]
        (self._folder / target).mkdir()
        way = ("sent", "held")[number % 2] if way is None else way
        return [sys.executable, "-c", GIANTS, str(ROOT), way, "noise:900x600", str(self._folder / target / "dream.png"),
                *GIANT, "--model", self._model]

    def trial(self, number: int, farm: Farm, length: float, chance: random.Random,
              found: collections.Counter[str]) -> Trial:
        """That run."""
        target, shared = str(number), self._folder if number % 2 and not self._giant else None
        return (Giant if self._giant else Trial)(farm, self.words(target, number), self._folder / target, self.expected,
                                                 length, chance, found, shared)


def main(count: str = "200", seed: str = "0", model: str = "daydream", what: str = "folder") -> int:
    """Returns the exit code."""
    chance, found, began = random.Random(seed), collections.Counter[str](), time.monotonic()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        work = Work(Path(name), model, what == "giant")
        farm = Farm(Path(name))
        stack.callback(farm.end)
        start = time.monotonic()
        subprocess.run([*work.words("first", 1), "--farm", farm.address], check=True, env=farm.environment,
                       stdout=subprocess.DEVNULL)
        length = time.monotonic() - start
        for number in range(int(count)):
            work.trial(number, farm, length, chance, found).run()
    print(f"{count} runs of a {what}, {length:.1f} s each, in {time.monotonic() - began:.0f} s (seed {seed}): "
          + ", ".join(f"{name} {found[name]}" for name in WRONG))
    print("; ".join(f"{name} {found[name]}" for name in sorted(found) if name not in WRONG))
    return 1 if any(found[name] for name in WRONG) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
