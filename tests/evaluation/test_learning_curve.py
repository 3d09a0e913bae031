"""The learning curve: the power law beside SciPy's fit, its forecast, and the trainings through their doors."""

import json

import numpy as np
import pytest
from scipy.optimize import curve_fit

import kzoo
from kzoo.cli import main
from kzoo.evaluation.learning_curve import Draws, draw_sizes
from kzoo.evaluation.power_law import fit_power_law, forecast
from tests.messages import assert_mentions, refuses

pytestmark = pytest.mark.usefixtures("untraced_module")

SIZES = np.array([50, 100, 200, 400, 800, 1600])


def law(n, floor, scale, exponent):
    return floor + scale * n**-exponent


@pytest.mark.parametrize("truth", [(0.05, 2.0, 0.6), (0.0, 1.0, 0.3), (0.2, 3.0, 1.1)])
def test_the_power_law_is_that_of_scipy(truth):
    draw = np.random.default_rng(0)
    deviations = 0.02 * SIZES**-0.3
    errors = law(SIZES, *truth) + deviations * draw.normal(size=len(SIZES)) / 10
    fit = fit_power_law(SIZES, errors, deviations**2)
    expected, _ = curve_fit(
        law,
        SIZES.astype(float),
        errors,
        p0=truth,
        sigma=deviations,
        bounds=(0, np.inf),
        xtol=1e-12,
        ftol=1e-12,
    )
    ahead = np.array([50.0, 1600.0, 6400.0])
    np.testing.assert_allclose(fit(ahead), law(ahead, *expected), atol=1e-3)
    loss = (((law(SIZES, *expected) - errors) / deviations) ** 2).sum()
    assert (((fit(SIZES) - errors) / deviations) ** 2).sum() <= loss * 1.01 + 1e-9


def test_errors_that_do_not_fall_are_a_constant():
    fit = fit_power_law(SIZES, [0.1, 0.11, 0.1, 0.12, 0.11, 0.12])
    assert fit.scale == 0 and fit.floor == pytest.approx(0.11)


def test_forecasts_hold_the_share_that_they_promise():
    """Simulated trainings whose errors follow a power law: a new one is in about four of five 80 % intervals."""
    inside = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        truth, hard = (
            (draw.uniform(0, 0.15), draw.uniform(0.5, 2), draw.uniform(0.2, 0.9)),
            draw.random(400),
        )

        def rows(n, draw=draw, truth=truth, hard=hard):
            share = min(0.9, law(float(n), *truth))
            return (draw.random(len(hard)) < np.clip(2 * share * hard, 0, 1)).astype(float)

        measured = np.array([[rows(n) for _ in range(3)] for n in SIZES])
        _, low, high = forecast(SIZES, measured, draws=100, seed=seed).error(4 * SIZES[-1])
        inside += low <= rows(4 * SIZES[-1]).mean() <= high
    assert 39 <= inside <= 58


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    out = tmp_path_factory.mktemp("curve")
    options = dict(learning_curve=True, out=out, epochs=2, batch_size=64, progress=False)
    return kzoo.check("iris_fnn", **options).learning_curve, options


def test_a_curve_has_three_trainings_of_six_sizes(measured):
    curve, options = measured
    out = options["out"]
    assert len(list(out.glob("rows-*-draw-*.npz"))) == 18 and curve.sizes == draw_sizes(108)
    assert [len(scores) for scores in curve.scores] == [3] * 6 and curve.rows == 30
    assert (out / "learning_curve.png").stat().st_size > 10_000
    stored = json.loads((out / "learning_curve.json").read_text())
    assert stored["scores"] == curve.scores and stored["sentences"] == curve.sentences()
    gain = curve.gain(100)
    assert_mentions(curve.sentence(100), "100 more rows", f"{100 * gain['gain']:+.1f} points")
    assert 0 <= gain["low"] <= gain["gain"] + 1e-9 and gain["low"] <= gain["high"]
    expected = curve.forecast(432)
    assert 0 <= expected["low"] <= expected["high"] <= 1
    with refuses("433", "432"):
        curve.forecast(433)
    with refuses("432"):
        curve.gain(325)


def test_a_curve_continues_where_it_was_stopped(measured, capsys):
    curve, options = measured
    gone = options["out"] / f"rows-{curve.sizes[0]}-draw-2.npz"
    kept = {
        path: path.stat().st_mtime_ns for path in options["out"].glob("rows-*.npz") if path != gone
    }
    gone.unlink()
    words = ["check", "iris_fnn", "--learning-curve", "--out", str(options["out"])]
    assert main([*words, "--epochs", "2", "--set", "batch_size=64"]) == 0
    output = capsys.readouterr()
    assert "18/18" in output.err and "17/18" not in output.err
    assert_mentions(output.out, "more rows", "points", "learning_curve.png")
    assert gone.is_file() and kept == {path: path.stat().st_mtime_ns for path in kept}
    with refuses("settings", "another out="):
        kzoo.check("iris_fnn", **options | {"epochs": 3})


def test_a_draw_contains_its_smaller_sizes_and_has_the_shares_of_the_classes():
    draws = Draws(
        preset=kzoo.get_preset("iris_fnn"),
        source="iris",
        options=kzoo_options(),
        overrides={},
        seed=0,
    )
    rows = draws._rows(0)
    y = draws.data.train.y
    assert sorted(rows) == list(range(108)) and list(rows) != list(draws._rows(1))
    np.testing.assert_array_equal(rows, draws._rows(0))
    for size in draw_sizes(108):
        counts = np.bincount(y[rows[:size]], minlength=3)
        assert abs(counts - size / 3).max() <= 3


def kzoo_options():
    from kzoo.data.options import DataOptions

    return DataOptions()


def test_an_error_is_forecast_in_its_unit(tmp_path):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(140, 3)).astype("float32")
    data = x, (x @ [1.0, 2, 3] + draw.normal(size=140) / 10).astype("float32")
    small = dict(units=(8,), batch_size=64, max_steps=6, progress=False)
    curve = kzoo.check("tabular_fnn", data, learning_curve=True, out=tmp_path, **small)
    curve = curve.learning_curve
    assert not curve.is_share and curve.metric.startswith("mse")
    assert curve.gain(100)["gain"] >= 0 and "points" not in curve.sentence(100)


def test_what_has_no_learning_curve_is_refused(tmp_path):
    x = np.zeros((40, 2), "float32")
    y = np.arange(40) % 2
    with refuses("64", "arrays"):
        kzoo.check("tabular_fnn", (x, y), learning_curve=True, out=tmp_path / "few")
    with refuses("learning_curve=", "series"):
        kzoo.check("series_linear", "sine", learning_curve=True, out=tmp_path / "series")
    with refuses("folds=4", "learning_curve="):
        kzoo.check("iris_fnn", learning_curve=True, folds=4, out=tmp_path / "folds")
    with refuses("parallel=0"):
        kzoo.check("iris_fnn", learning_curve=True, parallel=0, out=tmp_path / "parallel")
