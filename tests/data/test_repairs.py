"""`repairs`: accepted labels of a table of suspects replace those of training and validation rows, and of no others."""

import csv

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import kzoo
from kzoo.data.reload import load_again
from kzoo.data.targets.repairs import row_keys
from kzoo.evaluation.cross_validate import cross_validate
from tests.messages import assert_mentions, refuses

pytestmark = pytest.mark.usefixtures("untraced_module")

CLASSES = ("left", "right", "up")


def table(rows=90):
    draw = np.random.default_rng(0)
    labels = np.array(CLASSES)[np.arange(rows) % 3]
    return pd.DataFrame({"a": draw.normal(size=rows), "b": draw.normal(size=rows), "kind": labels})


def texts():
    frame = table()
    return pd.DataFrame(
        {
            "text": [f"go {kind} by number {i}" for i, kind in enumerate(frame.kind)],
            "kind": frame.kind,
        }
    )


def arrays():
    draw = np.random.default_rng(0)
    return draw.normal(size=(90, 2)).astype("float32"), np.arange(90) % 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    draw = np.random.default_rng(0)
    for name in CLASSES:
        (root / name).mkdir()
        for number in range(20):
            pixels = draw.integers(0, 255, (8, 8, 3), dtype="uint8")
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


SOURCES = {
    "table": lambda folder: (table(), dict(target="kind")),
    "texts": lambda folder: (texts(), dict(target="kind", preset="text_ngrams")),
    "arrays": lambda folder: (arrays(), {}),
    "folder": lambda folder: (folder, dict(preset="image_cnn")),
    "named": lambda folder: ("iris", {}),
}


def suspect(data, split, position, **changes):
    """Return a row of a table of suspects for one row of a split: the next class is suggested."""
    part = getattr(data, split)
    label = int(part.y[position])
    names = data.class_names
    return {
        "row": int(part.rows[position]) + 1,
        "key": row_keys(part, [position])[0],
        "label": names[label],
        "suggestion": names[(label + 1) % len(names)],
        "accept": "yes",
    } | changes


@pytest.mark.parametrize("name", SOURCES)
def test_labels_of_training_and_validation_rows_change_and_of_no_others(name, folder):
    source, options = SOURCES[name](folder)
    before = kzoo.load_data(source, **options)
    rows = [suspect(before, split, 1) for split in ("train", "validation", "test")]
    rows.append(suspect(before, "train", 2, accept="no"))
    after = kzoo.load_data(source, repairs=rows, **options)
    for split in ("train", "validation", "test"):
        old, new = getattr(before, split), getattr(after, split)
        np.testing.assert_array_equal(old.rows, new.rows)
        expected = np.array(old.y)
        if split != "test":
            expected[1] = (expected[1] + 1) % len(before.class_names)
        np.testing.assert_array_equal(new.y, expected)
    assert_mentions(
        "\n".join(after.notes), "2 labels changed", "1 training", "1 validation", "1 accepted row"
    )
    assert after.fingerprint != before.fingerprint
    assert before.loaded["options"].get("repairs") is None  # stored as by earlier versions


def test_a_file_is_read_as_spreadsheets_write_it(tmp_path):
    data = kzoo.load_data(table(), target="kind")
    row = suspect(data, "train", 0) | {"why": "because", "accept": "X"}
    expected = kzoo.load_data(table(), target="kind", repairs=[row]).train.y
    for delimiter, encoding in ((",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-8")):
        path = tmp_path / "suspects.csv"
        with open(path, "w", encoding=encoding, newline="") as file:
            writer = csv.DictWriter(file, list(row), delimiter=delimiter)
            writer.writeheader()
            writer.writerow(row)
        np.testing.assert_array_equal(
            kzoo.load_data(table(), target="kind", repairs=path).train.y, expected
        )


def test_several_labels_a_row_are_repaired_one_by_one():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(80, 3)).astype("float32")
    y = draw.integers(0, 2, (80, 3))
    before = kzoo.load_data((x, y))
    part = before.train
    old = int(before.train.y[4, 1])
    row = dict(
        row=int(part.rows[4]) + 1,
        key=row_keys(part, [4])[0],
        label=f"1={old}",
        suggestion=f"1={1 - old}",
    )
    after = kzoo.load_data((x, y), repairs=[row | {"accept": "yes"}])
    expected = np.array(before.train.y)
    expected[4, 1] = 1 - old
    np.testing.assert_array_equal(after.train.y, expected)
    with refuses("'2=1'", "same label"):
        kzoo.load_data((x, y), repairs=[row | {"accept": "yes", "suggestion": "2=1"}])


def test_a_row_that_is_not_the_checked_one_is_refused():
    frame = table()
    row = suspect(kzoo.load_data(frame, target="kind"), "train", 0)
    number = row["row"]
    with refuses(f"row {number}", "another content"):  # a row has been removed before it
        kzoo.load_data(frame.iloc[1:].reset_index(drop=True), target="kind", repairs=[row])
    edited = frame.copy()
    edited.loc[number - 1, "a"] += 1
    with refuses(f"row {number}", "another content"):
        kzoo.load_data(edited, target="kind", repairs=[row])
    relabelled = texts()
    row = suspect(kzoo.load_data(texts(), target="kind", preset="text_ngrams"), "train", 0)
    relabelled.loc[row["row"] - 1, "kind"] = row["suggestion"]
    # someone has corrected it in the file
    with refuses(f"row {row['row']}", row["label"], row["suggestion"]):
        kzoo.load_data(relabelled, target="kind", preset="text_ngrams", repairs=[row])
    with refuses("row 5000", "does not exist"):
        kzoo.load_data(frame, target="kind", repairs=[row | {"row": 5000}])


def test_what_a_table_of_suspects_must_hold():
    data = kzoo.load_data(table(), target="kind")
    row = suspect(data, "train", 0)
    wrong = {
        "accept='perhaps'": {"accept": "perhaps"},
        "'abc'": {"row": "abc"},
        "'down'": {"suggestion": "down"},
        "no suggestion": {"suggestion": ""},
        "no accepted row": {"accept": ""},
    }
    for part, changes in wrong.items():
        with refuses(part):
            kzoo.load_data(table(), target="kind", repairs=[row | changes])
    with refuses("accepted twice", row["suggestion"]):
        other = next(name for name in CLASSES if name not in (row["label"], row["suggestion"]))
        kzoo.load_data(table(), target="kind", repairs=[row, row | {"suggestion": other}])
    with refuses("'key'"):
        kzoo.load_data(
            table(), target="kind", repairs=[{name: row[name] for name in row if name != "key"}]
        )
    with refuses("nowhere.csv", "does not exist"):
        kzoo.load_data(table(), target="kind", repairs="nowhere.csv")
    with refuses("repairs=3"):
        kzoo.load_data(table(), target="kind", repairs=3)


def test_what_cannot_be_repaired_is_refused(tmp_path, monkeypatch):
    frame = table()
    row = suspect(kzoo.load_data(frame, target="kind"), "train", 0)
    with refuses("repairs=", "tabular_regression"):
        kzoo.load_data(frame, target="a", repairs=[row])
    left = kzoo.load_data(frame, target="kind").train
    every = [
        suspect(kzoo.load_data(frame, target="kind"), "train", i)
        for i in np.flatnonzero(left.y == 0)
    ]
    with refuses("'left'", "no training row"):
        kzoo.load_data(frame, target="kind", repairs=every)
    with refuses("repairs=", "already read"):
        kzoo.load_data(kzoo.load_data(frame, target="kind"), repairs=[row])
    pytest.importorskip("pyarrow")
    frame.to_csv(tmp_path / "large.csv", index=False)
    monkeypatch.setenv("KZOO_MEMORY", "1kB")
    with refuses("repairs=", "large.csv", "memory"):
        kzoo.load_data(tmp_path / "large.csv", target="kind", repairs=[row])


def test_a_run_reads_its_data_with_the_repairs_again(tmp_path):
    frame = table()
    row = suspect(kzoo.load_data(frame, target="kind"), "train", 0)
    frame.to_csv(tmp_path / "moves.csv", index=False)
    row = suspect(kzoo.load_data(tmp_path / "moves.csv", target="kind"), "train", 0)
    with open(tmp_path / "suspects.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    run = kzoo.train(
        "tabular_fnn",
        tmp_path / "moves.csv",
        target="kind",
        repairs=tmp_path / "suspects.csv",
        epochs=1,
        out=tmp_path / "run",
        baselines=False,
        progress=False,
    )
    (tmp_path / "suspects.csv").unlink()  # the run has what was accepted
    data = load_again(run.spec, run.data, tmp_path / "moves.csv")
    assert data.fingerprint == run.data.fingerprint
    assert data.class_names[data.train.y[0]] == row["suggestion"]
    assert_mentions(run.config["command"], "--repairs suspects.csv")
    assert kzoo.evaluate(run, tmp_path / "moves.csv")["accuracy"] == run.summary["test"]["accuracy"]
    gain = run.summary["repairs"]
    before = kzoo.Run(tmp_path / "run" / gain["run"])
    scores = [one.summary["test"]["accuracy"] for one in (before, run)]
    np.testing.assert_allclose([gain["before"], gain["after"]], scores)
    np.testing.assert_array_equal(before.answers["truth"], run.answers["truth"])
    assert gain["interval"][0] <= gain["gain"] <= gain["interval"][1]


def test_a_run_without_repairs_beside_it_is_not_trained_again(tmp_path):
    options = dict(target="kind", epochs=1, baselines=False, progress=False)
    row = suspect(kzoo.load_data(table(), target="kind"), "train", 0)
    kzoo.train("tabular_fnn", table(), out=tmp_path / "first", **options)
    run = kzoo.train("tabular_fnn", table(), out=tmp_path / "second", repairs=[row], **options)
    assert (
        run.summary["repairs"]["run"] == "first"
        and not (tmp_path / "second" / "before-repairs").exists()
    )


def test_folds_are_trained_on_repairs_and_scored_on_recorded_labels(tmp_path):
    frame = table()
    row = suspect(kzoo.load_data(frame, target="kind"), "train", 0)
    scores = cross_validate(
        "tabular_fnn",
        frame,
        target="kind",
        repairs=[row],
        folds=2,
        epochs=1,
        out=tmp_path,
        baselines=False,
        progress=False,
    )
    order = sorted(CLASSES)
    truth = [order[int(number)] for number in scores["out_of_fold"]["truth"]]
    assert truth == frame.kind.tolist()
    assert all(kzoo.Run(path).summary.get("repairs") is None for path in scores["runs"])


def test_calibration_rows_keep_their_labels():
    options = dict(target="kind", calibration=0.2)
    before = kzoo.load_data(table(), **options)
    rows = [suspect(before, split, 0) for split in ("train", "calibration")]
    after = kzoo.load_data(table(), repairs=rows, **options)
    np.testing.assert_array_equal(after.calibration.y, before.calibration.y)
    assert (after.train.y != before.train.y).sum() == 1
    assert_mentions("\n".join(after.notes), "1 label changed", "1 accepted row", "calibration row")
