"""Tables for training, with pandas."""
