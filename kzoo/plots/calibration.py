"""Reliability diagram: the share of predictions that are right over the probability that they were given."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from kzoo.inference.postprocessors.calibration import calibration_scores
from kzoo.plots.classification import checked_probabilities
from kzoo.plots.colors import BLUE, FAINT, GREY
from kzoo.plots.figure import new_figure, style_axes
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.formatting import percent

if TYPE_CHECKING:
    from kzoo.problems.stored_types import Scores


@checked_arguments
def reliability(
    true: Sequence[int | str] | np.ndarray,
    probabilities: ArrayLike,
    class_names: Sequence[str] = (),
    *,
    before: ArrayLike | None = None,
) -> Figure:
    """Plot how often the most probable class is right over its probability, in 15 bins with the same number of rows.

    Calibrated probabilities are on the diagonal. The legend has the expected calibration error
    (https://arxiv.org/abs/1706.04599).

    Args:
        true: (N,) class indices, or names from `class_names`.
        probabilities: (N, classes); or (N,) or (N, 1), the probability of the second of two classes.
        class_names: the names of the classes, in the order of their indices.
        before: (N, classes), (N,) or (N, 1) probabilities of the same rows before calibration, which are drawn in grey;
            None draws none.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: arrays that do not fit together, or are not probabilities.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> probabilities = rng.uniform(size=300)  # of class 1
        >>> true = (rng.uniform(size=300) < probabilities).astype(int)
        >>> figure = kzoo.plots.reliability(true, probabilities)
    """
    truth, p, _ = checked_probabilities(true, probabilities, class_names)
    scores = {"after": calibration_scores(p, truth, labels=False)}
    if before is not None:
        scores["before"] = calibration_scores(
            checked_probabilities(true, before, class_names)[1], truth, labels=False
        )
    return reliability_of(scores)


def reliability_of(scores: "Scores", *, share: str = "right") -> Figure:
    """Return the diagram of stored scores.

    Args:
        scores: "after" and perhaps "before" -> `kzoo.inference.postprocessors.calibration.calibration_scores`.
        share: what the share on the y axis is of.
    """
    figure = new_figure(4.6, 3.9)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=FAINT, zorder=0)
    styles = {"before": dict(color=GREY, linestyle="--"), "after": dict(color=BLUE)}
    for name in ("before", "after"):
        if name not in scores:
            continue
        mean, right, _ = np.transpose(scores[name]["bins"])
        words = f"{name} calibration" if "before" in scores else "probabilities"
        axes.plot(
            mean,
            right,
            marker="o",
            markersize=4,
            label=f"{words}: error {percent(scores[name]['ece'])}",
            **styles[name],  # type: ignore[arg-type]
        )
    style_axes(axes, "Reliability", x="mean probability of a bin", y=f"share that is {share}")
    low = min(min(pair[:2]) for name in scores for pair in scores[name]["bins"])
    axes.set_xlim(max(0.0, np.floor(low * 10) / 10), 1.01)
    axes.set_ylim(max(0.0, np.floor(low * 10) / 10), 1.02)
    figure.legend(loc="outside lower right", frameon=False, fontsize=9)
    return figure
