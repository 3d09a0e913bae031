"""Settings and shapes as people write them."""

_LONGEST = 60


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
