"""`reload`: the data of a run again, or new labelled data encoded as the run's training data was."""

from pathlib import Path

import numpy as np

from kzoo.data.arrays import from_tf, read_npz
from kzoo.data.dataset import Dataset, Split
from kzoo.data.decode import ImageFiles
from kzoo.data.encode import encode
from kzoo.data.encode_images import images_below
from kzoo.data.encode_series import filled
from kzoo.data.encode_text import tokenizer_of
from kzoo.data.images import split_folders
from kzoo.data.language import token_windows
from kzoo.data.load import load
from kzoo.data.named import NAMES
from kzoo.data.options import DataOptions
from kzoo.data.rows import require
from kzoo.data.series import cut_windows, in_order
from kzoo.data.table import as_frame
from kzoo.data.text import read_folder
from kzoo.data.textfile import read_text
from kzoo.errors import KzooError
from kzoo.registry import preset_of
from kzoo.tasks import problem, target_of


def reload(run, source=None, *, target=None) -> Dataset:
    """Return data to score a run on.

    Args:
        run: a `Run`.
        source: None or a named set is loaded and split as it was for the run; a file, a folder or arrays
            are taken whole, as the test split, and nothing is learned from them.
        target: name of the target column where it differs from the run's.

    Raises:
        KzooError: the run's own data is not a named set, or has changed since; or new data that does not fit.
    """
    spec, described, preprocessing = run.spec, run.data, run.preprocessing
    named = isinstance(source, str) and source in NAMES
    if source is None or (named and source == described.name):
        return load_again(spec, described)
    if named:
        return load(source, preset_for(spec), DataOptions.of(described))
    if isinstance(source, str | Path) and not Path(source).exists():
        raise KzooError(f"No file, folder or data set {str(source)!r}. Data sets by name: {', '.join(NAMES)}.")
    read = _LABELLED[_kind_of(preprocessing["kind"], source)]
    part = read(spec.json(), described.json(), preprocessing, source, target)
    if not len(part):
        raise KzooError("There is nothing to score in this data.")
    return Dataset(
        name=Path(source).name if isinstance(source, str | Path) else "arrays",
        task=spec.task,
        inputs=described.inputs,
        train=part,
        test=part,
        config=dict(spec.config),
        class_names=described.class_names,
        target_names=described.target_names,
        preprocessing=preprocessing,
    )


def load_again(spec, described, source=None, *, what="what the run was trained on") -> Dataset:
    """Return the data of a run or a search again, split as it was.

    Args:
        spec, described: what is stored of its model and its data, a `Spec` and a `Description`.
        source: what it was loaded from, or the `Dataset` itself; None finds a named set by its name.
        what: the data has to be, for the message.

    Raises:
        KzooError: it is no named set and not given, or is other data than it was.
    """
    if source is None and described.name not in NAMES:
        raise KzooError(f"The run was trained on {described.name!r}, which is no named set: say data= to score it.")
    data = load(described.name if source is None else source, preset_for(spec), DataOptions.of(described))
    if data.fingerprint != described.fingerprint:
        if source is None:
            raise KzooError(
                f"The data set {data.name!r} has changed since the run was trained; train again to compare."
            )
        raise KzooError(
            f"data={data.name!r} is not {what}, or is split otherwise. Give the same source, or the Dataset itself."
        )
    return data


def preset_for(spec):
    """Return the preset that data was read for: an ensemble's is its members'; a model of one's own has none."""
    spec = spec.of_data
    return None if spec.family is None else preset_of(spec.json())


def _kind_of(kind, source):
    if isinstance(source, tuple | list) or hasattr(source, "as_numpy_iterator"):
        return "array"
    return "array" if isinstance(source, str | Path) and Path(source).suffix == ".npz" else kind


def _array(spec, described, preprocessing, source, target):
    if isinstance(source, str | Path):
        pair, tested = read_npz(source)
        source = tested or pair
    elif hasattr(source, "as_numpy_iterator"):
        source = from_tf(source, None)
    x, y = encode(preprocessing, np.asarray(source[0])), np.asarray(source[1])
    if len(x) != len(y):
        raise KzooError(f"x has {len(x)} rows and y has {len(y)}; they must be as many.")
    if "classes" in problem(described["task"]).facts:
        y = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)
    return Split(x=x, y=_answers(y, described))


def _table(spec, described, preprocessing, source, target):
    frame = as_frame(source)
    targets = [target] if target else list(described["target_names"])
    require(frame, targets, "the table")
    frame = frame[frame[targets].notna().all(axis=1)].reset_index(drop=True)
    if not len(frame):
        raise KzooError(f"No row of the table has a target ({', '.join(targets)}).")
    return Split(x=encode(preprocessing, frame), y=_answers(frame[targets], described))


def _answers(values, described):
    """Return raw labels, an array or columns of a DataFrame, as the run's training labels were encoded."""
    return problem(described["task"]).task.light.encode(target_of(described), values)


def _text(spec, described, preprocessing, source, target):
    if isinstance(source, str | Path) and Path(source).is_dir():
        texts, labels = read_folder(Path(source))
        return Split(x=encode(preprocessing, texts), y=_answers(np.array(labels, dtype=str), described))
    if preprocessing["column"] is None and isinstance(source, str | Path) and Path(source).suffix == ".txt":
        raise KzooError("One text file has no labels: give a folder with a .txt file for each class, or a .csv file.")
    frame = as_frame(source)
    targets = [target] if target else list(described["target_names"])
    require(frame, targets, "the table")
    frame = frame[frame[targets[0]].notna()].reset_index(drop=True)
    return Split(x=encode(preprocessing, frame), y=_answers(frame[targets], described))


def _images(spec, described, preprocessing, source, target):
    places = split_folders(Path(source))
    folder, classes = places.get("test", places["train"]), described["class_names"]
    listed = {entry.name: images_below(folder, entry.name) for entry in sorted(folder.iterdir()) if entry.is_dir()}
    unknown = [name for name, files in listed.items() if files and name not in classes]
    if unknown or not any(listed.values()):
        what = f"a class {unknown[0]!r} that the run lacks" if unknown else "no images in class folders"
        raise KzooError(f"{folder.name!r} has {what}. Classes of the run: {', '.join(classes[:20])}.")
    names = [name for files in listed.values() for name in files]
    y = [classes.index(label) for label, files in listed.items() for _ in files]
    return Split(x=ImageFiles(folder, names, tuple(preprocessing["shape"])), y=np.array(y, "int32"))


def _series(spec, described, preprocessing, source, target):
    frame = in_order(as_frame(source), preprocessing.get("time"), [])
    require(frame, preprocessing["columns"], "the series")
    values = filled(frame, preprocessing["columns"], [])
    config = spec["config"]
    return cut_windows(
        values,
        "whole",
        0,
        len(values),
        preprocessing["steps"],
        config["horizon"],
        config["outputs"],
        Path(source).name,
    )


def _language(spec, described, preprocessing, source, target):
    ids = np.array(tokenizer_of(preprocessing).ids(read_text(source)), np.int32)
    length = preprocessing["length"]
    if len(ids) <= length:
        raise KzooError(f"The text has {len(ids)} tokens, and a window needs {length + 1}.")
    return token_windows(ids, length, spec["config"].get("pooling") is None)


# Kind of preprocessing -> how labelled data of that kind is read.
_LABELLED = {
    "array": _array, "table": _table, "text": _text, "image": _images, "series": _series, "language": _language,
}  # fmt: skip
