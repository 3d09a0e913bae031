"""Description of the model to export: its specification, weights, input and output."""

import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kzoo.inference.exported import MANIFEST
from kzoo.inference.predictions import ANSWERS, logits_of
from kzoo.problems import kinds
from kzoo.problems.layout import code_columns
from kzoo.problems.stored_types import plain
from kzoo.problems.tasks import problem
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import plural
from kzoo.zoo.registry import fitted_on, spec_of
from kzoo.zoo.run import Run
from kzoo.zoo.untracked import UntrackedModel, as_run

if TYPE_CHECKING:
    import keras


def _answers(
    task: str | None, run: Run | None, activation: str | None, loss: str | None, outputs: int
) -> tuple[str, str | None]:
    """Return the kind of the outputs of a network, and the activation that turns them into probabilities or None.

    Args:
        task: public name; None for a custom model whose rows have one class.
        run: the run; its kind of outputs takes precedence, because its loss may differ from the preset's. None without.
        activation, loss: names of the last activation and of the loss.
        outputs: their number.
    """
    known = None if task is None else problem(task)
    if known is not None and not known.gives_probabilities:
        return "values", None
    stored = run.config.get("answers") if run else None
    single = outputs == 1 or (known is not None and known.separate_probabilities)
    logits = logits_of(activation, loss, single=single) if stored is None else ANSWERS.get(stored)
    if logits is None:
        return "scores", None
    usual = "sigmoid" if outputs == 1 else "softmax"
    head = usual if known is None else known.task.head_of(outputs)
    return "probabilities", head if logits else None


@dataclass(frozen=True, kw_only=True)
class ExportSource:
    """A model to export.

    Args:
        spec: see `kzoo.spec_of`; the family is None for a custom Keras model.
        run: the run, or the pretrained weights in the package, if the model comes from one of them.
        model: the Keras model, if one was passed or was built from pretrained weights.
        input_spec: the input as listed in `kzoo.json`, with the additional facts that `golden_inputs.draw` needs.
        like: the family that the network resembles; formats handle convolutional and recurrent networks differently.
        kind: type of the graph's outputs, one of `kzoo.inference.predictions.ANSWERS`.
        activation: "softmax" or "sigmoid" if the exported graph has to turn logits into probabilities.
        labels, targets: names of classes and of target columns.
    """

    spec: dict
    input_spec: dict
    kind: str
    like: str
    activation: str | None = None
    run: Run | None = None
    model: Any = None
    labels: tuple = ()
    targets: tuple = ()

    @property
    def family(self) -> str | None:
        return self.spec["family"]


@dataclass(frozen=True, kw_only=True)
class ConversionJob:
    """The job of the worker process that converts an `ExportSource`, as plain data.

    Args:
        folder, work: folder of the exported files, and folder of temporary files.
        run: the run's folder, or None.
        version: version number of the SavedModel.
        spec, like, input_spec, kind, activation: see `ExportSource`.
        preprocessing, postprocessing: see `kzoo.inference.exported.Manifest`.
        labels, targets: names of classes and of target columns.
        about: what is known of the training of a run: its `data`, `metrics`, `baselines`, `origin`, `statistics` and
            the statement `retrained`; and the `author` of the export.
    """

    folder: str
    work: str
    run: str | None
    version: int
    spec: dict
    like: str
    input_spec: dict
    kind: str
    activation: str | None
    preprocessing: dict | None
    postprocessing: list
    labels: list = field(default_factory=list)
    targets: list = field(default_factory=list)
    about: dict = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        subject: ExportSource,
        folder: Path,
        work: Path,
        *,
        version: int,
        about: JsonObject | None = None,
    ) -> "ConversionJob":
        run = subject.run
        return cls(
            folder=str(folder.absolute()),
            work=str(work.absolute()),
            run=str(run.path.absolute()) if run and subject.model is None else None,
            version=version,
            spec=plain(subject.spec),
            like=subject.like,
            input_spec=subject.input_spec,
            kind=subject.kind,
            activation=subject.activation,
            preprocessing=run.preprocessing if run else None,
            postprocessing=list(run.postprocessing) if run else [],
            labels=[str(label) for label in subject.labels],
            targets=[str(target) for target in subject.targets],
            about=about or {},
        )


def export_source(model_or_run: object) -> ExportSource:
    """Return the description of the model to export.

    Args:
        model_or_run: a run, its path, a folder written by a callback bundle, the name of a preset with pretrained
            weights, or a Keras model.

    Raises:
        KzooError: any other argument, an unfinished run, or a model that no format supports.
    """
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(model_or_run, keras.Model):
        # A model that was fitted on kzoo data has a preprocessor and class names, as for `kzoo.predict`.
        return (
            _of_run(UntrackedModel(model_or_run))
            if fitted_on(model_or_run)
            else _of_model(model_or_run, None)
        )
    if isinstance(model_or_run, Run) or (
        isinstance(model_or_run, str | os.PathLike)
        and not (Path(model_or_run) / MANIFEST).is_file()
    ):
        run = as_run(model_or_run)
        if not run.finished:
            raise KzooError(f"{run.path} is not finished. Finish the training before exporting it.")
        return _of_run(run)
    shown = (
        str(model_or_run)
        if isinstance(model_or_run, str | os.PathLike)
        else type(model_or_run).__name__
    )
    raise KzooError(f"kzoo.export takes a run, the path of a run, or a Keras model, got {shown}.")


def _of_run(run: Run) -> ExportSource:
    spec, data = run.config["spec"], run.config["data"]
    model = run.model if run.folder is None else None  # pretrained weights have no run folder
    subject = _of_model(run.model, run) if spec["family"] is None else _of_spec(spec, run, model)
    return replace(subject, labels=tuple(data["class_names"]), targets=tuple(data["target_names"]))


def _of_model(model: "keras.Model", run: Run | None) -> ExportSource:
    try:
        spec = run.config["spec"] if run else spec_of(model)
    except KzooError:
        spec = None
    if spec is not None and spec["family"] is not None:
        return _of_spec(spec, run, model)
    inputs, outputs = (list(getattr(model, name, None) or ()) for name in ("inputs", "outputs"))
    if len(inputs) != 1 or len(outputs) != 1:
        problem_text = (
            f"has {plural(len(inputs), 'input')} and {plural(len(outputs), 'output')}"
            if inputs
            else "is neither Functional nor a built Sequential"
        )
        raise KzooError(
            f"Model {model.name!r} {problem_text}. kzoo exports models with one input and one output only. For "
            "other models, use model.export() of Keras, which does not check the result."
        )
    if spec is None:
        spec = dict(preset=model.name, family=None, task=None, config={}, training={}, seed=None)
    inputs, outputs = inputs[0], outputs[0]
    kind, activation = _output_kind(model, run)
    return ExportSource(
        spec=spec,
        run=run,
        model=model if run is None or run.path is None else None,
        input_spec=_input_spec(
            _input_kind(inputs, run), list(inputs.shape), str(inputs.dtype), spec, run, model
        ),
        kind=kind,
        activation=activation,
        like=_like(model),
    )


def _of_spec(spec: JsonObject, run: Run | None, model: "keras.Model | None" = None) -> ExportSource:
    """Return the `ExportSource` of a network built by kzoo, from its config alone."""
    config = spec["config"]
    inputs = spec["config"]["inputs"]
    if config.get("stateful"):
        raise KzooError(
            f"{spec['preset']} is stateful: its outputs depend on earlier batches, and exported files keep no state. "
            "Export the same network with stateful=False."
        )
    shape = list(config["input_shape"])
    activation = config.get("output_activation") or "linear"
    loss = spec["training"].get("loss")
    kind, to_probabilities = (
        ("values", None)
        if spec["task"] is None
        else _answers(spec["task"], run, activation, loss, config["outputs"])
    )
    return ExportSource(
        spec=spec,
        run=run,
        model=model,
        input_spec=_input_spec(inputs, [None, *shape], kinds.kind(inputs).dtype, spec, run),
        kind=kind,
        activation=to_probabilities,
        like=spec["family"],
    )


def _input_kind(tensor: "keras.KerasTensor", run: Run | None) -> str:
    dtype, rank = str(tensor.dtype), len(tensor.shape)
    if dtype == "string":
        raise KzooError(
            "The model takes strings, but kzoo exports models that take numbers. Export the part "
            "of the model after its lookup layer."
        )
    if run is not None:
        return run.config["data"]["inputs"]
    return kinds.kind_of_array(rank, whole=dtype.startswith("int")).name


def _output_kind(model: "keras.Model", run: Run | None) -> tuple[str, str | None]:
    """Return the type of a custom model's outputs, and the activation that turns them into probabilities or None."""
    if run is not None and "members" in run.config["spec"]:
        # ensembles combine probabilities, never logits
        task = run.config["spec"]["task"]
        combined = task is not None and problem(task).gives_probabilities
        return "probabilities" if combined else "values", None
    # imports Keras, which the model has already imported
    from kzoo.zoo.loss_info import last_activation, loss_name

    activation, loss = last_activation(model), loss_name(model)
    outputs = model.outputs[0].shape[-1]
    if run:
        return _answers(run.config["data"]["task"], run, activation, loss or None, outputs)
    if activation in ("softmax", "sigmoid") or "crossentropy" in loss or "hinge" in loss:
        return _answers(None, None, activation, loss, outputs)
    return "values", None


def _like(model: "keras.Model") -> str:
    """Return the family that a custom model resembles, by the types of its layers, nested ones included."""
    kinds = {type(layer).__name__ for layer in model._flatten_layers()}
    if kinds & {"RNN", "SimpleRNN", "LSTM", "GRU", "Bidirectional", "ConvLSTM2D"}:
        return "lstm"
    return "cnn" if any("Conv" in kind for kind in kinds) else "fnn"


def _input_spec(
    kind: str,
    shape: list[int | None],
    dtype: str,
    spec: JsonObject,
    run: Run | None,
    model: "keras.Model | None" = None,
) -> JsonObject:
    config = spec["config"]
    mean, sd = _column_statistics(config, run)
    return dict(
        name=kind,
        shape=shape,
        dtype=dtype,
        meaning=kinds.kind(kind).meaning,
        kind=kind,
        vocabulary_size=config.get("vocabulary_size") or _smallest_vocabulary(model) or 2,
        categories=list(config.get("categories") or ()),
        **{
            name: list(config[name])
            for name in ("text_buckets", "text_lengths")
            if config.get(name)
        },
        **({"padded": True} if config.get("padded") else {}),
        pixels=255 if config.get("rescale", True) else 1,
        mean=mean,
        sd=sd,
    )


def _column_statistics(
    config: JsonObject, run: Run | None
) -> tuple[list[float] | None, list[float] | None]:
    """Return lists of the mean and standard deviation of each input column, or (None, None) if unknown."""
    scale, offset = config.get("scale"), config.get("offset")
    zeros = [0.0] * code_columns(config)
    if scale is not None and offset is not None:
        pairs = list(zip(scale, offset, strict=True))
        return [-o / s if s else 0.0 for s, o in pairs] + zeros, [
            1 / s if s else 1.0 for s, o in pairs
        ] + zeros
    features = (run.config.get("statistics") or {}).get("features", ()) if run else ()
    columns = config.get("input_shape", (0,))[-1]
    if len(features) == columns - len(zeros) and features and columns:
        return [f["mean"] for f in features] + zeros, [f["sd"] or 1.0 for f in features] + zeros
    return None, None


def _smallest_vocabulary(model: "keras.Model | None") -> int | None:
    """Return the smallest `input_dim` of a model's embeddings, or None."""
    layers = model._flatten_layers() if model is not None else ()
    sizes = [layer.input_dim for layer in layers if type(layer).__name__ == "Embedding"]
    return min(sizes, default=None)
