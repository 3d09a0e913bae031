"""`load_data`: one door for every source of data."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kzoo.data import splits
from kzoo.data.arrays import from_tf, load_arrays, read_npz
from kzoo.data.dataset import Dataset, Loadable
from kzoo.data.named import NAMES, load_named
from kzoo.data.options import DataOptions
from kzoo.errors import KzooError
from kzoo.files import path_of
from kzoo.kinds import Source, kind, kinds
from kzoo.kinds.tables.files import is_table, suffixes
from kzoo.kinds.tables.frame import as_frame
from kzoo.registry import Preset, get_preset, list_presets
from kzoo.tasks import choose
from kzoo.words import hint, listed

_ABOUT_COLUMNS = ("target", "drop", "group", "task", "time", "columns", "clip")
_FOLDERS_DEEP = 3  # how far down a folder is looked into for the first file of a known kind
_FOR_ANY = ("tabular_", "text_", "series_", "image_")
_SHOWN = 12  # names in a message


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
            `.txt` files, or with one `.txt` file per class (an example a line); a `.csv` table; a `.txt` file
            for a language model; an `.npz` file; a pair of arrays (x, y); a DataFrame; a `tf.data.Dataset`.
        preset: what the data is for, a name or a `Preset`: it decides what a table is read as, the length of
            texts and windows, the size of images, the vocabulary. Without it the source decides.
        target: column to predict (tables, text), or columns to forecast (series); several with commas.
        validation: fraction of what the test split leaves; of all rows of a series or plain text.
        test: fraction of all rows (0.2 unless the source has a test split of its own), a second source, or a
            `kzoo.data.splits.Fold` (a test split of the source's own is then left untouched).
        drop: columns to leave out.
        group: column whose rows of one value never straddle two splits.
        task: `"classification"` or `"regression"`. A table whose target is text, boolean, or whole numbers
            of at most 20 different values is a classification, else a regression, unless this says otherwise.
        time: time column of a series; the first column of dates by default.
        columns: what columns of a table are, where it is not what kzoo takes them for: a dict of "number",
            "category", "date", or of how numbers are written: `{"zip": "category", "price": {"decimal": ",",
            "thousands": "."}}`. Without it, a way of writing is found that reads all of a column: thousands separators,
            decimal commas, currency signs, percent, accounting negatives, 万 and 亿.
        seed: draws the split. The training seed never moves it.
        clip: cut numeric columns of a table off at their 0.1 and 99.9 percentiles (of the training rows).

    Raises:
        KzooError: no such data, data that does not fit the preset, or data that nothing can be learned from.
    """
    asked = DataOptions(
        target=target, validation=validation, test=test, drop=drop, group=group, task=task, time=time,
        columns=columns, clip=clip, seed=seed,
    )  # fmt: skip
    return load(source, preset, asked)


def load(source: Loadable, preset: str | Preset | None, asked: DataOptions) -> Dataset:
    """Do what `load_data` says, with all that was asked of the data as one value."""
    if isinstance(source, Dataset):
        return source
    splits.check_seed(asked.seed)
    if not splits.is_source(asked.test):
        splits.fractions(asked.validation, asked.test)
    data = _load(source, get_preset(preset) if isinstance(preset, str) else preset, asked)
    data.loaded = asked.stored()
    return data


def _load(source, preset, asked):
    if isinstance(source, pd.DataFrame):
        return _table(source, "table", preset, asked)
    if hasattr(source, "as_numpy_iterator"):
        return _arrays(from_tf(source, preset), "tf.data", preset, asked)
    if isinstance(source, tuple | list) and len(source) == 2 and not isinstance(source[0], str):
        return _arrays(source, "arrays", preset, asked)
    if not isinstance(source, str | Path):
        raise KzooError(
            f"Cannot load data from {type(source).__name__}: give a name, a path, a DataFrame, a pair (x, y) "
            "or a tf.data.Dataset."
        )
    if isinstance(source, str) and source in NAMES:
        return _named(source, preset, asked)
    return _path(path_of(source, "a file, a folder or a data set"), preset, asked)


def _named(name, preset, asked):
    _refuse(asked, ("time", "columns", "clip"), name)
    if preset is not None and preset.config["inputs"] != NAMES[name]:
        raise _misfit(f"{name!r} gives {NAMES[name]}", preset, (NAMES[name],))
    chosen = asked.pick("validation", "test", "seed", "target", "drop", "group", "task")
    return load_named(name, preset=preset, **chosen)


def _path(path, preset, asked):
    if not path.exists():
        raise KzooError(
            f"No file, folder or data set {str(path)!r}. {hint(path, NAMES)}Data sets by name: {', '.join(NAMES)}."
        )
    if path.is_dir():
        return _folder(path, preset, asked)
    if is_table(path):
        return _table(path, path.name, preset, asked)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        pair, tested = read_npz(path)
        if asked.test is None and tested is not None:
            asked = replace(asked, test=tested)
        return _arrays(pair, path.name, preset, asked)
    if source := _source("file", suffix):
        return _of_source(source, path, path.name, preset, asked)
    if source := _source("folder", suffix):
        raise KzooError(f"{path.name!r} is one file; training takes {source.name} for each class.")
    files = [*suffixes(), *(s for source in _sources("file") for s in source.suffixes), ".npz"]
    raise KzooError(f"{path.name!r}: kzoo reads {', '.join(files)} files, and folders.")


def _folder(path, preset, asked):
    source = _source_of_folder(path)
    if source is None:
        _refuse(asked, [option for option in _ABOUT_COLUMNS if option != "task"], path.name)
        raise KzooError(
            f"{path.name!r} holds neither images nor .txt files: expected a folder of them for each class, "
            "or one .txt file for each class."
        )
    return _of_source(source, path, path.name, preset, asked)


def _source_of_folder(path):
    """Look for the first file that a kind is read from."""
    for depth in range(1, _FOLDERS_DEEP + 1):
        for file in path.glob("/".join("*" * depth)):
            source = _source("folder", file.suffix.lower())
            if source is not None and not file.stem.lower().startswith("readme"):
                return source
    return None


def _sources(form):
    return [source for one in kinds().values() for source in one.sources if source.form == form]


def _source(form, suffix):
    return next((source for source in _sources(form) if suffix in source.suffixes), None)


def _table(source, name, preset, asked):
    """Read a table as what the preset takes; without one it is a series if a time is named, else rows."""
    tables = _sources("tabular")
    if preset is not None:
        own = [one for one in kind(preset.config["inputs"]).sources if one.form == "tabular"]
    else:
        own = [one for one in tables if ("time" in one.options) == (asked.time is not None)]
    return _of_source((own or tables)[0], source, name, preset, asked)


def _of_source(source: Source, given, name, preset, asked):
    """Read a source that has been recognised, once it is sure that the preset and the arguments suit it."""
    fitting = {one.name: one for one in kinds().values() if any(s.name == source.name for s in one.sources)}
    if preset is not None and preset.config["inputs"] not in fitting:
        raise _misfit(f"{name!r} is {source.name}", preset, fitting)
    _refuse(asked, [option for option in _ABOUT_COLUMNS if option not in source.options], source.rest or name)
    owner = next(one for one in fitting.values() if source in one.sources)
    problem = _problem(owner.name, source.order, source.usual, asked.task, preset, name) if source.usual else None
    if source.form == "folder" and problem is not None and "classes" not in problem.facts:
        raise KzooError(f"task={asked.task!r}: a folder of classes is a classification.")
    chosen = asked.pick("validation", "test", "seed", *source.options)
    return owner.learn.load(given, source.form, problem=problem, name=name, preset=preset, **chosen)


def _arrays(pair, name, preset, asked):
    x, y = pair
    if isinstance(x, pd.DataFrame):
        y = pd.Series(np.asarray(y).reshape(-1), name=getattr(y, "name", None) or "target")
        if len(x) != len(y):
            raise KzooError(f"x has {len(x)} rows and y has {len(y)}; they must be as many.")
        frame = as_frame(x).assign(**{str(y.name): y})
        return _table(frame, "table", preset, replace(asked, target=str(y.name)))
    _refuse(asked, ("target", "drop", "time", "columns", "clip"), "arrays")
    groups = asked.group
    if groups is not None:
        groups = np.asarray(groups)
        if groups.shape != (len(y),):
            raise KzooError("group= for arrays is an array with one value for each row.")
    test = asked.test
    if hasattr(test, "as_numpy_iterator"):
        test = from_tf(test, preset)
    elif isinstance(test, str | Path):
        test = read_npz(test)[0]
    elif splits.is_source(test) and not (isinstance(test, tuple | list) and len(test) == 2):
        raise KzooError("test= for arrays is a fraction or a second pair (x, y).")
    chosen = asked.pick("validation", "seed", "task")
    return load_arrays(x, y, name=name, groups=groups, preset=preset, test=test, **chosen)


def _refuse(asked, names, what):
    for name in names:
        value = getattr(asked, name)
        if value is not None and value is not False and len(np.atleast_1d(value)):
            raise KzooError(f"{name}={value!r} has no meaning for {what}.")


def _problem(kind, order, usual, task, preset, name):
    """Return what a source is for: what is asked, else what the preset is for, else what is usual for such a source.

    Raises:
        KzooError: a preset for rows with an order where these have none, or the reverse; `task` is unknown.
    """
    found, fixed = choose.asked_for(kind, task or usual, order), choose.fixed_by(preset)
    if fixed is None:
        return found
    if order not in fixed.facts:
        others = listed(list_presets(task=found.name), _SHOWN)
        raise KzooError(
            f"{name!r} is data for {found.name}, but {preset.name} is for {preset.task}. Presets for it: {others}."
        )
    return found if task else fixed


def _misfit(what, preset, inputs):
    fitting = [name for name in list_presets() if get_preset(name).config["inputs"] in inputs]
    # Those made for any data of their kind come first: tabular_fnn before iris_fnn.
    fitting.sort(key=lambda name: not name.startswith(_FOR_ANY))
    return KzooError(
        f"{what}, but {preset.name} takes {preset.config['inputs']}. Presets that fit: {listed(fitting, 8)}."
    )
