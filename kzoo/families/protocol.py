"""Names of the layers that training treats specially, in presets and in models of your own. Standard library only.

The names are stored in files and stay.
"""

from typing import Any

UNSCALE = "unscale"  # gives targets their unit again: training fits the network below it, on standardised targets
MEMBERS = "members"  # the mean of several members: training fits each by itself, everything else sees the mean
WHITENING = "whitening"  # a convolution whose weights are set from the training images' patches, before the first step
LOG_RATIOS = (
    "log_ratios"  # an embedding whose weights are set from what is frequent in the training texts of each class
)
FEATURES = "features"  # where nothing below it learns, its output is computed once, and training fits what lies above
OUTPUTS = "outputs"  # the last layer with weights, which a linear probe sets

FROM_DATA = (WHITENING, LOG_RATIOS)  # those whose weights come from data


def layer_with(model: Any, role: str) -> Any:
    """Return the layer of a model that has a role, one of these names; None where it has no such layer."""
    return next((layer for layer in model.layers if layer.name == role), None)
