"""Tables of the coverage of sets and intervals. Standard library only."""

from collections.abc import Mapping, Sequence
from typing import Any

from kzoo.utils.formatting import number, percent

_METHODS = {"lac": "LAC", "raps": "RAPS", "class": "per class", "adaptive": "adaptive"}
HEAD = ("level", "method", "coverage", "expected", "mean size")
DRIFT = (
    "The promise is about rows like those that it was learned on. It does not hold for other rows: drift of the data "
    "breaks it. Measure the coverage on new rows with a known truth (kzoo evaluate --confidence)."
)


def coverage_rows(coverage: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return the cells of a table, without its head `HEAD`, of what `kzoo.evaluate(confidence=)` returned.

    Args:
        coverage: a dict for each level and method.
    """
    return [
        (
            percent(entry["confidence"]),
            _METHODS.get(entry.get("method", ""), "intervals"),
            percent(entry["coverage"]),
            "-" if entry["expected"] is None else " to ".join(map(percent, entry["expected"])),
            f"{entry['size']:.2f} classes" if "size" in entry else "; ".join(map(number, entry["width"])),
        )
        for entry in coverage
    ]


def coverage_note(coverage: Sequence[Mapping[str, Any]]) -> str:
    """Return a sentence on the rows that a promise was learned on."""
    rows = coverage[0]["rows"]
    note = f"Learned on {rows} rows; expected: the range that holds the coverage with 90 % probability."
    if coverage[0]["expected"] is None:
        note = f"Learned on {rows} rows. Errors of forecasts depend on each other, so that there is no expected range."
    if rows == "validation":
        note += " These rows also stopped the training, so that the promise is approximate."
    return note
