"""Hyperparameters of the network: entries for any family that has the settings."""

from collections.abc import Callable, Container

from kzoo.problems.kinds import kind
from kzoo.problems.layout import code_columns
from kzoo.problems.stored_types import Config
from kzoo.problems.tasks import problem
from kzoo.tuning.spaces.entry import (
    Apply,
    Declare,
    Declared,
    Entry,
    Parameter,
    Settings,
    SpaceContext,
    Value,
    choice,
    dropout_rate,
    multiplier,
    recurrent_sizes,
    resize,
    scale_widths,
    set_dropout_rate,
)

ACTIVATIONS = ("relu", "gelu", "silu")
MORE_ACTIVATIONS = ("elu", "selu", "tanh")


def _scaler(setting: str, minimum: int = 1) -> Apply:
    def apply(settings: Settings, value: float) -> None:
        settings[setting] = scale_widths(settings[setting], value, minimum)

    return apply


def _layers(context: SpaceContext) -> Parameter | None:
    count = len(context.settings["units"])
    if not count:
        return None
    return Parameter(
        name="layers",
        meaning="hidden or recurrent layers",
        low=1,
        high=max(3, count + 1),
        whole=True,
        default=count,
    )


def _set_layers(settings: Settings, count: int) -> None:
    settings["units"] = resize(settings["units"], count)
    if "dropout" in settings:
        settings["dropout"] = resize(settings["dropout"], count)


def _if_hidden(declare: Declare) -> Declare:
    """Return a `declare` for a setting of hidden layers: None if the network has none."""

    def declare_if_hidden(context: SpaceContext) -> Declared:
        hidden = any(context.settings.get(name) for name in ("units", "filters", "width"))
        return declare(context) if hidden else None

    return declare_if_hidden


def _residual(context: SpaceContext) -> Parameter | None:
    units = context.settings["units"]
    if not units or "block" in context.settings or context.settings.get("members"):
        return None
    default = "true" if context.settings["residual"] else "false"
    return Parameter(
        name="residual",
        meaning="residual blocks of one width",
        values=("false", "true"),
        default=default,
    )


def _set_residual(settings: Settings, value: str) -> None:
    settings["residual"] = value == "true"
    if settings["residual"]:
        settings["units"] = (settings["units"][0],) * len(settings["units"])


def _units_shape(context: SpaceContext) -> Parameter | None:
    residual_searched = "residual" in context.earlier
    if len(context.settings["units"]) < 2 or (
        context.settings.get("residual") and not residual_searched
    ):
        return None  # residual blocks share one width
    return Parameter(
        name="units_shape",
        meaning="all as wide as the first, or each half of the previous one",
        values=("preset", "constant", "funnel"),
        default="preset",
        when=("residual", ("false",)) if residual_searched else None,
    )


def _set_units_shape(settings: Settings, value: str) -> None:
    first = settings["units"][0]
    count = len(settings["units"])
    settings["units"] = tuple(
        max(1, first >> i) if value == "funnel" else first for i in range(count)
    )


def _choice_if_set(
    name: str, meaning: str, *values: Value
) -> Callable[[SpaceContext], Parameter | None]:
    """Return a `declare` for a number that some presets set to None or 0, which disables it."""

    def declare(context: SpaceContext) -> Parameter | None:
        return choice(name, meaning, *values)(context) if context.settings[name] else None

    return declare


def _bins(context: SpaceContext) -> Parameter | None:
    settings = context.settings
    if code_columns(settings) == settings["input_shape"][-1]:
        return None  # a table without numbers
    return _choice_if_set("bins", "bins of every numeric column", 12, 24, 48)(context)


def _text_dim(context: SpaceContext) -> Parameter | None:
    if not context.settings.get("text_buckets"):
        return None  # a table without texts
    return choice("text_dim", "width of the vector of a text column", 8, 16, 32, 64)(context)


def _stages(context: SpaceContext) -> Parameter | None:
    settings = context.settings
    if settings.get("block") == "parallel" or not settings["filters"]:
        return None
    count = len(settings["filters"])
    reach = context.by_size(1, 1, 2)
    high = count
    while high < count + reach and image_remains(settings, high + 1):
        high += 1
    return Parameter(
        name="stages",
        meaning="stages of convolutions",
        low=max(1, count - reach),
        high=high,
        whole=True,
        default=count,
    )


def _set_stages(settings: Settings, count: int) -> None:
    settings["filters"] = resize(settings["filters"], count, grow=True)
    for name in ("depth", "dropout", "pool_size"):
        if name in settings:
            settings[name] = resize(settings[name], count)


def image_remains(settings: Config, count: int) -> bool:
    """Return True if an image still has pixels after `count` stages; those with "valid" padding shrink it too."""
    not_image = "inputs" in settings and not _reads_images(settings)
    block = settings.get("block", "plain")
    if not_image or block not in ("plain", "pooled"):
        return True
    if block == "pooled":
        return (
            min(settings["input_shape"][:2]) - max(settings.get("whitening", 0) - 1, 0)
        ) >> count > 0
    pools, depths = (
        resize(settings.get(name, default), count)
        for name, default in (("pool_size", 2), ("depth", 1))
    )
    side = min(settings["input_shape"][:2])
    kernel = settings.get("kernel_size", 3)
    for i in range(count):
        if settings.get("padding", "same") == "valid":
            side -= (depths[i] if isinstance(depths, tuple) else depths) * (kernel - 1)
        side //= pools[i] if isinstance(pools, tuple) else pools
        if side < 1:
            return False
    return True


def _depth(context: SpaceContext) -> Parameter | None:
    default = context.settings["depth"]
    if not isinstance(default, int):
        return None
    meaning = (
        "convolutions or blocks in a stage" if "filters" in context.settings else "encoder blocks"
    )
    return Parameter(
        name="depth", meaning=meaning, low=1, high=max(3, default + 1), whole=True, default=default
    )


def _kernel_size(context: SpaceContext) -> Parameter:
    default = context.settings["kernel_size"]
    if not isinstance(default, tuple):
        return choice("kernel_size", "width of the convolutions", 3, 5, full=(7,))(context)
    shorter = ("shorter",) if min(default) > 1 else ()
    return Parameter(
        name="kernel_size",
        meaning="windows of the convolutions, a token less or two more",
        values=(*shorter, "preset", "longer"),
        default="preset",
    )


def _set_kernel_size(settings: Settings, value: str | int) -> None:
    current = settings["kernel_size"]
    if isinstance(current, tuple):
        settings["kernel_size"] = tuple(size + (2 if value == "longer" else -1) for size in current)
    else:
        settings["kernel_size"] = value


def _block(context: SpaceContext) -> Parameter | None:
    settings = context.settings
    if not _reads_images(settings):
        return None
    # residual blocks require this
    growing = list(settings["filters"]) == sorted(settings["filters"])
    blocks = dict.fromkeys(("plain", "residual", "separable", settings["block"]))
    choices = [block for block in blocks if block != "residual" or growing]
    return Parameter(
        name="block", meaning="kind of stage", values=tuple(choices), default=settings["block"]
    )


def _reads_images(settings: Config) -> bool:
    return "inputs" in settings and "pixels" in kind(settings["inputs"]).facts


def _poolings(settings: Config) -> tuple[str, ...]:
    """Return the legal poolings by kind of layer; the preset's is added."""
    forecasts = kind(settings["inputs"]).is_series
    if "filters" in settings:
        return ("last", "mean") if forecasts else ("mean", "max")
    if "num_heads" in settings:
        return ("mean",) if forecasts else ("mean", "cls")
    return "last", "mean", "max"


def _pooling(context: SpaceContext) -> Parameter | None:
    settings = context.settings
    if settings["pooling"] is None or settings.get("causal") or settings.get("stateful"):
        return None
    values = _poolings(settings) if "inputs" in settings else ()
    return choice("pooling", "how positions become one vector", *values)(context)


def _bidirectional(context: SpaceContext) -> Parameter | None:
    if problem(context.task).continues_inputs or context.settings.get("stateful"):
        return None  # a language model must not read later tokens
    return choice("bidirectional", "read in both directions", False, True)(context)


def _reversible_norm(context: SpaceContext) -> Parameter | None:
    if not context.settings.get("horizon"):
        return None
    return choice(
        "reversible_norm",
        "statistic subtracted from every window and added back",
        "last",
        True,
        False,
    )(context)


def _set_width(settings: Settings, value: float) -> None:
    """Scale the width of a Transformer and of its feed-forward layers."""
    settings["width"] = scale_widths(settings["width"], value)
    if "intermediate_dim" in settings:
        settings["intermediate_dim"] = scale_widths(settings["intermediate_dim"], value)


def _num_heads(context: SpaceContext) -> Parameter:
    width = context.settings.get("width", 0)
    default = context.settings["num_heads"]
    # rotary positions rotate pairs of numbers
    pair = 2 if context.settings.get("positions") == "rotary" else 1
    values = sorted(
        {
            default,
            *(
                heads
                for heads in (1, 2, 4, 8)
                if width % (heads * pair) == 0 and width // heads >= 4
            ),
        }
    )
    return Parameter(
        name="num_heads", meaning="attention heads", values=tuple(values), default=default
    )


def _positions(context: SpaceContext) -> Parameter | None:
    if context.settings["positions"] is None:
        return None
    return choice("positions", "position encoding", "learned", "sinusoidal")(context)


ENTRIES = {
    "units_scale": Entry(
        sizes=recurrent_sizes("quick") | dict(fnn="quick", cnn="full", other="quick"),
        declare=multiplier(
            "units_scale", "units", "times the preset's widths of dense or recurrent layers"
        ),
        sets=("units",),
        apply=_scaler("units"),
    ),
    "layers": Entry(
        sizes=recurrent_sizes("quick") | dict(fnn="quick", other="standard"),
        declare=_layers,
        sets=("units",),
        apply=_set_layers,
    ),
    "residual": Entry(
        sizes=dict(fnn="full"), declare=_residual, sets=("residual", "units"), apply=_set_residual
    ),
    "units_shape": Entry(
        sizes=dict(fnn="full"), declare=_units_shape, sets=("units",), apply=_set_units_shape
    ),
    "members": Entry(
        sizes=dict(fnn="standard"),
        declare=_choice_if_set("members", "networks that share their weights", 8, 16, 32),
        sets=("members",),
    ),
    "bins": Entry(sizes=dict(fnn="standard"), declare=_bins, sets=("bins",)),
    "text_dim": Entry(sizes=dict(fnn="standard"), declare=_text_dim, sets=("text_dim",)),
    "filters_scale": Entry(
        sizes=dict(cnn="quick", other="quick"),
        declare=multiplier("filters_scale", "filters", "times the preset's filters"),
        sets=("filters",),
        apply=_scaler("filters"),
    ),
    "stages": Entry(
        sizes=dict(cnn="standard"), declare=_stages, sets=("filters",), apply=_set_stages
    ),
    "depth": Entry(
        sizes=dict(cnn="standard", transformer="quick", other="standard"),
        declare=_depth,
        sets=("depth",),
    ),
    "kernel_size": Entry(
        sizes=dict(cnn="standard", other="standard"),
        declare=_kernel_size,
        sets=("kernel_size",),
        apply=_set_kernel_size,
    ),
    "block": Entry(sizes=dict(cnn="full"), declare=_block, sets=("block",)),
    "embedding_scale": Entry(
        sizes=recurrent_sizes("quick") | dict(cnn="quick", other="standard"),
        declare=multiplier(
            "embedding_scale", "embedding_dim", "times the preset's embedding width"
        ),
        sets=("embedding_dim",),
        apply=_scaler("embedding_dim"),
    ),
    "width_scale": Entry(
        sizes=dict(transformer="quick", other="quick"),
        declare=multiplier(
            "width_scale", "width", "times the preset's width, feed-forward layers too"
        ),
        sets=("width", "intermediate_dim"),
        apply=_set_width,
    ),
    "feedforward_scale": Entry(
        sizes=dict(transformer="standard"),
        declare=multiplier(
            "feedforward_scale", "intermediate_dim", "times the feed-forward layers once more"
        ),
        sets=("intermediate_dim",),
        apply=_scaler("intermediate_dim"),
    ),
    "dense_scale": Entry(
        sizes=recurrent_sizes("full") | dict(transformer="full", other="full"),
        declare=multiplier(
            "dense_scale", "dense_units", "times the widths of the dense layers before the head"
        ),
        sets=("dense_units",),
        apply=_scaler("dense_units"),
    ),
    "num_heads": Entry(sizes=dict(transformer="standard"), declare=_num_heads, sets=("num_heads",)),
    "dropout": Entry(
        sizes="quick",
        declare=_if_hidden(dropout_rate("dropout", "dropout; the largest, where layers differ")),
        sets=("dropout",),
        apply=set_dropout_rate("dropout"),
    ),
    "units_dropout": Entry(
        sizes=dict(cnn="quick", other="full"),
        declare=dropout_rate("units_dropout", "dropout in dense layers or before the head"),
        sets=("units_dropout",),
    ),
    "dense_dropout": Entry(
        sizes=recurrent_sizes("full") | dict(transformer="full", other="full"),
        declare=dropout_rate("dense_dropout", "dropout before the head"),
        sets=("dense_dropout",),
    ),
    "embedding_dropout": Entry(
        sizes=recurrent_sizes("full") | dict(fnn="quick", cnn="standard", other="full"),
        declare=dropout_rate("embedding_dropout", "dropout on embeddings"),
        sets=("embedding_dropout",),
    ),
    "activation": Entry(
        sizes=dict(fnn="standard", cnn="standard", transformer="standard", other="standard"),
        declare=_if_hidden(
            choice("activation", "activation between layers", *ACTIVATIONS, full=MORE_ACTIVATIONS)
        ),
        sets=("activation",),
    ),
    "norm": Entry(
        sizes=dict(fnn="standard", cnn="standard", other="standard"),
        declare=_if_hidden(choice("norm", "normalisation", None, "batch", "layer")),
        sets=("norm",),
    ),
    "units_norm": Entry(
        sizes=dict(cnn="full"),
        declare=choice("units_norm", "normalisation in dense layers", None, "batch", "layer"),
        sets=("units_norm",),
    ),
    "layer_norm": Entry(
        sizes=recurrent_sizes("standard"),
        declare=choice("layer_norm", "layer norm after each recurrent layer", False, True),
        sets=("layer_norm",),
    ),
    "norm_position": Entry(
        sizes=dict(transformer="standard"),
        declare=choice("norm_position", "norm before or after each sub-layer", "pre", "post"),
        sets=("norm_position",),
    ),
    "l2": Entry(
        sizes=dict(fnn="standard", other="full"),
        declare=_if_hidden(choice("l2", "L2 penalty on dense kernels", 0.0, 1e-4, 1e-3, 1e-2)),
        sets=("l2",),
    ),
    "pooling": Entry(
        sizes=recurrent_sizes("standard") | dict(cnn="full", transformer="standard"),
        declare=_pooling,
        sets=("pooling",),
    ),
    "reversible_norm": Entry(
        sizes=recurrent_sizes("full")
        | dict(linear="standard", cnn="full", transformer="full", other="full"),
        declare=_reversible_norm,
        sets=("reversible_norm",),
    ),
    "bidirectional": Entry(
        sizes=recurrent_sizes("standard"), declare=_bidirectional, sets=("bidirectional",)
    ),
    "positions": Entry(sizes=dict(transformer="full"), declare=_positions, sets=("positions",)),
}


def make_consistent(settings: Settings, fixed: Container[str] = ()) -> None:
    """Change settings that depend on several entries so that the network can be built.

    Args:
        settings: of a whole point; changed in place.
        fixed: names that are not changed.
    """
    if "filters" in settings and "filters" not in fixed:
        while len(settings["filters"]) > 1 and not image_remains(
            settings, len(settings["filters"])
        ):
            _set_stages(settings, len(settings["filters"]) - 1)
    if "width" in settings and "width" not in fixed:
        divisor = settings.get("num_heads", 1) * (
            2 if settings.get("positions") in ("sinusoidal", "rotary") else 1
        )
        settings["width"] = max(1, round(settings["width"] / divisor)) * divisor


def changes_layers(name: str) -> bool:
    """Return True if a hyperparameter changes the layers, so that trained weights do not fit."""
    return name in ENTRIES and not (name.endswith("dropout") or name == "l2")
