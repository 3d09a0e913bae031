"""The data set of a model, and its primary score beside its baselines, as plain data for pages."""

from collections.abc import Mapping, Sequence
from typing import Any

from kzoo.inference.tasks.weighted import UNWEIGHTED
from kzoo.problems.tasks import problem, score_named
from kzoo.utils.files import JsonObject, finite
from kzoo.zoo.results import baselines, deciding_score, value_of


def trained_on(data: Mapping[str, Any] | None) -> JsonObject | None:
    """Return the name of a data set and the sizes of its splits; None if it is not known."""
    if not data:
        return None
    return {name: data.get(name) for name in ("name", "train", "validation", "test")}


def score_facts(
    spec: JsonObject, metrics: Mapping[str, Any], baseline_rows: Sequence[JsonObject]
) -> JsonObject | None:
    """Return the primary score with its interval and the scores of baselines, or None if the model has no scores.

    Args:
        spec: the specification of the model.
        metrics: split -> scores.
        baseline_rows: the baselines of a run's summary.
    """
    task = spec.get("task")
    split = next((name for name in ("test", "validation") if metrics.get(name)), None)
    if task is None or split is None:
        return None
    scores = metrics[split]
    name = deciding_score(spec.get("training") or {}, scores, problem(task))
    value = value_of(scores, name)
    if value is None and name not in scores:
        return None
    score_type = score_named(name)
    task = problem(task).task
    form = score_type.form if score_type else "number"
    baseline_scores = {
        task.scores[key].label: scores[key] for key in task.baselines_of(name) if key in scores
    }
    summary = {split: scores, "baselines": list(baseline_rows)}
    baseline_scores |= baselines.values(summary)
    weighted = {"weighted": True} if UNWEIGHTED in scores else {}
    return finite(
        {
            **weighted,
            "split": split,
            "name": str(name),
            "label": score_type.label if score_type else str(name),
            "best": name.best,
            "form": form,
            "value": value,
            "interval": scores.get(f"{name}_interval"),
            "level": score_type.interval if score_type else None,
            "examples": scores.get("examples"),
            "beside": [
                {"label": label, "value": value} for label, value in baseline_scores.items()
            ],
            "warning": baselines.beaten(summary),
        }
    )
