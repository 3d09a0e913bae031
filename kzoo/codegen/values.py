"""Values and Keras objects as Python expressions: arguments only where they differ from the default."""

import inspect
import itertools
import json
import keyword
import math
import re
from typing import Any

import keras

from kzoo.utils.errors import KzooError

_PACKAGES = ("layers", "initializers", "regularizers", "optimizers", "losses", "metrics")


def value(given) -> str:
    """Return plain data, or an object of Keras' as `get_config` writes it, as an expression."""
    if isinstance(given, str):
        return json.dumps(given)
    if given == 1 / 255:
        return "1 / 255"
    if given is None or isinstance(given, bool | int | float):
        return repr(given)
    if isinstance(given, slice):
        return f"slice({value(given.start)}, {value(given.stop)}, {value(given.step)})"
    if isinstance(given, list | tuple):
        return _numbers(given) or _sequence(map(value, given), given)
    if isinstance(given, dict) and "class_name" in given:
        if given["class_name"] == "DTypePolicy":
            return json.dumps(given["config"]["name"])
        return construct(keras.saving.deserialize_keras_object(given))
    if isinstance(given, dict):
        return "{" + ", ".join(f"{value(k)}: {value(v)}" for k, v in given.items()) + "}"
    if type(given).__module__.startswith("keras."):
        return construct(given)
    raise KzooError(f"{given!r} cannot be written as code: only plain data and objects of Keras' can.")


def construct(thing, **written) -> str:
    """Return the call that makes a layer, an optimizer, a loss, ... of Keras' own.

    Args:
        thing: the object.
        written: arguments that are expressions already; an empty one is left out.
    """
    kind, config = type(thing), thing.get_config()
    if kind is keras.layers.Bidirectional and (inner := _read_both_ways(thing)) is not None:
        config["layer"], written = keras.saving.serialize_keras_object(inner), written | {"backward_layer": ""}
    if not isinstance(thing, keras.Layer | keras.Metric):
        written = {"name": ""} | written
    place = _place(kind)
    required, extra = _arguments(thing, config, {"name", *written})
    words = [value(given) for given in required.values()]
    words += [f"{name}={value(given)}" for name, given in extra.items()]
    words += [f"{name}={text}" for name, text in written.items() if text]
    if config.get("name") is not None and "name" not in written:
        words.append(f"name={value(config['name'])}")
    if not words and isinstance(thing, keras.initializers.Initializer):
        return json.dumps(identifier(kind.__name__))  # "he_normal" says as much
    return f"{place}.{kind.__name__}({', '.join(words)})"


def _arguments(thing, config, left_out):
    """Return the arguments without a default, and those that are needed to get the same configuration.

    They are added one by one: a default may depend on another argument, as the strides of a pooling do on its size.
    """
    parameters = [p for name, p in inspect.signature(type(thing).__init__).parameters.items() if name != "self"]
    required = [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    given = {name: config[name] for name in required}
    accepted = ({p.name for p in parameters} | {"dtype", "trainable"}) - set(given) - left_out
    extra: dict[str, Any] = {}
    while True:
        plain = _made(thing, given | extra)
        more = [n for n, v in config.items() if n in accepted and n not in extra and v != plain.get(n)]
        if not more:
            return given, extra
        extra[more[0]] = config[more[0]]


def _made(thing, arguments):
    """Return the configuration of another one that is made with these arguments."""
    made = type(thing)(**{name: _object(given) for name, given in arguments.items()})
    if isinstance(thing, keras.layers.LayerNormalization | keras.layers.MultiHeadAttention) and thing.built:
        made.build_from_config(thing.get_build_config())  # their axes are settled when they see an input
    return made.get_config()


def _read_both_ways(both):
    """Return the layer that a `Bidirectional` was made from; None where its halves are two different ones."""
    config = both.get_config()
    inner = config["layer"]["config"]
    kind = type(both.forward_layer)
    layer = kind.from_config(inner | {"name": inner["name"].removeprefix("forward_")})
    again = keras.layers.Bidirectional(layer, merge_mode=config["merge_mode"], name=both.name).get_config()
    same = all(_without_build(again[half]) == _without_build(config[half]) for half in ("layer", "backward_layer"))
    return kind.from_config(inner | {"name": inner["name"].removeprefix("forward_")}) if same else None


def _without_build(serialised):
    return {k: v for k, v in serialised.items() if k != "build_config"}


def _place(kind):
    """Return the package that a class of Keras' is used from; `layers` is imported by itself."""
    for package in _PACKAGES:
        public = getattr(getattr(keras, package), kind.__name__, None)
        # On PyTorch an optimizer is a subclass, of the same name, of the public one.
        if public is not None and issubclass(kind, public) and kind.__module__.startswith("keras."):
            return package if package == "layers" else f"keras.{package}"
    raise KzooError(f"{kind.__name__} cannot be written as code: it is not a layer, loss, ... of Keras' own.")


def _object(given):
    return keras.saving.deserialize_keras_object(given) if isinstance(given, dict) and "class_name" in given else given


def _sequence(words, given):
    inner = ", ".join(words)
    if isinstance(given, list):
        return f"[{inner}]"
    return f"({inner},)" if len(given) == 1 else f"({inner})"


def _numbers(given):
    """Write a long list of numbers shortly: what repeats, and the rates of a sinusoidal position encoding."""
    if len(given) < 8 or not isinstance(given, list):
        return None
    half = len(given) // 2
    if given == [10_000 ** (-2 * k / len(given)) for k in range(half)] * 2:
        return f"[10_000 ** (-2 * k / {len(given)}) for k in range({half})] * 2"
    runs = [(number, len(list(same))) for number, same in itertools.groupby(given)]
    if len(runs) > 4:
        return None
    written = [("math.pi / 2" if number == math.pi / 2 else value(number), count) for number, count in runs]
    return " + ".join(f"[{number}] * {count}" for number, count in written)


def identifier(name) -> str:
    """Return a name in snake case that Python takes for a variable."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    name = re.sub(r"\W", "_", name, flags=re.ASCII).lower()
    return f"_{name}" if not name.isidentifier() or keyword.iskeyword(name) else name
