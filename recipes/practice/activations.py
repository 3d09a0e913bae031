"""Activation functions: six of them in networks of two and eight hidden layers.

With two layers, sigmoid is slow and the others are alike. With eight, the gradient of sigmoid, at most a quarter per
layer, has nearly vanished. ReLU is not better than tanh and ELU here: Keras initialises weights for tanh (Glorot), and
with ReLU the signal halves in every layer.

python recipes/practice/activations.py            six activations, two depths, three seeds
python recipes/practice/activations.py --smoke    a quick test of a few seconds

Measured: 470 s in total; the results are in recipes/README.md.
"""

# %% The same layer, twice and eight times
import kzoo
from kzoo.plots.colors import LINES

args = kzoo.recipes.arguments("practice/activations", __doc__)
data = kzoo.load_data("digits", preset="mnist_fnn")
same = dict(
    norm=None,
    dropout=0.0,
    optimizer="adam",
    learning_rate=1e-3,
    schedule="constant",
    warmup=0.0,
    batch_size=32,
)
names = ["relu"] if args.smoke else ["relu", "leaky_relu", "elu", "gelu", "tanh", "sigmoid"]
depths = [2] if args.smoke else [2, 8]
variants = {
    f"{name}, {depth} layers": dict(activation=name, units=(32,) * depth, patience=1000, **same)
    for depth in depths
    for name in names
}

# %% Train
epochs, seeds = (1, [0]) if args.smoke else (15, [0, 1, 2])
out = args.out or "runs/practice-activations"
runs = kzoo.recipes.train_variants("mnist_fnn", data, variants, out=out, seeds=seeds, epochs=epochs)

# %% Plot: mean of the seeds
figure, panels = kzoo.plots.panels(
    *(f"Validation accuracy, {depth} hidden layers" for depth in depths)
)
for axes, depth in zip(panels, depths, strict=True):
    for name, color in zip(names, LINES, strict=False):
        history = kzoo.recipes.mean_history(runs[f"{name}, {depth} layers"])
        axes.plot(history["epoch"], history["val_accuracy"], color=color, lw=1.8, label=name)
    axes.set(xlabel="epoch", xticks=range(0, epochs + 1, 5), ylim=(0, 1.02))
panels[0].legend(frameon=False, fontsize=9, loc="lower right")
kzoo.recipes.finish(args, kzoo.recipes.variant_rows(runs), figure)
