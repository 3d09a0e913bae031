"""Tables for training, as DataFrames: what is said of their columns and cells."""
