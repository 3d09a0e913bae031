"""Small compiled models, and the findings of a single check."""

import keras
import numpy as np
from keras import layers
from sklearn import datasets

import kzoo

IRIS = datasets.load_iris(return_X_y=True)
CANCER = datasets.load_breast_cancer(return_X_y=True)
DIABETES = datasets.load_diabetes(return_X_y=True)
DIGITS = datasets.load_digits().images[..., None] * (255 / 16), datasets.load_digits().target


def net(
    shape,
    *inside,
    loss="sparse_categorical_crossentropy",
    metrics=("accuracy",),
    optimizer="adam",
    **compiled,
):
    """A compiled network of these layers."""
    model = keras.Sequential([layers.Input(shape), *inside], name="mine")
    model.compile(optimizer, loss, metrics=list(metrics), **compiled)
    return model


def dense(
    inputs=4, outputs=3, end="softmax", units=16, loss="sparse_categorical_crossentropy", **options
):
    """A network for rows."""
    keras.utils.set_random_seed(0)
    return net(
        (inputs,), layers.Dense(units, "relu"), layers.Dense(outputs, end), loss=loss, **options
    )


def images(*, scaled=True, outputs=10):
    """A network for digits."""
    keras.utils.set_random_seed(0)
    first = [layers.Rescaling(1 / 255)] if scaled else []
    return net(
        (8, 8, 1),
        *first,
        layers.Conv2D(8, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(outputs, "softmax"),
    )


def words(vocabulary=100, length=12, outputs=2):
    """A network for token ids."""
    keras.utils.set_random_seed(0)
    return net(
        (length,),
        layers.Embedding(vocabulary, 8),
        layers.GlobalAveragePooling1D(),
        layers.Dense(outputs, "softmax"),
    )


def texts(rows=200, length=12, vocabulary=100, seed=0):
    """Token ids of texts of 6 to 12 words, and a class for each."""
    random = np.random.default_rng(seed)
    x = random.integers(2, vocabulary, (rows, length)).astype("int32")
    x[np.arange(length) >= random.integers(6, length + 1, rows)[:, None]] = 0
    return x, np.arange(rows) % 2


def find(name, subject, data=None, *, deep=False, **options):
    """Return the findings of a single check."""
    return [
        finding
        for finding in kzoo.check(subject, data, deep=deep, **options)
        if finding.check == name
    ]


def finding_of(name, subject, data=None, **options):
    """Return the only finding of a check. Each of its texts must be a single line."""
    (finding,) = find(name, subject, data, **options)
    for text in (finding.what, finding.where, finding.why, finding.fix):
        assert text and "\n" not in text
    return finding
