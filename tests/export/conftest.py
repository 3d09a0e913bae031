"""Three small runs of different kinds, each exported once, that of texts to all four formats."""

import unicodedata

import numpy as np
import pandas as pd
import pytest
from small_runs import export, fit


@pytest.fixture(autouse=True, scope="module")
def _warm_children(warm_children_of_the_module):
    """The same for all exports of a module, and no longer: other tests look at imports."""


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="session")
def digits_run(home):
    return fit("digits_cnn", "digits", home / "digits", filters=(8, 16), units=(256,), epochs=6)


@pytest.fixture(scope="session")
def digits_exported(digits_run, home, warm_python):
    """Without the formats of TensorFlow, which do not depend on the layers."""
    sizes = dict(quantize=["float16", "int8"])
    return export(warm_python, digits_run, home / "digits_exported", ["onnx", "litert"], **sizes)


@pytest.fixture(scope="session")
def text_run(home):
    settings = dict(input_shape=(12,), embedding_dim=8, units=(8,), epochs=2, learning_rate=0.02)
    return fit("text_lstm", "opinions", home / "text", **settings)


@pytest.fixture(scope="session")
def text_exported(text_run, home, warm_python):
    formats = ["keras", "saved_model", "onnx", "litert"]
    return export(warm_python, text_run, home / "text_exported", formats)


@pytest.fixture(scope="session")
def ngrams_run(home):
    decomposed = unicodedata.normalize("NFD", "naïve café")
    texts = {
        "good": ["a good café , not bad", "很好吃 不错", f"{decomposed} is good"],
        "bad": ["not good", "不好吃", "bad naïve"],
    }
    lines = [(text, label) for label, group in texts.items() for text in group for _ in range(6)]
    data = pd.DataFrame(lines, columns=["text", "label"])
    return fit("text_ngrams", data, home / "ngrams", target="label", input_shape=(40,), epochs=2)


@pytest.fixture(scope="session")
def ngrams_exported(ngrams_run, home, warm_python):
    return export(
        warm_python, ngrams_run, home / "ngrams_exported", ["saved_model", "onnx", "litert"]
    )


@pytest.fixture(scope="session")
def table():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "rooms": random.normal(4, 1, 200),
            "town": random.choice(["Aix", "Bonn", "Cork"], 200),
            "price": 0.0,
        }
    )
    frame["price"] = 100_000 + 50_000 * frame["rooms"] + 20_000 * (frame["town"] == "Bonn")
    return frame


@pytest.fixture(scope="session")
def table_run(home, table):
    return fit("tabular_fnn", table, home / "table", target="price", units=(8,), epochs=4)


@pytest.fixture(scope="session")
def table_exported(table_run, home, warm_python):
    """Without the formats of TensorFlow, which do not depend on the meaning of the numbers."""
    return export(warm_python, table_run, home / "table_exported", ["onnx", "litert"])
