"""Gradients on TensorFlow, JAX and PyTorch: of a function of a tensor, and of a loss in a network's weights."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

import keras

from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    import numpy as np


Tensor: TypeAlias = Any  # of the backend

_BACKEND = keras.backend.backend()
_library = import_module(_BACKEND)  # Keras has imported it already


def gradient(function: Callable[[Any], Any], x: Tensor) -> Tensor:
    """Return the gradient of a scalar function of a tensor.

    Args:
        function: takes the tensor, returns a scalar.
        x: the tensor; the gradient has its shape.

    Raises:
        KzooError: a backend without gradients.
    """
    if _BACKEND == "tensorflow":
        with _library.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return tape.gradient(value, x)
    if _BACKEND == "jax":
        return _library.grad(function)(x)
    if _BACKEND == "torch":
        x = x.detach().requires_grad_()
        return _library.autograd.grad(function(x), x)[0]
    raise _no_gradients()


def weight_gradients(
    model: keras.Model, loss: Callable[[Any], Any], x: "np.ndarray"
) -> "list[np.ndarray | None]":
    """Return the gradient of a loss for each trainable variable, as an array; None if the loss does not depend on it.

    Args:
        model: the network, called with training=True.
        loss: takes the outputs, returns a scalar.
        x: (B, ...) inputs.

    Raises:
        KzooError: a backend without gradients.
    """
    if _BACKEND == "jax":
        state = [v.value for v in model.non_trainable_variables]

        def loss_of_weights(weights: Sequence[Tensor]) -> Tensor:
            return loss(model.stateless_call(weights, state, x, training=True)[0])

        gradients = _library.grad(loss_of_weights)([v.value for v in model.trainable_variables])
    elif _BACKEND == "tensorflow":
        with _library.GradientTape() as tape:
            value = loss(model(x, training=True))
        gradients = tape.gradient(value, [v.value for v in model.trainable_variables])
        gradients = [
            None if g is None else _library.convert_to_tensor(g) for g in gradients
        ]  # the gradient of an embedding is sparse
    elif _BACKEND == "torch":
        weights = [v.value for v in model.trainable_variables]
        value = loss(model(x, training=True))
        # PyTorch raises if the loss depends on no weight.
        has_gradient = value.requires_grad
        gradients = (
            _library.autograd.grad(value, weights, allow_unused=True)
            if has_gradient
            else [None] * len(weights)
        )
    else:
        raise _no_gradients()
    return [
        None if g is None else keras.ops.convert_to_numpy(keras.ops.cast(g, "float32"))
        for g in gradients
    ]


def _no_gradients() -> KzooError:
    return KzooError(
        f"Keras runs on {_BACKEND}, which has no gradients. Set KERAS_BACKEND to tensorflow, jax or torch."
    )


@contextmanager
def free_traced_functions() -> Iterator[None]:
    """Let TensorFlow free the training steps that are traced in this context once they are unused.

    TensorFlow registers the function of every `tf.custom_gradient` forever, and with it the whole graph; Keras'
    optimizers use one in `all_reduce`. The registry is only read when a graph is differentiated again, which never
    happens to a step that updates weights.
    """
    if _BACKEND != "tensorflow":
        yield
        return
    registry = getattr(
        import_module("tensorflow.python.framework.ops").gradient_registry, "_registry", {}
    )
    before = set(registry)
    try:
        yield
    finally:
        for name in set(registry) - before:
            if name.startswith("CustomGradient-"):
                del registry[name]
