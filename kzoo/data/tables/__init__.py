"""Tables for training, as DataFrames; summaries of their columns and notes on their cells."""
