"""Iris, the smallest real data set, on the Keras backend of your choice: train, score, look.

The network, the data and every line below are the same on all three; only the backend's name changes.

python recipes/iris_fnn.py                     TensorFlow
python recipes/iris_fnn.py --backend jax       JAX; or torch for PyTorch
python recipes/iris_fnn.py --smoke             seconds, to see that it runs
python recipes/iris_fnn.py --data FILE.csv --target COLUMN    your own table, and the column with the classes

Measured: 33 s for all of it; its table is in recipes/README.md.
"""

# %% What to train, on what
import kzoo

backends = ("tensorflow", "jax", "torch")
args = kzoo.recipes.arguments("iris_fnn", __doc__, data="iris", backend=backends, target=dict(default=None))
data = kzoo.load_data(args.data, preset="iris_fnn", target=args.target)
print(data)

# %% Train
run = kzoo.train("iris_fnn", data, out=args.out, epochs=1 if args.smoke else None)

# %% Score
scores = kzoo.evaluate(run, data)
row = dict(
    preset="iris_fnn",
    backend=run.config["backend"],
    accuracy=scores["accuracy"],
    majority=scores["majority"],
    examples=scores["examples"],
    seconds=run.summary["seconds"],
)

# %% Look
figure = kzoo.plots.confusion_matrix(run.answers["truth"], run.answers["answers"].argmax(axis=1), run.class_names)
kzoo.recipes.finish(args, [row], figure, folder=run.path)
