"""Whether two machines would dream the same."""

import pytest

from dreamer.errors import Failure
from dreamer.farm.likeness import check, weights

MINE = {"program": "1.0 (abc)", "caffe": "c", "engine": "2022.12.1", "weights": {"daydream": "1", "own": "2"}}


def test_machines_with_the_same_are_alike() -> None:
    check(MINE, MINE)
    check(MINE, MINE | {"weights": {"daydream": "1", "missing here": "3"}})


@pytest.mark.parametrize(("part", "name"), [("program", "image-dreamer"), ("caffe", "Caffe"),
                                            ("engine", "python3-distributed")])
def test_what_differs_is_told(part: str, name: str) -> None:
    with pytest.raises(Failure, match=rf"^this machine has {name} .*, but the farm has other: use the same image"):
        check(MINE, MINE | {part: "other"})


def test_other_weights_are_told() -> None:
    with pytest.raises(Failure, match=r"other weights of 1 model than the farm \(own\)"):
        check(MINE, MINE | {"weights": {"own": "3"}})


def test_the_weights_that_are_here() -> None:
    assert len(weights()["daydream"]) == 64
