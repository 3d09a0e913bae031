"""`kzoo.build` and `kzoo.fit_arguments` with plain Keras `fit` end in the weights of `kzoo.train`.

These tests guard against a setting that is accepted by a call and has no effect in it.
"""

import dataclasses
import inspect
import json
import warnings

import keras
import numpy as np
import pytest
from messages import assert_mentions, missing_from, refuses, warns
from sklearn.datasets import load_digits

import kzoo
from kzoo.training.fit import Fit
from kzoo.utils.errors import KzooWarning
from kzoo.zoo.registry.arguments import OF_FIT, TRAINING


def texts():
    """Token ids (64, 6) and two classes."""
    random = np.random.default_rng(0)
    x = random.integers(1, 30, (64, 6), dtype="int32")
    return x, (x[:, 0] > x[:, 1]).astype("int32")


def digits():
    """Digits (240, 8, 8, 1), and ten classes."""
    bunch = load_digits()
    return (bunch.images[:240, ..., None] * 15.9).astype("uint8"), bunch.target[:240]


def pictures():
    """The same with three channels."""
    x, y = digits()
    return np.tile(x, 3), y


# Name -> preset, its data, and settings that make it small; together they have every family, dropout, augmentation,
# mixes that need one-hot labels, averages, plateau, warm-up, class weights and values to predict.
PLAIN = {
    "fnn": (
        "tabular_fnn",
        "breast_cancer",
        dict(units=(8,), schedule="cosine", warmup=0.2, class_weight="balanced", batch_size=256),
    ),
    "fnn_values": ("diabetes_fnn", "diabetes", dict(units=(8,), schedule="plateau", patience=2)),
    "cnn": (
        "cifar_cnn",
        pictures,
        dict(filters=(4,), units=(8,), dropout=0.2, batch_size=64, augment=("flip", "mixup")),
    ),
    "cnn_ema": (
        "digits_cnn",
        digits,
        dict(filters=(4,), batch_size=96, callbacks="long", augment=("shift",)),
    ),
    "rnn": ("text_rnn", texts, dict(units=(4,), schedule="exponential")),
    "lstm": ("text_lstm", texts, dict(units=(4,), dropout=0.3)),
    "gru": ("text_gru", texts, dict(units=(4,))),
    "transformer": ("text_transformer", texts, dict(width=8, intermediate_dim=8)),
}
COMPILED = ("fnn_values", "cnn")  # on TensorFlow as `fit` runs it; all of them in the slow run


def built(preset, data, **settings):
    """Return a model for data, and what is trained of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KzooWarning)
        model = kzoo.build(preset, data=data, seed=3, **settings)
    below = [layer.input for layer in model.layers if layer.name == "unscale"]
    return model, keras.Model(model.input, below[0]) if below else model


def same_weights(a, b):
    pairs = zip(a.get_weights(), b.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def ends_where_train_ends(name, tmp_path):
    preset, source, settings = PLAIN[name]
    data = kzoo.load_data(source() if callable(source) else source, preset=preset)
    options = dict(
        out=tmp_path / "run",
        seed=3,
        epochs=2,
        progress=False,
        steps_per_call=1,
        precision="float32",
    )
    run = kzoo.train(preset, data, **options, **settings)
    model, core = built(preset, data, **settings)
    core.fit(
        **kzoo.fit_arguments(core, data, out=tmp_path / "plain", epochs=2, progress=False),
        verbose=0,
    )
    assert same_weights(model, run.model)
    plain = kzoo.Run(tmp_path / "plain")
    assert same_weights(plain.model, run.model)
    assert plain.summary["test"] == run.summary["test"]
    history = [
        {name: column for name, column in r.history.items() if name != "seconds"}
        for r in (plain, run)
    ]
    assert history[0] == history[1]


@pytest.mark.usefixtures("undrawn", "untraced")
@pytest.mark.parametrize("name", [name for name in PLAIN if name not in COMPILED])
def test_plain_fit_ends_in_the_weights_of_train(name, tmp_path):
    ends_where_train_ends(name, tmp_path)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    "name", [n if n in COMPILED else pytest.param(n, marks=pytest.mark.slow) for n in PLAIN]
)
def test_compiled_plain_fit_ends_in_the_weights_of_train(name, tmp_path):
    ends_where_train_ends(name, tmp_path)


@pytest.fixture(scope="module")
def iris():
    return kzoo.load_data("iris", preset="iris_fnn")


def test_a_compiled_keras_model_gets_its_batches_too(iris, untraced, tmp_path):
    def compiled():
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")], name="mine")
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    options = dict(epochs=2, batch_size=16, class_weight="balanced", patience=1)
    run = kzoo.train(compiled(), iris, out=tmp_path / "run", check=False, progress=False, **options)
    model = compiled()
    optimizer = model.optimizer
    model.fit(**kzoo.fit_arguments(model, iris, **options), verbose=0)
    assert same_weights(model, run.model)
    assert model.optimizer is optimizer, "the user's model was compiled anew"


def test_the_optimizer_of_the_user_stays(iris):
    model, _ = built("iris_fnn", iris, units=(4,))
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    optimizer = model.optimizer
    kzoo.fit_arguments(model, iris, progress=False)
    assert model.optimizer is optimizer
    assert float(optimizer.learning_rate) == 0.5


def test_the_schedule_gets_the_length_of_training(iris):
    model = kzoo.build("iris_fnn", data=iris, units=(4,))
    kzoo.fit_arguments(model, iris, schedule="linear", epochs=3, batch_size=10, progress=False)
    rate = model.optimizer._learning_rate
    assert rate.decay_steps == 3 * -(-len(iris.train) // 10)
    model, _ = built("iris_fnn", iris, schedule="linear", epochs=7, batch_size=10)
    assert model.optimizer._learning_rate.decay_steps == 7 * -(-len(iris.train) // 10)


def test_train_gives_a_built_model_its_schedule_as_well(iris, untraced, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KzooWarning)
        model = kzoo.build("iris_fnn", seed=0, schedule="linear", batch_size=60, epochs=3)
    run = kzoo.train(model, iris, out=tmp_path / "run", check=False, progress=False)
    rates = run.history["learning_rate"]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < rates[0]


# ---------------------------------------------------------------- settings of `build` reach every way to train

# Settings -> the length of training and parts of the note, on iris: its 108 training rows are 7 steps an epoch, and the
# preset has 100 epochs.
LENGTHS = [
    (dict(epochs=2), dict(epochs=2, patience=10), ()),
    (dict(max_steps=3), dict(epochs=1, patience=10), ("max_steps=3",)),
    (dict(max_steps=15), dict(epochs=2, patience=10), ("epochs=2", "max_steps=15")),
    (
        dict(min_steps=770),
        dict(epochs=110, patience=11),
        ("epochs=110", "patience=11", "770", "min_steps"),
    ),
    (
        dict(min_steps=770, patience=4),
        dict(epochs=110, patience=4),
        ("patience=4", "770", "min_steps"),
    ),
]


def quietly(preset, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KzooWarning)
        return kzoo.build(preset, **settings)


@pytest.fixture(scope="module")
def longer():
    """`iris_fnn` with a minimum of steps, as other presets have it, and less patience."""
    preset = kzoo.get_preset("iris_fnn")
    return dataclasses.replace(preset, training=preset.training | dict(min_steps=560, patience=10))


@pytest.mark.parametrize(("settings", "lasts", "parts"), LENGTHS, ids=str)
def test_build_sets_the_length_of_training(
    settings, lasts, parts, longer, iris, monkeypatch, capsys, tmp_path
):
    """By the preset's name and with a built model, by `train` and by `fit`, with the same notes."""
    if "epochs" not in settings:
        longer = dataclasses.replace(longer, training=longer.training | {"min_steps": 0})
    begun = []
    monkeypatch.setattr(
        Fit, "train_until_end", lambda fit, signals: begun.append(fit.job.training) or stop()
    )
    notes = []
    for model, options in ((longer, settings), (quietly(longer, **settings), {})):
        with pytest.raises(Stopped):
            kzoo.train(model, iris, out=tmp_path / str(len(begun)), check=False, **options)
        notes.append(capsys.readouterr().err)
    arguments = kzoo.fit_arguments(quietly(longer, data=iris, **settings), iris)
    notes.append(capsys.readouterr().err)
    assert arguments["epochs"] == lasts["epochs"]
    for training in begun:
        assert {name: training[name] for name in lasts} == lasts
    assert begun[0] == begun[1]
    for note in notes[:2]:
        assert missing_from(note, ("7 steps", *parts)) == ([] if parts else ["7 steps"])


class Stopped(Exception):
    """In place of a training."""


def stop():
    raise Stopped


def test_fit_arguments_prints_the_notes_of_the_settings(iris, capsys):
    model = quietly("iris_fnn", data=iris)
    kzoo.fit_arguments(model, iris, max_steps=3)
    assert_mentions(capsys.readouterr().err, "7 steps", "max_steps=3")


def test_settings_of_build_are_not_changed_later(iris, monkeypatch, capsys, tmp_path):
    """`callbacks="long"` averages the weights unless `ema` is set."""
    model = quietly("iris_fnn", data=iris, callbacks="long", ema=0.0)
    kzoo.fit_arguments(model, iris)
    assert not model.optimizer.use_ema and "ema=0.99" not in capsys.readouterr().err
    with pytest.raises(Stopped):
        monkeypatch.setattr(Fit, "train_until_end", lambda fit, signals: stop())
        kzoo.train(quietly("iris_fnn", callbacks="long"), iris, out=tmp_path / "run", check=False)
    assert "ema=0.99" in capsys.readouterr().err, "train of a model that is there"
    alone = dataclasses.replace(iris, validation=None)
    with refuses("monitor='val_accuracy'", "validation", "'accuracy'"):
        kzoo.fit_arguments(quietly("iris_fnn", data=iris, monitor="val_accuracy"), alone)


def test_the_contract_of_a_model_compiled_by_the_user_is_not_stored(
    iris, untraced, undrawn, tmp_path
):
    """A cosine schedule that was not compiled kept training from stopping early, and was stored in `config.json`."""
    model = quietly(
        "iris_fnn", data=iris, schedule="cosine", epochs=30, seed=0, label_smoothing=0.1
    )
    model.compile(
        keras.optimizers.SGD(1e-9), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    options = dict(patience=2, check=False, baselines=False, progress=False, out=tmp_path / "run")
    run = kzoo.train(model, iris, **options)
    assert run.summary["epochs"] == 3
    assert_mentions(run.summary["stopped_because"], "val_loss", "2 epochs")
    trained = run.spec.training
    assert (
        trained["optimizer"] == "sgd"
        and trained["learning_rate"] == 1e-9
        and trained["epochs"] == 30
    )
    assert not {"schedule", "warmup", "loss", "label_smoothing", "weight_decay"} & set(trained)
    assert kzoo.evaluate(kzoo.Run(run.path), iris) == run.summary["test"]
    assert kzoo.train(model, iris, **options).config["created"] == run.config["created"], (
        "it was trained again"
    )


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (
            lambda: keras.optimizers.SGD(0.1, momentum=0.8, nesterov=True),
            dict(optimizer="momentum", momentum=0.8, learning_rate=0.1),
        ),
        (lambda: keras.optimizers.Adadelta(0.5), dict(learning_rate=0.5)),
        (
            lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 9)),
            dict(optimizer="adam"),
        ),
    ],
    ids=["momentum", "an optimizer that kzoo lacks", "with a schedule"],
)
def test_the_optimizer_that_trains_is_stored(
    optimizer, expected, iris, untraced, undrawn, tmp_path
):
    model = quietly("iris_fnn", data=iris, units=(4,), epochs=1, seed=0)
    model.compile(optimizer(), "sparse_categorical_crossentropy")
    options = dict(check=False, baselines=False, progress=False, callbacks="quick")
    trained = kzoo.train(model, iris, out=tmp_path / "run", **options).spec.training
    names = ("optimizer", "learning_rate", "momentum")
    assert {name: trained[name] for name in names if name in trained} == expected


def test_the_plateau_callback_stays_after_compiling_again(iris):
    model = quietly("iris_fnn", data=iris, schedule="plateau")
    model.compile("sgd", "sparse_categorical_crossentropy")
    names = [type(c).__name__ for c in kzoo.fit_arguments(model, iris, progress=False)["callbacks"]]
    assert "Plateau" in names


def test_a_run_with_other_min_steps_and_the_same_epochs_is_the_same(
    iris, untraced, undrawn, tmp_path
):
    """Older versions trained the epochs set in `build` and stored the preset's `min_steps` with them."""
    options = dict(
        check=False, baselines=False, progress=False, callbacks="quick", out=tmp_path / "run"
    )
    run = kzoo.train(quietly("iris_fnn", data=iris, units=(4,), epochs=1), iris, **options)
    stored = json.loads((run.path / "config.json").read_text())
    stored["spec"]["training"]["min_steps"] = 560
    (run.path / "config.json").write_text(json.dumps(stored | {"created": "then"}))
    again = kzoo.train(quietly("iris_fnn", data=iris, units=(4,), epochs=1), iris, **options)
    assert again.config["created"] == "then"


def test_build_warns_once_of_settings_without_effect_in_plain_fit():
    seen = dict(
        augment=("flip",), class_weight="balanced", patience=2, callbacks="long", on_nan="stop"
    )
    with warns(*seen, "kzoo.fit_arguments") as caught:
        kzoo.build("cifar_cnn", filters=(4,), units=(4,), dropout=0.1, **seen)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_build_warns_of_a_schedule_without_a_length():
    with warns("schedule", "warmup", "kzoo.fit_arguments"):
        kzoo.build("iris_fnn", schedule="cosine", warmup=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", KzooWarning)
        kzoo.build("iris_fnn", schedule="cosine", warmup=0.1, steps=100)
        kzoo.build(
            "iris_fnn", dropout=0.1, learning_rate=0.1, label_smoothing=0.0, class_weight=None
        )
        kzoo.build("digits_cnn", filters=(4,), augment=())


# Another value of each setting of training that changes how a model is compiled.
OTHER = dict(
    optimizer="sgd",
    learning_rate=0.5,
    weight_decay=0.1,
    global_clipnorm=1.0,
    clipnorm=1.0,
    clipvalue=1.0,
    ema=0.5,
    loss="focal",
    label_smoothing=0.1,
    labels="onehot",
    metrics=("accuracy", "top5"),
    schedule="cosine",
    warmup=0.5,
    momentum=0.5,
    norm_bias_rate=2.0,
    layer_decay=0.5,
)


@pytest.mark.parametrize("name", TRAINING)
def test_every_setting_of_training_is_compiled_or_an_argument_of_fit(name, monkeypatch):
    """A new setting is in one of both, or this fails."""
    if name in OF_FIT:
        assert name not in OTHER
        return
    base = dict(units=(4,), loss="auto", labels="onehot", steps=100, optimizer="momentum")
    before, after = (
        kzoo.build("iris_fnn", outputs=6, **base | more)
        for more in ({"labels": "integer"} if name == "labels" else {}, {name: OTHER[name]})
    )
    # Where Keras has no argument, the optimizer itself is changed (tests/test_contract.py, tests/test_depths.py).
    changed = {"apply", "_backend_update_step"}
    compiled = [
        (model.get_compile_config(), changed & vars(model.optimizer).keys())
        for model in (before, after)
    ]
    assert compiled[0] != compiled[1]


# ---------------------------------------------------------------- refusals


def test_a_network_built_without_the_data_is_refused(iris):
    with refuses("iris_fnn", "iris", "scale", "data=data"):
        kzoo.fit_arguments(kzoo.build("iris_fnn"), iris)


def test_the_part_to_fit_of_a_network_with_unscaled_answers_is_named():
    data = kzoo.load_data("diabetes", preset="diabetes_fnn")
    model = kzoo.build("diabetes_fnn", data=data)
    with refuses("keras.Model(model.input, model.get_layer('unscale').input)"):
        kzoo.fit_arguments(model, data)


def test_a_learning_rate_set_by_hand_is_not_undone(iris):
    model = kzoo.build("iris_fnn", data=iris)
    model.optimizer.learning_rate = 0.25
    with refuses("learning_rate=0.25"):
        kzoo.fit_arguments(model, iris)
    kzoo.fit_arguments(model, iris, learning_rate=0.25, progress=False)
    assert float(model.optimizer.learning_rate) == 0.25


@pytest.mark.parametrize(
    "options, parts",
    [
        (dict(on_nan="rollback"), ("on_nan='rollback'", "'stop'")),
        (dict(linear_probe=True), ("linear_probe=True", "weights=")),
        (dict(units=(3,)), ("units=", "kzoo.build")),
        (dict(learning_rat=0.1), ("'learning_rat'", "'learning_rate'")),
        (dict(lr=0.1), ("'lr'", "'learning_rate'")),
        (dict(seed=-1), ("seed=-1",)),
        (dict(callbacks=[3]), ("callbacks=", "3")),
        (dict(epochs=0), ("epochs=0",)),
    ],
)
def test_invalid_options_of_fit_arguments_are_refused(iris, options, parts):
    model = kzoo.build("iris_fnn", data=iris)
    with refuses(*parts):
        kzoo.fit_arguments(model, iris, **options)


def test_a_folder_that_holds_a_run_is_left_alone(iris, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    with refuses(f"out={str(tmp_path / 'run')!r}", "folder"):
        kzoo.fit_arguments(kzoo.build("iris_fnn", data=iris), iris, out=tmp_path / "run")
    kzoo.fit_arguments(
        kzoo.build("iris_fnn", data=iris), iris, out=tmp_path / "new", progress=False
    )
    assert not (tmp_path / "new").exists(), "nothing is written before `fit` begins"


@pytest.mark.parametrize("value", [None, "iris_fnn", 3])
def test_only_a_model_is_fitted(value):
    with refuses("kzoo.fit_arguments", "keras.Model", type(value).__name__):
        kzoo.fit_arguments(value)


@pytest.mark.parametrize("data", ["iris", (1, 2), 3])
def test_a_network_follows_loaded_data_alone(data):
    with refuses("data=", type(data).__name__, "kzoo.load_data"):
        kzoo.build("iris_fnn", data=data)


def test_fit_arguments_has_the_data_options_of_train():
    parameters = [
        inspect.signature(function).parameters for function in (kzoo.train, kzoo.fit_arguments)
    ]
    data = ("target", "validation", "test", "drop", "group", "task", "time", "columns", "data_seed")
    assert [str(parameters[0][name]) for name in data] == [
        str(parameters[1][name]) for name in data
    ]
