"""`DataArguments`: every option of data in one table: type, default, meaning, sources, command-line flag, stored form.

Signatures, docstrings, the options of the command line and their help, what a run stores, and refusals are derived from
it: a new option is a field here and the code that uses it. Standard library only.
"""

import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from inspect import Parameter, cleandoc, signature
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar, get_args

from kzoo.utils import argument_checks
from kzoo.utils.argument_checks import ArgumentType, whole_number
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import hint
from kzoo.utils.schema import Each

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from kzoo.data.dataset import Loadable
    from kzoo.data.splits import Fold

_Function = TypeVar("_Function", bound=Callable[..., Any])
DateOrder: TypeAlias = Literal["day-first", "month-first"]
SplitOrder: TypeAlias = Literal["random", "time"]
_WIDTH = 116  # columns of a docstring, without its indentation in the stub
_PLACEHOLDER = "{data_options}"


# === Words of the command line ===


def fraction_or_source(word: str) -> float | str:
    """Parse a fraction such as 0.2, or else the name of a source."""
    try:
        return float(word)
    except ValueError:
        return word


def levels(word: str) -> tuple[float, ...] | str:
    """Parse numbers with commas; a text that is none stays a text, which is refused with other wrong levels."""
    try:
        return tuple(float(level) for level in word.split(","))
    except ValueError:
        return word


def names(word: str) -> list[str]:
    """Parse names with commas."""
    return [name.strip() for name in word.split(",")]


def column_types(words: Sequence[str]) -> dict[str, str | dict[str, str]] | None:
    """Parse types of columns, such as zip=category or price=number:decimal=,.

    Raises:
        KzooError: a word that is no NAME=KIND.
    """
    types: dict[str, str | dict[str, str]] = {}
    for word in words:
        name, _, description = word.partition("=")
        kind, *texts = description.split(":")
        signs = [sign.partition("=") for sign in texts]
        if not name or not kind or not all(sign[1] for sign in signs):
            raise KzooError(
                f"--column {word!r} is invalid. Write NAME=KIND, such as zip=category or price=number:decimal=,"
            )
        number = {"kind": kind} | {sign: value for sign, _, value in signs}
        types[name] = number if signs else kind
    return types or None


def _column_words(types: Mapping[str, str | Mapping[str, str]]) -> list[str]:
    """Return types of columns as `column_types` parses them."""
    words = []
    for name, description in types.items():
        number = {"kind": description} if isinstance(description, str) else description
        signs = [f":{sign}={value}" for sign, value in number.items() if sign != "kind"]
        words.append(f"{name}={number.get('kind', 'number')}{''.join(signs)}")
    return words


def _one_or_several(words: Sequence[str] | None) -> str | Sequence[str] | None:
    return words[0] if words is not None and len(words) == 1 else words


# === The table ===


class Flag(NamedTuple):
    """The option of the command line.

    Args:
        help: one line, without a full stop.
        metavar: placeholder of its value; None for `choices`, or for the name of the option.
        names: as they are typed; by default the name of the option with dashes.
        several: "" for one value, "words" for several after the option, "repeated" for an option that is repeated.
        type: of a word, as argparse takes it.
        read: makes the argument of what argparse returns; None: unchanged.
        write: makes the words after the option of the argument, for commands; None: the values as they are.
    """

    help: str
    metavar: str | None = None
    names: tuple[str, ...] = ()
    several: Literal["", "words", "repeated"] = ""
    type: Callable[[str], Any] | None = None
    read: Callable[[Any], Any] | None = None
    write: Callable[[Any], list[str]] | None = None


class Option(NamedTuple):
    """What the table says of an option, beside its name, type and default.

    Args:
        meaning: the entry of docstrings.
        sources: keys of the sources that it applies to (`kinds.Source.key`, "named", "arrays"); None for all.
        flag: None for an option that only `load_data` has, not the command line.
        type: of the argument, where it is checked before anything else.
        schema: of its stored value (see `kzoo.utils.schema`); None if that is checked elsewhere.
        always_stored: whether its default is stored too, as by the first versions of kzoo.
        choices: its values, if these are a few words.
        name: in functions that train.
    """

    meaning: str
    sources: tuple[str, ...] | None = None
    flag: Flag | None = None
    type: ArgumentType | None = None
    schema: Any = None
    always_stored: bool = False
    choices: tuple[str, ...] = ()
    name: str = ""


_TABLES = ("rows", "series", "labelled_series", "text_table", "image_table")
_FILES = ("series_folder", "text_folder", "image_folder")
_NAMES = (str, [str], None)
_TEXT = (str, None)
_COUNT = (int, None)


def _about(meaning: str, **properties: Any) -> dict[str, Option]:
    return {"option": Option(meaning, **properties)}


@dataclass(frozen=True, kw_only=True)
class DataArguments:
    """The options of data. Their meaning is in the table, and in the docstring of `kzoo.load_data`."""

    target: str | Sequence[str] | None = field(
        default=None,
        metadata=_about(
            "column to predict (tables, text, labels of images), or columns to forecast (series); separate several "
            "with commas, or name them by patterns such as `label_*` and ranges such as `q1:q9`. A column whose name "
            "is literally that wins. Several columns of 0 and 1, or one of lists or of texts such as `a;b`, are "
            "labels: a row has any number of them.",
            sources=(*_TABLES, "named"),
            flag=Flag(
                "column to predict; repeat the option for several, or give a pattern ('label_*') or a range (q1:q9)",
                "COLUMN",
                several="repeated",
                read=_one_or_several,
            ),
            type=argument_checks.NAMES,
            schema=_NAMES,
            always_stored=True,
        ),
    )
    validation: "float | Loadable" = field(
        default=0.1,
        metadata=_about(
            "fraction of the rows that are not in the test split; of all rows for a series or plain text. Or a second "
            "source, read as one for `test` is.",
            flag=Flag(
                "fraction of the data used for validation (default 0.1), or a separate source of validation data",
                "SOURCE",
                type=fraction_or_source,
            ),
            schema=(float, None, Each(int)),
            always_stored=True,
        ),
    )
    test: "float | Fold | Loadable | None" = field(
        default=None,
        metadata=_about(
            "fraction of all rows (0.2 unless the source has its own test split), a second source, or a "
            "`kzoo.data.splits.Fold` (then a test split of the source is not used).",
            flag=Flag(
                "fraction of the data used as test data, or a separate source of test data",
                "SOURCE",
                type=fraction_or_source,
            ),
            always_stored=True,
        ),
    )
    drop: str | Sequence[str] = field(
        default=(),
        metadata=_about(
            "columns to leave out.",
            sources=(*_TABLES, "series_folder", "named"),
            flag=Flag("columns to exclude", "COLUMN", several="words", read=tuple),
            type=argument_checks.NAMES,
            schema=_NAMES,
            always_stored=True,
        ),
    )
    group: "str | ArrayLike | None" = field(
        default=None,
        metadata=_about(
            "column whose rows with equal values stay in one split; for arrays, an array (N,) of values.",
            sources=("rows", "labelled_series", "text_table", "image_table", "named", "arrays"),
            flag=Flag("keep rows with the same value in this column in the same split", "COLUMN"),
            schema=_TEXT,
            always_stored=True,
        ),
    )
    task: str | None = field(
        default=None,
        metadata=_about(
            '`"classification"`, `"ordinal"`, `"labels"`, `"regression"`, `"count"` or `"quantiles"`. By default, a '
            "table whose target is text, boolean, or integers with at most 20 different values is a classification, "
            "else a regression. In arrays of images and token ids, integers are classes, and numbers with fractions "
            "are values.",
            sources=(*_TABLES, *_FILES, "named", "arrays"),
            flag=Flag("task, such as tabular_regression; default: detected from the target"),
            type=argument_checks.TEXT,
            schema=_TEXT,
            always_stored=True,
        ),
    )
    time: str | None = field(
        default=None,
        metadata=_about(
            'time column of a series; the first column of dates by default. With `split="time"`, the column of dates '
            "or numbers that orders a table; it stays an input unless `drop` excludes it.",
            sources=("rows", "series", "labelled_series", "text_table", "series_folder"),
            flag=Flag("time column of a series, or of a table with --split time", "COLUMN"),
            type=argument_checks.TEXT,
            schema=_TEXT,
            always_stored=True,
        ),
    )
    columns: Mapping[str, str | Mapping[str, str]] | None = field(
        default=None,
        metadata=_about(
            'types of columns, to override the detected ones: a dict of "number", "category", "date", "text", or of '
            'how numbers are written: `{"zip": "category", "price": {"decimal": ",", "thousands": "."}}`; for a '
            'target of labels `{"tags": {"separator": ";"}}`. Cells of these columns in a file stay as written, such '
            "as `01067`. By default, a number format is detected that reads all of a column: thousands separators, "
            "decimal commas, currency signs, percent, accounting negatives, 万 and 亿.",
            sources=(*_TABLES, "series_folder"),
            flag=Flag(
                "column types: zip=category when=date review=text price=number:decimal=,:thousands=.",
                "NAME=KIND",
                ("--column",),
                several="words",
                read=column_types,
                write=_column_words,
            ),
            type=argument_checks.MAPPING,
            always_stored=True,
        ),
    )
    sample_weight: "str | ArrayLike | None" = field(
        default=None,
        metadata=_about(
            "how much each row counts in the loss, metrics, scores and baselines, 0 or more: a column, which is no "
            "input then, or an array (N,). Weights are scaled to a mean of 1 over the training rows; a row of weight "
            "0 is not learned from, but stays in validation and test splits.",
            sources=("rows", "text_table", "named", "arrays"),
            flag=Flag("column that says how much each row counts; it is not an input", "COLUMN"),
            schema=_TEXT,
        ),
    )
    split: SplitOrder = field(
        default="random",
        metadata=_about(
            '"random", or "time" for a table: the last rows in the order of `time` are the test split, those before '
            "them the validation split; rows of one moment stay together. A series is always split in order of time.",
            sources=("rows", "series", "text_table"),
            flag=Flag(
                "random (default), or time: test on the last rows of a table in the order of --time",
                "HOW",
            ),
            type=argument_checks.TEXT,
            schema=str,
            choices=get_args(SplitOrder),
        ),
    )
    sheet: str | None = field(
        default=None,
        metadata=_about(
            "name of the sheet of an `.xlsx` workbook; by default the only one with cells. Of several workbooks, each "
            "is read at this sheet.",
            flag=Flag("sheet of an .xlsx workbook; default: the only one with cells", "NAME"),
            type=argument_checks.TEXT,
            schema=_TEXT,
        ),
    )
    header_row: int | None = field(
        default=None,
        metadata=_about(
            "number of the row of the sheet with the column names, from 1; by default the first with cells.",
            flag=Flag(
                "row of the sheet with the column names, from 1; default: the first with cells",
                "N",
                type=int,
            ),
            type=whole_number(1, 1_048_576, "the number of a row, from 1"),
            schema=_COUNT,
        ),
    )
    drop_rare: int | None = field(
        default=None,
        metadata=_about(
            "leave out the rows of classes of a table that have fewer than this number of rows, from the training, "
            "validation and test rows alike; a note counts them.",
            sources=("rows", "text_table"),
            flag=Flag(
                "leave out classes of a table that have fewer than N rows, in all splits",
                "N",
                type=int,
            ),
            type=whole_number(2, 2**31 - 1, "a number of rows, at least 2"),
            schema=_COUNT,
        ),
    )
    calibration: "float | Loadable | None" = field(
        default=None,
        metadata=_about(
            "rows that nothing is trained on and nothing is chosen by, so that sets, intervals and abstention of "
            "`kzoo.predict` keep their promise: a fraction of the rows outside the test split, or a second source. "
            "None: these are learned on the validation rows, and their promise is approximate. In order of time, "
            "drawn rows lie between validation and test rows.",
            flag=Flag(
                "fraction of the data, or a separate source, that only sets and intervals of predictions are learned "
                "on",
                "SOURCE",
                type=fraction_or_source,
            ),
            schema=(float, None),
        ),
    )
    repairs: Any = field(
        default=None,
        metadata=_about(
            "the table of suspects of `kzoo.check(..., wrong_labels=True)`, a path or its rows: those whose column "
            "`accept` says yes get the label of the column `suggestion`, in the training and validation split. Test "
            "rows keep theirs. A row that is not the one that was checked is an error.",
            flag=Flag(
                "suspects.csv of `kzoo check --wrong-labels`: labels that you accepted there are corrected",
                "FILE",
            ),
            schema=(Mapping, None),
        ),
    )
    series_id: str | Sequence[str] | None = field(
        default=None,
        metadata=_about(
            "columns that tell series apart, in a table with a row per step. Unless the preset or the task decides, "
            "numbers that change within a series are forecast, and a target that is constant within each series, or "
            "not numeric, is its label. `time` orders the rows; labelled ones are in order without it. A folder of "
            "folders of `.csv` files has a labelled series per file and a class per folder. Labelled series of "
            "different lengths are padded and masked.",
            sources=("series", "labelled_series"),
            flag=Flag(
                "columns that tell the series of a table apart, a row per step",
                "COLUMN",
                several="words",
                read=_one_or_several,
            ),
            type=argument_checks.NAMES,
            schema=_NAMES,
        ),
    )
    segment: int | None = field(
        default=None,
        metadata=_about(
            "cut series into segments of this many steps, each an example; those of a series stay in one split.",
            sources=("labelled_series", "series_folder"),
            flag=Flag(
                "cut labelled series into segments of N steps, each an example", "N", type=int
            ),
            schema=_COUNT,
        ),
    )
    stride: int | None = field(
        default=None,
        metadata=_about(
            "steps from one segment to the next; `segment` by default.",
            sources=("labelled_series", "series_folder"),
            flag=Flag("steps from one segment to the next; default: --segment", "N", type=int),
            schema=_COUNT,
        ),
    )
    known_covariates: str | Sequence[str] | None = field(
        default=None,
        metadata=_about(
            "columns of a table of many series whose values are known for the steps to forecast, such as promotions. "
            "Rows without a target at the end of a series have them.",
            sources=("series",),
            flag=Flag(
                "columns of many series that are known for the steps to forecast",
                "COLUMN",
                ("--known", "--known-covariates"),
                several="words",
            ),
            type=argument_checks.NAMES,
            schema=_NAMES,
        ),
    )
    static_covariates: str | Sequence[str] | None = field(
        default=None,
        metadata=_about(
            "columns of such a table that are constant within a series, such as a region.",
            sources=("series",),
            flag=Flag(
                "columns of many series that are constant within a series",
                "COLUMN",
                ("--static", "--static-covariates"),
                several="words",
            ),
            type=argument_checks.NAMES,
            schema=_NAMES,
        ),
    )
    date_order: DateOrder | None = field(
        default=None,
        metadata=_about(
            '"day-first" or "month-first": how dates such as `03/02/2024` are read. By default, numbers above 12 '
            "decide for each column, or the only order that gives a regular step. A series whose order nothing "
            "decides is refused; in a table, such dates are read month first, with a note. New rows are read as "
            "training was.",
            sources=("rows", "series", "labelled_series", "series_folder"),
            flag=Flag(
                "how dates such as 03/02/2024 are read; default: detected from the dates of the column"
            ),
            schema=_TEXT,
            choices=get_args(DateOrder),
        ),
    )
    clip: bool = field(
        default=False,
        metadata=_about(
            "clip numeric columns of a table at their 0.1 and 99.9 percentiles (of the training rows).",
            sources=("rows",),
            type=argument_checks.FLAG,
        ),
    )
    quantiles: Sequence[float] | None = field(
        default=None,
        metadata=_about(
            "levels of the quantiles to predict of each target, such as `(0.1, 0.5, 0.9)`: at least two, ascending, "
            'between 0 and 1. The task is then `"quantiles"`.',
            flag=Flag(
                "predict these quantiles of the target, such as 0.1,0.5,0.9",
                "LEVELS",
                type=levels,
                write=lambda value: [",".join(f"{level:g}" for level in value)],
            ),
            schema=([float], None),
        ),
    )
    order: Sequence[str] | None = field(
        default=None,
        metadata=_about(
            'classes in their order, from the lowest to the highest, such as `["low", "medium", "high"]`. The task is '
            'then `"ordinal"`, which predicts ordered classes. Numbers and ordered categoricals of pandas bring their '
            "own order.",
            flag=Flag(
                "predict classes that have this order, such as low,medium,high",
                "CLASSES",
                type=names,
                write=lambda value: [",".join(value)],
            ),
            schema=([str], None),
        ),
    )
    seed: int = field(
        default=0,
        metadata=_about(
            "seed of the split into training, validation and test data. The seed of training does not affect it.",
            flag=Flag(
                "seed for splitting the data into training and test data (default 0)", "N", type=int
            ),
            name="data_seed",
        ),
    )

    def given(self) -> JsonObject:
        """Return name -> value of the options that are not at their defaults, by the argument names of `kzoo.train`."""
        values = {name: getattr(self, name) for name in OPTIONS}
        return {
            OPTIONS[name].name or name: value
            for name, value in values.items()
            if value is not DEFAULTS[name] and (hasattr(value, "shape") or value != DEFAULTS[name])
        }

    def pick(self, *names: str) -> JsonObject:
        """Return some of the options by name."""
        return {name: getattr(self, name) for name in names}


_FIELDS: dict[str, Field[Any]] = {entry.name: entry for entry in fields(DataArguments)}
OPTIONS: dict[str, Option] = {name: entry.metadata["option"] for name, entry in _FIELDS.items()}
DEFAULTS: dict[str, Any] = {name: entry.default for name, entry in _FIELDS.items()}
# Argument of functions that train, and attribute of parsed command lines -> option, and -> flag.
NAMES = {option.name or name: name for name, option in OPTIONS.items() if option.flag is not None}
FLAGS = {
    option.name or name: option.flag for name, option in OPTIONS.items() if option.flag is not None
}
argument_checks.ARGUMENT_TYPES.update(
    (name, option.type) for name, option in OPTIONS.items() if option.type is not None
)
ABOUT_COLUMNS = tuple(name for name, option in OPTIONS.items() if option.sources is not None)


def flag_names(name: str) -> tuple[str, ...]:
    """Return how an option is typed on the command line, by its name in `kzoo.train`."""
    return FLAGS[name].names or (f"--{name.replace('_', '-')}",)


def options_of(source: str) -> tuple[str, ...]:
    """Return the options about columns that apply to a source, by its key."""
    return tuple(name for name in ABOUT_COLUMNS if source in (OPTIONS[name].sources or ()))


def without_effect(accepted: Collection[str]) -> list[str]:
    """Return the options about columns other than those that a source accepts."""
    return [name for name in ABOUT_COLUMNS if name not in accepted]


def check_choices(arguments: DataArguments) -> None:
    """Raise KzooError for an option that is none of its few words."""
    for name, option in OPTIONS.items():
        value = getattr(arguments, name)
        if option.choices and value != DEFAULTS[name] and value not in option.choices:
            words = " or ".join(map(repr, option.choices))
            raise KzooError(f"is unknown. Use {words}.", argument=name, value=value)


def check_names(function: str, arguments: Collection[str]) -> None:
    """Raise TypeError for a name that is no option of data, as Python does for functions without `**`."""
    for name in arguments:
        if name not in OPTIONS:
            raise TypeError(
                f"{function}() got an unexpected keyword argument {name!r}. {hint(name, OPTIONS)}".rstrip()
            )


def with_data_options(
    *without: str, names: Mapping[str, str] = NAMES
) -> Callable[[_Function], _Function]:
    """Decorate a function that takes the options of data by `**`: its signature and docstring list each of them.

    In the docstring, their entries replace the line `{data_options}`.

    Args:
        without: arguments that the function does not take, beside its own.
        names: argument -> option.
    """

    def decorate(function: _Function) -> _Function:
        written = signature(function)
        parameters = list(written.parameters.values())
        taken = {
            name: option
            for name, option in names.items()
            if name not in without and name not in written.parameters
        }
        parameters[-1:-1] = [
            Parameter(
                name,
                Parameter.KEYWORD_ONLY,
                default=DEFAULTS[option],
                annotation=_FIELDS[option].type,
            )
            for name, option in taken.items()
        ]
        if parameters[-1].name == "options":  # takes nothing else
            parameters.pop()
        function.__signature__ = written.replace(parameters=parameters)  # type: ignore[attr-defined]
        if function.__doc__ is not None:  # None with `python -OO`
            entries = [_entry(name, OPTIONS[option].meaning) for name, option in taken.items()]
            # Python 3.13 and later remove the indentation themselves
            function.__doc__ = cleandoc(function.__doc__).replace(
                f"    {_PLACEHOLDER}", "\n".join(entries)
            )
        return function

    return decorate


def _entry(name: str, meaning: str) -> str:
    """Return the entry of an argument in the section `Args` of a docstring."""
    return textwrap.fill(
        f"{name}: {meaning}",
        _WIDTH,
        initial_indent=" " * 4,
        subsequent_indent=" " * 8,
        break_long_words=False,
        break_on_hyphens=False,
    )
