"""Images whose targets are in a table: which rows label which files, what the targets are, and what is refused."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from messages import notes_with, refuses, warns
from PIL import Image

import kzoo
from kzoo import load_data
from kzoo.checks.new_data import NewData
from kzoo.data.reload import load_again
from kzoo.utils.errors import KzooWarning

SUFFIXES = (".png", ".jpg", ".bmp")


def paint(path, dots, side=12):
    """Write a black image with `dots` of its rows white; JPEG changes pixels a little."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((side, side + 2, 3), "uint8")
    pixels[:dots] = 255
    Image.fromarray(pixels).save(path)


def labelled(folder, count=48, *, below=""):
    """Write images of 0 to 11 white rows in all sizes and three formats, and return their table."""
    rows = []
    for i in range(count):
        name = f"{below}{i:03}{SUFFIXES[i % 3]}"
        paint(folder / name, i % 12, side=12 + i % 5)
        rows.append(
            {
                "file": name,
                "dots": i % 12,
                "price": i % 12 * 2.5 + 0.25,
                "kind": ("few", "many")[i % 12 > 5],
            }
        )
    return pd.DataFrame(rows).assign(patient=[f"p{i // 4}" for i in range(count)])


@pytest.fixture
def photos(tmp_path):
    """A folder of images in a folder below it, and the table of all of its columns, not yet written."""
    return tmp_path / "photos", labelled(tmp_path / "photos", below="images/")


def bright_rows(split):
    """Return the number of white rows of each image (N,), from 0 to 11, from its share of white pixels."""
    shares = np.asarray(split.x[np.arange(len(split))], float)[..., 0].mean(axis=(1, 2)) / 255
    return shares


def read(folder, table, name="labels.csv", **options):
    table.to_csv(folder / name, index=False)
    return load_data(folder, preset=small(), **options)


def small(**settings):
    preset = kzoo.get_preset("digits_cnn")
    settings = {
        "input_shape": (12, 12, 3),
        "filters": (4,),
        "depth": 1,
        "units": (),
        "pooling": "mean",
    } | settings
    config = {name: value for name, value in preset.config.items() if name not in ("units_norm",)}
    return kzoo.Preset(
        name="small",
        family="cnn",
        task=preset.task,
        summary="",
        config=config | settings,
        training=dict(preset.training) | {"min_steps": 0, "epochs": 2},
    )


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_every_image_has_the_target_of_its_row(photos, suffix):
    folder, table = photos
    table = table[["file", "price"]].sample(frac=1, random_state=0)
    if suffix == "parquet":
        table.to_parquet(folder / "labels.parquet")
    else:
        table.to_csv(folder / f"labels.{suffix}", index=False, sep="\t" if suffix == "tsv" else ",")
    data = load_data(folder, preset=small())
    assert (data.task, data.inputs, data.outputs, data.target_names) == (
        "image_regression",
        "image",
        1,
        ("price",),
    )
    assert notes_with(data.notes, "price", "task=") and notes_with(
        data.notes, "'file'", f"'labels.{suffix}'"
    )
    assert sum(len(split) for split in (data.train, data.validation, data.test)) == 48
    for split in (data.train, data.validation, data.test):
        brightness = bright_rows(split)
        price = split.y[:, 0]
        assert np.corrcoef(brightness, price)[0, 1] > 0.95  # images are cropped and resized
    assert data.config["target_offset"] == [pytest.approx(data.train.y.mean(), rel=1e-6)]
    assert data.config["target_scale"] == [pytest.approx(data.train.y.std(), rel=1e-5)]


def test_the_same_source_gives_the_same_split_and_other_targets_another_fingerprint(photos):
    folder, table = photos
    first, again = (read(folder, table[["file", "price"]]) for _ in range(2))
    assert first.fingerprint == again.fingerprint and (first.test.y == again.test.y).all()
    other = read(folder, table[["file", "price"]].assign(price=table["price"] + 1))
    assert other.fingerprint != first.fingerprint
    assert read(folder, table[["file", "price"]], seed=1).fingerprint != first.fingerprint


def test_the_values_of_the_target_decide_the_task(photos):
    folder, table = photos
    classes = read(folder, table, target="kind")
    assert (classes.task, classes.class_names) == ("image_classification", ("few", "many"))
    assert (bright_rows(classes.train)[classes.train.y == 1] > 0.35).all()
    assert notes_with(classes.notes, "kind", "not numbers", "task=")
    whole = read(folder, table, target="dots")
    assert whole.task == "image_classification" and len(whole.class_names) == 12
    assert read(folder, table, target="dots", task="regression").task == "image_regression"
    several = read(folder, table, target=["price", "dots"])
    assert several.target_names == ("price", "dots") and several.outputs == 2
    assert several.train.y[:, 0] == pytest.approx(several.train.y[:, 1] * 2.5 + 0.25)


def test_labels_as_written(photos):
    folder, table = photos
    data = read(folder, table.assign(code=["007", "NA-1"] * 24), target="code", drop=["kind"])
    assert data.class_names == ("007", "NA-1")
    kinds = {column["name"]: column["kind"] for column in data.overview["columns"]}
    assert kinds == {
        "dots": "left out",
        "price": "left out",
        "kind": "left out",
        "patient": "left out",
    } | {"code": "target"}


def test_groups_stay_in_one_split(photos):
    folder, table = photos
    data = read(folder, table, target="price", group="patient")
    patients = [
        set(table["patient"].to_numpy()[split.rows])
        for split in (data.train, data.validation, data.test)
    ]
    assert all(patients) and not (
        patients[0] & patients[1] or patients[0] & patients[2] or patients[1] & patients[2]
    )
    with refuses("'patients'", "'patient'"):
        read(folder, table, target="price", group="patients")
    with refuses("group='patient'", "missing", "1 row"):
        read(
            folder,
            table.assign(patient=[None, *table["patient"][1:]]),
            target="price",
            group="patient",
        )


@pytest.mark.parametrize("write", ["id", "name", "absolute", "windows", "case"])
def test_ways_to_name_a_file(photos, write):
    folder, table = photos
    names = {
        "id": [f"{i:03}" for i in range(48)],
        "name": [name.removeprefix("images/") for name in table["file"]],
        "absolute": [str(folder.resolve() / name) for name in table["file"]],
        "windows": [name.replace("/", "\\") for name in table["file"]],
        "case": [name.upper() for name in table["file"]],
    }[write]
    expected = read(folder, table[["file", "price"]])
    data = read(folder, table[["file", "price"]].assign(file=names))
    assert data.fingerprint == expected.fingerprint


def test_the_column_of_files_is_the_one_that_names_most_images(photos):
    folder, table = photos
    table = table.assign(number=np.arange(48), other="images/000.png")[
        ["number", "other", "file", "price"]
    ]
    data = read(folder, table, target="price")  # `number` names no image: it has no leading zeros
    assert notes_with(data.notes, "'file'")
    with refuses("'labels.csv'", "'photos'", "'images/000.png'", "number, price"):
        read(folder, table[["number", "price"]].assign(number=range(900, 948)), target="price")


def test_an_ambiguous_name_is_refused(photos):
    folder, table = photos
    paint(folder / "more" / "003.png", 3)
    with refuses("'003'", "'images/003.png'", "'more/003.png'", "suffix"):
        read(folder, table[["file", "price"]].assign(file=[f"{i:03}" for i in range(48)]))


def test_what_is_left_out_is_said(photos):
    folder, table = photos
    table = table[["file", "price"]]
    paint(folder / "images" / "extra.png", 3)
    (folder / "images" / "000.png").write_bytes(b"no image")
    rows = [{"file": "images/gone.png", "price": 1.0}, {"file": "images/extra.png", "price": None}]
    data = read(folder, pd.concat([table, pd.DataFrame([*rows, table.iloc[5].to_dict()])]))
    assert sum(map(len, (data.train, data.validation, data.test))) == 47
    assert notes_with(data.notes, "1 missing image", "'labels.csv'", "images/gone.png")
    assert notes_with(data.notes, "1 row", "without a file or a target", "50")
    assert notes_with(data.notes, "1 row", "repeats", "'images/005.bmp'")
    assert notes_with(data.notes, "1 image", "without a row", "'images/extra.png'")
    assert notes_with(data.notes, "1 broken image", "images/000.png")
    for split in (data.train, data.validation, data.test):  # targets still belong to their images
        assert np.corrcoef(bright_rows(split), split.y[:, 0])[0, 1] > 0.95


def test_refusals(photos, tmp_path):
    folder, table = photos
    with refuses("target=", "dots, price, kind, patient"):
        read(folder, table)
    with refuses("no target", "'labels.csv'", "file"):
        read(folder, table[["file"]])
    with refuses("'images/001.jpg'", "2.75", "9", "differ"):
        read(folder, pd.concat([table, table.iloc[[1]].assign(price=9)])[["file", "price"]])
    with refuses("40 of 48", "x0.png", "labels.csv"):
        read(
            folder,
            table[["file", "price"]].assign(
                file=[*table["file"][:8], *[f"x{i}.png" for i in range(40)]]
            ),
        )
    with refuses("'colour'", "price"):
        read(folder, table, target="colour")
    with refuses("'a', 'b'", "classes", "target='a'", "0 and 1", "task='regression'"):
        read(
            folder, table.assign(a=["x", "y"] * 24, b=["u", "u", "v", "v"] * 12), target=["a", "b"]
        )
    with refuses("one target", "kind, price"):
        read(folder, table, target=["kind", "price"], task="classification")
    with refuses("numbers", "few"):
        read(folder, table, target="kind", task="regression")
    with refuses("group=", "'photos'"):
        read(folder, table, target="price", group=np.arange(48))
    with refuses("time='kind'"):
        read(folder, table, target="price", time="kind")
    table.to_csv(folder / "labels.tsv", sep="\t", index=False)
    with refuses("labels.csv", "labels.tsv"):
        load_data(folder, preset=small(), target="price")


def test_class_folders_with_a_table_about_something_else(photos):
    folder, _ = photos
    for name in ("ant", "bee"):
        shutil.copytree(folder / "images", folder / name)
    shutil.rmtree(folder / "images")
    pd.DataFrame({"label": ["ant", "bee"], "species": ["Lasius niger", "Apis mellifera"]}).to_csv(
        folder / "labels.csv", index=False
    )
    data = load_data(folder, preset=small())
    assert data.class_names == ("ant", "bee") and notes_with(
        data.notes, "'labels.csv'", "ant/", "classes"
    )
    with refuses("'labels.csv'", "ant/000.png"):
        load_data(folder, preset=small(), target="species")


def test_the_path_of_a_table_and_splits_in_folders(photos, tmp_path):
    folder, table = photos
    expected = read(folder, table[["file", "price"]])
    table[["file", "price", "dots"]].to_csv(folder / "prices.csv", index=False)
    (folder / "labels.csv").unlink()
    assert (
        load_data(folder / "prices.csv", preset=small(), target="price").fingerprint
        == expected.fingerprint
    )
    # without a preset, a table is rows
    assert load_data(folder / "prices.csv", target="price").inputs == "rows"
    for split, rows in {"train": slice(0, 30), "val": slice(30, 40), "test": slice(40, 48)}.items():
        shutil.copytree(folder, tmp_path / "parts" / split)
        table.iloc[rows].to_csv(tmp_path / "parts" / split / "labels.csv", index=False)
    data = load_data(tmp_path / "parts", preset=small(), target="price")
    assert [len(split) for split in (data.train, data.validation, data.test)] == [30, 10, 8]
    assert data.validation.y[:, 0] == pytest.approx(table["price"][30:40].to_numpy())
    second = load_data(
        folder / "prices.csv", preset=small(), target="price", test=tmp_path / "parts" / "test"
    )
    assert len(second.test) == 8 and second.test.y[:, 0] == pytest.approx(
        table["price"][40:].to_numpy()
    )
    with refuses("labels.csv", "images"):
        load_data(folder / "prices.csv", preset=small(), target="price", test=folder / "images")


def test_more_images_than_memory(photos, monkeypatch):
    folder, table = photos
    expected = read(folder, table, target="price", group="patient")
    monkeypatch.setattr("kzoo.data.inputs.image.fitting.too_large", lambda size: True)
    data = read(folder, table, target="price", group="patient")
    assert (
        notes_with(data.notes, "48 images", "batch by batch")
        and data.fingerprint == expected.fingerprint
    )
    for split in ("train", "validation", "test"):
        one, other = getattr(data, split), getattr(expected, split)
        assert (one.y == other.y).all()
        assert (
            np.asarray(one.x[np.arange(len(one))]) == np.asarray(other.x[np.arange(len(other))])
        ).all()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short training on prices, grouped by patient."""
    folder = tmp_path_factory.mktemp("labelled")
    table = labelled(folder / "photos")
    table.to_csv(folder / "photos" / "labels.csv", index=False)
    trained = kzoo.train(
        small(), folder / "photos", target="price", group="patient", out=folder / "run"
    )
    return trained, folder / "photos", table


def test_a_run_scores_its_data_and_new_data(run, tmp_path):
    trained, folder, table = run
    assert kzoo.evaluate(trained, folder) == pytest.approx(trained.summary["test"])
    new = tmp_path / "new"
    shutil.copytree(folder, new)
    table.iloc[:20].assign(cost=table["price"] + 1).to_csv(new / "labels.csv", index=False)
    with warns("28 images", "without a row", "labels.csv"):
        scores = kzoo.evaluate(trained, new)
    predicted = kzoo.predict(trained, [new / name for name in table["file"][:20]]).values[:, 0]
    assert scores["examples"] == 20
    assert scores["mae"] == pytest.approx(np.abs(predicted - table["price"][:20]).mean(), rel=1e-4)
    with pytest.warns(KzooWarning):
        other = kzoo.evaluate(trained, new / "labels.csv", target="cost")
    assert other["mae"] == pytest.approx(
        np.abs(predicted - table["price"][:20] - 1).mean(), rel=1e-4
    )
    with pytest.warns(KzooWarning):
        assert NewData(trained, new).answers.reshape(-1) == pytest.approx(
            table["price"][:20].to_numpy()
        )
    with refuses("'weight'", "price"):
        kzoo.evaluate(trained, new, target="weight")
    # without the target, images are only inputs
    table[["file", "kind"]].to_csv(new / "labels.csv", index=False)
    unlabelled = NewData(trained, new)
    assert unlabelled.answers is None and len(unlabelled.values) == 48


def test_the_stored_options_read_the_data_again(run):
    trained, folder, _ = run
    stored = json.loads((trained.path / "config.json").read_text(encoding="utf-8"))
    assert stored["data"]["options"]["group"] == "patient" and stored["data"]["target_names"] == [
        "price"
    ]
    assert load_again(trained.spec, trained.data, folder).fingerprint == trained.data.fingerprint
