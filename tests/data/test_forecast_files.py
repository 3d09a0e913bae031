"""Files of forecasts: the id columns and the dates of the table, a row for each series and step."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses, warns
from shortcuts import undrawn, untraced

import kzoo
from kzoo.cli import main
from kzoo.runtime import load

MONTHS = pd.date_range("2019-01-01", periods=60, freq="MS")
AHEAD = pd.date_range("2024-01-01", periods=3, freq="MS")
IDS = ["state", "city", "step"]
SERIES = [("New South Wales", "Sydney", "007"), ("New South Wales", "Hunter", "008")]
TRAIN = dict(
    target="trips", horizon=3, input_shape=12, epochs=1, baselines=False, progress=False, seed=1
)


def panel(months=MONTHS, write="%d.%m.%Y"):
    frames = []
    for level, ids in enumerate(SERIES, start=1):
        trips = 100 * level + 10 * np.sin(np.arange(len(months)) * np.pi / 6)
        columns = dict(zip(IDS, ids, strict=True)) | {"month": written(months, write)}
        frames.append(pd.DataFrame(columns | {"trips": trips.round(2)}))
    return pd.concat(frames, ignore_index=True)


def written(times, write):
    return [write(time) if callable(write) else time.strftime(write) for time in times]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    options = dict(TRAIN, series_id=IDS, time="month", quantiles=(0.1, 0.5, 0.9))
    with untraced(), undrawn():
        folder = tmp_path_factory.mktemp("panel") / "run"
        return kzoo.train("series_linear", panel(), out=folder, **options)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    frame = panel().query("city == 'Sydney'").drop(columns=IDS)
    with untraced(), undrawn():
        folder = tmp_path_factory.mktemp("one") / "run"
        return kzoo.train("series_linear", frame, out=folder, time="month", **TRAIN)


def file_of(predictions):
    stream = io.StringIO()
    predictions.write_csv(stream)
    return list(csv.reader(io.StringIO(stream.getvalue())))


def rows_of(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def test_a_file_of_forecasts_has_the_ids_and_dates_of_the_table(run, tmp_path, capsys):
    panel().to_csv(tmp_path / "panel.csv", index=False)
    command = ["predict", str(run.path), str(tmp_path / "panel.csv")]
    assert main([*command, "--out", str(tmp_path / "out.csv"), "--spreadsheet-safe"]) == 0
    assert "01.01.2024" in capsys.readouterr().out
    header, *rows = rows_of(tmp_path / "out.csv")
    levels = ["trips_q0.1", "trips_q0.5", "trips_q0.9"]
    assert header == [*IDS, "month", "forecast_step", *levels]
    dates = written(AHEAD, "%d.%m.%Y")
    expected = [[*ids, date, str(i)] for ids in SERIES for i, date in enumerate(dates, start=1)]
    assert [row[:5] for row in rows] == expected
    merged = pd.read_csv(tmp_path / "panel.csv", dtype=str).merge(
        pd.read_csv(tmp_path / "out.csv", dtype=str), on=[*IDS, "month"], how="outer"
    )
    assert len(merged) == len(panel()) + len(rows)  # the dates of the forecast are new ones
    assert main([*command, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)["predictions"][0]
    assert first["times"] == dates and first["ids"] == dict(zip(IDS, SERIES[0], strict=True))
    assert first["input"] == ", ".join(SERIES[0])


@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_an_export_writes_the_file_of_its_run(format, run, one, tmp_path):
    for number, (each, frame) in enumerate(
        ((run, panel()), (one, panel().query("city == 'Sydney'").drop(columns=IDS)))
    ):
        folder = tmp_path / f"exported-{number}"
        kzoo.export(each, folder, formats=[format], verify=False, progress=False)
        frame.to_csv(tmp_path / "new.csv", index=False)
        expected, exported = kzoo.predict(each, frame), load(folder).predict(tmp_path / "new.csv")
        texts = 5 if each is run else 2
        assert [row[:texts] for row in file_of(exported)] == [
            row[:texts] for row in file_of(expected)
        ]
        futures = []
        for model in (each.path, folder):
            future = str(tmp_path / "future.csv")
            assert (
                main(["predict", str(model), str(tmp_path / "new.csv"), "--make-future", future])
                == 0
            )
            futures.append(rows_of(future))
        assert futures[0] == futures[1] and len(futures[0]) == len(file_of(expected))


FORMATS = {
    "ISO": "%Y-%m-%d",
    "ISO with a time": "%Y-%m-%dT%H:%M:%S",
    "no zeros": lambda time: f"{time.day}.{time.month}.{time.year}",
    "short year": "%d.%m.%y",
    "month": "%m/%Y",
    "year first": "%Y/%m",
    "names": "%b %Y",
    "digits": "%Y%m%d",
    "a number": lambda time: time.year * 100 + time.month,
    "Chinese": "%Y年%m月%d日",
}


@pytest.mark.parametrize("name", FORMATS)
def test_dates_are_written_as_they_came(name, run):
    rows = panel(write=FORMATS[name])
    predictions = kzoo.predict(run, rows)
    assert [row[3] for row in file_of(predictions)[1:4]] == list(
        map(str, written(AHEAD, FORMATS[name]))
    )
    assert predictions.to_frame()["month"].tolist() == list(AHEAD) * 2  # times in Python


def test_dates_that_a_format_cannot_write_are_iso(run):
    # Two formats in one column; and times, which have none.
    mixed = panel()
    mixed.loc[::2, "month"] = [time.strftime("%Y-%m-%d") for time in [*MONTHS, *MONTHS][::2]]
    typed = panel().assign(month=list(MONTHS) * 2)
    for rows in (mixed, typed):
        dates = [row[3] for row in file_of(kzoo.predict(run, rows))[1:4]]
        assert dates == ["2024-01-01", "2024-02-01", "2024-03-01"]


def test_offsets_are_written_as_they_came():
    hours = pd.date_range("2024-03-28", periods=200, freq="h", tz="Europe/Berlin")
    load_ = 10 + np.sin(np.arange(200) * np.pi / 12)
    table = pd.DataFrame({"when": hours.strftime("%Y-%m-%dT%H:%M:%S%z"), "load": load_})
    with untraced(), undrawn():
        options = dict(TRAIN, target="load", time="when")
        run = kzoo.train("series_linear", table[:100], **options)
        dates = [row[0] for row in file_of(kzoo.predict(run, table[:60]))[1:]]
    assert dates == table["when"][60:63].tolist()


def test_one_series_has_no_ids(one, tmp_path, capsys):
    rows = panel().query("city == 'Sydney'").drop(columns=IDS)
    header, *lines = file_of(kzoo.predict(one, rows))
    assert header == ["month", "step", "trips"]
    assert [line[:2] for line in lines] == [
        [date, str(i)] for i, date in enumerate(written(AHEAD, "%d.%m.%Y"), start=1)
    ]
    with warns("time column", "'month'", "numbered"):
        without = file_of(kzoo.predict(one, rows[["trips"]]))
    assert [line[:1] for line in without] == [["step"], ["1"], ["2"], ["3"]]
    windows = kzoo.predict(one, rows["trips"].to_numpy()[None, -12:, None])
    assert file_of(windows)[0] == ["input", "step", "trips"]  # arrays are numbered
    rows.to_csv(tmp_path / "one.csv", index=False)
    rows[["trips"]].to_csv(tmp_path / "undated.csv", index=False)
    future = str(tmp_path / "future.csv")
    assert main(["predict", str(one.path), str(tmp_path / "one.csv"), "--make-future", future]) == 0
    assert rows_of(future) == [
        ["month", "trips"],
        *([date, ""] for date in written(AHEAD, "%d.%m.%Y")),
    ]
    whole = pd.concat([rows, pd.read_csv(future)])
    with warns("last 3 rows", "'trips'"):
        assert np.array_equal(kzoo.predict(one, whole).values, kzoo.predict(one, rows).values)
    capsys.readouterr()
    undated = str(tmp_path / "undated.csv")
    assert main(["predict", str(one.path), undated, "--make-future", future]) == 2
    assert_mentions(capsys.readouterr().err, "time column", "steps")


def test_make_future_writes_dates_as_they_came_and_names_known_columns_only_where_there_are(
    run, tmp_path, capsys
):
    panel().to_csv(tmp_path / "panel.csv", index=False)
    future = str(tmp_path / "future.csv")
    assert (
        main(["predict", str(run.path), str(tmp_path / "panel.csv"), "--make-future", future]) == 0
    )
    out = capsys.readouterr().out
    assert_mentions(out, "6 rows", "future.csv", "no known columns")
    assert "Fill in" not in out
    header, *rows = rows_of(future)
    assert header == [*IDS, "month", "trips"]
    dates = written(AHEAD, "%d.%m.%Y")
    assert rows == [[*ids, date, ""] for ids in SERIES for date in dates]
    with refuses("keep", "series"):
        kzoo.predict(run, panel(), keep="city")
