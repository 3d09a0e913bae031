"""Pretrained image networks: a backbone trained on a million photos, and a new head."""

from importlib import import_module

import keras
from keras import layers

from kzoo.utils.formatting import hint
from kzoo.zoo.families import parts
from kzoo.zoo.families.protocol import FEATURES, STEM
from kzoo.zoo.registry.arguments import BACKBONE_SIDE, BACKBONES

# Name -> the function of `keras.applications`.
_APPLICATIONS = {"efficientnet_v2_b0": "EfficientNetV2B0", "mobilenet_v2": "MobileNetV2"}
# Scale and offset of the pixels that the weights were trained on.
_SCALING: dict[str, tuple] = {
    "efficientnet_v2_b0": (
        [1 / 255 / 0.229, 1 / 255 / 0.224, 1 / 255 / 0.225],
        [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225],
    ),
    "mobilenet_v2": (1 / 127.5, -1.0),
    "efficientnet_lite0": (1 / 128, -127 / 128),
}
# EfficientNet-Lite0's stages: kernel size, stride, expansion, channels, blocks.
_LITE0_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


def build(
    *,
    name: str,
    input_shape: tuple[int, ...],
    outputs: int,
    inputs: str = "image",
    backbone: str = "efficientnet_v2_b0",
    cut: str | None = None,
    frozen_norm: bool = True,
    pooling: str = "mean",
    dropout: float = 0.2,
    output_activation: str | None = "softmax",
    target_scale: tuple[float, ...] | None = None,
    target_offset: tuple[float, ...] | None = None,
    quantiles: tuple[float, ...] | None = None,
) -> keras.Model:
    """Build a backbone without its top, then pooling, dropout and one dense layer, for raw pixels 0..255.

    All layers are in one flat network, not in a nested model. The weights are random until `kzoo.train(weights=...)`
    loads them.

    Args:
        input_shape: (height, width, channels), 32 pixels a side or more; a gray image becomes three equal channels.
        outputs: classes or targets.
        inputs: `"image"`.
        backbone: name of the network: `"efficientnet_v2_b0"` (https://arxiv.org/abs/2104.00298) and
            `"mobilenet_v2"` (https://arxiv.org/abs/1801.04381) are those of `keras.applications`;
            `"efficientnet_lite0"` is EfficientNet-B0 (https://arxiv.org/abs/1905.11946) without squeeze-and-excitation,
            and with relu6.
        cut: name of the backbone's layer that returns the features, instead of its last one; later layers are removed.
        frozen_norm: whether batch norms are frozen; a few images give poor statistics.
        pooling: how positions are pooled to one vector, `"mean"` or `"max"`.
        dropout: dropout after the pooling.
        output_activation: activation of the output; None for logits and real-valued targets.
        target_scale: per target, standard deviation in the training split; the output becomes `y * scale + offset`.
        target_offset: for each target, mean in the training split.
        quantiles: levels of the quantiles to predict for each target; None for one value per target.

    Raises:
        ValueError: a value is not valid for the family, or contradicts another one.
    """
    parts.check_choice(inputs, ("image",), name="inputs")
    parts.check_choice(backbone, BACKBONES, name="backbone")
    parts.check_choice(pooling, ("mean", "max"), name="pooling")
    check_input_shape(input_shape, backbone)
    input_tensor = keras.Input(input_shape, dtype="float32", name="inputs")
    x = _scaled(input_tensor, backbone)
    x = _efficientnet_lite0(x) if backbone == "efficientnet_lite0" else _application(x, backbone)
    network = keras.Model(input_tensor, x)
    if frozen_norm:
        for layer in network.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.trainable = False
    if cut is not None:
        x = _layer(network, cut).output
    pool = layers.GlobalAveragePooling2D if pooling == "mean" else layers.GlobalMaxPooling2D
    x = pool(name=FEATURES)(x)
    if dropout:
        x = layers.Dropout(dropout, name="features_dropout")(x)
    x = parts.head(x, outputs, output_activation, quantiles=quantiles)
    x = parts.unscale_targets(x, target_scale, target_offset, quantiles)
    return keras.Model(input_tensor, x, name=name)


def check_input_shape(input_shape: tuple[int, ...], backbone: str) -> None:
    """Raise `ValueError` unless a backbone takes images of this shape."""
    parts.check_shape(input_shape, ("height", "width", "channels"))
    if min(input_shape[:2]) < BACKBONE_SIDE:
        raise ValueError(
            f"input_shape={tuple(input_shape)} is too small for backbone={backbone!r}, which halves images five times: "
            f"{BACKBONE_SIDE} pixels a side at least, or preset image_cnn"
        )
    if input_shape[2] not in (1, 3):
        raise ValueError(
            f"input_shape={tuple(input_shape)} has {input_shape[2]} channels, but a backbone takes 3 or 1"
        )


def frozen_lite0(pixels: keras.KerasTensor) -> keras.Model:
    """Return EfficientNet-Lite0 below its pooling, for raw pixels. It is not trainable, and its kernels are zeros."""
    network = keras.Model(
        pixels, _efficientnet_lite0(_scaled(pixels, "efficientnet_lite0"), initializer="zeros")
    )
    for layer in network.layers:
        layer.trainable = False
    return network


def _scaled(pixels: keras.KerasTensor, backbone: str) -> keras.KerasTensor:
    """Return three channels as the weights of a backbone were trained on them."""
    x = layers.Concatenate(name="channels")([pixels] * 3) if pixels.shape[-1] == 1 else pixels
    return layers.Rescaling(*_SCALING[backbone], name="scaling")(x)


def pretrained_application(backbone: str) -> keras.Model:
    """Return a model whose layers have the names of a backbone of `keras.applications` and the weights it downloads."""
    return _application_model(backbone, weights="imagenet")


def _application_model(backbone: str, **options: object) -> keras.Model:
    function = getattr(import_module("keras.applications"), _APPLICATIONS[backbone])
    if (
        backbone != "mobilenet_v2"
    ):  # our scaling has a stable name, and avoids `Normalization`, whose ONNX export does not run
        options["include_preprocessing"] = False
    return function(include_top=False, **options)


def _application(x: keras.KerasTensor, backbone: str) -> keras.KerasTensor:
    return _application_model(
        backbone, weights=None, input_tensor=x, input_shape=tuple(x.shape[1:])
    ).output


def _efficientnet_lite0(
    x: keras.KerasTensor, initializer: str = "glorot_uniform"
) -> keras.KerasTensor:
    """Apply EfficientNet-Lite0: inverted residual blocks, https://arxiv.org/abs/1801.04381."""
    x = _convolution(x, 32, 3, name=STEM, stride=2, initializer=initializer)
    for stage, (side, stride, expansion, channels, blocks) in enumerate(_LITE0_STAGES, start=1):
        for block in range(1, blocks + 1):
            x = _inverted_residual(
                x,
                channels,
                side,
                expansion,
                name=f"block{stage}_{block}",
                stride=stride if block == 1 else 1,
                initializer=initializer,
            )
    return _convolution(x, 1280, 1, name="top", initializer=initializer)


def _inverted_residual(
    x: keras.KerasTensor,
    channels: int,
    side: int,
    expansion: int,
    *,
    name: str,
    stride: int,
    initializer: str,
) -> keras.KerasTensor:
    """Expand, convolve depthwise, project; and add the input if the shapes match."""
    y = x
    if expansion != 1:
        y = _convolution(
            y, x.shape[-1] * expansion, 1, name=f"{name}_expand", initializer=initializer
        )
    depthwise = layers.DepthwiseConv2D(
        side,
        stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=initializer,
        name=f"{name}_depthwise",
    )
    y = _normed(depthwise(y), name=f"{name}_depthwise")
    y = _convolution(
        y, channels, 1, name=f"{name}_project", activation=False, initializer=initializer
    )
    return layers.Add(name=f"{name}_add")([x, y]) if stride == 1 and x.shape[-1] == channels else y


def _convolution(
    x: keras.KerasTensor,
    channels: int,
    side: int,
    *,
    name: str,
    stride: int = 1,
    activation: bool = True,
    initializer: str,
) -> keras.KerasTensor:
    convolution = layers.Conv2D(
        channels,
        side,
        stride,
        padding="same",
        use_bias=False,
        kernel_initializer=initializer,
        name=name,
    )
    return _normed(convolution(x), name=name, activation=activation)


def _normed(x: keras.KerasTensor, *, name: str, activation: bool = True) -> keras.KerasTensor:
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_norm")(x)
    return parts.activate(x, "relu6" if activation else None, name=f"{name}_relu6")


def _layer(network: keras.Model, name: str) -> keras.Layer:
    names = [layer.name for layer in network.layers if len(getattr(layer.output, "shape", ())) == 4]
    if name not in names:
        raise ValueError(
            f"cut={name!r} is not a layer of the backbone with feature maps. {hint(name, names)}".strip()
        )
    return network.get_layer(name)
