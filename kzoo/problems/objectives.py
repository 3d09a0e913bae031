"""Objectives: the score that decides which epoch, trial or run is best, by a name, or by a function of the user.

`train`, `tune`, `compare` and `cross_validate` read it by `resolve`. Names are those of the task's scores
(`Task.scores`), which have the direction. Standard library only.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal

from kzoo.problems.stored_types import TrainingSettings
from kzoo.problems.tasks import Problem, Score, score_named, tasks
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line, hint

if TYPE_CHECKING:
    import numpy as np


POSITIVE = "_positive"  # ending of the scores of the positive class of two
LEVEL = "@"  # a score whose name has it needs a level: recall@precision=0.9
# Scores that Keras' metrics give exactly for a whole split, so that no second prediction of it is needed. Its AUC is
# an approximation by 200 thresholds, and its F1 is a mean over batches.
_EXACT_IN_KERAS = ("loss", "accuracy", "mae", "rmse")
_OTHER_NAMES = {  # names in other libraries and of other tasks, for hints only
    "f1_macro": "f1",
    "macro_f1": "f1",
    "f1_score": "f1",
    "f1_binary": "f1",
    "roc_auc": "auc",
    "auroc": "auc",
    "log_loss": "loss",
    "logloss": "loss",
    "neg_log_loss": "loss",
    "crossentropy": "loss",
    "acc": "accuracy",
    "pr_auc": "average_precision",
    "auprc": "average_precision",
    "ap": "average_precision",
    "bacc": "balanced_accuracy",
    "mean_absolute_error": "mae",
    "root_mean_squared_error": "rmse",
    "r2_score": "r2",
    "f1": "f1_macro",
    "average_precision": "average_precision_macro",
    "cost": "expected_cost",
    "recall_at_precision": "recall@precision=0.9",
}


class Objective(str):
    """The name of an objective, with its direction, and its function if it is the user's; stored as its name.

    Attributes:
        best: "max" or "min".
        function: the user's function of (truth, predictions); None for a score of the task.
        response_method: what the function takes as predictions: "predict" or "predict_proba".
        score: name of the score of the task, without a level: "recall@precision".
        level: the level: 0.9 in "recall@precision=0.9"; None without one.
    """

    best: Literal["max", "min"]
    function: Callable[..., Any] | None
    response_method: Literal["predict", "predict_proba"]

    def __new__(
        cls,
        name: str,
        *,
        best: Literal["max", "min"] = "max",
        function: Callable[..., Any] | None = None,
        response_method: Literal["predict", "predict_proba"] = "predict",
    ) -> "Objective":
        objective = super().__new__(cls, name)
        objective.best = best
        objective.function = function
        objective.response_method = response_method
        return objective

    @property
    def score(self) -> str:
        return self.partition("=")[0]

    @property
    def level(self) -> float | None:
        level = self.partition("=")[2]
        return float(level) if level else None


def objective(
    score_func: Callable[..., float],
    *,
    best: Literal["max", "min"] = "max",
    response_method: Literal["predict", "predict_proba"] = "predict",
    name: str | None = None,
) -> Objective:
    """Return a function as an objective, for `objective=` of `kzoo.train`, `tune` and `cross_validate`.

    It is called with the whole validation split after each epoch, as scikit-learn calls the `score_func` of
    `make_scorer`.

    Args:
        score_func: function of (truth, predictions) that returns a number; of rows with weights also of sample_weight=.
            Of two classes, truth is 1 for the positive class (the second, unless `positive=` says otherwise) and 0 for
            the other; of several, it is the index of the class. Values are (N,), or (N, ..., targets) of several
            targets, in the unit of the target.
        best: "max" if larger is better, "min" if smaller is.
        response_method: "predict" passes classes or values; "predict_proba" probabilities, (N,) of the positive of two
            classes, else (N, classes).
        name: in logs and messages; the default is the name of the function.

    Returns:
        The objective.

    Raises:
        KzooError: an argument of a wrong type.

    Examples:
        >>> from functools import partial
        >>> from sklearn.metrics import fbeta_score
        >>> f2 = kzoo.objective(partial(fbeta_score, beta=2), name="f2")
        >>> run = kzoo.train(
        ...     "tabular_fnn", "churn.csv", target="churned", objective=f2, epochs=2, out="runs/f2"
        ... )
        >>> "f2" in run.summary["test"]
        True
    """
    if not callable(score_func) or isinstance(score_func, str):
        raise KzooError(
            "must be a function of (truth, predictions).", argument="score_func", value=score_func
        )
    if not isinstance(best, str) or best not in ("max", "min"):
        raise KzooError(
            "must be 'max' (larger is better) or 'min' (smaller is better).",
            argument="best",
            value=best,
        )
    if not isinstance(response_method, str) or response_method not in ("predict", "predict_proba"):
        raise KzooError(
            "must be 'predict' or 'predict_proba'.",
            argument="response_method",
            value=response_method,
        )
    if name is None:
        name = getattr(score_func, "__name__", None) or type(score_func).__name__
    if not isinstance(name, str) or not name.isidentifier():
        is_lambda = isinstance(name, str) and name == "<lambda>"
        fix = (
            "Pass name=, such as name='gain'."
            if is_lambda
            else "Use letters, digits and underscores."
        )
        raise KzooError(f"cannot be a column of the history. {fix}", argument="name", value=name)
    return Objective(name, best=best, function=score_func, response_method=response_method)


def read(value: object, argument: str = "objective") -> str | Objective | None:
    """Return the value of `objective=` as a name or an `Objective`: a function needs its direction.

    Raises:
        KzooError: neither a name, nor a pair of a function and "max" or "min".
    """
    if isinstance(value, tuple | list) and len(value) == 2 and callable(value[0]):
        return objective(value[0], best=value[1])
    if callable(value):
        raise KzooError(
            "has no direction. Use kzoo.objective(function, best='max'), or best='min'.",
            argument=argument,
            value=value,
        )
    if value is not None and not isinstance(value, str):
        raise KzooError(
            "must be the name of a score, such as 'f1', or kzoo.objective(function, best='max').",
            argument=argument,
            value=value,
        )
    return value


def deciding(settings: TrainingSettings) -> list[Objective]:
    """Return the scores by which training settings decide: the objective, the cost, the score of the decision.

    Args:
        settings: training settings, also stored ones, in which functions are names.
    """
    scores: list[Objective] = []
    for value in (
        settings.get("objective"),
        settings.get("cost") and "expected_cost",
        settings.get("decision"),
    ):
        if isinstance(value, Objective):
            scores.append(value)
        elif value:
            known = score_named(value)
            best: Any = known.best if known is not None else settings.get("mode") or "max"
            scores.append(Objective(value, best=best))
    return scores


def is_score(name: str) -> bool:
    """Return whether a name, with or without `val_` and a level, is a score of some task."""
    base = name.removeprefix("val_").partition("=")[0]
    return any(base in _scores(task.scores) for task in tasks().values())


def names(problem: Problem) -> list[str]:
    """Return the names of the objectives of a problem; those with a level end in "=0.9"."""
    return [
        f"{name}=0.9" if LEVEL in name else name
        for name, score in _scores(problem.task.scores).items()
        if not score.objective_instead
    ]


def _scores(scores: Mapping[str, Score]) -> dict[str, Score]:
    return {
        name: score
        for name, score in scores.items()
        if not score.baseline and score.form not in INTERVALS
    }


INTERVALS = ("interval", "bounds")  # forms of scores that are intervals of another score


def resolve(
    value: object, problem: Problem, *, reported: Collection[str] = (), argument: str = "objective"
) -> Objective:
    """Return the `Objective` of a value for a problem.

    Args:
        value: a name, with or without `val_`, or an `Objective`.
        problem: the problem whose task has the scores.
        reported: names of further metrics that the model reports.
        argument: the name of the argument, for messages.

    Raises:
        KzooError: an unknown name, a score of other tasks or one that does not tell which predictions are better, or a
            level that is missing, wrong or superfluous.
    """
    value = read(value, argument)
    assert isinstance(value, str)  # an `Objective` is one too
    if isinstance(value, Objective) and value.function is not None:
        if "kept" not in problem.facts or not problem.facts & {"classes", "values"}:
            raise KzooError(
                f"is a function of the predictions, which {problem.name} lacks.",
                argument=argument,
                value=str(value),
            )
        return value
    name = value.removeprefix("val_")
    base, equals, level = name.partition("=")
    scores = _scores(problem.task.scores)
    if base not in scores:
        if name in reported:
            return Objective(name)
        raise KzooError(_unknown(value, base, problem, argument, reported))
    if scores[base].objective_instead:
        raise KzooError(
            f"does not tell which predictions are better. Use {scores[base].objective_instead!r}, "
            f"or one of: {', '.join(name for name in names(problem) if name != scores[base].objective_instead)}.",
            argument=argument,
            value=value,
        )
    if (LEVEL in base) != bool(equals):
        fix = f"Write {base}=0.9" if LEVEL in base else f"Use {argument}={base!r}"
        raise KzooError(
            f"{'needs a' if LEVEL in base else 'takes no'} level. {fix}.",
            argument=argument,
            value=value,
        )
    if equals and not _is_share(level):
        raise KzooError(
            f": {level!r} must be a number above 0 and below 1, such as {base}=0.9.",
            argument=argument,
            value=value,
        )
    best: Any = scores[base].best
    return Objective(name, best=best)


def _is_share(text: str) -> bool:
    try:
        return 0 < float(text) < 1
    except ValueError:
        return False


def _unknown(
    value: str, base: str, problem: Problem, argument: str, reported: Iterable[str]
) -> str:
    legal = [*names(problem), *(name for name in reported if name not in problem.task.scores)]
    others = dict.fromkeys(name for task in tasks().values() for name in _scores(task.scores))
    use = f"Use one of: {', '.join(legal)}, or kzoo.objective(function)."
    other = _OTHER_NAMES.get(base.lower())
    near = f"Did you mean {other!r}? " if other in legal else ""
    if base in others:
        return f"{argument}={value!r} is not a score of {problem.name}. {near}{use}"
    near = near or hint(base, legal)
    return f"{argument}={value!r} is unknown. {near}{use}"


def call_score(
    objective: Objective,
    truth: "np.ndarray",
    predictions: "np.ndarray",
    weight: "np.ndarray | None" = None,
) -> float:
    """Return the value of a user's function for a whole split.

    Raises:
        KzooError: it raises an error, does not return a number, or takes no `sample_weight` where rows have weights.
    """
    function: Any = objective.function
    if weight is not None and "sample_weight" not in signature(function).parameters:
        raise KzooError(
            ": the rows have weights, and this function has no argument sample_weight. "
            "Add it, as scikit-learn's scores have it.",
            argument="objective",
            value=str(objective),
        )
    try:
        value = function(
            truth, predictions, **({} if weight is None else {"sample_weight": weight})
        )
        return float(value)
    except Exception as error:
        raise KzooError(
            f"failed on the validation split: {type(error).__name__}: {first_line(error)}",
            argument="objective",
            value=str(objective),
        ) from error


def score_of_values(
    objective: Objective,
    truth: "np.ndarray",
    outputs: "np.ndarray",
    weight: "np.ndarray | None" = None,
) -> float:
    """Return the value of a user's function for values (N, ..., targets) of a whole split; of one target they are (N,).

    Raises:
        KzooError: see `call_score`.
    """
    shape = (-1,) if truth[0].size == 1 else truth.shape
    return call_score(objective, truth.reshape(shape), outputs.reshape(shape), weight)


def is_exact_in_keras(name: Objective, reported: Sequence[str]) -> bool:
    """Return whether a metric that the model reports is this objective of the whole validation split."""
    return name.function is None and name in _EXACT_IN_KERAS and name in reported
