"""A series of numbers in order of time, cut into windows."""

from kzoo.kinds import Kind, Source
from kzoo.utils.schema import Each, Words

_SIGNS = {"decimal?": str, "thousands?": str, "marks?": [str]}  # how a column of texts writes its numbers
_TIMES = Words(("numbers", "day first", "month first", "YYYYMMDD", "YYYYMM"))  # how their column is written
_WINDOW = {
    "columns": [str], "steps": int, "time?": (str, None), "writings?": (Each((_SIGNS, None)), None),
    "times?": (_TIMES, None), "outputs?": (int, None), "zones?": Each(str),
}  # fmt: skip

KIND = Kind(
    name="series",
    room=__name__,
    dtype="float32",
    axes=("time", "features"),
    meaning="raw values, float32 (steps, columns), target columns first; the scaling is inside",
    facts=frozenset({"columns", "steps"}),
    makes=lambda reader: {"input_shape": [reader["steps"], len(reader["columns"])]},
    readers={"series": _WINDOW},
    sources=(
        Source(
            name="a table",
            form="tabular",
            order="ordered",
            usual="forecasting",
            options=("target", "drop", "task", "time", "columns", "split"),
            rest="a series",
        ),
    ),
    example="SERIES.csv",
)
