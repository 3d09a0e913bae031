"""`load_data`: one door for every source of data."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kzoo.data import splits
from kzoo.data.arrays import from_tf, load_arrays, read_npz
from kzoo.data.dataset import Dataset, Source
from kzoo.data.encode_images import EXTENSIONS
from kzoo.data.images import load_image_folder
from kzoo.data.language import load_language
from kzoo.data.named import NAMES, load_named
from kzoo.data.options import DataOptions
from kzoo.data.rows import listed
from kzoo.data.series import load_series
from kzoo.data.table import as_frame, load_table
from kzoo.data.text import load_text_folder, load_text_table
from kzoo.data.textfile import read_text
from kzoo.errors import KzooError
from kzoo.registry import Preset, get_preset, list_presets
from kzoo.tasks import choose
from kzoo.words import hint

# What a source can become -> the inputs of presets that take it.
_TAKES = {
    "a table": ("rows", "tokens", "series"),
    "a folder of images": ("image",),
    "a folder of texts": ("tokens",),
    "a plain text": ("tokens",),
}


def load_data(
    source: Source,
    *,
    preset: str | Preset | None = None,
    target: str | Sequence[str] | None = None,
    validation: float = 0.1,
    test: "float | splits.Fold | Source | None" = None,
    drop: str | Sequence[str] = (),
    group: str | ArrayLike | None = None,
    task: str | None = None,
    time: str | None = None,
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
        seed: draws the split. The training seed never moves it.
        clip: cut numeric columns of a table off at their 0.1 and 99.9 percentiles (of the training rows).

    Raises:
        KzooError: no such data, data that does not fit the preset, or data that nothing can be learned from.
    """
    asked = DataOptions(
        target=target, validation=validation, test=test, drop=drop, group=group, task=task, time=time, clip=clip,
        seed=seed,
    )  # fmt: skip
    return load(source, preset, asked)


def load(source: Source, preset: str | Preset | None, asked: DataOptions) -> Dataset:
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
    return _path(Path(source), preset, asked)


def _named(name, preset, asked):
    _refuse(asked, ("time", "clip"), name)
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
    kind = path.suffix.lower()
    if kind in (".csv", ".tsv"):
        return _table(path, path.name, preset, asked)
    if kind == ".npz":
        pair, tested = read_npz(path)
        if asked.test is None and tested is not None:
            asked = replace(asked, test=tested)
        return _arrays(pair, path.name, preset, asked)
    if kind in (".txt", ".md"):
        return _plain_text(path, preset, asked)
    if kind in EXTENSIONS:
        raise KzooError(f"{path.name!r} is one image; training takes a folder with a folder of images for each class.")
    raise KzooError(f"{path.name!r}: kzoo reads .csv, .tsv, .txt and .npz files, and folders.")


def _folder(path, preset, asked):
    _refuse(asked, ("target", "drop", "group", "time", "clip"), path.name)
    kind = _folder_kind(path)
    if kind is None:
        raise KzooError(
            f"{path.name!r} holds neither images nor .txt files: expected a folder of them for each class, "
            "or one .txt file for each class."
        )
    _check_fit(kind, path.name, preset)
    inputs = "tokens" if kind == "a folder of texts" else "image"
    problem = _problem(inputs, "unordered", "classification", asked.task, preset, path.name)
    if "classes" not in problem.facts:
        raise KzooError(f"task={asked.task!r}: a folder of classes is a classification.")
    chosen = asked.pick("validation", "test", "seed")
    if kind == "a folder of texts":
        return load_text_folder(path, problem=problem, preset=preset, **chosen)
    shape = preset.config["input_shape"] if preset is not None else (96, 96, 3)
    return load_image_folder(path, image_shape=shape, task=problem.name, **chosen)


def _folder_kind(path):
    """Look at the first file of a known kind, at most three folders down."""
    for pattern in ("*", "*/*", "*/*/*"):
        for file in path.glob(pattern):
            suffix = file.suffix.lower()
            if suffix in EXTENSIONS:
                return "a folder of images"
            if suffix == ".txt" and not file.stem.lower().startswith("readme"):
                return "a folder of texts"
    return None


def _table(source, name, preset, asked):
    _check_fit("a table", name, preset)
    inputs = preset.config["inputs"] if preset is not None else ("series" if asked.time is not None else "rows")
    if inputs == "series":
        _refuse(asked, ("group", "clip"), "a series")
        problem = _problem("series", "ordered", "forecasting", asked.task, preset, name)
        chosen = asked.pick("validation", "test", "target", "drop", "time")
        return load_series(source, name=name, task=problem.name, preset=preset, **chosen)
    _refuse(asked, ("time",), "a table of rows that have no order")
    chosen = asked.pick("validation", "test", "seed", "target", "drop", "group", "task")
    if inputs == "tokens":
        _refuse(asked, ("clip",), "text")
        _problem("tokens", "unordered", "classification", None, preset, name)
        return load_text_table(source, name=name, preset=preset, **chosen)
    return load_table(source, name=name, preset=preset, clip=asked.clip, **chosen)


def _plain_text(path, preset, asked):
    _refuse(asked, ("target", "drop", "group", "task", "time", "clip"), path.name)
    _check_fit("a plain text", path.name, preset)
    problem = _problem("tokens", "ordered", "language_modeling", None, preset, path.name)
    chosen = asked.pick("validation", "test")
    if splits.is_source(asked.test):
        chosen |= {"test": None, "test_text": read_text(asked.test)}
    return load_language(read_text(path), name=path.name, task=problem.name, preset=preset, **chosen)


def _arrays(pair, name, preset, asked):
    x, y = pair
    if isinstance(x, pd.DataFrame):
        y = pd.Series(np.asarray(y).reshape(-1), name=getattr(y, "name", None) or "target")
        if len(x) != len(y):
            raise KzooError(f"x has {len(x)} rows and y has {len(y)}; they must be as many.")
        frame = as_frame(x).assign(**{str(y.name): y})
        return _table(frame, "table", preset, replace(asked, target=str(y.name)))
    _refuse(asked, ("target", "drop", "time", "clip"), "arrays")
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


def _check_fit(kind, name, preset):
    if preset is not None and preset.config["inputs"] not in _TAKES[kind]:
        raise _misfit(f"{name!r} is {kind}", preset, _TAKES[kind])


def _problem(kind, order, usual, task, preset, name):
    """Return what a source is for: what is asked, else what the preset is for, else what is usual for such a source.

    Raises:
        KzooError: a preset for rows with an order where these have none, or the reverse; `task` is unknown.
    """
    found, fixed = choose.asked_for(kind, task or usual, order), choose.fixed_by(preset)
    if fixed is None:
        return found
    if order not in fixed.facts:
        others = listed(list_presets(task=found.name))
        raise KzooError(
            f"{name!r} is data for {found.name}, but {preset.name} is for {preset.task}. Presets for it: {others}."
        )
    return found if task else fixed


def _misfit(what, preset, inputs):
    fitting = [name for name in list_presets() if get_preset(name).config["inputs"] in inputs]
    # Those made for any data of their kind come first: tabular_fnn before iris_fnn.
    fitting.sort(key=lambda name: name.split("_")[0] not in ("tabular", "text", "series", "image"))
    return KzooError(
        f"{what}, but {preset.name} takes {preset.config['inputs']}. Presets that fit: {listed(fitting, 8)}."
    )
