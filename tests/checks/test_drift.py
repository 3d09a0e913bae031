"""New data against a run: each change is planted and found, and new rows like the old ones are all quiet."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import kzoo
from kzoo.data.generated import opinions, shapes

pytestmark = pytest.mark.usefixtures("undrawn", "untraced")

QUICK = dict(callbacks="quick", check=False, progress=False, epochs=1, batch_size=256)


def shops(rows=600, seed=0):
    """A table with numbers, missing values, categories and two classes."""
    random = np.random.default_rng(seed)
    size, town = random.normal(50, 10, rows).round(1), random.choice(["Bern", "Genf", "Chur"], rows, p=[0.5, 0.3, 0.2])
    rent = np.where(random.random(rows) < 0.1, np.nan, random.gamma(2, 500, rows).round())
    open_ = size + 10 * (town == "Bern") + random.normal(0, 5, rows) > 55
    return pd.DataFrame({"id": np.arange(rows), "size": size, "rent": rent, "town": town,
                         "open": np.where(open_, "yes", "no")})  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return kzoo.train("tabular_fnn", shops(), target="open", out=tmp_path_factory.mktemp("t") / "run", **QUICK)


def names(run, data, **options):
    return [found.check for found in kzoo.check(run, data, **options)]


def test_rows_like_the_old_ones(table, tmp_path):
    for seed in range(1, 6):
        for rows in (5, 60, 600):
            assert kzoo.check(table, shops(rows, seed)) == []
    assert kzoo.check(table, shops(300, 9).drop(columns="open")) == []  # without answers
    shops(300, 9).to_csv(tmp_path / "new.csv", index=False)
    assert kzoo.check(str(table.path), str(tmp_path / "new.csv")) == []


def test_a_column_that_is_missing_or_new(table):
    (found,) = kzoo.check(table, shops(200, 1).rename(columns={"rent": "Rent"}))[:1]
    assert (found.check, found.level) == ("columns_missing", "error") and "'rent'" in found.where
    assert "columns_unknown" in names(table, shops(200, 1).rename(columns={"rent": "Rent"}))
    assert names(table, shops(200, 1)[["town", "open"]])[0] == "columns_missing"


CHANGES = {
    "shifted": lambda frame: frame["size"] + 12,
    "other unit": lambda frame: frame["size"] * 100,
    "a few sentinels": lambda frame: np.where(frame.index % 9, frame["size"], 9e6),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_numbers_that_have_moved(table, change):
    frame = shops(300, 1)
    (found,) = kzoo.check(table, frame.assign(size=change(frame)))
    assert (found.check, found.level) == ("numbers_moved", "warning") and "'size'" in found.where


def test_a_unit_that_has_changed_shows_in_five_rows(table):
    assert names(table, shops(5, 1).assign(size=lambda f: f["size"] * 100)) == ["numbers_moved"]


def test_what_has_no_effect_on_new_data_is_refused(table):
    new = shops(60, 1)
    unknown = new.assign(open="maybe")
    assert names(table, unknown, target=["open"]) == names(table, unknown) == ["classes_unknown", "classes_moved"]
    for options, says in (
        (dict(target="opne"), "Column 'opne' is not in the new data. Did you mean 'open'"),
        (dict(epochs=3), "epochs= is for a training"),
        (dict(weights="runs/x"), "weights= is for a training"),
        (dict(drop="town"), "drop= is for a training"),
        (dict(columns={"rent": "number"}), "columns= is for a training"),
    ):
        with pytest.raises(kzoo.KzooError) as caught:
            kzoo.check(table, new, **options)
        assert says in str(caught.value), caught.value


def test_a_data_set_with_an_encoding_of_its_own_is_refused(table):
    """Its categories have other codes, and its own words are all known to it."""
    data = kzoo.load_data(shops(200, 1)[["town", "size", "rent", "id", "open"]], target="open")
    with pytest.raises(kzoo.KzooError, match="encoded differently"):
        kzoo.check(table, data)


def test_categories(table):
    frame = shops(300, 1)
    (found,) = kzoo.check(table, frame.assign(town=frame["town"].replace("Chur", "Coire")))
    assert found.check == "categories_unknown" and "'Coire'" in found.what
    assert names(table, frame.assign(town="Chur")) == ["categories_moved"]
    words = frame.assign(rent=frame["rent"].astype(object).where(frame.index > 20, "much"))
    assert "categories_unknown" in names(table, words)


def test_values_that_are_missing_now(table):
    frame = shops(300, 1)
    assert names(table, frame.assign(size=frame["size"].where(frame.index % 2 == 0))) == ["values_missing"]
    assert "values_missing" in names(table, frame.assign(rent=frame["rent"].where(frame.index % 2 == 0)))
    assert names(table, frame.assign(town=frame["town"].where(frame.index % 3 == 0)))[-1] == "values_missing"


def test_classes(table):
    frame = shops(300, 1)
    (found,) = kzoo.check(table, frame.assign(open=frame["open"].replace("no", "closed")))[:1]
    assert (found.check, found.level) == ("classes_unknown", "error") and "'closed'" in found.what
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
    other = new.assign(text=new["text"].str.replace("the", "le").str.replace("[aeiou]", "x", regex=True))
    assert names(run, other) == ["words_unknown"]
    assert "numbers_moved" in names(run, (new["text"] + " " + new["text"] + " " + new["text"]).tolist())


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
    (found,) = kzoo.check(run, frame.iloc[100:700].drop(index=range(300, 341)))
    assert found.check == "times_of_new_rows" and "42 hours between 2024-01-13 11:00 and 2024-01-15 05:00" in found.what
    (found,) = kzoo.check(run, frame.iloc[100:700].assign(b=lambda f: f["b"].where(f.index % 100 > 0)))
    assert found.check == "times_of_new_rows" and "6 values missing" in found.what
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
def test_a_named_set_against_its_own_run(preset, data, small, tmp_path):
    run = kzoo.train(preset, data, out=tmp_path / "run", **QUICK | small)
    assert kzoo.check(run, data) == kzoo.check(run, deep=False) == []


def test_arrays(tmp_path):
    random = np.random.default_rng(0)
    x, y = random.normal(size=(400, 3)), random.integers(0, 2, 400)
    run = kzoo.train("tabular_fnn", (x, y), out=tmp_path / "run", **QUICK)
    assert kzoo.check(run, (x[:200], y[:200])) == kzoo.check(run, x[:200]) == []
    assert names(run, (x[:200] + 2, y[:200])) == ["numbers_moved"] * 3
    assert names(run, (x[:200], y[:200] + 1))[0] == "classes_unknown"


def test_a_run_of_an_older_kzoo_still_opens(table, tmp_path):
    """It remembers no statistics: columns and categories are looked at all the same."""
    import shutil

    shutil.copytree(table.path, tmp_path / "old")
    config = json.loads((tmp_path / "old" / "config.json").read_text())
    del config["statistics"]
    (tmp_path / "old" / "config.json").write_text(json.dumps(config))
    frame = shops(300, 1)
    assert kzoo.check(tmp_path / "old", frame.assign(size=frame["size"] * 100)) == []
    assert names(tmp_path / "old", frame.drop(columns="town")) == ["columns_missing"]
    assert kzoo.predict(tmp_path / "old", frame).labels


def test_the_statistics_are_no_part_of_what_was_asked(table):
    """The same call again finds its run, though the statistics stand in the same file."""
    assert "statistics" in table.config
    again = kzoo.train("tabular_fnn", shops(), target="open", out=table.path, **QUICK)
    assert again.path == table.path


def test_data_of_another_kind(table, tmp_path):
    with pytest.raises(kzoo.KzooError, match=r"No file"):
        kzoo.check(table, "nowhere.csv")
    with pytest.raises(kzoo.KzooError, match="columns"):
        kzoo.check(table, np.zeros((3, 50)))
