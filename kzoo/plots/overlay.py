"""`overlay`: plot one metric of several runs."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kzoo.plots.colors import line_style
from kzoo.plots.curves import best_epoch_of, columns_of, name_of
from kzoo.plots.figure import new_figure, style_axes
from kzoo.utils.errors import KzooError
from kzoo.utils.metric_directions import direction_by_name


def overlay(
    histories: Mapping[str, Mapping[str, Sequence[float | None]]], *, metric: str | None = None
) -> Figure:
    """Plot one metric of several runs over their epochs, with the best epoch of each marked and the best run first.

    If it is unknown whether a larger metric is better, no epoch is marked and the runs stay in the given order.

    Args:
        histories: label -> history (columns of numbers, as in `Run.history`).
        metric: the column, such as `"val_loss"`; `val_` may be omitted. None: a validation metric that all runs have,
            else the validation loss, else another shared column.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: no histories, an empty history, or a metric that is missing in some of them.

    Examples:
        >>> variants = {"narrow": {"units": (8,)}, "wide": {"units": (64,)}}
        >>> runs = kzoo.recipes.train_variants("iris_fnn", "iris", variants, out="runs/variants", epochs=2)
        >>> histories = {name: group[0].history for name, group in runs.items()}
        >>> figure = kzoo.plots.overlay(histories, metric="val_loss")
    """
    if not histories:
        raise KzooError("histories is empty: there is nothing to plot.")
    columns = {label: columns_of(history) for label, history in histories.items()}
    column = _column(
        {label: columns_of_run for label, (columns_of_run, _) in columns.items()}, metric
    )
    lines = []
    for i, (label, (columns_of_run, epochs)) in enumerate(columns.items()):
        best_epoch = best_epoch_of(column, columns_of_run[column], epochs)
        best_value = (
            math.nan if best_epoch is None else columns_of_run[column][epochs.index(best_epoch)]
        )
        lines.append((label, epochs, columns_of_run[column], best_epoch, best_value, line_style(i)))
    direction, _ = direction_by_name(column)
    sign = -1 if direction == "max" else 1
    # Best run first; runs without a finite number last.
    lines.sort(key=lambda line: (math.isnan(line[4]), sign * line[4] if direction else 0))
    figure = new_figure(8.6, max(4.2, 1.2 + 0.24 * len(lines)))
    axes = figure.add_subplot()
    for label, epochs, column_values, best_epoch, best_value, style in lines:
        if best_epoch is not None:
            text = f"{label}  {best_value:#.4g}, epoch {best_epoch}"
        else:
            text = f"{label}  no finite value" if direction else str(label)
        # A line of one point is invisible without a marker.
        axes.plot(
            epochs,
            column_values,
            lw=1.7,
            marker="." if len(epochs) == 1 else None,
            label=text,
            **style,
        )
        if best_epoch is not None:
            axes.plot(
                [best_epoch],
                [best_value],
                "o",
                color=style["color"],
                ms=7,
                mec="white",
                mew=1.2,
                zorder=5,
            )
    split = "validation" if column.startswith("val_") else "training"
    style_axes(axes, f"{name_of(column)}, {split}", x="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    axes.margins(x=0.03)
    legend = figure.legend(loc="outside right center", frameon=False, fontsize=9, handlelength=3.2)
    for legend_text in legend.get_texts():
        legend_text.set_parse_math(False)
    return figure


def _column(
    columns_of_runs: Mapping[str, Mapping[str, Sequence[float]]], metric: str | None
) -> str:
    """Return the column to plot, which every run has."""
    shared = [
        column
        for column in next(iter(columns_of_runs.values()))
        if all(column in columns for columns in columns_of_runs.values())
    ]
    if metric is not None:
        for column in (f"val_{metric}", metric):
            if column in shared:
                return column
        missing = [
            label
            for label, columns in columns_of_runs.items()
            if metric not in columns and f"val_{metric}" not in columns
        ]
        raise KzooError(
            f"is not in the history of {', '.join(map(str, missing or columns_of_runs))}. "
            f"Columns of all histories: {', '.join(shared) or 'none'}.",
            argument="metric",
            value=metric,
        )
    excluded = ("epoch", "seconds", "learning_rate", "lr")
    candidates = [column for column in shared if column.startswith("val_") and column != "val_loss"]
    candidates += [
        column for column in ("val_loss", *shared) if column in shared and column not in excluded
    ]
    if not candidates:
        raise KzooError(
            f"The histories of {', '.join(map(str, columns_of_runs))} have no loss or metric in common."
        )
    return candidates[0]
