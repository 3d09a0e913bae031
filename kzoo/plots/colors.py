"""Colours that stay apart for colour-blind readers (Okabe and Ito) and the ink of all pictures."""

BLUE, ORANGE, GREEN, RED, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8A5FA8"
INK, GREY, FAINT, PAPER = "#22272e", "#6b7280", "#d5d9df", "white"
