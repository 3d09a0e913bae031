"""Checks of new data against what a run was trained on."""

import numpy as np

from kzoo.checks.finding import check, error, warning
from kzoo.data.statistics import shares_between
from kzoo.kinds.rows.inference import as_dated, cells_of, codes_of, is_unreadable
from kzoo.sources.tables.raw import rows_of
from kzoo.sources.tables.values import to_words
from kzoo.utils.formatting import listed
from kzoo.utils.optional import pandas as pd

_MOVED = 0.25  # population stability index: above it the rule of thumb says that a column has changed
_FEWEST = 20  # rows below which shares mean nothing
_OUTSIDE, _UNKNOWN, _MISSING = 0.05, 0.01, 0.2  # shares of the new rows
_OTHER_SHARES = 0.15
_WHY = "The model was never shown such rows; its scores on the old ones say nothing about them."
_FIX = "Look whether a unit, a source or a rule has changed; else train again with new rows among the old."


@check("new")
def columns_missing(new):
    """Columns that the run reads and the new data lacks."""
    if new.missing:
        yield error(
            f"{len(new.missing)} columns that the model reads are missing",
            where=listed(map(repr, new.missing), 5),
            why="It cannot answer without them.",
            fix=f"Add them, under these names. There are: {listed(new.frame.columns, 8)}.",
        )


@check("new", "frame", "known")
def columns_unknown(new):
    """Columns that the training table did not have."""
    if "columns" not in new.known:
        return
    unknown = [name for name in new.frame.columns if name not in new.known["columns"]]
    if unknown:
        yield warning(
            f"{len(unknown)} columns were not in the training table",
            where=listed(map(repr, unknown), 5),
            why="The model does not read them; a column that was renamed shows up here.",
            fix="Nothing, if they are new; else give them their old names.",
        )


@check("new", "comparable")
def numbers_moved(new):
    """Numbers (columns, lengths of texts, colours of images) that are distributed differently from training."""
    # A column of medians has moved too, but it is the emptiness that has to be said.
    yield from _moved(new.known["features"], *new.features, [*new.missing, *_emptier(new)], "new data, column")


@check("new", "known", "answers")
def targets_moved(new):
    """Values to predict that are distributed differently from training."""
    if "targets" in new.known and new.answers.dtype.kind in "iuf" and len(new.answers):
        values = new.answers.reshape(-1, new.answers.shape[-1]) if new.answers.ndim > 1 else new.answers[:, None]
        yield from _moved(new.known["targets"], new.targets, values, (), "new data, target")


def _moved(known, names, values, left_out, where):
    for name, column in zip(names, np.asarray(values, "float64").T, strict=True):
        old = next((old for old in known if old["name"] == name), None)
        lost = any(name == m or name.startswith(f"{m} ") for m in left_out)
        column = column[np.isfinite(column)]
        if old is None or lost or not len(column) or name == "unknown share":
            continue
        place, mean = f"{where} {name!r}", f"mean {column.mean():.4g}, was {old['mean']:.4g} +- {old['sd']:.4g}"
        index, noise = _stability(old, column)
        outside = float(((column < old["low"]) | (column > old["high"])).mean())
        reach = max(old["high"] - old["low"], 1e-12)
        far = float(((column < old["low"] - reach) | (column > old["high"] + reach)).mean())
        if len(column) >= _FEWEST and index > _MOVED + noise:
            yield warning(f"{name!r} has moved: {mean} (stability index {index:.2f})", where=place, why=_WHY, fix=_FIX)
        elif outside > _OUTSIDE + 3 / len(column) or far > 0.01:
            yield warning(
                f"{outside:.0%} of {name!r} lies outside {old['low']:.4g}..{old['high']:.4g}: {mean}",
                where=place,
                why=_WHY,
                fix=_FIX,
            )


def _stability(old, column):
    """Return the population stability index, and what chance alone makes of it (four deviations above its mean)."""
    was, now = np.array(old["shares"]), shares_between(np.array(old["edges"]), column)
    was, now = (np.maximum(share, 1e-4) for share in (was, now))
    bins, rows = len(was), 1 / len(column) + 1 / old["count"]
    return float(((now - was) * np.log(now / was)).sum()), rows * (bins - 1 + 4 * np.sqrt(2 * max(bins - 1, 1)))


@check("new", "frame", "known")
def categories_unknown(new):
    """Categories that the run has not seen, and numbers and dates that have become words."""
    rows = rows_of(new.frame)
    columns = new.preprocessing.get("columns", ())
    for column in as_dated(new.preprocessing, rows, []) if columns and isinstance(columns[0], dict) else ():
        name = column["name"]
        if name in new.missing:
            continue
        values = new.frame[name]
        if column["kind"] != "category":
            unread: dict = {}
            cells_of(column, rows, unread)
            wrong, there = unread[name], max(int(values.notna().sum()), 1)
            if len(wrong) > _UNKNOWN * len(values) and not pd.api.types.is_numeric_dtype(values):
                refused = is_unreadable(column, len(wrong), there)
                yield (error if refused else warning)(
                    f"{len(wrong) / len(values):.0%} of column {name!r} are not {column['kind']}s, such as "
                    f"{values.iloc[wrong[0]]!r}",
                    where=f"new data, row {wrong[0]}, column {name!r}",
                    why="The model takes each for the median of the training rows."
                    + (" So many are refused by kzoo.predict." if refused else ""),
                    fix="Write them as in the training data, and leave a cell empty where there is no value.",
                )
        elif column["kind"] == "category":
            words = to_words(values)
            codes = codes_of(column["values"])
            unknown = np.array([word is not None and word not in codes for word in words])
            if unknown.mean() > _UNKNOWN:
                seen = list(dict.fromkeys(words[unknown]))
                yield warning(
                    f"{unknown.mean():.0%} of column {name!r} are categories that the run has not seen: "
                    f"{listed(map(repr, seen))}",
                    where=f"new data, row {int(np.flatnonzero(unknown)[0])}, column {name!r}",
                    why="All of them look the same to the model, like a missing value.",
                    fix="Look for another spelling; else train again with rows that have them.",
                )


@check("new", "comparable", "categories")
def categories_moved(new):
    """Categories whose shares are not what they were in training."""
    codes = np.asarray(new.values)[:, -new.categories :].astype(int)
    for old, column in zip(new.known.get("categories", ()), codes.T, strict=False):
        was = np.array(old["shares"])
        now = np.bincount(column, minlength=len(was))[: len(was)] / len(column)
        apart = np.abs(now - was)[1:].sum() / 2  # code 0, missing or unknown, is looked at elsewhere
        if old["name"] not in new.missing and len(column) >= _FEWEST and apart > _allowed(len(was), len(column)):
            most = 1 + int(np.abs(now - was)[1:].argmax())
            words = next(c["values"] for c in new.preprocessing["columns"] if c["name"] == old["name"])
            yield warning(
                f"{words[most - 1]!r} is {now[most]:.0%} of column {old['name']!r}, was {was[most]:.0%}",
                where=f"new data, column {old['name']!r}",
                why=_WHY,
                fix=_FIX,
            )


@check("new", "frame", "known")
def values_missing(new):
    """A column that has become empty, though it was nearly always filled in."""
    for name, (share, was) in _emptier(new).items():
        yield warning(
            f"{share:.0%} of column {name!r} is empty, was {was:.0%}",
            where=f"new data, column {name!r}",
            why="The model takes the median, or an unknown category, for what is missing.",
            fix="Look at where the column comes from.",
        )


def _emptier(new):
    """Return column -> (share that is empty, what it was), of those that have become emptier."""
    found = {}
    for column in new.preprocessing.get("columns", ()) if new.frame is not None and new.known else ():
        if isinstance(column, dict) and column["name"] not in new.missing:
            name = column["name"]
            share = float(new.frame[name].isna().mean())
            mark = next((f["mean"] for f in new.known["features"] if f["name"] == f"{name} is missing"), None)
            was = mark if mark is not None else _was_empty(new, name)
            if share > was + _MISSING:
                found[name] = share, was
    return found


def _was_empty(new, name):
    return next((c["shares"][0] for c in new.known.get("categories", ()) if c["name"] == name), 0.0)


@check("new", "comparable")
def words_unknown(new):
    """Texts with many more unknown tokens than the training texts had."""
    names, values = new.features
    if "unknown share" not in names:
        return
    was = next(f["mean"] for f in new.known["features"] if f["name"] == "unknown share")
    now = float(values[:, names.index("unknown share")].mean())
    if now > max(2 * was, was + _OTHER_SHARES) + 0.1:
        yield warning(
            f"{now:.0%} of the tokens are unknown, {was:.0%} were in training",
            where="new data",
            why="Unknown words all look the same: another language, subject or spelling reads like this.",
            fix=_FIX,
        )


@check("new", "labels")
def classes_unknown(new):
    """Labels that the run has no class for."""
    labels = _words(new.labels)
    unknown = sorted(set(labels) - set(new.class_names))
    if unknown:
        row = next(i for i, label in enumerate(labels) if label == unknown[0])
        yield error(
            f"{len(unknown)} labels are none of the run's classes: {listed(map(repr, unknown))}",
            where=f"new data, row {row}",
            why="The model cannot give them as an answer.",
            fix=f"Its classes are {listed(map(repr, new.class_names), 8)}: correct the labels, or train again.",
        )


@check("new", "known", "labels")
def classes_moved(new):
    """Classes whose shares are not what they were in training."""
    if "classes" not in new.known or len(new.labels) < _FEWEST:
        return
    labels, was = _words(new.labels), np.array(new.known["classes"])
    now = np.array([labels.count(name) for name in new.class_names]) / len(labels)
    if np.abs(now - was).sum() / 2 > _allowed(len(was), len(labels)):
        most = int(np.abs(now - was).argmax())
        yield warning(
            f"Class {new.class_names[most]!r} is {now[most]:.0%} of the new rows, was {was[most]:.0%}",
            where="new data",
            why="Probabilities are tuned to the old mixture, and scores of the two cannot be compared.",
            fix="Train again with new rows, or weigh the classes.",
        )


def _allowed(kinds, rows):
    return _OTHER_SHARES + (kinds / rows) ** 0.5


def _words(labels):
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] > 1:
        labels = labels.argmax(axis=1)
    whole = labels.dtype.kind == "f" and (labels == np.round(labels)).all()
    return [str(label) for label in (labels.astype(int) if whole else labels).reshape(-1)]
