"""How well classes are told apart: `confusion_matrix`, `per_class`, `roc_and_precision_recall`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap, PowerNorm, to_rgba
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from sklearn import metrics as sk

from kzoo.plots.colors import BLUE, FAINT, GREY, INK, ORANGE, line_style
from kzoo.plots.figure import new_figure, tidy
from kzoo.plots.predictions import name_of
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import shown

_MOST_NUMBERS, _MOST_NAMES = 20, 40  # classes whose cells hold numbers; classes that are all named along an axis
_MOST_CURVES = 10
_DENSEST = 0.5  # of a colour over the paper: ink stays legible on it, on white paper and on a dark page


@checked_arguments
def confusion_matrix(
    true: Sequence[int | str] | np.ndarray,
    predicted: Sequence[int | str] | np.ndarray,
    class_names: Sequence[str] = (),
    *,
    normalize: bool = True,
) -> Figure:
    """Draw how often each class was taken for which, right answers blue and mistakes orange.

    Up to 20 classes every cell holds its count.

    Args:
        true: (N,) class numbers, or names out of `class_names`.
        predicted: (N,) class numbers, or names out of `class_names`.
        class_names: names for class numbers.
        normalize: colour the share of the true class, so that small classes count as much as large ones; else the
            number of examples.

    Raises:
        KzooError: fewer than two classes, counts that differ, or a label that is not a class.
    """
    true, predicted, names = _labels(true, predicted, class_names)
    counts = sk.confusion_matrix(true, predicted, labels=range(len(names)))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    shown = shares if normalize else counts
    accuracy = np.trace(counts) / len(true)
    side = float(np.clip(0.5 * len(names), 2.2, 7.0))
    figure = new_figure(side + 2, side + 2)
    axes = figure.add_subplot()
    tidy(axes, f"{np.trace(counts):,} of {len(true):,} right ({accuracy:.1%})", x="predicted", y="true", grid=None)
    axes.spines[:].set(visible=True, color=FAINT)
    right = np.eye(len(names), dtype=bool)
    # Rare mistakes shall be seen: colour grows with the root, and faster for them.
    tops = shown.max(), max(shown.max() / 2, shown[~right].max())
    for color, top, empty in ((BLUE, tops[0], ~right), (ORANGE, tops[1], right | (counts == 0))):
        # One colour, the denser the more: on a dark page the same cells shine.
        ramp = LinearSegmentedColormap.from_list("density", [to_rgba(color, 0), to_rgba(color, _DENSEST)])
        edges = np.arange(len(names) + 1) - 0.5
        axes.pcolormesh(edges, edges, np.ma.array(shown, mask=empty), cmap=ramp, norm=PowerNorm(0.5, 0, top))
    axes.set_aspect("equal")
    axes.invert_yaxis()
    cell = side / len(names)
    _name_classes(axes.xaxis, names, turned=0.12 * max(map(len, names)) > cell)
    _name_classes(axes.yaxis, names)
    if len(names) <= _MOST_NUMBERS:
        size = min(10, 72 * cell / (0.6 * len(f"{counts.max():,}") + 1.2))
        for i, j in zip(*np.nonzero(counts), strict=True):
            axes.text(j, i, f"{counts[i, j]:,}", ha="center", va="center", fontsize=size, color=INK)
    return figure


def _name_classes(axis: Axis, names: Sequence[str], *, turned: bool = False) -> None:
    """Write class names along an axis; of very many only some, evenly spaced."""
    step = -(-len(names) // _MOST_NAMES)
    places = range(0, len(names), step)
    style: Any = dict(fontsize=9 if len(names) <= 20 else 7, parse_math=False)
    axis.set_ticks(places, [name_of(names[i], ()) for i in places], rotation=90 if turned else 0, **style)
    axis.set_tick_params(length=0 if step == 1 else 2)


def per_class(
    true: Sequence[int | str] | np.ndarray, predicted: Sequence[int | str] | np.ndarray, class_names: Sequence[str] = ()
) -> Figure:
    """Draw precision and recall of every class as bars, in the order of the classes.

    A class that was never predicted has no precision, and one without examples no recall: it says so.

    Args:
        true: (N,) class numbers, or names out of `class_names`.
        predicted: (N,) class numbers, or names out of `class_names`.
        class_names: names for class numbers.

    Raises:
        KzooError: fewer than two classes, counts that differ, or a label that is not a class.
    """
    true, predicted, names = _labels(true, predicted, class_names)
    precision, recall, _, support = sk.precision_recall_fscore_support(
        true, predicted, labels=range(len(names)), zero_division=np.nan
    )
    many = len(names) > _MOST_NUMBERS
    figure = new_figure(5.2, 1.3 + (0.24 if many else 0.4) * len(names))
    axes = figure.add_subplot()
    places = np.arange(len(names))
    for shift, values, label, color in ((-0.2, precision, "precision", BLUE), (0.2, recall, "recall", ORANGE)):
        axes.barh(places + shift, np.nan_to_num(values), 0.36, color=color, label=label)
        for place, value in zip(places + shift, values, strict=True):
            text = "none" if np.isnan(value) else f"{value:.3f}"
            style: Any = dict(va="center", fontsize=6 if many else 8, color=GREY)
            axes.text(np.nan_to_num(value) + 0.008, place, text, **style)
    tidy(axes, f"Precision {np.nanmean(precision):.3f}, recall {np.nanmean(recall):.3f} on average", grid="x")
    labels = [f"{name_of(name, ())}  ({count:,})" for name, count in zip(names, support, strict=True)]
    axes.set_yticks(places, labels, color=INK, fontsize=7 if many else 9, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1.0)
    axes.set_ylim(len(names) - 0.4, -0.6)
    figure.legend(loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    return figure


def roc_and_precision_recall(
    true: Sequence[int | str] | np.ndarray, probabilities: ArrayLike, class_names: Sequence[str] = ()
) -> Figure:
    """Draw the ROC curve and the precision-recall curve side by side.

    Two classes: the curves of the second one. More: each class against the rest, up to ten, and their mean.

    Args:
        true: (N,) class numbers, or names out of `class_names`.
        probabilities: (N, classes); or (N,) or (N, 1), the probability of the second of two classes.
        class_names: names for class numbers.

    Raises:
        KzooError: counts that differ, a label that is not a class, probabilities that are not numbers, or all labels
            the same.
    """
    of = _separated(true, probabilities, class_names)
    figure = new_figure(11, 4.6)
    left, right = figure.subplots(1, 2)
    _draw_roc(left, *of)
    _draw_precision_recall(right, *of)
    return figure


def roc(true: Sequence[int | str] | np.ndarray, probabilities: ArrayLike, class_names: Sequence[str] = ()) -> Figure:
    """Draw the ROC curve alone; see `roc_and_precision_recall`."""
    figure = new_figure(5.5, 4.2)
    _draw_roc(figure.add_subplot(), *_separated(true, probabilities, class_names))
    return figure


def precision_recall(
    true: Sequence[int | str] | np.ndarray, probabilities: ArrayLike, class_names: Sequence[str] = ()
) -> Figure:
    """Draw the precision-recall curve alone; see `roc_and_precision_recall`."""
    figure = new_figure(5.5, 4.2)
    _draw_precision_recall(figure.add_subplot(), *_separated(true, probabilities, class_names))
    return figure


def _separated(
    true: Sequence[int | str] | np.ndarray, probabilities: ArrayLike, class_names: Sequence[str]
) -> tuple[dict[int, tuple[np.ndarray, np.ndarray]], list[str]]:
    """Return for each class to draw which examples are of it (N,) and the answers for it (N,); and all names."""
    true, p, names = checked_probabilities(true, probabilities, class_names)
    present = [c for c in range(len(names)) if (true == c).any()]
    if len(present) < 2:
        raise KzooError(f"All {len(true)} labels are {names[present[0]]!r}: a curve needs examples of two classes.")
    return {c: (true == c, p[:, c]) for c in ([1] if len(names) == 2 else present)}, names


def _draw_roc(axes: Axes, of: dict[int, tuple[np.ndarray, np.ndarray]], names: Sequence[str]) -> None:
    # One point for each step: an area drawn is an area measured.
    curves = {c: sk.roc_curve(*pair, drop_intermediate=False)[:2] for c, pair in of.items()}
    areas = {c: float(sk.roc_auc_score(*pair)) for c, pair in of.items()}
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls=(0, (2, 2)), zorder=1)
    _draw_curves(axes, curves, areas, names, at=_roc_at, drawstyle="default", legend="area under the curve")
    tidy(axes, "ROC", x="false positive rate", y="true positive rate")


def _draw_precision_recall(axes: Axes, of: dict[int, tuple[np.ndarray, np.ndarray]], names: Sequence[str]) -> None:
    curves = {c: sk.precision_recall_curve(*pair)[:2][::-1] for c, pair in of.items()}
    averages = {c: float(sk.average_precision_score(*pair)) for c, pair in of.items()}
    axes.axhline(np.mean([is_one.mean() for is_one, _ in of.values()]), color=GREY, lw=1, ls=(0, (2, 2)), zorder=1)
    _draw_curves(axes, curves, averages, names, at=_precision_at, drawstyle="steps-pre", legend="average precision")
    tidy(axes, "Precision and recall", x="recall", y="precision")


def _draw_curves(
    axes: Axes, curves: dict, areas: dict[int, float], names: Sequence[str], *, at: Any, drawstyle: Any, legend: str
) -> None:
    """Draw a curve for each class, if they are few, and their mean."""
    alone = len(curves) == 1
    for i, (c, curve) in enumerate(curves.items() if len(curves) <= _MOST_CURVES else ()):
        style = dict(color=BLUE, lw=2) if alone else dict(lw=1.1, alpha=0.9, **line_style(i))
        axes.plot(*curve, drawstyle=drawstyle, label=f"{name_of(names[c], ())}  {areas[c]:.3f}", **style)
    if not alone:
        mean = np.mean([at(*curve) for curve in curves.values()], axis=0)
        label = f"mean of {len(curves)}  {np.mean(list(areas.values())):.3f}"
        axes.plot(_GRID, mean, color=INK, lw=2.4, label=label, zorder=3)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.02)
    axes.set_aspect("equal")
    beside: Any = dict(loc="center left", bbox_to_anchor=(1.0, 0.5), title=legend, title_fontsize=8.5)
    axes.legend(frameon=False, fontsize=8.5, **beside).get_title().set_color(GREY)


_GRID = np.linspace(0, 1, 501)


def _roc_at(false_rate: np.ndarray, true_rate: np.ndarray) -> np.ndarray:
    return np.interp(_GRID, false_rate, true_rate)


def _precision_at(recall: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Return the precision of the first threshold that finds so much, at each recall of the grid."""
    recall, precision = recall[::-1], precision[::-1]
    return precision[np.searchsorted(recall, _GRID - 1e-12).clip(1, len(recall) - 1)]


def checked_probabilities(
    true: Sequence[int | str] | np.ndarray, probabilities: ArrayLike, class_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    try:
        p = np.asarray(probabilities, dtype="float64")
    except (TypeError, ValueError, OverflowError):
        raise KzooError(f"probabilities={shown(probabilities)} must be an array of numbers.") from None
    if not np.isfinite(p).all():
        raise KzooError(f"probabilities hold {int((~np.isfinite(p)).sum())} values that are not numbers (NaN or inf).")
    if p.ndim == 1 or p.shape[1:] == (1,):
        if p.min() < 0 or p.max() > 1:
            raise KzooError(
                f"probabilities of one column run from {p.min():.3g} to {p.max():.3g}, and one is from 0 to 1. Of "
                "scores, give a column for each class."
            )
        p = np.stack([1 - p.ravel(), p.ravel()], axis=1)
    if p.ndim != 2:
        raise KzooError(f"probabilities have shape {p.shape}; they must be (examples, classes).")
    if len(class_names) not in (0, p.shape[1]):
        raise KzooError(f"probabilities have {p.shape[1]} columns for {len(class_names)} class names.")
    names = list(class_names) or [str(c) for c in range(p.shape[1])]
    true = _numbers("true", true, names)
    if len(true) != len(p):
        raise KzooError(f"There are {len(true)} true labels for {len(p)} rows of probabilities.")
    return true, p, names


def _labels(
    true: Sequence[int | str] | np.ndarray, predicted: Sequence[int | str] | np.ndarray, class_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return class numbers (N,), (N,) and a name for each class."""
    true, predicted = (_numbers(what, v, class_names) for what, v in (("true", true), ("predicted", predicted)))
    if len(true) != len(predicted):
        raise KzooError(f"There are {len(true)} true labels for {len(predicted)} predicted ones.")
    names = list(class_names) or [str(c) for c in range(max(true.max(), predicted.max()) + 1)]
    if len(names) < 2:
        raise KzooError(f"There is a single class, {names[0]!r}: there is nothing to tell apart.")
    return true, predicted, names


def _numbers(what: str, labels: Any, names: Sequence[str]) -> np.ndarray:
    """Return labels as class numbers (N,)."""
    try:
        labels = np.asarray(labels)
    except Exception:  # rows of unlike lengths, or an object that raises
        raise KzooError(f"{what} labels are {shown(labels)}; they must be (examples,) class numbers.") from None
    if labels.ndim != 1 or not len(labels):
        raise KzooError(f"{what} labels have shape {labels.shape}; they must be (examples,) class numbers.")
    if labels.dtype.kind in "UO":
        place = {str(name): i for i, name in enumerate(names)}
        unknown = sorted({str(label) for label in labels} - set(place))
        if unknown:
            raise KzooError(f"{what} label {unknown[0]!r} is not in class_names: {', '.join(place) or 'none given'}.")
        return np.array([place[str(label)] for label in labels])
    numbers = labels.astype("float64")
    bad = ~np.isfinite(numbers) | (numbers != np.round(numbers)) | (numbers < 0)
    bad |= numbers >= (len(names) or np.inf)
    if bad.any():
        raise KzooError(
            f"{what} label {labels[bad][0]} is not a class number 0..{len(names) - 1}."
            if names
            else f"{what} label {labels[bad][0]} is not a class number: 0, 1, 2..."
        )
    return numbers.astype(int)
