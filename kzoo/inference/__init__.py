"""From new inputs to predictions: tables, kinds, tasks, postprocessing, explanations. NumPy only."""
