import keras
import numpy as np
import pytest
import reference_sequence as reference
from messages import refuses

import kzoo
from kzoo.zoo.families import recurrent
from kzoo.zoo.registry import get_preset

TEXT = ("imdb_rnn", "text_rnn", "imdb_lstm", "text_lstm", "text_bilstm", "text_gru", "language_gru")
rng = np.random.default_rng(0)


def small(name, **overrides):
    """Build a text preset with the architecture it has, at a fraction of its size."""
    preset = get_preset(name)
    units = tuple(4 + i for i in range(len(preset.config["units"])))
    config = preset.config | dict(
        input_shape=(9,), vocabulary_size=20, embedding_dim=6, units=units
    )
    config["outputs"] = min(config["outputs"], 20)
    return randomize(recurrent.build(name=name, cell=preset.family, **(config | overrides)))


def randomize(model):
    """Give every weight, biases included, a random value."""
    model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
    return model


def predict(model, x):
    """Return answers without tracing a graph, which costs more than all the rest of a test."""
    return keras.ops.convert_to_numpy(model(np.asarray(x), training=False))


def pad(text, left, length=9):
    return [0] * left + list(text) + [0] * (length - left - len(text))


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_step_matches_the_numpy_reference(cell, bidirectional):
    model = recurrent.build(
        name="m",
        cell=cell,
        inputs="series",
        input_shape=(7, 3),
        outputs=2,
        units=(5, 4),
        pooling=None,
        rescale=False,
        output_activation=None,
        bidirectional=bidirectional,
    )
    randomize(model)
    x = rng.normal(size=(3, 7, 3)).astype("float32")
    expected = x.astype("float64")
    run = getattr(reference, cell)
    for layer in (layer for layer in model.layers if layer.name.startswith("layer")):
        weights = layer.get_weights()
        if bidirectional:
            backward = run(expected[:, ::-1], weights[3:])[:, ::-1]
            expected = np.concatenate([run(expected, weights[:3]), backward], -1)
        else:
            expected = run(expected, weights)
    kernel, bias = model.get_layer("outputs").get_weights()
    np.testing.assert_allclose(predict(model, x), expected @ kernel + bias, atol=1e-5)


@pytest.mark.parametrize(
    ("pooling", "pool"),
    [
        ("last", lambda h: h[:, -1]),
        ("mean", lambda h: h.mean(1)),
        ("max", lambda h: h.max(1)),
    ],
)
@pytest.mark.parametrize("inputs", ["tokens", "series"])
def test_pooling_matches_the_numpy_reference(pooling, pool, inputs):
    model = recurrent.build(
        name="m",
        cell="gru",
        inputs=inputs,
        input_shape=(6,) if inputs == "tokens" else (6, 3),
        outputs=2,
        units=(5,),
        pooling=pooling,
        rescale=False,
        output_activation=None,
        vocabulary_size=9,
    )
    randomize(model)
    if inputs == "tokens":
        ids = rng.integers(1, 9, (3, 4))
        x = np.concatenate([ids, np.zeros((3, 2), int)], 1)
        read = model.get_layer("embedding").get_weights()[0][ids]
    else:
        x = read = rng.normal(size=(3, 6, 3)).astype("float32")
    kernel, bias = model.get_layer("outputs").get_weights()
    expected = pool(reference.gru(read, model.get_layer("layer1").get_weights())) @ kernel + bias
    np.testing.assert_allclose(predict(model, x), expected, atol=1e-5)


@pytest.mark.parametrize("name", TEXT)
def test_padding_on_either_side_changes_nothing(name):
    model = small(name)
    text = [5, 3, 8, 1]
    answers = predict(model, [pad(text, left) for left in range(6)])
    np.testing.assert_allclose(answers, np.broadcast_to(answers[:1], answers.shape), atol=1e-5)
    shorter = small(name, input_shape=(4,))
    shorter.set_weights(model.get_weights())
    np.testing.assert_allclose(predict(shorter, [text]), answers[:1], atol=1e-5)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_padding_changes_nothing_between_normalised_bidirectional_layers(pooling):
    model = small("text_bilstm", units=(4, 5), layer_norm=True, pooling=pooling)
    answers = predict(model, [pad([5, 3, 8, 1], left) for left in range(6)])
    np.testing.assert_allclose(answers, np.broadcast_to(answers[:1], answers.shape), atol=1e-5)


@pytest.mark.parametrize("name", TEXT)
def test_order_matters_and_a_row_of_padding_is_finite(name):
    answers = predict(small(name), [pad([5, 3, 8, 1], 2), pad([8, 5, 1, 3], 2), [0] * 9])
    assert np.abs(answers[0] - answers[1]).max() > 1e-4
    assert np.isfinite(answers).all()


def test_right_padding_changes_no_answer_before_it_when_every_step_answers():
    for bidirectional in (False, True):
        model = small("char_gru", bidirectional=bidirectional)
        short = small("char_gru", bidirectional=bidirectional, input_shape=(4,))
        short.set_weights(model.get_weights())
        np.testing.assert_allclose(
            predict(model, [pad([5, 3, 8, 1], 0)])[:, :4], predict(short, [[5, 3, 8, 1]]), atol=1e-5
        )


@pytest.mark.parametrize("name", ["char_gru", "language_gru"])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_stateful_copy_reads_token_by_token_what_the_model_reads_at_once(name, cell):
    config = get_preset(name).config | dict(vocabulary_size=20, outputs=20, embedding_dim=6)
    config["units"] = tuple(4 + i for i in range(len(config["units"])))
    model = randomize(recurrent.build(name="m", cell=cell, **(config | dict(input_shape=(6,)))))
    copy = recurrent.build(name="m", cell=cell, **(config | dict(input_shape=(1,), stateful=True)))
    copy.set_weights(model.get_weights())
    text = rng.integers(1, 20, 6)
    steps = np.concatenate([predict(copy, [[token]]).reshape(1, 20) for token in text])  # (T, V)
    # (T, V), or (1, V) where only the last step answers
    whole = predict(model, [text]).reshape(-1, 20)
    assert len(whole) == (6 if name == "char_gru" else 1)
    np.testing.assert_allclose(steps[-len(whole) :], whole, atol=1e-5)
    again = predict(copy, [[text[0]]])
    assert np.abs(again.reshape(20) - steps[0]).max() > 1e-4, "the copy must remember what it read"


def test_the_tutorials_networks_layer_by_layer():
    def size(layer):
        if isinstance(layer, keras.layers.Embedding):
            return layer.input_dim, layer.output_dim
        return layer.rate if isinstance(layer, keras.layers.Dropout) else layer.units

    def layers(name):
        preset = get_preset(name)
        model = recurrent.build(name=name, cell=preset.family, **preset.config)
        kinds = (keras.layers.Embedding, keras.layers.RNN, keras.layers.Dense, keras.layers.Dropout)
        sizes = [x for x in model.layers if isinstance(x, kinds)]
        return [(type(x).__name__, size(x)) for x in sizes]

    assert layers("imdb_rnn") == [
        ("Embedding", (10_000, 128)),
        ("SimpleRNN", 64),
        ("SimpleRNN", 32),
        ("Dense", 1),
    ]
    assert layers("imdb_lstm") == [
        ("Embedding", (10_000, 128)),
        ("LSTM", 128),
        ("Dropout", 0.2),
        ("LSTM", 64),
        ("Dropout", 0.2),
        ("Dense", 32),
        ("Dense", 1),
    ]
    assert layers("language_gru") == [
        ("Embedding", (10_000, 128)),
        ("GRU", 256),
        ("Dropout", 0.2),
        ("GRU", 128),
        ("Dropout", 0.2),
        ("GRU", 64),
        ("Dropout", 0.2),
        ("Dense", 10_000),
    ]


def test_only_bidirectional_layers_get_a_mask_and_series_none_at_all():
    def arguments(model):
        return [
            node.arguments.kwargs.get("mask")
            for layer in model.layers
            if layer.name.startswith("layer1")
            for node in layer._inbound_nodes
        ]

    assert arguments(small("imdb_lstm")) and not any(
        m is not None for m in arguments(small("imdb_lstm"))
    )
    assert any(m is not None for m in arguments(small("text_bilstm")))
    series = get_preset("adding_lstm")
    model = recurrent.build(name="m", cell="lstm", **series.config)
    assert [type(x).__name__ for x in model.layers] == ["InputLayer", "LSTM", "Dense"]


def test_a_forecast_follows_the_level_and_scale_of_its_window():
    config = get_preset("series_lstm").config | dict(
        input_shape=(12, 3), outputs=2, horizon=4, units=(5,)
    )
    model = randomize(recurrent.build(name="m", cell="lstm", **config))
    x = rng.normal(size=(4, 12, 3)).astype("float32")
    answer = predict(model, x)
    assert answer.shape == (4, 4, 2)
    moved = predict(model, x * 3 + 50)
    np.testing.assert_allclose(moved, answer * 3 + 50, atol=2e-3)


def test_series_are_scaled_inside_and_answers_come_in_the_unit_of_the_target():
    config = get_preset("adding_gru").config | dict(input_shape=(5, 2), units=(4,))
    plain = randomize(recurrent.build(name="m", cell="gru", **config))
    scaling = dict(
        rescale=True, scale=[2.0, 0.5], offset=[1.0, -1.0], target_scale=[10.0], target_offset=[7.0]
    )
    scaled = recurrent.build(name="m", cell="gru", **(config | scaling))
    scaled.set_weights(plain.get_weights())
    x = rng.normal(size=(3, 5, 2)).astype("float32")
    inside = x * np.float32([2.0, 0.5]) + np.float32([1.0, -1.0])
    np.testing.assert_allclose(predict(scaled, x), predict(plain, inside) * 10 + 7, atol=1e-4)


def test_dropout_is_for_training_only():
    model = small("text_gru", embedding_dropout=0.5, dropout=0.5, recurrent_dropout=0.3)
    x = np.array([pad([5, 3, 8, 1], 0)])
    np.testing.assert_array_equal(predict(model, x), predict(model, x))
    noisy = [keras.ops.convert_to_numpy(model(x, training=True)) for _ in range(2)]
    assert np.abs(noisy[0] - noisy[1]).max() > 1e-6


@pytest.mark.parametrize("name", ["imdb_rnn", "text_bilstm", "char_gru"])
def test_a_saved_model_loads_safely_with_equal_answers(name, tmp_path):
    model = small(name)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    x = np.array([pad([5, 3, 8, 1], left) for left in (0, 2)])
    # One of them as a traced graph: that answers as the layers do one by one.
    np.testing.assert_allclose(again.predict_on_batch(x), predict(model, x), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (dict(inputs="image"), ("inputs='image'", "tokens", "series")),
        (dict(pooling="first"), ("pooling='first'", "mean", "max", "last")),
        (dict(input_shape=(9, 2)), ("input_shape=(9, 2)", "1", "tokens")),
        (dict(units=()), ("units=()", "(64,)")),
        (dict(units=(4, 0)), ("units=0", "1")),
        (dict(dropout=(0.1, 0.2)), ("dropout", "2", "1")),
        (dict(dropout=1.0), ("dropout=1.0", "0", "1")),
        (dict(embedding_dropout=-0.1), ("embedding_dropout=-0.1",)),
        (dict(recurrent_dropout=1.5), ("recurrent_dropout=1.5",)),
        (dict(dense_dropout=1.5), ("dense_dropout=1.5",)),
        (dict(outputs=0), ("outputs=0",)),
        (dict(vocabulary_size=0), ("vocabulary_size=0",)),
        (dict(embedding_dim=0), ("embedding_dim=0",)),
        (dict(stateful=True, bidirectional=True), ("stateful=True", "bidirectional=False")),
        (dict(stateful=True, stateful_batch=0), ("stateful_batch=0",)),
        (dict(horizon=3), ("horizon=3", "inputs='series'")),
        (dict(reversible_norm=True), ("reversible_norm=True", "horizon")),
        (
            dict(inputs="series", input_shape=(9, 1), horizon=3, outputs=2),
            ("outputs=2", "input_shape=(9, 1)"),
        ),
        (dict(inputs="series", input_shape=(9, 1), horizon=0, outputs=1), ("horizon=0",)),
        (
            dict(inputs="series", input_shape=(9, 1), horizon=3, outputs=1, pooling=None),
            ("pooling=None", "'last'", "'mean'", "'max'"),
        ),
        (dict(inputs="series", input_shape=(9, 2), scale=[1.0]), ("scale", "1", "2")),
        (dict(output_activation="soft"), ("output_activation='soft'", "softmax")),
    ],
)
def test_bad_values_are_named_in_a_line(change, parts):
    config = dict(input_shape=(9,), outputs=2, units=(4,)) | change
    with refuses(*parts) as caught:
        kzoo.build(
            kzoo.Preset(
                name="m",
                family="lstm",
                task="text_classification",
                summary="",
                config=config,
                training={},
            )
        )
    assert "\n" not in str(caught.value)


def test_an_unknown_cell_is_named():
    with refuses("cell='elman'", "rnn", "lstm", "gru", error=ValueError):
        recurrent.build(name="m", cell="elman", input_shape=(9,), outputs=2)
