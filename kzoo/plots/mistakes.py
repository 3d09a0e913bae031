"""`worst_mistakes`: plot the images that a model misclassifies with the highest confidence."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from kzoo.plots.classification import checked_probabilities
from kzoo.plots.colors import GREEN, INK, RED
from kzoo.plots.predictions import image_grid, name_of
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural


def worst_mistakes(
    images: Sequence[ArrayLike] | np.ndarray,
    true: Sequence[int | str] | np.ndarray,
    probabilities: ArrayLike,
    class_names: Sequence[str] = (),
    *,
    count: int = 24,
) -> Figure:
    """Plot the images whose true class has the lowest probability, with the predicted class and its probability.

    Only mistakes are shown; if there are none, the correct predictions with the lowest confidence.

    Args:
        images: (N, H, W) or (N, H, W, channels), pixels 0..255 or 0..1; or a list of images.
        true: (N,) class indices, or names from `class_names`.
        probabilities: (N, classes); or (N,) or (N, 1), the probability of the second of two classes.
        class_names: the names of the classes, in the order of their indices.
        count: maximum number of images.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: no images, different lengths, a label that is not a class, or probabilities that are not numbers.

    Examples:
        >>> test = kzoo.load_data("digits").test
        >>> probabilities = kzoo.predict("digits_cnn", test.x).probabilities
        >>> figure = kzoo.plots.worst_mistakes(test.x, test.y, probabilities, count=4)
    """
    true, p, names = checked_probabilities(true, probabilities, class_names)
    if len(images) != len(true):
        raise KzooError(
            f"images and true must have the same length (images: {len(images)}, true: {len(true)})."
        )
    if count < 1:
        raise KzooError("must be at least 1.", argument="count", value=count)
    predicted = p.argmax(-1)
    order = np.argsort(p[np.arange(len(true)), true], kind="stable")
    wrong = order[predicted[order] != true[order]]
    selected = (wrong if len(wrong) else order)[:count]
    # only probabilities are written as percentages
    titles = []
    are_scores = bool(p.min() < 0 or p.max() > 1)
    for i in selected:
        score = p[i, predicted[i]]
        label = f"{name_of(predicted[i], names)} " + (
            f"{score:.2g}" if are_scores else f"{100 * score:.0f} %"
        )
        titles.append(
            (label, GREEN)
            if predicted[i] == true[i]
            else (f"{label}\nis {name_of(true[i], names)}", RED)
        )
    figure = image_grid([images[i] for i in selected], titles)
    if not len(wrong):
        heading = "No mistakes: predictions with the lowest confidence"
    elif len(wrong) > len(selected):
        heading = f"The worst {len(selected)} of {len(wrong):,} mistakes"
    else:
        heading = f"{plural(len(wrong), 'mistake')}, the worst first"
    figure.suptitle(heading, x=0.01, ha="left", color=INK, fontsize=11, fontweight="bold")
    return figure
