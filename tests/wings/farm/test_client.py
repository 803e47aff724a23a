"""The client of a real scheduler, by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dreamer.farm import keys
from dreamer.jobs.elsewhere import Unit
from dreamer.machine.signals import Stop
from farms import SCRIPT, Farm, until
from helpers import bears_signals, children, made

pytestmark = pytest.mark.xdist_group("farm")


def test_signals_do_not_stop_its_clock(farm: Farm) -> None:
    bears_signals(f"""
from pathlib import Path
from dreamer.farm import engine, keys
engine.load()
from dreamer.farm.client import Farm
from dreamer.machine.signals import Stop
joined = Farm({farm.address!r}, keys.find(Path({str(farm.keys)!r})))
nothing_yet = iter([None] * 30)
assert [*joined.carry_out(nothing_yet, lambda: 0.0, lambda _: None, Stop())] == []
joined.close()
""")


def test_a_connection_that_breaks_while_a_dream_runs(farm: Farm, sky: Path, tmp_path: Path) -> None:
    """The engine gives the dream up. It is dreamed anew."""
    client = pytest.importorskip("dreamer.farm.client", reason="no python3-distributed: ./provision.sh farm")
    request = {"input": "in.jpg", "output": "out.png", "layer": "conv2/3x3", "iterations": 10, "octaves": 2, "seed": 1,
               "model": "daydream", "max_size": 200}
    made([SCRIPT, sky, tmp_path / "alone.png", "conv2/3x3", "10", "2", "--seed", "1", "--model", "daydream",
          "--max-size", "200"])
    worker = farm.slow_worker(5, 0.3)
    joined = client.Farm(farm.address, keys.find(farm.keys))
    unit = Unit("a", request, {"in.jpg": sky.read_bytes()}, "out.png", 1.0)

    def units() -> Iterator[Unit | None]:
        yield unit
        until(lambda: children(worker.pid))
        joined.client.loop.add_callback(joined.client.scheduler_comm.comm.abort)

    [(ended, result)] = joined.carry_out(units(), lambda: 1.0, lambda _: None, Stop())
    joined.close()
    callbacks = client.distributed.Future._cb_executor  # its thread would be left
    callbacks.shutdown()
    client.distributed.Future._cb_executor = None
    assert ended is unit
    assert result.error == ()
    assert result.files == {"out.png": (tmp_path / "alone.png").read_bytes()}
