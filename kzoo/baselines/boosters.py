"""Tables: LightGBM and CatBoost, where they are installed. They are no dependencies of kzoo.

Trees are added until the loss on validation rows has not improved for some rounds. Text columns are left out.
"""

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kzoo.baselines.baseline import BaselineFunction, Unfit, baseline
from kzoo.baselines.boosting import PATIENCE, ROUNDS, Rows, boosted, column_count, most_rounds
from kzoo.baselines.data import Predictor
from kzoo.baselines.trees import Tree
from kzoo.problems.kinds import kind
from kzoo.utils.files import JsonObject
from kzoo.utils.optional import is_installed

if TYPE_CHECKING:
    from kzoo.baselines.data import BaselineData
    from kzoo.data.dataset import Dataset


_ONE_HOT = 10  # categories of a column that CatBoost compares one by one
_PACKAGES = "lightgbm", "catboost"
_LIGHTGBM = "https://lightgbm.readthedocs.io"
_CATBOOST = "https://catboost.ai/docs"


# data for which they are baselines: facts that it has, and facts that it lacks
_NEEDS, _LACKS = ("columns", "kept"), ("steps", "quantiles")
# Points of AUC or R2 that `auto` gained with both on fresh tables of up to so many rows: number of tables, mean, least
# and most (tests/benchmarks/README.md).
_MOST_ROWS, _TABLES, _GAIN = 20_000, "seven", (0.5, 0.0, 1.2)


def missing_boosters(data: "Dataset") -> str | None:
    """Return a line on what LightGBM and CatBoost bring, with the command that installs them; None if one is installed.

    It is None for data of which they are no baselines, and where nothing was measured: with more rows.
    """
    facts = data.problem.facts | kind(data.inputs).facts
    if any(map(is_installed, _PACKAGES)) or not {*_NEEDS} <= facts or facts & {*_LACKS}:
        return None
    rows = len(data.train) + (0 if data.validation is None else len(data.validation))
    if rows > _MOST_ROWS:
        return None
    mean, least, most = _GAIN
    return (
        f"LightGBM and CatBoost are not installed. With both, auto was {mean:.1f} points of AUC or R2 better at the "
        f"mean of {_TABLES} tables with up to {_MOST_ROWS:,} rows ({least:.1f} to {most:.1f}): "
        f"pip install {' '.join(_PACKAGES)}"
    )


def _baseline_of(
    package: str, label: str, reference: str, seconds_per_cell: float, overhead: float
) -> Callable[[BaselineFunction], BaselineFunction]:
    """Return the decorator that registers a baseline if its package is installed."""
    if not is_installed(package):
        return lambda function: function

    def seconds(subset: "BaselineData") -> float:
        rows = len(subset.train)
        models = 1 if subset.classes == 2 else subset.outputs
        return 0.3 + ROUNDS / 3 * models * (
            overhead + seconds_per_cell * rows * column_count(subset)
        )

    return baseline(label, *_NEEDS, lacks=_LACKS, reference=reference, seconds=seconds)


@_baseline_of("lightgbm", "LightGBM", _LIGHTGBM, 2e-8, 5e-4)
def lightgbm(subset: "BaselineData") -> Predictor:
    """Fit LightGBM with its defaults and a learning rate of 0.05; one model per target or label."""
    return boosted(subset, LightGbm)


@_baseline_of("catboost", "CatBoost", _CATBOOST, 4e-8, 1.5e-3)
def catboost(subset: "BaselineData") -> Predictor:
    """Fit CatBoost with its defaults; one model per target or label."""
    return boosted(subset, CatBoost)


class LightGbm:
    """A model of LightGBM; see `BoostedTrees`."""

    least: ClassVar[int] = 1
    learning_rate: float | None = None

    def __init__(
        self,
        subset: "BaselineData",
        sizes: Mapping[int, int],
        loss: str,
        classes: int,
    ) -> None:
        self.rounds: int | None = None
        self.sizes = sizes
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
        rounds: int | None,
        validation: Rows | None,
    ) -> None:
        library = import_module("lightgbm")
        most = most_rounds(rounds, validation)
        columns = list(self.sizes)
        data = library.Dataset(
            x, y, weight=weight, categorical_feature=columns or "auto", params={"verbose": -1}
        )
        options: dict[str, Any] = {}
        if validation is not None:
            held_x, held_y, held_weight = validation
            options["valid_sets"] = [
                library.Dataset(held_x, held_y, weight=held_weight, reference=data)
            ]
            options["callbacks"] = [library.early_stopping(PATIENCE, verbose=False)]
        self.model = library.train(self.settings, data, most, **options)
        self.rounds = self.model.best_iteration if validation is not None else most

    def raw(self, x: np.ndarray) -> np.ndarray:
        """Return the sums of the trees (B, outputs)."""
        return self.model.predict(x, raw_score=True, num_iteration=self.rounds).reshape(len(x), -1)

    @property
    def bias(self) -> np.ndarray:
        return np.zeros(self.outputs)

    def trees(self) -> list[list[Tree]]:
        """Return the trees of each output."""
        stored = self.model.dump_model(num_iteration=self.rounds)["tree_info"]
        trees = [_lightgbm_tree(tree["tree_structure"], self.sizes) for tree in stored]
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


class CatBoost:
    """A model of CatBoost; see `BoostedTrees`.

    Its statistics of categories are those of single columns, not of combinations: they are functions of a code, so that
    comparisons with them are splits of categories. Its learning rate depends on the number of rounds: a fit with
    the rounds of another one needs the learning rate of that, too.
    """

    least: ClassVar[int] = 1
    learning_rate: float | None = None

    def __init__(
        self,
        subset: "BaselineData",
        sizes: Mapping[int, int],
        loss: str,
        classes: int,
    ) -> None:
        self.rounds: int | None = None
        self.sizes = sizes
        self.outputs = classes if loss == "multiclass" else 1
        self.numbers = column_count(subset) - len(sizes)
        names = {
            "binary": "Logloss",
            "multiclass": "MultiClass",
            "regression": "RMSE",
            "poisson": "Poisson",
        }
        self.settings = dict(
            loss_function=names[loss],
            random_seed=subset.seed,
            max_ctr_complexity=1,
            one_hot_max_size=_ONE_HOT,
            thread_count=1,
            verbose=False,
            allow_writing_files=False,
        )

    def _pool(self, x: np.ndarray, y: np.ndarray | None = None, weight: object = None) -> Any:
        """Return the rows as CatBoost reads them."""
        library = import_module("catboost")
        if not self.sizes:
            return library.Pool(np.asarray(x, "float32"), y, weight=weight)
        columns: dict[str, Any] = {}
        if self.numbers:
            columns["num_feature_data"] = np.ascontiguousarray(x[:, : self.numbers], "float32")
        names = np.array([b"%d" % code for code in range(max(self.sizes.values()))], object)
        columns["cat_feature_data"] = names[x[:, self.numbers :].astype(int)]
        return library.Pool(library.FeaturesData(**columns), y, weight=weight)

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray | None,
        rounds: int | None,
        validation: Rows | None,
    ) -> None:
        library = import_module("catboost")
        most = most_rounds(rounds, validation)
        options = {}
        if validation is not None:
            options = dict(
                eval_set=self._pool(*validation),
                use_best_model=True,
                early_stopping_rounds=PATIENCE,
            )
        rate = {} if rounds is None else {"learning_rate": self.learning_rate}
        self.model = library.CatBoost(self.settings | {"iterations": most} | rate)
        try:
            self.model.fit(self._pool(x, y, weight), **options)
        except library.CatBoostError as error:
            raise Unfit(
                f"CatBoost: {str(error).splitlines()[0][:200].rsplit(': ', 1)[-1]}"
            ) from None
        self.rounds = self.model.tree_count_
        if rounds is None:
            self.learning_rate = float(self.model.learning_rate_)

    def raw(self, x: np.ndarray) -> np.ndarray:
        """Return the sums of the trees (B, outputs)."""
        raw = self.model.predict(self._pool(x), prediction_type="RawFormulaVal", thread_count=1)
        return np.asarray(raw).reshape(len(x), -1)

    @property
    def _stored(self) -> JsonObject:
        with TemporaryDirectory() as folder:
            file = Path(folder) / "model.json"
            self.model.save_model(str(file), format="json", pool=None)
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
        leaves = {column: self._leaves_of_codes(column) for column in self.sizes}
        return [
            [
                self._tree(tree, scale, {column: leaves[column][:, number] for column in leaves})
                for number, tree in enumerate(stored["oblivious_trees"])
            ]
        ]

    def _leaves_of_codes(self, column: int) -> np.ndarray:
        """Return the leaf (codes, trees) of rows that differ only in the code of a column."""
        rows = np.zeros((self.sizes[column], self.numbers + len(self.sizes)), "float32")
        rows[:, column] = np.arange(len(rows))
        return np.asarray(self.model.calc_leaf_indexes(self._pool(rows), thread_count=1))

    def _tree(self, stored: JsonObject, scale: float, leaves: Mapping[int, np.ndarray]) -> Tree:
        """Return the `Tree` of a symmetric tree: split `i` is that of all nodes at depth `i`, and bit `i` of a leaf.

        Args:
            stored: the tree.
            scale: factor of its values.
            leaves: column of categories -> (codes,) the leaf of a row with that code. Rows of different codes differ in
                the bits of the splits of that column.
        """
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
            if "float_feature_index" in split:
                feature[nodes] = split["float_feature_index"]
                threshold[nodes] = np.float32(split["border"])
                continue
            bits = {column: (codes >> depth) & 1 == 1 for column, codes in leaves.items()}
            # a split that no code changes has one side for all
            column = next((c for c, bit in bits.items() if bit.any() != bit.all()), min(bits))
            feature[nodes] = column
            categorical |= {int(node): bits[column] for node in nodes}
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
