"""Series of numbers in order of time, cut into windows: forecasts. Labelled series are a variant of this kind."""

from dataclasses import replace
from importlib import import_module

from kzoo.problems.kinds import Source
from kzoo.problems.kinds.labelled_series import LABELLED_SERIES
from kzoo.problems.preprocessors import SeriesPreprocessor


def _makes(reader: SeriesPreprocessor) -> dict[str, list[int]]:
    width = import_module("kzoo.inference.kinds.series.covariates").input_width(reader)
    return {"input_shape": [reader["steps"], width]}


# What the network reads is alike; its preprocessor and its sources are not.
KIND = replace(
    LABELLED_SERIES,
    room=__name__,
    makes=_makes,
    readers={"series": SeriesPreprocessor},
    sources=(
        Source(
            name="a table",
            form="tabular",
            order="ordered",
            usual="forecasting",
            key="series",
            rest="a series",
        ),
        *LABELLED_SERIES.sources,
    ),
    variants=(LABELLED_SERIES,),
)
