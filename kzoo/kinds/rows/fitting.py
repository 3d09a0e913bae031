"""Tables: a CSV file or a DataFrame becomes numbers, category codes and a target.

The target decides the task: text, booleans, and whole numbers with at most 20 different values are classes;
other numbers are a regression. `task=` overrides the rule.
"""

import numpy as np

from kzoo.dataset.dataset import Split
from kzoo.kinds import Fresh
from kzoo.kinds.arrays import as_type, checked
from kzoo.kinds.rows.in_memory import load_table
from kzoo.kinds.rows.inference import (
    apply_columns,
    as_dated,
    missing_value_categories,
    read,
    two_readings,
)
from kzoo.kinds.rows.out_of_core import frame_of, is_large, load_large
from kzoo.kinds.rows.scaling import robust_scaling
from kzoo.sources.tables.numbers import in_texts, number_formats, shown_sign
from kzoo.sources.tables.raw import check_keys, decimal_of, require, rows_of
from kzoo.sources.tables.values import MISSING, read_numbers, to_numbers, to_words
from kzoo.storage.windows import Mapped, flat, sample_rows, select_rows
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.optional import pandas as pd

_MOST_ROWS = 200_000  # whose quantiles are taken


def load(source, form, *, problem, **asked):
    """Load a table; its target decides what it is for."""
    return load_large(source, **asked) if is_large(source, **asked) else load_table(source, **asked)


def take(x, preset):
    """Return an array as float32 (N, F)."""
    return as_type(checked(x[:, None] if x.ndim == 1 else x, "rows"), np.float32)


def fit(x, train, *, plain=False, notes=None, **more):
    """Return rows as they are, and the scale of the columns of the training rows.

    Args:
        x: (N, F).
        train: places of the training rows.
        plain: whether the caller has scaled them.
        notes: a list that gets a line for each thing to know.
    """
    names, notes, rows = (
        [f"column {i}" for i in range(x.shape[1])],
        [] if notes is None else notes,
        select_rows(x, train),
    )
    if isinstance(rows, Mapped):
        if len(rows) > _MOST_ROWS:
            notes.append(f"The scale of the inputs is learned on {_MOST_ROWS:,} of {len(rows):,} training rows.")
        rows = sample_rows(rows, _MOST_ROWS)
    return x, {} if plain else robust_scaling(rows, names, notes), None


def labelled(reader, source, *, targets, config):
    """Return the rows of a table that have a target, and their targets as they stand."""
    frame = frame_of(source, _as_written(reader, targets))
    require(frame, targets, "the table")
    frame = frame[frame[targets].notna().all(axis=1)].reset_index(drop=True)
    if not len(frame):
        raise KzooError(f"No row of the table has a target ({', '.join(targets)}).")
    return Split(x=read(reader, frame)[0], y=_targets_as_learned(frame, targets, reader))


def _as_written(reader, targets):
    """Return the columns of new rows that have to be read as they are written: name -> words such as `NA` in them.

    A file's reader would take their cells for numbers, `01067` for 1067 where training saw the category `01067`, or for
    missing values.
    """
    texts = [one for one in reader["columns"] if one["kind"] != "number" or in_texts(one.get("writing"))]
    classes, writings = reader.get("classes", ()), reader.get("writings", {})
    words = MISSING.intersection(classes)
    named = bool(words) or any(map(_changes_as_number, classes))
    targets = [name for name in targets if named or in_texts(writings.get(name))]
    return {one["name"]: missing_value_categories(one) for one in texts} | dict.fromkeys(targets, words)


def _changes_as_number(name):
    """Say whether the name of a class is a number, written in a way that the number alone does not give: `01`."""
    number = to_numbers([name])
    return bool(np.isfinite(number[0])) and name not in ("True", "False", to_words(number)[0])


def _targets_as_learned(frame, targets, reader):
    """Return the targets of new rows with numbers read as training has learned that they are written, or plainly."""
    found, writings, figures = frame[targets], reader.get("writings", {}), frame.attrs.get("figures", ())
    classes = reader.get("classes", ())
    if classes and {"True", "False"}.issuperset(classes):  # no numbers: with a cell missing they are objects as well
        return found
    for name in targets:
        values = found[name]
        texts = pd.api.types.is_object_dtype(values) or pd.api.types.is_string_dtype(values)
        if not texts or (name not in writings and name not in figures):
            continue
        numbers, there = read_numbers(values, stored := writings.get(name), decimal_of(frame)), values.dropna()
        if np.isnan(numbers[values.notna()]).any() and np.isfinite(plainly := to_numbers(there)).all():
            # Where one cell shows that they are written plainly, all are.
            if len(number_formats(stored)) > 1 and shown_sign(there.astype(str), stored) != ".":
                row = int(np.flatnonzero(np.isnan(numbers) & values.notna().to_numpy())[0])
                raise KzooError(
                    f"Target {name!r} cannot be read in row {row + 1}.{two_readings([(row, values[row])], stored)}"
                )
            numbers[values.notna()] = plainly
        found = found.assign(**{name: np.where(np.isnan(numbers), values, numbers)})
    return found


def fresh(reader, source, *, targets):
    """Return a table that may lack columns; what is missing counts as empty."""
    if isinstance(source, list):
        names = [column["name"] for column in reader["columns"]]
        for line in check_keys(rows_of(source), names, targets):
            warn(line)
    if isinstance(source, dict | list):
        source = pd.DataFrame([source] if isinstance(source, dict) else list(source))
    frame, names = frame_of(source, _as_written(reader, targets)), [column["name"] for column in reader["columns"]]
    if not len(frame):
        raise KzooError("There are no rows to look at.")
    missing = [name for name in names if name not in frame.columns]
    x = None
    if len(missing) < len(names):
        rows = rows_of(frame.assign(**dict.fromkeys(missing, np.nan)))
        x = apply_columns(as_dated(reader, rows, []), rows)
    answers = answers_in(frame, targets)
    if answers is not None:
        answers = _targets_as_learned(frame, targets, reader).loc[answers.index]
    return Fresh(x=x, frame=frame, missing=missing, answers=answers)


def answers_in(frame, targets):
    """Return the target columns of the rows that have them, or None."""
    return frame[targets].dropna() if set(targets) <= set(frame.columns) else None


def describe(x, names=(), categories=0):
    """Return the columns, without categories."""
    values = flat(x)
    values = values[:, : values.shape[1] - categories]
    known = list(names)[: values.shape[1]]
    return known + [f"column {i}" for i in range(len(known), values.shape[1])], values


def overview(data):
    """Say how columns were read; of an array what they are called, or how many there are."""
    if "read" in data.seen:
        return {"columns": data.seen["read"]}
    if "columns" in data.preprocessing:
        return {"columns": [{"name": one["name"], "kind": one["kind"]} for one in data.preprocessing["columns"]]}
    if data.feature_names:
        return {"columns": [{"name": name, "kind": "number"} for name in data.feature_names]}
    return {"about": {"columns": data.input_shape[-1]}} if data.input_shape else {}


def asked_of(x, config):
    """Return what a network's settings ask of the training rows: the ends of the bins of each column, where it has any.

    They are quantiles. A value that is frequent counts for no more rows than belong into a bin: it fills one at most.

    Args:
        x: (N, F) training rows, numeric columns first.
        config: the settings: `bins`, `categories`.
    """
    bins = config.get("bins")
    numbers = x[:: 1 + len(x) // _MOST_ROWS][:, : x.shape[1] - len(config.get("categories", ()))]
    if not bins or not numbers.shape[1]:
        return {}
    places, edges = np.linspace(0, 1, bins + 1), []
    for column in numbers.T:
        values, counts = np.unique(column, return_counts=True)
        shared = np.repeat(values, np.minimum(counts, max(1, len(column) // bins)))
        edges += np.quantile(shared, places, method="nearest").tolist()
    return {"edges": tuple(edges)}
