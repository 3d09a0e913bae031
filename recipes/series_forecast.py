"""Forecast a series with every forecasting preset, and compare them with three baselines that need little training.

A network is only worth training if it beats the last value, the value one season ago (`--season 24`: the same hour
yesterday) and a linear map from the window to the forecast, fitted by least squares. The split is chronological: after
shuffling, the neighbours of test hours would be in the training split. `mse` and `mae` are of standardised values, with
the scale of the training split, as in papers; the other two are in the unit of the column. The network is selected by
`validation_mse`; the test split then measures it.

python recipes/series_forecast.py                          a generated series: daily and weekly sines with noise
python recipes/series_forecast.py --data FILE.csv --target sales    your own file: time column, numbers, targets
python recipes/series_forecast.py --data ETTh1.csv --rows 14400 --validation 0.2 --test 0.2 --horizon 96
                                   as in papers: 12, 4 and 4 months of 30 days; all columns are targets
python recipes/series_forecast.py --presets series_linear series_gru --epochs 4      two presets, four epochs
python recipes/series_forecast.py --smoke                  a quick test of a few seconds

Measured: 1629 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.linear_model import LinearRegression

import kzoo
from kzoo.inference.tables.files import read_table
from kzoo.plots.colors import BLUE, GREEN, GREY, ORANGE

number = dict(type=int, default=None)
options = dict(
    target=dict(default=None),
    rows=number,
    validation=0.1,
    test=0.2,
    steps=number,
    horizon=24,
    season=24,
)
options |= dict(
    presets=dict(nargs="+", default=kzoo.list_presets(task="forecasting")), epochs=number
)
args = kzoo.recipes.arguments("series_forecast", __doc__, data="sine", **options)
if args.smoke:
    args.presets = args.presets[-1:]
    args.steps = 48
    args.horizon = 12
presets = [kzoo.get_preset(name) for name in args.presets]
# if steps is None: at least two seasons of the data
window = dict(input_shape=(args.steps, 1), horizon=args.horizon)
presets = [replace(preset, config=preset.config | window) for preset in presets]
source = read_table(args.data).head(args.rows) if args.rows else args.data
split_sizes = dict(validation=args.validation, test=args.test)
data = kzoo.load_data(source, preset=presets[0], target=args.target, **split_sizes)
data.name = Path(args.data).name
steps = data.input_shape[0]
if args.season > steps:
    raise kzoo.KzooError(
        f"--season {args.season} is longer than the window of {steps} steps: increase --steps."
    )
if data.validation is None:
    raise kzoo.KzooError(
        f"--validation {args.validation:g} leaves no data to select a network. The default is 0.1."
    )
print(data)

# %% Train
out = Path(args.out or "runs/series_forecast")
settings = dict(epochs=1, batch_size=256) if args.smoke else dict(epochs=args.epochs)
runs = {
    preset.name: kzoo.train(preset, data, out=out / preset.name, **settings) for preset in presets
}

# %% Evaluate: baselines and networks on the test split; select on the validation split
targets = range(data.outputs)
train_x, train_y = data.train.x[:], data.train.y[:]  # (N, steps, F), (N, horizon, targets)
lines = [LinearRegression().fit(train_x[..., i], train_y[..., i]) for i in targets]


def baseline_forecasts(x):
    """Return the forecasts of each baseline for windows x."""
    season = x[:, steps - args.season :, : data.outputs]
    return {
        "last value": np.repeat(x[:, -1:, : data.outputs], args.horizon, axis=1),
        f"{args.season} steps ago": season[:, np.arange(args.horizon) % args.season],
        "linear": np.stack([line.predict(x[..., i]) for i, line in enumerate(lines)], axis=-1),
    }


def standardised_errors(values, split):
    """Return the errors in standard deviations of the training split."""
    return (values - split.y[:]) / np.array(data.config["target_scale"])


x, truth = data.test.x[:], data.test.y[:]
forecasts = baseline_forecasts(x) | {
    name: kzoo.predict(run, x).values for name, run in runs.items()
}
validation_mse = {
    name: float((standardised_errors(values, data.validation) ** 2).mean())
    for name, values in baseline_forecasts(data.validation.x[:]).items()
}
validation_mse |= {
    name: run.summary["validation"]["mse_standardised"] for name, run in runs.items()
}
rows = []
for name, values in forecasts.items():
    standardised = standardised_errors(values, data.test)
    error = values - truth
    row = dict(preset=name, validation_mse=validation_mse[name])
    row |= dict(mse=float((standardised**2).mean()), mae=float(np.abs(standardised).mean()))
    row |= dict(
        rmse_own_unit=float((error**2).mean() ** 0.5), mae_own_unit=float(np.abs(error).mean())
    )
    summary = runs[name].summary if name in runs else {}
    rows.append(row | {key: summary.get(key, 0) for key in ("parameters", "epochs", "seconds")})
best = min(runs, key=validation_mse.__getitem__)
print(f"Selected on the validation split: {best}")

# %% Plot: the errors, and one forecast of the selected network
ranked = sorted(rows, key=lambda row: row["mse"])
example = len(truth) // 2
target = data.target_names[0]
figure, (left, right) = kzoo.plots.panels(
    f"{data.name}: MSE of standardised values", f"{target}, by {best}", width=6.4
)
colors = [BLUE if row["preset"] in runs else GREY for row in ranked]
bars = left.barh(range(len(rows)), [row["mse"] for row in ranked], color=colors)
left.bar_label(bars, fmt=" %.3f", fontsize=9)
left.set_yticks(range(len(rows)), [row["preset"] for row in ranked])
left.invert_yaxis()
left.margins(x=0.12)
past = np.arange(1 - min(steps, 2 * args.horizon), 1)
ahead = np.arange(1, args.horizon + 1)
right.plot(past, x[example, past - 1, 0], color=GREY, label="history")
right.plot(ahead, truth[example, :, 0], color=BLUE, label="truth")
right.plot(ahead, forecasts[best][example, :, 0], color=ORANGE, lw=2, label="forecast")
right.plot(ahead, forecasts["linear"][example, :, 0], color=GREEN, lw=1.2, ls="--", label="linear")
right.set_xlabel("steps from now")
low, high = right.get_ylim()
right.set_ylim(low, high + 0.12 * (high - low))  # room for the legend
right.legend(frameon=False, fontsize=9, ncols=4, loc="upper left")
kzoo.recipes.finish(args, rows, figure, folder=out)
