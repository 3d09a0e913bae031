"""Numbers and settings as people write them."""

_LONGEST = 60


def percent(share):
    """Write a share as a percentage that does not break: 98.1 %."""
    return f"{100 * share:.1f}\u00a0%"


def number(value):
    """Write a count whole, another number with four digits."""
    if value is None:
        return "not known"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def value_words(value):
    """Write a setting as the command line takes it, cut where it is long."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        text = ", ".join(value_words(v) for v in value) or "()"
    else:
        text = f"{value:.7g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def shape_words(shape):
    """Write a shape without its batch axis: 8 × 8 × 32."""
    if shape is None:
        return "several"
    return " × ".join("?" if size is None else str(size) for size in shape) or "1"
