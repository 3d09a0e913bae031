"""Models from pretrained weights in the package: a specification, and arrays by layer name."""

import os
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import first_line
from kzoo.zoo.loading.from_spec import checked_spec
from kzoo.zoo.loading.model_size import check_size, zero_initialization
from kzoo.zoo.loading.unsafe import Refused, Unreadable, naming
from kzoo.zoo.registry import rebuild

if TYPE_CHECKING:
    import keras


def load_packaged(
    where: str | os.PathLike[str], spec: JsonObject, arrays: Mapping[str, np.ndarray]
) -> "keras.Model":
    """Return the model of a specification with the given weights, in float32.

    Args:
        where: path of the weights, for error messages.
        spec: family, task, preset and config; untrusted.
        arrays: dict of LAYER/NUMBER -> weight NUMBER of this layer, float16 or float32.

    Returns:
        The model, not compiled.

    Raises:
        UnsafeModelError: a name, type or value that no builder accepts, or another dtype.
        KzooError: the weights do not fit the network.
    """
    with naming(where):
        if invalid := [
            name for name, array in arrays.items() if array.dtype not in ("float16", "float32")
        ]:
            raise Refused(
                f"its weight {invalid[0]} is not a float16 or float32 array", "Install kzoo again"
            )
        shapes = Counter(array.shape for array in arrays.values())
        spec = checked_spec(spec, shapes)
        try:
            check_size(lambda: rebuild(spec, compile=False), shapes)
            with zero_initialization():
                model = rebuild(spec, compile=False)
        except KzooError as error:
            raise Unreadable(first_line(error)) from None
        _set_weights(model, arrays)
    return model


def weights_by_name(model: "keras.Model") -> dict[str, np.ndarray]:
    """Return a dict of LAYER/NUMBER -> weight of a model, in its dtype: the `arrays` of `load_packaged`."""
    return {
        f"{layer.name}/{number}": weight
        for layer in model.layers
        for number, weight in enumerate(layer.get_weights())
    }


def _set_weights(model: "keras.Model", arrays: Mapping[str, np.ndarray]) -> None:
    shapes = {name: array.shape for name, array in weights_by_name(model).items()}
    for name in sorted(shapes.keys() | arrays.keys()):
        expected = shapes.get(name)
        stored = arrays[name].shape if name in arrays else None
        if expected != stored:
            raise Unreadable(
                f"its weights do not match its network ({name} should have shape {expected}, but the stored "
                f"shape is {stored})"
            )
    for layer in model.layers:
        layer.set_weights(
            [
                arrays[f"{layer.name}/{number}"].astype("float32")
                for number in range(len(layer.weights))
            ]
        )
