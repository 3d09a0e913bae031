"""What leaves with a model: rare cells are listed by a dry run, and dropped where the model allows."""

import json
import shutil
import subprocess
import warnings
from pathlib import Path

import library
import pandas as pd
import pytest
from hub.conftest import changed, export_of, push
from messages import assert_mentions, refuses

import kzoo.runtime
from kzoo.cli import main
from kzoo.hub.contents import contents, without_rare
from kzoo.hub.pull import local_copy
from kzoo.hub.push import prepared
from kzoo.inference.exported import ExportedModel
from kzoo.inference.signature import fingerprint, sign
from kzoo.problems.kinds import preprocessor_mismatch
from kzoo.utils.files import described

DATA = library.folder("data")


def rare_cells(source):
    """Return the cells of at least eight characters that fewer than five rows of a source have."""
    if source.suffix == ".csv":
        columns = pd.read_csv(source, dtype=str, keep_default_na=False).items()
        lists = [list(column) for _, column in columns]
    elif source.is_dir():
        texts = [path.read_text(encoding="utf-8") for path in source.rglob("*.txt")]
        lists = [texts, [word for text in texts for word in {*text.split()}]]
        lists.append([path.name for path in source.rglob("*") if path.is_file()])
    else:
        lists = [source.read_text(encoding="utf-8").split()]
    counts = [pd.Series(cells).value_counts() for cells in lists if cells]
    return {c for count in counts for c in count[count < 5].index if len(c) >= 8}


def found(cells, files):
    """Return the cells that are in the bytes of files."""
    content = b"\n".join(Path(file).read_bytes() for file in files)
    return {cell for cell in cells if cell.encode() in content}


SOURCES = {
    "customer_table": "customers.csv",
    "recurrent_texts": "texts",
}


def check_what_leaves(exported, source, capsys):
    """Push a model, and compare the rare cells in its files with those that a dry run lists."""
    cells = rare_cells(source)
    assert main(["push", str(exported.path), "hub:models/it", "--dry-run", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["pushed"] is False and not Path("models").exists()
    listed = {each["name"] for names in document["contents"] for each in names["names"]}
    push(exported, "hub:models/it")
    files = [path for path in Path("models").rglob("*") if path.is_file()]
    names = {path.relative_to("models").as_posix() for path in files}
    assert names == {"index.json", *(f"it/1/{name}" for name in document["files"])}
    leaving = found(cells, files)
    assert {cell for cell in leaving if not any(cell in text for text in listed)} == set()
    return cells, leaving


@pytest.mark.parametrize("name", ["customer_table", "recurrent_texts"])
def test_rare_cells_that_leave_are_those_that_the_dry_run_lists(name, tmp_path, capsys):
    exported = export_of(name, tmp_path / "exported")
    check_what_leaves(exported, DATA / SOURCES[name], capsys)


def with_rare_towns(exported):
    """Return an exported table model, one of whose towns has three rows and a name of its own."""
    document = exported.config
    (column,) = (c for c in document["preprocessing"]["columns"] if c["name"] == "town")
    column["values"][1] = "Niederdorf-Seltenheim"
    counts = document["counts"]
    counts["categories"]["town"][1] = 3
    return changed(exported, preprocessing=document["preprocessing"], counts=counts)


def answers(exported, town):
    """Return the predictions of customers that are all from one town."""
    rows = pd.read_csv(DATA / "customers.csv", dtype=str, keep_default_na=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a town that is not known
        return kzoo.runtime.load(exported).predict(rows.assign(town=town)).rows()


def test_rows_of_names(exported):
    groups = {names.what: names for names in contents(exported.manifest)}
    table = pd.read_csv(DATA / "customers.csv", dtype=str, keep_default_na=False)
    labels = groups["class names"]
    assert labels.values == ("no", "yes") and sum(labels.rows) == exported.manifest.data["train"]
    towns = groups["categories of town"]
    assert set(towns.values) <= {*table["town"].str.strip(), *table["town"]} and towns.droppable
    assert all(
        n <= (table["town"].str.strip() == v.strip()).sum()
        for v, n in zip(towns.values, towns.rows, strict=True)
    )
    assert "since" in groups["names of columns"].values
    assert "-0.196" in groups["numbers, such as medians, ranges and scales"].values
    words = {names.what: names for names in contents(changed(exported, counts={}).manifest)}
    assert set(words["categories of town"].rows) == {None}


def test_rare_categories_are_dropped_and_read_as_unknown(exported, capsys):
    exported = with_rare_towns(exported)
    words = ["push", str(exported.path), "hub:models/it", "--min-count", "5"]
    assert main([*words, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert_mentions(out, "categories of town: 5, 1 of fewer than 5 rows", "nothing was pushed")
    assert_mentions(out, "dropped: categories of town, 1: Niederdorf-Seltenheim")
    assert main(words) == 0
    pushed = ExportedModel("models/it/1")
    assert pushed.damage() == [] and exported.damage() == []
    assert found(["Niederdorf-Seltenheim"], Path("models").rglob("*.json")) == set()
    rare, unknown = "Niederdorf-Seltenheim", "nowhere"
    assert answers(pushed, rare) == answers(pushed, unknown) == answers(exported, unknown)
    assert answers(exported, rare) != answers(pushed, rare)
    assert preprocessor_mismatch(pushed.preprocessing, pushed.spec["config"]) is None


def test_nothing_rare_leaves_the_files_as_they_are(exported):
    manifest, dropped, staying = without_rare(exported.manifest, 2)
    assert manifest == exported.manifest and dropped == staying == []
    with prepared(exported, min_count=2) as outgoing:
        assert outgoing.revision.sha256 == push(exported, "hub:models/it").sha256


def test_classes_and_words_that_were_not_counted_stay_and_are_named(tmp_path, capsys):
    exported = export_of("recurrent_texts", tmp_path / "exported")
    exported = changed(exported, counts={"labels": [22, 3, 22]})
    assert main(["push", str(exported.path), "hub:models/it", "--min-count", "5"]) == 0
    out = capsys.readouterr().out
    assert_mentions(out, "stays: class names, 1: law", "stays: words, 41: day")
    assert ExportedModel("models/it/1").config == exported.config


def test_rare_words_are_dropped_and_read_as_unknown(tmp_path, capsys):
    exported = export_of("recurrent_texts", tmp_path / "exported")
    run = library.run("recurrent_texts")
    words = dict(
        zip(run.preprocessing["vocabulary"], exported.manifest.counts["words"], strict=True)
    )
    # each text has "day" and a number, and each number is in at most one text of each class
    assert words["day"] == exported.manifest.data["train"] and 1 <= words["29"] <= 3
    assert words["soup"] == words["bread"] == exported.manifest.counts["labels"][0]
    assert main(["push", str(exported.path), "hub:models/it", "--min-count", "5"]) == 0
    assert_mentions(capsys.readouterr().out, "dropped: words, 29:")
    pushed = ExportedModel("models/it/1")
    vocabulary = pushed.preprocessing["vocabulary"]
    assert vocabulary[:12] == run.preprocessing["vocabulary"][:12]
    assert vocabulary[12:] == [f"(rare {code})" for code in range(13, 42)]
    before, after = (kzoo.runtime.load(model) for model in (exported, pushed))
    text = ["the soup bread salt of day 29", "the soup bread salt of day other"]
    assert (
        after.predict(text).probabilities[0].tolist()
        == after.predict(text).probabilities[1].tolist()
    )
    assert (
        before.predict(text[1:]).probabilities.tolist()
        == after.predict(text[1:]).probabilities.tolist()
    )


def test_a_dropped_name_in_another_file_is_refused(exported):
    exported = with_rare_towns(exported)
    (exported.path / "model.c").write_text("// 2 Niederdorf-Seltenheim", encoding="utf-8")
    files = exported.config["files"]
    files["model.c"] = described(exported.path / "model.c")
    exported = changed(exported, files=files)
    with refuses("model.c", "'Niederdorf-Seltenheim'", "without this format"):
        push(exported, "hub:models/it", min_count=5)
    assert not Path("models").exists()
    assert push(exported, "hub:models/it").is_new


def test_a_path_of_this_machine_is_refused(exported, monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: Path("/home/somebody"))
    name = "README.md"
    (exported.path / name).write_text("made in /home/somebody/models", encoding="utf-8")
    files = exported.config["files"] | {name: described(exported.path / name)}
    with refuses(name, "'/home/somebody/'"):
        push(changed(exported, files=files), "hub:models/it")


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
def test_a_signed_model_is_signed_again_after_names_were_dropped(exported, tmp_path, capsys):
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    exported = with_rare_towns(exported)
    sign(exported.path, key)
    words = ["push", str(exported.path), "hub:models/it", "--min-count", "5"]
    assert main(words) == 2
    assert_mentions(capsys.readouterr().err, "--min-count 5", "signed", "--sign KEY")
    assert main([*words, "--sign", str(key)]) == 0
    local_copy("hub:models/it")
    assert_mentions(capsys.readouterr().err, f"signed with {fingerprint(key)}")
    assert main(["push", str(exported.path), "hub:models/it", "--min-count", "0"]) == 2
    assert_mentions(capsys.readouterr().err, "--min-count 0", "at least 1")
