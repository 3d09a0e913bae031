"""`ahead` and `forecasts`: plot series and their forecasts."""

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from kzoo.inference.tasks.central import central, central_levels, nearest
from kzoo.plots.colors import FAINT, GREY, INK, ORANGE
from kzoo.plots.figure import distinct_titles, new_figure, set_title, style_axes
from kzoo.plots.predictions import name_of
from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    from kzoo.inference.predictions import Predictions

_MAX_TARGETS = 9
_MAX_SERIES = 9


def ahead(
    history: ArrayLike,
    predicted: ArrayLike,
    *,
    times: Sequence[Any] = (),
    history_times: Sequence[Any] = (),
    names: Sequence[str] = (),
    band: tuple[ArrayLike, ArrayLike] | None = None,
    label: str = "forecast",
) -> Figure:
    """Plot the history of a series and its forecast, a row for each target.

    Args:
        history: (steps, targets) values that the model saw, such as `Predictions.history[0]`.
        predicted: (horizon, targets) forecast values, such as `Predictions.values[0]`.
        times, history_times: the times of their steps, as in `Predictions`. Without times, steps are counted from now.
        names: names of the targets.
        band: lower and upper quantile of each forecast value, both (horizon, targets); drawn as an area.
        label: of the forecast in the legend.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: shapes that do not match, or values that are not finite.

    Examples:
        >>> history = np.sin(np.arange(48) / 4)[:, None]
        >>> predicted = np.sin(np.arange(48, 60) / 4)[:, None]
        >>> band = predicted - 0.2, predicted + 0.2
        >>> figure = kzoo.plots.ahead(history, predicted, names=["load"], band=band)
        >>> figure.savefig("ahead.png")
    """
    past, future = np.asarray(history, "float64"), np.asarray(predicted, "float64")
    is_valid = (
        past.ndim == future.ndim == 2
        and past.shape[1] == future.shape[1]
        and len(past)
        and len(future)
    )
    if not is_valid:
        raise KzooError(
            f"history and predicted must be (steps, targets) (history: {past.shape}, predicted: {future.shape})."
        )
    if not (np.isfinite(past).all() and np.isfinite(future).all()):
        raise KzooError(
            "history and predicted must be finite numbers, but they contain NaN or infinity."
        )
    if band is not None and any(np.shape(bound) != future.shape for bound in band):
        raise KzooError(f"band must be two arrays in the shape of predicted: {future.shape}.")
    if len(times) not in (0, len(future)) or len(history_times) not in (0, len(past)):
        raise KzooError(
            f"times and history_times must have one time per step (times: {len(times)} for {len(future)} steps, "
            f"history_times: {len(history_times)} for {len(past)})."
        )
    if len(names) not in (0, past.shape[1]):
        raise KzooError(
            f"names must have one name per target (names: {len(names)}, targets: {past.shape[1]})."
        )
    has_times = len(times) > 0 and len(history_times) > 0
    past_times, future_times = (
        (history_times, times)
        if has_times
        else (range(1 - len(past), 1), range(1, len(future) + 1))
    )
    n_rows = min(past.shape[1], _MAX_TARGETS)
    figure = new_figure(9, 0.9 + max(2.2 * n_rows, 2.6))
    panels = figure.subplots(n_rows, 1, sharex=True, squeeze=False)[:, 0]
    for i, axes in enumerate(panels):
        bounds = None if band is None else [np.asarray(bound)[:, i] for bound in band]
        _draw(axes, past_times, past[:, i], future_times, future[:, i], bounds, label)
        axes.set_ylabel(str(names[i]) if names else "", color=INK, parse_math=False)
    _set_ticks(panels[-1], future_times[-1], has_times=has_times, most=9)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False
    )
    if n_rows < past.shape[1]:
        figure.supxlabel(f"the first {n_rows} of {past.shape[1]} targets", color=GREY, fontsize=9)
    return figure


def forecasts(predictions: "Predictions", *, most: int = _MAX_SERIES) -> Figure:
    """Plot the history and the forecast of each of several series, with the band of its intervals or quantiles.

    Predictions with means begin with their total, which has a band if there are sample paths. Of more series than are
    drawn, the one with the widest band for its size and the median one come first, the others in their order. Titles
    leave out the ids that all drawn series share if they are long, and shorten names in the middle.

    Of a single series, the figure is that of `ahead`.

    Args:
        predictions: of `kzoo.predict` for series.
        most: largest number of panels, one for each series and target; a line tells how many are not drawn.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: `predictions` are not forecasts, or `most` is below 1.

    Examples:
        >>> run = kzoo.train(
        ...     "series_linear", "power.csv", target="load", horizon=24, epochs=1, out="runs/power"
        ... )
        >>> figure = kzoo.plots.forecasts(kzoo.predict(run, "power.csv"))
    """
    if predictions.history is None or predictions.horizon is None:
        raise KzooError(
            "These predictions are not forecasts of series with a history. Plot something else."
        )
    if most < 1:
        raise KzooError("must be at least 1.", argument="most", value=most)
    middle, band = _middle_and_band(predictions)
    label = _label(predictions)
    order = _order(predictions, band, most)
    if len(predictions) == 1:
        return ahead(
            predictions.history[0],
            middle[0],
            names=predictions.target_names,
            band=None if band is None else (band[0][0], band[1][0]),
            label=label,
            times=predictions.times[0] if predictions.times else (),
            history_times=predictions.history_times[0] if predictions.times else (),
        )
    panels = [(series, target) for series in order for target in range(predictions.targets)]
    totals = _totals(predictions)
    drawn = panels[: max(most - len(totals), 0)]
    several = predictions.targets > 1
    n_panels = len(totals[:most]) + len(drawn)
    n_columns = min(3, math.ceil(n_panels / 2) if n_panels < 5 else 3)
    n_rows = math.ceil(n_panels / n_columns)
    figure = new_figure(1 + 3.6 * n_columns, 0.9 + 2.3 * n_rows)
    chosen = list(dict.fromkeys(series for series, _ in drawn))
    names = dict(zip(chosen, distinct_titles(_parts_of_names(predictions, chosen)), strict=True))
    contents = totals[:most] + [
        (
            names[series],
            series,
            target,
            predictions.history[series, :, target],
            middle[series, :, target],
            None if band is None else [bound[series, :, target] for bound in band],
        )
        for series, target in drawn
    ]
    for number, (name, series, target, past, future, bounds) in enumerate(contents):
        axes = figure.add_subplot(n_rows, n_columns, number + 1)
        past_times, future_times = _times_of(predictions, series)
        past = np.asarray(past, "float64")[-len(past_times) :]
        _draw(axes, past_times, past, future_times, future, bounds, label)
        titles = [name]
        titles += (
            [name_of(str(predictions.target_names[target]))]
            if several and predictions.target_names
            else []
        )
        set_title(axes, ", ".join(titles))
        if number % n_columns == 0 and not several and predictions.target_names:
            axes.set_ylabel(str(predictions.target_names[0]), color=INK, parse_math=False)
        _set_ticks(axes, future_times[-1], has_times=bool(predictions.times), most=6)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside upper right",
        ncols=3,
        frameon=False,
    )
    if len(drawn) < len(panels):
        noun = "series and targets" if several else "series"
        first = (
            ""
            if order == sorted(order)
            else ", the widest band for its size and the median one first"
        )
        text = f"{len(drawn):,} of {len(panels):,} {noun}{first}; {len(panels) - len(drawn):,} are not drawn."
        figure.supxlabel(text, color=GREY, fontsize=9)
    return figure


def _middle_and_band(
    predictions: "Predictions",
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
    """Return the values or medians (N, horizon, targets), and the ends of intervals or the outer quantiles."""
    quantiles, middle = predictions.quantiles, predictions.values
    if middle is None:
        assert quantiles is not None
        medians = central(quantiles, predictions.levels)
        middle = quantiles[..., nearest(predictions.levels)] if medians is None else medians
    if predictions.lower is not None and predictions.upper is not None:
        return middle, (predictions.lower, predictions.upper)
    return middle, None if quantiles is None else (quantiles[..., 0], quantiles[..., -1])


def _order(
    predictions: "Predictions", band: tuple[np.ndarray, np.ndarray] | None, most: int
) -> list[int]:
    """Return the series in the order in which they are drawn.

    If not all are, the first has the widest band, relative to the size of its history, and the second the median one.
    """
    rows = list(range(len(predictions)))
    if band is None or len(rows) < 3 or len(rows) * predictions.targets <= most:
        return rows
    assert predictions.history is not None
    size = np.abs(np.asarray(predictions.history, "float64")).mean(axis=1)
    width = (band[1] - band[0]).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(size > 0, width / size, np.inf).mean(axis=1)
    ranked = np.argsort(-relative, kind="stable").tolist()
    first = [ranked[0], ranked[len(ranked) // 2]]
    return first + [row for row in rows if row not in first]


_Panel: TypeAlias = tuple[str, int, int, np.ndarray, np.ndarray, list[np.ndarray] | None]


def _totals(predictions: "Predictions") -> list[_Panel]:
    """Return a panel for the total of each target; [] unless there are means, which add up, and the same times."""
    mean, history = predictions.mean, predictions.history
    if mean is None or history is None or len(predictions) < 2:
        return []
    all_times = [
        [*past, *future] for past, future in map(partial(_times_of, predictions), range(len(mean)))
    ]
    if any(times != all_times[0] for times in all_times):
        return []
    panels: list[_Panel] = []
    for target in range(predictions.targets):
        bounds = None
        if predictions.samples is not None:
            paths = predictions.samples[..., target].sum(axis=1)
            ends = (
                (predictions.levels[0], predictions.levels[-1])
                if predictions.confidence is None and len(predictions.levels)
                else (
                    0.5 - (predictions.confidence or 0.8) / 2,
                    0.5 + (predictions.confidence or 0.8) / 2,
                )
            )
            bounds = [np.quantile(paths, end, axis=0) for end in ends]
        total = np.asarray(history, "float64")[..., target].sum(axis=0)
        panels.append(
            (
                f"total of {len(mean):,} series",
                0,
                target,
                total,
                mean[..., target].sum(axis=0),
                bounds,
            )
        )
    return panels


def _parts_of_names(predictions: "Predictions", series: Sequence[int]) -> list[tuple[str, ...]]:
    """Return the ids of some series, or the names of their inputs."""
    if predictions.ids:
        return [tuple(str(cells[i]) for cells in predictions.ids.values()) for i in series]
    names = predictions.inputs
    return [(str(names[i]) if len(names) > i else f"series {i + 1}",) for i in series]


def _label(predictions: "Predictions") -> str:
    """Return what is drawn as the forecast, where the quantiles have no median."""
    levels = predictions.levels
    if predictions.values is not None:
        return "forecast"
    if between := central_levels(levels):
        return f"between quantiles {between[0]:g} and {between[1]:g}"
    level = levels[nearest(levels)]
    return "forecast" if math.isclose(level, 0.5) else f"quantile {level:g}"


def _times_of(predictions: "Predictions", series: int) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return the times of the history and of the forecast of a series, without steps that repeat its first row."""
    assert predictions.history is not None and predictions.horizon is not None
    if not predictions.times:
        return range(1 - predictions.history.shape[1], 1), range(1, predictions.horizon + 1)
    past = list(predictions.history_times[series])
    repeated = next((i for i, time in enumerate(past) if time != past[0]), len(past)) - 1
    return past[repeated:], predictions.times[series]


def _draw(
    axes: Axes,
    past_times: Sequence[Any],
    past: np.ndarray,
    future_times: Sequence[Any],
    future: np.ndarray,
    band: Sequence[np.ndarray] | None,
    label: str,
) -> None:
    """Draw the history (steps,) and the forecast (horizon,) of one target, and the lower and upper end of its band."""
    style_axes(axes)
    axes.plot(list(past_times), past, color=GREY, lw=1.3, label="history")
    if band is not None:
        axes.fill_between(
            list(future_times), band[0], band[1], color=ORANGE, alpha=0.25, lw=0, label="band"
        )
    # A dotted line connects the end of the history with the forecast.
    axes.plot(
        [past_times[-1], future_times[0]], [past[-1], future[0]], color=ORANGE, lw=1.2, ls=":"
    )
    marker: dict[str, Any] = dict(marker="o", ms=3.5) if len(future) <= 15 else {}
    axes.plot(list(future_times), future, color=ORANGE, lw=1.9, label=label, **marker)
    axes.axvline(past_times[-1], color=FAINT, lw=1)
    axes.margins(x=0.02)


def _set_ticks(axes: Axes, time: object, *, has_times: bool, most: int) -> None:
    """Set the ticks of the axis of times, like `time`."""
    if hasattr(time, "year"):
        # matplotlib converts times to UTC unless it is given the time zone.
        zone = getattr(time, "tzinfo", None)
        locator = AutoDateLocator(tz=zone, minticks=min(4, most // 2), maxticks=most)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=most - 1))
        axes.set_xlabel("" if has_times else "steps from now", color=GREY)
