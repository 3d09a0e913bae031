"""What the entries of the spaces are made of: a `Scene` to look at, and an `Entry` per hyperparameter."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kzoo.tuning.parameter import Parameter, read, written

SIZES = ("quick", "standard", "full")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a hyperparameter's range depends on.

    Args:
        settings: a preset's config and training contract in one mapping, with what was fixed; a name may be missing.
        optimizer: the preset's own, for which its learning rate was chosen.
        task: the preset's task.
        size: "quick", "standard" or "full".
        before: the parameters that were declared before this one, by name.
    """

    settings: Mapping
    optimizer: str | None
    task: str
    size: str
    before: dict = field(default_factory=dict)

    def by_size(self, quick, standard, full=None):
        """Return what belongs to the size; `full` is like `standard` where it is not said."""
        return {"quick": quick, "standard": standard, "full": standard if full is None else full}[self.size]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A hyperparameter of a space.

    Args:
        declare: Scene -> a `Parameter`, several, or None where the preset has no use for it. The preset's own value
            is the default.
        sets: the settings it changes. Fixing one of them takes the entry out of the space; without the first one in
            the preset there is nothing to set.
        apply: (settings, value) -> None, changes the settings; by default the value is the setting.
    """

    declare: Callable
    sets: tuple
    apply: Callable | None = None

    def parameters(self, scene) -> list:
        """Return its parameters in a scene."""
        if self.sets[0] not in scene.settings:
            return []
        found = self.declare(scene)
        return [] if found is None else [found] if isinstance(found, Parameter) else list(found)

    def change(self, settings, value):
        """Change the settings to a value of it."""
        if self.apply is None:
            settings[self.sets[0]] = read(value)
        else:
            self.apply(settings, value)


def one_of(name, meaning, *values, full=()):
    """Return a `declare` for a setting that takes one of some words or numbers, the preset's own among them."""

    def declare(scene):
        own = written(scene.settings[name])
        legal = dict.fromkeys([own, *map(written, values + (full if scene.size == "full" else ()))])
        legal = sorted(legal) if not isinstance(own, str) else list(legal)
        return Parameter(name=name, meaning=meaning, values=tuple(legal), default=own)

    return declare


def scale(name, setting, meaning):
    """Return a `declare` for a multiplier of the preset's widths."""

    def declare(scene):
        if not scene.settings[setting]:
            return None
        factors = scene.by_size((0.5, 1.0, 2.0), (0.25, 0.5, 1.0, 2.0), (0.25, 0.5, 0.75, 1.0, 1.5, 2.0))
        return Parameter(name=name, meaning=meaning, values=factors, default=1.0)

    return declare


def rate(name, meaning):
    """Return a `declare` for a dropout rate; of several, it is the largest, and the others keep their share of it."""

    def declare(scene):
        own = scene.settings[name]
        own = max(own, default=None) if isinstance(own, tuple) else own
        if own is None:
            return None
        return Parameter(name=name, meaning=meaning, low=0.0, high=0.6 if own <= 0.5 else 0.9, default=own)

    return declare


def set_rate(name):
    """Return the `apply` of `rate`."""

    def apply(settings, value):
        own = settings[name]
        if not isinstance(own, tuple):
            settings[name] = value
        elif any(own):
            settings[name] = tuple(value * share / max(own) for share in own)
        else:
            settings[name] = (value,) * len(own)

    return apply


def scaled(widths, factor, least=1):
    """Return widths times a factor, as whole numbers."""
    if isinstance(widths, tuple):
        return tuple(max(least, round(width * factor)) for width in widths)
    return max(least, round(widths * factor))


def resized(values, count, *, grow=False):
    """Return a tuple cut or extended to `count` values: with its last value, or by the ratio of its last two.

    None becomes more than twice the largest: networks would soon be too large to train.
    What is no tuple is one value for all, and stays.
    """
    if not isinstance(values, tuple) or not values:
        return values
    most, values = 2 * max(values), list(values[:count])
    ratio = values[-1] / values[-2] if grow and len(values) > 1 else 1
    while len(values) < count:
        values.append(min(max(1, round(values[-1] * ratio)), most) if grow else values[-1])
    return tuple(values)
