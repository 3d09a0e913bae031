"""Windows of the splits of a panel, and the values that follow them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from kzoo.data.dataset import Split
from kzoo.data.store.windows import SeriesOfWindows, Windows
from kzoo.inference.kinds.series.covariates import window_columns
from kzoo.inference.kinds.series.panel import Panel, listed_series
from kzoo.inference.kinds.series.steps import WindowRules, window_notes
from kzoo.inference.kinds.series.values import PanelValues
from kzoo.inference.kinds.series.windows import padded
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural
from kzoo.zoo.registry.preset import Preset

Limits = tuple[
    int | None, int | None
]  # first step number of the targets of a split, and its end; None for no limit


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitWindows:
    """The windows of the splits of a panel.

    Args:
        parts: split -> its windows, or None without any.
        notes: about windows that are left out, and series that are padded.
        over_jumps: number of windows with missing rows in the forecast horizon that are used.
    """

    parts: dict[str, Split | None]
    notes: list[str]
    over_jumps: int

    @property
    def split(self) -> Split:
        """The windows of the only split, which has some."""
        (split,) = self.parts.values()
        assert split is not None
        return split


def split_windows(
    panel: Panel, content: PanelValues, steps: int, horizon: int, limits: Mapping[str, Limits]
) -> SplitWindows:
    """Return the windows of each split of a panel.

    Series of a panel with few rows get the first row repeated before it, so that they have a window of the full length.
    Windows with a target that was filled in, or with a gap that was not, among the values to forecast are left out. If
    these are more than half of a split, those with few such targets are used (see `WindowRules`).

    Args:
        panel, content: the `Panel` and its `PanelValues`.
        steps, horizon: sizes of a window.
        limits: split -> its `Limits`.
    """
    padding = padded(panel, content.observed, steps, horizon)
    source, is_row = padding.source, padding.is_row
    targets = content.filled.shape[1]
    rows = np.arange(len(source), dtype=source.dtype)
    numbers = panel.numbers[source]
    last = np.minimum(rows + horizon, len(rows)) - 1
    complete = (rows - padding.firsts >= steps) & (rows + horizon <= padding.ends) & is_row
    complete &= content.is_past[source[last]]
    if len(breaks := np.setdiff1d(panel.parts, panel.bounds)):
        breaks = np.flatnonzero(is_row & np.isin(source, breaks))
        complete &= ~_reach_over(breaks, rows, 1 - steps, horizon)
    rules = WindowRules(
        filled=content.filled[source] & is_row[:, None], steps=steps, horizon=horizon
    )
    values = window_columns(content.values, content.covariates, source, padding.ends, horizon)
    y = np.ascontiguousarray(content.values[source, :targets])
    series = None
    if panel.is_padded:
        names = tuple(panel.names)
        series = SeriesOfWindows(panel.codes[source], padding.own_firsts, names, numbers)
    last_numbers = numbers[last]
    parts: dict[str, Split | None] = {}
    shares = dict[str, float]()
    left_out = over_jumps = 0
    for part, (low, high) in limits.items():
        inside = complete if low is None else complete & (numbers >= low)
        every = np.flatnonzero(inside if high is None else inside & (last_numbers < high)).astype(
            rows.dtype
        )
        strict, usable = rules.usable(every - steps)
        over_jump = _reach_over(panel.jumps, every, 0, horizon)
        strict = strict & ~over_jump
        is_strict = 2 * strict.sum() >= usable.sum()
        starts = every[strict if is_strict else usable]
        left_out += len(every) - len(starts)
        over_jumps += 0 if is_strict else int(over_jump.sum())
        parts[part] = None
        if len(starts):
            shares[part] = rules.share_filled(starts - steps)
            own = None if series is None else series.part(starts)
            x = Windows(values, starts - steps, steps, own)
            parts[part] = Split(x=x, y=Windows(y, starts, horizon, own))
    notes = window_notes(left_out, shares)
    for short, of_series in (
        (
            padding.short,
            f"have few rows ({{}}): the first is repeated to fill a window of {plural(steps, 'step')}.",
        ),
        (
            padding.too_short,
            f"have no more than {plural(horizon, 'row')} with targets and are left out ({{}}).",
        ),
    ):
        if short:
            notes.append(
                f"{len(short)} of {len(panel)} series {of_series.format(listed_series(short))}"
            )
    if over_jumps:
        notes.append(
            f"{plural(over_jumps, 'window')} with missing rows in the forecast horizon: excluding them would remove "
            "more than half of a split, so the rows are treated as consecutive."
        )
    return SplitWindows(parts=parts, notes=notes, over_jumps=over_jumps)


def _reach_over(gaps: np.ndarray, starts: np.ndarray, first: int, end: int) -> np.ndarray:
    """Return whether a gap is before one of the steps from `first` to before `end` of each window (N,)."""
    return np.searchsorted(gaps, starts + first) != np.searchsorted(gaps, starts + end)


def no_window(
    part: str, start: int, end: int, steps: int, horizon: int, name: str, fix: str
) -> KzooError:
    """Return the error of a split of one series without a window.

    Args:
        part: name of the split.
        start, end: its rows.
        steps, horizon: sizes of a window.
        name: of the series.
        fix: what to do if the split has too few rows.
    """
    if max(0, start - steps) > end - steps - horizon:
        return KzooError(
            f"The {part} part of {name!r} has {plural(end - start, 'row')}, which is too few for a window of "
            f"{plural(steps, 'step')} and a horizon of {horizon}; {fix}."
        )
    return KzooError(
        f"No {horizon} consecutive rows of {name!r}{'' if part == 'all' else f' ({part})'} after a window of "
        f"{plural(steps, 'step')} have values of all targets: there is nothing to "
        f"{'train on' if part == 'train' else 'score'}."
    )


def shorter_sizes(
    parts: Iterable[tuple[int, int]], steps: int, horizon: int, preset: Preset | None
) -> str:
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
