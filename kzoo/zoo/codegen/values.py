"""Values and Keras objects as Python expressions: arguments only where they differ from the default."""

import inspect
import itertools
import json
import keyword
import math
import re
from collections.abc import Mapping, Sequence, Set
from typing import Any

import keras

from kzoo.utils.errors import KzooError

_PACKAGES = ("layers", "initializers", "regularizers", "optimizers", "losses", "metrics")


def value(data: object) -> str:
    """Return the expression of plain data, or of a Keras object, also in the form that `get_config` returns."""
    if isinstance(data, str):
        return json.dumps(data)
    if data == 1 / 255:
        return "1 / 255"
    if data is None or isinstance(data, bool | int | float):
        return repr(data)
    if isinstance(data, slice):
        return f"slice({value(data.start)}, {value(data.stop)}, {value(data.step)})"
    if isinstance(data, list | tuple):
        return _numbers(data) or _sequence([value(part) for part in data], data)
    if isinstance(data, dict) and "class_name" in data:
        if data["class_name"] == "DTypePolicy":
            return json.dumps(data["config"]["name"])
        if data["class_name"] == "QuantizedDTypePolicy":
            return json.dumps("{mode}_from_{source_name}".format(**data["config"]))
        return construct(keras.saving.deserialize_keras_object(data))
    if isinstance(data, dict):
        return "{" + ", ".join(f"{value(k)}: {value(v)}" for k, v in data.items()) + "}"
    if type(data).__module__.startswith("keras."):
        return construct(data)
    raise KzooError(f"{data!r} cannot be written as code: only plain data and Keras objects can.")


def construct(instance: keras.Layer, **written: str) -> str:
    """Return the call that creates a built-in layer, optimizer, loss, ... of Keras.

    Args:
        instance: the object.
        written: name -> code of further arguments; an empty string omits the argument.
    """
    kind = type(instance)
    config = instance.get_config()
    if (
        kind is keras.layers.Bidirectional
        and (wrapped := _bidirectional_layer(instance)) is not None
    ):
        config["layer"] = keras.saving.serialize_keras_object(wrapped)
        written = written | {"backward_layer": ""}
    if not isinstance(instance, keras.Layer | keras.Metric):
        written = {"name": ""} | written
    package = _package_of(kind)
    required, extra = _arguments(instance, config, {"name", *written})
    codes = [value(argument) for argument in required.values()]
    codes += [f"{name}={value(argument)}" for name, argument in extra.items()]
    codes += [f"{name}={text}" for name, text in written.items() if text]
    if config.get("name") is not None and "name" not in written:
        codes.append(f"name={value(config['name'])}")
    if not codes and isinstance(instance, keras.initializers.Initializer):
        return json.dumps(identifier(kind.__name__))  # the short form, such as "he_normal"
    return f"{package}.{kind.__name__}({', '.join(codes)})"


def _arguments(
    instance: object, config: Mapping[str, object], excluded: Set[str]
) -> tuple[dict[str, object], dict[str, object]]:
    """Return the required arguments, and the optional ones that are needed for the same configuration.

    Optional ones are added one at a time, because a default may depend on another argument: `strides` is by default
    `pool_size`.
    """
    parameters = [
        p
        for name, p in inspect.signature(type(instance).__init__).parameters.items()
        if name != "self"
    ]
    required = [
        p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    arguments = {name: config[name] for name in required}
    accepted = ({p.name for p in parameters} | {"dtype", "trainable"}) - set(arguments) - excluded
    extra: dict[str, Any] = {}
    while True:
        default_config = _config_with(instance, arguments | extra)
        more = [
            n
            for n, v in config.items()
            if n in accepted and n not in extra and v != default_config.get(n)
        ]
        if not more:
            return arguments, extra
        extra[more[0]] = config[more[0]]


def _config_with(instance: keras.Layer, arguments: Mapping[str, object]) -> dict[str, object]:
    """Return the configuration of a new object of the same class with these arguments."""
    rebuilt = type(instance)(
        **{name: _deserialized(argument) for name, argument in arguments.items()}
    )
    if (
        isinstance(instance, keras.layers.LayerNormalization | keras.layers.MultiHeadAttention)
        and instance.built
    ):
        rebuilt.build_from_config(instance.get_build_config())  # their axes are resolved in build
    return rebuilt.get_config()


def _bidirectional_layer(bidirectional: keras.layers.Bidirectional) -> keras.Layer | None:
    """Return the layer that a `Bidirectional` was made from; None if its two layers differ."""
    config = bidirectional.get_config()
    inner = config["layer"]["config"]
    kind = type(bidirectional.forward_layer)
    layer = kind.from_config(inner | {"name": inner["name"].removeprefix("forward_")})
    rebuilt = keras.layers.Bidirectional(
        layer, merge_mode=config["merge_mode"], name=bidirectional.name
    ).get_config()
    same = all(
        _without_build(rebuilt[half]) == _without_build(config[half])
        for half in ("layer", "backward_layer")
    )
    return (
        kind.from_config(inner | {"name": inner["name"].removeprefix("forward_")}) if same else None
    )


def _without_build(serialised: Mapping[str, object]) -> dict[str, object]:
    return {k: v for k, v in serialised.items() if k != "build_config"}


def _package_of(kind: type) -> str:
    """Return the public package of a Keras class, such as `keras.losses`, or `layers`."""
    for package in _PACKAGES:
        public = getattr(getattr(keras, package), kind.__name__, None)
        # On PyTorch an optimizer is a subclass of the public class, with the same name.
        if public is not None and issubclass(kind, public) and kind.__module__.startswith("keras."):
            return package if package == "layers" else f"keras.{package}"
    raise KzooError(
        f"{kind.__name__} cannot be written as code: it is not a built-in layer, loss, ... of Keras."
    )


def _deserialized(config: object) -> object:
    return (
        keras.saving.deserialize_keras_object(config)
        if isinstance(config, dict) and "class_name" in config
        else config
    )


def _sequence(codes: Sequence[str], sequence: Sequence[object]) -> str:
    inner = ", ".join(codes)
    if isinstance(sequence, list):
        return f"[{inner}]"
    return f"({inner},)" if len(sequence) == 1 else f"({inner})"


def _numbers(numbers: Sequence[object]) -> str | None:
    """Return short code for a list with repeated numbers or the rates of a position encoding; None for others."""
    if len(numbers) < 8 or not isinstance(numbers, list):
        return None
    half = len(numbers) // 2
    # The rates of sinusoidal positions: see `kzoo.zoo.families.embedding`.
    if numbers == [10_000 ** (-2 * k / len(numbers)) for k in range(half)] * 2:
        return f"[10_000 ** (-2 * k / {len(numbers)}) for k in range({half})] * 2"
    runs = [(number, len(list(repeats))) for number, repeats in itertools.groupby(numbers)]
    if len(runs) > 4:
        return None
    codes = [
        ("math.pi / 2" if number == math.pi / 2 else value(number), count) for number, count in runs
    ]
    return " + ".join(f"[{number}] * {count}" for number, count in codes)


def identifier(name: str) -> str:
    """Return a name in snake case that is a valid Python variable."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    name = re.sub(r"\W", "_", name, flags=re.ASCII).lower()
    return f"_{name}" if not name.isidentifier() or keyword.iskeyword(name) else name
