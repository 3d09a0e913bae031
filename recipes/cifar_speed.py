"""CIFAR-10 in ten epochs: accuracy over minutes, compared with the tutorial's network and ResNet-20.

The preset is airbench94 (https://arxiv.org/abs/2404.00498), built from Keras layers. A frozen first convolution whitens
patches, the other convolutions are initialised as the identity, the learning rate is high with a short warm-up, images
are mirrored in every second epoch, and the network computes in bfloat16. At the end, predictions are averaged over six
mirrored and shifted views of each test image. The other two presets keep their settings except for the number of
epochs, which is chosen so that they take about as long.

python recipes/cifar_speed.py                      downloads CIFAR-10, 163 MB, unless it is here already; hours on a CPU
python recipes/cifar_speed.py --data cifar/        folders train/ and test/, each with a folder of images per class
python recipes/cifar_speed.py --presets cifar_speed --seed 1   one preset, another seed
python recipes/cifar_speed.py --smoke              seconds and no download, on generated pictures

Measured: 1436 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
from pathlib import Path

import numpy as np

import kzoo
from kzoo.plots.colors import LINES

names = ["cifar_speed", "cifar_cnn", "cifar_resnet"]
args = kzoo.recipes.arguments(
    "cifar_speed",
    __doc__,
    data="cifar10",
    presets=dict(nargs="+", default=names),
    epochs_beside=20,
    seed=0,
)
out = Path(args.out or "runs/cifar_speed")
source = args.data
if args.smoke and source == "cifar10":
    print("smoke: 240 generated shapes of half size are used in place of cifar10")
    shapes = kzoo.load_data("shapes")
    # (240, 32, 32, 3)
    source = shapes.test.x[:, ::2, ::2], np.array(shapes.class_names)[shapes.test.y]
# A small validation split, enough for a curve: the paper has none, and each held-out image costs accuracy.
data = kzoo.load_data(source, preset="cifar_speed", validation=0.1 if args.smoke else 0.02)
print(data)


# %% Train
def settings(name):
    small = dict(epochs=1, batch_size=64, filters=(8, 16)) if args.smoke else {}
    small |= dict(dropout=0.2) if args.smoke and name == "cifar_cnn" else {}
    return small if args.smoke or name == "cifar_speed" else dict(epochs=args.epochs_beside)


runs = {
    name: kzoo.train(name, data, out=out / name, seed=args.seed, **settings(name))
    for name in args.presets
}

# %% Evaluate: on the images, and with the mean of six views
rows = []
for run in runs.values():
    plain = kzoo.evaluate(run, data)
    views = kzoo.evaluate(run, data, tta="shift")
    row = kzoo.recipes.run_row(run, plain, "accuracy")
    row |= dict(with_tta=views["accuracy"], minutes=round(run.summary["seconds"] / 60, 2))
    rows.append(row | dict(precision=run.config["precision"]))

# %% Plot
figure, (axes,) = kzoo.plots.panels(
    "Accuracy on validation images over minutes of training", width=7
)
for (name, run), color in zip(runs.items(), LINES, strict=False):
    minutes = np.cumsum(run.history["seconds"]) / 60
    axes.plot(minutes, run.history["val_accuracy"], color=color, marker=".", label=name)
axes.set(xlabel="minutes", ylabel="accuracy", ylim=(0, 1))
axes.legend(frameon=False)
kzoo.recipes.finish(args, rows, figure, folder=out)
