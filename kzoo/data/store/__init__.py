"""Where examples are kept: memory or files."""
