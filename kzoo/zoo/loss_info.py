"""The labels and outputs that a loss expects, and the last activation of a network."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

# Name of the loss -> form of the labels.
_LABELS = {
    "sparse_categorical_crossentropy": "numbers",
    "categorical_crossentropy": "one-hot",
    "categorical_focal_crossentropy": "one-hot",
    "categorical_hinge": "one-hot",
    "kl_divergence": "one-hot",
    "kullback_leibler_divergence": "one-hot",
    "binary_crossentropy": "binary",
    "binary_focal_crossentropy": "binary",
    "hinge": "binary",
    "squared_hinge": "binary",
    "mean_squared_error": "values",
    "mse": "values",
    "mean_absolute_error": "values",
    "mae": "values",
    "mean_absolute_percentage_error": "values",
    "mean_squared_logarithmic_error": "values",
    "huber": "values",
    "log_cosh": "values",
    "poisson": "values",
}
# Layers that keep the meaning of their inputs: the mean of probabilities is a probability.
_TRANSPARENT = (
    layers.Reshape,
    layers.Flatten,
    layers.Permute,
    layers.Dropout,
    layers.Identity,
    layers.GlobalAveragePooling1D,
)


@dataclass(frozen=True, kw_only=True)
class LossInfo:
    """The labels and outputs that a loss expects.

    Args:
        name: in Keras' spelling.
        labels: "numbers" (of classes), "one-hot", "binary" or "values".
        from_logits: whether outputs are logits.
        smoothing: fraction of the label that is spread over all classes.
    """

    name: str
    labels: str
    from_logits: bool
    smoothing: float

    @property
    def takes_probabilities(self) -> bool:
        """Whether outputs must be in 0..1."""
        return not self.from_logits and (
            self.name.endswith("crossentropy") or self.name.startswith("k")
        )


def loss_info(model: keras.Model) -> LossInfo | None:
    """Return the `LossInfo` of a compiled model; None if it has several losses or a custom one."""
    loss = _single_loss(getattr(model, "loss", None))
    name = loss_name(model)
    if name not in _LABELS:
        return None
    return LossInfo(
        name=name,
        labels=_LABELS[name],
        from_logits=bool(getattr(loss, "from_logits", False)),
        smoothing=float(getattr(loss, "label_smoothing", 0.0) or 0.0),
    )


def loss_name(model: keras.Model) -> str:
    """Return the name of the only loss of a compiled model, in Keras' spelling; empty if there is none."""
    loss = _single_loss(getattr(model, "loss", None))
    if isinstance(loss, str):
        name = loss
    elif isinstance(loss, keras.losses.Loss):
        name = type(loss).__name__
    else:
        name = getattr(loss, "__name__", "")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def loss_function(model: keras.Model) -> Callable[[Any, Any], Any] | None:
    """Return the loss as a function of (truth, outputs) that returns a scalar; None if there are several losses."""
    loss = _single_loss(getattr(model, "loss", None))
    if loss is None:
        return None
    function = loss if isinstance(loss, keras.losses.Loss) else keras.losses.get(loss)

    def mean(truth: keras.KerasTensor, outputs: keras.KerasTensor) -> keras.KerasTensor:
        add_axis = outputs.shape[-1] == 1 and len(truth.shape) == len(outputs.shape) - 1
        return keras.ops.mean(function(truth[..., None] if add_axis else truth, outputs))

    return mean


def _single_loss(loss: object) -> object:
    if isinstance(loss, dict):
        loss = list(loss.values())
    if isinstance(loss, list | tuple):
        loss = loss[0] if len(loss) == 1 else None
    # Keras chooses the actual loss by the labels
    return None if loss in ("crossentropy", "ce") else loss


def last_activation(model: keras.Model) -> str | None:
    """Return the name of the last activation of a functional model; None if it is unknown."""
    outputs: Sequence[Any] = getattr(model, "outputs", None) or ()
    if len(outputs) != 1:
        return None
    tensor = outputs[0]
    while True:
        layer = tensor._keras_history.operation
        if isinstance(layer, layers.Softmax):
            return "softmax"
        if isinstance(layer, layers.ReLU):
            return "relu"
        if isinstance(layer, _TRANSPARENT):
            tensor = layer.input
            continue
        if isinstance(layer, layers.RNN):  # its activation is inside, not on its output
            return None
        # an operation: keras.ops.sigmoid(x)
        if type(layer).__name__ in ("Sigmoid", "Softmax", "Tanh"):
            return type(layer).__name__.lower()
        return getattr(getattr(layer, "activation", None), "__name__", None)
