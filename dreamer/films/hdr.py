"""From HDR video, HLG or PQ, to SDR in sRGB, with a table for ffmpeg's filter lut3d.

A light of 203 cd/m² is white (ITU-R BT.2408). Up to 70 % of that, light stays as it is, and what is brighter is pressed
together: so faces and skies look as in an SDR film of the same scene, and lamps keep their shapes. ffmpeg's zscale and
tonemap apply the system gamma of HLG (BT.2100) to each colour by itself, so that skies are too blue: mid tones are then
5.6 levels off on average, and 1.1 with this table."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreamer.pictures import profiles

Light = NDArray[np.float64]

TRANSFERS = ("arib-std-b67", "smpte2084")  # HLG and PQ, as ffprobe names them
NAME = "hdr.cube"  # of the table's file
_SIZE = 49  # entries for each colour; with 33 a grey ramp is 2 levels off
_WHITE, _PEAK = 203.0, 1000.0  # cd/m²: of white, and the brightest unless the video says more or less
_KNEE = 0.7  # of white
_LUMA = np.array([0.2627, 0.6780, 0.0593])  # BT.2020
# from the video's primaries, linear, to those of sRGB
_TO_SRGB = {"bt2020": [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
            "smpte432": [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]],
            "bt709": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]}


def table(stream: Mapping[str, Any]) -> str:
    """The table for a stream that ffprobe describes, as a .cube file: from its R'G'B' to sRGB."""
    steps = np.linspace(0, 1, _SIZE)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")  # red changes fastest
    signal = np.stack((red, green, blue), -1).reshape(-1, 3)
    light = _of_hlg(signal) if stream["color_transfer"] == "arib-std-b67" else 10000 * profiles.pq(signal)
    matrix = np.array(_TO_SRGB.get(stream.get("color_primaries", ""), _TO_SRGB["bt2020"]))
    light = np.maximum(light / _WHITE @ matrix.T, 0)
    brightest = light.max(1, keepdims=True)
    light *= _pressed(brightest, max(_brightest(stream) / _WHITE, 1.01)) / np.maximum(brightest, 1e-9)
    rows = "\n".join(" ".join(f"{value:.5f}" for value in row) for row in _srgb(np.minimum(light, 1)).tolist())
    return f"LUT_3D_SIZE {_SIZE}\n{rows}\n"


def _of_hlg(signal: Light) -> Light:
    """Light in cd/m² (n, 3) on a display of 1000 cd/m², from HLG (BT.2100), 0..1."""
    scene = profiles.hlg(signal)
    found: Light = 1000 * scene * np.maximum(scene @ _LUMA, 1e-9)[:, None] ** 0.2
    return found


def _pressed(light: Light, peak: float) -> Light:
    """`light`, of which 1 is white, so that `peak` becomes white: a hyperbola from the knee on, without a corner."""
    start = -_KNEE ** 2 * (peak - 1) / (_KNEE ** 2 - 2 * _KNEE + peak)
    bend = (_KNEE ** 2 - 2 * _KNEE * peak + peak) / (peak - 1)
    return np.where(light <= _KNEE, light, (bend ** 2 + 2 * bend * _KNEE + _KNEE ** 2) / (bend - start)
                    * (light + start) / (light + bend))


def _srgb(light: Light) -> Light:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def _brightest(stream: Mapping[str, Any]) -> float:
    """The brightest light in cd/m² that a stream in PQ declares (MaxCLL); the usual one if it does not."""
    declared = max((float(each.get("max_content", 0)) for each in stream.get("side_data_list", [])), default=0.0)
    return declared if declared and stream["color_transfer"] == "smpte2084" else _PEAK
