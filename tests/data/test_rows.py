"""Rows that are read without pandas mean the same as in training, which reads with pandas."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, missing_from, refuses, warns

from kzoo.data import load_data
from kzoo.inference.encode import encode
from kzoo.inference.tables.dates import are_dates, date_parts, to_dates
from kzoo.inference.tables.files import pieces_of, read_rows, read_table
from kzoo.inference.tables.raw import checked_rows, rows_of
from kzoo.inference.tables.values import to_numbers, to_words

FILES = {
    "plain": "a,b\n1,x\n2,y\n",
    "quoted commas and quotes": 'a,b\n1,"x, y"\n2,"say ""hi"""\n3,"two\nlines"\n',
    "a mark in front": "\ufeffa,b\n1,x\n2,y\n",
    "every mark of a missing value": "a,b\n"
    + "\n".join(
        f"1,{m}"
        for m in (
            "x",
            "",
            "NA",
            "N/A",
            "null",
            "NaN",
            "None",
            "n/a",
            "<NA>",
            "#N/A",
            "none",
            " NA",
            "-",
        )
    )
    + "\n",
    "blank lines, short lines": "a,b\n\n1\n   \n2,y\n\n",
    "numbers of every kind": "a,b\n1e5,x\n-.5,y\n+3,z\n 7 ,x\n1_000,y\n",
    "numbers with an infinity": "a,b\n" + "1.5,x\n" * 30 + "inf,y\n-inf,x\n",
    "truth": "a,b\nTrue,x\nfalse,y\nTRUE,z\n",
    "bars in a name": "a|b,c\n1,x\n2,y\n",
    "semicolons, decimal commas": "a;b\n1,5;x\n-2,25;y\n3;y\n",
    "bars, decimal commas": "a|b\n1,5|x, y\n-2,25|z\n3|y\n",
    "tabs": "a\tb\n1\tx, y\n2\ty\n",
    "two of a name, none, blanks": "a,a,, b \n1,2,3,4\n5,6,7,8\n",
    "names of the rows": "a,b\nr1,1,x\nr2,2,y\n",
    "names of the rows, nothing behind": "a,b\nr1,1,\nr2,2,\nr3,3,z\n",
    "separators behind": 'a,b\n1,"x, y",\n2,y,\n3,,\n4,z\n',
    "separators behind, header too": "a,b,\n1,x,\n2,y,\n",
    "separators behind, old mac": "a;b\r1;x;\r2;y;\r",
    "two separators behind": "a\tb\n1\tx\t\t\n2\ty\t \t\n",
    "names with blanks around them": "a, a,a ,a.1,\n1,2,3,4,5\n",
    "windows": "a,b\r\n1,x\r\n2,y\r\n",
    "lines in quotes, windows": '"a\r\nb",b\r\n1,"two\r\nlines"\r\n2,"\r\n"\r\n3\r\n4,y\r\n',
    "lines in quotes, windows and others": 'a,b\n1,"two\r\nlines"\n2,"two\nlines"\n3,"two\rlines"\n',
    "old mac": "a,b\r1,x\r2,y\r",
    "no last newline": "a,b\n1,x\n2,y",
    "one column": 'a\nx\n""\n\n  \ny\n',
    "many digits": "a,b\n0.1234567890123456789,x\n123456789012345678901234567890,y\n1e-320,z\n",
}


@pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning")
@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_a_csv_file_is_read_as_pandas_reads_it(text, tmp_path):
    (tmp_path / "a.csv").write_bytes(text.encode())
    frame, rows = read_table(tmp_path / "a.csv"), read_rows(tmp_path / "a.csv")
    assert rows.columns == list(frame.columns) and len(rows) == len(frame)
    for name in rows.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]) and not pd.api.types.is_bool_dtype(
            frame[name]
        ):
            assert to_words(rows[name]).tolist() == to_words(frame[name]).tolist()
        np.testing.assert_allclose(rows.numbers(name), to_numbers(frame[name]), rtol=1e-15)
        np.testing.assert_array_equal(
            rows.numbers(name).astype("f4"), to_numbers(frame[name]).astype("f4")
        )


@pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning")
# which has no inputs
@pytest.mark.parametrize("name", [name for name in FILES if name != "one column"])
def test_a_csv_file_is_read_alike_piece_by_piece_and_whole(name, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "a.csv").write_bytes(FILES[name].encode())
    rows = read_rows(tmp_path / "a.csv")
    pieces = list(pieces_of(tmp_path / "a.csv"))
    assert all(piece.columns == rows.columns for piece in pieces) and sum(map(len, pieces)) == len(
        rows
    )
    for column in rows.columns:  # short lines come last
        words = [str(word) for piece in pieces for word in piece[column]]
        assert sorted(words) == sorted(map(str, rows[column]))
        numbers = np.concatenate([piece.numbers(column) for piece in pieces])
        np.testing.assert_array_equal(np.sort(numbers), np.sort(rows.numbers(column)))


AMBIGUOUS = "a;b;c;d\n1.234;1,234;1,5;2\n2.345;2,345;2,345;2.345\n0;;1;2\n"


@pytest.mark.parametrize("name", [name for name in [*FILES, "ambiguous"] if name != "one column"])
def test_rows_of_pieces_are_the_frame_of_their_file(name, tmp_path):
    pa = pytest.importorskip("pyarrow")
    (tmp_path / "a.csv").write_bytes(FILES.get(name, AMBIGUOUS).encode())
    pieces = pieces_of(tmp_path / "a.csv")
    whole = read_table(tmp_path / "a.csv", notes=[])
    frame = pieces.frame(pa.concat_tables([piece.table for piece in pieces]))
    order = [
        table.astype(str).sort_values(list(table)).reset_index(drop=True)
        for table in (frame, whole)
    ]
    pd.testing.assert_frame_equal(*order)  # short lines come last
    assert frame.attrs["figures"] == whole.attrs["figures"]


def test_a_separator_behind_each_row_is_no_column(tmp_path):
    """pandas reads the first column as names of the rows then, and each value as that of the column before it."""
    rows = "".join(f"{i},{i % 7},{i / 100},{'uv'[i % 2]},\n" for i in range(100))
    (tmp_path / "a.csv").write_text(f"a,b,y,c\n{rows}")
    data = load_data(tmp_path / "a.csv", target="y", validation=0, test=0)
    assert data.task == "tabular_regression" and data.feature_names == ("a", "b", "c")
    assert data.train.x[5].tolist() == [5, 5, 2] and data.train.y[5] == np.float32(0.05)
    assert any(not missing_from(note, ["'a.csv'", "','", "header"]) for note in data.notes)
    with warns("'a.csv'", "','", "header"):
        np.testing.assert_array_equal(encode(data.preprocessing, tmp_path / "a.csv"), data.train.x)


def test_names_that_a_header_leaves_out_are_no_column(tmp_path):
    """R writes the names of rows like this. The last column may be empty here and there."""
    (tmp_path / "a.csv").write_text(
        "a,b,y\n" + "".join(f"r{i},{i},{i % 7},{'uv '[i % 3]}\n" for i in range(99))
    )
    data = load_data(tmp_path / "a.csv", target="y", validation=0, test=0)
    assert data.feature_names == ("a", "b") and data.train.x[3].tolist() == [4, 4]
    assert any(
        not missing_from(note, ["'a.csv'", "header", "first", "name"]) for note in data.notes
    )


@pytest.mark.parametrize(
    "text,parts",
    [
        ("", ("empty",)),
        ("a,b\n", ("rows",)),
        ('a,b\n1,"x\n2,y\n', ("quotation",)),
        ("a,b\n1,x\n2,y,z\n", ("row 2", "3 values", "2")),
        ("a,b\0\n1,x\n", ("text", "CSV")),
    ],
)
def test_invalid_tables_are_refused(text, parts, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    with refuses("'a.csv'", *parts):
        read_rows(tmp_path / "a.csv")


def customers(n=200):
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "code": random.choice(["01", "1", "1.0", "A"], n),
            "town": random.choice(
                ["Bern, BE", 'the "old" town', "NA-town", " Genf ", "上海"], n
            ).astype(object),
            "size": random.normal(size=n).astype(object),
            "since": pd.date_range("2019-12-29", periods=n, freq="31h").strftime("%d.%m.%Y %H:%M"),
            "seen": pd.date_range("2019-12-29", periods=n, freq="31h").strftime(
                "%Y-%m-%dT%H:%M:%S+02:00"
            ),
            "member": random.choice(["True", "False", ""], n),
            "open": random.choice(["yes", "no"], n),
        }
    )
    frame.loc[::9, "town"] = None
    frame.loc[::7, "size"] = None
    return frame


def test_a_file_a_dict_and_a_frame_are_read_as_in_training(tmp_path):
    file = tmp_path / "customers.csv"
    customers().to_csv(file, index=False, encoding="utf-8-sig")
    data = load_data(file, target="open", validation=0)
    kinds = {column["name"]: column["kind"] for column in data.preprocessing["columns"]}
    assert kinds == {
        "code": "category",
        "town": "category",
        "size": "number",
        "since": "date",
        "seen": "date",
        "member": "number",
    }
    x = encode(data.preprocessing, file)
    seen = np.concatenate([data.train.x, data.test.x])
    np.testing.assert_array_equal(x[np.concatenate([data.train.rows, data.test.rows])], seen)
    frame = read_table(file)
    np.testing.assert_array_equal(encode(data.preprocessing, frame), x)
    for rows in (
        frame.to_dict("records"),
        frame.astype(object).where(frame.notna(), None).to_dict("records"),
    ):
        np.testing.assert_array_equal(encode(data.preprocessing, rows), x)
    # A file of one row, too, where pandas would take the code for a number.
    frame[frame["code"] == "01"].head(1).to_csv(tmp_path / "one.csv", index=False)
    row = int(np.flatnonzero(frame["code"] == "01")[0])
    np.testing.assert_array_equal(
        encode(data.preprocessing, tmp_path / "one.csv"), x[row : row + 1]
    )


WHEN = [
    "2024-02-03",
    "2024-2-3",
    "2024/02/03",
    "2024.02.03",
    "2024-02-03 10:20",
    "2024-02-03T10:20:30.123456789",
    "2024-02-03T10:20:30Z",
    "2024-02-03 10:20:30-0530",
    "2024-02-03T10",
    "2024-02-03 3:15 PM",
    "2024-02-03 12:00 AM",
    "31/12/2024",
    "12/31/2024",
    "3/2/2024",
    "20240203",
    "2024-02",
    "2024-1-1 1:2",
    "Feb 3, 2024",
    "03-Feb-2024",
    "3 February 2024 10:11",
    "1969-12-31 23:59",
    "2024-02-30",
    "2024-13-01",
    "2023-02-29",
    " 2024-02-29 ",
    "2024-02-03 24:00",
    "2024-02-03 10:61",
    "garbage",
    "",
    "13/13/2024",
    "2024-02-03 at noon",
]


@pytest.mark.parametrize("text", WHEN)
def test_dates_are_those_of_pandas(text):
    theirs = pd.to_datetime(
        pd.Series([text.strip()]), format="mixed", errors="coerce", utc=True
    ).dt.tz_localize(None)
    ours = to_dates([text])
    np.testing.assert_array_equal(ours, theirs.to_numpy().astype("M8[us]"))
    for part, values in date_parts(ours).items():
        expected = getattr(theirs.dt, {"weekday": "day_of_week"}.get(part, part)).to_numpy(
            float, na_value=np.nan
        )
        np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("text", ["9999-12-31", "0001-01-01"])
def test_dates_that_pandas_2_has_no_room_for(text):
    assert to_dates([text])[0] == np.datetime64(text)
    assert date_parts(to_dates([text]))["year"][0] == int(text[:4])


def test_times_with_a_zone_are_read_on_their_clock_from_every_source(tmp_path):
    pa = pytest.importorskip("pyarrow")
    # the clock jumps on the way
    when = pd.date_range("2024-03-09", periods=60, freq="97min", tz="America/New_York")
    frame = pd.DataFrame({"when": when, "late": np.where(when.hour >= 18, "yes", "no")})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    of_arrow = frame.astype({"when": pd.ArrowDtype(pa.timestamp("us", "America/New_York"))})
    tables = pa.Table.from_pandas(frame), pa.RecordBatch.from_pandas(frame)
    files = (tmp_path / "a.csv", tmp_path / "a.parquet")
    dicts = (frame.to_dict("list"), frame.to_dict("records"))
    for learned in (frame, *files, of_arrow):
        reader = load_data(learned, target="late", validation=0).preprocessing
        for rows in (frame, of_arrow, *tables, *dicts, *files):
            assert encode(reader, rows)[:, -1].tolist() == when.hour.tolist()
    # an older run does not store it: texts were read in UTC
    assert reader["columns"][0].pop("zoned")
    assert (
        encode(reader, tmp_path / "a.csv")[:, -1].tolist() == when.tz_convert("UTC").hour.tolist()
    )


def test_new_dates_have_the_order_of_day_and_month_that_they_show_or_else_that_of_training():
    days = pd.date_range("2023-01-01", periods=200)
    frame = pd.DataFrame({"when": days, "answer": ["yes", "no"] * 100})

    def read(written, *texts):
        """Return month and day of texts, as a run reads them whose training dates have the format `written`."""
        reader = load_data(
            frame.assign(when=days.strftime(written)) if written else frame, target="answer"
        ).preprocessing
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            x = encode(reader, {"when": list(texts)})
        return x[:, :2].astype(int).tolist(), [str(warning.message) for warning in caught]

    february = [[2, 3], [2, 25]]
    for written in (None, "%Y-%m-%d", "%d.%m.%Y"):
        assert read(written, "03.02.2024", "25.02.2024") == (february, [])
    assert read("%Y-%m-%d", "03.02.2024") == ([[2, 3]], [])  # a dot means the same as in training
    dates, messages = read("%Y-%m-%d", "02/03/2024")
    assert dates == [[2, 3]]
    assert_mentions(messages[0], "'when'", "month first", "2024-02-03")
    # in training, a number above 12 showed the order
    assert read("%m/%d/%Y", "02/03/2024") == ([[2, 3]], [])
    dates, messages = read("%m/%d/%Y", "03/02/2024", "25/02/2024")
    assert dates == february
    assert_mentions(messages[0], "'when'", "day first", "month first", "training")
    tested = frame.assign(when=days.strftime("%d.%m.%Y"))  # as a second file may be written
    data = load_data(frame, target="answer", test=tested)
    np.testing.assert_array_equal(data.test.x, encode(data.preprocessing, frame))


def test_columns_of_pandas_and_numpy():
    zoned = pd.Series(pd.to_datetime(["2024-02-03 10:00"])).dt.tz_localize("Europe/Rome")
    assert to_dates(zoned)[0] == np.datetime64("2024-02-03T10:00") and are_dates(zoned)
    for column, numbers, words in (
        (pd.Series([1, 2, None], dtype="Int64"), [1, 2, np.nan], ["1", "2", None]),
        (pd.Series([1.0, None]), [1, np.nan], ["1", None]),
        (pd.Series([True, False, None], dtype="boolean"), [1, 0, np.nan], ["True", "False", None]),
        (pd.Series(["a ", "2"], dtype="category"), [np.nan, 2], ["a", "2"]),
        (pd.Series([2.5, None, 1e300]), [2.5, np.nan, 1e300], ["2.5", None, "1e+300"]),
        (
            [np.float32("nan"), pd.NA, pd.NaT, "-1e3"],
            [np.nan, np.nan, np.nan, -1000],
            [None, None, None, "-1e3"],
        ),
    ):
        np.testing.assert_array_equal(to_numbers(column), numbers)
        assert to_words(column).tolist() == words


def test_a_column_that_varies_less_than_float32_can_resolve_is_reported():
    a = np.random.default_rng(0).normal(size=600)
    frame = pd.DataFrame({"a": a, "late": 1.7e9 + 30 * a, "far": 1.7e9 + 3000 * a, "y": a * 2})
    series = load_data(frame[["late", "far"]], preset="series_linear", target="far")
    for data in (load_data(frame, target="y"), series):
        (note,) = (note for note in data.notes if "float32" in note)
        assert_mentions(note, "'late'", "1.7e+09", "1.3e+02")
        assert "'far'" not in note


def test_a_dict_of_columns_is_columns_and_a_dict_of_cells_a_row(tmp_path):
    file = tmp_path / "customers.csv"
    customers().to_csv(file, index=False)
    reader = load_data(file, target="open", validation=0).preprocessing
    frame = read_table(file).head(5)
    expected = encode(reader, frame)
    # row -> cell: the numbers of rows are no cells
    as_pandas_writes = frame.to_dict(), json.loads(frame.to_json())
    for columns in (
        frame.to_dict("list"),
        {name: frame[name].to_numpy() for name in frame},
        *as_pandas_writes,
    ):
        np.testing.assert_array_equal(encode(reader, columns), expected)
    np.testing.assert_array_equal(encode(reader, frame.iloc[2].to_dict()), expected[2:3])


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        ({"a": [1, 2], "b": 3}, ("'a'", "2 values", "'b'", "dicts", "columns")),
        ({"a": [1, 2], "b": [3]}, ("columns", "a 2", "b 1")),
        ({"a": [[1, 2], [3]]}, ("'a'", "[1, 2]", "number", "text", "date")),
        ({"a": {1, 2}, "b": [3, 4]}, ("'a'", "set", "list")),
        ({"a": {"0": 1, "1": 2}, "b": {"1": 3, "0": 4}}, ("'b'", "dict", "rows", "lists")),
        ([{"a": 1}, {"a": [1, 2]}], ("row 2", "[1, 2]", "'a'", "number", "text", "date")),
        (
            pd.DataFrame({"a": [1, {"b": 2}]}),
            ("row 2", "{'b': 2}", "'a'", "number", "text", "date"),
        ),
    ],
)
def test_cells_that_are_lists_are_refused(rows, parts):
    with refuses(*parts):
        checked_rows(rows)
    if isinstance(rows, pd.DataFrame):
        with refuses(*parts):
            load_data(rows.assign(y=["u", "v"]), target="y")


def test_duplicate_columns_are_refused_or_renamed_with_a_note(tmp_path):
    frame = pd.DataFrame([[1, 2, "u"], [3, 4, "v"]] * 20, columns=["a", "a", "y"])
    with refuses("columns", "'a'", "name"):
        load_data(frame, target="y")
    for rows in (frame, [{"a": 1, " a": 2}], {"a": [1], " a": [2]}, {"a": 1, "a ": 2}):
        with refuses("columns", "'a'", "name"):
            checked_rows(rows)
    for names in ("a,a,y", "a, a,y"):
        frame.to_csv(tmp_path / "a.csv", index=False, header=names.split(","))
        data = load_data(tmp_path / "a.csv", target="y")
        assert data.feature_names == ("a", "a.1")
        assert any(
            not missing_from(note, ["'a.csv'", "'a'", "column 2", "'a.1'"]) for note in data.notes
        )


def test_invalid_rows_are_refused():
    for wrong in (5, [[1, 2]], ["a"]):
        with refuses("dicts", "DataFrame", "path"):
            rows_of(wrong)
