"""`Space`: the hyperparameters of a preset, fixed and narrowed, and the overrides of its points."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kzoo.tuning.spaces import entries_of, make_consistent
from kzoo.tuning.spaces.entry import SIZES, Entry, Parameter, Point, Settings, SpaceContext
from kzoo.tuning.spaces.points import Points
from kzoo.utils.errors import KzooError, short_errors
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import first_line, hint, shown
from kzoo.zoo.registry import Preset, build, get_preset, resolve, unused_names
from kzoo.zoo.registry.arguments import TRAINING
from kzoo.zoo.registry.family import builder_of

if TYPE_CHECKING:
    import keras_tuner


@short_errors
def space(preset: str | Preset, size: str = "standard") -> "Space":
    """Return the search space of a preset, with the preset itself as its default point.

    Args:
        preset: a preset's name, or a `Preset` of any family.
        size: "quick" (4 to 6 hyperparameters), "standard" or "full".

    Raises:
        KzooError: the preset or the size is unknown, or the preset is not trained by gradients.

    Examples:
        >>> space = kzoo.space("iris_fnn", "quick")
        >>> [parameter.name for parameter in space.parameters]
        ['learning_rate', 'batch_size', 'units_scale', 'layers', 'dropout']
        >>> space = space.fix(batch_size=16).narrow(learning_rate=(1e-3, 1e-2))
        >>> plan = kzoo.tune("iris_fnn", "iris", space=space, dry_run=True)
    """
    if not isinstance(size, str) or size not in SIZES:
        raise KzooError(
            f"Unknown size {size!r} of a space. {hint(size, SIZES)}Use one of: {', '.join(SIZES)}.",
            value=size,
        )
    preset = get_preset(preset)
    if builder_of(preset.family).closed_form:
        raise KzooError(
            f"{preset.name} has nothing to search: ridge regression chooses its strength by leave-one-out errors. Use "
            "kzoo.train, or search another preset."
        )
    return Space(preset=preset, size=size)


@dataclass(frozen=True, kw_only=True)
class Space(Points):
    """The hyperparameters of a preset, returned by `kzoo.space`. It is immutable: each method returns a new space.

    Args:
        preset: the preset, its default point.
        size: "quick", "standard" or "full".
        fixed: settings, or hyperparameters, with a fixed value.
        narrow_to: name -> the remaining values of a hyperparameter: a pair for a range, a list of values.
        selected: names that are searched, the others stay as in the preset; None for all.
        max_params: the largest number of parameters of a network to train; None for any.

    Examples:
        >>> space = kzoo.space("iris_fnn", "quick").fix(dropout=0.1).limit(params=5_000)
        >>> space = space.narrow(learning_rate=(1e-3, 1e-2)).only("learning_rate", "batch_size")
        >>> [parameter.name for parameter in space.parameters]
        ['learning_rate', 'batch_size']
        >>> space.overrides({"learning_rate": 0.005})
        {'dropout': 0.1, 'learning_rate': 0.005}
        >>> space.count_params({})
        2499
    """

    preset: Preset
    size: str = "standard"
    fixed: Mapping[str, Any] = field(default_factory=dict)
    narrow_to: Mapping[str, Any] = field(default_factory=dict)
    selected: tuple[str, ...] | None = None
    max_params: int | None = None

    # Narrowing

    def fix(self, **values: Any) -> "Space":
        """Fix settings of the preset, or hyperparameters, to a value; they are not searched.

        Args:
            values: name -> value.

        Returns:
            The new space.

        Raises:
            KzooError: a name is unknown, or its value is invalid.
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
        """Restrict hyperparameters: a pair of numbers is a range, a list is values.

        Args:
            ranges: name -> (low, high), or a list of values.

        Returns:
            The new space.

        Raises:
            KzooError: a name is unknown, or its range is empty, reversed or outside the space.
        """
        for name in ranges:
            self._parameters_named(name)
        return self._checked(narrow_to=dict(self.narrow_to) | ranges)

    def only(self, *names: str) -> "Space":
        """Search only these hyperparameters; the others stay as in the preset.

        Args:
            names: of hyperparameters.

        Returns:
            The new space.

        Raises:
            KzooError: a name is unknown, or there is no name.
        """
        if not names:
            raise KzooError(
                f"only() requires at least one name. Use some of: {', '.join(self._user_names)}."
            )
        for name in names:
            self._parameters_named(name)
        return self._checked(selected=names)

    def limit(self, *, params: float) -> "Space":
        """Do not train networks with more parameters than `params`.

        Args:
            params: the largest number of parameters.

        Returns:
            The new space.

        Raises:
            KzooError: `params` is not a number of at least 1.
        """
        is_number = (
            isinstance(params, int | float)
            and not isinstance(params, bool)
            and math.isfinite(params)
        )
        if not is_number or params < 1:
            raise KzooError(f"limit(params={params!r}) must be a number of parameters, 1 or more.")
        return replace(self, max_params=int(params))

    def for_preset(self, preset: Preset) -> "Space":
        """Return the same space for a changed preset, such as one adapted to the data.

        Args:
            preset: the changed preset.

        Raises:
            KzooError: fixed or narrowed hyperparameters do not fit the preset.
        """
        return replace(self, preset=preset)._checked()

    # Contents

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return the searched hyperparameters, parents before those that depend on them."""
        return tuple(p for ps in self._by_entry.values() for p in ps if p.name not in self.fixed)

    def overrides(self, hp: "keras_tuner.HyperParameters | Point") -> Settings:
        """Return the overrides of a point for `kzoo.build` and `kzoo.train`; {} for the preset.

        Args:
            hp: a `keras_tuner.HyperParameters`, or its values as a dict. A missing value is the default.
        """
        values = hp if isinstance(hp, Mapping) else hp.values
        chosen: dict[str, Any] = {}
        settings = dict(self._fixed_settings)
        for name, entry in self._entries.items():
            for parameter in self._by_entry.get(name, ()):
                value = self.fixed.get(
                    parameter.name, values.get(parameter.name, parameter.default)
                )
                if not parameter.is_active(chosen):
                    continue
                chosen[parameter.name] = value
                if parameter.name in self._pinned or value != self._neutral_values.get(
                    parameter.name
                ):
                    entry.change(settings, value)
        make_consistent(settings, self.fixed)
        original = self._fixed_settings | self.settings
        changed = {
            n: v
            for n, v in settings.items()
            if v != original[n] or (n in self.fixed and n not in self.settings)
        }
        unused = unused_names(
            changed.keys() - self.fixed, self.preset.family, self.preset.task, settings
        )
        return {name: value for name, value in changed.items() if name not in unused}

    def count_params(self, hp: "keras_tuner.HyperParameters | Mapping[str, Any]") -> int:
        """Return the number of parameters of a point's network, which is built but not compiled.

        Args:
            hp: a point, as `overrides` takes it.

        Raises:
            KzooError: the network cannot be built.
        """
        return build(self.preset, compile=False, **self.overrides(hp)).count_params()

    # Serialisation

    def to_json(self) -> JsonObject:
        """Return the space as plain data: its arguments and the resulting hyperparameters."""
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
    def from_json(cls, data: JsonObject, preset: str | Preset | None = None) -> "Space":
        """Return the space that `to_json` wrote.

        Args:
            data: the plain data.
            preset: its preset; the default is the registered one of that name.

        Raises:
            KzooError: the preset is unknown, or does not have this space any more.
        """
        try:
            ranges = {
                name: tuple(domain["range"]) if "range" in domain else domain["values"]
                for name, domain in data["narrow_to"].items()
            }
            selected = None if data["kept"] is None else tuple(data["kept"])
            whole = space(data["preset"] if preset is None else preset, data["size"]).fix(
                **data["fixed"]
            )
            return whole._checked(
                narrow_to=ranges, selected=selected, max_params=data["max_params"]
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise KzooError(f"A stored space is damaged: {first_line(error)}.") from error

    def __str__(self) -> str:
        """Return a table with a line for each hyperparameter: values, default and meaning."""
        lines = [self.table(f"{self.preset.name}, {self.size} space")]
        lines += [f"  fixed: {name}={value!r}" for name, value in self.fixed.items()]
        if self.max_params is not None:
            lines.append(f"  at most {self.max_params:,} parameters")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        fixed = ", ".join(f"{name}={shown(value)}" for name, value in self.fixed.items())
        return self.html(
            f"Space of {self.preset.name}, {self.size}",
            [("fixed", fixed), ("most parameters", self.max_params)],
        )

    # Look-up by name

    @cached_property
    def _user_names(self) -> list[str]:
        """All names that users may pass: aliases such as `learning_rate`, then each parameter's name."""
        names = [p.alias or p.name for p in self.parameters]
        return list(dict.fromkeys(names + [p.name for p in self.parameters]))

    def _parameters_named(self, name: str) -> list[Parameter]:
        """Return the hyperparameters with a name or alias.

        Raises:
            KzooError: the name is unknown or fixed.
        """
        matches = [p for p in self.parameters if p.is_named(name)]
        if matches:
            return matches
        if name in self.fixed:
            raise KzooError(f"{name} is fixed to {self.fixed[name]!r}. Omit one of the two.")
        raise KzooError(
            f"Unknown hyperparameter {name!r} of {self.preset.name}, size {self.size!r}. {hint(name, self._user_names)}"
            f"{self._elsewhere_hint(name)}Use one of: {', '.join(self._user_names) or 'none'}.",
            value=name,
        )

    def _parameter_named(self, name: str) -> Parameter:
        """Return the hyperparameter of a name that is not a setting of the preset.

        Raises:
            KzooError: the name is unknown or fixed.
        """
        if name in self.fixed:
            raise KzooError(f"{name} is already fixed to {self.fixed[name]!r}.")
        legal = {p.name: p for p in self.parameters}
        if name in legal:
            return legal[name]
        suggestion = hint(name, [*legal, *self.settings])
        raise KzooError(
            f"Unknown setting {name!r} of {self.preset.name}. {suggestion}{self._elsewhere_hint(name)}"
            f"Use fix() with a setting of the preset, or one of: {', '.join(legal)}.",
            value=name,
        )

    def _elsewhere_hint(self, name: str) -> str:
        """Return a hint on which size has a name that this space lacks, or an empty string."""
        for size in (self.size, *SIZES):
            whole = replace(self, size=size, fixed={}, narrow_to={}, selected=None)
            if any(p.is_named(name) for p in whole.parameters):
                return (
                    f"It is in size={size!r}. "
                    if size != self.size
                    else "It was excluded by only() or fix(). "
                )
        return ""

    # Cached properties

    @cached_property
    def settings(self) -> Settings:
        """Return the preset's settings: its config and its training settings in one mapping."""
        config, training = resolve(self.preset, {})
        return config | training

    @cached_property
    def _settable(self) -> set[str]:
        """The names of all settings, including those that the preset does not use."""
        return {*self.settings, *builder_of(self.preset.family).takes, *TRAINING}

    @cached_property
    def _fixed_settings(self) -> Settings:
        """The preset's settings with the fixed ones applied."""
        fixed = {name: value for name, value in self.fixed.items() if name in self._settable}
        config, training = resolve(self.preset, fixed)
        return config | training

    @cached_property
    def _pinned(self) -> set[str]:
        """Names that are fixed and are hyperparameters, not settings."""
        return {name for name in self.fixed if name not in self._settable}

    @cached_property
    def _entries(self) -> dict[str, Entry]:
        """The entries of the family's space that change no fixed setting."""
        settings = set(self.fixed) & self._settable
        entries = entries_of(self.preset.family, self.size)
        return {name: entry for name, entry in entries.items() if not settings & set(entry.sets)}

    @cached_property
    def _by_entry(self) -> dict[str, list[Parameter]]:
        """Entry -> its parameters, narrowed; pinned ones are included."""
        earlier: dict[str, Parameter] = {}
        by_entry: dict[str, list[Parameter]] = {}
        for name, entry in self._entries.items():
            parameters = [
                p for p in entry.parameters(self._context(earlier)) if self._is_selected(p)
            ]
            by_entry[name] = [self._narrowed(p) for p in parameters]
            earlier |= {p.name: p for p in by_entry[name] if p.name not in self.fixed}
        return by_entry

    @cached_property
    def _neutral_values(self) -> Point:
        """Name -> the value that leaves the settings unchanged. A learning rate, which has an alias, has none."""
        earlier: dict[str, Parameter] = {}
        neutral: dict[str, Any] = {}
        for entry in self._entries.values():
            parameters = entry.parameters(self._context(earlier))
            earlier |= {p.name: p for p in parameters}
            neutral |= {p.name: p.default for p in parameters if not p.alias}
        return neutral

    def _context(self, earlier: dict[str, Parameter]) -> SpaceContext:
        optimizer = self.settings.get("optimizer")
        unused = unused_names(
            self._fixed_settings, self.preset.family, self.preset.task, self._fixed_settings
        )
        settings = {
            name: value for name, value in self._fixed_settings.items() if name not in unused
        }
        return SpaceContext(
            settings=settings,
            optimizer=optimizer,
            task=self.preset.task,
            size=self.size,
            earlier=earlier,
        )

    def _is_selected(self, parameter: Parameter) -> bool:
        return (
            self.selected is None
            or parameter.name in self._pinned
            or any(map(parameter.is_named, self.selected))
        )

    def _narrowed(self, parameter: Parameter) -> Parameter:
        for name in (parameter.name, parameter.alias):  # its name overrides its alias
            if name in self.narrow_to:
                return parameter.narrowed(self.narrow_to[name])
        return parameter

    def _checked(self, **changes: Any) -> "Space":
        """Return a changed copy after checking that its parameters can be declared."""
        changed = replace(self, **changes)
        _ = changed.parameters
        return changed


def _as_list(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
