"""The command line of a dream, and the files that were beside it."""

import hashlib
from pathlib import Path

import pytest

import dreamify
from dreamer.studio import commandline
from helpers import run


def line(folder: Path, **members: object) -> str:
    return commandline.line({"input": "./a.jpg", "output": "./a-dream.jpg", **members}, folder, dreamify.ask,
                            dreamify.command)


def test_it_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is parsed to the same values again, also those that begin with a dash."""
    monkeypatch.chdir(tmp_path)
    told = line(tmp_path, zoom=3, pan="-0.01,0.0", rotate=-2.5, layer="inception_4c/output", seed=7)
    words = told.split("dreamify.py ")[1].split()
    function, found, wrong = dreamify.parse(words)
    assert not wrong
    assert function is dreamify.dreamify
    assert (found["pan"], found["rotate"], found["zoom"], found["seed"]) == ("-0.01,0.0", "-2.5", "3", "7")
    assert (found["input"], found["output"]) == ("a.jpg", "a-dream.jpg")
    done = run(*words)
    assert "no such file: a.jpg" in done.stderr
    assert "--" not in done.stderr


def test_guide_and_mask_that_are_still_there(tmp_path: Path) -> None:
    (tmp_path / ".studio/masks").mkdir(parents=True)
    mask = f"{'a' * 64}.png"
    (tmp_path / ".studio/masks" / mask).write_bytes(b"mask")
    (tmp_path / "guide.jpg").write_bytes(b"guide")
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("guide", "mask")}
    recipe = {"guide": "guide.jpg", "guide_sha256": digests["guide"], "mask": mask, "mask_sha256": digests["mask"]}
    assert commandline.beside(tmp_path, recipe) == {"guide": "guide.jpg", "mask": mask}
    assert commandline.beside(tmp_path, recipe | {"guide_sha256": digests["mask"]}) == {"mask": mask}
    (tmp_path / "guide.jpg").unlink()
    assert commandline.beside(tmp_path, recipe) == {"mask": mask}


@pytest.mark.parametrize("named", ["../secret.jpg", "/etc/passwd", ".hidden.jpg", 5, None, "a\0.jpg"])
def test_a_recipe_leads_nowhere_else(tmp_path: Path, named: object) -> None:
    (tmp_path.parent / "secret.jpg").write_bytes(b"")
    empty = hashlib.sha256(b"").hexdigest()
    assert commandline.beside(tmp_path, {"guide": named, "guide_sha256": empty, "mask": named,
                                         "mask_sha256": empty}) == {}
