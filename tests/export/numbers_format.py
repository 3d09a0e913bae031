"""An export format that kzoo does not have: dense networks as an `.npz` of their numbers, computed by NumPy.

`test_new_format.py` copies this file into `kzoo/export/formats/`.
"""

import io

import numpy as np

from kzoo.export.format import Format

_ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "softmax": lambda x: (
        np.exp(x - x.max(axis=-1, keepdims=True))
        / np.exp(x - x.max(axis=-1, keepdims=True)).sum(axis=-1, keepdims=True)
    ),
}


def write(network, file, quantize):
    """Write the numbers of each layer in their order."""
    steps = {}
    for i, layer in enumerate(network.model.layers):
        config = layer.get_config()
        kind = type(layer).__name__
        if kind == "Dense":
            steps[f"{i:03}_dense"], steps[f"{i:03}_plus"] = (
                np.asarray(weight) for weight in layer.weights
            )
        elif kind == "Rescaling":
            steps[f"{i:03}_times"], steps[f"{i:03}_zplus"] = (
                np.float32(config["scale"]),
                np.float32(config["offset"]),
            )
        elif kind == "Activation":
            steps[f"{i:03}_{config['activation']}"] = np.zeros(0)
        elif kind != "InputLayer":
            raise ValueError(f"no numbers for a {kind}")
    if quantize == "float16":
        steps = {name: numbers.astype("float16") for name, numbers in steps.items()}
    with open(file, "wb") as stream:
        np.savez(stream, **steps)
    return {"layers": len(steps)}


class Session:
    """The numbers, ready to compute with."""

    batch = None
    runtime = f"numpy {np.__version__}"

    def __init__(self, content, *, name, threads=None):
        with np.load(io.BytesIO(content)) as arrays:
            self._steps = [(step.split("_")[1], arrays[step]) for step in sorted(arrays)]

    def __call__(self, x):
        for step, numbers in self._steps:
            if step == "dense":
                x = x @ numbers
            elif step.endswith("plus"):
                x = x + numbers
            else:
                x = x * numbers if step == "times" else _ACTIVATIONS[step](x)
        return x.astype("float32")


FORMAT = Format(
    name="numbers",
    order=50,
    file="numbers/model.npz",
    packages=("numpy",),
    write=write,
    open=Session,
    quantize=("float16",),
    light=True,
    refuses=lambda spec: (
        None if spec["family"] == "fnn" else "only dense networks are numbers and nothing else"
    ),
)
