"""The six networks of the tutorial as plain Keras models: every function reads them from memory and from a folder.

The faults to prevent: a function that works for models that kzoo trained, and fails for plain Keras models.
"""

import re
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from messages import assert_mentions, missing_from, refuses, warns
from shortcuts import untraced
from sklearn import metrics

import kzoo
from kzoo.cli import main
from kzoo.reports import figures
from kzoo.runtime import load

pytestmark = pytest.mark.usefixtures("untraced")
WORDS, LENGTH = 20, 6


def feed_forward():
    return keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(8, "relu"),
            layers.Dropout(0.2),
            layers.Dense(3, "softmax"),
        ],
        name="mine_fnn",
    )


def convolutional():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Flatten(),
            layers.Dense(8, "relu"),
            layers.Dropout(0.5),
            layers.Dense(3, "softmax"),
        ],
        name="mine_cnn",
    )


def recurrent(layer, name):
    return keras.Sequential(
        [
            keras.Input((LENGTH,)),
            layers.Embedding(WORDS, 4),
            layer(5, return_sequences=True),
            layers.Dropout(0.2),
            layer(4),
            layers.Dense(1, "sigmoid"),
        ],
        name=name,
    )


def transformer():
    inputs = keras.Input((LENGTH,))
    x = layers.Embedding(WORDS, 8)(inputs)
    x = layers.LayerNormalization(epsilon=1e-6)(x + layers.MultiHeadAttention(2, 8)(x, x, x))
    x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dense(8)(layers.Dense(16, "relu")(x)))
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling1D()(x))
    return keras.Model(inputs, layers.Dense(1, "sigmoid")(x), name="mine_transformer")


# Name -> network, loss, number of classes.
SIX = {
    "fnn": (feed_forward, "categorical_crossentropy", 3),
    "cnn": (convolutional, "categorical_crossentropy", 3),
    "rnn": (lambda: recurrent(layers.SimpleRNN, "mine_rnn"), "binary_crossentropy", 2),
    "lstm": (lambda: recurrent(layers.LSTM, "mine_lstm"), "binary_crossentropy", 2),
    "gru": (lambda: recurrent(layers.GRU, "mine_gru"), "binary_crossentropy", 2),
    "transformer": (transformer, "binary_crossentropy", 2),
}


def compiled_model(name):
    """Return (compiled model, x, y) for a name in `SIX`."""
    build, loss, classes = SIX[name]
    keras.utils.set_random_seed(0)
    model = build()
    model.compile("adam", loss, metrics=["accuracy"])
    random = np.random.default_rng(1)
    shape = (60, *model.inputs[0].shape[1:])
    x = (
        random.integers(0, WORDS, shape)
        if len(shape) == 2 and shape[1] == LENGTH
        else random.random(shape) * 255
    )
    x = x.astype("int32" if x.dtype.kind == "i" else "float32")
    return model, x, random.permutation(np.arange(60) % classes)


@pytest.fixture(scope="module", params=SIX)
def trained(request, tmp_path_factory):
    """Train each of the six by plain `fit` with the `quick` callbacks: (name, model, x, y, folder)."""
    model, x, y = compiled_model(request.param)
    folder = tmp_path_factory.mktemp("plain") / "mine"
    labels = keras.utils.to_categorical(y) if SIX[request.param][1].startswith("cat") else y
    bundle = kzoo.callbacks.quick(folder)
    with untraced():
        model.fit(
            x, labels, epochs=2, batch_size=30, validation_split=0.2, callbacks=bundle, verbose=0
        )
    return request.param, model, x, y, folder


def test_plain_models_predict(trained):
    _, model, x, _, folder = trained
    p = np.asarray(model(x[:7], training=False))
    expected = p if p.shape[1] > 1 else np.concatenate([1 - p, p], axis=1)
    for source in (model, folder, str(folder)):
        result = kzoo.predict(source, x[:7])
        np.testing.assert_allclose(result.probabilities, expected, atol=1e-6)
        assert result.labels == [str(number) for number in expected.argmax(1)]


def test_plain_models_are_scored_on_all_rows(trained):
    _, model, x, y, folder = trained
    p = np.asarray(model(x, training=False))
    guess = p.argmax(1) if p.shape[1] > 1 else (p[:, 0] > 0.5).astype(int)
    for source in (model, folder):
        result = kzoo.evaluate(source, (x, y))
        assert result["examples"] == 60
        assert result["accuracy"] == pytest.approx(metrics.accuracy_score(y, guess))
        assert result["f1"] == pytest.approx(metrics.f1_score(y, guess, average="macro"))


def test_a_missing_class_does_not_renumber_the_others(trained):
    name, model, x, y, _ = trained
    if SIX[name][2] == 2:
        return
    rows = y != 1
    guess = np.asarray(model(x[rows], training=False)).argmax(1)
    assert kzoo.evaluate(model, (x[rows], y[rows]))["accuracy"] == pytest.approx(
        (guess == y[rows]).mean()
    )


def test_a_table_without_a_class_does_not_renumber_the_others():
    model, x, y = compiled_model("fnn")
    table = pd.DataFrame(x).assign(y=y)
    guess = np.asarray(model(x, training=False)).argmax(1)
    for rows in (y != 0, y >= 0):
        expected = (guess[rows] == y[rows]).mean()
        assert kzoo.evaluate(model, table[rows], target="y")["accuracy"] == pytest.approx(expected)
    words = table.assign(y=np.array(["low", "mid", "top"])[y])
    with refuses("2 classes", "mid, top", "3", "0 to 2"):
        kzoo.evaluate(model, words[y != 0], target="y")
    with warns("order", "low, mid, top"):
        kzoo.evaluate(model, words, target="y")


def test_whole_numbers_are_a_regression_with_a_regression_loss(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")
    y = np.clip(np.round(x[:, 0] + 5), 3, 7).astype(int)
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)], name="ratings")
    model.compile(keras.optimizers.Adam(0.1), "mse")
    run = kzoo.train(
        model,
        (x, y),
        out=tmp_path / "run",
        epochs=3,
        callbacks="quick",
        progress=False,
        check=False,
    )
    answers = np.asarray(model(x))
    np.testing.assert_allclose(kzoo.predict(run, x).values, answers, atol=1e-5)
    table = pd.DataFrame(x).assign(y=y)
    off = pytest.approx(np.abs(answers[:, 0] - y).mean(), rel=1e-5)
    assert run.data.task == "tabular_regression" and run.summary["test"]["mae"] > 0
    assert kzoo.evaluate(model, table, target="y")["mae"] == off
    other = kzoo.evaluate(run, kzoo.load_data((x[:30], 3 * y[:30]), task="regression"))
    scale = run.target.config["target_scale"][0]  # of the training data
    assert other["mse_standardised"] == pytest.approx((other["rmse"] / scale) ** 2, rel=1e-4)
    with refuses("class_weight='balanced'", "classes", "arrays"):
        kzoo.train(model, (x, y), out=tmp_path / "other", class_weight="balanced")
    with refuses("'ratings'", "mse", "arrays", "classes", "task='regression'"):
        kzoo.train(model, kzoo.load_data((x, y)), out=tmp_path / "other")


def test_classes_can_be_learned_with_a_squared_error(tmp_path):
    """A network that ends in softmax or sigmoid is a classifier with any loss."""
    y = np.arange(90) % 3
    x = np.eye(3, dtype="float32")[y] + np.random.default_rng(0).normal(0, 0.1, (90, 3)).astype(
        "float32"
    )
    model, two = (
        keras.Sequential([keras.Input((3,)), end], name="mine")
        for end in (layers.Dense(3, "softmax"), layers.Dense(1, "sigmoid"))
    )
    model.compile(keras.optimizers.Adam(0.3), "mse")
    options = dict(epochs=6, batch_size=64, callbacks="quick", progress=False)
    run = kzoo.train(model, (x, y), out=tmp_path / "run", check=False, baselines=False, **options)
    assert run.data.task == "tabular_classification" and run.summary["test"]["accuracy"] > 0.9
    two.compile("adam", "mse")
    labels = next(iter(kzoo.fit_arguments(two, (x[y < 2], y[y < 2]), **options)["x"]))[1]
    assert labels.dtype == "int32"  # classes


def test_several_outputs_are_refused_before_training():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, [layers.Dense(1)(inputs), layers.Dense(1)(inputs)], name="two")
    model.compile("adam", ["mse", "mse"])
    with refuses("'two'", "1 input", "2 outputs"):
        kzoo.train(
            model,
            (np.zeros((20, 2)), np.random.default_rng(0).normal(size=(20, 2))),
            progress=False,
        )


def test_plain_models_are_checked(trained):
    _, model, x, y, folder = trained
    # A compiled model is checked with its loss, a model from a file without.
    labels = keras.utils.to_categorical(y) if "categorical" in model.loss else y
    assert [f for f in kzoo.check(model, (x, labels), deep=False) if f.level == "error"] == []
    assert [f for f in kzoo.check(folder, (x, y), deep=False) if f.level == "error"] == []
    with refuses(repr(model.name), str(x.shape[1:]), str(x[:, 1:].shape[1:])):
        kzoo.check(folder, (x[:, 1:], y), deep=False)
    bad = x.astype("float32").copy()
    bad[3] = np.nan
    assert "error" in {f.level for f in kzoo.check(folder, (bad, y), deep=False)}


def test_plain_models_get_a_report(trained, tmp_path, monkeypatch):
    name, model, x, y, folder = trained
    # of three classes and of two: the pictures of the others are like these
    if name not in ("cnn", "gru"):
        monkeypatch.setattr(figures, "_svg", lambda figure, alt: f'<svg aria-label="{alt}"></svg>')
    for source in (model, folder):
        page = kzoo.report(source, out=tmp_path / "report.html", data=(x, y)).read_text(
            encoding="utf-8"
        )
        assert model.name in page
        pictures_of = re.findall(r'aria-label="([^"]*)"', page)
        assert any(not missing_from(text, ["loss", "epoch"]) for text in pictures_of), (
            "no curves of the training"
        )
        headings = re.findall(r"<h[1-3][^>]*>(.*?)</h", page)
        assert any(not missing_from(heading, ["score", "new data"]) for heading in headings), (
            headings
        )
        assert "None" not in page
        assert_mentions(page, "60 examples")
        assert missing_from(page, ["0 examples"])
    assert kzoo.report(folder).parent == folder
    with pytest.raises(kzoo.KzooError, match=r"out='report\.html'"):
        kzoo.report(model)


def test_plain_models_take_fit_arguments(trained):
    name, _, x, y, _ = trained
    model, x, y = compiled_model(name)
    kzoo.fit_arguments(model, (x, y), epochs=1, progress=False)
    arguments = kzoo.fit_arguments(model, (x, y), epochs=1, progress=False)
    labels = next(iter(arguments["x"]))[1]
    assert labels.shape[1:] == ((3,) if SIX[name][2] == 3 else ())


def test_the_history_of_plain_models_is_drawn(trained):
    _, model, *_ = trained
    assert (
        len(kzoo.plots.curves(model.history).axes)
        == len(kzoo.plots.curves(model.history.history).axes)
        > 0
    )


def test_plain_models_on_the_command_line(trained, tmp_path, capsys):
    _, _, x, y, folder = trained
    np.savez(tmp_path / "new.npz", x=x, y=y)
    assert main(["evaluate", str(folder), "--data", str(tmp_path / "new.npz")]) == 0
    assert_mentions(capsys.readouterr().out, "60")
    assert main(["report", str(folder)]) == 0
    assert main(["check", str(folder)]) == 2
    assert_mentions(capsys.readouterr().err, folder.name, "--data")


@pytest.mark.usefixtures("warm_children")
def test_export_reads_the_folder_of_a_plain_model(tmp_path):
    model, x, y = compiled_model("fnn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(
            x,
            keras.utils.to_categorical(y),
            epochs=1,
            callbacks=kzoo.callbacks.quick("mine"),
            verbose=0,
        )
    exported = kzoo.export("mine", "exported", ["onnx"], progress=False)
    result = load(exported.path).predict(x[:5])
    np.testing.assert_allclose(
        result.probabilities, np.asarray(model(x[:5], training=False)), atol=1e-5
    )


def test_a_model_trained_with_fit_arguments_reads_raw_inputs():
    data = kzoo.load_data("iris", preset="iris_fnn")
    model = kzoo.build("iris_fnn", data=data, units=(4,), seed=0)
    model.fit(**kzoo.fit_arguments(model, data, epochs=1, progress=False), verbose=0)
    result = kzoo.predict(model, [dict.fromkeys(data.feature_names, 2.0)])
    assert result.labels[0] in data.class_names
    assert kzoo.evaluate(model)["examples"] == len(data.test)
    assert kzoo.evaluate(model) == kzoo.evaluate(model, data)


@pytest.mark.parametrize("source", [3, None, [1]])
def test_predict_and_evaluate_refuse_what_is_no_model(source):
    for function in (kzoo.predict, kzoo.evaluate):
        with refuses(repr(source), "run", "path", "keras.Model"):
            function(source, [[1.0]])


def test_a_model_with_two_inputs_is_refused():
    ends = [keras.Input((2,)), keras.Input((2,))]
    model = keras.Model(ends, layers.Dense(1)(layers.concatenate(ends)), name="two")
    with refuses("'two'", "inputs: 2", "outputs: 1"):
        kzoo.predict(model, np.ones((1, 2)))


def test_a_plain_regression_model_predicts_values():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse")
    x = np.array([[1.0, 2.0], [3.0, 4.0]], "float32")
    np.testing.assert_allclose(kzoo.predict(model, x).values, [[3.0], [7.0]])
    assert kzoo.evaluate(model, (x, np.array([3.0, 8.0])))["mae"] == pytest.approx(0.5)


def test_a_plain_regression_model_has_no_standardised_error_and_is_scored_on_whole_files(tmp_path):
    random = np.random.default_rng(2)
    table = pd.DataFrame(random.normal(size=(50, 2)), columns=["a", "b"]).assign(
        y=lambda f: 100 * f["a"] + f["b"]
    )
    table.to_csv(tmp_path / "new.csv", index=False)
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)], name="mine_line")
    model.compile("adam", "mse")
    x = table[["a", "b"]].to_numpy("float32")
    y = table["y"].to_numpy("float32")
    expected = metrics.mean_absolute_error(y, np.asarray(model(x))[:, 0])
    for data, target in (((x, y), None), (tmp_path / "new.csv", "y"), (table, "y")):
        result = kzoo.evaluate(model, data, target=target)
        assert (result["mse_standardised"], result["mae_standardised"], result["examples"]) == (
            None,
            None,
            50,
        )
        assert result["mae"] == pytest.approx(expected, rel=1e-4)
    parts = kzoo.load_data(table, target="y")
    assert kzoo.evaluate(model, parts)["examples"] == len(parts.test)
    with refuses("split='validation'", "Dataset"):
        kzoo.evaluate(model, table, target="y", split="validation")


def test_a_run_of_a_plain_model_standardises_new_data_as_in_training(tmp_path, undrawn):
    random = np.random.default_rng(2)
    x = random.normal(size=(60, 2)).astype("float32")
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)], name="mine_line")
    model.compile("adam", "mse")
    y = 100 * x[:, 0] + 7
    run = kzoo.train(model, (x, y), out=tmp_path / "run", epochs=1, check=False, progress=False)
    data = kzoo.load_data((x, y))
    result = kzoo.evaluate(run, (data.test.x, data.test.y))
    assert result == pytest.approx(run.summary["test"], rel=1e-5)
    assert result["mse_standardised"] == pytest.approx(
        (result["rmse"] / data.train.y.std()) ** 2, rel=1e-4
    )
