"""What can be exported to what, as data. Standard library only."""

from dataclasses import dataclass

from kzoo.errors import KzooError
from kzoo.registry import FAMILIES, hint

QUANTIZED = ("float16", "int8")


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of exported files.

    Args:
        module: its `write(network, folder, quantize)`, and its `Answers(file, entry)`, which runs it.
        file: where it goes in the exported folder; the version of a SavedModel is put in.
        runtime: the package that runs it.
        needs: packages beside TensorFlow, and the extra of kzoo that brings them.
        quantize: what else it can be written as.
    """

    module: str
    file: str
    runtime: str
    needs: tuple = ()
    extra: str = ""
    quantize: tuple = ()


FORMATS = {
    "keras": Format(module="kzoo.export.keras_file", file="keras/model.keras", runtime="keras"),
    "saved_model": Format(module="kzoo.export.saved_model", file="saved_model/{version}", runtime="tensorflow"),
    "onnx": Format(
        module="kzoo.export.onnx",
        file="onnx/model.onnx",
        runtime="onnxruntime",
        needs=("onnx", "onnxruntime", "tf2onnx"),
        extra="onnx",
        quantize=QUANTIZED,
    ),
    "litert": Format(
        module="kzoo.export.litert",
        file="litert/model.tflite",
        runtime="ai_edge_litert",
        needs=("ai_edge_litert",),
        extra="litert",
        quantize=QUANTIZED,
    ),
}

# (way of an ensemble, format) -> why it cannot be, and what can.
_VOTES = (
    "a vote takes the largest answer, for which Keras uses operations on bits that {} does not have. Export keras or "
    "saved_model, or combine with method='mean'"
)
REFUSED = {("vote", "onnx"): _VOTES.format("ONNX"), ("vote", "litert"): _VOTES.format("LiteRT")}

RECURRENT = ("rnn", "lstm", "gru")

# (family, format) -> the one batch size that its files take. LiteRT has no lists of tensors, which the loop of a
# recurrent layer needs for a batch of any size.
FIXED_BATCH = {(family, "litert"): 1 for family in RECURRENT}

# (family, format) -> how int8 is made: "static" scales come from calibration rows, "dynamic" ones from each input.
# ONNX Runtime's dynamic convolution is slower than float32; its LSTM has no static form.
INT8 = {
    (family, "onnx"): "static" if family == "cnn" else "dynamic" for family in FAMILIES
} | {(family, "litert"): "dynamic" for family in FAMILIES}  # fmt: skip


def parse(formats, quantize):
    """Return (formats, quantize) as lists without repetition.

    Raises:
        KzooError: an unknown one, none at all, or a quantized file that no format has.
    """
    formats, quantize = _listed("formats", formats, FORMATS), _listed("quantize", quantize or (), QUANTIZED)
    if not formats:
        raise KzooError(f"formats={formats!r} names none. Use: {', '.join(FORMATS)}.")
    if quantize and not any(FORMATS[name].quantize for name in formats):
        able = " or ".join(name for name, what in FORMATS.items() if what.quantize)
        raise KzooError(f"quantize={quantize[0]!r} needs a format that can be quantized: add {able} to formats.")
    return formats, quantize


def _listed(what, given, legal):
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple | set | frozenset):
        raise KzooError(f"{what}={given!r} must be a name or a list of them: {', '.join(legal)}.")
    names = list(dict.fromkeys(names))
    for name in names:
        if name not in legal:
            raise KzooError(f"Unknown {what} {name!r}. {hint(name, legal)}Use: {', '.join(legal)}.")
    return names


def keys_of(formats, quantize):
    """Return the names of the files to make, such as "onnx" and "onnx_int8"."""
    return [
        key
        for name in formats
        for key in (name, *(f"{name}_{q}" for q in quantize if q in FORMATS[name].quantize))
    ]  # fmt: skip


def split_key(key):
    """Return (format, quantize) of a key; quantize is None for float32."""
    for quantize in QUANTIZED:
        if key.endswith(f"_{quantize}"):
            return key.removesuffix(f"_{quantize}"), quantize
    return key, None


def file_of(key, version=1):
    """Return where a key's file goes in the exported folder."""
    name, quantize = split_key(key)
    file = FORMATS[name].file.format(version=version)
    if quantize is None:
        return file
    stem, dot, suffix = file.rpartition(".")
    return f"{stem}_{quantize}{dot}{suffix}"
