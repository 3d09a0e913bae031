"""`kzoo check EXPORTED` and `ExportedModel`: the comparison again; files that were altered, lost or added are named."""

import json
import shutil

import pytest
from messages import assert_mentions, refuses

import kzoo
from kzoo.cli import main
from kzoo.utils import optional
from kzoo.utils.files import described


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
    assert_mentions(exports["onnx"]["error"], "onnx/model.onnx", "changed")
    assert exports["onnx"]["difference"] is None
    assert exports["litert"]["status"] == "ok"
    assert exports["litert"]["difference"] <= 1e-4


def test_check_compares_answers_and_not_only_bytes(copy):
    """Other weights, with a manifest that fits them, differ in their answers."""
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
    assert_mentions(
        entry["error"], "Keras", f"{entry['difference']:.2g}", f"{entry['tolerance']:g}"
    )


def test_lost_and_added_files_are_named(copy):
    (copy / "labels.json").write_text("[]")
    (copy / "golden.npz").unlink()
    exported = kzoo.ExportedModel(copy)
    lost, added = exported.damage()
    assert_mentions(lost, "golden.npz", "missing")
    assert_mentions(added, "labels.json", "kzoo.json")
    with refuses("golden.npz", "missing"):
        exported.check()


def test_a_runtime_that_is_missing_is_named_with_what_installs_it(copy, monkeypatch):
    without(copy, "litert")
    find_spec = optional.find_spec

    def hide(*names):
        monkeypatch.setattr(
            optional, "find_spec", lambda name: None if name in names else find_spec(name)
        )

    hide("onnxruntime")
    with refuses("onnxruntime", 'pip install "kzoo[onnx]"'):
        kzoo.ExportedModel(copy).check()
    hide("onnxruntime", "keras")  # the extra would bring TensorFlow
    assert optional.missing("onnxruntime", "onnx").endswith("pip install onnxruntime")


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (lambda file: file.write_text("{"), ("kzoo.json", "not JSON")),
        (lambda file: file.write_text("[1]"), ("kzoo.json", "kzoo.export", "export again")),
        (lambda file: file.unlink(), ("no kzoo.json", "kzoo.export")),
        (
            lambda file: file.write_text(
                json.dumps(json.loads(file.read_text()) | {"format_version": 2})
            ),
            ("kzoo.json", "format_version", "2", "1", "update kzoo"),
        ),
    ],
)
def test_a_folder_without_a_valid_kzoo_json_is_refused(copy, spoil, parts):
    spoil(copy / "kzoo.json")
    with refuses(*parts):
        _ = kzoo.ExportedModel(copy).config


def test_a_missing_export_names_those_that_are_there(table_exported):
    with refuses("onnx_int8", "onnx", "litert"):
        table_exported.file("onnx_int8")
