"""EXIF, from each format into each, read back by Pillow; and values that must not be copied."""

import io
import struct
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

import mutants
from dreamer.options import outputs
from dreamer.pictures import exif, reading, tiff, writing
from dreamer.pictures.picture import Picture

NAME = "Zoë Ångström".encode()  # not ASCII; some cameras write such text

# a Fuji's maker notes: a directory with one value, whose offset counts from the start of the notes
NOTE = b"FUJIFILM" + struct.pack("<IHHHIII", 12, 1, 0x0010, 7, 200, 30, 0) + bytes(range(200))


def panasonic(order: str, at: int) -> bytes:
    """A Panasonic's maker notes, which lie at `at`; their offsets count from the start of the block."""
    return b"Panasonic\0\0\0" + struct.pack(order + "HHHIII", 1, 0x0025, 7, 200, at + 30, 0) + bytes(range(200))


def latitude(order: str) -> bytes:
    return struct.pack(order + "6I", 52, 1, 22, 1, 33, 1)


def block(order: str = ">", note_at: int | None = None, thumbnail: bool = True) -> bytes:
    """An EXIF block as a camera writes it, with a thumbnail and the place, and with a pointer to itself."""
    note = panasonic(order, note_at) if note_at else NOTE
    writer = tiff.Writer(order, (0x927C, note_at, note) if note_at else None)

    def short(number: int) -> tuple[int, bytes]:
        return 3, struct.pack(order + "H", number)
    writer.finish({
        0x010F: (2, b"Camera\0"), 0x0112: short(6), 0x013B: (2, NAME + b"\0"),
        0x011A: (5, struct.pack(order + "II", 300, 1)),
        0x8769: {0x829A: (5, struct.pack(order + "II", 1, 250)), 0x9003: (2, b"2015:06:17 12:00:00\0"),
                 0x927C: (7, note), 0xA001: short(65535), 0xA002: short(50), 0xA003: short(40),
                 0xA005: {1: (2, b"R98\0")}},
        0x8825: {1: (2, b"N\0"), 2: (5, latitude(order))}})
    data = writer.data
    if thumbnail:
        first = struct.unpack(order + "I", data[4:8])[0]
        last = first + 2 + 12 * struct.unpack(order + "H", data[first:first + 2])[0]
        picture = b"\xff\xd8THUMBNAIL\xff\xd9"
        second = struct.pack(order + "H" + "HHII" * 2 + "I", 2, 0x0201, 4, 1, len(data) + 30, 0x0202, 4, 1,
                             len(picture), 0)
        data[last:last + 4] = struct.pack(order + "I", len(data))
        data += second + picture
    return bytes(data)


def photo(tmp_path: Path, extension: str, data: bytes) -> Path:
    """A picture file with this EXIF block; in a TIFF, its tags are the tags of the file."""
    path = tmp_path / f"in.{extension}"
    if extension == "tif":
        order, directory, _ = tiff.read(io.BytesIO(data), {0x8769: {0xA005: {}}, 0x8825: {}})
        path.write_bytes(tiff.encode(np.array(mutants.pixels("RGB")), directory, order))
    else:
        mutants.pixels("RGB").save(path, exif=data if extension == "webp" else b"Exif\0\0" + data)
    return path


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("source", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("target", ["jpg", "png", "webp", "tif"])
def test_exif_is_kept_but_for_orientation_thumbnail_and_place(tmp_path: Path, source: str, target: str, order: str,
                                                              keep: bool) -> None:
    picture = reading.read(photo(tmp_path, source, block(order)), keep_location=keep)
    assert picture.pixels.shape == (50, 40, 3)  # it is upright
    writing.write(tmp_path / f"out.{target}", picture)
    with Image.open(tmp_path / f"out.{target}") as written:
        assert written.size == (40, 50)
        found = written.getexif()
        assert found[0x010F] == "Camera"
        assert float(found[0x011A]) == 300
        assert 0x0112 not in found
        part = found.get_ifd(0x8769)
        assert float(part[0x829A]) == 1 / 250
        assert part[0x9003] == "2015:06:17 12:00:00"
        assert part[0x927C] == NOTE
        assert (part[0xA001], part[0xA002], part[0xA003]) == (1, 40, 50)  # sRGB, and its own size
        assert found.get_ifd(0x8825).get(1) == ("N" if keep else None)
        assert written.getexif().get_ifd(0x8825).get(2) == ((52, 22, 33) if keep else None)
    data = (tmp_path / f"out.{target}").read_bytes()
    assert NAME in data
    assert b"THUMBNAIL" not in data
    assert (latitude(order) in data) == keep


def test_it_goes_through_a_second_dream(tmp_path: Path) -> None:
    first = reading.read(photo(tmp_path, "jpg", block()))
    for extension in ("tif", "png", "webp", "jpg"):
        writing.write(tmp_path / f"b.{extension}", first)
        again = reading.read(tmp_path / f"b.{extension}")
        assert again.pixels.shape == (50, 40, 3)
        assert first.exif
        assert again.exif
        assert again.exif.block(50, 40) == first.exif.block(50, 40)


@pytest.mark.parametrize("note_at", [300, 1000, 40000])
@pytest.mark.parametrize("target", ["jpg", "tif"])
def test_the_cameras_notes_stay_where_they_were(tmp_path: Path, note_at: int, target: str) -> None:
    """They contain offsets that count from the start of the block."""
    data = block(note_at=note_at)
    note = panasonic(">", note_at)
    assert data[note_at:note_at + len(note)] == note
    writing.write(tmp_path / f"out.{target}", reading.read(photo(tmp_path, "jpg", data)))
    with Image.open(tmp_path / f"out.{target}") as written:
        part = written.getexif().get_ifd(0x8769)
        assert part[0x927C] == note
        assert part[0x9003] == "2015:06:17 12:00:00"
        assert (np.asarray(written) == reading.read(tmp_path / f"out.{target}").pixels).all()
        out = written.info["exif"][6:] if target == "jpg" else (tmp_path / "out.tif").read_bytes()
    assert out[note_at:note_at + len(note)] == note


def test_notes_too_long_for_a_jpeg_are_left_out_and_the_rest_kept(tmp_path: Path) -> None:
    directory = {0x010F: (2, b"Camera\0"), 0x8769: {0x927C: (7, bytes(70_000)), 0x9003: (2, b"2015\0")}}
    picture = Picture(np.zeros((9, 9, 3)), exif=exif.Exif(">", directory))
    writing.write(tmp_path / "a.jpg", picture)
    found = Image.open(tmp_path / "a.jpg").getexif()
    assert found[0x010F] == "Camera"
    assert set(found.get_ifd(0x8769)) == {0x9003}
    writing.write(tmp_path / "a.png", picture)
    assert len(Image.open(tmp_path / "a.png").getexif().get_ifd(0x8769)[0x927C]) == 70_000


def test_of_values_too_long_for_a_jpeg_the_longest_are_left_out_and_that_is_told(tmp_path: Path) -> None:
    directory = {0x010E: (2, bytes(30_000)), 0x010F: (2, b"Camera\0"), 0x013B: (2, bytes(40_000)),
                 0x8769: {0x927C: (7, bytes(10_000)), 0x9003: (2, b"2015\0"), 0x9286: (7, bytes(50_000))}}
    picture = Picture(np.zeros((9, 9, 3)), exif=exif.Exif("<", directory, note_at=60_000))
    said: list[str] = []
    outputs.check_picture_fits("a.jpg", picture, said.append)
    assert said == ["output: a JPEG holds at most 64 kB of EXIF, so some values are lost (3); a .png keeps all"]
    writing.write(tmp_path / "a.jpg", picture)
    found = Image.open(tmp_path / "a.jpg").getexif()
    assert (found[0x010F], set(found), set(found.get_ifd(0x8769))) == ("Camera", {0x010E, 0x010F, 0x8769}, {0x9003})
    outputs.check_picture_fits("a.png", picture, pytest.fail)


def test_many_values_that_are_too_long_together_do_not_take_long(tmp_path: Path) -> None:
    directory = dict.fromkeys(range(1000, 9000), (2, b"12345678"))
    picture = Picture(np.zeros((9, 9, 3)), exif=exif.Exif("<", directory))
    writing.write(tmp_path / "a.jpg", picture)
    assert 3200 < len(Image.open(tmp_path / "a.jpg").getexif()) < 3280


@pytest.mark.parametrize("data", [b"MM\0*", b"XX\0*\0\0\0\x08", b"MM\0*\xff\xff\xff\xff", b"no", block()[:8]])
def test_damaged_exif_is_ignored_with_a_warning(tmp_path: Path, data: bytes) -> None:
    said: list[str] = []
    picture = reading.read(photo(tmp_path, "png", data), warn=said.append)
    assert picture.exif is None
    assert len(said) == 1
    assert "EXIF" in said[0]


def test_what_of_a_damaged_exif_is_whole_is_kept(tmp_path: Path) -> None:
    data = bytearray(block(">"))
    at = data.index(struct.pack(">HH", 0x829A, 5)) + 8
    data[at:at + 4] = b"\xff\xff\xff\xff"  # the offset of the exposure time is outside the block
    found = reading.read(photo(tmp_path, "png", bytes(data))).exif
    assert found
    assert 0x829A not in found.directory[0x8769]
    assert 0x9003 in found.directory[0x8769]


def test_directories_in_a_circle_and_endless_counts_end() -> None:
    loop = struct.pack(">4sIHHHIII", b"MM\0*", 8, 1, 0x8769, 4, 1, 8, 0)
    order, directory, _ = tiff.read(io.BytesIO(loop), {0x8769: {0xA005: {}}})
    assert (order, directory) == (">", {0x8769: {0x8769: (4, struct.pack(">I", 8))}})
    many = struct.pack(">4sIH", b"MM\0*", 8, 65535) + struct.pack(">HHII", 0x010E, 2, 0xFFFFFFFF, 0) * 65535
    assert tiff.read(io.BytesIO(many), {})[1] == {}


@pytest.mark.skipif(PIL.__version__.startswith("9.0."), reason="Pillow 9.0 cannot read it")
def test_a_bigtiff_is_read_without_exif(tmp_path: Path) -> None:
    tags = [(256, 4, 4), (257, 4, 1), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 16), (277, 3, 1), (278, 4, 1),
            (279, 4, 4)]
    entries = b"".join(struct.pack("<HHQQ", tag, kind, 1, value) for tag, kind, value in tags)
    (tmp_path / "a.tif").write_bytes(b"II+\0" + struct.pack("<HHQ", 8, 0, 24) + bytes([9, 8, 7, 6, 0, 0, 0, 0])
                                     + struct.pack("<Q", len(tags)) + entries + bytes(8))
    said: list[str] = []
    picture = reading.read(tmp_path / "a.tif", warn=said.append)
    assert picture.pixels[0, :, 0].tolist() == [9, 8, 7, 6]
    assert (picture.exif, said) == (None, [])


@pytest.mark.parametrize(("kind", "value"), [(3, b"\0\x06"), (3, b"\0\x06\0\x01"), (4, b"\0\0\0\x06")])
def test_an_orientation_of_any_whole_number_counts(tmp_path: Path, kind: int, value: bytes) -> None:
    writer = tiff.Writer(">")
    writer.finish({0x0112: (kind, value)})
    assert reading.read(photo(tmp_path, "png", bytes(writer.data))).pixels.shape == (50, 40, 3)


def test_exif_that_imagemagick_hid_in_a_png_is_read(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo
    info = PngInfo()
    data = b"Exif\0\0" + block()
    info.add_text("Raw profile type exif", f"\nexif\n{len(data):8}\n" + data.hex())
    mutants.pixels("RGB").save(tmp_path / "a.png", pnginfo=info)
    picture = reading.read(tmp_path / "a.png")
    assert picture.pixels.shape == (50, 40, 3)
    assert picture.exif
    assert picture.exif.directory[0x010F] == (2, b"Camera\0")
