"""New rows of series: for scoring, and for the checks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data.dataset import Split
from kzoo.data.inputs.series.series_rows import sort_by_time, time_facts
from kzoo.data.inputs.series.windows import SplitWindows, no_window, split_windows
from kzoo.data.tables.frame import as_frame
from kzoo.inference.kinds.rows.inference import unread_notes
from kzoo.inference.kinds.series.covariates import covariates_of, window_columns
from kzoo.inference.kinds.series.index import with_index
from kzoo.inference.kinds.series.one_series import (
    OneSeries,
    check_not_empty,
    check_step,
    learned_series,
    learned_time_format,
    time_column_notes,
)
from kzoo.inference.kinds.series.panel import Panel, gap_notes, panel_of
from kzoo.inference.kinds.series.steps import LONGEST_GAP
from kzoo.inference.kinds.series.times import Times
from kzoo.inference.kinds.series.values import PanelValues, panel_values
from kzoo.inference.tables.numbers import learned_from_texts
from kzoo.inference.tables.raw import require, rows_of
from kzoo.problems.kinds import Fresh
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.formatting import plural

if TYPE_CHECKING:
    from pandas import DataFrame

_MOST_FRESH = 1_000_000  # new rows that are checked


@dataclass(frozen=True, kw_only=True, eq=False)
class NewSeries:
    """New rows of series, read as the training rows were, for scoring.

    Args:
        panel, content: their `Panel` and its `PanelValues`.
        notes: about them.
        where: the series, for messages.
    """

    panel: Panel
    content: PanelValues
    notes: list[str]
    where: str

    @classmethod
    def of(cls, reader: Mapping[str, Any], source: Any, where: str) -> "NewSeries":
        """Return the series of a table.

        Args:
            reader: the preprocessor.
            source: the table.
            where: the series, for messages.
        """
        notes = list[str]()
        frame, times = _sorted_frame(reader, source, notes)
        if not reader.get("series_id"):
            require(frame, reader["columns"], where)
            notes += [*time_column_notes(reader, times), *check_step(reader, times, where)]
        panel, content = _read(reader, frame, times, notes, where)
        if not reader.get("series_id"):
            check_not_empty(content.missing, len(frame), where)
        gaps = panel.step_notes() if isinstance(panel, OneSeries) else gap_notes(panel)
        unread = unread_notes(reader["columns"], frame, content.unread)
        return cls(
            panel=panel,
            content=content,
            notes=[*notes, *gaps, *unread, *content.notes],
            where=where,
        )

    def windows(
        self, steps: int, horizon: int, name: str, part: str = "all", fix: str = "provide more rows"
    ) -> SplitWindows:
        """Return all windows, and the values that follow them.

        Args:
            steps, horizon: sizes of a window.
            name: of the data, for messages.
            part: name of the split.
            fix: what to do if there are too few rows.

        Raises:
            KzooError: no window has all of its targets.
        """
        windows = split_windows(self.panel, self.content, steps, horizon, {part: (None, None)})
        if windows.parts[part] is not None:
            return windows
        if self.panel.is_padded:
            raise KzooError(
                f"No series of {self.where} has {plural(horizon, 'consecutive row')} with all targets after a first "
                "row: there is nothing to score."
            )
        raise no_window(part, 0, len(self.content.values), steps, horizon, name, fix)


def labelled(
    reader: Mapping[str, Any], source: Any, *, targets: Any, config: Mapping[str, Any]
) -> Split:
    """Return all windows of new series and the values that follow them, except those with missing targets."""
    name = Path(source).name if isinstance(source, str | Path) else "the table"
    new = NewSeries.of({**reader, "outputs": config["outputs"]}, source, name)
    windows = new.windows(reader["steps"], config["horizon"], name)
    for line in (*new.notes, *windows.notes):
        warn(line)
    return windows.split


def fresh(reader: Mapping[str, Any], source: Any, *, targets: Any) -> Fresh:
    """Return new rows of series, which may lack columns, for the checks."""
    ids = reader.get("series_id") or ()
    frame, times = _sorted_frame(reader, source, None)
    names = [*reader["columns"], *ids, *(covariate.name for covariate in covariates_of(reader))]
    missing = [name for name in names if name not in frame.columns]
    if not ids:
        check_step(reader, times, "the new series")
    if missing or not len(frame):
        return Fresh(frame=frame, missing=missing, seen=time_facts(times, {}))
    panel, content = _read(reader, frame, times, [], "the series")
    ends = np.repeat(panel.bounds[1:], panel.sizes)
    rows = np.arange(len(panel.numbers))
    horizon = reader.get("horizon") or 0
    x = window_columns(content.values, content.covariates, rows, ends, horizon)
    seen = time_facts(times, {} if ids else content.missing)
    return Fresh(x=np.asarray(x[-_MOST_FRESH:]), frame=frame, missing=missing, seen=seen)


def _sorted_frame(
    reader: Mapping[str, Any], source: Any, notes: list[str] | None
) -> tuple["DataFrame", Times | None]:
    """Return a table and, of one series, its `Times`, the rows in order of them without the time column."""
    frame = as_frame(with_index(source, reader.get("time")), _text_columns(reader))
    if reader.get("series_id"):
        return frame, None
    return sort_by_time(frame, reader.get("time"), [], learned_time_format(reader), notes)


def _read(
    reader: Mapping[str, Any],
    frame: "DataFrame",
    times: Times | None,
    notes: list[str],
    where: str,
) -> tuple[Panel, PanelValues]:
    """Return the panel of a table of `_sorted_frame`, and its values."""
    rows = rows_of(frame)
    if not reader.get("series_id"):
        return learned_series(reader, rows, times, where=where)
    panel = panel_of(reader, rows, notes, longest=LONGEST_GAP)
    return panel, panel_values(reader, rows, panel)


def _text_columns(reader: Mapping[str, Any]) -> list[str]:
    """Return the names of columns of a new series that must be read from a file as text, as in training."""
    formats = reader.get("writings") or {}
    ids = reader.get("series_id") or ()
    return [
        *ids,
        *(name for name, number_format in formats.items() if learned_from_texts(number_format)),
    ]
