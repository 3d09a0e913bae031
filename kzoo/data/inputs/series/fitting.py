"""Forecasts: a numeric table of series becomes windows and the values that follow them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data import splits
from kzoo.data.dataset import Dataset
from kzoo.data.inputs.labelled_series.arrays import fit, padded_arrays, take
from kzoo.data.inputs.rows.columns import number_formats_of, weight_column_notes
from kzoo.data.inputs.rows.fitting import describe
from kzoo.data.inputs.rows.in_memory import cell_findings
from kzoo.data.inputs.series.loss_weights import loss_weights, weighs_series
from kzoo.data.inputs.series.order import order_of
from kzoo.data.inputs.series.panel_rows import Names, PanelRows, named_targets
from kzoo.data.inputs.series.series_rows import SeriesRows
from kzoo.data.inputs.series.simple_forecasts import (
    error_scale,
    season_history,
    seasonal_scales,
    simple_forecasts,
)
from kzoo.data.inputs.series.windows import NewSeries, fresh, labelled, split_windows
from kzoo.data.options import LoadRequest
from kzoo.data.summary import AS_REQUESTED
from kzoo.data.tables.cell_notes import sentinel_notes
from kzoo.data.tables.frame import as_frame, index_notes
from kzoo.data.tables.overview import describe_columns
from kzoo.inference.kinds.rows.column_options import column_options, named_columns
from kzoo.inference.kinds.rows.inference import unread_notes
from kzoo.inference.kinds.series.covariates import channel_names
from kzoo.inference.kinds.series.index import with_index
from kzoo.inference.kinds.series.windows import panel_values, ranges_of
from kzoo.inference.postprocessors.target_range import target_facts
from kzoo.inference.tables.numbers import StoredFormat
from kzoo.inference.tables.raw import MOST, as_names, check_distinct, require, rows_of
from kzoo.inference.tables.values import not_missing, plain
from kzoo.inference.tasks.values import ColumnStatistics
from kzoo.problems.kinds import DEFAULT_STEPS
from kzoo.problems.preprocessors import LearnedColumn
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed, shown

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = [
    "describe",
    "error_scale",
    "fit",
    "fresh",
    "labelled",
    "load",
    "loss_weights",
    "order_of",
    "overview",
    "padded_arrays",
    "season_history",
    "seasonal_scales",
    "simple_forecasts",
    "take",
    "weighs_series",
]


def overview(data: Dataset) -> JsonObject:
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


_DEFAULT_HORIZON = 24  # without a preset


def load(request: LoadRequest) -> Dataset:
    """Load series for forecasting, split in order of time.

    Windows have the length of the preset, or at least two seasons if it has none (see `season.window_length`). Inputs
    of validation and test windows may reach back into the split before; their targets never do. Missing values are
    filled in (see `kzoo.inference.kinds.series.steps`).

    Args:
        request: a DataFrame, or the path of a table file, and how it is read. Targets are all numeric columns by
            default, and come first in `x`; validation and test are fractions of all rows, .1 and .2 by default, or
            series of their own.

    Raises:
        KzooError: wrong columns, or too few rows for a window and its horizon.
    """
    options, name, preset = request.options, request.name, request.preset
    steps: int | None = DEFAULT_STEPS
    horizon = _DEFAULT_HORIZON
    if preset is not None:
        steps = preset.config["input_shape"][0]
        horizon = preset.config.get("horizon") or 1
    task = "forecasting" if request.problem is None else request.problem.name
    # 1. The rows in order of series and time.
    source = with_index(request.source, options.time)
    notes = list(index_notes(source))
    ids = as_names(options.series_id or ())
    # the id 007 is not 7
    frame = as_frame(source, [*named_columns(options.columns), *ids], notes, compact=bool(ids))
    decimal = frame.attrs.get("decimal")
    table = (PanelRows if ids else SeriesRows).of(frame, ids, options, name, notes)
    panel = table.panel
    notes += panel.gap_notes()

    # 2. Learn the columns on the training rows, and read them.
    overrides = column_options(options.columns, table.frame)
    others = [column for column, option in overrides.items() if option["kind"] != "number"]
    if others and not ids:
        raise KzooError(
            f"columns: {others[0]!r} cannot be a {overrides[others[0]]['kind']}: a series contains only numbers. "
            "Exclude it with drop=."
        )
    format_warnings = list[str]()
    candidates = table.frame.drop(columns=[c for c in table.apart if c in table.frame.columns])
    learned = candidates.iloc[: table.learned]
    formats = number_formats_of(learned, candidates.columns, overrides, format_warnings, decimal)
    past, targets = _numeric_columns(learned, options.target, table.drop, formats)
    covariates = table.covariates(overrides, format_warnings, decimal)
    used = [*past, *(covariate.name for covariate in covariates)]
    format_warnings = [note for note in format_warnings if any(repr(c) in note for c in used)]
    stored_formats = {column: formats[column] for column in past if column in formats}
    of_panel: JsonObject = {}
    if ids:
        of_panel = {
            "covariates": [c.json() for c in covariates],
            "horizon": horizon,
            "padded_ahead": True,
        }
    reader: dict[str, Any] = {
        "kind": "series",
        "columns": past,
        "outputs": len(targets),
        **table.stored,
        **of_panel,
        **({"fill": panel.fill} if panel.fill and panel.season else {}),
        **({"writings": stored_formats} if stored_formats else {}),
    }
    rows = rows_of(table.frame)
    content = panel_values(reader, rows, panel)
    values = content.values
    table.check_sizes(values, past)
    notes += [*format_warnings, *unread_notes(past, table.frame, content.unread), *content.notes]
    notes += weight_column_notes(past, weighted=False)
    notes += _binary_notes(targets, values) if options.target is not None else []

    # 3. Split in order of time, and cut into windows.
    cuts = table.cuts(content, options, horizon, name, notes)
    training = values[cuts.training]
    seconds = {
        part: NewSeries.of(reader, second, f"the {part} series")
        for part, second in request.second_sources.items()
    }
    for part, new in seconds.items():
        notes += [f"{part.capitalize()} series: {note}" for note in new.notes]
    lengths = [len(new.content.values) for new in seconds.values()]
    fix = table.sizes_that_fit(steps or DEFAULT_STEPS, horizon, preset, lengths)
    if steps is None and preset is not None:
        of_targets = values[:, : len(targets)]
        steps, note = table.window_length(
            of_targets, cuts.training, horizon, preset, len(past), lengths
        )
        notes.append(note)
    assert steps is not None
    windows = split_windows(panel, content, steps, horizon, cuts.limits)
    notes += windows.notes
    table.check_windows(windows.parts, steps, horizon, name, fix)
    parts = windows.parts
    over_jumps = windows.over_jumps
    for part, new in seconds.items():
        of_part = new.windows(steps, horizon, name, part, fix)
        parts |= of_part.parts
        notes += [f"{part.capitalize()} series: {note}" for note in of_part.notes]
        over_jumps += of_part.over_jumps
    notes += ColumnStatistics.of(training).coarse(past)
    for column, numbers in zip(past, training.T, strict=True):
        notes += sentinel_notes(column, numbers[np.isfinite(numbers)])

    # 4. Scales of the training rows.
    reader |= {"steps": steps, "ranges": ranges_of(past, training)}
    # Without a regular step, as of opening hours, new rows are treated as consecutive, too.
    reader |= {"uneven": True} if over_jumps else {}
    apart = {
        **{c: ("left out", "mostly not numeric") for c in table.source.columns if c not in past},
        **dict.fromkeys(as_names(options.drop), ("left out", AS_REQUESTED)),
        **table.apart,
    }
    number_columns: list[LearnedColumn] = [
        {"name": c, "kind": "number", "writing": formats.get(c)} for c in past
    ]
    seen = cell_findings(format_warnings, content.unread, table.frame) | table.facts(content)
    known = cuts.before_test(panel.numbers)
    seen["target_range"] = target_facts(values[known, : len(targets)], content.filled[known])
    seen["read"] = describe_columns(
        table.source, number_columns, content.unread, targets=targets, apart=apart
    )
    channels = channel_names(covariates, panel.calendar if ids else None)
    of_splits, of_rows = table.identity(content, cuts, {part: parts[part] for part in seconds})
    return Dataset(
        name=name,
        task=task,
        inputs="series",
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        calibration=parts.get("calibration"),
        config={
            "input_shape": (steps, len(past) + 2 * len(channels)),
            "outputs": len(targets),
            "horizon": horizon,
            **table.settings(content, cuts.training, parts["train"], preset, task, notes),
        },
        preprocessing=reader,
        feature_names=(
            *past,
            *channels,
            *(f"{channel}, {horizon} steps later" for channel in channels),
        ),
        target_names=tuple(targets),
        notes=[*notes, table.note],
        seen=seen,
        fingerprint=splits.fingerprint(
            values, past, of_splits, steps, horizon, len(targets), *of_rows
        ),
    )


def _binary_notes(targets: Sequence[str], values: np.ndarray) -> list[str]:
    """Return a note for each target that is always 0 or 1."""
    return [
        f"Target {name!r} contains only 0 and 1: its forecasts are numbers, not classes."
        for name, column in zip(targets, values.T, strict=False)
        if np.isin(column, (0, 1)).all()
    ]


def _numeric_columns(
    frame: "DataFrame",
    target: Names,
    drop: Sequence[str],
    number_formats: Mapping[str, StoredFormat],
) -> tuple[list[str], list[str]]:
    """Return the numeric columns, targets first, and the targets.

    Raises:
        KzooError: no numeric column, an unknown column, or a target that is not numeric.
    """
    require(frame, drop, "the series")
    requested = named_targets(target, frame.columns)
    require(frame, requested, "the series")
    check_distinct(requested)
    rows = rows_of(frame)
    numeric_share = {
        name: np.isfinite(rows.numbers(name, number_formats.get(name))).mean()
        for name in frame.columns
        if name not in drop
    }
    numeric = [name for name, share in numeric_share.items() if share > 0.5]
    if not numeric:
        columns = (
            f"Its columns are: {listed(frame.columns, MOST)}"
            if len(frame.columns)
            else "It has no others"
        )
        raise KzooError(
            f"The series has no numeric column besides its times. {columns}. Add a column of numbers."
        )
    if not_numeric := [name for name in requested if name not in numeric]:
        values = plain(frame[not_numeric[0]])
        example = (
            f", such as {shown(values[not_missing(values)][0])}"
            if not_missing(values).any()
            else ""
        )
        raise KzooError(
            f"Target {not_numeric[0]!r} is not numeric{example}: a series is forecast as numbers, not as classes."
        )
    targets = requested or numeric
    return [*targets, *(name for name in numeric if name not in targets)], targets
