"""Plots of classification: `confusion_matrix`, `per_class`, `roc_and_precision_recall`."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap, PowerNorm, to_rgba
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from sklearn import metrics as sk

from kzoo.plots.colors import BLUE, FAINT, GREY, INK, ORANGE, line_style
from kzoo.plots.figure import legend_below, new_figure, style_axes
from kzoo.plots.predictions import name_of
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import shown

# most classes with counts in the cells; most classes with all names on an axis
_MAX_CELL_COUNTS, _MAX_NAMES = 20, 40
_MAX_CURVES = 10
# bars of more classes are wide: in a report they have a row of their own, like the confusion matrix
_MAX_BESIDE = 6
# opacity of the densest cell: text on it stays legible, on white and on a dark page
_MAX_ALPHA = 0.5


@checked_arguments
def confusion_matrix(
    true: Sequence[int | str] | np.ndarray,
    predicted: Sequence[int | str] | np.ndarray,
    class_names: Sequence[str] = (),
    *,
    normalize: bool = True,
) -> Figure:
    """Plot the confusion matrix, with correct predictions in blue and mistakes in orange.

    With up to 20 classes, every cell has its count.

    Args:
        true: (N,) class indices, or names from `class_names`.
        predicted: (N,) class indices, or names from `class_names`.
        class_names: the names of the classes, in the order of their indices.
        normalize: colour by the share of the true class, so that small classes count as much as large ones; else by the
            number of examples.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: fewer than two classes, different lengths, or a label that is not a class.

    Examples:
        >>> true, predicted = [0, 0, 1, 1, 2], [0, 1, 1, 1, 2]
        >>> figure = kzoo.plots.confusion_matrix(true, predicted, ["cat", "dog", "fox"])
    """
    true, predicted, names = _labels(true, predicted, class_names)
    counts = sk.confusion_matrix(true, predicted, labels=range(len(names)))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    intensity = shares if normalize else counts
    accuracy = np.trace(counts) / len(true)
    size_inches = float(np.clip(0.5 * len(names), 2.2, 7.0))
    figure = new_figure(size_inches + 2, size_inches + 2)
    axes = figure.add_subplot()
    style_axes(
        axes,
        f"{np.trace(counts):,} of {len(true):,} right ({accuracy:.1%})",
        x="predicted",
        y="true",
        grid=None,
    )
    axes.spines[:].set(visible=True, color=FAINT)
    is_diagonal = np.eye(len(names), dtype=bool)
    # Rare mistakes must stay visible: opacity grows with the square root, and faster for mistakes.
    maxima = intensity.max(), max(intensity.max() / 2, intensity[~is_diagonal].max())
    for color, maximum, mask in (
        (BLUE, maxima[0], ~is_diagonal),
        (ORANGE, maxima[1], is_diagonal | (counts == 0)),
    ):
        # One colour of varying opacity, which works on a dark page too.
        colormap = LinearSegmentedColormap.from_list(
            "density", [to_rgba(color, 0), to_rgba(color, _MAX_ALPHA)]
        )
        edges = np.arange(len(names) + 1) - 0.5
        axes.pcolormesh(
            edges,
            edges,
            np.ma.array(intensity, mask=mask),
            cmap=colormap,
            norm=PowerNorm(0.5, 0, maximum),
        )
    axes.set_aspect("equal")
    axes.invert_yaxis()
    cell_inches = size_inches / len(names)
    _label_classes(axes.xaxis, names, rotated=0.12 * max(map(len, names)) > cell_inches)
    _label_classes(axes.yaxis, names)
    if len(names) <= _MAX_CELL_COUNTS:
        font_size = min(10, 72 * cell_inches / (0.6 * len(f"{counts.max():,}") + 1.2))
        for i, j in zip(*np.nonzero(counts), strict=True):
            axes.text(
                j, i, f"{counts[i, j]:,}", ha="center", va="center", fontsize=font_size, color=INK
            )
    return figure


def _label_classes(axis: Axis, names: Sequence[str], *, rotated: bool = False) -> None:
    """Write class names along an axis; of too many classes only some, evenly spaced."""
    step = -(-len(names) // _MAX_NAMES)
    positions = range(0, len(names), step)
    style: Any = dict(fontsize=9 if len(names) <= 20 else 7, parse_math=False)
    axis.set_ticks(
        positions, [name_of(names[i]) for i in positions], rotation=90 if rotated else 0, **style
    )
    axis.set_tick_params(length=0 if step == 1 else 2)


def per_class(
    true: Sequence[int | str] | np.ndarray,
    predicted: Sequence[int | str] | np.ndarray,
    class_names: Sequence[str] = (),
) -> Figure:
    """Plot precision and recall of every class as bars, in the order of the classes.

    A class that was never predicted has no precision, and a class without examples no recall: its bar is labelled
    "none".

    Args:
        true: (N,) class indices, or names from `class_names`.
        predicted: (N,) class indices, or names from `class_names`.
        class_names: the names of the classes, in the order of their indices.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: fewer than two classes, different lengths, or a label that is not a class.

    Examples:
        >>> true, predicted = [0, 0, 1, 1, 2], [0, 1, 1, 1, 2]
        >>> figure = kzoo.plots.per_class(true, predicted, ["cat", "dog", "fox"])
    """
    true, predicted, names = _labels(true, predicted, class_names)
    precision, recall, _, support = sk.precision_recall_fscore_support(
        true, predicted, labels=range(len(names)), zero_division=np.nan
    )
    return _draw_bars(names, precision, recall, support)


def per_label(labels: Mapping[str, Mapping[str, float]]) -> Figure:
    """Plot precision and recall of every label as bars, in the order of the labels.

    A label that was never predicted has no precision, and a label without examples no recall: its bar is labelled
    "none".

    Args:
        labels: name of a label -> its scores, as `kzoo.evaluate` returns them under `labels`.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: there are no labels.

    Examples:
        >>> rain = {"precision": 0.9, "recall": 0.7, "support": 40}
        >>> fog = {"precision": 0.8, "recall": 0.6, "support": 9}
        >>> figure = kzoo.plots.per_label({"rain": rain, "fog": fog})
    """
    if not labels:
        raise KzooError("There are no labels to plot: pass the value of 'labels' in the scores.")
    columns = [
        [row[name] for row in labels.values()] for name in ("precision", "recall", "support")
    ]
    return _draw_bars(list(labels), *(np.array(column, np.float64) for column in columns))


def _draw_bars(
    names: Sequence[str], precision: np.ndarray, recall: np.ndarray, support: np.ndarray
) -> Figure:
    is_crowded = len(names) > _MAX_CELL_COUNTS
    figure = new_figure(
        5.2 if len(names) <= _MAX_BESIDE else 9.0, 1.3 + (0.24 if is_crowded else 0.4) * len(names)
    )
    axes = figure.add_subplot()
    positions = np.arange(len(names))
    for offset, scores, label, color in (
        (-0.2, precision, "precision", BLUE),
        (0.2, recall, "recall", ORANGE),
    ):
        axes.barh(positions + offset, np.nan_to_num(scores), 0.36, color=color, label=label)
        for y, score in zip(positions + offset, scores, strict=True):
            text = "none" if np.isnan(score) else f"{score:.3f}"
            style: Any = dict(va="center", fontsize=6 if is_crowded else 8, color=GREY)
            axes.text(np.nan_to_num(score) + 0.008, y, text, **style)
    style_axes(
        axes,
        f"Precision {np.nanmean(precision):.3f}, recall {np.nanmean(recall):.3f} on average",
        grid="x",
    )
    labels = [
        f"{name_of(name, ())}  ({count:,.0f})" for name, count in zip(names, support, strict=True)
    ]
    axes.set_yticks(positions, labels, color=INK, fontsize=7 if is_crowded else 9, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1.0)
    axes.set_ylim(len(names) - 0.4, -0.6)
    figure.legend(loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    return figure


def roc_and_precision_recall(
    true: Sequence[int | str] | np.ndarray,
    probabilities: ArrayLike,
    class_names: Sequence[str] = (),
) -> Figure:
    """Plot the ROC curve and the precision-recall curve side by side.

    With two classes: the curves of the second class. With more: each class against the rest, for up to ten classes, and
    their mean.

    Args:
        true: (N,) class indices, or names from `class_names`.
        probabilities: (N, classes); or (N,) or (N, 1), the probability of the second of two classes.
        class_names: the names of the classes, in the order of their indices.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: different lengths, a label that is not a class, probabilities that are not numbers, or labels of a
            single class.

    Examples:
        >>> true = [0, 0, 1, 1, 0, 1]
        >>> probabilities = np.array([0.1, 0.4, 0.8, 0.35, 0.2, 0.9])  # of class 1
        >>> figure = kzoo.plots.roc_and_precision_recall(true, probabilities, ["no", "yes"])
    """
    problems = _binary_problems(true, probabilities, class_names)
    figure = new_figure(11, _curves_height(problems[0]))
    left, right = figure.subplots(1, 2)
    _draw_roc(left, *problems)
    _draw_precision_recall(right, *problems)
    return figure


def roc(
    true: Sequence[int | str] | np.ndarray,
    probabilities: ArrayLike,
    class_names: Sequence[str] = (),
) -> Figure:
    """Plot the ROC curve; see `roc_and_precision_recall`.

    Args:
        true: (N,) class indices, or names from `class_names`.
        probabilities: (N, classes); or (N,) or (N, 1), the probability of the second of two classes.
        class_names: the names of the classes, in the order of their indices.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: as `roc_and_precision_recall`.

    Examples:
        >>> true = [0, 0, 1, 1, 0, 1]
        >>> probabilities = np.array([0.1, 0.4, 0.8, 0.35, 0.2, 0.9])  # of class 1
        >>> figure = kzoo.plots.roc(true, probabilities, ["no", "yes"])
    """
    problems = _binary_problems(true, probabilities, class_names)
    figure = new_figure(5.5, _curves_height(problems[0]))
    _draw_roc(figure.add_subplot(), *problems)
    return figure


def precision_recall(
    true: Sequence[int | str] | np.ndarray,
    probabilities: ArrayLike,
    class_names: Sequence[str] = (),
) -> Figure:
    """Plot the precision-recall curve; see `roc_and_precision_recall`.

    Args:
        true: (N,) class indices, or names from `class_names`.
        probabilities: (N, classes); or (N,) or (N, 1), the probability of the second of two classes.
        class_names: the names of the classes, in the order of their indices.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: as `roc_and_precision_recall`.

    Examples:
        >>> true = [0, 0, 1, 1, 0, 1]
        >>> probabilities = np.array([0.1, 0.4, 0.8, 0.35, 0.2, 0.9])  # of class 1
        >>> figure = kzoo.plots.precision_recall(true, probabilities, ["no", "yes"])
    """
    problems = _binary_problems(true, probabilities, class_names)
    figure = new_figure(5.5, _curves_height(problems[0]))
    _draw_precision_recall(figure.add_subplot(), *problems)
    return figure


def _binary_problems(
    true: Sequence[int | str] | np.ndarray, probabilities: ArrayLike, class_names: Sequence[str]
) -> tuple[dict[int, tuple[np.ndarray, np.ndarray]], list[str]]:
    """Return class index -> (whether each example is of the class (N,), its probability (N,)), and all class names."""
    true, p, names = checked_probabilities(true, probabilities, class_names)
    classes = [class_index for class_index in range(len(names)) if (true == class_index).any()]
    if len(classes) < 2:
        raise KzooError(
            f"All {len(true)} labels are {names[classes[0]]!r}. ROC and precision-recall curves need two classes."
        )
    return {
        class_index: (true == class_index, p[:, class_index])
        for class_index in ([1] if len(names) == 2 else classes)
    }, names


def _curves_height(problems: Mapping[int, object]) -> float:
    """Return the height in inches of square panels, with the legend of several curves below."""
    if len(problems) == 1:
        return 5.4
    curves = len(problems) + 1 if len(problems) <= _MAX_CURVES else 1
    return 6.2 + 0.2 * math.ceil(curves / 2)


def _draw_roc(
    axes: Axes, problems: dict[int, tuple[np.ndarray, np.ndarray]], names: Sequence[str]
) -> None:
    # All points are kept, so that the area under the drawn curve is the reported area.
    curves = {
        class_index: sk.roc_curve(*problem, drop_intermediate=False)[:2]
        for class_index, problem in problems.items()
    }
    areas = {
        class_index: float(sk.roc_auc_score(*problem)) for class_index, problem in problems.items()
    }
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls=(0, (2, 2)), zorder=1)
    _draw_curves(
        axes,
        curves,
        areas,
        names,
        interpolate=_interpolate_roc,
        drawstyle="default",
        legend="area under the curve",
    )
    title = _curve_title("ROC", "area under the curve", areas, names)
    style_axes(axes, title, x="false positive rate", y="true positive rate")


def _draw_precision_recall(
    axes: Axes, problems: dict[int, tuple[np.ndarray, np.ndarray]], names: Sequence[str]
) -> None:
    curves = {
        class_index: sk.precision_recall_curve(*problem)[:2][::-1]
        for class_index, problem in problems.items()
    }
    averages = {
        class_index: float(sk.average_precision_score(*problem))
        for class_index, problem in problems.items()
    }
    axes.axhline(
        np.mean([is_class.mean() for is_class, _ in problems.values()]),
        color=GREY,
        lw=1,
        ls=(0, (2, 2)),
        zorder=1,
    )
    _draw_curves(
        axes,
        curves,
        averages,
        names,
        interpolate=_interpolate_precision,
        drawstyle="steps-pre",
        legend="average precision",
    )
    title = _curve_title("Precision and recall", "average precision", averages, names)
    style_axes(axes, title, x="recall", y="precision")


def _curve_title(title: str, score: str, scores: dict[int, float], names: Sequence[str]) -> str:
    """Return the title of a panel, with the score if there is a single curve, which needs no legend."""
    if len(scores) > 1:
        return title
    ((class_index, value),) = scores.items()
    return f"{title} of {name_of(names[class_index])}\n{score} {value:.3f}"


def _draw_curves(
    axes: Axes,
    curves: Mapping[int, tuple[np.ndarray, np.ndarray]],
    areas: dict[int, float],
    names: Sequence[str],
    *,
    interpolate: Callable[..., np.ndarray],
    drawstyle: Any,
    legend: str,
) -> None:
    """Draw a curve for each class, unless there are too many, and the mean of all curves."""
    is_single = len(curves) == 1
    for i, (class_index, curve) in enumerate(curves.items() if len(curves) <= _MAX_CURVES else ()):
        style = dict(color=BLUE, lw=2) if is_single else dict(lw=1.1, alpha=0.9, **line_style(i))
        axes.plot(
            *curve,
            drawstyle=drawstyle,
            label=f"{name_of(names[class_index])}  {areas[class_index]:.3f}",
            **style,
        )
    if not is_single:
        mean = np.mean([interpolate(*curve) for curve in curves.values()], axis=0)
        label = f"mean of {len(curves)}  {np.mean(list(areas.values())):.3f}"
        axes.plot(_GRID, mean, color=INK, lw=2.4, label=label, zorder=3)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.02)
    axes.set_aspect("equal", anchor="N")
    if not is_single:
        legend_below(axes, title=legend)


_GRID = np.linspace(0, 1, 501)


def _interpolate_roc(false_rate: np.ndarray, true_rate: np.ndarray) -> np.ndarray:
    return np.interp(_GRID, false_rate, true_rate)


def _interpolate_precision(recall: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Return the precision at each recall of the grid, that of the first threshold with at least this recall."""
    recall, precision = recall[::-1], precision[::-1]
    return precision[np.searchsorted(recall, _GRID - 1e-12).clip(1, len(recall) - 1)]


def checked_probabilities(
    true: Sequence[int | str] | np.ndarray, probabilities: ArrayLike, class_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return (true class numbers, probabilities (N, classes), class names) after checking them.

    Args:
        true: (N,) class names or numbers.
        probabilities: (N, classes), or (N,) or (N, 1) for two classes.
        class_names: empty for the class numbers.

    Raises:
        KzooError: they do not fit together, or are not probabilities.
    """
    try:
        p = np.asarray(probabilities, dtype="float64")
    except (TypeError, ValueError, OverflowError):
        raise KzooError(
            "must be an array of numbers.", argument="probabilities", value=probabilities
        ) from None
    if not np.isfinite(p).all():
        raise KzooError(
            f"probabilities must be finite ({int((~np.isfinite(p)).sum())} values are NaN or inf)."
        )
    # A single column is the probability of the second of two classes.
    if p.ndim == 1 or p.shape[1:] == (1,):
        if p.min() < 0 or p.max() > 1:
            raise KzooError(
                f"probabilities in a single column must be between 0 and 1, but these range from {p.min():.3g} "
                f"to {p.max():.3g}. "
                "For scores, pass one column per class."
            )
        p = np.stack([1 - p.ravel(), p.ravel()], axis=1)
    if p.ndim != 2:
        raise KzooError(f"probabilities must have shape (examples, classes), not {p.shape}.")
    if len(class_names) not in (0, p.shape[1]):
        raise KzooError(
            f"probabilities must have a column per class (columns: {p.shape[1]}, class names: {len(class_names)})."
        )
    names = list(class_names) or [str(i) for i in range(p.shape[1])]
    true = _class_indices("true", true, names)
    if len(true) != len(p):
        raise KzooError(
            f"true and probabilities must have the same number of rows (true: {len(true)}, probabilities: {len(p)})."
        )
    return true, p, names


def _labels(
    true: Sequence[int | str] | np.ndarray,
    predicted: Sequence[int | str] | np.ndarray,
    class_names: Sequence[str],
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return true and predicted class indices, (N,) each, and the name of each class."""
    true, predicted = (
        _class_indices(name, labels, class_names)
        for name, labels in (("true", true), ("predicted", predicted))
    )
    if len(true) != len(predicted):
        raise KzooError(
            f"true and predicted must have the same length (true: {len(true)}, predicted: {len(predicted)})."
        )
    names = list(class_names) or [str(i) for i in range(max(true.max(), predicted.max()) + 1)]
    if len(names) < 2:
        raise KzooError(f"There is only one class, {names[0]!r}: at least two are needed.")
    return true, predicted, names


def _class_indices(argument: str, labels: ArrayLike, names: Sequence[str]) -> np.ndarray:
    """Return labels as class indices (N,)."""
    try:
        labels = np.asarray(labels)
    except Exception:  # rows of unlike lengths, or an object that raises
        raise KzooError(
            f"{argument} labels must be class indices of shape (examples,), not {shown(labels)}."
        ) from None
    if labels.ndim != 1 or not len(labels):
        raise KzooError(f"{argument} labels must have shape (examples,), not {labels.shape}.")
    if labels.dtype.kind in "UO":
        index_of = {str(name): i for i, name in enumerate(names)}
        unknown = sorted({str(label) for label in labels} - set(index_of))
        if unknown:
            raise KzooError(
                f"{argument} label {unknown[0]!r} is not in class_names: {', '.join(index_of) or 'none were passed'}."
            )
        return np.array([index_of[str(label)] for label in labels])
    indices = labels.astype("float64")
    invalid = ~np.isfinite(indices) | (indices != np.round(indices)) | (indices < 0)
    invalid |= indices >= (len(names) or np.inf)
    if invalid.any():
        raise KzooError(
            f"{argument} label {labels[invalid][0]} is not a class index 0..{len(names) - 1}."
            if names
            else f"{argument} label {labels[invalid][0]} is not a class index: 0, 1, 2..."
        )
    return indices.astype(int)
