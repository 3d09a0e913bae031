"""Check of a model's `config.json` against the allowlist, at every level of nesting. Standard library only."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kzoo.utils.files import JsonObject
from kzoo.zoo.loading.allowed import (
    BOUNDS,
    CLASSES,
    DTYPES,
    FUNCTION_MODULES,
    FUNCTIONS,
    MODELS,
    NEVER,
    OPERATIONS,
)
from kzoo.zoo.loading.unsafe import Refused, Unreadable, short

Trusted = Mapping[str, Any]  # name in a file -> class or function

MAX_DEPTH = 64
MAX_BATCH = 1024  # of stateful layers, whose state Keras allocates while building

_NODE = {
    "module",
    "class_name",
    "config",
    "registered_name",
    "build_config",
    "shared_object_id",
    "name",
    "inbound_nodes",
}


@dataclass
class Config:
    """A checked configuration.

    Attributes:
        tree: the configuration for Keras.
        strings: all strings in it, which Keras might look up as names.
        classes: (module, class name) of each object.
    """

    tree: dict
    strings: set = field(default_factory=set)
    classes: list = field(default_factory=list)


def parse_json(data: bytes | str, what: str) -> JsonObject:
    """Return parsed JSON without duplicate keys, NaN, infinity or deep nesting; `what` names it in errors.

    Raises:
        Refused: parsers could disagree about the content, or it is nested too deeply.
        Unreadable: not JSON.
    """

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        result = dict(pairs)
        if len(result) != len(pairs):
            keys = [key for key, _ in pairs]
            duplicate = next(key for key in keys if keys.count(key) > 1)
            raise Refused(
                f"{what} has the key {short(duplicate)} twice, so the loaded value may not be the checked one"
            )
        return result

    def number(text: str) -> float:
        if not math.isfinite(value := float(text)):
            raise Refused(f"{what} contains a number that is not finite")
        return value

    try:
        return json.loads(data, object_pairs_hook=unique, parse_float=number, parse_constant=number)
    except RecursionError:
        raise Refused(f"{what} is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise Unreadable(f"{what} is not JSON ({error})") from None


def check_config(data: bytes, trusted: Trusted | None = None) -> Config:
    """Return a model's configuration after checking it against the list in `allowed.py`.

    Args:
        data: bytes of `config.json`.
        trusted: dict of name in the configuration -> class or function that the caller trusts.

    Raises:
        Refused: an object that is not on the list, or that Keras could resolve to another object.
    """
    config = Config(parse_json(data, "config.json"))
    walk = _ConfigCopy(config, trusted or {})
    root = walk.copy(config.tree, "model", 0)
    if (
        not isinstance(root, dict)
        or not isinstance(root.get("config"), dict)
        or "class_name" not in root
    ):
        raise Unreadable("its config.json does not describe a model")
    if (root.get("module"), root["class_name"]) not in MODELS and root[
        "class_name"
    ] not in walk.trusted_names:
        raise Refused(f"its config.json describes a {short(root['class_name'])}, not a model")
    config.tree = root
    walk.check_states()
    return config


class _ConfigCopy:
    """Copies a configuration, checking each part and dropping parts that prediction does not need."""

    def __init__(self, config: Config, trusted: Trusted) -> None:
        self.config, self.trusted = config, trusted
        self.trusted_names = {node.__name__ for node in trusted.values()}
        self.stateful = False
        self.batches: list[object] = []

    def copy(self, node: object, path: str, depth: int) -> object:
        if depth > MAX_DEPTH:
            raise Refused(f"config.json is nested deeper than {MAX_DEPTH} levels")
        if isinstance(node, str):
            self.config.strings.add(node)
        elif isinstance(node, list):
            return [self.copy(part, path, depth + 1) for part in node]
        elif isinstance(node, dict):
            if "class_name" in node:
                return self.copy_object(node, path, depth)
            return {key: self.copy_value(key, value, path, depth) for key, value in node.items()}
        return node

    def copy_object(self, node: JsonObject, path: str, depth: int) -> JsonObject:
        """Return a checked copy of an object; `path` is the name of the layer around it, for messages."""
        name = node["class_name"]
        module = node.get("module")
        inner: Any = node.get("config")
        if isinstance(name, str) and name in _MARKER_CHECKS:
            _MARKER_CHECKS[name](node, name)
        elif name == "function":
            self.check_function(node, path)
        else:
            self.check_class(node, path)
            self.config.classes.append((module, name))
            path = inner["name"] if isinstance(inner.get("name"), str) else path
        # `compile_config` would add optimizer, loss and metrics, also of nested models, which are not needed. For an
        # initializer without its registered name, Keras uses the one of `model_size.zero_initialization`.
        left_out = {"compile_config"} | (
            {"registered_name"} if module == "keras.initializers" else set()
        )
        entries = {key: value for key, value in node.items() if key not in left_out}
        return {key: self.copy_value(key, value, path, depth) for key, value in entries.items()}

    def copy_value(self, key: str, value: object, path: str, depth: int) -> object:
        if key == "vocabulary" and isinstance(value, str):
            raise Refused(
                f"{_layer_at(path)} reads its vocabulary from the file or address {short(value)}"
            )
        if isinstance(value, str) and key.endswith("activation") and not self.is_function(value):
            raise Refused(
                f"{_layer_at(path)} uses the activation {short(value)}, which is not on kzoo's list",
                _trust(value),
            )
        if key in BOUNDS and isinstance(value, int | float) and value > BOUNDS[key]:
            raise Refused(f"{_layer_at(path)} has {key}={value:,}, the limit is {BOUNDS[key]:,}")
        if key in ("unroll", "stateful") and not isinstance(value, bool):
            raise Refused(
                f"{_layer_at(path)} has {key}={short(value)}, which must be true or false"
            )
        if key == "unroll":
            return False  # same outputs; unrolled, a short file could describe a graph of any size
        self.stateful |= key == "stateful" and value is True
        if key == "batch_size" or key.endswith("shape"):
            self.batches.append(value[0] if isinstance(value, list) and value else value)
        return self.copy(value, path, depth + 1)

    def check_states(self) -> None:
        """Raise Refused if states of stateful layers may be large; the file has no states that show their size."""
        if not self.stateful:
            return
        largest = max((size for size in self.batches if isinstance(size, int | float)), default=0)
        if largest > MAX_BATCH:
            raise Refused(
                f"it is stateful with a batch size of {largest:,}, the limit is {MAX_BATCH:,}"
            )
        for module, name in self.config.classes:
            if name.startswith("ConvLSTM") or (module, name) in OPERATIONS:
                raise Refused(
                    f"it is stateful, and {short(name)} may enlarge the batch", _NOT_STATEFUL
                )

    def is_function(self, name: str) -> bool:
        return name in FUNCTIONS or name in self.trusted

    def check_function(self, node: JsonObject, path: str) -> None:
        name = node.get("config")
        module = node.get("module")
        registered = node.get("registered_name")
        is_allowed = (
            isinstance(name, str)
            and self.is_function(name)
            and registered in (None, name, "function")
        )
        if (
            not is_allowed
            or not (module in FUNCTION_MODULES or name in self.trusted)
            or set(node) - _NODE
        ):
            full_name = f"{module}.{name}" if isinstance(module, str) else name
            raise Refused(
                f"{_layer_at(path)} calls the function {short(full_name)}, which is not on kzoo's list",
                _trust(name),
            )

    def check_class(self, node: JsonObject, path: str) -> None:
        name = node["class_name"]
        module = node.get("module")
        registered = node.get("registered_name")
        has_names = isinstance(name, str) and all(
            isinstance(text, str | None) for text in (module, registered)
        )
        if not has_names or not isinstance(node.get("config"), dict):
            raise Refused(
                f"{_layer_at(path)} has an object without a valid module, class name or configuration: {short(name)}"
            )
        if extra := set(node) - _NODE - {"compile_config"}:
            raise Refused(
                f"{_layer_at(path)} has an object with the unknown key {short(min(extra))}"
            )
        trusted_class = self.trusted.get(str(registered if "registered_name" in node else name))
        if trusted_class is not None and trusted_class.__name__ == name:
            return
        built_in = self.trusted.get(f"{module}>{name}")  # a Keras class that the caller has added
        if (module, name) not in CLASSES and built_in is None:
            full_name = short(f"{module}.{name}" if module else name, 120)
            full_name += f", registered as {short(registered)}" if registered else ""
            raise Refused(
                f"{_layer_at(path)} is of class {full_name}, which is not on kzoo's list of allowed classes",
                _trust(name),
            )
        if registered not in (None, name):
            raise Refused(
                f"{_layer_at(path)} is of the class {short(name)} but registered as {short(registered)}",
                _trust(name),
            )


_NOT_STATEFUL = "Rebuild the model with stateful=False and save it again"


def _layer_at(path: str) -> str:
    return f"its layer {short(path)}"


def _trust(name: object) -> str:
    class_name = name if isinstance(name, str) and name.replace("_", "a").isalnum() else "THE_CLASS"
    if class_name in NEVER:
        return f"A {class_name} runs code from the file. Ask for a model without it, or open it in a container"
    return f"If you have the code and trust it: kzoo.load_model(..., trusted=[{class_name}])"


def _check_array(node: JsonObject, name: str) -> None:
    _check_tensor(node, name)
    if not isinstance(node["config"].get("value"), list | int | float):
        raise Refused(f"its config.json contains an array without values ({name})")


def _check_tensor(node: JsonObject, name: str) -> None:
    _check_plain(node, name)
    dtype = node["config"].get("dtype")
    # NumPy accepts "S1000000000", 1 GB per element
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise Refused(
            f"its config.json contains an array of an unknown dtype ({name}, {short(dtype)})"
        )


def _check_plain(node: JsonObject, name: str) -> None:
    if not isinstance(node.get("config"), dict):
        raise Refused(f"its config.json contains a {name} without values")


# How Keras writes values that JSON does not have. `__lambda__` (code) and `__typespec__` (any class) are not allowed.
_MARKER_CHECKS = {
    "__keras_tensor__": _check_tensor,
    "__tensor__": _check_array,
    "__numpy__": _check_array,
    "__bytes__": _check_plain,
    "__slice__": _check_plain,
    "__ellipsis__": _check_plain,
}
