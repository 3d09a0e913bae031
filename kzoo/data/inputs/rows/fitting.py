"""Tables: a CSV file or a DataFrame becomes numbers, category codes and a target.

The target decides the task: text, booleans, and whole numbers with at most 20 distinct values are classes; other
numbers are a regression. `task=` overrides the rule.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data.dataset import Dataset, Split
from kzoo.data.inputs.arrays import as_type, checked
from kzoo.data.inputs.rows.column_kind import missing_categories
from kzoo.data.inputs.rows.in_memory import load_table
from kzoo.data.inputs.rows.merged import merge_preprocessors as merge_preprocessors
from kzoo.data.inputs.rows.out_of_core import frame_of, is_large, load_large
from kzoo.data.inputs.rows.row_columns import new_weights
from kzoo.data.inputs.rows.scaling import robust_scaling
from kzoo.data.options import LoadRequest
from kzoo.data.store.windows import Mapped, RowArray, flat, sample_rows, select_rows
from kzoo.data.targets.columns import without_missing_words
from kzoo.data.targets.labels import sets_of
from kzoo.data.targets.weights import weighted_statistics
from kzoo.inference.kinds.rows.inference import (
    ambiguity_hint,
    apply_columns,
    feature_names,
    missing_value_categories,
    read,
    with_date_formats,
)
from kzoo.inference.tables.label_cells import has_lists
from kzoo.inference.tables.numbers import learned_from_texts, number_formats, shown_sign
from kzoo.inference.tables.raw import TableSource, check_keys, decimal_of, require, rows_of
from kzoo.inference.tables.values import MISSING, read_numbers, to_numbers, to_words
from kzoo.problems.kinds import Fresh
from kzoo.problems.layout import code_columns
from kzoo.problems.preprocessors import TablePreprocessor
from kzoo.problems.stored_types import Config
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import JsonObject
from kzoo.utils.optional import pandas as pd

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from kzoo.zoo.registry import Preset

_MAX_ROWS = 200_000  # for scales and quantiles


def load(request: LoadRequest) -> Dataset:
    """Load a table, in memory or out of core. Its target decides the task."""
    return load_large(request) if is_large(request.source, request) else load_table(request)


def take(x: np.ndarray, preset: "Preset | None") -> np.ndarray | Mapped:
    """Return an array as float32 (N, F)."""
    return as_type(checked(x[:, None] if x.ndim == 1 else x, "rows"), np.float32)


def fit(
    x: np.ndarray,
    train: np.ndarray,
    *,
    plain: bool = False,
    notes: list[str] | None = None,
    weight: np.ndarray | None = None,
    **more: object,
) -> tuple[Any, dict[str, Any], None]:
    """Return the rows unchanged, the scaling learned on the training rows, and no preprocessor.

    Args:
        x: (N, F).
        train: indices of the training rows.
        plain: whether the caller has scaled the columns already.
        notes: list that notes for the user are appended to.
        weight: (N,) weights of the training rows, or None.
    """
    names = [f"column {i}" for i in range(x.shape[1])]
    notes = [] if notes is None else notes
    rows: Any = select_rows(x, train)
    if isinstance(rows, Mapped):
        if len(rows) > _MAX_ROWS:
            notes.append(
                f"The scale of the inputs is learned on {_MAX_ROWS:,} of {len(rows):,} training rows."
            )
        rows = sample_rows(rows, _MAX_ROWS)
        weight = None if weight is None else sample_rows(weight, _MAX_ROWS)
    extent = None if weight is None else weighted_statistics(rows, weight)
    return x, {} if plain else robust_scaling(rows, names, notes, extent), None


def labelled(
    reader: TablePreprocessor,
    source: TableSource,
    *,
    targets: Sequence[str],
    config: Config,
    sample_weight: str | None = None,
) -> Split:
    """Return the rows of a table that have a target, with raw targets, and with weights if the table has that column.

    Args:
        sample_weight: name of the column of weights, or None.
    """
    frame, has_target = _read_labelled(reader, source, targets)
    weight = new_weights(frame, sample_weight, has_target)
    frame = frame[has_target].reset_index(drop=True)
    return Split(
        x=read(reader, frame)[0], y=_targets_as_learned(frame, targets, reader), weight=weight
    )


def _without_missing_words(
    frame: "DataFrame", targets: Sequence[str], reader: TablePreprocessor
) -> "DataFrame":
    """Return a table in which words for missing values among its targets are missing, unless they are classes."""
    if "separator" in reader:
        return frame
    classes = reader.get("classes", ())
    words = (missing_categories(file=False) if classes else MISSING).difference(classes)
    return without_missing_words(frame, dict.fromkeys(targets, words))


def usable_rows(
    reader: TablePreprocessor, source: TableSource, *, targets: Sequence[str]
) -> "DataFrame":
    """Return the rows of a table that have a target, as a DataFrame with all of its columns.

    Raises:
        KzooError: a target is not a column, or no row has one.
    """
    frame, has_target = _read_labelled(reader, source, targets)
    return frame[has_target].reset_index(drop=True)


def _read_labelled(
    reader: TablePreprocessor, source: TableSource, targets: Sequence[str]
) -> "tuple[DataFrame, np.ndarray]":
    """Return a table as a DataFrame, and which rows (N,) have a target."""
    frame = frame_of(source, _text_columns(reader, targets), targets)
    require(frame, targets, "the table")
    frame = _without_missing_words(frame, targets, reader)
    has_target = _has_target(frame, targets, reader)
    if not has_target.any():
        raise KzooError(f"No row of the table has a target ({', '.join(targets)}).")
    return frame, has_target


def input_column(
    reader: TablePreprocessor, x: np.ndarray, name: str, names: Sequence[str]
) -> "Series | None":
    """Return an input column of encoded rows as a Series, with missing numbers as NaN; None for a column of dates.

    Args:
        reader: the preprocessor.
        x: (N, F) encoded rows.
        name: of the column.
        names: of the features, for rows without a preprocessor.
    """
    columns = {column["name"]: column for column in reader.get("columns", ())}
    names = feature_names(columns.values()) or names
    kind = columns[name]["kind"] if columns else "number"
    if kind == "date":
        return None
    values = pd.Series(x[:, names.index(name)])
    if kind == "category":
        # code 0 becomes NaN: missing
        return values.map(dict(enumerate(columns[name]["values"], start=1)))
    if columns and columns[name]["missing"]:
        return values.mask(x[:, names.index(f"{name} is missing")] == 1)
    return values


def _has_target(
    frame: "DataFrame", targets: Sequence[str], reader: TablePreprocessor
) -> np.ndarray:
    """Return which rows of a table have a target; of labels, those with any flag, and all rows of a text column."""
    if "separator" in reader and not has_lists(frame[targets[0]]):
        return np.ones(len(frame), bool)
    has_target = frame[targets].notna()
    flags_of_labels = (
        list(reader.get("classes", ())) == list(reader.get("targets", ())) and len(targets) > 1
    )
    return has_target.any(axis=1) if flags_of_labels else has_target.all(axis=1)


def _text_columns(reader: TablePreprocessor, targets: Sequence[str]) -> dict[str, Collection[str]]:
    """Return the columns of new rows that must be read from a file as text: name -> words such as `NA` that are values.

    Otherwise the reader of the file would convert cells to numbers, such as `01067` to 1067 if training saw the
    category `01067`, or to missing values.
    """
    columns = [
        column
        for column in reader["columns"]
        if column["kind"] != "number" or learned_from_texts(column.get("writing"))
    ]
    classes = reader.get("classes", ())
    stored_formats = reader.get("writings", {})
    missing_words = MISSING.intersection(classes)
    are_texts = bool(missing_words) or any(map(_changes_as_number, classes))
    are_texts = are_texts or "separator" in reader
    targets = [
        name for name in targets if are_texts or learned_from_texts(stored_formats.get(name))
    ]
    words: dict[str, Collection[str]] = dict.fromkeys(targets, missing_words)
    return {column["name"]: missing_value_categories(column) for column in columns} | words


def _changes_as_number(name: str) -> bool:
    """Return whether a class name is a number that is formatted differently if converted to a number and back: `01`."""
    number = to_numbers([name])
    return bool(np.isfinite(number[0])) and name not in ("True", "False", to_words(number)[0])


def _targets_as_learned(
    frame: "DataFrame", targets: Sequence[str], reader: TablePreprocessor
) -> "DataFrame | np.ndarray":
    """Return the targets of new rows, converted by the stored number formats, or as plain numbers if only these fit."""
    if "separator" in reader:
        return sets_of(frame[targets[0]], reader["separator"])
    converted = frame[targets]
    stored_formats = reader.get("writings", {})
    ambiguous_columns = frame.attrs.get("figures", ())
    classes = reader.get("classes", ())
    # booleans, which are objects too if a cell is missing
    if classes and {"True", "False"}.issuperset(classes):
        return converted
    for name in targets:
        values = converted[name]
        has_texts = pd.api.types.is_object_dtype(values) or pd.api.types.is_string_dtype(values)
        if not has_texts or (name not in stored_formats and name not in ambiguous_columns):
            continue
        numbers = read_numbers(values, stored_format := stored_formats.get(name), decimal_of(frame))
        texts = values.dropna()
        if (
            np.isnan(numbers[values.notna()]).any()
            and np.isfinite(plain_numbers := to_numbers(texts)).all()
        ):
            # One cell that fits plain numbers only decides for all of them.
            if (
                len(number_formats(stored_format)) > 1
                and shown_sign(texts.astype(str), stored_format) != "."
            ):
                row = int(np.flatnonzero(np.isnan(numbers) & values.notna().to_numpy())[0])
                raise KzooError(
                    f"The value of target {name!r} cannot be read in row "
                    f"{row + 1}.{ambiguity_hint([(row, values[row])], stored_format)}"
                )
            numbers[values.notna()] = plain_numbers
        converted = converted.assign(**{name: np.where(np.isnan(numbers), values, numbers)})
    return converted


def fresh(reader: TablePreprocessor, source: TableSource, *, targets: Sequence[str]) -> Fresh:
    """Return a table that may lack columns, for the checks; missing columns count as empty."""
    if isinstance(source, list):
        names = [column["name"] for column in reader["columns"]]
        for line in check_keys(rows_of(source), names, targets):
            warn(line)
    if isinstance(source, dict | list):
        source = pd.DataFrame([source] if isinstance(source, dict) else list(source))
    names = [column["name"] for column in reader["columns"]]
    frame = frame_of(source, _text_columns(reader, targets), targets)
    if not len(frame):
        raise KzooError("The table has no rows.")
    frame = _without_missing_words(
        frame, [name for name in targets if name in frame.columns], reader
    )
    missing = [name for name in names if name not in frame.columns]
    x = None
    if len(missing) < len(names):
        rows = rows_of(frame.assign(**dict.fromkeys(missing, np.nan)))
        x = apply_columns(with_date_formats(reader, rows, []), rows)
    answers = None
    if (cells := targets_in(frame, targets)) is not None:
        answers = _targets_as_learned(frame, targets, reader)
        # a cell without labels is an answer
        answers = answers if isinstance(answers, np.ndarray) else answers.loc[cells.index]
    return Fresh(x=x, frame=frame, missing=missing, answers=answers)


def targets_in(frame: "DataFrame", targets: Sequence[str]) -> "DataFrame | None":
    """Return the target columns of the rows that have all targets; None if a target column is missing."""
    return frame[targets].dropna() if set(targets) <= set(frame.columns) else None


def describe(
    x: RowArray, names: Sequence[str] = (), categories: int = 0
) -> tuple[list[str], np.ndarray]:
    """Return the names and values (rows, columns) of the number columns.

    Args:
        x: encoded rows.
        names: names of their columns.
        categories: the number of last columns without numbers: codes of categories and ids of texts.
    """
    values = flat(x)
    values = values[:, : values.shape[1] - categories]
    feature_names = list(names)[: values.shape[1]]
    return feature_names + [
        f"column {i}" for i in range(len(feature_names), values.shape[1])
    ], values


def overview(data: Dataset) -> JsonObject:
    """Return how columns were read; for an array the names of its columns, or their number."""
    if "read" in data.seen:
        return {"columns": data.seen["read"]}
    if "columns" in data.preprocessing:
        return {
            "columns": [
                {"name": column["name"], "kind": column["kind"]}
                for column in data.preprocessing["columns"]
            ]
        }
    if data.feature_names:
        return {"columns": [{"name": name, "kind": "number"} for name in data.feature_names]}
    return {"about": {"columns": data.input_shape[-1]}} if data.input_shape else {}


def asked_of(x: np.ndarray, config: Config) -> dict[str, tuple[float, ...]]:
    """Return `edges`, the edges of the bins of each number column, if the network has bins.

    They are quantiles of the training rows. A frequent value counts for no more rows than one bin gets, so that it
    fills at most one.

    Args:
        x: (N, F) training rows, numeric columns first.
        config: settings of the network: `bins`, `categories`, `text_lengths`.
    """
    bins = config.get("bins")
    numbers = x[:: 1 + len(x) // _MAX_ROWS][:, : x.shape[1] - code_columns(config)]
    if not bins or not numbers.shape[1]:
        return {}
    quantiles = np.linspace(0, 1, bins + 1)
    edges = []
    for column in numbers.T:
        values, counts = np.unique(column, return_counts=True)
        limited = np.repeat(values, np.minimum(counts, max(1, len(column) // bins)))
        edges += np.quantile(limited, quantiles, method="nearest").tolist()
    return {"edges": tuple(edges)}
