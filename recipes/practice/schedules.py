"""Schedules: the course of the learning rate, and what it does to the validation curve.

A constant rate keeps jumping about; every course that ends low settles. The exponential one falls so early that it
stops learning first. But the best epoch is kept, so on these small images the test scores end close together, the
constant rate's among the best: a schedule mostly saves you from looking for the right epoch.

python recipes/practice/schedules.py            seven schedules, three seeds
python recipes/practice/schedules.py --smoke    seconds, to see that it runs

Measured: 255 s for all of it; its table is in recipes/README.md.
"""

# %% One network, one peak rate, seven courses
import kzoo
from kzoo.plots.colors import LINES

args = kzoo.recipes.arguments("practice/schedules", __doc__)
data = kzoo.load_data("digits", preset="mnist_fnn")
same = dict(units=(64, 32), norm=None, dropout=0.0, optimizer="momentum", learning_rate=0.1, batch_size=32)
schedules = {
    "constant": dict(schedule="constant", warmup=0.0, patience=1000),
    "step": dict(schedule="step", warmup=0.0),  # the tutorial's: half as much every ten epochs
    "exponential": dict(schedule="exponential", warmup=0.0),
    "linear": dict(schedule="linear", warmup=0.0),
    "cosine": dict(schedule="cosine", warmup=0.0),
    "cosine, warm-up": dict(schedule="cosine", warmup=0.1),
    "plateau": dict(schedule="plateau", warmup=0.0, patience=10),  # half after five epochs without gain, end after ten
}
variants = {name: same | course for name, course in schedules.items()}
if args.smoke:
    variants = {name: variants[name] for name in ("cosine",)}

# %% Train
epochs, seeds = (1, [0]) if args.smoke else (30, [0, 1, 2])
out = args.out or "runs/practice-schedules"
runs = kzoo.recipes.train_variants("mnist_fnn", data, variants, out=out, seeds=seeds, epochs=epochs)

# %% Look: mean of the seeds
figure, (left, right) = kzoo.plots.panels("Learning rate", "Validation loss", height=4.2)
for (name, group), color in zip(runs.items(), LINES, strict=False):
    history = kzoo.recipes.mean_history(group)
    left.plot(history["epoch"], history["learning_rate"], color=color, lw=1.8, label=name)
    right.plot(history["epoch"], history["val_loss"], color=color, lw=1.5)
left.set(xlabel="epoch", xticks=range(0, epochs + 1, 5))
right.set(xlabel="epoch", xticks=range(0, epochs + 1, 5), yscale="log")
figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=7, frameon=False, fontsize=9)
kzoo.recipes.finish(args, kzoo.recipes.variant_rows(runs), figure)
