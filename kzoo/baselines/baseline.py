"""`Baseline`, the registry of baselines that `@baseline` fills, and `Result`. Standard library only."""

import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias

from kzoo.problems.objectives import Objective
from kzoo.problems.tasks import Problem
from kzoo.utils.discovery import installed
from kzoo.utils.formatting import duration
from kzoo.zoo.results import value_of

# a function of a `BaselineData` that returns a function of a split, see `Baseline`
BaselineFunction: TypeAlias = Callable[[Any], Callable[..., Any]]
BASELINES: dict[str, "Baseline"] = {}


class Unfit(Exception):
    """Raised by a baseline that cannot be computed on this data; the message is the reason."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A simple model that networks are compared with.

    Args:
        name: of the function.
        label: the name for people.
        reference: an https address that describes it.
        needs, lacks: facts that kind and task together must have, and facts that they must not have.
        setting: a setting that the data must determine, such as `text_lengths`; empty for none.
        seconds: function of a `BaselineData` that estimates the seconds to learn from all its training rows on one
            core.
        function: takes a `BaselineData` and returns a function of a `Split` that yields pairs (outputs, truth), as the
            task's scoring takes them: a `Predictor` if it can be written as a network. It raises `Unfit` if the
            baseline cannot be computed.
        steps: function of a `BaselineData` that returns how many steps windows should have, for a baseline that
            forecasts from the window alone: it gets windows that reach so far back (see `kzoo.baselines.data`), also
            where it is compared with a network that reads shorter ones. None for any.
        logits: for classes: False if its outputs are probabilities, None if they are scores that only define an order.

    Examples:
        >>> data = kzoo.load_data("churn.csv", target="churned")
        >>> baseline = kzoo.baselines.list_baselines(data.problem)[-1]
        >>> baseline.name, baseline.label
        ('majority', 'most frequent class')
        >>> baseline.fits(data.problem.facts)
        True
    """

    name: str
    label: str
    reference: str
    needs: frozenset[str]
    lacks: frozenset[str]
    setting: str
    seconds: Callable[[Any], float]
    function: BaselineFunction
    logits: bool | None
    steps: Callable[[Any], int] | None = None

    def fits(self, facts: frozenset[str]) -> bool:
        """Return whether kind and task, which together have these facts, suit the baseline.

        Args:
            facts: `Problem.facts` of the data, such as `data.problem.facts`.
        """
        return self.needs <= facts and not self.lacks & facts

    def predictor(self, data: Any) -> Callable[..., Any]:
        """Return the function of a split that `function` returns for a `BaselineData`.

        Quantiles of forecasts from a window alone, such as exponential smoothing, are corrected as those of networks.
        Those of others stay what their name says, such as the quantiles of the same season.

        Args:
            data: a `BaselineData`.
        """
        predict = self.function(data)
        return predict if self.steps is None else data.with_widths(predict)


@dataclass(frozen=True, kw_only=True)
class Result:
    """The scores of a baseline on one split.

    Args:
        name, label, reference: see `Baseline`.
        split: the split that was scored: "test" or "validation".
        metric: the score that decides, with its direction: that of the settings, the task's primary score, or another
            one if that cannot be computed on this split.
        scores: name -> number, as those of a run; empty if the baseline was not computed.
        seconds: the number of seconds that it took.
        notes: remarks: on how many rows it learned if not on all, or why it was not computed.
        rows: number of training rows that it learned from if there was no time for all; else None.
        shown: names of the scores that are shown side by side, `metric` first.

    Examples:
        >>> data = kzoo.load_data("churn.csv", target="churned")
        >>> result = kzoo.baselines.score(data, names="trees")[0]
        >>> result.label, result.split
        ('gradient-boosted trees', 'test')
        >>> result.value == result.scores[result.metric]
        True
    """

    name: str
    label: str
    reference: str
    split: str
    metric: Objective
    scores: Mapping[str, Any]
    seconds: float
    notes: tuple[str, ...]
    rows: int | None = None
    shown: tuple[str, ...] = ()

    def __repr__(self) -> str:
        score = (
            self.notes[0] if self.value is None and self.notes else f"{self.metric} {self.value}"
        )
        if self.value is not None:
            score = f"{self.metric} {self.value:.4g} on the {self.split} split, {duration(self.seconds)}"
        return f"<baseline {self.label}: {score}>"

    @property
    def value(self) -> float | None:
        """The primary score; None if it was not computed."""
        return value_of(dict(self.scores), self.metric)

    @property
    def values(self) -> list[float | None]:
        """The scores that are shown side by side; None for those that were not computed."""
        return [value_of(dict(self.scores), name) for name in self.shown]


def baseline(
    label: str,
    *needs: str,
    reference: str,
    seconds: Callable[[Any], float],
    lacks: Iterable[str] = (),
    setting: str = "",
    logits: bool | None = False,
    steps: Callable[[Any], int] | None = None,
) -> Callable[[BaselineFunction], BaselineFunction]:
    """Return a decorator that registers a function as a baseline; see `Baseline`."""

    def register(function: BaselineFunction) -> BaselineFunction:
        name = function.__name__
        assert name not in BASELINES, f"duplicate baseline {name}"
        BASELINES[name] = Baseline(
            name=name,
            label=label,
            reference=reference,
            needs=frozenset(needs),
            lacks=frozenset(lacks),
            setting=setting,
            seconds=seconds,
            function=function,
            logits=logits,
            steps=steps,
        )
        return function

    return register


def list_baselines(problem: Problem | None = None) -> list[Baseline]:
    """Return all baselines, or only those that suit a problem (`Dataset.problem`).

    Args:
        problem: kind of input and task of the data; None for all baselines.

    Examples:
        >>> data = kzoo.load_data("churn.csv", target="churned")
        >>> sorted(baseline.name for baseline in kzoo.baselines.list_baselines(data.problem))
        ['logistic', 'majority', 'texts_logistic', 'trees']
    """
    package = import_module("kzoo.baselines")
    # importing a module registers its baselines
    for module in pkgutil.iter_modules(package.__path__):
        import_module(f"kzoo.baselines.{module.name}")
    installed("kzoo.baselines")  # imports and registers those of installed packages
    if problem is None:
        return list(BASELINES.values())
    facts = problem.facts | import_module("kzoo.problems.kinds").kind(problem.kind).facts
    return [candidate for candidate in BASELINES.values() if candidate.fits(facts)]
