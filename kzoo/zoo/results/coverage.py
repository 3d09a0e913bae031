"""Tables of the coverage of sets and intervals. Standard library only."""

from collections.abc import Mapping, Sequence
from typing import Any

from kzoo.problems.stored_types import APPROXIMATE, Scores
from kzoo.utils.formatting import number, percent, plural, short_percent

_METHODS = {"lac": "LAC", "raps": "RAPS", "class": "per class", "adaptive": "adaptive"}
_HEAD = ("level", "method", "coverage", "expected", "mean size", "lowest class")
_BELOW = 0.05  # below the level, from which on the coverage of a class has a note
_BANDS = {"adaptive": "adaptive band", "quantiles": "band between the outer quantiles"}
_FIFTHS = ("smallest", "second smallest", "middle", "second largest", "largest")
_HELP = (
    "Errors have grown since the rows that it was learned on: train again with later rows, set some apart "
    "(calibration=), or ask for a higher confidence."
)
_HELP_QUANTILES = (
    "Predict with confidence=: that band is learned on rows that the network was not trained on, and mends the "
    "quantiles."
)
_HELP_WIDE = (
    "It is wider than it need be: train again with later rows, or ask for a lower confidence."
)
_HELP_SIZE = (
    "One model does not suit all of these sizes: train one for series of this size, or another preset; runs of earlier "
    "versions have one width for all series, so train them again."
)
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
            short_percent(entry["confidence"]),
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


def coverage_findings(coverage: Sequence[Mapping[str, Any]] | None) -> list[tuple[str, str]]:
    """Return (problem, fix) of a coverage of forecasts outside its expected range, and of a fifth of the series.

    Args:
        coverage: a dict for each level and method, see `kzoo.inference.postprocessors.conformal.judged`; None or empty
            without any. Those of classes and rows, and of earlier versions, are not judged.
    """
    judged = [entry for entry in coverage or () if "probability" in entry]
    lines = []
    for is_outside in (True, False):
        # the lowest level that is too low, or else too high: the others say the same
        found = [entry for entry in judged if _misses(entry, below=is_outside)]
        if found:
            of_quantiles = found[0].get("method") == "quantiles"
            wider = _HELP if is_outside else _HELP_WIDE
            lines.append((_sentence(found[0]), _HELP_QUANTILES if of_quantiles else wider))
            break
    by_size = [
        (entry, part, number)
        for entry in judged
        for number, part in enumerate(entry.get("sizes", ()))
        if _misses(part, below=True)
    ]
    if by_size:
        entry, part, number = min(
            by_size, key=lambda found: found[1]["coverage"] - found[0]["confidence"]
        )
        lines.append((_sentence(entry, part, _FIFTHS[number]), _HELP_SIZE))
    return lines


def coverage_warnings(coverage: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """Return `coverage_findings` as sentences."""
    return [f"{what}. {fix}" for what, fix in coverage_findings(coverage)]


def _misses(entry: Mapping[str, Any], *, below: bool) -> bool:
    """Return whether a coverage is below, or else above, its expected range."""
    if entry["expected"] is None:
        return False
    low, high = entry["expected"]
    return entry["coverage"] < low if below else entry["coverage"] > high


def _sentence(
    entry: Mapping[str, Any], part: Mapping[str, Any] | None = None, fifth: str = ""
) -> str:
    """Return what is covered, of all series or of a fifth of them, and what is to be expected."""
    own = entry if part is None else part
    of = (
        ""
        if part is None
        else f" of the {fifth} fifth of the series ({part['series']}, by the size of their own errors)"
    )
    kind = _BANDS.get(entry.get("method", ""), "band")
    return (
        f"The {short_percent(entry['confidence'])} {kind} covers {percent(own['coverage'])}{of}, and "
        f"{' to '.join(map(percent, own['expected']))} are to be expected"
    )


def _lowest_class(entry: Scores) -> tuple[str, float] | None:
    """Return the class whose rows are covered least often, and how often; None of numbers, and of earlier versions."""
    return min(entry.get("classes", {}).items(), key=lambda item: item[1], default=None)


_OVER = {
    "series": "over series, each step",
    "steps": "over steps, each series",
    "all": "over both",
}


def totals_table(totals: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return the cells of a table, its head first, of the coverage of the bands of totals.

    Args:
        totals: a dict for each total and level: see `kzoo.inference.postprocessors.sample_paths.coverage`.
    """
    rows = [
        (
            _OVER[entry["total"]],
            short_percent(entry["confidence"]),
            f"{entry['covered']:,} of {entry['of']:,}",
            percent(entry["covered"] / max(entry["of"], 1)),
            "-" if entry["bias"] is None else percent(entry["bias"]),
        )
        for entry in totals
    ]
    return [("total", "level", "covered", "coverage", "median error"), *rows]


def totals_note(totals: Sequence[Mapping[str, Any]]) -> str:
    """Return a sentence on what the totals are."""
    return (
        f"Sums of forecasts from {plural(totals[0]['origins'], 'origin')} that do not overlap, with bands from whole "
        "error vectors of earlier forecasts (kzoo predict --total); the errors of one origin depend on each other."
    )


def coverage_note(coverage: Sequence[Mapping[str, Any]]) -> str:
    """Return a sentence on the rows that a promise was learned on."""
    rows = coverage[0]["rows"]
    probability = percent(coverage[0].get("probability", 0.9))
    note = f"Learned on {rows} rows; expected: the range that holds the coverage with {probability} probability."
    if "probability" in coverage[0]:
        note += " Errors of forecasts depend on each other: it is clustered by series and by time."
    if coverage[0]["expected"] is None:
        note = f"Learned on {rows} rows. Errors of forecasts depend on each other, so that there is no expected range."
        if "probability" in coverage[0]:
            note = (
                f"Learned on {rows} rows. All forecasts begin within one horizon, which may be a good or a bad time "
                "for them: there is no expected range. More test rows give one."
            )
    if rows in APPROXIMATE:
        note += f" The promise is approximate: {APPROXIMATE[rows]}."
    lowest = [(_lowest_class(entry), entry) for entry in coverage if entry.get("method") != "class"]
    if any(
        found is not None and found[1] < entry["confidence"] - _BELOW for found, entry in lowest
    ):
        note += " The level holds for all classes together; conformal='class' promises it for each class."
    return note
