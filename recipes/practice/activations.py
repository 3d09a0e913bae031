"""Activations: six of them in a network of two hidden layers and of eight.

In two layers the sigmoid is only slow and the others are alike. In eight its gradient, at most a quarter in each
layer, has all but vanished. ReLU is not ahead of tanh and ELU here: Keras draws the first weights for tanh (Glorot),
and with ReLU the signal halves in every layer.

python recipes/practice/activations.py            six activations, two depths, three seeds
python recipes/practice/activations.py --smoke    seconds, to see that it runs

Measured: 470 s for all of it; its table is in recipes/README.md.
"""

# %% The same layer, twice and eight times
import kzoo
from kzoo.plots.colors import LINES

args = kzoo.recipes.arguments("practice/activations", __doc__)
data = kzoo.load_data("digits", preset="mnist_fnn")
same = dict(
    norm=None, dropout=0.0, optimizer="adam", learning_rate=1e-3, schedule="constant", warmup=0.0, batch_size=32
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

# %% Look: mean of the seeds
figure, panels = kzoo.plots.panels(*(f"Validation accuracy, {depth} hidden layers" for depth in depths))
for axes, depth in zip(panels, depths, strict=True):
    for name, color in zip(names, LINES, strict=False):
        history = kzoo.recipes.mean_history(runs[f"{name}, {depth} layers"])
        axes.plot(history["epoch"], history["val_accuracy"], color=color, lw=1.8, label=name)
    axes.set(xlabel="epoch", xticks=range(0, epochs + 1, 5), ylim=(0, 1.02))
panels[0].legend(frameon=False, fontsize=9, loc="lower right")
kzoo.recipes.finish(args, kzoo.recipes.variant_rows(runs), figure)
