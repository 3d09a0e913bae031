"""Scores of each target for people, as a table with baselines. Standard library only."""

from collections.abc import Mapping
from typing import Any

from kzoo.tasks import score_named
from kzoo.utils.formatting import number


def mixes_units(name: str, scores: Mapping[str, Any]) -> bool:
    """Return whether a score is a mean over targets that may have different units, such as load and temperature."""
    score_facts = score_named(name)
    return score_facts is not None and score_facts.own_unit and len(scores.get("targets") or ()) > 1


def target_table(scores: Mapping[str, Any]) -> list[list[str]]:
    """Return a header and a row per target: its scores, then the mean absolute error of each baseline.

    Baselines that are no worse than the model are marked with "(!)". The table is empty if there are no scores per
    target.
    """
    targets = scores.get("targets") or {}
    if not targets:
        return []
    baselines = list(dict.fromkeys(name for target_scores in targets.values() for name in target_scores["beside"]))
    rows = [["target", "MAE", "RMSE", "R2", *baselines]]
    for target, target_scores in targets.items():
        row = [
            target,
            number(target_scores["mae"]),
            number(target_scores["rmse"]),
            "–" if target_scores["r2"] is None else f"{target_scores['r2']:.4f}",
        ]
        rows.append(row + [_baseline_cell(target_scores["beside"].get(name)) for name in baselines])
    return rows


def _baseline_cell(baseline):
    if baseline is None:
        return "–"
    no_worse = baseline["ratio"] is None or baseline["ratio"] >= 1
    return number(baseline["mae"]) + (" (!)" if no_worse else "")
