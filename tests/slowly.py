#!/usr/bin/python3
"""dreamify.py as on a slow machine: after the first SLOW_AFTER steps, each takes SLOW_SECONDS longer (default: from the
first step on, 0.1). So a test can stop a dream at a certain place, however fast the machine is, and however long the
test itself has to wait for the processor. The dream has the same bytes."""

import mmap
import os
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dreamer.arrays import Pixels
    from dreamer.nets.net import Net
    from dreamer.state import Step

PROGRAM = Path(__file__).resolve().parents[1] / "dreamify.py"

_steps: bytearray | mmap.mmap = bytearray(8)  # their number so far


def pause() -> None:
    """Count a step, and take as long as it takes on a slow machine."""
    count = int.from_bytes(_steps[:], "little") + 1
    _steps[:] = count.to_bytes(8, "little")
    if count > int(os.environ.get("SLOW_AFTER", "0")):
        time.sleep(float(os.environ.get("SLOW_SECONDS", "0.1")))


def deepdream(net: "Net", image: "Pixels", *, each_step: Callable[["Step"], None], **more: Any) -> "Pixels":
    """dreamify.deepdream, for perform.one."""
    import dreamify

    def step(made: "Step") -> None:
        pause()
        each_step(made)
    return dreamify.deepdream(net, image, each_step=step, **more)


def main() -> None:
    """Run the command line, and dreamify's own end of the process."""
    global _steps
    _steps = mmap.mmap(-1, 8)  # of all processes that are forks of this one
    sys.path[0] = str(PROGRAM.parent)
    from dreamer.machine import limits
    limits.start_no_blas_threads()  # before the imports that follow
    from dreamer.jobs.job import Job
    stepped = Job._stepped

    def slowly(*arguments: Any) -> int | None:
        pause()
        return stepped(*arguments)
    Job._stepped = slowly  # type: ignore[assignment,method-assign]
    if sys.argv[1:2] == ["studio"]:  # its dreams are processes of this program
        from dreamer.studio import server
        serve = server.serve
        server.serve = lambda folder, **named: serve(folder, **named | {"program": os.path.abspath(__file__)})
    sys.argv[0] = str(PROGRAM)
    runpy.run_path(str(PROGRAM), run_name="__main__")


if __name__ == "__main__":
    main()
