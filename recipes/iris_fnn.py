"""Iris, the smallest real data set, on any Keras backend: train, evaluate, plot.

Network, data and code are the same on all three backends.

python recipes/iris_fnn.py                     TensorFlow
python recipes/iris_fnn.py --backend jax       JAX; torch for PyTorch
python recipes/iris_fnn.py --smoke             a quick test of a few seconds
python recipes/iris_fnn.py --data FILE.csv --target COLUMN    your own table and its class column

Measured: 33 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
import kzoo

backends = ("tensorflow", "jax", "torch")
args = kzoo.recipes.arguments(
    "iris_fnn", __doc__, data="iris", backend=backends, target=dict(default=None)
)
data = kzoo.load_data(args.data, preset="iris_fnn", target=args.target)
print(data)

# %% Train
run = kzoo.train("iris_fnn", data, out=args.out, epochs=1 if args.smoke else None)

# %% Evaluate
scores = kzoo.evaluate(run, data)
row = dict(
    preset="iris_fnn",
    backend=run.config["backend"],
    accuracy=scores["accuracy"],
    majority=scores["majority"],
    examples=scores["examples"],
    seconds=run.summary["seconds"],
)

# %% Plot
figure = kzoo.plots.confusion_matrix(
    run.answers["truth"], run.answers["answers"].argmax(axis=1), run.class_names
)
kzoo.recipes.finish(args, [row], figure, folder=run.path)
