"""The network follows the data: classes, columns, vocabulary, loss and metrics."""

import inspect

from kzoo.contract import metrics_for
from kzoo.errors import KzooError
from kzoo.registry import family_builder, list_presets

_REGRESSION = ("tabular_regression", "sequence_regression")


def settle(preset, config, training, asked, data):
    """Return the config and training contract that fit the data.

    Args:
        preset: the preset.
        config, training: its settings with the user's overrides in.
        asked: names the user has set; a contradiction with the data is an error, never a silent change.
        data: a `Dataset`.

    Returns:
        (config, training, notes): `notes` has a line for each change that is not a matter of course.

    Raises:
        KzooError: the data and the preset do not fit.
    """
    _check_fit(preset, config, data)
    builder, _ = family_builder(preset.family)
    known = set(inspect.signature(builder).parameters)
    config, training, notes = dict(config), dict(training), []
    for name, value in data.config.items():
        if name in asked and name in ("outputs", "horizon", "vocabulary_size") and config[name] != value:
            if name == "outputs" and {config[name], value} == {1, 2} and data.class_names:
                continue
            if name == "vocabulary_size" and value < config[name]:  # what was asked is a limit
                config[name] = value
                continue
            raise KzooError(f"{name}={config[name]!r} contradicts {data.name}, which has {value}. Leave it out.")
        if name in known:
            config[name] = value
        elif name not in ("outputs", "input_shape") and value not in (None, ()):
            raise KzooError(f"{preset.name} cannot take {name}, which {data.name} has.{_alternatives(data)}")
    if data.class_names or data.task == "language_modeling":
        _settle_classes(preset, config, training, asked, data, notes)
    else:
        _settle_values(preset, config, training, asked, data, notes)
    if training["callbacks"] == "long" and "ema" not in asked and not training["ema"]:
        training["ema"] = 0.99
        notes.append("callbacks='long' averages the weights: ema=0.99. Set ema=0 for none.")
    return config, training, notes


def settle_monitor(training, asked, data):
    """Name in `training` what is watched on this data, and return a note where that is not what was set.

    Raises:
        KzooError: a validation value was asked for, and there is no validation data.
    """
    named = training.get("monitor")
    monitor = named or "val_loss"
    twin = monitor.removeprefix("val_")
    training["monitor"] = monitor if data.validation is not None else twin
    if training["monitor"] == monitor:
        return []
    if "monitor" in asked and named:
        raise KzooError(f"monitor={monitor!r} needs validation data. Set validation=0.1, or watch {twin!r}.")
    return [f"No {monitor}, there is no validation data: watching {twin}."]


def _check_fit(preset, config, data):
    if config.get("inputs") != data.inputs:
        raise KzooError(
            f"{preset.name} takes {config.get('inputs')}, and {data.name} gives {data.inputs}.{_alternatives(data)}"
        )
    tabular = preset.task.startswith("tabular") and data.task.startswith("tabular")
    if data.task != preset.task and not tabular:
        raise KzooError(f"{preset.name} is for {preset.task}, and {data.name} is {data.task}.{_alternatives(data)}")


def _alternatives(data):
    task = data.task if data.task != "tabular_regression" else "tabular_classification"
    names = list_presets(task=task)
    return f" Presets for it: {', '.join(names)}." if names else ""


def _settle_classes(preset, config, training, asked, data, notes):
    was_binary = preset.config["outputs"] == 1 and preset.config.get("output_activation") == "sigmoid"
    binary = data.outputs == 2 and (was_binary or ("outputs" in asked and config["outputs"] == 1))
    config["outputs"] = 1 if binary else data.outputs
    if "output_activation" not in asked and config.get("output_activation") is not None:
        config["output_activation"] = "sigmoid" if binary else "softmax"
    if training.get("loss") in ("mse", "mae", "huber") and "loss" not in asked:
        training["loss"] = "auto"
    _fit_metrics(training, asked, "binary" if binary else "classes", notes)


def _settle_values(preset, config, training, asked, data, notes):
    if config.get("output_activation") is not None:
        if "output_activation" in asked:
            notes.append(f"output_activation={config['output_activation']!r} bounds the predicted values.")
        else:
            config["output_activation"] = None
    if "loss" not in asked and training.get("loss") not in ("mse", "mae", "huber"):
        training["loss"] = "mse"
    for name, neutral in (("label_smoothing", 0.0), ("class_weight", None)):
        if training.get(name, neutral) != neutral and name in asked:
            raise KzooError(f"{name}={training[name]!r} is for classes, and {data.name} has values to predict.")
        if name in training:
            training[name] = neutral
    _fit_metrics(training, asked, "values", notes)


def _fit_metrics(training, asked, head, notes):
    fitting = metrics_for(head)
    kept = tuple(m for m in training.get("metrics", ()) if m in fitting)
    if kept != tuple(training.get("metrics", ())):
        if "metrics" in asked:
            wrong = next(m for m in training["metrics"] if m not in fitting)
            raise KzooError(f"metrics={wrong!r} does not fit this data. Use: {', '.join(fitting)}.")
        training["metrics"] = kept or fitting[:1]
    monitored = (training.get("monitor") or "val_loss").removeprefix("val_")
    if monitored != "loss" and monitored not in training["metrics"]:
        if "monitor" in asked:
            known = ", ".join(["val_loss", *(f"val_{name}" for name in training["metrics"])])
            raise KzooError(f"monitor={training['monitor']!r} is not reported. Use one of: {known}.")
        notes.append(f"monitor={training['monitor']!r} does not fit this data: watching val_loss.")
        training["monitor"] = "val_loss"
