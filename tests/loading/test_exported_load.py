"""Exported models and runs: rebuilt from checked settings, every file what its manifest says."""

import hashlib
import json
import shutil
from pathlib import Path

import attacks
import keras
import numpy as np
import pytest
from made import exported_of, write_manifest

import kzoo
from kzoo.registry import catalogue

SMALL = ("iris_fnn", "digits_cnn", "series_lstm", "adding_gru", "series_transformer", "series_tcn", "series_linear")


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


@pytest.mark.parametrize(
    "name", [name if name in SMALL else pytest.param(name, marks=pytest.mark.slow) for name in kzoo.list_presets()]
)
def test_an_exported_model_of_each_preset(name, monkeypatch):
    model = kzoo.build(name)
    folder = exported_of(model)
    for door in ("load_model", "deserialize_keras_object"):  # no configuration from the file is ever read
        monkeypatch.delattr(keras.saving, door)
    loaded = kzoo.load_model(folder)
    assert same(loaded, model) and not loaded.compiled
    assert kzoo.spec_of(loaded)["config"] == kzoo.spec_of(model)["config"]


def test_an_exported_model_loads_after_its_preset_was_edited_or_removed(monkeypatch):
    model = kzoo.build("iris_fnn", units=(7, 5), seed=1)
    folder = exported_of(model)
    monkeypatch.delitem(catalogue._presets, "iris_fnn")
    assert same(kzoo.load_model(str(folder)), model)


def test_a_foreign_model_travels_in_an_exported_model_through_the_gate():
    model = attacks.dense()
    assert same(kzoo.load_model(exported_of(model)), model)
    shutil.copy(attacks.open_lambda_with_a_named_keras_function(), "exported/model.keras")
    write_manifest(Path("exported"), dict(preset="mine", family=None))
    refused("Lambda", "model.keras")


def refused(*words, folder="exported", kind=kzoo.UnsafeModelError, **options):
    with pytest.raises(kzoo.KzooError) as caught:
        kzoo.load_model(folder, **options)
    assert type(caught.value) is kind
    said = str(caught.value)
    assert "\n" not in said and all(word in said for word in words), said


@pytest.fixture
def exported():
    return exported_of(kzoo.build("iris_fnn", units=(6, 5)))


def test_the_sum_that_the_caller_expects(exported):
    right = hashlib.sha256((exported / "kzoo.json").read_bytes()).hexdigest()
    kzoo.load_model(exported, expected_sha256=right.upper())
    refused("kzoo.json", "sha256", expected_sha256="0" * 64)
    refused("64 hexadecimal", expected_sha256="abc", kind=kzoo.KzooError)
    attacks.dense().save("m.keras")
    right = hashlib.sha256(Path("m.keras").read_bytes()).hexdigest()
    kzoo.load_model("m.keras", expected_sha256=right)
    refused("m.keras", "fetch it again", folder="m.keras", expected_sha256="0" * 64)


@pytest.mark.parametrize("name", ["model.weights.h5", "labels.json", "onnx/model.onnx"])
def test_edited_cut_and_missing_files(exported, name):
    file = exported / name
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused(name, "sha256 differs")
    file.write_bytes(whole[: len(whole) // 2])
    refused(name, "sha256 differs")
    file.unlink()
    refused(name, "cannot be read", kind=kzoo.KzooError)
    Path("elsewhere").write_bytes(whole)
    file.symlink_to(Path("elsewhere").absolute())
    with pytest.raises(kzoo.KzooError, match=r"link|not a regular file"):
        kzoo.load_model(exported)


def test_a_folder_in_an_exported_model_that_leads_elsewhere(exported):
    shutil.move(exported / "onnx", "elsewhere")
    (exported / "onnx").symlink_to(Path("elsewhere").absolute())
    refused("symbolic link")


def edit(exported, change):
    manifest = json.loads((exported / "kzoo.json").read_text())
    change(manifest)
    (exported / "kzoo.json").write_text(json.dumps(manifest))


def setting(**values):
    return lambda manifest: manifest["spec"]["config"].update(values)


def listed(name):
    return lambda manifest: manifest["files"].update({name: dict(sha256="0" * 64, bytes=1)})


WRONG = {
    "another version": (lambda m: m.update(format_version=2), "update kzoo"),
    "no version": (lambda m: m.pop("format_version"), "not the kzoo.json"),
    "no specification": (lambda m: m.pop("spec"), "no specification"),
    "no list of files": (lambda m: m.pop("files"), "list of files"),
    "no checksum": (lambda m: m["files"].update({"labels.json": {}}), "no checksum"),
    "no weights": (lambda m: m["files"].pop("model.weights.h5"), "model.weights.h5"),
    "two models": (listed("model.keras"), "two models"),
    "a file above": (listed("../secret"), "not inside"),
    "a file anywhere": (listed("/etc/hostname"), "not inside"),
    "a file with backslashes": (listed("..\\secret"), "not inside"),
    "a family nobody has": (lambda m: m["spec"].update(family="os"), "'os'"),
    "a family of another type": (lambda m: m["spec"].update(family=["fnn"]), "family"),
    "a name that is none": (lambda m: m["spec"].update(preset="../x"), "not the name"),
    "a setting nobody has": (setting(command="rm"), "'command'"),
    "a setting of another type": (setting(units="wide"), "units='wide'"),
    "a setting out of range": (setting(dropout=2.0), "dropout=2.0"),
    "an activation nobody has": (setting(activation="system"), "activation='system'"),
    "wider than its weights": (setting(units=[60_000_000, 5]), "60000000"),
    "of stored dimensions": (setting(units=[6, 40_000, 40_000]), "none of that shape"),
    "more layers than weights": (setting(units=[1] * 100_000), "100,000 layers"),
    "a huge example": (setting(input_shape=[1 << 40]), "input_shape"),
    "no number": (setting(dropout=float("nan")), "not finite"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_manifest_that_is_wrong(exported, name):
    change, word = WRONG[name]
    edit(exported, change)
    with pytest.raises(kzoo.KzooError) as caught:
        kzoo.load_model(exported)
    assert word in str(caught.value) and "\n" not in str(caught.value), str(caught.value)


def test_sizes_that_a_builder_would_loop_over():
    folder = exported_of(kzoo.build("series_tcn"))
    edit(folder, setting(depth=1_000_000))
    refused("depth", "layers")
    shutil.rmtree(folder)
    folder = exported_of(kzoo.build("imdb_transformer", vocabulary_size=20, positions="sinusoidal"))
    edit(folder, setting(width=1_000_000_000))
    refused("width=1000000000")


def test_a_model_that_keeps_its_state():
    folder = exported_of(kzoo.build("char_gru", vocabulary_size=20, units=(6,), stateful=True, stateful_batch=2))
    assert kzoo.load_model(folder).input_shape[0] == 2
    edit(folder, setting(stateful_batch=1_000_000_000))
    refused("stateful_batch=1,000,000,000")


def test_manifests_that_are_none(exported):
    for text, words in (("", "not JSON"), ("{", "not JSON"), ("[]", "not the kzoo.json"), ('{"a":1,"a":2}', "twice")):
        (exported / "kzoo.json").write_text(text)
        with pytest.raises(kzoo.KzooError, match=words):
            kzoo.load_model(exported)


def test_other_weights_than_the_network_has(exported):
    spec = json.loads((exported / "kzoo.json").read_text())["spec"]
    kzoo.build("iris_fnn", units=(6, 4)).save_weights(exported / "model.weights.h5")
    write_manifest(exported, spec)
    refused("model.weights.h5", "do not fit", kind=kzoo.KzooError)
    shutil.copy(attacks.cve_2026_1669_external_link(), "attack.zip")
    shutil.unpack_archive("attack.zip", "taken")
    shutil.copy("taken/model.weights.h5", exported / "model.weights.h5")
    write_manifest(exported, spec)
    refused("model.weights.h5", "link")


@pytest.fixture
def run(untraced, undrawn):
    x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    options = dict(epochs=1, units=(6, 5), callbacks="quick", progress=False)
    return kzoo.train("iris_fnn", (x, np.arange(60) % 3), out="run", **options)


def test_runs(run):
    assert same(kzoo.load_model(run), run.model) and same(kzoo.load_model("run"), run.model)
    right = hashlib.sha256(Path("run/best.keras").read_bytes()).hexdigest()
    kzoo.load_model("run", expected_sha256=right)
    refused("best.keras", "sha256", folder="run", expected_sha256="1" * 64)
    config = json.loads(Path("run/config.json").read_text())
    config["spec"]["config"]["units"] = [90_000, 90_000]
    Path("run/config.json").write_text(json.dumps(config))
    refused("best.keras", "none of that shape", folder="run")
    config["spec"]["family"] = None  # then the file must describe itself
    Path("run/config.json").write_text(json.dumps(config))
    assert same(kzoo.load_model("run"), run.model)
    shutil.copy(attacks.open_lambda_with_a_named_keras_function(), "run/best.keras")
    refused("best.keras", "Lambda", folder="run")
    with pytest.raises(kzoo.UnsafeModelError, match="Lambda"):
        kzoo.predict("run", np.zeros((1, 4)))


@keras.saving.register_keras_serializable("mine")
class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x


def test_a_run_of_a_model_with_layers_of_ones_own(untraced, undrawn):
    """The run that train returns knows them; opened again, it is told."""
    model = keras.Sequential([keras.Input((4,)), Doubled(), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    run = kzoo.train(model, (x, np.arange(60) % 3), out="own", epochs=1, progress=False, callbacks="quick")
    assert kzoo.predict(run, x[:2]).labels and same(kzoo.load_model(run), run.model)
    refused("best.keras", "Doubled'", "trusted=[Doubled]", folder="own")
    again = kzoo.Run("own", trusted=[Doubled])
    assert same(again.model, run.model) and same(kzoo.load_model("own", trusted=[Doubled]), run.model)
    assert kzoo.predict(again, x[:2]).labels == kzoo.predict(run, x[:2]).labels


def test_start_takes_a_strangers_file_through_the_gate(run):
    x = np.zeros((60, 4), "float32")
    start = attacks.open_lambda_with_a_named_keras_function()
    with pytest.raises(kzoo.UnsafeModelError, match="Lambda"):
        kzoo.train("iris_fnn", (x, np.arange(60) % 3), out="second", weights=start, progress=False)
    assert not Path("second").exists()
