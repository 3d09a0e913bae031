"""Forecast a series with every preset there is for it, beside three baselines that nobody has to train for long.

A network is worth its training only where it beats the last value, the value one season ago (`--season 24`: the same
hour yesterday) and a linear map from the window to what follows, fitted by least squares. The split is in order of
time: a shuffled one would test on hours whose neighbours were trained on. `mse` and `mae` are of standardised values,
scaled with the training part, as papers report them; the other two are in the columns' own unit. `validation_mse`
decides which network to take, before the test part says how good it is.

python recipes/series_forecast.py                          a made-up series: a day and a week of sines, and noise
python recipes/series_forecast.py --data FILE.csv --target sales    your own: a time column, numbers, one target or more
python recipes/series_forecast.py --data ETTh1.csv --rows 14400 --validation 0.2 --test 0.2 --horizon 96
                                   as papers do it: 12, 4 and 4 months of 30 days, every column is a target
python recipes/series_forecast.py --presets series_linear series_gru --epochs 4      some of them, for so long
python recipes/series_forecast.py --smoke                  seconds, to see that it runs

Measured: 1629 s for all of it; its table is in recipes/README.md.
"""

# %% What to train, on what
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.linear_model import LinearRegression

import kzoo
from kzoo.plots.colors import BLUE, GREEN, GREY, ORANGE
from kzoo.sources.tables.files import read_table

number = dict(type=int, default=None)
options = dict(target=dict(default=None), rows=number, validation=0.1, test=0.2, steps=number, horizon=24, season=24)
options |= dict(presets=dict(nargs="+", default=kzoo.list_presets(task="forecasting")), epochs=number)
args = kzoo.recipes.arguments("series_forecast", __doc__, data="sine", **options)
if args.smoke:
    args.presets, args.steps, args.horizon = args.presets[-1:], 48, 12
presets = [kzoo.get_preset(name) for name in args.presets]
window = dict(input_shape=(args.steps, 1), horizon=args.horizon)  # steps None: two seasons of the data at least
presets = [replace(preset, config=preset.config | window) for preset in presets]
source = read_table(args.data).head(args.rows) if args.rows else args.data
split = dict(validation=args.validation, test=args.test)
data = kzoo.load_data(source, preset=presets[0], target=args.target, **split)
data.name = Path(args.data).name
steps = data.input_shape[0]
if args.season > steps:
    raise kzoo.KzooError(f"--season {args.season} lies before the window of {steps} steps: --steps lengthens it.")
if data.validation is None:
    raise kzoo.KzooError(f"--validation {args.validation:g} leaves nothing to choose a network by: 0.1 is usual.")
print(data)

# %% Train
out = Path(args.out or "runs/series_forecast")
settings = dict(epochs=1, batch_size=256) if args.smoke else dict(epochs=args.epochs)
runs = {preset.name: kzoo.train(preset, data, out=out / preset.name, **settings) for preset in presets}

# %% Score: baselines and networks alike, on the test part; the validation part chooses
targets = range(data.outputs)
train_x, train_y = data.train.x[:], data.train.y[:]  # (N, steps, F), (N, horizon, targets)
lines = [LinearRegression().fit(train_x[..., i], train_y[..., i]) for i in targets]


def without_network(x):
    """Return what each baseline says after these windows."""
    season = x[:, steps - args.season :, : data.outputs]
    return {
        "last value": np.repeat(x[:, -1:, : data.outputs], args.horizon, axis=1),
        f"{args.season} steps ago": season[:, np.arange(args.horizon) % args.season],
        "linear": np.stack([line.predict(x[..., i]) for i, line in enumerate(lines)], axis=-1),
    }


def standardised(values, part):
    """Return the errors in standard deviations of the training part."""
    return (values - part.y[:]) / np.array(data.config["target_scale"])


x, truth = data.test.x[:], data.test.y[:]
forecasts = without_network(x) | {name: kzoo.predict(run, x).values for name, run in runs.items()}
chosen_by = {
    name: float((standardised(values, data.validation) ** 2).mean())
    for name, values in without_network(data.validation.x[:]).items()
}
chosen_by |= {name: run.summary["validation"]["mse_standardised"] for name, run in runs.items()}
rows = []
for name, values in forecasts.items():
    error, own = standardised(values, data.test), values - truth
    row = dict(preset=name, validation_mse=chosen_by[name])
    row |= dict(mse=float((error**2).mean()), mae=float(np.abs(error).mean()))
    row |= dict(rmse_own_unit=float((own**2).mean() ** 0.5), mae_own_unit=float(np.abs(own).mean()))
    measured = runs[name].summary if name in runs else {}
    rows.append(row | {key: measured.get(key, 0) for key in ("parameters", "epochs", "seconds")})
best = min(runs, key=chosen_by.__getitem__)
print(f"Chosen by the validation part: {best}")

# %% Look: the errors, and one forecast of the network that was chosen
ranked = sorted(rows, key=lambda row: row["mse"])
place, first = len(truth) // 2, data.target_names[0]
figure, (left, right) = kzoo.plots.panels(f"{data.name}: MSE of standardised values", f"{first}, by {best}", width=6.4)
colors = [BLUE if row["preset"] in runs else GREY for row in ranked]
bars = left.barh(range(len(rows)), [row["mse"] for row in ranked], color=colors)
left.bar_label(bars, fmt=" %.3f", fontsize=9)
left.set_yticks(range(len(rows)), [row["preset"] for row in ranked])
left.invert_yaxis()
left.margins(x=0.12)
past, ahead = np.arange(1 - min(steps, 2 * args.horizon), 1), np.arange(1, args.horizon + 1)
right.plot(past, x[place, past - 1, 0], color=GREY, label="history")
right.plot(ahead, truth[place, :, 0], color=BLUE, label="truth")
right.plot(ahead, forecasts[best][place, :, 0], color=ORANGE, lw=2, label="forecast")
right.plot(ahead, forecasts["linear"][place, :, 0], color=GREEN, lw=1.2, ls="--", label="linear")
right.set_xlabel("steps from now")
low, high = right.get_ylim()
right.set_ylim(low, high + 0.12 * (high - low))  # room for the legend
right.legend(frameon=False, fontsize=9, ncols=4, loc="upper left")
kzoo.recipes.finish(args, rows, figure, folder=out)
