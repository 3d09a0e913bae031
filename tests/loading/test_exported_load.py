"""Exported models and runs are rebuilt from checked settings, and every file must match its manifest."""

import hashlib
import json
import shutil
from pathlib import Path

import attacks
import keras
import numpy as np
import pytest
from made import exported_of, write_manifest
from messages import missing_from, refuses

import kzoo
from kzoo.zoo.registry import catalogue

SMALL = (
    "iris_fnn",
    "digits_cnn",
    "series_lstm",
    "adding_gru",
    "series_transformer",
    "series_tcn",
    "series_linear",
)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


@pytest.mark.parametrize(
    "name",
    [
        name if name in SMALL else pytest.param(name, marks=pytest.mark.slow)
        for name in kzoo.list_presets()
    ],
)
def test_an_exported_model_of_each_preset(name, monkeypatch):
    model = kzoo.build(name)
    folder = exported_of(model)
    # the configuration in the file is never read
    for door in ("load_model", "deserialize_keras_object"):
        monkeypatch.delattr(keras.saving, door)
    loaded = kzoo.load_model(folder)
    assert same(loaded, model) and not loaded.compiled
    assert kzoo.spec_of(loaded)["config"] == kzoo.spec_of(model)["config"]


def test_an_exported_model_loads_after_its_preset_was_edited_or_removed(monkeypatch):
    model = kzoo.build("iris_fnn", units=(7, 5), seed=1)
    folder = exported_of(model)
    monkeypatch.delitem(catalogue._presets, "iris_fnn")
    assert same(kzoo.load_model(str(folder)), model)


def test_a_foreign_model_in_an_exported_model_is_checked():
    model = attacks.dense()
    assert same(kzoo.load_model(exported_of(model)), model)
    shutil.copy(attacks.open_lambda_with_a_named_keras_function(), "exported/model.keras")
    write_manifest(Path("exported"), dict(preset="mine", family=None))
    refused("exported/model.keras", "Lambda")


def refused(*parts, folder="exported", kind=kzoo.UnsafeModelError, **options):
    """Check that `load_model` raises exactly `kind`, whose message has `parts`."""
    with refuses(*parts) as caught:
        kzoo.load_model(folder, **options)
    assert type(caught.value) is kind and "\n" not in str(caught.value)


@pytest.fixture
def exported():
    return exported_of(kzoo.build("iris_fnn", units=(6, 5)))


def test_expected_sha256_is_compared(exported):
    right = hashlib.sha256((exported / "kzoo.json").read_bytes()).hexdigest()
    kzoo.load_model(exported, expected_sha256=right.upper())
    refused("kzoo.json", "sha256", expected_sha256="0" * 64)
    refused("expected_sha256='abc'", "64", expected_sha256="abc", kind=kzoo.KzooError)
    attacks.dense().save("m.keras")
    right = hashlib.sha256(Path("m.keras").read_bytes()).hexdigest()
    kzoo.load_model("m.keras", expected_sha256=right)
    refused("m.keras", "sha256", folder="m.keras", expected_sha256="0" * 64)


@pytest.mark.parametrize("name", ["model.weights.h5", "labels.json", "onnx/model.onnx"])
def test_edited_cut_and_missing_files(exported, name):
    file = exported / name
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused(f"exported/{name}", "kzoo.json", "sha256")
    file.write_bytes(whole[: len(whole) // 2])
    refused(f"exported/{name}", "kzoo.json", "sha256")
    file.unlink()
    refused(f"exported/{name}", kind=kzoo.KzooError)
    Path("elsewhere").write_bytes(whole)
    file.symlink_to(Path("elsewhere").absolute())
    with refuses(f"exported/{name}") as caught:
        kzoo.load_model(exported)
    reasons = ["symbolic link", "regular file"]
    assert missing_from(str(caught.value), reasons) != reasons


def test_a_folder_in_an_exported_model_that_leads_elsewhere(exported):
    shutil.move(exported / "onnx", "elsewhere")
    (exported / "onnx").symlink_to(Path("elsewhere").absolute())
    refused("exported/onnx/model.onnx", "'onnx'", "symbolic link")


def edit(exported, change):
    manifest = json.loads((exported / "kzoo.json").read_text())
    change(manifest)
    (exported / "kzoo.json").write_text(json.dumps(manifest))


def setting(**values):
    return lambda manifest: manifest["spec"]["config"].update(values)


def listed(name):
    return lambda manifest: manifest["files"].update({name: dict(sha256="0" * 64, bytes=1)})


WRONG = {
    "another version": (
        lambda m: m.update(format_version=2),
        ("kzoo.json", "format_version", "2", "1", "update"),
    ),
    "no version": (
        lambda m: m.pop("format_version"),
        ("kzoo.json", "exported model", "kzoo.export"),
    ),
    "no specification": (lambda m: m.pop("spec"), ("kzoo.json", "specification", "kzoo.export")),
    "no list of files": (lambda m: m.pop("files"), ("kzoo.json", "files", "kzoo.export")),
    "no checksum": (
        lambda m: m["files"].update({"labels.json": {}}),
        ("kzoo.json", "checksum", "'labels.json'"),
    ),
    "no weights": (lambda m: m["files"].pop("model.weights.h5"), ("kzoo.json", "model.weights.h5")),
    "two models": (listed("model.keras"), ("kzoo.json", "models")),
    "a file above": (listed("../secret"), ("kzoo.json", "'../secret'")),
    "a file anywhere": (listed("/etc/hostname"), ("kzoo.json", "'/etc/hostname'")),
    "a file with backslashes": (listed("..\\secret"), ("kzoo.json", repr("..\\secret"))),
    "an unknown family": (lambda m: m["spec"].update(family="os"), ("family", "'os'")),
    "a family of another type": (lambda m: m["spec"].update(family=["fnn"]), ("family", "['fnn']")),
    "a path as the name": (lambda m: m["spec"].update(preset="../x"), ("preset", "'../x'")),
    "an unknown setting": (setting(command="rm"), ("'fnn'", "'command'")),
    "a setting of another type": (setting(units="wide"), ("units='wide'", "type", "1")),
    "a setting out of range": (setting(dropout=2.0), ("dropout=2.0", "0", "1")),
    "an unknown activation": (setting(activation="system"), ("activation='system'", "relu, gelu")),
    "wider than its weights": (
        setting(units=[60_000_000, 5]),
        ("hidden2_dense/kernel", "(60000000, 5)"),
    ),
    "of stored dimensions": (
        setting(units=[6, 40_000, 40_000]),
        ("hidden3_dense/kernel", "(40000, 40000)"),
    ),
    "more layers than weights": (setting(units=[1] * 100_000), ("units", "100,000 layers", "8")),
    "a huge example": (setting(input_shape=[1 << 40]), ("input_shape=(1099511627776,)", "weights")),
    "no number": (setting(dropout=float("nan")), ("kzoo.json", "number", "finite")),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_manifest_is_refused(exported, name):
    change, parts = WRONG[name]
    edit(exported, change)
    with refuses(*parts) as caught:
        kzoo.load_model(exported)
    assert "\n" not in str(caught.value)


def test_sizes_that_would_take_a_builder_forever_are_refused():
    folder = exported_of(kzoo.build("series_tcn"))
    edit(folder, setting(depth=1_000_000))
    refused("depth", "8,000,000 layers")
    shutil.rmtree(folder)
    folder = exported_of(kzoo.build("imdb_transformer", vocabulary_size=20, positions="sinusoidal"))
    edit(folder, setting(width=1_000_000_000))
    refused("width=1000000000")


def test_the_batch_of_a_stateful_model_is_limited():
    folder = exported_of(
        kzoo.build("char_gru", vocabulary_size=20, units=(6,), stateful=True, stateful_batch=2)
    )
    assert kzoo.load_model(folder).input_shape[0] == 2
    edit(folder, setting(stateful_batch=1_000_000_000))
    refused("stateful_batch=1,000,000,000", "1,024")


def test_other_text_in_the_manifest_is_refused(exported):
    for text, parts in (
        ("", ("JSON", "line 1 column 1")),
        ("{", ("JSON", "line 1 column 2")),
        ("[]", ("exported model", "kzoo.export")),
        ('{"a":1,"a":2}', ("key", "'a'")),
    ):
        (exported / "kzoo.json").write_text(text)
        with refuses("exported/kzoo.json", *parts):
            kzoo.load_model(exported)


def test_weights_of_another_network_are_refused(exported):
    spec = json.loads((exported / "kzoo.json").read_text())["spec"]
    kzoo.build("iris_fnn", units=(6, 4)).save_weights(exported / "model.weights.h5")
    write_manifest(exported, spec)
    refused("model.weights.h5", "6, 5", "6, 4", kind=kzoo.KzooError)
    shutil.copy(attacks.cve_2026_1669_external_link(), "attack.zip")
    shutil.unpack_archive("attack.zip", "unpacked")
    shutil.copy("unpacked/model.weights.h5", exported / "model.weights.h5")
    write_manifest(exported, spec)
    refused("model.weights.h5", "'/layers/dense/vars/0'", "link")


@pytest.fixture
def run(untraced, undrawn):
    x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    options = dict(epochs=1, units=(6, 5), callbacks="quick", progress=False)
    return kzoo.train("iris_fnn", (x, np.arange(60) % 3), out="run", **options)


def test_a_run_is_checked_before_it_is_loaded(run):
    assert same(kzoo.load_model(run), run.model) and same(kzoo.load_model("run"), run.model)
    right = hashlib.sha256(Path("run/best.keras").read_bytes()).hexdigest()
    kzoo.load_model("run", expected_sha256=right)
    refused("best.keras", "sha256", folder="run", expected_sha256="1" * 64)
    config = json.loads(Path("run/config.json").read_text())
    config["spec"]["config"]["units"] = [90_000, 90_000]
    Path("run/config.json").write_text(json.dumps(config))
    refused("best.keras", "hidden2_dense/kernel", "(90000, 90000)", folder="run")
    config["spec"]["family"] = None  # then the file must describe itself
    Path("run/config.json").write_text(json.dumps(config))
    assert same(kzoo.load_model("run"), run.model)
    shutil.copy(attacks.open_lambda_with_a_named_keras_function(), "run/best.keras")
    refused("best.keras", "Lambda", folder="run")
    with refuses("Lambda", error=kzoo.UnsafeModelError):
        kzoo.predict("run", np.zeros((1, 4)))


@keras.saving.register_keras_serializable("mine")
class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x


def test_a_run_of_a_model_with_custom_layers(untraced, undrawn):
    """The run that train returns has them; a run opened from its folder needs `trusted`."""
    model = keras.Sequential([keras.Input((4,)), Doubled(), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    run = kzoo.train(
        model, (x, np.arange(60) % 3), out="custom", epochs=1, progress=False, callbacks="quick"
    )
    assert kzoo.predict(run, x[:2]).labels and same(kzoo.load_model(run), run.model)
    refused("best.keras", "Doubled'", "trusted=[Doubled]", folder="custom")
    again = kzoo.Run("custom", trusted=[Doubled])
    assert same(again.model, run.model) and same(
        kzoo.load_model("custom", trusted=[Doubled]), run.model
    )
    assert kzoo.predict(again, x[:2]).labels == kzoo.predict(run, x[:2]).labels


def test_train_checks_a_foreign_file_of_weights(run):
    x = np.zeros((60, 4), "float32")
    start = attacks.open_lambda_with_a_named_keras_function()
    with refuses("Lambda", error=kzoo.UnsafeModelError):
        kzoo.train("iris_fnn", (x, np.arange(60) % 3), out="second", weights=start, progress=False)
    assert not Path("second").exists()
