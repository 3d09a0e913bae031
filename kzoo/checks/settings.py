"""Checks of the settings, which read no data: steps, batches, monitor, learning rate, what is trained, the head."""

import numpy as np

from kzoo.checks.finding import check, error, warning
from kzoo.checks.losses import last_activation

# Above which learning rate no network of this zoo has trained. Adam and its kin move each weight by this much a step.
_HIGHEST_RATE = {"SGD": 10.0}
_HIGHEST_OF_OTHERS = 0.3
_LOWEST_RATE = 1e-7


@check("settings")
def zero_steps(subject):
    """An epoch without a step: nothing is trained, and Keras says so only by a loss of 0."""
    if not len(subject.data.train):
        yield error(
            "The training split is empty: an epoch has no steps",
            where="train",
            why="Nothing would be learned, and the model would stay random.",
            fix="Give more rows, or smaller shares to validation= and test=.",
        )


@check("settings", "rows")
def large_batch(subject):
    """A batch that holds all rows and has room left."""
    size = subject.training.get("batch_size", 1)
    if size > subject.rows:
        yield warning(
            f"A batch of {size} is larger than the {subject.rows} training rows: one step an epoch",
            where="batch_size",
            why="Each epoch moves the weights once, so that many epochs learn little.",
            fix=f"Use a batch_size of at most {min(max(subject.rows // 10, 4), subject.rows)}.",
        )


@check("settings", "model")
def wrong_monitor(subject):
    """A monitor that no epoch reports: Keras warns, never stops early and never saves."""
    monitor, known = subject.training.get("monitor"), _reported(subject.model)
    if monitor is None or known is None or monitor.removeprefix("val_") in known:
        return
    yield error(
        f"monitor={monitor!r} is not among what an epoch reports",
        where="monitor",
        why="Without it there is neither a best epoch to keep nor a reason to stop.",
        fix=f"Use one of: {', '.join(f'val_{name}' for name in known)}.",
    )


def _reported(model):
    """Return the names of loss and metrics; None where there are several outputs, or classes of the user's own."""
    try:
        metrics = (model.get_compile_config() or {}).get("metrics") or []
    except (TypeError, ValueError):
        return None
    if not isinstance(metrics, list) or not all(isinstance(m, str | dict) for m in metrics):
        return None
    names = [m if isinstance(m, str) else (m.get("config") or {}) for m in metrics]
    names = [n if isinstance(n, str) else n.get("name") if isinstance(n, dict) else n for n in names]
    return None if None in names else ["loss", *names]


@check("settings", "model")
def learning_rate(subject):
    """A learning rate that no network has trained with."""
    optimizer = getattr(subject.model, "optimizer", None)
    rate = getattr(optimizer, "_learning_rate", None)
    if rate is None or callable(rate):  # a schedule
        return
    rate, kind = float(np.asarray(optimizer.learning_rate)), type(optimizer).__name__
    highest = _HIGHEST_RATE.get(kind, _HIGHEST_OF_OTHERS)
    if not _LOWEST_RATE <= rate <= highest:
        yield warning(
            f"A learning rate of {rate:g} is far too {'high' if rate > highest else 'low'} for {kind}",
            where="optimizer",
            why="Too high, and the loss explodes or jumps about; too low, and nothing is learned.",
            fix=f"Begin with {'0.01' if kind == 'SGD' else '0.001'}; kzoo.learning_rate_range finds one.",
        )


@check("settings", "model")
def nothing_to_train(subject):
    """A network whose weights are all frozen."""
    if not subject.model.trainable_variables:
        yield error(
            "No weight of the network can be trained",
            where=f"model {subject.model.name!r}",
            why="Each epoch would leave it as it is.",
            fix="Set trainable=True on the layers to train, and compile again.",
        )


@check("settings", "loss")
def logits_or_probabilities(subject):
    """A head whose answers are not what the loss takes."""
    ends, loss = last_activation(subject.model), subject.loss
    where = f"loss {loss.name}, last activation {ends}"
    if ends is None:
        return
    if loss.name in ("hinge", "squared_hinge") and ends in ("softmax", "sigmoid", "hard_sigmoid", "relu", "softplus"):
        yield error(
            f"The network ends in {ends}, and {loss.name} compares it with -1 and +1",
            where=where,
            why="It never answers -1: half of the rows keep a loss that nothing can lower.",
            fix="End in tanh, or leave the last activation out.",
        )
    if loss.from_logits and ends in ("softmax", "sigmoid"):
        yield error(
            f"The network ends in {ends}, and the loss expects logits",
            where=where,
            why="Probabilities between 0 and 1 are squashed once more: the loss cannot get near 0, learning crawls.",
            fix="Say from_logits=False, or leave the last activation out.",
        )
    elif loss.takes_probabilities and ends not in ("softmax", "sigmoid", "hard_sigmoid"):
        yield error(
            "The network ends in plain numbers, and the loss expects probabilities",
            where=where,
            why="Negative numbers are cut off at 0: the loss is wrong and most gradients are zero.",
            fix="Say from_logits=True, or end in softmax or sigmoid."
            if loss.name.endswith("crossentropy")
            else "End in softmax.",
        )


@check("settings", "loss", "width")
def softmax_of_one(subject):
    """A softmax over a single output, which is 1 for every input."""
    if subject.width == 1 and last_activation(subject.model) == "softmax":
        yield error(
            "The last layer is a softmax over one output, which is always 1",
            where="last layer",
            why="The network can give one answer only.",
            fix="Use sigmoid for one output, or two outputs.",
        )


@check("settings", "loss", "width")
def sigmoid_for_many(subject):
    """Classes that exclude one another, each with a sigmoid of its own."""
    many = subject.width > 1 and subject.loss.labels in ("numbers", "one-hot")
    if many and last_activation(subject.model) == "sigmoid" and subject.loss.name.endswith("crossentropy"):
        yield warning(
            f"The {subject.width} classes end in sigmoid, and the loss compares them as shares of one",
            where=f"loss {subject.loss.name}, last activation sigmoid",
            why="The answers do not sum to 1; the loss can fall by making all of them small.",
            fix="End in softmax; for several labels a row, use binary_crossentropy.",
        )
