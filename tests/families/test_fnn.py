"""Feed-forward networks: the tutorial's sizes, the arithmetic, the gradients, the refusals."""

from dataclasses import replace
from itertools import pairwise

import keras
import numpy as np
import pytest
from messages import refuses
from reference import batch_norm, dense, randomize, relu, softmax, weights
from scipy.stats import norm

import kzoo
from kzoo.zoo.families import fnn
from kzoo.zoo.registry import get_preset, list_presets


def build(name, **overrides):
    return fnn.build(name=name, **{**get_preset(name).config, **overrides})


def predict(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def layer_kinds(model):
    """Layers as the tutorial writes them: an activation belongs to the layer before it."""
    kinds = []
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "Activation":
            kinds[-1] += f" {layer.activation.__name__}"
        elif kind not in ("InputLayer", "Rescaling"):
            size = {"Dense": "units", "Dropout": "rate"}.get(kind)
            kinds.append(f"{kind} {getattr(layer, size)}" if size else kind)
    return kinds


@pytest.mark.parametrize("name", list_presets(family="fnn"))
def test_a_preset_has_its_recorded_parameters(name):
    assert build(name).count_params() == get_preset(name).params


def test_the_tutorials_networks():
    assert layer_kinds(build("iris_fnn")) == ["Dense 64 relu", "Dense 32 relu", "Dense 3 softmax"]
    assert layer_kinds(build("iris_fnn_wide")) == [
        "Dense 128 relu",
        "Dropout 0.2",
        "Dense 64 relu",
        "Dropout 0.2",
        "Dense 32 relu",
        "Dense 3 softmax",
    ]
    assert layer_kinds(build("line_fnn")) == ["Dense 10 relu", "Dense 1"]


def test_scaling_adds_no_parameters():
    assert (
        build("iris_fnn").count_params() == build("iris_fnn", rescale=False).count_params() == 2_499
    )


def test_dense_network_matches_numpy():
    scale = [0.5, 2.0, 1.0]
    offset = [1.0, -1.0, 0.25]
    model = randomize(
        fnn.build(
            name="net",
            input_shape=(5,),
            outputs=2,
            units=(7, 6),
            norm="batch",
            dropout=0.3,
            scale=scale,
            offset=offset,
            categories=(3, 4),
            output_activation=None,
            target_scale=[10.0, 0.1],
            target_offset=[-3.0, 4.0],
        )
    )
    rng = np.random.default_rng(1)
    codes = np.stack([rng.integers(0, 3, 9), rng.integers(0, 4, 9)], axis=1)
    numbers = rng.normal(size=(9, 3))

    x = numbers * scale + offset
    embedded = [weights(model, f"category{i + 1}")[0][codes[:, i]] for i in range(2)]
    x = np.concatenate([x, *embedded], axis=1)
    for i in (1, 2):
        x = relu(dense(x, *weights(model, f"hidden{i}_dense")))
        x = batch_norm(x, *weights(model, f"hidden{i}_norm"))
    expected = dense(x, *weights(model, "outputs")) * [10.0, 0.1] + [-3.0, 4.0]

    answer = predict(model, np.concatenate([numbers, codes], axis=1).astype("float32"))
    np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-4)


def test_residual_blocks_match_numpy():
    model = randomize(build("tabular_resnet", input_shape=(4,), outputs=3, units=(6, 6)))
    rows = np.random.default_rng(1).normal(size=(5, 4))

    x = dense(rows, *weights(model, "stem_dense"))
    for i in (1, 2):
        y = batch_norm(x, *weights(model, f"block{i}_norm"))
        y = relu(dense(y, *weights(model, f"block{i}_hidden_dense")))
        x = x + dense(y, *weights(model, f"block{i}_dense"))
    x = relu(batch_norm(x, *weights(model, "final_norm")))
    expected = softmax(dense(x, *weights(model, "outputs")))

    np.testing.assert_allclose(predict(model, rows.astype("float32")), expected, atol=1e-5)


def test_members_share_layers_and_answer_by_their_mean():
    settings = dict(
        units=(5, 4),
        members=3,
        norm="layer",
        dropout=0.2,
        target_scale=[2.0, 3.0],
        target_offset=[0, 1.0],
    )
    model = randomize(
        fnn.build(name="net", input_shape=(4,), outputs=2, output_activation=None, **settings)
    )
    rows = np.random.default_rng(1).normal(size=(7, 4))
    answers = []
    for member in range(3):
        x = rows * weights(model, "members_factors")[0].reshape(3, 4)[member]
        for i in (1, 2):
            kernel, bias = weights(model, f"hidden{i}_dense")
            x = relu(x @ kernel + bias)
            gamma, beta = weights(model, f"hidden{i}_norm")
            x = (
                gamma * (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-6)
                + beta
            )
        kernel, bias = weights(model, "outputs")
        answers.append(x @ kernel[member] + bias[member])
    expected = np.mean(answers, axis=0) * [2.0, 3.0] + [0, 1.0]
    np.testing.assert_allclose(
        predict(model, rows.astype("float32")), expected, rtol=1e-4, atol=1e-4
    )


def test_dropout_leaves_out_the_same_features_in_all_members():
    model = fnn.build(name="net", input_shape=(4,), outputs=2, units=(50,), members=3, dropout=0.5)
    each = keras.Model(model.input, model.get_layer("hidden1_dropout").output)
    before = keras.Model(model.input, model.get_layer("hidden1_relu").output)
    rows = np.random.default_rng(1).normal(size=(7, 4)).astype("float32")
    left, active = (
        keras.ops.convert_to_numpy(v) for v in (each(rows, training=True) != 0, before(rows) > 0)
    )
    dropped = (active & ~left).any(axis=1)  # (7, 50)
    assert 0.1 < dropped.mean() < 0.7 and not (left & dropped[:, None]).any()
    assert len({tuple(row) for row in dropped}) == 7


def test_bins_are_linear_between_their_ends_and_numbers_become_normal():
    """A column of ordinary numbers, one with a frequent value, a mark that is rarely set, and large ones far from 0."""
    edges = [
        [-1.0, 0.0, 0.5, 2.0, 9.0],
        [0.0, 0.0, 0.0, 3.0, 4.0],
        [0.0, 0.0, 0.0, 0.0, 1.0],
        [1e6, 1e6, 1e6, 1e6, 1e6 + 1],
    ]
    edges[3] = [1.6e9 + 1e6 * number for number in range(5)]
    model = fnn.build(
        name="net",
        input_shape=(4,),
        outputs=1,
        units=(),
        bins=4,
        bins_dim=3,
        edges=np.ravel(edges).tolist(),
        output_activation=None,
    )
    x = np.array(
        [
            [-5, 0, 0, 1.6e9 - 9],
            [0.25, 1.5, 1, 1.6e9 + 5e5],
            [1.25, 3.5, 0.5, 1.6e9 + 25e5],
            [99, 9, 2, 2e9],
        ],
        "float32",
    )
    normal = norm.ppf((np.arange(5) + 0.5) / 5)
    inside = keras.Model(
        model.input, [model.get_layer("quantiles").output, model.get_layer("bins").output]
    )
    z, bins = map(keras.ops.convert_to_numpy, inside(x))
    for column, ends in enumerate(edges):
        distinct = sorted(set(ends))
        heights = [normal[[end == one for one in ends]].mean() for end in distinct]
        np.testing.assert_allclose(
            z[:, column], np.interp(x[:, column], distinct, heights), atol=1e-3
        )
        for i, (low, high) in enumerate(pairwise(distinct)):
            np.testing.assert_allclose(
                bins[:, i, column], np.clip((x[:, column] - low) / (high - low), 0, 1), atol=1e-3
            )
        assert not bins[:, len(distinct) - 1 :, column].any()
    kernel, bias = weights(model, "bins_embedding")
    embedded = keras.ops.convert_to_numpy(
        keras.Model(model.input, model.get_layer("bins_flatten").output)(x)
    )
    np.testing.assert_allclose(
        embedded.reshape(4, 4, 3), np.einsum("bnf,nfd->bfd", bins, kernel) + bias, atol=1e-5
    )


def test_images_are_scaled_from_raw_pixels_and_flattened():
    model = randomize(build("mnist_fnn", input_shape=(2, 3, 1), units=(4,), norm=None))
    pixels = np.random.default_rng(1).integers(0, 256, (5, 2, 3, 1))
    x = relu(dense(pixels.reshape(5, 6) / 255, *weights(model, "hidden1_dense")))
    expected = softmax(dense(x, *weights(model, "outputs")))
    np.testing.assert_allclose(predict(model, pixels.astype("float32")), expected, atol=1e-5)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="takes gradients with a GradientTape"
)
@pytest.mark.parametrize("residual", [False, True])
def test_gradients_match_finite_differences(residual):
    import tensorflow as tf

    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        model = fnn.build(
            name="net",
            input_shape=(4,),
            outputs=2,
            units=(5, 5),
            activation="tanh",
            norm="layer",
            residual=residual,
            categories=(3,),
            output_activation=None,
        )
    finally:
        keras.config.set_dtype_policy(policy)
    randomize(model)
    rng = np.random.default_rng(1)
    rows = np.concatenate([rng.normal(size=(6, 3)), rng.integers(0, 3, (6, 1))], axis=1).astype(
        "float32"
    )
    target = rng.normal(size=(6, 2))

    @tf.function  # some hundred calls
    def loss():
        return tf.reduce_mean((model(rows, training=False) - target) ** 2)

    with tf.GradientTape() as tape:
        value = loss()
    assert value.dtype == tf.float64
    step = 1e-6
    variables = model.trainable_variables
    gradients = tape.gradient(value, [v.value for v in variables])
    for variable, gradient in zip(variables, gradients, strict=True):
        start = variable.numpy()
        slopes = np.zeros(variable.shape)
        for index in np.ndindex(*variable.shape):
            moved = start.copy()
            moved[index] += step
            variable.assign(moved)
            above = float(loss())
            moved[index] -= 2 * step
            variable.assign(moved)
            slopes[index] = (above - float(loss())) / (2 * step)
            variable.assign(start)
        np.testing.assert_allclose(tf.convert_to_tensor(gradient), slopes, rtol=1e-5, atol=1e-8)


def test_the_penalty_is_part_of_the_loss():
    model = fnn.build(name="net", input_shape=(2,), outputs=1, units=(3,), l1=0.1, l2=0.01)
    kernel = weights(model, "hidden1_dense")[0]
    expected = 0.1 * np.abs(kernel).sum() + 0.01 * (kernel**2).sum()
    np.testing.assert_allclose(float(sum(model.losses)), expected, rtol=1e-5)


def test_leaky_relu_has_the_usual_slope():
    model = fnn.build(name="net", input_shape=(1,), outputs=1, units=(1,), activation="leaky_relu")
    hidden = keras.Model(model.input, model.get_layer("hidden1_leaky_relu").output)
    for weight, value in zip(hidden.weights, ([[1.0]], [0.0]), strict=True):
        weight.assign(value)
    np.testing.assert_allclose(
        predict(hidden, np.array([[-2.0], [3.0]], "float32")), [[-0.02], [3.0]], rtol=1e-6
    )


def test_a_saved_model_answers_the_same(tmp_path):
    model = randomize(
        build(
            "tabular_resnet", input_shape=(6,), units=(8, 8), categories=(3, 5), activation="gelu"
        )
    )
    rows = np.random.default_rng(1).integers(0, 3, (4, 6)).astype("float32")
    model.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras", safe_mode=True)
    np.testing.assert_array_equal(predict(loaded, rows), predict(model, rows))


def test_only_categories_and_no_hidden_layer():
    model = fnn.build(name="net", input_shape=(2,), outputs=3, units=(), categories=(4, 9))
    answer = predict(model, np.array([[0, 0], [3, 8]], "float32"))
    np.testing.assert_allclose(answer.sum(axis=1), 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        (dict(inputs="pixels"), ("inputs='pixels'", "image", "rows", "series", "tokens")),
        (dict(units=(64, 0)), ("units=0",)),
        (dict(units=(64, 2.5)), ("units=2.5",)),
        (dict(outputs=0), ("outputs=0",)),
        (dict(outputs=True), ("outputs=True",)),
        (dict(dropout=1.0), ("dropout=1.0",)),
        (dict(dropout=-0.1), ("dropout=-0.1",)),
        (dict(dropout=(0.1, 0.2, 0.3)), ("dropout", "3", "2")),
        (dict(activation="rellu"), ("activation='rellu'", "relu", "silu")),
        (dict(output_activation="sofmax"), ("output_activation='sofmax'", "softmax")),
        (dict(norm="group"), ("norm='group'", "batch", "layer", "rms")),
        (dict(l2=-1e-3), ("l2=-0.001",)),
        (dict(residual=True), ("units=(64, 32)", "residual=True", "(128, 128)")),
        (dict(residual=True, units=()), ("units=()", "residual=True", "(128, 128)")),
        (dict(input_shape=(4, 1)), ("input_shape=(4, 1)", "columns")),
        (dict(input_shape=(None,)), ("input_shape=(None,)", "(steps, features)")),
        (dict(scale=[1.0]), ("scale", "1", "4")),
        (dict(offset=[1.0] * 5), ("offset", "5", "4")),
        (dict(scale=[1.0] * 4, categories=(3,)), ("scale", "4", "3")),
        (dict(bins=-1), ("bins=-1",)),
        (dict(bins=2, edges=[0.0, 1.0, 2.0]), ("edges", "3", "4 columns", "2 bins", "12")),
        (dict(members=1), ("members=1",)),
        (dict(members=4, residual=True, units=(8, 8)), ("members=4", "residual=True")),
        (dict(categories=(2,) * 5), ("categories", "5", "4")),
        (dict(categories=(0,)), ("categories=0",)),
        (dict(target_scale=[1.0]), ("target_scale", "1", "3 outputs")),
        (
            dict(inputs="image", input_shape=(4, 4, 1), categories=(2,)),
            ("categories", "scale", "offset", "inputs='rows'"),
        ),
    ],
)
def test_bad_values_are_named(values, parts):
    preset = kzoo.get_preset("iris_fnn")
    with refuses(*parts):
        kzoo.build(replace(preset, config=preset.config | values))


def test_one_width_is_one_layer():
    assert kzoo.spec_of(kzoo.build("iris_fnn", units=64))["config"]["units"] == (64,)
