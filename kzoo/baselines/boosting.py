"""Tables: gradient-boosted trees. What their libraries share (`BoostedFits`), and those of scikit-learn.

Where there are enough validation rows, trees are added until the loss on them has not improved for some rounds. Text
columns are left out.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

import numpy as np

from kzoo.baselines import networks
from kzoo.baselines.baseline import Unfit, baseline
from kzoo.baselines.data import Predictor, truth_of
from kzoo.baselines.linear import CERTAIN, logit, one_at_a_time, with_all_classes
from kzoo.baselines.trees import Tree, trees_of_boosting
from kzoo.problems.layout import text_columns

if TYPE_CHECKING:
    import keras

    from kzoo.baselines.data import BaselineData


_BOOSTING = (
    "https://scikit-learn.org/stable/modules/ensemble.html#histogram-based-gradient-boosting"
)
ROUNDS, FEW_ROUNDS = 1_000, 100  # with validation rows to stop by, and without
PATIENCE = 50
_LEAST_STOPPED = 50  # validation rows, with fewer of which scikit-learn's trees are its defaults
# otherwise smaller trees and steps, which were better on seven of eight tables (tests/benchmarks/README.md)
_STOPPED = dict(learning_rate=0.05, max_leaf_nodes=15, l2_regularization=10.0)
_MOST_OUTPUTS, _MOST_LABELS = 20, 100
_MOST_BINNED = 255  # categories of a column that scikit-learn's trees can distinguish


class BoostedTrees(Protocol):
    """A model of a library, fitted to the columns of a table.

    Attributes:
        least: validation rows that it needs to stop by them.
        rounds: number of rounds that count, once it is fitted.
        learning_rate: the learning rate, if the library chooses one that depends on the rounds; set before a fit, it is
            used instead. None of others.
    """

    least: ClassVar[int]
    rounds: int | None
    learning_rate: float | None

    def __init__(
        self, subset: "BaselineData", sizes: Mapping[int, int], loss: str, classes: int
    ) -> None:
        """Set it up.

        Args:
            subset: the `BaselineData`.
            sizes: column of categories -> number of its codes.
            loss: "binary", "multiclass", "regression" or "poisson".
            classes: number of classes.
        """

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray | None,
        rounds: int | None,
        validation: "Rows | None",
    ) -> None:
        """Fit it with a number of rounds, or stop by the loss on validation rows, (x, y, weight).

        With neither (both None), it has the number of rounds that is usual for its settings.
        """

    def raw(self, x: np.ndarray) -> np.ndarray:
        """Return the sums of the trees (B, outputs)."""

    @property
    def bias(self) -> np.ndarray:
        """The number that is added to each output."""

    def trees(self) -> list[list[Tree]]:
        """Return the trees of each output."""


Rows: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray | None]  # x, y and weights


def most_rounds(rounds: int | None, validation: Rows | None) -> int:
    """Return the number of rounds at most, for the arguments of `BoostedTrees.fit`."""
    return rounds or (FEW_ROUNDS if validation is None else ROUNDS)


def column_count(subset: "BaselineData") -> int:
    """Return the number of columns of x without the ids of texts."""
    return subset.shape[0] - text_columns(subset.data.config)


def _seconds(subset: "BaselineData") -> float:
    rows = len(subset.train)
    width = column_count(subset)
    models = 1 if subset.classes == 2 else subset.outputs
    return ROUNDS / 2 * models * (2e-4 + 2.5e-6 * width * min(15, rows / 20) + 3e-9 * rows * width)


@baseline(
    "gradient-boosted trees",
    "columns",
    "kept",
    lacks=("steps", "quantiles"),
    reference=_BOOSTING,
    seconds=_seconds,
)
def trees(subset: "BaselineData") -> Predictor:
    """Fit gradient-boosted trees on binned columns with scikit-learn, one model per target or label."""
    return boosted(subset, _ScikitLearn)


class _ScikitLearn:
    """A model of scikit-learn; see `BoostedTrees`."""

    least: ClassVar[int] = _LEAST_STOPPED
    learning_rate: float | None = None

    def __init__(
        self, subset: "BaselineData", sizes: Mapping[int, int], loss: str, classes: int
    ) -> None:
        self.rounds: int | None = None
        self.seed = subset.seed
        self.sizes = {column: size for column, size in sizes.items() if size <= _MOST_BINNED}
        self.loss = loss

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray | None,
        rounds: int | None,
        validation: Rows | None,
    ) -> None:
        options: dict[str, Any] = dict(
            random_state=self.seed,
            categorical_features=[column in self.sizes for column in range(x.shape[1])],
            max_iter=most_rounds(rounds, validation),
            early_stopping=validation is not None,
        )
        held: dict[str, Any] = {}
        if rounds is not None or validation is not None:
            options |= _STOPPED
        if validation is not None:
            options["n_iter_no_change"] = PATIENCE
            held_x, held_y, held_weight = validation
            held = dict(X_val=held_x, y_val=held_y)
            if weight is not None:  # either both have weights, or none has
                held["sample_weight_val"] = (
                    np.ones(len(held_y)) if held_weight is None else held_weight
                )
        ensemble = import_module("sklearn.ensemble")
        if self.loss in ("binary", "multiclass"):
            model = ensemble.HistGradientBoostingClassifier(**options)
        else:
            loss = "poisson" if self.loss == "poisson" else "squared_error"
            model = ensemble.HistGradientBoostingRegressor(loss=loss, **options)
        self.model = model.fit(x, y, weight, **held)
        self.rounds = model.n_iter_
        if held:  # it has gone on for some rounds, to see whether more are better
            self.rounds = max(int(np.argmax(model.validation_score_)), 1)
            model._predictors = model._predictors[: self.rounds]

    def raw(self, x: np.ndarray) -> np.ndarray:
        if self.loss in ("binary", "multiclass"):
            return self.model.decision_function(x).reshape(len(x), -1)
        values = self.model.predict(x).reshape(len(x), -1)
        return np.log(values) if self.loss == "poisson" else values

    @property
    def bias(self) -> np.ndarray:
        return np.asarray(self.model._baseline_prediction, "float64").reshape(-1)

    def trees(self) -> list[list[Tree]]:
        return trees_of_boosting(self.model, self.sizes)


def boosted(subset: "BaselineData", library: type[BoostedTrees]) -> Predictor:
    """Return the predictor of a library of boosted trees."""
    fits = _Fits(subset, library)
    if subset.classes is not None:
        return fits.classes()
    return fits.labels() if subset.data.problem.separate_probabilities else fits.values()


class _Fits:
    """Fits of a library to the columns of a table.

    Args:
        subset: the `BaselineData`.
        library: a class of `BoostedTrees`.

    Raises:
        Unfit: all columns are texts.
    """

    def __init__(self, subset: "BaselineData", library: type[BoostedTrees]) -> None:
        self.subset = subset
        self.library = library
        self.count = column_count(subset)
        if not self.count:
            raise Unfit("all columns are texts")
        if self.count < subset.shape[0]:
            subset.notes.append("without the texts")
        self.x = self._columns(subset.x)
        self.y = subset.y
        sizes = subset.data.config.get("categories") or ()  # of the last columns
        self.sizes = dict(enumerate(sizes, start=self.count - len(sizes)))
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
        validation: Rows | None,
        loss: str,
        *,
        rows: np.ndarray | slice = slice(None),
        classes: int = 1,
    ) -> BoostedTrees:
        """Return a fitted model.

        Args:
            y, weight: targets and sample weights of the training rows.
            validation: (x, y, weight) of validation rows, or None.
            loss, classes: see `BoostedTrees`.
            rows: the training rows.
        """
        model = self.library(self.subset, self.sizes, loss, classes)
        x = self.x[rows]
        if validation is not None and len(validation[0]) < self.library.least:
            validation = None

        def stopped() -> tuple[int | None, int, float | None]:
            model.fit(x, y, weight, None, validation)
            if validation is None:
                return None, 0, None
            return model.rounds, len(x), model.learning_rate

        rounds, learned_from, model.learning_rate = self.subset.chosen(stopped)
        if model.rounds is None:
            if rounds is not None:  # chosen on fewer rows: more rows allow for more rounds
                rounds = max(round(rounds * len(x) / learned_from), 1)
            model.fit(x, y, weight, rounds, None)
        return model

    def _of_column(self, column: int) -> Rows | None:
        """Return (x, y, weight) of the validation rows that have the target or label of a column."""
        if self.validation is None:
            return None
        y = self.validation[1].reshape(len(self.validation[1]), -1)[:, column]
        return _part(self.validation[0], y, self.validation[2], ~np.isnan(y))

    def _network(
        self, models: Sequence[BoostedTrees], inputs: "keras.KerasTensor"
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


def _part(x: np.ndarray, y: np.ndarray, weight: np.ndarray | None, rows: np.ndarray) -> Rows:
    """Return some rows of x, y and weights, or None for no weights."""
    return x[rows], y[rows], None if weight is None else weight[rows]


def _probabilities(raw: np.ndarray) -> np.ndarray:
    """Return probabilities (B, classes) of the sums of trees: (B, classes), or (B, 1) for two classes."""
    return networks.softmax(
        np.concatenate([np.zeros_like(raw), raw], axis=1) if raw.shape[1] == 1 else raw
    )
