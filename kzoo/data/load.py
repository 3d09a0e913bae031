"""`load_data`: loads every kind of data source."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from numpy.typing import ArrayLike

from kzoo.data import detection
from kzoo.data.arrays import from_tf, load_arrays, read_npz
from kzoo.data.named import NAMES, load_named, name_of
from kzoo.dataset import splits
from kzoo.dataset.dataset import Dataset, Loadable
from kzoo.dataset.options import DataOptions
from kzoo.dataset.sample import sampling_note
from kzoo.kinds import kind
from kzoo.registry import Preset, get_preset, list_presets
from kzoo.sources.arrays import array_of_rows
from kzoo.sources.tables.frame import as_frame, is_pair, join_targets
from kzoo.sources.tables.raw import as_names, is_arrow
from kzoo.tasks.detection import WrongPreset
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError
from kzoo.utils.files import path_of
from kzoo.utils.formatting import listed
from kzoo.utils.optional import of_pandas


@checked_arguments
def load_data(
    source: Loadable,
    *,
    preset: str | Preset | None = None,
    target: str | Sequence[str] | None = None,
    validation: float = 0.1,
    test: "float | splits.Fold | Loadable | None" = None,
    drop: str | Sequence[str] = (),
    group: str | ArrayLike | None = None,
    task: str | None = None,
    time: str | None = None,
    columns: Mapping[str, str | Mapping[str, str]] | None = None,
    seed: int = 0,
    clip: bool = False,
) -> Dataset:
    """Load data from any source, split it and describe it.

    Args:
        source: the name of a data set (`kzoo.data.named.NAMES`); a folder of class folders of images or of `.txt`
            files, or with one `.txt` file per class (one example per line); a folder of images with a table
            `labels.csv` of files and targets; a `.csv` or Parquet table, or a folder of Parquet files; a `.txt` file
            for a language model (tables and texts may be larger than memory); an `.npz` file; a pair of arrays (x, y),
            optionally with a weight for each row, (x, y, weight), or of a DataFrame and its targets; a DataFrame or an
            Arrow table; a `tf.data.Dataset`.
        preset: what the data is for, a name or a `Preset`: it determines how a table is read, the length of texts and
            windows, the size of images, the vocabulary. Without it the source decides.
        target: column to predict (tables, text, labels of images), or columns to forecast (series); separate several
            with commas. Several columns of 0 and 1, or one of lists or of texts such as `a;b`, are labels: a row has
            any number of them.
        validation: fraction of the rows that are not in the test split; of all rows for a series or plain text.
        test: fraction of all rows (0.2 unless the source has its own test split), a second source, or a
            `kzoo.dataset.splits.Fold` (then a test split of the source is not used).
        drop: columns to leave out.
        group: column whose rows with equal values stay in one split; for arrays, an array (N,) of values.
        task: `"classification"`, `"labels"` or `"regression"`. By default, a table whose target is text, boolean, or
            integers with at most 20 different values is a classification, else a regression. In arrays of images and
            token ids, integers are classes, and numbers with fractions are values.
        time: time column of a series; the first column of dates by default.
        columns: types of columns, to override the detected ones: a dict of "number", "category", "date", or of how
            numbers are written: `{"zip": "category", "price": {"decimal": ",", "thousands": "."}}`; for a target of
            labels `{"tags": {"separator": ";"}}`. Cells of these columns in a file stay as written, such as `01067`. By
            default, a number format is detected that reads all of a column: thousands separators, decimal commas,
            currency signs, percent, accounting negatives, 万 and 亿.
        seed: seed of the split. The training seed does not affect it.
        clip: clip numeric columns of a table at their 0.1 and 99.9 percentiles (of the training rows).

    Raises:
        KzooError: the data does not exist, does not fit the preset, or cannot be learned from.
    """
    options = DataOptions(
        target=target, validation=validation, test=test, drop=drop, group=group, task=task, time=time,
        columns=columns, clip=clip, seed=seed,
    )  # fmt: skip
    options.check_loaded(source)
    return load(source, preset, options)


def load(source: Loadable, preset: str | Preset | None, options: DataOptions) -> Dataset:
    """Load data as `load_data` does, with all options as one value."""
    if isinstance(source, Dataset):
        return source
    splits.check_seed(options.seed)
    if not splits.is_source(options.test):
        splits.split_fractions(options.validation, options.test)
    preset = preset if preset is None or isinstance(preset, Preset) else get_preset(preset)
    data = _load(source, preset, options)
    data.loaded = options.stored()
    with_overview(data)
    if options.group is not None:
        data.seen["grouped"] = True
    note = sampling_note(data)
    if note is not None and note not in data.notes:
        data.notes.append(note)
    return data


def with_overview(data: Dataset) -> Dataset:
    """Add the overview of the kind of input to the data, if it has one (see `Dataset.overview`)."""
    if (overview := getattr(kind(data.inputs).fitting, "overview", None)) is not None:
        data.seen["overview"] = overview(data)
    return data


def _load(source, preset, options):
    if of_pandas(source, "Series"):
        source = source.to_frame()
    if of_pandas(source, "DataFrame") or is_arrow(source):
        return _table(as_frame(source) if is_arrow(source) else source, preset, options)
    if hasattr(source, "as_numpy_iterator"):
        return _arrays(from_tf(source, preset), "tf.data", preset, options)
    if isinstance(source, tuple | list) and len(source) in (2, 3) and not isinstance(source[0], str):
        return _arrays(source, "arrays", preset, options)
    if not isinstance(source, str | Path):
        raise KzooError(
            f"Cannot load data from {type(source).__name__}. Pass a name, a path, a DataFrame, arrays (x, y) or "
            "(x, y, weight), or a tf.data.Dataset."
        )
    if isinstance(source, str) and source in NAMES:
        return _named(source, preset, options)
    return _path(path_of(source, "a file, a folder or a data set"), preset, options)


def _named(name, preset, options):
    detection.check_named(name, preset, options)
    chosen = options.pick("validation", "test", "seed", "target", "drop", "group", "task")
    data = load_named(name, preset=preset, **chosen)
    if Path(name).exists():
        data.notes.append(f"{name} is the named data set. To load the local file or folder, use ./{name}.")
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
    return _load_detected(detection.detect_table("table", preset, options), frame, "table", preset, options)


def _load_detected(detected, data, name, preset, options):
    chosen = options.pick("validation", "test", "seed", *detected.source.options)
    try:
        return detected.kind.fitting.load(
            data, detected.source.form, problem=detected.problem, name=name, preset=preset, **chosen
        )
    except WrongPreset as error:
        raise KzooError(f"{error} {error.fix.format(', '.join(list_presets('tabular_*')))}") from None


def _arrays(pair, name, preset, options):
    x, y, *weight = pair
    if of_pandas(x, "DataFrame"):
        if weight:
            raise KzooError("Weights for a DataFrame are not supported yet. Pass arrays (x, y, weight).")
        frame, names = join_targets(x, y)
        if options.target is not None and as_names(options.target) != names:
            detection.refuse_options(options, ("target",), f"a pair (x, y) whose y is {listed(map(repr, names))}")
        test = join_targets(*options.test, names)[0] if is_pair(options.test) else options.test
        target = names if len(names) > 1 else names[0]
        return _table(frame.set_axis(x.index), preset, replace(options, target=target, test=test))
    detection.refuse_options(options, ("target", "drop", "time", "columns", "clip"), "arrays")
    groups = options.group
    if groups is not None:
        groups = splits.check_groups(groups)
        if groups.shape != array_of_rows(y, "y").shape[:1]:
            raise KzooError("group= for arrays must be an array with one value for each row.")
    test = options.test
    if hasattr(test, "as_numpy_iterator"):
        test = from_tf(test, preset)
    elif isinstance(test, str | Path):
        test = read_npz(test)[0]
    elif splits.is_source(test) and not (isinstance(test, tuple | list) and len(test) in (2, 3)):
        raise KzooError("test= for arrays must be a fraction, a second pair (x, y), or (x, y, weight).")
    chosen = options.pick("validation", "seed", "task")
    return load_arrays(x, y, *weight, name=name, groups=groups, preset=preset, test=test, **chosen)
