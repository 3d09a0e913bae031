"""`layer_decay`: layers far from the output train with smaller learning rates. Keras only."""

from collections.abc import Callable
from typing import Any

import keras


def layer_depths(model: keras.Model) -> dict[str, int]:
    """Return layer name -> depth of a functional model: the number of layers with a kernel between it and the output.

    A kernel is a weight with two axes or more. The longest of several paths to the output counts. The last layer has
    depth 0, and a norm has the depth of the convolution below it.
    """
    depths: dict[Any, int] = {}
    # Keras numbers nodes by their longest path to the output, so consumers come before the operations they read.
    for distance in sorted(model._nodes_by_depth):
        for node in model._nodes_by_depth[distance]:
            depth = depths.setdefault(node.operation, 0)
            depth_below = depth + any(
                len(w.shape) > 1 for w in getattr(node.operation, "weights", ())
            )
            for tensor in node.input_tensors:
                producer = tensor._keras_history.operation
                depths[producer] = max(depths.get(producer, 0), depth_below)
    return {layer.name: depths[layer] for layer in model.layers if layer in depths}


def apply_layer_decay(
    optimizer: keras.optimizers.Optimizer, model: keras.Model, decay: float
) -> None:
    """Train each layer with the learning rate times `decay` to the power of its depth (arXiv:2106.08254).

    The update and the weight decay of every Keras optimizer are proportional to the learning rate, so scaling the
    update of a variable scales its learning rate. The methods are replaced on the instance: the optimizer keeps Keras'
    class, and a saved file opens without kzoo.

    Args:
        optimizer: optimizer of the model, before its first step.
        model: functional model.
        decay: above 0 and below 1.
    """
    depths = layer_depths(model)
    multipliers = {
        id(v): decay ** depths[layer.name]
        for layer in model.layers
        for v in layer.trainable_variables
    }

    def scaled(update: Callable[..., object]) -> Callable[..., None]:
        def scaled_update(*arguments: Any) -> None:
            slower = [
                (v, multipliers[id(v)])
                for v in optimizer._trainable_variables
                if multipliers.get(id(v), 1.0) != 1.0
            ]
            before = [keras.ops.copy(v.value) for v, _ in slower]
            update(*arguments)
            for (variable, multiplier), old in zip(slower, before, strict=True):
                variable.assign(old + multiplier * (variable.value - old))

        return scaled_update

    for name in ("_apply_weight_decay", "_backend_update_step"):
        setattr(optimizer, name, scaled(getattr(optimizer, name)))
