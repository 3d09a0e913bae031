"""Forecasts of many series with quantiles: an export predicts as its run does, and needs no Keras."""

import io

import numpy as np
import pandas as pd
import pytest
from shortcuts import undrawn, untraced
from test_runtime_light import cold

import kzoo
from kzoo.runtime import load

QUANTILES = dict(
    target="sales",
    series_id=["town", "shop"],
    time="day",
    known_covariates=["promo", "kind"],
    static_covariates="region",
    quantiles=(0.1, 0.5, 0.9),
    horizon=3,
    input_shape=7,
)
TRAIN = dict(QUANTILES, epochs=1, batch_size=32, baselines=False, progress=False, seed=3)


def shops():
    random = np.random.default_rng(0)
    frames = []
    for number, days in enumerate((60, 50, 40, 9), start=1):
        promo = random.integers(0, 2, days)
        dates = pd.date_range("2024-06-30", periods=days, freq="-1D")[::-1]
        sales = number * (10 + np.arange(days) % 7 + 5 * promo + random.normal(0, 1, days))
        columns = dict(
            town="ab"[number % 2], shop=number, day=dates.strftime("%Y-%m-%d"), sales=sales.round(2)
        )
        known = dict(
            promo=promo,
            kind=np.where(promo, "deal", "none"),
            region="north" if number < 3 else "south",
        )
        frames.append(pd.DataFrame(columns | known))
    return pd.concat(frames, ignore_index=True)


def planned():
    frame = shops()
    return frame.assign(sales=frame.sales.where(frame.day <= "2024-06-27"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with untraced(), undrawn():
        return kzoo.train(
            "series_linear", shops(), out=tmp_path_factory.mktemp("panel") / "run", **TRAIN
        )


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    for module in ("tf2onnx", "onnxruntime", "ai_edge_litert"):
        pytest.importorskip(module)
    folder = tmp_path_factory.mktemp("exported") / "shops"
    return kzoo.export(run, folder, formats=["onnx", "litert"], verify=False, progress=False).path


def as_csv(predictions):
    stream = io.StringIO()
    predictions.write_csv(stream)
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore:1 of 4 series have fewer than 7 rows")
@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_an_export_predicts_as_its_run(format, run, exported, tmp_path):
    planned().to_csv(tmp_path / "planned.csv", index=False)
    expected = kzoo.predict(run, planned())
    model = load(exported, format)
    for rows in (
        planned(),
        tmp_path / "planned.csv",
        planned().replace({np.nan: None}).to_dict("records"),
    ):
        predictions = model.predict(rows)
        assert list(predictions.inputs) == list(expected.inputs) == ["b, 1", "a, 2", "b, 3", "a, 4"]
        assert np.allclose(predictions.quantiles, expected.quantiles, rtol=1e-4, atol=1e-4)
        assert (
            predictions.times == expected.times
            and predictions.history_times == expected.history_times
        )
        assert tuple(predictions.levels) == (0.1, 0.5, 0.9)
    head = as_csv(predictions).splitlines()
    assert (
        head[0] == "town,shop,day,step,sales_q0.1,sales_q0.5,sales_q0.9" and len(head) == 1 + 4 * 3
    )
    assert head[1].startswith("b,1,2024-06-28,1,")
    quantiles = predictions.quantiles
    assert (np.diff(quantiles, axis=-1) >= 0).all()


def test_the_runtime_imports_neither_keras_nor_pandas(exported, tmp_path):
    planned().to_csv(tmp_path / "planned.csv", index=False)
    code = (
        f"import kzoo.runtime; p = kzoo.runtime.load({str(exported)!r}).predict({str(tmp_path / 'planned.csv')!r}); "
        "assert len(p) == 4 and p.quantiles.shape == (4, 3, 1, 3) and len(p.times[3]) == 3"
    )
    assert cold(code)["heavy"] == []
    command = [
        "predict",
        str(exported),
        str(tmp_path / "planned.csv"),
        "--out",
        str(tmp_path / "forecast.csv"),
    ]
    assert cold(f"import kzoo.cli; assert kzoo.cli.main({command!r}) == 0")["heavy"] == []
    forecast = pd.read_csv(tmp_path / "forecast.csv")
    assert forecast.columns.tolist() == [
        "town",
        "shop",
        "day",
        "step",
        "sales_q0.1",
        "sales_q0.5",
        "sales_q0.9",
    ]
    assert forecast.day.unique().tolist() == ["2024-06-28", "2024-06-29", "2024-06-30"]


def test_the_same_seed_gives_the_same_run(run, tmp_path):
    with untraced(), undrawn():
        again = kzoo.train("series_linear", shops(), out=tmp_path / "again", **TRAIN)
        other = kzoo.train("series_linear", shops(), out=tmp_path / "other", **TRAIN | dict(seed=4))
    weights = [[layer.numpy() for layer in r.model.weights] for r in (run, again, other)]
    assert all(np.array_equal(a, b) for a, b in zip(weights[0], weights[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(weights[0], weights[2], strict=True))
    assert run.summary["test"] == again.summary["test"]
    assert np.array_equal(run.answers["answers"], again.answers["answers"])
