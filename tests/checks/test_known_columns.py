"""Known columns of many series that are recorded together with the target are found, and honest ones are not."""

import numpy as np
import pandas as pd
import pytest

import kzoo


def panel(days=700, products=4, seed=0):
    """Return daily sales of some products, zero on a third of the days, with a campaign that raises them."""
    random = np.random.default_rng(seed)
    frames = []
    dates = pd.date_range("2022-01-01", periods=days)
    for product in range(products):
        campaign = np.repeat(random.uniform(size=days // 10 + 1) < 0.3, 10)[:days].astype(int)
        weekday = dates.day_of_week.to_numpy()
        sales = random.poisson(1.2 * (1 + campaign)) * (weekday != 6)
        frames.append(
            pd.DataFrame(
                dict(
                    product=f"p{product}",
                    date=dates,
                    sales=sales,
                    campaign=campaign,
                    open=(weekday != 6).astype(int),
                    price=np.repeat(random.choice([1.5, 1.8, 2.0], days // 20 + 1), 20)[:days],
                    temperature=10 + 10 * np.sin(np.arange(days) / 58) + random.normal(0, 3, days),
                    weekday=weekday,
                )
            )
        )
    return pd.concat(frames, ignore_index=True)


def findings(frame, known, **options):
    found = kzoo.check(
        "series_linear",
        frame,
        deep=False,
        target="sales",
        series_id="product",
        known_covariates=known,
        drop=[c for c in frame.columns if c not in ("product", "date", "sales", *known)],
        **options,
    )
    found = [finding for finding in found if finding.check == "known_column_is_a_trace"]
    return {
        known_name
        for known_name in known
        for f in found
        if f"Known column {known_name!r}" in f.what
    }


HONEST = ["campaign", "open", "price", "temperature", "weekday"]


def test_honest_columns_are_not_reported():
    assert findings(panel(), HONEST) == set()


@pytest.mark.parametrize(
    "name, trace",
    [
        ("promo", lambda r, y: ((r.uniform(size=len(y)) < 0.6) & (y > 0)).astype(int)),
        ("sold", lambda r, y: (y > 0).astype(int)),
        ("receipts", lambda r, y: np.maximum(y - r.binomial(1, 0.3, len(y)), (y > 0).astype(int))),
        ("score", lambda r, y: pd.Series(y + r.uniform(0, 0.9, len(y))).rank().to_numpy()),
    ],
)
def test_traces_of_the_target_are_reported(name, trace):
    frame = panel()
    frame[name] = trace(np.random.default_rng(1), frame.sales.to_numpy())
    assert findings(frame, [*HONEST, name]) == {name}


def test_a_column_that_is_empty_in_the_rows_to_forecast_is_reported():
    frame = panel()
    late = frame.date > frame.date.max() - pd.Timedelta(days=5)
    frame = frame.assign(sales=frame.sales.where(~late), footfall=frame.temperature.where(~late))
    assert findings(frame, ["campaign", "footfall"]) == {"footfall"}
