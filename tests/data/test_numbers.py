"""Numbers as spreadsheets of many countries write them.

The class of faults: a value that counts as missing although the file has it, without a note.
"""

import importlib.util
import itertools
import json
import re

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, notes_with, refuses, warns

import kzoo
from kzoo.cli import main
from kzoo.data import load_data
from kzoo.inference.encode import encode
from kzoo.inference.tables.numbers import NumberFormat, learned_from_texts, number_formats
from kzoo.inference.tables.values import to_numbers
from kzoo.problems.kinds import kind_of

CHECK = "numbers_in_doubt"
N = 120
RANDOM = np.random.default_rng(0)
MONEY = np.round(RANDOM.lognormal(8, 2.5, N) * RANDOM.choice([1, 1, 1, -1], N), 2)
WHOLE = np.round(RANDOM.lognormal(9, 3, N))
SHARES = np.round(RANDOM.uniform(0, 100, N), 1)


def grouped(value, digits, thousands, decimal):
    return f"{value:,.{digits}f}".replace(",", "_").replace(".", decimal).replace("_", thousands)


def indian(value, digits=2):
    whole, point, rest = f"{abs(value):.{digits}f}".partition(".")
    head = whole[:-3]
    tail = whole[-3:]
    groups = []
    while head:
        groups.insert(0, head[-2:])
        head = head[:-2]
    return ("-" if value < 0 else "") + ",".join([*groups, tail]) + point + rest


def brackets(value, digits, thousands, decimal):
    text = grouped(abs(value), digits, thousands, decimal)
    return f"({text})" if value < 0 else text


NARROW, HARD = "\u202f", "\u00a0"
# country -> separator of its CSV files, and name -> (the values, how one is written)
COUNTRIES = {
    "German": (
        ";",
        {
            "money": (MONEY, lambda v: grouped(v, 2, ".", ",")),
            "euros": (MONEY, lambda v: grouped(v, 2, ".", ",") + " €"),
            "euros, hard blank": (MONEY, lambda v: grouped(v, 2, ".", ",") + HARD + "€"),
            "code": (MONEY, lambda v: "EUR " + grouped(v, 2, ".", ",")),
            "whole": (WHOLE, lambda v: grouped(v, 0, ".", ",")),
            "percent": (SHARES, lambda v: grouped(v, 1, ".", ",") + " %"),
            "behind": (MONEY, lambda v: grouped(abs(v), 2, ".", ",") + ("-" if v < 0 else "")),
            "minus": (MONEY, lambda v: grouped(v, 2, ".", ",").replace("-", "\u2212")),
        },
    ),
    "French": (
        ";",
        {
            "money": (MONEY, lambda v: grouped(v, 2, NARROW, ",")),
            "hard blank": (MONEY, lambda v: grouped(v, 2, HARD, ",")),
            "blank": (MONEY, lambda v: grouped(v, 2, " ", ",")),
            "euros": (MONEY, lambda v: grouped(v, 2, NARROW, ",") + HARD + "€"),
            "percent": (SHARES, lambda v: grouped(v, 1, NARROW, ",") + NARROW + "%"),
            "plain": (MONEY, lambda v: f"{v:.2f}".replace(".", ",")),
        },
    ),
    "Swiss": (
        ";",
        {
            "money": (MONEY, lambda v: grouped(v, 2, "'", ".")),
            "curly": (MONEY, lambda v: grouped(v, 2, "\u2019", ".")),
            "francs": (MONEY, lambda v: "CHF " + grouped(v, 2, "\u2019", ".")),
            "Fr.": (MONEY, lambda v: "Fr. " + grouped(v, 2, "'", ".")),
            "no cents": (WHOLE, lambda v: grouped(v, 0, "'", ".") + ".\u2013"),
            "percent": (SHARES, lambda v: f"{v:.1f}%"),
        },
    ),
    "English": (
        ",",
        {
            "money": (MONEY, lambda v: grouped(v, 2, ",", ".")),
            "pounds": (
                MONEY,
                lambda v: ("-" if v < 0 else "") + "£" + grouped(abs(v), 2, ",", "."),
            ),
            "dollars": (MONEY, lambda v: "$" + grouped(v, 2, ",", ".")),
            "accounting": (MONEY, lambda v: brackets(v, 2, ",", ".")),
            "accounting, dollars": (
                MONEY,
                lambda v: ("($%s)" if v < 0 else "$%s") % grouped(abs(v), 2, ",", "."),
            ),
            "codes": (MONEY, lambda v: grouped(v, 2, ",", ".") + " USD"),
            "percent": (SHARES, lambda v: f"{v:.1f}%"),
            "scientific": (WHOLE, lambda v: f"{v:.0f}" if v < 1e6 else f"{v:.15E}"),
        },
    ),
    "Indian": (
        ",",
        {
            "money": (MONEY, indian),
            "rupees": (MONEY, lambda v: "₹" + indian(v)),
            "rupees, blank": (MONEY, lambda v: "₹ " + indian(v)),
            "Rs.": (MONEY, lambda v: "Rs. " + indian(v)),
            "slash": (WHOLE, lambda v: "Rs. " + indian(v, 0) + "/-"),
            "percent": (SHARES, lambda v: f"{v:.1f} %"),
        },
    ),
    "Chinese": (
        ",",
        {
            "money": (MONEY, lambda v: "¥" + grouped(v, 2, ",", ".")),
            "full width": (MONEY, lambda v: "￥" + grouped(v, 2, "，", "．")),
            "yuan": (MONEY, lambda v: grouped(v, 2, ",", ".") + "元"),
            "ten thousands": (WHOLE, lambda v: f"{v:.0f}" if v < 10_000 else f"{v / 1e4:.4f}万"),
            "hundred millions": (WHOLE, lambda v: f"{v / 1e8:.8f}亿"),
            "percent": (SHARES, lambda v: f"{v:.1f}％"),
        },
    ),
}


def written(country, path, *, mark="\ufeff"):
    """Write a country's columns with blanks around them, and return them in figures."""
    separator, columns = COUNTRIES[country]
    frame = pd.DataFrame(
        {name: [f" {how(v)} " for v in values] for name, (values, how) in columns.items()}
    )
    frame.iloc[7] = ""
    frame["answer"] = np.where(np.arange(N) % 3, "yes", "no")
    path.write_text(mark + frame.to_csv(index=False, sep=separator), encoding="utf-8")
    return pd.DataFrame({name: values for name, (values, how) in columns.items()})


def test_there_are_forty_columns():
    assert sum(len(columns) for _, columns in COUNTRIES.values()) == 40


@pytest.mark.parametrize("country", COUNTRIES)
def test_a_spreadsheet_is_read_to_the_digit(country, tmp_path):
    path = tmp_path / "sheet.csv"
    figures = written(country, path)
    data = load_data(path, target="answer", validation=0, test=0)
    columns = data.preprocessing["columns"]
    assert {c["name"]: (c["kind"], c["missing"]) for c in columns} == dict.fromkeys(
        figures, ("number", True)
    )
    x = pd.DataFrame(data.train.x, columns=data.feature_names)
    there = np.arange(N) != 7
    for name, values in figures.items():
        np.testing.assert_array_equal(
            x[name][there], values[there].astype(np.float32), err_msg=name
        )
        assert x[f"{name} is missing"].tolist() == (~there).tolist()
    assert not any(column.get("unreadable") for column in data.overview["columns"])
    assert not any(re.search(r"\brow \d", note) for note in data.notes)
    # New rows: from the file, and cell by cell, without the neighbours that a way of writing was learned from.
    np.testing.assert_array_equal(encode(data.preprocessing, path), data.train.x)
    separator = COUNTRIES[country][0]
    rows = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    for row in (0, 50, N - 1):
        one = [rows.iloc[row].to_dict()]
        np.testing.assert_array_equal(
            encode(json.loads(json.dumps(data.preprocessing)), one), data.train.x[[row]]
        )


def table(**columns):
    rows = len(next(iter(columns.values())))
    return pd.DataFrame(columns | {"answer": np.where(np.arange(rows) % 3, "yes", "no")})


def test_large_numbers_with_a_separator_are_not_missing_among_small_ones_without():
    plain = [f"{v:,.1f}" for v in np.linspace(1, 1030, N)]
    data = load_data(table(a=plain), target="answer", validation=0, test=0)
    np.testing.assert_allclose(data.train.x[:, 0], np.round(np.linspace(1, 1030, N), 1), rtol=1e-6)


def test_new_rows_may_hold_larger_numbers_than_training_saw():
    small = [f"{v:.2f} €".replace(".", ",") for v in np.linspace(5, 900, N)]
    frame = table(euros=small, whole=[f"{v} €" for v in range(N)], n=range(0, 2 * N, 2))
    data = load_data(frame, target="answer", validation=0, test=0)
    new = pd.DataFrame(
        {"euros": ["1.265,05 €", "12 345 678,90 €"], "whole": ["5 €", "6 €"], "n": [1, 2]}
    )
    np.testing.assert_array_equal(
        encode(data.preprocessing, new)[:, 0], np.float32([1265.05, 12345678.9])
    )
    with warns("'whole'", "1 of 1", "row 1", "'1.265 €'", "1265"):  # 1265, or a little more than 1?
        encode(data.preprocessing, new.iloc[:1].assign(whole="1.265 €"))


def test_ambiguous_numbers_are_read_as_pandas_does_and_reported():
    thousandths = [f"{v:.3f}" for v in np.linspace(1.001, 9.999, N)]
    commas = [v.replace(".", ",") for v in thousandths]
    frame = table(points=thousandths, commas=commas, sure=[*commas[:-1], "0,5"])
    data = load_data(frame, target="answer", validation=0, test=0)
    np.testing.assert_allclose(data.train.x[0], [1.001, 1001, 1.001], rtol=1e-6)
    points, commas = notes_with(data.notes, "columns=")
    assert_mentions(points, "'points'", "'1.001'", "1001", "columns={'points': {'decimal': ','}}")
    assert_mentions(
        commas, "'commas'", "'1,001'", "1001", "1.001", "columns={'commas': {'decimal': ','}}"
    )
    findings = [
        finding for finding in kzoo.check("tabular_fnn", data, deep=False) if finding.check == CHECK
    ]
    assert [finding.level for finding in findings] == ["warning"] * 2
    assert_mentions(findings[1].fix, "columns={'commas': {'decimal': ','}}")
    data = load_data(
        frame,
        target="answer",
        validation=0,
        test=0,
        columns={
            "points": {"thousands": ".", "decimal": ","},
            "commas": {"decimal": ","},
        },
    )
    np.testing.assert_allclose(data.train.x[0], [1001, 1.001, 1.001], rtol=1e-6)
    assert not notes_with(data.notes, "'commas'")


WHOLE_NUMBERS = np.arange(N)[::-1] * 17 + 501  # those with separators first
AMBIGUOUS_FILES = {
    "thousands with commas in a file of tabs": ("\t", [f"{v:,}" for v in WHOLE_NUMBERS], "4.80"),
    "thousands with points": (";", [grouped(v, 0, ".", ",") for v in WHOLE_NUMBERS], "7"),
    "next to decimal points": (";", [f"{v:,}" for v in WHOLE_NUMBERS], "4.80"),
    "decimal commas": (
        "\t",
        [f"{v / 1000:.3f}".replace(".", ",") for v in WHOLE_NUMBERS + 1000],
        "7",
    ),
}


@pytest.mark.parametrize("case", AMBIGUOUS_FILES)
def test_a_file_is_read_like_its_cells_and_ambiguous_numbers_are_reported(
    case, tmp_path, monkeypatch
):
    separator, cells, other = AMBIGUOUS_FILES[case]
    frame = table(a=cells, b=[f"{i % 7}{other}" for i in range(N)])
    path = tmp_path / "a.csv"
    frame.to_csv(path, index=False, sep=separator)
    data, texts = (
        load_data(source, target="answer", validation=0, test=0) for source in (path, frame)
    )
    np.testing.assert_array_equal(data.train.x, texts.train.x)
    assert (
        notes_with(data.notes, "columns={'a'", repr(cells[0]), re.sub(r"\D", "", cells[0]))
        == data.seen["doubts"]
    )
    assert data.seen["doubts"] == texts.seen["doubts"] and len(data.notes) == len(texts.notes)
    np.testing.assert_array_equal(encode(data.preprocessing, path), data.train.x)
    tested = load_data(path, target="answer", validation=0, test=path)
    np.testing.assert_array_equal(tested.test.x, data.train.x)
    # As a target it is a number too, and in a file that is read piece by piece.
    target = load_data(path, target="a", validation=0, test=0)
    assert target.task == "tabular_regression" and target.seen["doubts"] == data.seen["doubts"]
    np.testing.assert_array_equal(target.train.y[:, 0], data.train.x[:, 0])
    labelled = kind_of(target.preprocessing).fitting.labelled(
        target.preprocessing, path, targets=["a"], config={}
    )
    np.testing.assert_array_equal(np.float32(list(labelled.y["a"])), target.train.y[:, 0])
    if importlib.util.find_spec("pyarrow"):
        monkeypatch.setenv("KZOO_MEMORY", "1KiB")
        monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
        large = load_data(path, target="a", validation=0, test=0)
        assert large.seen["doubts"] == data.seen["doubts"] and large.task == target.task
        np.testing.assert_array_equal(
            np.sort(large.train.y[:][:, 0]), np.sort(target.train.y[:, 0])
        )


def test_three_digits_behind_a_comma_are_decimals_between_semicolons(tmp_path, monkeypatch):
    """Excel writes semicolons where the comma is the decimal sign. A note says that they may be thousands."""
    path = tmp_path / "a.csv"
    cells = [f"{v / 1000:.3f}".replace(".", ",") for v in WHOLE_NUMBERS + 1000]
    table(a=cells, b=[f"{i % 7}" for i in range(N)]).to_csv(path, index=False, sep=";")
    data = load_data(path, target="answer", validation=0, test=0)
    np.testing.assert_array_equal(data.train.x[:, 0], np.float32((WHOLE_NUMBERS + 1000) / 1000))
    assert len(data.seen["doubts"]) == 1 and data.seen["doubts"][0] in data.notes
    np.testing.assert_array_equal(encode(data.preprocessing, path), data.train.x)
    if importlib.util.find_spec("pyarrow"):
        monkeypatch.setenv("KZOO_MEMORY", "1KiB")
        monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
        large = load_data(path, target="answer", validation=0, test=0)
        np.testing.assert_array_equal(np.sort(large.train.x[:][:, 0]), np.sort(data.train.x[:, 0]))


def test_two_units_in_one_column_are_reported():
    """`37%` is 37, as pandas and R have it once the sign is gone; next to 0.31 that is a hundred times too much."""
    frame = table(
        rate=["37%", "0.31", "12%"] * (N // 3),
        price=["$5", "7", "€5.50", "9.25"] * (N // 4),
        euros=["5 €", "EUR 7", "8"] * (N // 3),
        shares=["5%", "0", "7%"] * (N // 3),
        grades=["5%", "7", "low", "b"] * (N // 4),
        target=["5%", "0.07", "0.7%"] * (N // 3),
        n=range(0, 2 * N, 2),
    )
    data = load_data(frame, target="answer", drop="target", validation=0, test=0)
    assert data.train.x[:3, 0].tolist() == [37, np.float32(0.31), 12]
    expected = (
        ("'rate'", "'37%'", "37", "'0.31'", "0.31"),
        ("'price'", "'$5'", "5", "'€5.50'", "5.5"),
    )
    assert len(data.seen["doubts"]) == 2 and set(data.seen["doubts"]) <= set(data.notes)
    for message, parts in zip(data.seen["doubts"], expected, strict=True):
        assert_mentions(message, *parts, "unit")
    findings = [
        finding for finding in kzoo.check("tabular_fnn", data, deep=False) if finding.check == CHECK
    ]
    assert len(findings) == 2
    for finding in findings:
        assert_mentions(finding.fix, "unit")
    data = load_data(frame, target="target", task="regression", validation=0, test=0)
    assert len(notes_with(data.notes, "'target'", "'5%'", "5", "'0.07'", "0.07", "unit")) == 1


def test_unambiguous_numbers_are_not_reported(tmp_path):
    """They stay numbers as the file's reader makes them, and with them the fingerprint of the data."""
    cells = [f"{v:.3f}" for v in np.linspace(0.5, 9, N)]  # 0.5 thousands is no number
    for separator, decimal in (("\t", "."), (";", ",")):
        frame = table(a=[cell.replace(".", decimal) for cell in cells], b=np.arange(N) * 2)
        frame.to_csv(tmp_path / "a.csv", index=False, sep=separator)
        data = load_data(tmp_path / "a.csv", target="answer", validation=0, test=0)
        np.testing.assert_array_equal(data.train.x[:, 0], np.float32(cells))
        assert not data.seen["doubts"] and not learned_from_texts(
            data.preprocessing["columns"][0].get("writing")
        )


def test_targets_of_a_new_file_are_read_as_in_training(tmp_path):
    frame = table(a=np.arange(N) * 2).assign(
        answer=[grouped(v, 0, ".", ",") for v in WHOLE_NUMBERS * 999]
    )
    data = load_data(frame, target="answer", validation=0, test=0)
    assert data.train.y[-1, 0] == 500499
    learn = kind_of(data.preprocessing).fitting
    for cells, numbers in (
        (["1.234", "500.499"], [1234, 500499]),
        (["1.234", "0.5"], [1.234, 0.5]),
    ):
        for separator in ",;":
            new = pd.DataFrame({"a": [1, 2], "answer": cells})
            new.to_csv(tmp_path / "new.csv", index=False, sep=separator)
            split = learn.labelled(
                data.preprocessing, tmp_path / "new.csv", targets=["answer"], config={}
            )
            assert split.y["answer"].tolist() == numbers


def test_a_cell_that_cannot_be_read_is_counted_and_named(tmp_path):
    cells = [f"{v}" for v in range(N)]
    cells[3], cells[40] = "abc", "12,3,4"
    data = load_data(table(a=cells, b=range(0, 2 * N, 2)), target="answer", validation=0, test=0)
    assert (
        len(notes_with(data.notes, "'a'", "2 of 120", "row 4", "'abc'", "row 41", "'12,3,4'")) == 1
    )
    (finding,) = (
        finding for finding in kzoo.check("tabular_fnn", data, deep=False) if finding.check == CHECK
    )
    assert_mentions(finding.what, "2 of 120", "'a'")
    assert finding.where == "row 4"
    with warns("'a'", "1 of 3", "row 2", "'€5'"):
        x = encode(
            data.preprocessing, [{"a": "5", "b": 1}, {"a": "€5", "b": 1}, {"a": None, "b": 1}]
        )
    assert x[:, 1].tolist() == [0, 1, 1]
    data = load_data(table(a=[np.inf, *range(1, N)]), target="answer", validation=0, test=0)
    assert len(notes_with(data.notes, "'a'", "1 of 120", "row 1", "inf")) == 1


@pytest.mark.filterwarnings("ignore:About .* rows of")  # rows of the training are scored
def test_prices_as_the_target(tmp_path, untraced, undrawn):
    frame = table(a=np.arange(N)).assign(answer=[grouped(v, 2, ".", ",") + " €" for v in MONEY])
    data = load_data(frame, target="answer", validation=0, test=0)
    assert data.task == "tabular_regression"
    np.testing.assert_array_equal(data.train.y[:, 0], MONEY.astype(np.float32))
    run = kzoo.train(
        "tabular_fnn",
        frame,
        target="answer",
        epochs=1,
        callbacks="quick",
        progress=False,
        out="run",
    )
    file = tmp_path / "new.csv"
    frame.to_csv(file, index=False, sep=";")
    assert kzoo.evaluate(run, file) == kzoo.evaluate(run, frame.assign(answer=MONEY))
    few = load_data(frame.assign(answer=["10%", "20%"] * (N // 2)), target="answer")
    assert few.class_names == ("10%", "20%")
    spoiled = frame.assign(answer=["soon", *frame["answer"][1:]])
    with refuses("'answer'", "1 of 120", "row 1", "'soon'", "columns={'answer': 'category'}"):
        load_data(spoiled, target="answer")
    rounded = frame.assign(answer=["€5", "€7.50", "€9.90", "soon"] * (N // 4))
    assert load_data(rounded, target="answer", columns={"answer": "category"}).class_names == (
        "soon",
        "€5",
        "€7.50",
        "€9.90",
    )


def test_the_column_option_overrides_what_kzoo_detects(tmp_path, capsys, untraced, undrawn):
    zips = (np.arange(N) % 7 + 8001).tolist()
    frame = table(zip=zips, price=[grouped(v, 3, ".", ",") for v in MONEY], n=range(0, 2 * N, 2))
    frame.to_csv("flats.csv", index=False)
    arguments = [
        "train",
        "tabular_fnn",
        "--data",
        "flats.csv",
        "--target",
        "answer",
        "--epochs",
        "1",
        "--quiet",
    ]
    column = ["--column", "zip=category", "price=number:decimal=,:thousands=."]
    assert main([*arguments, *column, "--out", "run"]) == 0
    run = kzoo.Run("run")
    kinds = {c["name"]: c["kind"] for c in run.preprocessing["columns"]}
    assert kinds == {"price": "number", "n": "number", "zip": "category"}
    assert "--column zip=category price=number:decimal=,:thousands=." in run.config["command"]
    expected = {"zip": "category", "price": {"kind": "number", "decimal": ",", "thousands": "."}}
    assert run.config["data"]["options"]["columns"] == expected
    capsys.readouterr()
    pd.DataFrame({"zip": [8001], "price": ["1,5 km"], "n": [3]}).to_csv("new.csv", index=False)
    assert main(["predict", "run", "new.csv"]) == 0
    err = capsys.readouterr().err
    assert err.count("kzoo: warning:") == 1 and not re.search(r"\w+Warning\b", err)
    assert_mentions(err, "'price'", "row 1", "'1,5 km'")


@pytest.mark.parametrize(
    ("columns", "parts"),
    [
        ({"zap": "category"}, ("'zap'", "'zip'", "zip, town, answer")),
        ({"zip": "categories"}, ("'zip'", "'categories'", "'category'", "number, category, date")),
        ({"zip": 3}, ("'zip'", "3", "number, category, date", "{'decimal': ','}")),
        ({"zip": {"decimal": ";"}}, ("'zip'", "decimal=';'", "'.'", "','")),
        ({"zip": {"decimal": ",", "thousands": ","}}, ("'zip'", "','", "decimal", "thousands")),
        ({"zip": {"kind": "category", "decimal": ","}}, ("'zip'", "category", "decimal")),
        ({"town": "number"}, ("'town'", "number", "'Bern'")),
        ({"town": "date"}, ("'town'", "date", "'Bern'")),
        ({"zip": "date"}, ("'zip'", "date", "0")),
        ({"answer": "date"}, ("'answer'", "target", "number", "category", "date")),
        (["zip"], ("columns=['zip']", "dict")),
    ],
)
def test_invalid_columns_are_refused(columns, parts):
    frame = table(zip=np.arange(N) % 7, town=["Bern"] * (N - 1) + ["Genf"])
    with refuses(*parts):
        load_data(frame, target="answer", columns=columns)


def test_a_note_names_each_column_that_is_left_out_although_columns_names_it():
    frame = table(
        zip=np.arange(N) % 7, same=[5] * N, day=["2024-02-03"] * (N - 1) + [None], none=[None] * N
    )
    columns = {"same": "number", "day": "date", "none": "date", "zip": "category"}
    notes = notes_with(load_data(frame, target="answer", columns=columns).notes, "columns=")
    expected = ("'same'", "constant"), ("'day'", "date"), ("'none'", "empty")
    for note, parts in zip(notes, expected, strict=True):
        assert_mentions(note, *parts)
    notes = load_data(frame, target="answer").notes
    assert not [note for note in notes if any(repr(name) in note for name in columns)]


def test_invalid_column_options_are_refused(capsys):
    table(zip=np.arange(N) % 7).to_csv("a.csv", index=False)
    for argument in ("zip", "zip=number:decimal", "=category"):
        assert (
            main(
                [
                    "check",
                    "tabular_fnn",
                    "--data",
                    "a.csv",
                    "--target",
                    "answer",
                    "--column",
                    argument,
                ]
            )
            == 2
        )
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert_mentions(err, "--column", repr(argument))
    with refuses("columns={'a': 'number'}"):
        load_data((np.zeros((9, 2)), np.arange(9) % 3), columns={"a": "number"})


@pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning")
def test_a_series_of_numbers_with_separators(tmp_path):
    values = np.round(np.random.default_rng(1).normal(1200, 300, 600), 2)
    hours = pd.date_range("2024-01-01", periods=600, freq="h").astype(str)
    frame = pd.DataFrame({"time": hours, "load": [grouped(v, 2, ".", ",") for v in values]})
    frame.loc[17, "load"] = "offline"
    file = tmp_path / "load.csv"
    frame.to_csv(file, index=False, sep=";")
    data = load_data(file, preset="series_gru", time="time")
    read = (
        np.arange(96) != 17
    )  # the cell without a number is filled from the day after, as tests/data/test_missing_steps.py says
    np.testing.assert_array_equal(data.train.x[0][read, 0], values[:96][read].astype(np.float32))
    assert len(notes_with(data.notes, "'load'", "1 of 600", "row 18", "'offline'")) == 1
    (finding,) = (
        finding for finding in kzoo.check("series_gru", data, deep=False) if finding.check == CHECK
    )
    assert_mentions(finding.what, "1 of 600", "'load'")
    with warns("'load'", "row 18", "'offline'"):
        window = encode(data.preprocessing, frame.iloc[:96])
    # what the filled value is estimated from ends with the rows: in training, later days count, too
    np.testing.assert_array_equal(window[0][read], data.train.x[0][read])
    np.testing.assert_allclose(window[0][17], data.train.x[0][17], atol=100)
    with refuses("'load'", "category", "drop="):
        load_data(file, preset="series_gru", columns={"load": "category"})


@pytest.mark.parametrize(
    "stored",
    [
        None,
        {"decimal": ","},
        *(NumberFormat(sign, more).json() for sign, more in (("", ""), (".", ","), (",", ". "))),
    ],
    ids=str,
)
def test_a_column_is_read_like_each_of_its_cells(stored):
    texts = [
        "".join(cell)
        for length in range(1, 6)
        for cell in itertools.product("05.,-+", repeat=length)
    ]
    formats = number_formats(stored, "")
    cells = [
        next((n for n in (each.read(text) for each in formats) if n == n), np.nan) for text in texts
    ]
    np.testing.assert_array_equal(to_numbers(np.array(texts, object), *formats), cells)
    assert np.isfinite(cells).sum() > 100
