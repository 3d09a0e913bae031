"""The training contract: settings become an optimizer, a schedule, a loss and metrics. Keras only."""

import math
import weakref
from typing import Any

import keras

from kzoo.layer_decay import apply_layer_decay
from kzoo.registry.arguments import CLIPPING
from kzoo.tasks import problem
from kzoo.tasks.classes.fitting import needs_onehot_labels
from kzoo.utils.errors import KzooError

# Name -> Keras class and what is fixed about it.
OPTIMIZERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "adam": (keras.optimizers.Adam, {}),
    "adamw": (keras.optimizers.AdamW, {}),
    "sgd": (keras.optimizers.SGD, {}),
    "momentum": (keras.optimizers.SGD, {"nesterov": True}),
    "rmsprop": (keras.optimizers.RMSprop, {}),
    "nadam": (keras.optimizers.Nadam, {}),
    "adagrad": (keras.optimizers.Adagrad, {}),
    "lion": (keras.optimizers.Lion, {}),
    "muon": (keras.optimizers.Muon, {"exclude_layers": ["outputs/"]}),  # whose authors leave the last layer to Adam
}

NORM_BIAS = "beta"  # as Keras calls it in each of its norms
_PLAIN = ("bias", "gamma", NORM_BIAS, "scale")
_compiled_here: "weakref.WeakSet[keras.optimizers.Optimizer]" = weakref.WeakSet()


def compile_model(model, *, task, config, training, steps=None, weighted=False):
    """Compile a model as its training contract says.

    Args:
        model: the network.
        task: the preset's task, or the data's, by its public name; it decides which losses fit.
        config: the resolved builder arguments (`outputs`, `output_activation`).
        training: the resolved contract.
        steps: number of training steps, which every schedule but "constant" and "plateau" needs;
            without it the learning rate is constant.
        weighted: whether metrics weigh rows as the loss does.

    Raises:
        KzooError: settings that contradict one another.
    """
    optimizer = make_optimizer(training, steps=steps)
    if training.get("layer_decay", 1.0) != 1.0:
        apply_layer_decay(optimizer, model, training["layer_decay"])
    metrics = make_metrics(task=task, config=config, training=training)
    model.compile(
        optimizer=optimizer,
        loss=make_loss(task=task, config=config, training=training),
        **{"weighted_metrics" if weighted else "metrics": metrics},
    )
    _compiled_here.add(model.optimizer)


def compiled_by_contract(model):
    """Say whether a model is compiled as its contract says, and nobody has compiled it since."""
    return getattr(model, "optimizer", None) in _compiled_here


def is_compiled_unchanged(model, training):
    """Say whether a model is compiled as its contract says, untrained, and its learning rate as it was."""
    if not compiled_by_contract(model) or int(model.optimizer.iterations):
        return False
    optimizer = model.optimizer
    scheduled = isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule)
    return scheduled or math.isclose(float(optimizer.learning_rate), training["learning_rate"], rel_tol=1e-5)


def head_of(task, config):
    """Return what the network ends with, such as "softmax", whether it gives that or its logits."""
    return problem(task).task.head_of(config["outputs"])


def needs_onehot(task, config, training):
    """Say whether the loss wants one-hot labels, which `kzoo.train` then makes inside its pipeline."""
    return head_of(task, config) == "softmax" and needs_onehot_labels(training)


def with_labels(task, config, training):
    """Return the contract with labels as the loss wants them, and the number of classes where that is one-hot."""
    wanted = training.get("labels") == "onehot" or needs_onehot(task, config, training)
    if not wanted or head_of(task, config) != "softmax":
        return training, None
    return training | {"labels": "onehot"}, config["outputs"]


def make_optimizer(training, *, steps=None):
    """Build the optimizer: decoupled weight decay that leaves out biases and norms, clipping, averaged weights."""
    kind, fixed = OPTIMIZERS[training["optimizer"]]
    if training["optimizer"] == "momentum":
        fixed = fixed | {"momentum": training.get("momentum", 0.9)}
    decay = training.get("weight_decay") or None
    if training["optimizer"] == "muon":
        fixed = fixed | {"adam_weight_decay": decay}
    optimizer = kind(
        learning_rate=make_schedule(training, steps=steps),
        weight_decay=0.0 if decay is None and kind is keras.optimizers.AdamW else decay,
        use_ema=bool(training.get("ema")),
        ema_momentum=training.get("ema") or 0.99,
        **{name: training.get(name) for name in ("global_clipnorm", "clipnorm", "clipvalue")},
        **fixed,
    )
    if decay:
        optimizer.exclude_from_weight_decay(var_names=undecayed(training))
    if training.get("norm_bias_rate", 1.0) != 1.0:
        _hurry_norm_biases(optimizer, training)
    return optimizer


def undecayed(training) -> list[str]:
    """Return the names, as Keras gives them, of the weights of biases and norms, which weight decay leaves out.

    Biases of norms that learn at a multiple of the rate decay, as in arXiv:2404.00498: they go far otherwise.
    """
    return [name for name in _PLAIN if name != NORM_BIAS or training.get("norm_bias_rate", 1.0) == 1.0]


def _hurry_norm_biases(optimizer, training):
    """Let the biases of norms learn at a multiple of the learning rate.

    SGD's step, with momentum or without, is linear in the gradient: a multiple of the one is a multiple of the other.
    Set on the optimizer itself, which stays Keras' own class: a saved file opens where kzoo is not installed.

    Raises:
        KzooError: clipping, which would undo it.
    """
    factor, apply = training["norm_bias_rate"], optimizer.apply
    if clipped := next((name for name in CLIPPING if training.get(name) is not None), None):
        raise KzooError(
            f"norm_bias_rate={factor:g} multiplies gradients, which {clipped}={training[clipped]:g} would cut again: "
            f"set norm_bias_rate=1, or {clipped} to none."
        )

    def hurried(grads, trainable_variables=None):
        variables = optimizer._trainable_variables if trainable_variables is None else trainable_variables
        pairs = zip(grads, variables, strict=True)
        grads = [g * factor if g is not None and v.name == NORM_BIAS else g for g, v in pairs]
        return apply(grads, trainable_variables)

    optimizer.apply = hurried


def make_schedule(training, *, steps=None):
    """Return a constant or a Keras schedule over `steps` training steps.

    "step" halves the rate when epochs 11, 21 and 31 begin, and leaves it at an eighth then.
    "onecycle" (https://arxiv.org/abs/1708.07120) rises from a 25th of the peak within the share of `warmup`, 30 % where
    it is asked for by name, and falls along a cosine to nearly nothing.

    Raises:
        KzooError: warm-up asked of a schedule that has none.
    """
    name, peak, warmup = training["schedule"], training["learning_rate"], training.get("warmup", 0.0)
    if warmup and name not in ("constant", "cosine", "onecycle"):
        raise KzooError(
            f"warmup={warmup} goes with schedule='constant', 'cosine' or 'onecycle', not {name!r}; set warmup=0."
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
        floor = 1.0 if name == "constant" else 0.0  # a cosine that never falls is a constant with warm-up
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
    # A boundary is the last step at the rate before it.
    last = [round(per_drop * (i + 1)) - 1 for i in range(drops)]
    return schedules.PiecewiseConstantDecay(last, [peak * 0.5**i for i in range(drops + 1)])


def stops_early(training):
    """Say whether a training may end before its last epoch, as without a schedule: others need their full length."""
    return training.get("schedule", "constant") in ("constant", "plateau")


def make_loss(*, task, config, training):
    """Return the loss for the head: logits where the output activation is None, probabilities otherwise.

    Args:
        task: a public name; its `fitting` makes the loss.
        config: the resolved builder arguments.
        training: the resolved contract.

    Raises:
        KzooError: a loss that does not fit the task or the head, or one-hot settings with integer labels.
    """
    way = problem(task).task
    return way.fitting.make_loss(training.get("loss", "auto"), way, task=task, config=config, training=training)


def make_metrics(*, task, config, training):
    """Return the metrics, as Keras takes them.

    Raises:
        KzooError: a metric that does not fit the head.
    """
    way, names, fitting = problem(task).task, training.get("metrics", ()), metrics_for(task, config)
    for name in names:
        if name not in fitting:
            raise KzooError(f"metrics={name!r} does not fit {task}. Use: {', '.join(fitting) or 'none'}.")
    return [way.fitting.make_metric(name, way, config=config, training=training) for name in names]


def metrics_for(task, config):
    """Return the names of the metrics that fit the task and what the network ends with."""
    way = problem(task).task
    choose = getattr(way.fitting, "metrics_for", None)
    return way.metrics if choose is None else choose(way, config)
