"""Features of a frozen backbone, computed once: training then fits only the layers above the layer "features".

If nothing below that layer is trainable and images are not augmented, an example has the same features in every epoch,
so that an epoch takes only moments. The saved network is the whole one; it shares the trained layers.
"""

import math
from dataclasses import replace

import keras
import numpy as np

from kzoo.data.batch_memory import rows_at_once
from kzoo.data.dataset import Split
from kzoo.data.pipeline import Batches
from kzoo.training.feature_cache import FeatureCache, is_worth_it, key_of
from kzoo.zoo.families.protocol import FEATURES, PIECES, layer_with


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


def feature_bytes(frozen: keras.Model, *splits: Split | None) -> int:
    """Return the size of the outputs of a network for the rows of some splits, in float32."""
    return (
        4
        * math.prod(frozen.output_shape[1:])
        * sum(len(split) for split in splits if split is not None)
    )


def with_features(frozen: keras.Model, split: Split, *, batch_size: int) -> Split:
    """Return a split whose inputs are the outputs of a network, (N, F) in float32.

    Texts are cut to a length that is not much longer than they are: most have far fewer tokens than the longest.
    """
    batch_size = rows_at_once(frozen, batch_size)
    if layer_with(frozen, PIECES) is not None:
        return replace(split, x=_features_of_texts(frozen, np.asarray(split.x[:]), batch_size))
    if is_worth_it(frozen):
        return replace(split, x=_features_of_images(frozen, split, batch_size))
    batches = Batches(split, batch_size=batch_size)
    features = np.empty((len(split), *frozen.output_shape[1:]), "float32")
    for step in range(len(batches)):
        outputs = keras.ops.convert_to_numpy(frozen.predict_on_batch(batches.batch(0, step)[0]))
        features[step * batch_size : step * batch_size + len(outputs)] = outputs
    return replace(split, x=features)


def _features_of_images(frozen: keras.Model, split: Split, batch_size: int) -> np.ndarray:
    """Return the features (N, F) of images; those that were computed before are read from the disk."""
    cache = FeatureCache(frozen)
    batches = Batches(split, batch_size=batch_size)
    out = np.empty((len(split), *frozen.output_shape[1:]), np.float32)
    waiting: list[tuple[int, bytes, np.ndarray]] = []  # row, key and image without stored features

    def compute() -> None:
        images = np.stack([image for _, _, image in waiting])
        whole = np.resize(np.arange(len(images)), batch_size)  # another size would be traced again
        outputs = keras.ops.convert_to_numpy(frozen.predict_on_batch(images[whole]))
        for (row, key, _), features in zip(waiting, outputs, strict=False):
            cache.add(key, features)
            out[row] = features
        waiting.clear()

    for step in range(len(batches)):
        images = np.asarray(batches.batch(0, step)[0])
        for row, image in enumerate(images, step * batch_size):
            key = key_of(image)
            stored = cache.get(key)
            if stored is not None:
                out[row] = stored
                continue
            waiting.append((row, key, image))
            if len(waiting) == batch_size:
                compute()
    if waiting:
        compute()
    cache.write()
    return out


_SHORTEST = 16  # tokens to which texts are padded at least; each length doubles it


def _features_of_texts(frozen: keras.Model, ids: np.ndarray, batch_size: int) -> np.ndarray:
    """Return the features (N, F) of padded texts (N, T)."""
    length = ids.shape[1]
    out = np.empty((len(ids), frozen.output_shape[-1]), np.float32)
    sizes = length - np.argmax(ids[:, ::-1] != 0, axis=1)
    shorter = 0
    end = _SHORTEST
    while shorter < length:
        end = min(end, length)
        rows = np.flatnonzero((sizes > shorter) & (sizes <= end))
        if len(rows):
            model = frozen if end == length else _of_length(frozen, end)
            batches = (
                rows[first : first + batch_size] for first in range(0, len(rows), batch_size)
            )
            for some in batches:
                whole = np.resize(some, batch_size)  # another size of a batch would be traced again
                features = keras.ops.convert_to_numpy(model.predict_on_batch(ids[whole, :end]))
                out[some] = features[: len(some)]
        shorter = end
        end = end * 2
    return out


def _of_length(frozen: keras.Model, length: int) -> keras.Model:
    """Return a network of the same layers for texts of another length."""
    inputs = keras.Input((length,), dtype="int32")
    return keras.models.clone_model(
        frozen, input_tensors=inputs, clone_function=lambda layer: layer
    )
