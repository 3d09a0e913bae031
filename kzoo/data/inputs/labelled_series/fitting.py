"""Learning from series that are examples: tables of many labelled series, folders of files, and lists of arrays."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data import splits
from kzoo.data.dataset import Dataset, Split
from kzoo.data.inputs.labelled_series.arrays import fit, padded_arrays, take, whole_series
from kzoo.data.inputs.labelled_series.labels import LabelledSeries, labelled_series
from kzoo.data.inputs.rows.columns import number_formats_of
from kzoo.data.inputs.rows.fitting import describe
from kzoo.data.inputs.rows.in_memory import cell_findings, text_columns
from kzoo.data.inputs.rows.scaling import scaling
from kzoo.data.options import LoadRequest
from kzoo.data.summary import AS_REQUESTED
from kzoo.data.tables.frame import as_frame
from kzoo.data.tables.overview import describe_columns
from kzoo.data.targets import detection
from kzoo.data.targets.fit import fit_targets
from kzoo.inference.kinds.labelled_series.inference import (
    encoded,
    panel_of_rows,
    read,
)
from kzoo.inference.kinds.rows.column_options import column_options, named_columns
from kzoo.inference.kinds.rows.inference import unread_notes
from kzoo.inference.kinds.series.one_series import detect_time_column
from kzoo.inference.kinds.series.panel import Panel
from kzoo.inference.sources.folders import ignored_files_notes, splits_in, visible_folders
from kzoo.inference.tables.files import is_table
from kzoo.inference.tables.numbers import StoredFormat, learned_from_texts
from kzoo.inference.tables.raw import (
    MOST,
    Rows,
    as_names,
    check_distinct,
    find_target,
    require,
    rows_of,
)
from kzoo.inference.tables.values import plain
from kzoo.problems.kinds import Fresh
from kzoo.problems.layout import Preprocessor
from kzoo.problems.stored_types import Config
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed, shown
from kzoo.utils.optional import pandas as pd
from kzoo.utils.table_path import Source

if TYPE_CHECKING:
    from pandas import DataFrame


_FILE = "file"  # id column of the series of a folder
_CLASS = "class"  # target column of them
_SUFFIXES = (".csv",)
_MIN_NUMERIC = 0.5  # share of numbers in a column of a series
_SHOWN = 3  # series in a note

__all__ = ["describe", "fit", "fresh", "labelled", "load", "overview", "padded_arrays", "take"]


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
    whole = labelled_series(reader, rows, panel, targets, notes, unread, group)
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


def _rows_with_columns(source: Source) -> Source:
    """Return a table whose index levels with names have become columns."""
    if (
        hasattr(source, "index")
        and hasattr(source, "reset_index")
        and any(name is not None for name in source.index.names)
    ):
        return source.reset_index()
    return source


def _checked_segment(segment: int | None, stride: int | None) -> tuple[int | None, int | None]:
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
    rows: Rows, taken: Collection[str], formats: Mapping[str, StoredFormat], notes: list[str]
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


def _read_labelled(
    reader: Preprocessor,
    source: Source,
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
    read_series = labelled_series(reader, rows, panel, targets, notes, unread)
    notes += unread_notes(reader["columns"], rows, unread)
    return read_series


def _frame_of_folder(folder: Path, notes: list[str]) -> "DataFrame":
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
    reader: Preprocessor, source: Source, *, targets: Sequence[str], config: Config | None = None
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


def fresh(reader: Preprocessor, source: Source, *, targets: Sequence[str]) -> Fresh:
    """Return new series, and their raw labels if the table has them, for the checks."""
    frame = as_frame(_rows_with_columns(source))
    missing = [name for name in reader["columns"] if name not in frame.columns]
    if missing or not len(frame):
        return Fresh(frame=frame, missing=missing)
    if not all(column in frame.columns for column in (*targets, *reader["series_id"])):
        return Fresh(x=read(reader, frame)[0], frame=frame)
    split = labelled(reader, frame, targets=targets)
    return Fresh(x=split.x, answers=split.y, frame=frame)


def overview(data: Dataset) -> JsonObject:
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
