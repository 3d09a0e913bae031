"""Stored preprocessors: what each kind of input learned on training data. The schema of a stored one is its class.

Standard library only.
"""

from collections.abc import Callable
from typing import Annotated, Literal, NotRequired, TypeAlias, TypedDict

from kzoo.utils.schema import Each, Some

_DATE_PARTS = ("year", "month", "day", "weekday", "hour")
TimeFormat: TypeAlias = Literal["numbers", "day first", "month first", "YYYYMMDD", "YYYYMM"]


class NumberFormat(TypedDict, total=False):
    """How a column of texts writes its numbers."""

    decimal: str
    thousands: str
    marks: list[str]


def _from_2_to(high: int) -> Callable[[object, str], str | None]:
    """Return the schema of a whole number from 2 to `high`."""

    def check(value: object, where: str) -> str | None:
        fits = isinstance(value, int) and not isinstance(value, bool) and 2 <= value <= high
        return None if fits else f"{where} is {value!r:.40}"

    return check


# === Tables ===


class _NumberColumn(TypedDict):
    kind: Literal["number"]
    name: str
    median: float
    missing: bool
    low: NotRequired[float]
    high: NotRequired[float]
    writing: NotRequired[NumberFormat | None]
    unreadable: NotRequired[bool]


class _DateColumn(TypedDict):
    kind: Literal["date"]
    name: str
    medians: Annotated[dict[str, float], Each(float, _DATE_PARTS)]
    missing: bool
    day_first: NotRequired[bool]
    zoned: NotRequired[bool]
    unreadable: NotRequired[bool]


class _CategoryColumn(TypedDict):
    kind: Literal["category"]
    name: str
    values: list[str]


class _TextColumn(TypedDict):
    kind: Literal["text"]
    name: str
    buckets: Annotated[int, _from_2_to(2**24)]
    length: Annotated[int, _from_2_to(2**16)]


class LearnedColumn(TypedDict, total=False):
    """A column of a table, as it was learned; its stored keys are those of its kind.

    Args:
        median: of a number column; missing cells are filled with it.
        missing: whether x has an indicator of missing cells.
        low, high: to which numbers are clipped.
        writing: how numbers are written in texts.
        unreadable: whether some cells of the training rows could not be read.
        medians: of the parts of a date.
        day_first: whether 03/02/2024 is in February.
        zoned, zone: whether times have a zone; the one of new rows, which is not stored.
        values: the categories, whose codes begin with 1.
        blank: whether an empty text is a category, not a missing cell.
        buckets, length: of a text column: different ids, and ids of a cell.
    """

    kind: str
    name: str
    median: float
    missing: bool
    low: float
    high: float
    writing: NumberFormat | None
    unreadable: bool
    medians: dict[str, float]
    day_first: bool
    zoned: bool
    zone: str | None
    values: list[str]
    blank: bool
    buckets: int
    length: int


class TablePreprocessor(TypedDict):
    """Of kind "table": the learned columns, in the order of x.

    Args:
        targets: names of the target columns.
        classes: names of the classes.
        zones: date column -> time zone.
        separator: of the labels in a cell of the target.
        month_first: date columns whose dates were read month first although both orders were possible.
        writings: target column -> how its numbers are written.
    """

    kind: str
    columns: Annotated[
        list[LearnedColumn], [(_NumberColumn, _DateColumn, _CategoryColumn, _TextColumn)]
    ]
    targets: NotRequired[list[str]]
    classes: NotRequired[list[str]]
    zones: NotRequired[dict[str, str]]
    separator: NotRequired[str]
    month_first: NotRequired[list[str]]
    writings: NotRequired[dict[str, NumberFormat | None]]


# === Images and texts ===


class ImagePreprocessor(TypedDict):
    """Of kind "image": height, width and channels, and how images are made to fit them.

    Args:
        resize: "cover": the middle of an image is used.
        background: the color below transparent pixels.
        separator: of the labels in a cell of the table.
    """

    kind: str
    shape: list[int]
    resize: NotRequired[str]
    background: NotRequired[str]
    separator: NotRequired[str]


class TextPreprocessor(TypedDict):
    """Of kind "text" or "language": a vocabulary and how texts are cut into its tokens.

    Args:
        length: tokens of an example.
        level: "words", "characters" or "pieces".
        ngrams: the longest run of words that has an id of its own.
        column: of the texts in a table.
        padding: the id of padding, of kind "language".
        scores, charsmap: of a tokenizer of pieces.
    """

    kind: str
    length: int
    level: str
    ngrams: NotRequired[int | None]
    lowercase: bool
    punctuation: bool
    vocabulary: list[str]
    column: NotRequired[str | None]
    padding: NotRequired[int]
    separator: NotRequired[str]
    scores: NotRequired[list[float]]
    charsmap: NotRequired[str]


# === Series ===


class Covariate(TypedDict):
    """A covariate of many series; one with `categories` is a category."""

    name: str
    role: Literal["known", "static"]
    categories: NotRequired[list[str]]
    writing: NotRequired[NumberFormat | None]


class SeriesPreprocessor(TypedDict):
    """Of kind "series": the columns of a window, in the order of x, targets first.

    Args:
        steps: of a window.
        time: the column of times.
        writings: column -> how its numbers are written.
        times: how the times are written.
        outputs: how many of the columns are targets.
        zones: date column -> time zone.
        ranges: column -> lowest and highest value.
        uneven: whether the times of training have no regular step.
        fill: from how many seasons missing targets are filled in; absent: from one.
        calendar: see `kzoo.inference.kinds.series.calendar`; an invalid one counts as none.
        series_id, covariates, horizon, ids: of a panel of several series (see `kzoo.inference.kinds.series.panel`).
    """

    kind: str
    columns: list[str]
    steps: int
    time: NotRequired[str | None]
    writings: NotRequired[dict[str, NumberFormat | None] | None]
    times: NotRequired[TimeFormat | None]
    outputs: NotRequired[int | None]
    zones: NotRequired[dict[str, str]]
    ranges: NotRequired[dict[str, Annotated[list[float], Some(float, count=2)]]]
    uneven: NotRequired[bool]
    fill: NotRequired[Literal["seasons"]]
    calendar: NotRequired[object]
    series_id: NotRequired[list[str]]
    covariates: NotRequired[list[Covariate]]
    horizon: NotRequired[int]
    ids: NotRequired[list[str]]


class LabelledSeriesPreprocessor(TypedDict):
    """Of kind "series_examples": the columns of labelled series; `segment` is the length of one and the stride."""

    kind: str
    columns: list[str]
    series_id: list[str]
    steps: int
    padded: bool
    time: str | None
    segment: NotRequired[Annotated[list[int], Some(int, count=2)]]
    writings: NotRequired[dict[str, NumberFormat | None] | None]
    times: NotRequired[TimeFormat | None]
