"""Whether two machines of a farm would dream the same: they need the same program, Caffe, engine and weights."""

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

from dreamer import __version__
from dreamer.errors import Failure, Mistake, counted
from dreamer.farm import engine
from dreamer.nets import checksum, model

_ROOT = Path(__file__).resolve().parents[2]
_WHAT = {"program": "image-dreamer", "caffe": "Caffe", "engine": "python3-distributed"}


def likeness() -> dict[str, Any]:
    """What must be the same: {"program", "caffe", "engine": a version, "weights": {model: sha256, if they are here}}.
    Raises Failure."""
    return {"program": f"{__version__} ({_code()})", "caffe": _caffe(), "engine": engine.version(),
            "weights": weights()}


def weights() -> dict[str, str]:
    """{model of models/: sha256 of its weights}, of those that are here."""
    found = {}
    for name in model.names():
        try:
            found[name] = checksum.sha256(model.find(name).weights_path())
        except (Failure, Mistake, OSError):  # they are missing
            continue
    return found


def check(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Raise Failure, in one line, if this machine is not like the farm's scheduler.

    mine, theirs  likeness() here and there"""
    for part, name in _WHAT.items():
        if mine[part] != theirs[part]:
            raise Failure(f"this machine has {name} {mine[part]}, but the farm has {theirs[part]}: use the same image "
                          "on all machines")
    other = [name for name, known in theirs["weights"].items() if mine["weights"].get(name, known) != known]
    if other:
        raise Failure(f"this machine has other weights of {counted(len(other), 'model')} than the farm "
                      f"({', '.join(other)}): use the same image on all machines")


def _code() -> str:
    """A checksum of the program's own files."""
    digest = hashlib.sha256()
    for path in [_ROOT / "dreamify.py", *sorted((_ROOT / "dreamer").rglob("*.py"))]:
        digest.update(str(path.relative_to(_ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:8]


def _caffe() -> str:
    """A checksum of what the installed Caffe was built from; "none" without Caffe."""
    found = importlib.util.find_spec("caffe")
    if not found or not found.origin:
        return "none"
    key = Path(found.origin).parents[2] / "key"
    if key.is_file():
        return key.read_text().strip()[:8]
    parts = sorted(Path(found.origin).parent.glob("_caffe*.so"))
    return hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()[:8]
