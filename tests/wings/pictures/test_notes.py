"""Maker notes of many makers, made here: no byte of their previews gets into a dream."""

import io
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mutants
from dreamer.pictures import embedded, notes, reading, tiff, writing

AT = 500  # offset of the notes in the EXIF block
SECRET = b"UNDREAMED" * 30
TAGS = ("PreviewImage", "ThumbnailImage", "JpgFromRaw", "OtherImage", "PreviewTIFF", "ThumbnailTIFF", "MPImage2",
        "EmbeddedImage", "PhotoshopThumbnail", "EmbeddedVideoFile", "DepthMapTIFF", "HDRPlusMakerNote")


def preview() -> bytes:
    file = io.BytesIO()
    mutants.pixels("RGB").save(file, "JPEG", comment=SECRET)
    data = file.getvalue()
    return data if SECRET in data else data[:2] + struct.pack(">HH", 0xFFFE, len(SECRET) + 2) + SECRET + data[2:]


PREVIEW = preview()
BARE = b"\xff\xd8" + PREVIEW[PREVIEW.index(b"\xff\xdb"):] + SECRET  # without the segments that describe it
Entry = tuple[int, int, bytes]  # tag, type, value


def directory(order: str, at: int, *entries: Entry) -> bytes:
    """A directory at the offset `at`, counted like its own offsets."""
    size, values, head = 2 + 12 * len(entries) + 4, b"", struct.pack(order + "H", len(entries))
    for tag, kind, value in entries:
        count = len(value) // {2: 1, 3: 2, 4: 4, 7: 1, 13: 4}[kind]
        where = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "I", at + size + len(values))
        head += struct.pack(order + "HHI", tag, kind, count) + where
        values += (value + bytes(len(value) % 2)) if len(value) > 4 else b""
    return head + bytes(4) + values


def number(order: str, value: int) -> bytes:
    return struct.pack(order + "I", value)


def holding(heading: bytes, order: str, base: int, kept: int, tag: int, value: bytes = PREVIEW) -> bytes:
    """Notes with the preview as a value. `base`: the place in the notes from which offsets count."""
    return heading + directory(order, len(heading) - base, (kept, 2, b"of the camera\0"), (tag, 7, value))


def pointing(heading: bytes, order: str, base: int, kept: int, tags: tuple[int, int], part: int = 0,
             add: int = 0, data: bytes = PREVIEW, count_from: int | None = None) -> bytes:
    """Notes in which the `tags` give the offset and length of a preview, in another directory if there is a `part`."""
    def made(start: int, inner: int) -> bytes:
        places = [(tags[0], 4, number(order, start)), (tags[1], 4, number(order, len(data)))]
        first: list[Entry] = [(kept, 2, b"of the camera\0")]
        if not part:
            return heading + directory(order, len(heading) - base, *sorted([*first, *places]))
        outer = heading + directory(order, len(heading) - base, *first, (part, 4, number(order, inner - base)))
        return outer + directory(order, inner - base, *places)
    inner = len(heading) + len(directory(order, 0, (kept, 2, b"of the camera\0"), (part, 4, bytes(4))))
    start = len(made(0, inner)) - (base if count_from is None else count_from) + add
    return made(start, inner) + data


MAKERS = {
    "Canon": ("Canon", holding(b"", "<", -AT, 0x0006, 0x4321)),
    "Nikon": ("NIKON CORPORATION",
              pointing(b"Nikon\0\2\x10\0\0MM\0*\0\0\0\x08", ">", 10, 0x0004, (0x0201, 0x0202), 0x0011)),
    "Nikon, first": ("NIKON", pointing(b"Nikon\0\1\0", "<", -AT, 0x0003, (0x0201, 0x0202), 0x0011)),
    "Pentax": ("PENTAX Corporation", pointing(b"AOC\0MM", ">", -AT, 0x0229, (0x0004, 0x0003))),
    "Pentax, marked wrongly": ("PENTAX", pointing(b"AOC\0MM", "<", -AT, 0x0229, (0x0004, 0x0003))),
    "Pentax, new": ("PENTAX", pointing(b"PENTAX \0MM", ">", 0, 0x0229, (0x0004, 0x0003))),
    "Casio": ("CASIO COMPUTER CO.,LTD", holding(b"QVC\0\0\0", ">", -AT, 0x0015, 0x2000)),
    "Samsung": ("SAMSUNG", pointing(b"", "<", 0, 0x0001, (0x0201, 0x0202), 0x0035)),
    "Olympus": ("OLYMPUS CORPORATION", pointing(b"OLYMPUS\0II\3\0", "<", 0, 0x0207, (0x0101, 0x0102), 0x2020)),
    "Olympus, old": ("OLYMPUS OPTICAL CO.,LTD", holding(b"OLYMP\0\1\0", "<", -AT, 0x0207, 0x0100)),
    "Sony": ("SONY", holding(b"SONY DSC \0\0\0", "<", -AT, 0x1000, 0x2001, bytes(32) + BARE)),
    "Minolta": ("Minolta Co., Ltd.", holding(b"", ">", -AT, 0x0000, 0x0081, b"\2" + PREVIEW[1:])),
    "Fuji, raw": ("FUJIFILM", holding(b"FUJIFILM\x0c\0\0\0", "<", 0, 0x0010, 0x4321, SECRET * 40)),
    "Panasonic": ("Panasonic", holding(b"Panasonic\0\0\0", "<", -AT, 0x0025, 0x4321)),
    "Apple": ("Apple", holding(b"Apple iOS\0\0\1MM", ">", 0, 0x0015, 0x4321, b"\x89PNG\r\n\x1a\n" + SECRET)),
}
DROPPED = {
    "Samsung, old": ("Samsung Techwin", b"STMN0100" + bytes(60) + PREVIEW),
    "Kodak": ("EASTMAN KODAK COMPANY", b"KDK0101" + bytes(60) + PREVIEW),
    "unknown": ("Camera", holding(b"", "<", -AT, 0x0006, 0x4321)),
    "moved": ("Canon", directory("<", 9000, (0x0006, 2, b"of the camera\0"))),
}


def block(make: str, data: bytes) -> bytes:
    """An EXIF block with these notes at AT, and a thumbnail in a second directory."""
    order = ">" if data[:6] == b"AOC\0MM" else "<"
    writer = tiff.Writer(order, (0x927C, AT, data))
    writer.finish({0x010F: (2, make.encode() + b"\0"), 0x8769: {0x9003: (2, b"2015:06:17 12:00:00\0"),
                                                              0x927C: (7, data)}})
    made = writer.data
    first = struct.unpack(order + "I", made[4:8])[0]
    last = first + 2 + 12 * struct.unpack(order + "H", made[first:first + 2])[0]
    made[last:last + 4] = struct.pack(order + "I", len(made))
    made += struct.pack(order + "H" + "HHII" * 2 + "I", 2, 0x0201, 4, 1, len(made) + 30, 0x0202, 4, 1, len(PREVIEW), 0)
    return bytes(made + PREVIEW)


def shown(path: Path, *tags: str) -> list[str]:
    """Names of the images that ExifTool finds in a file, by their names or groups."""
    if not shutil.which("exiftool"):
        pytest.skip("no exiftool (libimage-exiftool-perl)")
    words = [f"-{tag}" for tag in tags or TAGS] + ["-Preview:all"]
    done = subprocess.run(["exiftool", "-s", "-a", "-m", *words, path], capture_output=True, text=True, check=False)
    return [line.split(" ")[0] for line in done.stdout.splitlines()]


def extracted(path: Path) -> bytes:
    """The bytes of the images with these names."""
    return subprocess.run(["exiftool", "-b", "-a", "-m", *(f"-{tag}" for tag in TAGS), path], capture_output=True,
                          check=False).stdout


def inner(path: Path) -> bytes:
    """The content of a file without its start, its pixels and TIFF headers."""
    data = path.read_bytes()
    if path.suffix == ".jpg":  # only up to the pixels, which can look like anything
        return data[2:data.index(b"\xff\xda")].replace(b"Exif\0\0II*\0", b"").replace(b"Exif\0\0MM\0*", b"")
    with Image.open(path) as image:
        found = image.info.get("exif", b"")[12:] if path.suffix != ".tif" else b""
        return found + str({key: value for key, value in image.info.items() if key != "exif"}).encode()


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("name", [*MAKERS, *DROPPED])
def test_no_preview_of_any_maker_survives(tmp_path: Path, name: str, extension: str) -> None:
    make, data = (MAKERS | DROPPED)[name]
    source = tmp_path / "in.jpg"
    mutants.pixels("RGB").save(source, exif=b"Exif\0\0" + block(make, data))
    assert SECRET in source.read_bytes()
    picture = reading.read(source)
    assert picture.exif
    assert picture.exif.lost_notes == (name in DROPPED)
    picture.recipe = {"a": 1}
    path = tmp_path / f"out.{extension}"
    writing.write(path, picture)
    assert b"UNDREAMED" not in path.read_bytes()
    assert (b"of the camera" in path.read_bytes()) == (name in MAKERS)
# no gap is left where the preview was
    assert name in DROPPED or len(picture.exif.directory[0x8769][0x927C][1]) < 200
    assert not embedded.in_bytes(inner(path).replace(b"MM\0*\0\0\0\x08", b""))  # Nikon's notes contain a TIFF
    assert shown(path) == []
    assert extracted(path) == b""


def test_the_previews_of_these_photos_are_real(tmp_path: Path) -> None:
    """ExifTool finds them in the photos; otherwise the test above would prove nothing."""
    found = set()
    for name, (make, data) in MAKERS.items():
        path = tmp_path / "in.jpg"
        mutants.pixels("RGB").save(path, exif=b"Exif\0\0" + block(make, data))
        assert "ThumbnailImage" in shown(path)
        if set(shown(path)) - {"ThumbnailImage", "PreviewImageStart", "PreviewImageLength"}:
            found.add(name.split(",")[0])
    assert len(found) >= 6, found


def test_places_in_notes_go_unless_they_are_to_be_kept() -> None:
    data = b"Panasonic\0\0\0" + directory("<", AT + 12, (0x0025, 2, b"serial\0"), (0x006D, 2, b"Amsterdam\0"))
    for keep in (False, True):
        clean = notes.clean(data, AT, "<", "Panasonic", keep)
        assert clean
        assert (b"Amsterdam" in clean.data, b"serial" in clean.data) == (keep, True)


def test_notes_without_previews_stay_as_they_are() -> None:
    data = directory("<", AT, (0x0006, 2, b"of the camera\0"), (0x0007, 2, b"1.0\0"))
    assert notes.clean(data, AT, "<", "Canon") == notes.Notes(data, True)
    assert notes.clean(data, AT + 40, "<", "Canon") is None  # moved, so its offsets are wrong


def test_any_bytes_end_in_clean_notes_or_none() -> None:
    chance = np.random.RandomState(0)
    for make, data in list(MAKERS.values()) * 30:
        mutant = bytearray(data[:400])
        for at in chance.randint(0, len(mutant), 5):
            mutant[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF])
        clean = notes.clean(bytes(mutant), AT, "<", make)
        assert clean is None or len(clean.data) <= len(mutant)


def test_anchored_notes_of_a_tiff_far_behind_are_left_out(tmp_path: Path) -> None:
    """They would have to stay a megabyte after the start of the dream."""
    make, data = MAKERS["Sony"]
    order, found, _ = tiff.read(io.BytesIO(block(make, data)), {0x8769: {}})
    found[0x8769][0x927C] = 7, b"SONY DSC \0\0\0" + directory("<", 100_012, (0xB020, 2, b"of the camera\0"))
    (tmp_path / "in.tif").write_bytes(tiff.encode(np.array(mutants.pixels("RGB")), found, order,
                                                  (0x927C, 100_000, found[0x8769][0x927C][1])))
    picture = reading.read(tmp_path / "in.tif")
    assert picture.exif
    assert picture.exif.lost_notes
