"""Untrusted `.keras` files: inspected first, then opened by Keras from the checked parts."""

import hashlib
import json
import math
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras

from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import first_line
from kzoo.zoo.loading.allowed import NEVER
from kzoo.zoo.loading.archive import Archive, check_sha256, open_archive, read_once, write_archive
from kzoo.zoo.loading.config_check import Config, Trusted, check_config, parse_json
from kzoo.zoo.loading.layer_calls import check_calls
from kzoo.zoo.loading.model_size import (
    check_size,
    run_in_new_thread,
    with_shape_checks,
    zero_initialization,
)
from kzoo.zoo.loading.unsafe import Refused, Unreadable, naming, short
from kzoo.zoo.loading.weights_check import stored_shapes

OLDEST_KERAS = (3, 15, 1)  # the first release without published vulnerabilities in model loading


def inspect_keras_file(
    path: str | os.PathLike[str],
    *,
    trusted: Iterable[Callable] = (),
    expected_sha256: str | None = None,
) -> JsonObject:
    """Return a summary of a `.keras` file without opening it with Keras.

    Args:
        path: the file.
        trusted, expected_sha256: see `kzoo.load_model`.

    Returns:
        dict of `sha256`, `bytes`, `classes` (sorted names), `arrays` and `numbers` (stored arrays, and numbers in
        them), `keras` (the Keras version stated in the file, or None).

    Raises:
        UnsafeModelError: the file could do more than compute.
        KzooError: the file cannot be read.
    """
    with naming(path):
        raw = read_once(path)
        check_sha256(raw, expected_sha256)
        config, archive, shapes = _inspect(raw, trusted_names(trusted))
        metadata = parse_json(archive.metadata, "metadata.json")
        version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    numbers = sum(count * math.prod(shape) for shape, count in shapes.items())
    return dict(
        sha256=hashlib.sha256(raw).hexdigest(),
        bytes=len(raw),
        classes=sorted({name for _, name in config.classes}),
        arrays=shapes.total(),
        numbers=numbers,
        keras=version if isinstance(version, str) else None,
    )


def load_keras_file(
    path: str | os.PathLike[str],
    *,
    trusted: Iterable[Callable] = (),
    expected_sha256: str | None = None,
) -> keras.Model:
    """Return the model of an untrusted `.keras` file, not compiled. See `kzoo.load_model`."""
    with naming(path):
        raw = read_once(path)
        check_sha256(raw, expected_sha256)
        return load_bytes(raw, trusted=trusted)


def load_bytes(raw: bytes, *, trusted: Iterable[Callable] = ()) -> keras.Model:
    """Return the model of a `.keras` file's bytes, not compiled.

    Raises:
        Refused, Unreadable: converted to public errors by `naming`.
    """
    trusted_objects = trusted_names(trusted)
    _check_keras()
    config, archive, shapes = _inspect(raw, trusted_objects)
    _check_registry(config.strings, trusted_objects)
    custom = {
        name: custom_object
        for name, custom_object in trusted_objects.items()
        if not name.startswith("keras.")
    }
    check_calls(config.tree, len(archive.weights))
    text = json.dumps(config.tree)

    def build() -> keras.Model:  # without states, which Keras would allocate at once
        tree, shape_checks = with_shape_checks(
            json.loads(text.replace('"stateful": true', '"stateful": false')), shapes
        )
        return keras.saving.deserialize_keras_object(
            tree, custom_objects=custom | shape_checks, safe_mode=True
        )

    check_size(build, shapes)
    with tempfile.TemporaryDirectory(prefix="kzoo-") as folder:  # private: mode 0700
        file = Path(folder) / "model.keras"
        write_archive(file, text, archive)
        del archive
        return run_in_new_thread(lambda: _open(file, custom))


def stored_loss_name(path: str | os.PathLike[str]) -> str | None:
    """Return the name of the loss in the compile configuration of a `.keras` file, or None.

    Raises:
        UnsafeModelError, KzooError: see `kzoo.load_model`.
    """
    with naming(path):
        node: Any = parse_json(open_archive(read_once(path)).config, "config.json")
    for name in ("compile_config", "loss"):
        node = node.get(name) if isinstance(node, dict) else None
    # a serialized loss, or its name
    node = node.get("class_name") if isinstance(node, dict) else node
    return node if isinstance(node, str) else None


def _open(file: Path, custom: Trusted) -> keras.Model:
    try:
        with zero_initialization():
            return keras.saving.load_model(
                file, custom_objects=custom, compile=False, safe_mode=True
            )
    except Exception as error:
        raise Unreadable(f"Keras cannot open it ({first_line(error)})") from None


def _inspect(
    raw: bytes, trusted_objects: Trusted
) -> tuple[Config, Archive, Counter[tuple[int, ...]]]:
    archive = open_archive(raw)
    config = check_config(archive.config, trusted_objects)
    return config, archive, stored_shapes(archive.weights, size=len(raw))


def _check_keras() -> None:
    version = tuple(int(part) for part in keras.__version__.split(".")[:3] if part.isdigit())
    if version < OLDEST_KERAS:
        required = ".".join(map(str, OLDEST_KERAS))
        raise Refused(
            f"Keras {keras.__version__} has known vulnerabilities in loading models",
            f'Upgrade it: pip install "keras>={required}". Exports and runs of kzoo presets load without the upgrade',
        )


def _check_registry(strings: Iterable[str], trusted_objects: Trusted) -> None:
    """Raise Refused if a string is a name that an imported package has registered with Keras."""
    for text in strings:
        registered = keras.saving.get_registered_object(text)
        if registered is not None and registered not in trusted_objects.values():
            raise Refused(
                f"it uses {short(text)}, which an imported package has registered with Keras",
                f"If you trust it: kzoo.load_model(..., trusted=[{registered.__name__}])",
            )


def trusted_names(trusted: Iterable[Callable]) -> Trusted:
    """Return a dict of name in a file -> class or function that the caller trusts.

    Raises:
        KzooError: not a list, or an element that is not a class or a named function.
    """
    if not isinstance(trusted, list | tuple | set | frozenset):
        raise KzooError(
            "must be a list of the classes that you trust, such as trusted=[MyLayer].",
            argument="trusted",
            value=trusted,
        )
    names: dict[str, Any] = {}
    for custom_object in trusted:
        name = getattr(custom_object, "__name__", "<lambda>")
        if not callable(custom_object) or name == "<lambda>":
            raise KzooError(
                f"must contain classes and named functions, got {custom_object!r}.",
                argument="trusted",
            )
        module = getattr(custom_object, "__module__", "")
        if module.startswith("keras."):
            if getattr(keras.layers, name, None) is not custom_object or name in NEVER:
                raise KzooError(
                    f"cannot contain {name} of Keras, since it runs code from the file.",
                    argument="trusted",
                )
            names[f"keras.layers>{name}"] = custom_object
        else:
            names[keras.saving.get_registered_name(custom_object)] = custom_object
    return names


def custom_objects_of(model: keras.Model) -> tuple[Callable, ...]:
    """Return the registered custom classes and functions that a model uses."""
    custom_objects = []

    def walk(node: object) -> None:
        if isinstance(node, dict):
            list(map(walk, node.values()))
        elif isinstance(node, list | tuple):
            list(map(walk, node))
        elif (
            isinstance(node, str)
            and (custom_object := keras.saving.get_registered_object(node)) is not None
        ):
            custom_objects.append(custom_object)

    walk(keras.saving.serialize_keras_object(model))
    return tuple(dict.fromkeys(custom_objects))
