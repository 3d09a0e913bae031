"""What is exported, described as plain data: where its weights are, what goes in, what comes out."""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from kzoo import kinds
from kzoo.exported import MANIFEST
from kzoo.predictions import ANSWERS, logits_of
from kzoo.registry import fitted_on, spec_of
from kzoo.run import Run
from kzoo.tasks import problem
from kzoo.untracked import UntrackedModel, as_run
from kzoo.utils.errors import KzooError


def _distribution(task):
    """Say whether what a task answers are probabilities; not where no task is known."""
    return task is not None and "probabilities" in problem(task).facts


@dataclass(frozen=True, kw_only=True)
class ExportSource:
    """A model to export.

    Args:
        spec: see `kzoo.spec_of`; its family is None for what kzoo did not build.
        run: the run, or the weights in the package, where it comes from them.
        model: the Keras model, where it was given, or is made of weights in the package.
        given: the input, as `kzoo.json` lists it and with what `golden.draw` needs to know.
        like: the family that it resembles: formats treat convolutional and recurrent networks in their own ways.
        kind: one of `kzoo.exported.ANSWERS`: what the exported graph gives.
        activation: "softmax" or "sigmoid" where the graph has to make probabilities of logits.
        labels, targets: names.
    """

    spec: dict
    given: dict
    kind: str
    like: str
    activation: str | None = None
    run: Run | None = None
    model: object = None
    labels: tuple = ()
    targets: tuple = ()

    @property
    def family(self):
        return self.spec["family"]


@dataclass(frozen=True, kw_only=True)
class ConversionJob:
    """What the process that converts is told of a subject, as plain data.

    Args:
        folder, work: where exported files go, and what is not part of them.
        run: the run's folder, or None.
        version: the number of a SavedModel.
        spec, like, given, kind, activation, preprocessing, postprocessing: see `Subject`, and `Manifest`.
    """

    folder: str
    work: str
    run: str | None
    version: int
    spec: dict
    like: str
    given: dict
    kind: str
    activation: str | None
    preprocessing: dict | None
    postprocessing: list

    @classmethod
    def of(cls, subject, folder, work, *, version):
        run = subject.run
        return cls(
            folder=str(folder.absolute()),
            work=str(work.absolute()),
            run=str(run.path.absolute()) if run and subject.model is None else None,
            version=version,
            spec=plain(subject.spec),
            like=subject.like,
            given=subject.given,
            kind=subject.kind,
            activation=subject.activation,
            preprocessing=run.preprocessing if run else None,
            postprocessing=list(run.postprocessing) if run else [],
        )


def plain(value):
    """Return a value with lists for its tuples, as JSON has it."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value


def export_source(thing) -> ExportSource:
    """Describe a run, its path, the folder that a callback bundle wrote, a preset with weights, or a Keras model.

    Raises:
        KzooError: neither of them, or a model that no format can take.
    """
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(thing, keras.Model):
        # One that knows its data reads raw inputs and names classes, as `kzoo.predict` does with it.
        return _of_run(UntrackedModel(thing)) if fitted_on(thing) else _of_model(thing, None)
    if isinstance(thing, Run) or (isinstance(thing, str | os.PathLike) and not (Path(thing) / MANIFEST).is_file()):
        run = as_run(thing)
        if not run.finished:
            raise KzooError(f"{run.path} is not finished: train it to its end, then export it.")
        return _of_run(run)
    shown = str(thing) if isinstance(thing, str | os.PathLike) else type(thing).__name__
    raise KzooError(f"kzoo.export takes a run, its path, or a Keras model, not {shown}.")


def _of_run(run):
    spec, data = run.config["spec"], run.config["data"]
    model = run.model if run.folder is None else None  # no folder for another process to open
    subject = _of_model(run.model, run) if spec["family"] is None else _of_spec(spec, run, model)
    return replace(subject, labels=tuple(data["class_names"]), targets=tuple(data["target_names"]))


def _of_model(model, run):
    try:
        spec = run.config["spec"] if run else spec_of(model)
    except KzooError:
        spec = None
    if spec is not None and spec["family"] is not None:
        return _of_spec(spec, run, model)
    takes, gives = (list(getattr(model, name, None) or ()) for name in ("inputs", "outputs"))
    if len(takes) != 1 or len(gives) != 1:
        what = (
            f"has {len(takes)} inputs and {len(gives)} outputs"
            if takes
            else "is neither Functional nor a built Sequential"
        )
        raise KzooError(
            f"Model {model.name!r} {what}; kzoo exports models with one input and one output. model.export() of Keras "
            "takes others, unchecked."
        )
    if spec is None:
        spec = dict(preset=model.name, family=None, task=None, config={}, training={}, seed=None)
    takes, gives = takes[0], gives[0]
    kind, activation = _answer_of(model, run)
    return ExportSource(
        spec=spec,
        run=run,
        model=model if run is None or run.path is None else None,
        given=_given(_kind_of_input(takes, run), list(takes.shape), str(takes.dtype), spec, run, model),
        kind=kind,
        activation=activation,
        like=_like(model),
    )


def _of_spec(spec, run, model=None):
    """Describe a network of kzoo's own, from its config alone."""
    config, inputs = spec["config"], spec["config"]["inputs"]
    if config.get("stateful"):
        raise KzooError(
            f"{spec['preset']} is stateful: what it answers depends on what came before, which no exported file keeps. "
            "Export the same network with stateful=False."
        )
    outputs, shape = config["outputs"], list(config["input_shape"])
    kind, activation = "values", None
    if _distribution(spec["task"]):
        ends, loss = config.get("output_activation") or "linear", spec["training"].get("loss")
        said = run.config.get("answers") if run else None  # what was trained, by another loss than the preset's perhaps
        logits = logits_of(ends, loss, single=outputs == 1) if said is None else ANSWERS.get(said)
        kind = "scores" if logits is None else "probabilities"
        activation = ("sigmoid" if outputs == 1 else "softmax") if logits else None
    return ExportSource(
        spec=spec,
        run=run,
        model=model,
        given=_given(inputs, [None, *shape], kinds.kind(inputs).dtype, spec, run),
        kind=kind,
        activation=activation,
        like=spec["family"],
    )


def _kind_of_input(tensor, run):
    dtype, rank = str(tensor.dtype), len(tensor.shape)
    if dtype == "string":
        raise KzooError(
            "The model takes strings, and kzoo exports networks that take numbers: cut it after its lookup."
        )
    if run is not None:
        return run.config["data"]["inputs"]
    return kinds.of_axes(rank, whole=dtype.startswith("int")).name


def _answer_of(model, run):
    """Return what a model of unknown make gives, and the activation that makes probabilities of it."""
    if run is not None and "members" in run.config["spec"]:  # an ensemble joins probabilities, never logits
        return ("probabilities" if _distribution(run.config["spec"]["task"]) else "values"), None
    from kzoo.checks.losses import last_activation, loss_name  # with Keras, which has made the model

    ends, name = last_activation(model), loss_name(model)
    single = model.outputs[0].shape[-1] == 1
    if run:
        if not _distribution(run.config["data"]["task"]):
            return "values", None
        said = run.config.get("answers")  # since it is written down; the stored model has forgotten its loss
        logits = logits_of(ends, name or None, single=single) if said is None else ANSWERS.get(said)
    elif ends in ("softmax", "sigmoid") or "crossentropy" in name or "hinge" in name:
        logits = logits_of(ends, name, single=single)
    else:
        return "values", None
    if logits is None:
        return "scores", None
    return "probabilities", ("sigmoid" if single else "softmax") if logits else None


def _like(model):
    """Return the family that a model of unknown make resembles, nested layers and all."""
    kinds = {type(layer).__name__ for layer in model._flatten_layers()}
    if kinds & {"RNN", "SimpleRNN", "LSTM", "GRU", "Bidirectional", "ConvLSTM2D"}:
        return "lstm"
    return "cnn" if any("Conv" in kind for kind in kinds) else "fnn"


def _given(kind, shape, dtype, spec, run, model=None):
    config = spec["config"]
    mean, sd = _spread(config, run)
    return dict(
        name=kind,
        shape=shape,
        dtype=dtype,
        meaning=kinds.kind(kind).meaning,
        kind=kind,
        vocabulary_size=config.get("vocabulary_size") or _embedded(model) or 2,
        categories=list(config.get("categories") or ()),
        pixels=255 if config.get("rescale", True) else 1,
        mean=mean,
        sd=sd,
    )


def _spread(config, run):
    """Return mean and deviation of each input column, as far as they are known; lists, or None."""
    scale, offset = config.get("scale"), config.get("offset")
    free = [0.0] * len(config.get("categories") or ())
    if scale is not None and offset is not None:
        pairs = list(zip(scale, offset, strict=True))
        return [-b / a if a else 0.0 for a, b in pairs] + free, [1 / a if a else 1.0 for a, b in pairs] + free
    features = (run.config.get("statistics") or {}).get("features", ()) if run else ()
    columns = config.get("input_shape", (0,))[-1]
    if len(features) == columns - len(free) and features and columns:
        return [f["mean"] for f in features] + free, [f["sd"] or 1.0 for f in features] + free
    return None, None


def _embedded(model):
    """Return the number of ids that the smallest embedding of a model knows."""
    layers = model._flatten_layers() if model is not None else ()
    sizes = [layer.input_dim for layer in layers if type(layer).__name__ == "Embedding"]
    return min(sizes, default=None)
