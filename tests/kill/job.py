"""One training that can be killed anywhere and started again, in a process of its own; `kill.py` does the killing.

python tests/kill/job.py NAME FOLDER              kzoo.train, which goes on by itself
python tests/kill/job.py NAME FOLDER --stock      plain fit with Keras' own BackupAndRestore, beside it
"""

import argparse
import hashlib
import json
import os
import signal
import threading
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Name -> preset, its data, and settings that make it small; together they have every family, dropout, augmentation,
# averages of weights, plateau, warm-up, and regression.
SMALL_TEXT = dict(vocabulary_size=500, embedding_dim=16, batch_size=32)
JOBS = {
    "fnn": ("tabular_fnn", "breast_cancer", dict(units=(32, 16), schedule="cosine", warmup=0.2)),
    "fnn_values": ("diabetes_fnn", "diabetes", dict(schedule="plateau", patience=2)),
    "cnn": ("cifar_cnn", "shapes", dict(filters=(8, 16), units=(16,), dropout=0.2, augment=("flip", "shift"))),
    "cnn_ema": ("digits_cnn", "digits", dict(filters=(8, 8), ema=0.9, dropout=0.2, augment=("shift",))),
    "rnn": ("text_rnn", "opinions", dict(units=(16,), schedule="plateau", patience=2, **SMALL_TEXT)),
    "lstm": ("text_lstm", "opinions", dict(units=(16,), schedule="cosine", warmup=0.1, **SMALL_TEXT)),
    "gru": ("text_gru", "opinions", dict(units=(16,), ema=0.9, **SMALL_TEXT)),
    "transformer": (
        "text_transformer", "opinions", dict(width=16, intermediate_dim=16, vocabulary_size=500, batch_size=32),
    ),
}  # fmt: skip
EPOCHS = 6


def run(name, folder, watch):
    import kzoo

    preset, data, settings = JOBS[name]
    options = dict(progress=False, journal_steps=3)
    kzoo.train(preset, data, out=folder / "run", epochs=EPOCHS, seed=7, **options, **settings, **watch)


def stock(name, folder, watch):
    """Train the same network on the same batches with `fit` and BackupAndRestore alone."""
    import keras

    import kzoo
    from kzoo.data.pipeline import Batches

    preset, source, settings = JOBS[name]
    data = kzoo.load_data(source, preset=preset)
    sizes = {k: v for k, v in data.config.items() if k in kzoo.get_preset(preset).config}
    settings = {k: v for k, v in settings.items() if k != "vocabulary_size" or "vocabulary_size" not in sizes}
    model = kzoo.build(preset, seed=7, **sizes | settings)
    training = kzoo.spec_of(model)["training"]
    shared = dict(batch_size=training["batch_size"])
    batches = Batches(data.train, shuffle=True, seed=7, augment=training.get("augment", ()), **shared)
    model.fit(
        batches.dataset(),
        validation_data=Batches(data.validation, **shared).dataset(),
        epochs=EPOCHS,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_begin=batches.begin),
            keras.callbacks.BackupAndRestore(folder / "backup", save_freq=3, delete_checkpoint=False),
            *watch["callbacks"],
        ],
    )


def watcher(folder, kill_after):
    """Return a callback that digests every epoch's state, says what is going on, and kills its process at some time.

    It is killed by a thread of its own, so in the middle of whatever is going on, be it inside TensorFlow.
    """
    import keras
    import numpy as np

    def digest(values):
        parts = (np.ascontiguousarray(keras.ops.convert_to_numpy(v)).tobytes() for v in values)
        return hashlib.sha256(b"".join(parts)).hexdigest()

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.epochs, self.began = [], time.monotonic()
            if kill_after is not None:
                threading.Timer(kill_after, os.kill, (os.getpid(), signal.SIGKILL)).start()

        def on_train_batch_begin(self, batch, logs=None):
            self._say("step")

        def on_test_begin(self, logs=None):
            self._say("validation")

        def on_epoch_end(self, epoch, logs=None):
            self._say("epoch end")
            logs = {k: float(v) for k, v in logs.items()}
            model = self.model
            self.epochs.append([epoch, logs, digest(model.variables), digest(model.optimizer.variables)])

        def on_train_end(self, logs=None):
            end = [digest(self.model.variables), digest(self.model.optimizer.variables)]
            found = dict(epochs=self.epochs, end=end, seconds=time.monotonic() - self.began)
            (folder / "end.json").write_text(json.dumps(found))

        def _say(self, phase):
            (folder / "phase").write_text(phase)

    return Watch()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=JOBS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kill-after", type=float, help="seconds after the training began")
    parser.add_argument("--stock", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    call = stock if args.stock else run
    call(args.name, args.folder, dict(callbacks=[watcher(args.folder, args.kill_after)]))
    os._exit(0)  # a kill that is still to come would only be late


if __name__ == "__main__":
    main()
