"""The table of a network: inputs, layers and outputs, as plain data that can be shown without building the model.

Presets store it in `kzoo/zoo/results/networks.json`, which `python recipes/tables.py networks` writes, and runs in
their `config.json`. Standard library only, until a model is passed.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    import keras


def table_of(model: "keras.Model") -> JsonObject:
    """Return the table of a network as plain data.

    Args:
        model: any Keras model; unknown shapes, as in a subclassed model, are None.

    Returns:
        `parameters`; `flops` of one example; `goes_in` and `comes_out`, dicts of `shape` (without the batch) and
        `dtype`; `layers`: a list (name, type, shape of the output, parameters) of each.
    """
    inputs = tuple(getattr(model, "inputs", None) or ())
    try:
        flops = import_module("kzoo.zoo.flops").forward_flops(model)
    except KzooError:
        flops = None
    return dict(
        parameters=int(model.count_params()),
        flops=flops,
        goes_in=_tensor_spec(inputs[0] if len(inputs) == 1 else None),
        comes_out=_tensor_spec(getattr(model, "output", None) if inputs else None),
        layers=[
            [
                layer.name,
                type(layer).__name__,
                _tensor_spec(_output_of(layer))["shape"],
                int(layer.count_params()),
            ]
            for layer in model.layers
        ],
    )


def _output_of(layer: "keras.Layer") -> "keras.KerasTensor | None":
    try:
        return layer.output
    except (AttributeError, ValueError):  # the layer is in no graph, or in several
        return None


def _tensor_spec(tensor: "keras.KerasTensor | None") -> JsonObject:
    shape = getattr(tensor, "shape", None)
    dtype = getattr(tensor, "dtype", None)
    return dict(
        shape=None if shape is None else list(shape[1:]),
        dtype=None if shape is None else str(dtype),
    )
