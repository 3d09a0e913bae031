"""Forecasts: a numeric table of series becomes windows and the values that follow them."""

from typing import Any

from kzoo.data.dataset import Dataset
from kzoo.data.inputs.labelled_series.fitting import fit, padded_arrays, take
from kzoo.data.inputs.rows.fitting import describe
from kzoo.data.inputs.series.load import load
from kzoo.data.inputs.series.new_rows import fresh, labelled
from kzoo.data.inputs.series.order import order_of
from kzoo.data.inputs.series.simple_forecasts import (
    season_history,
    seasonal_scales,
    simple_forecasts,
)

__all__ = [
    "describe",
    "fit",
    "fresh",
    "labelled",
    "load",
    "order_of",
    "overview",
    "padded_arrays",
    "season_history",
    "seasonal_scales",
    "simple_forecasts",
    "take",
]


def overview(data: Dataset) -> dict[str, Any]:
    """Return how the columns of series were read, and the steps of a window; for arrays their sizes."""
    steps = data.input_shape[0]
    horizon = data.config.get("horizon")
    about = {"steps in": steps} | ({"ahead": horizon} if horizon else {})
    if panel := data.seen.get("series"):
        about = {"series": panel["count"], "step": panel["step"]} | about
        return {
            "noun": "windows",
            "rows": len(data.train.x.values),
            "columns": data.seen["read"],
            "about": about,
        }
    if "read" not in data.seen:
        return {"noun": "series", "about": about | {"columns": data.input_shape[-1]}}
    time = data.seen["time"]
    rows = len(data.train.x.values)
    if time:  # then the rows of the source, without those that are filled in
        rows = time["rows"]
        about = {"step": time["step"], "from": time["first"], "to": time["last"]} | about
    return {"noun": "windows", "rows": rows, "columns": data.seen["read"], "about": about}
