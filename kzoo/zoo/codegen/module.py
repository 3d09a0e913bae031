"""A preset's model as a Python module: a comment, and functions that build and compile it."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from kzoo.problems.stored_types import TrainingSettings
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.version import __version__
from kzoo.zoo import contract
from kzoo.zoo.codegen.graph import Graph
from kzoo.zoo.codegen.values import construct, value
from kzoo.zoo.registry.arguments import OF_FIT, TRAINING

if TYPE_CHECKING:
    import keras

    from kzoo.zoo.registry.preset import Preset


_LINE = 110
# Settings that `compile` does not take: some are always named in the comment, the others if they are not the default.
_ALWAYS = ("batch_size", "epochs", "schedule", "monitor", "patience")
_IF_CHANGED = (*OF_FIT, "norm_bias_rate", "layer_decay")


def source_of(
    preset: "Preset",
    model: "keras.Model",
    spec: JsonObject,
    *,
    command: str,
    goes_in: str,
    comes_out: str,
) -> str:
    """Return Python code that builds and compiles a preset's model and needs only Keras.

    Args:
        preset: the preset.
        model: its network, with any overrides.
        spec: the specification of the model.
        command: the command that wrote it.
        goes_in, comes_out: one line about the inputs and one about the outputs.

    Raises:
        KzooError: layers or values that cannot be written as code.
    """
    body = Graph(model).lines
    training = spec["training"]
    compile_lines = _compile_lines(spec)
    names = [name for name in ("layers", "ops") if any(f"{name}." in line for line in body)]
    imports = ["import math", ""] * any("math." in line for line in body) + ["import keras"]
    imports += [f"from keras import {', '.join(names)}"] if names else []
    about = [
        f"{preset.name}: {preset.summary}",
        f"Inputs: {goes_in}",
        f"Outputs: {comes_out}",
        f"{model.count_params():,} parameters. Needs only Keras. Written by kzoo {__version__}: {command}",
        _training_note(training),
        *_difference_notes(spec["config"]),
        *([preset.reference] if preset.reference else []),
    ]
    steps = "model, steps" if any("steps" in line for line in compile_lines) else "model"
    steps_note = " `steps` is batches per epoch times epochs." if "steps" in steps else ""
    return "\n".join(
        [
            *(line for text in about for line in _comment(text)),
            "",
            *imports,
            "",
            "",
            "def build_model():",
            *_indented(body),
            "",
            "",
            f"def compile_model({steps}):",
            f'    """Compile with the optimizer, loss and metrics of kzoo.{steps_note}"""',
            *_indented(compile_lines),
            "",
            "",
            'if __name__ == "__main__":',
            "    build_model().summary()",
            "",
        ]
    )


def _training_note(training: Mapping[str, object]) -> str:
    """Return a sentence with the training settings that `compile` does not take."""
    defaults = {name: TRAINING[name].default for name in _IF_CHANGED if name not in _ALWAYS}
    names = [*_ALWAYS, *defaults]
    settings = [
        f"{k}={training[k]!r}"
        for k in names
        if training.get(k) is not None and training[k] != defaults.get(k)
    ]
    return (
        f"kzoo trains it with {', '.join(settings)}."
        if settings
        else "kzoo has no training settings for it."
    )


def _difference_notes(config: Mapping[str, object]) -> Iterator[str]:
    """Yield notes about what kzoo does before or in training, and this code does not."""
    if config.get("whitening"):
        yield 'kzoo sets the weights of "whitening" from patches of the training images. Here they are random.'
    if config.get("log_ratios"):
        yield 'kzoo sets the weights of "log_ratios" from the training texts of each class. Here they are zeros.'
    if config.get("dirac"):
        yield "kzoo initializes the first filters of the convolutions as the identity. Here they are random."
    if config.get("members"):
        yield 'kzoo trains each member, an input of the layer "members", separately. `fit` alone trains their mean.'


def _compile_lines(spec: JsonObject) -> list[str]:
    """Return the lines that compile the model with its training contract."""
    training, task, config = spec["training"], spec["task"], spec["config"]
    if not {"optimizer", "learning_rate", "schedule"} <= set(training):
        raise KzooError(
            f"{spec['preset']} has no optimizer, learning_rate or schedule, so there is nothing to compile."
        )
    optimizer = contract.make_optimizer(training | {"schedule": "constant", "warmup": 0.0})
    lines, rate = _schedule(training)
    lines.append(f"optimizer = {construct(optimizer, learning_rate=rate)}")
    if training.get("weight_decay"):
        lines.append(
            f"optimizer.exclude_from_weight_decay(var_names={value(contract.undecayed(training))})"
        )
    loss = contract.make_loss(task=task, config=config, training=training)
    metrics = contract.make_metrics(task=task, config=config, training=training)
    lines.append(f"model.compile(optimizer, loss={value(loss)}, metrics={value(metrics)})")
    return lines


def _schedule(training: TrainingSettings) -> tuple[list[str], str]:
    """Return the lines that make the learning rate schedule over `steps`, and its expression.

    For schedules other than "constant" and "cosine" the rate is the constant peak, with a comment.
    """
    name = training.get("schedule", "constant")
    warmup = training.get("warmup", 0)
    peak = value(training["learning_rate"])
    if name not in ("constant", "cosine"):
        return [f"# kzoo uses the schedule {name!r}; this is its peak."], peak
    if name == "constant" and not warmup:
        return [], peak
    cosine = "rate = keras.optimizers.schedules.CosineDecay"
    if not warmup:
        return [f"{cosine}({peak}, steps)"], "rate"
    floor = ", alpha=1.0" if name == "constant" else ""
    return [
        f"warmup = round(steps * {value(warmup)})",
        f"{cosine}(0.0, steps - warmup{floor}, warmup_target={peak}, warmup_steps=warmup)",
    ], "rate"


def _indented(lines: Iterable[str]) -> Iterator[str]:
    """Indent lines of code, and break long ones at spaces within brackets."""
    for line in lines:
        start = 0
        indent = " " * 4
        blanks = list(_blanks(line))
        while len(indent) + len(line) - start > _LINE and (
            breaks := [index for index in blanks if index > start]
        ):
            fitting = [index for index in breaks if index - start <= _LINE - len(indent)]
            end = fitting[-1] if fitting else breaks[0]
            yield indent + line[start:end]
            start = end + 1
            indent = " " * 8
        yield indent + line[start:]


def _blanks(line: str) -> Iterator[int]:
    """Yield the indices of blanks within brackets, except in strings."""
    depth = 0
    quoted = False
    escaped = False
    for index, letter in enumerate(line):
        if letter == '"' and not escaped:
            quoted = not quoted
        escaped = letter == "\\" and not escaped
        if not quoted:
            depth += (letter in "([{") - (letter in ")]}")
        if letter == " " and depth and not quoted:
            yield index


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()), _LINE, initial_indent="# ", subsequent_indent="#     "
    )
