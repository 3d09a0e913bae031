"""The network of a page in JavaScript: the same outputs as ONNX Runtime, run by Node.js."""

import json
import shutil
import subprocess
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
from custom_networks import network_of_both_directions, network_of_masked_words, odd_network
from test_matrix import with_random_weights

import kzoo
from kzoo.export.formats import html
from kzoo.export.program.from_onnx import read_program
from kzoo.export.program.javascript import description, weights

NETWORK = Path(html.__file__).with_name("network.js")
PRESETS = {
    "iris_fnn": {},
    "tabular_tabm": {},
    "tabular_resnet": {},
    "tabular_transformer": {},
    "digits_cnn": {},
    "cifar_mobile": {},
    "cifar_vit": {},
    "series_linear": {},
    "series_rnn": {"input_shape": (24, 2)},
    "series_gru": {"input_shape": (24, 2)},
    "series_lstm": {"input_shape": (24, 2)},
    "series_tcn": {"input_shape": (24, 2)},
    "series_rocket": {},
    "text_cnn": {},
    "text_ngrams": {},
    "text_gru": {},
    "text_transformer": {},
    "text_bilstm": {},
    "imdb_rnn": {},
    "char_gpt": {},
}
QUICK = "iris_fnn", "tabular_tabm", "series_gru"
RUN = """
import fs from "fs";
import {network} from "./network.mjs";
const stored = new Uint8Array(fs.readFileSync("weights.bin"));
const predict = network(JSON.parse(fs.readFileSync("network.json")), stored.buffer);
const rows = JSON.parse(fs.readFileSync("rows.json"));
console.log(JSON.stringify(rows.map((row) => [...predict(Float32Array.from(row))])));
"""

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js")


def outputs_of(model, x, folder):
    """Return the outputs for rows (N, ...): those of ONNX Runtime, and those of the script."""
    kzoo.export(model, folder / "e", formats=["onnx"], progress=False)
    file = folder / "e" / "onnx" / "model.onnx"
    session = onnxruntime.InferenceSession(str(file))
    name, kind = session.get_inputs()[0].name, session.get_inputs()[0].type
    expected = session.run(None, {name: x.astype("int32" if "int" in kind else "float32")})[0]
    program = read_program(file.read_bytes())
    shutil.copy(NETWORK, folder / "network.mjs")
    (folder / "network.json").write_text(json.dumps(description(program)))
    (folder / "weights.bin").write_bytes(weights(program))
    (folder / "rows.json").write_text(json.dumps(x.reshape(len(x), -1).tolist()))
    (folder / "run.mjs").write_text(RUN)
    done = subprocess.run(["node", "run.mjs"], cwd=folder, check=True, capture_output=True)
    return expected, np.array(json.loads(done.stdout)).reshape(expected.shape)


def inputs_of(model, rows):
    random = np.random.default_rng(0)
    shape, dtype = (rows, *model.inputs[0].shape[1:]), model.inputs[0].dtype
    if "int" not in dtype:
        return random.normal(size=shape)
    x = random.integers(1, 100, size=shape)
    x[:, shape[1] // 2 :] = 0  # padding
    return x


def check(model, folder):
    expected, computed = outputs_of(model, inputs_of(model, 5), folder)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in PRESETS]
)
def test_presets_compute_what_onnx_runtime_computes(name, tmp_path):
    check(with_random_weights(name, **PRESETS[name]), tmp_path)


@pytest.mark.parametrize(
    "network", [odd_network, network_of_both_directions, network_of_masked_words]
)
def test_operations_of_custom_networks(network, tmp_path):
    check(network(), tmp_path)


def test_functions_of_elements(tmp_path):
    x = inputs = keras.Input((24,))
    ops = keras.ops
    parts = [
        ops.erf(x * 4),
        keras.activations.gelu(x, approximate=False),
        ops.softplus(x * 30),
        ops.exp(-ops.abs(x)) / (1 + ops.square(x)),
        ops.where(x > 0, ops.sqrt(ops.abs(x)), ops.log(ops.abs(x) + 1)),
        ops.floor(x) + ops.ceil(3 * x) + ops.sin(x) * ops.cos(x),
        ops.softmax(ops.reshape(x, (-1, 2, 3, 4)), axis=2)[:, :, 1, 1:],
        ops.cumsum(x, axis=1),
        ops.maximum(x, 0.1) ** 1.5,
    ]
    parts = [ops.reshape(part, (-1, int(np.prod(part.shape[1:])))) for part in parts]
    check(keras.Model(inputs, ops.concatenate(parts, axis=1), name="functions"), tmp_path)
