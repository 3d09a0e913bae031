"""A network that does not learn: numbers of every layer, and what is wrong with them."""

import csv
import io
import random
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kzoo.utils.files import write_text

_QUANTILES = {"weight_p01": 0.01, "weight_p25": 0.25, "weight_p50": 0.5, "weight_p75": 0.75, "weight_p99": 0.99}
_COLUMNS = (
    "epoch", "layer", "weight_norm", "update_ratio", *_QUANTILES, "gradient_norm",
    "activation_mean", "activation_std", "zero_share", "units", "dead_units",
)  # fmt: skip
_RELUS = ("relu", "relu6")


class Debug(keras.callbacks.Callback):
    """Write statistics of every layer each epoch to `debug.csv`, and say on stderr what is wrong.

    `update_ratio` is the change of a layer's weights over the epoch relative to their size; `weight_p01` to
    `weight_p99` are quantiles, a histogram in five numbers.

    Args:
        run_dir: folder of `debug.csv`, or None.
        sample: `(x, y)`, a batch of training data, for gradients, activations and dead units; or None.
    """

    def __init__(self, run_dir=None, sample=None):
        super().__init__()
        self.path = None if run_dir is None else Path(run_dir) / "debug.csv"
        self.probe = None if sample is None else Probe(*sample)

    def on_train_begin(self, logs=None):
        self.rows, self.said = [], []
        self.before = self._weights()

    def on_epoch_end(self, epoch, logs=None):
        seen = {} if self.probe is None else self.probe.statistics(self.model)
        weights = self._weights()
        for layer in [*weights, *(name for name in seen if name not in weights)]:
            numbers = _of_weights(weights[layer], self.before.get(layer)) if layer in weights else {}
            self._add({"epoch": epoch + 1, "layer": layer} | numbers | seen.get(layer, {}))
        self.before = weights
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            out = io.StringIO()
            writer = csv.DictWriter(out, _COLUMNS, lineterminator="\n", restval="")
            writer.writeheader()
            writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in r.items()} for r in self.rows)
            write_text(self.path, out.getvalue(), sync=False)

    def _weights(self):
        """Return {layer's name: its trainable weights in one row}."""
        layers = [layer for layer in self.model.layers if layer.trainable_variables]
        return {layer.name: _in_a_row(layer.trainable_variables) for layer in layers}

    def _add(self, row):
        self.rows.append(row)
        for what in _wrong(row):
            if (row["layer"], what) not in self.said:  # once is enough
                self.said.append((row["layer"], what))
                print(f"debug, epoch {row['epoch']}: {row['layer']} {what}", file=sys.stderr)


def _in_a_row(variables):
    return np.concatenate([np.ravel(keras.ops.convert_to_numpy(v)).astype("float32") for v in variables])


def _of_weights(now, before):
    values = np.quantile(now, list(_QUANTILES.values()))
    numbers = {name: float(value) for name, value in zip(_QUANTILES, values, strict=True)}
    if before is not None and (size := float(np.linalg.norm(before))) > 0:
        numbers["update_ratio"] = float(np.linalg.norm(now - before)) / size
    return numbers | {"weight_norm": float(np.linalg.norm(now))}


def _wrong(row):
    """Yield what is wrong with a layer, each with what to try."""
    if not np.isfinite(row.get("weight_norm", 0.0)):
        yield "has weights that are not finite: try a smaller learning_rate."
        return
    ratio, gradient = row.get("update_ratio", 0.1), row.get("gradient_norm")
    if ratio > 1:
        yield "changed by more than its own size in an epoch: try a smaller learning_rate or a warm-up."
    elif ratio < 1e-6:
        yield "hardly changed in an epoch: is the learning_rate too small, or does no gradient reach it?"
    if gradient is not None and not np.isfinite(gradient):
        yield "has a gradient that is not finite: look at the loss and at the data."
    elif gradient is not None and gradient > 100 * max(row["weight_norm"], 1.0):
        yield "has a gradient 100 times its weights, it explodes: try global_clipnorm=1.0."
    elif gradient is not None and gradient < 1e-7 * row["weight_norm"]:
        yield "gets hardly any gradient, it vanishes: try normalisation, residual blocks or another activation."
    if row.get("dead_units", 0) > 0.5 * row.get("units", 1):
        yield "has more than half of its units dead, never above zero: try a smaller learning_rate or leaky_relu."


class Probe:
    """Measure gradients and activations of a model on a batch, without a trace in its training.

    The gradients come from one step of a copy of the network: with SGD and momentum, the velocity after the first
    step is the negative gradient. So no backend needs code of its own.

    Args:
        x, y: inputs and targets, as for `fit`.
    """

    def __init__(self, x, y):
        self.x, self.y = x, y
        self.model: Any = None
        self.copy: Any = None
        self.inside: Any = None

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
        copy.optimizer.build(copy.trainable_variables)  # otherwise TensorFlow traces the step twice
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
