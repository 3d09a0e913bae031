"""The plan of a search: objective, number of trials and epochs, network sizes and estimated time."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import keras
import keras_tuner

from kzoo.callbacks import direction
from kzoo.callbacks.monitor import reported_metrics
from kzoo.data.dataset import Dataset
from kzoo.problems import objectives
from kzoo.problems.stored_types import Config, TrainingSettings
from kzoo.training.decision import adapt_objective
from kzoo.training.workers.worker import InProcess, TrialFailed, Worker
from kzoo.tuning.engines import engine_named
from kzoo.tuning.engines.base import Size, make_oracle, random_points
from kzoo.tuning.records import Objective, Request
from kzoo.tuning.spaces.points import Points
from kzoo.tuning.trial import Probe
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import duration, hint, plural
from kzoo.zoo.contract import metrics_for
from kzoo.zoo.registry import AUTO, steps_of_epoch

# the argument `objective` of `tune`
Requested: TypeAlias = "str | Sequence[str] | Callable[..., float] | keras_tuner.Objective"

_SAMPLES = 20  # number of random points whose parameters are counted, time permitting


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The size of a search.

    Args:
        preset, data, engine: names of the preset, of the data and of the engine.
        objective: the `Objective`.
        trials: number of trials, unless the space or the time ends earlier.
        epochs: largest total number of epochs; early stopping and pruning reduce it.
        random: number of random trials, anywhere or (bayesian, optuna) around the preset.
        hyperparameters: number of searched hyperparameters.
        points: number of points, None if the space is continuous.
        params: (fewest, the preset's, most) parameters among the default point and some random ones.
        sampled: number of these points.
        step: seconds of one training step of the preset.
        seconds: estimated training time of all epochs, from `step`.
        folds: number of folds, or None.
        brackets: Hyperband's (trials, epochs before, epochs after) of each round, otherwise empty.
        space: the space, as text.
        start: the name of the default point.
        parallel: number of concurrent trials.
        threads: threads of each trial's training, or None.
    """

    preset: str
    data: str
    engine: str
    objective: Objective
    trials: int
    epochs: int
    random: int
    hyperparameters: int
    points: int | None
    params: tuple
    sampled: int
    step: float
    seconds: float
    folds: int | None = None
    brackets: tuple = ()
    space: str = ""
    start: str = "the preset"
    parallel: int = 1
    threads: int | None = None

    def __str__(self) -> str:
        name, direction = self.objective
        points = "infinitely many points" if self.points is None else f"{self.points:,} points"
        folds = "" if self.folds is None else f", each over {self.folds} folds"
        region = f"around {self.start}" if engine_named(self.engine).learns else "at random"
        low, default, high = self.params
        lines = [
            f"{self.preset} on {self.data}: engine {self.engine}, {name} ({direction}), "
            f"{plural(self.hyperparameters, 'hyperparameter')}, {points}",
            f"{self.trials} trials{folds}, at most {self.epochs:,} epochs; {self.random} of them drawn {region} "
            f"({self.random / max(self.trials, 1):.0%})",
        ]
        if self.parallel > 1:
            threads = "" if self.threads is None else f", {plural(self.threads, 'thread')} each"
            lines.append(
                f"{self.parallel} trials at once{threads}; the proposals depend on this number"
            )
        if self.brackets:
            rounds = ", ".join(f"{n} to epoch {after}" for n, _, after in self.brackets)
            lines.append(
                f"{self.engine} sets the number of trials itself: {self.start} with all epochs, then {rounds}"
            )
        lines.append(
            f"{low:,} to {high:,} parameters among {self.sampled} points, {self.start} {default:,}; "
            f"at most {duration(self.seconds)} if all epochs are trained ({self.step * 1000:.1f} ms a single step)"
        )
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class AutoPlan:
    """What `tune("auto")` would try, returned by `dry_run=True`.

    Args:
        data: the line that describes the data.
        metric: the score by which they are compared.
        parts: how candidates are judged.
        baselines, presets: labels, in the order in which they are tried.
        seconds: the time limit.
        why: why it is this score, behind its name; empty if the user or the task says so.
        prefer, one_network: see `kzoo.tune`.
    """

    data: str
    metric: str
    parts: str
    baselines: Sequence[str]
    presets: Sequence[str]
    seconds: float
    why: str = ""
    prefer: str = "simple"
    one_network: bool = False

    engine: str = AUTO
    epochs: int = 0
    random: int = 0

    @property
    def trials(self) -> int:
        """Number of candidates, without other settings of the best preset."""
        return len(self.baselines) + len(self.presets)

    def __str__(self) -> str:
        why = f" ({self.why})" if self.why else ""
        return "\n".join(
            (
                f"auto: {self.metric.replace('_', ' ')}{why}, {self.parts}, {duration(self.seconds)}"
                f"{', the highest score wins' if self.prefer == 'score' else ''}"
                f"{', as one network' if self.one_network else ''}",
                f"baselines: {', '.join(self.baselines) or 'none'}",
                f"presets, in this order: {', '.join(self.presets)}",
            )
        )


def size_of(engine: str, *, epochs: int, folds: int | None, **options: object) -> Size:
    """Return the size of a search; `epochs` are those of the longest training, `options` the engine's."""
    return make_oracle(engine, seed=0, epochs=epochs, **options).size(epochs, folds)


def make_plan(request: Request, space: Points, size: Size, worker: Worker | InProcess) -> Plan:
    """Build the default point, time one step, and return the plan.

    Args:
        request, space, size: of the search.
        worker: the `Worker` that will train.

    Raises:
        KzooError: the default point cannot be trained, or is larger than the limit of the space.
    """
    samples = [space.overrides(values) for values in random_points(space, request.seed, _SAMPLES)]
    try:
        probe = worker.call("probe", overrides=space.overrides(space.default()), samples=samples)
    except TrialFailed as error:
        raise KzooError(f"{request.spec['preset']} cannot be trained: {error}") from None
    assert isinstance(probe, Probe)
    limit = math.inf if space.max_params is None else space.max_params
    if probe.params > limit:
        raise KzooError(
            f"limit(params={limit:,}) is less than the preset's {probe.params:,} parameters. Raise it, or "
            f"override the preset's size."
        )
    counts = [
        count for count in (probe.params, *probe.counts) if count is not None and count <= limit
    ]
    steps = steps_of_epoch(request.spec["training"], request.data["train"])
    return Plan(
        preset=request.spec["preset"],
        data=request.data["name"],
        engine=request.engine,
        objective=request.objective,
        trials=size.trials,
        epochs=size.epochs,
        random=size.random,
        brackets=size.rounds,
        folds=request.folds,
        hyperparameters=len(space.names),
        points=space.finite_size(),
        space=str(space),
        start=request.start,
        params=(min(counts), probe.params, max(counts)),
        sampled=len(counts),
        step=probe.step,
        seconds=(size.epochs * steps * probe.step + size.trials * probe.first) / request.parallel,
        parallel=request.parallel,
        threads=request.threads,
    )


def default_objective(
    training: TrainingSettings, data: Dataset, requested: Collection[str] = ()
) -> str:
    """Return the objective of a search for which the user names none.

    It is the one that the task names, unless the user has set metrics: then, as for the other tasks, the first metric.
    The loss comes last because its scale depends on `label_smoothing`, `l2` and `class_weight`.

    Args:
        training: the preset's training settings, adapted to the data.
        data: a `Dataset`.
        requested: names of the settings that the user has set.
    """
    if (name := data.problem.task.objective) and "metrics" not in requested:
        return name
    return f"val_{(training.get('metrics') or ('loss',))[0]}"


def resolve_objective(
    objective: "Requested | None",
    config: Config,
    training: TrainingSettings,
    data: Dataset,
    *,
    folds: int | None = None,
    requested: Collection[str] = (),
) -> Objective:
    """Return the `Objective` for the argument of `tune`.

    Args:
        objective: a score such as "f1" (see `kzoo.problems.objectives`), a metric such as "val_accuracy", a pair (name,
            "max" or "min"), an object with `name` and `direction` (KerasTuner's), or None for `default_objective`.
        config, training: the preset's settings, adapted to the data.
        data: a `Dataset`.
        folds: number of folds, or None.
        requested: names of the settings that the user has set.

    Raises:
        KzooError: the metric is not reported, its direction is wrong, or there is no validation data.
    """
    names = ["loss", *metrics_for(data.task, config)]
    if objective is None:
        objective = default_objective(training, data, requested)
    return _resolve(
        objective, names, data, folds, scored_settings(objective, names, training, data, requested)
    )


def objective_of_function(
    objective: "Requested | None", model: keras.Model, data: Dataset, *, folds: int | None = None
) -> Objective:
    """Return the `Objective` for a search of a build function.

    Args:
        objective: as for `resolve_objective`; the default is the first metric that the model was
            compiled with, or else its loss.
        model: one of the function's models.
        data, folds: as for `resolve_objective`.

    Raises:
        KzooError: as for `resolve_objective`, or a custom metric has no direction.
    """
    names = reported_metrics(model)
    default = next(
        (name for name in names or () if name != "loss" and not name.endswith("_loss")), "loss"
    )
    objective = f"val_{default}" if objective is None else objective
    return _resolve(objective, names, data, folds, scored_settings(objective, names, {}, data, ()))


def scored_settings(
    objective: Requested,
    names: Sequence[str] | None,
    training: TrainingSettings,
    data: Dataset,
    requested: Collection[str],
) -> JsonObject | None:
    """Return the training settings for an objective that is a score of the task or the user's function.

    Args:
        objective: the argument of `tune`.
        names: of the metrics that the model reports; None if unknown.
        training, data, requested: as for `resolve_objective`.

    Returns:
        `objective`, `monitor`, `mode` and perhaps `positive`; None for a metric that Keras reports under its own name,
        and for a pair of a custom metric.

    Raises:
        KzooError: a score of another task, or a wrong level.
    """
    if callable(objective) or (
        isinstance(objective, tuple | list) and len(objective) == 2 and callable(objective[0])
    ):
        objective = objectives.read(objective)
    if not isinstance(objective, str):
        return None
    if getattr(objective, "function", None) is None:
        is_reported = objective.removeprefix("val_") in (names or ())
        if objective.startswith("val_") and (is_reported or names is None):
            return None
        if not is_reported and not objectives.is_score(objective):
            return None
    settings = {
        name: training[name]
        for name in ("positive", "cost", "postprocess", "metrics")
        if name in training
    }
    settings["objective"] = objective
    adapt_objective(settings, requested, data, names or ())
    return {
        name: settings[name]
        for name in ("objective", "monitor", "mode", "positive")
        if name in settings
    }


def _resolve(
    objective: Requested,
    names: Sequence[str] | None,
    data: Dataset,
    folds: int | None,
    scored: JsonObject | None,
) -> Objective:
    """Return the `Objective` among the reported `names` (None if unknown)."""
    if hasattr(objective, "name") and hasattr(objective, "direction"):
        objective = objective.name, objective.direction
    if scored is None:
        name, resolved = _reported_metric(objective, names, data)
    else:
        name = scored["monitor"]
        resolved = scored["mode"] or direction(name)
    if data.validation is None and folds is None:
        raise KzooError(
            "requires validation data. Use validation=0.1 or folds=5.",
            argument="objective",
            value=str(name),
        )
    return Objective(name, resolved)


def _reported_metric(
    objective: Requested, names: Sequence[str] | None, data: Dataset
) -> tuple[str, str]:
    """Return the name and the direction of a metric that the model reports, by its name or a pair."""
    name: object = objective
    stated = None
    if isinstance(objective, tuple | list) and len(objective) == 2:
        name, stated = objective
    if not isinstance(name, str) or stated not in (None, "max", "min"):
        raise KzooError(
            "must be the name of a score or a metric, or a pair such as ('val_accuracy', 'max').",
            argument="objective",
            value=objective,
        )
    validation_names = (
        None if names is None else [f"val_{reported_name}" for reported_name in names]
    )
    if name in (names or ()) or (names is None and not name.startswith("val_")):
        raise KzooError(
            f"is measured on the training data and rewards overfitting. Use 'val_{name}'.",
            argument="objective",
            value=name,
        )
    if validation_names is not None and name not in validation_names:
        scores = ", ".join(objectives.names(data.problem))
        raise KzooError(
            f"is not reported. {hint(name, validation_names)}"
            f"Use one of: {', '.join(validation_names)}; or a score of the whole validation split: {scores}.",
            argument="objective",
            value=name,
        )
    try:
        resolved: str = direction(name)
    except KzooError:
        if stated is None:
            raise KzooError(
                f"has no known direction. Use ({name!r}, 'max') or ({name!r}, 'min').",
                argument="objective",
                value=name,
            ) from None
        resolved = stated
    if stated not in (None, resolved):
        raise KzooError(
            f"has direction {resolved!r}, not {stated!r}. Omit the direction.",
            argument="objective",
            value=name,
        )
    return name, resolved
