"""Each fault in the times of a series is reported with its time; the same series without it has no finding.

These are faults that a network that counts rows cannot see: rows that are missing, repeated or out of order, changes
of the clock, and missing values. Steps of months or working days are no fault.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses
from small_models import finding_of

import kzoo
from kzoo.checks.finding import CHECKS
from kzoo.checks.runner import run_checks
from kzoo.checks.subject import Subject
from kzoo.zoo.results.bias import bias_findings

ROWS = 1200


def series(times):
    """A series of one column with these times."""
    noise = np.random.default_rng(0).normal(size=len(times))
    return pd.DataFrame(
        {"time": times, "load": 10 + np.sin(np.arange(len(times)) / 4) + 0.1 * noise}
    )


def hourly(rows=ROWS, **options):
    return series(pd.date_range("2024-01-01", periods=rows, freq="h", **options))


def checked(frame, **options):
    """Return the findings about a series, by name. It is faster than `kzoo.check`, which also builds a network."""
    findings, _ = run_checks(
        Subject(kzoo.load_data(frame, preset="series_gru", **options)), ("data",)
    )
    return {finding.check: finding for finding in findings}


def test_columns_that_do_not_affect_the_forecasts():
    frame = hourly(400).assign(heat=np.arange(400.0), wind=np.arange(400.0) % 7)
    finding = finding_of("columns_without_a_say", "series_linear", frame, target="load")
    assert_mentions(finding.what, "2", "3", "columns", "'heat', 'wind'")
    assert "'load'" not in finding.what
    assert_mentions(finding.fix, "drop=", "series_gru")
    for options in (dict(target="load", drop=["heat", "wind"]), {}):
        assert kzoo.check("series_linear", frame, deep=False, **options) == []
    assert kzoo.check("series_gru", frame, deep=False, target="load") == []


def test_uneven_times():
    frame = hourly()
    gaps = frame[np.random.default_rng(0).random(len(frame)) > 0.2]
    finding = finding_of("uneven_times", "series_linear", gaps)
    assert finding.level == "warning"
    assert_mentions(
        finding.what, "20%", "1 hour", "5 hours", "2024-01-24 09:00", "2024-01-24 14:00"
    )
    assert_mentions(finding.where, "'time'")
    assert "holes_in_time" not in checked(gaps)  # a single fault, a single line
    assert checked(frame) == {}
    assert set(checked(frame.drop(index=[50, 51, 600]))) == {"holes_in_time"}


def test_many_repeated_times_are_refused():
    for times in (
        pd.date_range("2024-01-01", periods=400, freq="h").repeat(3),
        ["2024-01-01"] * ROWS,
    ):
        with refuses("of 1,200 rows", "'time'", "one row per time"):
            checked(series(times))


def test_a_gap_in_time():
    frame = hourly().drop(index=range(500, 541))
    finding = finding_of("holes_in_time", "series_linear", frame)
    assert_mentions(finding.what, "41", "42 hours", "2024-01-21 19:00", "2024-01-23 13:00")
    assert_mentions(finding.where, "'time'")
    several = checked(hourly().drop(index=[50, 51, 600, 700, 800, *range(900, 910)]))[
        "holes_in_time"
    ].what
    assert_mentions(several, "15", "5")
    assert several.index("11 hours") < several.index("3 hours")


def test_repeated_or_unordered_times():
    shuffled = hourly().sample(frac=1, random_state=0)
    assert_mentions(finding_of("times_out_of_order", "series_linear", shuffled).what, "588", "rows")
    few = checked(pd.concat([hourly()[:600], hourly()[597:]]))
    assert set(few) == {"repeated_times"}
    assert_mentions(
        few["repeated_times"].what, "3", "1,203", "2024-01-25 21:00", "2024-01-25 22:00"
    )


def test_newest_first_is_a_valid_order():
    assert checked(hourly()[::-1]) == {}


@pytest.mark.parametrize("freq", ["MS", "ME", "QS", "YE", "W", "D", "B", "15min", "30D"])
def test_regular_steps_of_every_calendar(freq):
    """A regular step of any calendar has no finding; without a row, the finding names its neighbours."""
    days = pd.Series(np.arange(ROWS // 3)) if freq == "YE" else np.arange(ROWS)
    times = pd.date_range("1900-01-01", periods=len(days), freq=freq, unit="s")
    assert checked(series(times)) == {}
    if freq != "B":  # there it is a holiday
        message = checked(series(times).drop(index=200))["holes_in_time"].what
        before, after = (times[row].strftime("%Y-%m-%d") for row in (199, 201))
        assert_mentions(message, "1", "row", before, after)


def test_holidays_are_no_gap_but_a_missing_month_is():
    frame = series(pd.bdate_range("2019-01-01", periods=ROWS))
    assert checked(frame.drop(index=range(10, ROWS, 29))) == {}
    assert checked(frame.drop(index=range(100, 107))) == {}
    message = checked(frame.drop(index=range(100, 120)))["holes_in_time"].what
    assert_mentions(message, "20", "2019-05-20", "2019-06-18")


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
def test_clock_changes_without_a_time_zone(zone, freq):
    """Times without a zone: neither gaps nor repeats, and the repeated hour stays in order."""
    aware = pd.date_range("2023-03-01", "2023-11-30", freq=freq, tz=zone)
    frame = series(aware.tz_localize(None))
    findings = checked(frame)
    assert set(findings) == {"clock_changes"}
    moves = aware.tz_localize(None) - aware.tz_convert("UTC").tz_localize(None)
    changes = aware[1:][np.diff(moves) != pd.Timedelta(0)]
    assert len(changes) == 2
    for change in changes.tz_convert("UTC"):  # the hour that is left out, or comes twice
        before = (change - pd.Timedelta("1s")).tz_convert(zone)
        after = change.tz_convert(zone)
        hour = before.tz_localize(None).floor("h") + pd.Timedelta(
            hours=int(after.utcoffset() > before.utcoffset())
        )
        assert f"{hour:%Y-%m-%d %H:%M}" in findings["clock_changes"].what
    data = kzoo.load_data(frame, preset="series_gru")
    np.testing.assert_array_equal(data.train.x.values[:, 0], frame["load"].to_numpy("float32"))
    assert data.seen["time"]["holes"] == data.seen["time"]["repeats"] == 0
    newest_first = kzoo.load_data(frame[::-1], preset="series_gru")
    np.testing.assert_array_equal(newest_first.train.x.values, data.train.x.values)


@pytest.mark.parametrize("form", ["with a zone", "texts", "objects"])
def test_offsets_that_change(form):
    """Times with an offset: the steps are those of UTC."""
    aware = pd.date_range("2023-03-01", "2023-11-30", freq="h", tz="Europe/Berlin")
    times = {
        "with a zone": aware,
        "texts": [str(time) for time in aware],
        "objects": pd.Series(list(aware.to_pydatetime()), dtype=object),
    }[form]
    findings = checked(series(times))
    assert set(findings) == {"clock_changes"}
    message = findings["clock_changes"].what
    assert_mentions(message, "+01:00", "+02:00", "2023-03-26 01:00 UTC", "2023-10-29 01:00 UTC")
    assert message.index("2023-03-26") < message.index("2023-10-29")  # first forward, then back
    time = kzoo.load_data(series(times), preset="series_gru").seen["time"]
    assert (time["step"], time["holes"], time["repeats"], time["uneven"]) == ("1 hour", 0, 0, 0.0)
    assert checked(series([str(time) for time in aware.tz_convert("UTC")])) == {}


@pytest.mark.parametrize("pattern", ["%Y-%m-%d", "%d-%m-%Y"])
def test_the_end_of_a_date_is_not_read_as_an_offset(pattern):
    assert (
        checked(series(pd.date_range("2022-01-01", periods=ROWS, freq="D").strftime(pattern))) == {}
    )


def test_clock_changes_do_not_hide_other_gaps():
    aware = pd.date_range("2023-03-01", "2023-11-30", freq="h", tz="Europe/Berlin")
    findings = checked(series(aware.tz_localize(None)).drop(index=range(3000, 3010)))
    assert set(findings) == {"clock_changes", "holes_in_time"}
    assert_mentions(findings["holes_in_time"].what, "10", "2023-07-04 00:00", "2023-07-04 11:00")
    other = checked(hourly().drop(index=[1000]))  # an hour that no clock leaves out
    assert set(other) == {"holes_in_time"}


def test_a_wrong_year_is_a_gap():
    findings = checked(
        hourly().assign(
            time=lambda table: table["time"].where(table.index < ROWS - 1, "9999-01-01")
        )
    )
    assert set(findings) == {"holes_in_time"}
    assert_mentions(findings["holes_in_time"].what, "2024-02-19 22:00", "9999-01-01 00:00")


def test_missing_values():
    frame = hourly().assign(oil=lambda table: -table["load"])
    frame.loc[100:254, "oil"] = np.nan
    frame.loc[[3, 7], "load"] = np.nan
    finding = finding_of("runs_of_missing_values", "series_linear", frame)
    assert_mentions(finding.what, "157", "missing", "'load' 2", "2024-01-01 03:00")
    assert_mentions(finding.what, "'oil' 155", "2024-01-05 04:00", "2024-01-11 14:00")
    rows = checked(frame.drop(columns="time"))["runs_of_missing_values"].what
    assert_mentions(rows, "155", "100", "254")


def test_a_regular_series_with_numeric_times_has_no_findings():
    frame = series(np.arange(ROWS) * 0.25)
    assert checked(frame, time="time") == checked(frame.drop(columns="time")) == {}
    message = checked(frame.drop(index=9), time="time")["holes_in_time"].what
    assert_mentions(message, "2", "2.5", "0.25")


def test_bands_that_do_not_cover_the_smallest_series_are_found():
    inside = {"coverage": 0.8, "expected": [0.6, 0.95], "series": 13}
    smallest = inside | {"coverage": 0.27, "series": 12}
    entry = {"confidence": 0.8, "rows": "validation", "probability": 0.95, "width": [1.0]}
    entry |= {"coverage": 0.75, "expected": [0.7, 0.9], "sizes": [smallest, *[inside] * 4]}
    run_checks(SimpleNamespace(coverage=None), ())  # registers all checks
    check = CHECKS["bands_that_do_not_cover"].function
    (finding,) = check(SimpleNamespace(coverage=[entry]))
    assert_mentions(finding.what, "80", "27", "60", "95", "smallest fifth", "12")
    (finding,) = check(SimpleNamespace(coverage=[entry | {"coverage": 0.59, "sizes": []}]))
    assert_mentions(finding.what, "59", "70", "90")
    assert_mentions(finding.fix, "calibration=")
    (finding,) = check(SimpleNamespace(coverage=[entry | {"coverage": 0.97, "sizes": []}]))
    assert_mentions(finding.what, "97")
    assert not list(check(SimpleNamespace(coverage=[entry | {"sizes": [inside] * 5}])))
    # all forecasts begin at the same time, and a run of before: nothing is known
    unknown = entry | {"expected": None, "sizes": [smallest | {"expected": None}]}
    before = {"confidence": 0.8, "rows": "validation", "expected": None, "coverage": 0.2}
    assert not list(check(SimpleNamespace(coverage=[unknown, before])))


def test_forecasts_with_a_bias_are_found():
    baseline = {"label": "ETS", "split": "test", "metric": "pinball"}
    baseline |= {"scores": {"pinball": 2.0, "bias": -0.05}}
    scores = {"pinball": 1.0, "bias": -0.2, "bias_interval": [-0.3, -0.1]}
    run_checks(SimpleNamespace(bias=None), ())  # registers all checks
    check = CHECKS["forecasts_with_a_bias"].function
    found = bias_findings({"test": scores, "baselines": [baseline]})
    (finding,) = check(SimpleNamespace(bias=found))
    assert_mentions(finding.what, "20", "too low", "ETS")
    near = scores | {"bias_interval": [-0.33, -0.06]}
    found = bias_findings({"test": near, "baselines": [baseline]})
    assert not list(check(SimpleNamespace(bias=found)))
