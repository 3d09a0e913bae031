"""How data was read, as `kzoo check` prints it."""

from kzoo.cli import common, tables
from kzoo.dataset.summary import examples
from kzoo.utils.formatting import plural, printable, spelled, value_in_words

_COLUMNS, _CLASSES = 30, 20  # that are printed
_NAME = 24  # characters of a name
_ORDINARY = ("number", "category", "date", "text")


def summary_lines(read) -> list[str]:
    """Lay out what `kzoo.dataset.summary.summarize` returned: splits, columns, classes, and what else is known."""
    sizes = " / ".join(f"{count:,} {name}" for name, count in read["splits"].items())
    named = f"{read['task'].replace('_', ' ')}, {examples(read)}"
    found = [common.bold(_cell(read["name"])), *common.hanging("  ", f"{named}: {sizes}")]
    if read["about"]:
        found += tables.columns([(_cell(name), _cell(value_in_words(value))) for name, value in read["about"].items()])
    if read["columns"]:
        found += ["", *_columns(read["columns"], read["rows"])]
    if read["classes"]:
        found += ["", *_classes(read["classes"], read["splits"])]
    notes = [line for note in read["notes"] for line in common.hanging("  ", printable(spelled(note)))]
    return [*found, *(["", *notes] if notes else [])]


def _columns(columns, rows):
    """Lay out columns, those first of which there is something to say where they are many; all in their order."""
    ordinary = [one["kind"] in _ORDINARY and not one.get("missing") and not one.get("unreadable") for one in columns]
    chosen = sorted(sorted(range(len(columns)), key=lambda place: ordinary[place])[:_COLUMNS])
    shown = [columns[place] for place in chosen]
    heads = (
        "column",
        "kind",
        *(name for name in ("missing", "unreadable") if any(one.get(name) for one in columns)),
        "",
    )
    found = tables.columns([heads, *(_row(one, heads, rows) for one in shown)], align="<<" + ">" * (len(heads) - 3))
    if len(columns) > len(shown):
        rest = [one["kind"] for place, one in enumerate(columns) if place not in chosen]
        kinds = ", ".join(plural(rest.count(kind), kind) for kind in dict.fromkeys(rest))
        found.append(f"  and {plural(len(rest), 'column')} more ({kinds}); --json has all")
    return found


def _row(column, heads, rows):
    counts = (column.get(name) or 0 for name in heads[2:-1])
    cells = (
        f"{count:,}{f' ({count / rows:.0%})' if count >= 0.01 * rows else ''}" if count else "" for count in counts
    )
    return (common.fitted(_cell(column["name"]), _NAME), column["kind"], *cells, _cell(column.get("about", "")))


def _classes(classes, splits):
    rows = [
        (common.fitted(_cell(one["name"]), _NAME), *(f"{one[name]:,}" for name in splits), "")
        for one in classes[:_CLASSES]
    ]
    found = tables.columns([("class", *splits, ""), *rows], align="<" + ">" * len(splits))
    if len(classes) > _CLASSES:
        found.append(f"  and {len(classes) - _CLASSES:,} classes more; --json has all")
    return found


def _cell(text):
    """Write a text of the data on one line."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")
