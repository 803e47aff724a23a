"""The Python that runs this program, and the advice if it lacks a package."""

import sys

from dreamer.machine import here

SYSTEM = "/usr/bin/python3"  # provision.sh installs for the distribution's Python


def advice(error: ImportError) -> str:
    """One line for an ImportError: which Python to use, or what to run."""
    what = f"this Python ({sys.executable}) has no {error.name}"
    if sys.prefix == "/usr":
        return f"{what}: {here.provision()}"
    return f"{what}: {here.provision()} once, then {here.command()} or {SYSTEM} {here.script('dreamify.py')}"
