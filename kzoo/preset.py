"""`Preset`: a named model as plain data. Standard library only."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from kzoo.arguments import ARGUMENTS
from kzoo.errors import KzooError
from kzoo.words import hint

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


_NAME = re.compile(r"([A-Za-z0-9_]+\.)?[A-Za-z0-9_]+")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named model as plain data: everything in it survives `json.dumps`.

    Args:
        name: `<task or data>_<architecture>[_<size>]`; of a package, with `<package>.` before.
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
        if not is_preset_name(self.name):
            raise KzooError(
                f"Preset name {self.name!r} must consist of letters, digits and underscores; a package's presets have "
                "its name and a dot before."
            )
        choose("family", self.family, FAMILIES)
        choose("task", self.task, TASKS)
        overlap = sorted(set(self.config) & set(self.training))
        if overlap:
            raise KzooError(f"Preset {self.name!r} names {overlap[0]!r} in both config and training; keep one.")
        for part in ("config", "training"):
            values = {name: checked(name, value) for name, value in getattr(self, part).items()}
            object.__setattr__(self, part, values)
        try:
            json.dumps([self.config, self.training])
        except TypeError as error:
            raise KzooError(f"Preset {self.name!r} must be plain data: {error}.") from None


def is_preset_name(name) -> bool:
    """Say whether this can be a preset's name: letters, digits and underscores, with `<package>.` before or not."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def checked(name, value):
    """Return a setting's value (sequences as tuples), or raise `KzooError` with the rule it breaks."""
    if name in ARGUMENTS:
        return ARGUMENTS[name].check(name, value)
    return tuple(value) if isinstance(value, list) else value


def choose(what, value, legal):
    """Raise `KzooError` unless `value` is one of the legal words, with the nearest one."""
    if value not in legal:
        raise KzooError(f"Unknown {what} {value!r}. {hint(value, legal)}It is one of: {', '.join(legal)}.")
