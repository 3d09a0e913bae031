"""Gradient descent on y = 4 + 3x: batch, mini-batch and stochastic differ in the number of examples per step.

Batch descent converges to the least-squares solution. Stochastic descent with a constant rate never settles. The
tutorial prints a single run of it; eight seeds show the scatter. A rate that decays like 1 / step fixes it.

python recipes/foundations/gradient_descent.py            eight seeds of each variant
python recipes/foundations/gradient_descent.py --smoke    the same; it takes a few seconds

Measured: 24 s in total; the results are in recipes/README.md.
"""

# %% The tutorial's hundred points, and the least-squares solution
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import kzoo
from kzoo.plots.colors import BLUE, FAINT, GREEN, GREY, INK, ORANGE, PURPLE, RED

args = kzoo.recipes.arguments("foundations/gradient_descent", __doc__)

line = kzoo.load_data("line", validation=0, test=0).train
x = np.c_[np.ones(len(line)), line.x]  # the column of ones is for the intercept
y = line.y[:, 0]
best = np.linalg.lstsq(x, y, rcond=None)[0]


# %% Descend
def descend(batch_size, rate, *, steps, seed):
    """Return the path (steps + 1, 2) of intercept and slope; `rate` is a function of the step."""
    random = np.random.RandomState(seed)
    path = [random.randn(2)]
    for step in range(steps):
        rows = random.randint(len(x), size=batch_size) if batch_size < len(x) else slice(None)
        gradient = 2 / batch_size * x[rows].T @ (x[rows] @ path[-1] - y[rows])
        path.append(path[-1] - rate(step) * gradient)
    return np.array(path)


def constant(step):
    return 0.1


def decaying(step):
    return 0.1 / (1 + step / 100)


variants = {  # batch size, rate, steps, colour
    "batch": (100, constant, 1000, BLUE),
    "mini-batch of 10": (10, constant, 500, GREEN),
    "stochastic": (1, constant, 5000, RED),
    "stochastic, decaying rate": (1, decaying, 5000, PURPLE),
}
paths = {
    name: [descend(size, rate, steps=steps, seed=seed) for seed in range(8)]
    for name, (size, rate, steps, _) in variants.items()
}

# %% Check batch descent against least squares, and each of its steps against Keras
rows = []
for name, runs in paths.items():
    ends = np.array([path[-1] for path in runs])
    (low, slope_low), (high, slope_high) = ends.min(axis=0), ends.max(axis=0)
    rows.append(
        dict(
            descent=name,
            intercept_from=low,
            intercept_to=high,
            slope_from=slope_low,
            slope_to=slope_high,
        )
    )
print(f"least squares: intercept {best[0]:.4f}, slope {best[1]:.4f}")
assert np.abs([path[-1] - best for path in paths["batch"]]).max() < 1e-6

start, *steps = paths["batch"][0][:21]
# no hidden layer: a line; plain SGD at rate 0.1
model = kzoo.build("line_fnn", units=(), rescale=False)
model.set_weights([start[1:, None], start[:1]])  # slope (1, 1), intercept (1,)
keras_gap = 0.0
for expected in steps:
    model.train_on_batch(line.x, line.y)
    slope, intercept = (float(weight.squeeze()) for weight in model.get_weights())
    keras_gap = max(keras_gap, abs(intercept - expected[0]), abs(slope - expected[1]))
assert keras_gap < 1e-5, f"SGD in Keras and the formula differ by {keras_gap}"

# %% Plot
figure = Figure(figsize=(12, 6.6), layout="constrained")
FigureCanvasAgg(figure)
grid = figure.add_gridspec(2, 4, height_ratios=(3, 2))
# (120, 120, 2)
points = np.stack(np.meshgrid(np.linspace(0, 6, 120), np.linspace(-0.5, 5, 120)), axis=-1)
surface = ((points @ x.T - y) ** 2).mean(axis=-1)
bottom = figure.add_subplot(grid[1, :])
for i, (name, runs) in enumerate(paths.items()):
    color = variants[name][3]
    axes = figure.add_subplot(grid[0, i])
    axes.contour(
        points[..., 0],
        points[..., 1],
        surface,
        np.geomspace(0.82, 40, 14),
        colors=GREY,
        linewidths=0.5,
    )
    axes.plot(*runs[0].T, color=color, lw=0.6, marker=".", ms=2, alpha=0.7)
    axes.plot(*best, marker="*", ms=13, color=ORANGE, mec=INK, mew=0.6, zorder=4)
    axes.set(xlim=(0, 6), ylim=(-0.5, 5), xlabel="intercept", ylabel="slope" if i == 0 else "")
    axes.set_title(name, loc="left", color=INK, fontsize=11, fontweight="bold")
    bottom.plot(
        [path[-1][0] for path in runs], [-i] * 8, "o", color=color, ms=9, alpha=0.6, mec="white"
    )
bottom.axvline(best[0], color=ORANGE, lw=2, zorder=0)
bottom.set_yticks([-i for i in range(4)], list(paths))
bottom.set_title(
    "Results of eight seeds; the line is least squares",
    loc="left",
    color=INK,
    fontsize=11,
    weight="bold",
)
bottom.set(xlabel="intercept", ylim=(-3.6, 0.6))
bottom.grid(axis="x", color=FAINT, lw=0.6)
bottom.spines[["top", "right", "left"]].set_visible(False)
kzoo.recipes.finish(args, rows, figure)
