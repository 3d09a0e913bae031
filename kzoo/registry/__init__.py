"""Names become models: `build`, `rebuild`, `resolve`, `spec_of`; the names themselves are in `catalogue.py`.

Standard library only. Keras is imported inside `build`, by the name of the family's module.
"""

import math
import os
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kzoo import __version__
from kzoo.registry.arguments import ARGUMENTS, CLIPPING, CONFIG, OF_FIT, SGD, SYNONYMS, TRAINING, checked
from kzoo.registry.catalogue import (  # noqa: F401 (the registry is where they are looked for)
    general_first,
    get_preset,
    is_general,
    list_presets,
    names_a_preset,
    register,
    word_for,
)
from kzoo.registry.family import FAMILIES, builder_of
from kzoo.registry.preset import Preset, closed, completed, defaults_of, unused_names
from kzoo.utils.argument_checks import checked_arguments, checked_count, checked_seed
from kzoo.utils.errors import KzooError, is_out_of_memory, short_errors, warn
from kzoo.utils.files import read_json
from kzoo.utils.formatting import first_line, hint, listed

if TYPE_CHECKING:
    import keras

    from kzoo.dataset.dataset import Dataset
    from kzoo.run import Run

_specs: "weakref.WeakKeyDictionary[keras.Model, dict[str, Any]]" = (
    weakref.WeakKeyDictionary()
)  # model -> its specification
_fitted_on: "weakref.WeakKeyDictionary[keras.Model, tuple[dict[str, Any], dict[str, Any]]]" = (
    weakref.WeakKeyDictionary()
)  # see `fitted_on`
_UNSAID = object()
_asked: "weakref.WeakKeyDictionary[keras.Model, frozenset[str]]" = weakref.WeakKeyDictionary()  # see `asked_of`


@checked_arguments
def build(
    name: str | Preset,
    *,
    data: "Dataset | None" = None,
    weights: "Run | str | os.PathLike[str] | keras.Model | None" = None,
    compile: bool = True,
    seed: int | None = None,
    steps: int | None = None,
    **overrides: Any,
) -> "keras.Model":
    """Build a preset's network: a functional `keras.Model`, compiled with the preset's training contract.

    The model carries what Keras compiles: optimizer, loss and metrics. Batch size, epochs, augmentation, class weights,
    callbacks and what they watch are arguments of `fit`; `kzoo.fit_arguments(model, data)` makes them:

        data = kzoo.load_data("churn.csv", target="churned")
        model = kzoo.build("tabular_fnn", data=data, seed=0)
        model.fit(**kzoo.fit_arguments(model, data))  # as kzoo.train("tabular_fnn", data, steps_per_call=1) does

    Args:
        name: a preset's name, or a `Preset`. `tabular_fnn@1` is the first revision of that name.
        data: what `kzoo.load_data` returned, to fit the network to: shape of the input, classes, columns, vocabulary,
            loss and metrics follow it as in `kzoo.train`, and schedules get their length.
        weights: None draws them. A word for weights in the package, such as "cifar10" (`kzoo show PRESET` lists them),
            or a run of this preset: the network is the one that they are of, in float32, and `kzoo.predict` takes raw
            inputs for it; `best.keras` and `last.keras` of a run are taken likewise. Another `.keras` or `.weights.h5`
            file or a model: it has to have all that the network has, and to compute the same. With `data`, the network
            follows the data and begins with what fits of them, as in `kzoo.train`.
        compile: False for a bare model.
        seed: seeds Python, NumPy and the backend before the weights are drawn.
        steps: total number of training steps. A schedule such as `"cosine"` needs it; without it, and without `data`,
            the learning rate is constant until `kzoo.fit_arguments` sets its course.
        overrides: any name that the family's builder or the training contract takes: `kzoo show PRESET` lists them.

    Raises:
        KzooError: unknown preset or override, wrong type or range, with the nearest legal name; data that does not fit;
            weights that cannot be read, are of another network, or contradict the overrides.

    Warns:
        KzooWarning: settings among `overrides` that `model.fit(x, y)` alone would not see, and `members`, which it
            would train as one; not of a bare model.
    """
    preset = get_preset(name)
    config, training = resolve(preset, overrides)
    steps = None if steps is None else checked_count("steps", steps)
    if compile and "linear_probe" in overrides and training["linear_probe"]:
        raise KzooError("linear_probe=True is for kzoo.train(NAME, weights=...), which has data to fit the layer to.")
    if isinstance(weights, str | os.PathLike):
        import_module("kzoo.weights").check_weights(weights, preset.name)
    task, notes = preset.task, []
    if data is not None:
        config, training, notes = import_module("kzoo.training.adapt").adapt_build(
            preset, config, training, set(overrides), data
        )
        task, steps = data.task, steps or steps_of(training, len(data.train))
    if unseen := _unseen_by_fit(overrides, training, steps) if compile else ():
        notes.append(
            f"{' and '.join(unseen)} {'is' if len(unseen) == 1 else 'are'} for kzoo.fit_arguments(model, data) and for "
            "kzoo.train: model.fit(x, y) alone does not see that."
        )
    if compile and (precision := training["precision"]) != "auto" and "precision" in overrides:
        notes.append(
            f"precision={precision!r} is for kzoo.train({preset.name!r}): a network is built in what "
            f"keras.config.set_dtype_policy({precision!r}) says before kzoo.build."
        )
    if compile and config.get("members"):
        notes.append("kzoo.train has each of the members learn by itself: model.fit(x, y) trains their mean.")
    if notes:
        warn(" ".join(notes))
    if weights is not None and data is None:
        model = _with_weights(preset, weights, overrides, compile=compile, seed=seed, steps=steps)
        _asked[model] = frozenset(overrides)
        return model
    spec = dict(
        preset=preset.name, revision=preset.revision, family=preset.family, task=task, config=config, training=training
    )
    model = rebuild(spec | dict(seed=seed), compile=compile, steps=steps)
    _asked[model] = frozenset(overrides)
    if data is not None:
        start = import_module("kzoo.training.initial_weights")
        start.initialize_from_data(model, data.train)
        if weights is not None:
            spec = import_module("kzoo.stored_types").Spec.read(_specs[model])
            if said := start.load_initial_weights(weights, model, spec, data)[1:]:
                warn(" ".join(said))
    return model


def _with_weights(
    preset: Preset, weights: Any, overrides: Mapping[str, Any], *, compile: bool, seed: int | None, steps: int | None
) -> "keras.Model":
    """Return a preset's network with given weights (see `build`)."""
    model, spec = import_module("kzoo.training.initial_weights").build_with_weights(preset, weights, overrides)
    if seed is not None:
        import_module("keras").utils.set_random_seed(checked_seed("seed", seed))
    if compile:
        contract = import_module("kzoo.contract")
        contract.compile_model(model, task=spec["task"], config=spec["config"], training=spec["training"], steps=steps)
    _specs[model] = spec | dict(seed=seed)
    return model


def steps_of(training: Mapping[str, Any], examples: int) -> int:
    """Return the number of steps of a whole training: what a schedule is as long as."""
    return steps_of_epoch(training, examples) * training["epochs"]


def steps_of_epoch(training: Mapping[str, Any], examples: int) -> int:
    """Return the number of steps of an epoch, which is cut short where there are to be fewer in all."""
    steps = math.ceil(examples / training["batch_size"])
    return min(steps, training.get("max_steps") or steps)


def _unseen_by_fit(overrides: Mapping[str, Any], training: Mapping[str, Any], steps: int | None) -> list[str]:
    """Return the names among `overrides` that a compiled model does not carry, where they ask for anything."""
    names = [name for name in overrides if name in OF_FIT and training[name] not in (None, (), False)]
    names = [name for name in names if name not in ("precision", "linear_probe")]  # which are not for `fit` either
    if steps is None or training["schedule"] == "plateau":
        names += [n for n in ("schedule", "warmup") if n in overrides and training[n] not in ("constant", 0.0)]
    return names


def rebuild(spec: Mapping[str, Any], *, compile: bool = True, steps: int | None = None) -> "keras.Model":
    """Build from a specification (see `spec_of`): family and resolved config, whatever became of the preset."""
    keras = import_module("keras")
    if spec["seed"] is not None:
        keras.utils.set_random_seed(checked_seed("seed", spec["seed"]))
    config = closed(builder_of(spec["family"]).defaults | checked(spec["config"]))
    _check_names(spec, config)
    builder, fixed = family_builder(spec["family"])
    try:
        model = builder(name=spec["preset"].partition("@")[0], **fixed, **config)
        if compile:
            contract = import_module("kzoo.contract")
            contract.compile_model(model, task=spec["task"], config=config, training=spec["training"], steps=steps)
    except KzooError:
        raise
    except Exception as error:
        if not isinstance(error, ValueError) and not is_out_of_memory(error):
            raise
        why = "memory has no room for its weights" if is_out_of_memory(error) else first_line(error)
        raise KzooError(f"Cannot build {spec['preset']!r}: {why}.") from error
    _specs[model] = dict(spec) | dict(config=config, kzoo=__version__)
    return model


def _check_names(spec: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuse what a builder does not take or must have: a preset of a file or package may say anything."""
    takes = builder_of(spec["family"]).takes
    for name in sorted(set(config) - set(takes)):
        raise KzooError(f"Cannot build {spec['preset']!r}: its family takes no {name!r}. {hint(name, takes)}".strip())
    for name in takes:
        if name not in config:
            raise KzooError(f"Cannot build {spec['preset']!r}: its config says no {name!r}.")


def family_builder(family: str) -> tuple[Callable[..., "keras.Model"], dict[str, Any]]:
    """Return a family's builder and the arguments that the family itself fixes."""
    module, fixed = FAMILIES[family]
    return import_module(module).build, fixed


def resolve(preset: Preset, overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Merge overrides into a preset's config and training contract, checking names, types, ranges and use."""
    config, training = dict(preset.config), dict(preset.training)
    takes = builder_of(preset.family).takes
    for name in overrides:
        if name not in takes and name not in TRAINING and name not in config and name not in training:
            raise KzooError(_unknown_override(preset, name))
    for name, value in checked(overrides).items():
        (config if name in config or name in takes else training)[name] = value
    own, settings, default = preset.config | preset.training, config | training, defaults_of(preset.family)
    asking = [n for n in overrides if settings[n] not in (own.get(n, _UNSAID), default.get(n, _UNSAID))]
    # What a preset has without a use is for other tasks of its kind.
    others = unused_names(own, preset.family, preset.task, preset.config)
    for name, why in unused_names(asking, preset.family, preset.task, config).items():
        if name not in others:
            raise KzooError(f"{preset.name} has no use for {name}: {why}.")
    config, training = completed(preset.family, preset.task, config, training)
    if overrides.get("schedule") == "onecycle" and "warmup" not in overrides:
        training["warmup"] = 0.3  # a preset's few per cent are for its own schedule
    if "labels" not in overrides and training.get("labels") == "onehot" and config["outputs"] == 1:
        training["labels"] = "integer"  # a preset's one-hot labels are for its several outputs
    _settle_clipping(training, overrides)
    _settle_steps(training, overrides)
    if "epochs" in overrides:  # they are the whole length
        if "min_steps" in overrides and (least := training["min_steps"]):
            epochs = training["epochs"]
            raise KzooError(f"min_steps={least} and epochs={epochs} both say how long to train. Leave one out.")
        training["min_steps"] = 0
    return config, training


def _settle_clipping(training: dict[str, Any], overrides: Mapping[str, Any]) -> None:
    """Let an asked way of clipping take the place of the preset's."""
    asked = [name for name in CLIPPING if overrides.get(name) is not None]
    training |= {name: None for name in CLIPPING if asked and name not in asked}
    given = [name for name in CLIPPING if training[name] is not None]
    if len(given) > 1:
        values = " and ".join(f"{name}={training[name]:g}" for name in given)
        raise KzooError(f"{values} exclude one another: gradients are clipped in one way. Keep one.")


def _settle_steps(training: dict[str, Any], overrides: Mapping[str, Any]) -> None:
    """Leave what only goes with the preset's optimizer out of another one, unless it was asked for.

    Raises:
        KzooError: it was asked for.
    """
    optimizer = training["optimizer"]
    for name, optimizers in (("momentum", ("momentum",)), ("norm_bias_rate", SGD)):
        if optimizer in optimizers:
            continue
        if overrides.get(name, TRAINING[name].default) != TRAINING[name].default:
            raise KzooError(
                f"{name}={overrides[name]:g} is for optimizer={' or '.join(map(repr, optimizers))}, not {optimizer!r}."
            )
        training[name] = TRAINING[name].default


@short_errors
def spec_of(thing: "str | os.PathLike[str] | keras.Model") -> dict[str, Any]:
    """Return the specification of a run or export, the path of one, or a model that kzoo built in this process.

    Returns:
        preset and its revision, family, task, config (fully resolved), training, seed and kzoo's version.

    Raises:
        KzooError: the object did not come from kzoo.
    """
    config = getattr(thing, "config", None)
    if isinstance(config, Mapping) and "spec" in config:
        return config["spec"]
    if isinstance(thing, str) or hasattr(thing, "__fspath__"):
        for name in ("config.json", "kzoo.json"):
            try:
                return read_json(Path(thing) / name)["spec"]
            except (OSError, ValueError, KeyError, TypeError):
                continue
        raise KzooError(f"{str(thing)!r} is not the folder of a run or export: kzoo.train and kzoo.export write one.")
    try:
        return _specs[thing]
    except (KeyError, TypeError):
        raise KzooError(
            f"{thing!r} has no specification: pass a run, or a model that kzoo.build made in this process."
        ) from None


def requested_settings(model: "keras.Model") -> frozenset[str]:
    """Return the names of the settings that `build` was given for a model; none of what it did not build."""
    return _asked.get(model, frozenset())


def fitted_on(model: "keras.Model") -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return what `kzoo.fit_arguments` knew of a model's data: a run's `config.json`, and what reads new inputs."""
    return _fitted_on.get(model)


def remember_data(model: "keras.Model", config: dict[str, Any], preprocessing: dict[str, Any]) -> None:
    """Keep for `fitted_on` what a model in memory is fitted on."""
    _fitted_on[model] = config, preprocessing


def built_models() -> "list[keras.Model]":
    """Return the models that kzoo has built in this process and that are still in use."""
    return list(_specs)


def settings_of(preset: Preset, config: Mapping[str, Any], training: Mapping[str, Any]) -> list[str]:
    """Return the names that have a use in a preset with these settings, in the order in which they are declared."""
    names = [n for n in (*builder_of(preset.family).takes, *TRAINING) if n in config or n in training]
    useless = unused_names(names, preset.family, preset.task, config)
    return [name for name in names if name not in useless]


def meaning_of(name: str, family: str | None) -> str:
    """Return in a few words what a setting is: what the family's builder says, or the training contract."""
    if name in TRAINING:
        return TRAINING[name].meaning
    return builder_of(family).meanings.get(name, "") if family is not None and family in FAMILIES else ""


def _unknown_override(preset: Preset, name: str) -> str:
    legal = settings_of(preset, preset.config, preset.training)
    synonym = SYNONYMS.get(name.lower())
    if synonym in legal:
        guess = f"Did you mean {synonym!r}? "
    elif name in ARGUMENTS:
        takes = [family for family in FAMILIES if name in builder_of(family).takes]
        whose = f", which is a setting of {listed(takes)}" if takes else ""
        guess = f"{preset.name} has no use for it{whose}. "
    else:
        guess = hint(name, legal)
    return f"Unknown argument {name!r} for {preset.name}. {guess}It takes: {', '.join(sorted(legal))}."


def preset_of(spec: Mapping[str, Any]) -> Preset:
    """Return the preset that a specification describes, whatever became of the one it was made from.

    One that says no revision is of the first: it was made before there were others.
    """
    fields = {name: spec[name] for name in ("family", "task", "config", "training")}
    return Preset(name=spec["preset"], summary="", revision=spec.get("revision") or 1, **fields)


def with_settings(preset: Preset, config: Mapping[str, Any], training: Mapping[str, Any]) -> Preset:
    """Return a copy of a preset with a resolved config and training contract."""
    return replace(preset, config=dict(config), training=dict(training))


assert not set(CONFIG) & set(TRAINING), "one namespace: a name means one thing"
