"""Detection of what a source is, and of options that do not fit it, by names only: of files, columns and folders.

`load_data` calls it first. The command line calls it before Keras starts, so that a wrong path fails at once. NumPy
only.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from kzoo.data.named import NAMES, check_options, name_of
from kzoo.data.options import DataOptions, LoadRequest
from kzoo.data.targets import detection
from kzoo.inference.sources.folders import files_in, ignored_files_note, walked
from kzoo.inference.sources.shards import ShardFolder, folder_at, shards_of
from kzoo.inference.tables.files import (
    is_table,
    labelled_folders,
    labels_file,
    read_header,
    read_rows,
    suffixes,
)
from kzoo.inference.tables.raw import has_patterns, matching_columns
from kzoo.problems.data_arguments import options_of, without_effect
from kzoo.problems.kinds import Source, kind, kind_of, kinds, takes_ready_arrays
from kzoo.problems.layout import Preprocessor, RawInputs
from kzoo.problems.tasks import Problem, problem
from kzoo.utils.errors import KzooError
from kzoo.utils.files import path_of
from kzoo.utils.formatting import hint, listed
from kzoo.utils.table_path import check_sheet, is_workbook, name_of_table, with_sheet
from kzoo.zoo.registry import Preset, general_first, get_preset, is_general, list_presets

_FOLDERS_DEEP = 3  # levels of a folder searched for the first file of a known kind
_MOST_FOLDERS = 1_000  # folders in which files are counted for a message
_SHOWN = 12  # names in a message


def check_source(source: str | Path, preset: Preset | None, options: DataOptions) -> None:
    """Raise KzooError for visible problems of training data, before anything is loaded.

    Args:
        source: the name of a data set, or a path.
        preset: what the data is for; None if the source decides.
        options: how it is to be read and split.

    Raises:
        KzooError: as in `load_data`.
    """
    source, options = located(source, options)
    reading = options.as_read()
    with options.named_in_errors():
        request = recognized(LoadRequest(source=source, options=reading, preset=preset))
    if request.kind is None:
        return
    is_table_file = request.form == "tabular"
    header_or_path = read_header(request.source) if is_table_file else request.source
    # optional for kinds in other packages
    glance = getattr(request.kind.inference, "glance", None)
    if glance is not None and header_or_path is not None:
        glance(header_or_path, request.form, request.options)


def recognized(request: LoadRequest) -> LoadRequest:
    """Return a request whose source, a path or the name of a data set, is recognized, and fits its preset and options.

    Only names and headers are read.

    Raises:
        KzooError: it does not exist, is of an unknown type, or does not fit.
    """
    if isinstance(request.source, str) and request.source in NAMES:
        _check_named(request)
        return replace(request, name=request.source, form="named")
    path = path_of(request.source, "a file, a folder or a data set")
    return _detect(existing_path(path), replace(request, source=path, name=name_of(path)))


def located(source: RawInputs, options: DataOptions) -> tuple[RawInputs, DataOptions]:
    """Return a source and options in which paths of workbooks have the sheet and the header row of the options.

    In the options, patterns and ranges of target columns are replaced by the names of these columns.

    Raises:
        KzooError: `sheet` or `header_row` is set, and no source is a workbook; a pattern that matches no column.
    """
    sheet, row = options.sheet, options.header_row
    if not any(map(is_workbook, options.second_sources.values())):
        check_sheet(source, sheet, row)
    source = with_sheet(source, sheet, row)
    changed = {
        part: with_sheet(other, sheet, row) for part, other in options.second_sources.items()
    }
    if (
        options.target is not None
        and has_patterns(options.target)
        and (names := _column_names(source)) is not None
    ):
        changed["target"] = matching_columns(options.target, names)
    return source, replace(options, **changed) if changed else options


def _column_names(source: RawInputs) -> list[str] | None:
    """Return the names of the columns of a table, of one that labels images included; None if it is no table."""
    if isinstance(source, str | Path):
        if isinstance(source, str) and source in NAMES:
            return None
        table: Any = source if is_table(source) else None
        folder = folder_at(source)
        if table is None and folder.is_dir() and (folders := labelled_folders(folder)):
            table = labels_file(folders["train"])
        if table is None:
            return None
        header = read_header(table)
        return list((read_rows(table) if header is None else header).columns)
    # of Arrow, of a DataFrame
    names = getattr(source, "column_names", getattr(source, "columns", None))
    return None if names is None else [str(name).strip() for name in names]


def check_new_source(reader: Preprocessor, source: str | Path, targets: Sequence[str]) -> None:
    """Raise KzooError for visible problems of new data that is to be scored.

    Args:
        reader: how training data was read.
        source: the name of a data set, or a path.
        targets: names of the target columns.

    Raises:
        KzooError: as in `kzoo.evaluate`.
    """
    if source in NAMES:
        return
    path = existing_path(source)
    if takes_ready_arrays(reader) or path.suffix == ".npz":
        return
    of_files = {"folder", "labels", "file"} & {source.form for source in kind_of(reader).sources}
    if not is_table(path) and not of_files:
        return  # the command reports what it reads
    header_or_path = read_header(path) if is_table(path) else path
    glance_new = getattr(kind_of(reader).inference, "glance_new", None)
    if glance_new is not None and header_or_path is not None:
        glance_new(reader, header_or_path, targets)


def is_data(source: RawInputs) -> bool:
    """Return True if this looks like data, rather than a preset, a model or a run."""
    if not isinstance(source, str | Path):
        is_table_in_memory = hasattr(source, "columns") or hasattr(source, "__arrow_c_stream__")
        return (
            is_table_in_memory
            or hasattr(source, "as_numpy_iterator")
            or isinstance(source, tuple | list | dict)
        )
    if str(source) in NAMES:
        return True
    path = path_of(source, "data")
    if path.is_dir():
        return not any(
            (path / name).exists()
            for name in ("config.json", "search.json", "kzoo.json", "best.keras")
        )
    return path.is_file() and path.suffix.lower() not in (".toml", ".keras")


def existing_path(source: str | Path) -> Path:
    """Return the path of data, or raise `KzooError` if it does not exist."""
    path = path_of(source, "a file, a folder or a data set")
    if not path.exists():
        raise KzooError(
            f"No file, folder or data set {str(path)!r}. {hint(path, NAMES)}"
            f"Named data sets: {', '.join(NAMES)}.",
            value=source,
        )
    return path


def _check_named(request: LoadRequest) -> None:
    """Raise KzooError for a preset, or options, that do not fit a named data set."""
    name, preset, options = request.source, request.preset, request.options
    refuse_options(options, without_effect(options_of("named")), name)
    if options.sample_weight is not None and not isinstance(options.sample_weight, str):
        raise KzooError(f"must be the name of a column for {name!r}.", argument="sample_weight")
    if preset is not None and preset.config["inputs"] != NAMES[name]:
        raise _wrong_preset_error(f"{name!r} provides {NAMES[name]}", preset, (NAMES[name],), name)
    check_options(name, options)


def _detect(path: Path, request: LoadRequest) -> LoadRequest:
    """Recognize the data in a file or a folder."""
    if is_table(path):
        preset = request.preset
        source = None if preset is None else _label_source(preset.config["inputs"])
        if (
            source is not None
            and (files := _source_of_folder(path.parent))
            and files.suffixes == source.suffixes
        ):
            return _check_fit(source, path.name, request)
        return detect_table(name_of_table(path), request)
    if (shards := shards_of(path)) is not None:
        return _folder(shards, replace(request, source=shards))
    if path.is_dir():
        return _folder(path, request)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return replace(request, form="arrays")
    if source := _source("file", suffix):
        return _check_fit(source, path.name, request)
    if source := _source("folder", suffix):
        raise KzooError(
            f"{path.name!r} is a single file. Training needs {source.name} for each class."
        )
    supported = [*suffixes(), *(s for source in _sources("file") for s in source.suffixes), ".npz"]
    raise KzooError(
        f"Unsupported file {path.name!r}. Supported are folders and the file types {', '.join(supported)}."
    )


def _folder(path: Path, request: LoadRequest) -> LoadRequest:
    source = _source_of_folder(path)
    if source is None:
        if tables := sorted(name for name in files_in(path) if is_table(path / name)):
            raise KzooError(
                f"{path.name!r} has {tables[0]!r}, and is not one table. Pass the path of a table; test= takes another."
            )
        refuse_options(request.options, without_effect(("task",)), path.name)
        ignored_counts = Counter(
            Path(name).suffix.lower()
            for _, files in islice(walked(path), _MOST_FOLDERS)
            for name in files
            if name[0] != "."
        )
        convert = (
            " Convert images and texts to a supported format, for example .heic to .jpg."
            if ignored_counts
            else ""
        )
        raise KzooError(
            f"{path.name!r} contains no images, .txt files or .csv files of series. Expected a folder of them for each "
            f"class, or one .txt file for each class.{ignored_files_note(ignored_counts)}{convert}"
        )
    if labelled_folders(path):
        owner = next(input_kind for input_kind in kinds().values() if source in input_kind.sources)
        source = _label_source(owner.name) or source
    return _check_fit(source, path.name, request)


def _label_source(name: str) -> Source | None:
    """Return the source of a kind of input whose files are labelled by a table; None without one."""
    return next((source for source in kind(name).sources if source.form == "labels"), None)


def _source_of_folder(path: Path) -> Source | None:
    """Return the source of the first file in a folder that a kind can read."""
    if isinstance(path, ShardFolder):
        suffixes_of_files = {Path(name).suffix.lower() for name in path.below()}
        fitting = (
            source
            for source in _sources("folder")
            if suffixes_of_files.intersection(source.suffixes)
        )
        return next(fitting, None)
    found = None
    for depth in range(1, _FOLDERS_DEEP + 1):
        for file in path.glob("/".join("*" * depth)):
            source = _source("folder", file.suffix.lower())
            if source is None or file.stem.lower().startswith("readme"):
                continue
            if file.suffix.lower() not in suffixes():
                return source
            if depth > 1:  # files of tables: those next to the folders may label other files
                found = found or source
    return found


def _sources(form: str) -> list[Source]:
    return [
        source
        for input_kind in kinds().values()
        for source in input_kind.sources
        if source.form == form
    ]


def _source(form: str, suffix: str) -> Source | None:
    return next((source for source in _sources(form) if suffix in source.suffixes), None)


def detect_table(name: str, request: LoadRequest, order: str | None = None) -> LoadRequest:
    """Recognize a table as that of the preset; without a preset, as a series if a time column is named, else as rows.

    Args:
        name: of the table, for messages.
        request: the table and how it is read.
        order: "ordered" or "unordered" if the target has decided which series it contains (see `LoadRequest`).
    """
    preset = request.preset
    options = request.options
    tables = _sources("tabular")
    undecided = False
    if preset is not None:
        suitable = [
            source for source in kind(preset.config["inputs"]).sources if source.form == "tabular"
        ]
    elif options.series_id is not None:
        suitable = [source for source in tables if "series_id" in source.options]
    else:
        in_order = options.time is not None and options.split != "time"
        suitable = [source for source in tables if (source.order == "ordered") == in_order]
    if len({source.order for source in suitable} - {""}) > 1:
        order = order or _order(suitable[0], request)
        undecided = order is None
        suitable = [source for source in suitable if source.order == (order or "unordered")]
    return replace(_check_fit((suitable or tables)[0], name, request), undecided=undecided)


def _order(source: Source, request: LoadRequest) -> str | None:
    """Return whether a table is to be forecast or has labelled series, by names only; None if its target decides."""
    preset = request.preset
    options = request.options
    if preset is not None and "ordered" not in problem(preset.task).facts:
        return "unordered"
    if options.series_id is None:
        return "ordered"
    inputs = next(owner.name for owner in kinds().values() if source in owner.sources)
    orders = [
        order
        for order in ("ordered", "unordered")
        if options.task in detection.supported_problems(inputs, order)
    ]
    if len(orders) == 1:
        return orders[0]
    if options.known_covariates or options.static_covariates:
        return "ordered"
    if any(value is not None for value in (options.segment, options.stride, options.group)):
        return "unordered"
    return None


def _check_fit(source: Source, name: str, request: LoadRequest) -> LoadRequest:
    """Return a request of which the source was recognized, after checking that its preset and options fit."""
    preset = request.preset
    options = request.options
    fitting = {
        input_kind.name: input_kind
        for input_kind in kinds().values()
        if any(s.name == source.name for s in input_kind.sources)
    }
    if preset is not None and preset.config["inputs"] not in fitting:
        raise _wrong_preset_error(f"{name!r} is {source.name}", preset, fitting, name)
    subject = source.rest or name
    refuse_options(options, without_effect(source.options), subject)
    if "split" in source.options and source.order != "ordered":
        if options.time is not None and options.split != "time":
            raise KzooError(
                f"is not available for {subject}. Remove it, or set split='time' to test on "
                "the last rows.",
                argument="time",
                value=options.time,
            )
        if options.time is None and options.split == "time":
            raise KzooError(
                "needs the column with the times: set time=.", argument="split", value="time"
            )
    for option in ("group", "sample_weight"):
        if not isinstance(value := getattr(options, option), str | int | None):
            raise KzooError(
                f"must be the name of a column of {name!r}.", argument=option, value=value
            )
    owner = next(input_kind for input_kind in fitting.values() if source in input_kind.sources)
    problem = (
        _problem(owner.name, source.order, source.usual, options.task, preset, name)
        if source.usual
        else None
    )
    if source.form == "folder" and problem is not None and "classes" not in problem.facts:
        table = (
            " For values, add a table labels.csv of files and values."
            if _label_source(owner.name)
            else ""
        )
        raise KzooError(
            f"is not available for a folder of classes. Use task='classification'.{table}",
            argument="task",
            value=options.task,
        )
    return replace(request, form=source.form, recognized=source, kind=owner, problem=problem)


def refuse_options(options: DataOptions, names: Iterable[str], subject: str) -> None:
    """Raise `KzooError` for options that are set but not available for something."""
    given = options.given()
    for name in names:
        value = given.get(name)
        if value is not None and value is not False and not _is_empty(value):
            raise KzooError(
                f"is not available for {subject}. Remove it.", argument=name, value=value
            )


def _is_empty(value: object) -> bool:
    return (isinstance(value, list | tuple | Mapping) and not value) or getattr(
        value, "shape", ()
    ) == (0,)


def _problem(
    kind: str, order: str, default: str, task: str | None, preset: Preset | None, name: str
) -> Problem:
    """Return the problem: the requested one, else that of the preset, else the default of the source.

    Raises:
        KzooError: a preset for ordered rows and a source of unordered ones, or the reverse; `task` is unknown.
    """
    requested = detection.requested_problem(kind, task or default, order)
    fixed = detection.only_problem(preset)
    if (
        preset is not None
        and order not in problem(preset.task).facts
        and not reads_whole_series(preset, order)
    ):
        suitable = listed(general_first(list_presets(task=requested.name)), _SHOWN)
        raise KzooError(
            f"{name!r} is data for {requested.name}, but {preset.name} is for {preset.task}. Suitable presets: "
            f"{suitable}."
        )
    return requested if task or fixed is None else fixed


def reads_whole_series(preset: Preset, order: str) -> bool:
    """Return whether a preset for forecasts reads labelled series, without its horizon."""
    return order == "unordered" and "steps" in kind(preset.config["inputs"]).facts


def _wrong_preset_error(
    reason: str, preset: Preset, inputs: Collection[str], data: str
) -> KzooError:
    """Return the error with the presets for these kinds of input: general ones, those of this data set, and others."""
    fitting = general_first(
        name for name in list_presets() if get_preset(name).config["inputs"] in inputs
    )
    fitting.sort(key=lambda name: not is_general(name) and get_preset(name).dataset != data)
    return KzooError(
        f"{reason}, but {preset.name} expects {preset.config['inputs']}. Suitable presets: {listed(fitting, 8)}."
    )
