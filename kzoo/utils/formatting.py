"""Text for messages: near names, lists, counts, times, errors. Standard library only."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from typing import Any

_spell: list[Callable[[object], str]] = [str]  # spells the arguments in a message, see `spelling`
_MOST_NEAR = 5_000  # limit of compared names: a table may have very many columns
_PLURALS = {
    "category": "categories",
    "class": "classes",
    "series": "series",
    "known": "known",
    "static": "static",
}
# Control characters except newline and tab, Unicode line separators, and changes of the writing direction.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def hint(word: object, legal: Iterable[str]) -> str:
    """Return `"Did you mean 'x'? "`, or an empty string if no legal name is near."""
    by_lower = {str(name).lower(): name for name in islice(legal, _MOST_NEAR)}
    near = import_module("difflib").get_close_matches(str(word).lower(), by_lower, n=1, cutoff=0.6)
    return f"Did you mean {by_lower[near[0]]!r}? " if near else ""


def listed(items: Iterable[object], most: int = 3, *, separator: str = ", ") -> str:
    """Join the first few items, with the number of the others: `a, b, c and 4 more`.

    Names such as `seed=3` are quoted: unquoted ones in messages are arguments.
    """
    names = [repr(str(item)) if re.match(r"\w+=", str(item)) else str(item) for item in items]
    return separator.join(names[:most]) + (
        f" and {len(names) - most} more" if len(names) > most else ""
    )


HUGE = 10**300  # limit of whole numbers, close to the largest float
MOST = 10**9  # limit of steps, epochs, trials, rows of a batch


def as_python(value: object) -> Any:
    """Return a NumPy scalar as a Python object; anything else unchanged."""
    return (
        value.tolist()
        if getattr(value, "shape", None) == () and hasattr(value, "tolist")
        else value
    )


def length_of(value: object) -> int | None:
    """Return the length of an object; None if it has none."""
    try:
        return len(value)  # type: ignore[arg-type]
    except Exception:
        return None


def shown(value: object, most: int = 40) -> str:
    """Return the `repr` of a user's value on one line, truncated."""
    try:
        text = " ".join(repr(as_python(value)).split())
    except Exception:  # a custom object whose repr fails, or an integer of thousands of digits
        noun = (
            f"very large {type(value).__name__}" if isinstance(value, int) else type(value).__name__
        )
        text = f"{'an' if noun[:1] in 'aeiouAEIOU' else 'a'} {noun}"
    return text if len(text) <= most else f"{text[: most - 1]}…"


def printable(text: object) -> str:
    """Escape control characters and changes of the writing direction: `\\x1b`."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), str(text))


@contextmanager
def spelling(respell: Callable[[object], str]) -> Iterator[None]:
    """Spell the arguments in messages with `respell` while the context is active, as the command line does."""
    previous, _spell[0] = _spell[0], respell
    try:
        yield
    finally:
        _spell[0] = previous


def spelled(text: object) -> str:
    """Return a message with its arguments spelled for its reader: `time=` is `--time` on the command line."""
    return _spell[0](text)


def csv_cell(cell: object) -> object:
    """Return a cell of a CSV file; a text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if not isinstance(cell, str) or not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def percent(share: float) -> str:
    """Format a share as a percentage with a no-break space: 98.1 %."""
    return f"{100 * share:.1f}\u00a0%"


def short_percent(share: float) -> str:
    """Format a share that was asked for as a percentage with a no-break space, as short as it is: 90 %, 99.5 %."""
    return f"{100 * share:.6g}\u00a0%"


def number(value: float | None) -> str:
    """Format whole numbers in full, others with four digits."""
    if value is None:
        return "not known"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


Value = float | str | None | Sequence["Value"] | Mapping[str, "Value"]


def format_value(value: Value) -> str:
    """Format a number, a text, a list (`3 x 64`) or a dict (`shortest 3, longest 64`)."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {format_value(inner)}" for name, inner in value.items())
    return " x ".join(map(format_value, value)) if isinstance(value, Sequence) else number(value)


def plural(count: int, noun: str) -> str:
    """Format a count with its noun: `1 epoch`, `1,200 epochs`."""
    return f"{count:,} {noun if count == 1 else _PLURALS.get(noun, f'{noun}s')}"


def moments(times: Iterable[Any]) -> list[str]:
    """Format times, as short as all of them allow: `2024-02-29`, `2024-02-29 05:00`, `2024-02-29 05:00:30+01:00`."""
    times = list(times)
    if not all(hasattr(time, "isoformat") for time in times):
        return [f"{time:.15g}" if isinstance(time, float) else str(time) for time in times]
    clocks = [
        (time.hour, time.minute, time.second, time.microsecond, time.utcoffset()) for time in times
    ]
    if all(clock == (0, 0, 0, 0, None) for clock in clocks):
        return [time.date().isoformat() for time in times]
    whole = all(second == microsecond == 0 for _, _, second, microsecond, _ in clocks)
    return [time.isoformat(sep=" ", timespec="minutes" if whole else "auto") for time in times]


def in_bytes(count: float) -> str:
    """Format a size in bytes: `512 KiB`, `2.1 GiB`."""
    size = count / 2**10
    unit = "KiB"
    for larger in ("MiB", "GiB", "TiB"):
        if size < 1000:
            break
        size = size / 2**10
        unit = larger
    return f"{size:.1f} {unit}" if size < 9.95 else f"{size:,.0f} {unit}"


def duration(seconds: float) -> str:
    """Format a duration in a readable unit: `0.4 s`, `42 s`, `12 min`, `3 h 5 min`."""
    if round(seconds) < 60:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def aligned(rows: Iterable[Iterable[Any]], *, right: Iterable[int] = ()) -> list[str]:
    """Return a line for each row, with aligned columns.

    Args:
        rows: the cells; the first row is the header.
        right: indices of the right-aligned columns.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = set(right)
    lines = []
    for row in cells:
        padded = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return lines


def cut(text: object, most: int = 40) -> str:
    """Return a text on one line, truncated."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def first_line(error: BaseException) -> str:
    """Return the first informative line of an error's message, without its full stop, or the error's type.

    Lines that end in a colon are skipped, such as Keras' `Exception encountered when calling layer:`.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = next((line for line in lines if not line.endswith(":")), type(error).__name__)
    return first[:200].rstrip(".")
