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
    "size", "a", "A", "a.1", "a.b", "größe", "价格", " padded", "padded too  ", "two words", "with, comma", "semi;colon",
    'the "old" one', "1", "2.5", "e\u0301", "100 %", "target?", "true", "-", "_", "x" * 60, "tab\there", "line\nbreak",
)  # fmt: skip
WORDS = (
    "red", "Red", "RED", "größer", "上海", "Bern, BE", 'the "old" town', '"quoted"', "it's", "semi; colon", "two\nlines",
    "two\r\nends", "tab\tbed", "a|b", "e\u0301", "🙂", "none", "missing", "n.v.", "-", "--", "?", "x" * 80, "\\", "=1+1",
    "# 5", "NAN?", "1 apple", "a 1", "inf.", "yes", "no", "\u00a0nbsp", "Ж",
)  # fmt: skip
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
        missing: the share of cells that are, or a function that tells of each place whether it is.
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
        return replace(self, columns={name: [cells[row] for row in rows] for name, cells in self.columns.items()})

    def labelled(self) -> "Table":
        """Return its rows that have a target."""
        return self.take([row for row, cell in enumerate(self[self.target]) if cell.word is not None])

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
        return {name: [cell.typed(decimal) for cell in cells] for name, cells in self.columns.items()}

    def frame(self, decimal=".", seed=0) -> pd.DataFrame:
        """Return it as a DataFrame, whose columns have one of the types that fit their values."""
        draw = np.random.default_rng([seed, 1])
        return pd.DataFrame({name: _series(values, draw) for name, values in self.typed(decimal).items()})

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
        return [{name: _in_json(value) for name, value in row.items()} for row in self.dicts(decimal)]

    def form(self, decimal=".") -> list:
        """Return it as a list of dicts of texts, as a form sends them: empty where a cell is missing."""
        rows = zip(*self.columns.values(), strict=True)
        return [
            {name: "" if cell.value is None else cell.written(decimal) for name, cell in zip(self.columns, row, strict=True)}
            for row in rows
        ]


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
        return pd.Series(values, dtype="object") if draw.random() < 0.3 else pd.Series(pd.to_datetime(values))
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
    rows = int(draw.choice([draw.integers(5, 10), draw.integers(10, 31), draw.integers(31, 121), draw.integers(121, 401)],
                           p=[0.04, 0.26, 0.35, 0.35]))  # fmt: skip
    names = draw.permutation(len(NAMES))[: draw.integers(3, 11)]
    made = {NUMBER: Column("numbers_of_rows", lambda count: [_number(number) for number in draw.permutation(count) + 3])}
    for name in (NAMES[place] for place in names):
        column = KINDS[draw.integers(len(KINDS))](draw)
        made[name] = column if column.missing else replace(column, missing=float(draw.choice([0, 0, 0.03, 0.3])))
    made["customer_id"] = Column("numbers_of_rows", lambda count: [_number(number) for number in range(1, count + 1)])
    classes = bool(draw.random() < 0.6)
    made["answer"] = replace((_classes if classes else _values)(draw), missing=float(draw.choice([0, 0, 0.05])))
    order = [NUMBER, *(list(made)[1 + place] for place in draw.permutation(len(made) - 1))]
    layout = {"ragged": draw.random() < 0.3, "blank_lines": draw.random() < 0.2, "quoted": draw.random() < 0.15}
    made = {name: made[name] for name in order}
    fewer = int(draw.choice([1, draw.integers(2, 12), draw.integers(12, 121)]))

    def table(count):
        columns = {name: _drawn(column, count, draw) for name, column in made.items()}
        return Table(columns, {name.strip(): column for name, column in made.items()}, "answer", classes, layout)

    return table(rows), table(fewer)


def _drawn(column, count, draw):
    """Return so many cells of a column, some of them missing."""
    cells, lost = column.cells(count), column.missing
    gone = [lost(place, count) for place in range(count)] if callable(lost) else draw.random(count) < lost
    return [Cell(str(draw.choice(MISSING)), value=None) if missing else cell for cell, missing in zip(cells, gone, strict=True)]


def _number(value, text=None, comma=None, **more):
    """Return a cell of a number, which is a text in a DataFrame too where its text is given."""
    value = value.item() if isinstance(value, np.generic) else value
    plain = repr(value) if text is None else text
    comma = plain.replace(".", ",") if comma is None else comma
    return Cell(plain, comma, value if text is None else AS_WRITTEN, float(value), word=plain.strip(), **more)


def _word(text):
    return Cell(text, word=text.strip())


# Kinds of columns: functions of a random generator that return a `Column`.


def integers(draw):
    low, high = [(0, 9), (-50, 50), (0, 10**6), (10**9, 10**12)][draw.integers(4)]
    return Column("integers", lambda count: [_number(value) for value in draw.integers(low, high, count)])


def whole_numbers_that_float32_has_no_room_for(draw):
    return Column("large integers", lambda count: [_number(value) for value in draw.integers(-(2**62), 2**62, count)])


def decimals(draw):
    digits, scale = int(draw.integers(1, 7)), float(draw.choice([0.01, 1, 1000]))
    values = lambda count: [_number(round(float(value), digits)) for value in draw.normal(0, scale, count)]
    return Column("decimals", values, signed=True)


def three_decimals(draw):
    """Return numbers such as `1.234`, which may be a thousand and more."""
    text = lambda value: Cell(f"{value:.3f}", f"{value:.3f}".replace(".", ","), float(f"{value:.3f}"), float(f"{value:.3f}"))
    return Column("three decimals", lambda count: [text(value) for value in draw.uniform(1, 99, count)], signed=True, doubtful=True)


def huge_and_tiny(draw):
    exponents = lambda count: draw.choice([-30, -5, 0, 16, 25, 37], count)
    values = lambda count: [_number(float(f"{m:.4g}e{e}")) for m, e in zip(draw.uniform(-3, 3, count), exponents(count), strict=True)]
    return Column("huge and tiny", values, signed=True)


def many_digits(draw):
    def cell(value):
        text = f"{value:.12f}" + "".join(map(str, draw.integers(0, 10, 8)))
        return Cell(text, text.replace(".", ","), float(text), float(text))

    return Column("many digits", lambda count: [cell(value) for value in draw.uniform(-5, 5, count)], signed=True)


def infinite_here_and_there(draw):
    def cells(count):
        found = [_number(round(float(value), 2)) for value in draw.normal(0, 9, count)]
        return [Cell("inf", value=math.inf, word="inf") if draw.random() < 0.03 else cell for cell in found]

    return Column("infinite here and there", cells, signed=True)


def amounts(draw):
    """Return numbers as people write them."""
    style = STYLES[draw.integers(len(STYLES))]
    scale = float(draw.choice([50, 5000, 5_000_000]))

    def cell(value):
        value = round(float(value), 2)
        points = f"{abs(value):,.2f}"
        commas = points.translate(str.maketrans(",.", ".,"))
        text, comma, number = style(value, points, commas)
        return _number(number, text, comma)

    return Column("amounts", lambda count: [cell(value) for value in draw.normal(scale / 2, scale, count)], signed=True)


def _signed(value, text):
    return f"-{text}" if value < 0 else text


STYLES = (
    lambda value, points, commas: (_signed(value, points), _signed(value, commas), value),
    lambda value, points, commas: (_signed(value, f"{points} €"), _signed(value, f"{commas} €"), value),
    lambda value, points, commas: (_signed(value, f"${points}"), _signed(value, f"${commas}"), value),
    lambda value, points, commas: (_signed(value, f"{points}%"), _signed(value, f"{commas}%"), value),
    lambda value, points, commas: (_signed(value, f"{points} %"), _signed(value, f"{commas} %"), value),
    lambda value, points, commas: tuple(f"({t})" if value < 0 else t for t in (points, commas)) + (value,),
    lambda value, points, commas: (
        _signed(value, points.replace(",", " ")), _signed(value, commas.replace(".", " ")), value
    ),
    lambda value, points, commas: (
        _signed(value, points.replace(",", "'")), _signed(value, commas.replace(".", "'")), value
    ),
    lambda value, points, commas: (
        f"{abs(value):.2f}万", f"{abs(value):.2f}万".replace(".", ","), float(f"{abs(value):.2f}") * 1e4
    ),
)  # fmt: skip


def thousands(draw):
    """Return whole numbers such as `1,234`, which may be one and a bit."""
    cell = lambda value: _number(value, f"{value:,}", f"{value:,}".replace(",", "."))
    cells = lambda count: [cell(int(value)) for value in draw.integers(100, 99_999, count)]
    return Column("thousands", cells, signed=True, doubtful=True)


def numbers_with_blanks(draw):
    cell = lambda value: replace(_number(value, f"{value} "), comma=f"{value} ".replace(".", ","))
    return Column("numbers with blanks", lambda count: [cell(round(float(v), 1)) for v in draw.normal(0, 9, count)], signed=True)


def booleans(draw):
    true, false = [("True", "False"), ("true", "false"), ("TRUE", "FALSE")][draw.integers(3)]
    cell = lambda value: Cell(true if value else false, value=bool(value), number=float(value), word=str(bool(value)))
    return Column("booleans", lambda count: [cell(value) for value in draw.integers(0, 2, count)])


def zeros_and_truths(draw):
    """Return 0 and 1 in figures and in words."""
    cell = lambda text, number: Cell(text, number=number, word=text)
    pool = [cell("0", 0.0), cell("1", 1.0), cell("True", 1.0), cell("False", 0.0)]
    return Column("zeros and truths", lambda count: [pool[place] for place in draw.integers(0, 4, count)])


def categories(draw):
    pool = draw.permutation(len(WORDS))[: draw.integers(2, 8)]
    # Some words come first in new rows: they are far more seldom than the others.
    weights = np.array([1.0] * len(pool))
    weights[-1] = 0.02
    return Column("categories", lambda count: [_word(WORDS[place]) for place in draw.choice(pool, count, p=weights / weights.sum())])


def padded_categories(draw):
    cell = lambda word: Cell([word, f" {word}", f"{word}  "][draw.integers(3)], word=word)
    return Column("padded categories", lambda count: [cell(word) for word in draw.choice(["red", "blue sky", "größer"], count)])


def letters_and_figures(draw):
    """Return codes, some of which are figures."""
    pool = ["01067", "1067", "1067.0", "A12", "B07", "1e5", "0", "00"]
    return Column("letters and figures", lambda count: [_word(pool[place]) for place in draw.integers(0, len(pool), count)])


def leading_zeros(draw):
    cell = lambda value: Cell(f"{value:05d}", number=float(value), word=f"{value:05d}")
    return Column("leading zeros", lambda count: [cell(value) for value in draw.choice([1067, 99, 20095, 7], count)])


FORMATS = (
    ("%Y-%m-%d", "day"), ("%Y/%m/%d", "day"), ("%d.%m.%Y", "day"), ("%m/%d/%Y", "day"), ("%d/%m/%Y", "day"),
    ("%Y年%m月%d日", "day"), ("%Y-%m-%d %H:%M", "minute"), ("%Y-%m-%dT%H:%M:%S", "second"), ("%Y-%m-%d %H:%M:%S.%f", "fraction"),
    ("%d.%m.%Y %H:%M", "minute"), ("%m/%d/%Y %I:%M %p", "minute"), ("%Y-%m-%dT%H:%M:%SZ", "second"),
    ("%Y-%m-%d %H:%M:%S+02:00", "second"), ("%Y-%m-%dT%H:%M:%S-0330", "second"),
)  # fmt: skip


def dates(draw):
    """Return dates in one of many ways of writing."""
    written, finest = FORMATS[draw.integers(len(FORMATS))]
    first = datetime(1969, 11, 5) + timedelta(days=int(draw.integers(0, 20_000)))
    seconds = [86_400 * 2000, 86_400 * 50, 86_400][draw.integers(3)] if finest != "day" else 86_400 * 900
    zone = {"Z": UTC, "+02:00": timezone(timedelta(hours=2)), "-0330": timezone(-timedelta(hours=3.5))}
    zone = next((zone[end] for end in zone if written.endswith(end)), None)
    short = written.startswith(("%m/", "%d/", "%d."))
    kept = {"day": 86_400, "minute": 60, "second": 1, "fraction": 1}[finest]

    def cell(after):
        moment = datetime.fromtimestamp(((first - datetime(1970, 1, 1)).total_seconds() + after) // kept * kept, UTC)
        moment = moment.replace(tzinfo=None) + timedelta(microseconds=123_000 * (finest == "fraction"))
        value = AS_WRITTEN if short or "年" in written else moment.replace(tzinfo=zone)
        return Cell(moment.strftime(written), value=value, moment=moment)

    cells = lambda count: [cell(int(after)) for after in draw.integers(0, seconds, count)]
    return Column(f"dates {written}", cells, doubtful="/%m/" in written or "%m/" == written[:3] or "%d/" == written[:3])


def times_of_two_offsets(draw):
    """Return times of a summer and a winter, as texts."""

    def cell(after):
        moment = datetime(2024, 1, 1) + timedelta(hours=after)
        return Cell(f"{moment:%Y-%m-%d %H:%M}{'+02:00' if 4 <= moment.month <= 10 else '+01:00'}", moment=moment)

    return Column("times of two offsets", lambda count: [cell(int(after)) for after in draw.integers(0, 8000, count)])


def constants(draw):
    cell = [_number(5), _number(2.5), _word("same"), Cell("True", value=True, number=1.0, word="True")][draw.integers(4)]
    return Column("constants", lambda count: [cell] * count, signed=cell.text == "2.5")


def empty(draw):
    return Column("empty", lambda count: [_word("x")] * count, missing=lambda place, count: True)


def _changing(kind, before, after, at=0.6, **more):
    """Return a column whose first cells are of one kind, and whose last are of another."""

    def cells(count):
        first = math.ceil(at * count)
        return before(first) + after(count - first)

    return Column(kind, cells, **more)


def constant_then_numbers(draw):
    return _changing("constant, then numbers", lambda n: [_number(1)] * n, lambda n: [_number(v) for v in draw.integers(0, 9, n)])


def constant_then_words(draw):
    return _changing("constant, then words", lambda n: [_word("a")] * n, lambda n: [_word(v) for v in draw.choice(["a", "b"], n)])


def integers_then_decimals(draw):
    after = lambda n: [_number(round(float(v), 2)) for v in draw.normal(0, 50, n)]
    return _changing("integers, then decimals", lambda n: [_number(v) for v in draw.integers(0, 90, n)], after, signed=True)


def figures_then_words(draw):
    figures = lambda n: [_word(str(v)) for v in draw.integers(0, 5, n)]
    return _changing("figures, then words", figures, lambda n: [_word(v) for v in draw.choice(["low", "high", "3"], n)])


def truths_then_words(draw):
    truths = lambda n: [_word(v) for v in draw.choice(["True", "False"], n)]
    return _changing("truths, then words", truths, lambda n: [_word(v) for v in draw.choice(["unknown", "True"], n)])


def dates_then_words(draw):
    days = lambda n: [_word(f"2024-0{v}-01") for v in draw.integers(1, 5, n)]
    return _changing("dates, then words", days, lambda n: [_word(v) for v in draw.choice(["soon", "never"], n)])


def empty_then_numbers(draw):
    numbers = decimals(draw)
    return replace(numbers, kind="empty, then numbers", missing=lambda place, count: place < 0.6 * count)


def empty_then_words(draw):
    return Column(
        "empty, then words",
        lambda n: [_word(v) for v in draw.choice(["a", "b", "c"], n)],
        missing=lambda place, count: place < 0.6 * count,
    )


def numbers_and_a_word(draw):
    """Return numbers, one cell of which is a word in a table of forty and more rows."""
    word = str(draw.choice(["?", "n.v.", "-", "unknown"]))

    def cells(count):
        found = [_number(v, repr(v)) for v in map(float, draw.normal(0, 50, count).round(2))]
        return [Cell(word, word=word) if count > 40 and place == count - 2 else cell for place, cell in enumerate(found)]

    return Column("numbers and a word", cells, signed=True)


def different_texts(draw):
    return Column("different texts", lambda count: [_word(f"note {v}") for v in draw.permutation(10**6)[:count]])


KINDS = (
    integers, whole_numbers_that_float32_has_no_room_for, decimals, decimals, three_decimals, huge_and_tiny, many_digits,
    infinite_here_and_there, amounts, amounts, thousands, numbers_with_blanks, booleans, zeros_and_truths, categories,
    categories, categories, padded_categories, letters_and_figures, leading_zeros, dates, dates, dates,
    times_of_two_offsets, constants, empty, constant_then_numbers, constant_then_words, integers_then_decimals,
    figures_then_words, truths_then_words, dates_then_words, empty_then_numbers, empty_then_words, numbers_and_a_word,
    different_texts,
)  # fmt: skip


def _classes(draw):
    pools = [["yes", "no"], ["größer", "klein, ganz", 'the "old"'], ["1", "0"], ["0", "1", "2"], ["True", "False"],
             ["上海", "北京", "two\nlines"]]  # fmt: skip
    pool = pools[draw.integers(len(pools))]
    kinds = {"1": int, "0": int, "2": int, "True": lambda text: text == "True", "False": lambda text: text == "True"}
    cell = lambda text: Cell(text, value=kinds[text](text) if text in kinds else AS_WRITTEN, word=text)
    # Each class often enough for the smallest of tables.
    return Column("classes", lambda count: [cell(pool[place % len(pool)]) for place in draw.permutation(count)])


def _values(draw):
    made = [decimals, amounts][int(draw.random() < 0.3)](draw)
    return replace(made, kind=f"values: {made.kind}")
