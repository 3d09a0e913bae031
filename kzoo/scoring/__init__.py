"""Predictions for tables of many partitions, in processes of this machine or on a Dask cluster, without Keras."""
