"""`reload`: the data of a run again, or new labelled data encoded as the run's training data was."""

from pathlib import Path

import numpy as np

from kzoo.data import splits
from kzoo.data.arrays import from_tf, read_npz
from kzoo.data.dataset import Dataset, Split
from kzoo.data.encode import encode
from kzoo.data.load import load_data
from kzoo.data.named import NAMES
from kzoo.errors import KzooError
from kzoo.kinds import kind_of, takes_ready_arrays
from kzoo.registry import preset_of
from kzoo.tasks import problem, target_of


def reload(spec, described, preprocessing, source=None, *, target=None) -> Dataset:
    """Return data to score a run on.

    Args:
        spec, described, preprocessing: what the run stored of its model, its data, and its encoding.
        source: None or a named set is loaded and split as it was for the run; a file, a folder or arrays
            are taken whole, as the test split, and nothing is learned from them.
        target: name of the target column where it differs from the run's.

    Raises:
        KzooError: the run's own data is not a named set, or has changed since; or new data that does not fit.
    """
    if source is None or (isinstance(source, str) and source in NAMES):
        return _named(spec, described, source or described["name"])
    if isinstance(source, str | Path) and not Path(source).exists():
        raise KzooError(f"No file, folder or data set {str(source)!r}. Data sets by name: {', '.join(NAMES)}.")
    if takes_ready_arrays(preprocessing) or _holds_arrays(source):
        part = _array(spec, described, preprocessing, source)
    else:
        part = _raw(spec, described, preprocessing, source, target)
    if not len(part):
        raise KzooError("There is nothing to score in this data.")
    return Dataset(
        name=Path(source).name if isinstance(source, str | Path) else "arrays",
        task=spec["task"],
        inputs=described["inputs"],
        train=part,
        test=part,
        config=dict(spec["config"]),
        class_names=tuple(described["class_names"]),
        target_names=tuple(described["target_names"]),
        preprocessing=preprocessing,
    )


def preset_for(spec):
    """Return the preset that a run's data was read for: an ensemble's is its members'; one's own model has none."""
    spec = spec.get("members", [spec])[0]
    return None if spec["family"] is None else preset_of(spec)


def _named(spec, described, name):
    if name not in NAMES:
        raise KzooError(f"The run was trained on {name!r}, which is no named set: say data= (--data) to score it.")
    options = dict(described["options"])
    if isinstance(options["test"], dict):
        options["test"] = splits.Fold(**options["test"])
    data = load_data(name, preset=preset_for(spec), seed=described["data_seed"], **options)
    if name == described["name"] and data.fingerprint != described["fingerprint"]:
        raise KzooError(f"The data set {name!r} has changed since the run was trained; train again to compare.")
    return data


def _holds_arrays(source):
    """Say whether this is a pair of arrays, or a file or a `tf.data.Dataset` of them."""
    if isinstance(source, tuple | list) or hasattr(source, "as_numpy_iterator"):
        return True
    return isinstance(source, str | Path) and Path(source).suffix == ".npz"


def _raw(spec, described, preprocessing, source, target):
    """Return new raw data with its answers, which are still to be encoded unless the inputs hold them."""
    targets = [target] if target else list(described["target_names"])
    part = kind_of(preprocessing).learn.labelled(preprocessing, source, targets=targets, config=spec["config"])
    known = "ordered" in problem(spec["task"]).facts
    return part if known else Split(x=part.x, y=_answers(part.y, described))


def _array(spec, described, preprocessing, source):
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


def _answers(values, described):
    """Return raw labels, an array or columns of a DataFrame, as the run's training labels were encoded."""
    return problem(described["task"]).task.light.encode(target_of(described), values)
