"""The network follows the data: classes, columns, vocabulary, loss and metrics."""

import inspect

from kzoo.contract import metrics_for, stops_early, with_labels
from kzoo.dataset.dataset import Dataset
from kzoo.dataset.sample import sampled
from kzoo.kinds import kind
from kzoo.postprocessors.postprocessor import check_names
from kzoo.registry import family_builder, general_first, get_preset, list_presets
from kzoo.registry.budget import resolve_budget
from kzoo.registry.preset import unused_names
from kzoo.tasks import problem
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed

# Settings that say something about a kind of answers only: name -> the fact, and what takes the setting's effect away.
_ONLY_FOR = {
    "label_smoothing": ("probabilities", 0.0),
    "class_weight": ("classes", None),
    "linear_probe": ("probabilities", False),
}


def adapt_to_data(preset, config, training, asked, data):
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
    config, training = dict(config), dict(training)
    notes: list[str] = []
    useless = unused_names(data.config, preset.family, data.task, config)
    for name, value in data.config.items():
        if name in useless or name in training or (name == "input_clip" and config.get(name) is not None):
            continue
        if name in asked and name in ("outputs", "horizon", "vocabulary_size") and config[name] != value:
            if name == "outputs" and {config[name], value} == {1, 2} and data.problem.task.single_head:
                continue
            if name == "vocabulary_size" and value < config[name]:  # what was asked is a limit
                config[name] = value
                continue
            raise KzooError(f"{name}={config[name]!r} contradicts {data.name}, which has {value}. Leave it out.")
        if name in asked and name == "input_shape" and not _as_asked(value, config[name], kind(data.inputs).facts):
            raise KzooError(
                f"input_shape={config[name]!r} contradicts {data.name}, which was read as {tuple(value)}. Leave it "
                "out, or let kzoo.train read the file itself."
            )
        if name in known:
            config[name] = value
        elif name not in ("outputs", "input_shape", "input_clip") and value not in (None, ()):
            raise KzooError(f"{preset.name} cannot take {name}, which {data.name} has.{_alternatives(data)}")
    learn = kind(data.inputs).fitting
    if hasattr(learn, "asked_of"):
        found = learn.asked_of(sampled(data.train).x, config)
        config |= {name: value for name, value in found.items() if name not in asked}
    if "bins" in asked and config.get("bins") and len(config["categories"]) == data.input_shape[-1]:
        notes.append(f"bins={config['bins']} has no effect: no column of {data.name} holds numbers.")
    _settle_reading(training, asked, data, notes)
    _settle_loss(training, asked, data)
    _settle_head(preset, config, training, asked, data, notes)
    _settle_metrics(config, training, asked, data, notes)
    notes += adapt_fit(training, asked, data)
    return config, training, notes


def _as_asked(shape, asked, facts):
    """Say whether inputs have the shape that was asked for, as far as it says one: of a series data has the columns."""
    asked = asked[:1] if facts >= {"columns", "steps"} else asked
    return len(asked) <= len(shape) and all(one in (None, there) for one, there in zip(asked, shape, strict=False))


def adapt_build(preset, config, training, asked, data):
    """Do what `settle` does, for `kzoo.build`: with labels as the loss wants them, which a compiled model carries.

    Raises:
        KzooError: `data` is not a `Dataset`; and what `settle` raises.
    """
    if not isinstance(data, Dataset):
        raise KzooError(f"data={type(data).__name__} must be what kzoo.load_data returned.")
    config, training, notes = adapt_to_data(preset, config, training, asked, data)
    return config, with_labels(data.task, config, training)[0], notes


def adapt_fit(training, asked, data):
    """Settle what is `fit`'s in `training`, and return a note for each change: how long it is, and the callbacks.

    Raises:
        KzooError: weights of classes that there are not, or where there are no classes; postprocessing steps that the
            task cannot have, or that have no validation data to learn from.
    """
    if training.get("class_weight") is not None and "classes" not in data.problem.facts:
        raise _for_classes("class_weight", training, data)
    if training.get("postprocess"):
        check_names(training["postprocess"], data.problem.facts)
        if data.validation is None:
            steps = ",".join(training["postprocess"])
            raise KzooError(
                f"postprocess={steps} is learned on validation data, and there is none: set validation=0.1."
            )
    notes = resolve_budget(training, asked, len(data.train))
    if "patience" in asked and not stops_early(training):
        notes.append(
            f"patience={training['patience']} stops nothing: schedule={training['schedule']!r} needs all its epochs. "
            "With schedule='constant' or 'plateau' a training may end early."
        )
    if isinstance(training.get("class_weight"), dict) and "classes" in data.problem.facts:
        class_weights_of(training["class_weight"], data)
    if training["callbacks"] == "long" and "ema" not in asked and training.get("ema") == 0:
        training["ema"] = 0.99
        notes.append("callbacks='long' averages the weights: ema=0.99. Set ema=0 for none.")
    return notes


def adapt_monitor(training, asked, data):
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


def class_weights_of(asked, data):
    """Return number of a class -> weight, of what was asked by the classes' names, or all of it by their numbers.

    Names come first: where one of the keys is a name, all of them are.

    Raises:
        KzooError: a class that there is not, names and numbers side by side, or a class twice.
    """
    names, found = [str(name) for name in data.class_names], {}
    numbers = {str(number): number for number in range(data.outputs)}
    places = {name: place for place, name in enumerate(names)} if any(name in names for name in asked) else numbers
    for name, weight in asked.items():
        if name not in places:
            there = listed(names, most=10) if names else f"0 to {data.outputs - 1}"
            if places is not numbers and name in numbers:
                named = next(name for name in asked if name in names)
                raise KzooError(
                    f"class_weight={asked} mixes names and numbers: {named!r} is the name of a class of {data.name}, "
                    f"and {name!r} is none. Use the names: {there}."
                )
            raise KzooError(f"class_weight={asked} names {name!r}, which is no class of {data.name}: {there}.")
        if places[name] in found:
            raise KzooError(f"class_weight={asked} names a class twice.")
        found[places[name]] = weight
    if len(found) == data.outputs and not any(found.values()):
        raise KzooError(f"class_weight={asked} weighs every class 0: nothing would be learned.")
    return found


def balanced(counts) -> dict[int, float]:
    """Return number of a class -> weight, by how rare it is: the mean count of a class over its own."""
    return {i: int(counts.sum()) / (len(counts) * max(int(n), 1)) for i, n in enumerate(counts)}


def _check_fit(preset, config, data):
    if config.get("inputs") != data.inputs:
        raise KzooError(
            f"{preset.name} takes {config.get('inputs')}, and {data.name} gives {data.inputs}.{_alternatives(data)}"
        )
    if not _takes(preset, data.problem):
        raise KzooError(f"{preset.name} is for {preset.task}, and {data.name} is {data.task}.{_alternatives(data)}")


def _takes(preset, wanted):
    """Say whether a preset is for this kind of input, with or without an order: the head follows the data."""
    own = problem(preset.task)
    return own.kind == wanted.kind and ("ordered" in own.facts) == ("ordered" in wanted.facts)


def _alternatives(data):
    names = general_first(name for name in list_presets() if _takes(get_preset(name), data.problem))
    return f" Presets for it: {', '.join(names)}." if names else ""


def _settle_head(preset, config, training, asked, data, notes):
    """End the network in what the data asks for; two classes share one output where the preset has it so."""
    way = data.problem.task
    single = preset.config["outputs"] == 1 and preset.config.get("output_activation") == "sigmoid"
    asked_single = "outputs" in asked and config["outputs"] == 1
    shared = bool(way.single_head) and data.outputs == 2 and (single or asked_single)
    config["outputs"] = 1 if shared else data.outputs
    if config.get("output_activation") is None:
        return
    if way.head != "linear":
        if "output_activation" not in asked:
            config["output_activation"] = way.single_head if shared else way.head
            if shared and training["loss"] == "hinge":
                config["output_activation"] = "tanh"
                notes.append("loss='hinge' compares one answer with -1 and +1: output_activation='tanh'.")
    elif "output_activation" in asked:
        notes.append(f"output_activation={config['output_activation']!r} bounds the predicted values.")
    else:
        config["output_activation"] = None


def _settle_loss(training, asked, data):
    facts, losses = data.problem.facts, data.problem.task.losses
    if "loss" not in asked and training.get("loss") not in losses:
        training["loss"] = data.config.get("loss", losses[0])
    for name, (fact, neutral) in _ONLY_FOR.items():
        if fact in facts or name not in training:
            continue
        if training[name] != neutral and name in asked:
            raise _for_classes(name, training, data)
        training[name] = neutral


def _for_classes(name, training, data):
    others = "tokens" if "probabilities" in data.problem.facts else "values"
    return KzooError(f"{name}={training[name]!r} is for classes, and {data.name} has {others} to predict.")


def _settle_reading(training, asked, data, notes):
    """Let `ngrams` say how texts were read: of ids, and of data that was loaded for another preset, nothing else is."""
    level = data.preprocessing.get("level")
    if "tokenizer" in asked and "tokenizer" in training and training["tokenizer"] != level:
        what = f"was read with tokenizer={level!r}" if level else "has ids already"
        raise KzooError(f"tokenizer={training['tokenizer']!r} contradicts {data.name}, which {what}.")
    if "ngrams" not in training or training["ngrams"] == (was := data.preprocessing.get("ngrams")):
        return
    if "ngrams" in asked:
        raise KzooError(f"ngrams={training['ngrams']} contradicts {data.name}, which was read with ngrams={was}.")
    notes.append(f"{data.name} was read with ngrams={was}, and {training['ngrams']} would be the preset's own.")
    training["ngrams"] = was


def _settle_metrics(config, training, asked, data, notes):
    fitting = metrics_for(data.task, config)
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
