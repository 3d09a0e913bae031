"""From a network's outputs to predictions: small steps, learned after training and stored with a run.

A step is a module of this folder, or of an installed package under the entry-point group `kzoo.postprocessors`:

    STAGE = "calibrate"                        one of `STAGES`, which are its order
    FACTS = frozenset({"classes"})             what it needs of a task (see `kzoo.tasks.Task`)
    learn(outputs, truth, *, target, logits) -> dict    plain JSON data, learned on validation rows
    apply(learned, outputs, *, logits) -> outputs       of the stages before the decision: as many, in the same form
    apply(learned, predictions) -> predictions          of the decision and what follows it

Outputs are (N, classes), (N, 1) or (N, ..., targets); truth is what the network was trained on; `logits`
says what outputs of classes are (`kzoo.predictions.logits_of`).

`training` asks for steps by name (`postprocess=`); predicting, scoring, reports, exports and the server apply what is
stored, through `Postprocessor` alone.
"""

import pkgutil
from collections.abc import Mapping
from functools import cache

from kzoo.utils.discovery import Names, entry_points
from kzoo.utils.schema import Words

STAGES = ("unscale", "calibrate", "decide", "intervals", "abstain")
STEP = {
    "name": str,
    "stage": Words(STAGES),
    "rows": str,
    "learned": Mapping,
}  # as it is stored (see `kzoo.utils.schema`)
_SHARED = ("postprocessor",)  # what is no step in this folder


@cache
def step_names() -> dict:
    """Return the names of the steps of this folder, as keys."""
    return dict.fromkeys(one.name for one in pkgutil.iter_modules(__path__) if one.name not in _SHARED)


def _all_names() -> dict:
    return step_names() | dict.fromkeys(entry.name for entry in entry_points("kzoo.postprocessors"))


NAMES = Names(step_names, _all_names)
