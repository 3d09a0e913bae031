"""Dates of forecasts: the step is learned from the times of training, stored, and continued after the last new row.

Ranges of pandas are the reference: months have different lengths, weekends interrupt series of business days, and
clocks repeat or skip an hour.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, notes_with, refuses, warns

from kzoo import get_preset
from kzoo.data import load_data
from kzoo.inference.encode import encode, with_times
from kzoo.inference.kinds.series.calendar import Calendar, Moments
from kzoo.inference.predictions import Predictions
from kzoo.problems.kinds import preprocessor_mismatch
from kzoo.zoo.registry import with_settings

STEPS, HORIZON = 12, 8
FREQUENCIES = {
    "h": "1 hour",
    "15min": "15 minutes",
    "s": "1 second",
    "7h": "7 hours",
    "D": "1 day",
    "2D": "2 days",
    "W-SUN": "1 week",
    "B": "1 business day",
    "MS": "1 month",
    "ME": "1 month",
    "BMS": "1 month",
    "BME": "1 month",
    "QS": "1 quarter",
    "QE": "1 quarter",
    "YE": "1 year",
}


def preset():
    base = get_preset("series_gru")
    return with_settings(
        base, {**base.config, "input_shape": (STEPS, 1), "horizon": HORIZON}, base.training
    )


def table(times):
    return pd.DataFrame({"when": times, "load": np.sin(np.arange(len(times)) / 3)})


def reader_of(times):
    return load_data(table(times), preset=preset(), time="when").preprocessing


def ahead(reader, raw):
    """Return the forecast of a network that always answers 0, as the runtime dates it."""
    x = encode(reader, raw)
    return with_times(
        reader,
        raw,
        x,
        Predictions(values=np.zeros((1, HORIZON, 1)), target_names=("load",), inputs=(0,)),
    )


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_forecasts_continue_with_the_step_of_pandas(frequency, zone):
    # pandas 2 has no summer time after 2037
    begin = "1981-10-20" if frequency.startswith("Q") else "2021-10-20"
    times = pd.date_range(begin, periods=160 + HORIZON, freq=frequency, tz=zone)
    reader = reader_of(times[:160])
    assert Calendar.of(reader).description == FREQUENCIES[frequency]
    forecast = ahead(reader, table(times[:160]))
    assert [pd.Timestamp(time) for time in forecast.times[0]] == list(times[160:])
    assert forecast.time_name == "when" and list(forecast.columns()) == [
        "when",
        "step",
        "load",
    ]
    assert [pd.Timestamp(time) for time in forecast.history_times[0]] == list(
        times[160 - STEPS : 160]
    )
    np.testing.assert_array_equal(
        forecast.history[0, :, 0], table(times)["load"][160 - STEPS : 160].astype("float32")
    )


@pytest.mark.parametrize("written", ["%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M", "%Y-%m-%dT%H:%M:%S"])
def test_times_that_are_text(written, tmp_path):
    times = pd.date_range("2024-02-20", periods=160 + HORIZON, freq="h")
    table(times[:160].strftime(written)).to_csv(tmp_path / "new.csv", index=False)
    reader = load_data(tmp_path / "new.csv", preset=preset()).preprocessing
    forecast = ahead(reader, str(tmp_path / "new.csv"))
    assert [pd.Timestamp(time) for time in forecast.times[0]] == list(times[160:])


@pytest.mark.parametrize("source", ["a DataFrame", "dicts"])
@pytest.mark.parametrize(
    "written,frequency,last",
    [("%d/%m/%Y %H:%M", "h", "2024-03-07 23:00"), ("%m.%d.%Y", "D", "2024-12-12")],
)
def test_new_rows_are_read_with_the_order_of_day_and_month_of_training(
    written, frequency, last, source
):
    """The new rows alone would be read the other way."""
    reader = reader_of(pd.date_range("2024-01-31", periods=160, freq=frequency).strftime(written))
    raw = table(pd.date_range(end=last, periods=STEPS, freq=frequency).strftime(written))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forecast = ahead(reader, raw if source == "a DataFrame" else raw.to_dict("records"))
    assert forecast.times[0][0] == pd.Timestamp(last) + pd.Timedelta(1, frequency)


def test_new_rows_clearly_written_in_another_order_are_read_so_with_a_warning():
    times = pd.date_range("2024-01-31", periods=160, freq="h")
    reader = reader_of(times.strftime("%d/%m/%Y %H:%M"))
    with warns("'when'", "month", "day", "training"):
        forecast = ahead(reader, table(times.strftime("%m/%d/%Y %H:%M")))
    assert pd.Timestamp(forecast.times[0][0]) == times[-1] + pd.Timedelta("1h")
    iso = reader_of(times.strftime("%Y-%m-%d %H:%M"))
    assert "times" not in iso
    with warns("'when'", "month", "2024-02-03"):
        ahead(iso, table(times[24:48].strftime("%m/%d/%Y %H:%M")))


@pytest.mark.parametrize("kind", [int, float, str])
@pytest.mark.parametrize("written,frequency", [("%Y%m%d", "D"), ("%Y%m%d", "B"), ("%Y%m", "MS")])
def test_whole_numbers_that_are_dates(written, frequency, kind, tmp_path):
    times = pd.date_range("2023-01-01", periods=160 + HORIZON, freq=frequency)
    written = times.strftime(written).astype(int).astype(kind)
    reader = load_data(table(written[:160]), preset=preset()).preprocessing  # without time=
    assert (
        reader["columns"] == ["load"] and Calendar.of(reader).description == FREQUENCIES[frequency]
    )
    table(written[:160]).to_csv(tmp_path / "new.csv", index=False)
    for raw in (
        table(written[:160]),
        str(tmp_path / "new.csv"),
        table(written[140:160]).to_dict("records"),
    ):
        assert [pd.Timestamp(time) for time in ahead(reader, raw).times[0]] == list(times[160:])


def test_numbers_that_are_no_dates_stay_numbers_and_a_note_names_the_wrong_date():
    days = (
        pd.date_range("2023-01-01", periods=160, freq="D").strftime("%Y%m%d").astype(int).to_numpy()
    )
    wrong = np.where(days == 20230228, 20230230, days)
    data = load_data(table(wrong), preset=preset(), time="when")
    assert notes_with(data.notes, "'when'", "numbers", "YYYYMMDD", "20230230")
    for numbers in (np.arange(160) + 202401, np.arange(160) * 7, np.arange(160) + 20230101):
        data = load_data(table(numbers), preset=preset(), time="when")
        assert data.preprocessing["times"] == "numbers" and not notes_with(data.notes, "YYYYMMDD")
    # Numbers of a run that was trained when they were no dates go on as numbers; new ones of dates stay dates.
    old = {name: value for name, value in data.preprocessing.items() if name != "times"}
    assert ahead(old, table(days[:150])).times[0][0] == 20230531.0
    dates = load_data(table(days), preset=preset(), time="when").preprocessing
    with refuses("'when'", "row 59", "20230230"):
        ahead(dates, table(wrong))


def test_forecasts_have_the_offset_of_the_texts():
    times = pd.date_range("2024-01-20", periods=160 + HORIZON, freq="h", tz="Asia/Kolkata")
    text = [time.isoformat() for time in times]
    reader = reader_of(text[:160])
    assert reader["calendar"]["zone"] == "+05:30"
    assert [time.isoformat() for time in ahead(reader, table(text[:160])).times[0]] == text[160:]


def test_new_rows_of_another_zone_are_dated_in_that_of_the_training():
    times = pd.date_range("2024-03-30", periods=160 + HORIZON, freq="h", tz="Europe/Berlin")
    reader = reader_of(times[:160])
    forecast = ahead(reader, table(times[:160].tz_convert("UTC"))).times[0]
    assert [str(time) for time in forecast] == [str(time) for time in times[160:]]
    with warns("'when'", "zone", "Europe/Berlin", "2024-01-31T10:00+02:00"):
        naive = ahead(reader, table(times[:160].tz_localize(None))).times[0]
    assert [str(time) for time in naive] == [str(time) for time in times[160:]]


@pytest.mark.parametrize("frequency", ["MS", "ME", "B", "D"])
def test_an_offset_of_the_other_half_of_the_year_does_not_move_days(frequency):
    """By the clock of winter, in which training ended, the first of July is the last of June."""
    times = pd.date_range("1995-01-01", "2023-12-31", freq=frequency, tz="Europe/Berlin")[-400:]
    reader = reader_of([time.isoformat() for time in times])
    reader["calendar"]["zone"] = "+01:00"
    new = pd.date_range("2022-01-01", "2024-12-31", freq=frequency, tz="Europe/Berlin")
    end = new.searchsorted(pd.Timestamp("2024-05-31", tz="Europe/Berlin")) + 1
    forecast = ahead(reader, table([time.isoformat() for time in new[:end]])).times[0]
    assert [time.isoformat() for time in forecast[:4]] == [
        time.isoformat() for time in new[end : end + 4]
    ]


def test_an_hour_that_the_clocks_repeat():
    """The clocks went back at 3 on 27 October 2024."""
    times = pd.date_range("2024-10-20", periods=168 + HORIZON, freq="h", tz="Europe/Berlin")
    forecast = [
        time.isoformat() for time in ahead(reader_of(times[:168]), table(times[:168])).times[0]
    ]
    assert forecast == [time.isoformat() for time in times[168:]]
    assert forecast[2:4] == ["2024-10-27T02:00:00+02:00", "2024-10-27T02:00:00+01:00"]


def test_gaps_shuffled_rows_and_holidays_do_not_change_the_step():
    times = pd.date_range("2024-01-01", periods=200, freq="h").delete(range(60, 70))
    shuffled = table(times).sample(frac=1, random_state=0)
    assert ahead(reader_of(times), shuffled).times[0][0] == times[-1] + pd.Timedelta("1h")
    days = pd.bdate_range("2024-01-01", periods=200).delete([0, 60, 61, 88, 103])
    assert Calendar.of(reader_of(days)).step == "business days"


@pytest.mark.parametrize(
    "week", ["Sun Mon Tue Wed Thu", "Mon Tue Wed Thu Fri Sat", "Sat Sun Mon Tue Wed"]
)
def test_working_weeks_of_other_days_are_steps_in_the_overview_and_in_forecasts(week):
    times = pd.date_range(
        "2024-01-01", periods=160 + HORIZON, freq=pd.offsets.CustomBusinessDay(weekmask=week)
    )
    data = load_data(table(times[:160]), preset=preset(), time="when")
    calendar = Calendar.of(data.preprocessing)
    days = [day for day in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun") if day in week]
    assert calendar.description == data.overview["about"]["step"] == f"1 day ({' '.join(days)})"
    assert calendar.seasons == {"same weekday last week": len(days)}
    forecast = ahead(data.preprocessing, table(times[:160]))
    assert [pd.Timestamp(time) for time in forecast.times[0]] == list(times[160:])
    assert data.seen["time"]["holes"] == 0
    with refuses("1 hour", f"1 day ({' '.join(days)})"):
        ahead(data.preprocessing, table(pd.date_range("2024-01-01", periods=30, freq="h")))


def test_a_single_working_saturday_does_not_change_the_step():
    times = (
        pd.bdate_range("2024-01-01", periods=160)
        .append(pd.DatetimeIndex(["2024-02-03"]))
        .sort_values()
    )
    calendar = Calendar.of(reader_of(times))
    assert (calendar.step, calendar.description) == ("business days", "1 business day")


@pytest.mark.parametrize("week", ["11", "0000000", "11111001", 5, None, "abcdefg"])
def test_an_invalid_stored_week_gives_no_calendar(week):
    assert (
        Calendar.of({"calendar": dict(column="when", step="business days", every=1.0, week=week)})
        is None
    )


def test_large_numbers_keep_their_digits():
    seconds = 1_700_000_000 + 900 * np.arange(160 + HORIZON)
    rows = ahead(reader_of(seconds[:160]), table(seconds[:160])).rows()
    assert rows[0]["times"] == [str(second) for second in seconds[160:]]


def test_a_column_of_numbers():
    years = np.arange(1800, 1960)
    assert ahead(reader_of(years), table(years)).times[0] == [1960.0 + i for i in range(HORIZON)]


def test_without_a_step_forecasts_have_no_times_and_a_note_names_the_column():
    random = np.random.default_rng(0)
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(
        np.cumsum(random.exponential(3600, 160)), unit="s"
    )
    data = load_data(table(times), preset=preset(), time="when")
    assert "calendar" not in data.preprocessing and notes_with(
        data.notes, "'when'", "step", "forecasts"
    )
    assert not ahead(data.preprocessing, table(times)).times


def test_forecasts_from_rows_without_times_have_numbered_steps_and_a_warning():
    reader = reader_of(pd.date_range("2024-01-01", periods=160, freq="h"))
    with warns("time column", "'when'"):
        forecast = ahead(reader, table(range(160)).drop(columns="when"))
    assert not forecast.times and list(forecast.columns()) == ["step", "load"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not ahead(reader, np.zeros((STEPS, 1), "float32")).times


def test_new_rows_of_another_step_are_refused_or_warned_of():
    reader = reader_of(pd.date_range("2024-01-01", periods=160, freq="h"))
    with refuses("1 day", "1 hour"):
        ahead(reader, table(pd.date_range("2024-01-01", periods=30, freq="D")))
    reader = reader_of(pd.date_range("2024-01-01", periods=160, freq="D"))
    with warns("1 business day", "1 day"), warns("2 rows", "2024-02-02", "2024-02-05", "7 steps"):
        ahead(reader, table(pd.date_range("2024-01-01", periods=30, freq="B")))


WORDS_OF = {
    "min": "1 minute",
    "15min": "15 minutes",
    "h": "1 hour",
    "4h": "4 hours",
    "D": "1 day",
    "B": "1 business day",
    "W": "1 week",
    "MS": "1 month",
    "ME": "1 month",
    "QS": "1 quarter",
    "YS": "1 year",
}


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
@pytest.mark.parametrize("step", WORDS_OF)
def test_rows_of_the_training_step_are_read_and_others_refused(step, zone):
    """From any first time, with some rows missing and some repeated; the years include changes of the clocks."""
    random = np.random.default_rng(0)

    def times(step, begin="2020-03-20 00:00", count=160):
        return pd.date_range(begin, periods=count, freq=step, tz=zone)

    reader = reader_of(times(step))
    for begin in ("2021-03-26", "2021-10-29 07:00", "2021-12-31 23:00"):
        new = times(step, begin if step[-1] in "nh" else begin[:10])
        for rows in (
            new,
            new[:STEPS],
            new[np.sort(random.choice(160, 130, replace=False))],
            new.append(new[-20:]),
        ):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert ahead(reader, table(rows)).values is not None
    for other in WORDS_OF:
        new = table(times(other))
        if other == step or {step, other} in ({"D", "B"}, {"MS", "ME"}):
            continue
        with refuses(WORDS_OF[step], WORDS_OF[other]):
            ahead(reader, new)


def test_a_time_that_cannot_be_read_is_shown_as_a_python_number():
    days = pd.date_range("2024-01-01", periods=160, freq="D")
    numbers = days.strftime("%Y%m%d").astype("int64")
    reader = reader_of(numbers)
    rows = table(numbers[:29])
    rows.loc[28, "when"] = 20230230
    with refuses("'when'", "row 29", "20230230") as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ahead(reader, rows)
    assert "int64" not in str(caught.value)


def test_one_missing_value_and_one_repeated_time_are_singular():
    times = pd.date_range("2024-01-01", periods=160, freq="h")
    rows = table(times[[0, *range(159)]])
    rows.loc[20, "load"] = np.nan
    notes = load_data(rows, preset=preset(), time="when").notes
    assert notes_with(notes, "1 missing value was") and notes_with(notes, "1 row repeats")


def test_a_step_beyond_the_years_names_the_column():
    calendar = Calendar(column="when", step="months", every=1e6)
    moments = Moments(*[np.array(["2024-01-01"], "M8[us]")] * 2)
    with refuses("1000000 months", "9999", "'when'"):
        calendar.next_times(moments, 1)


def test_timestamps_of_numbers_in_another_unit_are_refused():
    seconds = 1_700_000_000 + 3600 * np.arange(160)
    reader = reader_of(seconds)
    with refuses("3600000", "3600"):
        ahead(reader, table(seconds * 1000))


@pytest.mark.parametrize(
    "calendar",
    [
        None,
        [],
        "hourly",
        {"column": "when"},
        {"column": "when", "step": "lunar", "every": 1},
        {"column": "when", "step": "days", "every": "1"},
        {"column": "when", "step": "days", "every": 0.5},
        {"column": "when", "step": "months", "every": 1, "day": 99},
        {"column": "when", "step": "seconds", "every": 1e300},
        {"column": "when", "step": "seconds", "every": float("nan")},
        {"column": 3, "step": "seconds", "every": 1},
        {"column": "when", "step": "seconds", "every": 1, "zone": 3},
        {"column": "when", "step": "days", "every": 1, "x": 1},
        {"column": "when", "step": "months", "every": 1, "day": "end"},
        {"column": "when", "step": [], "every": 1},
    ],
    ids=str,
)
def test_an_invalid_stored_calendar_gives_no_times(calendar):
    times = pd.date_range("2024-01-01", periods=60, freq="h")
    reader = reader_of(pd.date_range("2024-01-01", periods=160, freq="h")) | {"calendar": calendar}
    assert not ahead(reader, table(times)).times


def test_an_invalid_stored_way_to_write_times_is_refused():
    reader = reader_of(
        pd.date_range("2024-01-01", periods=160, freq="h").strftime("%d.%m.%Y %H:%M")
    )
    assert preprocessor_mismatch(reader, {}) is None
    assert_mentions(
        preprocessor_mismatch(reader | {"times": "backwards"}, {}), "times", "'backwards'"
    )


@pytest.mark.parametrize("zone", ["../../etc/passwd", "Europe/Nowhere", "+99:99"])
def test_an_unknown_zone_is_refused(zone):
    times = pd.date_range("2024-01-01", periods=160, freq="h")
    reader = reader_of(times)
    reader = reader | {"calendar": reader["calendar"] | {"zone": zone}}
    with refuses("zone", f"{zone!r}", "tzdata"):
        ahead(reader, table(times))


def test_forecasts_beyond_the_last_date_are_refused():
    times = pd.date_range("2024-01-01", periods=160, freq="h")
    reader = reader_of(times)
    reader = reader | {"calendar": reader["calendar"] | {"step": "months", "every": 1e6}}
    # which show no step
    times = times + pd.to_timedelta(np.random.default_rng(0).integers(0, 3_000, 160), "s")
    with refuses("1000000 months"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ahead(reader, table(times))
