"""One small run of each kind of input, and its exported model."""

import library
import pytest


class Pair:
    """A run and its exported model."""

    def __init__(self, name):
        self.run = library.run(name)
        self.exported = library.folder(f"{name}_exported")


@pytest.fixture(scope="session")
def sources():
    """What the runs were trained on."""
    return library.folder("data")


@pytest.fixture(scope="session")
def images():
    return Pair("images")


@pytest.fixture(scope="session")
def rows():
    return Pair("customer_table")


@pytest.fixture(scope="session")
def values():
    return Pair("diabetes")


@pytest.fixture(scope="session")
def texts():
    return Pair("recurrent_texts")


@pytest.fixture(scope="session")
def series():
    return Pair("dated_series")


@pytest.fixture(scope="session")
def language():
    return Pair("language")
