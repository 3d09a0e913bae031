"""Features of a frozen backbone, computed once: training then fits only the layers above the layer "features".

If nothing below that layer is trainable and images are not augmented, an example has the same features in every epoch,
so that an epoch takes only moments. The saved network is the whole one; it shares the trained layers.
"""

from dataclasses import replace

import keras
import numpy as np

from kzoo.data.pipeline import Batches
from kzoo.dataset.dataset import Split
from kzoo.families.protocol import FEATURES, layer_with


def frozen_below(model: keras.Model) -> keras.Model | None:
    """Return the part of a network that ends in the layer "features"; None without one, or if anything in it learns."""
    layer = layer_with(model, FEATURES)
    if layer is None:
        return None
    frozen = keras.Model(model.input, layer.output)
    return None if frozen.trainable_variables else frozen


def head_above(frozen: keras.Model, core: keras.Model) -> keras.Model:
    """Return the part of `core` above `frozen`, from features to outputs, with the same layers."""
    return keras.Model(frozen.output, core.output, name=core.name)


def with_features(frozen: keras.Model, split: Split, *, batch_size: int) -> Split:
    """Return a split whose inputs are the outputs of a network, (N, F) in float32."""
    batches = Batches(split, batch_size=batch_size)
    features = (frozen.predict_on_batch(batches.batch(0, step)[0]) for step in range(len(batches)))
    return replace(split, x=np.concatenate([keras.ops.convert_to_numpy(batch).astype("float32") for batch in features]))
