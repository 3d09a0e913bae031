"""Arrays in memory: (x, y), `.npz` files and `tf.data.Dataset`s become a `Dataset`."""

import itertools
import zipfile
from pathlib import Path

import numpy as np

from kzoo import kinds
from kzoo.dataset import splits
from kzoo.dataset.dataset import Dataset, Split
from kzoo.kinds.arrays import as_type as as_type  # here for kinds of packages, which take them from here
from kzoo.kinds.arrays import checked as checked
from kzoo.kinds.arrays import refuse_nan
from kzoo.sources.arrays import as_array, numbers_in, with_rows
from kzoo.storage.memory import free_memory, too_large
from kzoo.storage.windows import Mapped, select_rows
from kzoo.tasks import detection
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line, in_bytes, shown

_LARGE = 1 << 30  # bytes of an archive that are unpacked wherever it is read


def load_arrays(
    x, y, weight=None, *, name="arrays", preset=None, validation=0.1, test=None, task=None, seed=0, groups=None,
    class_names=None, preprocessing=None, notes=(), vocabulary_size=None,
):  # fmt: skip
    """Check and split a pair of arrays.

    Args:
        x: (N, ...): rows, images 0..255, token ids or series; the preset says which, else the shape.
        y: (N,) labels of any kind, one-hot rows, or numbers (N,) or (N, outputs).
        weight: (N,) how much each row counts, 0 or more; None where all count alike. It is scaled to a mean of 1 over
            the training rows.
        test: a fraction, or arrays to test on: (x, y), or (x, y, weight) where the others have weights.
        class_names: names of labels 0..n-1 where they are known.
        preprocessing: what encodes raw inputs, where it is more than a check of shapes.
        vocabulary_size: number of token ids, where it is known.

    Raises:
        KzooError: lengths that differ, NaN, labels that are no labels, pixels divided by 255, weights that are negative
            or all 0.
    """
    notes = list(notes)
    kind = kinds.kind(preset.config["inputs"]) if preset is not None else _guess(x)
    x, y = _inputs(x, kind, preset), with_rows(y, "y")
    weight, first = None if weight is None else weights_of(weight, len(x), "weight"), len(x)
    tested = None
    if splits.is_source(test):
        tested = _inputs(test[0], kind, preset), with_rows(test[1], "test y")
    for part, (its_x, its_y) in {"": (x, y), "test ": tested}.items() if tested else {"": (x, y)}.items():
        if len(its_x) != len(its_y):
            raise KzooError(f"{part}x has {len(its_x)} rows and {part}y has {len(its_y)}; they must be as many.")
    if tested:
        if tested[0].shape[1:] != x.shape[1:]:
            raise KzooError(f"Test inputs have shape {tested[0].shape[1:]}, training inputs {x.shape[1:]}.")
        x, y = _joined(x, tested[0]), np.concatenate([y, tested[1]])
        of_test = test[2] if len(test) > 2 else None
        if (of_test is None) != (weight is None):
            raise KzooError("Weights are for training and test rows alike: give both as (x, y, weight), or none.")
        if weight is not None:
            weight = np.concatenate([weight, weights_of(of_test, len(x) - first, "test weight")])
    chosen, raw, known = _targets(y, kind.name, task, preset, class_names, notes)
    learned, y, parts, more = splits.split_target(
        chosen.task,
        raw,
        first,
        known=known,
        validation=validation,
        test=0 if tested else test,
        seed=seed,
        groups=groups,
    )
    places = tuple(str(place) for place in range(len(learned.classes)))
    if known is None and raw.dtype.kind in "biuf" and learned.classes != places:
        notes.append(f"Labels {learned.classes[0]}..{learned.classes[-1]} were numbered 0..{places[-1]}.")
    if tested:
        parts["test"] = np.arange(first, len(x))
    train = parts["train"]
    if weight is not None:
        if not (total := weight[train].sum()) > 0:
            raise KzooError("weight is 0 for every training row: nothing would be learned.")
        weight = (weight * (len(train) / total)).astype(np.float32)
    config = {"input_shape": x.shape[1:], **learned.config}
    # Where the user has scaled the numbers (rescale=False), the network leaves them alone.
    plain = preset is not None and preset.config.get("rescale") is False
    if plain:
        config = {name: value for name, value in config.items() if name not in ("target_offset", "target_scale")}
    x, more_config, reader = kind.fitting.fit(x, train, plain=plain, notes=notes, vocabulary_size=vocabulary_size)
    return Dataset(
        name=name,
        task=chosen.name,
        inputs=kind.name,
        **{
            part: rows
            if rows is None
            else Split(x=select_rows(x, rows), y=y[rows], rows=rows, weight=None if weight is None else weight[rows])
            for part, rows in parts.items()
        },
        config=config | more_config,
        preprocessing=preprocessing or reader or kinds.ready(kind.name, x.shape[1:]),
        class_names=learned.classes,
        target_names=learned.names,
        notes=notes + more,
        fingerprint=splits.fingerprint(
            x, y, *parts.values(), list(learned.classes), *([] if weight is None else [weight])
        ),
    )


def weights_of(weight, rows, what):
    """Return weights of rows (N,) in double precision.

    Raises:
        KzooError: not one number for each row, or one that is negative, NaN or infinite.
    """
    weight = numbers_in(weight, what.capitalize()).astype(np.float64)
    if weight.shape != (rows,):
        raise KzooError(f"{what} has the shape {weight.shape}: give one number for each of the {rows} rows.")
    if (weight < 0).any():
        row = int(np.argmax(weight < 0))
        raise KzooError(f"{what} holds {weight[row]:g} in row {row + 1}: a weight is 0 or more.")
    return weight


def _joined(x, tested):
    """Return inputs with those of a second source behind them, in memory."""
    size = sum(int(np.prod(array.shape)) * array.dtype.itemsize for array in (x, tested))
    if (isinstance(x, Mapped) or isinstance(tested, Mapped)) and too_large(size):
        raise KzooError(
            f"x and test x take {in_bytes(size)}, and memory has no room for both: give one array in a file, and a "
            "fraction as test=."
        )
    return np.concatenate([x[:], tested[:]])


def _guess(x):
    """Return the kind that an array is by its look; bytes in three axes are images without channels."""
    x = as_array(x, "x")
    axes = max(x.ndim, 2) + (x.ndim == 3 and x.dtype == np.uint8)
    kind = kinds.of_axes(axes)
    if not x.ndim or len(kind.axes) + 1 != axes:
        raise KzooError(f"x of shape {x.shape} is neither rows, images, token ids nor series; say preset=.")
    return kind


def _inputs(x, kind, preset):
    x = as_array(x, "x")
    if x.dtype == object or x.dtype.kind not in "biuf":
        raise KzooError(f"x holds {x.dtype}, not numbers; strings go in as a CSV file, a DataFrame or text files.")
    return kind.fitting.take(x, preset)


def _targets(y, kind, task, preset, known, notes):
    """Return the problem, raw labels (N,) or targets (N, ...), and the names of the classes where they are known."""
    if y.dtype == object:
        try:
            y = y.astype(str) if any(isinstance(v, str) for v in y.reshape(-1)) else y.astype(np.float64)
        except (OverflowError, TypeError, ValueError) as error:  # a number of 400 digits, a None, an object
            raise KzooError(f"y holds what is neither a label nor a number: {first_line(error)}.") from None
    refuse_nan(y, "y")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim > 2:
        raise KzooError(f"y of shape {y.shape} is neither labels (N,), one-hot rows nor targets (N, outputs).")
    _refuse_label_matrix(y, task)
    onehot = y.ndim == 2 and y.dtype.kind in "biuf" and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()
    fixed, possible = detection.fixed_by(preset), list(detection.fitting(kind).values())
    columns = [y.argmax(axis=1).astype(str)] if onehot else list(y.T) if y.ndim == 2 else [y]
    likely, _ = detection.likely_problem(kind, columns)
    if task is not None:
        chosen = detection.requested_problem(kind, task)
    elif fixed is None or fixed.task not in [one.task for one in possible]:
        if len(columns) > 1 and detection.would_be_classes(kind, columns)[1]:
            raise KzooError(
                f"The {len(columns)} columns of y are labels (of the first "
                f"{detection.likely_problem(kind, columns[:1])[1]}), and "
                "several labels to a row are not supported yet. Give one column of it, y[:, k]; or say "
                "task='regression'."
            )
        chosen = likely or possible[0]
    else:
        chosen = next(one for one in possible if one.task is fixed.task)
    if task is None and likely is None:
        notes += _classes_as_values(y, onehot, kind)
    if "classes" not in chosen.facts:
        return chosen, y, None
    if onehot:
        y = y.argmax(axis=1)
        notes.append("One-hot labels were turned into integers.")
        known = known or [str(i) for i in range(int(y.max()) + 1)]
    if y.ndim != 1:
        raise KzooError(f"Labels have shape (N,) or are one-hot rows; got {y.shape}.")
    if y.dtype.kind == "f" and (y != np.round(y)).any():
        raise KzooError(f"Class labels must be whole numbers or strings; y holds {y[y != np.round(y)][0]:g}.")
    if known:
        return chosen, np.asarray(known)[y.astype(int)], known
    return chosen, y, None


def _classes_as_values(y, onehot, kind):
    """Yield a line on numbers that may be classes, of inputs whose classes no task of kzoo tells apart.

    Raises:
        KzooError: labels that are no numbers.
    """
    classes = f"classes of {kind} inputs are not supported yet: give features of each input as a row of a table"
    if y.dtype.kind not in "biuf":
        raise KzooError(f"y holds labels such as {shown(str(y.flat[0]))}, and {classes}.")
    numbers = np.unique(y).astype(float)
    what = f"{len(numbers)} different whole numbers, {numbers[0]:g} to {numbers[-1]:g}"
    what = "one-hot rows" if onehot else "true and false" if y.dtype.kind == "b" else what
    yield f"y holds {what}, read as values of a regression. If they are, say task='regression'; {classes}."


def _refuse_label_matrix(y, task):
    """Refuse rows of 0 and 1 with several 1s or none, unless somebody calls them values: they are several labels."""
    if y.ndim != 2 or y.shape[1] < 2 or y.dtype.kind not in "biuf" or not np.isin(y, (0, 1)).all():
        return
    if task is None and (y.sum(axis=1) != 1).any():
        row = int(np.flatnonzero(y.sum(axis=1) != 1)[0])
        raise KzooError(
            f"y is a matrix of 0 and 1, and row {row} has {int(y[row].sum())} of its {y.shape[1]} labels: "
            "several labels to a row are no task of kzoo yet. Give one column of it, y[:, k]; or say task='regression'."
        )


def read_npz(path):
    """Return ((x, y), test pair or None) from a `.npz` file of the usual names."""
    name = Path(path).name
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > max(_LARGE, free := free_memory()):
            raise KzooError(f"{name!r} takes {in_bytes(size)} unpacked, and memory has {in_bytes(free)} free.")
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except MemoryError:
        raise KzooError(f"{name!r} holds arrays that memory has no room for.") from None
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise KzooError(f"Cannot read {name!r} as .npz arrays: {str(error).splitlines()[0]}") from None
    for train, test in ((("x_train", "y_train"), ("x_test", "y_test")), (("x", "y"), ("x_test", "y_test"))):
        if all(key in arrays for key in train):
            pair = tuple(arrays[key] for key in train)
            return pair, tuple(arrays[key] for key in test) if all(key in arrays for key in test) else None
    raise KzooError(f"{name!r} holds {', '.join(arrays) or 'nothing'}; expected x_train and y_train, or x and y.")


def from_tf(dataset, preset):
    """Return (x, y) from a `tf.data.Dataset` of pairs, batched or not."""
    cardinality = getattr(dataset, "cardinality", None)
    if cardinality is not None and int(cardinality()) == -1:
        raise KzooError("This tf.data.Dataset never ends; use take(n) on it.")
    items = dataset.as_numpy_iterator()
    first = next(items, None)
    if not isinstance(first, tuple) or len(first) < 2:
        raise KzooError("A tf.data.Dataset must yield (x, y) pairs, and at least one.")
    if len(first) > 2:
        raise KzooError(
            "This tf.data.Dataset yields (x, y, weights), and kzoo.train does not weigh single rows. Leave the weights "
            "out with map(lambda x, y, w: (x, y)); class_weight='balanced' weighs classes."
        )
    rank = np.ndim(first[0])
    single = rank == len(preset.config["input_shape"]) if preset is not None else np.ndim(first[1]) == 0
    join = np.stack if single else np.concatenate
    xs, ys = zip(*((item[0], item[1]) for item in itertools.chain([first], items)), strict=True)
    return join([np.asarray(x) for x in xs]), join([np.asarray(y) for y in ys])
