"""A clock of epochs that several benchmarks share."""

import time

import keras


class Clock(keras.callbacks.Callback):
    """Times each epoch from its beginning to the end of its last step; validation and what is written do not count.

    It looks at no single step: `kzoo.train` makes many of them in one call where no callback does.

    Attributes:
        seconds: of each epoch.
    """

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.began, self.ended = time.perf_counter(), None

    def on_test_begin(self, logs=None):
        self._stop()

    def on_epoch_end(self, epoch, logs=None):
        self._stop()  # there was no validation
        self.seconds.append(self.ended - self.began)

    def _stop(self):
        if self.ended is None:
            int(self.model.optimizer.iterations)  # the step may still be under way: this waits for it
            self.ended = time.perf_counter()
