"""Every setting: its legal values, and with which other settings it has an effect. Standard library only.

`CONFIG` has the keywords of the families' builders, whose files state their defaults and meanings (`family.py`);
`TRAINING` is the whole training contract, with defaults and meanings. Every value of a preset and every override is
checked against them before Keras is imported, so a builder checks only what is specific to its family, and how values
relate. The builder of a custom family checks the settings that are not listed here.
"""

import ast
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from kzoo.inference import postprocessors
from kzoo.problems import costs, kinds, objectives, tasks
from kzoo.utils.discovery import Names, entry_points
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import HUGE, MOST, as_python

Setting: TypeAlias = Any  # a value of a setting: plain data
Needs: TypeAlias = Mapping[str, Collection[object]]  # setting -> values, or `ANY`, see `Argument`

ANY = "any"
# bound of whole numbers without another one: floats and shapes cannot hold larger ones
_INDEX = 2**53


@dataclass(frozen=True, kw_only=True)
class Argument:
    """A setting.

    Args:
        default: default value, for the training contract; builders define their own.
        meaning: one line, for the training contract; builders define their own.
        kind: type or types of one value.
        low, high: inclusive bounds; `below` is an exclusive upper bound, `above` an exclusive lower one.
        choices: legal values, if they can be listed.
        none: whether None is legal.
        many: whether a sequence is legal: False, True (only a sequence) or "or one".
        each: rule for the values of a mapping, if a mapping is legal; its keys become strings.
        convert: function that makes plain data of a value before it is checked; raises KzooError.
        optional: whether the setting is stored only where it is set, so that older specifications stay as they are.
        open: whether a sequence may begin with None, which the data replaces (see
        `kzoo.zoo.registry.preset.completed`).
        needs: another setting -> its values with which this one has an effect; "answers" is what the task predicts,
            "classes", "values" or "quantiles". `ANY` is any value that is not empty. Rules of one family are in the
            `NEEDS` of its file.
    """

    default: object = None
    meaning: str = ""
    kind: type | tuple = object
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: Collection = ()
    none: bool = False
    many: bool | str = False
    each: "Argument | None" = None
    convert: Callable[[Any], Any] | None = None
    optional: bool = False
    open: bool = False
    needs: Needs = field(default_factory=dict)

    def check(self, name: str, value: Setting) -> Setting:
        """Return `value` (sequences as tuples, NumPy types as Python's); raise `KzooError` if it is not legal."""
        if self.many and getattr(value, "ndim", 0) == 1:  # an array
            value = value.tolist()
        if value is None and self.none:
            return None
        if self.convert is not None:
            return self.convert(value)
        if isinstance(value, Mapping) and self.each is not None:
            if not value:
                raise KzooError(f"is empty. It must be {self.legal()}.", argument=name, value=value)
            return {
                str(as_python(key)): self.each.check(f"{name}[{as_python(key)!r}]", v)
                for key, v in value.items()
            }
        if isinstance(value, list | tuple) and self.many:
            first = (None,) if self.open and value and value[0] is None else ()
            return first + tuple(self._check_one(name, v) for v in value[len(first) :])
        if self.many is True and not isinstance(value, list | tuple):
            return (self._check_one(name, value),)
        return self._check_one(name, value)

    def _check_one(self, name: str, value: Setting) -> Setting:
        value = as_python(value)
        kinds = self.kind if isinstance(self.kind, tuple) else (self.kind,)
        if (
            float in kinds
            and int not in kinds
            and isinstance(value, int)
            and not isinstance(value, bool)
        ):
            value = float(value) if abs(value) < HUGE else math.inf if value > 0 else -math.inf
        wrong_bool = isinstance(value, bool) and bool not in kinds and object not in kinds
        if wrong_bool or not isinstance(value, kinds) or (value is None and object not in kinds):
            raise KzooError(
                f"has the wrong type. It must be {self.legal()}.", argument=name, value=value
            )
        if self.choices and value not in self.choices:
            raise KzooError(f"is unknown. Use one of: {self.legal()}.", argument=name, value=value)
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and not self._is_in_range(value)
        ):
            raise KzooError(
                f"is out of range. It must be {self.legal()}{self._upper_bound_text(value)}.",
                argument=name,
                value=value,
            )
        return value

    def _is_in_range(self, value: float) -> bool:
        return (
            -math.inf < value < math.inf  # excludes NaN
            and (isinstance(value, float) or abs(value) < _INDEX)
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def _upper_bound_text(self, value: Setting) -> str:
        """Return the upper bound as text for a whole number far above it; else an empty string."""
        if not isinstance(value, int) or value < min(_INDEX, self.high or _INDEX):
            return ""
        return (
            f", at most {MOST:,}"
            if self.high == MOST
            else ", below 2**53"
            if self.high is None
            else ""
        )

    def legal(self) -> str:
        """Return a description of the legal values."""
        if self.choices:
            text = ", ".join(str(c) for c in self.choices)
        else:
            names = {int: "a whole number", float: "a number", str: "a name", bool: "true or false"}
            kinds = self.kind if isinstance(self.kind, tuple) else (self.kind,)
            text = " or ".join(names.get(k, "any value") for k in kinds)
            bounds = [
                f"{word} {bound:g}"
                for word, bound in (
                    ("at least", self.low),
                    ("above", self.above),
                    ("at most", self.high),
                    ("below", self.below),
                )
                if bound is not None and bound != MOST
            ]
            text += " " + " and ".join(bounds) if bounds else ""
        if self.many:
            text += (
                ", or several with commas"
                if self.many == "or one"
                else ", one or several with commas"
            )
        if self.each is not None:
            text += f", or {{name: {self.each.legal()}, ...}}"
        return text + (", or none" if self.none else "")


def _class_name(value: object) -> str:
    """Return the name of a class, which may be a number."""
    value = as_python(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int | float) or value == "":
        raise KzooError("must be the name of a class.", argument="positive", value=value)
    return str(value)


_A = Argument
_RATE: Any = dict(kind=float, low=0, below=1)
_COUNT: Any = dict(kind=int, low=1)
_TIMES: Any = dict(kind=int, low=1, high=MOST)
_FLAG: Any = dict(kind=bool)
_NUMBERS: Any = dict(kind=float, none=True, many=True)

# Conditions on other settings (`needs`); a family without the other setting ignores them.
_TOKENS: Any = dict(needs={"inputs": ("tokens",)})
_SERIES: Any = dict(needs={"inputs": ("series",)})
_COLUMNS: Any = dict(needs={"inputs": ("rows", "series"), "rescale": (True,), "bins": (0,)})
_PLAIN: Any = dict(needs={"block": ("plain",)})
_STAGES: Any = dict(needs={"block": ("plain", "residual", "separable", "pooled", "dilated")})
_CLASSES: Any = dict(needs={"answers": ("classes",)})
_VALUES: Any = dict(needs={"answers": ("values", "quantiles")})

ACTIVATIONS = (
    "relu",
    "gelu",
    "elu",
    "leaky_relu",
    "sigmoid",
    "tanh",
    "silu",
    "selu",
    "relu6",
    "mish",
    "softplus",
    "softsign",
    "hard_sigmoid",
    "hard_silu",
    "celu",
    "exponential",
    "linear",
    "softmax",
    "log_softmax",
)
OUTPUT_ACTIVATIONS = Names(*[lambda: dict.fromkeys((*ACTIVATIONS, *tasks.HEADS))] * 2)
OPTIMIZERS = ("adam", "adamw", "sgd", "momentum", "rmsprop", "nadam", "adagrad", "lion", "muon")
SGD = ("sgd", "momentum")  # their step is linear in the gradient
SCHEDULES = ("constant", "cosine", "onecycle", "linear", "exponential", "step", "plateau")
AUGMENTATIONS = (
    "flip",
    "alternate",
    "shift",
    "nudge",
    "rotate",
    "zoom",
    "erase",
    "mixup",
    "cutmix",
)


@cache
def _bundles() -> dict[str, None]:
    """Return the callback bundles, the functions of `kzoo.callbacks` that take a `run_dir`, without importing Keras."""
    source = (
        Path(__file__)
        .parents[2]
        .joinpath("callbacks")
        .joinpath("__init__.py")
        .read_text(encoding="utf-8")
    )
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return dict.fromkeys(
        f.name for f in functions if f.args.args and f.args.args[0].arg == "run_dir"
    )


def _all_bundles() -> dict[str, None]:
    return _bundles() | dict.fromkeys(entry.name for entry in entry_points("kzoo.callback_bundles"))


BUNDLES = Names(_bundles, _all_bundles)
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
RESUME = ("auto", "must", "never")
BACKENDS = ("auto", "tensorflow", "jax", "torch")
BACKBONES = ("efficientnet_v2_b0", "mobilenet_v2", "efficientnet_lite0")
BACKBONE_SIDE = 32  # pixels of an image a side, at least: a backbone halves them five times
TTA = ("mirror", "shift")  # test-time augmentations

CONFIG = {
    "inputs": _A(kind=str, choices=kinds.NAMES),
    "input_shape": _A(many=True, open=True, **_COUNT),
    "outputs": _A(**_COUNT),
    "horizon": _A(none=True, **_COUNT, **_SERIES),
    "units": _A(many=True, **_COUNT),
    "units_norm": _A(kind=str, choices=("batch", "layer"), none=True, needs={"units": ANY}),
    "units_dropout": _A(**_RATE),
    "dense_units": _A(many=True, none=True, **_COUNT),
    "dense_dropout": _A(**_RATE),
    "activation": _A(kind=str, choices=ACTIVATIONS),
    "output_activation": _A(kind=str, choices=OUTPUT_ACTIVATIONS, none=True),
    "output_bias": _A(**_FLAG),
    "output_scale": _A(kind=float, above=0),
    "dropout": _A(many="or one", **_RATE, **_STAGES),
    "recurrent_dropout": _A(**_RATE),
    "embedding_dropout": _A(**_RATE, **_TOKENS),
    "norm": _A(kind=str, choices=("batch", "layer", "rms"), none=True, **_STAGES),
    "norm_momentum": _A(**_RATE, needs={"norm": ("batch",)}),
    "layer_norm": _A(**_FLAG),
    "norm_position": _A(kind=str, choices=("pre", "post")),
    "l1": _A(kind=float, low=0),
    "l2": _A(kind=float, low=0),
    "residual": _A(**_FLAG),
    "rescale": _A(**_FLAG, needs={"inputs": ("rows", "image", "series"), "bins": (0,)}),
    "scale": _A(**_NUMBERS, **_COLUMNS),
    "offset": _A(**_NUMBERS, **_COLUMNS),
    "input_clip": _A(
        kind=float, low=0, none=True, needs={"inputs": ("rows",), "rescale": (True,), "bins": (0,)}
    ),
    "bins": _A(kind=int, low=0, needs={"inputs": ("rows",)}),
    "bins_dim": _A(**_COUNT, needs={"bins": ANY}),
    "edges": _A(**_NUMBERS, needs={"bins": ANY}),
    "target_scale": _A(**_NUMBERS, **_VALUES),
    "target_offset": _A(**_NUMBERS, **_VALUES),
    "calendar": _A(kind=int, low=0, none=True, needs={"inputs": ("series",)}),
    "covariates": _A(kind=int, low=0, none=True, needs={"inputs": ("series",)}),
    "quantiles": _A(
        kind=float, above=0, below=1, none=True, many=True, needs={"answers": ("quantiles",)}
    ),
    "categories": _A(many=True, **_COUNT, needs={"inputs": ("rows",)}),
    "text_buckets": _A(many=True, kind=int, low=2, high=2**24, needs={"inputs": ("rows",)}),
    "text_lengths": _A(many=True, **_COUNT, needs={"inputs": ("rows",)}),
    "text_dim": _A(**_COUNT, needs={"inputs": ("rows",)}),
    "members": _A(kind=int, low=2, none=True, needs={"residual": (False,)}),
    "block": _A(
        kind=str, choices=("plain", "residual", "separable", "pooled", "parallel", "dilated")
    ),
    "backbone": _A(kind=str, choices=BACKBONES),
    "cut": _A(kind=str, none=True),
    "frozen_norm": _A(**_FLAG),
    "whitening": _A(kind=int, low=0, needs={"inputs": ("image",)}),
    "dirac": _A(**_FLAG, needs={"block": ("plain", "pooled")}),
    "filters": _A(many=True, **_COUNT),
    "depth": _A(many="or one", **_COUNT, **_STAGES),
    "kernel_size": _A(many="or one", **_COUNT),
    "padding": _A(kind=str, choices=("same", "valid"), **_PLAIN),
    "pool_size": _A(many="or one", **_COUNT, **_PLAIN),
    "pooling": _A(kind=str, choices=("flatten", "mean", "max", "last", "cls"), none=True),
    "padded": _A(none=True, **_FLAG, **_SERIES),
    "shares": _A(**_COUNT),
    "groups": _A(kind=int, low=0),
    "kernels_per_group": _A(kind=int, low=2, needs={"groups": ANY}),
    "vocabulary_size": _A(kind=int, low=2, **_TOKENS),
    "embedding_dim": _A(**_COUNT, needs={"inputs": ("tokens",), "log_ratios": (False,)}),
    "pair_buckets": _A(none=True, **_COUNT, needs={"inputs": ("tokens",)}),
    "log_ratios": _A(**_FLAG, needs={"inputs": ("tokens",), "answers": ("classes",)}),
    "bidirectional": _A(**_FLAG),
    "reversible_norm": _A(kind=(bool, str), choices=(True, False, "last", "log"), **_SERIES),
    "scale_free": _A(**_FLAG, **_SERIES),
    "stateful": _A(**_FLAG),
    "stateful_batch": _A(**_COUNT, needs={"stateful": (True,)}),
    "width": _A(**_COUNT),
    "num_heads": _A(**_COUNT),
    "intermediate_dim": _A(**_COUNT),
    "positions": _A(kind=str, choices=("learned", "sinusoidal", "rotary"), none=True),
    "causal": _A(**_FLAG, **_TOKENS),
    "patch_size": _A(**_COUNT, needs={"inputs": ("image", "series")}),
    "patch_stride": _A(none=True, **_COUNT, **_SERIES),
}

TRAINING = {
    "optimizer": _A(default="adam", meaning="optimizer", kind=str, choices=OPTIMIZERS),
    "momentum": _A(default=0.9, meaning="Nesterov momentum, for optimizer=momentum", **_RATE),
    "learning_rate": _A(default=1e-3, meaning="peak learning rate", kind=float, above=0),
    "norm_bias_rate": _A(
        default=1.0,
        meaning="learning rate multiplier for the biases of normalisation layers, with the optimizers sgd and momentum",
        kind=float,
        above=0,
    ),
    "layer_decay": _A(
        default=1.0,
        meaning="factor by which the learning rate is multiplied for each layer farther from the output",
        kind=float,
        above=0,
        high=1,
    ),
    "linear_probe": _A(
        default=False,
        meaning="with weights=, initialize the last layer by fitting a linear model to the features",
        **_FLAG,
        **_CLASSES,
    ),
    "schedule": _A(
        default="constant", meaning="learning rate schedule", kind=str, choices=SCHEDULES
    ),
    "warmup": _A(
        default=0.0, meaning="fraction of the steps during which the learning rate rises", **_RATE
    ),
    "weight_decay": _A(
        default=0.0,
        meaning="decoupled weight decay; biases and normalisation layers are excluded",
        kind=float,
        low=0,
    ),
    "global_clipnorm": _A(
        meaning="maximum norm of all gradients together; set only one of global_clipnorm, clipnorm and clipvalue",
        kind=float,
        above=0,
        none=True,
    ),
    "clipnorm": _A(
        meaning="maximum norm of the gradient of each weight, instead of global_clipnorm",
        kind=float,
        above=0,
        none=True,
    ),
    "clipvalue": _A(
        meaning="maximum absolute value in any gradient, instead of global_clipnorm",
        kind=float,
        above=0,
        none=True,
    ),
    "ema": _A(
        default=0.0,
        meaning="momentum of the moving average of the weights; the average is validated and saved; 0 for no average",
        **_RATE,
    ),
    "on_nan": _A(
        default="stop",
        meaning="what to do when the loss or a weight is not finite",
        kind=str,
        choices=("stop", "rollback"),
    ),
    "precision": _A(
        default="auto",
        meaning="precision used by kzoo.train, if the device supports it; auto: bfloat16 on a GPU, otherwise float32",
        kind=str,
        choices=PRECISIONS,
    ),
    "batch_size": _A(default=64, meaning="number of examples per step", **_TIMES),
    "epochs": _A(default=20, meaning="number of passes over the training split", **_TIMES),
    "min_steps": _A(
        default=0,
        meaning="minimum number of steps: with few examples, epochs and patience are increased to reach it, "
        "unless epochs is set",
        kind=int,
        low=0,
    ),
    "max_steps": _A(
        meaning="maximum number of steps: trains for fewer epochs, or for one shortened epoch; schedules are "
        "adjusted accordingly",
        none=True,
        **_TIMES,
    ),
    "loss": _A(
        default="auto",
        meaning="loss function; auto chooses it to match the output layer",
        kind=str,
        choices=tasks.LOSSES,
    ),
    "label_smoothing": _A(
        default=0.0,
        meaning="fraction of the label that is spread over all classes",
        **_RATE,
        **_CLASSES,
    ),
    "labels": _A(
        default="integer",
        meaning="format of the labels passed to fit",
        kind=str,
        choices=("integer", "onehot"),
        **_CLASSES,
    ),
    "class_weight": _A(
        meaning="class weights: balanced (by inverse frequency), or a number for each class, such as {no: 1, yes: 5}",
        kind=str,
        choices=("balanced",),
        each=_A(kind=float, low=0),
        none=True,
        **_CLASSES,
    ),
    "metrics": _A(
        default=(),
        meaning="metrics reported after each epoch",
        kind=str,
        choices=tasks.METRICS,
        many=True,
    ),
    "postprocess": _A(
        default=(),
        meaning="steps that turn the network's outputs into predictions, learned on the validation split",
        kind=str,
        choices=postprocessors.NAMES,
        many=True,
    ),
    "calibrate": _A(
        meaning="calibration of probabilities on the validation split: auto (temperature scaling, and a further step "
        "if inner folds find one significantly better; default), temperature, or off",
        kind=str,
        choices=("auto", "temperature", "off"),
        optional=True,
    ),
    "objective": _A(
        meaning="score of the whole validation split that determines the best epoch, such as f1, auc or mae",
        kind=str,
        none=True,
        convert=objectives.read,
        optional=True,
    ),
    "decision": _A(
        meaning="how labels follow from probabilities: default (the most probable class), objective, cost, or a score "
        "such as f1, for which the best threshold is learned on the validation split",
        kind=str,
        none=True,
        optional=True,
        **_CLASSES,
    ),
    "positive": _A(
        meaning="positive class of two, for f1, recall@precision and the threshold; default: the rarer class",
        none=True,
        convert=_class_name,
        optional=True,
        **_CLASSES,
    ),
    "cost": _A(
        meaning="costs of wrong predictions by actual:predicted, such as {yes:no: 5, no:yes: 1}; labels then have the "
        "least expected cost",
        none=True,
        convert=costs.read,
        optional=True,
        **_CLASSES,
    ),
    "monitor": _A(
        default="val_loss",
        meaning="metric that determines the best epoch; none: val_loss or, without validation data, loss",
        kind=str,
        none=True,
    ),
    "mode": _A(
        meaning="whether larger or smaller values of the monitored metric are better; for metrics that kzoo "
        "does not know",
        kind=str,
        choices=("max", "min"),
        none=True,
    ),
    "patience": _A(
        default=10, meaning="number of epochs without improvement before training stops", **_TIMES
    ),
    "callbacks": _A(default="standard", meaning="callback bundle", kind=str, choices=BUNDLES),
    "augment": _A(
        default=(),
        meaning="augmentation of training images",
        kind=str,
        choices=AUGMENTATIONS,
        many=True,
        needs={"inputs": ("image",)},
    ),
    "tokenizer": _A(
        default="words",
        meaning="what a token is; pieces: a piece of a word, of the pretrained text encoder",
        kind=str,
        choices=("words", "characters", "pieces"),
        **_TOKENS,
    ),
    "ngrams": _A(
        meaning="read each text as the set of its n-grams of up to this many tokens; none: all tokens in order",
        none=True,
        **_TIMES,
        **_TOKENS,
    ),
}
# Settings of the network that a specification has only if they are not None.
STORED_IF_SET = ("quantiles", "covariates", "calendar", "padded", "dense_units")
CLIPPING = ("global_clipnorm", "clipnorm", "clipvalue")  # mutually exclusive
# Settings that a compiled model does not hold: `kzoo.fit_arguments` passes them to `fit`, or `kzoo.train` applies them.
OF_FIT = (
    "batch_size",
    "epochs",
    "min_steps",
    "max_steps",
    "augment",
    "class_weight",
    "monitor",
    "mode",
    "patience",
    "callbacks",
    "on_nan",
    "tokenizer",
    "ngrams",
    "precision",
    "linear_probe",
    "postprocess",
    "calibrate",
    "objective",
    "decision",
    "positive",
    "cost",
)

ARGUMENTS = CONFIG | TRAINING


def checked(values: Mapping[str, Setting]) -> JsonObject:
    """Return the settings of a preset after checking them, with sequences as tuples.

    Names that are not in `ARGUMENTS` are left to the family's builder.

    Raises:
        KzooError: a value of the wrong type, or out of range.
    """
    settings = {}
    for name, value in values.items():
        if name in ARGUMENTS:
            settings[name] = ARGUMENTS[name].check(name, value)
        else:
            settings[name] = tuple(value) if isinstance(value, list) else value
    return settings


def plain_settings(values: Mapping[str, Setting]) -> JsonObject:
    """Return the settings among `values` that are plain data only once they are converted, as plain data.

    Raises:
        KzooError: see the functions that convert them.
    """
    plain = {}
    for name, value in values.items():
        convert = ARGUMENTS[name].convert if name in ARGUMENTS else None
        if convert is not None and value is not None:
            plain[name] = convert(value)
    return plain


def unmet(
    names: Iterable[str], settings: Mapping[str, Setting], needs: Mapping[str, Needs]
) -> dict[str, str]:
    """Return name -> reason, for settings that have no effect because others that they need are not set.

    Args:
        names: names of settings.
        settings: all settings, and "answers": "classes" or "values", as the task has.
        needs: further rules of the family (see `kzoo.zoo.registry.family.Builder`).
    """
    reasons: dict[str, str] = {}
    for name in names:
        needs_everywhere = ARGUMENTS[name].needs if name in ARGUMENTS else {}
        reason = _unmet_reason(needs_everywhere, settings) or _unmet_reason(
            needs.get(name, {}), settings
        )
        if reason is not None:
            reasons[name] = reason
    return reasons


def _unmet_reason(needs: Needs, settings: Mapping[str, Setting]) -> str | None:
    for other, values in needs.items():
        if other not in settings or (
            settings[other] if values == ANY else settings[other] in values
        ):
            continue
        if values == ANY:
            return f"it needs {other}, which is not set"
        if other == "answers":
            return (
                f"it is for {' and '.join(map(str, values))}, and this task has {settings[other]}"
            )
        return f"it needs {other}={' or '.join(map(repr, values))}, not {settings[other]!r}"
    return None


# Names of the same settings in other libraries; used for hints only.
SYNONYMS = {
    "classes": "outputs",
    "num_classes": "outputs",
    "n_classes": "outputs",
    "output_dim": "outputs",
    "lr": "learning_rate",
    "eta0": "learning_rate",
    "learning_rate_init": "learning_rate",
    "opt": "optimizer",
    "solver": "optimizer",
    "sched": "schedule",
    "scheduler": "schedule",
    "lr_schedule": "schedule",
    "lr_scheduler": "schedule",
    "warmup_ratio": "warmup",
    "warmup_steps": "warmup",
    "wd": "weight_decay",
    "decay": "weight_decay",
    "alpha": "weight_decay",
    "clip_grad": "global_clipnorm",
    "clip": "global_clipnorm",
    "clip_value": "clipvalue",
    "ema_decay": "ema",
    "use_ema": "ema",
    "ema_momentum": "ema",
    "model_ema": "ema",
    "max_grad_norm": "global_clipnorm",
    "batch": "batch_size",
    "bs": "batch_size",
    "num_epochs": "epochs",
    "n_epochs": "epochs",
    "max_iter": "epochs",
    "smoothing": "label_smoothing",
    "criterion": "loss",
    "augmentation": "augment",
    "aug": "augment",
    "vocab_size": "vocabulary_size",
    "max_tokens": "vocabulary_size",
    "input_dim": "vocabulary_size",
    "num_words": "vocabulary_size",
    "max_features": "vocabulary_size",
    "ngram_range": "ngrams",
    "n_grams": "ngrams",
    "maxlen": "input_shape",
    "max_length": "input_shape",
    "sequence_length": "input_shape",
    "window": "input_shape",
    "window_size": "input_shape",
    "lookback": "input_shape",
    "seq_len": "input_shape",
    "img_size": "input_shape",
    "image_size": "input_shape",
    "in_chans": "input_shape",
    "shape": "input_shape",
    "hidden_units": "units",
    "hidden_sizes": "units",
    "hidden_layer_sizes": "units",
    "hidden_size": "units",
    "layers": "depth",
    "num_layers": "depth",
    "n_layers": "depth",
    "num_blocks": "depth",
    "blocks": "depth",
    "drop_rate": "dropout",
    "dropout_rate": "dropout",
    "rate": "dropout",
    "p": "dropout",
    "embed_dim": "embedding_dim",
    "embedding_size": "embedding_dim",
    "d_model": "width",
    "hidden_dim": "width",
    "heads": "num_heads",
    "nhead": "num_heads",
    "n_heads": "num_heads",
    "ff_dim": "intermediate_dim",
    "mlp_dim": "intermediate_dim",
    "dim_feedforward": "intermediate_dim",
    "act": "activation",
    "act_layer": "activation",
    "channels": "filters",
    "kernel": "kernel_size",
    "global_pool": "pooling",
    "pred_len": "horizon",
    "output_sequence_length": "horizon",
    "prediction_length": "horizon",
    "steps_ahead": "horizon",
}
