"""Colours that stay apart for colour-blind readers (Okabe and Ito) and the ink of all pictures."""

from typing import Any

BLUE, ORANGE, GREEN, RED, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8A5FA8"
INK, GREY, FAINT, PAPER = "#22272e", "#6b7280", "#d5d9df", "white"

# One colour and one dash pattern for each of many lines: 7 colours, and each comes back with other dashes.
LINES = (BLUE, ORANGE, GREEN, RED, PURPLE, "#56B4E9", INK)
DASHES = ("-", (0, (5, 2)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))


def line_style(number: int) -> dict[str, Any]:
    """Return colour and dashes of a line, counted from 0; the first 28 all differ."""
    return dict(color=LINES[number % len(LINES)], ls=DASHES[number // len(LINES) % len(DASHES)])
