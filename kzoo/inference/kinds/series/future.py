"""The steps after series: their times, and their rows to be filled in. Imports only NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kzoo.inference.kinds.series.calendar import Calendar
from kzoo.inference.kinds.series.covariates import covariates_of
from kzoo.inference.kinds.series.panel import Panel
from kzoo.inference.kinds.series.times import Moments
from kzoo.inference.kinds.series.windows import read_panel
from kzoo.inference.tables.raw import Rows
from kzoo.inference.tables.zones import offset_of
from kzoo.utils.formatting import moments as moments_as_text


def times_ahead(
    reader: Mapping[str, Any], panel: Panel, windows: tuple[np.ndarray, np.ndarray], steps: int
) -> tuple[list[list[Any]], list[list[Any]]]:
    """Return the times of the next steps of each series, and of its window, given its (first row, last row) (S,)."""
    calendar = Calendar.of(reader)
    assert calendar is not None and panel.moments is not None
    ahead = []
    history = []
    known = {}
    # else all rows of a series decide its zone
    shared = offset_of(calendar.zone) is None or not panel.moments.zone
    for series, (first, end) in enumerate(zip(*windows, strict=True)):
        moments = panel.moments.part(slice(first, end + 1))
        window = slice(-reader["steps"], None)
        key = (
            (moments.times[window].tobytes(), moments.wall[window].tobytes()) if shared else series
        )
        if key not in known:  # most series end together
            times = calendar.last_times(moments, reader["steps"])
            known[key] = (
                calendar.next_times(panel.past(first, end), steps),
                [times[0]] * (reader["steps"] - len(times)) + times,
            )
        ahead.append(known[key][0])
        history.append(known[key][1])
    return ahead, history


def future_rows(reader: Mapping[str, Any], rows: Rows) -> dict[str, list[Any]]:
    """Return the rows of the steps to forecast, name -> cells: ids, times and static values; the others are empty.

    Args:
        reader: the preprocessor.
        rows: the table of the past; rows after the last one with all targets are left out.

    Raises:
        KzooError: as `read_panel`.
    """
    without_known = dict(reader) | {
        "covariates": [stored for stored in reader["covariates"] if stored["role"] == "static"]
    }
    _, panel, windows = read_panel(without_known, rows, [])
    times, _ = times_ahead(reader, panel, windows, reader["horizon"])
    horizon = reader["horizon"]
    source = panel.order[windows[1]]
    static = [covariate.name for covariate in covariates_of(reader) if covariate.role == "static"]
    columns: dict[str, list[Any]] = {
        name: np.repeat(np.asarray(rows[name], object)[source], horizon).tolist()
        for name in reader["series_id"]
    }
    columns[reader["time"]] = _as_written(
        [moment for series in times for moment in series], reader.get("times")
    )
    columns |= {
        name: np.repeat(np.asarray(rows[name], object)[source], horizon).tolist() for name in static
    }
    empty = [c.name for c in covariates_of(reader) if c.role == "known"] + list(reader["columns"])
    return columns | {
        name: [None] * len(columns[reader["time"]]) for name in empty if name not in columns
    }


def _as_written(times: list[Any], time_format: str | None) -> list[Any]:
    """Return times as the time column writes them."""
    if time_format in ("YYYYMMDD", "YYYYMM"):
        return [
            int(time.strftime("%Y%m%d" if time_format == "YYYYMMDD" else "%Y%m")) for time in times
        ]
    return moments_as_text(times)


def example_rows(reader: Mapping[str, Any], x: np.ndarray) -> list[dict[str, Any]]:
    """Return rows of one series that a window may come from, those to forecast last.

    Args:
        reader: the preprocessor.
        x: (steps, F + 2 K) a window.
    """
    calendar = Calendar.of(reader)
    covariates = covariates_of(reader)
    horizon = reader["horizon"]
    assert calendar is not None
    past = len(reader["columns"])
    width = (x.shape[1] - past) // 2
    start = np.array(["2023-12-31"], "M8[us]") if calendar.step != "numbers" else np.zeros(1)
    times = calendar.next_times(Moments(start, start), len(x) + horizon)
    written = _as_written(
        [time.replace(tzinfo=None) if hasattr(time, "tzinfo") else time for time in times],
        reader.get("times"),
    )
    # (steps + horizon, K)
    values = np.concatenate([x[:, past : past + width], x[-horizon:, past + width :]])
    rows = []
    for i, time in enumerate(written):
        row: dict[str, Any] = dict.fromkeys(reader["series_id"], "example") | {reader["time"]: time}
        row |= {
            name: round(float(x[i, j]), 4) if i < len(x) else None
            for j, name in enumerate(reader["columns"])
        }
        channel = 0
        for covariate in covariates:
            cells = values[
                0 if covariate.role == "static" else i, channel : channel + len(covariate.channels)
            ]
            channel += len(covariate.channels)
            row[covariate.name] = (
                covariate.categories[int(cells.argmax())]
                if covariate.categories
                else round(float(cells[0]), 4)
            )
        rows.append(row)
    return rows
