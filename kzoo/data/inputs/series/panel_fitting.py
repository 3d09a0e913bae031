"""Panels: learn how a table of many series is read, and cut it into windows."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kzoo.data import splits
from kzoo.data.dataset import Dataset, Split
from kzoo.data.inputs.rows.columns import number_formats_of
from kzoo.data.inputs.rows.in_memory import cell_findings
from kzoo.data.inputs.rows.scaling import scaling
from kzoo.data.inputs.series.season import window_length
from kzoo.data.store.windows import SeriesOfWindows, Windows, sample_indices
from kzoo.data.summary import AS_REQUESTED
from kzoo.data.tables.cell_notes import sentinel_notes
from kzoo.data.tables.frame import as_frame
from kzoo.data.tables.overview import describe_columns
from kzoo.inference.kinds.rows.column_options import column_options
from kzoo.inference.kinds.rows.inference import unread_notes
from kzoo.inference.kinds.series.calendar import Calendar, learn_calendar
from kzoo.inference.kinds.series.panel import (
    MAX_CATEGORIES,
    YEAR_OF_WEEKS,
    Covariate,
    calendar_names,
    channel_names,
    check_steps,
    gap_notes,
    listed_series,
    padded,
    panel_moments,
    panel_of,
    panel_values,
    ranges_of,
    series_names,
    sorted_panel,
    window_columns,
)
from kzoo.inference.kinds.series.steps import LONGEST_GAP, WindowRules, window_notes
from kzoo.inference.kinds.series.times import Times
from kzoo.inference.tables.raw import as_names, check_distinct, require, rows_of
from kzoo.inference.tables.values import are_filled, to_words
from kzoo.inference.tasks.values import spread
from kzoo.problems.kinds import DEFAULT_STEPS, Fresh
from kzoo.problems.tasks import problem
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural, shown

_DEFAULT_HORIZON = 24  # without a preset
_MAX_STORED_IDS = 10_000
_MOST_AT_ONCE = 4_000_000  # numbers whose scale is computed at a time
_MOST_SCALED = 500_000  # rows of a large panel from which the scale of its inputs is learned
_MOST_FRESH = 1_000_000  # new rows that are checked


def load_panel(
    frame,
    times,
    *,
    name,
    preset,
    target,
    validation,
    test,
    drop,
    columns,
    series_id,
    known,
    static,
    notes,
    task,
    numeric_columns,
    date_order=None,
) -> Dataset:
    """Load a table of many series for forecasting, split in order of time at the same moments for all of them.

    Args:
        frame: the table, a DataFrame.
        times: name of the time column.
        name, preset, target, validation, test, drop, columns, notes, task, date_order: see `load_series`.
        series_id, known, static: names of the columns that tell series apart, are known ahead, and are constant.
        numeric_columns: function that returns the numeric columns of a DataFrame, targets first, and the targets.

    Raises:
        KzooError: wrong columns, two rows of a series at one step, no regular step, or too few rows for a window.
    """
    steps, horizon = DEFAULT_STEPS, _DEFAULT_HORIZON
    if preset is not None:
        steps = preset.config["input_shape"][0]
        horizon = preset.config.get("horizon") or 1
    second = splits.second_sources(validation, test)
    rows = rows_of(frame)
    decimal = frame.attrs.get("decimal")
    roles = _checked_roles(rows, series_id, known, static, times, target, drop)

    # 1. The rows in order of series and time.
    if not len(rows):
        raise KzooError(f"{name!r} has no rows. Pass a table with rows of each series.")
    codes, names = series_names(rows, series_id, notes)
    moments, time_format, zone = panel_moments(rows, times, notes, date_order=date_order)
    calendar = _learned_calendar(codes, moments, times)
    panel = sorted_panel(codes, names, moments, calendar)
    del codes, moments  # of a large table, each takes much memory
    check_steps(panel, calendar, "those of the longest series are")
    panel = panel.with_missing_steps(calendar, LONGEST_GAP)
    notes += gap_notes(panel, calendar)

    # 2. The columns of the past, and those that are known ahead.
    overrides = column_options(columns, frame)
    format_warnings: list[str] = []
    unread: dict[str, Any] = {}
    past_frame = frame.drop(
        columns=[times, *series_id, *roles, *[n for n in as_names(drop) if n in frame.columns]]
    )
    number_formats = number_formats_of(frame, past_frame, overrides, format_warnings, decimal)
    past, targets = numeric_columns(past_frame, target, (), number_formats)
    covariates = [
        _learned_covariate(rows, column, role, overrides.get(column), format_warnings, decimal)
        for column, role in roles.items()
    ]
    reader: dict[str, Any] = {
        "kind": "series",
        "columns": past,
        "outputs": len(targets),
        "time": times,
        "series_id": list(series_id),
        "covariates": [covariate.json() for covariate in covariates],
        "calendar": calendar.json(),
        "zones": {times: zone},
        "horizon": horizon,
    }
    used_formats = {n: number_formats[n] for n in past if n in number_formats}
    reader |= {"writings": used_formats} if used_formats else {}
    reader |= {"times": time_format} if time_format else {}
    reader |= {"ids": panel.names} if len(panel) <= _MAX_STORED_IDS else {}
    content = panel_values(reader, rows, panel, unread)
    notes += [n for n in format_warnings if any(repr(column) in n for column in (*past, *roles))]
    notes += [*unread_notes(past, frame, unread), *content.notes]
    for column_name, column_values in zip(past, content.values.T, strict=True):
        notes += sentinel_notes(column_name, column_values[np.isfinite(column_values)])

    # 3. Split at the same moments, and cut into windows.
    observed = content.observed
    numbers = panel.numbers[observed]
    end = None
    share = splits.drawn(test)
    if isinstance(test, splits.Fold):
        numbers, end, share = _fold_of(numbers, test)
    cuts = _cut_numbers(numbers, splits.drawn(validation), share, horizon)
    if isinstance(test, splits.Fold):
        tested = np.flatnonzero(
            observed & (panel.numbers >= cuts[1]) & (panel.numbers <= numbers.max())
        )
        first, last = (tested[pick(panel.numbers[tested])] for pick in (np.argmin, np.argmax))
        notes.append(
            f"Fold {test.index + 1} of {test.folds}: tested on {panel.time(first)} to {panel.time(last)}, trained on "
            "earlier rows; later ones are not used."
        )
    training = observed & (panel.numbers < cuts[0])
    if not training.any():
        longest = int(np.add.reduceat(observed.astype(int), panel.bounds[:-1]).max())
        raise KzooError(
            f"leaves no row of {name!r} to train on before the validation and test rows (the longest "
            f"series has {plural(longest, 'row')}). Lower horizon=, test= or validation=, or provide more rows.",
            argument="horizon",
            value=horizon,
        )
    if steps is None:
        steps, note = _window_length(
            panel, content.values[:, : len(targets)], training, times, calendar, horizon, preset
        )
        notes.append(note)
    reader |= {"steps": steps, "ranges": ranges_of(past, content.values[training])}
    parts, notes_of_windows = panel_windows(
        panel,
        content,
        steps,
        horizon,
        {"train": (None, cuts[0]), "validation": cuts, "test": (cuts[1], end)},
    )
    notes += notes_of_windows
    if parts["train"] is None:
        raise KzooError(
            f"No series of {name!r} has a window of {plural(steps, 'step')} and {plural(horizon, 'step')} to forecast "
            f"before the validation rows. Provide more rows, or lower input_shape= or horizon=."
        )
    for part, source in second.items():
        parts[part] = labelled_panel(reader, as_frame(source), notes, f"the {part} series")

    # 4. Scales of the training rows.
    matrix = parts["train"].x.values
    rows_trained = np.flatnonzero(_covered(parts["train"], steps + horizon))
    mean, std = spread(parts["train"].y.values[rows_trained])
    if not isinstance(matrix, np.ndarray) and len(rows_trained) > _MOST_SCALED:
        notes.append(
            f"The scale of the inputs is learned on {_MOST_SCALED:,} of {len(rows_trained):,} rows."
        )
        rows_trained = rows_trained[sample_indices(len(rows_trained), _MOST_SCALED)]
    apart = {
        column: ("left out", "mostly not numeric") for column in frame.columns if column not in past
    }
    apart |= dict.fromkeys(as_names(drop), ("left out", AS_REQUESTED))
    apart |= {column: ("id", f"tells {len(panel)} series apart") for column in series_id}
    apart |= {
        column: (role, "known ahead" if role == "known" else "constant")
        for column, role in roles.items()
    }
    apart[times] = ("time", f"{calendar.description} apart")
    number_columns = [{"name": n, "kind": "number", "writing": number_formats.get(n)} for n in past]
    seen = cell_findings(format_warnings, unread, frame) | {"time": None, "gone": {}}
    seen["read"] = describe_columns(frame, number_columns, unread, targets=targets, apart=apart)
    seen["series"] = _series_facts(panel, calendar, observed) | {"empty_ahead": content.empty_ahead}
    channels = channel_names(covariates, calendar)
    return Dataset(
        name=name,
        task=task,
        inputs="series",
        **parts,
        config={
            "input_shape": (steps, len(past) + 2 * len(channels)),
            "outputs": len(targets),
            "horizon": horizon,
            "covariates": len(channels) or None,
            "calendar": len(calendar_names(calendar)) or None,
            "reversible_norm": _window_norm(content, training, len(targets), preset, known, task),
            **_scaling(matrix, rows_trained),
            "target_scale": std,
            "target_offset": mean,
        },
        preprocessing=reader,
        feature_names=(
            *past,
            *channels,
            *(f"{channel}, {horizon} steps later" for channel in channels),
        ),
        target_names=tuple(targets),
        notes=[*notes, "The series are split in order of time, all at the same moments."],
        seen=seen,
        fingerprint=splits.fingerprint(
            content.values,
            past,
            [list(map(int, cuts))],
            steps,
            horizon,
            len(targets),
            panel.numbers,
            panel.bounds,
            content.covariates.own,
            *[np.asarray(parts[part].x.values) for part in second],
        ),
    )


def _checked_roles(rows, series_id, known, static, time, target, drop) -> dict[str, str]:
    """Return column -> "known" or "static".

    Raises:
        KzooError: an unknown column, or one with two roles.
    """
    roles: dict[str, str] = {}
    left_out = as_names(drop)
    for column in series_id:
        for argument, names in (("time", [time]), ("target", as_names(target)), ("drop", left_out)):
            if column in names:
                raise KzooError(
                    f"Column {column!r} is in series_id= and in {argument}=. Remove it from one of them."
                )
    if time in left_out:
        raise KzooError(f"Column {time!r} is in time= and in drop=. Remove it from one of them.")
    for argument, columns in (
        ("series_id", series_id),
        ("known_covariates", known),
        ("static_covariates", static),
    ):
        require(rows, columns, "the table")
        check_distinct(columns, argument)
    taken = (
        {name: "series_id" for name in series_id}
        | {time: "time"}
        | dict.fromkeys(as_names(drop), "drop")
    )
    taken |= dict.fromkeys([target] if target in rows.columns else as_names(target), "target")
    for role, columns in (("known", known), ("static", static)):
        for column in columns:
            if other := taken.get(column):
                raise KzooError(
                    f"Column {column!r} is in {role}_covariates= and in {other}=. Remove it from one of them."
                )
            taken[column], roles[column] = f"{role}_covariates", role
    return roles


def _learned_calendar(codes, moments, column) -> Calendar:
    """Return the calendar of the longest series.

    Raises:
        KzooError: none of the five longest series has a regular step.
    """
    counts = np.bincount(codes)
    for code in np.argsort(-counts, kind="stable")[:5]:
        if (calendar := learn_calendar(moments.part(codes == code), column)) is not None:
            return calendar
    raise KzooError(
        f"The times in {column!r} have no regular step in the longest series ({plural(int(counts.max()), 'row')}). A "
        "panel needs rows at regular times, such as one a day; rows may be missing."
    )


def _learned_covariate(rows, name, role, override, warnings, decimal) -> Covariate:
    """Return how a known or static column is read: as numbers, or as a channel for each of its texts."""
    overrides = {name: override} if override else {}
    stored = number_formats_of(rows, [name], overrides, warnings, decimal).get(name)
    numbers = rows.numbers(name, stored)
    words = to_words(rows[name])
    words[~are_filled(rows[name])] = None
    if not len(present := np.flatnonzero([word is not None for word in words])):
        raise KzooError(
            f"{role.capitalize()} column {name!r} is empty. Fill it in, or leave it out with drop=."
        )
    infinite = [row for row in present if words[row].lstrip("+-").lower() in ("inf", "infinity")]
    if infinite and np.isfinite(numbers).any():
        cell = shown(rows[name][infinite[0]])
        row = infinite[0] + 1
        raise KzooError(
            f"{role.capitalize()} column {name!r} has {cell} in row {row}, which is not a number. Correct it."
        )
    texts = {
        str(word)
        for word, number in zip(words, numbers, strict=True)
        if word is not None and np.isnan(number)
    }
    kind = (override or {}).get("kind")
    if kind != "category" and not texts:
        return Covariate(name=name, role=role, number_format=stored)
    categories = sorted({str(word) for word in words if word is not None})
    if len(categories) > MAX_CATEGORIES:
        raise KzooError(
            f"{role.capitalize()} column {name!r} has {len(categories)} different values; at most {MAX_CATEGORIES} are "
            f"possible, or only numbers (first text: {shown(sorted(texts or set(categories))[0])}). Group them, or use "
            "drop= to leave it out."
        )
    if texts and np.isfinite(numbers).any() and kind != "category":
        warnings.append(
            f"{role.capitalize()} column {name!r} has numbers and texts, such as {shown(sorted(texts)[0])}: each of "
            f"its {len(categories)} values counts as a category."
        )
    return Covariate(name=name, role=role, categories=tuple(categories))


def _fold_of(numbers, fold):
    """Return the step numbers of the rows of a fold, the first one after it (None for no limit), and its test share."""
    ordered = np.sort(numbers)
    rows, fraction = splits.expanding_cut(len(ordered), fold)
    end = int(ordered[rows]) if rows < len(ordered) else None
    first = int(ordered[rows - round(rows * fraction)])
    inside = numbers if end is None else numbers[numbers < end]
    return inside, end, float((inside >= first).mean())


def _cut_numbers(numbers, validation, test, horizon) -> tuple[int, int]:
    """Return the first step numbers of the validation and of the test split."""
    first_validation, first_test = splits.split_time(len(numbers), validation=validation, test=test)
    ordered = np.append(np.sort(numbers), numbers.max() + 1)
    second = int(ordered[first_test])
    second = (
        min(second, int(ordered[-1]) - horizon) if first_test < len(numbers) else int(ordered[-1])
    )
    first = (
        int(ordered[min(first_validation, len(numbers))])
        if first_validation < first_test
        else second
    )
    return min(first, second - horizon) if first_validation < first_test else second, second


def _window_length(panel, values, training, column, calendar, horizon, preset):
    """Return the default length of a window, that of the longest series, and a note with the reason."""
    sizes = np.add.reduceat(training.astype(int), panel.bounds[:-1])
    longest = int(sizes.argmax())
    rows = np.flatnonzero(training & (panel.codes == longest))
    times = Times.of(column, panel.moments.times[rows])
    typical = max(int(np.median(sizes[sizes > 0])), 2)
    year = YEAR_OF_WEEKS.get(calendar.step) if calendar.every == 1 else None
    if preset is not None and preset.long_windows and year and typical // 3 >= year:
        return (
            year,
            f"The window length is {plural(year, 'step')}: 52 weeks, a third of a typical series at most.",
        )
    return window_length(
        values[rows],
        horizon,
        columns=values.shape[1],
        times=times,
        calendar=calendar,
        max_steps=max(typical // 2, 1),
        min_steps=1 if preset is None else preset.config.get("patch_size") or 1,
    )


def panel_windows(panel, content, steps, horizon, ranges, *, consecutive=False):
    """Return the windows of each split of a panel.

    Series with few rows get the first row repeated before it, so that they have a window of the full length. Windows
    with a target that was filled in among the values to forecast are left out. If these are more than half of a split,
    those with few such targets are used (see `WindowRules`).

    Args:
        panel, content: the `Panel` and its `PanelValues`.
        steps, horizon: sizes of a window.
        ranges: split -> (first step number of its targets, end), None for no limit.
        consecutive: whether rows are consecutive across gaps, as for runs of an earlier version.

    Returns:
        (split -> `Split` or None, notes).
    """
    rows_of_windows = padded(panel, content.observed, steps, horizon)
    source = rows_of_windows.source
    firsts = rows_of_windows.firsts
    ends = rows_of_windows.ends
    rows = np.arange(len(source), dtype=source.dtype)
    numbers = panel.numbers[source]
    is_row = rows_of_windows.is_row
    series = SeriesOfWindows(
        panel.codes[source], rows_of_windows.own_firsts, tuple(panel.names), numbers
    )
    last = np.minimum(rows + horizon, len(rows)) - 1
    complete = (
        (rows - firsts >= steps) & (rows + horizon <= ends) & is_row & content.is_past[source[last]]
    )
    follows = np.append(np.diff(numbers) == 1, True) | ~is_row | consecutive
    # crosses no gap that is not filled in
    complete &= _all_of(follows, np.maximum(rows - steps, 0), last)
    rules = WindowRules(
        filled=content.filled[source] & is_row[:, None], steps=steps, horizon=horizon
    )
    values = window_columns(content.values, content.covariates, source, ends, horizon)
    targets = np.ascontiguousarray(content.values[source, : content.targets])
    last_numbers = numbers[last]
    parts: dict[str, Split | None] = {}
    left_out = 0
    shares = dict[str, float]()
    for part, (low, high) in ranges.items():
        inside = complete if low is None else complete & (numbers >= low)
        every = np.flatnonzero(inside if high is None else inside & (last_numbers < high)).astype(
            rows.dtype
        )
        strict, usable = rules.usable(every - steps)
        starts = every[strict if 2 * strict.sum() >= usable.sum() else usable]
        left_out += len(every) - len(starts)
        shares[part] = rules.share_filled(starts - steps) if len(starts) else 0.0
        parts[part] = (
            None
            if not len(starts)
            else Split(
                x=Windows(values, starts - steps, steps, series.part(starts)),
                y=Windows(targets, starts, horizon, series.part(starts)),
            )
        )
    notes = window_notes(left_out, shares)
    short, too_short = rows_of_windows.short, rows_of_windows.too_short
    if short:
        notes.append(
            f"{len(short)} of {len(panel)} series have few rows ({listed_series(short)}): the first is "
            f"repeated to fill a window of {plural(steps, 'step')}."
        )
    if too_short:
        notes.append(
            f"{len(too_short)} of {len(panel)} series have no more than {plural(horizon, 'row')} with targets "
            f"and are left out ({listed_series(too_short)})."
        )
    return parts, notes


def _all_of(flags, first, end):
    """Return whether flags (P,) are True from each first row to each end (P,)."""
    if flags.all():
        return np.ones(len(flags), bool)
    counts = np.concatenate([[0], np.cumsum(~flags, dtype=first.dtype)]).astype(first.dtype)
    return counts[end] == counts[first]


def fresh_panel(reader: Mapping[str, Any], frame, missing) -> Fresh:
    """Return new rows of many series for the checks."""
    seen: dict[str, Any] = {"time": None, "gone": {}}
    covariates = [stored["name"] for stored in reader.get("covariates", ())]
    missing = [
        *missing,
        *(n for n in (*reader["series_id"], *covariates) if n not in frame.columns),
    ]
    if missing or not len(frame):
        return Fresh(frame=frame, missing=missing, seen=seen)
    rows = rows_of(frame)
    panel, _ = panel_of(reader, rows, [], longest=LONGEST_GAP)
    content = panel_values(reader, rows, panel, {})
    ends = np.repeat(panel.bounds[1:], panel.sizes)
    x = np.asarray(
        window_columns(
            content.values,
            content.covariates,
            np.arange(len(panel.numbers)),
            ends,
            reader["horizon"],
        )[-_MOST_FRESH:]
    )
    return Fresh(x=x, frame=frame, missing=missing, seen=seen)


def labelled_panel(reader: Mapping[str, Any], frame, notes, where) -> Split:
    """Return all windows of new series and the values that follow them.

    Raises:
        KzooError: no window has all of its targets.
    """
    rows = rows_of(frame)
    unread = dict[str, Any]()
    panel, calendar = panel_of(reader, rows, notes, longest=LONGEST_GAP)
    notes += gap_notes(panel, calendar)
    content = panel_values(reader, rows, panel, unread)
    notes += [*unread_notes(reader["columns"], frame, unread), *content.notes]
    parts, notes_of_windows = panel_windows(
        panel,
        content,
        reader["steps"],
        reader["horizon"],
        {"all": (None, None)},
        consecutive=bool(reader.get("uneven")),
    )
    notes += notes_of_windows
    if parts["all"] is None:
        raise KzooError(
            f"No series of {where} has {plural(reader['horizon'], 'consecutive row')} with all targets after a first "
            "row: there is nothing to score."
        )
    return parts["all"]


def _window_norm(content, training, targets, preset, known, task):
    """Return the normalisation of windows.

    It is "log" for targets that are never negative and vary by more than their mean: sales that are often 0, or high on
    a few days, which would determine mean and standard deviation of a window. The preset's "last" stays for values
    without known columns: a linear function of the past suits series of any size, but effects of known columns and
    distances of quantiles need the size of the series, and the last value may be that of a promotion.
    """
    values = content.values[training, :targets]
    if (values >= 0).all() and (values.std(axis=0) > values.mean(axis=0)).all():
        return "log"
    is_last = preset is not None and preset.config.get("reversible_norm") == "last"
    return "last" if is_last and not known and "quantiles" not in problem(task).facts else True


def _scaling(matrix, rows):
    """Return the scale of the columns of some rows; of many, column by column, which takes less memory."""
    if len(rows) * matrix.shape[1] <= _MOST_AT_ONCE:
        return scaling(matrix[rows])
    if not isinstance(matrix, np.ndarray):
        matrix = matrix[rows]
        rows = slice(None)
    columns = [scaling(matrix[rows, i : i + 1]) for i in range(matrix.shape[1])]
    return {name: [column[name][0] for column in columns] for name in ("scale", "offset")}


def _covered(split, length):
    """Return which rows some windows and the values after them cover (R,)."""
    change = np.zeros(len(split.x.values) + 1, int)
    np.add.at(change, split.x.starts, 1)
    np.add.at(change, split.x.starts + length, -1)
    return np.cumsum(change[:-1]) > 0


def _series_facts(panel, calendar, observed) -> dict[str, Any]:
    sizes = np.add.reduceat(observed.astype(int), panel.bounds[:-1])
    return {
        "count": len(panel),
        "step": calendar.description,
        "shortest": int(sizes.min()),
        "longest": int(sizes.max()),
        "gaps": len(panel.gaps()),
    }
