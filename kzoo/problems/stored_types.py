"""Types that are stored as JSON: `Spec` (a model), `Description` (data), `Request` (a run), `Member` (of an ensemble).

They are frozen, and read and written here only. Unknown fields are refused. Standard library only.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeAlias

from kzoo.problems.data_arguments import OPTIONS
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.schema import Each, misfit

Config: TypeAlias = Mapping[str, Any]  # settings of a network, by the builders' names
TrainingSettings: TypeAlias = Mapping[str, Any]  # settings of training, see `arguments.TRAINING`
Overrides: TypeAlias = Mapping[str, Any]  # settings of either that differ from the preset's
Scores: TypeAlias = Mapping[str, Any]  # name -> number, interval or None; also those of each target

BASELINE = "baseline"  # the method of a baseline
DATA_PRESET = "data_preset"  # setting of a baseline: the preset for which its data was read
FORMAT_VERSION = 1  # of config.json, which holds all of these

# Settings of a resolved config that are read outside the builders; builders check all of them.
_SIZES = {
    "input_shape?": [(int, None)],
    "outputs?": (int, None),
    "inputs?": (str, None),
    "categories?": ([int], None),
    "text_buckets?": ([int], None),
    "text_lengths?": ([int], None),
    "vocabulary_size?": (int, None),
    "horizon?": (int, None),
    "target_scale?": ([float], None),
    "quantiles?": ([float], None),
    "covariates?": (int, None),
    "calendar?": (int, None),
    "target_offset?": ([float], None),
    "scale?": (float, [float], None),
    "offset?": (float, [float], None),
}
_TRAINING = {
    "batch_size?": int,
    "epochs?": int,
    "monitor?": (str, None),
    "loss?": str,
    "labels?": str,
}
_OPTIONS = {
    f"{name}?": option.schema for name, option in OPTIONS.items() if option.schema is not None
}
_SOURCE = {
    "address": str,
    "version": str,
    "files?": int,
    "bytes?": int,
    "etags?": Mapping,
}
_FEATURE = {
    "name": str,
    "mean": float,
    "sd": float,
    "low": float,
    "high": float,
    "edges": [float],
    "shares": [float],
    "count": int,
}


def _feature(value: JsonObject, where: str) -> str | None:
    """Return what is wrong with the statistics of a column, else None. There is one more share than there are edges."""
    wrong = misfit(value, _FEATURE, where)
    if wrong is None and (len(value["shares"]) != len(value["edges"]) + 1 or value["count"] < 1):
        wrong = f"{where} has {len(value['edges'])} edges and {len(value['shares'])} shares of {value['count']} rows"
    return wrong


# Schema of config.json; Spec and Description check "spec" and "data".
CONFIG = {
    "spec": Mapping,
    "data": Mapping,
    "versions?": Each(str),
    "machine?": str,
    "processor?": [str],
    "onednn?": (bool, None),
    "created?": str,
    "command?": (str, None),
    "overrides?": Mapping,
    "weights?": (str, None),
    "precision?": str,
    "backend?": (str, None),
    "devices?": (int, None),
    "own_model?": (Mapping, None),
    "weights_sha256?": (str, None),
    "callback_settings?": (Each(Mapping), None),
    "max_time?": ({"seconds": float, "epochs": int, "max_steps?": int}, None),
    "statistics?": (
        {
            "features": [_feature],
            "categories?": [{"name": str, "shares": [float]}],
            "texts?": [{"name": str, "empty": float}],
            "classes?": [float],
            "targets?": [_feature],
            "columns?": [str],
            "common?": int,
            "row_hashes?": [int],
            "distinct_rows?": int,
        },
        None,
    ),
}


def summary_form(scores: JsonObject) -> JsonObject:
    """Return the schema of summary.json; that of an ensemble names its members and has no training.

    Args:
        scores: schema of the scores of the task.
    """
    number = (float, None)
    members = [
        {"run": str, "preset": str, "seed": (int, None), "validation?": number, "test?": number}
    ]
    return {
        "validation?": (scores, Each(None), None),
        "test?": (scores, Each(None), None),
        "seconds": float,
        "parameters": int,
        "monitor?": str,
        "best_epoch?": int,
        "best_value?": number,
        "epochs?": int,
        "interrupted?": bool,
        "stopped_because?": (str, None),
        "resumed?": int,
        "rollbacks?": int,
        "conformal?": [Mapping],
        "totals?": [Mapping],
        "samples_per_second?": number,
        "baselines?": [
            {
                "name": str,
                "label": str,
                "split": str,
                "metric": str,
                "best?": str,
                "scores": (scores, None),
                "notes": [str],
            }
        ],
        "repairs?": {
            "labels": int,
            "metric": str,
            "before": float,
            "after": float,
            "gain": float,
            "interval": [float],
            "rows": int,
        },
        "ensemble?": {
            "members": members,
            "gain": number,
            "method": str,
            "weights": ([float], None),
        },
    }


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Specification of a model: what it is built from and how it is trained.

    Args:
        preset: name of the preset, of a custom model, or of a baseline.
        revision: revision of the preset; None without a preset, and for runs of versions without revisions.
        family: None for a custom model, an ensemble and a baseline.
        task: public name of the task.
        config, training: the settings; all of them once the network is built.
        seed: seed of weights, order, dropout and augmentation.
        kzoo: version that built it; None before it is built.
        method, members: of an ensemble; "baseline" of a baseline.
    """

    preset: str
    revision: int | None = None
    family: str | None
    task: str
    config: Mapping = field(metadata={"form": _SIZES})
    training: Mapping = field(metadata={"form": _TRAINING})
    seed: int | None = None
    method: str | None = None
    members: tuple["Member", ...] = ()
    kzoo: str | None = None

    def __post_init__(self) -> None:
        for name in ("config", "training"):  # copies, so that the caller cannot change them
            object.__setattr__(self, name, dict(getattr(self, name)))

    @classmethod
    def read(cls, stored: object) -> "Spec":
        """Read what `json` returned."""
        values = _checked_fields(cls, stored, "The specification")
        return cls(**values | dict(members=tuple(map(Member.read, values.get("members", ())))))

    def json(self) -> JsonObject:
        """Return plain data, without optional fields that are not set."""
        stored = _json(self, optional=("revision", "method", "members", "kzoo"))
        return stored | (
            {"members": [member.json() for member in self.members]} if self.members else {}
        )

    @property
    def is_baseline(self) -> bool:
        """Whether it is a fitted baseline (`kzoo.baselines.train`), not a trained network."""
        return self.method == BASELINE

    @property
    def of_data(self) -> "Spec":
        """The specification that the data was read for; for an ensemble, that of its first member."""
        return self.members[0].spec if self.members else self


@dataclass(frozen=True, kw_only=True)
class Member:
    """A run in an ensemble: its specification, the name of its folder, and when it was created."""

    spec: Spec
    run: str
    created: str

    @classmethod
    def read(cls, stored: object) -> "Member":
        """Read what `json` returned."""
        if wrong := misfit(stored, {"run": str, "created": str}, "member"):
            raise KzooError(f"The specification is damaged: {wrong}.")
        assert isinstance(stored, Mapping)
        spec = {name: value for name, value in stored.items() if name not in ("run", "created")}
        return cls(spec=Spec.read(spec), run=stored["run"], created=stored["created"])

    def json(self) -> JsonObject:
        """Return plain data: the specification with `run` and `created`."""
        return self.spec.json() | dict(run=self.run, created=self.created)


APPROXIMATE = {  # rows that a promise was learned on -> why it is approximate
    "validation": "the validation rows also stopped the training",
    "out of fold": "it was learned on predictions of models that had fewer training rows",
}
FOLDS = ", folds"  # suffix of the name of data all of whose rows trained members of an ensemble


@dataclass(frozen=True, kw_only=True)
class Description:
    """Description of data: its identity, and names for display.

    Args:
        name: name of the source, without folders of this machine.
        data_seed, options: how it was read and split (see `kzoo.data.options.DataOptions`).
        fingerprint: sha256 of the data and its split; None where several splits are joined.
        task, inputs: public name of the task, and the kind of input.
        train, validation, test: number of rows of each split.
        class_names, feature_names, target_names: names for display.
        calibration: number of calibration rows; None without any.
        source: where the data lies, if at an address, and the version of its objects (see `kzoo.cloud.data_copies`);
            `fingerprint` identifies it wherever it lies.
    """

    name: str
    data_seed: int
    options: Mapping = field(metadata={"form": _OPTIONS})
    fingerprint: str | None
    task: str
    inputs: str
    train: int
    validation: int
    test: int
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    calibration: int | None = None
    source: Mapping | None = field(default=None, metadata={"form": (_SOURCE, None)})

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", dict(self.options))
        for name in ("class_names", "feature_names", "target_names"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @classmethod
    def read(cls, stored: object) -> "Description":
        """Read what `json` returned."""
        return cls(**_checked_fields(cls, stored, "The description of the data"))

    def json(self) -> JsonObject:
        """Return plain data, without the number of calibration rows if there are none, and without a source of none."""
        return _json(self, optional=("calibration", "source"))


UNKNOWN = "of type"  # {UNKNOWN: "function"} replaces a value that cannot be compared later
_NEW = {  # fields of a request that runs of earlier versions lack, and what they would compare
    "own_model": "the layers and the compilation of your model, which it does not store in the form of this Keras",
    "weights_sha256": "the content of weights=, which it does not store",
    "callback_settings": "the settings of your callbacks, which it does not store",
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """Identity of a run: the same request in the same folder continues the run, or finds it complete.

    Differences are reported in the order of the fields: other data also changes the config, so data comes first.

    Args:
        data, spec: what the model is trained on, and the model.
        own_model: hashes of a custom model (see `kzoo.training.identity`).
        weights: name of the run or model that gave the initial weights.
        weights_sha256: hash of these weights.
        freeze: layers that are not trained: a glob, several, or True for all that `weights` gave.
        precision: the dtype policy.
        backend, deterministic: of Keras; None where it does not matter.
        devices: number of devices that share each batch; None for one.
        callbacks: names of the user's callbacks.
        callback_settings: arguments of each of them.
        max_time: seconds of the clock that the training was fitted into, and its epochs (and `max_steps`) without it;
            the `spec` of the stored run has those that were chosen. None for no clock.
    """

    data: Description
    spec: Spec
    own_model: Mapping | None = None
    weights: str | None = None
    weights_sha256: str | None = None
    freeze: str | bool | tuple | None = None
    precision: str = "float32"
    backend: str | None = None
    deterministic: bool | None = None
    devices: int | None = None
    callbacks: tuple[str, ...] = ()
    callback_settings: Mapping | None = None
    max_time: Mapping | None = None

    def json(self) -> JsonObject:
        """Return plain data."""
        return _json(self, optional=("backend", "deterministic", "max_time", *_NEW))

    def differences(self, stored: JsonObject) -> list[str]:
        """Return the differences between a stored run and this request, a text for each. Missing fields are ignored.

        `min_steps` is not compared: the epochs and the patience that follow from it are. With `max_time`, neither are
        the epochs that were chosen: its own entry has those without it.

        Args:
            stored: content of the run's `config.json`.
        """
        requested = plain(self.json())
        requested["spec"]["training"].pop("min_steps", None)
        source = requested["data"].pop("source", None)
        if source is not None and requested["data"]["fingerprint"] != stored["data"].get(
            "fingerprint"
        ):
            requested["data"]["source"] = {"version": source["version"]}
        before = stored.get("max_time")
        if self.max_time is not None:
            for name in ("epochs", "max_steps"):
                requested["spec"]["training"].pop(name, None)
        if (before is None) == (self.max_time is None):
            return differences(stored, requested)
        old, new = (
            None if clock is None else clock["seconds"] for clock in (before, self.max_time)
        )
        return [
            *differences(stored, requested | {"max_time": before}),
            f"max_time: stored {old}, now {new}",
        ]

    def uncompared(self, stored: JsonObject) -> list[str]:
        """Return the parts of this request that cannot be compared with a stored run.

        Args:
            stored: content of the run's `config.json`.
        """
        requested = self.json()
        model = self.own_model or {}
        missing = [part for name, part in _NEW.items() if name in requested and name not in stored]
        if stored.get("own_model") and set(model) - set(stored["own_model"]):
            missing.append(_NEW["own_model"])
        if model:
            missing.append(
                "the weights that your model had before, and the code of its functions and classes"
            )
        named = dict(self.callback_settings or {}) | {"your model": model}
        for owner, settings in named.items():
            unknown = [
                name
                for name, setting in settings.items()
                if isinstance(setting, Mapping) and UNKNOWN in setting
            ]
            if unknown:
                missing.append(f"{', '.join(unknown)} of {owner}")
        return missing


def differences(stored: JsonObject, requested: JsonObject) -> list[str]:
    """Return the differences between a stored and a requested document, a text for each. Missing fields are ignored."""
    return list(_differences(stored, plain(requested), ""))


def may_be_same_run(stored: JsonObject, requested: JsonObject, overrides: Overrides) -> bool:
    """Return whether a stored run may be the requested one. This is a check before the data is read.

    Once the data is read, `Request.differences` decides.

    Args:
        stored: content of the run's `config.json`.
        requested: the known part of a `Request`, as plain data.
        overrides: settings that differ from the preset; runs of earlier versions do not store theirs.
    """
    stored_overrides = stored.get("overrides", to_stored(overrides))
    return not differences(stored, requested) and _as_lists(stored_overrides) == _as_lists(
        to_stored(overrides)
    )


def _as_lists(overrides: Overrides) -> JsonObject:
    """Return settings with single values as lists: `units=8` and `units=(8,)` are the same."""
    return {
        name: value if isinstance(value, list | dict) else [value]
        for name, value in overrides.items()
    }


def to_stored(overrides: Overrides) -> JsonObject:
    """Return the JSON form of overrides, whose names may be class numbers and whose values may be NumPy scalars."""
    return {str(name): _stored_value(value) for name, value in overrides.items()}


def _stored_value(value: object) -> object:
    if isinstance(value, Mapping):
        return to_stored(value)
    if isinstance(value, list | tuple):
        return [_stored_value(part) for part in value]
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, str | int | float | None) else repr(value)


def _differences(stored: JsonObject, requested: JsonObject, path: str) -> Iterator[str]:
    for name, new in requested.items():
        old = stored.get(name, new)
        if isinstance(new, dict) and isinstance(old, dict):
            yield from _differences(old, new, f"{path}{name}.")
        elif old != new:
            yield f"{path}{name}: stored {_short(old)}, now {_short(new)}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) < 40 else text[:37] + "..."


def check_format(stored: Mapping[str, object], file: object) -> None:
    """Refuse a document that a later version has written.

    Args:
        stored: its content; without `format_version` it is version 1.
        file: name of the file, for the message.

    Raises:
        KzooError: `format_version` is not the one that this version reads.
    """
    version = stored.get("format_version", FORMAT_VERSION)
    if version != FORMAT_VERSION:
        raise KzooError(
            f"{file} has format_version {version!r}, and this version of kzoo reads {FORMAT_VERSION}: update kzoo to "
            "open it."
        )


def with_current_names(config: Config) -> JsonObject:
    """Return the content of a run's `config.json` with current names: early versions wrote `start` for `weights`."""
    if "start" not in config:
        return dict(config)
    command = config.get("command")
    if isinstance(command, str):
        command = command.replace(" --start ", " --weights ").replace(", start=", ", weights=")
    named = {"weights" if name == "start" else name: value for name, value in config.items()}
    return named | dict(command=command)


def plain(document: Mapping[str, object]) -> JsonObject:
    """Return the JSON form of a document, with lists for tuples, to be compared with stored data."""
    return {name: plain_value(value) for name, value in document.items()}


def plain_value(value: object) -> object:
    """Return the same of a value."""
    if isinstance(value, Mapping):
        return plain(value)
    return [plain_value(part) for part in value] if isinstance(value, list | tuple) else value


def _json(record: Spec | Description | Request, *, optional: Collection[str] = ()) -> JsonObject:
    """Return the plain data of a record, without the fields in `optional` that are not set."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {
        name: value.json()
        if hasattr(value, "json")
        else dict(value)
        if isinstance(value, Mapping)
        else value
        for name, value in values.items()
        if name not in optional or value not in (None, ())
    }


def _checked_fields(cls: type[Spec] | type[Description], stored: object, title: str) -> JsonObject:
    """Return the stored fields of a record.

    Raises:
        KzooError: a field that the record does not have, a missing one, or one of another type.
    """
    if not isinstance(stored, Mapping):
        raise KzooError(f"{title} must be a JSON object, but is {stored!r:.40}.")
    known_fields = {field.name: field for field in fields(cls)}
    for name in stored:
        if name not in known_fields:
            raise KzooError(
                f"{title} has {name!r}, which this version of kzoo does not know. Update kzoo to open it."
            )
    for name, field_ in known_fields.items():
        if field_.default is MISSING and name not in stored:
            raise KzooError(f"{title} has no {name!r}.")
        if name in stored and (
            wrong := misfit(stored[name], field_.metadata.get("form", field_.type), name)
        ):
            raise KzooError(f"{title} is damaged: {wrong}.")
    return dict(stored)
