"""A series whose values explode is refused by name: it would leave nothing of the others."""

import numpy as np
import pandas as pd
import pytest
from messages import refuses

from kzoo.data import load_data

OPTIONS = dict(preset="series_linear", target="sales", series_id="shop", time="day")


def panel(factor):
    days = pd.date_range("2024-01-01", periods=200, freq="D").astype(str)
    random = np.random.default_rng(0)
    tables = [
        pd.DataFrame({"shop": shop, "day": days, "sales": random.normal(100, 5, 200)})
        for shop in ("A", "B", "C")
    ]
    tables[1]["sales"] *= factor
    return pd.concat(tables)


@pytest.mark.parametrize("factor", [1e38, 1e20])
def test_a_series_that_explodes_is_refused_by_name(factor):
    with refuses("'sales'", "'B'", "leave the series out"):
        load_data(panel(factor), **OPTIONS)


@pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning")
def test_series_of_very_different_sizes_are_read():
    assert len(load_data(panel(1e9), **OPTIONS).train.x)


def test_one_series_that_float32_cannot_hold_is_refused():
    frame = panel(1.0).query("shop == 'A'").drop(columns="shop").reset_index(drop=True)
    frame.loc[40:, "sales"] = 1e39
    with refuses("'sales'", "3.4e+38", "Correct them"):
        load_data(frame, preset="series_linear", target="sales", time="day")
