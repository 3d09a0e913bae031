"""The linear probe: initializing the last layer with a logistic or ridge regression on outputs of pretrained layers.

Features are computed once for each training example, and the regression is fitted to them in seconds. Fine-tuning from
there does not distort good weights, as the gradients of a random head would (https://arxiv.org/abs/2202.10054).
"""

from collections.abc import Sequence

import keras
import numpy as np

from kzoo.data.dataset import Split
from kzoo.data.sample import sample_split
from kzoo.training.features import with_features
from kzoo.training.initial_weights import label_logits
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural
from kzoo.zoo.families.protocol import OUTPUTS, layer_with

# C of scikit-learn's LogisticRegression, for features with a root mean square norm of 1: the best by validation loss on
# photos of flowers, or within 0.05 of the best, from 10 to 700 examples per class.
_C = 20.0
# Strengths of ridge regression for the same features and standardised targets; leave-one-out errors choose.
_ALPHAS = np.logspace(-3, 2, 11)


def linear_probe(
    model: keras.Model,
    inputs: keras.KerasTensor,
    train: Split,
    *,
    batch_size: int,
    standardize: tuple[Sequence[float], Sequence[float]] | None = None,
) -> str | None:
    """Set the layer "outputs" to a logistic regression on its inputs, and return a note; None if it was not set.

    For values it is a ridge regression. Nothing is set if the layer is trained already, or if a class has no examples.

    Args:
        model: network with pretrained weights below that layer.
        inputs: its input, or a tensor inside it.
        train: the training split with the values of `inputs` as x: one class for each example, (N,), or its values
            (N, targets).
        batch_size: examples per step.
        standardize: offset and scale of the values, if the layer predicts standardised ones.

    Raises:
        KzooError: the last layer is not dense with a bias, or the targets are neither classes nor values of examples.
    """
    layer = layer_with(model, OUTPUTS)
    train = sample_split(train)
    labels = np.asarray(train.y)
    if (
        not isinstance(layer, keras.layers.Dense)
        or layer.bias is None
        or len(layer.input.shape) != 2
    ):
        raise KzooError(
            f"needs a dense last layer with a bias, which {model.name} does not have.",
            argument="linear_probe",
            value=True,
        )
    are_values = labels.dtype.kind == "f" and labels.shape[1:] == (layer.units,)
    if not are_values and (labels.ndim != 1 or labels.dtype.kind not in "iu"):
        raise KzooError(
            "needs targets with one class, labels, or values. Leave it out.",
            argument="linear_probe",
            value=True,
        )
    is_labels = (
        are_values
        and standardize is None
        and bool((np.isnan(labels) | np.isin(labels, (0, 1))).all())
    )
    is_new = is_labels and np.allclose(
        layer.get_weights()[1], label_logits(model, train).astype("float32")
    )
    # trained: a new layer has a bias of zeros, or label logits
    if np.any(layer.get_weights()[1]) and not is_new:
        return None
    from sklearn.linear_model import LogisticRegression, RidgeCV

    feature_model = keras.Model(inputs, layer.input)
    features = with_features(feature_model, train, batch_size=batch_size).x.astype("float64")
    length = np.sqrt(np.mean(np.sum(features**2, axis=1))) or 1.0
    if is_new:
        layer.set_weights(_fit_each_label(features / length, labels, layer, length))
        return f"Linear probe: the last layer starts from logistic regressions on {plural(len(labels), 'example')}."
    if are_values:
        offset, scale = (np.asarray(part, "float64") for part in standardize or (0.0, 1.0))
        fitted = RidgeCV(_ALPHAS).fit(features / length, (labels - offset) / scale)
    else:
        fitted = LogisticRegression(C=_C, max_iter=1000).fit(features / length, labels)
        if len(fitted.classes_) != max(layer.units, 2):
            return None  # a class has no examples
    # For two classes, only the second class has coefficients; so has a single value.
    kernel = np.atleast_2d(fitted.coef_).T / length
    bias = np.atleast_1d(fitted.intercept_)
    if layer.units == 2 and not are_values:
        kernel = np.concatenate([-kernel, kernel], axis=1) / 2
        bias = np.concatenate([-bias, bias]) / 2
    scaling = next((layer for layer in model.layers if layer.name == "output_scaling"), None)
    if scaling is not None:
        kernel, bias = kernel / scaling.scale, bias / scaling.scale
    layer.set_weights([kernel, bias])
    model_name = "ridge" if are_values else "logistic"
    return f"Linear probe: the last layer starts from a {model_name} regression on {plural(len(labels), 'example')}."


def _fit_each_label(
    features: np.ndarray, labels: np.ndarray, layer: keras.Layer, length: float
) -> list[np.ndarray]:
    """Return the weights of the layer, from a logistic regression for each label that varies."""
    from sklearn.linear_model import LogisticRegression

    kernel, bias = layer.get_weights()
    for number, column in enumerate(labels.T):
        known = ~np.isnan(column)
        if len(np.unique(column[known])) == 2:
            fitted = LogisticRegression(C=_C, max_iter=1000).fit(
                features[known], column[known] == 1
            )
            kernel[:, number], bias[number] = fitted.coef_[0] / length, fitted.intercept_[0]
    return [kernel, bias]
