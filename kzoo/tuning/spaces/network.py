"""What can be tuned in a network: an entry per hyperparameter, for any family that has its settings."""

from kzoo.kinds import kind
from kzoo.tasks import problem
from kzoo.tuning.spaces.entry import Entry, Parameter, choice, rate, recurrent, resized, scale, scaled, set_rate

ACTIVATIONS = ("relu", "gelu", "silu")
MORE_ACTIVATIONS = ("elu", "selu", "tanh")


def _scaler(setting, least=1):
    def apply(settings, value):
        settings[setting] = scaled(settings[setting], value, least)

    return apply


def _layers(scene):
    count = len(scene.settings["units"])
    if not count:
        return None
    return Parameter(
        name="layers", meaning="hidden or recurrent layers", low=1, high=max(3, count + 1), whole=True, default=count
    )


def _set_layers(settings, count):
    settings["units"] = resized(settings["units"], count)
    if "dropout" in settings:
        settings["dropout"] = resized(settings["dropout"], count)


def _of_layers(declare):
    """Return a `declare` for what happens in hidden layers: nothing where a network has none."""

    def declare_there(scene):
        hidden = any(scene.settings.get(name) for name in ("units", "filters", "width"))
        return declare(scene) if hidden else None

    return declare_there


def _residual(scene):
    units = scene.settings["units"]
    if not units or "block" in scene.settings or scene.settings.get("members"):
        return None
    own = "true" if scene.settings["residual"] else "false"
    return Parameter(name="residual", meaning="residual blocks of one width", values=("false", "true"), default=own)


def _set_residual(settings, value):
    settings["residual"] = value == "true"
    if settings["residual"]:
        settings["units"] = (settings["units"][0],) * len(settings["units"])


def _units_shape(scene):
    tuned = "residual" in scene.before
    if len(scene.settings["units"]) < 2 or (scene.settings.get("residual") and not tuned):
        return None  # residual blocks share one width
    return Parameter(
        name="units_shape",
        meaning="all as wide as the first, or each half of the one before",
        values=("preset", "constant", "funnel"),
        default="preset",
        when=("residual", ("false",)) if tuned else None,
    )


def _set_units_shape(settings, value):
    first, count = settings["units"][0], len(settings["units"])
    settings["units"] = tuple(max(1, first >> i) if value == "funnel" else first for i in range(count))


def _where_it_has(name, meaning, *values):
    """Return a `declare` for a number that a preset either has or does without."""

    def declare(scene):
        return choice(name, meaning, *values)(scene) if scene.settings[name] else None

    return declare


def _bins(scene):
    settings = scene.settings
    if len(settings.get("categories", ())) == settings["input_shape"][-1]:
        return None  # a table without numbers
    return _where_it_has("bins", "bins of every numeric column", 12, 24, 48)(scene)


def _stages(scene):
    s = scene.settings
    if s.get("block") == "parallel" or not s["filters"]:
        return None
    count, reach = len(s["filters"]), scene.by_size(1, 1, 2)
    high = count
    while high < count + reach and images_last(s, high + 1):
        high += 1
    return Parameter(
        name="stages", meaning="stages of convolutions", low=max(1, count - reach), high=high, whole=True, default=count
    )


def _set_stages(settings, count):
    settings["filters"] = resized(settings["filters"], count, grow=True)
    for name in ("depth", "dropout", "pool_size"):
        if name in settings:
            settings[name] = resized(settings[name], count)


def images_last(settings, count) -> bool:
    """Say whether an image is still there after `count` stages that pool; plain ones also shrink without padding."""
    other = "inputs" in settings and not _sees_pixels(settings)
    block = settings.get("block", "plain")
    if other or block not in ("plain", "pooled"):
        return True
    if block == "pooled":
        return (min(settings["input_shape"][:2]) - max(settings.get("whitening", 0) - 1, 0)) >> count > 0
    pools, depths = (resized(settings.get(name, least), count) for name, least in (("pool_size", 2), ("depth", 1)))
    side, kernel = min(settings["input_shape"][:2]), settings.get("kernel_size", 3)
    for i in range(count):
        if settings.get("padding", "same") == "valid":
            side -= (depths[i] if isinstance(depths, tuple) else depths) * (kernel - 1)
        side //= pools[i] if isinstance(pools, tuple) else pools
        if side < 1:
            return False
    return True


def _depth(scene):
    own = scene.settings["depth"]
    if not isinstance(own, int):
        return None
    what = "convolutions or blocks in a stage" if "filters" in scene.settings else "encoder blocks"
    return Parameter(name="depth", meaning=what, low=1, high=max(3, own + 1), whole=True, default=own)


def _kernel_size(scene):
    own = scene.settings["kernel_size"]
    if not isinstance(own, tuple):
        return choice("kernel_size", "width of the convolutions", 3, 5, full=(7,))(scene)
    shorter = ("shorter",) if min(own) > 1 else ()
    return Parameter(
        name="kernel_size",
        meaning="windows of the convolutions, a token less or two more",
        values=(*shorter, "preset", "longer"),
        default="preset",
    )


def _set_kernel_size(settings, value):
    own = settings["kernel_size"]
    if isinstance(own, tuple):
        settings["kernel_size"] = tuple(k + (2 if value == "longer" else -1) for k in own)
    else:
        settings["kernel_size"] = value


def _block(scene):
    s = scene.settings
    if not _sees_pixels(s):
        return None
    growing = list(s["filters"]) == sorted(s["filters"])  # what residual blocks need
    known = dict.fromkeys(("plain", "residual", "separable", s["block"]))
    kinds = [k for k in known if k != "residual" or growing]
    return Parameter(name="block", meaning="kind of stage", values=tuple(kinds), default=s["block"])


def _sees_pixels(settings):
    return "inputs" in settings and "pixels" in kind(settings["inputs"]).facts


def _poolings(settings):
    """Return how positions may become one vector, by what reads them; the preset's own comes on top."""
    forecasts = kind(settings["inputs"]).facts >= {"columns", "steps"}
    if "filters" in settings:
        return ("last", "mean") if forecasts else ("mean", "max")
    if "num_heads" in settings:
        return ("mean",) if forecasts else ("mean", "cls")
    return "last", "mean", "max"


def _pooling(scene):
    s = scene.settings
    if s["pooling"] is None or s.get("causal") or s.get("stateful"):
        return None
    values = _poolings(s) if "inputs" in s else ()
    return choice("pooling", "how positions become one vector", *values)(scene)


def _bidirectional(scene):
    if "continues" in problem(scene.task).facts or scene.settings.get("stateful"):
        return None  # a language model must not read what comes next
    return choice("bidirectional", "read in both directions", False, True)(scene)


def _reversible_norm(scene):
    if not scene.settings.get("horizon"):
        return None
    return choice("reversible_norm", "what is taken off every window and put back", "last", True, False)(scene)


def _set_width(settings, value):
    """Scale the width of a Transformer, and its feed-forward layers with it."""
    settings["width"] = scaled(settings["width"], value)
    if "intermediate_dim" in settings:
        settings["intermediate_dim"] = scaled(settings["intermediate_dim"], value)


def _num_heads(scene):
    width, own = scene.settings.get("width", 0), scene.settings["num_heads"]
    pair = 2 if scene.settings.get("positions") == "rotary" else 1  # numbers that a head turns together
    values = sorted({own, *(n for n in (1, 2, 4, 8) if width % (n * pair) == 0 and width // n >= 4)})
    return Parameter(name="num_heads", meaning="attention heads", values=tuple(values), default=own)


def _positions(scene):
    if scene.settings["positions"] is None:
        return None
    return choice("positions", "position encoding", "learned", "sinusoidal")(scene)


ENTRIES = {
    "units_scale": Entry(
        sizes=recurrent("quick") | dict(fnn="quick", cnn="full", other="quick"),
        declare=scale("units_scale", "units", "times the preset's widths of dense or recurrent layers"),
        sets=("units",),
        apply=_scaler("units"),
    ),
    "layers": Entry(
        sizes=recurrent("quick") | dict(fnn="quick", other="standard"),
        declare=_layers,
        sets=("units",),
        apply=_set_layers,
    ),
    "residual": Entry(sizes=dict(fnn="full"), declare=_residual, sets=("residual", "units"), apply=_set_residual),
    "units_shape": Entry(sizes=dict(fnn="full"), declare=_units_shape, sets=("units",), apply=_set_units_shape),
    "members": Entry(
        sizes=dict(fnn="standard"),
        declare=_where_it_has("members", "networks that share their weights", 8, 16, 32),
        sets=("members",),
    ),
    "bins": Entry(sizes=dict(fnn="standard"), declare=_bins, sets=("bins",)),
    "filters_scale": Entry(
        sizes=dict(cnn="quick", other="quick"),
        declare=scale("filters_scale", "filters", "times the preset's filters"),
        sets=("filters",),
        apply=_scaler("filters"),
    ),
    "stages": Entry(sizes=dict(cnn="standard"), declare=_stages, sets=("filters",), apply=_set_stages),
    "depth": Entry(sizes=dict(cnn="standard", transformer="quick", other="standard"), declare=_depth, sets=("depth",)),
    "kernel_size": Entry(
        sizes=dict(cnn="standard", other="standard"),
        declare=_kernel_size,
        sets=("kernel_size",),
        apply=_set_kernel_size,
    ),
    "block": Entry(sizes=dict(cnn="full"), declare=_block, sets=("block",)),
    "embedding_scale": Entry(
        sizes=recurrent("quick") | dict(cnn="quick", other="standard"),
        declare=scale("embedding_scale", "embedding_dim", "times the preset's embedding width"),
        sets=("embedding_dim",),
        apply=_scaler("embedding_dim"),
    ),
    "width_scale": Entry(
        sizes=dict(transformer="quick", other="quick"),
        declare=scale("width_scale", "width", "times the preset's width, feed-forward layers too"),
        sets=("width", "intermediate_dim"),
        apply=_set_width,
    ),
    "feedforward_scale": Entry(
        sizes=dict(transformer="standard"),
        declare=scale("feedforward_scale", "intermediate_dim", "times the feed-forward layers once more"),
        sets=("intermediate_dim",),
        apply=_scaler("intermediate_dim"),
    ),
    "dense_scale": Entry(
        sizes=recurrent("full") | dict(transformer="full", other="full"),
        declare=scale("dense_scale", "dense_units", "times the widths of the dense layers before the head"),
        sets=("dense_units",),
        apply=_scaler("dense_units"),
    ),
    "num_heads": Entry(sizes=dict(transformer="standard"), declare=_num_heads, sets=("num_heads",)),
    "dropout": Entry(
        sizes="quick",
        declare=_of_layers(rate("dropout", "dropout; the largest, where layers differ")),
        sets=("dropout",),
        apply=set_rate("dropout"),
    ),
    "units_dropout": Entry(
        sizes=dict(cnn="quick", other="full"),
        declare=rate("units_dropout", "dropout in dense layers or before the head"),
        sets=("units_dropout",),
    ),
    "dense_dropout": Entry(
        sizes=recurrent("full") | dict(transformer="full", other="full"),
        declare=rate("dense_dropout", "dropout before the head"),
        sets=("dense_dropout",),
    ),
    "embedding_dropout": Entry(
        sizes=recurrent("full") | dict(fnn="quick", cnn="standard", other="full"),
        declare=rate("embedding_dropout", "dropout on embeddings"),
        sets=("embedding_dropout",),
    ),
    "activation": Entry(
        sizes=dict(fnn="standard", cnn="standard", transformer="standard", other="standard"),
        declare=_of_layers(choice("activation", "activation between layers", *ACTIVATIONS, full=MORE_ACTIVATIONS)),
        sets=("activation",),
    ),
    "norm": Entry(
        sizes=dict(fnn="standard", cnn="standard", other="standard"),
        declare=_of_layers(choice("norm", "normalisation", None, "batch", "layer")),
        sets=("norm",),
    ),
    "units_norm": Entry(
        sizes=dict(cnn="full"),
        declare=choice("units_norm", "normalisation in dense layers", None, "batch", "layer"),
        sets=("units_norm",),
    ),
    "layer_norm": Entry(
        sizes=recurrent("standard"),
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
        declare=_of_layers(choice("l2", "L2 penalty on dense kernels", 0.0, 1e-4, 1e-3, 1e-2)),
        sets=("l2",),
    ),
    "pooling": Entry(
        sizes=recurrent("standard") | dict(cnn="full", transformer="standard"), declare=_pooling, sets=("pooling",)
    ),
    "reversible_norm": Entry(
        sizes=recurrent("full") | dict(linear="standard", cnn="full", transformer="full", other="full"),
        declare=_reversible_norm,
        sets=("reversible_norm",),
    ),
    "bidirectional": Entry(sizes=recurrent("standard"), declare=_bidirectional, sets=("bidirectional",)),
    "positions": Entry(sizes=dict(transformer="full"), declare=_positions, sets=("positions",)),
}


def make_fit(settings, fixed=()):
    """Change what the single entries cannot know of one another, so that the network can be built.

    Args:
        settings: of a whole point; changed in place.
        fixed: names that must stay as they are.
    """
    if "filters" in settings and "filters" not in fixed:
        while len(settings["filters"]) > 1 and not images_last(settings, len(settings["filters"])):
            _set_stages(settings, len(settings["filters"]) - 1)
    if "width" in settings and "width" not in fixed:
        share = settings.get("num_heads", 1) * (2 if settings.get("positions") in ("sinusoidal", "rotary") else 1)
        settings["width"] = max(1, round(settings["width"] / share)) * share


def changes_layers(name: str) -> bool:
    """Say whether a hyperparameter makes another network, of which trained weights are not."""
    return name in ENTRIES and not (name.endswith("dropout") or name == "l2")
