"""Quantiles of values: the network, its scores, the baselines beside it, every road to a prediction, wrong levels."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses, warns
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_pinball_loss

import kzoo
import kzoo.runtime
from kzoo.cli import main
from kzoo.problems.tasks import Target, problem
from kzoo.training.scores.quantiles import judge, score

pytestmark = pytest.mark.usefixtures("untraced_module")

LEVELS = (0.1, 0.5, 0.9)
QUICK = dict(batch_size=32, learning_rate=0.01, progress=False)


def table(rows, seed):
    """Return a table whose `size` varies more where b > 0."""
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, rows))
    noise = random.normal(size=(2, rows))
    return pd.DataFrame(
        dict(
            a=a, b=b, size=2 * a + (0.2 + (b > 0)) * noise[0] + 10, weight=100 * (a - b + noise[1])
        )
    )


def hourly(rows):
    """Return a series with a daily season."""
    random = np.random.default_rng(0)
    hours = np.arange(rows)
    load = 10 + 3 * np.sin(hours * 2 * np.pi / 24) + 0.5 * random.normal(size=rows)
    times = pd.date_range("2024-01-01", periods=rows, freq="h")
    return pd.DataFrame(
        dict(time=times, load=load, temperature=0.3 * load + random.normal(size=rows))
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of members (TabM) on two targets."""
    return kzoo.train(
        "tabular_tabm",
        table(600, 0),
        target=["size", "weight"],
        quantiles=LEVELS,
        units=(32,),
        members=4,
        bins=8,
        epochs=10,
        out=tmp_path_factory.mktemp("quantiles") / "run",
        **QUICK,
    )


@pytest.fixture(scope="module")
def forecasts(tmp_path_factory):
    """A run on two columns of a series."""
    return kzoo.train(
        "series_linear",
        hourly(300),
        target=["load", "temperature"],
        quantiles=LEVELS,
        input_shape=(48,),
        horizon=4,
        epochs=3,
        out=tmp_path_factory.mktemp("quantiles") / "forecasts",
        **QUICK,
    )


def test_the_scores_are_those_of_scikit_learn(run):
    new = table(200, 1)
    scores, predictions = kzoo.evaluate(run, new), kzoo.predict(run, new)
    assert predictions.quantiles.shape == (200, 2, 3) and predictions.levels == LEVELS
    assert (np.diff(predictions.quantiles, axis=-1) >= 0).all()
    for i, name in enumerate(("size", "weight")):
        truth = new[name].to_numpy("float32")
        quantiles = predictions.quantiles[:, i]
        losses = [
            mean_pinball_loss(truth, quantiles[:, k], alpha=level) for k, level in enumerate(LEVELS)
        ]
        of_target = scores["targets"][name]
        assert of_target["pinball"] == pytest.approx(np.mean(losses), rel=1e-5)
        inside = (quantiles[:, 0] <= truth) & (truth <= quantiles[:, -1])
        assert of_target["coverage"] == pytest.approx(inside.mean(), abs=1e-6)
        low, high = of_target["coverage_interval"]
        assert low < of_target["coverage"] < high
    assert 0.5 < scores["coverage"] < 0.97
    assert (
        run.data.task == "tabular_quantiles" and run.summary["test"]["pinball_standardised"] < 0.25
    )


def test_columns_and_the_repeated_command_name_the_levels(run):
    columns = kzoo.predict(run, table(3, 1)).columns()
    assert list(columns) == [
        "input",
        *(f"{name}_q{level}" for name in ("size", "weight") for level in LEVELS),
    ]
    assert run.config["data"]["options"]["quantiles"] == list(LEVELS)
    assert "quantiles" not in kzoo.load_data(table(60, 0), target="size").loaded["options"]


def test_an_untrained_network_gives_the_quantiles_of_a_normal_distribution():
    data = kzoo.load_data(
        table(600, 0), target=["size", "weight"], quantiles=(0.05, 0.5, 0.6, 0.95)
    )
    model = kzoo.build("tabular_fnn", data=data, units=(), seed=0)
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    (outputs,) = np.unique(model.predict(data.train.x[:20], verbose=0), axis=0)
    y = data.train.y.astype("float64")
    normal = np.array([-1.6449, 0.0, 0.2533, 1.6449])
    expected = (y.mean(axis=0)[:, None] + y.std(axis=0)[:, None] * normal).reshape(-1)
    assert np.allclose(outputs, expected, rtol=1e-3, atol=1e-3)


def test_the_loss_is_the_pinball_loss_of_standardised_targets(run):
    data = kzoo.load_data(table(600, 0), target=["size", "weight"], quantiles=LEVELS)
    loss = problem("tabular_quantiles").task.fitting.make_loss(
        "pinball",
        problem("tabular_quantiles").task,
        task="tabular_quantiles",
        config=data.config,
        training={},
    )
    random = np.random.default_rng(0)
    truth = random.normal(size=(40, 2)).astype("float32")
    outputs = random.normal(size=(40, 6)).astype("float32")
    expected = np.mean(
        [
            mean_pinball_loss(truth[:, target], outputs[:, 3 * target + k], alpha=level)
            for target in range(2)
            for k, level in enumerate(LEVELS)
        ]
    )
    assert float(np.mean(keras.ops.convert_to_numpy(loss(truth, outputs)))) == pytest.approx(
        expected, rel=1e-5
    )


def test_weights_count_as_repeated_rows():
    random = np.random.default_rng(0)
    truth, outputs = random.normal(size=(50, 2)), random.normal(size=(50, 6))
    weight = random.integers(0, 3, 50)
    target = Target(names=("a", "b"), config={"quantiles": LEVELS, "target_scale": [1.0, 2.0]})
    weighted = score([(outputs, truth)], target, weight=weight).scores
    repeated = score(
        [(np.repeat(outputs, weight, axis=0), np.repeat(truth, weight, axis=0))], target
    )
    for name in ("pinball", "coverage", "band_width", "pinball_standardised"):
        assert weighted[name] == pytest.approx(repeated.scores[name], rel=1e-6)
    errors = judge(repeated.truth, repeated.answers, target)
    assert errors.error.mean() == pytest.approx(repeated.scores["pinball_standardised"], rel=1e-6)


def test_an_objective_of_several_targets_is_of_standardised_ones(tmp_path, capsys):
    options = dict(target=["size", "weight"], quantiles=LEVELS, units=(8,), epochs=2, batch_size=32)
    run = kzoo.train(
        "tabular_tabm",
        table(300, 0),
        objective="pinball",
        members=2,
        out=tmp_path / "run",
        baselines=False,
        **options,
    )
    assert_mentions(capsys.readouterr().err, "objective='pinball'", "units", "pinball_standardised")
    assert run.summary["monitor"] == "val_pinball_standardised"
    validation = run.summary["validation"]["pinball_standardised"]
    assert run.summary["best_value"] == pytest.approx(validation, rel=1e-5)
    plan = kzoo.tune("tabular_fnn", table(300, 0), dry_run=True, trials=2, **options)
    assert plan.objective == ("val_pinball_standardised", "min")
    plan = kzoo.tune(
        "tabular_fnn", table(300, 0), dry_run=True, trials=2, **options | dict(target="size")
    )
    assert plan.objective == ("val_pinball", "min")


def test_scores_that_do_not_tell_which_predictions_are_better_are_no_objectives(tmp_path):
    options = dict(target="size", quantiles=LEVELS, out=tmp_path / "run")
    for name in ("coverage", "band_width"):
        with refuses(f"objective='{name}'", "'pinball'", "pinball_standardised"):
            kzoo.train("tabular_fnn", table(300, 0), objective=name, **options)
        with refuses(f"objective='{name}'", "'pinball'"):
            kzoo.tune("tabular_fnn", table(300, 0), objective=name, **options)
    with refuses("objective='relative_mae'", "'mae'", "r2"):
        kzoo.train(
            "tabular_fnn", table(300, 0), objective="relative_mae", **options | dict(quantiles=None)
        )
    assert not (tmp_path / "run").exists()


# notes of kzoo.build about adapted settings
@pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning")
def test_tables_are_trained_without_dropout_unless_it_is_set():
    random = np.random.default_rng(0)
    source = random.normal(size=(60, 3)).astype("float32"), random.normal(size=60).astype("float32")
    data = kzoo.load_data(source, quantiles=(0.1, 0.9), preset="tabular_tabm")
    with warns("dropout=0", "quantiles"):
        model = kzoo.build("tabular_tabm", data=data)
    assert kzoo.spec_of(model)["config"]["dropout"] == 0
    assert (
        kzoo.spec_of(kzoo.build("tabular_tabm", data=data, dropout=0.2))["config"]["dropout"] == 0.2
    )
    values = kzoo.load_data(source, preset="tabular_tabm")
    assert kzoo.spec_of(kzoo.build("tabular_tabm", data=values))["config"]["dropout"] > 0


def test_the_baselines_have_the_same_levels(run):
    data = kzoo.load_data(table(400, 0), target="size", drop="weight", quantiles=LEVELS)
    results = {result.name: result.scores for result in kzoo.baselines.score(data)}
    assert set(results) == {"training_quantiles", "quantile_regression", "quantile_trees"}
    truth, train = data.test.y[:, 0], data.train.y[:, 0]
    models = [
        HistGradientBoostingRegressor(
            loss="quantile", quantile=level, random_state=0, max_iter=100
        ).fit(data.train.x, train)
        for level in LEVELS
    ]
    trees = np.sort(np.stack([model.predict(data.test.x) for model in models], axis=1), axis=1)
    losses = [mean_pinball_loss(truth, trees[:, k], alpha=level) for k, level in enumerate(LEVELS)]
    assert results["quantile_trees"]["pinball"] == pytest.approx(np.mean(losses), rel=1e-4)
    constant = np.quantile(train.astype("float64"), LEVELS)
    losses = [
        mean_pinball_loss(truth, np.full(len(truth), q), alpha=q_level)
        for q, q_level in zip(constant, LEVELS, strict=True)
    ]
    assert results["training_quantiles"]["pinball"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert (
        results["quantile_regression"]["pinball"] < 0.6 * results["training_quantiles"]["pinball"]
    )


def test_forecasts_have_quantiles_of_each_step(forecasts, tmp_path):
    predictions = kzoo.predict(forecasts, hourly(300))
    assert predictions.quantiles.shape == (1, 4, 2, 3) and predictions.horizon == 4
    assert forecasts.data.task == "quantile_forecasting"
    frame = predictions.to_frame()
    assert list(frame.columns[-8:]) == [
        f"{n}_{end}"
        for n in ("load", "temperature")
        for end in ("mean", *(f"q{level}" for level in LEVELS))
    ]
    assert np.allclose(frame["temperature_q0.9"], predictions.quantiles[0, :, 1, 2])
    names = {baseline["name"] for baseline in forecasts.summary["baselines"]}
    simple = {"training_quantiles", "seasonal_quantiles", "season_quantiles"}
    assert names == {*simple, "seasonal_mean", "ets", "auto_ets", "theta_method", "auto_theta"}
    assert_mentions(kzoo.report(forecasts).read_text(encoding="utf-8"), "pinball loss", "band")
    exported = kzoo.export(forecasts, tmp_path / "exported", formats=["onnx"])
    opened = kzoo.runtime.load(exported).predict(hourly(300))
    assert np.allclose(opened.quantiles, predictions.quantiles, rtol=1e-4)
    hourly(300).to_csv(tmp_path / "new.csv", index=False)
    assert (
        main(
            [
                "predict",
                str(exported.path),
                str(tmp_path / "new.csv"),
                "--plot",
                str(tmp_path / "plot.png"),
            ]
        )
        == 0
    )
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_forecasts_of_a_single_target_have_an_axis_of_targets():
    target = Target(names=("load",), config={"quantiles": LEVELS})
    predictions = problem("quantile_forecasting").task.inference.answer(
        target, np.zeros((2, 4, 3)), inputs=(0, 1)
    )
    assert predictions.quantiles.shape == (2, 4, 1, 3) and (
        predictions.horizon,
        predictions.targets,
    ) == (4, 1)
    assert len(predictions.columns()["load_q0.9"]) == 8


def test_an_export_and_the_report_have_the_quantiles(run, tmp_path):
    exported = kzoo.export(run, tmp_path / "exported", formats=["onnx"])
    new = table(20, 2)
    opened = kzoo.runtime.load(exported).predict(new)
    predictions = kzoo.predict(run, new)
    assert opened.levels == LEVELS and list(opened.columns()) == list(predictions.columns())
    assert np.allclose(opened.quantiles, predictions.quantiles, rtol=1e-4, atol=1e-4)
    assert_mentions(
        kzoo.report(run).read_text(encoding="utf-8"),
        "band of quantiles over true values",
        "coverage",
    )


def test_the_command_line_takes_and_prints_quantiles(tmp_path, capsys):
    data, out = tmp_path / "table.csv", tmp_path / "run"
    table(100, 0).to_csv(data, index=False)
    command = [
        "train",
        "tabular_fnn",
        "--data",
        str(data),
        "--target",
        "size",
        "--quantiles",
        "0.1,0.9",
    ]
    assert main([*command, "--epochs", "1", "--out", str(out)]) == 0
    assert "--quantiles 0.1,0.9" in kzoo.Run(out).config["command"]
    capsys.readouterr()
    assert main(["predict", str(out), str(data), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["predictions"][0]
    assert row["levels"] == [0.1, 0.9] and np.shape(row["quantiles"]) == (1, 2)
    assert main(["predict", str(out), str(data)]) == 0


@pytest.mark.parametrize(
    ("levels", "parts"),
    [
        ((0, 0.5), ["0", "between 0 and 1"]),
        ((0.5, 1), ["1", "between 0 and 1"]),
        ((0.9, 0.1), ["0.9", "ascending"]),
        ((0.1, 0.1), ["0.1", "twice"]),
        ((0.5,), ["0.5", "at least two"]),
        ((), ["at least two"]),
        (("low", "high"), ["low", "numbers"]),
        ((0.1, float("nan")), ["nan", "between 0 and 1"]),
        (0.5, ["0.5", "several numbers"]),
        ("0.1,0.9", ["0.1,0.9", "several numbers"]),
    ],
)
def test_wrong_levels_are_refused(levels, parts):
    with refuses("quantiles=", *parts):
        kzoo.load_data(table(60, 0), target="size", quantiles=levels)


@pytest.mark.parametrize("levels", ["low", "0.5", "0.9,0.1", "0,1", "0.1,,0.9"])
def test_wrong_levels_are_refused_on_the_command_line(levels, tmp_path, capsys):
    data = tmp_path / "table.csv"
    table(60, 0).to_csv(data, index=False)
    command = [
        "train",
        "tabular_fnn",
        "--data",
        str(data),
        "--target",
        "size",
        "--quantiles",
        levels,
    ]
    assert main([*command, "--out", str(tmp_path / "run")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert_mentions(line, "--quantiles")


def test_quantiles_of_what_has_none_are_refused(run, tmp_path):
    data = table(60, 0)
    with refuses("quantiles=", "task='classification'"):
        kzoo.load_data(data, target="size", quantiles=LEVELS, task="classification")
    with refuses("quantiles", "tabular_fnn"):
        kzoo.build("tabular_fnn", quantiles=LEVELS)
    with refuses("mse", "pinball"):
        kzoo.train(
            "tabular_fnn",
            data,
            target="size",
            quantiles=LEVELS,
            loss="mse",
            out=tmp_path,
            progress=False,
        )
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)], name="mine")
    model.compile(loss="mse")
    with refuses("quantiles=", "mine", "preset"):
        kzoo.train(
            model,
            data,
            target="size",
            drop="weight",
            quantiles=LEVELS,
            out=tmp_path,
            progress=False,
        )
