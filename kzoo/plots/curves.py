"""`curves`: plot the learning curves of a training."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kzoo.plots.colors import BLUE, FAINT, GREEN, GREY, ORANGE
from kzoo.plots.figure import legend_below, new_figure, style_axes
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError
from kzoo.utils.metric_directions import direction_by_name

if TYPE_CHECKING:
    import keras

_TITLES = {
    "auc": "AUC",
    "f1": "F1",
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R2",
    "top5": "Top-5 accuracy",
}


@checked_arguments
def curves(
    history: "Mapping[str, Sequence[float | None]] | keras.callbacks.History",
    *,
    monitor: str | None = None,
    best_epoch: int | None = None,
) -> Figure:
    """Plot loss and metrics per epoch, for training and validation data, with the best epoch marked.

    The learning rate, if it was recorded, is on a second axis of the loss.

    Args:
        history: what `fit` returned; or a dict with a list of numbers per column, as in `Run.history`.
        monitor: the column that determines the best epoch, such as `"val_loss"`.
        best_epoch: the best epoch, counted from 1; None: determined from `monitor`.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: an empty history, columns of different lengths, or an unknown monitor or epoch.

    Examples:
        >>> run = kzoo.train("iris_fnn", "iris", epochs=20, out="runs/iris")
        >>> figure = kzoo.plots.curves(run.history, monitor="val_loss")
        >>> figure.savefig("curves.png")
    """
    columns, epochs = columns_of(getattr(history, "history", history))
    best = _epoch_to_mark(columns, epochs, monitor, best_epoch)
    excluded = ("epoch", "seconds", "learning_rate", "lr")
    panels = list(
        dict.fromkeys(name.removeprefix("val_") for name in columns if name not in excluded)
    )
    if not panels:
        raise KzooError(f"The history has no loss or metric. It has: {', '.join(columns)}.")
    n_columns = min(len(panels), 3)
    n_rows = math.ceil(len(panels) / n_columns)
    figure = new_figure(5.2 * n_columns, 4.1 * n_rows)
    for i, name in enumerate(panels):
        axes = figure.add_subplot(n_rows, n_columns, i + 1)
        _draw_panel(axes, epochs, columns, name, monitor)
        rates = columns.get("learning_rate", columns.get("lr"))
        if name == "loss" and rates:
            _draw_learning_rate(axes, epochs, rates)
        if best is not None:
            _mark_best_epoch(axes, epochs, columns, name, best)
        legend_below(axes)
    return figure


def columns_of(
    history: Mapping[str, Sequence[float | None]],
) -> tuple[dict[str, list[float]], list[int]]:
    """Return the columns of a history as lists of floats, with NaN for missing values, and the epochs.

    Raises:
        KzooError: the history is empty, or its columns have different lengths or are not numbers.
    """
    if not isinstance(history, Mapping):
        raise KzooError(
            "must be the History that fit returned, or a dict of lists of numbers.",
            argument="history",
            value=history,
        )
    try:
        columns = {
            str(name): [math.nan if cell is None else float(cell) for cell in cells]
            for name, cells in history.items()
        }
    except (TypeError, ValueError):
        raise KzooError(
            "must have a list of numbers for each column.", argument="history", value=history
        ) from None
    lengths = {name: len(column) for name, column in columns.items()}
    if not lengths or not max(lengths.values()):
        raise KzooError("The history is empty: no epoch has finished.")
    if len(set(lengths.values())) > 1:
        raise KzooError(f"The columns of the history must have the same length: {lengths}.")
    return columns, [
        int(epoch) for epoch in columns.get("epoch", range(1, max(lengths.values()) + 1))
    ]


def best_epoch_of(column: str, numbers: Sequence[float], epochs: Sequence[int]) -> int | None:
    """Return the epoch at which a column of the history has its best finite number; the earliest one if several have.

    None if the column has no finite number, or it is unknown whether larger is better.
    """
    direction, _ = direction_by_name(column)
    if direction is None:
        return None
    sign = 1 if direction == "max" else -1
    finite = [
        (number, epoch)
        for number, epoch in zip(numbers, epochs, strict=True)
        if math.isfinite(number)
    ]
    best = min(finite, key=lambda pair: (-sign * pair[0], pair[1]), default=None)
    return None if best is None else best[1]


def name_of(column: str) -> str:
    """Return the display name of a column, the same for all splits: `"val_auc"` is "AUC"."""
    name = column.removeprefix("val_")
    return _TITLES.get(name, name.replace("_", " ").capitalize())


def _epoch_to_mark(
    columns: Mapping[str, Sequence[float]],
    epochs: Sequence[int],
    monitor: str | None,
    best_epoch: int | None,
) -> int | None:
    """Return `best_epoch`, or else the best epoch of the column `monitor`; None without either."""
    if best_epoch is not None and best_epoch not in epochs:
        raise KzooError(
            f"is not in the history, which has epochs {epochs[0]} to {epochs[-1]}.",
            argument="best_epoch",
            value=best_epoch,
        )
    if monitor is not None and monitor not in columns:
        raise KzooError(
            f"is not in the history. Use one of: {', '.join(columns)}.",
            argument="monitor",
            value=monitor,
        )
    if best_epoch is not None or monitor is None:
        return best_epoch
    if direction_by_name(monitor)[0] is None:
        raise KzooError(
            f"It is unknown whether a larger monitor={monitor!r} is better. Pass best_epoch instead."
        )
    return best_epoch_of(monitor, columns[monitor], epochs)


def _draw_panel(
    axes: Axes,
    epochs: Sequence[int],
    columns: Mapping[str, Sequence[float]],
    name: str,
    monitor: str | None,
) -> None:
    # A line of one point is invisible without a marker; markers on many points are noise.
    marker = "o" if len(epochs) <= 15 else None
    for column, label, color in ((name, "training", BLUE), (f"val_{name}", "validation", ORANGE)):
        if column in columns:
            suffix = " (monitored)" if column == monitor else ""
            axes.plot(
                epochs,
                columns[column],
                color=color,
                marker=marker,
                ms=3.5,
                lw=1.8,
                label=label + suffix,
            )
    style_axes(axes, name_of(name), x="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.margins(x=0.03)
    if len(epochs) == 1:  # else the ticks would be hundredths of an epoch
        axes.set_xlim(epochs[0] - 1, epochs[0] + 1)
        axes.set_xticks(epochs)


def _draw_learning_rate(axes: Axes, epochs: Sequence[int], rates: Sequence[float]) -> None:
    right_axes = axes.twinx()
    right_axes.plot(epochs, rates, color=GREY, lw=1, ls=(0, (2, 2)), zorder=1)
    # An empty line on the left axis adds the label to its legend.
    axes.plot([], [], color=GREY, lw=1, ls=(0, (2, 2)), label="learning rate (right)")
    right_axes.set_ylim(
        0, max([rate for rate in rates if math.isfinite(rate)], default=1) * 1.08 or 1
    )
    right_axes.spines[["top", "left", "bottom"]].set_visible(False)
    right_axes.spines["right"].set_color(FAINT)
    right_axes.tick_params(colors=GREY, labelsize=8, length=2)
    right_axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    right_axes.yaxis.get_offset_text().set(color=GREY, size=8)
    # Draw the curves above the learning rate.
    axes.set_zorder(right_axes.get_zorder() + 1)
    axes.patch.set_visible(False)


def _mark_best_epoch(
    axes: Axes,
    epochs: Sequence[int],
    columns: Mapping[str, Sequence[float]],
    name: str,
    best_epoch: int,
) -> None:
    axes.axvline(best_epoch, color=GREEN, lw=1, ls="--", zorder=1)
    column = f"val_{name}" if f"val_{name}" in columns else name
    value = columns[column][epochs.index(best_epoch)]
    label = f"best epoch {best_epoch}: {value:.4g}"
    axes.plot(
        [best_epoch], [value], "o", color=GREEN, ms=7, mec="white", mew=1.2, zorder=5, label=label
    )
