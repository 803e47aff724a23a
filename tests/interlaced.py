"""A minimal writer of H.264 in field pictures, as AVCHD cameras and television send it: no encoder here makes them."""


class _Bits:
    """A string of bits, as in ITU-T H.264, 7.2."""

    def __init__(self, *pairs: tuple[int, int]) -> None:
        self._bits = list[str]()
        for width, value in pairs:
            self.fixed(width, value)

    def fixed(self, width: int, value: int) -> "_Bits":
        """Add u(width)."""
        self._bits.append(f"{value:0{width}b}")
        return self

    def golomb(self, *values: int) -> "_Bits":
        """Add ue(v) for each value."""
        for value in values:
            width = (value + 1).bit_length()
            self.fixed(2 * width - 1, value + 1)
        return self

    def aligned(self) -> "_Bits":
        """Add zeros up to the next byte."""
        return self.fixed(rest, 0) if (rest := -sum(map(len, self._bits)) % 8) else self

    def unit(self, kind: int) -> bytes:
        """The NAL unit of this kind that holds the bits and a stop bit."""
        text = "".join(self.fixed(1, 1).aligned()._bits)
        data = int(text, 2).to_bytes(len(text) // 8, "big")
        escaped, zeros = bytearray(), 0
        for byte in data:
            if zeros == 2 and byte <= 3:
                escaped.append(3)
                zeros = 0
            escaped.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return b"\0\0\0\1" + bytes([0x60 | kind]) + escaped


def fields(levels: list[tuple[int, int]], width: int = 6, height: int = 4) -> bytes:
    """H.264 whose frames consist of two field pictures each, of I_PCM macroblocks.

    levels  for each frame, the grey (16..235) of its top field and of its bottom field
    width, height  of the frames, in macroblocks of 16×16"""
    found = b""
    for number, pair in enumerate(levels):
        found += _delimiter() + _sequence(width, height) + _picture()
        for bottom, level in enumerate(pair):
            head = _Bits().golomb(0, 7, 0).fixed(4, 0).fixed(1, 1).fixed(1, bottom)
            if not bottom:
                head.golomb(number % 2)  # its number as an IDR picture
            head.fixed(4, bottom).fixed(1 if bottom else 2, 0).golomb(0, 1)
            for _ in range(width * height // 2):
                head.golomb(25).aligned()
                head.fixed(8 * 384, int.from_bytes(bytes([level]) * 256 + bytes([128]) * 128, "big"))
            found += (_delimiter() if bottom else b"") + head.unit(1 if bottom else 5)
    return found


def _delimiter() -> bytes:
    return _Bits((3, 0)).unit(9)


def _sequence(width: int, height: int) -> bytes:
    return _Bits((8, 77), (8, 0), (8, 30)).golomb(0, 0, 0, 0, 1).fixed(1, 0).golomb(width - 1, height // 2 - 1).fixed(
        5, 0b00100).unit(7)


def _picture() -> bytes:
    return _Bits().golomb(0, 0).fixed(2, 0).golomb(0, 0, 0).fixed(3, 0).golomb(0, 0, 0).fixed(3, 0b100).unit(8)
