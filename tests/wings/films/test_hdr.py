"""HDR videos become what an SDR camera would have shown of the same scene."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dreamer.arrays import Pixels
from dreamer.films import video
from helpers import ROOT

pytestmark = pytest.mark.usefixtures("ffmpeg")

Light = NDArray[np.float64]
TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])  # BT.2087
WHITE = 203  # cd/m², BT.2408


def sky() -> NDArray[np.uint8]:
    """A picture (240, 320, 3) of clouds, woods and a blue sky."""
    return np.asarray(Image.open(ROOT / "tests/pictures/sky.jpg").resize((320, 240)))


def light(pixels: Pixels) -> Light:
    """Light in cd/m² (h, w, 3), in the primaries of BT.2020, of an SDR picture in sRGB."""
    value = np.asarray(pixels, np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4) @ TO_2020.T
    found: Light = WHITE * np.maximum(linear, 0.0)
    return found


def hlg(nits: Light) -> Light:
    """The signal 0..1 by BT.2100, for a display of 1000 cd/m²."""
    shown = nits / 1000
    luma = shown @ [0.2627, 0.6780, 0.0593]
    scene = shown * np.maximum(luma, 1e-9)[..., None] ** (1 / 1.2 - 1)
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9))
                    + 0.55991073)


def pq(nits: Light) -> Light:
    """The signal 0..1 by SMPTE ST 2084."""
    power = (nits / 10000) ** 0.1593017578125
    found: Light = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    return found


def encode(path: Path, signal: Light, transfer: str, marks: bool = True) -> Path:
    """A video of one picture in 10 bits, marked as HDR."""
    height, width = signal.shape[:2]
    known = ["-color_primaries", "bt2020", "-colorspace", "bt2020nc", "-color_range", "tv"] if marks else []
    subprocess.run(["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb48le", "-s", f"{width}x{height}", "-i",
                    "-", "-vf", "scale=out_color_matrix=bt2020:out_range=tv,format=yuv420p10le", "-c:v", "libx265",
                    "-x265-params", "log-level=error:crf=6", *known, "-color_trc", transfer, path],
                   input=np.round(np.clip(signal, 0, 1) * 65535).astype("<u2").tobytes(), check=True)
    return path


def seen(path: Path) -> Pixels:
    """The first frame as the program reads it."""
    return next(video.opened(str(path), None, 10 ** 8).frames())


@pytest.mark.parametrize(("name", "signal", "marks"), [("arib-std-b67", hlg, True), ("arib-std-b67", hlg, False),
                                                       ("smpte2084", pq, True)])
def test_it_looks_as_in_sdr(tmp_path: Path, tell: Callable[[str], None], name: str, signal: Callable[[Light], Light],
                            marks: bool) -> None:
    """Up to 70 % of white (210 of 255) light is as it was; white is a little darker, to leave room for lamps."""
    ramp = np.tile(np.linspace(0, 255, 320)[None, :, None], (48, 1, 3))
    sdr = np.concatenate([sky(), ramp])
    ours = seen(encode(tmp_path / "a.mov", signal(light(sdr)), name, marks)).astype(float)
    unlike, mid = np.abs(ours - sdr), sdr <= 210
    tell(f"{name}: mean difference from SDR {unlike.mean():.1f} levels, of mid tones {unlike[mid].mean():.1f}")
    assert unlike[mid].mean() < 2
    assert unlike[240:][mid[240:]].mean() < 3
    assert 230 < ours[264, -1].mean() < 246
    assert (np.diff(ours[250:280].mean((0, 2))) > -1).all()


@pytest.mark.parametrize(("name", "signal"), [("arib-std-b67", hlg), ("smpte2084", pq)])
def test_lamps_keep_their_shapes(tmp_path: Path, name: str, signal: Callable[[Light], Light]) -> None:
    """Light of one to five times white still differs, and keeps its hue."""
    nits = np.ones((32, 160, 3)) * np.repeat([203, 300, 450, 700, 950], 32)[None, :, None] * [1, 0.7, 0.4]
    ours = seen(encode(tmp_path / "a.mov", signal(nits @ TO_2020.T), name)).astype(float)
    red, green, blue = (ours[16, 16::32, channel] for channel in range(3))
    assert (np.diff(red[:4]) > 1).all()
    assert (red > green).all()
    assert (green > blue + 20).all()
    assert red.max() <= 255


def test_an_sdr_video_stays_as_it_is(tmp_path: Path) -> None:
    picture = sky()
    Image.fromarray(picture).save(tmp_path / "a.png")
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "a.png", "-vf",
                    "scale=out_color_matrix=bt709,format=yuv444p", "-colorspace", "bt709", "-c:v", "libx264", "-crf",
                    "4", tmp_path / "a.mp4"], check=True)
    assert np.abs(seen(tmp_path / "a.mp4").astype(float) - picture).mean() < 2
