"""A pretrained image network, frozen, with a linear head: EfficientNet-Lite0."""

import keras
from keras import layers

from kzoo.zoo.families import parts, pretrained
from kzoo.zoo.families.protocol import FEATURES

CLOSED_FORM = True  # no gradients: ridge regression sets the last layer


def build(
    *,
    name: str,
    input_shape: tuple[int, ...],
    outputs: int,
    inputs: str = "image",
    output_activation: str | None = "softmax",
    target_scale: tuple[float, ...] | None = None,
    target_offset: tuple[float, ...] | None = None,
) -> keras.Model:
    """Build EfficientNet-Lite0 (https://arxiv.org/abs/1905.11946) and a dense layer, for raw pixels 0..255.

    The features are the means over positions, scaled to unit length. No layer is trained by gradients: `kzoo.train`,
    and `kzoo.build` with `data`, load the weights of the backbone, which the extra `kzoo[image]` installs, and training
    sets the last layer by ridge regression; see `kzoo.training.ridge`.

    Args:
        name: name of the model.
        input_shape: (height, width, channels), 32 pixels a side or more; a gray image becomes three equal channels.
        outputs: number of classes or targets.
        inputs: `"image"`.
        output_activation: activation of the output; None for real-valued targets.
        target_scale: per target, standard deviation in the training split; the output becomes `y * scale + offset`.
        target_offset: for each target, mean in the training split.

    Raises:
        ValueError: a value is not valid for the family, or contradicts another one.
    """
    parts.check_choice(inputs, ("image",), name="inputs")
    pretrained.check_input_shape(input_shape, "image_frozen")
    dtype = parts.answer_dtype()
    pixels = keras.Input(input_shape, dtype="float32", name="inputs")
    x = layers.GlobalAveragePooling2D(name="pooled")(pretrained.frozen_lite0(pixels).output)
    x = layers.UnitNormalization(dtype=dtype, name=FEATURES)(x)
    x = parts.ridge_head(x, outputs, output_activation, target_scale, target_offset)
    return keras.Model(pixels, x, name=name)
