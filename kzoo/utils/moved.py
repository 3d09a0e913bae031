"""Former names of modules, which packages of others import: they work, with a deprecation. Standard library only.

`import kzoo.sources.tables.files` gives the module `kzoo.inference.tables.files`, the same object. `kzoo/__init__.py`
asks here last, after all other finders of modules.
"""

from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

# Former package or module -> where its modules are now; the first that exists.
MOVED = {
    "kzoo.checks.losses": ("kzoo.zoo.loss_info",),
    "kzoo.codegen": ("kzoo.zoo.codegen",),
    "kzoo.command": ("kzoo.training.command",),
    "kzoo.contract": ("kzoo.zoo.contract",),
    "kzoo.data.detection": ("kzoo.data.source_detection",),
    "kzoo.dataset": ("kzoo.data", "kzoo.data.targets", "kzoo.data.store"),
    "kzoo.errors": ("kzoo.utils.errors",),
    "kzoo.events": ("kzoo.callbacks.events",),
    "kzoo.explanations": ("kzoo.inference.explanations",),
    "kzoo.exported": ("kzoo.inference.exported",),
    "kzoo.families": ("kzoo.zoo.families",),
    "kzoo.family": ("kzoo.zoo.registry.family",),
    "kzoo.flops": ("kzoo.zoo.flops",),
    "kzoo.gradients": ("kzoo.zoo.gradients",),
    "kzoo.kinds": ("kzoo.problems.kinds", "kzoo.inference.kinds", "kzoo.data.inputs"),
    "kzoo.kinds.rows.labels": ("kzoo.data.targets.labels",),
    "kzoo.kinds.rows.layout": ("kzoo.problems.layout",),
    "kzoo.kinds.rows.rare_classes": ("kzoo.data.targets.rare_classes",),
    "kzoo.kinds.rows.target": ("kzoo.data.targets.columns",),
    "kzoo.kinds.series.examples": ("kzoo.inference.kinds.labelled_series.inference",),
    "kzoo.kinds.series.examples_fitting": ("kzoo.data.inputs.labelled_series.fitting",),
    "kzoo.kinds.series.id_columns": ("kzoo.inference.kinds.series.one_series",),
    "kzoo.kinds.series.input_parts": ("kzoo.inference.kinds.series.inference",),
    "kzoo.kinds.series.panel_fitting": ("kzoo.data.inputs.series.panel_rows",),
    "kzoo.layer_decay": ("kzoo.zoo.layer_decay",),
    "kzoo.loading": ("kzoo.zoo.loading",),
    "kzoo.network": ("kzoo.zoo.network",),
    "kzoo.plots.graph": ("kzoo.zoo.graph",),
    "kzoo.postprocessors": ("kzoo.inference.postprocessors",),
    "kzoo.predictions": ("kzoo.inference.predictions",),
    "kzoo.presets": ("kzoo.zoo.presets",),
    "kzoo.ranking": ("kzoo.tuning.ranking",),
    "kzoo.registry": ("kzoo.zoo.registry",),
    "kzoo.results": ("kzoo.zoo.results",),
    "kzoo.run": ("kzoo.zoo.run",),
    "kzoo.sources": ("kzoo.inference.sources",),
    "kzoo.sources.tables": ("kzoo.inference.tables", "kzoo.data.tables"),
    "kzoo.storage": ("kzoo.data.store", "kzoo.utils"),
    "kzoo.stored_types": ("kzoo.problems.stored_types",),
    "kzoo.suggestions": ("kzoo.training.suggestions",),
    "kzoo.tasks": (
        "kzoo.problems.tasks",
        "kzoo.problems",
        "kzoo.inference.tasks",
        "kzoo.data.targets",
    ),
    "kzoo.tasks.classes.confusion": ("kzoo.inference.tasks.confusion",),
    "kzoo.tasks.classes.costs": ("kzoo.problems.costs",),
    "kzoo.tasks.quantiles.levels": ("kzoo.data.targets.quantiles",),
    "kzoo.tasks.values.forecasts": ("kzoo.training.scores.forecasts",),
    "kzoo.training.workers.cluster": ("kzoo.utils.dask_cluster",),
    "kzoo.untracked": ("kzoo.zoo.untracked",),
    "kzoo.weights": ("kzoo.zoo.weights",),
    "kzoo.workers": ("kzoo.training.workers",),
    "kzoo.workers.cluster": ("kzoo.utils.dask_cluster",),
}
# Former module of the folder of a task -> the package that has a module for each task.
_OF_TASK = {
    "inference": "kzoo.inference.tasks",
    "light": "kzoo.inference.tasks",
    "fitting": "kzoo.zoo.losses",
    "score": "kzoo.training.scores",
}


def new_name(name: str) -> str | None:
    """Return the present name of a module by its former name; None if it has never been one."""
    words = name.split(".")
    if words[:2] == ["kzoo", "tasks"] and len(words) == 4 and words[3] in _OF_TASK:
        return _existing(f"{_OF_TASK[words[3]]}.{words[2]}")
    for length in range(len(words), 1, -1):
        for package in MOVED.get(".".join(words[:length]), ()):
            if new := _existing(".".join([package, *words[length:]])):
                return new
    return None


def _existing(name: str) -> str | None:
    try:
        return name if find_spec(name) is not None else None
    except ModuleNotFoundError:  # its package does not exist
        return None


class _Former(ModuleType):
    """A former package: what it is asked for comes from the present one. It has no path, so modules are not read
    twice."""

    __path__: list[str] = []  # noqa: RUF012

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module(new_name(self.__name__) or ""), name)


class _Loader(Loader):
    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        if self.spec is not None:
            module.__spec__ = self.spec  # importlib has just replaced it by that of the former name


def spec_of_former(name: str) -> ModuleSpec | None:
    """Return the spec of the module that had this name; None for other names."""
    new = new_name(name)
    if new is None:
        return None
    module = import_module(new)
    words = name.split(".")
    if hasattr(module, "__path__") or (words[1] in ("kinds", "tasks") and len(words) == 3):
        return ModuleSpec(name, _Loader(_Former(name)), is_package=True)
    deprecation = import_module("kzoo.utils.deprecation")
    deprecation.deprecated(f"The module {name}", use=new, goes="0.4")
    return ModuleSpec(name, _Loader(module))
