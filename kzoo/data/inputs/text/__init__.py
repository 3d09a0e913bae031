"""Texts: vocabularies and labels."""
