"""The Open Inference Protocol (V2) of KServe and Triton: metadata, and inference with tensors as JSON or as bytes.

See https://github.com/kserve/open-inference-protocol, and the binary tensor extension of Triton.
"""

import math
from typing import Any

import numpy as np

from kzoo.inference.encode import Encoded
from kzoo.inference.exported import Manifest
from kzoo.inference.predictions import Predictions
from kzoo.inference.sources.arrays import as_array
from kzoo.runtime import Model
from kzoo.serve.codecs import (
    NOTES,
    DecodedRequest,
    ModelRequest,
    Reply,
    as_json,
    checked_options,
    refuse_options,
)
from kzoo.serve.limits import read_json
from kzoo.utils.errors import KzooError
from kzoo.utils.files import Json, JsonObject
from kzoo.utils.formatting import shown
from kzoo.utils.version import __version__

HEADER = "inference-header-content-length"
_TYPES = {
    "BOOL": "?",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
_MODEL_TYPES = {"float32": "FP32", "int32": "INT32"}
_TEXTS = "BYTES"
_MAX_AXES = 32  # number of axes of a tensor, and size of an axis
_MAX_SIZE = 1 << 40
_BINARY = "binary_data_output"


def server() -> JsonObject:
    """Return the server metadata."""
    return {"name": "kzoo", "version": __version__, "extensions": ["binary_tensor_data"]}


def metadata(name: str, versions: list[str], manifest: Manifest, format: str) -> JsonObject:
    """Return the model metadata: its input and output tensors."""
    (input_spec,), (output_spec,) = manifest.inputs, manifest.outputs
    return {
        "name": name,
        "versions": versions,
        "platform": f"kzoo_{format}",
        "inputs": [
            _described(
                input_spec["name"],
                _MODEL_TYPES.get(input_spec["dtype"], "FP32"),
                input_spec["shape"],
            )
        ],
        "outputs": [_described(output_spec["name"], "FP32", output_spec["shape"])],
    }


def _described(name: str, datatype: str, shape: list[int | None]) -> JsonObject:
    return {
        "name": name,
        "datatype": datatype,
        "shape": [-1 if n is None else n for n in [None, *shape[1:]]],
    }


def read(request: ModelRequest) -> DecodedRequest:
    """Decode an inference request: one tensor of the network's input shape, or `BYTES` of raw texts or files.

    Raises:
        KzooError: the request is malformed, or its tensor does not fit the model.
    """
    content, tail = _split_body(request)
    tensors = content.get("inputs") if isinstance(content, dict) else None
    if not isinstance(tensors, list) or len(tensors) != 1 or not isinstance(tensors[0], dict):
        raise KzooError(
            f'The request must be {{"inputs": [one tensor]}} with a tensor named {request.model.inputs!r}.'
        )
    refuse_options(request.query, "the URL of this protocol (send it in `parameters`)")
    parameters = content.get("parameters")
    options = checked_options(request.model, parameters if isinstance(parameters, dict) else {})
    encoded = _encoded(request.model, tensors[0], tail, request.max_rows)
    binary = _wants_binary(content, content.get("outputs"), request)
    request_id = content.get("id", "")
    if not isinstance(request_id, str) or len(request_id) > 200:
        raise KzooError("The id of a request must be a string of at most 200 characters.")

    def reply(outputs: np.ndarray) -> Reply:
        predictions = (
            request.model.predictions(encoded, outputs, options) if options.given else None
        )
        return _reply(request, outputs, request_id, binary, predictions)

    return DecodedRequest(encoded=encoded, reply=reply)


def _split_body(request: ModelRequest) -> tuple[Any, bytes]:
    """Return (JSON data, binary tensor data after it) of a request."""
    if HEADER not in request.header:
        return read_json(request.body), b""
    length_text = request.header[HEADER]
    length = (
        int(length_text)
        if length_text.isascii() and length_text.isdecimal() and len(length_text) < 12
        else -1
    )
    if not 0 <= length <= len(request.body):
        raise KzooError(
            f"{HEADER} is {shown(length_text)}, but the request has {len(request.body):,} bytes."
        )
    return read_json(memoryview(request.body)[:length]), request.body[length:]


def _encoded(model: Model, tensor: JsonObject, tail: bytes, max_rows: int) -> Encoded:
    datatype, shape, parameters = (tensor.get(name) for name in ("datatype", "shape", "parameters"))
    if tensor.get("name", model.inputs) not in (model.inputs, "inputs"):
        raise KzooError(
            f"Unknown input {shown(tensor['name'])}. The input of the model is {model.inputs!r}.",
            value=tensor["name"],
        )
    if (
        not isinstance(shape, list)
        or len(shape) > _MAX_AXES
        or not all(type(n) is int and 0 < n < _MAX_SIZE for n in shape)
    ):
        raise KzooError(
            f"The shape of a tensor must be a list of sizes that are 1 or more, not {shown(shape)}."
        )
    if not isinstance(parameters, dict | None) or datatype not in (*_TYPES, _TEXTS):
        raise KzooError(
            f"Unknown datatype {shown(datatype)}. Use one of: {', '.join((*_TYPES, _TEXTS))}.",
            value=datatype,
        )
    size = (parameters or {}).get("binary_data_size")
    count = math.prod(shape)
    if any(name.startswith("shared_memory") for name in parameters or ()):
        raise KzooError("Shared memory is not supported. Send the tensor in the request.")
    if size is None:
        values = tensor.get("data")
        if datatype == _TEXTS:
            return model.receive(_checked_strings(values, count), max_rows)
        array = as_array(values, "Tensors")
        if array.dtype.kind not in "biuf":
            raise KzooError(f"The data of a tensor must be numbers that match the shape {shape}.")
        _check_range(array, datatype)
    else:
        if size != len(tail):
            raise KzooError(
                f"binary_data_size is {shown(size)}, but {len(tail):,} bytes follow the JSON."
            )
        if datatype == _TEXTS:
            return model.receive(_checked_strings(_texts(tail), count), max_rows)
        if len(tail) != count * np.dtype(_TYPES[datatype]).itemsize:
            raise KzooError(
                f"{len(tail):,} bytes do not match a {datatype} tensor of shape {shape}."
            )
        array = np.frombuffer(tail, "<u1" if datatype == "BOOL" else _TYPES[datatype])
        if datatype == "BOOL":
            _check_range(array, datatype)
    if array.size != count:
        raise KzooError(
            f"A tensor of shape {shape} must have {count:,} numbers, not {array.size:,}."
        )
    return model.tensor(array.reshape(shape), max_rows)


def _check_range(array: np.ndarray, datatype: str) -> None:
    """Raise KzooError if a number is not valid for its datatype; the message shows the first one."""
    dtype = np.dtype(_TYPES[datatype])
    if array.dtype.kind == "b" and dtype.kind != "b":
        raise KzooError(f"The data of a {datatype} tensor must be numbers, not true or false.")
    if dtype.kind == "f":
        invalid = np.abs(array) > np.finfo(dtype).max
        allowed = f"numbers of at most {np.finfo(dtype).max:.6g} in magnitude"
    else:
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        invalid = (array < low) | (array > high)
        allowed = f"integers from {low} to {high}"
        if array.dtype.kind == "f":
            invalid |= array != np.round(array)
    if invalid.any():
        raise KzooError(
            f"The data of a {datatype} tensor must be {allowed}, got {array[invalid][0]:.12g}."
        )


def _checked_strings(values: Json, count: int) -> list[Any]:
    if not isinstance(values, list) or len(values) != count:
        raise KzooError(
            f"The data of a BYTES tensor of this shape must be a list of {count:,} strings."
        )
    return values


def _texts(tail: bytes) -> list[Any]:
    """Return the elements of a `BYTES` tensor, each stored after its length: strings, or bytes if not all are UTF-8."""
    contents: list = []
    position = 0
    while position < len(tail):
        length = int.from_bytes(tail[position : position + 4], "little")
        contents.append(tail[position + 4 : position + 4 + length])
        position += 4 + length
    if position != len(tail):
        raise KzooError("The BYTES tensor is truncated.")
    try:
        return [content.decode("utf-8") for content in contents]
    except UnicodeDecodeError:
        return contents


def _wants_binary(content: JsonObject, outputs: Json, request: ModelRequest) -> bool:
    """Return True if the request asks for binary outputs.

    Raises:
        KzooError: it asks for an unknown output, a classification or shared memory.
    """
    parameters = content.get("parameters")
    if not isinstance(parameters, dict | None) or not isinstance(outputs, list | None):
        raise KzooError("`parameters` must be an object, and `outputs` a list of objects.")
    binary = (parameters or {}).get(_BINARY, False) is True
    for output in outputs or ():
        if not isinstance(output, dict) or not isinstance(
            options := output.get("parameters", {}), dict
        ):
            raise KzooError("`outputs` must be a list of objects.")
        if any(name == "classification" or name.startswith("shared_memory") for name in options):
            raise KzooError(
                "Classification outputs and shared memory are not supported. Outputs are returned as tensors."
            )
        if output.get("name") not in (request.model.outputs, "outputs"):
            raise KzooError(
                f"Unknown output {shown(output.get('name'))}. The output of the model is {request.model.outputs!r}.",
                value=output.get("name"),
            )
        binary = options.get("binary_data", binary) is True
    return binary


def _promised(predictions: Predictions) -> list[JsonObject]:
    """Return further tensors of predictions, always as JSON: their labels and sets, or the ends of their intervals."""
    names = list(predictions.class_names)
    count = len(predictions)
    tensors = []
    if predictions.labels:
        tensors.append(
            {
                "name": "label",
                "datatype": _TEXTS,
                "shape": [count],
                "data": list(predictions.labels),
            }
        )
    if predictions.sets:
        inside = [name in chosen for chosen in predictions.sets for name in names]
        tensors.append(
            {"name": "set", "datatype": "BOOL", "shape": [count, len(names)], "data": inside}
        )
    for name in ("lower", "upper"):
        if (ends := getattr(predictions, name)) is not None:
            tensors.append(
                {
                    "name": name,
                    "datatype": "FP32",
                    "shape": list(ends.shape),
                    "data": ends.ravel().tolist(),
                }
            )
    return tensors


def _reply(
    request: ModelRequest,
    outputs: np.ndarray,
    request_id: str,
    binary: bool,
    predictions: Predictions | None,
) -> Reply:
    tensor: JsonObject = {
        "name": request.model.outputs,
        "datatype": "FP32",
        "shape": list(outputs.shape),
    }
    document: JsonObject = {
        "model_name": request.name,
        "model_version": request.version,
        "outputs": [tensor],
    }
    if predictions is not None:
        document["outputs"] += _promised(predictions)
        document["parameters"] = {"promise": predictions.promise} if predictions.promise else {}
    if request_id:
        document["id"] = request_id
    if notes := NOTES.get([]):
        document["parameters"] = document.get("parameters", {}) | {"notes": " ".join(notes)}
    if not binary:
        tensor["data"] = outputs.ravel().tolist()
        return Reply(body=as_json(document))
    tail = np.ascontiguousarray(outputs, "<f4").tobytes()
    tensor["parameters"] = {"binary_data_size": len(tail)}
    head = as_json(document)
    return Reply(
        body=head + tail, media="application/octet-stream", headers={HEADER: str(len(head))}
    )
