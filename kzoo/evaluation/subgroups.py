"""Scores of subgroups: the rows of a split by the values of a column, such as a region or an age."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from kzoo.data.dataset import Loadable, Split
from kzoo.data.tables.frame import is_pair, join_targets
from kzoo.inference.tables.files import is_table
from kzoo.inference.tables.raw import is_arrow
from kzoo.inference.tasks.weighted import UNWEIGHTED, effective_rows
from kzoo.inference.tasks.wilson import wilson
from kzoo.problems.kinds import kind_of
from kzoo.problems.tasks import Judged, Scored, Task
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import hint, listed
from kzoo.zoo.results import displayed_metric, value_of
from kzoo.zoo.run import Run

FEWEST = 30  # rows: subgroups with fewer are not scored
_MOST_GROUPS = 20  # the rarest values of a column with more are scored together
_BINS = 4  # of a column of numbers or times with more than `_MOST_GROUPS` different values
_ALPHA = 0.05


def subgroup_scores(
    score: Callable[[Split], Scored],
    judged: Judged,
    part: Split,
    names: Sequence[str],
    *,
    metric: str,
    task: Task,
    by: str,
) -> JsonObject:
    """Return the scores of each subgroup, with intervals, and how it differs from the other rows.

    Args:
        score: function of a `Split` that returns its `Scored`.
        judged: of the rows of the split.
        part: the `Split`. If its rows have weights, all numbers are weighted.
        names: (N,) name of the subgroup of each row.
        metric: the primary score of all rows.
        task: the `Task`.
        by: name of the column.

    Returns:
        `column`, `metric`, `baselines` (names of the scores to compare with), and `groups`: name -> `examples`, `score`
        (the metric), `scores` (all scores), `mean`: the
        share of correct predictions, or the mean error that `of` names, with its 95 % `interval` (Wilson's for
        shares), and `difference` from the mean of all other rows with `difference_interval`. The intervals of the
        differences hold for all subgroups at once (Bonferroni); they are Agresti and Caffo's for shares
        (doi:10.1080/00031305.2000.10474560) and normal approximations for errors. `verdict` is "better" or "worse" if
        the interval does not contain 0, else "". Subgroups with fewer than 30 rows have `examples` only.

        Of rows with weights, `effective_examples` is Kish's effective number, which intervals are of and which must be
        30 too; `unweighted` has `mean`, `interval`, `difference`, `difference_interval` and `verdict` without weights.
    """
    group_of = np.asarray(names, dtype=object)
    weight = None if part.weight is None else np.asarray(part.weight, "float64")
    groups: dict[str, dict[str, Any]] = {}
    large = []
    for name in dict.fromkeys(names):
        inside = group_of == name
        sizes = groups[name] = dict(examples=int(inside.sum()))
        if weight is not None:
            sizes["effective_examples"] = round(_rows(weight[inside]), 1)
        if min(sizes.values()) >= FEWEST:
            large.append(name)
    measured, of, larger_is_better = (
        (judged.error, judged.of, False)
        if judged.right is None
        else (judged.right, judged.of or "accuracy", True)
    )
    options: dict[str, Any] = dict(larger_is_better=larger_is_better, comparisons=len(large))
    for name in large:
        inside = group_of == name
        scored = score(part.select(np.flatnonzero(inside)))
        shown_metric = displayed_metric(metric, scored.scores, task)
        groups[name] |= dict(
            score=value_of(scored.scores, shown_metric),
            metric=shown_metric,
            scores=scored.scores,
            **_compared(measured, inside, weight, **options),
        )
        if weight is not None:
            groups[name][UNWEIGHTED] = _compared(measured, inside, None, **options)
    return dict(column=by, metric=metric, of=of, baselines=task.baselines_of(of), groups=groups)


def _rows(weight: np.ndarray) -> float:
    """Return the effective number of rows, 0 if all weights are 0."""
    return effective_rows(weight) if weight.any() else 0.0


class _Moments(NamedTuple):
    """The (effective) number of rows of a sample, and the mean and the variance of their values."""

    rows: float
    mean: float
    variance: float

    @classmethod
    def of(cls, values: np.ndarray, weight: np.ndarray | None) -> "_Moments":
        """Return the moments of values (N,) with weights (N,) or None; NaN for a single row."""
        values = values.astype("float64")
        rows = len(values) if weight is None else _rows(weight)
        if rows <= 1:
            return cls(rows, np.nan, np.nan)
        mean = np.average(values, weights=weight)
        variance = np.average((values - mean) ** 2, weights=weight) * rows / (rows - 1)
        return cls(rows, float(mean), float(variance))


def _compared(
    measured: np.ndarray,
    inside: np.ndarray,
    weight: np.ndarray | None,
    *,
    larger_is_better: bool,
    comparisons: int,
) -> JsonObject:
    """Return the mean of a subgroup with its interval, and its difference from the mean of the other rows.

    Args:
        measured: (N,) whether predictions are right, or their errors.
        inside: (N,) booleans: the rows of the subgroup.
        weight: (N,) sample weights, or None.
        larger_is_better: whether a larger mean is better.
        comparisons: number of subgroups that are compared.
    """
    is_share = measured.dtype == bool
    group, others = (
        _Moments.of(measured[rows], None if weight is None else weight[rows])
        for rows in (inside, ~inside)
    )
    if is_share:
        low, high = wilson(group.mean * group.rows, group.rows)
    else:
        reach = float(stats.norm.ppf(1 - _ALPHA / 2) * np.sqrt(group.variance / group.rows))
        low = group.mean - reach
        high = group.mean + reach
    result: dict[str, Any] = dict(mean=group.mean, interval=[low, high])
    if others.rows < FEWEST:
        return result | dict(difference=None, difference_interval=None, verdict="")
    center, spread = _difference(group, others, is_share)
    reach = float(stats.norm.ppf(1 - _ALPHA / 2 / comparisons) * spread)
    bounds = [center - reach, center + reach]
    verdict = (
        ""
        if bounds[0] <= 0 <= bounds[1]
        else "better"
        if (center > 0) == larger_is_better
        else "worse"
    )
    return result | dict(
        difference=group.mean - others.mean, difference_interval=bounds, verdict=verdict
    )


def _difference(group: _Moments, others: _Moments, is_share: bool) -> tuple[float, float]:
    """Return the center and the standard error of the interval of a difference of means."""
    # one more right and one more wrong row in both, so that a share of 1 has a spread, too
    if is_share:
        shares = [
            ((part.mean * part.rows + 1) / (part.rows + 2), part.rows + 2)
            for part in (group, others)
        ]
        (first, _), (second, _) = shares
        return float(first - second), float(
            np.sqrt(sum(share * (1 - share) / n for share, n in shares))
        )
    return group.mean - others.mean, float(
        np.sqrt(group.variance / group.rows + others.variance / others.rows)
    )


def subgroup_names(
    run: Run,
    source: "Loadable | None",
    part: Split,
    by: str,
    *,
    targets: Sequence[str],
    own_data: bool,
) -> list[str]:
    """Return the name of the subgroup of each row of a split: its cell in a column, or the range it lies in.

    A column of numbers or times with more than 20 different values is cut at its quartiles. Of other columns, the 19
    most frequent values are subgroups, and all others are one.

    Args:
        run: the `Run`.
        source: of the rows, as `kzoo.evaluate` takes it; None for the run's own named data set.
        part: the `Split`.
        by: name of the column. It need not be an input of the model.
        targets: names of the target columns in the source.
        own_data: whether the source is what the run was trained on, and `part` a split of it.

    Raises:
        KzooError: there is no such column, or the rows of the source are not known.
    """
    if not isinstance(by, str):
        raise KzooError("must be the name of one column.", argument="by", value=by)
    reader = run.preprocessing
    fitting = kind_of(run.preprocessing).fitting
    if is_pair(source):
        source = join_targets(source[0], source[1], targets)[0]
    is_frame = (
        hasattr(source, "iloc")
        or is_arrow(source)
        or (isinstance(source, str | Path) and is_table(source))
    )
    if is_frame and hasattr(fitting, "usable_rows"):
        frame = fitting.usable_rows(reader, source, targets=targets)
        if by not in frame.columns:
            raise KzooError(
                f"is not a column of the table. {hint(by, frame.columns)}Columns: "
                f"{listed(frame.columns, 40)}.",
                argument="by",
                value=by,
            )
        rows = np.arange(len(frame)) if not own_data else part.rows
        if (
            rows is not None
            and len(rows) == len(part)
            and (not len(rows) or rows.max() < len(frame))
        ):
            return _names(frame[by].iloc[rows])
    if not hasattr(fitting, "input_column"):
        raise KzooError(
            f"is for tables, and this model takes {kind_of(reader).name}. Remove it.",
            argument="by",
            value=by,
        )
    inputs = [column["name"] for column in reader.get("columns", ())] or list(
        run.data.feature_names
    )
    column = fitting.input_column(reader, part.x[:], by, inputs) if by in inputs else None
    if column is None:
        raise KzooError(
            f"must be an input of the model ({listed(inputs, 10)}), or a column of a table that is "
            f"passed as data=. {hint(by, inputs)}".rstrip(),
            argument="by",
            value=by,
        )
    return _names(column)


def _names(column: pd.Series) -> list[str]:
    """Return the subgroup of each cell of a pandas Series."""
    present = column.dropna()
    if present.nunique() > _MOST_GROUPS:
        numbers = (
            column
            if pd.api.types.is_datetime64_any_dtype(column)
            else pd.to_numeric(column, errors="coerce")
        )
        if numbers.notna().sum() == len(present):
            return _ranges(numbers)
        most_frequent = set(present.value_counts().index[: _MOST_GROUPS - 1])
        rest = f"(other: {present.nunique() - len(most_frequent)} values)"
        column = column.where(column.isna() | column.isin(most_frequent), rest)
    return [
        "(missing)" if missing else str(cell)
        for cell, missing in zip(column, column.isna(), strict=True)
    ]


def _ranges(numbers: pd.Series) -> list[str]:
    """Return the range between two quartiles that each number or time lies in."""
    codes, edges = pd.qcut(numbers, _BINS, labels=False, retbins=True, duplicates="drop")
    is_time = pd.api.types.is_datetime64_any_dtype(numbers)
    ends = [str(pd.Timestamp(edge).date()) if is_time else f"{edge:.6g}" for edge in edges]
    # A range contains its upper end, and the first one its lower end.
    ranges = [
        f"{'' if not i else 'above '}{low} to {high}"
        for i, (low, high) in enumerate(pairwise(ends))
    ]
    return ["(missing)" if code != code else ranges[int(code)] for code in codes]
