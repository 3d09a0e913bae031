"""The identity of a run besides its settings: a custom model, the content of `weights=`, and callbacks.

Each becomes plain data that is the same in every process, for `kzoo.problems.stored_types.Request`. Of objects that
cannot be compared, such as functions and custom callbacks, only the type is stored; a note says so when a finished
run is requested again.
"""

import hashlib
import inspect
import json
import math
import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kzoo.callbacks.rate import has_settable_rate, learning_rates
from kzoo.inference.exported import MANIFEST
from kzoo.problems.stored_types import UNKNOWN
from kzoo.utils.files import JsonObject, described
from kzoo.zoo.run import Run
from kzoo.zoo.weights import NAMED, Weights, find_entry, is_packaged_name

# Keys of Keras' serialized objects that building or running a model changes, or that do not affect what is learned.
_IGNORED_KEYS = (
    "build_config",
    "build_input_shape",
    "compile_config",
    "shared_object_id",
    "run_eagerly",
    "steps_per_execution",
    "jit_compile",
    "auto_scale_loss",
)
_NAME_KEYS = ("name", "keras_history", "input_layers", "output_layers")
# Keras' callbacks that affect what is learned.
_TRAINING_CALLBACKS = (
    keras.callbacks.EarlyStopping,
    keras.callbacks.LearningRateScheduler,
    keras.callbacks.ReduceLROnPlateau,
    keras.callbacks.SwapEMAWeights,
)
_MAX_CHARACTERS = 200  # longer values are stored as a hash


def identity(
    model: keras.Model | None,
    weights: "Weights | None",
    preset: str,
    callbacks: Iterable[keras.callbacks.Callback],
) -> JsonObject:
    """Return the fields of a `Request` that identify the user's objects.

    Args:
        model: a compiled custom model, or None.
        weights: the initial weights (see `kzoo.train`), or None.
        preset: the preset's name.
        callbacks: the user's callbacks.
    """
    return dict(
        own_model=None if model is None else model_identity(model),
        weights_sha256=weights_hash(weights, preset),
        callbacks=tuple(type(callback).__name__ for callback in callbacks),
        callback_settings=_with_unique_names(
            [(type(callback).__name__, callback_settings(callback)) for callback in callbacks]
        )
        or None,
    )


# ---------------------------------------------------------------- weights


def weights_hash(weights: "Weights | None", preset: str) -> str | None:
    """Return a hash of the weights that `weights=` names; None for None, those of a fixed version and missing files."""
    if weights is None or (isinstance(weights, str) and weights in NAMED):
        return None
    if isinstance(weights, keras.Model):
        arrays = [np.ascontiguousarray(w) for w in weights.get_weights()]
        return _digest(
            *(part for a in arrays for part in (f"{a.dtype} {a.shape}".encode(), a.tobytes()))
        )
    if is_packaged_name(weights, preset):
        return find_entry(preset, weights).sha256
    path = Path(weights)
    if isinstance(weights, Run) or path.is_dir():
        # the manifest of an exported model has the checksum of its weights
        path /= MANIFEST if (path / MANIFEST).is_file() else "best.keras"
    if not path.is_file():  # an error when the weights are read, but not for a finished run
        return None
    return str(described(path)["sha256"])


# ---------------------------------------------------------------- a model


def model_identity(model: keras.Model) -> JsonObject:
    """Return hashes of a model's layers and of its compilation, and its initial learning rate.

    The weights are not included: the same script draws others each time, and a resumed training has its own. After the
    first step the learning rate is no longer the initial one, and is left out.
    """
    # versions serialize differently: hashes of two versions are not compared
    version = f"by Keras {keras.__version__}"
    hashes: JsonObject = {
        f"layers {version}": _config_hash(lambda: _serialize(model)),
        f"compilation {version}": _config_hash(model.get_compile_config),
    }
    if has_settable_rate(model.optimizer) and not int(model.optimizer.iterations):
        hashes["learning_rate"] = list(learning_rates(model.optimizer).values())
    return hashes


def _serialize(model: keras.Model) -> object:
    """Return a model as Keras serializes it; for a subclassed model, also each of its layers."""
    config: Any = None
    with suppress(NotImplementedError):  # the class has no get_config
        config = keras.saving.serialize_keras_object(model)
    # the config has all layers
    if isinstance(model, keras.Sequential) or hasattr(model, "operations"):
        return config
    return [type(model).__name__, config, *map(_serialize, getattr(model, "layers", ()))]


def _config_hash(get_config: Callable[[], object]) -> object:
    """Return a hash of a config, or an `UNKNOWN` mark if it cannot be serialized."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns of lambdas
        try:
            config = json.loads(
                json.dumps(get_config(), default=lambda value: type(value).__name__)
            )
        except (
            NotImplementedError,
            TypeError,
            ValueError,
        ):  # layers or functions that cannot be serialized
            return {UNKNOWN: "unsaid"}
    return _digest(json.dumps(_comparable(config, _stable_names(config)), sort_keys=True).encode())


def _stable_names(config: object) -> dict[str, str]:
    """Return automatic name -> name that is the same in every process, for names such as dense_7."""
    stable: dict[str, str] = {}

    def walk(value: object) -> None:
        if isinstance(value, dict):
            class_name, config = value.get("class_name"), value.get("config")
            name = config.get("name") if isinstance(config, dict) else None
            if isinstance(class_name, str) and isinstance(name, str) and name not in stable:
                stem = re.sub(r"_\d+$", "", name)
                if stem.replace("_", "") == class_name.replace("_", "").lower():
                    stable[name] = (
                        f"{stem}:{sum(used.startswith(f'{stem}:') for used in stable.values())}"
                    )
        for inner in (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        ):
            walk(inner)

    walk(config)
    return stable


def _comparable(value: object, names: Mapping[str, str], is_name: bool = False) -> object:
    if isinstance(value, list):
        layers = [
            inner
            for inner in value
            if not (isinstance(inner, dict) and inner.get("class_name") == "InputLayer")
        ]
        return [_comparable(inner, names, is_name) for inner in layers]
    if not isinstance(value, dict):
        return names.get(value, value) if is_name and isinstance(value, str) else value
    class_name = value.get("class_name")
    # its bytes contain the file name, and depend on the Python version
    if class_name == "__lambda__":
        return class_name
    if class_name == "RandomCrop":  # draws a seed if none is given
        value = value | {
            "config": {name: inner for name, inner in value["config"].items() if name != "seed"}
        }
    return {
        name: _comparable(inner, names, is_name or name in _NAME_KEYS)
        for name, inner in value.items()
        if name not in _IGNORED_KEYS and not (name == "learning_rate" and isinstance(inner, float))
    }


# ---------------------------------------------------------------- callbacks


def callback_settings(callback: keras.callbacks.Callback) -> JsonObject:
    """Return the arguments of a callback that affect training, as far as it has them as attributes.

    The dict is empty for Keras' callbacks that only write or show something. What a custom callback does is unknown.
    """
    if not isinstance(callback, _TRAINING_CALLBACKS):
        keras_own = type(callback).__module__.partition(".")[0] == "keras"
        return {} if keras_own else {"settings": {UNKNOWN: type(callback).__name__}}
    attributes = vars(callback)
    settings = {}
    for callback_class in type(callback).__mro__:
        init: Any = vars(callback_class).get("__init__")
        if init is None or callback_class in (keras.callbacks.Callback, object):
            continue
        for name, parameter in list(inspect.signature(init).parameters.items())[1:]:
            attribute = next(
                (attribute for attribute in (name, f"_{name}") if attribute in attributes), None
            )
            has_name = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            if name in settings or name == "verbose" or not has_name:
                continue
            if attribute is not None:
                # Keras changes the sign of min_delta once it knows the metric's direction.
                settings[name] = _to_json(
                    abs(attributes[attribute]) if name == "min_delta" else attributes[attribute]
                )
            elif callback_class is type(callback):
                settings[name] = {UNKNOWN: "not kept"}
    return settings


def _to_json(value: object) -> object:
    """Return a callback's setting as JSON for comparing runs: arrays and long values as hashes, paths as file names."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.item() if value.ndim == 0 else value
    if isinstance(value, np.ndarray):
        return (
            {UNKNOWN: "object"}
            if value.dtype.hasobject
            else _digest(f"{value.dtype}".encode(), value.tobytes())
        )
    if isinstance(value, os.PathLike) or (isinstance(value, str) and os.path.isabs(value)):
        return Path(value).name
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple | dict):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        entries = {str(name): _to_json(inner) for name, inner in pairs}
        if any(isinstance(inner, dict) and UNKNOWN in inner for inner in entries.values()):
            return {UNKNOWN: type(value).__name__}
        value = entries if isinstance(value, dict) else list(entries.values())
        text = json.dumps(value)
        return value if len(text) < _MAX_CHARACTERS else _digest(text.encode())
    if isinstance(value, str):
        return value if len(value) < _MAX_CHARACTERS else _digest(value.encode())
    return {UNKNOWN: type(value).__name__}


def _with_unique_names(pairs: Iterable[tuple[str, JsonObject]]) -> dict[str, JsonObject]:
    """Return (name, value) pairs as a dict; the second value of a name gets the key "name 2"."""
    named: dict[str, Any] = {}
    for name, value in pairs:
        count = 1 + sum(used.partition(" ")[0] == name for used in named)
        named[name if count == 1 else f"{name} {count}"] = value
    return named


def _digest(*parts: bytes) -> str:
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part)
    return sha.hexdigest()[:16]
