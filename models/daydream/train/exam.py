"""The exam: how well a pupil dreams, on photos that it has not learnt from."""

import math
from collections.abc import Sequence

from torch import Tensor

from nets import Net, cosine, dream, gradient, objective
from pictures import load


class Exam:
    """The two measures of measure.py, by PyTorch, on held-out photos whose longer side is scaled to 256 pixels.

    teacher  the Net that the pupil imitates
    photos   paths"""

    def __init__(self, teacher: Net, photos: Sequence[str]) -> None:
        self.teacher = teacher
        self.rows: list[tuple[str, Tensor, Tensor, float]] = []  # name, picture, the teacher's gradient and gain
        for path in photos:
            x = load(path, 256)
            ceiling = math.log(objective(teacher, dream(teacher, x)) / objective(teacher, x))
            self.rows.append((path.split("/")[-1], x, gradient(teacher, x), ceiling))

    def __call__(self, net: Net) -> dict[str, tuple[float, float]]:
        """{photo: (cosine of the one-step gradient, gain ratio)} of a pupil, to three places."""
        out = {}
        for name, x, g, ceiling in self.rows:
            c = cosine(gradient(net, x), g).item()
            r = math.log(objective(self.teacher, dream(net, x)) / objective(self.teacher, x)) / ceiling
            out[name] = (round(c, 3), round(r, 3))
        return out
