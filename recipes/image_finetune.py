"""Fine-tune a network pretrained on ImageNet: freeze it, train a new head, then train its top layers at a low rate.

Pass pixels unscaled, 0..255: MobileNetV3 scales them itself, and dividing by 255 first would silently ruin the result.
Its batch normalisation stays frozen throughout, because small batches of new images would spoil its statistics.
`image_cnn`, trained from scratch on the same images, is the comparison.

python recipes/image_finetune.py                          generated shapes; downloads the ImageNet weights once, 4 MB
python recipes/image_finetune.py --data FOLDER            a folder of images per class
python recipes/image_finetune.py --weights FILE.weights.h5   weights of MobileNetV3Small without its top, from a file
python recipes/image_finetune.py --weights none           random weights: the score of a head on its own
python recipes/image_finetune.py --smoke                  seconds and no download, with random weights
"""

# %% Data and settings
from pathlib import Path

import numpy as np

import kzoo
from kzoo.utils.formatting import first_line

args = kzoo.recipes.arguments(
    "image_finetune", __doc__, data="shapes", weights="imagenet", epochs=10
)
import keras

out = Path(args.out or "runs/image_finetune")
epochs = 1 if args.smoke else args.epochs
data = kzoo.load_data(args.data, preset="image_cnn")
minimalistic = False
if args.smoke:  # a network with half the layers, and few images
    args.weights, minimalistic = (
        ("none", True) if args.weights == "imagenet" else (args.weights, False)
    )
    sample = data.test.x[:64], np.array(data.class_names)[data.test.y[:64]]
    data = kzoo.load_data(sample, preset="image_cnn")
print(data)
try:
    weights = None if args.weights == "none" else args.weights
    backbone = keras.applications.MobileNetV3Small(
        input_shape=data.input_shape,
        include_top=False,
        weights=weights,
        pooling="avg",
        minimalistic=minimalistic,
    )
except Exception as error:  # many types: download, file, shape
    raise kzoo.KzooError(
        f"MobileNetV3Small with --weights {args.weights} for images {data.input_shape}: {first_line(error)}. "
        "--weights takes imagenet (a download), a .weights.h5 file of the network without its top, or none."
    ) from None

# %% Train
backbone.trainable = False
x = keras.layers.Dropout(0.3)(backbone.output)
outputs = keras.layers.Dense(data.outputs, activation="softmax", name="head")(x)
model = keras.Model(backbone.input, outputs, name="new_head")
compile_options = dict(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
# tracing this large network takes longer than a few steps
compile_options |= dict(run_eagerly=args.smoke)
model.compile(keras.optimizers.Adam(1e-3), **compile_options)
head = kzoo.train(model, data, out=out / "head", epochs=epochs)

model = kzoo.Run(head.path).model  # a copy of the best epoch: `head` is not changed
for layer in model.layers[len(model.layers) * 3 // 4 :]:
    layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
model.compile(keras.optimizers.Adam(1e-4), **compile_options)
tuned = kzoo.train(model, data, out=out / "tuned", epochs=epochs)

small = dict(filters=(8, 16)) if args.smoke else {}
scratch = kzoo.train("image_cnn", data, out=out / "scratch", epochs=epochs, **small)

# %% Evaluate
rows = []
for name, run in {"new head": head, "top tuned": tuned, "image_cnn from scratch": scratch}.items():
    scores = run.summary["test"]  # of the best epoch
    row = dict(
        model=name,
        weights=args.weights if run is not scratch else "none",
        accuracy=scores["accuracy"],
    )
    rows.append(row | dict(parameters=run.summary["parameters"], seconds=run.summary["seconds"]))

# %% Plot
images, truth = data.test.x[:12], data.test.y[:12]
predicted = tuned.answers["answers"][:12].argmax(axis=1)
figure = kzoo.plots.prediction_grid(images, predicted, truth, data.class_names)
kzoo.recipes.finish(args, rows, figure, folder=out)
