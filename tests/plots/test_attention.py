"""Attention maps against softmax(Q K' / sqrt(d)) in NumPy, padding, labels, and refusals."""

import io
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers
from messages import refuses

import kzoo
from kzoo.plots import attention_map


def shaken(name, **overrides):
    """Build a preset whose attention is far from uniform."""
    model = kzoo.build(name, compile=False, **overrides)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(keras.ops.convert_to_numpy(weight) + rng.normal(0, 0.3, weight.shape))
    return model


def drawn(figure):
    return np.asarray(figure.axes[0].images[0].get_array())


def labels(axis):
    return [t.get_text() for t in axis.get_ticklabels()]


def reference(model, name, x, allowed):
    """Return softmax(Q K' / sqrt(d)) of one layer, (heads, N, N), from its weights and its input."""
    layer = model.get_layer(name)
    below = layer.input[0]  # of queries, values and the mask
    y = keras.ops.convert_to_numpy(keras.Model(model.inputs[0], below)(x[None]))[0].astype(
        "float64"
    )
    weights = {
        w.path.split(f"{name}/")[1]: keras.ops.convert_to_numpy(w).astype("float64")
        for w in layer.weights
    }
    q, k = (
        np.einsum("nd,dhk->hnk", y, weights[f"{p}/kernel"]) + weights[f"{p}/bias"][:, None]
        for p in ("query", "key")
    )
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
    powers = np.where(allowed, np.exp(scores - scores.max(-1, keepdims=True)), 0)
    return powers / powers.sum(-1, keepdims=True)


WORDS = ["the", "film", "is", "not", "as", "good", "as", "the", "book"]


@pytest.mark.parametrize("side", ["left", "right"])
def test_text_is_shown_without_its_padding_and_rows_add_up_to_one(side):
    model = shaken("text_transformer")
    x = np.zeros(64, "int32")
    places = slice(-9, None) if side == "left" else slice(0, 9)
    x[places] = range(2, 11)
    expected = reference(model, "block1_attention", x, x != 0)[:, places, places]
    figure = attention_map(model, x, tokens=WORDS)
    np.testing.assert_allclose(drawn(figure), expected.mean(0), atol=1e-5)
    np.testing.assert_allclose(drawn(figure).sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(drawn(attention_map(model, x[None], head=2)), expected[2], atol=1e-5)
    assert labels(figure.axes[0].xaxis) == labels(figure.axes[0].yaxis) == WORDS
    padded = [""] * 55 + WORDS if side == "left" else WORDS + [""] * 55
    assert labels(attention_map(model, x, tokens=padded).axes[0].xaxis) == WORDS
    assert labels(attention_map(model, x).axes[0].xaxis) == [str(i) for i in range(2, 11)]
    figure.savefig(io.BytesIO())


def test_a_language_model_attends_to_the_past_alone_and_any_layer_can_be_chosen():
    model = shaken("char_transformer")
    text = "to be, or\nnot"
    x = np.zeros(128, "int32")
    x[: len(text)] = range(1, len(text) + 1)
    n = len(text)
    allowed = np.tril(np.ones((128, 128), bool)) & (x != 0)
    figure = attention_map(model, x, layer="block2_attention", tokens=text)
    expected = reference(
        model, "block2_attention", x, np.where(allowed.any(-1, keepdims=True), allowed, True)
    )
    np.testing.assert_allclose(drawn(figure), expected[:, :n, :n].mean(0), atol=1e-5)
    assert not np.triu(drawn(figure), 1).any()
    assert "⏎" in labels(figure.axes[0].xaxis) and "block2_attention" in figure.axes[0].get_title(
        loc="left"
    )


def test_a_table_has_a_class_token_in_front_of_its_columns():
    model = shaken("tabular_transformer", input_shape=(5,))
    x = np.arange(5.0)
    figure = attention_map(model, x, tokens="abcde")
    expected = reference(model, "block2_attention", x.astype("float32"), True)
    np.testing.assert_allclose(drawn(figure), expected.mean(0), atol=1e-5)
    assert labels(figure.axes[0].yaxis) == ["(class)", *"abcde"]
    assert labels(attention_map(model, x).axes[0].yaxis) == ["(class)", *"12345"]


def test_a_mask_of_keras_is_used():
    ids = keras.Input((6,), dtype="int32")
    attend = layers.MultiHeadAttention(2, 4, name="attend")
    x = layers.Embedding(9, 8, mask_zero=True)(ids)
    model = keras.Model(ids, layers.Dense(1)(attend(x, x)))
    figure = attention_map(model, [3, 4, 5, 0, 0, 0])
    assert drawn(figure).shape == (3, 3) and labels(figure.axes[0].xaxis) == ["3", "4", "5"]
    np.testing.assert_allclose(drawn(figure).sum(1), 1, atol=1e-5)


def test_image_patches_and_series_work_too():
    vit = kzoo.build("cifar_vit", compile=False)
    n = vit.get_layer("block1_attention").output.shape[1]
    assert drawn(attention_map(vit, np.zeros((32, 32, 3)))).shape == (n, n)
    series = kzoo.build("series_transformer", compile=False)
    figure = attention_map(series, np.random.default_rng(0).normal(size=series.input_shape[1:]))
    np.testing.assert_allclose(drawn(figure).sum(1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("x", "options", "parts"),
    [
        (np.ones(63), {}, ("(1, 63)", "text_transformer", "(64,)")),
        (np.ones((2, 64)), {}, ("(2, 64)", "text_transformer", "(64,)")),
        (
            np.ones(64),
            {"layer": "dense"},
            ("'dense'", "attention layer", "text_transformer", "block1_attention"),
        ),
        (np.ones(64), {"head": 4}, ("head=4", "block1_attention", "0", "3")),
        (np.ones(64), {"head": "a"}, ("head='a'", "block1_attention", "0", "3")),
        (np.r_[np.ones(9), np.zeros(55)], {"tokens": ["a"]}, ("1", "64", "9", "padding")),
    ],
)
def test_input_or_options_that_do_not_fit_are_refused(x, options, parts):
    with refuses(*parts):
        attention_map(kzoo.build("text_transformer", compile=False), x, **options)


def test_a_model_without_attention_is_refused():
    with refuses("line_fnn", "MultiHeadAttention"):
        attention_map(kzoo.build("line_fnn", compile=False), [1.0])


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_this_file_on_another_backend(backend):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    subprocess.run(command, env=os.environ | {"KERAS_BACKEND": backend}, check=True)
