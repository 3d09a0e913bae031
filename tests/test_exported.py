"""The manifest of an exported model: what is read is written again, anything else is refused in one line."""

import copy
import dataclasses
import json

import pytest

from kzoo import ExportedModel, KzooError
from kzoo.exported import FORMAT_VERSION, Entry, Manifest, is_inside

# As kzoo.export wrote it when this version of the format was made: a table's network, with one export that failed.
WRITTEN = {
    "format_version": 1,
    "name": "tabular_fnn",
    "created": "2026-11-25",
    "spec": {"preset": "tabular_fnn", "family": "fnn", "task": "tabular_regression", "config": {"units": [8]},
             "training": {"epochs": 4}, "seed": 0, "kzoo": "0.1.0.dev0"},
    "parameters": 49,
    "inputs": [{"name": "rows", "shape": [None, 4], "dtype": "float32", "meaning": "one number for each column"}],
    "outputs": [{"name": "values", "shape": [None, 1], "kind": "values"}],
    "labels": [],
    "targets": ["price"],
    "preprocessing": {"kind": "table", "columns": []},
    "data": {"name": "houses.csv"},
    "metrics": {"test": {"mae": 2.5}},
    "versions": {"kzoo": "0.1.0.dev0", "numpy": "2.3.1"},
    "predict_ms": {"1": 51.2, "32": 52.0},
    "exports": {
        "onnx": {"format": "onnx", "quantize": None, "file": "onnx/model.onnx", "status": "ok", "batch": None,
                 "difference": 1e-07, "tolerance": 0.0001, "agreement": 0.999, "score": 0.9, "bytes": 1530,
                 "latency_ms": {"1": 0.01, "32": 0.02}, "runtime": "onnxruntime 1.32.0", "opset": 15,
                 "score_keras": 0.9},
        "litert": {"format": "litert", "quantize": None, "file": None, "status": "failed", "batch": None,
                   "difference": None, "tolerance": 0.0001, "agreement": None, "score": None, "bytes": None,
                   "latency_ms": None, "runtime": None, "error": "the process was killed by SIGKILL"},
    },
    "files": {"onnx/model.onnx": {"sha256": "0" * 64, "bytes": 1530}},
}  # fmt: skip


def test_what_is_read_is_written_again(tmp_path):
    manifest = Manifest.read(WRITTEN)
    assert manifest.json() == WRITTEN
    assert manifest.exports["onnx"].facts == {"opset": 15}
    assert manifest.exports["litert"].error == "the process was killed by SIGKILL"
    manifest.write(tmp_path)
    assert Manifest.open(tmp_path) == manifest
    assert ExportedModel(tmp_path).config == WRITTEN
    assert WRITTEN["format_version"] == FORMAT_VERSION
    beside = WRITTEN | {"baselines": [{"name": "majority", "scores": {"accuracy": 0.1}}]}
    assert Manifest.read(beside).json() == beside


def test_nobody_changes_what_it_holds(tmp_path):
    manifest = Manifest.read(WRITTEN)
    with pytest.raises(dataclasses.FrozenInstanceError):
        manifest.name = "another"
    said = manifest.json()
    said["exports"]["onnx"]["status"] = "failed"
    said["spec"]["config"]["units"].append(9)
    assert manifest.exports["onnx"].status == "ok" and manifest.spec["config"]["units"] == [8]
    manifest.write(tmp_path)
    exported = ExportedModel(tmp_path)
    exported.exports["onnx"]["status"] = "failed"
    assert exported.exports["onnx"]["status"] == "ok"


def put(*path, value):
    def change(said):
        for name in path[:-1]:
            said = said[name]
        said[path[-1]] = value

    return change


WRONG = {
    "no version": (lambda said: said.pop("format_version"), "is not the kzoo.json of an exported model"),
    "a later version": (put("format_version", value=2), "format_version 2, and this kzoo reads 1: update kzoo"),
    "a version that is a word": (put("format_version", value="\x1b[31m"), r"'\x1b[31m'"),
    "an entry nobody knows": (put("licence", value="MIT"), "'licence', which this kzoo does not know"),
    "labels of another type": (put("labels", value="cat"), "has labels='cat'"),
    "data of another type": (put("data", value=[]), "has data=[]"),
    "two inputs": (put("inputs", value=WRITTEN["inputs"] * 2), "one of its 'inputs'"),
    "an input without a name": (put("inputs", value=[{"shape": [], "dtype": "int32"}]), "by name, shape, dtype"),
    "a shape that is a number": (put("outputs", 0, "shape", value=3), "'outputs' without a name or a shape"),
    "answers nobody knows": (put("outputs", 0, "kind", value="guesses"), "probabilities, values, logits nor scores"),
    "an export that is a word": (put("exports", "onnx", value="model.onnx"), "nothing of the export 'onnx'"),
    "an export without a status": (put("exports", "onnx", value={"format": "onnx"}), "no status for the export 'onnx'"),
    "a status nobody knows": (put("exports", "onnx", "status", value="fine"), "the status 'fine'"),
    "a size that is a word": (put("exports", "onnx", "bytes", value="big"), "has bytes='big' for the export 'onnx'"),
    "a file without a checksum": (put("files", "a", value={"bytes": 1}), "no checksum of 'a'"),
} | {
    f"no {name}": (lambda said, name=name: said.pop(name), "has no") for name in list(WRITTEN)[1:]
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_malformed_is_refused_in_one_line(name, tmp_path):
    change, says = WRONG[name]
    said = copy.deepcopy(WRITTEN)
    change(said)
    (tmp_path / "kzoo.json").write_text(json.dumps(said))
    with pytest.raises(KzooError) as caught:
        _ = ExportedModel(tmp_path).name
    assert says in str(caught.value) and str(tmp_path / "kzoo.json") in str(caught.value)
    assert str(caught.value).isprintable()


def test_names_that_lead_out_of_the_folder():
    assert is_inside("model.keras") and is_inside("saved_model/1/variables/variables.index")
    for name in ("/etc/passwd", "../x", "a/../../x", "a//b", "./a", "..\\x", "C:x", "", "a/"):
        assert not is_inside(name), name


def test_an_entry_says_only_what_there_is():
    assert "error" not in Entry(format="onnx", status="ok").json()


def test_what_was_changed_after_the_export_is_refused(tmp_path):
    """Swapped labels, say: the manifest has a checksum of all else in it, and one without it opens as before."""
    classes = WRITTEN | {"labels": ["a", "b"]}
    Manifest.read(classes).write(tmp_path)
    file = tmp_path / "kzoo.json"
    written = json.loads(file.read_text())
    assert ExportedModel(tmp_path).config == classes
    for change in (
        lambda said: said["labels"].append("c"), lambda said: said["labels"].reverse(),
        lambda said: said.update(name="x"), lambda said: said["inputs"][0].update(meaning="x"),
        lambda said: said.update(sha256="0" * 64), lambda said: said.update(sha256=None),
        lambda said: said.update(origin={"source": "x"}),
    ):  # fmt: skip
        said = copy.deepcopy(written)
        change(said)
        file.write_text(json.dumps(said))
        with pytest.raises(KzooError, match=r"kzoo\.json was changed after the export: its sha256 is another"):
            _ = ExportedModel(tmp_path).name
    file.write_text(json.dumps(dict(reversed(written.items())), indent=3, ensure_ascii=True))  # another way to write it
    assert ExportedModel(tmp_path).config == classes
    said = {name: value for name, value in written.items() if name != "sha256"} | {"labels": ["b", "a"]}
    file.write_text(json.dumps(said))
    assert ExportedModel(tmp_path).labels == ["b", "a"]
