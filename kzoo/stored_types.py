"""What is stored and passed on, as frozen values: a specification, the description of data, what a run was asked for.

Each is written as JSON and read from it here, and nowhere else. What this version does not know it refuses. Standard
library only.
"""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields

from kzoo.utils.errors import KzooError
from kzoo.utils.schema import Each, misfit

FORMAT_VERSION = 1  # of config.json, which holds all of these

# What is read of a resolved config outside the builders, which look at all of it.
_SIZES = {
    "input_shape?": [(int, None)], "outputs?": (int, None), "inputs?": (str, None), "categories?": ([int], None),
    "vocabulary_size?": (int, None), "horizon?": (int, None), "target_scale?": ([float], None),
    "target_offset?": ([float], None), "scale?": (float, [float], None), "offset?": (float, [float], None),
}  # fmt: skip
_TRAINING = {"batch_size?": int, "epochs?": int, "monitor?": (str, None), "loss?": str, "labels?": str}
_OPTIONS = {"target?": (str, [str], None), "drop?": (str, [str], None), "group?": (str, None), "time?": (str, None),
            "task?": (str, None), "validation?": (float, None, Each(int))}  # fmt: skip
_FEATURE = {
    "name": str, "mean": float, "sd": float, "low": float, "high": float, "edges": [float], "shares": [float],
    "count": int,
}  # fmt: skip


def _feature(value, where):
    """Say what is wrong with a column's statistics: there is a share between each two edges, and outside of them."""
    wrong = misfit(value, _FEATURE, where)
    if wrong is None and (len(value["shares"]) != len(value["edges"]) + 1 or value["count"] < 1):
        wrong = f"{where} has {len(value['edges'])} edges and {len(value['shares'])} shares of {value['count']} rows"
    return wrong


# Of config.json, beside the specification and the description of the data.
CONFIG = {
    "spec": Mapping, "data": Mapping, "versions?": Each(str), "machine?": str, "processor?": [str],
    "onednn?": (bool, None), "created?": str,
    "command?": (str, None), "overrides?": Mapping, "weights?": (str, None), "precision?": str,
    "backend?": (str, None), "devices?": (int, None), "own_model?": (Mapping, None), "weights_sha256?": (str, None),
    "callback_settings?": (Each(Mapping), None),
    "statistics?": ({
        "features": [_feature], "categories?": [{"name": str, "shares": [float]}], "classes?": [float],
        "targets?": [_feature], "columns?": [str], "common?": int,
    }, None),
}  # fmt: skip


def summary_form(scores: Mapping) -> dict:
    """Return the form of summary.json, of which an ensemble's says who its members are and not how it was trained.

    Args:
        scores: the form of those of its task.
    """
    number = (float, None)
    members = [{"run": str, "preset": str, "seed": (int, None), "validation?": number, "test?": number}]
    return {
        "validation?": (scores, Each(None), None), "test?": (scores, Each(None), None), "seconds": float,
        "parameters": int, "monitor?": str, "best_epoch?": int, "best_value?": number, "epochs?": int,
        "interrupted?": bool, "stopped_because?": (str, None), "resumed?": int, "rollbacks?": int,
        "samples_per_second?": number, "baselines?": [{
            "name": str, "label": str, "split": str, "metric": str, "scores": (scores, None), "notes": [str],
        }],
        "ensemble?": {"members": members, "gain": number, "method": str, "weights": ([float], None)},
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Spec:
    """From what a model is built, and how it is trained.

    Args:
        preset: its name; a model of one's own has that of the model.
        revision: which one of that name; None where no preset is behind it, and of runs from before there were any.
        family: None for a model of one's own, and for an ensemble.
        task: what is answered.
        config, training: the settings; all of them, once the network is built.
        seed: of weights, order, dropout and augmentation.
        kzoo: the version that built it; None before that.
        method, members: of an ensemble.
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

    def __post_init__(self):
        for name in ("config", "training"):  # copies: nothing else may change them
            object.__setattr__(self, name, dict(getattr(self, name)))

    @classmethod
    def read(cls, stored) -> "Spec":
        """Read what `json` returned."""
        given = _known(cls, stored, "The specification")
        return cls(**given | dict(members=tuple(map(Member.read, given.get("members", ())))))

    def json(self) -> dict:
        """Return plain data, without what is not said."""
        stored = _json(self, unless_said=("revision", "method", "members", "kzoo"))
        return stored | ({"members": [member.json() for member in self.members]} if self.members else {})

    @property
    def of_data(self) -> "Spec":
        """The specification that the data was read for: an ensemble's is its members'."""
        return self.members[0].spec if self.members else self


@dataclass(frozen=True, kw_only=True)
class Member:
    """A run that is part of an ensemble: its specification, its folder's name, and when it was made."""

    spec: Spec
    run: str
    created: str

    @classmethod
    def read(cls, stored) -> "Member":
        """Read what `json` returned."""
        if wrong := misfit(stored, {"run": str, "created": str}, "member"):
            raise KzooError(f"The specification is damaged: {wrong}.")
        rest = {name: value for name, value in dict(stored).items() if name not in ("run", "created")}
        return cls(spec=Spec.read(rest), run=stored["run"], created=stored["created"])

    def json(self) -> dict:
        """Return plain data: the specification's, and two names more."""
        return self.spec.json() | dict(run=self.run, created=self.created)


FOLDS = ", folds"  # after the name of data of which every row trained a member of an ensemble


@dataclass(frozen=True, kw_only=True)
class Description:
    """What identifies data, and what of it is for people.

    Args:
        name: where it came from, without any folder of this machine.
        data_seed, options: how it was asked for (see `kzoo.dataset.options.DataOptions`).
        fingerprint: sha256 of the data and how it was split; None where several splits are joined.
        task, inputs: what is answered, what is read.
        train, validation, test: rows of each split.
        class_names, feature_names, target_names: for people.
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

    def __post_init__(self):
        object.__setattr__(self, "options", dict(self.options))
        for name in ("class_names", "feature_names", "target_names"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @classmethod
    def read(cls, stored) -> "Description":
        """Read what `json` returned."""
        return cls(**_known(cls, stored, "The description of the data"))

    def json(self) -> dict:
        """Return plain data."""
        return _json(self)


UNKNOWN = "of type"  # {UNKNOWN: "function"} stands for a value of which nothing else is known again
_NEW = {  # fields of a request that runs of earlier versions lack
    "own_model": "the layers and the compilation of your model, which it does not keep as this Keras says them",
    "weights_sha256": "what weights= holds, which it does not keep",
    "callback_settings": "the settings of your callbacks, which it does not keep",
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What identifies a run: the same request in the same folder continues it, or finds it done.

    The order of the fields is that in which a difference is explained best: other data change the config too.

    Args:
        data, spec: on what, and what.
        own_model: what is known again of a model of one's own, beside its name (see `kzoo.training.identity`).
        weights: name of the run or model whose weights it began with.
        weights_sha256: of what that holds.
        freeze: layers that keep theirs: a glob, several, or True for all that `weights` gave.
        precision: the dtype policy.
        backend, deterministic: of Keras; None where it does not matter.
        devices: that share each batch; None for one.
        callbacks: names of the user's own.
        callback_settings: of each, what it was made with.
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

    def json(self) -> dict:
        """Return plain data."""
        return _json(self, unless_said=("backend", "deterministic", *_NEW))

    def differences(self, stored: Mapping) -> list[str]:
        """Return what tells a stored run from this request, a text for each difference. What one lacks is none.

        Nor are other `min_steps` one: what they have come to stands in epochs and patience.

        Args:
            stored: what the run's `config.json` holds.
        """
        asked = plain(self.json())
        asked["spec"]["training"].pop("min_steps", None)
        return differences(stored, asked)

    def uncompared(self, stored: Mapping) -> list[str]:
        """Return what this request says that cannot be held against a stored run.

        Args:
            stored: what the run's `config.json` holds.
        """
        asked, model = self.json(), self.own_model or {}
        missing = [what for name, what in _NEW.items() if name in asked and name not in stored]
        if stored.get("own_model") and set(model) - set(stored["own_model"]):
            missing.append(_NEW["own_model"])
        if model:
            missing.append("what your model had learned before, and the code of its functions and classes")
        named = dict(self.callback_settings or {}) | {"your model": model}
        for what, values in named.items():
            if unknown := [name for name, value in values.items() if isinstance(value, Mapping) and UNKNOWN in value]:
                missing.append(f"{', '.join(unknown)} of {what}")
        return missing


def differences(stored: Mapping, asked: Mapping) -> list[str]:
    """Return what tells a stored document from what is asked, a text for each value; what one lacks is none."""
    return list(_differences(stored, plain(asked), ""))


def may_be_same_run(stored: Mapping, asked: Mapping, overrides: Mapping) -> bool:
    """Say whether a stored run may be the one that is asked for, before its data is read, which settles the rest.

    Once it is, `Request.differences` decides.

    Args:
        stored: what the run's `config.json` holds.
        asked: what is known of a `Request`, as plain data.
        overrides: settings that are changed; runs of earlier versions do not keep theirs.
    """
    kept = stored.get("overrides", to_stored(overrides))
    return not differences(stored, asked) and _as_lists(kept) == _as_lists(to_stored(overrides))


def _as_lists(overrides):
    """Return settings with a list of one for a value alone: `units=8` and `units=(8,)` are the same."""
    return {name: value if isinstance(value, list | dict) else [value] for name, value in overrides.items()}


def to_stored(value):
    """Return the JSON form of settings that are changed: names may be numbers of classes, and numbers NumPy's."""
    if isinstance(value, Mapping):
        return {str(name): to_stored(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_stored(part) for part in value]
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, str | int | float | None) else repr(value)


def _differences(stored, asked, path) -> Iterator[str]:
    for name, value in asked.items():
        was = stored.get(name, value)
        if isinstance(value, dict) and isinstance(was, dict):
            yield from _differences(was, value, f"{path}{name}.")
        elif was != value:
            yield f"{path}{name}: {_short(was)} there, {_short(value)} now"


def _short(value):
    text = str(value)
    return text if len(text) < 40 else text[:37] + "..."


def check_format(stored: Mapping, file):
    """Refuse a document that a later version has written.

    Args:
        stored: what it holds; `format_version` is 1 where it says none.
        file: for the message.

    Raises:
        KzooError: its `format_version` is another.
    """
    version = stored.get("format_version", FORMAT_VERSION)
    if version != FORMAT_VERSION:
        raise KzooError(
            f"{file} has format_version {version!r}, and this kzoo reads {FORMAT_VERSION}: update kzoo to open it."
        )


def with_current_names(config: Mapping) -> dict:
    """Return what a run's `config.json` holds, with `weights` for what was called `start` in its first days."""
    if "start" not in config:
        return dict(config)
    command = config.get("command")
    if isinstance(command, str):
        command = command.replace(" --start ", " --weights ").replace(", start=", ", weights=")
    named = {"weights" if name == "start" else name: value for name, value in config.items()}
    return named | dict(command=command)


def plain(value):
    """Return the JSON form of a value, so that what was asked can be compared with what is on disk."""
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value


def _json(noun, *, unless_said=()):
    """Return the plain data of a noun; names in `unless_said` are left out where nothing is said."""
    values = {field.name: getattr(noun, field.name) for field in fields(noun)}
    return {
        name: value.json() if hasattr(value, "json") else dict(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
        if name not in unless_said or value not in (None, ())
    }


def _known(cls, stored, what) -> dict:
    """Return the fields of a noun that are stored.

    Raises:
        KzooError: one that it does not have, or none for one that it needs.
    """
    if not isinstance(stored, Mapping):
        raise KzooError(f"{what} is not a table of names and values, but {stored!r:.40}.")
    names = {one.name: one for one in fields(cls)}
    for name in stored:
        if name not in names:
            raise KzooError(f"{what} has {name!r}, which this version of kzoo does not know: update kzoo to open it.")
    for name, one in names.items():
        if one.default is MISSING and name not in stored:
            raise KzooError(f"{what} has no {name!r}.")
        if name in stored and (wrong := misfit(stored[name], one.metadata.get("form", one.type), name)):
            raise KzooError(f"{what} is damaged: {wrong}.")
    return dict(stored)
