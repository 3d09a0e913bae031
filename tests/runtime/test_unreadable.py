"""A broken file costs a row, and a warning names it; scores need most of the files, and broken files alone are refused.

The class of faults: a file among thousands ends a call that reads them all. Training leaves such files out; predicting,
scoring, checks of new data and exported models follow the same rule. For texts of a folder: tests/data/test_text.py.
"""

import csv
import json
import shutil
import warnings

import numpy as np
import pytest
from messages import assert_mentions, missing_from, refuses, warns
from trained import draw

import kzoo
from kzoo.cli import main
from kzoo.inference.encode import encode
from kzoo.utils.errors import KzooWarning


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("whole") / "photos", {"dark": 40, "light": 210}, 12)


@pytest.fixture(scope="module")
def folder(photos, tmp_path_factory):
    """Class folders with 23 whole images and one that was cut short."""
    home = tmp_path_factory.mktemp("broken") / "more"
    shutil.copytree(photos, home)
    whole = (home / "dark" / "0.png").read_bytes()
    (home / "light" / "5.png").write_bytes(whole[: len(whole) // 2])
    return home


@pytest.fixture(scope="module")
def worse(folder, tmp_path_factory):
    home = tmp_path_factory.mktemp("worse") / "worse"
    shutil.copytree(folder, home)
    (home / "dark" / "3.png").write_bytes(b"")
    return home


def predictions_and_warnings(images, by, source):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", KzooWarning)
        if by == "run":
            predictions = kzoo.predict(images.run, source)
        else:
            predictions = (
                __import__("kzoo.runtime").runtime.load(images.exported, by).predict(source)
            )
    return predictions, [
        str(warning.message) for warning in caught if issubclass(warning.category, KzooWarning)
    ]


@pytest.mark.parametrize("by", ["run", "onnx", "litert"])
def test_a_broken_image_has_a_row_without_an_answer(images, folder, by, photos):
    predictions, (line,) = predictions_and_warnings(images, by, folder)
    whole, none = predictions_and_warnings(images, by, photos)
    broken = [str(name) for name in predictions.inputs].index(str(folder / "light" / "5.png"))
    assert none == [] and whole.unread == {}
    assert_mentions(line, "1", str(folder / "light" / "5.png"))
    assert len(predictions) == len(predictions.inputs) == 24 and list(predictions.unread) == [
        broken
    ]
    assert predictions.labels[broken] is None and np.isnan(predictions.probabilities[broken]).all()
    others = [row for row in range(24) if row != broken]
    assert [predictions.labels[row] for row in others] == [whole.labels[row] for row in others]
    np.testing.assert_allclose(
        predictions.probabilities[others], whole.probabilities[others], atol=1e-6
    )
    frame = predictions.to_frame()
    assert_mentions(frame["error"][broken], "image", "'5.png'")
    assert frame["error"].notna().sum() == 1
    assert "error" not in whole.to_frame()


@pytest.mark.parametrize("by", ["run", "onnx"])
def test_the_good_one_of_two_is_answered_and_broken_ones_alone_are_an_error(images, worse, by):
    good = worse / "light" / "1.png"
    broken = worse / "dark" / "3.png"
    other = worse / "light" / "5.png"
    predictions, (line,) = predictions_and_warnings(images, by, [broken, good])
    assert_mentions(line, "1", str(broken))
    alone, _ = predictions_and_warnings(images, by, good)
    assert predictions.labels == [None, *alone.labels] and "3.png" in predictions.unread[0]
    assert_mentions(repr(predictions), "-", "1 input")
    assert len(predictions_and_warnings(images, by, worse)[0].unread) == 2
    with refuses("2 files", str(broken), "image '3.png'"):
        predictions_and_warnings(images, by, [broken, other])
    with refuses("image", "'3.png'") as caught:  # a single file: the reason alone
        predictions_and_warnings(images, by, broken)
    assert missing_from(str(caught.value), ["files", str(broken)]) == ["files", str(broken)]


@pytest.mark.parametrize("by", ["run", "exported"])
def test_the_exit_code_is_1_where_many_files_have_no_answer(images, worse, by, capsys):
    source = images.run.path if by == "run" else images.exported
    good = "light/1.png"
    broken = "dark/3.png"
    assert main(["predict", str(source), str(worse / good), str(worse / broken)]) == 1
    shown = capsys.readouterr()
    assert_mentions(shown.err, "warning", "1", str(worse / broken))
    assert_mentions(shown.out, "light/1.png", "dark/3.png", "image '3.png'")
    assert main(["predict", str(source), str(worse / broken), str(worse / "light" / "5.png")]) == 2
    assert_mentions(capsys.readouterr().err, "error", "2 files", "image '3.png'")


@pytest.mark.parametrize("by", ["run", "exported"])
def test_the_command_marks_the_row_and_ends_well(images, folder, by, capsys, tmp_path):
    source = images.run.path if by == "run" else images.exported
    out = tmp_path / "answers.csv"
    assert main(["predict", str(source), str(folder), "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert_mentions(shown.err, "warning", "1", str(folder / "light" / "5.png"))
    assert "Traceback" not in shown.err
    # all rows, which are not printed with --out
    assert main(["predict", str(source), str(folder)]) == 0
    assert_mentions(capsys.readouterr().out, "light/5.png", "image '5.png'")
    with open(out, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    (row,) = [row for row in rows if row["error"]]
    assert (
        len(rows) == 24
        and row["input"].endswith("5.png")
        and row["label"] == row["p_dark"] == row["p_light"] == ""
    )
    assert main(["predict", str(source), str(folder), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["predictions"]
    (row,) = [row for row in rows if "error" in row]
    assert row["label"] is None and row["classes"] == [] and len(rows) == 24


@pytest.mark.filterwarnings("ignore:About .* rows of")  # rows of the training are scored
def test_scores_are_of_the_images_that_can_be_read(images, folder, worse, capsys):
    with warns("1", "image", str(folder / "light" / "5.png")):
        scores = kzoo.evaluate(images.run, folder)
    assert scores["examples"] == 23
    assert main(["evaluate", str(images.run.path), "--data", str(folder)]) == 0
    assert_mentions(
        capsys.readouterr().err, "warning", "1", "image", str(folder / "light" / "5.png")
    )
    with refuses("2 of 24", "images", "dark/3.png", "5.0"):
        kzoo.evaluate(images.run, worse)


@pytest.mark.filterwarnings("ignore:About .* rows of")  # rows of the training are scored
def test_scores_of_a_folder_too_large_for_memory_are_the_same(images, folder, monkeypatch):
    monkeypatch.setenv("KZOO_MEMORY", "1")
    with warns("1", "light/5.png"):
        on_demand = kzoo.evaluate(images.run, folder)
    monkeypatch.undo()
    with warns("1", "light/5.png"):
        assert kzoo.evaluate(images.run, folder) == on_demand


def test_new_data_is_checked_without_them(images, folder, worse):
    with warns("1", "image", str(folder / "light" / "5.png")):
        findings = kzoo.check(images.run, folder)
    assert [finding for finding in findings if finding.level == "error"] == []
    with refuses("2 of 24", "images", "dark/3.png", "5.0"):
        kzoo.check(images.run, worse)


def test_encoding_a_broken_file_is_refused(images, folder):
    """`encode` returns an array alone, in which a missing row cannot be marked."""
    with refuses("image", "'5.png'"):
        encode(images.run.preprocessing, folder)
