"""Tasks: what is predicted, a module per task. Standard library only until one of a task's halves is used.

A `Task` states facts about one target, and the names that suit it. All other code that depends on the task is in its
halves (`kzoo.problems.halves` says where they are): the inference half, NumPy only, which the runtime of an exported
model needs too, the fitting half and the scoring half. Other code asks a `Problem` or calls one of these functions; it
never compares names.

Inference half:
    learn(values, names) -> Target          from the raw training labels
    encode(target, values) -> y             what the network is trained on; raises KzooError for unreadable labels
                                            (with `notes`, a list of lines, if the task has the fact "labels")
    answer(target, outputs, ...) -> Predictions
    Of these, a task that lacks one uses that of its `base`, the task of kzoo whose facts it has:
    choose(p) -> numbers                    of tasks with classes: the class that is predicted (see `Problem.choose`)
    example(truth, answer, target, ...)     the cells of an example in the report (see `Problem.example`)
    true_probabilities(truth, p)            of tasks with probabilities (see `Problem.true_probabilities`)
    soft_targets(truth, outputs, share)     of distillation (see `Problem.soft_targets`)

Fitting half, with Keras; a task without one uses that of its `base`:
    make_loss(name, task, ...) -> Loss      a Keras loss, or a function of (truth, outputs), for a name in `losses`
    make_metric(name, task, ...)            a metric, as Keras takes it, for a name in `metrics`; optional
    loss_weight(config) -> float            a factor of the loss; optional, default: 1
    loss_degree(name) -> float              by which power a loss grows with errors; optional: series have no weights
    metrics_for(task, config) -> names      metrics that suit the network's last layer; optional, default: all
    head_width(outputs) -> int              of tasks of kzoo with `heads`: the size of the last layer with weights
    make_head(x, name, dtype) -> tensor     of these: the layers from it (B, ..., head_width) to (B, ..., outputs)

Scoring half:
    score(batches, target) -> Scored        scores, and the predictions if they are kept; for ordered problems also
                                            the scores of baselines (`beside=`); for classes, by the labels of a
                                            `decision=` (see `kzoo.inference.postprocessors.threshold`)
    judge(truth, answers, target) -> Judged per-example quality, correctness and error
    headline(scores, ...) -> dict           the primary score, and a sentence that compares it with a baseline
    judged(scored, target, predictions, moments) -> Scored      optional: of forecasts cut from series, scores whose
                                            intervals allow for errors that depend on each other. `predictions` has the
                                            names of the series (`inputs`) and their `error_scale`
    doubts(scores) -> list                  optional: warnings about what the scores do not show
    paired(truth, new, old, metric) -> dict optional: the test of the difference of two runs, each (predictions, target)
    carried(scores, known) -> dict          optional: scores, with known baseline scores for the same examples attached

Target half, of tasks with an `option`:
    checked(value) -> value                 the value of the option, before data is read; raises KzooError
    applied(data, source, options) -> data  the `Dataset` that was read from a source, adapted to the option

Tasks of this folder are discovered by listing it, those of installed packages by the entry-point group `kzoo.tasks`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, TypeVar

from kzoo.problems.halves import half_of
from kzoo.problems.stored_types import Config, Scores, TrainingSettings
from kzoo.utils.discovery import Names, entry_points, installed, list_modules
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.schema import Some

if TYPE_CHECKING:
    import numpy as np

    from kzoo.inference.postprocessors.threshold import Decision

T = TypeVar("T")
# (outputs, truth) of each batch, as a network or a baseline yields them and `score` takes them
Pairs: TypeAlias = "Iterable[tuple[np.ndarray, np.ndarray]]"


class Headline(TypedDict):
    """The primary score of a split for people.

    Args:
        value: the score, formatted.
        label: what it is, and of how many examples.
        interval: its 95 % interval, formatted; None without one.
        scale: numbers to draw on a scale: `low`, `high`, `score` and `baseline`; None without a scale.
        sentence: that compares it with a baseline.
        useless: why the model may have learned nothing; None if it has.
    """

    value: str
    label: str
    interval: list[str] | None
    scale: dict[str, float] | None
    sentence: str
    useless: str | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Score:
    """The properties of a score.

    Args:
        best: "max" or "min".
        label: the name in tables.
        short: the name in column headers.
        form: the number format: "percent", "digits" (four of them), "number"; of an interval, "interval" (of shares)
            or "bounds" (of numbers).
        baseline: it is the score of a baseline, not of the model.
        ratio: ratios of this score are meaningful (twice as large is twice as good or bad).
        square_of: the score whose square it is, if it is not stored itself.
        own_unit: it is in the target's unit, so that it cannot be averaged over several targets.
        standardised: the score of standardised targets that replaces it for several targets, if it is in their units.
        counts_instead_of: the score that it replaces as primary score on data for which it is computed.
        interval: percentage of its interval, if it has one.
        objective_instead: the score to use as the objective, if this one does not tell which predictions are better.
    """

    best: str = "max"
    label: str
    short: str = ""
    form: str = "number"
    baseline: bool = False
    ratio: bool = False
    square_of: str = ""
    own_unit: bool = False
    standardised: str = ""
    counts_instead_of: str = ""
    interval: int = 95
    objective_instead: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """A task for one kind of input, under the name that users see, as Hugging Face names its tasks.

    Args:
        name: such as "image_classification".
        kind: the name of the kind of input.
        headline: the primary score, if it is not the task's first.
        facts: additional facts: "ordered" (rows have an order, and neighbours share values), else "unordered".
        hub: the tag on model hubs, if it is not the name with dashes.
        task: the task; `Task` fills it in.
    """

    name: str
    kind: str
    headline: str = ""
    facts: frozenset = frozenset()
    hub: str = ""
    task: "Task" = None  # type: ignore[assignment]  # `Task` fills it in

    @property
    def ordered(self) -> bool:
        """Whether rows follow one another, as windows of a series or of a text do; else they are independent."""
        return "ordered" in self.facts

    @property
    def keeps_predictions(self) -> bool:
        """Whether there is one prediction per row, few enough to store."""
        return "kept" in self.facts

    @property
    def gives_probabilities(self) -> bool:
        """Whether outputs are distributions: probabilities, or the logits of some."""
        return "probabilities" in self.facts

    @property
    def continues_inputs(self) -> bool:
        """Whether predictions continue an input, as those of language models continue a text."""
        return "continues" in self.facts

    @property
    def categorical(self) -> bool:
        """Whether the truth of a row is a class or some labels, whose names the data has."""
        return bool(self.facts & {"classes", "labels"})

    @property
    def separate_probabilities(self) -> bool:
        """Whether each output is a probability of its own, as of labels, not of one distribution."""
        return "labels" in self.facts

    @property
    def predicts_rates(self) -> bool:
        """Whether outputs are rates of counts, which a Poisson loss learns."""
        return "counts" in self.facts

    @property
    def has_sets(self) -> bool:
        """Whether predictions can have sets or intervals: a class for each row, or numbers."""
        return self.keeps_predictions and bool(self.facts & {"classes", "values"})

    def _stated(self, name: str) -> Any:
        """Return a field of the task; of its base, if it leaves the field empty."""
        return getattr(self.task, name) or getattr(self.task.base, name)

    @property
    def predicts(self) -> str:
        """What is predicted, in the plural, for messages."""
        return self._stated("predicts")

    def suits(self, needs: Collection[str], lacks: Collection[str] = ()) -> bool:
        """Return whether the problem has all facts that something needs, and none of those that it lacks."""
        return self.facts.issuperset(needs) and self.facts.isdisjoint(lacks)

    def limits(self) -> list[str]:
        """Return sentences on what predictions cannot be relied on for, with `{count}` for the number of classes."""
        lines = self._stated("limits")
        lines += self._stated("limits_of_forecasts") if self.ordered else ()
        return list(lines)

    def outputs_text(self, config: Config, training: TrainingSettings) -> str:
        """Return what the outputs of a network with these settings are."""
        return self._stated("outputs_text")(config, training)

    def example(
        self,
        truth: "np.ndarray",
        answer: "np.ndarray",
        target: "Target",
        *,
        scores: bool,
        decision: "Decision | None",
    ) -> JsonObject:
        """Return the cells of an example in a report: `truth`, `predicted`, `confidence`, and whether it is `right`.

        Args:
            truth, answer: of the example, as `Run.answers` has them.
            target: what was learned about the target.
            scores: whether answers are scores in place of probabilities.
            decision: the `kzoo.inference.postprocessors.threshold.Decision`, or None.
        """
        cells = self.task.function("inference", "example")
        return cells(truth, answer, target, scores=scores, decision=decision)

    def choose(self, p: "np.ndarray") -> "np.ndarray":
        """Return the numbers (N,) of the classes that are predicted from probabilities or scores (N, classes).

        A learned decision overrides it (see `kzoo.inference.postprocessors.threshold`).
        """
        return self.task.function("inference", "choose")(p)

    def true_probabilities(self, truth: "np.ndarray", p: "np.ndarray") -> "np.ndarray":
        """Return the probability that each of some models gives to the truth of each row.

        Args:
            truth: (N, ...) class numbers, or labels.
            p: (N, ..., outputs, models) probabilities.

        Returns:
            (rows, models), or (N, labels, models), NaN for unknown labels.
        """
        return self.task.function("inference", "true_probabilities")(truth, p)

    def soft_targets(
        self, truth: "np.ndarray", outputs: "np.ndarray", share: float
    ) -> "tuple[np.ndarray, np.ndarray, np.ndarray] | None":
        """Return targets that are mixed from the classes of rows and a teacher's probabilities; None for other tasks.

        Args:
            truth: (N,).
            outputs: of a teacher, (N, classes) probabilities.
            share: of the teacher, 0 to 1.

        Returns:
            (row numbers (M,), classes (M,), weight (M,)): a row occurs with each of its likely classes.
        """
        if self.classes_of(truth) is None:
            return None
        return self.task.function("inference", "soft_targets")(truth, outputs, share)

    def classes_of(self, y: T) -> T | None:
        """Return the truth of rows if each has one class, by which they are divided and drawn; None for other tasks."""
        return y if "classes" in self.facts else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """A task: what is predicted.

    Args:
        name: of the folder.
        room: the module that contains `inference` and `score`.
        facts: "classes": each row has one of a list of named classes; "labels": each row has any number of a list of
            named labels, with an output for each; "numbered": the truth is the index of an output; "probabilities":
            outputs are distributions; "values": numbers with a unit; "kept": there is one prediction per row, few
            enough to store; "continues": predictions can continue an input; "counts": whole numbers, 0 or more, whose
            rate is predicted; "quantiles": several quantiles of each value.
        problems: the names that users see, each with its kind of input.
        words: short names that `task=` accepts, such as "classification".
        option: the option of data that belongs to the task (see `kzoo.problems.data_arguments`): where it is set, the
            task is this one; empty for none.
        head: activation of the last layer, such as "softmax", "linear" or "exponential".
        single_head: the same if two classes share one output; empty if that does not apply.
        loss_heads: loss -> the activation that it needs instead of `head`.
        heads: output activations that Keras lacks and its fitting half makes of layers -> the activation of Keras in
            which they end.
        log_losses: losses that need targets above 0 -> whether training corrects their predictions to means.
        loss_choices: name in `losses` -> the two losses that it chooses between on validation data.
        median_losses: losses whose predictions are medians or near them, so that their sums are not those of the truth.
        losses: names that suit the task; the first is the default. `fitting` makes them, and the metrics.
        metrics: names of the metrics that training can report each epoch.
        objective: the score that a search optimises if the user names none; empty for the first metric of the preset.
        scores: name -> `Score`; the first is the primary score.
        side_by_side: scores that are shown beside each other where models are compared, before all others; AUC only of
            two classes.
        says: what `headline` requires: scores, and the number of examples or tokens.
        predicts: what is predicted, in the plural, for messages, such as "classes"; empty: as its base.
        limits: sentences on what predictions cannot be relied on for, in model cards, with `{count}` for the number of
            classes or labels; empty: those of its base.
        limits_of_forecasts: further ones if rows are ordered.
        outputs_text: function of the config of a network and of training settings that returns what its outputs are;
            None: that of its base.
        postprocess: postprocessing steps that are learned if there is validation data and the user chooses no others.
    """

    name: str
    room: str
    facts: frozenset
    problems: tuple[Problem, ...]
    words: tuple[str, ...] = ()
    option: str = ""
    head: str
    single_head: str = ""
    loss_heads: Mapping[str, str] = field(default_factory=dict)
    heads: Mapping[str, str] = field(default_factory=dict)
    log_losses: Mapping[str, bool] = field(default_factory=dict)
    loss_choices: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    median_losses: tuple[str, ...] = ()
    losses: tuple[str, ...]
    metrics: tuple[str, ...]
    objective: str = ""
    scores: Mapping[str, Score]
    side_by_side: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    predicts: str = ""
    limits: tuple[str, ...] = ()
    limits_of_forecasts: tuple[str, ...] = ()
    outputs_text: Callable[[Mapping[str, Any], Mapping[str, Any]], str] | None = None
    postprocess: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        headline = next(iter(self.scores))
        problems = tuple(
            Problem(
                name=problem.name,
                kind=problem.kind,
                headline=problem.headline or headline,
                facts=self.facts | (problem.facts or {"unordered"}),
                hub=problem.hub or problem.name.replace("_", "-"),
                task=self,
            )
            for problem in self.problems
        )
        object.__setattr__(self, "problems", problems)

    @property
    def form(self) -> JsonObject:
        """The schema of stored scores (see `kzoo.utils.schema`)."""
        number = (float, None)
        interval = Some(float, count=2)
        stored = {
            name: interval if score.form in ("interval", "bounds") else number
            for name, score in self.scores.items()
        }
        return {f"{name}?": form for name, form in stored.items()} | {
            name: stored.get(name, int) for name in self.says
        }

    @cached_property
    def inference(self) -> ModuleType:
        """The half that needs only NumPy: `learn`, `encode`, `answer`."""
        return import_module(half_of(self.room, "inference", "light"))

    @cached_property
    def base(self) -> "Task":
        """The task of kzoo whose functions stand in for those that this one lacks.

        Of the others whose facts it has, the one with the most of them; without any, values or classes, by the head.
        """
        others = [
            task for task in _tasks().values() if task is not self and task.facts <= self.facts
        ]
        default = _tasks()["values" if self.head == "linear" else "classes"]
        return max(others, key=lambda task: len(task.facts), default=default)

    @cached_property
    def fitting(self) -> ModuleType:
        """The half that needs Keras: `make_loss`, `make_metric`; that of its base if the task has none."""
        module = half_of(self.room, "fitting")
        return import_module(module) if find_spec(module) is not None else self.base.fitting

    def function(self, half: str, name: str) -> Callable[..., Any]:
        """Return a function of one of the halves, such as "inference"; of its base, if the task lacks it."""
        return getattr(getattr(self, half), name, None) or getattr(getattr(self.base, half), name)

    def baselines_of(self, name: str) -> list[str]:
        """Return the baseline scores to show beside a score: those in its number format.

        Of scores without a decision, such as `f1_default`, only that of the same score.
        """
        form = self.scores[name].form if name in self.scores else None
        return [
            key
            for key, score in self.scores.items()
            if score.baseline and score.form == form and key.removesuffix("_default") in (key, name)
        ]

    def head_of(self, outputs: int) -> str:
        """Return the activation of the last layer of a network with this many outputs."""
        return self.single_head if outputs == 1 and self.single_head else self.head

    @cached_property
    def scoring(self) -> ModuleType:
        """The scoring half: `score`, `judge`, `headline`."""
        return import_module(half_of(self.room, "score"))

    @cached_property
    def target(self) -> ModuleType:
        """The target half: `checked`, `applied`."""
        return import_module(half_of(self.room, "target"))

    def score_warnings(self, scores: Scores) -> list[str]:
        """Return warnings about what the scores of a split do not show; empty without scores."""
        warn = getattr(self.scoring, "doubts", None)
        return warn(scores) if warn and scores else []

    def in_units(self, scores: Scores, target: "Target") -> str:
        """Return a sentence on how far predictions are off in the unit of the target; empty if there is none."""
        sentence = getattr(self.scoring, "in_units", None)
        return sentence(scores, target) if sentence and scores else ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """What was learned of the target columns on the training data.

    Args:
        names: of the columns.
        classes: names of the classes or labels 0..n-1; empty for other tasks.
        config: settings of the network, by the builders' names: `outputs`, `target_offset`, `target_scale`.
        common: index of the most frequent class or token of the training rows; None if it is unknown.
        thresholds: of labels: the probability from which on each is predicted; empty for a half.
    """

    names: tuple = ()
    classes: tuple = ()
    config: Mapping = field(default_factory=dict)
    common: int | None = None
    thresholds: tuple = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """The result of scoring.

    Args:
        scores: name -> number, interval or None.
        truth: (N, ...), answers: (N, ...): probabilities or values, for tasks whose predictions are kept.
    """

    scores: JsonObject
    truth: Any = None
    answers: Any = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """Per-example errors.

    Args:
        quality: (N,) higher is better.
        right: (N,) booleans: whether predictions are correct; None for tasks without correct and wrong predictions.
        error: (N,) errors, for tasks that have them.
        of: the name of the error, or of the share of correct predictions if it is not the accuracy.
    """

    quality: Any
    right: Any = None
    error: Any = None
    of: str = ""

    def worst(
        self, most: int, *, among: "np.ndarray", places: "np.ndarray", apart: int = 1
    ) -> list[int]:
        """Return the indices of the worst predictions, worst first.

        Args:
            most: the largest number of indices.
            among: (N,) booleans: which ones may be returned.
            places: (N,) the row number of each in its split.
            apart: smallest distance between the row numbers of two that are returned.
        """
        order = self.quality.argsort(kind="stable")
        candidates = among.copy()
        indices: list[int] = []
        while len(indices) < most and candidates.any():
            indices.append(int(order[candidates[order]][0]))
            candidates &= abs(places - places[indices[-1]]) >= max(apart, 1)
        return indices


@cache
def _tasks() -> dict[str, Task]:
    """Return name -> task, of this folder."""
    return list_modules("kzoo.problems.tasks", "TASK")


def tasks() -> dict[str, Task]:
    """Return name -> task, including those of installed packages."""
    return _tasks() | installed("kzoo.tasks")


@cache
def _replaced() -> frozenset[str]:
    """Return the names of the tasks of kzoo that installed packages replace by theirs."""
    return frozenset(entry.name for entry in entry_points("kzoo.tasks")) & _tasks().keys()


def options_without_task() -> dict[str, str]:
    """Return the options of data whose task of kzoo is replaced by one of an installed package without the option."""
    owned = {task.option for task in tasks().values()}
    return {
        task.option: task.name
        for task in _tasks().values()
        if task.option and task.option not in owned
    }


def _problems_of(tasks: Mapping[str, Task]) -> dict[str, Problem]:
    return {problem.name: problem for task in tasks.values() for problem in task.problems}


def problems() -> dict[str, Problem]:
    """Return public name -> `Problem`."""
    return _problems_of(tasks())


def _names_in(tasks: Mapping[str, Task], field: str) -> dict[str, None]:
    return dict.fromkeys(name for task in tasks.values() for name in getattr(task, field))


def task_with_head(activation: str | None) -> Task | None:
    """Return the task of kzoo that makes the layers of an output activation; None for those of Keras."""
    return next((task for task in _tasks().values() if activation in task.heads), None)


def ends_in(activation: str | None) -> str | None:
    """Return the activation of Keras in which an output activation ends: itself, unless a task makes it."""
    task = task_with_head(activation)
    return activation if task is None or activation is None else task.heads[activation]


HEADS = Names(lambda: _names_in(_tasks(), "heads"), lambda: _names_in(_tasks(), "heads"))
LOSSES = Names(lambda: _names_in(_tasks(), "losses"), lambda: _names_in(tasks(), "losses"))
METRICS = Names(lambda: _names_in(_tasks(), "metrics"), lambda: _names_in(tasks(), "metrics"))
NAMES = Names(lambda: _problems_of(_tasks()), problems)


def problem(name: str) -> Problem:
    """Return the problem with a public name, or a pair "KIND:TASK" that has no public name.

    Raises:
        KzooError: an unknown name.
    """
    # avoids loading installed packages for built-in names
    builtin = _problems_of(_tasks()).get(name)
    if builtin is not None and builtin.task.name not in _replaced():
        return builtin
    if isinstance(name, str) and ":" in name:
        kind, _, task_name = name.partition(":")
        if task_name in tasks():
            return _unnamed(kind, tasks()[task_name])
    available = problems()
    if name not in available:
        raise KzooError(f"Unknown task {name!r}. Use one of: {', '.join(available)}.", value=name)
    return available[name]


def problem_for(kind: str, fact: str, *, ordered: bool = False) -> Problem:
    """Return the problem of a kind of input whose task has a fact; "KIND:TASK" if it is unordered without a name.

    Of several tasks with the fact, it is the one with the fewest other facts: values, not counts.

    Args:
        kind: name of the kind of input.
        fact: of the task.
        ordered: whether rows have an order; there must be such a problem.
    """
    task = min(
        (task for task in tasks().values() if fact in task.facts), key=lambda task: len(task.facts)
    )
    named = next(
        (
            candidate
            for candidate in task.problems
            if candidate.kind == kind and candidate.ordered is ordered
        ),
        None,
    )
    assert named is not None or not ordered, kind
    return named or _unnamed(kind, task)


def _unnamed(kind: str, task: Task) -> Problem:
    return Problem(
        name=f"{kind}:{task.name}",
        kind=kind,
        headline=next(iter(task.scores)),
        facts=task.facts | {"unordered"},
        task=task,
    )


def problems_with_facts(*facts: str) -> list[Problem]:
    """Return the problems that have all these facts."""
    return [candidate for candidate in problems().values() if candidate.facts >= set(facts)]


def score_named(name: str) -> Score | None:
    """Return the properties of a score; None if no task has it. A level, as in recall@precision=0.9, is ignored."""
    name = name.partition("=")[0]
    return next((task.scores[name] for task in tasks().values() if name in task.scores), None)
