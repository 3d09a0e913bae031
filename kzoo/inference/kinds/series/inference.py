"""Encoding of the last rows of a series as a window: sorted by time, missing values filled. Does not import pandas."""

import os
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from kzoo.inference.kinds.rows.column_options import column_options
from kzoo.inference.kinds.rows.inference import column_deviations, column_means, unread_notes
from kzoo.inference.kinds.rows.inference import draw as draw_rows
from kzoo.inference.kinds.rows.inference import edges as edges_of_rows
from kzoo.inference.kinds.series import calendar as calendars
from kzoo.inference.kinds.series import examples
from kzoo.inference.kinds.series.calendar import Calendar, Moments
from kzoo.inference.kinds.series.id_columns import id_columns
from kzoo.inference.kinds.series.index import with_index
from kzoo.inference.kinds.series.input_parts import parts
from kzoo.inference.kinds.series.panel import (
    example_rows,
    far_notes,
    future_rows,
    input_width,
    read_panel,
    times_ahead,
)
from kzoo.inference.kinds.series.steps import (
    LONGEST_GAP,
    MAX_FILLED,
    Steps,
    fill_rule,
    fill_targets,
)
from kzoo.inference.kinds.series.time_formats import (
    NUMBERS,
    are_digit_dates,
    require_times,
    time_format_of,
    times_and_zone,
)
from kzoo.inference.kinds.series.times import Times
from kzoo.inference.sources.arrays import check_count, numeric_array
from kzoo.inference.tables.dates import are_dates
from kzoo.inference.tables.raw import (
    MOST,
    as_names,
    checked_rows,
    received_rows,
    require,
    rows_of,
    single_table,
)
from kzoo.inference.tables.values import to_words, unreadable_cells
from kzoo.inference.tables.zones import zone_notes
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.formatting import listed, plural

_LARGE_FILE = 32 << 20  # bytes of a CSV file of many series, from which pandas reads it
_MAX_ROWS = 500_000  # of a series in a request
# windows of steps before a forecast that are read: a gap is filled in from the season before it
_SEASONS_READ = 4
_MIN_STEP_ROWS = 4  # rows that a step is computed from, so that a single gap does not decide it
_MIN_REPEATED_SHARE = 0.2  # of the rows, from which they may belong to several series

__all__ = [
    "ahead",
    "draw",
    "edges",
    "example",
    "form",
    "gather",
    "glance",
    "glance_new",
    "make_future",
    "parts",
    "past",
    "read",
    "received",
    "show",
]


def read(reader, raw):
    """Encode the last rows of a series (DataFrame, list of dicts, path of a table), or check an array of windows.

    Of series that are examples, encode all of them.
    """
    if examples.is_examples(reader):
        return examples.read(reader, raw)
    names, steps = reader["columns"], reader["steps"]
    if isinstance(raw, np.ndarray):
        x = numeric_array(raw, "Windows").astype(np.float32)
        x = x[None] if x.ndim == 2 else x
        width = input_width(reader)
        if x.ndim != 3 or x.shape[1:] != (steps, width):
            raise KzooError(
                f"A window must have {plural(steps, 'step')} of {plural(width, 'column')} "
                f"({listed(names, MOST)}); got {x.shape[1:]}."
            )
        return x, raw
    notes = []
    if reader.get("series_id"):
        windows, series, rows_of_windows = read_panel(reader, _panel_rows(reader, raw), notes)
        for line in notes:
            warn(line)
        _remember(windows, series, rows_of_windows)
        return windows, series.names
    rows, times, future = _past_rows(reader, raw, notes)
    notes += [] if times is None else time_column_notes(reader, times)
    notes += check_step(reader, times, "the series", last=steps)
    series = learned_series(reader, rows, times, last=_SEASONS_READ * steps)
    if (count := len(series.values)) < steps:
        requirement = f" with a value of {_joined_by_or(_target_columns(reader))}" if future else ""
        raise KzooError(f"A forecast needs the last {steps} rows{requirement}; got {count}.")
    check_not_empty(series.missing, len(rows), "the series")
    first = count - steps
    _check_filled(series, times, steps)
    messages = (  # `ahead` warns about rows without times
        *notes,
        *unread_notes(names, rows, series.unread),
        *_future_note(reader, rows, times, future),
        *_missing_note(series, steps),
        *_gap_notes(reader, series, times, first),
        *far_notes(
            reader,
            series.values[first:],
            lambda step: (
                f"in step {step + 1}"
                if times is None
                else f"at {times.at(series.steps.rows[first + step])}"
            ),
        ),
    )
    for line in messages:
        warn(line)
    return series.values[None, first:], raw


def learned_series(reader, rows, times, *, targets=None, last=None, where="the series"):
    """Return the `SeriesValues` of new rows, read as the training rows were.

    Args:
        rows, times: the rows, and their `Times` or None.
        targets: number of targets; that of `_target_columns` by default.
        last: number of steps that are read, the last ones; all by default.
        where: the series, for messages.
    """
    calendar = None if reader.get("uneven") else Calendar.of(reader)
    times = None if reader.get("uneven") else times
    return series_values(
        rows,
        times,
        reader["columns"],
        targets or len(_target_columns(reader)),
        reader.get("writings"),
        calendar,
        where=where,
        last=last,
    )


def _check_filled(series, times, steps):
    """Refuse a forecast if more than half of the targets that it is based on would be filled in.

    Raises:
        KzooError: this is so.
    """
    filled = series.filled[-steps:]
    if filled.mean() <= MAX_FILLED:
        return
    rows = series.steps.rows[-steps:]
    window = "" if times is None else f", from {times.at(rows[0])} on"
    raise KzooError(
        f"{int(filled.sum())} of the {filled.size} targets in the last {plural(steps, 'step')}, which the forecast is "
        f"based on{window}, are missing. At most half of them are filled in: add the rows or the values."
    )


def past(reader, raw, horizon, most):
    """Return earlier windows of a series, and the values that followed them as far as they are known.

    Args:
        reader: preprocessor.
        raw: an input of `read`.
        horizon: number of steps of a forecast.
        most: largest number of windows, the latest ones.

    Returns:
        ((N, steps, F) windows, (N, horizon, targets) values, NaN where they are missing or not known yet), in order of
        time, one step apart; None for an array, which is only the window, and for a table of many series.
    """
    if isinstance(raw, np.ndarray) or reader.get("series_id"):
        return None
    steps = reader["steps"]
    rows, times, _ = _past_rows(reader, raw, [])
    series = learned_series(reader, rows, times, last=_SEASONS_READ * steps + most)
    values = series.values
    truth = np.where(series.filled, np.nan, series.values[:, : series.filled.shape[1]])
    truth = np.concatenate([truth, np.full((horizon, truth.shape[1]), np.nan, truth.dtype)])
    # the steps of the first values that are forecast
    first = np.arange(max(steps, len(values) - most), len(values))
    return values[first[:, None] - steps + np.arange(steps)], truth[
        first[:, None] + np.arange(horizon)
    ]


def time_column_notes(reader, times) -> list:
    """Return notes about the time column of a new series: another column than in training, or in an unknown time zone.

    Args:
        reader: preprocessor.
        times: the `Times` of the series, or None.
    """
    column = reader.get("time")
    if column is None:
        return []
    if times is None:
        return [f"There is no time column {column!r}. The rows are assumed to be in order of time."]
    lines = (
        []
        if times.column == column
        else [f"There is no time column {column!r}. {times.column!r} is used instead."]
    )
    zone = (reader.get("zones") or {}).get(column)
    is_uncertain = zone == "" or np.isnan(times.offsets).any()  # otherwise times are in UTC
    return lines + (zone_notes(times.column, zone, times.offsets) if is_uncertain else [])


def check_step(reader, times, where, *, last=None) -> list:
    """Refuse a series if most of its intervals are not the step of the training, which the network has learned.

    Args:
        reader: preprocessor, with its `Calendar`.
        times: the `Times` of the series, or None.
        where: the series, for the message.
        last: number of rows to check, the last ones; all by default.

    Returns:
        A list with a note if there is a single interval only, which is another, or if types of times differ; or [].

    Raises:
        KzooError: most intervals are others.
    """
    calendar = Calendar.of(reader)
    if calendar is None or times is None:
        return []
    if not calendar.fits(times.timestamps):
        new_type, learned_type = (
            ("numbers", "dates") if calendar.step != "numbers" else ("dates", "numbers")
        )
        return [
            f"Times of {times.column!r} are {new_type} in {where}, but were {learned_type} in training. Their steps "
            "may differ."
        ]
    times = times.take(times.order[-max(last or 0, _MIN_STEP_ROWS) :] if last else times.order)
    moments = Moments(times.timestamps, times.wall)
    matches = calendar.matching_steps(moments)
    if not len(matches) or 2 * matches.sum() >= len(matches):
        return []
    new_calendar = calendars.learn_calendar(moments, times.column)
    new_step = times.step if new_calendar is None else new_calendar.description
    line = f"The rows of {where} are {new_step} apart, but the training rows were {calendar.description} apart"
    if len(matches) == 1:
        return [f"{line}. The forecast assumes the step of the training."]
    raise KzooError(f"{line}. Pass rows {calendar.description} apart, or train on rows like these.")


def check_not_empty(missing, rows, where):
    """Refuse a series with a column without numbers: there is no earlier value to fill in.

    Args:
        missing: name -> indices of rows with a missing value, of `forward_fill`.
        rows: number of rows.
        where: the series, for the message.
    """
    if rows and (empty := [name for name, indices in missing.items() if len(indices) == rows]):
        raise KzooError(f"Column {empty[0]!r} of {where} has no number in any row.")


def _past_rows(reader, raw, notes):
    """Return the past of a series: its rows without those at the end that have no target, which are the future.

    Args:
        notes: list that notes about ambiguous times are appended to.

    Returns:
        (its `Rows` in order of time, their `Times` or None, number of future rows).
    """
    table = with_index(raw, reader.get("time"))
    writings = reader.get("writings") or {}
    rows = checked_rows(table)
    times = read_times(
        rows, reader.get("time"), [], learned=learned_time_format(reader), time_notes=notes
    )
    require(rows, reader["columns"], "the series")
    order = np.arange(len(rows)) if times is None else times.order
    has_target = np.zeros(len(rows), bool)
    for name in _target_columns(reader):
        has_target |= np.isfinite(rows.numbers(name, writings.get(name)))
    if len(rows) and not has_target.any():
        raise KzooError(
            f"No row of the series has a number in {_joined_by_or(_target_columns(reader))}."
        )
    future = int(np.argmax(has_target[order][::-1])) if len(rows) else 0
    order = order[: len(order) - future]
    return rows.take(order), times if times is None else times.take(order), future


def _target_columns(reader):
    """Return the columns that are forecast; all columns if a run of an earlier version did not store them."""
    return reader["columns"][: max(reader.get("outputs") or len(reader["columns"]), 1)]


def _joined_by_or(names):
    """Return quoted names joined by "or"."""
    return listed(map(repr, names), separator=" or ")


def _future_note(reader, rows, times, future):
    """Yield a note if there are `future` rows without targets at the end, after these rows."""
    if not future:
        return
    last = f"row {len(rows)}" if times is None else times.format_time(times.timestamps[-1])
    subject = "The last row has" if future == 1 else f"The last {future} rows have"
    ignored = (
        ""
        if len(_target_columns(reader)) == len(reader["columns"])
        else " Values of other columns in these rows are ignored."
    )
    yield (
        f"{subject} no number in {_joined_by_or(_target_columns(reader))}: the forecast starts after {last}, the last "
        f"row with one.{ignored}"
    )


def _missing_note(series, steps):
    """Yield a note if cells are empty among the last steps."""
    first = series.steps.rows[len(series.values) - steps]
    counts = {name: int((indices >= first).sum()) for name, indices in series.missing.items()}
    if total := sum(counts.values()):
        per_column = listed(f"{name!r} {count}" for name, count in counts.items() if count)
        yield (
            f"{total} of the {steps * len(counts)} values that the forecast is based on "
            f"{'is' if total == 1 else 'are'} missing ({per_column}). {fill_rule(series.season)}"
        )


def glance(table, form, asked):
    """Refuse a series by the names of its columns."""
    targets = [asked.target] if asked.target in table.columns else as_names(asked.target)
    if form == "folder":
        return
    time = [asked.time] if asked.time is not None else []
    time += [
        *as_names(asked.series_id or ()),
        *([asked.group] if isinstance(asked.group, str) else []),
    ]
    require(table, [*time, *as_names(asked.drop), *targets], "the series")
    column_options(asked.columns, table)


def glance_new(reader, table, targets):
    """Refuse a new series by the names of its columns."""
    if hasattr(table, "is_dir"):
        return
    require(table, reader["columns"], "the series")


def _gap_notes(reader, series, times, first):
    """Yield notes if rows are missing from a step on.

    Of a run of an earlier version that was trained on consecutive rows across gaps, new rows are consecutive, too.
    """
    if times is None:
        return
    steps = f"the last {plural(len(series.values) - first, 'step')}, which the forecast is based on"
    yield from (f"Of {steps}: {note}" for note in series.step_notes(times, first))
    gaps = (
        times.gaps[times.gaps > first] if reader.get("uneven") else series.gaps[series.gaps > first]
    )
    # the notes of the training say so
    if len(gaps) and not (reader.get("uneven") and Calendar.of(reader) is None):
        reason = (
            "as in training"
            if reader.get("uneven")
            else "because no regular step was found in training"
        )
        yield (
            f"Rows are missing in {steps}: there is none between {times.at(gaps[-1] - 1)} and "
            f"{times.at(gaps[-1])}. The rows around the gap count as consecutive, {reason}."
        )


def _panel_rows(reader, raw):
    """Return the `Rows` of a table of many series. A large CSV file is read by pandas if that is installed."""
    if (
        isinstance(raw, str | os.PathLike)
        and str(raw).lower().endswith(".csv")
        and find_spec("pandas") is not None
    ):
        path = Path(raw)
        if path.is_file() and path.stat().st_size > _LARGE_FILE:
            frame = import_module("kzoo.data.tables.frame").as_frame(
                path, reader["series_id"], compact=True
            )
            return rows_of(frame)
    return checked_rows(with_index(raw, reader["time"]))


# id of windows -> (`Panel`, rows of the windows, of `read_panel`), as long as the windows exist
_panels: dict = {}


def _remember(windows, panel, rows):
    """Keep the panel that windows were read from, so that `ahead` need not read it again."""
    _panels[id(windows)] = panel, rows
    weakref.finalize(windows, _panels.pop, id(windows), None).atexit = False


def ahead(reader, raw, steps, x=None):
    """Return the times of the steps after a series, and of its window, given the step of the training.

    Args:
        raw: an input of `read`.
        steps: number of steps.
        x: what `read` returned for it, so that a table of many series is not read again; None if it is not known.

    Returns:
        (name of the time column, times (N, steps) of the forecast of each series, times of each window); None if the
        step or the times are unknown.
    """
    calendar = Calendar.of(reader)
    if calendar is None or isinstance(raw, np.ndarray):
        return None
    if reader.get("series_id"):
        if (known := _panels.get(id(x))) is None:
            known = read_panel(reader, _panel_rows(reader, raw), [])[1:]
        return calendar.column, *times_ahead(reader, *known, steps)
    rows, times, _ = _past_rows(reader, raw, [])
    moments = (
        None
        if times is None
        else calendars.read_moments(rows, times.column, times.time_format, times.timestamps)
    )
    if moments is None or not calendar.fits(moments.times):
        message = (
            "There is no time column"
            if moments is None
            else "Times are not in the format of the training in column"
        )
        message = f"{message} {calendar.column!r}. The steps of the forecast are numbered instead; 1 is the next row."
        warn(message)
        return None
    new_calendar = calendars.learn_calendar(moments, times.column)
    if new_calendar is not None and new_calendar.description != calendar.description:
        message = (
            f"These rows are {new_calendar.description} apart, but the training rows were {calendar.description} "
            "apart. The times of the forecast have the step of the training."
        )
        warn(message)
    window = moments
    if not reader.get("uneven"):
        series = learned_series(reader, rows, times, last=_SEASONS_READ * reader["steps"])
        window = series.steps.moments(calendar, moments)
    return (
        calendar.column,
        [calendar.next_times(moments, steps)],
        [calendar.last_times(window, reader["steps"])],
    )


def make_future(reader, raw):
    """Return the rows of the steps that `raw`, an input of `read`, is to be forecast for, name -> cells.

    Raises:
        KzooError: the model has one series, whose forecasts need no rows, or labelled series.
    """
    if examples.is_examples(reader):
        raise KzooError(
            "The rows to forecast are of forecasts, and this model predicts labels of series. Omit them."
        )
    if not reader.get("series_id"):
        return future_rows(reader, checked_rows(with_index(raw, reader.get("time"))))
    return future_rows(reader, _panel_rows(reader, raw))


def gather(words):
    """Return the table that command-line arguments name."""
    return single_table(words)


def received(reader, given, most=None):
    """Return the series of a request: the bytes of a CSV file, objects by column, or windows of numbers."""
    if examples.is_examples(reader) and examples.are_lists(given):
        check_count(len(given), most)
        return examples.arrays_of(given)
    series = received_rows(given, "A series' row", _MAX_ROWS)
    check_count(len(series) if isinstance(series, np.ndarray) and series.ndim == 3 else 1, most)
    return series


def form(reader):
    """Return the number of rows that a forecast needs, and their columns."""
    if examples.is_examples(reader):
        return examples.form(reader)
    fields = {"steps": reader["steps"], "columns": reader["columns"], "time": reader.get("time")}
    if reader.get("series_id"):
        fields |= {
            "series_id": reader["series_id"],
            "covariates": reader["covariates"],
            "horizon": reader["horizon"],
        }
    return fields


def example(reader, x):
    """Return rows of a series without times, or those of a panel with one series."""
    if examples.is_examples(reader):
        return examples.example(reader, x)
    if x is None:
        return None
    if reader.get("series_id"):
        return example_rows(reader, x)
    return [
        dict(zip(reader["columns"], row, strict=True)) for row in x.round(4).astype(float).tolist()
    ]


def show(reader, x, names):
    """Return None: a window is plotted together with its forecast."""
    return None


def draw(given, random, shape):
    """Return random walks (shape) around the mean of each column."""
    if len(shape) < 3:
        return draw_rows(given, random, shape)
    if given.get("padded"):
        return _draw_padded(given, random, shape)
    walk = np.cumsum(random.standard_normal(shape), axis=1) / np.sqrt(shape[1])
    return walk * column_deviations(given, shape) + column_means(given, shape)


def _draw_padded(given, random, shape):
    """Return random walks of different lengths (shape), whose last feature marks real steps."""
    walks = draw(_without_mask(given, shape[-1] - 1), random, (*shape[:-1], shape[-1] - 1))
    lengths = random.integers((shape[1] + 1) // 2, shape[1] + 1, shape[0])
    real = (np.arange(shape[1]) < lengths[:, None])[..., None]
    return np.concatenate([walks * real, real], axis=-1)


def _without_mask(given, columns):
    """Return the settings of `draw` for series without a mask: the statistics of the columns alone."""
    return (
        dict(given)
        | {name: given[name] and given[name][:columns] for name in ("mean", "sd")}
        | {"padded": False}
    )


def edges(given, rows):
    """Return a series of zeros, one of high values and one of low values, followed by `rows`."""
    if not given.get("padded"):
        return edges_of_rows(given, rows)
    extreme = edges_of_rows(_without_mask(given, rows.shape[-1] - 1), rows[:1, ..., :-1])[:3]
    return np.concatenate(
        [np.concatenate([extreme, np.ones_like(extreme[..., :1])], axis=-1), rows]
    )


def detect_time_column(table, time=None):
    """Return the requested time column, or else the first column of dates; None without one."""
    rows = rows_of(table)
    if time is not None:
        require(rows, [time], "the series")
        return time
    candidates = (
        (is_time, name) for is_time in (are_dates, are_digit_dates) for name in rows.columns
    )
    return next((name for is_time, name in candidates if is_time(rows[name])), None)


def learned_time_format(reader) -> str:
    """Return the format of the time column in training, empty if it is not stored (see `time_format_of`)."""
    calendar = reader.get("calendar")
    are_numbers = (
        isinstance(calendar, Mapping) and calendar.get("step") == "numbers"
    )  # runs of earlier versions do not store it
    return reader.get("times") or (NUMBERS if are_numbers else "")


def read_times(
    rows, column, notes, *, learned=None, time_notes=None, date_order=None
) -> Times | None:
    """Return the times of the rows of a series, from the column of the training or else the first column of dates.

    Args:
        rows: `Rows`.
        column: name of the time column, or None.
        notes: list that notes for the user are appended to.
        learned: format of the column in training.
        time_notes: list that notes about an ambiguous format are appended to; `notes` by default.
        date_order: see `kzoo.load_data`.

    Returns:
        `Times`; None without a time column.

    Raises:
        KzooError: a row without a time, or rows of several series.
    """
    column = column if column in rows.columns else detect_time_column(rows)
    if column is None:
        notes.append("There is no time column: the rows are assumed to be in order of time.")
        return None
    time_format = time_format_of(
        column, rows[column], notes if time_notes is None else time_notes, learned, date_order
    )
    timestamps, offsets, zone = times_and_zone(rows, column, time_format)
    require_times(rows, column, timestamps)
    times = Times.of(column, timestamps, offsets, time_format, zone)
    if repeated := int(times.is_repeat.sum()):
        _refuse_several_series(rows, column, timestamps, repeated, new=learned is not None)
    if not times.is_sorted:
        notes.append(f"The rows were not in order of {column!r} and were sorted.")
    return times


def _refuse_several_series(rows, column, timestamps, repeated, *, new):
    """Refuse a table of several series in rows: sorted by time, they would be mixed up to noise."""
    if repeated < _MIN_REPEATED_SHARE * len(timestamps):
        return
    line = f"{repeated:,} of {len(timestamps):,} rows repeat a time in {column!r}"
    if not (ids := id_columns(rows, column, timestamps)):
        raise KzooError(
            f"{line}, and no columns tell several series apart. A series has one row per time: keep one, or use the "
            "mean or sum of them."
        )
    count = len(set(zip(*(to_words(rows[name]) for name in ids), strict=True)))
    advice = "Pass the rows of one of them."
    if not new:
        argument = repr(ids[0]) if len(ids) == 1 else repr(ids)
        advice = f"Set series_id={argument} to forecast each of them, or pass the rows of one."
    raise KzooError(
        f"{line}: the table has {count:,} series, told apart by {listed(map(repr, ids), MOST)}. {advice}"
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesValues:
    """The values of one series, a row for each step of its calendar.

    Args:
        values: (G, F) float32, missing ones filled in.
        filled: (G, T) whether each target was filled in.
        steps: the `Steps`.
        gaps: steps before which rows are missing that are not filled in, because the series has no regular step.
        missing: name -> indices of rows with an empty or unreadable cell.
        unread: name -> indices of unreadable cells.
        season: steps of the season that targets are filled in from, or None.
    """

    values: np.ndarray
    filled: np.ndarray
    steps: Steps
    gaps: np.ndarray
    missing: dict
    unread: dict
    season: int | None

    def missing_note(self) -> list:
        """Return a list with a note about empty cells; or []."""
        if not (count := sum(map(len, self.missing.values()))):
            return []
        was = "was" if count == 1 else "were"
        return [f"{plural(count, 'missing value')} {was} filled in. {fill_rule(self.season)}"]

    def step_notes(self, times, first=0) -> list:
        """Return notes about steps without a row, and about rows with the time of another row.

        Args:
            times: the `Times` of the rows, or None.
            first: the first step that counts.
        """
        if times is None:
            return []
        lines = self.steps.notes(times.at, self.season, first)
        first_row = self.steps.rows[first - 1] + 1 if first else 0
        unused = self.steps.unused[self.steps.unused >= first_row]
        kept = (
            np.flatnonzero(times.is_repeat[first_row:]) + first_row
            if not len(self.steps.unused)
            else unused
        )
        if len(kept):
            rows = "1 row repeats" if len(kept) == 1 else f"{len(kept):,} rows repeat"
            rule = "The last row of each is used" if len(unused) else "Each row counts as a step"
            lines.append(
                f"{rows} a time step in {times.column!r} (first: {times.at(kept[0])}). {rule}."
            )
        return lines


def series_values(
    table, times, names, targets, number_formats, calendar, *, where="the series", last=None
) -> SeriesValues:
    """Return the values of a series in order of time, with the steps that have no row.

    Args:
        table: `Rows` or a DataFrame, in order of time.
        times: their `Times`, in the same order or in that of the table that was sorted; or None.
        names: names of the columns, targets first.
        targets: number of targets.
        number_formats: name -> stored number format of a text column; or None.
        calendar: the `Calendar` of the training; None if rows are steps.
        where, last: see `Steps.of_series`.
    """
    rows = rows_of(table)
    number_formats = number_formats or {}
    times = times and times.take(times.order)
    raw = np.stack([rows.numbers(name, number_formats.get(name)) for name in names], axis=1)
    unread = {
        name: unreadable_cells(rows[name], column)
        for name, column in zip(names, raw.T, strict=True)
    }
    missing = {
        name: np.flatnonzero(np.isnan(column)) for name, column in zip(names, raw.T, strict=True)
    }
    gaps = np.empty(0, int)
    season = None
    if calendar is None or times is None or not len(rows) or not calendar.fits(times.timestamps):
        steps = Steps.consecutive(len(rows))
        gaps = gaps if times is None else times.gaps
    else:
        moments = Moments(times.standard, times.wall)
        steps = Steps.of_series(calendar, moments, max(LONGEST_GAP, last or 0), where, last)
        season = calendar.season
    values = steps.take(raw)
    filled = fill_targets(values[:, :targets], steps.parts, season)
    return SeriesValues(
        values=np.ascontiguousarray(forward_fill(values), np.float32),
        filled=filled,
        steps=steps,
        gaps=gaps,
        missing=missing,
        unread=unread,
        season=season,
    )


def forward_fill(values):
    """Return values (N, F) with missing ones (NaN) replaced by the last value before, or else the first."""
    is_present = ~np.isnan(values)
    if is_present.all():
        return values
    last = np.maximum.accumulate(np.where(is_present, np.arange(len(values))[:, None], -1), axis=0)
    return np.take_along_axis(values, np.where(last < 0, is_present.argmax(axis=0), last), axis=0)
