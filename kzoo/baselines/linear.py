"""Ridge regression in closed form and logistic regression, shared by several baselines. NumPy and scikit-learn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from kzoo.baselines import networks
from kzoo.baselines.baseline import Unfit

if TYPE_CHECKING:
    pass
    import keras

    from kzoo.baselines.data import BaselineData, Predictor


# of ridge regression: multiples of a feature's mean square
STRENGTHS = (1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1.0)
INVERSE_STRENGTHS = (0.01, 0.1, 1.0, 10.0)  # C of logistic regression
PENALTIES = (1e-4, 0.01, 0.1, 1.0)  # alpha of Poisson regression
QUANTILE_PENALTIES = (0.0, 0.01)  # alpha of linear quantile regression, of standardised targets
CERTAIN = 200.0  # logarithm of odds that float32 rounds to a probability of 0 or 1
_ITERATIONS = 200
# validation rows; with fewer, strengths are chosen by folds of the training rows
FEWEST_CHOSEN_ON = 200
FOLDS, _MOST_FOLDED = 5, 5_000  # number of folds, and the most training rows for them
_ROWS_AT_ONCE = 8192  # of features in double precision


FittedModel: TypeAlias = Any  # of scikit-learn
Matrix: TypeAlias = Any  # (N, F), dense or sparse


class HasLinear(Protocol):
    """Features of inputs, whose product with a kernel is a network."""

    def linear(
        self, inputs: "keras.KerasTensor", kernel: np.ndarray, bias: np.ndarray
    ) -> "keras.KerasTensor": ...


class Features(HasLinear, Protocol):
    """The same, as a function of the inputs."""

    def __call__(self, x: np.ndarray) -> Matrix: ...


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear model of features: `activation(x @ kernel + bias)`.

    Args:
        kernel: (F, outputs).
        bias: (outputs,).
        activation: "softmax", "sigmoid", "exponential" or "linear".
    """

    kernel: np.ndarray
    bias: np.ndarray
    activation: str = "linear"

    def network(
        self, features: HasLinear, inputs: "keras.KerasTensor", shape: Sequence[int] = ()
    ) -> "keras.KerasTensor":
        """Return the outputs of a network (B, *shape).

        Args:
            features: with a method `linear(inputs, kernel, bias)` that returns `features @ kernel + bias` of inputs.
            inputs: the Keras tensor.
            shape: of the outputs of a row; empty for (outputs,).
        """
        return networks.head(
            features.linear(inputs, self.kernel, self.bias), self.activation, shape
        )

    def before_scaling(self, center: np.ndarray, spread: float) -> "Linear":
        """Return the same model of features that it takes as `(x - center) / spread`."""
        kernel = self.kernel / spread
        return Linear(kernel, self.bias - center @ kernel, self.activation)


class Sums:
    """The sums of products that ridge regression needs, accumulated over blocks of rows in double precision.

    The bias is an additional feature that is not shrunk.
    """

    def __init__(self) -> None:
        self.count = 0
        self.inner = np.zeros(())
        self.outer = np.zeros(())

    def add(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Add rows x (B, F) and y (B, outputs) with sample weights (B,); None: all rows have the same weight."""
        x = with_bias(x)
        self.count += len(x)
        weighted = x if weight is None else x * weight[:, None]
        self.inner, self.outer = (
            self.inner + weighted.T @ x,
            self.outer + weighted.T @ np.asarray(y, "float64"),
        )

    def weights(self, strength: float) -> np.ndarray:
        """Return the weights (F + 1, outputs) for a strength, a multiple of the mean square of a feature."""
        scale = self.inner.diagonal()[:-1].mean() if len(self.inner) > 1 else 0.0
        shrunk = np.append(
            np.full(len(self.inner) - 1, max(strength * scale, 1e-9 * self.count)), 0.0
        )
        return np.linalg.solve(self.inner + np.diag(shrunk), self.outer)


class RidgeFits:
    """Ridge regressions on dense features, one for each strength, with standardised features and targets.

    Args:
        x: (N, F).
        y: (N, ...) values.
        weight: (N,) sample weights; None: all rows have the same weight.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> None:
        self.shape = y.shape[1:]
        y = y.reshape(len(y), -1)
        self.center = x.mean(axis=0)
        self.spread = x.std(axis=0).mean() or 1.0
        self.offset = y.mean(axis=0, dtype="float64")
        self.scale = np.maximum(y.std(axis=0, dtype="float64"), 1e-12)
        self.sums = Sums()
        for start in range(0, len(x), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            self.sums.add(
                self._features(x[rows]),
                (y[rows] - self.offset) / self.scale,
                None if weight is None else weight[rows],
            )

    def _features(self, x: np.ndarray) -> np.ndarray:
        return (x - self.center) / self.spread

    def fitted(self, strength: float) -> tuple[Callable[[np.ndarray], np.ndarray], Linear]:
        """Return a function from features (B, F) to values (B, ...), and its `Linear` form of standardised features."""
        weights = self.sums.weights(strength)

        def predict(x: np.ndarray) -> np.ndarray:
            y = with_bias(self._features(x)) @ weights
            return (y * self.scale + self.offset).reshape(len(x), *self.shape)

        return predict, unscaled(weights, self.scale, self.offset)


def unscaled(weights: np.ndarray, scale: ArrayLike, offset: ArrayLike) -> Linear:
    """Return the `Linear` form of weights (F + 1, outputs) for standardised targets, in the unit of the targets."""
    return Linear(weights[:-1] * scale, weights[-1] * scale + offset)


def linear_of(model: FittedModel, scale: ArrayLike = 1.0, offset: ArrayLike = 0.0) -> Linear:
    """Return the `Linear` form of a fitted linear regression of scikit-learn, with targets times scale plus offset."""
    kernel = np.atleast_2d(model.coef_).T
    bias = np.atleast_1d(model.intercept_)
    return unscaled(np.concatenate([kernel, bias[None]]), scale, offset)


def with_idf(idf: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return (F, 1 + outputs): the IDF of each word, and its IDF times its row of the kernel."""
    return np.concatenate([idf[:, None], idf[:, None] * kernel], axis=1)


def with_bias(x: np.ndarray) -> np.ndarray:
    """Return x (B, F) in double precision with a column of ones appended."""
    return np.concatenate([x, np.ones((len(x), 1))], axis=1, dtype="float64")


def classifier(
    x: Matrix,
    y: np.ndarray,
    classes: int,
    *,
    inverse_strength: float,
    seed: int,
    weight: np.ndarray | None = None,
) -> "_Logistic | _ModelPerLabel":
    """Fit logistic regression; return a function from x (B, F) to probabilities (B, classes), with its `linear` form.

    Args:
        x: (N, F), dense or sparse.
        y: (N,) class numbers; or (N, labels) 0, 1 and NaN, each label of which gets a model of its own.
        inverse_strength: scikit-learn's C.
        weight: (N,) sample weights; None: all rows have the same weight.
    """
    if y.ndim == 2:

        def fit(
            rows: np.ndarray, truth: np.ndarray, weight: np.ndarray | None
        ) -> Callable[[np.ndarray], np.ndarray]:
            return classifier(
                x[rows], truth, 2, inverse_strength=inverse_strength, seed=seed, weight=weight
            )

        return one_at_a_time(y, fit, weight)
    if len(present := np.unique(y)) < 2:
        raise Unfit("the training rows that it uses have a single class")
    logistic = import_module("sklearn.linear_model").LogisticRegression
    model = logistic(C=inverse_strength, max_iter=_ITERATIONS, random_state=seed).fit(x, y, weight)
    return _Logistic(model, present, classes)


class _Logistic:
    """A logistic regression, as a function from x (B, F) to probabilities (B, classes).

    Args:
        model: of scikit-learn.
        present: the classes that occur in the training rows.
        classes: number of classes.
    """

    def __init__(self, model: FittedModel, present: np.ndarray, classes: int) -> None:
        self.model, self.present, self.classes = model, present, classes

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return with_all_classes(self.model.predict_proba(x), self.present, self.classes)

    @property
    def linear(self) -> Linear:
        """The `Linear` form."""
        coefficients, intercepts = self.model.coef_, self.model.intercept_
        if len(coefficients) == 1:  # of two classes, only the second has coefficients
            coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
            intercepts = np.append(0.0, intercepts)
        kernel = np.zeros((coefficients.shape[1], self.classes))
        bias = np.full(self.classes, -CERTAIN)
        kernel[:, self.present], bias[self.present] = coefficients.T, intercepts
        return Linear(kernel, bias, "softmax")


def one_at_a_time(
    y: np.ndarray,
    fit: Callable[[np.ndarray, np.ndarray, np.ndarray | None], Callable[[np.ndarray], np.ndarray]],
    weight: np.ndarray | None = None,
) -> "_ModelPerLabel":
    """Fit a model for each label; return a function from x (B, F) to the probabilities of all labels (B, labels).

    A label that all or none of the training rows have gets its share.

    Args:
        y: (N, labels) 0, 1 and NaN, of the training rows.
        fit: function of the indices of the rows whose label is known, of these labels and their weights, that returns a
            function from x to the probabilities of the values 0 and 1 (B, 2).
        weight: (N,) sample weights; None: all rows have the same weight.
    """
    models: list[float | Callable[[np.ndarray], np.ndarray]] = []
    for column in y.T:
        rows = np.flatnonzero(~np.isnan(column))
        truth = column[rows].astype(np.int64)
        if len(np.unique(truth)) < 2:
            models.append(float(truth.mean()) if len(truth) else 0.0)
        else:
            models.append(fit(rows, truth, None if weight is None else weight[rows]))
    if all(isinstance(model, float) for model in models):
        raise Unfit("no label of the training rows that it uses varies")
    return _ModelPerLabel(models)


class _ModelPerLabel:
    """A function from x (B, F) to the probabilities of labels (B, labels).

    Args:
        models: for each label a function from x to probabilities (B, 2), or its share in all rows.
    """

    def __init__(self, models: Sequence[Any]) -> None:
        self.models = models

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.stack(
            [
                np.full(x.shape[0], model) if isinstance(model, float) else model(x)[:, 1]
                for model in self.models
            ],
            axis=1,
        )

    @property
    def linear(self) -> Linear:
        """The `Linear` form, if the models have one."""
        forms = [None if isinstance(model, float) else model.linear for model in self.models]
        features = next(len(form.kernel) for form in forms if form is not None)
        kernel = np.zeros((features, len(forms)))
        bias = np.zeros(len(forms))
        for i, (form, model) in enumerate(zip(forms, self.models, strict=True)):
            if form is None:
                bias[i] = logit(model)
            else:
                kernel[:, i] = form.kernel[:, 1] - form.kernel[:, 0]
                bias[i] = form.bias[1] - form.bias[0]
        return Linear(kernel, bias, "sigmoid")


def logit(share: float) -> float:
    """Return the logarithm of the odds of a probability; bounded, so that it is finite for 0 and 1."""
    return (
        float(np.clip(np.log(share) - np.log1p(-share), -CERTAIN, CERTAIN))
        if 0 < share < 1
        else (CERTAIN if share else -CERTAIN)
    )


def with_all_classes(p: np.ndarray, present: np.ndarray, classes: int) -> np.ndarray:
    """Return probabilities (B, classes) from those (B, C) of the classes that occur in the training rows."""
    all_p = np.zeros((len(p), classes))
    all_p[:, present] = p
    return all_p


def folds_of_few(subset: "BaselineData") -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (training rows, held-out rows) of folds of the training rows, by which a strength is chosen.

    Empty if there are enough validation rows to choose by, too many training rows, or too few of a class.

    Args:
        subset: the `BaselineData`.
    """
    y = subset.y
    validation = 0 if subset.validation is None else len(subset.validation)
    if validation >= FEWEST_CHOSEN_ON or not 2 * FOLDS <= len(y) <= _MOST_FOLDED:
        return []
    # Equal rows stay in one fold: those of another would tell their targets, and a row of weight 2 equals two rows.
    cells = np.column_stack(
        [np.asarray(part, "float64").reshape(len(y), -1) for part in (subset.x, y)]
    )
    _, first_rows, row_of = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    y = y[first_rows]
    selection = import_module("sklearn.model_selection")
    if subset.data.problem.classes_of(y) is not None:
        counts = np.bincount(y)
        folds = min(FOLDS, counts[counts > 0].min())
        if folds < 2 or np.count_nonzero(counts) < 2:
            return []
        splitter = selection.StratifiedKFold(folds, shuffle=True, random_state=subset.seed)
    elif len(y) < 2 * FOLDS:
        return []
    else:
        splitter = selection.KFold(FOLDS, shuffle=True, random_state=subset.seed)
    fold_of_row = np.empty(len(y), int)
    for number, (_, held_out) in enumerate(splitter.split(y, y)):
        fold_of_row[held_out] = number
    fold_of_row = fold_of_row[row_of.reshape(-1)]
    return [
        (np.flatnonzero(fold_of_row != number), np.flatnonzero(fold_of_row == number))
        for number in range(fold_of_row.max() + 1)
    ]


def best_by_folds(
    subset: "BaselineData",
    strengths: Sequence[float],
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    loss: Callable[[float, np.ndarray, np.ndarray], np.ndarray],
    label: Callable[[float], str],
) -> float:
    """Return the strength with the smallest mean loss over folds, and note it.

    Args:
        subset: the `BaselineData`.
        strengths: the candidates.
        folds: of `folds_of_few`.
        loss: function of (strength, training rows, held-out rows) that returns the losses of the held-out rows.
        label: function of a strength that returns its text.
    """
    weight = np.ones(len(subset.y)) if subset.weight is None else subset.weight

    def best() -> str:
        sums = {
            s: sum(float(loss(s, train, held) @ weight[held]) for train, held in folds)
            for s in strengths
        }
        name = label(min(sums, key=sums.__getitem__))
        subset.notes.append(f"{name}, chosen by {len(folds)} folds of the training rows")
        return name

    return {label(strength): strength for strength in strengths}[subset.chosen(best)]


def _log_losses(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the log loss of each row (N,): of classes (N,), or of labels (N, labels) whose NaN do not count."""
    if y.ndim == 1:
        return -np.log(np.clip(p[np.arange(len(y)), y], 1e-9, None))
    losses = -np.log(np.clip(np.where(y == 1, p, 1 - p), 1e-9, None))
    return np.where(np.isnan(y), 0.0, losses).sum(axis=1)


def best_logistic(
    subset: "BaselineData",
    x: Matrix,
    features: Features,
    strengths: Sequence[float],
    **blocks: Any,
) -> "Predictor":
    """Return the predictor of the logistic regression of `chosen_logistic`, which has the same arguments."""
    classify = chosen_logistic(subset, x, features, strengths, **blocks)
    return subset.by_blocks(
        lambda rows: classify(features(rows)),
        network=lambda inputs: classify.linear.network(features, inputs),
        **blocks,
    )


def chosen_logistic(
    subset: "BaselineData",
    x: Matrix,
    features: Features,
    strengths: Sequence[float],
    **blocks: Any,
) -> "_Logistic | _ModelPerLabel":
    """Return the logistic regression whose strength is best on validation data.

    With few validation rows, it is the one with the smallest log loss over folds of the training rows.

    Args:
        subset: the `BaselineData`.
        x: (N, F) features of its training rows.
        features: function of rows that returns their features; with `linear` (see `Linear.network`).
        strengths: values of scikit-learn's C.
        blocks: options of `by_blocks`.
    """
    y = subset.y

    def fitted(c: float) -> "_Logistic | _ModelPerLabel":
        return classifier(
            x, y, subset.outputs, inverse_strength=c, seed=subset.seed, weight=subset.weight
        )

    if folds := folds_of_few(subset):

        def loss(c: float, train: np.ndarray, held: np.ndarray) -> np.ndarray:
            weight = None if subset.weight is None else subset.weight[train]
            classify = classifier(
                x[train],
                y[train],
                subset.outputs,
                inverse_strength=c,
                seed=subset.seed,
                weight=weight,
            )
            return _log_losses(classify(x[held]), y[held])

        return fitted(best_by_folds(subset, strengths, folds, loss, lambda c: f"C={c:g}"))
    models = {f"C={c:g}": fitted(c) for c in strengths}

    def predictor(classify: "_Logistic | _ModelPerLabel") -> "Predictor":
        return subset.by_blocks(lambda rows: classify(features(rows)), **blocks)

    return models[subset.choose({name: predictor(model) for name, model in models.items()})]


def classifier_seconds(rows: int, features: float, classes: int) -> float:
    """Return the estimated seconds of `classifier` for all `INVERSE_STRENGTHS` together, on one core."""
    return 0.02 + len(INVERSE_STRENGTHS) * 1e-7 * rows * features * (classes if classes > 2 else 1)
