"""The catalogue of presets: plain data, one file per family. Standard library only."""
