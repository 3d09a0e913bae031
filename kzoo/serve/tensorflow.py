"""TensorFlow Serving's REST interface: `:predict` by rows and by columns, status, metadata.

https://www.tensorflow.org/tfx/serving/api_rest
"""

from typing import Any

import numpy as np

from kzoo.exported import Manifest
from kzoo.serve.codecs import DecodedRequest, ModelRequest, Reply, as_json, inputs_of, with_notes
from kzoo.serve.limits import read_json
from kzoo.utils.errors import KzooError

SIGNATURE = "serving_default"
_TYPES = {"float32": "DT_FLOAT", "int32": "DT_INT32"}


def read(given: ModelRequest) -> DecodedRequest:
    """Read `{"instances": [...]}` or `{"inputs": ...}`: arrays, or raw inputs in their place.

    Raises:
        KzooError: neither, or inputs that do not fit.
    """
    said = read_json(given.body)
    ways = [name for name in ("instances", "inputs") if isinstance(said, dict) and name in said]
    if len(ways) != 1:
        raise KzooError('The request is to be {"instances": [...]} or {"inputs": ...}.')
    if (signature := said.get("signature_name", SIGNATURE)) not in (SIGNATURE, ""):
        raise KzooError(f"There is no signature {signature!r:.60}; it is {SIGNATURE!r}.")
    encoded = inputs_of(given.model, _unnamed(said[ways[0]], given.model.inputs), given.most)
    word = "predictions" if ways == ["instances"] else "outputs"
    return DecodedRequest(encoded=encoded, reply=lambda answers: _reply(word, answers))


def _reply(word: str, answers: np.ndarray) -> Reply:
    return Reply(body=as_json(with_notes({word: answers.tolist()})))


def _unnamed(inputs: Any, name: str) -> Any:
    """Return inputs without the name of the one input that there is: `{"image": [...]}`, or so for each."""
    if isinstance(inputs, dict) and inputs.keys() == {name} and isinstance(inputs[name], list):
        return inputs[name]
    if isinstance(inputs, list) and all(isinstance(one, dict) and one.keys() == {name} for one in inputs):
        return [one[name] for one in inputs]
    return inputs


def status(versions: list[tuple[str, bool]]) -> dict[str, Any]:
    """Return the status of versions: numbers, and whether they work."""
    return {
        "model_version_status": [
            {
                "version": number,
                "state": "AVAILABLE" if works else "END",
                "status": {
                    "error_code": "OK" if works else "UNKNOWN",
                    "error_message": "" if works else "it cannot be opened",
                },
            }
            for number, works in versions
        ]
    }


def metadata(name: str, version: str, manifest: Manifest) -> dict[str, Any]:
    """Return what goes in and what comes out."""
    (given,), (gives,) = manifest.inputs, manifest.outputs
    signature = {
        "inputs": {given["name"]: _tensor(given["name"], given["shape"], _TYPES.get(given["dtype"], "DT_FLOAT"))},
        "outputs": {gives["name"]: _tensor(gives["name"], gives["shape"], "DT_FLOAT")},
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": version},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: signature}}},
    }


def _tensor(name: str, shape: list, dtype: str) -> dict[str, Any]:
    sizes = [{"size": str(-1 if size is None else size), "name": ""} for size in [None, *shape[1:]]]
    return {"dtype": dtype, "tensor_shape": {"dim": sizes, "unknown_rank": False}, "name": f"{name}:0"}
