"""Numbers as spreadsheets of many countries write them.

The class of faults: a value that is there, and counts as missing without a word.
"""

import importlib.util
import json

import numpy as np
import pandas as pd
import pytest

import kzoo
from kzoo.cli import main
from kzoo.data import encode, load_data
from kzoo.kinds import kind_of
from kzoo.sources.tables.numbers import in_texts
from kzoo.utils.errors import KzooWarning

N = 120
RANDOM = np.random.default_rng(0)
MONEY = np.round(RANDOM.lognormal(8, 2.5, N) * RANDOM.choice([1, 1, 1, -1], N), 2)
WHOLE = np.round(RANDOM.lognormal(9, 3, N))
SHARES = np.round(RANDOM.uniform(0, 100, N), 1)


def grouped(value, digits, thousands, decimal):
    return f"{value:,.{digits}f}".replace(",", "_").replace(".", decimal).replace("_", thousands)


def indian(value, digits=2):
    whole, point, rest = f"{abs(value):.{digits}f}".partition(".")
    head, tail = whole[:-3], whole[-3:]
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
    "German": (";", {
        "money": (MONEY, lambda v: grouped(v, 2, ".", ",")),
        "euros": (MONEY, lambda v: grouped(v, 2, ".", ",") + " €"),
        "euros, hard blank": (MONEY, lambda v: grouped(v, 2, ".", ",") + HARD + "€"),
        "code": (MONEY, lambda v: "EUR " + grouped(v, 2, ".", ",")),
        "whole": (WHOLE, lambda v: grouped(v, 0, ".", ",")),
        "percent": (SHARES, lambda v: grouped(v, 1, ".", ",") + " %"),
        "behind": (MONEY, lambda v: grouped(abs(v), 2, ".", ",") + ("-" if v < 0 else "")),
        "minus": (MONEY, lambda v: grouped(v, 2, ".", ",").replace("-", "\u2212")),
    }),
    "French": (";", {
        "money": (MONEY, lambda v: grouped(v, 2, NARROW, ",")),
        "hard blank": (MONEY, lambda v: grouped(v, 2, HARD, ",")),
        "blank": (MONEY, lambda v: grouped(v, 2, " ", ",")),
        "euros": (MONEY, lambda v: grouped(v, 2, NARROW, ",") + HARD + "€"),
        "percent": (SHARES, lambda v: grouped(v, 1, NARROW, ",") + NARROW + "%"),
        "plain": (MONEY, lambda v: f"{v:.2f}".replace(".", ",")),
    }),
    "Swiss": (";", {
        "money": (MONEY, lambda v: grouped(v, 2, "'", ".")),
        "curly": (MONEY, lambda v: grouped(v, 2, "\u2019", ".")),
        "francs": (MONEY, lambda v: "CHF " + grouped(v, 2, "\u2019", ".")),
        "Fr.": (MONEY, lambda v: "Fr. " + grouped(v, 2, "'", ".")),
        "no cents": (WHOLE, lambda v: grouped(v, 0, "'", ".") + ".\u2013"),
        "percent": (SHARES, lambda v: f"{v:.1f}%"),
    }),
    "English": (",", {
        "money": (MONEY, lambda v: grouped(v, 2, ",", ".")),
        "pounds": (MONEY, lambda v: ("-" if v < 0 else "") + "£" + grouped(abs(v), 2, ",", ".")),
        "dollars": (MONEY, lambda v: "$" + grouped(v, 2, ",", ".")),
        "accounting": (MONEY, lambda v: brackets(v, 2, ",", ".")),
        "accounting, dollars": (MONEY, lambda v: ("($%s)" if v < 0 else "$%s") % grouped(abs(v), 2, ",", ".")),
        "codes": (MONEY, lambda v: grouped(v, 2, ",", ".") + " USD"),
        "percent": (SHARES, lambda v: f"{v:.1f}%"),
        "scientific": (WHOLE, lambda v: f"{v:.0f}" if v < 1e6 else f"{v:.15E}"),
    }),
    "Indian": (",", {
        "money": (MONEY, indian),
        "rupees": (MONEY, lambda v: "₹" + indian(v)),
        "rupees, blank": (MONEY, lambda v: "₹ " + indian(v)),
        "Rs.": (MONEY, lambda v: "Rs. " + indian(v)),
        "slash": (WHOLE, lambda v: "Rs. " + indian(v, 0) + "/-"),
        "percent": (SHARES, lambda v: f"{v:.1f} %"),
    }),
    "Chinese": (",", {
        "money": (MONEY, lambda v: "¥" + grouped(v, 2, ",", ".")),
        "full width": (MONEY, lambda v: "￥" + grouped(v, 2, "，", "．")),
        "yuan": (MONEY, lambda v: grouped(v, 2, ",", ".") + "元"),
        "ten thousands": (WHOLE, lambda v: f"{v:.0f}" if v < 10_000 else f"{v / 1e4:.4f}万"),
        "hundred millions": (WHOLE, lambda v: f"{v / 1e8:.8f}亿"),
        "percent": (SHARES, lambda v: f"{v:.1f}％"),
    }),
}  # fmt: skip


def written(country, path, *, mark="\ufeff"):
    """Write a country's columns with blanks around them, and return them in figures."""
    separator, columns = COUNTRIES[country]
    frame = pd.DataFrame({name: [f" {how(v)} " for v in values] for name, (values, how) in columns.items()})
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
    assert {c["name"]: (c["kind"], c["missing"]) for c in columns} == dict.fromkeys(figures, ("number", True))
    x = pd.DataFrame(data.train.x, columns=data.feature_names)
    there = np.arange(N) != 7
    for name, values in figures.items():
        np.testing.assert_array_equal(x[name][there], values[there].astype(np.float32), err_msg=name)
        assert x[f"{name} is missing"].tolist() == (~there).tolist()
    assert not [note for note in data.notes if "cannot be read" in note]
    # New rows: from the file, and cell by cell, without the neighbours that a way of writing was learned from.
    np.testing.assert_array_equal(encode(data.preprocessing, path), data.train.x)
    separator = COUNTRIES[country][0]
    rows = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    for row in (0, 50, N - 1):
        one = [rows.iloc[row].to_dict()]
        np.testing.assert_array_equal(encode(json.loads(json.dumps(data.preprocessing)), one), data.train.x[[row]])


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
    new = pd.DataFrame({"euros": ["1.265,05 €", "12 345 678,90 €"], "whole": ["5 €", "6 €"], "n": [1, 2]})
    np.testing.assert_array_equal(encode(data.preprocessing, new)[:, 0], np.float32([1265.05, 12345678.9]))
    with pytest.warns(KzooWarning, match=r"'whole': 1 of 1 value .*'1.265 €'"):  # a thousand, or one and a bit?
        encode(data.preprocessing, new.iloc[:1].assign(whole="1.265 €"))


def test_where_two_readings_fit_pandas_stays_and_check_says_so():
    thousandths = [f"{v:.3f}" for v in np.linspace(1.001, 9.999, N)]
    commas = [v.replace(".", ",") for v in thousandths]
    frame = table(points=thousandths, commas=commas, sure=[*commas[:-1], "0,5"])
    data = load_data(frame, target="answer", validation=0, test=0)
    np.testing.assert_allclose(data.train.x[0], [1.001, 1001, 1.001], rtol=1e-6)
    doubts = [note for note in data.notes if "two ways" in note]
    assert len(doubts) == 2 and "'1.001' is taken for 1.001, not 1001" in doubts[0]
    assert "'1,001' is taken for 1001, not 1.001" in doubts[1]
    found = [one for one in kzoo.check("tabular_fnn", data, deep=False) if one.check == "numbers_in_doubt"]
    assert [one.level for one in found] == ["warning"] * 2 and "columns={'commas': {'decimal': ','}}" in found[1].fix
    said = load_data(frame, target="answer", validation=0, test=0, columns={
        "points": {"thousands": ".", "decimal": ","}, "commas": {"decimal": ","},
    })  # fmt: skip
    np.testing.assert_allclose(said.train.x[0], [1001, 1.001, 1.001], rtol=1e-6)
    assert not [note for note in said.notes if "two ways" in note and "commas" in note]


WHOLE_NUMBERS = np.arange(N)[::-1] * 17 + 501  # those with separators first
FILES_IN_DOUBT = {
    "thousands with commas in a file of tabs": ("\t", [f"{v:,}" for v in WHOLE_NUMBERS], "4.80"),
    "thousands with points": (";", [grouped(v, 0, ".", ",") for v in WHOLE_NUMBERS], "7"),
    "beside decimal points": (";", [f"{v:,}" for v in WHOLE_NUMBERS], "4.80"),
    "decimal commas": ("\t", [f"{v / 1000:.3f}".replace(".", ",") for v in WHOLE_NUMBERS + 1000], "7"),
}  # fmt: skip


@pytest.mark.parametrize("what", FILES_IN_DOUBT)
def test_a_file_is_read_like_its_cells_and_two_readings_are_said(what, tmp_path, monkeypatch):
    separator, cells, other = FILES_IN_DOUBT[what]
    frame, path = table(a=cells, b=[f"{i % 7}{other}" for i in range(N)]), tmp_path / "a.csv"
    frame.to_csv(path, index=False, sep=separator)
    data, texts = (load_data(source, target="answer", validation=0, test=0) for source in (path, frame))
    np.testing.assert_array_equal(data.train.x, texts.train.x)
    assert [note for note in data.notes if "'a' can be read in two ways" in note] == data.seen["doubts"]
    assert data.seen["doubts"] == texts.seen["doubts"] and len(data.notes) == len(texts.notes)
    np.testing.assert_array_equal(encode(data.preprocessing, path), data.train.x)
    tested = load_data(path, target="answer", validation=0, test=path)
    np.testing.assert_array_equal(tested.test.x, data.train.x)
    # As a target it is a number too, and in a file that is read piece by piece.
    target = load_data(path, target="a", validation=0, test=0)
    assert target.task == "tabular_regression" and target.seen["doubts"] == data.seen["doubts"]
    np.testing.assert_array_equal(target.train.y[:, 0], data.train.x[:, 0])
    labelled = kind_of(target.preprocessing).fitting.labelled(target.preprocessing, path, targets=["a"], config={})
    np.testing.assert_array_equal(np.float32(list(labelled.y["a"])), target.train.y[:, 0])
    if importlib.util.find_spec("pyarrow"):
        monkeypatch.setenv("KZOO_MEMORY", "1KiB")
        monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
        large = load_data(path, target="a", validation=0, test=0)
        assert large.seen["doubts"] == data.seen["doubts"] and large.task == target.task
        np.testing.assert_array_equal(np.sort(large.train.y[:][:, 0]), np.sort(target.train.y[:, 0]))


def test_three_digits_behind_a_comma_are_decimals_between_semicolons(tmp_path, monkeypatch):
    """Excel writes semicolons where the comma is the decimal sign; that it may be thousands is said all the same."""
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


def test_two_units_in_one_column_are_said():
    """`37%` is 37, as pandas and R have it once the sign is gone; beside 0.31 that is a hundred times too much."""
    frame = table(
        rate=["37%", "0.31", "12%"] * (N // 3), price=["$5", "7", "€5.50", "9.25"] * (N // 4),
        euros=["5 €", "EUR 7", "8"] * (N // 3), shares=["5%", "0", "7%"] * (N // 3),
        grades=["5%", "7", "low", "b"] * (N // 4),
        target=["5%", "0.07", "0.7%"] * (N // 3), n=range(0, 2 * N, 2),
    )  # fmt: skip
    data = load_data(frame, target="answer", drop="target", validation=0, test=0)
    assert data.train.x[:3, 0].tolist() == [37, np.float32(0.31), 12]
    assert [note for note in data.notes if "two units" in note] == [
        f"Numbers of {column} for {other}. If that is wrong, write all in one unit."
        for column, other in (
            ("'rate' are in two units: '37%' is taken for 37, '0.31'", 0.31),
            ("'price' are in two units: '$5' is taken for 5, '€5.50'", 5.5),
        )
    ]
    found = [one for one in kzoo.check("tabular_fnn", data, deep=False) if one.check == "numbers_in_doubt"]
    assert [one.fix for one in found] == ["If that is wrong, write all in one unit."] * 2
    asked = dict(target="target", task="regression", validation=0, test=0)
    assert len([note for note in load_data(frame, **asked).notes if "'target' are in two units" in note]) == 1


def test_numbers_that_read_in_one_way_are_in_no_doubt(tmp_path):
    """What a file's reader makes numbers of stays so, and with it the fingerprint of the data."""
    cells = [f"{v:.3f}" for v in np.linspace(0.5, 9, N)]  # 0.5 thousands is no number
    for separator, decimal in (("\t", "."), (";", ",")):
        frame = table(a=[cell.replace(".", decimal) for cell in cells], b=np.arange(N) * 2)
        frame.to_csv(tmp_path / "a.csv", index=False, sep=separator)
        data = load_data(tmp_path / "a.csv", target="answer", validation=0, test=0)
        np.testing.assert_array_equal(data.train.x[:, 0], np.float32(cells))
        assert not data.seen["doubts"] and not in_texts(data.preprocessing["columns"][0].get("writing"))


def test_answers_of_a_file_are_read_as_training_has_learned(tmp_path):
    frame = table(a=np.arange(N) * 2).assign(answer=[grouped(v, 0, ".", ",") for v in WHOLE_NUMBERS * 999])
    data = load_data(frame, target="answer", validation=0, test=0)
    assert data.train.y[-1, 0] == 500499
    learn = kind_of(data.preprocessing).fitting
    for cells, numbers in ((["1.234", "500.499"], [1234, 500499]), (["1.234", "0.5"], [1.234, 0.5])):
        for separator in ",;":
            new = pd.DataFrame({"a": [1, 2], "answer": cells})
            new.to_csv(tmp_path / "new.csv", index=False, sep=separator)
            found = learn.labelled(data.preprocessing, tmp_path / "new.csv", targets=["answer"], config={})
            assert found.y["answer"].tolist() == numbers


def test_a_cell_that_cannot_be_read_is_counted_and_named(tmp_path):
    cells = [f"{v}" for v in range(N)]
    cells[3], cells[40] = "abc", "12,3,4"
    data = load_data(table(a=cells, b=range(0, 2 * N, 2)), target="answer", validation=0, test=0)
    said = (
        "Column 'a': 2 of 120 values cannot be read as a number and count as missing (row 4: 'abc', row 41: '12,3,4')."
    )
    assert said in data.notes
    (found,) = (one for one in kzoo.check("tabular_fnn", data, deep=False) if one.check == "numbers_in_doubt")
    assert "2 of 120 values of column 'a'" in found.what and found.where == "row 4"
    with pytest.warns(KzooWarning, match=r"row 2: '€5'"):
        x = encode(data.preprocessing, [{"a": "5", "b": 1}, {"a": "€5", "b": 1}, {"a": None, "b": 1}])
    assert x[:, 1].tolist() == [0, 1, 1]
    data = load_data(table(a=[np.inf, *range(1, N)]), target="answer", validation=0, test=0)
    assert "Column 'a': 1 of 120 values cannot be read as a number and counts as missing (row 1: inf)." in data.notes


def test_prices_as_the_target(tmp_path, untraced, undrawn):
    frame = table(a=np.arange(N)).assign(answer=[grouped(v, 2, ".", ",") + " €" for v in MONEY])
    data = load_data(frame, target="answer", validation=0, test=0)
    assert data.task == "tabular_regression"
    np.testing.assert_array_equal(data.train.y[:, 0], MONEY.astype(np.float32))
    run = kzoo.train("tabular_fnn", frame, target="answer", epochs=1, callbacks="quick", progress=False, out="run")
    file = tmp_path / "new.csv"
    frame.to_csv(file, index=False, sep=";")
    assert kzoo.evaluate(run, file) == kzoo.evaluate(run, frame.assign(answer=MONEY))
    few = load_data(frame.assign(answer=["10%", "20%"] * (N // 2)), target="answer")
    assert few.class_names == ("10%", "20%")
    spoiled = frame.assign(answer=["soon", *frame["answer"][1:]])
    with pytest.raises(kzoo.KzooError, match=r"1 of 120 rows, such as row 1: 'soon'"):
        load_data(spoiled, target="answer")
    rounded = frame.assign(answer=["€5", "€7.50", "€9.90", "soon"] * (N // 4))
    assert load_data(rounded, target="answer", columns={"answer": "category"}).class_names == (
        "soon",
        "€5",
        "€7.50",
        "€9.90",
    )


def test_the_user_has_the_last_word(tmp_path, capsys, untraced, undrawn):
    zips = (np.arange(N) % 7 + 8001).tolist()
    frame = table(zip=zips, price=[grouped(v, 3, ".", ",") for v in MONEY], n=range(0, 2 * N, 2))
    frame.to_csv("flats.csv", index=False)
    words = ["train", "tabular_fnn", "--data", "flats.csv", "--target", "answer", "--epochs", "1", "--quiet"]
    column = ["--column", "zip=category", "price=number:decimal=,:thousands=."]
    assert main([*words, *column, "--out", "run"]) == 0
    run = kzoo.Run("run")
    kinds = {c["name"]: c["kind"] for c in run.preprocessing["columns"]}
    assert kinds == {"price": "number", "n": "number", "zip": "category"}
    assert "--column zip=category price=number:decimal=,:thousands=." in run.config["command"]
    said = {"zip": "category", "price": {"kind": "number", "decimal": ",", "thousands": "."}}
    assert run.config["data"]["options"]["columns"] == said
    capsys.readouterr()
    pd.DataFrame({"zip": [8001], "price": ["1,5 km"], "n": [3]}).to_csv("new.csv", index=False)
    assert main(["predict", "run", "new.csv"]) == 0
    err = capsys.readouterr().err
    assert err.count("kzoo: warning:") == 1 and "row 1: '1,5 km'" in err and "Warning" not in err


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"zap": "category"}, "Did you mean 'zip'"),
        ({"zip": "categories"}, "Did you mean 'category'"),
        ({"zip": 3}, "say one of number, category, date"),
        ({"zip": {"decimal": ";"}}, r"decimal=';'"),
        ({"zip": {"decimal": ",", "thousands": ","}}, "for both"),
        ({"zip": {"kind": "category", "decimal": ","}}, "are for numbers|for numbers"),
        ({"town": "number"}, "no value is one, such as 'Bern'"),
        ({"town": "date"}, "'town' is to be a date, and no value is one, such as 'Bern'"),
        ({"zip": "date"}, "'zip' is to be a date, and no value is one, such as 0"),
        ({"answer": "date"}, "'answer' is the target, which is a number or a category"),
        (["zip"], "must be a dict"),
    ],
)
def test_what_cannot_be_said_of_a_column(columns, says):
    frame = table(zip=np.arange(N) % 7, town=["Bern"] * (N - 1) + ["Genf"])
    with pytest.raises(kzoo.KzooError, match=says):
        load_data(frame, target="answer", columns=columns)


def test_what_is_said_of_a_column_that_is_left_out_is_in_vain_and_a_note_says_so():
    frame = table(zip=np.arange(N) % 7, same=[5] * N, day=["2024-02-03"] * (N - 1) + [None], none=[None] * N)
    said = {"same": "number", "day": "date", "none": "date", "zip": "category"}
    assert [note for note in load_data(frame, target="answer", columns=said).notes if "left out" in note] == [
        "Column 'same' is left out, though columns= names it: constant.",
        "Column 'day' is left out, though columns= names it: varies neither in date nor in hour.",
        "Column 'none' is left out, though columns= names it: empty in the training rows.",
    ]
    assert not [note for note in load_data(frame, target="answer").notes if "left out" in note]


def test_what_cannot_be_said_on_the_command_line(capsys):
    table(zip=np.arange(N) % 7).to_csv("a.csv", index=False)
    for word in ("zip", "zip=number:decimal", "=category"):
        assert main(["check", "tabular_fnn", "--data", "a.csv", "--target", "answer", "--column", word]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and "--column" in err
    with pytest.raises(kzoo.KzooError, match="columns"):
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
    figures = np.where(np.arange(600) == 17, values[16], values)
    np.testing.assert_array_equal(data.train.x[0][:, 0], figures[:96].astype(np.float32))
    assert any("row 18: 'offline'" in note for note in data.notes)
    found = [one.what for one in kzoo.check("series_gru", data, deep=False) if one.check == "numbers_in_doubt"]
    assert found == ["1 of 600 values of column 'load' cannot be read and count as missing"]
    with pytest.warns(KzooWarning, match="row 18: 'offline'"):
        window = encode(data.preprocessing, frame.iloc[:96])
    np.testing.assert_array_equal(window[0], data.train.x[0])
    with pytest.raises(kzoo.KzooError, match="a series has numbers"):
        load_data(file, preset="series_gru", columns={"load": "category"})
