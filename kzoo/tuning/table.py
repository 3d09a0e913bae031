"""A space in words: a table of its hyperparameters."""

from kzoo.tuning.parameter import shown


def table(space) -> str:
    """Return a space as text: a line for each hyperparameter, its values, its default and what it means."""
    size = space.finite_size()
    points = "a continuum" if size is None else f"{size:,} point{'s' if size != 1 else ''}"
    rows = [("name", "values", "default", "meaning")]
    for p in space.parameters:
        only = f", if {p.when[0]} is {' or '.join(map(shown, p.when[1]))}" if p.when else ""
        rows.append((p.name, p.legal(), shown(p.default), p.meaning + only))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [f"{space.preset.name}, {space.size} space: {len(space.parameters)} hyperparameters, {points}"]
    for *cells, meaning in rows:
        lines.append("  " + "  ".join(cell.ljust(w) for cell, w in zip(cells, widths, strict=True)) + "  " + meaning)
    lines += [f"  fixed: {name}={value!r}" for name, value in space.fixed.items()]
    if space.max_params is not None:
        lines.append(f"  at most {space.max_params:,} parameters")
    return "\n".join(lines)
