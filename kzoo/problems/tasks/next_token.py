"""The next token of a text, after the last or after each step."""

from kzoo.problems.tasks import Problem, Score, Task

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
)
