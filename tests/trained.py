"""The entries of the library (`library.py`): small data sets, runs on them, and exports of these runs.

A run is in a folder of its own, with few steps; what it must have learned is written beside it. `data` has the
sources, which a run's folder does not contain.
"""

import numpy as np
import pandas as pd
from library import entry, folder, run
from PIL import Image
from shortcuts import undrawn, untraced
from small_exports import customers, write_exported

import kzoo

WORDS = {"food": "Soup bread salt", "law": "Court judge trial", "sport": "Goal match team"}
SCRIPT = "<script>alert(1)</script>"


def fit(preset, data, out, **options):
    """Train fast."""
    options = {"callbacks": "quick", "progress": False, "epochs": 2} | options
    with undrawn(), untraced():
        return kzoo.train(preset, data, out=out, **options)


# Data


def shops(n, seed=0):
    """Return a table whose class follows from two columns."""
    random = np.random.default_rng(seed)
    size = random.normal(size=n).round(2)
    town = random.choice(["Bern", "Genf"], n)
    return pd.DataFrame(
        {"size": size, "town": town, "open": np.where(size + (town == "Bern") > 0.5, "yes", "no")}
    )


def hostile_shops(n=240):
    """Return such a table with missing cells, whose names are markup."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"size": random.normal(size=n).round(2), "town": random.choice(["Bern", "Zürich <b>"], n)}
    )
    frame["open"] = np.where(frame["size"] + (frame["town"] == "Bern") > 0.5, "yes", SCRIPT)
    frame.loc[::5, "size"] = np.nan
    return frame


def waves(n):
    """Return a series of two columns without times."""
    t = np.arange(n)
    return pd.DataFrame({"a": 5 + np.sin(t / 3), "b": np.cos(t / 5)})


def dated_waves(n=160):
    """Return a series of two columns, every five hours."""
    frame = waves(n)
    times = pd.date_range("2024-01-30", periods=n, freq="5h").strftime("%Y-%m-%d %H:%M")
    frame.insert(0, "when", times)
    return frame


def draw(folder, classes, count, size=(12, 12)):
    """Write images of one brightness per class."""
    random = np.random.default_rng(0)
    for label, level in classes.items():
        (folder / label).mkdir(parents=True)
        for i in range(count):
            pixels = np.clip(random.normal(level, 20, (*size, 3)), 0, 255).astype("uint8")
            Image.fromarray(pixels).save(folder / label / f"{i}.png")
    return folder


@entry
def data(path):
    shops(120).to_csv(path / "shops.csv", index=False)
    customers().to_csv(path / "customers.csv", index=False)
    waves(200).to_csv(path / "waves.csv", index=False)
    dated_waves().to_csv(path / "dated.csv", index=False)
    hostile_shops().to_csv(path / "hostile.csv", index=False)
    draw(path / "photos", {"dark": 40, "light": 210}, 20, size=(14, 12))
    (path / "texts").mkdir()
    for name, words in WORDS.items():
        lines = [f"the {words} of day {i}\n" for i in range(30)]
        (path / "texts" / f"{name}.txt").write_text("".join(lines))
    (path / "book.txt").write_text("to be or not to be that is the question\n" * 40)


# Runs


@entry
def iris(path):
    fit("iris_fnn", "iris", path, units=(8,), epochs=4)


@entry
def diabetes(path):
    fit("diabetes_fnn", "diabetes", path, units=(8,))


@entry
def table(path):
    """It knows its rows."""
    options = dict(target="open", units=(8,), epochs=6)
    fit("tabular_fnn", folder("data") / "shops.csv", path, **options)


@entry
def hostile_table(path):
    fit("tabular_fnn", folder("data") / "hostile.csv", path, target="open", units=(8,))


@entry
def customer_table(path):
    source = folder("data") / "customers.csv"
    fit("tabular_fnn", source, path, target="open", units=(8,), epochs=1)


@entry
def digits(path):
    fit("digits_cnn", "digits", path)


@entry
def images(path):
    """It tells dark from light."""
    settings = dict(input_shape=(12, 12, 3), filters=(4,), depth=1, units=(), batch_size=8)
    fit("image_cnn", folder("data") / "photos", path, epochs=3, **settings)


@entry
def texts(path):
    """It tells the topics apart."""
    settings = dict(
        input_shape=(8,), embedding_dim=8, filters=(8,), kernel_size=(2,), learning_rate=0.02
    )
    fit("text_cnn", folder("data") / "texts", path, epochs=5, **settings)


@entry
def recurrent_texts(path):
    settings = dict(input_shape=(8,), embedding_dim=8, units=(6,), epochs=1)
    fit("text_lstm", folder("data") / "texts", path, **settings)


@entry
def series(path):
    settings = dict(input_shape=(8, 1), horizon=3, units=(4,))
    fit("series_gru", folder("data") / "waves.csv", path, **settings)


@entry
def dated_series(path):
    settings = dict(input_shape=(8, 1), horizon=3, units=(4,), epochs=1)
    fit("series_gru", folder("data") / "dated.csv", path, **settings)


@entry
def language(path):
    settings = dict(input_shape=(10,), units=(8,), embedding_dim=4, batch_size=64)
    fit("char_gru", folder("data") / "book.txt", path, **settings)


# Exports


@entry
def images_exported(path):
    write_exported(run("images"), path, ("onnx", "litert"))


@entry
def customer_table_exported(path):
    write_exported(run("customer_table"), path, ("onnx", "litert"))


@entry
def diabetes_exported(path):
    write_exported(run("diabetes"), path)


@entry
def recurrent_texts_exported(path):
    write_exported(run("recurrent_texts"), path, ("litert",), batch=1)


@entry
def dated_series_exported(path):
    write_exported(run("dated_series"), path)


@entry
def language_exported(path):
    write_exported(run("language"), path)
