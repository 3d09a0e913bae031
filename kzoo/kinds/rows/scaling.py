"""How columns of numbers reach a network: standardised, and those with heavy tails by their middle."""

import numpy as np

from kzoo.kinds.rows.inference import feature_names
from kzoo.tasks.values.inference import Extent, spread
from kzoo.utils.formatting import listed

_FLAG_STD = 0.2  # that a column of 0 and 1 counts for at least
_CLIP = 3.0  # deviations


def config_of(x, columns, notes, known=None):
    """Return what training rows say of the network (see `robust_scaling`), and their shape."""
    categories = tuple(len(c["values"]) + 1 for c in columns if c["kind"] == "category")
    return {
        "input_shape": (x.shape[1],),
        "categories": categories,
        **robust_scaling(x[:, : x.shape[1] - len(categories)], feature_names(columns), notes, known),
    }


def scaling(values):
    """Return `scale` and `offset` that standardise each column."""
    if not values.shape[-1]:  # a table of categories alone
        return {}
    mean, std = spread(values.reshape(-1, values.shape[-1]))
    return {"scale": [1 / s for s in std], "offset": [-m / s for m, s in zip(mean, std, strict=True)]}


def robust_scaling(values, names, notes, known=None):
    """Return what `scaling` does, but for columns with heavy tails, and `input_clip` where there are any.

    Such a column is standardised by its values between the first and the last percentile, and a network bends what lies
    far outside (a smooth clip, as in arXiv:2407.04491). A column of nothing but 0 and 1, such as the mark of a missing
    value, is divided by no less than 0.2: a mark that is rare has a tiny deviation, by which it would be enormous.

    Args:
        values: (N, F) of the training rows.
        names: of the columns.
        notes: a list that gets a line where columns have heavy tails.
        known: the `Extent` of all training rows, where these are a few of them.
    """
    if not values.shape[-1]:  # a table of categories alone
        return {}
    known = known or Extent.of(values)
    mean, std = known.mean.copy(), known.sd.copy()
    flags = ((values == 0) | (values == 1)).all(axis=0) & (known.low >= 0) & (known.high <= 1)
    far = np.flatnonzero(~flags & known.tails)
    heavy = [column for column in far if len(np.unique(values[:, column])) > 2]  # of two, one is rare
    std[flags] = np.maximum(std[flags], _FLAG_STD)
    for column in heavy:
        middle = values[:, column].astype("float64")
        middle = np.clip(middle, *np.percentile(middle, (1, 99)))
        # Where hardly any value differs from the others, the middle has no spread to speak of.
        mean[column], std[column] = middle.mean(), max(middle.std(), 0.2 * std[column])
    if heavy:
        notes.append(
            f"Heavy tails in {listed((repr(names[column]) for column in heavy), 5)}: far values are bent into "
            f"{_CLIP:g} deviations (input_clip={_CLIP:g}; 0 for none)."
        )
    return {"scale": (1 / std).tolist(), "offset": (-mean / std).tolist()} | ({"input_clip": _CLIP} if heavy else {})
