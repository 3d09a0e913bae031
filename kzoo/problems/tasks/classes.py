"""One of K classes; two classes may share one output."""

from kzoo.problems.stored_types import Config, TrainingSettings
from kzoo.problems.tasks import Problem, Score, Task, ends_in

# what a single output of two classes is, by its activation
_UNITS = {"sigmoid": "probability", "hard_sigmoid": "probability", None: "logit", "linear": "logit"}


def _outputs_text(config: Config, training: TrainingSettings) -> str:
    """Return what the outputs of a network are (see `Task.outputs_text`)."""
    count = config["outputs"]
    activation = ends_in(config.get("output_activation"))
    if count == 1:
        return f"{_UNITS.get(activation, f'{activation} score')} of the second class"
    unit = {"softmax": "probabilities", None: "logits"}.get(activation, f"{activation} values")
    onehot = training.get("labels") == "onehot"
    labels = "one-hot labels" if onehot else f"integer labels 0..{count - 1}"
    return f"{unit} of {count} classes; train with {labels}"


TASK = Task(
    name="classes",
    room=__name__,
    facts=frozenset({"classes", "numbered", "probabilities", "kept"}),
    problems=(
        Problem(name="image_classification", kind="image"),
        Problem(name="text_classification", kind="tokens"),
        Problem(name="tabular_classification", kind="rows"),
        Problem(name="series_classification", kind="series", hub="time-series-classification"),
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
            label="average precision",
            short="average precision",
            form="digits",
            counts_instead_of="accuracy",
        ),
        "f1": Score(label="F1 (mean of the classes)", short="F1", form="digits"),
        "auc": Score(label="AUC", short="AUC", form="digits"),
        "loss": Score(best="min", label="loss (nats)", short="loss"),
        # These only with `objective=`, `decision=`, `cost=` or `positive=`; "_default" is without a threshold.
        "balanced_accuracy": Score(label="balanced accuracy", form="percent"),
        "f1_positive": Score(
            label="F1 of the positive class", short="F1 of positive", form="digits"
        ),
        "precision_positive": Score(
            label="precision of the positive class", short="precision", form="percent"
        ),
        "recall_positive": Score(
            label="recall of the positive class", short="recall", form="percent"
        ),
        "recall@precision": Score(label="recall at a precision", form="percent"),
        "expected_cost": Score(
            best="min", label="expected cost per 1,000 rows", short="expected cost", interval=90
        ),
        "expected_cost_interval": Score(label="90 % interval of the cost", form="bounds"),
        "accuracy_default": Score(label="accuracy at 0.5", form="percent", baseline=True),
        "f1_default": Score(label="F1 (mean of the classes) at 0.5", form="digits", baseline=True),
        "balanced_accuracy_default": Score(
            label="balanced accuracy at 0.5", form="percent", baseline=True
        ),
        "f1_positive_default": Score(
            label="F1 of the positive class at 0.5", form="digits", baseline=True
        ),
        "precision_positive_default": Score(
            label="precision at 0.5", form="percent", baseline=True
        ),
        "recall_positive_default": Score(label="recall at 0.5", form="percent", baseline=True),
        "expected_cost_default": Score(
            best="min", label="expected cost per 1,000 rows at 0.5", baseline=True
        ),
    },
    side_by_side=("auc", "loss", "accuracy"),
    says=("accuracy", "accuracy_interval", "majority", "examples"),
    predicts="classes",
    limits=("It assigns one of its {count} classes to every input, even if none applies.",),
    outputs_text=_outputs_text,
)
