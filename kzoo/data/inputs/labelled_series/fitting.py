"""Learning from series that are examples: tables of many labelled series, folders of files, and lists of arrays."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kzoo.data import splits
from kzoo.data.dataset import Dataset, Split
from kzoo.data.inputs.arrays import as_type, checked
from kzoo.data.inputs.rows.columns import number_formats_of
from kzoo.data.inputs.rows.fitting import describe
from kzoo.data.inputs.rows.in_memory import cell_findings, text_columns
from kzoo.data.inputs.rows.scaling import scaling
from kzoo.data.options import LoadRequest
from kzoo.data.store.windows import sample_rows, select_rows
from kzoo.data.summary import AS_REQUESTED
from kzoo.data.tables.frame import as_frame
from kzoo.data.tables.overview import describe_columns
from kzoo.data.targets import detection
from kzoo.data.targets.fit import fit_targets
from kzoo.inference.kinds.labelled_series.inference import (
    arrays_of,
    cut_segments,
    encoded,
    panel_of_rows,
    read,
    series_of,
)
from kzoo.inference.kinds.rows.column_options import column_options, named_columns
from kzoo.inference.kinds.rows.inference import unread_notes
from kzoo.inference.kinds.series.one_series import detect_time_column
from kzoo.inference.kinds.series.panel import Panel
from kzoo.inference.sources.folders import ignored_files_notes, splits_in, visible_folders
from kzoo.inference.tables.files import is_table
from kzoo.inference.tables.numbers import learned_from_texts
from kzoo.inference.tables.raw import (
    MOST,
    Rows,
    as_names,
    check_distinct,
    find_target,
    require,
    rows_of,
)
from kzoo.inference.tables.values import not_missing, plain, to_words
from kzoo.problems.kinds import Fresh
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.formatting import listed, plural, shown
from kzoo.utils.optional import pandas as pd
from kzoo.zoo.registry.preset import Preset

_FILE = "file"  # id column of the series of a folder
_CLASS = "class"  # target column of them
_SUFFIXES = (".csv",)
_MIN_NUMERIC = 0.5  # share of numbers in a column of a series
_SHOWN = 3  # series in a note
_MAX_SCALED_STEPS = 2_000_000  # steps of arrays from which the scale is learned

__all__ = ["describe", "fit", "fresh", "labelled", "load", "overview", "padded_arrays", "take"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledSeries:
    """Series of a table with the raw target of each.

    Args:
        names: of the series, or of the segments.
        series: (T, F) float32 each.
        targets: target column -> (N,) raw values.
        groups: (N,) the group of each; None without groups.
    """

    names: list[str]
    series: list
    targets: dict[str, np.ndarray]
    groups: np.ndarray | None


def load(request: LoadRequest) -> Dataset:
    """Load labelled series from a table with a row per step, or from a folder of files per class.

    Args:
        request: a DataFrame, the path of a table, or of the folder, and how it is read. The columns of the target and
            the group are constant in the rows of a series.

    Raises:
        KzooError: no id, target or numeric column, or a target that is not constant in a series.
    """
    options = request.options
    group: Any = options.group  # the name of a column
    time = options.time
    notes = list[str]()
    if request.form == "folder":
        frame = _frame_of_folder(Path(request.source), notes)
        options = replace(options, target=_CLASS, series_id=_FILE)
    else:
        frame = as_frame(_rows_with_columns(request.source), named_columns(options.columns), notes)
    ids, drop = as_names(options.series_id), as_names(options.drop)
    if not ids:
        raise KzooError(
            "Labelled series need the columns that tell them apart: set series_id=. For one series to forecast, use a "
            "preset for forecasts."
        )
    segment, stride = _checked_segment(options.segment, options.stride)
    targets = find_target(frame, options.target)
    require(
        frame,
        [*ids, *drop, *([] if group is None else [group]), *([] if time is None else [time])],
        "the series",
    )
    if clash := [column for column in (*ids, *targets) if column in drop]:
        raise KzooError(
            "is needed: it is an id or the target. Remove it from drop=.",
            argument="drop",
            value=clash[0],
        )
    if clash := [column for column in targets if column in ids]:
        raise KzooError(
            "is a column of series_id=. Use another column.", argument="target", value=clash[0]
        )
    if time is not None and time in (*ids, *targets):
        role = "a column of series_id=" if time in ids else "the target"
        raise KzooError(
            f"is {role}. Use another column, or omit time= if the rows are in order.",
            argument="time",
            value=time,
        )
    check_distinct(ids, "series_id")

    # 1. Rows of each series, and the columns that are its features.
    rows = rows_of(frame)
    if not len(rows):
        raise KzooError("The table has no rows.")
    time = detect_time_column(rows, time)
    taken = {*ids, *targets, *drop, *({group} - {None}), *({time} - {None})}
    panel, time_format = panel_of_rows(rows, ids, time, notes, date_order=options.date_order)
    if len(panel) == len(rows) > 1:
        raise KzooError(
            f"Every series has a single row: series_id={shown(ids[0] if len(ids) == 1 else ids)} differs in all "
            f"{len(rows):,} rows. Name the columns that all rows of a series share."
        )
    if time is None and (counter := _step_counter(rows, panel, taken)) is not None:
        notes.append(
            f"Column {counter!r} numbers the rows of each series, and is used as time={counter!r}."
        )
        time = counter
        taken.add(counter)
        panel, time_format = panel_of_rows(rows, ids, time, notes, date_order=options.date_order)
    overrides = column_options(options.columns, frame)
    format_warnings = list[str]()
    decimal = frame.attrs.get("decimal")
    candidates = [column for column in frame.columns if column not in taken]
    formats = number_formats_of(frame, candidates, overrides, format_warnings, decimal)
    features, skipped = _features(rows, taken, formats, notes)
    formats = {column: formats[column] for column in features if column in formats}
    reader: dict[str, Any] = {
        "kind": "series_examples",
        "columns": features,
        "series_id": ids,
        "time": time,
    }
    reader |= {"writings": formats} if formats else {}
    reader |= {"times": time_format} if time_format else {}
    reader |= {"segment": [segment, stride]} if segment else {}

    # 2. The series and their targets, and those of the second sources.
    unread: dict[str, np.ndarray] = {}
    whole = _labelled_series(reader, rows, panel, targets, notes, unread, group)
    every = [whole]
    first = len(whole.series)
    sizes = {}
    for part, other in request.second_sources.items():
        part_notes = list[str]()
        new = _read_labelled(reader, other, targets, part_notes, text_columns(frame))
        notes += [f"{part.capitalize()} series: {note}" for note in part_notes]
        sizes[part] = len(new.series)
        every.append(new)
    series = [values for part in every for values in part.series]
    names = [series_name for part in every for series_name in part.names]
    raw = {column: np.concatenate([part.targets[column] for part in every]) for column in targets}
    labels: dict[str, Any] = {column: plain(pd.Series(values)) for column, values in raw.items()}
    chosen, note = detection.choose_problem(
        "series",
        {column: values[:first] for column, values in labels.items()},
        options.task
        if options.task is not None or request.problem is None
        else request.problem.name,
        request.preset,
    )
    notes.append(note)

    # 3. Split by series, or by recording or group.
    values = (
        labels[targets[0]]
        if len(targets) == 1
        else np.stack([labels[column] for column in targets], axis=1)
    )
    values = values if "classes" in chosen.facts else np.asarray(values, float)
    fitted = fit_targets(
        chosen,
        values,
        first,
        names=targets,
        options=options,
        groups=whole.groups,
        others=sizes,
    )

    # 4. Encode: all steps of the longest series, so that none is cut.
    lengths = np.array([len(values) for values in series])
    steps = int(lengths.max())
    padded = bool((lengths != lengths.max()).any())
    reader |= {"steps": steps, "padded": padded}
    if padded:
        notes.append(
            f"The series have {lengths.min():,} to {steps:,} steps: shorter ones are padded at the end, and a mask "
            "excludes the padding."
        )
    x = encoded(series, names, steps, padded, notes)
    train_steps = np.concatenate([series[row] for row in fitted.train])
    return fitted.dataset(
        fitted.splits(x),
        name=request.name,
        inputs="series",
        config={
            "input_shape": x.shape[1:],
            **fitted.learned.config,
            **scaling(train_steps),
            **whole_series(padded),
        },
        preprocessing=reader,
        feature_names=tuple(features),
        notes=[*notes, *format_warnings, *unread_notes(features, rows, unread)],
        seen=cell_findings(format_warnings, unread, rows)
        | {
            "read": describe_columns(
                frame,
                [
                    {"name": column, "kind": "number", "writing": formats.get(column)}
                    for column in features
                ],
                unread,
                targets=targets,
                apart={column: ("left out", "not numeric") for column in skipped}
                | dict.fromkeys(drop, ("left out", AS_REQUESTED))
                | dict.fromkeys(ids, ("id", "tells series apart"))
                | ({} if time is None else {time: ("time", "orders the steps of a series")})
                | (
                    {}
                    if group is None
                    else {group: ("group", "series of one value stay in one split")}
                ),
            ),
            "series": {"count": len(names), "shortest": int(lengths.min()), "longest": steps},
        },
        fingerprint=splits.fingerprint(
            x, fitted.y, *fitted.parts.values(), list(fitted.learned.classes), features
        ),
    )


def whole_series(padded: bool) -> dict[str, Any]:
    """Return the settings of a network that reads whole series and does not forecast."""
    return {"horizon": None, "reversible_norm": False} | ({"padded": True} if padded else {})


def _rows_with_columns(source: Any) -> Any:
    """Return a table whose index levels with names have become columns."""
    if (
        hasattr(source, "index")
        and hasattr(source, "reset_index")
        and any(name is not None for name in source.index.names)
    ):
        return source.reset_index()
    return source


def _checked_segment(segment: Any, stride: Any) -> tuple[int | None, int | None]:
    """Return the steps of a segment and to the next one; stride is the segment by default.

    Raises:
        KzooError: a value below 1, or a stride without segments.
    """
    if segment is None:
        if stride is not None:
            raise KzooError(
                "needs the length of a segment: set segment=.", argument="stride", value=stride
            )
        return None, None
    stride = segment if stride is None else stride
    for option, value in (("segment", segment), ("stride", stride)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise KzooError(
                "must be a whole number of steps, 1 or more.", argument=option, value=value
            )
    return int(segment), int(stride)


def _step_counter(rows: Rows, panel: Panel, taken: Collection[str]) -> str | None:
    """Return the column that numbers the rows of every series by 0, 1, 2, ... or 1, 2, 3, ...; None without one."""
    if len(panel.order) == len(panel):
        return None
    expected = panel.numbers - panel.firsts
    for column in rows.columns:
        if column not in taken:
            numbers = rows.numbers(column)[panel.order]
            if (
                np.array_equal(numbers - numbers[panel.firsts], expected)
                and np.isin(numbers[panel.bounds[:-1]], (0, 1)).all()
            ):
                return column
    return None


def _features(
    rows: Rows, taken: Collection[str], formats: Mapping[str, Any], notes: list[str]
) -> tuple[list[str], list[str]]:
    """Return the numeric columns, and the others, which are no features.

    Raises:
        KzooError: no numeric column is left.
    """
    features = list[str]()
    skipped = list[str]()
    for column in rows.columns:
        if column not in taken:
            share = np.isfinite(rows.numbers(column, formats.get(column))).mean()
            (features if share > _MIN_NUMERIC else skipped).append(column)
    if not features:
        raise KzooError(
            f"The series have no numeric column besides ids, times and targets. Columns: {listed(rows.columns, MOST)}."
        )
    if skipped:
        notes.append(f"Left out, mostly not numeric: {listed(map(repr, skipped), _SHOWN)}.")
    return features, skipped


def _labelled_series(
    reader: Mapping[str, Any],
    rows: Rows,
    panel: Panel,
    targets: Sequence[str],
    notes: list[str],
    unread: dict[str, np.ndarray],
    group: str | None = None,
) -> LabelledSeries:
    """Return the series of a table, or their segments, with the raw targets.

    Args:
        reader: the preprocessor, perhaps without steps.
        rows: `Rows`.
        panel: its `Panel`.
        targets: names of the target columns.
        notes: list that notes for the user are appended to.
        unread: dict that gets name -> indices of unreadable cells.
        group: the group column, or None.

    Raises:
        KzooError: a target or a group that is not constant in a series, or no series has a target.
    """
    series = series_of(reader, rows, panel, notes, unread)
    cells = {column: _cells(rows[column])[panel.order] for column in targets}
    names, starts = panel.names, panel.bounds[:-1]
    recordings = np.arange(len(panel))
    groups = None if group is None else _constant(group, rows, panel)
    if segment := reader.get("segment"):
        series, names, places = cut_segments(series, names, segment[0], segment[1], notes)
        recordings = np.array([number for number, _ in places])
        starts = panel.bounds[recordings] + [start for _, start in places]
        groups = np.array(panel.names) if groups is None else groups
    kept = list[int]()
    raw = {column: list[Any]() for column in targets}
    unlabelled, mixed = list[str](), list[str]()
    for row, start in enumerate(starts):
        span = slice(start, start + len(series[row]))
        values_of = {column: _single(cells[column][span]) for column in targets}
        different = next(
            (column for column, (_, other) in values_of.items() if other is not None), None
        )
        if different is not None:
            if segment:
                mixed.append(names[row])
                continue
            value, other = values_of[different]
            raise KzooError(
                f"Target {different!r} is not constant in series {names[row]!r}: {shown(value)} and {shown(other)}. "
                "Each series needs one label. Correct it, set segment= if the label changes, or use a preset for "
                "forecasts to forecast it."
            )
        if any(value is None for value, _ in values_of.values()):
            unlabelled.append(names[row])
            continue
        kept.append(row)
        for column, (value, _) in values_of.items():
            raw[column].append(value)
    noun = "segment" if segment else "series"
    for which, reason in (
        (unlabelled, "without a target"),
        (mixed, "with several values of the target"),
    ):
        if which:
            notes.append(
                f"{plural(len(which), noun)} {reason} left out: {listed(map(repr, which), _SHOWN)}."
            )
    if not kept and mixed:
        raise KzooError(
            f"Every {noun} has several values of {listed(map(repr, targets))}, the first is {mixed[0]!r}. Use a "
            "smaller segment=, or omit it to forecast the target."
        )
    if not kept:
        raise KzooError(
            f"No {noun} has a value of {listed(map(repr, targets))}. Fill it in, or choose another target=."
        )
    return LabelledSeries(
        names=[names[row] for row in kept],
        series=[series[row] for row in kept],
        targets={column: _column(values) for column, values in raw.items()},
        groups=None if groups is None else groups[recordings[kept]],
    )


def _column(values: list[Any]) -> np.ndarray:
    """Return values (N,) as numbers if all of them are numbers, else as objects."""
    array = np.empty(len(values), object)
    array[:] = values
    is_number = all(
        isinstance(value, int | float | np.number) and not isinstance(value, bool)
        for value in values
    )
    return np.array(values) if is_number else array


def _cells(values: Any) -> np.ndarray:
    """Return the cells of a column as an array (N,), texts as objects."""
    values = plain(values)
    return values if isinstance(values, np.ndarray) else np.array(list(values), object)


def _single(cells: np.ndarray) -> tuple[Any, Any]:
    """Return (the value of cells, None), or two different values; (None, None) if all are missing."""
    present = cells[not_missing(cells)]
    if not len(present):
        return None, None
    first = present[0]
    different = np.flatnonzero(present != first)
    return (first, None) if not len(different) else (first, present[different[0]])


def _constant(column: str, rows: Rows, panel: Panel) -> np.ndarray:
    """Return the value of a column in each series (N,) as words.

    Raises:
        KzooError: it is missing in a row, or not constant in a series.
    """
    words = to_words(rows[column])[panel.order]
    if any(missing := [word is None for word in words]):
        row = int(panel.order[missing.index(True)])
        raise KzooError(
            f"is missing in row {row + 1}. Fill it in, or omit group=.",
            argument="group",
            value=column,
        )
    words = words.astype(str)
    first = words[panel.firsts]
    changed = words != first
    if changed.any():
        row = int(np.argmax(changed))
        raise KzooError(
            f"is not constant in series {panel.names[panel.codes[row]]!r}: {str(first[row])!r} and "
            f"{str(words[row])!r}. Name a column of the whole series.",
            argument="group",
            value=column,
        )
    return first[panel.bounds[:-1]]


def _read_labelled(
    reader: Mapping[str, Any],
    source: Any,
    targets: Sequence[str],
    notes: list[str],
    text: Collection[str],
) -> LabelledSeries:
    """Return labelled series of another source, read as the training series were."""
    path = source if isinstance(source, str | Path) else None
    if path is not None and Path(path).is_dir() and not is_table(path):
        frame = _frame_of_folder(Path(path), notes)
    else:
        frame = as_frame(_rows_with_columns(source), text, notes)
    rows = rows_of(frame)
    time = reader["time"] if reader["time"] in rows.columns else None
    if time is None and reader["time"] is not None:
        notes.append(
            f"There is no time column {reader['time']!r}. The rows are assumed to be in order of time."
        )
    require(rows, [*reader["series_id"], *reader["columns"], *targets], "the series")
    panel, _ = panel_of_rows(
        rows, reader["series_id"], time, notes, learned=reader.get("times", "")
    )
    unread: dict[str, np.ndarray] = {}
    read_series = _labelled_series(reader, rows, panel, targets, notes, unread)
    notes += unread_notes(reader["columns"], rows, unread)
    return read_series


def _frame_of_folder(folder: Path, notes: list[str]) -> Any:
    """Return the files below class folders as one table with the columns "file" and "class".

    Raises:
        KzooError: folders of splits, fewer than two classes, or a file without the columns of the first.
    """
    if splits_in(folder):
        raise KzooError(
            f"{folder.name!r} has folders of splits, which are not available for series. Pass the folder of the "
            "training split, and test= for the other."
        )
    frames = []
    ignored = dict[str, int]()
    names = None
    first = ""
    for class_name in visible_folders(folder):
        for path in sorted((folder / class_name).iterdir()):
            if path.suffix.lower() not in _SUFFIXES or path.name.startswith("."):
                if path.is_file() and not path.name.startswith("."):
                    ignored[path.suffix.lower()] = ignored.get(path.suffix.lower(), 0) + 1
                continue
            frame = as_frame(path, (), notes)
            if names is None:
                names = list(frame.columns)
                first = f"{class_name}/{path.name}"
            if missing := [column for column in names if column not in frame.columns]:
                raise KzooError(
                    f"{path.name!r} of class {class_name!r} lacks the column {missing[0]!r} of {first!r}. All files "
                    "need the same columns."
                )
            if reserved := [column for column in (_FILE, _CLASS) if column in frame.columns]:
                raise KzooError(
                    f"{path.name!r} has a column {reserved[0]!r}, which names the files here. Rename it."
                )
            if len(frame):
                frames.append(
                    frame[names].assign(**{_FILE: f"{class_name}/{path.name}", _CLASS: class_name})
                )
    if len({frame[_CLASS].iloc[0] for frame in frames}) < 2:
        raise KzooError(
            f"{folder.name!r} needs a folder of .csv files for each class, at least two."
        )
    notes += ignored_files_notes(ignored, "series", listed(_SUFFIXES))
    return pd.concat(frames, ignore_index=True)


def labelled(
    reader: Mapping[str, Any], source: Any, *, targets: Sequence[str], config: Any = None
) -> Split:
    """Return labelled series of a new source, with raw labels."""
    notes = list[str]()
    text = [
        name
        for name, stored in (reader.get("writings") or {}).items()
        if learned_from_texts(stored)
    ]
    new = _read_labelled(reader, source, targets, notes, text)
    x = encoded(new.series, new.names, reader["steps"], reader["padded"], notes)
    for line in notes:
        warn(line)
    columns = [new.targets[column] for column in targets or [_CLASS]]
    return Split(x=x, y=columns[0] if len(columns) == 1 else np.stack(columns, axis=1))


def fresh(reader: Mapping[str, Any], source: Any, *, targets: Sequence[str]) -> Fresh:
    """Return new series, and their raw labels if the table has them, for the checks."""
    frame = as_frame(_rows_with_columns(source))
    missing = [name for name in reader["columns"] if name not in frame.columns]
    if missing or not len(frame):
        return Fresh(frame=frame, missing=missing)
    if not all(column in frame.columns for column in (*targets, *reader["series_id"])):
        return Fresh(x=read(reader, frame)[0], frame=frame)
    split = labelled(reader, frame, targets=targets)
    return Fresh(x=split.x, answers=split.y, frame=frame)


def overview(data: Dataset) -> dict[str, Any]:
    """Return how the columns of labelled series were read, and their lengths."""
    if "series" not in data.seen:  # arrays
        steps, columns = data.input_shape
        return {"noun": "series", "about": {"steps in": steps, "columns": columns}}
    series = data.seen["series"]
    lengths = list(dict.fromkeys((series["shortest"], series["longest"])))
    about = {"steps": lengths[0] if len(lengths) == 1 else lengths}
    if segment := data.preprocessing.get("segment"):
        about = {"segment": segment[0], "stride": segment[1]}
    return {"noun": "series", "rows": series["count"], "columns": data.seen["read"], "about": about}


def take(x: np.ndarray, preset: Preset | None) -> np.ndarray:
    """Return an array as float32 (N, T, F)."""
    if x.ndim == 2 and preset is not None and preset.config["input_shape"][-1] == 1:
        x = x[..., None]
    return as_type(checked(x, "series"), np.float32)


def fit(
    x: Any,
    train: np.ndarray,
    *,
    plain: bool = False,
    notes: list[str] | None = None,
    padded: bool = False,
    **more: Any,
) -> tuple[Any, dict[str, Any], dict[str, Any] | None]:
    """Return the series unchanged, the settings learned on the training series, and a preprocessor if they are padded.

    Args:
        x: (N, T, F).
        train: indices of the training series.
        plain: whether the caller has scaled them already.
        padded: whether the last feature is a mask, 1 for real steps.
        notes: list that a note is appended to if the scale is learned on a sample.
    """
    reader = padded_preprocessor(x) if padded else None
    if plain:
        return x, whole_series(padded), reader
    series = select_rows(x, train)
    most = max(1, _MAX_SCALED_STEPS // x.shape[1])
    if len(series) > most and notes is not None:
        notes.append(
            f"The scale of the inputs is learned on {most:,} of {len(series):,} training series."
        )
    series = sample_rows(series, most)
    if padded:
        series = series[series[..., -1] > 0][:, :-1]
    return x, scaling(series) | whole_series(padded), reader


def padded_preprocessor(x: np.ndarray) -> dict[str, Any]:
    """Return the preprocessor of padded arrays (N, T, F + 1), whose columns have no names."""
    names = [f"x{number}" for number in range(x.shape[-1] - 1)]
    return {
        "kind": "series_examples",
        "columns": names,
        "series_id": [],
        "time": None,
        "steps": x.shape[1],
        "padded": True,
    }


def padded_arrays(x, others):
    """Return unequal series as arrays (N, T, F + 1) with a mask, of the first source and of the others; None otherwise.

    Args:
        x: the inputs of a pair of arrays.
        others: split -> inputs of its second source.
    """
    if not any(is_unequal(part) for part in (x, *others.values())):
        return None
    series = {part: arrays_of(values) for part, values in (("train", x), *others.items())}
    steps = max(len(values) for part in series.values() for values in part)
    arrays = {part: encoded(values, [], steps, True, []) for part, values in series.items()}
    return arrays.pop("train"), arrays


def is_unequal(x) -> bool:
    """Return whether x is a list of series of different lengths, or an array whose series end with steps of NaN."""
    if isinstance(x, np.ndarray) and x.dtype != object:
        return bool(x.ndim == 3 and x.dtype.kind == "f" and np.isnan(x[:, -1]).all(axis=-1).any())
    if not isinstance(x, list | tuple | np.ndarray) or not len(x):
        return False
    if not all(isinstance(values, np.ndarray | list | tuple) for values in x):
        return False
    if len({len(values) for values in x}) < 2 and not _differ_in_columns(x):
        return False
    firsts = [values[0] for values in x if len(values)]
    return not any(isinstance(first, str | bytes) for first in firsts)  # texts, or lists of words


def _differ_in_columns(x):
    """Return whether series of the same length have different numbers of columns."""
    return len({np.shape(values[0]) for values in x if len(values)}) > 1
