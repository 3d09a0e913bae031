"""Gradients on the three backends that have them: of a function of a tensor, and of a loss in a network's weights."""

from contextlib import contextmanager
from importlib import import_module

import keras

from kzoo.utils.errors import KzooError

_BACKEND = keras.backend.backend()
_library = import_module(_BACKEND)  # the one that Keras has imported already


def gradient(function, at):
    """Return the gradient of a scalar function of a tensor.

    Args:
        function: takes the tensor, returns a scalar.
        at: the tensor; the gradient has its shape.

    Raises:
        KzooError: a backend without gradients.
    """
    if _BACKEND == "tensorflow":
        with _library.GradientTape() as tape:
            tape.watch(at)
            value = function(at)
        return tape.gradient(value, at)
    if _BACKEND == "jax":
        return _library.grad(function)(at)
    if _BACKEND == "torch":
        at = at.detach().requires_grad_()
        return _library.autograd.grad(function(at), at)[0]
    raise _no_gradients()


def weight_gradients(model, loss, x) -> list:
    """Return the gradient of a loss in each trainable variable, as arrays; None where the loss does not depend on it.

    Args:
        model: the network; it answers as in training.
        loss: takes the answers, returns a scalar.
        x: (B, ...) inputs.

    Raises:
        KzooError: a backend without gradients.
    """
    if _BACKEND == "jax":
        rest = [v.value for v in model.non_trainable_variables]

        def lost(weights):
            return loss(model.stateless_call(weights, rest, x, training=True)[0])

        found = _library.grad(lost)([v.value for v in model.trainable_variables])
    elif _BACKEND == "tensorflow":
        with _library.GradientTape() as tape:
            value = loss(model(x, training=True))
        found = tape.gradient(value, [v.value for v in model.trainable_variables])
        found = [None if g is None else _library.convert_to_tensor(g) for g in found]  # an embedding's is sparse
    elif _BACKEND == "torch":
        weights = [v.value for v in model.trainable_variables]
        value = loss(model(x, training=True))
        # PyTorch refuses where nothing leads back to a weight.
        used = value.requires_grad
        found = _library.autograd.grad(value, weights, allow_unused=True) if used else [None] * len(weights)
    else:
        raise _no_gradients()
    return [None if g is None else keras.ops.convert_to_numpy(keras.ops.cast(g, "float32")) for g in found]


def _no_gradients():
    return KzooError(
        f"Keras runs on {_BACKEND}, which has no gradients: set KERAS_BACKEND to tensorflow, jax or torch."
    )


@contextmanager
def traces_let_go():
    """Have TensorFlow let go of training steps that are traced meanwhile, once nobody uses them.

    It keeps the function of every `tf.custom_gradient` for good, by a name of its own, and with it the whole graph;
    Keras' optimizers come by one in `all_reduce`. The name is looked up where a graph is differentiated again, and
    nobody does that with a step that updates weights.
    """
    if _BACKEND != "tensorflow":
        yield
        return
    registry = getattr(import_module("tensorflow.python.framework.ops").gradient_registry, "_registry", {})
    before = set(registry)
    try:
        yield
    finally:
        for name in set(registry) - before:
            if name.startswith("CustomGradient-"):
                del registry[name]
