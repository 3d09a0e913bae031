"""Labels: the most frequent set, and a random forest for each label."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from kzoo.baselines import networks
from kzoo.baselines.baseline import Unfit, baseline
from kzoo.baselines.linear import one_at_a_time
from kzoo.baselines.trees import trees_of_forest

if TYPE_CHECKING:
    import keras

    from kzoo.baselines.data import BaselineData, Predictor


_MOST_LABELS = 100  # each needs its own trees
_TREES = 100


@baseline(
    "most frequent set",
    "labels",
    reference="https://scikit-learn.org/stable/modules/model_evaluation.html#dummy-estimators",
    seconds=lambda subset: 1e-3 + 1e-7 * len(subset.train) * subset.outputs,
    logits=None,
)
def most_frequent_set(subset: "BaselineData") -> "Predictor":
    """Predict the most frequent set of labels of the training rows."""
    sets, set_of_row = np.unique(np.nan_to_num(subset.y), axis=0, return_inverse=True)
    frequent = sets[np.bincount(set_of_row.reshape(-1), subset.weight).argmax()]
    return subset.by_blocks(lambda x: np.broadcast_to(frequent, (len(x), len(frequent))))


@baseline(
    "random forest",
    "columns",
    "labels",
    lacks=("steps",),
    reference="https://scikit-learn.org/stable/modules/ensemble.html#random-forests",
    seconds=lambda subset: (
        _TREES * subset.outputs * (1e-3 + 1.5e-6 * len(subset.train) * subset.shape[0] ** 0.5)
    ),
)
def label_forest(subset: "BaselineData") -> "Predictor":
    """Fit a random forest for each label."""
    if subset.outputs > _MOST_LABELS:
        raise Unfit(f"each of {subset.outputs} labels would need its own trees")
    forest = import_module("sklearn.ensemble").RandomForestClassifier
    x = subset.x

    def fit(
        rows: np.ndarray, truth: np.ndarray, weight: np.ndarray | None
    ) -> Callable[[np.ndarray], np.ndarray]:
        return (
            forest(_TREES, random_state=subset.seed, min_samples_leaf=2)
            .fit(x[rows], truth, weight)
            .predict_proba
        )

    per_label = one_at_a_time(subset.y, fit, subset.weight)

    def network(inputs: "keras.KerasTensor") -> "keras.KerasTensor":
        varied = [model.__self__ for model in per_label.models if not isinstance(model, float)]
        shares = networks.forest(inputs, [trees_of_forest(model, output=1) for model in varied])
        return networks.head(networks.with_constants(shares, per_label.models, float), "linear")

    return subset.by_blocks(per_label, network=network)
