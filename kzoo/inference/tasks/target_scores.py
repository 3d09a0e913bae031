"""Scores of each target or label, and of subgroups, as tables for people. Standard library only."""

from typing import Any

from kzoo.inference.tasks.weighted import UNWEIGHTED
from kzoo.problems.stored_types import Scores
from kzoo.problems.tasks import score_named
from kzoo.utils.formatting import number, percent


def mixes_units(name: str, scores: Scores) -> bool:
    """Return whether a score is a mean over targets that may have different units, such as load and temperature."""
    score_facts = score_named(name)
    return score_facts is not None and score_facts.own_unit and len(scores.get("targets") or ()) > 1


def target_table(scores: Scores) -> list[list[str]]:
    """Return a header and a row per target: its scores, then the mean absolute error of each baseline, if any.

    Baselines that are no worse than the model are marked with "(!)". For labels, a row has the scores of a label. The
    table is empty if there are no scores per target or label.
    """
    if labels := scores.get("labels"):
        return _label_table(labels)
    targets = scores.get("targets") or {}
    if not targets:
        return []
    beside = {
        target: target_scores.get("beside") or {} for target, target_scores in targets.items()
    }
    baselines = list(dict.fromkeys(name for of_target in beside.values() for name in of_target))
    facts = {name: score_named(name) for name in next(iter(targets.values()))}
    shown = {
        name: score
        for name, score in facts.items()
        if score is not None and score.form != "interval"
    }
    rows = [["target", *(score.short for score in shown.values()), *baselines]]
    for target, target_scores in targets.items():
        row = [target, *(_cell(target_scores[name], score.form) for name, score in shown.items())]
        rows.append(row + [_baseline_cell(beside[target].get(name)) for name in baselines])
    return rows


def _cell(value: float | None, form: str) -> str:
    if value is None:
        return "–"
    return (
        percent(value)
        if form == "percent"
        else f"{value:.4f}"
        if form == "digits"
        else number(value)
    )


def _label_table(labels: Scores) -> list[list[str]]:
    """Return a header and a row per label: how many rows have it, its scores and its threshold."""
    rows = [["label", "rows", "precision", "recall", "F1", "average precision", "threshold"]]
    for name, row in labels.items():
        numbers = [row[key] for key in ("precision", "recall", "f1", "average_precision")]
        cells = ["–" if value is None else f"{value:.4f}" for value in numbers]
        rows.append([name, f"{row['support']:,}", *cells, f"{row['threshold']:.3f}"])
    return rows


def _baseline_cell(baseline: Scores | None) -> str:
    if baseline is None:
        return "–"
    no_worse = baseline["ratio"] is None or baseline["ratio"] >= 1
    return number(baseline["mae"]) + (" (!)" if no_worse else "")


def subgroup_table(scores: Scores) -> tuple[str, list[list[str]]]:
    """Return a heading and a table of subgroups, worst first: a header, then a row for each; ("", []) without any.

    Args:
        scores: of `kzoo.evaluate` with `by=`.
    """
    if "by" not in scores:
        return "", []
    by = scores["by"]
    of = scores["by"]["of"]
    score = score_named(of)
    label = of.replace("_", " ") if score is None else score.short or score.label
    scored: dict[str, Any] = next(
        (group["scores"] for group in by["groups"].values() if "scores" in group), {}
    )
    baselines = {
        name: kind
        for name in by["baselines"]
        if name in scored and (kind := score_named(name)) is not None
    }
    rows = [[by["column"], "examples", label, "95 % interval", "difference from the others", ""]]
    rows[0][4:4] = [kind.label for kind in baselines.values()]
    is_weighted = any(UNWEIGHTED in group for group in by["groups"].values())
    if is_weighted:
        rows[0][3:3] = [f"{label}, {UNWEIGHTED}"]
    lower_first = score is None or score.best == "max"
    groups = sorted(
        by["groups"].items(),
        key=lambda group: (
            "mean" not in group[1],
            group[1].get("mean", 0) * (1 if lower_first else -1),
        ),
    )
    for name, group in groups:
        effective = group.get("effective_examples")
        examples = str(group["examples"]) + (
            "" if effective is None else f" (effective {number(effective)})"
        )
        if "mean" not in group:
            rows.append([name, examples, *[""] * (len(rows[0]) - 3), "too few to score"])
            continue
        low, high = group["interval"]
        difference = ""
        if group["difference"] is not None:
            ends = " to ".join(f"{end:+.3g}" for end in group["difference_interval"])
            difference = f"{group['difference']:+.3g} ({ends})"
        rows.append(
            [
                name,
                examples,
                number(group["mean"]),
                *([number(group[UNWEIGHTED]["mean"])] if is_weighted else []),
                f"{number(low)} to {number(high)}",
                *(number(group["scores"][baseline]) for baseline in baselines),
                difference,
                group["verdict"],
            ]
        )
    heading = (
        f"subgroups by {by['column']}, worst first; intervals of the differences hold for all of them at once "
        "(Bonferroni):"
    )
    return heading, rows
