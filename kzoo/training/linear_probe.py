"""The linear probe: the last layer begins as the best one on what the layers below it, trained elsewhere, make of data.

Features are computed once for each training example, and a logistic regression learns from them in seconds. Where
training goes on from there, layers with good weights are not first shaken by a head that knows nothing
(https://arxiv.org/abs/2202.10054).
"""

from typing import Any

import keras
import numpy as np

from kzoo.dataset.dataset import Split
from kzoo.dataset.sample import sampled
from kzoo.families.protocol import OUTPUTS, layer_with
from kzoo.training.features import with_features
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural

# Of scikit-learn's logistic regression, on features of length 1 in the mean: the best by validation loss on photos of
# flowers, or within .05 of it, from 10 a class to 700.
_STRENGTH = 20.0


def linear_probe(model: keras.Model, given: Any, train: Split, *, batch_size: int) -> str | None:
    """Set the layer "outputs" to a logistic regression on what goes into it, and say so; None where it is trained.

    Args:
        model: with trained weights below that layer.
        given: its input, or a tensor inside of it.
        train: the training split, of what `given` takes: one class for each example, (N,).
        batch_size: examples in a step.

    Raises:
        KzooError: a network or answers that have no such layer.
    """
    layer = layer_with(model, OUTPUTS)
    train = sampled(train)
    labels = np.asarray(train.y)
    if not isinstance(layer, keras.layers.Dense) or layer.bias is None or len(layer.input.shape) != 2:
        raise KzooError(f"linear_probe=True needs a dense last layer with a bias, and {model.name} has none.")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise KzooError("linear_probe=True is for one class to each example: leave it out.")
    if np.any(layer.get_weights()[1]):  # a fresh one has no bias
        return None
    from sklearn.linear_model import LogisticRegression

    below = keras.Model(given, layer.input)
    features = with_features(below, train, batch_size=batch_size).x.astype("float64")
    length = np.sqrt(np.mean(np.sum(features**2, axis=1))) or 1.0
    fitted = LogisticRegression(C=_STRENGTH, max_iter=1000).fit(features / length, labels)
    if len(fitted.classes_) != max(layer.units, 2):
        return None  # a class without an example
    kernel, bias = fitted.coef_.T / length, fitted.intercept_  # of two classes, the second one's
    if layer.units == 2:
        kernel, bias = np.concatenate([-kernel, kernel], axis=1) / 2, np.concatenate([-bias, bias]) / 2
    scaling = next((layer for layer in model.layers if layer.name == "output_scaling"), None)
    if scaling is not None:
        kernel, bias = kernel / scaling.scale, bias / scaling.scale
    layer.set_weights([kernel, bias])
    return f"Linear probe: the last layer begins with what fits {plural(len(labels), 'example')} best."
