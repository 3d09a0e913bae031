"""Make the golden files: real runs, a search and exported models, and their answers.

    python tests/golden/make.py OUT          write them all, with an `expected.json` in each folder, to OUT
    python tests/golden/make.py --expected   print the answers that the stored files give now
    python tests/golden/make.py --weights    train a small network of every family for two epochs; print hashes

The stored files were made on 26 November 2026, by the code before a large refactoring. They are not to be made again:
users have such files on their disks, and `test_golden.py` proves that they still open and give the same answers. A new
kind of file gets a new folder. In the answers about a report, `svg` is the number of pictures in the page of today:
wide pictures were split, so that they fit on a phone.

`--weights` prints, for each training, a hash of the weights after the last epoch and a hash of the best weights. Two
commits that train alike print the same on the same machine; other machines round differently.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import golden_answers
import golden_data
import keras
import numpy as np

import kzoo

HERE = Path(__file__).parent

TEXT = dict(
    vocabulary_size=60, embedding_dim=8, input_shape=(12,), batch_size=16, learning_rate=0.01
)
SERIES = dict(input_shape=(24, 2), horizon=6, batch_size=16, learning_rate=0.01)
LANGUAGE = dict(input_shape=(20,), batch_size=16, learning_rate=0.01)
LITTLE = dict(width=8, num_heads=2, intermediate_dim=8, depth=1)
IMAGE = dict(filters=(4, 8), units=(16,), depth=1)

# Run -> preset, its data (a file here, or a named set), options of `kzoo.train`. golden_table is a TOML preset.
RUNS = {
    "table/run": ("golden_table", "table/data.csv", dict(target="plan", epochs=12)),
    "table/run_2": ("golden_table", "table/data.csv", dict(target="plan", epochs=4, seed=1)),
    "table/run_transformer": (
        "tabular_transformer",
        "table/data.csv",
        dict(target="plan", epochs=3, **LITTLE),
    ),
    "values/run": (
        "tabular_fnn",
        "values/data.csv",
        dict(target="rent,heating", epochs=15, units=(8,)),
    ),
    "text/run": ("text_cnn", "text/data.csv", dict(target="mood", epochs=4, filters=(4,), **TEXT)),
    "series/run": (
        "series_gru",
        "series/data.csv",
        dict(target="load", time="hour", epochs=3, units=(8,), **SERIES),
    ),
    "series/run_transformer": (
        "series_transformer",
        "series/data.csv",
        dict(
            target="load", time="hour", epochs=3, patch_size=6, patch_stride=3, **LITTLE, **SERIES
        ),
    ),
    "language/run": (
        "char_gru",
        "language/data.txt",
        dict(epochs=6, units=(16,), embedding_dim=8, **LANGUAGE),
    ),
    "images/run": ("digits_cnn", "digits", dict(epochs=2, augment=("shift",), **IMAGE)),
}

# Exported model -> its run and formats. The language model gets a .keras file in the tests: formats are added later.
EXPORTS = {
    "table/export": ("table/run", ("keras", "onnx", "litert")),
    "text/export": ("text/run", ("keras", "onnx", "litert")),
    "language/export": ("language/run", ("onnx", "litert")),
}

# Not needed to open a run or a search, and larger than the rest.
LEFT_OUT = ("tensorboard", "curves.png", "last.keras")

# Training -> preset, data, settings: every family, every kind of input, every way of answering.
TRAININGS = {
    "fnn, table, classes": ("tabular_fnn", "table/data.csv", dict(target="plan", units=(16, 8))),
    "fnn, table, values": (
        "tabular_fnn",
        "values/data.csv",
        dict(target="rent,heating", units=(16, 8)),
    ),
    "fnn, table, weighted classes, ema": (
        "tabular_fnn",
        "table/data.csv",
        dict(
            target="plan",
            units=(16, 16),
            residual=True,
            ema=0.9,
            class_weight="balanced",
            label_smoothing=0.1,
        ),
    ),
    "fnn, table, one sigmoid": ("cancer_fnn", "breast_cancer", dict(units=(8,))),
    "fnn, images": ("mnist_fnn", "digits", dict(units=(16,), input_shape=(8, 8, 1))),
    "cnn, images, flip shift mixup": (
        "digits_cnn",
        "digits",
        dict(augment=("flip", "shift", "mixup"), **IMAGE),
    ),
    "cnn, images, rotate zoom erase cutmix": (
        "image_cnn",
        "digits",
        dict(augment=("rotate", "zoom", "erase", "cutmix"), filters=(4, 8), input_shape=(8, 8, 1)),
    ),
    "cnn, text": ("text_cnn", "text/data.csv", dict(target="mood", filters=(4,), **TEXT)),
    "cnn, series": (
        "series_tcn",
        "series/data.csv",
        dict(target="load", time="hour", filters=(4, 4), **SERIES),
    ),
    "rnn, text": ("text_rnn", "text/data.csv", dict(target="mood", units=(8,), **TEXT)),
    "rnn, series": (
        "series_rnn",
        "series/data.csv",
        dict(target="load", time="hour", units=(8,), **SERIES),
    ),
    "lstm, text, both ways": (
        "text_bilstm",
        "text/data.csv",
        dict(target="mood", units=(8,), **TEXT),
    ),
    "lstm, series": (
        "series_lstm",
        "series/data.csv",
        dict(target="load", time="hour", units=(8,), **SERIES),
    ),
    "gru, text": ("text_gru", "text/data.csv", dict(target="mood", units=(8,), **TEXT)),
    "gru, series": (
        "series_gru",
        "series/data.csv",
        dict(target="load", time="hour", units=(8,), **SERIES),
    ),
    "gru, series, two targets": (
        "series_gru",
        "series/data.csv",
        dict(target="load,temperature", time="hour", units=(8,), **SERIES),
    ),
    "gru, characters": (
        "char_gru",
        "language/data.txt",
        dict(units=(16,), embedding_dim=8, **LANGUAGE),
    ),
    "gru, words": (
        "language_gru",
        "language/data.txt",
        dict(units=(8,), embedding_dim=8, vocabulary_size=60, **LANGUAGE),
    ),
    "transformer, table": ("tabular_transformer", "table/data.csv", dict(target="plan", **LITTLE)),
    "transformer, table, values": (
        "tabular_transformer",
        "values/data.csv",
        dict(target="rent,heating", **LITTLE),
    ),
    "transformer, text": (
        "text_transformer",
        "text/data.csv",
        dict(target="mood", **LITTLE, **{k: v for k, v in TEXT.items() if k != "embedding_dim"}),
    ),
    "transformer, series": (
        "series_transformer",
        "series/data.csv",
        dict(target="load", time="hour", patch_size=6, patch_stride=3, **LITTLE, **SERIES),
    ),
    "transformer, characters": (
        "char_transformer",
        "language/data.txt",
        dict(**LITTLE, **LANGUAGE),
    ),
    "transformer, images": (
        "cifar_vit",
        "digits",
        dict(input_shape=(8, 8, 1), patch_size=4, augment=("flip", "shift"), **LITTLE),
    ),
}


def train(golden, name):
    """Train a run of `RUNS` into its folder, or open it there."""
    return _train(golden, RUNS[name], golden / name)


def _train(golden, settings, folder, **more):
    preset, data, options = settings
    data = golden / data if "/" in data else data  # a file, or a named set
    return kzoo.train(preset, data, out=folder, progress=False, check=False, **options, **more)


def make(out):
    """Write all golden files to a new folder."""
    if out.exists():
        sys.exit(f"{out} exists already.")
    golden_data.write(out)
    kzoo.load_presets(out / "table" / "preset.toml")
    for name in RUNS:
        train(out, name)
    # 16 and 8 units instead of 64 and 32: three checkpoints of nearly nothing.
    kzoo.tune(
        "iris_fnn",
        trials=3,
        space="quick",
        epochs=6,
        units=(16, 8),
        out=out / "search" / "iris",
        progress=False,
    )
    for name, (run, formats) in EXPORTS.items():
        kzoo.export(out / run, out / name, formats, progress=False)
    for file in [file for left_out in LEFT_OUT for file in out.rglob(left_out)]:
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    for part, answers in golden_answers.by_part(out).items():
        text = json.dumps(answers, indent=1, ensure_ascii=False)
        (out / part / "expected.json").write_text(text + "\n", encoding="utf-8")
    pack(out)


def pack(out):
    """Put runs, exports and the search of each part into its `made.zip`: a fifth of their size, no byte lost."""
    for part in (part for part in out.iterdir() if part.is_dir()):
        folders = [folder for folder in part.iterdir() if folder.is_dir() and folder.name != "new"]
        with ZipFile(part / "made.zip", "w", ZIP_DEFLATED, compresslevel=9) as archive:
            for file in sorted(
                file for folder in folders for file in folder.rglob("*") if file.is_file()
            ):
                archive.write(file, file.relative_to(part))
        for folder in folders:
            shutil.rmtree(folder)


class LastWeights(keras.callbacks.Callback):
    """Stores a hash of the weights at the end of each epoch, before the best weights are restored."""

    def on_epoch_end(self, epoch, logs=None):
        self.digest = digest(self.model)


def digest(model):
    parts = (np.ascontiguousarray(weights).tobytes() for weights in model.get_weights())
    return hashlib.sha256(b"".join(parts)).hexdigest()


def weights():
    """Print a line for each training: a hash of its last weights, a hash of its best weights, and its name."""
    print(f"# keras {keras.__version__}, {keras.backend.backend()}; last weights, best weights")
    for name, settings in TRAININGS.items():
        last = LastWeights()
        with tempfile.TemporaryDirectory() as folder:
            run = _train(HERE, settings, Path(folder) / "run", epochs=2, seed=0, callbacks=[last])
            print(last.digest[:32], digest(run.model)[:32], name, flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--expected", action="store_true")
    parser.add_argument("--weights", action="store_true")
    args = parser.parse_args()
    if args.weights:
        weights()
    elif args.expected:
        with tempfile.TemporaryDirectory() as folder:
            answers = golden_answers.by_part(golden_answers.unpack(Path(folder) / "golden"))
        print(json.dumps(answers, indent=1, ensure_ascii=False))
    elif args.out:
        make(args.out)
    else:
        parser.error("give OUT, --expected or --weights")


if __name__ == "__main__":
    main()
