"""Tables that fit into memory: read whole, split by a random permutation, encoded at once (see `table.py`)."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np

from kzoo.data import splits
from kzoo.data.inputs.rows.columns import fingerprint_columns
from kzoo.data.inputs.rows.row_columns import moments, time_note
from kzoo.data.inputs.rows.scaling import config_of
from kzoo.data.inputs.rows.table import TableFit
from kzoo.data.tables.frame import as_frame, index_notes
from kzoo.data.targets.columns import rows_with_target
from kzoo.data.targets.fit import fit_targets
from kzoo.data.targets.labels import label_targets, list_targets
from kzoo.data.targets.rare_classes import check_classes_dropped
from kzoo.data.targets.weights import part_weights
from kzoo.inference.kinds.rows.column_options import named_columns
from kzoo.inference.kinds.rows.inference import (
    apply_columns,
    encode_new_rows,
    feature_names,
    in_table,
    unread_notes,
)
from kzoo.inference.tables.raw import Rows, decimal_of, require, rows_of
from kzoo.inference.tables.values import MISSING, Texts, plain, read_numbers, value_counts
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import shown
from kzoo.utils.optional import pandas as pd

if TYPE_CHECKING:
    from pandas import DataFrame

    from kzoo.data.dataset import Dataset
    from kzoo.data.options import LoadRequest

_SHOWN = 3  # unreadable cells in a message


def load_table(request: "LoadRequest") -> "Dataset":
    """Load a table.

    Args:
        request: a DataFrame, or the path of a table file, and how it is read.

    Raises:
        KzooError: unknown column, or a target that nothing can be learned from.
    """
    # 1. Read the table, and those of the validation and test rows.
    source = request.source
    options = request.options
    notes = [*index_notes(source)]
    lists = list_targets(source, options.target)
    texts = [
        *named_columns(options.columns),
        *label_targets(options.target, "rows", options.task),
    ]
    frame = as_frame(source, texts, notes, lists)
    attrs = dict(frame.attrs)
    decimal = frame.attrs.get("decimal")
    names = list(frame.columns)
    fit = TableFit(names, notes, options, request.preset)
    zoned_columns = rows_of(
        frame.loc[:, [hasattr(kind, "tz") or "tz=" in str(kind) for kind in frame.dtypes]]
    )
    file_decimal = decimal_of(frame)
    targets = fit.targets
    others = {}
    for part, other_source in request.second_sources.items():
        other = as_frame(other_source, text_columns(frame, targets), notes, targets)
        others[part] = _read_as_training_file(other, frame, decimal)
        require(others[part], targets, f"the {part} table")
    decimals = {part: decimal_of(other) for part, other in others.items()}

    # 2. Keep rows with a target. Those of the other tables are appended, so that they are encoded alike.
    frame = fit.learn_labels(frame)
    frame = fit.without_rare(fit.learn_missing(frame, decimal), options.drop_rare)
    others = {part: fit.of_part(other, part) for part, other in others.items()}
    notes += fit.rare_notes()
    has_target = fit.present(frame)
    source_frame = frame
    fit.read_weights(frame, has_target, notes, decimal=decimal)
    times = (
        None
        if fit.time is None
        else moments(
            frame, fit.time, has_target, notes, decimal=decimal, date_order=options.date_order
        )
    )
    count = len(frame := rows_with_target(frame, targets, notes, "row", fit.labels))
    for part, other in others.items():
        fit.read_weights(other, fit.present(other), notes, part=part)
        others[part] = rows_with_target(other, targets, notes, f"{part} row", fit.labels)
    if others:
        frame = pd.concat([frame, *others.values()], ignore_index=True)
        frame.attrs = attrs

    # 3. Learn the task and split the rows.
    frame = fit.learn_task(frame, decimal)
    check_classes_dropped(fit.problem, options.drop_rare)
    rows = rows_of(frame)
    fitted = fit_targets(
        fit.problem,
        fit.values(frame),
        count,
        names=targets,
        options=options,
        groups=fit.groups(frame[:count]),
        weight=fit.weight,
        weight_source=f"column {fit.sample_weight!r}",
        moments=times,
        others={part: len(other) for part, other in others.items()},
    )
    split_rows, train = fitted.parts, fitted.train
    notes += fitted.weight_notes
    if times is not None:
        own_rows = split_rows | dict.fromkeys(others)
        notes.append(
            time_note(
                source_frame[fit.time][has_target],
                fit.time,
                times,
                own_rows,
                fit.time in fit.inputs,
            )
        )

    # 4. Learn the inputs on the training rows.
    inputs = rows.only(
        [column for column in rows.columns if column not in fit.excluded], file_decimal
    )
    own_inputs = inputs.take(np.arange(count)) if others else inputs
    fit.learn_inputs(
        inputs,
        train,
        decimal,
        words=attrs.get("words", {}),
        classes=fitted.learned.classes,
        file="words" in attrs,
        padded_cells=attrs.get("padded", {}),
        zoned=own_inputs.updated(zoned_columns),
    )
    preprocessing = fit.preprocessing(fitted.learned.classes)

    # 5. Encode all rows; rows of the other tables as new data of a run are.
    unread: dict[str, np.ndarray] = {}
    categories = {column["name"] for column in fit.columns if column["kind"] == "category"}
    encoded = [apply_columns(fit.columns, own_inputs, unread)]
    first = count
    for part, other in others.items():
        part_rows = np.arange(first, first + len(other))
        dates = [
            column["name"]
            for column in fit.columns
            if column["kind"] == "date" and column["name"] in other
        ]
        other_inputs = Rows(
            {name: inputs[name][part_rows] for name in other if name in inputs}, decimals[part]
        )
        other_inputs = other_inputs.updated(rows_of(other[dates]))
        other_notes: list[str] = []
        with in_table(part):
            x, other_unread = encode_new_rows(preprocessing, other_inputs, other_notes)
        encoded.append(x)
        new_categories = {
            name: other_unread[name]
            for name in categories
            if 2 * len(other_unread[name]) > len(other_inputs)
        }
        notes += [
            f"In the {part} table: {line}"
            for line in (*other_notes, *unread_notes(fit.columns, other_inputs, new_categories))
        ]
        unread = {
            name: np.append(indices, other_unread[name] + first) for name, indices in unread.items()
        }
        first += len(other)
    x = np.concatenate(encoded) if others else encoded[0]
    # Rare categories may be in validation or test rows only: that is not worth a note.
    unread = {name: indices for name, indices in unread.items() if name not in categories}
    notes += [*fit.format_warnings, *unread_notes(fit.columns, inputs, unread, fit.guessed)]
    hashes = _hash(frame, rows, wall_clock="of_arrow" in attrs)
    return fitted.dataset(
        fitted.splits(x, keys=hashes),
        name=request.name,
        inputs="rows",
        config=config_of(x[train], fit.columns, notes, weight=part_weights(fitted.weight, train))
        | dict(fitted.learned.config),
        preprocessing=preprocessing,
        feature_names=feature_names(fit.columns),
        notes=notes,
        seen=fit.data_facts(rows, unread)
        | {"columns": list(frame.columns)}
        | ({"in_order": True} if times is not None else {})
        | cell_findings(fit.format_warnings, unread, rows),
        fingerprint=splits.fingerprint(
            hashes,
            list(frame.columns),
            targets,
            fit.problem.name,
            *split_rows.values(),
            fingerprint_columns(fit.columns),
            *([] if fitted.weight is None else [fitted.weight]),
        ),
    )


def _read_as_training_file(
    test_frame: "DataFrame", train_frame: "DataFrame", decimal: str | None
) -> "DataFrame":
    """Return a test table with ambiguous numbers read by the decimal sign of the training file, where that fits all."""
    ambiguous = [
        name
        for name in test_frame.attrs.get("figures", ())
        if pd.api.types.is_numeric_dtype(train_frame.get(name))
    ]
    numbers_of = {
        name: read_numbers(test_frame[name], {"decimal": decimal} if decimal else None)
        for name in ambiguous
    }
    return test_frame.assign(
        **{name: numbers for name, numbers in numbers_of.items() if np.isfinite(numbers).all()}
    )


def cell_findings(
    format_warnings: list[str], unread: Mapping[str, np.ndarray], table: "Rows | DataFrame"
) -> JsonObject:
    """Return facts for the checks: format warnings, and what could not be read.

    That is name of a column -> (number of unread cells, first row, number of rows, the most frequent of the cells).

    Args:
        format_warnings: lines on ambiguous numbers, mixed units, and categories that are mostly numbers.
        unread: name -> indices of the unread cells.
        table: the table, `Rows` or a DataFrame.
    """
    facts = {}
    for name, indices in unread.items():
        if len(indices):
            counts = value_counts(plain(table[name])[indices])
            cells = sorted(counts, key=counts.__getitem__, reverse=True)[:_SHOWN]
            facts[name] = (len(indices), int(indices[0]), len(table), list(map(shown, cells)))
    return {"doubts": format_warnings, "unread": facts}


def text_columns(frame: "DataFrame", targets: Collection[str] = ()) -> dict[str, Collection[str]]:
    """Return name -> words such as `NA` among its cells, for each text column of a table of training rows.

    A target column that holds numbers as Python objects is omitted: its cells must not be read as class names.

    Args:
        frame: the table as a DataFrame.
        targets: names of the target columns.
    """
    object_targets = [
        name
        for name in targets
        if frame[name].dtype == object and not any(isinstance(cell, str) for cell in frame[name])
    ]
    texts = [
        name
        for name in frame.columns
        if not pd.api.types.is_numeric_dtype(frame[name]) and name not in object_targets
    ]
    return {name: MISSING.intersection(frame[name].unique()) - {""} for name in texts}


def _hash(frame: "DataFrame", rows: Rows, wall_clock: bool) -> np.ndarray:
    """Return a hash of each row (N,) that is the same in every process.

    Args:
        frame: the table.
        rows: the same as `Rows`.
        wall_clock: whether times with a time zone are hashed as local times.
    """
    if wall_clock:
        zoned = {
            name: frame[name].dt.tz_localize(None)
            for name, dtype in frame.dtypes.items()
            if hasattr(dtype, "tz")
        }
        frame = frame.assign(**zoned)
    columns = {
        name: column.astype(str) if pd.api.types.is_object_dtype(column) else column
        for name, column in frame.items()
    }
    for name in columns:  # a category has the hash of its text
        if isinstance(texts := rows[name], Texts) and not pd.api.types.is_object_dtype(frame[name]):
            columns[name] = pd.Categorical.from_codes(texts.codes, texts.different)
    return pd.util.hash_pandas_object(pd.DataFrame(columns, copy=False), index=False).to_numpy()
