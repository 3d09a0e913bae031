"""Every picture, as functions that return a matplotlib `Figure`: `fig.savefig("curves.png")`.

Nothing here opens a window or touches `pyplot`; notebooks show a returned figure by themselves. Only `network`,
`attention_map` and `grad_cam` need Keras: each function is loaded on first use.
"""

from importlib import import_module

# Loaded at once, for their modules have their names: loaded later, the module would take the function's place.
from kzoo.plots.curves import curves
from kzoo.plots.overlay import overlay
from kzoo.plots.panels import panels

_LATER = {
    "network": "kzoo.plots.layers",
    "prediction_grid": "kzoo.plots.predictions",
    "worst_mistakes": "kzoo.plots.mistakes",
    "confusion_matrix": "kzoo.plots.classification",
    "per_class": "kzoo.plots.classification",
    "roc_and_precision_recall": "kzoo.plots.classification",
    "forecast": "kzoo.plots.values",
    "predicted_against_true": "kzoo.plots.values",
    "attention_map": "kzoo.plots.attention",
    "grad_cam": "kzoo.plots.gradcam",
    "search_history": "kzoo.plots.search",
    "search_curves": "kzoo.plots.search",
    "importance": "kzoo.plots.search",
}

__all__ = ["curves", "overlay", "panels", *_LATER]


def __getattr__(name):
    if name not in _LATER:
        raise AttributeError(f"module 'kzoo.plots' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LATER[name]), name)
    return value


def __dir__():
    return sorted(__all__)
