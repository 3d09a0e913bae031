"""One small run of each kind."""

import numpy as np
import pandas as pd
import pytest
from made_search import make_search
from small_reports import SCRIPT, fit, shops

import kzoo


@pytest.fixture(autouse=True, scope="module")
def _importance_of_few_splits():
    """A page shows the mean over random splits: two are enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kzoo.tuning.importance.REPEATS", 2)
        yield


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def report_of(home):
    """Write the report of a run, once."""
    written = {}

    def write(run):
        if run.path not in written:
            written[run.path] = kzoo.report(run, out=home / f"{run.path.name}.html")
        return written[run.path]

    return write


@pytest.fixture(scope="session")
def digits_run(home):
    return fit("digits_cnn", "digits", home / "digits", eagerly=False)


@pytest.fixture(scope="session")
def photo_run(home):
    """Bright and dark photographs; the bright ones have a name that means harm."""
    random = np.random.default_rng(0)
    level = np.repeat([60, 190], 40)
    x = np.clip(random.normal(level[:, None, None, None], 60, (80, 96, 72, 3)), 0, 255).astype(
        "uint8"
    )
    settings = dict(input_shape=(96, 72, 3), filters=(4,), depth=1, units=(), batch_size=16)
    return fit(
        "image_cnn", (x, np.where(level < 100, "dark & cold", SCRIPT)), home / "photos", **settings
    )


@pytest.fixture(scope="session")
def table_run(home):
    shops().to_csv(home / "shops.csv", index=False)
    return fit("tabular_fnn", home / "shops.csv", home / "table", target="open", units=(8,))


@pytest.fixture(scope="session")
def diabetes_run(home):
    return fit("diabetes_fnn", "diabetes", home / "diabetes", units=(8,))


@pytest.fixture(scope="session")
def text_run(home):
    words = {"food": "Soup bread", "law": "Court judge", "sport": "Goal match"}
    (home / "texts").mkdir()
    for name, pair in words.items():
        (home / "texts" / f"{name}.txt").write_text(
            "".join(f"the {pair} of day {i}\n" for i in range(30))
        )
    settings = dict(input_shape=(8,), embedding_dim=8, filters=(8,), kernel_size=(2,), epochs=1)
    return fit("text_cnn", home / "texts", home / "text", **settings)


@pytest.fixture(scope="session")
def series_run(home):
    t = np.arange(200)
    pd.DataFrame({"a": 5 + np.sin(t / 3), "b": np.cos(t / 5)}).to_csv(
        home / "waves.csv", index=False
    )
    return fit(
        "series_gru", home / "waves.csv", home / "series", input_shape=(8, 1), horizon=3, units=(4,)
    )


@pytest.fixture(scope="session")
def language_run(home):
    (home / "book.txt").write_text("to be or not to be that is the question\n" * 40)
    settings = dict(input_shape=(10,), units=(8,), embedding_dim=4, batch_size=64)
    return fit("char_gru", home / "book.txt", home / "language", **settings)


@pytest.fixture(scope="session")
def search_run(home):
    """A search, whose report is made as a run's is."""
    return make_search(home / "search", 40)
