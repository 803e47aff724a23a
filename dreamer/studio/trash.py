"""Files that were deleted in the studio, each in a hidden folder of its own, until they are too old."""

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Collection
from pathlib import Path

from dreamer.errors import Failure, Mistake
from dreamer.studio import naming

DAYS = 30  # for which a deleted file is kept
_ID = re.compile(r"[0-9a-f]{16}")

class Trash:
    """The trash of a studio. `folder` is made when it is needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, path: Path) -> str:
        """Move a file here; returns its id. Raises Mistake if it is gone, Failure if that is not possible."""
        number = secrets.token_hex(8)
        place = self._folder / number
        try:
            for folder in (self._folder.parent, self._folder, place):  # not that of the photos, if it is gone
                folder.mkdir(mode=0o700, exist_ok=True)
            os.rename(path, place / path.name)
        except OSError as error:
            with contextlib.suppress(OSError):
                place.rmdir()
            if isinstance(error, FileNotFoundError):
                raise Mistake(f"there is no file {path.name}") from None
            raise Failure(f"{path.name} cannot be moved to the trash: {error.strerror}") from None
        return number

    def give_back(self, number: str, folder: Path, taken: Collection[str] = ()) -> str:
        """Move the file with this id to `folder`; returns its name, which is new if the old one is there or in `taken`.
        Raises Mistake if there is no such file, Failure if that is not possible."""
        place = self._folder / number
        names = []
        if _ID.fullmatch(number) and not place.is_symlink():
            with contextlib.suppress(OSError):
                names = os.listdir(place)
        if len(names) != 1:
            raise Mistake("that file is no longer in the trash")
        try:
            name = naming.keep(place / names[0], folder, names[0], taken)
        except FileNotFoundError:
            raise Mistake("that file is no longer in the trash") from None
        except OSError as error:
            raise Failure(f"{names[0]} cannot be restored: {error.strerror}") from None
        with contextlib.suppress(OSError):
            place.rmdir()
        return name

    def sweep(self) -> None:
        """Remove for ever what was deleted more than DAYS days ago."""
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    age = time.time() - entry.stat(follow_symlinks=False).st_mtime
                    if _ID.fullmatch(entry.name) and age > DAYS * 86400:
                        shutil.rmtree(entry.path, ignore_errors=True)
