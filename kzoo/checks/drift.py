"""Checks of new data against the data that a run was trained on."""

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import numpy as np

from kzoo.checks.finding import Finding, check, error, warning
from kzoo.checks.new_data import NewData
from kzoo.data.statistics import shares_between
from kzoo.inference.kinds.rows.inference import cells_of, codes_of, is_unreadable, with_date_formats
from kzoo.inference.tables.raw import rows_of
from kzoo.inference.tables.values import to_words
from kzoo.problems.preprocessors import TablePreprocessor
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed, plural
from kzoo.utils.optional import pandas as pd

# population stability index, above which a column has changed by the usual rule of thumb
_MAX_STABILITY_INDEX = 0.25
_FEWEST = 20  # rows below which shares are too noisy
_MAX_OUTSIDE, _MAX_UNKNOWN, _MAX_MORE_MISSING = 0.05, 0.01, 0.2  # shares of the new rows
_MAX_SHARE_DIFFERENCE = 0.15
_WHY = "The model was not trained on such rows, so its scores do not apply to them."
_FIX = (
    "Check whether a unit, a source or a rule has changed; otherwise retrain with old and new rows."
)


@check("new")
def columns_missing(new: NewData) -> Iterator[Finding]:
    """Find columns that the run needs and the new data does not have."""
    if new.missing:
        yield error(
            f"{len(new.missing)} columns that the model needs are missing",
            where=listed(map(repr, new.missing), 5),
            why="It cannot predict without them.",
            fix=f"Add them under these names. Columns of the new data: {listed(new.frame.columns, 8)}.",
        )


@check("new", "frame", "known")
def columns_unknown(new: NewData) -> Iterator[Finding]:
    """Find columns that the training table did not have."""
    if "columns" not in new.known:
        return
    unknown = [name for name in new.frame.columns if name not in new.known["columns"]]
    if unknown:
        yield warning(
            f"{plural(len(unknown), 'column')} {'was' if len(unknown) == 1 else 'were'} not in the training table",
            where=listed(map(repr, unknown), 5),
            why="The model ignores them. They may be renamed columns.",
            fix="If a column was renamed, restore its old name; otherwise nothing.",
        )


@check("new", "comparable")
def numbers_moved(new: NewData) -> Iterator[Finding]:
    """Find numeric features (columns, lengths of texts, colours of images) whose distribution has changed."""
    # Columns that have become empty are filled with medians; `values_missing` reports them instead.
    names, values = new.features
    excluded = [*new.missing, *_more_missing(new)]
    yield from _changed_columns(new.known["features"], names, values, excluded, "new data, column")


@check("new", "known", "answers")
def targets_moved(new: NewData) -> Iterator[Finding]:
    """Find target values whose distribution has changed."""
    if "targets" in new.known and new.answers.dtype.kind in "iuf" and len(new.answers):
        values = (
            new.answers.reshape(-1, new.answers.shape[-1])
            if new.answers.ndim > 1
            else new.answers[:, None]
        )
        yield from _changed_columns(
            new.known["targets"], new.targets, values, (), "new data, target"
        )


def _changed_columns(
    statistics: Sequence[JsonObject],
    names: Sequence[str],
    values: np.ndarray,
    excluded: Iterable[str],
    where: str,
) -> Iterator[Finding]:
    for name, column in zip(names, np.asarray(values, "float64").T, strict=True):
        old = next((old for old in statistics if old["name"] == name), None)
        is_excluded = any(name == prefix or name.startswith(f"{prefix} ") for prefix in excluded)
        column = column[np.isfinite(column)]
        if old is None or is_excluded or not len(column) or name == "unknown share":
            continue
        location = f"{where} {name!r}"
        mean = f"mean {column.mean():.4g}, was {old['mean']:.4g} +- {old['sd']:.4g}"
        index, noise = _stability(old, column)
        outside = float(((column < old["low"]) | (column > old["high"])).mean())
        width = max(old["high"] - old["low"], 1e-12)
        far = float(((column < old["low"] - width) | (column > old["high"] + width)).mean())
        if len(column) >= _FEWEST and index > _MAX_STABILITY_INDEX + noise:
            yield warning(
                f"The distribution of {name!r} has changed: {mean} (population stability index {index:.2f})",
                where=location,
                why=_WHY,
                fix=_FIX,
            )
        elif outside > _MAX_OUTSIDE + 3 / len(column) or far > 0.01:
            yield warning(
                f"{outside:.0%} of {name!r} is outside {old['low']:.4g}..{old['high']:.4g}, the range in training: "
                f"{mean}",
                where=location,
                why=_WHY,
                fix=_FIX,
            )


def _stability(old: JsonObject, column: np.ndarray) -> tuple[float, float]:
    """Return the population stability index, and its noise level: four deviations above its mean by chance."""
    old_shares = np.array(old["shares"])
    new_shares = shares_between(np.array(old["edges"]), column)
    old_shares, new_shares = (np.maximum(share, 1e-4) for share in (old_shares, new_shares))
    bins = len(old_shares)
    rows = 1 / len(column) + 1 / old["count"]
    return float(((new_shares - old_shares) * np.log(new_shares / old_shares)).sum()), rows * (
        bins - 1 + 4 * np.sqrt(2 * max(bins - 1, 1))
    )


@check("new", "frame", "known")
def categories_unknown(new: NewData) -> Iterator[Finding]:
    """Find categories that are not in the training data, and number or date cells that have become strings."""
    rows = rows_of(new.frame)
    columns = new.preprocessing.get("columns", ())
    for column in (
        with_date_formats(cast(TablePreprocessor, new.preprocessing), rows, [])
        if columns and isinstance(columns[0], dict)
        else ()
    ):
        name = column["name"]
        if name in new.missing:
            continue
        values = new.frame[name]
        if "buckets" in column:
            continue
        if column["kind"] != "category":
            unread: dict = {}
            cells_of(column, rows, unread)
            unreadable = unread[name]
            filled = max(int(values.notna().sum()), 1)
            if len(unreadable) > _MAX_UNKNOWN * len(values) and not pd.api.types.is_numeric_dtype(
                values
            ):
                refused = is_unreadable(column, len(unreadable), filled)
                yield (error if refused else warning)(
                    f"{len(unreadable) / len(values):.0%} of column {name!r} are not {column['kind']}s, such as "
                    f"{values.iloc[unreadable[0]]!r}",
                    where=f"new data, row {unreadable[0]}, column {name!r}",
                    why="Each is replaced by the median of the training rows."
                    + (" kzoo.predict refuses data with so many of them." if refused else ""),
                    fix="Use the format of the training data, and leave cells without a value empty.",
                )
        elif column["kind"] == "category":
            words = to_words(values)
            codes = codes_of(column["values"])
            unknown = np.array([word is not None and word not in codes for word in words])
            if unknown.mean() > _MAX_UNKNOWN:
                categories = list(dict.fromkeys(words[unknown]))
                yield warning(
                    f"{unknown.mean():.0%} of column {name!r} are categories that are not in the training data: "
                    f"{listed(map(repr, categories))}",
                    where=f"new data, row {int(np.flatnonzero(unknown)[0])}, column {name!r}",
                    why="The model treats all of them like missing values.",
                    fix="Check the spelling; otherwise retrain with rows that contain them.",
                )


@check("new", "comparable", "categories")
def categories_moved(new: NewData) -> Iterator[Finding]:
    """Find categorical columns whose shares differ from those in training."""
    codes = new.categories.astype(int)
    for old, column in zip(new.known.get("categories", ()), codes.T, strict=False):
        old_shares = np.array(old["shares"])
        new_shares = np.bincount(column, minlength=len(old_shares))[: len(old_shares)] / len(column)
        # code 0 (missing or unknown) has its own checks
        difference = np.abs(new_shares - old_shares)[1:].sum() / 2
        if (
            old["name"] not in new.missing
            and len(column) >= _FEWEST
            and difference > _allowed_difference(len(old_shares), len(column))
        ):
            largest_change = 1 + int(np.abs(new_shares - old_shares)[1:].argmax())
            words = next(
                described["values"]
                for described in new.preprocessing["columns"]
                if described["name"] == old["name"]
            )
            yield warning(
                f"{words[largest_change - 1]!r} is {new_shares[largest_change]:.0%} of column {old['name']!r}, was "
                f"{old_shares[largest_change]:.0%}",
                where=f"new data, column {old['name']!r}",
                why=_WHY,
                fix=_FIX,
            )


@check("new", "frame", "known")
def values_missing(new: NewData) -> Iterator[Finding]:
    """Find columns with many more missing values than in training."""
    for name, (share, old_share) in _more_missing(new).items():
        yield warning(
            f"{share:.0%} of column {name!r} is empty, was {old_share:.0%}",
            where=f"new data, column {name!r}",
            why="Missing values are replaced by the median, an unknown category or an empty text.",
            fix="Check the source of the column.",
        )


def _more_missing(new: NewData) -> dict[str, tuple[float, float]]:
    """Return column -> (share of missing values, share in training), for columns with many more than in training."""
    by_name: dict[str, tuple[float, float]] = {}
    for column in (
        new.preprocessing.get("columns", ()) if new.frame is not None and new.known else ()
    ):
        if isinstance(column, dict) and column["name"] not in new.missing:
            name = column["name"]
            share = float(new.frame[name].isna().mean())
            indicator_mean = next(
                (
                    feature["mean"]
                    for feature in new.known["features"]
                    if feature["name"] == f"{name} is missing"
                ),
                None,
            )
            old_share = (
                indicator_mean if indicator_mean is not None else _missing_in_training(new, name)
            )
            if share > old_share + _MAX_MORE_MISSING:
                by_name[name] = share, old_share
    return by_name


def _missing_in_training(new: NewData, name: str) -> float:
    known = [(column["name"], column["shares"][0]) for column in new.known.get("categories", ())]
    known += [(column["name"], column["empty"]) for column in new.known.get("texts", ())]
    return next((share for known_name, share in known if known_name == name), 0.0)


@check("new", "comparable")
def words_unknown(new: NewData) -> Iterator[Finding]:
    """Find texts with many more unknown tokens than in training."""
    names, values = new.features
    if "unknown share" not in names:
        return
    old_share = next(
        feature["mean"] for feature in new.known["features"] if feature["name"] == "unknown share"
    )
    new_share = float(values[:, names.index("unknown share")].mean())
    if new_share > max(2 * old_share, old_share + _MAX_SHARE_DIFFERENCE) + 0.1:
        yield warning(
            f"{new_share:.0%} of the tokens are unknown, {old_share:.0%} in training",
            where="new data",
            why="The model cannot distinguish unknown words; another language, subject or spelling causes this.",
            fix=_FIX,
        )


@check("new", "labels")
def classes_unknown(new: NewData) -> Iterator[Finding]:
    """Find labels that are not among the run's classes."""
    labels = _label_names(new.labels)
    unknown = sorted(set(labels) - set(new.class_names))
    if unknown:
        row = next(i for i, label in enumerate(labels) if label == unknown[0])
        yield error(
            f"{plural(len(unknown), 'label')} {'is' if len(unknown) == 1 else 'are'} not among the run's classes: "
            f"{listed(map(repr, unknown))}",
            where=f"new data, row {row}",
            why="The model cannot predict them.",
            fix=f"Correct the labels, or retrain. Classes of the run: {listed(map(repr, new.class_names), 8)}.",
        )


@check("new", "known", "labels")
def classes_moved(new: NewData) -> Iterator[Finding]:
    """Find classes whose shares differ from those in training."""
    if "classes" not in new.known or len(new.labels) < _FEWEST:
        return
    labels = _label_names(new.labels)
    old_shares = np.array(new.known["classes"])
    new_shares = np.array([labels.count(name) for name in new.class_names]) / len(labels)
    if np.abs(new_shares - old_shares).sum() / 2 > _allowed_difference(
        len(old_shares), len(labels)
    ):
        largest_change = int(np.abs(new_shares - old_shares).argmax())
        yield warning(
            f"Class {new.class_names[largest_change]!r} is {new_shares[largest_change]:.0%} of the new rows, was "
            f"{old_shares[largest_change]:.0%}",
            where="new data",
            why="Probabilities are fitted to the old class shares, and scores on old and new data are not comparable.",
            fix="Retrain with new rows, or set class weights.",
        )


def _allowed_difference(categories: int, rows: int) -> float:
    return _MAX_SHARE_DIFFERENCE + (categories / rows) ** 0.5


def _label_names(labels: np.ndarray) -> list[str]:
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] > 1:
        labels = labels.argmax(axis=1)
    whole = labels.dtype.kind == "f" and (labels == np.round(labels)).all()
    return [str(label) for label in (labels.astype(int) if whole else labels).reshape(-1)]
