"""Start from a network that has seen a million photos: freeze it, train a new head, then tune its top, slowly.

Raw pixels 0..255 go in: MobileNetV3 scales them inside, and dividing by 255 first would ruin it silently. Its batch
normalisation stays frozen throughout, for small batches of new images would spoil its statistics. `image_cnn`, trained
from scratch on the same images, stands beside it.

python recipes/image_finetune.py                          generated shapes; downloads the ImageNet weights, 4 MB, once
python recipes/image_finetune.py --data FOLDER            a folder with a folder of images for each class
python recipes/image_finetune.py --weights FILE.weights.h5   MobileNetV3Small's weights without its top, from a file
python recipes/image_finetune.py --weights none           random weights: what a head alone can do
python recipes/image_finetune.py --smoke                  seconds and no download, with random weights
"""

# %% What to train, on what
from pathlib import Path

import numpy as np

import kzoo
from kzoo.utils.formatting import first_line

args = kzoo.recipes.arguments("image_finetune", __doc__, data="shapes", weights="imagenet", epochs=10)
import keras

out, epochs = Path(args.out or "runs/image_finetune"), 1 if args.smoke else args.epochs
data, minimalistic = kzoo.load_data(args.data, preset="image_cnn"), False
if args.smoke:  # a network with half the layers, and few images
    args.weights, minimalistic = ("none", True) if args.weights == "imagenet" else (args.weights, False)
    some = data.test.x[:64], np.array(data.class_names)[data.test.y[:64]]
    data = kzoo.load_data(some, preset="image_cnn")
print(data)
try:
    weights = None if args.weights == "none" else args.weights
    backbone = keras.applications.MobileNetV3Small(
        input_shape=data.input_shape, include_top=False, weights=weights, pooling="avg", minimalistic=minimalistic
    )
except Exception as error:  # of many types: the network, the file, the shape
    raise kzoo.KzooError(
        f"MobileNetV3Small with --weights {args.weights} for images {data.input_shape}: {first_line(error)}. "
        "--weights takes imagenet (a download), a .weights.h5 file of it without its top, or none."
    ) from None

# %% Train
backbone.trainable = False
x = keras.layers.Dropout(0.3)(backbone.output)
answers = keras.layers.Dense(data.outputs, activation="softmax", name="head")(x)
model = keras.Model(backbone.input, answers, name="new_head")
how = dict(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
how |= dict(run_eagerly=args.smoke)  # to trace so large a network takes longer than these few steps
model.compile(keras.optimizers.Adam(1e-3), **how)
head = kzoo.train(model, data, out=out / "head", epochs=epochs)

model = kzoo.Run(head.path).model  # the best epoch, opened anew: `head` stays as it is
for layer in model.layers[len(model.layers) * 3 // 4 :]:
    layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
model.compile(keras.optimizers.Adam(1e-4), **how)
tuned = kzoo.train(model, data, out=out / "tuned", epochs=epochs)

small = dict(filters=(8, 16)) if args.smoke else {}
scratch = kzoo.train("image_cnn", data, out=out / "scratch", epochs=epochs, **small)

# %% Score
rows = []
for what, run in {"new head": head, "top tuned": tuned, "image_cnn from scratch": scratch}.items():
    scores = run.summary["test"]  # of the best epoch
    row = dict(model=what, weights=args.weights if run is not scratch else "none", accuracy=scores["accuracy"])
    rows.append(row | dict(parameters=run.summary["parameters"], seconds=run.summary["seconds"]))

# %% Look
images, truth = data.test.x[:12], data.test.y[:12]
said = tuned.answers["answers"][:12].argmax(axis=1)
figure = kzoo.plots.prediction_grid(images, said, truth, data.class_names)
kzoo.recipes.finish(args, rows, figure, folder=out)
