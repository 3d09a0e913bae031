"""Presets to try on some data, in the order of their measured scores. Standard library only."""

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kzoo.problems.kinds import kind
from kzoo.problems.tasks import problems, score_named
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import plural
from kzoo.zoo import results

# shares of the variance of the target, shown in points as percentages are
_OF_VARIANCE = ("r2", "mse_standardised")
# data sets that kzoo makes, each to show one thing
GENERATED = ("adding", "cbf", "line", "opinions", "shapes", "sine")
# Fact of a kind -> training rows up to which its data sets are a class of their own.
_FEW_ROWS = {"ids": 1_000, "pixels": 350}
_WITH_WEIGHTS = " --weights "  # in the command of a row: the training began with pretrained weights


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A preset to try, and where it was measured.

    Args:
        preset: its name.
        why: a line about its scores.
        regret: median distance to the best score of each measured data set; None for a preset that was not measured.
            0 is the best score of a data set, of presets and baselines; 1 is the score of guessing.
        score: its score on the measured data set of the same task (else, of a related one) whose size is closest,
            formatted.
        data: name of that data set.
        rows: number of its training rows.
        seconds: of a training on it.
        beside: the best baseline on the same split, with its score.
        weights: whether it was only measured with pretrained weights (`--weights`).
        beaten: whether that baseline is better than the preset there; for images only.
    """

    preset: str
    why: str
    regret: float | None = None
    score: str | None = None
    data: str | None = None
    rows: int | None = None
    seconds: float | None = None
    beside: str | None = None
    weights: bool = False
    beaten: bool = False


def order(
    task: str,
    presets: Iterable[str],
    rows: int | None = None,
    *,
    without: str | Collection[str] | None = None,
) -> list[Suggestion]:
    """Return presets in the order in which to try them on data for a task.

    On each measured data set, the regret of a preset is its distance to the best score, of presets and baselines, as a
    fraction of the distance from guessing to the best score. Presets are sorted by the median of their regrets; equal
    ones by the number of data sets, then by seconds. Presets that were not measured come last, the smallest first.

    Data sets of all tasks with the same kind of input count (of tables: classes, values, counts, ...), which was better
    in leave-one-data-set-out (`recipes/tables.py order`). Their size does not count, as it did not help there. Data
    sets that kzoo generates count only where there are no others.

    Args:
        task: public name of the task.
        presets: names of the presets that accept such data.
        rows: number of training rows, which chooses the measured score that is shown.
        without: name of a data set to ignore, or several.
    """
    presets = list(dict.fromkeys(presets))
    ignored = {
        results.set_of(name) for name in ([without] if isinstance(without, str) else without or ())
    }
    sets = _measured_sets(task, presets, ignored, rows)
    regrets: dict[str, list[float]] = {}
    for measured in sets:
        for preset, regret in _regrets(measured).items():
            regrets.setdefault(preset, []).append(regret)
    suggestions = [
        _suggestion(
            preset, statistics.median(regrets[preset]), [s for s in sets if preset in s], task, rows
        )
        for preset in presets
        if preset in regrets
    ]
    suggestions.sort(
        key=lambda each: (each.regret, -len(regrets[each.preset]), each.seconds, each.preset)
    )
    unmeasured = [(_parameters(preset), preset) for preset in presets if preset not in regrets]
    return suggestions + [
        Suggestion(
            preset=preset,
            why="not measured" + (f", {count:,} parameters" if count < math.inf else ""),
        )
        for count, preset in sorted(unmeasured)
    ]


def first(task: str, *choices: Iterable[str]) -> str | None:
    """Return the first measured preset of the order for a task, of the first choice of presets that has such a preset.

    Args:
        task: public name of the task.
        choices: names of presets, such as the general ones, then all.
    """
    suggestions = (next(iter(order(task, presets)), None) for presets in choices)
    return next(
        (each.preset for each in suggestions if each is not None and each.regret is not None), None
    )


def order_line(presets: list[dict[str, Any]]) -> str:
    """Return a line about the order of presets.

    Args:
        presets: `Suggestion`s as dicts, in their order.
    """
    if not presets or presets[0]["regret"] is None:
        return "presets to try; none was measured on data of this kind"
    return (
        f"presets to try, by the median of their distances to the best scores; {presets[0]['preset']}: "
        f"{presets[0]['why']}"
    )


def _measured_sets(
    task: str, presets: Collection[str], ignored: Collection[str], rows: int | None
) -> list[dict[str, JsonObject]]:
    """Return preset -> row of the best score, for each measured data set of tasks with the same kind of input.

    Of texts and images, data sets with few rows count only for data with few rows, and the others for the others: a
    frozen encoder is ahead with some hundred labels, a network that learns from all of them with some thousand.
    """
    sets: dict[tuple, dict[str, dict]] = {}
    tasks = _related(task)
    for row in results.rows():
        if (
            row["task"] not in tasks
            or row["preset"] not in presets
            or results.set_of(row["data"]) in ignored
        ):
            continue
        measured = sets.setdefault((row["task"], results.set_of(row["data"]), row["metric"]), {})
        best = max(measured.get(row["preset"], row), row, key=results.sortable_score)
        measured[row["preset"]] = best
    real = [measured for (_, data, _), measured in sets.items() if data not in GENERATED] or list(
        sets.values()
    )
    facts = kind(problems()[task].kind).facts if task in problems() else frozenset()
    for most in (number for fact, number in _FEW_ROWS.items() if fact in facts):
        few = rows is not None and rows <= most
        real = [measured for measured in real if (_train_rows(measured) <= most) == few] or real
    return real


def _train_rows(measured: Mapping[str, JsonObject]) -> float:
    """Return the number of training rows of a measured data set; infinity if it is unknown."""
    return min(row.get("train") or math.inf for row in measured.values())


def _related(task: str) -> set[str]:
    """Return the tasks with the same kind of input, which is in order of time or is not, as in a task."""
    known = problems()
    if task not in known:
        return {task}
    kind = known[task].kind
    ordered = known[task].ordered
    return {name for name, each in known.items() if each.kind == kind and each.ordered == ordered}


def _regrets(measured: Mapping[str, JsonObject]) -> dict[str, float]:
    """Return preset -> regret on a data set."""
    best, guess = _scores(measured)
    return {
        preset: (best - results.sortable_score(row)) / ((best - guess) or 1.0)
        for preset, row in measured.items()
    }


def _scores(measured: Mapping[str, JsonObject]) -> tuple[float, float]:
    """Return the best score on a data set and that of guessing: of its worst baseline (without any, of a preset)."""
    of_presets = [results.sortable_score(row) for row in measured.values()]
    of_baselines = [
        results.sortable_score(dict(row, score=score))
        for row in measured.values()
        for score in (row.get("baselines") or {}).values()
    ]
    return max(of_presets + of_baselines), min(of_baselines or of_presets)


def gap(metric: str, best: float, score: float) -> tuple[str, float]:
    """Return how far a score is behind the best: the unit, and the number; points for percentages and R2.

    Args:
        metric: name of the score.
        best: the best score, as `results.sortable_score` returns it.
        score: the other score.
    """
    score_type: Any = score_named(metric)
    in_points = score_type.form == "percent" or metric in _OF_VARIANCE
    return ("points", 100 * (best - score)) if in_points else (score_type.short, best - score)


def _suggestion(
    preset: str,
    regret: float,
    sets: Sequence[Mapping[str, JsonObject]],
    task: str,
    rows: int | None,
) -> Suggestion:
    regrets = [_regrets(measured) for measured in sets if len(measured) > 1]
    wins = sum(values[preset] == min(values.values()) for values in regrets)
    gaps: dict[str, list[float]] = {}
    for measured in sets:
        row = measured[preset]
        unit, number = gap(row["metric"], _scores(measured)[0], results.sortable_score(row))
        gaps.setdefault(unit, []).append(number)
    unit = max(gaps, key=lambda name: len(gaps[name]))
    median = statistics.median(gaps[unit])
    behind = f"{median:.1f} points" if unit == "points" else f"{median:.2g} {unit}"
    of_sets = f"{wins} of {len(regrets)} measured data sets"
    if wins == len(regrets) == 1:
        of_sets = "the only data set on which several were measured"
    elif wins == len(regrets):
        of_sets = f"all {wins} measured data sets"
    wins_text = f"the best preset on {of_sets}, " if wins else ""
    # one number has no median
    median_text = behind if len(gaps[unit]) == 1 else f"median {behind}"
    on = "" if wins else f" on {plural(len(sets), 'measured data set')}"
    row = min(
        (measured[preset] for measured in sets), key=lambda each: _closeness(each, task, rows)
    )
    beside = next(iter((row.get("baselines") or {}).items()), None)
    beaten = (
        beside is not None
        and "pixels" in kind(problems()[row["task"]].kind).facts
        and results.sortable_score(dict(row, score=beside[1])) > results.sortable_score(row)
    )
    weights = all(_WITH_WEIGHTS in (measured[preset].get("command") or "") for measured in sets)
    with_weights = ", with pretrained weights" if weights else ""
    return Suggestion(
        preset=preset,
        why=f"{wins_text}{median_text} behind the best score{on}{with_weights}",
        regret=regret,
        score=results.score(row),
        data=row["data"],
        rows=row.get("train"),
        seconds=row["seconds"],
        beside=beside and f"{beside[0]} {results.number(beside[1], row['metric'])}",
        weights=weights,
        beaten=beaten,
    )


def _closeness(row: JsonObject, task: str, rows: int | None) -> tuple[object, ...]:
    """Return a key that is smaller for rows of the same task, then for closer sizes, on a log scale."""
    train = row.get("train")
    return (
        row["task"] != task,
        math.inf if train is None or rows is None else abs(math.log(train / max(rows, 1))),
        row["data"],
    )


def _parameters(preset: str) -> float:
    """Return the number of parameters of a preset; infinity if it is not stored."""
    network = results.network_of(preset)
    return math.inf if network is None else network["parameters"]
