"""`reload`: the data of a run again, or new labelled data encoded as the run's training data was."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from kzoo.data.arrays import from_tf, read_npz, weights_of
from kzoo.data.detection import existing
from kzoo.data.encode import check_token_ids, encode
from kzoo.data.load import load
from kzoo.data.named import NAMES, name_of
from kzoo.dataset.dataset import Dataset, Split
from kzoo.dataset.options import DataOptions
from kzoo.kinds import encoding, kind_of, takes_ready_arrays
from kzoo.registry import preset_of
from kzoo.sources.arrays import class_numbers, with_rows
from kzoo.sources.tables.files import is_table
from kzoo.sources.tables.frame import is_pair, with_answers
from kzoo.sources.tables.raw import as_names
from kzoo.stored_types import FOLDS
from kzoo.tasks import problem
from kzoo.utils.errors import KzooError, KzooWarning, warn
from kzoo.utils.formatting import length_of, listed, shown


def reload(run, source=None, *, target=None) -> Dataset:
    """Return data to score a run on.

    Args:
        run: a `Run`.
        source: None or a named set is loaded and split as it was for the run, and so is what the run was trained on;
            any other file, folder or arrays are taken whole, as the test split, and nothing is learned from them.
        target: name of the target column where it differs from the run's.

    Raises:
        KzooError: the run's own data is not a named set, or has changed since; or new data that does not fit.
    """
    spec, described, preprocessing = run.spec, run.data, run.preprocessing
    named = isinstance(source, str) and source in NAMES
    check_target(run, source, target)
    if source is None or (named and source == described.name):
        return load_again(spec, described)
    if named:
        if run.learned_from_test(source):
            _warn_of(f"As {run!r} learned from what tests {source}")
        return load(source, preset_for(spec), DataOptions.of(described))
    if isinstance(source, str | Path):
        existing(source)
    if (own := data_of_run(run, source, target=target)) is not None:
        return own
    if isinstance(source, str | Path) and (name := name_of(source)) == described.name.removesuffix(FOLDS):
        _warn_of(
            f"{name} is called like what {run.path or run} was trained on, and cannot be split as that was: where rows "
            "that it has learned from are among these"
        )
    ready = takes_ready_arrays(preprocessing)
    if is_pair(source) and not ready:
        (x, y), names = source, targets_of(run, target)
        part = _raw(run, with_answers(x, y, names)[0], names)
    elif ready or holds_arrays(source):
        part = _array(run, source)
    else:
        part = _raw(run, source, target)
    if not len(part):
        raise KzooError("There is nothing to score in this data.")
    return Dataset(
        name=name_of(source) if isinstance(source, str | Path) else "arrays",
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


def _warn_of(why):
    warn(f"{why}, its scores are too good.")


def data_of_run(run, source, *, target=None) -> Dataset | None:
    """Return what a run was trained on, split as it was, where a file, a folder or arrays are just that; else None.

    A file or folder of another name is not looked into.

    Args:
        run: a `Run`.
        source: what may be it.
        target: name of the target column where it differs from the run's, as it does in other data.
    """
    described = run.data
    if not described.fingerprint or (target is not None and as_names(target) != list(described.target_names)):
        return None
    if isinstance(source, str | Path):
        if name_of(source) != described.name:
            return None
    elif not _may_hold(source, described.train + described.validation + described.test):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KzooWarning)  # training gave them, or whoever takes it whole gives them
        try:
            data = load_again(run.spec, described, source)
        except KzooError:  # it is other data, or cannot be split as that was
            return None
    return data if _is_encoded(run, data) else None


def _may_hold(source, rows):
    """Say whether what is in memory has as many rows as a run had, or does not say how many it has."""
    if hasattr(source, "as_numpy_iterator"):
        return True
    there = length_of(source[0] if isinstance(source, tuple | list) and len(source) else source)
    return there is not None and there >= rows


def check_target(run, source, target):
    """Refuse the name of another target than a run's own where the data is no table, in which it is a column.

    Raises:
        KzooError: it would be ignored.
    """
    if target is None or as_names(target) == list(run.data.target_names):
        return
    named = isinstance(source, str) and source in NAMES
    if source is None or named or isinstance(source, Dataset) or holds_arrays(source) or _is_no_table(source):
        what = "the run's own data" if source is None else name_of(source) if isinstance(source, str | Path) else "this"
        raise KzooError(
            f"target={shown(target)} names a column of a new table, and {what} comes with answers of its own: leave it "
            "out."
        )


def _is_no_table(source):
    return isinstance(source, str | Path) and Path(source).exists() and not is_table(source)


def load_again(spec, described, source=None, *, what="what the run was trained on") -> Dataset:
    """Return the data of a run or a search again, split as it was.

    Args:
        spec, described: what is stored of its model and its data, a `Spec` and a `Description`.
        source: what it was loaded from, or the `Dataset` itself; None finds a named set by its name.
        what: the data has to be, for the message.

    Raises:
        KzooError: it is not a named set and not given, or is other data than it was.
    """
    if source is None and described.name not in NAMES:
        raise KzooError(f"The run was trained on {described.name!r}, which is not a named set: say data= to score it.")
    options = DataOptions.of(described)
    if options.task is None and len(described.target_names) > 1 and "unordered" in problem(described.task).facts:
        options = replace(options, task=described.task)  # older versions took several columns of classes for values
    data = load(described.name if source is None else source, preset_for(spec), options)
    if data.fingerprint != described.fingerprint:
        if source is None:
            raise KzooError(
                f"The data set {data.name!r} has changed since the run was trained; train again to compare."
            )
        raise KzooError(
            f"data={data.name!r} is not {what}, or is split differently. Give the same source, or the Dataset itself."
        )
    return data


def preset_for(spec):
    """Return the preset that data was read for: an ensemble's is its members'; a model of one's own has none."""
    spec = spec.of_data
    return None if spec.family is None else preset_of(spec.json())


def holds_arrays(source):
    """Say whether this is a pair of arrays, or a file or a `tf.data.Dataset` of them."""
    if isinstance(source, tuple | list) or hasattr(source, "as_numpy_iterator"):
        return True
    return isinstance(source, str | Path) and Path(source).suffix == ".npz"


def check_encoded(run, data):
    """Raise `KzooError` for a `Dataset` that was encoded otherwise than the data of a run."""
    if not _is_encoded(run, data):
        raise KzooError(
            f"{data.name} is encoded differently from the data of {run.path} (classes, columns or vocabulary): "
            "pass the file, folder or arrays themselves, with the columns and classes of the run."
        )


def _is_encoded(run, data):
    return list(data.class_names) == run.class_names and _written(data.preprocessing) == _written(run.preprocessing)


def _written(preprocessing):
    return json.dumps(encoding(preprocessing), sort_keys=True)


def _names(target, own):
    """Return `target=` as a list of names; of several one text with commas may hold them."""
    if isinstance(target, str | int | float):
        return [target] if len(own) < 2 else as_names(target)
    return list(target)


def targets_of(run, target):
    """Return the names of the columns with the answers, as many as the run has.

    Raises:
        KzooError: others.
    """
    own = list(run.data.target_names)
    if target is None:
        return own
    names = _names(target, own)
    if len(names) != max(len(own), 1) or ("ordered" in run.problem.facts and names != own):
        raise KzooError(
            f"target={shown(target)}: {run.path} answers {listed(map(repr, own))}. Name as many, or leave it out."
        )
    return names


def _raw(run, source, target):
    """Return new raw data with its answers, which are still to be encoded unless the inputs hold them."""
    names, reader = targets_of(run, target), run.preprocessing
    part = kind_of(reader).fitting.labelled(reader, source, targets=names, config=run.spec.config)
    return part if "ordered" in run.problem.facts else Split(x=part.x, y=_encoded(run, part.y))


def _array(run, source):
    if isinstance(source, str | Path):
        pair, tested = read_npz(source)
        source = tested or pair
    elif hasattr(source, "as_numpy_iterator"):
        source = from_tf(source, None)
    if not isinstance(source, tuple | list) or len(source) not in (2, 3):
        raise KzooError(f"data={shown(source)} must be arrays (x, y) or (x, y, weight), or a source of them.")
    x, y = encode(run.preprocessing, np.asarray(source[0])), with_rows(source[1], "y")
    if "ids" in kind_of(run.preprocessing).facts:
        check_token_ids(x, run.spec.config.get("vocabulary_size"))
    if len(x) != len(y):
        raise KzooError(f"x has {len(x)} rows and y has {len(y)}; they must be as many.")
    if "classes" in run.problem.facts:
        y = class_numbers(y)
    weight = weights_of(source[2], len(x), "weight").astype(np.float32) if len(source) > 2 else None
    return Split(x=x, y=_encoded(run, y), weight=weight)


def _encoded(run, labels):
    """Return raw labels, an array or columns of a DataFrame, as the run's training labels were encoded."""
    return run.problem.task.inference.encode(run.target, labels)
