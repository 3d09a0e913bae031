"""Batch size: from 8 to 512, with the same learning rate for all, and with a rate proportional to the batch size.

A larger batch makes an epoch cheaper, with fewer steps. A learning rate that grows with the batch size
(https://arxiv.org/abs/1706.02677) compensates for nearly all of the missing steps. With the same rate for all, the
largest batch has not converged at the last epoch. Epoch time stops falling when only its fixed costs are left.

python recipes/practice/batch_size.py            four sizes, two rules, three seeds
python recipes/practice/batch_size.py --smoke    a quick test of a few seconds

Measured: 241 s in total; the results are in recipes/README.md.
"""

# %% Batch sizes, and two rules for the learning rate
import statistics

import kzoo

args = kzoo.recipes.arguments("practice/batch_size", __doc__)
data = kzoo.load_data("digits", preset="mnist_fnn")
same = dict(
    units=(64, 32), norm=None, dropout=0.0, optimizer="momentum", schedule="constant", warmup=0.0
)
sizes = [512] if args.smoke else [8, 32, 128, 512]
rules = {"one rate": lambda size: 0.01, "rate grows": lambda size: 0.01 * size / 32}
variants = {
    f"{rule}, batch {size}": dict(batch_size=size, learning_rate=rate(size), patience=1000, **same)
    for rule, rate in rules.items()
    for size in sizes
}

# %% Train: the same number of epochs for all, so a larger batch takes fewer steps
epochs, seeds = (2, [0]) if args.smoke else (15, [0, 1, 2])
out = args.out or "runs/practice-batch_size"
runs = kzoo.recipes.train_variants("mnist_fnn", data, variants, out=out, seeds=seeds, epochs=epochs)
rows = kzoo.recipes.variant_rows(runs)
for row in rows:  # without the first epoch, which also compiles the step
    row["epoch_seconds"] = statistics.median(
        s for run in runs[row["variant"]] for s in run.history["seconds"][1:]
    )

# %% Plot
figure, (left, right) = kzoo.plots.panels(
    f"Test accuracy after {epochs} epochs", "Seconds per epoch"
)
for rule in rules:
    curve = [row for row in rows if row["variant"].startswith(rule)]
    left.errorbar(
        sizes,
        [r["accuracy"] for r in curve],
        [r["sd"] or 0 for r in curve],
        fmt="o-",
        capsize=3,
        label=rule,
    )
    right.plot(sizes, [r["epoch_seconds"] for r in curve], "o-")
for axes in (left, right):
    axes.set_xscale("log", base=2)
    axes.set(xlabel="batch size", xticks=sizes, xticklabels=sizes)
left.legend(frameon=False, fontsize=9)
right.set_ylim(bottom=0)
kzoo.recipes.finish(args, rows, figure)
