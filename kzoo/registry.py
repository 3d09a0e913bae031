"""Names become models: `Preset`, `register`, `get_preset`, `list_presets`, `build`, `spec_of`.

Standard library only. Keras is imported inside `build`, by the name of the family's module.
"""

import inspect
import json
import pkgutil
import sys
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path

from kzoo import __version__
from kzoo.arguments import ARGUMENTS, CLIPPING, COMMON, CONFIG, SYNONYMS, TRAINING
from kzoo.errors import KzooError
from kzoo.files import read_json

# Family -> the module that builds it, and what it is told besides the config.
FAMILIES = {
    "fnn": ("kzoo.families.fnn", {}),
    "cnn": ("kzoo.families.cnn", {}),
    "rnn": ("kzoo.families.recurrent", {"cell": "rnn"}),
    "lstm": ("kzoo.families.recurrent", {"cell": "lstm"}),
    "gru": ("kzoo.families.recurrent", {"cell": "gru"}),
    "transformer": ("kzoo.families.transformer", {}),
}

TASKS = (
    "image_classification",
    "text_classification",
    "tabular_classification",
    "tabular_regression",
    "forecasting",
    "sequence_regression",
    "language_modeling",
)

INPUTS = {
    "rows": "raw table rows, float32: numeric columns first, then one integer code per category column",
    "image": "raw pixels 0..255, float32; the scaling is inside (rescale=False if you divide by 255)",
    "tokens": "token ids, int32: 0 is padding, 1 an unknown token",
    "series": "raw values, float32 (steps, columns), target columns first; the scaling is inside",
}


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named model as plain data: everything in it survives `json.dumps`.

    Args:
        name: `<task or data>_<architecture>[_<size>]`.
        family: one of `FAMILIES`.
        task: one of `TASKS`.
        summary: one line.
        config: arguments of the family's builder.
        training: the training contract: optimizer, loss, schedule, batch size, epochs, ...
        dataset: name of the default data set (see `kzoo.load_data`).
        params: number of parameters of the network as listed, checked by a test.
        reference: paper or page.

    Raises:
        KzooError: an unknown family, task or argument, or a value that is no plain data.
    """

    name: str
    family: str
    task: str
    summary: str
    config: Mapping
    training: Mapping
    dataset: str | None = None
    params: int | None = None
    reference: str = ""

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name.replace("_", "a").isalnum() or not self.name.isascii():
            raise KzooError(f"Preset name {self.name!r} must consist of letters, digits and underscores.")
        _choice("family", self.family, FAMILIES)
        _choice("task", self.task, TASKS)
        overlap = sorted(set(self.config) & set(self.training))
        if overlap:
            raise KzooError(f"Preset {self.name!r} names {overlap[0]!r} in both config and training; keep one.")
        for part in ("config", "training"):
            values = {name: _checked(name, value) for name, value in getattr(self, part).items()}
            object.__setattr__(self, part, values)
        try:
            json.dumps([self.config, self.training])
        except TypeError as error:
            raise KzooError(f"Preset {self.name!r} must be plain data: {error}.") from None


_presets: dict[str, Preset] = {}
_owners: dict[str, str] = {}
_specs = weakref.WeakKeyDictionary()  # model -> its specification
_catalogue = "unread"


def _read_catalogue():
    global _catalogue
    if _catalogue != "unread":
        return
    _catalogue = "being read"
    package = import_module("kzoo.presets")
    for module in pkgutil.iter_modules(package.__path__):
        import_module(f"kzoo.presets.{module.name}")
    _catalogue = "read"


def register(preset: Preset) -> Preset:
    """Add a preset to the zoo and return it.

    Raises:
        KzooError: the name is taken; the message names both owners.
    """
    _read_catalogue()
    owner = sys._getframe(1).f_globals.get("__name__", "?")
    if preset.name in _presets:
        raise KzooError(
            f"Preset {preset.name!r} of {owner} is already registered by {_owners[preset.name]}. Choose another name."
        )
    _presets[preset.name] = preset
    _owners[preset.name] = owner
    return preset


def get_preset(name: str) -> Preset:
    """Return a preset by name.

    Raises:
        KzooError: unknown name, with the nearest one.
    """
    _read_catalogue()
    if isinstance(name, Preset):
        return name
    if name not in _presets:
        raise KzooError(f"Unknown preset {name!r}. {hint(name, _presets)}See kzoo.list_presets().")
    return _presets[name]


def list_presets(
    pattern: str | Iterable[str] = "*",
    *,
    family: str | None = None,
    task: str | None = None,
    dataset: str | None = None,
    max_params: float | None = None,
    exclude: str | Iterable[str] = (),
) -> list[str]:
    """Return the sorted names of presets that match.

    Args:
        pattern: a glob such as `"cifar_*"`, or several.
        family, task, dataset: keep those only.
        max_params: keep presets of at most so many parameters.
        exclude: a glob, or several, to leave out.

    Raises:
        KzooError: a filter value that no preset can have, with the legal ones.
    """
    _read_catalogue()
    wanted, unwanted = ([p] if isinstance(p, str) else list(p) for p in (pattern, exclude))
    if family is not None:
        _choice("family", family, FAMILIES)
    if task is not None:
        _choice("task", task, TASKS)
    if dataset is not None:
        _choice("dataset", dataset, sorted({p.dataset for p in _presets.values() if p.dataset}))
    if max_params is not None and (isinstance(max_params, bool) or not isinstance(max_params, int | float)):
        raise KzooError(f"max_params={max_params!r} must be a number of parameters.")
    for glob in wanted:
        if not set("*?[") & set(glob) and glob not in _presets:
            get_preset(glob)  # a plain name that does not exist: say the nearest
    return sorted(
        p.name
        for p in _presets.values()
        if any(fnmatchcase(p.name, glob) for glob in wanted)
        and not any(fnmatchcase(p.name, glob) for glob in unwanted)
        and family in (None, p.family)
        and task in (None, p.task)
        and dataset in (None, p.dataset)
        and (max_params is None or (p.params is not None and p.params <= max_params))
    )


def build(
    name: str | Preset,
    *,
    compile: bool = True,
    seed: int | None = None,
    steps: int | None = None,
    **overrides,
):
    """Build a preset's network: a functional `keras.Model`, compiled with the preset's training contract.

    Args:
        name: a preset's name, or a `Preset`.
        compile: False for a bare model.
        seed: seeds Python, NumPy and the backend before the weights are drawn.
        steps: total number of training steps. A schedule such as `"cosine"` needs it; without it the
            learning rate is constant. `kzoo.train` passes it for you.
        overrides: any name in the preset's `config` or `training`.

    Raises:
        KzooError: unknown preset or override, wrong type or range, with the nearest legal name.
    """
    preset = get_preset(name)
    config, training = resolve(preset, overrides)
    spec = dict(preset=preset.name, family=preset.family, task=preset.task, config=config, training=training)
    return rebuild(spec | dict(seed=seed), compile=compile, steps=steps)


def rebuild(spec: Mapping, *, compile: bool = True, steps: int | None = None):
    """Build from a specification (see `spec_of`): family and resolved config, whatever became of the preset."""
    keras = import_module("keras")
    if spec["seed"] is not None:
        keras.utils.set_random_seed(spec["seed"])
    builder, fixed = family_builder(spec["family"])
    defaults = {
        name: p.default
        for name, p in inspect.signature(builder).parameters.items()
        if name not in fixed and name != "name" and p.default is not p.empty
    }
    config = {k: tuple(v) if isinstance(v, list) else v for k, v in (defaults | dict(spec["config"])).items()}
    try:
        model = builder(name=spec["preset"], **fixed, **config)
        if compile:
            contract = import_module("kzoo.contract")
            contract.compile_model(model, task=spec["task"], config=config, training=spec["training"], steps=steps)
    except KzooError:
        raise
    except ValueError as error:
        raise KzooError(f"Cannot build {spec['preset']!r}: {_first_line(error)}") from error
    _specs[model] = dict(spec) | dict(config=config, kzoo=__version__)
    return model


def family_builder(family: str):
    """Return a family's builder and the arguments that the family itself fixes."""
    module, fixed = FAMILIES[family]
    return import_module(module).build, fixed


def resolve(preset: Preset, overrides: Mapping) -> tuple[dict, dict]:
    """Merge overrides into a preset's config and training contract, checking names, types and ranges."""
    config, training = dict(preset.config), dict(preset.training)
    training |= {name: value for name, value in COMMON.items() if name not in training}
    for name, value in overrides.items():
        if name in config:
            config[name] = _checked(name, value)
        elif name in training:
            training[name] = _checked(name, value)
        else:
            raise KzooError(_unknown_override(preset, name))
    if overrides.get("schedule") == "onecycle" and "warmup" not in overrides:
        training["warmup"] = 0.3  # a preset's few per cent are for its own schedule
    _settle_clipping(training, overrides)
    return config, training


def _settle_clipping(training, overrides):
    """Let an asked way of clipping take the place of the preset's."""
    asked = [name for name in CLIPPING if overrides.get(name) is not None]
    training |= {name: None for name in CLIPPING if asked and name not in asked}
    given = [name for name in CLIPPING if training[name] is not None]
    if len(given) > 1:
        values = " and ".join(f"{name}={training[name]:g}" for name in given)
        raise KzooError(f"{values} exclude one another: gradients are clipped in one way. Keep one.")


def spec_of(thing) -> dict:
    """Return the specification of a run or a bundle, the path of one, or a model that kzoo built in this process.

    Returns:
        preset, family, task, config (fully resolved), training, seed and kzoo's version.

    Raises:
        KzooError: the object did not come from kzoo.
    """
    if isinstance(getattr(thing, "config", None), Mapping) and "spec" in thing.config:
        return thing.config["spec"]
    if isinstance(thing, str) or hasattr(thing, "__fspath__"):
        for name in ("config.json", "kzoo.json"):
            try:
                return read_json(Path(thing) / name)["spec"]
            except (OSError, ValueError, KeyError, TypeError):
                continue
        raise KzooError(f"{str(thing)!r} is not the folder of a run or a bundle: kzoo.train and kzoo.export write one.")
    try:
        return _specs[thing]
    except (KeyError, TypeError):
        raise KzooError(
            f"{thing!r} has no specification: pass a run, or a model that kzoo.build made in this process."
        ) from None


def hint(word, legal: Iterable[str]) -> str:
    """Return `"Did you mean 'x'? "`, or nothing when no legal word is near."""
    legal = list(legal)
    near = get_close_matches(str(word).lower(), legal, n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}? " if near else ""


def _unknown_override(preset, name):
    legal = list(dict.fromkeys([*preset.config, *preset.training, *COMMON]))
    synonym = SYNONYMS.get(name.lower())
    if synonym in legal:
        guess = f"Did you mean {synonym!r}? "
    elif name in ARGUMENTS:
        guess = f"{preset.name} has no use for it. "
    else:
        guess = hint(name, legal)
    return f"Unknown argument {name!r} for {preset.name}. {guess}It takes: {', '.join(sorted(legal))}."


def _checked(name, value):
    if name in ARGUMENTS:
        return ARGUMENTS[name].check(name, value)
    return tuple(value) if isinstance(value, list) else value


def _choice(what, value, legal):
    if value not in legal:
        raise KzooError(f"Unknown {what} {value!r}. {hint(value, legal)}It is one of: {', '.join(legal)}.")


def _first_line(error):
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def preset_of(spec: Mapping) -> Preset:
    """Return the preset that a specification describes, whatever became of the one it was made from."""
    fields = {name: spec[name] for name in ("family", "task", "config", "training")}
    return Preset(name=spec["preset"], summary="", **fields)


def with_settings(preset: Preset, config: Mapping, training: Mapping) -> Preset:
    """Return a copy of a preset with a resolved config and training contract."""
    return replace(preset, config=config, training=training)


assert not set(CONFIG) & set(TRAINING), "one namespace: a name means one thing"
