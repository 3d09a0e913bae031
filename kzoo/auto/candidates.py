"""`Candidate`: a baseline, a preset, or a preset with other settings, that `auto` compares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kzoo.training.suggestions import preset_with_window
from kzoo.tuning.spaces.entry import format_value
from kzoo.utils.files import JsonObject
from kzoo.zoo.registry import Preset, get_preset


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model that may be chosen.

    Args:
        name: of the preset, or of the baseline's function.
        label: the name for people.
        is_baseline: whether it is a baseline.
        overrides: settings of the preset that differ.
        window: for series: settings that say how they are read (see `kzoo.training.suggestions.WINDOW`).
        seed: added to that of the search.
    """

    name: str
    label: str
    is_baseline: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)
    window: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    @property
    def preset(self) -> Preset:
        """The preset, with the window that is asked for."""
        return (
            get_preset(self.name) if not self.window else preset_with_window(self.name, self.window)
        )

    @property
    def is_variant(self) -> bool:
        """Whether it is a preset with other settings, or another seed."""
        return bool(self.overrides) or self.seed != 0

    @property
    def hyperparameters(self) -> JsonObject:
        """The values of its trial, by which a resumed search finds it again."""
        seed = {"seed": self.seed} if self.seed else {}
        return {"model": self.name, **self.overrides, **seed}

    @property
    def text(self) -> str:
        """The name with the settings that differ."""
        changed = ", ".join(
            f"{name}={format_value(value)}"
            for name, value in self.hyperparameters.items()
            if name != "model"
        )
        return f"{self.label} ({changed})" if changed else self.label


def reader_of_baselines(presets: Sequence[Candidate]) -> Preset:
    """Return the preset for which the data of baselines is read: that of texts as words, as pieces make them worse."""
    all_presets = [each.preset for each in presets]
    return next(
        (each for each in all_presets if each.training.get("tokenizer") != "pieces"), all_presets[0]
    )
