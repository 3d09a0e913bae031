"""A recipe is family and settings: checked against the table of arguments, then built by kzoo's own code."""

import inspect
import math
import tempfile
from pathlib import Path

from kzoo.loading.config_check import MAX_BATCH
from kzoo.loading.model_size import check_size, without_values
from kzoo.loading.unsafe import Refused, Unreadable, short
from kzoo.loading.weights_check import stored_shapes
from kzoo.registry import FAMILIES, family_builder, rebuild
from kzoo.registry.arguments import CONFIG
from kzoo.registry.preset import is_preset_name
from kzoo.tasks import problems
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line

_LARGEST = 1 << 31  # no dimension, and no example, has more numbers
_STACKED = ("units", "dense_units", "filters")  # a layer with weights for each entry


def load_recipe(spec, weights):
    """Build what a specification says and load its weights.

    Args:
        spec: family, task, preset and config, from a file; nothing in it is believed.
        weights: bytes of a `.weights.h5` file.

    Returns:
        the model, not compiled.

    Raises:
        Refused: a name, type or value that no builder takes, or other weights than the network has.
        Unreadable: the weights cannot be read.
    """
    stored = stored_shapes(weights)
    spec = checked_spec(spec, stored)
    # States are not among the stored weights, and Keras would make room for them at once.
    stateless = spec | dict(config={key: value for key, value in spec["config"].items() if key != "stateful"})
    try:
        check_size(lambda: rebuild(stateless, compile=False), stored)
        with without_values():
            model = rebuild(spec, compile=False)
        with tempfile.TemporaryDirectory(prefix="kzoo-") as folder:
            file = Path(folder) / "model.weights.h5"
            file.write_bytes(weights)
            model.load_weights(file)
    except KzooError as error:
        raise Unreadable(first_line(error)) from None
    except (ValueError, KeyError, OSError) as error:
        raise Unreadable(f"its weights do not fit the network it describes ({first_line(error)})") from None
    return model


def checked_spec(spec, stored):
    """Return a specification whose names, types and ranges are those of the family's builder, without a seed.

    Args:
        spec: what the file says.
        stored: Counter of the shapes of its weights, which bound layers and widths.

    Raises:
        Refused: anything else.
    """
    if not isinstance(spec, dict) or not isinstance(spec.get("config"), dict):
        raise Refused("it does not say from which family and settings it is built")
    family, task, name = spec.get("family"), spec.get("task"), spec.get("preset")
    words = isinstance(family, str) and isinstance(task, str)
    if not words or family not in FAMILIES or task not in problems():
        raise Refused(f"it names the family {short(family)} and the task {short(task)}, which kzoo does not have")
    if not is_preset_name(name):
        raise Refused(f"{short(name)} is not the name of a preset")
    builder, fixed = family_builder(family)
    takes = {k: p.default for k, p in inspect.signature(builder).parameters.items() if k not in ("name", *fixed)}
    config = {}
    for key, value in spec["config"].items():
        if key not in takes:
            raise Refused(f"its family {family!r} takes no {short(key)}")
        value = tuple(value) if isinstance(value, list) else value
        try:  # a builder's own default need not be a value that one can set
            config[key] = CONFIG[key].check(key, value) if key in CONFIG and value != takes[key] else value
        except KzooError as error:
            raise Refused(f"its setting {first_line(error)}") from None
    _check_amounts(config, stored)
    return dict(spec) | dict(config=config, seed=None, training=spec.get("training") or {})


def _check_amounts(config, stored):
    """Bound all that a builder loops over or makes lists of; the shapes themselves are compared afterwards."""
    arrays, longest = stored.total(), max((length for shape in stored for length in shape), default=0)
    for key, value in config.items():
        many = value if isinstance(value, tuple) else (value,)
        numbers = [v for v in many if isinstance(v, int) and not isinstance(v, bool)]
        if any(v > (longest if key == "width" else _LARGEST) for v in numbers):  # positions are a list so wide
            raise Refused(f"its setting {key}={short(value)} is larger than the weights that it stores")
        if key in _STACKED and len(many) > arrays:
            raise Refused(f"its setting {key} makes {len(many):,} layers, and {arrays:,} weights are stored")
    depth, stages = config.get("depth") or 1, len(config["filters"]) if isinstance(config.get("filters"), tuple) else 1
    if (layers := sum(depth) if isinstance(depth, tuple) else depth * stages) > max(arrays, 1):
        raise Refused(f"its setting depth makes {layers:,} layers, and {arrays:,} weights are stored")
    if config.get("stateful") and (config.get("stateful_batch") or 1) > MAX_BATCH:
        raise Refused(f"its setting stateful_batch={config['stateful_batch']:,} is larger than {MAX_BATCH:,}")
    if math.prod(config.get("input_shape") or (1,)) > _LARGEST:
        raise Refused(f"its setting input_shape={short(config['input_shape'])} is larger than any example")
