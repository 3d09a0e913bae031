"""Losses of skewed positive targets: the correction of medians to means, and the choice between two scales."""

import keras
import numpy as np
import pandas as pd
import pytest
from messages import notes_with, refuses, warns
from sklearn.metrics import mean_gamma_deviance

import kzoo
import kzoo.runtime
from kzoo.cli import main
from kzoo.zoo.losses.values import gamma, log_mse

pytestmark = pytest.mark.usefixtures("untraced_module")

QUICK = dict(batch_size=32, learning_rate=0.01, progress=False, baselines=False)


def prices(rows, seed):
    """Return a table of lognormal prices, whose mean is 1.4 times their median."""
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, rows))
    return pd.DataFrame(
        dict(a=a, b=b, price=np.exp(8 + a - 0.5 * b + 0.8 * random.normal(size=rows)))
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of members (TabM), whose predictions are averaged before the correction."""
    return kzoo.train(
        "tabular_tabm",
        prices(600, 0),
        target="price",
        loss="log_mse",
        units=(32,),
        members=4,
        bins=8,
        epochs=10,
        out=tmp_path_factory.mktemp("prices") / "run",
        **QUICK,
    )


def test_the_mean_prediction_on_validation_rows_is_that_of_the_truth(run):
    data = kzoo.load_data(prices(600, 0), target="price")
    assert len(data.validation) < 50  # too few: of training rows
    for file in ("best.keras", "last.keras"):
        model = kzoo.load_model(run.path / file)
        assert model.predict(data.train.x, verbose=0).mean() == pytest.approx(
            data.train.y.mean(), rel=1e-3
        )
    new = prices(4000, 1)
    predicted = kzoo.predict(run, new).values[:, 0]
    assert 0.75 < predicted.sum() / new.price.sum() < 1.25
    # The median of the ratio is far below 1: the predictions are means.
    assert np.median(new.price / predicted) < 0.85
    assert run.target.config["target_offset"][0] == pytest.approx(data.train.y.mean(), rel=1e-5)


def wide_prices(rows, seed):
    """Return lognormal prices with six columns, of which three matter."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 6))
    logs = 1 + 0.6 * x[:, 0] + 0.4 * x[:, 1] * x[:, 2] + 0.8 * random.normal(size=rows)
    return pd.DataFrame(x, columns=list("abcdef")).assign(price=np.exp(logs))


def test_a_network_that_overfits_predicts_the_mean_of_new_rows(tmp_path):
    """A factor from training rows would make the mean of new rows some 5 to 9 % too small."""
    frame, new = wide_prices(3000, 0), wide_prices(20_000, 3)
    run = kzoo.train(
        "tabular_fnn",
        frame,
        target="price",
        loss="log_mse",
        monitor="loss",
        dropout=0.0,
        weight_decay=0.0,
        epochs=40,
        min_steps=0,
        validation=0.4,
        test=0.0,
        out=tmp_path / "run",
        **QUICK | dict(check=False),
    )
    data = kzoo.load_data(frame, target="price", validation=0.4, test=0.0)
    predicted = run.model.predict(data.validation.x, verbose=0)
    assert predicted.mean() == pytest.approx(data.validation.y.mean(), rel=1e-3)
    # The factor has the standard error of the mean ratio, some 3 % on 1,200 rows; 20,000 new rows add 1 %.
    ratio = kzoo.predict(run, new).values.mean() / new.price.mean()
    assert ratio == pytest.approx(1, abs=0.05)
    errors = {
        name: np.std(np.log(part.y / run.model.predict(part.x, verbose=0)))
        for name, part in (("train", data.train), ("validation", data.validation))
    }
    assert errors["train"] < 0.9 * errors["validation"]  # it overfits


def test_an_export_gives_the_means(run, tmp_path):
    exported = kzoo.export(run, tmp_path / "exported", formats=["onnx"])
    new = prices(20, 1)
    assert np.allclose(
        kzoo.runtime.load(exported).predict(new).values, kzoo.predict(run, new).values, rtol=1e-4
    )


def test_the_same_call_finds_the_run_and_an_ensemble_takes_it(run, tmp_path):
    again = kzoo.train(
        "tabular_tabm",
        prices(600, 0),
        target="price",
        loss="log_mse",
        units=(32,),
        members=4,
        bins=8,
        epochs=10,
        out=run.path,
        **QUICK,
    )
    assert again.config["created"] == run.config["created"]
    other = kzoo.train(
        "tabular_fnn",
        prices(600, 0),
        target="price",
        loss="gamma",
        epochs=3,
        out=tmp_path / "gamma",
        **QUICK,
    )
    ensemble = kzoo.ensemble([run, other], out=tmp_path / "ensemble")
    values = [kzoo.predict(model, prices(10, 1)).values for model in (run, other, ensemble)]
    assert np.allclose((values[0] + values[1]) / 2, values[2], rtol=1e-4)


def test_the_losses_are_those_of_numpy_and_scikit_learn():
    random = np.random.default_rng(0)
    truth, outputs = (np.exp(random.normal(size=(40, 1))).astype("float32") for _ in range(2))
    value = float(np.mean(keras.ops.convert_to_numpy(log_mse(truth, outputs))))
    assert value == pytest.approx(np.mean((np.log(truth) - np.log(outputs)) ** 2), rel=1e-4)
    value = float(np.mean(keras.ops.convert_to_numpy(gamma(truth, outputs))))
    assert value == pytest.approx(mean_gamma_deviance(truth[:, 0], outputs[:, 0]) / 2, rel=1e-4)


def test_the_scale_is_chosen_on_validation_data(tmp_path, capsys):
    skewed = kzoo.train(
        "tabular_fnn",
        prices(600, 0),
        target="price",
        loss="mse_or_log",
        epochs=1,
        out=tmp_path / "log",
        **QUICK | dict(progress=True),
    )
    assert skewed.spec.training["loss"] == "log_mse"
    assert notes_with(capsys.readouterr().err.splitlines(), "log_mse", "gamma deviance")
    random = np.random.default_rng(0)
    a = random.uniform(size=600)
    linear = pd.DataFrame(dict(a=a, price=1 + 100 * a + random.normal(size=600) ** 2))
    run = kzoo.train(
        "tabular_fnn",
        linear,
        target="price",
        loss="mse_or_log",
        epochs=1,
        out=tmp_path / "mse",
        **QUICK,
    )
    assert run.spec.training["loss"] == "mse"


def test_targets_and_calls_that_cannot_be_corrected_are_refused(tmp_path, capsys):
    table = prices(100, 0)
    with refuses("log_mse", "-1", "loss='mse'"):
        kzoo.train(
            "tabular_fnn",
            table.assign(price=[-1.0, *table.price[1:]]),
            target="price",
            loss="log_mse",
            out=tmp_path / "run",
            **QUICK,
        )
    with refuses("validation=0.1", "log_mse"):
        kzoo.train(
            "tabular_fnn",
            table,
            target="price",
            loss="mse_or_log",
            validation=0,
            out=tmp_path / "run",
            **QUICK,
        )
    series = pd.DataFrame(
        dict(time=pd.date_range("2024-01-01", periods=900, freq="h"), load=np.arange(1.0, 901.0))
    )
    with refuses("log_mse", "tables"):
        kzoo.train("series_linear", series, loss="log_mse", out=tmp_path / "run", **QUICK)
    table.to_csv(tmp_path / "table.csv", index=False)
    words = [
        "train",
        "tabular_fnn",
        "--data",
        str(tmp_path / "table.csv"),
        "--target",
        "price",
        "--set",
    ]
    assert (
        main([*words, "loss=log_mse", "output_activation=tanh", "--out", str(tmp_path / "run")])
        == 2
    )
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    data = kzoo.load_data(table, target="price")
    with warns("log_mse", "medians"):
        model = kzoo.build("tabular_fnn", data=data, loss="log_mse")
    core = keras.Model(model.input, model.get_layer("unscale").input)
    with refuses("log_mse", "kzoo.train"):
        kzoo.fit_arguments(core, data)
