"""`long`, `tuning`, `debug` and `teaching`, and properties of all bundles."""

import copy
import csv
import inspect
import re

import keras
import numpy as np
import pytest
from messages import assert_mentions, missing_from, refuses
from shortcuts import untraced
from small import TRAIN, VALIDATION, At, Weights, fit, network, same

import kzoo
from kzoo.callbacks import BestModel
from kzoo.zoo.registry.arguments import BUNDLES


def rows(path):
    return list(csv.DictReader(path.open()))


def test_every_bundle_is_documented_and_can_be_named():
    functions = {
        n for n in kzoo.callbacks.__all__ if inspect.isfunction(getattr(kzoo.callbacks, n))
    }
    assert set(BUNDLES) == functions - {"direction", "restored"}
    assert all(f"`{name}`" in kzoo.callbacks.__doc__ for name in BUNDLES)


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("name", BUNDLES)
def test_every_bundle_restores_the_best_weights_and_has_the_same_arguments(name, tmp_path):
    make = getattr(kzoo.callbacks, name)
    options = dict(
        monitor="val_accuracy",
        mode=None,
        patience=9,
        stop_early=True,
        reduce_on_plateau=True,
        save=None,
    )
    bundle = make(tmp_path / "run", **options)
    seen = Weights()
    model = network("sgd")
    assert not {id(c) for c in bundle} & {id(c) for c in make(tmp_path / "run", **options)}
    history = fit(model, [*bundle, seen], batch_size=48).history
    assert same(model.get_weights(), seen.ends[int(np.argmax(history["val_accuracy"]))])
    assert (tmp_path / "run" / "best.keras").exists() and len(
        rows(tmp_path / "run" / "history.csv")
    ) == 4
    assert len(bundle[0].rows) == 4 and sum(isinstance(c, BestModel) for c in bundle) == 1


def with_dropout():
    keras.utils.set_random_seed(0)  # the layer draws its seed when it is made
    return network("sgd", layers=[keras.layers.Dropout(0.3)])


@pytest.fixture(scope="module")
def bare():
    """The weights of a training without a bundle."""
    with untraced():
        fit(with_dropout(), [(seen := Weights())], batch_size=48)
    return seen


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("name", BUNDLES)
def test_no_bundle_changes_the_learned_weights(name, bare, tmp_path):
    seen = Weights()
    options = dict(sample=(TRAIN[0][:32], TRAIN[1][:32])) if name == "debug" else {}
    bundle = getattr(kzoo.callbacks, name)(tmp_path / "run", **options)
    fit(with_dropout(), [*bundle, seen], batch_size=48)
    assert all(same(a, b) for a, b in zip(bare.ends, seen.ends, strict=True))


# ---------------------------------------------------------------- long


def names(run):
    return sorted(p.name for p in (run / "checkpoints").iterdir())


@pytest.mark.usefixtures("untraced")
def test_only_the_newest_checkpoints_stay(tmp_path):
    seen = Weights()
    fit(network(), [*kzoo.callbacks.long(tmp_path / "run", keep=2), seen], epochs=5, batch_size=96)
    assert names(tmp_path / "run") == ["epoch-0004.keras", "epoch-0005.keras"]
    fourth = keras.saving.load_model(tmp_path / "run" / "checkpoints" / "epoch-0004.keras")
    assert same(fourth.get_weights(), seen.ends[3])


@pytest.mark.usefixtures("untraced")
def test_checkpoints_by_the_clock(tmp_path):
    fit(network(), kzoo.callbacks.long(tmp_path / "slow", every=3600), epochs=3)
    assert not (tmp_path / "slow" / "checkpoints").exists()
    fit(network(), kzoo.callbacks.long(tmp_path / "fast", every=1e-9, keep=4), epochs=2)
    assert names(tmp_path / "fast") == [
        "epoch-0002-step-000004.keras",
        "epoch-0002-step-000005.keras",
        "epoch-0002-step-000006.keras",
        "epoch-0002.keras",
    ]
    model = keras.saving.load_model(
        tmp_path / "fast" / "checkpoints" / "epoch-0002-step-000005.keras"
    )
    assert int(model.optimizer.iterations) == 6 + 5
    for wrong in (dict(keep=0), dict(keep=1.5), dict(every=0), dict(every=-3)):
        with refuses(*(f"{name}={value}" for name, value in wrong.items())):
            kzoo.callbacks.long(tmp_path, **wrong)


# ---------------------------------------------------------------- tuning


@pytest.mark.usefixtures("untraced")
def test_tuning_can_be_copied_for_each_trial_and_writes_nothing(tmp_path):
    bundle = kzoo.callbacks.tuning(patience=2, reduce_on_plateau=True)
    finals = []
    for _ in range(2):
        trial = copy.deepcopy(bundle)
        seen = Weights()
        model = network()
        history = fit(model, [*trial, seen], batch_size=96).history
        assert same(model.get_weights(), seen.ends[int(np.argmin(history["val_loss"]))])
        assert trial[1] is trial[-2].watched and trial[1] is not bundle[1]
        finals.append(model.get_weights())
    assert same(*finals) and not list(tmp_path.iterdir())
    fit(network(), kzoo.callbacks.tuning(tmp_path / "trial"), epochs=1, batch_size=96)
    assert sorted(p.name for p in (tmp_path / "trial").iterdir()) == [
        "best.keras",
        "history.csv",
        "last.keras",
    ]


@pytest.mark.usefixtures("untraced")
def test_tuning_works_in_keras_tuner(tmp_path):
    tuner_package = pytest.importorskip("keras_tuner")

    def build(hp):
        return network(keras.optimizers.Adam(hp.Choice("rate", [1e-3, 1e-2])))

    tuner = tuner_package.RandomSearch(
        build, "val_loss", max_trials=2, directory=tmp_path, project_name="search"
    )
    bundle = kzoo.callbacks.tuning()
    tuner.search(
        *TRAIN, epochs=2, batch_size=48, validation_data=VALIDATION, callbacks=bundle, verbose=0
    )
    assert len(tuner.oracle.trials) == 2 and bundle[0].rows == []
    assert {p.name for p in tmp_path.iterdir()} == {"search"}


# ---------------------------------------------------------------- debug


def deep(bias):
    """A ReLU layer with so low a bias that nothing passes."""
    keras.utils.set_random_seed(0)
    low = keras.initializers.Constant(bias)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, "relu", bias_initializer=low, name="hidden"),
            keras.layers.Dropout(0.2, name="dropout"),
            keras.layers.Dense(3, activation="softmax", name="head"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return model


@pytest.mark.usefixtures("untraced")
def test_debug_writes_statistics_of_each_layer(tmp_path, capsys):
    model = deep(0.0)
    sample = (TRAIN[0][:16], TRAIN[1][:16])
    before = model.get_weights()
    fit(
        model,
        [*kzoo.callbacks.debug(tmp_path / "run", sample=sample), (seen := Weights())],
        epochs=2,
    )
    table = rows(tmp_path / "run" / "debug.csv")
    assert [(r["epoch"], r["layer"]) for r in table] == [
        (e, n) for e in "12" for n in ("hidden", "head", "dropout")
    ]
    first = table[0]
    now = np.concatenate([w.ravel() for w in seen.ends[0][:2]])
    was = np.concatenate([w.ravel() for w in before[:2]])
    assert float(first["weight_norm"]) == pytest.approx(np.linalg.norm(now), rel=1e-4)
    assert float(first["update_ratio"]) == pytest.approx(
        np.linalg.norm(now - was) / np.linalg.norm(was), rel=1e-4
    )
    assert float(first["weight_p50"]) == pytest.approx(np.median(now), rel=1e-4)
    kernel, bias = seen.ends[0][:2]
    hidden = np.maximum(sample[0] @ kernel + bias, 0)
    assert float(first["activation_mean"]) == pytest.approx(hidden.mean(), rel=1e-4)
    assert float(first["zero_share"]) == pytest.approx((hidden == 0).mean(), rel=1e-4)
    assert (first["units"], first["dead_units"]) == ("8", str(int((hidden == 0).all(0).sum())))
    assert 0 < float(first["gradient_norm"]) < 10
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("untraced")
def test_debug_writes_the_norm_of_the_gradient(tmp_path):
    model = network(keras.optimizers.SGD(0.1))
    x, y = TRAIN[0][:16], TRAIN[1][:16]
    bundle = kzoo.callbacks.debug(tmp_path, sample=(x, y))
    fit(model, [*bundle, (seen := Weights())], epochs=1)
    hidden_kernel, hidden_bias, kernel, bias = seen.ends[0]
    hidden = np.maximum(x @ hidden_kernel + hidden_bias, 0)
    logits = hidden @ kernel + bias
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    error = (p - np.eye(3)[y]) / len(y)
    expected = np.sqrt(((hidden.T @ error) ** 2).sum() + (error.sum(0) ** 2).sum())
    head = next(r for r in rows(tmp_path / "debug.csv") if r["layer"] == "head")
    assert float(head["gradient_norm"]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize(
    ("bias", "spoil", "warnings"),
    [
        (
            -50.0,
            None,
            [("hidden", "units", "leaky_relu"), ("hidden", "gradient", "residual", "activation")],
        ),
        (
            0.0,
            lambda m: m.set_weights([w * 1e6 for w in m.get_weights()]),
            [("hidden", "learning_rate", "warmup")],
        ),
        (
            0.0,
            lambda m: setattr(m.optimizer, "learning_rate", 0.0),
            [("hidden", "learning_rate", "gradient")],
        ),
        (
            0.0,
            lambda m: m.set_weights([w * np.nan for w in m.get_weights()]),
            [("hidden", "weights", "finite")],
        ),
    ],
)
def test_debug_warns_once_of_each_layer(bias, spoil, warnings, capsys):
    extra = [] if spoil is None else [At(0, spoil)]
    fit(deep(bias), [*kzoo.callbacks.debug(sample=TRAIN), *extra], epochs=3, batch_size=32)
    lines = capsys.readouterr().err.replace("warm-up", "warmup").splitlines()
    for parts in warnings:
        assert sum(not missing_from(line, parts) for line in lines) == 1, lines
    without_epochs = [re.sub(r"\bepoch \d+", "", line) for line in lines]
    assert len(without_epochs) == len(set(without_epochs)), lines


@pytest.mark.usefixtures("untraced")
def test_debug_reports_that_a_subclassed_model_lacks_gradients_and_activations(capsys, tmp_path):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3, activation="softmax", name="only")

        def call(self, x):
            return self.dense(x)

    model = Own()
    model.compile("adam", "sparse_categorical_crossentropy")
    bundle = kzoo.callbacks.debug(sample=TRAIN)
    fit(model, bundle, epochs=2)
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert_mentions(message, "gradients", "activations", "functional")


# ---------------------------------------------------------------- teaching


class SetLog(keras.callbacks.Callback):
    def __init__(self, **columns):
        super().__init__()
        self.columns = columns

    def on_epoch_end(self, epoch, logs):
        logs.update({name: values[epoch] for name, values in self.columns.items()})


@pytest.mark.usefixtures("untraced")
def test_teaching_explains_each_epoch(capsys):
    logs = SetLog(loss=[1.0, 0.5, 0.3, 0.2, 0.1], val_loss=[1.0, 0.8, 0.7, 0.9, 0.95])
    fit(
        network(),
        [logs, *kzoo.callbacks.teaching(patience=2, reduce_on_plateau=True)],
        epochs=9,
        batch_size=96,
    )
    lines = capsys.readouterr().err.splitlines()
    expected = [
        ("val_loss", "better"),
        ("epoch 1", "val_loss", "1", "best"),
        ("epoch 2", "val_loss", "0.8", "best", "1"),
        ("epoch 3", "val_loss", "0.7", "best", "0.8"),
        ("0.3", "training", "0.7", "validation"),
        ("epoch 4", "val_loss", "0.9", "0.7", "epoch 3", "patience", "1 epoch"),
        ("epoch 5", "val_loss", "0.95", "0.7", "epoch 3", "patience"),
        ("learning rate", "0.001", "0.0005"),
        ("val_loss", "2 epochs"),
        ("weights", "epoch", "3", "best"),
    ]
    for line, parts in zip(lines, expected, strict=True):
        assert_mentions(line, *parts)
    assert re.search(r"\b(smaller|lower|min)\b", lines[0]) and not re.search(
        r"\b(larger|higher|max)\b", lines[0]
    )


@pytest.mark.usefixtures("untraced")
def test_teaching_explains_schedules_and_nan(capsys):
    fit(
        network(),
        [SetLog(val_loss=[1.0, 2.0]), *kzoo.callbacks.teaching(stop_early=False)],
        epochs=2,
        batch_size=96,
    )
    lines = capsys.readouterr().err.splitlines()
    assert (
        sum(not missing_from(line, ("epoch 2", "val_loss", "2", "schedule")) for line in lines) == 1
    )
    fit(network(), [SetLog(loss=[np.nan]), *kzoo.callbacks.teaching()], epochs=2, batch_size=96)
    lines = capsys.readouterr().err.splitlines()
    assert any(
        not missing_from(line, ("epoch 1", "loss", "nan", "learning_rate")) for line in lines
    )
    assert_mentions(lines[-1], "epoch", "finite", "best")
