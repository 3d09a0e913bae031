"""The baselines that a run's summary keeps, in words. Standard library only."""

from collections.abc import Mapping
from typing import Any

from kzoo.results import number, value_of
from kzoo.tasks import Score, score_named


def values(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return label -> score of the baselines that a summary keeps, the best first."""
    found = {one["label"]: _value(one) for one in summary.get("baselines") or ()}
    return {label: value for label, value in found.items() if value is not None}


def line(summary: Mapping[str, Any]) -> str:
    """Say on a line what needs no network got, and what was left out: `accuracy: gradient-boosted trees 91.2%, ...`."""
    metric = _metric(summary)
    said = [f"{label} {number(value, metric)}" for label, value in values(summary).items()]
    said += [f"{one['label']} {one['notes'][0]}" for one in summary.get("baselines") or () if _value(one) is None]
    known: Any = score_named(metric)
    return (f"{known.short or known.label}: " if known else "") + ", ".join(said)


def beaten(summary: Mapping[str, Any]) -> str | None:
    """Return a sentence where something that needs no network did as well as the network on the same examples."""
    scored = values(summary)
    if not scored:
        return None
    metric, (best, theirs) = _metric(summary), next(iter(scored.items()))
    split = next(one["split"] for one in summary["baselines"] if one["label"] == best)
    ours = value_of(summary.get(split) or {}, metric)
    known: Score | None = score_named(metric)
    if ours is None or known is None or (ours > theirs if known.best == "max" else ours < theirs):
        return None
    return (
        f"It is no better than what needs no network: {_said(ours, metric)}, against {_said(theirs, metric)} of {best} "
        f"on the same {split} data."
    )


def _said(value, metric):
    known: Any = score_named(metric)
    name = known.label if known.form == "percent" else known.short or known.label
    return f"{number(value, metric)} {name}" if known.form == "percent" else f"{name} {number(value, metric)}"


def _metric(summary):
    return next((one["metric"] for one in summary.get("baselines") or () if _value(one) is not None), "")


def _value(one):
    return None if one["scores"] is None else value_of(one["scores"], one["metric"])
