"""Makes colour profiles for pictures that describe their colours in numbers. Sources: ICC.1:2010, ITU-T H.273."""

import functools
import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_D65, _D50 = (0.3127, 0.3290), np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
SRGB = (_D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))  # x, y of white, red, green, blue

# H.273's numbers -> primaries; white differs only in the old ones of film and television
_PRIMARIES = {1: SRGB, 5: (_D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
              6: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
              4: ((0.310, 0.316), (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)),
              7: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
              9: (_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
              11: ((0.314, 0.351), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
              12: (_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))}
_REFERENCE = 203 / 10000  # BT.2408: the brightness of white paper, as a part of the brightest light that PQ can tell
Values = NDArray[np.float64]


def pq(x: Values) -> Values:
    """The light of a signal 0..1 in PQ (SMPTE ST 2084), as a part of the brightest."""
    power = x ** (1 / 78.84375)
    light: Values = (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    return light


def hlg(x: Values) -> Values:
    """The same in HLG (BT.2100), of the scene."""
    return np.asarray(np.where(x <= 0.5, x * x / 3, (np.exp((x - 0.55991073) / 0.17883277) + 0.28466892) / 12))


def _squeezed(light: Values) -> Values:
    """Light that may be brighter than white paper (1), in 0..1: unchanged up to 0.6, then ever flatter."""
    over = np.maximum(light - 0.6, 0)
    return np.asarray(np.minimum(light, 0.6) + 0.4 * over / (over + 0.4))


def _srgb(x: Values) -> Values:
    return np.asarray(np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4))


_BRIGHT = ((pq, _REFERENCE), (hlg, 0.265))  # curves, and the light of white paper; in HLG, its signal is 0.75
# H.273's numbers -> light for a signal of 0..1. Browsers take television's curves (1, 6, 14, 15) for sRGB's.
_CURVES: dict[int, Callable[[Values], Values]] = {
    **dict.fromkeys((1, 6, 7, 13, 14, 15), _srgb), 4: lambda x: x ** 2.2, 5: lambda x: x ** 2.8, 8: lambda x: x,
    16: lambda x: _squeezed(pq(x) / _REFERENCE), 18: lambda x: _squeezed(hlg(x) / 0.265)}


@functools.lru_cache(4)
def by_numbers(primaries: int, transfer: int) -> bytes | None:
    """The profile for two numbers of H.273, as in cICP and nclx; None if they mean sRGB or nothing."""
    primaries = 1 if primaries not in _PRIMARIES else primaries
    transfer = 13 if transfer not in _CURVES else transfer
    curve = _CURVES[transfer]
    if primaries == 1 and curve is _srgb:
        return None
    return profile(_PRIMARIES[primaries], curve(np.linspace(0, 1, 4096)))


def without_glare(profile: bytes) -> bytes:
    """A profile of PQ or HLG (libjxl writes them) as by_numbers() makes it: white paper would come out almost black
    otherwise, because the brightest light is 1 in such a profile. Other profiles come back unchanged."""
    changed = bytearray(profile)
    for at in range(132, min(132 + 12 * int.from_bytes(profile[128:132], "big"), len(profile) - 11, 132 + 1200), 12):
        name, start, size = struct.unpack_from(">4sII", profile, at)
        steps = profile[start + 12:start + size]
        if name == b"cicp" and len(profile) >= start + 10:
            primaries, transfer = profile[start + 8:start + 10]
            if transfer in (16, 18) and (better := by_numbers(primaries, transfer)):
                return better
        values = np.frombuffer(steps[:len(steps) // 2 * 2], ">u2") / 65535
        if name[1:] != b"TRC" or profile[start:start + 4] != b"curv" or len(values) < 256:
            continue
        for curve, white in _BRIGHT:
            light = curve(np.linspace(0, 1, len(values)))
            if np.abs(values - light).max() < 0.002:
                changed[start + 12:start + 12 + 2 * len(values)] = _steps(_squeezed(light / white))
    return bytes(changed)


def by_gamma(gamma: float, chromaticity: tuple[float, ...] = ()) -> bytes | None:
    """The profile for PNG's gAMA and cHRM (x and y of white, red, green, blue); None if it would be sRGB, or makes no
    sense."""
    points = SRGB
    if len(chromaticity) == 8:
        points = tuple(zip(chromaticity[::2], chromaticity[1::2], strict=True))  # type: ignore[assignment]
    alike = np.allclose(points, SRGB, atol=0.002)
    if not 0.01 <= gamma <= 10 or (abs(gamma - 1 / 2.2) < 0.005 and alike):
        return None
    try:
        return profile(points, np.linspace(0, 1, 4096) ** (1 / gamma))
    except (np.linalg.LinAlgError, ZeroDivisionError):
        return None


def profile(points: tuple[tuple[float, float], ...], curve: Values) -> bytes:
    """An ICC profile: `points` are x, y of white, red, green and blue; `curve` is the light for signals in 0..1.

    Raises LinAlgError or ZeroDivisionError if the points make no sense."""
    white, *rest = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in points)
    colours = np.stack(rest, 1)
    colours = colours * np.linalg.solve(colours, white)
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white)) @ _BRADFORD
    if not np.isfinite(adapt @ colours).all() or np.abs(adapt @ colours).max() > 100:
        raise np.linalg.LinAlgError
    tone = b"curv" + bytes(4) + struct.pack(">I", len(curve)) + _steps(curve)
    text = b"mluc" + bytes(4) + struct.pack(">IIHHII", 1, 12, 0x656E, 0x5553, 2, 28) + b"\0x\0\0"
    tags = {b"desc": text, b"cprt": text, b"wtpt": _xyz(_D50), b"chad": b"sf32" + bytes(4) + _fixed(adapt)}
    tags |= {name: _xyz(value) for name, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), (adapt @ colours).T, strict=True)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), tone)
    table, data, at = struct.pack(">I", len(tags)), b"", {}
    for name, value in tags.items():
        if value not in at:
            at[value] = 132 + 12 * len(tags) + len(data)
            data += value + bytes(-len(value) % 4)
        table += name + struct.pack(">II", at[value], len(value))
    head = struct.pack(">I4sI4s4s4s6H4s", 128 + len(table) + len(data), bytes(4), 0x04200000, b"mntr", b"RGB ", b"XYZ ",
                       2015, 7, 1, 0, 0, 0, b"acsp") + bytes(28) + _fixed(_D50)
    return head.ljust(128, b"\0") + table + data


def _steps(curve: Values) -> bytes:
    data: bytes = np.rint(curve.clip(0, 1) * 65535).astype(">u2").tobytes()
    return data


def _fixed(values: Values) -> bytes:
    data: bytes = np.rint(values * 65536).astype(">i4").tobytes()
    return data


def _xyz(values: Values) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(values)
