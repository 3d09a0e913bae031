"""`FunctionSpace`: the hyperparameters of a function that builds a model for KerasTuner.

They are not declared anywhere: a name appears when `build(hp)` requests it, maybe only for certain values of others. So
the function is called a few dozen times, with the defaults and with other values of each hyperparameter that could
determine which names are requested; conditions follow from the calls that requested a name.
"""

import ast
import hashlib
import inspect
import math
import re
import textwrap
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import keras
import keras_tuner as kt

from kzoo.data.dataset import Dataset
from kzoo.data.options import DataOptions
from kzoo.problems.stored_types import Overrides, TrainingSettings
from kzoo.training.device import prepare_device
from kzoo.training.plan import TrainingPlan, plan_training
from kzoo.tuning.engines.base import random_points
from kzoo.tuning.spaces.entry import Parameter, Point, Value, format_value
from kzoo.tuning.spaces.hypermodel import PresetHyperModel, without_fit_warnings
from kzoo.tuning.spaces.points import Points
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import first_line, shown
from kzoo.zoo.registry import Preset

if TYPE_CHECKING:
    from typing_extensions import TypeIs


Build = Callable[[Any], keras.Model]

# Training settings that a hyperparameter of the same name sets: a compiled model does not contain them.
TUNED = ("batch_size", "class_weight", "patience")
_MAX_CALLS = 200  # most calls of the function to discover its hyperparameters
_RANDOM_CALLS = 8  # additional calls at random points, to find what the others missed
# most values that are all tried if the smallest and the largest request different names
_MAX_CHOICES = 32


@dataclass(frozen=True, kw_only=True)
class FunctionSpace(Points):
    """The hyperparameters of a function that builds models, returned by `function_space`.

    Args:
        build: function of a `keras_tuner.HyperParameters`, returns a compiled model; or a `keras_tuner.HyperModel`.
        settings: training settings, as for `kzoo.train` with a custom model.
        hyperparameters: the searched ones.
        fixed: name -> value of those with a single value.
        policy: Keras' dtype policy at the start of the search.
        training: resolved training settings.
    """

    build: Build | kt.HyperModel
    settings: Mapping[str, Any] = field(default_factory=dict)
    hyperparameters: tuple[Parameter, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    policy: str = "float32"
    training: Mapping[str, Any] = field(default_factory=dict)

    max_params = None  # no limit

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self.hyperparameters

    @property
    def name(self) -> str:
        """The name of the function or HyperModel."""
        return name_of(self.build)

    def overrides(self, hp: Point) -> JsonObject:
        """Return the values with which a point is built."""
        return dict(hp)

    def model(self, values: Point, seed: int = 0) -> keras.Model:
        """Return the compiled model of a point, its weights drawn from a seed.

        Raises:
            KzooError: the function does not return a compiled model; its own exceptions are passed on.
        """
        return self._call(values, seed)[1]

    def first_model(self) -> keras.Model:
        """Return the model of the default point.

        Raises:
            KzooError: it cannot be built, or cannot be saved.
        """
        try:
            model = self.model({})
        except Exception as error:
            raise self.failure(error) from error
        try:
            model.get_config()
        except NotImplementedError:
            raise KzooError(
                f"{self.name}(hp) returned a {type(model).__name__}, which cannot be saved. Implement its get_config()."
            ) from None
        return model

    def changed(self, overrides: Overrides, *, data: Dataset, seed: int) -> TrainingPlan:
        """Return the training plan of a trial with a point's values (as `TrainingPlan.changed`)."""
        tuned = {name: overrides[name] for name in TUNED if name in overrides}
        return plan_training(
            self.model(overrides, seed), data, DataOptions(), {**self.settings, **tuned}, seed=seed
        )

    def count(self, overrides: Overrides) -> int:
        """Return the number of parameters of a point's model.

        Raises:
            KzooError: it cannot be built.
        """
        try:
            return self.model(overrides).count_params()
        except Exception as error:
            raise self.failure(error) from error

    def to_json(self) -> JsonObject:
        """Return the space as plain data, by which a search is identified."""
        code = code_of(self.build)
        return dict(
            build=self.name,
            **({} if code is None else {"code": code}),
            settings=dict(self.settings),
            fixed=dict(self.fixed),
            hyperparameters={
                parameter.name: f"{parameter.describe_values()}; {format_value(parameter.default)}"
                for parameter in self.hyperparameters
            },
            parameters=[parameter.to_json() for parameter in self.hyperparameters],
        )

    def __str__(self) -> str:
        return "\n".join(
            [self.table(self.name), *(f"  fixed: {name}={v!r}" for name, v in self.fixed.items())]
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        fixed = ", ".join(f"{name}={shown(value)}" for name, value in self.fixed.items())
        return self.html(f"Space of {self.name}", [("fixed", fixed)])

    # Discovery of hyperparameters

    def explored(self) -> "FunctionSpace":
        """Return the space with the hyperparameters that the function requests.

        Raises:
            KzooError: the default point cannot be built, or no hyperparameter, or an unsupported one, is requested.
        """
        explorer = _Explorer(self)
        hyperparameters, fixed = explorer.explore()
        for parameter in hyperparameters:
            if parameter.name == "epochs":
                raise KzooError(
                    "A hyperparameter called epochs is not searched: each trial is scored at its best epoch. "
                    "Use epochs=."
                )
            if parameter.name in self.settings:
                raise KzooError(
                    f"{parameter.name} is a hyperparameter of {self.name}. Omit {parameter.name}=, or rename "
                    f"the hyperparameter."
                )
        if not hyperparameters:
            raise KzooError(
                f"{self.name}(hp) has no hyperparameter with at least two values, so there is nothing to tune."
            )
        return replace(self, hyperparameters=hyperparameters, fixed=fixed)

    def _call(self, values: Point, seed: int = 0) -> tuple[kt.HyperParameters, keras.Model]:
        """Call the function, and return the hyperparameters that it requested and the model."""
        hp = kt.HyperParameters()
        policy = keras.config.dtype_policy()
        hp.values = dict(values)
        # otherwise a second AUC() in this process is named auc_1
        keras.utils.clear_session(free_memory=False)
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
            raise KzooError(
                f"{self.name}(hp) must return a compiled keras.Model, got {type(model).__name__}."
            )
        if not model.compiled:
            raise KzooError(
                f"The model that {self.name}(hp) returned is not compiled. Call model.compile() in it."
            )
        return hp, model

    def failure(self, error: Exception) -> KzooError:
        """Return the function's exception as a KzooError with one line."""
        if isinstance(error, KzooError):
            return error
        message = first_line(error)
        kind = type(error).__name__
        return KzooError(
            f"{self.name}(hp) failed: {kind if message == kind else f'{kind}: {message}'}"
        )


def builds_models(candidate: object) -> "TypeIs[Build | kt.HyperModel]":
    """Return True for a function or HyperModel that builds models; False for presets and their names."""
    return not isinstance(candidate, str | Preset) and (
        callable(candidate) or isinstance(candidate, kt.HyperModel)
    )


def function_space(build: Build | kt.HyperModel, settings: TrainingSettings) -> FunctionSpace:
    """Return the space of a function `build(hp)` or a `keras_tuner.HyperModel`.

    Args:
        build: the function or HyperModel.
        settings: training settings, as for `kzoo.train` with a custom model.

    Raises:
        KzooError: `build` is not supported, or as in `FunctionSpace.explored`.
    """
    return unexplored(build, settings).explored()


def unexplored(build: Build | kt.HyperModel, settings: TrainingSettings) -> FunctionSpace:
    """Return the space of a function without its hyperparameters; the arguments are those of `function_space`.

    Raises:
        KzooError: `build` is not supported.
    """
    prepare_device("auto")  # models are built in this process, but the worker needs the GPU memory
    return checked_build(
        FunctionSpace(build=build, settings=settings, policy=keras.config.dtype_policy().name)
    )


def checked_build(space: FunctionSpace) -> FunctionSpace:
    """Return the space unchanged.

    Raises:
        KzooError: its `build` is a model, a class, a preset's HyperModel, or a HyperModel with its own `fit`.
    """
    build = space.build
    if isinstance(build, keras.Model):
        raise KzooError(
            f"{space.name} is a model. kzoo.tune needs a function build(hp) that returns a compiled model."
        )
    if isinstance(build, type):
        raise KzooError(f"{build.__name__} is a class. Pass an instance, or a function build(hp).")
    if isinstance(build, PresetHyperModel):
        raise KzooError(
            f"This HyperModel is of a preset. Use kzoo.tune({build.space.preset.name!r}, space=...)."
        )
    if isinstance(build, kt.HyperModel) and type(build).fit is not kt.HyperModel.fit:
        raise KzooError(
            f"{space.name} overrides fit, but kzoo.tune trains models itself to prune and resume. Remove fit. "
            f"A hyperparameter of build named {', '.join(TUNED[:-1])} or {TUNED[-1]} sets that training setting."
        )
    return space


def name_of(build: Build | kt.HyperModel) -> str:
    """Return the name of a function or HyperModel, valid as a folder name."""
    while isinstance(build, partial):
        build = build.func
    name = (
        build.name
        if isinstance(build, kt.HyperModel) and build.name
        else getattr(build, "__name__", None)
    )
    return re.sub(r"\W+", "_", name or type(build).__name__).strip("_") or "build"


def code_of(build: Build | kt.HyperModel) -> str | None:
    """Return a hash of a function's source without comments and layout; None if the source is not available."""
    while isinstance(build, partial):
        build = build.func
    source_object = build if inspect.isroutine(build) else type(build)
    # inspect returns the whole line of a lambda
    if getattr(source_object, "__name__", "") == "<lambda>":
        return None
    try:
        source = ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(source_object))))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    return hashlib.sha256(source.encode()).hexdigest()[:12]


class _Explorer:
    """Discovers the hyperparameters of a function by calling it."""

    def __init__(self, space: FunctionSpace) -> None:
        self.space = space
        self.declared: dict[str, Any] = {}  # name -> KerasTuner's hyperparameter, as first declared
        # name -> the values of the call that first requested it
        self.first_values: dict[str, dict[str, Any]] = {}
        # values -> names that were requested with them
        self.names_by_point: dict[tuple, frozenset[str]] = {}
        self.errors: dict[tuple, Exception] = {}

    def explore(self) -> tuple[tuple[Parameter, ...], dict[str, Any]]:
        """Return the hyperparameters, and name -> value of those with a single value.

        Raises:
            KzooError: the default point cannot be built, or a hyperparameter cannot be searched.
        """
        self.call({})
        if error := self.errors.get(()):
            raise self.space.failure(error) from error
        varied = 0
        while varied < len(self.declared):  # new names are appended while varying
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

    def call(self, values: Point) -> frozenset[str]:
        """Call the function with some values, and return the names of the active hyperparameters."""
        key = _key(values)
        if (
            key in self.names_by_point
            or key in self.errors
            or len(self.names_by_point) + len(self.errors) >= _MAX_CALLS
        ):
            return self.names_by_point.get(key, frozenset())
        try:
            hp, _ = self.space._call(values)
        except Exception as error:  # incompatible values: their trial will report the error
            self.errors[key] = error
            return frozenset()
        active = [
            hyperparameter.name for hyperparameter in hp.space if hp.is_active(hyperparameter)
        ]
        self.names_by_point[key] = frozenset(active)
        for hyperparameter in hp.space:
            self.declared.setdefault(hyperparameter.name, hyperparameter)
        for name in active:
            self.first_values.setdefault(name, {other: hp.values[other] for other in active})
        return self.names_by_point[key]

    def vary(self, name: str) -> None:
        """Call the function with other values of a hyperparameter, the rest as when it was first requested."""
        parameter = _parameter(self.declared[name], None)
        base = self.first_values[name]
        values = parameter.all_values() if parameter.size() is not None else ()
        if values and not isinstance(values[0], str | bool):
            name_sets = {
                self.call(base | {name: value}) for value in (values[0], values[-1], base[name])
            }
            if len(name_sets) == 1:
                return
        for value in values if len(values) <= _MAX_CHOICES else ():
            self.call(base | {name: value})

    def parameters_and_fixed(
        self, always: Collection[str]
    ) -> tuple[tuple[Parameter, ...], dict[str, Value]]:
        """Return (hyperparameters, fixed values); those in `always` are unconditional."""
        parameters: list[Parameter] = []
        fixed: dict[str, Any] = {}
        for name, hyperparameter in self.declared.items():
            if any(
                condition.name in fixed and fixed[condition.name] not in condition.values
                for condition in hyperparameter.conditions
            ):
                continue  # it is never active
            parameter = _parameter(
                hyperparameter,
                None if name in always else self.condition_of(name, hyperparameter, parameters),
            )
            if parameter.size() == 1:
                fixed[name] = parameter.default
            else:
                parameters.append(parameter)
        return tuple(parameters), fixed

    def condition_of(
        self,
        name: str,
        hyperparameter: kt.engine.hyperparameters.HyperParameter,
        earlier: list[Parameter],
    ) -> tuple[str, tuple] | None:
        """Return (parent, values) for which a hyperparameter is active, or None for always.

        The last of several parents is returned: its own conditions apply too.
        """
        searched = {parameter.name for parameter in earlier}
        for condition in reversed(hyperparameter.conditions):
            if condition.name in searched:
                return condition.name, tuple(condition.values)
        for parent in reversed(earlier):
            if parent.name not in self.first_values or parent.size() is None:
                continue
            points = {
                value: _key(self.first_values[parent.name] | {parent.name: value})
                for value in parent.all_values()
            }
            if any(
                point not in self.names_by_point and point not in self.errors
                for point in points.values()
            ):
                continue  # it has no effect on names, or too many values to try
            names_by_value = {
                value: self.names_by_point[point]
                for value, point in points.items()
                if point in self.names_by_point
            }
            active = tuple(value for value, names in names_by_value.items() if name in names)
            if active and len(active) < len(names_by_value):
                return parent.name, active
        return None


def _key(values: Point) -> tuple[tuple[str, Value], ...]:
    return tuple(sorted(values.items()))


def _parameter(
    hyperparameter: kt.engine.hyperparameters.HyperParameter, when: tuple[str, tuple] | None
) -> Parameter:
    """Return a `Parameter` for one of KerasTuner's hyperparameters.

    Raises:
        KzooError: its default is outside its range.
    """
    if not hasattr(hyperparameter, "min_value"):
        return Parameter(
            name=hyperparameter.name,
            meaning="",
            default=hyperparameter.default,
            values=tuple(hyperparameter.values),
            when=when,
        )
    whole = isinstance(hyperparameter.min_value, int)
    default = hyperparameter.default
    if not hyperparameter.min_value <= default <= hyperparameter.max_value:
        raise KzooError(
            f"{hyperparameter.name} has the default {default}, outside its range of "
            f"{hyperparameter.min_value} to {hyperparameter.max_value}."
        )
    default = default if whole else float(default)
    if hyperparameter.step is not None and not (
        whole and hyperparameter.step == 1 and hyperparameter.sampling == "linear"
    ):
        values = tuple(sorted({default, *_steps(hyperparameter, whole)}))
        return Parameter(
            name=hyperparameter.name, meaning="", default=default, values=values, when=when
        )
    return Parameter(
        name=hyperparameter.name,
        meaning="",
        default=default,
        low=hyperparameter.min_value,
        high=hyperparameter.max_value,
        log=hyperparameter.sampling == "log",
        whole=whole,
        when=when,
    )


def _steps(hyperparameter: kt.engine.hyperparameters.HyperParameter, whole: bool) -> list[Any]:
    """Return the values of a stepped range including its upper end, which KerasTuner may omit by rounding."""
    low = hyperparameter.min_value
    high = hyperparameter.max_value
    step = hyperparameter.step
    if hyperparameter.sampling == "linear":
        values = [low + i * step for i in range(math.floor((high - low) / step + 1e-9) + 1)]
    else:
        values = [low * step**i for i in range(math.floor(math.log(high / low, step) + 1e-9) + 1)]
        values = (
            [high + low - value for value in values]
            if hyperparameter.sampling == "reverse_log"
            else values
        )
    return [int(value) if whole else float(f"{value:.12g}") for value in values]
