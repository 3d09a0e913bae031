"""The next token of a text, after the last or after each step."""

from kzoo.problems.stored_types import Config, TrainingSettings
from kzoo.problems.tasks import Problem, Score, Task


def _outputs_text(config: Config, training: TrainingSettings) -> str:
    """Return what the outputs of a network are (see `Task.outputs_text`)."""
    unit = "probabilities" if config.get("output_activation") == "softmax" else "logits"
    position = "after every step" if config.get("pooling") is None else "after the window"
    return f"{unit} of the next token among {config['outputs']:,}, {position}"


TASK = Task(
    name="next_token",
    room=__name__,
    facts=frozenset({"numbered", "probabilities", "continues"}),
    problems=(
        Problem(
            name="language_modeling",
            kind="tokens",
            facts=frozenset({"ordered"}),
            hub="text-generation",
        ),
    ),
    head="softmax",
    losses=("auto", "crossentropy", "focal", "kl"),
    metrics=("accuracy", "top5"),
    scores={
        "bits_per_token": Score(best="min", label="bits per token", short="bits per token"),
        "perplexity": Score(best="min", label="perplexity"),
        "loss": Score(best="min", label="loss (nats)", short="loss"),
        "accuracy": Score(label="accuracy", form="percent"),
        "majority": Score(label="always the most frequent", form="percent", baseline=True),
    },
    says=("bits_per_token", "accuracy", "majority", "tokens"),
    predicts="tokens",
    limits=(
        "It generates text that is likely given its training text, which may be false or offensive.",
    ),
    outputs_text=_outputs_text,
)
