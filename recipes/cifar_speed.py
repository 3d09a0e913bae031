"""CIFAR-10 in ten epochs: accuracy over minutes, beside the tutorial's network and ResNet-20.

The preset is airbench94 (https://arxiv.org/abs/2404.00498) from Keras' own layers: a frozen first convolution makes
patches white, the others begin as the identity, the rate is large and its warm-up short, images are mirrored in every
second epoch, and all of it is computed in bfloat16. At the end each test image is seen six times, mirrored and moved.
The others have their own settings but for their epochs, which are as many as take about as long.

python recipes/cifar_speed.py                      downloads CIFAR-10, 163 MB, unless it is here already; hours on a CPU
python recipes/cifar_speed.py --data cifar/        train/ and test/, a folder per class
python recipes/cifar_speed.py --presets cifar_speed --seed 1   one of them, another seed
python recipes/cifar_speed.py --smoke              seconds and no download, on generated pictures

Measured: 1436 s for all of it; its table is in recipes/README.md.
"""

# %% What to train, on what
from pathlib import Path

import numpy as np

import kzoo
from kzoo.plots.colors import LINES

names = ["cifar_speed", "cifar_cnn", "cifar_resnet"]
args = kzoo.recipes.arguments(
    "cifar_speed", __doc__, data="cifar10", presets=dict(nargs="+", default=names), epochs_beside=20, seed=0
)
out, source = Path(args.out or "runs/cifar_speed"), args.data
if args.smoke and source == "cifar10":
    print("smoke: 240 generated shapes, at half their size, stand in for cifar10")
    shapes = kzoo.load_data("shapes")
    source = shapes.test.x[:, ::2, ::2], np.array(shapes.class_names)[shapes.test.y]  # (240, 32, 32, 3)
# As few to validate on as give a curve: the paper has none, and every image that is held out costs accuracy.
data = kzoo.load_data(source, preset="cifar_speed", validation=0.1 if args.smoke else 0.02)
print(data)


# %% Train
def settings(name):
    less = dict(epochs=1, batch_size=64, filters=(8, 16)) if args.smoke else {}
    less |= dict(dropout=0.2) if args.smoke and name == "cifar_cnn" else {}
    return less if args.smoke or name == "cifar_speed" else dict(epochs=args.epochs_beside)


runs = {name: kzoo.train(name, data, out=out / name, seed=args.seed, **settings(name)) for name in args.presets}

# %% Score: once as it is, once with the mean of six views
rows = []
for run in runs.values():
    plain, views = kzoo.evaluate(run, data), kzoo.evaluate(run, data, tta="shift")
    row = kzoo.recipes.run_row(run, plain, "accuracy")
    row |= dict(with_tta=views["accuracy"], minutes=round(run.summary["seconds"] / 60, 2))
    rows.append(row | dict(precision=run.config["precision"]))

# %% Look
figure, (axes,) = kzoo.plots.panels("Accuracy on validation images over minutes of training", width=7)
for (name, run), color in zip(runs.items(), LINES, strict=False):
    minutes = np.cumsum(run.history["seconds"]) / 60
    axes.plot(minutes, run.history["val_accuracy"], color=color, marker=".", label=name)
axes.set(xlabel="minutes", ylabel="accuracy", ylim=(0, 1))
axes.legend(frameon=False)
kzoo.recipes.finish(args, rows, figure, folder=out)
