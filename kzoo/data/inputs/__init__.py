"""The fitting half of each kind of input."""
