"""Tables too large for memory: read piece by piece, they give the same data sets as tables in memory."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, notes_with, refuses, warns

import kzoo
from kzoo.data import sample
from kzoo.data.inputs.rows import collect, encoding, out_of_core
from kzoo.data.options import DataOptions, LoadRequest
from kzoo.data.pipeline import Batches
from kzoo.data.splits import Fold
from kzoo.data.store import row_files

pytest.importorskip("pyarrow")
ROWS = 600


@pytest.fixture(autouse=True)
def little_memory(monkeypatch, tmp_path):
    """Make any table too large for memory, and store its encoded rows in the folder of the test."""
    monkeypatch.setenv("KZOO_MEMORY", "1KiB")
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))


def table(rows=ROWS, seed=0):
    draw = np.random.default_rng(seed)
    a = draw.normal(size=rows).round(3)
    kind = draw.integers(0, 6, rows)
    frame = pd.DataFrame(
        {
            "id": np.arange(rows),
            "a": a,
            "holes": np.where(draw.random(rows) < 0.1, np.nan, draw.normal(size=rows).round(2)),
            "price": [f"{value:,.2f} €" for value in draw.uniform(500, 9000, rows)],
            "kind": [f"kind {value}" for value in kind],
            "when": (np.datetime64("2020-01-01") + draw.integers(0, 900, rows)).astype(str),
            "same": "x",
            "tail": np.exp(draw.normal(size=rows) * 2).round(4),
            "y": np.where(a + kind / 3 + draw.normal(size=rows) / 9 > 1, "yes", "no"),
            "value": (a * 3 + kind + draw.normal(size=rows)).round(4),
        }
    )
    frame["flag"] = a > 1.5
    return frame


def write(frame, file):
    frame.to_parquet(file) if file.suffix == ".parquet" else frame.to_csv(file, index=False)
    return file


def in_memory(monkeypatch, *arguments, **options):
    with monkeypatch.context() as plenty:
        plenty.setenv("KZOO_MEMORY", "100GiB")
        return kzoo.load_data(*arguments, **options)


def by_row(part):
    """Return inputs and answers in an order that does not depend on that of the rows."""
    both = np.concatenate(
        [np.asarray(part.x[:]), np.asarray(part.y[:]).reshape(len(part), -1)], axis=1
    )
    return both[np.lexsort(both.T)]


def alike(one, other):
    """Compare plain data whose numbers differ by rounding at most."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return all(alike(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and any(isinstance(value, float) for value in one):
        np.testing.assert_allclose(one, other, rtol=1e-5)
        return True
    assert one == other
    return True


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("target", ["y", "value"])
def test_a_large_table_is_learned_and_encoded_as_it_is_in_memory(
    suffix, target, tmp_path, monkeypatch
):
    train, test = (write(table(seed=seed), tmp_path / f"{seed}.{suffix}") for seed in (0, 1))
    options = dict(
        target=target, test=test, validation=0, drop="value" if target == "y" else "y", clip=True
    )
    data = kzoo.load_data(train, **options)
    expected = in_memory(monkeypatch, train, **options)
    assert isinstance(data.train.x, row_files.StoredRows) and isinstance(
        expected.train.x, np.ndarray
    )
    assert alike(expected.config, data.config) and alike(expected.preprocessing, data.preprocessing)
    for name in ("task", "class_names", "feature_names", "target_names", "loaded"):
        assert getattr(data, name) == getattr(expected, name)
    assert (
        data.seen["read"] == expected.seen["read"]
        and data.overview["classes"] == expected.overview["classes"]
    )
    for part in ("train", "test"):
        np.testing.assert_array_equal(by_row(getattr(data, part)), by_row(getattr(expected, part)))
    assert data.validation is None
    assert_mentions(
        data.notes[0], f"'{train.name}'", "memory", "1.0 KiB", str(data.train.x.path.parent)
    )
    assert not notes_with(expected.notes, f"'{train.name}'")


def rows_of(data):
    """Return name -> the ids of the rows of each split."""
    column = data.feature_names.index("n")
    return {
        name: set(getattr(data, name).x[:][:, column].tolist())
        for name in ("train", "validation", "test")
    }


def test_every_row_is_in_a_single_split_that_depends_on_its_content(tmp_path):
    frame = table(2000).rename(columns={"id": "n"})
    file = write(frame, tmp_path / "a.csv")
    rows = rows_of(kzoo.load_data(file, target="y", validation=0.25, test=0.2))
    assert set.union(*rows.values()) == set(range(2000)) and sum(map(len, rows.values())) == 2000
    assert abs(len(rows["test"]) - 400) < 60 and abs(len(rows["validation"]) - 400) < 60
    other = write(frame.sample(frac=1, random_state=1), tmp_path / "b.csv")
    assert rows_of(kzoo.load_data(other, target="y", validation=0.25, test=0.2)) == rows
    assert rows_of(kzoo.load_data(file, target="y", validation=0.25, test=0.2, seed=1)) != rows
    # copies go where the original is
    twice = write(pd.concat([frame, frame[::20]]), tmp_path / "twice.csv")
    assert rows_of(kzoo.load_data(twice, target="y", validation=0.25, test=0.2)) == rows


def test_rows_that_are_equal_by_chance_do_not_stay_together(tmp_path):
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": draw.integers(0, 3, 2000),
            "b": draw.integers(0, 3, 2000),
            "y": draw.integers(0, 2, 2000),
        }
    )
    data = kzoo.load_data(write(frame, tmp_path / "a.csv"), target="y")
    assert abs(len(data.test) - 400) < 60 and notes_with(data.notes, "rows", "equal")


def test_groups_stay_together(tmp_path):
    frame = (
        table(800)
        .assign(group=lambda f: "g" + (f["id"] // 8).astype(str))
        .rename(columns={"id": "n"})
    )
    data = kzoo.load_data(write(frame, tmp_path / "a.csv"), target="y", group="group")
    groups = [{int(n) // 8 for n in rows} for rows in rows_of(data).values()]
    assert (
        sum(map(len, groups)) == len(set.union(*groups)) == 100
        and "group" not in data.feature_names
    )
    frame.loc[7, "group"] = None
    with refuses("group='group'", "missing", "1", "1 to 800"):
        kzoo.load_data(write(frame, tmp_path / "b.csv"), target="y", group="group")


def test_values_outside_the_sample_are_learned_too(tmp_path, monkeypatch):
    monkeypatch.setattr(collect, "MAX_SAMPLE_ROWS", 100)
    frame = table(1500)
    frame.loc[frame.index[-2:], "y"] = "maybe"
    frame["kind"] = frame["kind"].where(frame.index % 500 != 7, "seldom")
    frame["a"] = frame["a"].where(frame.index % 750 != 11, np.nan).astype(object)
    frame.loc[13, "a"] = "?"
    frame.loc[14, "same"] = "other"
    data = kzoo.load_data(
        write(frame, tmp_path / "a.csv"), target="y", test=0, validation=0, drop="value"
    )
    assert data.class_names == ("maybe", "no", "yes") and data.overview["classes"][0]["train"] == 2
    read = {column["name"]: column for column in data.overview["columns"]}
    assert (read["a"]["missing"], read["a"]["unreadable"]) == (
        2,
        1,
    ) and "a is missing" in data.feature_names
    assert read["holes"]["missing"] == frame["holes"].isna().sum()
    assert read["same"]["about"].startswith("constant ") and read["same"]["about"].endswith(
        " 1 row"
    )
    assert notes_with(data.notes, "'a'", "1 of 1,500", "number", "row 14", "'?'")
    columns = {column["name"]: column for column in data.preprocessing["columns"]}
    assert columns["kind"]["values"] == sorted(set(frame["kind"]))
    a = pd.to_numeric(frame["a"], errors="coerce").to_numpy("float32")
    x = np.where(np.isnan(a), np.float32(columns["a"]["median"]), a).astype("float64")
    np.testing.assert_allclose(np.multiply(data.config["scale"][0], x.std()), 1, rtol=1e-6)
    np.testing.assert_allclose(data.config["offset"][0], -x.mean() / x.std(), rtol=1e-5)


def test_the_order_of_an_epoch_follows_from_seed_and_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr(row_files, "_MOST_ROWS", 250)
    monkeypatch.setattr(row_files, "_BLOCKS", 5)
    file = write(table(1000).rename(columns={"id": "n"}), tmp_path / "a.csv")
    train = kzoo.load_data(file, target="y", test=0, validation=0).train
    options = dict(batch_size=32, shuffle=True, seed=3)

    def epoch(number, steps=range(32)):
        batches = Batches(train, **options)
        rows = dict(batch_of(batches, number, step) for step in steps)
        return [rows[step] for step in range(32)]

    def batch_of(batches, number, step):
        x, y = batches.batch(number, step)
        return step, (x.tobytes(), y.tobytes())

    assert len(Batches(train, **options)) == 32
    assert epoch(0) == epoch(0, reversed(range(32)))  # in any order of calls
    assert epoch(0) != epoch(1)
    for number in (0, 1):
        batches = Batches(train, **options)
        seen = np.concatenate([batches.batch(number, step)[0] for step in range(32)])
        np.testing.assert_array_equal(
            seen[np.lexsort(seen.T)], by_row(train)[:, :-1][np.lexsort(by_row(train)[:, :-1].T)]
        )
    plain = Batches(train, batch_size=32)
    np.testing.assert_array_equal(
        np.concatenate([plain.batch(0, step)[0] for step in range(32)]), train.x[:]
    )


def test_stored_rows_are_like_an_array(tmp_path):
    data = kzoo.load_data(write(table(500), tmp_path / "a.csv"), target="y", test=0, validation=0)
    x = np.asarray(data.train.x[:])
    y = data.train.y[:]
    assert x.shape == data.train.x.shape and y.shape == data.train.y.shape == (500,)
    for index in (
        slice(3, 40),
        slice(0, 0),
        slice(None, None, 7),
        [499, 0, 3, 3],
        np.arange(500) % 2 == 0,
        5,
        -1,
    ):
        np.testing.assert_array_equal(data.train.x[index], x[index])
        np.testing.assert_array_equal(data.train.y[index], y[index])
    with pytest.raises(IndexError):
        data.train.x[[500]]


def test_rows_are_encoded_once_and_again_when_something_changes(tmp_path, monkeypatch):
    frame = table(300)
    file = write(frame, tmp_path / "a.csv")
    made = []
    encode = encoding.Encoding.encode_table
    monkeypatch.setattr(
        encoding.Encoding, "encode_table", lambda table: made.append(1) or encode(table)
    )
    one, again = (kzoo.load_data(file, target="y") for _ in range(2))
    assert len(made) == 1 and one.fingerprint == again.fingerprint and one.config == again.config
    for data in (one, again):
        assert_mentions(data.notes[0], "'a.csv'", "memory", str(data.train.x.path.parent))
    assert one.notes[1:] == again.notes[1:]
    # there is room now: a stopped training continues with the stored rows
    monkeypatch.delenv("KZOO_MEMORY")
    assert kzoo.load_data(file, target="y").fingerprint == one.fingerprint
    assert isinstance(kzoo.load_data(file, target="y", test=0.3).train.x, np.ndarray)
    monkeypatch.setenv("KZOO_MEMORY", "1KiB")
    assert (
        kzoo.load_data(file, target="y", test=0.3).fingerprint != one.fingerprint and len(made) == 2
    )
    write(frame.assign(a=frame["a"] + 1), file)
    assert kzoo.load_data(file, target="y").fingerprint != one.fingerprint and len(made) == 3


def alter(file):
    """Write other rows of the same size into a file, and give it the time that it had."""
    times = file.stat()
    file.write_bytes(file.read_bytes().replace(b"kind 1", b"kind 7"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert file.stat().st_size == times.st_size and file.stat().st_mtime_ns == times.st_mtime_ns


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("where", ["another folder", "in place"])
def test_a_changed_file_of_the_same_name_size_and_time_is_encoded_anew(where, suffix, tmp_path):
    (tmp_path / "one").mkdir()
    file = tmp_path / "one" / f"a.{suffix}"
    table(300).to_parquet(file, compression=None) if suffix == "parquet" else write(
        table(300), file
    )
    first = kzoo.load_data(file, target="y")
    original = file
    if where == "another folder":
        file = shutil.copytree(tmp_path / "one", tmp_path / "two") / file.name  # with its times
        copied = kzoo.load_data(file, target="y")
        # encoded once
        assert copied.train.x.path == first.train.x.path and copied.fingerprint == first.fingerprint
    alter(file)
    data = kzoo.load_data(file, target="y")
    assert data.fingerprint != first.fingerprint and data.train.x.path != first.train.x.path
    words = [
        next(c["values"] for c in d.preprocessing["columns"] if c["name"] == "kind")
        for d in (first, data)
    ]
    assert (
        ("kind 1" in words[0], "kind 7" in words[0])
        == (True, False)
        != ("kind 1" in words[1], "kind 7" in words[1])
    )
    if where == "another folder":
        assert kzoo.load_data(original, target="y").fingerprint == first.fingerprint


def test_a_test_table_of_the_same_name_size_and_time_is_read_anew(tmp_path):
    file, test = (write(table(300, seed), tmp_path / f"{seed}.csv") for seed in (0, 1))
    first = kzoo.load_data(file, target="value", test=test)
    alter(test)
    assert kzoo.load_data(file, target="value", test=test).fingerprint != first.fingerprint
    frame = table(300, 2).assign(id="7")
    texts, numbers = (
        kzoo.load_data(file, target="value", test=rows) for rows in (frame, frame.assign(id=7))
    )
    assert texts.test.x.path != numbers.test.x.path  # "7" is not 7


def test_a_table_that_changes_while_it_is_encoded_is_refused(tmp_path, monkeypatch):
    file = write(table(300), tmp_path / "a.csv")
    encoded = encoding.Encoding.encode_table

    def appended(self):
        about = encoded(self)
        with open(file, "ab") as stream:
            stream.write(file.read_bytes().splitlines(keepends=True)[-1])
        return about

    with monkeypatch.context() as once:
        once.setattr(encoding.Encoding, "encode_table", appended)
        with refuses("'a.csv'", "changed"):
            kzoo.load_data(file, target="y")
    assert not any((tmp_path / "cache" / "data").iterdir())

    def touched(self):
        os.utime(file)  # a new time alone is no change
        return encoded(self)

    monkeypatch.setattr(encoding.Encoding, "encode_table", touched)
    assert kzoo.load_data(file, target="y").train.x.path.exists()


def test_a_stopped_encoding_begins_again(tmp_path, monkeypatch):
    file = write(table(300), tmp_path / "a.csv")

    def stopped(buckets, path):
        shutil.copytree(path.parent, tmp_path / "left")  # as a killed process leaves it
        raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr(collect.Buckets, "take", stopped)
        with pytest.raises(KeyboardInterrupt):
            kzoo.load_data(file, target="y")
    assert not any((tmp_path / "cache" / "data").iterdir()) and any((tmp_path / "left").iterdir())
    request = LoadRequest(source=file, name=file.name, options=DataOptions(target="y"))
    key = out_of_core._key(request, out_of_core._contents(request))
    shutil.move(tmp_path / "left", tmp_path / "cache" / "data" / f"{key}.part")
    data = kzoo.load_data(file, target="y")
    (folder,) = (tmp_path / "cache" / "data").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == [
        "about.json",
        "test.rows",
        "train.rows",
        "validation.rows",
    ]
    assert len(data.train) + len(data.validation) + len(data.test) == 300
    (folder / "train.rows").unlink()
    with refuses(str(folder / "train.rows"), "No such file"):
        data.train.x[:3]
    (folder / "about.json").write_text("{")
    with refuses(f"{str(folder)!r}", "damaged", "remove"):
        kzoo.load_data(file, target="y")


def test_tables_and_options_that_are_refused(tmp_path, monkeypatch):
    frame = table(200)
    file = write(frame, tmp_path / "a.csv")
    with refuses("column", "'z'", "id, a, holes"):
        kzoo.load_data(file, target="z")
    with refuses("'a.csv'", "memory", "folds", "kzoo.train"):
        kzoo.load_data(file, target="y", test=Fold(0))
    with refuses("column", "'y'", "'id'", "'same'", "constant"):
        kzoo.load_data(
            file,
            target="y",
            drop=[name for name in frame.columns if name not in ("y", "same", "id")],
        )
    with refuses("'price'", "100", "classes", "task='regression'"), monkeypatch.context() as few:
        few.setattr(encoding, "_MAX_CLASSES", 100)
        kzoo.load_data(file, target="price", columns={"price": "category"})
    with refuses("1.0 KiB", "disk", "KZOO_CACHE"), monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1024}))
        kzoo.load_data(file, target="y")
    with (
        refuses("'a.csv'", "1.0 KiB", 'pip install "kzoo[arrow]"'),
        monkeypatch.context() as without,
    ):
        without.setattr(out_of_core, "is_installed", lambda name: False)
        kzoo.load_data(file, target="y")
    other = write(frame.assign(y="perhaps"), tmp_path / "b.csv")
    with refuses("test", "class", "'perhaps'"):
        kzoo.load_data(file, target="y", test=other)
    with refuses("regression", "row 151", "'many'"):
        frame["value"] = frame["value"].astype(object)
        frame.loc[150, "value"] = "many"
        monkeypatch.setattr(collect, "MAX_SAMPLE_ROWS", 50)
        monkeypatch.setattr(encoding, "_MAX_CLASSES", 10)
        kzoo.load_data(write(frame, tmp_path / "c.csv"), target="value", seed=2)


@pytest.mark.filterwarnings("ignore:About .* rows of")  # rows of the training are scored
def test_a_run_on_a_large_table_is_trained_scored_and_used(
    tmp_path, monkeypatch, capsys, untraced, undrawn
):
    monkeypatch.setattr(sample, "MOST", 100)
    file = write(table(800), tmp_path / "a.csv")
    options = dict(target="y", drop="value", epochs=1, batch_size=64, units=(8,), baselines=False)
    run = kzoo.train(
        "tabular_fnn", file, out=tmp_path / "run", min_steps=0, class_weight="balanced", **options
    )
    rows = f"{run.data.train} train"
    assert_mentions(
        capsys.readouterr().err, "'a.csv'", "1.0 KiB", "scores", "baselines", f"100 of {rows}"
    )
    assert run.summary["test"]["examples"] == 100 and run.data.train > 500
    assert {"kind", "flag"} <= {one["name"] for one in run.config["statistics"]["categories"]} | {
        "flag"
    }
    monkeypatch.setattr(collect, "MAX_SAMPLE_ROWS", 60)
    with warns("'all.csv'", "memory", "60 of its 800"):
        assert kzoo.evaluate(run, shutil.copy(file, tmp_path / "all.csv"))["examples"] == 60
    assert kzoo.evaluate(run, file) == run.summary["test"]
    new = table(5, seed=9)
    parquet, csv = (write(new, tmp_path / f"new.{suffix}") for suffix in ("parquet", "csv"))
    answers = [kzoo.predict(run, rows).probabilities for rows in (parquet, csv, new)]
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


@pytest.mark.slow
def test_several_steps_in_a_call_and_single_steps_train_on_the_same_rows(tmp_path, monkeypatch):
    """A call ends where the rows do that are in memory, and the bits are those of any other cut."""
    monkeypatch.setattr(row_files, "_MOST_ROWS", 128)
    data = kzoo.load_data(write(table(700), tmp_path / "a.csv"), target="y", drop="value", test=0)
    options = dict(
        epochs=2,
        batch_size=32,
        units=(4,),
        min_steps=0,
        progress=False,
        check=False,
        baselines=False,
    )
    runs = [
        kzoo.train("tabular_fnn", data, out=tmp_path / str(n), steps_per_call=n, **options)
        for n in (2, 7)
    ]
    one, other = (run.model.get_weights() for run in runs)
    assert all(map(np.array_equal, one, other))
    alone = kzoo.train("tabular_fnn", data, out=tmp_path / "1", steps_per_call=1, **options)
    for a, b in zip(one, alone.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_stored_rows_are_plain_float32_files(tmp_path):
    kzoo.load_data(write(table(200), tmp_path / "a.parquet"), target="y")
    (about,) = (tmp_path / "cache" / "data").glob("*/about.json")
    stored_about = json.loads(about.read_text())
    width, rows = stored_about["width"], stored_about["rows"]
    for part, count in rows.items():
        assert (about.parent / f"{part}.rows").stat().st_size == 4 * width * count


@pytest.mark.parametrize("same", [1, 2.5, True, "x"])
def test_a_test_table_may_have_other_types_than_the_file(same, tmp_path, monkeypatch):
    """All cells of a CSV file are texts; those of a constant column were compared with numbers, which cannot be."""
    frame = table(200).assign(same=same)
    file = write(frame, tmp_path / "a.csv")
    options = dict(target="y", drop="value", validation=0)
    tests = [write(frame, tmp_path / "test.parquet"), frame, write(frame, tmp_path / "test.csv")]
    for test in tests:
        data = kzoo.load_data(file, test=test, **options)
        expected = in_memory(monkeypatch, file, test=test, **options)
        np.testing.assert_array_equal(by_row(data.test), by_row(expected.test))
        read = {column["name"]: column["about"] for column in data.overview["columns"]}
        assert read["same"] == "constant"


def test_a_test_table_without_targets_is_refused_as_it_is_in_memory(tmp_path, monkeypatch):
    table = pd.DataFrame({"x": np.arange(60.0), "y": np.arange(60.0) * 2})
    table.to_csv(file := tmp_path / "table.csv", index=False)
    table.assign(y=np.nan).to_csv(test := tmp_path / "test.csv", index=False)
    parts = ("target", "'y'", "test", "empty")
    with refuses(*parts):
        kzoo.load_data(file, target="y", test=test)
    with refuses(*parts):
        in_memory(monkeypatch, file, target="y", test=test)


@pytest.mark.parametrize("target", ["y", "value", ["flag", "mark"]])
def test_row_weights_are_those_of_a_table_in_memory(target, tmp_path, monkeypatch):
    frame, validation, test = (table(rows, seed) for seed, rows in enumerate((ROWS, 90, 60)))
    for part in (frame, validation, test):
        part["w"] = np.arange(len(part)) % 4 / 2
        part["flag"] = np.arange(len(part)) % 3 // 2
        part["mark"] = np.where(np.arange(len(part)) % 5 < 3, "yes", "no")
    files = [
        write(part, tmp_path / f"{i}.csv")
        for i, part in enumerate((frame, validation, test.drop(columns="w")))
    ]
    more = dict(target=target, sample_weight="w", validation=files[1], test=files[2])
    large = kzoo.load_data(files[0], **more)
    small = in_memory(monkeypatch, files[0], **more)
    assert large.feature_names == small.feature_names and len(large.train) == (frame["w"] > 0).sum()
    for part in ("train", "validation", "test"):
        np.testing.assert_allclose(
            by_row(getattr(large, part)), by_row(getattr(small, part)), rtol=1e-6
        )
        if part != "test":  # weights stay with their rows
            parts = [getattr(data, part) for data in (large, small)]
            means = [
                np.average(np.asarray(p.x[:], "float64"), axis=0, weights=p.weight) for p in parts
            ]
            np.testing.assert_allclose(*means, rtol=1e-5)
            np.testing.assert_allclose(*(np.sort(p.weight) for p in parts), rtol=1e-6)
    assert large.test.weight is None and notes_with(large.notes, "test table", "'w'")
    assert large.validation.weight.min() == 0
    for name in ("scale", "offset", "target_scale", "target_offset"):
        np.testing.assert_allclose(large.config.get(name, 0), small.config.get(name, 0), rtol=1e-5)
    assert notes_with(large.notes, "Row weights") == notes_with(small.notes, "Row weights")
    sampled = sample.sample_split(large.train, 50)
    assert np.array_equal(sampled.weight, large.train.weight[:50])


def test_batches_of_stored_rows_have_the_weights_of_their_rows(tmp_path):
    frame = table()
    frame["w"] = frame["a"].abs() + 0.1
    data = kzoo.load_data(
        write(frame, tmp_path / "t.csv"), target="y", sample_weight="w", drop="id"
    )
    column = data.feature_names.index("a")
    factor = data.train.weight.sum() / (np.abs(data.train.x[:][:, column]) + 0.1).sum()
    for shuffle in (True, False):
        batches = Batches(data.train, batch_size=64, shuffle=shuffle, weight=data.train.weight)
        seen = 0
        for step in range(len(batches)):
            x, _, weight = batches.batch(1, step)
            np.testing.assert_allclose(weight, factor * (np.abs(x[:, column]) + 0.1), rtol=1e-4)
            (arrays, order), first = batches.part(1, step), batches.span(step)[0]
            rows = order[(step - first) * 64 : (step - first + 1) * 64]
            np.testing.assert_array_equal(arrays[2][rows], weight)
            seen += len(x)
        assert seen == len(data.train)


@pytest.mark.parametrize(
    ("cell", "parts"), [("-1", ("row 6", "-1")), ("", ("row 6", "no weight")), ("x", ("row 6",))]
)
def test_invalid_weights_of_a_large_table_are_refused(cell, parts, tmp_path):
    frame = table()
    frame["w"] = np.where(np.arange(ROWS) == 5, cell, "1")
    with refuses("sample_weight='w'", *parts):
        kzoo.load_data(write(frame, tmp_path / "t.csv"), target="y", sample_weight="w")


def test_a_large_table_refuses_an_order_in_time(tmp_path):
    with refuses("larger than memory", "split='time'", "test="):
        kzoo.load_data(write(table(), tmp_path / "t.csv"), target="y", time="when", split="time")


def test_weights_train_alike_with_many_steps_a_call_and_with_single_steps(tmp_path):
    frame = table()
    frame["w"] = np.arange(ROWS) % 3
    file = write(frame, tmp_path / "t.csv")
    options = dict(
        target="y",
        sample_weight="w",
        epochs=2,
        min_steps=0,
        dropout=0.0,
        progress=False,
        baselines=False,
    )
    runs = [
        kzoo.train(
            "tabular_fnn",
            file,
            out=tmp_path / str(steps),
            steps_per_call=steps,
            class_weight="balanced",
            **options,
        )
        for steps in ("auto", 1)
    ]
    assert runs[0].history["loss"] == pytest.approx(runs[1].history["loss"], rel=1e-4)
    assert "unweighted" in runs[0].summary["test"]
