"""With the linear probe the last layer begins as scikit-learn's logistic regression on trained features."""

import keras
import numpy as np
import pytest
from messages import assert_mentions, missing_from, refuses
from sklearn.linear_model import LogisticRegression, RidgeCV

import kzoo
from kzoo.data.dataset import Split
from kzoo.training.linear_probe import _ALPHAS, _C, linear_probe

pytestmark = pytest.mark.usefixtures("undrawn", "untraced")

SMALL = dict(
    input_shape=(12, 12, 3),
    filters=(4, 6),
    block="plain",
    norm=None,
    dropout=0.1,
    units_dropout=0.3,
)


def images(classes, count=60):
    random = np.random.default_rng(0)
    y = np.arange(count) % classes
    return (
        random.uniform(0, 255, (count, 12, 12, 3)) * (1 + y[:, None, None, None]) / classes
    ).astype("float32"), y


def network(**settings):
    """Return a network that another one of the same settings can begin with."""
    return kzoo.build("image_cnn", seed=5, compile=False, **SMALL | settings)


def reference(model, x, y):
    """What scikit-learn answers by itself, on features of length 1 in the mean."""
    below = keras.Model(model.input, model.get_layer("outputs").input)
    features = keras.ops.convert_to_numpy(below(x, training=False)).astype("float64")
    features /= np.sqrt((features**2).sum(axis=1).mean())
    return LogisticRegression(C=_C, max_iter=1000).fit(features, y).predict_proba(features)


@pytest.mark.parametrize(
    "classes, settings",
    [
        (3, dict(outputs=3)),
        (3, dict(outputs=3, output_scale=0.25)),
        (2, dict(outputs=2)),
        (2, dict(outputs=1, output_activation="sigmoid")),
    ],
)
def test_the_network_answers_as_logistic_regression_of_scikit_learn(classes, settings):
    model, (x, y) = network(**settings), images(classes)
    note = linear_probe(model, model.input, Split(x=x, y=y), batch_size=16)
    assert_mentions(note, "last layer", "60 examples")
    answers = keras.ops.convert_to_numpy(model(x, training=False))
    answers = np.hstack([1 - answers, answers]) if settings["outputs"] == 1 else answers
    np.testing.assert_allclose(answers, reference(model, x, y), atol=2e-4)
    assert (answers.argmax(axis=1) == y).mean() > 0.9  # there was something to learn
    before = model.get_weights()
    # it is trained by now
    assert linear_probe(model, model.input, Split(x=x[::-1], y=y), batch_size=16) is None
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_training_begins_with_the_probe_if_linear_probe_is_set(tmp_path, capsys):
    # At a learning rate of nearly 0 the weights stay those that training began with.
    still = dict(
        epochs=1, batch_size=16, learning_rate=1e-12, warmup=0.0, weight_decay=0.0, augment=()
    )
    options = dict(weights=network(outputs=7), callbacks="quick", check=False, **still, **SMALL)
    accuracy = {}
    note = ["last layer", "43 examples"]
    for probed in (True, False):
        run = kzoo.train(
            "image_cnn", images(3), out=tmp_path / str(probed), linear_probe=probed, **options
        )
        accuracy[probed] = run.history["val_accuracy"][0]
        assert missing_from(capsys.readouterr().err, note) == ([] if probed else note)
    assert accuracy[True] == 1.0 and accuracy[False] < 0.7


@pytest.mark.parametrize("targets", [1, 2])
def test_values_begin_as_ridge_regression_of_scikit_learn(targets, tmp_path):
    x, y = images(5)
    y = np.stack([3000.0 + 10 * y, -0.1 * y], axis=1)[:, :targets]
    data = kzoo.load_data((x, y), preset="image_cnn", task="regression")
    model = kzoo.build("image_cnn", data=data, seed=5, compile=False, **SMALL)
    offset, scale = data.config["target_offset"], data.config["target_scale"]
    note = linear_probe(model, model.input, data.train, batch_size=16, standardize=(offset, scale))
    assert_mentions(note, "ridge", "43 examples")
    below = keras.Model(model.input, model.get_layer("outputs").input)
    features = keras.ops.convert_to_numpy(below(data.train.x, training=False)).astype("float64")
    features /= np.sqrt((features**2).sum(axis=1).mean())
    ridge = RidgeCV(_ALPHAS).fit(features, (data.train.y - offset) / scale)
    expected = ridge.predict(features).reshape(-1, targets) * scale + offset
    outputs = keras.ops.convert_to_numpy(model(data.train.x, training=False))
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-3)
    run = kzoo.train(
        "image_cnn",
        (x, y),
        task="regression",
        weights=network(outputs=7),
        linear_probe=True,
        epochs=1,
        min_steps=0,
        learning_rate=1e-12,
        check=False,
        progress=False,
        out=tmp_path / "run",
        **SMALL,
    )
    # the features of random filters are linear in the brightness
    assert run.summary["test"]["r2"] > 0.9


def test_linear_probe_without_weights_a_fitting_layer_or_classes_is_refused(tmp_path):
    fit = dict(out=tmp_path / "run", linear_probe=True, check=False, progress=False, **SMALL)
    with refuses("linear_probe=True", "weights="):
        kzoo.train("image_cnn", images(3), **fit)
    with refuses("linear_probe=True", "last layer", "bias", "image_cnn"):
        kzoo.train("image_cnn", images(3), weights=network(outputs=3), output_bias=False, **fit)
    with refuses("linear_probe", "classes", "series_linear"):
        kzoo.train("series_linear", "sine", weights=network(outputs=3), linear_probe=True)
    assert not (tmp_path / "run").exists()
