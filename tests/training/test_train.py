"""`kzoo.train` and `Run`: the folder, repeated calls, seeds, tasks, interrupts and full disks."""

import dataclasses
import errno
import io
import json
import os
import shlex
import shutil
import warnings
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, missing_from, refuses, warns
from PIL import Image
from shortcuts import drawn
from sklearn import datasets

import kzoo
from kzoo.callbacks import BestModel
from kzoo.cli import main
from kzoo.cli.shared import parse_settings
from kzoo.data.dataset import Split
from kzoo.data.options import DataOptions
from kzoo.data.pipeline import Batches
from kzoo.training.command import command_of
from kzoo.utils import processor
from kzoo.zoo.registry import catalogue

pytestmark = pytest.mark.usefixtures("undrawn", "untraced")

SMALL = dict(units=(6,), batch_size=64, epochs=1)


@pytest.fixture(scope="module")
def iris():
    return kzoo.load_data("iris", preset="iris_fnn")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on iris with the whole bundle."""
    folder = tmp_path_factory.mktemp("train") / "run"
    with drawn():
        return kzoo.train(
            "iris_fnn", "iris", out=folder, epochs=3, learning_rate=3e-3, l2=0.0, progress=False
        )


def fit(preset, data, out="run", **options):
    """Train quickly and silently."""
    return kzoo.train(
        preset, data, out=out, **{"callbacks": "quick", "check": False, "progress": False} | options
    )


def same_weights(a, b):
    pairs = zip(a.get_weights(), b.get_weights(), strict=True)
    return all(np.array_equal(x, y, equal_nan=True) for x, y in pairs)


class At(keras.callbacks.Callback):
    """Do something at the end of an epoch, or raise it."""

    def __init__(self, epoch, action, *, begin=False):
        super().__init__()
        self.epoch, self.action, self.begin = epoch, action, begin

    def _act(self, epoch):
        if epoch == self.epoch:
            if isinstance(self.action, BaseException):
                raise self.action
            self.action(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        if self.begin:
            self._act(epoch)

    def on_epoch_end(self, epoch, logs=None):
        if not self.begin:
            self._act(epoch)


def spoil(model):
    model.set_weights([w * np.nan for w in model.get_weights()])


# ---------------------------------------------------------------- the folder


def test_the_command_contains_deterministic(tmp_path, monkeypatch, undrawn):
    monkeypatch.setattr(
        "kzoo.training.plan.prepare_device", lambda precision, deterministic: "float32"
    )
    options = dict(
        max_steps=1, units=(2,), deterministic=True, check=False, baselines=False, progress=False
    )
    run = kzoo.train("iris_fnn", out=tmp_path, steps_per_call=1, callbacks="quick", **options)
    assert "--deterministic" in run.config["command"].split()


def test_the_folder_describes_the_model_and_the_data(run):
    config = run.config
    assert {"spec", "data", "versions", "command", "backend", "precision", "created"} <= set(config)
    assert set(config["spec"]) == {
        "preset",
        "revision",
        "family",
        "task",
        "config",
        "training",
        "seed",
        "kzoo",
    }
    assert kzoo.spec_of(run) == kzoo.spec_of(str(run.path)) == config["spec"]
    assert config["spec"]["kzoo"] == config["versions"]["kzoo"] == kzoo.__version__
    assert (
        config["spec"]["config"]["input_shape"] == [4]
        and len(config["spec"]["config"]["scale"]) == 4
    )
    assert config["spec"]["training"]["epochs"] == 3
    assert (
        config["command"]
        == "kzoo train iris_fnn --data iris --set learning_rate=0.003 l2=0.0 epochs=3"
    )
    data = config["data"]
    assert (data["train"], data["validation"], data["test"]) == (108, 12, 30)
    assert (
        data["class_names"] == ["setosa", "versicolor", "virginica"]
        and len(data["fingerprint"]) == 64
    )
    names = {
        "config.json",
        "history.csv",
        "best.keras",
        "last.keras",
        "summary.json",
        "answers.npz",
        "curves.png",
    }
    assert {p.name for p in run.path.iterdir()} == names | {
        "preprocessing.json",
        "postprocessing.json",
        "tensorboard",
    }
    assert any((run.path / "tensorboard").rglob("events.out*"))


def groups_of(file):
    """Return what a `.keras` file stores at its top, and how it was compiled."""
    with (
        zipfile.ZipFile(file) as archive,
        h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights,
    ):
        return set(weights), json.loads(archive.read("config.json"))["compile_config"]


def test_a_finished_run_has_no_optimizer_and_a_resumable_run_has_it(run, iris):
    for name in ("best.keras", "last.keras"):
        groups, compiled = groups_of(run.path / name)
        assert "layers" in groups and "optimizer" not in groups and not compiled
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Keras would warn of an optimizer that has no state
            model = keras.saving.load_model(run.path / name)
        assert not model.compiled and np.isfinite(model(iris.test.x)).all()
    with pytest.raises(kzoo.Interrupted) as stopped:
        kzoo.train(
            "iris_fnn",
            iris,
            out="stopped",
            progress=False,
            callbacks=[At(0, KeyboardInterrupt())],
            **SMALL,
        )
    assert "optimizer" in groups_of(stopped.value.run.path / "last.keras")[0]


def test_no_file_names_a_folder_of_this_machine(run):
    secrets = [
        str(p).encode()
        for p in (run.path.parent, Path.cwd(), Path.home(), Path(kzoo.__file__).parent)
    ]
    for file in run.path.rglob("*"):
        contents = [file.read_bytes()] if file.is_file() else []
        if file.suffix == ".keras":
            with zipfile.ZipFile(file) as archive:
                contents += [archive.read(name) for name in archive.namelist()]
        for secret in secrets:
            assert not any(secret in content for content in contents), (file.name, secret)


def test_no_file_names_the_folder_of_your_data(tmp_path):
    for name in ("train.csv", "test.csv"):
        cancer(80).to_csv(tmp_path / name, index=False)
    options = dict(target="diagnosis", test=str(tmp_path / "test.csv"), weights=None)
    run = fit("tabular_fnn", tmp_path / "train.csv", **options, **SMALL)
    assert not [p for p in run.path.glob("*.json") if str(tmp_path) in p.read_text()]
    assert run.config["command"].startswith(
        "kzoo train tabular_fnn --data train.csv --target diagnosis --test test.csv "
    )


def test_history_summary_and_curves(run):
    header = (run.path / "history.csv").read_text().splitlines()[0].split(",")
    assert header == [
        "epoch",
        "seconds",
        "accuracy",
        "loss",
        "val_accuracy",
        "val_loss",
        "learning_rate",
    ]
    assert run.history["epoch"] == [1, 2, 3] and set(run.history["learning_rate"]) == {
        np.float32(3e-3)
    }
    summary = run.summary
    best = int(np.argmin(run.history["val_loss"]))
    assert summary["best_epoch"] == best + 1
    assert summary["best_value"] == pytest.approx(run.history["val_loss"][best], rel=1e-4)
    assert (
        summary["parameters"] == 2499 and summary["epochs"] == 3 and summary["interrupted"] is False
    )
    assert {"accuracy", "accuracy_interval", "f1", "auc", "loss", "majority"} <= set(
        summary["test"]
    )
    assert summary["validation"]["loss"] == pytest.approx(summary["best_value"], abs=1e-3)
    with Image.open(run.path / "curves.png") as picture:
        picture.load()
        assert (
            picture.format == "PNG"
            and min(picture.size) > 200
            and len(set(picture.convert("L").tobytes())) > 10
        )


def test_best_keras_is_plain_keras(run):
    model = keras.saving.load_model(run.path / "best.keras", compile=False)
    assert not [
        layer.name for layer in model.layers if not type(layer).__module__.startswith("keras.")
    ]
    x = np.random.default_rng(0).uniform(0, 7, (5, 4)).astype("float32")
    np.testing.assert_allclose(model(x), run.model(x), atol=1e-6)


def test_a_run_can_be_zipped_and_unpacked_elsewhere(run, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "sent"), "zip", run.path)
    shutil.unpack_archive(archive, tmp_path / "elsewhere")
    moved = kzoo.Run(tmp_path / "elsewhere")
    rows = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], "float32")
    np.testing.assert_array_equal(
        kzoo.predict(moved, rows).probabilities, kzoo.predict(run, rows).probabilities
    )
    assert (
        moved.config == run.config and moved.summary == run.summary and moved.history == run.history
    )


def test_a_run_outlives_its_preset(run, monkeypatch):
    x = np.ones((2, 4), "float32")
    before, scores = run.model(x), kzoo.evaluate(run)
    changed = dataclasses.replace(
        kzoo.get_preset("iris_fnn"), config={"inputs": "rows", "units": (3,)}
    )
    for presets in ({}, {"iris_fnn": changed}):
        monkeypatch.setattr(catalogue, "_presets", presets)
        np.testing.assert_array_equal(kzoo.Run(run.path).model(x), before)
        assert kzoo.evaluate(str(run.path)) == scores


# ---------------------------------------------------------------- repeated calls and other folders


def test_the_same_call_returns_the_run_and_a_different_call_is_refused(iris):
    first = fit("iris_fnn", iris, **SMALL)
    stamp = (first.path / "best.keras").stat().st_mtime_ns

    def forbid(*args, **kwargs):
        raise AssertionError("trained again")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "fit", forbid)
        assert fit("iris_fnn", iris, **SMALL).summary == first.summary
        for change, parts in (
            (dict(units=(7,)), ("spec.config.units", "[6]", "[7]")),
            (dict(seed=1), ("spec.seed", "0", "1")),
            (dict(data=kzoo.load_data("iris", preset="iris_fnn", seed=1)), ("data.fingerprint",)),
            (dict(weights="run"), ("weights", "None", "run")),
        ):
            with refuses(*parts, "overwrite=True") as caught:
                fit("iris_fnn", **{"data": iris} | SMALL | change)
            assert "\n" not in str(caught.value)
    assert (first.path / "best.keras").stat().st_mtime_ns == stamp
    replaced = fit("iris_fnn", iris, overwrite=True, **SMALL | dict(units=(7,)))
    assert replaced.model.get_layer("outputs").kernel.shape == (7, 3)


def test_a_file_whose_name_is_not_utf_8_is_named():
    name = os.fsdecode(b"caf\xe9.csv")
    datasets.load_iris(as_frame=True).frame.to_csv(name, index=False)
    with refuses(r"'caf\udce9.csv'", "UTF-8", "rename"):
        fit("iris_fnn", name, target="target", **SMALL)
    assert not Path("run").exists()


def test_out_that_cannot_be_a_run_is_refused(iris, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("mine")
    for out in ("file", "folder", "file/run"):
        with refuses(f"out={out!r}"):
            fit("iris_fnn", iris, out, overwrite=True, **SMALL)
    assert (
        (tmp_path / "file").read_text()
        == (tmp_path / "folder" / "thesis.txt").read_text()
        == "mine"
    )
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder", "thesis.txt"]


# ---------------------------------------------------------------- seeds


def test_seeds(iris):
    options = SMALL | dict(epochs=2, dropout=0.3)
    first = fit("iris_fnn", iris, "a", seed=5, **options)
    again = fit("iris_fnn", iris, "b", seed=5, **options)
    other = fit("iris_fnn", iris, "c", seed=6, **options)
    assert same_weights(first.model, again.model)
    assert not same_weights(first.model, other.model)
    drawn = [r.config["data"]["fingerprint"] for r in (first, other)]
    moved = fit("iris_fnn", "iris", "d", data_seed=1, **SMALL)
    assert drawn[0] == drawn[1] != moved.config["data"]["fingerprint"]
    assert moved.config["data"]["data_seed"] == 1
    assert kzoo.evaluate(moved) == moved.summary["test"]  # its split is loaded again by name


def test_the_test_split_never_steers_training(iris):
    first = fit("iris_fnn", iris, "a", **SMALL | dict(epochs=2))
    noise = np.random.default_rng(0).normal(size=iris.test.x.shape).astype("float32")
    spoiled = dataclasses.replace(iris, test=Split(x=noise, y=(iris.test.y + 1) % 3))
    second = fit("iris_fnn", spoiled, "b", **SMALL | dict(epochs=2))
    assert same_weights(first.model, second.model)
    assert first.summary["validation"] == second.summary["validation"]
    assert first.summary["test"]["loss"] != second.summary["test"]["loss"]


# ---------------------------------------------------------------- the head follows the data


def test_regression_answers_in_the_unit_of_the_target():
    data = kzoo.load_data("diabetes", preset="diabetes_fnn")
    run = fit("diabetes_fnn", data, epochs=20)
    assert run.summary["test"]["r2"] > 0.3
    model = keras.saving.load_model(run.path / "best.keras", compile=False)
    values = model.predict(data.test.x, verbose=0)
    np.testing.assert_allclose(values, kzoo.predict(run, data.test.x).values, rtol=1e-4)
    truth = data.test.y
    assert abs(values.mean() - truth.mean()) < 0.2 * truth.mean()  # about 150, not about 0
    assert run.summary["test"]["mae"] == pytest.approx(np.abs(values - truth).mean(), rel=1e-4)
    offset, scale = (np.asarray(data.config[k]) for k in ("target_offset", "target_scale"))
    np.testing.assert_allclose(
        [offset[0], scale[0]], [data.train.y.mean(), data.train.y.std()], rtol=1e-4
    )
    assert max(run.history["loss"]) < 3  # the loss sees standardised targets


def cancer(rows=160):
    bunch = datasets.load_breast_cancer(as_frame=True)
    frame = bunch.frame.iloc[:rows, [0, 1, 2, 3]].round(3)
    return frame.assign(diagnosis=bunch.target_names[bunch.target[:rows]])


@pytest.mark.parametrize(
    ("preset", "outputs", "layer"), [("cancer_fnn", 1, "sigmoid"), ("tabular_fnn", 2, "softmax")]
)
def test_two_classes_by_their_names_in_a_csv(preset, outputs, layer):
    frame = cancer()
    frame.to_csv("cells.csv", index=False)
    run = fit(preset, "cells.csv", target="diagnosis", **SMALL | dict(epochs=5, learning_rate=0.1))
    assert run.config["command"].startswith(
        f"kzoo train {preset} --data cells.csv --target diagnosis --set "
    )
    assert run.class_names == ["benign", "malignant"] and run.model.output_shape == (None, outputs)
    assert run.model.layers[-1].activation.__name__ == layer
    assert run.summary["test"]["accuracy"] > run.summary["test"]["majority"]
    assert set(kzoo.predict(run, "cells.csv").labels) == {"benign", "malignant"}


def test_a_binary_preset_gets_a_softmax_for_three_classes():
    words = {"sport": "goal match team", "food": "soup bread salt", "law": "court judge trial"}
    rows = [(f"{text} {i % 7}", name) for name, text in words.items() for i in range(20)]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv("texts.csv", index=False)
    shape = dict(input_shape=(8,), units=(4,), embedding_dim=4)
    assert kzoo.get_preset("imdb_rnn").config["outputs"] == 1
    run = fit("imdb_rnn", "texts.csv", target="label", epochs=1, batch_size=32, **shape)
    assert (
        run.model.output_shape == (None, 3)
        and run.model.layers[-1].activation.__name__ == "softmax"
    )
    assert (
        run.class_names == ["food", "law", "sport"]
        and run.config["spec"]["training"]["monitor"] == "val_loss"
    )


def test_a_preset_for_tables_accepts_a_regression():
    frame = cancer().drop(columns="diagnosis").rename(columns=str.upper)
    frame.to_csv("cells.csv", index=False)
    run = fit("tabular_fnn", "cells.csv", target="MEAN AREA", **SMALL)
    assert (
        run.config["spec"]["task"] == "tabular_regression"
        and run.config["spec"]["training"]["loss"] == "mse"
    )
    assert run.model.output_shape == (None, 1) and {"mae", "r2"} <= set(run.summary["test"])
    assert list(kzoo.predict(run, "cells.csv").to_frame().columns) == ["input", "MEAN AREA"]


# ---------------------------------------------------------------- the contract


@pytest.mark.parametrize(
    ("preset", "settings", "loss"),
    [
        ("iris_fnn", dict(loss="focal"), "CategoricalFocalCrossentropy"),
        ("iris_fnn", dict(loss="hinge"), "CategoricalHinge"),
        ("iris_fnn", dict(loss="kl"), "KLDivergence"),
        ("iris_fnn", dict(label_smoothing=0.1), "CategoricalCrossentropy"),
        ("iris_fnn", dict(class_weight="balanced"), "SparseCategoricalCrossentropy"),
        ("iris_fnn", dict(class_weight="balanced", label_smoothing=0.1), "CategoricalCrossentropy"),
        ("line_fnn", dict(loss="mae"), "MeanAbsoluteError"),
        ("line_fnn", dict(loss="huber"), "Huber"),
    ],
)
def test_losses(preset, settings, loss, monkeypatch):
    seen = {}
    whole = keras.Model.fit

    def watch(self, x, **options):
        seen.update(loss=type(self.loss).__name__, label=next(iter(x))[1].shape, **options)
        return whole(self, x, **options)

    monkeypatch.setattr(keras.Model, "fit", watch)
    # more in a call: Keras gets no batches
    run = fit(preset, None, steps_per_call=1, **SMALL | settings)
    assert seen["loss"] == loss
    assert seen["label"][1:] == (
        (3,) if loss.startswith(("Cat", "KL")) else (1,) if preset == "line_fnn" else ()
    )
    assert np.isfinite(run.history["loss"]).all()
    weights = seen["class_weight"]
    assert (weights is not None) == ("class_weight" in settings)
    if weights:
        assert weights == pytest.approx({0: 1, 1: 1, 2: 1})


def test_balanced_weights_are_by_how_rare_a_class_is(monkeypatch):
    seen = {}
    whole = keras.Model.fit
    monkeypatch.setattr(
        keras.Model, "fit", lambda self, x, **o: seen.update(o) or whole(self, x, **o)
    )
    x = np.random.default_rng(0).normal(size=(100, 3))
    y = np.repeat([0, 1], [80, 20])
    fit("cancer_fnn", (x, y), steps_per_call=1, **SMALL)
    assert seen["class_weight"] == pytest.approx({0: 72 / 116, 1: 72 / 28})  # 58 and 14 to train on


def test_class_weights_have_names_or_numbers_as_keys(monkeypatch):
    seen = {}
    whole = keras.Model.fit
    monkeypatch.setattr(
        keras.Model, "fit", lambda self, x, **o: seen.update(o) or whole(self, x, **o)
    )
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": random.normal(size=90), "b": random.normal(size=90), "y": ["no", "maybe", "yes"] * 30}
    )
    options = dict(target="y", steps_per_call=1, overwrite=True, **SMALL)
    for weights in ({"yes": 5}, {2: 5.0}, {np.int64(2): np.float32(5), 1: 1}, {"yes": 5, "no": 1}):
        fit("tabular_fnn", frame, class_weight=weights, **options)
        assert seen["class_weight"] == {0: 1.0, 1: 1.0, 2: 5.0}  # maybe, no, yes
    for weights, parts in (
        ({"ja": 5}, ("class_weight=", "'ja'", "table", "maybe, no, yes")),
        ({3: 5}, ("class_weight=", "'3'", "table", "maybe, no, yes")),
        ({"yes": 5, 2: 5}, ("class_weight=", "'yes'", "'2'", "table", "maybe, no, yes")),
        ({"yes": 0, "no": 0, "maybe": 0}, ("class_weight={'yes': 0.0, 'no': 0.0, 'maybe': 0.0}",)),
        ({"yes": -1}, ("class_weight['yes']=-1", "0")),
        ({}, ("class_weight={}",)),
    ):
        with refuses(*parts):
            fit("tabular_fnn", frame, class_weight=weights, **options)


def test_a_number_that_is_a_class_name_is_read_as_the_name(monkeypatch):
    """Of the classes 1, 2 and 3, the key 2 is the class of that name, not the third; "0" with it is refused."""
    seen = {}
    whole = keras.Model.fit
    monkeypatch.setattr(
        keras.Model, "fit", lambda self, x, **o: seen.update(o) or whole(self, x, **o)
    )
    frame = pd.DataFrame(
        {
            "a": np.random.default_rng(0).normal(size=90),
            "b": 1.0 * np.arange(90),
            "y": [1, 2, 3] * 30,
        }
    )
    options = dict(target="y", steps_per_call=1, overwrite=True, **SMALL)
    fit("tabular_fnn", frame, class_weight={2: 5}, **options)
    assert seen["class_weight"] == {0: 1.0, 1: 5.0, 2: 1.0}
    with refuses("class_weight=", "'2'", "'0'", "table", "1, 2, 3"):
        fit("tabular_fnn", frame, class_weight={"0": 1, "2": 5}, **options)


def test_weighed_classes_are_answered_more_often(tmp_path):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(size=400)})
    frame["y"] = np.where(frame["a"] + random.normal(size=400) > 1, "yes", "no")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    options = dict(epochs=20, min_steps=0, callbacks="quick", seed=1)
    shares = {}
    for weight in (0.1, 10):
        weights = {"no": 1.0, "yes": weight}
        run = kzoo.train(
            "tabular_fnn",
            tmp_path / "rows.csv",
            target="y",
            class_weight=weights,
            out=tmp_path / str(weight),
            baselines=False,
            check=False,
            progress=False,
            **options,
        )
        shares[weight] = (run.answers["answers"].argmax(axis=1) == 1).mean()
        assert run.config["spec"]["training"]["class_weight"] == weights
    assert shares[0.1] < 0.25 and shares[10] > 0.5
    command = shlex.split(run.config["command"])
    word = command[command.index("--set") + 1]
    assert word == "class_weight={no:1.0,yes:10}" and parse_settings([word]) == {
        "class_weight": {"no": 1.0, "yes": 10}
    }
    assert parse_settings(["class_weight={'a, b': 2, c:.5,}"]) == {
        "class_weight": {"a, b": 2, "c": 0.5}
    }
    with refuses("'yes'", "value"):
        parse_settings(["class_weight={yes}"])


@pytest.mark.parametrize(
    ("schedule", "course"),
    [
        ("constant", [1, 1, 1, 1]),
        ("cosine", [0.5 * (1 + np.cos(np.pi * k / 4)) for k in range(1, 5)]),
        # 30 % of 8 steps, two to an epoch: it rises for the first
        ("onecycle", [1, 0.75, 0.25, 0]),
        ("linear", [0.75, 0.5, 0.25, 0]),
        ("exponential", [0.01 ** (k / 4) for k in range(1, 5)]),
        ("step", [1, 1, 1, 1]),
        ("plateau", [1, 1, 1, 1]),
    ],
)
def test_schedules(iris, schedule, course):
    run = fit(
        "iris_fnn",
        iris,
        **SMALL | dict(schedule=schedule, epochs=4, learning_rate=0.01, batch_size=54),
    )
    np.testing.assert_allclose(np.array(run.history["learning_rate"]) / 0.01, course, atol=2e-4)
    assert_mentions(run.summary["stopped_because"], "all", "epochs")


def test_mixup_uses_one_hot_labels_internally():
    digits = datasets.load_digits(n_class=3)
    x = (digits.images[:90] * 15.9).astype("float32")
    settings = dict(epochs=1, batch_size=64, filters=(4,), units=(4,), augment=("mixup", "shift"))
    run = fit("digits_cnn", (x, digits.target[:90]), **settings)
    assert (
        run.model.output_shape == (None, 3)
        and run.config["spec"]["training"]["labels"] == "integer"
    )


def test_one_hot_labels_and_pixels_divided_by_255():
    digits = datasets.load_digits(n_class=3)
    x = (digits.images[:90] / 16).astype("float32")[..., None]
    y = np.eye(3, dtype="float32")[digits.target[:90]]
    settings = dict(epochs=1, batch_size=64, filters=(4,), units=(4,))
    run = fit("digits_cnn", (x, y), rescale=False, labels="onehot", **settings)
    assert not [w for w in run.model.layers if isinstance(w, keras.layers.Rescaling)]
    np.testing.assert_allclose(kzoo.predict(run, x[:4]).probabilities, run.model(x[:4]), atol=1e-6)
    with refuses("rescale=False"):
        fit("digits_cnn", (x, y), "other", **settings)


def test_mixed_precision_is_saved_as_float32(iris):
    keras.config.set_dtype_policy("mixed_bfloat16")  # of the user's, which files do not follow
    try:
        run = fit("iris_fnn", iris, precision="mixed_bfloat16", **SMALL | dict(epochs=2))
    finally:
        keras.config.set_dtype_policy("float32")
    model = keras.saving.load_model(run.path / "best.keras", compile=False)
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert (
        run.config["precision"] == "mixed_bfloat16"
        and keras.config.dtype_policy().name == "float32"
    )
    assert same_weights(model, run.model) and np.isfinite(run.summary["test"]["loss"])


def test_a_call_may_override_the_precision_of_the_preset(iris, tmp_path, monkeypatch):
    mixed = dataclasses.replace(
        kzoo.get_preset("iris_fnn"),
        training=kzoo.get_preset("iris_fnn").training | dict(precision="mixed_bfloat16"),
    )
    computed = {}
    monkeypatch.setattr(processor, "computes_bfloat16", lambda: True)
    for word in ("auto", "float32", "mixed_float16"):
        run = fit(mixed, iris, tmp_path / word, precision=word, **SMALL)
        computed[word] = run.config["precision"]
        assert run.spec.training["precision"] == "mixed_bfloat16"
    assert computed == {
        "auto": "mixed_bfloat16",
        "float32": "float32",
        "mixed_float16": "mixed_float16",
    }
    with refuses("precision='mixed'", "auto, float32"):
        dataclasses.replace(mixed, training=mixed.training | dict(precision="mixed"))


def test_a_processor_without_bfloat16_trains_in_float32_and_reports_it(
    iris, tmp_path, monkeypatch, capsys
):
    mixed = dataclasses.replace(
        kzoo.get_preset("iris_fnn"),
        training=kzoo.get_preset("iris_fnn").training | dict(precision="mixed_bfloat16"),
    )
    cases = (
        (False, "auto", "float32"),
        (True, "auto", "mixed_bfloat16"),
        (False, "mixed_bfloat16", "mixed_bfloat16"),
    )
    for computes, requested, precision in (*cases, (True, "float32", "float32")):
        monkeypatch.setattr(processor, "computes_bfloat16", lambda computes=computes: computes)
        run = fit(
            mixed,
            iris,
            tmp_path / f"{computes}-{requested}",
            precision=requested,
            progress=True,
            **SMALL,
        )
        assert run.config["precision"] == precision
        missing = missing_from(capsys.readouterr().err, ("processor", "float32"))
        assert missing == ([] if not computes and requested == "auto" else ["processor", "float32"])


def test_a_run_stored_before_a_setting_existed_is_the_same_run(iris):
    """A stored contract without precision, momentum and norm_bias_rate is read, and the same call returns the run."""
    old = fit("iris_fnn", iris, **SMALL)
    config = json.loads((old.path / "config.json").read_text())
    for name in ("precision", "momentum", "norm_bias_rate"):
        del config["spec"]["training"][name]
    (old.path / "config.json").write_text(json.dumps(config))
    assert kzoo.evaluate(kzoo.Run(old.path), iris) == old.summary["test"]
    before = (old.path / "summary.json").stat().st_mtime_ns
    fit("iris_fnn", iris, **SMALL)
    assert (old.path / "summary.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("most", "epochs", "steps"), [(3, 1, 3), (4, 1, 4), (6, 1, 4), (9, 2, 8), (99, 3, 12)]
)
def test_max_steps_limits_training_and_schedules(iris, most, epochs, steps, capsys):
    """An epoch of four steps is cut short, or there are fewer epochs."""

    class Count(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            counted.append(batch)

    counted: list[int] = []
    options = dict(
        batch_size=32, epochs=3, schedule="linear", units=(6,), progress=True, callbacks=[Count()]
    )
    run = fit("iris_fnn", iris, max_steps=most, **options)
    assert (run.summary["epochs"], len(counted), run.summary["interrupted"]) == (
        epochs,
        steps,
        False,
    )
    assert run.history["learning_rate"][-1] == 0 and run.spec.training["max_steps"] == most
    message = capsys.readouterr().err
    if most == 99:  # no fewer steps than without it
        assert f"max_steps={most}" not in message
    else:
        assert_mentions(
            message, "4 steps", f"max_steps={most}", *([f"epochs={epochs}"] if most > 3 else [])
        )


def test_a_callbacks_name_replaces_the_bundle_and_a_list_adds_to_it(iris):
    calls = []
    quick = fit("iris_fnn", iris, "quick", **SMALL)
    note = At(0, lambda model: calls.append(model.name))
    added = kzoo.train("iris_fnn", iris, out="added", progress=False, callbacks=[note], **SMALL)
    assert not (quick.path / "tensorboard").exists()
    assert (
        any((added.path / "tensorboard").rglob("events.out*"))
        and (added.path / "best.keras").is_file()
    )
    assert calls == ["iris_fnn"] and added.config["callbacks"] == ["At"]


# ---------------------------------------------------------------- how it can end


class Worse(keras.callbacks.Callback):
    """Change the weights as training ends, as Keras' EarlyStopping does that restores another epoch's."""

    def on_train_end(self, logs=None):
        self.model.set_weights([w * 0 for w in self.model.get_weights()])


@pytest.mark.parametrize("how", ["train", "fit", "compiled model"])
def test_scores_are_of_the_saved_weights_even_if_a_callback_changes_them_at_the_end(
    iris, how, capsys
):
    """Callbacks run after those of kzoo, and must not undo their work."""
    model = kzoo.build("iris_fnn", **SMALL, seed=0, data=iris)
    if how == "compiled model":
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    if how == "fit":
        model.fit(
            **kzoo.fit_arguments(model, iris, out="run", callbacks=[Worse()], progress=False),
            verbose=0,
        )
        run = kzoo.Run("run")
    else:
        trained, settings = ("iris_fnn", SMALL) if how == "train" else (model, dict(epochs=1))
        run = fit(trained, iris, callbacks=[Worse()], **settings)
    assert np.any(run.model.get_weights()[0]) and kzoo.evaluate(run, iris) == run.summary["test"]
    assert how == "train" or same_weights(model, run.model)
    assert_mentions(capsys.readouterr().err, "Worse", "weights", "epoch 1", "val_loss")


def test_a_callback_that_stops_training_is_named_as_the_cause(iris):
    stop = keras.callbacks.EarlyStopping(
        monitor="val_loss", min_delta=100, patience=1, restore_best_weights=True
    )
    run = fit("iris_fnn", iris, callbacks=[stop], **SMALL | dict(epochs=9))
    assert_mentions(run.summary["stopped_because"], "callback", "2 epochs")
    assert kzoo.evaluate(run, iris) == run.summary["test"]


def test_an_interrupt_keeps_the_best_epoch(iris):
    best = {}

    def keep(model):
        best["weights"] = model.get_weights()

    def worsen(model):
        model.set_weights([w + 3 for w in model.get_weights()])

    stop = [At(0, keep), At(1, worsen, begin=True), At(1, KeyboardInterrupt())]
    with pytest.raises(kzoo.Interrupted) as stopped:
        kzoo.train(
            "iris_fnn", iris, out="run", progress=False, callbacks=stop, **SMALL | dict(epochs=9)
        )
    extra = stopped.value.run
    summary = extra.summary
    assert summary["interrupted"] is True
    assert_mentions(summary["stopped_because"], "interrupted")
    assert (summary["epochs"], summary["best_epoch"]) == (2, 1)
    for got, wanted in zip(extra.model.get_weights(), best["weights"], strict=True):
        np.testing.assert_array_equal(got, wanted)
    last = keras.saving.load_model("run/last.keras", compile=False)
    assert not same_weights(last, extra.model)
    assert kzoo.evaluate(extra, iris) == summary["test"]


def test_an_interrupt_in_the_first_epoch_leaves_nothing(iris):
    with pytest.raises(KeyboardInterrupt):
        fit("iris_fnn", iris, callbacks=[At(0, KeyboardInterrupt(), begin=True)], **SMALL)
    assert not Path("run").exists()
    assert fit("iris_fnn", iris, **SMALL).finished  # the same folder can be used


def test_an_exception_in_a_callback_comes_out_and_the_best_model_is_there(iris):
    with pytest.raises(ZeroDivisionError):
        fit("iris_fnn", iris, callbacks=[At(1, ZeroDivisionError())], **SMALL | dict(epochs=3))
    run = kzoo.Run("run")
    assert not run.finished and len(run.history["epoch"]) == 2
    assert np.isfinite(run.model(iris.test.x)).all()
    with pytest.raises(ZeroDivisionError):  # goes on with the second epoch, to the same end
        fit("iris_fnn", iris, callbacks=[At(1, ZeroDivisionError())], **SMALL | dict(epochs=3))


def test_a_loss_that_explodes(iris):
    later = fit(
        "iris_fnn", iris, "later", callbacks=[At(1, spoil, begin=True)], **SMALL | dict(epochs=5)
    )
    assert later.summary["epochs"] == 2 and later.summary["best_epoch"] == 1
    assert "learning_rate" in later.summary["stopped_because"] and np.isfinite(
        later.summary["test"]["loss"]
    )
    with refuses("loss", "nan", "epoch 1", "learning_rate") as caught:
        fit(
            "iris_fnn",
            iris,
            "at once",
            callbacks=[At(0, spoil, begin=True)],
            **SMALL | dict(epochs=5),
        )
    assert "\n" not in str(caught.value)
    assert not Path("at once").exists()


def test_a_full_disk_leaves_the_older_best_model(iris, monkeypatch, capsys):
    save = keras.Model.save
    written = []

    def full(self, path, *args, **kwargs):
        written.append(Path(path).name)
        if len(written) > 1:  # the first epoch's two files fit: one is saved, the other its copy
            Path(path).write_bytes(b"half of a mo")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return save(self, path, *args, **kwargs)

    monkeypatch.setattr(keras.Model, "save", full)
    monkeypatch.setattr(BestModel, "every", -1.0, raising=False)
    whole = BestModel.__init__
    monkeypatch.setattr(
        BestModel, "__init__", lambda self, *a, **o: whole(self, *a, **o | {"every": -1.0})
    )
    first = []
    options = SMALL | dict(
        epochs=4, callbacks=[At(0, lambda model: first.append(model.get_weights()))]
    )
    with pytest.raises(OSError, match="No space"):
        fit("iris_fnn", iris, **options)
    best = keras.saving.load_model("run/best.keras", compile=False)
    assert all(np.array_equal(a, b) for a, b in zip(best.get_weights(), first[0], strict=True))
    assert not list(Path("run").glob(".*"))  # no half-written files

    written[:] = [1, 2]
    capsys.readouterr()
    assert main(["train", "iris_fnn", "--out", "cli", "--epochs", "1", "--quiet"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "Traceback" not in err
    assert_mentions(err, "disk", "full", "--out")


# ---------------------------------------------------------------- compiled Keras models


def test_a_compiled_keras_model(iris):
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, activation="softmax")], name="mine"
    )
    with refuses("'mine'", "model.compile"):
        fit(model, iris)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    policy = "keras.config.set_dtype_policy('mixed_bfloat16')"
    for options, parts in (
        (dict(units=(3,)), ("'units'", "epochs")),
        (dict(monitor="val_speed"), ("monitor='val_speed'", "mode='max'")),
        (dict(weights="x"), ("weights=", "presets")),
        (dict(precision="mixed_bfloat16"), ("precision='mixed_bfloat16'", "'mine'", policy)),
        (dict(data="wine"), ("'mine'", "(4,)", "wine", "(13,)")),
    ):
        with refuses(*parts):
            fit(model, **{"data": iris} | options)
    with refuses("weights=", "freeze=", "presets"):
        kzoo.check(model, iris, weights="x")
    with refuses("keras.Model", "int"):
        fit(3, iris)
    assert not Path("run").exists()
    run = fit(model, iris, epochs=1)
    assert run.config["spec"]["family"] is None and run.config["command"] is None
    assert (
        kzoo.predict(run, iris.test.x).labels == kzoo.predict(kzoo.Run("run"), iris.test.x).labels
    )
    assert kzoo.evaluate(run, iris) == run.summary["test"]


def net(units=6, rate=1e-3, name="net"):
    """A model whose layers get new numbers from Keras each time."""
    dense = keras.layers.Dense
    model = keras.Sequential(
        [keras.Input((4,)), dense(units, "relu"), dense(3, "softmax")], name=name
    )
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model


def test_a_keras_model_is_compared_by_its_layers_and_compilation(iris, capsys):
    """Not by its name or type alone: another model must not count as the same."""
    first = fit(net(), iris, epochs=1)
    model = net()
    assert fit(model, iris, epochs=1, progress=True).summary == first.summary
    assert_mentions(capsys.readouterr().err, "run", "model", "overwrite=True")
    other = net()
    other.compile(keras.optimizers.Adam(1e-3, beta_1=0.8), "sparse_categorical_crossentropy")
    frozen = net()
    frozen.layers[0].trainable = False
    for changed, parts in (
        (net(units=7), ("own_model.layers by Keras",)),
        (frozen, ("own_model.layers by Keras",)),
        (
            net(rate=1e-2),
            ("own_model.learning_rate", *(f"[{np.float32(rate).item()}]" for rate in (1e-3, 1e-2))),
        ),
        (other, ("own_model.compilation by Keras",)),
    ):
        with refuses("run", *parts, "overwrite=True"):
            fit(changed, iris, epochs=1)
    # the model at hand, trained and its rate lower since, is the same
    model.fit(iris.train.x, iris.train.y, verbose=0)
    model.optimizer.learning_rate = 1e-5
    assert fit(model, iris, epochs=1).summary == first.summary


def test_callbacks_are_compared_by_their_settings(iris, capsys):
    def stopping(patience=2):
        return keras.callbacks.EarlyStopping(patience=patience, min_delta=0.1)

    first = fit("iris_fnn", iris, callbacks=[stopping()], **SMALL)
    used = stopping()
    used.set_model(net())
    used.on_train_begin()
    used.on_epoch_end(0, {"val_loss": 0.3})  # which turns the sign of min_delta, and counts
    again = fit("iris_fnn", iris, callbacks=[used], **SMALL | dict(progress=True))
    assert again.summary == first.summary and "overwrite=True" not in capsys.readouterr().err
    with refuses("callback_settings.EarlyStopping.patience", "2", "3", "overwrite=True"):
        fit("iris_fnn", iris, callbacks=[stopping(3)], **SMALL)

    def falling(by):
        return keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * by)

    settings = SMALL | dict(schedule="constant", warmup=0.0)
    first = fit("iris_fnn", iris, "falling", callbacks=[falling(0.5)], **settings)
    again = fit(
        "iris_fnn", iris, "falling", callbacks=[falling(0.1)], **settings | dict(progress=True)
    )
    assert again.summary == first.summary
    assert_mentions(
        capsys.readouterr().err, "falling", "schedule", "LearningRateScheduler", "overwrite=True"
    )

    def logging(to):  # a callback that only writes, and an unknown class
        return [keras.callbacks.CSVLogger(to), At(to, lambda model: None)]

    first = fit("iris_fnn", iris, "logged", callbacks=logging("a.csv"), **SMALL)
    again = fit(
        "iris_fnn", iris, "logged", callbacks=logging("b.csv"), **SMALL | dict(progress=True)
    )
    assert again.summary == first.summary
    message = capsys.readouterr().err
    assert_mentions(message, "logged", "settings", "At", "overwrite=True")
    assert "CSVLogger" not in message


def test_an_older_run_without_these_settings_is_the_same_run(iris, capsys):
    settings = dict(callbacks=[keras.callbacks.TerminateOnNaN()], epochs=1)
    old = fit(net(), iris, **settings)
    config = json.loads((old.path / "config.json").read_text())
    older_keras = {
        name.replace(keras.__version__, "3.0"): value for name, value in config["own_model"].items()
    }
    without = {
        name: value
        for name, value in config.items()
        if name not in ("own_model", "callback_settings")
    }
    for before in (without, config | dict(own_model=older_keras)):
        (old.path / "config.json").write_text(json.dumps(before))
        assert fit(net(units=9), iris, **settings | dict(progress=True)).summary == old.summary
        message = capsys.readouterr().err
        assert_mentions(message, "layers", "compilation", "model", "overwrite=True")
        assert ("callbacks" in message) == (before is without)


def test_settings_without_effect_are_reported_or_refused(iris, capsys):
    small = dict(check=False, callbacks="quick", units=(6,), batch_size=40, patience=1, epochs=2)
    kzoo.train("iris_fnn", iris, out="cosine", schedule="cosine", **small)
    assert_mentions(
        capsys.readouterr().err,
        "patience=1",
        "schedule='cosine'",
        "schedule='constant'",
        "'plateau'",
    )
    kzoo.train("iris_fnn", iris, out="constant", **small)
    assert "patience=1" not in capsys.readouterr().err
    Path("a.txt").write_text("A cat sat on a mat and saw a rat.\n" * 200)
    with refuses("class_weight='balanced'", "classes", "a.txt", "tokens"):
        kzoo.train("char_gru", "a.txt", class_weight="balanced")


def test_settings_of_reading_are_refused_for_loaded_data(iris):
    Path("a.txt").write_text("A cat sat on a mat and saw a rat.\n" * 200)
    text = kzoo.load_data("a.txt", preset="char_gru")
    for preset, data, options, parts in (
        ("iris_fnn", iris, dict(input_shape=(7,)), ("input_shape=(7,)", "iris", "(4,)")),
        ("char_gru", text, dict(input_shape=(20,)), ("input_shape=(20,)", "a.txt", "(100,)")),
        (
            "char_gru",
            text,
            dict(tokenizer="words"),
            ("tokenizer='words'", "a.txt", "tokenizer='characters'"),
        ),
    ):
        with refuses(*parts):
            kzoo.train(preset, data, out="run", **options)
    with refuses("tokenizer='characters'", "arrays", "ids"):
        kzoo.train("text_cnn", (np.ones((40, 64), int), np.arange(40) % 2), tokenizer="characters")
    assert not Path("run").exists()


def test_a_run_of_a_built_model_stores_its_precision_and_no_command(iris, capsys):
    policy = "keras.config.set_dtype_policy('mixed_bfloat16')"
    with warns("precision='mixed_bfloat16'", "kzoo.train('iris_fnn')", policy):
        model = kzoo.build(
            "iris_fnn", units=(6,), precision="mixed_bfloat16", optimizer="sgd", norm_bias_rate=9.0
        )
    run = fit(model, "iris", epochs=1, freeze=False, progress=True)
    assert run.config["precision"] == "float32" and run.config["command"] is None
    message = capsys.readouterr().err
    assert_mentions(message, "iris_fnn", policy, "float32")
    assert_mentions(message, "norm_bias_rate=9", "normalisation")
    command = command_of(
        kzoo.get_preset("iris_fnn"), None, {}, DataOptions(), seed=0, deterministic=True
    )
    assert command == "kzoo train iris_fnn --deterministic"


def test_few_examples_get_more_epochs(iris, capsys):
    """94 rows are 3 steps an epoch: 14 of them want 5 epochs, and in as many the same patience."""
    preset = kzoo.get_preset("tabular_fnn")
    small = dict(batch_size=40, units=(6,))
    preset = dataclasses.replace(preset, training=preset.training | dict(epochs=2, patience=2))
    run = kzoo.train(preset, iris, out="run", check=False, callbacks="quick", **small, min_steps=14)
    assert (
        run.spec.training["epochs"] == 5 == len(run.history["loss"])
        and run.spec.training["patience"] == 5
    )
    assert_mentions(capsys.readouterr().err, "3 steps", "epochs=5", "patience=5", "14", "min_steps")
    arguments = kzoo.fit_arguments(kzoo.build(preset, data=iris, **small, min_steps=14), iris)
    assert arguments["epochs"] == 5
    short = kzoo.train(preset, iris, out="short", check=False, callbacks="quick", **small, epochs=1)
    message = capsys.readouterr().err
    assert (
        len(short.history["loss"]) == 1 and "3 steps" not in message and "min_steps" not in message
    )
    with refuses("min_steps=40", "epochs=2"):
        kzoo.train(preset, iris, min_steps=40, epochs=2)


def test_the_step_schedule_equals_that_of_the_tutorial():
    """Neither a step late, nor with a further step after the last of the tutorial's."""

    def tutorials(epoch):
        return 0.001 * (1 if epoch < 10 else 0.5 if epoch < 20 else 0.25 if epoch < 30 else 0.125)

    epochs, steps = 55, 7
    model = kzoo.build(
        "iris_fnn", schedule="step", learning_rate=0.001, epochs=epochs, steps=epochs * steps
    )
    rates = []
    for step in range(epochs * steps):
        model.optimizer.iterations.assign(step)
        rates.append(float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))
    np.testing.assert_allclose(
        rates, [tutorials(step // steps) for step in range(epochs * steps)], rtol=1e-6
    )


@pytest.mark.usefixtures("traced")
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow traces")
def test_the_step_is_traced_once(iris):
    traced = []

    def loss(y, answer):
        traced.append(type(answer).__module__)
        return keras.losses.sparse_categorical_crossentropy(y, answer)

    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, activation="softmax")], name="mine"
    )
    model.compile("adam", loss, metrics=["accuracy"])
    fit(model, iris, epochs=2)
    assert len(traced) == 2  # in training and in validation


def test_a_model_built_by_kzoo(iris):
    model = kzoo.build("iris_fnn", units=(5,), seed=1)
    run = fit(model, iris, epochs=1)
    assert run.config["spec"]["preset"] == "iris_fnn" and run.config["spec"]["config"]["units"] == [
        5
    ]
    assert same_weights(run.model, model)


def test_overwriting_leaves_the_old_run_until_the_new_run_has_a_model(tmp_path):
    fit("iris_fnn", "iris", out="r", **SMALL)
    before = {f.name: f.read_bytes() for f in (tmp_path / "r").iterdir()}
    with refuses("loss", "epoch 1", "learning_rate"):
        fit(
            "iris_fnn",
            "iris",
            out="r",
            optimizer="sgd",
            learning_rate=1e30,
            overwrite=True,
            **SMALL,
        )
    assert {f.name: f.read_bytes() for f in (tmp_path / "r").iterdir()} == before


def test_the_order_of_the_examples_follows_the_seed(iris, monkeypatch):
    made = []

    class Watched(Batches):
        def __init__(self, split, **settings):
            super().__init__(split, **settings)
            made.append(self)

    monkeypatch.setattr("kzoo.training.setup.Batches", Watched)
    fit("iris_fnn", iris, "five", seed=5, **SMALL | dict(epochs=2))
    train = made[0]
    assert train.epoch == 1  # set by the callback
    expected = np.random.default_rng([5, 1]).permutation(len(train.split))
    assert (train.order(1) == expected).all()
