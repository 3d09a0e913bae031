"""The steps of series on their calendar: those of the rows, and those between them that have no row.

A step without a row gets one, so that the steps of a window are those of the calendar, in training and in new rows. Its
targets, and those of empty cells, are filled in: from the same step of the seasons around them (see `seasonal_fill`),
or with a straight line if there is no season. Other columns keep their last value. A very long gap divides a series.
Imports only NumPy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from kzoo.inference.kinds.series.calendar import STEP_TOLERANCE, Calendar, Moments
from kzoo.inference.kinds.series.seasonal_fill import fill_from_seasons
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, plural

MAX_FILLED = 0.5  # share of the targets in a window that may be filled in
# share of the targets after a window that is learned from, or scored if there are too few others
MAX_FILLED_AHEAD = 0.25
# missing rows; a longer gap divides a series (the same for windows of any length)
LONGEST_GAP = 200
# stored with a run: targets are filled in from several seasons; runs of earlier versions fill in from one
SEVERAL_SEASONS = "seasons"
_MAX_SHARED = 0.2  # share of the rows that may have the step of another row


@dataclass(frozen=True, kw_only=True, eq=False)
class Steps:
    """The steps of the rows of series.

    Args:
        rows: (G,) row of each step; of a step without a row, the row before, or the first row.
        since: (G,) number of steps since that row, 0 for its own step, below 0 before the first row.
        parts: (P + 1,) first step of each part of a series without a longer gap, and the number of steps.
        of_rows: (R,) step of each row.
        unused: rows with the step of a later row, which is used.
    """

    rows: np.ndarray
    since: np.ndarray
    parts: np.ndarray
    of_rows: np.ndarray
    unused: np.ndarray = field(default_factory=lambda: np.empty(0, int))

    @classmethod
    def of(cls, numbers: np.ndarray, bounds: np.ndarray, longest: float) -> "Steps":
        """Return the steps of rows.

        Args:
            numbers: (R,) number of the step of each row, ascending in each series.
            bounds: (S + 1,) rows of series s are `bounds[s]` to `bounds[s + 1]`.
            longest: number of missing rows from which a gap is not filled in.
        """
        if not len(numbers):
            return cls(
                **dict.fromkeys(("rows", "since", "of_rows"), np.empty(0, int)),
                parts=np.zeros(1, int),
            )
        missing = np.maximum(np.diff(numbers, append=numbers[-1:] + 1).astype(np.int64) - 1, 0)
        missing[np.asarray(bounds[1:]) - 1] = 0
        first_rows = np.union1d(bounds[:-1], np.flatnonzero(missing > longest) + 1).astype(int)
        counts = np.where(missing > longest, 0, missing) + 1
        ends = np.cumsum(counts)
        rows = np.repeat(np.arange(len(counts)), counts)
        of_rows = ends - counts
        return cls(
            rows=rows,
            since=np.arange(len(rows)) - of_rows[rows],
            parts=np.append(of_rows[first_rows], len(rows)),
            of_rows=of_rows,
        )

    @classmethod
    def of_series(
        cls,
        calendar: Calendar,
        moments: Moments,
        longest: float,
        where: str,
        last: int | None = None,
    ) -> "Steps":
        """Return the steps of one series in order of time; of rows with the same step, the last one counts.

        Args:
            calendar, moments: its step, and its times.
            longest: see `of`.
            where: the series, for the message.
            last: number of steps that are needed, the last ones; all by default.

        Raises:
            KzooError: many rows have the step of another row.
        """
        numbers = numbers_of(calendar, moments)
        kept = np.flatnonzero(np.append(np.diff(numbers) > 0, True))
        shared = len(numbers) - len(kept)
        if shared > _MAX_SHARED * len(numbers):
            raise KzooError(
                f"{shared:,} of {len(numbers):,} rows of {where} have the step of another row: a series has one row "
                f"per step of {calendar.description}. Keep one row of each, or use the mean or sum of them."
            )
        needed = kept if last is None else kept[numbers[kept] > numbers[-1] - last]
        steps = cls.of(numbers[needed], np.array([0, len(needed)]), longest)
        # of the row that is used
        of_rows = steps.of_rows[np.searchsorted(needed, np.arange(len(numbers)))]
        unused = np.setdiff1d(
            np.arange(kept[-len(needed) - 1] + 1 if len(needed) < len(kept) else 0, len(numbers)),
            kept,
        )
        return cls(
            rows=needed[steps.rows],
            since=steps.since,
            parts=steps.parts,
            of_rows=of_rows,
            unused=unused,
        )

    @classmethod
    def consecutive(cls, rows: int) -> "Steps":
        """Return a step for each of a number of rows, where no calendar is known."""
        return cls.of(np.arange(rows), np.array([0, rows]), 0)

    def __len__(self) -> int:
        return len(self.rows)

    def preceded(self, count: int) -> "Steps":
        """Return the steps with some more before the first row, which are missing."""
        return replace(
            self,
            rows=np.append(np.zeros(count, int), self.rows),
            since=np.append(np.arange(-count, 0), self.since),
            parts=np.append(0, self.parts[1:] + count),
            of_rows=self.of_rows + count,
        )

    @property
    def missing(self) -> int:
        """Number of steps without a row."""
        return int((self.since != 0).sum())

    def notes(self, time_of: Callable[[int], str], rule: str, first: int = 0) -> list[str]:
        """Return notes about steps without a row.

        Args:
            time_of: function that returns the time of a row as text.
            rule: how they are filled in, as a sentence (see `fill_rule`).
            first: the first step that counts.
        """
        missing = np.flatnonzero(self.since[first:] > 0) + first
        lines = []
        if early := int((self.since[first:] < 0).sum()):
            verb = "is" if early == 1 else "are"
            lines.append(f"{plural(early, 'row')} before {time_of(0)} {verb} missing. {rule}")
        if len(missing):
            longest = missing[self.since[missing].argmax()]
            after = time_of(self.rows[longest])
            before = time_of(self.rows[longest + 1])
            count = len(missing)
            most = int(self.since[longest])
            run = "" if count == 1 else f"; {most} in a row" if most > 1 else ""
            lines.append(
                f"{plural(count, 'row')} {'is' if count == 1 else 'are'} missing (between {after} and {before}{run}). "
                f"{rule}"
            )
        for start in self.parts[1:-1][self.parts[1:-1] > first]:
            after = time_of(self.rows[start - 1])
            before = time_of(self.rows[start])
            lines.append(
                f"The gap between {after} and {before} is too long to be filled in: no window crosses it."
            )
        return lines

    def take(self, values: ArrayLike) -> np.ndarray:
        """Return values of rows (R, F) as those of steps (G, F): NaN in steps without a row."""
        taken = np.asarray(values, np.float64)[self.rows]
        taken[self.since != 0] = np.nan
        return taken

    def moments(self, calendar: Calendar, moments: Moments) -> Moments:
        """Return the times of all steps, given those of the rows."""
        times, wall = moments.times[self.rows], moments.wall[self.rows]
        missing = np.flatnonzero(self.since)
        later = calendar.later(wall[missing], self.since[missing])
        times[missing] += later - wall[missing]
        wall[missing] = later
        return Moments(times, wall, moments.zone)


def numbers_of(calendar: Calendar, moments: Moments) -> np.ndarray:
    """Return the number of steps (N,) since the first row of a series in order of time.

    Small differences from whole steps do not add up.
    """
    if not len(moments.times):
        return np.empty(0, int)
    intervals = calendar.intervals(moments)
    nearest = np.round(intervals)
    intervals = np.where(np.abs(intervals - nearest) <= STEP_TOLERANCE, nearest, intervals)
    return np.round(np.append(0, np.cumsum(intervals))).astype(np.int64)


def fill_rule(season: int | None, fill: str = "", *, covariates: bool = False) -> str:
    """Return how missing values are filled in, as a sentence.

    Args:
        season: steps of a season, or None.
        fill: `SEVERAL_SEASONS`, or empty for one.
        covariates: whether there may be known columns of events (see `panel_values` of `windows`).
    """
    pattern = "with a straight line"
    if season and fill == SEVERAL_SEASONS:
        pattern = f"from the same step of the seasons of {plural(season, 'step')} around them"
    elif season:
        pattern = f"with the values {plural(season, 'step')} before"
    events = ", known events have their usual one" if covariates and fill and season else ""
    return (
        f"Targets are filled in {pattern}, fitted to the values around them;"
        f" other columns keep their last value{events}."
    )


def fill_targets(
    values: np.ndarray, parts: np.ndarray, season: int | None, fill: str = ""
) -> np.ndarray:
    """Fill missing values (NaN) of targets in place.

    Args:
        values: (G, T) of steps.
        parts: (P + 1,) first step of each part of a series (see `Steps`).
        season: steps of a season, or None.
        fill: `SEVERAL_SEASONS`, or empty for one.

    Returns:
        Whether each value was filled in (G, T). A part without any value is 0.
    """
    filled = np.isnan(values)
    if season and fill == SEVERAL_SEASONS:
        for column in np.flatnonzero(filled.any(axis=0)):
            values[:, column] = fill_from_seasons(values[:, column], parts, season)
    _fill_from_one_season(values, parts, season)
    return filled


def _fill_from_one_season(values: np.ndarray, parts: np.ndarray, season: int | None) -> None:
    """Fill missing values of targets in place from the season before or after a gap, or else with a line."""
    filled = np.isnan(values)
    starts = np.zeros(len(values), bool)
    starts[parts[:-1]] = True
    ends = np.append(starts[1:], True)
    for column, missing in zip(values.T, filled.T, strict=True):
        if not missing.any():
            continue
        firsts = np.flatnonzero(missing & ~(np.append(False, missing[:-1]) & ~starts))
        lasts = np.flatnonzero(missing & ~(np.append(missing[1:], False) & ~ends))
        part_of = np.searchsorted(parts, firsts, side="right") - 1
        for first, last, low, high in zip(
            firsts, lasts, parts[part_of], parts[part_of + 1], strict=True
        ):
            _fill(column[low:high], first - low, last + 1 - low, season or 0)


def _fill(column: np.ndarray, first: int, end: int, season: int) -> None:
    """Fill one run of missing values of a part of a series in place; those before it are filled already.

    Args:
        column: (N,) of the part.
        first, end: the run.
        season: steps of a season, 0 for none.
    """
    if first == 0:
        column[:end] = column[end] if end < len(column) else 0.0
        return
    # steps since the value before the run, to the value after it
    around = np.arange(end - first + 2)
    base = np.zeros(len(around))
    if season and first > season:  # the season before the run
        base = _repeated(column[first - 1 - season : first], around)
    elif (
        season and np.isfinite(column[end : end + season + 1]).sum() == season + 1
    ):  # the season after it
        base = _repeated(column[end : end + season + 1][::-1], around[::-1])
    left = column[first - 1] - base[0]
    right = column[end] - base[-1] if end < len(column) else left
    column[first:end] = (base + left + (right - left) * around / around[-1])[1:-1]


def _repeated(season: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return the values of a season and the value before it (N + 1,) repeated, each time with the change over it.

    Args:
        season: the values; the first one stands for step 0.
        steps: of the result.
    """
    times = np.maximum(-(-steps // (len(season) - 1)), 1) - 1
    return season[steps - times * (len(season) - 1)] + times * (season[-1] - season[0])


@dataclass(frozen=True, kw_only=True)
class WindowRules:
    """Which windows of series may be used, by the number of values in them that are filled in.

    Args:
        filled: (G, T) whether each target was filled in.
        steps, horizon: sizes of a window.
    """

    filled: np.ndarray
    steps: int
    horizon: int

    @cached_property
    def _counts(self) -> np.ndarray:
        """Number of values (G + 1,) before each step that are filled in."""
        return np.append(0, np.cumsum(self.filled.sum(axis=1)))

    def usable(self, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return whether no value after each window is filled in, and whether at most a quarter is (N,).

        Both need the last step of a window as it was measured, as that of new rows is, and half of the others.

        Args:
            starts: (N,) first step of each window.
        """
        if not self.filled.any():
            return (np.ones(len(starts), bool),) * 2
        counts = self._counts
        first = starts + self.steps
        end = starts + self.steps + self.horizon
        targets = self.filled.shape[1]
        is_full = counts[first] - counts[starts] <= MAX_FILLED * self.steps * targets
        is_full &= counts[first] == counts[first - 1]
        ahead = counts[end] - counts[first]
        return is_full & (ahead == 0), is_full & (
            ahead <= MAX_FILLED_AHEAD * self.horizon * targets
        )

    def share_filled(self, starts: np.ndarray) -> float:
        """Return the share of the values after windows that are filled in."""
        if not self.filled.any():
            return 0.0
        counts = self._counts
        first = starts + self.steps
        return float(
            (counts[first + self.horizon] - counts[first]).mean()
            / self.horizon
            / self.filled.shape[1]
        )


def window_notes(left_out: int, shares: Mapping[str, float]) -> list[str]:
    """Return notes about windows that are left out, and about filled values that are forecast.

    Args:
        left_out: number of windows.
        shares: split -> share of the values to forecast that are filled in.
    """
    notes = []
    if left_out:
        notes.append(
            f"{plural(left_out, 'window')} excluded: values are missing in the forecast horizon (more than a quarter "
            "to learn from, any to score), or just before it, or in more than half of the window."
        )
    if shares := {part: share for part, share in shares.items() if share}:
        of_parts = listed(f"{share:.1%} ({part})" for part, share in shares.items())
        use = "learning" if list(shares) == ["train"] else "learning and scoring"
        reason = "" if use == "learning" else ": without them, too few windows would be left"
        notes.append(
            f"Of the values to forecast, {of_parts} are missing and filled in, for {use}, too{reason}."
        )
    return notes
