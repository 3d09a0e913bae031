"""`load_data`: loads every kind of data source."""

from dataclasses import replace
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from kzoo.data import source_detection as detection
from kzoo.data import splits
from kzoo.data.arrays import from_tf, load_arrays, read_npz
from kzoo.data.dataset import Dataset, Loadable
from kzoo.data.named import load_named
from kzoo.data.options import DataOptions, LoadRequest, Origin, splits_of
from kzoo.data.sample import sampling_note
from kzoo.data.tables.frame import as_frame, as_table, is_pair, join_targets, with_weights
from kzoo.data.targets.detection import WrongPreset
from kzoo.data.targets.repairs import repaired
from kzoo.inference.sources.arrays import array_of_rows, class_numbers
from kzoo.inference.tables.raw import as_names, columns_of_lists, is_arrow, is_list_of_rows
from kzoo.problems.data_arguments import (
    OPTIONS,
    check_names,
    options_of,
    with_data_options,
    without_effect,
)
from kzoo.problems.kinds import kind
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, plural
from kzoo.utils.optional import of_pandas
from kzoo.utils.table_path import Source
from kzoo.zoo.registry import Preset, get_preset, list_presets


@checked_arguments
@with_data_options(names={name: name for name in OPTIONS})
def load_data(
    source: Loadable,
    *,
    preset: str | Preset | None = None,
    **options: Any,
) -> Dataset:
    """Load data from any source, split it and describe it.

    Args:
        source: the name of a data set (`kzoo.data.named.NAMES`); a folder of class folders of images or of `.txt`
            files, or with one `.txt` file per class (one example per line); a folder of images with a table
            `labels.csv` of files and targets; a `.csv` or Parquet table, or a folder of Parquet files; a `.txt` file
            for a language model (tables and texts may be larger than memory); an `.xlsx` workbook, a `.jsonl` file of
            an object per line, a `.csv.gz` or `.zip` file; a pattern such as `data/2024-*.csv` of files with the same
            columns; `sqlite:FILE?TABLE` or `sqlite:FILE?SELECT ...`; an `.npz` file; a pair of arrays (x, y),
            optionally with a weight (N,) for each row, (x, y, weight), or of a DataFrame and its targets: x are rows
            (N, features), images (N, H, W, channels) with pixels 0..255, token ids (N, length) or series (N, steps,
            features); y are labels (N,) of any type or numbers (N,) or (N, targets), and of several labels per row (N,
            labels) of 0, 1 and NaN (unknown); a DataFrame, or any object with `__arrow_c_stream__`, such as a table of
            Polars, DuckDB or pyarrow (https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html); a
            list of dicts, a dict of columns, or a list of lists of which the first has the column names; a
            `tf.data.Dataset` of (x, y) or (x, y, weight).
        preset: what the data is for, a name or a `Preset`: it determines how a table is read, the length of texts and
            windows, the size of images, the vocabulary. Without it the source decides.
        {data_options}

    Returns:
        A `Dataset`: its splits, and what the data determines about the network.

    Raises:
        KzooError: the data does not exist, does not fit the preset, or cannot be learned from.

    Examples:
        >>> data = kzoo.load_data("churn.csv", target="churned")
        >>> data.task, data.feature_names
        ('tabular_classification', ('age', 'income', 'plan'))
        >>> kzoo.load_data("photos/").input_shape
        (96, 96, 3)
        >>> x, y = np.random.default_rng(0).normal(size=(100, 4)), np.arange(100) % 2
        >>> kzoo.load_data((x, y), test=0.3)
        <Dataset arrays: tabular_classification, inputs (4,), outputs 2, 63 / 7 / 30 rows>
    """
    check_names("load_data", options)
    requested = DataOptions(**options)
    requested.check_loaded(source)
    return load(source, preset, requested)


def load_longer(source: Loadable, preset: str | Preset, options: DataOptions) -> Dataset:
    """Return data whose texts are read as far as most of them reach, where a preset would truncate many."""
    data = load(source, preset, options)
    if (longer := data.seen.get("longer")) is None or data is source:
        return data
    preset = preset if isinstance(preset, Preset) else get_preset(preset)
    return load(
        source, replace(preset, config={**preset.config, "input_shape": (longer,)}), options
    )


def load(source: Loadable, preset: str | Preset | None, options: DataOptions) -> Dataset:
    """Load data as `load_data` does, with all options as one value."""
    if isinstance(source, Dataset):
        return source
    preset = preset if preset is None or isinstance(preset, Preset) else get_preset(preset)
    source = as_table(source)
    origin = dict(source=source, options=options, preset=preset)
    source, options = detection.located(source, options)
    others = {part: as_table(other) for part, other in options.second_sources.items()}
    options = replace(options, **others) if others else options
    reading = options.as_read()
    with options.named_in_errors():
        try:
            data = _load(LoadRequest(source=source, options=reading, preset=preset))
        except WrongPreset as error:
            fix = error.fix.format(", ".join(list_presets("tabular_*")))
            raise KzooError(
                f"{error} {fix}", argument=error.argument, value=error.value, complete=True
            ) from None
    if data.problem.task.option:
        data = data.problem.task.target.applied(data, source, options)
    data.loaded = options.stored()
    if options.calibration is not None:
        data = _with_calibration(data, options)
    if options.repairs is not None:  # of rows that are trained on, not of calibration rows
        data = repaired(data, options.repairs)
    with_overview(data)
    if options.group is not None:
        data.seen["grouped"] = True
    data.seen |= dict.fromkeys((f"{part}_source" for part in options.second_sources), True)
    note = sampling_note(data)
    if note is not None and note not in data.notes:
        data.notes.append(note)
    data.origin = Origin(**origin, splits=splits_of(data))
    return data


def _with_calibration(data: Dataset, options: DataOptions) -> Dataset:
    """Return data with the calibration rows of a second source, or of a source whose validation rows are its own.

    Raises:
        KzooError: a task that has no sets and intervals, rows that do not fit, or too few of them.
    """
    refusal = partial(KzooError, argument="calibration", value=options.calibration)
    if not data.problem.has_sets:
        raise refusal(f"is for classes and numbers, and the task is {data.task}. Remove it.")
    if splits.is_source(options.calibration):
        part = import_module("kzoo.data.reload").labelled_like(data, options.calibration)
        return replace(
            data,
            calibration=part,
            fingerprint=splits.fingerprint(data.fingerprint, part.x[:], part.y[:]),
        )
    if data.calibration is None and data.validation is not None:
        held = splits.held_out(options.validation, options.calibration)
        rows = np.arange(len(data.validation))
        labels = class_numbers(data.validation.y) if "classes" in data.problem.facts else None
        rng = np.random.default_rng([options.seed, 1])
        rest, own = splits.cut_calibration(rows, held.share, rng, data.notes, labels=labels)
        note = f"The source has validation rows of its own: {plural(len(own), 'calibration row')} are drawn from them."
        validation = data.validation.select(rest) if len(rest) else None
        fingerprint = splits.fingerprint(data.fingerprint, own)
        data = replace(
            data,
            validation=validation,
            calibration=data.validation.select(own),
            fingerprint=fingerprint,
            notes=[*data.notes, note],
        )
    if data.calibration is None:
        raise refusal(f"gives no row of {data.name}. Set a larger fraction.")
    return data


def with_overview(data: Dataset) -> Dataset:
    """Add the overview of the kind of input to the data, if it has one (see `Dataset.overview`)."""
    fitting = kind(data.inputs).of_preprocessor(data.preprocessing).fitting
    if (overview := getattr(fitting, "overview", None)) is not None:
        data.seen["overview"] = overview(data)
    return data


def _load(request: LoadRequest) -> Dataset:
    """Load a source whose options were checked, by what it is: a table or arrays in memory, a path, or a name."""
    source = request.source
    if of_pandas(request.options.sample_weight, "DataFrame"):
        raise KzooError(
            "must be a column or an array (N,), not a DataFrame.", argument="sample_weight"
        )
    if of_pandas(source, "Series"):
        source = source.to_frame()
    if of_pandas(source, "DataFrame") or is_arrow(source):
        return _table(replace(request, source=as_frame(source) if is_arrow(source) else source))
    if hasattr(source, "as_numpy_iterator"):
        return _arrays(replace(request, source=from_tf(source, request.preset), name="tf.data"))
    if (
        isinstance(source, tuple | list)
        and len(source) in (2, 3)
        and not isinstance(source[0], str)
    ):
        return _arrays(replace(request, name="arrays"))
    if not isinstance(source, str | Path):
        if is_list_of_rows(source):
            columns_of_lists(source)  # says what is wrong with it
        raise KzooError(
            f"Cannot load data from {type(source).__name__}. Pass a name, a path, a DataFrame, a list of dicts, arrays "
            "(x, y) or (x, y, weight), or a tf.data.Dataset.",
            value=source,
        )
    request = detection.recognized(request)
    if request.form == "named":
        return load_named(request)
    if request.form == "arrays":
        pair, test = read_npz(request.source)
        if request.options.test is None and test is not None:
            request = replace(request, options=replace(request.options, test=test))
        return _arrays(replace(request, source=pair))
    return _load_recognized(request)


def _table(request: LoadRequest) -> Dataset:
    """Load a table in memory; weights in an array become a column."""
    weight = request.options.sample_weight
    request = replace(request, name="table")
    if weight is None or isinstance(weight, str):
        return _load_recognized(detection.detect_table("table", request))
    # refuses it for a series
    named = replace(request.options, sample_weight="an array")
    detection.detect_table("table", replace(request, options=named))
    frame = as_frame(request.source)
    joined, name = with_weights(frame, weight)
    options = replace(request.options, sample_weight=name)
    request = replace(request, source=joined.set_axis(frame.index), options=options)
    return _load_recognized(detection.detect_table("table", request))


def _load_recognized(request: LoadRequest) -> Dataset:
    """Load a source by the fitting half of its kind; that of a package may take single arguments."""
    recognized = request.recognized
    assert request.kind is not None and recognized is not None
    fitting = request.kind.of_source(recognized).fitting
    if request.undecided:
        about = request.options.pick("series_id", "target", "time", "columns")
        source, order, notes = request.kind.fitting.order_of(
            request.source, forecasts=request.preset is not None, **about
        )
        request = replace(request, source=source)
        data = _load_recognized(detection.detect_table(request.name, request, order))
        data.notes[:0] = notes
        return data
    if "request" in signature(fitting.load).parameters:
        return fitting.load(request)
    return fitting.load(
        request.source,
        request.form,
        problem=request.problem,
        name=request.name,
        preset=request.preset,
        **request.options.pick("validation", "test", "seed", *recognized.options),
    )


def _arrays(request: LoadRequest) -> Dataset:
    """Load arrays; a DataFrame and its targets become a table."""
    x, y, *weight = request.source
    options = request.options
    if weight and options.sample_weight is not None:
        raise KzooError(
            "and (x, y, weight) both contain weights. Pass only one of them.",
            argument="sample_weight",
        )
    if of_pandas(x, "DataFrame"):
        return _table(_joined(request))
    detection.refuse_options(options, without_effect(options_of("arrays")), "arrays")
    if isinstance(options.sample_weight, str):
        raise KzooError(
            "is the name of a column, which arrays do not have. Pass an array (N,).",
            argument="sample_weight",
            value=options.sample_weight,
        )
    if options.sample_weight is not None:
        weight = [options.sample_weight]
    changed: dict[str, Any] = {}
    if options.group is not None:
        changed["group"] = groups = splits.check_groups(options.group)
        if groups.shape != array_of_rows(y, "y").shape[:1]:
            raise KzooError(
                "for arrays must be an array with one value for each row.", argument="group"
            )
    for part, source in options.second_sources.items():
        changed[part] = _second_arrays(part, source, request.preset)
    return load_arrays(
        replace(request, source=(x, y, *weight), options=replace(options, **changed))
    )


def _joined(request: LoadRequest) -> LoadRequest:
    """Return the request for a DataFrame and its targets with a table in place of each pair."""
    x, y, *weight = request.source
    options = request.options
    frame, names = join_targets(x, y)
    if options.target is not None and as_names(options.target) != names:
        detection.refuse_options(
            options, ("target",), f"a pair (x, y) whose y is {listed(map(repr, names))}"
        )
    name: Any = options.sample_weight
    if weight or not isinstance(name, str | None):
        frame, name = with_weights(frame, weight[0] if weight else name)
    others = {}
    for part, source in options.second_sources.items():
        if not is_pair(source):
            continue
        others[part] = join_targets(source[0], source[1], names)[0]
        if len(source) > 2:
            if name is None:
                raise KzooError(
                    f"Weights are needed for both training and {part} rows, or for neither. Pass both as "
                    "(x, y, weight)."
                )
            others[part], _ = with_weights(others[part], source[2], name)
    target = names if len(names) > 1 else names[0]
    options = replace(options, target=target, sample_weight=name, **others)
    return replace(request, source=frame.set_axis(x.index), options=options)


def _second_arrays(part: str, source: Source, preset: Preset | None) -> Source:
    """Return a second source of arrays as (x, y) or (x, y, weight)."""
    if hasattr(source, "as_numpy_iterator"):
        return from_tf(source, preset)
    if isinstance(source, str | Path):
        return read_npz(source)[0]
    if not (isinstance(source, tuple | list) and len(source) in (2, 3)):
        raise KzooError(
            "must be a fraction, a second pair (x, y), or (x, y, weight).",
            argument=part,
            value=source,
        )
    return source
