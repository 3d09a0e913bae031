"""The size of the errors that a series makes by itself: its seasonal differences in a window. Imports only NumPy.

Errors of forecasts, widths of bands and losses are divided by it, so that small and large series can be compared. It is
the denominator of MASE (Hyndman and Koehler, 2006, https://doi.org/10.1016/j.ijforecast.2006.03.001), computed on the
window that a forecast is made from, and nothing else: new series and other periods have their own.
"""

import numpy as np

# differences over a season that the scale is computed from, also as a share of the season; with fewer, those of a step:
# the mean of a few says little, and bands would be as uncertain
FEWEST, FEWEST_SHARE = 4, 0.75
FLOOR = 0.01  # share of the mean absolute value of a window, below which its scale does not fall
EMPTY = 1.0  # scale of a window of zeros, and of one without a measured value
_AT_ONCE = 2**22  # numbers


def error_scale(
    windows: np.ndarray,
    season: int | None,
    *,
    targets: int | None = None,
    real: np.ndarray | None = None,
) -> np.ndarray:
    """Return the mean absolute seasonal difference of each window and target, float64 (N, targets).

    The lag is the season if a window has at least `FEWEST` pairs of real values that far apart, and three quarters of a
    season of them, else a single step.
    The scale of a window times k is k times as large, and a constant that is added changes nothing above the floor:
    `FLOOR` times the mean absolute value.

    Args:
        windows: (N, steps, columns) in the unit of the targets, which are the first columns.
        season: steps of a season; None or 1 without one.
        targets: number of targets; None for all columns.
        real: (N, steps, targets), or what broadcasts to it: whether each value was measured, neither filled in nor
            repeated before a short series. None: all values but first rows that repeat the next one in all columns.
    """
    if real is not None:
        real = np.broadcast_to(real, windows[..., :targets].shape)
    at_once = max(_AT_ONCE // max(int(np.prod(windows.shape[1:])), 1), 1)
    if len(windows) > at_once:
        starts = range(0, len(windows), at_once)
        parts = [slice(start, start + at_once) for start in starts]
        return np.concatenate(
            [
                error_scale(
                    windows[part],
                    season,
                    targets=targets,
                    real=None if real is None else real[part],
                )
                for part in parts
            ]
        )
    values = np.asarray(windows[..., :targets], np.float64)
    measured = ~repeated_first_rows(windows)[..., None] if real is None else real
    measured = np.broadcast_to(measured, values.shape)
    counts = measured.sum(axis=1)
    size = np.abs(np.where(measured, values, 0)).sum(axis=1) / np.maximum(counts, 1)
    lag = max(season or 1, 1)
    scale, pairs = _mean_difference(values, measured, lag)
    of_steps, _ = _mean_difference(values, measured, 1)
    scale = np.maximum(
        np.where(pairs >= max(FEWEST, FEWEST_SHARE * lag), scale, of_steps), FLOOR * size
    )
    return np.where(scale > 0, scale, EMPTY)


def repeated_first_rows(windows: np.ndarray) -> np.ndarray:
    """Return which rows (N, steps) of windows are the first ones that equal the row after them in all columns."""
    same = np.zeros(windows.shape[:2], bool)
    same[:, :-1] = np.logical_and.accumulate(
        (windows[:, 1:] == windows[:, :-1]).all(axis=2), axis=1
    )
    # a window without any change is a constant series
    return same & ~same[:, :-1].all(axis=1, keepdims=True)


def _mean_difference(
    values: np.ndarray, measured: np.ndarray, lag: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean absolute difference at a lag (N, targets), and the number of pairs that it is the mean of."""
    both = measured[:, lag:] & measured[:, :-lag]
    pairs = both.sum(axis=1)
    differences = np.where(both, np.abs(values[:, lag:] - values[:, :-lag]), 0)
    return differences.sum(axis=1) / np.maximum(pairs, 1), pairs
