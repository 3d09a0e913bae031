"""Batch normalisation: a network of six layers with and without it, from low to high learning rates.

With batch normalisation the network learns at all of these rates, and much faster at the low ones. Without it, only a
narrow range works, and none as well. Each step takes somewhat longer.

python recipes/practice/batch_norm.py            with and without, four rates, three seeds
python recipes/practice/batch_norm.py --smoke    a quick test of a few seconds

Measured: 322 s in total; the results are in recipes/README.md.
"""

# %% Six layers, plain SGD
import kzoo

args = kzoo.recipes.arguments("practice/batch_norm", __doc__)
data = kzoo.load_data("digits", preset="mnist_fnn")
same = dict(units=(32,) * 6, dropout=0.0, optimizer="sgd", schedule="constant", warmup=0.0)
same |= dict(batch_size=512 if args.smoke else 32)
rates = [0.1] if args.smoke else [0.003, 0.03, 0.3, 1.0]
norms = {"batch norm": "batch", "without": None}
variants = {
    f"{name}, rate {rate:g}": dict(norm=norm, learning_rate=rate, patience=1000, **same)
    for name, norm in norms.items()
    for rate in rates
}

# %% Train
epochs, seeds = (1, [0]) if args.smoke else (15, [0, 1, 2])
out = args.out or "runs/practice-batch_norm"
runs = kzoo.recipes.train_variants("mnist_fnn", data, variants, out=out, seeds=seeds, epochs=epochs)
rows = kzoo.recipes.variant_rows(runs)

# %% Plot
figure, (left, right) = kzoo.plots.panels(
    "Test accuracy", f"Validation accuracy, rate {rates[0]:g}"
)
for name in norms:
    curve = [row for row in rows if row["variant"].startswith(name)]
    left.errorbar(
        rates,
        [r["accuracy"] for r in curve],
        [r["sd"] or 0 for r in curve],
        fmt="o-",
        capsize=3,
        label=name,
    )
    history = kzoo.recipes.mean_history(runs[f"{name}, rate {rates[0]:g}"])
    right.plot(history["epoch"], history["val_accuracy"], lw=1.8)
left.set(xscale="log", xlabel="learning rate", ylim=(0, 1.02))
right.set(xlabel="epoch", xticks=range(0, epochs + 1, 5), ylim=(0, 1.02))
left.legend(frameon=False, fontsize=9)
kzoo.recipes.finish(args, rows, figure)
