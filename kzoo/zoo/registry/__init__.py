"""Build models from preset names: `build`, `rebuild`, `resolve`, `spec_of`. The names are in `catalogue.py`.

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

from kzoo.problems.data_arguments import FLAGS
from kzoo.problems.stored_types import Config, Overrides, TrainingSettings
from kzoo.utils.argument_checks import checked_arguments, checked_count, checked_seed
from kzoo.utils.errors import KzooError, is_out_of_memory, short_errors, warn
from kzoo.utils.files import JsonObject, read_json
from kzoo.utils.formatting import first_line, hint, listed
from kzoo.utils.version import __version__
from kzoo.zoo.registry.arguments import (
    ARGUMENTS,
    CLIPPING,
    CONFIG,
    OF_FIT,
    SGD,
    STORED_IF_SET,
    SYNONYMS,
    TRAINING,
    checked,
)
from kzoo.zoo.registry.catalogue import (  # noqa: F401 (re-exported)
    general_first,
    get_preset,
    is_general,
    list_presets,
    names_a_preset,
    register,
    word_for,
)
from kzoo.zoo.registry.family import FAMILIES, builder_of
from kzoo.zoo.registry.preset import AUTO as AUTO
from kzoo.zoo.registry.preset import Preset, closed, completed, defaults_of, unused_names

if TYPE_CHECKING:
    import keras

    from kzoo.data.dataset import Dataset
    from kzoo.zoo.run import Run
    from kzoo.zoo.weights import Weights

_specs: "weakref.WeakKeyDictionary[keras.Model, dict[str, Any]]" = (
    weakref.WeakKeyDictionary()
)  # model -> its specification
_fitted_on: "weakref.WeakKeyDictionary[keras.Model, tuple[dict[str, Any], dict[str, Any]]]" = (
    weakref.WeakKeyDictionary()
)  # see `fitted_on`
_UNSET = object()
IGNORED_BY_FIT = "model.fit(x, y) alone ignores"  # how the warning about settings of `fit` begins
_overridden: "weakref.WeakKeyDictionary[keras.Model, frozenset[str]]" = (
    weakref.WeakKeyDictionary()
)  # see `requested_settings`


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

    The model has its optimizer, loss and metrics compiled in. Batch size, epochs, augmentation, class weights,
    callbacks and the monitored metric are arguments of `fit`; `kzoo.fit_arguments(model, data)` returns them.

    Args:
        name: a preset's name, or a `Preset`. `tabular_fnn@1` is the first revision of that name.
        data: a data set from `kzoo.load_data`. Input shape, classes, columns, vocabulary, loss and metrics follow it as
            in `kzoo.train`, and schedules get their length.
        weights: None for random initialization. The name of packaged weights, such as "cifar10" (`kzoo show PRESET`
            lists them), or a run of this preset (also its `best.keras` or `last.keras`): the network is rebuilt as it
            was trained, in float32, and `kzoo.predict` takes raw inputs for it. Any other `.keras` or `.weights.h5`
            file, or a model, must have every weight of the network and compute the same. With `data`, the network
            follows the data and takes the weights that fit, as in `kzoo.train`.
        compile: False for a model that is not compiled.
        seed: seeds Python, NumPy and the backend before the weights are initialized.
        steps: total number of training steps. A schedule such as `"cosine"` needs it; without it, and without `data`,
            the learning rate is constant until `kzoo.fit_arguments` sets the schedule.
        overrides: any setting of the family's builder or of the training contract; `kzoo show PRESET` lists them.

    Raises:
        KzooError: unknown preset or override (with the nearest legal name), wrong type or range, data that does not
            fit, or weights that cannot be read, belong to another network, or contradict the overrides.

    Warns:
        KzooWarning: `overrides` has settings that `model.fit(x, y)` alone ignores, or `members`, which it trains as
            one; not if `compile=False`.

    Examples:
        >>> model = kzoo.build("digits_cnn", outputs=3, dropout=0.5)
        >>> model.input_shape, model.output_shape
        ((None, 8, 8, 1), (None, 3))

        A network that follows data, with the arguments with which `fit` trains like `kzoo.train`:

        >>> data = kzoo.load_data("churn.csv", target="churned")
        >>> model = kzoo.build("tabular_fnn", data=data, seed=0)
        >>> history = model.fit(**kzoo.fit_arguments(model, data, epochs=2), verbose=0)
    """
    preset = get_preset(name)
    config, training = resolve(preset, overrides)
    steps = None if steps is None else checked_count("steps", steps)
    if compile and "linear_probe" in overrides and training["linear_probe"]:
        raise KzooError(
            "needs data to fit the last layer. Use kzoo.train(NAME, weights=...).",
            argument="linear_probe",
            value=True,
        )
    if isinstance(weights, str | os.PathLike):
        import_module("kzoo.zoo.weights").check_weights(weights, preset.name)
    task = preset.task
    notes = []
    if data is not None:
        config, training, notes = import_module("kzoo.training.adapt").adapt_build(
            preset, config, training, set(overrides), data
        )
        task = data.task
        steps = steps or steps_of(training, len(data.train))
    if ignored_by_fit := _ignored_by_fit(overrides, training, steps) if compile else ():
        notes.append(
            f"{IGNORED_BY_FIT} {' and '.join(ignored_by_fit)}. Use kzoo.fit_arguments(model, data) or kzoo.train."
        )
    if compile and (precision := training["precision"]) != "auto" and "precision" in overrides:
        notes.append(
            f"kzoo.build ignores precision={precision!r}. Use kzoo.train({preset.name!r}), or call "
            f"keras.config.set_dtype_policy({precision!r}) before kzoo.build."
        )
    if compile and config.get("members"):
        notes.append(
            "model.fit(x, y) trains the mean of the members; kzoo.train trains each of them separately."
        )
    if notes:
        warn(" ".join(notes))
    if weights is not None and data is None:
        model = _with_weights(preset, weights, overrides, compile=compile, seed=seed, steps=steps)
        _overridden[model] = frozenset(overrides)
        return model
    spec = dict(
        preset=preset.name,
        revision=preset.revision,
        family=preset.family,
        task=task,
        config=config,
        training=training,
    )
    model = rebuild(spec | dict(seed=seed), compile=compile, steps=steps)
    _overridden[model] = frozenset(overrides)
    if data is not None:
        initial_weights = import_module("kzoo.training.initial_weights")
        initial_weights.initialize_from_data(model, data)
        if weights is not None:
            spec = import_module("kzoo.problems.stored_types").Spec.read(_specs[model])
            if weight_notes := initial_weights.load_initial_weights(weights, model, spec, data)[1:]:
                warn(" ".join(weight_notes))
    return model


def _with_weights(
    preset: Preset,
    weights: "Weights",
    overrides: Overrides,
    *,
    compile: bool,
    seed: int | None,
    steps: int | None,
) -> "keras.Model":
    """Return a preset's network with loaded weights (see `build`)."""
    model, spec = import_module("kzoo.training.initial_weights").build_with_weights(
        preset, weights, overrides
    )
    if seed is not None:
        import_module("keras").utils.set_random_seed(checked_seed("seed", seed))
    if compile:
        contract = import_module("kzoo.zoo.contract")
        contract.compile_model(
            model, task=spec["task"], config=spec["config"], training=spec["training"], steps=steps
        )
    _specs[model] = spec | dict(seed=seed)
    return model


def steps_of(training: TrainingSettings, examples: int) -> int:
    """Return the number of steps of a whole training, which is the length of its schedule."""
    return steps_of_epoch(training, examples) * training["epochs"]


def steps_of_epoch(training: TrainingSettings, examples: int) -> int:
    """Return the number of steps of an epoch, at most `max_steps`."""
    steps = math.ceil(examples / training["batch_size"])
    return min(steps, training.get("max_steps") or steps)


def _ignored_by_fit(
    overrides: Overrides, training: TrainingSettings, steps: int | None
) -> list[str]:
    """Return the names of active overrides that a compiled model does not hold and `fit` alone ignores."""
    names = [
        name for name in overrides if name in OF_FIT and training[name] not in (None, (), False)
    ]
    # no arguments of `fit` either
    names = [name for name in names if name not in ("precision", "linear_probe")]
    if steps is None or training["schedule"] == "plateau":
        names += [
            n
            for n in ("schedule", "warmup")
            if n in overrides and training[n] not in ("constant", 0.0)
        ]
    return names


def rebuild(spec: JsonObject, *, compile: bool = True, steps: int | None = None) -> "keras.Model":
    """Build a model from a specification (see `spec_of`); the preset itself may have changed or be gone."""
    keras = import_module("keras")
    if spec["seed"] is not None:
        keras.utils.set_random_seed(checked_seed("seed", spec["seed"]))
    config = closed(builder_of(spec["family"]).defaults | checked(spec["config"]))
    _check_names(spec, config)
    builder, fixed = family_builder(spec["family"])
    try:
        model = builder(name=spec["preset"].partition("@")[0], **fixed, **config)
        if compile:
            contract = import_module("kzoo.zoo.contract")
            contract.compile_model(
                model, task=spec["task"], config=config, training=spec["training"], steps=steps
            )
    except KzooError:
        raise
    except Exception as error:
        if not isinstance(error, ValueError) and not is_out_of_memory(error):
            raise
        reason = (
            "not enough memory for its weights" if is_out_of_memory(error) else first_line(error)
        )
        raise KzooError(f"Cannot build {spec['preset']!r}: {reason}.") from error
    config = {
        name: value
        for name, value in config.items()
        if value is not None or name not in STORED_IF_SET
    }
    _specs[model] = dict(spec) | dict(config=config, kzoo=__version__)
    return model


def _check_names(spec: JsonObject, config: Config) -> None:
    """Raise `KzooError` if the config has an unknown setting or lacks a required one."""
    takes = builder_of(spec["family"]).takes
    for name in sorted(set(config) - set(takes)):
        raise KzooError(
            f"Cannot build {spec['preset']!r}: its family has no setting {name!r}. {hint(name, takes)}".strip()
        )
    for name in takes:
        if name not in config:
            raise KzooError(f"Cannot build {spec['preset']!r}: its config lacks {name!r}.")


def family_builder(family: str) -> tuple[Callable[..., "keras.Model"], dict[str, Any]]:
    """Return a family's builder and the arguments that the family fixes."""
    module, fixed = FAMILIES[family]
    return import_module(module).build, fixed


def resolve(preset: Preset, overrides: Overrides) -> tuple[JsonObject, JsonObject]:
    """Merge overrides into a preset's config and training contract, checking names, types, ranges and effect."""
    config, training = dict(preset.config), dict(preset.training)
    takes = builder_of(preset.family).takes
    for name in overrides:
        if (
            name not in takes
            and name not in TRAINING
            and name not in config
            and name not in training
        ):
            raise KzooError(
                _unknown_override(preset, name), argument=name, value=overrides[name], complete=True
            )
    for name, value in checked(overrides).items():
        (config if name in config or name in takes else training)[name] = value
    preset_settings = preset.config | preset.training
    settings = config | training
    defaults = defaults_of(preset.family)
    changed = [
        n
        for n in overrides
        if settings[n] not in (preset_settings.get(n, _UNSET), defaults.get(n, _UNSET))
    ]
    # A preset's own unused settings are for other tasks of its kind of input.
    unused_in_preset = unused_names(preset_settings, preset.family, preset.task, preset.config)
    for name, why in unused_names(changed, preset.family, preset.task, config).items():
        if name not in unused_in_preset:
            raise KzooError(
                f"{name} has no effect on {preset.name}: {why}.",
                argument=name,
                value=overrides[name],
                complete=True,
            )
    config, training = completed(preset.family, preset.task, config, training)
    if overrides.get("schedule") == "onecycle" and "warmup" not in overrides:
        training["warmup"] = 0.3  # the preset's few per cent belong to its own schedule
    if "labels" not in overrides and training.get("labels") == "onehot" and config["outputs"] == 1:
        training["labels"] = "integer"  # the preset's one-hot labels are for several outputs
    _resolve_clipping(training, overrides)
    _reset_optimizer_settings(training, overrides)
    if "epochs" in overrides:  # an explicit number of epochs is the whole length
        if "min_steps" in overrides and (min_steps := training["min_steps"]):
            epochs = training["epochs"]
            raise KzooError(
                f"and epochs={epochs} both set the length of training. Remove one.",
                argument="min_steps",
                value=min_steps,
            )
        training["min_steps"] = 0
    return config, training


def _resolve_clipping(training: JsonObject, overrides: Overrides) -> None:
    """Replace the preset's way of clipping with the requested one."""
    requested = [name for name in CLIPPING if overrides.get(name) is not None]
    training |= {name: None for name in CLIPPING if requested and name not in requested}
    active = [name for name in CLIPPING if training[name] is not None]
    if len(active) > 1:
        values = " and ".join(f"{name}={training[name]:g}" for name in active)
        raise KzooError(
            f"{values} cannot be combined: only one kind of gradient clipping is possible. Keep one.",
            argument=active[-1],
            value=training[active[-1]],
            complete=True,
        )


def _reset_optimizer_settings(training: JsonObject, overrides: Overrides) -> None:
    """Reset settings that only the preset's optimizer has when another one is chosen.

    Raises:
        KzooError: such a setting was requested.
    """
    optimizer = training["optimizer"]
    for name, optimizers in (("momentum", ("momentum",)), ("norm_bias_rate", SGD)):
        if optimizer in optimizers:
            continue
        if overrides.get(name, TRAINING[name].default) != TRAINING[name].default:
            raise KzooError(
                f"needs optimizer={' or '.join(map(repr, optimizers))}, not {optimizer!r}.",
                argument=name,
                value=overrides[name],
            )
        training[name] = TRAINING[name].default


@short_errors
def spec_of(thing: "str | os.PathLike[str] | keras.Model") -> JsonObject:
    """Return the specification of a run, an export, the path of either, or a model that kzoo built in this process.

    Args:
        thing: a `Run`, an `ExportedModel`, the path of one, or a `keras.Model`.

    Returns:
        preset and its revision, family, task, config (fully resolved), training, seed and kzoo's version.

    Raises:
        KzooError: it was not made by kzoo.

    Examples:
        >>> spec = kzoo.spec_of(kzoo.build("iris_fnn", dropout=0.1))
        >>> spec["preset"], spec["config"]["dropout"], spec["config"]["outputs"]
        ('iris_fnn', 0.1, 3)
    """
    config = getattr(thing, "config", None)
    if isinstance(config, Mapping) and "spec" in config:
        return config["spec"]
    if isinstance(thing, str) or hasattr(thing, "__fspath__"):
        for name in ("config.json", "kzoo.json"):
            try:
                return read_json(Path(thing) / name)["spec"]
            except (KzooError, OSError, ValueError, KeyError, TypeError):
                continue
        raise KzooError(
            f"{str(thing)!r} is not the folder of a run or export. kzoo.train and kzoo.export write one."
        )
    try:
        return _specs[thing]
    except (KeyError, TypeError):
        raise KzooError(
            f"{thing!r} has no specification. Pass a run, or a model that kzoo.build made in this process."
        ) from None


def requested_settings(model: "keras.Model") -> frozenset[str]:
    """Return the names of the overrides that `build` got for a model; empty if `build` did not make it."""
    return _overridden.get(model, frozenset())


def fitted_on(model: "keras.Model") -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return the data of `kzoo.fit_arguments` for a model: a run's `config.json` and its preprocessing; or None."""
    return _fitted_on.get(model)


def remember_data(model: "keras.Model", config: JsonObject, preprocessing: JsonObject) -> None:
    """Store for `fitted_on` what a model in memory is fitted on."""
    _fitted_on[model] = config, preprocessing


def built_models() -> "list[keras.Model]":
    """Return the models that kzoo built in this process and that are still referenced."""
    return list(_specs)


def settings_of(preset: Preset, config: Config, training: TrainingSettings) -> list[str]:
    """Return the names of the settings with an effect on a preset, in the order of their declaration."""
    optional = [name for name, setting in TRAINING.items() if setting.optional]
    names = [
        n
        for n in (*builder_of(preset.family).takes, *TRAINING)
        if n in config or n in training or n in optional
    ]
    useless = unused_names(names, preset.family, preset.task, config)
    return [name for name in names if name not in useless]


def meaning_of(name: str, family: str | None) -> str:
    """Return the short description of a setting, from the family's builder or the training contract."""
    if name in TRAINING:
        return TRAINING[name].meaning
    return (
        builder_of(family).meanings.get(name, "")
        if family is not None and family in FAMILIES
        else ""
    )


def _unknown_override(preset: Preset, name: str) -> str:
    legal = settings_of(preset, preset.config, preset.training)
    synonym = SYNONYMS.get(name.lower())
    if synonym in legal:
        guess = f"Did you mean {synonym!r}? "
    elif name in ARGUMENTS:
        families = [family for family in FAMILIES if name in builder_of(family).takes]
        owners = f", which is a setting of {listed(families)}" if families else ""
        guess = f"{preset.name} does not have it{owners}. "
    else:
        longer = [f"Did you mean {other!r}? " for other in FLAGS if other.startswith(f"{name}_")]
        guess = longer[0] if longer else hint(name, [*legal, *FLAGS])
    return (
        f"Unknown argument {name!r} for {preset.name}. {guess}It takes: {', '.join(sorted(legal))}."
    )


def preset_of(spec: JsonObject) -> Preset:
    """Return the preset that a specification describes; the one it was made from may have changed.

    Without a revision it is the first: it was made before revisions existed.
    """
    fields = {name: spec[name] for name in ("family", "task", "config", "training")}
    return Preset(name=spec["preset"], summary="", revision=spec.get("revision") or 1, **fields)


def with_settings(preset: Preset, config: Config, training: TrainingSettings) -> Preset:
    """Return a copy of a preset with a resolved config and training contract."""
    return replace(preset, config=dict(config), training=dict(training))


assert not set(CONFIG) & set(TRAINING), "one namespace: a name means one thing"
