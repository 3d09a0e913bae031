"""Leads that were measured on other data: they decide ties where few rows cannot tell models apart, and nothing else.

The unit is the data set: draws and numbers of rows of one set are averaged. A lead was kept only because the choice was
better with it on each set when learned from the others (tests/benchmarks/README.md).
"""

from dataclasses import dataclass
from math import sqrt

from scipy import stats

from kzoo.data.dataset import Dataset
from kzoo.problems.kinds import kind

MEANS = "means of models"
CLOSED_FORM = "networks in closed form"


@dataclass(frozen=True, kw_only=True)
class MeasuredLead:
    """How far one sort of models was ahead of another one on data sets of one kind.

    Args:
        models: `MEANS` or `CLOSED_FORM`.
        facts: of the kind of input.
        rows: the largest number of rows that are trained on and judged.
        metrics: the scores in which it was measured.
        sets: number of data sets.
        mean, deviation: of the lead over the sets, as a share.
    """

    models: str
    facts: frozenset[str]
    rows: int
    metrics: tuple[str, ...]
    sets: int
    mean: float
    deviation: float

    @property
    def probability(self) -> float:
        """The probability of a lead on another data set, by the t-distribution of its prediction."""
        error = self.deviation * sqrt(1 + 1 / self.sets)
        return float(stats.t.cdf(self.mean / error, self.sets - 1))

    def __str__(self) -> str:
        return (
            f"on {self.sets} other data sets with as few rows, {self.models} were {100 * self.mean:.1f} points ahead, "
            f"which is expected of another one with a probability of {self.probability:.2f}"
        )


_LEADS = (
    # over the best baseline: twelve sets in five languages
    MeasuredLead(
        models=CLOSED_FORM,
        facts=frozenset({"ids", "steps"}),
        rows=1_000,
        metrics=("accuracy",),
        sets=12,
        mean=0.101,
        deviation=0.070,
    ),
    # over the best baseline: eight sets of photos, drawings and scans, 5 to 100 of a class
    MeasuredLead(
        models=CLOSED_FORM,
        facts=frozenset({"pixels"}),
        rows=1_000,
        metrics=("accuracy",),
        sets=8,
        mean=0.142,
        deviation=0.069,
    ),
    # over the baseline that folds choose: ten tables with 200 rows, seven of them also with 1,000
    MeasuredLead(
        models=MEANS,
        facts=frozenset({"columns"}),
        rows=1_000,
        metrics=("accuracy", "r2"),
        sets=10,
        mean=0.010,
        deviation=0.021,
    ),
)


def lead_of(data: Dataset, rows: int, metric: str) -> MeasuredLead | None:
    """Return the measured lead that decides ties on some data; None if none does.

    Args:
        data: the `Dataset`.
        rows: number of rows that are trained on and judged.
        metric: name of the score.
    """
    facts = kind(data.problem.kind).facts
    return next(
        (
            lead
            for lead in _LEADS
            if lead.facts == facts and rows <= lead.rows and metric in lead.metrics
        ),
        None,
    )
