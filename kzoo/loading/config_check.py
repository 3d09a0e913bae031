"""The look at `config.json`: every object it names, all the way down. Standard library only."""

import json
import math
from dataclasses import dataclass, field

from kzoo.loading.allowed import (
    BOUNDS,
    CLASSES,
    DTYPES,
    FUNCTION_MODULES,
    FUNCTIONS,
    MODELS,
    NEVER,
    OPERATIONS,
)
from kzoo.loading.unsafe import Refused, Unreadable, short

MAX_DEPTH = 64
MAX_BATCH = 1024  # of a layer that keeps its state, for which Keras makes room while it builds

_NODE = {"module", "class_name", "config", "registered_name", "build_config", "shared_object_id", "name",
         "inbound_nodes"}  # fmt: skip


@dataclass
class Config:
    """A configuration that passed: `tree` is what Keras gets, `strings` all that it might look up by name."""

    tree: dict
    strings: set = field(default_factory=set)
    classes: list = field(default_factory=list)


def parse_json(data, what):
    """Parse JSON strictly: no duplicate keys, no NaN or infinity, no endless nesting.

    Raises:
        Refused: two readers could read it differently, or it is too deep.
        Unreadable: not JSON.
    """

    def unique(pairs):
        result = dict(pairs)
        if len(result) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise Refused(f"{what} has the key {short(twice)} twice, so what is checked need not be what is loaded")
        return result

    def number(text):
        if not math.isfinite(value := float(text)):
            raise Refused(f"{what} has a number that is not finite")
        return value

    try:
        return json.loads(data, object_pairs_hook=unique, parse_float=number, parse_constant=number)
    except RecursionError:
        raise Refused(f"{what} is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise Unreadable(f"{what} is not JSON ({error})") from None


def check_config(data, trusted=None):
    """Check a model's configuration against the list in `allowed.py`.

    Args:
        data: bytes of `config.json`.
        trusted: name under which a configuration calls it -> class or function, of the caller's.

    Raises:
        Refused: an object that is not on the list, or one written so that Keras could take it for another.
    """
    config = Config(parse_json(data, "config.json"))
    walk = _Walk(config, trusted or {})
    config.tree = walk.copy(config.tree, "model", 0)
    root = config.tree
    if not isinstance(root, dict) or not isinstance(root.get("config"), dict) or "class_name" not in root:
        raise Unreadable("its config.json describes no model")
    if (root.get("module"), root["class_name"]) not in MODELS and root["class_name"] not in walk.own_names:
        raise Refused(f"its config.json describes a {short(root['class_name'])} and no model")
    walk.check_states()
    return config


class _Walk:
    """Copies a configuration, checking each part and leaving out what a model to predict with does not need."""

    def __init__(self, config, trusted):
        self.config, self.trusted = config, trusted
        self.own_names = {thing.__name__ for thing in trusted.values()}
        self.stateful, self.batches = False, []

    def copy(self, thing, path, depth):
        if depth > MAX_DEPTH:
            raise Refused(f"config.json is nested deeper than {MAX_DEPTH} levels")
        if isinstance(thing, str):
            self.config.strings.add(thing)
        elif isinstance(thing, list):
            return [self.copy(part, path, depth + 1) for part in thing]
        elif isinstance(thing, dict):
            if "class_name" in thing:
                return self.copy_object(thing, path, depth)
            return {key: self.copy_value(key, value, path, depth) for key, value in thing.items()}
        return thing

    def copy_object(self, thing, path, depth):
        name, module, inner = thing["class_name"], thing.get("module"), thing.get("config")
        if isinstance(name, str) and name in _MARKERS:
            _MARKERS[name](thing, name)
        elif name == "function":
            self.check_function(thing, path)
        else:
            self.check_class(thing, path)
            self.config.classes.append((module, name))
            path = inner["name"] if isinstance(inner.get("name"), str) else path
        # How it was compiled would bring optimizer, loss and metrics, of nested models too: nothing here needs them.
        # Without its registered name, Keras takes what stands in for an initializer (see `plan.without_values`).
        left_out = {"compile_config"} | ({"registered_name"} if module == "keras.initializers" else set())
        kept = {key: value for key, value in thing.items() if key not in left_out}
        return {key: self.copy_value(key, value, path, depth) for key, value in kept.items()}

    def copy_value(self, key, value, path, depth):
        if key == "vocabulary" and isinstance(value, str):
            raise Refused(f"{_at(path)} reads its vocabulary from the file or address {short(value)}")
        if isinstance(value, str) and key.endswith("activation") and not self.is_function(value):
            raise Refused(f"{_at(path)} names an activation {short(value)} that is not on kzoo's list", _trust(value))
        if key in BOUNDS and isinstance(value, int | float) and value > BOUNDS[key]:
            raise Refused(f"{_at(path)} has {key}={value:,}, and {BOUNDS[key]:,} is the limit")
        if key in ("unroll", "stateful") and not isinstance(value, bool):
            raise Refused(f"{_at(path)} has {key}={short(value)}, which is neither true nor false")
        if key == "unroll":
            return False  # the same answers; unrolled, a short file could ask for a graph of any length
        self.stateful |= key == "stateful" and value
        if key == "batch_size" or key.endswith("shape"):
            self.batches.append(value[0] if isinstance(value, list) and value else value)
        return self.copy(value, path, depth + 1)

    def check_states(self):
        """Bound the states that stateful layers keep, which no file stores: batch times units, if none enlarges it."""
        if not self.stateful:
            return
        largest = max((size for size in self.batches if isinstance(size, int | float)), default=0)
        if largest > MAX_BATCH:
            raise Refused(f"it keeps the state of a batch of {largest:,}, and {MAX_BATCH:,} is the limit")
        for module, name in self.config.classes:
            if name.startswith("ConvLSTM") or (module, name) in OPERATIONS:
                raise Refused(f"it keeps the state of a batch that {short(name)} may make larger", _NOT_STATEFUL)

    def is_function(self, name):
        return name in FUNCTIONS or name in self.trusted

    def check_function(self, thing, path):
        name, module, registered = thing.get("config"), thing.get("module"), thing.get("registered_name")
        known = isinstance(name, str) and self.is_function(name) and registered in (None, name, "function")
        if not known or not (module in FUNCTION_MODULES or name in self.trusted) or set(thing) - _NODE:
            said = f"{module}.{name}" if isinstance(module, str) else name
            raise Refused(f"{_at(path)} calls the function {short(said)}, which is not on kzoo's list", _trust(name))

    def check_class(self, thing, path):
        name, module, registered = thing["class_name"], thing.get("module"), thing.get("registered_name")
        texts = isinstance(name, str) and all(isinstance(text, str | None) for text in (module, registered))
        if not texts or not isinstance(thing.get("config"), dict):
            raise Refused(f"{_at(path)} has an object without module, class name or configuration: {short(name)}")
        if extra := set(thing) - _NODE - {"compile_config"}:
            raise Refused(f"{_at(path)} has an object with the unknown key {short(min(extra))}")
        mine = self.trusted.get(registered if "registered_name" in thing else name)
        if mine is not None and mine.__name__ == name:
            return
        built_in = self.trusted.get(f"{module}>{name}")  # one of Keras' own that the caller adds to the list
        if (module, name) not in CLASSES and built_in is None:
            said = short(f"{module}.{name}" if module else name, 120)
            said += f", registered as {short(registered)}," if registered else ""
            raise Refused(f"{_at(path)} is of the class {said} which is not on kzoo's list", _trust(name))
        if registered not in (None, name):
            raise Refused(f"{_at(path)} is called {short(name)} and registered as {short(registered)}", _trust(name))


_NOT_STATEFUL = "Save it again from a model that is built with stateful=False"


def _at(path):
    return f"its layer {short(path)}"


def _trust(name):
    from_file = name if isinstance(name, str) and name.replace("_", "a").isalnum() else "THE_CLASS"
    if from_file in NEVER:
        return f"A {from_file} runs what the file brings: ask for a model without it, or open it in a container"
    return f"If you have the code and trust it: kzoo.load_model(..., trusted=[{from_file}])"


def _check_array(thing, name):
    _check_tensor(thing, name)
    if not isinstance(thing["config"].get("value"), list | int | float):
        raise Refused(f"its config.json has an array without values ({name})")


def _check_tensor(thing, name):
    _check_plain(thing, name)
    dtype = thing["config"].get("dtype")
    if not isinstance(dtype, str) or dtype not in DTYPES:  # NumPy takes "S1000000000", a gigabyte for each entry
        raise Refused(f"its config.json has an array of an unknown kind ({name}, {short(dtype)})")


def _check_plain(thing, name):
    if not isinstance(thing.get("config"), dict):
        raise Refused(f"its config.json has a {name} without values")


# How Keras writes what JSON cannot say. `__lambda__` (code) and `__typespec__` (any class) are not among them.
_MARKERS = {
    "__keras_tensor__": _check_tensor,
    "__tensor__": _check_array,
    "__numpy__": _check_array,
    "__bytes__": _check_plain,
    "__slice__": _check_plain,
    "__ellipsis__": _check_plain,
}
