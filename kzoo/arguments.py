"""Every name that can be set, once: what it means and which values are legal. Standard library only.

A preset's `config` and `training` draw their names from here, `build` and `train` check overrides against
it before Keras is imported, and `kzoo show` prints it. A family of yours may add names of its own; those
are checked by its builder alone.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

from kzoo.errors import KzooError


@dataclass(frozen=True, kw_only=True)
class Argument:
    """A settable name.

    Args:
        meaning: one plain line.
        kind: type or types of one value.
        low, high: inclusive bounds; `below` is an exclusive upper bound, `above` an exclusive lower one.
        choices: legal values, where there is a list of them.
        none: whether None is legal.
        many: whether a sequence is legal: False, True (only a sequence) or "or one".
    """

    meaning: str
    kind: type | tuple = object
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple = ()
    none: bool = False
    many: bool | str = False

    def check(self, name, value):
        """Return `value` (sequences as tuples), or raise `KzooError` with the rule it breaks."""
        if value is None and self.none:
            return None
        if isinstance(value, list | tuple) and self.many:
            return tuple(self._check_one(name, v) for v in value)
        if self.many is True and not isinstance(value, list | tuple):
            return (self._check_one(name, value),)
        return self._check_one(name, value)

    def _check_one(self, name, value):
        kinds = self.kind if isinstance(self.kind, tuple) else (self.kind,)
        if float in kinds and isinstance(value, int) and not isinstance(value, bool):
            value = float(value) if int not in kinds else value
        wrong_bool = isinstance(value, bool) and bool not in kinds and object not in kinds
        if wrong_bool or not isinstance(value, kinds) or (value is None and object not in kinds):
            raise KzooError(f"{name}={value!r} has the wrong type: it must be {self.legal()}.")
        if self.choices and value not in self.choices:
            raise KzooError(f"{name}={value!r} is not one of its values: {self.legal()}.")
        if isinstance(value, int | float) and not isinstance(value, bool) and not self._inside(value):
            raise KzooError(f"{name}={value!r} is out of range: it must be {self.legal()}.")
        return value

    def _inside(self, value):
        return (
            value == value  # NaN is nowhere
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def legal(self):
        """Say in words which values are legal."""
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
                if bound is not None
            ]
            text += " " + " and ".join(bounds) if bounds else ""
        if self.many:
            text += ", or several with commas" if self.many == "or one" else ", one or several with commas"
        return text + (", or none" if self.none else "")


_A = Argument
_RATE = dict(kind=float, low=0, below=1)
_COUNT = dict(kind=int, low=1)
_FLAG = dict(kind=bool)
_NUMBERS = dict(kind=float, none=True, many=True)

ACTIVATIONS = (
    "relu", "gelu", "elu", "leaky_relu", "sigmoid", "tanh", "silu", "selu", "relu6", "mish", "softplus", "softsign",
    "hard_sigmoid", "hard_silu", "celu", "exponential", "linear", "softmax", "log_softmax",
)  # fmt: skip
OPTIMIZERS = ("adam", "adamw", "sgd", "momentum", "rmsprop", "nadam", "adagrad", "lion")
SCHEDULES = ("constant", "cosine", "onecycle", "linear", "exponential", "step", "plateau")
LOSSES = ("auto", "crossentropy", "focal", "hinge", "kl", "mse", "mae", "huber")
METRICS = ("accuracy", "auc", "top5", "mae", "rmse")
AUGMENTATIONS = ("flip", "shift", "rotate", "zoom", "erase", "mixup", "cutmix")


def _bundles():
    """Return the callback bundles, the functions of `kzoo.callbacks` that take a `run_dir`, without importing Keras."""
    source = Path(__file__).with_name("callbacks").joinpath("__init__.py").read_text(encoding="utf-8")
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return tuple(f.name for f in functions if f.args.args and f.args.args[0].arg == "run_dir")


BUNDLES = _bundles()

CONFIG = {
    "inputs": _A(meaning="what goes in", kind=str, choices=("rows", "image", "tokens", "series")),
    "input_shape": _A(meaning="shape of one example, without the batch", many=True, **_COUNT),
    "outputs": _A(meaning="classes, target columns or words; follows the data in train", **_COUNT),
    "horizon": _A(meaning="steps to forecast; none: one answer for the whole series", none=True, **_COUNT),
    "units": _A(meaning="width of each dense or recurrent layer", many=True, **_COUNT),
    "units_norm": _A(meaning="normalisation in the dense layers", kind=str, choices=("batch", "layer"), none=True),
    "units_dropout": _A(meaning="dropout in the dense layers or before the head", **_RATE),
    "dense_units": _A(meaning="width of each dense layer before the head", many=True, **_COUNT),
    "dense_dropout": _A(meaning="dropout after each dense layer", **_RATE),
    "activation": _A(meaning="activation between layers", kind=str, choices=ACTIVATIONS),
    "output_activation": _A(
        meaning="activation of the answer; none: logits, or plain values",
        kind=str,
        choices=ACTIVATIONS,
        none=True,
    ),
    "dropout": _A(meaning="share of units dropped while training, one or one per layer", many="or one", **_RATE),
    "recurrent_dropout": _A(meaning="dropout on the recurrent state", **_RATE),
    "embedding_dropout": _A(meaning="dropout on the embeddings", **_RATE),
    "norm": _A(meaning="normalisation", kind=str, choices=("batch", "layer"), none=True),
    "layer_norm": _A(meaning="layer normalisation after each recurrent layer", **_FLAG),
    "norm_position": _A(meaning="normalise before or after each sub-layer", kind=str, choices=("pre", "post")),
    "l1": _A(meaning="L1 penalty on dense kernels", kind=float, low=0),
    "l2": _A(meaning="L2 penalty on dense kernels", kind=float, low=0),
    "residual": _A(meaning="residual blocks", **_FLAG),
    "rescale": _A(meaning="scaling inside the model; false if you divide by 255 or standardise yourself", **_FLAG),
    "scale": _A(meaning="per numeric feature: 1 / standard deviation of the training split", **_NUMBERS),
    "offset": _A(meaning="per numeric feature: -mean / standard deviation of the training split", **_NUMBERS),
    "target_scale": _A(meaning="per target: standard deviation of the training split", **_NUMBERS),
    "target_offset": _A(meaning="per target: mean of the training split", **_NUMBERS),
    "categories": _A(meaning="number of categories of each of the last columns", many=True, **_COUNT),
    "block": _A(meaning="kind of stage", kind=str, choices=("plain", "residual", "separable", "parallel", "dilated")),
    "filters": _A(meaning="filters of each stage", many=True, **_COUNT),
    "depth": _A(meaning="layers or blocks in each stage", **_COUNT),
    "kernel_size": _A(meaning="width of the convolutions", many="or one", **_COUNT),
    "padding": _A(meaning="padding of the convolutions", kind=str, choices=("same", "valid")),
    "pool_size": _A(meaning="pooling after each stage; 1 for none", many="or one", **_COUNT),
    "pooling": _A(
        meaning="how positions become one vector; none: an answer per step",
        kind=str,
        choices=("flatten", "mean", "max", "last", "cls"),
        none=True,
    ),
    "vocabulary_size": _A(meaning="token ids, padding (0) and unknown (1) included", kind=int, low=2),
    "embedding_dim": _A(meaning="width of the token embeddings", **_COUNT),
    "bidirectional": _A(meaning="read in both directions", **_FLAG),
    "reversible_norm": _A(meaning="normalise each window, undone in the forecast", **_FLAG),
    "stateful": _A(meaning="keep the state between batches, to generate step by step", **_FLAG),
    "stateful_batch": _A(meaning="batch size of a stateful model", **_COUNT),
    "width": _A(meaning="width of the Transformer; num_heads must divide it", **_COUNT),
    "num_heads": _A(meaning="attention heads", **_COUNT),
    "intermediate_dim": _A(meaning="width of the feed-forward sub-layer", **_COUNT),
    "positions": _A(meaning="position encoding", kind=str, choices=("learned", "sinusoidal"), none=True),
    "causal": _A(meaning="each step sees only what came before", **_FLAG),
    "patch_size": _A(meaning="side of an image patch, or steps in a series patch", **_COUNT),
    "patch_stride": _A(meaning="steps between series patches; none: patch_size", **_COUNT, none=True),
}

TRAINING = {
    "optimizer": _A(meaning="optimizer", kind=str, choices=OPTIMIZERS),
    "learning_rate": _A(meaning="peak learning rate", kind=float, above=0),
    "schedule": _A(meaning="course of the learning rate", kind=str, choices=SCHEDULES),
    "warmup": _A(meaning="share of the steps in which the learning rate rises", **_RATE),
    "weight_decay": _A(meaning="decoupled weight decay; biases and norms are left out", kind=float, low=0),
    "global_clipnorm": _A(meaning="largest norm of all gradients together", kind=float, above=0, none=True),
    "clipnorm": _A(meaning="largest norm of the gradient of each weight, in its place", kind=float, above=0, none=True),
    "clipvalue": _A(meaning="largest entry of any gradient, in its place", kind=float, above=0, none=True),
    "ema": _A(meaning="momentum of averaged weights, which are validated and saved; 0 for none", **_RATE),
    "on_nan": _A(meaning="when the loss or a weight is not finite", kind=str, choices=("stop", "rollback")),
    "batch_size": _A(meaning="examples in a step", **_COUNT),
    "epochs": _A(meaning="passes over the training split", **_COUNT),
    "loss": _A(meaning="loss; auto follows the head", kind=str, choices=LOSSES),
    "label_smoothing": _A(meaning="share of the label spread over all classes", **_RATE),
    "labels": _A(meaning="how you pass labels to fit", kind=str, choices=("integer", "onehot")),
    "class_weight": _A(meaning="weigh classes by how rare they are", kind=str, choices=("balanced",), none=True),
    "metrics": _A(meaning="reported each epoch", kind=str, choices=METRICS, many=True),
    "monitor": _A(
        meaning="what decides which epoch is best; none: val_loss, or loss without validation data",
        kind=str,
        none=True,
    ),
    "mode": _A(
        meaning="which values are better, for a metric kzoo does not know",
        kind=str,
        choices=("max", "min"),
        none=True,
    ),
    "patience": _A(meaning="epochs without improvement before training stops", **_COUNT),
    "callbacks": _A(meaning="callback bundle", kind=str, choices=BUNDLES),
    "augment": _A(meaning="augmentation of training images", kind=str, choices=AUGMENTATIONS, many=True),
    "tokenizer": _A(meaning="what a token is", kind=str, choices=("words", "characters")),
}

# What a preset need not list: every one takes these, and the resolved contract always has them.
COMMON = dict(global_clipnorm=None, clipnorm=None, clipvalue=None, ema=0.0, on_nan="stop")
CLIPPING = ("global_clipnorm", "clipnorm", "clipvalue")  # one of them

ARGUMENTS = CONFIG | TRAINING

# What other libraries call the same thing; used for hints only.
SYNONYMS = {
    "classes": "outputs", "num_classes": "outputs", "n_classes": "outputs", "output_dim": "outputs",
    "lr": "learning_rate", "eta0": "learning_rate", "learning_rate_init": "learning_rate",
    "opt": "optimizer", "solver": "optimizer", "sched": "schedule", "scheduler": "schedule",
    "lr_schedule": "schedule", "lr_scheduler": "schedule", "warmup_ratio": "warmup", "warmup_steps": "warmup",
    "wd": "weight_decay", "decay": "weight_decay", "alpha": "weight_decay",
    "clip_grad": "global_clipnorm", "clip": "global_clipnorm", "clip_value": "clipvalue", "ema_decay": "ema",
    "use_ema": "ema", "ema_momentum": "ema", "model_ema": "ema",
    "max_grad_norm": "global_clipnorm",
    "batch": "batch_size", "bs": "batch_size", "num_epochs": "epochs", "n_epochs": "epochs", "max_iter": "epochs",
    "smoothing": "label_smoothing", "criterion": "loss", "augmentation": "augment", "aug": "augment",
    "vocab_size": "vocabulary_size", "max_tokens": "vocabulary_size", "input_dim": "vocabulary_size",
    "num_words": "vocabulary_size", "max_features": "vocabulary_size",
    "maxlen": "input_shape", "max_length": "input_shape", "sequence_length": "input_shape",
    "img_size": "input_shape", "image_size": "input_shape", "in_chans": "input_shape", "shape": "input_shape",
    "hidden_units": "units", "hidden_sizes": "units", "hidden_layer_sizes": "units", "hidden_size": "units",
    "layers": "depth", "num_layers": "depth", "n_layers": "depth", "num_blocks": "depth", "blocks": "depth",
    "drop_rate": "dropout", "dropout_rate": "dropout", "rate": "dropout", "p": "dropout",
    "embed_dim": "embedding_dim", "embedding_size": "embedding_dim", "d_model": "width", "hidden_dim": "width",
    "heads": "num_heads", "nhead": "num_heads", "n_heads": "num_heads",
    "ff_dim": "intermediate_dim", "mlp_dim": "intermediate_dim", "dim_feedforward": "intermediate_dim",
    "act": "activation", "act_layer": "activation", "channels": "filters", "kernel": "kernel_size",
    "global_pool": "pooling", "pred_len": "horizon", "output_sequence_length": "horizon",
}  # fmt: skip
