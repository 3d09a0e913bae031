"""What needs no network, beside the scores of a run: on the same split, in a moment."""

from typing import Any

from kzoo import baselines
from kzoo.data import Dataset
from kzoo.words import first_line

_SECONDS, _SHARE = 2.0, 0.02  # that all of them may take: so long, or so much of the training where that is more
_MOST_KNOWN = 8

# (fingerprint, config) of data -> (seconds allowed, what was kept): other seeds and presets on it get the same.
_known: dict[tuple[str, str], tuple[float, list[dict[str, Any]]]] = {}


def beside(data: Dataset, seconds: float) -> list[dict[str, Any]]:
    """Score baselines on the split that a run is scored on; return what `summary.json` keeps of each, best first.

    Args:
        data: that the run was trained on.
        seconds: that its training took: those that would take long beside it are left out, and say so.
    """
    allowed, key = max(_SECONDS, _SHARE * seconds), (data.fingerprint, repr(data.config))
    before, kept = _known.get(key, (0.0, []))
    if kept and data.fingerprint and (before >= allowed or all(one["scores"] for one in kept)):
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
    while len(_known) >= _MOST_KNOWN:
        del _known[next(iter(_known))]
    _known[key] = allowed, kept
    return kept
