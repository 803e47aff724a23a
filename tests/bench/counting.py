#!/usr/bin/python3
"""What it costs to count and time the frames of a long video, which comes before its dream.

    $ tests/bench/counting.py [MINUTES]    # 60

Makes a video of a minute, 640×360 in H.264 with sound, repeats it by stream copy, and prints the ratio of the processor
time of that first pass to that of plain decoding with ffmpeg; and the most memory that the pass takes."""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dreamer.films import times


def seconds(work: Callable[[], object]) -> float:
    """The processor time that this process and its children take for some work."""
    before = os.times()
    work()
    return sum(now - then for now, then in zip(os.times()[:4], before[:4], strict=True))


def main(minutes: int = 60) -> None:
    """Measure twice, in turn, and print the ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = name
        say = ["ffmpeg", "-v", "error", "-nostdin"]
        subprocess.run([*say, "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-f", "lavfi", "-i",
                        "sine=440:r=48000", "-t", "60", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p",
                        "-c:a", "aac", folder / "minute.mp4"], check=True)
        subprocess.run([*say, "-stream_loop", str(minutes - 1), "-i", folder / "minute.mp4", "-c", "copy",
                        folder / "long.mp4"], check=True)
        path = str(folder / "long.mp4")
        for _ in range(2):
            plain = seconds(lambda: subprocess.run(
                [*say, "-threads", "2", "-i", path, "-map", "0:v:0", "-vsync", "0", "-f", "null", "-"], check=True))
            for kept in folder.glob("image-dreamer/*"):
                kept.unlink()
            first = seconds(lambda: times.found(path, "mov,mp4", (), lambda now: None))
            again = seconds(lambda: times.found(path, "mov,mp4", (), lambda now: None))
            print(f"{minutes} minutes: {first / plain:.2f} times plain decoding ({plain:.0f} s of processor time); "
                  f"the next run: {again / plain:.3f} times")
        print(f"this process took at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
