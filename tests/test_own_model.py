"""A user's own net in models/: a tiny one with a different mean and a different order of channels."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import oracle
import tinymodel
from containers import checkout
from dreamer.nets import model
from helpers import ROOT


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with two more models: tiny (rgb), and ymit, which has the same net with bgr and a different mean."""
    folder = checkout(tmp_path_factory.mktemp("clone"))
    tinymodel.make(folder / "models/tiny")
    shutil.copytree(folder / "models/tiny", folder / "models/ymit")
    description = folder / "models/ymit/model.toml"
    description.write_text(description.read_text().replace('"rgb"', '"bgr"').replace(str(list(tinymodel.MEAN)),
                                                                                     "[12.5, 140.0, 60.0]"))
    return folder


def run(clone: Path, *words: object, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the clone's dreamify.py."""
    return subprocess.run([str(word) for word in (clone / "dreamify.py", *words)], capture_output=True, text=True,
                          check=False, env=os.environ | more)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A busy picture of 90×60 pixels: in a smooth sky, the zoom's last bit decides which maximum a pooling takes."""
    Image.open(ROOT / "tests/pictures/coffee.jpg").resize((90, 60)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize(("name", "mean", "bgr"), [("tiny", tinymodel.MEAN, False), ("ymit", (12.5, 140, 60), True)])
def test_its_dream_is_the_oracles(clone: Path, photo: Path, tmp_path: Path, name: str, mean: tuple[float, float, float],
                                  bgr: bool) -> None:
    done = run(clone, photo, tmp_path / "dream.png", "--model", name, "mix/output", 3, 2, "--seed", 4)
    assert done.returncode == 0, done.stderr
    ours = np.asarray(Image.open(tmp_path / "dream.png"), np.float64)
    folder, image = clone / "models" / name, np.asarray(Image.open(photo))

    def expected(mean: tuple[float, float, float], bgr: bool) -> NDArray[np.float32]:
        return oracle.dream(folder / "net.prototxt", str(folder / "tiny.caffemodel"), mean, bgr, image, "mix/output", 3,
                            2, seed=4)[0]
    assert np.abs(ours - np.floor(expected(mean, bgr))).max() <= 1
    assert np.abs(ours - expected(mean, not bgr)).max() > 5  # the mean and the order matter
    assert np.abs(ours - expected((104, 117, 123), bgr)).max() > 5


def test_models_lists_them(clone: Path, photo: Path, tmp_path: Path) -> None:
    weights = tmp_path / "elsewhere.caffemodel"
    shutil.copy(clone / "models/tiny/tiny.caffemodel", weights)
    (clone / "models/ymit/tiny.caffemodel").rename(tmp_path / "moved")
    (clone / "models/broken").mkdir(exist_ok=True)
    (clone / "models/broken/model.toml").write_text("mean = 7")
    try:
        done = run(clone, "models", DREAMER_WEIGHTS_TINY=str(weights))
        gone = run(clone, photo, tmp_path / "dream.png", "--model", "ymit")
    finally:
        shutil.move(tmp_path / "moved", clone / "models/ymit/tiny.caffemodel")
        shutil.rmtree(clone / "models/broken")
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert list(lines) == sorted(["broken", *model.names(), "tiny", "ymit"])
    assert "model.toml" in lines["broken"]
    assert re.fullmatch(r"daydream +inception_4c/output +3\.\d MB  comes with this repository", lines["daydream"])
    assert re.fullmatch(rf"tiny +mix/output +0\.0 MB  here: {weights}", lines["tiny"])
    assert lines["ymit"].endswith(f"missing: run {clone}/provision.sh model ymit")
    assert gone.returncode == 1
    assert f"run {clone}/provision.sh model ymit, or put tiny.caffemodel into {clone}/models/ymit" in gone.stderr
    assert run(clone, "models").stdout.splitlines()[-1].endswith("0.0 MB  here")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_provision_gets_one(clone: Path, photo: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clone / "models/tiny", clone / "models/fetched")
    (folder / "tiny.caffemodel").rename(tmp_path / "there")
    with open(folder / "model.toml", "r+") as file:
        text = file.read()
        file.seek(0)
        file.write(f'sources = ["file:///nowhere", "file://{tmp_path}/there"]\n{text}')

    def provision(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([clone / "provision.sh", *words], capture_output=True, text=True, check=False,
                              cwd=clone, env=os.environ | {"DREAMER_PREFIX": str(tmp_path / "prefix")})
    done = provision("model", "fetched")
    assert done.returncode == 0, done.stderr
    assert f"fetched: weights from file://{tmp_path}/there" in done.stdout
    assert run(clone, photo, tmp_path / "dream.png", "--model", "fetched", "conv1", 1, 1).returncode == 0
    nowhere = provision("model", "nosuch")
    assert nowhere.returncode == 2
    assert "no model 'nosuch'; the models are: bvlc_googlenet, caffenet, daydream, fetched," in nowhere.stderr
    assert provision("model", "daydream").stdout == "==> daydream: comes with this repository\n"
    assert not (clone / "models/daydream/daydream.caffemodel").exists()
    assert provision("check", "fetched").returncode == 2
    (folder / "tiny.caffemodel").unlink()
    (tmp_path / "there").unlink()
    lost = provision("model", "fetched")
    assert lost.returncode == 1
    assert "fetched" in lost.stderr
    assert "daydream" not in lost.stdout
    shutil.rmtree(folder)
