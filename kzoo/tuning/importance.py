"""Which hyperparameters decided how a search's trials came out.

A random forest learns the rank of the trials from their hyperparameters; a hyperparameter matters by as much as the
forest's prediction of trials it has not seen gets worse when its values are shuffled (permutation importance, Breiman
2001, "Random Forests"). Ranks, because one loss of 1000 among losses of 0.1 would be all that a forest learns. No value
is made up for trials in which a hyperparameter does not count: with its default filled in, `momentum` takes the credit
that is the `optimizer`'s.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import KFold

from kzoo.utils.errors import KzooError

CHANCE = 0.1  # the most R2 in 120 draws of scores without meaning: 20, 40, 80 trials, 10 hyperparameters (95 %: 0.03)
LEAST = 15  # trials, below which a forest learns nothing that one should believe
REPEATS = 10
_FOLDS, _TREES, _SHUFFLES = 5, 30, 8


@dataclass(frozen=True, kw_only=True)
class HyperparameterImportance:
    """How much a hyperparameter mattered.

    Args:
        name: of it.
        mean, sd: loss of R2 over the random splits.
        trials: in how many it counted.
        r2: of the forest for these.
    """

    name: str
    mean: float
    sd: float
    trials: int
    r2: float

    @property
    def weak(self) -> bool:
        """Whether the forest predicts no better than chance, and the loss means nothing."""
        return self.r2 < CHANCE


@dataclass(frozen=True, kw_only=True)
class Importance:
    """What decided the rank of a search's trials.

    Args:
        objective: name of what was searched for.
        rows: a `Mattered` for each hyperparameter, the most important first.
        trials: that have a score, each point once.
        r2, r2_sd: of the forest for all of them.
        repeats: random splits.
        left_out: (name, why) of the other hyperparameters.
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
        """Whether the forest predicts no better than chance, and none of it means anything."""
        return self.r2 < CHANCE

    @property
    def sentence(self) -> str:
        """How well the forest predicts."""
        end = ": no better than chance" if self.weak else ""
        return (
            f"A random forest predicts the rank of trials it has not seen with R² {self.r2:.2f} ± {self.r2_sd:.2f}{end}"
        )


def importance_of(trials, objective, parameters) -> Importance:
    """Return what mattered, the most important first.

    Args:
        trials: as in `Search.trials`.
        objective: an `Objective`.
        parameters: as in `Search.parameters`.

    Raises:
        KzooError: fewer than 15 trials with a score.
    """
    scored = _latest([t for t in trials if t.score is not None and t.status in ("completed", "pruned")])
    if len(scored) < LEAST:
        raise KzooError(
            f"Importance needs at least {LEAST} finished trials, and there are {len(scored)}. Tune on with trials=30."
        )
    columns = _columns(scored, parameters)
    ranks = rankdata([objective.sign * t.score for t in scored]) / len(scored)
    rows, left_out, done = [], [], {}
    if len(set(ranks)) == 1:
        raise KzooError(f"All {len(scored)} trials have the same score: nothing made a difference.")
    for name, values in columns.items():
        active = tuple(i for i, value in enumerate(values) if value is not None)
        if len(active) < LEAST:
            left_out.append((name, f"counted in {len(active)} trials"))
        elif len({values[i] for i in active}) == 1:
            left_out.append((name, "one value only"))
        else:
            if active not in done:
                done[active] = _measure(columns, ranks, active)
            mean, sd, fit = done[active][name]
            rows.append(HyperparameterImportance(name=name, trials=len(active), mean=mean, sd=sd, r2=fit[0]))
    whole = done.get(tuple(range(len(scored)))) or _measure(columns, ranks, tuple(range(len(scored))))
    _, _, (r2, r2_sd) = next(iter(whole.values()), (0.0, 0.0, (0.0, 0.0)))
    return Importance(
        objective=objective.name, rows=tuple(sorted(rows, key=lambda row: -row.mean)), trials=len(scored), r2=r2,
        r2_sd=r2_sd, repeats=REPEATS, left_out=tuple(left_out),
    )  # fmt: skip


def _latest(trials):
    """Return the last record of each point: Hyperband continues a point as a new trial."""
    last = {tuple(sorted(t.hyperparameters.items())): t for t in trials}
    return sorted(last.values(), key=lambda t: t.number)


def _columns(trials, parameters):
    """Return the values of each hyperparameter in all trials, None where it does not count.

    The learning rates of the optimizers are one hyperparameter: the place in the range that goes with the optimizer.
    """
    columns: dict[str, Any] = {}
    for p in parameters:
        stem, place = _stem(p), _placed(p)
        column = columns.setdefault(stem, [None] * len(trials))
        for i, trial in enumerate(trials):
            value = trial.hyperparameters.get(p.name)
            if value is not None:
                column[i] = place(value) if stem != p.name else value
    return columns


def _stem(p):
    """Return "learning_rate" for "learning_rate_adam", which counts if the optimizer is "adam"; else the name."""
    values: Any = p.when[1] if p.when else ()
    ending = f"_{values[0]}" if len(values) == 1 and isinstance(values[0], str) else None
    return p.name.removesuffix(ending) if ending else p.name


def _placed(p):
    """Return a function that gives the place of a value in its range, from 0 to 1."""
    if p.values:
        return p.values.index
    low, high = (math.log(end) if p.log else end for end in (p.low, p.high))
    return lambda value: ((math.log(value) if p.log else value) - low) / ((high - low) or 1)


def _measure(columns, ranks, rows):
    """Return name -> (mean, sd, (R2, its sd)) for each hyperparameter that counts in all of some trials."""
    coded = {}
    for name, values in columns.items():
        mine = [values[i] for i in rows]
        if None not in mine and len(set(mine)) > 1:
            coded[name] = _coded(mine)
    if not coded:
        return {}
    y = ranks[list(rows)]
    table = np.hstack(list(coded.values()))
    ends = np.cumsum([part.shape[1] for part in coded.values()])
    places = {name: slice(end - part.shape[1], end) for (name, part), end in zip(coded.items(), ends, strict=True)}
    losses: dict[str, list[float]] = {name: [] for name in places}
    fits: list[float] = []
    for repeat in range(REPEATS):
        whole, shuffled = _predict(table, y, places, repeat)
        spread = np.sum((y - y.mean()) ** 2)
        fits.append(1 - np.sum((y - whole) ** 2) / spread)
        for name in places:
            worse = np.sum((y - shuffled[name]) ** 2) / _SHUFFLES / spread
            losses[name].append(fits[-1] - (1 - worse))
    return {name: (*_mean_sd(lost), _mean_sd(fits)) for name, lost in losses.items()}


def _mean_sd(values):
    return float(np.mean(values)), float(np.std(values, ddof=1))


def _coded(values):
    """Return a column for numbers; for words, a column of 0 and 1 for each."""
    if all(isinstance(v, int | float) for v in values):
        return np.array(values, "float64")[:, None]
    words = sorted(set(map(str, values)))
    return np.array([[float(str(v) == word) for word in words] for v in values])


def _predict(table, y, places, seed):
    """Return the forest's predictions of rows it has not seen, and those with each hyperparameter's values shuffled."""
    random = np.random.default_rng(seed)
    whole = np.empty(len(y))
    shuffled = {name: np.empty((_SHUFFLES, len(y))) for name in places}
    for seen, unseen in KFold(_FOLDS, shuffle=True, random_state=seed).split(table):
        forest = RandomForestRegressor(_TREES, random_state=seed).fit(table[seen], y[seen])
        rows = [table[unseen]]
        for place in places.values():
            for _ in range(_SHUFFLES):
                rows.append(table[unseen].copy())
                rows[-1][:, place] = table[random.permutation(len(y))[: len(unseen)], place]
        guesses = forest.predict(np.vstack(rows)).reshape(len(rows), len(unseen))
        whole[unseen] = guesses[0]
        for i, name in enumerate(places):
            shuffled[name][:, unseen] = guesses[1 + i * _SHUFFLES : 1 + (i + 1) * _SHUFFLES]
    return whole, shuffled
