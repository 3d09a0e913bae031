"""Three quantiles of each target: the network has a column for each of them."""

from kzoo.tasks import Problem, Score, Task

LEVELS = (0.1, 0.5, 0.9)
TASK = Task(
    name="bands",
    room=__name__,
    facts=frozenset({"values", "kept"}),
    problems=(Problem(name="tabular_bands", kind="rows"),),
    words=("bands",),
    head="linear",
    losses=("pinball",),
    metrics=(),
    scores={
        "pinball": Score(best="min", label="pinball loss", short="pinball"),
        "inside": Score(label="share between the outer quantiles", form="percent"),
    },
)
