"""Small exports in the layout of `kzoo.export`, written in this process: an export proper takes a process each."""

import hashlib
import json
import warnings

import keras
import numpy as np
import pandas as pd

from kzoo.training.score import gives_logits


def customers(n=160, seed=0):
    """A table with every nasty column: codes with leading zeros, gaps, dates, commas, quotation marks."""
    random = np.random.default_rng(seed)
    codes = random.choice(["01", "1", "1.0", "A", "B"], n)
    town = random.choice(["Bern, BE", 'the "old" town', "NA-town", " Genf ", "上海"], n).astype(
        object
    )
    town[::9] = None
    size = random.normal(size=n).round(3).astype(object)
    size[::7] = None
    return pd.DataFrame(
        {
            "code": codes,
            "town": town,
            "size": size,
            "since": pd.date_range("2019-12-29", periods=n, freq="31h").strftime("%d.%m.%Y %H:%M"),
            "member": random.choice([True, False], n),
            "price": random.normal(100, 20, n).round(2),
            "open": np.where(codes == "01", "yes", "no"),
        }
    )


def write_exported(run, path, formats=("onnx",), *, batch=None):
    """Export a run to ONNX and LiteRT files; `batch` pins the batch size, which LiteRT needs for recurrent layers."""
    model = run.model
    spec = run.config["spec"]
    data = run.config["data"]
    answer = model.output
    if data["task"] != "forecasting" and gives_logits(model):
        kind = "sigmoid" if answer.shape[-1] == 1 else "softmax"
        answer = keras.layers.Activation(kind)(answer)
    network = keras.Model(model.input, answer)
    shape = (None, *model.input.shape[1:])
    dtype = keras.backend.standardize_dtype(model.input.dtype)
    signature = keras.InputSpec(shape=(batch, *shape[1:]), dtype=dtype, name=data["inputs"])
    exports, files = {}, {}
    for format in formats:
        name = {"onnx": "onnx/model.onnx", "litert": "litert/model.tflite"}[format]
        (path / name).parent.mkdir(parents=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network.export(path / name, format=format, input_signature=[signature], verbose=False)
        files[name] = {"sha256": hashlib.sha256((path / name).read_bytes()).hexdigest(), "bytes": 1}
        exports[format] = {
            "format": format,
            "quantize": None,
            "file": name,
            "status": "ok",
            "batch": batch,
        }
    values = not data["class_names"] and data["task"] != "language_modeling"
    document = {
        "format_version": 1,
        "name": spec["preset"],
        "created": "2026-11-25",
        "spec": spec,
        "inputs": [{"name": data["inputs"], "shape": list(shape), "dtype": dtype, "meaning": ""}],
        "outputs": [
            {
                "name": "values" if values else "probabilities",
                "shape": list(answer.shape),
                "kind": "values" if values else "probabilities",
            }
        ],
        "labels": list(data["class_names"]),
        "targets": list(data["target_names"]),
        "preprocessing": run.preprocessing,
        "postprocessing": list(run.postprocessing),
        "data": data,
        "metrics": {},
        "versions": {},
        "predict_ms": {},
        "parameters": model.count_params(),
        "exports": exports,
        "files": files,
    }
    (path / "kzoo.json").write_text(json.dumps(document), encoding="utf-8")
    return path
