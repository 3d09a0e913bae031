"""Tables: how each kind of column is read, and that nothing is learned from test rows."""

import json
from decimal import Decimal

import keras
import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, notes_with, refuses

import kzoo
from kzoo import get_preset
from kzoo.cli import main
from kzoo.data import load_data
from kzoo.inference.encode import encode
from kzoo.inference.tasks import classes as classes
from kzoo.problems.kinds import kind_of
from kzoo.problems.tasks import Target


def people(n=200, seed=0):
    """A table with every kind of column."""
    random = np.random.default_rng(seed)
    age = random.integers(18, 80, n).astype(float)
    age[::10] = np.nan
    city = random.choice(["Oslo", "Rome", "上海"], n).astype(object)
    city[::25] = None
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "age": age,
            "joined": pd.date_range("2020-01-31", periods=n, freq="31D").strftime("%Y-%m-%d"),
            "member": random.random(n) < 0.5,
            "city": city,
            "country": "here",
            "code": [f"x{i}" for i in range(n)],
            "income": random.normal(1000, 200, n),
            "churned": random.choice(["yes", "no"], n, p=[0.3, 0.7]),
        }
    )


def test_kinds_of_columns():
    data = load_data(people(), target="churned", seed=3)
    assert (
        data.task == "tabular_classification"
        and data.class_names == ("no", "yes")
        and data.outputs == 2
    )
    # Numbers, dates and missing marks in the order of the file, then categories.
    assert data.feature_names == (
        "age",
        "age is missing",
        "joined year",
        "joined month",
        "joined day",
        "joined weekday",
        "member",
        "income",
        "city",
    )
    assert data.config["categories"] == (4,) and data.input_shape == (9,)
    left_out = {
        column["name"]: column["about"]
        for column in data.overview["columns"]
        if column["kind"] == "left out"
    }
    assert set(left_out) == {"id", "country", "code"}
    for name, word in {"id": "rows", "country": "constant", "code": "text"}.items():
        assert_mentions(left_out[name], word)
    json.dumps([data.preprocessing, data.config])


@pytest.mark.parametrize(
    "name", ["id", "customer_id", "userId", "Unnamed: 0", "编号", "客户编号", "序号"]
)
def test_numbers_of_the_rows_are_left_out(name):
    assert (
        name not in load_data(people().rename(columns={"id": name}), target="churned").feature_names
    )


def test_numbers_agree_with_pandas():
    frame = people()
    data = load_data(frame, target="churned", seed=3)
    x = encode(data.preprocessing, frame)
    assert np.isfinite(x).all()
    rows = np.concatenate([data.train.x, data.validation.x, data.test.x])
    assert sorted(map(tuple, rows)) == sorted(map(tuple, x))
    train = frame[np.isin(x[:, 7], data.train.x[:, 7])]
    median = train["age"].median()
    np.testing.assert_array_equal(x[:, 0], frame["age"].fillna(median).to_numpy(np.float32))
    np.testing.assert_array_equal(x[:, 1], frame["age"].isna().to_numpy(np.float32))
    np.testing.assert_array_equal(
        x[:, 3], pd.to_datetime(frame["joined"]).dt.month.to_numpy(np.float32)
    )
    codes = frame["city"].map({"Oslo": 1, "Rome": 2, "上海": 3}).fillna(0)
    np.testing.assert_array_equal(x[:, 8], codes.to_numpy(np.float32))
    standard = data.train.x[:, :8] * data.config["scale"] + data.config["offset"]
    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(standard.std(axis=0), 1, atol=1e-4)


def test_nothing_is_learned_from_test_rows():
    frame = people()
    data = load_data(frame, target="churned", seed=3)
    tested = np.isin(encode(data.preprocessing, frame)[:, 7], data.test.x[:, 7])
    others = tested | np.isin(encode(data.preprocessing, frame)[:, 7], data.validation.x[:, 7])
    assert tested.sum() == 40 and others.sum() == 56
    changed = frame.copy()
    changed.loc[others, "income"] *= 1000
    changed.loc[others, "age"] = 5000
    changed.loc[others, "city"] = "Atlantis"
    changed.loc[others, "joined"] = "1900-01-01"
    again = load_data(changed, target="churned", seed=3)
    assert again.preprocessing == data.preprocessing and again.config == data.config
    np.testing.assert_array_equal(again.train.x, data.train.x)
    assert again.test.x[:, 8].max() == 0  # a category that training never saw
    assert again.fingerprint != data.fingerprint


@pytest.mark.parametrize(
    ("when", "month", "noted"),
    [
        (["03.02.2024", "04.03.2024"], [2, 3], False),  # a dot: day first
        # unless a number is above 12
        (["3.2.2024 8:30", "05.25.2024 9:00", "06.26.2024 9:00"], [3, 5, 6], False),
        (["03/02/2024", "31/12/2024"], [2, 12], False),
        (["03-02-2024 3:15 PM", "12-31-2024 1:00 AM"], [3, 12], False),
        (["03/02/2024", "04/03/2024"], [3, 4], True),  # as pandas reads it, with a note
        (["2024-02-03", "2024/3/4", "2024年5月6日", "2024.06.07"], [2, 3, 5, 6], False),
    ],
)
def test_which_comes_first_day_or_month(when, month, noted):
    frame = people(len(when) * 10).assign(joined=when * 10)
    data = load_data(frame, target="churned")
    assert (
        encode(data.preprocessing, frame)[:, data.feature_names.index("joined month")].tolist()
        == month * 10
    )
    notes = notes_with(data.notes, "'joined'")
    assert len(notes) == noted
    for note in notes:
        assert_mentions(note, "month first", "2024-02-03")
    alone = encode(data.preprocessing, frame.head(1))  # a row by itself is read as the column was
    assert alone[0, data.feature_names.index("joined month")] == month[0]


def test_encode_rows_of_a_person(tmp_path):
    frame = people()
    frame.to_csv(tmp_path / "people.csv", index=False, encoding="utf-8-sig")
    data = load_data(tmp_path / "people.csv", target="churned")
    expected = encode(data.preprocessing, frame.iloc[:5])
    rows = json.loads(frame.iloc[:5].to_json(orient="records"))
    np.testing.assert_array_equal(encode(data.preprocessing, rows), expected)
    np.testing.assert_array_equal(encode(data.preprocessing, tmp_path / "people.csv")[:5], expected)
    with refuses("'city'", "missing", "id, age, joined, member, country, code, income, churned"):
        encode(data.preprocessing, [{k: v for k, v in rows[0].items() if k != "city"}])


@pytest.mark.parametrize(
    "encoding,separator", [("utf-8", ","), ("utf-8-sig", ";"), ("gb18030", "\t"), ("utf-16", ",")]
)
def test_encodings_and_separators(tmp_path, encoding, separator):
    path = tmp_path / "a.csv"
    path.write_bytes(people().to_csv(index=False, sep=separator).encode(encoding))
    data = load_data(str(path), target="churned")
    assert data.preprocessing["columns"][-1]["values"] == ["Oslo", "Rome", "上海"]


def test_decimal_comma(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a;y\n" + "\n".join(f"{i},5;{i * 2},25" for i in range(30)))
    data = load_data(path, target="y")
    assert data.task == "tabular_regression" and data.train.x[0, 0] % 1 == 0.5


def test_regression_in_its_own_unit():
    data = load_data("diabetes", preset="diabetes_fnn")
    assert data.task == "tabular_regression" and data.train.y.shape == (len(data.train), 1)
    assert data.config["target_offset"][0] == pytest.approx(data.train.y.mean(), rel=1e-6)
    assert data.config["target_scale"][0] == pytest.approx(data.train.y.std(), rel=1e-5)
    assert data.train.y.max() > 300


def test_several_targets():
    frame = people().assign(tax=lambda f: f.income * 0.3)
    data = load_data(frame, target="income,tax", drop=["churned"])
    assert (
        data.outputs == 2 and data.target_names == ("income", "tax") and data.train.y.shape[1] == 2
    )


@pytest.mark.parametrize(
    "values,task",
    [
        (["a", "b"], "tabular_classification"),
        ([True, False], "tabular_classification"),
        (list(range(20)), "tabular_classification"),
        (list(range(21)), "tabular_regression"),
        ([0.5, 1.0], "tabular_regression"),
        ([1.0, 2.0], "tabular_classification"),
    ],
)
def test_rule_for_the_task(values, task):
    frame = pd.DataFrame({"x": np.arange(420.0) ** 2, "target": (values * 420)[:420]})
    data = load_data(frame)
    assert data.task == task and any("task=" in note for note in data.notes)


CLASSES = {
    "words": lambda draw: draw.choice(["up", "down"], 90),
    "two numbers": lambda draw: draw.integers(3, 5, 90),
    "both": lambda draw: draw.integers(0, 2, 90),
}


@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("form", ["frame", "csv", "parquet", "large", "answers"])
def test_several_columns_of_classes_are_refused_in_one_line(classes, form, tmp_path, monkeypatch):
    """A regression would answer them with numbers below 0 and above 1, as if they were probabilities."""
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draw.normal(size=90), "b": draw.normal(size=90)})
    frame["s"], frame["t"] = (
        CLASSES[classes](draw),
        CLASSES["words" if classes == "both" else classes](draw),
    )
    source = frame
    options = dict(target=["s", "t"])
    if form in ("parquet", "large"):
        pytest.importorskip("pyarrow")
    if form == "answers":
        source = (frame[["a", "b"]], frame[["s", "t"]])
        options = {}
    elif form == "parquet":
        frame.to_parquet(source := tmp_path / "t.parquet")
    elif form != "frame":
        frame.to_csv(source := tmp_path / "t.csv", index=False)
    if form == "large":
        monkeypatch.setenv("KZOO_MEMORY", "1KiB")
        monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    with refuses(
        "'s', 't'", "classes", "0 and 1", "target='s'", "drop=", "task='regression'"
    ) as caught:
        load_data(source, **options)
    assert "\n" not in str(caught.value)
    if classes == "two numbers" and form != "answers":
        assert load_data(source, **options, task="regression").task == "tabular_regression"


def test_columns_of_classes_in_an_array_are_refused_and_targets_are_not():
    x = np.random.default_rng(0).normal(size=(90, 3))
    draw = np.random.default_rng(1)
    for y in (draw.integers(3, 5, (90, 2)), draw.choice(["u", "v", "w"], (90, 2))):
        with refuses("2 columns", "y", "classes", "0 and 1", "y[:, k]", "task='regression'"):
            load_data((x, y))
    assert load_data((x, draw.integers(3, 5, (90, 2))), task="regression").outputs == 2
    assert load_data((x, draw.integers(0, 4, (90, 2)))).task == "tabular_regression"  # counts
    assert load_data((x, draw.normal(size=(90, 2)))).task == "tabular_regression"


def test_labels_among_several_targets_are_named():
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": draw.normal(size=90), "flag": draw.integers(0, 2, 90), "y": draw.normal(size=90)}
    )
    frame["count"] = draw.integers(0, 4, 90)
    for target, alone in (["flag", "y"], "'flag'"), (["flag", "count"], "'flag', 'count'"):
        data = load_data(frame, target=target)
        assert data.task == "tabular_regression"
        (note,) = notes_with(data.notes, "task=")
        assert_mentions(note, alone, "classes")
        assert "'y'" not in note


def test_an_older_run_with_labels_as_values_still_reads_its_data(tmp_path):
    """Such a run stores no task, which its data needs now."""
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": draw.normal(size=90), "s": draw.integers(0, 2, 90), "t": draw.integers(0, 2, 90)}
    )
    run = kzoo.train(
        "tabular_fnn",
        frame,
        target=["s", "t"],
        task="regression",
        epochs=1,
        out=tmp_path / "run",
        progress=False,
    )
    stored = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    stored["data"]["options"]["task"] = None
    (tmp_path / "run" / "config.json").write_text(json.dumps(stored), encoding="utf-8")
    assert kzoo.evaluate(kzoo.Run(run.path), frame)["examples"] == 18


@pytest.mark.parametrize("memory", ["plenty", "little"])
def test_a_note_tells_that_a_column_of_weights_is_an_input(memory, tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({name: draw.normal(size=90) for name in ("weight", "a", "Sample_Weight")})
    frame["y"] = np.where(frame["a"] > 0, "u", "v")
    frame.to_csv(file := tmp_path / "t.csv", index=False)
    if memory == "little":
        pytest.importorskip("pyarrow")
        monkeypatch.setenv("KZOO_MEMORY", "1KiB")
        monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    (note,) = notes_with(load_data(file, target="y").notes, "drop=")
    assert_mentions(note, "'Sample_Weight'", "drop='Sample_Weight'")
    notes = load_data(file, target="y", drop="Sample_Weight").notes
    assert not any("weight" in note.casefold() for note in notes)


def test_task_overrides_the_rule():
    frame = pd.DataFrame({"x": np.arange(60.0) ** 2, "stars": [1, 2, 3, 4, 5, 10] * 10})
    assert load_data(frame, target="stars").class_names == ("1", "2", "3", "4", "5", "10")
    assert load_data(frame, target="stars", task="regression").outputs == 1


def test_groups_never_straddle():
    frame = people().assign(patient=lambda f: f.index // 7)
    data = load_data(frame, target="income", group="patient", drop=["churned"])
    income = frame["income"].to_numpy(np.float32)
    seen = [
        set(frame["patient"][np.isin(income, split.y)])
        for split in (data.train, data.validation, data.test)
    ]
    assert all(seen) and not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert 0.1 < len(data.test) / len(frame) < 0.3 and "patient" not in data.feature_names


def test_second_table_for_test():
    data = load_data(people(), target="churned", test=people(50, seed=1))
    assert (len(data.train), len(data.validation), len(data.test)) == (180, 20, 50)
    with refuses("test", "class", "'maybe'", "training"):
        load_data(
            people(), target="churned", test=people(50).assign(churned=["maybe"] * 10 + ["no"] * 40)
        )


@pytest.mark.parametrize("stored", ["frame", "objects", "texts", "file"])
def test_numbers_that_are_often_infinite_are_missing_and_no_categories(stored, tmp_path):
    table = pd.DataFrame(
        {"a": np.arange(100) / 8, "b": [np.inf, -np.inf] * 50, "y": ["u", "v"] * 50}
    )
    table.loc[::5, "a"] = np.inf
    table.to_csv(tmp_path / "a.csv", index=False)
    sources = {"frame": table, "objects": table.astype({"a": object}), "file": tmp_path / "a.csv"}
    sources["texts"] = table.astype({"a": str})
    data = load_data(sources[stored], target="y", validation=0, test=0)
    (column,) = data.preprocessing["columns"]
    assert column["name"] == "a" and column["kind"] == "number" and column["missing"]
    finite = table["a"][np.isfinite(table["a"])]
    np.testing.assert_array_equal(
        data.train.x[:, 0], table["a"].where(np.isfinite(table["a"]), finite.median())
    )
    np.testing.assert_array_equal(data.train.x[:, 1], ~np.isfinite(table["a"]))
    assert notes_with(data.notes, "'a'", "20 of 100", "row 1", "inf")


def test_outliers_are_clipped_on_request_only():
    frame = people(2000).assign(income=lambda f: f.income.where(f.index != 5, 1e9))
    plain, clipped = (
        load_data(frame, target="churned", clip=clip, test=0) for clip in (False, True)
    )
    column = plain.feature_names.index("income")
    assert encode(plain.preprocessing, frame)[5, column] == 1e9
    assert encode(clipped.preprocessing, frame)[5, column] < 1e4


def test_stratified_fixed_split():
    frame = people(1000)
    one = load_data(frame, target="churned")
    two = load_data(frame, target="churned")
    assert one.fingerprint == two.fingerprint
    assert load_data(frame, target="churned", seed=1).fingerprint != one.fingerprint
    share = (frame["churned"] == "yes").mean()
    for split in (one.train, one.validation, one.test):
        assert abs(split.y.mean() - share) < 1 / len(split) + 1e-9
    assert (len(one.test), len(one.validation)) == (200, 80)


@pytest.mark.parametrize(
    "change,options,parts",
    [
        (lambda f: f, {}, ("target=", "id, age")),
        (lambda f: f, {"target": "churn"}, ("'churn'", "'churned'", "id, age")),
        (lambda f: f, {"target": "churned", "drop": ["agge"]}, ("'agge'", "'age'", "id, age")),
        (lambda f: f, {"target": "churned", "group": "town"}, ("'town'", "id, age")),
        (lambda f: f.assign(churned="no"), {"target": "churned"}, ("labels", "'no'", "classes")),
        (
            lambda f: f.assign(churned=["odd"] + ["a", "b"] * 99 + ["a"]),
            {"target": "churned"},
            ("1 of 3", "classes", "'odd'"),
        ),
        (lambda f: f.head(6), {"target": "churned"}, ("6", "rows", "10")),
        (lambda f: f.assign(churned=None), {"target": "churned"}, ("target", "'churned'", "empty")),
        (
            lambda f: f[["id", "country", "churned"]],
            {"target": "churned"},
            ("'churned'", "'id'", "'country'"),
        ),
        (
            lambda f: f,
            {"target": "churned", "task": "regression"},
            ("numbers", "'churned'", "'yes'"),
        ),
        (
            lambda f: f,
            {"target": "churned", "task": "regresion"},
            ("task='regresion'", "'regression'"),
        ),
        (
            lambda f: f,
            {"target": "income", "preset": "iris_fnn"},
            (
                "'income'",
                "iris_fnn",
                "tabular_regression",
                "tabular_classification",
                "tabular_fnn",
                "task=",
            ),
        ),
        (
            lambda f: f,
            {"target": "churned", "preset": "diabetes_fnn"},
            (
                "'churned'",
                "diabetes_fnn",
                "tabular_regression",
                "tabular_classification",
                "tabular_fnn",
                "task=",
            ),
        ),
        (lambda f: f, {"target": "churned", "validation": 1.5}, ("validation=1.5", "0", "1")),
        (
            lambda f: f,
            {"target": "churned", "test": 0.95},
            ("validation=0.1", "test=0.95", "train"),
        ),
        (lambda f: f, {"target": "churned", "seed": -1}, ("seed=-1", "0")),
    ],
)
def test_bad_tables(change, options, parts):
    with refuses(*parts) as caught:
        load_data(change(people()), **options)
    assert "\n" not in str(caught.value)


def test_a_few_missing_targets_are_dropped_with_a_note():
    frame = people()
    frame.loc[:4, "churned"] = None
    data = load_data(frame, target="churned", preset=get_preset("tabular_fnn"))
    assert len(data.train) + len(data.validation) + len(data.test) == 195
    assert notes_with(data.notes, "5 rows", "target")
    frame.loc[:3, "churned"] = "no"
    assert notes_with(load_data(frame, target="churned").notes, "1 row", "target")


def test_an_index_that_is_not_read_is_named_except_plain_row_numbers():
    def notes_about_the_index(frame):
        return notes_with(load_data(frame, target="churned").notes, "DataFrame.reset_index()")

    table = people()
    assert (
        notes_about_the_index(table)
        == notes_about_the_index(table.sample(frac=1, random_state=0))
        == []
    )
    unnamed = table.set_index("code").rename_axis(None)
    expected = {
        "('id')": table.set_index("id"),
        "('id', 'code')": table.set_index(["id", "code"]),
        "(Index)": unnamed,
    }
    for name, frame in expected.items():
        (note,) = notes_about_the_index(frame)
        assert_mentions(note, "index", name)
    texts = (
        table[["churned"]]
        .assign(text=[f"a film of {n} hours" for n in range(len(table))])
        .rename_axis("film")
    )
    data = load_data(texts, preset="text_ngrams", target="churned")
    assert notes_with(data.notes, "index", "('film')", "DataFrame.reset_index()")


def test_durations_are_seconds_from_every_source():
    """As texts they would be categories or left out; a number of NumPy has a unit of its type, which differs."""
    hours = np.random.default_rng(0).integers(0, 50, 120).astype(float)
    long = np.where(hours > 25, "long", "short")
    lasted = pd.to_timedelta(hours, unit="h").to_series(index=range(120))
    lasted[7] = pd.NaT
    data = load_data(pd.DataFrame({"lasted": lasted, "other": hours % 7, "is": long}), target="is")
    (column,) = (column for column in data.preprocessing["columns"] if column["name"] == "lasted")
    assert column["kind"] == "number" and column["missing"] and column["median"] in hours * 3600
    expected = encode(data.preprocessing, {"lasted": hours[9] * 3600, "other": 2.0})
    ninth = lasted.iloc[9:10]
    for value in (
        ninth.iloc[0],
        ninth.to_numpy()[0],
        ninth.iloc[0].to_pytimedelta(),
        ninth,
        ninth.to_numpy(),
    ):
        other = [2.0] if isinstance(value, pd.Series | np.ndarray) else 2.0
        np.testing.assert_array_equal(
            encode(data.preprocessing, {"lasted": value, "other": other}), expected
        )
    target = load_data(pd.DataFrame({"lasted": lasted, "other": hours}), target="lasted")
    assert target.task == "tabular_regression" and set(target.train.y.ravel()) <= set(hours * 3600)


def test_decimals_are_numbers_as_a_target_too():
    """A database returns amounts of money as decimals; each used to be a class."""
    amounts = [Decimal(cents) / 100 for cents in range(100, 220)]
    data = load_data(pd.DataFrame({"a": range(0, 240, 2), "paid": amounts}), target="paid")
    assert data.task == "tabular_regression" and data.train.y.dtype == "float32"
    np.testing.assert_allclose(data.train.y.ravel(), data.train.x[:, 0] / 200 + 1, rtol=1e-6)


@pytest.mark.usefixtures("undrawn", "untraced")
def test_a_table_of_nothing_but_categories():
    """Nothing is scaled: computing the scale of no columns used to raise."""
    rows = pd.DataFrame(
        dict(shop=["x", "y", "z"] * 20, day=["mon", "tue"] * 30, sold=["no", "yes", "yes"] * 20)
    )
    data = kzoo.load_data(rows, target="sold")
    assert list(data.config["categories"]) == [4, 3] and "scale" not in data.config
    run = kzoo.train(
        "tabular_fnn", data, out="run", epochs=2, units=(4,), progress=False, check=False
    )
    assert set(kzoo.predict(run, rows.drop(columns="sold")).labels) <= {"no", "yes"}


HEAVY = np.exp(2 * np.random.default_rng(0).normal(size=400))


def heavy_table():
    random = np.random.default_rng(1)
    table = pd.DataFrame(
        dict(plain=random.normal(size=400), heavy=HEAVY, gap=random.normal(size=400))
    )
    table.loc[7, "gap"] = np.nan
    return table.assign(
        year=np.where(np.arange(400) == 3, 2019, 2020), y=random.normal(size=400), far=HEAVY[::-1]
    )


def test_heavy_tails_are_bent_with_a_note_and_rare_marks_stay_small():
    data = load_data(heavy_table().drop(columns="far"), target="y", validation=0, test=0)
    assert data.feature_names == ("plain", "heavy", "gap", "gap is missing", "year")
    z = data.train.x * data.config["scale"] + data.config["offset"]
    assert data.config["input_clip"] == 3.0 and "loss" not in data.config
    assert notes_with(data.notes, "'heavy'", "input_clip=3")
    middle = np.clip(HEAVY, *np.percentile(HEAVY, (1, 99)))
    np.testing.assert_allclose(z[:, 1], (HEAVY - middle.mean()) / middle.std(), rtol=1e-3)
    assert np.abs(z[:, 1]).max() > 6
    np.testing.assert_allclose(z[:, [0, 2]].std(axis=0), 1, rtol=1e-3)
    assert np.abs(z[:, 3]).max() < 5  # one mark of 400 was 20 deviations from the others
    same = load_data((data.train.x, data.train.y), validation=0, test=0)
    assert same.config["scale"] == data.config["scale"] and notes_with(
        same.notes, "'column 1'", "input_clip=3"
    )


def test_a_table_without_heavy_tails_is_scaled_by_its_deviation():
    data = load_data(
        heavy_table().drop(columns=["heavy", "gap", "far"]), target="y", validation=0, test=0
    )
    assert "input_clip" not in data.config and not any("input_clip" in note for note in data.notes)
    np.testing.assert_allclose(
        data.config["scale"], 1 / data.train.x.astype("float64").std(axis=0), rtol=1e-6
    )


def test_clipping_and_loss_for_heavy_tails_follow_the_data_and_the_settings(capsys):
    data = load_data(heavy_table(), target="far", task="regression", validation=0, test=0)
    assert notes_with(data.notes, "target", "loss='auto'", "'huber'")
    for preset in ("tabular_fnn", "tabular_resnet", "tabular_transformer", "line_fnn"):
        spec = kzoo.spec_of(model := kzoo.build(preset, data=data))
        assert spec["config"]["input_clip"] == 3.0 and spec["training"]["loss"] == "huber"
        assert isinstance(model.loss, keras.losses.Huber)
    bent = keras.Model(model.input, model.get_layer("scaling_clip").output)(data.train.x)
    z = data.train.x * data.config["scale"] + data.config["offset"]
    np.testing.assert_allclose(bent, 3 * np.tanh(z / 3), atol=1e-3)
    model = kzoo.build("tabular_fnn", data=data, input_clip=0, loss="mse")
    assert kzoo.spec_of(model)["config"]["input_clip"] == 0 and isinstance(
        model.loss, keras.losses.MeanSquaredError
    )
    assert "scaling_clip" not in [layer.name for layer in model.layers]
    assert (
        kzoo.spec_of(kzoo.build("tabular_fnn", data=data, input_clip=2))["config"]["input_clip"]
        == 2
    )
    spec = kzoo.spec_of(kzoo.build("tabular_tabm", data=data))  # its bins bend all columns
    assert spec["config"]["input_clip"] is None and spec["training"]["loss"] == "huber"
    heavy_table().to_csv("heavy.csv", index=False)
    main(
        [
            "check",
            "tabular_fnn",
            "--data",
            "heavy.csv",
            "--target",
            "far",
            "--task",
            "regression",
            "--quick",
        ]
    )
    assert_mentions(
        capsys.readouterr().out, "'heavy'", "input_clip=3", "target", "loss='auto'", "'huber'"
    )


def test_a_target_of_numbers_that_are_objects_stays_numeric_with_a_test_file(tmp_path):
    """The file's cells used to be read as texts, and numbers and texts together are names of classes."""
    frame = people(60).assign(value=np.arange(60) + 0.5)
    frame.to_csv(tmp_path / "test.csv", index=False)
    data = load_data(frame.astype({"value": object}), target="value", test=tmp_path / "test.csv")
    assert data.task == "tabular_regression"
    np.testing.assert_array_equal(data.test.y[:, 0], frame["value"].astype("float32"))


@pytest.mark.parametrize("decimal", [".", ","])
def test_true_and_false_are_classes_also_where_one_is_missing(tmp_path, decimal):
    """With a missing value they are objects, which used to be read as 1 and 0 where commas are decimal signs."""
    frame = pd.DataFrame({"a": np.arange(30) + 0.5, "yes": [True, False, True] * 10})
    frame.to_csv(tmp_path / "a.csv", index=False, sep=";", decimal=decimal)
    reader = load_data(tmp_path / "a.csv", target="yes").preprocessing
    new = frame.astype({"yes": object})
    new.loc[3, "yes"] = None
    new.to_csv(tmp_path / "new.csv", index=False, sep=";", decimal=decimal)
    for source in (new, tmp_path / "new.csv"):
        part = kind_of(reader).fitting.labelled(reader, source, targets=["yes"], config={})
        labels = classes.encode(Target(classes=("False", "True")), part.y)
        np.testing.assert_array_equal(labels, np.delete([1, 0, 1] * 10, 3))


def test_line_ends_in_a_label_make_no_other_class(tmp_path):
    frame = pd.DataFrame({"a": np.arange(30) + 0.5, "label": ["one\r\ntwo", "three"] * 15})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    for source in (frame, tmp_path / "a.csv", tmp_path / "a.parquet"):
        data = load_data(source, target="label", test=tmp_path / "a.parquet")
        assert data.class_names == ("one\ntwo", "three")
        np.testing.assert_array_equal(data.test.y, [0, 1] * 15)
        for stored in (data.class_names, ("one\r\ntwo", "three")):  # of a run of an earlier version
            np.testing.assert_array_equal(
                classes.encode(Target(classes=stored), frame[["label"]]), [0, 1] * 15
            )
