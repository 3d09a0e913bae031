"""What tells runs apart beside their settings: a model of one's own, the content of `weights=`, callbacks.

Each becomes plain data that is the same in every process, for `kzoo.stored_types.Request`. What cannot be compared,
such as a function or a custom callback, is kept by its type alone, and a finished run that is requested again says so.
"""

import hashlib
import inspect
import json
import math
import os
import re
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kzoo.callbacks.rate import has_settable_rate, learning_rates
from kzoo.run import Run
from kzoo.stored_types import UNKNOWN
from kzoo.weights import DOWNLOADED, entry_of, is_word

# Of Keras' serialized objects: what building and running a model changes, and what says nothing of what is learned.
_NOT_OF_IT = (
    "build_config", "build_input_shape", "compile_config", "shared_object_id", "run_eagerly", "steps_per_execution",
    "jit_compile", "auto_scale_loss",
)  # fmt: skip
_NAMING = ("name", "keras_history", "input_layers", "output_layers")
# Keras' callbacks that change what is learned.
_STEER = (
    keras.callbacks.EarlyStopping, keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau,
    keras.callbacks.SwapEMAWeights,
)  # fmt: skip
_LONG = 200  # characters of a value, above which its hash is kept


def identity(own, weights, preset, callbacks) -> dict:
    """Return the fields of a `Request` that say what its caller has made.

    Args:
        own: a compiled model, or None.
        weights: what a training begins with (see `kzoo.train`), or None.
        preset: its name.
        callbacks: the user's own.
    """
    return dict(
        own_model=None if own is None else model_identity(own),
        weights_sha256=weights_hash(weights, preset),
        callbacks=tuple(type(one).__name__ for one in callbacks),
        callback_settings=_numbered([(type(one).__name__, settings_of(one)) for one in callbacks]) or None,
    )


# ---------------------------------------------------------------- weights


def weights_hash(weights, preset) -> str | None:
    """Return a hash of what `weights=` stands for; None for none, for what is downloaded, and for no file."""
    if weights is None or (isinstance(weights, str) and weights == DOWNLOADED):
        return None
    if isinstance(weights, keras.Model):
        arrays = [np.ascontiguousarray(w) for w in weights.get_weights()]
        return _hash(*(part for a in arrays for part in (f"{a.dtype} {a.shape}".encode(), a.tobytes())))
    if is_word(weights, preset):
        return entry_of(preset, weights).sha256
    path = Path(weights)
    if isinstance(weights, Run) or path.is_dir():
        path /= "best.keras"
    if not path.is_file():  # which is an error for whoever reads it, and none for a run that is finished
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---------------------------------------------------------------- a model


def model_identity(model) -> dict:
    """Return hashes of a model's layers and of how it is compiled, and the learning rate that it begins with.

    Not its weights: the same script makes others each time, and a training that goes on has its own. Once steps have
    been made, the rate is where these have brought it: it is left out.
    """
    by = f"by Keras {keras.__version__}"  # another version says them otherwise: then they are not compared
    found = {f"layers {by}": _hash_of(lambda: _layers(model)), f"compilation {by}": _hash_of(model.get_compile_config)}
    if has_settable_rate(model.optimizer) and not int(model.optimizer.iterations):
        found["learning_rate"] = list(learning_rates(model.optimizer).values())
    return found


def _layers(model) -> Any:
    """Return all that Keras says of a model; of a subclassed one, of each layer in it too."""
    said: Any = None
    with suppress(NotImplementedError):  # a class that has no get_config
        said = keras.saving.serialize_keras_object(model)
    if isinstance(model, keras.Sequential) or hasattr(model, "operations"):  # a functional one's config has them all
        return said
    return [type(model).__name__, said, *map(_layers, getattr(model, "layers", ()))]


def _hash_of(say) -> Any:
    """Return a hash of what Keras says, where it can."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of functions without a name
        try:
            said = json.loads(json.dumps(say(), default=lambda value: type(value).__name__))
        except (NotImplementedError, TypeError, ValueError):  # layers or functions that cannot be written down
            return {UNKNOWN: "unsaid"}
    return _hash(json.dumps(_comparable(said, _names_by_keras(said)), sort_keys=True).encode())


def _names_by_keras(said) -> dict[str, str]:
    """Return the names that Keras has numbered, such as dense_7, each with one that is the same in every process."""
    found: dict[str, str] = {}

    def walk(value):
        if isinstance(value, dict):
            kind, config = value.get("class_name"), value.get("config")
            name = config.get("name") if isinstance(config, dict) else None
            if isinstance(kind, str) and isinstance(name, str) and name not in found:
                stem = re.sub(r"_\d+$", "", name)
                if stem.replace("_", "") == kind.replace("_", "").lower():
                    found[name] = f"{stem}:{sum(known.startswith(f'{stem}:') for known in found.values())}"
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(inner)

    walk(said)
    return found


def _comparable(value, names, naming=False):
    if isinstance(value, list):
        layers = [one for one in value if not (isinstance(one, dict) and one.get("class_name") == "InputLayer")]
        return [_comparable(one, names, naming) for one in layers]
    if not isinstance(value, dict):
        return names.get(value, value) if naming and isinstance(value, str) else value
    kind = value.get("class_name")
    if kind == "__lambda__":  # its bytes name the file, and differ between versions of Python
        return kind
    if kind == "RandomCrop":  # which draws a seed where it is given none
        value = value | {"config": {name: one for name, one in value["config"].items() if name != "seed"}}
    return {
        name: _comparable(inner, names, naming or name in _NAMING)
        for name, inner in value.items()
        if name not in _NOT_OF_IT and not (name == "learning_rate" and isinstance(inner, float))
    }


# ---------------------------------------------------------------- callbacks


def settings_of(callback) -> dict:
    """Return what a callback was made with that steers training: the values that it keeps of its arguments.

    Of Keras' callbacks that only write or show something, nothing; what one of somebody's own does is not known.
    """
    if not isinstance(callback, _STEER):
        keras_own = type(callback).__module__.partition(".")[0] == "keras"
        return {} if keras_own else {"settings": {UNKNOWN: type(callback).__name__}}
    kept, settings = vars(callback), {}
    for kind in type(callback).__mro__:
        made: Any = vars(kind).get("__init__")
        if made is None or kind in (keras.callbacks.Callback, object):
            continue
        for name, parameter in list(inspect.signature(made).parameters.items())[1:]:
            here = next((place for place in (name, f"_{name}") if place in kept), None)
            named = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            if name in settings or name == "verbose" or not named:
                continue
            if here is not None:
                # Keras turns the sign of min_delta, once it knows which direction is better.
                settings[name] = _plain(abs(kept[here]) if name == "min_delta" else kept[here])
            elif kind is type(callback):
                settings[name] = {UNKNOWN: "not kept"}
    return settings


def _plain(value):
    """Return a value as JSON has it: arrays and long values as a hash, paths without folders of this machine."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.item() if value.ndim == 0 else value
    if isinstance(value, np.ndarray):
        return {UNKNOWN: "object"} if value.dtype.hasobject else _hash(f"{value.dtype}".encode(), value.tobytes())
    if isinstance(value, os.PathLike) or (isinstance(value, str) and os.path.isabs(value)):
        return Path(value).name
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple | dict):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        each = {str(name): _plain(one) for name, one in pairs}
        if any(isinstance(one, dict) and UNKNOWN in one for one in each.values()):
            return {UNKNOWN: type(value).__name__}
        value = each if isinstance(value, dict) else list(each.values())
        text = json.dumps(value)
        return value if len(text) < _LONG else _hash(text.encode())
    if isinstance(value, str):
        return value if len(value) < _LONG else _hash(value.encode())
    return {UNKNOWN: type(value).__name__}


def _numbered(pairs) -> dict:
    """Return (name, value) as a dict; a second one of a name is called "name 2"."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        count = 1 + sum(known.partition(" ")[0] == name for known in found)
        found[name if count == 1 else f"{name} {count}"] = value
    return found


def _hash(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]
