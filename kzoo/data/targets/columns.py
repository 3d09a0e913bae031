"""The target of a table: rows that have one, the format of its numbers, and the task."""

import math
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from kzoo.data.inputs.rows.column_kind import column_kind, decides, missing_categories
from kzoo.data.inputs.rows.columns import number_format_of, stored_number_format
from kzoo.data.targets import detection
from kzoo.inference.tables.label_cells import flags
from kzoo.inference.tables.numbers import StoredFormat
from kzoo.inference.tables.raw import MOST
from kzoo.inference.tables.values import (
    MISSING,
    Column,
    Texts,
    plain,
    to_numbers,
    to_words,
    value_counts,
)
from kzoo.problems.tasks import Problem
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, plural, shown

if TYPE_CHECKING:
    import pandas
    from pandas import DataFrame

    from kzoo.data.targets.labels import LabelColumns
    from kzoo.zoo.registry import Preset


def missing_words(
    frame: "pandas.DataFrame", targets: Sequence[str], decimal: str | None = None
) -> dict[str, Collection[str]]:
    """Return name -> the words that are missing values in a target: beside numbers those of `MISSING`, else blanks."""
    words: dict[str, Collection[str]] = {}
    for name in targets:
        values = frame[name]
        if values.dtype.kind not in "biufM" and any(
            _is_missing_word(cell, MISSING) for cell in values.unique()
        ):
            values = plain(values)
            kind = column_kind(
                values, partial(number_format_of, name, values, None, None, decimal)
            ).kind
            words[name] = MISSING if kind == "number" else missing_categories(file=False)
    return words


def without_missing_words(
    frame: "pandas.DataFrame", words: Mapping[str, Collection[str]]
) -> "pandas.DataFrame":
    """Return a frame in which cells of target columns that are words for a missing value are missing.

    Args:
        frame: the table.
        words: name of a target -> the words.
    """
    for name in words:
        missing = [cell for cell in frame[name].unique() if _is_missing_word(cell, words[name])]
        frame = (
            frame.assign(**{name: frame[name].mask(frame[name].isin(missing))})
            if missing
            else frame
        )
    return frame


def _is_missing_word(cell: object, words: Collection[str]) -> bool:
    return isinstance(cell, str) and cell.strip() in words


def rows_with_target(
    frame: "pandas.DataFrame",
    targets: Sequence[str],
    notes: list[str],
    noun: str,
    labels: "LabelColumns | None" = None,
) -> "pandas.DataFrame":
    """Return the rows of a frame that have all targets, with a new index; of labels, those that have any.

    Args:
        frame: the table.
        targets: names of the target columns.
        notes: list that a note about dropped rows is appended to.
        noun: "row", "test row" or "validation row", for messages.
        labels: the `LabelColumns`, or None.

    Raises:
        KzooError: no row has a target.
    """
    has_target = target_rows(frame, targets, labels)
    if not has_target.any():
        raise KzooError(empty_target_message(targets[0], noun))
    if dropped := int((~has_target).sum()):
        notes.append(missing_target_note(dropped, noun))
    return frame if has_target.all() else frame[has_target].reset_index(drop=True)


def target_rows(
    frame: "pandas.DataFrame", targets: Sequence[str], labels: "LabelColumns | None" = None
) -> np.ndarray:
    """Return which rows (N,) of a frame have all targets; of labels, those that have any."""
    return np.asarray(
        frame[targets].notna().all(axis=1) if labels is None else labels.present(frame), bool
    )


def empty_target_message(target: str, noun: str) -> str:
    """Return the error message for a target without values; `noun` as in `rows_with_target`."""
    table = f" of the {noun.removesuffix(' row')} table" if " " in noun else ""
    return (
        f"The target column {target!r}{table} is empty. Fill it in, or choose another with target=."
    )


def missing_target_note(count: int, noun: str) -> str:
    """Return the note that rows without a target are dropped; `noun` as in `rows_with_target`."""
    return f"{plural(count, noun)} without a target {'was' if count == 1 else 'were'} dropped."


def group_labels(values: "pandas.Series", name: str) -> np.ndarray:
    """Return the group of each row (N,) as a string.

    Raises:
        KzooError: a row without a group.
    """
    if values.isna().any():
        missing = plural(int(values.isna().sum()), "row")
        raise KzooError(
            f"is missing in {missing}. Fill in the missing values or omit group=.",
            argument="group",
            value=name,
        )
    return to_words(values).astype(str)


def read_targets(
    frame: "DataFrame",
    targets: Sequence[str],
    overrides: Mapping[str, Mapping[str, str]],
    task: str | None,
    format_warnings: list[str],
    decimal: str | None,
    *,
    distinct: bool = False,
    ambiguous_columns: Collection[str] = (),
) -> "tuple[DataFrame, dict[str, StoredFormat]]":
    """Convert text targets that contain formatted numbers, such as "1.234,50 €", to numbers.

    Args:
        frame: the table; of a single target only its `distinct` cells, if that is set.
        targets: names of the target columns.
        overrides: column options of the user, see `column_options`.
        task: task that the user has set, or None.
        format_warnings: list that lines about ambiguous numbers are appended to.
        decimal: decimal sign of the file.
        distinct: whether `frame` contains the distinct cells of the target instead of rows.
        ambiguous_columns: names of columns that the reader of the file would have converted if their numbers were not
            ambiguous.

    Returns:
        (the table, name -> number format of each such target, as stored).

    Raises:
        KzooError: a target that should be numeric has a value that is not a number, or is declared a date or a text.
    """
    number_formats = {}
    for name in targets:
        values = plain(frame[name])
        kind = overrides.get(name, {}).get("kind")
        if kind in ("date", "text"):
            raise KzooError(
                f"columns: {name!r} is the target. A target must be a number or a category, not a {kind}."
            )
        target_warnings: list[str] = []
        number_format = (
            None
            if kind == "category"
            else number_format_of(name, values, overrides.get(name), target_warnings, decimal)
        )
        if (
            number_format is None
            and (stored := stored_number_format(None, decimal))
            and values.dtype != object
        ):
            number_formats[name] = stored
        if number_format is None:
            continue
        numbers = to_numbers(values, number_format)
        share = np.isfinite(numbers).mean()
        cells = math.inf if distinct else len(values)
        if share < 1 and (kind == "number" or decides(share, len(value_counts(values)), cells)):
            bad = np.flatnonzero(np.isnan(numbers))
            noun, row = ("different values", "") if distinct else ("rows", f"row {bad[0] + 1}: ")
            raise KzooError(
                f"Target {name!r} contains numbers, except in {len(bad)} of {len(numbers)} {noun}, for example {row}"
                f"{shown(frame[name].iloc[bad[0]])}. Correct or remove them. If the values are class names, use "
                f"columns={{{name!r}: 'category'}}."
            )
        # A few different values such as "10%" and "20%" are class names, unless task= or columns= says otherwise.
        problem = (
            detection.requested_problem("rows", task)
            if task is not None
            else detection.likely_problem("rows", [numbers])[0]
        )
        if share == 1 and (kind or problem is None or "classes" not in problem.facts):
            frame, number_formats[name] = frame.assign(**{name: numbers}), number_format.json()
            format_warnings += target_warnings
    return frame, number_formats


def choose_task(
    values: Mapping[str, np.ndarray | Texts], task: str | None, preset: "Preset | None"
) -> tuple[Problem, str]:
    """Return the problem that a target is for, and a sentence with the reason.

    Args:
        values: name -> column of each target.
        task: task that the user has set, or None.
        preset: preset that the data is for, or None.

    Raises:
        KzooError: the target does not suit the task, or (`detection.WrongPreset`) the preset.
    """
    columns = list(values.values())
    problem, reason = detection.likely_problem("rows", columns)
    assert problem is not None  # rows have classes and values
    fixed = detection.only_problem(preset)
    name = "" if preset is None else preset.name
    if len(values) > 1 and task is None:
        reason += _class_targets_note(values, preset)
    if task is not None:
        problem = detection.requested_problem("rows", task)
        reason = f"task={task!r}"
        if fixed not in (None, problem):
            raise detection.WrongPreset(
                f"task={task!r} does not suit {name}, a {fixed.name} preset.",
                "Presets that take any task: {}.",
            )
    elif fixed not in (None, problem):
        if not detection.suits_problem(fixed, columns):
            raise detection.WrongPreset(
                f"Target {next(iter(values))!r} makes this a {problem.name} ({reason}), but {name} is for "
                f"{fixed.name}.",
                "Use one of: {}; or set task=.",
            )
        problem = fixed
        reason = f"{name} is for {fixed.name}"
    if task is not None:
        detection.check_numbers(problem, values, task)
    return problem, detection.choice_note(problem, values, reason, task, MOST)


def check_preset(problem: Problem, preset: "Preset | None") -> None:
    """Raise `detection.WrongPreset` if a preset cannot be adapted to labels: it is for values only."""
    fixed = detection.only_problem(preset)
    if preset is not None and fixed is not None and not fixed.facts & {"classes", "labels"}:
        raise detection.WrongPreset(
            f"The targets make this a {problem.name}, but {preset.name} is for {fixed.name}.",
            "Use one of: {}; or set task='regression'.",
        )


def _class_targets_note(values: Mapping[str, Column], preset: "Preset | None") -> str:
    """Return the note that some of several targets alone would be classes; empty if none would.

    Raises:
        KzooError: all targets are labels. A regression would predict numbers that are no probabilities.
    """
    names = list(values)
    indices, all_labels = detection.class_like_targets("rows", list(values.values()))
    if all_labels:
        if all(flags(column) is not None for column in values.values()):
            check_preset(detection.requested_problem("rows", "labels"), preset)
        _, reason = detection.likely_problem("rows", [values[names[0]]])
        raise KzooError(
            f"The targets {listed(map(repr, names), MOST)} are classes ({names[0]!r}: {reason}), and there can be only "
            f"one such target, or several columns of 0 and 1. Predict one of them (target={names[0]!r}) and exclude "
            "the others with drop=; or use task='regression' if they are numeric values to predict."
        )
    class_targets = listed((repr(names[i]) for i in indices), MOST)
    return (
        f" ({class_targets} alone would be classes; predicted as numbers, they have no probabilities)"
        if indices
        else ""
    )
