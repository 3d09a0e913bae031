"""`Batches`: the order and content of batches, and the examples that reach `fit`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from messages import refuses

import kzoo
from kzoo.data.augment import augment
from kzoo.data.dataset import Split
from kzoo.data.pipeline import Batches
from kzoo.data.store.windows import Mapped
from kzoo.utils.errors import KzooError

ROWS = 103  # no multiple of the batch size
RNG = np.random.default_rng(0)
TABLE = Split(x=RNG.normal(size=(ROWS, 5)), y=RNG.integers(0, 3, ROWS))
IMAGES = Split(x=RNG.integers(0, 256, (ROWS, 8, 8, 3), "uint8"), y=RNG.integers(0, 3, ROWS))
IDS = Split(x=np.arange(ROWS, dtype="float32")[:, None], y=np.arange(ROWS))
TARGETS = RNG.normal(size=(ROWS, 2)) * 50
SERIES = RNG.normal(size=(ROWS, 6, 2))


class OnDemand:
    """A stand-in for image files and windows: rows that are made when they are read."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, indices):
        return self.values[indices]


def epoch_of(batches, epoch):
    batches.epoch = epoch
    return list(batches.dataset().as_numpy_iterator())


def rows_of(batches, epoch):
    return np.concatenate([batches.batch(epoch, step)[1] for step in range(len(batches))])


def test_the_order_follows_from_seed_and_epoch():
    make = lambda seed: Batches(IDS, batch_size=16, seed=seed, shuffle=True)  # noqa: E731
    one, two = make(5), make(5)
    orders = [rows_of(one, epoch) for epoch in range(4)]
    for epoch in (3, 0, 2, 1):  # in another order: no state is left from the epoch before
        np.testing.assert_array_equal(rows_of(two, epoch), orders[epoch])
    for epoch in range(4):
        np.testing.assert_array_equal(np.sort(orders[epoch]), np.arange(ROWS))
    assert len({tuple(order) for order in orders}) == 4
    assert tuple(rows_of(make(6), 0)) != tuple(orders[0])
    want = np.random.default_rng([5, 2]).permutation(ROWS)
    np.testing.assert_array_equal(orders[2], want)
    np.testing.assert_array_equal(rows_of(Batches(IDS, batch_size=16), 3), np.arange(ROWS))


PIPELINES = {
    "table": (TABLE, {}),
    "images": (IMAGES, {}),
    "onehot": (IMAGES, {"onehot": 3}),
    "augmented": (IMAGES, {"augment": ("flip", "shift")}),
    "mixed": (IMAGES, {"augment": ("flip", "mixup"), "onehot": 3}),
    "on demand": (Split(x=OnDemand(IMAGES.x), y=IMAGES.y), {}),
    "both on demand": (Split(x=OnDemand(TABLE.x), y=OnDemand(IMAGES.y)), {"onehot": 3}),
    "tokens": (Split(x=RNG.integers(0, 99, (ROWS, 7), "int64"), y=IMAGES.y), {}),
    "steps": (
        Split(x=RNG.integers(0, 9, (ROWS, 7)), y=RNG.integers(0, 9, (ROWS, 7))),
        {"onehot": 9},
    ),
    "targets": (
        Split(x=TABLE.x, y=RNG.normal(size=(ROWS, 2)) * 50),
        {"standardize": ([3.0, -1.0], [50.0, 2.0])},
    ),
    "forecast": (
        Split(x=RNG.normal(size=(ROWS, 6, 2)), y=RNG.normal(size=(ROWS, 4, 1))),
        {"standardize": (1.0, 2.0)},
    ),
}


@pytest.mark.parametrize("split, settings", PIPELINES.values(), ids=PIPELINES)
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_dataset_is_the_batches(split, settings, shuffle):
    batches = Batches(split, batch_size=16, seed=1, shuffle=shuffle, **settings)
    assert len(batches) == 7 and batches.dataset().cardinality() == 7
    for epoch in (0, 2):
        seen = epoch_of(batches, epoch)
        assert [len(x) for x, _ in seen] == [16] * 6 + [7]
        for step, (x, y) in enumerate(seen):
            want_x, want_y = batches.batch(epoch, step)
            assert (x.dtype, y.dtype) == (want_x.dtype, want_y.dtype)
            np.testing.assert_array_equal(x, want_x)
            np.testing.assert_array_equal(y, want_y)
    static = batches.dataset().element_spec
    assert (
        static[0].shape.as_list() == [None, *np.shape(split.x[:1])[1:]]
        and static[1].shape.rank == y.ndim
    )


def test_values_and_types():
    x, y = Batches(TABLE, batch_size=ROWS).batch(0, 0)
    assert x.dtype == np.float32 and y.dtype == np.int32
    np.testing.assert_array_equal(x, TABLE.x.astype("float32"))
    np.testing.assert_array_equal(y, TABLE.y)
    assert PIPELINES["tokens"][0].x.dtype == np.int64
    assert Batches(PIPELINES["tokens"][0], batch_size=4).batch(0, 0)[0].dtype == np.int32
    _, y = Batches(IMAGES, batch_size=ROWS, onehot=4).batch(0, 0)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, np.eye(4)[IMAGES.y])
    split, settings = PIPELINES["targets"]
    _, y = Batches(split, batch_size=ROWS, **settings).batch(0, 0)
    np.testing.assert_allclose(y, (split.y - [3.0, -1.0]) / [50.0, 2.0], rtol=1e-6)
    assert y.dtype == np.float32


def test_augmentation_follows_from_the_row_in_the_split():
    batches = Batches(IMAGES, batch_size=16, seed=4, shuffle=True, augment=("flip", "shift"))
    seen = np.concatenate([x for x, _ in epoch_of(batches, 3)])
    want, _ = augment(IMAGES.x, names=("flip", "shift"), seed=4, epoch=3, indices=np.arange(ROWS))
    np.testing.assert_array_equal(seen, want[batches.order(3)])


def test_a_split_smaller_than_a_batch_is_one_batch():
    few = Batches(Split(x=TABLE.x[:3], y=TABLE.y[:3]), batch_size=64)
    assert len(few) == 1 and len(epoch_of(few, 0)[0][0]) == 3
    with pytest.raises(IndexError):
        few.batch(0, 1)


BAD = {
    "empty": (
        lambda: Batches(Split(x=TABLE.x[:0], y=TABLE.y[:0]), batch_size=4),
        ("split", "empty"),
    ),
    "none": (lambda: Batches(None, batch_size=4), ("split", "empty")),
    "batch size": (lambda: Batches(TABLE, batch_size=0), ("batch_size=0", "1")),
    "batch size type": (lambda: Batches(TABLE, batch_size=2.5), ("batch_size=2.5", "1")),
    "seed": (lambda: Batches(TABLE, batch_size=4, seed=-1), ("seed=-1", "0")),
    "lengths": (lambda: Batches(Split(x=TABLE.x, y=TABLE.y[:9]), batch_size=4), ("103", "9")),
    "labels": (lambda: Batches(TABLE, batch_size=4, onehot=2), ("labels", "2 classes", "0..1")),
    "float labels": (
        lambda: Batches(Split(x=TABLE.x, y=TABLE.x[:, 0]), batch_size=4, onehot=2),
        ("onehot=2", "labels", "float64"),
    ),
    "table augment": (
        lambda: Batches(TABLE, batch_size=4, augment=("flip",)),
        ("'flip'", "images", "(5,)"),
    ),
    "augment": (
        lambda: Batches(IMAGES, batch_size=4, augment=("flop",)),
        ("'flop'", "'flip'", "mixup, cutmix"),
    ),
    "mixup": (lambda: Batches(IMAGES, batch_size=4, augment="mixup"), ("mixup", "labels='onehot'")),
}


@pytest.mark.parametrize("make, parts", BAD.values(), ids=BAD)
def test_bad_input_is_refused_on_a_line(make, parts):
    with refuses(*parts) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_two_datasets_of_one_pipeline_follow_the_epoch():
    batches = Batches(IDS, batch_size=16, shuffle=True)
    datasets = batches.dataset(), batches.dataset()
    batches.epoch = 2
    for dataset in datasets:
        np.testing.assert_array_equal(
            np.concatenate([y for _, y in dataset.as_numpy_iterator()]), rows_of(batches, 2)
        )


def fit_and_record(split):
    """Train for three epochs and return the ids that reached the model, epoch by epoch."""

    class Record(keras.layers.Layer):
        def call(self, x, training=False):
            if training and not isinstance(x, keras.KerasTensor):
                seen.append(
                    np.array(keras.ops.convert_to_numpy(x))
                    .reshape(len(x), -1)[:, 0]
                    .astype(int)
                    .tolist()
                )
            return x

    seen, epochs = [], []
    shape = split.x[np.arange(1)].shape[1:]
    layers = [keras.Input(shape), Record(), keras.layers.Flatten(), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("sgd", "mse", run_eagerly=True)
    batches = Batches(split, batch_size=16, seed=3, shuffle=True)

    class Epochs(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            batches.epoch = epoch
            seen.clear()

        def on_epoch_end(self, epoch, logs=None):
            epochs.append([i for batch in seen for i in batch])

    model.fit(batches.dataset(), epochs=3, verbose=0, shuffle=False, callbacks=[Epochs()])
    return epochs, int(model.optimizer.iterations)


@pytest.mark.parametrize("x", [IDS.x, OnDemand(IDS.x)], ids=["arrays", "on demand"])
def test_fit_sees_every_example_once_and_a_new_order_each_epoch(x):
    epochs, iterations = fit_and_record(Split(x=x, y=IDS.x))
    assert iterations == 21
    for epoch, seen in enumerate(epochs):
        assert seen == np.random.default_rng([3, epoch]).permutation(ROWS).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_other_backends_see_the_same(backend):
    here = Path(__file__)
    code = (
        f"import sys, json; sys.path[:0] = {[str(folder) for folder in here.parents[:3]]}\n"
        "import test_pipeline as t, keras\n"
        "splits = [t.Split(x=x, y=t.IDS.x) for x in (t.IDS.x, t.OnDemand(t.IDS.x))]\n"
        "print(json.dumps([keras.backend.backend(), [t.fit_and_record(s) for s in splits]]))"
    )
    environment = os.environ | {"KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    used, results = json.loads(done.stdout.splitlines()[-1])
    assert used == backend
    for epochs, iterations in results:
        assert iterations == 21
        assert epochs == [
            np.random.default_rng([3, e]).permutation(ROWS).tolist() for e in range(3)
        ]


def test_a_broken_file_stops_the_epoch_with_its_message():
    class Broken(OnDemand):
        def __getitem__(self, indices):
            if 50 in np.atleast_1d(indices):
                raise KzooError("Cannot read image 'x.jpg'")
            return super().__getitem__(indices)

    with pytest.raises(tf.errors.OpError, match=r"Cannot read image 'x\.jpg'"):
        epoch_of(Batches(Split(x=Broken(IDS.x), y=IDS.y), batch_size=16), 0)


def test_images_in_a_mapped_file_are_read_batch_by_batch(tmp_path, untraced, undrawn):
    """The same run as from memory, and no more of the file in memory than a batch."""
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (300, 8, 8, 1), "uint8")
    y = random.integers(0, 3, 300)
    x[np.arange(300), y] = 255
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    runs = {}
    for name, images in (("memory", x), ("mapped", mapped), ("without an axis", mapped[..., 0])):
        data = kzoo.load_data((images, y), preset="digits_cnn")
        assert isinstance(data.train.x, Mapped) == (name != "memory")
        assert data.fingerprint == runs.setdefault("fingerprint", data.fingerprint)
        options = dict(
            filters=(4,),
            depth=1,
            units=(8,),
            optimizer="sgd",
            batch_size=64,
            epochs=2,
            min_steps=0,
            seed=1,
        )
        options |= dict(steps_per_call=1, callbacks="quick", progress=False)
        runs[name] = kzoo.train("digits_cnn", data, out=tmp_path / name, **options)
    for name in ("mapped", "without an axis"):
        assert runs[name].summary["test"] == runs["memory"].summary["test"]
        same = zip(runs[name].model.get_weights(), runs["memory"].model.get_weights(), strict=True)
        assert all(np.array_equal(a, b) for a, b in same)
    assert not Batches(data.train, batch_size=8).in_memory  # nobody makes a tensor of it


@pytest.mark.parametrize("shape", [(), (1,)])
def test_weights_of_rows_in_a_mapped_file_are_those_of_rows_in_memory(tmp_path, shape):
    x = np.arange(250.0, dtype="float32")[:, None]
    weight = (np.arange(250.0) ** 2).astype("float32").reshape(250, *shape)
    np.save(tmp_path / "x.npy", x)
    both = [
        Batches(Split(x=rows, y=x[:, 0]), batch_size=16, seed=3, shuffle=True, weight=weight)
        for rows in (x, np.load(tmp_path / "x.npy", mmap_mode="r"))
    ]
    assert both[0].parts is None and both[1].parts is not None
    for epoch in range(2):
        for step in range(len(both[0])):
            memory, mapped = (batches.batch(epoch, step) for batches in both)
            assert all(map(np.array_equal, memory, mapped))
            assert np.array_equal(mapped[2].reshape(-1), mapped[0][:, 0] ** 2)
        (read, _, weights), order = both[1].part(epoch, 0)
        assert np.array_equal(weights[order].reshape(-1), read[order, 0] ** 2)
