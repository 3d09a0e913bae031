"""Classes that have an order: a task as a package of its own would bring it, with no file of kzoo changed."""

from kzoo.tasks import Problem, Score, Task

TASK = Task(
    name="ordinal",
    room=__name__,
    facts=frozenset({"classes", "numbered", "probabilities", "kept", "ranked"}),
    problems=(
        Problem(name="tabular_ordinal", kind="rows"),
        Problem(name="text_ordinal", kind="tokens"),
        Problem(name="image_ordinal", kind="image"),
    ),
    words=("ordinal",),
    head="softmax",
    losses=("auto", "crossentropy", "focal"),
    metrics=("accuracy",),
    scores={
        "rank_error": Score(best="min", label="mean rank error", short="rank error", ratio=True),
        "rank_error_of_median": Score(best="min", label="always the median", baseline=True),
        "accuracy": Score(label="accuracy", form="percent"),
    },
)
