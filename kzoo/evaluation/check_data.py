"""Data alone: how it was read, what is wrong with it, what needs no network, and which presets to try."""

import os
import warnings
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

_QUICK = 5.0  # seconds for each baseline, where little time is to be taken


def check_data(source: Any, options: DataOptions, *, deep: bool, seed: int) -> tuple[Findings, list[str]]:
    """Look at data that no preset has been chosen for.

    Args:
        source: anything that `kzoo.load_data` takes.
        options: how it is read and split.
        deep: baselines may take longer than five seconds each, and learn from more rows.
        seed: of what baselines draw.

    Returns:
        (findings with `overview`, `baselines` and `presets`, names of the checks that were run).
    """
    data = _read(source, options)
    found, names = run_checks(Subject(data), ("settings", "data"))
    findings = Findings(found, data.overview)
    if not any(one.level == "error" for one in found):
        part = next((name for name in ("validation", "test") if getattr(data, name) is not None), None)
        split: Any = part
        seconds = None if deep else _QUICK
        findings.baselines = [] if part is None else baselines.score(data, split=split, seconds=seconds, seed=seed)
    findings.presets = ranked(fitting(data), data.task, len(data.train))
    return findings, names


def _read(source: Any, options: DataOptions) -> Dataset:
    """Return the data; a table that has nothing but texts beside its target is read as texts."""
    try:
        data = load(source, None, options)
    except KzooError as error:
        is_a_table = hasattr(source, "columns") or (isinstance(source, str | os.PathLike) and is_table(Path(source)))
        if not is_a_table or options.time is not None:
            raise
        try:
            return load(source, _reader_of_texts(), options)
        except KzooError:
            raise error from None
    data.notes += _other_readings(data, source, options)
    return data


def _reader_of_texts() -> str:
    """Return a preset for texts that have a class each: it says how long they may be, and how many words count."""
    return next(
        name
        for name in general_first(list_presets())
        if "ids" in kind((one := problem(get_preset(name).task)).kind).facts and {"classes", "unordered"} <= one.facts
    )


def _other_readings(data: Dataset, source: Any, options: DataOptions) -> list[str]:
    """Say how else a table may be read: as texts, or as a series."""
    read = [] if "steps" in kind(data.inputs).facts else data.seen.get("read", [])
    texts = [one["name"] for one in read if one["kind"] == "left out" and one["about"].startswith("a different text")]
    dates = [one["name"] for one in read if one["kind"] == "date"]
    return [
        *(
            f"If {name!r} holds texts that are to be classified, name a preset for them: {_reader_of_texts()}."
            for name in texts[:1]
        ),
        *(
            f"If its rows follow one another in time, say time={name!r}: it is read as a series then."
            for name in dates[:1]
            if isinstance(data.train.x, np.ndarray)  # of a table that fits into memory
            and "values" in data.problem.facts
            and _is_read(source, replace(options, time=name))
        ),
    ]


def _is_read(source: Any, options: DataOptions) -> bool:
    """Say whether a source can be read in a way, which is not to be advised otherwise."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KzooWarning)
            load(source, None, options)
    except KzooError:
        return False
    return True


def fitting(data: Dataset) -> list[str]:
    """Return the presets that take some data: those that are made for any data of its kind, else the others."""
    takes = [name for name in list_presets() if _takes(get_preset(name), data)]
    return [name for name in general_first(takes) if is_general(name)] or takes


def _takes(preset: Preset, data: Dataset) -> bool:
    fixed = detection.fixed_by(preset)
    own = preset.config["inputs"] == data.inputs
    if fixed is None:  # classes, or values too
        return own and "unordered" in data.problem.facts and "kept" in data.problem.facts
    return own and fixed.name == data.task
