"""Exported models: files that answer as Keras does, and a folder that describes itself."""

import getpass
import json
import shutil
import socket
import unicodedata
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses

import kzoo
import kzoo.runtime
from kzoo.data.named import NAMES, ORIGINS
from kzoo.export import tf_tokenizer
from kzoo.export.card import card as card_of
from kzoo.export.export_source import ConversionJob, export_source
from kzoo.export.formats import formats
from kzoo.utils.files import described


@pytest.fixture(params=["digits_exported", "text_exported", "table_exported"])
def exported(request):
    return request.getfixturevalue(request.param)


def test_every_format_answers_as_keras_does(exported):
    for key in {entry["format"] for entry in exported.exports.values()}:
        entry = exported.exports[key]
        assert (entry["status"], entry.get("error")) == ("ok", None), key
        assert entry["difference"] <= 1e-4
        assert entry["bytes"] > 1000
        assert exported.file(key).exists()
        assert entry["latency_ms"]["1"] > 0
    assert exported.config["predict_ms"]["1"] > exported.exports["onnx"]["latency_ms"]["1"]
    assert exported.damage() == []


def test_golden_inputs_are_one_and_seven_rows_with_the_edges_among_them(
    digits_exported, text_exported
):
    with np.load(digits_exported.path / "golden.npz") as arrays:
        assert {name: arrays[name].shape for name in arrays} == {
            "x_1": (1, 8, 8, 1),
            "x_7": (7, 8, 8, 1),
            "y_1": (1, 10),
            "y_7": (7, 10),
        }
        assert arrays["x_7"][0].max() == 0 and arrays["x_7"][1].min() == 255
    with np.load(text_exported.path / "golden.npz") as arrays:
        assert sorted((arrays["x_7"] != 0).sum(axis=1))[:2] == [0, 1]
        assert (arrays["x_7"] != 0).sum(axis=1).max() == 12
        assert arrays["x_7"].max() < text_exported.spec["config"]["vocabulary_size"]


def test_a_saved_model_has_the_layout_of_tensorflow_serving_and_each_weight_once(text_exported):
    tf = pytest.importorskip("tensorflow")
    folder = text_exported.path / "saved_model"
    assert [p.name for p in folder.iterdir()] == ["1"]
    stored = sum(p.stat().st_size for p in (folder / "1" / "variables").iterdir())
    assert stored < 1.5 * 4 * text_exported.config["parameters"]
    serve = tf.saved_model.load(str(folder / "1")).signatures["serving_default"]
    assert list(serve.structured_input_signature[1]) == ["tokens"]
    assert list(serve.structured_outputs) == ["probabilities"]


def test_onnx_has_named_ends_and_a_free_batch(digits_exported):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(digits_exported.file("onnx"))
    (input_,), (answer,) = session.get_inputs(), session.get_outputs()
    assert (input_.name, input_.shape) == ("image", ["batch", 8, 8, 1])
    assert (answer.name, answer.shape) == ("probabilities", ["batch", 10])


def test_smaller_files_are_smaller_and_hardly_worse(digits_exported):
    for name in ("onnx", "litert"):
        full = digits_exported.exports[name]
        # the graph itself is a large part of so small a net
        for quantize, size in (("float16", 0.6), ("int8", 0.5)):
            entry = digits_exported.exports[f"{name}_{quantize}"]
            assert (entry["status"], entry.get("error")) == ("ok", None)
            assert entry["bytes"] < size * full["bytes"]
            assert entry["agreement"] >= 0.98
            assert entry["score"] >= full["score"] - 0.01


def integer_factors(file):
    """Return the 8-bit weights of an ONNX file that are multiplied as integers, and the operation of each."""
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(file).graph
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = {
        name: array
        for name, array in arrays.items()
        if array.dtype.itemsize == 1 and array.ndim > 1
    }
    readers = [
        (node.op_type, name) for node in graph.node for name in node.input if name in weights
    ]
    return [
        (operation, weights[name])
        for operation, name in readers
        if operation not in ("Cast", "Gather")
    ]


@pytest.mark.parametrize(
    ("preset", "small", "operations"),
    [
        ("digits_cnn", dict(filters=(8, 16), units=(32,)), {"DequantizeLinear"}),
        ("tabular_fnn", dict(input_shape=(6,), units=(32,)), {"MatMulInteger"}),
        (
            "text_lstm",
            dict(input_shape=(12,), vocabulary_size=40, units=(16,)),
            {"DynamicQuantizeLSTM", "MatMulInteger"},
        ),
    ],
)
def test_no_product_of_int8_weights_can_saturate(preset, small, operations, tmp_path):
    """Without VNNI, x86 adds two products of an unsigned and a signed 8-bit number in 16 bits."""
    model = kzoo.build(preset, seed=0, **small)
    options = dict(quantize="int8", verify=False, progress=False)
    exported = kzoo.export(model, tmp_path / "exported", "onnx", **options)
    factors = integer_factors(exported.file("onnx_int8"))
    assert {operation for operation, _ in factors} == operations
    for operation, weights in factors:
        largest = np.abs(weights.astype(int)).max()
        assert largest >= 32 and 2 * 255 * largest < 2**15, operation


def test_formats_are_added_on_another_processor_and_not_to_other_weights(
    digits_run, digits_exported, tmp_path
):
    """Golden answers of another processor differ in their last bits."""
    golden = dict(np.load(digits_exported.path / "golden.npz"))
    rounded = {name: golden[name] * np.float32(1 + 3e-7) for name in ("y_1", "y_7")}
    other = {name: np.roll(golden[name], 1, axis=-1) for name in ("y_1", "y_7")}
    for name, answers in (("rounded", rounded), ("other", other)):
        shutil.copytree(digits_exported.path, tmp_path / name)
        np.savez(tmp_path / name / "golden.npz", **golden | answers)
    assert not np.array_equal(rounded["y_7"], golden["y_7"])
    exported = kzoo.export(digits_run, tmp_path / "rounded", "keras", verify=False, progress=False)
    assert set(exported.exports) == {*digits_exported.exports, "keras"} and exported.damage() == []
    with refuses(str(tmp_path / "other"), "weights", "overwrite=True"):
        kzoo.export(digits_run, tmp_path / "other", "keras", verify=False, progress=False)


def test_float16_keeps_the_digits_of_large_numbers(tmp_path):
    random = np.random.default_rng(0)
    x = np.stack([random.uniform(1.6e9, 1.601e9, 200), random.normal(size=200)], axis=1).astype(
        "float32"
    )
    edges = np.concatenate([np.linspace(1.6e9, 1.601e9, 41), np.linspace(-3, 3, 41)]).tolist()
    small = dict(
        units=(8,), members=2, bins=40, bins_dim=2, edges=edges, outputs=1, output_activation=None
    )
    model = kzoo.build("tabular_tabm", compile=False, seed=0, input_shape=(2,), **small)
    exported = kzoo.export(
        model, tmp_path / "exported", ["onnx", "litert"], quantize="float16", data=x, progress=False
    )
    assert {key: entry.get("error") for key, entry in exported.exports.items()} == dict.fromkeys(
        exported.exports
    )
    assert min(entry["agreement"] for entry in exported.exports.values()) > 0.999


@pytest.mark.filterwarnings("ignore:.*2 of 4 texts")
def test_strings_get_the_answers_of_predict(text_run, text_exported):
    tf = pytest.importorskip("tensorflow")
    assert text_exported.exports["saved_model"]["signatures"] == [
        "serve_strings",
        "serving_default",
    ]
    serve = tf.saved_model.load(str(text_exported.file("saved_model"))).signatures["serve_strings"]
    texts = ["The ending was NOT good!", "a villain, quite really worth it", "", "café 好 naïve"]
    answers = serve(text=tf.constant(texts))["probabilities"].numpy()
    assert np.abs(answers - kzoo.predict(text_run, texts).probabilities).max() < 1e-5


@pytest.mark.filterwarnings("ignore:.* texts? .*row")
def test_a_bag_of_ngrams_answers_raw_sentences_in_every_format(ngrams_run, ngrams_exported):
    tf = pytest.importorskip("tensorflow")
    assert {entry.get("error") for entry in ngrams_exported.exports.values()} == {None}
    more = [unicodedata.normalize("NFD", text) for text in ("a naïve café, a naïve", "bad café")]
    texts = [
        *tf_tokenizer.sentences(ngrams_run.preprocessing),
        "not good not good",
        "好吃不好",
        *more,
    ]
    expected = kzoo.predict(ngrams_run, texts).probabilities
    assert np.ptp(expected[:, 0]) > 0.3
    for key in ("onnx", "litert"):
        answers = kzoo.runtime.load(ngrams_exported, key).predict(texts).probabilities
        np.testing.assert_allclose(answers, expected, atol=1e-5)
    serve = tf.saved_model.load(str(ngrams_exported.file("saved_model"))).signatures[
        "serve_strings"
    ]
    np.testing.assert_allclose(
        serve(text=tf.constant(texts))["probabilities"].numpy(), expected, atol=1e-5
    )


def test_the_runtime_answers_like_the_run(table_run, table, table_exported):
    expected = kzoo.predict(table_run, table)
    for opened in (table_exported, table_exported.path):
        answers = kzoo.runtime.load(opened).predict(table)
        assert answers.labels == expected.labels and answers.inputs == expected.inputs
        np.testing.assert_allclose(answers.values, expected.values, rtol=1e-4)


def test_a_row_far_from_the_others_leaves_their_answers_alone(table, table_exported, tmp_path):
    """ONNX Runtime has a single scale for a batch: a row in another unit changed 22 of 99 other rows."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path / "exported"
    shutil.copytree(table_exported.path, folder)
    file = folder / "onnx" / "model_int8.onnx"
    formats()["onnx"].write(SimpleNamespace(like="fnn"), file, "int8")
    manifest = json.loads((folder / "kzoo.json").read_text())
    manifest.pop("sha256", None)
    name = file.relative_to(folder).as_posix()
    manifest["exports"]["onnx_int8"] = manifest["exports"]["onnx"] | {
        "file": name,
        "quantize": "int8",
    }
    manifest["files"][name] = described(file)
    (folder / "kzoo.json").write_text(json.dumps(manifest))
    model = kzoo.runtime.load(folder, "onnx_int8")
    rows = table.head(20)
    far = pd.concat([rows, rows.head(1).assign(rooms=4e6)])
    np.testing.assert_array_equal(model.predict(far).values[:20], model.predict(rows).values)


def test_a_model_built_for_data_is_exported_with_its_preprocessing(table):
    dear = np.where(table["price"] > 3e5, "yes", "no")
    data = kzoo.load_data(table.drop(columns="price").assign(dear=dear), target="dear")
    model = kzoo.build("tabular_fnn", data=data, units=(4,), seed=0)
    assert export_source(model).run is None
    kzoo.fit_arguments(model, data, epochs=1, progress=False)
    job = ConversionJob.of(subject := export_source(model), Path("a"), Path("b"), version=1)
    assert (subject.labels, subject.kind, job.run) == (("no", "yes"), "probabilities", None)
    assert job.preprocessing == data.preprocessing and subject.model is model


def test_answers_follow_the_loss_of_the_training_not_of_the_preset(digits_run, tmp_path):
    shutil.copytree(digits_run.path, tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    # of hinge, by `compile`
    (tmp_path / "run" / "config.json").write_text(json.dumps(config | {"answers": "scores"}))
    assert (export_source(digits_run).kind, export_source(tmp_path / "run").kind) == (
        "probabilities",
        "scores",
    )


@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_the_runtime_names_the_classes_of_the_run(digits_run, digits_exported, format):
    x = kzoo.load_data("digits").test.x[:20]
    answers = kzoo.runtime.load(digits_exported, format).predict(x)
    expected = kzoo.predict(digits_run, x)
    assert len(set(expected.labels)) > 1
    assert answers.labels == expected.labels and answers.class_names == expected.class_names
    np.testing.assert_allclose(answers.probabilities, expected.probabilities, atol=1e-5)


def test_a_recurrent_network_for_litert_takes_one_row_at_a_time(text_exported):
    assert text_exported.exports["litert"]["batch"] == 1
    assert text_exported.exports["litert"]["latency_ms"]["32"] is None


def test_values_come_in_the_unit_of_the_target(table_exported):
    assert table_exported.config["outputs"] == [
        {"name": "values", "shape": [None, 1], "kind": "values"}
    ]
    with np.load(table_exported.path / "golden.npz") as arrays:
        assert 50_000 < np.median(arrays["y_7"]) < 1_000_000


def test_the_exported_model_describes_itself(digits_run, digits_exported):
    again = kzoo.ExportedModel(str(digits_exported.path))
    assert again.name == "digits_cnn"
    assert again.labels == [str(i) for i in range(10)]
    assert again.labels == json.loads((again.path / "labels.json").read_text())
    assert again.preprocessing == digits_run.preprocessing
    for of in (again, again.path, str(again.path)):
        assert kzoo.spec_of(of)["config"] == json.loads(
            json.dumps(kzoo.spec_of(digits_run)["config"])
        )
    config = again.config
    assert config["format_version"] == 1
    assert config["metrics"]["test"]["accuracy"] == digits_run.summary["test"]["accuracy"]
    assert config["data"]["name"] == "digits"
    card = (again.path / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: kzoo\npipeline_tag: image-classification\n")
    assert "    - type: accuracy\n      value: " in card
    assert "onnx/model_int8.onnx" in card


def test_the_card_names_data_licence_baseline_and_limits(digits_run, digits_exported):
    card = " ".join((digits_exported.path / "README.md").read_text().split())
    data, test = digits_run.config["data"], digits_run.summary["test"]
    assert_mentions(
        card, f"{data['train']:,} examples", "digits", f"{data['validation']}", "validation"
    )
    assert_mentions(card, "https://archive.ics.uci.edu/dataset/80", "licence", "CC BY 4.0")
    assert_mentions(card, "test", f"accuracy {test['accuracy']:.4g}", "limits", "10 classes")
    manifest = digits_exported.manifest
    simple = dict(
        name="simple", label="something simple", split="test", metric="accuracy", notes=[]
    )
    better, worse = (
        card_of(replace(manifest, baselines=[simple | dict(scores=dict(accuracy=value))]))
        for value in (1.0, 0.0)
    )
    assert_mentions(better, "accuracy", "something simple 100.0%")
    assert_mentions(worse, "accuracy", "something simple 0.0%")
    # with a warning that the network is no better
    assert len(better.replace("100.0%", "0.0%")) > len(worse)
    without_origin = card_of(replace(manifest, origin={}))
    assert_mentions(without_origin, "licence")
    assert "CC BY" not in without_origin and "archive.ics" not in without_origin
    without_data = card_of(replace(manifest, data=None))
    assert_mentions(without_data, "data", "trained")
    assert f"{data['train']:,}" not in without_data


def test_every_named_data_set_has_a_source_and_a_licence():
    assert set(ORIGINS) == set(NAMES) and all(
        source and licence for source, licence in ORIGINS.values()
    )


def test_requirements_list_the_packages_of_the_formats(text_exported):
    needed = {
        line.split(">=")[0]
        for line in (text_exported.path / "requirements.txt").read_text().splitlines()
    }
    assert {"onnxruntime", "ai-edge-litert", "tensorflow"} <= needed


def test_nothing_inside_names_this_machine(exported, home):
    here = {str(home), str(Path(kzoo.__file__).parent), f"{Path.home()}/", f"/{getpass.getuser()}/"}
    if len(socket.gethostname()) > 5:  # a shorter one is in any weights by chance
        here.add(socket.gethostname())
    for file in exported.path.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert not [text for text in here if text.encode() in content], file.name


def test_the_weights_are_those_of_the_run(digits_run, digits_exported):
    model = kzoo.build("digits_cnn", filters=(8, 16), units=(256,), compile=False)
    model.load_weights(digits_exported.path / "model.weights.h5")
    for mine, theirs in zip(model.get_weights(), digits_run.model.get_weights(), strict=True):
        assert np.array_equal(mine, theirs)
