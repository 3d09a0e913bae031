"""What needs no network, beside the scores of a run: on the same split, in a moment."""

import hashlib
import json
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kzoo import baselines
from kzoo.data import Dataset
from kzoo.utils.files import cache_folder, read_json, write_json
from kzoo.utils.formatting import first_line

_SECONDS, _SHARE = 5.0, 0.02  # that each of them may take: so long, or so much of the training where that is more
_MOST = 1_000  # files of a few kB each that are kept from one process to the next, those that were written last


def score_baselines(data: Dataset, seconds: float) -> list[dict[str, Any]]:
    """Score baselines on the split that a run is scored on; return what `summary.json` keeps of each, best first.

    They are kept in `$KZOO_CACHE/baselines`, by what the data and its splits hold: other seeds and presets on it get
    the same, and so does the next process.

    Args:
        data: that the run was trained on.
        seconds: that its training took: those that would take long beside it learn from fewer rows, and say so.
    """
    allowed, file = max(_SECONDS, _SHARE * seconds), _file(data)
    if (kept := _read(file, allowed)) is not None:
        return kept
    try:
        found = baselines.score(data, seconds=allowed)
    except Exception as error:  # hours of training are not lost for them
        why = (f"failed: {first_line(error)}",)
        return [dict(name="baselines", label="baselines", split="test", metric="", scores=None, notes=why)]
    kept = [
        dict(
            name=one.name, label=one.label, split=one.split, metric=one.metric, scores=dict(one.scores) or None,
            notes=list(one.notes),
        )
        for one in found
    ]  # fmt: skip
    _keep(file, allowed, kept, complete=all(one.scores and one.rows is None for one in found))
    return kept


def _file(data: Dataset) -> Path | None:
    """Return where the baselines of some data are kept; None where nothing says what all of the data holds."""
    if not data.fingerprint or data.seen.get("partly"):
        return None
    key = json.dumps([data.fingerprint, repr(data.config), _code()])
    return cache_folder() / "baselines" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


@cache
def _code() -> str:
    """Return what changes with anything that scores of baselines follow from beside the data."""
    package, seen = Path(__file__).parents[1], hashlib.sha256()
    for folder in ("baselines", "tasks"):
        for file in sorted((package / folder).rglob("*.py")):
            seen.update(file.read_bytes())
    return f"{seen.hexdigest()} {version('scikit-learn')} {version('numpy')} {version('scipy')}"


def _read(file: Path | None, allowed: float) -> list[dict[str, Any]] | None:
    """Return what is kept, where all of it was computed from all rows, or as long was allowed for it as is now."""
    if file is None:
        return None
    try:
        known = read_json(file)
        kept: list[dict[str, Any]] = known["baselines"]
        return kept if known["seconds"] >= allowed or known["complete"] else None
    except (OSError, ValueError, LookupError, TypeError):  # there is none, or another process was ended in it
        return None


def _keep(file: Path | None, allowed: float, kept: list[dict[str, Any]], *, complete: bool) -> None:
    if file is None:
        return
    with suppress(OSError, ValueError, TypeError):  # no room, a score that is no number: computed again next time
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"seconds": allowed, "baselines": kept, "complete": complete}, sync=False)
        written = sorted(file.parent.glob("*.json"), key=lambda one: one.stat().st_mtime)
        for old in written[:-_MOST]:
            old.unlink()
