"""Columns of numbers and dates as people write them in six countries: read right, or named in one line.

None is silently a category. Each column is read from a CSV file, from dicts and from a DataFrame.
"""

import datetime

import numpy as np
import pandas as pd
import pytest
from messages import notes_with

import kzoo
from kzoo.inference.encode import encode

ROWS = 240
DRAW = np.random.default_rng(0)
DAYS = pd.DatetimeIndex(
    pd.Timestamp("2019-01-01") + pd.to_timedelta(DRAW.permutation(2000)[:ROWS], "D")
)
MONTHS = DAYS.to_period("M").to_timestamp()
QUARTERS = DAYS.to_period("Q").to_timestamp()
AMOUNTS = np.round(np.exp(DRAW.normal(6, 1.5, ROWS)), 2)
WHOLE = AMOUNTS.round()
CLOCK = DRAW.integers(0, 24 * 60, ROWS)
NAMES = {
    "de": [
        "Jan.",
        "Feb.",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "Aug.",
        "Sept.",
        "Okt.",
        "Nov.",
        "Dez.",
    ],
    "fr": [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ],
    "es": [
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ],
    "it": ["gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic"],
}


def dates(form):
    return list(DAYS.strftime(form))


def named(form, language):
    return [form.format(day=day, month=NAMES[language][day.month - 1]) for day in DAYS]


def european(number, decimals=2):
    return f"{number:,.{decimals}f}".translate(str.maketrans(",.", ".,"))


def swiss(number):
    return f"{number:,.2f}".replace(",", "'")


def french(number):
    return f"{number:,.2f}".replace(",", "\u202f").replace(".", ",")


def indian(number):
    whole, cents = f"{number:.2f}".split(".")
    head = whole[:-3]
    tail = whole[-3:]
    pairs = [head[max(end - 2, 0) : end] for end in range(len(head), 0, -2)][::-1]
    return ",".join([*pairs, tail]) + f".{cents}"


def in_units(unit, thousand, cut=1000):
    return [f"{v:.0f} {unit}" if v < cut else f"{v / 1000:.3f} {thousand}" for v in WHOLE]


def half_days(minute):
    hour = minute // 60
    return f"{hour % 12 or 12}:{minute % 60:02} {'PM' if hour > 11 else 'AM'}"


# name -> (cells, what they mean: dates or numbers, and words of the note about them, if there has to be one)
COLUMNS = {
    # United States
    "us date": (dates("%m/%d/%Y"), DAYS, ()),
    "us short date": (dates("%-m/%-d/%Y"), DAYS, ()),
    "us two-digit year": (dates("%-m/%-d/%y"), DAYS, ("two digits",)),
    "us month name": (dates("%b %d, %Y"), DAYS, ()),
    "us long month name": (dates("%B %-d, %Y"), DAYS, ()),
    "us weekday": (dates("%a, %b %d, %Y"), DAYS, ()),
    "us timestamp": (dates("%m/%d/%Y 06:30 PM"), DAYS + pd.Timedelta("18h30min"), ()),
    "us sas": (dates("%d%b%Y"), DAYS, ()),
    "us month": (list(MONTHS.strftime("%m/%Y")), MONTHS, ()),
    "us named month": (list(MONTHS.strftime("%b %Y")), MONTHS, ()),
    "us excel month": (list(MONTHS.strftime("%b-%y")), MONTHS, ("two digits",)),
    "us quarter": ([f"Q{d.quarter} {d.year}" for d in DAYS], QUARTERS, ()),
    "us clock": ([half_days(minute) for minute in CLOCK], CLOCK / 60, ("hours",)),
    "us dollars": ([f"${v:,.2f}" for v in AMOUNTS], AMOUNTS, ()),
    "us negative": (
        [f"({v:,.2f})" if i % 3 else f"{v:,.2f}" for i, v in enumerate(AMOUNTS)],
        np.where(np.arange(ROWS) % 3, -AMOUNTS, AMOUNTS),
        (),
    ),
    "us thousands": ([f"{v / 1e3:.5f}k" for v in AMOUNTS], AMOUNTS, ()),
    "us millions": ([f"${v / 1e6:.8f}M" for v in AMOUNTS], AMOUNTS, ()),
    "us words": ([f"{v / 1e6:.8f} million" for v in AMOUNTS], AMOUNTS, ()),
    "us percent": ([f"{v:.2f}%" for v in AMOUNTS], AMOUNTS, ()),
    "us pounds": ([f"{v:.2f} lbs" for v in AMOUNTS], None, ("look like numbers", "lbs'")),
    # Germany
    "de date": (dates("%d.%m.%Y"), DAYS, ()),
    "de two-digit year": (dates("%d.%m.%y"), DAYS, ("two digits",)),
    "de timestamp": (dates("%d.%m.%Y 18:30"), DAYS + pd.Timedelta("18h30min"), ()),
    "de month name": (named("{day.day}. {month} {day.year}", "de"), DAYS, ()),
    "de weekday": (named("Montag, {day.day}. {month} {day.year}", "de"), DAYS, ()),
    "de clock": ([f"{m // 60:02}:{m % 60:02}" for m in CLOCK], CLOCK / 60, ("hours",)),
    "de euros": ([f"{european(v)} €" for v in AMOUNTS], AMOUNTS, ()),
    "de numbers": ([european(v) for v in AMOUNTS], AMOUNTS, ()),
    "de thousands": ([european(v, 0) for v in WHOLE], None, ("1.9 or 1900",)),
    "de teur": (in_units("EUR", "TEUR"), WHOLE, ()),
    "de millions": ([f"{european(v / 1e6, 8)} Mio. €" for v in AMOUNTS], AMOUNTS, ()),
    "de percent": ([f"{european(v)} %" for v in AMOUNTS], AMOUNTS, ()),
    "de week": ([f"KW {d.isocalendar().week}/{d.year}" for d in DAYS], None, ("look like", "KW")),
    # France
    "fr date": (dates("%d/%m/%Y"), DAYS, ()),
    "fr two-digit year": (dates("%d/%m/%y"), DAYS, ("two digits",)),
    "fr month name": (named("{day.day} {month} {day.year}", "fr"), DAYS, ()),
    "fr dashes": (dates("%d-%m-%Y"), DAYS, ()),
    "fr hours": ([f"{m // 60}h{m % 60:02}" for m in CLOCK], None, ("look like numbers",)),
    "fr euros": ([f"{french(v)} €" for v in AMOUNTS], AMOUNTS, ()),
    "fr numbers": ([french(v) for v in AMOUNTS], AMOUNTS, ()),
    # Spain, Italy, Switzerland
    "es month name": (named("{day.day} de {month} de {day.year}", "es"), DAYS, ()),
    "it month name": (named("{day.day}-{month}-{day.year}", "it"), DAYS, ()),
    "it month": (named("{month} {day.year}", "it"), MONTHS, ()),
    "ch francs": ([f"CHF {swiss(v)}" for v in AMOUNTS], AMOUNTS, ()),
    # United Kingdom, India
    "uk date": (dates("%d/%m/%Y 10:15"), DAYS + pd.Timedelta("10h15min"), ()),
    "uk excel date": (dates("%d-%b-%Y"), DAYS, ()),
    "uk excel short date": (dates("%d-%b-%y"), DAYS, ("two digits",)),
    "uk mail date": (dates("%a, %d %b %Y 10:15:00 +0000"), DAYS + pd.Timedelta("10h15min"), ()),
    "uk pounds": ([f"£{v:,.2f}" for v in AMOUNTS], AMOUNTS, ()),
    "in rupees": ([f"₹{indian(v)}" for v in AMOUNTS], AMOUNTS, ()),
    "in lakh": ([f"{v / 1e5:.7f} lakh" for v in AMOUNTS], AMOUNTS, ()),
    # China, Japan
    "cn date": ([f"{d.year}年{d.month}月{d.day}日" for d in DAYS], DAYS, ()),
    "cn month": ([f"{d.year}年{d.month}月" for d in DAYS], MONTHS, ()),
    "cn slashes": (dates("%Y/%-m/%-d"), DAYS, ()),
    "cn yuan": ([f"¥{v:,.2f}" for v in AMOUNTS], AMOUNTS, ()),
    "cn ten thousands": ([f"{v / 1e4:.6f}万" for v in AMOUNTS], AMOUNTS, ()),
    "jp two-digit year first": (
        [f"{d.year + 70 - 2000}/{d.month}/{d.day}" for d in DAYS],
        None,
        ("look like",),
    ),
    # Everywhere
    "digits": (dates("%Y%m%d"), DAYS, ("read as dates", "'number'")),
    "month of digits": (list(MONTHS.strftime("%Y%m")), MONTHS, ("read as dates", "'number'")),
    "iso month": (list(MONTHS.strftime("%Y-%m")), MONTHS, ()),
    "minus nines": (
        [-999.0 if i % 9 == 0 else v for i, v in enumerate(np.minimum(AMOUNTS, 400))],
        [-999.0 if i % 9 == 0 else v for i, v in enumerate(np.minimum(AMOUNTS, 400))],
        ("-999 in 27 rows", "missing value"),
    ),
    "nines": (
        [99999 if i % 9 == 0 else v % 90 for i, v in enumerate(range(ROWS))],
        [99999 if i % 9 == 0 else v % 90 for i, v in enumerate(range(ROWS))],
        ("99999 in 27 rows",),
    ),
}
COLUMNS["de thousands"] = (
    COLUMNS["de thousands"][0],
    None,
    ("'de thousands'", "If that is wrong, use columns="),
)
ANSWER = ["p", "q"] * (ROWS // 2)
PARTS = ("year", "month", "day", "weekday", "hour")


def sources(name, folder):
    """Yield a column next to another one through three doors."""
    frame = pd.DataFrame(
        {name: COLUMNS[name][0], "other": DRAW.normal(size=ROWS), "answer": ANSWER}
    )
    frame.to_csv(folder / "t.csv", index=False)
    yield folder / "t.csv"
    yield frame
    yield frame.to_dict("records")


def meaning(name):
    """Return feature -> values of a column."""
    expected = COLUMNS[name][1]
    if expected is None:
        return {}
    if not isinstance(expected, pd.DatetimeIndex):
        return {name: np.asarray(expected, float)}
    parts = dict(
        zip(
            PARTS,
            (expected.year, expected.month, expected.day, expected.dayofweek, expected.hour),
            strict=True,
        )
    )
    return {
        f"{name} {part}": values.to_numpy(float)
        for part, values in parts.items()
        if values.nunique() > 1
    }


def test_there_are_sixty_columns():
    assert len(COLUMNS) >= 60


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_read_right_or_named(name, tmp_path):
    words = COLUMNS[name][2]
    expected = meaning(name)
    for source in sources(name, tmp_path):
        data = kzoo.load_data(source, target="answer", test=0, validation=0)
        assert not words or notes_with(data.notes, name, *words), data.notes
        assert expected or words
        features = [feature for feature in data.feature_names if feature not in ("other", "answer")]
        if expected:
            assert features == list(expected), data.notes
            x = encode(data.preprocessing, source)
            for feature, values in expected.items():
                np.testing.assert_allclose(
                    x[:, data.feature_names.index(feature)], values, rtol=2e-5, atol=1e-6
                )
            # New rows have the same meaning one by one.
            one = encode(data.preprocessing, {name: [COLUMNS[name][0][7]], "other": [0.0]})
            for feature, values in expected.items():
                np.testing.assert_allclose(
                    one[0, data.feature_names.index(feature)], values[7], rtol=2e-5, atol=1e-6
                )


def test_times_of_day_of_python_are_those_of_texts():
    cells = [datetime.time(minute // 60, minute % 60) for minute in CLOCK]
    data = kzoo.load_data(
        pd.DataFrame({"at": cells, "answer": ANSWER}), target="answer", test=0, validation=0
    )
    np.testing.assert_allclose(data.train.x[np.argsort(data.train.rows), 0], CLOCK / 60, rtol=1e-5)


def test_minutes_and_seconds_beside_hours_are_named():
    cells = ["18:25", "1:02:03", "59:10"] * 40
    data = kzoo.load_data(
        {"run": cells, "answer": ["p", "q"] * 60}, target="answer", test=0, validation=0
    )
    assert notes_with(data.notes, "'run'", "two units", "'18:25'", "'1:02:03'")


@pytest.mark.parametrize("column", ["answer", "word"])
def test_words_that_differ_in_case_and_blanks_are_named(column):
    table = {"x": np.arange(120.0), "word": ["a", "b", "c"] * 40, "answer": ["p", "q"] * 60}
    table[column] = ["no", "NO ", "yes", " no"] * 30
    data = kzoo.load_data(table, target="answer", test=0, validation=0)
    assert notes_with(data.notes, "case", "'NO' and 'no'")
    assert data.class_names == (("NO", "no", "yes") if column == "answer" else ("p", "q"))


def test_a_target_and_a_series_with_numbers_for_missing_values_are_named():
    values = np.where(np.arange(500) % 10 == 3, -999.0, np.arange(500) % 7 + 0.5)
    table = kzoo.load_data({"x": np.arange(500.0), "y": values}, target="y", test=0, validation=0)
    days = pd.date_range("2024-01-01", periods=500)
    series = kzoo.load_data(pd.DataFrame({"day": days, "y": values}), time="day")
    for data in (table, series):
        assert notes_with(data.notes, "'y'", "-999", "missing value")


@pytest.mark.parametrize(
    "cells",
    [
        ["4K", "8K", "2K"],
        ["5m", "6m", "7m"],
        ["1A", "2B", "3C"],
        ["12-34", "56-78", "9-10"],
        ["red", "green", "blue"],
        [f"A{i}" for i in range(30)],
        [f"{i}th Street" for i in range(3)],
    ],
)
def test_codes_and_words_stay_categories_without_a_line(cells):
    table = {"x": np.arange(300.0), "code": (cells * 300)[:300], "answer": ["p", "q"] * 150}
    data = kzoo.load_data(table, target="answer", test=0, validation=0)
    column = next(column for column in data.preprocessing["columns"] if column["name"] == "code")
    assert column["kind"] == "category" and not notes_with(data.notes, "'code'")


@pytest.mark.parametrize(
    "cells", [[2024, 2023, 2022], [20241345, 20240102, 20240103], [100000, 200000, 250000]]
)
def test_whole_numbers_that_are_not_all_dates_stay_numbers(cells):
    table = {"x": np.arange(300.0), "n": (cells * 300)[:300], "answer": ["p", "q"] * 150}
    data = kzoo.load_data(table, target="answer", test=0, validation=0)
    assert (
        next(column for column in data.preprocessing["columns"] if column["name"] == "n")["kind"]
        == "number"
    )
