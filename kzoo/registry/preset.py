"""`Preset`: a named model as plain data. Standard library only."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kzoo.kinds import STEPS, kind
from kzoo.registry.arguments import TRAINING, checked, unmet
from kzoo.registry.family import FAMILIES, builder_of
from kzoo.tasks import NAMES as TASKS
from kzoo.tasks import problem
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint, shown

_NAME = re.compile(r"([A-Za-z0-9_]+\.)?[A-Za-z0-9_]+(@[1-9][0-9]*)?")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named model as plain data: everything in it survives `json.dumps`.

    It is written with what makes it this preset. What is not said gets its default: in `config` the builder's, in
    `training` the contract's, but for settings that have no use beside the others (`Argument.needs`).

    Args:
        name: `<task or data>_<architecture>[_<size>]`; of a package, with `<package>.` before. `NAME@REVISION` is what
            NAME stood for before it got better.
        family: one of `kzoo.registry.family.FAMILIES`.
        task: what it answers, by its public name, such as "image_classification" (see `kzoo.tasks`).
        summary: one line.
        config: arguments of the family's builder.
        training: the training contract: optimizer, loss, schedule, batch size, epochs, ...
        dataset: name of the default data set (see `kzoo.load_data`).
        params: number of parameters of the network as listed, checked by a test.
        reference: paper or page.
        revision: which one of this name it is. One that was published does not change: what is better is the next.

    Raises:
        KzooError: an unknown family, task or argument, or a value that is not plain data.
    """

    name: str
    family: str
    task: str
    summary: str
    config: dict[str, Any]
    training: dict[str, Any]
    dataset: str | None = None
    params: int | None = None
    reference: str = ""
    revision: int = 1

    def __repr__(self) -> str:
        size = "" if self.params is None else f", {self.params:,} parameters"
        return f"<Preset {self.name}: {self.family}, {self.task}{size}. {self.summary}>"

    def __post_init__(self) -> None:
        if not is_preset_name(self.name):
            raise KzooError(
                f"Preset name {self.name!r} must consist of letters, digits and underscores; a package's presets have "
                "its name and a dot before."
            )
        if isinstance(self.revision, bool) or not isinstance(self.revision, int) or self.revision < 1:
            raise KzooError(f"Preset {self.name!r}: revision={self.revision!r} must be a whole number, 1 or more.")
        if said := self.name.partition("@")[2]:
            object.__setattr__(self, "revision", int(said))
        choose("family", self.family, FAMILIES)
        choose("task", self.task, TASKS)
        for part in ("config", "training"):
            if not isinstance(getattr(self, part), Mapping):
                raise KzooError(
                    f"Preset {self.name!r}: {part}={shown(getattr(self, part))} must be a dict of settings."
                )
        overlap = sorted(set(self.config) & set(self.training))
        if overlap:
            raise KzooError(f"Preset {self.name!r} names {overlap[0]!r} in both config and training; keep one.")
        parts = checked(self.config), checked(self.training)
        for part, values in zip(("config", "training"), completed(self.family, self.task, *parts), strict=True):
            object.__setattr__(self, part, values)
        try:
            json.dumps([self.config, self.training])
        except TypeError as error:
            raise KzooError(f"Preset {self.name!r} must be plain data: {error}.") from None


def completed(
    family: str, task: str, config: Mapping[str, Any], training: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return config and training with the default of every setting that has a use beside the others and is not said.

    Raises:
        KzooError: an `input_shape` that leaves open what is no number of steps of a series.
    """
    builder = builder_of(family)
    defaults = {name: argument.default for name, argument in TRAINING.items()}
    useless = unused_names([*builder.defaults, *defaults], family, task, config)
    config, training = (
        {
            name: given[name] if name in given else default[name]
            for name in dict.fromkeys([*order, *given])
            if name in given or (name in default and name not in useless)
        }
        for given, default, order in ((config, builder.defaults, builder.takes), (training, defaults, TRAINING))
    )
    shape: Any = config.get("input_shape") or ()
    if None in shape and not (len(shape) > 1 and _is_series((builder.defaults | config).get("inputs"))):
        raise KzooError(
            f"input_shape={shape!r} leaves open what is not the steps of a series, (steps, features): give a number."
        )
    return config, training


def _is_series(inputs: str | None) -> bool:
    return inputs is not None and kind(inputs).facts >= {"columns", "steps"}


def closed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config that a network can be built of: with `STEPS` where no data has said yet how long windows are."""
    shape = config.get("input_shape") or ()
    return dict(config) | ({"input_shape": (STEPS, *shape[1:])} if None in shape else {})


def unused_names(names: Iterable[str], family: str, task: str, config: Mapping[str, Any]) -> dict[str, str]:
    """Return name -> why it has no use, for those of the names that have none beside these settings.

    What uses hang on is the whole config, and "answers", what the task asks for.
    """
    builder, answers = builder_of(family), "values" if "values" in problem(task).facts else "classes"
    return unmet(names, dict(builder.defaults) | dict(config) | {"answers": answers}, builder.needs)


def defaults_of(family: str) -> dict[str, Any]:
    """Return the defaults of the settings that have one: those of a family's networks, and those of training."""
    return builder_of(family).defaults | {name: argument.default for name, argument in TRAINING.items()}


def unused_settings(preset: Preset) -> dict[str, str]:
    """Return name -> why it has no use, for the settings in a preset that have none and are not the default."""
    default, settings = defaults_of(preset.family), preset.config | preset.training
    said = [name for name, value in settings.items() if value not in (None, default.get(name))]
    return unused_names(said, preset.family, preset.task, preset.config)


def is_preset_name(name: object) -> bool:
    """Say whether this can be a preset's name: letters, digits and underscores, with `<package>.` before or not.

    An earlier revision has `@` and its number behind.
    """
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def choose(what: str, value: str, legal: Collection[str]) -> None:
    """Raise `KzooError` unless `value` is one of the legal words, with the nearest one."""
    if not isinstance(value, str) or value not in legal:
        raise KzooError(f"Unknown {what} {value!r}. {hint(value, legal)}It is one of: {', '.join(legal)}.")
