"""Scores of each target for people, as a table with baselines. Standard library only."""

from collections.abc import Mapping
from typing import Any

from kzoo.tasks import score_named
from kzoo.utils.formatting import number, percent


def mixes_units(name: str, scores: Mapping[str, Any]) -> bool:
    """Return whether a score is a mean over targets that may have different units, such as load and temperature."""
    score_facts = score_named(name)
    return score_facts is not None and score_facts.own_unit and len(scores.get("targets") or ()) > 1


def target_table(scores: Mapping[str, Any]) -> list[list[str]]:
    """Return a header and a row per target: its scores, then the mean absolute error of each baseline, if any.

    Baselines that are no worse than the model are marked with "(!)". The table is empty if there are no scores per
    target.
    """
    targets = scores.get("targets") or {}
    if not targets:
        return []
    beside = {target: target_scores.get("beside") or {} for target, target_scores in targets.items()}
    baselines = list(dict.fromkeys(name for of_target in beside.values() for name in of_target))
    facts = {name: score_named(name) for name in next(iter(targets.values()))}
    shown = {name: score for name, score in facts.items() if score is not None and score.form != "interval"}
    rows = [["target", *(score.short for score in shown.values()), *baselines]]
    for target, target_scores in targets.items():
        row = [target, *(_cell(target_scores[name], score.form) for name, score in shown.items())]
        rows.append(row + [_baseline_cell(beside[target].get(name)) for name in baselines])
    return rows


def _cell(value, form):
    if value is None:
        return "–"
    return percent(value) if form == "percent" else f"{value:.4f}" if form == "digits" else number(value)


def _baseline_cell(baseline):
    if baseline is None:
        return "–"
    no_worse = baseline["ratio"] is None or baseline["ratio"] >= 1
    return number(baseline["mae"]) + (" (!)" if no_worse else "")
