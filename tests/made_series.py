"""Tables of many series for tests: labelled ones, and ones to forecast."""

import numpy as np
import pandas as pd

LENGTHS = (20, 12, 16)


def long_table(count=24, lengths=(20,), seed=0):
    """Series a0, b1, a2, ... of two columns, with the label "a" or "b", rows shuffled."""
    random = np.random.default_rng(seed)
    frames = []
    for number in range(count):
        steps = lengths[number % len(lengths)]
        label = "ab"[number % 2]
        level = 3.0 if label == "a" else -3.0
        frames.append(
            pd.DataFrame(
                {
                    "sensor": f"{label}{number}",
                    "subject": f"s{number // 4}",
                    "step": np.arange(steps),
                    "x0": random.normal(size=steps),
                    "x1": level + random.normal(size=steps),
                    "state": label,
                }
            )
        )
    return pd.concat(frames).sample(frac=1, random_state=0).reset_index(drop=True)


OPTIONS = dict(series_id="sensor", time="step", target="state", drop="subject")


def shops(sizes=(("a", 300), ("b", 280)), seed=0):
    """Return daily sales of shops that all end on the same day, with a promotion that doubles them."""
    random = np.random.default_rng(seed)
    frames = []
    for level, (shop, days) in enumerate(sizes, start=1):
        promo = random.integers(0, 2, days)
        sales = 10 * level * (1 + promo) + random.normal(0, 0.5, days)
        days = pd.date_range("2024-06-30", periods=days, freq="-1D")[::-1]
        frames.append(pd.DataFrame(dict(shop=shop, day=days, sales=sales, promo=promo)))
    return pd.concat(frames).sample(frac=1, random_state=seed).reset_index(drop=True)
