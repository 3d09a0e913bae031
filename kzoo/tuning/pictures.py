"""What `Search.plot` draws."""

from kzoo import plots
from kzoo.errors import KzooError
from kzoo.registry import hint
from kzoo.tuning.importance import importance_of

KINDS = ("history", "curves", "importance")


def picture(search, kind):
    """Return a matplotlib `Figure` of a search; see `Search.plot`."""
    if kind not in KINDS:
        raise KzooError(f"plot({kind!r}) is unknown. {hint(kind, KINDS)}Use one of: {', '.join(KINDS)}.")
    trials, objective = search.trials, search.objective
    if kind == "importance":
        return plots.importance(importance_of(trials, objective, search.config["space"]["parameters"]))
    return {"history": plots.search_history, "curves": plots.search_curves}[kind](trials, objective)
