"""Tables of the coverage of sets and intervals. Standard library only."""

from collections.abc import Mapping, Sequence
from typing import Any

from kzoo.problems.stored_types import APPROXIMATE, Scores
from kzoo.utils.formatting import number, percent

_METHODS = {"lac": "LAC", "raps": "RAPS", "class": "per class", "adaptive": "adaptive"}
_HEAD = ("level", "method", "coverage", "expected", "mean size", "lowest class")
_BELOW = 0.05  # below the level, from which on the coverage of a class has a note
DRIFT = (
    "The promise is about rows like those that it was learned on. It does not hold for other rows: drift of the data "
    "breaks it. Measure the coverage on new rows with a known truth (kzoo evaluate --confidence)."
)


def coverage_table(coverage: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return the cells of a table, its head first, of what `kzoo.evaluate(confidence=)` returned.

    Args:
        coverage: a dict for each level and method.
    """
    rows = [
        (
            percent(entry["confidence"]),
            _METHODS.get(entry.get("method", ""), "intervals"),
            percent(entry["coverage"]),
            "-" if entry["expected"] is None else " to ".join(map(percent, entry["expected"])),
            f"{entry['size']:.2f} classes"
            if "size" in entry
            else "; ".join(map(number, entry["width"])),
            ""
            if (lowest := _lowest_class(entry)) is None
            else f"{percent(lowest[1])} ({lowest[0]})",
        )
        for entry in coverage
    ]
    has_classes = any(entry.get("classes") for entry in coverage)
    return [row if has_classes else row[:-1] for row in (_HEAD, *rows)]


def _lowest_class(entry: Scores) -> tuple[str, float] | None:
    """Return the class whose rows are covered least often, and how often; None of numbers, and of earlier versions."""
    return min(entry.get("classes", {}).items(), key=lambda item: item[1], default=None)


def coverage_note(coverage: Sequence[Mapping[str, Any]]) -> str:
    """Return a sentence on the rows that a promise was learned on."""
    rows = coverage[0]["rows"]
    note = f"Learned on {rows} rows; expected: the range that holds the coverage with 90 % probability."
    if coverage[0]["expected"] is None:
        note = f"Learned on {rows} rows. Errors of forecasts depend on each other, so that there is no expected range."
    if rows in APPROXIMATE:
        note += f" The promise is approximate: {APPROXIMATE[rows]}."
    lowest = [(_lowest_class(entry), entry) for entry in coverage if entry.get("method") != "class"]
    if any(
        found is not None and found[1] < entry["confidence"] - _BELOW for found, entry in lowest
    ):
        note += " The level holds for all classes together; conformal='class' promises it for each class."
    return note
