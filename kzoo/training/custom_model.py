"""Custom models (compiled Keras models that are not presets): their training settings, and data that fits them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import keras

from kzoo.callbacks.rate import has_settable_rate
from kzoo.data.targets import detection
from kzoo.problems.kinds import shape_matches
from kzoo.problems.stored_types import Overrides
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import hint, plural
from kzoo.zoo import contract
from kzoo.zoo.loss_info import last_activation, loss_info
from kzoo.zoo.registry import preset_of, resolve, spec_of
from kzoo.zoo.registry.arguments import OF_FIT, TRAINING

if TYPE_CHECKING:
    from kzoo.data.dataset import Dataset
    from kzoo.zoo.registry.preset import Preset
    from kzoo.zoo.weights import Weights


# Default training settings of a custom model; the others are arguments of its `compile`.
CUSTOM_MODEL = dict(
    batch_size=32,
    epochs=10,
    augment=(),
    class_weight=None,
    monitor=None,
    mode=None,
    patience=10,
    callbacks="standard",
    on_nan="stop",
)
# Label format of a loss -> the fact of the tasks that it can learn. Not for sigmoid outputs, which fit either task.
_LEARNS = {"values": "values", "numbers": "numbered", "one-hot": "numbered"}


def custom_model_settings(
    model: keras.Model, overrides: Overrides
) -> "tuple[Preset | None, JsonObject, JsonObject]":
    """Return (preset or None, config, training) of a compiled model, before any data is read.

    Raises:
        KzooError: the model is not compiled, or an override is not a setting of custom models.
    """
    if not model.compiled:
        raise KzooError(
            f"Model {model.name!r} is not compiled. Call model.compile(optimizer, loss) first."
        )
    training = dict(CUSTOM_MODEL)
    for name, value in overrides.items():
        if name not in training and not (name in TRAINING and TRAINING[name].optional):
            names = ", ".join(training)
            raise KzooError(
                f"Unknown argument {name!r} for a custom model. {hint(name, training)}Use one of: {names}.",
                argument=name,
                value=value,
                complete=True,
            )
        training[name] = TRAINING[name].check(name, value)
    try:
        spec = spec_of(model)
    except KzooError:
        return None, {}, training
    preset = preset_of(spec)
    config, settings = resolve(preset, {name: training[name] for name in overrides})
    return preset, config, _compiled_settings(model, settings)


def _compiled_settings(model: keras.Model, training: JsonObject) -> JsonObject:
    """Return the training settings of a model built by `kzoo.build`, without the preset's if it was compiled again."""
    optimizer = model.optimizer
    steps = int(model.optimizer.iterations)
    if contract.compiled_by_contract(model) and (
        steps or contract.is_compiled_unchanged(model, training)
    ):
        return training
    settings = {name: value for name, value in training.items() if name in OF_FIT}
    optimizer_names = {
        optimizer_class: name
        for name, (optimizer_class, fixed) in contract.OPTIMIZERS.items()
        if not fixed or name == "muon"
    }
    if (name := optimizer_names.get(type(optimizer))) is not None:
        nesterov = name == "sgd" and optimizer.nesterov
        settings |= (
            {"optimizer": "momentum", "momentum": optimizer.momentum}
            if nesterov
            else {"optimizer": name}
        )
    if has_settable_rate(optimizer):
        if training["schedule"] == "plateau":  # implemented by a callback, not by the optimizer
            settings["schedule"] = "plateau"
        if not steps and (rate := float(f"{float(optimizer.learning_rate):.7g}")) > 0:
            settings["learning_rate"] = rate
    return settings


def match_loss(
    model: keras.Model, data: "Dataset", reload: "Callable[[str], Dataset] | None"
) -> "Dataset":
    """Return data with the labels that the loss of a compiled model learns, if the loss determines them.

    Args:
        data, reload: see `as_learned`.
    """
    loss = loss_info(model)
    is_bounded = last_activation(model) in ("sigmoid", "hard_sigmoid", "softmax")
    if loss is None or loss.labels not in _LEARNS or (is_bounded and loss.labels == "values"):
        return data
    subject = f"The loss of model {model.name!r}, {loss.name},"
    return read_labels_as(_LEARNS[loss.labels], data, reload, whose=subject)


def read_labels_as(
    fact: str, data: "Dataset", again: "Callable[[str], Dataset] | None", *, whose: str
) -> "Dataset":
    """Return data whose labels are what a custom model predicts: integers can be classes or values.

    Args:
        fact: "values" or "numbered", a fact that the data's task must have.
        data: the data with the task that was detected.
        again: function of a task's name that reads the data again; None if it cannot be read again.
        whose: subject of the error message, such as "The loss of model 'mine'".

    Raises:
        KzooError: no task for this kind of input has the fact, or the task was set by the user and does not have it.
    """
    if fact in data.problem.facts or not data.problem.facts & {"values", "numbered"}:
        return data
    suitable = {
        name: p.facts
        for name, p in detection.supported_problems(data.inputs).items()
        if fact in p.facts
    }
    # values, not counts (see `kzoo.problems.tasks.problem_for`)
    fewest = min(map(len, suitable.values()), default=0)
    tasks = [name for name, facts in suitable.items() if len(facts) == fewest]
    learns, has = ("values", "classes") if fact == "values" else ("classes", "values")
    if again is not None and tasks:
        return again(tasks[-1])
    if fact == "values" and data.outputs == 2:
        return data  # two classes, 0 and 1, can be learned as values
    fix = f" Set task={tasks[0]!r} when loading the data." if tasks else ""
    raise KzooError(f"{whose} is for {learns}, and {data.name} has {has} to predict.{fix}")


def check_shape(model: keras.Model, data: "Dataset") -> None:
    """Raise KzooError for a custom model with several inputs or outputs, or one that takes another input shape."""
    inputs, outputs = (list(getattr(model, name, None) or ()) for name in ("inputs", "outputs"))
    if len(inputs) > 1 or len(outputs) > 1:
        raise KzooError(
            f"Model {model.name!r} must have exactly one input and one output, and has {plural(len(inputs), 'input')} "
            f"and {plural(len(outputs), 'output')}. Train it with Keras' own fit, which takes kzoo.callbacks."
        )
    if len(inputs) != 1:
        return
    expected = tuple(inputs[0].shape[1:])
    shape = data.input_shape
    if not shape_matches(shape, expected):
        raise KzooError(
            f"Model {model.name!r} takes inputs of shape {expected}, and {data.name} has {shape}."
        )


def check_custom_model(
    model: keras.Model,
    *,
    weights: "Weights | None" = None,
    freeze: object | None = None,
    precision: str = "auto",
    devices: int | None = None,
) -> None:
    """Raise KzooError if arguments that determine how a preset is built are given for a custom model."""
    if not isinstance(model, keras.Model):
        return
    if devices is not None:
        raise KzooError(
            "is for presets. Build a custom model inside the scope of a keras.distribution.",
            argument="devices",
        )
    if weights is not None or freeze is not None:
        raise KzooError(
            "and freeze= are for presets. Set the weights of a custom model before training.",
            argument="weights",
        )
    if precision != "auto":
        raise KzooError(
            f"applies when a network is built, and {model.name!r} is built already. Call "
            f"keras.config.set_dtype_policy({precision!r}) before building it.",
            argument="precision",
            value=precision,
        )
