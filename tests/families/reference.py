"""Forward passes in NumPy, float64, written from the formulas, for comparison with the families."""

import numpy as np


def relu(x):
    return np.maximum(x, 0)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def dense(x, kernel, bias):
    return x @ kernel + bias


def batch_norm(x, gamma, beta, mean, variance, epsilon=1e-3):
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def conv2d(x, kernel, bias, *, padding):
    """Slide a kernel (h, w, channels, filters) over images (B, H, W, channels), stride 1."""
    h, w = kernel.shape[:2]
    if padding == "same":
        rows, columns = ((h - 1) // 2, h // 2), ((w - 1) // 2, w // 2)
        x = np.pad(x, ((0, 0), rows, columns, (0, 0)))
    out = np.zeros((x.shape[0], x.shape[1] - h + 1, x.shape[2] - w + 1, kernel.shape[3]))
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            out[:, i, j] = np.tensordot(x[:, i : i + h, j : j + w], kernel, axes=3)
    return out + bias


def max_pool(x, size):
    rows, columns = x.shape[1] // size, x.shape[2] // size
    x = x[:, : rows * size, : columns * size].reshape(
        x.shape[0], rows, size, columns, size, x.shape[3]
    )
    return x.max(axis=(2, 4))


def randomize(model, seed=0):
    """Give every weight a random value, moving statistics and biases too, so that none is trivial."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.path.endswith("variance"):
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
        elif weight.dtype.startswith("float"):
            weight.assign(rng.normal(0.0, 0.5, weight.shape))
    return model


def weights(model, layer):
    """Return the weights of a named layer in float64."""
    return [np.asarray(weight, "float64") for weight in model.get_layer(layer).get_weights()]
