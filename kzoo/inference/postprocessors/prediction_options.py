"""`PredictionOptions`: what a user asks of predictions beyond the most probable class or the expected value."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject

METHODS = ("lac", "raps", "class")  # of sets of classes
# of forecasts: over what they are added up -> the axes (series, steps)
TOTALS = {"series": (0,), "steps": (1,), "all": (0, 1)}
MOST_SAMPLES = 10_000
_TEXTS = ("conformal", "total")


@dataclass(frozen=True, kw_only=True)
class PredictionOptions:
    """How sure predictions have to be. They are documented in `kzoo.predict`.

    Args:
        confidence: level of the sets or intervals, above 0 and below 1; None without them.
        conformal: one of `METHODS`, for classes; None for the default, "lac".
        min_probability: probability below which a row is not answered.
        accuracy_when_answered: share of the answered rows that has to be right.
        samples: number of paths of forecasts; None without them.
        total: one of `TOTALS`; None for no totals.
        seed: of the paths; None for 0.

    Raises:
        KzooError: a value out of range, or options that exclude each other.
    """

    confidence: float | None = None
    conformal: str | None = None
    min_probability: float | None = None
    accuracy_when_answered: float | None = None
    samples: int | None = None
    total: str | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("confidence", "accuracy_when_answered"):
            if not _is_number(value := getattr(self, name)) or not (value is None or 0 < value < 1):
                raise KzooError(
                    "must be above 0 and below 1, such as 0.9.", argument=name, value=value
                )
        if not _is_number(value := self.min_probability) or not (value is None or 0 < value <= 1):
            raise KzooError(
                "must be above 0 and at most 1, such as 0.8.",
                argument="min_probability",
                value=value,
            )
        if self.conformal is not None and self.conformal not in METHODS:
            raise KzooError(
                f"must be one of: {', '.join(METHODS)}.", argument="conformal", value=self.conformal
            )
        if self.conformal is not None and self.confidence is None:
            raise KzooError(
                "has no effect without confidence=. Set confidence=0.9.",
                argument="conformal",
                value=self.conformal,
            )
        if self.min_probability is not None and self.accuracy_when_answered is not None:
            raise KzooError(
                f"and accuracy_when_answered={self.accuracy_when_answered:g} "
                "exclude each other: the second chooses the probability. Remove one of them.",
                argument="min_probability",
                value=self.min_probability,
            )

        if self.total is not None and self.total not in TOTALS:
            raise KzooError(
                f"must be one of: {', '.join(TOTALS)}.", argument="total", value=self.total
            )
        for name, low, high in (("samples", 1, MOST_SAMPLES), ("seed", 0, 2**32 - 1)):
            value = getattr(self, name)
            if value is not None and not (
                isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
            ):
                raise KzooError(
                    f"must be a whole number from {low} to {high:,}.", argument=name, value=value
                )
        if self.seed is not None and not self.of_paths:
            raise KzooError(
                "is for paths of forecasts. Add samples= or total=, or remove it.",
                argument="seed",
                value=self.seed,
            )

    @classmethod
    def read(cls, texts: Mapping[str, object]) -> "PredictionOptions":
        """Return the options of a request, whose values may be texts.

        Args:
            texts: parameters by name; others than these options are ignored.

        Raises:
            KzooError: a value that is not a number, or out of range.
        """
        values: JsonObject = {
            field.name: texts[field.name]
            for field in fields(cls)
            if texts.get(field.name) is not None
        }
        for name, value in values.items():
            if isinstance(value, str) and name not in _TEXTS:
                try:
                    values[name] = (int if name in ("samples", "seed") else float)(value)
                except ValueError:
                    raise KzooError(
                        "must be a number, such as 0.9.", argument=name, value=value
                    ) from None
        return cls(**values)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the options."""
        return tuple(field.name for field in fields(cls))

    @property
    def of_paths(self) -> bool:
        """Whether they need paths of forecasts."""
        return self.samples is not None or self.total is not None

    @property
    def needs_scores(self) -> bool:
        """Whether they need what a training has learned, and not only the probabilities."""
        return (
            self.confidence is not None or self.accuracy_when_answered is not None or self.of_paths
        )

    @property
    def given(self) -> JsonObject:
        """Name -> value of the options that are set."""
        return {
            name: value
            for field in fields(self)
            if (value := getattr(self, name := field.name)) is not None
        }


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
