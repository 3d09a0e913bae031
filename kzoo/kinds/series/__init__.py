"""A series of numbers in order of time, cut into windows."""

from kzoo.kinds import Kind, Source

KIND = Kind(
    name="series",
    room=__name__,
    dtype="float32",
    axes=("time", "features"),
    meaning="raw values, float32 (steps, columns), target columns first; the scaling is inside",
    facts=frozenset({"columns", "steps"}),
    readers={"series": frozenset({"columns", "steps"})},
    sources=(
        Source(
            name="a table",
            form="tabular",
            order="ordered",
            usual="forecasting",
            options=("target", "drop", "task", "time", "columns"),
            rest="a series",
        ),
    ),
    example="SERIES.csv",
)
