"""Every picture, as functions that return a matplotlib `Figure`: `fig.savefig("curves.png")`.

Nothing here opens a window or touches `pyplot`; notebooks show a returned figure by themselves.
"""

from kzoo.plots.curves import curves
from kzoo.plots.network import network
from kzoo.plots.predictions import prediction_grid

__all__ = ["curves", "network", "prediction_grid"]
