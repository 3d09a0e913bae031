"""`predict`: raw inputs in, labels and probabilities (or values) out."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kzoo.data import encode
from kzoo.data.decode import image_paths
from kzoo.errors import KzooError
from kzoo.run import Run
from kzoo.training.score import forward, gives_logits, probabilities


@dataclass(kw_only=True)
class Predictions:
    """Answers, in the order of the inputs.

    Args:
        labels: the likeliest class of each input; empty for values.
        probabilities: (N, classes), or None for values.
        values: (N, targets) or (N, horizon, targets) in the target's own unit, or None for classes.
        class_names, target_names: names of the columns.
        inputs: what each row was made from (a file's name, a sentence, a row's number).
    """

    labels: list = field(default_factory=list)
    probabilities: np.ndarray | None = None
    values: np.ndarray | None = None
    class_names: tuple = ()
    target_names: tuple = ()
    inputs: tuple = ()

    def __len__(self):
        return len(self.labels if self.probabilities is not None else self.values)

    def to_frame(self):
        """Return a pandas DataFrame: input, label and a probability per class, or a column per target."""
        import pandas as pd

        if self.probabilities is not None:
            columns = {"input": list(self.inputs), "label": self.labels}
            columns |= {f"p_{name}": self.probabilities[:, i] for i, name in enumerate(self.class_names)}
            return pd.DataFrame(columns)
        if self.values.ndim == 2:
            names = self.target_names or tuple(f"target_{i}" for i in range(self.values.shape[1]))
            return pd.DataFrame({"input": list(self.inputs)} | {n: self.values[:, i] for i, n in enumerate(names)})
        n, horizon, targets = self.values.shape
        names = self.target_names or tuple(f"target_{i}" for i in range(targets))
        frame = {
            "input": np.repeat(list(self.inputs), horizon),
            "step": np.tile(np.arange(1, horizon + 1), n),
        }
        return pd.DataFrame(frame | {m: self.values[:, :, i].reshape(-1) for i, m in enumerate(names)})


def predict(run, inputs, *, batch_size=128) -> Predictions:
    """Answer raw inputs with a run's best model.

    Args:
        run: a run or its path.
        inputs: image files, a folder of them or arrays; a CSV, a DataFrame or rows; strings; or an array of
            the model's own input shape.
        batch_size: examples in a step.

    Raises:
        KzooError: an input that cannot be read or does not fit.
    """
    run = run if isinstance(run, Run) else Run(run)
    data = run.config["data"]
    if hasattr(inputs, "__len__") and not len(inputs):
        raise KzooError("Nothing to predict: no inputs were given.")
    x, names = encode_named(run, inputs)
    model = run.model
    size = min(batch_size, len(x))
    answers = np.concatenate([forward(model, x[i : i + size], size) for i in range(0, len(x), size)])
    logits = gives_logits(model)
    if data["task"] == "language_modeling":
        last = answers[:, -1] if answers.ndim == 3 else answers  # the distribution of the next token
        vocabulary = ["<pad>", "<unk>", *run.preprocessing.get("vocabulary", ())]
        return _classes(probabilities(last, logits), vocabulary[: last.shape[-1]], names)
    if data["class_names"]:
        return _classes(probabilities(answers, logits), data["class_names"], names)
    return Predictions(values=answers, target_names=tuple(data["target_names"]), inputs=names)


def encode_named(run, inputs):
    """Return (x, names) for raw inputs."""
    if run.preprocessing["kind"] == "image" and isinstance(inputs, str | Path):
        inputs = image_paths(inputs)
    x = encode(run.preprocessing, inputs)
    listed = list(inputs) if isinstance(inputs, list | tuple) and len(inputs) == len(x) else None
    if listed is None and isinstance(inputs, str) and len(x) == 1:
        listed = [inputs]
    if listed is None or not all(isinstance(i, str) or hasattr(i, "__fspath__") for i in listed):
        return x, tuple(range(len(x)))
    return x, tuple(str(i) for i in listed)


def _classes(p, class_names, names):
    labels = [class_names[i] for i in p.argmax(-1)]
    return Predictions(labels=labels, probabilities=p, class_names=tuple(class_names), inputs=names)
