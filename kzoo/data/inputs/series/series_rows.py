"""One series in rows: how a table of it is sorted, split and scaled for training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data import splits
from kzoo.data.dataset import Split
from kzoo.data.inputs.rows.scaling import scaling
from kzoo.data.inputs.series.panel_rows import Cuts, Names, PanelRows, fold_note, named_targets
from kzoo.data.inputs.series.season import window_length
from kzoo.data.inputs.series.windows import no_window, shorter_sizes, sort_by_time, time_facts
from kzoo.data.options import DataOptions
from kzoo.inference.kinds.series.calendar import calendar_of
from kzoo.inference.kinds.series.one_series import OneSeries, detect_time_column
from kzoo.inference.kinds.series.steps import SEVERAL_SEASONS
from kzoo.inference.kinds.series.times import Times
from kzoo.inference.kinds.series.windows import PanelValues
from kzoo.inference.tables.raw import as_names, rows_of
from kzoo.inference.tables.values import not_missing
from kzoo.inference.tasks.values import spread
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed, plural
from kzoo.zoo.registry.preset import Preset

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesRows(PanelRows):
    """The rows of one series for training, in order of time.

    Args:
        times: their `Times`, in order of the table; None without a time column.
        limits: split -> its first step, and its end.
    """

    panel: OneSeries
    times: Times | None
    limits: dict[str, tuple[int, int]]

    @classmethod
    def of(
        cls,
        frame: "DataFrame",
        ids: Sequence[str],
        options: DataOptions,
        name: str,
        notes: list[str],
    ) -> "SeriesRows":
        """Return the rows of a table in order of time, without those after the last target, or after a fold.

        Raises:
            KzooError: covariates, rows of several series, or rows that share a step.
        """
        for argument in ("known_covariates", "static_covariates"):
            if columns := as_names(getattr(options, argument) or ()):
                raise KzooError(
                    "is for a table of many series. Name the column that tells them apart in series_id=; for one "
                    "series, a column of one value.",
                    argument=argument,
                    value=columns[0],
                )
        source = frame
        frame, whole = sort_by_time(
            frame, detect_time_column(frame, options.time), notes, date_order=options.date_order
        )
        frame, times = _drop_future_rows(frame, whole, options.target, notes)
        validation, test = options.validation, options.test
        if isinstance(test, splits.Fold):
            rows, fraction = splits.expanding_cut(len(frame), test)
            ends = (rows - round(rows * fraction), rows - 1)
            notes.append(fold_note(test, *(_name_of_row(times, row) for row in ends)))
            frame = frame.iloc[:rows]
            times = None if times is None else times.take(times.order[:rows])
            test = fraction
        first_validation, first_test = splits.split_time(
            len(frame), validation=splits.drawn(validation), test=splits.drawn(test)
        )
        first_calibration = first_test
        if isinstance(validation, splits.HeldOut):  # its end
            first_calibration = first_test - round(len(frame) * validation.calibration)
        gaps = not options.reads_gaps_as_before
        calendar = None if whole is None else calendar_of(whole, first_validation, gaps=gaps)
        stored: dict[str, Any] = {"time": None}
        apart = {}
        if times is not None:
            stored = {"time": times.column, "zones": {times.column: times.zone}}
            stored |= {"times": times.time_format} if times.time_format else {}
            stored |= {"calendar": calendar.json()} if calendar else {}
            apart = {times.column: ("time", f"{times.step} apart, from {' to '.join(times.ends)}")}
            if calendar is None:
                notes.append(
                    f"The times in {times.column!r} have no regular step: forecasts have step numbers instead of "
                    "times, and there is no seasonal baseline."
                )
        fill = SEVERAL_SEASONS if gaps else ""
        panel = OneSeries.of(times, len(frame), calendar, where=repr(name), fill=fill)
        cuts = {
            "train": (0, first_validation),
            "validation": (first_validation, first_calibration),
            "test": (first_test, len(frame)),
        }
        if first_calibration < first_test:
            cuts["calibration"] = (first_calibration, first_test)
        steps = np.append(panel.steps.of_rows, len(panel.numbers))
        limits = {part: (int(steps[start]), int(steps[end])) for part, (start, end) in cuts.items()}
        return cls(
            source=source,
            frame=frame,
            panel=panel,
            learned=first_validation,
            stored=stored,
            apart=apart,
            drop=as_names(options.drop),
            note="The series is split in order of time.",
            roles={},
            times=times,
            limits=limits,
        )

    def cuts(
        self, content: PanelValues, options: DataOptions, horizon: int, name: str, notes: list[str]
    ) -> Cuts:
        """Return where the series is cut into splits: at fractions of its rows."""
        return Cuts(limits=dict(self.limits), training=self.panel.numbers < self.limits["train"][1])

    def window_length(
        self,
        values: np.ndarray,
        training: np.ndarray,
        horizon: int,
        preset: Preset,
        columns: int,
        seconds: Sequence[int],
    ) -> tuple[int, str]:
        """Return the default length of a window, and a note with the reason."""
        return window_length(
            values[training],
            horizon,
            columns=columns,
            times=self.panel.times,
            calendar=self.panel.calendar,
            max_steps=min([len(values), *(rows - horizon for rows in seconds)]),
            min_steps=preset.config.get("patch_size") or 1,
        )

    def check_windows(
        self, parts: Mapping[str, Split], steps: int, horizon: int, name: str, fix: str
    ) -> None:
        """Refuse a split without a window.

        Raises:
            KzooError: there is one.
        """
        for part, (start, end) in self.limits.items():
            if part not in parts and (start < end or part == "train"):
                raise no_window(part, start, end, steps, horizon, name, fix)

    def sizes_that_fit(
        self, steps: int, horizon: int, preset: Preset | None, seconds: Sequence[int]
    ) -> str:
        """Return what to do if windows do not fit: sizes that would."""
        parts = [*self.limits.values(), *((0, rows) for rows in seconds)]
        return shorter_sizes(parts, steps, horizon, preset)

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
        values = content.values[training]
        mean, std = spread(values)
        targets = content.filled.shape[1]
        return {
            "scale_free": True,
            **scaling(values),
            "target_scale": std[:targets],
            "target_offset": mean[:targets],
        }

    def facts(self, content: PanelValues) -> JsonObject:
        """Return facts for the checks and the overview."""
        return time_facts(self.times, content.missing)

    def identity(
        self, content: PanelValues, cuts: Cuts, seconds: Mapping[str, Split]
    ) -> tuple[Any, list[Any]]:
        """Return what the fingerprint has of the splits, and of the rows."""
        missing = self.panel.steps.missing
        more: list[Any] = [missing] if missing else []
        more += [seconds["validation"].x.values] if "validation" in seconds else []
        return list(self.limits.values()), more


def _drop_future_rows(
    frame: "DataFrame", times: Times | None, target: Names, notes: list[str]
) -> tuple["DataFrame", Times | None]:
    """Return a series and its times without the rows at the end that have no value of any target."""
    targets = named_targets(target, frame.columns)
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


def _name_of_row(times: Times | None, row: int) -> str:
    """Return the time of a row in order of time, or its number."""
    return str(row + 1) if times is None else times.at(row)
