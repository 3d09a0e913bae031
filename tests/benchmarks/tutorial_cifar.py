"""The tutorial's CIFAR-10 recipe as written, for comparison with `cifar_cnn`.

    python tests/benchmarks/tutorial_cifar.py --data FOLDER --epochs 20 --write

Like the tutorial, it validates and stops early on the test set, so its score is a little too high. `--write` stores the
row in `kzoo/zoo/results/beside.json`.
"""

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import beside
import keras
import numpy as np
from throughput import tutorial_as_written

import kzoo


def arrays(data):
    for part in (data.train, data.test):
        yield np.asarray(part.x[np.arange(len(part))]).astype("float32") / 255.0
        yield keras.utils.to_categorical(part.y, 10)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    data = kzoo.load_data(args.data, preset="cifar_cnn", validation=0)
    x_train, y_train, x_test, y_test = arrays(data)
    keras.utils.set_random_seed(args.seed)
    model, generator = tutorial_as_written()
    began = time.perf_counter()
    history = model.fit(
        generator.flow(x_train, y_train, batch_size=64),
        epochs=args.epochs,
        validation_data=(x_test, y_test),
        callbacks=[
            keras.callbacks.EarlyStopping(
                monitor="val_loss", patience=10, restore_best_weights=True
            )
        ],
        verbose=2,
    ).history
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    asked = f"--data {data.name} --epochs {args.epochs} --seed {args.seed}"
    row = {
        "data": data.name,
        "presets": ["cifar_cnn"],
        "what": f"the tutorial's recipe, {args.epochs} epochs, stopped on the test set",
        "metric": "accuracy",
        "score": round(accuracy, 4),
        "epochs": len(history["loss"]),
        "seconds": round(time.perf_counter() - began, 1),
        "seed": args.seed,
        "source": f"python tests/benchmarks/tutorial_cifar.py {asked}",
    }
    print(json.dumps(row))
    if args.write:
        beside.write(row)


if __name__ == "__main__":
    main()
