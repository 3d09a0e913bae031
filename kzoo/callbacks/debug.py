"""Statistics of every layer of a network that does not learn, and a diagnosis of what is wrong."""

import csv
import io
import os
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from kzoo.utils.files import write_text

_QUANTILES = {
    "weight_p01": 0.01,
    "weight_p25": 0.25,
    "weight_p50": 0.5,
    "weight_p75": 0.75,
    "weight_p99": 0.99,
}
_COLUMNS = (
    "epoch",
    "layer",
    "weight_norm",
    "update_ratio",
    *_QUANTILES,
    "gradient_norm",
    "activation_mean",
    "activation_std",
    "zero_share",
    "units",
    "dead_units",
)
_RELUS = ("relu", "relu6")


Row = dict[str, Any]  # of `debug.csv`


class Debug(keras.callbacks.Callback):
    """Write statistics of every layer to `debug.csv` each epoch, and print problems on stderr.

    `update_ratio` is the change of a layer's weights over the epoch, relative to their norm; `weight_p01` to
    `weight_p99` are quantiles of the weights.

    Args:
        run_dir: folder of `debug.csv`, or None.
        sample: `(x, y)`, a batch of training data, for gradients, activations and dead units; or None.
    """

    def __init__(
        self,
        run_dir: str | os.PathLike[str] | None = None,
        sample: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> None:
        super().__init__()
        self.path = None if run_dir is None else Path(run_dir) / "debug.csv"
        self.probe = None if sample is None else Probe(*sample)

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.rows: list[Row] = []
        self.printed: list[tuple[str, str]] = []
        self.before = self._weights()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        probed = {} if self.probe is None else self.probe.statistics(self.model)
        weights = self._weights()
        for layer in weights | probed:
            statistics = (
                _weight_statistics(weights[layer], self.before.get(layer))
                if layer in weights
                else {}
            )
            self._add({"epoch": epoch + 1, "layer": layer} | statistics | probed.get(layer, {}))
        self.before = weights
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            buffer = io.StringIO()
            writer = csv.DictWriter(buffer, _COLUMNS, lineterminator="\n", restval="")
            writer.writeheader()
            writer.writerows(
                {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in r.items()}
                for r in self.rows
            )
            write_text(self.path, buffer.getvalue(), sync=False)

    def _weights(self) -> dict[str, np.ndarray]:
        """Return {name of a layer: its trainable weights as one vector}."""
        layers = [layer for layer in self.model.layers if layer.trainable_variables]
        return {layer.name: _flatten(layer.trainable_variables) for layer in layers}

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        for problem in _problems(row):
            if (row["layer"], problem) not in self.printed:  # print each problem of a layer once
                self.printed.append((row["layer"], problem))
                print(f"debug, epoch {row['epoch']}: {row['layer']} {problem}", file=sys.stderr)


def _flatten(variables: Sequence[keras.Variable]) -> np.ndarray:
    return np.concatenate(
        [np.ravel(keras.ops.convert_to_numpy(v)).astype("float32") for v in variables]
    )


def _weight_statistics(weights: np.ndarray, previous: np.ndarray | None) -> dict[str, float]:
    quantiles = np.quantile(weights, list(_QUANTILES.values()))
    statistics = {name: float(value) for name, value in zip(_QUANTILES, quantiles, strict=True)}
    if previous is not None and (size := float(np.linalg.norm(previous))) > 0:
        statistics["update_ratio"] = float(np.linalg.norm(weights - previous)) / size
    return statistics | {"weight_norm": float(np.linalg.norm(weights))}


def _problems(row: Row) -> Iterator[str]:
    """Yield each problem that a layer's statistics show, with a suggested fix."""
    if not np.isfinite(row.get("weight_norm", 0.0)):
        yield "has weights that are not finite. Try a smaller learning_rate."
        return
    ratio = row.get("update_ratio", 0.1)  # if it is unknown, a number that is no problem
    gradient = row.get("gradient_norm")
    if ratio > 1:
        yield "changed by more than its own size in an epoch. Try a smaller learning_rate or a warm-up."
    elif ratio < 1e-6:
        yield "hardly changed in an epoch. Is the learning_rate too small, or does no gradient reach it?"
    if gradient is not None and not np.isfinite(gradient):
        yield "has a gradient that is not finite. Check the loss and the data."
    elif gradient is not None and gradient > 100 * max(row["weight_norm"], 1.0):
        yield "has an exploding gradient, over 100 times the norm of its weights. Try global_clipnorm=1.0."
    elif gradient is not None and gradient < 1e-7 * row["weight_norm"]:
        yield "has a vanishing gradient. Try normalisation, residual blocks or another activation."
    if row.get("dead_units", 0) > 0.5 * row.get("units", 1):
        yield "has more than half of its units dead (always zero). Try a smaller learning_rate or leaky_relu."


class Probe:
    """Measure gradients and activations of a model on a batch, without affecting its training.

    The gradients come from one training step of a copy of the network: with SGD, momentum and a learning rate of 1,
    the velocity after the first step is the negative gradient. So one code serves all backends.

    Args:
        x, y: inputs and targets, as for `fit`.
    """

    def __init__(self, x: ArrayLike, y: ArrayLike) -> None:
        self.x, self.y = x, y
        self.model: Any = None
        self.copy: Any = None
        self.activation_model: Any = None

    def statistics(self, model: keras.Model) -> dict[str, dict[str, float]]:
        """Return {name of a layer: its statistics}; empty for a subclassed model, whose layers have no graph."""
        if self.model is not model:
            self._build_copy(model)
        if self.copy is None:
            return {}
        outputs = self.activation_model(self.x, training=False)
        statistics = {
            name: _activation_statistics(keras.ops.convert_to_numpy(v), name in self.relus)
            for name, v in outputs.items()
        }
        with _preserved_random_state():
            norms = self._gradients(model)
        for name, norm in norms.items():
            statistics.setdefault(name, {})["gradient_norm"] = norm
        return statistics

    def _build_copy(self, model: keras.Model) -> None:
        self.model = model
        self.copy = None
        self.activation_model = None
        if not getattr(model, "inputs", None):
            print(
                "debug: gradients and activations need a functional or Sequential model.",
                file=sys.stderr,
            )
            return
        with _preserved_random_state():
            copy = keras.models.clone_model(model)
        copy.compile(keras.optimizers.SGD(1.0, momentum=0.9), model.loss, auto_scale_loss=False)
        copy.optimizer.build(copy.trainable_variables)  # otherwise TensorFlow traces the step twice
        outputs = {layer.name: _float_output(layer) for layer in model.layers}
        outputs = {name: output for name, output in outputs.items() if output is not None}
        self.relus = {layer.name for layer in model.layers if _is_relu(layer)}
        inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
        self.copy, self.activation_model = copy, keras.Model(inputs, outputs)

    def _gradients(self, model: keras.Model) -> dict[str, float]:
        copy = self.copy
        copy.set_weights(model.get_weights())
        for velocity in getattr(copy.optimizer, "momentums", []):
            velocity.assign(np.zeros(velocity.shape, "float32"))
        copy.train_on_batch(self.x, self.y)
        pairs = zip(copy.trainable_variables, copy.optimizer.momentums, strict=True)
        norms = {
            v.path: float(np.linalg.norm(keras.ops.convert_to_numpy(velocity)))
            for v, velocity in pairs
        }
        layers = [layer for layer in copy.layers if layer.trainable_variables]
        return {
            layer.name: float(np.linalg.norm([norms[v.path] for v in layer.trainable_variables]))
            for layer in layers
        }


@contextmanager
def _preserved_random_state() -> Iterator[None]:
    """Restore the random state after the block, so that training draws the same numbers as without it."""
    states = random.getstate(), np.random.get_state()
    torch_state = (
        sys.modules["torch"].random.fork_rng()
        if keras.backend.backend() == "torch"
        else nullcontext()
    )
    with torch_state:  # PyTorch's dropout draws from its global generator
        yield
    random.setstate(states[0])
    np.random.set_state(states[1])


def _float_output(layer: keras.Layer) -> "keras.KerasTensor | None":
    """Return the single floating-point output of a layer, or None."""
    try:
        output = layer.output
    except (AttributeError, ValueError):  # the layer is used more than once
        return None
    is_float = isinstance(output, keras.KerasTensor) and "float" in str(output.dtype)
    return output if is_float and not isinstance(layer, keras.layers.InputLayer) else None


def _is_relu(layer: keras.Layer) -> bool:
    return (
        isinstance(layer, keras.layers.ReLU)
        or getattr(getattr(layer, "activation", None), "__name__", "") in _RELUS
    )


def _activation_statistics(activations: np.ndarray, relu: bool) -> dict[str, float]:
    """Return the columns of `debug.csv` on a layer's activations; `relu` is whether it is a ReLU."""
    activations = np.asarray(activations, "float32")
    statistics = dict(
        activation_mean=float(activations.mean()),
        activation_std=float(activations.std()),
        units=activations.shape[-1],
    )
    if relu:
        statistics |= dict(
            zero_share=float((activations == 0).mean()),
            dead_units=int((activations.reshape(-1, activations.shape[-1]) == 0).all(axis=0).sum()),
        )
    return statistics
