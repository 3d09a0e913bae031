"""The bundles with plain `model.fit`: best weights, complete files, monitors, NaN."""

import csv

import keras
import numpy as np
import pytest
from messages import assert_mentions

import kzoo

pytestmark = pytest.mark.usefixtures("untraced")


def linear(metrics=()):
    """A model with a single weight, so that the effect of each epoch is easy to check."""
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
    )
    model.compile(keras.optimizers.SGD(0.05), "mse", metrics=list(metrics))
    return model


X = np.ones((8, 1), "float32")
# validation wants 1 and training pulls to 3: the best epoch is in the middle
GOOD, WORSE = X * 1.0, X * 3.0


def fit(model, callbacks, *, epochs=8, y=WORSE, validation=(X, GOOD)):
    return model.fit(
        X, y, validation_data=validation, epochs=epochs, callbacks=callbacks, verbose=0
    )


def weight(model):
    return float(model.get_weights()[0][0, 0])


class SetLog(keras.callbacks.Callback):
    """Put values into the logs, as a metric would; goes in front of the bundle."""

    def __init__(self, **columns):
        super().__init__()
        self.columns = columns

    def on_epoch_end(self, epoch, logs):
        logs.update({name: values[epoch] for name, values in self.columns.items()})


class Weights(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(weight(self.model))


def test_the_best_weights_come_back_and_both_files_are_there(tmp_path):
    model, seen = linear(), Weights()
    history = fit(model, [*kzoo.callbacks.standard(tmp_path / "mine"), seen]).history
    best = int(np.argmin(history["val_loss"]))
    assert 0 < best < 7
    assert weight(model) == seen.seen[best]
    assert weight(keras.saving.load_model(tmp_path / "mine" / "best.keras")) == seen.seen[best]
    assert weight(keras.saving.load_model(tmp_path / "mine" / "last.keras")) == seen.seen[-1]
    assert {p.name for p in (tmp_path / "mine").iterdir()} == {
        "best.keras",
        "history.csv",
        "last.keras",
        "tensorboard",
    }
    rows = list(csv.DictReader((tmp_path / "mine" / "history.csv").open()))
    assert [float(row["val_loss"]) for row in rows] == pytest.approx(history["val_loss"])
    assert {row["learning_rate"] for row in rows} == {str(float(np.float32(0.05)))}


def test_tensorboard_reads_the_metrics_of_each_epoch(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    model = linear(metrics=["mae"])
    seen = Weights()
    bundle = [*kzoo.callbacks.standard(tmp_path, histograms=True), seen]
    fit(model, bundle, epochs=1)
    history = fit(model, bundle, epochs=2).history  # in new files next to those of the first
    read = {}
    for part, start, more in (("train", "", ["epoch_learning_rate"]), ("validation", "val_", [])):
        files = sorted((tmp_path / "tensorboard" / part).iterdir())
        read[part] = EventAccumulator(str(files[1])).Reload()
        assert len(files) == 2 and sorted(read[part].Tags()["scalars"]) == sorted(
            ["epoch_loss", "epoch_mae", *more]
        )
        for name in ("loss", "mae"):
            steps = [(event.step, event.value) for event in read[part].Scalars(f"epoch_{name}")]
            assert steps == [
                (i, pytest.approx(value)) for i, value in enumerate(history[start + name])
            ]
    histograms = read["train"].Tensors(model.layers[0].kernel.path + "/histogram")
    for event, value in zip(histograms, seen.seen, strict=True):
        low, high, count = make_ndarray(event.tensor_proto).T
        (here,) = np.flatnonzero(count)
        assert (
            count[here] == 1
            and low[here] <= np.nextafter(value, 9)
            and value <= np.nextafter(high[here], 9)
        )


def test_without_a_folder_nothing_is_written(tmp_path):
    model, seen = linear(), Weights()
    history = fit(model, [*kzoo.callbacks.quick(), seen]).history
    assert weight(model) == seen.seen[int(np.argmin(history["val_loss"]))]
    assert not list(tmp_path.iterdir())


def test_a_bundle_can_be_used_twice(tmp_path):
    model = linear()
    bundle = kzoo.callbacks.quick(tmp_path / "run")
    fit(model, bundle, epochs=8)
    fit(model, bundle, epochs=1, y=X * 9)
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 2
    assert weight(model) == weight(keras.saving.load_model(tmp_path / "run" / "best.keras"))


def test_patience_stops_and_stop_early_false_does_not():
    for stop_early, epochs in ((True, 2 + 3), (False, 7)):
        values = [1.0, 0.5] + [0.6] * 5
        bundle = kzoo.callbacks.quick(patience=3, stop_early=stop_early)
        history = fit(linear(), [SetLog(val_loss=values), *bundle], epochs=7)
        assert len(history.epoch) == epochs


def test_larger_is_better_for_some_metrics():
    values = [0.1, 0.7, 0.3, 0.2]
    for monitor, best in (
        ("val_accuracy", 1),
        ("accuracy", 1),
        ("val_f1", 1),
        ("val_r2", 1),
        ("val_mae", 0),
    ):
        model, seen = linear(), Weights()
        mode = kzoo.callbacks.direction(monitor)
        fit(
            model,
            [SetLog(**{monitor: values}), *kzoo.callbacks.quick(monitor=monitor, mode=mode), seen],
            epochs=4,
        )
        assert weight(model) == seen.seen[best], monitor


def test_nan_is_never_the_best(tmp_path):
    for values, best in (([np.nan, 0.5, 0.4, np.nan], 2), ([np.inf, 3.0, np.nan, 4.0], 1)):
        model, seen = linear(), Weights()
        fit(model, [SetLog(val_loss=values), *kzoo.callbacks.quick(), seen], epochs=4)
        assert weight(model) == seen.seen[best]
    model, seen = linear(), Weights()
    fit(
        model,
        [
            SetLog(val_r2=[0.1, np.inf, 0.2]),
            *kzoo.callbacks.quick(monitor="val_r2", mode="max"),
            seen,
        ],
        epochs=3,
    )
    assert weight(model) == seen.seen[2]
    model = linear()
    fit(model, [SetLog(val_loss=[np.nan] * 3), *kzoo.callbacks.quick(tmp_path / "run")], epochs=3)
    assert (
        not (tmp_path / "run" / "best.keras").exists()
        and (tmp_path / "run" / "last.keras").exists()
    )


def test_a_loss_that_is_not_finite_ends_the_training():
    model = linear()
    history = fit(model, [SetLog(loss=[1.0, np.nan, 1.0]), *kzoo.callbacks.quick()], epochs=3)
    assert len(history.epoch) == 2 and np.isfinite(weight(model))


def test_without_validation_the_metric_of_training_is_monitored(capsys):
    model, seen = linear(), Weights()
    bundle = kzoo.callbacks.standard(reduce_on_plateau=True)
    history = fit(model, [*bundle, seen], validation=None, epochs=3).history
    assert weight(model) == seen.seen[int(np.argmin(history["loss"]))]
    (line,) = capsys.readouterr().err.splitlines()
    assert_mentions(line, "val_loss", "loss", "validation")


def test_the_learning_rate_is_halved_on_a_plateau():
    for monitor, validation in (("val_loss", (X, GOOD)), ("loss", None)):
        bundle = kzoo.callbacks.quick(reduce_on_plateau=True, patience=4)
        history = fit(
            linear(), [SetLog(**{monitor: [0.5] * 6}), *bundle], epochs=6, validation=validation
        ).history
        np.testing.assert_allclose(np.array(history["learning_rate"]) / 0.05, [1, 1, 1, 0.5, 0.5])


def test_after_a_failed_write_the_old_files_are_complete(tmp_path, monkeypatch):
    run = tmp_path / "run"
    fit(linear(), kzoo.callbacks.quick(run), epochs=1)
    before = {name: (run / name).read_bytes() for name in ("best.keras", "last.keras")}

    def half(path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fit(linear(), kzoo.callbacks.quick(run, save=half), epochs=1)
    assert {name: (run / name).read_bytes() for name in before} == before
    assert not [p for p in run.iterdir() if p.name.startswith(".")]
