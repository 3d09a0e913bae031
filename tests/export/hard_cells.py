"""Cells and files that are difficult to read, and a table of each kind of column to read them with."""

import numpy as np

NAMES = ("age", "income", "amount", "town", "since", "when", "member")
CELLS = dict(
    zip(
        NAMES,
        ("44", "50,5", "1.234,50 €", "Bern", "2020-05-06", "06.05.2020 10:30", "yes"),
        strict=True,
    )
)
OBJECT = dict(
    zip(
        NAMES,
        (44, 50.5, 1234.5, "Bern", "2020-05-06", "2020-05-06T10:30", "yes"),
        strict=True,
    )
)
RARE = "Hinterkappelen bei Bern"  # in three rows
NUMBERS = """|NA|N/A| 12 |1,5|1.5|1.234|1,234|1.234,5|1,234.5|1'234,5|1’234,5|1 234,5|12 %|(5)|-5|−5|5-|+5|1e3
|1E5|1e308|1e400|1e-400|true|False|0x10|٣|½|3.2万|2 Mio. €|2 Mio|2 TEUR|EUR 2|€ 2,50|2,50€|2.50 $
|18:25|6:25 PM|13:00 PM|abc|😀|nan|NaN|inf|-inf|Infinity|1_000|12,|12.|,5|.5|1..5|--5|5,-|5,–|12/-
|1,00,000.5|1.2.3|00012|1e|e5|K|5K|5 k€|９９|\u200b5|5\u00a0€|99999999999999999999|0,1 %|1.234.567
|1.234.567,8|12345,678|5 000|5  000|(5 €)|-(5)|5 €-|$5€|T5|5T€"""
DATES = """|2020-05-06|06.05.2020|05/06/2020|13/06/2020|06/13/2020|2020-5-6|2020/05/06|20200506|202005|2020
|May 6, 2020|6 May 2020|6. Mai 2020|6 mai 2020|6 de mayo de 2020|Wed, 06 May 2020|Wed 6 May 2020
|2020年5月6日|2020年5月|Q2 2020|2020-Q2|2020-05-06T10:30|2020-05-06 10:30:15|2020-05-06 10:30 PM
|2020-05-06 13:30 PM|2020-05-06T10:30Z|2020-05-06T10:30+02:00|2020-05-06T23:30-05:00|2020-05-06T10
|2020-05-06 1:2|31.02.2020|29.02.2020|29.02.2019|00.01.2020|1.1.68|1.1.69|1-2-20|0001-01-01
|9999-12-31|0000-01-01|9999-12-31T23:59-02:00|1969-12-31 23:59:59.9999|1582-10-10|12-2020|2020-12
|Aug 18|18 Aug|Aug 2018|Sept. 5 2019|5-Jan-20|jan-20|2019-Jan-05|5th March 2020|mañana|45000
|2020-13-01|2020-05-06T24:00|2020-05-06T10:60|2020-05-06 10:30:15,123456789|😀|6.5.2020 7:5
|2020-05-06 UTC|2020-05-06 10:00 GMT|2020-05-06 10:00+0200|2020-05-06T10:30+02
| 2020-05-06 |2020.05.06|6/5/20|ſept 5 2019|Tue May 6 2020|6-may.-2020|06 MAY 2020"""
TOWNS = f"""Bern|bern| Bern |Bern\r\n||NA|Neu-Ulm|{RARE}|1067|1067.0|北京|😀|Zürich|Zu\u0308rich|=1+1|None
|\u00a0Genf\u00a0|a;b|q"q|__proto__|constructor"""
COLUMNS = (
    (NUMBERS, ("age", "income", "amount")),
    (DATES, ("since", "when")),
    (TOWNS, ("town", "member")),
)
_HEAD = ";".join(NAMES) + "\n"


def table(rows=240):
    """Return a table with decimal commas, a currency, missing cells, dates, and categories of which two are rare."""
    random = np.random.default_rng(0)
    ages = random.integers(18, 80, rows)
    towns = random.choice(["Bern", "Genf", "Zürich"], rows).astype(object)
    towns[:3], towns[3] = RARE, "1067.0"
    days = np.datetime64("2019-01-01") + random.integers(0, 1500, rows)
    moments = np.datetime64("2019-01-01T00:00") + random.integers(0, 1_000_000, rows)
    comma = str.maketrans(",.", ".,")
    cells = {
        "age": [str(age) for age in ages],
        "income": [
            "" if i % 9 == 0 else f"{value:.1f}".translate(comma)
            for i, value in enumerate(random.normal(50, 12, rows))
        ],
        "amount": [f"{value:,.2f} €".translate(comma) for value in random.uniform(10, 9e4, rows)],
        "town": list(towns),
        "since": list(map(str, days)),
        "when": [f"{m.item():%d.%m.%Y %H:%M}" for m in moments],
        "member": list(random.choice(["yes", "no"], rows)),
    }
    score = ages + random.normal(0, 9, rows)
    return cells, np.where(score < 50, "stays", "leaves"), score


def csv(cells):
    """Return columns as the text of a CSV file."""
    rows = zip(*cells.values(), strict=True)
    return "".join(";".join(map(_quoted, row)) + "\n" for row in (cells, *rows))


def _quoted(cell):
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set(';"\n') else cell


def inputs():
    """Return inputs of one row: as the text of a CSV file, and as an object of a form."""
    cases = []
    for cells, names in COLUMNS:
        for cell in cells.replace("\n|", "|").split("|"):
            for name in names:
                cases.append({"text": csv({n: [c] for n, c in (CELLS | {name: cell}).items()})})
                cases.append({"json": [OBJECT | {name: cell}]})
    for value in (1e308, -1e308, 0, -5.5, None):
        cases.append({"json": [OBJECT | dict.fromkeys(NAMES[:3], value)]})
    return cases


def files():
    """Return the bytes of CSV files: separators, encodings, ambiguous columns, and files with faults."""
    whole = csv(table()[0])
    lines = whole.split("\n")
    some = range(8)
    texts = [
        whole,
        whole.replace(";", "\t"),
        "\ufeff" + whole,
        whole.replace("\n", "\r\n"),
        "\n".join([lines[0], *(f"{line};" for line in lines[1:-1])]),
        "\n".join([lines[0], *(f"row;{line}" for line in lines[1:-1])]),
        _HEAD,
        "",
        "\n\n",
        "age\n5\n",
        _HEAD + "1;2\n",
        _HEAD + "1;2;3;4;5;6;7;8;9\n1\n",
        _HEAD + '1;"2',
        _HEAD + "\n\n1;2;3;Bern;;;\n \n",
        _HEAD.replace("age", "Age") + "1;2;3;4;5;6;7\n",
        _HEAD + "".join(f"x{i};1;1;Bern;;;\n" for i in some),
        _HEAD + "".join(";1;1;Bern;;;\n" for _ in some),
        _HEAD
        + "".join(f"{i}.234;1;1.5;Bern;{i + 1}/{i + 1}/2020;{13 + i}.01.2020;yes\n" for i in some),
        _HEAD + "".join(f"5;1,5;1.234;Bern;0{i + 1}/15/2020;05/{13 + i}/2020;yes\n" for i in some),
        _HEAD
        + "".join(
            f"5;1,5;1.234;Bern;2020-01-0{i + 1}T10:00+0{i % 3}:00;2020-01-0{i + 1}T10:00Z;yes\n"
            for i in some
        ),
        "age;" + _HEAD + "1;2;3;4;5;6;7;no\n",
        "," + _HEAD.replace(";", ",") + "1,2,3,4,Bern,,,no\n",
        _HEAD.replace(";", "|") + "1|2|3|Bern|||no\n",
        _HEAD.replace(";", ",") + '"1,5","2,5",3,"Be\nrn",,,no\n"1.5",2.5,"3.000",Bern,,,no\n',
    ]
    encoded = [text.encode() for text in texts]
    others = ("utf-16", "utf-16-be", "gb18030", "cp1252")
    return encoded + [whole.replace("€", "EUR").encode(name) for name in others]
