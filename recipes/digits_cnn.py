"""Handwritten digits in half a minute: train, score, look.

The shortest way through kzoo, and the order of every other recipe. Pixels go in raw, 0..255: the scaling is inside the
network, so it cannot be forgotten when the model is used.

python recipes/digits_cnn.py                 the preset as it is
python recipes/digits_cnn.py --smoke         seconds, to see that it runs
python recipes/digits_cnn.py --data FOLDER   a folder with a folder of images for each class

Measured: 46 s for all of it; its table is in recipes/README.md.
"""

# %% What to train, on what
import kzoo

args = kzoo.recipes.arguments("digits_cnn", __doc__, data="digits")
data = kzoo.load_data(args.data, preset="digits_cnn")
print(data)

# %% Train
small = dict(epochs=1, filters=(8,), depth=1) if args.smoke else {}
run = kzoo.train("digits_cnn", data, out=args.out, **small)

# %% Score
scores = kzoo.evaluate(run, data)  # on the test split, which training never saw
row = kzoo.recipes.run_row(run, scores, "accuracy", "majority")

# %% Look
images, truth = data.test.x[:12], data.test.y[:12]
answers = kzoo.predict(run, images)
figure = kzoo.plots.prediction_grid(images, answers.labels, [data.class_names[i] for i in truth])
kzoo.recipes.finish(args, [row], figure, folder=run.path)
