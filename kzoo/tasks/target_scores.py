"""Scores of each target, as people read them: a table, beside what needs no network. Standard library only."""

from collections.abc import Mapping
from typing import Any

from kzoo.tasks import score_named
from kzoo.utils.formatting import number


def mixes_units(name: str, scores: Mapping[str, Any]) -> bool:
    """Say whether a score is a mean over targets that may have different units: load and temperature."""
    known = score_named(name)
    return known is not None and known.own_unit and len(scores.get("targets") or ()) > 1


def target_table(scores: Mapping[str, Any]) -> list[list[str]]:
    """Return the heads and a row for each target: its scores, then the mean absolute error of what needs no network.

    One that is no worse than the model's own has a mark, so that nobody overlooks it. Empty where nothing is known of
    the targets.
    """
    targets = scores.get("targets") or {}
    if not targets:
        return []
    beside = list(dict.fromkeys(name for one in targets.values() for name in one["beside"]))
    rows = [["target", "MAE", "RMSE", "R2", *beside]]
    for target, one in targets.items():
        row = [target, number(one["mae"]), number(one["rmse"]), "–" if one["r2"] is None else f"{one['r2']:.4f}"]
        rows.append(row + [_beside(one["beside"].get(name)) for name in beside])
    return rows


def _beside(found):
    if found is None:
        return "–"
    no_worse = found["ratio"] is None or found["ratio"] >= 1
    return number(found["mae"]) + (" (!)" if no_worse else "")
