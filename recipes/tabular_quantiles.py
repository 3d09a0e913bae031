"""Quantiles: a band for 80 % of the values, wide where rows are uncertain and narrow where they are not.

With `quantiles=(0.1, ..., 0.9)` a network predicts five quantiles of each row, which never cross. A band of the same
width for every row (the median and quantiles of the validation errors around it) also contains about 80 % of all test
values: nearly all where rows are easy to predict, and too few of the others. So coverage is compared in fifths of the
rows, from the narrowest predicted band to the widest. No band is exact: those of the network contain 85 %, those of
gradient-boosted trees 73 %.

python recipes/tabular_quantiles.py                                  generated deliveries: minutes, three splits
python recipes/tabular_quantiles.py --data my.csv --target price     your own table, with a column of numbers
python recipes/tabular_quantiles.py --smoke                          a quick test of a few seconds

Measured: 128 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import mean_pinball_loss

import kzoo
from kzoo.inference.tables.files import read_table
from kzoo.plots.colors import BLUE, GREY, INK, ORANGE

args = kzoo.recipes.arguments("tabular_quantiles", __doc__, data="deliveries", target="minutes")
out = Path(args.out or "runs/tabular_quantiles")
levels = (0.1, 0.25, 0.5, 0.75, 0.9)
if args.data == "deliveries":
    random = np.random.default_rng(0)
    n = 600 if args.smoke else 6000
    frame = pd.DataFrame(
        dict(distance=random.gamma(3, 2, n).round(1), hour=random.integers(8, 22, n))
    )
    frame = frame.assign(vehicle=random.choice(["bike", "car"], n), stops=random.poisson(2, n))
    # a car may stand in a jam, a bike does not
    jam = (frame.vehicle == "car") & frame.hour.isin([8, 9, 16, 17, 18])
    spread = (1 + 0.3 * frame.distance) * np.where(jam, 3, 1)
    minutes = 5 + 3 * frame.distance + 2 * frame.stops + 4 * jam + spread * random.gamma(2, 1, n)
    frame["minutes"] = minutes.round(1)
else:
    frame = read_table(args.data)

# %% Train
small = dict(epochs=2, members=4, units=(16,)) if args.smoke else {}
data, runs = {}, {}
for split in [0] if args.smoke else [0, 1, 2]:
    data[split] = kzoo.load_data(
        frame, preset="tabular_tabm", target=args.target, quantiles=levels, seed=split
    )
    folder = out / f"split-{split}"
    runs[split] = kzoo.train(
        "tabular_tabm", data[split], out=folder, seed=split, progress=False, **small
    )

# %% Evaluate
scores, fifths, bands = [], [], []
for split, run in runs.items():
    validation, test = data[split].validation, data[split].test
    past = validation.y[:, 0] - kzoo.predict(run, validation.x).quantiles[:, 0, 2]
    truth = test.y[:, 0]
    quantiles = kzoo.predict(run, test.x).quantiles[:, 0]
    same_width = quantiles[:, [2]] + np.quantile(past, levels)
    order = np.argsort(quantiles[:, -1] - quantiles[:, 0])
    bands.append((truth, quantiles))
    for name, each in (("network", quantiles), ("network's median, same width", same_width)):
        inside = (each[:, 0] <= truth) & (truth <= each[:, -1])
        loss = np.mean(
            [
                mean_pinball_loss(truth, column, alpha=a)
                for a, column in zip(levels, each.T, strict=True)
            ]
        )
        parts = [inside[part].mean() for part in np.array_split(order, 5)]
        scores.append(
            dict(
                model=name,
                pinball=loss,
                coverage=inside.mean(),
                width=np.ptp(each[:, [0, -1]], 1).mean(),
            )
        )
        scores[-1] |= dict(narrowest_fifth=parts[0], widest_fifth=parts[-1])
        fifths.append(dict(model=name) | dict(enumerate(parts)))
    for baseline in run.summary["baselines"]:
        if baseline["scores"]:
            pinball, coverage, width = (
                baseline["scores"][key] for key in ("pinball", "coverage", "band_width")
            )
            scores.append(
                dict(model=baseline["label"], pinball=pinball, coverage=coverage, width=width)
            )
groups = pd.DataFrame(scores).groupby("model")
table = groups.mean().assign(
    pinball_sd=groups.pinball.std(), coverage_sd=groups.coverage.std(), splits=groups.size()
)
table = table.sort_values("pinball").astype(float).round(4).reset_index().astype(object)
rows = table.where(table.notna(), None).to_dict("records")

# %% Plot: the bands of 80 test rows of the first split; coverage in fifths of the rows, over all splits
figure, (left, right) = kzoo.plots.panels(
    "The 80 % band of some test rows", "Coverage of the 80 % bands", height=4
)
truth, quantiles = (part[:80] for part in bands[0])
low, _, median, _, high = quantiles[np.argsort(quantiles[:, 2])].T
left.fill_between(range(len(low)), low, high, color=BLUE, alpha=0.25, lw=0, step="mid")
left.plot(median, color=BLUE, lw=1.5, label="median", drawstyle="steps-mid")
left.plot(truth[np.argsort(quantiles[:, 2])], ".", color=INK, ms=4, label="truth")
left.set(xlabel="rows in the order of their median", ylabel=args.target)
left.legend(frameon=False, fontsize=9, loc="upper left")
for (name, shares), color in zip(
    pd.DataFrame(fifths).groupby("model", sort=False), (BLUE, ORANGE), strict=True
):
    shares = shares.drop(columns="model")
    right.errorbar(
        range(1, 6), shares.mean(), shares.std().fillna(0), color=color, fmt="o-", ms=5, label=name
    )
right.axhline(levels[-1] - levels[0], color=GREY, lw=1, zorder=0)
right.set(
    xlabel="fifth of the rows, by the width of the network's band",
    ylim=(0, 1.02),
    xticks=range(1, 6),
)
right.legend(frameon=False, fontsize=9, loc="lower left")
kzoo.recipes.finish(args, rows, figure, folder=out)
