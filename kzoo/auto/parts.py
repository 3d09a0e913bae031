"""Parts of the development rows on which candidates are judged: folds, or the validation split.

The test split is in none of them. Each part is a `Dataset` whose test split is the rows that candidates are judged on,
and whose validation split, on which networks stop, is drawn from the rows that they are trained on.
"""

import warnings
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from kzoo.data.dataset import Dataset, Split
from kzoo.data.splits import Fold, fingerprint
from kzoo.data.store.pooled import pooled
from kzoo.data.store.windows import series_of
from kzoo.inference.postprocessors.clustered import latest_apart
from kzoo.tuning.folds import check_folds, divide_into_folds, why_no_folds
from kzoo.utils.errors import KzooError

_INNER_PARTS = 8  # one of these parts of the training rows is the inner validation split
_INNER_SHARE = 0.15  # of windows in order of time
# up to which there are folds although a class has fewer rows: a validation split would be tiny
_FEW_ROWS = 1_000
_RARE = "a class has too few rows"
_ORIGINS = 4  # of forecasts, from which candidates are judged at least
_MOST_JUDGED = (
    0.5  # of the moments of training windows, for more origins than the validation split has
)
# of the training windows, which are left to train on where candidates are judged from more origins
_LEAST_TRAINING = 0.2
# development rows above which the validation split is used instead of folds
_MAX_FOLD_ROWS = 30_000


@dataclass(frozen=True, kw_only=True)
class Parts:
    """How development rows are divided.

    Args:
        folds: number of folds; 1 if candidates are judged on the validation split.
        rows: number of development rows.
        reason: why there are no folds; empty otherwise.
        seed: of the division.
        first: moment from which on all windows of forecasts are judged; None for the validation split as it is.
    """

    folds: int
    rows: int
    reason: str = ""
    seed: int = 0
    first: int | None = None

    @classmethod
    def of(cls, data: Dataset, folds: int, seed: int) -> "Parts":
        """Return how the rows of some data are divided, into `folds` folds if possible."""
        count = len(data.train) + (0 if data.validation is None else len(data.validation))
        if count > _MAX_FOLD_ROWS and data.validation is not None:
            return cls(
                folds=1,
                rows=count,
                reason=f"{count:,} rows are enough for one validation split",
                seed=seed,
                first=_first_judged(data),
            )
        try:
            check_folds(folds, data)
        except KzooError as error:
            if data.validation is None:
                raise error.within(
                    f"{data.name} has no validation split to choose a model on, and "
                ) from None
            reason = why_no_folds(data) or _RARE
            if reason != _RARE or count > _FEW_ROWS or _largest_class(pooled(data)) < folds:
                return cls(folds=1, rows=count, reason=reason, seed=seed, first=_first_judged(data))
        return cls(folds=folds, rows=count, seed=seed)

    def judged(self, data: Dataset) -> Split | None:
        """Return the rows on which candidates are judged where there are no folds."""
        return None if self.folds > 1 else _divided(data, self.first)[1]

    def notes(self, data: Dataset) -> list[str]:
        """Return remarks on forecasts that are judged from few origins, or trained on few windows."""
        if self.folds > 1 or not data.problem.ordered:
            return []
        train, judged = _divided(data, self.first)
        notes = []
        y: Any = judged.y
        if hasattr(y, "moments"):
            count = len(latest_apart(y.moments, max(y.length // 2, 1)))
            if count < _ORIGINS:
                notes.append(
                    f"The training rows are too few to judge forecasts from {_ORIGINS} origins half a horizon apart: "
                    f"candidates are judged from {count}, so that their order is less certain."
                )
        if not len(_last_windows(train)[1]):
            notes.append(
                "The training rows are too few to stop networks on later ones: while candidates are compared, the "
                "windows on which networks stop are those of other series, or overlap with the windows they learn from."
            )
        return notes

    def part(self, data: Dataset, number: int) -> Dataset:
        """Return a part; `number` counts on through further divisions of the same rows, each with its own seed."""
        if self.folds == 1:
            return _holdout(data, self.seed, self.first)
        repeat, fold = divmod(number, self.folds)
        rows = pooled(data)
        fold_of_row = _divide(data, rows, self.folds, self.seed + repeat)
        judged = np.flatnonzero(fold_of_row == fold)
        training = np.flatnonzero(fold_of_row != fold)
        train = (
            rows.select(training)
            if rows.rows is not None
            else replace(rows.select(training), rows=training)
        )
        part = replace(data, train=train, validation=None)
        inner = _inner_parts(part, train, self.seed + repeat)
        described = asdict(Fold(fold, self.folds, True, self.seed + repeat))
        return replace(
            part,
            train=train.select(_positive(train, np.flatnonzero(inner != 0))),
            validation=train.select(np.flatnonzero(inner == 0)),
            test=_numbered(rows, judged),
            notes=[],
            fingerprint=fingerprint(
                data.fingerprint, f"part {number} of {self.folds}, seed {self.seed}"
            ),
            loaded={
                **data.loaded,
                "options": {**data.loaded.get("options", {}), "test": described},
            },
        )


def _inner_parts(data: Dataset, train: Split, seed: int) -> np.ndarray:
    """Return the part of each training row (N,); part 0 is the inner validation split."""
    stratified = data.problem.classes_of(train.y) is not None
    if stratified and _largest_class(train) < _INNER_PARTS:
        # Too few for the proportions of classes in each part.
        return np.random.default_rng(seed).permutation(len(train)) % _INNER_PARTS
    return _divide(data, train, _INNER_PARTS, seed)


def _divide(data: Dataset, rows: Split, folds: int, seed: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes with fewer rows than folds
        return divide_into_folds(data, rows, folds, seed)


def _largest_class(rows: Split) -> int:
    """Return the number of rows of the largest class."""
    return int(np.bincount(np.asarray(rows.y[np.arange(len(rows))])).max())


def _positive(split: Split, indices: np.ndarray) -> np.ndarray:
    """Return the indices of rows that count in training: those of weight 0 are only judged."""
    return indices if split.weight is None else indices[split.weight[indices] > 0]


def _numbered(rows: Split, indices: np.ndarray) -> Split:
    """Return some rows, numbered by their position among the development rows."""
    return replace(rows.select(indices), rows=indices)


def _holdout(data: Dataset, seed: int, first: int | None) -> Dataset:
    """Return the judged rows as the test split, and some training rows as the validation split."""
    train, judged = _divided(data, first)
    if data.problem.ordered:
        inner, training = _last_or_overlapping(train)
    else:
        fold_of_row = _inner_parts(replace(data, validation=None), train, seed)
        inner = np.flatnonzero(fold_of_row == 0)
        training = np.flatnonzero(fold_of_row != 0)
        if data.seen.get("in_order"):  # the last rows before those that are judged
            count = len(inner)
            inner = np.arange(len(train) - count, len(train))
            training = np.arange(len(train) - count)
    return replace(
        data,
        train=train.select(_positive(train, training)),
        validation=train.select(inner) if len(inner) else None,
        test=_numbered(judged, np.arange(len(judged))),
        notes=[],
        fingerprint=fingerprint(data.fingerprint, f"judged on validation, seed {seed}"),
    )


def _first_judged(data: Dataset) -> int | None:
    """Return the moment from which on windows of forecasts are judged; None for the validation split as it is.

    Where its windows begin at too few moments, the last training windows are judged, too: those of as many moments as
    four origins need that are half a horizon apart, but of half of the moments at most; of fewer origins if too few
    training windows would be left.
    """
    train, judged = data.train, data.validation
    assert judged is not None
    y: Any = judged.y
    if not hasattr(y, "moments") or series_of(train.y) is not series_of(y):
        return None
    moments, length = np.asarray(train.y.moments), y.length
    most = int(np.quantile(moments, 1 - _MOST_JUDGED))
    for origins in range(_ORIGINS, 1, -1):
        wanted = int(y.moments.max()) - (origins - 1) * max(length // 2, 1)
        first = max(wanted, most)
        if int(y.moments.min()) <= first or moments.max() < first:
            break
        earlier = train.select(np.flatnonzero(moments + length <= first))
        if len(earlier) and len(_last_windows(earlier)[1]) >= _LEAST_TRAINING * len(train):
            return first
    return None


def _divided(data: Dataset, first: int | None) -> tuple[Split, Split]:
    """Return the rows that candidates learn from, and those that they are judged on.

    Args:
        data: the `Dataset`.
        first: moment from which on all windows are judged; targets of the others end before it. None for the
            validation split as it is.
    """
    train, judged = data.train, data.validation
    assert judged is not None
    if first is None:
        return train, judged
    rows, (moments, length) = pooled(data), _moments(train)
    begin, _ = _moments(rows)
    return (
        train.select(np.flatnonzero(moments + length <= first)),
        rows.select(np.flatnonzero(begin >= first)),
    )


def _last_windows(train: Split) -> tuple[np.ndarray, np.ndarray]:
    """Return the windows of the last moments, and those whose targets end before the first of these targets."""
    moments, length = _moments(train)
    first = np.quantile(moments, 1 - _INNER_SHARE)
    return np.flatnonzero(moments >= first), np.flatnonzero(moments + length <= first)


def _last_or_overlapping(train: Split) -> tuple[np.ndarray, np.ndarray]:
    """Return the same as `_last_windows`, but with overlapping targets if there are no other windows to train on.

    If all windows begin at the same moment, they are the windows of some series, and those of the others; none, and
    all windows, if there is a single series.
    """
    inner, training = _last_windows(train)
    if len(training):
        return inner, training
    moments, _ = _moments(train)
    if len(np.unique(moments)) > 1:
        first = max(np.quantile(moments, 1 - _INNER_SHARE), moments.min() + 1)
        return np.flatnonzero(moments >= first), np.flatnonzero(moments < first)
    series = getattr(train.y, "series", None)
    codes = np.zeros(len(train), int) if series is None else np.asarray(series.codes)
    codes = np.unique(codes, return_inverse=True)[1]
    is_inner = codes % _INNER_PARTS == 1
    return np.flatnonzero(is_inner), np.flatnonzero(~is_inner)


def _moments(train: Split) -> tuple[np.ndarray, int]:
    """Return the moment at which the target of each row begins (N,), and the length of a target."""
    moments = np.asarray(train.y.moments if hasattr(train.y, "moments") else np.arange(len(train)))
    return moments, getattr(train.y, "length", 1)
