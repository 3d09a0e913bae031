"""Check data alone, before a preset is chosen: how it was read, problems, baselines, and presets to try."""

import os
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kzoo import baselines
from kzoo.checks import run_checks
from kzoo.checks.finding import Findings
from kzoo.checks.subject import Subject
from kzoo.data.load import load
from kzoo.dataset.dataset import Dataset
from kzoo.dataset.options import DataOptions
from kzoo.kinds import kind
from kzoo.registry import Preset, general_first, get_preset, is_general, list_presets
from kzoo.results.suggest import ranked
from kzoo.sources.tables.files import is_table
from kzoo.tasks import detection, problem
from kzoo.utils.errors import KzooError, KzooWarning

_QUICK_SECONDS = 5.0  # seconds for each baseline if deep=False


def check_data(source: Any, options: DataOptions, *, deep: bool, seed: int) -> tuple[Findings, list[str]]:
    """Check data for which no preset has been chosen.

    Args:
        source: anything that `kzoo.load_data` takes.
        options: how to read and split it.
        deep: let baselines take longer than five seconds each, and learn from more rows.
        seed: of the baselines' random draws.

    Returns:
        (findings with `overview`, `baselines` and `presets`, names of the checks that were run).
    """
    data = _read(source, options)
    finding_list, names = run_checks(Subject(data), ("settings", "data"))
    findings = Findings(finding_list, data.overview)
    if not any(finding.level == "error" for finding in finding_list):
        part = next((name for name in ("validation", "test") if getattr(data, name) is not None), None)
        split: Any = part
        seconds = None if deep else _QUICK_SECONDS
        findings.baselines = [] if part is None else baselines.score(data, split=split, seconds=seconds, seed=seed)
    findings.presets = ranked(suitable_presets(data), data.task, len(data.train))
    return findings, names


def _read(source: Any, options: DataOptions) -> Dataset:
    """Return the data. A table whose only columns besides the target are texts is read as texts."""
    try:
        data = load(source, None, options)
    except KzooError as error:
        is_a_table = hasattr(source, "columns") or (isinstance(source, str | os.PathLike) and is_table(Path(source)))
        if not is_a_table or options.time is not None:
            raise
        try:
            return load(source, _text_preset(), options)
        except KzooError:
            raise error from None
    if data.config.get("text_lengths") == data.input_shape:  # a single text column is all input
        with suppress(KzooError):
            return load(source, _text_preset(), options)
    data.notes += _alternative_readings(data, source, options)
    return data


def _text_preset() -> str:
    """Return a preset for text classification, which sets the length of texts and the size of the vocabulary."""
    return next(
        name
        for name in general_first(list_presets())
        if "ids" in kind((task_problem := problem(get_preset(name).task)).kind).facts
        and {"classes", "unordered"} <= task_problem.facts
    )


def _alternative_readings(data: Dataset, source: Any, options: DataOptions) -> list[str]:
    """Return suggestions of other ways to read a table: as texts, or as a series."""
    columns = [] if "steps" in kind(data.inputs).facts else data.seen.get("read", [])
    texts = [
        column["name"]
        for column in columns
        if column["kind"] == "left out" and column["about"].startswith("a different text")
    ]
    dates = [column["name"] for column in columns if column["kind"] == "date"]
    return [
        *(f"To classify the texts in column {name!r}, use a text preset: {_text_preset()}." for name in texts[:1]),
        *(
            f"If the rows are ordered in time, set time={name!r} to read them as a series."
            for name in dates[:1]
            if isinstance(data.train.x, np.ndarray)  # a table that fits into memory
            and "values" in data.problem.facts
            and _can_be_read(source, replace(options, time=name))
        ),
    ]


def _can_be_read(source: Any, options: DataOptions) -> bool:
    """Return whether a source can be read with these options."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KzooWarning)
            load(source, None, options)
    except KzooError:
        return False
    return True


def suitable_presets(data: Dataset) -> list[str]:
    """Return the presets that suit the data: general ones of its kind if there are any, else specific ones."""
    suitable = [name for name in list_presets() if _suits(get_preset(name), data)]
    return [name for name in general_first(suitable) if is_general(name)] or suitable


def _suits(preset: Preset, data: Dataset) -> bool:
    fixed_problem = detection.only_problem(preset)
    same_kind = preset.config["inputs"] == data.inputs
    if "ordered" in data.problem.facts:
        return same_kind and "ordered" in problem(preset.task).facts
    if fixed_problem is None:  # the target decides: classes or values
        return same_kind and "unordered" in data.problem.facts and "kept" in data.problem.facts
    return same_kind and fixed_problem.name == data.task
