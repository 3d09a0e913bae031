"""Kinds of input: rows, image, text and series, a module each. Imports only the standard library until `inference` or
`fitting` of a kind is used.

A `Kind` states facts about one kind of input and the sources it is read from. Everything else that depends on the kind
is in its halves (`kzoo.problems.halves` says where they are): the inference half, which needs only NumPy (and Pillow
to decode images) and which the runtime of exported models uses too, and the fitting half. Other code asks for a fact
(`"pixels" in kind.facts`) or calls one of the functions below; it never compares names. A *preprocessor* (`reader` in
the code) is plain JSON data, learned on training data and stored with a run. It turns raw inputs into `x`, in the same
way for training, checking and predicting.

Functions of `inference.py`; those marked (optional) may be missing:
    read(reader, raw) -> (x, items)         encode raw inputs; `items` has the source of each row of x, used as its
                                            name. A file that cannot be read has no row: its item is an `Unread`
    glance(given, form, asked)              (optional) refuse a source by its names alone: columns of a table, files of
                                            a folder
    glance_new(reader, given, targets)      (optional) the same for new labelled data
    gather(words) -> raw                    the inputs that command-line arguments name: files, folders, texts
    gather_lines(lines) -> raw              (optional) the same for lines of standard input
    received(reader, given, most) -> raw    (optional) inputs of a request: JSON values, `bytes` for the content of a
                                            file. No text in them is taken for a path. At most `most` inputs
    check(reader, x)                        (optional) refuse an encoded x that `read` cannot have made
    form(reader) -> dict                    (optional) the fields of an input form, as plain data
    example(reader, x) -> given             (optional) an example input as `received` takes it; x is a golden input
    show(reader, x, names) -> Shown         rows of x for display; None if they cannot be shown
    ahead(reader, raw, steps, x) -> times   (optional) of a series: the times of the next steps, if it has times
    error_scale(reader, x, measured)        (optional) of a series: the size of its own errors (N, targets)
    identity(reader, raw, x) -> (ids, written)  (optional) of a series: id column -> cell of each row of x, and how
                                            its times are written (an object with `write`, or None); None for arrays
    make_future(reader, raw, steps) -> columns  (optional) of series: the rows of the next steps, to be filled in
    band_note(reader, config) -> notes      (optional) of a series: about bands of models of earlier versions
    views(x, name) -> (share, x) pairs      (optional) augmented inputs and their weights, for test-time augmentation
    parts(reader, config, names)            (optional) the `InputPart`s of an input, whose influence is explained
    typical(reader, statistics) -> x        (optional) one x of medians and most frequent categories; None if unknown
    texts_of(reader, raw) -> texts          (optional) raw inputs as texts
    left_out(reader, text) -> (pieces, x)   (optional) pieces of a text, and its x without each of them
    bag(reader, text) -> Bag                (optional) a text as a set of tokens; `bag_of_ids` of encoded ids
    text_of_ids(reader, ids) -> text        (optional) a text with these ids; None without one
    draw(given, random, shape) -> x         random inputs in a plausible range
    edges(given, rows)                      extreme inputs

Functions of `fitting.py`:
    load(request) -> Dataset                learn a preprocessor, and the settings that the data fixes, from a
                                            `kzoo.data.options.LoadRequest`. A `load` without an argument `request` is
                                            called as `load(source, form, problem=, name=, preset=, validation=, test=,
                                            seed=, ...)`, with the options of its source
    order_of(source, ...) -> (source, order, notes)   (optional) of many series: whether they are forecast or labelled
    take(x, preset) -> x                    check an array, and convert it to the axes and dtype of the kind
    fit(x, train, ...) -> (x, config, reader)   learn from an array
    merge_preprocessors(readers) -> reader, selections
                                            (optional) one preprocessor for networks that learned columns on different
                                            rows, and what each reads of its `x`
    asked_of(x, config) -> config           (optional) settings that are learned from the encoded training inputs
    labelled(reader, source, ...) -> Split  new labelled data; labels are raw unless the inputs contain them. It gets
                                            `sample_weight=`, a column, if the run was trained with weights
    simple_forecasts(reader, part)          (optional) of a series: forecasts of the baselines
    season_history(reader, part, count)     (optional) of a series: the last values of the same season
    seasonal_scales(reader, data, part)     (optional) of a series: the size of its seasonal differences
    error_scale(reader, part)               (optional) of a series: what `error_scale` above returns for a split
    weighs_series(data) -> bool             (optional) of series: whether there are several, with a scale each
    loss_weights(data, part, degree)        (optional) of these: how much each window of a split counts in the loss
    fresh(reader, source, targets) -> Fresh     new data for the checks, not validated yet
    describe(x, names, categories) -> (names, numbers)   a few numbers for each input, on which drift is measured
    overview(data) -> dict                  (optional) how the data was read (`Dataset.overview`)

Kinds of this folder are discovered by listing it, those of installed packages by the entry-point group `kzoo.kinds`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from types import ModuleType
from typing import Any

from kzoo.problems.data_arguments import options_of
from kzoo.problems.halves import half_of
from kzoo.problems.layout import Preprocessor
from kzoo.problems.stored_types import Config
from kzoo.utils.discovery import Names, installed, list_modules
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.schema import Words, misfit

DEFAULT_KIND = "rows"  # kind of an array if nothing else is stated
DEFAULT_STEPS = 96  # length of a window of a series, if neither a setting nor the data decides it
DEFAULT_PIECES = (
    64  # of a text in pieces of words, if neither a setting nor the data decides their number
)
READY = "array"  # kind of the preprocessor of encoded arrays, the same for all kinds of input


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A form in which inputs of a kind come.

    Args:
        name: for messages, such as "a folder of images".
        form: "tabular" (a DataFrame or a table file), "folder" (of classes, with files in it), "labels" (a folder of
            files and a table that labels them, or the path of the table) or "file".
        suffixes: file suffixes; those of tables are in `kzoo.inference.tables.files`.
        order: "ordered" or "unordered": whether its rows follow one another.
        usual: default problem, as `task=` takes it; empty if the target decides.
        key: its name in the table of the options of data; those about columns that apply to it are added to `options`.
        options: arguments of `kzoo.load_data` about columns that apply to it.
        rest: name used in the error about the other arguments; empty for the name of the file.
    """

    name: str
    form: str
    suffixes: tuple[str, ...] = ()
    order: str = ""
    usual: str = ""
    key: str = ""
    options: tuple[str, ...] = ()
    rest: str = ""

    def __post_init__(self) -> None:
        """Add the options that the table names for this source."""
        object.__setattr__(self, "options", (*self.options, *options_of(self.key)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Kind:
    """One kind of input.

    Args:
        name: the value of `inputs` in a preset's config, such as "tokens".
        room: the module that contains `inference` and `fitting`.
        dtype: dtype of x, as the network takes it.
        axes: names of the axes of one x.
        meaning: description of x for users.
        facts: "columns": the last axis has named columns; "pixels": values 0..255; "ids": whole numbers that are token
            ids, 0 for padding and 1 for an unknown token; "steps": the first axis is ordered.
        readers: kind of a stored preprocessor -> its schema (see `kzoo.utils.schema`).
        sources: sources of its data.
        example: placeholder of an input on the command line.
        makes: function of a preprocessor that returns the settings it fixes, by the builders' argument names, such as
            `input_shape`.
        few: number of rows of a split that the checks read.
        batch: batch size with which the checks run a network.
        fitted_to_preset: whether a preset determines how inputs are read, such as the length of texts.
        variants: kinds with the same name and sources, of other preprocessors and with halves of their own.
    """

    name: str
    room: str
    dtype: str
    axes: tuple[str, ...]
    meaning: str
    facts: frozenset
    readers: Mapping[str, object]
    sources: tuple[Source, ...]
    example: str
    makes: Callable = lambda reader: {}
    few: int = 5_000
    batch: int = 32
    fitted_to_preset: bool = True
    variants: "tuple[Kind, ...]" = ()

    def of_source(self, source: Source) -> "Kind":
        """Return the variant of the kind that has a source."""
        return next((variant for variant in self.variants if source in variant.sources), self)

    def of_preprocessor(self, reader: Preprocessor) -> "Kind":
        """Return the variant of the kind that a stored preprocessor is of."""
        return next((v for v in self.variants if reader.get("kind") in v.readers), self)

    @property
    def is_table(self) -> bool:
        """Whether an input is a row of a table: named columns, in no order of time."""
        return "columns" in self.facts and "steps" not in self.facts

    @property
    def is_series(self) -> bool:
        """Whether an input is some steps of named columns."""
        return self.facts >= {"columns", "steps"}

    @cached_property
    def inference(self) -> ModuleType:
        """The module that applies a preprocessor (NumPy): `read`, `gather`, `show`, `draw`, `edges`."""
        return import_module(half_of(self.room, "inference", "light"))

    @cached_property
    def fitting(self) -> ModuleType:
        """The module that learns a preprocessor: `load`, `take`, `fit`, `labelled`, `fresh`, `describe`."""
        return import_module(half_of(self.room, "fitting", "learn"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """Rows of x for display.

    Args:
        form: layout on a page: "image", "text" or "row".
        heads: column headers.
        cells: one entry per row: a list of strings, or an image as `{"url": ..., "small": ...}`.
        mark: placeholder in cells for what the model cannot read; None if it reads everything.
        legend: a sentence that explains the mark.
    """

    form: str
    heads: list
    cells: list
    mark: str | None = None
    legend: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class InputPart:
    """A part of an input whose influence on predictions is explained, such as a column of a table.

    Args:
        name: of the part.
        type: "number", "category", "date", "text" or "steps".
        features: (k,) indices of its numbers in a flattened input. The first ones order numbers and dates.
        cell: function of these numbers (k,) of one input that returns the part as text.
        missing: whether the last of these numbers is 1 for a missing value, else 0.
    """

    name: str
    type: str
    features: Any
    cell: Callable
    missing: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Bag:
    """A text as the set of its tokens.

    Args:
        pieces: the text, cut at the ends of its words.
        ids: ids of its tokens, as the network reads them.
        names: of these tokens.
        members: for each token, the indices of the pieces that it consists of, wherever it occurs.
    """

    pieces: list
    ids: list
    names: list
    members: list


@dataclass(kw_only=True, eq=False)
class Fresh:
    """New data for the checks, before it is validated.

    Args:
        x: encoded inputs of what could be read; None if nothing could.
        answers: raw labels (N,) or target columns as a DataFrame; None without labels.
        frame: the table, if the data is one.
        missing: columns of the preprocessor that the data lacks.
        seen: facts that only reading yields, such as the times of a series (see `Dataset.seen`); None without any.
    """

    x: object = None
    answers: object = None
    frame: object = None
    missing: Sequence[str] = ()
    seen: object = None


@cache
def _kinds() -> dict[str, Kind]:
    """Return name -> kind of this folder."""
    return {kind.name: kind for kind in list_modules("kzoo.problems.kinds", "KIND").values()}


def kinds() -> dict[str, Kind]:
    """Return name -> kind, including those of installed packages."""
    return _kinds() | {kind.name: kind for kind in installed("kzoo.kinds").values()}


NAMES = Names(_kinds, kinds)


def kind(name: str) -> Kind:
    """Return the kind of this name, the value of `inputs` in presets.

    Raises:
        KzooError: unknown kind.
    """
    # installed packages last: searching them is slow
    match = _kinds().get(name) or kinds().get(name)
    if match is None:
        raise KzooError(
            f"Unknown kind of input: {name!r}. Use one of: {', '.join(kinds())}.", value=name
        )
    return match


def kind_of(reader: Preprocessor) -> Kind:
    """Return the kind of input that a stored preprocessor of a run or an exported model reads.

    Raises:
        KzooError: unknown kind of preprocessor.
    """
    name = reader.get("kind")
    if name == READY:
        return kind(reader["inputs"])
    for registry in (_kinds, kinds):
        if match := next((kind for kind in _with_variants(registry) if name in kind.readers), None):
            return match
    names = [stored for kind in _with_variants(kinds) for stored in kind.readers]
    raise KzooError(
        f"Unknown kind of preprocessing: {name!r}; expected one of: {', '.join([*names, READY])}.",
        value=name,
    )


def _with_variants(registry: Callable[[], Mapping[str, Kind]]) -> Iterator[Kind]:
    for candidate in registry().values():
        yield from (candidate, *candidate.variants)


def takes_ready_arrays(reader: Preprocessor) -> bool:
    """Return whether a stored preprocessor takes only encoded arrays."""
    return reader["kind"] == READY


def shape_matches(shape: Sequence[int | None], expected: Sequence[int | None]) -> bool:
    """Return whether a shape matches an expected one, in which None matches any size."""
    return len(shape) == len(expected) and all(
        expected_size in (None, size) for size, expected_size in zip(shape, expected, strict=True)
    )


def preprocessor_mismatch(reader: object, config: Config) -> str | None:
    """Return why a stored preprocessor is invalid, as the end of a sentence; None if it is valid.

    Args:
        reader: the stored preprocessor.
        config: settings of the network. Settings that it lacks, and sizes that are None, are not compared.
    """
    if mismatch := misfit(reader, {"kind": str}):
        return mismatch
    assert isinstance(reader, Mapping)
    if takes_ready_arrays(reader):
        return misfit(reader, {"inputs": str, "shape": [int]}) or misfit(
            reader["inputs"], Words(tuple(kinds()))
        )
    try:
        kind = kind_of(reader)
    except KzooError as error:
        return f"is invalid: {error}".rstrip(".")
    if mismatch := misfit(reader, kind.readers[reader["kind"]]):
        return mismatch
    for name, produced in kind.makes(reader).items():
        expected = config.get(name) or produced
        if misfit(expected, [(int, None)], name):
            return f"cannot be compared with a network of {name} {expected!r:.40}"
        if not shape_matches(produced, expected):
            return f"makes inputs of {name} {produced}, but the network takes {list(expected)}"
    return None


def encoding_settings(reader: Preprocessor) -> JsonObject:
    """Return the part of a stored preprocessor that determines `x`.

    Excluded are the calendar, time format and outputs of a series, which determine where it ends, how its missing
    values are filled in and what the repeated first rows of new ones know, and the date order and time zones of a
    table, which determine how new rows are read.
    """
    of_series = ("calendar", "times", "outputs", "fill", "padded_ahead")
    ignored = (*of_series, "month_first", "zones", "separator")
    return {name: value for name, value in reader.items() if name not in ignored}


def array_preprocessor(name: str, shape: Sequence[int | None]) -> JsonObject:
    """Return the preprocessor of encoded arrays.

    Args:
        name: name of the kind.
        shape: shape of one x.
    """
    return {"kind": READY, "inputs": name, "shape": list(shape)}


def kind_of_array(count: int, *, whole: bool = False) -> Kind:
    """Return the kind of an array, guessed from its number of axes and its dtype.

    Args:
        count: number of axes, including that of the examples.
        whole: whether it holds whole numbers that may be token ids.
    """
    candidates = [candidate for candidate in _kinds().values() if len(candidate.axes) + 1 == count]
    return next(
        (candidate for candidate in candidates if ("ids" in candidate.facts) == whole), None
    ) or next(
        (candidate for candidate in candidates if "ids" not in candidate.facts),
        _kinds()[DEFAULT_KIND],
    )
