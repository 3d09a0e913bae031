"""Storage of examples: arrays in memory, windows of a long array, rows in files. NumPy and standard library only."""
