"""`Space`: the hyperparameters of a preset, what was fixed and narrowed of them, and a point of it as overrides."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kzoo.registry import Preset, build, get_preset, resolve, unused_names
from kzoo.registry.arguments import TRAINING
from kzoo.registry.family import builder_of
from kzoo.tuning.spaces import entries_of, make_fit
from kzoo.tuning.spaces.entry import SIZES, Entry, Parameter, Scene
from kzoo.tuning.spaces.points import Points
from kzoo.utils.errors import KzooError, short_errors
from kzoo.utils.formatting import first_line, hint

if TYPE_CHECKING:
    import keras_tuner


@short_errors
def space(preset: str | Preset, size: str = "standard") -> "Space":
    """Return the search space of a preset, with the preset itself as its default point.

    Args:
        preset: a preset's name, or a `Preset` of any family.
        size: "quick" (4 to 6 hyperparameters), "standard" or "full".

    Raises:
        KzooError: an unknown preset or size.
    """
    if not isinstance(size, str) or size not in SIZES:
        raise KzooError(f"Unknown size {size!r} of a space. {hint(size, SIZES)}It is one of: {', '.join(SIZES)}.")
    return Space(preset=get_preset(preset), size=size)


@dataclass(frozen=True, kw_only=True)
class Space(Points):
    """The hyperparameters of a preset, made by `kzoo.space`. It never changes: each method returns another.

    Args:
        preset: the preset that is its default point.
        size: "quick", "standard" or "full".
        fixed: settings, or hyperparameters, that have one value.
        narrow_to: name -> what is left of a hyperparameter: a pair for a range, a list of values.
        kept: names that are searched, the others stay as in the preset; None for all.
        max_params: the largest number of parameters of a network that is trained; None for any.
    """

    preset: Preset
    size: str = "standard"
    fixed: Mapping[str, Any] = field(default_factory=dict)
    narrow_to: Mapping[str, Any] = field(default_factory=dict)
    kept: tuple[str, ...] | None = None
    max_params: int | None = None

    # Narrowing

    def fix(self, **values: Any) -> "Space":
        """Give settings of the preset, or hyperparameters, one value; they are not searched then.

        Raises:
            KzooError: an unknown name, with the nearest one, or a value that it cannot have.
        """
        for name, value in values.items():
            if name not in self._settable:
                self._named(name).check(value)
        settings = {name: value for name, value in values.items() if name in self._settable}
        before = {name: value for name, value in self.fixed.items() if name in self._settable}
        config, training = resolve(self.preset, before | settings)
        checked = {name: (config | training)[name] for name in settings}
        return self._checked(fixed=dict(self.fixed) | values | checked)

    def narrow(self, **ranges: Sequence[Any]) -> "Space":
        """Leave a part of some hyperparameters: a pair of numbers is a range, a list is values.

        Raises:
            KzooError: an unknown name, an empty or reversed range, or one that is not in the space.
        """
        for name in ranges:
            self._called(name)
        return self._checked(narrow_to=dict(self.narrow_to) | ranges)

    def only(self, *wanted: str) -> "Space":
        """Search these hyperparameters alone; the others stay as they are in the preset.

        Raises:
            KzooError: an unknown name, or none at all.
        """
        if not wanted:
            raise KzooError(f"only() needs at least one name. This space has: {', '.join(self._words)}.")
        for name in wanted:
            self._called(name)
        return self._checked(kept=wanted)

    def limit(self, *, params: float) -> "Space":
        """Train no network of more parameters.

        Raises:
            KzooError: no number of parameters.
        """
        number = isinstance(params, int | float) and not isinstance(params, bool) and math.isfinite(params)
        if not number or params < 1:
            raise KzooError(f"limit(params={params!r}) must be a number of parameters, at least 1.")
        return replace(self, max_params=int(params))

    def for_preset(self, preset: Preset) -> "Space":
        """Return the same space for a changed preset, such as one whose head and input follow the data.

        Raises:
            KzooError: what was fixed or narrowed does not go with it.
        """
        return replace(self, preset=preset)._checked()

    # What is in it

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return the hyperparameters that are searched, parents before those that depend on them."""
        return tuple(p for ps in self._by_entry.values() for p in ps if p.name not in self.fixed)

    def overrides(self, hp: "keras_tuner.HyperParameters | Mapping[str, Any]") -> dict[str, Any]:
        """Return what a point changes of the preset: arguments of `kzoo.build` and `kzoo.train`; {} for the preset.

        Args:
            hp: a `keras_tuner.HyperParameters`, or its values as a dict. A value that is missing is the default.
        """
        values = hp if isinstance(hp, Mapping) else hp.values
        chosen: dict[str, Any] = {}
        settings = dict(self._start)
        for name, entry in self._entries.items():
            for parameter in self._by_entry.get(name, ()):
                given = self.fixed.get(parameter.name, values.get(parameter.name, parameter.default))
                if not parameter.is_active(chosen):
                    continue
                chosen[parameter.name] = given
                if parameter.name in self._pinned or given != self._as_it_is.get(parameter.name):
                    entry.change(settings, given)
        make_fit(settings, self.fixed)
        own = self._start | self.settings
        changed = {n: v for n, v in settings.items() if v != own[n] or (n in self.fixed and n not in self.settings)}
        useless = unused_names(changed.keys() - self.fixed, self.preset.family, self.preset.task, settings)
        return {name: value for name, value in changed.items() if name not in useless}

    def count_params(self, hp: "keras_tuner.HyperParameters | Mapping[str, Any]") -> int:
        """Return the number of parameters of a point's network, which is built but not compiled.

        Raises:
            KzooError: a network that cannot be built.
        """
        return build(self.preset, compile=False, **self.overrides(hp)).count_params()

    # As data and as text

    def to_json(self) -> dict[str, Any]:
        """Return the space as plain data: what was asked, and what came of it."""
        return dict(
            preset=self.preset.name,
            size=self.size,
            fixed={name: _listed(value) for name, value in self.fixed.items()},
            narrow_to={
                name: {"range": list(to)} if isinstance(to, tuple) else {"values": list(to)}
                for name, to in self.narrow_to.items()
            },
            kept=None if self.kept is None else list(self.kept),
            max_params=self.max_params,
            parameters=[p.to_json() for p in self.parameters],
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any], preset: str | Preset | None = None) -> "Space":
        """Return the space that `to_json` wrote.

        Args:
            data: the plain data.
            preset: the preset it is of; the default is the registered one of that name.

        Raises:
            KzooError: the preset is unknown, or has no such space any more.
        """
        try:
            ranges = {k: tuple(to["range"]) if "range" in to else to["values"] for k, to in data["narrow_to"].items()}
            kept = None if data["kept"] is None else tuple(data["kept"])
            whole = space(data["preset"] if preset is None else preset, data["size"]).fix(**data["fixed"])
            return whole._checked(narrow_to=ranges, kept=kept, max_params=data["max_params"])
        except (KeyError, TypeError, AttributeError) as error:
            raise KzooError(f"A stored space is damaged: {first_line(error)}.") from error

    def __str__(self) -> str:
        """A table: a line for each hyperparameter, its values, its default and what it means."""
        lines = [self.table(f"{self.preset.name}, {self.size} space")]
        lines += [f"  fixed: {name}={value!r}" for name, value in self.fixed.items()]
        if self.max_params is not None:
            lines.append(f"  at most {self.max_params:,} parameters")
        return "\n".join(lines)

    __repr__ = __str__

    # By name

    @cached_property
    def _words(self) -> list[str]:
        """Every name that a user may say: `learning_rate` for all that are one, then each by itself."""
        names = [p.called or p.name for p in self.parameters]
        return list(dict.fromkeys(names + [p.name for p in self.parameters]))

    def _called(self, name: str) -> list[Parameter]:
        """Return the hyperparameters of a name.

        Raises:
            KzooError: there are none, with the nearest name; or it is fixed.
        """
        found = [p for p in self.parameters if p.answers_to(name)]
        if found:
            return found
        if name in self.fixed:
            raise KzooError(f"{name} is fixed to {self.fixed[name]!r}: leave one of the two out.")
        raise KzooError(
            f"Unknown hyperparameter {name!r} of {self.preset.name}, size {self.size!r}. {hint(name, self._words)}"
            f"{self._elsewhere(name)}It has: {', '.join(self._words) or 'none'}."
        )

    def _named(self, name: str) -> Parameter:
        """Return the hyperparameter of a name that is not a setting of the preset.

        Raises:
            KzooError: there is none, with the nearest name; or it is fixed.
        """
        if name in self.fixed:
            raise KzooError(f"{name} is fixed to {self.fixed[name]!r} already.")
        legal = {p.name: p for p in self.parameters}
        if name in legal:
            return legal[name]
        guess = hint(name, [*legal, *self.settings])
        raise KzooError(
            f"Unknown setting {name!r} of {self.preset.name}. {guess}{self._elsewhere(name)}"
            f"fix() takes a setting of the preset, or one of: {', '.join(legal)}."
        )

    def _elsewhere(self, name: str) -> str:
        """Say where a name is that is not here."""
        for size in (self.size, *SIZES):
            whole = replace(self, size=size, fixed={}, narrow_to={}, kept=None)
            if any(p.answers_to(name) for p in whole.parameters):
                return f"It is in size={size!r}. " if size != self.size else "It was left out by only() or fix(). "
        return ""

    # Derived once

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Return the preset's settings: its config and its training contract in one."""
        config, training = resolve(self.preset, {})
        return config | training

    @cached_property
    def _settable(self) -> set[str]:
        """The names of all settings, those among them that have no use in the preset as it is."""
        return {*self.settings, *builder_of(self.preset.family).takes, *TRAINING}

    @cached_property
    def _start(self) -> dict[str, Any]:
        """The settings with what was fixed of them."""
        own = {name: value for name, value in self.fixed.items() if name in self._settable}
        config, training = resolve(self.preset, own)
        return config | training

    @cached_property
    def _pinned(self) -> set[str]:
        """Hyperparameters that were fixed and are not settings."""
        return {name for name in self.fixed if name not in self._settable}

    @cached_property
    def _entries(self) -> dict[str, Entry]:
        """The entries of the family's space that set nothing that was fixed."""
        settings = set(self.fixed) & self._settable
        entries = entries_of(self.preset.family, self.size)
        return {name: entry for name, entry in entries.items() if not settings & set(entry.sets)}

    @cached_property
    def _by_entry(self) -> dict[str, list[Parameter]]:
        """Entry -> its parameters, narrowed; those that were pinned are still among them."""
        before: dict[str, Parameter] = {}
        found: dict[str, list[Parameter]] = {}
        for name, entry in self._entries.items():
            parameters = [p for p in entry.parameters(self._scene(before)) if self._is_kept(p)]
            found[name] = [self._narrowed(p) for p in parameters]
            before |= {p.name: p for p in found[name] if p.name not in self.fixed}
        return found

    @cached_property
    def _as_it_is(self) -> dict[str, Any]:
        """Name -> the value with which a point leaves the settings alone. A learning rate always is one of its own."""
        before: dict[str, Parameter] = {}
        found: dict[str, Any] = {}
        for entry in self._entries.values():
            parameters = entry.parameters(self._scene(before))
            before |= {p.name: p for p in parameters}
            found |= {p.name: p.default for p in parameters if not p.called}
        return found

    def _scene(self, before: dict[str, Parameter]) -> Scene:
        own = self.settings.get("optimizer")
        useless = unused_names(self._start, self.preset.family, self.preset.task, self._start)
        settings = {name: value for name, value in self._start.items() if name not in useless}
        return Scene(settings=settings, optimizer=own, task=self.preset.task, size=self.size, before=before)

    def _is_kept(self, parameter: Parameter) -> bool:
        return self.kept is None or parameter.name in self._pinned or any(map(parameter.answers_to, self.kept))

    def _narrowed(self, parameter: Parameter) -> Parameter:
        for name in (parameter.name, parameter.called):  # the name of its own goes before
            if name in self.narrow_to:
                return parameter.narrowed(self.narrow_to[name])
        return parameter

    def _checked(self, **changes: Any) -> "Space":
        """Return a changed copy whose parameters could be made."""
        changed = replace(self, **changes)
        _ = changed.parameters
        return changed


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
