"""Small data sets that a small network learns, and its run."""

import numpy as np
import pandas as pd
from PIL import Image
from shortcuts import undrawn

import kzoo


def shops(n, seed=0):
    random = np.random.default_rng(seed)
    size = random.normal(size=n).round(2)
    town = random.choice(["Bern", "Genf"], n)
    return pd.DataFrame(
        {"size": size, "town": town, "open": np.where(size + (town == "Bern") > 0.5, "yes", "no")}
    )


def draw(folder, classes, count, size=12):
    """Write images of one brightness per class."""
    random = np.random.default_rng(0)
    for label, level in classes.items():
        (folder / label).mkdir(parents=True)
        for i in range(count):
            pixels = np.clip(random.normal(level, 20, (size, size, 3)), 0, 255).astype("uint8")
            Image.fromarray(pixels).save(folder / label / f"{i}.png")
    return folder


def waves(n):
    t = np.arange(n)
    return pd.DataFrame({"a": 5 + np.sin(t / 3), "b": np.cos(t / 5)})


def fit(preset, data, out, **options):
    with undrawn():
        return kzoo.train(
            preset,
            data,
            out=out,
            **{"callbacks": "quick", "progress": False, "epochs": 2} | options,
        )
