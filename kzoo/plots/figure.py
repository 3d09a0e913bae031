"""What all pictures share: a figure that belongs to nobody and has a glyph for every label, and plain axes."""

from contextlib import suppress
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kzoo.plots.colors import FAINT, GREY, INK
from kzoo.plots.fonts import fit_fonts


class LegibleFigure(Figure):
    """A figure that looks for fonts whenever it is drawn: labels that were added later are legible too."""

    _to_lay_out = False

    def savefig(self, fname: Any, **options: Any) -> None:
        """Write the figure; `options` are those of every figure.

        Before the drawing that is written, matplotlib asks for one that nobody sees, for the sake of the layout.
        """
        self._to_lay_out = self.get_layout_engine() is not None
        try:
            super().savefig(fname, **options)
        finally:
            self._to_lay_out = False

    def draw(self, renderer: Any) -> None:
        """Draw the figure, or lay it out if nothing else is asked for, after `fit_fonts`."""
        fit_fonts(self)
        engine = self.get_layout_engine()
        if not self._to_lay_out or engine is None:
            super().draw(renderer)
            return
        self._to_lay_out = False
        with suppress(ValueError):  # as in `Figure.draw`: of a figure too small for a layout
            engine.execute(self)


def new_figure(
    width: float, height: float, *, dpi: float = 100, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    """Make an empty figure of this size in inches, outside `pyplot`."""
    figure = LegibleFigure(figsize=(width, height), dpi=dpi, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    if layout:
        engine: Any = figure.get_layout_engine()
        engine.set(w_pad=0.08, h_pad=0.08)
    return figure


def tidy(
    axes: Axes, title: str = "", *, x: str = "", y: str = "", grid: Literal["x", "y", "both"] | None = "both"
) -> None:
    """Give axes a title on the left, labels, a light grid along `grid` (`"x"`, `"y"`, `"both"` or None)."""
    entitle(axes, title)
    axes.set_xlabel(x, color=GREY, parse_math=False)
    axes.set_ylabel(y, color=GREY, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=GREY, labelsize=9)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=FAINT, lw=0.6)


def entitle(axes: Axes, title: str, *, color: str = INK) -> None:
    """Write a title above the left end of the axes."""
    axes.set_title(title, loc="left", color=color, fontsize=11, fontweight="bold", parse_math=False)
