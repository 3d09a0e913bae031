"""Where examples are kept: in memory or in files that are read on demand."""
