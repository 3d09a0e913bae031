"""The last rows of a series become a window: in order of time, gaps filled, without pandas."""

from collections.abc import Mapping

import numpy as np

from kzoo.kinds.rows.column_options import column_options
from kzoo.kinds.rows.inference import column_deviations, column_means, edges, unread_notes
from kzoo.kinds.rows.inference import draw as draw_rows
from kzoo.kinds.series import calendar as calendars
from kzoo.kinds.series.calendar import Calendar, Moments
from kzoo.kinds.series.index import with_index
from kzoo.kinds.series.time_formats import NUMBERS, are_dates_in_figures, time_format_of, times_and_zone
from kzoo.kinds.series.times import Times
from kzoo.sources.arrays import check_count, numbers_in
from kzoo.sources.tables.raw import MOST, as_names, checked_rows, received_rows, require, rows_of, single_table
from kzoo.sources.tables.values import are_dates, not_missing, to_words, unreadable
from kzoo.sources.tables.zones import about_zone
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.formatting import listed

_MOST_ROWS = 500_000  # of a series that comes from elsewhere
_FEW = 4  # rows, by which the step of a series is told from a hole
_SEVERAL = 0.2  # share of the rows that repeat a time, above which they may be of several series

__all__ = [
    "ahead", "draw", "edges", "example", "form", "gather", "glance", "glance_new", "read", "received", "show",
]  # fmt: skip


def read(reader, raw):
    """Turn the last rows of a series (DataFrame, list of dicts, path of a table), or ready windows, into windows."""
    names, steps = reader["columns"], reader["steps"]
    if isinstance(raw, np.ndarray):
        x = numbers_in(raw, "Windows").astype(np.float32)
        x = x[None] if x.ndim == 2 else x
        if x.ndim != 3 or x.shape[1:] != (steps, len(names)):
            raise KzooError(
                f"A window is {steps} steps of {len(names)} columns ({listed(names, MOST)}); got {x.shape[1:]}."
            )
        return x, raw
    doubts, unread, gone = [], {}, {}
    rows, times, future = _past(reader, raw, doubts)
    if len(rows) < steps:
        without = f" that do hold {_either(_targets(reader))}" if future else ""
        raise KzooError(f"A forecast needs the last {steps} rows{without}; got {len(rows)}.")
    # Of rows without times `ahead` says what that means for the forecast.
    doubts += [
        *([] if times is None else about_times(reader, times)),
        *refuse_other_step(reader, times, "the series", last=steps),
    ]
    x = filled(rows, names, [], reader.get("writings"), unread, gone)[None, -steps:]
    refuse_empty(gone, len(rows), "the series")
    lines = (
        *doubts,
        *unread_notes(names, rows, unread),
        *_say_future(reader, rows, times, future),
        *_say_gone(gone, len(rows), steps),
        *_say_hole(None if reader.get("uneven") else times, steps),
        *_say_repeats(times, steps),
    )
    for line in lines:
        warn(line)
    return x, raw


def about_times(reader, times) -> list:
    """Return lines about the time column of a new series: another than in training, or in a zone that is not known.

    Args:
        times: its `Times`, or None.
    """
    column = reader.get("time")
    if column is None:
        return []
    if times is None:
        return [f"There is no time column {column!r}: the rows are taken to be in order."]
    lines = [] if times.column == column else [f"There is no time column {column!r}: {times.column!r} is taken for it."]
    zone = (reader.get("zones") or {}).get(column)
    in_doubt = zone == "" or np.isnan(times.offsets).any()  # else it is known when each row was
    return lines + (about_zone(times.column, zone, times.offsets) if in_doubt else [])


def refuse_other_step(reader, times, where, *, last=None) -> list:
    """Refuse a series most of whose steps are not those of the training: the network knows no others.

    Args:
        reader: from training, with its `Calendar`.
        times: the `Times` of the series, or None.
        where: the series, for the message.
        last: how many rows count, the last ones; all by default.

    Returns:
        A line instead where one step alone is there to tell.

    Raises:
        KzooError: they are others.
    """
    calendar = Calendar.of(reader)
    if calendar is None or times is None:
        return []
    if (times.told.dtype.kind == "M") == (calendar.step == "numbers"):
        new, was = ("numbers", "dates") if calendar.step != "numbers" else ("dates", "numbers")
        return [f"Times of {times.column!r} are {new} in {where}, and were {was} in training: their steps may differ."]
    times = times.take(times.order[-max(last or 0, _FEW) :] if last else times.order)
    fits = calendar.fits(Moments(times.told, times.wall))
    if not len(fits) or 2 * fits.sum() >= len(fits):
        return []
    line = f"The rows of {where} are {times.step} apart, and those of the training were {calendar.words}"
    if len(fits) == 1:
        return [f"{line}: the forecast goes on as if they were too."]
    raise KzooError(f"{line}: give rows {calendar.words} apart, or train on such as these.")


def refuse_empty(gone, rows, where):
    """Refuse a series for a column without any number: no value before stands in for what is missing.

    Args:
        gone: what `filled` found.
        where: the series, for the message.
    """
    if rows and (empty := [name for name, places in gone.items() if len(places) == rows]):
        raise KzooError(f"Column {empty[0]!r} of {where} holds no number.")


def _past(reader, raw, doubts):
    """Return what of a series was: its rows without those at the end that hold no target, which are the future.

    Args:
        doubts: a list that gets a line for each doubt about the times.

    Returns:
        (its `Rows` in order of time, their `Times` or None, how many rows are left out).
    """
    table, writings = with_index(raw, reader.get("time")), reader.get("writings") or {}
    rows = checked_rows(table)
    times = times_in(rows, reader.get("time"), [], learned=written_as(reader), doubts=doubts)
    require(rows, reader["columns"], "the series")
    order = np.arange(len(rows)) if times is None else times.order
    there = np.zeros(len(rows), bool)
    for name in _targets(reader):
        there |= np.isfinite(rows.numbers(name, writings.get(name)))
    if len(rows) and not there.any():
        raise KzooError(f"No row of the series holds a number in {_either(_targets(reader))}.")
    future = int(np.argmax(there[order][::-1])) if len(rows) else 0
    order = order[: len(order) - future]
    return rows.take(order), times if times is None else times.take(order), future


def _targets(reader):
    """Return the columns that are forecast; all of them where a run of before it was kept does not say so."""
    return reader["columns"][: max(reader.get("outputs") or len(reader["columns"]), 1)]


def _either(names):
    return listed(map(repr, names), separator=" or ")


def _say_future(reader, rows, times, future):
    """Yield a line where rows at the end, `future` of them, have no target."""
    if not future:
        return
    last = f"row {len(rows)}" if times is None else times.said(times.told[-1])
    which = "The last row holds" if future == 1 else f"The last {future} rows hold"
    beside = "" if len(_targets(reader)) == len(reader["columns"]) else " What other columns hold there is not read."
    yield (
        f"{which} no number in {_either(_targets(reader))}: the forecast begins after {last}, the last that does."
        f"{beside}"
    )


def _say_gone(gone, rows, steps):
    """Yield a line where values are missing among the last steps."""
    counts = {name: int((places >= rows - steps).sum()) for name, places in gone.items()}
    if missing := sum(counts.values()):
        each = listed(f"{name!r} {count}" for name, count in counts.items() if count)
        yield (
            f"The forecast is made from {steps * len(counts)} values, of which {missing} "
            f"{'is' if missing == 1 else 'are'} missing ({each}): the last value before stands in."
        )


def glance(table, form, asked):
    """Refuse a series for what the names of its columns show."""
    targets = [asked.target] if asked.target in table.columns else as_names(asked.target)
    time = [asked.time] if asked.time is not None else []
    require(table, [*time, *as_names(asked.drop), *targets], "the series")
    column_options(asked.columns, table)


def glance_new(reader, table, targets):
    """Refuse a new series for what the names of its columns show."""
    require(table, reader["columns"], "the series")


def _say_hole(times, steps):
    """Yield a line where rows are missing among those that a forecast is made from."""
    if times is None or not len(within := times.holes[times.holes > len(times.told) - steps]):
        return
    after, before = (times.said(when) for when in times.told[times.order][within[-1] - 1 :][:2])
    yield (
        f"Rows are missing among the last {steps}, which the forecast is made from: there is none between {after} and "
        f"{before}. The model takes the rows for neighbours."
    )


def _say_repeats(times, steps):
    """Yield a line where rows repeat a time among those that a forecast is made from."""
    first = 0 if times is None else len(times.told) - steps
    if times is None or not (count := int(times.same[first:].sum())):
        return
    when = times.said(times.told[times.order][first + int(np.argmax(times.same[first:]))])
    rows = "1 row has" if count == 1 else f"{count} rows have"
    yield (
        f"Among the last {steps}, which the forecast is made from, {rows} the time of the row before (first {when}): "
        "the model takes each for a step of its own."
    )


def ahead(reader, raw, steps):
    """Return the times of the steps that follow a series, and those of the window, by the step that training learned.

    Args:
        raw: what `read` took.
        steps: how many.

    Returns:
        (name of the time column, times (steps), times of the window); None where the step or the time is not known.
    """
    calendar = Calendar.of(reader)
    if calendar is None or isinstance(raw, np.ndarray):
        return None
    rows, seen, _ = _past(reader, raw, [])
    moments = None if seen is None else calendars.moments_of(rows, seen.column, seen.way, seen.told)
    if moments is None or (moments.at.dtype.kind == "M") == (calendar.step == "numbers"):
        why = "There is no time column" if moments is None else "Times are not written as in training, in"
        why = f"{why} {calendar.column!r}: the steps of the forecast have numbers, 1 is the next row."
        warn(why)
        return None
    own = calendars.learn(moments, seen.column)
    if own is not None and own.words != calendar.words:
        why = f"These rows are {own.words} apart, and those of the training were {calendar.words}: no step fits both."
        warn(why)
    return calendar.column, calendar.after(moments, steps), calendar.shown(moments, reader["steps"])


def gather(words):
    """Return the table that the words of a command line name."""
    return single_table(words)


def received(reader, given, most=None):
    """Return a series that came from elsewhere: the bytes of a CSV file, objects by column, or windows of numbers."""
    series = received_rows(given, "A series' row", _MOST_ROWS)
    check_count(len(series) if isinstance(series, np.ndarray) and series.ndim == 3 else 1, most)
    return series


def form(reader):
    """Return how many rows a forecast is made from, and their columns."""
    return {"steps": reader["steps"], "columns": reader["columns"], "time": reader.get("time")}


def example(reader, x):
    """Return rows of a series, without times."""
    if x is None:
        return None
    return [dict(zip(reader["columns"], row, strict=True)) for row in x.round(4).astype(float).tolist()]


def show(reader, x, names):
    """Show nothing: a window is a picture with its forecast."""
    return None


def draw(given, random, shape):
    """Draw random walks around the mean of each column."""
    if len(shape) < 3:
        return draw_rows(given, random, shape)
    walk = np.cumsum(random.standard_normal(shape), axis=1) / np.sqrt(shape[1])
    return walk * column_deviations(given, shape) + column_means(given, shape)


def time_column(table, time=None):
    """Return the column that is asked for, else the first that holds dates, or None."""
    rows = rows_of(table)
    if time is not None:
        require(rows, [time], "the series")
        return time
    looks = ((look, name) for look in (are_dates, are_dates_in_figures) for name in rows.columns)
    return next((name for look, name in looks if look(rows[name])), None)


def written_as(reader) -> str | None:
    """Return how training found the time column to be written (see `written.way_of`); None where it did not say."""
    calendar = reader.get("calendar")
    numbers = isinstance(calendar, Mapping) and calendar.get("step") == "numbers"  # a run of before it was kept
    return reader.get("times") or (NUMBERS if numbers else None)


def times_in(rows, column, notes, *, learned=None, doubts=None) -> Times | None:
    """Return the times of the rows of a series: of the column that training knew, else of the first of dates.

    Args:
        rows: `Rows`.
        column: the time column, or None.
        notes: a list that gets a line for each thing to know.
        learned: how training found the column to be written.
        doubts: a list that gets a line for each doubt about how it is; `notes` by default.

    Raises:
        KzooError: a row without a time, or rows of several series.
    """
    column = column if column in rows.columns else time_column(rows)
    if column is None:
        notes.append("No time column: the rows are taken to be in order.")
        return None
    way = time_format_of(column, rows[column], notes if doubts is None else doubts, learned)
    told, offsets, zone = times_and_zone(rows, column, way)
    if not (there := not_missing(told)).all():
        row = int(np.flatnonzero(~there)[0])
        raise KzooError(f"Time column {column!r} holds no time in row {row + 1}: {rows[column][row]!r}.")
    times = Times.of(column, told, offsets, way, zone)
    if repeated := int(times.same.sum()):
        _refuse_several_series(rows, column, told, repeated)
    notes += repeats(times)
    if not times.sorted:
        notes.append(f"The rows were not in order of {column!r} and were sorted.")
    return times


def repeats(times) -> list:
    """Return a line where rows of a series repeat a time."""
    if times is None or not (repeated := int(times.same.sum())):
        return []
    return [f"{repeated} rows repeat a time in {times.column!r}; they are kept as they are."]


def _refuse_several_series(rows, time, when, repeated):
    """Refuse a table of several series, one of which each row is of: mixed by time, they would be one of noise."""
    if repeated < _SEVERAL * len(when):
        return
    for name in rows.columns:
        values = to_words(rows[name])
        seen = len(set(values))
        if (
            name == time
            or seen < 2
            or seen > len(when) - repeated
            or len(set(zip(when, values, strict=True))) < len(when)
        ):
            continue
        raise KzooError(
            f"{time!r} repeats its times, and {name!r} tells the rows apart: {seen} series in one table. Give the rows "
            f"of one of them, or a column for each, such as DataFrame.pivot(index={time!r}, columns={name!r})."
        )


def filled(table, names, notes, writings=None, unread=None, gone=None):
    """Return columns as float32 (rows, F); a missing value takes the last one before it, at the start the first.

    Args:
        names: of the columns.
        notes: a list that gets a line about missing values.
        writings: name -> how a column of texts writes its numbers.
        unread: a dict that gets name -> places of the cells that hold something that is no number.
        gone: a dict that gets name -> places of all cells without a number.
    """
    rows, writings, unread = rows_of(table), writings or {}, {} if unread is None else unread
    values = np.stack([rows.numbers(name, writings.get(name)) for name in names], axis=1)
    unread |= {name: unreadable(rows[name], column) for name, column in zip(names, values.T, strict=True)}
    there = ~np.isnan(values)
    if gone is not None:
        gone |= {name: np.flatnonzero(~column) for name, column in zip(names, there.T, strict=True)}
    if missing := int((~there).sum()):
        notes.append(f"{missing} missing values took the last value before them.")
        # Only what comes before may fill a gap; a column that starts empty starts with its first value.
        last = np.maximum.accumulate(np.where(there, np.arange(len(values))[:, None], -1), axis=0)
        values = np.take_along_axis(values, np.where(last < 0, there.argmax(axis=0), last), axis=0)
    return np.ascontiguousarray(values, np.float32)
