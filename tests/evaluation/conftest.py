"""A small run of each kind, shared by the tests of scores and of predictions."""

import library
import pytest
from shortcuts import undrawn


@pytest.fixture(autouse=True, scope="module")
def _without_curves():
    with undrawn():
        yield


@pytest.fixture(scope="session")
def sources():
    """What the runs were trained on."""
    return library.folder("data")


@pytest.fixture(scope="session")
def iris_run():
    return library.run("iris")


@pytest.fixture(scope="session")
def diabetes_run():
    return library.run("diabetes")


@pytest.fixture(scope="session")
def table_run():
    return library.run("table")


@pytest.fixture(scope="session")
def image_run():
    return library.run("images")


@pytest.fixture(scope="session")
def text_run():
    return library.run("texts")


@pytest.fixture(scope="session")
def series_run():
    return library.run("series")


@pytest.fixture(scope="session")
def language_run():
    return library.run("language")
