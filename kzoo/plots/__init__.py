"""Every picture, as functions that return a matplotlib `Figure`: `fig.savefig("curves.png")`.

Nothing here opens a window or touches `pyplot`; notebooks show a returned figure by themselves. Only `network`,
`attention_map` and `grad_cam` need Keras: each function is loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

# Loaded at once, for their modules have their names: loaded later, the module would take the function's place.
from kzoo.plots.ahead import ahead
from kzoo.plots.curves import curves
from kzoo.plots.overlay import overlay
from kzoo.plots.panels import panels

if TYPE_CHECKING:  # what a type checker sees of the names below
    from kzoo.plots.attention import attention_map as attention_map
    from kzoo.plots.classification import confusion_matrix as confusion_matrix
    from kzoo.plots.classification import per_class as per_class
    from kzoo.plots.classification import precision_recall as precision_recall
    from kzoo.plots.classification import roc as roc
    from kzoo.plots.classification import roc_and_precision_recall as roc_and_precision_recall
    from kzoo.plots.gradcam import grad_cam as grad_cam
    from kzoo.plots.layers import network as network
    from kzoo.plots.mistakes import worst_mistakes as worst_mistakes
    from kzoo.plots.predictions import prediction_grid as prediction_grid
    from kzoo.plots.search import importance as importance
    from kzoo.plots.search import search_curves as search_curves
    from kzoo.plots.search import search_history as search_history
    from kzoo.plots.values import forecast as forecast
    from kzoo.plots.values import predicted_against_true as predicted_against_true

_LATER = {
    "network": "kzoo.plots.layers",
    "prediction_grid": "kzoo.plots.predictions",
    "worst_mistakes": "kzoo.plots.mistakes",
    "confusion_matrix": "kzoo.plots.classification",
    "per_class": "kzoo.plots.classification",
    "roc": "kzoo.plots.classification",
    "precision_recall": "kzoo.plots.classification",
    "roc_and_precision_recall": "kzoo.plots.classification",
    "forecast": "kzoo.plots.values",
    "predicted_against_true": "kzoo.plots.values",
    "attention_map": "kzoo.plots.attention",
    "grad_cam": "kzoo.plots.gradcam",
    "search_history": "kzoo.plots.search",
    "search_curves": "kzoo.plots.search",
    "importance": "kzoo.plots.search",
}

__all__ = ["ahead", "curves", "overlay", "panels", *_LATER]


if not TYPE_CHECKING:  # which would take every name for one that exists

    def __getattr__(name):
        if name not in _LATER:
            raise AttributeError(f"module 'kzoo.plots' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_LATER[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
