"""Gets a model's weights onto this machine.

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
from dreamer.machine import files, here
from dreamer.nets import model, prototxt

CONNECT_SECONDS = 10
SLOWEST = 10_000  # bytes per second; after STALL_SECONDS below this, the next source is tried
STALL_SECONDS = 20
NO_RANGES = 33  # curl's exit code if a server cannot resume


def fetch(chosen: model.Model, say: Callable[[str], None]) -> None:
    """Bring the weights of the model into its folder.

    A file that exists there, or that the model's variable names, is used; raises Mistake if it does not fit the net.
    Otherwise the sources are tried in order, each resuming where the last stopped. Raises Failure if all fail."""
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
        say(f"{chosen.name}: no weights from {url} ({why})")
    raise Failure(f"no source has the weights of {chosen.name}. Caffe is installed and works; only one file is "
                  f"missing. Get {chosen.weights} ({chosen.weights_size:,} bytes, sha256 {chosen.weights_sha256}) "
                  f"from anywhere, and {chosen.put_weights()}. To try the sources again (an interrupted download "
                  f"resumes): {here.download_weights(chosen.folder.name)}")


def download(url: str, part: Path, size: int, checksum: str) -> str | None:
    """Download `url` to the path `part`, resuming if a part exists; returns None, or the reason why it failed."""
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
        why = "it is a different file: its sha256 differs"
    else:
        return None
    part.unlink()
    # the part that was there before may have been bad
    return download(url, part, size, checksum) if began else why


def _curl(url: str, part: Path, size: int) -> tuple[int, str]:
    """(exit code, message) of one try; curl resumes, follows redirects, and gives up if the server is too slow."""
    command = ["curl", "--fail", "--location", "--output", str(part), "--continue-at", "-",
               "--connect-timeout", str(CONNECT_SECONDS), "--max-filesize", str(size),
               "--speed-limit", str(SLOWEST), "--speed-time", str(STALL_SECONDS),
               "--progress-bar" if sys.stderr.isatty() else "--silent", "--show-error", url]
    run = subprocess.run(command, stderr=None if sys.stderr.isatty() else subprocess.PIPE, text=True, check=False)
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
