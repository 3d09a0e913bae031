"""Linear forecasts: one matrix maps the past of a column to its future."""

import keras
from keras import layers, ops

from kzoo.families import parts
from kzoo.families.protocol import OUTPUTS


def build(
    *,
    name,
    input_shape,
    outputs,
    inputs="series",
    horizon=None,
    reversible_norm=False,
    rescale=True,
    scale=None,
    offset=None,
    target_scale=None,
    target_offset=None,
    quantiles=None,
    padded=None,
    covariates=None,
):
    """Build NLinear (https://arxiv.org/abs/2205.13504): a `Dense` over time that all columns share.

    The forecast of a target depends only on its own past; columns that are no targets are ignored. The weights are
    initialized to zero, so that the forecast before training is the last value (`reversible_norm="last"`) or the mean
    of the window (True).

    Args:
        name: name of the model.
        input_shape: (steps, features), the targets first; steps may be None until the data sets them.
        outputs: number of targets.
        inputs: type of the inputs: `"series"`, raw values with the targets first.
        horizon: number of steps to forecast; None for one output for the whole series, from all of its columns.
            (B, horizon, outputs) or (B, outputs).
        reversible_norm: normalisation of each window that is undone in its forecast. True subtracts the mean and
            divides by the standard deviation; `"last"` subtracts the last value; False does nothing.
        rescale: scale the series inside the model; False for values that are scaled already.
        scale: per feature, 1 / standard deviation in the training split; inputs become `x * scale + offset`.
        offset: per feature, -mean / standard deviation; None, as for `scale`, for no change.
        target_scale: per target, standard deviation in the training split; the output becomes `y * scale + offset`.
        target_offset: for each target, mean in the training split.
        quantiles: levels of the quantiles to predict for each target; None for one value per target.
        padded: whether the last feature of a series marks real steps by 1 and padding after them by 0; None for False.

        covariates: number of columns that are known ahead of time: the last `2 * covariates` of the inputs are their
            values at a step and `horizon` steps later; None for none.

    Raises:
        ValueError: a value is not valid for the family, or contradicts another one.
    """
    parts.check_choice(inputs, ("series",), name="inputs")
    parts.check_shape(input_shape, ("steps", "features"))
    parts.check_forecast(inputs, outputs, input_shape, horizon=horizon, reversible_norm=reversible_norm)

    input_tensor = keras.Input(input_shape, dtype="float32", name="inputs")
    x, real = parts.scale_series(input_tensor, scale, offset, rescale=rescale, padded=padded)
    if real is not None:
        x = ops.concatenate([x, real], axis=-1)
    known_ahead = parts.Covariates(x, covariates, horizon) if covariates else None
    units = (horizon or outputs) * parts.levels_of(quantiles)
    dense = layers.Dense(units, kernel_initializer="zeros", dtype=parts.answer_dtype(), name=OUTPUTS)
    if horizon is None:
        x = parts.ascending(dense(layers.Flatten(name="flatten")(x)), quantiles)  # (B, outputs * levels)
    else:
        if outputs < x.shape[-1]:
            x = x[:, :, :outputs]  # forecasts depend on no other feature
        window_stats = ()
        if reversible_norm:
            x, *window_stats = parts.window_norm(x, reversible_norm)
        x = dense(layers.Permute((2, 1), name="time_last")(x))  # (B, outputs, horizon * levels)
        if known_ahead is not None:
            x = known_ahead.effect_on(parts.steps_first(x, horizon), window_stats, outputs)
            x = parts.ascending(x, quantiles)
        else:
            x = parts.steps_first(parts.ascending(x, quantiles), horizon)  # (B, horizon, outputs * levels)
        if window_stats:
            x = parts.undo_window_norm(x, *window_stats, outputs, quantiles)
    x = parts.unscale_targets(x, target_scale, target_offset, quantiles)
    return keras.Model(input_tensor, x, name=name)
