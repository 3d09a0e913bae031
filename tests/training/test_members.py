"""Members learn separately and answer by their mean, which is monitored, scored and saved."""

import keras
import numpy as np
import pandas as pd
import pytest
from messages import refuses, warns

import kzoo
from kzoo.training.setup import core_of

pytestmark = pytest.mark.usefixtures("untraced", "undrawn")

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(120, 4)).astype("float32")
SMALL = dict(units=(6,), members=3, bins=5, bins_dim=2, epochs=3, batch_size=32)


def softmax_loss(probabilities, labels):
    return -np.log(np.take_along_axis(probabilities, labels[..., None], axis=-1)[..., 0])


def test_members_have_separate_losses_and_validation_uses_their_mean():
    model = kzoo.build(
        "tabular_tabm", input_shape=(4,), outputs=3, units=(6,), members=5, dropout=0.0, seed=1
    )
    for weight in model.weights:
        weight.assign(RANDOM.normal(size=weight.shape, scale=0.5))
    core = core_of(model)
    assert [v.path for v in core.trainable_variables] == [v.path for v in model.trainable_variables]
    core.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    labels = RANDOM.integers(0, 3, 120)
    weight = np.array([1.0, 2.0, 0.5])
    each = keras.ops.convert_to_numpy(
        keras.Model(model.input, model.get_layer("members").input)(ROWS)
    )  # (N, 5, 3)
    mean = each.mean(axis=1)
    scores = core.evaluate(ROWS, labels, batch_size=120, verbose=0)
    assert scores[0] == pytest.approx(softmax_loss(mean, labels).mean(), rel=1e-4)
    assert scores[1] == pytest.approx((mean.argmax(1) == labels).mean())
    np.testing.assert_allclose(
        core.predict(ROWS, verbose=0), model.predict(ROWS, verbose=0), atol=1e-6
    )
    core.save("core.keras")
    saved = keras.saving.load_model("core.keras")
    assert type(saved) is type(model)
    np.testing.assert_array_equal(saved.predict(ROWS, verbose=0), model.predict(ROWS, verbose=0))
    members = softmax_loss(each, np.repeat(labels[:, None], 5, axis=1)) * weight[labels][:, None]
    history = core.fit(
        ROWS, labels, batch_size=120, class_weight=dict(enumerate(weight)), verbose=0
    ).history
    assert history["loss"][0] == pytest.approx(members.mean(), rel=1e-4)
    # which it could have been
    assert abs(members.mean() - (softmax_loss(mean, labels) * weight[labels]).mean()) > 1e-3
    assert history["accuracy"][0] == pytest.approx((mean.argmax(1) == labels).mean())


def test_predicted_values_are_monitored_saved_and_scored_by_the_mean(tmp_path):
    table = pd.DataFrame(ROWS, columns=list("abcd"))
    table["kind"], table["mark"] = np.where(ROWS[:, 0] > 0, "x", "y"), np.arange(120) == 7
    table["far"], table["near"] = 1000 + 200 * ROWS[:, 1] ** 2, ROWS[:, 2] * 0.01
    run = kzoo.train(
        "tabular_tabm",
        table,
        target="far,near",
        task="regression",
        out=tmp_path / "run",
        progress=False,
        check=False,
        loss="mse",
        **SMALL,
    )
    data = kzoo.load_data(table, target="far,near", task="regression")
    truth = data.validation.y
    scale = np.array(data.config["target_scale"])
    error = (run.model.predict(data.validation.x, verbose=0) - truth) / scale
    assert min(run.history["val_loss"]) == pytest.approx((error**2).mean(), rel=1e-4)
    assert run.summary["test"]["mse_standardised"] > 0
    assert (
        type(run.model).__module__.startswith("keras.") and run.model.layers[-1].name == "unscale"
    )
    far = kzoo.predict(run, table.assign(a=1e9)).values  # out of all bins: as the largest one
    np.testing.assert_allclose(
        far, kzoo.predict(run, table.assign(a=float(ROWS[:, 0].max()))).values, rtol=1e-5
    )


def test_answers_are_stored_as_probabilities_or_logits(tmp_path):
    labels = np.where(ROWS[:, 0] > 0.5, "yes", "no")
    options = dict(progress=False, check=False, **SMALL)
    run = kzoo.train("tabular_tabm", (ROWS, labels), out=tmp_path / "run", **options)
    assert run.config["answers"] == "probabilities" and run.summary["test"]["loss"] > 0
    options |= dict(output_activation="linear", out=tmp_path / "logits")
    logits = kzoo.train("tabular_tabm", (ROWS, labels), **options)
    assert logits.config["answers"] == "logits"
    assert kzoo.predict(logits, ROWS[:3]).probabilities.sum(axis=1) == pytest.approx(1)


def test_edges_of_bins_are_quantiles_of_training_rows_unless_they_are_set():
    x = np.concatenate([np.zeros((900, 2)), RANDOM.normal(size=(100, 2))]).astype("float32")
    x[:, 1] = np.arange(1000) == 3
    data = kzoo.load_data(
        (x, (x[:, 0] > 0).astype(int)), validation=0, test=0, preset="tabular_tabm"
    )
    config = kzoo.spec_of(kzoo.build("tabular_tabm", data=data, bins=10, compile=False))["config"]
    edges = np.reshape(config["edges"], (2, 11))
    assert (edges[0] == 0).sum() <= 6 and len(set(edges[0])) >= 6  # nine of ten rows are 0
    assert edges[0, 0] == x[:, 0].min() and edges[0, -1] == x[:, 0].max()
    assert sorted(set(edges[1])) == [0, 1]
    requested = [float(number) for number in range(22)]
    model = kzoo.build("tabular_tabm", data=data, bins=10, edges=requested, compile=False)
    assert list(kzoo.spec_of(model)["config"]["edges"]) == requested


def test_plain_fit_of_members_refers_to_kzoo_train():
    data = kzoo.load_data("iris", preset="iris_fnn")
    with warns("members", "model.fit(x, y)", "kzoo.train"):
        model = kzoo.build("tabular_tabm", data=data)
    with refuses("members", "kzoo.train", repr(model.name)):
        kzoo.fit_arguments(model, data)
    with refuses("tabular_tabm", "members", "kzoo.tune"):
        kzoo.hypermodel("tabular_tabm")
