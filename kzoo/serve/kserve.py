"""The Open Inference Protocol, version 2, of KServe and Triton: metadata, infer, tensors as JSON or as bytes.

https://github.com/kserve/open-inference-protocol, and Triton's extension for binary tensors.
"""

import math
from typing import Any

import numpy as np

from kzoo import __version__
from kzoo.data.encode import Encoded
from kzoo.exported import Manifest
from kzoo.runtime import Model
from kzoo.serve.codecs import NOTES, DecodedRequest, ModelRequest, Reply, as_json
from kzoo.serve.limits import read_json
from kzoo.sources.arrays import as_array
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import shown

HEADER = "inference-header-content-length"
_TYPES = {
    "BOOL": "?", "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "<i1", "INT16": "<i2",
    "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
_OWN = {"float32": "FP32", "int32": "INT32"}
_TEXTS = "BYTES"
_MOST_AXES, _MOST = 32, 1 << 40  # axes of a tensor, and its size along one
_BINARY = "binary_data_output"


def server() -> dict[str, Any]:
    """Return what the server says of itself."""
    return {"name": "kzoo", "version": __version__, "extensions": ["binary_tensor_data"]}


def metadata(name: str, versions: list[str], manifest: Manifest, format: str) -> dict[str, Any]:
    """Return what goes in and what comes out."""
    (given,), (gives,) = manifest.inputs, manifest.outputs
    return {
        "name": name,
        "versions": versions,
        "platform": f"kzoo_{format}",
        "inputs": [_described(given["name"], _OWN.get(given["dtype"], "FP32"), given["shape"])],
        "outputs": [_described(gives["name"], "FP32", gives["shape"])],
    }


def _described(name: str, datatype: str, shape: list) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [-1 if n is None else n for n in [None, *shape[1:]]]}


def read(given: ModelRequest) -> DecodedRequest:
    """Read a request to infer: one tensor of the network's own shape, or `BYTES` of raw texts or files.

    Raises:
        KzooError: the request is malformed, or its tensor does not fit.
    """
    said, tail = _parts(given)
    tensors = said.get("inputs") if isinstance(said, dict) else None
    if not isinstance(tensors, list) or len(tensors) != 1 or not isinstance(tensors[0], dict):
        raise KzooError(f'The request is to be {{"inputs": [one tensor]}}; its name is {given.model.inputs!r}.')
    encoded = _encoded(given.model, tensors[0], tail, given.most)
    binary = _wants_binary(said, said.get("outputs"), given)
    number = said.get("id", "")
    if not isinstance(number, str) or len(number) > 200:
        raise KzooError("The id of a request is a text of at most 200 characters.")
    return DecodedRequest(encoded=encoded, reply=lambda answers: _reply(given, answers, number, binary))


def _parts(given: ModelRequest) -> tuple[Any, bytes]:
    """Return the JSON of a request, and the bytes of tensors after it."""
    if HEADER not in given.header:
        return read_json(given.body), b""
    word = given.header[HEADER]
    length = int(word) if word.isascii() and word.isdecimal() and len(word) < 12 else -1
    if not 0 <= length <= len(given.body):
        raise KzooError(f"{HEADER} is {shown(word)}, and the request has {len(given.body):,} bytes.")
    return read_json(memoryview(given.body)[:length]), given.body[length:]


def _encoded(model: Model, tensor: dict, tail: bytes, most: int) -> Encoded:
    datatype, shape, parameters = (tensor.get(name) for name in ("datatype", "shape", "parameters"))
    if tensor.get("name", model.inputs) not in (model.inputs, "inputs"):
        raise KzooError(f"There is no input {shown(tensor['name'])}; the model takes {model.inputs!r}.")
    if (
        not isinstance(shape, list)
        or len(shape) > _MOST_AXES
        or not all(type(n) is int and 0 < n < _MOST for n in shape)
    ):
        raise KzooError(f"The shape of a tensor is a list of sizes, at least 1 each, not {shown(shape)}.")
    if not isinstance(parameters, dict | None) or datatype not in (*_TYPES, _TEXTS):
        raise KzooError(f"datatype {shown(datatype)} is none of: {', '.join((*_TYPES, _TEXTS))}.")
    size, count = (parameters or {}).get("binary_data_size"), math.prod(shape)
    if any(name.startswith("shared_memory") for name in parameters or ()):
        raise KzooError("Shared memory is not read: send the tensor in the request.")
    if size is None:
        values = tensor.get("data")
        if datatype == _TEXTS:
            return model.receive(_as_many(values, count), most)
        array = as_array(values, "Tensors")
        if array.dtype.kind not in "biuf":
            raise KzooError(f"The data of a tensor are numbers, and as many as {shape} says.")
        _check_range(array, datatype)
    else:
        if size != len(tail):
            raise KzooError(f"binary_data_size is {shown(size)}, and {len(tail):,} bytes follow the JSON.")
        if datatype == _TEXTS:
            return model.receive(_as_many(_texts(tail), count), most)
        if len(tail) != count * np.dtype(_TYPES[datatype]).itemsize:
            raise KzooError(f"A {datatype} tensor of {shape} has not {len(tail):,} bytes.")
        array = np.frombuffer(tail, "<u1" if datatype == "BOOL" else _TYPES[datatype])
        if datatype == "BOOL":
            _check_range(array, datatype)
    if array.size != count:
        raise KzooError(f"A tensor of {shape} has {count:,} numbers, not {array.size:,}.")
    return model.tensor(array.reshape(shape), most)


def _check_range(array: np.ndarray, datatype: str) -> None:
    """Refuse numbers of JSON that are none of a datatype, which a client would have cut off.

    Raises:
        KzooError: the first of them.
    """
    dtype = np.dtype(_TYPES[datatype])
    if array.dtype.kind == "b" and dtype.kind != "b":
        raise KzooError(f"The data of a {datatype} tensor are numbers, not true and false.")
    if dtype.kind == "f":
        bad, legal = np.abs(array) > np.finfo(dtype).max, f"at most {np.finfo(dtype).max:.6g} in size"
    else:
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        bad, legal = (array < low) | (array > high), f"whole, {low} to {high}"
        if array.dtype.kind == "f":
            bad |= array != np.round(array)
    if bad.any():
        raise KzooError(f"The data of a {datatype} tensor are {legal}; one is {array[bad][0]:.12g}.")


def _as_many(values: Any, count: int) -> list:
    if not isinstance(values, list) or len(values) != count:
        raise KzooError(f"A tensor of BYTES of this shape is a list of {count:,} texts.")
    return values


def _texts(tail: bytes) -> list:
    """Return the texts, or else the contents of files, of a tensor of `BYTES`: each after its length."""
    found: list = []
    place = 0
    while place < len(tail):
        length = int.from_bytes(tail[place : place + 4], "little")
        found.append(tail[place + 4 : place + 4 + length])
        place += 4 + length
    if place != len(tail):
        raise KzooError("A tensor of BYTES ends in the middle of one.")
    try:
        return [content.decode("utf-8") for content in found]
    except UnicodeDecodeError:
        return found


def _wants_binary(said: dict, outputs: Any, given: ModelRequest) -> bool:
    """Say whether the answer is to be bytes.

    Raises:
        KzooError: it is to be something that there is not.
    """
    parameters = said.get("parameters")
    if not isinstance(parameters, dict | None) or not isinstance(outputs, list | None):
        raise KzooError("`parameters` is an object, and `outputs` a list of them.")
    binary = (parameters or {}).get(_BINARY, False) is True
    for output in outputs or ():
        if not isinstance(output, dict) or not isinstance(own := output.get("parameters", {}), dict):
            raise KzooError("`outputs` is a list of objects.")
        if any(name == "classification" or name.startswith("shared_memory") for name in own):
            raise KzooError("Outputs are given as tensors: neither as a classification nor in shared memory.")
        if output.get("name") not in (given.model.outputs, "outputs"):
            raise KzooError(f"There is no output {shown(output.get('name'))}; it is {given.model.outputs!r}.")
        binary = own.get("binary_data", binary) is True
    return binary


def _reply(given: ModelRequest, answers: np.ndarray, number: str, binary: bool) -> Reply:
    tensor: dict[str, Any] = {"name": given.model.outputs, "datatype": "FP32", "shape": list(answers.shape)}
    said: dict[str, Any] = {"model_name": given.name, "model_version": given.version, "outputs": [tensor]}
    if number:
        said["id"] = number
    if notes := NOTES.get([]):
        said["parameters"] = {"notes": " ".join(notes)}
    if not binary:
        tensor["data"] = answers.ravel().tolist()
        return Reply(body=as_json(said))
    tail = np.ascontiguousarray(answers, "<f4").tobytes()
    tensor["parameters"] = {"binary_data_size": len(tail)}
    head = as_json(said)
    return Reply(body=head + tail, media="application/octet-stream", headers={HEADER: str(len(head))})
