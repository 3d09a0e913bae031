"""Splits that never move with the training seed, labels as integers, fingerprints."""

import hashlib
import json
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from kzoo.storage.windows import Mapped, blocks
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import shown

SMALLEST = 10  # rows below which three splits mean nothing


MOST_FOLDS = 10_000  # a training each
_FAR = 0.1  # of all rows, by which a split is larger than it was to be


@dataclass(frozen=True)
class Fold:
    """One fold of a cross-validation, given where `test=` is a fraction: its rows are the test split.

    Args:
        index: which fold, 0..folds-1; together they hold every row once.
        folds: how many parts the rows are divided into.
        stratified: keep the proportions of the classes in each.
        seed: draws the division.
    """

    index: int
    folds: int = 5
    stratified: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if (
            isinstance(self.folds, bool)
            or not isinstance(self.folds, int | np.integer)
            or not 2 <= self.folds <= MOST_FOLDS
        ):
            raise KzooError(
                f"folds={shown(self.folds)} must be a whole number of at least 2, and at most {MOST_FOLDS}."
            )
        if not isinstance(self.stratified, bool | np.bool_):
            raise KzooError(f"stratified={shown(self.stratified)} must be True or False.")
        whole = isinstance(self.index, int | np.integer) and not isinstance(self.index, bool)
        if not whole or not 0 <= self.index < self.folds:
            raise KzooError(f"index={shown(self.index)} must be the number of a fold, 0 to {self.folds - 1}.")
        check_seed(self.seed)


def is_source(test):
    """Say whether `test=` is a second source of data, rather than a fraction, a fold or None."""
    return test is not None and not isinstance(test, bool | int | float | np.number | Fold)


def fractions(validation, test):
    """Check the two fractions and fill in the default test fraction of 0.2; a fold is its share of the rows.

    Raises:
        KzooError: a fraction outside 0..1, or nothing left to train on.
    """
    validation, test = (0.0 if validation is None else validation), (0.2 if test is None else test)
    test = 1 / test.folds if isinstance(test, Fold) else test
    for name, value in (("validation", validation), ("test", test)):
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value < 1:
            raise KzooError(f"{name}={shown(value)} must be a fraction: at least 0 and below 1.")
    if validation + test >= 1:
        raise KzooError(f"validation={validation} and test={test} leave nothing to train on.")
    return float(validation), float(test)


def split_rows(n, *, validation=0.1, test=None, seed=0, labels=None, groups=None):
    """Divide n rows into training, validation and test rows, the same ones for the same seed.

    Args:
        validation: fraction of what the test split leaves.
        test: fraction of all rows; None means 0.2. Or a `Fold`, whose seed then draws the validation split too.
        labels: (n,) integer labels, to keep their proportions (stratified).
        groups: (n,) values that must not straddle two splits (one patient, one customer).

    Returns:
        A dict of sorted row numbers, None for an empty split, and a list of notes.

    Raises:
        KzooError: too few rows or groups, or a class with no row left to train on.
    """
    fold = test if isinstance(test, Fold) else None
    validation, test = fractions(validation, test)
    check_seed(seed)
    check_enough(n)
    rng, notes = np.random.default_rng(seed if fold is None else fold.seed), []
    groups = None if groups is None else np.asarray(groups)
    if fold is not None:
        parts = _split_fold(fold, n, validation, labels, groups, rng, notes)
    elif groups is not None:
        parts = _split_groups(groups, validation, test, rng)
        notes += _about_sizes(parts, n, {"test": test, "validation": validation * (1 - test)})
    else:
        rest, tested = _take(rng.permutation(n), test, labels, "test", notes)
        train, validated = _take(rng.permutation(rest), validation, labels, "validation", notes)
        parts = {"train": train, "validation": validated, "test": tested}
    if labels is not None and (lost := np.setdiff1d(labels, labels[parts["train"]])).size:
        cure = "lower test= or validation=" if fold is None else "use stratified=True, other folds= or another seed="
        raise KzooError(f"Class number {lost[0]} has no training row left; {cure}.")
    return {name: np.sort(rows) if len(rows) else None for name, rows in parts.items()}, notes


def _split_fold(fold, n, validation, labels, groups, rng, notes):
    """Divide as scikit-learn does; validation rows come from what the fold leaves, so that they never meet it."""
    stratified = fold.stratified and labels is not None
    model_selection = import_module("sklearn.model_selection")  # most callers need none of it
    if groups is not None:
        most, what = len(np.unique(groups)), "different values of group="
        kind = model_selection.StratifiedGroupKFold if stratified else model_selection.GroupKFold
    elif stratified:
        most, what = np.bincount(labels).min(), "rows of the smallest class (or pass stratified=False)"
        kind = model_selection.StratifiedKFold
    else:
        most, what, kind = n, "usable rows", model_selection.KFold
    if fold.folds > most:
        raise KzooError(f"folds={fold.folds} is more than the {most} {what}.")
    divide = kind(fold.folds, shuffle=True, random_state=int(fold.seed))
    rest, tested = list(divide.split(np.zeros(n), labels, groups))[fold.index]
    if groups is not None:
        inner = _split_groups(groups[rest], validation, 0, rng)
        return {name: rest[rows] for name, rows in inner.items()} | {"test": tested}
    train, validated = _take(rng.permutation(rest), validation, labels, "validation", notes)
    return {"train": train, "validation": validated, "test": tested}


def _take(rows, fraction, labels, name, notes):
    """Take every k-th of the shuffled rows, sorted by label: exact in total, within one row per class."""
    if fraction == 0:
        return rows, rows[:0]
    candidates = rows
    if labels is not None:
        own = labels[rows]
        lonely = np.bincount(own)[own] < 2
        if lonely.any():
            notes.append(f"{lonely.sum()} classes have one row outside the test split; it stays out of {name}.")
        candidates = rows[~lonely]
        candidates = candidates[np.argsort(labels[candidates], kind="stable")]
    steps = np.floor(np.arange(len(candidates) + 1) * fraction + 0.5)
    taken = candidates[np.diff(steps) > 0]
    if not len(taken):
        taken = candidates[:1]
    return rows[~np.isin(rows, taken)], taken


def _split_groups(groups, validation, test, rng):
    names, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    wanted = 1 + (validation > 0) + (test > 0)
    if len(names) < wanted:
        raise KzooError(f"group= has {len(names)} different values; {wanted} splits need at least {wanted}.")
    order = rng.permutation(len(names))
    part, at = np.zeros(len(names), int), 0
    goals = ((2, test * len(groups)), (1, validation * (1 - test) * len(groups)))
    for spare, (code, goal) in zip((1 + (validation > 0), 1), goals, strict=True):
        size = 0
        while goal and at < len(order) - spare and (size == 0 or size + sizes[order[at]] / 2 <= goal):
            part[order[at]], size, at = code, size + sizes[order[at]], at + 1
    return {name: np.flatnonzero(part[member] == code) for code, name in enumerate(("train", "validation", "test"))}


def _about_sizes(parts, n, wanted):
    """Return a line for each split that groups make far larger than it was to be."""
    return [
        f"group= brings {len(parts[name]) / n:.0%} of the rows into {name}, where {share:.0%} were to be: groups are "
        "large. Another seed divides them otherwise."
        for name, share in wanted.items()
        if len(parts[name]) / n > max(2 * share, share + _FAR)
    ]


def check_groups(groups):
    """Return values of groups as an array of one type.

    Raises:
        KzooError: some are missing: their rows would count as one group.
    """
    groups = np.asarray(groups)
    there = np.array([one is not None and one == one for one in groups.reshape(-1).tolist()], bool)
    if not there.all():
        raise KzooError(f"group= is missing in {(~there).sum()} rows; fill it in or leave group= out.")
    return groups.astype(str) if groups.dtype == object else groups


def split_target(task, values, first, *, names=(), known=None, groups=None, **how):
    """Learn a target, and divide the rows of a source.

    Classes are learned before the rows are divided, because each split is to have the same shares of them; everything
    else is learned on the training rows alone.

    Args:
        task: the way of answering, a `kzoo.tasks.Task`.
        values: raw labels of all rows, an array or columns of a DataFrame.
        first: how many of them are to be divided; the others are of a second source.
        names, known: see the task's `learn`.
        groups, how: see `split_rows`.

    Returns:
        (target, y of all rows, parts, notes).
    """
    light, rows = task.inference, values.iloc if hasattr(values, "iloc") else values
    target = light.learn(rows[:first], names, known=known) if "classes" in task.facts else None
    y = light.encode(target, values)
    labels = None if target is None else y[:first]
    parts, notes = split_rows(first, labels=labels, groups=groups, **how)
    if target is None:
        target = light.learn(rows[parts["train"]], names, known=known)
    return target, y, parts, [*notes, *target_notes(target)]


def split_time(n, *, validation=0.1, test=None):
    """Return the row numbers where validation and test start, in an ordered series: fractions of all rows.

    Raises:
        KzooError: a fold, whose training rows would come after it.
    """
    if isinstance(test, Fold):
        raise KzooError(
            "Folds of an ordered series would be trained on its future: use kzoo.train, which tests on its end."
        )
    validation, test = fractions(validation, test)
    first_test = n - round(n * test)
    return first_test - round(n * validation), first_test


def check_enough(n):
    """Raise `KzooError` for too few rows to divide."""
    if n < SMALLEST:
        raise KzooError(f"Only {n} usable rows: kzoo needs at least {SMALLEST} to train, validate and test.")


def target_notes(target) -> list:
    """Return a line where what was learned of a target is to be known."""
    if loss := target.config.get("loss"):
        return [f"The target has heavy tails: loss='auto' is {loss!r}, which a few far values do not rule."]
    return []


def check_seed(seed):
    """Raise `KzooError` unless the seed is a whole number that is not negative."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise KzooError(f"seed={seed!r} must be a whole number, 0 or more.")


def fingerprint(*parts):
    """Return the sha256 over arrays, also mapped ones, bytes, strings and JSON values, the same in every process."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Mapped) or (isinstance(part, np.ndarray) and part.dtype != object):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            for block in [part] if isinstance(part, np.ndarray) else blocks(part):
                digest.update(np.ascontiguousarray(block).data if block.size else b"")
        elif isinstance(part, bytes):
            digest.update(part)
        else:
            digest.update(json.dumps(part, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()
