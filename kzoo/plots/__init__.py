"""All plots, as functions that return a matplotlib `Figure`: `fig.savefig("curves.png")`.

Nothing here opens a window or uses `pyplot`; notebooks display a returned figure. Only `network`, `attention_map` and
`grad_cam` need Keras, so functions are loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

# Imported eagerly: these modules have the names of their functions, so a later import would replace the function.
from kzoo.plots.ahead import ahead, forecasts
from kzoo.plots.curves import curves
from kzoo.plots.learning_curve import learning_curve
from kzoo.plots.overlay import overlay
from kzoo.plots.panels import panels

if TYPE_CHECKING:  # for type checkers, the names that are loaded on first use
    from kzoo.plots.abstention import accuracy_over_coverage as accuracy_over_coverage
    from kzoo.plots.attention import attention_map as attention_map
    from kzoo.plots.calibration import reliability as reliability
    from kzoo.plots.classification import confusion_matrix as confusion_matrix
    from kzoo.plots.classification import per_class as per_class
    from kzoo.plots.classification import per_label as per_label
    from kzoo.plots.classification import precision_recall as precision_recall
    from kzoo.plots.classification import roc as roc
    from kzoo.plots.classification import roc_and_precision_recall as roc_and_precision_recall
    from kzoo.plots.decision import threshold_curve as threshold_curve
    from kzoo.plots.explanations import column_importance as column_importance
    from kzoo.plots.explanations import reasons as reasons
    from kzoo.plots.gradcam import grad_cam as grad_cam
    from kzoo.plots.layers import network as network
    from kzoo.plots.mistakes import worst_mistakes as worst_mistakes
    from kzoo.plots.predictions import prediction_grid as prediction_grid
    from kzoo.plots.search import importance as importance
    from kzoo.plots.search import search_curves as search_curves
    from kzoo.plots.search import search_history as search_history
    from kzoo.plots.values import band as band
    from kzoo.plots.values import forecast as forecast
    from kzoo.plots.values import predicted_against_true as predicted_against_true

_LAZY = {
    "network": "kzoo.plots.layers",
    "prediction_grid": "kzoo.plots.predictions",
    "worst_mistakes": "kzoo.plots.mistakes",
    "confusion_matrix": "kzoo.plots.classification",
    "per_class": "kzoo.plots.classification",
    "per_label": "kzoo.plots.classification",
    "roc": "kzoo.plots.classification",
    "precision_recall": "kzoo.plots.classification",
    "roc_and_precision_recall": "kzoo.plots.classification",
    "band": "kzoo.plots.values",
    "threshold_curve": "kzoo.plots.decision",
    "accuracy_over_coverage": "kzoo.plots.abstention",
    "forecast": "kzoo.plots.values",
    "predicted_against_true": "kzoo.plots.values",
    "attention_map": "kzoo.plots.attention",
    "grad_cam": "kzoo.plots.gradcam",
    "reliability": "kzoo.plots.calibration",
    "search_history": "kzoo.plots.search",
    "search_curves": "kzoo.plots.search",
    "importance": "kzoo.plots.search",
    "column_importance": "kzoo.plots.explanations",
    "reasons": "kzoo.plots.explanations",
}

__all__ = ["ahead", "curves", "forecasts", "learning_curve", "overlay", "panels", *_LAZY]


if not TYPE_CHECKING:  # with `__getattr__`, type checkers would accept every name

    def __getattr__(name: str) -> object:
        if name not in _LAZY:
            raise AttributeError(f"module 'kzoo.plots' has no attribute {name!r}")
        function = globals()[name] = getattr(import_module(_LAZY[name]), name)
        return function


def __dir__() -> list[str]:
    return sorted(__all__)
