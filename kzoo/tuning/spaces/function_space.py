"""`OwnSpace`: the hyperparameters of a function that builds a model, as KerasTuner takes it.

They are written nowhere: a name comes up when `build(hp)` asks for it, perhaps only beside certain values of others. So
the function is called a few dozen times, with the defaults and with other values of each name that could decide which
names there are; what a name depends on follows from when it was asked for.
"""

import ast
import hashlib
import inspect
import math
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import keras
import keras_tuner as kt

from kzoo.dataset.options import DataOptions
from kzoo.registry import Preset
from kzoo.training.device import prepare_device
from kzoo.training.plan import TrainingPlan, plan_training
from kzoo.tuning.engines.base import random_points
from kzoo.tuning.spaces.entry import Parameter, shown
from kzoo.tuning.spaces.hypermodel import PresetHyperModel, without_fit_warnings
from kzoo.tuning.spaces.points import Points
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line

Build = Callable[[Any], keras.Model]

# Settings of training that a hyperparameter of their name sets: a compiled model does not carry them.
TUNED = ("batch_size", "class_weight", "patience")
_MAX_CALLS = 200  # of the function, in which its hyperparameters are found
_RANDOM_CALLS = 8  # of them at random points, which show what the others missed
_MAX_CHOICES = 32  # values, all of which are tried where the least and the greatest ask for different names


@dataclass(frozen=True, kw_only=True)
class FunctionSpace(Points):
    """The hyperparameters of a function that builds models, made by `own_space`; a trial is one of its models.

    Args:
        build: function of a `keras_tuner.HyperParameters`, returns a compiled model; or a `keras_tuner.HyperModel`.
        settings: of training, as for `kzoo.train` with a model of one's own.
        found: the hyperparameters that are searched.
        fixed: those that have one value.
        policy: Keras' dtype policy as it was set when the search was asked for.
        training: settled settings of the training.
    """

    build: Build | kt.HyperModel
    settings: Mapping[str, Any] = field(default_factory=dict)
    hyperparameters: tuple[Parameter, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    policy: str = "float32"
    training: Mapping[str, Any] = field(default_factory=dict)

    max_params = None  # nothing limits it

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self.hyperparameters

    @property
    def name(self) -> str:
        """The function's name, or the HyperModel's."""
        return name_of(self.build)

    def overrides(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a point is built with: its values."""
        return dict(values)

    def model(self, values: Mapping[str, Any], seed: int = 0) -> keras.Model:
        """Return the compiled model of a point, its weights drawn from a seed.

        Raises:
            KzooError: what the function returns is no compiled model; what it raises goes through.
        """
        return self._call(values, seed)[1]

    def first_model(self) -> keras.Model:
        """Return the model of the default point.

        Raises:
            KzooError: it cannot be built, or no file can keep it.
        """
        try:
            model = self.model({})
        except Exception as error:
            raise self.failure(error) from error
        try:
            model.get_config()
        except NotImplementedError:
            raise KzooError(
                f"{self.name}(hp) returns a {type(model).__name__}, which no file can keep: give it a get_config."
            ) from None
        return model

    def changed(self, overrides: Mapping[str, Any], *, data: Any, seed: int) -> TrainingPlan:
        """Return what a point makes of it, from its values on: a trial of a search (as `Assignment.changed`)."""
        tuned = {name: overrides[name] for name in TUNED if name in overrides}
        return plan_training(self.model(overrides, seed), data, DataOptions(), {**self.settings, **tuned}, seed=seed)

    def count(self, overrides: Mapping[str, Any]) -> int:
        """Return the number of parameters of a point's model.

        Raises:
            KzooError: it cannot be built.
        """
        try:
            return self.model(overrides).count_params()
        except Exception as error:
            raise self.failure(error) from error

    def to_json(self) -> dict[str, Any]:
        """Return the space as plain data: what a search is known by."""
        code = code_of(self.build)
        return dict(
            build=self.name,
            **({} if code is None else {"code": code}),
            settings=dict(self.settings),
            fixed=dict(self.fixed),
            hyperparameters={
                parameter.name: f"{parameter.describe_values()}; {shown(parameter.default)}"
                for parameter in self.hyperparameters
            },
            parameters=[parameter.to_json() for parameter in self.hyperparameters],
        )

    def __str__(self) -> str:
        return "\n".join([self.table(self.name), *(f"  fixed: {name}={v!r}" for name, v in self.fixed.items())])

    __repr__ = __str__

    # Finding out

    def explored(self) -> "FunctionSpace":
        """Return it with the hyperparameters that the function asks for.

        Raises:
            KzooError: the function cannot build its default point, or asks for none or for what cannot be searched.
        """
        explorer = _Explorer(self)
        hyperparameters, fixed = explorer.explore()
        for parameter in hyperparameters:
            if parameter.name == "epochs":
                raise KzooError(
                    "A hyperparameter called epochs is not searched: the best epoch of each trial counts. Give epochs=."
                )
            if parameter.name in self.settings:
                raise KzooError(
                    f"{parameter.name} is a hyperparameter of {self.name}: leave {parameter.name}= out, or rename it."
                )
        if not hyperparameters:
            raise KzooError(f"{self.name}(hp) asks for no hyperparameter that has two values: nothing to tune.")
        return replace(self, hyperparameters=hyperparameters, fixed=fixed)

    def _call(self, values: Mapping[str, Any], seed: int = 0) -> tuple[kt.HyperParameters, keras.Model]:
        """Call the function, and return what it has asked for, and the model."""
        hp, policy = kt.HyperParameters(), keras.config.dtype_policy()
        hp.values = dict(values)
        keras.utils.clear_session(free_memory=False)  # or a second AUC() in this process is called auc_1
        keras.utils.set_random_seed(seed)
        keras.config.set_dtype_policy(self.policy)
        try:
            with without_fit_warnings():
                if isinstance(self.build, kt.HyperModel):
                    self.build.declare_hyperparameters(hp)
                    model = self.build.build(hp)
                else:
                    model = self.build(hp)
        finally:
            keras.config.set_dtype_policy(policy)
        if not isinstance(model, keras.Model):
            raise KzooError(f"{self.name}(hp) returned {type(model).__name__}: it must return a compiled keras.Model.")
        if not model.compiled:
            raise KzooError(f"The model that {self.name}(hp) returned is not compiled: call model.compile in it.")
        return hp, model

    def failure(self, error: Exception) -> KzooError:
        """Return in one line what the function raised."""
        if isinstance(error, KzooError):
            return error
        message, kind = first_line(error), type(error).__name__
        return KzooError(f"{self.name}(hp) failed: {kind if message == kind else f'{kind}: {message}'}")


def builds_models(candidate: Any) -> bool:
    """Say whether something builds models; presets and their names do not."""
    return not isinstance(candidate, str | Preset) and (callable(candidate) or isinstance(candidate, kt.HyperModel))


def function_space(build: Any, settings: Mapping[str, Any]) -> FunctionSpace:
    """Return the space of a function `build(hp)` or a `keras_tuner.HyperModel`.

    Args:
        build: it.
        settings: of training, as for `kzoo.train` with a model of one's own.

    Raises:
        KzooError: what is not such a function, or what `OwnSpace.explored` refuses.
    """
    return unexplored(build, settings).explored()


def unexplored(build: Any, settings: Mapping[str, Any]) -> FunctionSpace:
    """Return the space of a function before its hyperparameters are known; arguments are those of `own_space`.

    Raises:
        KzooError: what is not such a function.
    """
    prepare_device("auto")  # models are built here, and the process that trains needs the GPU's memory
    return checked_build(FunctionSpace(build=build, settings=settings, policy=keras.config.dtype_policy().name))


def checked_build(space: FunctionSpace) -> FunctionSpace:
    """Return a space; refuse what only looks like a function that builds models."""
    build = space.build
    if isinstance(build, keras.Model):
        raise KzooError(f"{space.name} is one model: kzoo.tune takes a function build(hp) that returns a compiled one.")
    if isinstance(build, type):
        raise KzooError(f"{build.__name__} is a class: give an object of it, or a function build(hp).")
    if isinstance(build, PresetHyperModel):
        raise KzooError(f"This is a preset's own: kzoo.tune({build.space.preset.name!r}, space=...) searches it.")
    if isinstance(build, kt.HyperModel) and type(build).fit is not kt.HyperModel.fit:
        raise KzooError(
            f"{space.name} has a fit of its own, and kzoo.tune trains by itself, to prune and resume: leave fit out. "
            f"A hyperparameter of build called {', '.join(TUNED[:-1])} or {TUNED[-1]} is that setting of the training."
        )
    return space


def name_of(build: Any) -> str:
    """Return a name for a function, which a folder can have too."""
    while isinstance(build, partial):
        build = build.func
    name = build.name if isinstance(build, kt.HyperModel) and build.name else getattr(build, "__name__", None)
    return re.sub(r"\W+", "_", name or type(build).__name__).strip("_") or "build"


def code_of(build: Any) -> str | None:
    """Return a hash of what a function does, without comments and layout; None where its source is not to be had."""
    while isinstance(build, partial):
        build = build.func
    source_object = build if inspect.isroutine(build) else type(build)
    if getattr(source_object, "__name__", "") == "<lambda>":  # the source of a lambda is the line that it stands in
        return None
    try:
        source = ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(source_object))))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    return hashlib.sha256(source.encode()).hexdigest()[:12]


class _Explorer:
    """Find the hyperparameters of a function by calling it."""

    def __init__(self, space: FunctionSpace) -> None:
        self.space = space
        self.declared: dict[str, Any] = {}  # name -> KerasTuner's hyperparameter, as first declared
        self.first_values: dict[str, dict[str, Any]] = {}  # name -> the values with which it was first asked for
        self.names_by_point: dict[tuple, frozenset[str]] = {}  # values -> names that were asked for with them
        self.errors: dict[tuple, Exception] = {}

    def explore(self) -> tuple[tuple[Parameter, ...], dict[str, Any]]:
        """Return the hyperparameters, and the values of those that have only one.

        Raises:
            KzooError: the default point cannot be built, or a hyperparameter cannot be searched.
        """
        self.call({})
        if error := self.errors.get(()):
            raise self.space.failure(error) from error
        varied = 0
        while varied < len(self.declared):  # new names come in at the end
            name = list(self.declared)[varied]
            if name in self.first_values:
                self.vary(name)
            varied += 1
        parameters, fixed = self.parameters_and_fixed(always=())
        always: set[str] = set()
        if parameters:
            space = replace(self.space, hyperparameters=parameters)
            for values in random_points(space, 0, _RANDOM_CALLS):
                always |= self.call(values) - set(values) - set(fixed)
        return self.parameters_and_fixed(always) if always else (parameters, fixed)

    def call(self, values: dict[str, Any]) -> frozenset[str]:
        """Call the function with some values, and return the names that it asks for."""
        key = _key(values)
        if (
            key in self.names_by_point
            or key in self.errors
            or len(self.names_by_point) + len(self.errors) >= _MAX_CALLS
        ):
            return self.names_by_point.get(key, frozenset())
        try:
            hp, _ = self.space._call(values)
        except Exception as error:  # values that do not go together: a trial of them will say so
            self.errors[key] = error
            return frozenset()
        active = [hyperparameter.name for hyperparameter in hp.space if hp.is_active(hyperparameter)]
        self.names_by_point[key] = frozenset(active)
        for hyperparameter in hp.space:
            self.declared.setdefault(hyperparameter.name, hyperparameter)
        for name in active:
            self.first_values.setdefault(name, {other: hp.values[other] for other in active})
        return self.names_by_point[key]

    def vary(self, name: str) -> None:
        """Ask with the other values of a hyperparameter, in the place where it was first asked for."""
        parameter, base = _parameter(self.declared[name], None), self.first_values[name]
        values = parameter.all_values() if parameter.size() is not None else ()
        if values and not isinstance(values[0], str | bool):
            name_sets = {self.call(base | {name: value}) for value in (values[0], values[-1], base[name])}
            if len(name_sets) == 1:
                return
        for value in values if len(values) <= _MAX_CHOICES else ():
            self.call(base | {name: value})

    def parameters_and_fixed(self, always: Any) -> tuple[tuple[Parameter, ...], dict[str, Any]]:
        """Return (hyperparameters, fixed values); those in `always` depend on nothing."""
        parameters: list[Parameter] = []
        fixed: dict[str, Any] = {}
        for name, hyperparameter in self.declared.items():
            if any(
                condition.name in fixed and fixed[condition.name] not in condition.values
                for condition in hyperparameter.conditions
            ):
                continue  # it never counts
            parameter = _parameter(
                hyperparameter, None if name in always else self.condition_of(name, hyperparameter, parameters)
            )
            if parameter.size() == 1:
                fixed[name] = parameter.default
            else:
                parameters.append(parameter)
        return tuple(parameters), fixed

    def condition_of(self, name: str, hyperparameter: Any, earlier: list[Parameter]) -> tuple[str, tuple] | None:
        """Return beside which values of which other hyperparameter one counts, or None for always.

        Of several the last one decides: what it depends on itself comes with it.
        """
        searched = {parameter.name for parameter in earlier}
        for condition in reversed(hyperparameter.conditions):
            if condition.name in searched:
                return condition.name, tuple(condition.values)
        for parent in reversed(earlier):
            if parent.name not in self.first_values or parent.size() is None:
                continue
            points = {
                value: _key(self.first_values[parent.name] | {parent.name: value}) for value in parent.all_values()
            }
            if any(point not in self.names_by_point and point not in self.errors for point in points.values()):
                continue  # it decides nothing, or has too many values to know
            names_by_value = {
                value: self.names_by_point[point] for value, point in points.items() if point in self.names_by_point
            }
            active = tuple(value for value, names in names_by_value.items() if name in names)
            if active and len(active) < len(names_by_value):
                return parent.name, active
        return None


def _key(values: Mapping[str, Any]) -> tuple:
    return tuple(sorted(values.items()))


def _parameter(hyperparameter: Any, when: tuple[str, tuple] | None) -> Parameter:
    """Return one of KerasTuner's hyperparameters as ours.

    Raises:
        KzooError: its default lies outside its range.
    """
    if not hasattr(hyperparameter, "min_value"):
        return Parameter(
            name=hyperparameter.name,
            meaning="",
            default=hyperparameter.default,
            values=tuple(hyperparameter.values),
            when=when,
        )
    whole, default = isinstance(hyperparameter.min_value, int), hyperparameter.default
    if not hyperparameter.min_value <= default <= hyperparameter.max_value:
        raise KzooError(
            f"{hyperparameter.name} has the default {default}, outside {hyperparameter.min_value} to {hyperparameter.max_value}."
        )
    default = default if whole else float(default)
    if hyperparameter.step is not None and not (
        whole and hyperparameter.step == 1 and hyperparameter.sampling == "linear"
    ):
        values = tuple(sorted({default, *_steps(hyperparameter, whole)}))
        return Parameter(name=hyperparameter.name, meaning="", default=default, values=values, when=when)
    return Parameter(
        name=hyperparameter.name, meaning="", default=default, low=hyperparameter.min_value, high=hyperparameter.max_value, log=hyperparameter.sampling == "log",
        whole=whole, when=when,
    )  # fmt: skip


def _steps(hyperparameter: Any, whole: bool) -> list[Any]:
    """Return the values of a range in steps, its upper end among them: KerasTuner's rounding may leave that out."""
    low, high, step = hyperparameter.min_value, hyperparameter.max_value, hyperparameter.step
    if hyperparameter.sampling == "linear":
        values = [low + i * step for i in range(math.floor((high - low) / step + 1e-9) + 1)]
    else:
        values = [low * step**i for i in range(math.floor(math.log(high / low, step) + 1e-9) + 1)]
        values = [high + low - value for value in values] if hyperparameter.sampling == "reverse_log" else values
    return [int(value) if whole else float(f"{value:.12g}") for value in values]
