"""Forward passes of recurrent cells, attention and an encoder block, in NumPy and from the papers alone.

Weights are lists in the order in which Keras keeps them.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    """The tanh form."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def rnn(x, weights):
    """SimpleRNN over (B, T, F): every state, (B, T, D)."""
    kernel, recurrent, bias = weights
    h = np.zeros((len(x), len(recurrent)))
    states = []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ kernel + h @ recurrent + bias)
        states.append(h)
    return np.stack(states, 1)


def lstm(x, weights):
    """LSTM with a forget gate over (B, T, F); gates in the order input, forget, candidate, output."""
    kernel, recurrent, bias = weights
    h = c = np.zeros((len(x), len(recurrent)))
    states = []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.stack(states, 1)


def gru(x, weights):
    """GRU whose reset gate acts after the recurrent product; gates in the order update, reset, candidate."""
    kernel, recurrent, (bias, recurrent_bias) = weights
    h = np.zeros((len(x), len(recurrent)))
    states = []
    for t in range(x.shape[1]):
        xz, xr, xh = np.split(x[:, t] @ kernel + bias, 3, -1)
        hz, hr, hh = np.split(h @ recurrent + recurrent_bias, 3, -1)
        z = sigmoid(xz + hz)
        h = z * h + (1 - z) * np.tanh(xh + sigmoid(xr + hr) * hh)
        states.append(h)
    return np.stack(states, 1)


def layer_norm(x, weights):
    gain, bias = weights
    mean = x.mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-6) * gain + bias


def rms_norm(x, weights):
    (gain,) = weights
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * gain


def rotary_attention(x, wq, wk, wv, wo, *, where, heads, mask, norms):
    """Multi-head self-attention of (B, N, D) whose queries and keys are turned, as complex numbers, by their places.

    Args:
        where: position of each token, (B, N).
        norms: functions for the heads of queries and of keys.
    """
    batch, tokens, width = x.shape
    size = width // heads

    def split(y):
        return y.reshape(batch, tokens, heads, size)

    def turned(y):
        pairs = y[..., : size // 2] + 1j * y[..., size // 2 :]
        angles = where[:, :, None, None] / 10_000 ** (np.arange(size // 2) * 2 / size)
        pairs = pairs * np.exp(1j * angles)
        return np.concatenate([pairs.real, pairs.imag], -1)

    q, k = (turned(norm(split(x @ w))) for norm, w in zip(norms, (wq, wk), strict=True))
    scores = np.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(size)
    shares = softmax(np.where(mask[:, None], scores, -1e30))
    return np.einsum("bhqk,bkhd->bqhd", shares, split(x @ wv)).reshape(x.shape) @ wo


def attention(x, weights, mask=None):
    """Multi-head self-attention of (B, N, D); `mask` (B, N, N) is True where a row may look at a column."""
    wq, bq, wk, bk, wv, bv, wo, bo = weights
    out = np.zeros_like(x)
    for head in range(wq.shape[1]):
        q, k, v = (x @ w[:, head] + b[head] for w, b in ((wq, bq), (wk, bk), (wv, bv)))
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
        if mask is not None:
            scores = np.where(mask, scores, -1e30)
        out += softmax(scores) @ v @ wo[head]
    return out + bo


def encoder_block(x, weights, *, position, activation=gelu, mask=None):
    """One encoder block; `weights` has the lists attention, attention_norm, dense_norm, expand, project."""

    def feed_forward(y):
        (w1, b1), (w2, b2) = weights["expand"], weights["project"]
        return activation(y @ w1 + b1) @ w2 + b2

    if position == "pre":
        x = x + attention(layer_norm(x, weights["attention_norm"]), weights["attention"], mask)
        return x + feed_forward(layer_norm(x, weights["dense_norm"]))
    x = layer_norm(x + attention(x, weights["attention"], mask), weights["attention_norm"])
    return layer_norm(x + feed_forward(x), weights["dense_norm"])
