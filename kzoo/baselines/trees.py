"""`Tree`: a decision tree as arrays, from those of scikit-learn. NumPy only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_LARGEST = np.finfo("float32").max  # no x is above it


@dataclass(frozen=True, eq=False, kw_only=True)
class Tree:
    """A decision tree; its node 0 is the root.

    Args:
        feature: (N,) column that a node compares; -1 for a leaf.
        threshold: (N,) float64: x <= threshold goes left.
        left, right: (N,) the children.
        value: (N,) of leaves.
        categorical: node -> (codes,) whether a category goes right; such nodes have no threshold.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    categorical: Mapping[int, np.ndarray] = field(default_factory=dict)

    @property
    def _inner(self):
        return np.flatnonzero(self.feature >= 0)

    @property
    def _numbers(self):
        """The numbers of the nodes after sorting: the right child follows the left one."""
        numbers, inner = np.zeros(len(self.feature), np.int64), self._inner
        numbers[self.left[inner]] = 1 + 2 * np.arange(len(inner))
        numbers[self.right[inner]] = 2 + 2 * np.arange(len(inner))
        return numbers

    @property
    def depth(self):
        """The number of steps from the root to the farthest leaf."""
        depth, level = 0, np.zeros(1, np.int64)
        while len(level := level[self.feature[level] >= 0]):
            level = np.concatenate([self.left[level], self.right[level]])
            depth += 1
        return depth

    def nodes(self):
        """Return (nodes (N, 4), tables): feature, threshold, left child and start of its table of categories, or -1.

        The right child follows the left one. Leaves are their own left child and never go right. Thresholds are rounded
        down, so that numbers in float32 go the same way.
        """
        numbers, inner = self._numbers, self._inner
        nodes = np.empty((len(numbers), 4))
        nodes[:] = 0, _LARGEST, 0, -1
        nodes[:, 2] = np.arange(len(nodes))
        rows = numbers[inner]
        nodes[rows, 0], nodes[rows, 2] = self.feature[inner], numbers[self.left[inner]]
        nodes[rows, 1] = rounded_down(self.threshold[inner])
        tables, start = [], 0
        for node, goes_right in self.categorical.items():
            nodes[numbers[node], 3], start = start, start + len(goes_right)
            tables.append(goes_right)
        return nodes, tables

    def leaf_values(self):
        """Return the values (N,) in the order of `nodes`."""
        values = np.zeros(len(self.feature))
        values[self._numbers] = self.value
        return values


def rounded_down(values: Any) -> np.ndarray:
    """Return the largest float32 that is not above each value."""
    nearest = np.clip(values, -_LARGEST, _LARGEST).astype("float32")
    return np.where(nearest > values, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def trees_of_boosting(model: Any, sizes: Sequence[int] = ()) -> list[list[Tree]]:
    """Return the trees for each output of a histogram-based gradient boosting of scikit-learn.

    Args:
        model: fitted `HistGradientBoostingClassifier` or `HistGradientBoostingRegressor`.
        sizes: the number of codes of each of the last columns; empty without categories.
    """
    columns = np.arange(model.n_features_in_)
    is_categorical = np.zeros(len(columns), bool) if model.is_categorical_ is None else model.is_categorical_
    # scikit-learn moves categorical columns to the front, and numbers the categories that occur.
    columns = np.concatenate([columns[is_categorical], columns[~is_categorical]])
    sizes_of = dict(zip(range(len(columns) - len(sizes), len(columns)), sizes, strict=True))
    known = {}
    if is_categorical.any():
        encoder = model._preprocessor.named_transformers_["encoder"]
        known = dict(zip(columns, (categories.astype(int) for categories in encoder.categories_), strict=False))
    return [
        [_tree_of_boosting(predictor, columns, known, sizes_of) for predictor in of_output]
        for of_output in zip(*model._predictors, strict=True)
    ]


def _tree_of_boosting(predictor: Any, columns: np.ndarray, known: Mapping, sizes: Mapping) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"] == 1
    feature = np.where(leaf, -1, columns[nodes["feature_idx"]])
    categorical = {}
    for node in np.flatnonzero((nodes["is_categorical"] == 1) & ~leaf):
        column, bits = feature[node], predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]
        # A category that training rows do not have is a missing value.
        goes_right = np.full(sizes[column], not nodes["missing_go_to_left"][node])
        positions = np.arange(len(known[column]))
        goes_right[known[column]] = (bits[positions // 32] >> (positions % 32).astype(np.uint32)) & 1 == 0
        categorical[int(node)] = goes_right
    return Tree(
        feature=feature, threshold=nodes["num_threshold"], left=nodes["left"].astype(int),
        right=nodes["right"].astype(int), value=nodes["value"], categorical=categorical,
    )  # fmt: skip


def trees_of_forest(model: Any, output: int) -> list[Tree]:
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
