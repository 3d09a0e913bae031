"""Refusals of the runtime, a line each: folders that are not exported models, altered files, inputs that do not fit."""

import hashlib
import json

import library
import numpy as np
import pytest
from messages import refuses
from onnx import TensorProto, helper, save

import kzoo
import kzoo.runtime
from kzoo.export.onnx_external_data import has_external_data


def assert_refused(call, *parts):
    with refuses(*parts) as caught:
        call()
    assert "\n" not in str(caught.value)


def copy(pair, path):
    library.copied(pair.exported, path)
    return path


def edit(exported, change):
    document = json.loads((exported / "kzoo.json").read_text())
    document.pop("sha256", None)  # of all else in it
    change(document)
    (exported / "kzoo.json").write_text(json.dumps(document))
    return exported


def put(exported, content):
    """Replace the bytes of the ONNX file, and its hash in the manifest."""
    (exported / "onnx" / "model.onnx").write_bytes(content)
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    return edit(exported, lambda document: document["files"].update({"onnx/model.onnx": entry}))


def test_other_folders_are_refused(tmp_path, values):
    load = kzoo.runtime.load
    assert_refused(
        lambda: load(tmp_path), str(tmp_path), "exported model", "no kzoo.json", "kzoo.export"
    )
    assert_refused(
        lambda: load(tmp_path / "nowhere"), str(tmp_path / "nowhere"), "exported model", "exist"
    )
    assert_refused(lambda: load(5), "5", "exported model")
    assert_refused(
        lambda: load(values.run.path), str(values.run.path), "exported model", "kzoo.json"
    )
    wrong = lambda: kzoo.predict(values.exported, np.ones((1, 10)))  # noqa: E731
    assert_refused(wrong, str(values.exported), "run", "kzoo predict", "kzoo.runtime.load")
    (tmp_path / "kzoo.json").write_text("{")
    assert_refused(lambda: load(tmp_path), str(tmp_path / "kzoo.json"), "not JSON", "export again")
    (tmp_path / "kzoo.json").write_text("[]")
    assert_refused(
        lambda: load(tmp_path), str(tmp_path / "kzoo.json"), "kzoo.export", "export again"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(inputs=[]),
        lambda d: d.update(outputs=[{"kind": "guess", "shape": [None, 1]}]),
        lambda d: d.update(labels=None),
        lambda d: d.update(exports={"onnx": "onnx/model.onnx"}),
        lambda d: d["spec"].pop("task"),
        lambda d: d.update(spec=[]),
        lambda d: d.update(preprocessing="table"),
        lambda d: d.update(preprocessing={"kind": "table"}),
        lambda d: d.update(preprocessing={"kind": "magic"}),
        lambda d: d.update(preprocessing={"kind": ["table"]}),
    ],
)
def test_a_changed_kzoo_json_is_refused(values, tmp_path, change):
    exported = edit(copy(values, tmp_path / "b"), change)
    assert_refused(
        lambda: kzoo.runtime.load(exported),
        str(exported / "kzoo.json"),
        "kzoo.export",
        "export again",
    )


def test_altered_files_are_refused(values, tmp_path):
    exported = copy(values, tmp_path / "b")
    file = exported / "onnx" / "model.onnx"
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    assert_refused(lambda: kzoo.runtime.load(exported), "model.onnx", "sha256")
    file.write_bytes(content[:99] + bytes([content[99] ^ 1]) + content[100:])
    assert_refused(lambda: kzoo.runtime.load(exported), "model.onnx", "sha256")
    file.unlink()
    assert_refused(lambda: kzoo.runtime.load(exported), "model.onnx", "No such file")
    (tmp_path / "elsewhere.onnx").write_bytes(content)
    file.symlink_to(tmp_path / "elsewhere.onnx")
    assert_refused(lambda: kzoo.runtime.load(exported), "model.onnx", "symbolic link")
    for name in ("../elsewhere.onnx", str(tmp_path / "elsewhere.onnx")):
        facts = {"sha256": hashlib.sha256(content).hexdigest()}
        edit(
            exported,
            lambda d, n=name, f=facts: (
                d["exports"]["onnx"].update(file=n),
                d["files"].update({n: f}),
            ),
        )
        assert_refused(
            lambda: kzoo.runtime.load(exported), f"'{name}'", "kzoo.json", "export again"
        )


def test_formats_that_cannot_be_run_are_refused(values, images, tmp_path):
    exported = copy(values, tmp_path / "b")
    assert_refused(lambda: kzoo.runtime.load(exported, "onnx_int8"), "format='onnx_int8'", "'onnx'")
    assert_refused(lambda: kzoo.runtime.load(exported, 8), "format=8", "onnx")
    failed = {"format": "onnx", "status": "failed", "error": "too few rows"}
    edit(exported, lambda d: d["exports"].update(onnx_int8=failed))
    assert_refused(
        lambda: kzoo.runtime.load(exported, "onnx_int8"), "format='onnx_int8'", "too few rows"
    )
    other = {"format": "keras", "status": "ok", "file": "keras/model.keras"}
    edit(exported, lambda d: d.update(exports={"keras": other}))
    assert_refused(
        lambda: kzoo.runtime.load(exported), "without Keras", "onnx", "litert", "formats='onnx'"
    )


def test_files_that_are_not_models_are_refused(values, images, tmp_path):
    for number, content in enumerate((b"", b"not a model", b"\x07" * 50, bytes(60))):
        exported = put(copy(values, tmp_path / f"b{number}"), content)
        assert_refused(lambda b=exported: kzoo.runtime.load(b), f"b{number}/onnx")
    exported = copy(images, tmp_path / "l")
    content = b"TFL3" * 9
    (exported / "litert" / "model.tflite").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    edit(exported, lambda d: d["files"]["litert/model.tflite"].update(sha256=digest))
    assert_refused(lambda: kzoo.runtime.load(exported, "litert"), "LiteRT", "l/litert")


def external_model(path, nested):
    """Write a model whose constant is in another file; nested: inside a branch of an If node."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    weight.ClearField("float_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../secret")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    weights = [weight]
    if nested:
        constant = helper.make_node("Constant", [], ["w"], value=weight)
        branch = helper.make_graph([constant, *nodes], "branch", [], [y])
        truth = helper.make_tensor("t", TensorProto.BOOL, [], [True])
        nodes = [helper.make_node("If", ["t"], ["y"], then_branch=branch, else_branch=branch)]
        weights = [truth]
    save(helper.make_model(helper.make_graph(nodes, "g", [x], [y], initializer=weights)), path)
    return path.read_bytes()


@pytest.mark.parametrize("nested", [False, True])
def test_weights_in_other_files_are_refused(values, tmp_path, nested):
    content = external_model(tmp_path / "external.onnx", nested)
    assert has_external_data(content)
    exported = put(copy(values, tmp_path / "b"), content)
    assert_refused(lambda: kzoo.runtime.load(exported), "b/onnx", "weights", "files")
    assert not has_external_data((values.exported / "onnx" / "model.onnx").read_bytes())


def retagged(content, tag, other, path=(7 << 3 | 2, 5 << 3 | 2)):
    """Write the tag of a field of the tensors at `path`, graph and initializer, in other bytes."""
    out = bytearray()
    offset = 0
    while offset < len(content):
        began = offset
        field, offset = read_varint(content, offset)
        written = content[began:offset]
        wire = field & 7
        if wire == 0:
            _, end = read_varint(content, offset)
            body = content[offset:end]
        else:
            length, offset = read_varint(content, offset)
            end = offset + length
            body = content[offset:end]
            if path and field == path[0]:
                body = retagged(body, tag, other, path[1:])
            body = varint(len(body)) + body
        out += (other if field == tag and not path else written) + body
        offset = end
    return bytes(out)


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def read_varint(content, offset):
    number = shift = 0
    while True:
        number |= (content[offset] & 127) << shift
        offset, shift = offset + 1, shift + 7
        if content[offset - 1] < 128:
            return number, offset


@pytest.mark.parametrize(
    "other",
    [
        varint((1 << 32) + (13 << 3 | 2)),
        varint((1 << 40) + (13 << 3 | 2)),
        bytes([0xEA, 0x80, 0x80, 0x80, 0x80, 0x00]),
    ],
    ids=["a bit above 32", "a bit far above", "six bytes"],
)
def test_tags_with_bits_above_32_are_refused(values, tmp_path, other):
    """The class of faults: two readers of a file, and the reader that checks sees less."""
    content = external_model(tmp_path / "external.onnx", nested=False)
    hidden = retagged(retagged(content, 13 << 3 | 2, other), 14 << 3, varint((1 << 32) + (14 << 3)))
    assert len(hidden) > len(content)
    exported = put(copy(values, tmp_path / "b"), hidden)
    assert_refused(lambda: kzoo.runtime.load(exported), "b/onnx", "ONNX file")


def test_inputs_that_do_not_fit_are_refused(images, rows, values, texts, series, sources, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG no image")
    load = {
        name: kzoo.runtime.load(pair.exported)
        for name, pair in dict(
            images=images, rows=rows, values=values, texts=texts, series=series
        ).items()
    }
    gap = np.full((2, 8, 2), 1.0)
    gap[1, 3, 0] = np.nan
    for name, inputs, *parts in (
        ("images", "a string", "image", "'a string'"),
        ("images", tmp_path / "bad.png", "bad.png"),
        ("images", [], "predict", "inputs"),
        ("images", np.ones(3), "(3,)"),
        ("images", np.full((1, 12, 12, 3), np.nan), "input 1", "NaN"),
        ("rows", [{"size": 1}], "'since'", "missing", "size"),
        ("rows", "nowhere.csv", "nowhere.csv"),
        ("rows", [[1, 2]], "dicts"),
        ("rows", np.ones((2, 3)), "3 columns", "11", "since"),
        ("values", np.ones((2, 3)), "3 columns", "10", "bmi"),
        ("values", [], "predict", "inputs"),
        ("values", np.array([[0.0] * 10, [np.inf] * 10]), "input 2", "infinity"),
        ("texts", 5, "string", "int"),
        ("texts", [], "predict", "inputs"),
        ("texts", [{"a": "x", "b": "y"}], "'text'", "missing", "a, b"),
        ("texts", np.full((1, 8), 10**6), "0", "42", "1000000"),
        ("texts", np.full((1, 8), -1), "0", "42", "-1"),
        ("series", [{"a": 1.0, "b": 2.0}], "8 rows", "1"),
        ("series", gap, "input 2", "NaN"),
        ("series", [{"a": None, "b": i} for i in range(9)], "'a'", "series", "number"),
    ):
        assert_refused(lambda n=name, i=inputs: load[n].predict(i), *parts)
    for size in (0, 2.5, True, "all"):
        assert_refused(
            lambda s=size: load["values"].predict(np.ones((1, 10)), batch_size=s),
            f"batch_size={size!r}",
            "1",
        )
    short = edit(copy(rows, tmp_path / "b"), lambda d: d.update(labels=["a", "b", "c"]))
    inputs = sources / "customers.csv"
    assert_refused(
        lambda: kzoo.runtime.load(short).predict(inputs),
        "tabular_fnn",
        "2",
        "kzoo.json",
        "3 labels",
    )


def test_the_command_refuses_with_exit_code_2(images, values, tmp_path, sources):
    from kzoo.cli import main

    for words in (
        ["predict", str(images.exported), "nowhere.png"],
        ["predict", str(images.exported), str(sources / "photos"), "--format", "onnx_int4"],
        ["predict", str(values.exported), "a.csv", "b.csv"],
        ["predict", str(values.run.path), "a.csv", "--format", "onnx"],
        ["predict", str(tmp_path), "a.csv"],
    ):
        assert main(words) == 2, words
