"""Forecasts by a dense network that all columns share: one matrix maps the past of a column to its future."""

import keras
from keras import layers, ops

from kzoo.zoo.families import parts
from kzoo.zoo.families.protocol import OUTPUTS

LONG_WINDOWS = True  # a step costs one row of a matrix
NEEDS = {
    "activation": {"dense_units": "any"},
    "dropout": {"dense_units": "any"},
    "calendar": {"dense_units": "any"},
}


def build(
    *,
    name: str,
    input_shape: tuple[int, ...],
    outputs: int,
    inputs: str = "series",
    horizon: int | None = None,
    dense_units: tuple[int, ...] | None = None,
    activation: str | None = "relu",
    dropout: float = 0.0,
    reversible_norm: bool | str = False,
    scale_free: bool = False,
    rescale: bool = True,
    scale: tuple[float, ...] | None = None,
    offset: tuple[float, ...] | None = None,
    target_scale: tuple[float, ...] | None = None,
    target_offset: tuple[float, ...] | None = None,
    quantiles: tuple[float, ...] | None = None,
    padded: bool | None = None,
    covariates: int | None = None,
    calendar: int | None = None,
) -> keras.Model:
    """Build NLinear (https://arxiv.org/abs/2205.13504): a `Dense` over time that all columns share.

    The forecast of a target depends only on its own past; columns that are no targets are ignored. Without
    `dense_units`, the weights are initialized to zero, so that the forecast before training is the last value
    (`reversible_norm="last"`) or the mean of the window (True).

    With `dense_units` there are hidden layers before it, which also read the phases of the calendar and the statistics
    of the window that its normalisation has, like the encoder of TiDE (https://arxiv.org/abs/2304.08424).

    Args:
        name: name of the model.
        input_shape: (steps, features), the targets first; steps may be None until the data sets them.
        outputs: number of targets.
        inputs: type of the inputs: `"series"`, raw values with the targets first.
        horizon: number of steps to forecast; None for one output for the whole series, from all of its columns.
            (B, horizon, outputs) or (B, outputs).
        dense_units: width of every hidden layer; None for a linear model.
        activation: activation of the hidden layers.
        dropout: dropout after the hidden layers: one rate for all layers, or one rate per layer.
        reversible_norm: normalisation of each window that is undone in its forecast. True subtracts the mean and
            divides by the standard deviation; `"last"` subtracts the last value; `"log"` divides by the mean of the
            values that are not 0 and takes the inverse hyperbolic sine; False does nothing.
        scale_free: whether that normalisation has the window's own scale alone, so that the forecast of k times a
            window is k times its forecast (see `parts.ScaleFreeNorm`); the targets' offset is then not used.
        rescale: scale the series inside the model; False for values that are scaled already.
        scale: per feature, 1 / standard deviation in the training split; inputs become `x * scale + offset`.
        offset: per feature, -mean / standard deviation; None, as for `scale`, for no change.
        target_scale: per target, standard deviation in the training split; the output becomes `y * scale + offset`.
        target_offset: for each target, mean in the training split.
        quantiles: levels of the quantiles to predict for each target; None for one value per target.
        padded: whether the last feature of a series marks real steps by 1 and padding after them by 0; None for False.
        covariates: number of columns that are known ahead of time: the last `2 * covariates` of the inputs are their
            values at a step and `horizon` steps later; None for none.
        calendar: how many of the covariates, the last ones, are phases of the calendar; None for none.

    Raises:
        ValueError: a value is not valid for the family, or contradicts another one.
    """
    parts.check_choice(inputs, ("series",), name="inputs")
    parts.check_shape(input_shape, ("steps", "features"))
    parts.check_forecast(
        inputs, outputs, input_shape, horizon=horizon, reversible_norm=reversible_norm
    )
    normalised = parts.count_normalised(
        input_shape, covariates, reversible_norm=reversible_norm, scale_free=scale_free
    )

    units = tuple(dense_units or ())
    rates = parts.per_layer(dropout, len(units), name="dropout")

    def hidden(x: keras.KerasTensor) -> keras.KerasTensor:
        for i, (width, rate) in enumerate(zip(units, rates, strict=True), start=1):
            x = parts.dense_block(x, width, activation, name=f"hidden{i}", dropout=rate)
        return x

    input_tensor = keras.Input(input_shape, dtype="float32", name="inputs")
    x, real = parts.scale_series(
        input_tensor, scale, offset, rescale=rescale, padded=padded, normalised=normalised
    )
    if real is not None:
        x = ops.concatenate([x, real], axis=-1)
    known_ahead = (
        parts.Covariates(x, covariates, horizon, (calendar or 0) if units else 0)
        if covariates
        else None
    )
    levels = parts.levels_of(quantiles)
    start = "glorot_uniform" if units else "zeros"
    settings = dict(kernel_initializer=start, dtype=parts.answer_dtype(), name=OUTPUTS)
    dense = layers.Dense((horizon or outputs) * levels, **settings)
    if horizon is None:
        x = hidden(layers.Flatten(name="flatten")(x))
        x = parts.ascending(dense(x), quantiles)  # (B, outputs * levels)
    else:
        if outputs < x.shape[-1]:
            x = x[:, :, :outputs]  # forecasts depend on no other feature
        window_norm = parts.window_norm(
            x, reversible_norm, scale_free=scale_free, offset=offset if rescale else None
        )
        if window_norm is not None:
            x = window_norm.windows
        x = layers.Permute((2, 1), name="time_last")(x)  # (B, outputs, steps)
        if units and (features := _features_of_targets(window_norm, known_ahead, outputs)):
            x = layers.Concatenate(name="window_features")([x, *features])
        x = dense(hidden(x))  # (B, outputs, horizon * levels)
        if known_ahead is not None and known_ahead.future is not None:
            x = known_ahead.effect_on(parts.steps_first(x, horizon), window_norm, outputs)
            x = parts.ascending(x, quantiles)
        else:
            # (B, horizon, outputs * levels)
            x = parts.steps_first(parts.ascending(x, quantiles), horizon)
        if window_norm is not None:
            x = window_norm.undo(x, outputs, quantiles)
    # windows that are not shifted have forecasts that are not
    target_offset = None if normalised else target_offset
    x = parts.unscale_targets(x, target_scale, target_offset, quantiles)
    return keras.Model(input_tensor, x, name=name)


def _features_of_targets(
    window_norm: parts.WindowNorm | None, known_ahead: parts.Covariates | None, outputs: int
) -> keras.KerasTensor:
    """Return level and spread of the windows, and the phases of the calendar at the first step to forecast, for each
    target: (B, outputs, features) each."""
    features = []
    if window_norm is not None:
        features += [ops.transpose(s[:, :, :outputs], (0, 2, 1)) for s in window_norm.statistics]
    if known_ahead is not None and known_ahead.phases is not None:
        features.append(ops.repeat(known_ahead.phases[:, :1], outputs, axis=1))
    return features
