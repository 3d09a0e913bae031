"""Arguments of `kzoo.load_model`: files that cannot be read, other formats, and trusted classes."""

import errno
import hashlib
import importlib
import json
import os
import random
import zipfile
from pathlib import Path

import attacks
import keras
import numpy as np
import pytest
from keras import layers
from messages import assert_mentions

import kzoo
from kzoo.zoo.loading import inspect_keras_file


def refusal(path, *parts, kind=kzoo.KzooError, **options):
    """Check that `load_model` raises exactly `kind`, whose message has `parts`; return the message."""
    with pytest.raises(kzoo.KzooError) as caught:
        kzoo.load_model(path, **options)
    message = str(caught.value)
    assert type(caught.value) is kind and "\n" not in message, message
    assert_mentions(message, *parts)
    return message


@pytest.fixture
def raw():
    attacks.dense().save("m.keras")
    return Path("m.keras").read_bytes()


def test_files_that_cannot_be_read(raw):
    refusal("nowhere.keras", "nowhere.keras", "run", ".keras file")
    Path("m.keras").write_bytes(b"")
    refusal("m.keras", "m.keras", "empty")
    cut = set()
    for content in (*(raw[: int(len(raw) * share)] for share in (0.3, 0.7, 0.999)), raw + b"more"):
        Path("m.keras").write_bytes(content)
        cut.add(refusal("m.keras", "m.keras", "zip"))
    Path("m.keras").write_text("hello")
    text = refusal("m.keras", "m.keras", ".keras file", "zip")
    Path("m.keras").write_bytes(raw.replace(b'"Dense"', b'"Dance"', 1))
    changed = refusal("m.keras", "m.keras", "CRC-32", "config.json")
    assert len(cut) == 1 and len({*cut, text, changed}) == 3  # three faults, three messages


@pytest.mark.parametrize(
    ("member", "reason"), [("config.json", "line 1"), ("model.weights.h5", "HDF5")]
)
def test_a_member_that_is_missing_or_broken(raw, member, reason):
    parts = attacks.parts_of(attacks.dense())
    missing = refusal(
        attacks.write({n: d for n, d in parts.items() if n != member}), "attack.keras", member
    )
    for content in (parts[member][: len(parts[member]) // 2], b""):
        assert refusal(attacks.write(parts | {member: content}), "attack.keras", reason) != missing


def test_weights_of_another_network():
    parts = attacks.parts_of(attacks.dense())
    others = attacks.parts_of(attacks.dense(5))
    path = attacks.write(parts | {"model.weights.h5": others["model.weights.h5"]})
    refusal(path, "attack.keras", "4, 3", "4, 5")  # of PyTorch, in brackets


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("m.h5", "save('model.keras')"),
        ("m.hdf5", "save('model.keras')"),
        ("m.weights.h5", "load_weights"),
        ("m.pkl", "pickle"),
        ("m.joblib", "pickle"),
        ("m.pt", "pickle"),
        ("m.onnx", "onnxruntime"),
        ("m.tflite", "ai-edge-litert"),
        ("m.zip", ".keras file"),
        ("m", ".keras file"),
    ],
)
def test_other_formats_are_refused_with_a_fix(name, part, raw):
    Path(name).write_bytes(raw)
    refusal(name, name, part, kind=kzoo.UnsafeModelError)


def test_other_folders_and_objects_are_refused():
    Path("folder").mkdir()
    refusal("folder", "folder", "config.json")
    refusal(3, "3", "run", ".keras file")
    refusal("https://host/m.keras", "https://host/m.keras", "download", kind=kzoo.UnsafeModelError)


@pytest.mark.parametrize(
    ("trusted", "part"),
    [
        (True, "trusted=True"),
        ("Mine", "trusted='Mine'"),
        (3, "trusted=3"),
        ([3], "3"),
        (["Mine"], "'Mine'"),
        ([lambda x: x], "lambda"),
        ([layers.Lambda], "Lambda"),
    ],
)
def test_trusted_must_be_a_list_of_classes(raw, trusted, part):
    refusal("m.keras", "trusted=", part, trusted=trusted)


class Unregistered(layers.Layer):
    def __init__(self, units=2, **options):
        super().__init__(**options)
        self.units = units
        self.inner = layers.Dense(units)

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        return super().get_config() | dict(units=self.units)


class Derived(keras.Model):
    def __init__(self, units=3, **options):
        super().__init__(**options)
        self.units = units
        self.dense = layers.Dense(units)

    def call(self, x):
        return self.dense(x)

    def get_config(self):
        return dict(units=self.units)


def triple(x):
    return 3 * x


def test_trusted_classes_and_functions_are_opened():
    x = np.random.default_rng(0).random((2, 4)).astype("float32")
    derived = Derived()
    derived(x)
    sequence = [keras.Input((4,)), layers.Dense(3, triple), Unregistered()]
    for model, trusted in (
        (keras.Sequential(sequence), [triple, Unregistered]),
        (derived, (Derived,)),
    ):
        model.save("own.keras")
        for some in (trusted[1:], ()):
            part = f"trusted=[{trusted[0].__name__}]"
            refusal("own.keras", "own.keras", part, kind=kzoo.UnsafeModelError, trusted=some)
        loaded = kzoo.load_model("own.keras", trusted=trusted)
        np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(m(x)) for m in (loaded, model)))


def test_trust_covers_that_class_only():
    """Trust in a layer does not extend to the layers and functions inside it."""
    model = keras.Sequential([keras.Input((4,)), Unregistered(), layers.Activation("relu")])
    path = attacks.lambda_in(model)
    refusal(path, "Lambda", kind=kzoo.UnsafeModelError, trusted=[Unregistered])


def test_a_layer_of_keras_that_is_not_on_the_list_can_be_trusted():
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.AugMix(num_chains=2)])
    model.save("augmented.keras")
    refusal(
        "augmented.keras", "'keras.layers.AugMix'", "trusted=[AugMix]", kind=kzoo.UnsafeModelError
    )
    kzoo.load_model("augmented.keras", trusted=[layers.AugMix])


def test_an_older_keras_opens_no_foreign_file(raw, monkeypatch):
    monkeypatch.setattr(keras, "__version__", "3.15.0")
    refusal("m.keras", "3.15.0", 'pip install "keras>=3.15.1"', kind=kzoo.UnsafeModelError)


def test_scopes_and_switches_of_the_caller_do_not_reach_the_file(raw, monkeypatch):
    from keras.src.saving.serialization_lib import in_safe_mode

    seen = []
    real = keras.saving.load_model

    def watched(path, **options):
        seen.append(
            (
                options["safe_mode"],
                options["compile"],
                in_safe_mode(),
                Path(path).stat().st_mode & 0o77,
            )
        )
        assert Path(path) != Path("m.keras")  # a private copy of what was checked
        return real(path, **options)

    monkeypatch.setattr(keras.saving, "load_model", watched)
    keras.config.enable_unsafe_deserialization()
    try:
        kzoo.load_model("m.keras")
    finally:
        from keras.src.backend.common import global_state

        global_state.set_global_attribute("safe_mode_saving", None)
    assert [s[:3] for s in seen] == [(True, False, None)]
    with keras.saving.custom_object_scope({"Dense": Unregistered}):
        refusal("m.keras", "'Dense'", "trusted=[Unregistered]", kind=kzoo.UnsafeModelError)


def test_a_file_that_changes_after_the_check_has_no_effect(raw, monkeypatch):
    from kzoo.zoo.loading import keras_file

    look = keras_file._inspect

    def swapped(*arguments):
        result = look(*arguments)
        Path("m.keras").write_bytes(b"something else")
        return result

    monkeypatch.setattr(keras_file, "_inspect", swapped)
    assert kzoo.load_model("m.keras").count_params() == attacks.dense().count_params()


def test_a_link_that_replaces_the_file_after_the_check_is_refused(raw, monkeypatch):
    Path("link.keras").symlink_to("m.keras")
    real = os.lstat
    monkeypatch.setattr(
        os, "lstat", lambda path: real("m.keras" if str(path) == "link.keras" else path)
    )
    refusal("link.keras", "link.keras", os.strerror(errno.ELOOP))


VALUES = [
    None,
    True,
    0,
    -1,
    3,
    1.5,
    1e300,
    "",
    "x",
    "Lambda",
    "__lambda__",
    [],
    {},
    [[]],
    ["a", 0, 0],
    {"config": {}},
    {"class_name": "Dense"},
    {"class_name": []},
    {"class_name": "function", "config": []},
    {"class_name": "__numpy__", "config": {"dtype": [], "value": 1}},
    {"class_name": "Dense", "module": "keras.layers", "config": {}, "registered_name": []},
]


def spots(tree):
    """Return every entry in nested dicts and lists, as (container, key)."""
    keys = (
        list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    )
    return [(tree, key) for key in keys] + [spot for key in keys for spot in spots(tree[key])]


def test_a_changed_file_gives_a_model_or_a_kzoo_error(raw):
    chance = random.Random(0)
    ends = {"loaded": 0, "refused": 0, "unreadable": 0}
    parts = attacks.parts_of(
        keras.Sequential([keras.Input((5, 2)), layers.Bidirectional(layers.LSTM(3))])
    )

    def open_it():
        try:
            kzoo.load_model("m.keras")
            ends["loaded"] += 1
        except kzoo.KzooError as error:
            assert "\n" not in str(error)
            ends["refused" if isinstance(error, kzoo.UnsafeModelError) else "unreadable"] += 1

    for _ in range(100):
        config = json.loads(parts["config.json"])
        for container, key in chance.sample(spots(config), 2):
            container[key] = chance.choice(VALUES)
        attacks.write(parts | {"config.json": json.dumps(config).encode()}, "m.keras")
        open_it()
    for _ in range(40):
        changed = bytearray(parts["model.weights.h5"])
        changed[chance.randrange(len(changed) // 2)] ^= 1 << chance.randrange(8)
        attacks.write(parts | {"model.weights.h5": bytes(changed)}, "m.keras")
        open_it()
        changed = bytearray(raw)
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        Path("m.keras").write_bytes(changed)
        open_it()
    assert min(ends.values()) > 5, ends


def test_control_characters_of_a_file_do_not_reach_the_terminal():
    path = attacks.with_layer(attacks.layer("\x1b[2JEvil\nclass", {"name": "\x1b[31m"}))
    with pytest.raises(kzoo.UnsafeModelError) as caught:
        kzoo.load_model(path)
    assert str(caught.value).isprintable()


def test_inspect_lists_the_content_and_builds_nothing(raw, monkeypatch):
    monkeypatch.delattr(keras.saving, "load_model")
    monkeypatch.delattr(keras.saving, "deserialize_keras_object")
    content = inspect_keras_file("m.keras")
    assert content["classes"] == [
        "DTypePolicy",
        "Dense",
        "GlorotUniform",
        "InputLayer",
        "Sequential",
        "Zeros",
    ]
    assert set(content["classes"]) >= {"Dense", "InputLayer", "Sequential"}
    assert content["sha256"] == hashlib.sha256(raw).hexdigest() and content["bytes"] == len(raw)
    assert content["numbers"] == 4 * 3 + 3 + 3 * 2 + 2 and content["arrays"] == 4
    assert content["keras"] == keras.__version__
    json.dumps(content)
    with pytest.raises(kzoo.UnsafeModelError):
        inspect_keras_file(attacks.open_lambda_with_a_named_keras_function())


def test_a_zip_that_was_packed_again_opens(raw):
    with zipfile.ZipFile("m.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    kzoo.load_model(attacks.write(parts, packed=tuple(parts)))


def test_each_name_on_the_list_is_a_class_of_keras_that_can_be_saved():
    from keras.src.api_export import get_symbol_from_name
    from keras.src.saving.keras_saveable import KerasSaveable

    from kzoo.zoo.loading import allowed

    def class_of(module, name):
        if module.startswith("keras.src."):
            return getattr(importlib.import_module(module), name)
        return get_symbol_from_name(f"{module}.{name}")

    classes = {pair: class_of(*pair) for pair in allowed.CLASSES}
    assert [pair for pair, kind in classes.items() if not isinstance(kind, type)] == []
    parts = (
        "keras.initializers",
        "keras.regularizers",
        "keras.constraints",
        "keras.dtype_policies",
        "keras.quantizers",
    )
    plain = {pair for pair in classes if pair[0] in parts or pair == ("keras", "DTypePolicy")}
    assert [
        pair for pair in classes.keys() - plain if not issubclass(classes[pair], KerasSaveable)
    ] == []
    assert not {name for _, name in classes} & set(allowed.NEVER)
    assert [name for name in allowed.FUNCTIONS if not hasattr(keras.activations, name)] == []
