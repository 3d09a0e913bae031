"""`Preset`: a named model as plain data. Standard library only."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kzoo.problems.kinds import DEFAULT_PIECES, DEFAULT_STEPS, kind
from kzoo.problems.stored_types import Config, TrainingSettings
from kzoo.problems.tasks import NAMES as TASKS
from kzoo.problems.tasks import problem
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import hint, shown
from kzoo.zoo.registry.arguments import STORED_IF_SET, TRAINING, checked, unmet
from kzoo.zoo.registry.family import FAMILIES, builder_of

AUTO = "auto"  # instead of a preset's name: a preset is chosen for the data
_NAME = re.compile(r"([A-Za-z0-9_]+\.)?[A-Za-z0-9_]+(@[1-9][0-9]*)?")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named model as plain data: everything in it survives `json.dumps`.

    Only settings that differ from the defaults need to be stated. Missing settings get the default of the builder (in
    `config`) or of the contract (in `training`), except those without an effect here (`Argument.needs`).

    Args:
        name: `<task or data>_<architecture>[_<size>]`, with the prefix `<package>.` for a package's preset.
            `NAME@REVISION` is an earlier revision of NAME.
        family: one of `kzoo.zoo.registry.family.FAMILIES`.
        task: public name of the task, such as "image_classification" (see `kzoo.problems.tasks`).
        summary: one line.
        config: arguments of the family's builder.
        training: the training contract: optimizer, loss, schedule, batch size, epochs, ...
        dataset: name of the default data set (see `kzoo.load_data`).
        params: number of parameters of the network; a test checks it.
        reference: URL of a paper or page.
        revision: number of the revision. A published revision never changes; an improvement gets the next number.

    Raises:
        KzooError: an unknown family, task or argument, or a value that is not plain data.

    Examples:
        >>> preset = kzoo.Preset(
        ...     name="my_fnn",
        ...     family="fnn",
        ...     task="tabular_classification",
        ...     summary="Two layers.",
        ...     config=dict(input_shape=(4,), outputs=3, units=(32, 32)),
        ...     training=dict(epochs=30),
        ... )
        >>> preset.config["activation"], preset.training["optimizer"]
        ('relu', 'adam')
        >>> kzoo.build(preset).output_shape
        (None, 3)
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

    @property
    def takes_values(self) -> bool:
        """Whether a preset for classes also supports values, because it can give targets their unit again.

        Of tables, these are the presets that set `target_scale`: the others are textbook networks for one data set.
        """
        if "classes" not in problem(self.task).facts:
            return False
        columns = "columns" in kind(self.config["inputs"]).facts
        return "target_scale" in (self.config if columns else builder_of(self.family).takes)

    @property
    def long_windows(self) -> bool:
        """Whether windows of many steps cost its networks little."""
        return builder_of(self.family).long_windows

    def __repr__(self) -> str:
        size = "" if self.params is None else f", {self.params:,} parameters"
        return f"<Preset {self.name}: {self.family}, {self.task}{size}. {self.summary}>"

    def _repr_html_(self) -> str:
        """Return summary and settings for a notebook."""
        from kzoo.utils import notebook

        meanings = {name: argument.meaning for name, argument in TRAINING.items()} | builder_of(
            self.family
        ).meanings
        heads = ("setting", "value", "meaning")
        config, training = (
            notebook.table(
                heads,
                [(n, notebook.setting(value), meanings.get(n, "")) for n, value in part.items()],
            )
            for part in (self.config, self.training)
        )
        facts = [
            ("family", self.family),
            ("task", self.task),
            ("parameters", self.params),
            ("data set", self.dataset),
            ("revision", self.revision if self.revision > 1 else None),
            ("reference", notebook.link(self.reference)),
        ]
        return notebook.card(
            f"Preset {self.name}",
            notebook.folded("network", config),
            notebook.folded("training", training),
            facts=facts,
            note=self.summary,
        )

    def __post_init__(self) -> None:
        if not is_preset_name(self.name):
            raise KzooError(
                f"Preset name {self.name!r} must consist of letters, digits and underscores, after the "
                "package's name and a dot for a package's preset."
            )
        if self.name.partition("@")[0] == AUTO:
            raise KzooError(
                f"A preset cannot be called {AUTO!r}, which lets kzoo.train choose one. Rename it."
            )
        if (
            isinstance(self.revision, bool)
            or not isinstance(self.revision, int)
            or self.revision < 1
        ):
            raise KzooError(
                f"Preset {self.name!r}: revision={self.revision!r} must be a whole number, 1 or more."
            )
        if revision := self.name.partition("@")[2]:
            object.__setattr__(self, "revision", int(revision))
        choose("family", self.family, FAMILIES)
        choose("task", self.task, TASKS)
        for part in ("config", "training"):
            if not isinstance(getattr(self, part), Mapping):
                raise KzooError(
                    f"Preset {self.name!r}: {part}={shown(getattr(self, part))} must be a dict of settings."
                )
        overlap = sorted(set(self.config) & set(self.training))
        if overlap:
            raise KzooError(
                f"Preset {self.name!r} has {overlap[0]!r} in both config and training. Keep one."
            )
        parts = checked(self.config), checked(self.training)
        for part, values in zip(
            ("config", "training"), completed(self.family, self.task, *parts), strict=True
        ):
            object.__setattr__(self, part, values)
        for name, value in (*self.config.items(), *self.training.items()):
            try:
                json.dumps(value)
            except (TypeError, ValueError):
                raise KzooError(
                    f"Preset {self.name!r}: {name}={shown(value)} is not plain data. Use numbers, texts, lists or "
                    "dicts."
                ) from None


def completed(
    family: str, task: str, config: Config, training: TrainingSettings
) -> tuple[JsonObject, JsonObject]:
    """Return config and training, completed with the default of every missing setting that has an effect.

    Raises:
        KzooError: `input_shape` has a None that is neither the steps of a series nor the pieces of a text.
    """
    builder = builder_of(family)
    defaults = {
        name: argument.default for name, argument in TRAINING.items() if not argument.optional
    }
    unused = unused_names([*builder.defaults, *defaults], family, task, config)
    config, training = (
        {
            name: settings[name] if name in settings else default[name]
            for name in dict.fromkeys([*order, *settings])
            if (name in settings or (name in default and name not in unused))
            and not _is_unset(name, settings)
        }
        for settings, default, order in (
            (config, builder.defaults, builder.takes),
            (training, defaults, TRAINING),
        )
    )
    shape: Any = config.get("input_shape") or ()
    is_open = (
        _is_series((builder.defaults | config).get("inputs"))
        if len(shape) > 1
        else training.get("tokenizer") == "pieces"
    )
    if None in shape and not is_open:
        raise KzooError(
            ": only the steps of a series, (steps, features), and the pieces of a text may be None. Give a number.",
            argument="input_shape",
            value=shape,
        )
    return config, training


def _is_unset(name: str, settings: Config) -> bool:
    """Return whether a setting that is stored only where it is set has no value."""
    is_optional = name in STORED_IF_SET or (name in TRAINING and TRAINING[name].optional)
    return is_optional and settings.get(name) is None


def _is_series(inputs: str | None) -> bool:
    return inputs is not None and kind(inputs).is_series


def closed(config: Config) -> JsonObject:
    """Return a config that can be built: a default replaces a number of steps or pieces that no data has set yet."""
    shape = config.get("input_shape") or ()
    if None not in shape:
        return dict(config)
    length = DEFAULT_STEPS if len(shape) > 1 else DEFAULT_PIECES
    return dict(config) | {"input_shape": (length, *shape[1:])}


def unused_names(names: Iterable[str], family: str, task: str, config: Config) -> dict[str, str]:
    """Return name -> reason, for the names of settings that have no effect with this config and task."""
    builder = builder_of(family)
    facts = problem(task).facts
    answers = next((fact for fact in ("quantiles", "values") if fact in facts), "classes")
    return unmet(names, dict(builder.defaults) | dict(config) | {"answers": answers}, builder.needs)


def defaults_of(family: str) -> JsonObject:
    """Return setting -> default, of a family's builder and of training."""
    return builder_of(family).defaults | {
        name: argument.default for name, argument in TRAINING.items()
    }


def unused_settings(preset: Preset) -> dict[str, str]:
    """Return name -> reason, for a preset's settings that have no effect and differ from the default."""
    defaults = defaults_of(preset.family)
    settings = preset.config | preset.training
    changed = [name for name, value in settings.items() if value not in (None, defaults.get(name))]
    return unused_names(changed, preset.family, preset.task, preset.config)


def is_preset_name(name: object) -> bool:
    """Return whether an object is a valid preset name: letters, digits, underscores, perhaps after `<package>.`.

    An earlier revision ends with `@` and its number.
    """
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def choose(noun: str, value: str, legal: Collection[str]) -> None:
    """Raise `KzooError` with the nearest legal name unless `value` is one of them."""
    if not isinstance(value, str) or value not in legal:
        raise KzooError(
            f"Unknown {noun} {value!r}. {hint(value, legal)}Use one of: {', '.join(legal)}.",
            value=value,
        )
