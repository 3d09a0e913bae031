"""Files, folders and arrays from which inputs are read."""
