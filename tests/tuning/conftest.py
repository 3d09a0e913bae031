"""Searches that train nothing, for what is the engines' and the folder's."""

import pytest
from stand_in import StandIn

import kzoo
from kzoo.tuning import plan
from kzoo.tuning import tune as module
from kzoo.tuning.engines import bayesian


@pytest.fixture(autouse=True)
def _few_networks_are_built_to_be_counted(monkeypatch):
    """For the line of a plan that says how large networks of the space are. Fixtures of a module search before this
    begins, and build twenty."""
    monkeypatch.setattr(plan, "_SAMPLES", 2)


@pytest.fixture
def stand_in(monkeypatch):
    """Let `kzoo.tune` ask a `StandIn` in place of a process that trains, and models of trials be made in less time."""
    monkeypatch.setattr(module, "Worker", StandIn)
    monkeypatch.setattr(bayesian, "_BEGINNINGS", 1)
    for name, value in dict(kill_at=None, fail=staticmethod(lambda overrides, seed: None), asked=()).items():
        monkeypatch.setattr(StandIn, name, value)
    return StandIn


@pytest.fixture
def search(stand_in):
    """Return a function that searches without training."""

    def call(out="search", preset="iris_fnn", **options):
        given = {"trials": 12, "epochs": 9, "space": "quick", "progress": False} | options
        return kzoo.tune(preset, out=out, **given)

    return call
