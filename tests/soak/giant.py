#!/usr/bin/python3
"""As farm.py, for one picture whose tiles the workers of a farm compute: in every second run they hold the picture between
its steps, in the others its windows come from the command.

    $ tests/soak/giant.py [COUNT [SEED]]    # default: 200, 0

The picture and its tiles are small, so that a run takes some seconds."""

import collections
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent)]
from farm import ROOT, WRONG, Farm, Trial

SMALL = """
import sys
sys.path[:0] = [sys.argv[1]]
import dreamify
from dreamer import dispatch
from dreamer.nets import net
dispatch.GIANT, net.TILE = 100_000, 80_000
if sys.argv[2]:
    from dreamer.farm import engine
    engine.load()
    from dreamer.farm import stepping
    stepping.ENOUGH, stepping.SLOWER = {"held": (2.0, 1e9), "sent": (0.0, 0.0)}[sys.argv[2]]
sys.exit(dreamify.main(sys.argv[3:]))
"""  # dreamify, for which small pictures are giant ones
DREAM = ("inception_3b/output", "6", "2", "--seed", "1", "--model", "daydream", "--reproducible")


class Giant(Trial):
    """A Trial of one picture. A stopped command writes it as it is then, and a later one writes it again."""

    def _there(self) -> dict[str, int]:
        return {}


def words(way: str, target: Path) -> list[str]:
    """The command. `way`: "held", "sent", or "" without a farm."""
    return [sys.executable, "-c", SMALL, str(ROOT), way, "noise:900x600", str(target / "dream.png"), *DREAM]


def main(count: str = "200", seed: str = "0") -> int:
    """Returns the exit code."""
    chance, found, began = random.Random(seed), collections.Counter[str](), time.monotonic()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        (folder / "alone").mkdir()
        subprocess.run([*words("", folder / "alone"), "--quiet"], check=True)
        expected = {"dream.png": (folder / "alone/dream.png").read_bytes()}
        farm = Farm(folder)
        stack.callback(farm.end)
        length = 0.0
        for number in range(-2, int(count)):
            target, way = folder / str(number), "held" if number % 2 else "sent"
            target.mkdir()
            if number < 0:  # how long it takes
                start = time.monotonic()
                subprocess.run([*words(way, target), "--farm", farm.address], check=True, env=farm.environment,
                               stdout=subprocess.DEVNULL)
                length = time.monotonic() - start
            else:
                Giant(farm, words(way, target), target, expected, length, chance, found, None).run()
    print(f"{count} runs, {length:.1f} s each, in {time.monotonic() - began:.0f} s (seed {seed}): "
          + ", ".join(f"{name} {found[name]}" for name in WRONG))
    print("; ".join(f"{name} {found[name]}" for name in sorted(found) if name not in WRONG))
    return 1 if any(found[name] for name in WRONG) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
