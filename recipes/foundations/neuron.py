"""One artificial neuron: the NumPy version equals Keras' Dense(1, "sigmoid") with the same weights.

A neuron divides its input space along a straight line; its weight vector is perpendicular to that line.

python recipes/foundations/neuron.py            a thousand inputs through both
python recipes/foundations/neuron.py --smoke    the same; it takes a second

Measured: 1 s in total; the results are in recipes/README.md.
"""

# %% A weighted sum, a bias, a sigmoid
import numpy as np

import kzoo
from kzoo.plots.colors import INK, PAPER

args = kzoo.recipes.arguments("foundations/neuron", __doc__)
import keras


def neuron(inputs, weights, bias):
    """Return the outputs (N,) of one neuron for inputs (N, D)."""
    return 1 / (1 + np.exp(-(inputs @ weights + bias)))


random = np.random.default_rng(42)
inputs = random.normal(size=(1000, 3))
weights = random.normal(size=3)
bias = random.normal()
print(
    f"neuron output for (1.0, 0.5, -1.0): {neuron(np.array([[1.0, 0.5, -1.0]]), weights, bias)[0]:.4f}"
)

# %% The same neuron in Keras
layer = keras.layers.Dense(1, "sigmoid")
layer.build(inputs.shape)
layer.set_weights([weights[:, None], np.array([bias])])  # the kernel is (inputs, neurons)
outputs = keras.ops.convert_to_numpy(layer(inputs.astype("float32")))[:, 0]
difference = float(np.abs(outputs - neuron(inputs, weights, bias)).max())
assert difference < 1e-6, f"NumPy and Keras differ by {difference}"

# %% Plot
side = np.linspace(-3, 3, 200)
weights = np.array([1.6, 0.8])
plane = neuron(np.stack(np.meshgrid(side, side), axis=-1), weights, -0.5)
figure, (axes,) = kzoo.plots.panels("A sigmoid neuron with two inputs", width=5.4, height=4.4)
shades = axes.pcolormesh(side, side, plane, cmap="cividis", vmin=0, vmax=1, rasterized=True)
axes.contour(side, side, plane, [0.5], colors=PAPER, linewidths=2)
start = 0.5 * weights / (weights @ weights)  # the point of the line closest to the origin
axes.annotate("", start + weights, start, arrowprops=dict(color=PAPER, width=2, headwidth=9))
axes.annotate(
    "weights", start + weights, (4, 6), textcoords="offset points", color=INK, weight="bold"
)
axes.set(xlabel="input 1", ylabel="input 2", aspect="equal")
figure.colorbar(shades, label="output; the white line is 0.5")
kzoo.recipes.finish(args, [dict(inputs=len(inputs), largest_difference=difference)], figure)
