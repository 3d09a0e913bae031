"""One small run of each kind of input, and its exported model."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from shortcuts import undrawn, untraced
from small_exports import customers, write_exported

import kzoo


def fit(preset, data, out, **options):
    with undrawn(), untraced():
        return kzoo.train(
            preset,
            data,
            out=out,
            **{"callbacks": "quick", "progress": False, "epochs": 1} | options,
        )


class Pair:
    """A run and its exported model."""

    def __init__(self, run, path, formats=("onnx",), **options):
        self.run = run
        self.exported = write_exported(run, path / "exported", formats, **options)


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("runtime")


@pytest.fixture(scope="session")
def images(home):
    folder = home / "photos"
    random = np.random.default_rng(0)
    for name, level in {"dark": 40, "light": 210}.items():
        (folder / name).mkdir(parents=True)
        for i in range(12):
            pixels = np.clip(random.normal(level, 30, (14, 12, 3)), 0, 255).astype("uint8")
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    settings = dict(input_shape=(12, 12, 3), filters=(4,), depth=1, units=(), batch_size=8)
    pair = Pair(
        fit("image_cnn", folder, home / "images" / "run", **settings),
        home / "images",
        ("onnx", "litert"),
    )
    pair.photos = folder
    return pair


@pytest.fixture(scope="session")
def rows(home):
    customers().to_csv(home / "customers.csv", index=False)
    run = fit(
        "tabular_fnn", home / "customers.csv", home / "rows" / "run", target="open", units=(8,)
    )
    return Pair(run, home / "rows", ("onnx", "litert"))


@pytest.fixture(scope="session")
def values(home):
    return Pair(
        fit("diabetes_fnn", "diabetes", home / "values" / "run", units=(8,)), home / "values"
    )


@pytest.fixture(scope="session")
def texts(home):
    (home / "texts").mkdir()
    for name, words in {
        "food": "soup bread salt",
        "law": "court judge trial",
        "sport": "goal match team",
    }.items():
        (home / "texts" / f"{name}.txt").write_text(
            "".join(f"the {words} of day {i}\n" for i in range(20))
        )
    run = fit(
        "text_lstm",
        home / "texts",
        home / "text" / "run",
        input_shape=(8,),
        embedding_dim=8,
        units=(6,),
    )
    return Pair(run, home / "text", ("litert",), batch=1)


@pytest.fixture(scope="session")
def series(home):
    t = np.arange(160)
    frame = pd.DataFrame({"a": 5 + np.sin(t / 3), "b": np.cos(t / 5)})
    frame.insert(
        0, "when", pd.date_range("2024-01-30", periods=160, freq="5h").strftime("%Y-%m-%d %H:%M")
    )
    frame.to_csv(home / "waves.csv", index=False)
    settings = dict(input_shape=(8, 1), horizon=3, units=(4,))
    return Pair(
        fit("series_gru", home / "waves.csv", home / "series" / "run", **settings), home / "series"
    )


@pytest.fixture(scope="session")
def language(home):
    (home / "book.txt").write_text("to be or not to be that is the question\n" * 40)
    settings = dict(input_shape=(10,), units=(8,), embedding_dim=4, batch_size=64)
    return Pair(
        fit("char_gru", home / "book.txt", home / "language" / "run", **settings), home / "language"
    )
