"""Scaling of number columns: standardization, robust for columns with heavy tails."""

from collections.abc import Sequence

import numpy as np

from kzoo.data.targets.weights import weighted_statistics
from kzoo.inference.kinds.rows.inference import feature_names
from kzoo.inference.tasks.values import ColumnStatistics, spread
from kzoo.problems.layout import code_columns
from kzoo.problems.preprocessors import LearnedColumn
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed

_MIN_INDICATOR_STD = 0.2  # least standard deviation of a 0/1 column
_CLIP = 3.0  # standard deviations


def config_of(
    x: np.ndarray,
    columns: Sequence[LearnedColumn],
    notes: list[str],
    extent: ColumnStatistics | None = None,
    weight: np.ndarray | None = None,
) -> JsonObject:
    """Return the settings of the network that the encoded training rows fix: input shape, category counts and scaling.

    Args:
        x, columns: encoded training rows (N, F) and the learned columns.
        notes, extent: see `robust_scaling`.
        weight: (N,) weights of the rows, or None.
    """
    categories = tuple(len(c["values"]) + 1 for c in columns if c["kind"] == "category")
    texts = [column for column in columns if column["kind"] == "text"]
    config = {"input_shape": (x.shape[1],), "categories": categories}
    if texts:
        config["text_buckets"] = tuple(column["buckets"] for column in texts)
        config["text_lengths"] = tuple(column["length"] for column in texts)
    numbers = x[:, : x.shape[1] - code_columns(config)]
    if weight is not None:
        extent = weighted_statistics(numbers, weight)
    return config | robust_scaling(numbers, feature_names(columns), notes, extent)


def scaling(values: np.ndarray) -> dict[str, list[float]]:
    """Return `scale` and `offset` that standardize each column of values (..., F)."""
    if not values.shape[-1]:  # a table of categories alone
        return {}
    mean, std = spread(values.reshape(-1, values.shape[-1]))
    return {
        "scale": [1 / s for s in std],
        "offset": [-m / s for m, s in zip(mean, std, strict=True)],
    }


def robust_scaling(
    values: np.ndarray,
    names: Sequence[str],
    notes: list[str],
    extent: ColumnStatistics | None = None,
) -> JsonObject:
    """Return `scale` and `offset` that standardize each column, and `input_clip` if there are columns with heavy tails.

    A column with heavy tails is standardized by its values between the 1st and the 99th percentile, and the network
    clips values far outside smoothly (arXiv:2407.04491). The standard deviation of a column of only 0 and 1, such as a
    missing indicator, counts as at least 0.2: that of a rare indicator is tiny, and dividing by it would make the
    indicator huge.

    Args:
        values: (N, F) of the training rows.
        names: names of the columns.
        notes: list that a note about columns with heavy tails is appended to.
        extent: the statistics of all training rows, if `values` are a sample of them or the rows have weights.
    """
    if not values.shape[-1]:  # a table of categories alone
        return {}
    extent = extent or ColumnStatistics.of(values)
    mean, std = extent.mean.copy(), extent.sd.copy()
    is_indicator = (
        ((values == 0) | (values == 1)).all(axis=0) & (extent.low >= 0) & (extent.high <= 1)
    )
    long_tailed = np.flatnonzero(~is_indicator & extent.tails)
    heavy = [
        column for column in long_tailed if len(np.unique(values[:, column])) > 2
    ]  # of two values, one is merely rare
    std[is_indicator] = np.maximum(std[is_indicator], _MIN_INDICATOR_STD)
    for column in heavy:
        central = values[:, column].astype("float64")
        central = np.clip(central, *np.percentile(central, (1, 99)))
        # If nearly all values are equal, those between the percentiles have hardly any deviation.
        mean[column], std[column] = central.mean(), max(central.std(), 0.2 * std[column])
    if heavy:
        named = listed((repr(names[int(column)]) for column in heavy), 5)
        notes.append(
            f"Heavy tails in {named}: outliers are smoothly clipped to "
            f"{_CLIP:g} standard deviations (input_clip={_CLIP:g}; 0 turns this off)."
        )
    return {"scale": (1 / std).tolist(), "offset": (-mean / std).tolist()} | (
        {"input_clip": _CLIP} if heavy else {}
    )
