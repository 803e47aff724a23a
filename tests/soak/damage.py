#!/usr/bin/python3
"""Feeds damaged pictures to the code that reads pictures, and reports every failure that is not handled.

    $ tests/soak/damage.py [COUNT [SEED [MODEL [KIND]]]]    # default: 100000, 0, none, each kind that Pillow writes

Each file must give a Picture, which must survive writing and reading, or one line that says what is wrong; within
10 seconds of processor time (the machine may pause) and 3 GB of address space. With the folder of a MODEL ("": none),
the command line gets every twentieth file too. KIND is HEIC, AVIF, JXL or DNG. A file that breaks these rules is
written to the current folder, and the exit code is then 1. If a decoder aborts, the whole run ends."""

import collections
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import NoReturn

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

import dreamify  # noqa: E402
from dreamer.errors import Mistake  # noqa: E402
from dreamer.options.understand import understand  # noqa: E402
from dreamer.pictures import reading, writing  # noqa: E402
from dreamer.pictures.recipe import read_recipe  # noqa: E402
from mutants import mutants  # noqa: E402

LONGEST = 10  # seconds of processor time
SPACE = 3 << 30  # bytes
FORMATS = sorted(writing.FORMATS)


class TooLongError(BaseException):
    """Raised by the alarm. It must not be an Exception, so that no `except Exception` swallows it."""


def too_long(*_: object) -> NoReturn:
    """The alarm's handler."""
    raise TooLongError


def told(error: Mistake, start: str = "") -> bool:
    """Fail unless the Mistake is one line with this start; returns True."""
    lines = str(error).splitlines()
    if len(lines) != 1 or not lines[0].startswith(start):
        raise AssertionError(lines)
    return True


def examine(path: Path, number: int, model: str | None) -> str:
    """Try the file at `path`; returns what happened, and raises every error that should not have occurred."""
    try:
        read_recipe(path)
    except Mistake as error:
        told(error)
    try:
        # sometimes with the default limit, which allows larger pictures
        picture = reading.read(path, max_pixels=10 ** 6 if number % 50 else 10 ** 8, max_size=[None, 30][number % 2],
                                keep_location=number % 3 == 0)
    except Mistake as error:
        told(error, "input: ")
        result = "refused"
    else:
        height, width, channels = picture.pixels.shape
        assert (channels, picture.pixels.dtype) == (3, np.dtype("uint8"))
        alpha = picture.alpha
        assert alpha is None or (alpha.shape, alpha.dtype) == ((height, width), np.dtype("uint8"))
        picture.recipe = {"number": number}
        if height * width < 10 ** 5:  # because this does not test the speed of the codecs
            output = Path(path).with_name("out" + FORMATS[number % len(FORMATS)])
            writing.write(output, picture)
            again = reading.read(output, warn=lambda line: sys.exit(f"{line}: our own file"))
            assert again.pixels.shape == picture.pixels.shape
            assert read_recipe(output) == picture.recipe
        result = "read"
    if model and number % 20 == 0:
        try:
            words = [str(path), str(Path(path).with_name("never.png")), "--model", model, "--max-size", "50"]
            understand(dreamify.ask(dreamify.parse(words)[1]))
        except Mistake as error:
            told(error, "input: ")
            return "refused"
    return result


def main(count: int | str = 100_000, seed: int | str = 0, model: str | None = None, kind: str = "") -> int:
    """Run all; returns the exit code."""
    resource.setrlimit(resource.RLIMIT_AS, (SPACE, SPACE))
    signal.signal(signal.SIGPROF, too_long)
    warnings.simplefilter("ignore")  # like the command
    began, slowest = time.monotonic(), 0.0
    results: collections.Counter[str] = collections.Counter()
    formats: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mutant")
        for number, (name, data) in enumerate(mutants(int(count), seed, kind)):
            path.write_bytes(data)
            start = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, LONGEST)
            try:
                result = examine(path, number, model)
            except (Exception, TooLongError):
                result = "wrong"
                kept = f"mutant-{seed}-{number}"
                Path(kept).write_bytes(data)
                print(f"{kept}, {name}:\n{traceback.format_exc()}", file=sys.stderr)
            signal.setitimer(signal.ITIMER_PROF, 0)
            results[result] += 1
            formats[next(word for word in name.split()[2:] if not word.isdecimal())][result] += 1
            slowest = max(slowest, time.process_time() - start)
        left = sorted(set(os.listdir(folder)) - {"mutant", *(f"out{extension}" for extension in FORMATS)})
    print(f"{count} mutants of seed {seed} in {time.monotonic() - began:.0f} s: {results['read']} read, "
          f"{results['refused']} refused, {results['wrong']} wrong, slowest {slowest:.1f} s, "
          f"most memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB")
    for each, counts in sorted(formats.items()):
        print(f"  {each}: {', '.join(f'{number} {result}' for result, number in sorted(counts.items()))}")
    return 1 if results["wrong"] or left else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
