"""`network`: a model's layers from top to bottom, as a picture."""

from typing import Any

import keras
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, PathPatch, Rectangle
from matplotlib.path import Path

from kzoo.plots.colors import GREY, INK
from kzoo.plots.figure import new_figure
from kzoo.plots.graph import boxes_of
from kzoo.utils.errors import KzooError

# Role -> (fill, edge).
_FILLS = {
    "input": ("#e9ecf1", "#8b95a5"),
    "convolution": ("#d6e6f7", "#3d7ab8"),
    "dense": ("#d5efe2", "#2f8f66"),
    "recurrent": ("#e6dcf4", "#7d55b0"),
    "attention": ("#fde3c8", "#cc7a29"),
    "embedding": ("#d3eef0", "#2b8a93"),
    "pooling": ("#f8dbdb", "#b85252"),
    "join": ("#fff3c4", "#b3922a"),
    "other": ("#eeeeee", "#8a8a8a"),
    "norm": ("#f4f5f7", None),
    "minor": ("#fafbfc", None),
}
_WIDTH, _MAIN, _MINOR = 3.0, 0.40, 0.20  # inches: a box, a row of two lines, a row of one
_GAP, _GUTTER, _TRACK = 0.26, 0.42, 0.11  # between boxes, between lanes, between skip connections
_MARGIN, _TITLE = 0.25, 0.62
_TALLEST = 400.0  # inches: 60,000 pixels at 150 dpi, the most that a PNG renderer takes


def network(model: keras.Model) -> Figure:
    """Draw the layers of a model as boxes with their output shape and number of parameters.

    Normalisation, activation and dropout share the box of the layer that they follow. Branches stand side by
    side; skip connections run along the right of what they skip. The height grows with the layers.

    Args:
        model: a functional or sequential `keras.Model`.

    Raises:
        KzooError: another kind of model, which has no graph to draw.
    """
    graph = getattr(model, "_functional", None) or model
    if not hasattr(graph, "_nodes_by_depth"):
        raise KzooError(f"{type(model).__name__} {model.name!r} is not a functional model: there is no graph to draw.")
    boxes = boxes_of(model)
    tops, bottoms = _heights(boxes)
    lanes = _lanes(boxes, tops, bottoms)
    skips = _skips(boxes, lanes, tops, bottoms)
    tracks = max((track for _, _, track in skips), default=-1) + 1
    pitch = _WIDTH + _GUTTER + tracks * _TRACK
    left, right = min(lanes.values()), max(lanes.values())
    wide = (right - left) * pitch + _WIDTH + 2 * _MARGIN + (tracks * _TRACK + 0.15 if tracks else 0)
    tall = max(bottoms.values()) + _TITLE + _MARGIN
    scale = min(1.0, _TALLEST / tall)
    figure = new_figure(wide * scale, tall * scale, dpi=150, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-_MARGIN, wide - _MARGIN)
    axes.set_ylim(tall - _TITLE, -_TITLE)  # y grows downwards, as the network does
    axes.set_axis_off()
    middle = {box: (lanes[box] - left) * pitch + _WIDTH / 2 for box in boxes}
    params = f"{model.count_params():,} parameters"
    label: Any = dict(va="center", parse_math=False)
    axes.text(0, -0.39, model.name, fontsize=12 * scale, fontweight="bold", color=INK, **label)
    axes.text(0, -0.18, params, fontsize=8 * scale, color=GREY, **label)
    for box in boxes:
        _draw_box(axes, box, middle[box], tops[box], scale)
    skipping = {(source, target) for source, target, _ in skips}
    for box in boxes:
        for source in box.sources:
            if (source, box) not in skipping:
                _draw_edge(axes, middle[source], bottoms[source], middle[box], tops[box], scale)
    for source, target, track in skips:
        _draw_skip(axes, middle[source], bottoms[source], middle[target], tops[target], track, scale)
    return figure


def _height(box):
    return sum(_MINOR if row.minor and i else _MAIN for i, row in enumerate(box.rows))


def _heights(boxes):
    """Place every box below all that feed it, and one that nothing feeds right above what it feeds."""
    tops: dict[Any, float] = {}
    bottoms: dict[Any, float] = {}
    for box in boxes:
        tops[box] = max((bottoms[s] + _GAP for s in box.sources), default=0.0)
        bottoms[box] = tops[box] + _height(box)
    for box in boxes:
        if not box.sources and box.rows[0].role != "input":
            below = min((tops[b] for b in boxes if box in b.sources), default=bottoms[box] + _GAP)
            tops[box], bottoms[box] = below - _GAP - _height(box), below - _GAP
    return tops, bottoms


def _lanes(boxes, tops, bottoms):
    """Give every box a column: the longest branch goes straight on, the others stand beside it."""
    targets = {box: [b for b in boxes if box in b.sources] for box in boxes}
    rest: dict[Any, Any] = {}
    for box in reversed(boxes):
        rest[box] = _height(box) + max((rest[t] for t in targets[box]), default=0.0)
    lanes: dict[Any, int] = {}  # box -> lane
    taken: dict[int, list] = {}  # lane -> spans that are in use

    def free(lane, top, bottom):
        return all(bottom <= a or top >= b for a, b in taken.get(lane, ()))

    for box in boxes:
        feeds = [s for s in box.sources if s in lanes]
        # The way down to its one target must be free; with several, the longest branch goes on in this lane.
        until = tops[targets[box][0]] - 1e-6 if len(targets[box]) == 1 else bottoms[box]
        if not feeds:
            wanted = 0
        elif len(feeds) > 1:
            # A meeting point stands where the longest of its branches began.
            wanted = min((lanes[s] for s in feeds), key=abs)
        else:
            siblings = [t for t in targets[feeds[0]] if len(t.sources) == 1]
            wanted = lanes[feeds[0]] + _spread(box, siblings, rest)
        around = sorted(
            range(wanted - len(boxes), wanted + len(boxes) + 1), key=lambda lane: (abs(lane - wanted), -lane)
        )
        lanes[box] = next(lane for lane in around if free(lane, tops[box], until))
        taken.setdefault(lanes[box], []).append((tops[box], until))
    return lanes


def _spread(box, siblings, rest):
    """Return how many lanes to the right of its source a branch stands."""
    if len(siblings) < 3:
        longest = max(siblings, key=lambda s: rest[s]) if siblings else box
        return 0 if box is longest else 1
    return siblings.index(box) - (len(siblings) - 1) // 2


def _skips(boxes, lanes, tops, bottoms):
    """Find edges that pass boxes in their own lane, and give each a track of its own beside the lane."""
    skips: list[Any] = []
    used: list[Any] = []
    for target in boxes:
        for source in target.sources:
            passed = any(
                lanes[b] == lanes[source] and tops[b] > bottoms[source] - 1e-6 and bottoms[b] < tops[target] + 1e-6
                for b in boxes
                if b is not source and b is not target
            )
            if not passed:
                continue
            busy = {t for lane, a, b, t in used if lane == lanes[source] and a < tops[target] and b > bottoms[source]}
            track = next(t for t in range(len(boxes)) if t not in busy)
            used.append((lanes[source], bottoms[source], tops[target], track))
            skips.append((source, target, track))
    return skips


def _draw_box(axes, box, x, top, scale):
    left, bottom = x - _WIDTH / 2, top + _height(box)
    edge = _FILLS[box.rows[0].role][1] or "#a9b0bb"
    outline = FancyBboxPatch(
        (left, top), _WIDTH, bottom - top, boxstyle="round,pad=0,rounding_size=0.06", fc="white", ec=edge,
        lw=1.1 * scale, zorder=3,
    )  # fmt: skip
    axes.add_patch(outline)
    y = top
    for i, row in enumerate(box.rows):
        main = not (row.minor and i)
        height = _MAIN if main else _MINOR
        strip = Rectangle((left, y), _WIDTH, height, fc=_FILLS[row.role][0], ec="none", zorder=4)
        axes.add_patch(strip)
        strip.set_clip_path(outline)
        if main:
            _write(axes, left, y + 0.13, row, scale, bold=True)
            _write_names(axes, left, y + 0.29, row, scale)
        else:
            _write(axes, left, y + 0.10, row, scale, bold=False)
        y += height
    axes.add_patch(
        FancyBboxPatch(
            (left, top), _WIDTH, bottom - top, boxstyle="round,pad=0,rounding_size=0.06", fc="none", ec=edge,
            lw=1.1 * scale, zorder=6,
        )
    )  # fmt: skip


def _write(axes, left, y, row, scale, *, bold):
    text = f"{row.kind}  {row.detail}".strip()
    style = dict(fontsize=(7.6 if bold else 6.4) * scale, va="center", zorder=7, parse_math=False)
    color = INK if bold else GREY
    axes.text(left + 0.09, y, text, color=color, fontweight="bold" if bold else "normal", **style)
    if bold:
        axes.text(left + _WIDTH - 0.09, y, _shape(row.shape), ha="right", color=INK, **style)
    elif row.params:
        axes.text(left + _WIDTH - 0.09, y, f"{row.params:,}", ha="right", color=GREY, **style)


def _write_names(axes, left, y, row, scale):
    style = dict(fontsize=6.2 * scale, va="center", color=GREY, zorder=7, parse_math=False)
    name = row.name if len(row.name) <= 36 else row.name[:35] + "…"
    axes.text(left + 0.09, y, name, **style)
    if row.params:
        axes.text(left + _WIDTH - 0.09, y, f"{row.params:,} parameters", ha="right", **style)


def _shape(shape):
    return " × ".join("?" if size is None else f"{size}" for size in shape) or "1"


def _arrow(axes, points, scale):
    """Draw lines at right angles with rounded corners, and an arrow head at the last point."""
    line = _rounded([*points[:-1], (points[-1][0], points[-1][1] - 0.05)])
    axes.add_patch(PathPatch(line, fc="none", ec="#5b6470", lw=1.0 * scale, zorder=2, capstyle="round"))
    (x, y), style = points[-1], "-|>,head_length=3.4,head_width=1.7"
    axes.add_patch(
        FancyArrowPatch(
            (x, y - 0.09), (x, y), arrowstyle=style, mutation_scale=scale, color="#5b6470", lw=0.8 * scale,
            shrinkA=0, shrinkB=0, zorder=2,
        )
    )  # fmt: skip


def _rounded(points, radius=0.07):
    vertices, codes = [points[0]], [Path.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        for other, code in ((before, Path.LINETO), (after, None)):
            length = abs(other[0] - corner[0]) + abs(other[1] - corner[1])
            share = min(radius, length / 2) / length if length else 0
            near = (corner[0] + (other[0] - corner[0]) * share, corner[1] + (other[1] - corner[1]) * share)
            vertices += [near] if code else [corner, near]
            codes += [code] if code else [Path.CURVE3, Path.CURVE3]
    return Path([*vertices, points[-1]], [*codes, Path.LINETO])


def _draw_edge(axes, x, bottom, to, top, scale):
    if abs(x - to) < 1e-6:
        return _arrow(axes, [(x, bottom), (to, top)], scale)
    # A branch leaves just below its source when it has its own lane, and turns in just above its target.
    y = top - _GAP / 2
    return _arrow(axes, [(x, bottom), (x, y), (to, y), (to, top)], scale)


def _draw_skip(axes, x, bottom, to, top, track, scale):
    side = x + _WIDTH / 2 + 0.14 + track * _TRACK
    start, end = bottom + _GAP * 0.38, top - _GAP * 0.55
    _arrow(axes, [(x, bottom), (x, start), (side, start), (side, end), (to, end), (to, top)], scale)
