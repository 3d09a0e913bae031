"""`panels`: empty axes in the style of kzoo's plots, for figures that a recipe draws itself."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kzoo.plots.colors import GREY, LINES
from kzoo.plots.figure import new_figure, style_axes


def panels(*titles: str, width: float = 5.2, height: float = 3.7) -> tuple[Figure, list[Axes]]:
    """Return a figure and its axes side by side: `figure, (left, right) = panels("Loss", "Accuracy")`.

    Args:
        titles: one for each panel.
        width, height: size of a panel in inches.

    Examples:
        >>> figure, (left, right) = kzoo.plots.panels("Loss", "Accuracy")
        >>> line = left.plot([1, 2, 3], [0.9, 0.5, 0.4])
        >>> figure.savefig("panels.png")
    """
    figure = new_figure(width * len(titles), height)
    axes = list(figure.subplots(1, len(titles), squeeze=False)[0])
    for panel, title in zip(axes, titles, strict=True):
        style_axes(panel, title)
        panel.set_prop_cycle(color=LINES)
        panel.tick_params(which="both", colors=GREY)
    return figure, axes
