"""The step "target_range" of a training: forecasts stay never negative, or whole, as their targets are."""

from kzoo.data.dataset import Dataset
from kzoo.inference.postprocessors.postprocessor import Postprocessor, with_range
from kzoo.inference.postprocessors.target_range import learned_range


def with_target_range(postprocessor: Postprocessor | None, data: Dataset) -> Postprocessor | None:
    """Return the postprocessor of a training with this step, if the targets of forecasts were like that.

    Args:
        postprocessor: the other steps, or None.
        data: a `Dataset`, which knows this of the rows before the test rows.
    """
    facts = data.seen.get("target_range")
    return with_range(postprocessor, learned_range(facts, data.target) if facts else None)
