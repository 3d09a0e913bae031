"""The colours of all plots, which colour-blind readers can tell apart (Okabe and Ito)."""

from kzoo.utils.files import JsonObject

BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
RED = "#D55E00"
PURPLE = "#8A5FA8"
INK = "#22272e"
GREY = "#6b7280"
FAINT = "#d5d9df"
PAPER = "white"

# Styles of many lines: 7 colours, each repeated with different dashes.
LINES = (BLUE, ORANGE, GREEN, RED, PURPLE, "#56B4E9", INK)
DASHES = ("-", (0, (5, 2)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))


def line_style(index: int) -> JsonObject:
    """Return the colour and dashes of a line by its index; the first 28 styles are all different."""
    return dict(color=LINES[index % len(LINES)], ls=DASHES[index // len(LINES) % len(DASHES)])
