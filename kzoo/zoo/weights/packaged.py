"""Packaged weights as a run: they predict, are scored and are exported like a run.

A file is an `.npz` archive: an array for each weight of each layer, float16 (float32 if its values are too small for
float16), named LAYER/NUMBER; and the bytes of a run's `config.json` and `preprocessing.json`. Standard library only,
until a model is built.
"""

import hashlib
import io
import json
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kzoo.problems.kinds import preprocessor_mismatch
from kzoo.problems.stored_types import CONFIG, Description, Spec, check_format
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, read_arrays
from kzoo.utils.schema import misfit
from kzoo.zoo.run import Run
from kzoo.zoo.weights import Entry, find_entry

if TYPE_CHECKING:
    import keras
    import numpy as np

JSON_MEMBERS = ("config", "preprocessing")  # members of the archive that are bytes of JSON
_REINSTALL = "Install kzoo again"


class PretrainedWeights(Run):
    """Packaged weights with the interface of a run.

    Args:
        preset: the name of the preset.
        name: the name of the weights; None if the preset has only these.

    Raises:
        KzooError: there are no such weights, or the file does not match the index.
    """

    finished = True
    answers = None
    postprocessing: Any = ()

    def __init__(self, preset: str, name: str | None = None) -> None:
        self.entry: Entry = find_entry(preset, name)
        self.path: Any = Path(preset)  # the name in messages and exports
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
    def _arrays(self) -> "dict[str, np.ndarray]":
        """The content of the archive, after its checksum is verified."""
        path = self.entry.path
        try:
            content = path.read_bytes()
        except OSError as error:
            raise KzooError(f"{path} cannot be read: {error.strerror}. {_REINSTALL}.") from None
        if hashlib.sha256(content).hexdigest() != self.entry.sha256:
            raise KzooError(f"{path} does not match index.json: its sha256 differs. {_REINSTALL}.")
        try:
            return read_arrays(io.BytesIO(content))
        except ValueError as error:
            raise self._damage_error(f"is not an .npz archive ({error})") from None

    def _json_member(self, name: str) -> JsonObject:
        arrays = self._arrays
        try:
            return json.loads(bytes(arrays[name]))
        except (KeyError, TypeError, ValueError, RecursionError):
            raise self._damage_error(f"has no {name} in JSON") from None

    def _damage_error(self, problem: str) -> KzooError:
        return KzooError(f"{self.entry.path} is damaged: it {problem}. {_REINSTALL}.")

    @cached_property
    def config(self) -> JsonObject:
        """The content of the run's `config.json`."""
        config = self._json_member("config")
        if problem := misfit(config, CONFIG, "its config"):
            raise self._damage_error(f"does not fit: {problem}")
        check_format(config, self.entry.path)
        # Both raise KzooError for invalid values.
        Spec.read(config["spec"])
        Description.read(config["data"])
        return config

    @cached_property
    def preprocessing(self) -> JsonObject:
        """The preprocessing of new inputs."""
        preprocessing = self._json_member("preprocessing")
        if problem := preprocessor_mismatch(preprocessing, self.spec.config):
            raise self._damage_error(problem)
        return preprocessing

    @property
    def summary(self) -> JsonObject:
        """Scores on the test split, of the stored weights and of baselines."""
        entry = self.entry
        metric = self.entry.metric
        baselines = [
            dict(
                name=label,
                label=label,
                split="test",
                metric=metric,
                scores={metric: value},
                notes=[],
            )
            for label, value in entry.beside.items()
        ]
        return {"test": dict(entry.scores), "parameters": entry.parameters, "baselines": baselines}

    @property
    def history(self) -> dict[str, list[float | None]]:
        """Empty: the training history is not stored."""
        return {}

    @property
    def model_file(self) -> Path:
        raise KzooError(
            f"{self!r} has no model file. Use kzoo.build or kzoo.export with these weights."
        )

    @cached_property
    def model(self) -> "keras.Model":
        """The network with these weights in float32, not compiled."""
        arrays = {name: array for name, array in self._arrays.items() if name not in JSON_MEMBERS}
        return import_module("kzoo.zoo.loading").load_packaged(
            self.entry.path, self.config["spec"], arrays
        )
