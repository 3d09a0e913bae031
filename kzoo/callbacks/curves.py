"""TensorBoard curves on every backend, written once per epoch instead of once per step."""

import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import keras

from kzoo.callbacks.events import Events

# prefix of a metric -> folder, as in `keras.callbacks.TensorBoard`
_FOLDERS = {"": "train", "val_": "validation"}


class TensorBoard(keras.callbacks.Callback):
    """Write the metrics of each epoch, in the folders and under the names of `keras.callbacks.TensorBoard`.

    That one imports TensorFlow, which takes two seconds on another backend, and computes a summary of every metric at
    every step: with short steps, nine tenths of the cost of all callbacks of a run.

    Args:
        folder: folder for the event files.
        histograms: also write histograms of the weights, each epoch.
    """

    def __init__(self, folder: str, *, histograms: bool = False) -> None:
        super().__init__()
        self._folder = Path(folder)
        self._histograms = histograms
        self._events = dict[str, Events]()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        for prefix, split in _FOLDERS.items():
            names = [name for name in logs or {} if name.startswith("val_") == bool(prefix)]
            if names:
                self._event_file(split).scalars(
                    {f"epoch_{n.removeprefix(prefix)}": float(logs[n]) for n in names}, epoch
                )
        if self._histograms:
            make_summary = import_module("tensorboard.plugins.histogram.summary_v2").histogram_pb
            for layer in self.model.layers:
                for weight in layer.weights:
                    values = keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32"))
                    self._event_file("train").summary(
                        make_summary(f"{weight.path.replace(':', '_')}/histogram", values), epoch
                    )
        for events in self._events.values():
            events.flush()

    def _event_file(self, split: str) -> Events:
        if split not in self._events:
            created = time.time_ns()
            name = f"events.out.tfevents.{created // 10**9:010d}.{created % 10**9:09d}.kzoo"
            self._events[split] = Events(self._folder / split / name)
        return self._events[split]

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        for events in self._events.values():
            events.close()
        self._events.clear()
