"""Trained weights in the package: each is what the index says, answers without any training, and begins another one.

The samples beside this file are a few test examples of each, written with it by `recipes/weights.py`.
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
from PIL import Image
from shortcuts import untraced

import kzoo
from kzoo import weights
from kzoo.cli import main
from kzoo.loading import arrays_of
from kzoo.results import baselines
from kzoo.runtime import load
from kzoo.utils.errors import KzooWarning
from kzoo.weights.stored import Stored

HERE = Path(__file__).parent
ENTRIES = {f"{entry.preset}-{entry.name}": entry for entry in weights.entries()}
# What of a network follows its data, its reading and its training; all else is the preset's, but for dropout, of which
# answers know nothing.
FOLLOWS = {
    "inputs", "input_shape", "outputs", "output_activation", "vocabulary_size", "horizon", "scale", "offset",
    "target_scale", "target_offset",
}  # fmt: skip


def sample_of(name):
    return next(path for path in HERE.glob(f"{name}.*"))


def digit():
    with np.load(HERE / "digits_cnn-digits.npz") as sample:
        return sample["x"][5], str(sample["y"][5])


# What is in the package


@pytest.mark.parametrize("name", ENTRIES)
def test_a_file_is_the_one_in_the_index(name):
    entry = ENTRIES[name]
    content = entry.path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry.sha256 and len(content) == entry.bytes <= 4_000_000
    assert entry.file == f"{name}.npz" and entry.source.startswith(("https://", "kzoo itself makes it"))
    assert entry.data and entry.licence and entry.command and entry.beside and entry.versions["keras"]


def test_the_package_holds_all_of_them_and_nothing_else():
    files = {path.name for path in weights.FOLDER.iterdir() if path.suffix not in (".py", "") and path.is_file()}
    assert files == {"index.json", *(entry.file for entry in ENTRIES.values())}
    assert 0 < sum(entry.bytes for entry in ENTRIES.values()) <= 16_000_000
    setup = configparser.ConfigParser()
    setup.read(HERE.parent.parent / "setup.cfg", encoding="utf-8")
    patterns = setup["options.package_data"]["kzoo"].split()
    packed = {path.name for pattern in patterns for path in weights.FOLDER.parent.glob(pattern)}
    assert files <= packed


@pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning")
@pytest.mark.parametrize("name", ENTRIES)
def test_it_scores_on_its_sample_as_it_did(name, capsys):
    entry = ENTRIES[name]
    scores = kzoo.evaluate(entry.preset, sample_of(name), weights=entry.name)
    assert entry.line in capsys.readouterr().err and entry.licence in entry.line
    count = "tokens" if "tokens" in scores else "examples"
    assert entry.sample[count] == scores[count] > 20
    for metric, value in entry.sample.items():
        if isinstance(value, float):
            assert math.isclose(scores[metric], value, rel_tol=1e-3, abs_tol=1e-4), metric


def test_what_needs_no_network_stands_beside_their_score():
    for name, entry in ENTRIES.items():
        assert baselines.values(Stored(entry.preset, entry.name).summary) == dict(entry.beside), name


def test_a_named_set_is_scored_as_it_was():
    scores, entry = kzoo.evaluate("digits_cnn"), ENTRIES["digits_cnn-digits"]
    assert scores["examples"] == entry.scores["examples"]
    assert math.isclose(scores["accuracy"], entry.scores["accuracy"]) and entry.scores["accuracy"] > 0.99


@pytest.mark.parametrize("name", ENTRIES)
def test_rounding_did_not_cost_a_score(name):
    entry = ENTRIES[name]
    before, after = (kzoo.results.value_of(scores, entry.metric) for scores in (entry.unrounded, entry.scores))
    assert math.isclose(before, after, rel_tol=1e-3)
    simple = (min if kzoo.tasks.score_named(entry.metric).best == "min" else max)(entry.beside.values())
    assert simple is not None  # a score does not stand alone


@pytest.mark.parametrize("name", ENTRIES)
def test_its_network_is_the_presets(name):
    entry = ENTRIES[name]
    preset, config = kzoo.get_preset(entry.preset), weights.stored.Stored(entry.preset, entry.name).spec.config
    for setting, value in preset.config.items():
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
    Path("digits_cnn").mkdir()  # a folder of that name is what was meant, as it always was
    assert main(["predict", "digits_cnn", "digit.png"]) == 2
    assert "digits_cnn is not a run" in capsys.readouterr().err


def test_a_word_chooses_among_several():
    for word, texts in dict(reviews=["a wonderful film", "dull"], waimai=["很好吃", "太慢了"]).items():
        assert kzoo.predict("text_ngrams", texts, weights=word).labels == ["positive", "negative"]


def test_without_a_word_it_is_the_presets_own_data_set_of_several(tmp_path, monkeypatch):
    rows = json.loads((weights.FOLDER / "index.json").read_text(encoding="utf-8"))
    one = next(row for row in rows if row["preset"] == "digits_cnn")
    (tmp_path / "index.json").write_text(json.dumps([one | dict(name="letters"), one, one | dict(name="signs")]))
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    assert weights.entry_of("digits_cnn").name == "digits" and weights.entry_of("digits_cnn", "signs").name == "signs"


def test_a_text_goes_on():
    text = kzoo.generate("char_gru", "ROMEO:", length=60, temperature=0)
    assert text.startswith("ROMEO:\n") and len(text) == 66


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: kzoo.predict("text_ngrams", ["fine"]), "Add weights= and one of: reviews, waimai."),
        (lambda: kzoo.predict("text_ngrams", ["fine"], weights="review"), "Did you mean 'reviews'?"),
        (lambda: kzoo.evaluate("iris_fnn", "iris"), "iris_fnn has no trained weights"),
        (lambda: kzoo.predict("digits_cnn", [], weights="mnist"), "'mnist' is unknown. digits_cnn has: digits."),
        (lambda: kzoo.predict("runs/one", [], weights="digits"), "weights='digits' is for the name of a preset"),
        (lambda: kzoo.generate("digits_cnn", "ROMEO:"), "language models write text"),
        (lambda: kzoo.report("digits_cnn"), "digits_cnn is not a run"),
        (lambda: kzoo.build("digits_cnn", weights="mnist"), "weights='mnist' does not exist."),
        (lambda: kzoo.build("digits_cnn", weights="digit"), "Did you mean 'digits'?"),
        (lambda: kzoo.build("digits_cnn", weights="digits", filters=(8, 16)), "filters=(8, 16) contradicts weights="),
        (lambda: kzoo.build("digits_cnn", weights="digits", outputs=3), "outputs=3 contradicts weights='digits'"),
        (lambda: kzoo.build("digits_cnn", weights=5), "weights=5 has none"),
        (lambda: kzoo.train("iris_fnn", "iris", weights="digits", progress=False), "weights='digits' does not exist"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_in_a_line(call, says):
    with pytest.raises(kzoo.KzooError) as caught:
        call()
    assert says in str(caught.value) and "\n" not in str(caught.value)


# A network with them


def test_build_gives_the_trained_network_in_float32_and_it_knows_its_data():
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
    with pytest.raises(kzoo.KzooError, match=r"weights='digits\.keras' lacks layers of digits_cnn .*: outputs"):
        kzoo.build("digits_cnn", weights="digits.keras", outputs=3)


def test_training_and_building_on_other_data_take_what_fits(undrawn, untraced, capsys):
    x, y = np.random.default_rng(0).integers(0, 255, (60, 8, 8, 1)).astype("uint8"), np.arange(60) % 3
    data = kzoo.load_data((x, y), preset="digits_cnn")
    run = kzoo.train(
        "digits_cnn", data, out="run", weights="digits", freeze=True, epochs=1, check=False, callbacks="quick",
    )  # fmt: skip
    said = capsys.readouterr().err
    assert f"{ENTRIES['digits_cnn-digits'].line} Copied " in said and "layers; new: outputs." in said
    assert run.config["weights"] == "digits"
    stored = arrays_of(kzoo.build("digits_cnn", weights="digits", compile=False))
    trained = arrays_of(run.model)
    assert trained["outputs/0"].shape[-1] == 3
    kept = [name for name in stored if not name.startswith("outputs/")]
    assert kept and all(np.array_equal(stored[name], trained[name]) for name in kept)
    model = kzoo.build("digits_cnn", weights="run", compile=False)
    assert all(np.array_equal(array, trained[name]) for name, array in arrays_of(model).items())
    fresh = arrays_of(kzoo.build("digits_cnn", data=data, weights="digits"))
    assert fresh["outputs/0"].shape[-1] == 3 and np.array_equal(fresh[kept[0]], stored[kept[0]])
    with pytest.raises(kzoo.KzooError, match="weights='run' are of the preset digits_cnn, not of mnist_cnn"):
        kzoo.build("mnist_cnn", weights="run")


def test_a_run_with_the_name_of_stored_weights_is_not_these(undrawn, untraced):
    def train(weights, out):
        return kzoo.train(
            "digits_cnn", "digits", out=out, weights=weights, max_steps=1, check=False, callbacks="quick",
            baselines=False, progress=False,
        )  # fmt: skip

    own = train(None, "digits")
    for source in ("./digits", Path("digits"), own):
        run = train(source, "run")
        assert run.config["weights"] == "digits/" and " --weights digits/" in run.config["command"]
    with pytest.raises(kzoo.KzooError, match="run holds a different run"):
        train("digits", "run")


@pytest.mark.slow
def test_an_export_answers_as_they_do(tmp_path):
    exported = kzoo.export("digits_cnn", "out", ["onnx", "litert"], progress=False)
    assert {entry["status"] for entry in exported.exports.values()} == {"ok"}
    pixels, label = digit()
    assert load("out").predict(pixels[None]).labels == [label]


# A file that is another


@pytest.fixture
def damaged(tmp_path, monkeypatch):
    """A function that writes a folder with changed weights of `digits_cnn`, and an index that knows it or not."""

    def write(change, *, known=True, name="digits_cnn-digits"):
        entry = ENTRIES[name]
        with np.load(entry.path) as archive:
            arrays = dict(archive)
        content = io.BytesIO()
        np.savez_compressed(content, **change(arrays))
        folder = tmp_path / "weights"
        folder.mkdir()
        (folder / entry.file).write_bytes(content.getvalue())
        sha256 = hashlib.sha256(content.getvalue()).hexdigest() if known else entry.sha256
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
    ("change", "says"),
    [
        (lambda a: without(a, "outputs/0"), "outputs/0 is (128, 10), and None is stored"),
        (lambda a: a | {"outputs/1": np.zeros(11, "float16")}, "outputs/1 is (10,), and (11,) is stored"),
        (lambda a: a | {"more/0": np.zeros(1, "float16")}, "more/0 is None, and (1,) is stored"),
        (lambda a: a | {"outputs/1": np.zeros(10, "float64")}, "outputs/1 is no array of float16 or float32"),
        (lambda a: a | {"outputs/1": np.array([print] * 10, dtype=object)}, "no array of numbers or texts"),
        (lambda a: without(a, "config"), "has no config in JSON"),
        (lambda a: without(a, "preprocessing"), "has no preprocessing in JSON"),
        (lambda a: a | {"config": np.frombuffer(b'{"spec": {}}', "uint8")}, "its config"),
        (lambda a: with_config(a, family="pickle"), "names the family 'pickle'"),
        (lambda a: with_config(a, config=dict(filters=[32, 10**9])), "stores none of that shape"),
    ],
)
def test_weights_that_are_not_a_presets_are_refused(damaged, change, says):
    file = damaged(change)
    with pytest.raises(kzoo.KzooError) as caught:
        kzoo.build("digits_cnn", weights="digits")
    assert says in str(caught.value) and str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_the_index_does_not_know_is_not_opened(damaged, capsys):
    file = damaged(lambda arrays: arrays | {"outputs/1": np.ones(10, "float16")}, known=False)
    with pytest.raises(kzoo.KzooError, match=r"is not the file that index\.json describes: its sha256 differs"):
        kzoo.build("digits_cnn", weights="digits")
    assert main(["predict", "digits_cnn", "digit.png"]) == 2
    assert capsys.readouterr().err.count("its sha256 differs") == 1
    file.unlink()
    with pytest.raises(kzoo.KzooError, match=r"cannot be read: No such file or directory\. Install kzoo again"):
        kzoo.predict("digits_cnn", [digit()[0]])


def test_a_float32_array_stays_as_exact_as_it_is(damaged):
    damaged(lambda arrays: arrays | {"outputs/1": np.full(10, 1e6 + 0.5, "float32")})
    model = kzoo.build("digits_cnn", weights="digits", compile=False)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model.get_layer("outputs").bias), np.float32(1e6 + 0.5))


def test_weights_that_learned_from_what_tests_a_named_set_say_so(damaged, tmp_path, capsys):
    def from_a_file(arrays):
        config = json.loads(bytes(arrays["config"]))
        config["data"]["name"] = "test_digits.npz"
        return arrays | dict(config=np.frombuffer(json.dumps(config).encode(), "uint8"))

    index = damaged(from_a_file).with_name("index.json")
    index.write_text(json.dumps([row | dict(tested_by=["digits"]) for row in json.loads(index.read_text())]))
    weights.forget()
    with pytest.warns(KzooWarning, match="of digits_cnn> learned from what tests digits, its scores are too good"):
        kzoo.evaluate("digits_cnn", "digits")
    asked = dict(epochs=1, min_steps=0, callbacks="quick", baselines=False, out=tmp_path / "run")
    kzoo.train("digits_cnn", "digits", weights="digits", **asked)
    assert "weights='digits' were trained on what tests digits: scores of the test split" in capsys.readouterr().err


# Whose data it is


def test_no_licence_of_the_data_forbids_or_binds_what_is_made_of_it():
    bound = {name: entry.licence for name, entry in ENTRIES.items() if re.search(r"\b(ND|SA|NC|GPL)\b", entry.licence)}
    assert bound == {}


def test_what_was_measured_on_other_data_is_said(capsys):
    assert main(["show", "text_ngrams"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name in ("text_ngrams-reviews", "text_ngrams-waimai"):
        assert "where the most frequent class has" in ENTRIES[name].elsewhere
        assert ENTRIES[name].elsewhere in ENTRIES[name].line and ENTRIES[name].elsewhere in shown


@pytest.mark.parametrize(
    "call",
    [
        lambda: kzoo.build("mnist_cnn", weights="mnist"),
        lambda: kzoo.predict("mnist_cnn", np.zeros((1, 28, 28, 1))),
        lambda: kzoo.train("series_linear", "sine", weights="ETTh1", progress=False),
        lambda: kzoo.predict("series_linear", "a.csv", weights="ETTh1"),
    ],
)
def test_weights_that_were_taken_out_are_named_with_the_reason(call):
    with pytest.raises(kzoo.KzooError, match=r"The weights '\w+' of \w+ are no longer in the package: .* CC BY-"):
        call()


def test_a_run_with_the_name_of_weights_that_were_taken_out_is_taken():
    with untraced():
        kzoo.train(
            "series_linear", "sine", out="ETTh1", max_steps=1, progress=False, callbacks="quick", baselines=False
        )
    assert kzoo.build("series_linear", weights="ETTh1").name == "series_linear"
