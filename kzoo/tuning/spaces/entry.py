"""`Parameter`, a hyperparameter of one preset, and `Entry`, which declares it for any preset."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, TypeVar

from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import hint
from kzoo.zoo.registry.family import FAMILIES, is_recurrent

if TYPE_CHECKING:
    import keras_tuner


Value: TypeAlias = float | str  # of a hyperparameter; float includes integers and booleans
Point: TypeAlias = Mapping[str, Any]  # name -> value of each active hyperparameter
Settings: TypeAlias = dict[str, Any]  # config and training settings of a preset in one dict
Condition: TypeAlias = tuple[
    str, tuple[Value, ...]
]  # a hyperparameter and the values that it must have
Declared: TypeAlias = "Parameter | Sequence[Parameter] | None"
Declare: TypeAlias = "Callable[[SpaceContext], Declared]"
Apply: TypeAlias = Callable[[Settings, Any], None]
Layers: TypeAlias = float | tuple[float, ...]  # a setting of all layers, or of each
T = TypeVar("T")

SIZES = ("quick", "standard", "full")  # each includes the ones before it


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A hyperparameter.

    Args:
        name: its name in KerasTuner.
        meaning: a short description.
        default: the preset's value.
        values: the legal values, all of one type; empty for a range.
        low, high: the bounds of a range, both included.
        log: sample on a logarithmic scale.
        whole: integers only.
        when: (name, values): active only if that parameter has one of these values; None for always.
        alias: another name for users, possibly of several parameters: `learning_rate` is one for each optimizer.
    """

    name: str
    meaning: str
    default: Value
    values: tuple[Value, ...] = ()
    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False
    when: Condition | None = None
    alias: str = ""

    def is_named(self, name: str) -> bool:
        """Return True if `name` is the parameter's name or alias."""
        return name in (self.name, self.alias)

    def is_active(self, point: Point) -> bool:
        """Return True if the parameter is active at a point, given as the values of the others."""
        return self.when is None or point.get(self.when[0]) in self.when[1]

    def declare(self, hp: "keras_tuner.HyperParameters") -> None:
        """Declare it on a `keras_tuner.HyperParameters`."""
        if self.values and isinstance(self.default, bool):
            # hp.Choice would turn booleans into numbers
            hp.Boolean(self.name, default=self.default)
        elif self.values:
            hp.Choice(self.name, list(self.values), default=self.default)
        elif self.whole:
            hp.Int(
                self.name,
                self.low,
                self.high,
                sampling="log" if self.log else "linear",
                default=self.default,
            )
        else:
            hp.Float(
                self.name,
                self.low,
                self.high,
                sampling="log" if self.log else "linear",
                default=self.default,
            )  # no step: KerasTuner's steps omit the upper end

    @property
    def bounds(self) -> tuple[float, float]:
        """The bounds of a range, both included."""
        assert self.low is not None and self.high is not None
        return self.low, self.high

    def size(self) -> int | None:
        """Return the number of values, None if continuous."""
        if self.values:
            return len(self.values)
        if self.low == self.high:
            return 1
        low, high = self.bounds
        return int(high - low) + 1 if self.whole else None

    def all_values(self) -> tuple[Value, ...]:
        """Return all values if the number is finite."""
        if self.values:
            return self.values
        low, high = self.bounds
        return tuple(range(int(low), int(high) + 1)) if self.whole else (low,)

    def check(self, value: Value | None) -> Value:
        """Return a value as this parameter encodes it.

        Raises:
            KzooError: the value is not legal.
        """
        value = encode(value)
        if self.values:
            match = [
                legal
                for legal in self.values
                if legal == value and isinstance(legal, str) == isinstance(value, str)
            ]
            if match:
                return match[0]
        elif _is_number(value):
            low, high = self.bounds
            if low <= value <= high and (not self.whole or value == int(value)):
                return int(value) if self.whole else float(value)
        raise KzooError(
            f"is outside the space: {self.describe_values()}. "
            f"{hint(value, [legal for legal in self.values if isinstance(legal, str)])}"
            + (
                f"Each optimizer has its own: use .fix(optimizer=...) first, or narrow {self.name} by name."
                if self.alias and self.when
                else ".narrow() only selects from the space; .fix() takes any value that is valid for the preset."
            ),
            argument=self.name,
            value=value,
        )

    def narrowed(self, selection: Sequence[Value]) -> "Parameter":
        """Return the parameter with fewer values; its default moves to the nearest remaining one.

        Args:
            selection: a pair of numbers is a range, both bounds included; a list, or strings, are values.

        Raises:
            KzooError: an empty or reversed range, or illegal values.
        """
        pair = (
            isinstance(selection, tuple) and len(selection) == 2 and all(map(_is_number, selection))
        )
        if not isinstance(selection, tuple | list) or (not pair and not selection):
            raise KzooError(
                f"narrow({self.name}={selection!r}) must be a pair of numbers for a range, or a list of values. "
                f"Legal values: {self.describe_values()}."
            )
        first, last = selection[0], selection[-1]
        if pair and first > last:
            raise KzooError(
                f"narrow({self.name}={selection!r}) is reversed. Put the smaller number first."
            )
        if not pair:
            values = tuple(dict.fromkeys(self.check(option) for option in selection))
            return self._with_legal_default(
                replace(self, values=values, low=None, high=None, log=False, whole=False)
            )
        if self.values:
            if isinstance(self.values[0], str):
                raise KzooError(
                    f"{self.name} has no range. Use narrow({self.name}=[...]) with one or more of: "
                    f"{self.describe_values()}."
                )
            values = tuple(option for option in self.values if first <= option <= last)
            if not values:
                raise KzooError(
                    f"narrow({self.name}={selection!r}) contains none of its values: {self.describe_values()}."
                )
            return self._with_legal_default(replace(self, values=values))
        low, high = (self.check(bound) for bound in selection)
        assert not isinstance(low, str) and not isinstance(high, str)  # it is a pair of numbers
        return self._with_legal_default(replace(self, low=low, high=high))

    def _with_legal_default(self, narrowed: "Parameter") -> "Parameter":
        """Return a narrowed copy with the value nearest to this default as default."""
        default = self.default
        if narrowed.values and default in narrowed.values:
            return replace(narrowed, default=default)
        if isinstance(default, str):
            return replace(narrowed, default=narrowed.values[0])
        if narrowed.values:
            nearest = min(narrowed.values, key=lambda option: abs(float(option) - default))
            return replace(narrowed, default=nearest)
        low, high = narrowed.bounds
        return replace(narrowed, default=min(max(default, low), high))

    def describe_values(self) -> str:
        """Return the legal values as text."""
        if self.values:
            return ", ".join(format_value(option) for option in self.values)
        return f"{format_value(self.low)} to {format_value(self.high)}" + (
            ", log" if self.log else ""
        )

    def to_json(self) -> JsonObject:
        """Return values and default as plain data."""
        domain = (
            dict(values=list(self.values))
            if self.values
            else dict(low=self.low, high=self.high, log=self.log)
        )
        when = None if self.when is None else {self.when[0]: list(self.when[1])}
        return dict(name=self.name, default=self.default, when=when) | domain

    @classmethod
    def from_json(cls, data: JsonObject) -> "Parameter":
        """Return the parameter that `to_json` wrote, without its meaning."""
        ((name, values),) = (data["when"] or {None: ()}).items()
        return cls(
            name=data["name"],
            meaning="",
            default=data["default"],
            values=tuple(data.get("values", ())),
            low=data.get("low"),
            high=data.get("high"),
            log=data.get("log", False),
            whole=isinstance(data.get("low"), int),
            when=None if name is None else (name, tuple(values)),
        )


@dataclass(frozen=True, kw_only=True)
class SpaceContext:
    """The preset and space for which a hyperparameter is declared.

    Args:
        settings: a preset's config and training settings in one mapping, including fixed ones; a name may be missing.
        optimizer: the preset's optimizer, for which its learning rate was chosen.
        task: the preset's task.
        size: "quick", "standard" or "full".
        earlier: name -> parameter of those declared before.
    """

    settings: Mapping[str, Any]
    optimizer: str | None
    task: str
    size: str
    earlier: dict[str, Parameter] = field(default_factory=dict)

    def by_size(self, quick: T, standard: T, full: T | None = None) -> T:
        """Return the argument for the size; `full` defaults to `standard`."""
        return {"quick": quick, "standard": standard, "full": standard if full is None else full}[
            self.size
        ]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A hyperparameter of a space.

    Args:
        sizes: the smallest size of a space that includes it, for every family or as family -> size. There "other" is
            for families named by no entry; a missing family does not have it.
        declare: SpaceContext -> a `Parameter`, several, or None if the preset has no use for it. The preset's value is
            the default.
        sets: the settings that it changes. Fixing one of them removes the entry from the space; if the preset lacks the
            first one, the entry is left out.
        apply: (settings, value) -> None, changes the settings; by default the value is the setting.
    """

    sizes: str | Mapping[str, str]
    declare: Declare
    sets: tuple[str, ...]
    apply: Apply | None = None

    def is_in(self, family: str, size: str) -> bool:
        """Return True if a family's space of a size includes it."""
        smallest = self.sizes if isinstance(self.sizes, str) else self.sizes.get(family)
        return smallest is not None and SIZES.index(smallest) <= SIZES.index(size)

    def parameters(self, context: SpaceContext) -> list[Parameter]:
        """Return its parameters in a context."""
        if self.sets[0] not in context.settings:
            return []
        declared = self.declare(context)
        return (
            []
            if declared is None
            else [declared]
            if isinstance(declared, Parameter)
            else list(declared)
        )

    def change(self, settings: Settings, value: Value) -> None:
        """Change the settings for a value."""
        if self.apply is None:
            settings[self.sets[0]] = decode(value)
        else:
            self.apply(settings, value)


def recurrent_sizes(size: str) -> dict[str, str]:
    """Return family -> size for the recurrent families."""
    return {family: size for family in FAMILIES if is_recurrent(family)}


def choice(
    name: str, meaning: str, *values: Value | None, full: tuple[Value, ...] = ()
) -> "Callable[[SpaceContext], Parameter]":
    """Return a `declare` for a setting with some categorical or numeric values, including the preset's."""

    def declare(context: SpaceContext) -> Parameter:
        default = encode(context.settings[name])
        more = full if context.size == "full" else ()
        choices = list(dict.fromkeys([default, *map(encode, (*values, *more))]))
        if not isinstance(default, str):
            choices.sort(key=float)
        return Parameter(name=name, meaning=meaning, values=tuple(choices), default=default)

    return declare


def multiplier(name: str, setting: str, meaning: str) -> Declare:
    """Return a `declare` for a multiplier of the preset's widths."""

    def declare(context: SpaceContext) -> Parameter | None:
        if not context.settings[setting]:
            return None
        factors = context.by_size(
            (0.5, 1.0, 2.0), (0.25, 0.5, 1.0, 2.0), (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
        )
        return Parameter(name=name, meaning=meaning, values=factors, default=1.0)

    return declare


def dropout_rate(name: str, meaning: str) -> Declare:
    """Return a `declare` for a dropout rate; of several it is the largest, and the others keep their ratio to it."""

    def declare(context: SpaceContext) -> Parameter | None:
        default = context.settings[name]
        default = max(default, default=None) if isinstance(default, tuple) else default
        if default is None:
            return None
        return Parameter(
            name=name,
            meaning=meaning,
            low=0.0,
            high=0.6 if default <= 0.5 else 0.9,
            default=default,
        )

    return declare


def set_dropout_rate(name: str) -> Apply:
    """Return the `apply` for `dropout_rate`."""

    def apply(settings: Settings, value: float) -> None:
        rates = settings[name]
        if not isinstance(rates, tuple):
            settings[name] = value
        elif any(rates):
            settings[name] = tuple(value * rate / max(rates) for rate in rates)
        else:
            settings[name] = (value,) * len(rates)

    return apply


def scale_widths(
    widths: int | tuple[int, ...], factor: float, minimum: int = 1
) -> int | tuple[int, ...]:
    """Return widths times a factor, as integers of at least `minimum`."""
    if isinstance(widths, tuple):
        return tuple(max(minimum, round(width * factor)) for width in widths)
    return max(minimum, round(widths * factor))


def resize(values: Layers, count: int, *, grow: bool = False) -> Layers:
    """Return a tuple cut or extended to `count` values, by repeating the last value.

    With `grow`, it is extended by the ratio of the last two values. No value exceeds twice the largest, because
    networks would otherwise become too large to train. Anything but a tuple is one value for all layers, and is
    returned unchanged.
    """
    if not isinstance(values, tuple) or not values:
        return values
    limit = 2 * max(values)
    resized = list(values[:count])
    ratio = resized[-1] / resized[-2] if grow and len(resized) > 1 else 1
    while len(resized) < count:
        resized.append(min(max(1, round(resized[-1] * ratio)), limit) if grow else resized[-1])
    return tuple(resized)


def encode(value: Value | None) -> Value:
    """Return a setting as a value for KerasTuner: None and booleans become strings, which `Choice` needs."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return value


def decode(value: Value) -> Value | None:
    """Return the setting for an encoded value."""
    constants = {"none": None, "true": True, "false": False}
    return constants[value] if isinstance(value, str) and value in constants else value


def format_value(value: object) -> str:
    """Return a value as text."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _is_number(value: object) -> "TypeGuard[float]":
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
