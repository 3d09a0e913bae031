"""`Baseline`, the table of them that `@baseline` fills, and `Result`, what one came to. Standard library only."""

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from kzoo.results import value_of
from kzoo.tasks import Problem
from kzoo.utils.discovery import installed
from kzoo.utils.formatting import duration

BASELINES: dict[str, "Baseline"] = {}


class Unfit(Exception):
    """A baseline has no meaning on this data, and the message says why."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A way to answer that needs no network.

    Args:
        name: the function's.
        label: in words.
        reference: where it is described: an https address.
        needs, lacks: facts that kind and task must have between them, and those that they must not have.
        seconds: function of a `Given`: about how long it takes on one core, to learn from the rows of its `train`.
        function: takes a `Given` and returns a function of a `Split` that yields pairs (outputs, truth), as the task's
            scoring takes them. It raises `Unfit` where it has no meaning.
        logits: what its outputs are where they name classes: False are probabilities, None are scores that only order.
    """

    name: str
    label: str
    reference: str
    needs: frozenset[str]
    lacks: frozenset[str]
    seconds: Callable[[Any], float]
    function: Callable[[Any], Callable]
    logits: bool | None

    def fits(self, facts: frozenset[str]) -> bool:
        """Say whether it has a meaning where kind and task have these facts between them."""
        return self.needs <= facts and not self.lacks & facts


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a baseline came to on one split.

    Args:
        name, label, reference: see `Baseline`.
        split: on which it was scored: "test" or "validation".
        metric: the score that counts for the task, or another where that cannot be computed on this split.
        scores: name -> number, as those of a run; empty where it was not computed.
        seconds: that it took.
        notes: what to know: how many rows it learned from where those are not all, or why it was not computed.
        rows: training rows that it learned from, where there was no time for all; else None.
    """

    name: str
    label: str
    reference: str
    split: str
    metric: str
    scores: Mapping[str, Any]
    seconds: float
    notes: tuple[str, ...]
    rows: int | None = None

    def __repr__(self) -> str:
        score = self.notes[0] if self.value is None and self.notes else f"{self.metric} {self.value}"
        if self.value is not None:
            score = f"{self.metric} {self.value:.4g} on the {self.split} split, {duration(self.seconds)}"
        return f"<baseline {self.label}: {score}>"

    @property
    def value(self) -> float | None:
        """The score that counts; None where it was not computed."""
        return value_of(dict(self.scores), self.metric)


def baseline(label, *needs, reference, seconds, lacks=(), logits=False):
    """Put a function into the table of baselines; see `Baseline`."""

    def register(function):
        name = function.__name__
        assert name not in BASELINES, f"two baselines are called {name}"
        BASELINES[name] = Baseline(
            name=name, label=label, reference=reference, needs=frozenset(needs), lacks=frozenset(lacks),
            seconds=seconds, function=function, logits=logits,
        )  # fmt: skip
        return function

    return register


def list_baselines(problem: Problem | None = None) -> list[Baseline]:
    """Return the baselines, all of them or those that have a meaning for a problem (`Dataset.problem`)."""
    package = import_module("kzoo.baselines")
    for module in pkgutil.iter_modules(package.__path__):  # each puts its own into the table
        import_module(f"kzoo.baselines.{module.name}")
    installed("kzoo.baselines")  # so do modules of installed packages, which are imported here
    if problem is None:
        return list(BASELINES.values())
    facts = problem.facts | import_module("kzoo.kinds").kind(problem.kind).facts
    return [one for one in BASELINES.values() if one.fits(facts)]
