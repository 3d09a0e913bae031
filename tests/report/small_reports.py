"""Which runs there are, how they are trained, and a small table whose names mean harm."""

import numpy as np
import pandas as pd
from shortcuts import undrawn, untraced

import kzoo

KINDS = (
    "digits",
    "photo",
    "table",
    "diabetes",
    "text",
    "series",
    "language",
    "search",
)  # each with a fixture, NAME_run
SCRIPT = "<script>alert(1)</script>"


def fit(preset, data, out, *, eagerly=True, **options):
    """Train; `eagerly=False` where there are more than twenty steps, for which tracing pays."""
    with undrawn(), untraced(eagerly):
        return kzoo.train(
            preset,
            data,
            out=out,
            **{"callbacks": "quick", "progress": False, "epochs": 2} | options,
        )


def shops(n=240):
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"size": random.normal(size=n).round(2), "town": random.choice(["Bern", "Zürich <b>"], n)}
    )
    frame["open"] = np.where(frame["size"] + (frame["town"] == "Bern") > 0.5, "yes", SCRIPT)
    frame.loc[::5, "size"] = np.nan
    return frame
