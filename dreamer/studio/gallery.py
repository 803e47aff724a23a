"""The pictures in the studio's folder, newest first. There is no database: the folder is looked at again and again,
because files also come and go by other means, and on shared folders the kernel does not tell."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from dreamer.errors import Failure, Mistake
from dreamer.studio import naming, seen
from dreamer.studio.seen import Seen
from dreamer.studio.trash import Trash
from dreamer.studio.viewer import Like, Viewer, like

LOOK = 1.0  # seconds between two looks at the folder's time of change
AGAIN = 10.0  # seconds after which its files are looked at in any case: one may have grown
RECENT = 10.0  # seconds: if the newest file is not older, its copying may not be finished, so all are looked at
MOST = 120  # items of a page
WAIT = 0.5  # seconds for which a page waits for details
SOON = 0.3  # seconds for which details are gathered before pages are told
_BATCH = 200  # files whose details are read from the disk at once
_REST = 0.2  # seconds to wait while somebody asks for something
_KINDS: dict[str, tuple[str, ...]] = {  # filter -> kinds of files
    "all": (), "dreams": ("dream", "film", "sheet"), "photos": ("photo",), "films": ("film", "video")}


class Known(NamedTuple):
    """What a page shows of a file, as it was when it was like this."""

    like: Like
    kind: str
    width: int
    height: int
    type: str
    words: str
    recipe: bool


class Gallery:
    """The folder.

    folder   its path
    viewer   looks into the files
    changed  called when `version` has grown
    version  grows when anything changes that a page shows
    odd      the number of files that are left out because of their names"""

    def __init__(self, folder: Path, viewer: Viewer, changed: Callable[[], None]) -> None:
        self._folder, self._viewer, self._changed = folder, viewer, changed
        self._trash = Trash(folder / ".studio" / "trash")
        self.version, self.odd = 0, 0
        self._files: dict[str, Like] | None = None  # None before the first look
        self._names: list[str] = []  # in order
        self._known: dict[str, Known] = {}
        self._good: dict[str, bool | None] = {}  # whether a name may be shown; None if it is no picture's
        self._asked = 0  # pages that are being made
        self._own = 0  # changes that this studio made itself
        self._soon = False  # whether the version is about to grow
        self._time = -1  # the folder's, before the last look at all files
        self._looked = 0.0
        self._looking = asyncio.Lock()
        self._wake, self._more = asyncio.Event(), asyncio.Event()
        viewer.learned = self._learn

    async def run(self) -> None:
        """Watch the folder, and find out what its files are, until cancelled."""
        await asyncio.get_running_loop().run_in_executor(None, self._trash.sweep)
        finding = asyncio.ensure_future(self._find_out())
        try:
            while True:
                await self._look_if_changed()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), LOOK)
                self._wake.clear()
                if finding.done():
                    finding.result()  # raises what ended it
        finally:
            finding.cancel()

    def notice(self) -> None:
        """Look at the folder soon: something in it has changed."""
        self._looked = 0.0
        self._wake.set()

    async def look(self) -> None:
        """Look at all files in the folder."""
        async with self._looking:
            own = -1
            while own != self._own:  # a change of our own during the look may be missing from it
                own, self._looked = self._own, time.monotonic()
                found = await asyncio.get_running_loop().run_in_executor(None, self._scan)
            if not found:
                return
            self._time, files, names, self.odd = found
            if files != self._files:
                self._files, self._names = files, names
                self._known = {name: known for name, known in self._known.items() if name in files}
                self._more.set()
                self._grow()

    async def page(self, start: int, count: int, kind: str, search: str) -> dict[str, Any]:
        """A part of the gallery, as data for JSON: {version, total, odd, unknown, items}.

        start, count  which part; at most MOST items
        kind          "all", "dreams" (films too), "photos" or "films" (videos too)
        search        what is in the name or the words of each item; "" for all

        unknown: the number of files whose kind is not known yet, so that they are in no part but "all"; `version` grows
        when it is. Raises Mistake."""
        if kind not in _KINDS:
            raise Mistake(f"kind: one of {', '.join(_KINDS)}, not {kind!r}")
        if self._files is None:
            await self.look()
        start, end = max(0, start), max(0, start) + max(0, min(count, MOST))
        self._asked += 1
        try:
            await self._know(self._chosen(kind, search)[start:end])
        finally:
            self._asked -= 1
        names, files = self._chosen(kind, search), self._files or {}  # again: they may have changed meanwhile
        return {"version": self.version, "total": len(names), "odd": self.odd,
                "unknown": len(self._names) - len(self._known),
                "items": [self._item(name, files[name]) for name in names[start:end]]}

    def find(self, name: str) -> Path:
        """The path of a file of the gallery. Raises Mistake if there is none of that name."""
        naming.check(name)
        if naming.kind(name) is None:
            raise Mistake(f"there is no picture {name}")
        path = self._folder / name
        like(path)
        return path

    def delete(self, name: str) -> str:
        """Move a file to the trash; returns the id for `restore`. Raises Mistake or Failure."""
        number = self._trash.take(self.find(name))
        self._forget(name)
        return number

    def restore(self, number: str, taken: Collection[str] = ()) -> str:
        """Move a file back from the trash; returns its name, which is new if the old one is taken, or in `taken`.
        Raises Mistake or Failure."""
        name = self._trash.give_back(number, self._folder, taken)
        self._add(name)
        return name

    def rename(self, name: str, to: str) -> None:
        """Give a file another name with the same extension. Raises Mistake if that name is taken, Failure if it is not
        possible."""
        path = self.find(name)
        naming.check(to)
        extension = os.path.splitext(name)[1]
        if os.path.splitext(to)[1].lower() != extension.lower():
            raise Mistake(f"{to}: the name must end with {extension}, as before")
        try:
            naming.move(path, self._folder / to)
        except FileExistsError:
            raise Mistake(f"there is already a file {to}; choose another name") from None
        except FileNotFoundError:
            raise Mistake(f"there is no file {name}") from None
        except OSError as error:
            raise Failure(f"{name} cannot be renamed: {error.strerror}") from None
        self._forget(name)
        self._add(to)

    # the folder ------------------------------------------------------------------------------------------

    async def _look_if_changed(self) -> None:
        try:
            now = (await asyncio.get_running_loop().run_in_executor(None, os.stat, self._folder)).st_mtime_ns
        except OSError:  # a shared folder may come back
            return
        newest = self._files[self._names[0]].changed / 1e9 if self._files else 0.0
        if now != self._time or time.monotonic() > self._looked + AGAIN or abs(time.time() - newest) < RECENT:
            await self.look()

    def _scan(self) -> tuple[int, dict[str, Like], list[str], int] | None:
        """(time of the folder, {name: Like}, the names in order, number of files with odd names); None if the folder
        cannot be read."""
        files, good, odd = dict[str, Like](), dict[str, bool | None](), 0
        try:
            before = os.stat(self._folder).st_mtime_ns
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    name = entry.name
                    good[name] = known = self._good[name] if name in self._good else _is_good(name)
                    if known is None:
                        continue
                    with contextlib.suppress(OSError):  # it is gone
                        if not entry.is_file(follow_symlinks=False):
                            continue
                        if known:
                            status = entry.stat(follow_symlinks=False)
                            files[name] = Like(status.st_size, status.st_mtime_ns)
                        odd += not known
        except OSError:
            return None
        self._good = good
        return before, files, _in_order(files), odd

    def _forget(self, name: str) -> None:
        """Leave a file out that this studio has removed."""
        self._own += 1
        self._known.pop(name, None)
        if self._files and name in self._files:
            self._files = {other: now for other, now in self._files.items() if other != name}
            self._names = [other for other in self._names if other != name]
        self._grow()

    def _add(self, name: str) -> None:
        """Show a file that this studio has moved into the folder."""
        self._own += 1
        if self._files is not None and naming.kind(name):
            with contextlib.suppress(Mistake):
                self._files = self._files | {name: like(self._folder / name)}
                self._names = _in_order(self._files)
        self._more.set()
        self._grow()

    def _grow(self) -> None:
        self.version += 1
        self._changed()

    def _grow_soon(self) -> None:
        """Let the version grow once for all that is found out in the next SOON seconds."""
        if not self._soon:
            self._soon = True
            asyncio.get_running_loop().call_later(SOON, self._grow_now)

    def _grow_now(self) -> None:
        self._soon = False
        self._grow()

    # its files -------------------------------------------------------------------------------------------

    def _chosen(self, kind: str, search: str) -> list[str]:
        """The names of the files of this kind that match, in order."""
        kinds, wanted = _KINDS[kind], search.casefold()
        names = self._names
        if kinds:
            names = [name for name in names if name in self._known and self._known[name].kind in kinds]
        if wanted:
            names = [name for name in names if wanted in name.casefold()
                     or (name in self._known and wanted in self._known[name].words.casefold())]
        return names

    def _item(self, name: str, now: Like) -> dict[str, Any]:
        """A file as a page shows it."""
        known = self._known.get(name)
        if known is None or known.like != now:
            known = Known(now, "unknown", 0, 0, seen.UNKNOWN, name, False)
        return {"name": name, "version": f"{now.changed:x}-{now.size:x}", "kind": known.kind, "width": known.width,
                "height": known.height, "bytes": now.size, "time": now.changed / 1e9, "words": known.words,
                "type": known.type, "recipe": known.recipe}

    def _learn(self, path: Path, now: Like, found: Seen) -> None:
        """Take note of what the viewer found out."""
        if self._note(path.name, now, found):
            self._grow_soon()

    def _note(self, name: str, now: Like, found: Seen) -> bool:
        """Remember it; returns whether that was new."""
        known = Known(now, found.kind, found.width, found.height, found.type, found.words, found.recipe is not None)
        if not self._files or self._files.get(name) != now or self._known.get(name) == known:
            return False
        self._known[name] = known
        return True

    def _unknown(self, names: Iterable[str]) -> list[str]:
        """Those of the names whose files are not known as they are now."""
        files = self._files or {}
        return [name for name in names if name in files
                and (name not in self._known or self._known[name].like != files[name])]

    async def _know(self, names: list[str]) -> None:
        """Find out about these files: what can be found out soon, and the rest while others do something else."""
        if unknown := self._unknown(names):
            await self._recall(unknown)
        if unknown := self._unknown(unknown):
            await asyncio.wait([asyncio.ensure_future(self._try(name)) for name in reversed(unknown)], timeout=WAIT)

    async def _recall(self, names: list[str]) -> None:
        """Read what is kept on the disk about these files."""
        files = self._files or {}

        def read() -> list[tuple[str, Like, Seen | None]]:
            return [(name, files[name], self._viewer.known(name, files[name])) for name in names if name in files]
        found = await asyncio.get_running_loop().run_in_executor(None, read)
        if [name for name, now, what in found if what and self._note(name, now, what)]:
            self._grow_soon()

    async def _try(self, name: str, patient: bool = False) -> None:
        """Look into a file, if it is still there."""
        with contextlib.suppress(Mistake, Failure):
            await self._viewer.look(self._folder / name, patient)

    async def _rest(self) -> None:
        """Wait while somebody waits for a page or a picture."""
        while self._asked or self._viewer.busy:
            await asyncio.sleep(_REST)

    async def _find_out(self) -> None:
        """Find out about all files, while nobody asks for anything else."""
        tried: dict[str, Like] = {}  # also those about which nothing could be found out
        while True:
            files = self._files or {}
            unknown = [name for name in self._unknown(self._names) if tried.get(name) != files[name]]
            if not unknown:
                self._more.clear()
                await self._more.wait()
                continue
            for start in range(0, len(unknown), _BATCH):
                await self._rest()
                await self._recall(unknown[start:start + _BATCH])
            for name in self._unknown(unknown)[:_BATCH]:
                await self._rest()
                if name in files:
                    tried[name] = files[name]
                    await self._try(name, True)


def _is_good(name: str) -> bool | None:
    """Whether a file of that name can be shown, and found again by it; None if it is hidden or no picture."""
    if name.startswith(".") or naming.kind(name) is None:
        return None
    try:
        name.encode("utf-8")
        naming.check(name)
    except (Mistake, UnicodeError):
        return False
    return True


def _in_order(files: dict[str, Like]) -> list[str]:
    """The names, those of the newest files first."""
    return sorted(files, key=lambda name: (-files[name].changed, name))
