"""Plots of numeric predictions: `forecast` and `predicted_against_true`."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike
from sklearn import metrics as sk

from kzoo.inference.tasks.central import nearest
from kzoo.plots.colors import BLUE, FAINT, GREY, INK, ORANGE, RED
from kzoo.plots.figure import new_figure, style_axes
from kzoo.plots.predictions import name_of
from kzoo.utils.errors import KzooError

_MAX_TARGETS = 9
_MAX_POINTS = 5000
_MAX_BAND = 400  # rows of a band, evenly spaced
_BAND = 0.25  # opacity of the area between quantiles


def forecast(
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    history: ArrayLike | None = None,
    names: Sequence[str] = (),
    count: int = 4,
    windows: Sequence[int | str] | None = None,
    band: tuple[ArrayLike, ArrayLike] | None = None,
) -> Figure:
    """Plot forecasts next to the truth: a row for each target, a column for each of some windows evenly spaced in time.

    Args:
        truth: (N, horizon, targets) true values.
        predicted: (N, horizon, targets) forecast values.
        history: (N, steps, features) values that the model saw, targets first; up to twice the horizon is plotted.
        names: names of the targets.
        count: number of windows to plot.
        windows: (N,) the number of each window, or its title; None: counted from 1.
        band: lower and upper quantile of each forecast value, both (N, horizon, targets); drawn as an area.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: shapes that do not match, no windows, or values that are not finite.

    Examples:
        >>> truth = np.sin(np.arange(24) / 4).reshape(2, 12, 1)  # 2 windows, 12 steps, 1 target
        >>> figure = kzoo.plots.forecast(truth, truth + 0.1, names=["load"], count=2)
    """
    truth, predicted = (
        _checked_array(argument, array)
        for argument, array in (("truth", truth), ("predicted", predicted))
    )
    if truth.ndim != 3 or truth.shape != predicted.shape:
        raise KzooError(
            f"truth and predicted must have shape (windows, horizon, targets) (truth: {truth.shape}, "
            f"predicted: {predicted.shape})."
        )
    if band is not None and any(np.shape(bound) != truth.shape for bound in band):
        raise KzooError(f"band must be two arrays in the shape of predicted: {predicted.shape}.")
    n_windows, horizon, n_targets = truth.shape
    names = _target_names(names, n_targets)
    if count < 1:
        raise KzooError("must be at least 1.", argument="count", value=count)
    windows = range(1, n_windows + 1) if windows is None else windows
    if len(windows) != n_windows:
        raise KzooError(
            f"windows must have one number per window (numbers: {len(windows)}, windows: {n_windows})."
        )
    if history is not None:
        history = np.asarray(history)
        if history.ndim != 3 or len(history) != n_windows or history.shape[-1] < n_targets:
            raise KzooError(
                f"history must have shape ({n_windows}, steps, {n_targets} or more features), not {history.shape}."
            )
        history = history[:, -max(2 * horizon, 24) :]
    selected = np.unique(np.linspace(0, n_windows - 1, min(count, n_windows)).round().astype(int))
    n_rows = min(n_targets, _MAX_TARGETS)
    figure = new_figure(0.6 + 3.4 * len(selected), 0.9 + max(2.0 * n_rows, 2.6))
    panels = figure.subplots(n_rows, len(selected), sharex=True, sharey="row", squeeze=False)
    steps = np.arange(1, horizon + 1)
    marker = dict(marker="o", ms=3.5) if horizon <= 15 else {}
    for target, axes_row in enumerate(panels):
        for window, axes in zip(selected, axes_row, strict=True):
            title = windows[window]
            style_axes(
                axes,
                (title if isinstance(title, str) else f"window {title:,}") if target == 0 else "",
            )
            if history is not None:
                past = history[window, :, target]
                axes.plot(np.arange(1 - len(past), 1), past, color=GREY, lw=1.2, label="history")
                # Connect the end of the history with the truth.
                axes.plot([0, 1], [past[-1], truth[window, 0, target]], color=BLUE, lw=1.4)
                axes.axvline(0.5, color=FAINT, lw=1)
            if band is not None:
                low, high = (np.asarray(bound)[window, :, target] for bound in band)
                axes.fill_between(steps, low, high, color=ORANGE, alpha=_BAND, lw=0, label="band")
            axes.plot(steps, truth[window, :, target], color=BLUE, lw=1.6, label="truth", **marker)
            axes.plot(
                steps,
                predicted[window, :, target],
                color=ORANGE,
                lw=1.8,
                label="forecast",
                **marker,
            )
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
            axes.margins(x=0.02)
        axes_row[0].set_ylabel(name_of(names[target]), color=INK, parse_math=False)
    for axes in panels[-1]:
        axes.set_xlabel("steps from now", color=GREY)
    handles = panels[0, 0].get_legend_handles_labels()
    columns = 3 if band is None else 2 if len(selected) == 1 else 4
    figure.legend(*handles, loc="outside upper right", ncols=columns, frameon=False)
    if n_rows < n_targets:
        figure.supxlabel(f"the first {n_rows} of {n_targets} targets", color=GREY, fontsize=9)
    return figure


def band(
    truth: ArrayLike, quantiles: ArrayLike, levels: Sequence[float], names: Sequence[str] = ()
) -> Figure:
    """Plot the band between the outer quantiles and the true values, in order of the middle quantile.

    Args:
        truth: (N,) true values of a target.
        quantiles: (N, levels) quantiles, ascending.
        levels: of the quantiles.
        names: name of the target, for the axis.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: shapes that do not match, or values that are not finite.

    Examples:
        >>> truth = np.random.default_rng(0).normal(size=100)
        >>> quantiles = np.tile([-1.28, 0.0, 1.28], (100, 1))
        >>> figure = kzoo.plots.band(truth, quantiles, levels=(0.1, 0.5, 0.9), names=["temperature"])
    """
    truth, quantiles = (
        _checked_array(argument, array)
        for argument, array in (("truth", truth), ("quantiles", quantiles))
    )
    truth = truth.reshape(-1)
    levels = tuple(levels)
    if quantiles.shape != (len(truth), len(levels)):
        raise KzooError(
            f"quantiles must have shape (rows, levels): {(len(truth), len(levels))}, not {quantiles.shape}."
        )
    middle = nearest(levels)
    order = np.argsort(quantiles[:, middle], kind="stable")[:: math.ceil(len(truth) / _MAX_BAND)]
    truth = truth[order]
    quantiles = quantiles[order]
    steps = np.arange(1, len(order) + 1)
    inside = (quantiles[:, 0] <= truth) & (truth <= quantiles[:, -1])
    figure = new_figure(7.5, 4.0)
    axes = figure.subplots()
    style_axes(axes)
    label = f"quantile {levels[0]:g} to {levels[-1]:g}"
    axes.fill_between(
        steps, quantiles[:, 0], quantiles[:, -1], color=ORANGE, alpha=_BAND, lw=0, label=label
    )
    axes.plot(
        steps, quantiles[:, middle], color=ORANGE, lw=1.6, label=f"quantile {levels[middle]:g}"
    )
    point: dict[str, Any] = dict(ls="", marker="o", ms=3, alpha=0.7)
    axes.plot(steps[inside], truth[inside], color=BLUE, label="truth within", **point)
    axes.plot(steps[~inside], truth[~inside], color=RED, label="truth outside", **point)
    axes.set_xlabel("rows, in order of the middle quantile", color=GREY)
    axes.set_ylabel(name_of(names[0], ()) if len(names) else "", color=INK, parse_math=False)
    axes.margins(x=0.01)
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside upper right", ncols=4, frameon=False
    )
    return figure


def predicted_against_true(
    true: ArrayLike, predicted: ArrayLike, names: Sequence[str] = ()
) -> Figure:
    """Plot predictions against true values, one panel per target; perfect predictions are on the diagonal line.

    Args:
        true: (N,), (N, targets) or (N, horizon, targets) values.
        predicted: (N,), (N, targets) or (N, horizon, targets) values, as `true`.
        names: names of the targets.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: shapes that do not match, or values that are not finite.

    Examples:
        >>> true = np.arange(50.0)
        >>> figure = kzoo.plots.predicted_against_true(true, true + 3, names=["price"])
    """
    true, predicted = (
        _checked_array(argument, array)
        for argument, array in (("true", true), ("predicted", predicted))
    )
    if true.shape != predicted.shape:
        raise KzooError(
            f"true and predicted must have the same shape (true: {true.shape}, predicted: {predicted.shape})."
        )
    true, predicted = (
        array.reshape(-1, array.shape[-1] if array.ndim > 1 else 1) for array in (true, predicted)
    )
    names = _target_names(names, true.shape[1])
    n_panels = min(true.shape[1], _MAX_TARGETS)
    n_columns = min(n_panels, 3)
    n_rows = math.ceil(n_panels / n_columns)
    figure = new_figure(4.4 * n_columns, 4.5 * n_rows)
    # Every n-th point, so that at most `_MAX_POINTS` are drawn; the scores below use all points.
    subset = slice(None, None, math.ceil(len(true) / _MAX_POINTS))
    for target in range(n_panels):
        axes = figure.add_subplot(n_rows, n_columns, target + 1)
        x, y = true[:, target], predicted[:, target]
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        margin = 0.04 * (high - low) or 1.0
        limits = (low - margin, high + margin)
        axes.plot(limits, limits, color=GREY, lw=1, ls=(0, (2, 2)), zorder=1)
        # The more points, the more transparent each of them.
        alpha = float(np.clip(60 / len(x[subset]) ** 0.7, 0.12, 0.8))
        axes.scatter(x[subset], y[subset], s=14, color=BLUE, alpha=alpha, linewidths=0, zorder=2)
        axes.set_xlim(limits)
        axes.set_ylim(limits)
        axes.set_aspect("equal")
        scores = [f"mean absolute error {sk.mean_absolute_error(x, y):.4g}"]
        # R² is undefined for a constant target.
        if np.ptp(x) > 0:
            scores.append(f"R² {sk.r2_score(x, y):.3f}")
        name = name_of(names[target])
        style_axes(
            axes, "\n".join([*([name] if name else []), ", ".join(scores)]), x="true", y="predicted"
        )
    return figure


def _checked_array(argument: str, array: ArrayLike) -> np.ndarray:
    array = np.asarray(array, dtype="float64")
    if not array.size:
        raise KzooError(f"{argument} is empty.")
    if not np.isfinite(array).all():
        raise KzooError(
            f"{argument} must be finite ({int((~np.isfinite(array)).sum())} values are NaN or inf)."
        )
    return array


def _target_names(names: Sequence[str], n_targets: int) -> list[str]:
    if len(names) not in (0, n_targets):
        raise KzooError(
            f"names must have one name per target (names: {len(names)}, targets: {n_targets})."
        )
    return list(names) or ["" if n_targets == 1 else f"target {i + 1}" for i in range(n_targets)]
