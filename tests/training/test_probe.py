"""The linear probe: with trained weights below it, the last layer begins as scikit-learn's logistic regression."""

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import kzoo
from kzoo.dataset.dataset import Split
from kzoo.training.probe import _STRENGTH, probe

pytestmark = pytest.mark.usefixtures("undrawn", "untraced")

SMALL = dict(input_shape=(12, 12, 3), filters=(4, 6), block="plain", norm=None, dropout=0.1, units_dropout=0.3)


def images(classes, count=60):
    random, y = np.random.default_rng(0), np.arange(count) % classes
    return (random.uniform(0, 255, (count, 12, 12, 3)) * (1 + y[:, None, None, None]) / classes).astype("float32"), y


def network(**settings):
    """Return a network that another one of the same settings can begin with."""
    return kzoo.build("image_cnn", seed=5, compile=False, **SMALL | settings)


def reference(model, x, y):
    """What scikit-learn answers by itself, on features of length 1 in the mean."""
    below = keras.Model(model.input, model.get_layer("outputs").input)
    features = keras.ops.convert_to_numpy(below(x, training=False)).astype("float64")
    features /= np.sqrt((features**2).sum(axis=1).mean())
    return LogisticRegression(C=_STRENGTH, max_iter=1000).fit(features, y).predict_proba(features)


@pytest.mark.parametrize("classes, settings", [
    (3, dict(outputs=3)), (3, dict(outputs=3, output_scale=0.25)), (2, dict(outputs=2)),
    (2, dict(outputs=1, output_activation="sigmoid")),
])  # fmt: skip
def test_the_network_answers_as_scikit_learn_does(classes, settings):
    model, (x, y) = network(**settings), images(classes)
    said = probe(model, model.input, Split(x=x, y=y), batch_size=16)
    assert said == "Linear probe: the last layer begins with what fits 60 examples best."
    found = keras.ops.convert_to_numpy(model(x, training=False))
    found = np.hstack([1 - found, found]) if settings["outputs"] == 1 else found
    np.testing.assert_allclose(found, reference(model, x, y), atol=2e-4)
    assert (found.argmax(axis=1) == y).mean() > 0.9  # there was something to learn
    kept = model.get_weights()
    assert probe(model, model.input, Split(x=x[::-1], y=y), batch_size=16) is None  # it is trained by now
    assert all(np.array_equal(a, b) for a, b in zip(kept, model.get_weights(), strict=True))


def test_training_begins_with_it_where_it_is_asked_for(tmp_path, capsys):
    # At a rate of nearly nothing, what is trained is what it began with.
    still = dict(epochs=1, batch_size=16, learning_rate=1e-12, warmup=0.0, weight_decay=0.0, augment=())
    options = dict(weights=network(outputs=7), callbacks="quick", check=False, **still, **SMALL)
    accuracy = {}
    for asked in (True, False):
        run = kzoo.train("image_cnn", images(3), out=tmp_path / str(asked), linear_probe=asked, **options)
        accuracy[asked] = run.history["val_accuracy"][0]
        assert ("Linear probe" in capsys.readouterr().err) is asked
    assert accuracy[True] == 1.0 and accuracy[False] < 0.7


def test_what_has_no_such_layer_is_refused(tmp_path):
    fit = dict(out=tmp_path / "run", linear_probe=True, check=False, progress=False, **SMALL)
    with pytest.raises(kzoo.KzooError, match="linear_probe=True needs weights="):
        kzoo.train("image_cnn", images(3), **fit)
    with pytest.raises(kzoo.KzooError, match="linear_probe=True needs a dense last layer with a bias"):
        kzoo.train("image_cnn", images(3), weights=network(outputs=3), output_bias=False, **fit)
    with pytest.raises(kzoo.KzooError, match=r"linear_probe=True is for classes, and diabetes has values to predict"):
        kzoo.train("tabular_fnn", "diabetes", weights=network(outputs=3), linear_probe=True)
    assert not (tmp_path / "run").exists()
