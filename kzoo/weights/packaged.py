"""Weights in the package, as a run that came with it: it answers, is scored and exported like one, and is trained.

A file is an `.npz` archive: an array for each weight of each layer, float16 (float32 where that is too small for it),
under LAYER/NUMBER; and, as bytes of JSON, a run's `config.json` and `preprocessing.json`. Standard library only, until
a model is asked for.
"""

import hashlib
import io
import json
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kzoo.kinds import misread
from kzoo.run import Run
from kzoo.stored_types import CONFIG, Description, Spec, check_format
from kzoo.utils.errors import KzooError
from kzoo.utils.files import read_arrays
from kzoo.utils.schema import misfit
from kzoo.weights import Entry, entry_of

if TYPE_CHECKING:
    import keras

TEXTS = ("config", "preprocessing")  # of the archive's members, those that are bytes of JSON
_AGAIN = "Install kzoo again"


class PretrainedWeights(Run):
    """Weights in the package, which answer like a run.

    Args:
        preset: whose they are.
        word: which ones; None where the preset has only these.

    Raises:
        KzooError: there are none, or the file is not the one that the index describes.
    """

    finished = True
    answers = None
    postprocessing: Any = ()

    def __init__(self, preset: str, word: str | None = None) -> None:
        self.entry: Entry = entry_of(preset, word)
        self.path: Any = Path(preset)  # what messages and exports call it
        self.trusted = ()

    def __repr__(self) -> str:
        return f"<weights {self.entry.name!r} of {self.entry.preset}>"

    @property
    def folder(self) -> Path | None:
        return None

    @property
    def origin(self) -> dict[str, str]:
        return {"source": self.entry.source, "licence": self.entry.licence}

    def learned_from_test(self, name: str) -> bool:
        return name in self.entry.tested_by

    @cached_property
    def _arrays(self) -> dict[str, Any]:
        """All of the archive, whose bytes are what the index says."""
        file = self.entry.path
        try:
            content = file.read_bytes()
        except OSError as error:
            raise KzooError(f"{file} cannot be read: {error.strerror}. {_AGAIN}.") from None
        if hashlib.sha256(content).hexdigest() != self.entry.sha256:
            raise KzooError(f"{file} is not the file that index.json describes: its sha256 differs. {_AGAIN}.")
        try:
            return read_arrays(io.BytesIO(content))
        except ValueError as error:
            raise self._broken(f"is no archive of arrays ({error})") from None

    def _text(self, name: str) -> Any:
        arrays = self._arrays
        try:
            return json.loads(bytes(arrays[name]))
        except (KeyError, TypeError, ValueError, RecursionError):
            raise self._broken(f"has no {name} in JSON") from None

    def _broken(self, wrong: str) -> KzooError:
        return KzooError(f"{self.entry.path} is damaged: it {wrong}. {_AGAIN}.")

    @cached_property
    def config(self) -> dict[str, Any]:
        """What a run's `config.json` says."""
        config = self._text("config")
        if wrong := misfit(config, CONFIG, "its config"):
            raise self._broken(f"does not fit: {wrong}")
        check_format(config, self.entry.path)
        Spec.read(config["spec"]), Description.read(config["data"])
        return config

    @cached_property
    def preprocessing(self) -> dict[str, Any]:
        """What reads new inputs."""
        reader = self._text("preprocessing")
        if wrong := misread(reader, self.spec.config):
            raise self._broken(wrong)
        return reader

    @property
    def summary(self) -> dict[str, Any]:
        """Scores on the test split, of the weights as they are stored and of what needs no network beside them."""
        entry, metric = self.entry, self.entry.metric
        beside = [
            dict(name=label, label=label, split="test", metric=metric, scores={metric: value}, notes=[])
            for label, value in entry.beside.items()
        ]
        return {"test": dict(entry.scores), "parameters": entry.parameters, "baselines": beside}

    @property
    def history(self) -> dict[str, list[float | None]]:
        """Empty: how they were trained is not kept."""
        return {}

    @property
    def model_file(self) -> Path:
        raise KzooError(f"{self!r} are no run with a file of a model: kzoo.build and kzoo.export make a model of them.")

    @cached_property
    def model(self) -> "keras.Model":
        """The network with these weights in float32, not compiled."""
        arrays = {name: array for name, array in self._arrays.items() if name not in TEXTS}
        return import_module("kzoo.loading").load_packaged(self.entry.path, self.config["spec"], arrays)
