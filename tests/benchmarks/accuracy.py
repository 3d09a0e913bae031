"""Scores that kzoo guarantees: digits and iris; CIFAR-10 folders and review sentences if you have them."""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.datasets import load_iris
from sklearn.model_selection import RepeatedStratifiedKFold

import kzoo


def report(what, scores, bar, **more):
    scores = [round(float(s), 4) for s in scores]
    print(
        json.dumps(
            {
                "what": what,
                "mean": round(float(np.mean(scores)), 4),
                "sd": round(float(np.std(scores)), 4),
                "bar": bar,
                "scores": scores,
            }
            | more
        ),
        flush=True,
    )


def splits(preset, data, count, folder, **options):
    scores, seconds = [], []
    for data_seed in range(count):
        began = time.perf_counter()
        run = kzoo.train(
            preset,
            data,
            out=folder / f"{preset}-{data_seed}",
            data_seed=data_seed,
            progress=False,
            **options,
        )
        seconds.append(round(time.perf_counter() - began, 1))
        scores.append(run.summary["test"]["accuracy"])
        keras.utils.clear_session(free_memory=True)
    return scores, seconds


def iris(folder):
    x, y = load_iris(return_X_y=True)
    scores = []
    for i, (rest, held) in enumerate(
        RepeatedStratifiedKFold(n_splits=5, n_repeats=4, random_state=0).split(x, y)
    ):
        run = kzoo.train(
            "iris_fnn",
            (x[rest], y[rest]),
            test=(x[held], y[held]),
            out=folder / f"iris-{i}",
            progress=False,
        )
        scores.append(run.summary["test"]["accuracy"])
        keras.utils.clear_session(free_memory=True)
    report("iris_fnn, 5-fold cross-validation, 4 times", scores, 0.95)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skip-small", action="store_true", help="leave out digits and iris")
    parser.add_argument("--cifar", help="folder with train/ and test/ class folders")
    parser.add_argument("--reviews", help="folder with positive.txt and negative.txt")
    parser.add_argument("--keep", help="folder for the runs")
    args = parser.parse_args()
    folder = Path(args.keep or tempfile.mkdtemp())
    if not args.skip_small:
        scores, seconds = splits("digits_cnn", "digits", 5, folder)
        report("digits_cnn, test accuracy, 5 named splits", scores, 0.988, seconds=seconds)
        iris(folder)
    if args.reviews:
        scores, seconds = splits("text_cnn", args.reviews, 5, folder)
        report("text_cnn on reviews, test accuracy, 5 named splits", scores, 0.745, seconds=seconds)
    if args.cifar:
        began = time.perf_counter()
        run = kzoo.train("cifar_cnn", args.cifar, out=folder / "cifar_cnn", epochs=10)
        report(
            "cifar_cnn, 10 epochs, test accuracy",
            [run.summary["test"]["accuracy"]],
            0.78,
            minutes=round((time.perf_counter() - began) / 60, 1),
        )


if __name__ == "__main__":
    main()
