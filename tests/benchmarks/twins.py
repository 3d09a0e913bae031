"""PyTorch twins of presets: the same layers, optimizer, clipping and dropout, in idiomatic PyTorch.

Sizes and settings come from the preset, and modules have the names of the Keras layers. `test_twins.py` compares the
outputs with the same weights.
"""

import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from kzoo.zoo.registry.preset import closed

ACTIVATIONS = {"relu": F.relu, "gelu": lambda x: F.gelu(x, approximate="tanh")}
CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def twin(preset):
    """Return the network of a preset; its outputs are logits or values."""
    config = SimpleNamespace(**closed(preset.config))
    if preset.family == "fnn":
        return feed_forward(config)
    if preset.family == "cnn":
        return plain(config) if config.block == "plain" else residual(config)
    if preset.family == "transformer":
        return {"tokens": TextTransformer, "image": ImageTransformer, "series": SeriesTransformer}[
            config.inputs
        ](config)
    return Recurrent(CELLS[preset.family], config)


def count(network):
    """Return the number of parameters as in Keras: with batch norm statistics, without parameters frozen at 0."""
    learned = sum(p.numel() for p in network.parameters() if p.requires_grad)
    return learned + sum(
        value.numel() for name, value in network.named_buffers() if "running" in name
    )


def make_optimizer(network, training):
    """Return the optimizer of a preset's training contract, without weight decay of biases and norms."""
    kinds = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "sgd": torch.optim.SGD,
        "momentum": torch.optim.SGD,
    }
    learned = [p for p in network.parameters() if p.requires_grad]
    groups = [
        dict(params=[p for p in learned if p.ndim > 1], weight_decay=training["weight_decay"]),
        dict(params=[p for p in learned if p.ndim == 1], weight_decay=0.0),
    ]
    extra = {"eps": 1e-7} if training["optimizer"] in ("adam", "adamw") else {}
    if training["optimizer"] == "momentum":
        extra = {"momentum": training.get("momentum", 0.9), "nesterov": True}
    return kinds[training["optimizer"]](groups, lr=training["learning_rate"], fused=True, **extra)


def make_loss(preset):
    """Return the loss of outputs and targets: for values, one logit, or one logit per class."""
    if preset.config["output_activation"] is None:
        return F.mse_loss
    if preset.config["outputs"] == 1:
        return lambda answers, labels: F.binary_cross_entropy_with_logits(
            answers[:, 0], labels.float()
        )
    return F.cross_entropy


def named(**modules):
    """Return a sequence of named modules."""
    chain = nn.Sequential()
    for name, module in modules.items():
        chain.add_module(name, module)
    return chain


def dense(inputs, units, *, name, dropout, norm=None):
    """Return linear layer, relu, norm and dropout, by name."""
    block = {f"{name}_dense": nn.Linear(inputs, units), f"{name}_relu": nn.ReLU()}
    if norm == "batch":
        block[f"{name}_norm"] = nn.BatchNorm1d(units, eps=1e-3)
    return block | {f"{name}_dropout": nn.Dropout(dropout)}


def feed_forward(c):
    layers = {}
    width = c.input_shape[0]
    for i, units in enumerate(c.units, start=1):
        layers |= dense(width, units, name=f"hidden{i}", dropout=c.dropout, norm=c.norm)
        width = units
    return named(**layers, outputs=nn.Linear(width, c.outputs))


def plain(c):
    layers = {}
    channels = c.input_shape[-1]
    for i, (width, rate) in enumerate(zip(c.filters, c.dropout, strict=True), start=1):
        for j in range(1, c.depth + 1):
            layers[f"block{i}_conv{j}"] = nn.Conv2d(channels, width, c.kernel_size, padding="same")
            layers[f"block{i}_relu{j}"] = nn.ReLU()
            layers[f"block{i}_norm{j}"] = nn.BatchNorm2d(width, eps=1e-3)
            channels = width
        layers |= {
            f"block{i}_pool": nn.MaxPool2d(c.pool_size),
            f"block{i}_dropout": nn.Dropout(rate),
        }
    width = channels * (c.input_shape[0] // c.pool_size ** len(c.filters)) ** 2
    (units,) = c.units
    head = dense(width, units, name="hidden1", dropout=c.units_dropout, norm=c.units_norm)
    return named(**layers, flatten=nn.Flatten(), **head, outputs=nn.Linear(units, c.outputs))


class Residual(nn.Module):
    """A basic residual block; its shortcut keeps every second pixel and pads channels with zeros."""

    def __init__(self, channels, width, stride):
        super().__init__()
        self.stride = stride
        self.new = width - channels
        self.a_conv = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.a_norm = nn.BatchNorm2d(width, eps=1e-3)
        self.b_conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.b_norm = nn.BatchNorm2d(width, eps=1e-3)

    def forward(self, x):
        y = F.relu(self.a_norm(self.a_conv(x)))
        y = self.b_norm(self.b_conv(y))
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.new:
            x = F.pad(x, (0, 0, 0, 0, 0, self.new))
        return F.relu(x + y)


def residual(c):
    channels = c.filters[0]
    layers = dict(
        stem_conv=nn.Conv2d(c.input_shape[-1], channels, 3, padding=1, bias=False),
        stem_norm=nn.BatchNorm2d(channels, eps=1e-3),
        stem_relu=nn.ReLU(),
    )
    for i, width in enumerate(c.filters, start=1):
        for j in range(1, c.depth + 1):
            layers[f"block{i}_{j}"] = Residual(channels, width, 2 if i > 1 and j == 1 else 1)
            channels = width
    pool = dict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    return named(**layers, **pool, outputs=nn.Linear(channels, c.outputs))


class Recurrent(nn.Module):
    """Embedding, recurrent layers, last unmasked step or mean over unmasked steps, dense layers, output.

    PyTorch cells have two biases where Keras cells have one, except for the GRU: the second is frozen at 0.
    """

    def __init__(self, cell, c):
        super().__init__()
        self.pooling, width = c.pooling, c.embedding_dim
        self.embedding = nn.Embedding(c.vocabulary_size, width)
        self.embedding_dropout = nn.Dropout(c.embedding_dropout)
        self.dropout = nn.Dropout(c.dropout)
        self.cells = []
        for i, units in enumerate(c.units, start=1):
            layer = cell(width, units, batch_first=True)
            if cell is not nn.GRU:
                nn.init.zeros_(layer.bias_hh_l0.requires_grad_(False))
            self.add_module(f"layer{i}", layer)
            self.cells.append(layer)
            width = units
        head = {}
        for i, units in enumerate(c.dense_units, start=1):
            head |= dense(width, units, name=f"dense{i}", dropout=c.dense_dropout)
            width = units
        self.head = named(**head, outputs=nn.Linear(width, c.outputs))

    def forward(self, ids):
        x = self.embedding_dropout(self.embedding(ids))
        for i, layer in enumerate(self.cells):
            x, _ = layer(x if i == 0 else self.dropout(x))
        steps = torch.arange(ids.shape[1])
        end = ((ids != 0) * steps).amax(1)
        if self.pooling == "last":
            x = x[torch.arange(len(x)), end]
        else:
            real = (steps <= end[:, None]).to(x.dtype)[..., None]
            x = (x * real).sum(1) / real.sum(1)
        return self.head(self.dropout(x))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x, mask):
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(x.transpose(1, 2).reshape(batch, tokens, width))


class OverBatch(nn.BatchNorm1d):
    """Batch normalisation of (B, tokens, width), with the constants of Keras."""

    def __init__(self, width):
        super().__init__(width, eps=1e-3, momentum=0.1)

    def forward(self, x):
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


def norm(c):
    return OverBatch(c.width) if c.norm == "batch" else nn.LayerNorm(c.width, 1e-6)


class Block(nn.Module):
    """An encoder block with normalisation before or after its two sub-layers."""

    def __init__(self, c):
        super().__init__()
        self.pre = c.norm_position == "pre"
        self.activation = ACTIVATIONS[c.activation]
        self.attention = Attention(c.width, c.num_heads)
        self.attention_norm, self.dense_norm = norm(c), norm(c)
        self.expand = nn.Linear(c.width, c.intermediate_dim)
        self.project = nn.Linear(c.intermediate_dim, c.width)
        self.dropout = nn.Dropout(c.dropout)

    def dense(self, x):
        return self.project(self.activation(self.expand(x)))

    def forward(self, x, mask=None):
        if self.pre:
            x = x + self.dropout(self.attention(self.attention_norm(x), mask))
            return x + self.dropout(self.dense(self.dense_norm(x)))
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        return self.dense_norm(x + self.dropout(self.dense(x)))


class Encoder(nn.Module):
    """The shared part of the three transformers: dropout, blocks, and a final norm if blocks are pre-norm."""

    def __init__(self, c):
        super().__init__()
        self.dropout = nn.Dropout(c.dropout)
        self.blocks = [Block(c) for _ in range(c.depth)]
        for i, block in enumerate(self.blocks, start=1):
            self.add_module(f"block{i}", block)
        self.final_norm = norm(c) if c.norm_position == "pre" else nn.Identity()

    def encoded(self, x, mask=None):
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, mask)
        return self.final_norm(x)


class TextTransformer(Encoder):
    def __init__(self, c):
        super().__init__(c)
        self.scale = math.sqrt(c.width)
        width = c.width
        self.embedding = nn.Embedding(c.vocabulary_size, width)
        angles = torch.arange(c.input_shape[0])[:, None] * 10_000 ** (
            -2 * torch.arange(width // 2) / width
        )
        self.register_buffer(
            "positions", torch.cat([angles.sin(), angles.cos()], 1), persistent=False
        )
        head = {"pool_dropout": nn.Dropout(c.dense_dropout)}
        for i, units in enumerate(c.dense_units, start=1):
            head |= dense(width, units, name=f"dense{i}", dropout=c.dense_dropout)
            width = units
        self.head = named(**head, outputs=nn.Linear(width, c.outputs))

    def forward(self, ids):
        real = ids != 0
        place = (real.cumsum(1) - 1).clamp(min=0)
        x = self.encoded(
            self.embedding(ids) * self.scale + self.positions[place], real[:, None, None]
        )
        real = real.to(x.dtype)[..., None]
        return self.head((x * real).sum(1) / real.sum(1))


class ImageTransformer(Encoder):
    def __init__(self, c):
        super().__init__(c)
        self.patches = nn.Conv2d(c.input_shape[-1], c.width, c.patch_size, c.patch_size)
        self.class_token = nn.Embedding(1, c.width)
        self.positions = nn.Embedding((c.input_shape[0] // c.patch_size) ** 2 + 1, c.width)
        self.outputs = nn.Linear(c.width, c.outputs)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.weight.expand(len(x), 1, -1), x], 1) + self.positions.weight
        return self.outputs(self.encoded(x)[:, 0])


class SeriesTransformer(Encoder):
    """Forecasts one series; each window is standardised separately."""

    def __init__(self, c):
        super().__init__(c)
        self.size, self.stride = c.patch_size, c.patch_stride
        count = (c.input_shape[0] - c.patch_size) // c.patch_stride + 1
        self.patches = nn.Linear(c.patch_size, c.width)
        self.positions = nn.Embedding(count, c.width)
        self.outputs = nn.Linear(count * c.width, c.horizon)

    def forward(self, x):
        x = x[..., 0]
        mean = x.mean(1, keepdim=True)
        spread = (x.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        x = (
            self.patches(((x - mean) / spread).unfold(1, self.size, self.stride))
            + self.positions.weight
        )
        return (self.outputs(self.encoded(x).flatten(1)) * spread + mean)[..., None]
