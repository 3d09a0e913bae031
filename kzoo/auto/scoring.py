"""The primary score of answers for judged rows, whatever model they come from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from kzoo.auto.choice import Difference, bootstrap_difference, mean_difference
from kzoo.baselines.data import metric_of, scores_side_by_side
from kzoo.baselines.fitted import Fitted
from kzoo.data.dataset import Dataset, Split
from kzoo.inference.postprocessors.postprocessor import learn
from kzoo.inference.predictions import scores_of
from kzoo.inference.tasks.labels import decided
from kzoo.inference.tasks.weighted import score_weighted
from kzoo.problems.stored_types import Scores
from kzoo.problems.tasks import Target
from kzoo.tuning.ranking import lower_is_better
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.zoo.results import metric_label, number, value_of

_RESAMPLES, _RESAMPLES_OF_SLOW = 200, 60  # of a bootstrap; of scores that take milliseconds


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """Answers for the judged rows of a part.

    Args:
        outputs: (N, classes) or (N, labels) probabilities, or values (N, ...).
        truth: (N, ...).
        rows: (N,) their numbers among the development rows, or the test rows.
        weight: (N,) sample weights, or None.
        is_probability: False for scores of classes that only define an order.
    """

    outputs: np.ndarray
    truth: np.ndarray
    rows: np.ndarray
    weight: np.ndarray | None = None
    is_probability: bool = True

    @classmethod
    def read(cls, folder: Path) -> "Answers":
        """Return the answers that the trainer wrote."""
        with np.load(folder / "answers.npz", allow_pickle=False) as stored:
            weight = stored.get("weight")
            return cls(
                outputs=stored["answers"],
                truth=stored["truth"],
                rows=stored["rows"],
                weight=weight,
                is_probability=bool(stored["is_probability"]),
            )

    @classmethod
    def together(cls, parts: Sequence["Answers"]) -> "Answers":
        """Return the answers of several parts, in the order of their rows."""
        rows = np.concatenate([part.rows for part in parts])
        together = cls(**_concatenated(parts), is_probability=parts[0].is_probability)
        return together.select(np.argsort(rows, kind="stable"))

    def once(self) -> "Answers":
        """Return the answers for each row once: repeated folds predict rows again."""
        return self.select(np.unique(self.rows, return_index=True)[1])

    @property
    def of_network(self) -> np.ndarray:
        """The outputs as those of a network: the quantiles of all targets lie on the last axis, (N, ...)."""
        quantiles = self.truth.ndim > 1 and self.outputs.ndim > self.truth.ndim
        if not quantiles:
            return self.outputs
        return self.outputs.reshape(*self.truth.shape[:-1], -1)

    def select(self, indices: np.ndarray) -> "Answers":
        """Return the answers for some of the rows."""
        weight = None if self.weight is None else self.weight[indices]
        return replace(
            self,
            outputs=self.outputs[indices],
            truth=self.truth[indices],
            rows=self.rows[indices],
            weight=weight,
        )


def baseline_answers(fitted: Fitted, split: Split) -> Answers:
    """Return the answers of a fitted baseline for a split, with a column for each class."""
    outputs, truth = fitted.predict(split)
    if fitted.logits is None and fitted.data.problem.classes_of(truth) is not None:
        outputs = scores_of(outputs)
    return Answers(
        outputs=outputs,
        truth=truth,
        rows=np.arange(len(truth)),
        weight=split.weight,
        is_probability=fitted.logits is not None,
    )


def _concatenated(parts: Sequence[Answers]) -> dict[str, np.ndarray]:
    names = ["outputs", "truth", "rows", *(["weight"] if parts[0].weight is not None else [])]
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}


class PrimaryScore:
    """The score by which candidates are compared.

    Args:
        data: the `Dataset`, for its task and target.
        metric: its name; None for the primary score of the task.
    """

    def __init__(self, data: Dataset, metric: str | None = None) -> None:
        self.data = data
        self.target = data.target
        self.metric = metric or metric_of(data, {})
        self.learns = data.problem.task.postprocess

    @property
    def sign(self) -> int:
        """1 if larger is better, -1 if smaller is better."""
        return -1 if lower_is_better(self.metric) else 1

    @property
    def settings(self) -> JsonObject:
        """Training settings that make it the score of a run; none if it is that already."""
        known = self.data.problem.task.scores.get(self.metric)
        is_primary = self.metric == metric_of(self.data, {}) or (
            known is not None and bool(known.counts_instead_of)
        )
        return {} if is_primary else {"objective": self.metric}

    @property
    def is_share(self) -> bool:
        """Whether differences are stated in points, hundredths of it."""
        return self.metric in (
            "accuracy",
            "balanced_accuracy",
            "r2",
            "auc",
            "average_precision",
        ) or self.metric.startswith("f1")

    def value(self, answers: Answers, target: Target | None = None) -> float:
        """Return the score of answers.

        Raises:
            KzooError: the metric is not among the scores of the task.
        """
        scores = self.scores(answers, target)
        score = value_of(dict(scores), self.metric)
        if score is None:
            available = ", ".join(
                name for name, value in scores.items() if isinstance(value, float)
            )
            raise KzooError(
                f"is not available for this data. Use one of: {available}.",
                argument="objective",
                value=self.metric,
            )
        return float(score)

    def scores(self, answers: Answers, target: Target | None = None) -> Scores:
        """Return all scores of answers."""
        score = self.data.problem.task.scoring.score
        batches = [(answers.outputs, answers.truth)]
        logits = False if answers.is_probability else None
        return score_weighted(
            score, batches, target or self.target, logits=logits, weight=answers.weight
        ).scores

    def side_by_side(self, answers: Answers, target: Target | None = None) -> str:
        """Return the scores of answers that are shown side by side, such as "AUC 0.917, loss 0.21, accuracy 91.0%"."""
        scores = dict(self.scores(answers, target))
        values = {
            name: value_of(scores, name) for name in scores_side_by_side(self.data, self.metric)
        }
        return ", ".join(
            f"{metric_label(name)} {number(value, name)}"
            for name, value in values.items()
            if value is not None
        )

    def of_parts(self, parts: Sequence[Answers]) -> list[float]:
        """Return the score of each part; thresholds of labels are learned on the other parts."""
        if not self.learns:
            return [self.value(part) for part in parts]
        return [
            self.value(
                part, self.learned([other for other in parts if other is not part] or [part])
            )
            for part in parts
        ]

    def pooled(self, parts: Sequence[Answers]) -> float:
        """Return the score of the answers of all parts together."""
        together = Answers.together(parts)
        return self.value(together, self.learned([together]) if self.learns else None)

    def learned(self, parts: Sequence[Answers]) -> Target:
        """Return the target with the thresholds that are learned on answers."""
        together = _concatenated(parts)
        options: Any = dict(
            target=self.target, logits=False, rows="out of fold", weight=together.get("weight")
        )
        return learn(self.learns, together["outputs"], together["truth"], **options).target(
            self.target
        )

    def difference(
        self,
        first: Sequence[Answers],
        second: Sequence[Answers],
        groups: np.ndarray,
        *,
        targets: tuple[Target, Target] | None = None,
    ) -> Difference:
        """Return how much better some answers are than others for the same rows.

        Args:
            first, second: `Answers` of each repeat, all for the same rows in the same order; gains are averaged.
            groups: (N,) rows of a group depend on each other.
            targets: those of both, with the thresholds of their labels; by default, they are learned on the answers.
        """
        pairs = list(zip(first, second, strict=True))
        if not self.learns:
            gains = [self._gains(*pair) for pair in pairs]
            known = [each for each in gains if each is not None]
            if len(known) == len(pairs):
                return mean_difference(np.mean(known, axis=0), groups)
        if targets is None:
            both = (
                self.learned(answers) if self.learns else self.target for answers in (first, second)
            )
            targets = cast("tuple[Target, Target]", tuple(both))
        if self.metric == "f1_macro":
            counts = [
                [
                    self._label_counts(part, target)
                    for part, target in zip(pair, targets, strict=True)
                ]
                for pair in pairs
            ]

            def f1_gain(weight: np.ndarray) -> float:
                return float(
                    np.mean([_f1_macro(a, weight) - _f1_macro(b, weight) for a, b in counts])
                )

            return bootstrap_difference(f1_gain, groups, resamples=_RESAMPLES)

        def gain(weight: np.ndarray) -> float:
            drawn = np.repeat(np.arange(len(weight)), weight)
            values = [
                [
                    self.value(part.select(drawn), target)
                    for part, target in zip(pair, targets, strict=True)
                ]
                for pair in pairs
            ]
            return self.sign * float(np.mean([a - b for a, b in values]))

        return bootstrap_difference(gain, groups, resamples=_RESAMPLES_OF_SLOW)

    def _gains(self, first: Answers, second: Answers) -> np.ndarray | None:
        """Return the gain of each row (N,), if the score is a mean over rows, else None."""
        judge = self.data.problem.task.scoring.judge
        if self.metric == "accuracy":
            right = [
                judge(part.truth, part.outputs, self.target).right.astype(float)
                for part in (first, second)
            ]
            return _weighted(right[0] - right[1], first.weight)
        if self.metric == "auc":
            return _auc_gains(first, second)
        metric = "mse" if self.metric == "r2" else self.metric
        judged = [
            judge(part.truth, part.outputs, self.target, metric=metric) for part in (first, second)
        ]
        if judged[0].error is None or judged[0].of != metric:
            return None
        gains = _weighted(judged[1].error - judged[0].error, first.weight)
        return gains / max(float(np.var(first.truth)), 1e-30) if self.metric == "r2" else gains

    def _label_counts(self, answers: Answers, target: Target) -> np.ndarray:
        """Return (3, N, labels): right, wrong and missed labels; unknown labels are none of them."""
        predicted = decided(answers.outputs, target.thresholds)
        truth = answers.truth
        counts = np.stack(
            [predicted & (truth == 1), predicted & (truth == 0), ~predicted & (truth == 1)]
        ).astype(float)
        return counts if answers.weight is None else counts * answers.weight[:, None]


def _auc_gains(first: Answers, second: Answers) -> np.ndarray | None:
    """Return the gain of each row (N,) in the area under the ROC curve of two classes; None of more or with weights.

    Their mean is the difference of the areas, and their standard error that of DeLong et al. (1988,
    doi:10.2307/2531595): the area is a mean over pairs of rows, and each row has the share of its pairs.
    """
    is_binary = first.truth.ndim == 1 and first.outputs.ndim == 2 and first.outputs.shape[1] <= 2
    if not is_binary or first.weight is not None or len(np.unique(first.truth)) < 2:
        return None
    shares = [
        _shares_of_auc(part.outputs[:, -1].astype("float64"), part.truth == 1)
        for part in (first, second)
    ]
    return shares[0] - shares[1]


def _shares_of_auc(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return numbers (N,), one for each row, whose mean is the area under the ROC curve."""
    shares = np.empty(len(scores))
    for rows, sign in ((positive, 1), (~positive, -1)):
        others = np.sort(sign * scores[~rows])
        bounds = [np.searchsorted(others, sign * scores[rows], side) for side in ("left", "right")]
        shares[rows] = np.mean(bounds, axis=0) / len(others)  # of pairs; ties count half
    area = shares[positive].mean()
    counts = np.where(positive, positive.sum(), (~positive).sum())
    return area + len(scores) / counts * (shares - area)


def _weighted(gains: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    return gains if weight is None else gains * (weight / weight.mean())


def _f1_macro(counts: np.ndarray, weight: np.ndarray) -> float:
    """Return the mean F1 of the labels for weighted rows; of a label that is neither true nor predicted it is 0."""
    right, wrong, missed = np.tensordot(weight.astype(float), counts, axes=(0, 1))
    return float(np.mean(2 * right / np.maximum(2 * right + wrong + missed, 1e-12)))
