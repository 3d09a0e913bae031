"""Weights in the package: a specification and arrays by the names of layers."""

from collections import Counter

from kzoo.loading.from_spec import checked_spec
from kzoo.loading.model_size import check_size, without_values
from kzoo.loading.unsafe import Refused, Unreadable, naming
from kzoo.registry import rebuild
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line


def load_packaged(where, spec, arrays):
    """Build what a specification says, with these weights, in float32.

    Args:
        where: for messages.
        spec: family, task, preset and config; nothing in it is believed.
        arrays: LAYER/NUMBER -> weight NUMBER of this layer, float16 or float32.

    Returns:
        the model, not compiled.

    Raises:
        UnsafeModelError: a name, type or value that no builder takes.
        KzooError: other weights than the network has.
    """
    with naming(where):
        if wrong := [name for name, array in arrays.items() if array.dtype not in ("float16", "float32")]:
            raise Refused(f"its weight {wrong[0]} is no array of float16 or float32", "Install kzoo again")
        shapes = Counter(array.shape for array in arrays.values())
        spec = checked_spec(spec, shapes)
        try:
            check_size(lambda: rebuild(spec, compile=False), shapes)
            with without_values():
                model = rebuild(spec, compile=False)
        except KzooError as error:
            raise Unreadable(first_line(error)) from None
        _put(model, arrays)
    return model


def arrays_of(model):
    """Return LAYER/NUMBER -> weight of a model: what `load_stored` takes, in the precision that the model has."""
    return {
        f"{layer.name}/{number}": weight for layer in model.layers for number, weight in enumerate(layer.get_weights())
    }


def _put(model, arrays):
    shapes = {name: array.shape for name, array in arrays_of(model).items()}
    for name in sorted(shapes.keys() | arrays.keys()):
        has, gets = shapes.get(name), arrays[name].shape if name in arrays else None
        if has != gets:
            raise Unreadable(f"its weights do not fit the network it describes ({name} is {has}, and {gets} is stored)")
    for layer in model.layers:
        layer.set_weights([arrays[f"{layer.name}/{number}"].astype("float32") for number in range(len(layer.weights))])
