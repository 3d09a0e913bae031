"""Tables: a CSV file or a DataFrame becomes numbers, category codes and a target.

The target decides the task: text, booleans, and whole numbers with at most 20 different values are classes;
other numbers are a regression. `task=` overrides the rule.
"""

import numpy as np
import pandas as pd
from pandas.api import types

from kzoo.data import splits
from kzoo.data.columns import learn_columns
from kzoo.data.dataset import Dataset, Split
from kzoo.data.encode_table import apply_columns, feature_names
from kzoo.data.reading import read_table
from kzoo.data.rows import listed, require
from kzoo.data.values import plain, to_words
from kzoo.errors import KzooError
from kzoo.registry import list_presets
from kzoo.tasks import choose
from kzoo.tasks.values.light import spread

_TARGET_NAMES = ("target", "label", "class", "y")


def load_table(
    source, *, name, preset=None, target=None, validation=0.1, test=None, drop=(), group=None, task=None,
    seed=0, clip=False,
):  # fmt: skip
    """Load a table (see `kzoo.load_data`).

    Args:
        source: a DataFrame or the path of a CSV file.
        target: the column to predict, or several (names, or one string with commas) for a regression.
        drop: columns to leave out.
        group: column whose rows of one value stay in one split; it is no input.
        clip: cut numeric columns off at their 0.1 and 99.9 percentiles.

    Raises:
        KzooError: a column that does not exist, or a target nothing can be learned from.
    """
    frame, notes = as_frame(source), []
    targets = find_target(frame, target)
    tested = None
    if splits.is_source(test):
        tested = as_frame(test)
        require(tested, targets, "the test table")
    apart = [*targets, *as_names(drop), *([group] if group is not None else [])]
    require(frame, apart, "the table")
    first = len(frame := _with_target(frame, targets, notes, "rows"))
    if tested is not None:
        tested = _with_target(tested, targets, notes, "test rows")
        frame = pd.concat([frame, tested], ignore_index=True)
    groups = None if group is None else _groups(frame[group][:first], group)
    chosen, reason = choose_task(frame[targets], task, preset)
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
    raw = frame.drop(columns=list(dict.fromkeys(apart)))
    columns = learn_columns(raw.iloc[parts["train"]], clip=clip, notes=notes)
    if not columns:
        raise KzooError(f"No usable column is left beside the target {', '.join(targets)!r}.")
    x = apply_columns(columns, raw)
    return Dataset(
        name=name,
        task=chosen.name,
        inputs="rows",
        **{part: None if rows is None else Split(x=x[rows], y=y[rows], rows=rows) for part, rows in parts.items()},
        config=_config(x[parts["train"]], columns) | learned.config,
        preprocessing={"kind": "table", "columns": columns, "targets": targets, "classes": list(learned.classes)},
        class_names=learned.classes,
        feature_names=feature_names(columns),
        target_names=learned.names,
        notes=notes + more,
        seen={"columns": list(frame.columns)},
        fingerprint=splits.fingerprint(
            _hash(frame), list(frame.columns), targets, chosen.name, *parts.values(), columns
        ),
    )


def _hash(frame):
    """Return one number for each row, equal for equal rows in every process."""
    columns = {c: v.astype(str) if types.is_object_dtype(v) else v for c, v in frame.items()}
    return pd.util.hash_pandas_object(pd.DataFrame(columns), index=False).to_numpy()


def _config(x, columns):
    categories = tuple(len(c["values"]) + 1 for c in columns if c["kind"] == "category")
    mean, std = spread(x[:, : x.shape[1] - len(categories)])
    return {
        "input_shape": (x.shape[1],),
        "categories": categories,
        "scale": [1 / s for s in std],
        "offset": [-m / s for m, s in zip(mean, std, strict=True)],
    }


def as_frame(source):
    """Return a table as a DataFrame with string column names; the caller's own is never changed."""
    if isinstance(source, pd.DataFrame):
        return source.set_axis([str(c).strip() for c in source.columns], axis=1).reset_index(drop=True)
    return read_table(source)


def as_names(names):
    """Return `None`, one name, `"a,b"` or a sequence as a list of names."""
    if names is None:
        return []
    return [part.strip() for part in names.split(",")] if isinstance(names, str) else [str(n) for n in names]


def find_target(frame, target):
    """Return the target columns: as asked, else a last column called target, label, class or y."""
    if target is None:
        last = frame.columns[-1]
        if last.lower() not in _TARGET_NAMES:
            raise KzooError(f"Say which column to predict with target=. Columns: {listed(frame.columns, 40)}.")
        return [last]
    # A column's own name may hold a comma.
    targets = [target] if target in list(frame.columns) else as_names(target)
    require(frame, targets, "the table")
    return targets


def _with_target(frame, targets, notes, what):
    keep = frame[targets].notna().all(axis=1)
    if not keep.any():
        raise KzooError(f"The target column {targets[0]!r} is empty.")
    if dropped := int((~keep).sum()):
        notes.append(f"{dropped} {what} without a target were left out.")
    return frame[keep].reset_index(drop=True)


def _groups(values, name):
    if values.isna().any():
        raise KzooError(f"group={name!r} is missing in {values.isna().sum()} rows; fill it in or leave group= out.")
    return to_words(values).astype(str)


def choose_task(values, task, preset):
    """Decide what a target is for; return the problem, and a sentence that says why.

    Args:
        values: the target columns, a DataFrame.
        task: what the user says it is, or None.
        preset: what the data is for, or None.

    Raises:
        KzooError: the target does not suit the preset or the task asked for.
    """
    columns = [plain(values[name]) for name in values.columns]
    (found, why), fixed = choose.likely("rows", columns), choose.fixed_by(preset)
    others = ", ".join(list_presets("tabular_*"))
    if task is not None:
        found, why = choose.asked_for("rows", task), f"task={task!r}"
        if fixed not in (None, found):
            raise KzooError(
                f"task={task!r} does not suit {preset.name}, a {fixed.name} preset. These take any: {others}."
            )
    elif fixed not in (None, found):
        if not choose.suits(fixed, columns):
            raise KzooError(
                f"Target {values.columns[0]!r} makes this a {found.name} ({why}), but {preset.name} is for "
                f"{fixed.name}. Use one of: {others}; or say task=."
            )
        found, why = fixed, f"{preset.name} is for {fixed.name}"
    if "classes" in found.facts and values.shape[1] > 1:
        raise KzooError(f"A classification has one target column; got {listed(values.columns)}.")
    override = "" if task is not None else "; task= overrides"
    return found, f"{found.name.replace('_', ' ').capitalize()} of {listed(values.columns)}: {why}{override}."
