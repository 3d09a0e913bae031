"""The manifest of an exported model: it is written as it was read, and a malformed manifest is refused in one line."""

import copy
import dataclasses
import json

import pytest
from messages import assert_mentions, refuses

from kzoo import ExportedModel, KzooError
from kzoo.inference.exported import FORMAT_VERSION, Entry, Manifest, is_inside

# As kzoo.export wrote it when this version of the format was made: a table's network, with one export that failed.
WRITTEN = {
    "format_version": 1,
    "name": "tabular_fnn",
    "created": "2026-11-25",
    "spec": {
        "preset": "tabular_fnn",
        "family": "fnn",
        "task": "tabular_regression",
        "config": {"units": [8]},
        "training": {"epochs": 4},
        "seed": 0,
        "kzoo": "0.1.0.dev0",
    },
    "parameters": 49,
    "inputs": [
        {
            "name": "rows",
            "shape": [None, 4],
            "dtype": "float32",
            "meaning": "one number for each column",
        }
    ],
    "outputs": [{"name": "values", "shape": [None, 1], "kind": "values"}],
    "labels": [],
    "targets": ["price"],
    "preprocessing": {"kind": "table", "columns": []},
    "data": {"name": "houses.csv"},
    "metrics": {"test": {"mae": 2.5}},
    "versions": {"kzoo": "0.1.0.dev0", "numpy": "2.3.1"},
    "predict_ms": {"1": 51.2, "32": 52.0},
    "exports": {
        "onnx": {
            "format": "onnx",
            "quantize": None,
            "file": "onnx/model.onnx",
            "status": "ok",
            "batch": None,
            "difference": 1e-07,
            "tolerance": 0.0001,
            "agreement": 0.999,
            "score": 0.9,
            "bytes": 1530,
            "latency_ms": {"1": 0.01, "32": 0.02},
            "runtime": "onnxruntime 1.32.0",
            "opset": 15,
            "score_keras": 0.9,
        },
        "litert": {
            "format": "litert",
            "quantize": None,
            "file": None,
            "status": "failed",
            "batch": None,
            "difference": None,
            "tolerance": 0.0001,
            "agreement": None,
            "score": None,
            "bytes": None,
            "latency_ms": None,
            "runtime": None,
            "error": "the process was killed by SIGKILL",
        },
    },
    "files": {"onnx/model.onnx": {"sha256": "0" * 64, "bytes": 1530}},
}


def test_a_manifest_is_written_as_it_was_read(tmp_path):
    manifest = Manifest.read(WRITTEN)
    assert manifest.json() == WRITTEN
    assert manifest.exports["onnx"].facts == {"opset": 15}
    assert manifest.exports["litert"].error == "the process was killed by SIGKILL"
    manifest.write(tmp_path)
    assert Manifest.open(tmp_path) == manifest
    assert ExportedModel(tmp_path).config == WRITTEN
    assert WRITTEN["format_version"] == FORMAT_VERSION
    scored = WRITTEN | {"baselines": [{"name": "majority", "scores": {"accuracy": 0.1}}]}
    assert Manifest.read(scored).json() == scored


def test_a_manifest_cannot_be_changed(tmp_path):
    manifest = Manifest.read(WRITTEN)
    with pytest.raises(dataclasses.FrozenInstanceError):
        manifest.name = "another"
    document = manifest.json()
    document["exports"]["onnx"]["status"] = "failed"
    document["spec"]["config"]["units"].append(9)
    assert manifest.exports["onnx"].status == "ok" and manifest.spec["config"]["units"] == [8]
    manifest.write(tmp_path)
    exported = ExportedModel(tmp_path)
    exported.exports["onnx"]["status"] = "failed"
    assert exported.exports["onnx"]["status"] == "ok"


def put(*path, value):
    def change(document):
        for name in path[:-1]:
            document = document[name]
        document[path[-1]] = value

    return change


NAMES = {"spec": "specification"}  # the words for entries in messages
# A change of the manifest, and the parts of the message beyond the path of the file.
WRONG = {
    "no version": (lambda document: document.pop("format_version"), ("exported model",)),
    "a later version": (put("format_version", value=2), ("format_version 2", "1", "update kzoo")),
    "a version that is a word": (
        put("format_version", value="\x1b[31m"),
        (r"'\x1b[31m'", "1", "update kzoo"),
    ),
    "an unknown entry": (put("licence", value="MIT"), ("'licence'", "update kzoo")),
    "labels of another type": (put("labels", value="cat"), ("labels='cat'", "kzoo.export")),
    "data of another type": (put("data", value=[]), ("data=[]", "kzoo.export")),
    "two inputs": (
        put("inputs", value=WRITTEN["inputs"] * 2),
        ("'inputs'", "name, shape, dtype", "kzoo.export"),
    ),
    "an input without a name": (
        put("inputs", value=[{"shape": [], "dtype": "int32"}]),
        ("'inputs'", "name, shape, dtype", "kzoo.export"),
    ),
    "a shape that is a number": (
        put("outputs", 0, "shape", value=3),
        ("'outputs'", "name", "shape", "kzoo.export"),
    ),
    "an unknown kind of output": (
        put("outputs", 0, "kind", value="guesses"),
        ("probabilities, values, logits", "scores", "kzoo.export"),
    ),
    "an export that is a word": (
        put("exports", "onnx", value="model.onnx"),
        ("'onnx'", "kzoo.export"),
    ),
    "an export without a status": (
        put("exports", "onnx", value={"format": "onnx"}),
        ("status", "'onnx'", "kzoo.export"),
    ),
    "an unknown status": (
        put("exports", "onnx", "status", value="fine"),
        ("'fine'", "'onnx'", "kzoo.export"),
    ),
    "a size that is a word": (
        put("exports", "onnx", "bytes", value="big"),
        ("bytes='big'", "'onnx'", "kzoo.export"),
    ),
    "a file without a checksum": (
        put("files", "a", value={"bytes": 1}),
        ("checksum", "'a'", "kzoo.export"),
    ),
} | {
    f"no {name}": (
        lambda document, name=name: document.pop(name),
        (NAMES.get(name, name), "kzoo.export"),
    )
    for name in list(WRITTEN)[1:]
}


@pytest.mark.parametrize("name", WRONG)
def test_a_malformed_manifest_is_refused_in_one_line(name, tmp_path):
    change, parts = WRONG[name]
    document = copy.deepcopy(WRITTEN)
    change(document)
    path = tmp_path / "kzoo.json"
    path.write_text(json.dumps(document))
    with pytest.raises(KzooError) as caught:
        _ = ExportedModel(tmp_path).name
    message = str(caught.value)
    assert_mentions(message, str(path))
    assert_mentions(message.replace(str(path), ""), *parts)
    assert message.isprintable()


def test_names_that_lead_out_of_the_folder():
    assert is_inside("model.keras") and is_inside("saved_model/1/variables/variables.index")
    for name in ("/etc/passwd", "../x", "a/../../x", "a//b", "./a", "..\\x", "C:x", "", "a/"):
        assert not is_inside(name), name


def test_an_entry_without_an_error_stores_none():
    assert "error" not in Entry(format="onnx", status="ok").json()


def test_a_manifest_that_was_changed_after_the_export_is_refused(tmp_path):
    """Such as with swapped labels. It holds a checksum of its other entries; without a checksum it opens as before."""
    classes = WRITTEN | {"labels": ["a", "b"]}
    Manifest.read(classes).write(tmp_path)
    file = tmp_path / "kzoo.json"
    written = json.loads(file.read_text())
    assert ExportedModel(tmp_path).config == classes
    for change in (
        lambda entries: entries["labels"].append("c"),
        lambda entries: entries["labels"].reverse(),
        lambda entries: entries.update(name="x"),
        lambda entries: entries["inputs"][0].update(meaning="x"),
        lambda entries: entries.update(sha256="0" * 64),
        lambda entries: entries.update(sha256=None),
        lambda entries: entries.update(origin={"source": "x"}),
    ):
        changed = copy.deepcopy(written)
        change(changed)
        file.write_text(json.dumps(changed))
        with refuses(str(file), "sha256", "folder"):
            _ = ExportedModel(tmp_path).name
    # another way to write it
    file.write_text(json.dumps(dict(reversed(written.items())), indent=3, ensure_ascii=True))
    assert ExportedModel(tmp_path).config == classes
    unsigned = {name: value for name, value in written.items() if name != "sha256"} | {
        "labels": ["b", "a"]
    }
    file.write_text(json.dumps(unsigned))
    assert ExportedModel(tmp_path).labels == ["b", "a"]
