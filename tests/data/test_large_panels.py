"""Large tables of many series: their windows are computed when they are read, and files are read in pieces."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from messages import warns
from shortcuts import undrawn, untraced

import kzoo
from kzoo.data.inputs.series import panel_rows
from kzoo.data.store.windows import series_of
from kzoo.data.tables.frame import as_frame
from kzoo.inference.kinds.series import covariates
from kzoo.inference.tables.files import csv as csv_files
from kzoo.zoo.registry import get_preset

OPTIONS = dict(
    target="sales",
    series_id="shop",
    time="day",
    known_covariates=["promo", "kind"],
    static_covariates="region",
)


def shops(count=9, seed=0):
    random = np.random.default_rng(seed)
    frames = []
    for number in range(count):
        days = int(random.integers(6, 70))
        promo = random.integers(0, 2, days)
        dates = pd.date_range("2024-06-30", periods=days, freq="-1D")[::-1].strftime("%Y-%m-%d")
        frames.append(
            pd.DataFrame(
                dict(
                    shop=f"shop {number}",
                    day=dates,
                    sales=(10 + number * promo + random.normal(0, 1, days)).round(2),
                    visits=random.normal(0, 1, days).round(2),
                    promo=promo,
                    kind=np.where(promo, "deal", "none"),
                    region="north" if number % 2 else "south",
                )
            )
        )
    frame = pd.concat(frames).sample(frac=1, random_state=seed).reset_index(drop=True)
    return frame.drop(index=[3, 40]).reset_index(drop=True)


def load(source, **options):
    preset = get_preset("series_linear")
    preset = replace(preset, config={**preset.config, "horizon": 3, "input_shape": (6, 1)})
    return kzoo.load_data(source, preset=preset, **OPTIONS | options)


def assert_same(ours, theirs):
    for name in ("train", "validation", "test"):
        left, right = getattr(ours, name), getattr(theirs, name)
        assert np.array_equal(left.x[:], right.x[:]) and np.array_equal(left.y[:], right.y[:])
        assert (
            np.array_equal(left.x.series.codes, right.x.series.codes)
            and left.x.series.names == right.x.series.names
        )
    assert (
        ours.preprocessing == theirs.preprocessing
        and ours.config == theirs.config
        and ours.notes == theirs.notes
    )


@pytest.fixture
def on_demand(monkeypatch):
    monkeypatch.setattr(covariates, "_MOST_BYTES", 0)


def test_windows_on_demand_are_those_in_memory(monkeypatch):
    expected = load(shops())
    monkeypatch.setattr(covariates, "_MOST_BYTES", 0)
    monkeypatch.setattr(covariates, "_ROWS_AT_ONCE", 7)
    data = load(shops())
    rows, matrix = series_of(data.train.x), series_of(expected.train.x)
    assert isinstance(matrix, np.ndarray) and not isinstance(rows, np.ndarray)
    assert_same(data, expected)
    random = np.random.default_rng(0)
    some = random.integers(0, len(matrix), (5, 4))
    for index in (
        3,
        slice(2, 9),
        some,
        some[0],
        (slice(None), slice(2, 5)),
        (some[0], slice(0, 1)),
        matrix[:, 0] > 11,
    ):
        assert np.array_equal(rows[index], matrix[index])
    assert (
        rows.shape == matrix.shape
        and len(rows) == len(matrix)
        and np.array_equal(np.asarray(rows), matrix)
    )


def test_the_scale_of_many_rows_is_that_of_a_sample(monkeypatch, on_demand):
    monkeypatch.setattr(panel_rows, "_MOST_AT_ONCE", 10)
    expected = load(shops())
    monkeypatch.setattr(panel_rows, "_MOST_SCALED", 150)
    data = load(shops())
    assert any("150" in note and "scale" in note for note in data.notes)
    assert data.config["target_scale"] == expected.config["target_scale"]  # of all rows
    assert np.allclose(data.config["scale"], expected.config["scale"], rtol=0.6)


def test_a_run_on_windows_on_demand_scores_like_one_in_memory(on_demand, monkeypatch, tmp_path):
    train = dict(OPTIONS, horizon=3, input_shape=6, epochs=1, batch_size=64, progress=False)
    with untraced(), undrawn():
        run = kzoo.train("series_linear", shops(5), out=tmp_path / "on-demand", **train)
        monkeypatch.setattr(covariates, "_MOST_BYTES", 1 << 30)
        other = kzoo.train("series_linear", shops(5), out=tmp_path / "in-memory", **train)
    assert run.summary["test"]["mae"] == pytest.approx(other.summary["test"]["mae"], rel=0.02)
    assert run.summary["test"]["examples"] == other.summary["test"]["examples"]


def test_baselines_of_windows_on_demand_are_those_in_memory(monkeypatch):
    expected = {row.name: row.scores for row in kzoo.baselines.score(load(shops()))}
    monkeypatch.setattr(covariates, "_MOST_BYTES", 0)
    scores = {row.name: row.scores for row in kzoo.baselines.score(load(shops()))}
    assert set(scores) == set(expected) >= {"ridge_windows", "seasonal", "last_value", "mean"}
    for name in scores:
        assert scores[name]["mae"] == pytest.approx(expected[name]["mae"], rel=1e-3)


@pytest.fixture
def in_pieces(monkeypatch):
    monkeypatch.setattr(csv_files, "_COMPACT_FROM", 0)
    monkeypatch.setattr(csv_files, "_ROWS_AT_ONCE", 50)


def test_a_file_in_pieces_is_the_same_table(in_pieces, tmp_path):
    frame = shops()
    frame.loc[60:120, "kind"] = None  # a piece without any
    frame.loc[[7, 130], "sales"] = np.nan
    frame.to_csv(tmp_path / "shops.csv", index=False)
    pieces = as_frame(tmp_path / "shops.csv", notes=[], compact=True)
    assert str(pieces["shop"].dtype) == "category" and pieces["promo"].dtype == np.int64
    whole = as_frame(tmp_path / "shops.csv", notes=[])
    pd.testing.assert_frame_equal(
        pieces.astype({c: str for c in ("shop", "day", "kind", "region")}).where(
            pieces.notna(), None
        ),
        whole.astype({c: str for c in ("shop", "day", "kind", "region")}).where(
            whole.notna(), None
        ),
        check_dtype=False,
    )
    assert {k: v for k, v in pieces.attrs.items() if k != "notes"} == {
        k: v for k, v in whole.attrs.items() if k != "notes"
    }


def test_windows_of_a_file_in_pieces_are_the_same(monkeypatch, tmp_path):
    shops().to_csv(tmp_path / "shops.csv", index=False)
    expected = load(tmp_path / "shops.csv")
    monkeypatch.setattr(csv_files, "_COMPACT_FROM", 0)
    monkeypatch.setattr(csv_files, "_ROWS_AT_ONCE", 50)
    assert_same(load(tmp_path / "shops.csv"), expected)


def test_pieces_with_other_types_are_read_at_once(in_pieces, tmp_path):
    ids = [*range(120), *(f"s{i}" for i in range(60))]
    pd.DataFrame(dict(id=ids, y=range(180))).to_csv(tmp_path / "a.csv", index=False)
    table = as_frame(tmp_path / "a.csv", notes=[], compact=True)
    assert table["id"].tolist() == list(map(str, ids))
    pd.DataFrame(dict(id=["0x", *["1"] * 179], y=[*range(90), *np.arange(90) / 4])).to_csv(
        tmp_path / "b.csv", index=False
    )
    table = as_frame(tmp_path / "b.csv", notes=[], compact=True)
    assert table["y"].dtype == np.float64 and table["id"].tolist()[:2] == ["0x", "1"]


def test_forecasts_of_many_series_that_end_at_different_times_are_those_of_each(tmp_path):
    frame = shops()
    with untraced(), undrawn():
        run = kzoo.train(
            "series_linear",
            frame,
            horizon=3,
            input_shape=6,
            epochs=1,
            progress=False,
            baselines=False,
            out=tmp_path / "run",
            **{k: v for k, v in OPTIONS.items() if k in ("target", "series_id", "time")},
        )
    last = frame.groupby("shop").day.transform("max")
    cut = frame[~((frame["shop"] == "shop 4") & (frame.day > "2024-06-20"))]
    with warns("end before the others", "'shop 4'", "2024-06-20"):
        together = kzoo.predict(run, cut)
    for series, name in enumerate(together.inputs):
        alone = kzoo.predict(run, cut[cut["shop"] == name])
        assert np.allclose(alone.values[0], together.values[series], rtol=1e-5)
        assert (
            alone.times[0] == together.times[series]
            and alone.history_times[0] == together.history_times[series]
        )
    assert last.nunique() == 1
