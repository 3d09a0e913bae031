"""The table of a network: what goes in, its layers, what comes out. Made of a model, and shown without one.

Of each preset in `kzoo/results/networks.json`, which `python recipes/tables.py networks` writes; of a run in its
`config.json`. Standard library only, until a model is given.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    import keras


def table_of(model: "keras.Model") -> dict[str, Any]:
    """Return what there is to say about a network, as plain data.

    Args:
        model: any Keras model; what a model of one's own does not tell, such as shapes inside it, is None.

    Returns:
        `parameters`; `flops` of one example; `goes_in` and `comes_out`, dicts of `shape` (without the batch) and
        `dtype`; `layers`: a list (name, type, shape of the output, parameters) of each.
    """
    inputs = tuple(getattr(model, "inputs", None) or ())
    try:
        flops = import_module("kzoo.flops").forward_flops(model)
    except KzooError:
        flops = None
    return dict(
        parameters=int(model.count_params()),
        flops=flops,
        goes_in=_tensor(inputs[0] if len(inputs) == 1 else None),
        comes_out=_tensor(getattr(model, "output", None) if inputs else None),
        layers=[
            [layer.name, type(layer).__name__, _tensor(_output_of(layer))["shape"], int(layer.count_params())]
            for layer in model.layers
        ],
    )


def _output_of(layer):
    try:
        return layer.output
    except (AttributeError, ValueError):  # it is not part of a graph, or of several
        return None


def _tensor(tensor):
    shape = getattr(tensor, "shape", None)
    return dict(shape=None if shape is None else list(shape[1:]), dtype=None if shape is None else str(tensor.dtype))
