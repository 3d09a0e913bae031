"""The catalogue: one file per family, plain data, standard library only."""
