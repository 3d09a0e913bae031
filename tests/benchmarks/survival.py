"""Training time with journal, callbacks and checks, relative to plain `fit` on the same batches.

python tests/benchmarks/survival.py --cifar FOLDER      CIFAR-10 class folders; otherwise random pixels

`line_fnn`, with 31 parameters, has very cheap steps, so all work around a step is visible.
KERAS_BACKEND sets the backend of both.
"""

import argparse
import json
import os
import tempfile
import time
from importlib import import_module

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kzoo
from kzoo.data.pipeline import Batches

module = import_module("kzoo.training.train")  # its name is the function's too


class Clock(keras.callbacks.Callback):
    """Measures from the second epoch to the end of training, including all callbacks: it must be the last one.

    It has no callbacks per step, so that `kzoo.train` can run many steps in one call.
    """

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:  # tracing is no part of it
            self.began = time.perf_counter()

    def on_train_end(self, logs=None):
        self.seconds = time.perf_counter() - self.began


def bare(preset, data, epochs):
    """Fit like `kzoo.train`, without the callbacks of kzoo."""
    known = set(kzoo.get_preset(preset).config) - {"outputs"}  # those of the presets are right
    model = kzoo.build(
        preset, seed=0, **{k: v for k, v in data.config.items() if k in known and v is not None}
    )
    training = kzoo.get_preset(preset).training
    clock = Clock()
    shared = dict(batch_size=training["batch_size"])
    batches = Batches(data.train, shuffle=True, augment=training.get("augment", ()), **shared)
    validation = Batches(data.validation, **shared)
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_begin=batches.begin), clock]
    model.fit(
        batches.dataset(),
        validation_data=validation.dataset(),
        epochs=epochs,
        callbacks=callbacks,
        verbose=0,
    )
    return clock.seconds


def whole(preset, data, epochs):
    """Train with all defaults. The time includes checks and files written at the end."""
    clock = Clock()
    checks = module.check_before_training
    spent = []

    def timed(*args, **options):
        began = time.perf_counter()
        lines = checks(*args, **options)
        spent.append(time.perf_counter() - began)
        return lines

    module.check_before_training = timed
    try:
        with tempfile.TemporaryDirectory() as folder:
            kzoo.train(
                preset, data, epochs=epochs, out=f"{folder}/run", callbacks=[clock], progress=False
            )
    finally:
        module.check_before_training = checks
    return clock.seconds + spent[0], spent[0]


def images(args):
    if args.cifar:
        full = kzoo.load_data(args.cifar, preset="cifar_cnn")
        return np.asarray(full.train.x[np.arange(args.images)]), np.asarray(
            full.train.y[: args.images]
        )
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (args.images, 32, 32, 3)).astype("uint8"), np.arange(
        args.images
    ) % 10


def texts(args):
    tokens = np.random.default_rng(0).integers(2, 10_000, (args.texts, 200)).astype("int32")
    return tokens, np.arange(args.texts) % 2


def rows(args):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(args.rows, 1)).astype("float32")
    return x, 2 * x + 0.1 * rng.normal(size=x.shape)


SETS = {"cifar_cnn": images, "imdb_lstm": texts, "line_fnn": rows}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cifar")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--texts", type=int, default=3000)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--presets", nargs="+", choices=SETS, default=list(SETS), metavar="PRESET")
    args = parser.parse_args()
    for preset in args.presets:
        data = kzoo.load_data(SETS[preset](args), preset=preset)
        bares, found = [], []
        for number in range(args.rounds):
            # neither always comes first
            for kind in (bare, whole) if number % 2 == 0 else (whole, bare):
                (bares if kind is bare else found).append(kind(preset, data, args.epochs))
        wholes, checks = zip(*found, strict=True)
        row = dict(
            what="kzoo.train / bare fit, seconds",
            preset=preset,
            ratio=round(min(wholes) / min(bares), 3),
        )
        row |= dict(
            ratios=[round(b / a, 3) for a, b in zip(bares, wholes, strict=True)],
            checks=round(min(checks), 2),
        )
        row |= dict(bare=round(min(bares), 2), whole=round(min(wholes), 2))
        steps = (args.epochs - 1) * -(
            -len(data.train) // kzoo.get_preset(preset).training["batch_size"]
        )
        per_step = min(bares), min(seconds - check for seconds, check in found)
        # without the checks
        row["microseconds_per_step"] = [round(1e6 * seconds / steps) for seconds in per_step]
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
