"""One batch looked at from inside: gradients and activations of every layer, on every backend."""

import random
import sys
from contextlib import contextmanager, nullcontext

import keras
import numpy as np

_RELUS = ("relu", "relu6")


class Probe:
    """Measure gradients and activations of a model on a batch, without a trace in its training.

    The gradients come from one step of a copy of the network: with SGD and momentum, the velocity after the first
    step is the negative gradient. So there is no code for any one backend.

    Args:
        x, y: inputs and targets, as for `fit`.
    """

    def __init__(self, x, y):
        self.x, self.y = x, y
        self.model = self.copy = self.inside = None

    def statistics(self, model):
        """Return {layer's name: its numbers}; empty for a subclassed model, which cannot be looked into."""
        if self.model is not model:
            self._look_into(model)
        if self.copy is None:
            return {}
        outputs = self.inside(self.x, training=False)
        seen = {name: _of_activations(keras.ops.convert_to_numpy(v), name in self.relus) for name, v in outputs.items()}
        with _same_random_numbers():
            norms = self._gradients(model)
        for name, norm in norms.items():
            seen.setdefault(name, {})["gradient_norm"] = norm
        return seen

    def _look_into(self, model):
        self.model, self.copy, self.inside = model, None, None
        if not getattr(model, "inputs", None):
            print("debug: no gradients and activations, the model is not functional.", file=sys.stderr)
            return
        with _same_random_numbers():
            copy = keras.models.clone_model(model)
        copy.compile(keras.optimizers.SGD(1.0, momentum=0.9), model.loss, auto_scale_loss=False)
        outputs = {layer.name: _output(layer) for layer in model.layers}
        outputs = {name: output for name, output in outputs.items() if output is not None}
        self.relus = {layer.name for layer in model.layers if _is_relu(layer)}
        inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
        self.copy, self.inside = copy, keras.Model(inputs, outputs)

    def _gradients(self, model):
        copy = self.copy
        copy.set_weights(model.get_weights())
        for velocity in getattr(copy.optimizer, "momentums", []):
            velocity.assign(np.zeros(velocity.shape, "float32"))
        copy.train_on_batch(self.x, self.y)
        pairs = zip(copy.trainable_variables, copy.optimizer.momentums, strict=True)
        size = {v.path: float(np.linalg.norm(keras.ops.convert_to_numpy(velocity))) for v, velocity in pairs}
        layers = [layer for layer in copy.layers if layer.trainable_variables]
        return {
            layer.name: float(np.linalg.norm([size[v.path] for v in layer.trainable_variables])) for layer in layers
        }


@contextmanager
def _same_random_numbers():
    """Draw numbers here, and leave training to draw those it would have drawn."""
    states = random.getstate(), np.random.get_state()
    forked = sys.modules["torch"].random.fork_rng() if keras.backend.backend() == "torch" else nullcontext()
    with forked:  # PyTorch's dropout draws from its global generator
        yield
    random.setstate(states[0])
    np.random.set_state(states[1])


def _output(layer):
    """Return the one floating-point output of a layer, or None."""
    try:
        output = layer.output
    except (AttributeError, ValueError):  # it is used twice
        return None
    plain = isinstance(output, keras.KerasTensor) and "float" in str(output.dtype)
    return output if plain and not isinstance(layer, keras.layers.InputLayer) else None


def _is_relu(layer):
    return isinstance(layer, keras.layers.ReLU) or getattr(getattr(layer, "activation", None), "__name__", "") in _RELUS


def _of_activations(value, relu):
    value = np.asarray(value, "float32")
    numbers = dict(activation_mean=float(value.mean()), activation_std=float(value.std()), units=value.shape[-1])
    if relu:
        numbers |= dict(
            zero_share=float((value == 0).mean()),
            dead_units=int((value.reshape(-1, value.shape[-1]) == 0).all(axis=0).sum()),
        )
    return numbers
