"""Hyperparameter importance: how strongly each hyperparameter decided the ranking of a search's trials.

A random forest predicts the rank of trials from their hyperparameters. The importance of a hyperparameter is the loss
of R2 on held-out trials when its values are shuffled (permutation importance, Breiman 2001, "Random Forests"). Ranks
are predicted because a single loss of 1000 among losses of 0.1 would dominate a fit of the scores. Trials in which a
hyperparameter is inactive get no imputed value: with its default filled in, `momentum` would get the credit of
`optimizer`.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import KFold

from kzoo.tuning.records import Objective, Trial
from kzoo.tuning.spaces.entry import Parameter, Value
from kzoo.utils.errors import KzooError

# largest R2 of 120 draws of random scores: 20, 40, 80 trials, 10 hyperparameters (95 %: 0.03)
CHANCE = 0.1
LEAST = 15  # fewest trials for which a forest's result is reliable
REPEATS = 10
_FOLDS, _TREES, _SHUFFLES = 5, 30, 8


@dataclass(frozen=True, kw_only=True)
class HyperparameterImportance:
    """The importance of one hyperparameter.

    Args:
        name: its name.
        mean, sd: mean and standard deviation over the random splits of the loss of R2 when it is shuffled.
        trials: number of trials in which it was active.
        r2: R2 of the forest on these trials.
    """

    name: str
    mean: float
    sd: float
    trials: int
    r2: float

    @property
    def weak(self) -> bool:
        """Whether the forest predicts no better than chance, which makes the importance meaningless."""
        return self.r2 < CHANCE


@dataclass(frozen=True, kw_only=True)
class Importance:
    """Importance of the hyperparameters of a search.

    Args:
        objective: name of the objective.
        rows: a `HyperparameterImportance` for each hyperparameter, the most important first.
        trials: number of distinct points with a score.
        r2, r2_sd: mean and standard deviation of the forest's R2 on all of them.
        repeats: number of random splits.
        left_out: (name, reason) of each hyperparameter without an importance.
    """

    objective: str
    rows: tuple
    trials: int
    r2: float
    r2_sd: float
    repeats: int
    left_out: tuple

    @property
    def weak(self) -> bool:
        """Whether the forest predicts no better than chance, which makes all importances meaningless."""
        return self.r2 < CHANCE

    @property
    def sentence(self) -> str:
        """A sentence on how well the forest predicts."""
        end = ": no better than chance" if self.weak else ""
        return f"A random forest predicts the rank of held-out trials with R² {self.r2:.2f} ± {self.r2_sd:.2f}{end}"


def importance_of(
    trials: Sequence[Trial], objective: Objective, parameters: Iterable[Parameter]
) -> Importance:
    """Return the hyperparameter importances of a search.

    Args:
        trials: as in `Search.trials`.
        objective: an `Objective`.
        parameters: as in `Search.parameters`.

    Raises:
        KzooError: fewer than 15 trials have a score, or all scores are equal.
    """
    scored = _latest(
        [t for t in trials if t.score is not None and t.status in ("completed", "pruned")]
    )
    if len(scored) < LEAST:
        raise KzooError(
            f"Importance needs at least {LEAST} finished trials, got {len(scored)}. Continue the search with trials=30."
        )
    columns = _columns(scored, parameters)
    ranks = rankdata([objective.sign * (t.score or 0) for t in scored]) / len(scored)
    rows = []
    left_out = []
    measured = {}
    if len(set(ranks)) == 1:
        raise KzooError(
            f"All {len(scored)} trials have the same score, so no hyperparameter has an effect."
        )
    for name, values in columns.items():
        active = tuple(i for i, value in enumerate(values) if value is not None)
        if len(active) < LEAST:
            left_out.append((name, f"active in only {len(active)} trials"))
        elif len({values[i] for i in active}) == 1:
            left_out.append((name, "only one value"))
        else:
            if active not in measured:
                measured[active] = _measure(columns, ranks, active)
            mean, sd, r2_scores = measured[active][name]
            rows.append(
                HyperparameterImportance(
                    name=name, trials=len(active), mean=mean, sd=sd, r2=r2_scores[0]
                )
            )
    overall = measured.get(tuple(range(len(scored)))) or _measure(
        columns, ranks, tuple(range(len(scored)))
    )
    _, _, (r2, r2_sd) = next(iter(overall.values()), (0.0, 0.0, (0.0, 0.0)))
    return Importance(
        objective=objective.name,
        rows=tuple(sorted(rows, key=lambda row: -row.mean)),
        trials=len(scored),
        r2=r2,
        r2_sd=r2_sd,
        repeats=REPEATS,
        left_out=tuple(left_out),
    )


def _latest(trials: Sequence[Trial]) -> list[Trial]:
    """Return the last trial of each point: Hyperband continues a point as a new trial."""
    last = {tuple(sorted(t.hyperparameters.items())): t for t in trials}
    return sorted(last.values(), key=lambda t: t.number)


def _columns(
    trials: Sequence[Trial], parameters: Iterable[Parameter]
) -> dict[str, list[Value | None]]:
    """Return name -> its value in each trial, None where the hyperparameter is inactive.

    The learning rates of all optimizers form one column: the position within each optimizer's range.
    """
    columns: dict[str, Any] = {}
    for parameter in parameters:
        name, position = _shared_name(parameter), _position_function(parameter)
        column = columns.setdefault(name, [None] * len(trials))
        for i, trial in enumerate(trials):
            value = trial.hyperparameters.get(parameter.name)
            if value is not None:
                column[i] = position(value) if name != parameter.name else value
    return columns


def _shared_name(parameter: Parameter) -> str:
    """Return "learning_rate" for "learning_rate_adam" if it depends on the optimizer "adam"; otherwise the name."""
    values: Any = parameter.when[1] if parameter.when else ()
    suffix = f"_{values[0]}" if len(values) == 1 and isinstance(values[0], str) else None
    return parameter.name.removesuffix(suffix) if suffix else parameter.name


def _position_function(parameter: Parameter) -> Callable[[float], float]:
    """Return a function that maps a value to its position in the parameter's range, from 0 to 1."""
    if parameter.values:
        return parameter.values.index
    low, high = (math.log(end) if parameter.log else end for end in parameter.bounds)
    return lambda value: ((math.log(value) if parameter.log else value) - low) / ((high - low) or 1)


def _measure(
    columns: Mapping[str, Sequence[Value | None]], ranks: np.ndarray, rows: Sequence[int]
) -> dict[str, tuple[float, float, tuple[float, float]]]:
    """Return name -> (mean, sd, (R2, its sd)) for each hyperparameter that varies and is active in all given trials.

    Args:
        columns: name -> values of all trials.
        ranks: array (trials,).
        rows: indices of the trials to use.
    """
    encoded = {}
    for name, values in columns.items():
        column = [value for i in rows if (value := values[i]) is not None]
        if len(column) == len(rows) and len(set(column)) > 1:
            encoded[name] = _encode(column)
    if not encoded:
        return {}
    y = ranks[list(rows)]
    table = np.hstack(list(encoded.values()))
    ends = np.cumsum([part.shape[1] for part in encoded.values()])
    slices = {
        name: slice(end - part.shape[1], end)
        for (name, part), end in zip(encoded.items(), ends, strict=True)
    }
    importances: dict[str, list[float]] = {name: [] for name in slices}
    r2_scores: list[float] = []
    # A column of R2 losses for each hyperparameter, one value per random split.
    for repeat in range(REPEATS):
        intact, shuffled = _predict(table, y, slices, repeat)
        variation = np.sum((y - y.mean()) ** 2)
        r2_scores.append(1 - np.sum((y - intact) ** 2) / variation)
        for name in slices:
            error = np.sum((y - shuffled[name]) ** 2) / _SHUFFLES / variation
            importances[name].append(r2_scores[-1] - (1 - error))
    return {
        name: (*_mean_sd(samples), _mean_sd(r2_scores)) for name, samples in importances.items()
    }


def _mean_sd(values: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1))


def _encode(values: Sequence[Value]) -> np.ndarray:
    """Return a float column (N, 1) for numbers, and one 0/1 column for each category otherwise."""
    if all(isinstance(category, int | float) for category in values):
        return np.array(values, "float64")[:, None]
    words = sorted(set(map(str, values)))
    return np.array([[float(str(category) == word) for word in words] for category in values])


def _predict(
    table: np.ndarray, y: np.ndarray, slices: Mapping[str, slice], seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return out-of-fold predictions, unshuffled (N,) and for each hyperparameter shuffled (_SHUFFLES, N)."""
    random = np.random.default_rng(seed)
    intact = np.empty(len(y))
    shuffled = {name: np.empty((_SHUFFLES, len(y))) for name in slices}
    for train, test in KFold(_FOLDS, shuffle=True, random_state=seed).split(table):
        forest = RandomForestRegressor(_TREES, random_state=seed).fit(table[train], y[train])
        inputs = [table[test]]
        for columns in slices.values():
            # Shuffled values come from all trials, held-out or not.
            for _ in range(_SHUFFLES):
                inputs.append(table[test].copy())
                inputs[-1][:, columns] = table[random.permutation(len(y))[: len(test)], columns]
        predictions = forest.predict(np.vstack(inputs)).reshape(len(inputs), len(test))
        intact[test] = predictions[0]
        for i, name in enumerate(slices):
            shuffled[name][:, test] = predictions[1 + i * _SHUFFLES : 1 + (i + 1) * _SHUFFLES]
    return intact, shuffled
