"""A `.keras` file of unknown origin: looked into, then opened by Keras from the very parts that were checked."""

import hashlib
import json
import tempfile
from pathlib import Path

import keras

from kzoo.loading.allowed import NEVER
from kzoo.loading.archive import check_sha256, open_archive, read_once, write_archive
from kzoo.loading.config_check import check_config, parse_json
from kzoo.loading.layer_calls import check_calls
from kzoo.loading.model_size import check_size, run_in_new_thread, with_shape_checks, without_values
from kzoo.loading.unsafe import Refused, Unreadable, naming, short
from kzoo.loading.weights_check import stored_shapes
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line

OLDEST_KERAS = (3, 15, 1)  # the first release in which every published hole is closed


def inspect_keras_file(path, *, trusted=(), expected_sha256=None):
    """Look into a `.keras` file without opening it with Keras, and say what it holds.

    Args:
        path: the file.
        trusted, expected_sha256: see `kzoo.load_model`.

    Returns:
        dict of `sha256`, `bytes`, `classes` (sorted names), `arrays` and `numbers` (how many are stored), `keras` (the
        version that saved it, as it says itself).

    Raises:
        UnsafeModelError: it could do more than compute.
        KzooError: it cannot be read.
    """
    with naming(path):
        raw = read_once(path)
        check_sha256(raw, expected_sha256)
        config, archive, shapes = _look(raw, trusted_names(trusted))
        metadata = parse_json(archive.metadata, "metadata.json")
        version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    numbers = sum(count * _product(shape) for shape, count in shapes.items())
    return dict(
        sha256=hashlib.sha256(raw).hexdigest(),
        bytes=len(raw),
        classes=sorted({name for _, name in config.classes}),
        arrays=shapes.total(),
        numbers=numbers,
        keras=version if isinstance(version, str) else None,
    )


def load_keras_file(path, *, trusted=(), expected_sha256=None):
    """Return the model of a `.keras` file that may be a stranger's, not compiled. See `kzoo.load_model`."""
    with naming(path):
        raw = read_once(path)
        check_sha256(raw, expected_sha256)
        return load_bytes(raw, trusted=trusted)


def load_bytes(raw, *, trusted=()):
    """Return the model of a `.keras` file's bytes, not compiled.

    Raises:
        Refused, Unreadable: see `naming`.
    """
    own = trusted_names(trusted)
    _check_keras()
    config, archive, shapes = _look(raw, own)
    _check_registry(config.strings, own)
    custom = {name: thing for name, thing in own.items() if not name.startswith("keras.")}
    check_calls(config.tree, len(archive.weights))
    text = json.dumps(config.tree)

    def build():  # without states, for which Keras would make room at once
        tree, looks = with_shape_checks(json.loads(text.replace('"stateful": true', '"stateful": false')), shapes)
        return keras.saving.deserialize_keras_object(tree, custom_objects=custom | looks, safe_mode=True)

    check_size(build, shapes)
    with tempfile.TemporaryDirectory(prefix="kzoo-") as folder:  # nobody else's: mode 0700
        file = Path(folder) / "model.keras"
        write_archive(file, text, archive)
        del archive
        return run_in_new_thread(lambda: _open(file, custom))


def loss_named_in(path):
    """Return the name of the loss that a `.keras` file was compiled with, as it says itself; None where it says none.

    Raises:
        UnsafeModelError, KzooError: see `kzoo.load_model`.
    """
    with naming(path):
        said = parse_json(open_archive(read_once(path)).config, "config.json")
    for name in ("compile_config", "loss"):
        said = said.get(name) if isinstance(said, dict) else None
    said = said.get("class_name") if isinstance(said, dict) else said
    return said if isinstance(said, str) else None


def _open(file, custom):
    try:
        with without_values():
            return keras.saving.load_model(file, custom_objects=custom, compile=False, safe_mode=True)
    except Exception as error:
        raise Unreadable(f"Keras cannot open it ({first_line(error)})") from None


def _look(raw, own):
    archive = open_archive(raw)
    config = check_config(archive.config, own)
    return config, archive, stored_shapes(archive.weights, size=len(raw))


def _product(shape):
    size = 1
    for length in shape:
        size *= length
    return size


def _check_keras():
    version = tuple(int(part) for part in keras.__version__.split(".")[:3] if part.isdigit())
    if version < OLDEST_KERAS:
        newest = ".".join(map(str, OLDEST_KERAS))
        raise Refused(
            f"Keras {keras.__version__} has known holes in opening files",
            f'Install a newer one, pip install "keras>={newest}"; kzoo\'s own exports and runs load all the same',
        )


def _check_registry(strings, own):
    """Refuse names that would call up what some imported package registered with Keras."""
    for text in strings:
        registered = keras.saving.get_registered_object(text)
        if registered is not None and registered not in own.values():
            raise Refused(
                f"it names {short(text)}, which another package in this process has registered with Keras",
                f"If you trust it: kzoo.load_model(..., trusted=[{registered.__name__}])",
            )


def trusted_names(trusted):
    """Return the names under which a file calls the caller's classes and functions.

    Raises:
        KzooError: True, or anything that is not a class or function.
    """
    if not isinstance(trusted, list | tuple | set | frozenset):
        raise KzooError(f"trusted={trusted!r} must list the classes that you trust, such as trusted=[MyLayer].")
    names = {}
    for thing in trusted:
        if not callable(thing) or not hasattr(thing, "__name__") or thing.__name__ == "<lambda>":
            raise KzooError(f"trusted= lists classes and named functions, not {thing!r}.")
        module = getattr(thing, "__module__", "")
        if module.startswith("keras."):
            if getattr(keras.layers, thing.__name__, None) is not thing or thing.__name__ in NEVER:
                raise KzooError(
                    f"trusted= cannot take Keras' own {thing.__name__}: what it does is decided by the file."
                )
            names[f"keras.layers>{thing.__name__}"] = thing
        else:
            names[keras.saving.get_registered_name(thing)] = thing
    return names


def registered_in(model):
    """Return the classes and functions of the caller's that a model of the caller's is made of."""
    found = []

    def walk(thing):
        if isinstance(thing, dict):
            list(map(walk, thing.values()))
        elif isinstance(thing, list | tuple):
            list(map(walk, thing))
        elif isinstance(thing, str) and (mine := keras.saving.get_registered_object(thing)) is not None:
            found.append(mine)

    walk(keras.saving.serialize_keras_object(model))
    return tuple(dict.fromkeys(found))
