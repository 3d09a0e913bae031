"""Images with several labels each, from a table of labels: every form, new data, other splits, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from messages import notes_with, refuses, warns
from PIL import Image

import kzoo
from kzoo import load_data
from kzoo.checks.new_data import NewData
from kzoo.data.reload import load_again

NAMES = ["blue", "dark", "red"]  # each label makes two rows of an image bright


def draw(folder, count=90, seed=0):
    """Write images with any of three labels, and return the labels (N, 3) and the file names."""
    folder.mkdir(parents=True)
    y = np.random.default_rng(seed).random((count, 3)) < 0.4
    names = [f"{i:03}.png" for i in range(count)]
    for name, labels in zip(names, y, strict=True):
        pixels = np.full((8, 8, 3), 30, "uint8")
        for k in np.flatnonzero(labels):
            pixels[3 * k : 3 * k + 2] = 220
        Image.fromarray(pixels).save(folder / name)
    return y.astype(int), names


def as_columns(y, names):
    return pd.DataFrame({"file": names, **dict(zip(NAMES, y.T, strict=True))})


def as_cells(y, names, separator=";"):
    cells = [separator.join(np.array(NAMES)[row == 1]) for row in y]
    return pd.DataFrame({"file": names, "tags": cells})


def small(**settings):
    preset = kzoo.get_preset("digits_cnn")
    config = {
        "input_shape": (8, 8, 3),
        "filters": (8,),
        "depth": 1,
        "units": (16,),
        "pooling": "flatten",
    }
    return kzoo.Preset(
        name="small",
        family="cnn",
        task=preset.task,
        summary="",
        config=dict(preset.config) | {"units_norm": None} | config | settings,
        training=dict(preset.training) | {"min_steps": 200, "epochs": 2},
    )


def all_labels(data):
    """The labels of all images in the order of the table."""
    parts = [data.train, data.validation, data.test]
    y, rows = (
        np.concatenate(column)
        for column in zip(*((part.y, part.rows) for part in parts), strict=True)
    )
    return y[np.argsort(rows)]


@pytest.fixture
def photos(tmp_path):
    y, names = draw(tmp_path / "photos")
    return tmp_path / "photos", y, names


def read(folder, table, **options):
    table.to_csv(folder / "labels.csv", index=False)
    return load_data(folder, preset=small(), **options)


@pytest.mark.parametrize("form", ["flags", "yes and no", "semicolons", "bars", "slashes"])
def test_every_form_gives_the_same_labels_and_says_so(photos, form):
    folder, y, names = photos
    columns = as_columns(y, names)
    table, options = {
        "flags": (columns, {"target": NAMES}),
        "yes and no": (
            columns.replace({name: {0: "no", 1: "yes"} for name in NAMES}),
            {"target": NAMES},
        ),
        "semicolons": (as_cells(y, names), {}),
        "bars": (as_cells(y, names, "|"), {"target": "tags", "task": "labels"}),
        "slashes": (
            as_cells(y, names, "/"),
            {"target": "tags", "columns": {"tags": {"separator": "/"}}},
        ),
    }[form]
    data = read(folder, table, **options)
    assert (data.task, data.class_names) == ("image_multilabel_classification", tuple(NAMES))
    np.testing.assert_array_equal(all_labels(data), y)
    assert notes_with(data.notes, "Image multilabel classification") and notes_with(
        data.notes, "have no label"
    )
    share = [part.y.mean(axis=0) for part in (data.train, data.validation, data.test)]
    assert np.ptp(share, axis=0).max() < 0.12  # stratified


@pytest.mark.parametrize("form", ["lists", "flags"])
def test_parquet(photos, form):
    pytest.importorskip("pyarrow")
    folder, y, names = photos
    table, target = (
        (as_columns(y, names), NAMES) if form == "flags" else (as_cells(y, names), "tags")
    )
    table.to_parquet(folder / "labels.parquet")
    np.testing.assert_array_equal(all_labels(load_data(folder, preset=small(), target=target)), y)


def test_missing_flags_are_unknown_and_images_without_any_are_dropped(photos):
    folder, y, names = photos
    table = as_columns(y, names).astype(dict.fromkeys(NAMES, object))
    table.loc[3, "red"] = None
    table.loc[5, NAMES] = None
    data = read(folder, table, target=NAMES)
    assert notes_with(data.notes, "1 row", "without a file or a target", "row 6")
    assert notes_with(data.notes, "1 of 267 labels are missing")
    expected = np.delete(y.astype(float), 5, axis=0)
    expected[3, 2] = np.nan
    np.testing.assert_array_equal(all_labels(data), expected)


def test_groups_stay_in_one_split(photos):
    folder, y, names = photos
    table = as_cells(y, names).assign(patient=np.arange(90) // 5)
    data = read(folder, table, target="tags", group="patient")
    patients = [
        set(table["patient"].to_numpy()[part.rows])
        for part in (data.train, data.validation, data.test)
    ]
    assert all(patients) and sum(map(len, patients)) == 18


@pytest.mark.parametrize("form", [as_columns, as_cells])
def test_second_folders(photos, tmp_path, form):
    folder, y, names = photos
    parts = {
        "test": draw(tmp_path / "more", 30, seed=1),
        "validation": draw(tmp_path / "others", 20, seed=2),
    }
    sources = {"test": tmp_path / "more", "validation": tmp_path / "others"}
    for part, (labels, files) in parts.items():
        labels[:, 0] = 0  # no image is blue
        form(labels, files).to_csv(sources[part] / "labels.csv", index=False)
    target = NAMES if form is as_columns else "tags"
    data = read(folder, form(y, names), target=target, **sources)
    assert len(data.train) == 90
    np.testing.assert_array_equal(data.test.y, parts["test"][0])
    np.testing.assert_array_equal(data.validation.y, parts["validation"][0])
    for part in parts:
        assert notes_with(data.notes, f"No {part} row has the label 'blue'")
    if form is as_cells:
        table = as_cells(*parts["test"])
        table.loc[0, "tags"] = "pink;red"
        table.to_csv(tmp_path / "more" / "labels.csv", index=False)
        notes = read(folder, form(y, names), target=target, **sources).notes
        assert notes_with(notes, "no training row has", "'pink' (1 row)")


def test_what_holds_no_labels_is_refused(photos):
    folder, y, names = photos
    cells = as_cells(y, names)
    with refuses("task='labels'", "'blue'", "2"):
        read(folder, as_columns(y, names).assign(blue=[2, 1, 0] * 30), target=NAMES, task="labels")
    with refuses("task='labels'", "'kind'", "separator"):
        read(folder, cells.assign(kind=["a", "b"] * 45), target="kind", task="labels")
    with refuses("columns=", "images", "'kind'"):
        read(folder, cells.assign(kind="a"), target="tags", columns={"kind": "category"})
    with refuses("separator='x'", "'tags'"):
        read(folder, cells, target="tags", columns={"tags": {"separator": "x"}})
    with refuses("two rows for '001.png'", "differ"):
        read(
            folder, pd.concat([cells, cells.iloc[[1]].assign(tags="dark;red;blue")]), target="tags"
        )


def test_cells_can_be_declared_as_classes(photos):
    folder, _, names = photos
    table = pd.DataFrame({"file": names, "tags": ["red;big", "red", "big"] * 30})
    assert read(folder, table).task == "image_multilabel_classification"
    for options in ({"task": "classification"}, {"columns": {"tags": "category"}}):
        assert read(folder, table, target="tags", **options).class_names == (
            "big",
            "red",
            "red;big",
        )


@pytest.fixture(scope="module", params=[as_columns, as_cells])
def run(request, tmp_path_factory):
    """A short training on labels of images."""
    folder = tmp_path_factory.mktemp("labels")
    y, names = draw(folder / "photos", 150)
    table = request.param(y, names)
    table.to_csv(folder / "photos" / "labels.csv", index=False)
    target = NAMES if request.param is as_columns else "tags"
    trained = kzoo.train(
        small(), folder / "photos", target=target, out=folder / "run", progress=False
    )
    return trained, folder / "photos", y, table


def test_a_run_scores_its_data_and_new_data(run, tmp_path):
    trained, folder, _, table = run
    test = trained.summary["test"]
    assert test["f1_macro"] > 0.8 and set(test["labels"]) == set(NAMES)
    assert {row["name"] for row in trained.summary["baselines"]} == {
        "most_frequent_set",
        "colors",
        "pixels",
    }
    again = kzoo.evaluate(trained, folder)
    assert again["labels"] == test["labels"]
    assert {name: again[name] for name in ("f1_macro", "exact_match", "loss")} == pytest.approx(
        {name: test[name] for name in ("f1_macro", "exact_match", "loss")}
    )
    new_y, names = draw(tmp_path / "new", 40, seed=3)
    form = as_columns if "blue" in table else as_cells
    form(new_y, names).to_csv(tmp_path / "new" / "labels.csv", index=False)
    scores = kzoo.evaluate(trained, tmp_path / "new")
    predicted = kzoo.predict(trained, tmp_path / "new").labels
    truth = [tuple(np.array(NAMES)[row == 1]) for row in new_y]
    exact = np.mean([set(a) == set(b) for a, b in zip(predicted, truth, strict=True)])
    assert scores["exact_match"] == pytest.approx(exact) and scores["examples"] == 40


def test_labels_of_new_images_may_be_unknown_or_missing(run, tmp_path):
    trained, _, _, table = run
    new_y, names = draw(tmp_path / "new", 40, seed=3)
    if "blue" in table:
        new = as_columns(new_y, names).astype(dict.fromkeys(NAMES, object))
        new.loc[0, "blue"] = None
        new.loc[1, NAMES] = None
        new.to_csv(tmp_path / "new" / "labels.csv", index=False)
        with warns("1 row", "without a file or a target"), warns("1 image", "'001.png'"):
            assert kzoo.evaluate(trained, tmp_path / "new")["examples"] == 39
        return
    new = as_cells(new_y, names)
    new.loc[0, "tags"] = "pink"
    new.to_csv(tmp_path / "new" / "labels.csv", index=False)
    with warns("'pink' (1 row)"):
        assert kzoo.evaluate(trained, tmp_path / "new")["examples"] == 40


def test_checks_of_new_data_and_the_stored_options(run):
    trained, folder, y, _ = run
    new = NewData(trained, folder)
    assert len(new.answers) == len(y)
    assert not [finding for finding in kzoo.check(trained, folder) if finding.level == "error"]
    assert load_again(trained.spec, trained.data, folder).fingerprint == trained.data.fingerprint
    (labels,) = kzoo.predict(trained, [folder / "000.png"]).labels
    assert isinstance(labels, tuple)
