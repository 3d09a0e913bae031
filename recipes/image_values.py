"""Values from images: by which angle a digit was turned, from -60 to 60 degrees.

If the target has fractions, the task is a regression: the same network with a linear output, and scores in the unit of
the target. The network is not told which digit it sees, and the error depends on it. Ridge regression on the pixels is
nearly as good. Augmentation by turning images, useful for classes, would teach wrong values here.

python recipes/image_values.py            turned digits, three splits
python recipes/image_values.py --smoke    a quick test of a few seconds

Measured: 133 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage
from sklearn.datasets import load_digits

import kzoo
from kzoo.plots.colors import BLUE, GREY

args = kzoo.recipes.arguments("image_values", __doc__)
out = Path(args.out or "runs/image_values")
images, digits = load_digits(return_X_y=True)
images, digits = (
    part[: 200 if args.smoke else None] for part in (images.reshape(-1, 8, 8), digits)
)
angles = np.random.default_rng(0).uniform(-60, 60, len(images))
# 16 x 16 pixels, which lose less when they are turned
large = [np.kron(image, np.ones((2, 2))) for image in images]
turned = [
    ndimage.rotate(image, angle, reshape=False, order=1)
    for image, angle in zip(large, angles, strict=True)
]
x = (np.stack(turned)[..., None] * 255 / 16).clip(0, 255).round().astype("uint8")

# %% Train
epochs = 1 if args.smoke else 20
data, runs = {}, {}
for split in [0] if args.smoke else [0, 1, 2]:
    data[split] = kzoo.load_data((x, angles), preset="digits_cnn", seed=split)
    folder = out / f"split-{split}"
    runs[split] = kzoo.train(
        "digits_cnn", data[split], out=folder, seed=split, epochs=epochs, progress=False
    )

# %% Evaluate
scores, answers = [], []
for split, run in runs.items():
    results = {"network": run.summary["test"]}
    results |= {row["label"]: row["scores"] for row in run.summary["baselines"] if row["scores"]}
    scores += [
        dict(model=model) | {key: row[key] for key in ("mae", "rmse", "r2")}
        for model, row in results.items()
    ]
    truth, predicted = run.answers["truth"].ravel(), run.answers["answers"].ravel()
    answers.append(
        pd.DataFrame(dict(digit=digits[data[split].test.rows], truth=truth, predicted=predicted))
    )
groups = pd.DataFrame(scores).groupby("model", sort=False)
table = (
    groups.mean()
    .assign(mae_sd=groups.mae.std(), splits=groups.size())
    .sort_values("mae")
    .astype(float)
    .round(4)
)
table = table.reset_index().astype(object)
rows = table.where(table.notna(), None).to_dict("records")

# %% Plot: the first split, and the error by digit over all splits
figure, (left, right) = kzoo.plots.panels(
    "Angle, test images", "Mean absolute error by digit", height=4
)
first = answers[0]
every = pd.concat(answers)
left.plot([-60, 60], [-60, 60], color=GREY, lw=1)
left.plot(first.truth, first.predicted, ".", color=BLUE, ms=4)
left.set(xlabel="truth, degrees", ylabel="prediction, degrees", aspect="equal")
by_digit = (every.predicted - every.truth).abs().groupby(every.digit)
right.bar(by_digit.mean().index, by_digit.mean(), color=BLUE, yerr=2 * by_digit.sem())
right.set(xlabel="digit", ylabel="degrees, with two standard errors", xticks=range(10))
kzoo.recipes.finish(args, rows, figure, folder=out)
