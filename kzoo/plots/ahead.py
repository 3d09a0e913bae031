"""`ahead`: a series and what is forecast of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from kzoo.plots.colors import FAINT, GREY, INK, ORANGE
from kzoo.plots.figure import new_figure, tidy
from kzoo.utils.errors import KzooError

_MOST_TARGETS = 9


def ahead(
    history: ArrayLike,
    predicted: ArrayLike,
    *,
    times: Sequence[Any] = (),
    history_times: Sequence[Any] = (),
    names: Sequence[str] = (),
) -> Figure:
    """Draw the history of a series and its forecast, a row for each target.

    Args:
        history: (steps, targets) values that the model saw, such as `Predictions.history[0]`.
        predicted: (horizon, targets) values that it says come next, such as `Predictions.values[0]`.
        times, history_times: of their steps, as `Predictions` has them; without them, steps are counted from now.
        names: names of the targets.

    Raises:
        KzooError: shapes that do not fit, or values that are not numbers.
    """
    past, future = np.asarray(history, "float64"), np.asarray(predicted, "float64")
    fits = past.ndim == future.ndim == 2 and past.shape[1] == future.shape[1] and len(past) and len(future)
    if not fits:
        raise KzooError(f"history has shape {past.shape} and predicted {future.shape}; both must be (steps, targets).")
    if not (np.isfinite(past).all() and np.isfinite(future).all()):
        raise KzooError("history and predicted must be numbers: there is NaN or infinity among them.")
    if len(times) not in (0, len(future)) or len(history_times) not in (0, len(past)):
        raise KzooError(f"There are {len(times)} times for {len(future)} steps, {len(history_times)} for {len(past)}.")
    if len(names) not in (0, past.shape[1]):
        raise KzooError(f"There are {len(names)} names for {past.shape[1]} targets.")
    dated = len(times) > 0 and len(history_times) > 0
    before, after = (history_times, times) if dated else (range(1 - len(past), 1), range(1, len(future) + 1))
    zone = getattr(after[-1], "tzinfo", None)
    rows = min(past.shape[1], _MOST_TARGETS)
    figure = new_figure(9, 0.9 + max(2.2 * rows, 2.6))
    panels = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    marker = dict(marker="o", ms=3.5) if len(future) <= 15 else {}
    for i, axes in enumerate(panels):
        tidy(axes)
        axes.plot(list(before), past[:, i], color=GREY, lw=1.3, label="history")
        # The forecast goes on where the history ends.
        axes.plot([before[-1], after[0]], [past[-1, i], future[0, i]], color=ORANGE, lw=1.2, ls=":")
        axes.plot(list(after), future[:, i], color=ORANGE, lw=1.9, label="forecast", **marker)
        axes.axvline(before[-1], color=FAINT, lw=1)
        axes.margins(x=0.02)
        axes.set_ylabel(str(names[i]) if names else "", color=INK, parse_math=False)
    last = panels[-1]
    if hasattr(after[-1], "year"):
        locator = AutoDateLocator(tz=zone, minticks=4, maxticks=9)
        last.xaxis.set_major_locator(locator)
        last.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))
    else:
        last.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        last.set_xlabel("" if dated else "steps from now", color=GREY)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False)
    if rows < past.shape[1]:
        figure.supxlabel(f"the first {rows} of {past.shape[1]} targets", color=GREY, fontsize=9)
    return figure
