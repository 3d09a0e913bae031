"""Fixtures for searches that train nothing: tests of the engines and of the folder of a search."""

import pytest
from stand_in import StandIn

import kzoo
from kzoo.tuning import plan
from kzoo.tuning import tune as module
from kzoo.tuning.engines import bayesian


@pytest.fixture(autouse=True)
def _few_networks_are_built_for_a_plan(monkeypatch):
    """A plan counts the parameters of a few networks only. Fixtures of a module start before this, and build twenty."""
    monkeypatch.setattr(plan, "_SAMPLES", 2)


@pytest.fixture
def stand_in(monkeypatch):
    """Let `kzoo.tune` use a `StandIn` instead of a process that trains, and model trials faster."""
    monkeypatch.setattr(module, "Worker", StandIn)
    monkeypatch.setattr(bayesian, "_RESTARTS", 1)
    for name, value in dict(
        kill_at=None, fail=staticmethod(lambda overrides, seed: None), trained=()
    ).items():
        monkeypatch.setattr(StandIn, name, value)
    return StandIn


@pytest.fixture
def search(stand_in):
    """Return a function that searches without training."""

    def call(out="search", preset="iris_fnn", **options):
        defaults = {"trials": 12, "epochs": 9, "space": "quick", "progress": False}
        return kzoo.tune(preset, out=out, **defaults | options)

    return call
