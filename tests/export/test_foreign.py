"""Models that kzoo did not build: Keras models of users, and ensembles."""

import keras
import numpy as np
import pytest
from keras import layers
from messages import refuses

import kzoo


@pytest.fixture(scope="module")
def keras_model():
    """Exact gelu and celu, whose conversion by TensorFlow writes an ONNX file that does not load; and logits."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(16, "gelu"), layers.Dense(8, "celu"), layers.Dense(3)],
        name="mine",
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@pytest.mark.slow
def test_a_keras_model_becomes_probabilities_in_every_format(keras_model, tmp_path):
    exported = kzoo.export(keras_model, tmp_path / "mine", ["keras", "onnx"], progress=False)
    assert {key: entry["status"] for key, entry in exported.exports.items()} == {
        "keras": "ok",
        "onnx": "ok",
    }
    assert exported.spec["family"] is None
    assert exported.config["outputs"] == [
        {"name": "probabilities", "shape": [None, 3], "kind": "probabilities"}
    ]
    x = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    again = keras.saving.load_model(exported.file("keras"), compile=False)
    assert np.allclose(
        again.predict(x, verbose=0), keras.ops.softmax(keras_model.predict(x, verbose=0)), atol=1e-6
    )
    copy = keras.saving.load_model(exported.path / "model.keras", compile=False)
    assert np.allclose(copy.predict(x, verbose=0), keras_model.predict(x, verbose=0), atol=1e-6)


@pytest.mark.slow
def test_an_ensemble_answers_with_all_its_members(home, tmp_path):
    settings = dict(units=(8,), epochs=4, callbacks="quick", progress=False)
    runs = [
        kzoo.train("iris_fnn", "iris", out=home / f"iris{i}", seed=i, **settings) for i in range(2)
    ]
    vote = kzoo.ensemble(runs, method="vote", out=home / "vote")
    with refuses("onnx", "keras", "saved_model"):
        kzoo.export(vote, tmp_path / "exported", ["keras", "onnx"], progress=False)
    assert list(tmp_path.iterdir()) == []
    together = kzoo.ensemble(runs, out=home / "together")
    exported = kzoo.export(
        together, tmp_path / "exported", ["keras", "saved_model", "onnx", "litert"], progress=False
    )
    assert {entry["status"] for entry in exported.exports.values()} == {"ok"}
    assert exported.labels == together.class_names
    assert (exported.path / "model.keras").exists()


def test_int8_is_accurate_for_a_unit_that_normalisation_made_large(tmp_path):
    keras.utils.set_random_seed(0)
    norm = layers.BatchNormalization()
    model = keras.Sequential(
        [keras.Input((16,)), layers.Dense(256, "relu"), norm, layers.Dense(10, "softmax")]
    )
    kernel, bias = model.layers[0].get_weights()
    # this unit is never active
    model.layers[0].set_weights([kernel, np.where(np.arange(256) == 0, -100, bias)])
    norm.gamma.assign(np.where(np.arange(256) == 0, 1000, 1))
    x = np.random.default_rng(0).normal(size=(600, 16)).astype("float32")
    exported = kzoo.export(
        model, tmp_path / "exported", ("onnx", "litert"), quantize="int8", data=x, progress=False
    )
    for key in ("onnx_int8", "litert_int8"):
        assert exported.exports[key]["status"] == "ok", exported.exports[key]
