"""`worst_mistakes`: the images that a model gets wrong most surely."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from kzoo.plots.classification import checked_probabilities
from kzoo.plots.colors import GREEN, INK, RED
from kzoo.plots.predictions import grid, name_of
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
    """Draw the images whose true class got the least probability, with the guess and how sure it was.

    Mistakes only; a model without any shows the right answers that it was least sure of.

    Args:
        images: (N, H, W) or (N, H, W, channels), pixels 0..255 or 0..1; or a list of images.
        true: (N,) class numbers, or names out of `class_names`.
        probabilities: (N, classes); or (N,) or (N, 1), the probability of the second of two classes.
        class_names: names for class numbers.
        count: the most images to draw.

    Raises:
        KzooError: no images, counts that differ, a label that is not a class, or probabilities that are not numbers.
    """
    true, p, names = checked_probabilities(true, probabilities, class_names)
    if len(images) != len(true):
        raise KzooError(f"There are {len(images)} images for {len(true)} labels.")
    if count < 1:
        raise KzooError(f"count={count!r} must be 1 or more.")
    guess = p.argmax(-1)
    order = np.argsort(p[np.arange(len(true)), true], kind="stable")
    wrong = order[guess[order] != true[order]]
    drawn = (wrong if len(wrong) else order)[:count]
    titles, scores = [], bool(p.min() < 0 or p.max() > 1)  # percent are of probabilities
    for i in drawn:
        sure = p[i, guess[i]]
        said = f"{name_of(guess[i], names)} " + (f"{sure:.2g}" if scores else f"{100 * sure:.0f} %")
        titles.append((said, GREEN) if guess[i] == true[i] else (f"{said}\nis {name_of(true[i], names)}", RED))
    figure = grid([images[i] for i in drawn], titles)
    if not len(wrong):
        heading = "No mistakes: the least sure answers"
    elif len(wrong) > len(drawn):
        heading = f"The worst {len(drawn)} of {len(wrong):,} mistakes"
    else:
        heading = f"{plural(len(wrong), 'mistake')}, the worst first"
    figure.suptitle(heading, x=0.01, ha="left", color=INK, fontsize=11, fontweight="bold")
    return figure
