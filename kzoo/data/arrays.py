"""Arrays in memory: (x, y), `.npz` files and `tf.data.Dataset`s become a `Dataset`."""

import itertools
import zipfile
from collections.abc import Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data import splits
from kzoo.data.dataset import Dataset
from kzoo.data.inputs.arrays import as_type as as_type  # re-exported for kinds in other packages
from kzoo.data.inputs.arrays import checked as checked
from kzoo.data.inputs.arrays import refuse_nan
from kzoo.data.options import LoadRequest
from kzoo.data.store.windows import Mapped
from kzoo.data.targets import detection
from kzoo.data.targets.fit import fit_targets
from kzoo.data.targets.weights import weights_of
from kzoo.inference.sources.arrays import array_of_rows, as_array
from kzoo.inference.tables.label_cells import has_lists
from kzoo.problems import kinds
from kzoo.problems.layout import Preprocessor, RawInputs
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line, in_bytes, shown
from kzoo.utils.memory import free_memory, too_large

if TYPE_CHECKING:
    import tensorflow as tf

    from kzoo.problems.kinds import Kind
    from kzoo.problems.tasks import Problem
    from kzoo.zoo.registry import Preset


_LARGE = 1 << 30  # bytes of an archive that are always unpacked


def load_arrays(
    request: LoadRequest,
    *,
    class_names: Sequence[str] | None = None,
    preprocessing: Preprocessor | None = None,
    vocabulary_size: int | None = None,
) -> Dataset:
    """Check and split arrays (x, y) or (x, y, weight).

    * x: (N, ...): rows, images 0..255, token ids or series; the preset determines which, else the shape.
    * y: (N,) labels of any type, one-hot rows, or numbers (N,) or (N, outputs); for several labels per row, a matrix
      (N, labels) of 0, 1 and NaN (unknown), or a list of lists of labels.
    * weight: (N,) how much each row counts, 0 or more. Scaled to a mean of 1 over the training rows; those of weight 0
      are left out.

    Args:
        request: the arrays as its source. Second sources are arrays too, with weights if the training rows have some;
            `group` is an array (N,).
        class_names: names of labels 0..n-1 if they are known.
        preprocessing: reader of raw inputs, if more than a check of shapes is needed.
        vocabulary_size: number of token ids, if it is known.

    Raises:
        KzooError: lengths differ, there are NaN, invalid labels, pixels divided by 255, or weights that are negative or
            all 0.
    """
    x, y, *weights = request.source
    preset = request.preset
    options = request.options
    notes: list[str] = []
    padded = {}
    others = dict(request.second_sources)
    inputs = {
        part: source[0]
        for part, source in others.items()
        if isinstance(source, tuple | list) and len(source) > 1
    }
    if (unequal := _padded_series(x, inputs, preset)) is not None:
        x, inputs = unequal
        padded = {"padded": True}
        notes.append(
            f"The series have up to {x.shape[1]:,} steps: shorter ones are padded at the end, and a mask excludes the "
            "padding."
        )
        others |= {part: (part_x, *others[part][1:]) for part, part_x in inputs.items()}
    kind = kinds.kind(preset.config["inputs"]) if preset is not None else _infer_kind(x)
    x = _inputs(x, kind, preset)
    y = array_of_rows(y, "y")
    weight = weights_of(weights[0], len(x), "weight") if weights else None
    first = len(x)
    _check_lengths("", x, y)
    sizes = {}  # split -> number of rows of its second source, which follow the others
    for part, source in others.items():
        if not isinstance(source, tuple | list) or len(source) not in (2, 3):
            raise KzooError(
                "must be a fraction, a second pair (x, y), or (x, y, weight).",
                argument=part,
                value=source,
            )
        part_x = _inputs(source[0], kind, preset)
        part_y = array_of_rows(source[1], f"{part} y")
        _check_lengths(f"{part} ", part_x, part_y)
        if part_y.shape[1:] != y.shape[1:]:
            raise KzooError(
                f"{part.capitalize()} targets must have the shape of the training targets {y.shape[1:]}, not "
                f"{part_y.shape[1:]}."
            )
        if part_x.shape[1:] != x.shape[1:]:
            raise KzooError(
                f"{part.capitalize()} inputs must have the shape of the training inputs {x.shape[1:]}, not "
                f"{part_x.shape[1:]}."
            )
        sizes[part] = len(part_x)
        x = _concatenate(x, part_x, part)
        y = np.concatenate([y, part_y])
        if (len(source) > 2) != (weight is not None):
            raise KzooError(
                f"Weights are needed for both training and {part} rows, or for neither. Pass both as (x, y, weight)."
            )
        if weight is not None:
            weight = np.concatenate([weight, weights_of(source[2], len(part_x), f"{part} weight")])
    chosen, raw, known_names = _targets(y, kind.name, options.task, preset, class_names, notes)
    targets = fit_targets(
        chosen,
        raw,
        first,
        classes=known_names if "labels" not in chosen.facts else class_names,
        options=options,
        groups=None if options.group is None else np.asarray(options.group),
        weight=weight,
        weight_source="the array",
        others=sizes,
    )
    learned = targets.learned
    numbers = tuple(str(number) for number in range(len(learned.classes)))
    if (
        known_names is None
        and "classes" in chosen.facts
        and raw.dtype.kind in "biuf"
        and learned.classes != numbers
    ):
        notes.append(
            f"Labels {learned.classes[0]}..{learned.classes[-1]} were mapped to 0..{numbers[-1]}."
        )
    notes += targets.weight_notes
    weighted = {} if weight is None else {"weight": weight[targets.train]}
    config = {"input_shape": x.shape[1:], **learned.config}
    # If the user has rescaled the inputs (rescale=False), the network does not rescale anything.
    plain = preset is not None and preset.config.get("rescale") is False
    if plain:
        config = {
            name: value
            for name, value in config.items()
            if name not in ("target_offset", "target_scale")
        }
    x, more_config, reader = kind.fitting.fit(
        x,
        targets.train,
        plain=plain,
        notes=notes,
        vocabulary_size=vocabulary_size,
        **weighted,
        **padded,
    )
    return targets.dataset(
        targets.splits(x),
        name=request.name,
        inputs=kind.name,
        config=config | more_config,
        preprocessing=preprocessing or reader or kinds.array_preprocessor(kind.name, x.shape[1:]),
        notes=notes,
        fingerprint=splits.fingerprint(
            x,
            targets.y,
            *targets.parts.values(),
            list(learned.classes),
            *([] if weight is None else [targets.weight]),
        ),
    )


def _padded_series(
    x: RawInputs, others: Mapping[str, RawInputs], preset: "Preset | None"
) -> tuple[np.ndarray, dict[str, np.ndarray]] | None:
    """Return series of different lengths as padded arrays with a mask, of x and of other inputs; None for other inputs.

    Args:
        x: inputs.
        others: split -> inputs of its second source.
        preset: the preset, or None.
    """
    names = [preset.config["inputs"]] if preset is not None else kinds.NAMES
    for name in names:
        kind = kinds.kind(name)
        if kind.facts >= {"columns", "steps"} and hasattr(kind.fitting, "padded_arrays"):
            return kind.fitting.padded_arrays(x, others)
    return None


def _concatenate(x: np.ndarray | Mapped, more_x: np.ndarray | Mapped, name: str) -> np.ndarray:
    """Return inputs followed by those of a second source, in memory."""
    size = sum(int(np.prod(array.shape)) * array.dtype.itemsize for array in (x, more_x))
    if (isinstance(x, Mapped) or isinstance(more_x, Mapped)) and too_large(size):
        raise KzooError(
            f"x and {name} x do not fit into memory together ({in_bytes(size)}). Pass a single array in a file, and a "
            f"fraction as {name}=."
        )
    return np.concatenate([x[:], more_x[:]])


def _check_lengths(name: str, x: Sized, y: Sized) -> None:
    """Raise KzooError if inputs and targets differ in length; `name` is "" or "test "."""
    if len(x) != len(y):
        raise KzooError(
            f"{name}x and {name}y must have the same number of rows ({name}x: {len(x)}, {name}y: {len(y)})."
        )


def _infer_kind(x: RawInputs) -> "Kind":
    """Return the kind of input suggested by an array's shape; bytes with three axes are images without channels."""
    x = as_array(x, "x")
    axes = max(x.ndim, 2) + (x.ndim == 3 and x.dtype == np.uint8)
    kind = kinds.kind_of_array(axes)
    if not x.ndim or len(kind.axes) + 1 != axes:
        raise KzooError(
            f"Cannot tell whether x of shape {x.shape} contains rows, images, token ids or series. Set preset=."
        )
    return kind


def _inputs(x: RawInputs, kind: "Kind", preset: "Preset | None") -> np.ndarray | Mapped:
    x = as_array(x, "x")
    if x.dtype == object or x.dtype.kind not in "biuf":
        raise KzooError(
            f"x must be numeric, not of type {x.dtype}. Pass strings as a CSV file, a DataFrame or text files."
        )
    return kind.fitting.take(x, preset)


def _targets(
    y: np.ndarray,
    kind: str,
    task: str | None,
    preset: "Preset | None",
    names: Sequence[str] | None,
    notes: list[str],
) -> "tuple[Problem, np.ndarray, Sequence[str] | None]":
    """Return the problem, raw labels (N,) or targets (N, ...), and the class names if they are known."""
    if (labelled := _labels(y, kind, task, preset, notes)) is not None:
        return labelled
    if y.dtype == object:
        try:
            y = (
                y.astype(str)
                if any(isinstance(v, str) for v in y.reshape(-1))
                else y.astype(np.float64)
            )
        except (
            OverflowError,
            TypeError,
            ValueError,
        ) as error:  # a number with 400 digits, None, an object
            raise KzooError(
                f"y has a value that is neither a label nor a number: {first_line(error)}."
            ) from None
    refuse_nan(y, "y")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim > 2:
        raise KzooError(
            f"y must be labels (N,), one-hot rows or targets (N, outputs). Got an array of shape {y.shape}."
        )
    onehot = (
        y.ndim == 2
        and y.dtype.kind in "biuf"
        and np.isin(y, (0, 1)).all()
        and (y.sum(axis=1) == 1).all()
    )
    fixed = _fixed_problem(preset, y)
    possible = list(detection.supported_problems(kind).values())
    columns = [y.argmax(axis=1).astype(str)] if onehot else list(y.T) if y.ndim == 2 else [y]
    likely, reason = detection.likely_problem(kind, columns)
    usual = _usual_problem(kind)
    many = False
    if (
        usual is not None
        and likely is not usual
        and len(columns) == 1
        and (names or y.dtype.kind in "iu")
    ):
        # as in Keras, integers are class numbers, whatever their number
        likely = usual
        many = not names
    if task is not None:
        chosen = detection.requested_problem(kind, task)
    elif fixed is None or fixed.task not in [candidate.task for candidate in possible]:
        if len(columns) > 1 and detection.class_like_targets(kind, columns)[1]:
            raise KzooError(
                f"The {len(columns)} columns of y look like classes (the first: "
                f"{detection.likely_problem(kind, columns[:1])[1]}), and several labels per row must be a matrix of 0 "
                "and 1. Pass one column, y[:, k], or set task='regression'."
            )
        chosen = likely or possible[0]
    else:
        chosen = next(candidate for candidate in possible if candidate.task is fixed.task)
    if task is None and likely is None:
        notes += _classes_as_values(y, onehot, kind)
    elif task is None and many:
        notes.append(
            f"y has {len(np.unique(y))} different integers, which are treated as classes. If they are values, such as "
            "ages, set task='regression'."
        )
    elif task is None and usual is not None and chosen is not usual:
        notes.append(
            f"{chosen.name.replace('_', ' ').capitalize()}: y has values ({reason}); task= overrides."
        )
    elif (
        task is None
        and usual is None
        and "classes" in chosen.facts
        and "steps" in kinds.kind(kind).facts
    ):
        # Numbers of series were values once, and often are.
        notes.append(
            f"{chosen.name.replace('_', ' ').capitalize()}: y has classes ({reason})."
            + (" If they are values, set task='regression'." if y.dtype.kind in "biuf" else "")
        )
    if task is None and not names and (note := detection.count_note(chosen, columns)):
        notes.append(f"y: {note}")
    if "classes" not in chosen.facts:
        return chosen, y, None
    if onehot:
        y = y.argmax(axis=1)
        notes.append("One-hot labels were converted to integers.")
        names = names or [str(i) for i in range(int(y.max()) + 1)]
    if y.ndim != 1:
        raise KzooError(
            f"Labels must have the shape (N,) or be one-hot rows. Got an array of shape {y.shape}."
        )
    if y.dtype.kind == "f" and (y != np.round(y)).any():
        raise KzooError(
            f"Class labels must be whole numbers or strings, but y contains {y[y != np.round(y)][0]:g}."
        )
    if names:
        return chosen, np.asarray(names)[y.astype(int)], names
    return chosen, y, None


def _fixed_problem(preset: "Preset | None", y: np.ndarray) -> "Problem | None":
    """Return the only problem that a preset supports; None if it is for values, and y has no numbers."""
    fixed = detection.only_problem(preset)
    return (
        None
        if fixed is not None and "values" in fixed.facts and y.dtype.kind not in "biuf"
        else fixed
    )


def _usual_problem(kind: str) -> "Problem | None":
    """Return the problem that the labels of a kind of input are for by default; None if the target decides."""
    usual = next(
        (source.usual for source in kinds.kind(kind).sources if source.order == "unordered"), ""
    )
    return detection.requested_problem(kind, usual) if usual else None


def _classes_as_values(y: np.ndarray, onehot: bool | np.bool_, kind: str) -> Iterator[str]:
    """Yield a note on numbers that may be classes, for kinds of input without classification.

    Raises:
        KzooError: the labels are not numbers.
    """
    advice = f"classes of {kind} inputs are not supported yet. Pass features of each input as a row of a table"
    if y.dtype.kind not in "biuf":
        raise KzooError(f"y has labels such as {shown(str(y.flat[0]))}, but {advice}.")
    numbers = np.unique(y).astype(float)
    description = f"{len(numbers)} different integers, {numbers[0]:g} to {numbers[-1]:g}"
    description = (
        "one-hot rows" if onehot else "true and false" if y.dtype.kind == "b" else description
    )
    yield (
        f"y has {description}, which are treated as values of a regression. If that is right, set task='regression'; "
        f"{advice}."
    )


def _labels(
    y: np.ndarray, kind: str, task: str | None, preset: "Preset | None", notes: list[str]
) -> "tuple[Problem, np.ndarray, None] | None":
    """Return the problem, labels and None if y is a matrix of 0 and 1, or a list of lists of labels; else None.

    One-hot rows are classes, unless `task` says that they are labels, and `task` may say that they are values.

    Raises:
        KzooError: `task` is labels, and y has other values; or the kind of input has no labels.
    """
    requested = None if task is None else detection.requested_problem(kind, task)
    problem = next(
        (p for p in detection.supported_problems(kind).values() if "labels" in p.facts), None
    )
    if requested is not None and "labels" not in requested.facts:
        return None
    fixed = detection.only_problem(preset)
    if requested is None and fixed is not None and not fixed.facts & {"classes", "labels"}:
        return None
    if problem is not None and y.ndim == 1 and y.dtype == object and has_lists(y):
        notes.append("Labels: y has a list of labels for each row; task= overrides.")
        return problem, y, None
    is_matrix = y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "biuf"
    flags = is_matrix and bool((np.isnan(y.astype(float)) | np.isin(y, (0, 1))).all())
    if requested is not None and not flags:
        wrong: Any = y[~(np.isnan(y.astype(float)) | np.isin(y, (0, 1)))] if is_matrix else ()
        which = (
            f"y has {wrong[0]:g}"
            if len(wrong)
            else f"Got an array of shape {y.shape} and type {y.dtype}"
        )
        raise KzooError(
            f"needs y as a matrix (N, labels) of 0, 1 and NaN, or a list of labels for each row. {which}.",
            argument="task",
            value=task,
        )
    if not flags or (requested is None and (np.nansum(y, axis=1) == 1).all()):
        return None
    if problem is None:
        row = int(np.flatnonzero(np.nansum(y, axis=1) != 1)[0])
        raise KzooError(
            f"y is a matrix of 0 and 1, and row {row} has {int(np.nansum(y[row]))} of its {y.shape[1]} labels. Labels "
            f"of {kind} inputs are not supported. Pass one column, y[:, k], or set task='regression'."
        )
    notes.append(f"Labels: y is a matrix of 0 and 1 with {y.shape[1]} columns; task= overrides.")
    return problem, y, None


def read_npz(path: str | Path) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...] | None]:
    """Return ((x, y), test pair or None) from a `.npz` file with conventional array names."""
    name = Path(path).name
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > max(_LARGE, free := free_memory()):
            raise KzooError(
                f"{name!r} does not fit into memory: {in_bytes(size)} unpacked, {in_bytes(free)} free."
            )
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except KzooError:  # a ValueError: it would be quoted in another message
        raise
    except MemoryError:
        raise KzooError(f"The arrays of {name!r} do not fit into memory.") from None
    except Exception as error:  # zipfile, its decompressors and NumPy raise many types
        raise KzooError(f"Cannot read {name!r} as .npz arrays: {first_line(error)}.") from None
    for train, test in (
        (("x_train", "y_train"), ("x_test", "y_test")),
        (("x", "y"), ("x_test", "y_test")),
    ):
        if all(key in arrays for key in train):
            pair = tuple(arrays[key] for key in train)
            return pair, tuple(arrays[key] for key in test) if all(
                key in arrays for key in test
            ) else None
    raise KzooError(
        f"{name!r} must contain the arrays x_train and y_train, or x and y. Found: {', '.join(arrays) or 'nothing'}."
    )


def from_tf(dataset: "tf.data.Dataset", preset: "Preset | None") -> tuple[np.ndarray, ...]:
    """Return (x, y) from a `tf.data.Dataset` of pairs, or (x, y, weight) from one of triples, batched or not."""
    cardinality = getattr(dataset, "cardinality", None)
    if cardinality is not None and int(cardinality()) == -1:
        raise KzooError("This tf.data.Dataset is infinite. Limit it with take(n).")
    examples = dataset.as_numpy_iterator()
    first = next(examples, None)
    if not isinstance(first, tuple) or len(first) < 2:
        raise KzooError("A tf.data.Dataset must yield at least one (x, y) pair.")
    if len(first) > 3:
        raise KzooError(
            f"A tf.data.Dataset must yield (x, y) or (x, y, weight), not {len(first)} parts."
        )
    rank = np.ndim(first[0])
    single = (
        rank == len(preset.config["input_shape"]) if preset is not None else np.ndim(first[1]) == 0
    )
    join = np.stack if single else np.concatenate
    columns = zip(*itertools.chain([first], examples), strict=True)
    return tuple(join([np.asarray(part) for part in column]) for column in columns)
