"""What a search will cost, said before anything is trained."""

import math
import re
from dataclasses import dataclass

import keras_tuner as kt

from kzoo.errors import KzooError
from kzoo.tuning.engines import LEARNING, make_oracle, random_starts

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The size of a search.

    Args:
        preset, data, engine: what is searched on what, and how.
        objective: (name, direction).
        trials: exactly so many, unless the space or the time ends before.
        epochs: of them all, at most: training stops early where nothing improves, and pruning cuts.
        random: how many trials are drawn at random, anywhere or (bayesian, optuna) around the preset.
        hyperparameters: how many are searched.
        points: how many points there are, None for a continuum.
        params: (fewest, the preset's, most) parameters among the default point and some random ones.
        sampled: how many points those are.
        step: seconds of one training step of the preset.
        seconds: of all training, by that step.
        brackets: Hyperband's (trials, epochs before, epochs after) of each round.
        space: the space, as text.
    """

    preset: str
    data: str
    engine: str
    objective: tuple
    trials: int
    epochs: int
    random: int
    hyperparameters: int
    points: int | None
    params: tuple
    sampled: int
    step: float
    seconds: float
    folds: int | None = None
    brackets: tuple = ()
    space: str = ""

    def __str__(self):
        name, direction = self.objective
        points = "a continuum" if self.points is None else f"{self.points:,} points"
        folds = "" if self.folds is None else f", each over {self.folds} folds"
        where = "around the preset" if self.engine in LEARNING else "at random"
        low, own, high = self.params
        lines = [
            f"{self.preset} on {self.data}: engine {self.engine}, {name} ({direction}), "
            f"{self.hyperparameters} hyperparameters, {points}",
            f"{self.trials} trials{folds}, at most {self.epochs:,} epochs; {self.random} of them drawn {where} "
            f"({self.random / max(self.trials, 1):.0%})",
        ]
        if self.engine == "hyperband":
            rounds = ", ".join(f"{n} to epoch {after}" for n, _, after in self.brackets)
            lines.append(f"hyperband decides the number of trials itself: the preset in full, then {rounds}")
        lines.append(
            f"{low:,} to {high:,} parameters among {self.sampled} points, the preset {own:,}; "
            f"about {duration(self.seconds)} if all epochs are trained ({self.step * 1000:.1f} ms a step)"
        )
        return "\n".join(lines)


def size_of(engine, *, trials, epochs, baseline, space, objective, folds):
    """Return (trials, epochs, random trials, Hyperband's rounds) of a search, exactly.

    Args:
        epochs: of the longest training.
    """
    dimensions = len(space.names)
    if engine != "hyperband":
        random = min(random_starts(engine, trials, dimensions), trials)
        random -= int(baseline and random > 0)
        return trials, trials * epochs * (folds or 1), random, ()
    oracle = make_oracle(
        engine, space=space, seed=0, objective=objective, trials=trials, epochs=epochs, baseline=baseline
    )
    rounds = oracle.rounds()
    first = sum(size for size, before, _ in rounds if before == 0)
    own = epochs if baseline else 0
    return (
        sum(size for size, _, _ in rounds) + int(baseline),
        own + sum(size * (after - before) for size, before, after in rounds),
        first,
        tuple(rounds),
    )


def samples_of(space, seed, count=20):
    """Return some random points of a space, as values."""
    hps = kt.HyperParameters()
    space.declare(hps)
    hps.values = {}
    oracle = kt.oracles.RandomSearchOracle(
        objective=kt.Objective("val_loss", "min"), hyperparameters=hps, seed=seed + 1, max_trials=count
    )
    points = [oracle._random_values() for _ in range(count)]
    return [values for values in points if values is not None]


def parse_time(value):
    """Return seconds: of a number of them, or of a text such as "90s", "30m", "2h" or "1h30m"; None is None.

    Raises:
        KzooError: neither.
    """
    if value is None:
        return None
    seconds = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str):
        text = value.strip().lower().replace(" ", "")
        if re.fullmatch(r"\d+(\.\d+)?", text):
            seconds = float(text)
        elif re.fullmatch(r"(\d+(\.\d+)?(s|min|m|h|d))+", text):
            parts = re.findall(r"(\d+(?:\.\d+)?)(s|min|m|h|d)", text)
            seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds is None or not math.isfinite(seconds) or seconds <= 0:
        raise KzooError(f"max_time={value!r} must be a number of seconds above 0, or a text such as '30m' or '1h30m'.")
    return seconds


def duration(seconds) -> str:
    """Write a time as people say it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
