"""Processes that train: one worker, several, those of an executor or of a Dask cluster."""
