"""What is watched (`objective`) and what decides (`decision`, `cost`, `positive`), adapted to the data."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from kzoo.data.sample import class_counts
from kzoo.inference.postprocessors import threshold
from kzoo.inference.postprocessors.decision import SETTINGS, STEP, takes_decision
from kzoo.problems import costs
from kzoo.problems.objectives import POSITIVE, Objective, is_exact_in_keras, is_score, resolve
from kzoo.problems.stored_types import TrainingSettings
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import hint, listed, percent

if TYPE_CHECKING:
    from kzoo.data.dataset import Dataset


_DEFAULT = "default"


def adapt_objective(
    training: JsonObject, requested: Collection[str], data: "Dataset", reported: Sequence[str]
) -> list[str]:
    """Set what is monitored for an objective, in place, and return notes.

    Args:
        training: the training settings; `adapt_decision` has adapted them.
        requested: names of the settings that the user has set.
        data: the `Dataset`.
        reported: names of the metrics that the network can report.

    Raises:
        KzooError: an objective that is unknown or does not suit the task, or one beside a monitored metric.
    """
    if training.get("objective") is None:
        return []
    if "monitor" in requested and training.get("monitor") not in (None, _monitored(training)):
        raise KzooError(
            f"and objective={str(training['objective'])!r} both determine the best "
            "epoch. Set only one of them.",
            argument="monitor",
            value=training["monitor"],
        )
    objective = resolve(training["objective"], data.problem, reported=reported)
    notes = []
    score = data.problem.task.scores.get(objective)
    several = len(data.target.names) > 1
    # Keras' metrics are of standardised targets already.
    if (
        several
        and score is not None
        and score.own_unit
        and not is_exact_in_keras(objective, reported)
    ):
        notes.append(
            f"objective={str(objective)!r}: units of the targets may differ, so {score.standardised} decides."
        )
        objective = resolve(score.standardised, data.problem)
    if training.get("positive") is not None and "positive" in requested and objective == "f1":
        objective = Objective(f"f1{POSITIVE}")
    if objective.level is not None or objective.endswith(POSITIVE):
        if len(data.class_names) != 2:
            raise KzooError(
                f"is of the positive class of two, and {data.name} has "
                f"{len(data.class_names)} classes. Use objective='f1' or 'balanced_accuracy'.",
                argument="objective",
                value=str(objective),
            )
        notes += _set_positive(training, data)
    if objective == "expected_cost" and training.get("cost") is None:
        raise KzooError(
            "needs cost=: what each mistake (actual, predicted) costs.",
            argument="objective",
            value="expected_cost",
        )
    training["objective"] = objective
    decides = STEP in training.get("postprocess", ())
    is_metric = objective in reported and objective not in data.problem.task.scores
    if is_metric or (
        is_exact_in_keras(objective, ("loss", *reported))
        and not (decides and objective in threshold.SCORES)
    ):
        metrics = tuple(training.get("metrics", ()))
        if objective != "loss" and "metrics" in training and objective not in metrics:
            training["metrics"] = (*metrics, str(objective))
        training["monitor"], training["mode"] = f"val_{objective}", None
    else:
        training["monitor"], training["mode"] = f"val_{objective}", objective.best
    return notes


def _monitored(training: TrainingSettings) -> str:
    return f"val_{training['objective']}".replace("val_val_", "val_")


def adapt_decision(
    training: JsonObject, requested: Collection[str], data: "Dataset", *, logits: bool | None
) -> list[str]:
    """Check and complete the settings of the decision, in place, and return notes.

    Afterwards `cost` is a matrix, `decision` an `Objective`, and `postprocess` has the step that learns it.

    Args:
        training, requested, data: see `adapt_objective`.
        logits: whether outputs of classes are logits (see `kzoo.inference.predictions.logits_of`).

    Raises:
        KzooError: settings for other tasks or for two classes only, unknown classes, wrong costs, an unknown score, or
            outputs that are no probabilities.
    """
    values = {name: training[name] for name in SETTINGS if training.get(name) is not None}
    steps = tuple(training.get("postprocess", ()))
    if STEP in steps and "decision" not in values and "cost" not in values:
        raise KzooError(
            "is added by decision=, which says for which score. Set decision='f1'.",
            argument="postprocess",
            value=STEP,
        )
    if not values:
        return []
    names = list(map(str, data.class_names))
    notes = []
    for name, value in values.items():
        if not takes_decision(data.problem):
            raise KzooError(
                f"needs one class per row to predict, and {data.problem.name} has none. Leave it out.",
                argument=name,
                value=str(value) if isinstance(value, str) else value,
            )
    if "positive" in values:
        if values["positive"] not in names:
            raise KzooError(
                f"is not a class of {data.name}. "
                f"{hint(values['positive'], names)}Use one of: {listed(names, 10)}.",
                argument="positive",
                value=values["positive"],
            )
        if len(names) != 2:
            raise KzooError(
                f"is for two classes, and {data.name} has {len(names)}.",
                argument="positive",
                value=values["positive"],
            )
    if (cost := costs.read(values.get("cost"))) is not None:
        training["cost"], cost_notes = costs.matrix(cost, names)
        notes += cost_notes
    rule = _rule(training, values, requested, data)
    if rule is None:
        return notes
    check_probabilities("decision", str(rule), logits)
    if len(names) == 2:
        notes += _set_positive(training, data)
    if data.validation is None:
        raise KzooError(
            "is learned on validation data, and there is none. Set validation=0.1.",
            argument="decision",
            value=str(rule),
        )
    training["decision"] = rule
    training["postprocess"] = (*(step for step in steps if step != STEP), STEP)
    return notes


def check_probabilities(name: str, value: object, logits: bool | None) -> None:
    """Raise `KzooError` if a setting needs probabilities, and the outputs of classes are none (`logits` is None)."""
    if logits is None:
        raise KzooError(
            "needs probabilities, and the outputs of this network are none: its loss or its "
            "last activation is for other scores. Set loss='crossentropy'.",
            argument=name,
            value=value,
        )


def _rule(
    training: JsonObject,
    values: Mapping[str, object],
    requested: Collection[str],
    data: "Dataset",
) -> Objective | None:
    """Return the objective that the decision is for; None for the most probable class."""
    decision = values.get("decision", "cost" if "cost" in values else _DEFAULT)
    if decision == _DEFAULT:
        return None
    if decision == "objective":
        if training.get("objective") is None:
            raise KzooError(
                "needs an objective. Set objective='f1', or decision='f1'.",
                argument="decision",
                value="objective",
            )
        decision = training["objective"]
    if decision == "cost":
        decision = "expected_cost"
    if decision == "expected_cost" and "cost" not in values:
        raise KzooError(
            "needs cost=: what each mistake (actual, predicted) costs.",
            argument="decision",
            value="cost",
        )
    legal = (
        _DEFAULT,
        "objective",
        "cost",
        *(name for name in threshold.SCORES if not name.endswith(POSITIVE)),
    )
    if isinstance(decision, str) and not isinstance(decision, Objective) and not is_score(decision):
        raise KzooError(
            f"is unknown. {hint(decision, legal)}Use one of: {', '.join(legal)}.",
            argument="decision",
            value=decision,
        )
    rule = resolve(decision, data.problem, argument="decision")
    if rule == "f1" and "positive" in values and "positive" in requested:
        rule = Objective(f"f1{POSITIVE}")
    if (
        rule.function is None and rule.score not in threshold.SCORES
    ) or rule.response_method == "predict_proba":
        raise KzooError(
            f"does not depend on the threshold. Use one of: {', '.join(legal)}.",
            argument="decision",
            value=str(rule),
        )
    if len(data.class_names) != 2 and rule != "expected_cost":
        raise KzooError(
            f"needs two classes, and {data.name} has {len(data.class_names)}. For more, set cost=.",
            argument="decision",
            value=str(rule),
        )
    return rule


def _set_positive(training: JsonObject, data: "Dataset") -> list[str]:
    """Set the positive class to the rarer one, if the user has not set it, and return a note about it."""
    if training.get("positive") is not None:
        return []
    counts = class_counts(data, "train")
    number = int(counts[0] < counts[1]) ^ 1 if counts[0] != counts[1] else 1
    training["positive"] = str(data.class_names[number])
    share = percent(counts[number] / max(counts.sum(), 1))
    return [
        f"The positive class is {training['positive']!r} ({share} of the training rows); positive= sets another."
    ]


def is_watched_by_keras(training: TrainingSettings) -> bool:
    """Return whether Keras reports what determines the best epoch, so that no objective has to be computed."""
    return training.get("objective") is None or training.get("mode") is None
