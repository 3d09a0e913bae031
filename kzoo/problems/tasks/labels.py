"""Labels: any number of named labels for each row, also none (multi-label classification)."""

from kzoo.problems.stored_types import Config, TrainingSettings
from kzoo.problems.tasks import Problem, Score, Task


def _outputs_text(config: Config, training: TrainingSettings) -> str:
    """Return what the outputs of a network are (see `Task.outputs_text`)."""
    logits = config.get("output_activation") in (None, "linear")
    unit = "logits" if logits else "probabilities"
    return f"{unit} of {config['outputs']} labels; train with rows of 0 and 1"


TASK = Task(
    name="labels",
    room=__name__,
    facts=frozenset({"labels", "probabilities", "kept"}),
    problems=(
        Problem(
            name="tabular_multilabel_classification", kind="rows", hub="tabular-classification"
        ),
        Problem(name="text_multilabel_classification", kind="tokens", hub="text-classification"),
        Problem(name="image_multilabel_classification", kind="image", hub="image-classification"),
    ),
    words=("labels", "multilabel"),
    head="sigmoid",
    losses=("auto", "crossentropy", "focal"),
    metrics=("accuracy",),
    objective="f1_macro",
    scores={
        "f1_macro": Score(label="F1 (mean of the labels)", short="F1 macro", form="digits"),
        "always_all": Score(label="F1 of predicting every label", form="digits", baseline=True),
        "f1_micro": Score(label="F1 (all labels together)", short="F1 micro", form="digits"),
        "average_precision_macro": Score(
            label="average precision (mean of the labels)", short="average precision", form="digits"
        ),
        "exact_match": Score(label="exact match", short="exact match", form="percent"),
        "loss": Score(best="min", label="loss (nats)", short="loss"),
    },
    says=("f1_macro", "always_all", "exact_match", "examples"),
    postprocess=("label_thresholds",),
    predicts="labels",
    limits=(
        "A label is predicted if its probability reaches the threshold of this label, which `kzoo.json` has. An input "
        "that reaches none gets no label.",
    ),
    outputs_text=_outputs_text,
)
