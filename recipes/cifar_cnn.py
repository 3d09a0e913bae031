"""The tutorial's CIFAR-10 project from end to end: augmentation, callbacks, best model, curves, ten predictions.

The preset has a setting for each part: `augment=("flip", "shift")` replaces the tutorial's ImageDataGenerator ("rotate"
and "zoom" are also available), and the callback bundle "standard" has EarlyStopping, ModelCheckpoint and TensorBoard.
The run folder has `best.keras` and `curves.png`.
The tutorial stops early and selects its best model on the test images, so its score is too high. Here a tenth of the
training images is the validation split, and the test images are used once.

python recipes/cifar_cnn.py                       downloads CIFAR-10, 163 MB, unless it is here already; hours on a CPU
python recipes/cifar_cnn.py --data cifar10/       folders train/ and test/, each with a folder of images per class
python recipes/cifar_cnn.py --epochs 20           a third of the time
python recipes/cifar_cnn.py --out runs/cifar_cnn-01   a finished run is evaluated and plotted, not trained again
python recipes/cifar_cnn.py --chinese             the tutorial's class names under the pictures
python recipes/cifar_cnn.py --smoke               seconds and no download, on generated pictures

Measured: cifar_cnn on cifar10/: accuracy 84.2%, 1 run, 20 epochs, 2158 s a run (2026-11-27).
"""

# %% Data and settings
import numpy as np

import kzoo

args = kzoo.recipes.arguments(
    "cifar_cnn",
    __doc__,
    data="cifar10",
    epochs=dict(type=int, default=None),
    chinese=dict(action="store_true"),
)
source = args.data
if args.smoke and source == "cifar10":
    print("smoke: 240 generated shapes of half size are used in place of cifar10")
    shapes = kzoo.load_data("shapes")
    # (240, 32, 32, 3)
    source = shapes.test.x[:, ::2, ::2], np.array(shapes.class_names)[shapes.test.y]
# taken from the training images only
data = kzoo.load_data(source, preset="cifar_cnn", validation=0.1)
print(data)

# %% Train
small = dict(epochs=1, filters=(8, 16), dropout=0.2) if args.smoke else dict(epochs=args.epochs)
run = kzoo.train("cifar_cnn", data, out=args.out, **small)

# %% Evaluate
scores = kzoo.evaluate(run, data)
row = kzoo.recipes.run_row(run, scores, "accuracy", "majority")

# %% Plot
sample = np.random.default_rng(0).choice(len(data.test), 10, replace=False)
images = data.test.x[sample]
predicted = kzoo.predict(run, images).labels
true = [data.class_names[i] for i in data.test.y[sample]]
if args.chinese:
    chinese = dict(airplane="飞机", automobile="汽车", bird="鸟", cat="猫", deer="鹿", dog="狗")
    chinese |= dict(frog="青蛙", horse="马", ship="船", truck="卡车")
    predicted, true = ([chinese.get(name, name) for name in names] for names in (predicted, true))
figure = kzoo.plots.prediction_grid(images, predicted, true)
kzoo.recipes.finish(args, [row], figure, folder=run.path)
