"""The sheet of an atlas: names below pictures."""

import numpy as np
import pytest
from PIL import ImageFont

from dreamer.pictures import sheet


def test_names_below_pictures_need_no_new_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one of Ubuntu 22.04 cannot measure text in its own font, but can draw it."""
    font = getattr(ImageFont, "load_default_imagefont", ImageFont.load_default)()
    monkeypatch.setattr(ImageFont, "load_default", lambda: font)
    known = np.asarray(sheet.label("inception_4c/output"))
    monkeypatch.delattr(ImageFont.ImageFont, "getbbox", raising=False)
    assert np.array_equal(sheet.label("inception_4c/output"), known)
    assert known.max() > 200
