"""Presets in a TOML file: reading, writing, and the words that name one. Standard library only.

    [churn_fnn]
    base = "tabular_fnn"                # or family = "fnn" and task = "tabular_classification"
    summary = "Who leaves next month."
    config = { units = [256, 64], norm = "none" }
    training = { epochs = 30 }

TOML has no None: it is written `"none"`, as `--set` does. With `base`, what is not said is as in that preset, but for
`min_steps`, which `epochs` replaces.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from importlib import import_module
from typing import Any

from kzoo.registry.arguments import CONFIG, TRAINING
from kzoo.registry.family import FAMILIES
from kzoo.registry.preset import Preset
from kzoo.utils.errors import KzooError
from kzoo.utils.files import path_of
from kzoo.utils.formatting import hint

_FIELDS = tuple(f.name for f in fields(Preset) if f.name != "name")
_WORD = re.compile(r"(?P<path>.+\.toml)(:(?P<name>[^/\\:]+))?")


def is_file_word(word: object) -> bool:
    """Say whether a word means a preset in a file: `mine.toml`, or `mine.toml:churn_fnn`."""
    return isinstance(word, str) and _WORD.fullmatch(word) is not None


def parts_of_word(word: str) -> tuple[str, str | None]:
    """Return the path and the name of a word such as `mine.toml:churn_fnn`; the name is None where it says none."""
    found: Any = _WORD.fullmatch(word)
    return found.group("path", "name")


def read_presets(path: str | os.PathLike[str], find: Callable[[str], Preset]) -> list[Preset]:
    """Return the presets of a TOML file, without registering them.

    Args:
        path: the file.
        find: returns the preset that a `base =` names, such as `get_preset`.

    Raises:
        KzooError: no such file, no TOML, or a preset that cannot be, with the name that is wrong.
    """
    tomllib = import_module("tomllib")  # most lists and builds read no file
    path = path_of(path, "a preset file")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KzooError(f"{path}: no such file. A preset file is TOML, see kzoo.preset_to_toml.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise KzooError(f"{path} cannot be read: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise KzooError(f"{path} is no TOML: {error}.") from None
    except RecursionError:
        raise KzooError(f"{path} is nested too deeply for a preset file.") from None
    if not tables:
        raise KzooError(f"{path} has no preset: each is a table with its name, such as [churn_fnn].")
    try:
        return [_preset(name, table, find) for name, table in tables.items()]
    except KzooError as error:
        raise KzooError(f"{path}: {error}") from None


def _preset(name: str, table: object, find: Callable[[str], Preset]) -> Preset:
    if not isinstance(table, Mapping):
        raise KzooError(f"{name!r} stands outside of a preset: each is a table with its name, such as [churn_fnn].")
    for field in table:
        if field not in (*_FIELDS, "base"):
            raise KzooError(
                f"[{name}] has no field {field!r}. {hint(field, _FIELDS)}It takes: base, {', '.join(_FIELDS)}."
            )
    given = {field: _read(value) for field, value in table.items()}
    for part in ("config", "training"):
        if not isinstance(given.get(part, {}), Mapping):
            raise KzooError(f"[{name}] {part} must be a table, such as [{name}.{part}].")
    base = given.pop("base", None)
    if base is not None:
        return _from_base(name, find(base), given)
    if missing := [field for field in ("family", "task") if field not in given]:
        raise KzooError(f"[{name}] says no {missing[0]}: add it, or base = a preset to start from.")
    given = dict(summary="", config={}, training={}) | given
    _check_names(name, given["family"], given["config"], given["training"])
    return Preset(name=name, **given)


def _from_base(name: str, base: Preset, given: dict[str, Any]) -> Preset:
    if given.get("family", base.family) != base.family:
        raise KzooError(f"[{name}] family is that of its base {base.name}: {base.family!r}. Leave it out.")
    _check_names(name, base.family, given.get("config", {}), given.get("training", {}))
    config = base.config | given.get("config", {})
    asked = given.get("training", {})
    # Epochs that a file says are the whole length, as epochs= in a call are.
    training = base.training | ({"min_steps": 0} if "epochs" in asked else {}) | asked
    return replace(base, **dict(name=name, params=None, revision=1) | given | dict(config=config, training=training))


def _check_names(name: str, family: str, config: Mapping[str, Any], training: Mapping[str, Any]) -> None:
    """Refuse names that no family of kzoo's has; what a family of yours takes is for it to say."""
    own = FAMILIES.get(family, ("",))[0].startswith("kzoo.")
    for part, values, legal in (("config", config, CONFIG if own else {}), ("training", training, TRAINING)):
        for setting in values:
            if legal and setting not in legal:
                other = "training" if part == "config" and setting in TRAINING else "config"
                guess = f"It belongs to {other}. " if setting in CONFIG | TRAINING else hint(setting, legal)
                raise KzooError(f"[{name}] Unknown setting {setting!r} in {part}. {guess}See: kzoo show PRESET.")


def _read(value: Any) -> Any:
    """Turn what TOML gives into what a preset holds: tuples, and None for "none"."""
    if isinstance(value, list):
        return tuple(map(_read, value))
    if isinstance(value, Mapping):
        return {key: _read(inner) for key, inner in value.items()}
    return None if value == "none" else value


def preset_to_toml(preset: Preset) -> str:
    """Return a preset as the TOML text that `load_presets` reads back to an equal one.

    Raises:
        KzooError: no `Preset`, or a value that TOML cannot hold.
    """
    if not isinstance(preset, Preset):
        raise KzooError(f"preset={preset!r} must be a Preset: kzoo.get_preset(NAME) returns one.")
    lines = [f"[{_key(preset.name)}]"]
    for field in ("family", "task", "summary", "dataset", "params", "reference"):
        if (value := getattr(preset, field)) is not None:
            lines.append(f"{field} = {_value(value)}")
    if preset.revision != 1:
        lines.append(f"revision = {preset.revision}")
    for part in ("config", "training"):
        lines += ["", f"[{_key(preset.name)}.{part}]"]
        lines += [f"{_key(name)} = {_value(value)}" for name, value in getattr(preset, part).items()]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if value is None:
        return '"none"'
    if value == "none":
        raise KzooError("The word 'none' cannot be written to a preset file: there it means None.")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + "}"
    return "[" + ", ".join(map(_value, value)) + "]"
