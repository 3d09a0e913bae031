"""One broken file costs its own row, and says so; scores are not of a part, and nothing is made of broken files alone.

The class of faults: a file among thousands ends a call that reads them all, and what was read is lost. Training has
left such files out all along; predicting, scoring, looking at new data and an exported model shall follow the same
rule. For the texts of a folder, training did not either: tests/data/test_text.py.
"""

import csv
import json
import shutil
import warnings

import numpy as np
import pytest

import kzoo
from kzoo.cli import main
from kzoo.data import encode
from kzoo.utils.errors import KzooWarning


@pytest.fixture(scope="module")
def folder(images, tmp_path_factory):
    """Class folders with 22 whole images, one that was cut short and, at will, more of them."""
    home = tmp_path_factory.mktemp("broken") / "more"
    shutil.copytree(images.photos, home)
    whole = (home / "dark" / "0.png").read_bytes()
    (home / "light" / "5.png").write_bytes(whole[: len(whole) // 2])
    return home


@pytest.fixture(scope="module")
def worse(folder, tmp_path_factory):
    home = tmp_path_factory.mktemp("worse") / "worse"
    shutil.copytree(folder, home)
    (home / "dark" / "3.png").write_bytes(b"")
    return home


def answered(images, by, source):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", KzooWarning)
        if by == "run":
            said = kzoo.predict(images.run, source)
        else:
            said = __import__("kzoo.runtime").runtime.load(images.exported, by).predict(source)
    return said, [str(one.message) for one in caught if issubclass(one.category, KzooWarning)]


@pytest.mark.parametrize("by", ["run", "onnx", "litert"])
def test_a_broken_image_has_a_row_without_an_answer(images, folder, by):
    said, (line,) = answered(images, by, folder)
    whole, none = answered(images, by, images.photos)
    broken = [str(name) for name in said.inputs].index(str(folder / "light" / "5.png"))
    assert none == [] and whole.unread == {}
    assert line == f"Left out 1 broken file: {folder / 'light' / '5.png'}."
    assert len(said) == len(said.inputs) == 24 and list(said.unread) == [broken]
    assert said.labels[broken] is None and np.isnan(said.probabilities[broken]).all()
    others = [row for row in range(24) if row != broken]
    assert [said.labels[row] for row in others] == [whole.labels[row] for row in others]
    np.testing.assert_allclose(said.probabilities[others], whole.probabilities[others], atol=1e-6)
    frame = said.to_frame()
    assert frame["error"].notna().sum() == 1 and "Cannot read image '5.png'" in frame["error"][broken]
    assert "error" not in whole.to_frame()


@pytest.mark.parametrize("by", ["run", "onnx"])
def test_the_good_one_of_two_is_answered_and_broken_ones_alone_are_an_error(images, worse, by):
    good, broken, other = worse / "light" / "1.png", worse / "dark" / "3.png", worse / "light" / "5.png"
    said, (line,) = answered(images, by, [broken, good])
    assert line == f"Left out 1 broken file: {broken}."
    alone, _ = answered(images, by, good)
    assert said.labels == [None, *alone.labels] and "3.png" in said.unread[0]
    assert "-" in repr(said) and "1 input could not be read" in repr(said)
    assert len(answered(images, by, worse)[0].unread) == 2
    with pytest.raises(kzoo.KzooError, match=r"None of the 2 files can be read, '.*dark/3\.png' first\. Cannot read"):
        answered(images, by, [broken, other])
    with pytest.raises(kzoo.KzooError, match=r"^Cannot read image '3\.png'"):  # a file alone: its own fault
        answered(images, by, broken)


@pytest.mark.parametrize("by", ["run", "exported"])
def test_the_exit_code_says_that_many_files_have_no_answer(images, worse, by, capsys):
    source, good, broken = images.run.path if by == "run" else images.exported, "light/1.png", "dark/3.png"
    assert main(["predict", str(source), str(worse / good), str(worse / broken)]) == 1
    shown = capsys.readouterr()
    assert "warning: Left out 1 broken file: " in shown.err
    assert "not read: Cannot read image '3.png'" in " ".join(shown.out.split()) and "light/1.png  " in shown.out
    assert main(["predict", str(source), str(worse / broken), str(worse / "light" / "5.png")]) == 2
    assert "None of the 2 files can be read" in capsys.readouterr().err


@pytest.mark.parametrize("by", ["run", "exported"])
def test_the_command_marks_the_row_and_ends_well(images, folder, by, capsys, tmp_path):
    source = images.run.path if by == "run" else images.exported
    out = tmp_path / "answers.csv"
    assert main(["predict", str(source), str(folder), "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "kzoo: warning: Left out 1 broken file: " in shown.err and "Traceback" not in shown.err
    assert "5.png  not read: Cannot read image" in " ".join(shown.out.split("\n")).replace("   ", "  ")
    with open(out, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    (row,) = [row for row in rows if row["error"]]
    assert len(rows) == 24 and row["input"].endswith("5.png") and row["label"] == row["p_dark"] == row["p_light"] == ""
    assert main(["predict", str(source), str(folder), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["predictions"]
    (row,) = [row for row in rows if "error" in row]
    assert row["label"] is None and row["classes"] == [] and len(rows) == 24


def test_scores_are_of_the_images_that_can_be_read(images, folder, worse, capsys):
    with pytest.warns(KzooWarning, match=r"Left out 1 broken image: .*light/5\.png"):
        scores = kzoo.evaluate(images.run, folder)
    assert scores["examples"] == 23
    assert main(["evaluate", str(images.run.path), "--data", str(folder)]) == 0
    assert "kzoo: warning: Left out 1 broken image" in capsys.readouterr().err
    with pytest.raises(kzoo.KzooError, match=r"2 of 24 images cannot be read"):
        kzoo.evaluate(images.run, worse)


def test_scores_of_a_folder_too_large_for_memory_are_the_same(images, folder, monkeypatch):
    monkeypatch.setenv("KZOO_MEMORY", "1")
    with pytest.warns(KzooWarning, match="Left out 1"):
        on_demand = kzoo.evaluate(images.run, folder)
    monkeypatch.undo()
    with pytest.warns(KzooWarning, match="Left out 1"):
        assert kzoo.evaluate(images.run, folder) == on_demand


def test_new_data_is_looked_at_without_them(images, folder, worse):
    with pytest.warns(KzooWarning, match="Left out 1 broken image"):
        found = kzoo.check(images.run, folder)
    assert [finding for finding in found if finding.level == "error"] == []
    with pytest.raises(kzoo.KzooError, match="2 of 24 images cannot be read"):
        kzoo.check(images.run, worse)


def test_what_is_encoded_has_a_row_for_each_input_or_is_refused(images, folder):
    """`encode` gives an array alone, which cannot say that a row is missing."""
    with pytest.raises(kzoo.KzooError, match=r"Cannot read image '5\.png'"):
        encode(images.run.preprocessing, folder)
