"""Images per second of `kzoo.train("cifar_cnn")`, with defaults, relative to plain `fit` and the tutorial's script."""

import argparse
import json
import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from clock import Clock
from keras.src.legacy.preprocessing.image import ImageDataGenerator
from step import cifar_by_hand

import kzoo


def speeds(clock, images):
    """Return images per second of each epoch."""
    return [images / seconds for seconds in clock.seconds]


def bare(x, y, epochs):
    model = cifar_by_hand()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    clock = Clock()
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0, callbacks=[clock])
    return speeds(clock, len(x))


def tutorial_as_written():
    """Return the tutorial's network and augmentation. The caller divides pixels by 255 and one-hot encodes labels."""
    model = cifar_by_hand(rescale=False, momentum=0.99)
    model.compile(keras.optimizers.Adam(0.001), "categorical_crossentropy", metrics=["accuracy"])
    return model, ImageDataGenerator(
        rotation_range=15,
        width_shift_range=0.1,
        height_shift_range=0.1,
        horizontal_flip=True,
        zoom_range=0.1,
    )


def tutorial(x, y, epochs):
    model, generator = tutorial_as_written()
    clock = Clock()
    flow = generator.flow(x / 255.0, keras.utils.to_categorical(y, 10), batch_size=64)
    model.fit(flow, epochs=epochs, verbose=0, callbacks=[clock])
    return speeds(clock, len(x))


def zoo(x, y, epochs):
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        data = kzoo.load_data((x, y), preset="cifar_cnn", validation=0.02, test=0.02)
        kzoo.train("cifar_cnn", data, out=f"{folder}/run", epochs=epochs, callbacks=[clock])
    return speeds(clock, len(data.train))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=3200)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (args.images, 32, 32, 3)).astype("float32")
    y = np.arange(args.images) % 10
    best = {"kzoo": 0.0, "bare fit": 0.0, "tutorial": 0.0}
    for _ in range(args.rounds):
        for name, run in (("kzoo", zoo), ("bare fit", bare), ("tutorial", tutorial)):
            best[name] = max(best[name], *run(x, y, 3)[1:])
            keras.utils.clear_session(free_memory=True)
    rounded = {k: round(v) for k, v in best.items()}
    for other, bar in (("bare fit", 0.93), ("tutorial", 1.0)):
        what = f"images/s of kzoo.train('cifar_cnn') over {other}"
        print(
            json.dumps(
                {
                    "what": what,
                    "ratio": round(best["kzoo"] / best[other], 3),
                    "bar": bar,
                    "images_per_s": rounded,
                }
            )
        )


if __name__ == "__main__":
    main()
