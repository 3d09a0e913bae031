"""kzoo: a Keras model zoo for the models people really train themselves.

    import kzoo

    kzoo.list_presets(task="image_classification")        # names; no Keras yet
    model = kzoo.build("cifar_cnn", outputs=100)          # a compiled keras.Model
    run = kzoo.train("digits_cnn", "digits")              # a folder: best model, curves, scores
    kzoo.predict(run, "photo.png").labels

Every public name is loaded on first use, so that `import kzoo` takes milliseconds.
"""

import sys
from importlib import import_module

from kzoo.utils import tensorflow_log
from kzoo.utils.version import __version__ as __version__

# type checkers treat it as True; importing `typing` would take longer than all of this
TYPE_CHECKING = False
if TYPE_CHECKING:  # the names of `_PUBLIC`
    from kzoo import baselines as baselines
    from kzoo import callbacks as callbacks
    from kzoo import plots as plots
    from kzoo import recipes as recipes
    from kzoo import sklearn as sklearn
    from kzoo.data import Dataset as Dataset
    from kzoo.evaluation.ensemble import ensemble as ensemble
    from kzoo.evaluation.evaluate import evaluate as evaluate
    from kzoo.evaluation.explain import explain as explain
    from kzoo.evaluation.generate import generate as generate
    from kzoo.evaluation.learning_rate import learning_rate_range as learning_rate_range
    from kzoo.evaluation.predict import predict as predict
    from kzoo.export import export as export
    from kzoo.inference.exported import ExportedModel as ExportedModel
    from kzoo.problems.objectives import objective as objective
    from kzoo.reports import report as report
    from kzoo.signatures import check as check
    from kzoo.signatures import cross_validate as cross_validate
    from kzoo.signatures import fit_arguments as fit_arguments
    from kzoo.signatures import load_data as load_data
    from kzoo.signatures import train as train
    from kzoo.signatures import tune as tune
    from kzoo.tuning.ranking import compare as compare
    from kzoo.tuning.search import Search as Search
    from kzoo.tuning.spaces.hypermodel import hypermodel as hypermodel
    from kzoo.tuning.spaces.space import space as space
    from kzoo.utils.errors import Interrupted as Interrupted
    from kzoo.utils.errors import KzooError as KzooError
    from kzoo.utils.errors import UnsafeModelError as UnsafeModelError
    from kzoo.zoo.loading import load_model as load_model
    from kzoo.zoo.registry import build as build
    from kzoo.zoo.registry import spec_of as spec_of
    from kzoo.zoo.registry.catalogue import get_preset as get_preset
    from kzoo.zoo.registry.catalogue import list_presets as list_presets
    from kzoo.zoo.registry.catalogue import load_presets as load_presets
    from kzoo.zoo.registry.catalogue import register as register
    from kzoo.zoo.registry.preset import Preset as Preset
    from kzoo.zoo.registry.preset_files import preset_to_toml as preset_to_toml
    from kzoo.zoo.run import Run as Run

# Public name -> the module that defines it, or the module itself if it has that name.
_PUBLIC = {
    "Preset": "kzoo.zoo.registry.preset",
    "register": "kzoo.zoo.registry.catalogue",
    "get_preset": "kzoo.zoo.registry.catalogue",
    "list_presets": "kzoo.zoo.registry.catalogue",
    "load_presets": "kzoo.zoo.registry.catalogue",
    "preset_to_toml": "kzoo.zoo.registry.preset_files",
    "build": "kzoo.zoo.registry",
    "spec_of": "kzoo.zoo.registry",
    "KzooError": "kzoo.utils.errors",
    "Interrupted": "kzoo.utils.errors",
    "UnsafeModelError": "kzoo.utils.errors",
    "load_model": "kzoo.zoo.loading",
    "Dataset": "kzoo.data",
    "load_data": "kzoo.data",
    "train": "kzoo.training",
    "fit_arguments": "kzoo.training",
    "Run": "kzoo.zoo.run",
    "check": "kzoo.evaluation",
    "evaluate": "kzoo.evaluation",
    "explain": "kzoo.evaluation",
    "predict": "kzoo.evaluation",
    "generate": "kzoo.evaluation",
    "cross_validate": "kzoo.evaluation",
    "ensemble": "kzoo.evaluation",
    "compare": "kzoo.tuning.ranking",
    "learning_rate_range": "kzoo.evaluation",
    "report": "kzoo.reports",
    "export": "kzoo.export",
    "ExportedModel": "kzoo.inference.exported",
    "tune": "kzoo.tuning.tune",
    "objective": "kzoo.problems.objectives",
    "Search": "kzoo.tuning.search",
    "space": "kzoo.tuning.spaces.space",
    "hypermodel": "kzoo.tuning.spaces.hypermodel",
    "callbacks": "kzoo.callbacks",
    "baselines": "kzoo.baselines",
    "plots": "kzoo.plots",
    "recipes": "kzoo.recipes",
    "sklearn": "kzoo.sklearn",
}


if not TYPE_CHECKING:  # type checkers would accept any name otherwise

    def __getattr__(name: str) -> object:
        if name not in _PUBLIC:
            raise AttributeError(f"module 'kzoo' has no attribute {name!r}")
        module = import_module(_PUBLIC[name])
        value = module if module.__name__ == f"kzoo.{name}" else getattr(module, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*_PUBLIC, "__version__"])


class _FormerModules:
    """Finds modules by their former names, after all other finders."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> object:
        if name.startswith("kzoo."):
            return import_module("kzoo.utils.moved").spec_of_former(name)
        return None


sys.meta_path.append(_FormerModules)  # type: ignore[arg-type]  # no type is imported
tensorflow_log.watch()
