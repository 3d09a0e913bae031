"""Who trains besides this process: a process of ours, several, those of an executor, of a Dask cluster."""
