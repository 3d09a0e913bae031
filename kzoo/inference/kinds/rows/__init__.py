"""The inference half of rows: columns to numbers."""
