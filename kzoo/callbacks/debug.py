"""A network that does not learn: numbers of every layer, and what is wrong with them."""

import csv
import io
import sys
from pathlib import Path

import keras
import numpy as np

from kzoo.callbacks.probe import Probe
from kzoo.files import write_text

_QUANTILES = {"weight_p01": 0.01, "weight_p25": 0.25, "weight_p50": 0.5, "weight_p75": 0.75, "weight_p99": 0.99}
_COLUMNS = (
    "epoch", "layer", "weight_norm", "update_ratio", *_QUANTILES, "gradient_norm",
    "activation_mean", "activation_std", "zero_share", "units", "dead_units",
)  # fmt: skip


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
