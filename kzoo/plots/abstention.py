"""Plot of abstention: `accuracy_over_coverage`, the accuracy of the surest rows over their share."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from kzoo.inference.tasks.wilson import wilson
from kzoo.plots.classification import checked_probabilities
from kzoo.plots.colors import BLUE, GREY
from kzoo.plots.figure import new_figure, style_axes
from kzoo.utils.argument_checks import checked_arguments

_STEPS = 100
_Z = 1.645  # of a 90 % interval


@checked_arguments
def accuracy_over_coverage(
    true: Sequence[int | str] | np.ndarray,
    probabilities: ArrayLike,
    class_names: Sequence[str] = (),
    *,
    predicted: ArrayLike | None = None,
) -> Figure:
    """Plot the accuracy of the rows that are answered over their share, if the least sure ones are not answered.

    It is the risk-coverage curve of selective classification (https://arxiv.org/abs/1705.08500), from the other side.

    Args:
        true: (N,) class indices, or names from `class_names`.
        probabilities: (N, classes); or (N,) or (N, 1), the probability of the second of two classes.
        class_names: the names of the classes, in the order of their indices.
        predicted: (N,) class indices, if a decision was learned; the default is the most probable class.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: probabilities that do not fit the labels.

    Examples:
        >>> true = [0, 0, 1, 1, 0, 1]
        >>> probabilities = np.array([0.1, 0.4, 0.8, 0.35, 0.2, 0.9])  # of class 1
        >>> figure = kzoo.plots.accuracy_over_coverage(true, probabilities, ["no", "yes"])
    """
    true, p, _ = checked_probabilities(true, probabilities, class_names)
    guess = p.argmax(axis=1) if predicted is None else np.asarray(predicted)
    order = np.argsort(-p[np.arange(len(p)), guess], kind="stable")
    right = np.cumsum((guess == true)[order])
    answered = np.unique(np.linspace(max(len(p) / _STEPS, 1), len(p), _STEPS).round().astype(int))
    accuracy = right[answered - 1] / answered
    counts = zip(right[answered - 1].tolist(), answered.tolist(), strict=True)
    low, high = np.transpose([wilson(number, count, _Z) for number, count in counts])
    figure = new_figure(5.6, 3.4)
    axes = figure.add_subplot()
    axes.fill_between(
        answered / len(p), low, high, color=BLUE, alpha=0.2, linewidth=0, label="90 % interval"
    )
    axes.plot(answered / len(p), accuracy, color=BLUE)
    axes.axhline(accuracy[-1], color=GREY, linestyle=":", label="all rows answered")
    style_axes(axes, "Accuracy of the answered rows", x="share of the rows that are answered", y="")
    axes.set_xlim(0, 1)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.legend(loc="outside lower right", ncols=2, frameon=False, fontsize=9)
    return figure
