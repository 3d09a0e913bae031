"""A manual training loop in PyTorch with the Keras network of preset iris_fnn.

On the torch backend a Keras model is a `torch.nn.Module`: any PyTorch optimizer takes its `parameters()`. Keras only
collects the L2 penalty in `model.losses`; a loop that does not add it trains a different network.

python recipes/frameworks/torch_loop.py              ten seeds
python recipes/frameworks/torch_loop.py --seeds 3    three seeds
python recipes/frameworks/torch_loop.py --smoke      a quick test of a few seconds

Measured: 34 s in total; the results are in recipes/README.md.
"""

# %% Data and settings
import time

import numpy as np

import kzoo

args = kzoo.recipes.arguments(
    "frameworks/torch_loop", __doc__, backend="torch", seeds=10, epochs=100
)
import torch

# more threads do not help such small steps, and slow them down on busy cores
torch.set_num_threads(1)
seeds, epochs = (1, 3) if args.smoke else (args.seeds, args.epochs)

settings = kzoo.get_preset("iris_fnn").training


# %% The loop
def train(seed):
    """Return the number of correct test flowers, and the training loss and seconds of each epoch."""
    # the seed determines split and weights
    data = kzoo.load_data("iris", preset="iris_fnn", seed=seed)
    # learned on the training split
    scaling = dict(scale=data.config["scale"], offset=data.config["offset"])
    # logits
    model = kzoo.build("iris_fnn", compile=False, seed=seed, output_activation=None, **scaling)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings["learning_rate"])
    device = next(model.parameters()).device  # Keras uses a GPU if there is one
    x = torch.as_tensor(data.train.x, device=device)
    y = torch.as_tensor(data.train.y, device=device).long()

    losses, seconds = [], []
    for _ in range(epochs):
        began = time.perf_counter()
        batch_losses = []
        for rows in torch.randperm(len(x), device=device).split(settings["batch_size"]):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x[rows], training=True), y[rows]) + sum(
                model.losses
            )
            loss.backward()
            optimizer.step()
            batch_losses.append(loss.item())
        losses.append(np.mean(batch_losses))
        seconds.append(time.perf_counter() - began)
    with torch.no_grad():
        predictions = (
            model(torch.as_tensor(data.test.x, device=device), training=False)
            .argmax(dim=1)
            .cpu()
            .numpy()
        )
    return np.sum(predictions == data.test.y), losses, seconds


# %% Train ten seeds
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
    right=right.tolist(),  # of 30 test flowers, per seed
)

# %% Plot
kzoo.recipes.finish(args, [row], kzoo.plots.curves({"loss": losses.mean(axis=0)}))
