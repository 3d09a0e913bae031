"""`network`: the table of a model's layers as a figure."""

import keras
from matplotlib.figure import Figure

from kzoo.plots.colors import FAINT, GREY, INK
from kzoo.plots.figure import new_figure
from kzoo.zoo.graph import nodes_of, sources_of

_HEADINGS = ("layer", "type", "connected to", "output shape", "parameters")
_ROW, _MARGIN, _HEAD = 0.2, 0.25, 0.9  # inches
_FONT_SIZE = 7.5
# inches: the width of a monospaced character, rounded up to pixels of 150 dpi
_CHARACTER = 10 / 150
_LONGEST = 60  # characters of a cell
_MAX_HEIGHT = 400.0  # inches: 60,000 pixels at 150 dpi, the limit of the PNG renderer


def network(model: keras.Model) -> Figure:
    """Draw the table of a model's layers: type, layers that feed it, output shape and parameters.

    `keras.utils.plot_model` draws the graph, if pydot and Graphviz are installed.

    Args:
        model: a functional or sequential `keras.Model`.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: the model is not functional and has no graph.

    Examples:
        >>> figure = kzoo.plots.network(kzoo.build("digits_cnn"))
        >>> figure.savefig("network.png")
    """
    sources = sources_of(model)
    table = [_HEADINGS] + [
        (
            name,
            type(node.operation).__name__,
            ", ".join(sources[name]),
            _shape(node.outputs[0].shape[1:]),
            f"{node.operation.count_params():,}",
        )
        for name, node in nodes_of(model).items()
    ]
    widths = [
        _CHARACTER * (min(max(map(len, column)), _LONGEST) + 3)
        for column in zip(*table, strict=True)
    ]
    width = sum(widths) + 2 * _MARGIN
    height = _HEAD + _ROW * len(table)
    scale = min(1.0, _MAX_HEIGHT / height)
    figure = new_figure(width * scale, height * scale, dpi=150, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-_MARGIN, width - _MARGIN)
    axes.set_ylim(height - _HEAD, -_HEAD)  # y grows downwards
    axes.set_axis_off()
    axes.text(
        0, -0.6, model.name, fontsize=12 * scale, fontweight="bold", color=INK, parse_math=False
    )
    subtitle = f"{model.count_params():,} parameters"
    axes.text(0, -0.4, subtitle, fontsize=8 * scale, color=GREY)
    for i, row in enumerate(table):
        color = INK if i else GREY
        for j, cell in enumerate(row):
            text = cell if len(cell) <= _LONGEST else f"{cell[: _LONGEST - 1]}…"
            is_number = j == len(row) - 1
            axes.text(
                sum(widths[: j + is_number]),
                _ROW * i,
                text,
                ha="right" if is_number else "left",
                fontsize=_FONT_SIZE * scale,
                family="monospace",
                color=color,
                parse_math=False,
            )
        axes.axhline(_ROW * i + 0.06, 0, 1, color=FAINT, lw=0.5 * scale)
    return figure


def _shape(shape: tuple[int | None, ...]) -> str:
    return " × ".join("?" if size is None else f"{size}" for size in shape) or "1"
