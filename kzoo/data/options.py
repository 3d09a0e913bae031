"""`DataOptions`: how a source is read and split, as one value; `LoadRequest`: a source with its options, to be loaded.

The table of the options is `DataArguments`.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from kzoo.data.dataset import Dataset, Split
from kzoo.data.splits import Fold, check_seed, drawn, held_out, second_sources, split_fractions
from kzoo.data.targets.repairs import Repairs, read_repairs
from kzoo.inference.sources.shards import folder_at
from kzoo.inference.tables.raw import as_names
from kzoo.problems.data_arguments import DEFAULTS, NAMES, OPTIONS, DataArguments, check_choices
from kzoo.problems.kinds import Kind, Source
from kzoo.problems.layout import RawInputs
from kzoo.problems.stored_types import Description
from kzoo.problems.tasks import Problem, Task, options_without_task, tasks
from kzoo.utils.argument_checks import checked_seed
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, path_of
from kzoo.utils.formatting import shown
from kzoo.zoo.registry import Preset


@dataclass(frozen=True, kw_only=True)
class DataOptions(DataArguments):
    """The options of data with which a source is loaded."""

    reads_gaps_as_before: ClassVar[bool] = False  # see `OptionsOfBefore`

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

    @classmethod
    def popped(cls, arguments: MutableMapping[str, Any]) -> "DataOptions":
        """Remove the options of data from the arguments of a function that trains, and return them.

        Raises:
            KzooError: a seed that is none.
        """
        options = {NAMES[name]: arguments.pop(name) for name in NAMES.keys() & arguments.keys()}
        if "seed" in options:
            options["seed"] = checked_seed("data_seed", options["seed"])
        return cls(**options)

    def stored(self) -> JsonObject:
        """Return `data_seed` and `options` as they are stored in a run: plain values, without a second source or its
        path.
        """
        options = self.pick(*(name for name in OPTIONS if name != "seed"))
        if isinstance(self.test, Fold):
            options["test"] = asdict(self.test)
        options |= dict.fromkeys(self.second_sources)
        for name in ("group", "sample_weight"):
            if not isinstance(options[name], str):
                options[name] = None
        if self.repairs is not None:
            options["repairs"] = self.repairs.json()
        for owner in self.owners:
            options[owner.option] = list(owner.target.checked(options[owner.option]))
        plain = {
            name: value.tolist() if hasattr(value, "tolist") else value
            for name, value in options.items()
            if OPTIONS[name].always_stored or value != DEFAULTS[name]
        }
        return dict(data_seed=int(self.seed), options=plain)

    @cached_property
    def second_sources(self) -> dict[str, RawInputs]:
        """Split -> its own source, for rows that are not drawn from the training source."""
        return second_sources(self.validation, self.test, self.calibration)

    def as_read(self) -> "DataOptions":
        """Return the options as loaders take them, after checking them.

        The calibration rows are drawn with the validation rows, and an option such as `quantiles` sets the task.

        Raises:
            KzooError: invalid values, or options that contradict one another.
        """
        check_seed(self.seed)
        check_choices(self)
        validation = held_out(self.validation, self.calibration)
        split_fractions(drawn(self.validation), drawn(self.test))
        if validation is not self.validation:
            split_fractions(validation, drawn(self.test))
        if isinstance(self.test, Fold) and "validation" in self.second_sources:
            raise KzooError(
                "must be a fraction here: the validation rows of each fold are taken from its training rows.",
                argument="validation",
            )
        if isinstance(self.test, Fold) and self.split == "time":
            raise KzooError(
                "Folds are not available with split='time': training rows would come after test rows. Use kzoo.train."
            )
        for part, source in self.second_sources.items():
            if isinstance(source, Dataset):
                raise KzooError(
                    "is a Dataset, already split. Pass what it was loaded from.",
                    argument=part,
                    value=source,
                )
            if (
                isinstance(source, str | Path)
                and not path_of(source, "a file or a folder").exists()
            ):
                raise KzooError(
                    f": no such file or folder. Pass files that exist, or a fraction such as {part}=0.2.",
                    argument=part,
                    value=str(source),
                )
        is_column = isinstance(self.group, str) and self.target is not None
        if is_column and self.group in as_names(self.target):
            raise KzooError(
                "is the target. Use another column.", argument="group", value=self.group
            )
        for option, name in options_without_task().items():
            if (value := getattr(self, option)) is not None:
                raise KzooError(
                    f"has no effect: an installed package replaces the task {name!r} of kzoo. Leave it out.",
                    argument=option,
                    value=value,
                )
        task = self.task
        for owner in self.owners:
            checked = owner.target.checked(getattr(self, owner.option))
            task = task or owner.words[0]
            if task not in (*owner.words, *(problem.name for problem in owner.problems)):
                raise KzooError(
                    f"and task={task!r} exclude each other: {owner.option}= is for task={owner.words[0]!r}. Remove one "
                    "of them.",
                    argument=owner.option,
                    value=checked,
                )
        return replace(self, task=task, validation=validation, calibration=None)

    @property
    def owners(self) -> list[Task]:
        """The tasks to which options that are set belong, as `quantiles` to its task."""
        tasks_with_option = [task for task in tasks().values() if task.option]
        return [task for task in tasks_with_option if getattr(self, task.option) is not None]

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Name the option that implies a task in `KzooError`s about that task."""
        try:
            yield
        except KzooError as error:
            owner = next(iter(self.owners), None)
            if owner is None or self.task is not None:
                raise
            task = f"task={owner.words[0]!r}"
            if task not in str(error):
                raise
            of_option = owner.target.checked(getattr(self, owner.option))
            message = str(error).replace(task, f"{owner.option}={shown(of_option)}")
            argument, value = error.argument, error.value
            if argument == "task":
                argument, value = owner.option, of_option
            raise KzooError(message, argument=argument, value=value, complete=True) from None

    def check_loaded(self, source: object) -> None:
        """Raise KzooError if the source is a `Dataset` and options differ from those of its loading.

        Raises:
            KzooError: an option has neither its default nor the value with which the data set was loaded.
        """
        if not isinstance(source, Dataset):
            return
        if source.origin is not None and source.origin.options is self:
            return
        # Second sources and arrays are not stored: they cannot be compared.
        not_stored = bool(self.second_sources)
        not_stored |= any(
            value is not None and not isinstance(value, str)
            for value in (self.group, self.sample_weight)
        )
        if self.stored() == source.loaded and not not_stored:
            return
        for name, value in self.given().items():
            raise KzooError(
                f"has no effect on {source.name!r}: it is a Dataset, already read and split. "
                "Pass it to kzoo.load_data.",
                argument=name,
                value=value,
            )

    def describe(self, data: Dataset) -> Description:
        """Return the description that identifies data; a `Dataset` knows itself how it was loaded."""
        parts: Any = {name: getattr(data, name) for name in ("train", "validation", "test")}
        calibration = {} if data.calibration is None else {"calibration": len(data.calibration)}
        recorded = None if data.origin is None else getattr(data.origin.source, "recorded", None)
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
            source=recorded,
        )


class OptionsOfBefore(DataOptions):
    """Options by which runs of earlier versions find their data again.

    Series with missing rows and values are read as then.
    """

    reads_gaps_as_before: ClassVar[bool] = True

    @classmethod
    def like(cls, options: DataOptions) -> "OptionsOfBefore":
        """Return the same options."""
        return cls(**{each.name: getattr(options, each.name) for each in fields(options)})


@dataclass(frozen=True, kw_only=True)
class LoadRequest:
    """A source to be loaded, with its options; what the fitting half of its kind of input takes.

    Args:
        source: a DataFrame, arrays (x, y) or (x, y, weight), a path, or the name of a data set.
        options: how it is read and split: checked, with the task of the quantiles, and calibration rows that are drawn
            within the validation rows (see `DataOptions.as_read`).
        preset: for which it is read; None if the source decides.
        name: of the data.
        form: "tabular", "folder", "labels" or "file" (see `kinds.Source`), "arrays" or "named".
        recognized: the source of the kind of input that it is; None for arrays and named data sets.
        kind: that kind.
        problem: what it is for; None if the target decides.
        undecided: whether the target decides between this source and one of the other order.
    """

    source: Any
    options: DataOptions = field(default_factory=DataOptions)
    preset: Preset | None = None
    name: str = ""
    form: str = ""
    recognized: Source | None = None
    kind: Kind | None = None
    problem: Problem | None = None
    undecided: bool = False

    @property
    def second_sources(self) -> dict[str, RawInputs]:
        """Split -> its own source, for validation and test rows that are not drawn from the source."""
        return self.options.second_sources

    def paths(self, folders: Mapping[str, Path], noun: str) -> dict[str, Path]:
        """Return split -> its path: the folders of the source, without `test` for a fold, and second sources in their
        place.

        Args:
            folders: split -> its folder in the source.
            noun: of the source, for messages.

        Raises:
            KzooError: a second source is not a path.
        """
        is_fold = isinstance(self.options.test, Fold)
        paths = {part: path for part, path in folders.items() if part != "test" or not is_fold}
        for part, source in self.second_sources.items():
            if not isinstance(source, str | Path):
                raise KzooError(
                    f"for {noun} must be a fraction or the path of a second source, not {shown(source)}.",
                    argument=part,
                )
            paths[part] = folder_at(source)
        return paths


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a `Dataset` was loaded from.

    Args:
        source: as `load_data` takes it.
        options: how it was read and split.
        preset: for which it was read; None if the source decided.
        splits: the splits that were loaded.
    """

    source: Any
    options: DataOptions
    preset: Any
    splits: tuple[Split | None, ...]

    @classmethod
    def of(cls, data: RawInputs) -> "Origin | None":
        """Return the origin of a `Dataset`; None if its splits were replaced since, and for anything else."""
        origin = data.origin if isinstance(data, Dataset) else None
        if origin is None or any(
            loaded is not split
            for loaded, split in zip(origin.splits, splits_of(data), strict=True)
        ):
            return None
        return origin


def splits_of(data: Dataset) -> tuple[Split | None, ...]:
    """Return all splits of a data set."""
    return data.train, data.validation, data.test, data.calibration
