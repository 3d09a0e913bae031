"""What a search is for, how large it will be, and what it will cost: said before anything is trained."""

import math
from dataclasses import dataclass

from kzoo.callbacks import direction
from kzoo.callbacks.monitor import reported
from kzoo.contract import metrics_for
from kzoo.registry import steps_of_epoch
from kzoo.tuning.engines import engine_named
from kzoo.tuning.engines.base import Size, make_oracle, random_points
from kzoo.tuning.records import Objective
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import duration, hint, plural
from kzoo.workers.worker import TrialFailed

_SAMPLES = 20  # points whose parameters are counted, as far as there is time


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The size of a search.

    Args:
        preset, data, engine: what is searched on what, and how.
        objective: the `Objective`.
        trials: how many, unless the space or the time ends before.
        epochs: of them all, at most: training stops early where nothing improves, and pruning cuts.
        random: how many trials are drawn at random, anywhere or (bayesian, optuna) around the preset.
        hyperparameters: how many are searched.
        points: how many points there are, None for a continuum.
        params: (fewest, the preset's, most) parameters among the default point and some random ones.
        sampled: how many points those are.
        step: seconds of one training step of the preset.
        seconds: of all training, by that step.
        brackets: Hyperband's (trials, epochs before, epochs after) of each round, else none.
        space: the space, as text.
        start: what the default point is called.
        parallel: how many trials are under way at once.
        threads: of a trial's training, or None.
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

    def __str__(self):
        name, direction = self.objective
        points = "a continuum" if self.points is None else f"{self.points:,} points"
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
            lines.append(f"{self.parallel} trials at once{threads}: what is proposed follows from this number")
        if self.brackets:
            rounds = ", ".join(f"{n} to epoch {after}" for n, _, after in self.brackets)
            lines.append(f"{self.engine} decides the number of trials itself: {self.start} in full, then {rounds}")
        lines.append(
            f"{low:,} to {high:,} parameters among {self.sampled} points, {self.start} {default:,}; "
            f"at most {duration(self.seconds)} if all epochs are trained ({self.step * 1000:.1f} ms a single step)"
        )
        return "\n".join(lines)


def size_of(engine, *, epochs, folds, **options) -> Size:
    """Return the size of a search; `epochs` are those of the longest training, the other options an engine's."""
    return make_oracle(engine, seed=0, epochs=epochs, **options).size(epochs, folds)


def make_plan(request, space, size, worker) -> Plan:
    """Have the default point built and one step timed, and return the plan.

    Args:
        request, space, size: of the search.
        worker: the `Worker` that will train.

    Raises:
        KzooError: the default point cannot be trained, or is larger than the space allows.
    """
    samples = [space.overrides(values) for values in random_points(space, request.seed, _SAMPLES)]
    try:
        probe = worker.call("probe", overrides=space.overrides(space.default()), samples=samples)
    except TrialFailed as error:
        raise KzooError(f"{request.spec['preset']} cannot be trained: {error}") from None
    limit = math.inf if space.max_params is None else space.max_params
    if probe.params > limit:
        raise KzooError(
            f"limit(params={limit:,}) is less than the preset's own {probe.params:,} parameters. Raise it, or "
            f"override the preset's size."
        )
    counts = [count for count in (probe.params, *probe.counts) if count is not None and count <= limit]
    steps = steps_of_epoch(request.spec["training"], request.data["train"])
    return Plan(
        preset=request.spec["preset"], data=request.data["name"], engine=request.engine, objective=request.objective,
        trials=size.trials, epochs=size.epochs, random=size.random, brackets=size.rounds, folds=request.folds,
        hyperparameters=len(space.names), points=space.finite_size(), space=str(space), start=request.start,
        params=(min(counts), probe.params, max(counts)), sampled=len(counts), step=probe.step,
        seconds=(size.epochs * steps * probe.step + size.trials * probe.first) / request.parallel,
        parallel=request.parallel, threads=request.threads,
    )  # fmt: skip


def resolve_objective(objective, config, training, data, *, folds=None) -> Objective:
    """Return the `Objective` that is meant.

    Args:
        objective: a name such as "val_accuracy", a pair (name, "max" or "min"), an object with `name` and `direction`
            (KerasTuner's), or None for the first of the preset's metrics. The loss is not the default, because it
            means something else with another `label_smoothing`, `l2` or `class_weight`.
        config, training: the preset's settings as they are for the data.
        data: a `Dataset`.
        folds: how many parts are cross-validated over, or None.

    Raises:
        KzooError: a value that is not reported, the wrong direction, or no validation data to take it from.
    """
    names = ["loss", *metrics_for(data.task, config)]
    return _resolve(objective, names, (training.get("metrics") or ("loss",))[0], data, folds)


def objective_of_function(objective, model, data, *, folds=None) -> Objective:
    """Return the `Objective` that is meant where the models are the user's own.

    Args:
        objective: as for `settle_objective`; the default is the first of the metrics that the model was compiled with.
        model: one of them.
        data, folds: as there.

    Raises:
        KzooError: as there; or the direction of a metric of one's own is not said.
    """
    names = reported(model)
    default = next((name for name in names or () if name != "loss" and not name.endswith("_loss")), "loss")
    return _resolve(objective, names, default, data, folds)


def _resolve(objective, names, default, data, folds):
    """Return the `Objective` among reported names (None where they are not known); `first` is the default."""
    if objective is None:
        objective = f"val_{default}"
    if hasattr(objective, "name") and hasattr(objective, "direction"):
        objective = objective.name, objective.direction
    pair = isinstance(objective, tuple | list) and len(objective) == 2
    name, stated = objective if pair else (objective, None)
    if not isinstance(name, str) or stated not in (None, "max", "min"):
        raise KzooError(f"objective={objective!r} must be a name, or a pair such as ('val_accuracy', 'max').")
    validation_names = None if names is None else [f"val_{reported_name}" for reported_name in names]
    if name in (names or ()) or (names is None and not name.startswith("val_")):
        raise KzooError(
            f"objective={name!r} is measured on the training data, which any network can learn. Use 'val_{name}'."
        )
    if validation_names is not None and name not in validation_names:
        raise KzooError(
            f"objective={name!r} is not reported. {hint(name, validation_names)}Use one of: {', '.join(validation_names)}."
        )
    try:
        resolved = direction(name)
    except KzooError:
        if stated is None:
            raise KzooError(
                f"objective={name!r}: is larger or smaller better? Write ({name!r}, 'max') or ({name!r}, 'min')."
            ) from None
        resolved = stated
    if stated not in (None, resolved):
        raise KzooError(f"objective={name!r} has the direction {resolved!r}, not {stated!r}. Leave the direction out.")
    if data.validation is None and folds is None:
        raise KzooError(f"objective={name!r} needs validation data. Set validation=0.1, or folds=5.")
    return Objective(name, resolved)
