"""`reload`: loads the data of a run again, or encodes new labelled data in the same way."""

import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data.arrays import from_tf, read_npz
from kzoo.data.dataset import Dataset, Split
from kzoo.data.load import load
from kzoo.data.named import NAMES, name_of
from kzoo.data.options import DataOptions, OptionsOfBefore
from kzoo.data.source_detection import existing_path
from kzoo.data.statistics import rows_in_training
from kzoo.data.tables.frame import as_table, is_pair, join_targets, with_weights
from kzoo.data.targets.weights import weights_of, weights_to_score
from kzoo.inference.encode import check_token_ids, encode
from kzoo.inference.sources.arrays import array_of_rows, class_numbers
from kzoo.inference.tables.files import is_table, labelled_folders
from kzoo.inference.tables.raw import as_names
from kzoo.problems.kinds import encoding_settings, kind, kind_of, takes_ready_arrays
from kzoo.problems.layout import Preprocessor, RawLabels
from kzoo.problems.stored_types import DATA_PRESET, FOLDS, Description, Spec
from kzoo.problems.tasks import problem
from kzoo.utils.address import local_data
from kzoo.utils.errors import KzooError, KzooWarning, warn
from kzoo.utils.formatting import length_of, listed, percent, plural
from kzoo.utils.table_path import Source, locate, with_sheet
from kzoo.zoo.registry import get_preset, preset_of

if TYPE_CHECKING:
    from kzoo.zoo.registry import Preset
    from kzoo.zoo.run import Run


_FEWEST = 3  # training rows in other data that are reported
_SHARE = 0.01
_SEVERAL_VALUES = {"values", "unordered"}  # facts of the task of several targets in older versions


def reload(
    run: "Run", source: Source = None, *, target: str | Sequence[str] | None = None
) -> Dataset:
    """Return data on which to score a run.

    Args:
        run: a `Run`.
        source: None, a named set, or the training data of the run is loaded and split as for training; any other file,
            folder or arrays become the test split as a whole, and nothing is learned from them.
        target: name of the target column if it differs from the run's.

    Raises:
        KzooError: the training data is not a named set, or has changed since; or new data does not fit.
    """
    spec, described, preprocessing = run.spec, run.data, run.preprocessing
    source = source if takes_ready_arrays(preprocessing) else as_table(source)
    is_named = isinstance(source, str) and source in NAMES
    check_target(run, source, target)
    if source is None or (is_named and source == described.name):
        return load_again(spec, described)
    if is_named:
        if run.learned_from_test(source):
            _warn_optimistic(f"{run!r} was trained on test rows of {source}:")
        return load(
            source,
            preset_for(spec),
            replace(DataOptions.of(described), sheet=None, header_row=None),
        )
    if isinstance(source, str | Path):
        source = with_sheet(existing_path(source), None, None, described.options)
    if (run_data := matching_run_data(run, source, target=target)) is not None:
        return run_data
    part = _encoded_like(run, source, target, described.options.get("sample_weight"))
    if not len(part):
        raise KzooError("This data contains no rows to score.")
    name = name_of(source) if isinstance(source, str | Path) else "arrays"
    if (trained := rows_in_training(run.config.get("statistics"), part.x)) >= max(
        _FEWEST, _SHARE * len(part)
    ):
        _warn_optimistic(
            f"About {trained} of {plural(len(part), 'row')} of {name} ({percent(trained / len(part))}) are rows that "
            f"{run.path or run} was trained on:"
        )
    elif isinstance(source, str | Path) and name == described.name.removesuffix(FOLDS):
        _warn_optimistic(
            f"{name} has the name of the training data of {run.path or run}, but is different. If it contains training "
            "rows,"
        )
    return Dataset(
        name=name,
        task=spec.task,
        inputs=described.inputs,
        train=part,
        test=part,
        config=dict(run.target.config),
        class_names=described.class_names,
        target_names=described.target_names,
        preprocessing=preprocessing,
        seen={"common": run.target.common},
    )


def _warn_optimistic(why: str) -> None:
    warn(f"{why} its scores are too optimistic.")


def matching_run_data(
    run: "Run", source: Source, *, target: str | Sequence[str] | None = None
) -> Dataset | None:
    """Return the training data of a run, split as in training, if the source is exactly that data; else None.

    A file or folder with another name is not read.

    Args:
        run: a `Run`.
        source: a file, a folder or arrays.
        target: name of the target column if it differs from the run's, which means that it is other data.
    """
    described = run.data
    if not described.fingerprint or (
        target is not None and as_names(target) != list(described.target_names)
    ):
        return None
    if isinstance(source, str | Path):
        if name_of(source) != described.name:
            return None
        source = with_sheet(source, None, None, described.options)
    elif not _may_have_rows(source, _rows_of(described)):
        return None
    with warnings.catch_warnings():
        # Its warnings were issued in training, or will be when the data is loaded whole.
        warnings.simplefilter("ignore", KzooWarning)
        try:
            data = load_again(run.spec, described, source)
        except KzooError:  # different data, or it cannot be split in the same way
            return None
    return data if _is_encoded(run, data) else None


def _rows_of(described: Description) -> int:
    """Return the number of rows of described data in all its splits."""
    return described.train + described.validation + described.test + (described.calibration or 0)


def _may_have_rows(source: Source, rows: int) -> bool:
    """Return True if data in memory has at least as many rows as the run's data, or an unknown number."""
    if hasattr(source, "as_numpy_iterator"):
        return True
    count = length_of(source[0] if isinstance(source, tuple | list) and len(source) else source)
    return count is not None and count >= rows


def check_target(run: "Run", source: Source, target: str | Sequence[str] | None) -> None:
    """Raise KzooError if the target differs from the run's and the data is not a table in which it is a column.

    Raises:
        KzooError: the target would be ignored.
    """
    if target is None or as_names(target) == list(run.data.target_names):
        return
    is_named = isinstance(source, str) and source in NAMES
    if (
        source is None
        or is_named
        or isinstance(source, Dataset)
        or holds_arrays(source)
        or _is_other_file(source)
    ):
        subject = (
            "the run's own data"
            if source is None
            else name_of(source)
            if isinstance(source, str | Path)
            else "this"
        )
        raise KzooError(
            f"is only available for new tables: {subject} already has targets. Remove it.",
            argument="target",
            value=target,
        )


def _is_other_file(source: Source) -> bool:
    """Return True for an existing file or folder without target columns."""
    source = locate(source)
    if not isinstance(source, str | Path) or not Path(source).exists() or is_table(source):
        return False
    return not (Path(source).is_dir() and labelled_folders(source))


def load_again(
    spec: Spec,
    described: Description,
    source: Source = None,
    *,
    what: str = "what the run was trained on",
) -> Dataset:
    """Return the data of a run or a search again, split as before.

    Args:
        spec, described: the stored `Spec` of the model and `Description` of the data.
        source: from which it was loaded, or the `Dataset` itself; None finds a named set by its name.
        what: what the data has to be, for the message.

    Raises:
        KzooError: it is neither a named set nor given, or it differs from the described data.
    """
    stored_source = described.source or {}
    if source is None and stored_source:
        source = local_data(stored_source["address"])
    if source is None and described.name not in NAMES:
        raise KzooError(
            f"The run was trained on {described.name!r}, which is not a named data set. Pass it as data= to score the "
            "run."
        )
    options = DataOptions.of(described)
    if (
        options.task is None
        and len(described.target_names) > 1
        and problem(described.task).facts >= _SEVERAL_VALUES
    ):
        # older versions read several columns of classes as values
        options = replace(options, task=described.task)
    named = described.name if source is None else source
    data = load(named, preset_for(spec), options)
    if data.fingerprint != described.fingerprint and data.problem.ordered:
        data = load(named, preset_for(spec), OptionsOfBefore.like(options))
    if data.fingerprint != described.fingerprint:
        now = getattr(source, "recorded", None) or {}
        if now and now["address"] == stored_source.get("address"):
            raise KzooError(
                f"{now['address']} has changed since the run was trained: its version was "
                f"{stored_source['version']}, and is now {now['version']}. Train again to compare."
            )
        if source is None:
            raise KzooError(
                f"The data set {data.name!r} has changed since the run was trained. Train again to compare."
            )
        raise KzooError(
            f"is not {what}, or is split differently. Pass the same source, or the Dataset itself.",
            argument="data",
            value=data.name,
        )
    return data


def preset_for(spec: Spec) -> "Preset | None":
    """Return the preset for which data was read, for an ensemble that of its members; None without one."""
    spec = spec.of_data
    if spec.is_baseline:
        if (name := spec.config.get(DATA_PRESET)) is None:
            return None
        preset = get_preset(name)
        read_as = {"horizon": spec.config["horizon"]} if spec.config.get("horizon") else {}
        shape = spec.config.get("input_shape")
        if "ids" in kind(spec.config["inputs"]).facts:
            read_as["input_shape"] = shape
        elif shape and preset.config["input_shape"][:1] == (None,):  # steps of windows
            read_as["input_shape"] = (shape[0], *preset.config["input_shape"][1:])
        return replace(preset, config=preset.config | read_as)
    return None if spec.family is None else preset_of(spec.json())


def holds_arrays(source: Source) -> bool:
    """Return True for a pair of arrays, and for a file or a `tf.data.Dataset` of them."""
    if isinstance(source, tuple | list) or hasattr(source, "as_numpy_iterator"):
        return True
    return isinstance(source, str | Path) and Path(source).suffix == ".npz"


def check_encoded(run: "Run", data: Dataset) -> None:
    """Raise `KzooError` for a `Dataset` that was encoded differently from the data of a run."""
    if not _is_encoded(run, data):
        raise KzooError(
            f"{data.name} is encoded differently from the data of {run.path} (classes, columns or vocabulary). "
            "Pass the file, folder or arrays themselves, with the columns and classes of the run."
        )


def _is_encoded(run: "Run", data: Dataset) -> bool:
    return list(data.class_names) == run.class_names and _encoding_json(
        data.preprocessing
    ) == _encoding_json(run.preprocessing)


def _encoding_json(preprocessing: Preprocessor) -> str:
    return json.dumps(encoding_settings(preprocessing), sort_keys=True)


def _names(target: str | Sequence[str], run_targets: Sequence[str]) -> list[str]:
    """Return `target=` as a list of names; if the run has several targets, a string is split at commas."""
    if isinstance(target, str | int | float):
        return [target] if len(run_targets) < 2 else as_names(target)
    return list(target)


def targets_of(run: "Run", target: str | Sequence[str] | None) -> list[str]:
    """Return the names of the columns for the targets of the run, in their order.

    Raises:
        KzooError: `target` has another number of names.
    """
    run_targets = list(run.data.target_names)
    if target is None:
        return run_targets
    names = _names(target, run_targets)
    if len(names) != max(len(run_targets), 1) or (
        "ordered" in run.problem.facts and names != run_targets
    ):
        raise KzooError(
            f"does not match the targets of {run.path}: {listed(map(repr, run_targets))}. Name "
            "as many columns, or remove it.",
            argument="target",
            value=target,
        )
    return names


def labelled_like(data: Dataset, source: Source) -> Split:
    """Return calibration rows from another source, as rows that are encoded as those of a `Dataset`.

    Args:
        data: the `Dataset`.
        source: the other source, with the same columns or of the same form.

    Raises:
        KzooError: the source does not fit.
    """
    like = SimpleNamespace(
        data=SimpleNamespace(target_names=data.target_names),
        preprocessing=data.preprocessing,
        target=data.target,
        spec=SimpleNamespace(config=data.config),
        problem=data.problem,
        path=data.name,
    )
    asked = source
    options = data.loaded["options"]
    ready = takes_ready_arrays(data.preprocessing)
    try:
        source = source if ready else as_table(source)
        if isinstance(source, str | Path):
            source = with_sheet(existing_path(source), None, None, options)
        weights = options.get("sample_weight")
        if is_pair(source) and not ready:
            source = source[:2]  # each calibration row counts once, also with row weights
            weights = None
        part = _encoded_like(like, source, None, weights)
    except KzooError as error:
        raise KzooError(f": {error}", argument="calibration", value=asked) from None
    if not len(part):
        raise KzooError("has no rows.", argument="calibration", value=asked)
    return part


def _encoded_like(
    run: Any, source: Source, target: str | Sequence[str] | None, sample_weight: str | None
) -> Split:
    """Return labelled rows, a table or arrays, encoded as those of a run.

    Args:
        run: a `Run`, or what has its attributes.
        source: the rows.
        target: names of the target columns, if they differ from the run's.
        sample_weight: name of the column of weights, or None.
    """
    ready = takes_ready_arrays(run.preprocessing)
    if is_pair(source) and not ready:
        x, y, *weight = source
        target = targets_of(run, target)
        source, _ = join_targets(x, y, target)
        if weight:
            source, sample_weight = with_weights(source, weight[0])
    elif ready or holds_arrays(source):
        return _array(run, source)
    return _raw(run, source, target, sample_weight)


def _raw(
    run: "Run", source: Source, target: str | Sequence[str] | None, sample_weight: str | None = None
) -> Split:
    """Return new raw data with encoded targets, and with weights if the table has the column `sample_weight`."""
    names = targets_of(run, target)
    reader = run.preprocessing
    weighted = {} if sample_weight is None else {"sample_weight": sample_weight}
    part = kind_of(reader).fitting.labelled(
        reader, source, targets=names, config=run.spec.config, **weighted
    )
    return (
        part
        if "ordered" in run.problem.facts
        else Split(x=part.x, y=_encoded(run, part.y), weight=part.weight)
    )


def _array(run: "Run", source: Source) -> Split:
    if isinstance(source, str | Path):
        pair, test_pair = read_npz(source)
        source = test_pair or pair
    elif hasattr(source, "as_numpy_iterator"):
        source = from_tf(source, None)
    if not isinstance(source, tuple | list) or len(source) not in (2, 3):
        raise KzooError(
            "must be arrays (x, y) or (x, y, weight), or a source that provides them.",
            argument="data",
            value=source,
        )
    x = encode(run.preprocessing, np.asarray(source[0]))
    y = array_of_rows(source[1], "y")
    check_token_ids(x, kind_of(run.preprocessing), run.spec.config)
    if len(x) != len(y):
        raise KzooError(f"x and y must have the same number of rows (x: {len(x)}, y: {len(y)}).")
    if "classes" in run.problem.facts:
        y = class_numbers(y)
    weight = weights_to_score(weights_of(source[2], len(x), "weight")) if len(source) > 2 else None
    return Split(x=x, y=_encoded(run, y), weight=weight)


def _encoded(run: "Run", labels: RawLabels) -> np.ndarray:
    """Return raw labels, an array or columns of a DataFrame, encoded like the training labels of the run."""
    return run.problem.task.inference.encode(run.target, labels)
