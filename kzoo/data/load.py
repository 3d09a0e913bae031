"""`load_data`: one door for every source of data."""

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
from kzoo.sources.arrays import with_rows
from kzoo.sources.tables.frame import as_frame, is_pair, with_answers
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
    """Load data from anywhere, split it and describe it.

    Args:
        source: the name of a data set (`kzoo.data.named.NAMES`); a folder of class folders of images or of
            `.txt` files, or with one `.txt` file per class (an example a line); a `.csv` or Parquet table, or a folder
            of Parquet files; a `.txt` file for a language model, each also where memory has no room for it; an `.npz`
            file; a pair of arrays (x, y), also with a weight for each row, (x, y, weight), or of a DataFrame and its
            answers; a DataFrame or a table of Arrow; a `tf.data.Dataset`.
        preset: what the data is for, a name or a `Preset`: it decides what a table is read as, the length of
            texts and windows, the size of images, the vocabulary. Without it the source decides.
        target: column to predict (tables, text), or columns to forecast (series); several with commas.
        validation: fraction of what the test split leaves; of all rows of a series or plain text.
        test: fraction of all rows (0.2 unless the source has a test split of its own), a second source, or a
            `kzoo.dataset.splits.Fold` (a test split of the source's own is then left untouched).
        drop: columns to leave out.
        group: column whose rows of one value never straddle two splits; of arrays an array (N,) of values.
        task: `"classification"` or `"regression"`. A table whose target is text, boolean, or whole numbers
            of at most 20 different values is a classification, else a regression, unless this says otherwise.
        time: time column of a series; the first column of dates by default.
        columns: what columns of a table are, where it is not what kzoo takes them for: a dict of "number",
            "category", "date", or of how numbers are written: `{"zip": "category", "price": {"decimal": ",",
            "thousands": "."}}`. A file's cells of these stay as they are written, such as `01067`. Without it, a way
            of writing is found that reads all of a column: thousands separators, decimal commas, currency signs,
            percent, accounting negatives, 万 and 亿.
        seed: draws the split. The training seed never moves it.
        clip: cut numeric columns of a table off at their 0.1 and 99.9 percentiles (of the training rows).

    Raises:
        KzooError: no such data, data that does not fit the preset, or data that nothing can be learned from.
    """
    asked = DataOptions(
        target=target, validation=validation, test=test, drop=drop, group=group, task=task, time=time,
        columns=columns, clip=clip, seed=seed,
    )  # fmt: skip
    asked.check_loaded(source)
    return load(source, preset, asked)


def load(source: Loadable, preset: str | Preset | None, asked: DataOptions) -> Dataset:
    """Do what `load_data` says, with all that was asked of the data as one value."""
    if isinstance(source, Dataset):
        return source
    splits.check_seed(asked.seed)
    if not splits.is_source(asked.test):
        splits.fractions(asked.validation, asked.test)
    preset = preset if preset is None or isinstance(preset, Preset) else get_preset(preset)
    data = _load(source, preset, asked)
    data.loaded = asked.stored()
    with_overview(data)
    if asked.group is not None:
        data.seen["grouped"] = True
    said = sampling_note(data)
    if said is not None and said not in data.notes:
        data.notes.append(said)
    return data


def with_overview(data: Dataset) -> Dataset:
    """Let the kind of input say how data was read, where it says anything (see `Dataset.overview`)."""
    if (overview := getattr(kind(data.inputs).fitting, "overview", None)) is not None:
        data.seen["overview"] = overview(data)
    return data


def _load(source, preset, asked):
    if of_pandas(source, "Series"):
        source = source.to_frame()
    if of_pandas(source, "DataFrame") or is_arrow(source):
        return _table(as_frame(source) if is_arrow(source) else source, preset, asked)
    if hasattr(source, "as_numpy_iterator"):
        return _arrays(from_tf(source, preset), "tf.data", preset, asked)
    if isinstance(source, tuple | list) and len(source) in (2, 3) and not isinstance(source[0], str):
        return _arrays(source, "arrays", preset, asked)
    if not isinstance(source, str | Path):
        raise KzooError(
            f"Cannot load data from {type(source).__name__}: give a name, a path, a DataFrame, arrays (x, y) or "
            "(x, y, weight), or a tf.data.Dataset."
        )
    if isinstance(source, str) and source in NAMES:
        return _named(source, preset, asked)
    return _path(path_of(source, "a file, a folder or a data set"), preset, asked)


def _named(name, preset, asked):
    detection.check_named(name, preset, asked)
    chosen = asked.pick("validation", "test", "seed", "target", "drop", "group", "task")
    data = load_named(name, preset=preset, **chosen)
    if Path(name).exists():
        data.notes.append(f"{name} is the data set of that name; what lies here under the same name is ./{name}.")
    return data


def _path(path, preset, asked):
    seen = detection.detect(path, preset, asked)
    if seen is not None:
        return _of_source(seen, path, name_of(path), preset, asked)
    pair, tested = read_npz(path)
    if asked.test is None and tested is not None:
        asked = replace(asked, test=tested)
    return _arrays(pair, name_of(path), preset, asked)


def _table(frame, preset, asked):
    return _of_source(detection.detect_table("table", preset, asked), frame, "table", preset, asked)


def _of_source(seen, given, name, preset, asked):
    chosen = asked.pick("validation", "test", "seed", *seen.source.options)
    try:
        return seen.kind.fitting.load(given, seen.source.form, problem=seen.problem, name=name, preset=preset, **chosen)
    except WrongPreset as error:
        raise KzooError(f"{error} {error.fix.format(', '.join(list_presets('tabular_*')))}") from None


def _arrays(pair, name, preset, asked):
    x, y, *weight = pair
    if of_pandas(x, "DataFrame"):
        if weight:
            raise KzooError("Weights beside a DataFrame are not supported yet: give arrays (x, y, weight).")
        frame, names = with_answers(x, y)
        if asked.target is not None and as_names(asked.target) != names:
            detection.refuse_options(asked, ("target",), f"a pair (x, y), whose y is {listed(map(repr, names))}")
        test = with_answers(*asked.test, names)[0] if is_pair(asked.test) else asked.test
        target = names if len(names) > 1 else names[0]
        return _table(frame.set_axis(x.index), preset, replace(asked, target=target, test=test))
    detection.refuse_options(asked, ("target", "drop", "time", "columns", "clip"), "arrays")
    groups = asked.group
    if groups is not None:
        groups = splits.check_groups(groups)
        if groups.shape != with_rows(y, "y").shape[:1]:
            raise KzooError("group= for arrays is an array with one value for each row.")
    test = asked.test
    if hasattr(test, "as_numpy_iterator"):
        test = from_tf(test, preset)
    elif isinstance(test, str | Path):
        test = read_npz(test)[0]
    elif splits.is_source(test) and not (isinstance(test, tuple | list) and len(test) in (2, 3)):
        raise KzooError("test= for arrays is a fraction, or a second pair (x, y), or (x, y, weight).")
    chosen = asked.pick("validation", "seed", "task")
    return load_arrays(x, y, *weight, name=name, groups=groups, preset=preset, test=test, **chosen)
