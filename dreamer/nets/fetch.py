"""Gets a model's weights onto this machine.

    $ python3 -m dreamer.nets.fetch bvlc_googlenet
"""

import filecmp
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from dreamer.errors import Failure, Mistake
from dreamer.machine import files, here
from dreamer.nets import model, prototxt

CONNECT_SECONDS = 10
SLOWEST = 10_000  # bytes per second; after STALL_SECONDS below this, the next source is tried
STALL_SECONDS = 20
NO_RANGES = 33  # curl's exit code if a server cannot resume
TOO_LARGE = 63  # the same if more comes than --max-filesize; older versions of curl only look at what is announced
# A file of unknown size may also have what a dream does not need: bvlc_googlenet's has the two classifiers of its
# training, and is 1.9 times as large as its net.
MOST = 2, 64 << 20  # times the net's size, plus bytes
LARGEST = 2 ** 31 - 1  # bytes of a message that protobuf can read


class Wanted(NamedTuple):
    """What is known of a file before it is downloaded: the bytes that it has at least and at most, and its checksum,
    a sha256 or a sha1 in hexadecimal; "" if that is unknown."""

    least: int
    most: int
    checksum: str

    def fault(self, path: Path) -> str | None:
        """Why the file at `path` cannot be the wanted one; None if it can."""
        size = path.stat().st_size if path.exists() else 0
        if not self.least <= size <= self.most:
            least = "" if self.least == self.most else "at least " if size < self.least else "at most "
            return f"{size:,} bytes, not {least}{self.most if size > self.most else self.least:,}"
        kind = _kind(self.checksum)
        if self.checksum and _checksum(path, kind) != self.checksum:
            return f"it is a different file: its {kind} differs"
        return None


def wanted(chosen: model.Model) -> Wanted:
    """What is known of the weights of the model: a download that was made before is as good as a published checksum."""
    checksum = chosen.weights_sha256 or recorded(chosen) or chosen.weights_sha1
    if chosen.weights_size:
        return Wanted(chosen.weights_size, chosen.weights_size, checksum)
    least = chosen.least_size
    return Wanted(least or 1, min(MOST[0] * least + MOST[1], LARGEST) if least else LARGEST, checksum)


def recorded(chosen: model.Model) -> str:
    """The sha256 of the weights that were fetched before, in hexadecimal; "" if there is no record."""
    try:
        return record(chosen).read_text("ascii").split()[0]
    except (OSError, ValueError, IndexError):
        return ""


def record(chosen: model.Model) -> Path:
    """The path of the file that has the checksum of the fetched weights, in sha256sum's format."""
    return chosen.folder / f"{chosen.weights}.sha256"


def fetch(chosen: model.Model, say: Callable[[str], None]) -> None:
    """Bring the weights of the model into its folder.

    A file that exists there, or that the model's variable names, is used; raises Mistake if it does not fit the net.
    Otherwise the sources are tried in order, each resuming where the last stopped if a checksum is known. If no sha256
    is known, the file must fit the net, and its sha256 is recorded beside it. Raises Failure if all fail."""
    if chosen.compact:
        say(f"{chosen.name}: comes with this repository")
        return
    target = chosen.folder / chosen.weights
    try:
        path = chosen.weights_path()
    except Failure:
        path = None
    if path:
        verify(chosen, path)
        if path.parent != target.parent and not (target.exists() and filecmp.cmp(path, target, shallow=False)):
            with files.replacing(target) as file, open(path, "rb") as source:
                shutil.copyfileobj(source, file)
        say(f"{chosen.name}: weights from {path}")
    else:
        url = _download_any(chosen, target, say)
        say(f"{chosen.name}: weights from {url}")
    if not chosen.weights_sha256 and target.exists():
        _record(chosen, target, say)


def _download_any(chosen: model.Model, target: Path, say: Callable[[str], None]) -> str:
    """Download the weights from the first source that has them, and return its URL. Raises Failure if none has."""
    part, expected = target.with_name(target.name + ".part"), wanted(chosen)
    for url in chosen.sources:
        why = download(url, part, expected)
        if why is None and not chosen.weights_sha256:
            why = _misfit(chosen, part)
        if why is None:
            files.give(part, target.parent)
            files.move(part, target)
            return url
        say(f"{chosen.name}: no weights from {url} ({why})")
    exact = expected.least == expected.most
    size = f"{expected.least:,} bytes" if exact else f"about {expected.least / 1e6:.0f} MB"
    checksum = f", {_kind(expected.checksum)} {expected.checksum}" if expected.checksum else ""
    resumes = " (an interrupted download resumes)" if expected.checksum else ""
    raise Failure(f"no source has the weights of {chosen.name}. Caffe is installed and works; only one file is "
                  f"missing. Get {chosen.weights} ({size}{checksum}) from anywhere, and {chosen.put_weights()}. "
                  f"To try the sources again{resumes}: {here.download_weights(chosen.folder.name)}")


def _misfit(chosen: model.Model, part: Path) -> str | None:
    """Why the downloaded file cannot be used, which is then removed; None if its layers are the net's."""
    try:
        verify(chosen, part)
    except Mistake as error:
        part.unlink()
        return str(error).removeprefix(f"{part} ")
    return None


def _record(chosen: model.Model, target: Path, say: Callable[[str], None]) -> None:
    """Write down which weights came."""
    checksum = files.sha256(target)
    with files.replacing(record(chosen)) as file:
        file.write(f"{checksum}  {target.name}\n".encode())
    say(f"{chosen.name}: its sha256 is {checksum}, now in {record(chosen)}")


def download(url: str, part: Path, expected: Wanted) -> str | None:
    """Download `url` to the path `part`; returns None, or the reason why it failed.

    An existing part is resumed only if a checksum would reveal that it belongs to another file."""
    if part.exists() and (not expected.checksum or part.stat().st_size > expected.most):
        part.unlink()
    began = part.stat().st_size if part.exists() else 0
    if began and expected.fault(part) is None:
        return None
    if began < expected.most:
        code, why = _curl(url, part, expected.most)
        # 416: nothing follows. The part may be complete but bad, or longer than what this source has.
        if began and (code == NO_RANGES or (code and "416" in why)):
            part.unlink()
            return download(url, part, expected)
        if code:
            return why
    fault = expected.fault(part)
    if fault is None:
        return None
    part.unlink(missing_ok=True)
    # the part that was there before may have been bad
    return download(url, part, expected) if began else fault


def _kind(checksum: str) -> str:
    return "sha1" if len(checksum) == 40 else "sha256"


def _checksum(path: Path, kind: str) -> str:
    if kind == "sha256":
        return files.sha256(path)
    digest = hashlib.sha1(usedforsecurity=False)  # what the authors published; the layers are checked too
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _curl(url: str, part: Path, most: int) -> tuple[int, str]:
    """(exit code, message) of one try; curl resumes, follows redirects, and gives up if the server is too slow."""
    # curl ignores --max-filesize if the server does not announce the size
    command = ["prlimit", f"--fsize={most}", "curl", "--fail", "--location", "--output", str(part),
               "--continue-at", "-", "--connect-timeout", str(CONNECT_SECONDS), "--max-filesize", str(most),
               "--speed-limit", str(SLOWEST), "--speed-time", str(STALL_SECONDS),
               "--progress-bar" if sys.stderr.isatty() else "--silent", "--show-error", url]
    run = subprocess.run(command, stderr=None if sys.stderr.isatty() else subprocess.PIPE, text=True, check=False)
    if run.returncode in (-signal.SIGXFSZ, TOO_LARGE):
        part.unlink(missing_ok=True)
        return run.returncode, f"it is larger than {most:,} bytes"
    lines = (run.stderr or "").strip().splitlines() or [f"curl's exit code {run.returncode}"]
    return run.returncode, lines[-1].removeprefix("curl: ")


def verify(chosen: model.Model, path: str | os.PathLike[str]) -> None:
    """Raise Mistake if the weights at `path` do not fit the net of the model, layer by layer."""
    from dreamer.nets import binding, weights
    weights.check(path, binding.load(prototxt.values(chosen.net, "layer")))


def main() -> int:
    """Fetch the model named on the command line; returns the exit code."""
    try:
        fetch(model.find(sys.argv[1] if len(sys.argv) > 1 else model.DEFAULT),
              lambda text: print(f"==> {text}", flush=True))
    except (Mistake, Failure) as error:
        print(f"provision.sh: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
