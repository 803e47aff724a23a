"""The exam: how well a pupil dreams, on photos that it has not learnt from."""

import math

from nets import cosine, dream, gradient, objective
from pictures import load


class Exam:
    """The two measures on held-out photos of 256 px (longer side)."""

    def __init__(self, teacher, photos):
        self.teacher, self.rows = teacher, []
        for path in photos:
            x = load(path, 256)
            ceiling = math.log(objective(teacher, dream(teacher, x)) / objective(teacher, x))
            self.rows.append((path.split("/")[-1], x, gradient(teacher, x), ceiling))

    def __call__(self, net):
        """{photo: (cosine of the one-step gradient, gain ratio)}"""
        out = {}
        for name, x, g, ceiling in self.rows:
            c = cosine(gradient(net, x), g).item()
            r = math.log(objective(self.teacher, dream(net, x)) / objective(self.teacher, x)) / ceiling
            out[name] = (round(c, 3), round(r, 3))
        return out
