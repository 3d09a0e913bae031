"""New data is compared with a run: each change is reported, and similar rows have no finding."""

import json

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses
from PIL import Image

import kzoo
from kzoo.data.generated import opinions, shapes

pytestmark = pytest.mark.usefixtures("undrawn", "untraced")

QUICK = dict(callbacks="quick", check=False, progress=False, epochs=1, batch_size=256)


def shops(rows=600, seed=0):
    """A table with numbers, missing values, categories and two classes."""
    random = np.random.default_rng(seed)
    size = random.normal(50, 10, rows).round(1)
    town = random.choice(["Bern", "Genf", "Chur"], rows, p=[0.5, 0.3, 0.2])
    rent = np.where(random.random(rows) < 0.1, np.nan, random.gamma(2, 500, rows).round())
    open_ = size + 10 * (town == "Bern") + random.normal(0, 5, rows) > 55
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "size": size,
            "rent": rent,
            "town": town,
            "open": np.where(open_, "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return kzoo.train(
        "tabular_fnn", shops(), target="open", out=tmp_path_factory.mktemp("t") / "run", **QUICK
    )


def names(run, data, **options):
    return [finding.check for finding in kzoo.check(run, data, **options)]


def test_similar_rows_have_no_findings(table, tmp_path):
    for seed in range(1, 6):
        for rows in (5, 60, 600):
            assert kzoo.check(table, shops(rows, seed)) == []
    assert kzoo.check(table, shops(300, 9).drop(columns="open")) == []  # without answers
    shops(300, 9).to_csv(tmp_path / "new.csv", index=False)
    assert kzoo.check(str(table.path), str(tmp_path / "new.csv")) == []


def test_missing_and_unknown_columns(table):
    (finding,) = kzoo.check(table, shops(200, 1).rename(columns={"rent": "Rent"}))[:1]
    assert (finding.check, finding.level) == ("columns_missing", "error")
    assert_mentions(finding.where, "'rent'")
    assert_mentions(finding.fix, "id, size, Rent, town, open")
    assert "columns_unknown" in names(table, shops(200, 1).rename(columns={"rent": "Rent"}))
    assert names(table, shops(200, 1)[["town", "open"]])[0] == "columns_missing"


CHANGES = {
    "shifted": lambda frame: frame["size"] + 12,
    "other unit": lambda frame: frame["size"] * 100,
    "a few sentinels": lambda frame: np.where(frame.index % 9, frame["size"], 9e6),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_shifted_numbers(table, change):
    frame = shops(300, 1)
    (finding,) = kzoo.check(table, frame.assign(size=change(frame)))
    assert (finding.check, finding.level) == ("numbers_moved", "warning")
    assert_mentions(finding.where, "'size'")


def test_a_changed_unit_is_reported_for_five_rows(table):
    assert names(table, shops(5, 1).assign(size=lambda f: f["size"] * 100)) == ["numbers_moved"]


def test_options_without_effect_on_new_data_are_refused(table):
    new = shops(60, 1)
    unknown = new.assign(open="maybe")
    assert (
        names(table, unknown, target=["open"])
        == names(table, unknown)
        == ["classes_unknown", "classes_moved"]
    )
    for options, parts in (
        (dict(target="opne"), ("'opne'", "'open'", "id, size, rent, town, open")),
        (dict(epochs=3), ("epochs=", str(table.path))),
        (dict(weights="runs/x"), ("weights=", str(table.path))),
        (dict(drop="town"), ("drop=", str(table.path))),
        (dict(columns={"rent": "number"}), ("columns=", str(table.path))),
    ):
        with refuses(*parts):
            kzoo.check(table, new, **options)


def test_a_data_set_with_another_encoding_is_refused(table):
    """Its categories have other codes than those of the run."""
    data = kzoo.load_data(shops(200, 1)[["town", "size", "rent", "id", "open"]], target="open")
    with refuses(str(table.path), "classes", "columns", "vocabulary"):
        kzoo.check(table, data)


def test_categories(table):
    frame = shops(300, 1)
    (finding,) = kzoo.check(table, frame.assign(town=frame["town"].replace("Chur", "Coire")))
    assert finding.check == "categories_unknown"
    assert_mentions(finding.what, "21%", "'town'", "'Coire'")
    assert names(table, frame.assign(town="Chur")) == ["categories_moved"]
    words = frame.assign(rent=frame["rent"].astype(object).where(frame.index > 20, "much"))
    assert "categories_unknown" in names(table, words)


def test_new_missing_values(table):
    frame = shops(300, 1)
    assert names(table, frame.assign(size=frame["size"].where(frame.index % 2 == 0))) == [
        "values_missing"
    ]
    assert "values_missing" in names(
        table, frame.assign(rent=frame["rent"].where(frame.index % 2 == 0))
    )
    assert (
        names(table, frame.assign(town=frame["town"].where(frame.index % 3 == 0)))[-1]
        == "values_missing"
    )


def test_classes(table):
    frame = shops(300, 1)
    (finding,) = kzoo.check(table, frame.assign(open=frame["open"].replace("no", "closed")))[:1]
    assert (finding.check, finding.level) == ("classes_unknown", "error")
    assert_mentions(finding.what, "'closed'", "1 label is")
    assert_mentions(finding.fix, "'no', 'yes'")
    assert "classes_moved" in names(table, frame.assign(open="yes"))
    assert names(table, frame.rename(columns={"open": "o"}), target="o") == ["columns_unknown"]


def test_targets(tmp_path):
    frame = shops().drop(columns="open")
    run = kzoo.train("tabular_fnn", frame, target="size", out=tmp_path / "run", **QUICK)
    new = shops(300, 1).drop(columns="open")
    assert kzoo.check(run, new) == []
    assert names(run, new.assign(size=new["size"] * 2)) == ["targets_moved"]


def test_texts(tmp_path):
    frame = pd.DataFrame(dict(zip(("text", "label"), opinions(600), strict=True)))
    small = dict(filters=(4,), embedding_dim=4)
    run = kzoo.train("text_cnn", frame, target="label", out=tmp_path / "run", **small, **QUICK)
    new = pd.DataFrame(dict(zip(("text", "label"), opinions(300, seed=5), strict=True)))
    assert kzoo.check(run, new) == kzoo.check(run, new["text"].tolist()) == []
    other = new.assign(
        text=new["text"].str.replace("the", "le").str.replace("[aeiou]", "x", regex=True)
    )
    assert names(run, other) == ["words_unknown"]
    assert "numbers_moved" in names(
        run, (new["text"] + " " + new["text"] + " " + new["text"]).tolist()
    )


def test_images(tmp_path):
    def write(folder, images):
        folder.mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image).save(folder / f"{i}.png")
        return folder

    x, y, _ = shapes(300)
    new, _, _ = shapes(80, seed=3)
    run = kzoo.train("image_cnn", (x, y), out=tmp_path / "run", filters=(4,), **QUICK)
    assert kzoo.check(run, new) == kzoo.check(run, str(write(tmp_path / "new", new))) == []
    assert set(names(run, str(write(tmp_path / "night", new // 6)))) == {"numbers_moved"}


def test_series_and_language(tmp_path):
    hours = np.arange(1200)
    noise = np.random.default_rng(0).normal(size=(2, 1200)) * 0.3
    frame = pd.DataFrame({"a": 5 + np.sin(hours / 4) + noise[0], "b": np.cos(hours / 6) + noise[1]})
    frame["time"] = pd.date_range("2024-01-01", periods=1200, freq="h")
    run = kzoo.train("series_tcn", frame, out=tmp_path / "run", filters=(4,), **QUICK)
    assert kzoo.check(run, frame.iloc[100:700]) == []
    assert names(run, frame.iloc[:600].assign(a=lambda f: f["a"] + 3)) == ["numbers_moved"]
    assert names(run, frame[["a"]]) == ["columns_missing"]
    (finding,) = kzoo.check(run, frame.iloc[100:700].drop(index=range(300, 341)))
    assert finding.check == "times_of_new_rows"
    assert_mentions(finding.what, "41", "42 hours", "2024-01-13 11:00", "2024-01-15 05:00")
    (finding,) = kzoo.check(
        run, frame.iloc[100:700].assign(b=lambda f: f["b"].where(f.index % 100 > 0))
    )
    assert finding.check == "times_of_new_rows"
    assert_mentions(finding.what, "missing", "'b' 6", "2024-01-05 04:00")
    text = tmp_path / "book.txt"
    text.write_text("\n".join(opinions(400)[0]), encoding="utf-8")
    small = dict(width=8, depth=1, num_heads=2, intermediate_dim=8)
    run = kzoo.train("char_transformer", str(text), out=tmp_path / "book", **small, **QUICK)
    assert kzoo.check(run, str(text)) == []
    text.write_text("ЭТО ДРУГОЙ ЯЗЫК. " * 400, encoding="utf-8")
    assert names(run, str(text)) == ["words_unknown"]


@pytest.mark.parametrize(
    "preset, data, small",
    [
        ("iris_fnn", "iris", dict(batch_size=54)),
        ("digits_cnn", "digits", dict(filters=(4,), units=())),
        ("diabetes_fnn", "diabetes", dict(batch_size=128)),
    ],
)
def test_a_named_set_has_no_drift_from_its_run(preset, data, small, tmp_path):
    run = kzoo.train(preset, data, out=tmp_path / "run", **QUICK | small)
    assert kzoo.check(run, data) == kzoo.check(run, deep=False) == []


def test_arrays(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 3))
    y = random.integers(0, 2, 400)
    run = kzoo.train("tabular_fnn", (x, y), out=tmp_path / "run", **QUICK)
    assert kzoo.check(run, (x[:200], y[:200])) == kzoo.check(run, x[:200]) == []
    assert names(run, (x[:200] + 2, y[:200])) == ["numbers_moved"] * 3
    assert names(run, (x[:200], y[:200] + 1))[0] == "classes_unknown"


def test_a_run_of_an_older_kzoo_still_opens(table, tmp_path):
    """It has no statistics, so only columns and categories are checked."""
    import shutil

    shutil.copytree(table.path, tmp_path / "old")
    config = json.loads((tmp_path / "old" / "config.json").read_text())
    del config["statistics"]
    (tmp_path / "old" / "config.json").write_text(json.dumps(config))
    frame = shops(300, 1)
    assert kzoo.check(tmp_path / "old", frame.assign(size=frame["size"] * 100)) == []
    assert names(tmp_path / "old", frame.drop(columns="town")) == ["columns_missing"]
    assert kzoo.predict(tmp_path / "old", frame).labels


def test_statistics_do_not_make_a_run_differ_from_the_request(table):
    """The same call again returns its run, although the statistics are in the same file."""
    assert "statistics" in table.config
    again = kzoo.train("tabular_fnn", shops(), target="open", out=table.path, **QUICK)
    assert again.path == table.path


def test_data_that_does_not_fit_the_run(table, tmp_path):
    with refuses("'nowhere.csv'", "file"):
        kzoo.check(table, "nowhere.csv")
    with refuses("50", "4", "columns", "size, rent, rent is missing, town"):
        kzoo.check(table, np.zeros((3, 50)))
