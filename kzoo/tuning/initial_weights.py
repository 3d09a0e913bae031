"""`Start`: the trained weights that every trial of a search begins with, or none."""

import os
from dataclasses import dataclass
from typing import Any

from kzoo.dataset.dataset import Dataset
from kzoo.registry.catalogue import get_preset
from kzoo.training.identity import weights_hash
from kzoo.training.initial_weights import knows_validation_rows
from kzoo.tuning.spaces.function_space import builds_models
from kzoo.tuning.spaces.network import changes_layers
from kzoo.tuning.spaces.space import Space
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, shown
from kzoo.weights import DOWNLOADED, check_freeze, check_weights, frozen, is_word, name_of


@dataclass(frozen=True, kw_only=True)
class InitialWeights:
    """What trials begin with.

    Args:
        preset: the name of what is searched; empty for a function's models.
        weights: a word, or the whole path of a run or a file, which every process that trains opens; None for fresh
            networks.
        freeze: layers that keep theirs: a glob, several, or True for all that `weights` gave.
    """

    preset: str = ""
    weights: str | None = None
    freeze: str | bool | tuple[str, ...] | None = None

    @classmethod
    def from_arguments(cls, preset_or_build: Any, weights: Any, freeze: Any, executor: Any) -> "InitialWeights":
        """Return what was asked for.

        Raises:
            KzooError: weights of a function's models, none that other processes could open, or none to be kept.
        """
        freeze = frozen(freeze)
        if builds_models(preset_or_build):
            if weights is not None or freeze is not None:
                raise KzooError(
                    "weights= and freeze= are for presets: a function begins with weights of its own making."
                )
            return cls()
        preset = get_preset(preset_or_build).name
        check_freeze(freeze, weights)
        if weights is None:
            return cls(preset=preset)
        if not isinstance(weights, str | os.PathLike):
            raise KzooError(
                f"weights={shown(weights)}: each trial opens them anew. Give a run's folder, a file or a word."
            )
        check_weights(weights, preset)
        is_name = is_word(weights, preset) or weights == DOWNLOADED
        if executor is not None and not is_name:
            raise KzooError(
                f"weights={name_of(weights, preset)!r} lies on this machine, and executor= trains on others: "
                "name stored ones by their word, or leave executor= out."
            )
        return cls(
            preset=preset,
            weights=str(weights) if is_name else os.path.abspath(weights),
            freeze=freeze,
        )

    def identity(self) -> dict[str, Any]:
        """Return what a search remembers of it: names, no paths."""
        if self.weights is None:
            return {}
        return dict(
            weights=name_of(self.weights, self.preset),
            weights_sha256=weights_hash(self.weights, self.preset),
            freeze=self.freeze,
        )

    def restrict(self, space: Space, data: Dataset) -> tuple[Space, list[str]]:
        """Return a space without what would make other networks than the weights are of, and what there is to know.

        Args:
            space: of the preset.
            data: that the trials are trained on.

        Raises:
            KzooError: nothing is left.
        """
        searched = [name for name in space.names if not changes_layers(name)]
        if not searched:
            raise KzooError("With weights= the network is theirs, and this space has nothing else to search.")
        excluded = [name for name in space.names if name not in searched]
        notes = [f"Trials begin with weights={name_of(self.weights, self.preset)!r}."]
        notes += knows_validation_rows(self.weights, self.preset, data)
        if excluded:
            notes.append(f"The network is that of the weights: not searched are {listed(excluded, len(excluded))}.")
        return space.only(*searched) if excluded else space, notes
