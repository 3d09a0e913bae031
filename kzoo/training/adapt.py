"""Adapting a preset to the data: classes, columns, vocabulary, loss and metrics."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from kzoo.data.augment import MIXES
from kzoo.data.dataset import Dataset
from kzoo.data.sample import sample_split
from kzoo.inference.postprocessors.conformal import FEWEST
from kzoo.inference.postprocessors.postprocessor import check_names, stage_of
from kzoo.inference.predictions import logits_of
from kzoo.problems.kinds import Kind, kind
from kzoo.problems.layout import code_columns
from kzoo.problems.stored_types import Config, TrainingSettings
from kzoo.problems.tasks import Problem, problem
from kzoo.training.decision import adapt_decision, adapt_objective, check_probabilities
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed, plural
from kzoo.zoo.contract import metrics_for, stops_early, with_labels
from kzoo.zoo.registry import family_builder, general_first, get_preset, list_presets
from kzoo.zoo.registry.arguments import SGD, TRAINING
from kzoo.zoo.registry.budget import resolve_budget
from kzoo.zoo.registry.family import builder_of
from kzoo.zoo.registry.preset import Preset, unused_names

if TYPE_CHECKING:
    import numpy as np


_STEPS_OF_SERIES = 1_500  # training steps of presets for forecasts on labelled series
# Training settings with an effect on networks that ridge regression fits.
_OF_CLOSED_FORM = (
    "batch_size",
    "class_weight",
    "metrics",
    "postprocess",
    "objective",
    "decision",
    "positive",
    "cost",
    "callbacks",
)
_CURVATURE_RATIO = 8  # of the squared error to the crossentropy
_RATE_FROM_ZEROS = 3  # measured on 300 to 43,000 comments with 28 labels
# data settings a family may lack
_NEVER_REFUSED = ("outputs", "input_shape", "input_clip", "output_bias", "calendar")
# Settings that only some tasks have: name -> (fact that the task needs, value without effect).
_ONLY_FOR_FACT = {
    "label_smoothing": ("probabilities", 0.0),
    "class_weight": ("classes", None),
    "labels": ("numbered", "integer"),
}


def adapt_to_data(
    preset: Preset,
    config: Config,
    training: TrainingSettings,
    requested: Collection[str],
    data: Dataset,
) -> tuple[JsonObject, JsonObject, list[str]]:
    """Return the config and the training settings of a preset, adapted to the data.

    Args:
        preset: the preset.
        config, training: its settings, with the user's overrides applied.
        requested: names of the user's overrides; one that contradicts the data is an error, never changed silently.
        data: a `Dataset`.

    Returns:
        (config, training, notes): `notes` has a line for each change that a user would not expect.

    Raises:
        KzooError: the data does not fit the preset or an override.
    """
    _check_inputs_and_task(preset, config, data)
    if builder_of(preset.family).closed_form:
        _check_closed_form(preset, training, requested, data)
    _check_effect(preset, config, requested, data)
    builder, _ = family_builder(preset.family)
    accepted = set(inspect.signature(builder).parameters)
    config, training = dict(config), dict(training)
    notes: list[str] = []
    unused = unused_names(data.config, preset.family, data.task, config)
    # 1. Settings that the data determines, such as input_shape, outputs and categories.
    for name, value in data.config.items():
        if (
            name in unused
            or name in training
            or (name == "input_clip" and config.get(name) is not None)
        ):
            continue
        if name in ("output_bias", "reversible_norm", "scale_free") and name in requested:
            continue
        fixed_by_data = name in ("outputs", "horizon", "vocabulary_size", "reversible_norm")
        if name in requested and fixed_by_data and config[name] != value:
            if (
                name == "outputs"
                and {config[name], value} == {1, 2}
                and data.problem.task.single_head
            ):
                # two classes fit one sigmoid or two softmax outputs: `_adapt_head` decides
                continue
            if name == "vocabulary_size" and value < config[name]:  # the override is an upper limit
                config[name] = value
                continue
            raise KzooError(
                f"contradicts {data.name}, which has {value}. Leave it out.",
                argument=name,
                value=config[name],
            )
        if (
            name in requested
            and name == "input_shape"
            and not _shape_matches(value, config[name], kind(data.inputs))
        ):
            raise KzooError(
                f"contradicts {data.name}, which was read as {tuple(value)}. Leave it "
                "out, or let kzoo.train read the file itself.",
                argument="input_shape",
                value=config[name],
            )
        if name in accepted:
            config[name] = value
        elif name not in (
            "outputs",
            "input_shape",
            "input_clip",
            "output_bias",
            "calendar",
            "scale_free",
        ) and value not in (
            None,
            (),
            False,
        ):
            others = _alternatives(data, preset)
            raise KzooError(
                f"{data.name} has {name}, which {preset.name} does not support.{others}"
            )
    # 2. Settings that are computed from the training rows, such as the edges of bins.
    fitting = kind(data.inputs).fitting
    if hasattr(fitting, "asked_of"):
        computed = fitting.asked_of(sample_split(data.train).x, config)
        config |= {name: value for name, value in computed.items() if name not in requested}
    if "bins" in requested and config.get("bins") and code_columns(config) == data.input_shape[-1]:
        notes.append(f"bins={config['bins']} has no effect: {data.name} has no numeric columns.")
    # 3. Training settings, and the head. The order matters: the head depends on the loss, the metrics on the head.
    _adapt_text_reading(preset, training, requested, data, notes)
    _adapt_loss(config, training, requested, data, notes)
    _adapt_steps(preset, training, requested, data, notes)
    _adapt_augmentation(training, requested, data, notes)
    _adapt_rate(preset, config, training, requested, data, notes)
    _adapt_head(preset, config, training, requested, data, notes)
    _adapt_dropout(config, requested, data, notes)
    _adapt_metrics(config, training, requested, data, notes)
    logits = logits_of(
        config.get("output_activation") or "linear",
        training.get("loss"),
        single=config["outputs"] == 1,
    )
    notes += adapt_decision(training, requested, data, logits=logits)
    notes += adapt_objective(training, requested, data, metrics_for(data.task, config))
    notes += adapt_fit(training, requested, data, logits=logits)
    return config, training, notes


def _shape_matches(shape: Sequence[int], requested: Sequence[int | None], kind: Kind) -> bool:
    """Return whether inputs have the requested shape; None matches any size.

    Of a series, only the requested number of steps counts: the data determines the columns.
    """
    requested = requested[:1] if kind.is_series else requested
    return len(requested) <= len(shape) and all(
        wanted in (None, actual) for wanted, actual in zip(requested, shape, strict=False)
    )


def adapt_build(
    preset: Preset,
    config: Config,
    training: TrainingSettings,
    requested: Collection[str],
    data: Dataset,
) -> tuple[JsonObject, JsonObject, list[str]]:
    """Return what `adapt_to_data` returns, for `kzoo.build`: with the label format that the compiled loss needs.

    Raises:
        KzooError: `data` is not a `Dataset`; and as `adapt_to_data`.
    """
    if not isinstance(data, Dataset):
        raise KzooError(
            f"must be the Dataset that kzoo.load_data returns, not {type(data).__name__}.",
            argument="data",
        )
    config, training, notes = adapt_to_data(preset, config, training, requested, data)
    return config, with_labels(data.task, config, training)[0], notes


def adapt_fit(
    training: JsonObject, requested: Collection[str], data: Dataset, *, logits: bool | None
) -> list[str]:
    """Adapt the settings of `fit` in `training` (epochs, callbacks), in place, and return a note for each change.

    Args:
        training, requested, data, logits: see `adapt_decision`.

    Raises:
        KzooError: class weights for unknown classes, or for a task without classes; calibration or postprocessing steps
            that the task or the outputs do not support, or without validation data to learn them from.
    """
    if training.get("class_weight") is not None and "classes" not in data.problem.facts:
        raise _not_for_classes("class_weight", training, data)
    notes = []
    if (steps := data.problem.task.postprocess) and "postprocess" not in requested:
        training["postprocess"] = steps if data.validation is not None else ()
        if data.validation is None:
            notes.append(
                f"There is no validation data to learn {','.join(steps)}: probabilities of a half decide."
            )
    _check_learned(training, data, logits)
    notes += resolve_budget(training, requested, len(data.train))
    if "patience" in requested and not stops_early(training):
        notes.append(
            f"patience={training['patience']} has no effect: schedule={training['schedule']!r} needs all epochs. Early "
            "stopping works with schedule='constant' or 'plateau'."
        )
    if isinstance(training.get("class_weight"), dict):
        class_weights_of(training["class_weight"], data)
    if training["callbacks"] == "long" and "ema" not in requested and training.get("ema") == 0:
        training["ema"] = 0.99
        notes.append(
            "callbacks='long' averages the weights: ema=0.99. Set ema=0 to turn averaging off."
        )
    return notes


def _check_learned(training: TrainingSettings, data: Dataset, logits: bool | None) -> None:
    """Raise `KzooError` for steps in `postprocess` or `calibrate`, or intervals, that this data cannot teach."""
    rows = FEWEST if data.calibration is None else len(data.calibration)
    if rows < FEWEST:
        raise KzooError(
            f"{data.name} has {plural(rows, 'calibration row')}, and sets and intervals need at least {FEWEST}. Set a "
            "larger calibration=, such as 0.1, or leave it out."
        )
    steps = training.get("postprocess", ())
    method = training.get("calibrate")
    if method is not None and not data.problem.gives_probabilities:
        raise KzooError(
            f"is for probabilities, and {data.problem.name} has none. Leave it out.",
            argument="calibrate",
            value=method,
        )
    check_names(steps, data.problem, data.outputs)
    step = next((name for name in steps if stage_of(name) == "calibrate"), None)
    if step and method not in (None, "off"):
        raise KzooError(
            f"and postprocess={step} both calibrate. Set only one of them.",
            argument="calibrate",
            value=method,
        )
    method = "temperature" if method == "temperature" else None  # "auto" calibrates where it can
    for name, value in (("postprocess", ",".join(steps)), ("calibrate", method)):
        if value and data.validation is None:
            raise KzooError(
                "is learned on validation data, and there is none. Set validation=0.1.",
                argument=name,
                value=value,
            )
    for name, value in (("postprocess", step), ("calibrate", method)):
        if (
            value and "numbered" in data.problem.facts
        ):  # of labels, what is no logit is a probability
            check_probabilities(name, value, logits)


def adapt_monitor(training: JsonObject, requested: Collection[str], data: Dataset) -> list[str]:
    """Set the monitored metric in `training`, in place, and return a note if it is not the configured one.

    Raises:
        KzooError: a validation metric was requested, and there is no validation data.
    """
    configured = training.get("monitor")
    if training.get("objective") is not None and data.validation is None:
        raise KzooError(
            "needs validation data. Set validation=0.1.",
            argument="objective",
            value=str(training["objective"]),
        )
    monitor = configured or "val_loss"
    fallback = monitor.removeprefix("val_")
    training["monitor"] = monitor if data.validation is not None else fallback
    if training["monitor"] == monitor:
        return []
    if "monitor" in requested and configured:
        raise KzooError(
            f"needs validation data. Set validation=0.1, or monitor={fallback!r}.",
            argument="monitor",
            value=monitor,
        )
    return [f"There is no validation data for {monitor}: monitoring {fallback}."]


def class_weights_of(class_weight: Mapping[object, float], data: Dataset) -> dict[int, float]:
    """Return class number -> weight, for a `class_weight` whose keys are class names or class numbers.

    Names take precedence: if any key is the name of a class, all keys must be names.

    Raises:
        KzooError: an unknown class, a mix of names and numbers, a class named twice, or all weights 0.
    """
    names = [str(name) for name in data.class_names]
    weights = {}
    by_number = {str(number): number for number in range(data.outputs)}
    numbers = (
        {name: number for number, name in enumerate(names)}
        if any(name in names for name in class_weight)
        else by_number
    )
    for name, weight in class_weight.items():
        if name not in numbers:
            valid = listed(names, most=10) if names else f"0 to {data.outputs - 1}"
            if numbers is not by_number and name in by_number:
                class_name = next(name for name in class_weight if name in names)
                raise KzooError(
                    f"mixes class names and class numbers: {class_name!r} is the name of a "
                    f"class of {data.name}, and {name!r} is not. Use the names: {valid}.",
                    argument="class_weight",
                    value=class_weight,
                )
            raise KzooError(
                f": {name!r} is not a class of {data.name}. Its classes: {valid}.",
                argument="class_weight",
                value=class_weight,
            )
        if numbers[name] in weights:
            raise KzooError(
                "names a class twice. Name each class once.",
                argument="class_weight",
                value=class_weight,
            )
        weights[numbers[name]] = weight
    if len(weights) == data.outputs and not any(weights.values()):
        raise KzooError(
            "gives every class the weight 0. Set at least one above 0.",
            argument="class_weight",
            value=class_weight,
        )
    return weights


def balanced_class_weights(counts: "np.ndarray") -> dict[int, float]:
    """Return class number -> weight, inversely proportional to its count: the mean count per class / its count.

    Args:
        counts: (classes,) number of training rows, or sum of their row weights.
    """
    return {
        i: counts.sum().item() / (len(counts) * (count or 1))
        for i, count in enumerate(counts.tolist())
    }


def _check_inputs_and_task(preset: Preset, config: Config, data: Dataset) -> None:
    if config.get("inputs") != data.inputs:
        raise KzooError(
            f"{preset.name} takes {config.get('inputs')} as inputs, and {data.name} has {data.inputs}."
            f"{_alternatives(data, preset)}"
        )
    if not _accepts(preset, data.problem):
        raise KzooError(
            f"{preset.name} is for {preset.task}, and {data.name} is for {data.task}.{_alternatives(data, preset)}"
        )


def _check_effect(
    preset: Preset, config: Config, requested: Collection[str], data: Dataset
) -> None:
    """Raise `KzooError` for an override of the network that has an effect for the preset's task, but not for this one.

    Raises:
        KzooError: such as `log_ratios=True`, which is for classes, with values.
    """
    names = [name for name in requested if config.get(name)]
    for_preset, reasons = (
        unused_names(names, preset.family, task, config) for task in (preset.task, data.task)
    )
    for name, reason in reasons.items():
        if name not in for_preset:
            raise KzooError(
                f"has no effect on {data.name}: {reason}. Leave it out.",
                argument=name,
                value=config[name],
            )


def _check_closed_form(
    preset: Preset, training: TrainingSettings, requested: Collection[str], data: Dataset
) -> None:
    """Raise `KzooError` for counts, or a training setting without effect: the network is not trained by gradients."""
    if data.problem.predicts_rates:
        raise KzooError(
            f"{data.name} has counts, and {preset.name} predicts classes, labels or values: ridge regression sets its "
            f"last layer. Set task='regression', or use another preset.{_alternatives(data, preset)}"
        )
    for name in requested:
        if name in TRAINING and name not in _OF_CLOSED_FORM:
            raise KzooError(
                f"has no effect: {preset.name} is not trained by gradients, ridge "
                "regression sets its last layer. Leave it out.",
                argument=name,
                value=training.get(name),
            )


def _accepts(preset: Preset, target: Problem) -> bool:
    """Return whether a preset can be adapted to a problem: same kind of input, both ordered or both unordered.

    Presets for forecasts also read labelled series, without their horizon.
    """
    default = problem(preset.task)
    same_order = default.ordered == target.ordered
    return default.kind == target.kind and (same_order or default.ordered)


def _alternatives(data: Dataset, preset: Preset) -> str:
    others = (name for name in list_presets() if name != preset.name)
    names = general_first(name for name in others if _accepts(get_preset(name), data.problem))
    return f" Presets for this data: {', '.join(names)}." if names else ""


def _adapt_head(
    preset: Preset,
    config: JsonObject,
    training: JsonObject,
    requested: Collection[str],
    data: Dataset,
    notes: list[str],
) -> None:
    """Set the outputs that the data needs; two classes share one sigmoid output if the preset or the user has it so."""
    task = data.problem.task
    single = preset.config["outputs"] == 1 and preset.config.get("output_activation") == "sigmoid"
    requested_single = "outputs" in requested and config["outputs"] == 1
    shared = bool(task.single_head) and data.outputs == 2 and (single or requested_single)
    config["outputs"] = 1 if shared else data.outputs
    loss = "" if builder_of(preset.family).closed_form else training.get("loss", "")
    head = task.loss_heads.get(loss, task.head)
    if head == "exponential":
        if "output_activation" not in requested:
            config["output_activation"] = head
        _scale_by_mean(config, data)
        return
    if config.get("output_activation") is None:
        return
    if head != "linear":
        if "output_activation" not in requested:
            config["output_activation"] = task.single_head if shared else head
            if shared and training["loss"] == "hinge":
                config["output_activation"] = "tanh"
                notes.append(
                    "loss='hinge' compares one output with -1 and +1: output_activation='tanh'."
                )
    elif "output_activation" in requested:
        notes.append(
            f"output_activation={config['output_activation']!r} limits the range of the predicted values."
        )
    else:
        config["output_activation"] = None


def _scale_by_mean(config: JsonObject, data: Dataset) -> None:
    """Scale positive outputs by the mean of each target: a network that gives 1 predicts the mean.

    The logarithms that the last layer computes are then 0 for the mean, as if its bias began at the logarithm of it.
    """
    if (mean := data.config.get("target_offset")) is not None and config.get(
        "target_scale"
    ) is not None:
        config["target_offset"] = [0.0] * len(mean)
        config["target_scale"] = [value if value > 0 else 1.0 for value in mean]


def _adapt_loss(
    config: JsonObject,
    training: JsonObject,
    requested: Collection[str],
    data: Dataset,
    notes: list[str],
) -> None:
    task = data.problem.task
    facts = data.problem.facts
    losses = data.problem.task.losses
    if "loss" not in requested and training.get("loss") not in losses:
        training["loss"] = data.config.get("loss", losses[0])
    loss = training["loss"]
    if loss in (*task.loss_choices, *task.log_losses):
        mean_correction = import_module("kzoo.training.mean_correction")
        mean_correction.check_loss(loss, data)
        if loss in task.loss_choices:
            training["loss"], note = mean_correction.choose_loss(
                data, names=task.loss_choices[loss]
            )
            notes.append(note)
        if task.log_losses.get(training["loss"]):
            # with it, only linear models lack it
            if config.get("output_bias") is False and "log_ratios" not in config:
                raise KzooError(
                    "needs the bias of the last layer. Leave output_bias out.",
                    argument="loss",
                    value=training["loss"],
                )
            notes.append(
                f"loss={training['loss']!r}: after training, predictions are corrected from medians to means: their "
                "mean on validation rows (fewer than 50: training rows) becomes that of the truth."
            )
    for name, (fact, neutral) in _ONLY_FOR_FACT.items():
        if fact in facts or name not in training:
            continue
        if training[name] != neutral and name in requested:
            raise _not_for_classes(name, training, data)
        training[name] = neutral


def _not_for_classes(name: str, training: TrainingSettings, data: Dataset) -> KzooError:
    return KzooError(
        f"needs classes to predict, but {data.name} has {data.problem.predicts}. Leave it out.",
        argument=name,
        value=training[name],
    )


def _adapt_augmentation(
    training: JsonObject, requested: Collection[str], data: Dataset, notes: list[str]
) -> None:
    """Leave out augmentations that mix labels: the value of two mixed images is not the mean of theirs.

    Raises:
        KzooError: the user has set one.
    """
    mixes = [name for name in training.get("augment", ()) if name in MIXES]
    if not mixes or data.problem.gives_probabilities:
        return
    if "augment" in requested:
        raise KzooError(
            f"mixes classes, but {data.name} has values. Leave it out.",
            argument="augment",
            value=mixes[0],
        )
    training["augment"] = tuple(name for name in training["augment"] if name not in MIXES)
    notes.append(f"augment: {listed(mixes)} mixes classes and is not used for values.")


def _adapt_steps(
    preset: Preset,
    training: JsonObject,
    requested: Collection[str],
    data: Dataset,
    notes: list[str],
) -> None:
    """Train presets for forecasts for more steps on labelled series, which are fewer than the windows of a series."""
    if not problem(preset.task).ordered or data.problem.ordered:
        return
    if {"epochs", "min_steps", "max_steps"} & set(requested) or training.get(
        "min_steps", 0
    ) >= _STEPS_OF_SERIES:
        return
    training["min_steps"] = _STEPS_OF_SERIES
    notes.append(
        f"min_steps={_STEPS_OF_SERIES:,}: {preset.name} is for forecasts, which have more examples."
    )


def _adapt_rate(
    preset: Preset,
    config: Config,
    training: JsonObject,
    requested: Collection[str],
    data: Dataset,
    notes: list[str],
) -> None:
    """Change the learning rate of a preset for classes whose steps are linear in the gradient, for other tasks.

    With `"sgd"` and `"momentum"`, the largest stable rate is inversely proportional to the curvature of the loss: 2 for
    the squared error of standardised targets, and at most 1/4 for the crossentropy. A linear model of tokens starts
    from zeros for labels, not from naive Bayes, and needs larger steps.
    """
    if not problem(preset.task).gives_probabilities or training.get("optimizer") not in SGD:
        return
    if {"learning_rate", "optimizer"} & set(requested):
        return
    if data.problem.separate_probabilities and config.get("log_ratios"):
        training["learning_rate"] *= _RATE_FROM_ZEROS
        notes.append(
            f"learning_rate={training['learning_rate']:g}, {_RATE_FROM_ZEROS} times the preset's: for labels, the "
            "weights of tokens start at zero."
        )
    if "values" not in data.problem.facts:
        return
    training["learning_rate"] /= _CURVATURE_RATIO
    notes.append(
        f"learning_rate={training['learning_rate']:g}, an eighth of the preset's: the squared error is eight times as "
        "steep as the crossentropy of classes."
    )


def _adapt_dropout(
    config: JsonObject, requested: Collection[str], data: Dataset, notes: list[str]
) -> None:
    """Turn off the dropout of feed-forward networks of tables for quantiles, which its noise widens.

    Measured on three tables with `tabular_tabm`: without it the pinball loss is lower on all, and the 80 % band closer.
    """
    rates = config.get("dropout", 0.0)
    if (
        not data.config.get("quantiles")
        or not kind(data.inputs).is_table
        or not config.get("units")
        or "dropout" in requested
    ):
        return
    if not (any(rates) if isinstance(rates, list | tuple) else rates):
        return
    config["dropout"] = 0.0
    notes.append("dropout=0: the noise of dropout widens quantiles.")


def _adapt_text_reading(
    preset: Preset,
    training: JsonObject,
    requested: Collection[str],
    data: Dataset,
    notes: list[str],
) -> None:
    """Set `ngrams` to the value that the texts were read with: data loaded before cannot be read again.

    Raises:
        KzooError: a requested `tokenizer` or `ngrams`, or the tokenizer of a pretrained encoder, that differs from how
            the data was read.
    """
    level = data.preprocessing.get("level")
    if "tokenizer" in requested and "tokenizer" in training and training["tokenizer"] != level:
        reading = f"was read with tokenizer={level!r}" if level else "already consists of token ids"
        raise KzooError(
            f"contradicts {data.name}, which {reading}.",
            argument="tokenizer",
            value=training["tokenizer"],
        )
    if training.get("tokenizer") == "pieces" != level:
        raise KzooError(
            f"{preset.name} reads texts with the tokenizer of its encoder, and {data.name} was read otherwise. Pass "
            f"the texts themselves, or load them with kzoo.load_data(..., preset={preset.name!r})."
        )
    if "ngrams" not in training or training["ngrams"] == (
        stored := data.preprocessing.get("ngrams")
    ):
        return
    if "ngrams" in requested:
        raise KzooError(
            f"contradicts {data.name}, which was read with ngrams={stored}.",
            argument="ngrams",
            value=training["ngrams"],
        )
    notes.append(
        f"{data.name} was read with ngrams={stored}; the preset's default is {training['ngrams']}."
    )
    training["ngrams"] = stored


def _adapt_metrics(
    config: Config,
    training: JsonObject,
    requested: Collection[str],
    data: Dataset,
    notes: list[str],
) -> None:
    available = metrics_for(data.task, config)
    metrics = tuple(m for m in training.get("metrics", ()) if m in available)
    if metrics != tuple(training.get("metrics", ())):
        if "metrics" in requested:
            unsupported = next(m for m in training["metrics"] if m not in available)
            raise KzooError(
                f"does not fit this data. Use one of: {', '.join(available)}.",
                argument="metrics",
                value=unsupported,
            )
        training["metrics"] = metrics or available[:1]
    if training.get("objective") is not None:  # `adapt_objective` sets what is monitored
        return
    monitored = (training.get("monitor") or "val_loss").removeprefix("val_")
    # Of a task that names an objective, Keras' metrics are no scores: labels that nobody has are right in every epoch.
    is_score = (
        not data.problem.task.objective
        or monitored in data.problem.task.scores
        or "monitor" in requested
    )
    if monitored != "loss" and not (monitored in training["metrics"] and is_score):
        if "monitor" in requested:
            reported = ", ".join(["val_loss", *(f"val_{name}" for name in training["metrics"])])
            raise KzooError(
                f"is not reported. Use one of: {reported}.",
                argument="monitor",
                value=training["monitor"],
            )
        notes.append(
            f"monitor={training['monitor']!r} does not fit this data: monitoring val_loss."
        )
        training["monitor"] = "val_loss"
