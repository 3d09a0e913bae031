"""Presets to try on some data, ranked by their measured scores. Standard library only."""

import math
import statistics
from typing import Any

from kzoo import results


def start_with(task: str, presets: list[str]) -> str | None:
    """Return the preset to start with for a task; README, `check` and `list --data` name the same.

    It has the smallest median difference to the best score, of presets and baselines, over the data sets that it was
    measured on; ties go to the preset that was measured on more data sets.

    Args:
        task: public name of the task.
        presets: names to choose from.

    Returns:
        Its name; None if none of them was measured for the task.
    """
    measured = [row for row in results.rows() if row["task"] == task and row["preset"] in presets]
    best: dict[tuple, float] = {}
    gaps: dict[str, dict[tuple, float]] = {}
    for row in measured:
        scores = [row["score"], *(row.get("baselines") or {}).values()]
        highest = max(results.sortable_score(dict(row, score=score)) for score in scores)
        best[_data_of(row)] = max(highest, best.get(_data_of(row), highest))
    for row in measured:
        key, gaps_of_preset = _data_of(row), gaps.setdefault(row["preset"], {})
        gaps_of_preset[key] = min(best[key] - results.sortable_score(row), gaps_of_preset.get(key, math.inf))
    candidates = [name for name in presets if name in gaps]
    return min(candidates, key=lambda name: (statistics.median(gaps[name].values()), -len(gaps[name])), default=None)


def _data_of(row):
    return row["data"], row["metric"]


def ranked(presets: list[str], task: str, rows: int) -> list[dict[str, Any]]:
    """Rank presets by their measured scores on data for the same task, data nearest in size first.

    The preset to start with (see `start_with`) comes before all others.

    Args:
        presets: names of presets that take such data; those that were not measured stay in this order.
        task: public name of the task.
        rows: number of training rows.

    Returns:
        A dict for each preset: `preset`, and where it was measured `score` (formatted), `data`, `rows` (training rows),
        `seconds` of a training, and `beside`, the best baseline on the same split with its score, or None. The best of
        each data set comes first; presets that were not measured come last, with None for these values.
    """
    measured = [row for row in results.rows() if row["task"] == task and row["preset"] in presets]
    sets = sorted(
        {row["data"] for row in measured}, key=lambda name: (_distance(_train_rows(measured, name), rows), name)
    )
    ranking: dict[str, dict[str, Any]] = {}
    for name in sets:
        rows_of_set = [row for row in measured if row["data"] == name]
        for row in sorted(rows_of_set, key=results.sortable_score, reverse=True):
            ranking.setdefault(row["preset"], _entry(row))
    if (first := start_with(task, presets)) is not None:
        ranking = {first: ranking[first]} | ranking  # moved to the front
    unmeasured = dict.fromkeys(("score", "data", "rows", "seconds", "beside"))
    return [*ranking.values(), *(dict(preset=preset) | unmeasured for preset in presets if preset not in ranking)]


def ranked_by(presets: list[dict[str, Any]]) -> str:
    """Return a line that says how presets were ranked.

    Args:
        presets: returned by `ranked`.
    """
    first = next((preset for preset in presets if preset["score"]), None)
    if first is None:
        return "presets to try; none was measured on data for this task"
    size = f", {first['rows']:,} training examples" if first["rows"] else ""
    others = ""
    if presets[1:]:
        others = f", then the others by their score on the data set closest in size ({first['data']}{size})"
    return f"presets to try: first the preset that comes closest to the best score on each measured data set{others}"


def _entry(row):
    best = next(iter((row.get("baselines") or {}).items()), None)
    return dict(
        preset=row["preset"], score=results.score(row), data=row["data"], rows=row.get("train"), seconds=row["seconds"],
        beside=best and f"{best[0]} {results.number(best[1], row['metric'])}",
    )  # fmt: skip


def _train_rows(measured, data):
    return next((row["train"] for row in measured if row["data"] == data and row.get("train")), None)


def _distance(train_rows, rows):
    """Return the distance of two numbers of rows on a log scale; infinity if one is unknown."""
    return math.inf if train_rows is None else abs(math.log(train_rows / max(rows, 1)))
