"""The inference half of labelled series: each of them, or of its segments, is an example."""
