"""What scoring labels needs of a run's settings: the decision, the positive class, costs and the objective. NumPy."""

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.inference.postprocessors import threshold
from kzoo.inference.postprocessors.postprocessor import Postprocessor
from kzoo.inference.postprocessors.threshold import Decision
from kzoo.problems.objectives import Objective, resolve
from kzoo.problems.stored_types import TrainingSettings
from kzoo.problems.tasks import Judged, Problem, Target
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import number

if TYPE_CHECKING:
    from kzoo.data.dataset import Dataset
    from kzoo.zoo.run import Run


STEP = "threshold"  # the postprocessing step that `decision=` selects
SETTINGS = ("decision", "cost", "positive")


def takes_decision(problem: Problem) -> bool:
    """Return whether the scores of a problem follow a decision."""
    return (
        problem.suits(threshold.FACTS)
        and "decision" in inspect.signature(problem.task.scoring.score).parameters
    )


def settings_of(training: TrainingSettings) -> JsonObject:
    """Return the settings of objective and decision that a stored training has; empty without any."""
    return {
        name: training[name] for name in ("objective", *SETTINGS) if training.get(name) is not None
    }


def decision_of(
    settings: TrainingSettings,
    problem: Problem,
    classes: Sequence[str],
    postprocessor: Postprocessor | None = None,
) -> Decision | None:
    """Return what scoring needs of these settings; None without any, or for other tasks.

    Args:
        settings: training settings, also stored ones.
        problem: the problem.
        classes: names of the classes.
        postprocessor: the `Postprocessor`, whose step of stage "decide" is the decision, or None.
    """
    if not takes_decision(problem):
        return None
    settings = settings_of(settings)
    objective = settings.get("objective") or settings.get("decision")
    if objective is not None and not isinstance(objective, Objective):
        try:
            objective = resolve(objective, problem)
        except (
            KzooError
        ):  # a user's function, of which the name is stored; or a decision that is no score
            objective = None
    step = None if postprocessor is None else postprocessor.step(STEP)
    if step is not None:
        learned = threshold.decision(step.learned, classes, objective)
        return replace(learned, choose=problem.choose)
    if not settings:
        return None
    positive = settings.get("positive")
    return Decision(
        positive=None if positive is None else list(map(str, classes)).index(positive),
        cost=settings.get("cost"),
        objective=objective,
        choose=problem.choose,
    )


def scoring_arguments(
    settings: TrainingSettings | None, data: "Dataset | Run", postprocessor: Postprocessor | None
) -> tuple[Target, JsonObject]:
    """Return the target with its thresholds, and the other options, with which a task's `score` and `judge` decide.

    Args:
        settings: training settings, also stored ones.
        data: the `Dataset`, or the run.
        postprocessor: with the steps that decide, or None.
    """
    decision = decision_of(settings or {}, data.problem, data.class_names, postprocessor)
    target = data.target if postprocessor is None else postprocessor.target(data.target)
    return target, {} if decision is None else {"decision": decision}


def run_decision(run: "Run") -> Decision | None:
    """Return `decision_of` for a run."""
    return decision_of(
        run.spec.training, run.problem, run.class_names, Postprocessor.read(run.postprocessing)
    )


def judged_answers(run: "Run") -> Judged:
    """Return quality, correctness and error of each stored prediction of a run, by its decision and thresholds."""
    stored = run.answers
    assert stored is not None
    steps = Postprocessor.read(run.postprocessing)
    target, options = scoring_arguments(run.spec.training, run, steps)
    return run.problem.task.scoring.judge(stored["truth"], stored["answers"], target, **options)


def predicted_classes(run: "Run", p: np.ndarray) -> np.ndarray:
    """Return the class numbers (N,) that a run predicts for probabilities or scores (N, classes)."""
    decision = run_decision(run)
    return run.problem.choose(p) if decision is None else decision.numbers(p)


def decision_on(
    run: "Run", truth: np.ndarray, p: np.ndarray
) -> tuple[Decision, Objective, str] | None:
    """Return the threshold of a run, what it was chosen for, and a sentence about its gain on some rows.

    Args:
        run: the run.
        truth: (N,) class numbers.
        p: (N, 2) probabilities.

    Returns:
        None without a threshold, or for one that was chosen for a user's function.
    """
    decision = run_decision(run)
    step = Postprocessor.read(run.postprocessing).step(STEP)
    if step is None or decision is None or decision.threshold is None:
        return None
    try:
        name = resolve(step.learned["objective"], run.problem)
    except KzooError:  # a user's function
        return None
    positive: Any = decision.positive
    gain = threshold.gain_over_default(
        p[:, positive], truth, decision.threshold, name, positive=positive, cost=decision.cost
    )
    low, high = gain["gain"]
    told = "so the two cannot be told apart" if low <= 0 <= high else "so the two differ"
    return (
        decision,
        name,
        (
            f"With the threshold {decision.threshold:.3g} it is {number(gain['score'])}, with 0.5 "
            f"{number(gain['score_default'])}. The gain over 0.5 is between {number(low)} and {number(high)} (90 % "
            f"bootstrap interval), {told} on these rows."
        ),
    )
