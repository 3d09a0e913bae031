"""Models built from a specification in a file: family and settings, checked and then built by kzoo's own code."""

import inspect
import math
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from kzoo.problems.tasks import problems
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import first_line
from kzoo.zoo.loading.config_check import MAX_BATCH
from kzoo.zoo.loading.model_size import check_size, zero_initialization
from kzoo.zoo.loading.unsafe import Refused, Unreadable, short
from kzoo.zoo.loading.weights_check import stored_shapes
from kzoo.zoo.registry import FAMILIES, family_builder, rebuild
from kzoo.zoo.registry.arguments import CONFIG
from kzoo.zoo.registry.preset import is_preset_name

if TYPE_CHECKING:
    import keras


_LARGEST = 1 << 31  # limit for a dimension, and for the numbers of an example
# settings that list the sizes of layers with weights
_STACKED = ("units", "dense_units", "filters")


def load_from_spec(spec: JsonObject, weights: bytes) -> "keras.Model":
    """Build the model of a specification and load its weights.

    Args:
        spec: family, task, preset and config from a file; untrusted.
        weights: bytes of a `.weights.h5` file.

    Returns:
        The model, not compiled.

    Raises:
        Refused: a name, type or value that no builder accepts, or weights that do not fit the network.
        Unreadable: the weights cannot be read.
    """
    stored = stored_shapes(weights)
    spec = checked_spec(spec, stored)
    # States are not stored in the file, and Keras would allocate them at once.
    stateless = spec | dict(
        config={key: value for key, value in spec["config"].items() if key != "stateful"}
    )
    try:
        check_size(lambda: rebuild(stateless, compile=False), stored)
        with zero_initialization():
            model = rebuild(spec, compile=False)
        with tempfile.TemporaryDirectory(prefix="kzoo-") as folder:
            file = Path(folder) / "model.weights.h5"
            file.write_bytes(weights)
            model.load_weights(file)
    except KzooError as error:
        raise Unreadable(first_line(error)) from None
    except (ValueError, KeyError, OSError) as error:
        raise Unreadable(f"its weights do not match its network ({first_line(error)})") from None
    return model


def checked_spec(spec: JsonObject, stored: Counter[tuple[int, ...]]) -> JsonObject:
    """Return a specification without its seed, after checking names, types and ranges against the family's builder.

    Args:
        spec: the untrusted specification.
        stored: Counter of the shapes of its weights, which limit the number and width of layers.

    Raises:
        Refused: the specification is not valid.
    """
    if not isinstance(spec, dict) or not isinstance(spec.get("config"), dict):
        raise Refused("it does not state its family and settings")
    family, task, name = spec.get("family"), spec.get("task"), spec.get("preset")
    has_names = isinstance(family, str) and isinstance(task, str)
    if not has_names or family not in FAMILIES or task not in problems():
        raise Refused(f"its family {short(family)} or its task {short(task)} is unknown to kzoo")
    if not is_preset_name(name):
        raise Refused(f"{short(name)} is not a valid preset name")
    builder, fixed = family_builder(family)
    defaults = {
        k: p.default
        for k, p in inspect.signature(builder).parameters.items()
        if k not in ("name", *fixed)
    }
    config = {}
    for key, value in spec["config"].items():
        if key not in defaults:
            raise Refused(f"its family {family!r} has no setting {short(key)}")
        value = tuple(value) if isinstance(value, list) else value
        try:  # defaults of a builder may lie outside the range of valid settings
            config[key] = (
                CONFIG[key].check(key, value) if key in CONFIG and value != defaults[key] else value
            )
        except KzooError as error:
            raise Refused(f"its setting {first_line(error)}") from None
    _check_amounts(config, stored)
    return dict(spec) | dict(config=config, seed=None, training=spec.get("training") or {})


def _check_amounts(config: JsonObject, stored: Counter[tuple[int, ...]]) -> None:
    """Limit all settings over which a builder loops or makes lists; the shapes themselves are compared later."""
    arrays = stored.total()
    longest = max((length for shape in stored for length in shape), default=0)
    for key, value in config.items():
        elements = value if isinstance(value, tuple) else (value,)
        numbers = [v for v in elements if isinstance(v, int) and not isinstance(v, bool)]
        # positions are a list of this length
        if any(v > (longest if key == "width" else _LARGEST) for v in numbers):
            raise Refused(f"its setting {key}={short(value)} is larger than its stored weights")
        if key in _STACKED and len(elements) > arrays:
            raise Refused(
                f"its setting {key} makes {len(elements):,} layers, but only {arrays:,} weights are stored"
            )
    depth = config.get("depth") or 1
    stages = len(config["filters"]) if isinstance(config.get("filters"), tuple) else 1
    if (layers := sum(depth) if isinstance(depth, tuple) else depth * stages) > max(arrays, 1):
        raise Refused(
            f"its setting depth makes {layers:,} layers, but only {arrays:,} weights are stored"
        )
    if config.get("stateful") and (config.get("stateful_batch") or 1) > MAX_BATCH:
        raise Refused(
            f"its setting stateful_batch={config['stateful_batch']:,} exceeds the limit of {MAX_BATCH:,}"
        )
    if math.prod(config.get("input_shape") or (1,)) > _LARGEST:
        raise Refused(
            f"its setting input_shape={short(config['input_shape'])} exceeds the limit of {_LARGEST:,} numbers"
        )
