"""Covariates of the windows of a panel: columns that are known ahead of time, and the calendar. Imports only NumPy.

Each has channels, and each channel is two columns of a window: its value at a step, and its value `horizon` steps
later, so that the last `horizon` steps of a window have those of the steps to forecast. Before a short series, whose
first row is repeated, the value `horizon` steps later is that of this time, from the first row on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from kzoo.inference.kinds.series.calendar import Calendar
from kzoo.inference.tables.raw import Rows
from kzoo.inference.tables.values import are_filled, to_words, unreadable_cells
from kzoo.problems.layout import Preprocessor
from kzoo.utils.errors import KzooError
from kzoo.utils.files import Json, JsonObject
from kzoo.utils.formatting import listed, shown

MAX_CATEGORIES = 20  # of a known or static column of texts: each has a channel
_HARMONICS = 3  # pairs of sine and cosine for each season of the calendar
# steps of a year, where it is no season of the calendar
_YEAR = {"days": 365.2425, "business days": 261.0}
YEAR_OF_WEEKS = {"days": 364, "business days": 260}  # a year of whole weeks
_YEAR_HARMONICS = 2
_MOST_BYTES = 128 << 20  # of the columns of windows that are kept in memory
_ROWS_AT_ONCE = 200_000


@dataclass(frozen=True, kw_only=True)
class Covariate:
    """A column that is known ahead of time.

    Args:
        name: of the column.
        role: "known" or "static".
        categories: its values, each of which has a channel; empty for a column of numbers.
        number_format: how a column of texts writes its numbers (see `kzoo.inference.tables.numbers`), or None.
    """

    name: str
    role: str
    categories: tuple[str, ...] = ()
    number_format: Any = None

    @classmethod
    def of(cls, stored: Mapping[str, Json]) -> "Covariate":
        """Return a covariate that `json` stored."""
        return cls(
            name=stored["name"],
            role=stored["role"],
            categories=tuple(stored.get("categories", ())),
            number_format=stored.get("writing"),
        )

    def json(self) -> JsonObject:
        """Return it as plain data, as a preprocessor stores it."""
        stored: dict[str, Any] = {"name": self.name, "role": self.role}
        stored |= {"categories": list(self.categories)} if self.categories else {}
        return stored | ({"writing": self.number_format} if self.number_format else {})

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of its channels."""
        return tuple(f"{self.name}={value}" for value in self.categories) or (self.name,)

    def values(self, rows: Rows) -> tuple[np.ndarray, list[str]]:
        """Return the channels of rows (N, channels), NaN where a cell is empty; and notes about unknown values.

        Raises:
            KzooError: a cell of a column of numbers that is not a number.
        """
        if not self.categories:
            numbers = rows.numbers(self.name, self.number_format)
            if len(bad := unreadable_cells(rows[self.name], numbers)):
                raise KzooError(
                    f"{self.role.capitalize()} column {self.name!r} has {shown(rows[self.name][bad[0]])} in row "
                    f"{bad[0] + 1}, which is not a number. Correct it."
                )
            return numbers[:, None], []
        words = to_words(rows[self.name])
        values = np.stack([words == category for category in self.categories], axis=1).astype(
            np.float64
        )
        empty = ~are_filled(rows[self.name]) & ~(values == 1).any(axis=1)
        values[empty] = np.nan
        unknown = sorted({str(word) for word in words[~empty & ~(values == 1).any(axis=1)]})
        notes = [
            f"{self.role.capitalize()} column {self.name!r} has values that no training row has "
            f"({listed(map(repr, unknown), 5)}): they count as none of the others."
        ]
        return values, notes if unknown else []


def covariates_of(reader: Preprocessor) -> list[Covariate]:
    """Return the known and static columns of a stored preprocessor."""
    return [Covariate.of(stored) for stored in reader.get("covariates", ())]


def are_events(column: np.ndarray) -> bool:
    """Return whether the channels of a column (R, channels) are only 0 and 1, as of promotions, holidays and texts."""
    present = column[~np.isnan(column)]
    return bool(np.isin(present, (0, 1)).all())


def fill_events(
    column: np.ndarray, wanted: np.ndarray, codes: np.ndarray, phases: np.ndarray
) -> None:
    """Fill some rows of a column of events in place: an event does not last over a gap, as a price does.

    They get the most frequent value at the same phase of the season in their series, or else in the series.

    Args:
        column: (R, channels) of 0 and 1, NaN where a value is missing.
        wanted: (R,) whether a row is filled in.
        codes, phases: (R,) series and phase of the season of each row.
    """
    width = column.shape[1]
    present = ~np.isnan(column).any(axis=1)
    # the event of each row: 0 for none, or the number of its channel
    events = np.where(present, (np.nan_to_num(column) * np.arange(1, width + 1)).sum(axis=1), 0)
    values = np.concatenate([np.zeros((1, width)), np.eye(width)])
    left = wanted & ~present
    for groups in (codes * (int(phases.max(initial=0)) + 1) + phases, codes):
        known, indices = np.unique(groups[left], return_inverse=True)
        own = present & np.isin(groups, known)
        cells = np.searchsorted(known, groups[own]) * (width + 1) + events[own].astype(int)
        counts = np.bincount(cells, minlength=len(known) * (width + 1)).reshape(-1, width + 1)
        has_any = counts.sum(axis=1)[indices] > 0
        rows = np.flatnonzero(left)[has_any]
        column[rows] = values[counts.argmax(axis=1)[indices[has_any]]]
        left[rows] = False


def channel_names(covariates: Sequence[Covariate], calendar: Calendar | None) -> list[str]:
    """Return the names of the channels of covariates and of the calendar."""
    return [name for covariate in covariates for name in covariate.channels] + calendar_names(
        calendar
    )


def input_width(reader: Preprocessor) -> int:
    """Return the number of columns of a window that a stored preprocessor makes: the past, and two channels each."""
    columns = len(reader["columns"])
    if "covariates" not in reader:  # one series
        return columns
    return columns + 2 * len(channel_names(covariates_of(reader), Calendar.of(reader)))


def _seasons(calendar: Calendar) -> list[tuple[str, float, int]]:
    """Return (name, steps, number of harmonics) of the seasons whose phase the network reads."""
    seasons = [
        (f"season of {steps} steps", float(steps), min(_HARMONICS, steps // 2))
        for steps in sorted(set(calendar.seasons.values()))
        if steps > 1
    ]
    if calendar.every == 1 and calendar.step in _YEAR:
        seasons.append(("year", _YEAR[calendar.step], _YEAR_HARMONICS))
    return seasons


def calendar_names(calendar: Calendar | None) -> list[str]:
    """Return the names of the channels of a calendar."""
    return (
        []
        if calendar is None
        else [
            f"{name}, {function} {k}"
            for name, _, harmonics in _seasons(calendar)
            for k in range(1, harmonics + 1)
            for function in ("sine", "cosine")
        ]
    )


def calendar_values(calendar: Calendar | None, numbers: np.ndarray) -> np.ndarray:
    """Return sine and cosine of the phase of step numbers (N,) in each season: (N, channels)."""
    if calendar is None:
        return np.empty((len(numbers), 0))
    columns = []
    for _, steps, harmonics in _seasons(calendar):
        phase = 2 * np.pi * np.mod(numbers, steps) / steps
        for k in range(1, harmonics + 1):
            columns += [np.sin(k * phase), np.cos(k * phase)]
    return np.stack(columns, axis=1) if columns else np.empty((len(numbers), 0))


class Channels:
    """Covariates of the rows of a panel (R, K) as float32: those of the user, and the calendar, computed on demand.

    Args:
        own: (R, channels) of known and static columns.
        calendar: the `Calendar`, or None.
        numbers: (R,) step numbers.
    """

    def __init__(self, own: np.ndarray, calendar: Calendar | None, numbers: np.ndarray) -> None:
        with np.errstate(over="ignore"):  # infinity is refused with the windows
            self.own = np.ascontiguousarray(own, np.float32)
        self.numbers = numbers
        self.different = np.unique(numbers)
        self.values = calendar_values(calendar, self.different).astype(np.float32)
        self.shape = len(self.own), self.own.shape[1] + self.values.shape[1]

    def __len__(self) -> int:
        return len(self.own)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        places = np.searchsorted(self.different, self.numbers[rows])
        return np.concatenate([self.own[rows], self.values[places]], axis=-1)


class WindowRows:
    """The columns of windows (P, F + 2 K) of a large panel, computed when they are read: see `window_columns`.

    Args:
        values: (R, F) of the past.
        channels: the `Channels` (R, K).
        source: (P,) the row of the panel that each row is.
        ends: (P,) end of the series of each row.
        horizon: steps to forecast.
    """

    ndim = 2
    dtype = np.dtype("float32")

    def __init__(
        self,
        values: np.ndarray,
        channels: Channels,
        source: np.ndarray,
        ends: np.ndarray,
        horizon: int,
    ):
        self.values = values
        self.channels = channels
        self.source = source
        self.ends = ends
        self.horizon = horizon
        self.shape = len(source), values.shape[1] + 2 * channels.shape[1]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        index, columns = index if isinstance(index, tuple) else (index, slice(None))
        rows = np.arange(len(self))[index] if isinstance(index, slice) else np.asarray(index)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        # in parts, so that the other columns take little memory
        if columns != slice(None) and rows.ndim == 1:
            parts = [
                self[rows[i : i + _ROWS_AT_ONCE]][:, columns]
                for i in range(0, len(rows), _ROWS_AT_ONCE)
            ]
            return np.concatenate(parts) if parts else self[rows][:, columns]
        now = self.source[rows]
        ahead = self.source[np.minimum(rows + self.horizon, self.ends[rows] - 1)]
        return np.concatenate([self.values[now], self.channels[now], self.channels[ahead]], axis=-1)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def window_columns(
    values: np.ndarray, channels: Channels, source: np.ndarray, ends: np.ndarray, horizon: int
) -> np.ndarray | WindowRows:
    """Return the columns of windows (P, F + 2 K): values, covariates, and covariates `horizon` rows later.

    At the end of a series, the last covariates are repeated. Those of a large panel are `WindowRows`.

    Args:
        values: (R, F) of the past.
        channels: the `Channels` (R, K).
        source: (P,) the row of the panel that each row is.
        ends: (P,) end of the series of each row.
        horizon: steps to forecast.
    """
    if not channels.shape[1] and len(source) == len(values):  # no covariates, no padding
        return values
    rows = WindowRows(values, channels, source, ends, horizon)
    return rows if 4 * rows.shape[0] * rows.shape[1] > _MOST_BYTES else rows[:]
