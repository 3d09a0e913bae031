"""The linear probe: initializing the last layer with a logistic regression on the outputs of pretrained layers.

Features are computed once for each training example, and the regression is fitted to them in seconds. Fine-tuning from
there does not distort good weights, as the gradients of a random head would (https://arxiv.org/abs/2202.10054).
"""

from typing import Any

import keras
import numpy as np

from kzoo.dataset.dataset import Split
from kzoo.dataset.sample import sample_split
from kzoo.families.protocol import OUTPUTS, layer_with
from kzoo.training.features import with_features
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural

# C of scikit-learn's LogisticRegression, for features with a root mean square norm of 1: the best by validation loss on
# photos of flowers, or within 0.05 of the best, from 10 to 700 examples per class.
_C = 20.0


def linear_probe(model: keras.Model, inputs: Any, train: Split, *, batch_size: int) -> str | None:
    """Set the layer "outputs" to a logistic regression on its inputs, and return a note; None if it was not set.

    Nothing is set if the layer is trained already, or if a class has no examples.

    Args:
        model: network with pretrained weights below that layer.
        inputs: its input, or a tensor inside it.
        train: the training split with the values of `inputs` as x: one class for each example, (N,).
        batch_size: examples per step.

    Raises:
        KzooError: the last layer is not dense with a bias, or the targets are not one class for each example.
    """
    layer = layer_with(model, OUTPUTS)
    train = sample_split(train)
    labels = np.asarray(train.y)
    if not isinstance(layer, keras.layers.Dense) or layer.bias is None or len(layer.input.shape) != 2:
        raise KzooError(f"linear_probe=True needs a dense last layer with a bias, which {model.name} does not have.")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise KzooError("linear_probe=True needs targets with one class for each example. Leave it out.")
    if np.any(layer.get_weights()[1]):  # trained: a new layer has a bias of zeros
        return None
    from sklearn.linear_model import LogisticRegression

    feature_model = keras.Model(inputs, layer.input)
    features = with_features(feature_model, train, batch_size=batch_size).x.astype("float64")
    length = np.sqrt(np.mean(np.sum(features**2, axis=1))) or 1.0
    fitted = LogisticRegression(C=_C, max_iter=1000).fit(features / length, labels)
    if len(fitted.classes_) != max(layer.units, 2):
        return None  # a class has no examples
    kernel, bias = fitted.coef_.T / length, fitted.intercept_  # for two classes, only the second class has coefficients
    if layer.units == 2:
        kernel, bias = np.concatenate([-kernel, kernel], axis=1) / 2, np.concatenate([-bias, bias]) / 2
    scaling = next((layer for layer in model.layers if layer.name == "output_scaling"), None)
    if scaling is not None:
        kernel, bias = kernel / scaling.scale, bias / scaling.scale
    layer.set_weights([kernel, bias])
    return f"Linear probe: the last layer starts from a logistic regression on {plural(len(labels), 'example')}."
