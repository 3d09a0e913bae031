"""Labelled series: each of them, or of its segments, is an example. They have the name of the kind of forecasts."""

from collections.abc import Mapping
from typing import Any

from kzoo.problems.kinds import Kind, Source
from kzoo.utils.schema import Each, Some, Words

# how a column of texts writes its numbers
SIGNS = {"decimal?": str, "thousands?": str, "marks?": [str]}
# how their column is written
TIMES = Words(("numbers", "day first", "month first", "YYYYMMDD", "YYYYMM"))
_PREPROCESSOR = {
    "columns": [str],
    "series_id": [str],
    "steps": int,
    "padded": bool,
    "time": (str, None),
    "segment?": Some(int, count=2),
    "writings?": (Each((SIGNS, None)), None),
    "times?": (TIMES, None),
}


def _makes(reader: Mapping[str, Any]) -> dict[str, list[int]]:
    return {"input_shape": [reader["steps"], len(reader["columns"]) + reader["padded"]]}


LABELLED_SERIES = Kind(
    name="series",
    room=__name__,
    dtype="float32",
    axes=("time", "features"),
    meaning="raw values, float32 (steps, columns), target columns first; the scaling is inside",
    facts=frozenset({"columns", "steps"}),
    makes=_makes,
    readers={"series_examples": _PREPROCESSOR},
    sources=(
        Source(
            name="a table of labelled series",
            form="tabular",
            order="unordered",
            key="labelled_series",
            rest="labelled series",
        ),
        Source(
            name="a folder of .csv files",
            form="folder",
            suffixes=(".csv",),
            order="unordered",
            usual="classification",
            key="series_folder",
        ),
    ),
    example="SERIES.csv",
)
