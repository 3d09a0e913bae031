"""`learning_curve`: plot a score over the number of training rows, with its forecast."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from kzoo.plots.colors import BLUE, FAINT, GREY, INK
from kzoo.plots.figure import legend_below, new_figure, style_axes

if TYPE_CHECKING:
    from kzoo.evaluation.learning_curve import LearningCurve

_POINTS = 40


def learning_curve(curve: "LearningCurve") -> Figure:
    """Plot the score of each training over its number of rows, the fitted power law, and the forecast to four times.

    Power laws of this kind: https://arxiv.org/abs/1712.00409.

    The band is the 80 % interval of a single new training.

    Args:
        curve: `kzoo.check(..., learning_curve=True).learning_curve`.

    Returns:
        A matplotlib `Figure`.

    Examples:
        >>> found = kzoo.check("iris_fnn", "iris", learning_curve=True, epochs=1)
        >>> figure = kzoo.plots.learning_curve(found.learning_curve)
    """
    figure = new_figure(6.6, 4.2)
    axes = figure.add_subplot()
    style_axes(
        axes,
        f"{curve.preset} on {curve.data}: {curve.metric} on {curve.rows:,} {curve.split} rows",
        x="training rows",
        y="higher is better" if curve.is_share else "lower is better",
    )
    today = curve.sizes[-1]
    sizes = np.geomspace(curve.sizes[0], 4 * today, _POINTS)
    values = [curve.forecast(int(size)) for size in np.minimum(sizes, 4 * today)]
    score, low, high = (
        np.array([value[name] for value in values]) for name in ("score", "low", "high")
    )
    ahead = sizes >= today
    axes.fill_between(
        sizes[ahead],
        low[ahead],
        high[ahead],
        color=FAINT,
        lw=0,
        label="80 % interval of a new training",
    )
    axes.plot(sizes, score, color=GREY, lw=1.3, ls=(0, (5, 3)), label="power law")
    every: Any = [
        (size, value) for size, row in zip(curve.sizes, curve.scores, strict=True) for value in row
    ]
    axes.plot(
        *zip(*every, strict=True),
        "o",
        color=BLUE,
        ms=5.5,
        mec="white",
        mew=0.8,
        label="a training",
        zorder=4,
    )
    axes.axvline(today, color=INK, lw=0.8, ls=":", label=f"today: {today:,} rows")
    axes.set_xscale("log")
    ticks = [*curve.sizes, 4 * today]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks], rotation=30)
    axes.minorticks_off()
    legend_below(axes)
    return figure
