"""Which task a target is for: by what is asked, by what a preset can do, or by the look of its values. NumPy only."""

from decimal import Decimal

import numpy as np

from kzoo.tasks import Problem, problem, problems, tasks
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint, shown

_MOST_CLASSES = 20  # different whole numbers that still count as classes


class WrongPreset(KzooError):
    """A target that does not suit the preset.

    Args:
        message: what is wrong.
        fix: a sentence with `{}` in place of the names of presets that fit; the caller fills them in.
    """

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


def fitting(kind: str, order: str = "unordered") -> dict[str, Problem]:
    """Return what `task=` may say for inputs of this kind: public names and short words.

    Args:
        kind: of the inputs.
        order: the fact "ordered" or "unordered", of the rows.
    """
    found = {name: one for name, one in problems().items() if one.kind == kind and order in one.facts}
    if not found and order == "unordered":  # no task has a name of its own for this kind: it goes with each
        fit = (task for task in tasks().values() if any(order in one.facts for one in task.problems))
        found = {name: problem(name) for name in (f"{kind}:{task.name}" for task in fit)}
    return {word: one for one in found.values() for word in one.task.words} | found


def requested_problem(kind: str, word: str, order: str = "unordered") -> Problem:
    """Return what `task=` means for this kind, and for rows with an order or without.

    Raises:
        KzooError: a word that means nothing for it.
    """
    known = fitting(kind, order)
    if not isinstance(word, str) or word not in known:
        raise KzooError(f"task={word!r} does not suit {kind} inputs. {hint(word, known)}Use: {', '.join(known)}.")
    return known[word]


def fixed_by(preset) -> Problem | None:
    """Return the only problem that a preset is for; None where the target decides, or there is no preset.

    A preset of classes that can scale targets back takes values too.
    """
    if preset is None:
        return None
    own = problem(preset.task)
    return None if own.task.name == "classes" and "target_scale" in preset.config else own


def likely_problem(kind: str, columns) -> tuple[Problem | None, str]:
    """Return the problem that a target looks like, None where rows of this kind have none such, and why.

    Args:
        kind: of the inputs.
        columns: arrays (N,), one for each target.
    """
    found, why = "values", "its numbers are not a few whole ones"
    if len(columns) > 1:
        why = "there are several targets"
    elif (numbers := _numbers(columns[0])) is None:
        found, why = "classes", "its values are not numbers"
    else:
        distinct = np.unique(numbers)
        if len(distinct) <= _MOST_CLASSES and (distinct == np.round(distinct)).all():
            found, why = "classes", f"it has {len(distinct)} different whole numbers"
    return next((one for one in fitting(kind).values() if one.task.name == found), None), why


def would_be_classes(kind: str, columns) -> tuple[list[int], bool]:
    """Return which of several targets would be classes alone, and whether all of them are labels.

    Labels are words, truth values, and numbers of two values, such as 0 and 1. Whole numbers of more values may be
    counts as well.
    """
    alone = [likely_problem(kind, [column])[0] for column in columns]
    places = [place for place, one in enumerate(alone) if one is not None and "classes" in one.facts]
    labels = len(places) == len(alone) and all(
        (numbers := _numbers(column)) is None or len(np.unique(numbers)) <= 2 for column in columns
    )
    return places, labels


def suits_problem(one: Problem, columns) -> bool:
    """Say whether a target can be what a problem answers: numbers for values, classes for classes."""
    if "values" in one.facts:
        return len(columns) > 1 or _numbers(columns[0]) is not None
    found, _ = likely_problem(one.kind, columns)
    return "classes" not in one.facts or (found is not None and "classes" in found.facts)


def _numbers(column):
    """Return a column as numbers; None where it holds words, or true and false."""
    if column.dtype == object:
        if not all(isinstance(v, int | float | np.number | Decimal) and not isinstance(v, bool) for v in column):
            return None
        try:
            column = column.astype(np.float64)
        except OverflowError:
            largest = max((value for value in column if isinstance(value, int)), key=abs)
            raise KzooError(f"The target holds {shown(largest)}, larger than any float: scale it.") from None
    return column if column.dtype.kind in "iuf" else None
