"""Rates: a Poisson regression, whose network gives the rate."""

from kzoo.tasks import Problem, Score, Task

TASK = Task(
    name="rates",
    room=__name__,
    facts=frozenset({"values", "kept"}),
    problems=(Problem(name="tabular_rate", kind="rows"),),
    words=("rate",),
    head="exponential",
    losses=("poisson",),
    metrics=("poisson_loss",),
    scores={
        "deviance": Score(best="min", label="Poisson deviance", short="deviance"),
        "deviance_of_mean": Score(best="min", label="always the mean", baseline=True),
    },
)
