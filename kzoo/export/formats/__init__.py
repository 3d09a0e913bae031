"""Export formats, one module each in this folder, and the keys of exported files. Imports NumPy only."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from kzoo.export.format import QUANTIZED
from kzoo.utils.discovery import list_modules
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint

if TYPE_CHECKING:
    from kzoo.export.format import Format


def formats() -> "dict[str, Format]":
    """Return a dict of name -> `Format`, sorted by `order`."""
    modules = sorted(
        list_modules(__name__, "FORMAT").values(), key=lambda format: (format.order, format.name)
    )
    return {format.name: format for format in modules}


def parse(names: object, quantize: object) -> tuple[list[str], list[str]]:
    """Return (formats, quantize) as lists without repetition.

    Raises:
        KzooError: an unknown name, no format, or a quantized type that no selected format has.
    """
    available = formats()
    names = _checked_names("formats", names, available)
    quantize = _checked_names("quantize", quantize or (), QUANTIZED)
    if not names:
        raise KzooError(f"is empty. Use: {', '.join(available)}.", argument="formats", value=names)
    if quantize and not any(available[name].quantize for name in names):
        quantizable = " or ".join(name for name, format in available.items() if format.quantize)
        raise KzooError(
            f"requires a format with quantization. Add {quantizable} to formats.",
            argument="quantize",
            value=quantize[0],
        )
    return names, quantize


def _checked_names(argument: str, value: object, allowed: Collection[str]) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple | set | frozenset):
        raise KzooError(
            f"must be a name or a list of names from: {', '.join(allowed)}.",
            argument=argument,
            value=value,
        )
    names = list(dict.fromkeys(names))
    for name in names:
        if name not in allowed:
            raise KzooError(
                f"Unknown {argument} {name!r}. {hint(name, allowed)}Use: {', '.join(allowed)}.",
                value=name,
            )
    return names


def keys_of(names: Iterable[str], quantize: Iterable[str]) -> list[str]:
    """Return the keys of the files to write, such as "onnx" and "onnx_int8"."""
    available = formats()
    return [
        key
        for name in names
        for key in (name, *(f"{name}_{q}" for q in quantize if q in available[name].quantize))
    ]


def split_key(key: str) -> tuple[str, str | None]:
    """Return (format, quantize) of a key; quantize is None for float32."""
    for quantize in QUANTIZED:
        if key.endswith(f"_{quantize}"):
            return key.removesuffix(f"_{quantize}"), quantize
    return key, None


def file_of(key: str, version: int = 1) -> str:
    """Return the path of a key's file in the exported folder."""
    return files_of(key, version)[0]


def files_of(key: str, version: int = 1) -> list[str]:
    """Return the paths of a key's file and of those that belong to it, such as the header of a C file."""
    name, quantize = split_key(key)
    format = formats()[name]
    files = [file.format(version=version) for file in (format.file, *format.beside)]
    return [_with_suffix(file, quantize) for file in files]


def _with_suffix(file: str, quantize: str | None) -> str:
    if quantize is None:
        return file
    stem, dot, suffix = file.rpartition(".")
    return f"{stem}_{quantize}{dot}{suffix}"
