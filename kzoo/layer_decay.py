"""`layer_decay`: layers learn the more slowly the farther they are from the answer. Keras only."""

from typing import Any

import keras


def layer_depths(model: Any) -> dict[str, int]:
    """Return the depth of each layer of a functional model: how many layers with a kernel lie above it.

    A kernel is a weight of two axes or more; of several ways to the answer the longest counts. So the last layer has
    depth 0, and a norm that of the convolution below it.
    """
    found: dict[Any, int] = {}
    for distance in sorted(model._nodes_by_depth):  # Keras': the longest way to the answer, so that readers come first
        for node in model._nodes_by_depth[distance]:
            here = found.setdefault(node.operation, 0)
            below = here + any(len(w.shape) > 1 for w in getattr(node.operation, "weights", ()))
            for tensor in node.input_tensors:
                read = tensor._keras_history.operation
                found[read] = max(found.get(read, 0), below)
    return {layer.name: found[layer] for layer in model.layers if layer in found}


def apply_layer_decay(optimizer: keras.optimizers.Optimizer, model: Any, decay: float) -> None:
    """Let each layer learn at the learning rate times `decay` to the power of its depth (arXiv:2106.08254).

    The step of every optimizer of Keras, and its weight decay, is the learning rate times something: a share of the one
    is a share of the other. Set on the optimizer itself, which stays Keras' own class: a saved file opens where kzoo is
    not installed.

    Args:
        optimizer: of the model, before its first step.
        model: functional.
        decay: above 0, below 1.
    """
    deep = layer_depths(model)
    rates = {id(v): decay ** deep[layer.name] for layer in model.layers for v in layer.trainable_variables}

    def partly(change):
        def changed(*arguments):
            slower = [(v, rates[id(v)]) for v in optimizer._trainable_variables if rates.get(id(v), 1.0) != 1.0]
            before = [keras.ops.copy(v.value) for v, _ in slower]
            change(*arguments)
            for (variable, rate), old in zip(slower, before, strict=True):
                variable.assign(old + rate * (variable.value - old))

        return changed

    for name in ("_apply_weight_decay", "_backend_update_step"):
        setattr(optimizer, name, partly(getattr(optimizer, name)))
