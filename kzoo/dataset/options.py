"""`DataOptions`: how a source is read and split, as one value."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from numpy.typing import ArrayLike

from kzoo.dataset.dataset import Dataset, Loadable
from kzoo.dataset.splits import Fold, is_source
from kzoo.stored_types import Description
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import shown

# Those that a run remembers and its command names; `clip` is for `load_data` alone.
NAMED = ("target", "validation", "test", "drop", "group", "task", "time", "columns")


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """The data arguments of `train`, `tune`, `check` and `load_data`, which says what each means."""

    target: str | Sequence[str] | None = None
    validation: float = 0.1
    test: "float | Fold | Loadable | None" = None
    drop: Sequence[str] = ()
    group: str | ArrayLike | None = None
    task: str | None = None
    time: str | None = None
    columns: Mapping[str, Any] | None = None
    clip: bool = False
    seed: int = 0

    @classmethod
    def of(cls, described: Description) -> "DataOptions":
        """Return the options that described data was loaded with."""
        options = dict(described.options)
        if isinstance(options.get("test"), dict):
            options["test"] = Fold(**options["test"])
        return cls(**options, seed=described.data_seed)

    def stored(self) -> dict:
        """Return `data_seed` and `options` as a run keeps them: plain values, without a second source or its path."""
        options = self.pick(*NAMED)
        if isinstance(self.test, Fold):
            options["test"] = asdict(self.test)
        elif is_source(self.test):
            options["test"] = None
        if not isinstance(self.group, str):
            options["group"] = None
        plain = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in options.items()}
        return dict(data_seed=int(self.seed), options=plain | ({"clip": True} if self.clip else {}))

    def check_loaded(self, source) -> None:
        """Refuse options that a user gives too late: a `Dataset` has been read and split.

        Raises:
            KzooError: some are neither left at their defaults nor those that it was loaded with.
        """
        if not isinstance(source, Dataset) or (self.stored() == source.loaded and not is_source(self.test)):
            return
        for name, value in self.given().items():
            raise KzooError(
                f"{name}={shown(value)} comes too late: {source.name!r} is a Dataset, read and split. Give it to "
                "kzoo.load_data."
            )

    def given(self) -> dict[str, Any]:
        """Return name -> value of what is not left at its default, by the names that `kzoo.train` takes."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        names = {"seed": "data_seed"}
        return {
            names.get(name, name): value
            for name, (value, usual) in values.items()
            if value is not usual and (hasattr(value, "shape") or value != usual)
        }

    def describe(self, data) -> Description:
        """Return what identifies data; how a `Dataset` was loaded, it says itself."""
        parts: Any = {name: getattr(data, name) for name in ("train", "validation", "test")}
        return Description(
            name=data.name,
            **(data.loaded or self.stored()),
            fingerprint=data.fingerprint,
            task=data.task,
            inputs=data.inputs,
            **dict[str, Any]({name: 0 if part is None else len(part) for name, part in parts.items()}),
            class_names=data.class_names,
            feature_names=data.feature_names,
            target_names=data.target_names,
        )

    def pick(self, *names) -> dict:
        """Return some of the options by name."""
        return {name: getattr(self, name) for name in names}
