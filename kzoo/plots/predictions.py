"""`prediction_grid`: images with what the model says about them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from kzoo.plots.colors import GREEN, INK, RED
from kzoo.plots.figure import new_figure
from kzoo.utils.errors import KzooError

LIMIT = 36


def prediction_grid(
    images: Sequence[ArrayLike] | np.ndarray,
    predicted: Sequence[int | str] | np.ndarray,
    true: Sequence[int | str] | np.ndarray | None = None,
    class_names: Sequence[str] = (),
) -> Figure:
    """Draw up to 36 images with the predicted class, green where it is right and red where it is wrong.

    Args:
        images: (N, H, W), (N, H, W, 1) or (N, H, W, 3), pixels 0..255 or 0..1; or a list of such images of
            different sizes.
        predicted: N class numbers or names.
        true: N class numbers or names, or None where they are not known.
        class_names: names for class numbers.

    Raises:
        KzooError: no images, counts that differ, or an array that is not an image.
    """
    images = list(images)[:LIMIT] if len(images) else []
    for what, labels in (("predicted", predicted), ("true", true)):
        if labels is not None and len(labels) < len(images):
            raise KzooError(f"{what} has {len(labels)} labels for {len(images)} images.")
    titles = [_title(predicted[i], None if true is None else true[i], class_names) for i in range(len(images))]
    return grid(images, titles)


def grid(images: Sequence[ArrayLike] | np.ndarray, titles: Sequence[tuple[str, str]]) -> Figure:
    """Draw images side by side, each below its title, a pair of text and colour.

    Raises:
        KzooError: no images, or an array that is not an image.
    """
    images = [pixels(image) for image in images]
    if not images:
        raise KzooError("There are no images to draw.")
    wide = min(len(images), math.ceil(math.sqrt(len(images) * 1.3)))
    wide = next((w for w in (wide, wide + 1) if len(images) % w == 0), wide)  # ten in two rows of five, without a gap
    tall = math.ceil(len(images) / wide)
    figure = new_figure(1.6 * wide, 1.9 * tall)
    for i, (image, (title, color)) in enumerate(zip(images, titles, strict=True)):
        axes = figure.add_subplot(tall, wide, i + 1)
        show_image(axes, image)
        axes.set_title(title, color=color, fontsize=9, parse_math=False)
    return figure


def show_image(axes: Axes, image: Any) -> None:
    """Draw pixels 0..1 without any axis."""
    # Enlarged pixels stay squares: a blurred 8x8 digit hides what the model saw.
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest" if max(image.shape) < 100 else None)
    axes.set_axis_off()


def pixels(image: ArrayLike) -> np.ndarray:
    """Return an image of 0..255 or 0..1, gray or coloured, as floats 0..1: (H, W) or (H, W, 3 or 4).

    Raises:
        KzooError: the array is not an image.
    """
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.ndim != 2 and (image.ndim != 3 or image.shape[-1] not in (3, 4)):
        raise KzooError(f"An image has shape {image.shape}; it must be (height, width) or (height, width, channels).")
    image = image.astype("float64")
    return np.clip(image / (255 if image.max(initial=0) > 1 else 1), 0, 1)


def _title(guess: Any, truth: Any, class_names: Sequence[str]) -> tuple[str, str]:
    guess, truth = (name_of(label, class_names) for label in (guess, truth))
    if truth is None:
        return guess, INK
    # Words, not colour alone, say what is wrong.
    return (guess, GREEN) if guess == truth else (f"{guess}\nis {truth}", RED)


def name_of(label: Any, class_names: Any) -> Any:
    """Return a class number's name, cut to 18 letters; None of None."""
    if label is None:
        return None
    if isinstance(label, int | np.integer) and 0 <= label < len(class_names):
        label = class_names[label]
    text = str(label)
    return text if len(text) <= 18 else text[:17] + "…"
