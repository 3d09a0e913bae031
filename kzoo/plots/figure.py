"""Figures and axes in the style of all plots."""

import io
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from kzoo.plots.colors import FAINT, GREY, INK
from kzoo.plots.fonts import fit_fonts

if TYPE_CHECKING:
    from matplotlib.backend_bases import RendererBase


# inches from the axes to a legend below: the ticks and the label of the x axis are between
_BELOW = 38 / 72


class LegibleFigure(Figure):
    """A figure that selects fonts whenever it is drawn, so that labels added later are legible too."""

    _layout_only = False

    def savefig(self, fname: str | os.PathLike[str] | IO, **options: Any) -> None:
        """Write the figure; `options` are those of `Figure.savefig`.

        With a layout engine, matplotlib first draws the figure invisibly to compute the layout. This drawing is skipped
        and only the layout is computed.
        """
        self._layout_only = self.get_layout_engine() is not None
        try:
            super().savefig(fname, **options)
        finally:
            self._layout_only = False

    def _repr_png_(self) -> bytes:
        """Return the picture for a notebook, which shows figures only of `pyplot` by itself."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()

    def draw(self, renderer: "RendererBase") -> None:
        """Draw the figure, or only compute its layout, after `fit_fonts`."""
        fit_fonts(self)
        engine = self.get_layout_engine()
        if not self._layout_only or engine is None:
            super().draw(renderer)
            return
        self._layout_only = False
        # the figure is too small for a layout: ignored, as in `Figure.draw`
        with suppress(ValueError):
            engine.execute(self)


def new_figure(
    width: float,
    height: float,
    *,
    dpi: float = 100,
    layout: Literal["constrained"] | None = "constrained",
) -> Figure:
    """Return an empty figure without `pyplot`; width and height are in inches."""
    figure = LegibleFigure(figsize=(width, height), dpi=dpi, layout=layout, facecolor="white")
    # Without pyplot a figure only has a base canvas, which cannot draw.
    FigureCanvasAgg(figure)
    if layout:
        engine: Any = figure.get_layout_engine()
        engine.set(w_pad=0.08, h_pad=0.08)
    return figure


def style_axes(
    axes: Axes,
    title: str = "",
    *,
    x: str = "",
    y: str = "",
    grid: Literal["x", "y", "both"] | None = "both",
) -> None:
    """Set a left-aligned title, axis labels and a light grid along `grid` ("x", "y", "both" or None)."""
    set_title(axes, title)
    axes.set_xlabel(x, color=GREY, parse_math=False)
    axes.set_ylabel(y, color=GREY, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=GREY, labelsize=9)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=FAINT, lw=0.6)


def set_title(axes: Axes, title: str, *, color: str = INK) -> None:
    """Set a left-aligned title."""
    axes.set_title(title, loc="left", color=color, fontsize=11, fontweight="bold", parse_math=False)


_LONGEST_TITLE = 34  # characters over a panel of 3.6 inches


def distinct_titles(names: Sequence[Sequence[str]], longest: int = _LONGEST_TITLE) -> list[str]:
    """Return a title for each name, given in parts, that tells it from the others.

    If one is too long, parts that all names share are left out, and the middle of longer ones is replaced by "…", as
    long as titles stay different.
    """
    titles = [", ".join(parts) for parts in names]
    if max(map(len, titles), default=0) <= longest:
        return titles
    columns = list(zip(*names, strict=True))
    differing = [column for column in columns if len(set(column)) > 1] or columns
    titles = [", ".join(parts) for parts in zip(*differing, strict=True)]
    for length in range(longest, max(map(len, titles)) + 1):
        shortened = [_shortened(title, length) for title in titles]
        if len(set(shortened)) == len(set(titles)):
            return shortened
    return titles


def _shortened(text: str, length: int) -> str:
    """Return a text of at most `length` characters, without its middle."""
    if len(text) <= length:
        return text
    head = length // 2
    return f"{text[:head]}…{text[len(text) - (length - head - 1) :]}"


def legend_below(axes: Axes, *, title: str = "", columns: int = 2) -> None:
    """Set a legend below the label of the x axis, where it covers no line."""
    figure: Any = axes.figure
    legend = axes.legend(
        loc="upper left",
        bbox_to_anchor=(0, 0),
        borderaxespad=0,
        borderpad=0,
        frameon=False,
        fontsize=9,
        ncols=columns,
        bbox_transform=axes.transAxes + ScaledTranslation(0, -_BELOW, figure.dpi_scale_trans),
        title=title or None,
        title_fontsize=9,
        alignment="left",
    )
    legend.get_title().set_color(GREY)
    for text in legend.get_texts():
        text.set_parse_math(False)
