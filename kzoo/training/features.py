"""What a frozen network makes of data, once: training then fits what lies above the layer "features".

As long as nothing below that layer learns and images are not augmented, an example gives the same in every epoch. So an
epoch takes a moment, and the network that is saved is the whole one, whose upper layers these are.
"""

from dataclasses import replace

import keras
import numpy as np

from kzoo.data.pipeline import Batches
from kzoo.dataset.dataset import Split
from kzoo.families.protocol import FEATURES, layer_with


def frozen_below(model: keras.Model) -> keras.Model | None:
    """Return the part of a network that ends in the layer "features", if there is one and nothing in it learns."""
    layer = layer_with(model, FEATURES)
    if layer is None:
        return None
    below = keras.Model(model.input, layer.output)
    return None if below.trainable_variables else below


def above(below: keras.Model, core: keras.Model) -> keras.Model:
    """Return what takes the features and answers as `core` does, of the same layers."""
    return keras.Model(below.output, core.output, name=core.name)


def with_features(below: keras.Model, split: Split, *, batch_size: int) -> Split:
    """Return a split whose inputs are what a network makes of them, (N, F) in float32."""
    batches = Batches(split, batch_size=batch_size)
    parts = (below.predict_on_batch(batches.batch(0, step)[0]) for step in range(len(batches)))
    return replace(split, x=np.concatenate([keras.ops.convert_to_numpy(part).astype("float32") for part in parts]))
