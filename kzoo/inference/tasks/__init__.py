"""The inference half of each task."""
