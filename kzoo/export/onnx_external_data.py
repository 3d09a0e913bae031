"""Detection of external data in ONNX files, from their bytes and without the onnx package.

It runs before ONNX Runtime opens a file. An ONNX file is a protobuf message
(https://protobuf.dev/programming-guides/encoding/). A tensor may name an external file with its values, and such names
have pointed outside the model folder more than once (CVE-2022-25882, CVE-2024-27318). The field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from collections.abc import Iterator

# Message type -> number and type of those fields that may contain tensors.
_MESSAGES = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
# 32 bits, seven per byte; readers disagree on longer tags: Python keeps the high bits, others drop them
_TAG_BYTES = 5
_MAX_DEPTH = 100


def has_external_data(content: bytes) -> bool:
    """Return True if any tensor of an ONNX model, at any depth, stores its values in another file.

    Raises:
        ValueError: the bytes are not a valid protobuf message.
    """
    pending = [("model", memoryview(content), 0)]
    while pending:
        kind, message, depth = pending.pop()
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deep")
        message_fields = _MESSAGES[kind]
        for field, value in _fields(message):
            if kind == "tensor" and (
                field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value)
            ):
                return True
            if field in message_fields:
                if not isinstance(value, memoryview):
                    raise ValueError("a message is expected")
                pending.append((message_fields[field], value, depth + 1))
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield (number, value) of each field; the value is an int, or the bytes of a length-delimited field."""
    position = 0
    value: int | memoryview
    while position < len(message):
        start = position
        tag, position = _varint(message, position)
        if position - start > _TAG_BYTES or tag >= 1 << 32:
            raise ValueError("a tag of more than 32 bits, which readers truncate differently")
        field = tag >> 3
        wire_type = tag & 7
        if wire_type == 0:
            value, position = _varint(message, position)
        elif wire_type in (1, 5):
            value = 0
            position = position + (8 if wire_type == 1 else 4)
        elif wire_type == 2:
            length, position = _varint(message, position)
            value = message[position : position + length]
            position = position + length
        else:
            raise ValueError(f"wire type {wire_type}")
        if position > len(message):
            raise ValueError("truncated")
        yield field, value


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    # Seven bits per byte, least significant first; the high bit marks that another byte follows.
    number = shift = 0
    while True:
        if position >= len(message) or shift > 63:
            raise ValueError("truncated")
        byte = message[position]
        number |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return number, position
