"""Time series: a numeric table with a time column becomes windows and the values that follow them."""

from pathlib import Path

import numpy as np

from kzoo.data import splits
from kzoo.data.dataset import Dataset, Split
from kzoo.data.inputs.arrays import as_type, checked
from kzoo.data.inputs.rows.columns import (
    number_formats_of,
    weight_column_notes,
)
from kzoo.data.inputs.rows.fitting import describe
from kzoo.data.inputs.rows.in_memory import cell_findings, text_columns
from kzoo.data.inputs.rows.scaling import scaling
from kzoo.data.inputs.series.examples_fitting import (
    fresh_examples,
    labelled_examples,
    load_examples,
    overview_of_examples,
    padded_arrays,
    padded_preprocessor,
    whole_series,
)
from kzoo.data.inputs.series.order import order_of
from kzoo.data.inputs.series.panel_fitting import fresh_panel, labelled_panel, load_panel
from kzoo.data.inputs.series.season import window_length
from kzoo.data.inputs.series.simple_forecasts import (
    season_history,
    seasonal_scales,
    simple_forecasts,
)
from kzoo.data.options import LoadRequest
from kzoo.data.store.windows import Windows, sample_rows, select_rows
from kzoo.data.summary import AS_REQUESTED
from kzoo.data.tables.cell_notes import sentinel_notes
from kzoo.data.tables.frame import as_frame, index_notes
from kzoo.data.tables.overview import describe_columns
from kzoo.inference.kinds.rows.column_options import column_options, named_columns
from kzoo.inference.kinds.rows.inference import unread_notes
from kzoo.inference.kinds.series.calendar import calendar_of
from kzoo.inference.kinds.series.examples import is_examples
from kzoo.inference.kinds.series.index import with_index
from kzoo.inference.kinds.series.inference import (
    check_not_empty,
    check_step,
    detect_time_column,
    learned_series,
    learned_time_format,
    read_times,
    series_values,
    time_column_notes,
)
from kzoo.inference.kinds.series.panel import ranges_of
from kzoo.inference.kinds.series.steps import WindowRules, window_notes
from kzoo.inference.tables.numbers import learned_from_texts
from kzoo.inference.tables.raw import MOST, as_names, check_distinct, require, rows_of
from kzoo.inference.tables.values import not_missing, plain
from kzoo.inference.tasks.values import ColumnStatistics, spread
from kzoo.problems.kinds import DEFAULT_STEPS, Fresh
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.formatting import listed, plural, shown

__all__ = [
    "describe",
    "fit",
    "fresh",
    "labelled",
    "load",
    "order_of",
    "overview",
    "padded_arrays",
    "season_history",
    "seasonal_scales",
    "simple_forecasts",
    "take",
]

_DEFAULT_HORIZON = 24  # without a preset
_MAX_SCALED_STEPS = 2_000_000  # steps of arrays from which the scale is learned


def load(request: LoadRequest) -> Dataset:
    """Load a table as a series, which is split in order of time in any case, or as labelled series."""
    options = request.options
    problem = request.problem
    if problem is None or "ordered" not in problem.facts:
        return load_examples(request)
    return load_series(
        request.source,
        name=request.name,
        preset=request.preset,
        task=problem.name,
        **options.pick("target", "validation", "test", "drop", "time", "columns", "series_id"),
        **options.pick("known_covariates", "static_covariates", "date_order"),
    )


def load_series(
    source,
    *,
    name,
    preset=None,
    target=None,
    validation=0.1,
    test=None,
    drop=(),
    time=None,
    columns=None,
    series_id=None,
    known_covariates=None,
    static_covariates=None,
    date_order=None,
    notes=(),
    task="forecasting",
):
    """Load a series for forecasting, split in order of time.

    Windows have the length of the preset, or at least two seasons if it has none (see `season.window_length`). Inputs
    of validation and test windows may reach back into the split before; their targets never do. Missing values are
    filled in (see `kzoo.inference.kinds.series.steps`).

    Args:
        source: a DataFrame, or the path of a table file.
        target: columns to forecast; by default all numeric ones. They come first in `x`.
        columns: column options with number formats; see `kzoo.load_data`.
        time: the time column; by default the first column of dates, or else the order of the rows.
        series_id, known_covariates, static_covariates: columns of a table of many series; see `kzoo.load_data`.
        date_order: see `kzoo.load_data`.
        validation, test: fractions of all rows, 0.1 and 0.2 by default; or a second series.
        task: public name of the task.

    Raises:
        KzooError: no numeric column, or too few rows for a window and its horizon.
    """
    steps, horizon = DEFAULT_STEPS, _DEFAULT_HORIZON
    if preset is not None:
        steps = preset.config["input_shape"][0]
        horizon = preset.config.get("horizon") or 1

    # 1. Read the series and those of the validation and test split, sorted by time.
    source = with_index(source, time)
    notes = [*notes, *index_notes(source)]
    ids = as_names(series_id or ())
    # the id 007 is not 7
    frame = as_frame(source, [*named_columns(columns), *ids], notes, compact=bool(ids))
    identifiers, known, static = (
        as_names(columns_of_role or ())
        for columns_of_role in (series_id, known_covariates, static_covariates)
    )
    if identifiers:
        return load_panel(
            frame,
            _time_of_panel(frame, time),
            name=name,
            preset=preset,
            target=target,
            validation=validation,
            test=test,
            drop=drop,
            columns=columns,
            series_id=identifiers,
            known=known,
            static=static,
            notes=notes,
            task=task,
            numeric_columns=_numeric_columns,
            date_order=date_order,
        )
    if known or static:
        argument = "known_covariates" if known else "static_covariates"
        raise KzooError(
            "is for a table of many series. Name the column that tells them apart "
            "in series_id=; for one series, a column of one value.",
            argument=argument,
            value=(known or static)[0],
        )
    unsorted = frame
    decimal = frame.attrs.get("decimal")
    frame, times = sort_by_time(
        frame, detect_time_column(frame, time), notes, date_order=date_order
    )
    frame, times = _drop_future_rows(frame, times, target, notes)
    if isinstance(test, splits.Fold):
        rows, fraction = splits.expanding_cut(len(frame), test)
        first = rows - round(rows * fraction)
        names = [
            str(row + 1) if times is None else times.format_time(times.timestamps[times.order[row]])
            for row in (first, rows - 1)
        ]
        notes.append(fold_note(test, *names))
        frame = frame.iloc[:rows]
        times = None if times is None else times.take(times.order[:rows])
        test = fraction
    time = None if times is None else times.column
    others, other_notes = {}, {}  # split -> (table, times) of its own series
    for part, other_source in splits.second_sources(validation, test).items():
        learned_format, other_notes[part] = None if times is None else times.time_format, []
        other_frame = as_frame(with_index(other_source, time), text_columns(unsorted), notes)
        others[part] = sort_by_time(
            other_frame, time, [], learned_format, other_notes[part], date_order
        )

    # 2. Split, and learn the step of the training rows.
    first_validation, first_test = splits.split_time(
        len(frame), validation=splits.drawn(validation), test=splits.drawn(test)
    )
    first_calibration = first_test
    if isinstance(validation, splits.HeldOut):  # its end
        first_calibration = first_test - round(len(frame) * validation.calibration)
    calendar = None if times is None else calendar_of(unsorted, times, first_validation)
    if time is not None and calendar is None:
        notes.append(
            f"The times in {time!r} have no regular step: forecasts have step numbers instead of times, and there is "
            "no seasonal baseline."
        )
    time_settings = {"calendar": calendar.json()} if calendar else {}
    time_settings |= {"zones": {times.column: times.zone}} if times is not None else {}
    for part, (_, other_times) in others.items():
        other_notes[part] += time_column_notes({"time": time} | time_settings, other_times)
        other_notes[part] += check_step(time_settings, other_times, f"the {part} series")

    # 3. Learn the columns on the training rows, and fill missing values.
    overrides = column_options(columns, frame)
    format_warnings = []
    if not_numbers := [name for name, option in overrides.items() if option["kind"] != "number"]:
        raise KzooError(
            f"columns: {not_numbers[0]!r} cannot be a {overrides[not_numbers[0]]['kind']}: a series contains only "
            "numbers. Exclude it with drop=."
        )
    train_frame = frame.iloc[:first_validation]
    number_formats = number_formats_of(
        train_frame, frame.columns, overrides, format_warnings, decimal
    )
    names, targets = _numeric_columns(train_frame, target, as_names(drop), number_formats)
    format_warnings = [
        note for note in format_warnings if any(repr(name) in note for name in names)
    ]
    whole = series_values(
        frame, times, names, len(targets), number_formats, calendar, where=repr(name)
    )
    values, unread, missing = whole.values, whole.unread, whole.missing
    notes += [*whole.missing_note(), *whole.step_notes(times)]
    notes += [
        *format_warnings,
        *unread_notes(names, frame, unread),
        *weight_column_notes(names, weighted=False),
    ]
    if target is not None:
        binary = [
            name
            for name, column in zip(targets, values.T, strict=False)
            if np.isin(column, (0, 1)).all()
        ]
        notes += [
            f"Target {name!r} contains only 0 and 1: its forecasts are numbers, not classes."
            for name in binary
        ]
    excluded = {
        name: ("left out", "mostly not numeric") for name in frame.columns if name not in names
    }
    excluded |= dict.fromkeys(as_names(drop), ("left out", AS_REQUESTED))
    if times is not None:
        excluded[times.column] = ("time", f"{times.step} apart, from {' to '.join(times.ends)}")
    number_columns = [
        {"name": name, "kind": "number", "writing": number_formats.get(name)} for name in names
    ]
    facts = cell_findings(format_warnings, unread, frame) | _time_facts(times, missing)
    facts["read"] = describe_columns(
        unsorted, number_columns, unread, targets=targets, apart=excluded
    )
    number_formats = {name: number_formats[name] for name in names if name in number_formats}

    # 4. Cut each split into windows.
    first_validation, first_calibration, first_test = (
        int(np.append(whole.steps.of_rows, len(values))[row])
        for row in (first_validation, first_calibration, first_test)
    )
    bounds = {
        "train": (0, first_validation),
        "validation": (first_validation, first_calibration),
        "test": (first_test, len(values)),
    }
    if first_calibration < first_test:
        bounds["calibration"] = (first_calibration, first_test)
    series = {part: (whole, *rows_of_part) for part, rows_of_part in bounds.items()}
    for part, (other_frame, other_times) in others.items():
        where = f"the {part} series"
        require(other_frame, names, where)
        other = series_values(
            other_frame, other_times, names, len(targets), number_formats, calendar, where=where
        )
        check_not_empty(other.missing, len(other_frame), where)
        part_notes = (*other_notes[part], *_new_notes(other, other_frame, other_times))
        notes += [f"{part.capitalize()} series: {note}" for note in part_notes]
        series[part] = (other, 0, len(other.values))
    fix = shorter_sizes(
        [(start, end) for _, start, end in series.values()], steps or DEFAULT_STEPS, horizon, preset
    )
    if steps is None:
        max_steps = min(
            [len(values), *(len(other_frame) - horizon for other_frame, _ in others.values())]
        )
        steps, note = window_length(
            values[:first_validation, : len(targets)],
            horizon,
            columns=len(names),
            times=times,
            calendar=calendar,
            max_steps=max_steps,
            min_steps=preset.config.get("patch_size") or 1,
        )
        notes.append(note)
    parts, notes_of_windows, uneven = split_windows(series, steps, horizon, name, fix=fix)
    notes += notes_of_windows
    notes += ColumnStatistics.of(values[:first_validation]).coarse(names)
    for column_name, column in zip(names, values[:first_validation].T, strict=True):
        notes += sentinel_notes(column_name, column[np.isfinite(column)])
    mean, std = spread(values[:first_validation])
    return Dataset(
        name=name,
        task=task,
        inputs="series",
        **parts,
        config={
            "input_shape": (steps, len(names)),
            "outputs": len(targets),
            "horizon": horizon,
            **scaling(values[:first_validation]),
            "target_scale": std[: len(targets)],
            "target_offset": mean[: len(targets)],
        },
        preprocessing={
            "kind": "series",
            "columns": names,
            "outputs": len(targets),
            "steps": steps,
            "time": time,
        }
        | ({"writings": number_formats} if number_formats else {})
        # Without a regular step, as of opening hours, new rows are treated as consecutive, too.
        | ({"uneven": True} if uneven else {})
        | ({"times": times.time_format} if times is not None and times.time_format else {})
        | time_settings
        | {"ranges": ranges_of(names, values[:first_validation])},
        feature_names=tuple(names),
        target_names=tuple(targets),
        notes=[*notes, "The series is split in order of time."],
        seen=facts,
        fingerprint=splits.fingerprint(
            values,
            names,
            list(bounds.values()),
            steps,
            horizon,
            len(targets),
            *([whole.steps.missing] if whole.steps.missing else []),
            *([series["validation"][0].values] if "validation" in others else []),
        ),
    )


def _time_of_panel(frame, time):
    """Return the name of the time column of a panel.

    Raises:
        KzooError: there is none.
    """
    if (column := detect_time_column(frame, time)) is None:
        raise KzooError(
            "A table of many series needs a time column, and none has dates. Name it in time=."
        )
    return column


def sort_by_time(frame, column, notes, learned=None, time_notes=None, date_order=None):
    """Return the rows in order of time without the time column, the one of the training or else the first of dates.

    Args:
        frame: the table.
        column, notes, learned, time_notes, date_order: see `read_times`.

    Returns:
        (the table, its `Times` or None without a time column).
    """
    times = read_times(
        rows_of(frame), column, notes, learned=learned, time_notes=time_notes, date_order=date_order
    )
    if times is None:
        return frame, None
    if not times.is_sorted:
        frame = frame.iloc[times.order].reset_index(drop=True)
    return frame.drop(columns=times.column), times


def _drop_future_rows(frame, times, target, notes):
    """Return a series and its times without the rows at the end that have no value of any target."""
    targets = [target] if target in list(frame.columns) else as_names(target)
    rows = rows_of(frame)
    has_target = np.zeros(len(frame), bool)
    for name in targets or frame.columns:
        has_target |= not_missing(rows[name]) if name in rows else True
    if not has_target.any() or has_target[-1]:
        return frame, times
    future = int(np.argmax(has_target[::-1]))
    notes.append(
        f"Dropped at the end: {plural(future, 'row')} without {listed(map(repr, targets)) or 'a value'}."
    )
    # rows of `frame` are in order of time, those of `times` in order of the table
    past = len(frame) - future
    return frame.iloc[:past], None if times is None else times.take(times.order[:past])


def fold_note(fold, first, last):
    """Return a note about the rows of a fold, given the times of the first and the last row of its test part."""
    number = f"{fold.index + 1} of {fold.folds}"
    return f"Fold {number}: tested on {first} to {last}, trained on earlier rows; later ones are not used."


def _time_facts(times, missing):
    """Return facts for the checks about the times of a series and its missing values."""
    return {
        "time": times.json() if times is not None and len(times.timestamps) else None,
        "gone": {
            name: _longest_run(indices, times) for name, indices in missing.items() if len(indices)
        },
    }


def _longest_run(indices, times):
    """Return the `count` of cells without a number, and `longest`, `first` and `last`: length and rows of the longest
    run.

    Rows are named by their time, or without a time column by their index.
    """
    runs = np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1)
    run = max(runs, key=len)
    names = [
        str(row) if times is None else times.format_time(times.timestamps[times.order[row]])
        for row in (run[0], run[-1])
    ]
    return {"count": len(indices), "longest": len(run), "first": names[0], "last": names[1]}


def _numeric_columns(frame, target, drop, number_formats):
    """Return the numeric columns, targets first, and the targets.

    Raises:
        KzooError: no numeric column, an unknown column, or a target that is not numeric.
    """
    require(frame, drop, "the series")
    requested = [target] if target in list(frame.columns) else as_names(target)
    require(frame, requested, "the series")
    check_distinct(requested)
    rows = rows_of(frame)
    numeric_share = {
        name: np.isfinite(rows.numbers(name, number_formats.get(name))).mean()
        for name in frame.columns
        if name not in drop
    }
    numeric = [name for name, share in numeric_share.items() if share > 0.5]
    if not numeric:
        columns = (
            f"Its columns are: {listed(frame.columns, MOST)}"
            if len(frame.columns)
            else "It has no others"
        )
        raise KzooError(
            f"The series has no numeric column besides its times. {columns}. Add a column of numbers."
        )
    if not_numeric := [name for name in requested if name not in numeric]:
        values = plain(frame[not_numeric[0]])
        example = (
            f", such as {shown(values[not_missing(values)][0])}"
            if not_missing(values).any()
            else ""
        )
        raise KzooError(
            f"Target {not_numeric[0]!r} is not numeric{example}: a series is forecast as numbers, not as classes."
        )
    targets = requested or numeric
    return [*targets, *(name for name in numeric if name not in targets)], targets


def shorter_sizes(parts, steps, horizon, preset):
    """Return the fix for an error about windows that do not fit: sizes that fit, with several windows to train on.

    Args:
        parts: (first row, end) of each split, of the series that it is cut from.
        steps, horizon: those of the windows that do not fit.
        preset: preset that the data is for; one that cuts windows into patches needs at least one patch.
    """
    parts = list(parts)
    # Windows of the training rows and of a test series have all their steps there; others begin in the part before.
    shortest = min(end for start, end in parts if start == 0)
    max_horizon = min(
        [horizon, shortest // 4, *(end - start for start, end in parts if end > start)]
    )
    min_steps = 1 if preset is None else preset.config.get("patch_size") or 1
    max_steps = min(steps, max((shortest - max_horizon) // 2, min_steps))
    if max_horizon < 1 or max_steps + max_horizon > shortest:
        return "provide more rows"
    return f"provide more rows, or use input_shape={max_steps}, horizon={max_horizon}"


def cut_windows(part, start, end, steps, horizon, name, fix="provide more rows"):
    """Return the first step (N,) of each window with targets within steps start..end.

    Args:
        part: name of the split, for messages.
        fix: advice in the error if no window fits.
    """
    starts = np.arange(max(0, start - steps), end - steps - horizon + 1)
    if not len(starts):
        raise KzooError(
            f"The {part} part of {name!r} has {plural(end - start, 'row')}, which is too few for a window of "
            f"{plural(steps, 'step')} and a horizon of {horizon}; {fix}."
        )
    return starts


def split_windows(series, steps, horizon, name, *, fix="provide more rows"):
    """Return the windows of each split of a series.

    Windows with a target that was filled in, or with a gap that was not, among the values to forecast are left out. If
    these are more than half of a split, those with few such targets are used.

    Args:
        series: split -> (`SeriesValues`, first step, end).
        fix: see `cut_windows`.

    Returns:
        (split -> `Split` or None, notes, whether windows with a gap that was not filled in are used).

    Raises:
        KzooError: a split has no window.
    """
    parts = {}
    shares = {}
    left_out = 0
    over_gaps = 0
    for part, (content, start, end) in series.items():
        if start == end and part != "train":
            parts[part] = None
            continue
        every = cut_windows(part, start, end, steps, horizon, name, fix)
        rules = WindowRules(filled=content.filled, steps=steps, horizon=horizon)
        strict, usable = (
            mask & ~_reach_over(content.steps.parts[1:-1], every, 1, steps + horizon)
            for mask in rules.usable(every)
        )
        over_gap = _reach_over(content.gaps, every, steps, steps + horizon)
        strict &= ~over_gap
        is_strict = 2 * strict.sum() >= usable.sum()
        starts = every[strict if is_strict else usable]
        if not len(starts):
            raise KzooError(
                f"No {horizon} consecutive rows of {name!r}{'' if part == 'all' else f' ({part})'} after a window of "
                f"{plural(steps, 'step')} have values of all targets: there is nothing to "
                f"{'train on' if part == 'train' else 'score'}."
            )
        left_out += len(every) - len(starts)
        over_gaps += 0 if is_strict else int(over_gap.sum())
        shares[part] = rules.share_filled(starts)
        y = Windows(
            np.ascontiguousarray(content.values[:, : content.filled.shape[1]]),
            starts + steps,
            horizon,
        )
        parts[part] = Split(x=Windows(content.values, starts, steps), y=y)
    notes = window_notes(left_out, shares)
    if over_gaps:
        notes.append(
            f"{plural(over_gaps, 'window')} with missing rows in the forecast horizon: excluding them would remove "
            "more than half of a split, so the rows are treated as consecutive."
        )
    return parts, notes, over_gaps > 0


def _reach_over(gaps, starts, first, end):
    """Return whether a gap is before one of the steps from `first` to before `end` of each window (N,)."""
    return np.searchsorted(gaps, starts + first) != np.searchsorted(gaps, starts + end)


def _new_notes(series, frame, times):
    """Return notes about missing and unreadable values of a new series."""
    return [
        *unread_notes(series.unread, frame, series.unread),
        *series.missing_note(),
        *series.step_notes(times),
    ]


def take(x, preset):
    """Return an array as float32 (N, T, F)."""
    if x.ndim == 2 and preset is not None and preset.config["input_shape"][-1] == 1:
        x = x[..., None]
    return as_type(checked(x, "series"), np.float32)


def fit(x, train, *, plain=False, notes=None, padded=False, **more):
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


def labelled(reader, source, *, targets, config):
    """Return all windows of a series and the values that follow them, except those with missing targets.

    Of series that are examples: all of them with their raw targets.
    """
    if is_examples(reader):
        return labelled_examples(reader, source, targets=targets)
    name = Path(source).name if isinstance(source, str | Path) else "the table"
    source = with_index(source, reader.get("time"))
    notes = list[str]()
    frame = as_frame(source, _text_columns(reader))
    if reader.get("series_id"):
        split = labelled_panel(reader, frame, notes, name)
        for line in notes:
            warn(line)
        return split
    frame, times = sort_by_time(frame, reader.get("time"), [], learned_time_format(reader), notes)
    require(frame, reader["columns"], "the series")
    notes += [*time_column_notes(reader, times), *check_step(reader, times, name)]
    whole = learned_series(reader, rows_of(frame), times, where=name, targets=config["outputs"])
    check_not_empty(whole.missing, len(frame), name)
    parts, notes_of_windows, _ = split_windows(
        {"all": (whole, 0, len(whole.values))}, reader["steps"], config["horizon"], name
    )
    for line in (*notes, *_new_notes(whole, frame, times), *notes_of_windows):
        warn(line)
    return parts["all"]


def _text_columns(reader):
    """Return the names of columns of a new series that must be read from a file as text, as in training."""
    formats = reader.get("writings") or {}
    ids = reader.get("series_id") or ()
    return [
        *ids,
        *(name for name, number_format in formats.items() if learned_from_texts(number_format)),
    ]


def fresh(reader, source, *, targets):
    """Return a series in order of time, or series that are examples, which may lack columns, for the checks."""
    if is_examples(reader):
        return fresh_examples(reader, source, targets=targets)
    source = with_index(source, reader.get("time"))
    frame = as_frame(source, _text_columns(reader))
    names = reader["columns"]
    missing = [name for name in names if name not in frame.columns]
    if reader.get("series_id"):
        return fresh_panel(reader, frame, missing)
    frame, times = sort_by_time(frame, reader.get("time"), [], learned_time_format(reader))
    check_step(reader, times, "the new series")
    x = None
    missing_values = {}
    if len(frame) and not missing:
        series = learned_series(reader, rows_of(frame), times)
        x, missing_values = series.values, series.missing
    return Fresh(x=x, frame=frame, missing=missing, seen=_time_facts(times, missing_values))


def overview(data):
    """Return how the columns of a series were read, and its steps; for arrays their sizes."""
    if "series" in data.seen and is_examples(data.preprocessing):
        return overview_of_examples(data)
    steps = data.input_shape[0]
    horizon = data.config.get("horizon")
    about = {"steps in": steps} | ({"ahead": horizon} if horizon else {})
    if panel := data.seen.get("series"):
        about = {"series": panel["count"], "step": panel["step"]} | about
        return {
            "noun": "windows",
            "rows": len(data.train.x.values),
            "columns": data.seen["read"],
            "about": about,
        }
    if "read" not in data.seen:
        return {"noun": "series", "about": about | {"columns": data.input_shape[-1]}}
    time = data.seen["time"]
    rows = len(data.train.x.values)
    if time:  # then the rows of the source, without those that are filled in
        rows = time["rows"]
        about = {"step": time["step"], "from": time["first"], "to": time["last"]} | about
    return {"noun": "windows", "rows": rows, "columns": data.seen["read"], "about": about}
