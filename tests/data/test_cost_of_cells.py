"""Cells, names and texts of any content are read in a time that is linear in their length, not quadratic."""

import re
import time
import unicodedata
import warnings
from contextlib import suppress

import numpy as np
import pytest
from messages import refuses

import kzoo
from kzoo.data.inputs.rows.columns import learn_columns
from kzoo.inference.kinds.text.tokenizer import Tokenizer
from kzoo.inference.sources.files import decode_text
from kzoo.inference.tables.dates import are_dates, detect_day_first, may_have_offset, to_dates
from kzoo.inference.tables.files import read_content
from kzoo.inference.tables.numbers import (
    PLAIN,
    NumberFormat,
    are_ambiguous,
    is_unambiguous,
    learn_number_format,
)
from kzoo.inference.tables.raw import Rows
from kzoo.inference.tables.values import plain, to_words
from kzoo.inference.tables.zones import minutes_in
from kzoo.serve import raw
from kzoo.serve.codecs import ModelRequest
from kzoo.utils.errors import KzooError, KzooWarning

EUROS = NumberFormat(",", ". '", frozenset(("%", "€", "EUR", "()", "5-")))


def uploaded(content, name):
    """Read an upload; notes on doubled names of columns do not matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KzooWarning)
        return read_content(content, name)


READERS = {
    "a number": PLAIN.read,
    "a learned number": EUROS.read,
    "the way of numbers": lambda text: learn_number_format([text, "1,5", "2 %"]),
    "doubtful numbers": lambda text: (is_unambiguous(text), are_ambiguous([text, "1.234"])),
    "a date": lambda text: to_dates(plain([text]), day_first=True),
    "the order of day and month": lambda text: detect_day_first("x", plain([text, "3/2/2024"]), []),
    "dates or not": lambda text: (are_dates(plain([text])), may_have_offset(plain([text]))),
    "words": lambda text: to_words(plain([text])),
    "a zone": lambda text: minutes_in(plain([text]), day_first=True),
    "a column": lambda text: learn_columns(
        Rows({text: plain(np.arange(9.0)), "b": plain([text] * 9)}), np.arange(9), notes=[]
    ),
    "words of a text": Tokenizer(vocabulary=["a"]).numbers,
    "characters of a text": Tokenizer(level="characters", vocabulary=["a"]).numbers,
    "bytes of a text": lambda text: decode_text(text.encode("cp1252", "replace") + b"\xe9", "x"),
    "a file": lambda text: uploaded(f"a;b\n{text};1\n2;3\n".encode(), "x"),
    "a quoted cell": lambda text: uploaded(
        f'a,b\n"{text.replace(chr(34), chr(34) * 2)}",1\n'.encode(), "x"
    ),
    "names of columns": lambda text: uploaded(f"{text}\n1\n".encode(), "x"),
    "a form": lambda text: form(text, "a.csv"),
    "a name in a form": lambda text: form("a", text),
}
WHOLE_FILES = ("a column", "a file", "names of columns")
LONG = 20_000  # characters
BEGINNINGS = ("", "1", "(", "-", "$ ", "1 jan", "2024-01-01", "2024-01-01T12:00:00", "a", "id")
REPEATED = (
    " ",
    "\t",
    "1",
    "1 ",
    "1.",
    "1,",
    ",000",
    " 000",
    "1'",
    "e",
    "e+",
    "1e",
    "-",
    "+ ",
    "(",
    "$",
    "€ ",
    "EUR",
    "% ",
    "万",
    "T",
    "T1",
    " 1",
    ":1",
    ":11 ",
    "12:00 ",
    "jan ",
    "1 jan",
    "1/1/",
    "2024-",
    "-01",
    ".5",
    "Z ",
    "年",
    "a",
    "a'",
    "é",
    "’",
    "_",
    "Id",
    "_id",
    "编",
    "\u0315\u0300",
    "\u0f73\u0315",
    "ﷺ",
    "Σ'",
    '"',
    "\r",
    "\n ",
    ";",
    "|",
)
ENDS = ("x", "1", " €", "\n!")


def form(text, name):
    body = f'--b\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\n\r\n{text}\r\n--b--\r\n'
    header = {"content-type": "multipart/form-data; boundary=b"}
    request = ModelRequest(
        model=None, name="m", version="1", header=header, query={}, body=body.encode(), max_rows=10
    )
    return raw._files(request)


def processor_time(read, text, times=1):
    """Return the least processor time of so many readings: another process may have disturbed one."""
    took = []
    for _ in range(times):
        began = time.process_time()
        with suppress(KzooError):
            read(text)
        took.append(time.process_time() - began)
    return min(took)


def unit():
    """Return the processor time that this machine takes for a million steps of Python's, in seconds."""
    began = time.process_time()
    for _ in range(1_000_000):
        pass
    return time.process_time() - began


@pytest.mark.parametrize("reader", READERS)
def test_the_time_of_reading_is_linear_in_the_length(reader):
    read = READERS[reader]
    allowed = max(0.05, 3 * unit()) * (4 if reader in WHOLE_FILES else 1)
    endings = [
        (beginning, end) for beginning in BEGINNINGS for end in ENDS[: 1 if beginning else None]
    ]
    read("1")  # what is compiled once
    times = []
    for repeated in REPEATED:
        for beginning, end in endings:
            text = beginning + (repeated * LONG)[:LONG] + end
            took = processor_time(read, text)
            if took >= allowed:
                took = processor_time(read, text, 3)
            assert took < allowed, (took, beginning, repeated, end)
            times.append((took, beginning, repeated, end))
    for took, beginning, repeated, end in sorted(times, reverse=True)[:5]:
        longer = processor_time(read, beginning + (repeated * 4 * LONG)[: 4 * LONG] + end, 3)
        assert longer < 8 * max(took, allowed / 5), (took, longer, beginning, repeated, end)


def test_a_table_of_hostile_cells_is_read(tmp_path):
    began = time.process_time()
    hostile = (" ", "1 ", "e+", "12:00 ")
    cells = [
        (beginning + repeated * LONG)[:LONG] for repeated in hostile for beginning in ("1", "")
    ]
    labels = ("yes", "no")
    rows = [
        f'"{cell}x","2024-01-01T12:00{cell}x",{row},{labels[row % 2]}'
        for row, cell in enumerate(cells)
    ]
    (tmp_path / "a.csv").write_text("\n".join(["a,b,c,y", *rows * 3]))
    data = kzoo.load_data(tmp_path / "a.csv", target="y")
    assert data.outputs == 2 and time.process_time() - began < max(5, 100 * unit())


# Cell -> the number that is read by the way that is learned of it alone; None where it is no number.
NUMBERS = {
    "1": 1,
    " 12 ": 12,
    "-3.5": -3.5,
    "+4": 4,
    "1,234.5": 1234.5,
    "1 234 567": 1234567,
    "1\u202f234,5": 1234.5,
    "1'234.50": 1234.5,
    "12,34,567": 1234567,
    "(5)": -5,
    "( 5.5 )": -5.5,
    "5-": -5,
    "5 -": -5,
    "- 5": -5,
    "−5": -5,
    "$5": 5,
    "-$5": -5,
    "$-5": -5,
    "$ 5": 5,
    "5 $": 5,
    "US$ 1,000.50": 1000.5,
    "€ 5,--": 5,
    "CHF 1'000.--": 1000,
    "5 .-": 5,
    "Rs. 12,34,567/-": 1234567,
    "1.234,50 €": 1234.5,
    "EUR 7": 7,
    "7 eur": 7,
    "12 %": 12,
    "12%": 12,
    "3.2万": 32000,
    "3.2 万": 32000,
    "1.5亿元": 1.5e8,
    "1e5": 1e5,
    "1E-3": 1e-3,
    "1.5e+3": 1500,
    "１２": 12,
    ".5": 0.5,
    "5.": 5,
    "true": 1,
    "False": 0,
    "000": 0,
    "1 2": None,
    "1  234": None,
    "1 234 ": 1234,
    "e5": None,
    "1e": None,
    "1e+": None,
    "--5": None,
    "$5$": None,
    "5 kg": None,
    "1.2.3": None,
    "": None,
    "-": None,
    ".": None,
    "1,5,": None,
    "$": None,
    "(5": None,
    "5 % %": None,
    "12:00": 12,
    "2024-01-01": None,
    "1 000 €  ": 1000,
    "1\t%": 1,
    "5 万 %": 50000,
    "18:30": 18.5,
    "6:30 PM": 18.5,
    "12:15 a.m.": 0.25,
    "24:60": None,
    "13:00 PM": None,
    "1:2": None,
    "0:01:30": 0.025,
    "1.9 TEUR": 1900,
    "1,9 T€": 1900,
    "$1.5M": 1.5e6,
    "1.5k": 1500,
    "4K": None,
    "5m": None,
    "5 T": None,
    "2 Mio. €": 2e6,
    "1.5 Mrd": 1.5e9,
    "3 million": 3e6,
    "2.5 lakh": 250000,
    "1 crore": 1e7,
}


@pytest.mark.parametrize("cell", NUMBERS)
def test_ordinary_numbers_are_read_with_their_values(cell):
    number = learn_number_format([cell]).writing.read(cell)
    assert (
        np.isnan(number)
        if NUMBERS[cell] is None
        else number == pytest.approx(NUMBERS[cell], rel=1e-15)
    )


DATES = {
    "2024": "2024-01-01",
    "2024-02": "2024-02-01",
    "2024-02-03": "2024-02-03",
    "20240203": "2024-02-03",
    "2024-02-03 04:05": "2024-02-03T04:05",
    "2024-02-03T04:05:06.5": "2024-02-03T04:05:06.5",
    "2024-02-03  4 pm": "2024-02-03T16:00",
    "2024-02-03 0405": "2024-02-03T04:05",
    "20240203T04": "2024-02-03T04",
    "2024-02-03T04:05Z": "2024-02-03T04:05",
    "2024-02-03 04:05 +02:00": "2024-02-03T02:05",
    "2024-02-03T04:05:06,123456789-0530": "2024-02-03T09:35:06.123456",
    "2024-02-03 12 AM UTC": "2024-02-03T00:00",
    "3/2/2024": "2024-03-02",
    "13.2.2024 1:2": "2024-02-13T01:02",
    "2024年2月3日": "2024-02-03",
    "3 Feb 2024": "2024-02-03",
    "February 3,  2024": "2024-02-03",
    "Sept. 2024": "2024-09-01",
    "3-feb-2024 10:00": "2024-02-03T10:00",
    "2024-02-30": None,
    "2024-02-03 25:00": None,
    "2024-02-03x": None,
    "2024-02-03 10:00 13 pm": None,
    "2024-02-03 4:05 am +": None,
    "1": None,
    "": None,
}


@pytest.mark.parametrize("cell", DATES)
def test_ordinary_dates_are_read_with_their_values(cell):
    (date,) = to_dates(plain([cell]))
    assert np.isnat(date) if DATES[cell] is None else date == np.datetime64(DATES[cell], "us")


def test_many_accents_in_a_row_are_composed_as_unicode_says():
    draw = np.random.default_rng(0)
    marks = [chr(code) for code in range(0x250, 0x11000) if unicodedata.combining(chr(code))]
    others = [*"aéế각中 !。", "\u0f73", "\u0f75", "\u0f81", "\u0344"]
    tokenizer = Tokenizer(level="characters", lowercase=False)
    for _ in range(300):
        text = "".join(
            draw.choice(marks if draw.random() < 0.95 else others)
            for _ in range(draw.integers(1, 200))
        )
        assert tokenizer.split(text) == list(unicodedata.normalize("NFC", text))
    assert len(marks) > 700 and re.search(r"\w", "".join(marks)) is None


def test_a_duplicate_name_among_very_many_is_refused_in_time():
    names = {f"n{number}": 0 for number in range(100_000)}
    began = time.process_time()
    with refuses("columns", "'n99999'"):
        kzoo.inference.encode.encode({"kind": "table", "columns": []}, [names | {" n99999": 1}])
    assert time.process_time() - began < max(2, 40 * unit())
    assert len(read_content(b"a,b\n1,2\n")) == 1
