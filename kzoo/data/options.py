"""`DataOptions`: how a source is read and split, as one value."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from numpy.typing import ArrayLike

from kzoo.data.dataset import Dataset, Loadable
from kzoo.data.splits import Fold, held_out, is_source, second_sources
from kzoo.data.targets.repairs import Repairs, read_repairs
from kzoo.problems.stored_types import Description
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import shown

# Options that are stored with a run and appear in its command; `clip` belongs to `load_data` only. `clip` and
# `quantiles` are stored only if they are set.
STORED_OPTIONS = (
    "target",
    "validation",
    "test",
    "drop",
    "group",
    "task",
    "time",
    "columns",
    "sample_weight",
    "split",
    "sheet",
    "header_row",
    "drop_rare",
    "calibration",
    "repairs",
    "series_id",
    "segment",
    "stride",
    "known_covariates",
    "static_covariates",
    "date_order",
)
# Options that are stored only if they are set: runs without them are stored as by earlier versions.
_STORED_IF_SET = {
    "sample_weight": None,
    "split": "random",
    "sheet": None,
    "header_row": None,
    "drop_rare": None,
    "calibration": None,
    "repairs": None,
    "series_id": None,
    "segment": None,
    "stride": None,
    "known_covariates": None,
    "static_covariates": None,
    "date_order": None,
}


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """The data arguments of `train`, `tune`, `check` and `load_data`. They are documented in `load_data`."""

    target: str | Sequence[str] | None = None
    validation: "float | Loadable" = 0.1
    test: "float | Fold | Loadable | None" = None
    drop: Sequence[str] = ()
    group: str | ArrayLike | None = None
    task: str | None = None
    time: str | None = None
    columns: Mapping[str, Any] | None = None
    sample_weight: str | ArrayLike | None = None
    split: Literal["random", "time"] = "random"
    sheet: str | None = None
    header_row: int | None = None
    drop_rare: int | None = None
    calibration: "float | Loadable | None" = None
    repairs: Any = None
    series_id: str | Sequence[str] | None = None
    segment: int | None = None
    stride: int | None = None
    known_covariates: str | Sequence[str] | None = None
    static_covariates: str | Sequence[str] | None = None
    date_order: Literal["day-first", "month-first"] | None = None
    clip: bool = False
    quantiles: Sequence[float] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Read the repairs: the labels that they contain identify the data, not the path of their table."""
        if self.repairs is not None and not isinstance(self.repairs, Repairs):
            object.__setattr__(self, "repairs", read_repairs(self.repairs))

    @classmethod
    def of(cls, described: Description) -> "DataOptions":
        """Return the options with which described data was loaded."""
        options = dict(described.options)
        if isinstance(options.get("test"), dict):
            options["test"] = Fold(**options["test"])
        return cls(**options, seed=described.data_seed)

    def stored(self) -> dict:
        """Return `data_seed` and `options` as they are stored in a run: plain values, without a second source or its
        path.
        """
        options = self.pick(*STORED_OPTIONS)
        if isinstance(self.test, Fold):
            options["test"] = asdict(self.test)
        elif is_source(self.test):
            options["test"] = None
        options |= {
            part: None for part in ("validation", "calibration") if is_source(getattr(self, part))
        }
        options["repairs"] = None if self.repairs is None else self.repairs.json()
        options |= {
            name: None for name in ("group", "sample_weight") if not isinstance(options[name], str)
        }
        plain = {
            name: value.tolist() if hasattr(value, "tolist") else value
            for name, value in options.items()
            if name not in _STORED_IF_SET or value != _STORED_IF_SET[name]
        }
        plain |= {"clip": True} if self.clip else {}
        plain |= (
            {"quantiles": list(map(float, self.quantiles))} if self.quantiles is not None else {}
        )
        return dict(data_seed=int(self.seed), options=plain)

    def check_loaded(self, source) -> None:
        """Raise KzooError if the source is a `Dataset` and options differ from those of its loading.

        Raises:
            KzooError: an option has neither its default nor the value with which the data set was loaded.
        """
        if not isinstance(source, Dataset):
            return
        # Second sources and arrays are not stored: they cannot be compared.
        not_stored = bool(second_sources(self.validation, self.test, self.calibration))
        not_stored |= any(
            value is not None and not isinstance(value, str)
            for value in (self.group, self.sample_weight)
        )
        if self.stored() == source.loaded and not not_stored:
            return
        for name, value in self.given().items():
            raise KzooError(
                f"{name}={shown(value)} has no effect on {source.name!r}: it is a Dataset, already read and split. "
                "Pass it to kzoo.load_data."
            )

    def given(self) -> dict[str, Any]:
        """Return name -> value of the options that are not at their defaults, by the argument names of `kzoo.train`."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        names = {"seed": "data_seed"}
        return {
            names.get(name, name): value
            for name, (value, default) in values.items()
            if value is not default and (hasattr(value, "shape") or value != default)
        }

    def describe(self, data) -> Description:
        """Return the description that identifies data; a `Dataset` knows itself how it was loaded."""
        parts: Any = {name: getattr(data, name) for name in ("train", "validation", "test")}
        calibration = {} if data.calibration is None else {"calibration": len(data.calibration)}
        return Description(
            name=data.name,
            **(data.loaded or self.stored()),
            fingerprint=data.fingerprint,
            task=data.task,
            inputs=data.inputs,
            **dict[str, Any](
                {name: 0 if part is None else len(part) for name, part in parts.items()}
                | calibration
            ),
            class_names=data.class_names,
            feature_names=data.feature_names,
            target_names=data.target_names,
        )

    def with_held_out(self) -> "DataOptions":
        """Return the options as loaders take them: the calibration rows are drawn with the validation rows."""
        return replace(
            self, validation=held_out(self.validation, self.calibration), calibration=None
        )

    def pick(self, *names) -> dict:
        """Return some of the options by name."""
        return {name: getattr(self, name) for name in names}
