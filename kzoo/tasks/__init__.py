"""What is answered: a folder for each way of answering. Standard library only, until one of its halves is used.

A `Task` states facts about one target, and the names that fit it. Everything else that depends on the way of answering
lies in its folder: `inference.py`, NumPy alone, which an exported model's runtime needs too, and `score.py`. Other code
asks for a fact (`"classes" in problem.facts`) or calls one of these functions; it never compares names.

Inference half:
    learn(values, names) -> Target          from the raw training labels
    encode(target, values) -> y             what the network is trained on; refuses what it cannot read
    answer(target, outputs, ...) -> Predictions

Fitting half, with Keras; a task that has none takes that of classes or of values, by its head:
    make_loss(name, way, ...) -> Loss       a loss of Keras, or a function of (truth, outputs), by a name of `losses`
    make_metric(name, way, ...)             a metric, as Keras takes it, by a name of `metrics`, where there are any
    metrics_for(way, config) -> names       those that fit what the network ends with; all by default

Scoring half:
    score(batches, target) -> Scored        scores, and the answers where they are kept; of an ordered problem beside
                                            answers that need no network (`beside=`)
    judge(truth, answers, target) -> Judged row by row: how good, right or wrong, by how much off
    headline(scores, ...) -> dict           the number that counts, and a sentence beside its baseline
    doubts(scores) -> list                  sentences that warn of what scores do not show
    carried(scores, known) -> dict          the same: put other scores beside what is known of the same examples

A folder here is found by listing, a task of an installed package by its entry point in the group `kzoo.tasks`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from kzoo.utils.discovery import Names, installed, list_modules, load_part
from kzoo.utils.errors import KzooError
from kzoo.utils.schema import Some


@dataclass(frozen=True, kw_only=True, eq=False)
class Score:
    """What is known of a score by its name.

    Args:
        best: "max" or "min".
        label: in words, for a table.
        short: for the head of a column.
        form: how it is written: "percent", "digits" (four of them), "number" or "interval".
        baseline: it is the score of the simplest thing that works, not the model's.
        ratio: that one is twice as large as another means something.
        square_of: the score whose square it is, where it is not kept itself.
        own_unit: it is in the target's own unit, so that several targets have no mean of it.
        counts_instead_of: the score in whose place it counts on data for which it is computed.
    """

    best: str = "max"
    label: str
    short: str = ""
    form: str = "number"
    baseline: bool = False
    ratio: bool = False
    square_of: str = ""
    own_unit: bool = False
    counts_instead_of: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """A pair of kind and task under the name that users see, as Hugging Face names its tasks.

    Args:
        name: such as "image_classification".
        kind: what is read: the name of a kind of input.
        headline: the score that counts, where it is not the task's first.
        facts: more of them: "ordered" (rows have an order, and neighbours share values), else "unordered".
        hub: the tag of model hubs, where it is not the name with dashes.
        task: the way of answering; `Task` fills it in.
    """

    name: str
    kind: str
    headline: str = ""
    facts: frozenset = frozenset()
    hub: str = ""
    task: "Task" = None  # type: ignore[assignment]  # `Task` fills it in


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """One way of answering.

    Args:
        name: the folder's.
        room: the module that holds `inference` and `score`.
        facts: "classes": each row has one of a list of named classes; "numbered": the truth is the number of an
            output; "probabilities": answers are distributions; "values": numbers in a unit of their own; "kept": there
            is an answer for each row, few enough to keep; "continues": answers can go on with an input.
        problems: the names that users see, with the kind of input each is for.
        words: what `task=` may say for short, such as "classification".
        head: activation of the last layer, such as "softmax", "linear" or "exponential".
        single_head: the same where two classes share one output; empty where that has no meaning.
        losses: names that fit; the first is the default. `fitting` makes them, and the metrics.
        metrics: names of those that training can report each epoch.
        scores: name -> `Score`; the first counts.
        says: what `headline` cannot do without: scores, and how many there were.
    """

    name: str
    room: str
    facts: frozenset
    problems: tuple[Problem, ...]
    words: tuple[str, ...] = ()
    head: str
    single_head: str = ""
    losses: tuple[str, ...]
    metrics: tuple[str, ...]
    scores: Mapping[str, Score]
    says: tuple[str, ...] = ()

    def __post_init__(self):
        headline = next(iter(self.scores))
        given = tuple(
            Problem(
                name=p.name, kind=p.kind, headline=p.headline or headline,
                facts=self.facts | (p.facts or {"unordered"}), hub=p.hub or p.name.replace("_", "-"), task=self,
            )
            for p in self.problems
        )  # fmt: skip
        object.__setattr__(self, "problems", given)

    @property
    def form(self) -> dict:
        """The form of what is stored of scores (see `kzoo.utils.schema`)."""
        number, interval = (float, None), Some(float, count=2)
        stored = {name: interval if score.form == "interval" else number for name, score in self.scores.items()}
        return {f"{name}?": form for name, form in stored.items()} | {name: stored.get(name, int) for name in self.says}

    @cached_property
    def inference(self):
        """The half that NumPy is enough for: `learn`, `encode`, `answer`."""
        return load_part(self.room, "inference", "light")

    @cached_property
    def fitting(self):
        """What networks are trained with: `make_loss`, `make_metric`. A task without its own has those of its head."""
        own = f"{self.room}.fitting"
        if find_spec(own) is not None:
            return import_module(own)
        return import_module(f"kzoo.tasks.{'values' if self.head == 'linear' else 'classes'}.fitting")

    def head_of(self, outputs: int) -> str:
        """Return the activation of the last layer of a network with so many outputs."""
        return self.single_head if outputs == 1 and self.single_head else self.head

    @cached_property
    def scoring(self):
        """The other half: `score`, `judge`, `headline`."""
        return import_module(f"{self.room}.score")


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """What was learned of one target on the training data.

    Args:
        names: of its columns.
        classes: names of the classes 0..n-1, where there are any.
        config: what it says of the network, by the builders' names: `outputs`, `target_offset`, `target_scale`.
        common: the number of the class or token that the training rows have most often; None where it is not known.
    """

    names: tuple = ()
    classes: tuple = ()
    config: Mapping = field(default_factory=dict)
    common: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """What scoring gives.

    Args:
        scores: name -> number, interval or None.
        truth: (N, ...), answers: (N, ...): probabilities or values, of tasks whose answers are kept.
    """

    scores: dict
    truth: object = None
    answers: object = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """What is to be said of each answer.

    Args:
        quality: (N,) the higher the better.
        right: (N,) booleans, where an answer is right or wrong.
        error: (N,) by how much it is off, where it is; `of` names how that is counted.
    """

    quality: Any
    right: Any = None
    error: Any = None
    of: str = ""

    def worst(self, most, *, among, places, apart=1) -> list:
        """Return which answers are the worst, the worst first.

        Args:
            most: how many at the most.
            among: (N,) booleans: which may be returned.
            places: (N,) where each stands in its split.
            apart: no two that are returned stand nearer to one another than this.
        """
        order, free = self.quality.argsort(kind="stable"), among.copy()
        found: list[int] = []
        while len(found) < most and free.any():
            found.append(int(order[free[order]][0]))
            free &= abs(places - places[found[-1]]) >= max(apart, 1)
        return found


@cache
def _tasks() -> dict:
    """Return name -> task of this folder."""
    return list_modules("kzoo.tasks", "TASK", folders=True)


def tasks() -> dict:
    """Return name -> task, those of installed packages among them."""
    return _tasks() | installed("kzoo.tasks")


def _problems_of(tasks) -> dict:
    return {problem.name: problem for task in tasks.values() for problem in task.problems}


def problems() -> dict:
    """Return public name -> `Problem`."""
    return _problems_of(tasks())


def _said_by(tasks, what):
    return dict.fromkeys(name for task in tasks.values() for name in getattr(task, what))


LOSSES = Names(lambda: _said_by(_tasks(), "losses"), lambda: _said_by(tasks(), "losses"))
METRICS = Names(lambda: _said_by(_tasks(), "metrics"), lambda: _said_by(tasks(), "metrics"))
NAMES = Names(lambda: _problems_of(_tasks()), problems)


def problem(name: str) -> Problem:
    """Return what a public name stands for, or the pair "KIND:TASK" of two names that have none.

    Raises:
        KzooError: no such name.
    """
    if own := _problems_of(_tasks()).get(name):  # packages are not looked through for the names that everybody uses
        return own
    if isinstance(name, str) and ":" in name:
        kind, _, of = name.partition(":")
        if of in tasks():
            return _unnamed(kind, tasks()[of])
    known = problems()
    if name not in known:
        raise KzooError(f"Unknown task {name!r}. It is one of: {', '.join(known)}.")
    return known[name]


def pair(kind: str, fact: str) -> Problem:
    """Return the problem of a kind of input that has a fact and no order; one without a public name where need be."""
    task = next(task for task in tasks().values() if fact in task.facts)
    named = next((one for one in task.problems if one.kind == kind and "unordered" in one.facts), None)
    return named or _unnamed(kind, task)


def _unnamed(kind, task):
    return Problem(
        name=f"{kind}:{task.name}",
        kind=kind,
        headline=next(iter(task.scores)),
        facts=task.facts | {"unordered"},
        task=task,
    )


def with_facts(*facts: str) -> list[Problem]:
    """Return the problems that have these facts."""
    return [one for one in problems().values() if one.facts >= set(facts)]


def score_named(name: str) -> Score | None:
    """Return what is known of a score; None where no task gives it."""
    return next((task.scores[name] for task in tasks().values() if name in task.scores), None)
