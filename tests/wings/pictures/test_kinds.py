"""The names of file formats in messages."""

from pathlib import Path

import pytest

import mutants
from dreamer.errors import Mistake
from dreamer.pictures import kinds, reading


def test_every_format_is_recognised_by_its_content() -> None:
    for name, data in mutants.seeds().items():
        kind = name.split()[1]
        if kind != "TGA":  # a TGA has no mark
            assert kinds.PICTURE[kinds.picture(data[:kinds.LONG]) or ""] == kinds.PICTURE[kind], name


@pytest.mark.parametrize(("content", "words"), [
    (b"%PDF-1.7\n", "a PDF document"), (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "a video"),
    (b"PK\3\4....", "a ZIP archive"),
    (b"<?xml version='1.0'?>\n<svg>", "an SVG drawing"), (b"RIFF\0\0\0\0WAVE", "a sound"),
    (b"\x1a\x45\xdf\xa3....", "a video"), (b"gimp xcf v011", "a GIMP picture"), (b"<!DOCTYPE html>", "a web page")])
def test_other_files_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(Mistake, match=f"a.jpg is {words}, not a picture in a supported format") as told:
        reading.read(tmp_path / "a.jpg")
    assert str(told.value).count("a.jpg") == 1


@pytest.mark.parametrize(("start", "kind"), [
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"), (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
    (b"\0\0\0\x1cftypavis\0\0\0\0avifavis", "AVIF"), (b"\xff\x0a\x7f", "JXL"), (b"\0\0\0\x18ftypcrx \0\0\0\1", "RAW"),
    (b"II*\0\x10\0\0\0CR\2\0", "RAW"), (b"\0\0\0\x18ftypisom\0\0\0\0", None)])
def test_kinds_of_boxes(start: bytes, kind: str | None) -> None:
    assert kinds.picture(start) == kind
