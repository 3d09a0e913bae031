"""`series_linear` trains for enough steps on panels with few windows, and as before on those with many."""

import numpy as np
import pandas as pd
import pytest

from kzoo.data.options import DataOptions
from kzoo.training.plan import plan_training

OPTIONS = DataOptions(target="sales", series_id="shop", time="month")


def plan_of(series, months, **overrides):
    """Return the plan of a training on series with a season and a growth of their own."""
    month = np.arange(months)
    frames = [
        pd.DataFrame(
            dict(
                shop=f"shop{number}",
                month=pd.date_range("2010-01-01", periods=months, freq="MS"),
                sales=100 + (1 + number) * month + 10 * np.sin(2 * np.pi * month / 12 + number),
            )
        )
        for number in range(series)
    ]
    overrides = dict(horizon=6, input_shape=12) | overrides
    return plan_training("series_linear", pd.concat(frames, ignore_index=True), OPTIONS, overrides)


@pytest.mark.parametrize(("series", "months"), [(6, 48), (10, 72)])
def test_few_windows_have_enough_steps(series, months):
    plan = plan_of(series, months)
    steps = -(-len(plan.data.train) // plan.training["batch_size"])
    epochs = plan.training["epochs"]
    assert epochs > 30
    assert (epochs - 1) * steps < 1_500 <= epochs * steps
    assert any(f"epochs={epochs}" in note and "1,500 steps" in note for note in plan.notes)
    assert plan_of(series, months, epochs=30, min_steps=0).training["epochs"] == 30


def test_many_windows_have_the_epochs_of_the_preset():
    plan = plan_of(24, 160)
    assert len(plan.data.train) > 1_600  # more than 50 steps an epoch
    assert plan.training["epochs"] == 30
    assert not any("min_steps" in note for note in plan.notes)
