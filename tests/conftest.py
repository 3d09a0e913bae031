"""Quiet backends, no windows, and runs in a folder of their own."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import pytest


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def registry_as_it_was():
    """Take the presets that a test registers out of the zoo again."""
    import kzoo
    from kzoo import catalogue

    kzoo.list_presets()
    before = [(kept, dict(kept)) for kept in (catalogue._presets, catalogue._owners)]
    yield
    for kept, was in before:
        kept.clear()
        kept.update(was)
