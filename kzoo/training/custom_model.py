"""A model of one's own: what it is trained with, and what it can be trained on."""

import keras

from kzoo import contract
from kzoo.callbacks.rate import has_settable_rate
from kzoo.checks.losses import last_activation, loss_info
from kzoo.kinds import fits
from kzoo.registry import preset_of, resolve, spec_of
from kzoo.registry.arguments import OF_FIT, TRAINING
from kzoo.tasks import detection
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint, plural

# What a model of your own is trained with; the rest is in its `compile`.
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
# What the labels of a loss look like -> the fact of the tasks that it learns; a sigmoid's may be either.
_LEARNS = {"values": "values", "numbers": "numbered", "one-hot": "numbered"}


def settings_of(own, overrides):
    """Return (preset or None, config, training) of a compiled model, before any data is seen.

    Raises:
        KzooError: it is not compiled, or a setting that it does not take.
    """
    if not own.compiled:
        raise KzooError(f"Model {own.name!r} is not compiled: call model.compile(optimizer, loss) first.")
    training = dict(CUSTOM_MODEL)
    for name, value in overrides.items():
        if name not in training:
            known = ", ".join(training)
            raise KzooError(f"Unknown argument {name!r} for a model of your own. {hint(name, training)}Use: {known}.")
        training[name] = TRAINING[name].check(name, value)
    try:
        spec = spec_of(own)
    except KzooError:
        return None, {}, training
    preset = preset_of(spec)
    config, settings = resolve(preset, {name: training[name] for name in overrides})
    return preset, config, _as_compiled(own, settings)


def _as_compiled(own, training):
    """Return the settings of a built model; where somebody has compiled it since, `compile`'s are not the preset's."""
    optimizer, trained = own.optimizer, int(own.optimizer.iterations)
    if contract.compiled_by_contract(own) and (trained or contract.is_compiled_unchanged(own, training)):
        return training
    kept = {name: value for name, value in training.items() if name in OF_FIT}
    kinds = {kind: name for name, (kind, fixed) in contract.OPTIMIZERS.items() if not fixed or name == "muon"}
    if (name := kinds.get(type(optimizer))) is not None:
        nesterov = name == "sgd" and optimizer.nesterov
        kept |= {"optimizer": "momentum", "momentum": optimizer.momentum} if nesterov else {"optimizer": name}
    if has_settable_rate(optimizer):
        if training["schedule"] == "plateau":  # which is a callback's, not the optimizer's
            kept["schedule"] = "plateau"
        if not trained and (rate := float(f"{float(optimizer.learning_rate):.7g}")) > 0:
            kept["learning_rate"] = rate
    return kept


def as_compiled_for(own, data, again):
    """Return data for what the loss of a compiled model learns, where it says it.

    Args:
        data, again: see `as_learned`.
    """
    loss, shares = loss_info(own), last_activation(own) in ("sigmoid", "hard_sigmoid", "softmax")
    if loss is None or loss.labels not in _LEARNS or (shares and loss.labels == "values"):
        return data
    whose = f"The loss of your model {own.name!r}, {loss.name},"
    return as_learned(_LEARNS[loss.labels], data, again, whose=whose)


def as_learned(fact, data, again, *, whose):
    """Return data for what a model of one's own answers: whole numbers may be classes as well as values.

    Args:
        fact: "values" or "numbered", which the data's task has to have.
        data: as it was read by its own look.
        again: function of a task's name that reads it anew; None where it has been read for good.
        whose: what says so, for the message.

    Raises:
        KzooError: nothing of this kind of input has the fact, or what the data is for has been said, and is another.
    """
    if fact in data.problem.facts or not data.problem.facts & {"values", "numbered"}:
        return data
    found = [name for name, one in detection.fitting(data.inputs).items() if fact in one.facts]
    learns, has = ("values", "classes") if fact == "values" else ("classes", "values")
    if again is not None and found:
        return again(found[-1])
    if fact == "values" and data.outputs == 2:
        return data  # they are said or sure to be classes, and two of them, 0 and 1, are numbers too
    cure = f" Say task={found[0]!r} where it is loaded." if found else ""
    raise KzooError(f"{whose} is for {learns}, and {data.name} has {has} to predict.{cure}")


def check_shape(own, data):
    """Refuse a model of one's own with several inputs or outputs, and data of another shape than it takes."""
    inputs, outputs = (list(getattr(own, name, None) or ()) for name in ("inputs", "outputs"))
    if len(inputs) > 1 or len(outputs) > 1:
        raise KzooError(
            f"Model {own.name!r} has {plural(len(inputs), 'input')} and {plural(len(outputs), 'output')}: kzoo trains "
            "models with one of each. Keras' own fit takes others, with kzoo.callbacks."
        )
    if len(inputs) != 1:
        return
    takes, gives = tuple(inputs[0].shape[1:]), data.input_shape
    if not fits(gives, takes):
        raise KzooError(f"Model {own.name!r} takes inputs of shape {takes}, and {data.name} gives {gives}.")


def check_custom_model(what, *, weights=None, freeze=None, precision="auto", devices=None):
    """Refuse, for a model of one's own, what says how a preset's network is built."""
    if not isinstance(what, keras.Model):
        return
    if devices is not None:
        raise KzooError("devices= is for presets: build your own model inside keras.distribution's scope.")
    if weights is not None or freeze is not None:
        raise KzooError("weights= and freeze= are for presets; set the weights of your own model before training.")
    if precision != "auto":
        raise KzooError(
            f"precision={precision!r} is how a network is built, and {what.name!r} is: "
            f"keras.config.set_dtype_policy({precision!r}) before it is."
        )
