"""Small files that would take gigabytes or minutes while they are opened, a function for each: constants computed at
once, axes of any length, graphs that are deep, wide or in a bad order, slow initializers, tags of ONNX.

Each returns the files of what is to be opened: name -> bytes, where the first name is what `load_model` takes, or the
bytes of an ONNX file. Configurations are written by hand, for Keras itself could not save most of them.
"""

import functools
import io
import json
import zipfile

import h5py
import numpy as np

HUGE = 1_000_000_000
NUMPY, NN, CORE, IMAGE = (f"keras.src.ops.{name}" for name in ("numpy", "nn", "core", "image"))
INSIDE = "keras.src.models.functional"

BOMBS, TAGS, CLASSES = {}, {}, {}


def bomb(*arguments):
    """Register a function; with arguments, once for each: (end of the name, arguments)."""

    def register(function):
        name = function.__name__
        made = {
            f"{name}_{end}": functools.partial(function, *values) for end, *values in arguments
        } or {name: function}
        BOMBS.update(made)
        CLASSES[name] = next(iter(made))
        return function

    return register


# --- how the files are made -----------------------------------------------------------------------------------------


def tensor(name="x", node=0, shape=(None, 4), dtype="float32"):
    history = [name, node, 0]
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": shape, "dtype": dtype, "keras_history": history},
    }


def numbers(*values, dtype="float32"):
    return {"class_name": "__numpy__", "config": {"value": list(values), "dtype": dtype}}


def layer(
    kind, name="evil", takes=None, *, module="keras.layers", nodes=None, build=None, **config
):
    """A layer that is called on `takes`, a list of arguments; or several times."""
    nodes = [{"args": takes, "kwargs": {}}] if takes is not None else nodes or []
    made = {
        "module": module,
        "class_name": kind,
        "config": {"name": name, **config},
        "registered_name": None,
    }
    return (
        made | {"name": name, "inbound_nodes": nodes} | ({"build_config": build} if build else {})
    )


def input_layer(shape=(None, 4), name="x", dtype="float32"):
    return layer("InputLayer", name, batch_shape=shape, dtype=dtype)


def graph(*layers, name="model", out=None):
    config = dict(
        layers=layers, input_layers=[["x", 0, 0]], output_layers=[[out or layers[-1]["name"], 0, 0]]
    )
    made = {
        "module": INSIDE,
        "class_name": "Functional",
        "registered_name": "Functional",
        "name": name,
    }
    return made | {"config": {"name": name, "trainable": True} | config}


def stack(*layers, name="model"):
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": name, "layers": layers},
    }


def chain(*layers, shape=(None, 4), dtype="float32"):
    """Layers in a row, each a `layer` without inputs."""
    names = ["x", *(each["name"] for each in layers)]
    for before, each in zip(names, layers, strict=False):
        each["inbound_nodes"] = [{"args": [tensor(before, shape=shape, dtype=dtype)], "kwargs": {}}]
    return graph(input_layer(shape, dtype=dtype), *layers)


def keras_file(config, weights=None, packed=()):
    """A `.keras` file of a configuration; weights: path in the HDF5 file -> array; packed: "zip", "hdf5", or both."""
    stored = io.BytesIO()
    how = {"compression": "gzip", "compression_opts": 1} if "hdf5" in packed else {}
    with h5py.File(stored, "w") as file:
        for path, array in (weights or {"layers/none/vars/0": np.zeros(1, "float32")}).items():
            file.create_dataset(path, data=array, **how)
    content = io.BytesIO()
    with zipfile.ZipFile(
        content, "w", zipfile.ZIP_DEFLATED if "zip" in packed else 0, compresslevel=1
    ) as file:
        file.writestr("metadata.json", "{}")
        file.writestr("config.json", json.dumps(config, separators=(",", ":")))
        file.writestr("model.weights.h5", stored.getvalue())
    return content.getvalue()


# --- constants: a layer without a tensor of the graph computes at once ----------------------------------------------

ONE = numbers([1.0])
IMAGES = numbers([[[1.0]]])
LINES = numbers([[[1.0]], [[1.0]]])
VOLUME = numbers([[[[1.0]]]])


@bomb(
    ("broadcast_to", "BroadcastTo", NUMPY, ONE, dict(shape=[60_000, 40_000])),
    ("repeat", "Repeat", NUMPY, ONE, dict(repeats=HUGE, axis=0)),
    ("tile", "Tile", NUMPY, ONE, dict(repeats=[HUGE])),
    ("pad", "Pad", NUMPY, ONE, dict(pad_width=[[0, HUGE], [0, 0]], mode="constant")),
    ("diff", "Diff", NUMPY, ONE, dict(n=100_000_000, axis=-1)),
    ("split", "Split", NUMPY, ONE, dict(indices_or_sections=400_000_000, axis=0)),
    ("full_like", "FullLike", NUMPY, ONE, dict(shape=[60_000, 40_000], dtype="float32")),
    ("outer", "Outer", NUMPY, numbers(*[1.0] * 40_000), {}),
    ("one_hot", "OneHot", NN, numbers(1, dtype="int32"), dict(num_classes=HUGE, axis=-1)),
    ("multi_hot", "MultiHot", NN, numbers(1, dtype="int32"), dict(num_classes=HUGE)),
    ("unstack", "Unstack", CORE, ONE, dict(num=400_000_000, axis=0)),
    ("resize", "Resize", IMAGE, IMAGES, dict(size=[40_000, 40_000])),
    (
        "pad_images",
        "PadImages",
        IMAGE,
        IMAGES,
        dict(top_padding=1, left_padding=1, target_height=HUGE, target_width=1),
    ),
    ("repeat_vector", "RepeatVector", "keras.layers", ONE, dict(n=HUGE)),
    ("zero_padding_1d", "ZeroPadding1D", "keras.layers", LINES, dict(padding=[HUGE, 0])),
    ("zero_padding_2d", "ZeroPadding2D", "keras.layers", VOLUME, dict(padding=[[HUGE, 0], [0, 0]])),
    ("upsampling_1d", "UpSampling1D", "keras.layers", LINES, dict(size=HUGE)),
    ("upsampling_2d", "UpSampling2D", "keras.layers", VOLUME, dict(size=[40_000, 40_000])),
    ("resizing", "Resizing", "keras.layers", IMAGES, dict(height=40_000, width=40_000)),
    (
        "category_encoding",
        "CategoryEncoding",
        "keras.layers",
        numbers(1, dtype="int32"),
        dict(num_tokens=HUGE),
    ),
    (
        "hashing",
        "Hashing",
        "keras.layers",
        numbers(1, dtype="int32"),
        dict(num_bins=HUGE, output_mode="multi_hot"),
    ),
    ("adaptive_pooling", "AdaptiveAveragePooling1D", "keras.layers", LINES, dict(output_size=HUGE)),
    ("random_crop", "RandomCrop", "keras.layers", IMAGES, dict(height=40_000, width=40_000)),
)
def constant(kind, module, value, config):
    return keras_file(graph(input_layer(), layer(kind, takes=[value], module=module, **config)))


REPEAT = functools.partial(layer, "Repeat", module=NUMPY, repeats=HUGE, axis=0)


@bomb(
    ("as_a_word_argument", [{"args": [], "kwargs": {"x": ONE}}]),
    ("beside_what_looks_like_a_tensor_of_keras_2", [{"args": [["x", 0, 0], ONE], "kwargs": {}}]),
    ("as_a_node_of_keras_2", [[["nobody", 0, 0, {"x": ONE}]]]),
    ("as_an_empty_node", [[]]),
    ("after_an_honest_node", [{"args": [tensor()], "kwargs": {}}, {"args": [ONE], "kwargs": {}}]),
    ("beside_a_tensor_of_no_layer", [{"args": [ONE, tensor("nobody")], "kwargs": {}}]),
    (
        "beside_a_tensor_without_history",
        [{"args": [ONE, tensor() | {"config": {"shape": [1], "dtype": "int32"}}], "kwargs": {}}],
    ),
)
def constant_hidden(nodes):
    return keras_file(graph(input_layer(), REPEAT(nodes=nodes)))


@bomb()
def constant_in_a_model_inside():
    inner = graph(input_layer(), REPEAT(takes=[ONE]), name="inner") | {
        "inbound_nodes": [{"args": [tensor()], "kwargs": {}}]
    }
    return keras_file(graph(input_layer(), inner))


@bomb()
def constant_in_a_model_inside_a_wrapper():
    inner = graph(input_layer(), REPEAT(takes=[ONE]), name="inner")
    return keras_file(
        graph(input_layer((None, 3, 4)), layer("TimeDistributed", takes=[tensor()], layer=inner))
    )


@bomb()
def model_among_the_arguments_of_a_node():
    inner = graph(
        input_layer(), *(layer("ReLU", f"r{i}", [tensor()]) for i in range(500)), name="inner"
    )
    return keras_file(graph(input_layer(), layer("Add", takes=[[tensor(), inner]])))


# --- axes of any length ---------------------------------------------------------------------------------------------

LENGTHENED = {
    "input": ((None, HUGE), []),
    "repeat_vector": (
        (None, 4),
        [dict(kind="RepeatVector", n=HUGE), dict(kind="Permute", dims=[2, 1])],
    ),
    "upsampling": (
        (None, 4, 1),
        [dict(kind="UpSampling1D", size=HUGE), dict(kind="Permute", dims=[2, 1])],
    ),
    "zero_padding": (
        (None, 4, 1),
        [dict(kind="ZeroPadding1D", padding=HUGE), dict(kind="Permute", dims=[2, 1])],
    ),
    "flatten": ((None, 40_000, 40_000), [dict(kind="Flatten")]),
    "resizing": (
        (None, 4, 4, 1),
        [dict(kind="Resizing", height=40_000, width=40_000), dict(kind="Flatten")],
    ),
    "one_hot": ((None,), [dict(kind="CategoryEncoding", num_tokens=HUGE, output_mode="one_hot")]),
}


@bomb(*((f"by_{name}", *how) for name, how in LENGTHENED.items()))
def normalisation_of_an_axis_made_long(shape, before):
    layers = [layer(name=f"l{i}", **config) for i, config in enumerate(before)]
    return keras_file(
        chain(*layers, layer("Normalization", axis=-1, mean=None, variance=None), shape=shape)
    )


@bomb(
    ("given_as_a_number", dict(axis=-1, mean=0.0, variance=1.0), (None, HUGE)),
    ("given_as_a_list", dict(axis=-1, mean=[0.0], variance=[1.0]), (None, HUGE)),
    ("on_two_axes", dict(axis=[1, 2], mean=0.0, variance=1.0), (None, 40_000, 40_000)),
    ("on_one_of_two_axes", dict(axis=1, mean=0.0, variance=1.0), (None, HUGE, 1)),
)
def normalisation_by_what_is(config, shape):
    return keras_file(chain(layer("Normalization", **config), shape=shape))


@bomb()
def normalisation_by_its_build_config():
    evil = layer(
        "Normalization", axis=-1, mean=0.0, variance=1.0, build={"input_shape": [None, HUGE]}
    )
    return keras_file(stack(input_layer(), evil))


@bomb(
    ("batch_normalization", dict(kind="BatchNormalization", axis=-1)),
    ("layer_normalization", dict(kind="LayerNormalization", axis=-1)),
    ("rms_normalization", dict(kind="RMSNormalization", axis=-1)),
    ("prelu", dict(kind="PReLU")),
    ("dense", dict(kind="Dense", units=4)),
    (
        "spectral_normalization",
        dict(kind="SpectralNormalization", layer=layer("Dense", "inner", units=4)),
    ),
    ("unstack", dict(kind="Unstack", module=CORE, num=None, axis=1)),
    ("split", dict(kind="Split", module=NUMPY, indices_or_sections=HUGE, axis=1)),
    ("diff", dict(kind="Diff", module=NUMPY, n=HUGE - 1, axis=1)),
    ("cumsum", dict(kind="Cumsum", module=NUMPY, axis=1)),
)
def huge_axis_of(config):
    return keras_file(chain(layer(**config), shape=(None, HUGE)))


@bomb(
    (
        "causal_attention",
        "MultiHeadAttention",
        dict(num_heads=1, key_dim=1),
        dict(use_causal_mask=True),
    ),
    ("attention", "Attention", {}, dict(use_causal_mask=True)),
)
def huge_axis_of_a(kind, config, options):
    x = tensor()
    node = {"args": [[x, x]] if kind == "Attention" else [x, x], "kwargs": options}
    return keras_file(graph(input_layer((None, 60_000, 1)), layer(kind, nodes=[node], **config)))


WORDS = dict(
    standardize="lower", split="whitespace", output_mode="int", ngrams=None, vocabulary=["a"]
)


@bomb(
    ("embedding", dict(kind="Embedding", input_dim=HUGE, output_dim=4, mask_zero=True), "int32"),
    ("ngrams", dict(kind="TextVectorization", **WORDS | {"ngrams": HUGE}), "string"),
    ("hashing", dict(kind="Hashing", num_bins=HUGE, output_mode="multi_hot"), "int32"),
    ("sequence", dict(kind="TextVectorization", output_sequence_length=HUGE, **WORDS), "string"),
)
def huge_number_of(config, dtype):
    return keras_file(chain(layer(**config), shape=(None, 1), dtype=dtype))


@bomb(
    ("random_crop", dict(kind="RandomCrop", height=HUGE, width=HUGE)),
    ("gaussian_blur", dict(kind="RandomGaussianBlur", kernel_size=[40_001, 40_001], sigma=1.0)),
    ("padding", dict(kind="ZeroPadding2D", padding=[[HUGE, HUGE], [HUGE, HUGE]])),
    ("max_pooling", dict(kind="AdaptiveMaxPooling2D", output_size=[40_000, 40_000])),
    (
        "transposed",
        dict(kind="Conv2DTranspose", filters=1, kernel_size=1, strides=[40_000, 40_000]),
    ),
)
def huge_images_of(config):
    return keras_file(chain(layer(**config), shape=(None, 8, 8, 3)))


@bomb()
def huge_rank():
    shape = [1] * 100_000
    return keras_file(
        chain(
            layer("Reshape", "r", target_shape=shape),
            layer("BatchNormalization"),
            layer("Flatten", "f"),
        )
    )


# --- deep, wide, and in a bad order ---------------------------------------------------------------------------------


def relus(count, takes=lambda i: f"r{i - 1}" if i else "x"):
    return [layer("ReLU", f"r{i}", [tensor(takes(i))]) for i in range(count)]


@bomb(("of_9990", 9_990), ("of_3000", 3_000))
def deep(count):
    return keras_file(graph(input_layer(), *relus(count)))


@bomb()
def reverse_order_of_3000():
    return keras_file(graph(input_layer(), *reversed(relus(3_000)), out="r2999"))


@bomb()
def reverse_order_of_700():
    return keras_file(graph(input_layer(), *reversed(relus(700)), out="r699"))


@bomb()
def layers_that_wait_for_one_another():
    return keras_file(graph(input_layer(), *relus(700, takes=lambda i: f"r{(i + 1) % 700}")))


@bomb(("of_9000", 9_000), ("of_2000", 2_000))
def wide(count):
    return keras_file(graph(input_layer(), *relus(count, takes=lambda i: "x")))


@bomb()
def wide_sum_of_one_tensor():
    return keras_file(graph(input_layer(), layer("Add", takes=[[tensor()] * 20_000])))


@bomb()
def wide_sum_as_keras_2_writes_it():
    return keras_file(graph(input_layer(), layer("Add", nodes=[[["x", 0, 0]] * 250_000])))


@bomb(*((key, key) for key in ("input_layers", "output_layers")))
def ends_without_number(key):
    model = graph(input_layer(), layer("ReLU", "r", [tensor()]))
    model["config"][key] *= 200_000
    return keras_file(model)


@bomb()
def long_constant_that_is_read_again_and_again():
    late = layer("Multiply", "late", [[tensor("r299"), numbers(*[1.0] * 500_000)]])
    return keras_file(graph(input_layer(), late, *reversed(relus(300)), out="r299"))


@bomb()
def one_layer_called_20000_times():
    nodes = [{"args": [tensor()], "kwargs": {}}] * 20_000
    return keras_file(graph(input_layer(), layer("ReLU", nodes=nodes)))


@bomb(("of_300", 300), ("of_5000", 5_000))
def sequential(count):
    return keras_file(stack(input_layer(), *(layer("ReLU", f"r{i}") for i in range(count))))


@bomb()
def sequential_without_inputs():
    return keras_file(
        stack(*(layer("ReLU", f"r{i}") for i in range(700)))
        | {"build_config": {"input_shape": [1, 4]}}
    )


@bomb()
def sequential_models_inside_one_another():
    model = layer("ReLU", "r")
    for depth in range(12):
        model = stack(
            input_layer(name=f"x{depth}"), model, layer("ReLU", f"r{depth}"), name=f"m{depth}"
        )
    return keras_file(model)


@bomb()
def wrappers_inside_one_another():
    inner = layer("ReLU", "r")
    for depth in range(28):
        inner = layer("TimeDistributed", f"t{depth}", layer=inner)
    return keras_file(chain(inner, shape=(None, *[2] * 29)))


@bomb()
def bidirectional_inside_bidirectional():
    inner = layer("LSTM", "lstm", units=1, return_sequences=True)
    for depth in range(12):
        inner = layer("Bidirectional", f"b{depth}", layer=inner)
    return keras_file(chain(inner, shape=(None, 3, 4)))


@bomb()
def cells_without_end():
    cells = [layer("GRUCell", f"c{i}", units=1) for i in range(3_000)]
    return keras_file(
        chain(layer("RNN", cell=layer("StackedRNNCells", "cells", cells=cells)), shape=(None, 3, 4))
    )


@bomb(
    ("lstm", "LSTM", dict(units=1, return_sequences=True)),
    (
        "bidirectional",
        "Bidirectional",
        dict(layer=layer("LSTM", "l", units=1, return_sequences=True)),
    ),
)
def hundreds_of(kind, config):
    return keras_file(
        chain(*(layer(kind, f"l{i}", **config) for i in range(400)), shape=(None, 3, 4))
    )


# --- slow initializers ----------------------------------------------------------------------------------------------


def initializer(kind, **config):
    return {
        "module": "keras.initializers",
        "class_name": kind,
        "config": config,
        "registered_name": None,
    }


SQUARE = 2_000


@bomb(
    ("orthogonal", initializer("Orthogonal")),
    ("orthogonal_by_name", "orthogonal"),
    ("orthogonal_by_its_class_name", "Orthogonal"),
)
def slow_start(begin):
    weights = {"layers/dense/vars/0": np.zeros((SQUARE, SQUARE), "float32")}
    dense = layer("Dense", "dense", units=SQUARE, use_bias=False, kernel_initializer=begin)
    return keras_file(chain(dense, shape=(None, SQUARE)), weights)


@bomb()
def slow_start_of_a_recurrent_layer_by_default():
    kernels = {"0": np.zeros((1, SQUARE), "float32"), "1": np.zeros((SQUARE, SQUARE), "float32")}
    weights = {f"layers/simple_rnn/cell/vars/{name}": array for name, array in kernels.items()}
    return keras_file(
        chain(layer("SimpleRNN", "rnn", units=SQUARE, use_bias=False), shape=(None, 3, 1)), weights
    )


# --- weights that are packed: few bytes of them are numbers, the others are zeros -----------------------------------


@bomb(("in_the_zip", ["zip"]), ("in_hdf5", ["hdf5"]), ("in_both", ["zip", "hdf5"]))
def weights_that_unpack_to_much_more(packed):
    kernel = np.zeros((1_000, 25_000), "float32")
    kernel[:60] = np.random.default_rng(0).normal(size=(60, 25_000))
    dense = layer("Dense", "dense", units=25_000, use_bias=False)
    return keras_file(chain(dense, shape=(None, 1_000)), {"layers/dense/vars/0": kernel}, packed)


# --- ONNX: tags that one reader cuts off and another does not -------------------------------------------------------


def varint(number, longer=0):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return (
        bytes([*out, number])
        if not longer
        else bytes([*out, number | 128, *[128] * (longer - 1), 0])
    )


def field(number, content, tag=None):
    return (tag or varint(number << 3 | 2)) + varint(len(content)) + content


def onnx_file(location, external, inside):
    """A model that adds a tensor of another file to its input; `inside` is the part with the tensor."""
    entry = field(1, b"location") + field(2, b"secret")
    weight = field(1, b"\2") + varint(2 << 3) + b"\1" + field(8, b"w")
    weight += field(13, entry, external) + (location or varint(14 << 3)) + b"\1"

    def end(name):
        return field(1, name) + field(2, field(1, b"\x08\1" + field(2, field(1, b"\x08\2"))))

    add = field(1, b"x") + field(1, b"w") + field(2, b"y") + field(4, b"Add")
    constant = (
        field(2, b"w") + field(4, b"Constant") + field(5, field(1, b"value") + field(5, weight))
    )
    body = {
        "initializer": field(1, add) + field(5, weight),
        "constant": field(1, constant) + field(1, add),
    }[inside]
    whole = field(2, b"g") + body + field(11, end(b"x")) + field(12, end(b"y"))
    return b"\x08\x08" + field(8, b"\x10\x0f") + field(7, whole)


for _inside in ("initializer", "constant"):
    for _name, _other in {
        "33_bits": lambda number: varint((1 << 32) + number),
        "41_bits": lambda number: varint((1 << 40) + number),
        "63_bits": lambda number: varint((1 << 62) + number),
        "6_bytes": lambda number: varint(number, longer=5),
        "10_bytes": lambda number: varint(number, longer=9),
    }.items():
        TAGS[f"tag_of_{_name}_in_{_inside}"] = functools.partial(
            onnx_file, _other(14 << 3), _other(13 << 3 | 2), _inside
        )
