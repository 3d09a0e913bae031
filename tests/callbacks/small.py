"""Small models on iris, and callbacks that record weights or act at a given step."""

import keras
import numpy as np
from sklearn import datasets

import kzoo
from kzoo.training.setup import make_variables

_iris = datasets.load_iris()
_order = np.random.default_rng(0).permutation(150)
X = ((_iris.data - _iris.data.mean(0)) / _iris.data.std(0))[_order].astype("float32")
Y = _iris.target[_order].astype("int32")
TRAIN = (X[:96], Y[:96])
VALIDATION = (X[96:], Y[96:])


def network(optimizer="adam", metrics=("accuracy",), seed=0, layers=(), **compiled):
    """A two-layer network; `layers` come between the two."""
    keras.utils.set_random_seed(seed)
    head = keras.layers.Dense(3, activation="softmax", name="head")
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(8, "relu", name="hidden"), *layers, head]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=list(metrics), **compiled)
    return model


def fit(model, callbacks, *, epochs=4, validation_data=VALIDATION, **options):
    options = dict(batch_size=16, validation_batch_size=64, shuffle=False, verbose=0) | options
    if model.built:
        make_variables(model, TRAIN)
    return model.fit(
        *TRAIN, epochs=epochs, validation_data=validation_data, callbacks=callbacks, **options
    )


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


class Weights(keras.callbacks.Callback):
    """Record the weights that callbacks see at the beginning and at the end of each epoch."""

    def on_train_begin(self, logs=None):
        self.ends, self.begins = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.begins.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.ends.append(self.model.get_weights())


class At(keras.callbacks.Callback):
    """Do something when an epoch begins, or at a batch's end, or raise it."""

    def __init__(self, epoch, action, *, batch=None):
        super().__init__()
        self.epoch, self.action, self.batch = epoch, action, batch

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch
        if self.batch is None:
            self._act(epoch == self.epoch)

    def on_train_batch_end(self, batch, logs=None):
        if self.batch is not None:
            self._act(self.now == self.epoch and batch == self.batch)

    def _act(self, due):
        if due and isinstance(self.action, BaseException):
            raise self.action
        if due:
            self.action(self.model)


def best_epoch(bundle):
    """Return the best epoch of a bundle's `BestModel`, from 0."""
    return next(c for c in bundle if isinstance(c, kzoo.callbacks.BestModel)).best_epoch
