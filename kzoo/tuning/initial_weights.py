"""`InitialWeights`: the trained weights that every trial of a search starts from."""

import os
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kzoo.data.dataset import Dataset
from kzoo.training.identity import weights_hash
from kzoo.training.initial_weights import validation_overlap_notes
from kzoo.tuning.spaces.function_space import builds_models
from kzoo.tuning.spaces.network import changes_layers
from kzoo.tuning.spaces.space import Space
from kzoo.utils.address import HubPath
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed
from kzoo.zoo.registry.catalogue import get_preset
from kzoo.zoo.weights import (
    NAMED,
    check_freeze,
    check_weights,
    is_packaged_name,
    name_of,
    stored_freeze,
)

if TYPE_CHECKING:
    from kzoo.tuning.tune import Tuned


@dataclass(frozen=True, kw_only=True)
class InitialWeights:
    """Initial weights of all trials.

    Args:
        preset: name of the searched preset; empty for a build function.
        weights: a name of stored weights, or the absolute path of a run or a file, which every worker opens; of a model
            of a hub, its folder in the cache; None for random weights.
        freeze: layers that stay frozen: a glob, several, or True for all layers that `weights` initialised.
    """

    preset: str = ""
    weights: str | HubPath | None = None
    freeze: str | bool | tuple[str, ...] | None = None

    @classmethod
    def from_arguments(
        cls,
        preset_or_build: "Tuned",
        weights: str | os.PathLike[str] | None,
        freeze: str | Sequence[str] | bool | None,
        executor: Executor | None,
    ) -> "InitialWeights":
        """Return the initial weights for the arguments of `tune`.

        Raises:
            KzooError: the search is of a build function, other processes cannot open the weights, or `freeze` without
                weights.
        """
        freeze = stored_freeze(freeze)
        if builds_models(preset_or_build):
            if weights is not None or freeze is not None:
                raise KzooError(
                    "and freeze= are for presets only. A build function sets its own initial weights.",
                    argument="weights",
                )
            return cls()
        preset = get_preset(preset_or_build).name
        check_freeze(freeze, weights)
        if weights is None:
            return cls(preset=preset)
        if not isinstance(weights, str | os.PathLike):
            raise KzooError(
                "cannot be loaded by each trial. Use a run folder, a file or the name of "
                "pretrained weights.",
                argument="weights",
                value=weights,
            )
        check_weights(weights, preset)
        is_name = is_packaged_name(weights, preset) or weights in NAMED
        if executor is not None and not is_name:
            raise KzooError(
                "is on this machine only, but executor= trains on others. "
                "Use stored weights by name, or omit executor=.",
                argument="weights",
                value=name_of(weights, preset),
            )
        return cls(
            preset=preset,
            weights=weights
            if isinstance(weights, HubPath)
            else str(weights)
            if is_name
            else os.path.abspath(weights),
            freeze=freeze,
        )

    def identity(self) -> JsonObject:
        """Return what a search stores about the weights: names and a hash, no paths."""
        if self.weights is None:
            return {}
        return dict(
            weights=name_of(self.weights, self.preset),
            weights_sha256=weights_hash(self.weights, self.preset),
            freeze=self.freeze,
        )

    def restrict(self, space: Space, data: Dataset) -> tuple[Space, list[str]]:
        """Return the space without hyperparameters that change the layers, and notes for the user.

        Args:
            space: of the preset.
            data: the data of the search.

        Raises:
            KzooError: no hyperparameter is left.
        """
        searched = [name for name in space.names if not changes_layers(name)]
        if not searched:
            raise KzooError(
                "determines the network, and this space has no other hyperparameters to search.",
                argument="weights",
            )
        excluded = [name for name in space.names if name not in searched]
        notes = [f"Trials start from weights={name_of(self.weights, self.preset)!r}."]
        notes += validation_overlap_notes(self.weights, self.preset, data)
        if excluded:
            notes.append(
                f"The weights determine the network. Not searched: {listed(excluded, len(excluded))}."
            )
        return space.only(*searched) if excluded else space, notes
