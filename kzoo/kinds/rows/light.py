"""Raw rows become numbers, by what training learned of each column (`columns.py`), without pandas."""

import numpy as np

from kzoo.errors import KzooError
from kzoo.kinds.tables.raw import listed, rows_of
from kzoo.kinds.tables.values import date_parts, to_dates, to_words


def encode_table(preprocessing, inputs):
    """Turn raw rows (DataFrame, dict, list of dicts, CSV path) into `x`; a ready array passes through."""
    columns = preprocessing["columns"]
    if isinstance(inputs, np.ndarray):
        x = np.atleast_2d(inputs).astype(np.float32)
        width = len(feature_names(columns))
        if x.ndim != 2 or x.shape[1] != width:
            raise KzooError(
                f"Rows have {x.shape[-1]} columns, the model takes {width}: {listed(feature_names(columns))}."
            )
        return x
    rows = rows_of(inputs)
    if not len(rows):
        raise KzooError("There are no rows to encode.")
    return apply_columns(columns, rows)


def feature_names(columns):
    """Return the name of each column of `x`."""
    names = []
    for column in columns:
        if column["kind"] == "date":
            names += [f"{column['name']} {part}" for part in column["medians"]]
        else:
            names.append(column["name"])
        if column.get("missing"):
            names.append(f"{column['name']} is missing")
    # The 0/1 columns stay beside their numbers: all of these come before the first category.
    return tuple(names)


def apply_columns(columns, table):
    """Turn raw rows into numbers.

    Args:
        columns: what `learn_columns` found.
        table: `Rows` or a DataFrame.

    Returns:
        float32 (N, F): numbers, dates in parts and 0/1 missing marks first, then category codes from 1,
        0 for a category that is missing or was not among the training rows.

    Raises:
        KzooError: a column is missing.
    """
    rows = rows_of(table)
    if lost := [column["name"] for column in columns if column["name"] not in rows]:
        raise KzooError(f"Column {lost[0]!r} is missing; the columns given are: {listed(rows.columns)}.")
    features = [feature for column in columns for feature in _features(column, rows)]
    return np.stack(features, axis=1).astype(np.float32) if features else np.zeros((len(rows), 0), np.float32)


def _features(column, rows):
    name = column["name"]
    if column["kind"] == "category":
        codes = {word: code for code, word in enumerate(column["values"], start=1)}
        return [np.array([codes.get(word, 0) for word in to_words(rows[name])], np.float32)]
    if column["kind"] == "date":
        dates = to_dates(rows[name], column.get("day_first", False))
        missing, parts = np.isnat(dates), date_parts(dates)
        features = [np.where(missing, median, parts[part]) for part, median in column["medians"].items()]
    else:
        numbers = rows.numbers(name)
        missing = np.isnan(numbers)
        numbers = np.where(missing, column["median"], numbers)
        features = [np.clip(numbers, column["low"], column["high"]) if "low" in column else numbers]
    return [*features, missing.astype(np.float64)] if column["missing"] else features
