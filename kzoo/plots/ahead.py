"""`ahead`: plot a series and its forecast."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from kzoo.plots.colors import FAINT, GREY, INK, ORANGE
from kzoo.plots.figure import new_figure, style_axes
from kzoo.utils.errors import KzooError

_MAX_TARGETS = 9


def ahead(
    history: ArrayLike,
    predicted: ArrayLike,
    *,
    times: Sequence[Any] = (),
    history_times: Sequence[Any] = (),
    names: Sequence[str] = (),
    band: tuple[ArrayLike, ArrayLike] | None = None,
) -> Figure:
    """Plot the history of a series and its forecast, a row for each target.

    Args:
        history: (steps, targets) values that the model saw, such as `Predictions.history[0]`.
        predicted: (horizon, targets) forecast values, such as `Predictions.values[0]`.
        times, history_times: the times of their steps, as in `Predictions`. Without times, steps are counted from now.
        names: names of the targets.
        band: lower and upper quantile of each forecast value, in the shape of `predicted`; drawn as an area.

    Raises:
        KzooError: shapes that do not match, or values that are not finite.
    """
    past, future = np.asarray(history, "float64"), np.asarray(predicted, "float64")
    is_valid = past.ndim == future.ndim == 2 and past.shape[1] == future.shape[1] and len(past) and len(future)
    if not is_valid:
        raise KzooError(
            f"history and predicted must be (steps, targets) (history: {past.shape}, predicted: {future.shape})."
        )
    if not (np.isfinite(past).all() and np.isfinite(future).all()):
        raise KzooError("history and predicted must be finite numbers, but they contain NaN or infinity.")
    if band is not None and any(np.shape(bound) != future.shape for bound in band):
        raise KzooError(f"band must be two arrays in the shape of predicted: {future.shape}.")
    if len(times) not in (0, len(future)) or len(history_times) not in (0, len(past)):
        raise KzooError(
            f"times and history_times must have one time per step (times: {len(times)} for {len(future)} steps, "
            f"history_times: {len(history_times)} for {len(past)})."
        )
    if len(names) not in (0, past.shape[1]):
        raise KzooError(f"names must have one name per target (names: {len(names)}, targets: {past.shape[1]}).")
    has_times = len(times) > 0 and len(history_times) > 0
    past_times, future_times = (
        (history_times, times) if has_times else (range(1 - len(past), 1), range(1, len(future) + 1))
    )
    # matplotlib converts times to UTC unless it is given the time zone.
    zone = getattr(future_times[-1], "tzinfo", None)
    n_rows = min(past.shape[1], _MAX_TARGETS)
    figure = new_figure(9, 0.9 + max(2.2 * n_rows, 2.6))
    panels = figure.subplots(n_rows, 1, sharex=True, squeeze=False)[:, 0]
    marker = dict(marker="o", ms=3.5) if len(future) <= 15 else {}
    for i, axes in enumerate(panels):
        style_axes(axes)
        axes.plot(list(past_times), past[:, i], color=GREY, lw=1.3, label="history")
        if band is not None:
            low, high = (np.asarray(bound)[:, i] for bound in band)
            axes.fill_between(list(future_times), low, high, color=ORANGE, alpha=0.25, lw=0, label="band")
        # A dotted line connects the end of the history with the forecast.
        axes.plot([past_times[-1], future_times[0]], [past[-1, i], future[0, i]], color=ORANGE, lw=1.2, ls=":")
        axes.plot(list(future_times), future[:, i], color=ORANGE, lw=1.9, label="forecast", **marker)
        axes.axvline(past_times[-1], color=FAINT, lw=1)
        axes.margins(x=0.02)
        axes.set_ylabel(str(names[i]) if names else "", color=INK, parse_math=False)
    bottom = panels[-1]
    if hasattr(future_times[-1], "year"):
        locator = AutoDateLocator(tz=zone, minticks=4, maxticks=9)
        bottom.xaxis.set_major_locator(locator)
        bottom.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))
    else:
        bottom.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        bottom.set_xlabel("" if has_times else "steps from now", color=GREY)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False)
    if n_rows < past.shape[1]:
        figure.supxlabel(f"the first {n_rows} of {past.shape[1]} targets", color=GREY, fontsize=9)
    return figure
