"""`kzoo check EXPORTED` and `ExportedModel`: the comparison again, and everything that was altered is found."""

import json
import shutil

import pytest

import kzoo
from kzoo.cli import main
from kzoo.exported import described
from kzoo.utils import optional


@pytest.fixture
def copy(table_exported, tmp_path):
    shutil.copytree(table_exported.path, tmp_path / "copy")
    return tmp_path / "copy"


def without(path, *keys):
    """Leave an exported model fewer exports."""
    config = json.loads((path / "kzoo.json").read_text())
    config.pop("sha256", None)  # of all else in it
    for key in keys:
        config["exports"].pop(key)
    (path / "kzoo.json").write_text(json.dumps(config))


def test_check_finds_an_edited_byte_and_checks_the_rest(copy, capsys):
    file = copy / "onnx" / "model.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert main(["check", str(copy), "--json"]) == 1
    exports = json.loads(capsys.readouterr().out)["exports"]
    assert exports["onnx"]["status"] == "failed"
    assert "its bytes are not those of the export" in exports["onnx"]["error"]
    assert exports["onnx"]["difference"] is None
    assert exports["litert"]["status"] == "ok"
    assert exports["litert"]["difference"] <= 1e-4


def test_check_compares_answers_and_not_only_bytes(copy):
    """Other weights, manifest and all, are found by their answers."""
    onnx = pytest.importorskip("onnx")
    without(copy, "litert")
    file = copy / "onnx" / "model.onnx"
    proto = onnx.load(file)
    bias = next(tensor for tensor in proto.graph.initializer if list(tensor.dims) == [8])
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + 1, bias.name))
    onnx.save(proto, file)
    config = json.loads((copy / "kzoo.json").read_text())
    config.pop("sha256", None)
    config["files"]["onnx/model.onnx"] = described(file)
    (copy / "kzoo.json").write_text(json.dumps(config))
    entry = kzoo.ExportedModel(copy).check()["onnx"]
    assert entry["status"] == "failed"
    assert "differs from Keras" in entry["error"]


def test_lost_and_added_files_are_named(copy):
    (copy / "labels.json").write_text("[]")
    (copy / "golden.npz").unlink()
    exported = kzoo.ExportedModel(copy)
    assert exported.damage() == ["golden.npz: missing", "labels.json: not in kzoo.json"]
    with pytest.raises(kzoo.KzooError, match=r"golden\.npz: missing"):
        exported.check()


def test_a_runtime_that_is_missing_is_named_with_what_installs_it(copy, monkeypatch):
    without(copy, "litert")
    monkeypatch.setattr(optional, "find_spec", lambda name: None)
    with pytest.raises(kzoo.KzooError, match=r'onnxruntime.*pip install "kzoo\[onnx\]"'):
        kzoo.ExportedModel(copy).check()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda file: file.write_text("{"), "is damaged: it is not JSON"),
        (lambda file: file.write_text("[1]"), "is not the one that kzoo.export writes"),
        (lambda file: file.unlink(), "is not an exported model: it has no kzoo.json"),
        (
            lambda file: file.write_text(json.dumps(json.loads(file.read_text()) | {"format_version": 2})),
            "has format_version 2, and this kzoo reads 1",
        ),
    ],
)
def test_what_is_not_an_exported_model_is_refused(copy, spoil, says):
    spoil(copy / "kzoo.json")
    with pytest.raises(kzoo.KzooError, match=says):
        _ = kzoo.ExportedModel(copy).config


def test_a_missing_export_names_those_that_are_there(table_exported):
    with pytest.raises(kzoo.KzooError, match=r"has no onnx_int8 file\. It has: onnx, litert"):
        table_exported.file("onnx_int8")
