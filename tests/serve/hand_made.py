"""Exported models written by hand: a linear layer each, in the layout of `kzoo.export`, without Keras."""

import hashlib
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PIXELS = {"kind": "image", "shape": [8, 8, 1], "resize": "cover", "background": "white"}
PANEL = {
    "kind": "series",
    "columns": ["sales"],
    "outputs": 1,
    "time": "day",
    "series_id": ["shop"],
    "zones": {"day": ""},
    "covariates": [{"name": "promo", "role": "known"}],
    "calendar": {"column": "day", "step": "days", "every": 1.0},
    "horizon": 3,
    "steps": 4,
    "ids": ["east", "west"],
}
SERIES = {"kind": "series", "columns": ["load", "sun"], "steps": 6, "time": None}


def write_digits(path, *, seed=0, classes=10, scale=0.01, shift=0.0):
    """Write a classifier of 8x8 images; another seed gives other answers."""
    weights = np.random.default_rng(seed).normal(0, scale, (64, classes)).astype("float32")
    bias = np.full(classes, shift, "float32")
    nodes = [
        ("Flatten", ["image"], ["flat"]),
        ("Gemm", ["flat", "w", "b"], ["z"]),
        ("Softmax", ["z"], ["probabilities"]),
    ]
    graph = graph_of(
        nodes, {"w": weights, "b": bias}, "image", [8, 8, 1], "probabilities", [classes]
    )
    labels = [str(number) for number in range(10)]
    return write(
        path,
        graph,
        "image",
        [8, 8, 1],
        "probabilities",
        [classes],
        PIXELS,
        "image_classification",
        labels=labels,
    )


def write_series(path):
    """Write a forecast of three steps: the mean of six, twice as much, and three times."""
    weights = np.zeros((12, 3), "float32")
    weights[::2] = np.array([1, 2, 3], "float32") / 6
    nodes = [
        ("Flatten", ["series"], ["flat"]),
        ("MatMul", ["flat", "w"], ["y"]),
        ("Unsqueeze", ["y", "last"], ["values"]),
    ]
    graph = graph_of(
        nodes, {"w": weights, "last": np.array([2])}, "series", [6, 2], "values", [3, 1]
    )
    return write(
        path,
        graph,
        "series",
        [6, 2],
        "values",
        [3, 1],
        SERIES,
        "forecasting",
        targets=["load"],
        horizon=3,
    )


def write_panel(path):
    """Write quantiles of three days of many shops: the mean of four days, plus 10 with a promotion, minus or plus 1."""
    width = 1 + 2 * 11  # promo, and sine and cosine of the week (3) and of the year (2)
    weights = np.zeros((4, width, 3, 3), "float32")
    levels = np.tile([-1, 0, 1], 3).astype("float32")
    weights[:, 0] = 1 / 4
    for step in range(3):
        weights[step + 1, 12, step] = 10
    nodes = [
        ("Flatten", ["series"], ["flat"]),
        ("MatMul", ["flat", "w"], ["y"]),
        ("Add", ["y", "levels"], ["z"]),
        ("Reshape", ["z", "shape"], ["values"]),
    ]
    constants = {
        "w": weights.reshape(4 * width, 9),
        "levels": levels,
        "shape": np.array([-1, 3, 3]),
    }
    graph = graph_of(nodes, constants, "series", [4, width], "values", [3, 3])
    return write(
        path,
        graph,
        "series",
        [4, width],
        "values",
        [3, 3],
        PANEL,
        "quantile_forecasting",
        targets=["sales"],
        horizon=3,
        quantiles=[0.1, 0.5, 0.9],
    )


def graph_of(nodes, constants, input_name, input_shape, output_name, output_shape):
    def end(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])

    graph = helper.make_graph(
        [helper.make_node(*node) for node in nodes],
        "made",
        [end(input_name, input_shape)],
        [end(output_name, output_shape)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def write(
    path,
    content,
    input_name,
    input_shape,
    output_name,
    output_shape,
    reader,
    task,
    *,
    labels=(),
    targets=(),
    horizon=None,
    quantiles=None,
):
    """Write the folder whole: `kzoo.json` comes last."""
    (path / "onnx").mkdir(parents=True, exist_ok=True)
    (path / "onnx" / "model.onnx").write_bytes(content)
    file = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    scores = {"accuracy": 0.9, "accuracy_interval": [0.8, 0.95], "majority": 0.1, "examples": 100}
    baseline = {
        "name": "pixels",
        "label": "small image and logistic regression",
        "split": "test",
        "metric": "accuracy",
        "scores": {"accuracy": 0.97},
        "notes": [],
    }
    document = {
        "format_version": 1,
        "name": "made",
        "created": "2026-11-25",
        "parameters": 640,
        "spec": {
            "preset": "made",
            "family": "cnn",
            "task": task,
            "config": {"horizon": horizon} | ({"quantiles": quantiles} if quantiles else {}),
        },
        "inputs": [
            {"name": input_name, "shape": [None, *input_shape], "dtype": "float32", "meaning": ""}
        ],
        "outputs": [{"name": output_name, "shape": [None, *output_shape], "kind": output_name}],
        "labels": list(labels),
        "targets": list(targets),
        "preprocessing": reader,
        "data": {"name": "digits", "train": 1294, "validation": 144, "test": 359},
        "metrics": {"test": scores} if labels else {},
        "versions": {},
        "predict_ms": {},
        "exports": {
            "onnx": {"format": "onnx", "quantize": None, "file": "onnx/model.onnx", "status": "ok"}
        },
        "files": {"onnx/model.onnx": file},
        "baselines": [baseline] if labels else [],
    }
    (path / "kzoo.json").write_text(json.dumps(document), encoding="utf-8")
    return path
