"""Backpropagation by hand: a NumPy 1-10-1 network compared with kzoo.build("line_fnn") from the same weights.

The tutorial's gradient is half the gradient of its loss: d/da mean((a - y)^2) is 2 (a - y) / n, and it omits the 2. The
network still learns, because this only halves the learning rate. A check against automatic differentiation finds it.

python recipes/foundations/backprop.py            1000 epochs
python recipes/foundations/backprop.py --smoke    a quick test of a few seconds

Measured: 1 s in total; the results are in recipes/README.md.
"""

# %% Forward and backward pass
import numpy as np

import kzoo
from kzoo.plots.colors import BLUE, FAINT, GREY, INK, ORANGE, RED

args = kzoo.recipes.arguments("foundations/backprop", __doc__, backend="tensorflow")
import tensorflow as tf

line = kzoo.load_data("line", validation=0, test=0).train
epochs = 50 if args.smoke else 1000
rate = 0.05  # half of the tutorial's 0.1, because the gradient is twice as large


def forward(x, w1, b1, w2, b2):
    """Return the pre-activations of the hidden layer (N, 10) and the outputs (N, 1)."""
    sums = x @ w1 + b1
    return sums, np.maximum(0, sums) @ w2 + b2


def backward(x, y, w1, b1, w2, b2, factor=2):
    """Return the gradient of the mean squared error for each weight, from the output back to the input."""
    sums, outputs = forward(x, w1, b1, w2, b2)
    error = factor * (outputs - y) / len(x)  # (N, 1)
    hidden_error = error @ w2.T * (sums > 0)  # (N, 10): chain rule through the ReLU
    return (
        x.T @ hidden_error,
        hidden_error.sum(axis=0),
        np.maximum(0, sums).T @ error,
        error.sum(axis=0),
    )


# %% Compare the gradients with automatic differentiation
# raw inputs, as in NumPy
model = kzoo.build("line_fnn", rescale=False, learning_rate=rate, metrics=(), seed=0)
weights = [w.astype("float64") for w in model.get_weights()]
with tf.GradientTape() as tape:
    loss = tf.reduce_mean((model(line.x) - line.y) ** 2)
in_keras = np.concatenate([np.ravel(g) for g in tape.gradient(loss, model.trainable_variables)])
by_hand = np.concatenate([np.ravel(g) for g in backward(line.x, line.y, *weights)])
tutorial = np.concatenate([np.ravel(g) for g in backward(line.x, line.y, *weights, factor=1)])
gap = float(np.abs(by_hand - in_keras).max())
assert gap < 1e-5, f"by hand and Keras differ by {gap}"
factor = float(in_keras @ tutorial / (tutorial @ tutorial))
print(f"Keras' gradient is {factor:.6f} times the tutorial's.")

# %% Compare the loss curves
curve, keras_curve = [], []
for _ in range(epochs):
    curve.append(float(np.mean((forward(line.x, *weights)[1] - line.y) ** 2)))
    keras_curve.append(float(model.train_on_batch(line.x, line.y)))
    weights = [
        w - rate * g for w, g in zip(weights, backward(line.x, line.y, *weights), strict=True)
    ]
curve_gap = float(np.abs(np.subtract(curve, keras_curve)).max())
assert curve_gap < 1e-3, f"the loss curves differ by {curve_gap}"

# %% Plot
figure, (left, middle, right) = kzoo.plots.panels(
    "31 gradients", "Loss", "Learned function", width=4
)
count = np.arange(1, epochs + 1)
left.axline((0, 0), slope=1, color=FAINT, lw=1.5, zorder=0)
left.plot(in_keras, by_hand, "o", color=BLUE, ms=6, mec="white", label="by hand")
left.plot(in_keras, tutorial, "x", color=RED, ms=6, label="tutorial: half")
left.set(xlabel="automatic differentiation", ylabel="formula")
middle.plot(count, curve, color=BLUE, lw=4, alpha=0.5, label="NumPy")
middle.plot(count, keras_curve, color=INK, lw=1.2, ls="--", label="Keras")
middle.set(xlabel="epoch", xscale="log", yscale="log")
points = np.linspace(0, 2, 100)[:, None]
right.plot(line.x, line.y, ".", color=GREY, label="data")
right.plot(points, forward(points, *weights)[1], color=BLUE, lw=2, label="network")
right.plot(points, 4 + 3 * points, color=ORANGE, lw=1.5, ls="--", label="4 + 3x")
right.set(xlabel="x", ylabel="y")
for axes in (left, middle, right):
    axes.legend(frameon=False, fontsize=9)
row = dict(
    epochs=epochs,
    gradients_apart=gap,
    losses_apart=curve_gap,
    tutorial_factor=factor,
    last_loss=curve[-1],
)
kzoo.recipes.finish(args, [row], figure)
