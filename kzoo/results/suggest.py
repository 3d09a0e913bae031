"""Which presets to try on some data: by what they got where they were measured. Standard library only."""

import math
import statistics
from typing import Any

from kzoo import results


def start_with(task: str, presets: list[str]) -> str | None:
    """Return the preset to start with on data for a task: README, `check` and `list --data` name the same.

    It is the one that was the least behind the best, presets and baselines, by the median over the data that it was
    measured on; of equals the one that was measured on more data.

    Args:
        task: what is answered, by its public name.
        presets: those to choose from.

    Returns:
        Its name; None where none of them was measured for the task.
    """
    measured = [row for row in results.rows() if row["task"] == task and row["preset"] in presets]
    best: dict[tuple, float] = {}
    behind: dict[str, dict[tuple, float]] = {}
    for row in measured:
        scores = [row["score"], *(row.get("baselines") or {}).values()]
        there = max(results.sortable_score(dict(row, score=score)) for score in scores)
        best[_data_of(row)] = max(there, best.get(_data_of(row), there))
    for row in measured:
        key, known = _data_of(row), behind.setdefault(row["preset"], {})
        known[key] = min(best[key] - results.sortable_score(row), known.get(key, math.inf))
    order = [name for name in presets if name in behind]
    return min(order, key=lambda name: (statistics.median(behind[name].values()), -len(behind[name])), default=None)


def _data_of(row):
    return row["data"], row["metric"]


def ranked(presets: list[str], task: str, rows: int) -> list[dict[str, Any]]:
    """Rank presets: the one to start with, then by scores on measured data for the same task, nearest in size first.

    Args:
        presets: those that take such data, in the order in which they are offered where nothing is known.
        task: what is answered, by its public name.
        rows: how many there are to train on.

    Returns:
        `preset`, the one to start with first, and where it was measured `score` in words, `data`, `rows` of it to train
        on, `seconds` of a training and `beside`, the best baseline on the same split: its name and its score in words,
        or None. Of each data set the best first; those that were not measured come last, with None for all of these.
    """
    known = [row for row in results.rows() if row["task"] == task and row["preset"] in presets]
    sets = sorted({row["data"] for row in known}, key=lambda name: (_far(_rows(known, name), rows), name))
    found: dict[str, dict[str, Any]] = {}
    for name in sets:
        there = sorted((row for row in known if row["data"] == name), key=results.sortable_score, reverse=True)
        for row in there:
            found.setdefault(row["preset"], _said(row))
    if (first := start_with(task, presets)) is not None:
        found = {first: found[first]} | found
    unknown = dict.fromkeys(("score", "data", "rows", "seconds", "beside"))
    return [*found.values(), *(dict(preset=preset) | unknown for preset in presets if preset not in found)]


def ranked_by(presets: list[dict[str, Any]]) -> str:
    """Say by what presets were ranked.

    Args:
        presets: what `ranked` returned.
    """
    first = next((one for one in presets if one["score"]), None)
    if first is None:
        return "presets to try; none was measured on data for this task"
    size = f", {first['rows']:,} to train on" if first["rows"] else ""
    others = f"; then by scores on data nearest in size ({first['data']}{size})" if presets[1:] else ""
    return f"presets to try: first the one least behind the best on all data measured for this task{others}"


def _said(row):
    best = next(iter((row.get("baselines") or {}).items()), None)
    return dict(
        preset=row["preset"], score=results.score(row), data=row["data"], rows=row.get("train"), seconds=row["seconds"],
        beside=best and f"{best[0]} {results.number(best[1], row['metric'])}",
    )  # fmt: skip


def _rows(known, data):
    return next((row["train"] for row in known if row["data"] == data and row.get("train")), None)


def _far(there, here):
    return math.inf if there is None else abs(math.log(there / max(here, 1)))
