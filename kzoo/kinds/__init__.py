"""What is read: a folder for each kind of input. Standard library only, until one of its halves is used.

A `Kind` states facts about one input, and the sources that it is read from. Everything else that depends on the kind
lies in its folder: `inference.py`, NumPy alone (Pillow where an image is decoded), which an exported model's runtime
needs too, and `fitting.py`. Other code asks for a fact (`"pixels" in kind.facts`) or calls one of these functions; it
never compares names. A *preprocessor*, `reader` in the code, is plain JSON data, learned on training data and stored
with a run: what turns raw inputs into `x`, the same in training, checking and predicting.

Inference half:
    read(reader, raw) -> (x, items)         raw inputs with a reader; what each row of x was made of, for its name; a
                                            file that cannot be read has no row: its item is an `Unread`
    glance(given, form, asked)              refuse a source for its names alone: of a table's columns, in a folder; this
                                            and the next need not be there
    glance_new(reader, given, targets)      the same for new data with its answers
    gather(words) -> raw                    the words of a command line: files, folders, texts
    gather_lines(lines) -> raw              the lines of standard input, where they differ from these; need not be there
    received(reader, given, most) -> raw    what came from elsewhere, as JSON has it, with `bytes` for the content of a
                                            file: no text in it is a path. No more than so many inputs.
                                            This and the next three need not be there
    check(reader, x)                        refuse an x of the network's own shape that `read` would not make
    form(reader) -> dict                    what a page has to ask for, as plain data
    example(reader, x) -> given             an input as `received` takes it, to begin with; x is a golden one
    show(reader, x, names) -> Shown         rows of x as people see them; None where there is nothing to show
    ahead(reader, raw, steps) -> times      of a series, where it has any: when the steps after it come
    views(x, name) -> (share, x) pairs      other looks of the inputs, for test-time augmentation; need not be there
    draw(given, random, shape) -> x         inputs that a network could be given; edges(given, rows): the extreme ones

Fitting half:
    load(source, form, ...) -> Dataset      learn a reader, and what the data says of the network
    take(x, preset) -> x                    an array as it is given, checked, in the kind's axes and dtype
    fit(x, train, ...) -> (x, config, reader)   what an array says of the network
    asked_of(x, config) -> config           what a network's settings ask of the training inputs; need not be there
    labelled(reader, source, ...) -> Split  new data with its answers, still raw unless the inputs hold them
    simple_forecasts(reader, part)          of a series: what needs no network, to stand beside its scores
    fresh(reader, source, targets) -> Fresh     new data as it is, to be looked at
    describe(x, names, categories) -> (names, numbers)   a few numbers for each input: what drift is measured on
    overview(data) -> dict                  what it says of how data was read (`Dataset.overview`); need not be there

A folder here is found by listing, a kind of an installed package by its entry point in the group `kzoo.kinds`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from kzoo.utils.discovery import Names, installed, list_modules, load_part
from kzoo.utils.errors import KzooError
from kzoo.utils.schema import Words, misfit

PLAIN = "rows"  # what an array is taken for when nothing says what it is
STEPS = 96  # in a window of a series, where neither a setting nor data says how many
READY = "array"  # the reader of every kind that takes arrays and nothing else: they are ready


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A form in which inputs of a kind come.

    Args:
        name: in words: "a folder of images".
        form: "tabular" (a DataFrame, or a file of one), "folder" (of classes, with files in it) or "file".
        suffixes: of the files; a table's are those of `kzoo.sources.tables.files`.
        order: "ordered" or "unordered": whether its rows follow one another.
        usual: what it is for where nobody says, as `task=` would; empty where the target decides.
        options: the arguments of `kzoo.load_data` about columns that have a meaning for it.
        rest: in words, what those that have none are refused for; the name of the file where it is empty.
    """

    name: str
    form: str
    suffixes: tuple[str, ...] = ()
    order: str = ""
    usual: str = ""
    options: tuple[str, ...] = ()
    rest: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Kind:
    """One kind of input.

    Args:
        name: what a preset's config says as `inputs`, such as "tokens".
        room: the module that holds `inference` and `fitting`.
        dtype: of x, as the network takes it.
        axes: of one x, in words.
        meaning: what x holds, for people.
        facts: "columns": the last axis has a name for each place; "pixels": 0..255; "ids": whole numbers that stand for
            tokens, 0 for padding and 1 for an unknown one; "steps": the first axis has an order.
        readers: name in stored preprocessing -> its form (see `kzoo.utils.schema`).
        sources: what its data is read from.
        example: an input on the command line.
        makes: function of a stored reader: what it says of the network, by the builders' names, such as `input_shape`.
        few: rows that the checks read of a split.
        batch: rows that the checks run a network on.
    """

    name: str
    room: str
    dtype: str
    axes: tuple[str, ...]
    meaning: str
    facts: frozenset
    readers: Mapping[str, Mapping]
    sources: tuple[Source, ...]
    example: str
    makes: Callable = lambda reader: {}
    few: int = 5_000
    batch: int = 32

    @cached_property
    def inference(self):
        """The half that NumPy is enough for: `read`, `gather`, `show`, `draw`, `edges`."""
        return load_part(self.room, "inference", "light")

    @cached_property
    def fitting(self):
        """The other half: `load`, `take`, `fit`, `labelled`, `fresh`, `describe`."""
        return load_part(self.room, "fitting", "learn")


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """Rows of x as people see them.

    Args:
        form: "image", "text" or "row": how a page lays them out.
        heads: of the columns.
        cells: one for each row: a list of strings, or an image as `{"url": ..., "small": ...}`.
        mark: what stands in cells for what the model cannot read; None where it reads all.
        legend: a sentence that says what the mark is.
    """

    form: str
    heads: list
    cells: list
    mark: str | None = None
    legend: str = ""


@dataclass(kw_only=True, eq=False)
class Fresh:
    """New data as it is, before anybody has said that it fits.

    Args:
        x: what could be read; None where that is nothing.
        answers: raw labels (N,) or the columns of a DataFrame; None without any.
        frame: the table, where there is one.
        missing: columns of the reader that it lacks.
        seen: what only reading sees, such as the times of a series (see `Dataset.seen`); None where that is nothing.
    """

    x: object = None
    answers: object = None
    frame: object = None
    missing: tuple = ()
    seen: object = None


@cache
def _kinds() -> dict:
    """Return name -> kind of this folder."""
    return {kind.name: kind for kind in list_modules("kzoo.kinds", "KIND", folders=True).values()}


def kinds() -> dict:
    """Return name -> kind, those of installed packages among them."""
    return _kinds() | {kind.name: kind for kind in installed("kzoo.kinds").values()}


NAMES = Names(_kinds, kinds)


def kind(name: str) -> Kind:
    """Return a kind by the word that presets say as `inputs`.

    Raises:
        KzooError: no such kind.
    """
    found = _kinds().get(name) or kinds().get(name)  # packages are looked through last: that takes time
    if found is None:
        raise KzooError(f"Unknown kind of input {name!r}. It is one of: {', '.join(kinds())}.")
    return found


def kind_of(reader: Mapping) -> Kind:
    """Return the kind that a stored reader, a run's or an exported model's preprocessing, reads.

    Raises:
        KzooError: no such reader.
    """
    word = reader.get("kind")
    if word == READY:
        return kind(reader["inputs"])
    for known in (_kinds, kinds):
        if found := next((one for one in known().values() if word in one.readers), None):
            return found
    readers = [reader for one in kinds().values() for reader in one.readers]
    raise KzooError(f"Unknown kind of preprocessing {word!r}; expected one of: {', '.join([*readers, READY])}.")


def takes_ready_arrays(reader: Mapping) -> bool:
    """Say whether a stored reader takes arrays that are ready, and nothing else."""
    return reader["kind"] == READY


def fits(shape, takes) -> bool:
    """Say whether a shape is one that is taken, of which an axis that is None takes any length."""
    return len(shape) == len(takes) and all(b in (None, a) for a, b in zip(shape, takes, strict=True))


def misread(reader: object, config: Mapping) -> str | None:
    """Say what of a stored reader is not as its kind wrote it, as the end of a sentence; None where all of it is.

    Args:
        reader: what is stored.
        config: of the network; of what it does not say, and of axes that are None, nothing is compared.
    """
    if wrong := misfit(reader, {"kind": str}):
        return wrong
    assert isinstance(reader, Mapping)
    if takes_ready_arrays(reader):
        return misfit(reader, {"inputs": str, "shape": [int]}) or misfit(reader["inputs"], Words(tuple(kinds())))
    try:
        kind = kind_of(reader)
    except KzooError as error:
        return f"holds something else: {error}".rstrip(".")
    if wrong := misfit(reader, kind.readers[reader["kind"]]):
        return wrong
    for name, makes in kind.makes(reader).items():
        takes = config.get(name) or makes
        if misfit(takes, [(int, None)], name):
            return f"cannot be compared with a network of {name} {takes!r:.40}"
        if not fits(makes, takes):
            return f"makes inputs of {name} {makes}, and the network takes {list(takes)}"
    return None


def encoding(reader: Mapping) -> dict:
    """Return what of a stored reader decides `x`.

    Times of a series and what is forecast say where it ends, and which dates of a table had the month first, and in
    which zone times are, says how new rows are read.
    """
    aside = ("calendar", "times", "outputs", "month_first", "zones")
    return {name: value for name, value in reader.items() if name not in aside}


def ready(name: str, shape) -> dict:
    """Return the reader of arrays that are ready.

    Args:
        name: of the kind.
        shape: of one x.
    """
    return {"kind": READY, "inputs": name, "shape": list(shape)}


def with_facts(*facts: str) -> list[Kind]:
    """Return the kinds that have these facts."""
    return [one for one in kinds().values() if one.facts >= set(facts)]


def of_axes(count: int, *, whole=False) -> Kind:
    """Return the kind that an array is taken for by its look.

    Args:
        count: its axes, that of the examples among them.
        whole: it holds whole numbers that may be ids.
    """
    fitting = [one for one in _kinds().values() if len(one.axes) + 1 == count]
    return next((one for one in fitting if ("ids" in one.facts) == whole), None) or next(
        (one for one in fitting if "ids" not in one.facts), _kinds()[PLAIN]
    )
