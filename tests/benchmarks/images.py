"""Loading a folder of JPEG files as in training, compared with tf.data; and augmentation.

Speed is measured in images per CPU second, which is meaningful even if other work is running. For decoding, the ratio
of wall-clock times is also printed. The files are generated, or read from `--folder`.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from PIL import Image

import kzoo
from kzoo.data.augment import augment

NAMES = (
    ("flip", "shift"),
    ("flip", "shift", "zoom"),
    ("flip", "shift", "rotate"),
    ("flip", "shift", "rotate", "zoom", "erase"),
)


def make(folder, count, side):
    """Write JPEG files of smooth colours with noise to two class folders."""
    random = np.random.default_rng(0)
    for number in range(count):
        place = folder / "ab"[number % 2]
        place.mkdir(exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), "uint8")).resize((side, side))
        pixels = np.asarray(coarse) + random.normal(0, 8, (side, side, 3))
        Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(place / f"{number:06}.jpg")


def with_kzoo(folder, side):
    """Load the folder: list, decode, skip broken files, fingerprint, split. Return the number of images."""
    preset = kzoo.get_preset("image_cnn")
    shape = {"input_shape": (side, side, 3)}
    data = kzoo.load_data(folder, preset=replace(preset, config=preset.config | shape))
    return len(data.train) + len(data.validation) + len(data.test)


def with_tensorflow(folder, side):
    """Decode and resize the same files into one array, with all threads that tf.data uses."""

    def read(name):
        image = tf.io.decode_jpeg(tf.io.read_file(name), channels=3)
        return tf.cast(tf.image.resize(image, (side, side)), "uint8")

    names = sorted(str(path) for path in Path(folder).rglob("*.jpg"))
    pixels = np.empty((len(names), side, side, 3), "uint8")
    start = 0
    auto = tf.data.AUTOTUNE
    batches = (
        tf.data.Dataset.from_tensor_slices(names)
        .map(read, num_parallel_calls=auto)
        .batch(256)
        .prefetch(auto)
    )
    for batch in batches.as_numpy_iterator():
        pixels[start : start + len(batch)] = batch
        start += len(batch)
    return start


def speeds(function, *args):
    """Return images per CPU second of this process and its children, and images per second."""
    before = _cpu_seconds()
    clock = time.perf_counter()
    count = function(*args)
    clock = time.perf_counter() - clock
    after = _cpu_seconds()
    return count / (after - before), count / clock


def _cpu_seconds():
    used = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def decoding(folder, side, rounds):
    """Return a row: the best of several alternating rounds."""
    found = {one: [] for one in (with_kzoo, with_tensorflow)}
    for _ in range(rounds):
        for one, several in found.items():
            several.append(speeds(one, folder, side))
    (cpu, wall), (tf_cpu, tf_wall) = (
        map(max, zip(*several, strict=True)) for several in found.values()
    )
    return dict(
        what=f"decode to {side}",
        per_cpu_second=round(cpu),
        tf_per_cpu_second=round(tf_cpu),
        over_tf_cpu=round(cpu / tf_cpu, 2),
        over_tf_wall=round(wall / tf_wall, 2),
    )


def augmenting(names, batch, side, rounds, count=4096):
    """Return a row: images per CPU second of one augmentation."""
    pixels = np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), "uint8")

    def epoch():
        for start in range(0, count, batch):
            augment(pixels, names=names, seed=0, epoch=0, indices=np.arange(start, start + batch))
        return count

    best = max(speeds(epoch)[0] for _ in range(rounds))
    return dict(what="+".join(names), batch=batch, side=side, per_cpu_second=round(best))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="class folders of JPEG files")
    parser.add_argument(
        "--files", type=int, default=10_000, help="to be made where there is no folder"
    )
    parser.add_argument("--side", type=int, default=32, help="of the images that come out")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        if args.folder is None:
            make(Path(made), args.files, args.side)
        print(json.dumps(decoding(args.folder or made, args.side, args.rounds)), flush=True)
    for batch in (64, 256):
        for names in NAMES:
            print(json.dumps(augmenting(names, batch, args.side, args.rounds)), flush=True)


if __name__ == "__main__":
    main()
