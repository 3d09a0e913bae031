"""Faults in the times of a series: each is planted and found with its time, and its neighbour without it is not.

The class of faults: what a network that counts rows cannot see. Rows that are missing, come twice or are not in order;
a clock that is put forward and back; values that the last one stands in for. Months and working days are steps too.
"""

import numpy as np
import pandas as pd
import pytest
from small_models import one

import kzoo
from kzoo.checks.look import look
from kzoo.checks.subject import Subject

ROWS = 1200


def series(times):
    """A series of one column with these times."""
    noise = np.random.default_rng(0).normal(size=len(times))
    return pd.DataFrame({"time": times, "load": 10 + np.sin(np.arange(len(times)) / 4) + 0.1 * noise})


def hourly(rows=ROWS, **options):
    return series(pd.date_range("2024-01-01", periods=rows, freq="h", **options))


def checked(frame, **options):
    """Findings about a series, by name; the door beside it is `kzoo.check`, which builds a network too."""
    findings, _ = look(Subject(kzoo.load_data(frame, preset="series_gru", **options)), ("data",))
    return {found.check: found for found in findings}


def test_columns_without_a_say():
    frame = hourly(400).assign(heat=np.arange(400.0), wind=np.arange(400.0) % 7)
    found = one("columns_without_a_say", "series_linear", frame, target="load")
    assert found.what == "2 of 3 columns without a say in the forecasts: 'heat', 'wind'"
    for options in (dict(target="load", drop=["heat", "wind"]), {}):
        assert kzoo.check("series_linear", frame, deep=False, **options) == []
    assert kzoo.check("series_gru", frame, deep=False, target="load") == []


def test_uneven_times():
    frame = hourly()
    gaps = frame[np.random.default_rng(0).random(len(frame)) > 0.2]
    found = one("uneven_times", "series_linear", gaps)
    assert found.level == "warning" and "are not 1 hour long" in found.what and found.where == "column 'time'"
    assert "holes_in_time" not in checked(gaps)  # one fault, one line
    assert checked(frame) == {}
    assert set(checked(frame.drop(index=[50, 51, 600]))) == {"holes_in_time"}


def test_a_hole_in_time():
    frame = hourly().drop(index=range(500, 541))
    found = one("holes_in_time", "series_linear", frame)
    assert "41 rows missing in 1 hole" in found.what and "42 hours between" in found.what
    assert "2024-01-21 19:00 and 2024-01-23 13:00" in found.what and found.where == "column 'time'"
    several = checked(hourly().drop(index=[50, 51, 600, 700, 800, *range(900, 910)]))["holes_in_time"].what
    assert "15 rows missing in 5 holes" in several and several.index("11 hours") < several.index("3 hours")


def test_times_that_start_again():
    shuffled = hourly().sample(frac=1, random_state=0)
    assert "come before" in one("times_out_of_order", "series_linear", shuffled).what
    two = pd.concat([hourly(700), hourly(700)])
    assert "700 rows of 1,400 repeat a time" in one("repeated_times", "series_linear", two).what
    few = checked(pd.concat([hourly()[:600], hourly()[597:]]))
    assert set(few) == {"repeated_times"} and "3 rows of 1,203" in few["repeated_times"].what
    assert "2024-01-25 21:00, 2024-01-25 22:00" in few["repeated_times"].what


def test_newest_first_is_an_order():
    assert checked(hourly()[::-1]) == {}


@pytest.mark.parametrize("freq", ["MS", "ME", "QS", "YE", "W", "D", "B", "15min", "30D"])
def test_every_calendar_is_even(freq):
    """No finding with any step that people use, and one row less is a hole of one row."""
    days = pd.Series(np.arange(ROWS // 3)) if freq == "YE" else np.arange(ROWS)
    times = pd.date_range("1900-01-01", periods=len(days), freq=freq, unit="s")
    assert checked(series(times)) == {}
    if freq != "B":  # there it is a holiday
        assert "1 row missing in 1 hole" in checked(series(times).drop(index=200))["holes_in_time"].what


def test_holidays_are_no_holes_and_a_month_without_work_is_one():
    frame = series(pd.bdate_range("2019-01-01", periods=ROWS))
    assert checked(frame.drop(index=range(10, ROWS, 29))) == {}
    assert checked(frame.drop(index=range(100, 107))) == {}
    assert "20 rows missing in 1 hole" in checked(frame.drop(index=range(100, 120)))["holes_in_time"].what


ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "Europe/Helsinki",
    "America/New_York",
    "Australia/Sydney",
    "Pacific/Auckland",
)


@pytest.mark.parametrize("freq", ["h", "15min"])
@pytest.mark.parametrize("zone", ZONES)
def test_a_clock_that_is_changed(zone, freq):
    """Times without a zone: neither holes nor repeats, and the hour that comes twice stays in its order."""
    aware = pd.date_range("2023-03-01", "2023-11-30", freq=freq, tz=zone)
    frame = series(aware.tz_localize(None))
    findings = checked(frame)
    assert set(findings) == {"clock_changes"}
    moves = aware.tz_localize(None) - aware.tz_convert("UTC").tz_localize(None)
    changes = aware[1:][np.diff(moves) != pd.Timedelta(0)]
    assert len(changes) == 2
    for change in changes.tz_convert("UTC"):  # the hour that is left out, or comes twice
        before, after = (change - pd.Timedelta("1s")).tz_convert(zone), change.tz_convert(zone)
        hour = before.tz_localize(None).floor("h") + pd.Timedelta(hours=int(after.utcoffset() > before.utcoffset()))
        assert f"{hour:%Y-%m-%d %H:%M}" in findings["clock_changes"].what
    data = kzoo.load_data(frame, preset="series_gru")
    np.testing.assert_array_equal(data.train.x.values[:, 0], frame["load"].to_numpy("float32"))
    assert data.seen["time"]["holes"] == data.seen["time"]["repeats"] == 0
    newest_first = kzoo.load_data(frame[::-1], preset="series_gru")
    np.testing.assert_array_equal(newest_first.train.x.values, data.train.x.values)


@pytest.mark.parametrize("how", ["with a zone", "texts", "objects"])
def test_offsets_that_change(how):
    """Times that say their offset: steps are those of UTC."""
    aware = pd.date_range("2023-03-01", "2023-11-30", freq="h", tz="Europe/Berlin")
    times = {
        "with a zone": aware,
        "texts": [str(time) for time in aware],
        "objects": pd.Series(list(aware.to_pydatetime()), dtype=object),
    }[how]
    findings = checked(series(times))
    assert set(findings) == {"clock_changes"}
    assert "+01:00 and +02:00" in findings["clock_changes"].what
    assert "forward at 2023-03-26 01:00 UTC, back at 2023-10-29 01:00 UTC" in findings["clock_changes"].what
    time = kzoo.load_data(series(times), preset="series_gru").seen["time"]
    assert (time["step"], time["holes"], time["repeats"], time["uneven"]) == ("1 hour", 0, 0, 0.0)
    assert checked(series([str(time) for time in aware.tz_convert("UTC")])) == {}


@pytest.mark.parametrize("written", ["%Y-%m-%d", "%d-%m-%Y"])
def test_the_end_of_a_date_is_no_offset(written):
    assert checked(series(pd.date_range("2022-01-01", periods=ROWS, freq="D").strftime(written))) == {}


def test_a_clock_explains_its_own_hours_only():
    aware = pd.date_range("2023-03-01", "2023-11-30", freq="h", tz="Europe/Berlin")
    found = checked(series(aware.tz_localize(None)).drop(index=range(3000, 3010)))
    assert (
        set(found) == {"clock_changes", "holes_in_time"} and "10 rows missing in 1 hole" in found["holes_in_time"].what
    )
    other = checked(hourly().drop(index=[1000]))  # an hour that no clock leaves out
    assert set(other) == {"holes_in_time"}


def test_one_wrong_year_is_a_hole():
    found = checked(hourly().assign(time=lambda table: table["time"].where(table.index < ROWS - 1, "9999-01-01")))
    assert set(found) == {"holes_in_time"} and "and 9999-01-01 00:00" in found["holes_in_time"].what


def test_times_that_are_all_the_same():
    assert "1,199 rows of 1,200 repeat a time" in checked(series(["2024-01-01"] * ROWS))["repeated_times"].what


def test_values_that_are_missing():
    frame = hourly().assign(oil=lambda table: -table["load"])
    frame.loc[100:254, "oil"] = np.nan
    frame.loc[[3, 7], "load"] = np.nan
    found = one("runs_of_missing_values", "series_linear", frame)
    assert "157 values missing" in found.what and "'load' 2 (the first at 2024-01-01 03:00)" in found.what
    assert "'oil' 155 (155 in a row from 2024-01-05 04:00 to 2024-01-11 14:00)" in found.what
    rows = checked(frame.drop(columns="time"))["runs_of_missing_values"].what
    assert "155 in a row from 100 to 254" in rows


def test_a_clean_series_of_numbered_rows_is_quiet():
    frame = series(np.arange(ROWS) * 0.25)
    assert checked(frame, time="time") == checked(frame.drop(columns="time")) == {}
    assert "between 2 and 2.5" in checked(frame.drop(index=9), time="time")["holes_in_time"].what
