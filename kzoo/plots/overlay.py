"""`overlay`: one metric of many runs."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kzoo.plots.colors import line_style
from kzoo.plots.curves import best_of, columns_of, name_of
from kzoo.plots.figure import new_figure, tidy
from kzoo.utils.errors import KzooError
from kzoo.utils.metric_directions import direction_by_name


def overlay(histories: Mapping[str, Mapping[str, Sequence[float | None]]], *, metric: str | None = None) -> Figure:
    """Draw one metric of several runs over their epochs, the best epoch of each marked and the best run first.

    Of a metric whose name does not say whether larger is better, no epoch is marked, and the runs stand as they came.

    Args:
        histories: a history (columns of numbers, as in `Run.history`) for each label.
        metric: the column, such as `"val_loss"`; the `val_` may be left out. None: a validation metric that all
            have, else their validation loss, else what else they share.

    Raises:
        KzooError: no histories, an empty one, or a metric that not all have.
    """
    if not histories:
        raise KzooError("There are no histories to draw.")
    columns = {label: columns_of(history) for label, history in histories.items()}
    column = _column({label: values for label, (values, _) in columns.items()}, metric)
    lines = []
    for i, (label, (values, epochs)) in enumerate(columns.items()):
        best = best_of(column, values[column], epochs)
        top = math.nan if best is None else values[column][epochs.index(best)]
        lines.append((label, epochs, values[column], best, top, line_style(i)))
    known, _ = direction_by_name(column)
    sign = -1 if known == "max" else 1
    lines.sort(key=lambda line: (math.isnan(line[4]), sign * line[4] if known else 0))
    figure = new_figure(8.6, max(4.2, 1.2 + 0.24 * len(lines)))
    axes = figure.add_subplot()
    for label, epochs, numbers, best, top, style in lines:
        if best is not None:
            text = f"{label}  {top:#.4g}, epoch {best}"
        else:
            text = f"{label}  no number" if known else str(label)
        # A line through one point is invisible.
        axes.plot(epochs, numbers, lw=1.7, marker="." if len(epochs) == 1 else None, label=text, **style)
        if best is not None:
            axes.plot([best], [top], "o", color=style["color"], ms=7, mec="white", mew=1.2, zorder=5)
    split = "validation" if column.startswith("val_") else "training"
    tidy(axes, f"{name_of(column)}, {split}", x="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    axes.margins(x=0.03)
    legend = figure.legend(loc="outside right center", frameon=False, fontsize=9, handlelength=3.2)
    for entry in legend.get_texts():
        entry.set_parse_math(False)
    return figure


def _column(values: Mapping[str, Mapping[str, Sequence[float]]], metric: str | None) -> str:
    """Return the column to draw, which every run has."""
    shared = [c for c in next(iter(values.values())) if all(c in v for v in values.values())]
    if metric is not None:
        for column in (f"val_{metric}", metric):
            if column in shared:
                return column
        lacking = [label for label, v in values.items() if metric not in v and f"val_{metric}" not in v]
        raise KzooError(
            f"metric={metric!r} is not in the history of {', '.join(map(str, lacking or values))}. "
            f"All have: {', '.join(shared) or 'nothing in common'}."
        )
    skipped = ("epoch", "seconds", "learning_rate", "lr")
    ranked = [c for c in shared if c.startswith("val_") and c != "val_loss"]
    ranked += [c for c in ("val_loss", *shared) if c in shared and c not in skipped]
    if not ranked:
        raise KzooError(f"The histories of {', '.join(map(str, values))} have no loss or metric in common.")
    return ranked[0]
