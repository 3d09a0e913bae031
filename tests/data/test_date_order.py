"""Dates whose order of day and month is ambiguous: what decides it, and where date_order= is required and used."""

import json

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, notes_with, refuses

import kzoo
from kzoo.cli import main
from kzoo.data.options import DataOptions
from kzoo.inference.encode import encode
from kzoo.inference.tables.dates import detect_day_first, to_dates
from kzoo.zoo.registry import get_preset, with_settings

pytestmark = pytest.mark.usefixtures("untraced")

MONTHS = pd.date_range("1998-01-01", "2018-12-01", freq="MS")
FEW_DAYS = pd.date_range("2024-01-01", periods=12)
ORDERS = {"day-first": "%d/%m/%Y", "month-first": "%m/%d/%Y"}


def preset():
    base = get_preset("series_gru")
    return with_settings(base, {**base.config, "input_shape": (3, 1), "horizon": 1}, base.training)


def series(times, written="%d/%m/%Y"):
    return pd.DataFrame({"when": times.strftime(written), "load": np.arange(len(times)) % 7 * 1.5})


def table(written="%d/%m/%Y", rows=120):
    """Return a table without a day above 12, whose dates have no step."""
    draw = np.random.default_rng(0)
    when = [
        pd.Timestamp(y, m, d)
        for y, m, d in zip(*(draw.integers(*span, rows) for span in SPANS), strict=True)
    ]
    return pd.DataFrame(
        {
            "when": [day.strftime(written) for day in when],
            "x": draw.normal(size=rows),
            "y": "pq" * 0,
        }
    )


SPANS = ((2015, 2024), (1, 13), (1, 13))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("sign", "/-.")
def test_the_order_that_gives_a_regular_step_is_read(order, sign):
    other = next(name for name in ORDERS if name != order)
    data = kzoo.load_data(
        series(MONTHS, ORDERS[order].replace("/", sign)), time="when", preset=preset()
    )
    times = data.seen["time"]
    assert (times["step"], times["missing"], times["rows"]) == ("1 month", 0, 252)
    assert (times["first"], times["last"]) == ("1998-01-01", "2018-12-01")
    assert data.preprocessing["times"] == order.replace("-", " ")
    assert notes_with(
        data.notes, "'when'", order.replace("-", " "), "regular step", f"date_order={other!r}"
    )


def test_months_with_holes_quarters_and_two_years_are_regular():
    for times in (MONTHS.delete([5, 6, 40, 41, 100]), MONTHS[::3], MONTHS[::6], MONTHS[:30]):
        for order, written in ORDERS.items():
            assert detect_day_first("when", series(times, written)["when"], []) == (
                order == "day-first"
            ), len(times)


def test_many_series_and_labelled_series_have_the_same_rule():
    both = pd.concat([series(MONTHS).assign(shop=shop) for shop in ("a", "b")])
    panel = kzoo.load_data(both, time="when", series_id="shop", target="load", preset=preset())
    assert (
        panel.preprocessing["times"] == "day first"
        and panel.preprocessing["calendar"]["step"] == "months"
    )
    dozen = pd.concat(
        [series(MONTHS[:30]).assign(shop=f"s{i}", kind="pq"[i % 2]) for i in range(12)]
    )
    labelled = kzoo.load_data(dozen, time="when", series_id="shop", target="kind")
    assert labelled.preprocessing["times"] == "day first"
    few = pd.concat([series(FEW_DAYS).assign(shop=shop) for shop in ("a", "b")])
    with refuses("'when'", "date_order='day-first'", "month-first"):
        kzoo.load_data(few, time="when", series_id="shop", target="load", preset=preset())


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        (FEW_DAYS, "both orders give"),
        (
            pd.DatetimeIndex(["2024-01-02", "2024-03-11", "2024-07-03", "2024-09-10"] * 3)
            + pd.to_timedelta(np.repeat([0, 365, 731], 4), "D"),
            "neither order gives",
        ),
    ],
)
def test_a_series_whose_order_nothing_decides_is_refused_in_one_line(
    times, reason, tmp_path, capsys
):
    frame = series(times)
    with refuses(
        "'when'", "may be day first or month first", reason, "date_order='day-first'", "2024-02-03"
    ):
        kzoo.load_data(frame, time="when", preset=preset())
    for order in ORDERS:
        data = kzoo.load_data(frame, time="when", preset=preset(), date_order=order)
        assert data.preprocessing["times"] == order.replace("-", " ")
    assert (
        kzoo.load_data(series(times, "%d.%m.%Y"), time="when", preset=preset()).preprocessing[
            "times"
        ]
        == "day first"
    )
    frame.to_csv(path := tmp_path / "s.csv", index=False)
    assert main(["check", "series_gru", "--data", str(path), "--time", "when"]) == 2
    error = capsys.readouterr().err
    assert_mentions(error, "'when'", "--date-order day-first", "month-first")
    assert error.count("\n") == 1


def test_dates_that_are_the_same_in_both_orders_need_no_answer():
    times = pd.DatetimeIndex(
        [f"{year}-{month:02}-{month:02}" for year in range(2000, 2010) for month in (3, 9)]
    )
    assert kzoo.load_data(series(times), time="when", preset=preset()).notes


def rows(**options):
    frame = table()
    frame["y"] = np.where(frame["x"] > 0, "p", "q")
    return frame, kzoo.load_data(frame, target="y", test=0, validation=0, **options)


def test_a_table_is_read_month_first_with_a_line_or_as_said():
    frame, data = rows()
    assert notes_with(data.notes, "'when'", "month first", "date_order='day-first'")
    for order in ORDERS:
        _, data = rows(date_order=order)
        assert not notes_with(data.notes, "'when'", "ambiguous")
        days = data.train.x[:, data.feature_names.index("when day")]
        expected = pd.DatetimeIndex(to_dates(frame["when"], order == "day-first")).day.to_numpy()
        np.testing.assert_array_equal(days, expected[data.train.rows])
        assert data.loaded["options"]["date_order"] == order
        new = encode(data.preprocessing, [{"when": "03/02/2020", "x": 0.0}])
        assert new[0, data.feature_names.index("when month")] == (2 if order == "day-first" else 3)


def test_dates_that_contradict_the_order_are_named():
    frame = pd.DataFrame(
        {"when": [*table()["when"], "02/13/2020", "13/02/2020", "14/02/2020"], "y": 1.0}
    )
    notes = []
    assert detect_day_first("when", frame["when"], notes)
    assert notes_with(notes, "'when'", "day first", "1 of 123 dates", "'02/13/2020'")
    notes = []
    assert not detect_day_first("when", frame["when"], notes, "month-first")
    assert notes_with(notes, "'when'", "month first", "2 of 123 dates", "'13/02/2020'")


def test_an_order_without_dates_is_said():
    frame, _ = rows()
    data = kzoo.load_data(
        frame.drop(columns="when"), target="y", test=0, validation=0, date_order="day-first"
    )
    assert notes_with(data.notes, "date_order='day-first'", "no effect")
    with refuses("date_order", "'dayfirst'"):
        kzoo.load_data(frame, target="y", date_order="dayfirst")


def test_rows_in_order_of_time_are_split_by_the_order_that_was_said():
    frame, _ = rows()
    for order in ORDERS:
        data = kzoo.load_data(
            frame, target="y", time="when", split="time", test=0.2, date_order=order
        )
        times = to_dates(frame["when"], order == "day-first")
        assert times[data.train.rows].max() <= times[data.test.rows].min()


def test_a_table_larger_than_memory_is_read_by_the_same_order(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    frame, _ = rows()
    frame.to_csv(path := tmp_path / "t.csv", index=False)
    monkeypatch.setenv("KZOO_MEMORY", "1KiB")
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    for order in ORDERS:
        data = kzoo.load_data(path, target="y", date_order=order)
        column = next(
            column for column in data.preprocessing["columns"] if column["name"] == "when"
        )
        assert column.get("day_first", False) == (order == "day-first")


def test_a_run_stores_the_order_and_reads_new_rows_by_it(tmp_path):
    frame, _ = rows()
    frame.to_csv(path := tmp_path / "t.csv", index=False)
    run = kzoo.train(
        "tabular_fnn",
        path,
        target="y",
        date_order="day-first",
        epochs=1,
        progress=False,
        out=tmp_path / "run",
    )
    run = kzoo.Run(run.path)
    assert DataOptions.of(run.data).date_order == "day-first"
    config = json.loads((run.path / "config.json").read_text())
    assert "--date-order day-first" in config["command"]
    column = next(column for column in run.preprocessing["columns"] if column["name"] == "when")
    assert column["day_first"]
