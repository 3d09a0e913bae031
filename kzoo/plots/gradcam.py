"""`grad_cam`: where in an image a convolutional network saw a class."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from kzoo.gradients import gradient
from kzoo.plots.figure import entitle, new_figure
from kzoo.plots.graph import nodes_of
from kzoo.plots.predictions import name_of, pixels, show_image
from kzoo.predictions import logits_of, probabilities, scores_of
from kzoo.utils.errors import KzooError

_CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Conv2DTranspose)


def grad_cam(
    model: keras.Model,
    image: ArrayLike,
    *,
    class_index: int | None = None,
    layer: str | None = None,
    class_names: Sequence[str] = (),
) -> Figure:
    """Draw an image and, beside it, what spoke for a class (Grad-CAM, arXiv:1610.02391).

    Args:
        model: a functional convolutional network that ends in one score, or probability, for each class.
        image: (H, W, channels), or (H, W) for one channel, as the model takes it; a batch axis of one is fine.
        class_index: the class to explain; None: the one that the model predicts.
        layer: name of the layer whose output is weighed; None: the last convolution.
        class_names: names for class numbers.

    Raises:
        KzooError: no such layer or class, an image of another shape, or a backend without gradients.
    """
    node = _maps(model, layer)
    x = _one_image(model, image)
    image_in = keras.ops.convert_to_tensor(x, dtype="float32")
    answer = keras.ops.convert_to_numpy(keras.ops.cast(model(image_in, training=False), "float32"))
    if answer.ndim != 2:
        raise KzooError(f"{model.name} answers with shape {answer.shape[1:]}, not with a score for each class.")
    given, withheld = _of_classes(answer[0], model)
    if class_index is None:
        class_index = int(given.argmax())
    if not 0 <= class_index < len(given):
        raise KzooError(f"class_index={class_index!r}: {model.name} has classes 0 to {len(given) - 1}.")
    heat = _heat(model, node, image_in, class_index)
    figure = new_figure(6.4, 3.5)
    left, right = figure.subplots(1, 2)
    shown = pixels(x[0])
    for axes in (left, right):
        show_image(axes, shown)
    height, width = shown.shape[:2]
    strength = heat / heat.max() if heat.max() > 0 else heat
    # The map is coarser than the image: stretched over it, and see-through where nothing spoke for the class.
    right.imshow(
        strength, cmap="inferno", vmin=0, vmax=1, alpha=0.25 + 0.5 * strength, interpolation="bilinear",
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
    )  # fmt: skip
    name = name_of(class_index, class_names) if len(class_names) else f"class {class_index}"
    sure = given[class_index]
    entitle(left, f"{name}: " + (f"score {sure:.2g}" if withheld else f"{100 * sure:.0f} %"))
    name = node.operation.name
    entitle(right, name if heat.max() > 0 else f"{name}: nothing for it")
    return figure


def _maps(model: keras.Model, name: str | None) -> Any:
    """Return the node of the layer of that name, or of the last convolution; its output is (B, H, W, channels)."""
    maps = {k: node for k, node in nodes_of(model).items() if len(getattr(node.outputs[0], "shape", ())) == 4}
    if name is not None:
        if name not in maps:
            raise KzooError(f"layer={name!r} is not a layer of {model.name} with maps (height, width, channels).")
        return maps[name]
    # A whole network used as a layer, such as a backbone, ends in what its last convolution found.
    last = [node for node in maps.values() if isinstance(node.operation, (*_CONVOLUTIONS, keras.Model))]
    if not last:
        raise KzooError(f"{model.name} has no convolution over images.")
    return last[-1]


def _one_image(model: keras.Model, image: ArrayLike) -> np.ndarray:
    shape = tuple(model.inputs[0].shape[1:])
    x = np.asarray(image)
    if x.ndim == 2 and shape[-1:] == (1,):
        x = x[..., None]
    x = x[None] if x.ndim == 3 else x
    fits = len(model.inputs) == 1 and x.ndim == 4 and len(x) == 1
    if not fits or any(a not in (None, b) for a, b in zip(shape, x.shape[1:], strict=True)):
        raise KzooError(f"The image has shape {np.shape(image)}; {model.name} takes {shape}.")
    return x


def _of_classes(answer: np.ndarray, model: keras.Model) -> tuple[np.ndarray, bool]:
    """Return a number for each class, and whether it is a score alone, no probability."""
    last = model.layers[-1]
    ends = getattr(getattr(last, "activation", None), "__name__", None)
    ends = "softmax" if isinstance(last, layers.Softmax) else ends
    logits = logits_of(ends, None, single=len(answer) == 1)
    if logits is None:
        return scores_of(answer[None])[0], True
    return probabilities(answer[None], logits)[0], False


def _heat(model: keras.Model, node: Any, x: Any, class_index: int) -> np.ndarray:
    """Return the map (h, w) >= 0 of a class."""
    found = keras.Model(model.inputs[0], node.outputs[0])(x, training=False)
    score = _score_function(model, node, x, class_index)
    slope = keras.ops.convert_to_numpy(keras.ops.cast(gradient(score, found), "float32"))[0]
    found = keras.ops.convert_to_numpy(keras.ops.cast(found, "float32"))[0]
    if getattr(node.operation, "data_format", None) == "channels_first":
        slope, found = (np.moveaxis(v, 0, -1) for v in (slope, found))
    return np.maximum((found * slope.mean((0, 1))).sum(-1), 0)


def _score_function(model: keras.Model, node: Any, x: Any, class_index: int) -> Any:
    """Return the function from the output of a layer to the score of a class before softmax or sigmoid."""
    last = model.layers[-1]
    squashed = getattr(getattr(last, "activation", None), "__name__", None) in ("softmax", "sigmoid")
    squashed = squashed or isinstance(last, layers.Softmax)
    before = list(nodes_of(model).values())[-1].arguments.keras_tensors[0]
    # A skip connection may pass the layer by: the image is an input beside its output.
    rest = keras.Model([model.inputs[0], node.outputs[0]], before if squashed else model.outputs[0])

    def score(found: Any) -> Any:
        scores = rest([x, found], training=False)
        if squashed and isinstance(last, layers.Dense):
            scores = keras.ops.matmul(scores, last.kernel) + (0 if last.bias is None else last.bias)
        if scores.shape[-1] == 1:
            return scores[0, 0] if class_index else -scores[0, 0]
        return scores[0, class_index]

    return score
