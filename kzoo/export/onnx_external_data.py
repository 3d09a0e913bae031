"""Whether an ONNX file reads other files: found in its bytes before ONNX Runtime sees them, without the onnx package.

An ONNX file is a protobuf message (https://protobuf.dev/programming-guides/encoding/). A tensor in it may name a file
that holds its numbers, and such names have led out of the folder of the model more than once (CVE-2022-25882,
CVE-2024-27318). The field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

# Message -> the fields that are messages themselves, on the way to tensors.
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
_TAG_BYTES = 5  # of 32 bits, seven in a byte; Python readers keep what is above them, others drop it
_DEEPEST = 100


def has_external_data(content) -> bool:
    """Say whether any tensor of an ONNX model, however deep, has its numbers in another file.

    Raises:
        ValueError: the bytes are not a protobuf message.
    """
    waiting = [("model", memoryview(content), 0)]
    while waiting:
        kind, message, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError("nested too deep")
        inner = _MESSAGES[kind]
        for field, value in _fields(message):
            if kind == "tensor" and (field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value)):
                return True
            if field in inner:
                if not isinstance(value, memoryview):
                    raise ValueError("a message is expected")
                waiting.append((inner[field], value, depth + 1))
    return False


def _fields(message):
    """Yield (number, value) of each field: an int, or the bytes of what has a length."""
    place = 0
    while place < len(message):
        began = place
        tag, place = _varint(message, place)
        if place - began > _TAG_BYTES or tag >= 1 << 32:
            raise ValueError("a tag that readers cut off, each in its own way")
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            value, place = _varint(message, place)
        elif wire in (1, 5):
            value, place = 0, place + (8 if wire == 1 else 4)
        elif wire == 2:
            length, place = _varint(message, place)
            value, place = message[place : place + length], place + length
        else:
            raise ValueError(f"wire type {wire}")
        if place > len(message):
            raise ValueError("cut short")
        yield field, value


def _varint(message, place):
    number = shift = 0
    while True:
        if place >= len(message) or shift > 63:
            raise ValueError("cut short")
        byte = message[place]
        number |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return number, place
