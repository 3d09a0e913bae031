"""Check data alone, before a preset is chosen: how it was read, problems, baselines, and presets to try."""

import warnings
from collections.abc import Mapping
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from kzoo import baselines
from kzoo.baselines.data import comparison_objective
from kzoo.checks import run_checks
from kzoo.checks.finding import Findings
from kzoo.checks.subject import Subject
from kzoo.data.dataset import Dataset, Loadable
from kzoo.data.load import load
from kzoo.data.options import DataOptions
from kzoo.problems.kinds import kind
from kzoo.training.suggested_baseline import suggested_baseline
from kzoo.training.suggestions import (
    load_with_window,
    load_without_preset,
    suggestions_of,
    text_preset,
)
from kzoo.utils.errors import KzooError, KzooWarning

_QUICK_SECONDS = 5.0  # seconds for each baseline if deep=False


def check_data(
    source: "Loadable | None",
    options: DataOptions,
    *,
    deep: bool,
    seed: int,
    window: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Findings, list[str]]:
    """Check data for which no preset has been chosen.

    Args:
        source: anything that `kzoo.load_data` takes.
        options: how to read and split it.
        deep: let baselines take longer than five seconds each, and learn from more rows.
        seed: of the baselines' random draws.
        window: for series: steps to forecast and of a window (see `kzoo.training.suggestions.WINDOW`).

    Raises:
        KzooError: data that cannot be read, or a horizon for data without forecasts.

    Returns:
        (findings with `overview`, `baselines`, `suggested_baseline` and `presets`, names of the checks that were run).
    """
    data = (
        load_without_preset(source, options)
        if not window
        else load_with_window(source, options, window)
    )
    if kind(data.inputs).is_table:
        data.notes += _alternative_readings(data, source, options)
    finding_list, names = run_checks(Subject(data), ("settings", "data"))
    findings = Findings(finding_list, data.overview)
    if not any(finding.level == "error" for finding in finding_list):
        part = next(
            (name for name in ("validation", "test") if getattr(data, name) is not None), None
        )
        split: Any = part
        seconds = None if deep else _QUICK_SECONDS
        objective = comparison_objective(data)
        settings = {} if objective is None else {"objective": objective}
        findings.baselines = (
            []
            if part is None
            else baselines.score(data, split=split, seconds=seconds, seed=seed, settings=settings)
        )
        findings.suggested_baseline = suggested_baseline(data, options, window)
    findings.presets = [asdict(each) for each in suggestions_of(data)]
    return findings, names


def _alternative_readings(
    data: Dataset, source: "Loadable | None", options: DataOptions
) -> list[str]:
    """Return suggestions of other ways to read a table: as texts, or as a series."""
    columns = data.seen.get("read", [])
    texts = [
        column["name"]
        for column in columns
        if column["kind"] == "left out" and column["about"].startswith("a different text")
    ]
    dates = [column["name"] for column in columns if column["kind"] == "date"]
    return [
        *(
            f"To classify the texts in column {name!r}, use a text preset: {text_preset()}."
            for name in texts[:1]
        ),
        *(
            f"If the rows are ordered in time, set time={name!r} to read them as a series."
            for name in dates[:1]
            if isinstance(data.train.x, np.ndarray)  # a table that fits into memory
            and "values" in data.problem.facts
            and _can_be_read(source, replace(options, time=name))
        ),
    ]


def _can_be_read(source: "Loadable | None", options: DataOptions) -> bool:
    """Return whether a source can be read with these options."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KzooWarning)
            load(source, None, options)
    except KzooError:
        return False
    return True
