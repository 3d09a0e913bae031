"""Names of layers that training treats specially, in presets and in custom models. Standard library only.

The names are stored in files and must not change.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import keras

LayerOrNone: TypeAlias = Any  # a `keras.Layer`, or None

# restores the targets' units: training fits the layers before it on standardised targets
UNSCALE = "unscale"
MEMBERS = "members"  # the mean over members: training fits each member separately
# a convolution whose weights are set from patches of the training images before training
WHITENING = "whitening"
LOG_RATIOS = (
    # an embedding whose weights are set from token frequencies in the training texts of each class
    "log_ratios"
)
# followed by a number: an embedding whose weights are set from the training texts of a table column
TEXT = "text"
# the frozen embedding of a pretrained text encoder, whose layers get their weights from a file
PIECES = "pieces"
# the first convolution of a pretrained image encoder, whose layers get their weights from a file where they are frozen
STEM = "stem"
# followed by a number: a frozen convolution whose biases are set from responses to training series
SHARES = "shares"
# the last layer with weights, which ridge regression on "features" sets; it is not trained
RIDGE = "ridge"
# tables of the pieces of texts and of pairs of them, whose rows ridge regression sets, too
GRAMS = ("single_pieces", "pairs_of_pieces")
FEATURES = "features"  # if all layers before it are frozen, its output is computed once
# a bias for each output of a linear model of tokens, which has no layer "outputs"
OUTPUT_BIAS = "output_bias"
# follows the last layer with a bias, which starts at the logits of labels
OUTPUT_SCALING = "output_scaling"
OUTPUTS = "outputs"  # the last layer with weights, which a linear probe sets


PAIR = (
    16_381  # the code of a pair of pieces is its first id times this, plus its second: below 2**31
)


def is_scale_free(config: Mapping[str, Any]) -> bool:
    """Return whether the forecast of k times a window is k times its forecast (see `parts.ScaleFreeNorm`)."""
    return bool(config.get("scale_free") and config.get("reversible_norm"))


def is_from_data(name: str) -> bool:
    """Return whether the weights of a layer of this name are set from data."""
    return (
        name in (WHITENING, LOG_RATIOS, RIDGE, PIECES, *GRAMS) or is_text(name) or is_shares(name)
    )


def is_shares(name: str) -> bool:
    """Return whether a layer of this name compares responses with thresholds that training series determine."""
    return name.startswith(SHARES) and name[len(SHARES) :].isdecimal()


def is_text(name: str) -> bool:
    """Return whether a layer of this name embeds a text column of a table."""
    return name.startswith(TEXT) and name[len(TEXT) :].isdecimal()


def layer_with(model: "keras.Model", role: str) -> LayerOrNone:
    """Return the layer of a model with a role (one of these names); None if it has none."""
    return next((layer for layer in model.layers if layer.name == role), None)


def frozen_stem(model: "keras.Model") -> LayerOrNone:
    """Return the first convolution of a pretrained image encoder that is frozen below a ridge regression, or None."""
    return None if layer_with(model, RIDGE) is None else layer_with(model, STEM)
