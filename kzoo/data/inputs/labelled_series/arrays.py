"""Labelled series as arrays: of one length, or padded with a mask as the last feature."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kzoo.data.inputs.arrays import as_type, checked
from kzoo.data.inputs.rows.scaling import scaling
from kzoo.data.store.windows import Mapped, sample_rows, select_rows
from kzoo.inference.kinds.labelled_series.inference import arrays_of, encoded
from kzoo.problems.layout import RawInputs
from kzoo.utils.files import JsonObject
from kzoo.zoo.registry.preset import Preset

_MAX_SCALED_STEPS = 2_000_000  # steps of arrays from which the scale is learned


def whole_series(padded: bool) -> JsonObject:
    """Return the settings of a network that reads whole series and does not forecast."""
    return {"horizon": None, "reversible_norm": False} | ({"padded": True} if padded else {})


def take(x: np.ndarray, preset: Preset | None) -> np.ndarray | Mapped:
    """Return an array as float32 (N, T, F)."""
    if x.ndim == 2 and preset is not None and preset.config["input_shape"][-1] == 1:
        x = x[..., None]
    return as_type(checked(x, "series"), np.float32)


def fit(
    x: np.ndarray,
    train: np.ndarray,
    *,
    plain: bool = False,
    notes: list[str] | None = None,
    padded: bool = False,
    **more: Any,
) -> tuple[Any, dict[str, Any], dict[str, Any] | None]:
    """Return the series unchanged, the settings learned on the training series, and a preprocessor if they are padded.

    Args:
        x: (N, T, F).
        train: indices of the training series.
        plain: whether the caller has scaled them already.
        padded: whether the last feature is a mask, 1 for real steps.
        notes: list that a note is appended to if the scale is learned on a sample.
    """
    reader = padded_preprocessor(x) if padded else None
    if plain:
        return x, whole_series(padded), reader
    series = select_rows(x, train)
    most = max(1, _MAX_SCALED_STEPS // x.shape[1])
    if len(series) > most and notes is not None:
        notes.append(
            f"The scale of the inputs is learned on {most:,} of {len(series):,} training series."
        )
    series = sample_rows(series, most)
    if padded:
        series = series[series[..., -1] > 0][:, :-1]
    return x, scaling(series) | whole_series(padded), reader


def padded_preprocessor(x: np.ndarray) -> JsonObject:
    """Return the preprocessor of padded arrays (N, T, F + 1), whose columns have no names."""
    names = [f"x{number}" for number in range(x.shape[-1] - 1)]
    return {
        "kind": "series_examples",
        "columns": names,
        "series_id": [],
        "time": None,
        "steps": x.shape[1],
        "padded": True,
    }


def padded_arrays(
    x: RawInputs, others: Mapping[str, RawInputs]
) -> tuple[np.ndarray, dict[str, np.ndarray]] | None:
    """Return unequal series as arrays (N, T, F + 1) with a mask, of the first source and of the others; None otherwise.

    Args:
        x: the inputs of a pair of arrays.
        others: split -> inputs of its second source.
    """
    if not any(is_unequal(part) for part in (x, *others.values())):
        return None
    series = {part: arrays_of(values) for part, values in (("train", x), *others.items())}
    steps = max(len(values) for part in series.values() for values in part)
    arrays = {part: encoded(values, [], steps, True, []) for part, values in series.items()}
    return arrays.pop("train"), arrays


def is_unequal(x: RawInputs) -> bool:
    """Return whether x is a list of series of different lengths, or an array whose series end with steps of NaN."""
    if isinstance(x, np.ndarray) and x.dtype != object:
        return bool(x.ndim == 3 and x.dtype.kind == "f" and np.isnan(x[:, -1]).all(axis=-1).any())
    if not isinstance(x, list | tuple | np.ndarray) or not len(x):
        return False
    if not all(isinstance(values, np.ndarray | list | tuple) for values in x):
        return False
    if len({len(values) for values in x}) < 2 and not _differ_in_columns(x):
        return False
    firsts = [values[0] for values in x if len(values)]
    return not any(isinstance(first, str | bytes) for first in firsts)  # texts, or lists of words


def _differ_in_columns(x: RawInputs) -> bool:
    """Return whether series of the same length have different numbers of columns."""
    return len({np.shape(values[0]) for values in x if len(values)}) > 1
