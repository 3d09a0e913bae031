"""`BaselineData`: the data that a baseline learns from: some of the training rows, and validation rows for choices."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from kzoo.data.quantile_widths import learned_step
from kzoo.data.store.longer import longer_windows
from kzoo.data.store.windows import sample_indices
from kzoo.inference.postprocessors import Learned, quantile_widths
from kzoo.inference.postprocessors.decision import STEP, scoring_arguments
from kzoo.inference.postprocessors.postprocessor import Postprocessor, Step, learn
from kzoo.inference.sources.arrays import class_numbers
from kzoo.inference.tasks.quantiles import levels_of
from kzoo.inference.tasks.weighted import score_weighted
from kzoo.problems.kinds import Kind, kind
from kzoo.problems.objectives import Objective
from kzoo.problems.stored_types import Scores, TrainingSettings
from kzoo.problems.tasks import Pairs, Problem, Target
from kzoo.utils.files import JsonObject
from kzoo.zoo.results import deciding_score, standardised_score, value_of

if TYPE_CHECKING:
    import keras

    from kzoo.baselines.baseline import Baseline
    from kzoo.data.dataset import Dataset, Split

PredictSplit: TypeAlias = "Callable[[Split], Pairs]"
KerasFunction: TypeAlias = "Callable[[keras.KerasTensor], keras.KerasTensor]"
Candidate = TypeVar("Candidate", bound=PredictSplit)
Choice = TypeVar("Choice")

MOST_CHOSEN_ON = 20_000  # validation rows used for choices
_AUC = "auc"
# share of the training rows: accuracy says little about images and texts whose rarer class has fewer
_RARER = 0.2
_FEWEST = 20  # training rows of the rarer class
_BLOCK_SIZE = 4_000_000  # numbers in a block of inputs, or of their features


@dataclass(frozen=True, eq=False)
class Predictor:
    """A fitted baseline, as a function of a split that yields pairs (outputs, truth).

    Args:
        pairs: function of a `Split` that yields outputs (B, ...) and truth.
        network: function from the Keras tensor of the inputs to the same outputs, those of quantiles flat as a network
            has them; it may raise `Unfit` with the reason why there is none. None: the baseline has no network form.
        widths: the step "quantile_widths", which corrects the outputs of `pairs`; None without it.
    """

    pairs: PredictSplit
    network: "KerasFunction | None" = None
    widths: Step | None = None

    def __call__(self, part: "Split") -> Pairs:
        if self.widths is None:
            return self.pairs(part)
        learned = self.widths.learned
        return ((_corrected(learned, outputs), truth) for outputs, truth in self.pairs(part))


class BaselineData:
    """The data for one baseline.

    Args:
        data: a `Dataset`.
        seed: of the baseline's random draws.
        most: the largest number of training rows to learn from.
        logits: form of its outputs (see `Baseline`).
        shared: a dict in which baselines on the same data cache what several of them need.
        settings: training settings, whose objective, decision and costs are scored too. Choices follow the objective.
        choices: the `choices` of an earlier fit, which are repeated; None to choose.

    Attributes:
        notes: remarks of the baseline.
        choices: what it has chosen, such as a strength or a number of rounds, in the order in which it did.
    """

    def __init__(
        self,
        data: "Dataset",
        *,
        seed: int = 0,
        most: int | None = None,
        logits: bool | None = False,
        shared: dict[Any, Any] | None = None,
        settings: TrainingSettings | None = None,
        choices: Sequence[Any] | None = None,
    ) -> None:
        self.choices: list[Any] = []
        self._earlier = choices or ()
        self.data = data
        self.seed = seed
        self.logits = logits
        self.notes = []
        self.settings = settings or {}
        self.shared = {} if shared is None else shared
        count = len(data.train)
        self.train = _subset(data.train, count if most is None else most)
        if len(self.train) < count:
            self.notes.append(f"learned from {len(self.train):,} of {count:,} training rows")
        part = data.validation
        self.validation = None if part is None or not len(part) else _subset(part, MOST_CHOSEN_ON)

    @property
    def kind(self) -> Kind:
        """The kind of the inputs."""
        return kind(self.data.inputs)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.data.train.x.shape[1:])

    @property
    def classes(self) -> int | None:
        """The number of classes; None for other tasks."""
        known = self.data.problem.classes_of(self.data.class_names)
        return None if known is None else max(len(known), 2)

    @property
    def outputs(self) -> int:
        """The number of classes, of labels, or of values per row."""
        return self.classes or int(np.prod(self.data.train.y.shape[1:]))

    @property
    def levels(self) -> tuple[float, ...] | None:
        """The levels of the quantiles; None for other tasks."""
        return levels_of(self.data.target) if "quantiles" in self.data.problem.facts else None

    @property
    def x(self) -> np.ndarray:
        """The training inputs."""
        return np.asarray(self.train.x[:])

    @property
    def y(self) -> np.ndarray:
        """The training targets: class numbers (N,), labels (N, labels), or values (N, ...)."""
        return truth_of(self.train.y[:], self.data.problem)

    @property
    def weight(self) -> np.ndarray | None:
        """The sample weights of the training rows (N,); None if all rows have the same weight."""
        return self.train.weight

    def blocks(
        self, part: "Split | None" = None, *, wide: int = 1
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield inputs and targets of the training rows, or of another split, in blocks that fit into memory.

        Args:
            part: a `Split`.
            wide: how many numbers an input becomes, if more than it has.
        """
        part = self.train if part is None else part
        step = max(1, _BLOCK_SIZE // max(math.prod(part.x.shape[1:]), wide))
        for start in range(0, len(part), step):
            rows = slice(start, min(start + step, len(part)))
            yield np.asarray(part.x[rows]), truth_of(part.y[rows], self.data.problem)

    def by_blocks(
        self,
        predict: Callable[[np.ndarray], np.ndarray],
        *,
        network: "KerasFunction | None" = None,
        wide: int = 1,
    ) -> Predictor:
        """Return the `Predictor` that `Baseline.function` has to return, built from a function of a block.

        Args:
            predict: function of inputs (B, ...) that returns outputs (B, ...).
            network: see `Predictor`.
            wide: see `blocks`.
        """
        return Predictor(
            lambda part: ((predict(x), truth) for x, truth in self.blocks(part, wide=wide)), network
        )

    def best(self, candidates: Mapping[str, Candidate]) -> Candidate:
        """Return the candidate with the best score on validation data; the first one if there is no validation data.

        Args:
            candidates: name for a note -> function of a split, as `by_blocks` returns it.
        """
        return candidates[self.choose(candidates)]

    def choose(self, candidates: Mapping[str, PredictSplit]) -> str:
        """Return the name of the candidate with the best score on validation data; the first one without that."""
        return self.chosen(lambda: self._best_name(candidates))

    def chosen(self, choose: Callable[[], Choice]) -> Choice:
        """Return a choice: what `choose()` returns, or the same choice of the earlier fit that is repeated."""
        number = len(self.choices)
        repeats = number < len(self._earlier)
        self.choices.append(self._earlier[number] if repeats else choose())
        return self.choices[-1]

    def _best_name(self, candidates: Mapping[str, PredictSplit]) -> str:
        names = list(candidates)
        if self.validation is None or len(names) == 1:
            return names[0]
        scores = {name: self.scores(candidates[name], self.validation) for name in names}
        metric = metric_of(self.data, scores[names[0]], self.settings)
        values = {
            name: value_of(candidate_scores, metric) for name, candidate_scores in scores.items()
        }
        computed = {name: value for name, value in values.items() if value is not None}
        if not computed:
            return names[0]
        best = (min if metric.best == "min" else max)(computed, key=computed.__getitem__)
        self.notes.append(f"{best}, chosen on validation data")
        return best

    def with_widths(self, predict: PredictSplit) -> PredictSplit:
        """Return a predictor whose quantiles of forecasts are corrected as those of networks; others as they are.

        The step "quantile_widths" is learned on validation and calibration rows, to which nothing was fitted.
        """
        if not self.data.problem.suits(quantile_widths.FACTS):
            return predict
        step = self.chosen(lambda: self._learned_widths(predict))
        if step is None:
            return predict
        predictor = predict if isinstance(predict, Predictor) else Predictor(predict)
        return replace(predictor, widths=step)

    def _learned_widths(self, predict: PredictSplit) -> Step | None:
        def outputs_of(part: "Split") -> tuple[np.ndarray, np.ndarray]:
            outputs, truth = (np.concatenate(column) for column in zip(*predict(part), strict=True))
            return np.sort(outputs, axis=-1), truth

        return learned_step(self.data, outputs_of, lambda part: _subset(part, MOST_CHOSEN_ON))

    def scores(self, predict: Callable[..., Any], part: "Split") -> JsonObject:
        """Return the scores of predictions for a split; with row weights also those without weights."""
        return self._scores(predict(part), part, self._decided_target(predict))

    def final_scores(self, predict: Callable[..., Any], part: "Split") -> JsonObject:
        """Return the scores of predictions for a split, whose labels follow a decision learned on validation rows."""
        steps = [step for step in self.settings.get("postprocess", ()) if step == STEP]
        learned = self._learned(steps, predict, settings=self.settings)
        _, options = scoring_arguments(self.settings, self.data, learned)
        options["objective"] = self.settings.get("objective")
        return self._scores(predict(part), part, self._decided_target(predict), **options)

    def _scores(self, pairs: Pairs, part: "Split", target: Target, **options: Any) -> JsonObject:
        score = self.data.problem.task.scoring.score
        return score_weighted(
            score, pairs, target, logits=self.logits, weight=part.weight, **options
        ).scores

    def _decided_target(self, predict: PredictSplit) -> Target:
        """Return the target with the decisions that the network of this task gets too, learned on validation rows."""
        learned = self._learned(self.data.problem.task.postprocess, predict)
        return self.data.target if learned is None else learned.target(self.data.target)

    def _learned(
        self, steps: Sequence[str], predict: PredictSplit, **options: Any
    ) -> Postprocessor | None:
        """Return the `Postprocessor` of some steps, learned on validation rows; None without steps or such rows."""
        if not steps or self.validation is None or self.logits is None:
            return None
        outputs, truth = (
            np.concatenate(column) for column in zip(*predict(self.validation), strict=True)
        )
        options |= dict(target=self.data.target, logits=self.logits, weight=self.validation.weight)
        return learn(steps, outputs, truth, rows="validation", **options)


def _corrected(learned: Learned, quantiles: np.ndarray) -> np.ndarray:
    """Return quantiles (N, horizon, targets, levels) with corrected distances to the median."""
    flat = quantiles.reshape(*quantiles.shape[:-2], -1)
    return quantile_widths.apply(learned, flat, logits=None).reshape(quantiles.shape)


def as_asked(candidate: "Baseline", data: "Dataset") -> "Dataset":
    """Return data with windows as long as a baseline asks for, of the same targets; as it is if they are so long."""
    return (
        data
        if candidate.steps is None
        else longer_windows(data, candidate.steps(BaselineData(data)))
    )


def _subset(part: "Split", most: int) -> "Split":
    """Return a split with at most `most` of its rows, always the same ones; windows of a series stay windows."""
    if len(part) <= most:
        return part
    return part.select(sample_indices(len(part), most))


def metric_of(
    data: "Dataset", scores: Scores, settings: TrainingSettings | None = None
) -> Objective:
    """Return the score that decides: that of training settings, or the primary score.

    The primary score is a standardised one for several targets, whose units may differ. If `scores` have no value for
    it (the R² of a constant), it is another one that they have.
    """
    headline = data.problem.headline
    several = data.problem.task.scores[headline].own_unit and len(data.target_names) > 1
    headline = standardised_score(headline) if several else headline
    return deciding_score(settings or {}, scores, data.problem, headline=headline)


def comparison_objective(data: "Dataset") -> Objective | None:
    """Return the score by which models of all kinds are compared if the user names none; None for the primary score.

    Of tables with two classes, it is the area under the ROC curve, which depends neither on a threshold nor on how rare
    a class is. Of images and texts it is, too, if less than a fifth of the training rows belong to the rarer class. The
    rarer class needs some rows, so that each fold has both.
    """
    if not has_two_classes(data) or _AUC not in data.problem.task.scores:
        return None
    counts = np.bincount(truth_of(data.train.y[:], data.problem), minlength=2)
    is_balanced = counts.min() >= _RARER * counts.sum()
    if counts.min() < _FEWEST or (is_balanced and not kind(data.inputs).is_table):
        return None
    return Objective(_AUC, best="max")


def has_two_classes(data: "Dataset") -> bool:
    """Return whether one of two classes is predicted."""
    classes = data.problem.classes_of(data.class_names)
    return classes is not None and len(classes) == 2


def scores_side_by_side(data: "Dataset", metric: str) -> tuple[str, ...]:
    """Return the names of the scores that are shown where models are compared: `metric` first."""
    others = data.problem.task.side_by_side
    if not has_two_classes(data):
        others = tuple(name for name in others if name != _AUC)
    return tuple(dict.fromkeys((str(metric), *others)))


def truth_of(y: np.ndarray, problem: Problem) -> np.ndarray:
    """Return targets as scoring takes them: one-hot rows become class numbers."""
    return np.asarray(y) if problem.classes_of(y) is None else class_numbers(y)
