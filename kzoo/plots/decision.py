"""Plot of a decision: `threshold_curve`, the score or cost of labels over the thresholds of a probability."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from kzoo.inference.tasks.confusion import label_scores
from kzoo.plots.classification import checked_probabilities
from kzoo.plots.colors import BLUE, GREY, ORANGE
from kzoo.plots.figure import new_figure, style_axes
from kzoo.problems.tasks import score_named
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError
from kzoo.utils.files import Json

_STEPS, _DRAWS = 200, 500


@checked_arguments
def threshold_curve(
    true: Sequence[int | str] | np.ndarray,
    probabilities: ArrayLike,
    class_names: Sequence[str] = (),
    *,
    score: str = "f1",
    threshold: float | None = None,
    positive: str | None = None,
    cost: ArrayLike | None = None,
) -> Figure:
    """Plot a score of the labels, or their cost, over all thresholds, with its 90 % bootstrap interval.

    Args:
        true: (N,) class indices, or names from `class_names`, of two classes.
        probabilities: (N, 2); or (N,) or (N, 1), the probability of the second class.
        class_names: the names of the classes, in the order of their indices.
        score: "accuracy", "balanced_accuracy", "f1", "f1_positive", "recall@precision=0.9" or "expected_cost".
        threshold: the threshold that was chosen, which is marked; None for none. 0.5 is marked too.
        positive: the name of the positive class; the default is the second.
        cost: (2, 2) cost of each pair (actual, predicted), for "expected_cost".

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: not two classes, an unknown class or score, or costs that are missing.

    Examples:
        >>> true = [0, 0, 1, 1, 0, 1]
        >>> probabilities = np.array([0.1, 0.4, 0.8, 0.35, 0.2, 0.9])  # of class 1
        >>> figure = kzoo.plots.threshold_curve(true, probabilities, ["no", "yes"], threshold=0.35)
    """
    true, p, names = checked_probabilities(true, probabilities, class_names)
    if p.shape[1] != 2:
        raise KzooError(f"threshold_curve needs two classes, and there are {p.shape[1]}.")
    if positive is not None and positive not in list(names):
        raise KzooError(
            f"is not a class. Use one of: {', '.join(map(str, names))}.",
            argument="positive",
            value=positive,
        )
    number = 1 if positive is None else list(names).index(positive)
    base, _, level = score.partition("=")
    options: dict[str, Any] = dict(
        positive=number, cost=cost, level=float(level) if level else None
    )
    edges = np.linspace(0, 1, _STEPS + 1)
    # edges that a row reaches
    step = np.clip(np.searchsorted(edges, p[:, number], side="right"), 0, _STEPS + 1)
    cells = np.bincount(2 * step + (true == number), minlength=2 * (_STEPS + 2)).reshape(-1, 2)
    draws = (
        np.random.default_rng(0)
        .multinomial(len(true), cells.ravel() / len(true), _DRAWS)
        .reshape(-1, *cells.shape)
    )
    curves = _curves(np.concatenate([cells[None], draws]), number, base, options)
    if curves is None:
        raise KzooError(
            "is no score of labels, or its costs are missing: pass cost= as a matrix.",
            argument="score",
            value=score,
        )
    low, high = np.quantile(curves[1:], [0.05, 0.95], axis=0)
    figure = new_figure(5.6, 3.4)
    axes = figure.add_subplot()
    axes.fill_between(edges, low, high, color=BLUE, alpha=0.2, linewidth=0, label="90 % interval")
    axes.plot(edges, curves[0], color=BLUE)
    axes.axvline(0.5, color=GREY, linestyle=":", label="0.5")
    if threshold is not None:
        axes.axvline(threshold, color=ORANGE, label=f"chosen: {threshold:.3g}")
    known = score_named(base)
    label = base if known is None else known.label
    style_axes(
        axes,
        f"{label[:1].upper()}{label[1:]}",
        x=f"threshold of the probability of {names[number]}",
        y="",
    )
    axes.set_xlim(0, 1)
    figure.legend(loc="outside lower right", ncols=3, frameon=False, fontsize=9)
    return figure


def _curves(
    cells: np.ndarray, positive: int, name: str, options: dict[str, Json]
) -> np.ndarray | None:
    """Return the scores (M, thresholds) of the numbers (M, reached edges, is positive); None for an unknown score."""
    # rows that do not reach an edge: predicted as negative
    below = np.cumsum(cells, axis=1)[:, :-1]
    table = np.stack([below, cells.sum(axis=1, keepdims=True) - below], axis=-1).astype("float64")
    table = table if positive == 1 else table[..., ::-1, ::-1]
    return label_scores(table, **options).get(name)
