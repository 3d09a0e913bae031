"""Settings and shapes as text."""

_MAX_LENGTH = 60


def format_setting(value):
    """Return a setting as the command line takes it, shortened if it is long."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        text = ", ".join(format_setting(element) for element in value) or "()"
    else:
        text = f"{value:.7g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _MAX_LENGTH else text[: _MAX_LENGTH - 1] + "…"


def format_shape(shape):
    """Return a shape without its batch axis as text, such as 8 × 8 × 32; "several" for None (several outputs)."""
    if shape is None:
        return "several"
    return " × ".join("?" if size is None else str(size) for size in shape) or "1"
