"""How close numbers come: `forecast` and `predicted_against_true`."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike
from sklearn import metrics as sk

from kzoo.plots.colors import BLUE, FAINT, GREY, INK, ORANGE
from kzoo.plots.figure import new_figure, tidy
from kzoo.plots.predictions import name_of
from kzoo.utils.errors import KzooError

_MOST_TARGETS = 9
_MOST_POINTS = 5000


def forecast(
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    history: ArrayLike | None = None,
    names: Sequence[str] = (),
    count: int = 4,
    windows: Sequence[int] | None = None,
) -> Figure:
    """Draw some forecasts beside what came: a row for each target, a column for each window, evenly spaced in time.

    Args:
        truth: (N, horizon, targets) values that came.
        predicted: (N, horizon, targets) values that were forecast.
        history: (N, steps, features) values that the model saw, the targets first; up to twice the horizon is drawn.
        names: names of the targets.
        count: number of windows to draw.
        windows: (N,) the number of each window, for its title; None counts them from 1.

    Raises:
        KzooError: shapes that do not fit, no windows, or truth that is not a number.
    """
    truth, predicted = (_values(what, v) for what, v in (("truth", truth), ("predicted", predicted)))
    if truth.ndim != 3 or truth.shape != predicted.shape:
        raise KzooError(
            f"truth has shape {truth.shape} and predicted {predicted.shape}; both must be (windows, horizon, targets)."
        )
    many, horizon, targets = truth.shape
    names = _names(names, targets)
    if count < 1:
        raise KzooError(f"count={count!r} must be 1 or more.")
    windows = range(1, many + 1) if windows is None else windows
    if len(windows) != many:
        raise KzooError(f"windows has {len(windows)} numbers for {many} windows.")
    if history is not None:
        history = np.asarray(history)
        if history.ndim != 3 or len(history) != many or history.shape[-1] < targets:
            raise KzooError(
                f"history has shape {history.shape}; it must be ({many}, steps, {targets} or more features)."
            )
        history = history[:, -max(2 * horizon, 24) :]
    places = np.unique(np.linspace(0, many - 1, min(count, many)).round().astype(int))
    rows = min(targets, _MOST_TARGETS)
    figure = new_figure(0.6 + 3.4 * len(places), 0.9 + max(2.0 * rows, 2.6))
    panels = figure.subplots(rows, len(places), sharex=True, sharey="row", squeeze=False)
    steps = np.arange(1, horizon + 1)
    marker = dict(marker="o", ms=3.5) if horizon <= 15 else {}
    for target, row in enumerate(panels):
        for place, axes in zip(places, row, strict=True):
            tidy(axes, f"window {windows[place]:,}" if target == 0 else "")
            if history is not None:
                past = history[place, :, target]
                axes.plot(np.arange(1 - len(past), 1), past, color=GREY, lw=1.2, label="history")
                # The lines go on where the history ends.
                axes.plot([0, 1], [past[-1], truth[place, 0, target]], color=BLUE, lw=1.4)
                axes.axvline(0.5, color=FAINT, lw=1)
            axes.plot(steps, truth[place, :, target], color=BLUE, lw=1.6, label="truth", **marker)
            axes.plot(steps, predicted[place, :, target], color=ORANGE, lw=1.8, label="forecast", **marker)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
            axes.margins(x=0.02)
        row[0].set_ylabel(name_of(names[target], ()), color=INK, parse_math=False)
    for axes in panels[-1]:
        axes.set_xlabel("steps from now", color=GREY)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False)
    if rows < targets:
        figure.supxlabel(f"the first {rows} of {targets} targets", color=GREY, fontsize=9)
    return figure


def predicted_against_true(true: ArrayLike, predicted: ArrayLike, names: Sequence[str] = ()) -> Figure:
    """Draw each prediction against the truth, one panel per target; on the line it would be right.

    Args:
        true: (N,), (N, targets) or (N, horizon, targets) values.
        predicted: values of the same shape.
        names: names of the targets.

    Raises:
        KzooError: shapes that do not fit, or values that are not numbers.
    """
    true, predicted = (_values(what, v) for what, v in (("true", true), ("predicted", predicted)))
    if true.shape != predicted.shape:
        raise KzooError(f"true has shape {true.shape}, predicted {predicted.shape}: they must be the same.")
    true, predicted = (v.reshape(-1, v.shape[-1] if v.ndim > 1 else 1) for v in (true, predicted))
    names = _names(names, true.shape[1])
    shown = min(true.shape[1], _MOST_TARGETS)
    wide = min(shown, 3)
    tall = math.ceil(shown / wide)
    figure = new_figure(4.4 * wide, 4.5 * tall)
    thin = slice(None, None, math.ceil(len(true) / _MOST_POINTS))
    for target in range(shown):
        axes = figure.add_subplot(tall, wide, target + 1)
        x, y = true[:, target], predicted[:, target]
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        room = 0.04 * (high - low) or 1.0
        limits = (low - room, high + room)
        axes.plot(limits, limits, color=GREY, lw=1, ls=(0, (2, 2)), zorder=1)
        alpha = float(np.clip(60 / len(x[thin]) ** 0.7, 0.12, 0.8))
        axes.scatter(x[thin], y[thin], s=14, color=BLUE, alpha=alpha, linewidths=0, zorder=2)
        tidy(axes, name_of(names[target], ()), x="true", y="predicted")
        axes.set_xlim(limits)
        axes.set_ylim(limits)
        axes.set_aspect("equal")
        scores = [f"mean absolute error {sk.mean_absolute_error(x, y):.4g}"]
        if np.ptp(x) > 0:
            scores.append(f"R² {sk.r2_score(x, y):.3f}")
        axes.text(0.03, 0.97, "\n".join(scores), transform=axes.transAxes, va="top", fontsize=9, color=INK)
    return figure


def _values(what: str, values: ArrayLike) -> np.ndarray:
    values = np.asarray(values, dtype="float64")
    if not values.size:
        raise KzooError(f"{what} holds no values.")
    if not np.isfinite(values).all():
        raise KzooError(f"{what} holds {int((~np.isfinite(values)).sum())} values that are not numbers (NaN or inf).")
    return values


def _names(names: Sequence[str], targets: int) -> list[str]:
    if len(names) not in (0, targets):
        raise KzooError(f"There are {len(names)} names for {targets} targets.")
    return list(names) or ["" if targets == 1 else f"target {t + 1}" for t in range(targets)]
