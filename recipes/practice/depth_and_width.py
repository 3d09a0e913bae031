"""Depth and width: how many parameters does the task need? Training and test accuracy by network size.

With two neurons per layer the network underfits: it cannot even learn the training examples. From 32 on, training
accuracy is close to 100 % and test accuracy a little below. Overfitting does not grow with the size here, contrary to
the textbooks: hundreds of parameters per example do no harm. More depth does not help either.

python recipes/practice/depth_and_width.py            two depths, four widths, three seeds
python recipes/practice/depth_and_width.py --smoke    a quick test of a few seconds

Measured: 378 s in total; the results are in recipes/README.md.
"""

# %% From a few neurons to far more parameters than training examples
import statistics

import kzoo

args = kzoo.recipes.arguments("practice/depth_and_width", __doc__)
data = kzoo.load_data("digits", preset="mnist_fnn")
same = dict(
    norm=None,
    dropout=0.0,
    optimizer="adam",
    learning_rate=3e-3,
    schedule="constant",
    warmup=0.0,
    batch_size=32,
)
depths, widths = ([1], [8]) if args.smoke else ([1, 3], [2, 8, 32, 128, 512])
variants = {
    f"{depth} x {width}": dict(units=(width,) * depth, patience=1000, **same)
    for depth in depths
    for width in widths
}

# %% Train
epochs, seeds = (1, [0]) if args.smoke else (20, [0, 1, 2])
out = args.out or "runs/practice-depth_and_width"
runs = kzoo.recipes.train_variants("mnist_fnn", data, variants, out=out, seeds=seeds, epochs=epochs)
rows = kzoo.recipes.variant_rows(runs)
for row in rows:
    group = runs[row["variant"]]
    row["parameters"] = group[0].summary["parameters"]
    row["training"] = statistics.mean(
        kzoo.evaluate(run, data, split="train")["accuracy"] for run in group
    )

# %% Plot
figure, panels = kzoo.plots.panels(
    *(f"{depth} hidden layer{'s' * (depth > 1)}" for depth in depths)
)
for axes, depth in zip(panels, depths, strict=True):
    curve = [row for row in rows if row["variant"].startswith(f"{depth} x")]
    sizes = [row["parameters"] for row in curve]
    axes.plot(sizes, [row["training"] for row in curve], "o-", label="training")
    axes.errorbar(
        sizes,
        [row["accuracy"] for row in curve],
        [row["sd"] or 0 for row in curve],
        fmt="o-",
        capsize=3,
        label="test",
    )
    axes.axvline(len(data.train), color="grey", ls=":", label="as many as training examples")
    axes.set(xscale="log", xlabel="parameters", ylabel="accuracy", ylim=(0, 1.02))
panels[0].legend(frameon=False, fontsize=9, loc="lower right")
kzoo.recipes.finish(args, rows, figure)
