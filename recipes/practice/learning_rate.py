"""Learning rate: a range test of a hundred steps suggests one; then too low, suggested and too high are trained.

The test raises the rate at every step; where the loss falls fastest is a rate to begin with
(https://arxiv.org/abs/1506.01186). Too low still learns, slowly; too high answers at random and never recovers.

python recipes/practice/learning_rate.py            range test, then three rates with three seeds
python recipes/practice/learning_rate.py --smoke    seconds, to see that it runs

Measured: 68 s for all of it; its table is in recipes/README.md.
"""

# %% Range test: from far too low to far too high in a hundred steps
import kzoo
from kzoo.plots.colors import GREEN, LINES

args = kzoo.recipes.arguments("practice/learning_rate", __doc__)
data = kzoo.load_data("digits", preset="mnist_fnn")
same = dict(units=(64, 32), norm=None, dropout=0.0, optimizer="adam", schedule="constant", warmup=0.0, batch_size=32)
found = kzoo.learning_rate_range("mnist_fnn", data, low=1e-5, high=1.0, **same)
suggested = found["suggested"]
print(f"suggested learning rate: {suggested:.2g}")

# %% Train: a hundredth of it, itself, and thirty times as much
rates = {"too low": suggested / 100, "suggested": suggested, "too high": suggested * 30}
if args.smoke:
    rates = {"suggested": suggested}
variants = {f"{name}, {rate:.2g}": dict(learning_rate=rate, patience=1000, **same) for name, rate in rates.items()}
epochs, seeds = (1, [0]) if args.smoke else (20, [0, 1, 2])
out = args.out or "runs/practice-learning_rate"
runs = kzoo.recipes.train_variants("mnist_fnn", data, variants, out=out, seeds=seeds, epochs=epochs)

# %% Look
figure, (left, right) = kzoo.plots.panels("Range test: loss of one batch", "Validation accuracy, a line per seed")
left.plot(found["rates"], found["losses"], ".", ms=4, alpha=0.5, label="a batch")
left.plot(found["rates"], found["smoothed"], lw=2, label="smoothed")
left.axvline(suggested, color=GREEN, ls="--", label=f"steepest descent: {suggested:.2g}")
left.set(xscale="log", xlabel="learning rate", ylim=(0, 2 * found["losses"][0]))
left.legend(frameon=False, fontsize=9)
for (name, group), color in zip(runs.items(), LINES, strict=False):
    for i, run in enumerate(group):
        right.plot(run.history["epoch"], run.history["val_accuracy"], color=color, label=None if i else name)
right.set(xlabel="epoch", xticks=range(0, epochs + 1, 5), ylim=(0, 1.02))
right.legend(frameon=False, fontsize=9)
kzoo.recipes.finish(args, kzoo.recipes.variant_rows(runs), figure)
