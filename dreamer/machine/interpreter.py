"""Which Python runs us, and what to say where it lacks a package."""

import sys

SYSTEM = "/usr/bin/python3"  # provision.sh installs for the distribution's Python


def advice(error: ImportError) -> str:
    """One line for an ImportError: which Python to use, or what to run."""
    what = f"this Python ({sys.executable}) has no {error.name}"
    if sys.prefix == "/usr":
        return f"{what}: run ./provision.sh"
    return f"{what}: run ./provision.sh once, then ./dreamify.py or {SYSTEM} dreamify.py"
