"""The primary score of answers for judged rows, whatever model they come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kzoo.baselines.data import metric_of
from kzoo.dataset.dataset import Dataset
from kzoo.postprocessors.postprocessor import learn
from kzoo.ranking import lower_is_better
from kzoo.results import value_of
from kzoo.tasks import Target
from kzoo.tuning.auto.choice import Difference, bootstrap_difference
from kzoo.utils.errors import KzooError

_MOST_BOOTSTRAPPED = 50_000  # rows


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """Answers for the judged rows of a part.

    Args:
        outputs: (N, classes) or (N, labels) probabilities, or values (N, ...).
        truth: (N, ...).
        rows: (N,) their numbers among the development rows, or the test rows.
    """

    outputs: np.ndarray
    truth: np.ndarray
    rows: np.ndarray

    @classmethod
    def read(cls, folder: Path) -> "Answers":
        """Return the answers that the trainer wrote."""
        with np.load(folder / "answers.npz", allow_pickle=False) as stored:
            return cls(outputs=stored["answers"], truth=stored["truth"], rows=stored["rows"])

    def select(self, indices: np.ndarray) -> "Answers":
        """Return the answers for some of the rows."""
        return Answers(outputs=self.outputs[indices], truth=self.truth[indices], rows=self.rows[indices])


class PrimaryScore:
    """The score by which candidates are compared.

    Args:
        data: the `Dataset`, for its task and target.
        metric: its name; None for the primary score of the task.
    """

    def __init__(self, data: Dataset, metric: str | None = None) -> None:
        self.data, self.target = data, data.target
        self.metric = metric or metric_of(data, {})
        self.learns = data.problem.task.postprocess

    @property
    def sign(self) -> int:
        """1 if larger is better, -1 if smaller is better."""
        return -1 if lower_is_better(self.metric) else 1

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
            available = ", ".join(name for name, value in scores.items() if isinstance(value, float))
            raise KzooError(f"objective={self.metric!r} is not available for this data. Use one of: {available}.")
        return float(score)

    def scores(self, answers: Answers, target: Target | None = None) -> Mapping[str, Any]:
        """Return all scores of answers."""
        score = self.data.problem.task.scoring.score
        return score([(answers.outputs, answers.truth)], target or self.target, logits=False).scores

    def of_parts(self, parts: Sequence[Answers]) -> list[float]:
        """Return the score of each part; thresholds of labels are learned on the other parts."""
        if not self.learns:
            return [self.value(part) for part in parts]
        return [
            self.value(part, self.learned([other for other in parts if other is not part] or [part])) for part in parts
        ]

    def learned(self, parts: Sequence[Answers]) -> Target:
        """Return the target with the thresholds that are learned on answers."""
        outputs, truth = (np.concatenate([getattr(part, name) for part in parts]) for name in ("outputs", "truth"))
        options: Any = dict(target=self.target, logits=False, rows="out of fold")
        return learn(self.learns, outputs, truth, **options).target(self.target)

    def bootstrap(
        self, first: Answers, second: Answers, groups: np.ndarray, level: float, **options: Any
    ) -> Difference:
        """Return how much better the first answers are than the second for the same rows, with a paired interval.

        Args:
            first, second: `Answers` for the same rows.
            groups: (N,) rows of a group are drawn together.
            level: of the interval.
            options: of `bootstrap_difference`; `targets`, the targets of both with their thresholds.
        """
        targets = options.pop("targets", None)
        if targets is None:
            targets = tuple(self.learned([answers]) if self.learns else None for answers in (first, second))
        rows = np.arange(len(first.truth))
        if len(rows) > _MOST_BOOTSTRAPPED:
            rows = np.sort(np.random.default_rng(0).choice(len(rows), _MOST_BOOTSTRAPPED, replace=False))
        judge = self.data.problem.task.scoring.judge
        if self.metric == "accuracy":
            right = [judge(part.truth, part.outputs, self.target).right.astype(float) for part in (first, second)]
            gain = right[0] - right[1]
            return bootstrap_difference(lambda drawn: float(gain[drawn].mean()), groups, level, **options)

        def difference(drawn: np.ndarray) -> float:
            values = [
                self.value(part.select(drawn), target) for part, target in zip((first, second), targets, strict=True)
            ]
            return self.sign * (values[0] - values[1])

        return bootstrap_difference(difference, groups, level, **options)
