"""Many series in rows, told apart by id columns: how a table of them is split and scaled for training."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data import splits
from kzoo.data.dataset import Split
from kzoo.data.inputs.rows.columns import number_formats_of
from kzoo.data.inputs.rows.scaling import scaling
from kzoo.data.inputs.series.season import window_length
from kzoo.data.inputs.series.windows import Limits
from kzoo.data.options import DataOptions
from kzoo.data.store.windows import RowArray, sample_indices
from kzoo.inference.kinds.series.calendar import Calendar, learn_calendar
from kzoo.inference.kinds.series.covariates import (
    MAX_CATEGORIES,
    YEAR_OF_WEEKS,
    Covariate,
    calendar_names,
)
from kzoo.inference.kinds.series.one_series import detect_time_column
from kzoo.inference.kinds.series.panel import (
    Panel,
    check_steps,
    panel_moments,
    series_names,
    sorted_panel,
)
from kzoo.inference.kinds.series.steps import LONGEST_GAP, SEVERAL_SEASONS
from kzoo.inference.kinds.series.times import Moments, Times
from kzoo.inference.kinds.series.windows import PanelValues
from kzoo.inference.tables.raw import Rows, as_names, check_distinct, require, rows_of
from kzoo.inference.tables.values import are_filled, to_words
from kzoo.inference.tasks.values import spread
from kzoo.problems.tasks import problem
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import plural, shown
from kzoo.zoo.registry.preset import Preset

if TYPE_CHECKING:
    from pandas import DataFrame

_MAX_STORED_IDS = 10_000
# largest value of a series over that of the median series: beyond it, float32 scaled by all of them has nothing of the
# others, which would count as windows of zeros
_LARGEST_RATIO = 1e11
_MOST_AT_ONCE = 4_000_000  # numbers whose scale is computed at a time
_UNEVEN = 0.5  # standard deviation / mean of a series above which its logarithm is normalised
_MOST_SCALED = 500_000  # rows of a large panel from which the scale of its inputs is learned


Names = str | Sequence[str] | None


def named_targets(target: Names, columns: Iterable[str]) -> list[str]:
    """Return the names in `target=`: a single one may have a comma."""
    return [target] if isinstance(target, str) and target in list(columns) else as_names(target)


@dataclass(frozen=True, kw_only=True, eq=False)
class Cuts:
    """Where series are cut into splits.

    Args:
        limits: split -> its `Limits`.
        training: (R,) whether each row of the panel is one to learn from.
    """

    limits: dict[str, Limits]
    training: np.ndarray

    def before_test(self, numbers: np.ndarray) -> np.ndarray:
        """Return (R,) whether each row is before the test rows, given its number in time."""
        start = self.limits["test"][0] if "test" in self.limits else None
        return np.full(len(numbers), True) if start is None else numbers < start


@dataclass(frozen=True, kw_only=True, eq=False)
class PanelRows:
    """The rows of many series for training.

    Args:
        source: the table as it was read.
        frame: the table that the panel counts the rows of.
        panel: its `Panel`.
        learned: number of rows of the table from which columns are learned, the first ones.
        stored: what a preprocessor stores of times and ids.
        apart: columns that are not of the past -> how they are used, for the overview.
        drop: columns to leave out.
        note: how the rows are split.
        roles: column -> "known" or "static".
    """

    source: "DataFrame"
    frame: "DataFrame"
    panel: Panel
    learned: int
    stored: Mapping[str, Any]
    apart: Mapping[str, tuple[str, str]]
    drop: Sequence[str]
    note: str
    roles: Mapping[str, str]

    @classmethod
    def of(
        cls,
        frame: "DataFrame",
        ids: Sequence[str],
        options: DataOptions,
        name: str,
        notes: list[str],
    ) -> "PanelRows":
        """Return the rows of a table in order of series and time.

        Raises:
            KzooError: wrong columns, no rows, two rows of a series at one step, or no regular step.
        """
        if (time := detect_time_column(frame, options.time)) is None:
            raise KzooError(
                "A table of many series needs a time column, and none has dates. Name it in time=."
            )
        rows = rows_of(frame)
        known, static = (
            as_names(names or ()) for names in (options.known_covariates, options.static_covariates)
        )
        roles = _checked_roles(rows, ids, known, static, time, options.target, options.drop)
        if not len(rows):
            raise KzooError(f"{name!r} has no rows. Pass a table with rows of each series.")
        codes, names = series_names(rows, ids, notes)
        moments, time_format, zone = panel_moments(rows, time, notes, date_order=options.date_order)
        gaps = not options.reads_gaps_as_before
        calendar = _learned_calendar(codes, moments, time, gaps)
        panel = sorted_panel(codes, names, moments, calendar)
        del codes, moments  # of a large table, each takes much memory
        check_steps(panel, "those of the longest series are")
        panel = panel.with_missing_steps(LONGEST_GAP)
        panel = replace(panel, fill=SEVERAL_SEASONS if gaps else "")
        stored: dict[str, Any] = {
            "time": time,
            "series_id": list(ids),
            "calendar": calendar.json(),
            "zones": {time: zone},
        }
        stored |= {"times": time_format} if time_format else {}
        stored |= {"ids": panel.names} if len(panel) <= _MAX_STORED_IDS else {}
        apart = {column: ("id", f"tells {len(panel)} series apart") for column in ids}
        apart |= {
            column: (role, "known ahead" if role == "known" else "constant")
            for column, role in roles.items()
        }
        apart[time] = ("time", f"{calendar.description} apart")
        return cls(
            source=frame,
            frame=frame,
            panel=panel,
            learned=len(frame),
            stored=stored,
            apart=apart,
            drop=[column for column in as_names(options.drop) if column in frame.columns],
            note="The series are split in order of time, all at the same moments.",
            roles=roles,
        )

    def covariates(
        self, overrides: Mapping[str, Mapping[str, str]], warnings: list[str], decimal: str | None
    ) -> list[Covariate]:
        """Return the columns that are known ahead or constant, as they are read."""
        rows = rows_of(self.frame)
        return [
            _learned_covariate(rows, column, role, overrides.get(column), warnings, decimal)
            for column, role in self.roles.items()
        ]

    def cuts(
        self, content: PanelValues, options: DataOptions, horizon: int, name: str, notes: list[str]
    ) -> Cuts:
        """Return where the series are cut into splits: at the same moments.

        Raises:
            KzooError: no row is left to train on.
        """
        panel, test = self.panel, options.test
        numbers = panel.numbers[content.observed]
        end = None
        share = splits.drawn(test)
        if isinstance(test, splits.Fold):
            numbers, end, share = _fold_of(numbers, test)
        cuts = _cut_numbers(numbers, splits.drawn(options.validation), share, horizon)
        if isinstance(test, splits.Fold):
            tested = np.flatnonzero(
                content.observed & (panel.numbers >= cuts[1]) & (panel.numbers <= numbers.max())
            )
            first, last = (tested[pick(panel.numbers[tested])] for pick in (np.argmin, np.argmax))
            notes.append(fold_note(test, panel.time(first), panel.time(last)))
        training = content.observed & (panel.numbers < cuts[0])
        if not training.any():
            longest = int(self._sizes(content.observed).max())
            raise KzooError(
                f"leaves no row of {name!r} to train on before the validation and test rows (the longest series has "
                f"{plural(longest, 'row')}). Lower horizon=, test= or validation=, or provide more rows.",
                argument="horizon",
                value=horizon,
            )
        limits: dict[str, Limits] = {"train": (None, cuts[0])}
        if isinstance(options.validation, splits.HeldOut):  # calibration rows are its latest
            first = _first_calibration(numbers, options.validation, share, cuts, horizon)
            limits |= {"validation": (cuts[0], first), "calibration": (first, cuts[1])}
            if first > cuts[0] and options.validation.share < 1:
                notes.append(
                    "Calibration rows are later than the validation rows, and their forecasts begin after these end."
                )
        else:
            limits["validation"] = cuts
        limits["test"] = (cuts[1], end)
        return Cuts(limits=limits, training=training)

    def check_sizes(self, values: np.ndarray, columns: Sequence[str]) -> None:
        """Refuse values that float32 cannot hold, and those of one series that leave nothing of the others.

        Args:
            values: (R, columns) of the past, float32.
            columns: their names.

        Raises:
            KzooError: a series has such values.
        """
        largest = np.maximum.reduceat(np.abs(values), self.panel.bounds[:-1], axis=0)
        usual = np.median(largest, axis=0)
        limits = np.where(usual > 0, _LARGEST_RATIO * usual.astype(np.float64), np.inf)
        wrong = np.argwhere(~np.isfinite(largest) | (largest > limits))
        if len(wrong):
            row, column = wrong[0]
            of_series = f" of series {self.panel.names[row]!r}" if len(self.panel) > 1 else ""
            size = largest[row, column]
            what = f"values up to {size:.3g}, and the values of a typical series would be lost in rounding"
            if not np.isfinite(size):
                what = f"values beyond {np.finfo(np.float32).max:.3g}, which networks cannot compute with"
            raise KzooError(
                f"Column {columns[column]!r}{of_series} has {what}. Correct them, or leave the series out."
            )

    def _sizes(self, flags: np.ndarray) -> np.ndarray:
        """Return the number of rows of each series (S,) that have a flag (R,)."""
        return np.add.reduceat(flags.astype(int), self.panel.bounds[:-1])

    def window_length(
        self,
        values: np.ndarray,
        training: np.ndarray,
        horizon: int,
        preset: Preset,
        columns: int,
        seconds: Sequence[int],
    ) -> tuple[int, str]:
        """Return the default length of a window, that of the longest series, and a note with the reason."""
        panel = self.panel
        assert panel.calendar is not None
        sizes = self._sizes(training)
        rows = np.flatnonzero(training & (panel.codes == int(sizes.argmax())))
        typical = max(int(np.median(sizes[sizes > 0])), 2)
        year = YEAR_OF_WEEKS.get(panel.calendar.step) if panel.calendar.every == 1 else None
        if preset.long_windows and year and typical // 3 >= year:
            return (
                year,
                f"The window length is {plural(year, 'step')}: 52 weeks, a third of a typical series at most.",
            )
        return window_length(
            values[rows],
            horizon,
            columns=columns,
            times=Times.of(panel.calendar.column, panel.moments.times[rows]),
            calendar=panel.calendar,
            typical=typical,
            min_steps=preset.config.get("patch_size") or 1,
        )

    def sizes_that_fit(
        self, steps: int, horizon: int, preset: Preset | None, seconds: Sequence[int]
    ) -> str:
        """Return what to do if windows do not fit."""
        return "provide more rows"

    def check_windows(
        self, parts: Mapping[str, Split], steps: int, horizon: int, name: str, fix: str
    ) -> None:
        """Refuse a training split without a window.

        Raises:
            KzooError: it has none.
        """
        if "train" not in parts:
            raise KzooError(
                f"No series of {name!r} has a window of {plural(steps, 'step')} and {plural(horizon, 'step')} to "
                "forecast before the validation rows. Provide more rows, or lower input_shape= or horizon=."
            )

    def settings(
        self,
        content: PanelValues,
        training: np.ndarray,
        train: Split,
        preset: Preset | None,
        task: str,
        notes: list[str],
    ) -> JsonObject:
        """Return the settings of a network that the training rows determine."""
        matrix = train.x.values
        rows = np.flatnonzero(_covered(train))
        mean, std = spread(train.y.values[rows])
        if not isinstance(matrix, np.ndarray) and len(rows) > _MOST_SCALED:
            notes.append(
                f"The scale of the inputs is learned on {_MOST_SCALED:,} of {len(rows):,} rows."
            )
            rows = rows[sample_indices(len(rows), _MOST_SCALED)]
        scales = _scaling(matrix, rows)
        if len(rows) == _MOST_SCALED:  # that of the forecasts, which is learned on all rows
            scales["scale"][: len(std)] = [1 / value for value in std]
        targets = content.values[training, : content.filled.shape[1]]
        known = "known" in self.roles.values()
        return {
            "covariates": content.covariates.shape[1] or None,
            "calendar": len(calendar_names(self.panel.calendar)) or None,
            "reversible_norm": _window_norm(
                targets, self.panel.codes[training], preset, known, task
            ),
            "scale_free": True,
            **scales,
            "target_scale": std,
            "target_offset": mean,
        }

    def facts(self, content: PanelValues) -> JsonObject:
        """Return facts for the checks and the overview."""
        sizes = self._sizes(content.observed)
        assert self.panel.calendar is not None
        series = {
            "count": len(self.panel),
            "step": self.panel.calendar.description,
            "shortest": int(sizes.min()),
            "longest": int(sizes.max()),
            "gaps": len(self.panel.gaps()),
            "empty_ahead": content.empty_ahead,
        }
        return {"time": None, "gone": {}, "series": series}

    def identity(
        self, content: PanelValues, cuts: Cuts, seconds: Mapping[str, Split]
    ) -> tuple[Any, list[Any]]:
        """Return what the fingerprint has of the splits, and of the rows."""
        more = [self.panel.numbers, self.panel.bounds, content.covariates.own]
        more += [np.asarray(split.x.values) for split in seconds.values()]
        first = cuts.limits["validation"]
        return [[number for number in first if number is not None]], more


def _checked_roles(
    rows: Rows,
    series_id: Sequence[str],
    known: Sequence[str],
    static: Sequence[str],
    time: str,
    target: Names,
    drop: Names,
) -> dict[str, str]:
    """Return column -> "known" or "static".

    Raises:
        KzooError: an unknown column, or one with two roles.
    """
    taken: dict[str, str] = {}
    roles: dict[str, str] = {}
    for argument, names in (
        ("drop", as_names(drop)),
        ("target", named_targets(target, rows.columns)),
        ("time", [time]),
        ("series_id", series_id),
        ("known_covariates", known),
        ("static_covariates", static),
    ):
        if argument not in ("drop", "target", "time"):
            require(rows, names, "the table")
            check_distinct(names, argument)
        for column in names:
            if other := taken.get(column):
                raise KzooError(
                    f"Column {column!r} is in {argument}= and in {other}=. Remove it from one of them."
                )
            taken[column] = argument
            if argument.endswith("_covariates"):
                roles[column] = argument.removesuffix("_covariates")
    return roles


def _learned_calendar(codes: np.ndarray, moments: Moments, column: str, gaps: bool) -> Calendar:
    """Return the calendar of the longest series.

    Raises:
        KzooError: none of the five longest series has a regular step.
    """
    counts = np.bincount(codes)
    for code in np.argsort(-counts, kind="stable")[:5]:
        if (calendar := learn_calendar(moments.part(codes == code), column, gaps=gaps)) is not None:
            return calendar
    raise KzooError(
        f"The times in {column!r} have no regular step in the longest series ({plural(int(counts.max()), 'row')}). A "
        "panel needs rows at regular times, such as one a day; rows may be missing."
    )


def _learned_covariate(
    rows: Rows,
    name: str,
    role: str,
    override: Mapping[str, str] | None,
    warnings: list[str],
    decimal: str | None,
) -> Covariate:
    """Return how a known or static column is read: as numbers, or as a channel for each of its texts."""
    overrides = {name: override} if override else {}
    stored = number_formats_of(rows, [name], overrides, warnings, decimal).get(name)
    numbers = rows.numbers(name, stored)
    words = to_words(rows[name])
    words[~are_filled(rows[name])] = None
    if not len(present := np.flatnonzero([word is not None for word in words])):
        raise KzooError(
            f"{role.capitalize()} column {name!r} is empty. Fill it in, or leave it out with drop=."
        )
    infinite = [row for row in present if words[row].lstrip("+-").lower() in ("inf", "infinity")]
    if infinite and np.isfinite(numbers).any():
        cell = shown(rows[name][infinite[0]])
        row = infinite[0] + 1
        raise KzooError(
            f"{role.capitalize()} column {name!r} has {cell} in row {row}, which is not a number. Correct it."
        )
    texts = {
        str(word)
        for word, number in zip(words, numbers, strict=True)
        if word is not None and np.isnan(number)
    }
    kind = (override or {}).get("kind")
    if kind != "category" and not texts:
        return Covariate(name=name, role=role, number_format=stored)
    categories = sorted({str(word) for word in words if word is not None})
    if len(categories) > MAX_CATEGORIES:
        raise KzooError(
            f"{role.capitalize()} column {name!r} has {len(categories)} different values; at most {MAX_CATEGORIES} are "
            f"possible, or only numbers (first text: {shown(sorted(texts or set(categories))[0])}). Group them, or use "
            "drop= to leave it out."
        )
    if texts and np.isfinite(numbers).any() and kind != "category":
        warnings.append(
            f"{role.capitalize()} column {name!r} has numbers and texts, such as {shown(sorted(texts)[0])}: each of "
            f"its {len(categories)} values counts as a category."
        )
    return Covariate(name=name, role=role, categories=tuple(categories))


def _fold_of(numbers: np.ndarray, fold: splits.Fold) -> tuple[np.ndarray, int | None, float]:
    """Return the step numbers of the rows of a fold, the first one after it (None for no limit), and its test share."""
    ordered = np.sort(numbers)
    rows, fraction = splits.expanding_cut(len(ordered), fold)
    end = int(ordered[rows]) if rows < len(ordered) else None
    first = int(ordered[rows - round(rows * fraction)])
    inside = numbers if end is None else numbers[numbers < end]
    return inside, end, float((inside >= first).mean())


def _cut_numbers(
    numbers: np.ndarray, validation: float, test: float, horizon: int
) -> tuple[int, int]:
    """Return the first step numbers of the validation and of the test split."""
    first_validation, first_test = splits.split_time(len(numbers), validation=validation, test=test)
    ordered = np.append(np.sort(numbers), numbers.max() + 1)
    second = int(ordered[first_test])
    second = (
        min(second, int(ordered[-1]) - horizon) if first_test < len(numbers) else int(ordered[-1])
    )
    first = (
        int(ordered[min(first_validation, len(numbers))])
        if first_validation < first_test
        else second
    )
    return min(first, second - horizon) if first_validation < first_test else second, second


def _first_calibration(
    numbers: np.ndarray,
    held_out: splits.HeldOut,
    test: float,
    cuts: tuple[int, int],
    horizon: int,
) -> int:
    """Return the first step number of the calibration split, with room for a window in it and in the one before.

    Args:
        numbers: (R,) step numbers of the rows.
        held_out: the fractions of the validation and the calibration rows.
        test: that of the test rows.
        cuts: first step numbers of both together, and of the test split.
        horizon: steps of a forecast.

    Raises:
        KzooError: there is no room.
    """
    if held_out.share >= 1:
        return cuts[0]
    first, end = cuts
    if end - first < 2 * horizon:
        raise KzooError(
            f": the {plural(end - first, 'step')} of the validation and calibration rows are fewer than two horizons "
            f"of {plural(horizon, 'step')}. Set larger fractions, or lower horizon=.",
            argument="calibration",
            value=held_out.calibration,
        )
    own, _ = splits.split_time(len(numbers), validation=held_out.calibration, test=test)
    wanted = int(np.sort(numbers)[min(own, len(numbers) - 1)])
    return min(max(wanted, first + horizon), end - horizon)


def _window_norm(
    values: np.ndarray, codes: np.ndarray, preset: Preset | None, known: bool, task: str
) -> str | bool:
    """Return the normalisation of windows.

    It is "log" for targets that are never negative and in most series deviate by more than half of their mean: sales
    that are often 0, or high on a few days, which would determine mean and standard deviation of a window. The preset's
    "last" stays for values without known columns: the last value may be that of a promotion.

    Args:
        values: (R, targets) of the training rows.
        codes: (R,) the series of each row.
        preset: the preset, or None.
        known: whether there are known columns.
        task: public name of the task.
    """
    if (values >= 0).all() and (_relative_deviation(values, codes) > _UNEVEN).all():
        return "log"
    is_last = preset is not None and preset.config.get("reversible_norm") == "last"
    return "last" if is_last and not known and "quantiles" not in problem(task).facts else True


def _relative_deviation(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the median over series of standard deviation / mean of values (R, targets) that are not negative.

    Args:
        values: the values; series of zeros do not count.
        codes: (R,) the series of each row.
    """
    counts = np.bincount(codes)
    ratios = []
    for column in values.T.astype(np.float64):
        mean, square = (
            np.bincount(codes, power) / np.maximum(counts, 1) for power in (column, column**2)
        )
        some = mean > 0
        deviation = np.sqrt(np.maximum(square - mean**2, 0))
        ratios.append(np.median(deviation[some] / mean[some]) if some.any() else 0.0)
    return np.array(ratios)


def _scaling(matrix: RowArray, rows: np.ndarray) -> JsonObject:
    """Return the scale of the columns of some rows; of many, column by column, which takes less memory."""
    if len(rows) * matrix.shape[1] <= _MOST_AT_ONCE:
        return scaling(matrix[rows])
    if not isinstance(matrix, np.ndarray):
        matrix = matrix[rows]
        rows = np.arange(len(matrix))
    columns = [scaling(matrix[rows, i : i + 1]) for i in range(matrix.shape[1])]
    return {name: [column[name][0] for column in columns] for name in ("scale", "offset")}


def _covered(split: Split) -> np.ndarray:
    """Return which rows some windows and the values after them cover (R,)."""
    change = np.zeros(len(split.x.values) + 1, int)
    np.add.at(change, split.x.starts, 1)
    np.add.at(change, split.y.starts + split.y.length, -1)
    return np.cumsum(change[:-1]) > 0


def fold_note(fold: splits.Fold, first: str, last: str) -> str:
    """Return a note about the rows of a fold, given the times of the first and the last row of its test part."""
    number = f"{fold.index + 1} of {fold.folds}"
    return f"Fold {number}: tested on {first} to {last}, trained on earlier rows; later ones are not used."
