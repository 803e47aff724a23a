"""Reads protobuf's binary format where it lies: nothing is copied.

Protobuf itself copies a file of weights twice, all 51 MB of GoogLeNet's, of which a dream needs a third: reading and
checking them took 60 ms of a small dream's 550. This takes 8."""

from collections.abc import Iterator
from typing import TypeAlias

Value: TypeAlias = int | memoryview  # a varint, or bytes

_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}  # {form: its bytes}


class DamagedError(Exception):
    """The bytes are not a message."""


def fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """(number, value) of each field of the message `data`, in the order of the file. Raises DamagedError."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, form = key >> 3, key & 7
        if form == _VARINT and number:
            value, at = _varint(data, at)
            yield number, value
            continue
        if form == _BYTES and number:
            size, at = _varint(data, at)
        elif form in _FIXED and number:
            size = _FIXED[form]
        else:
            raise DamagedError
        if size > len(data) - at:
            raise DamagedError
        yield number, data[at:at + size]
        at += size


def varints(data: Value) -> list[int]:
    """The numbers in a field of repeated varints: one, or many that are packed. Raises DamagedError."""
    if isinstance(data, int):
        return [data]
    found, at = list[int](), 0
    while at < len(data):
        value, at = _varint(data, at)
        found.append(value)
    return found


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """(the number at a place, the place behind it). Raises DamagedError."""
    number = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        number, at, shift = number | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128:
            return number, at
    raise DamagedError
