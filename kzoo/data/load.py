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
from kzoo.data.named import NAMES, load_named, name_of
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
from kzoo.problems.tasks import tasks
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError
from kzoo.utils.files import path_of
from kzoo.utils.formatting import listed, plural, shown
from kzoo.utils.optional import of_pandas
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
            optionally with a weight for each row, (x, y, weight), or of a DataFrame and its targets; a DataFrame, or
            any object with `__arrow_c_stream__`, such as a table of Polars, DuckDB or pyarrow; a list of dicts, a dict
            of columns, or a list of lists of which the first has the column names; a `tf.data.Dataset` of (x, y) or
            (x, y, weight).
        preset: what the data is for, a name or a `Preset`: it determines how a table is read, the length of texts and
            windows, the size of images, the vocabulary. Without it the source decides.
        {data_options}

    Raises:
        KzooError: the data does not exist, does not fit the preset, or cannot be learned from.
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
    splits.check_seed(options.seed)
    detection.check_splits(options)
    preset = preset if preset is None or isinstance(preset, Preset) else get_preset(preset)
    source = as_table(source)
    origin = dict(source=source, options=options, preset=preset)
    source, options = detection.located(source, options)
    others = splits.second_sources(options.validation, options.test, options.calibration)
    options = replace(options, **{part: as_table(other) for part, other in others.items()})
    _check_combination(options)
    implied, option, of_option = _with_implied_task(options)
    reading = implied.with_held_out()
    try:
        data = _load(source, preset, reading)
    except KzooError as error:
        message, argument, value = str(error), error.argument, error.value
        if isinstance(error, WrongPreset):
            message = f"{message} {error.fix.format(', '.join(list_presets('tabular_*')))}"
        if reading.task != options.task:  # an option of the task has set it
            message = message.replace(f"task={reading.task!r}", f"{option}={shown(of_option)}")
            argument, value = (option, of_option) if argument == "task" else (argument, value)
        if message == str(error):
            raise
        raise KzooError(message, argument=argument, value=value, complete=True) from None
    if data.problem.task.option:
        data = data.problem.task.target.applied(data, source, options)
    data.loaded = options.stored()
    if options.calibration is not None:
        data = _with_calibration(data, preset, options)
    if options.repairs is not None:  # of rows that are trained on, not of calibration rows
        data = repaired(data, options.repairs)
    with_overview(data)
    if options.group is not None:
        data.seen["grouped"] = True
    for part in splits.second_sources(options.validation, options.test, options.calibration):
        data.seen[f"{part}_source"] = True
    note = sampling_note(data)
    if note is not None and note not in data.notes:
        data.notes.append(note)
    data.origin = Origin(**origin, splits=splits_of(data))
    return data


def _check_combination(options: DataOptions) -> None:
    """Raise `KzooError` if a second source does not exist or is a Dataset, or if groups are the target."""
    for part, other in splits.second_sources(
        options.validation, options.test, options.calibration
    ).items():
        if isinstance(other, Dataset):
            raise KzooError(
                "is a Dataset, already split. Pass what it was loaded from.",
                argument=part,
                value=other,
            )
        if not isinstance(other, str | Path):
            continue
        if not path_of(other, "a file or a folder").exists():
            raise KzooError(
                f"does not exist. Pass a second source, such as a file, or a fraction such as "
                f"{part}=0.2.",
                argument=part,
                value=str(other),
            )
    if (
        isinstance(options.group, str)
        and options.target is not None
        and options.group in as_names(options.target)
    ):
        raise KzooError("is the target. Use another column.", argument="group", value=options.group)


def _with_implied_task(options: DataOptions) -> tuple[DataOptions, str, object]:
    """Return the options with the task to which one of them belongs, that option, or "", and its checked value.

    Raises:
        KzooError: a wrong value of the option, or another task.
    """
    option, checked = "", None
    for task in tasks().values():
        value = getattr(options, task.option) if task.option else None
        if value is None:
            continue
        option, checked = task.option, task.target.checked(value)
        names = (*task.words, *(problem.name for problem in task.problems))
        if options.task is not None and options.task not in names:
            raise KzooError(
                f"and task={options.task!r} exclude each other: {option}= is for task={task.words[0]!r}. Remove one "
                "of them.",
                argument=option,
                value=checked,
            )
        options = replace(options, task=options.task or task.words[0])
    return options, option, checked


def _with_calibration(data: Dataset, preset: Preset | None, options: DataOptions) -> Dataset:
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
    if (overview := getattr(kind(data.inputs).fitting, "overview", None)) is not None:
        data.seen["overview"] = overview(data)
    return data


def _load(source, preset, options):
    if of_pandas(options.sample_weight, "DataFrame"):
        raise KzooError(
            "must be a column or an array (N,), not a DataFrame.", argument="sample_weight"
        )
    if of_pandas(source, "Series"):
        source = source.to_frame()
    if of_pandas(source, "DataFrame") or is_arrow(source):
        return _table(as_frame(source) if is_arrow(source) else source, preset, options)
    if hasattr(source, "as_numpy_iterator"):
        return _arrays(from_tf(source, preset), "tf.data", preset, options)
    if (
        isinstance(source, tuple | list)
        and len(source) in (2, 3)
        and not isinstance(source[0], str)
    ):
        return _arrays(source, "arrays", preset, options)
    if not isinstance(source, str | Path):
        if is_list_of_rows(source):
            columns_of_lists(source)  # says what is wrong with it
        raise KzooError(
            f"Cannot load data from {type(source).__name__}. Pass a name, a path, a DataFrame, a list of dicts, arrays "
            "(x, y) or (x, y, weight), or a tf.data.Dataset.",
            value=source,
        )
    if isinstance(source, str) and source in NAMES:
        return _named(source, preset, options)
    return _path(path_of(source, "a file, a folder or a data set"), preset, options)


def _named(name, preset, options):
    detection.check_named(name, preset, options)
    data = load_named(
        LoadRequest(source=name, form="named", name=name, options=options, preset=preset)
    )
    if Path(name).exists():
        data.notes.append(
            f"{name} is the named data set. To load the local file or folder, use ./{name}."
        )
    return data


def _path(path, preset, options):
    detected = detection.detect(path, preset, options)
    if detected is not None:
        return _load_detected(detected, path, name_of(path), preset, options)
    pair, test_pair = read_npz(path)
    if options.test is None and test_pair is not None:
        options = replace(options, test=test_pair)
    return _arrays(pair, name_of(path), preset, options)


def _table(frame, preset, options):
    if options.sample_weight is not None and not isinstance(options.sample_weight, str):
        # refuses it for a series
        detection.detect_table("table", preset, replace(options, sample_weight="an array"))
        frame = as_frame(frame)
        joined, name = with_weights(frame, options.sample_weight)
        frame = joined.set_axis(frame.index)
        options = replace(options, sample_weight=name)
    return _load_detected(
        detection.detect_table("table", preset, options), frame, "table", preset, options
    )


def _load_detected(detected, source, name, preset, options):
    notes = list[str]()
    if detected.undecided:
        about = options.pick("series_id", "target", "time", "columns")
        source, order, notes = detected.kind.fitting.order_of(
            source, forecasts=preset is not None, **about
        )
        detected = detection.detect_table(name, preset, options, order)
    request = LoadRequest(
        source=source,
        form=detected.source.form,
        name=name,
        options=options,
        preset=preset,
        problem=detected.problem,
    )
    data = _load_request(request, detected)
    data.notes[:0] = notes
    return data


def _load_request(request: LoadRequest, detected: detection.DetectedSource) -> Dataset:
    """Load a request by the fitting half of its kind; that of a package may take it as single arguments."""
    load_of_kind = detected.kind.fitting.load
    if "request" in signature(load_of_kind).parameters:
        return load_of_kind(request)
    options = request.options.pick("validation", "test", "seed", *detected.source.options)
    about = {name: getattr(request, name) for name in ("problem", "name", "preset")}
    return load_of_kind(request.source, request.form, **about, **options)


def _arrays(pair, name, preset, options):
    x, y, *weight = pair
    if weight and options.sample_weight is not None:
        raise KzooError(
            "and (x, y, weight) both contain weights. Pass only one of them.",
            argument="sample_weight",
        )
    if of_pandas(x, "DataFrame"):
        frame, names = join_targets(x, y)
        if options.target is not None and as_names(options.target) != names:
            detection.refuse_options(
                options, ("target",), f"a pair (x, y) whose y is {listed(map(repr, names))}"
            )
        target = names if len(names) > 1 else names[0]
        name = options.sample_weight
        options = replace(options, target=target)
        if weight or not isinstance(name, str | None):
            frame, name = with_weights(frame, weight[0] if weight else name)
        for part, source in splits.second_sources(options.validation, options.test).items():
            if is_pair(source):
                part_frame = join_targets(*source[:2], names)[0]
                if len(source) > 2:
                    if name is None:
                        raise KzooError(
                            f"Weights are needed for both training and {part} rows, or for neither. Pass both as "
                            "(x, y, weight)."
                        )
                    part_frame, _ = with_weights(part_frame, source[2], name)
                options = replace(options, **{part: part_frame})
        return _table(frame.set_axis(x.index), preset, replace(options, sample_weight=name))
    detection.refuse_options(options, without_effect(options_of("arrays")), "arrays")
    if isinstance(options.sample_weight, str):
        raise KzooError(
            "is the name of a column, which arrays do not have. Pass an array (N,).",
            argument="sample_weight",
            value=options.sample_weight,
        )
    if options.sample_weight is not None:
        weight = [options.sample_weight]
    if options.group is not None:
        options = replace(options, group=splits.check_groups(options.group))
        if options.group.shape != array_of_rows(y, "y").shape[:1]:
            raise KzooError(
                "for arrays must be an array with one value for each row.", argument="group"
            )
    others = {
        part: _second_arrays(part, source, preset)
        for part, source in splits.second_sources(options.validation, options.test).items()
    }
    return load_arrays(
        LoadRequest(
            source=(x, y, *weight),
            form="arrays",
            name=name,
            options=replace(options, **others),
            preset=preset,
        )
    )


def _second_arrays(part, source, preset):
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
