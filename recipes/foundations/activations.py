"""Activation functions and their derivatives: formulas checked against Keras and automatic differentiation.

The tutorial defines GELU by the normal distribution, but computes its tanh form; both are here. Its leaky ReLU has
slope 0.01. The default slope in Keras is 0.2, so pass `negative_slope=0.01`.

python recipes/foundations/activations.py            all functions, on 1000 points
python recipes/foundations/activations.py --smoke    the same; it takes a second

Measured: 1 s in total; the results are in recipes/README.md.
"""

# %% Function, derivative, and the Keras function
import math

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import kzoo
from kzoo.plots.colors import BLUE, FAINT, GREY, INK, ORANGE

args = kzoo.recipes.arguments("foundations/activations", __doc__, backend="tensorflow")
import keras
import tensorflow as tf

x = np.linspace(-5, 5, 1000)
sigmoid = 1 / (1 + np.exp(-x))
tanh = np.tanh(x)
cdf = (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2  # normal distribution function
density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
tanh_term = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
tanh_slope = (1 - tanh_term**2) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
act = keras.activations
formulas = {
    "sigmoid": (sigmoid, sigmoid * (1 - sigmoid), act.sigmoid),
    "tanh": (tanh, 1 - tanh**2, act.tanh),
    "ReLU": (np.maximum(0, x), np.where(x > 0, 1.0, 0.0), act.relu),
    "leaky ReLU, 0.01": (
        np.where(x > 0, x, 0.01 * x),
        np.where(x > 0, 1, 0.01),
        lambda t: act.leaky_relu(t, negative_slope=0.01),
    ),
    "ELU": (np.where(x > 0, x, np.exp(x) - 1), np.where(x > 0, 1, np.exp(x)), act.elu),
    "GELU, exact": (x * cdf, cdf + x * density, lambda t: act.gelu(t, approximate=False)),
    "GELU, tanh form": (
        x * (1 + tanh_term) / 2,
        (1 + tanh_term + x * tanh_slope) / 2,
        lambda t: act.gelu(t, approximate=True),
    ),
}

# %% Check both against Keras
rows = []
for name, (value, slope, function) in formulas.items():
    points = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(points)
        outputs = function(points)
    differences = (
        np.abs(outputs - value).max(),
        np.abs(tape.gradient(outputs, points) - slope).max(),
    )
    assert max(differences) < 1e-6, f"{name}: formula and Keras differ by {differences}"
    rows.append(
        dict(
            activation=name,
            largest_difference=float(differences[0]),
            of_derivative=float(differences[1]),
        )
    )
gelu_gap = float(np.abs(formulas["GELU, exact"][0] - formulas["GELU, tanh form"][0]).max())
keras_slope = -float(act.leaky_relu(tf.constant(-1.0)))
print(
    f"The two forms of GELU differ by at most {gelu_gap:.2g}; leaky_relu of Keras has slope {keras_slope:.2g}."
)

# %% Plot
figure = Figure(figsize=(11, 5.2), layout="constrained")
FigureCanvasAgg(figure)
panels = figure.subplots(2, 4, sharex=True, sharey=True).flat
for axes, (name, (value, slope, _)) in zip(panels, formulas.items(), strict=False):
    axes.plot(x, value, color=BLUE, lw=2, label="function")
    axes.plot(x, slope, color=ORANGE, lw=1.6, ls="--", label="derivative")
    axes.set_title(name, loc="left", color=INK, fontsize=11, fontweight="bold")
    axes.set(xlim=(-5, 5), ylim=(-1.3, 3))
    axes.grid(color=FAINT, lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=GREY, labelsize=9, labelbottom=True)
last = figure.axes[-1]
last.set_axis_off()
last.legend(*figure.axes[0].get_legend_handles_labels(), frameon=False, loc="center", fontsize=11)
kzoo.recipes.finish(args, rows, figure)
