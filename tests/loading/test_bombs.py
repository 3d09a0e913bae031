"""Opening a small file takes little time and memory, even if the file describes a huge model.

Sizes in a file are checked before anything is built: each file is refused, or opened, within seconds and a few hundred
mebibytes. All are opened in the same process, which measures each.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bombs import BOMBS, CLASSES, TAGS, onnx_file
from made import write_manifest
from messages import assert_mentions, missing_from, refuses
from mutations import memory
from onnx import TensorProto, helper

import kzoo.runtime
from kzoo.export.formats import formats

HERE = Path(__file__).parent
SECONDS, MEBIBYTES = 5, 300  # of the processor, and beyond what a small model takes
STARTS = 2  # times what importing Keras took the same process, where the processor is slow

MEASURE = """
import gc, json, os, resource, sys, time
gc.set_threshold(200_000, 20, 100)
sys.path.insert(0, {here!r})
import keras, kzoo
print(json.dumps(time.process_time()), flush=True)
from bombs import BOMBS, chain, keras_file, layer


def memory(name):  # not getrusage, whose peak a child inherits from its parent
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) // 1024


def opened(content):
    with open("attack.keras", "wb") as file:
        file.write(content)
    open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
    before, began = memory("VmRSS"), time.process_time()
    try:
        kzoo.load_model("attack.keras")
        outcome = "opened"
    except Exception as error:
        outcome = f"{{type(error).__name__}}: {{error}}"
    return outcome, time.process_time() - began, memory("VmHWM") - before


opened(keras_file(chain(layer("ReLU"))))  # what loading any model takes
keras.saving.serialize_keras_object(keras.layers.LSTM(1))  # Keras imports TensorFlow for it, on every backend
room = memory("VmSize") * 1024 + (6 << 30)
resource.setrlimit(resource.RLIMIT_AS, (room, room))  # the machine lives on
for name in sys.argv[1:]:
    print(json.dumps([name, *opened(BOMBS[name]())]), flush=True)
"""


def measured(names, folder):
    """Return (outcome, seconds, mebibytes) of each bomb that a child process opened before it ended, and the seconds
    that it took to start."""
    command = [sys.executable, "-c", MEASURE.format(here=str(HERE)), *names]
    environment = os.environ | {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    started, *lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == list(names), done.stderr[-2000:]
    return {name: rest for name, *rest in lines}, started


def harmless(outcome, seconds, mebibytes, limit):
    error, _, message = outcome.partition(": ")
    refused = error in ("KzooError", "UnsafeModelError") and not missing_from(
        message, ["attack.keras"]
    )
    return (
        (outcome == "opened" or (refused and "\n" not in message))
        and seconds < limit
        and mebibytes < MEBIBYTES
    )


@pytest.mark.usefixtures("warm_children")
@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="Linux reports the peak of memory"
)
@pytest.mark.parametrize(
    "names", [CLASSES.values(), pytest.param(BOMBS, marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_no_small_file_takes_long_or_much_memory(tmp_path, names):
    results, started = measured(names, tmp_path)
    limit = max(SECONDS, STARTS * started)
    assert {name: result for name, result in results.items() if not harmless(*result, limit)} == {}


def test_there_are_at_least_60_bombs():
    assert len(BOMBS) + len(TAGS) >= 60


def export_of(content, name="onnx/model.onnx", format="onnx"):
    """Write an exported model whose manifest lists these bytes."""
    file = Path("exported", name)
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    spec = dict(preset="mine", family=None, task=None, config={}, training={})
    write_manifest(
        Path("exported"), spec, exports={format: dict(format=format, status="ok", file=name)}
    )
    return Path("exported")


def refusal(exported):
    Path("secret").write_bytes(bytes(8))
    with refuses("exported/onnx") as caught:
        kzoo.runtime.load(exported)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", TAGS)
def test_onnx_tags_that_readers_cut_off_differently_are_refused(name):
    message = refusal(export_of(TAGS[name]()))
    assert_mentions(message, "ONNX file")
    assert missing_from(message, ["weights"])


@pytest.mark.parametrize("inside", ["initializer", "constant"])
def test_onnx_files_with_weights_in_other_files_are_refused(inside):
    assert_mentions(refusal(export_of(onnx_file(None, None, inside))), "weights", "other files")


def onnx_of(*nodes, **sizes):
    """Write a model of an input x and constants: name -> whole number."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 4]) for name in "xy")
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [1], [size]) for name, size in sizes.items()
    ]
    graph = helper.make_graph(nodes, "g", [x], [y], initializer=constants)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8
    ).SerializeToString()


def onnx_of_many(count, size):
    node = helper.make_node
    constants = [node("ConstantOfShape", ["n"], [f"c{i}"]) for i in range(count)]
    total = [
        node("Sum", [f"c{i}" for i in range(count)], ["c"]),
        node("ReduceSum", ["c"], ["r"], keepdims=0),
    ]
    return onnx_of(*constants, *total, node("Add", ["x", "r"], ["y"]), n=size)


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="Linux reports the peak of memory"
)
@pytest.mark.parametrize(
    ("count", "size"), [(1, 200_000_000), (300, 1_000_000)], ids=["large", "many"]
)
def test_an_onnx_file_computes_no_large_constants_while_it_is_opened(count, size):
    content = onnx_of_many(count, size)
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    formats()["onnx"].open(content, name="it", threads=1)  # `runtime.load` tries it elsewhere first
    assert memory("VmHWM") - before < MEBIBYTES
