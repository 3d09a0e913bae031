"""Labelled series: which shape is in the noise, learned from a few or from many series.

Each example is a series, a row per step in the table, and the label is the same in all its rows. `series_rocket` has
frozen random convolutions and a ridge regression: it is fitted in one pass, and needs few series. Networks that are
trained by gradients need more of them, or more epochs. The nearest neighbour and the summary statistics are fitted to
the same series. Test series are the same for all numbers of training series.

python recipes/series_classes.py                      cylinders, bells and funnels, generated as Saito defined them
python recipes/series_classes.py --data motions.csv --series-id recording --time step --target activity
                                                      your own table; a third of its series are the test split
python recipes/series_classes.py --smoke              a quick test of a few seconds

Measured: 1883 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
from pathlib import Path

import numpy as np
import pandas as pd

import kzoo
from kzoo.data.generated import cylinder_bell_funnel
from kzoo.inference.tables.files import read_table
from kzoo.plots.colors import BLUE, GREEN, GREY, ORANGE

presets = dict(nargs="+", default=["series_rocket", "series_tcn"])
options = dict(series_id="series", time="step", target="shape", presets=presets)
args = kzoo.recipes.arguments("series_classes", __doc__, data="cbf", **options)
out = Path(args.out or "runs/series_classes")
if args.data == "cbf":
    x, classes, names = cylinder_bell_funnel()  # (N, steps, 1)
    number, step = (part.ravel() for part in np.indices(x.shape[:2]))
    frame = pd.DataFrame(
        {
            "series": number,
            "step": step,
            "value": x[..., 0].ravel(),
            "shape": np.array(names)[classes][number],
        }
    )
else:
    frame = read_table(args.data)
ids = frame[args.series_id].drop_duplicates().sample(frac=1, random_state=0).to_numpy()
test_ids, train_ids = np.split(ids, [len(ids) // 3])
if args.smoke:
    test_ids = test_ids[:60]
    args.presets = args.presets[:1]
sizes = [size for size in ([30] if args.smoke else [15, 30, 60, 120]) if size < len(train_ids)] or [
    len(train_ids)
]
columns = dict(series_id=args.series_id, time=args.time, target=args.target)
test = frame[frame[args.series_id].isin(test_ids)]

# %% Train
small = dict(shares=840, groups=8) if args.smoke else {}
runs = {}
for size in sizes:
    train = frame[frame[args.series_id].isin(train_ids[:size])]
    data = kzoo.load_data(
        train, preset=args.presets[0], test=test, validation=0.2, task="classification", **columns
    )
    for preset in args.presets:
        settings = small if preset == "series_rocket" else {}
        folder = out / f"{preset}-{size}"
        runs[preset, size] = kzoo.train(preset, data, out=folder, progress=False, **settings)

# %% Evaluate
rows = []
for (preset, size), run in runs.items():
    rows.append(dict(model=preset, series=size, accuracy=run.summary["test"]["accuracy"]))
    rows[-1]["seconds"] = run.summary["seconds"]
    for row in run.summary["baselines"] if preset == args.presets[0] else ():
        rows.append(
            dict(model=row["label"], series=size, accuracy=row["scores"]["accuracy"], seconds=0)
        )
rows.sort(key=lambda row: (row["series"], -row["accuracy"]))

# %% Plot: a series of each class, and the accuracy by the number of series
figure, (left, right) = kzoo.plots.panels(
    "A series of each class", f"Accuracy on {len(test_ids)} test series", width=6.4
)
value = data.feature_names[0]
for offset, (label, of_class) in enumerate(test.groupby(args.target)):
    first = of_class[of_class[args.series_id] == of_class[args.series_id].iloc[0]].sort_values(
        args.time
    )
    left.plot(
        np.arange(len(first)),
        first[value] - 10 * offset,
        color=(BLUE, ORANGE, GREEN, GREY)[offset % 4],
    )
    left.annotate(str(label), (0, -10 * offset + 4), fontsize=9)
left.set_xlabel("step")
left.set_yticks([])
for number, model in enumerate(dict.fromkeys(row["model"] for row in rows)):
    points = [(row["series"], row["accuracy"]) for row in rows if row["model"] == model]
    color = (BLUE, ORANGE, GREEN, GREY)[number % 4]
    line = "--" if number > 3 else "-"
    right.plot(*zip(*points, strict=True), line, marker="o", color=color, label=model)
right.set_xlabel("training series")
right.set_xticks(sizes)
right.legend(frameon=False, fontsize=9)
kzoo.recipes.finish(args, rows, figure, folder=out)
