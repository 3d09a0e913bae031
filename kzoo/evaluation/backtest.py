"""Scores of forecasts from several moments, and their spread: one moment proves little."""

from collections.abc import Callable, Iterable

import numpy as np

from kzoo.data.dataset import Split
from kzoo.data.store.windows import series_of
from kzoo.problems.tasks import Scored
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import plural


def backtest(
    score: Callable[[Split], Scored],
    part: Split,
    *,
    n_windows: int,
    step_size: int | None,
    metrics: Iterable[str],
) -> JsonObject:
    """Return the scores of forecasts that begin at the last `n_windows` moments of a split.

    Args:
        score: function that scores some windows.
        part: the `Split`.
        n_windows: number of moments.
        step_size: steps between two of them, or a few more before a gap; None for the horizon, so that forecasts do not
            overlap.
        metrics: names of the scores whose mean and spread are returned.

    Returns:
        `windows`, the scores at each moment, earliest first, and `spread`: name -> mean, standard deviation, minimum
        and maximum over the moments.

    Raises:
        KzooError: the split is not cut from series, or has fewer moments.
    """
    windows = part.y
    if series_of(windows) is None:
        raise KzooError(
            "is for forecasts of series in a table. Leave it out.",
            argument="n_windows",
            value=n_windows,
        )
    moments = windows.moments
    step = windows.length if step_size is None else step_size
    wanted = [moments.max()]
    while len(wanted) < n_windows and len(earlier := moments[moments <= wanted[-1] - step]):
        wanted.append(earlier.max())
    wanted = wanted[::-1]
    if len(wanted) < n_windows:
        raise KzooError(
            f"with step_size={step} needs {plural(step * (n_windows - 1) + 1, 'moment')}, and "
            f"the split has windows for {len(wanted)} of these forecasts at most. Lower n_windows= or step_size=, or "
            "raise test=.",
            argument="n_windows",
            value=n_windows,
        )
    scores = [score(part.select(np.flatnonzero(moments == moment))).scores for moment in wanted]
    spread = {}
    for name in metrics:
        values = np.array(
            [row[name] for row in scores if isinstance(row.get(name), int | float)], float
        )
        if len(values) == n_windows:
            spread[name] = dict(
                mean=float(values.mean()),
                sd=float(values.std(ddof=1)) if n_windows > 1 else None,
                min=float(values.min()),
                max=float(values.max()),
            )
    return dict(windows=scores, spread=spread)
