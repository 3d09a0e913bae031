"""Any table: automatic cleaning, a feature of your own, and a comparison with gradient-boosted trees.

kzoo fills missing numbers with the median of the training rows and marks them, splits a date into parts, gives each
category an embedding, and excludes columns that number the rows or are constant. One distance here was entered in
metres. Such outliers are compressed, which a note reports, so clipping them with `clip` changes nothing more. kzoo
cannot know how columns relate: distance / speed is a time. With this column the network is better on this split and on
the next (`data_seed=1`), and worse on a third, where a few long trips dominate R2: do not rely on one split. Trees do
not gain from the column. They are a strong baseline for tables, and often the better model.

python recipes/tabular_fnn.py                       generated deliveries: predict the minutes
python recipes/tabular_fnn.py --data my.csv --target price                      your own table, numbers or classes
python recipes/tabular_fnn.py --data my.csv --target price --feature "area = width * length"   with your own feature
python recipes/tabular_fnn.py --smoke               a quick test of a few seconds

Measured: 89 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

import kzoo
from kzoo.inference.tables.files import read_table
from kzoo.plots.colors import BLUE, GREY

args = kzoo.recipes.arguments("tabular_fnn", __doc__, data="couriers", target="minutes", feature="")
out = Path(args.out or "runs/tabular_fnn")
if args.data == "couriers":
    random = np.random.default_rng(0)
    n = 400 if args.smoke else 3000
    start = pd.Timestamp("2024-01-01") + pd.to_timedelta(
        random.integers(0, 366 * 24 * 60, n), "min"
    )
    rush = start.hour.isin([7, 8, 16, 17, 18]) & (start.day_of_week < 5)
    weather = random.choice(["dry", "dry", "rain", "snow"], n)
    stops = random.poisson(2, n)
    frame = pd.DataFrame(
        dict(
            order_id=np.arange(n),
            start=start.strftime("%Y-%m-%d %H:%M"),
            weather=weather,
            stops=stops,
        )
    )
    frame = frame.assign(
        distance=random.lognormal(2, 0.7, n).round(1), speed=random.uniform(12, 90, n).round()
    )
    slower = 1 + 0.5 * rush + 0.2 * (weather == "rain") + 0.6 * (weather == "snow")
    frame["minutes"] = (
        60 * frame.distance / frame.speed * slower + 3 * stops + random.normal(0, 2, n)
    )
    for name, share in (("stops", 0.15), ("weather", 0.05), ("start", 0.02)):
        frame[name] = frame[name].mask(random.random(n) < share)
    frame.loc[7, "distance"] *= 1000  # entered in metres
    args.feature = args.feature or "hours = distance / speed"
else:
    frame = read_table(args.data)
tables = {"as it is": (frame, False), "outliers cut off": (frame, True)}
if args.feature:
    column, _, formula = args.feature.partition("=")
    try:
        tables[args.feature] = frame.assign(**{column.strip(): frame.eval(formula)}), False
    except (NameError, SyntaxError, TypeError, ValueError) as error:
        raise kzoo.KzooError(
            f"--feature {args.feature!r} must be 'name = formula' of columns: {error}"
        ) from None
if args.smoke:
    del tables["as it is"]

# %% Train
data = {
    name: kzoo.load_data(table, preset="tabular_fnn", target=args.target, clip=clip)
    for name, (table, clip) in tables.items()
}
runs = {}
for number, (name, table_data) in enumerate(data.items(), start=1):
    small = dict(epochs=1, batch_size=128) if args.smoke else {}
    runs[name] = kzoo.train("tabular_fnn", table_data, out=out / str(number), **small)
print("inputs of the network:", ", ".join(table_data.feature_names))

# %% Evaluate
rows = []
trees = HistGradientBoostingClassifier if table_data.class_names else HistGradientBoostingRegressor
for name, run in runs.items():
    metric = "accuracy" if table_data.class_names else "r2"
    train, test = data[name].train, data[name].test
    sizes = data[name].config["categories"]  # the last columns; trees accept at most 255 categories
    columns = [train.x.shape[1] - len(sizes) + i for i, size in enumerate(sizes) if size <= 255]
    tree_model = trees(
        categorical_features=columns, max_iter=10 if args.smoke else 100, random_state=0
    )
    tree_model.fit(train.x, train.y.ravel())
    row = {"table": name, "network": kzoo.evaluate(run, data[name])[metric]}
    rows.append(
        row
        | {
            "trees": tree_model.score(test.x, test.y),
            "metric": metric,
            "seconds": run.summary["seconds"],
        }
    )

# %% Plot
figure, (axes,) = kzoo.plots.panels(
    f"{Path(args.data).name}: {metric} on {len(test):,} test rows", width=7
)
for i, row in enumerate(rows):
    for shift, model, color in ((-0.2, "network", BLUE), (0.2, "trees", GREY)):
        axes.barh(i + shift, row[model], 0.36, color=color, label=model if i == 0 else None)
        axes.text(
            max(row[model], 0) + 0.01, i + shift, f"{row[model]:.3f}", va="center", fontsize=9
        )
axes.set_yticks(range(len(rows)), [row["table"] for row in rows])
axes.invert_yaxis()
axes.set_xlim(0, 1.1)
figure.legend(loc="outside upper right", ncols=2, frameon=False)
kzoo.recipes.finish(args, rows, figure, folder=out)
