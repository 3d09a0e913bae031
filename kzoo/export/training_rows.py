"""Numbers of training rows of classes and categories, from the statistics of a run."""

from collections.abc import Mapping, Sequence
from typing import Any

from kzoo.utils.files import JsonObject

FEWEST = 5  # training rows of a name that is not rare
COUNTED = 100_000  # training rows among which they are counted, see `kzoo.data.statistics`


def counted_rows(data: Mapping[str, Any] | None) -> int:
    """Return among how many training rows classes and categories were counted."""
    return min((data or {}).get("train") or 0, COUNTED)


def category_rows(
    statistics: Mapping[str, Any], data: Mapping[str, Any] | None
) -> dict[str, list[int]]:
    """Return name of a category column -> rows of each code, from 0 for unknown and missing cells."""
    rows = counted_rows(data)
    return {
        column["name"]: [round(share * rows) for share in column["shares"]]
        for column in statistics.get("categories", ())
    }


def covariate_rows(
    name: str,
    categories: Sequence[str],
    statistics: Mapping[str, Any],
    data: Mapping[str, Any] | None,
) -> list[int]:
    """Return the training windows of each category of a covariate that is known ahead; 0 if that is not known."""
    means = {feature["name"]: feature["mean"] for feature in statistics.get("features", ())}
    rows = counted_rows(data)
    return [round(means.get(f"{name}={value}", 0) * rows) for value in categories]


def manifest_counts(
    statistics: Mapping[str, Any],
    data: Mapping[str, Any] | None,
    reader: Mapping[str, Any] | None,
    labels: int,
) -> JsonObject:
    """Return the numbers of rows that a manifest states (see `Manifest.counts`).

    Args:
        statistics: of the run's training split.
        data: the description of its data.
        reader: its preprocessor.
        labels: the number of classes.
    """
    counts: JsonObject = {}
    shares = statistics.get("classes") or statistics.get("labels") or ()
    if labels and len(shares) == labels:
        counts["labels"] = [round(share * counted_rows(data)) for share in shares]
    rows = category_rows(statistics, data)
    categories = {}
    for column in (reader or {}).get("columns", ()):
        if isinstance(column, Mapping) and (known := _rows_of(column, rows)) is not None:
            categories[column["name"]] = known
    for covariate in (reader or {}).get("covariates", ()):
        if covariate.get("categories") and covariate["role"] == "known":
            categories[covariate["name"]] = covariate_rows(
                covariate["name"], covariate["categories"], statistics, data
            )
    words = statistics.get("word_rows") or ()
    if words and len(words) == len((reader or {}).get("vocabulary") or ()):
        counts["words"] = list(words)
    return counts | ({"categories": categories} if categories else {})


def _rows_of(column: Mapping[str, Any], rows: Mapping[str, list[int]]) -> list[int] | None:
    """Return the rows of each category of a column; None if they are not known."""
    counted = rows.get(column["name"], [])[1:]
    return counted if column.get("values") and len(counted) == len(column["values"]) else None
