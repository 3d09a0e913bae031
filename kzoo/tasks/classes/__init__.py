"""One of K classes; two classes may share one output."""

from kzoo.tasks import Problem, Score, Task

TASK = Task(
    name="classes",
    room=__name__,
    facts=frozenset({"classes", "numbered", "probabilities", "kept"}),
    problems=(
        Problem(name="image_classification", kind="image"),
        Problem(name="text_classification", kind="tokens"),
        Problem(name="tabular_classification", kind="rows"),
    ),
    words=("classification",),
    head="softmax",
    single_head="sigmoid",
    losses=("auto", "crossentropy", "focal", "hinge", "kl"),
    metrics=("accuracy", "auc", "top5"),
    scores={
        "accuracy": Score(label="accuracy", form="percent"),
        "accuracy_interval": Score(label="95 % interval", form="interval"),
        "majority": Score(label="always the most frequent", form="percent", baseline=True),
        "average_precision": Score(
            label="average precision", short="average precision", form="digits", counts_instead_of="accuracy"
        ),
        "f1": Score(label="F1 (mean of the classes)", short="F1", form="digits"),
        "auc": Score(label="AUC", short="AUC", form="digits"),
        "loss": Score(best="min", label="loss (nats)", short="loss"),
    },
    says=("accuracy", "accuracy_interval", "majority", "examples"),
)
