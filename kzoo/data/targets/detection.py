"""Task detection: from what the user requests, from what a preset supports, or from the target's values. NumPy only."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from kzoo.inference.tables.numbers import learn_number_format
from kzoo.inference.tables.values import Column, Texts, not_missing, plain, to_numbers
from kzoo.problems.tasks import Problem, problem, problems, tasks
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint, listed, shown

if TYPE_CHECKING:
    from kzoo.zoo.registry import Preset


_NAMED = 40  # columns named in a message
_MOST_CLASSES = 20  # targets with at most this many distinct whole numbers are classes
# distinct numbers and skewness from which on classes are suggested as counts
_FEWEST_COUNTS = 5
_SKEWED = 0.25
_TYPICAL_COUNT = 20  # median up to which whole numbers of 0 or more are suggested as counts


class WrongPreset(KzooError):
    """A target that does not suit the preset.

    Args:
        message: what is wrong.
        fix: a sentence with `{}` for the names of suitable presets, which the caller fills in.
    """

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


def supported_problems(kind: str, order: str = "unordered") -> dict[str, Problem]:
    """Return the values of `task=` for a kind of input: public names and short names.

    Args:
        kind: of the inputs.
        order: the fact "ordered" or "unordered", of the rows.
    """
    by_name = {
        name: candidate
        for name, candidate in problems().items()
        if candidate.kind == kind and order in candidate.facts
    }
    # no task names a problem for this kind: pair it with each task
    if not by_name and order == "unordered":
        suitable = (
            task
            for task in tasks().values()
            if any(order in candidate.facts for candidate in task.problems)
        )
        by_name = {name: problem(name) for name in (f"{kind}:{task.name}" for task in suitable)}
    return {
        word: candidate for candidate in by_name.values() for word in candidate.task.words
    } | by_name


def requested_problem(kind: str, word: str, order: str = "unordered") -> Problem:
    """Return the problem that `task=` requests for a kind of input, and for ordered or unordered rows.

    Raises:
        KzooError: a name that does not suit the kind.
    """
    available = supported_problems(kind, order)
    if not isinstance(word, str) or word not in available:
        raise KzooError(
            f"does not suit {kind} inputs. {hint(word, available)}Their tasks: {', '.join(available)}.",
            argument="task",
            value=word,
        )
    return available[word]


def only_problem(preset: "Preset | None") -> Problem | None:
    """Return the only problem that a preset supports; None if the target decides, or if there is no preset.

    Some presets for classes also support values (`Preset.takes_values`), and those for forecasts read labelled series.
    """
    if preset is None or preset.takes_values or "ordered" in problem(preset.task).facts:
        return None
    return problem(preset.task)


def likely_problem(kind: str, columns: Sequence[Column]) -> tuple[Problem | None, str]:
    """Return the problem that the values of a target suggest (None if there is none for this kind), and the reason.

    Args:
        kind: of the inputs.
        columns: arrays (N,), one per target.
    """
    task_name, reason = "values", "it has many distinct or non-integer numbers"
    if len(columns) > 1:
        reason = "there are several targets"
    elif (numbers := _numbers(columns[0])) is None:
        task_name, reason = "classes", "its values are not numbers"
    else:
        distinct = np.unique(numbers)
        if len(distinct) <= _MOST_CLASSES and (distinct == np.round(distinct)).all():
            task_name = "classes"
            reason = f"it has {len(distinct)} distinct whole numbers"
    return next(
        (
            candidate
            for candidate in supported_problems(kind).values()
            if candidate.task.name == task_name
        ),
        None,
    ), reason


def choose_problem(
    kind: str, targets: Mapping[str, Column], task: str | None, preset: "Preset | None"
) -> tuple[Problem, str]:
    """Return the problem that the target columns of images or texts are for, and a sentence with the reason.

    Args:
        kind: of the inputs.
        targets: name -> array (N,) of each target column.
        task: task that the user has set, or None.
        preset: preset that the data is for, or None.

    Raises:
        KzooError: several columns of labels, or several columns for a classification; or values that are not plain
            numbers.
    """
    names = list(targets)
    columns = list(targets.values())
    fixed = only_problem(preset)
    _refuse_formatted(kind, targets, task)
    chosen, reason = likely_problem(kind, columns)
    if task is not None:
        chosen = requested_problem(kind, task)
        reason = f"task={task!r}"
        check_numbers(chosen, targets, task)
    elif fixed is not None and suits_problem(fixed, columns):
        chosen = fixed
        reason = f"{preset.name} is for {fixed.name}"  # type: ignore[union-attr]  # it has `fixed`
    elif len(names) > 1 and class_like_targets(kind, columns)[1]:
        raise KzooError(
            f"The targets {listed(map(repr, names), _NAMED)} are classes, of which one can be predicted "
            f"(target={names[0]!r}). Several targets must be labels, columns of 0 and 1 or yes and no; or numeric "
            "values, with task='regression'."
        )
    if chosen is None:
        raise KzooError(
            f"{kind} inputs need a target of classes: {reason}. Use a column of classes, or set task=."
        )
    return chosen, choice_note(chosen, targets, reason, task, _NAMED)


def choice_note(
    chosen: Problem,
    targets: Mapping[str, np.ndarray | Texts],
    reason: str,
    task: str | None,
    most: int,
) -> str:
    """Return a sentence on the problem that was chosen for some targets.

    Args:
        chosen: the problem.
        targets: name -> array (N,) of each target column.
        reason: why it was chosen.
        task: task that the user has set, or None.
        most: number of columns that are named.

    Raises:
        KzooError: several columns for a classification.
    """
    if "classes" in chosen.facts and len(targets) > 1:
        raise KzooError(
            f"A classification takes one target column; got {listed(targets, most)}. Several labels per row "
            "(task='labels') need columns of 0 and 1."
        )
    override = "" if task is not None else "; task= overrides"
    title = chosen.name.replace("_", " ").capitalize()
    counts = count_note(chosen, list(targets.values())) if task is None else ""
    return f"{title} of {listed(targets, most)}: {reason}{override}. {counts}".rstrip()


def _refuse_formatted(kind: str, targets: Mapping[str, Column], task: str | None) -> None:
    """Raise `KzooError` for values such as "1,234.5", "$12" or "12%", which only the targets of tables may be.

    As in tables, a few different ones are class names, unless the task is set.
    """
    for name, column in targets.items():
        cells = [cell for cell in column if cell is not None and cell == cell]
        texts = [cell for cell in cells if isinstance(cell, str)]
        if not texts or np.isfinite(to_numbers(cells)).all():
            continue
        numbers = to_numbers(cells, learn_number_format(texts).writing)
        chosen = (
            likely_problem(kind, [numbers])[0] if task is None else requested_problem(kind, task)
        )
        if not np.isfinite(numbers).all() or chosen is None or "values" not in chosen.facts:
            continue
        row = int(np.argmax(~np.isfinite(to_numbers(cells))))
        raise KzooError(
            f"Target {name!r} contains numbers with signs or separators, such as {shown(cells[row])}. Write plain "
            f"numbers ({numbers[row]:.12g}), or use task='classification' if they are class names."
        )


def check_numbers(chosen: Problem, targets: Mapping[str, Column], task: str) -> None:
    """Raise `KzooError` if a task of values is requested for a target in which no cell is a number.

    Args:
        chosen: the problem.
        targets: name -> array (N,) of each target column; cells may be texts.
        task: task that the user has set.
    """
    for name, column in targets.items() if "values" in chosen.facts else ():
        values = plain(column)
        cells = values[not_missing(values)]
        if len(cells) and not np.isfinite(to_numbers(cells)).any():
            raise KzooError(
                f"needs a target of numbers, but {name!r} has {shown(cells[0])}. Choose another target, "
                "or remove this option to predict classes.",
                argument="task",
                value=task,
            )


def numbers_or_texts(column: Column) -> Column:
    """Return a column (N,) as numbers if all of its cells are numbers, possibly written as texts; else unchanged."""
    numbers = to_numbers(column)
    return numbers if np.isfinite(numbers).all() else column


def count_note(chosen: Problem, columns: Sequence[Column]) -> str:
    """Return a sentence that suggests counts to a problem of values or classes, if its only target looks like one.

    A count is a whole number, 0 or more. Targets of larger numbers, such as years or prices, are not suggested. Numbers
    of classes may be whole numbers from 0 too: counts have at least five different ones, and large ones are rare.
    """
    available = supported_problems(chosen.kind) if chosen.facts & {"values", "classes"} else {}
    word = next(
        (word for word, candidate in available.items() if "counts" in candidate.facts), None
    )
    if (
        word is None
        or len(columns) > 1
        or (numbers := _numbers(columns[0])) is None
        or not len(numbers)
    ):
        return ""
    if (
        numbers.min() < 0
        or np.median(numbers) > _TYPICAL_COUNT
        or (numbers != np.round(numbers)).any()
    ):
        return ""
    if "classes" in chosen.facts and (
        numbers.min() > 0
        or len(np.unique(numbers)) < _FEWEST_COUNTS
        or _skewness(numbers) < _SKEWED
    ):
        return ""
    extent = f"{int(numbers.min())} to {int(numbers.max()):,}"
    return f"Its whole numbers from {extent} may be counts: if so, set task={word!r}."


def _skewness(numbers: np.ndarray) -> float:
    """Return the third standardized moment: 0 of balanced classes, 0.5 of Poisson numbers with the mean 4."""
    deviations = numbers - numbers.mean(dtype="float64")
    return float((deviations**3).mean() / max((deviations**2).mean(), 1e-30) ** 1.5)


def class_like_targets(kind: str, columns: Sequence[Column]) -> tuple[list[int], bool]:
    """Return which of several targets are classes when taken alone, and whether all of them are labels.

    Labels are strings, booleans, and numbers with at most two distinct values, such as 0 and 1. Whole numbers with more
    distinct values may be counts.
    """
    separate = [likely_problem(kind, [column])[0] for column in columns]
    indices = [
        i
        for i, candidate in enumerate(separate)
        if candidate is not None and "classes" in candidate.facts
    ]
    labels = len(indices) == len(separate) and all(
        (numbers := _numbers(column)) is None or len(np.unique(numbers)) <= 2 for column in columns
    )
    return indices, labels


def suits_problem(candidate: Problem, columns: Sequence[Column]) -> bool:
    """Return whether a target suits a problem: numbers for values, classes for classes."""
    if "values" in candidate.facts:
        return len(columns) > 1 or _numbers(columns[0]) is not None
    likely, _ = likely_problem(candidate.kind, columns)
    return "classes" not in candidate.facts or (likely is not None and "classes" in likely.facts)


def _numbers(column: Column) -> np.ndarray | None:
    """Return a column as numbers; None if it contains strings or booleans."""
    if isinstance(column, Texts):
        return None
    if column.dtype == object:
        types = set(map(type, column))
        if bool in types or not all(
            issubclass(kind, int | float | np.number | Decimal) for kind in types
        ):
            return None
        try:
            column = column.astype(np.float64)
        except OverflowError:
            largest = max((value for value in column if isinstance(value, int)), key=abs)
            raise KzooError(
                f"The target contains {shown(largest)}, which is too large for a float: scale the target."
            ) from None
    return column if column.dtype.kind in "iuf" else None
