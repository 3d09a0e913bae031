"""airbench94 (https://arxiv.org/abs/2404.00498) in plain PyTorch, on a CPU, for comparison with `cifar_speed`.

    python tests/benchmarks/airbench.py --data cifar10/ --epochs 9.9 --write

kzoo only reads the images here. The result is the score of airbench94 on these files, which shows how much of a
difference is due to kzoo. The test images are scored after each epoch, and nothing is selected by them. `--write`
stores the last score, the mean of six views, in `kzoo/zoo/results/beside.json`.
"""

import argparse
import json
import math
import time

import beside
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import kzoo

MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
BATCH = 1024
MOMENTUM = 0.85
SMOOTHING = 0.2
AHEAD = 0.95**5
# what a step moves with Nesterov momentum, over what it moves without
KILOSTEP = 1 + 1 / (1 - MOMENTUM)
RATE = 11.5 / KILOSTEP / 1024 * BATCH
DECAY = 0.0153 / KILOSTEP
OF_BIASES = 64


def images(split):
    x = (
        torch.from_numpy(np.asarray(split.x[np.arange(len(split))])).permute(0, 3, 1, 2).float()
        / 255
    )
    return (x - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(DEVIATION).view(1, 3, 1, 1)


class Norm(nn.BatchNorm2d):
    def __init__(self, channels):
        super().__init__(channels, eps=1e-12, momentum=0.4)
        self.weight.requires_grad = False


class Convolution(nn.Conv2d):
    def __init__(self, before, after):
        super().__init__(before, after, 3, padding="same", bias=False)
        nn.init.dirac_(self.weight.data[:before])


class Group(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.first = Convolution(before, after)
        self.first_norm = Norm(after)
        self.second = Convolution(after, after)
        self.second_norm = Norm(after)

    def forward(self, x):
        x = F.gelu(self.first_norm(F.max_pool2d(self.first(x), 2)))
        return F.gelu(self.second_norm(self.second(x)))


class Network(nn.Module):
    def __init__(self, x):
        super().__init__()
        self.white = nn.Conv2d(3, 24, 2)
        self.groups = nn.Sequential(Group(24, 64), Group(64, 256), Group(256, 256))
        self.head = nn.Linear(256, 10, bias=False)
        patches = x[:5000].unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        white = vectors.T.flip(0).reshape(12, 3, 2, 2) / torch.sqrt(
            values.flip(0).view(-1, 1, 1, 1) + 5e-4
        )
        self.white.weight.data[:] = torch.cat((white, -white))
        self.white.weight.requires_grad = False
        self.white.bias.data.zero_()

    def forward(self, x):
        return self.head(F.max_pool2d(self.groups(F.gelu(self.white(x))), 3).flatten(1)) / 9


def accuracy(network, x, y, views):
    """Return the accuracy on the images, or with the mean of six views of each image."""

    def mirrored(x):
        return (network(x).float() + network(x.flip(-1)).float()) / 2

    network.eval()
    right = 0
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for some, truth in zip(x.split(1000), y.split(1000), strict=True):
            some = some.to(memory_format=torch.channels_last)
            if views:
                wide = F.pad(some, (1, 1, 1, 1), "reflect")
                moved = mirrored(wide[:, :, :-2, :-2]) + mirrored(wide[:, :, 2:, 2:])
                answers = mirrored(some) / 2 + moved / 4
            else:
                answers = network(some).float()
            right += (answers.argmax(1) == truth).sum().item()
    network.train()
    return right / len(x)


def train(x, y, x_test, y_test, epochs, draw):
    network = Network(x).to(memory_format=torch.channels_last)
    biases = [p for name, p in network.named_parameters() if "norm" in name and p.requires_grad]
    others = [p for name, p in network.named_parameters() if "norm" not in name and p.requires_grad]
    groups = [
        dict(params=biases, lr=RATE * OF_BIASES, weight_decay=DECAY / (RATE * OF_BIASES)),
        dict(params=others, lr=RATE, weight_decay=DECAY / RATE),
    ]
    optimizer = torch.optim.SGD(groups, momentum=MOMENTUM, nesterov=True)
    steps = len(x) // BATCH
    total = math.ceil(steps * epochs)
    triangle = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: float(np.interp(step / total, [0, 0.23, 1], [0.2, 1, 0.07]))
    )
    slow = {name: v.clone() for name, v in network.state_dict().items() if v.is_floating_point()}
    mirror = torch.rand(len(x), generator=draw) < 0.5
    wide = F.pad(x, (2, 2, 2, 2), "reflect")
    began = time.perf_counter()
    step = 0
    for epoch in range(math.ceil(epochs)):
        order = torch.randperm(len(x), generator=draw)
        mirrored = mirror ^ (epoch % 2 == 1)
        network.white.bias.requires_grad = epoch < 3
        right = seen = 0
        for batch in range(min(steps, total - step)):
            rows = order[batch * BATCH : (batch + 1) * BATCH]
            down, left = torch.randint(0, 5, (2, BATCH), generator=draw).tolist()
            moved = [
                wide[r, :, a : a + 32, b : b + 32]
                for r, a, b in zip(rows.tolist(), down, left, strict=True)
            ]
            images = torch.stack(moved)
            images = torch.where(mirrored[rows].view(-1, 1, 1, 1), images.flip(-1), images)
            with torch.autocast("cpu", torch.bfloat16):
                answers = network(images.to(memory_format=torch.channels_last))
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(answers.float(), y[rows], label_smoothing=SMOOTHING).backward()
            optimizer.step()
            triangle.step()
            step += 1
            right = right + (answers.argmax(1) == y[rows]).sum().item()
            seen = seen + BATCH
            if step % 5 == 0 and step < total:  # Lookahead, https://arxiv.org/abs/1907.08610
                for name, value in network.state_dict().items():
                    if name in slow:
                        slow[name].lerp_(value, 1 - AHEAD * (step / total) ** 3)
                        value.copy_(slow[name])
        row = dict(
            epoch=epoch + 1,
            training=round(right / seen, 4),
            test=accuracy(network, x_test, y_test, False),
        )
        print(json.dumps(row | dict(seconds=round(time.perf_counter() - began, 1))), flush=True)
    for name, value in network.state_dict().items():
        if name in slow:
            value.copy_(slow[name])
    return network, time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", default="cifar10", help="a folder with train/ and test/, or Keras' own set"
    )
    parser.add_argument("--epochs", type=float, default=9.9)
    parser.add_argument(
        "--rows", type=int, default=49_000, help="to train on: as many as cifar_speed's recipe has"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    draw = torch.Generator().manual_seed(args.seed)
    data = kzoo.load_data(args.data, preset="cifar_speed", validation=0)
    rows = torch.randperm(len(data.train), generator=draw)[: args.rows]
    x = images(data.train)[rows]
    y = torch.from_numpy(np.asarray(data.train.y)).long()[rows]
    x_test = images(data.test)
    y_test = torch.from_numpy(np.asarray(data.test.y)).long()
    network, seconds = train(x, y, x_test, y_test, args.epochs, draw)
    plain, views = (accuracy(network, x_test, y_test, of) for of in (False, True))
    asked = f"--data {data.name} --epochs {args.epochs:g} --rows {args.rows} --seed {args.seed}"
    row = dict(
        data=data.name,
        presets=["cifar_speed"],
        what="airbench94 in PyTorch, six views of each test image",
        metric="accuracy",
        score=round(views, 4),
        plain=round(plain, 4),
        epochs=args.epochs,
        seconds=round(seconds, 1),
        seed=args.seed,
        source=f"python tests/benchmarks/airbench.py {asked}",
    )
    print(json.dumps(row))
    if args.write:
        beside.write(row)


if __name__ == "__main__":
    main()
