"""Sentences about the baselines in the summary of a run. Standard library only."""

from kzoo.inference.tasks.weighted import UNWEIGHTED
from kzoo.problems.tasks import score_named
from kzoo.utils.files import JsonObject
from kzoo.zoo.results import number, value_of


def values(summary: JsonObject, *, unweighted: bool = False) -> dict[str, float]:
    """Return label -> score of the baselines in a summary, best first; `unweighted`: without the row weights."""
    scores = {
        baseline["label"]: _score(baseline, unweighted)
        for baseline in summary.get("baselines") or ()
    }
    return {label: score for label, score in scores.items() if score is not None}


def line(summary: JsonObject, *, unweighted: bool = False) -> str:
    """Return the baselines of a run on one line: the score of each, or the reason why it has none.

    For example `accuracy: gradient-boosted trees 91.2%, ...`. Row weights count, unless it is `unweighted`; then it is
    empty for data without them.
    """
    metric = _metric(summary)
    parts = [
        f"{label} {number(score, metric)}"
        for label, score in values(summary, unweighted=unweighted).items()
    ]
    if unweighted and not parts:
        return ""
    parts += [
        f"{baseline['label']} {baseline['notes'][0]}"
        for baseline in summary.get("baselines") or ()
        if _score(baseline) is None
    ]
    score_type = score_named(metric)
    name = metric if score_type is None else score_type.short or score_type.label
    return (f"{name}: " if name else "") + ", ".join(parts)


def beaten(summary: JsonObject) -> str | None:
    """Return a warning if a baseline did as well as the network on the same examples, else None.

    They are compared by the score that decides (see `kzoo.zoo.results.deciding_score`), to the digits that are shown.
    """
    scores = values(summary)
    if not scores:
        return None
    metric, (best, best_score) = _metric(summary), next(iter(scores.items()))
    baseline = next(baseline for baseline in summary["baselines"] if baseline["label"] == best)
    split = baseline["split"]
    score_type = score_named(metric)
    direction = baseline.get("best") or ("max" if score_type is None else score_type.best)
    network_score = value_of(summary.get(split) or {}, metric)
    if network_score is None:
        return None
    if network_score > best_score if direction == "max" else network_score < best_score:
        return None
    run_label = summary.get("baseline")  # the run itself is one
    subject = f"model ({run_label['label']})" if run_label else "network"
    shown, shown_best = (_with_name(score, metric) for score in (network_score, best_score))
    if shown == shown_best:
        return f"The {subject} and the best baseline, {best}, are equally good: {shown} on the same {split} data."
    return (
        f"The {subject} is not better than the best baseline: {shown}, against {shown_best} of {best} on the same "
        f"{split} data."
    )


def _with_name(score: float, metric: str) -> str:
    score_type = score_named(metric)
    if score_type is None:  # a function of the user
        return f"{metric} {number(score, metric)}"
    name = (
        score_type.label if score_type.form == "percent" else score_type.short or score_type.label
    )
    return (
        f"{number(score, metric)} {name}"
        if score_type.form == "percent"
        else f"{name} {number(score, metric)}"
    )


def _metric(summary: JsonObject) -> str:
    return next(
        (row["metric"] for row in summary.get("baselines") or () if _score(row) is not None), ""
    )


def _score(baseline: JsonObject, unweighted: bool = False) -> float | None:
    scores = baseline["scores"]
    scores = (scores or {}).get(UNWEIGHTED) if unweighted else scores
    return None if scores is None else value_of(scores, baseline["metric"])
