"""Settings and shapes as text."""

from collections.abc import Sequence

from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.zoo.registry import get_preset, meaning_of

_MAX_LENGTH = 60


def format_setting(value: object) -> str:
    """Return a setting as the command line takes it, shortened if it is long."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        text = ", ".join(format_setting(element) for element in value) or "()"
    else:
        text = f"{value:.7g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _MAX_LENGTH else text[: _MAX_LENGTH - 1] + "…"


def format_shape(shape: Sequence[int | None] | None) -> str:
    """Return a shape without its batch axis as text, such as 8 × 8 × 32; "several" for None (several outputs)."""
    if shape is None:
        return "several"
    return " × ".join("?" if size is None else str(size) for size in shape) or "1"


def settings_of(spec: JsonObject) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Return the tables of settings of a specification: a title, and the name, value and meaning of each setting."""
    return [
        (
            title,
            [
                (name, format_setting(value), meaning_of(name, spec.get("family")))
                for name, value in spec[part].items()
            ],
        )
        for title, part in (("Network", "config"), ("Training", "training"))
        if spec.get(part)
    ]


def summary_of(spec: JsonObject) -> str:
    """Return the summary of the preset of a specification; empty for other models and unknown presets."""
    if spec["family"] is None:  # a custom model or an ensemble, which may have the name of a preset
        return ""
    try:
        return get_preset(spec["preset"]).summary
    except KzooError:  # a preset registered by a module that is not imported
        return ""
