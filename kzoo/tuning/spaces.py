"""The search spaces: which hyperparameters each family has in which size, and those of training, which all share.

A name is an entry of `network.py` or `learning.py`. One that a preset has no setting for is left out, so a list may
name more than a preset has. The preset itself is the default point of its space.
"""

from kzoo.tuning import learning, network
from kzoo.tuning.entry import SIZES

ENTRIES = learning.ENTRIES | network.ENTRIES  # in the order in which they are declared

# Training, for every family; each size has what the ones before it have.
TRAINING = {
    "quick": ("learning_rate", "batch_size"),
    "standard": ("optimizer", "schedule", "warmup", "weight_decay", "label_smoothing", "augment"),
    "full": ("global_clipnorm", "ema"),
}

_RECURRENT = {
    "quick": ("units_scale", "layers", "dropout", "embedding_scale"),
    "standard": ("bidirectional", "pooling", "layer_norm", "global_clipnorm"),
    "full": ("embedding_dropout", "dense_scale", "dense_dropout"),
}

# Family -> size -> what it adds. A family that is not here gets all that its presets have a setting for.
FAMILIES = {
    "fnn": {
        "quick": ("units_scale", "layers", "dropout"),
        "standard": ("norm", "activation", "l2"),
        "full": ("residual", "units_shape"),
    },
    "cnn": {
        "quick": ("filters_scale", "embedding_scale", "dropout", "units_dropout"),
        "standard": ("depth", "stages", "kernel_size", "norm", "activation", "embedding_dropout"),
        "full": ("block", "pooling", "units_scale", "units_norm"),
    },
    "rnn": _RECURRENT,
    "lstm": _RECURRENT,
    "gru": _RECURRENT,
    "transformer": {
        "quick": ("width_scale", "depth", "dropout"),
        "standard": ("num_heads", "feedforward_scale", "activation", "norm_position", "pooling", "global_clipnorm"),
        "full": ("positions", "dense_scale", "dense_dropout"),
    },
}
_ANY_FAMILY = {
    "quick": ("units_scale", "filters_scale", "width_scale", "dropout"),
    "standard": ("layers", "depth", "kernel_size", "norm", "activation", "embedding_scale"),
    "full": ("units_dropout", "dense_scale", "dense_dropout", "embedding_dropout", "l2"),
}


def entries_of(family, size) -> dict:
    """Return the entries of a family's space, in the order in which they are declared."""
    of_family = FAMILIES.get(family, _ANY_FAMILY)
    wanted = {name for s in SIZES[: SIZES.index(size) + 1] for name in (*TRAINING[s], *of_family[s])}
    return {name: entry for name, entry in ENTRIES.items() if name in wanted}


def make_fit(settings, fixed=()):
    """Change what single entries cannot know of one another; names in `fixed` stay as they are."""
    learning.make_fit(settings, fixed)
    network.make_fit(settings, fixed)
