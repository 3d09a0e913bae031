"""TensorBoard's curves on every backend, at the cost of an epoch instead of that of a step."""

import time
from importlib import import_module
from pathlib import Path
from typing import Any

import keras

from kzoo.events import Events

_FOLDERS = {"": "train", "val_": "validation"}  # as Keras' own callback names them


class TensorBoard(keras.callbacks.Callback):
    """Metrics of each epoch, in the folders and under the names of Keras' own callback.

    That one needs TensorFlow, two seconds on another backend, and asks for a summary of every metric at every step,
    nine tenths of what all callbacks of a run cost where steps are short.

    Args:
        folder: where the files go.
        histograms: also write those of the weights, each epoch.
    """

    def __init__(self, folder: str, *, histograms: bool = False) -> None:
        super().__init__()
        self._folder, self._histograms, self._events = Path(folder), histograms, dict[str, Events]()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        for start, place in _FOLDERS.items():
            names = [name for name in logs or {} if name.startswith("val_") == bool(start)]
            if names:
                self._of(place).scalars({f"epoch_{n.removeprefix(start)}": float(logs[n]) for n in names}, epoch)
        if self._histograms:
            draw = import_module("tensorboard.plugins.histogram.summary_v2").histogram_pb
            for layer in self.model.layers:
                for weight in layer.weights:
                    values = keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32"))
                    self._of("train").summary(draw(f"{weight.path.replace(':', '_')}/histogram", values), epoch)
        for events in self._events.values():
            events.flush()

    def _of(self, place: str) -> Events:
        if place not in self._events:
            now = time.time_ns()
            name = f"events.out.tfevents.{now // 10**9:010d}.{now % 10**9:09d}.kzoo"
            self._events[place] = Events(self._folder / place / name)
        return self._events[place]

    def on_train_end(self, logs: Any = None) -> None:
        for events in self._events.values():
            events.close()
        self._events.clear()
