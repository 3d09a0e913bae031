"""Series: ridge regression on the window, in closed form."""

from math import prod

import numpy as np

from kzoo.baselines.baseline import baseline
from kzoo.baselines.linear import STRENGTHS, Sums, with_bias
from kzoo.storage.windows import series_of

_MOST_FEATURES = 1_500  # steps times columns of a window; of a longer one its last steps


@baseline(
    "ridge regression on the window", "columns", "steps", "values", reference="https://arxiv.org/abs/2205.13504",
    seconds=lambda given: 0.01 + 4e-10 * len(given.train) * _work(given) + 2e-7 * _scored(given),
)  # fmt: skip
def ridge_windows(given):
    """Fit the steps ahead as a linear function of the window in closed form.

    Of a series two ways are tried: each target by its own past alone, with the last value taken off and the same
    weights for all (the linear models of "Are Transformers Effective for Time Series Forecasting?"), and by all
    columns. Which of them, and how strong the ridge is, is chosen on validation data.
    """
    ways = {"all columns": every} if not (every := _All(given)).cut else {}
    ways |= {"its own past": _Own(given)} if _own_past(given) else {}
    if not ways:
        ways = {f"the last {every.steps} steps": every}
    for x, y in given.blocks():
        for way in ways.values():
            way.add(x.astype("float64"), y.astype("float64"))
    return given.best(
        {f"{name}, alpha={strength:g} n": way.fitted(strength) for name, way in ways.items() for strength in STRENGTHS}
    )


def _own_past(given):
    """Say whether the first columns of a window are the past of the targets."""
    x, y = given.data.train.x, given.data.train.y
    columns, targets = series_of(x), series_of(y)
    if columns is None or targets is None or targets.ndim != 2:
        return False
    return bool(np.array_equal(columns[: 2 * x.length, : targets.shape[1]], targets[: 2 * x.length]))


def _work(given):
    steps, columns = given.shape
    own = steps**2 * given.data.train.y.shape[-1] if _own_past(given) else 0
    return min(steps * columns, _MOST_FEATURES) ** 2 + own


def _scored(given):
    """Return how many values are answered to choose a strength."""
    chosen_on = given.validation
    return 0 if chosen_on is None else len(STRENGTHS) * len(chosen_on) * prod(chosen_on.y.shape[1:])


class _Way:
    """Windows as features, targets as what is to be added to the last value, both standardised."""

    def __init__(self, given):
        self.given, self.sums = given, Sums()
        x, y = given.train.x, given.train.y
        rows = (np.asarray(part[:]) if (series := series_of(part)) is None else series for part in (x, y))
        (self.middle, self.spread), (self.offset, self.scale) = (_moments(values) for values in rows)
        self.targets = y.shape[-1]

    def fitted(self, strength):
        weights = self.sums.weights(strength)
        return self.given.by_blocks(lambda x: self.answer(np.asarray(x, "float64"), weights))


class _All(_Way):
    """Each answer by all columns of the window."""

    def __init__(self, given):
        super().__init__(given)
        steps, columns = given.shape
        self.steps = min(steps, max(1, _MOST_FEATURES // columns))
        self.cut = self.steps < steps

    def add(self, x, y):
        self.sums.add(self._features(x), ((y - self.offset) / self.scale).reshape(len(y), -1))

    def answer(self, x, weights):
        y = with_bias(self._features(x)) @ weights
        return y.reshape(len(x), *self.given.data.train.y.shape[1:]) * self.scale + self.offset

    def _features(self, x):
        return ((x[:, -self.steps :] - self.middle) / self.spread).reshape(len(x), -1)


class _Own(_Way):
    """Each target by its own past, the last value taken off; one set of weights for all."""

    def add(self, x, y):
        past, last = self._past(x)
        ahead = np.moveaxis((y - self.offset) / self.scale, 1, 2) - last
        self.sums.add(past.reshape(-1, past.shape[-1]), ahead.reshape(-1, ahead.shape[-1]))

    def answer(self, x, weights):
        past, last = self._past(x)
        ahead = (with_bias(past.reshape(-1, past.shape[-1])) @ weights).reshape(*past.shape[:2], -1) + last
        return np.moveaxis(ahead, 1, 2) * self.scale + self.offset

    def _past(self, x):
        """Return the past (B, targets, steps) without its last value, and that (B, targets, 1)."""
        past = np.moveaxis((x[..., : self.targets] - self.offset) / self.scale, 1, 2)
        last = past[..., -1:]
        return past - last, last


def _moments(values):
    values = np.asarray(values, "float64").reshape(-1, values.shape[-1])
    spread = values.std(axis=0)
    return values.mean(axis=0), np.where(spread > 1e-12, spread, 1.0)
