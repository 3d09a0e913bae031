"""`Space`: the hyperparameters of a preset, what was fixed and narrowed of them, and a point of it as overrides."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kzoo.registry import Preset, build, get_preset, resolve, unused_names
from kzoo.registry.arguments import TRAINING
from kzoo.registry.family import builder_of
from kzoo.tuning.spaces import entries_of, make_consistent
from kzoo.tuning.spaces.entry import SIZES, Entry, Parameter, SpaceContext
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
    selected: tuple[str, ...] | None = None
    max_params: int | None = None

    # Narrowing

    def fix(self, **values: Any) -> "Space":
        """Give settings of the preset, or hyperparameters, one value; they are not searched then.

        Raises:
            KzooError: an unknown name, with the nearest one, or a value that it cannot have.
        """
        for name, value in values.items():
            if name not in self._settable:
                self._parameter_named(name).check(value)
        settings = {name: value for name, value in values.items() if name in self._settable}
        fixed = {name: value for name, value in self.fixed.items() if name in self._settable}
        config, training = resolve(self.preset, fixed | settings)
        resolved = {name: (config | training)[name] for name in settings}
        return self._checked(fixed=dict(self.fixed) | values | resolved)

    def narrow(self, **ranges: Sequence[Any]) -> "Space":
        """Leave a part of some hyperparameters: a pair of numbers is a range, a list is values.

        Raises:
            KzooError: an unknown name, an empty or reversed range, or one that is not in the space.
        """
        for name in ranges:
            self._parameters_named(name)
        return self._checked(narrow_to=dict(self.narrow_to) | ranges)

    def only(self, *names: str) -> "Space":
        """Search these hyperparameters alone; the others stay as they are in the preset.

        Raises:
            KzooError: an unknown name, or none at all.
        """
        if not names:
            raise KzooError(f"only() needs at least one name. This space has: {', '.join(self._user_names)}.")
        for name in names:
            self._parameters_named(name)
        return self._checked(selected=names)

    def limit(self, *, params: float) -> "Space":
        """Train no network of more parameters.

        Raises:
            KzooError: no number of parameters.
        """
        is_number = isinstance(params, int | float) and not isinstance(params, bool) and math.isfinite(params)
        if not is_number or params < 1:
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
        settings = dict(self._fixed_settings)
        for name, entry in self._entries.items():
            for parameter in self._by_entry.get(name, ()):
                value = self.fixed.get(parameter.name, values.get(parameter.name, parameter.default))
                if not parameter.is_active(chosen):
                    continue
                chosen[parameter.name] = value
                if parameter.name in self._pinned or value != self._neutral_values.get(parameter.name):
                    entry.change(settings, value)
        make_consistent(settings, self.fixed)
        original = self._fixed_settings | self.settings
        changed = {
            n: v for n, v in settings.items() if v != original[n] or (n in self.fixed and n not in self.settings)
        }
        unused = unused_names(changed.keys() - self.fixed, self.preset.family, self.preset.task, settings)
        return {name: value for name, value in changed.items() if name not in unused}

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
            fixed={name: _as_list(value) for name, value in self.fixed.items()},
            narrow_to={
                name: {"range": list(to)} if isinstance(to, tuple) else {"values": list(to)}
                for name, to in self.narrow_to.items()
            },
            kept=None if self.selected is None else list(self.selected),
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
            ranges = {
                name: tuple(domain["range"]) if "range" in domain else domain["values"]
                for name, domain in data["narrow_to"].items()
            }
            selected = None if data["kept"] is None else tuple(data["kept"])
            whole = space(data["preset"] if preset is None else preset, data["size"]).fix(**data["fixed"])
            return whole._checked(narrow_to=ranges, selected=selected, max_params=data["max_params"])
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
    def _user_names(self) -> list[str]:
        """Every name that a user may say: `learning_rate` for all that are one, then each by itself."""
        names = [p.alias or p.name for p in self.parameters]
        return list(dict.fromkeys(names + [p.name for p in self.parameters]))

    def _parameters_named(self, name: str) -> list[Parameter]:
        """Return the hyperparameters of a name.

        Raises:
            KzooError: there are none, with the nearest name; or it is fixed.
        """
        matches = [p for p in self.parameters if p.is_named(name)]
        if matches:
            return matches
        if name in self.fixed:
            raise KzooError(f"{name} is fixed to {self.fixed[name]!r}: leave one of the two out.")
        raise KzooError(
            f"Unknown hyperparameter {name!r} of {self.preset.name}, size {self.size!r}. {hint(name, self._user_names)}"
            f"{self._elsewhere_hint(name)}It has: {', '.join(self._user_names) or 'none'}."
        )

    def _parameter_named(self, name: str) -> Parameter:
        """Return the hyperparameter of a name that is not a setting of the preset.

        Raises:
            KzooError: there is none, with the nearest name; or it is fixed.
        """
        if name in self.fixed:
            raise KzooError(f"{name} is fixed to {self.fixed[name]!r} already.")
        legal = {p.name: p for p in self.parameters}
        if name in legal:
            return legal[name]
        suggestion = hint(name, [*legal, *self.settings])
        raise KzooError(
            f"Unknown setting {name!r} of {self.preset.name}. {suggestion}{self._elsewhere_hint(name)}"
            f"fix() takes a setting of the preset, or one of: {', '.join(legal)}."
        )

    def _elsewhere_hint(self, name: str) -> str:
        """Say where a name is that is not here."""
        for size in (self.size, *SIZES):
            whole = replace(self, size=size, fixed={}, narrow_to={}, selected=None)
            if any(p.is_named(name) for p in whole.parameters):
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
    def _fixed_settings(self) -> dict[str, Any]:
        """The settings with what was fixed of them."""
        fixed = {name: value for name, value in self.fixed.items() if name in self._settable}
        config, training = resolve(self.preset, fixed)
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
        earlier: dict[str, Parameter] = {}
        by_entry: dict[str, list[Parameter]] = {}
        for name, entry in self._entries.items():
            parameters = [p for p in entry.parameters(self._context(earlier)) if self._is_selected(p)]
            by_entry[name] = [self._narrowed(p) for p in parameters]
            earlier |= {p.name: p for p in by_entry[name] if p.name not in self.fixed}
        return by_entry

    @cached_property
    def _neutral_values(self) -> dict[str, Any]:
        """Name -> the value with which a point leaves the settings alone. A learning rate always is one of its own."""
        earlier: dict[str, Parameter] = {}
        neutral: dict[str, Any] = {}
        for entry in self._entries.values():
            parameters = entry.parameters(self._context(earlier))
            earlier |= {p.name: p for p in parameters}
            neutral |= {p.name: p.default for p in parameters if not p.alias}
        return neutral

    def _context(self, earlier: dict[str, Parameter]) -> SpaceContext:
        optimizer = self.settings.get("optimizer")
        unused = unused_names(self._fixed_settings, self.preset.family, self.preset.task, self._fixed_settings)
        settings = {name: value for name, value in self._fixed_settings.items() if name not in unused}
        return SpaceContext(
            settings=settings, optimizer=optimizer, task=self.preset.task, size=self.size, earlier=earlier
        )

    def _is_selected(self, parameter: Parameter) -> bool:
        return self.selected is None or parameter.name in self._pinned or any(map(parameter.is_named, self.selected))

    def _narrowed(self, parameter: Parameter) -> Parameter:
        for name in (parameter.name, parameter.alias):  # the name of its own goes before
            if name in self.narrow_to:
                return parameter.narrowed(self.narrow_to[name])
        return parameter

    def _checked(self, **changes: Any) -> "Space":
        """Return a changed copy whose parameters could be made."""
        changed = replace(self, **changes)
        _ = changed.parameters
        return changed


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
