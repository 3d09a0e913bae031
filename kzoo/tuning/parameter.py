"""One hyperparameter as plain data: a list of values or a range, its default, and when it counts."""

from dataclasses import dataclass, replace

from kzoo.errors import KzooError
from kzoo.registry import hint


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A hyperparameter.

    Args:
        name: what KerasTuner calls it.
        meaning: one plain line.
        default: the preset's own value.
        values: the legal values, all of one type; empty for a range.
        low, high: the ends of a range, both included.
        log: draw evenly over the powers of ten.
        whole: whole numbers only.
        when: (name, values): it counts only while that parameter has one of these values; None for always.
        called: what a user calls it, and others with it: `learning_rate` is one per optimizer.
    """

    name: str
    meaning: str
    default: float | int | str
    values: tuple = ()
    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False
    when: tuple | None = None
    called: str = ""

    def answers_to(self, name) -> bool:
        """Say whether a user means this parameter."""
        return name in (self.name, self.called)

    def is_active(self, chosen) -> bool:
        """Say whether it counts beside the chosen values of the others."""
        return self.when is None or chosen.get(self.when[0]) in self.when[1]

    def declare(self, hp):
        """Register it on a `keras_tuner.HyperParameters`."""
        if self.values:
            hp.Choice(self.name, list(self.values), default=self.default)
        elif self.whole:
            hp.Int(self.name, self.low, self.high, default=self.default)
        else:
            hp.Float(
                self.name, self.low, self.high, sampling="log" if self.log else "linear", default=self.default
            )  # no step: KerasTuner's steps leave out the upper end

    def size(self) -> int | None:
        """Return the number of its values; None for a continuum."""
        if self.values:
            return len(self.values)
        if self.low == self.high:
            return 1
        return self.high - self.low + 1 if self.whole else None

    def check(self, value):
        """Return a value of it as this parameter writes it.

        Raises:
            KzooError: a value that it does not have.
        """
        value = written(value)
        if self.values:
            match = [v for v in self.values if v == value and isinstance(v, str) == isinstance(value, str)]
            if match:
                return match[0]
        elif _is_number(value) and self.low <= value <= self.high and (not self.whole or value == int(value)):
            return int(value) if self.whole else float(value)
        raise KzooError(
            f"{self.name}={shown(value)} is outside of the space: {self.legal()}. "
            f"{hint(value, [v for v in self.values if isinstance(v, str)])}"
            + (
                f"Each optimizer has its own: .fix(optimizer=...) first, or narrow {self.name} by its name."
                if self.called and self.when
                else "A part of the space is what .narrow() leaves; .fix() takes any value that the preset can have."
            )
        )

    def narrowed(self, wanted):
        """Return it with fewer values; its default moves to the nearest one that is left.

        Args:
            wanted: a pair of numbers is a range, both ends included; a list, or words, are values.

        Raises:
            KzooError: an empty or reversed range, or values that it does not have.
        """
        pair = isinstance(wanted, tuple) and len(wanted) == 2 and all(map(_is_number, wanted))
        if not isinstance(wanted, tuple | list) or (not pair and not wanted):
            raise KzooError(
                f"narrow({self.name}={wanted!r}) needs a pair of numbers for a range, or a list of values. "
                f"It has {self.legal()}."
            )
        if pair and wanted[0] > wanted[1]:
            raise KzooError(f"narrow({self.name}={wanted!r}) is reversed: write the smaller number first.")
        if not pair:
            values = tuple(dict.fromkeys(self.check(v) for v in wanted))
            return self._within(replace(self, values=values, low=None, high=None, log=False, whole=False))
        if self.values:
            if isinstance(self.values[0], str):
                raise KzooError(f"{self.name} has no range: narrow({self.name}=[...]) takes some of {self.legal()}.")
            values = tuple(v for v in self.values if wanted[0] <= v <= wanted[1])
            if not values:
                raise KzooError(f"narrow({self.name}={wanted!r}) leaves none of its values: {self.legal()}.")
            return self._within(replace(self, values=values))
        low, high = (self.check(end) for end in wanted)
        return self._within(replace(self, low=low, high=high))

    def _within(self, narrow):
        """Give a narrowed copy the value that is nearest to the default."""
        if not narrow.values:
            nearest = min(max(self.default, narrow.low), narrow.high)
        elif self.default in narrow.values or isinstance(self.default, str):
            nearest = self.default if self.default in narrow.values else narrow.values[0]
        else:
            nearest = min(narrow.values, key=lambda v: abs(v - self.default))
        return replace(narrow, default=nearest)

    def legal(self) -> str:
        """Say which values it has."""
        if self.values:
            return ", ".join(shown(v) for v in self.values)
        return f"{shown(self.low)} to {shown(self.high)}" + (", log" if self.log else "")

    def to_json(self) -> dict:
        """Return its values and default as plain data."""
        extent = dict(values=list(self.values)) if self.values else dict(low=self.low, high=self.high, log=self.log)
        when = None if self.when is None else {self.when[0]: list(self.when[1])}
        return dict(name=self.name, default=self.default, when=when) | extent


def written(value):
    """Return a value as a parameter writes it: None and flags are words, because KerasTuner has neither in a choice."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return value


def read(value):
    """Return what a setting is given for the value of a parameter."""
    return {"none": None, "true": True, "false": False}.get(value, value)


def shown(value) -> str:
    """Write a value for people."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
