"""Presets in TOML files: reading, writing, and references such as `mine.toml:churn_fnn`. Standard library only.

    [churn_fnn]
    base = "tabular_fnn"                # or family = "fnn" and task = "tabular_classification"
    summary = "Which customers leave next month."
    config = { units = [256, 64], norm = "none" }
    training = { epochs = 30 }

TOML has no None: it is written `"none"`, as in `--set`. With `base`, missing settings are those of that preset, except
`min_steps`, which `epochs` replaces.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from importlib import import_module
from typing import Any

from kzoo.problems.stored_types import Config, TrainingSettings
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, path_of
from kzoo.utils.formatting import hint
from kzoo.zoo.registry.arguments import CONFIG, TRAINING, Setting
from kzoo.zoo.registry.family import FAMILIES
from kzoo.zoo.registry.preset import Preset

_FIELDS = tuple(f.name for f in fields(Preset) if f.name != "name")
_WORD = re.compile(r"(?P<path>.+\.toml)(:(?P<name>[^/\\:]+))?")


def is_file_word(word: object) -> bool:
    """Return whether a string names a preset in a file: `mine.toml`, or `mine.toml:churn_fnn`."""
    return isinstance(word, str) and _WORD.fullmatch(word) is not None


def parts_of_word(word: str) -> tuple[str, str | None]:
    """Return path and preset name of a string such as `mine.toml:churn_fnn`; the name is None if missing."""
    match: Any = _WORD.fullmatch(word)
    return match.group("path", "name")


def read_presets(path: str | os.PathLike[str], find: Callable[[str], Preset]) -> list[Preset]:
    """Return the presets of a TOML file, without registering them.

    Args:
        path: the file.
        find: returns the preset that a `base =` names, such as `get_preset`.

    Raises:
        KzooError: the file is missing or not TOML, or a preset is invalid; the message names the wrong setting.
    """
    tomllib = import_module("tomllib")  # most calls read no file
    path = path_of(path, "a preset file")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KzooError(
            f"{path}: no such file. A preset file is TOML, see kzoo.preset_to_toml."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise KzooError(f"{path} cannot be read: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise KzooError(f"{path} is not valid TOML: {error}.") from None
    except RecursionError:
        raise KzooError(f"{path} is nested too deeply.") from None
    if not tables:
        raise KzooError(
            f"{path} has no presets. Add a table with the name of a preset, such as [churn_fnn]."
        )
    try:
        return [_preset(name, table, find) for name, table in tables.items()]
    except KzooError as error:
        raise error.within(f"{path}: ") from None


def _preset(name: str, table: object, find: Callable[[str], Preset]) -> Preset:
    if not isinstance(table, Mapping):
        raise KzooError(
            f"{name!r} is not in a preset's table. Move it below a preset's name, such as [churn_fnn]."
        )
    for field in table:
        if field not in (*_FIELDS, "base"):
            raise KzooError(
                f"[{name}] has no field {field!r}. {hint(field, _FIELDS)}Use: base, {', '.join(_FIELDS)}."
            )
    settings = {field: _read(value) for field, value in table.items()}
    for part in ("config", "training"):
        if not isinstance(settings.get(part, {}), Mapping):
            raise KzooError(f"[{name}] {part} must be a table, such as [{name}.{part}].")
    base = settings.pop("base", None)
    if base is not None:
        return _from_base(name, find(base), settings)
    if missing := [field for field in ("family", "task") if field not in settings]:
        raise KzooError(f"[{name}] has no {missing[0]}. Add it, or base = 'PRESET'.")
    settings = dict(summary="", config={}, training={}) | settings
    _check_names(name, settings["family"], settings["config"], settings["training"])
    return Preset(name=name, **settings)


def _from_base(name: str, base: Preset, settings: JsonObject) -> Preset:
    if settings.get("family", base.family) != base.family:
        raise KzooError(
            f"[{name}] family must be that of base {base.name}, {base.family!r}. Remove it."
        )
    _check_names(name, base.family, settings.get("config", {}), settings.get("training", {}))
    config = base.config | settings.get("config", {})
    training_settings = settings.get("training", {})
    # Epochs set in a file are the whole length of training, as with epochs= in a call.
    training = (
        base.training
        | ({"min_steps": 0} if "epochs" in training_settings else {})
        | training_settings
    )
    return replace(
        base,
        **dict(name=name, params=None, revision=1)
        | settings
        | dict(config=config, training=training),
    )


def _check_names(name: str, family: str, config: Config, training: TrainingSettings) -> None:
    """Raise `KzooError` for settings that no kzoo family has; the builder of a custom family checks its own."""
    module, *_ = FAMILIES.get(family, ("",))
    is_builtin = module.startswith("kzoo.")
    for part, values, legal in (
        ("config", config, CONFIG if is_builtin else {}),
        ("training", training, TRAINING),
    ):
        for setting in values:
            if legal and setting not in legal:  # `legal` is empty for the config of a custom family
                other_part = "training" if part == "config" and setting in TRAINING else "config"
                hint_text = (
                    f"Move it to {other_part}. "
                    if setting in CONFIG | TRAINING
                    else hint(setting, legal)
                )
                raise KzooError(
                    f"[{name}] Unknown setting {setting!r} in {part}. {hint_text}See: kzoo show PRESET."
                )


def _read(value: Setting) -> Setting:
    """Convert TOML values to a preset's: lists to tuples, and "none" to None."""
    if isinstance(value, list):
        return tuple(map(_read, value))
    if isinstance(value, Mapping):
        return {key: _read(inner) for key, inner in value.items()}
    return None if value == "none" else value


def preset_to_toml(preset: Preset) -> str:
    """Return a preset as TOML (https://toml.io); `load_presets` reads it back to an equal one.

    Args:
        preset: a `Preset`.

    Raises:
        KzooError: not a `Preset`, or a value that TOML cannot hold.

    Examples:
        >>> text = kzoo.preset_to_toml(kzoo.get_preset("iris_fnn"))
        >>> text.splitlines()[:3]
        ['[iris_fnn]', 'family = "fnn"', 'task = "tabular_classification"']
    """
    if not isinstance(preset, Preset):
        raise KzooError(
            "must be a Preset, as returned by kzoo.get_preset(NAME).",
            argument="preset",
            value=preset,
        )
    lines = [f"[{_key(preset.name)}]"]
    for field in ("family", "task", "summary", "dataset", "params", "reference"):
        if (value := getattr(preset, field)) is not None:
            lines.append(f"{field} = {_value(value)}")
    if preset.revision != 1:
        lines.append(f"revision = {preset.revision}")
    for part in ("config", "training"):
        lines += ["", f"[{_key(preset.name)}.{part}]"]
        lines += [
            f"{_key(name)} = {_value(value)}" for name, value in getattr(preset, part).items()
        ]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Setting) -> str:
    if value is None:
        return '"none"'
    if value == "none":
        raise KzooError(
            "The string 'none' cannot be written to a preset file, where it means None."
        )
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + "}"
    return "[" + ", ".join(map(_value, value)) + "]"
