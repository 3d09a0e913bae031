"""`Postprocessor`: the postprocessing steps of a run: learned, stored and applied. NumPy only."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.inference.postprocessors import (
    AUTOMATIC,
    NAMES,
    STAGES,
    STEP,
    StepModule,
    adaptive_band,
    conformal,
    error_vectors,
    sample_paths,
    step_names,
    target_range,
)
from kzoo.inference.postprocessors.prediction_options import METHODS, PredictionOptions
from kzoo.inference.predictions import Predictions
from kzoo.problems.stored_types import TrainingSettings
from kzoo.problems.tasks import Problem, Target
from kzoo.utils.discovery import installed
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from kzoo.inference.postprocessors.conformal import PredictionsAndTruth


_OF_OUTPUTS = STAGES[: STAGES.index("decide")]  # the others change predictions


def _module(name: str) -> StepModule:
    """Return the module of a step; None if it is not installed."""
    if name in step_names():
        return import_module(f"kzoo.inference.postprocessors.{name}")
    return installed("kzoo.postprocessors").get(name)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A postprocessing step and its learned parameters.

    Args:
        name: of its module.
        stage: one of `STAGES`.
        rows: the split that it was learned on.
        learned: the return value of its `learn`.
    """

    name: str
    stage: str
    rows: str
    learned: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Postprocessor:
    """Postprocessing steps between a network's outputs and predictions, in addition to those of the task.

    Args:
        steps: in the order of their stages; empty for a run without postprocessing.
    """

    steps: tuple[Step, ...] = ()

    @classmethod
    def read(cls, stored: Sequence[Mapping[str, Any]] | None) -> "Postprocessor":
        """Return the postprocessor that `json` stored.

        Raises:
            KzooError: a step of a package that is not installed.
        """
        steps = []
        for step in stored or ():
            if _module(step["name"]) is None:
                raise KzooError(
                    f"Postprocessing step {step['name']!r} is not installed: install the package that provides it. "
                    f"Installed: {', '.join(NAMES) or 'none'}."
                )
            # STEP is the schema of a stored step
            steps.append(Step(**{name: step[name] for name in STEP}))
        return cls(steps=tuple(steps))

    def json(self) -> list[dict[str, Any]]:
        """Return the steps as plain data."""
        return [asdict(step) for step in self.steps]

    def step(self, name: str) -> Step | None:
        """Return the step of this name; None without it."""
        return next((step for step in self.steps if step.name == name), None)

    def describe(self) -> list[str]:
        """Return lines about what the steps have learned, of those that describe it."""
        modules = [(_module(step.name), step) for step in self.steps]
        return [
            line
            for module, step in modules
            if hasattr(module, "describe")
            for line in module.describe(step.learned)
        ]

    def outputs(self, outputs: np.ndarray, *, logits: bool | None) -> np.ndarray:
        """Return outputs of a network after the steps that change outputs."""
        for step in self.steps:
            if step.stage in _OF_OUTPUTS:
                outputs = _module(step.name).apply(step.learned, outputs, logits=logits)
        return outputs

    def target(self, target: Target) -> Target:
        """Return the target with the decisions of the steps, as scores need it: the thresholds of labels."""
        for step in self.steps:
            if (decide := getattr(_module(step.name), "decide", None)) is not None:
                target = decide(step.learned, target)
        return target

    def predictions(self, predictions: Predictions) -> Predictions:
        """Return predictions after the steps that change predictions."""
        for step in self.steps:
            if step.stage not in _OF_OUTPUTS:
                predictions = _module(step.name).apply(step.learned, predictions)
        return self._in_range(predictions)

    def _in_range(self, predictions: Predictions) -> Predictions:
        """Return predictions within the range of their targets, if the step is stored."""
        step = self.step(target_range.NAME)
        return predictions if step is None else target_range.finished(step.learned, predictions)

    def check(self, options: PredictionOptions, problem: Problem, *, promise: bool = True) -> None:
        """Check that predictions of a task support the options.

        Args:
            options: the `PredictionOptions` of the user.
            problem: what is predicted.
            promise: whether something promises it: the step "conformal", or a band that adapts.

        Raises:
            KzooError: another kind of predictions, or a run without what a promise is made from.
        """
        if options.of_paths:
            self._check_paths(options, problem)
        for name, value in options.given.items():
            if name in ("samples", "total", "seed"):
                continue
            use = "classes and numbers" if name == "confidence" else "classes"
            if not problem.has_sets or (use == "classes" and not problem.categorical):
                raise KzooError(
                    f"is for {use}, and this model predicts {problem.predicts}. Remove it.",
                    argument=name,
                    value=value,
                )
            if (
                name in ("confidence", "accuracy_when_answered")
                and promise
                and self.step(conformal.NAME) is None
            ):
                raise KzooError(
                    f"needs scores of {conformal.FEWEST} calibration or validation rows, which "
                    "this model does not have. Nor have ensembles of folds, models with scores in place of "
                    "probabilities (hinge), and runs of earlier versions. Train again with more such rows "
                    "(calibration=0.1).",
                    argument=name,
                    value=value,
                )

    def _check_paths(self, options: PredictionOptions, problem: Problem) -> None:
        """Raise `KzooError` if there are no error vectors, from which paths and totals are made."""
        name, value = next(
            (name, value) for name, value in options.given.items() if name in ("samples", "total")
        )
        if not problem.suits(error_vectors.FACTS):
            raise KzooError(
                f"is for forecasts, and this model predicts {problem.predicts}. Remove it.",
                argument=name,
                value=value,
            )
        if self.step(error_vectors.NAME) is None:
            raise KzooError(
                "needs the errors of past forecasts, which this model has not stored: it is of an earlier version, or "
                "had no validation rows in order of time. Train again.",
                argument=name,
                value=value,
            )

    def answered(
        self,
        predictions: Predictions,
        options: PredictionOptions,
        problem: Problem,
        band: np.ndarray | None = None,
    ) -> Predictions:
        """Return predictions, after all other steps, with the sets, intervals and abstention that are asked.

        Args:
            predictions: the return value of `predictions`.
            options: the `PredictionOptions` of the user.
            problem: what is predicted.
            band: (horizon, targets) half-widths of an adaptive band of forecasts.

        Raises:
            KzooError: see `check`; too few rows for the level, or an accuracy that cannot be promised.
        """
        if not options.given:
            return predictions
        self.check(options, problem)
        if (step := self.step(conformal.NAME)) is not None:
            predictions = conformal.answered(
                step.learned, step.rows, predictions, options, ordered=problem.ordered, band=band
            )
        if options.min_probability is not None:
            predictions = conformal.with_unsure(predictions, options.min_probability)
        return self._in_range(predictions)

    def totals(self, predictions: Predictions, options: PredictionOptions) -> Predictions:
        """Return forecasts with the paths that are asked, or their totals in place of them.

        Args:
            predictions: the return value of `answered`.
            options: the `PredictionOptions` of the user.

        Raises:
            KzooError: too many paths, or forecasts that cannot be added up.
        """
        if not options.of_paths or (step := self.step(error_vectors.NAME)) is None:
            return predictions
        seed = options.seed or 0
        if options.samples is not None:
            predictions = sample_paths.sampled(
                step.learned, predictions, options.samples, seed=seed
            )
        if options.total is None:
            return self._in_range(predictions)
        return sample_paths.totalled(
            step.learned, predictions, options.total, confidence=options.confidence, seed=seed
        )

    def band(
        self, confidence: float, predictions: Predictions, truth: np.ndarray
    ) -> np.ndarray | None:
        """Return the half-widths (horizon, targets) of the adaptive band of the next forecast; None without the step.

        Args:
            confidence: the level.
            predictions: N forecasts one step apart, in order of time, the next one last.
            truth: (N, horizon, targets); NaN where it is not known.
        """
        step = self.step(conformal.NAME)
        if step is None or np.isfinite(truth[:, -1]).sum() < adaptive_band.FEWEST:
            return None
        starts = np.arange(len(truth))
        return adaptive_band.adaptive_intervals(
            step.learned, predictions, truth, starts, confidence
        )[-1]

    def coverage(
        self,
        predictions: Predictions,
        truth: np.ndarray,
        levels: Sequence[float],
        problem: Problem,
        starts: np.ndarray | None,
        moments: np.ndarray | None = None,
    ) -> list[dict[str, Any]]:
        """Return the coverage of sets or intervals on some rows; see `conformal.coverage`.

        Args:
            predictions, truth: of the rows; of forecasts in order of time.
            levels: of confidence.
            problem: what is predicted.
            starts: (N,) time steps of the first values of forecasts of one series; None for several, which have no
                adaptive band.
            moments: the same for all series at the same time, by which coverages are judged; or None.

        Raises:
            KzooError: too few calibration rows for a level.
        """
        step: Any = self.step(conformal.NAME)
        options: dict[str, Any] = dict(ordered=problem.ordered, methods=METHODS)
        results: list[dict[str, Any]] = []
        for level in levels:
            conformal.check_level(step.learned, step.rows, level)
            results += conformal.coverage(
                step.learned, step.rows, predictions, truth, [level], moments=moments, **options
            )
            if problem.ordered and starts is not None:
                results.append(
                    adaptive_band.coverage(
                        step.learned, step.rows, predictions, truth, starts, level, moments
                    )
                )
        return results

    def with_step(self, step: Step) -> "Postprocessor":
        """Return the postprocessor with one more step, in the order of the stages."""
        steps = sorted((*self.steps, step), key=lambda step: STAGES.index(step.stage))
        return Postprocessor(steps=tuple(steps))

    def without(self, name: str) -> "Postprocessor":
        """Return the postprocessor without the step of this name."""
        return Postprocessor(steps=tuple(step for step in self.steps if step.name != name))


def with_conformal(
    postprocessor: Postprocessor | None,
    predictions: Predictions,
    truth: np.ndarray,
    *,
    problem: Problem,
    rows: str,
    tuning: "PredictionsAndTruth | None" = None,
    moments: np.ndarray | None = None,
) -> Postprocessor | None:
    """Return a postprocessor with the step "conformal"; unchanged if there is nothing to learn it from.

    Args:
        postprocessor: the other steps, or None.
        predictions, truth, tuning, moments, problem: see `kzoo.inference.postprocessors.conformal.learn`.
        rows: the name of the split.
    """
    learned = conformal.learn(predictions, truth, problem=problem, tuning=tuning, moments=moments)
    if learned is None:
        return postprocessor
    return with_step(postprocessor, conformal.NAME, learned, rows=rows)


def with_step(
    postprocessor: Postprocessor | None, name: str, learned: Mapping[str, Any], *, rows: str
) -> Postprocessor:
    """Return a postprocessor with a step added at the end of its stage, or replaced.

    Args:
        postprocessor: the other steps, or None.
        name: of the step.
        learned: what it has learned.
        rows: the name of the split that it was learned on.
    """
    step = Step(name=name, stage=_module(name).STAGE, rows=rows, learned=learned)
    return (postprocessor or Postprocessor()).without(name).with_step(step)


def with_range(
    postprocessor: Postprocessor | None, learned: Mapping[str, Any] | None
) -> Postprocessor | None:
    """Return a postprocessor with the step "target_range"; unchanged if nothing was learned for it.

    Args:
        postprocessor: the other steps, or None.
        learned: see `kzoo.inference.postprocessors.target_range.learned_range`.
    """
    if learned is None:
        return postprocessor
    return with_step(postprocessor, target_range.NAME, learned, rows="training and validation")


def with_range_of_members(
    postprocessor: Postprocessor | None, members: Sequence[Sequence[Mapping[str, Any]]]
) -> Postprocessor | None:
    """Return the postprocessor of an ensemble with the step "target_range", if all of its members have it.

    Args:
        postprocessor: the other steps, or None.
        members: the stored steps of each member.
    """
    learned = [Postprocessor.read(steps).step(target_range.NAME) for steps in members]
    if None in learned:
        return postprocessor
    ranges = [step.learned for step in learned if step is not None]
    return with_range(postprocessor, target_range.combine(ranges))


def stage_of(name: str) -> str | None:
    """Return the stage of a step; None if it is not installed."""
    return getattr(_module(name), "STAGE", None)


def combined(members: Sequence[Sequence[Mapping[str, Any]]]) -> Postprocessor:
    """Return the postprocessor of an ensemble without validation data, from those that its members stored.

    Args:
        members: the stored steps of each member, the same steps for all.
    """
    steps = [
        Step(name=same[0]["name"], stage=same[0]["stage"], rows="members", learned=_combine(same))
        for same in zip(*members, strict=True)
    ]
    return Postprocessor(steps=tuple(steps))


def _combine(steps: Sequence[Mapping[str, Any]]) -> JsonObject:
    return _module(steps[0]["name"]).combine([step["learned"] for step in steps])


def _takes(module: StepModule, problem: Problem, classes: int) -> bool:
    """Return whether a step suits a problem with this number of classes; of labels, any number does."""
    fewest, most = getattr(module, "CLASSES", (1, None))
    suits_number = problem.separate_probabilities or fewest <= classes <= (most or classes)
    return problem.suits(module.FACTS) and suits_number


def check_names(names: Sequence[str], problem: Problem, classes: int) -> None:
    """Check that steps can be used together with a task.

    Args:
        names: the names of the steps.
        problem: what is predicted.
        classes: number of classes, labels or values that are predicted.

    Raises:
        KzooError: an unknown step, two steps of the same stage, or a step that needs facts that the task does not have,
            or another number of classes.
    """
    stages: dict[str, str] = {}
    for name in names:
        if name in AUTOMATIC:
            raise KzooError(
                "has no effect: every training learns this step. Remove it.",
                argument="postprocess",
                value=name,
            )
        module = _module(name)
        if module is None or module.STAGE not in STAGES:
            raise KzooError(
                f"is unknown. Installed: {', '.join(NAMES) or 'none'}.",
                argument="postprocess",
                value=name,
            )
        if missing := sorted(module.FACTS - problem.facts):
            raise KzooError(
                f"needs a task with {', '.join(missing)}, which this task does not have.",
                argument="postprocess",
                value=name,
            )
        if not _takes(module, problem, classes):
            fewest, most = module.CLASSES
            number = f"{fewest} classes" if fewest == most else f"{fewest} classes or more"
            steps = [step for step in NAMES if _module(step).STAGE == module.STAGE]
            others = ", ".join(step for step in steps if _takes(_module(step), problem, classes))
            raise KzooError(
                f"is for {number}, and this data has {classes}. Use one of: {others}.",
                argument="postprocess",
                value=name,
            )
        if (other := stages.get(module.STAGE)) is not None:
            raise KzooError(
                f": both steps belong to stage {module.STAGE!r}; choose one of them.",
                argument="postprocess",
                value=f"{other},{name}",
            )
        stages[module.STAGE] = name


def learn(
    names: Sequence[str],
    outputs: np.ndarray,
    truth: np.ndarray,
    *,
    target: Target,
    logits: bool | None,
    rows: str,
    settings: TrainingSettings | None = None,
    weight: np.ndarray | None = None,
) -> Postprocessor:
    """Return a postprocessor whose steps are learned one after another, each on the outputs of the previous ones.

    Args:
        names: of the steps, in any order.
        outputs, truth: the network's outputs and the true values of one split (see `kzoo.inference.postprocessors`).
        target: what was learned of the target.
        logits: whether outputs of classes are logits.
        rows: the name of that split.
        settings: training settings, for steps whose `learn` takes them.
        weight: (N,) sample weights, for steps whose `learn` takes them; None: all rows have the same weight.
    """
    optional: dict[str, Any] = dict(settings=settings or {}, weight=weight)
    steps: list[Step] = []
    for name in sorted(names, key=lambda name: STAGES.index(_module(name).STAGE)):
        module = _module(name)
        previous = Postprocessor(steps=tuple(steps))
        accepted = inspect.signature(module.learn).parameters
        options = {name: value for name, value in optional.items() if name in accepted}
        learned = module.learn(
            previous.outputs(outputs, logits=logits), truth, target=target, logits=logits, **options
        )
        steps.append(Step(name=name, stage=module.STAGE, rows=rows, learned=learned))
    return Postprocessor(steps=tuple(steps))
