"""`curves`: how a training went."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kzoo.plots.colors import BLUE, FAINT, GREEN, GREY, ORANGE
from kzoo.plots.figure import new_figure, tidy
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import shown
from kzoo.utils.metric_directions import direction_by_name

if TYPE_CHECKING:
    import keras

_TITLES = {"auc": "AUC", "f1": "F1", "mae": "MAE", "rmse": "RMSE", "r2": "R2", "top5": "Top-5 accuracy"}


@checked_arguments
def curves(
    history: "Mapping[str, Sequence[float | None]] | keras.callbacks.History",
    *,
    monitor: str | None = None,
    best_epoch: int | None = None,
) -> Figure:
    """Draw loss and metrics per epoch, for training and validation, with the best epoch marked.

    The learning rate, where it was recorded, is on a second axis of the loss.

    Args:
        history: what `fit` returned; or a list of numbers per column, as in `Run.history`.
        monitor: the column that decides which epoch is best, such as `"val_loss"`.
        best_epoch: that epoch, counted from 1; None: found in `monitor`.

    Raises:
        KzooError: an empty history, columns of different lengths, or a monitor or epoch that is not there.
    """
    values, epochs = columns_of(getattr(history, "history", history))
    best = _best(values, epochs, monitor, best_epoch)
    skipped = ("epoch", "seconds", "learning_rate", "lr")
    panels = list(dict.fromkeys(name.removeprefix("val_") for name in values if name not in skipped))
    if not panels:
        raise KzooError(f"The history has no loss or metric, only: {', '.join(values)}.")
    wide = min(len(panels), 3)
    tall = math.ceil(len(panels) / wide)
    figure = new_figure(5.2 * wide, 3.7 * tall)
    for i, name in enumerate(panels):
        axes = figure.add_subplot(tall, wide, i + 1)
        _panel(axes, epochs, values, name, monitor)
        rates = values.get("learning_rate", values.get("lr"))
        if name == "loss" and rates:
            _learning_rate(axes, epochs, rates)
        if best is not None:
            _mark(axes, epochs, values, name, best)
        axes.legend(frameon=False, fontsize=9, loc="best")
    return figure


def columns_of(history: Mapping[str, Sequence[float | None]]) -> tuple[dict[str, list[float]], list[int]]:
    """Return the columns of a history as lists of floats, NaN where a value is missing, and its epochs."""
    if not isinstance(history, Mapping):
        raise KzooError(f"history={shown(history)} must be what fit returned, or a dict of lists of numbers.")
    try:
        values = {str(name): [math.nan if v is None else float(v) for v in col] for name, col in history.items()}
    except (TypeError, ValueError):
        raise KzooError(f"history={shown(history)} must hold a list of numbers for each column.") from None
    lengths = {name: len(column) for name, column in values.items()}
    if not lengths or not max(lengths.values()):
        raise KzooError("The history is empty: no epoch has ended yet.")
    if len(set(lengths.values())) > 1:
        raise KzooError(f"The columns of the history have different lengths: {lengths}.")
    return values, [int(e) for e in values.get("epoch", range(1, max(lengths.values()) + 1))]


def best_of(column: str, numbers: Sequence[float], epochs: Sequence[int]) -> int | None:
    """Return the epoch with the best finite number of a column, the first of equals.

    None if it has none, or it is not known whether larger is better.
    """
    known, _ = direction_by_name(column)
    if known is None:
        return None
    sign = 1 if known == "max" else -1
    finite = [(sign * v, -e) for v, e in zip(numbers, epochs, strict=True) if math.isfinite(v)]
    return -max(finite)[1] if finite else None


def name_of(column: str) -> str:
    """Return what people call a column, whichever split it is of: `"val_auc"` is "AUC"."""
    name = column.removeprefix("val_")
    return _TITLES.get(name, name.replace("_", " ").capitalize())


def _best(
    values: Mapping[str, Sequence[float]], epochs: Sequence[int], monitor: str | None, best_epoch: int | None
) -> int | None:
    if best_epoch is not None and best_epoch not in epochs:
        raise KzooError(f"best_epoch={best_epoch!r} is not in the history, which has {epochs[0]} to {epochs[-1]}.")
    if monitor is not None and monitor not in values:
        raise KzooError(f"monitor={monitor!r} is not in the history: {', '.join(values)}.")
    if best_epoch is not None or monitor is None:
        return best_epoch
    if direction_by_name(monitor)[0] is None:
        raise KzooError(f"monitor={monitor!r} is unknown: is larger or smaller better? Give best_epoch instead.")
    return best_of(monitor, values[monitor], epochs)


def _panel(
    axes: Axes, epochs: Sequence[int], values: Mapping[str, Sequence[float]], name: str, monitor: str | None
) -> None:
    # A line through one point is invisible; a dot on each of many is noise.
    marker = "o" if len(epochs) <= 15 else None
    for column, label, color in ((name, "training", BLUE), (f"val_{name}", "validation", ORANGE)):
        if column in values:
            watched = " (decides)" if column == monitor else ""
            axes.plot(epochs, values[column], color=color, marker=marker, ms=3.5, lw=1.8, label=label + watched)
    tidy(axes, name_of(name), x="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.margins(x=0.03)
    if len(epochs) == 1:  # else the axis would count in hundredths of an epoch
        axes.set_xlim(epochs[0] - 1, epochs[0] + 1)
        axes.set_xticks(epochs)


def _learning_rate(axes: Axes, epochs: Sequence[int], rates: Sequence[float]) -> None:
    second = axes.twinx()
    second.plot(epochs, rates, color=GREY, lw=1, ls=(0, (2, 2)), zorder=1)
    # An empty line on the first axis puts the label into its legend.
    axes.plot([], [], color=GREY, lw=1, ls=(0, (2, 2)), label="learning rate (right)")
    second.set_ylim(0, max([r for r in rates if math.isfinite(r)], default=1) * 1.08 or 1)
    second.spines[["top", "left", "bottom"]].set_visible(False)
    second.spines["right"].set_color(FAINT)
    second.tick_params(colors=GREY, labelsize=8, length=2)
    second.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    second.yaxis.get_offset_text().set(color=GREY, size=8)
    # The curves stay above the learning rate.
    axes.set_zorder(second.get_zorder() + 1)
    axes.patch.set_visible(False)


def _mark(axes: Axes, epochs: Sequence[int], values: Mapping[str, Sequence[float]], name: str, best: int) -> None:
    axes.axvline(best, color=GREEN, lw=1, ls="--", zorder=1)
    column = f"val_{name}" if f"val_{name}" in values else name
    value = values[column][epochs.index(best)]
    label = f"best epoch {best}: {value:.4g}"
    axes.plot([best], [value], "o", color=GREEN, ms=7, mec="white", mew=1.2, zorder=5, label=label)
