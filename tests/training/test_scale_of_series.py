"""Panels whose series differ in size by six decades: the loss, forecasts of runs and exports, and their notes."""

import warnings

import numpy as np
import pandas as pd
import pytest
from shortcuts import undrawn, untraced

import kzoo
import kzoo.runtime
from kzoo.data.options import DataOptions
from kzoo.inference.kinds.series.inference import band_note
from kzoo.training.plan import plan_training
from kzoo.utils.errors import KzooWarning

OPTIONS = dict(target="sales", series_id="shop", time="day")
TRAIN = dict(horizon=3, input_shape=14, epochs=2, batch_size=32, progress=False, check=False)
SIZES = 10.0 ** np.arange(-3, 4)


def shops(days=80):
    """Return daily sales of seven shops, each about ten times as large as the one before, and their promotions."""
    random = np.random.default_rng(5)
    frames = []
    for number, size in enumerate(SIZES):
        promo = random.integers(0, 2, days)
        rhythm = 3 + np.sin(2 * np.pi * np.arange(days) / 7) + promo
        frames.append(
            pd.DataFrame(
                dict(
                    shop=f"shop{number}",
                    day=pd.date_range("2024-01-01", periods=days),
                    sales=size * (rhythm + random.gamma(4, 0.1, days)),
                    promo=promo,
                )
            )
        )
    return pd.concat(frames, ignore_index=True)


def grown(frame, k, shift=0.0):
    return frame.assign(sales=k * frame["sales"] + shift)


def numbers(predictions):
    answer = predictions.values if predictions.quantiles is None else predictions.quantiles
    return np.asarray(answer, "float64").reshape(len(SIZES), -1)


RUNS = {
    "values": ("series_linear", {}, {}),
    "quantiles": ("series_fnn", dict(quantiles=(0.1, 0.5, 0.9)), dict(dense_units=(16,))),
    "recurrent": ("series_gru", {}, dict(units=(8,))),
    "logarithms": (
        "series_gru",
        dict(quantiles=(0.2, 0.8), known_covariates="promo"),
        dict(reversible_norm="log", units=(8,)),
    ),
}


@pytest.fixture(scope="module", params=RUNS)
def run(request, tmp_path_factory):
    preset, data, network = RUNS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    with untraced(), undrawn():
        run = kzoo.train(preset, shops(), out=folder / "run", **OPTIONS, **TRAIN, **data, **network)
        kzoo.export(run, folder / "exported", ["onnx", "litert"], progress=False)
    return run


def rows_of(run):
    """Return new rows: the last ones, with three days to forecast where the promotions are known."""
    frame = shops()
    if "promo" in [c["name"] for c in run.preprocessing["covariates"]]:
        last = frame["day"] > frame["day"].max() - pd.Timedelta(days=3)
        frame.loc[last, "sales"] = np.nan
    return frame


def test_runs_and_exports_forecast_k_times_as_much_from_k_times_as_much(run):
    frame = rows_of(run)
    deviation = SIZES[:, None]
    folder = run.path.parent / "exported"
    models = {"run": lambda rows: numbers(kzoo.predict(run, rows))}
    for name in ("onnx", "litert"):
        runtime = kzoo.runtime.load(folder, name)
        models[name] = lambda rows, runtime=runtime: numbers(runtime.predict(rows))
    expected = models["run"](frame)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*far from the training rows", KzooWarning)
        for name, predict in models.items():
            reference = predict(frame)
            assert (np.abs(reference - expected) < 1e-4 * deviation).all(), name
            for k in (1e-3, 0.1, 10, 1e3):
                error = np.abs(predict(grown(frame, k)) / k - reference)
                assert (error < 1e-3 * deviation).all(), (name, k)
            if run.spec.config["reversible_norm"] == "log":
                continue
            shift = 50 * frame["shop"].map(dict(zip(frame["shop"].unique(), SIZES, strict=True)))
            error = np.abs(predict(grown(frame, 1, shift)) - 50 * deviation - reference)
            # quantiles that are cut off at 0 are exempt: their series were never negative
            assert ((error < 1e-3 * deviation) | (reference == 0)).all()
            assert (reference > 0).mean() > 0.9


def plan_of(frame, options=OPTIONS, **overrides):
    overrides = dict(horizon=3, input_shape=14) | overrides
    return plan_training("series_linear", frame, DataOptions(**options), overrides)


def setup_of(frame, **overrides):
    return plan_of(frame, **overrides).ready("float32")


@pytest.mark.parametrize(("loss", "degree"), [("mse", 2), ("mae", 1)])
def test_each_series_counts_by_the_scale_of_its_errors(loss, degree):
    setup = setup_of(shops(), loss=loss)
    weights = setup.training_batches().weight[:, 0]
    codes = setup.data.train.x.series.codes
    assert weights.shape == (len(setup.data.train),) and np.isfinite(weights).all()
    # each shop is ten times as large as the one before; a week is the season
    of_shop = np.array([weights[codes == code][0] for code in range(len(SIZES))])
    assert all((weights[codes == code] == of_shop[code]).all() for code in range(len(SIZES)))
    np.testing.assert_allclose(of_shop[:-1] / of_shop[1:], 10.0**degree, rtol=0.5)
    frame = shops().sort_values(["shop", "day"]).groupby("shop")["sales"]
    scale = frame.apply(lambda sales: sales.iloc[:56].diff(7).abs().mean()).to_numpy()
    expected = (setup.data.config["target_scale"][0] / scale) ** degree
    np.testing.assert_allclose(of_shop, expected, rtol=0.5)
    # validation windows have those of their series, and scores have none
    validation = setup.validation_batches()
    assert set(validation.weight[:, 0]) <= set(weights) and setup.data.validation.weight is None
    assert any("in inverse proportion to the scale of its errors" in note for note in setup.notes)


def test_a_single_series_and_networks_of_before_have_no_weights():
    one = shops().query("shop == 'shop3'")[["day", "sales"]]
    setup = plan_of(one, dict(time="day")).ready("float32")
    assert setup.spec.config["scale_free"] and setup.training_batches().weight is None
    for overrides in (dict(scale_free=False), dict(reversible_norm=False)):
        setup = setup_of(shops(), **overrides)
        assert setup.training_batches().weight is setup.validation_batches().weight is None
        assert not any("in inverse proportion" in note for note in setup.notes)


def test_series_of_zeros_and_new_ones_have_finite_weights():
    frame = shops()
    frame.loc[frame["shop"] == "shop2", "sales"] = 0.0
    frame.loc[frame["shop"] == "shop4", "sales"] = 7000.0
    weights = setup_of(frame).training_batches().weight
    assert np.isfinite(weights).all() and (weights > 0).all()


def test_the_logarithm_is_for_series_that_vary_not_for_series_of_different_sizes():
    assert setup_of(shops()).spec.config["reversible_norm"] == "last"
    uneven = shops()
    uneven["sales"] *= np.random.default_rng(0).binomial(1, 0.4, len(uneven))
    assert setup_of(uneven).spec.config["reversible_norm"] == "log"


def test_a_training_of_before_is_resumed_with_its_network():
    plan = plan_of(shops())
    stored = {name: value for name, value in plan.config.items() if name != "scale_free"}
    before = plan.continued(stored).ready("float32")
    assert before.spec.config["scale_free"] is False and before.training_batches().weight is None
    assert any(before.standardize[0]) and not any(plan.ready("float32").standardize[0])
    assert plan.continued(plan.config) is plan


def test_bands_of_models_of_before_have_a_note(run):
    config = dict(run.spec.config)
    assert band_note(run.preprocessing, config) == []
    del config["scale_free"]
    (note,) = band_note(run.preprocessing, config)
    assert "trained before version 0.2" in note and "Train it again" in note
    assert band_note({**run.preprocessing, "series_id": None}, config) == []
