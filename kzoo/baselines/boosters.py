"""Tables: LightGBM and CatBoost, where they are installed. They are no dependencies of kzoo.

Trees are added until the loss on validation rows has not improved for some rounds. Text columns are left out.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kzoo.baselines import networks
from kzoo.baselines.baseline import BaselineFunction, Unfit, baseline
from kzoo.baselines.data import Predictor, truth_of
from kzoo.baselines.linear import CERTAIN, logit, one_at_a_time, with_all_classes
from kzoo.baselines.trees import Tree
from kzoo.problems.layout import text_columns
from kzoo.utils.files import JsonObject
from kzoo.utils.optional import is_installed

if TYPE_CHECKING:
    import keras

    from kzoo.baselines.data import BaselineData


_ROUNDS, _FEW_ROUNDS = 1_000, 100  # with validation rows to stop by, and without
_PATIENCE = 50
_MOST_CATEGORIES = 100  # most frequent categories of a column that get a feature each
_MOST_OUTPUTS, _MOST_LABELS = 20, 100
_LIGHTGBM = "https://lightgbm.readthedocs.io"
_CATBOOST = "https://catboost.ai/docs"


def _baseline_of(
    package: str, label: str, reference: str, seconds_per_cell: float, overhead: float
) -> Callable[[BaselineFunction], BaselineFunction]:
    """Return the decorator that registers a baseline if its package is installed."""
    if not is_installed(package):
        return lambda function: function

    def seconds(subset: "BaselineData") -> float:
        rows = len(subset.train)
        models = 1 if subset.classes == 2 else subset.outputs
        return 0.3 + _ROUNDS / 3 * models * (
            overhead + seconds_per_cell * rows * _column_count(subset)
        )

    return baseline(
        label, "columns", "kept", lacks=("steps", "quantiles"), reference=reference, seconds=seconds
    )


@_baseline_of("lightgbm", "LightGBM", _LIGHTGBM, 2e-8, 5e-4)
def lightgbm(subset: "BaselineData") -> Predictor:
    """Fit LightGBM with its defaults and a learning rate of 0.05; one model per target or label."""
    return _boosted(subset, _LightGbm)


@_baseline_of("catboost", "CatBoost", _CATBOOST, 4e-8, 1.5e-3)
def catboost(subset: "BaselineData") -> Predictor:
    """Fit CatBoost with its defaults; one model per target or label. Frequent categories get a column of 0 and 1."""
    return _boosted(subset, _CatBoost)


def _column_count(subset: "BaselineData") -> int:
    """Return the number of columns of x without the ids of texts."""
    return subset.shape[0] - text_columns(subset.data.config)


def _boosted(subset: "BaselineData", library: "type[_LightGbm] | type[_CatBoost]") -> Predictor:
    """Return the predictor of a library of boosted trees."""
    fits = _Fits(subset, library)
    if subset.classes is not None:
        return fits.classes()
    return fits.labels() if subset.data.problem.separate_probabilities else fits.values()


_Rows: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray | None]  # x, y and weights


class _Fits:
    """Fits of a library to the columns of a table.

    Args:
        subset: the `BaselineData`.
        library: `_LightGbm` or `_CatBoost`.

    Raises:
        Unfit: all columns are texts.
    """

    def __init__(self, subset: "BaselineData", library: type) -> None:
        self.subset = subset
        self.library = library
        self.count = _column_count(subset)
        if not self.count:
            raise Unfit("all columns are texts")
        if self.count < subset.shape[0]:
            subset.notes.append("without the texts")
        self.x = self._columns(subset.x)
        self.y = subset.y
        sizes = subset.data.config.get("categories") or ()  # of the last columns
        self.codes = [
            _codes(self.x, column, size)
            for column, size in enumerate(sizes, start=self.count - len(sizes))
        ]
        self.validation, part = None, subset.validation
        if part is not None:
            self.validation = (
                self._columns(part.x[:]),
                truth_of(part.y[:], subset.data.problem),
                part.weight,
            )

    def _columns(self, x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.asarray(x)[:, : self.count])

    def _fitted(
        self,
        y: np.ndarray,
        weight: np.ndarray | None,
        validation: _Rows | None,
        loss: str,
        *,
        rows: np.ndarray | slice = slice(None),
        classes: int = 1,
    ) -> "_LightGbm | _CatBoost":
        """Return a fitted model.

        Args:
            y, weight: targets and sample weights of the training rows.
            validation: (x, y, weight) of validation rows, or None.
            loss, classes: see `_LightGbm`.
            rows: the training rows.
        """
        model = self.library(self.subset, self.codes, loss, classes)
        validation = validation if validation is not None and len(validation[0]) else None

        def stopped() -> int:
            model.fit(
                self.x[rows], y, weight, _FEW_ROUNDS if validation is None else _ROUNDS, validation
            )
            return model.rounds

        rounds = self.subset.chosen(stopped)
        if model.rounds is None:
            model.fit(self.x[rows], y, weight, rounds, None)
        return model

    def _of_column(self, column: int) -> _Rows | None:
        """Return (x, y, weight) of the validation rows that have the target or label of a column."""
        if self.validation is None:
            return None
        y = self.validation[1].reshape(len(self.validation[1]), -1)[:, column]
        return _part(self.validation[0], y, self.validation[2], ~np.isnan(y))

    def _network(
        self, models: "Sequence[_LightGbm | _CatBoost]", inputs: "keras.KerasTensor"
    ) -> "keras.KerasTensor":
        groups = [group for model in models for group in model.trees()]
        return networks.shifted(
            networks.forest(inputs, groups), np.concatenate([model.bias for model in models])
        )

    def classes(self) -> Predictor:
        """Return the predictor of the probabilities of classes."""
        subset, validation = self.subset, self.validation
        present, numbers = np.unique(self.y, return_inverse=True)
        if len(present) < 2:
            raise Unfit("the training rows that it uses have a single class")
        if validation is not None:  # rows of classes that training does not have cannot be scored
            x, y, weight = _part(*validation, np.isin(validation[1], present))
            validation = x, np.searchsorted(present, y), weight
        loss = "binary" if len(present) == 2 else "multiclass"
        model = self._fitted(numbers, subset.weight, validation, loss, classes=len(present))

        def network(inputs: "keras.KerasTensor") -> "keras.KerasTensor":
            logits = networks.logits_of_all(
                self._network([model], inputs), present, subset.outputs, -CERTAIN
            )
            return networks.head(logits, "softmax")

        return subset.by_blocks(
            lambda x: with_all_classes(
                _probabilities(model.raw(self._columns(x))), present, subset.outputs
            ),
            network=network,
        )

    def labels(self) -> Predictor:
        """Return the predictor of the probabilities of labels, with a model each."""
        if (count := self.y.shape[1]) > _MOST_LABELS:
            raise Unfit(f"each of {count} labels would need its own trees")
        varied = [
            column
            for column in range(count)
            if len(np.unique(self.y[~np.isnan(self.y[:, column]), column])) > 1
        ]
        models, columns = [], iter(varied)  # `one_at_a_time` fits those labels, in this order

        def fit(
            rows: np.ndarray, truth: np.ndarray, weight: np.ndarray | None
        ) -> Callable[[np.ndarray], np.ndarray]:
            model = self._fitted(
                truth, weight, self._of_column(next(columns)), "binary", rows=rows, classes=2
            )
            models.append(model)
            return lambda x: _probabilities(model.raw(self._columns(x)))

        per_label = one_at_a_time(self.y, fit, self.subset.weight)

        def network(inputs: "keras.KerasTensor") -> "keras.KerasTensor":
            logits = networks.with_constants(self._network(models, inputs), per_label.models, logit)
            return networks.head(logits, "sigmoid")

        return self.subset.by_blocks(per_label, network=network)

    def values(self) -> Predictor:
        """Return the predictor of values or counts, with a model for each target."""
        subset, shape, columns = self.subset, self.y.shape[1:], self.y.reshape(len(self.y), -1).T
        is_count = subset.data.problem.predicts_rates
        if len(columns) > _MOST_OUTPUTS:
            raise Unfit(f"each of {len(columns)} values per row would need its own trees")
        if is_count and not columns.any(axis=1).all():
            raise Unfit("the training rows that it uses have no count above 0")
        loss = "poisson" if is_count else "regression"
        models = [
            self._fitted(column, subset.weight, self._of_column(i), loss)
            for i, column in enumerate(columns)
        ]

        def predict(x: np.ndarray) -> np.ndarray:
            raw = np.concatenate([model.raw(self._columns(x)) for model in models], axis=1).reshape(
                -1, *shape
            )
            return np.exp(raw) if is_count else raw

        def network(inputs: "keras.KerasTensor") -> "keras.KerasTensor":
            return networks.head(
                self._network(models, inputs), "exponential" if is_count else "linear", shape
            )

        return subset.by_blocks(predict, network=network)


def _part(x: np.ndarray, y: np.ndarray, weight: np.ndarray | None, rows: np.ndarray) -> _Rows:
    """Return some rows of x, y and weights, or None for no weights."""
    return x[rows], y[rows], None if weight is None else weight[rows]


def _probabilities(raw: np.ndarray) -> np.ndarray:
    """Return probabilities (B, classes) of the sums of trees: (B, classes), or (B, 1) for two classes."""
    return networks.softmax(
        np.concatenate([np.zeros_like(raw), raw], axis=1) if raw.shape[1] == 1 else raw
    )


def _codes(x: np.ndarray, column: int, size: int) -> tuple[int, int, np.ndarray]:
    """Return (column, number of codes, the most frequent codes) of a column of categories."""
    counts = np.bincount(x[:, column].astype(int), minlength=size)
    frequent = np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]
    return column, size, np.sort(frequent[counts[frequent] > 0])


class _LightGbm:
    """A model of LightGBM.

    Args:
        subset: the `BaselineData`.
        codes: columns of categories (see `_codes`).
        loss: "binary", "multiclass", "regression" or "poisson".
        classes: number of classes.

    Attributes:
        rounds: number of rounds that count, once it is fitted.
    """

    def __init__(
        self,
        subset: "BaselineData",
        codes: Sequence[tuple[int, int, np.ndarray]],
        loss: str,
        classes: int,
    ) -> None:
        self.rounds: int | None = None
        self.codes = codes
        self.outputs = classes if loss == "multiclass" else 1
        self.settings: dict[str, Any] = dict(
            objective=loss,
            seed=subset.seed,
            learning_rate=0.05,
            num_threads=1,
            deterministic=True,
            force_row_wise=True,
            verbose=-1,
        )
        if loss == "multiclass":
            self.settings["num_class"] = classes

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray | None,
        rounds: int,
        validation: _Rows | None,
    ) -> None:
        """Fit it with so many rounds, or fewer if the loss on validation rows, (x, y, weight) or None, stops it."""
        library = import_module("lightgbm")
        columns = [column for column, *_ in self.codes]
        data = library.Dataset(
            x, y, weight=weight, categorical_feature=columns or "auto", params={"verbose": -1}
        )
        options: dict[str, Any] = {}
        if validation is not None:
            held_x, held_y, held_weight = validation
            options["valid_sets"] = [
                library.Dataset(held_x, held_y, weight=held_weight, reference=data)
            ]
            options["callbacks"] = [library.early_stopping(_PATIENCE, verbose=False)]
        self.model = library.train(self.settings, data, rounds, **options)
        self.rounds = self.model.best_iteration if validation is not None else rounds

    def raw(self, x: np.ndarray) -> np.ndarray:
        """Return the sums of the trees (B, outputs)."""
        return self.model.predict(x, raw_score=True, num_iteration=self.rounds).reshape(len(x), -1)

    @property
    def bias(self) -> np.ndarray:
        return np.zeros(self.outputs)

    def trees(self) -> list[list[Tree]]:
        """Return the trees of each output."""
        sizes = {column: size for column, size, _ in self.codes}
        stored = self.model.dump_model(num_iteration=self.rounds)["tree_info"]
        trees = [_lightgbm_tree(tree["tree_structure"], sizes) for tree in stored]
        return [trees[output :: self.outputs] for output in range(self.outputs)]


def _lightgbm_tree(root: JsonObject, sizes: Mapping[int, int]) -> Tree:
    """Return the `Tree` of a dumped tree; categories that a split does not name go right."""
    nodes: list[JsonObject] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        node["number"] = len(nodes)
        nodes.append(node)
        waiting += [node[side] for side in ("left_child", "right_child") if side in node]
    count = len(nodes)
    categorical = {}
    feature = np.full(count, -1)
    left = np.zeros(count, int)
    right = np.zeros(count, int)
    threshold, value = np.zeros(count), np.zeros(count)
    for i, node in enumerate(nodes):
        if "split_feature" not in node:
            value[i] = node["leaf_value"]
            continue
        feature[i], left[i], right[i] = (
            node["split_feature"],
            node["left_child"]["number"],
            node["right_child"]["number"],
        )
        if node["decision_type"] == "==":
            goes_right = np.ones(sizes[feature[i]], bool)
            goes_right[[int(code) for code in node["threshold"].split("||")]] = False
            categorical[i] = goes_right
        else:
            threshold[i] = node["threshold"]
    return Tree(
        feature=feature,
        threshold=threshold,
        left=left,
        right=right,
        value=value,
        categorical=categorical,
    )


class _CatBoost:
    """A model of CatBoost; see `_LightGbm`."""

    def __init__(
        self,
        subset: "BaselineData",
        codes: Sequence[tuple[int, int, np.ndarray]],
        loss: str,
        classes: int,
    ) -> None:
        self.rounds: int | None = None
        self.codes = codes
        self.outputs = classes if loss == "multiclass" else 1
        self.numbers = _column_count(subset) - len(codes)
        names = {
            "binary": "Logloss",
            "multiclass": "MultiClass",
            "regression": "RMSE",
            "poisson": "Poisson",
        }
        self.settings = dict(
            loss_function=names[loss],
            random_seed=subset.seed,
            thread_count=1,
            verbose=False,
            allow_writing_files=False,
        )

    def _features(self, x: np.ndarray) -> np.ndarray:
        each = [x[:, column, None] == frequent for column, _, frequent in self.codes]
        return np.concatenate([x[:, : self.numbers], *each], axis=1, dtype="float32")

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray | None,
        rounds: int,
        validation: _Rows | None,
    ) -> None:
        library = import_module("catboost")
        options = {}
        if validation is not None:
            held_x, held_y, held_weight = validation
            options = dict(
                eval_set=library.Pool(self._features(held_x), held_y, weight=held_weight),
                use_best_model=True,
                early_stopping_rounds=_PATIENCE,
            )
        self.model = library.CatBoost(self.settings | {"iterations": rounds})
        try:
            self.model.fit(library.Pool(self._features(x), y, weight=weight), **options)
        except library.CatBoostError as error:
            raise Unfit(
                f"CatBoost: {str(error).splitlines()[0][:200].rsplit(': ', 1)[-1]}"
            ) from None
        self.rounds = self.model.tree_count_

    def raw(self, x: np.ndarray) -> np.ndarray:
        """Return the sums of the trees (B, outputs)."""
        raw = self.model.predict(self._features(x), prediction_type="RawFormulaVal", thread_count=1)
        return np.asarray(raw).reshape(len(x), -1)

    @property
    def _stored(self) -> JsonObject:
        with TemporaryDirectory() as folder:
            file = Path(folder) / "model.json"
            self.model.save_model(str(file), format="json")
            return json.loads(file.read_text(encoding="utf-8"))

    @property
    def bias(self) -> np.ndarray:
        return np.broadcast_to(
            np.asarray(self._stored["scale_and_bias"][1], "float64"), (self.outputs,)
        )

    def trees(self) -> list[list[Tree]]:
        """Return the trees, whose values are those of all outputs."""
        stored = self._stored
        scale = float(stored["scale_and_bias"][0])
        indicators = [
            (column, size, code) for column, size, frequent in self.codes for code in frequent
        ]
        return [[self._tree(tree, scale, indicators) for tree in stored["oblivious_trees"]]]

    def _tree(
        self, stored: JsonObject, scale: float, indicators: Sequence[tuple[int, int, int]]
    ) -> Tree:
        """Return the `Tree` of a symmetric tree: split `i` is that of all nodes at depth `i`, and bit `i` of a leaf."""
        splits = stored.get("splits") or []
        values = np.asarray(stored["leaf_values"]) * scale
        inner = 2 ** len(splits) - 1
        count = 2 * inner + 1
        feature = np.full(count, -1)
        threshold = np.zeros(count)
        categorical: dict[int, np.ndarray] = {}
        left, right = np.zeros(count, int), np.zeros(count, int)
        for depth, split in enumerate(splits):
            paths = np.arange(2**depth)
            start = 2**depth - 1
            below = 2 ** (depth + 1) - 1
            nodes = start + paths
            left[nodes], right[nodes] = below + paths, below + paths + 2**depth
            index = split["float_feature_index"]
            if index < self.numbers:
                feature[nodes], threshold[nodes] = index, np.float32(split["border"])
                continue
            column, size, code = indicators[index - self.numbers]
            feature[nodes] = column
            categorical |= {int(node): np.arange(size) == code for node in nodes}
        value = np.zeros((count, values.size // (inner + 1)))
        value[inner:] = values.reshape(inner + 1, -1)
        return Tree(
            feature=feature,
            threshold=threshold,
            left=left,
            right=right,
            value=value,
            categorical=categorical,
        )
