"""Postprocessing steps from a network's outputs to predictions, learned after training and stored with a run.

A step is a module of this folder, or of an installed package under the entry-point group `kzoo.postprocessors`:

    STAGE = "calibrate"                        one of `STAGES`, in whose order steps are applied
    FACTS = frozenset({"classes"})             facts that the task must have (see `kzoo.problems.tasks.Task`)
    CLASSES = (2, 2)                           optional: the fewest and most classes (None: any number) of a task whose
                                               rows have one each
    learn(outputs, truth, *, target, logits) -> dict    plain JSON data, learned on validation rows; optionally also
                                               of settings= (of training) and weight= (N,), where it has these arguments
    apply(learned, outputs, *, logits) -> outputs       in stages before "decide": same number of rows, same form
    apply(learned, predictions) -> predictions          in stage "decide" and later
    describe(learned) -> list of lines         optional: what was learned, for notes and reports
    combine(list of learned) -> dict                    optional: of an ensemble without validation data
    decide(learned, target) -> Target                   optional: the target with what scores need, such as thresholds

Outputs are (N, classes), (N, 1) or (N, ..., targets); truth is what the network was trained on; `logits`
is whether the outputs of classes are logits (`kzoo.inference.predictions.logits_of`).

The step `conformal` is different: every training learns it last, on predictions, and it is applied where a user asks
for sets, intervals or abstention (`Postprocessor.answered`). So is `error_vectors`: every training of forecasts learns
it on their whole errors; it adds means, and where a user asks for them, paths and totals (`Postprocessor.totals`).

`training` selects steps by name (`postprocess=`); predicting, scoring, reports, exports and the server apply the stored
steps, through `Postprocessor` only.

The step `quantile_widths` is stored with quantiles of forecasts: their distances to the median, corrected on rows that
were not trained on. The other steps are learned on its forecasts.

The step `target_range` is stored with forecasts whose targets were never negative or always whole. It changes outputs,
so that scores are those of its forecasts, and once more predictions with the intervals that a user asks for.
"""

import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeAlias

from kzoo.utils.discovery import Names, entry_points
from kzoo.utils.schema import Words

Learned: TypeAlias = Mapping[str, Any]  # what `learn` of a step returns, as plain data
StepModule: TypeAlias = Any  # with `STAGE`, `FACTS`, `learn` and `apply`

STAGES = ("unscale", "calibrate", "range", "decide", "intervals", "abstain")
STEP = {
    "name": str,
    "stage": Words(STAGES),
    "rows": str,
    "learned": Mapping,
}  # schema of a stored step (see `kzoo.utils.schema`)
# Modules of this folder that are not steps.
_SHARED = (
    "abstention",
    "adaptive_band",
    "calibration",
    "clustered",
    "conformal_scores",
    "coverage",
    "decision",
    "postprocessor",
    "prediction_options",
    "sample_paths",
    "series_scale",
)
# steps that every training learns, and that `postprocess=` does not select
AUTOMATIC = ("conformal", "error_vectors", "quantile_widths", "target_range")


@cache
def step_names() -> dict[str, None]:
    """Return the names of the steps in this folder, as keys."""
    return dict.fromkeys(
        module.name for module in pkgutil.iter_modules(__path__) if module.name not in _SHARED
    )


def _chosen_names() -> dict[str, None]:
    return {name: None for name in step_names() if name not in AUTOMATIC}


def _all_names() -> dict[str, None]:
    return _chosen_names() | dict.fromkeys(
        entry.name for entry in entry_points("kzoo.postprocessors")
    )


NAMES = Names(_chosen_names, _all_names)
