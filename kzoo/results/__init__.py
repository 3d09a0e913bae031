"""Measured scores, as data in the package: `kzoo show` and the README read them. Standard library only.

`measured.json` is written by `tests/benchmarks/first_runs.py` from run folders, never by hand.
"""

import json
from functools import cache
from pathlib import Path


@cache
def _measured():
    file = Path(__file__).with_name("measured.json")
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []


def of(preset: str) -> list[dict]:
    """Return what was measured for a preset: data, score, seconds, machine, versions, date, command."""
    return [row for row in _measured() if row["preset"] == preset]
