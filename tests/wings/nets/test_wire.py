"""Our own reader of protobuf's binary format, compared with protobuf."""

import struct
from typing import Any

import numpy as np
import pytest

from dreamer.nets import wire
from dreamer.nets.model import Model


def read(data: bytes) -> list[tuple[int, Any]]:
    """The fields of a message, bytes as bytes."""
    return [(number, value if isinstance(value, int) else bytes(value))
            for number, value in wire.fields(memoryview(data))]


def test_a_message_is_read_as_protobuf_reads_it(tiny: Model) -> None:
    from caffe.proto import caffe_pb2
    data = tiny.weights_path().read_bytes()
    message = caffe_pb2.NetParameter.FromString(data)
    layers = [value for number, value in read(data) if number == 100]
    assert layers == [layer.SerializeToString() for layer in message.layer]
    for layer, ours in zip(message.layer, layers, strict=True):
        blobs = [value for number, value in read(ours) if number == 7]
        assert blobs == [blob.SerializeToString() for blob in layer.blobs]
        for blob, own in zip(layer.blobs, blobs, strict=True):
            [numbers] = [value for number, value in read(own) if number == 5]
            assert np.array_equal(np.frombuffer(numbers, "<f4"), np.array(blob.data, np.float32))


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2 ** 31, 2 ** 63, 2 ** 64 - 1])
def test_numbers_of_every_length_are_read(number: int) -> None:
    data, rest = bytearray(), number
    while rest > 127:
        data.append(rest & 127 | 128)
        rest >>= 7
    data.append(rest)
    assert read(b"\x08" + data) == [(1, number)]
    assert wire.varints(memoryview(bytes(data * 3))) == [number] * 3
    assert wire.varints(number) == [number]


def test_fields_of_a_fixed_length_are_read() -> None:
    assert read(b"\x0d" + struct.pack("<f", 1.5) + b"\x11" + struct.pack("<d", 2.5)) == [
        (1, struct.pack("<f", 1.5)), (2, struct.pack("<d", 2.5))]
    assert read(b"") == []


@pytest.mark.parametrize("data", [
    b"\x0a\x05abcd", b"\x0d\x00\x00\x00", b"\x11" + bytes(7),  # shorter than they say
    b"\x08", b"\x08\x80", b"\x0a", b"\x80",  # end in a number
    b"\x08" + b"\xff" * 10 + b"\x01",  # a number that is too long
    b"\x0b\x0c", b"\x0e", b"\x0f",  # unknown forms
    b"\x00\x01", b"\x02\x00"],  # a field 0
    ids=lambda data: data.hex())
def test_damage_is_told(data: bytes) -> None:
    with pytest.raises(wire.DamagedError):
        read(data)
