"""`Contender`: a candidate with its trial, and its answers for judged rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kzoo.auto.candidates import Candidate
from kzoo.auto.scoring import Answers
from kzoo.auto.trainer import NO_TIME
from kzoo.tuning.records import Trial
from kzoo.zoo.registry.family import builder_of

_REFIT = 2.0  # how much longer than a part all rows may take, for networks in closed form


@dataclass
class Contender:
    """A candidate with its trial and its answers.

    Attributes:
        answers: part -> `Answers`.
        seconds: part -> seconds of its fit.
        limit: seconds that a part may take.
        complete: whether no training was stopped by its time.
        has_network: whether it can be stored as a run; a few baselines cannot.
        cut: "1 of 200 epochs" if the time was only enough for a few epochs of the first part; else empty.
        length: settings of the length that the training had on the first part, which other parts get too.
    """

    candidate: Candidate
    trial: Trial
    answers: dict[int, Answers] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    limit: float = 0.0
    complete: bool = True
    has_network: bool = True
    cut: str = ""
    length: Mapping[str, Any] | None = None

    @property
    def failed(self) -> bool:
        """Whether it could not be fitted."""
        return self.trial.status == "failed"

    @property
    def in_closed_form(self) -> bool:
        """Whether it is a network that needs no rows on which to stop."""
        return (
            not self.candidate.is_baseline and builder_of(self.candidate.preset.family).closed_form
        )

    def shortage(self, folds: int) -> str:
        """Return how far the time was too short for a network, such as "1 of 200 epochs"; empty if it was not."""
        if self.candidate.is_baseline or self.candidate.is_variant or self.trial.status == "pruned":
            return ""
        if self.failed:
            return "not fitted" if self.trial.error.startswith(NO_TIME) else ""
        if self.cut or len(self.answers) < folds:
            return self.cut or f"{len(self.answers)} of {folds} folds"
        return "" if self.complete else "stopped by its time"

    def divisions(self, folds: int) -> int:
        """Return the number of divisions into folds of which it has the answers for all."""
        count = 0
        while all(count * folds + fold in self.answers for fold in range(folds)):
            count += 1
        return count

    @property
    def part_seconds(self) -> float:
        """Seconds that one more part takes, from those before.

        Networks in closed form read their inputs, such as photos, once: the first part took most of the time.
        """
        later = [seconds for part, seconds in self.seconds.items() if part > 0]
        of_parts = later if self.in_closed_form and later else self.seconds.values()
        return max(of_parts, default=0.0)

    @property
    def refit_seconds(self) -> float:
        """Seconds to keep for fitting it to all rows."""
        return _REFIT * self.part_seconds
