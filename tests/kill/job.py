"""A training that can be killed anywhere and started again, in a separate process; `killing.py` kills it.

python tests/kill/job.py NAME FOLDER              kzoo.train, which resumes by itself
python tests/kill/job.py NAME FOLDER --stock      plain fit with BackupAndRestore of Keras
python tests/kill/job.py NAME FOLDER --kill save 5      kill -9 in the fifth write of a file
python tests/kill/job.py NAME FOLDER --bundle long      with another callback bundle
python tests/kill/job.py NAME FOLDER --steps-per-call 4 with so many steps in a call
python tests/kill/job.py NAME FOLDER --clock -86400     in a process whose clock is a day behind
"""

import argparse
import dataclasses
import hashlib
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SMALL_TEXT = dict(vocabulary_size=500, embedding_dim=16, batch_size=32)
PANEL = dict(
    target="sales",
    series_id="shop",
    time="day",
    known_covariates="promo",
    horizon=3,
    input_shape=7,
    batch_size=16,
    quantiles=(0.1, 0.5, 0.9),
)
BACKBONE = dict(backbone="efficientnet_lite0", cut="block2_1_project_norm")


def too_large(folder):
    """Return a table that does not fit in memory, and is read in parts."""
    from sklearn.datasets import load_breast_cancer

    from kzoo.data.store import row_files

    os.environ |= {"KZOO_MEMORY": "1KiB", "KZOO_CACHE": str(folder / "cache")}
    row_files._MOST_ROWS = 96
    file = folder / "table.csv"
    if not file.exists():
        load_breast_cancer(as_frame=True).frame.to_csv(file, index=False)
    return file


def short_text(folder):
    """Return a text file of 300 different lines."""
    file = folder / "text.txt"
    if not file.exists():
        file.write_text(
            "\n".join(f"{n} and {n % 7} are {n + n % 7}." for n in range(300)), encoding="utf-8"
        )
    return file


def labelled_series(folder):
    """Return 60 series of 12 to 20 steps, and the class of each."""
    import numpy as np

    random = np.random.default_rng(0)
    classes = np.arange(60) % 3
    lengths = random.integers(12, 21, 60)
    return [
        np.sin(np.arange(steps) * (1 + label) / 2)[:, None] + random.normal(0, 0.3, (steps, 1))
        for steps, label in zip(lengths, classes, strict=True)
    ], classes


def shops(folder):
    """Return a table of the daily sales of five shops of different length, with a promotion that is known ahead."""
    import numpy as np
    import pandas as pd

    file = folder / "shops.csv"
    random = np.random.default_rng(0)
    if not file.exists():
        frames = []
        for number, days in enumerate((90, 80, 70, 60, 12), start=1):
            promo = random.integers(0, 2, days)
            dates = pd.date_range("2024-06-30", periods=days, freq="-1D")[::-1]
            sales = number * (10 + np.arange(days) % 7 + 5 * promo + random.normal(0, 1, days))
            frames.append(
                pd.DataFrame(dict(shop=f"shop {number}", day=dates, sales=sales, promo=promo))
            )
        pd.concat(frames).to_csv(file, index=False)
    return file


def many_shops(folder):
    """Return the same table, whose windows are computed when they are read."""
    from kzoo.inference.kinds.series import covariates

    covariates._MOST_BYTES = 0
    return shops(folder)


# Name -> preset, its data, and settings that make it small; together they have every family, dropout, augmentation,
# averages of weights, plateau, warm-up, regression, and what the presets that are not textbook nets begin with.
JOBS = {
    "fnn": ("tabular_fnn", "breast_cancer", dict(units=(32, 16), schedule="cosine", warmup=0.2)),
    "fnn_large": ("tabular_fnn", too_large, dict(units=(32, 16), schedule="cosine", warmup=0.2)),
    "fnn_values": ("diabetes_fnn", "diabetes", dict(schedule="plateau", patience=2)),
    "members": (
        "tabular_tabm",
        "breast_cancer",
        dict(units=(16,), members=4, bins=8, batch_size=32),
    ),
    "cnn": (
        "cifar_cnn",
        "shapes",
        dict(filters=(8, 16), units=(16,), dropout=0.2, augment=("flip", "shift")),
    ),
    "cnn_ema": (
        "digits_cnn",
        "digits",
        dict(filters=(8, 8), ema=0.9, dropout=0.2, augment=("shift",)),
    ),
    "rnn": (
        "text_rnn",
        "opinions",
        dict(units=(16,), schedule="plateau", patience=2, **SMALL_TEXT),
    ),
    "lstm": (
        "text_lstm",
        "opinions",
        dict(units=(16,), schedule="cosine", warmup=0.1, **SMALL_TEXT),
    ),
    "gru": ("text_gru", "opinions", dict(units=(16,), ema=0.9, **SMALL_TEXT)),
    "pretrained": (
        "image_pretrained",
        "shapes",
        dict(learning_rate=0.01, layer_decay=0.5, **BACKBONE),
    ),
    "frozen": (
        "image_pretrained",
        "shapes",
        dict(learning_rate=0.01, batch_size=16, freeze=True, **BACKBONE),
    ),
    "transformer": (
        "text_transformer",
        "opinions",
        dict(width=16, intermediate_dim=16, vocabulary_size=500, batch_size=32),
    ),
    "whitened": ("fashion_cnn", "digits", dict(filters=(8, 8), units=(16,))),
    "speed": ("cifar_speed", "digits", dict(filters=(8, 8), batch_size=64)),
    "ngrams": ("text_ngrams", "opinions", {}),
    "gpt": (
        "char_gpt",
        short_text,
        dict(width=16, depth=1, num_heads=2, intermediate_dim=16, batch_size=8),
    ),
    "linear": ("series_linear", "sine", {}),
    "series_classes": ("series_gru", labelled_series, dict(batch_size=4, schedule="cosine")),
    "rocket": ("series_rocket", labelled_series, dict(batch_size=8, shares=840, groups=4)),
    "panel": ("series_linear", shops, PANEL),
    "panel_large": ("series_linear", many_shops, PANEL),
}
EPOCHS = 6
ONE_PASS = ("rocket",)  # jobs without epochs: ridge regression sets the last layer


def run(name, folder, killer, bundle=None, steps_per_call="auto"):
    import kzoo

    preset, data, settings = JOBS[name]
    data = data(folder) if callable(data) else data
    options = dict(progress=False, journal_steps=3, steps_per_call=steps_per_call)
    if "backbone" in settings:  # trained elsewhere, for other classes
        options["weights"] = kzoo.build(preset, seed=1, compile=False, outputs=9, **BACKBONE)
    if bundle is not None:  # `callbacks` is the watcher
        base = kzoo.get_preset(preset)
        preset = dataclasses.replace(base, training=base.training | {"callbacks": bundle})
    callbacks = [watcher(killer)]
    options |= {} if name in ONE_PASS else dict(epochs=EPOCHS)
    kzoo.train(preset, data, out=folder / "run", seed=7, callbacks=callbacks, **options, **settings)


def stock(name, folder, killer):
    """Train the same network on the same batches with `fit` and BackupAndRestore alone."""
    import keras

    import kzoo
    from kzoo.data.pipeline import Batches

    preset, source, settings = JOBS[name]
    data = kzoo.load_data(source, preset=preset)
    sizes = {k: v for k, v in data.config.items() if k in kzoo.get_preset(preset).config}
    settings = {
        k: v
        for k, v in settings.items()
        if k != "vocabulary_size" or "vocabulary_size" not in sizes
    }
    model = kzoo.build(preset, seed=7, **sizes | settings)
    training = kzoo.spec_of(model)["training"]
    save = model.save_weights

    def save_weights(*args, **options):
        killer.reach("save")  # HDF5 opens its files by itself
        save(*args, **options)

    model.save_weights = save_weights
    shared = dict(batch_size=training["batch_size"])
    batches = Batches(
        data.train, shuffle=True, seed=7, augment=training.get("augment", ()), **shared
    )
    model.fit(
        batches.dataset(),
        validation_data=Batches(data.validation, **shared).dataset(),
        epochs=EPOCHS,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_begin=batches.begin),
            keras.callbacks.BackupAndRestore(
                folder / "backup", save_freq=3, delete_checkpoint=False
            ),
            watcher(killer),
        ],
    )


class Killer:
    """Kills its process with SIGKILL, once, from another thread, so that it can happen anywhere.

    Args:
        folder: where the file `killed_in` records the phase.
        moment: None for never, or (kind, number): ("time", seconds from the beginning of the training), ("step", which
            step of this process), ("validation", which one), ("save", which write of a file in the folder).
    """

    def __init__(self, folder, moment):
        self.folder = folder
        self.seen = {}
        self.phase = "start"
        self.what, self.when = moment or (None, None)
        if self.what == "save":
            sys.addaudithook(self._hear)

    def begin(self):
        if self.what == "time":
            threading.Timer(float(self.when), self.kill).start()

    def enter(self, phase, epoch=None):
        """Record the phase; kill soon if this is the moment."""
        self.phase = phase if epoch is None else f"{phase}, epoch {epoch + 1}"
        self.reach(phase)

    def reach(self, what):
        self.seen[what] = self.seen.get(what, 0) + 1
        if what == self.what and self.seen[what] == int(self.when):
            threading.Timer(random.uniform(0, 0.002), self.kill, [what]).start()

    def kill(self, what=None):
        (self.folder / "killed_in").write_text(f"{what}; {self.phase}" if what else self.phase)
        os.kill(os.getpid(), signal.SIGKILL)

    def _hear(self, event, arguments):
        # Python reports every file that is opened for writing, and every rename.
        if event == "open" and isinstance(arguments[1], str) and set("wax+") & set(arguments[1]):
            path = str(arguments[0])
        elif event == "os.rename":
            path = str(arguments[1])
        else:
            return
        if str(self.folder) in path and "killed_in" not in path:
            self.reach("save")


def watcher(killer):
    """Return a callback that digests the state of every epoch and reports the phase to the killer."""
    import keras
    import numpy as np

    def digest(values):
        parts = (np.ascontiguousarray(keras.ops.convert_to_numpy(v)).tobytes() for v in values)
        return hashlib.sha256(b"".join(parts)).hexdigest()

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.epochs, self.began = [], time.monotonic()
            killer.begin()

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_begin(self, batch, logs=None):
            killer.enter("step", self.epoch)

        def on_test_begin(self, logs=None):
            killer.enter("validation", self.epoch)

        def on_epoch_end(self, epoch, logs=None):
            killer.enter("epoch end", epoch)
            logs = {k: float(v) for k, v in logs.items()}
            model = self.model
            self.epochs.append(
                [epoch, logs, digest(model.variables), digest(model.optimizer.variables)]
            )

        def on_train_end(self, logs=None):
            end = [digest(self.model.variables), digest(self.model.optimizer.variables)]
            result = dict(epochs=self.epochs, end=end, seconds=time.monotonic() - self.began)
            (killer.folder / "end.json").write_text(json.dumps(result))

    return Watch()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=JOBS)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--kill",
        nargs=2,
        metavar=("WHAT", "WHEN"),
        help="time SECONDS, or step, validation, save N",
    )
    parser.add_argument("--stock", action="store_true")
    parser.add_argument("--bundle", help="a callback bundle in place of the preset's")
    parser.add_argument(
        "--steps-per-call", type=int, help="many in a call; else the watcher sees each"
    )
    parser.add_argument(
        "--clock", type=float, default=0.0, help="seconds to add to the time of day"
    )
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.clock:
        now = time.time
        time.time = lambda: now() + args.clock
    killer = Killer(args.folder, args.kill)
    if args.stock:
        stock(args.name, args.folder, killer)
    else:
        run(args.name, args.folder, killer, args.bundle, args.steps_per_call or "auto")
    os._exit(0)  # a later kill would have no effect


if __name__ == "__main__":
    main()
