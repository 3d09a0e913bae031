"""Small ONNX and LiteRT files that take gigabytes or run for ever; each function returns the bytes of a file.

All take x (batch, 4), and give y of the same shape.
"""

import functools
import itertools
from importlib import import_module

import numpy as np
from onnx import TensorProto, helper, numpy_helper

HUGE = 2_000_000_000
ONNX, LITERT = {}, {}
node = helper.make_node
FLOAT, INT, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def costs(function):
    ONNX[function.__name__] = function
    return function


def value(name, type=FLOAT, shape=(None, 4)):
    return helper.make_tensor_value_info(name, type, shape)


def onnx_of(*nodes, functions=(), domains=(), **constants):
    """Write a model of these nodes; constants: name -> array."""
    tensors = [
        numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()
    ]
    graph = helper.make_graph(list(nodes), "g", [value("x")], [value("y")], initializer=tensors)
    opsets = [helper.make_opsetid("", 15), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(
        graph, opset_imports=opsets, ir_version=8, functions=list(functions)
    ).SerializeToString()


def added(*nodes, **constants):
    """Write a model that adds to its input the sum of the output `c` of the last node."""
    return onnx_of(
        *nodes,
        node("ReduceSum", ["c"], ["r"], keepdims=0),
        node("Add", ["x", "r"], ["y"]),
        **constants,
    )


def honest():
    """A file that takes next to nothing."""
    return added(node("MatMul", ["x", "w"], ["c"]), w=np.ones((4, 4), "float32"))


# --- memory -----------------------------------------------------------------------------------------------------------


@costs
def constant_of_any_shape():
    return added(node("ConstantOfShape", ["n"], ["c"]), n=[HUGE])


@costs
def many_constants():
    made = [node("ConstantOfShape", ["n"], [f"c{i}"]) for i in range(100)]
    return added(
        *made, node("Concat", [f"c{i}" for i in range(100)], ["c"], axis=0), n=[20_000_000]
    )


@costs
def expanded():
    return added(node("Expand", ["one", "n"], ["c"]), one=np.ones(1, "float32"), n=[HUGE])


@costs
def tiled():
    return added(node("Tile", ["one", "n"], ["c"]), one=np.ones(1, "float32"), n=[HUGE])


@costs
def numbers_to_any():
    whole = [np.array(number) for number in (0, HUGE, 1)]
    return added(
        node("Range", list("abd"), ["i"]),
        node("Cast", ["i"], ["c"], to=FLOAT),
        **dict(zip("abd", whole, strict=True)),
    )


@costs
def padded():
    return added(node("Pad", ["one", "n"], ["c"]), one=np.ones(1, "float32"), n=[0, HUGE])


@costs
def resized():
    image = np.ones((1, 1, 2, 2), "float32")
    made = node("Resize", ["image", "", "", "n"], ["c"], mode="nearest")
    return added(made, image=image, n=[1, 1, 40_000, 50_000])


@costs
def one_hot():
    values = np.array([0, 1], "float32")
    return added(
        node("OneHot", ["i", "n", "values"], ["c"]), i=[0, 1], n=np.array(HUGE), values=values
    )


@costs
def drawn():
    return added(node("RandomUniform", [], ["c"], shape=[HUGE]))


@costs
def transposed_convolution():
    made = node("ConvTranspose", ["image", "w"], ["c"], strides=[40_000, 40_000])
    return added(
        made, image=np.ones((1, 1, 2, 2), "float32"), w=np.ones((1, 1, 40_000, 2), "float32")
    )


@costs
def product_of_a_column_and_a_row():
    return added(
        node("MatMul", ["a", "b"], ["c"]),
        a=np.ones((40_000, 1), "float32"),
        b=np.ones((1, 40_000), "float32"),
    )


@costs
def sum_of_a_column_and_a_row():
    return added(
        node("Add", ["a", "b"], ["c"]),
        a=np.ones((40_000, 1), "float32"),
        b=np.ones((1, 40_000), "float32"),
    )


@costs
def outer_product():
    vector = np.ones(1_500, "float32")
    return added(node("Einsum", ["a", "a", "a"], ["c"], equation="i,j,k->ijk"), a=vector)


@costs
def doubled_and_doubled():
    names = ["x", *(f"d{i}" for i in range(29)), "c"]
    return added(*(node("Concat", [a, a], [b], axis=0) for a, b in itertools.pairwise(names)))


@costs
def of_a_size_that_an_input_sets():
    count = [node("ReduceSum", ["x"], ["s"], keepdims=0), node("Mul", ["s", "k"], ["m"])]
    count += [node("Cast", ["m"], ["i"], to=INT), node("Unsqueeze", ["i", "first"], ["n"])]
    made = node("ConstantOfShape", ["n"], ["c"])
    return added(*count, made, k=np.float32(5e8), first=[0])


# --- time -------------------------------------------------------------------------------------------------------------


def loop(nodes, *, trips=2**62, scan=False, **constants):
    """Write a loop that begins with v = x; its nodes make w of v."""
    ends = [value("go_on", BOOL, []), value("w"), *([value("each")] if scan else [])]
    nodes = [
        node("Identity", ["goes"], ["go_on"]),
        *nodes,
        *([node("Identity", ["w"], ["each"])] if scan else []),
    ]
    body = helper.make_graph(
        nodes, "body", [value("i", INT, []), value("goes", BOOL, []), value("v")], ends
    )
    gives = ["y", *(["all"] if scan else [])]
    more = [node("ReduceSum", ["all"], ["r"], keepdims=0)] if scan else []
    made = node("Loop", ["trips" if trips else "", "true", "x"], gives, body=body)
    constants |= {"trips": np.array(trips)} if trips else {}
    return onnx_of(made, *more, true=np.array(True), **constants)


SAME = [node("Identity", ["v"], ["w"])]


@costs
def loop_of_any_length():
    return loop(SAME)


@costs
def loop_without_end():
    return loop(SAME, trips=None)


@costs
def loop_that_keeps_all():
    return loop(SAME, scan=True)


@costs
def loop_that_grows():
    return loop([node("Concat", ["v", "v"], ["w"], axis=0)])


@costs
def loop_in_loops():
    def body(depth):
        names = {name: f"{name}{depth}" for name in ("i", "goes", "v", "go_on", "w")}
        takes, gives = [names["v"]], [names["w"]]
        inside = node("Identity", takes, gives)
        if depth:
            inside = node("Loop", ["trips", "true", *takes], gives, body=body(depth - 1))
        ends = [value(names["go_on"], BOOL, []), value(names["w"])]
        starts = [value(names["i"], INT, []), value(names["goes"], BOOL, []), value(names["v"])]
        nodes = [node("Identity", [names["goes"]], [names["go_on"]]), inside]
        return helper.make_graph(nodes, f"b{depth}", starts, ends)

    made = node("Loop", ["trips", "true", "x"], ["y"], body=body(5))
    return onnx_of(made, trips=np.array(1_000), true=np.array(True))


@costs
def loop_that_an_input_lets_go_on():
    nodes = [
        *SAME,
        node("ReduceMax", ["v"], ["top"], keepdims=0),
        node("Greater", ["top", "zero"], ["go_on"]),
    ]
    ends = [value("go_on", BOOL, []), value("w")]
    starts = [value("i", INT, []), value("goes", BOOL, []), value("v")]
    body = helper.make_graph(nodes, "body", starts, ends)
    return onnx_of(
        node("Loop", ["", "true", "x"], ["y"], body=body), true=np.array(True), zero=np.float32(0)
    )


@costs
def products_of_large_matrices():
    names = [f"c{i}" for i in range(60)] + ["c"]
    made = [node("MatMul", [a, a], [b]) for a, b in itertools.pairwise(names)]
    return added(node("ConstantOfShape", ["n"], ["c0"]), *made, n=[3_000, 3_000])


@costs
def functions_of_functions():
    opset = [helper.make_opsetid("", 15), helper.make_opsetid("f", 1)]
    functions = [helper.make_function("f", "f0", ["v"], ["w"], [node("Neg", ["v"], ["w"])], opset)]
    for depth in range(1, 30):
        twice = [node(f"f{depth - 1}", [a], [b], domain="f") for a, b in ("vu", "uw")]
        functions.append(helper.make_function("f", f"f{depth}", ["v"], ["w"], twice, opset))
    return onnx_of(node("f29", ["x"], ["y"], domain="f"), functions=functions, domains=["f"])


@costs
def nodes_without_number():
    names = ["x", *(f"{i:x}" for i in range(60_000)), "y"]
    return onnx_of(*(node("Neg", [a], [b]) for a, b in itertools.pairwise(names)))


# --- LiteRT -----------------------------------------------------------------------------------------------------------


def lite(call):
    """Register a function of TensorFlow, an x of (1, 4), and a zero that the converter does not know to be one."""
    LITERT[call.__name__] = functools.partial(_litert, call)
    return call


def _litert(call):
    tf = import_module("tensorflow")

    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32)])
    def model(x):
        zero = tf.cast(tf.reduce_sum(tf.minimum(tf.abs(x), 0.0)), tf.int32)
        return x + call(tf, x, zero)

    function = model.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([function], model).convert()


@lite
def harmless(tf, x, zero):
    return tf.cast(zero, tf.float32)


@lite
def filled(tf, x, zero):
    return tf.reduce_sum(tf.fill([zero + HUGE], 1.0))


@lite
def range_to_any(tf, x, zero):
    return tf.cast(tf.reduce_sum(tf.range(zero, HUGE)), tf.float32)


@lite
def tiled_lite(tf, x, zero):
    return tf.reduce_sum(tf.tile(x, [zero + 1, HUGE // 4]))


@lite
def broadcast(tf, x, zero):
    return tf.reduce_sum(tf.broadcast_to(x[:, :1], [zero + 40_000, 40_000]))


@lite
def padded_lite(tf, x, zero):
    return tf.reduce_sum(tf.pad(x, [[0, 0], [zero + HUGE // 4, 0]]))


@lite
def product_lite(tf, x, zero):
    long = tf.fill([zero + 40_000, 1], 1.0)
    return tf.reduce_sum(tf.matmul(long, tf.transpose(long)))


@lite
def resized_lite(tf, x, zero):
    size = tf.stack([zero + 40_000, zero + 40_000])
    return tf.reduce_sum(tf.image.resize(tf.reshape(x, (1, 2, 2, 1)), size, "nearest"))


@lite
def loop_lite(tf, x, zero):
    start = tf.constant(1.0) + tf.cast(zero, tf.float32)
    return tf.while_loop(
        lambda v: v > 0.0, lambda v: [v * 1.0 + tf.cast(zero, tf.float32)], [start]
    )[0]


@lite
def loop_that_an_input_lets_go_on_lite(tf, x, zero):
    top = tf.reduce_max(x)
    return tf.while_loop(lambda v: v > 0.0, lambda v: [tf.maximum(v, top)], [top])[0]
