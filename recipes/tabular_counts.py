"""Counts: the rate of bikes rented in an hour, by Poisson regression, beside the squared error on the same rows.

The mean of a count is above 0, and its variance grows with it. Poisson regression (`task="count"`) predicts a rate
above 0, and an error of one bike weighs more where few are expected. The squared error is decided by the busiest hours,
and a few of its predictions are below 0. Here the two networks differ little, over three splits no more than by chance.
These rows are generated, so the true rates are scored too: no model is better, except by chance.

python recipes/tabular_counts.py                                   generated rentals of an hour, three splits
python recipes/tabular_counts.py --data my.csv --target visits     your own table, with a column of whole numbers
python recipes/tabular_counts.py --smoke                           a quick test of a few seconds

Measured: 249 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import mean_poisson_deviance, root_mean_squared_error

import kzoo
from kzoo.inference.tables.files import read_table
from kzoo.plots.colors import BLUE, GREY, ORANGE

args = kzoo.recipes.arguments("tabular_counts", __doc__, data="rentals", target="bikes")
out = Path(args.out or "runs/tabular_counts")
if args.data == "rentals":
    random = np.random.default_rng(0)
    n = 600 if args.smoke else 4000
    frame = pd.DataFrame(
        dict(hour=random.integers(0, 24, n), day=random.choice(list("MTWTFSS"), n))
    )
    frame = frame.assign(
        weather=random.choice(["dry", "dry", "rain"], n), degrees=random.normal(12, 8, n).round(1)
    )
    commuting = np.isin(frame.hour, [7, 8, 17, 18]) & (frame.day != "S")
    log_rate = (
        1.2 * np.sin((frame.hour - 9) * np.pi / 12)
        + 1.2 * commuting
        - 0.9 * (frame.weather == "rain")
    )
    true_rates = np.exp(log_rate - 0.4 + 0.05 * frame.degrees.clip(-5, 25)).to_numpy()
    frame["bikes"] = random.poisson(true_rates)
else:
    frame = read_table(args.data)
    true_rates = None

# %% Train: the same network with two losses, on the same splits
tasks = {"Poisson": dict(task="count"), "squared error": dict(task="regression", loss="mse")}
small = dict(epochs=2, members=4, units=(16,)) if args.smoke else {}
runs, data = {}, {}
for split in [0] if args.smoke else [0, 1, 2]:
    for name, settings in tasks.items():
        source = dict(target=args.target, task=settings["task"], preset="tabular_tabm", seed=split)
        data[split] = kzoo.load_data(frame, **source)  # the splits do not depend on the task
        settings = {key: value for key, value in settings.items() if key != "task"} | small
        folder = out / f"{name.replace(' ', '-')}-{split}"
        runs[name, split] = kzoo.train(
            "tabular_tabm",
            data[split],
            out=folder,
            seed=split,
            progress=False,
            baselines=name == "Poisson",
            **settings,
        )

# %% Evaluate
scores, predictions = [], []
for (name, split), run in runs.items():
    truth, rates = run.answers["truth"].ravel(), run.answers["answers"].ravel()
    predictions.append(pd.DataFrame(dict(model=name, split=split, truth=truth, rate=rates)))
    candidates = {f"network, {name}": rates}
    if name == "Poisson" and true_rates is not None:
        candidates["the true rates"] = true_rates[data[split].test.rows]
    for label, each in candidates.items():
        above_0 = np.maximum(each, truth.mean() / 100)  # the deviance of a rate of 0 is infinite
        scores.append(dict(model=label, deviance=mean_poisson_deviance(truth, above_0)))
        scores[-1] |= dict(rmse=root_mean_squared_error(truth, each), below_0=(each < 0).mean())
    for baseline in run.summary.get("baselines", ()):
        if baseline["scores"]:
            deviance, rmse = (baseline["scores"][key] for key in ("poisson_deviance", "rmse"))
            scores.append(dict(model=baseline["label"], deviance=deviance, rmse=rmse, below_0=0.0))
groups = pd.DataFrame(scores).groupby("model")
table = groups.mean().assign(
    deviance_sd=groups.deviance.std(), rmse_sd=groups.rmse.std(), splits=groups.size()
)
table = table.sort_values("deviance").astype(float).round(4).reset_index().astype(object)
rows = table.where(table.notna(), None).to_dict("records")

# %% Plot: observed counts in tenths of the predicted rates, over all splits
figure, (left, right) = kzoo.plots.panels(
    "Observed in tenths by prediction", "Poisson deviance, test", height=4
)
every = pd.concat(predictions)
for name, color in zip(tasks, (BLUE, ORANGE), strict=True):
    part = every[every.model == name].sort_values("rate")
    tenths = part.groupby(np.arange(len(part)) * 10 // len(part))
    error = (tenths.truth.var() / tenths.size()) ** 0.5
    left.errorbar(
        tenths.rate.mean(),
        tenths.truth.mean(),
        2 * error,
        color=color,
        fmt="o-",
        ms=5,
        lw=1,
        label=name,
    )
ends = [0, every.truth.max()]
left.plot(ends, ends, color=GREY, lw=1, zorder=0)
left.set(
    xlabel="mean prediction",
    ylabel="mean count and two standard errors",
    xscale="symlog",
    yscale="symlog",
)
left.legend(frameon=False, fontsize=9)
for i, row in enumerate(rows):
    color = {"network, Poisson": BLUE, "network, squared error": ORANGE}.get(row["model"], GREY)
    right.barh(i, row["deviance"], 0.6, color=color, xerr=row["deviance_sd"])
right.set_yticks(range(len(rows)), [row["model"] for row in rows])
right.invert_yaxis()
kzoo.recipes.finish(args, rows, figure, folder=out)
