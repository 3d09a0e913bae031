"""The inference half of each kind of input."""
