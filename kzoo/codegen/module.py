"""A preset's model as a whole module: how it is made, how it is compiled, and what its comment says."""

import textwrap

from kzoo import __version__, contract
from kzoo.codegen.graph import Graph
from kzoo.codegen.values import construct, value
from kzoo.registry.arguments import OF_FIT, TRAINING
from kzoo.utils.errors import KzooError

_LINE = 110
# What `compile` does not know. Some of it is said in any case; of the rest, what is not as usual.
_ALWAYS = ("batch_size", "epochs", "schedule", "monitor", "patience")
_BESIDE = (*OF_FIT, "norm_bias_rate", "layer_decay")


def source_of(preset, model, spec, *, command, goes_in, comes_out) -> str:
    """Return Python code that builds and compiles a preset's model and needs Keras alone.

    Args:
        preset: the preset.
        model: its network, with any overrides.
        spec: the specification of the model.
        command: what wrote it.
        goes_in, comes_out: a line each.

    Raises:
        KzooError: layers or values that cannot be written as code.
    """
    body, training = Graph(model).lines, spec["training"]
    compiling = _compiling(spec)
    names = [name for name in ("layers", "ops") if any(f"{name}." in line for line in body)]
    imports = ["import math", ""] * any("math." in line for line in body) + ["import keras"]
    imports += [f"from keras import {', '.join(names)}"] if names else []
    about = [
        f"{preset.name}: {preset.summary}",
        f"Goes in: {goes_in}",
        f"Comes out: {comes_out}",
        f"{model.count_params():,} parameters. Needs Keras alone. Written by kzoo {__version__}: {command}",
        _advice(training),
        *_differs(spec["config"]),
        *([preset.reference] if preset.reference else []),
    ]
    steps = "model, steps" if any("steps" in line for line in compiling) else "model"
    what = " `steps` is batches in an epoch times epochs." if "steps" in steps else ""
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
            f'    """Compile with the optimizer, loss and metrics of kzoo.{what}"""',
            *_indented(compiling),
            "",
            "",
            'if __name__ == "__main__":',
            "    build_model().summary()",
            "",
        ]
    )


def _advice(training):
    """Say how the preset is trained, beside what `compile` knows."""
    neutral = {name: TRAINING[name].default for name in _BESIDE if name not in _ALWAYS}
    names = [*_ALWAYS, *neutral]
    said = [f"{k}={training[k]!r}" for k in names if training.get(k) is not None and training[k] != neutral.get(k)]
    return f"kzoo trains it with {', '.join(said)}." if said else "kzoo trains it as you say."


def _differs(config):
    """Say what is not so here: weights that kzoo sets before training, and what it fits."""
    if config.get("whitening"):
        yield 'kzoo sets the weights of "whitening" from patches of the training images; here they are random.'
    if config.get("log_ratios"):
        yield 'kzoo sets the weights of "log_ratios" from the training texts of each class; here they are zeros.'
    if config.get("dirac"):
        yield "kzoo lets the first filters of the convolutions begin as the identity; here they are random."
    if config.get("members"):
        yield 'kzoo fits the answers of each member, which go into the layer "members"; `fit` alone fits their mean.'


def _compiling(spec):
    """Return the lines that compile the model as its training contract says."""
    training, task, config = spec["training"], spec["task"], spec["config"]
    if not {"optimizer", "learning_rate", "schedule"} <= set(training):
        raise KzooError(f"{spec['preset']} says no optimizer, learning_rate or schedule: there is nothing to compile.")
    optimizer = contract.make_optimizer(training | {"schedule": "constant", "warmup": 0.0})
    lines, rate = _schedule(training)
    lines.append(f"optimizer = {construct(optimizer, learning_rate=rate)}")
    if training.get("weight_decay"):
        lines.append(f"optimizer.exclude_from_weight_decay(var_names={value(contract.undecayed(training))})")
    loss = contract.make_loss(task=task, config=config, training=training)
    metrics = contract.make_metrics(task=task, config=config, training=training)
    lines.append(f"model.compile(optimizer, loss={value(loss)}, metrics={value(metrics)})")
    return lines


def _schedule(training):
    """Return the lines that make the learning rate over `steps`, and the expression of it.

    A schedule other than "constant" and "cosine" is left to a comment: the peak is constant then.
    """
    name, warmup, peak = (
        training.get("schedule", "constant"),
        training.get("warmup", 0),
        value(training["learning_rate"]),
    )
    if name not in ("constant", "cosine"):
        return [f"# The schedule of kzoo is {name!r}, and this its peak."], peak
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


def _indented(lines):
    """Indent lines, and break long ones at blanks within brackets, where Python allows it."""
    for line in lines:
        begin, indent, blanks = 0, " " * 4, list(_blanks(line))
        while len(indent) + len(line) - begin > _LINE and (later := [at for at in blanks if at > begin]):
            end = max((at for at in later if at - begin <= _LINE - len(indent)), default=later[0])
            yield indent + line[begin:end]
            begin, indent = end + 1, " " * 8
        yield indent + line[begin:]


def _blanks(line):
    """Find the blanks within brackets, those of strings left out."""
    depth, quoted, escaped = 0, False, False
    for at, letter in enumerate(line):
        if letter == '"' and not escaped:
            quoted = not quoted
        escaped = letter == "\\" and not escaped
        depth += 0 if quoted else (letter in "([{") - (letter in ")]}")
        if letter == " " and depth and not quoted:
            yield at


def _comment(text):
    return textwrap.wrap(" ".join(text.split()), _LINE, initial_indent="# ", subsequent_indent="#     ")
