"""The baseline to try before any preset: smoothing, where a linear model learns less from the windows. Never Keras."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kzoo.baselines.baseline import list_baselines
from kzoo.baselines.score import score
from kzoo.data.dataset import Dataset
from kzoo.data.options import DataOptions
from kzoo.problems.tasks import problem_for, score_named
from kzoo.zoo.results import number

# of the scores, from which on smoothing is suggested: see `suggested_baseline`
_CLEARLY_WORSE = 1.1
_LINEAR = "ridge_windows"
_SECONDS = 5.0  # for each baseline


@dataclass(frozen=True, kw_only=True)
class SuggestedBaseline:
    """A baseline to try before any preset.

    Args:
        name: of the baseline.
        why: its score beside that of the linear model.
        call: the Python call that trains it.
    """

    name: str
    why: str
    call: str

    def __str__(self) -> str:
        return f"{self.why}: {self.call}"


def suggested_baseline(
    data: Dataset, options: DataOptions, window: Mapping[str, Any]
) -> SuggestedBaseline | None:
    """Return the baseline that is clearly better than a linear model of windows; None without one, or if too slow.

    It is the best of those that forecast from a window alone, such as exponential smoothing: they learn nothing from
    the training windows, so that they need few. Linear models learn all of their weights from them; in closed form,
    the linear model tells within a second whether this pays. Both are scored on the validation windows by their squared
    error, also for quantiles.

    The linear model has to be worse by a tenth. Measured with `series_linear` on panels of
    `tests/benchmarks/forecasts.py`, see docs/explanation/forecasts.md.

    Args:
        data: series to forecast; None is returned for other data.
        options: how it was read.
        window: the settings of `kzoo.training.suggestions.WINDOW` with which it was read.
    """
    if not data.problem.ordered or data.validation is None or "horizon" not in data.config:
        return None
    point = problem_for(data.inputs, "values", ordered=True)
    points = _of_points(data, point.name)
    names = [each.name for each in list_baselines(point) if each.steps is not None]
    scored = score(points, names=[*names, _LINEAR], split="validation", seconds=_SECONDS)
    results = {each.name: each for each in scored}
    values = {each.name: each.value for each in scored if each.value is not None and not each.rows}
    name = next((name for name in values if name in names), None)
    if name is None or _LINEAR not in values:
        return None
    if not values[name] * _CLEARLY_WORSE < values[_LINEAR]:
        return None
    metric = results[name].metric
    score_type: Any = score_named(metric)
    label = results[name].label
    why = (
        f"{label[:1].upper()}{label[1:]} is the better first choice: {score_type.short} "
        f"{number(values[name], metric)} on the validation rows, {results[_LINEAR].label} "
        f"{number(values[_LINEAR], metric)}"
    )
    return SuggestedBaseline(name=name, why=why, call=_call(name, data, options, window))


def _of_points(data: Dataset, task: str) -> Dataset:
    """Return data for forecasts with one value per step, such as the same without quantiles."""
    option = data.problem.task.option
    config = {name: data.config[name] for name in data.config if name != option}
    origin = data.origin
    if option and origin is not None:
        unset: Any = {option: None}
        origin = replace(origin, options=replace(origin.options, task=task, **unset))
    return replace(data, task=task, config=config, origin=origin)


def _call(name: str, data: Dataset, options: DataOptions, window: Mapping[str, Any]) -> str:
    """Return the Python call that trains a baseline on data; sources that are not files are written by their name."""
    horizon = {"horizon": window["horizon"]} if "horizon" in window else {}
    words = [f"{option}={_written(option, value)}" for option, value in options.given().items()]
    words += [f"{option}={value!r}" for option, value in horizon.items()]
    source = data.origin.source if data.origin is not None else None
    return f"kzoo.baselines.train({', '.join([repr(name), _written('data', source), *words])})"


def _written(name: str, value: object) -> str:
    """Return a value as Python source, or the name of its argument if it has no short one."""
    if isinstance(value, str | int | float):
        return repr(value)
    if isinstance(value, list | tuple) and all(
        isinstance(each, str | int | float) for each in value
    ):
        return repr(list(value))
    return name
