"""Hyperparameters of training: entries for all families.

Epochs are not among them: early stopping and the best epoch determine them.
"""

from collections.abc import Container

from kzoo.problems.kinds import kind
from kzoo.problems.tasks import problem
from kzoo.tuning.spaces.entry import (
    Condition,
    Entry,
    Parameter,
    Settings,
    SpaceContext,
    Value,
    choice,
    recurrent_sizes,
)

# Typical peak learning rate of an optimizer, as a multiple of Adam's.
RATE_FACTORS = {
    "adam": 1.0,
    "adamw": 1.0,
    "nadam": 1.0,
    "rmsprop": 1.0,
    "lion": 0.1,
    "muon": 1.0,
    "adagrad": 10.0,
    "momentum": 10.0,
    "sgd": 100.0,
}
WARMUP_SCHEDULES = ("constant", "cosine")  # schedules for which the share of warm-up is searched


def _optimizer(context: SpaceContext) -> Parameter:
    default = context.settings["optimizer"]
    # with the same weight decay, both are the same
    adamw = () if default in ("adam", "adamw") else ("adamw",)
    full_only = ("nadam", "lion", "sgd") if context.size == "full" else ()
    values = tuple(dict.fromkeys([default, *adamw, "momentum", "rmsprop", *full_only]))
    return Parameter(name="optimizer", meaning="optimizer", values=values, default=default)


def _learning_rate(context: SpaceContext) -> Parameter | list[Parameter]:
    """Return a range around the preset's learning rate, scaled for each optimizer in the space."""
    optimizer = context.earlier.get("optimizer")
    if optimizer is None:
        return _rate_for(context.settings.get("optimizer"), context, name="learning_rate")
    return [
        _rate_for(name, context, name=f"learning_rate_{name}", when=("optimizer", (name,)))
        for name in optimizer.values
    ]


def _rate_for(
    optimizer: Value | None, context: SpaceContext, name: str, when: Condition | None = None
) -> Parameter:
    default = context.settings["learning_rate"]
    if optimizer != context.optimizer:
        default = float(
            f"{default * RATE_FACTORS[str(optimizer)] / RATE_FACTORS[str(context.optimizer)]:.6g}"
        )
    low, high = (float(f"{default * factor:.3g}") for factor in (1 / 30, 10))
    return Parameter(
        name=name,
        alias="learning_rate",
        meaning="peak learning rate",
        low=low,
        high=high,
        log=True,
        default=default,
        when=when,
    )


def _batch_size(context: SpaceContext) -> Parameter:
    default = context.settings["batch_size"]
    factors = context.by_size((0.5, 1, 2), (0.25, 0.5, 1, 2, 4))
    values = sorted(
        {default, *(int(default * factor) for factor in factors if default * factor >= 8)}
    )
    return Parameter(
        name="batch_size",
        meaning="number of examples per step",
        values=tuple(values),
        default=default,
    )


def _warmup(context: SpaceContext) -> Parameter | None:
    settings = context.settings
    default = context.settings["warmup"]
    when = None
    if "schedule" in context.earlier:
        when = (
            "schedule",
            tuple(
                schedule
                for schedule in context.earlier["schedule"].values
                if schedule in WARMUP_SCHEDULES
            ),
        )
        if not when[1]:
            return None
    elif settings.get("schedule") not in WARMUP_SCHEDULES:
        return None
    values = tuple(sorted({default, 0.0, 0.05, 0.1}))
    return Parameter(
        name="warmup", meaning="share of warm-up steps", values=values, default=default, when=when
    )


def _label_smoothing(context: SpaceContext) -> Parameter | None:
    if "classes" not in problem(context.task).facts or context.settings.get("loss", "auto") not in (
        "auto",
        "crossentropy",
    ):
        return None
    return choice(
        "label_smoothing", "share of the label spread over all classes", 0.0, 0.1, full=(0.05, 0.2)
    )(context)


def _clipping(context: SpaceContext) -> Parameter | None:
    if (
        context.settings.get("clipnorm") is not None
        or context.settings.get("clipvalue") is not None
    ):
        return None  # gradients are already clipped in another way
    if context.settings.get("norm_bias_rate", 1.0) != 1.0:
        return None  # it multiplies gradients after clipping
    default = context.settings["global_clipnorm"] or 0.0
    values = tuple(sorted({default, 0.0, 1.0, 5.0}))
    return Parameter(
        name="global_clipnorm",
        meaning="largest norm of all gradients; 0: none",
        values=values,
        default=default,
    )


def _set_clipping(settings: Settings, value: float) -> None:
    settings["global_clipnorm"] = value or None


def _augment(context: SpaceContext) -> Parameter | None:
    if "pixels" not in kind(problem(context.task).kind).facts:
        return None
    meaning = "none; shift; shift, zoom, rotate; and erase"
    levels = ("none", "light", "medium", "strong")
    return Parameter(name="augment", meaning=meaning, values=("preset", *levels), default="preset")


def _set_augment(settings: Settings, value: str) -> None:
    """Set the augmentation; mirroring is kept from the preset, because not every image may be mirrored."""
    mirror = tuple(name for name in ("flip", "alternate") if name in settings["augment"])
    light = (*mirror, "shift")
    medium = (*mirror, "shift", "zoom", "rotate")
    settings["augment"] = {
        "none": (),
        "light": light,
        "medium": medium,
        "strong": (*medium, "erase"),
    }[value]


ENTRIES = {
    "optimizer": Entry(sizes="standard", declare=_optimizer, sets=("optimizer",)),
    "learning_rate": Entry(sizes="quick", declare=_learning_rate, sets=("learning_rate",)),
    "batch_size": Entry(sizes="quick", declare=_batch_size, sets=("batch_size",)),
    "schedule": Entry(
        sizes="standard",
        declare=choice(
            "schedule",
            "course of the learning rate",
            "constant",
            "cosine",
            "plateau",
            full=("onecycle",),
        ),
        sets=("schedule",),
    ),
    "warmup": Entry(sizes="standard", declare=_warmup, sets=("warmup",)),
    "weight_decay": Entry(
        sizes="standard",
        declare=choice(
            "weight_decay", "decoupled weight decay", 0.0, 1e-4, 1e-3, 1e-2, full=(1e-1,)
        ),
        sets=("weight_decay",),
    ),
    "label_smoothing": Entry(sizes="standard", declare=_label_smoothing, sets=("label_smoothing",)),
    "global_clipnorm": Entry(
        sizes=recurrent_sizes("standard")
        | dict(transformer="standard", fnn="full", cnn="full", other="full"),
        declare=_clipping,
        sets=("global_clipnorm",),
        apply=_set_clipping,
    ),
    "augment": Entry(sizes="standard", declare=_augment, sets=("augment",), apply=_set_augment),
    "ema": Entry(
        sizes="full",
        declare=choice("ema", "momentum of averaged weights; 0: none", 0.0, 0.99, 0.999),
        sets=("ema",),
    ),
}


def make_consistent(settings: Settings, fixed: Container[str] = ()) -> None:
    """Remove the warm-up for a schedule that has none, unless it is fixed."""
    without_warmup = settings.get("schedule", "constant") not in (*WARMUP_SCHEDULES, "onecycle")
    if without_warmup and settings.get("warmup") and "warmup" not in fixed:
        settings["warmup"] = 0.0
