"""Why LSTM and GRU: remember two numbers over a hundred steps and add them.

Two of 100 random numbers are marked, one in each half; the target is their sum. Always predicting 1 has a mean squared
error of 1/6. A simple recurrent layer multiplies its state by the same matrix in every step, so gradients vanish on the
way back to the marks. The gates of LSTM and GRU pass a number on unchanged. Their loss also stays flat for some epochs,
and then drops abruptly.

python recipes/adding_problem.py                three networks; LSTM and GRU take 5 to 14 minutes each on two cores
python recipes/adding_problem.py --steps 30     a shorter, easier sequence
python recipes/adding_problem.py --smoke        a quick test of a few seconds

Measured: 1164 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
from pathlib import Path

import kzoo

args = kzoo.recipes.arguments(
    "adding_problem", __doc__, steps=100, epochs=dict(type=int, default=None)
)
out = Path(args.out or "runs/adding_problem")
steps = 8 if args.smoke else args.steps
settings = dict(batch_size=2000, epochs=1, units=(8,)) if args.smoke else dict(epochs=args.epochs)
presets = ["adding_rnn", "adding_lstm", "adding_gru"]

# %% Train
runs = {
    name: kzoo.train(name, "adding", input_shape=(steps, 2), out=out / name, **settings)
    for name in presets
}

# %% Evaluate
truth = runs["adding_rnn"].answers["truth"]
always_one = float(((truth - 1) ** 2).mean())
rows = [dict(preset="always 1", steps=steps, mse=always_one, parameters=0, epochs=0, seconds=0.0)]
for name, run in runs.items():
    measured = {key: run.summary[key] for key in ("parameters", "epochs", "seconds")}
    rows.append(dict(preset=name, steps=steps, mse=kzoo.evaluate(run)["rmse"] ** 2) | measured)

# %% Plot: the validation error over the epochs
histories = {
    name: {"val_mean_squared_error": run.history["val_loss"]} for name, run in runs.items()
}
figure = kzoo.plots.overlay(histories)
axes = figure.axes[0]
axes.set_yscale("log")
axes.axhline(always_one, color="black", lw=1, ls="--")
text_style = dict(transform=axes.get_yaxis_transform(), ha="right", va="bottom")
axes.text(0.99, always_one, f"always 1: {always_one:.3f}", **text_style)
kzoo.recipes.finish(args, rows, figure, folder=out)
