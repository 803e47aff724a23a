"""The client of a real scheduler, by itself."""

import pytest

from farms import Farm
from helpers import bears_signals

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
