import itertools

import keras
import numpy as np
import pytest
import reference_sequence as reference
from messages import refuses
from reference import batch_norm

import kzoo
from kzoo.zoo.families import transformer
from kzoo.zoo.registry import get_preset

rng = np.random.default_rng(0)
SMALL = {
    "imdb_transformer": dict(input_shape=(9,), vocabulary_size=20, width=8),
    "text_transformer": dict(input_shape=(9,), vocabulary_size=20, width=8, intermediate_dim=12),
    "char_transformer": dict(input_shape=(9,), vocabulary_size=20, outputs=20, width=8, depth=2),
    "char_gpt": dict(
        input_shape=(9,),
        vocabulary_size=20,
        outputs=20,
        width=8,
        depth=2,
        num_heads=2,
        intermediate_dim=12,
    ),
    "cifar_vit": dict(input_shape=(8, 8, 3), width=8, depth=2, intermediate_dim=12),
    "series_transformer": dict(
        input_shape=(12, 3), outputs=2, horizon=5, patch_size=4, patch_stride=2, width=8, depth=1
    ),
    "tabular_transformer": dict(input_shape=(5,), categories=(3, 4), width=8, intermediate_dim=12),
}
TEXT = ("imdb_transformer", "text_transformer")


def small(name, **overrides):
    """Build a preset with the architecture it has, at a fraction of its size, with random weights."""
    config = get_preset(name).config | SMALL[name] | overrides
    return randomize(transformer.build(name=name, **config))


def randomize(model):
    """Give every weight, biases included, a random value."""
    for weight in model.weights:
        value = rng.normal(0, 0.5, weight.shape)
        weight.assign(abs(value) + 0.5 if weight.name == "moving_variance" else value)
    return model


def examples(name, count=3):
    shape = (count, *SMALL[name]["input_shape"])
    if "vocabulary_size" in SMALL[name]:
        return rng.integers(1, 20, shape)
    if name == "tabular_transformer":
        return np.concatenate(
            [rng.normal(size=(count, 3)), rng.integers(0, 3, (count, 2))], 1
        ).astype("float32")
    return (rng.uniform(0, 255, shape) if name == "cifar_vit" else rng.normal(size=shape)).astype(
        "float32"
    )


def predict(model, x):
    """Return answers without tracing a graph, which costs more than all the rest of a test."""
    return keras.ops.convert_to_numpy(model(np.asarray(x), training=False))


def pad(text, left, length=9):
    return [0] * left + list(text) + [0] * (length - left - len(text))


def block_weights(model, name):
    parts = ("attention", "attention_norm", "dense_norm", "expand", "project")
    return {part: model.get_layer(f"{name}_{part}").get_weights() for part in parts}


def test_attention_matches_the_numpy_reference():
    layer = keras.layers.MultiHeadAttention(4, 2)
    x = rng.normal(size=(3, 6, 8)).astype("float32")
    mask = rng.random((3, 6, 6)) < 0.7
    mask[:, :, 0] = True
    layer(x, x)
    layer.set_weights([rng.normal(0, 0.5, w.shape) for w in layer.get_weights()])
    for attention_mask in (None, mask):
        answer = keras.ops.convert_to_numpy(layer(x, x, attention_mask=attention_mask))
        np.testing.assert_allclose(
            answer, reference.attention(x, layer.get_weights(), attention_mask), atol=1e-5
        )


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("position", ["pre", "post"])
@pytest.mark.parametrize("causal", [False, True])
def test_one_encoder_block_matches_the_numpy_reference(position, activation, causal):
    inputs = keras.Input((6, 8))
    real = keras.Input((6,), dtype="bool")
    answer = transformer.encoder_block(
        inputs,
        name="b",
        num_heads=4,
        intermediate_dim=12,
        activation=activation,
        norm_position=position,
        dropout=0.1,
        real=real,
        causal=causal,
    )
    model = randomize(keras.Model([inputs, real], answer))
    x = rng.normal(size=(3, 6, 8)).astype("float32")
    tokens = np.arange(6) < np.array([[6], [4], [1]])
    mask = np.broadcast_to(tokens[:, None, :], (3, 6, 6)) & (
        np.tri(6, dtype=bool) if causal else True
    )
    expected = reference.encoder_block(
        x,
        block_weights(model, "b"),
        position=position,
        mask=mask,
        activation=reference.gelu if activation == "gelu" else lambda y: np.maximum(y, 0),
    )
    answer = keras.ops.convert_to_numpy(model([x, tokens], training=False))
    np.testing.assert_allclose(answer, expected, atol=1e-5)


@pytest.mark.parametrize("position", ["pre", "post"])
def test_a_block_of_patchtst_normalises_over_the_batch(position, monkeypatch):
    inputs = keras.Input((6, 2, 8))  # two series that do not see each other
    answer = transformer.encoder_block(
        inputs,
        name="b",
        num_heads=4,
        intermediate_dim=12,
        activation="gelu",
        norm="batch",
        norm_position=position,
        dropout=0.1,
    )
    model = randomize(keras.Model(inputs, answer))
    monkeypatch.setattr(reference, "layer_norm", lambda x, weights: batch_norm(x, *weights))
    x, weights = rng.normal(size=(3, 6, 2, 8)).astype("float32"), block_weights(model, "b")
    expected = [reference.encoder_block(x[:, :, i], weights, position=position) for i in range(2)]
    np.testing.assert_allclose(predict(model, x), np.stack(expected, axis=2), atol=1e-5)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", None])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_whole_text_model_matches_the_numpy_reference(positions, pooling):
    how = dict(positions=positions, pooling=pooling, norm_position="pre", output_activation=None)
    model = small("text_transformer", **how)
    ids = rng.integers(1, 20, (3, 6))
    x = model.get_layer("embedding").get_weights()[0][ids]
    if positions == "sinusoidal":
        x = x * np.sqrt(8)
    if pooling == "cls":
        token = np.broadcast_to(model.get_layer("class_token").get_weights()[0], (3, 1, 8))
        x = np.concatenate([token, x], 1)
    if positions == "learned":
        x = x + model.get_layer("positions").get_weights()[0][: x.shape[1]]
    if positions == "sinusoidal":
        angles = np.arange(x.shape[1])[:, None] / 10_000 ** (np.arange(0, 8, 2) / 8)
        x = x + np.concatenate([np.sin(angles), np.cos(angles)], 1)
    x = reference.encoder_block(x, block_weights(model, "block1"), position="pre")
    x = reference.layer_norm(x, model.get_layer("final_norm").get_weights())
    kernel, bias = model.get_layer("outputs").get_weights()
    expected = (x.mean(1) if pooling == "mean" else x[:, 0]) @ kernel + bias
    padded = np.concatenate([ids, np.zeros((3, 3), int)], 1)
    np.testing.assert_allclose(predict(model, padded), expected, atol=1e-5)


# Each two of these values meet in one of the six; the other combinations are slow.
PADDED = (
    ("learned", "mean", "pre", "imdb_transformer"),
    ("learned", "cls", "post", "text_transformer"),
    ("sinusoidal", "mean", "post", "text_transformer"),
    ("sinusoidal", "cls", "pre", "imdb_transformer"),
    (None, "mean", "pre", "text_transformer"),
    (None, "cls", "post", "imdb_transformer"),
)
EVERY = itertools.product(("learned", "sinusoidal", None), ("mean", "cls"), ("pre", "post"), TEXT)


@pytest.mark.parametrize(
    ("positions", "pooling", "norm_position", "name"),
    [each if each in PADDED else pytest.param(*each, marks=pytest.mark.slow) for each in EVERY],
)
def test_padding_on_either_side_changes_nothing(positions, pooling, norm_position, name):
    settings = dict(pooling=pooling, positions=positions, norm_position=norm_position, depth=2)
    model = small(name, **settings)
    text = [5, 3, 8, 1]
    answers = predict(model, [*(pad(text, left) for left in range(6)), [0] * 9])
    assert np.isfinite(answers).all()
    np.testing.assert_allclose(
        answers[:6], np.broadcast_to(answers[:1], answers[:6].shape), atol=1e-5
    )


def test_a_padded_row_answers_as_the_shorter_row_does():
    model = small("imdb_transformer")
    shorter = small("imdb_transformer", input_shape=(4,))
    shorter.set_weights(model.get_weights())
    expected = predict(shorter, [[5, 3, 8, 1]])
    np.testing.assert_allclose(predict(model, [pad([5, 3, 8, 1], 2)]), expected, atol=1e-5)


@pytest.mark.parametrize("name", [*TEXT, "char_transformer", "char_gpt"])
def test_order_matters_and_a_row_of_padding_is_finite(name):
    answers = predict(small(name), [pad([5, 3, 8, 1], 2), pad([8, 5, 1, 3], 2), [0] * 9])
    assert np.abs(answers[0] - answers[1]).max() > 1e-4
    assert np.isfinite(answers).all()


@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("causal", [False, True])
def test_rotary_attention_matches_the_numpy_reference(norm, causal):
    """A model of one block, with padding on the left: positions count from the first real token."""
    model = small("char_gpt", depth=1, norm=norm, causal=causal, output_activation=None)
    ids = np.array([pad([5, 3, 8, 1], 2), rng.integers(1, 20, 9)])
    real = ids != 0
    mask = real[:, None] & (np.tri(9, dtype=bool) if causal else True) | np.eye(9, dtype=bool)
    of_heads = [
        lambda z, part=part: normalize(z, weights[f"block1_{part}_norm"])
        for part in ("query", "key")
    ]
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    normalize = reference.layer_norm if norm == "layer" else reference.rms_norm
    x = weights["embedding"][0][ids]
    y = normalize(x, weights["block1_attention_norm"])
    where = np.maximum(np.cumsum(real, 1) - 1, 0)
    x = x + reference.rotary_attention(
        y,
        *(weights[f"block1_{part}"][0] for part in ("query", "key", "value", "attention")),
        where=where,
        heads=2,
        mask=mask,
        norms=of_heads,
    )
    y = normalize(x, weights["block1_dense_norm"])
    (up, bias), (down, shift) = weights["block1_expand"], weights["block1_project"]
    x = normalize(x + reference.gelu(y @ up + bias) @ down + shift, weights["final_norm"])
    kernel, bias = weights["outputs"]
    np.testing.assert_allclose(predict(model, ids)[real], (x @ kernel + bias)[real], atol=1e-4)


@pytest.mark.parametrize("name", ["char_transformer", "char_gpt"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_causal_model_answers_before_it_sees_what_comes_later(name, dropout):
    model = small(name, dropout=dropout)
    first, second = examples(name, 2)
    second[:5] = first[:5]
    answers = predict(model, [first, second])
    np.testing.assert_allclose(answers[0, :5], answers[1, :5], atol=1e-6)
    assert np.abs(answers[0, 5:] - answers[1, 5:]).max() > 1e-4
    left, right = predict(model, [pad([5, 3, 8, 1], 5), pad([5, 3, 8, 1], 0)])
    np.testing.assert_allclose(left[5:], right[:4], atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_dropout_is_for_training_only(name):
    model = small(name, dropout=0.3)
    x = examples(name)
    np.testing.assert_array_equal(predict(model, x), predict(model, x))
    noisy = [keras.ops.convert_to_numpy(model(x, training=True)) for _ in range(2)]
    assert np.abs(noisy[0] - noisy[1]).max() > 1e-6


@pytest.mark.parametrize("name", SMALL)
def test_a_saved_model_loads_safely_with_equal_answers(name, tmp_path):
    model, x = small(name), examples(name)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    # One of them as a traced graph: that answers as the layers do one by one.
    np.testing.assert_allclose(again.predict_on_batch(x), predict(model, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_every_weight_learns(name):
    """Positions and class tokens among them: an `Embedding` of a constant index silently never would."""
    model = small(name)
    x = examples(name, 8)
    before = {w.path: w.numpy() for w in model.trainable_variables}
    shape = predict(model, x).shape
    model.compile("sgd", "mse", run_eagerly=True)
    model.train_on_batch(x, rng.normal(size=shape))
    # The bias of the keys shifts all scores of a row alike, so it has no effect and no gradient.
    still = {
        w.path
        for w in model.trainable_variables
        if np.array_equal(before[w.path], w.numpy()) and not w.path.endswith("key/bias")
    }
    assert not still


def test_image_patches_are_read_where_they_are():
    model = small("cifar_vit", pooling="mean", positions=None)
    x = examples("cifar_vit", 1)
    moved = np.concatenate([x[:, 4:], x[:, :4]], 1)
    np.testing.assert_allclose(predict(model, moved), predict(model, x), atol=1e-5)
    model = small("cifar_vit", positions="learned")
    assert np.abs(predict(model, moved) - predict(model, x)).max() > 1e-4
    unscaled = small("cifar_vit", rescale=False)
    unscaled.set_weights(model.get_weights())
    np.testing.assert_allclose(predict(unscaled, x / 255), predict(model, x), atol=1e-5)


@pytest.mark.parametrize("pooling", ["flatten", "mean"])
def test_a_forecast_depends_on_the_past_of_its_series_alone(pooling):
    model = small("series_transformer", pooling=pooling)
    x = examples("series_transformer")
    answer = predict(model, x)
    assert answer.shape == (3, 5, 2)
    other = x.copy()
    other[:, :, 1:] = rng.normal(size=other[:, :, 1:].shape)
    np.testing.assert_allclose(predict(model, other)[..., 0], answer[..., 0], atol=1e-5)
    assert np.abs(predict(model, other)[..., 1] - answer[..., 1]).max() > 1e-3
    swapped = predict(model, x[:, :, [1, 0, 2]])
    np.testing.assert_allclose(swapped, answer[:, :, ::-1], atol=1e-5)
    np.testing.assert_allclose(predict(model, x * 3 + 50), answer * 3 + 50, atol=5e-3)


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5])
def test_the_newest_step_always_counts(stride):
    # Without the norm of the window, through which the step would reach the forecast.
    model = small("series_transformer", patch_stride=stride, reversible_norm=False)
    x = examples("series_transformer")
    later = x.copy()
    later[:, -1] += 1
    assert np.abs(predict(model, later) - predict(model, x)).max() > 1e-3


def test_one_answer_for_a_whole_series():
    model = small("series_transformer", horizon=None, reversible_norm=False, outputs=2)
    assert predict(model, examples("series_transformer")).shape == (3, 2)


@pytest.mark.parametrize(("columns", "categories"), [(4, ()), (4, (3,)), (2, (3, 4)), (1, (3,))])
def test_rows_of_numbers_categories_or_both(columns, categories):
    model = small("tabular_transformer", input_shape=(columns,), categories=categories)
    codes = [rng.integers(0, count, 6) for count in categories]
    x = np.stack([*rng.normal(size=(columns - len(categories), 6)), *codes], 1).astype("float32")
    answer = predict(model, x)
    for column in range(columns):
        changed = x.copy()
        changed[:, column] = x[:, column] == 0
        assert np.abs(predict(model, changed) - answer).max() > 1e-5, f"column {column} is not read"


def test_scaling_is_inside_and_regression_answers_in_the_unit_of_the_target():
    settings = dict(categories=(), outputs=1, output_activation=None)
    plain = small("tabular_transformer", **settings)
    numbers = dict(scale=[2.0] * 5, offset=[-1.0] * 5, target_scale=[10.0], target_offset=[7.0])
    scaled = small("tabular_transformer", **settings, **numbers)
    scaled.set_weights(plain.get_weights())
    x = rng.normal(size=(3, 5)).astype("float32")
    np.testing.assert_allclose(predict(scaled, x), predict(plain, x * 2 - 1) * 10 + 7, atol=1e-4)


def test_heads_share_the_width():
    preset = get_preset("imdb_transformer")
    attention = transformer.build(name="m", **preset.config).get_layer("block1_attention")
    assert (attention.num_heads, attention.key_dim, attention.value_dim) == (4, 32, 32)


BAD = [
    (dict(inputs="audio"), ("inputs='audio'", "image", "rows", "series", "tokens")),
    (dict(num_heads=3), ("num_heads=3", "width=8")),
    (
        dict(width=9, num_heads=3, positions="sinusoidal"),
        ("width=9", "even", "positions='sinusoidal'"),
    ),
    (dict(depth=0), ("depth=0",)),
    (dict(depth=(2, 2)), ("depth=(2, 2)",)),
    (dict(outputs=0), ("outputs=0",)),
    (dict(num_heads=0), ("num_heads=0",)),
    (dict(vocabulary_size=0), ("vocabulary_size=0",)),
    (dict(input_shape=(9, 2)), ("input_shape=(9, 2)", "1", "tokens")),
    (dict(norm="batch"), ("norm='batch'", "layer", "rms")),
    (dict(inputs="rows", norm=None), ("norm=None", "layer", "rms", "batch")),
    (dict(norm_position="middle"), ("norm_position='middle'", "pre", "post")),
    (dict(positions="rotated"), ("positions='rotated'", "learned", "sinusoidal", "rotary")),
    (
        dict(positions="rotary", pooling="cls"),
        ("positions='rotary'", "inputs='tokens'", "pooling='mean'", "None"),
    ),
    (
        dict(positions="rotary", width=12, num_heads=4),
        ("width=12", "3", "num_heads=4", "positions='rotary'", "even"),
    ),
    (dict(activation="gelo"), ("activation='gelo'", "gelu")),
    (dict(dropout=1.0), ("dropout=1.0",)),
    (dict(dropout=(0.1, 0.2)), ("dropout=(0.1, 0.2)",)),
    (dict(dense_dropout=-1), ("dense_dropout=-1",)),
    (dict(dense_units=(0,)), ("dense_units=0",)),
    (dict(pooling="flatten"), ("pooling='flatten'", "inputs='tokens'", "mean", "cls", "None")),
    (
        dict(pooling="cls", causal=True),
        ("causal=True", "inputs='tokens'", "pooling=None", "'mean'"),
    ),
    (
        dict(inputs="rows", causal=True),
        ("causal=True", "inputs='tokens'", "pooling=None", "'mean'"),
    ),
    (dict(horizon=3), ("horizon=3", "inputs='series'")),
    (dict(reversible_norm=True), ("reversible_norm=True", "horizon")),
    (
        dict(inputs="rows", pooling=None),
        ("pooling=None", "inputs='rows'", "mean", "cls", "flatten"),
    ),
    (dict(inputs="rows", categories=(2,) * 10), ("categories", "10", "9")),
    (dict(inputs="rows", scale=[1.0]), ("scale", "1", "9")),
    (dict(inputs="image", input_shape=(9, 8, 3)), ("patch_size=4", "height 9", "width 8")),
    (dict(inputs="image", input_shape=(8, 8, 3), patch_size=0), ("patch_size=0",)),
    (dict(inputs="series", input_shape=(9, 1), patch_size=10), ("patch_size=10", "9 steps")),
    (dict(inputs="series", input_shape=(9, 1), patch_stride=-1), ("patch_stride=-1",)),
    (dict(inputs="series", input_shape=(9, 1), horizon=2), ("outputs=2", "input_shape=(9, 1)")),
    (
        dict(inputs="series", input_shape=(9, 1), pooling="cls"),
        ("pooling='cls'", "inputs='series'", "mean", "flatten"),
    ),
]


@pytest.mark.parametrize(("change", "parts"), BAD)
def test_bad_values_are_named_in_a_line(change, parts):
    config = dict(input_shape=(9,), outputs=2, width=8) | change
    with refuses(*parts) as caught:
        kzoo.build(
            kzoo.Preset(
                name="m",
                family="transformer",
                task="text_classification",
                summary="",
                config=config,
                training={},
            )
        )
    assert "\n" not in str(caught.value)
