"""Where examples are kept: arrays in memory, windows of a long one, rows in files. NumPy and the standard library."""
