"""What a source is, and what does not suit it, by names alone: of the file, of its columns, of the folders in it.

`load_data` asks it first. The command line asks it before Keras starts, so that a wrong path takes no time. NumPy only.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from kzoo.data.named import NAMES, check_options
from kzoo.dataset.options import DataOptions
from kzoo.dataset.splits import fractions, is_source
from kzoo.kinds import Kind, Source, kind, kind_of, kinds, takes_ready_arrays
from kzoo.registry import Preset, general_first, get_preset, list_presets
from kzoo.sources.folders import counted, walked
from kzoo.sources.tables.files import is_table, read_header, suffixes
from kzoo.tasks import Problem, detection
from kzoo.utils.errors import KzooError
from kzoo.utils.files import path_of
from kzoo.utils.formatting import hint, listed, shown

_ABOUT_COLUMNS = ("target", "drop", "group", "task", "time", "columns", "clip")
_FOLDERS_DEEP = 3  # how far down a folder is looked into for the first file of a known kind
_MOST_FOLDERS = 1_000  # in which files are counted for a message
_SHOWN = 12  # names in a message


@dataclass(frozen=True, kw_only=True)
class DetectedSource:
    """A source that has been recognised, and suits the preset and the options.

    Args:
        source: its form.
        kind: of the inputs that are read from it.
        problem: what it is for; None where the target decides.
    """

    source: Source
    kind: Kind
    problem: Problem | None


def check_source(source: str | Path, preset: Preset | None, asked: DataOptions) -> None:
    """Refuse what can be seen to be wrong with data to train on, before anything is loaded.

    Args:
        source: the name of a data set, or a path.
        preset: what the data is for; None where the source decides.
        asked: how it is to be read and split.

    Raises:
        KzooError: as `load_data` says it.
    """
    if not is_source(asked.test):
        fractions(asked.validation, asked.test)
    elif isinstance(asked.test, str | Path) and not path_of(asked.test, "a file or a folder").exists():
        raise KzooError(f"test={str(asked.test)!r}: there is no such file or folder.")
    if isinstance(source, str) and source in NAMES:
        check_named(source, preset, asked)
        return
    path = path_of(source, "a file, a folder or a data set")
    if (seen := detect(path, preset, asked)) is not None:
        given = read_header(path) if seen.source.form == "tabular" else path
        look = getattr(seen.kind.inference, "glance", None)  # a kind of a package may have none
        if look is not None and given is not None:
            look(given, seen.source.form, asked)


def check_new_source(reader: Mapping[str, Any], source: str | Path, targets: Sequence[str]) -> None:
    """Refuse what can be seen to be wrong with new data that is to be scored.

    Args:
        reader: how training read its data.
        source: the name of a data set, or a path.
        targets: names of the columns with the answers.

    Raises:
        KzooError: as `kzoo.evaluate` says it.
    """
    if source in NAMES:
        return
    path = existing(source)
    if takes_ready_arrays(reader) or path.suffix == ".npz":
        return
    of_files = {"folder", "file"} & {source.form for source in kind_of(reader).sources}
    if not is_table(path) and not of_files:
        return  # the command says what it reads
    given = read_header(path) if is_table(path) else path
    look = getattr(kind_of(reader).inference, "glance_new", None)
    if look is not None and given is not None:
        look(reader, given, targets)


def is_data(thing: Any) -> bool:
    """Say whether this is data by its look, and neither a preset, nor a model, nor a run."""
    if not isinstance(thing, str | Path):
        return hasattr(thing, "columns") or hasattr(thing, "as_numpy_iterator") or isinstance(thing, tuple | list)
    if str(thing) in NAMES:
        return True
    path = path_of(thing, "data")
    if path.is_dir():
        return not any((path / name).exists() for name in ("config.json", "search.json", "kzoo.json", "best.keras"))
    return path.is_file() and path.suffix.lower() not in (".toml", ".keras")


def existing(source: str | Path) -> Path:
    """Return the path of data, or raise `KzooError` where there is none."""
    path = path_of(source, "a file, a folder or a data set")
    if not path.exists():
        raise KzooError(
            f"No file, folder or data set {str(path)!r}. {hint(path, NAMES)}Data sets by name: {', '.join(NAMES)}."
        )
    return path


def check_named(name: str, preset: Preset | None, asked: DataOptions) -> None:
    """Refuse a preset, or options, that do not suit a named data set."""
    refuse_options(asked, ("time", "columns", "clip"), name)
    if preset is not None and preset.config["inputs"] != NAMES[name]:
        raise _misfit(f"{name!r} gives {NAMES[name]}", preset, (NAMES[name],))
    check_options(name, **asked.pick("target", "drop", "group", "task"))


def detect(path: Path, preset: Preset | None, asked: DataOptions) -> DetectedSource | None:
    """Recognise a file or a folder; None for a file of arrays.

    Raises:
        KzooError: there is none, or nothing is read from such a one, or it does not suit the preset or the options.
    """
    existing(path)
    if is_table(path):
        return detect_table(path.name, preset, asked)
    if path.is_dir():
        return _folder(path, preset, asked)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return None
    if source := _source("file", suffix):
        return _suiting(source, path.name, preset, asked)
    if source := _source("folder", suffix):
        raise KzooError(f"{path.name!r} is one file; training takes {source.name} for each class.")
    files = [*suffixes(), *(s for source in _sources("file") for s in source.suffixes), ".npz"]
    raise KzooError(f"{path.name!r}: kzoo reads {', '.join(files)} files, and folders.")


def _folder(path, preset, asked):
    source = _source_of_folder(path)
    if source is None:
        refuse_options(asked, [option for option in _ABOUT_COLUMNS if option != "task"], path.name)
        others = Counter(
            Path(name).suffix.lower()
            for _, files in islice(walked(path), _MOST_FOLDERS)
            for name in files
            if name[0] != "."
        )
        convert = " Convert those that are images or texts, such as a phone's .heic to .jpg." if others else ""
        raise KzooError(
            f"{path.name!r} holds neither images nor .txt files: expected a folder of them for each class, "
            f"or one .txt file for each class.{counted(others)}{convert}"
        )
    return _suiting(source, path.name, preset, asked)


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


def detect_table(name: str, preset: Preset | None, asked: DataOptions) -> DetectedSource:
    """Take a table for what the preset takes; without one it is a series if a time is named, else rows."""
    tables = _sources("tabular")
    if preset is not None:
        own = [one for one in kind(preset.config["inputs"]).sources if one.form == "tabular"]
    else:
        own = [one for one in tables if ("time" in one.options) == (asked.time is not None)]
    return _suiting((own or tables)[0], name, preset, asked)


def _suiting(source, name, preset, asked):
    """Return a source that has been recognised, once it is sure that the preset and the options suit it."""
    fitting = {one.name: one for one in kinds().values() if any(s.name == source.name for s in one.sources)}
    if preset is not None and preset.config["inputs"] not in fitting:
        raise _misfit(f"{name!r} is {source.name}", preset, fitting)
    refuse_options(asked, [option for option in _ABOUT_COLUMNS if option not in source.options], source.rest or name)
    if source.form == "tabular" and not isinstance(asked.group, str | int | None):
        raise KzooError(f"group={shown(asked.group)} must be the name of a column of {name!r}.")
    owner = next(one for one in fitting.values() if source in one.sources)
    problem = _problem(owner.name, source.order, source.usual, asked.task, preset, name) if source.usual else None
    if source.form == "folder" and problem is not None and "classes" not in problem.facts:
        raise KzooError(f"task={asked.task!r}: a folder of classes is a classification.")
    return DetectedSource(source=source, kind=owner, problem=problem)


def refuse_options(asked: DataOptions, names: Iterable[str], what: str) -> None:
    """Raise `KzooError` for options that have no meaning for something."""
    for name in names:
        value = getattr(asked, name)
        if value is not None and value is not False and not _is_empty(value):
            raise KzooError(f"{name}={shown(value)} has no meaning for {what}.")


def _is_empty(value):
    return (isinstance(value, list | tuple | Mapping) and not value) or getattr(value, "shape", ()) == (0,)


def _problem(kind, order, usual, task, preset, name):
    """Return what a source is for: what is asked, else what the preset is for, else what is usual for such a source.

    Raises:
        KzooError: a preset for rows with an order where these have none, or the reverse; `task` is unknown.
    """
    found, fixed = detection.requested_problem(kind, task or usual, order), detection.fixed_by(preset)
    if fixed is None:
        return found
    if order not in fixed.facts:
        others = listed(general_first(list_presets(task=found.name)), _SHOWN)
        raise KzooError(
            f"{name!r} is data for {found.name}, but {preset.name} is for {preset.task}. Presets for it: {others}."
        )
    return found if task else fixed


def _misfit(what, preset, inputs):
    fitting = general_first(name for name in list_presets() if get_preset(name).config["inputs"] in inputs)
    return KzooError(
        f"{what}, but {preset.name} takes {preset.config['inputs']}. Presets that fit: {listed(fitting, 8)}."
    )
