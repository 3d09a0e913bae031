"""An epoch timer that several benchmarks use."""

import time

import keras


class Clock(keras.callbacks.Callback):
    """Times each epoch from its start to the end of its last step, without validation and writing of files.

    It has no callbacks per step, so that `kzoo.train` can run many steps in one call.

    Attributes:
        seconds: the time of each epoch.
    """

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()
        self.ended = None

    def on_test_begin(self, logs=None):
        self._stop()

    def on_epoch_end(self, epoch, logs=None):
        self._stop()  # there was no validation
        self.seconds.append(self.ended - self.began)

    def _stop(self):
        if self.ended is None:
            # the step may still be under way: this waits for it
            int(self.model.optimizer.iterations)
            self.ended = time.perf_counter()
