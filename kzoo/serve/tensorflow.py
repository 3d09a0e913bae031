"""The REST API of TensorFlow Serving: `:predict` by rows or columns, status and metadata.

https://www.tensorflow.org/tfx/serving/api_rest
"""

import numpy as np

from kzoo.inference.exported import Manifest
from kzoo.serve.codecs import (
    DecodedRequest,
    ModelRequest,
    Reply,
    as_json,
    encode_inputs,
    refuse_options,
    with_notes,
)
from kzoo.serve.limits import read_json
from kzoo.utils.errors import KzooError
from kzoo.utils.files import Json, JsonObject

SIGNATURE = "serving_default"
_TYPES = {"float32": "DT_FLOAT", "int32": "DT_INT32"}


def read(request: ModelRequest) -> DecodedRequest:
    """Decode `{"instances": [...]}` or `{"inputs": ...}`: arrays or raw inputs.

    Raises:
        KzooError: the request has neither key or both, or its inputs do not fit the model.
    """
    content = read_json(request.body)
    refuse_options(
        dict(request.query) | (content if isinstance(content, dict) else {}),
        "the API of TensorFlow Serving",
    )
    keys = [
        name for name in ("instances", "inputs") if isinstance(content, dict) and name in content
    ]
    if len(keys) != 1:
        raise KzooError('The request must be {"instances": [...]} or {"inputs": ...}.')
    if (signature := content.get("signature_name", SIGNATURE)) not in (SIGNATURE, ""):
        raise KzooError(f"Unknown signature {signature!r:.60}. Use {SIGNATURE!r}.", value=signature)
    inputs = _unnamed(content[keys[0]], request.model.inputs)
    encoded = encode_inputs(request.model, inputs, request.max_rows)
    key = "predictions" if keys == ["instances"] else "outputs"
    return DecodedRequest(encoded=encoded, reply=lambda outputs: _reply(key, outputs))


def _reply(key: str, outputs: np.ndarray) -> Reply:
    return Reply(body=as_json(with_notes({key: outputs.tolist()})))


def _unnamed(inputs: object, name: str) -> Json:
    """Return inputs without the name of the single input, for `{"image": [...]}` or a list of `{"image": ...}`."""
    if isinstance(inputs, dict) and inputs.keys() == {name} and isinstance(inputs[name], list):
        return inputs[name]
    if isinstance(inputs, list) and all(
        isinstance(example, dict) and example.keys() == {name} for example in inputs
    ):
        return [example[name] for example in inputs]
    return inputs


def status(versions: list[tuple[str, bool]]) -> JsonObject:
    """Return the status of versions, each given as (number, whether it works)."""
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


def metadata(name: str, version: str, manifest: Manifest) -> JsonObject:
    """Return the signature of a model: its input and output tensors."""
    (input_spec,), (output_spec,) = manifest.inputs, manifest.outputs
    signature = {
        "inputs": {
            input_spec["name"]: _tensor(
                input_spec["name"], input_spec["shape"], _TYPES.get(input_spec["dtype"], "DT_FLOAT")
            )
        },
        "outputs": {
            output_spec["name"]: _tensor(output_spec["name"], output_spec["shape"], "DT_FLOAT")
        },
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": version},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: signature}}},
    }


def _tensor(name: str, shape: list[int | None], dtype: str) -> JsonObject:
    sizes = [{"size": str(-1 if size is None else size), "name": ""} for size in [None, *shape[1:]]]
    return {
        "dtype": dtype,
        "tensor_shape": {"dim": sizes, "unknown_rank": False},
        "name": f"{name}:0",
    }
