"""Counts: whole numbers, 0 or more, whose rate the network predicts (Poisson regression)."""

from kzoo.problems.tasks import Problem, Score, Task
from kzoo.problems.tasks.values import TASK as VALUES

TASK = Task(
    name="counts",
    room=__name__,
    facts=frozenset({"values", "kept", "counts"}),
    problems=(
        Problem(name="tabular_count", kind="rows", hub="tabular-regression"),
        Problem(name="image_count", kind="image", hub="image-regression"),
        Problem(name="text_count", kind="tokens", hub="text-regression"),
    ),
    words=("count",),
    head="exponential",
    losses=("poisson",),
    metrics=("rmse", "mae"),
    objective="poisson_deviance",
    scores={
        "poisson_deviance": Score(
            best="min", label="Poisson deviance", short="deviance", ratio=True
        ),
        **{name: VALUES.scores[name] for name in ("mae", "rmse")},
    },
    says=("poisson_deviance", "mae", "rmse", "examples"),
)
