"""Compares pupil and teacher, with the project's own dreams in Caffe: writes the figures and the sheet of pictures.

    cosine  of the gradient of the first step, at 256 px (longer side)
    gain    log of the factor by which the pupil's dream of 10 x 4 steps raises the teacher's objective,
            divided by the same for the teacher's own dream

$ python3 measure.py --pupil daydream.caffemodel --teacher bvlc_googlenet.caffemodel --photos *.jpg \
      --figures figures.json
$ python3 measure.py ... --sheet sheet.jpg --side 400
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE.parents[1]))
from dreamer.arrays import Pixels  # noqa: E402
from dreamer.nets import model, net  # noqa: E402
from dreamer.pictures.picture import eight_bit  # noqa: E402
from dreamify import deepdream  # noqa: E402

END = "inception_4c/output"


def picture(path: str, side: int) -> NDArray[np.uint8]:
    """The picture in a file, (h, w, 3) RGB, scaled so that its longer side has `side` pixels."""
    im = Image.open(path).convert("RGB")
    k = side / max(im.size)
    return np.asarray(im.resize((round(im.width * k), round(im.height * k)), Image.BICUBIC))


def gradient(n: net.Net, image: Pixels) -> tuple[float, NDArray[np.float64]]:
    """(half the mean square of inception_4c/output, the gradient at the picture as a vector) for `image` (h, w, 3)."""
    blobs = n.caffe.blobs
    blobs["data"].reshape(1, 3, *image.shape[:2])
    n.caffe.reshape()
    mean = np.array(n.model.mean, np.float32)[:, None, None]
    blobs["data"].data[0] = image.astype(np.float32).transpose(2, 0, 1)[::-1] - mean
    n.caffe.forward(end=END)
    a = blobs[END].data[0]
    blobs[END].diff[0] = a
    objective = 0.5 * float(np.square(a, dtype=np.float64).mean())
    n.caffe.backward(start=END)
    return objective, np.array(blobs["data"].diff[0], np.float64).ravel()


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--pupil", required=True)
    ap.add_argument("--teacher", required=True)
    ap.add_argument("--photos", nargs="+", required=True)
    ap.add_argument("--side", type=int, default=256)
    ap.add_argument("--figures")
    ap.add_argument("--sheet")
    ap.add_argument("--quality", type=int, default=80)
    a = ap.parse_args()
    pupil = net.Net(model.find("daydream"), END, a.pupil)
    teacher = net.Net(model.find("bvlc_googlenet"), END, a.teacher)
    rows, strips = {}, []
    for path in a.photos:
        image = picture(path, a.side)
        before, gt = gradient(teacher, image)
        _, gp = gradient(pupil, image)
        t0 = time.time()
        dp = deepdream(pupil, image).copy()
        t1 = time.time()
        dt = deepdream(teacher, image).copy()
        t2 = time.time()
        gains = [math.log(gradient(teacher, d)[0] / before) for d in (dp, dt)]
        name = Path(path).stem
        rows[name] = {
            "cosine": round(float(gp @ gt / np.linalg.norm(gp) / np.linalg.norm(gt)), 3),
            "gain": round(gains[0] / gains[1], 3),
            "times_as_fast": round((t2 - t1) / (t1 - t0), 2),
        }
        print(name, rows[name], flush=True)
        strips.append(np.concatenate([image] + [eight_bit(d) for d in (dp, dt)], 1))
    mean = {k: round(float(np.mean([r[k] for r in rows.values()])), 3) for k in ("cosine", "gain", "times_as_fast")}
    print("mean", mean)
    if a.figures:
        Path(a.figures).write_text(json.dumps({"side": a.side, "mean": mean, "photos": rows}, indent=1) + "\n")
    if a.sheet:
        sheet = Image.new("RGB", (max(s.shape[1] for s in strips), sum(s.shape[0] for s in strips) + 18), "white")
        draw, y = ImageDraw.Draw(sheet), 18
        for i, text in enumerate(("the picture", "daydream (pupil)", "bvlc_googlenet (teacher)")):
            draw.text((i * strips[0].shape[1] // 3 + 4, 3), text, fill="black")
        for s in strips:
            sheet.paste(Image.fromarray(s), (0, y))
            y += s.shape[0]
        sheet.save(a.sheet, quality=a.quality)
