"""Ordered classes: one of K classes that have an order, such as low, medium, high."""

from kzoo.problems.tasks import Problem, Score, Task
from kzoo.problems.tasks.classes import TASK as CLASSES

TASK = Task(
    name="ordinal",
    room=__name__,
    facts=CLASSES.facts | {"ordinal"},
    problems=(
        Problem(name="tabular_ordinal", kind="rows", hub="tabular-classification"),
        Problem(name="text_ordinal", kind="tokens", hub="text-classification"),
        Problem(name="image_ordinal", kind="image", hub="image-classification"),
    ),
    words=("ordinal",),
    head="softmax",
    losses=("cumulative", "crossentropy", "focal"),
    loss_heads={"cumulative": "cumulative"},
    heads={"cumulative": "softmax"},
    metrics=("accuracy",),
    objective="class_distance",
    scores={
        "class_distance": Score(
            best="min", label="mean class distance", short="class distance", ratio=True
        ),
        "class_distance_median": Score(best="min", label="always the median class", baseline=True),
        "quadratic_kappa": Score(
            label="quadratic weighted kappa", short="quadratic kappa", form="digits"
        ),
        **{
            name: CLASSES.scores[name]
            for name in (
                "accuracy",
                "accuracy_interval",
                "loss",
                "expected_cost",
                "expected_cost_interval",
                "expected_cost_default",
            )
        },
    },
    says=("class_distance", "class_distance_median", "accuracy", "examples"),
    option="order",
)
