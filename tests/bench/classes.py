#!/usr/bin/python3
"""Dreams classes out of noise, and asks the net itself what it sees in the dreams.

  classes.py [SHEET.png [CLASS...]]    (default: 40 classes spread over the list)

Each is one command with nothing but the class and a seed: ./dreamify.py noise:448x448 dream.png class:130 --seed 1.
The answer is the classifier's, for the mean over the whole map of the layer before its pooling. Prints a line for each,
and how many are right; the sheet shows the dreams.
"""
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from dreamer.nets import classes, model, weights  # noqa: E402
from dreamer.nets.net import Net  # noqa: E402
from dreamer.pictures import sheet  # noqa: E402

SPREAD = range(12, 1000, 25)
SHOWN = 224  # pixels of a dream on the sheet


def main() -> None:
    output, numbers = "".join(sys.argv[1:2]), [int(word) for word in sys.argv[2:]] or list(SPREAD)
    found = model.find(model.DEFAULT)
    known, (layer, product, _) = classes.names(found), classes.classifier(found)
    net, shown, right = Net(found, layer), [], 0
    rows = weights.matrix(found.weights_path(), product)
    assert rows is not None
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            dream, began = Path(folder, f"{number}.png"), time.perf_counter()
            subprocess.run([ROOT / "dreamify.py", "noise:448x448", dream, f"class:{number}", "--seed", "1", "--quiet"],
                           check=True)
            took, pixels = time.perf_counter() - began, np.asarray(Image.open(dream))
            net.budget.fit(*pixels.shape[:2])
            net.resize(*pixels.shape[:2])
            (tile,) = net.tiles(net.preprocess(pixels), 0, 0)
            scores = rows @ tile.forward()[0].mean((1, 2))
            net.forwarded = None
            first, second = np.argsort(-scores)[:2]
            right += int(first) == number
            print(f"{number:3} {known[number][0]:24} {took:5.1f} s  first answer: {known[first][0]} "
                  f"({scores[first] - scores[second]:.1f} before {known[second][0]})", flush=True)
            small = Image.fromarray(pixels).resize((SHOWN, SHOWN), Image.Resampling.LANCZOS)
            shown.append((known[number][0], np.asarray(small)))
    print(f"{right} of {len(numbers)} are what they should be")
    if output:
        Image.fromarray(sheet.sheet(shown)).save(output)


if __name__ == "__main__":
    main()
