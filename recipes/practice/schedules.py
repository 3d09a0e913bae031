"""Learning-rate schedules: how the learning rate changes, and how this changes the validation curve.

With a constant rate the validation loss keeps fluctuating; with every schedule that ends low it settles. The
exponential schedule decays so early that it stops learning first. But the best epoch is kept, so on these small images
the final test scores are close, and the constant rate is among the best. The main benefit of a schedule is that you
need not search for the right epoch.

python recipes/practice/schedules.py            seven schedules, three seeds
python recipes/practice/schedules.py --smoke    a quick test of a few seconds

Measured: 255 s in total; the results are in recipes/README.md.
"""

# %% One network, one peak rate, seven schedules
import kzoo
from kzoo.plots.colors import LINES

args = kzoo.recipes.arguments("practice/schedules", __doc__)
data = kzoo.load_data("digits", preset="mnist_fnn")
same = dict(
    units=(64, 32), norm=None, dropout=0.0, optimizer="momentum", learning_rate=0.1, batch_size=32
)
schedules = {
    "constant": dict(schedule="constant", warmup=0.0, patience=1000),
    "step": dict(schedule="step", warmup=0.0),  # the tutorial's: halved every ten epochs
    "exponential": dict(schedule="exponential", warmup=0.0),
    "linear": dict(schedule="linear", warmup=0.0),
    "cosine": dict(schedule="cosine", warmup=0.0),
    "cosine, warm-up": dict(schedule="cosine", warmup=0.1),
    # halves after 5 epochs without gain, stops after 10
    "plateau": dict(schedule="plateau", warmup=0.0, patience=10),
}
variants = {name: same | schedule for name, schedule in schedules.items()}
if args.smoke:
    variants = {name: variants[name] for name in ("cosine",)}

# %% Train
epochs, seeds = (1, [0]) if args.smoke else (30, [0, 1, 2])
out = args.out or "runs/practice-schedules"
runs = kzoo.recipes.train_variants("mnist_fnn", data, variants, out=out, seeds=seeds, epochs=epochs)

# %% Plot: mean of the seeds
figure, (left, right) = kzoo.plots.panels("Learning rate", "Validation loss", height=4.2)
for (name, group), color in zip(runs.items(), LINES, strict=False):
    history = kzoo.recipes.mean_history(group)
    left.plot(history["epoch"], history["learning_rate"], color=color, lw=1.8, label=name)
    right.plot(history["epoch"], history["val_loss"], color=color, lw=1.5)
left.set(xlabel="epoch", xticks=range(0, epochs + 1, 5))
right.set(xlabel="epoch", xticks=range(0, epochs + 1, 5), yscale="log")
figure.legend(
    *left.get_legend_handles_labels(),
    loc="outside lower center",
    ncols=7,
    frameon=False,
    fontsize=9,
)
kzoo.recipes.finish(args, kzoo.recipes.variant_rows(runs), figure)
