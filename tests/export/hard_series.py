"""Tables of one series and of many, easy and difficult, as texts of CSV files: steps, gaps, formats of times, cells."""

from datetime import datetime, timedelta

import numpy as np

TIMES = {
    "iso": lambda time: time.strftime("%Y-%m-%d %H:%M"),
    "T": lambda time: time.strftime("%Y-%m-%dT%H:%M:%S"),
    "days": lambda time: time.strftime("%Y-%m-%d"),
    "dotted": lambda time: time.strftime("%d.%m.%Y %H:%M"),
    "day first": lambda time: time.strftime("%d/%m/%Y %H:%M"),
    "month first": lambda time: f"{time.month}/{time.day}/{time.year} {time.strftime('%I:%M %p')}",
    "short year": lambda time: time.strftime("%d.%m.%y %H:%M"),
    "named": lambda time: time.strftime("%d %b %Y %H:%M"),
    "weekday": lambda time: time.strftime("%a, %d %B %Y %H:%M"),
    "compact": lambda time: time.strftime("%Y%m%d %H%M"),
    "digits": lambda time: time.strftime("%Y%m%d"),
    "months": lambda time: time.strftime("%Y%m"),
    "quarter": lambda time: f"{time.year}-Q{(time.month + 2) // 3}",
    "chinese": lambda time: time.strftime("%Y年%m月%d日 %H:%M"),
    "utc": lambda time: time.strftime("%Y-%m-%d %H:%M:%SZ"),
    "offset": lambda time: time.strftime("%Y-%m-%dT%H:%M+02:00"),
    "winter": lambda time: time.strftime("%Y-%m-%d %H:%M+01"),
    "two offsets": lambda time: (
        time.strftime("%Y-%m-%d %H:%M") + ("+01:00" if time > datetime(2023, 12, 8) else "+02:00")
    ),
    "some offsets": lambda time: (
        time.strftime("%Y-%m-%d %H:%M") + ("+01:00" if time.hour % 2 else "")
    ),
    "year": lambda time: str(time.year),
    "seconds": lambda time: time.strftime("%Y-%m-%d %H:%M:%S.250"),
    "words": lambda time: "later",
}


def moments(step, count, start=None):
    """Return the times of steps of a calendar: "hours", "days", "months", "workdays", or a number of seconds."""
    start = start or datetime(2023, 12, 3)
    if step == "hours":
        step = 3600
    if isinstance(step, int):
        return [start + timedelta(seconds=step * i) for i in range(count)]
    if step == "days":
        return [start + timedelta(days=i) for i in range(count)]
    if step == "months":
        ends = [datetime(2015 + (i + 1) // 12, (i + 1) % 12 + 1, 1) for i in range(count)]
        return [end - timedelta(days=1) for end in ends]
    days = [start + timedelta(days=i) for i in range(2 * count + 9)]
    return [day for day in days if day.weekday() < 5][:count]


class Table:
    """Rows of texts, which can be changed and written.

    Args:
        names: of the columns.
        rows: lists of cells.
    """

    def __init__(self, names, rows):
        self.names, self.rows = list(names), [list(map(str, row)) for row in rows]

    def but(self, *places):
        """Return a copy with some cells (row, column, text) changed."""
        copy = Table(self.names, self.rows)
        for row, column, cell in places:
            copy.rows[row][copy.names.index(column)] = cell
        return copy

    def take(self, rows):
        return Table(self.names, [self.rows[row] for row in rows])

    def only(self, names):
        places = [self.names.index(name) for name in names]
        return Table(names, [[row[place] for place in places] for row in self.rows])

    def more(self, name, cells):
        pairs = zip(self.rows, cells, strict=True)
        return Table([*self.names, name], [[*row, cell] for row, cell in pairs])

    def text(self, separator=","):
        def written(cell):
            return f'"{cell}"' if separator in cell else cell

        lines = [self.names, *self.rows]
        return "\n".join(separator.join(map(written, line)) for line in lines) + "\n"


def series(step, count, columns, *, time="time", form="iso", seed=0, start=None):
    """Return the table of one series."""
    random = np.random.default_rng(seed)
    values = 100 + 20 * np.sin(np.arange(count) / 3.8)[:, None]
    values = (values + random.normal(0, 3, (count, len(columns)))).round(2)
    times = map(TIMES[form], moments(step, count, start))
    return Table([time, *columns], [[at, *row] for at, row in zip(times, values, strict=True)])


def one_series(step, steps, columns, *, time="time", form="iso", many=None):
    """Yield texts of tables for a model of one series that reads `steps` rows."""
    target, last = columns[0], columns[-1]
    random = np.random.default_rng(1)
    make = lambda count, **more: series(step, count, columns, **{"time": time, "form": form} | more)  # noqa: E731
    count = 3 * steps
    table = make(count)
    rows = range(count)
    for length in (1, 2, 3, 4, steps - 1, steps, steps + 1, 2 * steps, 6 * steps):
        yield make(length).text()
    yield table.text(";")
    yield table.text("\t")
    commas = Table(
        table.names, [[row[0], *(cell.replace(".", ",") for cell in row[1:])] for row in table.rows]
    )
    yield commas.text(";")
    yield commas.text()
    yield table.take(rows[::-1]).text()
    yield table.take(random.permutation(count)).text()
    for other in TIMES:
        yield make(count, form=other).text()
        yield make(steps, form=other).take(random.permutation(steps)).text()
    for start in (
        datetime(2024, 3, 30),
        datetime(2024, 10, 26),
        datetime(2024, 2, 27),
        datetime(9999, 12, 1),
        datetime(1, 1, 1),
    ):
        try:
            yield make(count if start.year < 9999 else 24, start=start).text()
        except OverflowError:  # a step that leads beyond the last year
            continue
    for gap in (
        (1,),
        (1, 2),
        (5, 9, 10, 11),
        range(3, 3 + steps // 2),
        range(2, steps),
        range(steps, 2 * steps),
        [*range(20, 40), 43, 45],
    ):
        kept = [row for row in rows if count - 1 - row not in {*gap}]
        yield table.take(kept).text()
        yield table.but(*((count - 1 - row, target, "") for row in gap)).text()
        yield table.but(*((count - 1 - row, last, "NA") for row in gap)).text()
    yield make(10 * steps).take([*range(3 * steps), *range(9 * steps, 10 * steps)]).text()
    yield make(20 * steps).take([*range(2 * steps), *range(18 * steps, 20 * steps)]).text()
    for future in (1, 3, steps):
        yield table.but(*((count - 1 - row, target, "") for row in range(future))).text()
        yield table.but(*((count - 1 - row, target, "?") for row in range(future))).text()
    yield table.take(rows[::2]).text()
    yield table.take(rows[::7]).text()
    yield table.take([row for row in rows if row % 5]).text()
    yield table.take(sorted([*rows, count - 1, count - 2, count - 2])).text()
    yield table.take(sorted([*rows, *rows])).text()
    yield table.take([*rows, *rows]).more("shop", ["a"] * count + ["b"] * count).text()
    yield (
        table.take([*rows, *rows])
        .more("shop", ["1"] * count + ["2"] * count)
        .more("kind", ["x", "y"] * count)
        .text()
    )
    yield table.take(sorted([*rows, *rows[-3 * steps // 4 :]])).text()
    yield table.only(columns).text()
    yield table.only([columns[0]]).text()
    yield table.only([time]).text()
    yield table.more("note", ["x"] * count).text()
    yield Table(["when", *columns], table.rows).text()
    yield Table(["when", *columns], table.rows).more("day", [f"{row:03}" for row in rows]).text()
    yield Table([time, *columns[:-1], f"{last}s"], table.rows).text()
    for cell in (
        "",
        "NA",
        "word",
        "1e39",
        "-1e39",
        "9e99",
        "1.234,5",
        "1,234.5",
        "$5",
        "12 %",
        "(3)",
        "nan",
        "-0",
        "1e-50",
        " 7 ",
        "∞",
    ):
        yield table.but((count - 2, target, cell)).text()
        yield table.but((count - 1, last, cell)).text(";")
    yield table.but(*((row, target, "word") for row in rows[-7:])).text()
    yield table.but(*((row, last, "") for row in rows)).text()
    yield table.but(*((row, target, "") for row in rows)).text()
    yield table.but(*((row, target, "0") for row in rows)).text()
    yield table.but(*((row, target, "-5") for row in rows[-9:])).text()
    for cell in (
        "",
        "later",
        "NA",
        "2023-02-30",
        "31.12.2099",
        "12",
        "2024-01-05 25:00",
        " 2024-01-06 ",
        "2024",
        "1e3",
    ):
        yield table.but((count - 3, time, cell)).text()
    yield table.but((count - 1, time, "2099-12-31")).text()
    yield ",".join(table.names) + "\n"
    yield ""


NAMES = ("shop", "day", "sales", "promo", "region")


def panel(step, counts, horizon, *, names=NAMES, form="days", known=True, promo=None):
    """Return the table of many series; their last `horizon` rows have no target. `promo` returns a known cell."""
    promo = promo or (lambda i: int(i % 10 == 0))
    rows = []
    for number, count in enumerate(counts):
        one = series(step, count + horizon, ["sales"], form=form, seed=number)
        for i, (time, value) in enumerate(one.rows):
            is_ahead = i >= count
            if is_ahead and not known:
                break
            region = ("south", "north")[number % 2]
            rows.append([f"shop {number}", time, "" if is_ahead else value, promo(i), region])
    return Table(names, rows)


def many_series(steps, horizon, *, step="days", form="days", **options):
    """Yield texts of tables for a model of sales of shops, with known promotions and a region of each."""
    random = np.random.default_rng(2)
    options = {"form": form} | options
    make = lambda *counts, **more: panel(step, counts, horizon, **options | more)  # noqa: E731
    table = make(2 * steps, 3 * steps, steps)
    ends = np.cumsum([2 * steps + horizon, 3 * steps + horizon, steps + horizon])
    rows = range(len(table.rows))
    yield table.text()
    yield table.text(";")
    yield make(steps).text()
    yield make(*[steps + 2] * 15).text()
    for counts in ((1,), (2, steps), (3, 1, 5), (steps - 1, steps + 1), (250, 2)):
        yield make(*counts).text()
    yield table.take(rows[::-1]).text()
    yield table.take(random.permutation(len(rows))).text()
    yield make(steps, 2 * steps, known=False).text()
    for form in TIMES:
        yield make(steps, steps + 3, form=form).text()
        yield (
            make(steps, steps + 3, form=form)
            .take(random.permutation(2 * steps + 3 + 2 * horizon))
            .text()
        )
    for gap in (
        (1,),
        (1, 2),
        (4, 5, 9),
        range(2, 2 + steps // 2),
        range(2, 15),
        range(steps, 2 * steps),
    ):
        places = [ends[1] - horizon - 1 - row for row in gap]
        yield table.take([row for row in rows if row not in places]).text()
        yield table.but(*((row, "sales", "") for row in places)).text()
        yield table.but(*((row, "promo", "") for row in places)).text()
        yield table.but(*((row, "region", "") for row in places)).text()
    yield make(600).take([*range(30), *range(400, 600 + horizon)]).text()
    for ahead in (1, 3, horizon):
        yield table.but((ends[0] - ahead, "promo", "")).text()
        yield table.take([row for row in rows if row != ends[0] - ahead]).text()
        yield table.but((ends[0] - ahead, "sales", "word")).text()
        yield table.but((ends[0] - ahead, "sales", "5")).text()
    for cell in ("", "NA", "word", "1e39", "1.234,5", "1,234.5", "$5", "7 ", "0"):
        for name in ("sales", "promo", "region"):
            yield table.but((3, name, cell)).text()
            yield table.but((ends[1] - horizon - 1, name, cell)).text()
    for cell in (
        "",
        " ",
        "NA",
        " shop 0 ",
        "Shop 0",
        "shop 99",
        "3.0",
        "3",
        "=1+1",
        'say "hi"',
        "a, b",
        "日本",
    ):
        yield table.but(*((row, "shop", cell) for row in range(ends[0]))).text()
        yield table.but((1, "shop", cell)).text()
    yield table.but(*((row, "region", "west") for row in range(ends[0]))).text()
    yield table.but(*((row, "region", "") for row in range(ends[0]))).text()
    yield table.but(*((row, "promo", "") for row in range(ends[0]))).text()
    yield table.but(*((row, "sales", "") for row in range(ends[0]))).text()
    yield table.but(*((row, "sales", "0") for row in rows)).text()
    yield table.but((5, "region", "north")).text()
    yield table.but((5, "day", "2023-12-03")).text()
    yield table.but((5, "day", "2023-12-08 12:00")).text()
    for cell in ("", "later", "12", "2023-02-30", "2099-12-31"):
        yield table.but((5, "day", cell)).text()
    yield table.take(rows[::2]).text()
    yield table.take(rows[::7]).text()
    for name in table.names:
        yield table.only([other for other in table.names if other != name]).text()
    yield table.more("note", ["x"] * len(rows)).text()
    yield Table([*table.names[:-1], "regions"], table.rows).text()
