"""Labelled series: each of them, or of its segments, is an example. They have the name of the kind of forecasts."""

from kzoo.problems.kinds import Kind, Source
from kzoo.problems.preprocessors import LabelledSeriesPreprocessor


def _makes(reader: LabelledSeriesPreprocessor) -> dict[str, list[int]]:
    return {"input_shape": [reader["steps"], len(reader["columns"]) + reader["padded"]]}


LABELLED_SERIES = Kind(
    name="series",
    room=__name__,
    dtype="float32",
    axes=("time", "features"),
    meaning="raw values, float32 (steps, columns), target columns first; the scaling is inside",
    facts=frozenset({"columns", "steps"}),
    makes=_makes,
    readers={"series_examples": LabelledSeriesPreprocessor},
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
