"""Random tables, and what writes each of them as a file, a DataFrame or dicts.

Each cell says what it means, so that a test need not trust one way of reading to judge another.
"""

import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd

NUMBER = "nr"  # the first column: the number of the row, by which rows are known again in any order
MISSING = ("", "", "", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>", "#N/A", "n/a")
NAMES = (
    "size",
    "a",
    "A",
    "a.1",
    "a.b",
    "größe",
    "价格",
    " padded",
    "padded too  ",
    "two words",
    "with, comma",
    "semi;colon",
    'the "old" one',
    "1",
    "2.5",
    "e\u0301",
    "100 %",
    "target?",
    "true",
    "-",
    "_",
    "x" * 60,
    "tab\there",
    "line\nbreak",
)
WORDS = (
    "red",
    "Red",
    "RED",
    "größer",
    "上海",
    "Bern, BE",
    'the "old" town',
    '"quoted"',
    "it's",
    "semi; colon",
    "two\nlines",
    "two\r\nends",
    "tab\tbed",
    "a|b",
    "e\u0301",
    "🙂",
    "none",
    "missing",
    "n.v.",
    "-",
    "--",
    "?",
    "x" * 80,
    "\\",
    "=1+1",
    "# 5",
    "NAN?",
    "1 apple",
    "a 1",
    "inf.",
    "yes",
    "no",
    "\u00a0nbsp",
    "Ж",
)
AS_WRITTEN = object()  # the value of a cell that is a text in a DataFrame too


@dataclass(frozen=True)
class Cell:
    """A cell, and what it means.

    Args:
        text: it in a file with decimal points.
        comma: it in a file with decimal commas; the same unless that is said.
        value: it in a DataFrame or a dict, None where it is missing.
        number, moment, word: what it is where its column holds numbers, dates or categories.
    """

    text: str
    comma: str | None = None
    value: object = AS_WRITTEN
    number: float = math.nan
    moment: datetime | None = None
    word: str | None = None

    def written(self, decimal: str) -> str:
        """Return it as a file with this decimal sign has it."""
        return self.comma if decimal == "," and self.comma is not None else self.text

    def typed(self, decimal: str):
        """Return it as a DataFrame has it, texts with this decimal sign."""
        return self.written(decimal) if self.value is AS_WRITTEN else self.value


@dataclass(frozen=True)
class Column:
    """How a column is made.

    Args:
        kind: the name of the function that drew it.
        cells: returns so many cells, none of them missing.
        missing: the share of cells that are, or a function (row, rows) that says of each whether it is.
        signed: whether decimal signs stand in its texts.
        doubtful: whether its texts may be read in two ways; then a line that names the column will do.
    """

    kind: str
    cells: Callable
    missing: float = 0.0
    signed: bool = False
    doubtful: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells.

    Args:
        columns: name -> cells.
        made: name -> `Column`.
        target: the name of the column that is to be predicted.
        classes: whether that holds classes.
        layout: how its files are laid out: `ragged`, `blank_lines`, `quoted`.
    """

    columns: dict
    made: dict
    target: str
    classes: bool
    layout: dict

    def __len__(self):
        return len(self.columns[NUMBER])

    def __getitem__(self, name):
        return next(cells for known, cells in self.columns.items() if known.strip() == name)

    def has_texts(self, name) -> bool:
        """Say whether the cells of a column are texts in a DataFrame too."""
        return any(cell.value is AS_WRITTEN for cell in self[name])

    def take(self, rows) -> "Table":
        """Return some of its rows."""
        return replace(
            self,
            columns={name: [cells[row] for row in rows] for name, cells in self.columns.items()},
        )

    def labelled(self) -> "Table":
        """Return its rows that have a target."""
        return self.take(
            [row for row, cell in enumerate(self[self.target]) if cell.word is not None]
        )

    def csv(self, *, decimal=".", separator=",", end="\n") -> bytes:
        """Return it as a CSV file."""
        stream = io.StringIO(newline="")
        quoting = csv.QUOTE_ALL if self.layout["quoted"] else csv.QUOTE_MINIMAL
        writer = csv.writer(stream, delimiter=separator, lineterminator=end, quoting=quoting)
        writer.writerow(self.columns)
        for number, row in enumerate(zip(*self.columns.values(), strict=True)):
            texts = [cell.written(decimal) for cell in row]
            while self.layout["ragged"] and len(texts) > 1 and not texts[-1]:
                texts.pop()
            writer.writerow(texts)
            if self.layout["blank_lines"] and number % 7 == 3:
                stream.write(end)
        return stream.getvalue().encode()

    def typed(self, decimal=".") -> dict:
        """Return name -> values as a DataFrame has them, None where one is missing."""
        return {
            name: [cell.typed(decimal) for cell in cells] for name, cells in self.columns.items()
        }

    def frame(self, decimal=".", seed=0) -> pd.DataFrame:
        """Return it as a DataFrame, whose columns have one of the types that fit their values."""
        draw = np.random.default_rng([seed, 1])
        return pd.DataFrame(
            {name: _series(values, draw) for name, values in self.typed(decimal).items()}
        )

    def parquet(self, path, decimal=".", seed=0):
        """Write it as a Parquet file, whose columns have one of the types that fit their values."""
        import pyarrow as pa
        import pyarrow.parquet

        draw = np.random.default_rng([seed, 2])
        arrays = [_array(pa, values, draw) for values in self.typed(decimal).values()]
        pa.parquet.write_table(pa.table(arrays, names=list(self.columns)), path, row_group_size=17)

    def dicts(self, decimal=".") -> list:
        """Return it as a list of dicts."""
        columns = self.typed(decimal)
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def json(self, decimal=".") -> list:
        """Return what JSON makes of `dicts`: times are texts, and what is infinite is one too."""
        return [
            {name: _in_json(value) for name, value in row.items()} for row in self.dicts(decimal)
        ]

    def form(self, decimal=".") -> list:
        """Return it as a list of dicts of texts, as a form sends them: empty where a cell is missing."""
        texts = [
            ["" if cell.value is None else cell.written(decimal) for cell in cells]
            for cells in self.columns.values()
        ]
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*texts, strict=True)]


def _in_json(value):
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _series(values, draw):
    """Return a column of pandas, of one of the types that fit."""
    there = [value for value in values if value is not None]
    types = {type(value) for value in there}
    if types == {bool}:
        dtype = draw.choice(["object", "boolean"] + ["bool"] * (len(there) == len(values)))
        return pd.Series(values, dtype=dtype)
    if types == {int}:
        small = max(map(abs, there)) < 2**53
        return pd.Series(values, dtype=draw.choice(["Int64", "object"] + ["float64"] * small))
    if types <= {int, float} and types:
        return pd.Series(values, dtype=draw.choice(["float64", "object"]))
    if types == {datetime}:
        return (
            pd.Series(values, dtype="object")
            if draw.random() < 0.3
            else pd.Series(pd.to_datetime(values))
        )
    if types == {str}:
        return pd.Series(values, dtype=draw.choice(["object", "string", "str", "category"]))
    return pd.Series(values, dtype="object")


def _array(pa, values, draw):
    """Return a column of Arrow, of one of the types that fit."""
    array = pa.array(values)
    if pa.types.is_string(array.type):
        return [array, array.cast(pa.large_string()), array.dictionary_encode()][draw.integers(3)]
    return array


def random_pair(seed: int) -> tuple[Table, Table]:
    """Return a table to learn from, and another with rows of the same columns."""
    draw = np.random.default_rng([seed, 0])
    sizes = [draw.integers(low, high) for low, high in ((5, 10), (10, 31), (31, 121), (121, 401))]
    rows = int(draw.choice(sizes, p=[0.04, 0.26, 0.35, 0.35]))
    names = draw.permutation(len(NAMES))[: draw.integers(3, 11)]
    made = {NUMBER: Column("numbers of rows", lambda count: _numbers(draw.permutation(count) + 3))}
    for name in (NAMES[number] for number in names):
        column = KINDS[draw.integers(len(KINDS))](draw)
        made[name] = (
            column
            if column.missing
            else replace(column, missing=float(draw.choice([0, 0, 0.03, 0.3])))
        )
    made["customer_id"] = Column("numbers of rows", lambda count: _numbers(range(1, count + 1)))
    classes = bool(draw.random() < 0.6)
    made["answer"] = replace(
        (_classes if classes else _values)(draw), missing=float(draw.choice([0, 0, 0.05]))
    )
    order = [NUMBER, *(list(made)[1 + number] for number in draw.permutation(len(made) - 1))]
    layout = {
        "ragged": draw.random() < 0.3,
        "blank_lines": draw.random() < 0.2,
        "quoted": draw.random() < 0.15,
    }
    made = {name: made[name] for name in order}
    fewer = int(draw.choice([1, draw.integers(2, 12), draw.integers(12, 121)]))

    def table(count):
        columns = {name: _drawn(column, count, draw) for name, column in made.items()}
        return Table(
            columns,
            {name.strip(): column for name, column in made.items()},
            "answer",
            classes,
            layout,
        )

    return table(rows), table(fewer)


def _drawn(column, count, draw):
    """Return so many cells of a column, some of them missing."""
    cells = column.cells(count)
    share = column.missing
    missing = (
        [share(row, count) for row in range(count)]
        if callable(share)
        else draw.random(count) < share
    )
    return [
        Cell(str(draw.choice(MISSING)), value=None) if lost else cell
        for cell, lost in zip(cells, missing, strict=True)
    ]


def _number(value, text=None, comma=None):
    """Return a cell of a number, which is a text in a DataFrame too where its text is named."""
    value = value.item() if isinstance(value, np.generic) else value
    plain = repr(value) if text is None else text
    comma = plain.replace(".", ",") if comma is None else comma
    return Cell(
        plain, comma, value if text is None else AS_WRITTEN, float(value), word=plain.strip()
    )


def _numbers(values):
    return [_number(value) for value in values]


def _rounded(values, digits=2):
    return [_number(round(float(value), digits)) for value in values]


def _word(text):
    return Cell(text, word=text.strip())


def _figure(text):
    """Return a cell of a number that is a text in a DataFrame too, and may be a category."""
    return Cell(text, number=float(text), word=text)


def _words(texts):
    return [_word(str(text)) for text in texts]


# Kinds of columns: functions of a random generator that return a `Column`.


def integers(draw):
    low, high = [(0, 9), (-50, 50), (0, 10**6), (10**9, 10**12)][draw.integers(4)]
    return Column("integers", lambda count: _numbers(draw.integers(low, high, count)))


def large_integers(draw):
    """Return whole numbers that float32, and often float64, cannot tell from their neighbours."""
    return Column("large integers", lambda count: _numbers(draw.integers(-(2**62), 2**62, count)))


def decimals(draw):
    digits, scale = int(draw.integers(1, 7)), float(draw.choice([0.01, 1, 1000]))
    return Column(
        "decimals", lambda count: _rounded(draw.normal(0, scale, count), digits), signed=True
    )


def three_decimals(draw):
    """Return numbers such as `1.234`, which may be a thousand and more."""

    def cell(value):
        text = f"{value:.3f}"
        return Cell(text, text.replace(".", ","), float(text), float(text))

    cells = lambda count: [cell(value) for value in draw.uniform(1, 99, count)]  # noqa: E731
    return Column("three decimals", cells, signed=True, doubtful=True)


def huge_and_tiny(draw):
    def cells(count):
        digits = draw.uniform(-3, 3, count)
        exponents = draw.choice([-30, -5, 0, 16, 25, 37], count)
        return [_number(float(f"{m:.4g}e{e}")) for m, e in zip(digits, exponents, strict=True)]

    return Column("huge and tiny", cells, signed=True)


def many_digits(draw):
    def cell(value):
        text = f"{value:.12f}" + "".join(map(str, draw.integers(0, 10, 8)))
        return Cell(text, text.replace(".", ","), float(text), float(text))

    return Column(
        "many digits",
        lambda count: [cell(value) for value in draw.uniform(-5, 5, count)],
        signed=True,
    )


def infinite_here_and_there(draw):
    def cells(count):
        numbers = _rounded(draw.normal(0, 9, count))
        infinite = Cell("inf", value=math.inf, word="inf")
        return [infinite if draw.random() < 0.03 else cell for cell in numbers]

    return Column("infinite here and there", cells, signed=True)


def amounts(draw, first=0, last=9):
    """Return numbers as people write them, in one of some styles."""
    style = STYLES[first:last][draw.integers(last - first)]
    scale = float(draw.choice([50, 5000, 5_000_000]))

    def cell(value):
        value = round(float(value), 2)
        points = f"{abs(value):,.2f}"
        text, comma, number = style(value, points, points.translate(_SWAPPED))
        return _number(number, text, comma)

    return Column(
        "amounts",
        lambda count: [cell(value) for value in draw.normal(scale / 2, scale, count)],
        signed=True,
    )


_SWAPPED = str.maketrans(",.", ".,")


def _in_style(written):
    """Return (value, points, commas) -> (text, text with decimal commas, number), with a minus in front."""

    def style(value, *figures):
        sign = "-" if value < 0 else ""
        return *(sign + written(text) for text in figures), value

    return style


def _in_brackets(value, *figures):
    return *(f"({text})" if value < 0 else text for text in figures), value


def _spaced(by):
    """Return a style in which a sign stands between thousands."""

    def style(value, points, commas):
        sign = "-" if value < 0 else ""
        return sign + points.replace(",", by), sign + commas.replace(".", by), value

    return style


def _in_ten_thousands(value, *_):
    text = f"{abs(value):.2f}"
    return f"{text}万", f"{text}万".replace(".", ","), float(text) * 1e4


STYLES = (
    _in_style("{}".format),
    _in_style("{} €".format),
    _in_style("${}".format),
    _in_style("{}%".format),
    _in_style("{} %".format),
    _in_brackets,
    _spaced(" "),
    _spaced("'"),
    _in_ten_thousands,
)


def thousands(draw):
    """Return whole numbers such as `1,234`, which may be one and a bit."""

    def cell(value):
        return _number(value, f"{value:,}", f"{value:,}".replace(",", "."))

    cells = lambda count: [cell(int(value)) for value in draw.integers(100, 99_999, count)]  # noqa: E731
    return Column("thousands", cells, signed=True, doubtful=True)


def numbers_with_blanks(draw):
    def cell(value):
        return replace(_number(value, f"{value} "), comma=f"{value} ".replace(".", ","))

    cells = lambda count: [cell(round(float(value), 1)) for value in draw.normal(0, 9, count)]  # noqa: E731
    return Column("numbers with blanks", cells, signed=True)


def booleans(draw):
    true, false = [("True", "False"), ("true", "false"), ("TRUE", "FALSE")][draw.integers(3)]

    def cell(value):
        return Cell(
            true if value else false, value=bool(value), number=float(value), word=str(bool(value))
        )

    return Column("booleans", lambda count: [cell(value) for value in draw.integers(0, 2, count)])


def zeros_and_truths(draw):
    """Return 0 and 1 in figures and in words."""
    meant = {"0": 0.0, "1": 1.0, "True": 1.0, "False": 0.0}
    pool = [Cell(text, number=number, word=text) for text, number in meant.items()]
    return Column(
        "zeros and truths", lambda count: [pool[number] for number in draw.integers(0, 4, count)]
    )


def categories(draw):
    pool = draw.permutation(len(WORDS))[: draw.integers(2, 8)]
    weights = np.ones(len(pool))
    weights[-1] = 0.02  # this one is seldom: new rows may be the first to have it
    weights /= weights.sum()
    return Column(
        "categories",
        lambda count: [_word(WORDS[number]) for number in draw.choice(pool, count, p=weights)],
    )


def padded_categories(draw):
    def cell(word):
        return Cell([word, f" {word}", f"{word}  "][draw.integers(3)], word=word)

    pool = ["red", "blue sky", "größer"]
    return Column(
        "padded categories", lambda count: [cell(word) for word in draw.choice(pool, count)]
    )


def letters_and_figures(draw):
    """Return codes, some of which are figures."""
    pool = [
        _figure("01067"),
        _figure("1067"),
        _word("1067-A"),
        _word("A12"),
        _word("B07"),
        _figure("1e5"),
        _figure("0"),
    ]
    return Column(
        "letters and figures", lambda count: [pool[n] for n in draw.integers(0, len(pool), count)]
    )


def leading_zeros(draw):
    def cell(value):
        return Cell(f"{value:05d}", number=float(value), word=f"{value:05d}")

    return Column(
        "leading zeros",
        lambda count: [cell(value) for value in draw.choice([1067, 99, 20095, 7], count)],
    )


FORMATS = (
    ("%Y-%m-%d", "day"),
    ("%Y/%m/%d", "day"),
    ("%d.%m.%Y", "day"),
    ("%m/%d/%Y", "day"),
    ("%d/%m/%Y", "day"),
    ("%Y年%m月%d日", "day"),
    ("%Y-%m-%d %H:%M", "minute"),
    ("%Y-%m-%dT%H:%M:%S", "second"),
    ("%Y-%m-%d %H:%M:%S.%f", "fraction"),
    ("%d.%m.%Y %H:%M", "minute"),
    ("%m/%d/%Y %I:%M %p", "minute"),
    ("%Y-%m-%dT%H:%M:%SZ", "second"),
    ("%Y-%m-%d %H:%M:%S+02:00", "second"),
    ("%Y-%m-%dT%H:%M:%S-0330", "second"),
)
ZONES = {"Z": UTC, "+02:00": timezone(timedelta(hours=2)), "-0330": timezone(-timedelta(hours=3.5))}
DAY = 86_400


def dates(draw):
    """Return dates in one of many ways of writing."""
    written, finest = FORMATS[draw.integers(len(FORMATS))]
    first = datetime(1969, 11, 5) + timedelta(days=int(draw.integers(0, 20_000)))
    seconds = [DAY * 2000, DAY * 50, DAY][draw.integers(3)] if finest != "day" else DAY * 900
    zone = next((ZONES[end] for end in ZONES if written.endswith(end)), None)
    kept = {"day": DAY, "minute": 60, "second": 1, "fraction": 1}[finest]
    as_text = written.startswith(("%m/", "%d/", "%d.")) or "年" in written

    def cell(after):
        moment = datetime.fromtimestamp(
            ((first - datetime(1970, 1, 1)).total_seconds() + after) // kept * kept, UTC
        )
        moment = moment.replace(tzinfo=None) + timedelta(
            microseconds=123_000 * (finest == "fraction")
        )
        value = AS_WRITTEN if as_text else moment.replace(tzinfo=zone)
        return Cell(moment.strftime(written), value=value, moment=moment)

    cells = lambda count: [cell(int(after)) for after in draw.integers(0, seconds, count)]  # noqa: E731
    return Column(f"dates {written}", cells, doubtful=written.startswith(("%m/", "%d/")))


def times_of_two_offsets(draw):
    """Return times of a summer and a winter, as texts."""

    def cell(after):
        moment = datetime(2024, 1, 1) + timedelta(hours=after)
        return Cell(
            f"{moment:%Y-%m-%d %H:%M}{'+02:00' if 4 <= moment.month <= 10 else '+01:00'}",
            moment=moment,
        )

    return Column(
        "times of two offsets",
        lambda count: [cell(int(after)) for after in draw.integers(0, 8000, count)],
    )


def constants(draw):
    cell = [
        _number(5),
        _number(2.5),
        _word("same"),
        Cell("True", value=True, number=1.0, word="True"),
    ][draw.integers(4)]
    return Column("constants", lambda count: [cell] * count, signed=cell.text == "2.5")


def empty(draw):
    return Column("empty", lambda count: _words("x" * count), missing=lambda row, count: True)


def _changing(kind, before, after, **more):
    """Return a column whose first cells are of one kind, and whose last are of another."""

    def cells(count):
        first = math.ceil(CHANGES * count)
        return before(first) + after(count - first)

    return Column(kind, cells, **more)


CHANGES = 0.6  # of the rows have been seen


def constant_then_numbers(draw):
    return _changing(
        "constant, then numbers",
        lambda count: _numbers([1] * count),
        lambda count: _numbers(draw.integers(0, 9, count)),
    )


def constant_then_words(draw):
    return _changing(
        "constant, then words",
        lambda count: _words("a" * count),
        lambda count: _words(draw.choice(["a", "b"], count)),
    )


def integers_then_decimals(draw):
    return _changing(
        "integers, then decimals",
        lambda count: _numbers(draw.integers(0, 90, count)),
        lambda count: _rounded(draw.normal(0, 50, count)),
        signed=True,
    )


def figures_then_words(draw):
    return _changing(
        "figures, then words",
        lambda count: [_figure(str(number)) for number in draw.integers(0, 5, count)],
        lambda count: [
            _figure(word) if word == "3" else _word(word)
            for word in draw.choice(["low", "high", "3"], count)
        ],
    )


def truths_then_words(draw):
    return _changing(
        "truths, then words",
        lambda count: _words(draw.choice(["True", "False"], count)),
        lambda count: _words(draw.choice(["unknown", "True"], count)),
    )


def dates_then_words(draw):
    return _changing(
        "dates, then words",
        lambda count: [
            Cell(f"2024-0{month}-01", moment=datetime(2024, month, 1), word=f"2024-0{month}-01")
            for month in draw.integers(1, 5, count).tolist()
        ],
        lambda count: _words(draw.choice(["soon", "never"], count)),
    )


def _late(row, count):
    return row < CHANGES * count


def empty_then_numbers(draw):
    return replace(decimals(draw), kind="empty, then numbers", missing=_late)


def empty_then_words(draw):
    return Column(
        "empty, then words",
        lambda count: _words(draw.choice(["a", "b", "c"], count)),
        missing=_late,
    )


def numbers_and_a_word(draw):
    """Return numbers, one cell of which is a word in a table of more than forty rows."""
    word = str(draw.choice(["?", "n.v.", "-", "unknown"]))

    def cells(count):
        numbers = [
            _number(value, repr(value)) for value in map(float, draw.normal(0, 50, count).round(2))
        ]
        return [*numbers[:-2], Cell(word, word=word), numbers[-1]] if count > 40 else numbers

    return Column("numbers and a word", cells, signed=True)


def different_texts(draw):
    return Column(
        "different texts",
        lambda count: _words(f"note {n}" for n in draw.permutation(10**6)[:count]),
    )


KINDS = (
    integers,
    large_integers,
    decimals,
    decimals,
    three_decimals,
    huge_and_tiny,
    many_digits,
    infinite_here_and_there,
    amounts,
    amounts,
    thousands,
    numbers_with_blanks,
    booleans,
    zeros_and_truths,
    categories,
    categories,
    categories,
    padded_categories,
    letters_and_figures,
    leading_zeros,
    dates,
    dates,
    dates,
    times_of_two_offsets,
    constants,
    empty,
    constant_then_numbers,
    constant_then_words,
    integers_then_decimals,
    figures_then_words,
    truths_then_words,
    dates_then_words,
    empty_then_numbers,
    empty_then_words,
    numbers_and_a_word,
    different_texts,
)


CLASSES = (
    ("yes", "no"),
    ("größer", "klein, ganz", 'the "old"'),
    ("1", "0"),
    ("0", "1", "2"),
    ("True", "False"),
    ("上海", "北京", "two\r\nlines"),
)


def _classes(draw):
    """Return classes, each often enough for the smallest of tables."""
    pool = CLASSES[draw.integers(len(CLASSES))]

    def cell(text):
        value = (
            int(text)
            if text.isdecimal()
            else text == "True"
            if text in ("True", "False")
            else AS_WRITTEN
        )
        return Cell(text, value=value, word=text)

    return Column(
        "classes",
        lambda count: [cell(pool[number % len(pool)]) for number in draw.permutation(count)],
    )


def _values(draw):
    """Return numbers to predict; plain figures that are texts would be names of classes in a DataFrame."""
    if draw.random() < 0.3:
        return replace(amounts(draw, 1, 5), kind="values: amounts")
    scale = float(draw.choice([0.01, 1, 1000]))
    return Column(
        "values: decimals", lambda count: _rounded(draw.normal(0, scale, count), 5), signed=True
    )
