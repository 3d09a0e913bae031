"""`Model`: what is chosen among: a contender, or a mean of contenders."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kzoo.auto.contender import Contender
from kzoo.auto.measured_leads import CLOSED_FORM, MEANS
from kzoo.auto.scoring import Answers


@dataclass
class Model:
    """A model among which the choice is made: a contender, or a mean of contenders.

    Args:
        contenders: its members; one for a single candidate.
        weights: (members,).
        answers: part -> `Answers`.
    """

    contenders: Sequence[Contender]
    weights: np.ndarray
    answers: dict[int, Answers]

    @property
    def label(self) -> str:
        return " and ".join(contender.candidate.text for contender in self.contenders)

    @property
    def is_baseline(self) -> bool:
        return (
            all(contender.candidate.is_baseline for contender in self.contenders)
            and len(self.contenders) == 1
        )

    @property
    def complexity(self) -> int:
        """Its degree: 0 for baselines and networks in closed form, 1 for other networks, 2 for a mean."""
        if self.sort is not None:
            return 2 if self.sort == MEANS else 0
        return 0 if self.is_baseline else 1

    @property
    def sort(self) -> str | None:
        """Of those whose leads were measured on other data (see `kzoo.auto.measured_leads`)."""
        if len(self.contenders) > 1:
            return MEANS
        return CLOSED_FORM if self.contenders[0].in_closed_form else None
