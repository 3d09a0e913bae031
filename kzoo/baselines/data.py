"""`Given`: the data as a baseline gets it, which learns from some of the training rows and chooses on validation."""

import math

import numpy as np

from kzoo.kinds import kind
from kzoo.results import displayed_metric, value_of
from kzoo.sources.arrays import class_numbers
from kzoo.storage.windows import sample_indices
from kzoo.tasks import score_named

MOST_CHOSEN_ON = 20_000  # validation rows
_AT_A_TIME = 4_000_000  # numbers of a block of inputs, or of what is made of them


class BaselineData:
    """A data set for one baseline.

    Args:
        data: a `Dataset`.
        seed: of whatever the baseline draws.
        most: training rows that it learns from, at the most.
        logits: what its outputs are (see `Baseline`).
        shared: a dict in which baselines on the same data keep what several of them need.

    Attributes:
        notes: what the baseline has to say.
    """

    def __init__(self, data, *, seed=0, most=None, logits=False, shared=None):
        self.data, self.seed, self.logits, self.notes = data, seed, logits, []
        self.shared = {} if shared is None else shared
        count = len(data.train)
        self.train = _few(data.train, count if most is None else most)
        if len(self.train) < count:
            self.notes.append(f"learned from {len(self.train):,} of {count:,} training rows")
        part = data.validation
        self.validation = None if part is None or not len(part) else _few(part, MOST_CHOSEN_ON)

    @property
    def kind(self):
        """The kind of the inputs."""
        return kind(self.data.inputs)

    @property
    def shape(self):
        """The shape of one input."""
        return tuple(self.data.train.x.shape[1:])

    @property
    def outputs(self):
        """Classes, or numbers in an answer."""
        if "classes" in self.data.problem.facts:
            return max(len(self.data.class_names), 2)
        return int(np.prod(self.data.train.y.shape[1:]))

    @property
    def x(self):
        """The training inputs."""
        return np.asarray(self.train.x[:])

    @property
    def y(self):
        """Their answers: class numbers (N,), or values (N, ...)."""
        return truth_of(self.train.y[:], self.data.problem)

    @property
    def weight(self):
        """How much each training row counts (N,); None where all count alike."""
        return self.train.weight

    def blocks(self, part=None, *, wide=1):
        """Yield inputs and answers of the training rows, or of another split, as many at once as memory has room for.

        Args:
            part: a `Split`.
            wide: how many numbers an input becomes, where these are more than it has.
        """
        part = self.train if part is None else part
        step = max(1, _AT_A_TIME // max(math.prod(part.x.shape[1:]), wide))
        for start in range(0, len(part), step):
            rows = slice(start, min(start + step, len(part)))
            yield np.asarray(part.x[rows]), truth_of(part.y[rows], self.data.problem)

    def by_blocks(self, answer, *, wide=1):
        """Return the function of a split that `Baseline.function` has to, from one of a block of inputs.

        Args:
            answer: function of inputs (B, ...) that gives outputs (B, ...).
            wide: see `blocks`.
        """
        return lambda part: ((answer(x), truth) for x, truth in self.blocks(part, wide=wide))

    def best(self, candidates):
        """Return the function of a split that answers best on validation data, the first where there is none.

        Args:
            candidates: dict of words for a note -> such a function.
        """
        return candidates[self.choose(candidates)]

    def choose(self, candidates):
        """Return the words for the candidate that answers best on validation data, the first where there is none."""
        names = list(candidates)
        if self.validation is None or len(names) == 1:
            return names[0]
        scores = {name: self.scores(candidates[name], self.validation) for name in names}
        metric = metric_of(self.data, scores[names[0]])
        values = {name: value_of(of, metric) for name, of in scores.items()}
        known = {name: value for name, value in values.items() if value is not None}
        if not known:
            return names[0]
        chosen = (min if score_named(metric).best == "min" else max)(known, key=known.__getitem__)
        self.notes.append(f"{chosen}, chosen on validation data")
        return chosen

    def scores(self, answers, part) -> dict:
        """Return what the task's scoring says of answers to a split."""
        more = {} if part.weight is None else {"weight": part.weight}
        return self.data.problem.task.scoring.score(answers(part), self.data.target, logits=self.logits, **more).scores


def _few(part, most):
    """Return a split, of more than `most` rows some, the same ones each time; windows of a series stay windows."""
    if len(part) <= most:
        return part
    return part.select(sample_indices(len(part), most))


def metric_of(data, scores):
    """Return the name of the score that counts: of several targets, whose units may differ, a standardised one.

    Where `scores` have no value for it (the R² of a constant), it is another that they have.
    """
    headline = data.problem.headline
    several = score_named(headline).own_unit and len(data.target_names) > 1
    return displayed_metric("mse_standardised" if several else headline, scores, data.problem.task)


def truth_of(y, problem):
    """Return answers as scoring takes them: one-hot rows become class numbers."""
    return class_numbers(y) if "classes" in problem.facts else np.asarray(y)
