"""Whether a dream can be written to the requested place."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dreamer.errors import Mistake
from dreamer.options import outputs
from dreamer.pictures import writing
from dreamer.pictures.picture import Picture


@pytest.mark.parametrize(("extension", "side", "fits"), [
    (".webp", 16383, True), (".webp", 16384, False), (".jpg", 65500, True), (".jpg", 65501, False),
    (".png", 70000, True)])
def test_what_a_format_cannot_hold_is_told_before_the_work(tmp_path: Path, extension: str, side: int,
                                                           fits: bool) -> None:
    picture = Picture(np.zeros((1, side, 3), np.uint8))
    if fits:
        outputs.check_picture_fits(f"a{extension}", picture, pytest.fail)
        writing.write(tmp_path / f"a{extension}", picture)
        assert Image.open(tmp_path / f"a{extension}").size == (side, 1)
    else:
        with pytest.raises(Mistake, match="pixels per side"):
            outputs.check_picture_fits(f"a{extension}", picture, pytest.fail)


def test_alpha_that_is_lost_is_told() -> None:
    said: list[str] = []
    clear, opaque = (Picture(np.zeros((9, 9, 3)), np.full((9, 9), alpha, np.uint8)) for alpha in (9, 255))
    for path, picture in (("a.png", clear), ("-", clear), ("a.jpg", opaque), ("a.jpg", Picture(clear.pixels))):
        outputs.check_picture_fits(path, picture, said.append)
    assert not said
    outputs.check_picture_fits("a.jpg", clear, said.append)
    assert len(said) == 1
