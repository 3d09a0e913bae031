"""Tables: a CSV file or a DataFrame becomes numbers, category codes and a target.

The target decides the task: text, booleans, and whole numbers with at most 20 different values are classes;
other numbers are a regression. `task=` overrides the rule.
"""

import numpy as np

from kzoo.dataset import splits
from kzoo.dataset.dataset import Dataset, Split
from kzoo.dataset.overview import AS_ASKED
from kzoo.errors import KzooError, warn
from kzoo.kinds import Fresh
from kzoo.kinds.arrays import as_type, checked
from kzoo.kinds.rows.asked import asked_columns, named_columns
from kzoo.kinds.rows.columns import (
    check_some,
    fingerprinted,
    learn_columns,
    missing_words,
    month_first,
    padded_cells,
    padded_notes,
    with_blanks,
    zones_of,
)
from kzoo.kinds.rows.large import frame_of, is_large, load_large
from kzoo.kinds.rows.light import (
    apply_columns,
    as_dated,
    feature_names,
    in_test_table,
    kept_words,
    read,
    read_new,
    say_unread,
    two_readings,
)
from kzoo.kinds.rows.scaling import config_of, robust_scaling
from kzoo.kinds.rows.target import choose_task, groups_in, read_targets, with_target
from kzoo.optional import pandas as pd
from kzoo.sources.tables.frame import about_index, as_frame
from kzoo.sources.tables.numbers import in_texts, shown_sign, ways
from kzoo.sources.tables.overview import columns_read
from kzoo.sources.tables.raw import Rows, as_names, check_keys, decimal_of, find_target, require, rows_of
from kzoo.sources.tables.repeated import repeated_ids
from kzoo.sources.tables.values import MISSING, Texts, read_numbers, to_numbers, to_words
from kzoo.storage.windows import Mapped, few, flat, taken

_MOST_ROWS = 200_000  # whose quantiles are taken


def load(source, form, *, problem, **asked):
    """Load a table; its target decides what it is for."""
    return load_large(source, **asked) if is_large(source, **asked) else load_table(source, **asked)


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
    notes, doubts, left_out = [*about_index(source)], [], {}
    frame = as_frame(source, named_columns(columns), notes)
    attrs = dict(frame.attrs)
    words, of_csv = attrs.get("words", {}), "words" in attrs
    decimal, of_file, figures = attrs.get("decimal"), decimal_of(frame), attrs.get("figures", ())
    targets = find_target(frame, target)
    said = asked_columns(columns, frame)
    tested, typed = None, rows_of(frame.loc[:, [hasattr(kind, "tz") or "tz=" in str(kind) for kind in frame.dtypes]])
    if splits.is_source(test):
        tested = _as_trained(as_frame(test, text_columns(frame, targets), notes), frame, decimal)
        new_decimal = decimal_of(tested)
        require(tested, targets, "the test table")
    apart = [*targets, *as_names(drop), *([group] if group is not None else [])]
    require(frame, apart, "the table")
    first = len(frame := with_target(frame, targets, notes, "row"))
    if tested is not None:
        tested = with_target(tested, targets, notes, "test row")
        new_columns = list(tested.columns)
        frame = pd.concat([frame, tested], ignore_index=True)
    groups = None if group is None else groups_in(frame[group][:first], group)
    frame, writings = read_targets(frame, targets, said, task, doubts, decimal, figures=figures)
    rows = rows_of(frame)
    chosen, reason = choose_task({column: rows[column] for column in targets}, task, preset)
    notes.append(reason)
    learned, y, parts, more = splits.split_target(
        chosen.task,
        frame[targets],
        first,
        names=targets,
        validation=validation,
        test=0 if tested is not None else test,
        seed=seed,
        groups=groups,
    )
    if tested is not None:
        parts["test"] = np.arange(first, len(frame))
    raw = rows.only([column for column in rows.columns if column not in apart], of_file)
    columns = learn_columns(
        raw,
        parts["train"],
        decimal=decimal,
        clip=clip,
        notes=notes,
        asked=said,
        doubts=doubts,
        left_out=left_out,
    )
    check_some(columns, targets, left_out)
    numbers = [column["name"] for column in columns if column["kind"] == "number" and column["name"] not in said]
    notes += padded_notes(padded_cells(raw, numbers, attrs.get("padded", ())))
    columns = with_blanks(columns, raw) if of_csv else columns
    notes += missing_words(words, columns, targets if learned.classes else ())
    unread, categories = {}, {column["name"] for column in columns if column["kind"] == "category"}
    x = apply_columns(columns, raw, unread)
    reader = (
        {"kind": "table", "columns": columns, "targets": targets, "classes": list(learned.classes)}
        | ({"writings": writings} if writings else {})
        | month_first(columns, raw, parts["train"])
        | zones_of(columns, (raw if tested is None else raw.take(np.arange(first))).updated(typed))
    )
    if tested is not None:
        dates = [column["name"] for column in columns if column["kind"] == "date" and column["name"] in tested]
        new = Rows({name: raw[name][parts["test"]] for name in new_columns if name in raw}, new_decimal)
        new = new.updated(rows_of(tested[dates]))
        with in_test_table():
            x[first:], of_new = read_new(reader, new, said_of_test := [])
        notes += (f"In the test table: {line}" for line in said_of_test)
        strange = {name: of_new[name] for name in categories if 2 * len(of_new[name]) > len(new)}
        notes += (f"In the test table: {line}" for line in say_unread(columns, new, strange))
        unread = {name: np.append(places[places < first], of_new[name] + first) for name, places in unread.items()}
    # That a rare category is in validation or test rows alone is nobody's mistake.
    unread = {name: places for name, places in unread.items() if name not in categories}
    notes += [*doubts, *say_unread(columns, raw, unread)]
    return Dataset(
        name=name,
        task=chosen.name,
        inputs="rows",
        **{part: None if rows is None else Split(x=x[rows], y=y[rows], rows=rows) for part, rows in parts.items()},
        config=config_of(x[parts["train"]], columns, notes) | learned.config,
        preprocessing=reader,
        class_names=learned.classes,
        feature_names=feature_names(columns),
        target_names=learned.names,
        notes=notes + more,
        seen={
            "columns": list(frame.columns),
            "repeated": repeated_ids(rows, targets, columns),
            "read": columns_read(
                rows,
                columns,
                unread,
                targets=targets,
                apart=dict.fromkeys(as_names(drop), ("left out", AS_ASKED))
                | ({} if group is None else {group: ("group", "rows of one value stay in one split")}),
                left_out=left_out,
            ),
        }
        | seen_in_cells(doubts, unread, len(frame)),
        fingerprint=splits.fingerprint(
            _hash(frame, rows, local="of_arrow" in attrs),
            list(frame.columns),
            targets,
            chosen.name,
            *parts.values(),
            fingerprinted(columns),
        ),
    )


def _as_trained(tested, frame, decimal):
    """Return a test table whose numbers that can be read in two ways are read as the training file tells, if so."""
    figures = [name for name in tested.attrs.get("figures", ()) if pd.api.types.is_numeric_dtype(frame.get(name))]
    read = {name: read_numbers(tested[name], {"decimal": decimal} if decimal else None) for name in figures}
    return tested.assign(**{name: numbers for name, numbers in read.items() if np.isfinite(numbers).all()})


def seen_in_cells(doubts, unread, rows):
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
    names, notes, rows = [f"column {i}" for i in range(x.shape[1])], [] if notes is None else notes, taken(x, train)
    if isinstance(rows, Mapped):
        if len(rows) > _MOST_ROWS:
            notes.append(f"The scale of the inputs is learned on {_MOST_ROWS:,} of {len(rows):,} training rows.")
        rows = few(rows, _MOST_ROWS)
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
    return {one["name"]: kept_words(one) for one in texts} | dict.fromkeys(targets, words)


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
            if len(ways(stored)) > 1 and shown_sign(there.astype(str), stored) != ".":
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
