"""The viewer of the studio: every kind of file is looked at in a child, and a bad one does no harm."""

import asyncio
import os
import shutil
import struct
import subprocess
import time
import zlib
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from dreamer.errors import Mistake
from dreamer.pictures import writing
from dreamer.pictures.picture import Picture
from dreamer.studio import viewer
from dreamer.studio.eye import Eye
from dreamer.studio.seen import Seen
from dreamer.studio.viewer import Viewer
from helpers import ROOT

RECIPE = {"version": "1", "model": "daydream", "layer": "inception_4d/output", "iterations": 10, "width": 60,
          "height": 40}


@pytest.fixture
def looking(tmp_path: Path) -> Iterator[Viewer]:
    found = Viewer(tmp_path / ".studio")
    yield found
    found.close()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def photo(path: Path, mode: str = "RGB", size: tuple[int, int] = (60, 40), **options: Any) -> Path:
    """A picture whose left half is red (or as light as red is), and whose right half is blue."""
    image = Image.new("RGB", size, (255, 0, 0))
    image.paste((0, 0, 255), (size[0] // 2, 0, *size))
    image.convert(mode).save(path, **options)
    return path


def near(path: Path, at: tuple[int, int], colour: tuple[int, int, int], most: int = 24) -> bool:
    with Image.open(path) as image:
        assert image.format == "JPEG"
        assert image.mode == "RGB"
        found = image.getpixel(at)
    assert isinstance(found, tuple)
    return all(abs(int(a) - b) <= most for a, b in zip(found, colour, strict=True))


# pictures ------------------------------------------------------------------------------------------------

def deep_png(path: Path) -> None:
    """A PNG of 16 bits, whose left half is red and whose right half is blue."""
    rows = b"".join(b"\0" + 30 * struct.pack(">3H", 65535, 0, 0) + 30 * struct.pack(">3H", 0, 0, 65535)
                    for _ in range(40))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60, 40, 16, 2, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def made(path: Path, tool: str, *words: str, exif: int = 1) -> None:
    """A file that a program makes of a picture of ours, with this orientation."""
    if not shutil.which(tool):
        pytest.skip(f"no {tool}")
    block = Image.Exif()
    block[0x0112] = exif
    source = photo(path.parent / ".source.jpg", exif=block, quality=98)
    done = subprocess.run([tool, *[str(source) if word == "IN" else str(path) if word == "OUT" else word
                                   for word in words]], check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"{tool} cannot make it")


ODD: dict[str, Callable[[Path], object]] = {
    "plain.jpg": photo, "cmyk.jpg": lambda path: photo(path, "CMYK"), "palette.png": lambda path: photo(path, "P"),
    "still.gif": lambda path: photo(path, "P"), "a.webp": lambda path: photo(path, lossless=True),
    "b.tif": lambda path: photo(path, compression="tiff_lzw"), "c.bmp": photo, "d.tga": photo, "e.jp2": photo,
    "deep.png": deep_png,
    "f.heic": lambda path: made(path, "heif-enc", "-q", "95", "-o", "OUT", "IN"),
    "g.avif": lambda path: made(path, "avifenc", "IN", "OUT"),
    "h.jxl": lambda path: made(path, "cjxl", "IN", "OUT", "-d", "0"),
}


@pytest.mark.parametrize("name", ODD)
def test_every_format_becomes_a_jpeg(looking: Viewer, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    ODD[name](path)

    async def work() -> tuple[Seen, Path | None, Path, Path]:
        return (await looking.look(path), await looking.thumb(path), await looking.view(path),
                await looking.view(path, True))
    seen, *pictures = run(work())
    assert (seen.kind, seen.width, seen.height, seen.error) == ("photo", 60, 40, "")
    assert seen.type.startswith("image/")
    for each in pictures:
        with Image.open(each) as image:
            assert image.size == (60, 40)
        light = 80 if name in ("cmyk.jpg", "palette.png", "still.gif") else 40
        assert near(each, (10, 20), (255, 0, 0), light)
        assert near(each, (50, 20), (0, 0, 255), light)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("extension", ["jpg", "tif"])
def test_turned_photos_are_upright(looking: Viewer, tmp_path: Path, orientation: int, extension: str) -> None:
    """As Pillow itself turns a JPEG (it would turn a TIFF twice)."""
    path, exif = tmp_path / f"turned.{extension}", Image.Exif()
    exif[0x0112] = orientation
    photo(path, exif=exif)
    with Image.open(photo(tmp_path / ".same.jpg", exif=exif)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")

    async def work() -> tuple[Seen, Path | None]:
        return await looking.look(path), await looking.thumb(path)
    seen, thumb = run(work())
    assert (seen.width, seen.height) == upright.size
    assert thumb
    for at in (5, 5), (upright.width - 5, upright.height - 5):
        assert near(thumb, at, upright.getpixel(at))


@pytest.mark.parametrize(("name", "tool", "words"), [
    ("a.jxl", "cjxl", ("IN", "OUT")), ("a.avif", "avifenc", ("IN", "OUT")),
    ("a.heic", "heif-enc", ("-o", "OUT", "IN"))])
def test_modern_photos_that_are_turned(looking: Viewer, tmp_path: Path, name: str, tool: str,
                                       words: tuple[str, ...]) -> None:
    """Their details are right, whatever their encoder made of the turn."""
    made(tmp_path / name, tool, *words, exif=6)

    async def work() -> tuple[Seen, Path | None]:
        return await looking.look(tmp_path / name), await looking.thumb(tmp_path / name)
    seen, thumb = run(work())
    assert thumb
    with Image.open(thumb) as image:
        assert (seen.width, seen.height) == image.size


def test_transparency_is_shown_before_dark(looking: Viewer, tmp_path: Path) -> None:
    image = Image.new("RGBA", (60, 40), (255, 255, 255, 0))
    image.paste((0, 255, 0, 255), (30, 0, 60, 40))
    image.save(tmp_path / "clear.png")
    thumb = run(looking.thumb(tmp_path / "clear.png"))
    assert near(thumb, (10, 20), (32, 32, 32))
    assert near(thumb, (50, 20), (0, 255, 0))


def test_a_profile_is_converted(looking: Viewer, tmp_path: Path) -> None:
    """LAB's profile is not for RGB, so make one: sRGB with red and green changed."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    swapped = bytearray(profile)
    swapped[red:red + 4], swapped[green:green + 4] = b"gXYZ", b"rXYZ"
    Image.new("RGB", (60, 40), (255, 0, 0)).save(tmp_path / "green.png", icc_profile=bytes(swapped))
    thumb = run(looking.thumb(tmp_path / "green.png"))
    assert near(thumb, (20, 20), (0, 255, 0), 40)


def test_sizes_are_bounded(looking: Viewer, tmp_path: Path) -> None:
    path = photo(tmp_path / "large.jpg", size=(5000, 2000))

    async def work() -> list[Path | None]:
        return [await looking.thumb(path), await looking.view(path), await looking.view(path, True)]
    sizes = []
    for each in run(work()):
        with Image.open(each) as image:
            sizes.append(image.size)
    assert sizes == [(320, 128), (2048, 819), (5000, 2000)]


# kinds ---------------------------------------------------------------------------------------------------

def dream(path: Path, **more: Any) -> Path:
    writing.write(path, Picture(np.full((40, 60, 3), 128, np.uint8), recipe=RECIPE | more))
    return path


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
def test_a_dream_is_known_by_its_recipe(looking: Viewer, tmp_path: Path, extension: str) -> None:
    seen = run(looking.look(dream(tmp_path / f"cat-dream-2.{extension}")))
    assert (seen.kind, seen.width, seen.height) == ("dream", 60, 40)
    assert seen.recipe == RECIPE
    assert seen.words == "Dream of cat at inception_4d/output: dogs in thick fur, feathers at the edges"


def test_a_sheet_and_a_film_are_dreams_of_their_own_kind(looking: Viewer, tmp_path: Path) -> None:
    assert run(looking.look(dream(tmp_path / "all.png", atlas=9))).kind == "sheet"
    assert run(looking.look(dream(tmp_path / "cat.webp", fps=25.0))).kind == "film"


@pytest.mark.parametrize("recipe", [{"layer": 7}, {"model": "../../../etc", "layer": "a"}, {"layer": "x" * 40_000},
                                    {"layer": "<script>\n"}, {"fps": [], "atlas": {}}])
def test_recipes_of_strangers_do_no_harm(looking: Viewer, tmp_path: Path, recipe: dict[str, Any]) -> None:
    writing.write(tmp_path / "a.png", Picture(np.zeros((4, 4, 3), np.uint8), recipe=recipe))
    seen = run(looking.look(tmp_path / "a.png"))
    assert seen.kind in ("dream", "sheet")
    assert seen.recipe == recipe
    assert len(seen.words) < 200
    assert seen.words.isprintable()


def test_moving_pictures_are_videos(looking: Viewer, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (60, 40), (value, 0, 0)) for value in (250, 100)]
    for name in "a.gif", "b.webp", "c.png":
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=100)
        seen = run(looking.look(tmp_path / name))
        assert (seen.kind, seen.width, seen.height) == ("video", 60, 40), name
        assert near(run(looking.thumb(tmp_path / name)), (5, 5), (250, 0, 0))


def clip(path: Path) -> Path:
    if not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg: ./provision.sh film")
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=red:size=64x48:rate=10:duration=1", "-f",
                    "mp4", "-metadata", "comment=" + '{"layer": "a", "fps": 10, "weights_sha256": ""}'
                    if "dream" in path.name else "title=x", str(path)], check=True)
    return path


def test_videos_and_films(looking: Viewer, tmp_path: Path) -> None:
    for name, kind in (("a.mp4", "video"), ("a-dream.mp4", "film")):
        path = clip(tmp_path / name)
        seen = run(looking.look(path))
        assert (seen.kind, seen.width, seen.height, seen.type) == (kind, 64, 48, "video/mp4")
        assert near(run(looking.thumb(path)), (5, 5), (254, 0, 0))


def test_without_ffmpeg_a_film_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films = [clip(tmp_path / name) for name in ("a.mp4", "a-dream.mp4")]
    monkeypatch.setenv("PATH", "")
    looking = Viewer(tmp_path / ".studio")
    try:
        assert [run(looking.look(path)).kind for path in films] == ["video", "film"]
        assert run(looking.thumb(films[0])) is None
        with pytest.raises(Mistake, match="b.mp4 is a video, and .* is not installed"):
            run(looking.check(films[0], "b.mp4"))
    finally:
        looking.close()


# bad files -----------------------------------------------------------------------------------------------

def bomb(path: Path) -> Path:
    """A PNG of 400 megapixels in some kilobytes."""
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes(20_001)) for _ in range(20_000)) + packer.flush()

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0))
                     + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    assert path.stat().st_size < 1 << 20
    return path


def test_bad_files_are_unreadable_and_say_why(looking: Viewer, tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("<!doctype html><script>alert(1)</script>")
    (tmp_path / "empty.png").write_bytes(b"")
    whole = photo(tmp_path / "whole.jpg", size=(600, 400)).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[:len(whole) // 2])
    bomb(tmp_path / "bomb.png")

    async def work() -> dict[str, tuple[Seen, Path | None, Seen]]:
        return {name: (await looking.look(tmp_path / name), await looking.thumb(tmp_path / name),
                       await looking.look(tmp_path / name))
                for name in ("page.jpg", "empty.png", "cut.jpg", "bomb.png", "whole.jpg")}
    found = run(work())
    for name, words in {"page.jpg": "page.jpg is a web page, not a picture", "empty.png": "empty.png is empty",
                        "cut.jpg": "cut.jpg is a JPEG picture, but damaged or cut short",
                        "bomb.png": "bomb.png has more than 89478485 pixels"}.items():
        _, thumb, after = found[name]
        assert thumb is None
        assert after.kind == "unreadable"
        assert after.error.startswith(words)
        assert str(tmp_path) not in after.error
        assert "/proc" not in after.error
    assert found["whole.jpg"][1]


def test_links_pipes_and_folders_are_not_opened(looking: Viewer, tmp_path: Path) -> None:
    secret = photo(tmp_path / "secret.jpg")
    (tmp_path / "link.jpg").symlink_to(secret)
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for name in "link.jpg", "pipe.jpg", "folder.jpg", "none.jpg":
        for ask in looking.look, looking.thumb, looking.view:
            with pytest.raises(Mistake, match=name):
                run(ask(tmp_path / name))


def test_a_link_that_comes_between_is_not_followed(looking: Viewer, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    secret, path = photo(tmp_path / "secret.jpg"), tmp_path / "link.jpg"
    path.symlink_to(secret)
    monkeypatch.setattr(viewer, "like", lambda path: viewer.Like(*path.stat()[6:8]))
    assert run(looking.look(path)).kind == "unreadable"
    assert run(looking.thumb(path)) is None


def test_a_file_that_vanishes_is_not_kept(looking: Viewer, tmp_path: Path) -> None:
    async def work() -> None:
        path = photo(tmp_path / "a.jpg")
        asking = asyncio.ensure_future(looking.look(path))
        await asyncio.sleep(0)
        path.unlink()
        with pytest.raises(Mistake, match=r"no file a\.jpg"):
            await asking
    run(work())
    assert not [*(tmp_path / ".studio/thumbs").glob("*.json")] if (tmp_path / ".studio/thumbs").exists() else True


class Hostile:
    """Stands for a decoder that a file kills, or keeps busy for ever."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __call__(self, question: Any) -> Any:
        name = os.path.basename(question.path)
        if name.startswith("kill"):
            os.abort()
        if name.startswith("hang"):
            time.sleep(1000)
        return self._answer(question)


def test_a_file_that_kills_or_hangs_the_child_is_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Eye
    monkeypatch.setattr(viewer, "Eye", lambda **words: Hostile(real(**words)))
    monkeypatch.setattr(viewer, "PATIENCE", 6.0)
    looking = Viewer(tmp_path / ".studio")
    names = "kill.jpg", "hang.jpg", "good.jpg"
    for name in names:
        photo(tmp_path / name)

    async def work() -> list[Seen]:
        return await asyncio.gather(*(looking.look(tmp_path / name) for name in names))
    try:
        for _ in range(2):
            began = time.monotonic()
            found = run(work())
            assert [each.kind for each in found] == ["unreadable", "unreadable", "photo"]
            assert "cannot be decoded" in found[0].error
        assert time.monotonic() < began + 5.5  # the second time nothing hangs: it is remembered
        with pytest.raises(Mistake, match="x.jpg cannot be decoded"):
            run(looking.check(tmp_path / "kill.jpg", "x.jpg"))
        assert run(looking.check(tmp_path / "good.jpg", "x.jpg")).kind == "photo"
    finally:
        looking.close()


# what is kept --------------------------------------------------------------------------------------------

def test_a_restart_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, first = dream(tmp_path / "cat-dream.jpg"), Viewer(tmp_path / ".studio")

    async def work(looking: Viewer) -> tuple[Seen, Path | None]:
        return await looking.look(path), await looking.thumb(path)
    before = run(work(first))
    first.close()
    monkeypatch.setattr(viewer, "Eye", lambda **words: Hostile(None))
    second = Viewer(tmp_path / ".studio")
    assert run(work(second)) == before
    second.close()


def test_a_changed_file_is_looked_at_again(looking: Viewer, tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    first = run(looking.thumb(path))
    os.utime(path, (1, 1))
    photo(path, size=(100, 50))
    assert run(looking.look(path))[1:3] == (100, 50)
    assert run(looking.thumb(path)) != first


def test_what_is_kept_may_be_removed_or_damaged(looking: Viewer, tmp_path: Path) -> None:
    path, hidden = photo(tmp_path / "a.jpg"), tmp_path / ".studio"

    async def work() -> None:
        for harm in (lambda: None, lambda: shutil.rmtree(hidden), lambda: [each.write_bytes(b"")
                     for each in hidden.rglob("*.*")], lambda: [each.write_bytes(b"[" * 10_000)
                     for each in hidden.rglob("*.json")]):
            harm()
            assert (await looking.look(path)).kind == "photo"
            for thumb in await looking.thumb(path), await looking.view(path):
                assert thumb
                with Image.open(thumb) as image:
                    image.load()
    run(work())


def test_many_who_ask_for_the_same_get_one_answer(looking: Viewer, tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")

    async def work() -> list[Path | None]:
        return await asyncio.gather(*(looking.thumb(path) for _ in range(20)))
    assert len(set(run(work()))) == 1
    assert sorted(each.suffix for each in (tmp_path / ".studio/thumbs").iterdir()) == [".jpg", ".json"]


# uploads -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("kind", "name", "right"), [
    ("JPEG", "a.jpg", "a.jpg"), ("JPEG", "a.JPEG", "a.JPEG"), ("PNG", "a.jpg", "a.png"), ("JPEG", "a", "a.jpg"),
    ("JPEG", "my.holiday", "my.holiday.jpg"), ("WEBP", "a.png", "a.webp"), ("JPEG", "a.php", "a.php.jpg"),
    ("TIFF", "a.TIF", "a.TIF"), ("GIF", "a.mp4", "a.gif")])
def test_an_upload_gets_the_name_that_fits(looking: Viewer, tmp_path: Path, kind: str, name: str,
                                           right: str) -> None:
    part = tmp_path / ".part"
    photo(part, format=kind)
    found = run(looking.check(part, name))
    assert (found.kind, found.name, found.width, found.height) == ("photo", right, 60, 40)


def test_bad_uploads_are_refused_in_the_programs_words(looking: Viewer, tmp_path: Path) -> None:
    part = tmp_path / ".part"
    whole = photo(part, format="JPEG", size=(600, 400)).read_bytes()
    for content, words in ((b"%PDF-1.4", r"x.jpg is a PDF document, not a picture"), (b"", "x.jpg is empty"),
                           (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "x.jpg is an SVG drawing"),
                           (whole[:len(whole) // 2], "x.jpg is a JPEG picture, but damaged or cut short")):
        part.write_bytes(content)
        with pytest.raises(Mistake, match=words) as error:
            run(looking.check(part, "x.jpg"))
        assert ".part" not in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(Mistake, match=r"^x.jpg has more than 89478485 pixels$"):
        run(looking.check(bomb(part), "x.jpg"))


@pytest.mark.usefixtures("ffmpeg")
def test_an_uploaded_video(looking: Viewer, tmp_path: Path) -> None:
    part = clip(tmp_path / ".part")
    found = run(looking.check(part, "holiday.jpg"))
    assert (found.kind, found.name, found.type) == ("video", "holiday.mp4", "video/mp4")
    part.write_bytes(part.read_bytes()[:600])
    with pytest.raises(Mistake, match="x.mp4"):
        run(looking.check(part, "x.mp4"))


def test_real_photos(looking: Viewer) -> None:
    found = run(looking.look(ROOT / "tests/pictures/dandelions.jpg"))
    assert found.kind == "photo"
    assert min(found.width, found.height) > 100
