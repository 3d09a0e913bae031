"""What can be tuned in training: an entry per hyperparameter, shared by every family. Never the epochs: early stopping
and the best epoch decide those."""

from kzoo.kinds import kind
from kzoo.tasks import problem
from kzoo.tuning.spaces.entry import Entry, Parameter, choice, recurrent

# Peak learning rate that goes with an optimizer, as a multiple of Adam's.
PACE = {
    "adam": 1.0, "adamw": 1.0, "nadam": 1.0, "rmsprop": 1.0, "lion": 0.1, "muon": 1.0,
    "adagrad": 10.0, "momentum": 10.0, "sgd": 100.0,
}  # fmt: skip
WARMED = ("constant", "cosine")  # schedules in which a share of warm-up is a matter of choice


def _optimizer(scene):
    own = scene.settings["optimizer"]
    adam = () if own in ("adam", "adamw") else ("adamw",)  # with the same weight decay these two are one
    more = ("nadam", "lion", "sgd") if scene.size == "full" else ()
    values = tuple(dict.fromkeys([own, *adam, "momentum", "rmsprop", *more]))
    return Parameter(name="optimizer", meaning="optimizer", values=values, default=own)


def _learning_rate(scene):
    """Return a range around the preset's, moved to each optimizer that may be chosen."""
    tuned = scene.before.get("optimizer")
    if tuned is None:
        return _rate_for(scene.settings.get("optimizer"), scene, name="learning_rate")
    return [_rate_for(kind, scene, name=f"learning_rate_{kind}", when=("optimizer", (kind,))) for kind in tuned.values]


def _rate_for(optimizer, scene, **names):
    rate = scene.settings["learning_rate"]
    if optimizer != scene.optimizer:
        rate = float(f"{rate * PACE[optimizer] / PACE[scene.optimizer]:.6g}")
    low, high = (float(f"{rate * factor:.3g}") for factor in (1 / 30, 10))
    return Parameter(
        called="learning_rate", meaning="peak learning rate", low=low, high=high, log=True, default=rate, **names
    )


def _batch_size(scene):
    own = scene.settings["batch_size"]
    factors = scene.by_size((0.5, 1, 2), (0.25, 0.5, 1, 2, 4))
    values = sorted({own, *(int(own * factor) for factor in factors if own * factor >= 8)})
    return Parameter(name="batch_size", meaning="examples in a step", values=tuple(values), default=own)


def _warmup(scene):
    s, own = scene.settings, scene.settings["warmup"]
    when = None
    if "schedule" in scene.before:
        when = ("schedule", tuple(v for v in scene.before["schedule"].values if v in WARMED))
        if not when[1]:
            return None
    elif s.get("schedule") not in WARMED:
        return None
    values = tuple(sorted({own, 0.0, 0.05, 0.1}))
    return Parameter(name="warmup", meaning="share of warm-up steps", values=values, default=own, when=when)


def _label_smoothing(scene):
    if "classes" not in problem(scene.task).facts or scene.settings.get("loss", "auto") not in ("auto", "crossentropy"):
        return None
    return choice("label_smoothing", "share of the label spread over all classes", 0.0, 0.1, full=(0.05, 0.2))(scene)


def _clipping(scene):
    if scene.settings.get("clipnorm") is not None or scene.settings.get("clipvalue") is not None:
        return None  # gradients are clipped in one way
    if scene.settings.get("norm_bias_rate", 1.0) != 1.0:
        return None  # which multiplies gradients after they would have been clipped
    own = scene.settings["global_clipnorm"] or 0.0
    values = tuple(sorted({own, 0.0, 1.0, 5.0}))
    return Parameter(
        name="global_clipnorm", meaning="largest norm of all gradients; 0: none", values=values, default=own
    )


def _set_clipping(settings, value):
    settings["global_clipnorm"] = value or None


def _augment(scene):
    if "pixels" not in kind(problem(scene.task).kind).facts:
        return None
    meaning = "none; shift; shift, zoom, rotate; and erase"
    levels = ("none", "light", "medium", "strong")
    return Parameter(name="augment", meaning=meaning, values=("preset", *levels), default="preset")


def _set_augment(settings, value):
    """Grow the augmentation; mirroring stays where the preset mirrors: not every image may be."""
    mirror = tuple(name for name in ("flip", "alternate") if name in settings["augment"])
    light, medium = (*mirror, "shift"), (*mirror, "shift", "zoom", "rotate")
    settings["augment"] = {"none": (), "light": light, "medium": medium, "strong": (*medium, "erase")}[value]


ENTRIES = {
    "optimizer": Entry(sizes="standard", declare=_optimizer, sets=("optimizer",)),
    "learning_rate": Entry(sizes="quick", declare=_learning_rate, sets=("learning_rate",)),
    "batch_size": Entry(sizes="quick", declare=_batch_size, sets=("batch_size",)),
    "schedule": Entry(
        sizes="standard",
        declare=choice("schedule", "course of the learning rate", "constant", "cosine", "plateau", full=("onecycle",)),
        sets=("schedule",),
    ),
    "warmup": Entry(sizes="standard", declare=_warmup, sets=("warmup",)),
    "weight_decay": Entry(
        sizes="standard",
        declare=choice("weight_decay", "decoupled weight decay", 0.0, 1e-4, 1e-3, 1e-2, full=(1e-1,)),
        sets=("weight_decay",),
    ),
    "label_smoothing": Entry(sizes="standard", declare=_label_smoothing, sets=("label_smoothing",)),
    "global_clipnorm": Entry(
        sizes=recurrent("standard") | dict(transformer="standard", fnn="full", cnn="full", other="full"),
        declare=_clipping,
        sets=("global_clipnorm",),
        apply=_set_clipping,
    ),
    "augment": Entry(sizes="standard", declare=_augment, sets=("augment",), apply=_set_augment),
    "ema": Entry(
        sizes="full", declare=choice("ema", "momentum of averaged weights; 0: none", 0.0, 0.99, 0.999), sets=("ema",)
    ),
}


def make_fit(settings, fixed=()):
    """Take the warm-up from a schedule that has none, unless it was fixed."""
    cold = settings.get("schedule", "constant") not in (*WARMED, "onecycle")
    if cold and settings.get("warmup") and "warmup" not in fixed:
        settings["warmup"] = 0.0
