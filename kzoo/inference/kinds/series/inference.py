"""Forecasts: the last rows of each series of a table become a window. Does not import pandas."""

import os
import weakref
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.inference.kinds.rows.column_options import column_options
from kzoo.inference.kinds.rows.inference import column_deviations, column_means
from kzoo.inference.kinds.rows.inference import draw as draw_rows
from kzoo.inference.kinds.rows.inference import edges as edges_of_rows
from kzoo.inference.kinds.series.calendar import Calendar, learn_calendar
from kzoo.inference.kinds.series.covariates import input_width
from kzoo.inference.kinds.series.error_scale import error_scale as scale_of_windows
from kzoo.inference.kinds.series.index import with_index
from kzoo.inference.kinds.series.one_series import OneSeries, past, read_series
from kzoo.inference.kinds.series.panel import Panel
from kzoo.inference.kinds.series.windows import (
    example_rows,
    future_rows,
    read_panel,
    target_count,
    times_ahead,
)
from kzoo.inference.kinds.series.written_times import WrittenTimes
from kzoo.inference.sources.arrays import check_count, numeric_array
from kzoo.inference.tables.raw import (
    MOST,
    Rows,
    TableSource,
    as_names,
    checked_rows,
    received_rows,
    require,
    rows_of,
    single_table,
)
from kzoo.problems.kinds import InputPart
from kzoo.problems.layout import InputFacts, Preprocessor, RawInputs
from kzoo.problems.stored_types import Config
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed, plural

if TYPE_CHECKING:
    from kzoo.problems.data_arguments import DataArguments


_LARGE_FILE = 32 << 20  # bytes of a CSV file of many series, from which pandas reads it
_MAX_ROWS = 500_000  # of a series in a request
_Windows = tuple[np.ndarray, np.ndarray]  # first and last row of the window of each series

__all__ = [
    "ahead",
    "draw",
    "edges",
    "error_scale",
    "example",
    "form",
    "gather",
    "glance",
    "glance_new",
    "identity",
    "make_future",
    "parts",
    "past",
    "read",
    "received",
    "show",
]


def read(reader: Preprocessor, raw: RawInputs) -> tuple[np.ndarray, RawInputs]:
    """Encode the last rows of each series of a table, or check an array of windows."""
    if isinstance(raw, np.ndarray):
        return _checked_windows(reader, raw), raw
    notes = list[str]()
    windows, panel, rows, measured = _read_table(reader, raw, notes)
    for line in notes:  # `ahead` warns about rows without times
        warn(line)
    _panels[id(windows)] = panel, rows, measured
    weakref.finalize(windows, _panels.pop, id(windows), None).atexit = False
    return windows, panel.names if reader.get("series_id") else raw


def _checked_windows(reader: Preprocessor, raw: np.ndarray) -> np.ndarray:
    """Return an array of windows as float32 (N, steps, columns)."""
    x = numeric_array(raw, "Windows").astype(np.float32)
    x = x[None] if x.ndim == 2 else x
    steps, width = reader["steps"], input_width(reader)
    if x.ndim != 3 or x.shape[1:] != (steps, width):
        raise KzooError(
            f"A window must have {plural(steps, 'step')} of {plural(width, 'column')} "
            f"({listed(reader['columns'], MOST)}); got {x.shape[1:]}."
        )
    return x


def _read_table(
    reader: Preprocessor, raw: RawInputs, notes: list[str]
) -> tuple[np.ndarray, Panel, _Windows, np.ndarray]:
    """Return the last window of each series of a table, its panel, the rows of the windows, and what was measured."""
    if reader.get("series_id"):
        return read_panel(reader, _panel_rows(reader, raw), notes)
    return read_series(reader, raw, notes)


def glance(table: TableSource, form: str, asked: "DataArguments") -> None:
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


def glance_new(reader: Preprocessor, table: TableSource, targets: Sequence[str]) -> None:
    """Refuse a new series by the names of its columns."""
    if hasattr(table, "is_dir"):
        return
    require(table, reader["columns"], "the series")


def _panel_rows(reader: Preprocessor, raw: RawInputs) -> Rows:
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


# id of windows -> (`Panel`, their rows, which targets were measured), as long as the windows exist, so that
# `ahead` need not read the table again
_panels: dict[int, tuple[Panel, _Windows, np.ndarray]] = {}


def ahead(
    reader: Preprocessor, raw: RawInputs, steps: int, x: np.ndarray | None = None
) -> tuple[str, list[list[Any]], list[list[Any]]] | None:
    """Return the times of the steps after each series, and of its window, given the step of the training.

    Args:
        reader: preprocessor.
        raw: an input of `read`.
        steps: number of steps.
        x: what `read` returned for it, so that a table is not read again; None if it is not known.

    Returns:
        (name of the time column, times (N, steps) of the forecast of each series, times of each window); None if the
        step or the times are unknown.
    """
    calendar = Calendar.of(reader)
    if calendar is None or isinstance(raw, np.ndarray):
        return None
    panel, rows = _panel_of(reader, raw, x)
    if isinstance(panel, OneSeries) and not _has_times(panel, calendar):
        return None
    return calendar.column, *times_ahead(reader, panel, rows, steps)


def error_scale(
    reader: Preprocessor, x: np.ndarray, measured: np.ndarray | None = None
) -> np.ndarray:
    """Return the size of the errors of each series by itself (N, targets), in the unit of the target.

    Args:
        reader: the preprocessor.
        x: (N, steps, columns) windows.
        measured: (N, steps, targets) whether each target was measured; by default as `read` has seen it, of windows
            that it returned. In others, equal first rows of series of a panel are taken for repeated ones.
    """
    if measured is None and (known := _panels.get(id(x))) is not None:
        measured = known[2]
    past = len(reader["columns"])
    covariates = (x.shape[2] - past) // 2
    if measured is None and not reader.get("series_id"):
        measured = np.ones(1, bool)
    calendar = Calendar.of(reader)
    return scale_of_windows(
        x[..., : past + covariates],
        None if calendar is None else calendar.season,
        targets=target_count(reader),
        real=measured,
    )


def _panel_of(reader: Preprocessor, raw: RawInputs, x: np.ndarray | None) -> tuple[Panel, _Windows]:
    """Return the panel of an input of `read`, and the rows of its windows; `x` is as in `ahead`."""
    if (known := _panels.get(id(x))) is None:
        known = _read_table(reader, raw, [])[1:]
    return known[:2]


def identity(
    reader: Preprocessor, raw: RawInputs, x: np.ndarray | None = None
) -> tuple[Mapping[str, Sequence[Any]], WrittenTimes | None] | None:
    """Return what tells the rows of a forecast apart, in the cells of its table.

    Args:
        reader, raw, x: see `ahead`.

    Returns:
        (id column -> cell of each series, how times are written); None for arrays.
    """
    if isinstance(raw, np.ndarray):
        return None
    panel, _ = _panel_of(reader, raw, x)
    return panel.ids, panel.written


def _has_times(panel: OneSeries, calendar: Calendar) -> bool:
    """Return whether a series has times of the type of the training; warn if it has not, or another step."""
    times = panel.times
    if times is None or not calendar.fits(times.timestamps):
        reason = (
            "There is no time column"
            if times is None
            else "Times are not in the format of the training in column"
        )
        warn(
            f"{reason} {calendar.column!r}. The steps of the forecast are numbered instead; 1 is the next row."
        )
        return False
    own = learn_calendar(times.moments, times.column)
    if own is not None and own.description != calendar.description:
        warn(
            f"These rows are {own.description} apart, but the training rows were {calendar.description} apart. The "
            "times of the forecast have the step of the training."
        )
    return True


def band_note(reader: Preprocessor, config: Config) -> list[str]:
    """Return a note about the bands of many series, in a list; [] for none.

    Args:
        reader: the preprocessor.
        config: settings of the network; those of earlier versions have no `scale_free`.
    """
    if not reader.get("series_id") or not config.get("reversible_norm") or "scale_free" in config:
        return []
    return [
        "This model was trained before version 0.2: its bands depend on the size of a series among those of the "
        "training, and are too narrow for large series. Train it again."
    ]


def make_future(reader: Preprocessor, raw: RawInputs, steps: int) -> dict[str, list[Any]]:
    """Return the rows of the next `steps` steps of each series of `raw`, an input of `read`, name -> cells.

    They have ids, times and static values; the other columns are empty.

    Raises:
        KzooError: one series without times, or without a regular step.
    """
    if reader.get("series_id"):
        return future_rows(reader, _panel_rows(reader, raw))
    _, panel, rows, _ = _read_table(reader, raw, [])
    calendar = Calendar.of(reader)
    if calendar is None or not isinstance(panel, OneSeries) or not _has_times(panel, calendar):
        raise KzooError(
            "The rows to forecast have no times: the model has no regular step, or the table no time column. Add as "
            "many rows as the model forecasts steps."
        )
    times, _ = times_ahead(reader, panel, rows, steps)
    written = panel.write_times(times[0])
    return {calendar.column: written} | {name: [None] * len(written) for name in reader["columns"]}


def gather(words: list[str]) -> RawInputs:
    """Return the table that command-line arguments name."""
    return single_table(words)


def received(reader: Preprocessor, given: RawInputs, most: int | None = None) -> RawInputs:
    """Return the series of a request: the bytes of a CSV file, objects by column, or windows of numbers."""
    series = received_rows(given, "A series' row", _MAX_ROWS)
    check_count(len(series) if isinstance(series, np.ndarray) and series.ndim == 3 else 1, most)
    return series


def form(reader: Preprocessor) -> JsonObject:
    """Return the number of rows that a forecast needs, and their columns."""
    fields = {"steps": reader["steps"], "columns": reader["columns"], "time": reader.get("time")}
    more = ("series_id", "covariates", "horizon") if reader.get("series_id") else ()
    return fields | {name: reader[name] for name in more}


def example(reader: Preprocessor, x: np.ndarray | None) -> list[dict[str, Any]] | None:
    """Return rows of a series without times, or those of a panel with one series."""
    if x is None:
        return None
    if reader.get("series_id"):
        return example_rows(reader, x)
    return [
        dict(zip(reader["columns"], row, strict=True)) for row in x.round(4).astype(float).tolist()
    ]


def show(reader: Preprocessor, x: np.ndarray, names: RawInputs) -> None:
    """Return None: a window is plotted together with its forecast."""
    return None


def draw(given: InputFacts, random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return random walks (shape) around the mean of each column."""
    if len(shape) < 3:
        return draw_rows(given, random, shape)
    if given.get("padded"):
        return _draw_padded(given, random, shape)
    walk = np.cumsum(random.standard_normal(shape), axis=1) / np.sqrt(shape[1])
    return walk * column_deviations(given, shape) + column_means(given, shape)


def _draw_padded(
    given: InputFacts, random: np.random.Generator, shape: tuple[int, ...]
) -> np.ndarray:
    """Return random walks of different lengths (shape), whose last feature marks real steps."""
    walks = draw(_without_mask(given, shape[-1] - 1), random, (*shape[:-1], shape[-1] - 1))
    lengths = random.integers((shape[1] + 1) // 2, shape[1] + 1, shape[0])
    real = (np.arange(shape[1]) < lengths[:, None])[..., None]
    return np.concatenate([walks * real, real], axis=-1)


def _without_mask(given: InputFacts, columns: int) -> InputFacts:
    """Return the settings of `draw` for series without a mask: the statistics of the columns alone."""
    return (
        dict(given)
        | {name: given[name] and given[name][:columns] for name in ("mean", "sd")}
        | {"padded": False}
    )


def edges(given: InputFacts, rows: np.ndarray) -> np.ndarray:
    """Return a series of zeros, one of high values and one of low values, followed by `rows`."""
    if not given.get("padded"):
        return edges_of_rows(given, rows)
    extreme = edges_of_rows(_without_mask(given, rows.shape[-1] - 1), rows[:1, ..., :-1])[:3]
    return np.concatenate(
        [np.concatenate([extreme, np.ones_like(extreme[..., :1])], axis=-1), rows]
    )


_BLOCKS = 6  # of a series with a single column


def parts(reader: Preprocessor, config: Config, names: Sequence[str]) -> list[InputPart]:
    """Return a part for each column of a window; of a single column, one for each of six blocks of its steps.

    Args:
        reader: the preprocessor.
        config: settings of the network; not used here.
        names: of the columns of windows without a preprocessor; empty if they are not known.
    """
    steps, count = (
        reader["shape"] if "shape" in reader else (reader["steps"], len(reader["columns"]))
    )
    names = list(reader.get("columns", names))
    names = names if len(names) == count else [f"x{number + 1}" for number in range(count)]
    features = np.arange(steps * count).reshape(steps, count)
    if count > 1:
        return [_part(name, features[:, index]) for index, name in enumerate(names)]
    blocks = np.array_split(features[:, 0], min(_BLOCKS, steps))
    # The last step of a window is 1 step before the forecast.
    ranges = [(steps - block[0], steps - block[-1]) for block in blocks]
    return [
        _part(
            f"{names[0]}, {plural(first, 'step') if first == last else f'{first} to {last} steps'} before",
            block,
        )
        for (first, last), block in zip(ranges, blocks, strict=True)
    ]


def _part(name: str, features: np.ndarray) -> InputPart:
    return InputPart(name=name, type="steps", features=features, cell=_cell)


def _cell(values: np.ndarray) -> str:
    return f"{values[-1]:.6g}" if len(values) == 1 else f"{values[0]:.6g} ... {values[-1]:.6g}"
