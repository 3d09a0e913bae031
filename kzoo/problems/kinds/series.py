"""A series of numbers in order of time, cut into windows."""

from importlib import import_module

from kzoo.problems.kinds import Kind, Source
from kzoo.problems.layout import Preprocessor
from kzoo.utils.schema import Each, Some, Words

# how a column of texts writes its numbers
_SIGNS = {"decimal?": str, "thousands?": str, "marks?": [str]}
# how their column is written
_TIMES = Words(("numbers", "day first", "month first", "YYYYMMDD", "YYYYMM"))
_COVARIATE = {
    "name": str,
    "role": Words(("known", "static")),
    "categories?": [str],
    "writing?": (_SIGNS, None),
}
_WINDOW = {
    "columns": [str],
    "steps": int,
    "time?": (str, None),
    "writings?": (Each((_SIGNS, None)), None),
    "times?": (_TIMES, None),
    "outputs?": (int, None),
    "zones?": Each(str),
    "ranges?": Each(Some(float, count=2)),
    # Of a panel (see `kzoo.inference.kinds.series.panel`):
    "series_id?": [str],
    "covariates?": [_COVARIATE],
    "horizon?": int,
    "ids?": [str],
}
_EXAMPLES = {
    "columns": [str],
    "series_id": [str],
    "steps": int,
    "padded": bool,
    "time": (str, None),
    "segment?": Some(int, count=2),
    "writings?": (Each((_SIGNS, None)), None),
    "times?": (_TIMES, None),
}


def _makes(reader: Preprocessor) -> dict[str, list[int]]:
    width = import_module("kzoo.inference.kinds.series.panel").input_width(reader)
    return {"input_shape": [reader["steps"], width + bool(reader.get("padded"))]}


KIND = Kind(
    name="series",
    room=__name__,
    dtype="float32",
    axes=("time", "features"),
    meaning="raw values, float32 (steps, columns), target columns first; the scaling is inside",
    facts=frozenset({"columns", "steps"}),
    makes=_makes,
    readers={"series": _WINDOW, "series_examples": _EXAMPLES},
    sources=(
        Source(
            name="a table",
            form="tabular",
            order="ordered",
            usual="forecasting",
            key="series",
            rest="a series",
        ),
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
