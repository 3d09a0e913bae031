"""Scores of baselines on the same split as a run, cached on disk."""

import hashlib
import json
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kzoo import baselines
from kzoo.baselines.baseline import Result
from kzoo.data import Dataset
from kzoo.inference.postprocessors.decision import settings_of
from kzoo.problems.stored_types import TrainingSettings
from kzoo.utils.errors import KzooError
from kzoo.utils.files import cache_folder, read_json, write_json
from kzoo.utils.formatting import first_line
from kzoo.utils.optional import is_installed

# Time limit of each baseline: this many seconds, or this share of the training time if that is longer.
_MIN_SECONDS, _TIME_SHARE = 5.0, 0.02
_MAX_FILES = 1_000  # cache files of a few kB each; the newest are kept


def score_baselines(
    data: Dataset,
    seconds: float,
    settings: TrainingSettings | None = None,
    *,
    time_limit: float | None = None,
) -> list[dict[str, Any]]:
    """Return the scores of the baselines on the split that a run is scored on, best first, as `summary.json` has them.

    Scores are cached in `$KZOO_CACHE/baselines`, keyed by the contents of the data and its splits, so that runs with
    other seeds and presets on the same data share them, also across processes.

    Args:
        data: the data that the run was trained on.
        seconds: its training time. Baselines that would take long in comparison are fitted on fewer rows, and note it.
        settings: its training settings: labels of baselines follow the same decision, each with its own threshold.
        time_limit: seconds that each baseline may take, instead of those that follow from the training time.
    """
    deciding = settings_of(settings or {})
    time_limit = max(_MIN_SECONDS, _TIME_SHARE * seconds) if time_limit is None else time_limit
    cache_file = _cache_file(data, deciding)
    if (summaries := _read_cache(cache_file, time_limit)) is not None:
        return summaries
    try:
        scored = baselines.score(data, seconds=time_limit, settings=settings)
    except Exception as error:  # a failing baseline must not lose hours of training
        notes = (f"failed: {first_line(error)}",)
        return [
            dict(
                name="baselines",
                label="baselines",
                split="test",
                metric="",
                scores=None,
                notes=notes,
            )
        ]
    summaries = [summary_of(baseline) for baseline in scored]
    _write_cache(
        cache_file,
        time_limit,
        summaries,
        complete=all(baseline.scores and baseline.rows is None for baseline in scored),
    )
    return summaries


def summary_of(result: Result) -> dict[str, Any]:
    """Return the result of a baseline as `summary.json` has it."""
    return dict(
        name=result.name,
        label=result.label,
        split=result.split,
        metric=str(result.metric),
        best=result.metric.best,
        scores=dict(result.scores) or None,
        notes=list(result.notes),
    )


def _cache_file(data: Dataset, deciding: TrainingSettings) -> Path | None:
    """Return the cache file for some data; None if the data has no fingerprint of all its contents."""
    if (
        not data.fingerprint
        or data.seen.get("partly")
        or any(getattr(value, "function", None) for value in deciding.values())
    ):
        return None
    key = json.dumps(
        [
            data.fingerprint,
            data.task,
            repr(data.config),
            _code_version(),
            *([repr(deciding)] if deciding else []),
        ]
    )
    return cache_folder() / "baselines" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


@cache
def _code_version() -> str:
    """Return a key for everything besides the data that affects the scores: code and library versions."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for folder in ("baselines", "inference/postprocessors", "inference/tasks", "training/scores"):
        for file in sorted((package / folder).rglob("*.py")):
            digest.update(file.read_bytes())
    libraries = ("scikit-learn", "numpy", "scipy", *filter(is_installed, ("lightgbm", "catboost")))
    return " ".join([digest.hexdigest(), *map(version, libraries)])


def _read_cache(file: Path | None, time_limit: float) -> list[dict[str, Any]] | None:
    """Return the cached scores if they were computed from all rows or with at least this time limit, else None."""
    if file is None:
        return None
    try:
        cached = read_json(file)
        summaries: list[dict[str, Any]] = cached["baselines"]
        return summaries if cached["seconds"] >= time_limit or cached["complete"] else None
    except (
        KzooError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
    ):  # no such file, or a damaged one
        return None


def _write_cache(
    file: Path | None, time_limit: float, summaries: list[dict[str, Any]], *, complete: bool
) -> None:
    if file is None:
        return
    # disk full, or a score that is not JSON: computed again next time
    with suppress(OSError, ValueError, TypeError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(
            file, {"seconds": time_limit, "baselines": summaries, "complete": complete}, sync=False
        )
        written = sorted(file.parent.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for old in written[:-_MAX_FILES]:
            old.unlink()
