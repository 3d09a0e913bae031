"""`grad_cam`: plot which parts of an image a convolutional network used for a class."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import layers
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from kzoo.inference.predictions import logits_of, probabilities, scores_of
from kzoo.plots.colors import GREEN, GREY, INK, RED
from kzoo.plots.figure import new_figure, set_title
from kzoo.plots.predictions import name_of, show_image, to_pixels
from kzoo.utils.errors import KzooError
from kzoo.zoo.gradients import gradient
from kzoo.zoo.graph import nodes_of

if TYPE_CHECKING:
    from keras.src.ops.node import Node


# Where there is no evidence, the photo is dark; its own colours show what the network used.
_VEIL = ListedColormap(
    [(0.05, 0.06, 0.1, opacity) for opacity in np.linspace(0.82, 0, 256)], "veil"
)
_OUTLINED = (0.5, 0.8)  # shares of the strongest evidence
_LINE = "#ffd43b"
_FINE = 200  # points of the longer side, between which lines are drawn
_CONVOLUTIONS = (
    layers.Conv2D,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
    layers.Conv2DTranspose,
)


def grad_cam(
    model: keras.Model,
    image: ArrayLike,
    *,
    class_index: int | None = None,
    layer: str | None = None,
    class_names: Sequence[str] = (),
    true: int | str | None = None,
) -> Figure:
    """Plot an image, and beside it the parts that are evidence for a class: the others are dark (Grad-CAM).

    See https://arxiv.org/abs/1610.02391. The titles have the predicted class, the true one if it is passed, and the
    class that is explained. The scale is relative: 1 is the strongest evidence in this image, so that two images cannot
    be compared. Lines enclose the parts with at least 50 and 80 % of it.

    Args:
        model: a functional convolutional network that ends in one score or probability per class.
        image: (H, W, channels), or (H, W) for one channel, preprocessed for the model; a batch axis of one is accepted.
        class_index: the class to explain; None: the predicted class.
        layer: name of the layer whose output is weighted; None: the last convolution.
        class_names: the names of the classes, in the order of their indices.
        true: the true class, as index or as name from `class_names`.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: the layer or a class does not exist, the image has a wrong shape, or the backend has no gradients.

    Examples:
        >>> model = kzoo.build("digits_cnn", weights="digits")
        >>> test = kzoo.load_data("digits").test
        >>> figure = kzoo.plots.grad_cam(model, test.x[0], true=int(test.y[0]))
    """
    node = _find_layer_node(model, layer)
    x = _as_batch(model, image)
    image_in = keras.ops.convert_to_tensor(x, dtype="float32")
    output = keras.ops.convert_to_numpy(keras.ops.cast(model(image_in, training=False), "float32"))
    if output.ndim != 2:
        raise KzooError(
            f"{model.name} must return one score per class, but its output has shape {output.shape[1:]}."
        )
    scores, is_score = _class_scores(output[0], model)
    if class_index is None:
        class_index = int(scores.argmax())
    if not 0 <= class_index < len(scores):
        raise KzooError(
            f"does not exist: {model.name} has classes 0 to {len(scores) - 1}.",
            argument="class_index",
            value=class_index,
        )
    true = _class_number(true, class_names, len(scores))
    heatmap = _heatmap(model, node, image_in, class_index)
    figure = new_figure(7.4, 3.9)
    left, right = figure.subplots(1, 2)
    image_pixels = to_pixels(x[0])
    show_image(left, image_pixels)
    show_image(right, image_pixels)
    height, width = image_pixels.shape[:2]
    intensity = heatmap / heatmap.max() if heatmap.max() > 0 else heatmap
    # The heatmap is coarser than the image, and is stretched over it.
    drawn = right.imshow(
        intensity,
        cmap=_VEIL,
        vmin=0,
        vmax=1,
        interpolation="bilinear",
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
    )
    scale = figure.colorbar(drawn, ax=right, shrink=0.8, ticks=[0, 0.5, 1])
    _outline(right, intensity, height, width)
    scale.outline.set_visible(False)
    scale.ax.tick_params(colors=GREY, labelsize=8, length=0)
    scale.set_label("evidence, relative to the strongest", color=GREY, fontsize=8)

    def scored(number: int) -> str:
        name = name_of(number, class_names) if len(class_names) else f"class {number}"
        return f"{name}, " + (
            f"score {scores[number]:.2g}" if is_score else f"{100 * scores[number]:.0f} %"
        )

    predicted = int(scores.argmax())
    title = f"predicted: {scored(predicted)}"
    color = INK
    if true is not None:
        title += f"\ntrue: {name_of(true, class_names) if len(class_names) else f'class {true}'}"
        color = GREEN if true == predicted else RED
    set_title(left, title, color=color)
    what = "evidence for" if heatmap.max() > 0 else "no evidence for"
    set_title(right, f"{what} {scored(class_index)}\nlayer {node.operation.name}")
    return figure


def _class_number(true: int | str | None, class_names: Sequence[str], count: int) -> int | None:
    """Return the index of a class that is named or numbered, or None for None."""
    if isinstance(true, str):
        if true not in list(class_names):
            raise KzooError(
                f"is not a class. Use one of: {', '.join(map(str, class_names)) or 'none'}.",
                argument="true",
                value=true,
            )
        return list(class_names).index(true)
    if true is not None and not 0 <= true < count:
        raise KzooError(
            f"does not exist: the classes are 0 to {count - 1}.", argument="true", value=true
        )
    return None if true is None else int(true)


def _outline(axes: Axes, intensity: np.ndarray, height: int, width: int) -> None:
    """Draw the lines of `_OUTLINED` over an image (height, width)."""
    if not intensity.max() > min(_OUTLINED) > intensity.min():
        return
    shape = (_FINE * np.array([height, width]) / max(height, width)).round().astype(int)
    fine = keras.ops.convert_to_numpy(
        keras.ops.image.resize(
            intensity[..., None].astype("float32"),
            shape.tolist(),
            interpolation="bilinear",
            data_format="channels_last",
        )
    )[..., 0]
    x, y = (
        (np.arange(n) + 0.5) * size / n - 0.5 for n, size in ((shape[1], width), (shape[0], height))
    )
    axes.contour(x, y, fine, levels=_OUTLINED, colors=_LINE, linewidths=(1.0, 1.8))


def _find_layer_node(model: keras.Model, name: str | None) -> "Node":
    """Return the node of the named layer, or of the last convolution; its output has shape (B, H, W, channels)."""
    nodes = {
        key: node
        for key, node in nodes_of(model).items()
        if len(getattr(node.outputs[0], "shape", ())) == 4
    }
    if name is not None:
        if name not in nodes:
            raise KzooError(
                f"is not a layer of {model.name} with an output of shape (height, width, channels).",
                argument="layer",
                value=name,
            )
        return nodes[name]
    # A nested model, such as a backbone, counts as a convolution: its output is that of its last convolution.
    convolutions = [
        node for node in nodes.values() if isinstance(node.operation, (*_CONVOLUTIONS, keras.Model))
    ]
    if not convolutions:
        raise KzooError(f"{model.name} has no 2D convolution.")
    return convolutions[-1]


def _as_batch(model: keras.Model, image: ArrayLike) -> np.ndarray:
    shape = tuple(model.inputs[0].shape[1:])
    x = np.asarray(image)
    if x.ndim == 2 and shape[-1:] == (1,):
        x = x[..., None]
    x = x[None] if x.ndim == 3 else x
    is_valid = len(model.inputs) == 1 and x.ndim == 4 and len(x) == 1
    if not is_valid or any(
        expected not in (None, actual) for expected, actual in zip(shape, x.shape[1:], strict=True)
    ):
        raise KzooError(f"image has shape {np.shape(image)}, but {model.name} takes {shape}.")
    return x


def _class_scores(output: np.ndarray, model: keras.Model) -> tuple[np.ndarray, bool]:
    """Return a number for each class, and whether these are scores rather than probabilities."""
    last_layer = model.layers[-1]
    activation = getattr(getattr(last_layer, "activation", None), "__name__", None)
    activation = "softmax" if isinstance(last_layer, layers.Softmax) else activation
    logits = logits_of(activation, None, single=len(output) == 1)
    if logits is None:
        return scores_of(output[None])[0], True
    return probabilities(output[None], logits)[0], False


def _heatmap(model: keras.Model, node: "Node", x: np.ndarray, class_index: int) -> np.ndarray:
    """Return the heatmap (h, w) >= 0 of a class."""
    maps = keras.Model(model.inputs[0], node.outputs[0])(x, training=False)
    score = _score_function(model, node, x, class_index)
    gradients = keras.ops.convert_to_numpy(keras.ops.cast(gradient(score, maps), "float32"))[0]
    maps = keras.ops.convert_to_numpy(keras.ops.cast(maps, "float32"))[0]
    if getattr(node.operation, "data_format", None) == "channels_first":
        gradients, maps = (np.moveaxis(array, 0, -1) for array in (gradients, maps))
    return np.maximum((maps * gradients.mean((0, 1))).sum(-1), 0)


def _score_function(
    model: keras.Model, node: "Node", x: np.ndarray, class_index: int
) -> "Callable[[keras.KerasTensor], keras.KerasTensor]":
    """Return the function from the output of a layer to the score of a class, before softmax or sigmoid."""
    last_layer = model.layers[-1]
    has_activation = getattr(getattr(last_layer, "activation", None), "__name__", None) in (
        "softmax",
        "sigmoid",
    )
    has_activation = has_activation or isinstance(last_layer, layers.Softmax)
    before_last = list(nodes_of(model).values())[-1].arguments.keras_tensors[0]
    # A skip connection may bypass the layer, so the image is a second input.
    head = keras.Model(
        [model.inputs[0], node.outputs[0]], before_last if has_activation else model.outputs[0]
    )

    def score(maps: "keras.KerasTensor") -> "keras.KerasTensor":
        scores = head([x, maps], training=False)
        if has_activation and isinstance(last_layer, layers.Dense):
            scores = keras.ops.matmul(scores, last_layer.kernel) + (
                0 if last_layer.bias is None else last_layer.bias
            )
        if scores.shape[-1] == 1:
            return scores[0, 0] if class_index else -scores[0, 0]
        return scores[0, class_index]

    return score
