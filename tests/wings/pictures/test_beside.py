"""Resolution, XMP, IPTC and text, from each format into each, read back by ExifTool; and the warnings about losses."""

import base64
import io
import json
import shutil
import struct
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import mutants
from dreamer.errors import Mistake
from dreamer.films.containers import CONTAINERS
from dreamer.films.muxed import Muxed
from dreamer.films.numbered import Numbered
from dreamer.films.pieces import Pieces
from dreamer.options import outputs
from dreamer.pictures import beside, embedded, iptc, reading, tiff, writing, xmp
from dreamer.pictures.recipe import read_recipe

PREVIEW = b"\xff\xd8\xff\xe0" + b"UNDREAMED" * 40
OTHER = "<dreamer:recipe xmlns:dreamer='urn:image-dreamer:'>{&quot;other&quot;: 1}</dreamer:recipe>"
PACKET = f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" xmp:Rating="4" exif:GPSLatitude="52,22.5N">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Zoë</rdf:li></rdf:Alt></dc:title>
<dc:subject><rdf:Bag><rdf:li>sky</rdf:li><rdf:li>sea</rdf:li></rdf:Bag></dc:subject>
<GPano:ProjectionType>equirectangular</GPano:ProjectionType>{OTHER}
<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType="Resource"><xmpGImg:image>{base64.b64encode(PREVIEW).decode()}
</xmpGImg:image></rdf:li></rdf:Alt></xmp:Thumbnails></rdf:Description></rdf:RDF></x:xmpmeta>""".encode()


def entry(number: int, value: bytes) -> bytes:
    return struct.pack(">BBBH", 0x1C, 2, number, len(value)) + value


IPTC = (b"\x1c\x01\x5a\0\x03\x1b%G" + entry(5, b"Name") + entry(25, b"word") + entry(90, b"Amsterdam")
        + entry(202, PREVIEW))


def photo(folder: Path, extension: str, packet: bytes = PACKET) -> Path:
    """A picture with resolution, XMP, IPTC and text, if the format can hold them."""
    path, image, file = folder / f"in.{extension}", mutants.pixels("RGB"), io.BytesIO()
    if extension == "jpg":
        image.save(file, "JPEG", dpi=(300, 150))
        data = file.getvalue()
        segments = [(0xE1, xmp.IN_JPEG + packet), (0xED, iptc.IN_JPEG + iptc.block(IPTC)), (0xFE, "Grüße".encode())]
        path.write_bytes(data[:20] + b"".join(struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
                                              for marker, content in segments) + data[20:])
    elif extension == "png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt(beside.XMP_IN_PNG, packet.decode())
        info.add_text(beside.IPTC_IN_PNG, beside.hidden("iptc", iptc.block(IPTC)), zip=True)
        info.add_text("Comment", "Grüße")
        info.add_itxt("Title", "☃", "de", "Titel")
        info.add_text("Author", "Zoë " * 1000, zip=True)
        info.add_text("preview", base64.b64encode(PREVIEW).decode())
        info.add_text("exif:GPSLatitude", "52/1")
        image.save(path, dpi=(300, 150), pnginfo=info)
    elif extension == "webp":
        image.save(path, xmp=packet)
    else:
        path.write_bytes(tiff.encode(np.array(image), {
            282: (5, struct.pack("<II", 300, 1)), 283: (5, struct.pack("<II", 150, 1)), 296: (3, b"\2\0"),
            tiff.XMP: (1, packet), tiff.IPTC: (4, IPTC + bytes(-len(IPTC) % 4))}))
    return path


def told(path: Path) -> dict[str, Any]:
    """The values that ExifTool finds in a file."""
    if not shutil.which("exiftool"):
        pytest.skip("no exiftool (libimage-exiftool-perl)")
    done = subprocess.run(["exiftool", "-j", "-n", "-G0", path], capture_output=True, text=True, check=False)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


def resolution(found: dict[str, Any]) -> tuple[float, float]:
    if "PNG:PixelsPerUnitX" in found:
        return round(found["PNG:PixelsPerUnitX"] * 0.0254), round(found["PNG:PixelsPerUnitY"] * 0.0254)
    group = "JFIF" if "JFIF:XResolution" in found else "EXIF"
    return found[f"{group}:XResolution"], found[f"{group}:YResolution"]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("source", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("target", ["jpg", "png", "webp", "tif"])
def test_what_is_beside_the_picture_stays(tmp_path: Path, source: str, target: str, keep: bool) -> None:
    said: list[str] = []
    picture = reading.read(photo(tmp_path, source), keep_location=keep, warn=said.append)
    picture.recipe = {"ours": 1}
    path = tmp_path / f"out.{target}"
    writing.write(path, picture)
    found = told(path)
    assert (found["XMP:Title"], found["XMP:Rating"], found["XMP:Subject"]) == ("Zoë", 4, ["sky", "sea"])
    assert found["XMP:ProjectionType"] == "equirectangular"
    assert ("XMP:GPSLatitude" in found) == keep
    if source != "webp":
        assert resolution(found) == (300, 150)
        if target != "webp":
            assert (found["IPTC:ObjectName"], found["IPTC:Keywords"]) == ("Name", "word")
            assert found.get("IPTC:City") == ("Amsterdam" if keep else None)
    if {source, target} <= {"jpg", "png"}:
        assert found["File:Comment" if target == "jpg" else "PNG:Comment"] == "Grüße"
    assert read_recipe(path) == {"ours": 1}
    assert b"other" not in path.read_bytes()
    data = path.read_bytes()
    assert b"UNDREAMED" not in data
    assert not embedded.in_text(data)
    assert not [name for name in found if "Thumbnail" in name or "Preview" in name or "Warning" in name]
    assert said == []


def test_a_pngs_text_stays_in_a_png_and_is_told_to_be_lost_elsewhere(tmp_path: Path) -> None:
    picture = reading.read(photo(tmp_path, "png"))
    writing.write(tmp_path / "out.png", picture)
    with Image.open(tmp_path / "out.png") as image:
        image.load()
        title = image.text["Title"]
        assert (title, title.lang, title.tkey) == ("☃", "de", "Titel")
        assert image.text["Author"] == "Zoë " * 1000
        assert set(image.text) == {"Comment", "Title", "Author", beside.XMP_IN_PNG, beside.IPTC_IN_PNG}
    outputs.check_picture_fits("a.png", picture, pytest.fail)
    said: list[str] = []
    outputs.check_picture_fits("a.jpg", picture, said.append)
    assert said == ["output: a JPEG has no room for the picture's text (Title, Author); a .png keeps all"]
    outputs.check_picture_fits("a.webp", picture, said.append)
    assert said[1:] == [
        "output: a WEBP has no room for the picture's text (Comment, Title, Author) and IPTC; a .png keeps all"]


def test_a_dream_of_a_dream_has_one_recipe(tmp_path: Path) -> None:
    for number, extension in enumerate(["jpg", "png", "webp", "tif", "jpg"]):
        source = tmp_path / f"out{number - 1}"
        picture = reading.read(photo(tmp_path, "jpg") if not number else next(tmp_path.glob(f"{source.name}.*")))
        picture.recipe = {"number": number}
        path = tmp_path / f"out{number}.{extension}"
        writing.write(path, picture)
        assert read_recipe(path) == {"number": number}
        data = path.read_bytes()
        assert data.count(b'"number"') + data.count(b"&quot;number&quot;") == 1
    assert told(path)["XMP:Title"] == "Zoë"


def test_long_xmp_is_whole_in_a_jpeg_too(tmp_path: Path) -> None:
    rights = b"all, " * 39_999 + b"all. "
    long = PACKET.replace(b"</rdf:Description>", b"<dc:rights>" + rights + b"</dc:rights></rdf:Description>")
    picture = reading.read(photo(tmp_path, "tif", long))
    picture.recipe = {"ours": 1}
    writing.write(tmp_path / "a.jpg", picture)
    assert read_recipe(tmp_path / "a.jpg") == {"ours": 1}
    found = told(tmp_path / "a.jpg")
    assert (found["XMP:Title"], len(found["XMP:Rights"])) == ("Zoë", 200_000)
    picture = reading.read(tmp_path / "a.jpg")
    writing.write(tmp_path / "b.png", picture)
    found = told(tmp_path / "b.png")
    assert (found["XMP:Title"], len(found["XMP:Rights"])) == ("Zoë", 200_000)
    assert "XMP:HasExtendedXMP" not in found


def test_a_ratio_of_pixels_stays(tmp_path: Path) -> None:
    file = io.BytesIO()
    mutants.pixels("RGB").save(file, "JPEG")
    data = bytearray(file.getvalue())
    data[13:18] = struct.pack(">BHH", 0, 2, 1)
    (tmp_path / "a.jpg").write_bytes(data)
    picture = reading.read(tmp_path / "a.jpg")
    writing.write(tmp_path / "b.jpg", picture)
    assert (tmp_path / "b.jpg").read_bytes()[13:18] == data[13:18]
    writing.write(tmp_path / "b.png", picture)
    assert Image.open(tmp_path / "b.png").info["aspect"] == (2, 1)
    assert reading.read(tmp_path / "b.png").beside.resolution == picture.beside.resolution


@pytest.mark.parametrize("name", ["gain map", "second frame", "audio note", "video", "damaged XMP"])
def test_what_cannot_be_kept_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    path, said = photo(tmp_path, "jpg"), list[str]()
    data = path.read_bytes()
    if name == "gain map":
        content = b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4)
        path.write_bytes(data[:20] + struct.pack(">HH", 0xFFE2, len(content) + 2) + content + data[20:])
    elif name == "second frame":
        Image.init()
        if "MPO" not in Image.SAVE_ALL:
            pytest.skip("this Pillow writes no MPO")
        second = mutants.pixels("RGB").transpose(Image.FLIP_LEFT_RIGHT)
        mutants.pixels("RGB").save(path, "MPO", save_all=True, append_images=[second])
    elif name in ("audio note", "video"):  # Samsung's trailer
        content = PREVIEW + b"SEFH" + struct.pack("<IIHHII", 106, 1, 0, 0x0100 if name == "audio note" else 0x0A30,
                                                  len(PREVIEW), len(PREVIEW))
        path.write_bytes(data + content + struct.pack("<I", len(content) - len(PREVIEW)) + b"SEFT")
    else:
        photo(tmp_path, "jpg", b"<x:xmpmeta>")
    picture = reading.read(path, warn=said.append)
    for extension in ("jpg", "png", "webp", "tif"):
        writing.write(tmp_path / f"out.{extension}", picture)
        assert (tmp_path / f"out.{extension}").read_bytes().count(b"UNDREAMED") == 0
        with Image.open(tmp_path / f"out.{extension}") as image:
            assert getattr(image, "n_frames", 1) == 1
    expected = [] if name == "second frame" else [f"input: the dream cannot keep: {name}"]
    assert said == expected


def test_any_bytes_beside_a_picture_do_no_harm(tmp_path: Path) -> None:
    chance = np.random.RandomState(0)
    refused = 0
    for extension in ("jpg", "png", "tif"):
        data = photo(tmp_path, extension).read_bytes()
        start, end = (20, 2800) if extension == "jpg" else (33, 2000) if extension == "png" else (len(data) - 3000, 0)
        for _ in range(150):
            mutant = bytearray(data)
            for at in chance.randint(start, end or len(data), 4):
                mutant[at] = chance.choice([0, 1, 0x1C, 0x3C, 0x7F, 0x80, 0xFF])
            (tmp_path / f"mutant.{extension}").write_bytes(mutant)
            try:
                picture = reading.read(tmp_path / f"mutant.{extension}")
            except Mistake:
                refused += 1
                continue
            for other in ("jpg", "png", "webp", "tif"):
                written = bytes(writing.encode(picture, writing.FORMATS[f".{other}"][0]))
                assert b"UNDREAMED" not in written
    print(f"{refused} of 450 were refused")


@pytest.mark.parametrize("extension", ["gif", "webp", "mp4", "mkv", "mov", "webm", "png"])
def test_a_film_holds_no_preview(tmp_path: Path, extension: str) -> None:
    if f".{extension}" in CONTAINERS and not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg: ./provision.sh film")
    picture = reading.read(photo(tmp_path, "jpg"))
    (tmp_path / "pieces").mkdir()
    output = str(tmp_path / ("out.%03d.png" if extension == "png" else f"out.{extension}"))
    film: Muxed | Numbered | Pieces
    if extension == "png":
        film = Numbered(output)
    elif holds := CONTAINERS.get(f".{extension}"):
        film = Muxed(output, holds, tmp_path / "pieces", Fraction(8), None, (40, 50))
    else:
        film = Pieces(output, tmp_path / "pieces", Fraction(8), None)
    film.begin()
    for number in range(2):
        film.keep(number, picture)
    film.finish(2, {"height": 40, "width": 50})
    for path in [*tmp_path.glob("out*"), *(tmp_path / "pieces").iterdir()]:
        assert b"UNDREAMED" not in path.read_bytes()
    assert len(list(tmp_path.glob("out*"))) == (2 if extension == "png" else 1)


@pytest.mark.parametrize("mark", ["the photo's", "the map's"])
def test_a_gain_map_behind_a_photo(tmp_path: Path, mark: str) -> None:
    """Ultra HDR: a JPEG of two pictures, of which one or both say what they are."""
    Image.init()
    if "MPO" not in Image.SAVE_ALL:
        pytest.skip("this Pillow writes no MPO")
    image, name, kind = mutants.pixels("RGB"), tmp_path / "a.jpg", b"urn:iso:std:iso:ts:21496:-1\0"
    image.save(name, "MPO", save_all=True, append_images=[image.convert("L")])
    segment = b"\xff\xe2" + (len(kind) + 2).to_bytes(2, "big") + kind
    data = name.read_bytes()
    at = data.rindex(b"\xff\xd8\xff") + 2 if mark == "the map's" else 2
    assert b"MPF" in data[at:] or mark == "the map's"
    name.write_bytes(data[:at] + segment + data[at:])
    said: list[str] = []
    reading.read(name, warn=said.append)
    assert said == ["input: the dream cannot keep: gain map"]
