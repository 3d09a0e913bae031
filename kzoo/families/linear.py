"""Linear forecasts: one matrix from the past of a column to what follows it."""

import keras
from keras import layers

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
):
    """Build NLinear (https://arxiv.org/abs/2205.13504): a `Dense` over time that all columns share.

    A forecast of a target uses the past of this target alone, so columns that are no targets have no say. The weights
    begin at zero: the first forecast is the last value (`reversible_norm="last"`) or the mean of the window (True), and
    what training does not find stays out of it.

    Args:
        name: name of the model.
        input_shape: (steps, features), the targets first; steps may be None until data says how many.
        outputs: number of targets.
        inputs: what goes in: `"series"`, raw values with the targets first.
        horizon: steps to forecast; none: one answer for the whole series, from all of its columns.
            (B, horizon, outputs) or (B, outputs).
        reversible_norm: what is taken off every window and put back in its forecast. True is its mean, and its spread
            is divided by; `"last"` is its last value; False is nothing.
        rescale: scale the series inside the model; False for values that are scaled already.
        scale: per feature, 1 / standard deviation of the training split: `x * scale + offset`.
        offset: per feature, -mean / standard deviation; None for the identity, as in `scale`.
        target_scale: per target, standard deviation of the training split: `y * scale + offset`.
        target_offset: per target, mean of the training split.

    Raises:
        ValueError: a value does not fit the family, or another value.
    """
    parts.check_choice(inputs, ("series",), name="inputs")
    parts.check_shape(input_shape, ("steps", "features"))
    parts.check_forecast(inputs, outputs, input_shape, horizon=horizon, reversible_norm=reversible_norm)

    given = keras.Input(input_shape, dtype="float32", name="inputs")
    x = parts.scale_inputs(given, scale, offset) if rescale else given
    dense = layers.Dense(horizon or outputs, kernel_initializer="zeros", dtype=parts.answer_dtype(), name=OUTPUTS)
    if horizon is None:
        x = dense(layers.Flatten(name="flatten")(x))  # (B, outputs)
    else:
        if outputs < x.shape[-1]:
            x = x[:, :, :outputs]  # no other feature has a say in these forecasts
        window = ()
        if reversible_norm:
            x, *window = parts.window_norm(x, reversible_norm)
        x = layers.Permute((2, 1), name="time_last")(x)  # (B, outputs, steps)
        x = layers.Permute((2, 1), name="forecast")(dense(x))  # (B, horizon, outputs)
        if window:
            x = parts.undo_window_norm(x, *window, outputs)
    x = parts.unscale_targets(x, target_scale, target_offset)
    return keras.Model(given, x, name=name)
