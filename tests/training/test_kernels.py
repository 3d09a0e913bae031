"""Faster steps of recurrent layers, attention, norms and optimizers equal those of Keras, up to rounding."""

from contextlib import nullcontext
from functools import partial

import keras
import numpy as np
import pytest
from keras import layers
from shortcuts import pass_on_jax

from kzoo.training import kernels, recurrent

RANDOM = np.random.default_rng(0)
IDS = RANDOM.integers(0, 9, (5, 6))  # of few words: each occurs more than once in a batch
TARGETS = RANDOM.normal(size=(5, 1)).astype("float32")


def trained(middle, optimizer, *, cheap, count=5):
    """Return all that was learned and all moments after six steps."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((6,), dtype="int32"), layers.Embedding(9, 4), *middle(), layers.Dense(1)]
    )
    model.compile(optimizer(), "mse")
    with kernels.cheap_steps(model) if cheap else nullcontext():
        for _ in range(6):
            model.train_on_batch(IDS[:count], TARGETS[:count])
    values = [*model.trainable_variables, *model.optimizer.variables]
    return np.concatenate([np.ravel(keras.ops.convert_to_numpy(v)) for v in values])


def adamw():
    return keras.optimizers.AdamW(0.01, weight_decay=0.1, global_clipnorm=0.5)


@pytest.mark.parametrize(
    ("kind", "rate"), [(layers.SimpleRNN, 0.1), (layers.LSTM, 0.5), (layers.GRU, 0.5)]
)
def test_recurrent_layers_equal_those_of_keras_up_to_rounding(kind, rate, monkeypatch):
    """All outputs and the last, forwards and backwards, the states handed on, three turns of two time steps.

    A large layer runs on two and three of the five examples side by side.
    """
    for name in ("_CHUNK", "_HALVES_CHUNK"):
        monkeypatch.setattr(recurrent, name, 2)
    ran = []
    for name in ("_run", "_run_by_halves"):
        monkeypatch.setattr(recurrent, name, partial(noted, ran, name, getattr(recurrent, name)))

    class Both(layers.Layer):
        """The second layer begins with the states in which the first one ended."""

        def __init__(self):
            super().__init__()
            self.first = kind(4, return_sequences=True, return_state=True)
            self.second = kind(4, go_backwards=True)

        def build(self, shape):
            self.first.build(shape)
            self.second.build((*shape[:2], 4))

        def call(self, x):
            x, *states = self.first(x)
            return self.second(x, initial_state=states)

    # Traced in less than half of AdamW's time, and blind to no factor of a gradient, as that is.
    sgd = partial(keras.optimizers.SGD, rate)
    expected = trained(lambda: [Both()], sgd, cheap=False)
    assert not ran
    halves = "_run_by_halves" if keras.backend.backend() == "tensorflow" else "_run"
    for large, way in ((2**14, "_run"), (0, halves)):
        monkeypatch.setattr(recurrent, "_LARGE_KERNEL", large)
        np.testing.assert_allclose(
            trained(lambda: [Both()], sgd, cheap=True), expected, atol=1e-5, rtol=0
        )
        assert set(ran) == {way}
        ran.clear()


def noted(ran, name, run, *arguments):
    ran.append(name)
    return run(*arguments)


def test_a_large_layer_runs_on_a_single_example():
    """The second half of the batch is empty."""
    expected, cheap = (
        trained(lambda: [layers.LSTM(64)], keras.optimizers.SGD, cheap=c, count=1)
        for c in (False, True)
    )
    np.testing.assert_allclose(cheap, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("axes", [None, (1,)])
def test_projections_of_attention_equal_those_of_keras_up_to_rounding(axes, monkeypatch):
    """Of three axes and of four; other equations too, and one that is no product of two matrices is left alone."""
    ran = []
    run = kernels._einsum_dense
    monkeypatch.setattr(
        kernels,
        "_einsum_dense",
        lambda layer, x, **more: ran.append(layer) or run(layer, x, **more),
    )
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 4) if axes is None else (6, 2, 4))
    x = layers.MultiHeadAttention(2, 3, attention_axes=axes)(inputs, inputs)
    if axes is None:
        x = layers.EinsumDense("abc,bcd->ad", (3,), bias_axes="d", activation="tanh")(x)
    else:
        x = layers.EinsumDense("abcd,dc->abc", (6, 2))(x)
    model = keras.Model(inputs, x)
    rows = RANDOM.normal(size=(3, *inputs.shape[1:])).astype("float32")
    expected = model(rows)
    with kernels.cheap_steps(model):
        np.testing.assert_allclose(model(rows), expected, atol=1e-6, rtol=0)
    count = 5 if axes is None else 4
    assert len(ran) == (count if keras.backend.backend() == "tensorflow" else 0)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only there attention is another's"
)
@pytest.mark.parametrize(
    ("axes", "masked", "causal", "ours"),
    [
        (None, False, False, True),
        (None, True, False, True),
        (None, False, True, True),
        (None, True, True, True),
        ((1,), False, False, True),
        ((1,), True, False, False),
        ((2,), False, False, False),
    ],
)
def test_attention_equals_that_of_keras_up_to_rounding(axes, masked, causal, ours, monkeypatch):
    """With masks, one of them of a row without any token, and over one of two axes."""
    ran = []
    run = kernels._attend
    monkeypatch.setattr(
        kernels, "_attend", lambda *arguments: ran.append(arguments) or run(*arguments)
    )
    x = RANDOM.normal(size=(5, 6, 8) if axes is None else (5, 6, 2, 8)).astype("float32")
    x[:, 4:] = 0
    x[0] = 0

    def learned(cheap):
        keras.utils.set_random_seed(0)
        inputs = keras.Input(x.shape[1:])
        mask = None
        if masked:
            mask = keras.ops.not_equal(
                inputs[:, None, :, 0] if axes is None else inputs[:, None, :, 0, 0], 0
            )
        attention = layers.MultiHeadAttention(2, 3, attention_axes=axes)
        model = keras.Model(
            inputs, attention(inputs, inputs, attention_mask=mask, use_causal_mask=causal)
        )
        model.compile(keras.optimizers.SGD(0.1), "mse")
        with kernels.cheap_steps(model) if cheap else nullcontext():
            for _ in range(5):
                model.train_on_batch(x, x + 1)
        return np.concatenate([np.ravel(weight) for weight in model.get_weights()])

    np.testing.assert_allclose(learned(True), learned(False), atol=1e-6, rtol=0)
    assert bool(ran) == ours


@pytest.mark.parametrize(
    ("shape", "settings", "ours"),
    [
        ((3, 4, 2), dict(), True),
        ((3, 4, 2), dict(scale=False, momentum=0.6), True),
        ((3, 4, 2), dict(center=False), True),
        ((3, 4, 2), dict(dtype="float32"), True),
        ((3, 4, 2), dict(dtype="float64"), False),
        ((3, 4, 2), dict(axis=1), False),
        ((3, 4, 2), dict(trainable=False), False),
        ((4,), dict(), False),
    ],
)
def test_batch_normalisation_of_images_equals_that_of_keras_up_to_rounding(
    shape, settings, ours, monkeypatch
):
    """Weights and statistics; other inputs, layers in float64 and frozen layers equal those of Keras to the bit."""
    ran = []
    run = kernels._normalise
    monkeypatch.setattr(
        kernels, "_normalise", lambda *arguments: ran.append(arguments) or run(*arguments)
    )
    x = RANDOM.normal(size=(9, *shape)).astype("float32") * 3 + 1

    def learned(cheap):
        keras.utils.set_random_seed(0)
        layer = layers.BatchNormalization(**dict(dtype="mixed_bfloat16", momentum=0.6) | settings)
        model = keras.Sequential([keras.Input(shape), layer, layers.Dense(shape[-1])])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        with kernels.cheap_steps(model) if cheap else nullcontext():
            for _ in range(4):
                model.train_on_batch(x, np.roll(x, 1))
        return np.concatenate([np.ravel(weight) for weight in model.get_weights()])

    ours &= keras.backend.backend() == "tensorflow"
    atol = 0 if not ours else 1e-5 if settings.get("dtype") == "float32" else 1e-3
    np.testing.assert_allclose(learned(True), learned(False), atol=atol, rtol=0)
    assert bool(ran) == ours


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.LSTM(3, recurrent_dropout=0.5, seed=0),
        lambda: layers.GRU(3, reset_after=False),
        lambda: layers.SimpleRNN(3, activation="relu"),
        lambda: layers.LSTM(3, recurrent_activation="hard_sigmoid", use_bias=False),
        lambda: layers.GRU(3, unroll=True),
    ],
)
def test_layers_of_another_formula_run_as_in_keras(layer, monkeypatch):
    monkeypatch.setattr(recurrent, "_run", None)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4, 2)), layer()])
    x = keras.ops.convert_to_tensor(RANDOM.normal(size=(3, 4, 2)), "float32")
    with kernels.cheap_steps(model):
        model(x, training=True)


def test_a_masked_layer_runs_as_in_keras(monkeypatch):
    monkeypatch.setattr(recurrent, "_run", None)
    model = keras.Sequential(
        [keras.Input((6,)), layers.Embedding(9, 4, mask_zero=True), layers.LSTM(2)]
    )
    expected = model(IDS)
    with kernels.cheap_steps(model):
        np.testing.assert_array_equal(expected, model(IDS))


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(0.1, 8), global_clipnorm=100.0
        ),
        # a gradient of rows, whose squares Keras sums one by one
        lambda: keras.optimizers.Adam(0.01),
        lambda: keras.optimizers.Adam(0.01, amsgrad=True, clipnorm=0.1),
        lambda: keras.optimizers.SGD(0.1, global_clipnorm=0.1),
    ],
)
def test_optimizers_equal_those_of_keras_up_to_rounding(optimizer):
    expected, cheap = (
        trained(lambda: [layers.Flatten()], optimizer, cheap=cheap) for cheap in (False, True)
    )
    np.testing.assert_allclose(cheap, expected, atol=1e-5, rtol=0)


def test_with_many_convolutions_the_optimizer_stays_as_in_keras():
    for count in (1, 2):
        model = keras.Sequential(
            [keras.Input((6, 2)), *(layers.Conv1D(2, 2) for _ in range(count))]
        )
        model.compile(adamw())
        with kernels.cheap_steps(model):
            replaced = "update_step" in vars(model.optimizer)
        assert replaced == (count == 1 and keras.backend.backend() == "tensorflow")


def test_the_model_is_restored_afterwards():
    model = keras.Sequential([keras.Input((4, 2)), layers.GRU(3)])
    model.compile(adamw())
    owners = model.layers[0], model.optimizer
    before = [dict(vars(owner)) for owner in owners]
    with pytest.raises(RuntimeError), kernels.cheap_steps(model):
        assert [dict(vars(owner)) for owner in owners] != before
        raise RuntimeError
    assert [dict(vars(owner)) for owner in owners] == before


@pytest.mark.slow
def test_on_jax():
    pass_on_jax(__file__)
