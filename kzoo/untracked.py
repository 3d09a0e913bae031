"""Models that no run describes: in memory, or in the folder that a callback bundle wrote. They answer like a run."""

import os
import sys
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kzoo import kinds
from kzoo.families.protocol import MEMBERS
from kzoo.registry import fitted_on, get_preset, names_a_preset, spec_of
from kzoo.run import Run
from kzoo.tasks import pair
from kzoo.utils.errors import KzooError
from kzoo.utils.files import path_of
from kzoo.utils.formatting import printable, shown
from kzoo.weights.packaged import PretrainedWeights

if TYPE_CHECKING:
    import keras

_MODEL, _OF_CLASSES = "best.keras", ("crossentropy", "hinge", "kldivergence", "focal")
_OF_VALUES = ("meansquared", "meanabsolute", "mse", "mae", "huber", "logcosh")


def as_run(
    thing: "Run | str | os.PathLike[str] | keras.Model", weights: str | None = None, *, stored: bool = True
) -> Run:
    """Return the run that is meant: one, its path, the folder that a callback bundle wrote, or a model in memory.

    The name of a preset stands for its weights in the package, where no file or folder is called so; a line on stderr
    says what they are.

    Args:
        thing: what was given.
        weights: which ones; then it is the name of a preset.
        stored: False where only what was trained here will do.

    Raises:
        KzooError: it is none of them, or a preset without such weights.
    """
    if weights is not None:
        return _stored(thing, weights)
    if isinstance(thing, Run):
        return thing
    if not isinstance(thing, str | os.PathLike):
        if not hasattr(thing, "predict_on_batch"):
            raise KzooError(f"{thing!r} is neither a run, nor its path, nor a keras.Model.")
        return UntrackedModel(thing)
    path = path_of(thing, "a run")
    if stored and not path.exists() and isinstance(thing, str) and os.sep not in thing and names_a_preset(thing):
        return _stored(thing, None)
    if (path / _MODEL).is_file() and not any((path / name).exists() for name in ("config.json", "search.json")):
        return UntrackedModel(path=path)
    return Run(path)


def _stored(preset: Any, weights: str | None) -> PretrainedWeights:
    if not isinstance(preset, str) or not names_a_preset(preset):
        raise KzooError(f"weights={weights!r} is for the name of a preset, and {shown(preset)} is none: leave it out.")
    stored = PretrainedWeights(get_preset(preset).name, weights)
    print(printable(f"kzoo: {stored.entry.line}"), file=sys.stderr)
    return stored


def run_or_none(what: Any) -> Run | None:
    """Return the run that is meant; None for a preset or a model in memory."""
    if isinstance(what, Run):
        return what
    name = os.fspath(what) if isinstance(what, str | os.PathLike) else None
    if name is None or names_a_preset(name):
        return None
    return (
        as_run(what)
        if path_of(what, "a run or a preset").exists() or os.sep in name or isinstance(what, os.PathLike)
        else None
    )


class UntrackedModel(Run):
    """A model as a run of which nothing is known but the model: it takes arrays, and its classes have numbers.

    One that `kzoo.fit_arguments` was made for knows its data, and reads raw inputs as a run does.

    Args:
        model: it; None: the `best.keras` in `path`.
        path: its folder, or None.

    Raises:
        KzooError: it has several inputs or outputs.
    """

    finished = True
    tracked = False
    answers = None
    postprocessing: Any = ()

    def __init__(self, model: "keras.Model | None" = None, *, path: Path | None = None) -> None:
        self.path: Any = path
        self.trusted = ()
        self.given = model

    def __repr__(self) -> str:
        return f"<model {self.path or self.model.name}>"

    @cached_property
    def model(self) -> "keras.Model":
        """The network."""
        return self.given if self.path is None else import_module("kzoo.loading").load_model(self.path / _MODEL)

    @property
    def summary(self) -> dict[str, Any]:
        """What is known without data: how large it is."""
        return {"parameters": self.model.count_params()}

    @cached_property
    def history(self) -> dict[str, list[float | None]]:
        """That of its last `fit`, or of the folder."""
        if self.path is None:
            past = getattr(getattr(self.model, "history", None), "history", None) or {}
            return {"epoch": list(range(1, 1 + max(map(len, past.values()), default=0)))} | past if past else {}
        return super().history if (self.path / "history.csv").is_file() else {}

    @cached_property
    def config(self) -> dict[str, Any]:
        known = fitted_on(self.model)
        return known[0] if known else self._described()

    @cached_property
    def preprocessing(self) -> dict[str, Any]:
        known = fitted_on(self.model)
        return known[1] if known else kinds.ready(self.config["data"]["inputs"], self.model.inputs[0].shape[1:])

    def _described(self) -> dict[str, Any]:
        """Return what a run's `config.json` would say, as far as the model itself says it."""
        model = self.model
        takes, gives = (list(getattr(model, name, None) or ()) for name in ("inputs", "outputs"))
        if len(takes) != 1 or len(gives) != 1:
            raise KzooError(
                f"Model {model.name!r} has {len(takes) or 'no known'} inputs and {len(gives) or 'no known'} outputs; "
                "kzoo answers for models with one input and one output, Functional or a built Sequential."
            )
        reads = any(type(layer).__name__ == "Embedding" for layer in model.layers)
        inputs = kinds.of_axes(len(takes[0].shape), whole=reads or "int" in str(takes[0].dtype)).name
        outputs, classes = gives[0].shape[-1], self._answers_classes()
        problem = pair(inputs, "classes" if classes else "values")
        try:
            spec = spec_of(model)
        except KzooError:
            # What hinge trains is no probability, and a stored model has forgotten its loss.
            training = {"loss": "hinge"} if "hinge" in self._loss else {}
            spec = dict(preset=model.name, family=None, task=problem.name, config={}, training=training, seed=None)
        data = dict(
            name=f"what {model.name} was trained on", data_seed=0, options={}, fingerprint=None, task=problem.name,
            inputs=inputs, train=0, validation=0, test=0,
            class_names=[str(place) for place in range(max(outputs, 2))] if classes else [], feature_names=[],
            target_names=[] if classes or outputs is None else [f"y{i + 1}" for i in range(outputs)],
        )  # fmt: skip
        return dict(spec=spec, data=data)

    def _answers_classes(self) -> bool:
        """Say whether the answers are classes: by the loss where one is known, else by the last activation."""
        model = self.model
        ends = [layer for layer in model.layers if layer.name != MEMBERS]  # which gives their mean
        shape, last = model.outputs[0].shape, getattr(ends[-1], "activation", None)
        if len(shape) != 2 or shape[-1] is None:
            return False
        if not self._loss:
            return getattr(last, "__name__", "") in ("softmax", "sigmoid")
        return any(word in self._loss for word in _OF_CLASSES)

    @property
    def learns(self) -> str | None:
        """The fact of the tasks that its loss is for, "numbered" or "values"; None where no loss says it."""
        if any(word in self._loss for word in _OF_VALUES):
            return "values"
        sure = "binary" not in self._loss and any(word in self._loss for word in _OF_CLASSES)
        return "numbered" if sure else None

    @cached_property
    def _loss(self) -> str:
        """The name of the loss, in small letters alone; empty where none is known."""
        loss = getattr(self.model, "loss", None)
        if loss is None and self.path is not None:
            loss = import_module("kzoo.loading").loss_named_in(self.path / _MODEL)
        if loss is None:
            return ""
        name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
        return name.lower().replace("_", "")
