"""`prediction_grid`: plot images with their predicted classes."""

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

MAX_IMAGES = 36


def prediction_grid(
    images: Sequence[ArrayLike] | np.ndarray,
    predicted: Sequence[int | str] | np.ndarray,
    true: Sequence[int | str] | np.ndarray | None = None,
    class_names: Sequence[str] = (),
) -> Figure:
    """Plot up to 36 images with the predicted class, green if it is correct and red if it is wrong.

    Args:
        images: (N, H, W), (N, H, W, 1) or (N, H, W, 3), pixels 0..255 or 0..1; or a list of such images of
            different sizes.
        predicted: (N,) class indices or names.
        true: (N,) class indices or names, or None if unknown.
        class_names: the names of the classes, in the order of their indices.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: no images, too few labels, or an array that is not an image.

    Examples:
        >>> data = kzoo.load_data("digits")
        >>> predictions = kzoo.predict("digits_cnn", data.test.x[:9])
        >>> figure = kzoo.plots.prediction_grid(
        ...     data.test.x[:9], predictions.labels, data.test.y[:9], data.class_names
        ... )
    """
    images = list(images)[:MAX_IMAGES] if len(images) else []
    for argument, labels in (("predicted", predicted), ("true", true)):
        if labels is not None and len(labels) < len(images):
            raise KzooError(
                f"{argument} must have a label for each image (labels: {len(labels)}, images: {len(images)})."
            )
    titles = [
        _title(predicted[i], None if true is None else true[i], class_names)
        for i in range(len(images))
    ]
    return image_grid(images, titles)


def image_grid(
    images: Sequence[ArrayLike] | np.ndarray, titles: Sequence[tuple[str, str]]
) -> Figure:
    """Plot images in a grid, each below its title, a pair of text and colour.

    Raises:
        KzooError: no images, or an array that is not an image.
    """
    pixels = [to_pixels(image) for image in images]
    if not pixels:
        raise KzooError("images is empty: there is nothing to plot.")
    n_columns = min(len(pixels), math.ceil(math.sqrt(len(pixels) * 1.3)))
    # Avoid gaps: ten images in two rows of five.
    n_columns = next((n for n in (n_columns, n_columns + 1) if len(pixels) % n == 0), n_columns)
    n_rows = math.ceil(len(pixels) / n_columns)
    figure = new_figure(1.6 * n_columns, 1.9 * n_rows)
    for i, (image, (title, color)) in enumerate(zip(pixels, titles, strict=True)):
        axes = figure.add_subplot(n_rows, n_columns, i + 1)
        show_image(axes, image)
        axes.set_title(title, color=color, fontsize=9, parse_math=False)
    return figure


def show_image(axes: Axes, image: np.ndarray) -> None:
    """Show an image with pixels 0..1, without axes."""
    # Small images keep sharp pixels: smoothing would hide what the model sees of an 8x8 digit.
    axes.imshow(
        image,
        cmap="gray",
        vmin=0,
        vmax=1,
        interpolation="nearest" if max(image.shape) < 100 else None,
    )
    axes.set_axis_off()


def to_pixels(image: ArrayLike) -> np.ndarray:
    """Return a gray or colour image of 0..255 or 0..1 as floats 0..1: (H, W) or (H, W, 3 or 4).

    Raises:
        KzooError: the array is not an image.
    """
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.ndim != 2 and (image.ndim != 3 or image.shape[-1] not in (3, 4)):
        raise KzooError(
            f"Images must have shape (height, width) or (height, width, channels), not {image.shape}."
        )
    image = image.astype("float64")
    return np.clip(image / (255 if image.max(initial=0) > 1 else 1), 0, 1)


def _title(predicted: object, true: object, class_names: Sequence[str]) -> tuple[str, str]:
    label, truth = (name_of(label, class_names) for label in (predicted, true))
    if truth is None:
        return label, INK
    # Mistakes are marked by words too, not by colour alone.
    return (label, GREEN) if label == truth else (f"{label}\nis {truth}", RED)


def name_of(label: object, class_names: Sequence[str] = ()) -> Any:
    """Return the name of a label, shortened to 18 characters; None for None."""
    if label is None:
        return None
    if isinstance(label, int | np.integer) and 0 <= label < len(class_names):
        label = class_names[label]  # type: ignore[index]  # of NumPy too
    text = str(label)
    return text if len(text) <= 18 else text[:17] + "…"
