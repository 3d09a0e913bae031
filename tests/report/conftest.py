"""One small run of each kind."""

import library
import numpy as np
import pytest
from made_search import make_search
from trained import SCRIPT, fit

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
def digits_run():
    return library.run("digits")


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
def table_run():
    return library.run("hostile_table")


@pytest.fixture(scope="session")
def diabetes_run():
    return library.run("diabetes")


@pytest.fixture(scope="session")
def text_run():
    return library.run("texts")


@pytest.fixture(scope="session")
def series_run():
    return library.run("series")


@pytest.fixture(scope="session")
def language_run():
    return library.run("language")


@pytest.fixture(scope="session")
def search_run(home):
    """A search, whose report is made as a run's is."""
    return make_search(home / "search", 40)
