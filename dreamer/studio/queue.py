"""The queue: the list of jobs, in a file, and the dreams that run. It belongs to the server, not to a page: closing a
page changes nothing, and after a crash what was dreaming goes on."""

import asyncio
import contextlib
import dataclasses
import hashlib
import json
import os
import random
import shutil
import stat
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dreamer.errors import Failure, Mistake, Wrong, counted
from dreamer.jobs import checkpoint
from dreamer.machine import files, limits
from dreamer.machine.child import PATIENCE, Child, End
from dreamer.nets import model
from dreamer.options.values import NONE
from dreamer.pictures import nothing
from dreamer.studio import form, naming
from dreamer.studio.entry import DONE, DREAMING, FAILED, RUNNING, STOPPED, STOPPING, TRIES, WAITING, Entry, read

VERSION = 1  # of the file
FULL, KEPT, TRIED = 100, 50, 20  # at most so many jobs wait; so many that have ended, and folders of tries, are kept
FLOOR = 200 << 20  # bytes that must be free on the disk
FARMED = 8  # dreams at once on a farm: each takes 100 MB here, and more for a moment as it begins
COMING = 40.0  # seconds that a stopped dream has to come back from a farm
LOOK = 5.0  # seconds between two looks whether the disk has room again
_LARGEST = 32 << 20  # bytes of the file
_PATIENCE = 30.0  # seconds that it may take to read a recipe


class Queue:
    """The jobs of the studio in `folder`. All methods are called in the loop's thread.

    program  path of dreamify.py
    jobs     number of dreams that run at once; they share the threads. None: 1, or as many as the farm has places
    changed  called after each change
    told     function that returns the command line for the members of a request
    learned  called with what page and events say of a dream that is done here: (Entry.shown(), Entry.figures())
    farm     address of the farm that dreams; None: this machine does"""

    def __init__(self, folder: Path, program: str, jobs: int | None, changed: Callable[[], None],
                 told: Callable[[dict[str, Any]], str] = lambda request: "",
                 learned: Callable[[dict[str, Any], dict[str, Any]], None] = lambda shown, figures: None,
                 farm: str | None = None) -> None:
        self.folder, self._program, self._jobs, self._changed = Path(folder), program, jobs, changed
        self._told, self._learned, self._farm, self._places = told, learned, farm, 1
        self._path = self.folder / ".studio/queue.json"
        self._next = 1
        self._entries: list[Entry] = []  # in the order in which they run
        self._children: dict[int, Child] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake, self._closing = asyncio.Event(), False
        self._warnings: dict[str, str] = {}  # {subject: line}
        for name in "previews", "tries":
            (self.folder / ".studio" / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._load()

    # what the page asks for

    def state(self) -> list[dict[str, Any]]:
        """The jobs as data for JSON: those that run, those that wait in their order, and those that have ended, the
        latest first."""
        ended = sorted((each for each in self._entries if each.state not in (*RUNNING, WAITING)),
                       key=lambda each: each.ended or 0, reverse=True)
        full = [self._warnings["disk"]] if "disk" in self._warnings else []
        return [*(each.shown() for each in self._entries if each.state in RUNNING),
                *(each.shown() | {"lines": [*full, *each.lines]} for each in self._waiting()),
                *(each.shown() for each in ended)]

    def warnings(self) -> list[str]:
        """Lines on what is wrong with the queue itself."""
        return list(self._warnings.values())

    def reserved(self) -> set[str]:
        """Names that files in the folder will get; nobody else may take them."""
        return {each.output for each in self._entries if each.state != DONE and each.kind != "try"}

    def shares(self) -> dict[str, int]:
        """Members of each request, so that all dreams together take no more threads than there are."""
        jobs = self._jobs if self._jobs and not self._farm else 1
        return {"threads": max(1, limits.threads() // jobs)} if jobs > 1 else {}

    def needs(self, name: str) -> bool:
        """Whether a dream that runs or waits reads the file of this name."""
        return any(each.state in (*RUNNING, WAITING) and name in (each.photo, each.form.get("guide"))
                   for each in self._entries)

    def room(self) -> int:
        """Bytes that are free on the disk. Raises Failure if they are too few for a dream."""
        there = os.statvfs(self.folder)
        free = there.f_bavail * there.f_frsize
        if there.f_blocks and free < FLOOR:
            raise Failure(f"the disk is full: only {limits.told(free)} are free, and the studio leaves "
                          f"{limits.told(FLOOR)}; delete something")
        return free

    def add(self, asked: Mapping[str, Any], photos: Sequence[str]) -> list[int]:
        """Add a job for each of the photos; returns their numbers. Raises Mistake; Failure if the queue or the disk is
        full. Then nothing is added."""
        if not isinstance(asked, Mapping) or isinstance(photos, str) or not isinstance(photos, Sequence):
            raise Mistake("form: it must be an object with photos")
        if not photos:
            raise Mistake("photo: choose a photo")
        self._check_room(len(photos))
        wrong, made = Wrong(), list[Entry]()
        common = {name: value for name, value in asked.items() if name not in ("photo", "photos")}
        for photo in photos:
            with wrong.noted():
                made.append(self._made(common | {"photo": photo}, [each.output for each in made]))
        if wrong:
            raise Mistake(*dict.fromkeys(wrong))
        numbers = []
        for entry in made:
            if same := next((each for each in self._entries if entry.key and each.key == entry.key
                             and each.state in (*RUNNING, WAITING)), None):
                numbers.append(same.id)  # these layers are tried already
                continue
            entry.id, self._next = self._next, self._next + 1
            self._entries.append(entry)
            numbers.append(entry.id)
        self._note()
        return numbers

    def act(self, number: int, verb: str, value: Any = None) -> None:
        """Do something with the job of that number: stop, go, remove, move (value: its place among those that wait) or
        again (with another seed). Raises Mistake if that means nothing now, and Failure as `add` does."""
        entry = next((each for each in self._entries if each.id == number), None)
        if entry is None:
            raise Mistake(f"there is no job {number}")
        verbs: dict[str, tuple[tuple[str, ...], Callable[[Entry, Any], None]]] = {
            "stop": ((DREAMING, WAITING), self._stop), "go": ((STOPPED, FAILED), self._go),
            "remove": ((WAITING, STOPPED, FAILED, DONE), self._remove), "move": ((WAITING,), self._move),
            "again": ((*RUNNING, WAITING, STOPPED, FAILED, DONE), self._again)}
        if verb not in verbs:
            raise Mistake(f"a job cannot {verb!r:.40}")
        states, do = verbs[verb]
        if entry.state not in states:
            raise Mistake(f"{entry.photo}: this job is {entry.state}, so it cannot {verb}")
        do(entry, value)
        self._note()

    def _stop(self, entry: Entry, _: Any) -> None:
        if entry.state == WAITING:
            entry.state, entry.ended = STOPPED, time.time()
            return
        entry.state = STOPPING
        if entry.id in self._children:
            self._children[entry.id].stop()

    def _go(self, entry: Entry, _: Any) -> None:
        self._check_room(1)
        entry.state, entry.error, entry.ended = WAITING, "", None
        self._entries.remove(entry)
        self._entries.append(entry)

    def _move(self, entry: Entry, value: Any) -> None:
        if type(value) is not int:
            raise Mistake("move: name the place as a number")
        rest = [each for each in self._waiting() if each is not entry]
        rest.insert(max(0, min(value, len(rest))), entry)
        self._entries = [each for each in self._entries if each.state != WAITING] + rest

    def _again(self, entry: Entry, _: Any) -> None:
        if entry.kind == "try":
            raise Mistake("a try has no seed")
        self.add({name: value for name, value in entry.form.items() if name != "seed"} | {"model": entry.model},
                 [entry.photo])

    def _remove(self, entry: Entry, _: Any) -> None:
        """Take the job off the list. The dream so far stays, but can no longer go on."""
        self._entries.remove(entry)
        with contextlib.suppress(OSError):
            self._preview(entry).unlink(missing_ok=True)
            output = self.folder / entry.output
            if entry.began and entry.state != DONE and entry.kind != "try" and not output.is_symlink():
                checkpoint.beside(output, "dreaming").unlink(missing_ok=True)
                shutil.rmtree(checkpoint.beside(output, "film"), ignore_errors=True)

    def _check_room(self, more: int) -> None:
        """Raise Failure unless `more` jobs can be added."""
        waiting = len(self._waiting())
        if waiting + more > FULL:
            raise Failure(f"the queue is full: {counted(waiting, 'dream')} wait, and {FULL} may; remove some, or wait")
        self.room()

    def _made(self, asked: Mapping[str, Any], taken: Sequence[str]) -> Entry:
        """The entry for a form with one photo. Raises Mistake."""
        found = form.checked(asked)
        photo = found.pop("photo", None)
        if photo is None:
            raise Mistake("photo: choose a photo")
        version: tuple[object, ...] = ()  # nothing is always the same
        if not nothing.named(photo, self.folder):
            with naming.opened(self.folder, photo) as file:
                version = os.fstat(file.fileno()).st_size, os.fstat(file.fileno()).st_mtime_ns
        chosen, warning = (model.find(found["model"]), None) if "model" in found else model.default()
        trying = found.get("kind") == "try"
        key = hashlib.sha256("\0".join(map(str, (photo, *version, chosen.name,
                                                 found.get("seed", 0)))).encode()).hexdigest()[:20] if trying else ""
        output = f"{TRIES}/{key}/" if trying else naming.dream_name(
            self.folder, photo, form.extension(found | {"photo": photo}), {*self.reserved(), *taken})
        entry = Entry(
            id=0, kind="try" if trying else "film" if form.film(found | {"photo": photo}) else "dream", photo=photo,
            output=output, form=found, model=chosen.name, layer=found.get("layer", ""), asked=time.time(), key=key,
            seed=found.get("seed", 0 if trying else random.randrange(2 ** 32)), lines=[warning] if warning else [])
        request = form.request_of(entry.asks(), self.folder, output)
        entry.command = "" if trying else self._told(request)
        return entry

    # the dreams

    async def run(self) -> None:
        """Dream until this is cancelled; then stop what is dreaming."""
        self._closing = False
        try:
            while True:
                self._start()
                again = asyncio.get_running_loop().call_later(LOOK, self._wake.set)
                await self._wake.wait()  # wait_for may lose a cancellation that comes with the event
                again.cancel()
                self._wake.clear()
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop the dreams, which are saved, and keep the list: they go on at the next start."""
        self._closing = True
        for child in self._children.values():
            child.stop()
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._save()

    def _start(self) -> None:
        """Start as many jobs as may run at once."""
        if not self._waiting():
            self._warnings.pop("disk", None)
        while not self._closing and len(self._tasks) < (self._jobs or self._places) and (waiting := self._waiting()):
            try:
                self.room()
            except Failure as error:
                if self._warnings.get("disk") != str(error):
                    self._warnings["disk"] = str(error)
                    self._changed()
                return
            self._warnings.pop("disk", None)
            waiting[0].begin()
            task = asyncio.get_running_loop().create_task(self._dream(waiting[0]))
            self._tasks.add(task)
            task.add_done_callback(self._leave)
            self._note()

    def _leave(self, task: "asyncio.Task[None]") -> None:
        """The dream's place is free, only now: the next one begins at once."""
        self._tasks.discard(task)
        self._wake.set()

    async def _dream(self, entry: Entry) -> None:
        """Carry out the job."""
        end = End(STOPPED)
        try:
            self._request(entry)  # raises Mistake
            await self._place(entry)
            request = self._request(entry)
            if entry.state == DREAMING and not self._closing:
                child = self._children[entry.id] = Child(self._program, self.folder, request,
                                                         lambda event: self._hear(entry, event),
                                                         COMING if self._farm else PATIENCE)
                end = await child.run()
        except (Mistake, Failure) as error:
            end = End(FAILED, lines=error.args)
        except OSError as error:
            end = End(FAILED, lines=(f"the dream cannot be started: {error.strerror}",))
        except Exception as error:  # an unforeseen one: the others go on
            end = End(FAILED, lines=(f"{type(error).__name__}: {error}",))
        self._children.pop(entry.id, None)
        figures = entry.figures()
        if self._closing and end.state == STOPPED and entry.state == DREAMING:
            entry.end(WAITING, saved=end.saved)
            self._entries.remove(entry)
            self._entries.insert(0, entry)
        else:
            entry.end(end.state, end.lines, end.saved)
        if end.state == DONE:
            entry.preview = 0
            self._preview(entry).unlink(missing_ok=True)
            if entry.kind == "try":
                entry.tried = len(list((self.folder / entry.output).glob("*.png")))
            elif figures and not self._farm:
                self._learned(entry.shown(), figures)
        self._trim()
        self._note()

    def _hear(self, entry: Entry, event: dict[str, Any]) -> None:
        entry.hear(event)
        if event["event"] == "farmed":
            self._places = max(1, min(FARMED, event["places"]))
            self._wake.set()
        self._changed()

    def _request(self, entry: Entry) -> dict[str, Any]:
        request = form.request_of(entry.asks(), self.folder, entry.output) | {"farm": self._farm or NONE}
        if entry.kind != "try":
            request["preview"] = f"./{os.path.relpath(self._preview(entry), self.folder)}"
        return request | self.shares()

    def _preview(self, entry: Entry) -> Path:
        return self.folder / f".studio/previews/{entry.id}.jpg"

    async def _place(self, entry: Entry) -> None:
        """Give the job another name for its dream if something else stands there by now."""
        if entry.kind == "try":
            self._sweep(entry.key)
            return
        try:
            there = os.lstat(self.folder / entry.output)
        except FileNotFoundError:
            return
        if not stat.S_ISREG(there.st_mode) or not self._is_own(entry, await self._recipe(entry.output)):
            entry.output = naming.dream_name(self.folder, entry.photo, form.extension(entry.asks()), self.reserved())
            entry.command = self._told(form.request_of(entry.asks(), self.folder, entry.output))

    def _is_own(self, entry: Entry, recipe: dict[str, Any]) -> bool:
        """Whether a file with that recipe is this job's dream: so far, or whole (the studio was killed as it ended)."""
        return recipe.get("seed") == entry.seed and recipe.get("model") == entry.model and (
            "unfinished" in recipe or entry.again)

    async def _recipe(self, name: str) -> dict[str, Any]:
        """The recipe of a file, read in another process; {} if it has none."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, self._program, "recipe", f"./{name}", cwd=self.folder, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL)
        try:
            said, _ = await asyncio.wait_for(process.communicate(), _PATIENCE)
            found = json.loads(said)
        except (asyncio.TimeoutError, ValueError, RecursionError):
            return {}
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return found if isinstance(found, dict) else {}

    def _sweep(self, key: str) -> None:
        """Delete the oldest folders of tries, so that few are kept; not that of `key`."""
        needed = {key, *(each.key for each in self._entries if each.state != DONE)}
        with contextlib.suppress(OSError):
            old = sorted((path for path in (self.folder / TRIES).iterdir() if path.name not in needed),
                         key=lambda path: path.stat().st_mtime, reverse=True)
            for path in old[TRIED:]:
                shutil.rmtree(path, ignore_errors=True)

    # the list and its file

    def _waiting(self) -> list[Entry]:
        return [each for each in self._entries if each.state == WAITING]

    def _trim(self) -> None:
        """Keep only the latest of the jobs that have ended; those that can go on are kept longer."""
        ended = sorted((each for each in self._entries if each.state in (DONE, FAILED, STOPPED)),
                       key=lambda each: (each.state == STOPPED, each.ended or 0))
        for entry in ended[:max(0, len(ended) - KEPT)]:
            self._remove(entry, None)

    def _note(self) -> None:
        """After a change of the list or of a state."""
        self._save()
        self._wake.set()
        self._changed()

    def _save(self) -> None:
        kept = {"version": VERSION, "next": self._next, "jobs": [dataclasses.asdict(each) for each in self._entries]}
        try:
            with files.replacing(self._path) as file:
                file.write(json.dumps(kept, indent=1).encode())
            self._warnings.pop("file", None)
        except OSError as error:
            self._warnings["file"] = f"the queue cannot be saved: {error.strerror}"

    def _load(self) -> None:
        """Read the file. What was dreaming waits again, in front. A file that is not ours is moved aside."""
        try:
            with open(self._path, "rb") as file:
                kept = json.loads(file.read(_LARGEST))
            if not isinstance(kept, dict) or kept.get("version") != VERSION or type(kept["next"]) is not int:
                raise ValueError("it is not a queue of this version")
            found = [read(each) for each in kept["jobs"]]
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError, RecursionError, Mistake):
            aside = self._path.with_name("queue.json.damaged")
            with contextlib.suppress(OSError):
                os.replace(self._path, aside)
            self._warnings["damaged"] = f"the list of dreams was damaged, and is now .studio/{aside.name}"
            return
        running = [each for each in found if each.state in RUNNING]
        for entry in running:
            entry.state, entry.left, entry.counting = WAITING, None, None
        self._entries = running + [each for each in found if each not in running]
        self._next = max([kept["next"], *(each.id + 1 for each in found)])
