"""Convolutional networks: the tutorial's layers, the arithmetic, padding, causality, the refusals."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from messages import refuses
from reference import batch_norm, conv2d, dense, max_pool, randomize, relu, softmax, weights

import kzoo
from kzoo.zoo.families import cnn
from kzoo.zoo.registry import get_preset, list_presets


def build(name, **overrides):
    return cnn.build(name=name, **{**get_preset(name).config, **overrides})


def predict(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def until(model, layer):
    """The part of a model up to a named layer."""
    return keras.Model(model.input, model.get_layer(layer).output)


def test_resnet_20_has_the_size_of_the_paper():
    model = build("cifar_resnet")
    convolutions = 9 * (3 * 16 + 6 * 16 * 16 + 16 * 32 + 5 * 32 * 32 + 32 * 64 + 5 * 64 * 64)
    norms = 2 * (7 * 16 + 6 * 32 + 6 * 64)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == convolutions + norms + 65 * 10 == 269_722  # 0.27 million
    weighted = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
    ]
    assert len(weighted) == 20


KINDS = {
    "Conv2D": lambda layer: f"{layer.filters} {layer.kernel_size} {layer.padding}",
    "MaxPooling2D": lambda layer: f"{layer.pool_size}",
    "Dense": lambda layer: f"{layer.units}",
    "Dropout": lambda layer: f"{layer.rate}",
}


def layer_kinds(layers):
    """One line per layer; an activation written as a layer belongs to the layer before it."""
    kinds = []
    for layer in layers:
        kind = type(layer).__name__
        if kind == "Activation":
            kinds[-1] = f"{kinds[-1].removesuffix(' linear')} {layer.activation.__name__}"
        elif kind not in ("InputLayer", "Rescaling"):
            activation = f" {layer.activation.__name__}" if kind in ("Conv2D", "Dense") else ""
            kinds.append(f"{kind} {KINDS.get(kind, lambda _: '')(layer)}{activation}")
    return kinds


def test_cifar_cnn_is_that_of_the_tutorial():
    L = keras.layers
    tutorial = []
    for filters, rate in ((32, 0.2), (64, 0.3), (128, 0.4)):
        for _ in range(2):
            tutorial += [
                L.Conv2D(filters, (3, 3), activation="relu", padding="same"),
                L.BatchNormalization(),
            ]
        tutorial += [L.MaxPooling2D((2, 2)), L.Dropout(rate)]
    tutorial += [
        L.Flatten(),
        L.Dense(128, activation="relu"),
        L.BatchNormalization(),
        L.Dropout(0.5),
    ]
    tutorial += [L.Dense(10, activation="softmax")]
    model = build("cifar_cnn")
    assert layer_kinds(model.layers) == layer_kinds(tutorial)
    assert model.count_params() == 552_874


def test_mnist_cnn_is_that_of_the_tutorial():
    L = keras.layers
    tutorial = [
        L.Conv2D(32, (3, 3), activation="relu"),
        L.MaxPooling2D((2, 2)),
        L.Conv2D(64, (3, 3), activation="relu"),
        L.MaxPooling2D((2, 2)),
        L.Conv2D(64, (3, 3), activation="relu"),
        L.Flatten(),
        L.Dense(64, activation="relu"),
        L.Dropout(0.5),
        L.Dense(10, activation="softmax"),
    ]
    model = build("mnist_cnn")
    assert layer_kinds(model.layers) == layer_kinds(tutorial)
    assert model.count_params() == 93_322


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_plain_stages_match_numpy(padding):
    model = randomize(
        build(
            "digits_cnn",
            input_shape=(13, 12, 2),
            filters=(3, 4),
            depth=(2, 1),
            pool_size=(2, 1),
            padding=padding,
        )
    )
    pixels = np.random.default_rng(1).integers(0, 256, (3, 13, 12, 2))

    x = pixels / 255
    for name in ("1", "2"):
        x = relu(conv2d(x, *weights(model, f"block1_conv{name}"), padding=padding))
        x = batch_norm(x, *weights(model, f"block1_norm{name}"))
    x = max_pool(x, 2)
    x = relu(conv2d(x, *weights(model, "block2_conv1"), padding=padding))
    x = batch_norm(x, *weights(model, "block2_norm1")).reshape(3, -1)
    x = relu(dense(x, *weights(model, "hidden1_dense")))
    x = dense(batch_norm(x, *weights(model, "hidden1_norm")), *weights(model, "outputs"))

    logits = until(model, "outputs")
    np.testing.assert_allclose(predict(logits, pixels.astype("float32")), x, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(predict(model, pixels.astype("float32")), softmax(x), atol=1e-5)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def test_whitened_pooled_stages_match_numpy():
    model = randomize(
        build("cifar_speed", input_shape=(14, 13, 2), filters=(5, 3), depth=(2, 1), outputs=4)
    )
    pixels = np.random.default_rng(1).integers(0, 256, (3, 14, 13, 2))

    def norm(x, layer):  # which has no factor
        return batch_norm(x, 1.0, *weights(model, layer))

    x = gelu(conv2d(pixels / 255, *weights(model, "whitening"), padding="valid"))
    x = max_pool(conv2d(x, *weights(model, "block1_conv1"), 0.0, padding="same"), 2)
    x = gelu(norm(x, "block1_norm1"))
    x = gelu(norm(conv2d(x, *weights(model, "block1_conv2"), 0.0, padding="same"), "block1_norm2"))
    x = max_pool(conv2d(x, *weights(model, "block2_conv1"), 0.0, padding="same"), 2)
    x = gelu(norm(x, "block2_norm1")).max(axis=(1, 2))
    x = dense(x, *weights(model, "outputs"), 0.0) / 9
    np.testing.assert_allclose(predict(model, pixels.astype("float32")), softmax(x), atol=1e-5)


@pytest.mark.parametrize("block", ["plain", "pooled"])
def test_dirac_passes_the_first_channels_through(block):
    """Two channels become five, and five become three: as many as there are of both come through as they are."""
    model = build(
        "cifar_speed",
        block=block,
        whitening=0,
        norm=None,
        input_shape=(8, 8, 2),
        filters=(5, 3),
        depth=1,
    )
    for layer, channels in (("block1_conv1", 2), ("block2_conv1", 3)):
        convolution = model.get_layer(layer)
        x = (
            np.random.default_rng(0)
            .normal(size=(2, 8, 8, convolution.kernel.shape[2]))
            .astype("float32")
        )
        y = predict(convolution, x)
        np.testing.assert_allclose(y[..., :channels], x[..., :channels], atol=1e-6)
        if y.shape[-1] > channels:
            # the others are random, as without it
            assert np.abs(y[..., channels:]).min(axis=(0, 1, 2)).max() > 0
    plain = build("cifar_speed", block=block, dirac=False, norm=None, filters=(5, 3), depth=1)
    assert np.abs(weights(plain, "block1_conv1")[0]).max() < 1


def test_the_norms_keep_their_mean_as_the_setting_says():
    for name, momentum in (("cifar_speed", 0.6), ("cifar_resnet", 0.9)):
        norms = [la for la in build(name).layers if isinstance(la, keras.layers.BatchNormalization)]
        assert norms and {norm.momentum for norm in norms} == {momentum}


def test_the_shortcut_keeps_every_second_pixel_and_adds_empty_channels():
    model = randomize(build("cifar_resnet", input_shape=(9, 7, 3), filters=(2, 5), depth=1))
    before = until(model, "block1_1_relu")
    after = until(model, "block2_1_new_channels")
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 9, 7, 3)).astype("float32")
    x, y = predict(before, pixels), predict(after, pixels)
    assert y.shape == (2, 5, 4, 5)
    np.testing.assert_array_equal(y[..., :2], x[:, ::2, ::2])
    assert not y[..., 2:].any()


@pytest.mark.parametrize("block", ["residual", "separable"])
def test_strided_windows_are_centred_on_the_pixels_that_the_shortcut_keeps(block):
    """An image that is zero but for pixel (4, 4) reaches cell (2, 2) and its neighbours alone."""
    model = build(
        "cifar_resnet", block=block, input_shape=(8, 8, 1), filters=(1, 1), depth=1, norm=None
    )
    layer = {"residual": "block2_1_a_conv", "separable": "block2_1_depthwise_conv"}[block]
    convolution = model.get_layer(layer)
    border = model.get_layer(layer.replace("_conv", "_border"))
    x = np.zeros((1, 8, 8, 1), "float32")
    x[0, 4, 4] = 1
    y = keras.ops.convert_to_numpy(convolution(border(x)))[0, ..., 0]
    centre = weights(model, layer)[0][1, 1].item()
    np.testing.assert_allclose(y[2, 2], centre, rtol=1e-6)
    assert np.count_nonzero(y) == 1


def test_photos_shrink_early_and_small_images_do_not():
    sizes = {
        side: build("image_cnn", input_shape=(side, side, 3))
        .get_layer("block1_1_add")
        .output.shape[1:3]
        for side in (32, 63, 64, 96)
    }
    assert sizes == {32: (32, 32), 63: (63, 63), 64: (16, 16), 96: (24, 24)}


def text_cnn(length, **overrides):
    return randomize(
        build(
            "text_cnn",
            input_shape=(length,),
            vocabulary_size=30,
            embedding_dim=5,
            filters=(6,),
            **{"output_activation": None, **overrides},
        )
    )


@pytest.mark.parametrize(
    "settings", [dict(), dict(activation="tanh"), dict(pooling="mean")], ids=str
)
def test_padding_never_changes_an_answer(settings):
    """Left, right, on both sides, little, much or none: random biases make windows of padding tempting."""
    rng = np.random.default_rng(1)
    for length in (1, 2, 7):
        text = rng.integers(1, 30, length)
        answers = [predict(text_cnn(length, **settings), text[None].astype("int32"))]
        for padded in (length + 1, 20):
            rows = np.zeros((3, padded), "int32")
            for row, start in zip(rows, (0, (padded - length) // 2, padded - length), strict=True):
                row[start : start + length] = text
            answers.append(predict(text_cnn(padded, **settings), rows))
        answers = np.concatenate(answers)
        np.testing.assert_allclose(answers, np.broadcast_to(answers[0], answers.shape), atol=1e-5)


def test_a_text_of_nothing_but_padding_has_an_answer():
    for pooling in ("max", "mean"):
        model = text_cnn(7, pooling=pooling)
        answer = predict(model, np.zeros((1, 7), "int32"))
        np.testing.assert_allclose(answer[0], weights(model, "outputs")[1], rtol=1e-6)


def test_the_order_of_words_matters():
    model = text_cnn(7)
    forward = predict(model, np.array([[3, 9, 4, 17, 0, 0, 0]], "int32"))
    backward = predict(model, np.array([[17, 4, 9, 3, 0, 0, 0]], "int32"))
    assert np.abs(forward - backward).max() > 1e-2


def tcn(**overrides):
    return randomize(
        build(
            "series_tcn",
            **{
                "input_shape": (16, 2),
                "filters": (4, 4, 5),
                "horizon": 3,
                "reversible_norm": False,
                **overrides,
            },
        )
    )


def test_no_step_sees_a_later_one():
    steps = until(tcn(), "block3_relu")
    series = np.random.default_rng(1).normal(size=(1, 16, 2)).astype("float32")
    changed = series.copy()
    changed[0, 10] += 1
    difference = np.abs(predict(steps, changed) - predict(steps, series)).max(axis=(0, 2))
    np.testing.assert_array_equal(difference[:10], 0)
    assert difference[10] > 0 and difference[15] > 0


def test_dilated_stages_look_back_as_far_as_they_say():
    # 1 + 2 * (2 - 1) * (2**2 - 1) = 7 steps
    steps = until(tcn(filters=(4, 4), kernel_size=2, activation="tanh"), "block2_tanh")
    series = np.random.default_rng(1).normal(size=(1, 16, 2)).astype("float32")
    seen = []
    for step in range(16):
        changed = series.copy()
        changed[0, step] += 1
        seen.append(bool(np.abs(predict(steps, changed) - predict(steps, series))[0, 15].max() > 0))
    assert seen == [False] * 9 + [True] * 7


def test_a_shifted_and_stretched_window_shifts_and_stretches_its_forecast():
    # Inputs are scaled by the training split's numbers, and the forecast comes back in the target's unit.
    model = tcn(
        reversible_norm=True,
        scale=[0.5, 3.0],
        offset=[-3.0, 1.0],
        target_scale=[2.0],
        target_offset=[6.0],
    )
    series = np.random.default_rng(1).normal(size=(4, 16, 2)).astype("float32")
    forecast = predict(model, series)
    assert forecast.shape == (4, 3, 1)
    np.testing.assert_allclose(predict(model, series + 40), forecast + 40, atol=1e-3)
    np.testing.assert_allclose(predict(model, series * 10), forecast * 10, rtol=1e-3, atol=1e-2)
    assert np.isfinite(predict(model, np.full((1, 16, 2), 5.0, "float32"))).all()


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "flatten"])
def test_series_poolings_and_dense_layers(pooling):
    model = tcn(
        horizon=None, outputs=2, pooling=pooling, units=(8,), units_norm="layer", units_dropout=0.1
    )
    assert predict(model, np.zeros((3, 16, 2), "float32")).shape == (3, 2)


@pytest.mark.parametrize("name", list_presets(family="cnn"))
def test_a_saved_model_answers_the_same(name, tmp_path):
    small = {"image": {"input_shape": (20, 20, 3)}, "series": {"input_shape": (24, 1)}}.get(
        get_preset(name).config["inputs"], {}
    )
    model = randomize(build(name, **small))
    shape = (2, *model.input_shape[1:])
    x = np.random.default_rng(1).integers(0, 30, shape).astype(model.input.dtype)
    model.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras", safe_mode=True)
    np.testing.assert_array_equal(predict(loaded, x), predict(model, x))


@pytest.mark.parametrize(
    ("preset", "values", "parts"),
    [
        ("cifar_cnn", dict(block="dense"), ("block='dense'", "residual", "separable")),
        (
            "cifar_cnn",
            dict(block="dilated"),
            ("block='dilated'", "inputs='series'", "inputs='image'", "'plain'"),
        ),
        ("cifar_cnn", dict(inputs="rows"), ("inputs='rows'", "image", "tokens", "series")),
        (
            "cifar_cnn",
            dict(input_shape=(32, 32)),
            ("input_shape=(32, 32)", "height", "width", "channels"),
        ),
        ("cifar_cnn", dict(input_shape=(32, 0, 3)), ("input_shape=0",)),
        ("cifar_cnn", dict(pooling="last"), ("pooling='last'", "flatten", "mean", "max")),
        ("cifar_cnn", dict(padding="full"), ("padding='full'", "same", "valid")),
        ("cifar_cnn", dict(norm="instance"), ("norm='instance'", "batch", "layer", "rms")),
        ("cifar_cnn", dict(activation="swiish"), ("activation='swiish'", "relu", "silu")),
        ("cifar_cnn", dict(filters=()), ("filters", "(32,)")),
        ("cifar_cnn", dict(filters=(32, -1)), ("filters=-1",)),
        ("cifar_cnn", dict(filters=32), ("dropout", "3", "1")),  # one stage
        ("cifar_cnn", dict(kernel_size=(3, 5)), ("kernel_size=(3, 5)", "block='parallel'")),
        ("cifar_cnn", dict(depth=(1, 2)), ("depth", "2", "3")),
        ("cifar_cnn", dict(depth=0), ("depth=0",)),
        ("cifar_cnn", dict(kernel_size=0), ("kernel_size=0",)),
        ("cifar_cnn", dict(pool_size=0), ("pool_size=0",)),
        ("cifar_cnn", dict(dropout=(0.2, 0.3, 1.5)), ("dropout=1.5",)),
        ("cifar_cnn", dict(units_dropout=1), ("units_dropout=1",)),
        ("cifar_cnn", dict(units=(0,)), ("units=0",)),
        ("cifar_cnn", dict(outputs=-3), ("outputs=-3",)),
        ("cifar_cnn", dict(horizon=3), ("horizon=3", "inputs='series'")),
        ("cifar_cnn", dict(scale=[1.0] * 3), ("scale", "offset", "inputs='series'", "image")),
        (
            "cifar_cnn",
            dict(input_shape=(4, 4, 3)),
            ("1x1", "block3_pool", "filters", "padding='same'"),
        ),
        (
            "mnist_cnn",
            dict(input_shape=(10, 10, 1)),
            ("1x1", "block3_conv1", "filters", "padding='same'"),
        ),
        ("cifar_resnet", dict(filters=(32, 16)), ("filters=(32, 16)", "block='residual'")),
        ("text_cnn", dict(kernel_size=()), ("kernel_size=()",)),
        ("text_cnn", dict(kernel_size=(3, 3)), ("kernel_size=(3, 3)",)),
        ("text_cnn", dict(filters=(50, 60)), ("filters", "2", "3")),
        ("text_cnn", dict(vocabulary_size=0), ("vocabulary_size=0",)),
        ("text_cnn", dict(embedding_dim=0), ("embedding_dim=0",)),
        ("text_cnn", dict(embedding_dropout=2), ("embedding_dropout=2",)),
        ("series_tcn", dict(horizon=0), ("horizon=0",)),
        ("series_tcn", dict(horizon=None), ("reversible_norm=True", "horizon")),
        ("series_tcn", dict(outputs=2), ("outputs=2", "input_shape=(96, 1)")),
        ("series_tcn", dict(scale=[1.0, 2.0]), ("scale", "2", "1")),
    ],
)
def test_bad_values_are_named(preset, values, parts):
    with refuses(*parts):
        kzoo.build(replace(kzoo.get_preset(preset), config=kzoo.get_preset(preset).config | values))
