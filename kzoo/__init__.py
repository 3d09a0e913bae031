"""kzoo: a Keras model zoo for the models people really train themselves.

    import kzoo

    kzoo.list_presets(task="image_classification")        # names; no Keras yet
    model = kzoo.build("cifar_cnn", outputs=100)          # a compiled keras.Model
    run = kzoo.train("digits_cnn", "digits")              # a folder: best model, curves, scores
    kzoo.predict(run, "photo.png").labels

Every public name is loaded on first use, so that `import kzoo` takes milliseconds.
"""

from importlib import import_module

__version__ = "0.1.0"

# Public name -> the module that has it; a module's own name gives the module.
_PUBLIC = {
    "Preset": "kzoo.preset",
    "register": "kzoo.catalogue",
    "get_preset": "kzoo.catalogue",
    "list_presets": "kzoo.catalogue",
    "load_presets": "kzoo.catalogue",
    "preset_to_toml": "kzoo.preset_files",
    "build": "kzoo.registry",
    "spec_of": "kzoo.registry",
    "KzooError": "kzoo.errors",
    "Interrupted": "kzoo.errors",
    "UnsafeModelError": "kzoo.errors",
    "load_model": "kzoo.loading",
    "Dataset": "kzoo.data",
    "load_data": "kzoo.data",
    "train": "kzoo.training",
    "Run": "kzoo.run",
    "check": "kzoo.evaluation",
    "evaluate": "kzoo.evaluation",
    "predict": "kzoo.evaluation",
    "generate": "kzoo.evaluation",
    "cross_validate": "kzoo.evaluation",
    "ensemble": "kzoo.evaluation",
    "compare": "kzoo.ranking",
    "learning_rate_range": "kzoo.evaluation",
    "report": "kzoo.reports",
    "export": "kzoo.export",
    "ExportedModel": "kzoo.exported",
    "tune": "kzoo.tuning.tune",
    "Search": "kzoo.tuning.search",
    "space": "kzoo.tuning.spaces.space",
    "hypermodel": "kzoo.tuning.spaces.hypermodel",
    "callbacks": "kzoo.callbacks",
    "plots": "kzoo.plots",
    "recipes": "kzoo.recipes",
}


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'kzoo' has no attribute {name!r}")
    module = import_module(_PUBLIC[name])
    value = module if module.__name__ == f"kzoo.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*_PUBLIC, "__version__"])
