"""Whether the forecasts of a run are biased more than those of the best baseline. Standard library only."""

from collections.abc import Mapping
from typing import Any

from kzoo.utils.formatting import percent
from kzoo.zoo.results import baselines

# by which the interval of a bias must be farther from 0 than the bias of the baseline
_CLEARLY = 0.02
_HELP = "Sums of the forecasts are off by as much. Train on later rows, or compare the baseline as a run."


def bias_findings(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (what, fix) if the forecasts of a run are clearly too low or too high, beside the best baseline.

    Args:
        summary: of the run. Only runs whose bias has an interval, clustered by series and origin, are judged.
    """
    best = next(iter(baselines.values(dict(summary))), None)
    entry = next((row for row in summary.get("baselines") or () if row["label"] == best), None)
    if entry is None:
        return []
    scores = summary.get(entry["split"]) or {}
    interval, other = scores.get("bias_interval"), (entry["scores"] or {}).get("bias")
    if interval is None or other is None:
        return []
    low, high = interval
    if max(low, -high) <= abs(other) + _CLEARLY:
        return []
    what = "low" if high < 0 else "high"
    return [
        (
            f"The forecasts of the {entry['split']} rows are {percent(abs(scores['bias']))} too {what} in total (95 % "
            f"interval of the bias: {percent(low)} to {percent(high)}); the bias of the best baseline, {best}, is "
            f"{percent(other)}",
            _HELP,
        )
    ]


def bias_warnings(summary: Mapping[str, Any]) -> list[str]:
    """Return `bias_findings` as sentences."""
    return [f"{what}. {fix}" for what, fix in bias_findings(summary)]
