"""A training loop by hand, in PyTorch, around the Keras network of preset iris_fnn.

On the torch backend a Keras model is a `torch.nn.Module`: its `parameters()` go into any PyTorch optimizer. Keras only
collects the L2 penalty in `model.losses`, and a loop that does not add it trains a different network.

python recipes/frameworks/torch_loop.py              ten seeds
python recipes/frameworks/torch_loop.py --seeds 3    three
python recipes/frameworks/torch_loop.py --smoke      seconds, to see that it runs

Measured: 34 s for all of it; its table is in recipes/README.md.
"""

# %% What to train, on what
import time

import numpy as np

import kzoo

args = kzoo.recipes.arguments("frameworks/torch_loop", __doc__, backend="torch", seeds=10, epochs=100)
import torch

torch.set_num_threads(1)  # steps this small gain nothing from more, and lose much where the cores are busy
seeds, epochs = (1, 3) if args.smoke else (args.seeds, args.epochs)

settings = kzoo.get_preset("iris_fnn").training


# %% The loop
def train(seed):
    """Return how many test flowers it gets right, and the training loss and the seconds of every epoch."""
    data = kzoo.load_data("iris", preset="iris_fnn", seed=seed)  # the seed draws the split as well as the weights
    scaling = dict(scale=data.config["scale"], offset=data.config["offset"])  # learned on the training split
    model = kzoo.build("iris_fnn", compile=False, seed=seed, output_activation=None, **scaling)  # logits
    optimizer = torch.optim.Adam(model.parameters(), lr=settings["learning_rate"])
    device = next(model.parameters()).device  # Keras takes a GPU where there is one
    x, y = torch.as_tensor(data.train.x, device=device), torch.as_tensor(data.train.y, device=device).long()

    losses, seconds = [], []
    for _ in range(epochs):
        began, total = time.perf_counter(), []
        for rows in torch.randperm(len(x), device=device).split(settings["batch_size"]):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x[rows], training=True), y[rows]) + sum(model.losses)
            loss.backward()
            optimizer.step()
            total.append(loss.item())
        losses.append(np.mean(total))
        seconds.append(time.perf_counter() - began)
    with torch.no_grad():
        answers = model(torch.as_tensor(data.test.x, device=device), training=False).argmax(dim=1).cpu().numpy()
    return np.sum(answers == data.test.y), losses, seconds


# %% Ten seeds
right, losses, seconds = (np.array(part) for part in zip(*map(train, range(seeds)), strict=True))
accuracies = right / 30
row = dict(
    framework="PyTorch loop",
    seeds=seeds,
    epochs=epochs,
    accuracy=accuracies.mean(),
    sd=accuracies.std(ddof=1) if seeds > 1 else None,
    loss=losses[:, -1].mean(),
    ms_per_epoch=1000 * np.median(seconds),
    right=right.tolist(),  # of 30 test flowers, seed by seed
)

# %% Look
kzoo.recipes.finish(args, [row], kzoo.plots.curves({"loss": losses.mean(axis=0)}))
