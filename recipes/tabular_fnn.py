"""Any table: what kzoo cleans by itself, what a person adds, and how both stand beside trees.

kzoo fills missing numbers with the median of the training rows and marks them, turns a date into its parts, gives each
category a vector of its own, and leaves out columns that number the rows or never change. One distance here was typed
in metres: values that far out are bent, which a note says, and `clip`, which cuts them off, changes no more. What kzoo
cannot know is what columns mean together: distance / speed is a time. With that column the network is better on this
split and on the next (`data_seed=1`), and worse on a third, where a few long ways decide R2: one split is luck. Trees,
which it does not help, are the honest yardstick for a table, and win on many.

python recipes/tabular_fnn.py                       made-up deliveries: how many minutes?
python recipes/tabular_fnn.py --data my.csv --target price                      your own table, numbers or classes
python recipes/tabular_fnn.py --data my.csv --target price --feature "area = width * length"   and a column that you add
python recipes/tabular_fnn.py --smoke               seconds, to see that it runs

Measured: 89 s for all of it; its table is in recipes/README.md.
"""

# %% What to train, on what
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

import kzoo
from kzoo.plots.colors import BLUE, GREY
from kzoo.sources.tables.files import read_table

args = kzoo.recipes.arguments("tabular_fnn", __doc__, data="couriers", target="minutes", feature="")
out = Path(args.out or "runs/tabular_fnn")
if args.data == "couriers":
    random, n = np.random.default_rng(0), 400 if args.smoke else 3000
    start = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 366 * 24 * 60, n), "min")
    rush = start.hour.isin([7, 8, 16, 17, 18]) & (start.day_of_week < 5)
    weather, stops = random.choice(["dry", "dry", "rain", "snow"], n), random.poisson(2, n)
    frame = pd.DataFrame(
        dict(order_id=np.arange(n), start=start.strftime("%Y-%m-%d %H:%M"), weather=weather, stops=stops)
    )
    frame = frame.assign(distance=random.lognormal(2, 0.7, n).round(1), speed=random.uniform(12, 90, n).round())
    slower = 1 + 0.5 * rush + 0.2 * (weather == "rain") + 0.6 * (weather == "snow")
    frame["minutes"] = 60 * frame.distance / frame.speed * slower + 3 * stops + random.normal(0, 2, n)
    for name, share in (("stops", 0.15), ("weather", 0.05), ("start", 0.02)):
        frame[name] = frame[name].mask(random.random(n) < share)
    frame.loc[7, "distance"] *= 1000  # somebody typed metres
    args.feature = args.feature or "hours = distance / speed"
else:
    frame = read_table(args.data)
tables = {"as it is": (frame, False), "outliers cut off": (frame, True)}
if args.feature:
    column, _, formula = args.feature.partition("=")
    try:
        tables[args.feature] = frame.assign(**{column.strip(): frame.eval(formula)}), False
    except (NameError, SyntaxError, TypeError, ValueError) as error:
        raise kzoo.KzooError(f"--feature {args.feature!r} is no 'name = formula' of columns: {error}") from None
if args.smoke:
    del tables["as it is"]

# %% Train
data = {
    what: kzoo.load_data(table, preset="tabular_fnn", target=args.target, clip=clip)
    for what, (table, clip) in tables.items()
}
runs = {}
for number, (what, its_data) in enumerate(data.items(), start=1):
    small = dict(epochs=1, batch_size=128) if args.smoke else {}
    runs[what] = kzoo.train("tabular_fnn", its_data, out=out / str(number), **small)
print("the network sees:", ", ".join(its_data.feature_names))

# %% Score
rows = []
trees = HistGradientBoostingClassifier if its_data.class_names else HistGradientBoostingRegressor
for what, run in runs.items():
    metric = "accuracy" if its_data.class_names else "r2"
    train, test = data[what].train, data[what].test
    sizes = data[what].config["categories"]  # of the last columns; the trees take at most 255 categories
    columns = [train.x.shape[1] - len(sizes) + i for i, size in enumerate(sizes) if size <= 255]
    yardstick = trees(categorical_features=columns, max_iter=10 if args.smoke else 100, random_state=0)
    yardstick.fit(train.x, train.y.ravel())
    row = {"table": what, "network": kzoo.evaluate(run, data[what])[metric]}
    rows.append(row | {"trees": yardstick.score(test.x, test.y), "metric": metric, "seconds": run.summary["seconds"]})

# %% Look
figure, (axes,) = kzoo.plots.panels(
    f"{Path(args.data).name}: {metric} on {len(test):,} rows nobody trained on", width=7
)
for place, row in enumerate(rows):
    for shift, who, color in ((-0.2, "network", BLUE), (0.2, "trees", GREY)):
        axes.barh(place + shift, row[who], 0.36, color=color, label=who if not place else None)
        axes.text(max(row[who], 0) + 0.01, place + shift, f"{row[who]:.3f}", va="center", fontsize=9)
axes.set_yticks(range(len(rows)), [row["table"] for row in rows])
axes.invert_yaxis()
axes.set_xlim(0, 1.1)
figure.legend(loc="outside upper right", ncols=2, frameon=False)
kzoo.recipes.finish(args, rows, figure, folder=out)
