"""Helpers that everybody may import: errors, messages, files, checks of arguments. Standard library only."""
