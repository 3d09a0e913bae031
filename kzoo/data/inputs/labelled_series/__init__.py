"""The fitting half of labelled series: tables, folders of files, and lists of arrays."""
