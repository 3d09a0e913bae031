"""`Tree`: a decision tree as arrays, from those of scikit-learn. NumPy only."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from kzoo.baselines.linear import FittedModel


_LARGEST = np.finfo("float32").max  # no x is above it


@dataclass(frozen=True, eq=False, kw_only=True)
class Tree:
    """A decision tree; its node 0 is the root.

    Args:
        feature: (N,) column that a node compares; -1 for a leaf.
        threshold: (N,) float64: x <= threshold goes left.
        left, right: (N,) the children.
        value: (N,) or (N, W) of leaves.
        categorical: node -> (codes,) whether a category goes right; such nodes have no threshold.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    categorical: Mapping[int, np.ndarray] = field(default_factory=dict)

    def levels(self) -> Iterator[np.ndarray]:
        """Yield the nodes of each depth, (n, 3 + W): feature, threshold, left child in the next depth or -1, values.

        The right child follows the left one. Leaves never go right, and inner nodes have the value 0. Thresholds are
        rounded down, so that numbers in float32 go the same way.
        """
        values = self.value.reshape(len(self.feature), -1)
        threshold = rounded_down(self.threshold)
        nodes = np.zeros(1, np.int64)
        while len(nodes):
            inner = self.feature[nodes] >= 0
            level = np.empty((len(nodes), 3 + values.shape[1]))
            level[:, 0] = np.where(inner, self.feature[nodes], 0)
            level[:, 1] = np.where(inner, threshold[nodes], _LARGEST)
            level[:, 2] = np.where(inner, 2 * (np.cumsum(inner) - 1), -1)
            level[:, 3:] = np.where(inner[:, None], 0, values[nodes])
            yield level
            nodes = np.stack([self.left[nodes[inner]], self.right[nodes[inner]]], axis=1).reshape(
                -1
            )


def with_numeric_splits(
    trees: Sequence["Tree"], features: int
) -> tuple[list["Tree"], list[tuple[int, np.ndarray]]]:
    """Return trees without categorical splits, and their splits: (column, (codes,) whether a category goes right).

    A node with a categorical split compares the feature `features + i` of split `i`, 0 or 1, with 0.5.

    Args:
        features: number of columns.
    """
    numbers: dict[tuple[int, bytes], int] = {}
    splits: list[tuple[int, np.ndarray]] = []
    numeric: list[Tree] = []
    for tree in trees:
        if not tree.categorical:
            numeric.append(tree)
            continue
        feature = tree.feature.copy()
        threshold = np.array(tree.threshold, "float64")
        for node, goes_right in tree.categorical.items():
            key = int(tree.feature[node]), goes_right.tobytes()
            if key not in numbers:
                numbers[key] = len(splits)
                splits.append((key[0], goes_right))
            feature[node], threshold[node] = features + numbers[key], 0.5
        numeric.append(replace(tree, feature=feature, threshold=threshold, categorical={}))
    return numeric, splits


def rounded_down(values: "ArrayLike") -> np.ndarray:
    """Return the largest float32 that is not above each value."""
    nearest = np.clip(values, -_LARGEST, _LARGEST).astype("float32")
    return np.where(nearest > values, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def trees_of_boosting(model: "FittedModel", sizes: Mapping[int, int]) -> list[list[Tree]]:
    """Return the trees for each output of a histogram-based gradient boosting of scikit-learn.

    Args:
        model: fitted `HistGradientBoostingClassifier` or `HistGradientBoostingRegressor`.
        sizes: column -> the number of its codes, of columns of categories.
    """
    columns = np.arange(model.n_features_in_)
    is_categorical = (
        np.zeros(len(columns), bool) if model.is_categorical_ is None else model.is_categorical_
    )
    # scikit-learn moves categorical columns to the front, and numbers the categories that occur.
    columns = np.concatenate([columns[is_categorical], columns[~is_categorical]])
    known = {}
    if is_categorical.any():
        encoder = model._preprocessor.named_transformers_["encoder"]
        known = dict(
            zip(
                columns,
                (categories.astype(int) for categories in encoder.categories_),
                strict=False,
            )
        )
    return [
        [_tree_of_boosting(predictor, columns, known, sizes) for predictor in of_output]
        for of_output in zip(*model._predictors, strict=True)
    ]


def _tree_of_boosting(
    predictor: "FittedModel",
    columns: np.ndarray,
    known: Mapping[int, np.ndarray],
    sizes: Mapping[int, int],
) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"] == 1
    feature = np.where(leaf, -1, columns[nodes["feature_idx"]])
    categorical = {}
    for node in np.flatnonzero((nodes["is_categorical"] == 1) & ~leaf):
        column = feature[node]
        bits = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]
        # A category that training rows do not have is a missing value.
        goes_right = np.full(sizes[column], not nodes["missing_go_to_left"][node])
        positions = np.arange(len(known[column]))
        goes_right[known[column]] = (
            bits[positions // 32] >> (positions % 32).astype(np.uint32)
        ) & 1 == 0
        categorical[int(node)] = goes_right
    return Tree(
        feature=feature,
        threshold=nodes["num_threshold"],
        left=nodes["left"].astype(int),
        right=nodes["right"].astype(int),
        value=nodes["value"],
        categorical=categorical,
    )


def trees_of_forest(model: "FittedModel", output: int) -> list[Tree]:
    """Return the trees of a random forest of scikit-learn whose values sum to the probability of a class."""
    trees = []
    for fitted in model.estimators_:
        tree = fitted.tree_
        value = tree.value[:, 0, :] / tree.value[:, 0, :].sum(axis=1, keepdims=True)
        trees.append(
            Tree(
                feature=np.where(tree.children_left < 0, -1, tree.feature),
                threshold=tree.threshold,
                left=tree.children_left,
                right=tree.children_right,
                value=value[:, output] / len(model.estimators_),
            )
        )
    return trees
