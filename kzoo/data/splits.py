"""Splits that do not depend on the training seed, stratified and grouped splits, and fingerprints."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from kzoo.data.store.windows import Mapped, blocks
from kzoo.data.stratified import divide
from kzoo.data.tables.cell_notes import sentinel_notes, spelling_notes
from kzoo.data.time_order import split_moments
from kzoo.problems.layout import RawLabels
from kzoo.problems.tasks import Target
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed
from kzoo.utils.table_path import Source

if TYPE_CHECKING:
    pass

# A fraction of the rows, a `Fold`, None, or a second source (`Loadable`).
RequestedSplit: TypeAlias = Any

SMALLEST = 10  # minimum number of rows for three splits
MOST_FOLDS = 10_000  # each fold is a training
_NAMED_LABELS = 8  # in a note
_OVERSIZE = 0.1  # share of all rows by which a split may exceed its requested size


@dataclass(frozen=True)
class Fold:
    """A fold of a cross-validation, passed as `test=` instead of a fraction: its rows are the test split.

    Args:
        index: which fold, 0..folds-1; together the folds hold every row once. Of forecasts, the folds are the last
            parts of the series in order of time, and only earlier rows are trained on.
        folds: the number of parts into which the rows are divided.
        stratified: whether to keep the class proportions in each fold.
        seed: seed of the division.

    Raises:
        KzooError: a value is not of the right type or out of range.

    Examples:
        >>> from kzoo.data.splits import Fold
        >>> parts = [kzoo.load_data("iris", test=Fold(index, folds=5)) for index in range(5)]
        >>> [len(data.test) for data in parts]
        [30, 30, 30, 30, 30]
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
                f"must be a whole number from 2 to {MOST_FOLDS}.",
                argument="folds",
                value=self.folds,
            )
        if not isinstance(self.stratified, bool | np.bool_):
            raise KzooError("must be True or False.", argument="stratified", value=self.stratified)
        whole = isinstance(self.index, int | np.integer) and not isinstance(self.index, bool)
        if not whole or not 0 <= self.index < self.folds:
            raise KzooError(
                f"must be the index of a fold, 0 to {self.folds - 1}.",
                argument="index",
                value=self.index,
            )
        check_seed(self.seed)


class HeldOut(float):
    """The fraction `validation=` of a source with the calibration rows in it, which `split_rows` takes apart.

    Args:
        validation, calibration: the two fractions; the value is their sum.
    """

    calibration: float

    def __new__(cls, validation: float, calibration: float) -> "HeldOut":
        held_out = super().__new__(cls, round(validation + calibration, 12))
        held_out.calibration = calibration
        return held_out

    @property
    def share(self) -> float:
        """The share of the calibration rows among these rows."""
        return min(self.calibration / self, 1.0) if self else 0.0


def is_source(part: object) -> bool:
    """Return True if `test=`, `validation=` or `calibration=` is a second source, not a fraction, a fold or None."""
    return part is not None and not isinstance(part, bool | int | float | np.number | Fold)


def second_sources(
    validation: RequestedSplit, test: RequestedSplit, calibration: RequestedSplit = None
) -> dict[str, Source]:
    """Return split -> its source, for each that is a second source of data."""
    parts = (("validation", validation), ("test", test), ("calibration", calibration))
    return {name: part for name, part in parts if is_source(part)}


def held_out(validation: RequestedSplit, calibration: RequestedSplit) -> RequestedSplit:
    """Return `validation=` as loaders of sources take it: with the calibration rows in it, if they are a fraction.

    Raises:
        KzooError: an invalid fraction, or one beside validation rows of their own.
    """
    if calibration is None or is_source(calibration):
        return validation
    if isinstance(calibration, bool | Fold) or not 0 < calibration < 1:
        raise KzooError(
            "must be a fraction above 0 and below 1, or a source.",
            argument="calibration",
            value=calibration,
        )
    if is_source(validation):
        raise KzooError(
            "is a fraction of the rows, and validation= is a source of its own. Pass a "
            "source of calibration rows too.",
            argument="calibration",
            value=calibration,
        )
    validation, _ = split_fractions(validation, 0)
    if validation + calibration >= 1:
        raise KzooError(
            f"and calibration={calibration:g} leave no rows to train on: their sum must be "
            "below 1.",
            argument="validation",
            value=validation,
        )
    return HeldOut(validation, calibration)


def drawn(part: RequestedSplit) -> RequestedSplit:
    """Return the fraction, or the fold, to draw from the training source; 0 for a second source."""
    return 0 if is_source(part) else part


def split_fractions(validation: "float | None", test: "float | Fold | None") -> tuple[float, float]:
    """Check the two fractions and fill in the default test fraction of 0.2; a fold counts as its share of the rows.

    Raises:
        KzooError: a fraction is outside 0..1, or no rows are left to train on.
    """
    validation = 0.0 if validation is None else validation
    test = 0.2 if test is None else test
    test = 1 / test.folds if isinstance(test, Fold) else test
    for name, value in (("validation", validation), ("test", test)):
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float | np.number)
            or not 0 <= value < 1
        ):
            raise KzooError(
                "must be a fraction: at least 0 and below 1.", argument=name, value=value
            )
    if validation + test >= 1:
        raise KzooError(
            f"and test={test} leave no rows to train on: their sum must be below 1.",
            argument="validation",
            value=validation,
        )
    return float(validation), float(test)


def split_rows(
    n: int,
    *,
    validation: "float | None" = 0.1,
    test: "float | Fold | None" = None,
    seed: int = 0,
    labels: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    moments: np.ndarray | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Divide n rows into training, validation and test rows; the same seed gives the same split.

    Args:
        validation: fraction of the rows that are not in the test split.
        test: fraction of all rows, 0.2 if None; or a `Fold`, whose seed then also draws the validation split.
        labels: (n,) integer labels, or (n, labels) 0, 1 and NaN, for a stratified split.
        groups: (n,) group values; rows of a group (a patient, a customer) stay in one split.
        moments: (n,) numbers that increase with time, for a split in order of time: the seed and the classes do not
            matter. None for a random split.

    Returns:
        A dict of sorted row numbers, with None for an empty split, and a list of notes. If `validation` is a `HeldOut`,
        the dict has "calibration" too; training and test rows are those of a split without it.

    Raises:
        KzooError: too few rows or groups, or a class with no rows left to train on.
    """
    options = dict(
        labels=labels, groups=None if groups is None else np.asarray(groups), moments=moments
    )
    parts, notes = _split_rows(n, validation=validation, test=test, seed=seed, **options)
    if isinstance(validation, HeldOut) and parts["validation"] is not None:
        rows = parts["validation"]
        rng = np.random.default_rng([test.seed if isinstance(test, Fold) else seed, 1])
        remaining, calibration = cut_calibration(rows, validation.share, rng, notes, **options)
        parts["validation"] = remaining if len(remaining) else None
        parts["calibration"] = calibration if len(calibration) else None
    return parts, notes


def cut_calibration(
    rows: np.ndarray,
    share: float,
    rng: "np.random.Generator",
    notes: list[str],
    *,
    labels: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    moments: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (validation rows, calibration rows), each sorted.

    Args:
        rows: both, sorted.
        share: of the calibration rows.
        rng: random generator.
        notes: list that notes are appended to.
        labels, groups, moments: see `split_rows`. In order of time, the latest rows are the calibration rows.

    Raises:
        KzooError: too few groups or moments.
    """
    if share >= 1:
        return rows[:0], rows
    if moments is not None:
        try:
            parts, _ = split_moments(
                np.asarray(moments)[rows],
                validation=0,
                test=share,
                groups=None if groups is None else groups[rows],
            )
        except KzooError:
            raise KzooError(
                ": the rows before the test rows are of too few moments or groups to be cut in order of "
                "time. Set a larger calibration=, or split='random'.",
                argument="calibration",
            ) from None
        selected = parts["test"]
    elif labels is not None and labels.ndim > 1:
        own_groups = None if groups is None else groups[rows]
        selected = np.flatnonzero(divide(labels[rows], (1 - share, share), rng, own_groups))
    elif groups is not None:
        if len(np.unique(groups[rows])) < 2:
            raise KzooError(
                ": all validation rows are of one group. Set a larger validation=.",
                argument="calibration",
            )
        selected = _split_groups(groups[rows], 0, share, rng)["test"]
    else:
        selected = np.searchsorted(
            rows, _take(rng.permutation(rows), share, labels, "calibration", notes)[1]
        )
    is_calibration = np.zeros(len(rows), bool)
    is_calibration[selected] = True
    return rows[~is_calibration], rows[is_calibration]


def _split_rows(
    n: int,
    *,
    validation: "float | None",
    test: "float | Fold | None",
    seed: int,
    labels: np.ndarray | None,
    groups: np.ndarray | None,
    moments: np.ndarray | None,
) -> tuple[dict[str, Any], list[str]]:
    """Return training, validation and test rows; see `split_rows`."""
    fold = test if isinstance(test, Fold) else None
    validation, test = split_fractions(validation, test)
    check_seed(seed)
    if validation or test:
        check_enough(n)
    rng = np.random.default_rng(seed if fold is None else fold.seed)
    notes = []
    if fold is not None and moments is not None:
        raise KzooError(
            "Folds are not available with split='time': training rows would come after test rows."
        )
    if moments is not None:
        parts, more = split_moments(moments, validation=validation, test=test, groups=groups)
        notes += more
    elif labels is not None and labels.ndim > 1:
        return _split_labels(fold, validation, test, labels, groups, rng), notes
    elif fold is not None:
        parts = _split_fold(fold, n, validation, labels, groups, rng, notes)
    elif groups is not None:
        parts = _split_groups(groups, validation, test, rng)
        notes += _size_notes(parts, n, {"test": test, "validation": validation * (1 - test)})
    else:
        remaining, test_rows = _take(rng.permutation(n), test, labels, "test", notes)
        train, validation_rows = _take(
            rng.permutation(remaining), validation, labels, "validation", notes
        )
        parts = {"train": train, "validation": validation_rows, "test": test_rows}
    if labels is not None and (lost := np.setdiff1d(labels, labels[parts["train"]])).size:
        fix = (
            "Lower test= or validation="
            if fold is None
            else "Use stratified=True, other folds= or another seed="
        )
        fix = f"Its rows are the latest. {fix}" if moments is not None else fix
        raise KzooError(f"Class number {lost[0]} has no training rows left. {fix}.")
    return {name: np.sort(rows) if len(rows) else None for name, rows in parts.items()}, notes


def _split_labels(
    fold: "Fold | None",
    validation: float,
    test: float,
    labels: np.ndarray,
    groups: np.ndarray | None,
    rng: "np.random.Generator",
) -> dict[str, np.ndarray | None]:
    """Split rows with several labels each, so that every split has its share of each label.

    Args:
        fold: the `Fold` that is the test split, or None.
        validation, test: fractions.
        labels: (n, labels) 0, 1 and NaN.
        groups: (n,) rows of a group stay in one split; or None.
        rng: random generator.

    Raises:
        KzooError: too few groups.
    """
    if groups is not None:
        _check_group_count(len(np.unique(groups)), validation, 1 / fold.folds if fold else test)
    if fold is None:
        held_out = validation * (1 - test)
        parts = divide(labels, (1 - test - held_out, held_out, test), rng, groups)
        numbered = {
            name: np.flatnonzero(parts == part)
            for part, name in enumerate(("train", "validation", "test"))
        }
    else:
        most, unit = (
            (len(labels), "usable rows")
            if groups is None
            else (len(np.unique(groups)), "values of group=")
        )
        if fold.folds > most:
            raise KzooError(
                f"must not exceed the number of {unit}: {most}.", argument="folds", value=fold.folds
            )
        marks = labels if fold.stratified else np.zeros((len(labels), 1))
        fold_of_row = divide(marks, [1 / fold.folds] * fold.folds, rng, groups)
        rest = np.flatnonzero(fold_of_row != fold.index)
        is_validation = divide(
            labels[rest],
            (1 - validation, validation),
            rng,
            None if groups is None else groups[rest],
        )
        numbered = {
            "train": rest[is_validation == 0],
            "validation": rest[is_validation == 1],
            "test": np.flatnonzero(fold_of_row == fold.index),
        }
    return {name: rows if len(rows) else None for name, rows in numbered.items()}


def _split_fold(
    fold: Fold,
    n: int,
    validation: float,
    labels: RawLabels,
    groups: np.ndarray | None,
    rng: np.random.Generator,
    notes: list[str],
) -> dict[str, np.ndarray]:
    """Split rows with scikit-learn's splitters. Validation rows are taken from the training part of the fold."""
    stratified = fold.stratified and labels is not None
    # imported late: most callers do not need it
    model_selection = import_module("sklearn.model_selection")
    if groups is not None:
        most = len(np.unique(groups))
        unit = "different values of group="
        splitter_class = (
            model_selection.StratifiedGroupKFold if stratified else model_selection.GroupKFold
        )
    elif stratified:
        most = np.bincount(labels).min()
        unit = "rows of the smallest class (or pass stratified=False)"
        splitter_class = model_selection.StratifiedKFold
    else:
        most = n
        unit = "usable rows"
        splitter_class = model_selection.KFold
    if fold.folds > most:
        raise KzooError(
            f"must not exceed the number of {unit}: {most}.", argument="folds", value=fold.folds
        )
    splitter = splitter_class(fold.folds, shuffle=True, random_state=int(fold.seed))
    remaining, test_rows = list(splitter.split(np.zeros(n), labels, groups))[fold.index]
    if groups is not None:
        parts = _split_groups(groups[remaining], validation, 0, rng)  # its test split is empty
        return {name: remaining[rows] for name, rows in parts.items()} | {"test": test_rows}
    train, validation_rows = _take(
        rng.permutation(remaining), validation, labels, "validation", notes
    )
    return {"train": train, "validation": validation_rows, "test": test_rows}


def _take(
    rows: np.ndarray, fraction: float, labels: np.ndarray | None, name: str, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return (remaining, selected): every k-th of the shuffled rows, sorted by label, within one row per class."""
    if fraction == 0:
        return rows, rows[:0]
    candidates = rows
    if labels is not None:
        row_labels = labels[rows]
        singletons = np.bincount(row_labels)[row_labels] < 2
        if singletons.any():
            notes.append(
                f"{singletons.sum()} classes have a single row outside the test split; these rows are not used for "
                f"{name}."
            )
        candidates = rows[~singletons]
        candidates = candidates[np.argsort(labels[candidates], kind="stable")]
    steps = np.floor(np.arange(len(candidates) + 1) * fraction + 0.5)
    selected = candidates[np.diff(steps) > 0]
    if not len(selected):
        selected = candidates[:1]
    return rows[~np.isin(rows, selected)], selected


def _split_groups(
    groups: np.ndarray, validation: float, test: float, rng: "np.random.Generator"
) -> dict[str, np.ndarray]:
    """Split rows so that all rows of a group are in one split; groups are drawn until a split has enough rows."""
    _, group_of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    _check_group_count(len(sizes), validation, test)
    order = rng.permutation(len(sizes))
    code_of_group = np.zeros(len(sizes), int)
    assigned = 0
    # (code of the split, number of rows, groups reserved for the splits that follow)
    goals = (
        (2, test * len(groups), 1 + (validation > 0)),
        (1, validation * (1 - test) * len(groups), 1),
    )
    for code, goal, reserved in goals:
        size = 0
        while goal and assigned < len(order) - reserved:
            group = order[assigned]
            # the split is closer to its goal without this group
            if size and size + sizes[group] / 2 > goal:
                break
            code_of_group[group] = code
            size += sizes[group]
            assigned += 1
    return {
        name: np.flatnonzero(code_of_group[group_of_row] == code)
        for code, name in enumerate(("train", "validation", "test"))
    }


def _check_group_count(count: int, validation: float, test: float) -> None:
    """Raise `KzooError` if there are fewer groups than splits."""
    needed = 1 + (validation > 0) + (test > 0)
    if count < needed:
        raise KzooError(
            f"has {count} different values, but {needed} splits need at least {needed}.",
            argument="group",
        )


def _size_notes(
    parts: Mapping[str, np.ndarray], n: int, requested: Mapping[str, float]
) -> list[str]:
    """Return a line for each split that groups make far larger than requested."""
    return [
        f"Groups are large: the {name} split has {len(parts[name]) / n:.0%} of the rows instead of {share:.0%}. "
        "Another seed divides group= differently."
        for name, share in requested.items()
        if len(parts[name]) / n > max(2 * share, share + _OVERSIZE)
    ]


def check_groups(groups: ArrayLike) -> np.ndarray:
    """Return group values as an array of one type.

    Raises:
        KzooError: some values are missing: their rows would count as one group.
    """
    groups = np.asarray(groups)
    present = np.array(
        [label is not None and label == label for label in groups.reshape(-1).tolist()], bool
    )
    if not present.all():
        raise KzooError(
            f"has missing values in {(~present).sum()} rows. Fill them in, or omit group=.",
            argument="group",
        )
    return groups.astype(str) if groups.dtype == object else groups


@contextmanager
def in_data_of(part: str | None) -> Iterator[None]:
    """Name the split of a second source in `KzooError`s of the target, which name the test data; None: do nothing."""
    try:
        yield
    except KzooError as error:
        if part is None or "The test data" not in str(error):
            raise
        raise KzooError(str(error).replace("The test data", f"The {part} data")) from None


def absent_labels_note(part: str, counts: np.ndarray, names: Sequence[str]) -> list[str]:
    """Return a note about the labels that no row of a split has; [] without such labels.

    Args:
        part: the name of the split.
        counts: (labels,) rows with each label.
        names: of the labels.
    """
    absent = [repr(names[number]) for number in np.flatnonzero(counts == 0).tolist()]
    if not absent:
        return []
    return [
        f"No {part} row has the {'label' if len(absent) == 1 else 'labels'} {listed(absent, _NAMED_LABELS)}."
    ]


def split_time(
    n: int, *, validation: "float | None" = 0.1, test: "float | Fold | None" = None
) -> tuple[int, int]:
    """Return the row numbers at which validation and test start in an ordered series: fractions of all rows.

    Raises:
        KzooError: `test` is a fold, whose training rows would come after it.
    """
    if isinstance(test, Fold):
        raise KzooError(
            "Folds are not available for a long text: training rows would come after test rows. Use kzoo.train, which "
            "tests on the end of the text."
        )
    validation, test = split_fractions(validation, test)
    first_test = n - round(n * test)
    return first_test - round(n * validation), first_test


def expanding_cut(n: int, fold: Fold) -> tuple[int, float]:
    """Return (rows, fraction) of a fold of an ordered series: how many rows it has, and the test part of them.

    The last parts of `n // (folds + 1)` rows are the test parts, one for each fold; the rows before are trained on, and
    those after are not used (the `TimeSeriesSplit` of scikit-learn).

    Args:
        n: rows of the series, in order of time.
        fold: the `Fold`.

    Raises:
        KzooError: fewer rows than parts.
    """
    size = n // (fold.folds + 1)
    if not size:
        raise KzooError(
            f"needs at least {fold.folds + 1} rows in order of time; there are {n}.",
            argument="folds",
            value=fold.folds,
        )
    rows = n - (fold.folds - 1 - fold.index) * size
    return rows, size / rows


def check_enough(n: int) -> None:
    """Raise `KzooError` if there are too few rows to divide."""
    if n < SMALLEST:
        raise KzooError(
            f"Too few usable rows: {n}. At least {SMALLEST} are needed to train, validate and test."
        )


def target_notes(target: Target, values: np.ndarray | None = None) -> list[str]:
    """Return notes about what was learned of a target.

    Args:
        target: the `Target`.
        values: (N, ...) what the training targets are encoded as, if it is not classes.
    """
    notes = spelling_notes("Classes", target.classes)
    if values is not None and values.shape[1:] == (len(target.names),):  # a column for each target
        notes += [
            note
            for name, column in zip(target.names, values.T, strict=True)
            for note in sentinel_notes(name, column)
        ]
    if loss := target.config.get("loss"):
        notes.append(
            f"The target has heavy tails: loss='auto' selects {loss!r}, which is robust to outliers."
        )
    return notes


def check_seed(seed: object) -> None:
    """Raise `KzooError` unless the seed is a non-negative integer."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise KzooError("must be a whole number, 0 or more.", argument="seed", value=seed)


def fingerprint(*parts: object) -> str:
    """Return the sha256 of arrays, `Mapped` rows, bytes and JSON values of a data set, the same in every process."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Mapped) or (isinstance(part, np.ndarray) and part.dtype != object):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            for block in [part] if isinstance(part, np.ndarray) else blocks(part):
                digest.update(np.ascontiguousarray(block).data if block.size else b"")
        elif isinstance(part, bytes):
            digest.update(part)
        else:
            digest.update(
                json.dumps(part, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")
            )
        digest.update(b"\0")
    return digest.hexdigest()
