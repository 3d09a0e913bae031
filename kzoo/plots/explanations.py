"""Plots of explanations: `column_importance`, `reasons`. `Explanation.plot` draws the one that suits it."""

import math
import textwrap
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kzoo.plots.colors import BLUE, FAINT, GREY, INK, ORANGE, line_style
from kzoo.plots.figure import legend_below, new_figure, style_axes

if TYPE_CHECKING:
    from kzoo.inference.explanations import Dependence, Explanation, Reasons

_MOST_BARS = 20
_MOST_LINES = 7  # outputs of a partial dependence
_MOST_LETTERS = 40  # of a label
_PER_ROW, _MOST_PANELS = 3, 9  # partial dependences


def column_importance(explanation: "Explanation", *, notes: bool = True) -> Figure:
    """Plot the importance of columns with 95 % intervals, and below it the mean prediction by the strongest ones.

    Permutation importance: https://arxiv.org/abs/1801.01489. Partial dependence:
    https://doi.org/10.1214/aos/1013203451.

    Args:
        explanation: of all rows, the result of `kzoo.explain`.
        notes: whether to write below it what it shows, and what it does not.

    Returns:
        A matplotlib `Figure`.

    Examples:
        >>> run = kzoo.train("iris_fnn", "iris", epochs=20, out="runs/iris")
        >>> explanation = kzoo.explain(run)
        >>> figure = kzoo.plots.column_importance(explanation)
    """
    shown = explanation.importances[:_MOST_BARS]
    panels = [(each, outputs) for each in explanation.dependences for outputs in _comparable(each)][
        :_MOST_PANELS
    ]
    rows = math.ceil(len(panels) / _PER_ROW)
    height = 1.4 + 0.3 * len(shown)
    figure = new_figure(8.4, height + 2.7 * rows + 0.5)
    grid = figure.add_gridspec(1 + rows, _PER_ROW, height_ratios=[height, *[2.7] * rows])
    axes = figure.add_subplot(grid[0, :])
    score = explanation.score.replace("_", " ")
    style_axes(axes, "Importance of columns", x=f"{score} is worse by", grid="x")
    for y, importance in enumerate(shown):
        bar, point = (BLUE, INK) if importance.noise is False else (FAINT, GREY)
        axes.barh(y, max(importance.mean, 0), 0.62, color=bar)
        low, high = importance.interval or (importance.mean, importance.mean)
        axes.errorbar(
            importance.mean,
            y,
            xerr=[[importance.mean - low], [high - importance.mean]],
            color=point,
            fmt="o",
            ms=3,
            lw=1.1,
            capsize=3,
        )
    _label_bars(axes, [importance.name for importance in shown])
    for index, (dependence, outputs) in enumerate(panels):
        axes = figure.add_subplot(grid[1 + index // _PER_ROW, index % _PER_ROW])
        _draw_dependence(axes, dependence, outputs)
    if notes:
        _note(figure, [explanation.about, "Pale: no better than noise.", *explanation.limits])
    return figure


def reasons(of: "Reasons", explanation: "Explanation", *, notes: bool = True) -> Figure:
    """Plot what each column or word adds to the prediction of an input, the largest amounts first.

    Of tables and series, they are Shapley values (https://arxiv.org/abs/1705.07874).

    Args:
        of: the reasons of one input, an element of `explanation.rows`.
        explanation: the result of `kzoo.explain`.
        notes: whether to write below it what it shows, and what it does not.

    Returns:
        A matplotlib `Figure`.

    Examples:
        >>> run = kzoo.train("iris_fnn", "iris", epochs=20, out="runs/iris")
        >>> flowers = np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 2.9, 5.6, 1.8]])
        >>> explanation = kzoo.explain(run, flowers)
        >>> figure = kzoo.plots.reasons(explanation.rows[0], explanation)
    """
    shown = of.reasons[:_MOST_BARS]
    figure = new_figure(7.4, 1.9 + 0.3 * len(shown))
    axes = figure.add_subplot()
    start = "" if of.base is None else f", from {of.base:.4g}"
    style_axes(
        axes, f"{_shorten(of.input)}: {of.title} {of.prediction:.4g}{start}", x="adds", grid="x"
    )
    for y, reason in enumerate(shown):
        axes.barh(y, reason.amount, 0.62, color=BLUE if reason.amount > 0 else ORANGE)
        if reason.error is not None:
            axes.errorbar(reason.amount, y, xerr=2 * reason.error, color=INK, lw=1.1, capsize=3)
    labels = [
        f"{reason.name} = {reason.value}" if reason.value else reason.name for reason in shown
    ]
    rest = of.reasons[_MOST_BARS:]
    if rest and of.base is not None:
        axes.barh(len(shown), sum(reason.amount for reason in rest), 0.62, color=GREY)
        labels.append(f"{len(rest)} more")
    _label_bars(axes, labels)
    if notes:
        _note(figure, [explanation.about, *explanation.limits])
    return figure


def _label_bars(axes: Axes, labels: list[str]) -> None:
    axes.set_yticks(range(len(labels)), [_shorten(label) for label in labels], parse_math=False)
    axes.tick_params(axis="y", length=0, colors=INK)
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=GREY, lw=0.8)
    axes.set_ylim(len(labels) - 0.4, -0.6)


def _comparable(dependence: "Dependence") -> list[list[int]]:
    """Return the outputs of each panel: probabilities, or quantiles of a target, in one; targets in one each."""
    names = dependence.outputs
    means = [mean for row in dependence.means for mean in row]
    if dependence.shares and len(names) == 2:
        return [[1]]  # the probabilities of two classes contain the same information
    is_share = all(0 <= mean <= 1 for mean in means)
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        target, space, level = name.rpartition(" ")
        key = "" if is_share else target if space and level.replace(".", "", 1).isdigit() else name
        groups.setdefault(key, []).append(index)
    return [outputs[:_MOST_LINES] for outputs in groups.values()]


def _draw_dependence(axes: Axes, dependence: "Dependence", outputs: list[int]) -> None:
    style_axes(axes, _shorten(dependence.column, 26), y="mean prediction")
    is_number = dependence.type == "number"
    x: Any = dependence.values if is_number else range(len(dependence.values))
    for number, index in enumerate(outputs):
        style = (
            line_style(number)
            if dependence.type != "category"
            else dict(color=line_style(number)["color"], ls="")
        )
        means = [row[index] for row in dependence.means]
        axes.plot(
            x, means, marker="o", ms=3, label=_shorten(dependence.outputs[index], 20), **style
        )
    if not is_number:
        texts = [_shorten(str(value), 14) for value in dependence.values]
        axes.set_xticks(range(len(texts)), texts, rotation=60, ha="right", parse_math=False)
    if len(outputs) > 1:
        legend_below(axes)
    else:
        name = _shorten(dependence.outputs[outputs[0]], 20)
        axes.set_ylabel(
            f"probability of {name}" if dependence.shares else name, color=GREY, parse_math=False
        )


def _note(figure: Figure, sentences: list[str]) -> None:
    width = int(13 * figure.get_figwidth())
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, width)]
    text = figure.supxlabel("\n".join(lines), x=0.02, ha="left", fontsize=8.5, color=GREY)
    text.set_parse_math(False)


def _shorten(name: str, most: int = _MOST_LETTERS) -> str:
    name = " ".join(name.split())
    return name if len(name) <= most else f"{name[: most - 1]}…"
