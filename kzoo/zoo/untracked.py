"""Models without a run: in memory, or in a folder written by a callback bundle. They can be used like a run."""

import os
import sys
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kzoo.problems import kinds
from kzoo.problems.tasks import problem_for
from kzoo.utils.address import local, local_model_or_data
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, path_of
from kzoo.utils.formatting import printable, shown
from kzoo.zoo.families.protocol import MEMBERS
from kzoo.zoo.registry import fitted_on, get_preset, names_a_preset, spec_of
from kzoo.zoo.run import Run
from kzoo.zoo.weights.packaged import PretrainedWeights

if TYPE_CHECKING:
    import keras

    from kzoo.zoo.registry.preset import Preset

_MODEL = "best.keras"
_OF_CLASSES = ("crossentropy", "hinge", "kldivergence", "focal")
_OF_VALUES = ("meansquared", "meanabsolute", "mse", "mae", "huber", "logcosh")


def as_run(
    model_or_run: "Run | str | os.PathLike[str] | keras.Model",
    weights: str | None = None,
    *,
    stored: bool = True,
) -> Run:
    """Return a `Run` for a run, its path, the folder of a callback bundle, or a model in memory.

    The name of a preset means its pretrained weights in the package, unless a file or folder has that name; a line on
    stderr describes them.

    Args:
        model_or_run: a run, a path, a model, or the name of a preset.
        weights: name of pretrained weights; then `model_or_run` is the name of a preset.
        stored: False to exclude the pretrained weights in the package.

    Raises:
        KzooError: it is none of these, or a preset without such weights.
    """
    if weights is not None:
        return _pretrained(model_or_run, weights)
    if isinstance(model_or_run, Run):
        return model_or_run
    if not isinstance(model_or_run, str | os.PathLike):
        if not hasattr(model_or_run, "predict_on_batch"):
            raise KzooError(
                f"Expected a run, the path of a run or a keras.Model, got {model_or_run!r}.",
                value=model_or_run,
            )
        return UntrackedModel(model_or_run)
    model_or_run = local(model_or_run)
    path = path_of(model_or_run, "a run")
    is_name = (
        isinstance(model_or_run, str)
        and os.sep not in model_or_run
        and names_a_preset(model_or_run)
    )
    if stored and not path.exists() and is_name:
        return _pretrained(str(model_or_run), None)
    if (path / _MODEL).is_file() and not any(
        (path / name).exists() for name in ("config.json", "search.json")
    ):
        return UntrackedModel(path=path)
    return Run(path)


def _pretrained(preset: object, weights: str | None) -> PretrainedWeights:
    if not isinstance(preset, str) or not names_a_preset(preset):
        raise KzooError(
            f"needs the name of a preset, and {shown(preset)} is not one: omit weights=.",
            argument="weights",
            value=weights,
        )
    pretrained = PretrainedWeights(get_preset(preset).name, weights)
    print(printable(f"kzoo: {pretrained.entry.line}"), file=sys.stderr)
    return pretrained


def run_or_none(preset_or_run: "str | os.PathLike[str] | Preset | Run | keras.Model") -> Run | None:
    """Return the run for a run or its path; None for a preset or a model in memory."""
    if isinstance(preset_or_run, Run):
        return preset_or_run
    preset_or_run = local_model_or_data(preset_or_run)
    name = os.fspath(preset_or_run) if isinstance(preset_or_run, str | os.PathLike) else None
    if name is None or names_a_preset(name):
        return None
    exists = path_of(preset_or_run, "a run or a preset").exists()
    is_path = exists or os.sep in name or isinstance(preset_or_run, os.PathLike)
    return as_run(preset_or_run) if is_path else None


class UntrackedModel(Run):
    """A model without a run: it takes arrays, and its classes are numbers.

    A model that was passed to `kzoo.fit_arguments` has the description of its data, and reads raw inputs as a run does.

    Args:
        model: the model; None for the `best.keras` in `path`.
        path: folder of the model, or None.

    Raises:
        KzooError: the model has several inputs or outputs.
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
        return (
            self.given
            if self.path is None
            else import_module("kzoo.zoo.loading").load_model(self.path / _MODEL)
        )

    @property
    def summary(self) -> JsonObject:
        """What is known without data: the number of parameters."""
        return {"parameters": self.model.count_params()}

    @cached_property
    def history(self) -> dict[str, list[float | None]]:
        """The history of the last `fit`, or of the folder."""
        if self.path is None:
            past = getattr(getattr(self.model, "history", None), "history", None) or {}
            return (
                {"epoch": list(range(1, 1 + max(map(len, past.values()), default=0)))} | past
                if past
                else {}
            )
        return super().history if (self.path / "history.csv").is_file() else {}

    @cached_property
    def config(self) -> JsonObject:
        fitted = fitted_on(self.model)
        return fitted[0] if fitted else self._described()

    @cached_property
    def preprocessing(self) -> JsonObject:
        fitted = fitted_on(self.model)
        return (
            fitted[1]
            if fitted
            else kinds.array_preprocessor(
                self.config["data"]["inputs"], self.model.inputs[0].shape[1:]
            )
        )

    def _described(self) -> JsonObject:
        """Return a `config.json` with everything that follows from the model."""
        model = self.model
        in_tensors, out_tensors = (
            list(getattr(model, name, None) or ()) for name in ("inputs", "outputs")
        )
        if len(in_tensors) != 1 or len(out_tensors) != 1:
            raise KzooError(
                f"Model {model.name!r} must have one input and one output, Functional or a built Sequential (inputs: "
                f"{len(in_tensors) or 'unknown'}, outputs: {len(out_tensors) or 'unknown'})."
            )
        has_embedding = any(type(layer).__name__ == "Embedding" for layer in model.layers)
        is_integer = has_embedding or "int" in str(in_tensors[0].dtype)
        inputs = kinds.kind_of_array(len(in_tensors[0].shape), whole=is_integer).name
        outputs = out_tensors[0].shape[-1]
        classes = self._is_classifier()
        problem = problem_for(inputs, "classes" if classes else "values")
        try:
            spec = spec_of(model)
        except KzooError:
            # Outputs trained by hinge are not probabilities, and a stored model does not contain its loss.
            training = {"loss": "hinge"} if "hinge" in self._loss else {}
            spec = dict(
                preset=model.name,
                family=None,
                task=problem.name,
                config={},
                training=training,
                seed=None,
            )
        data = dict(
            name=f"training data of {model.name}",
            data_seed=0,
            options={},
            fingerprint=None,
            task=problem.name,
            inputs=inputs,
            train=0,
            validation=0,
            test=0,
            class_names=[str(number) for number in range(max(outputs, 2))] if classes else [],
            feature_names=[],
            target_names=[]
            if classes or outputs is None
            else [f"y{i + 1}" for i in range(outputs)],
        )
        return dict(spec=spec, data=data)

    def _is_classifier(self) -> bool:
        """Return whether the outputs are classes: by the loss if it is known, else by the last activation."""
        model = self.model
        # the mean of TabM's members
        layers = [layer for layer in model.layers if layer.name != MEMBERS]
        shape = model.outputs[0].shape
        last = getattr(layers[-1], "activation", None)
        if len(shape) != 2 or shape[-1] is None:
            return False
        if not self._loss:
            return getattr(last, "__name__", "") in ("softmax", "sigmoid")
        return any(word in self._loss for word in _OF_CLASSES)

    @property
    def learns(self) -> str | None:
        """The fact of the tasks that the loss is for, "numbered" or "values"; None if the loss does not decide it."""
        if any(word in self._loss for word in _OF_VALUES):
            return "values"
        needs_classes = "binary" not in self._loss and any(
            word in self._loss for word in _OF_CLASSES
        )
        return "numbered" if needs_classes else None

    @cached_property
    def _loss(self) -> str:
        """The name of the loss in lower case without underscores; empty if it is not known."""
        loss = getattr(self.model, "loss", None)
        if loss is None and self.path is not None:
            loss = import_module("kzoo.zoo.loading").stored_loss_name(self.path / _MODEL)
        if loss is None:
            return ""
        name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
        return name.lower().replace("_", "")
