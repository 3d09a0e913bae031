"""Learning rate: a range test of a hundred steps suggests a rate, which is compared with a lower and a higher one.

The test increases the rate at every step. The rate at which the loss falls fastest is a good start
(https://arxiv.org/abs/1506.01186). If it is too low, training is slow; if it is too high, predictions stay random.

python recipes/practice/learning_rate.py            range test, then three rates with three seeds
python recipes/practice/learning_rate.py --smoke    a quick test of a few seconds

Measured: 85 s in total; the results are in recipes/README.md.
"""

# %% Range test: from far too low to far too high in a hundred steps
import kzoo
from kzoo.plots.colors import GREEN, LINES

args = kzoo.recipes.arguments("practice/learning_rate", __doc__)
data = kzoo.load_data("digits", preset="mnist_fnn")
same = dict(
    units=(64, 32),
    norm=None,
    dropout=0.0,
    optimizer="adam",
    schedule="constant",
    warmup=0.0,
    batch_size=32,
)
range_test = kzoo.learning_rate_range("mnist_fnn", data, low=1e-5, high=1.0, **same)
suggested = range_test["suggested"]
print(f"suggested learning rate: {suggested:.2g}")

# %% Train: a hundredth of the suggested rate, the suggested rate, and thirty times as much
rates = {"too low": suggested / 100, "suggested": suggested, "too high": suggested * 30}
if args.smoke:
    rates = {"suggested": suggested}
variants = {
    f"{name}, {rate:.2g}": dict(learning_rate=rate, patience=1000, **same)
    for name, rate in rates.items()
}
epochs, seeds = (1, [0]) if args.smoke else (20, [0, 1, 2])
out = args.out or "runs/practice-learning_rate"
runs = kzoo.recipes.train_variants("mnist_fnn", data, variants, out=out, seeds=seeds, epochs=epochs)

# %% Plot
figure, (left, right) = kzoo.plots.panels(
    "Range test: loss of one batch", "Validation accuracy, one line per seed"
)
left.plot(range_test["rates"], range_test["losses"], ".", ms=4, alpha=0.5, label="one batch")
left.plot(range_test["rates"], range_test["smoothed"], lw=2, label="smoothed")
left.axvline(suggested, color=GREEN, ls="--", label=f"steepest descent: {suggested:.2g}")
left.set(xscale="log", xlabel="learning rate", ylim=(0, 2 * range_test["losses"][0]))
left.legend(frameon=False, fontsize=9)
for (name, group), color in zip(runs.items(), LINES, strict=False):
    for i, run in enumerate(group):
        right.plot(
            run.history["epoch"],
            run.history["val_accuracy"],
            color=color,
            label=None if i else name,
        )
right.set(xlabel="epoch", xticks=range(0, epochs + 1, 5), ylim=(0, 1.02))
right.legend(frameon=False, fontsize=9)
kzoo.recipes.finish(args, kzoo.recipes.variant_rows(runs), figure)
