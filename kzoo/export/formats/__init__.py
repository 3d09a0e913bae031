"""The formats of exported files, found by listing this folder, and their names. NumPy and the standard library only."""

from kzoo.export.format import QUANTIZED
from kzoo.utils.discovery import list_modules
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint


def formats() -> dict:
    """Return name -> `Format`, in their order."""
    found = sorted(list_modules(__name__, "FORMAT").values(), key=lambda one: (one.order, one.name))
    return {one.name: one for one in found}


def parse(names, quantize):
    """Return (formats, quantize) as lists without repetition.

    Raises:
        KzooError: an unknown one, none at all, or a quantized file that no format has.
    """
    known = formats()
    names, quantize = _listed("formats", names, known), _listed("quantize", quantize or (), QUANTIZED)
    if not names:
        raise KzooError(f"formats={names!r} names none. Use: {', '.join(known)}.")
    if quantize and not any(known[name].quantize for name in names):
        able = " or ".join(name for name, what in known.items() if what.quantize)
        raise KzooError(f"quantize={quantize[0]!r} needs a format that can be quantized: add {able} to formats.")
    return names, quantize


def _listed(what, given, legal):
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple | set | frozenset):
        raise KzooError(f"{what}={given!r} must be a name or a list of them: {', '.join(legal)}.")
    names = list(dict.fromkeys(names))
    for name in names:
        if name not in legal:
            raise KzooError(f"Unknown {what} {name!r}. {hint(name, legal)}Use: {', '.join(legal)}.")
    return names


def keys_of(names, quantize):
    """Return the names of the files to make, such as "onnx" and "onnx_int8"."""
    known = formats()
    return [key for name in names for key in (name, *(f"{name}_{q}" for q in quantize if q in known[name].quantize))]


def split_key(key):
    """Return (format, quantize) of a key; quantize is None for float32."""
    for quantize in QUANTIZED:
        if key.endswith(f"_{quantize}"):
            return key.removesuffix(f"_{quantize}"), quantize
    return key, None


def file_of(key, version=1):
    """Return where a key's file goes in the exported folder."""
    name, quantize = split_key(key)
    file = formats()[name].file.format(version=version)
    if quantize is None:
        return file
    stem, dot, suffix = file.rpartition(".")
    return f"{stem}_{quantize}{dot}{suffix}"
