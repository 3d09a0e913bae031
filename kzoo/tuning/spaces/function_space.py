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
from kzoo.tuning.spaces.hypermodel import PresetHyperModel, trained_as_built
from kzoo.tuning.spaces.points import Points
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line

Build = Callable[[Any], keras.Model]

# Settings of training that a hyperparameter of their name sets: a compiled model does not carry them.
TUNED = ("batch_size", "class_weight", "patience")
_CALLS = 200  # of the function, in which its hyperparameters are found
_RANDOM = 8  # of them at random points, which show what the others missed
_MANY = 32  # values, all of which are tried where the least and the greatest ask for different names


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
    found: tuple[Parameter, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    policy: str = "float32"
    training: Mapping[str, Any] = field(default_factory=dict)

    max_params = None  # nothing limits it

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self.found

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
        return self._asked(values, seed)[1]

    def first_model(self) -> keras.Model:
        """Return the model of the default point.

        Raises:
            KzooError: it cannot be built, or no file can keep it.
        """
        try:
            model = self.model({})
        except Exception as error:
            raise self.failed(error) from error
        try:
            model.get_config()
        except NotImplementedError:
            raise KzooError(
                f"{self.name}(hp) returns a {type(model).__name__}, which no file can keep: give it a get_config."
            ) from None
        return model

    def changed(self, overrides: Mapping[str, Any], *, data: Any, seed: int) -> TrainingPlan:
        """Return what a point makes of it, from its values on: a trial of a search (as `Assignment.changed`)."""
        own = {name: overrides[name] for name in TUNED if name in overrides}
        return plan_training(self.model(overrides, seed), data, DataOptions(), {**self.settings, **own}, seed=seed)

    def count(self, overrides: Mapping[str, Any]) -> int:
        """Return the number of parameters of a point's model.

        Raises:
            KzooError: it cannot be built.
        """
        try:
            return self.model(overrides).count_params()
        except Exception as error:
            raise self.failed(error) from error

    def to_json(self) -> dict[str, Any]:
        """Return the space as plain data: what a search is known by."""
        code = code_of(self.build)
        return dict(
            build=self.name,
            **({} if code is None else {"code": code}),
            settings=dict(self.settings),
            fixed=dict(self.fixed),
            hyperparameters={p.name: f"{p.legal()}; {shown(p.default)}" for p in self.found},
            parameters=[p.to_json() for p in self.found],
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
        found, fixed = explorer.all()
        for parameter in found:
            if parameter.name == "epochs":
                raise KzooError(
                    "A hyperparameter called epochs is not searched: the best epoch of each trial counts. Give epochs=."
                )
            if parameter.name in self.settings:
                raise KzooError(
                    f"{parameter.name} is a hyperparameter of {self.name}: leave {parameter.name}= out, or rename it."
                )
        if not found:
            raise KzooError(f"{self.name}(hp) asks for no hyperparameter that has two values: nothing to tune.")
        return replace(self, found=found, fixed=fixed)

    def _asked(self, values: Mapping[str, Any], seed: int = 0) -> tuple[kt.HyperParameters, keras.Model]:
        """Call the function, and return what it has asked for, and the model."""
        hp, before = kt.HyperParameters(), keras.config.dtype_policy()
        hp.values = dict(values)
        keras.utils.clear_session(free_memory=False)  # or a second AUC() in this process is called auc_1
        keras.utils.set_random_seed(seed)
        keras.config.set_dtype_policy(self.policy)
        try:
            with trained_as_built():
                if isinstance(self.build, kt.HyperModel):
                    self.build.declare_hyperparameters(hp)
                    model = self.build.build(hp)
                else:
                    model = self.build(hp)
        finally:
            keras.config.set_dtype_policy(before)
        if not isinstance(model, keras.Model):
            raise KzooError(f"{self.name}(hp) returned {type(model).__name__}: it must return a compiled keras.Model.")
        if not model.compiled:
            raise KzooError(f"The model that {self.name}(hp) returned is not compiled: call model.compile in it.")
        return hp, model

    def failed(self, error: Exception) -> KzooError:
        """Return in one line what the function raised."""
        if isinstance(error, KzooError):
            return error
        said, kind = first_line(error), type(error).__name__
        return KzooError(f"{self.name}(hp) failed: {kind if said == kind else f'{kind}: {said}'}")


def builds_models(thing: Any) -> bool:
    """Say whether something builds models; presets and their names do not."""
    return not isinstance(thing, str | Preset) and (callable(thing) or isinstance(thing, kt.HyperModel))


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
    thing = build if inspect.isroutine(build) else type(build)
    if getattr(thing, "__name__", "") == "<lambda>":  # the source of a lambda is the line that it stands in
        return None
    try:
        source = ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(thing))))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    return hashlib.sha256(source.encode()).hexdigest()[:12]


class _Explorer:
    """Find the hyperparameters of a function by calling it."""

    def __init__(self, space: FunctionSpace) -> None:
        self.space = space
        self.seen: dict[str, Any] = {}  # name -> KerasTuner's hyperparameter, as first declared
        self.first: dict[str, dict[str, Any]] = {}  # name -> the values with which it was first asked for
        self.answers: dict[tuple, frozenset[str]] = {}  # values -> names that were asked for with them
        self.errors: dict[tuple, Exception] = {}

    def all(self) -> tuple[tuple[Parameter, ...], dict[str, Any]]:
        """Return the hyperparameters, and the values of those that have only one.

        Raises:
            KzooError: the default point cannot be built, or a hyperparameter cannot be searched.
        """
        self.ask({})
        if error := self.errors.get(()):
            raise self.space.failed(error) from error
        done = 0
        while done < len(self.seen):  # new names come in at the end
            name = list(self.seen)[done]
            if name in self.first:
                self.vary(name)
            done += 1
        found, fixed = self.sorted_out(always=())
        always: set[str] = set()
        if found:
            trial = replace(self.space, found=found)
            for values in random_points(trial, 0, _RANDOM):
                always |= self.ask(values) - set(values) - set(fixed)
        return self.sorted_out(always) if always else (found, fixed)

    def ask(self, values: dict[str, Any]) -> frozenset[str]:
        """Call the function with some values, and return the names that it asks for."""
        key = _key(values)
        if key in self.answers or key in self.errors or len(self.answers) + len(self.errors) >= _CALLS:
            return self.answers.get(key, frozenset())
        try:
            hp, _ = self.space._asked(values)
        except Exception as error:  # values that do not go together: a trial of them will say so
            self.errors[key] = error
            return frozenset()
        active = [one.name for one in hp.space if hp.is_active(one)]
        self.answers[key] = frozenset(active)
        for one in hp.space:
            self.seen.setdefault(one.name, one)
        for name in active:
            self.first.setdefault(name, {known: hp.values[known] for known in active})
        return self.answers[key]

    def vary(self, name: str) -> None:
        """Ask with the other values of a hyperparameter, in the place where it was first asked for."""
        parameter, base = _parameter(self.seen[name], None), self.first[name]
        values = parameter.each() if parameter.size() is not None else ()
        if values and not isinstance(values[0], str | bool):
            ends = {self.ask(base | {name: value}) for value in (values[0], values[-1], base[name])}
            if len(ends) == 1:
                return
        for value in values if len(values) <= _MANY else ():
            self.ask(base | {name: value})

    def sorted_out(self, always: Any) -> tuple[tuple[Parameter, ...], dict[str, Any]]:
        """Return (hyperparameters, fixed values); those in `always` depend on nothing."""
        found: list[Parameter] = []
        fixed: dict[str, Any] = {}
        for name, one in self.seen.items():
            if any(c.name in fixed and fixed[c.name] not in c.values for c in one.conditions):
                continue  # it never counts
            parameter = _parameter(one, None if name in always else self.when(name, one, found))
            if parameter.size() == 1:
                fixed[name] = parameter.default
            else:
                found.append(parameter)
        return tuple(found), fixed

    def when(self, name: str, one: Any, before: list[Parameter]) -> tuple[str, tuple] | None:
        """Return beside which values of which other hyperparameter one counts, or None for always.

        Of several the last one decides: what it depends on itself comes with it.
        """
        searched = {parameter.name for parameter in before}
        for condition in reversed(one.conditions):
            if condition.name in searched:
                return condition.name, tuple(condition.values)
        for parent in reversed(before):
            if parent.name not in self.first or parent.size() is None:
                continue
            points = {value: _key(self.first[parent.name] | {parent.name: value}) for value in parent.each()}
            if any(point not in self.answers and point not in self.errors for point in points.values()):
                continue  # it decides nothing, or has too many values to know
            known = {value: self.answers[point] for value, point in points.items() if point in self.answers}
            beside = tuple(value for value, names in known.items() if name in names)
            if beside and len(beside) < len(known):
                return parent.name, beside
        return None


def _key(values: Mapping[str, Any]) -> tuple:
    return tuple(sorted(values.items()))


def _parameter(one: Any, when: tuple[str, tuple] | None) -> Parameter:
    """Return one of KerasTuner's hyperparameters as ours.

    Raises:
        KzooError: its default lies outside its range.
    """
    if not hasattr(one, "min_value"):
        return Parameter(name=one.name, meaning="", default=one.default, values=tuple(one.values), when=when)
    whole, default = isinstance(one.min_value, int), one.default
    if not one.min_value <= default <= one.max_value:
        raise KzooError(f"{one.name} has the default {default}, outside {one.min_value} to {one.max_value}.")
    default = default if whole else float(default)
    if one.step is not None and not (whole and one.step == 1 and one.sampling == "linear"):
        values = tuple(sorted({default, *_steps(one, whole)}))
        return Parameter(name=one.name, meaning="", default=default, values=values, when=when)
    return Parameter(
        name=one.name, meaning="", default=default, low=one.min_value, high=one.max_value, log=one.sampling == "log",
        whole=whole, when=when,
    )  # fmt: skip


def _steps(one: Any, whole: bool) -> list[Any]:
    """Return the values of a range in steps, its upper end among them: KerasTuner's rounding may leave that out."""
    low, high, step = one.min_value, one.max_value, one.step
    if one.sampling == "linear":
        values = [low + i * step for i in range(math.floor((high - low) / step + 1e-9) + 1)]
    else:
        values = [low * step**i for i in range(math.floor(math.log(high / low, step) + 1e-9) + 1)]
        values = [high + low - value for value in values] if one.sampling == "reverse_log" else values
    return [int(value) if whole else float(f"{value:.12g}") for value in values]
