"""What the runtime refuses: folders that are not exported models, altered files, unfit inputs; one line each."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from onnx import TensorProto, helper, save

import kzoo
import kzoo.runtime
from kzoo.export.external import has_external_data


def refused(call, *says):
    with pytest.raises(kzoo.KzooError) as caught:
        call()
    text = str(caught.value)
    assert all(word in text for word in says) and "\n" not in text, text


def copy(pair, path):
    shutil.copytree(pair.exported, path)
    return path


def edit(exported, change):
    document = json.loads((exported / "kzoo.json").read_text())
    document.pop("sha256", None)  # of all else in it
    change(document)
    (exported / "kzoo.json").write_text(json.dumps(document))
    return exported


def put(exported, content):
    """Put other bytes in place of the ONNX file, and their hash into the manifest."""
    (exported / "onnx" / "model.onnx").write_bytes(content)
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    return edit(exported, lambda document: document["files"].update({"onnx/model.onnx": entry}))


def test_what_is_not_an_exported_model(tmp_path, values):
    load = kzoo.runtime.load
    refused(lambda: load(tmp_path), "is not an exported model", "kzoo.json")
    refused(lambda: load(tmp_path / "nowhere"), "is not an exported model", "does not exist")
    refused(lambda: load(5), "5")
    refused(lambda: load(values.run.path), "is not an exported model")
    wrong = lambda: kzoo.predict(values.exported, np.ones((1, 10)))  # noqa: E731
    refused(wrong, "is an exported model, not a run", "kzoo.runtime.load")
    (tmp_path / "kzoo.json").write_text("{")
    refused(lambda: load(tmp_path), "not JSON")
    (tmp_path / "kzoo.json").write_text("[]")
    refused(lambda: load(tmp_path), "kzoo.export writes")


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
def test_a_description_that_kzoo_did_not_write(values, tmp_path, change):
    exported = edit(copy(values, tmp_path / "b"), change)
    refused(lambda: kzoo.runtime.load(exported), "kzoo.json", "kzoo.export writes")


def test_files_that_were_altered(values, tmp_path):
    exported = copy(values, tmp_path / "b")
    file = exported / "onnx" / "model.onnx"
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    refused(lambda: kzoo.runtime.load(exported), "model.onnx", "sha256")
    file.write_bytes(content[:99] + bytes([content[99] ^ 1]) + content[100:])
    refused(lambda: kzoo.runtime.load(exported), "model.onnx", "sha256")
    file.unlink()
    refused(lambda: kzoo.runtime.load(exported), "model.onnx", "cannot be read")
    (tmp_path / "elsewhere.onnx").write_bytes(content)
    file.symlink_to(tmp_path / "elsewhere.onnx")
    refused(lambda: kzoo.runtime.load(exported), "symbolic link")
    for name in ("../elsewhere.onnx", str(tmp_path / "elsewhere.onnx")):
        facts = {"sha256": hashlib.sha256(content).hexdigest()}
        edit(exported, lambda d, n=name, f=facts: (d["exports"]["onnx"].update(file=n), d["files"].update({n: f})))
        refused(lambda: kzoo.runtime.load(exported), "is not among the files")


def test_formats_that_cannot_be_run(values, images, tmp_path):
    exported = copy(values, tmp_path / "b")
    refused(lambda: kzoo.runtime.load(exported, "onnx_int8"), "'onnx_int8'", "Did you mean 'onnx'")
    refused(lambda: kzoo.runtime.load(exported, 8), "8", "It has: onnx")
    failed = {"format": "onnx", "status": "failed", "error": "too few rows"}
    edit(exported, lambda d: d["exports"].update(onnx_int8=failed))
    refused(lambda: kzoo.runtime.load(exported, "onnx_int8"), "it was not exported: too few rows.")
    other = {"format": "keras", "status": "ok", "file": "keras/model.keras"}
    edit(exported, lambda d: d.update(exports={"keras": other}))
    refused(lambda: kzoo.runtime.load(exported), "no file that runs without Keras", "only: keras", "formats='onnx'")


def test_files_that_are_no_models(values, images, tmp_path):
    for number, content in enumerate((b"", b"not a model", b"\x07" * 50, bytes(60))):
        exported = put(copy(values, tmp_path / f"b{number}"), content)
        refused(lambda b=exported: kzoo.runtime.load(b), "onnx")
    exported, content = copy(images, tmp_path / "l"), b"TFL3" * 9
    (exported / "litert" / "model.tflite").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    edit(exported, lambda d: d["files"]["litert/model.tflite"].update(sha256=digest))
    refused(lambda: kzoo.runtime.load(exported, "litert"), "LiteRT cannot open")


def external_model(path, nested):
    """Write a model whose constant is in another file; nested: inside a branch of an If node."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    weight.ClearField("float_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../secret")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    nodes, weights = [helper.make_node("Add", ["x", "w"], ["y"])], [weight]
    if nested:
        constant = helper.make_node("Constant", [], ["w"], value=weight)
        branch = helper.make_graph([constant, *nodes], "branch", [], [y])
        truth = helper.make_tensor("t", TensorProto.BOOL, [], [True])
        nodes, weights = [helper.make_node("If", ["t"], ["y"], then_branch=branch, else_branch=branch)], [truth]
    save(helper.make_model(helper.make_graph(nodes, "g", [x], [y], initializer=weights)), path)
    return path.read_bytes()


@pytest.mark.parametrize("nested", [False, True])
def test_weights_in_other_files(values, tmp_path, nested):
    content = external_model(tmp_path / "external.onnx", nested)
    assert has_external_data(content)
    exported = put(copy(values, tmp_path / "b"), content)
    refused(lambda: kzoo.runtime.load(exported), "weights from other files")
    assert not has_external_data((values.exported / "onnx" / "model.onnx").read_bytes())


def retagged(content, tag, other, path=(7 << 3 | 2, 5 << 3 | 2)):
    """Write the tag of a field of the tensors at `path`, graph and initializer, in other bytes."""
    out, place = bytearray(), 0
    while place < len(content):
        began = place
        found, place = read_varint(content, place)
        written = content[began:place]
        wire = found & 7
        if wire == 0:
            _, end = read_varint(content, place)
            body = content[place:end]
        else:
            length, place = read_varint(content, place)
            end = place + length
            body = content[place:end]
            if path and found == path[0]:
                body = retagged(body, tag, other, path[1:])
            body = varint(len(body)) + body
        out += (other if found == tag and not path else written) + body
        place = end
    return bytes(out)


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def read_varint(content, place):
    number = shift = 0
    while True:
        number |= (content[place] & 127) << shift
        place, shift = place + 1, shift + 7
        if content[place - 1] < 128:
            return number, place


@pytest.mark.parametrize(
    "other",
    [varint((1 << 32) + (13 << 3 | 2)), varint((1 << 40) + (13 << 3 | 2)), bytes([0xEA, 0x80, 0x80, 0x80, 0x80, 0x00])],
    ids=["a bit above 32", "one far above", "six bytes"],
)
def test_tags_that_one_reader_cuts_off_and_another_does_not(values, tmp_path, other):
    """The class of faults: two readers of one file, and the one that checks sees less."""
    content = external_model(tmp_path / "external.onnx", nested=False)
    hidden = retagged(retagged(content, 13 << 3 | 2, other), 14 << 3, varint((1 << 32) + (14 << 3)))
    assert len(hidden) > len(content)
    exported = put(copy(values, tmp_path / "b"), hidden)
    refused(lambda: kzoo.runtime.load(exported), "is not an ONNX file")


def test_inputs_that_do_not_fit(images, rows, values, texts, series, home, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG no image")
    load = {name: kzoo.runtime.load(pair.exported) for name, pair in
            dict(images=images, rows=rows, values=values, texts=texts, series=series).items()}  # fmt: skip
    gap = np.full((2, 8, 2), 1.0)
    gap[1, 3, 0] = np.nan
    for name, inputs, *says in (
        ("images", "a string", "a string"),
        ("images", tmp_path / "bad.png", "bad.png"),
        ("images", [], "no inputs"),
        ("images", np.ones(3), "(3,)"),
        ("images", np.full((1, 12, 12, 3), np.nan), "Input 1", "NaN"),
        ("rows", [{"size": 1}], "is missing"),
        ("rows", "nowhere.csv", "nowhere.csv"),
        ("rows", [[1, 2]], "dicts"),
        ("rows", np.ones((2, 3)), "3 columns"),
        ("values", np.ones((2, 3)), "3 columns"),
        ("values", [], "no inputs"),
        ("values", np.array([[0.0] * 10, [np.inf] * 10]), "Input 2", "infinity"),
        ("texts", 5, "int"),
        ("texts", [], "no inputs"),
        ("texts", [{"a": "x", "b": "y"}], "is missing"),
        ("texts", np.full((1, 8), 10**6), "1000000"),
        ("texts", np.full((1, 8), -1), "-1"),
        ("series", [{"a": 1.0, "b": 2.0}], "last 8 rows; got 1"),
        ("series", gap, "Input 2", "NaN"),
        ("series", [{"a": None, "b": i} for i in range(9)], "Column 'a' of the series holds no number"),
    ):
        refused(lambda n=name, i=inputs: load[n].predict(i), *says)
    for size in (0, 2.5, True, "all"):
        refused(lambda s=size: load["values"].predict(np.ones((1, 10)), batch_size=s), "batch_size")
    short = edit(copy(rows, tmp_path / "b"), lambda d: d.update(labels=["a", "b", "c"]))
    inputs = home / "customers.csv"
    refused(lambda: kzoo.runtime.load(short).predict(inputs), "3 labels")


def test_the_command_line(images, values, tmp_path):
    from kzoo.cli import main

    for words in (
        ["predict", str(images.exported), "nowhere.png"],
        ["predict", str(images.exported), str(images.photos), "--format", "onnx_int4"],
        ["predict", str(values.exported), "a.csv", "b.csv"],
        ["predict", str(values.run.path), "a.csv", "--format", "onnx"],
        ["predict", str(tmp_path), "a.csv"],
    ):
        assert main(words) == 2, words
