"""A model as a file to mail: one HTML page that contains the model and opens in any browser, offline.

The page shows the scores beside baselines, an example that is already answered, and a form with sliders. The same page
as a folder is for web servers. Both are compared with Keras by Node.js, if it is installed.

python recipes/page.py                                       iris: four lengths and a species
python recipes/page.py --data my.csv --target price          your own table, numbers or classes
python recipes/page.py --smoke                               a quick test of a few seconds

Measured: 40 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
from pathlib import Path

from sklearn.datasets import load_iris

import kzoo
from kzoo.plots.colors import BLUE, GREY

args = kzoo.recipes.arguments("page", __doc__, data="iris", target="species")
out = Path(args.out or "runs/page")
source = args.data
if source == "iris":
    iris = load_iris(as_frame=True)
    source = iris.frame.drop(columns="target").assign(species=iris.target_names[iris.target])
small = dict(epochs=1) if args.smoke else {}

# %% Train
data = kzoo.load_data(source, preset="tabular_fnn", target=args.target)
run = kzoo.train("tabular_fnn", data, out=out / "run", **small)

# %% Export
formats = ["html", "html_folder"]
exported = kzoo.export(run, out / "model", formats=formats, overwrite=True)
rows = []
for name, entry in exported.exports.items():
    facts = {key: entry[key] for key in ("bytes", "weights", "difference", "file")}
    rows.append(dict(format=name) | facts)
print(f"open in a browser: {exported.path / rows[0]['file']}")

# %% Plot
figure, (axes,) = kzoo.plots.panels("Size of the page", width=7)
for i, row in enumerate(rows):
    axes.barh(i, row["bytes"] / 1000, 0.5, color=GREY, label="page" if i == 0 else None)
    axes.barh(i, row["weights"] / 1000, 0.5, color=BLUE, label="weights" if i == 0 else None)
axes.set_yticks(range(len(rows)), [row["format"] for row in rows])
axes.set_xlabel("kB")
figure.legend(loc="outside upper right", ncols=2, frameon=False)
kzoo.recipes.finish(args, rows, figure, folder=out)
