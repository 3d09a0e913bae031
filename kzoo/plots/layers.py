"""`network`: draw the layers of a model from top to bottom."""

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
_ROLE_COLORS = {
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
# Inches: width of a box, height of a row with two lines, and with one.
_WIDTH, _MAIN_HEIGHT, _MINOR_HEIGHT = 3.0, 0.40, 0.20
# Inches between boxes, between lanes, between skip connections.
_GAP, _GUTTER, _TRACK = 0.26, 0.42, 0.11
_MARGIN, _TITLE = 0.25, 0.62
_MAX_HEIGHT = 400.0  # inches: 60,000 pixels at 150 dpi, the limit of the PNG renderer


def network(model: keras.Model) -> Figure:
    """Draw the layers of a model as boxes with their output shapes and numbers of parameters.

    Normalization, activation and dropout layers share the box of the layer before them. Branches are side by side; skip
    connections run to the right of the boxes that they skip. The height of the figure grows with the number of layers.

    Args:
        model: a functional or sequential `keras.Model`.

    Raises:
        KzooError: the model is not functional and has no graph to draw.
    """
    graph = getattr(model, "_functional", None) or model
    if not hasattr(graph, "_nodes_by_depth"):
        raise KzooError(
            f"{type(model).__name__} {model.name!r} is not a functional model, so it has no graph to draw."
        )
    boxes = boxes_of(model)
    tops, bottoms = _vertical_extents(boxes)
    lanes = _lanes(boxes, tops, bottoms)
    skips = _skips(boxes, lanes, tops, bottoms)
    tracks = max((track for _, _, track in skips), default=-1) + 1
    pitch = _WIDTH + _GUTTER + tracks * _TRACK
    left, right = min(lanes.values()), max(lanes.values())
    width = (
        (right - left) * pitch + _WIDTH + 2 * _MARGIN + (tracks * _TRACK + 0.15 if tracks else 0)
    )
    height = max(bottoms.values()) + _TITLE + _MARGIN
    scale = min(1.0, _MAX_HEIGHT / height)
    figure = new_figure(width * scale, height * scale, dpi=150, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-_MARGIN, width - _MARGIN)
    axes.set_ylim(height - _TITLE, -_TITLE)  # y grows downwards, like the network
    axes.set_axis_off()
    center_x = {box: (lanes[box] - left) * pitch + _WIDTH / 2 for box in boxes}
    subtitle = f"{model.count_params():,} parameters"
    style: Any = dict(va="center", parse_math=False)
    axes.text(0, -0.39, model.name, fontsize=12 * scale, fontweight="bold", color=INK, **style)
    axes.text(0, -0.18, subtitle, fontsize=8 * scale, color=GREY, **style)
    for box in boxes:
        _draw_box(axes, box, center_x[box], tops[box], scale)
    skip_pairs = {(source, target) for source, target, _ in skips}
    for box in boxes:
        for source in box.sources:
            if (source, box) not in skip_pairs:
                _draw_edge(axes, center_x[source], bottoms[source], center_x[box], tops[box], scale)
    for source, target, track in skips:
        _draw_skip(
            axes, center_x[source], bottoms[source], center_x[target], tops[target], track, scale
        )
    return figure


def _height(box):
    return sum(_MINOR_HEIGHT if row.minor and i else _MAIN_HEIGHT for i, row in enumerate(box.rows))


def _vertical_extents(boxes):
    """Return the tops and bottoms of boxes: below all sources; without sources, right above the target."""
    tops: dict[Any, float] = {}
    bottoms: dict[Any, float] = {}
    for box in boxes:
        tops[box] = max((bottoms[source] + _GAP for source in box.sources), default=0.0)
        bottoms[box] = tops[box] + _height(box)
    for box in boxes:
        if not box.sources and box.rows[0].role != "input":
            target_top = min(
                (tops[target] for target in boxes if box in target.sources),
                default=bottoms[box] + _GAP,
            )
            tops[box], bottoms[box] = target_top - _GAP - _height(box), target_top - _GAP
    return tops, bottoms


def _lanes(boxes, tops, bottoms):
    """Return the lane of every box: the longest branch continues in its lane, the others are next to it."""
    targets = {box: [candidate for candidate in boxes if box in candidate.sources] for box in boxes}
    branch_length: dict[Any, Any] = {}
    for box in reversed(boxes):
        branch_length[box] = _height(box) + max(
            (branch_length[target] for target in targets[box]), default=0.0
        )
    lanes: dict[Any, int] = {}  # box -> lane
    occupied: dict[int, list] = {}  # lane -> occupied (top, bottom) spans

    def is_free(lane, top, bottom):
        return all(bottom <= start or top >= end for start, end in occupied.get(lane, ()))

    for box in boxes:
        sources = [source for source in box.sources if source in lanes]
        # The path down to a single target must be free; with several, the longest branch continues in this lane.
        free_until = tops[targets[box][0]] - 1e-6 if len(targets[box]) == 1 else bottoms[box]
        if not sources:
            preferred = 0
        elif len(sources) > 1:
            # A merge is in the lane of the longest of its branches.
            preferred = min((lanes[source] for source in sources), key=abs)
        else:
            siblings = [target for target in targets[sources[0]] if len(target.sources) == 1]
            preferred = lanes[sources[0]] + _lane_offset(box, siblings, branch_length)
        nearest = sorted(
            range(preferred - len(boxes), preferred + len(boxes) + 1),
            key=lambda lane: (abs(lane - preferred), -lane),
        )
        lanes[box] = next(lane for lane in nearest if is_free(lane, tops[box], free_until))
        occupied.setdefault(lanes[box], []).append((tops[box], free_until))
    return lanes


def _lane_offset(box, siblings, branch_length):
    """Return how many lanes a branch is to the right of its source."""
    if len(siblings) < 3:
        longest = max(siblings, key=lambda sibling: branch_length[sibling]) if siblings else box
        return 0 if box is longest else 1
    return siblings.index(box) - (len(siblings) - 1) // 2


def _skips(boxes, lanes, tops, bottoms):
    """Return (source, target, track) of the edges that pass boxes in their own lane; each gets a separate track."""
    skips: list[Any] = []
    used_tracks: list[Any] = []
    for target in boxes:
        for source in target.sources:
            passes_box = any(
                lanes[box] == lanes[source]
                and tops[box] > bottoms[source] - 1e-6
                and bottoms[box] < tops[target] + 1e-6
                for box in boxes
                if box is not source and box is not target
            )
            if not passes_box:
                continue
            busy_tracks = {
                track
                for lane, start, end, track in used_tracks
                if lane == lanes[source] and start < tops[target] and end > bottoms[source]
            }
            track = next(t for t in range(len(boxes)) if t not in busy_tracks)
            used_tracks.append((lanes[source], bottoms[source], tops[target], track))
            skips.append((source, target, track))
    return skips


def _draw_box(axes, box, x, top, scale):
    left = x - _WIDTH / 2
    bottom = top + _height(box)
    edge = _ROLE_COLORS[box.rows[0].role][1] or "#a9b0bb"
    outline = FancyBboxPatch(
        (left, top),
        _WIDTH,
        bottom - top,
        boxstyle="round,pad=0,rounding_size=0.06",
        fc="white",
        ec=edge,
        lw=1.1 * scale,
        zorder=3,
    )
    axes.add_patch(outline)
    y = top
    for i, row in enumerate(box.rows):
        is_main = not (row.minor and i)
        height = _MAIN_HEIGHT if is_main else _MINOR_HEIGHT
        rectangle = Rectangle(
            (left, y), _WIDTH, height, fc=_ROLE_COLORS[row.role][0], ec="none", zorder=4
        )
        axes.add_patch(rectangle)
        rectangle.set_clip_path(outline)
        if is_main:
            _write_layer(axes, left, y + 0.13, row, scale, is_main=True)
            _write_names(axes, left, y + 0.29, row, scale)
        else:
            _write_layer(axes, left, y + 0.10, row, scale, is_main=False)
        y += height
    axes.add_patch(
        FancyBboxPatch(
            (left, top),
            _WIDTH,
            bottom - top,
            boxstyle="round,pad=0,rounding_size=0.06",
            fc="none",
            ec=edge,
            lw=1.1 * scale,
            zorder=6,
        )
    )


def _write_layer(axes, left, y, row, scale, *, is_main):
    """Write a layer's type; on the right its output shape, or for a minor layer its number of parameters."""
    text = f"{row.kind}  {row.detail}".strip()
    style = dict(
        fontsize=(7.6 if is_main else 6.4) * scale, va="center", zorder=7, parse_math=False
    )
    color = INK if is_main else GREY
    axes.text(
        left + 0.09, y, text, color=color, fontweight="bold" if is_main else "normal", **style
    )
    if is_main:
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
    line = _rounded_path([*points[:-1], (points[-1][0], points[-1][1] - 0.05)])
    axes.add_patch(
        PathPatch(line, fc="none", ec="#5b6470", lw=1.0 * scale, zorder=2, capstyle="round")
    )
    (x, y), style = points[-1], "-|>,head_length=3.4,head_width=1.7"
    axes.add_patch(
        FancyArrowPatch(
            (x, y - 0.09),
            (x, y),
            arrowstyle=style,
            mutation_scale=scale,
            color="#5b6470",
            lw=0.8 * scale,
            shrinkA=0,
            shrinkB=0,
            zorder=2,
        )
    )


def _rounded_path(points, radius=0.07):
    vertices = [points[0]]
    codes = [Path.MOVETO]
    for previous, corner, following in zip(points, points[1:], points[2:], strict=False):
        for neighbor, code in ((previous, Path.LINETO), (following, None)):
            length = abs(neighbor[0] - corner[0]) + abs(neighbor[1] - corner[1])
            fraction = min(radius, length / 2) / length if length else 0
            near_corner = (
                corner[0] + (neighbor[0] - corner[0]) * fraction,
                corner[1] + (neighbor[1] - corner[1]) * fraction,
            )
            vertices += [near_corner] if code else [corner, near_corner]
            codes += [code] if code else [Path.CURVE3, Path.CURVE3]
    return Path([*vertices, points[-1]], [*codes, Path.LINETO])


def _draw_edge(axes, x, bottom, target_x, top, scale):
    if abs(x - target_x) < 1e-6:
        return _arrow(axes, [(x, bottom), (target_x, top)], scale)
    # An edge to another lane turns just above its target.
    y = top - _GAP / 2
    return _arrow(axes, [(x, bottom), (x, y), (target_x, y), (target_x, top)], scale)


def _draw_skip(axes, x, bottom, target_x, top, track, scale):
    track_x = x + _WIDTH / 2 + 0.14 + track * _TRACK
    start = bottom + _GAP * 0.38
    end = top - _GAP * 0.55
    _arrow(
        axes,
        [
            (x, bottom),
            (x, start),
            (track_x, start),
            (track_x, end),
            (target_x, end),
            (target_x, top),
        ],
        scale,
    )
