"""Trained weights in the package: each matches the index, answers without training, and can start a training.

The samples in this folder are a few test examples of each, written with it by `recipes/weights.py`.
"""

import configparser
import hashlib
import io
import json
import math
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from messages import assert_mentions, refuses, warns
from PIL import Image
from shortcuts import untraced

import kzoo
from kzoo.cli import main
from kzoo.runtime import load
from kzoo.zoo import weights
from kzoo.zoo.loading import weights_by_name
from kzoo.zoo.results import baselines
from kzoo.zoo.weights.packaged import PretrainedWeights

HERE = Path(__file__).parent
ENTRIES = {f"{entry.preset}-{entry.name}": entry for entry in weights.entries()}
# The settings of a network that follow from its data, its reading and its training. All others are those of the
# preset, except dropout, which does not change answers.
FOLLOWS = {
    "inputs",
    "input_shape",
    "outputs",
    "output_activation",
    "vocabulary_size",
    "horizon",
    "scale",
    "offset",
    "target_scale",
    "target_offset",
}


def sample_of(name):
    return next(path for path in HERE.glob(f"{name}.*"))


def digit():
    with np.load(HERE / "digits_cnn-digits.npz") as sample:
        return sample["x"][5], str(sample["y"][5])


# The files in the package


@pytest.mark.parametrize("name", ENTRIES)
def test_a_file_matches_its_entry_in_the_index(name):
    entry = ENTRIES[name]
    content = entry.path.read_bytes()
    assert (
        hashlib.sha256(content).hexdigest() == entry.sha256
        and len(content) == entry.bytes <= 4_000_000
    )
    assert entry.file == f"{name}.npz" and entry.source.startswith(
        ("https://", "kzoo itself makes it")
    )
    assert (
        entry.data and entry.licence and entry.command and entry.beside and entry.versions["keras"]
    )


def test_the_package_holds_all_of_them_and_nothing_else():
    files = {
        path.name
        for path in weights.FOLDER.iterdir()
        if path.suffix not in (".py", "") and path.is_file()
    }
    assert files == {"index.json", *(entry.file for entry in ENTRIES.values())}
    assert 0 < sum(entry.bytes for entry in ENTRIES.values()) <= 16_000_000
    setup = configparser.ConfigParser()
    setup.read(HERE.parent.parent / "setup.cfg", encoding="utf-8")
    patterns = setup["options.package_data"]["kzoo"].split()
    packed = {path.name for pattern in patterns for path in weights.FOLDER.parents[1].glob(pattern)}
    assert files <= packed


@pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning")
@pytest.mark.parametrize("name", ENTRIES)
def test_its_scores_on_the_sample_are_those_in_the_index(name, capsys):
    entry = ENTRIES[name]
    scores = kzoo.evaluate(entry.preset, sample_of(name), weights=entry.name)
    assert entry.line in capsys.readouterr().err
    assert_mentions(
        entry.line, entry.preset, repr(entry.name), f"{entry.examples:,}", entry.data, entry.licence
    )
    count = "tokens" if "tokens" in scores else "examples"
    assert entry.sample[count] == scores[count] > 20
    for metric, value in entry.sample.items():
        if isinstance(value, float):
            assert math.isclose(scores[metric], value, rel_tol=1e-3, abs_tol=1e-4), metric


def test_the_index_has_the_scores_of_the_baselines():
    for name, entry in ENTRIES.items():
        assert baselines.values(PretrainedWeights(entry.preset, entry.name).summary) == dict(
            entry.beside
        ), name


def test_the_scores_on_a_named_data_set_are_those_in_the_index():
    scores = kzoo.evaluate("digits_cnn")
    entry = ENTRIES["digits_cnn-digits"]
    assert scores["examples"] == entry.scores["examples"]
    assert (
        math.isclose(scores["accuracy"], entry.scores["accuracy"])
        and entry.scores["accuracy"] > 0.99
    )


@pytest.mark.parametrize("name", ENTRIES)
def test_rounding_does_not_change_the_score(name):
    entry = ENTRIES[name]
    before, after = (
        kzoo.zoo.results.value_of(scores, entry.metric)
        for scores in (entry.unrounded, entry.scores)
    )
    assert math.isclose(before, after, rel_tol=1e-3)
    simple = (min if kzoo.problems.tasks.score_named(entry.metric).best == "min" else max)(
        entry.beside.values()
    )
    assert simple is not None  # each score has a baseline


# Its data could not be downloaded where the others were calibrated.
NOT_CALIBRATED = {"fashion_cnn-fashion_mnist"}


@pytest.mark.parametrize(
    "name", [name for name in ENTRIES if name not in NOT_CALIBRATED | {"series_linear-sine"}]
)
def test_probabilities_are_calibrated_and_no_label_changes(name):
    entry = ENTRIES[name]
    learned = entry.calibration
    assert learned["ece"] <= 0.03 and learned["rows"] >= 100 and 0.3 < learned["temperature"] < 3
    assert entry.scores["accuracy"] == pytest.approx(entry.unrounded["accuracy"], abs=1e-12)


def test_the_network_with_label_smoothing_is_as_sure_as_it_is_right():
    """It was right for 90 % of the test images, and 71 % sure on average."""
    with np.load(HERE / "cifar_speed-cifar10.npz") as sample:
        predictions = kzoo.predict("cifar_speed", list(sample["x"]), weights="cifar10")
        right = np.array(predictions.labels) == sample["y"]
    assert abs(predictions.probabilities.max(axis=1).mean() - 0.896) < 0.06 and right.mean() > 0.8


@pytest.mark.parametrize("name", ENTRIES)
def test_its_network_is_that_of_the_preset(name):
    entry = ENTRIES[name]
    preset = kzoo.get_preset(entry.preset)
    config = weights.packaged.PretrainedWeights(entry.preset, entry.name).spec.config
    for setting, value in preset.config.items():
        # newer than the weights, which have none
        if setting in ("output_bias", "scale_free") and setting not in config:
            assert value is False
            continue
        if setting not in FOLLOWS and not setting.endswith("dropout"):
            assert json.loads(json.dumps(config[setting])) == json.loads(json.dumps(value)), setting


# Answers without training


def test_a_photo_gets_its_answer_on_the_command_line(capsys, tmp_path):
    pixels, label = digit()
    Image.fromarray(pixels[..., 0]).save("digit.png")
    assert main(["predict", "digits_cnn", "digit.png", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["predictions"][0]["label"] == label
    assert ENTRIES["digits_cnn-digits"].line in err
    Path("digits_cnn").mkdir()  # a folder of that name comes first
    assert main(["predict", "digits_cnn", "digit.png"]) == 2
    assert_mentions(capsys.readouterr().err, "digits_cnn", "run", "config.json")


def test_a_name_chooses_among_several():
    for name, texts in dict(
        reviews=["a wonderful film", "dull"], waimai=["很好吃", "太慢了"]
    ).items():
        assert kzoo.predict("text_ngrams", texts, weights=name).labels == ["positive", "negative"]


def test_without_a_name_the_weights_are_those_of_the_data_set_of_the_preset(tmp_path, monkeypatch):
    rows = json.loads((weights.FOLDER / "index.json").read_text(encoding="utf-8"))
    entry = next(row for row in rows if row["preset"] == "digits_cnn")
    (tmp_path / "index.json").write_text(
        json.dumps([entry | dict(name="letters"), entry, entry | dict(name="signs")])
    )
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    assert (
        weights.find_entry("digits_cnn").name == "digits"
        and weights.find_entry("digits_cnn", "signs").name == "signs"
    )


def test_a_text_is_continued():
    text = kzoo.generate("char_gru", "ROMEO:", length=60, temperature=0)
    assert text.startswith("ROMEO:\n") and len(text) == 66


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (
            lambda: kzoo.predict("text_ngrams", ["fine"]),
            ("text_ngrams", "weights=", "reviews, waimai"),
        ),
        (
            lambda: kzoo.predict("text_ngrams", ["fine"], weights="review"),
            ("weights='review'", "'reviews'", "text_ngrams", "reviews, waimai"),
        ),
        (
            lambda: kzoo.evaluate("iris_fnn", "iris"),
            ("iris_fnn", "weights", "kzoo train iris_fnn", "digits_cnn"),
        ),
        (
            lambda: kzoo.predict("digits_cnn", [], weights="mnist"),
            ("weights='mnist'", "digits_cnn", "digits"),
        ),
        (
            lambda: kzoo.predict("runs/one", [], weights="digits"),
            ("weights='digits'", "preset", "'runs/one'"),
        ),
        (
            lambda: kzoo.generate("digits_cnn", "ROMEO:"),
            ("digits_cnn", "image_classification", "char_gpt, char_gru"),
        ),
        (lambda: kzoo.report("digits_cnn"), ("digits_cnn", "run", "kzoo.train")),
        (
            lambda: kzoo.build("digits_cnn", weights="mnist"),
            ("weights='mnist'", ".keras", ".weights.h5", "digits_cnn", "digits"),
        ),
        (
            lambda: kzoo.build("digits_cnn", weights="digit"),
            ("weights='digit'", "'digits'", "digits_cnn"),
        ),
        (
            lambda: kzoo.build("digits_cnn", weights="digits", filters=(8, 16)),
            (
                "filters=(8, 16)",
                "weights='digits'",
                "[32, 64]",
                "kzoo.train('digits_cnn', ..., weights='digits')",
            ),
        ),
        (
            lambda: kzoo.build("digits_cnn", weights="digits", outputs=3),
            (
                "outputs=3",
                "weights='digits'",
                "10",
                "kzoo.train('digits_cnn', ..., weights='digits')",
            ),
        ),
        (lambda: kzoo.build("digits_cnn", weights=5), ("weights=5", ".keras", "model")),
        (
            lambda: kzoo.train("iris_fnn", "iris", weights="digits", progress=False),
            ("weights='digits'", ".keras", ".weights.h5", "model"),
        ),
    ],
)
def test_invalid_weights_are_refused_in_a_line(call, parts):
    with refuses(*parts) as caught:
        call()
    assert "\n" not in str(caught.value)


# A network with trained weights


def test_build_returns_the_trained_network_in_float32_which_can_predict():
    model = kzoo.build("digits_cnn", weights="digits", learning_rate=0.25)
    assert {w.dtype for w in model.weights} == {"float32"} and model.name == "digits_cnn"
    assert float(model.optimizer.learning_rate) == 0.25
    pixels, label = digit()
    Image.fromarray(pixels[..., 0]).save("digit.png")
    assert kzoo.predict(model, "digit.png").labels == [label]
    again = kzoo.build("digits_cnn", weights="digits", compile=False)
    assert not again.compiled and again is not model
    model.save("digits.keras"), model.save_weights("digits.weights.h5")
    for source in ("digits.keras", "digits.weights.h5", model):
        copied = kzoo.build("digits_cnn", weights=source, compile=False)
        for mine, theirs in zip(copied.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    with refuses("weights='digits.keras'", "layers", "digits_cnn", "outputs"):
        kzoo.build("digits_cnn", weights="digits.keras", outputs=3)


def test_training_and_building_on_other_data_copy_the_layers_that_fit(undrawn, untraced, capsys):
    x = np.random.default_rng(0).integers(0, 255, (60, 8, 8, 1)).astype("uint8")
    y = np.arange(60) % 3
    data = kzoo.load_data((x, y), preset="digits_cnn")
    run = kzoo.train(
        "digits_cnn",
        data,
        out="run",
        weights="digits",
        freeze=True,
        epochs=1,
        check=False,
        callbacks="quick",
    )
    assert_mentions(capsys.readouterr().err, ENTRIES["digits_cnn-digits"].line, "layers", "outputs")
    assert run.config["weights"] == "digits"
    stored = weights_by_name(kzoo.build("digits_cnn", weights="digits", compile=False))
    trained = weights_by_name(run.model)
    assert trained["outputs/0"].shape[-1] == 3
    copied = [name for name in stored if not name.startswith("outputs/")]
    assert copied and all(np.array_equal(stored[name], trained[name]) for name in copied)
    model = kzoo.build("digits_cnn", weights="run", compile=False)
    assert all(
        np.array_equal(array, trained[name]) for name, array in weights_by_name(model).items()
    )
    fresh = weights_by_name(kzoo.build("digits_cnn", data=data, weights="digits"))
    assert fresh["outputs/0"].shape[-1] == 3 and np.array_equal(fresh[copied[0]], stored[copied[0]])
    with refuses("weights='run'", "digits_cnn", "mnist_cnn"):
        kzoo.build("mnist_cnn", weights="run")


def test_a_run_with_the_name_of_packaged_weights_is_distinct_from_them(undrawn, untraced):
    def train(weights, out):
        return kzoo.train(
            "digits_cnn",
            "digits",
            out=out,
            weights=weights,
            max_steps=1,
            check=False,
            callbacks="quick",
            baselines=False,
            progress=False,
        )

    digits = train(None, "digits")
    for source in ("./digits", Path("digits"), digits):
        run = train(source, "run")
        assert run.config["weights"] == "digits/" and " --weights digits/" in run.config["command"]
    with refuses("run", "weights", "digits/", "weights_sha256", "overwrite=True"):
        train("digits", "run")


@pytest.mark.slow
def test_an_export_has_the_same_answers(tmp_path):
    exported = kzoo.export("digits_cnn", "out", ["onnx", "litert"], progress=False)
    assert {entry["status"] for entry in exported.exports.values()} == {"ok"}
    pixels, label = digit()
    assert load("out").predict(pixels[None]).labels == [label]


# A file that does not match the index


@pytest.fixture
def damaged(tmp_path, monkeypatch):
    """A function that writes a folder with changed weights of `digits_cnn`, and an index with their sha256 or not."""

    def write(change, *, indexed=True, name="digits_cnn-digits"):
        entry = ENTRIES[name]
        with np.load(entry.path) as archive:
            arrays = dict(archive)
        content = io.BytesIO()
        np.savez_compressed(content, **change(arrays))
        folder = tmp_path / "weights"
        folder.mkdir()
        (folder / entry.file).write_bytes(content.getvalue())
        sha256 = hashlib.sha256(content.getvalue()).hexdigest() if indexed else entry.sha256
        rows = json.loads((weights.FOLDER / "index.json").read_text(encoding="utf-8"))
        rows = [row | dict(sha256=sha256) for row in rows if row["file"] == entry.file]
        (folder / "index.json").write_text(json.dumps(rows), encoding="utf-8")
        monkeypatch.setattr(weights, "FOLDER", folder)
        return folder / entry.file

    return write


def with_config(arrays, **changes):
    config = json.loads(bytes(arrays["config"]))
    config["spec"]["config"] |= changes.pop("config", {})
    config["spec"] |= changes
    return arrays | dict(config=np.frombuffer(json.dumps(config).encode(), "uint8"))


def without(arrays, name):
    return {key: array for key, array in arrays.items() if key != name}


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda a: without(a, "outputs/0"), ("outputs/0", "(128, 10)", "None")),
        (lambda a: a | {"outputs/1": np.zeros(11, "float16")}, ("outputs/1", "(10,)", "(11,)")),
        (lambda a: a | {"more/0": np.zeros(1, "float16")}, ("more/0", "None", "(1,)")),
        (lambda a: a | {"outputs/1": np.zeros(10, "float64")}, ("outputs/1", "float16", "float32")),
        (
            lambda a: a | {"outputs/1": np.array([print] * 10, dtype=object)},
            ("outputs/1.npy", "numbers"),
        ),
        (lambda a: without(a, "config"), ("config", "JSON")),
        (lambda a: without(a, "preprocessing"), ("preprocessing", "JSON")),
        (lambda a: a | {"config": np.frombuffer(b'{"spec": {}}', "uint8")}, ("config", "'data'")),
        (lambda a: with_config(a, family="pickle"), ("family", "'pickle'")),
        (
            lambda a: with_config(a, config=dict(filters=[32, 10**9])),
            ("'block2_conv2/kernel'", "(3, 3, 1000000000, 1000000000)"),
        ),
    ],
)
def test_weights_that_do_not_fit_the_preset_are_refused(damaged, change, parts):
    file = damaged(change)
    with refuses(str(file), *parts) as caught:
        kzoo.build("digits_cnn", weights="digits")
    assert "\n" not in str(caught.value)


def test_a_file_with_another_sha256_than_in_the_index_is_not_opened(damaged, capsys):
    file = damaged(lambda arrays: arrays | {"outputs/1": np.ones(10, "float16")}, indexed=False)
    with refuses(str(file), "index.json", "sha256", "install kzoo"):
        kzoo.build("digits_cnn", weights="digits")
    assert main(["predict", "digits_cnn", "digit.png"]) == 2
    assert capsys.readouterr().err.count("sha256") == 1
    file.unlink()
    with refuses(str(file), "No such file", "install kzoo"):  # the first as the system words it
        kzoo.predict("digits_cnn", [digit()[0]])


def test_a_float32_array_stays_as_exact_as_it_is(damaged):
    damaged(lambda arrays: arrays | {"outputs/1": np.full(10, 1e6 + 0.5, "float32")})
    model = kzoo.build("digits_cnn", weights="digits", compile=False)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(model.get_layer("outputs").bias), np.float32(1e6 + 0.5)
    )


def test_weights_trained_on_the_test_rows_of_a_named_data_set_are_warned_of(
    damaged, tmp_path, capsys
):
    def from_a_file(arrays):
        config = json.loads(bytes(arrays["config"]))
        config["data"]["name"] = "test_digits.npz"
        return arrays | dict(config=np.frombuffer(json.dumps(config).encode(), "uint8"))

    index = damaged(from_a_file).with_name("index.json")
    index.write_text(
        json.dumps([row | dict(tested_by=["digits"]) for row in json.loads(index.read_text())])
    )
    weights.clear_index_cache()
    with warns("'digits'", "digits_cnn", "scores"):
        kzoo.evaluate("digits_cnn", "digits")
    options = dict(epochs=1, min_steps=0, callbacks="quick", baselines=False, out=tmp_path / "run")
    kzoo.train("digits_cnn", "digits", weights="digits", **options)
    assert_mentions(capsys.readouterr().err, "weights='digits'", "scores", "test split")


# The licence of the data


def test_no_licence_of_the_data_restricts_derived_works():
    bound = {
        name: entry.licence
        for name, entry in ENTRIES.items()
        if re.search(r"\b(ND|SA|NC|GPL)\b", entry.licence)
    }
    assert bound == {}


def test_scores_on_other_data_are_printed_with_their_baseline(capsys):
    assert main(["show", "text_ngrams"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name in ("text_ngrams-reviews", "text_ngrams-waimai"):
        assert_mentions(ENTRIES[name].elsewhere, "most frequent class")
        # the accuracy, and that of the class
        assert len(re.findall(r"\d%", ENTRIES[name].elsewhere)) == 2
        assert ENTRIES[name].elsewhere in ENTRIES[name].line and ENTRIES[name].elsewhere in shown


MNIST = ("'mnist'", "mnist_cnn", "licence", "CC BY-SA 3.0", "kzoo train mnist_cnn")
ETTH1 = ("'ETTh1'", "series_linear", "licence", "CC BY-ND 4.0", "kzoo train series_linear")


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: kzoo.build("mnist_cnn", weights="mnist"), MNIST),
        (lambda: kzoo.predict("mnist_cnn", np.zeros((1, 28, 28, 1))), MNIST),
        (lambda: kzoo.train("series_linear", "sine", weights="ETTh1", progress=False), ETTH1),
        (lambda: kzoo.predict("series_linear", "a.csv", weights="ETTh1"), ETTH1),
    ],
)
def test_removed_weights_are_named_with_the_reason(call, parts):
    with refuses(*parts):
        call()


def test_a_run_with_the_name_of_removed_weights_is_read():
    with untraced():
        kzoo.train(
            "series_linear",
            "sine",
            out="ETTh1",
            max_steps=1,
            progress=False,
            callbacks="quick",
            baselines=False,
        )
    assert kzoo.build("series_linear", weights="ETTh1").name == "series_linear"
