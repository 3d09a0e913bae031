"""A table of many series is forecast, or has labelled series: the options decide, else the target."""

import numpy as np
import pytest
from made_series import OPTIONS, long_table, shops
from messages import assert_mentions, notes_with, refuses

import kzoo
from kzoo.cli import main
from kzoo.data import load_data

pytestmark = pytest.mark.usefixtures("untraced")

PANEL = dict(target="sales", series_id="shop", time="day")


@pytest.fixture(scope="module")
def panel():
    return shops()


def codes(frame):
    return frame.assign(state=frame["state"].map({"a": 3, "b": 7}))


def test_numbers_that_change_are_forecast_and_constant_ones_are_labels(panel):
    data = load_data(panel, **PANEL)
    assert data.task == "forecasting" and notes_with(
        data.notes, "'sales'", "changes within series", "segment="
    )
    with_names = load_data(panel, **PANEL, task="forecasting")
    assert data.fingerprint == with_names.fingerprint and not notes_with(
        with_names.notes, "changes within series"
    )
    assert load_data(panel, **PANEL, known_covariates="promo").task == "forecasting"
    labelled = load_data(codes(long_table()), **OPTIONS)
    assert labelled.task == "series_classification"
    assert notes_with(
        labelled.notes, "'state'", "constant within each series", "task='forecasting'"
    )
    values = long_table()
    values["state"] = values.groupby("sensor")["x0"].transform("max")
    assert load_data(values, **OPTIONS).task == "sequence_regression"


def test_texts_are_labels():
    data = load_data(long_table(), **OPTIONS)
    assert data.task == "series_classification" and notes_with(data.notes, "'state'", "not numeric")


@pytest.mark.parametrize("preset", ["series_lstm", "series_linear"])
def test_presets_for_forecasts_read_both(preset, panel):
    assert load_data(panel, **PANEL, preset=preset).task == "forecasting"
    data = load_data(codes(long_table()), **OPTIONS, preset=preset)
    assert data.task == "series_classification" and notes_with(
        data.notes, "constant within each series"
    )
    frame = long_table()
    grouped = load_data(
        frame, series_id="sensor", time="step", target="state", group="subject", preset=preset
    )
    assert grouped.task == "series_classification"
    recordings = codes(long_table(count=30, lengths=(40,)))
    recordings["state"] = np.where(recordings["step"] < 20, 1, recordings["state"])
    assert (
        load_data(recordings, **OPTIONS, segment=10, preset=preset).task == "series_classification"
    )


def test_the_future_of_a_panel_does_not_count_as_a_change(panel):
    with_future = panel.assign(sales=panel["sales"].where(panel["day"] < panel["day"].max()))
    assert load_data(with_future, **PANEL).task == "forecasting"
    labels = codes(long_table())
    labels["state"] = labels["state"].where(labels["step"] == 0)  # written once in each series
    assert load_data(
        labels.fillna({"state": np.nan}), **OPTIONS, task="classification"
    ).class_names == ("3", "7")


def test_a_file_and_the_table_in_it_are_read_the_same_way(panel, tmp_path):
    panel.to_csv(tmp_path / "panel.csv", index=False)
    codes(long_table()).to_csv(tmp_path / "labelled.csv", index=False)
    for name, options, task in (
        ("panel", PANEL, "forecasting"),
        ("labelled", OPTIONS, "classification"),
    ):
        decided = load_data(tmp_path / f"{name}.csv", **options)
        assert (
            decided.fingerprint
            == load_data(tmp_path / f"{name}.csv", **options, task=task).fingerprint
        )


def test_what_cannot_be_decided_is_asked_in_one_line(panel):
    frame = codes(long_table())
    frame.loc[(frame["sensor"] == "a0") & (frame["step"] == 3), "state"] = 7
    with refuses("'state'", "1 of 24 series", "task='forecasting'", "task='classification'"):
        load_data(frame, **OPTIONS)
    with refuses("target=", "forecast", "label", "x0"):
        load_data(frame, series_id="sensor", time="step")
    with refuses("'row'", "single row", "series_id="):
        load_data(panel.assign(row=range(len(panel))), target="sales", series_id="row", time="day")
    with refuses("'shop'", "series_id="):
        load_data(panel, target="shop", series_id="shop", time="day")
    with refuses("segment", "several values", "'sales'"):
        load_data(panel, **PANEL, segment=10)
    with refuses("segment=10", "Remove"):
        load_data(panel, **PANEL, segment=10, known_covariates="promo")


def test_check_of_data_alone(panel, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    panel.to_csv("shops.csv", index=False)
    long_table(count=40).to_csv("sensors.csv", index=False)
    assert (
        main(
            [
                "check",
                "--data",
                "shops.csv",
                "--series-id",
                "shop",
                "--time",
                "day",
                "--target",
                "sales",
            ]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert_mentions(
        out,
        "forecasting",
        "changes within series",
        "tells 2 series apart",
        "kzoo train series_linear",
    )
    options = ["--series-id", "sensor", "--time", "step", "--target", "state", "--drop", "subject"]
    assert main(["check", "--data", "sensors.csv", *options]) == 0
    out = capsys.readouterr().out
    assert_mentions(
        out, "series classification", "40 series", "'state'", "nearest neighbour", "series_rocket"
    )


def test_arrays_of_texts_are_not_said_to_be_values():
    x = np.random.default_rng(0).normal(size=(30, 12, 1)).astype("float32")
    for y, suggested in (
        (np.arange(30) % 3, True),
        (np.array(["a", "b", "c"])[np.arange(30) % 3], False),
    ):
        for preset in (None, "series_lstm"):
            data = load_data((x, y), preset=preset)
            assert data.task == "series_classification"
            assert bool(notes_with(data.notes, "y has classes", "task='regression'")) == suggested


def test_training_decides_as_loading_does(tmp_path):
    run = kzoo.train(
        "series_linear",
        codes(long_table(count=40)),
        **OPTIONS,
        out=tmp_path / "run",
        progress=False,
        epochs=1,
        baselines=False,
    )
    assert run.spec.task == "series_classification"
