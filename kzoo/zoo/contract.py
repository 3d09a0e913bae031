"""The training contract: settings become an optimizer, a schedule, a loss and metrics. Keras only."""

import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras

from kzoo.problems.stored_types import Config, TrainingSettings
from kzoo.problems.tasks import problem
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.zoo.layer_decay import apply_layer_decay
from kzoo.zoo.losses.classes import needs_onehot_labels
from kzoo.zoo.registry.arguments import CLIPPING

# Name -> Keras class and its fixed arguments.
OPTIMIZERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "adam": (keras.optimizers.Adam, {}),
    "adamw": (keras.optimizers.AdamW, {}),
    "sgd": (keras.optimizers.SGD, {}),
    "momentum": (keras.optimizers.SGD, {"nesterov": True}),
    "rmsprop": (keras.optimizers.RMSprop, {}),
    "nadam": (keras.optimizers.Nadam, {}),
    "adagrad": (keras.optimizers.Adagrad, {}),
    "lion": (keras.optimizers.Lion, {}),
    # as its authors do: the last layer uses Adam
    "muon": (keras.optimizers.Muon, {"exclude_layers": ["outputs/"]}),
}

NORM_BIAS = "beta"  # the name of the bias in each norm of Keras
_UNDECAYED = ("bias", "gamma", NORM_BIAS, "scale")
_compiled_by_contract: "weakref.WeakSet[keras.optimizers.Optimizer]" = weakref.WeakSet()


def compile_model(
    model: keras.Model,
    *,
    task: str,
    config: Config,
    training: TrainingSettings,
    steps: int | None = None,
    weighted: bool = False,
) -> None:
    """Compile a model with its training contract.

    Args:
        model: the network.
        task: the preset's task, or the data's, by its public name; it decides which losses fit.
        config: the resolved builder arguments (`outputs`, `output_activation`).
        training: the resolved contract.
        steps: number of training steps, needed by every schedule except "constant" and "plateau"; without it the
            learning rate is constant.
        weighted: whether sample weights apply to metrics as they do to the loss.

    Raises:
        KzooError: settings that contradict one another.
    """
    optimizer = make_optimizer(training, steps=steps)
    if training.get("layer_decay", 1.0) != 1.0:
        apply_layer_decay(optimizer, model, training["layer_decay"])
    metrics = make_metrics(task=task, config=config, training=training)
    loss_weight = getattr(problem(task).task.fitting, "loss_weight", None)
    model.compile(
        optimizer=optimizer,
        loss=make_loss(task=task, config=config, training=training),
        **({} if loss_weight is None else {"loss_weights": loss_weight(config)}),
        **{"weighted_metrics" if weighted else "metrics": metrics},
    )
    _compiled_by_contract.add(model.optimizer)


def compiled_by_contract(model: keras.Model) -> bool:
    """Return whether `compile_model` was the last to compile a model."""
    return getattr(model, "optimizer", None) in _compiled_by_contract


def is_compiled_unchanged(model: keras.Model, training: TrainingSettings) -> bool:
    """Return whether a model is compiled by its contract, untrained, and has its original learning rate."""
    if not compiled_by_contract(model) or int(model.optimizer.iterations):
        return False
    optimizer = model.optimizer
    scheduled = isinstance(
        optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule
    )
    return scheduled or math.isclose(
        float(optimizer.learning_rate), training["learning_rate"], rel_tol=1e-5
    )


def head_of(task: str, config: Config) -> str:
    """Return the head of the network, such as "softmax", also if its outputs are the logits."""
    return problem(task).task.head_of(config["outputs"])


def needs_onehot(task: str, config: Config, training: TrainingSettings) -> bool:
    """Return whether the loss needs one-hot labels, which `kzoo.train` then makes in its pipeline."""
    return head_of(task, config) == "softmax" and needs_onehot_labels(training)


def with_labels(
    task: str, config: Config, training: TrainingSettings
) -> tuple[JsonObject, int | None]:
    """Return the contract with the labels that the loss needs, and the number of classes if they are one-hot."""
    is_onehot = training.get("labels") == "onehot" or needs_onehot(task, config, training)
    if not is_onehot or head_of(task, config) != "softmax":
        return dict(training), None
    return {**training, "labels": "onehot"}, config["outputs"]


def make_optimizer(
    training: TrainingSettings, *, steps: int | None = None
) -> keras.optimizers.Optimizer:
    """Return the Keras optimizer of a training, with weight decay (not of biases and norms), clipping and averaging."""
    optimizer_class, fixed = OPTIMIZERS[training["optimizer"]]
    if training["optimizer"] == "momentum":
        fixed = fixed | {"momentum": training.get("momentum", 0.9)}
    decay = training.get("weight_decay") or None
    if training["optimizer"] == "muon":
        fixed = fixed | {"adam_weight_decay": decay}  # of the weights that Muon leaves to Adam
    optimizer = optimizer_class(
        learning_rate=make_schedule(training, steps=steps),
        # `AdamW` does not accept None.
        weight_decay=0.0 if decay is None and optimizer_class is keras.optimizers.AdamW else decay,
        use_ema=bool(training.get("ema")),
        ema_momentum=training.get("ema") or 0.99,
        **{name: training.get(name) for name in ("global_clipnorm", "clipnorm", "clipvalue")},
        **fixed,
    )
    if decay:
        optimizer.exclude_from_weight_decay(var_names=undecayed(training))
    if training.get("norm_bias_rate", 1.0) != 1.0:
        _scale_norm_bias_gradients(optimizer, training)
    return optimizer


def undecayed(training: TrainingSettings) -> list[str]:
    """Return the Keras names of the weights of biases and norms that are excluded from weight decay.

    Biases of norms with a multiplied learning rate decay, as in arXiv:2404.00498, because they diverge otherwise.
    """
    return [
        name
        for name in _UNDECAYED
        if name != NORM_BIAS or training.get("norm_bias_rate", 1.0) == 1.0
    ]


def _scale_norm_bias_gradients(
    optimizer: keras.optimizers.Optimizer, training: TrainingSettings
) -> None:
    """Train the biases of norms with a multiple of the learning rate.

    The step of SGD, with or without momentum, is linear in the gradient, so the gradient is multiplied instead. The
    method is replaced on the instance, which keeps Keras' class, so that saved files load without kzoo.

    Raises:
        KzooError: gradient clipping is set, which would undo it.
    """
    factor = training["norm_bias_rate"]
    apply = optimizer.apply
    if clipping := next((name for name in CLIPPING if training.get(name) is not None), None):
        raise KzooError(
            f"multiplies gradients, which {clipping}={training[clipping]:g} clips again. "
            f"Set norm_bias_rate=1, or {clipping} to none.",
            argument="norm_bias_rate",
            value=factor,
        )

    def scaled_apply(
        grads: Sequence[Any], trainable_variables: Sequence[keras.Variable] | None = None
    ) -> object:
        variables = (
            optimizer._trainable_variables if trainable_variables is None else trainable_variables
        )
        pairs = zip(grads, variables, strict=True)
        grads = [g * factor if g is not None and v.name == NORM_BIAS else g for g, v in pairs]
        return apply(grads, trainable_variables)

    optimizer.apply = scaled_apply


def make_schedule(
    training: TrainingSettings, *, steps: int | None = None
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Return a constant learning rate, or a Keras schedule over `steps` training steps.

    "step" halves the rate at the start of epochs 11, 21 and 31; then it stays at an eighth of the peak.
    "onecycle" (https://arxiv.org/abs/1708.07120) rises from a 25th of the peak within the share `warmup` of the steps,
    by default 30 % if the schedule is an override, and falls along a cosine to 1e-4 of the peak.

    Raises:
        KzooError: `warmup` is set for a schedule without warm-up.
    """
    name = training["schedule"]
    peak = training["learning_rate"]
    warmup = training.get("warmup", 0.0)
    if warmup and name not in ("constant", "cosine", "onecycle"):
        raise KzooError(
            f"needs schedule='constant', 'cosine' or 'onecycle', not {name!r}. Set warmup=0.",
            argument="warmup",
            value=warmup,
        )
    if steps is None or name == "plateau" or (name == "constant" and not warmup):
        return peak
    schedules = keras.optimizers.schedules
    if name == "onecycle":
        rise = max(round(steps * warmup), 1)
        return schedules.CosineDecay(
            initial_learning_rate=peak / 25,
            decay_steps=max(steps - rise, 1),
            alpha=1e-4,
            warmup_target=peak,
            warmup_steps=rise,
        )
    if name in ("constant", "cosine"):
        rise = round(steps * warmup)
        # a cosine with alpha=1 is constant after the warm-up
        floor = 1.0 if name == "constant" else 0.0
        return schedules.CosineDecay(
            initial_learning_rate=0.0 if rise else peak,
            decay_steps=max(steps - rise, 1),
            alpha=floor,
            warmup_target=peak if rise else None,
            warmup_steps=rise,
        )
    if name == "linear":
        return schedules.PolynomialDecay(peak, decay_steps=steps, end_learning_rate=0.0)
    if name == "exponential":
        return schedules.ExponentialDecay(peak, decay_steps=steps, decay_rate=0.01)
    per_drop = steps * 10 / training["epochs"]  # name == "step"
    drops = min(max(int(training["epochs"] - 1) // 10, 0), 3)
    if not drops:
        return peak
    # A boundary is the last step with the previous rate.
    boundaries = [round(per_drop * (i + 1)) - 1 for i in range(drops)]
    return schedules.PiecewiseConstantDecay(boundaries, [peak * 0.5**i for i in range(drops + 1)])


def stops_early(training: TrainingSettings) -> bool:
    """Return whether training may stop early: schedules that decay over the steps need their full length."""
    return training.get("schedule", "constant") in ("constant", "plateau")


def make_loss(
    *, task: str, config: Config, training: TrainingSettings
) -> keras.losses.Loss | Callable[[Any, Any], Any]:
    """Return the loss for the head: from logits if the output activation is None, else from probabilities.

    Args:
        task: public name of the task, whose `fitting` module makes the loss.
        config: the resolved builder arguments.
        training: the resolved contract.

    Raises:
        KzooError: the loss does not fit the task or the head, or one-hot settings are combined with integer labels.
    """
    task_definition = problem(task).task
    return task_definition.fitting.make_loss(
        training.get("loss", "auto"), task_definition, task=task, config=config, training=training
    )


def make_metrics(
    *, task: str, config: Config, training: TrainingSettings
) -> list[str | keras.metrics.Metric]:
    """Return the metrics for `compile`.

    Raises:
        KzooError: a metric does not fit the task or the head.
    """
    task_definition = problem(task).task
    names = training.get("metrics", ())
    legal = metrics_for(task, config)
    for name in names:
        if name not in legal:
            raise KzooError(
                f"does not fit {task}. Use: {', '.join(legal) or 'none'}.",
                argument="metrics",
                value=name,
            )
    return [
        task_definition.fitting.make_metric(name, task_definition, config=config, training=training)
        for name in names
    ]


def metrics_for(task: str, config: Config) -> tuple[str, ...]:
    """Return the names of the metrics that fit the task and the head of the network."""
    task_definition = problem(task).task
    choose = getattr(task_definition.fitting, "metrics_for", None)
    return task_definition.metrics if choose is None else choose(task_definition, config)
