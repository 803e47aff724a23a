"""Getting a model's weights onto this machine.

    $ python3 -m dreamer.nets.fetch bvlc_googlenet
"""

import filecmp
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from dreamer.errors import Failure, Mistake
from dreamer.machine import files
from dreamer.nets import model, prototxt

CONNECT_SECONDS = 10
SLOWEST = 10_000  # bytes a second; slower than this for STALL_SECONDS means the next source
STALL_SECONDS = 20
NO_RANGES = 33  # curl's exit code where a server cannot resume


def fetch(chosen: model.Model, say: Callable[[str], None]) -> None:
    """Make the weights of the model be in its folder.

    A file that is there, or that the model's variable names, is taken when it fits the net. Otherwise the
    sources are tried in order, each going on where the last broke off. Raises Failure where none has it."""
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
        return

    part = target.with_name(target.name + ".part")
    for url in chosen.sources:
        why = download(url, part, chosen.weights_size, chosen.weights_sha256)
        if why is None:
            files.give(part, target.parent)
            files.move(part, target)
            say(f"{chosen.name}: weights from {url}")
            return
        say(f"{chosen.name}: not from {url} ({why})")
    raise Failure(f"no source of the weights of {chosen.name} answers. Caffe is installed and well; what is missing "
                  f"is one file. Get {chosen.weights} ({chosen.weights_size:,} bytes, sha256 {chosen.weights_sha256}) "
                  f"from anywhere, put it into {target.parent}, and run ./provision.sh again; or try again later, "
                  f"what has arrived so far is kept.")


def download(url: str, part: Path, size: int, checksum: str) -> str | None:
    """Bring the file at `url` to the path `part`, going on from what is there; returns None, or why not."""
    if part.exists() and part.stat().st_size > size:
        part.unlink()
    began = part.stat().st_size if part.exists() else 0
    if began < size:
        code, why = _curl(url, part, size)
        if code == NO_RANGES and began:
            part.unlink()
            return download(url, part, size, checksum)
        if code:
            return why
    if part.stat().st_size != size:
        why = f"{part.stat().st_size:,} bytes, not {size:,}"
    elif files.sha256(part) != checksum:
        why = "another file: its sha256 differs"
    else:
        return None
    part.unlink()
    # what was there before may have been the bad part
    return download(url, part, size, checksum) if began else why


def _curl(url: str, part: Path, size: int) -> tuple[int, str]:
    """(exit code, message) of one try; curl resumes, follows, and gives up in time."""
    command = ["curl", "--fail", "--location", "--output", str(part), "--continue-at", "-",
               "--connect-timeout", str(CONNECT_SECONDS), "--max-filesize", str(size),
               "--speed-limit", str(SLOWEST), "--speed-time", str(STALL_SECONDS),
               "--progress-bar" if sys.stderr.isatty() else "--silent", "--show-error", url]
    run = subprocess.run(command, stderr=None if sys.stderr.isatty() else subprocess.PIPE, text=True, check=False)
    lines = (run.stderr or "").strip().splitlines() or [f"curl's exit code {run.returncode}"]
    return run.returncode, lines[-1].removeprefix("curl: ")


def verify(chosen: model.Model, path: str | os.PathLike[str]) -> None:
    """Raise Mistake where the weights at `path` do not fit the net of the model, layer by layer."""
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
