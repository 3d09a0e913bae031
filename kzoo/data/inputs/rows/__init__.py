"""Rows: learning columns from a table."""
