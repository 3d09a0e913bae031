"""A table that memory has room for: read whole, split by a permutation, encoded at once (see `table.py`)."""

import numpy as np

from kzoo.dataset import splits
from kzoo.dataset.dataset import Dataset, Split
from kzoo.kinds.rows.column_options import named_columns
from kzoo.kinds.rows.columns import fingerprint_columns, mark_blank_categories
from kzoo.kinds.rows.inference import apply_columns, feature_names, in_test_table, read_new, unread_notes
from kzoo.kinds.rows.scaling import config_of
from kzoo.kinds.rows.table import TableFit
from kzoo.kinds.rows.target import groups_in, with_target
from kzoo.sources.tables.frame import about_index, as_frame
from kzoo.sources.tables.raw import Rows, decimal_of, require, rows_of
from kzoo.sources.tables.values import MISSING, Texts, read_numbers
from kzoo.utils.optional import pandas as pd


def load_table(
    source, *, name, preset=None, target=None, validation=0.1, test=None, drop=(), group=None, task=None,
    columns=None, seed=0, clip=False,
):  # fmt: skip
    """Load a table (see `kzoo.load_data`).

    Args:
        source: a DataFrame or the path of a CSV file.
        target: the column to predict, or several (names, or one string with commas) for a regression.
        drop: columns to leave out.
        group: column whose rows of one value stay in one split; it is no input.
        columns: what columns are, where they are to be taken for something else; see `kzoo.load_data`.
        clip: cut numeric columns off at their 0.1 and 99.9 percentiles.

    Raises:
        KzooError: a column that does not exist, or a target nothing can be learned from.
    """
    notes = [*about_index(source)]
    frame = as_frame(source, named_columns(columns), notes)
    attrs, decimal, names = dict(frame.attrs), frame.attrs.get("decimal"), list(frame.columns)
    fit = TableFit(
        names, notes, preset=preset, target=target, drop=drop, group=group, task=task, columns=columns, clip=clip
    )
    zoned = rows_of(frame.loc[:, [hasattr(kind, "tz") or "tz=" in str(kind) for kind in frame.dtypes]])
    of_file, targets, tested = decimal_of(frame), fit.targets, None
    if splits.is_source(test):
        tested = _as_trained(as_frame(test, text_columns(frame, targets), notes), frame, decimal)
        new_decimal = decimal_of(tested)
        require(tested, targets, "the test table")

    # The rows with a target, those of the test table behind the others.
    first = len(frame := with_target(frame, targets, notes, "row"))
    if tested is not None:
        tested = with_target(tested, targets, notes, "test row")
        new_columns = list(tested.columns)
        frame = pd.concat([frame, tested], ignore_index=True)
        frame.attrs = attrs
    groups = None if group is None else groups_in(frame[group][:first], group)
    frame = fit.learn_task(frame, decimal)
    rows = rows_of(frame)
    learned, y, parts, more = splits.split_target(
        fit.problem.task, frame[targets], first, names=targets, validation=validation,
        test=0 if tested is not None else test, seed=seed, groups=groups,
    )  # fmt: skip
    if tested is not None:
        parts["test"] = np.arange(first, len(frame))

    raw, train = rows.only([column for column in rows.columns if column not in fit.excluded], of_file), parts["train"]
    fit.learn_inputs(
        raw, train, decimal, words=attrs.get("words", {}), classes=bool(learned.classes),
        padded=attrs.get("padded", ()), zoned=(raw if tested is None else raw.take(np.arange(first))).updated(zoned),
    )  # fmt: skip
    if "words" in attrs:  # of a file
        fit.columns = mark_blank_categories(fit.columns, raw)
    preprocessing = fit.preprocessing(learned.classes)

    unread, categories = {}, {column["name"] for column in fit.columns if column["kind"] == "category"}
    x = apply_columns(fit.columns, raw, unread)
    if tested is not None:
        dates = [column["name"] for column in fit.columns if column["kind"] == "date" and column["name"] in tested]
        new = Rows({name: raw[name][parts["test"]] for name in new_columns if name in raw}, new_decimal)
        new, lines = new.updated(rows_of(tested[dates])), []
        with in_test_table():
            x[first:], of_new = read_new(preprocessing, new, lines)
        strange = {name: of_new[name] for name in categories if 2 * len(of_new[name]) > len(new)}
        notes += (f"In the test table: {line}" for line in (*lines, *unread_notes(fit.columns, new, strange)))
        unread = {name: np.append(places[places < first], of_new[name] + first) for name, places in unread.items()}
    # That a rare category is in validation or test rows alone is nobody's mistake.
    unread = {name: places for name, places in unread.items() if name not in categories}
    notes += [*fit.doubts, *unread_notes(fit.columns, raw, unread)]
    return Dataset(
        name=name,
        task=fit.problem.name,
        inputs="rows",
        **{part: None if rows is None else Split(x=x[rows], y=y[rows], rows=rows) for part, rows in parts.items()},
        config=config_of(x[train], fit.columns, notes) | learned.config,
        preprocessing=preprocessing,
        class_names=learned.classes,
        feature_names=feature_names(fit.columns),
        target_names=learned.names,
        notes=notes + more,
        seen=fit.seen(rows, unread) | {"columns": list(frame.columns)} | cell_findings(fit.doubts, unread, len(frame)),
        fingerprint=splits.fingerprint(
            _hash(frame, rows, local="of_arrow" in attrs), list(frame.columns), targets, fit.problem.name,
            *parts.values(), fingerprint_columns(fit.columns),
        ),
    )  # fmt: skip


def _as_trained(tested, frame, decimal):
    """Return a test table whose numbers that can be read in two ways are read as the training file tells, if so."""
    figures = [name for name in tested.attrs.get("figures", ()) if pd.api.types.is_numeric_dtype(frame.get(name))]
    read = {name: read_numbers(tested[name], {"decimal": decimal} if decimal else None) for name in figures}
    return tested.assign(**{name: numbers for name, numbers in read.items() if np.isfinite(numbers).all()})


def cell_findings(doubts, unread, rows):
    """Return what checks are told of cells: doubts, and name -> (how many cannot be read, the first, of how many)."""
    found = {name: (len(places), int(places[0]), rows) for name, places in unread.items() if len(places)}
    return {"doubts": doubts, "unread": found}


def text_columns(frame, targets=()) -> dict:
    """Return name -> words such as `NA` that are among its cells, of each column of a DataFrame that holds texts.

    A target of objects, none of which is a text, holds numbers: texts among them would be read as names of classes.
    """
    objects = [name for name in targets if frame[name].dtype == object and not any(map(_is_text, frame[name]))]
    texts = [name for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name]) and name not in objects]
    return {name: MISSING.intersection(frame[name].unique()) for name in texts}


def _is_text(cell):
    return isinstance(cell, str)


def _hash(frame, rows, local):
    """Return one number for each row, equal for equal rows in every process.

    Args:
        local: whether times with a zone count as its clock shows them.
    """
    if local:
        zoned = {name: frame[name].dt.tz_localize(None) for name, kind in frame.dtypes.items() if hasattr(kind, "tz")}
        frame = frame.assign(**zoned)
    columns = {c: v.astype(str) if pd.api.types.is_object_dtype(v) else v for c, v in frame.items()}
    for name in columns:  # a category has the hash of its text
        if isinstance(texts := rows[name], Texts) and not pd.api.types.is_object_dtype(frame[name]):
            columns[name] = pd.Categorical.from_codes(texts.codes, texts.different)
    return pd.util.hash_pandas_object(pd.DataFrame(columns), index=False).to_numpy()
