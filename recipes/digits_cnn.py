"""Handwritten digits in half a minute: train, evaluate, plot.

The shortest recipe; all others have the same structure. Pixels are passed unscaled, 0..255: scaling is a layer of the
network, so users of the model cannot forget it.

python recipes/digits_cnn.py                 the preset with its defaults
python recipes/digits_cnn.py --smoke         a quick test of a few seconds
python recipes/digits_cnn.py --data FOLDER   a folder of images per class

Measured: 46 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
import kzoo

args = kzoo.recipes.arguments("digits_cnn", __doc__, data="digits")
data = kzoo.load_data(args.data, preset="digits_cnn")
print(data)

# %% Train
small = dict(epochs=1, filters=(8,), depth=1) if args.smoke else {}
run = kzoo.train("digits_cnn", data, out=args.out, **small)

# %% Evaluate
scores = kzoo.evaluate(run, data)  # on the test split, which training does not use
row = kzoo.recipes.run_row(run, scores, "accuracy", "majority")

# %% Plot
images, truth = data.test.x[:12], data.test.y[:12]
predictions = kzoo.predict(run, images)
figure = kzoo.plots.prediction_grid(
    images, predictions.labels, [data.class_names[i] for i in truth]
)
kzoo.recipes.finish(args, [row], figure, folder=run.path)
