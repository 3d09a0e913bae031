"""Sentences about the baselines in the summary of a run. Standard library only."""

from collections.abc import Mapping
from typing import Any

from kzoo.results import number, value_of
from kzoo.tasks import Score, score_named
from kzoo.tasks.weighted import UNWEIGHTED


def values(summary: Mapping[str, Any], *, unweighted: bool = False) -> dict[str, float]:
    """Return label -> score of the baselines in a summary, best first; `unweighted`: without the row weights."""
    scores = {baseline["label"]: _score(baseline, unweighted) for baseline in summary.get("baselines") or ()}
    return {label: score for label, score in scores.items() if score is not None}


def line(summary: Mapping[str, Any], *, unweighted: bool = False) -> str:
    """Return the baselines of a run on one line: the score of each, or the reason why it has none.

    For example `accuracy: gradient-boosted trees 91.2%, ...`. Row weights count, unless it is `unweighted`; then it is
    empty for data without them.
    """
    metric = _metric(summary)
    parts = [f"{label} {number(score, metric)}" for label, score in values(summary, unweighted=unweighted).items()]
    if unweighted and not parts:
        return ""
    parts += [
        f"{baseline['label']} {baseline['notes'][0]}"
        for baseline in summary.get("baselines") or ()
        if _score(baseline) is None
    ]
    score_type: Any = score_named(metric)
    return (f"{score_type.short or score_type.label}: " if score_type else "") + ", ".join(parts)


def beaten(summary: Mapping[str, Any]) -> str | None:
    """Return a warning if a baseline did as well as the network on the same examples, else None."""
    scores = values(summary)
    if not scores:
        return None
    metric, (best, best_score) = _metric(summary), next(iter(scores.items()))
    split = next(baseline["split"] for baseline in summary["baselines"] if baseline["label"] == best)
    network_score = value_of(summary.get(split) or {}, metric)
    score_type: Score | None = score_named(metric)
    if network_score is None or score_type is None:
        return None
    if network_score > best_score if score_type.best == "max" else network_score < best_score:
        return None
    baseline = summary.get("baseline")  # the run itself is one
    subject = f"The model ({baseline['label']})" if baseline else "The network"
    return (
        f"{subject} is not better than the best baseline: {_with_name(network_score, metric)}, against "
        f"{_with_name(best_score, metric)} of {best} on the same {split} data."
    )


def _with_name(score, metric):
    score_type: Any = score_named(metric)
    name = score_type.label if score_type.form == "percent" else score_type.short or score_type.label
    return f"{number(score, metric)} {name}" if score_type.form == "percent" else f"{name} {number(score, metric)}"


def _metric(summary):
    return next((row["metric"] for row in summary.get("baselines") or () if _score(row) is not None), "")


def _score(baseline, unweighted=False):
    scores = baseline["scores"]
    scores = (scores or {}).get(UNWEIGHTED) if unweighted else scores
    return None if scores is None else value_of(scores, baseline["metric"])
